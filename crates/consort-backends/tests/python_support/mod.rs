//! A show with Python instances and a probe, for tests: it runs on a thread of its own, and
//! everything that happens is waited for, with a deadline.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::{loopback, python};
use consort_router::config::{ChannelRef, Show, ShowInstance};
use consort_router::options::OptionEntry;
use consort_router::{
    Backend, BackendDescriptor, ChannelError, Context, Event, Handle, Instance, InstanceConfig,
    InstanceId, Options, Problems, Router, State, Usage,
};
use tempfile::TempDir;

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The interpreter under test.
pub fn interpreter() -> String {
    std::env::var("CONSORT_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// What has happened so far.
#[derive(Default)]
pub struct Seen {
    /// Values that came to the probe: channel, value, when.
    pub values: Vec<(String, f64, Instant)>,
    /// What scripts printed, the first megabyte of it, and how much it was in all.
    pub printed: String,
    pub printed_bytes: usize,
    /// What was logged: level, instance, message.
    pub log: Vec<String>,
}

impl Seen {
    /// The values of one channel.
    pub fn of(&self, channel: &str) -> Vec<f64> {
        self.values.iter().filter(|it| it.0 == channel).map(|it| it.1).collect()
    }

    pub fn lines(&self) -> Vec<&str> {
        self.printed.lines().collect()
    }

    /// How many log entries contain all of these.
    pub fn logged(&self, parts: &[&str]) -> usize {
        self.log.iter().filter(|entry| parts.iter().all(|part| entry.contains(part))).count()
    }
}

#[derive(Clone, Default)]
pub struct Witness(Arc<(Mutex<Seen>, Condvar)>);

impl Witness {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    pub fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.0.0.lock().unwrap())
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let seen = self.0.0.lock().unwrap();
        let (seen, timeout) =
            self.0.1.wait_timeout_while(seen, DEADLINE, |seen| !condition(seen)).unwrap();
        if timeout.timed_out() {
            let values = seen.values.len();
            let tail: Vec<_> =
                seen.values.iter().rev().take(20).map(|it| (it.0.clone(), it.1)).collect();
            let printed: String = seen.printed.chars().take(4_000).collect();
            let log = seen.log.join("\n");
            drop(seen);
            panic!(
                "{what}: not seen\n{values} values, last {tail:?}\nprinted:\n{printed}\nlog:\n{log}"
            );
        }
    }
}

impl Write for Witness {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.note(|seen| {
            seen.printed_bytes += bytes.len();
            if seen.printed.len() < 1 << 20 {
                seen.printed.push_str(&String::from_utf8_lossy(bytes));
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes the log of one show.
struct Log(Witness);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::DEBUG && metadata.target().starts_with("consort")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String, String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                let text = if field.name() == "message" { &mut self.1 } else { &mut self.0 };
                let _ = write!(text, "{value:?} ");
            }
        }
        let mut text = Text(String::new(), String::new());
        event.record(&mut text);
        let entry = format!("{} {}{}", event.metadata().level(), text.0, text.1);
        self.0.note(|seen| seen.log.push(entry));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Takes what comes to it; values are put in with [`Running::send`].
struct Probe {
    names: Vec<String>,
    witness: Witness,
}

impl Instance for Probe {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        let known = self.names.iter().position(|name| name == specification);
        Ok(known.unwrap_or_else(|| {
            self.names.push(specification.to_owned());
            self.names.len() - 1
        }) as u32)
    }

    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        let now = Instant::now();
        self.witness.note(|seen| {
            for event in events {
                seen.values.push((self.names[event.channel as usize].clone(), event.value, now));
            }
        });
    }
}

struct Section {
    backend: &'static str,
    name: String,
    options: Vec<(String, String)>,
    folder: String,
}

/// A show that is being put together.
pub struct Rig {
    pub folder: TempDir,
    sections: Vec<Section>,
    mappings: Vec<(String, String)>,
}

