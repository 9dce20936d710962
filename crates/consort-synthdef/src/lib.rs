//! SuperCollider's SynthDefs: instruments for the server, written in Rust.
//!
//! ```
//! use consort_synthdef::prelude::*;
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
//! The type has the UGen's name, the constructor that of the rate, and methods set the inputs that
//! have defaults. Lists become channels: `SinOsc::ar([440.0, 443.0])` is two oscillators. Signals
//! are small and `Copy`; to use a UGen more than once, take its
//! [`signal`](UGenBuilder::signal). Errors do not panic: [`SynthDef::build`] returns the first one.
//!
//! The compiled bytes equal those of Supriya, with these deliberate exceptions: a unary operator on
//! channels of different rates keeps the rate of each channel, constants are also computed inside
//! lists, a sum inside a list of outputs stays one channel of it, and a UGen that cannot read the
//! rate of an input is an error.
//!
//! # Layers
//!
//! A module uses only modules below it in this picture, or to its right on the same line.
//!
//! ```text
//! instruments         system                    default instrument, links, scopes
//! bindings            assembly                  SynthDefs of UGens that another program keeps
//!                     drawing  dump  wires      a SynthDef as a diagram, as text;  its wire buffers
//! files and models    load  reader  compile     bytes -> SynthDef;  graph -> SynthDef -> bytes
//!                     model  file               SynthDef, SynthDefFile: data
//! writing             shaping                   a.range(), a.lag(), ...: methods for common UGens
//!                     composite                 Mix, Splay, LinLin, ...: several UGens each
//!                     ugens                     one row and one type for each UGen
//!                     envelope  operations      breakpoints;  a + b, a.distort(), ...
//!                     builder  controls         UGens and controls while they are built
//!                     conversion                numbers, lists, text -> Signal
//! graph               open                      the graphs that are open on this thread
//!                     expand  simplify          channels -> UGens;  algebra
//!                     graph                     the arena: nodes, inputs, lists, controls
//! ground floor        diagram                   boxes and links as pictures
//!                     builtin  operators        rows of operators and controls;  their numbers
//!                     operator_table            the rows of the operators
//!                     spec                      what a row is: UGenSpec, UGenFlags, Outputs
//!                     signal  rate  error       Signal, Rate, SynthDefError
//! ```

pub mod assembly;
mod builder;
mod builtin;
mod compile;
mod composite;
mod controls;
mod conversion;
mod diagram;
mod drawing;
mod dump;
mod envelope;
mod error;
mod expand;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod load;
mod model;
mod open;
mod operations;
mod operator_table;
mod operators;
mod rate;
mod reader;
mod shaping;
mod signal;
mod simplify;
mod spec;
pub mod system;
pub mod ugens;
mod wires;

pub use builder::{DynamicBuilder, RawUGen, UGenBuilder};
pub use composite::{Changed, CompanderD, HilbertFir, LinLin, Mix, Silence, SoundIn, Splay};
pub use controls::{ControlValues, Controls};
pub use conversion::IntoSignal;
pub use diagram::{Diagram, DiagramBox};
pub use envelope::{Curve, Envelope};
pub use error::{SynthDefError, SynthDefErrorKind};
pub use file::{ControlInfo, SynthDefFile, SynthDefInfo};
pub use model::{CompiledInput, CompiledUGen, Control, SynthDef};
pub use operations::{Operations, apply_binary, apply_unary};
pub use operators::{BinaryOperator, OperatorInfo, UnaryOperator};
pub use rate::{ControlRate, DoneAction, Rate};
pub use shaping::{MethodInfo, SHAPING_METHODS, Shaping};
pub use signal::Signal;

/// Everything that an instrument is written with.
pub mod prelude {
    pub use crate::ugens::*;
    pub use crate::{
        Changed, CompanderD, ControlRate, Controls, Curve, DoneAction, Envelope, HilbertFir,
        IntoSignal, LinLin, Mix, Operations, Rate, RawUGen, Shaping, Signal, Silence, SoundIn,
        Splay, SynthDef, SynthDefError, SynthDefErrorKind,
    };
}

/// The example of the README, compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
