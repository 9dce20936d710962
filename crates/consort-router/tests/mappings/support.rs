//! A show from text, with instances whose channels are declared by their names, and a clock that
//! the test moves.

use std::cell::RefCell;
use std::time::Duration;

use consort_router::config::{Loaded, Severity, load_text};
use consort_router::{
    Backend, BackendDescriptor, ChannelError, ChannelKind, Context, Driver, Event, Instance,
    InstanceConfig, InstanceId, Merge, Plan, Problems, Resolution, Router, State, Usage,
};

thread_local! {
    /// What the desk and the lights received: channel and value.
    static LOG: RefCell<Vec<(String, f64)>> = const { RefCell::new(Vec::new()) };
}

/// A backend that records what it gets. The beginning of a channel's name declares it: `pad` is
/// momentary and has 128 values, `enc` is relative, `f` has 128 values, `l16` has 65,536; `sum`,
/// `highest` and `priority` merge; others are continuous.
pub(crate) const DESK: BackendDescriptor = BackendDescriptor {
    name: "desk",
    summary: "records",
    documentation: "",
    options: &[],
    instance_options: &[],
    instance_families: &[],
    channels: &[],
    example: "",
    create: || Box::new(Desk { passes_on: false }),
};

/// The same, but what it gets comes back as its input.
pub(crate) const LOOPBACK: BackendDescriptor =
    BackendDescriptor { name: "loopback", create: || Box::new(Desk { passes_on: true }), ..DESK };

pub(crate) const REGISTRY: &[&BackendDescriptor] = &[&DESK, &LOOPBACK];

struct Desk {
    passes_on: bool,
}

struct DeskPlan {
    name: String,
    channels: Vec<String>,
    passes_on: bool,
}

struct DeskInstance {
    name: String,
    channels: Vec<String>,
    passes_on: bool,
}

impl Backend for Desk {
    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let passes_on = self.passes_on;
        Some(Box::new(DeskPlan { name: config.name, channels: Vec::new(), passes_on }))
    }
}

impl Plan for DeskPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("a channel needs a name"));
        }
        let found = self.channels.iter().position(|name| name == specification);
        Ok(found.unwrap_or_else(|| {
            self.channels.push(specification.to_owned());
            self.channels.len() - 1
        }) as u32)
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        match &self.channels[channel as usize] {
            name if name.starts_with("pad") => ChannelKind::Momentary,
            name if name.starts_with("enc") => ChannelKind::Relative,
            _ => ChannelKind::Absolute,
        }
    }

    fn resolution(&self, channel: u32) -> Resolution {
        match &self.channels[channel as usize] {
            name if name.starts_with("l16") => Resolution::steps(65_536),
            name if name.starts_with(['f', 'p', 'e']) => Resolution::steps(128),
            _ => Resolution::CONTINUOUS,
        }
    }

    fn merge(&self, channel: u32) -> Merge {
        match &self.channels[channel as usize] {
            name if name.starts_with("sum") => Merge::Sum,
            name if name.starts_with("highest") => Merge::Highest,
            name if name.starts_with("priority") => Merge::Priority,
            _ => Merge::Latest,
        }
    }

    fn passes_on(&self) -> bool {
        self.passes_on
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        let DeskPlan { name, channels, passes_on } = *self;
        Box::new(DeskInstance { name, channels, passes_on })
    }
}

impl Instance for DeskInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        context.set_state(State::Up);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &consort_router::ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        self.channels = consort_router::downcast::<DeskPlan>(plan)?.channels;
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        LOG.with_borrow_mut(|log| {
            log.extend(events.iter().map(|event| {
                (format!("{}.{}", self.name, self.channels[event.channel as usize]), event.value)
            }));
        });
        // As a script that calculates something: the answer descends from what it got.
        let answers = events.iter().filter(|event| {
            !self.passes_on && self.channels[event.channel as usize].starts_with("answer")
        });
        for event in answers {
            context.emit_descended(event.channel, event.value, event.root());
        }
        if self.passes_on {
            context.pass_on(events);
        }
    }
}

