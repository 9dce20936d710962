//! The server's process: its start, its words, its end.

use super::*;

impl Core {
    pub(crate) fn process_started(&mut self) {
        self.has_process = true;
    }

    pub(crate) fn process_line(&mut self, line: &str, now: Duration) {
        if self.output.len() >= MAXIMUM_OUTPUT {
            self.output.pop_front();
        }
        self.output.push_back(line.to_owned());
        let ready =
            line.contains("SuperCollider 3 server ready") || line.contains("Supernova ready");
        if ready && matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessBooted);
            self.start_connecting(now);
        }
    }

    pub(super) fn process_text(&self) -> String {
        let text = self.output.iter().map(|line| format!("\n    {line}")).collect::<String>();
        if text.is_empty() {
            " It printed nothing.".to_owned()
        } else {
            format!(" It printed:{text}")
        }
    }

    pub(crate) fn spawn_failed(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessPanicked);
            self.end_start(error.clone().with_kind(ErrorKind::ServerCannotBoot));
            self.go_offline("the server could not boot");
        }
    }

    pub(crate) fn process_exited(&mut self, how: &str) {
        self.has_process = false;
        match self.phase {
            Phase::Booting { .. } => {
                self.event(LifecycleEvent::ProcessPanicked);
                let hint = self.boot_hint();
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!(
                        "the server process ended before it was ready ({how}).{hint}{}",
                        self.process_text()
                    ),
                );
                self.end_start(error);
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
                    format!("the server process ended ({how}).{}", self.process_text()),
                );
                self.end_start(error);
                self.go_offline("the server process ended");
                self.event(LifecycleEvent::Quit);
                if let Some(ending) = self.ending.take() {
                    self.actions.push_back(Action::Complete(ending, Ok(())));
                }
            }
            Phase::Quitting { .. } => {
                self.finish_connection();
                self.process_gone(Why::Quit);
            }
            Phase::Ending { why, .. } => self.process_gone(why),
            Phase::Offline => {}
        }
    }

    pub(super) fn boot_hint(&self) -> String {
        let text: String = self.output.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if text.contains("already in use")
            || text.contains("address in use")
            || text.contains("unable to bind")
        {
            format!(" Port {} is in use; choose another or end what holds it.", self.options.port)
        } else if text.contains("JackDriver") && text.contains("could not") {
            " No JACK server answers; start one (for example `jackd -d dummy`).".to_owned()
        } else {
            String::new()
        }
    }

    pub(super) fn process_gone(&mut self, why: Why) {
        if why == Why::Quit {
            self.event(LifecycleEvent::ProcessQuit);
        }
        self.go_offline("the server was quit");
        if why != Why::BootFailed {
            self.event(LifecycleEvent::Quit);
        }
        if let Some(ending) = self.ending.take() {
            self.actions.push_back(Action::Complete(ending, Ok(())));
        }
    }
}
