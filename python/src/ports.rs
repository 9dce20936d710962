//! Own ports: what keeps one alive.

use std::sync::{Mutex, OnceLock};

use consort_seq::{PortCaps, PortInfo, PortOptions, PortType};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::client::Client;
use crate::errors::IntoPyResult;
use crate::integers::integer;

/// Owns a port of a client: the port is deleted when this object goes, or by `_close`.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
pub(crate) struct PortHandle {
    port: Mutex<Option<consort_seq::Port>>,
    /// Stays after the port has been closed.
    address: OnceLock<(u8, u8)>,
}

impl PortHandle {
    /// The port's address, once it has one.
    pub(crate) fn address(&self) -> Option<(u8, u8)> {
        self.address.get().copied()
    }

    fn own(&self, port: consort_seq::Port) -> (u8, u8) {
        let address = *self.address.get_or_init(|| (port.client_id(), port.port_id()));
        *self.port.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(port);
        address
    }
}

#[pymethods]
impl PortHandle {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { port: Mutex::default(), address: OnceLock::new() }
    }

    /// Creates a port and owns it.
    #[pyo3(signature = (client, name, caps, r#type, port_id, midi_channels, midi_voices,
        synth_voices, timestamping, timestamp_real, timestamp_queue))]
    #[allow(clippy::too_many_arguments)] // those of `create_port`, its only caller
    fn _create(
        &self,
        py: Python<'_>,
        client: &Client,
        name: String,
        caps: &Bound<'_, PyAny>,
        r#type: &Bound<'_, PyAny>,
        port_id: Option<&Bound<'_, PyAny>>,
        midi_channels: &Bound<'_, PyAny>,
        midi_voices: &Bound<'_, PyAny>,
        synth_voices: &Bound<'_, PyAny>,
        timestamping: bool,
        timestamp_real: bool,
        timestamp_queue: &Bound<'_, PyAny>,
    ) -> PyResult<(u8, u8)> {
        let bits = |value: &Bound<'_, PyAny>, name| integer(value, name, 0, u32::MAX.into());
        let count = |value: &Bound<'_, PyAny>, name| integer(value, name, 0, i32::MAX.into());
        let info = PortInfo {
            name,
            capability: PortCaps::from_bits_retain(bits(caps, "caps")? as u32),
            port_type: PortType::from_bits_retain(bits(r#type, "type")? as u32),
            midi_channels: count(midi_channels, "midi_channels")? as u32,
            midi_voices: count(midi_voices, "midi_voices")? as u32,
            synth_voices: count(synth_voices, "synth_voices")? as u32,
            port_specified: port_id.is_some(),
            port_id: port_id.map_or(Ok(0), |id| integer(id, "port_id", 0, 255))? as u8,
            timestamping,
            timestamp_real,
            timestamp_queue_id: integer(timestamp_queue, "timestamp_queue", 0, 255)? as u8,
            ..PortInfo::default()
        };
        let port = client.sequencer(py)?.create_port(PortOptions::from(info)).py(py)?;
        Ok(self.own(port))
    }

    /// Owns a port that exists already.
    fn _adopt(
        &self,
        py: Python<'_>,
        client: &Client,
        port: &Bound<'_, PyAny>,
    ) -> PyResult<(u8, u8)> {
        let port = integer(port, "port_id", 0, 255)? as u8;
        let port = client.sequencer(py)?.adopt_port(port).py(py)?;
        Ok(self.own(port))
    }

    /// Deletes the port. Closing twice does nothing.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        let port = self.port.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        match port.map(|port| port.close()) {
            // The client has been closed, and its ports have gone with it.
            Some(Err(error)) if error.kind() == consort_seq::ErrorKind::Closed => Ok(()),
            Some(result) => result.py(py),
            None => Ok(()),
        }
    }
}
