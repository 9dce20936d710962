//! What a protocol implements to take part in a show.
//!
//! A backend is a constant [`BackendDescriptor`] (name, tables of options, documentation) and
//! two traits: [`Backend`], of which a show makes one for each backend it uses, and
//! [`Instance`], one for each section `[backend instance]`.
//!
//! Two steps are kept apart. *Configuring* ([`Backend::configure`], [`Backend::instance`],
//! [`Instance::channel`], [`Instance::check`]) has no side effect: it opens no device, starts no
//! process and sends nothing, so that `consort check` can do it anywhere. *Running* begins with
//! [`Instance::start`].

use std::path::PathBuf;

use crate::context::Context;
use crate::event::Event;
use crate::options::{OptionFamily, OptionSpec, Options, Problems};

/// A backend in the registry: its tables, its documentation and its constructor.
pub struct BackendDescriptor {
    /// The name used in section headers.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// More about it, in Markdown: what it does, where it differs from MIDIMonster's.
    pub documentation: &'static str,
    /// Options of `[backend NAME]`.
    pub options: &'static [OptionSpec],
    /// Options of `[NAME instance]`.
    pub instance_options: &'static [OptionSpec],
    /// Options of `[NAME instance]` whose names the user chooses.
    pub instance_families: &'static [OptionFamily],
    /// The forms a channel specification can take.
    pub channels: &'static [ChannelSyntax],
    /// A small configuration that uses it and passes `consort check`.
    pub example: &'static str,
    /// Makes one; no side effects.
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
    /// The bytes of the specification it is about; none: all of it.
    pub range: Option<(usize, usize)>,
}

impl ChannelError {
    /// An error about the whole specification.
    pub fn new(message: impl Into<String>) -> Self {
        ChannelError { message: message.into(), hint: None, range: None }
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Narrows it to some bytes of the specification.
    pub fn with_range(mut self, start: usize, end: usize) -> Self {
        self.range = Some((start, end));
        self
    }
}

/// What a backend shares between its instances, and the maker of them.
///
/// State that instances share (a socket, a sequencer client) lives behind an `Rc<RefCell<…>>`
/// that the backend hands to each: the router is one thread.
pub trait Backend {
    /// Takes the options of `[backend NAME]`. Called once, before any instance, also when there
    /// is no such section in the file. No side effects.
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        let _ = (options, problems);
    }

    /// Makes an instance. No side effects. Returns none after reporting at least one error.
    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>>;

    /// Called once when all instances exist and every channel is mapped; the place to compare
    /// instances with each other (for example two that bind the same port). Problems are reported
    /// with the instance they concern. No side effects.
    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        let _ = report;
    }
}

/// Which side of a registered source is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read, or the peer has closed.
    pub readable: bool,
    /// There is room to write, or the connection attempt has ended.
    pub writable: bool,
    /// The peer has closed its side, or all of the connection: what is left has to be read until
    /// nothing comes, since no other report follows.
    pub closed: bool,
    /// True when the router calls again because the instance asked for it with
    /// [`Context::call_again`], not because of a new report of the operating system.
    pub again: bool,
}

/// One instance in a show. All methods run on the router's thread and must not block.
pub trait Instance {
    /// Finds or makes the channel that `specification` (what follows the first `.`) names, and
    /// returns its number. Numbers are dense from 0, in order of creation; different
    /// spellings of one channel give the same number. No side effects.
    ///
    /// # Errors
    /// When the specification has no meaning here, or not in this direction.
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError>;

    /// For `consort check` and the start: what can be seen to be missing without side effects
    /// (for example a script's file or handler). Called after all channels are mapped.
    fn check(&self, problems: &mut Problems) {
        let _ = problems;
    }

    /// Starts it. What is missing (a device, a host, a server) is reported as
    /// [`State::Waiting`](crate::State::Waiting) through [`Context::set_state`] and tried again
    /// from [`Instance::timer`]; the show runs.
    fn start(&mut self, context: &mut Context<'_>);

    /// A source registered with [`Context::register`] is ready. Readiness is edge-triggered:
    /// read until the operation would block, or until `context.budget()` events were emitted and
    /// then ask for more with [`Context::call_again`].
    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        let _ = (key, readiness, context);
    }

    /// The time asked for with [`Context::wake_at`] has come.
    fn timer(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Takes values from the router, in order of arrival. `events[..].channel` are this
    /// instance's own numbers.
    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>);

    /// Whether [`Instance::deliver`] passes every event on, on the channel it came to, with
    /// [`Context::echo_all`]: then loops of mappings through it are found and cut.
    fn echoes(&self) -> bool {
        false
    }

    /// The show ends. An instance that still has output (clean-up handlers, notes to release)
    /// returns `false` from [`Instance::is_stopped`] until it is sent; routing continues until all
    /// are stopped, for 3 seconds at most.
    fn stop(&mut self, context: &mut Context<'_>) {
        let _ = context;
    }

    /// Whether nothing more will come after [`Instance::stop`].
    fn is_stopped(&self) -> bool {
        true
    }
}
