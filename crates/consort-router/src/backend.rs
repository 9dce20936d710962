//! What a protocol implements to take part in a show.
//!
//! A backend is a constant [`BackendDescriptor`] (name, tables of options, documentation) and
//! four traits, two for each of two steps:
//!
//! | | the backend, one in a show | one for each section `[backend instance]` |
//! |---|---|---|
//! | **configured**: `Send`, on any thread | [`Backend`] | [`Plan`] |
//! | **running**: on the router's thread | [`Driver`] | [`Instance`] |
//!
//! *Configuring* ([`Backend::configure`], [`Backend::instance`], [`Plan::channel`],
//! [`Plan::check`]) has no side effect: it opens no device, starts no process and sends nothing,
//! so that `consort check` can do it anywhere, and so that a reload is prepared on another thread
//! while the show runs.
//!
//! *Running* begins with [`Backend::open`] and [`Plan::open`], which create the driver and the
//! instance on the router's thread, and [`Instance::start`]. When a show is reloaded, an instance
//! whose options of the kind `restart` are unchanged *adopts* its new plan ([`Instance::adopt`])
//! and keeps its sockets, peers and workers; any other is stopped, and its plan is opened.
//!
//! What several instances share (a socket, a sequencer client) belongs to the driver, which has
//! its own descriptors and timer ([`Driver::ready`], [`Driver::timer`]): no instance owns it, so
//! any of them can be removed.

use std::any::Any;
use std::path::PathBuf;

use crate::blocks::Block;
use crate::context::{Context, DriverContext};
use crate::engine::Merge;
use crate::event::{Event, TextEvent};
use crate::inspect::InstanceReport;
use crate::options::{OptionFamily, OptionSpec, Options, Problems};

/// A backend in the registry: its tables, its documentation and its constructor.
pub struct BackendDescriptor {
    /// The name used in section headers.
    pub name: &'static str,
    /// A summary in one line.
    pub summary: &'static str,
    /// The documentation in Markdown: what the backend does, and how it differs from MIDIMonster's.
    pub documentation: &'static str,
    /// Options of `[backend NAME]`.
    pub options: &'static [OptionSpec],
    /// Options of `[NAME instance]`.
    pub instance_options: &'static [OptionSpec],
    /// Options of `[NAME instance]` whose names the user chooses.
    pub instance_families: &'static [OptionFamily],
    /// The forms a channel specification can take.
    pub channels: &'static [ChannelSyntax],
    /// A small configuration that uses the backend and passes `consort check`.
    pub example: &'static str,
    /// Creates the backend; has no side effects.
    pub create: fn() -> Box<dyn Backend>,
}

/// One form of channel specification, for the reference and for hints.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSyntax {
    /// The form, such as `chN.ccM`.
    pub syntax: &'static str,
    /// A specification that is accepted by an instance of the descriptor's `example`.
    pub example: &'static str,
    /// Its meaning, its ranges and the values that it takes, in Markdown.
    pub documentation: &'static str,
}

/// An instance's section of the configuration.
#[derive(Clone, Debug)]
pub struct InstanceConfig {
    /// Its name, unique in the show.
    pub name: String,
    /// The options given to it, validated by the descriptor's table.
    pub options: Options,
    /// The folder of the configuration file that contains its section.
    pub directory: PathBuf,
}

/// How a channel is used by a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Values come from it into the router.
    Source,
    /// Values go to it from the router.
    Target,
}

/// Why a channel specification is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelError {
    /// What is wrong, with the range or form that was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The bytes of the specification that are wrong; `None` for all of them.
    pub range: Option<(usize, usize)>,
}

impl ChannelError {
    /// An error about the whole specification.
    pub fn new(message: impl Into<String>) -> Self {
        ChannelError { message: message.into(), hint: None, range: None }
    }

    /// Adds a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Limits the error to some bytes of the specification.
    pub fn with_range(mut self, start: usize, end: usize) -> Self {
        self.range = Some((start, end));
        self
    }
}

/// How the values of a channel behave, for mappings with layers, takeover and feedback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelKind {
    /// A key, button or trigger: pressed above 0, released at 0. A press is a rise above 0.
    Momentary,
    /// A fader, knob or level that keeps its position. A press is a rise above a half.
    #[default]
    Absolute,
    /// An encoder that sends steps instead of positions.
    Relative,
}

/// How finely a channel distinguishes values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    steps: Option<std::num::NonZeroU32>,
}

impl Resolution {
    /// Every value is distinguished, as in OSC floats and scripts.
    pub const CONTINUOUS: Resolution = Resolution { steps: None };

