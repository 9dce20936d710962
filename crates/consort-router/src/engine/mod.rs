//! The mappings that are more than a pair of channels: stages, layers, takeover, feedback, held
//! presses, echoes, merging, mute, solo and freeze.
//!
//! A channel is *marked* when one of its mappings is of this kind, when it is the target of one,
//! or when a condition or a layer names it. The router hands events of marked channels to
//! [`Engine::event`]; all others take the short path in flat arrays and cost nothing more.
//!
//! Everything runs on the router's thread. Nothing allocates in the steady state.

mod build;
mod carry;
mod control;
mod echo;
mod event;
mod feedback;
mod layers;
mod merge;
mod returns;
mod ticks;

use std::cell::Cell;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

pub(crate) use self::build::{ChannelFacts, Mapped};
pub(crate) use self::carry::Continued;
pub use self::control::RouteControl;
pub(crate) use self::control::{ROUTE_FROZEN, ROUTE_MUTED, ROUTE_SOLOED};
use self::echo::Echoes;
pub use self::merge::Merge;
use self::merge::MergeGroup;
use self::returns::Returns;
use self::ticks::Delayed;
use crate::backend::{ChannelKind, Resolution};
use crate::event::Event;
use crate::live::Live;
use crate::routes::{Routes, Target};
use crate::stage::{Chain, Step};
use crate::transform::{ConditionKind, Held};

/// The channel is part of a loop of mappings.
pub(crate) const MARK_LOOP: u8 = 1;
/// The engine handles the channel's events.
pub(crate) const MARK_ENGINE: u8 = 2;
/// The engine handles them because of a mute, solo or freeze.
const MARK_CONTROL: u8 = 4;
/// A guard against feedback through the outside is on the channel.
pub(crate) const MARK_GUARD: u8 = 8;
/// The channel's values may go as blocks: see [`Blocks`](crate::blocks::Blocks).
pub(crate) const MARK_BLOCK: u8 = 16;

/// No route of the engine.
const NONE: u32 = u32::MAX;

/// The route's layer is not active.
const LAYER: u8 = 1;
/// A condition does not hold.
const WHEN: u8 = 2;
/// Muted, frozen, or not soloed while another route is.
const CONTROLLED: u8 = 4;
/// The fader is not touched: nothing goes forward.
const UNTOUCHED: u8 = 8;
/// The fader is touched: nothing goes back.
const TOUCHED: u8 = 16;

/// What the engine remembers of a channel.
#[derive(Clone, Copy, Debug)]
struct Channel {
    /// The last value that it emitted; NaN for none.
    input: f64,
    /// The last value in either direction; NaN for none.
    current: f64,
    /// The last value that its device shows: sent to it, or, for faders, received from it.
    shown: f64,
    resolution: Resolution,
    kind: ChannelKind,
    /// The newest value that was sent to it, in the memory of echoes.
    echo: u64,
}

impl Channel {
    /// The level for conditions: what it emits, or what it gets if it never emits.
    fn level(&self) -> f64 {
        match (self.input.is_nan(), self.current.is_nan()) {
            (false, _) => self.input,
            (true, false) => self.current,
            (true, true) => 0.0,
        }
    }

    fn press_level(&self) -> f64 {
        if self.kind == ChannelKind::Momentary { 0.0 } else { 0.5 }
    }
}

/// A condition with the channel's number in the show.
#[derive(Clone, Copy, Debug)]
struct Watched {
    channel: u32,
    kind: ConditionKind,
}

/// One mapping of the engine.
#[derive(Debug)]
struct Route {
    /// The source as a target for what goes back.
    source: Target,
    target: Target,
    chain: Arc<Chain>,
    conditions: Arc<[Watched]>,
    /// Its first step in [`Engine::steps`].
    steps: u32,
    layer: u32,
    /// Why it is closed.
    blocked: u8,
    /// Mute, solo and freeze.
    control: u8,
    has_back: bool,
    /// Its values may come back to it, see [`returns`].
    may_return: bool,
    /// A press that began while the route was open is not released yet.
    is_held: bool,
    /// It is in [`Engine::active`].
    is_active: bool,
    /// How many of its values wait in [`Engine::delays`].
    delayed: u32,
    /// The group of routes with which it shares its target.
    merge: u32,
    /// Its last value at the target; NaN for none.
    sent: f64,
    /// The root of its last input.
    root: u32,
}

