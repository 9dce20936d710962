//! `consort_sc._core`: the compiled part of the Python package `consort_sc`.
//!
//! OSC messages, and UGens with all that builds SynthDefs of them, are compiled. Enumerations,
//! options, protocols and the classes of the UGens, which are created from the core's table, are
//! written in Python, in the folder `consort_sc`.
//!
//! The modules import only from those of their own line and of the lines above them, except that
//! objects refer to one another's types:
//!
//! ```text
//! handles  rate                     what the Python part passes at the import; rates as numbers
//! osc                               OscMessage, OscBundle
//! classes  value  hooks             specifications of classes; inputs while they are expanded
//! operable  ugen  vector  parameter the classes of objects
//! construct  algebra  operators     expansion and creation; simplification; methods
//! graph  builder                    compiled graphs; SynthDefBuilder
//! server                            servers: sending, receiving, waiting; shared memory
//! ```
//!
//! UGens refer only to UGens that were created before them, and builders to UGens, so that objects
//! form no cycles and need no garbage collector. Servers have only weak references to the objects
//! whose methods they call.

mod algebra;
mod builder;
mod classes;
mod construct;
mod graph;
mod handles;
mod hooks;
mod operable;
mod operators;
mod osc;
mod parameter;
mod rate;
mod server;
mod ugen;
mod value;
mod vector;

use pyo3::prelude::*;

/// The compiled part of `consort_sc`.
#[pymodule]
#[pyo3(name = "_core")]
mod core_module {
    #[pymodule_export]
    use super::algebra::{mix_all, mix_groups};
    #[pymodule_export]
    use super::builder::BuilderBase;
    #[pymodule_export]
    use super::classes::{ClassSpec, ugen_table};
    #[pymodule_export]
    use super::construct::{BoundRateMethod, RateMethod};
    #[pymodule_export]
    use super::graph::{CompiledGraph, compile_graphs, read_graphs};
    #[pymodule_export]
    use super::handles::setup;
    #[pymodule_export]
    use super::operable::{ConstantProxy, OutputProxy, UGenOperable, UGenScalar};
    #[pymodule_export]
    use super::osc::{OscBundle, OscMessage, format_datagram, restore_bundle};
    #[pymodule_export]
    use super::parameter::{Control, Parameter, restore_control, restore_parameter};
    #[pymodule_export]
    use super::server::{Inbox, Operation, ServerCore, ServerMemory};
    #[pymodule_export]
    use super::ugen::{UGen, restore_ugen};
    #[pymodule_export]
    use super::vector::UGenVector;
}