    /// `count` different values, evenly spaced from 0 to 1: 128 for 7 bits, 256 for DMX.
    /// Fewer than 2 count as [`CONTINUOUS`](Self::CONTINUOUS).
    pub const fn steps(count: u32) -> Self {
        match count {
            0 | 1 => Resolution::CONTINUOUS,
            count => Resolution { steps: std::num::NonZeroU32::new(count) },
        }
    }

    /// The number of values that the channel distinguishes; `None` when continuous.
    pub fn count(self) -> Option<u32> {
        self.steps.map(std::num::NonZeroU32::get)
    }

    /// The distance between two neighbouring values; 0 when continuous.
    pub fn step(self) -> f64 {
        self.steps.map_or(0.0, |count| 1.0 / f64::from(count.get() - 1))
    }

    /// The value nearest to `value` that the channel can distinguish.
    pub fn round(self, value: f64) -> f64 {
        match self.steps {
            None => value,
            Some(count) => {
                let scale = f64::from(count.get() - 1);
                (value * scale).round() / scale
            }
        }
    }

    /// Whether two values are the same in this resolution.
    pub fn equal(self, a: f64, b: f64) -> bool {
        self.round(a) == self.round(b)
    }
}

/// A backend while it is configured: it reads options and makes plans.
///
/// Used on any thread, but never on two at once. No method has side effects before
/// [`open`](Backend::open).
pub trait Backend: Any + Send {
    /// Takes the options of `[backend NAME]`. Called once, before any instance, also when there
    /// is no such section in the file.
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        let _ = (options, problems);
    }

    /// Configures an instance. Returns `None` after reporting at least one error.
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>>;

    /// Compares instances with each other: for example, two must not bind the same port. Called
    /// once, when all instances are configured and the channels of all mappings are found.
    /// Problems are reported with the name of the instance they concern.
    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        let _ = report;
    }

    /// Creates the running part that the instances share. Called once, on the router's thread,
    /// before the first [`Plan::open`]; must not block.
    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(NoDriver)
    }
}

/// A configured instance that does not run: its options and channels.
///
/// Used on any thread, but never on two at once. No method has side effects before
/// [`open`](Plan::open).
pub trait Plan: Any + Send {
    /// Finds or creates the channel that `specification` (what follows the first `.`) names, and
    /// returns its number. Numbers are dense from 0, in order of creation; different
    /// spellings of one channel give the same number.
    ///
    /// # Errors
    /// When the specification is invalid for this instance, or cannot be used in this direction.
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError>;

    /// For `consort check` and the start: reports problems that can be found without side effects,
    /// such as a missing script or handler. Called when the channels of all mappings are found.
    fn check(&self, problems: &mut Problems) {
        let _ = problems;
    }

    /// How the values of a channel behave.
    fn kind(&self, channel: u32) -> ChannelKind {
        let _ = channel;
        ChannelKind::Absolute
    }

    /// How finely a channel distinguishes values.
    fn resolution(&self, channel: u32) -> Resolution {
        let _ = channel;
        Resolution::CONTINUOUS
    }

    /// What a channel does with the values of several mappings.
    fn merge(&self, channel: u32) -> Merge {
        let _ = channel;
        Merge::Latest
    }

    /// Whether [`Instance::deliver`] passes every event on with [`Context::pass_on`], on the
    /// channel on which it was delivered. The router then finds and cuts loops of mappings through
    /// it.
    fn passes_on(&self) -> bool {
        false
    }

    /// The place of a channel's level, one byte, in the frames that the instance emits
    /// ([`Usage::Source`]) or takes ([`Usage::Target`]), if it has one. Rows of such channels are
    /// then emitted with [`Context::emit_block`] and delivered with [`Instance::deliver_block`].
    fn slot(&self, channel: u32, usage: Usage) -> Option<u16> {
        let _ = (channel, usage);
        None
    }

    /// Where the instance hears and sends, as far as its options say, to warn about feedback. Called
    /// when the channels of all mappings are found.
    fn endpoints(&self) -> Endpoints {
        Endpoints::default()
    }

    /// Whether a value that is equal to the one before leaves on this channel, too. Otherwise, a value
    /// that comes back ends there.
    fn repeats(&self, channel: u32) -> bool {
        let _ = channel;
        true
    }

    /// Builds what does not depend on the running instance. A reload calls it on its own thread, after
    /// [`check`](Self::check), so that the router's thread has less to do; the start of a show does
    /// not call it.
    fn prepare(&mut self) {}

    /// Creates the running instance. On the router's thread; must not block. `driver` is what
    /// [`Backend::open`] returned. Devices are opened in [`Instance::start`].
    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance>;
}

/// Where an instance hears and where it sends: places with any names, of which equal ones are the
/// same. What is sent to a place is heard there on the channel of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Where values arrive.
    pub hears: Vec<String>,
    /// Where values are sent.
    pub sends: Vec<String>,
}

