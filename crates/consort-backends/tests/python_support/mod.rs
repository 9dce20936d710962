//! A show with Python instances and a probe, for tests. It runs on a thread of its own; tests wait
//! for what they expect, with a deadline.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_backends::{loopback, python};
use consort_router::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use consort_router::options::OptionEntry;
use consort_router::{
    Adoption, Backend, BackendDescriptor, ChannelError, ChannelTable, Context, Driver, Event,
    Handle, Instance, InstanceConfig, InstanceId, Options, Plan, Problems, Router, State,
    TextEvent, Usage, downcast,
};
use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;

/// How long a test waits for anything before it fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The interpreter under test.
pub fn interpreter() -> String {
    std::env::var("CONSORT_TEST_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// What the show has output so far.
#[derive(Default)]
pub struct Seen {
    /// The values that arrived at the probe: channel, value, time.
    pub values: Vec<(String, f64, Instant)>,
    /// The roots of `values`.
    pub roots: Vec<u32>,
    /// The texts that arrived at the probe: channel, text, root.
    pub texts: Vec<(String, String, u32)>,
    /// The first megabyte that scripts printed.
    pub printed: String,
    /// How much scripts printed in total.
    pub printed_bytes: usize,
    /// The log: level, instance, message.
    pub log: Vec<String>,
}

impl Seen {
    /// The values of one channel.
    pub fn values_of(&self, channel: &str) -> Vec<f64> {
        self.values
            .iter()
            .filter(|(name, ..)| name == channel)
            .map(|(_, value, _)| *value)
            .collect()
    }

    pub fn lines(&self) -> Vec<&str> {
        self.printed.lines().collect()
    }

    /// How many log entries contain all of these parts.
    pub fn logged(&self, parts: &[&str]) -> usize {
        self.log.iter().filter(|entry| parts.iter().all(|part| entry.contains(part))).count()
    }
}

/// Records what a show outputs, for the tests' thread.
#[derive(Clone, Default)]
pub struct Monitor(Arc<(Mutex<Seen>, Condvar)>);

impl Monitor {
    fn record(&self, record: impl FnOnce(&mut Seen)) {
        record(&mut self.0.0.lock());
        self.0.1.notify_all();
    }

    pub fn inspect<T>(&self, inspect: impl FnOnce(&Seen) -> T) -> T {
        inspect(&self.0.0.lock())
    }

    /// Waits until the condition holds.
    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        let mut seen = self.0.0.lock();
        let result = self.0.1.wait_while_for(&mut seen, |seen| !condition(seen), DEADLINE);
        if result.timed_out() {
            let values = seen.values.len();
            let newest = seen.values.iter().rev().take(20);
            let newest: Vec<_> = newest.map(|(name, value, _)| (name.clone(), *value)).collect();
            let printed: String = seen.printed.chars().take(4_000).collect();
            let log = seen.log.join("\n");
            drop(seen);
            panic!(
                "{what}: not seen\n{values} values, newest first {newest:?}\nprinted:\n{printed}\nlog:\n{log}"
            );
        }
    }
}

impl Write for Monitor {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.record(|seen| {
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

/// Records the log of one show.
struct Log(Monitor);

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
        #[derive(Default)]
        struct Entry {
            fields: String,
            message: String,
        }
        impl tracing::field::Visit for Entry {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                let is_message = field.name() == "message";
                let text = if is_message { &mut self.message } else { &mut self.fields };
                let _ = write!(text, "{value:?} ");
            }
        }
        let mut entry = Entry::default();
        event.record(&mut entry);
        let entry = format!("{} {}{}", event.metadata().level(), entry.fields, entry.message);
        self.0.record(|seen| seen.log.push(entry));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Records the values that arrive; [`Running::send`] sends values from it.
struct Probe {
    names: Vec<String>,
    monitor: Monitor,
}

/// The backend of the probe, which configures nothing.
struct ProbeBackend;

impl Backend for ProbeBackend {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

impl Plan for Probe {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        let known = self.names.iter().position(|name| name == specification);
        Ok(known.unwrap_or_else(|| {
            self.names.push(specification.to_owned());
            self.names.len() - 1
        }) as u32)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        self
    }
}

impl Instance for Probe {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        let now = Instant::now();
        self.monitor.record(|seen| {
            for event in events {
                seen.values.push((self.names[event.channel as usize].clone(), event.value, now));
                seen.roots.push(event.root().number());
            }
        });
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, _: &mut Context<'_>) {
        let name = self.names[event.channel as usize].clone();
        let text = (name, event.text.to_owned(), event.root().number());
        self.monitor.record(|seen| seen.texts.push(text));
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        self.names = downcast::<Probe>(plan)?.names;
        Ok(())
    }
}

/// A section of the configuration.
struct Section {
    backend: &'static str,
    name: String,
    options: Vec<(String, String)>,
    folder: String,
}

/// The configuration of a show.
pub struct Rig {
    pub folder: Arc<TempDir>,
    sections: Vec<Section>,
    mappings: Vec<(String, String)>,
    /// The options of `[backend python]`.
    defaults: Vec<(String, String)>,
}

impl Rig {
    /// A show with one instance, `probe`.
    pub fn new() -> Self {
        Rig::in_this(Arc::new(tempfile::tempdir().unwrap()))
    }

    fn in_this(folder: Arc<TempDir>) -> Self {
        let (sections, mappings) = (Vec::new(), Vec::new());
        let rig = Rig { folder, sections, mappings, defaults: Vec::new() };
        rig.section("probe", "probe", &[])
    }

    /// Another configuration in the same folder, for [`Running::adopt`].
    pub fn another(&self) -> Self {
        Rig::in_this(Arc::clone(&self.folder))
    }

    /// Adds an option of `[backend python]`.
    pub fn default_option(mut self, name: &str, value: &str) -> Self {
        self.defaults.push((name.into(), value.into()));
        self
    }

    /// A show with `probe` and an instance `py` with the module `script`.
    pub fn script(source: &str) -> Self {
        Rig::new().file("script.py", source).python("py", &[("module", "script")])
    }

    /// [`Rig::script`] with mappings: the channels `go` and `again` of the probe call the handlers
    /// of these names, and the script's `out` goes to the probe's `out`.
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

    /// Moves the last instance's section into a file in another folder.
    pub fn in_folder(mut self, folder: &str) -> Self {
        self.sections.last_mut().unwrap().folder = folder.into();
        self
    }

    /// Adds mappings, one per line: `source > target`.
    pub fn map(mut self, lines: &str) -> Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (source, target) = line.split_once(" > ").expect("source > target");
            self.mappings.push((source.into(), target.into()));
        }
        self
    }

    /// Everything that a check reports.
    pub fn check(&self) -> Vec<String> {
        let mut problems = Problems::new();
        if let Some(show) = self.show(&Monitor::default(), &mut problems) {
            for instance in &show.instances {
                instance.plan.check(&mut problems);
            }
        }
        let problems = problems.into_vec().into_iter().map(|problem| {
            let kind = if problem.is_warning { "warning" } else { "error" };
            format!("{kind}: {} [{}]", problem.message, problem.hint.unwrap_or_default())
        });
        problems.collect()
    }

    fn show(&self, monitor: &Monitor, problems: &mut Problems) -> Option<Show> {
        let mut show = Show::default();
        let backends: [(_, Box<dyn Backend>); 3] = [
            ("probe", Box::new(ProbeBackend)),
            ("loopback", (loopback::DESCRIPTOR.create)()),
            ("python", python::backend(Box::new(monitor.clone()))),
        ];
        for (name, mut backend) in backends {
            let mut options = Options::default();
            if name == "python" {
                let entries = self.defaults.iter().map(|(name, value)| OptionEntry {
                    name: name.clone(),
                    value: value.clone(),
                    directory: self.path().into(),
                });
                options = Options::new(python::DESCRIPTOR.options, entries.collect());
            }
            backend.configure(&options, problems);
            show.backends.push(ShowBackend { name, backend, options });
        }
        for section in &self.sections {
            let directory = self.path().join(&section.folder);
            let driver = show.backends.iter().position(|entry| entry.name == section.backend);
            let driver = driver.expect("a known backend");
            let mut used = Options::default();
            let plan: Option<Box<dyn Plan>> = if section.backend == "probe" {
                Some(Box::new(Probe { names: Vec::new(), monitor: monitor.clone() }))
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
                used = options.clone();
                let config = InstanceConfig { name: section.name.clone(), options, directory };
                show.backends[driver].backend.instance(config, problems)
            };
            show.instances.push(ShowInstance {
                name: section.name.clone(),
                backend: section.backend,
                driver,
                plan: plan?,
                options: used,
                families: &[],
                channels: Vec::new(),
            });
        }
        for (source, target) in &self.mappings {
            let source = channel_ref(&mut show, source, Usage::Source);
            let target = channel_ref(&mut show, target, Usage::Target);
            show.mappings.push((source, target));
        }
        Some(show)
    }

    /// Starts the show without waiting for its instances.
    pub fn launch(self) -> Running {
        let monitor = Monitor::default();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (changes, new_shows) = std::sync::mpsc::channel::<Change>();
        let rig = Arc::new(self);
        let (thread_monitor, thread_rig) = (monitor.clone(), Arc::clone(&rig));
        let thread = std::thread::spawn(move || {
            let log = tracing::Dispatch::new(Log(thread_monitor.clone()));
            tracing::dispatcher::with_default(&log, || {
                let mut problems = Problems::new();
                let show = thread_rig.show(&thread_monitor, &mut problems);
                let show = show.unwrap_or_else(|| panic!("{:?}", problems.into_vec()));
                let mut router = Router::new(show).unwrap();
                sender.send(router.handle()).unwrap();
                router.start();
                while !router.is_stop_asked() {
                    for (show, adopted) in new_shows.try_iter() {
                        adopted.send(router.adopt(show).unwrap()).unwrap();
                    }
                    router.step(None).unwrap();
                }
                router.finish().unwrap();
            });
        });
        let handle = receiver.recv().expect("the show is valid");
        Running { handle, thread: Some(thread), monitor, rig, changes }
    }

    /// Starts the show and waits until every instance has loaded what it can.
    #[track_caller]
    pub fn start(self) -> Running {
        let running = self.launch();
        let names: Vec<_> =
            running.rig.sections.iter().map(|section| section.name.clone()).collect();
        for name in names {
            running.wait_state(&name, |state| {
                matches!(state, State::Up | State::Degraded(_) | State::Failed(_))
            });
        }
        running
    }
}

