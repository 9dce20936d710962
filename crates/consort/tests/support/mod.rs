//! Runs a show as a process, and sends and receives its events.
#![allow(dead_code)] // no test uses all of it
#![allow(clippy::print_stderr)] // reports skipped tests

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a condition may take to come true.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running show; killed when this is dropped.
pub(crate) struct Show {
    pub(crate) child: Child,
    output: UdpSocket,
    input: u16,
    probes: u32,
}

impl Drop for Show {
    fn drop(&mut self) {
        // Fails only if the process has exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command with its working folder and its sockets in `folder`.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.env("XDG_RUNTIME_DIR", folder).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !is_true() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(status.expect("kill").success());
}

fn message(address: &str, value: f32) -> Vec<u8> {
    let mut bytes = address.as_bytes().to_vec();
    bytes.resize(address.len() / 4 * 4 + 4, 0);
    [&bytes, &b",f\0\0"[..], &value.to_be_bytes()].concat()
}

impl Show {
    /// Runs a show that forwards `/a` as `/b`. `more` are further options of the instance that
    /// receives `/a`, and further sections. `prepare` modifies the command.
    pub(crate) fn start(
        folder: &Path,
        more: [&str; 2],
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let output = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        output.set_read_timeout(Some(Duration::from_millis(20))).expect("set");
        let port = |socket: &UdpSocket| socket.local_addr().expect("an address").port();
        let input = port(&UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let text = format!(
            "[osc in]\nbind = 127.0.0.1 {input}\n{}\n[osc out]\ndestination = 127.0.0.1 {}\n{}\n\
             [map]\nin./a > out./b\n",
            more[0],
            port(&output),
            more[1]
        );
        std::fs::write(folder.join("show.cfg"), text).expect("written");
        let mut run = command(folder);
        run.arg("run");
        prepare(&mut run);
        let child = run.arg("show.cfg").spawn().expect("started");
        let mut show = Show { child, output, input, probes: 0 };
        show.routes();
        show
    }

    /// Waits until an event that is sent now has gone through the show.
    pub(crate) fn routes(&mut self) {
        wait_until("an event is routed", || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the show has ended: {ended:?}");
            // A value that was not sent before, so that it cannot be confused with earlier ones.
            self.probes += 1;
            let value = 0.25 + self.probes as f32 / (1 << 20) as f32;
            self.send(value);
            let mut buffer = [0; 64];
            while let Ok(count) = self.output.recv(&mut buffer) {
                if buffer[..count] == message("/b", value) {
                    return true;
                }
            }
            false
        });
    }

    /// Sends an event; the show may not be listening yet.
    pub(crate) fn send(&self, value: f32) {
        self.send_to("/a", value);
    }

    /// Sends an event to another address.
    pub(crate) fn send_to(&self, address: &str, value: f32) {
        let _ = self.output.send_to(&message(address, value), ("127.0.0.1", self.input));
    }

    /// Sends a packet.
    pub(crate) fn send_packet(&self, packet: &[u8]) {
        let _ = self.output.send_to(packet, ("127.0.0.1", self.input));
    }

    /// Waits until the show sends a value.
    pub(crate) fn receive(&self, value: f32) {
        let mut buffer = [0; 64];
        wait_until("the value leaves the show", || {
            let count = self.output.recv(&mut buffer).unwrap_or(0);
            buffer[..count] == message("/b", value)
        });
    }

    /// Sends a signal to the show.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Sends a signal repeatedly: the first one that does not count as bounced ends the show
    /// immediately.
    pub(crate) fn signal_until_it_ends(&mut self, name: &str) -> ExitStatus {
        let mut status = None;
        wait_until("the show ends", || {
            status = self.child.try_wait().expect("a child");
            if status.is_none() {
                self.signal(name);
            }
            status.is_some()
        });
        status.expect("it ended")
    }

    /// Waits until the show has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the show ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it ended")
    }
}

/// Whether python3 is missing; reports the skipped test.
pub(crate) fn lacks_python() -> bool {
    let mut python = Command::new("python3");
    let is_installed = python.arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_installed {
        assert!(std::env::var("CI").is_err(), "CI has python3");
        eprintln!("SKIPPED: python3 is not installed");
    }
    !is_installed
}

/// Further lines for [`Show::start`]: a script whose clean-up runs `statement`. The script creates
/// the file `imported`, and `cleaning` when it cleans up.
pub(crate) fn clean_up(folder: &Path, statement: &str) -> [&'static str; 2] {
    let script = format!(
        "import midimonster, time\n\
         def clean():\n    open('cleaning', 'w').close()\n    {statement}\n\
         midimonster.cleanup_handler(clean)\n\
         open('{}', 'w').close()\n",
        folder.join("imported").display()
    );
    std::fs::write(folder.join("slow.py"), script).expect("written");
    ["", "[python script]\nmodule = slow\n[map]\nscript.x > out./x"]
}

/// The same with a clean-up that exceeds its time limit.
pub(crate) fn slow_clean_up(folder: &Path) -> [&'static str; 2] {
    clean_up(folder, "time.sleep(60)")
}