/// The running part of a backend that its instances share. All methods run on the router's
/// thread and must not block.
pub trait Driver: Any {
    /// Why the options of a reloaded backend cannot be adopted, in one sentence; `None` when they
    /// can. Asked before anything is stopped: all instances of a driver with an obstacle are
    /// stopped while their last output still uses the old mappings. Must have no effect.
    fn obstacle(&self, backend: &dyn Backend) -> Option<String> {
        let _ = backend;
        None
    }

    /// Takes the options of a reloaded backend. Called when no option of the kind `restart` of
    /// `[backend NAME]` has changed, before the instances adopt their plans.
    ///
    /// # Errors
    /// Returns the backend when it cannot be adopted: then all its instances are stopped, this
    /// driver is dropped, and the backend is opened.
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        context: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let _ = (backend, context);
        Ok(())
    }

    /// Called when a source registered with [`DriverContext::register`] is ready; see
    /// [`Instance::ready`].
    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut DriverContext<'_>) {
        let _ = (key, readiness, context);
    }

    /// Called at the time set with [`DriverContext::wake_at`].
    fn timer(&mut self, context: &mut DriverContext<'_>) {
        let _ = context;
    }
}

/// The driver of a backend whose instances share nothing.
#[derive(Debug, Default)]
pub struct NoDriver;

impl Driver for NoDriver {}

/// The channels of an instance before and after a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelTable {
    new_of_old: Vec<Option<u32>>,
    old_of_new: Vec<Option<u32>>,
}

impl ChannelTable {
    /// Relates two lists of channels by name, each in the order of its numbers.
    pub fn between(old: &[impl AsRef<str>], new: &[impl AsRef<str>]) -> Self {
        let numbers: std::collections::HashMap<&str, u32> =
            old.iter().enumerate().map(|(number, name)| (name.as_ref(), number as u32)).collect();
        let mut new_of_old = vec![None; old.len()];
        let mut old_of_new = vec![None; new.len()];
        for (number, name) in new.iter().enumerate() {
            if let Some(&before) = numbers.get(name.as_ref()) {
                new_of_old[before as usize] = Some(number as u32);
                old_of_new[number] = Some(before);
            }
        }
        ChannelTable { new_of_old, old_of_new }
    }

    /// The channels of two different instances, of which `old` go and `new` come.
    pub fn unrelated(old: usize, new: usize) -> Self {
        ChannelTable { new_of_old: vec![None; old], old_of_new: vec![None; new] }
    }

    /// The new number of an old channel; `None` when no mapping uses it any more.
    pub fn new_number(&self, old: u32) -> Option<u32> {
        self.new_of_old.get(old as usize).copied().flatten()
    }

    /// The old number of a new channel; `None` when there was no such channel.
    pub fn old_number(&self, new: u32) -> Option<u32> {
        self.old_of_new.get(new as usize).copied().flatten()
    }

    /// The number of channels before the reload.
    pub fn old_count(&self) -> usize {
        self.new_of_old.len()
    }

    /// The number of channels after the reload.
    pub fn new_count(&self) -> usize {
        self.old_of_new.len()
    }

    /// Whether all channels keep their numbers.
    pub fn is_identity(&self) -> bool {
        self.new_of_old.len() == self.old_of_new.len()
            && self.old_of_new.iter().enumerate().all(|(new, old)| *old == Some(new as u32))
    }
}

/// Which side of a registered source is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read, or the peer has closed.
    pub readable: bool,
    /// There is room to write, or the connection attempt has ended.
    pub writable: bool,
    /// The peer has closed its side, or all of the connection: read the rest until the end, since
    /// no other report follows.
    pub closed: bool,
    /// True when the router calls again because the instance asked for it with
    /// [`Context::call_again`], not because of a new report of the operating system.
    pub again: bool,
}

