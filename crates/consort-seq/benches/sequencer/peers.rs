//! The peers that can be had: they reach the kernel's sequencer only.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use consort_seq::Engine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::alsa_crate;

pub(super) struct Peers {
    pub(super) alsa: Option<alsa_crate::Peer>,
    python: Option<Python>,
}

/// `peer.py`, which measures what it is asked for, a line a round.
struct Python {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peers {
    pub(super) fn find(engine: &Engine) -> Self {
        if !matches!(engine, Engine::Kernel { .. }) {
            println!("SKIPPED: peers: they reach the kernel's sequencer only");
            return Self { alsa: None, python: None };
        }
        let python = Python::start()
            .inspect_err(|problem| println!("SKIPPED: python-alsa-midi: {problem}"))
            .ok();
        Self { alsa: alsa_crate::Peer::open(), python }
    }

    /// What python-alsa-midi takes for one round of `what`, in nanoseconds a step; for the
    /// latencies, of each step.
    pub(super) fn python(&mut self, what: &str) -> Option<Vec<f64>> {
        let python = self.python.as_mut()?;
        writeln!(python.questions, "{what}").expect("peer.py listens");
        // Every answer is one line, so nothing is left in the reader's buffer.
        let mut polled = [PollFd::new(python.answers.get_ref(), PollFlags::IN)];
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        if poll(&mut polled, Some(&limit)).expect("poll") == 0 {
            println!("SKIPPED: python-alsa-midi from here on: no answer to '{what}' within 30 s");
            self.python = None;
            return None;
        }
        let mut line = String::new();
        python.answers.read_line(&mut line).expect("peer.py answers");
        assert!(!line.is_empty(), "peer.py has ended over {what}");
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
        let (Some(questions), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(format!("{program}: no pipes"));
        };
        let mut answers = BufReader::new(answers);
        let mut ready = String::new();
        answers.read_line(&mut ready).map_err(|error| error.to_string())?;
        if ready.trim() != "ready" {
            let mut said = String::new();
            if let Some(mut errors) = process.stderr.take() {
                let _ = errors.read_to_string(&mut said);
            }
            let _ = process.wait();
            return Err(said);
        }
        Ok(Self { process, questions, answers })
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