fn channel_ref(show: &mut Show, text: &str, usage: Usage) -> ChannelRef {
    let (name, specification) = text.split_once('.').expect("instance.channel");
    let named = |instance: &ShowInstance| instance.name == name;
    let index = show.instances.iter().position(named).expect("a known instance");
    let entry = &mut show.instances[index];
    let channel = entry.plan.channel(specification, usage).unwrap();
    if channel as usize == entry.channels.len() {
        entry.channels.push(specification.to_owned());
    }
    ChannelRef { instance: InstanceId::new(index as u32), channel }
}

/// A show to be adopted, and where the result goes.
type Change = (Show, std::sync::mpsc::Sender<Adoption>);

/// A running show. Dropping it stops the show.
pub struct Running {
    pub handle: Handle,
    thread: Option<JoinHandle<()>>,
    pub monitor: Monitor,
    pub rig: Arc<Rig>,
    changes: std::sync::mpsc::Sender<Change>,
}

impl Running {
    /// Replaces the configuration of the running show; returns the instances that restarted.
    #[track_caller]
    pub fn adopt(&self, rig: &Rig) -> Vec<String> {
        let mut problems = Problems::new();
        let show = rig.show(&self.monitor, &mut problems).expect("a valid show");
        let (sender, adopted) = std::sync::mpsc::channel();
        self.changes.send((show, sender)).expect("a running show");
        // Any command wakes the loop.
        while !self.handle.panic() {}
        adopted.recv_timeout(DEADLINE).expect("the show is adopted").restarted
    }

