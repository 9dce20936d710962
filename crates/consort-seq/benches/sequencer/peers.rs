//! The peers that are available. They can use only the kernel's sequencer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use consort_seq::Engine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::alsa_crate;

/// The peers; `None` for one that is not available.
pub(super) struct Peers {
    pub(super) alsa: Option<alsa_crate::Peer>,
    python: Option<Python>,
}

/// The process `peer.py`. It reads the name of a measurement per line, runs one round of it, and
/// answers with a line.
struct Python {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    pub(super) fn find(engine: &Engine) -> Self {
        if !matches!(engine, Engine::Kernel { .. }) {
            println!("SKIPPED: peers: they can use only the kernel's sequencer");
            return Self { alsa: None, python: None };
        }
        let python = Python::start()
            .inspect_err(|problem| println!("SKIPPED: python-alsa-midi: {problem}"))
            .ok();
        Self { alsa: alsa_crate::Peer::open(), python }
    }

    /// One round of the measurement `what` with python-alsa-midi: the nanoseconds per step, or for
    /// latencies those of every step.
    pub(super) fn python(&mut self, what: &str) -> Option<Vec<f64>> {
        let python = self.python.as_mut()?;
        writeln!(python.requests, "{what}").expect("peer.py runs");
        // Every answer is one line, so the reader's buffer is empty here.
        let mut polled = [PollFd::new(python.answers.get_ref(), PollFlags::IN)];
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        if poll(&mut polled, Some(&limit)).expect("poll") == 0 {
            println!("SKIPPED: python-alsa-midi, from here on: no answer to `{what}` within 30 s");
            self.python = None;
            return None;
        }
        let mut line = String::new();
        python.answers.read_line(&mut line).expect("peer.py answers");
        assert!(!line.is_empty(), "peer.py exited during `{what}`");
        Some(line.split_whitespace().map(|time| time.parse().expect("a number")).collect())
    }
}

impl Python {
    fn start() -> Result<Self, String> {
        let folder = std::env::var("CONSORT_VENV").unwrap_or_default();
        let program = match folder.as_str() {
            "" => "python3".to_owned(),
            folder => format!("{folder}/bin/python3"),
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sequencer/peer.py");
        let mut process = Command::new(&program)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(format!("{program}: its pipes are missing"));
        };
        let mut answers = BufReader::new(answers);
        let mut ready = String::new();
        answers.read_line(&mut ready).map_err(|error| error.to_string())?;
        if ready.trim() != "ready" {
            let mut error_output = String::new();
            if let Some(mut errors) = process.stderr.take() {
                let _ = errors.read_to_string(&mut error_output);
            }
            let _ = process.wait();
            return Err(error_output);
        }
        Ok(Self { process, requests, answers })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
