//! `consort demo`: a self-contained show with simulated devices.
//!
//! The show consists of [`Part`]s. Each contributes sections and mappings to one real
//! configuration, and the devices (threads) that play with it. If this machine lacks something
//! that a part needs, the part does without and prints a remark. To add a part, add a line to
//! [`parts`].

mod lights;
mod music;
mod pattern;
mod sound;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use consort_router::{Handle, Router, config};

use crate::cli::DemoArgs;
use crate::monitor::Local;
use crate::text::counted;
use crate::{diagnostics, log, monitor, run, signals};

/// A part of the demo: what it adds to the show, and its devices.
trait Part {
    /// Its sections of the configuration; each ends with a line break.
    fn sections(&self) -> String;

    /// Its lines of `[map]`; each ends with a line break.
    fn mappings(&self) -> String;

    /// Files in the configuration's folder: name and text.
    fn files(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// A remark that is printed first: what the part runs on, or what this machine lacks.
    fn remark(&self) -> Option<String> {
        None
    }

    /// Starts its devices before the show starts. Their threads end soon after `running` has
    /// become false at the end of the show.
    fn start(&mut self, running: &Arc<AtomicBool>) -> anyhow::Result<Vec<JoinHandle<()>>>;

    /// What its devices have sent and received, one line each. `folder` contains the
    /// configuration and its files.
    fn report(&self, folder: &Path) -> Vec<String>;
}

/// All parts, in the order of their sections.
fn parts() -> anyhow::Result<Vec<Box<dyn Part>>> {
    Ok(vec![
        Box::new(lights::Lights::new()?),
        Box::new(pattern::Pattern::new()),
        Box::new(music::Music::new()?),
        Box::new(sound::Sound::new()?),
    ])
}

/// Runs the demo.
pub(crate) fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut parts = parts()?;
    let text = configuration(&parts);
    let folder = Folder::new()?;
    std::fs::write(folder.0.join("demo.cfg"), &text)?;
    let files: Vec<_> = parts.iter().flat_map(|part| part.files()).collect();
    for (name, content) in &files {
        std::fs::write(folder.0.join(name), content)?;
    }
    let loaded = config::load(&folder.0.join("demo.cfg"), &[], &run::backends());
    diagnostics::print(&loaded);
    let Some(show) = loaded.show else { return Ok(ExitCode::FAILURE) };
    print(&format!("The whole show, demo.cfg:\n\n{}\n", indented(&text)));
    for (name, content) in &files {
        print(&format!("Its script, {name}:\n\n{}\n", indented(content)));
    }
    for remark in parts.iter().filter_map(|part| part.remark()) {
        print(&format!("{remark}\n\n"));
    }
    let mut router = Router::new(show)?;
    let handle = router.handle();
    signals::stop_on_signals(handle.clone(), None)?;
    let mut devices = Devices::default();
    for part in &mut parts {
        let threads = part.start(&devices.running)?;
        devices.threads.extend(threads);
    }
    log::begin_show();
    let local = Local::new(handle.clone(), "demo.cfg".into());
    let server = run::serve(&local);
    let view = monitor::start(local, Some(Duration::from_secs(arguments.seconds)))?;
    router.run()?;
    drop(server);
    if view.join().is_err() {
        tracing::error!("the live view crashed");
    }
    drop(devices);
    report(&handle, &parts, &folder.0);
    Ok(ExitCode::SUCCESS)
}

/// The text of demo.cfg.
fn configuration(parts: &[Box<dyn Part>]) -> String {
    let sections: Vec<String> = parts.iter().map(|part| part.sections()).collect();
    let mappings: String = parts.iter().map(|part| part.mappings()).collect();
    let sections: Vec<String> = sections.into_iter().filter(|text| !text.is_empty()).collect();
    format!("{}\n[map]\n{mappings}", sections.join("\n"))
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") })
        .collect()
}

/// A temporary folder, removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let name = format!("consort-demo-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).with_context(|| {
            format!("cannot create the demo's folder {}; set TMPDIR to use another", path.display())
        })?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = std::fs::remove_dir_all(path) {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }
}

fn print(text: &str) {
    let mut out = io::stdout().lock();
    // If standard output is closed, nobody reads the text: no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The threads of all devices; they end when this is dropped.
struct Devices {
    running: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Default for Devices {
    fn default() -> Self {
        Devices { running: Arc::new(AtomicBool::new(true)), threads: Vec::new() }
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a device of the demo crashed");
            }
        }
    }
}

/// Prints the counters of the instances and the reports of the parts.
fn report(handle: &Handle, parts: &[Box<dyn Part>], folder: &Path) {
    let live = handle.live();
    let mut text = String::from("\nTraffic:\n");
    for instance in run::instances(handle) {
        let counters = live.counters(instance);
        text.push_str(&format!(
            "  {:<8} ({}): {} in, {} out, {} dropped, {}\n",
            live.instance_name(instance),
            live.backend_name(instance),
            counted(counters.incoming, "value"),
            counters.outgoing,
            counters.dropped,
            counted(counters.errors, "error")
        ));
    }
    for line in parts.iter().flat_map(|part| part.report(folder)) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(
        "\nNext steps:\n  \
         consort backends            list the protocols that can be connected\n  \
         consort check FILE          check a configuration\n  \
         consort run FILE --monitor  run your own show with this view; examples/ has some to start from\n  \
         consort learn FILE NAME     print the channels that an instance receives\n",
    );
    print(&text);
}
