//! `alsa_midi._core`: the compiled part of the Python package `alsa_midi`.
//!
//! Events and clients are compiled, because every event passes through them. Enumerations, the
//! classes that describe clients, ports and queues, and the asyncio client are written in Python,
//! in the folder `alsa_midi`.
//!
//! The modules import only from those above them:
//!
//! ```text
//! errors, integers, real_time, python_classes    values and exceptions
//! engine, handles                                the choice of a sequencer; open ports and queues
//! address                                        addresses, also of handles
//! event, port_info                               Python objects that carry data
//! client                                         input, output, and requests to the sequencer
//! ports, queues                                  methods of the handles, which need a client
//! setup                                          receives the classes of the Python part
//! ```
//!
//! Two things happen in one place each: `client::output::wait` releases the interpreter's lock
//! while a thread waits, and `errors` turns errors of `consort-seq` into Python exceptions.

mod address;
mod client;
mod engine;
mod errors;
mod event;
mod handles;
mod integers;
mod port_info;
mod ports;
mod python_classes;
mod queues;
mod real_time;
mod setup;

use pyo3::prelude::*;

/// The compiled part of `alsa_midi`.
#[pymodule]
#[pyo3(name = "_core")]
mod core_module {
    #[pymodule_export]
    use super::address::address_pair;
    #[pymodule_export]
    use super::client::{Client, PendingOutput};
    #[pymodule_export]
    use super::engine::EmbeddedEngine;
    #[pymodule_export]
    use super::event::{
        AddressEventBase, ConnectEventBase, ControlChangeEventBase, Event, ExternalDataEventBase,
        MidiBytesEventBase, NoteEventBase, NoteWithDurationBase, ParamChangeEventBase,
        QueueControlEventBase, ResultEventBase, SetPositionTickBase, SetPositionTimeBase,
        SetTempoBase, SkewBase, TypeField,
    };
    #[pymodule_export]
    use super::handles::{PortHandle, QueueHandle};
    #[pymodule_export]
    use super::real_time::RealTime;
    #[pymodule_export]
    use super::setup::setup;

    #[pymodule_init]
    fn add_version(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
