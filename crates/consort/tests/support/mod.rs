//! A show as a process, with events in and out, for tests of what surrounds it.
#![allow(dead_code)] // no test uses all of it
#![allow(clippy::print_stderr)] // what is skipped is said

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running process of the command; ended when it is dropped.
pub(crate) struct Show {
    pub(crate) child: Child,
    output: UdpSocket,
    input: u16,
    probes: u32,
}

impl Drop for Show {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, in a folder of its own.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.env("XDG_RUNTIME_DIR", folder).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(status.expect("kill").success());
}

fn message(address: &str, value: f32) -> Vec<u8> {
    [address.as_bytes(), b"\0\0,f\0\0", &value.to_be_bytes()].concat()
}

impl Show {
    /// Runs a show that forwards `/a` as `/b`; `more` are further options of the instance that
    /// hears it and, after a line `[map]`, further mappings. `prepare` sets up the command.
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
        until("an event is routed", || {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it has ended: {ended:?}");
            // A value that was never sent before, so that nothing earlier looks like it.
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

    /// Sends an event to the show; nobody may listen.
    pub(crate) fn send(&self, value: f32) {
        let _ = self.output.send_to(&message("/a", value), ("127.0.0.1", self.input));
    }

    /// Asks for the end.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks for the end again and again: the second time that is not too soon after the first
    /// ends it at once.
    pub(crate) fn signal_until_it_ends(&mut self, name: &str) -> ExitStatus {
        let mut status = None;
        until("the show ends", || {
            status = self.child.try_wait().expect("a child");
            if status.is_none() {
                self.signal(name);
            }
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the show ends", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.expect("it has ended")
    }
}

/// Whether there is no python3 here; says so loudly.
pub(crate) fn lacks_python() -> bool {
    let mut python = Command::new("python3");
    let is_there = python.arg("--version").stdout(Stdio::null()).status().is_ok();
    if !is_there {
        assert!(std::env::var("CI").is_err(), "CI has python3");
        eprintln!("SKIPPED: no python3 here");
    }
    !is_there
}

/// Further lines for [`Show::start`]: a script whose clean-up does `what`. It makes the files
/// `imported` and, when it cleans up, `cleaning`.
pub(crate) fn clean_up(folder: &Path, what: &str) -> [&'static str; 2] {
    let script = format!(
        "import midimonster, time\n\
         def clean():\n    open('cleaning', 'w').close()\n    {what}\n\
         midimonster.cleanup_handler(clean)\n\
         open('{}', 'w').close()\n",
        folder.join("imported").display()
    );
    std::fs::write(folder.join("slow.py"), script).expect("written");
    ["", "[python script]\nmodule = slow\n[map]\nscript.x > out./x"]
}

/// A script whose clean-up takes as long as it may.
pub(crate) fn slow_clean_up(folder: &Path) -> [&'static str; 2] {
    clean_up(folder, "time.sleep(60)")
}
