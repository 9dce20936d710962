//! The guard: a small process that ends what scripts leave behind.
//!
//! A script can start processes that leave its process group (`setsid`, a double fork), which the
//! end of the group does not reach. Every process that descends from a worker has the same mark in
//! its environment, unless it removes it. The guard waits for the end of the show, which it notices
//! by the end of a pipe, however the show ends; then it kills the processes with the mark until none
//! is left. It kills nothing else.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::program::{GUARD_ARGUMENT, worker_command};

/// The variable of the environment that marks the processes of a show.
pub(super) const MARK: &str = "CONSORT_SHOW";

/// How long the guard looks for processes.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two searches, in which killed processes end.
const SEARCH_INTERVAL: Duration = Duration::from_millis(5);

/// A running guard. Dropping it ends the processes that it watches.
pub(super) struct Guard {
    child: Child,
    /// Its end is the end of the show.
    lifeline: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard for processes with this mark; none if this program is not a worker.
    ///
    /// # Errors
    /// If the operating system cannot start it.
    pub(super) fn start(mark: &str) -> io::Result<Option<Self>> {
        let Some(command) = worker_command() else { return Ok(None) };
        let mut child = Command::new(&command.program)
            .arg0("consort")
            .args(&command.arguments)
            .args([GUARD_ARGUMENT, mark])
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let lifeline = child.stdin.take();
        Ok(Some(Guard { child, lifeline }))
    }
}

impl Drop for Guard {
    /// Waits until the guard has done its work, which takes milliseconds.
    fn drop(&mut self) {
        self.lifeline = None;
        let _ = self.child.wait();
    }
}

/// Runs a guard in this process until its work is done.
pub(super) fn serve(mark: &str) {
    let mut buffer = [0; 16];
    loop {
        match io::stdin().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let marked = format!("{MARK}={mark}").into_bytes();
    let deadline = Instant::now() + SEARCH_TIMEOUT;
    while kill_marked(&marked) > 0 && Instant::now() < deadline {
        std::thread::sleep(SEARCH_INTERVAL);
    }
}

/// Kills the processes with a variable in their environment; returns how many there were.
fn kill_marked(variable: &[u8]) -> usize {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let mut count = 0;
    for entry in entries.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(process) = number.and_then(Pid::from_raw) else { continue };
        // The environment of a zombie is empty.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|&byte| byte == 0).any(|entry| entry == variable) {
            count += 1;
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
    }
    count
}