/// One running instance of a show. All methods run on the router's thread and must not block.
pub trait Instance: Any {
    /// Starts the instance. If a device, host or server is missing, the instance sets the state
    /// [`State::Waiting`](crate::State::Waiting) with [`Context::set_state`] and tries again in
    /// [`Instance::timer`]; the show runs meanwhile. When it cannot work at all, it sets
    /// [`State::Failed`](crate::State::Failed); when a part of it cannot, such as one of several
    /// modules, [`State::Degraded`](crate::State::Degraded). Each reason is one sentence that says
    /// what to do.
    fn start(&mut self, context: &mut Context<'_>);

    /// Why the instance cannot adopt a plan, in one sentence; `None` when it can. Asked before
    /// anything is stopped: an instance with an obstacle is stopped as at the end of a show, its
    /// last output uses the old mappings, and its plan is opened. Must have no effect.
    fn obstacle(&self, plan: &dyn Plan, context: &Context<'_>) -> Option<String> {
        let _ = (plan, context);
        None
    }

    /// Takes a new plan of the same name and backend while the show runs. Called when no option
    /// of the kind `restart` has changed: only options of the kind `live` and channels can differ.
    /// The instance keeps its connections and state, continues with the new channel numbers
    /// (`channels` relates them to the old ones), and releases what is held on removed channels.
    ///
    /// # Errors
    /// Returns the plan when it cannot be adopted; the instance is then stopped and the plan
    /// opened. The plan must be unchanged in that case.
    /// The show already has the channels of the plan, so the instance must no longer emit on its
    /// old ones, not even in [`Instance::stop`], and is dropped without waiting for
    /// [`Instance::is_stopped`]: it should report an [`Instance::obstacle`] instead.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let _ = (channels, context);
        Err(plan)
    }

    /// Called when a source registered with [`Context::register`] is ready. Readiness is
    /// edge-triggered: read until the operation would block, or until `context.budget()` events
    /// were emitted and then ask for more with [`Context::call_again`].
    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        let _ = (key, readiness, context);
    }

    /// Called at the time set with [`Context::wake_at`].
    fn timer(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Takes values from the router, in order of arrival. `events[..].channel` are this
    /// instance's own numbers.
    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>);

    /// Takes changed levels of consecutive channels, in order with the values: see [`Plan::slot`].
    /// The default, which allocates, delivers them as values.
    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let events: Vec<Event> = block.events().collect();
        self.deliver(&events, context);
    }

    /// Takes a text from the router, in order with the values: those that arrived before it were
    /// delivered already. The default drops and counts it.
    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        let _ = event;
        context.count_dropped(1);
    }

    /// What the instance knows about its sockets and about those of its channels that have these
    /// numbers (at most [`MAX_INSPECTED_CHANNELS`](crate::inspect::MAX_INSPECTED_CHANNELS)).
    /// Called when a person asks, never in the steady state, so that it may allocate. The default
    /// knows nothing.
    fn inspect(&self, channels: std::ops::Range<u32>) -> InstanceReport {
        let _ = channels;
        InstanceReport::default()
    }

    /// Ends everything that sounds or is held at the receivers, at once: notes off, all sound
    /// off, voices freed. Lights keep their levels.
    fn panic(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Called when the show ends or a reload removes the instance. An instance that still has
    /// output (clean-up handlers, notes to release) returns `false` from [`Instance::is_stopped`]
    /// until it is sent; routing continues until all are stopped, for 3 seconds at most.
    fn stop(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Whether the instance has sent everything after [`Instance::stop`].
    fn is_stopped(&self) -> bool {
        true
    }
}

/// Downcasts a plan to its own type, for [`Instance::adopt`].
///
/// # Errors
/// Returns the plan when it is of another type.
pub fn downcast<T: Plan>(plan: Box<dyn Plan>) -> Result<Box<T>, Box<dyn Plan>> {
    if (&*plan as &dyn Any).is::<T>() {
        let plan: Box<dyn Any> = plan;
        Ok(plan.downcast().expect("the type was compared"))
    } else {
        Err(plan)
    }
}

/// Downcasts the driver of a backend to its own type, for [`Plan::open`].
///
/// # Panics
/// When the driver belongs to another backend, which the router rules out.
pub fn driver<T: Driver>(driver: &mut dyn Driver) -> &mut T {
    (driver as &mut dyn Any).downcast_mut().expect("a plan is opened with its backend's driver")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_round_and_compare() {
        let seven_bits = Resolution::steps(128);
        assert_eq!(seven_bits.round(0.503), 64.0 / 127.0);
        assert!(seven_bits.equal(0.5, 64.0 / 127.0) && !seven_bits.equal(0.5, 0.51));
        assert_eq!(Resolution::CONTINUOUS.round(0.503), 0.503);
        assert_eq!(Resolution::steps(1), Resolution::CONTINUOUS);
        assert_eq!((seven_bits.step(), Resolution::CONTINUOUS.step()), (1.0 / 127.0, 0.0));
    }

    #[test]
    fn a_channel_table_relates_channels_by_name() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let table = ChannelTable::between(&names(&["a", "b", "c"]), &names(&["c", "d", "a"]));
        assert_eq!([0, 1, 2, 3].map(|old| table.new_number(old)), [Some(2), None, Some(0), None]);
        assert_eq!([0, 1, 2].map(|new| table.old_number(new)), [Some(2), None, Some(0)]);
        assert!(!table.is_identity());
        assert!(ChannelTable::between(&names(&["a"]), &names(&["a"])).is_identity());
    }
}
