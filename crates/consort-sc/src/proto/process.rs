//! The server process: its start, its output, its exit.

use std::time::Duration;

use super::{Connection, ExitReason, MAX_OUTPUT_LINES, Phase};
use crate::error::{Error, ErrorKind};
use crate::lifecycle::LifecycleEvent;

impl Connection {
    /// Input: the process was started, as [`Event::Spawn`](super::Event::Spawn) requested.
    pub fn process_started(&mut self) {
        self.has_process = true;
    }

    /// Input: the process printed a line. One of the lines announces that the server is ready.
    pub fn process_line(&mut self, line: &str, now: Duration) {
        if self.output.len() >= MAX_OUTPUT_LINES {
            self.output.pop_front();
        }
        self.output.push_back(line.to_owned());
        let is_ready =
            line.contains("SuperCollider 3 server ready") || line.contains("Supernova ready");
        if is_ready && matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessBooted);
            self.start_connecting(now);
        }
    }

    /// The output of the process, as the end of an error message.
    pub(super) fn printed_output(&self) -> String {
        let text = self.output.iter().map(|line| format!("\n    {line}")).collect::<String>();
        if text.is_empty() {
            "; it printed nothing".to_owned()
        } else {
            format!("; it printed:{text}")
        }
    }

    /// Input: the process that [`Event::Spawn`](super::Event::Spawn) requested cannot be
    /// started.
    pub fn spawn_failed(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessPanicked);
            self.fail_start(error.clone().with_kind(ErrorKind::ServerCannotBoot));
            self.go_offline("the server could not boot");
        }
    }

    /// Input: the process has exited; `status` is its exit code or signal, as text.
    pub fn process_exited(&mut self, status: &str) {
        self.has_process = false;
        match self.phase {
            Phase::Booting { .. } => {
                self.event(LifecycleEvent::ProcessPanicked);
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!(
                        "the server process exited before it was ready ({status}){}{}",
                        self.boot_hint(),
                        self.printed_output()
                    ),
                );
                self.fail_start(error);
                self.go_offline("the server could not boot");
            }
            Phase::Connecting { .. } | Phase::Online | Phase::LoggingOut { .. } => {
                self.event(LifecycleEvent::ProcessPanicked);
                self.event(LifecycleEvent::OscPanicked);
                self.event(LifecycleEvent::Disconnecting);
                self.close();
                self.event(LifecycleEvent::Disconnected);
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!("the server process exited ({status}){}", self.printed_output()),
                );
                self.fail_start(error);
                self.go_offline("the server process exited");
                self.event(LifecycleEvent::Quit);
                self.complete_end();
            }
            Phase::Quitting { .. } => {
                self.finish_connection();
                self.finish_exit(ExitReason::Quit);
            }
            Phase::AwaitingExit { reason, .. } => self.finish_exit(reason),
            Phase::Offline | Phase::Score => {}
        }
    }

    /// The cause of a failed boot and its remedy, if the output shows the cause.
    fn boot_hint(&self) -> String {
        let text: String = self.output.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if text.contains("already in use")
            || text.contains("address in use")
            || text.contains("unable to bind")
        {
            format!(
                ": port {} is in use; choose another port, or stop the program that uses it",
                self.state.options.port
            )
        } else if text.contains("jack server is not running")
            || (text.contains("JackDriver") && text.contains("could not"))
        {
            let device = self.state.options.input_device.as_ref().or(self
                .state
                .options
                .output_device
                .as_ref());
            match device {
                Some(device) => format!(
                    ": no JACK server `{}` is running; with JACK, a device is not a sound card but \
                     `SERVER:CLIENT`, the names of the JACK server and of its client. Leave the \
                     device `{device}` out; the environment variable JACK_DEFAULT_SERVER selects \
                     another JACK server",
                    device.split(':').next().unwrap_or_default()
                ),
                None => {
                    ": no JACK server is running; start one (for example `jackd -d dummy`)".into()
                }
            }
        } else {
            String::new()
        }
    }

    /// The process has exited as expected.
    pub(super) fn finish_exit(&mut self, reason: ExitReason) {
        if reason == ExitReason::Quit {
            self.event(LifecycleEvent::ProcessQuit);
        }
        self.go_offline("the server was quit");
        if reason != ExitReason::BootFailed {
            self.event(LifecycleEvent::Quit);
        }
        self.complete_end();
    }
}
