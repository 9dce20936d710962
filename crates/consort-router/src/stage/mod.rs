//! Stages: what a mapping does with a value on its way from the source to the target.
//!
//! ```text
//! tablet./fader > lamp.dim | invert | curve(2)
//! ```
//!
//! The table ([`STAGES`]) describes every stage; [`parse`] reads the text after the first bar, and
//! [`Chain`] carries it out. Nothing here knows a protocol, a clock or a router: stages that need
//! time get it as microseconds since the start of the show.

mod chain;
mod encoder;
mod parse;
mod shape;
mod switch;
mod table;
mod takeover;
mod time;

pub use chain::{Chain, Placed};
pub(crate) use chain::{Environment, Step, Waiting};
pub use encoder::Encoding;
pub use parse::{ChannelCondition, ParsedStages, StageError, parse};
pub use table::{
    ArgumentKind, ArgumentSpec, Inverse, STAGES, StageKind, StageSpec, find_stage, stage_names,
};
pub use takeover::TakeoverMode;

/// One stage with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// 1 − v.
    Invert,
    /// (v − a)/(b − a), clipped to 0–1.
    From {
        /// The first end.
        a: f64,
        /// The second end.
        b: f64,
    },
    /// a + v·(b − a).
    Range {
        /// The first end.
        a: f64,
        /// The second end.
        b: f64,
    },
    /// v to the power of the exponent.
    Curve {
        /// The exponent, above 0.
        exponent: f64,
    },
    /// v^k/(v^k + (1 − v)^k).
    Ease {
        /// The exponent, above 0.
        exponent: f64,
    },
    /// Straight lines between points, in the order of x.
    Points(Box<[(f64, f64)]>),
    /// round(v·(count − 1))/(count − 1).
    Steps {
        /// How many values, at least 2.
        count: u32,
    },
    /// v limited to a–b.
    Clip {
        /// The first end.
        a: f64,
        /// The second end.
        b: f64,
    },
    /// The range `low`–`high` gives `at`; the rest is stretched.
    Deadzone {
        /// The lowest value.
        low: f64,
        /// The middle and its output.
        at: f64,
        /// The highest value.
        high: f64,
    },
    /// v·factor, clipped to 0–1.
    Scale {
        /// The factor, at least 0.
        factor: f64,
    },
    /// v + distance, clipped to 0–1.
    Offset {
        /// What is added.
        distance: f64,
    },
    /// 1 from `on` upwards, 0 below `off`.
    Threshold {
        /// The lowest value that gives 1.
        on: f64,
        /// Below it, 1 becomes 0.
        off: f64,
    },
    /// A press switches between 0 and 1.
    Toggle,
    /// Each value above the level of a press is a press.
    Trigger,
    /// A press gives 1, and 0 after this many microseconds.
    Pulse {
        /// In microseconds.
        duration: u64,
    },
    /// 1 when the press lasts this many microseconds, 0 at its release.
    Hold {
        /// In microseconds.
        duration: u64,
    },
    /// 1 at the second press within this many microseconds, 0 at its release.
    Double {
        /// In microseconds.
        duration: u64,
    },
    /// A press goes to the next of `count` evenly spaced values.
    Cycle {
        /// How many values, at least 2.
        count: u32,
    },
    /// A press gives this value.
    Set {
        /// The value.
        value: f64,
    },
    /// Drops a value that is the same as the one before.
    Change,
    /// Follows the input in this many microseconds, fast at first.
    Smooth {
        /// In microseconds.
        duration: u64,
    },
    /// Moves at a constant rate: the full range in this many microseconds.
    Slew {
        /// In microseconds.
        duration: u64,
    },
    /// Passes each value on after this many microseconds.
    Delay {
        /// In microseconds.
        duration: u64,
    },
    /// Passes at most one value in this many microseconds on; the newest always arrives.
    Limit {
        /// In microseconds.
        period: u64,
    },
    /// Adds the steps of an encoder to the target's value.
    Relative {
        /// The change for one step.
        step: f64,
        /// How the byte counts.
        encoding: Encoding,
        /// The largest change for one value.
        most: f64,
        /// Whether a step at one end goes to the other.
        wraps: bool,
    },
    /// Passes only while a channel is above a level (or not above it, when `negated`).
    When {
        /// Whether it is `unless`.
        negated: bool,
        /// The level.
        level: f64,
    },
    /// Passes only while a channel is on, and returns nothing to the source meanwhile.
    Touch,
    /// Waits until the source meets the target's value.
    Takeover(TakeoverMode),
    /// Returns every accepted value to the source.
    Servo,
}

impl Stage {
    /// Its row in the table.
    pub fn spec(&self) -> &'static StageSpec {
        let name = match self {
            Stage::Invert => "invert",
            Stage::From { .. } => "from",
            Stage::Range { .. } => "range",
            Stage::Curve { .. } => "curve",
            Stage::Ease { .. } => "ease",
            Stage::Points(_) => "points",
            Stage::Steps { .. } => "steps",
            Stage::Clip { .. } => "clip",
            Stage::Deadzone { .. } => "deadzone",
            Stage::Scale { .. } => "scale",
            Stage::Offset { .. } => "offset",
            Stage::Threshold { .. } => "threshold",
            Stage::Toggle => "toggle",
            Stage::Trigger => "trigger",
            Stage::Pulse { .. } => "pulse",
            Stage::Hold { .. } => "hold",
            Stage::Double { .. } => "double",
            Stage::Cycle { .. } => "cycle",
            Stage::Set { .. } => "set",
            Stage::Change => "change",
            Stage::Smooth { .. } => "smooth",
            Stage::Slew { .. } => "slew",
            Stage::Delay { .. } => "delay",
            Stage::Limit { .. } => "limit",
            Stage::Relative { .. } => "relative",
            Stage::When { negated: false, .. } => "when",
            Stage::When { negated: true, .. } => "unless",
            Stage::Touch => "touch",
            Stage::Takeover(_) => "takeover",
            Stage::Servo => "servo",
        };
        find_stage(name).expect("every stage has a row")
    }

    /// Whether it starts from the target's value.
    pub fn starts_from_target(&self) -> bool {
        matches!(
            self,
            Stage::Toggle
                | Stage::Cycle { .. }
                | Stage::Set { .. }
                | Stage::Relative { .. }
                | Stage::Takeover(_)
        )
    }

    /// Whether it emits values later.
    pub fn needs_time(&self) -> bool {
        matches!(
            self,
            Stage::Pulse { .. }
                | Stage::Hold { .. }
                | Stage::Smooth { .. }
                | Stage::Slew { .. }
                | Stage::Delay { .. }
                | Stage::Limit { .. }
        )
    }
}