    /// Sends a text from a channel of the probe.
    #[track_caller]
    pub fn send_text(&self, channel: &str, text: &str) {
        let live = self.handle.live();
        let probe = live.find_instance("probe").unwrap();
        let number = live.find_channel(probe, channel).expect("a mapped channel");
        assert!(self.handle.inject_text(probe, number, text), "the router accepts no texts");
    }

    /// Waits until `count` texts have arrived at the probe; returns all of them.
    #[track_caller]
    pub fn texts(&self, count: usize) -> Vec<(String, String)> {
        self.wait(&format!("{count} texts"), |seen| seen.texts.len() >= count);
        let text = |text: &(String, String, u32)| (text.0.clone(), text.1.clone());
        self.monitor.inspect(|seen| seen.texts.iter().map(text).collect())
    }

    /// An instance's counters.
    pub fn counters(&self, instance: &str) -> consort_router::live::Counters {
        let live = self.handle.live();
        live.counters(live.find_instance(instance).unwrap())
    }

    /// Sends a value from a channel of the probe.
    #[track_caller]
    pub fn send(&self, channel: &str, value: f64) {
        let live = self.handle.live();
        let probe = live.find_instance("probe").unwrap();
        let number = live.find_channel(probe, channel).expect("a mapped channel");
        let deadline = Instant::now() + DEADLINE;
        while !self.handle.inject(probe, number, value) {
            assert!(Instant::now() < deadline, "the router accepts no values");
            std::thread::yield_now();
        }
    }

    #[track_caller]
    pub fn wait(&self, what: &str, condition: impl Fn(&Seen) -> bool) {
        self.monitor.wait(what, condition);
    }

    /// Waits until `count` values have arrived on a channel of the probe; returns all of them.
    #[track_caller]
    pub fn values(&self, channel: &str, count: usize) -> Vec<f64> {
        let what = format!("{count} values of {channel}");
        self.wait(&what, |seen| seen.values_of(channel).len() >= count);
        self.monitor.inspect(|seen| seen.values_of(channel))
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

    /// Waits for a state, by polling: a change of state sends no notification.
    #[track_caller]
    pub fn wait_state(&self, instance: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(&self.state(instance)) {
            let state = self.state(instance);
            if Instant::now() > deadline {
                let log = self.monitor.inspect(|seen| seen.log.join("\n"));
                panic!("{instance} is {state:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub fn wait_up(&self, instance: &str) {
        self.wait_state(instance, |state| *state == State::Up);
    }

    /// Stops the show and returns what was recorded.
    pub fn stop(mut self) -> Monitor {
        self.join();
        self.monitor.clone()
    }

    fn join(&mut self) {
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
        self.join();
    }
}