impl Rig {
    /// With one instance `probe`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig { folder, sections: Vec::new(), mappings: Vec::new() };
        rig.section("probe", "probe", &[])
    }

    /// With one instance `py` of one module `script`.
    pub fn script(source: &str) -> Self {
        Rig::new().file("script.py", source).python("py", &[("module", "script")])
    }

    /// With one script, too: the channels `go` and `again` of the probe call its handlers of
    /// those names, what it puts out on `out` comes to the probe's `out`.
    pub fn handlers(source: &str) -> Self {
        let map = "probe.go > py.script.go\nprobe.again > py.script.again\npy.out > probe.out";
        Rig::script(source).map(map)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn python(self, name: &str, options: &[(&str, &str)]) -> Self {
        self.section("python", name, options)
    }

    pub fn loopback(self, name: &str) -> Self {
        self.section("loopback", name, &[])
    }

    fn section(mut self, backend: &'static str, name: &str, options: &[(&str, &str)]) -> Self {
        let mut options: Vec<_> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if backend == "python" && !options.iter().any(|(name, _)| name == "python") {
            options.push(("python".into(), interpreter()));
        }
        self.sections.push(Section { backend, name: name.into(), options, folder: String::new() });
        self
    }

    /// Puts the last instance's section into a file in a folder of its own.
    pub fn within(mut self, folder: &str) -> Self {
        self.sections.last_mut().unwrap().folder = folder.into();
        self
    }

    /// Adds mappings, one a line: `source > target`.
    pub fn map(mut self, lines: &str) -> Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (source, target) = line.split_once(" > ").expect("source > target");
            self.mappings.push((source.into(), target.into()));
        }
        self
    }

    /// Everything that a check finds, one a line.
    pub fn check(&self) -> Vec<String> {
        let (mut problems, mut all) = (Problems::new(), Vec::new());
        if let Some(show) = self.show(&Witness::default(), &mut problems) {
            for instance in &show.instances {
                instance.instance.check(&mut problems);
            }
        }
        for problem in problems.into_vec() {
            let kind = if problem.is_warning { "warning" } else { "error" };
            all.push(format!("{kind}: {} [{}]", problem.message, problem.hint.unwrap_or_default()));
        }
        all
    }

    fn show(&self, witness: &Witness, problems: &mut Problems) -> Option<Show> {
        let mut show = Show::default();
        let mut backends: HashMap<&str, Box<dyn Backend>> = HashMap::new();
        backends.insert("loopback", (loopback::DESCRIPTOR.create)());
        backends.insert("python", python::backend(Box::new(witness.clone())));
        for section in &self.sections {
            let directory = self.path().join(&section.folder);
            let instance = if section.backend == "probe" {
                Some(Box::new(Probe { names: Vec::new(), witness: witness.clone() })
                    as Box<dyn Instance>)
            } else {
                let descriptor: &BackendDescriptor = if section.backend == "python" {
                    &python::DESCRIPTOR
                } else {
                    &loopback::DESCRIPTOR
                };
                let entries = section.options.iter().map(|(name, value)| OptionEntry {
                    name: name.clone(),
                    value: value.clone(),
                    directory: directory.clone(),
                });
                let options = Options::new(descriptor.instance_options, entries.collect());
                let config = InstanceConfig { name: section.name.clone(), options, directory };
                backends.get_mut(section.backend).unwrap().instance(config, problems)
            };
            show.instances.push(ShowInstance {
                name: section.name.clone(),
                backend: section.backend,
                instance: instance?,
                channels: Vec::new(),
            });
        }
        for (source, target) in &self.mappings {
            let source = end(&mut show, source, Usage::Source);
            let target = end(&mut show, target, Usage::Target);
            show.mappings.push((source, target));
        }
        show.backends.extend(backends.into_values());
        Some(show)
    }

    /// Starts the show; Python instances may not be up yet.
    pub fn launch(self) -> Running {
        let witness = Witness::default();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (mine, rig) = (witness.clone(), Arc::new(self));
        let its = Arc::clone(&rig);
        let thread = std::thread::spawn(move || {
            let log = tracing::Dispatch::new(Log(mine.clone()));
            tracing::dispatcher::with_default(&log, || {
                let mut problems = Problems::new();
                let show = its.show(&mine, &mut problems);
                let show = show.unwrap_or_else(|| panic!("{:?}", problems.into_vec()));
                let mut router = Router::new(show).unwrap();
                sender.send(router.handle()).unwrap();
                router.run().unwrap();
            });
        });
        let handle = receiver.recv().expect("the show is valid");
        Running { handle, thread: Some(thread), witness, rig }
    }

    /// Starts the show and waits until every instance is up.
    #[track_caller]
    pub fn start(self) -> Running {
        let running = self.launch();
        let names: Vec<_> = running.rig.sections.iter().map(|it| it.name.clone()).collect();
        for name in names {
            running.wait_up(&name);
        }
        running
    }
}

