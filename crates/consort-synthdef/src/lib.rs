//! SynthDefs: instruments for the server, written in Rust.
//!
//! ```
//! use consort_sc::synthdef::prelude::*;
//!
//! let bell = SynthDef::build("bell", |controls| {
//!     let out = controls.scalar("out", 0);
//!     let frequency = controls.control("frequency", 440.0);
//!     let amplitude = controls.control("amplitude", 0.1);
//!     let ring = EnvGen::kr(Envelope::percussive(0.005, 2.0)).done_action(DoneAction::FreeSynth);
//!     let modulator = SinOsc::ar(frequency * 1.4) * frequency * 2.0;
//!     let voice = SinOsc::ar(frequency + modulator) * ring * amplitude;
//!     Out::ar(out, Pan2::ar(voice));
//! })?;
//! assert_eq!(bell.name(), "bell");
//! assert_eq!(&bell.compile()[..4], b"SCgf");
//! # Ok::<(), SynthDefError>(())
//! ```
//!
//! A UGen's type names it, a constructor names its rate, and methods set inputs that have defaults.
//! Lists become channels: `SinOsc::ar([440.0, 443.0])` is two oscillators. Signals are small and
//! `Copy`; a UGen that is used twice is turned into one by
//! [`signal`](UGenBuilder::signal). Nothing panics: the first error is returned by
//! [`SynthDef::build`].
//!
//! Compiled graphs equal those of Supriya byte for byte, with these deliberate exceptions: a unary
//! operator on channels of different rates gives each channel its own rate, numbers are computed
//! in advance also inside lists, a sum inside a list of outputs stays one channel of it, and a UGen
//! that cannot read its input's rate is an error.

mod builder;
mod compile;
mod controls;
mod dump;
mod envelope;
mod error;
mod graph;
mod hooks;
mod model;
mod operators;
mod pseudo;
mod rate;
mod reader;
mod signal;
pub mod system;

pub use builder::{DynamicBuilder, RawUGen, UGenBuilder};
pub use controls::{ControlValues, Controls};
pub use envelope::{Curve, Envelope};
pub use error::{SynthDefError, SynthDefErrorKind};
pub use model::{CompiledInput, CompiledUGen, Control, SynthDef};
pub use operators::{BinaryOperator, Operations, UnaryOperator};
pub use pseudo::{Changed, CompanderD, HilbertFir, LinLin, Mix, Shaping, Silence, Splay};
pub use rate::{ControlRate, DoneAction, Rate};
pub use reader::fuzz_scsyndef;
pub use signal::{IntoSignal, Signal};

pub(crate) use graph::{multiply_add, sum_three_or_four};

/// Everything that an instrument is written with.
pub mod prelude {
    pub use super::{
        Changed, CompanderD, ControlRate, Controls, Curve, DoneAction, Envelope, HilbertFir,
        IntoSignal, LinLin, Mix, Operations, Rate, RawUGen, Shaping, Signal, Silence, Splay,
        SynthDef, SynthDefError, SynthDefErrorKind,
    };
    pub use crate::ugens::*;
}

/// Applies an operator by its number; for code that builds graphs from data.
pub fn apply_unary(operator: UnaryOperator, source: impl IntoSignal) -> Signal {
    graph::unary(operator, source.into_signal())
}

/// Applies an operator by its number; for code that builds graphs from data.
pub fn apply_binary(
    operator: BinaryOperator,
    left: impl IntoSignal,
    right: impl IntoSignal,
) -> Signal {
    graph::binary(operator, left.into_signal(), right.into_signal())
}