impl Route {
    fn is_open(&self) -> bool {
        self.blocked & !TOUCHED == 0
    }

    fn is_open_back(&self) -> bool {
        self.has_back && self.blocked & !UNTOUCHED == 0
    }
}

/// Who depends on a channel.
#[derive(Clone, Copy, Debug)]
enum Watch {
    RouteCondition(u32),
    LayerCondition(u32),
    Select(u32),
    Selector(u32),
    /// A route with a way back from this channel.
    Back(u32),
}

/// A layer while the show runs.
#[derive(Debug)]
struct LayerState {
    name: String,
    group: u32,
    conditions: Vec<Watched>,
    led: Option<(Target, Arc<Chain>)>,
    held: Held,
    keeps_lights: bool,
    is_active: bool,
    /// The channel of `select` is pressed.
    is_selecting: bool,
    /// A view has switched a layer without a group off.
    is_off: bool,
    routes: Vec<u32>,
}

/// The layers that exclude each other.
#[derive(Debug)]
struct Group {
    name: String,
    layers: Vec<u32>,
    selected: u32,
}

/// All mappings of this kind.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    /// By channel number: whether an event needs more than the short path.
    pub(crate) marks: Vec<u8>,
    routes: Vec<Route>,
    steps: Vec<Step>,
    /// By channel number; empty if no mapping needs the engine.
    channels: Vec<Channel>,
    /// By index of a target in the routing table: twice the route's number, plus 1 for its way
    /// back.
    of_target: Vec<u32>,
    /// By index of a target: mute, solo and freeze of mappings that have no route here. Empty until
    /// it is used.
    plain_control: Vec<u8>,
    soloed: usize,
    /// All mappings are closed, so that the outputs keep their values.
    is_holding: bool,
    layers: Vec<LayerState>,
    groups: Vec<Group>,
    watches: HashMap<u32, Vec<Watch>>,
    merges: Vec<MergeGroup>,
    echoes: Echoes,
    returns: Returns,
    active: Vec<u32>,
    delays: BinaryHeap<Delayed>,
    next_delay: u64,
    dropped_delays: u64,
    next_tick: Option<u64>,
    /// Channels whose value has changed, and whether they emitted it.
    changes: Vec<(u32, f64, bool)>,
    /// Where a tick collects what leaves the stages.
    scratch: Vec<f64>,
}

/// Where the engine's values go.
pub(crate) struct Out<'o> {
    pub(crate) batches: &'o mut Vec<Vec<Event>>,
    pub(crate) pending: &'o mut Vec<u32>,
    pub(crate) live: &'o Live,
    pub(crate) routes: &'o Routes,
    /// Microseconds since the start of the show.
    pub(crate) now: u64,
    /// The input that is handled.
    pub(crate) root: u32,
    /// The next root.
    pub(crate) roots: &'o Cell<u32>,
    /// How many values were put into batches.
    pub(crate) count: usize,
}

/// Whether a stage leaves values unchanged and only opens or closes its mapping.
fn is_condition(stage: &crate::stage::Stage) -> bool {
    use crate::stage::Stage;
    matches!(stage, Stage::When { .. } | Stage::Touch | Stage::Takeover(_) | Stage::Servo)
}

impl Out<'_> {
    #[inline]
    fn push(&mut self, target: Target, value: f64) {
        let batch = &mut self.batches[target.instance as usize];
        if batch.is_empty() {
            self.pending.push(target.instance);
        }
        batch.push(Event { value, channel: target.channel, root: self.root });
        if !target.passes_on {
            self.live.record(target.global, value);
        }
        self.count += 1;
    }
}
