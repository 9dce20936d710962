//! A fixture for tests of backends: shows built in code, with a *probe* that sends values into
//! them and records what arrives. Nothing sleeps: tests wait for a condition with a deadline.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backend::{
    Backend, BackendDescriptor, ChannelError, ChannelTable, Driver, Instance, InstanceConfig, Plan,
    Usage, downcast,
};
use crate::config::{ChannelRef, Show, ShowBackend, ShowInstance};
use crate::context::Context;
use crate::event::{Event, InstanceId, TextEvent};
use crate::live::State;
use crate::options::{OptionEntry, Options, Problem, Problems};
use crate::router::{Adoption, Router};

/// How long a test waits for a condition before it fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The ports that [`free_ports`] chooses from. They lie below those that the system gives to sockets
/// without a port (32,768 and above on Linux), so that no such socket takes one meanwhile.
const TEST_PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A port that is free for UDP and TCP. Nothing reserves it.
///
/// # Panics
/// If all ports from 20,000 to 31,999 are taken.
pub fn free_port() -> u16 {
    free_ports()[0]
}

/// Two adjacent ports, of which the lower one is even, that are free for UDP and TCP.
///
/// # Panics
/// As [`free_port`].
pub fn free_ports() -> [u16; 2] {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let is_free = |port: u16| {
        let address = (Ipv4Addr::UNSPECIFIED, port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    let pairs = TEST_PORTS.len() as u32 / 2;
    // Tests that run in processes of their own begin at different places.
    let first = std::process::id().wrapping_mul(97);
    for _ in 0..pairs {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % pairs;
        let port = (TEST_PORTS.start + 2 * number) as u16;
        if is_free(port) && is_free(port + 1) {
            return [port, port + 1];
        }
    }
    panic!("no port is free");
}

type Log = Arc<Mutex<Received>>;

/// What the probe has received.
#[derive(Default)]
struct Received {
    values: Vec<(String, f64)>,
    texts: Vec<(String, String)>,
}

/// A show under construction. The probe is its first instance, named `probe`; it accepts any
/// channel name.
pub struct TestShow {
    show: Show,
    backends: HashMap<&'static str, usize>,
    log: Log,
    /// Where relative paths of options start from.
    pub directory: PathBuf,
}

/// The probe before the start.
#[derive(Default)]
struct ProbePlan {
    names: Vec<String>,
    log: Log,
}

/// The running probe.
struct Probe {
    names: Vec<String>,
    log: Log,
}

/// The probe's backend, which configures nothing.
struct ProbeBackend;

impl Backend for ProbeBackend {
    fn instance(&mut self, _: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        None
    }
}

impl Plan for ProbePlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if let Some(index) = self.names.iter().position(|name| name == specification) {
            return Ok(index as u32);
        }
        self.names.push(specification.to_owned());
        Ok(self.names.len() as u32 - 1)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        Box::new(Probe { names: self.names, log: self.log })
    }
}

impl Instance for Probe {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        self.names = downcast::<ProbePlan>(plan)?.names;
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        let entry = |event: &Event| (self.names[event.channel as usize].clone(), event.value);
        self.log.lock().values.extend(events.iter().map(entry));
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, _: &mut Context<'_>) {
        let name = self.names[event.channel as usize].clone();
        self.log.lock().texts.push((name, event.text.to_owned()));
    }
}

impl Default for TestShow {
    fn default() -> Self {
        Self::new()
    }
}

impl TestShow {
    /// A show with only the probe.
    pub fn new() -> Self {
        let log = Log::default();
        let mut show = Show::default();
        show.backends.push(ShowBackend {
            name: "probe",
            backend: Box::new(ProbeBackend),
            options: Options::default(),
        });
        show.instances.push(ShowInstance {
            name: "probe".into(),
            backend: "probe",
            driver: 0,
            plan: Box::new(ProbePlan { log: Arc::clone(&log), ..ProbePlan::default() }),
            options: Options::default(),
            families: &[],
            channels: Vec::new(),
        });
        TestShow {
            show,
            backends: HashMap::from([("probe", 0)]),
            log,
            directory: PathBuf::from("."),
        }
    }

