//! The methods of a port's handle.

use consort_seq::{ErrorKind, PortCaps, PortInfo, PortOptions, PortType};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::client::Client;
use crate::errors::OrRaise;
use crate::handles::PortHandle;
use crate::integers::integer;

#[pymethods]
impl PortHandle {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Creates a port and takes ownership of it; returns its address.
    #[pyo3(signature = (client, name, caps, r#type, port_id, midi_channels, midi_voices,
        synth_voices, timestamping, timestamp_real, timestamp_queue))]
    #[allow(clippy::too_many_arguments)] // the arguments of `create_port`, the only caller
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
        let port = client.sequencer(py)?.create_port(PortOptions::from(info)).or_raise(py)?;
        Ok(self.own(port))
    }

    /// Takes ownership of a port that already exists; returns its address.
    fn _adopt(
        &self,
        py: Python<'_>,
        client: &Client,
        port: &Bound<'_, PyAny>,
    ) -> PyResult<(u8, u8)> {
        let port = integer(port, "port_id", 0, 255)? as u8;
        let port = client.sequencer(py)?.adopt_port(port).or_raise(py)?;
        Ok(self.own(port))
    }

    /// Deletes the port. Closing twice does nothing.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        match self.release().map(|port| port.close()) {
            // The client has been closed, and its ports with it.
            Some(Err(error)) if error.kind() == ErrorKind::Closed => Ok(()),
            Some(result) => result.or_raise(py),
            None => Ok(()),
        }
    }
}
