//! `setup`, by which the Python part of the package passes its classes to the compiled part.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::{event, port_info};

/// Passes the classes of the Python part to the compiled part. The package calls it once, when it
/// is imported.
#[pyfunction]
#[pyo3(signature = (*, address, event_type, event_flags, port_caps, port_type, port_info,
    events, midi_bytes_event))]
#[allow(clippy::too_many_arguments)] // keyword arguments of a single call
pub(crate) fn setup(
    py: Python<'_>,
    address: Py<PyType>,
    event_type: Py<PyAny>,
    event_flags: Py<PyAny>,
    port_caps: Py<PyAny>,
    port_type: Py<PyAny>,
    port_info: &Bound<'_, PyType>,
    events: Vec<(Bound<'_, PyAny>, Bound<'_, PyType>)>,
    midi_bytes_event: &Bound<'_, PyType>,
) -> PyResult<()> {
    let is_first =
        event::set_classes(py, address, event_type, event_flags, &events, midi_bytes_event)?
            && port_info::set_classes(py, port_info, port_caps, port_type)?;
    if !is_first {
        return Err(PyRuntimeError::new_err("alsa_midi is already set up"));
    }
    Ok(())
}