    fn options(&self, specs: &'static [crate::OptionSpec], pairs: &[(&str, &str)]) -> Options {
        let entry = |(name, value): &(&str, &str)| OptionEntry {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            directory: self.directory.clone(),
        };
        Options::new(specs, pairs.iter().map(entry).collect())
    }

    /// The options of a backend; before its first instance.
    pub fn backend(&mut self, descriptor: &BackendDescriptor, options: &[(&str, &str)]) {
        let mut backend = (descriptor.create)();
        let mut problems = Problems::new();
        let options = self.options(descriptor.options, options);
        backend.configure(&options, &mut problems);
        assert!(problems.is_ok(), "{:?}", problems.into_vec());
        self.backends.insert(descriptor.name, self.show.backends.len());
        self.show.backends.push(ShowBackend { name: descriptor.name, backend, options });
    }

    /// Adds an instance.
    ///
    /// # Errors
    /// What the backend reports about its options.
    pub fn try_instance(
        &mut self,
        descriptor: &BackendDescriptor,
        name: &str,
        options: &[(&str, &str)],
    ) -> Result<(), Vec<Problem>> {
        if !self.backends.contains_key(descriptor.name) {
            self.backend(descriptor, &[]);
        }
        let config = InstanceConfig {
            name: name.to_owned(),
            options: self.options(descriptor.instance_options, options),
            directory: self.directory.clone(),
        };
        let options = config.options.clone();
        let mut problems = Problems::new();
        let driver = self.backends[descriptor.name];
        let backend: &mut dyn Backend = &mut *self.show.backends[driver].backend;
        let plan = match backend.instance(config, &mut problems) {
            Some(plan) if problems.is_ok() => plan,
            _ => return Err(problems.into_vec()),
        };
        let backend = descriptor.name;
        let name = name.to_owned();
        self.show.instances.push(ShowInstance {
            name,
            backend,
            driver,
            plan,
            options,
            families: descriptor.instance_families,
            channels: Vec::new(),
        });
        Ok(())
    }

    /// Adds an instance whose options are right.
    pub fn instance(
        &mut self,
        descriptor: &BackendDescriptor,
        name: &str,
        options: &[(&str, &str)],
    ) {
        if let Err(problems) = self.try_instance(descriptor, name, options) {
            panic!("{name}: {problems:?}");
        }
    }

    /// Finds or makes a channel, written `instance.channel`.
    ///
    /// # Errors
    /// The error that the instance returns for the specification.
    pub fn channel(&mut self, end: &str, usage: Usage) -> Result<ChannelRef, ChannelError> {
        let (name, specification) = end.split_once('.').expect("instance.channel");
        let index = self.show.instances.iter().position(|entry| entry.name == name);
        let index = index.unwrap_or_else(|| panic!("no instance {name}"));
        let entry = &mut self.show.instances[index];
        let channel = entry.plan.channel(specification, usage)?;
        if channel as usize == entry.channels.len() {
            entry.channels.push(specification.to_owned());
        }
        Ok(ChannelRef { instance: InstanceId::new(index as u32), channel })
    }

    /// Maps one channel onto another, both written `instance.channel`.
    pub fn map(&mut self, source: &str, target: &str) {
        let mut end = |text: &str, usage| {
            self.channel(text, usage).unwrap_or_else(|error| panic!("{text}: {error:?}"))
        };
        let mapping = (end(source, Usage::Source), end(target, Usage::Target));
        self.show.mappings.push(mapping);
    }

    /// What [`Plan::check`] reports of an instance.
    pub fn check(&self, name: &str) -> Vec<Problem> {
        let mut problems = Problems::new();
        for entry in self.show.instances.iter().filter(|entry| entry.name == name) {
            entry.plan.check(&mut problems);
        }
        problems.into_vec()
    }