/// The header of all shows: a desk `d`, lights `l` and a loopback `m`.
pub(crate) const INSTANCES: &str = "[desk d]\n[desk l]\n[loopback m]\n";

/// Loads a text of mappings.
pub(crate) fn check(mappings: &str) -> Loaded {
    load_text("show.cfg", &format!("{INSTANCES}{mappings}"), &[], REGISTRY)
}

/// The diagnostics of a text of mappings: code, message and the text that they point to.
pub(crate) fn messages(mappings: &str) -> Vec<String> {
    let loaded = check(mappings);
    let place = |label: &consort_router::config::Label| loaded.sources.text(label.span).to_owned();
    loaded
        .diagnostics
        .iter()
        .map(|d| {
            let place = d.primary.as_ref().map(place).unwrap_or_default();
            format!("{}: {} [{place}]", d.code, d.message)
        })
        .collect()
}

/// A running show.
pub(crate) struct Played {
    pub(crate) router: Router,
}

impl Played {
    /// Starts a show with a stopped clock.
    pub(crate) fn new(mappings: &str) -> Self {
        let loaded = check(mappings);
        let errors: Vec<_> =
            loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        let mut router = Router::new(loaded.show.expect("a show")).expect("an event loop");
        router.start();
        router.freeze_clock();
        router.step(Some(Duration::ZERO)).expect("a turn");
        let played = Played { router };
        played.take();
        played
    }

    pub(crate) fn reload(&mut self, mappings: &str) {
        let loaded = check(mappings);
        assert_eq!(loaded.count(Severity::Error), 0, "{:#?}", loaded.diagnostics);
        self.router.adopt(loaded.show.expect("a show")).expect("the same instances");
    }

    pub(crate) fn find(&self, channel: &str) -> (InstanceId, u32) {
        let (instance, name) = channel.split_once('.').expect("instance.channel");
        let live = self.router.handle().live();
        let instance = live.find_instance(instance).expect("an instance");
        let number = live.find_channel(instance, name);
        (instance, number.unwrap_or_else(|| panic!("no channel {channel}")))
    }

    fn turn(&mut self) {
        self.router.step(Some(Duration::ZERO)).expect("a turn");
    }

    /// A value arrives on a channel.
    pub(crate) fn send(&mut self, channel: &str, value: f64) -> &mut Self {
        let (instance, number) = self.find(channel);
        assert!(self.router.handle().inject(instance, number, value));
        self.turn();
        self
    }

    /// A byte from 0 to 127 arrives on a channel.
    pub(crate) fn byte(&mut self, channel: &str, byte: u8) -> &mut Self {
        self.send(channel, f64::from(byte) / 127.0)
    }

    /// A view sets a channel.
    pub(crate) fn set(&mut self, channel: &str, value: f64) -> &mut Self {
        let (instance, number) = self.find(channel);
        assert!(self.router.handle().deliver(instance, number, value));
        self.turn();
        self
    }

    /// Moves the clock on.
    pub(crate) fn wait(&mut self, milliseconds: u64) -> &mut Self {
        self.router.advance(Duration::from_millis(milliseconds));
        self
    }

    /// What arrived since the last call.
    pub(crate) fn take(&self) -> Vec<(String, f64)> {
        LOG.take()
    }

    /// What arrived as `channel value`, rounded to six decimals.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text =
            |(channel, value): (String, f64)| format!("{channel} {}", (value * 1e6).round() / 1e6);
        self.take().into_iter().map(text).collect()
    }

    /// What arrived at a channel as bytes from 0 to 127.
    pub(crate) fn bytes(&self, channel: &str) -> Vec<u8> {
        let all = self.take().into_iter();
        all.filter(|(name, _)| name == channel).map(|(_, v)| (v * 127.0).round() as u8).collect()
    }
}
