//! Interoperability: Supriya, from PyPI, in the same scenarios.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::rig::{free_port, jack_name};

/// The Python of the tests' virtual environment, if Supriya is installed in it.
pub(crate) fn python() -> Result<PathBuf, String> {
    let environment = std::env::var_os("CONSORT_VENV").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/venv"),
        PathBuf::from,
    );
    let python = environment.join("bin/python");
    let found = Command::new(&python)
        .args(["-c", "import supriya"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => Ok(python),
        _ => Err(format!(
            "Supriya is not installed in {} (python3 -m venv, then pip install supriya)",
            environment.display()
        )),
    }
}

/// The lifecycle events that Supriya emits in each case.
pub(crate) fn lifecycle() -> Result<Vec<(String, Vec<String>)>, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/supriya_lifecycle.py");
    let output = Command::new(python()?)
        .arg(script)
        .arg((free_port().min(60_000)).to_string())
        .env("JACK_DEFAULT_SERVER", jack_name())
        .env("JACK_NO_START_SERVER", "1")
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lists: Vec<(String, Vec<String>)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.collect()))
        })
        .collect();
    if lists.len() == 9 {
        Ok(lists)
    } else {
        Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}
