//! A Python script that plays a light pattern; the first fader sets its speed. Left out if there
//! is no `python3`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use super::Part;
use super::lights::FADERS;

/// The script: a light that runs back and forth.
const SCRIPT: &str = "\
import midimonster

position = 0

def step():
    global position
    position = (position + 1) % 6
    for lamp in range(1, 5):
        distance = abs(lamp - 1 - (position if position < 4 else 6 - position))
        midimonster.output(f\"step{lamp}\", 1.0 if distance == 0 else 0.2 / distance)

def speed(value):
    midimonster.interval(step, 60 + round(24 * (1 - value)) * 10)

midimonster.interval(step, 150)
";

/// The script, if it can run here.
pub(super) struct Pattern {
    has_python: bool,
}

impl Pattern {
    pub(super) fn new() -> Self {
        Pattern { has_python: has_python() }
    }
}

/// Whether `python3` is installed and new enough.
fn has_python() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
    python.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

impl Part for Pattern {
    fn sections(&self) -> String {
        if self.has_python {
            "[python pattern]\nmodule = pattern\n".to_owned()
        } else {
            String::new()
        }
    }

    fn mappings(&self) -> String {
        if !self.has_python {
            return String::new();
        }
        format!(
            "\
tablet./fader/1 > pattern.pattern.speed
pattern.step{{1..{FADERS}}} > lamps./step/{{1..{FADERS}}}
"
        )
    }

    fn files(&self) -> &'static [(&'static str, &'static str)] {
        if self.has_python { &[("pattern.py", SCRIPT)] } else { &[] }
    }

    fn remark(&self) -> Option<String> {
        let missing = "python3 (3.8 or newer) was not found: the demo runs without its script.";
        (!self.has_python).then(|| missing.to_owned())
    }

    fn start(&mut self, _: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>> {
        // The show itself runs the script.
        Ok(Vec::new())
    }

    fn report(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}