fn end(show: &mut Show, text: &str, usage: Usage) -> ChannelRef {
    let (name, specification) = text.split_once('.').expect("instance.channel");
    let at = show.instances.iter().position(|it| it.name == name).expect("a known instance");
    let entry = &mut show.instances[at];
    let channel = entry.instance.channel(specification, usage).unwrap();
    if channel as usize == entry.channels.len() {
        entry.channels.push(specification.to_owned());
    }
    ChannelRef { instance: InstanceId(at as u32), channel }
}

/// A show that runs. Dropping it stops it.
pub struct Running {
    pub handle: Handle,
    thread: Option<JoinHandle<()>>,
    pub witness: Witness,
    pub rig: Arc<Rig>,
}

impl Running {
    /// Puts a value in at the probe's channel.
    #[track_caller]
    pub fn send(&self, channel: &str, value: f64) {
        let live = self.handle.live();
        let probe = live.find_instance("probe").unwrap();
        let names = live.channel_names(probe);
        let at = names.iter().position(|name| name == channel).expect("a mapped channel") as u32;
        let deadline = Instant::now() + DEADLINE;
        while !self.handle.inject(probe, at, value) {
            assert!(Instant::now() < deadline, "the router takes no values");
            std::thread::yield_now();
        }
    }

    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        self.witness.wait(what, condition);
    }

    /// Waits until so many values came to a channel and returns them.
    #[track_caller]
    pub fn values(&self, channel: &str, count: usize) -> Vec<f64> {
        let what = format!("{count} values of {channel}");
        self.wait(&what, |seen| seen.of(channel).len() >= count);
        self.witness.look(|seen| seen.of(channel))
    }

    #[track_caller]
    pub fn printed(&self, line: &str) {
        self.wait(&format!("the line {line:?}"), |seen| seen.lines().contains(&line));
    }

    #[track_caller]
    pub fn logged(&self, parts: &[&str]) {
        self.wait(&format!("a log entry with {parts:?}"), |seen| seen.logged(parts) > 0);
    }

    pub fn state(&self, instance: &str) -> State {
        let live = self.handle.live();
        live.state(live.find_instance(instance).unwrap())
    }

    /// Waits for a state; states have no signal of their own, so this looks again and again.
    #[track_caller]
    pub fn wait_state(&self, instance: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(&self.state(instance)) {
            let state = self.state(instance);
            if Instant::now() > deadline {
                let log = self.witness.look(|seen| seen.log.join("\n"));
                panic!("{instance} is {state:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub fn wait_up(&self, instance: &str) {
        self.wait_state(instance, |state| *state == State::Up);
    }

    /// Ends the show and returns what was seen in all.
    pub fn stop(mut self) -> Witness {
        self.end();
        self.witness.clone()
    }

    fn end(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.expect("the router's thread");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