    /// The show without the fixture: for [`Reload::new`](crate::Reload::new).
    pub fn into_show(self) -> Show {
        self.show
    }

    /// Starts the show.
    pub fn start(self) -> Performance {
        let mut router = Router::new(self.show).expect("an event loop");
        router.start();
        Performance { router, log: self.log }
    }
}

/// A running show, driven step by step by the test.
pub struct Performance {
    /// The router.
    pub router: Router,
    log: Log,
}

impl Performance {
    /// Turns until a condition holds.
    ///
    /// # Panics
    /// When it does not within [`DEADLINE`].
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited {DEADLINE:?} for: {what}");
            self.router.step(Some(Duration::from_millis(5))).expect("a turn");
        }
    }

    /// Turns until an instance is in a state, by [`State::word`].
    pub fn until_state(&mut self, instance: &str, word: &str) {
        self.until(&format!("{instance} to be {word}"), |show| show.state(instance).word() == word);
    }

    /// What an instance is doing.
    pub fn state(&self, instance: &str) -> State {
        self.router.handle().live().state(self.id(instance))
    }

    /// The number of an instance.
    pub fn id(&self, instance: &str) -> InstanceId {
        let handle = self.router.handle();
        handle.live().find_instance(instance).unwrap_or_else(|| panic!("no instance {instance}"))
    }

    /// An instance's counters.
    pub fn counters(&self, instance: &str) -> crate::live::Counters {
        self.router.handle().live().counters(self.id(instance))
    }

    /// Sends a value from one of the probe's channels, and turns once.
    pub fn send(&mut self, channel: &str, value: f64) {
        self.send_all(&[(channel, value)]);
    }

    /// Sends values from the probe's channels in one turn.
    pub fn send_all(&mut self, values: &[(&str, f64)]) {
        let handle = self.router.handle();
        let live = handle.live();
        let infos = live.channel_infos(InstanceId::new(0));
        for (channel, value) in values {
            let index = infos.iter().position(|info| info.name == *channel);
            let index = index.unwrap_or_else(|| panic!("the probe has no channel {channel}"));
            assert!(handle.inject(InstanceId::new(0), index as u32, *value), "the router is full");
        }
        self.router.step(Some(Duration::ZERO)).expect("a turn");
    }

    /// What the probe has received so far.
    pub fn received(&self) -> Vec<(String, f64)> {
        self.log.lock().values.clone()
    }

    /// Turns until the probe has received that many values, and takes them.
    pub fn receive(&mut self, count: usize) -> Vec<(String, f64)> {
        let log = Arc::clone(&self.log);
        self.until(&format!("{count} values"), |_| log.lock().values.len() >= count);
        std::mem::take(&mut self.log.lock().values)
    }

    /// The texts that the probe has received so far.
    pub fn received_texts(&self) -> Vec<(String, String)> {
        self.log.lock().texts.clone()
    }

    /// Sends a text from one of the probe's channels, and turns once.
    pub fn send_text(&mut self, channel: &str, text: &str) {
        let handle = self.router.handle();
        let probe = InstanceId::new(0);
        let number = handle.live().find_channel(probe, channel);
        let number = number.unwrap_or_else(|| panic!("the probe has no channel {channel}"));
        assert!(handle.inject_text(probe, number, text), "the router is full or the text too long");
        self.router.step(Some(Duration::ZERO)).expect("a turn");
    }

    /// Replaces the configuration of the running show; see [`Router::adopt`]. What the probe has
    /// received so far is kept.
    ///
    /// # Panics
    /// When the operating system refuses to wait for events.
    pub fn adopt(&mut self, show: TestShow) -> Adoption {
        self.router.adopt(show.show).expect("an event loop")
    }

    /// Stops the show; the last events of its instances are routed.
    pub fn finish(&mut self) {
        self.router.finish().expect("a clean stop");
    }
}
