//! `alsa_midi._core`: the compiled part of the Python package `alsa_midi`.
//!
//! Events and clients are here, because every event passes through them; enumerations, the
//! classes that describe clients, ports and queues, and the glue to asyncio are Python, in
//! `alsa_midi/`. Everything that can wait releases the interpreter's lock while it waits, in one
//! place (`client::wait`); every error of the library becomes an exception in one place
//! (`errors`).

mod address;
mod client;
mod engine;
mod errors;
mod event;
mod inquiries;
mod integers;
mod ports;
mod queues;
mod real_time;
mod registry;

use pyo3::prelude::*;

/// The compiled part of `alsa_midi`.
#[pymodule]
#[pyo3(name = "_core")]
mod core_module {
    #[pymodule_export]
    use super::address::address_pair;
    #[pymodule_export]
    use super::client::{Client, Outgoing};
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
    use super::ports::PortHandle;
    #[pymodule_export]
    use super::queues::QueueHandle;
    #[pymodule_export]
    use super::real_time::RealTime;
    #[pymodule_export]
    use super::registry::setup;
}
