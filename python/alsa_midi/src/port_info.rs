//! Ports as Python objects of the class `PortInfo`.

use consort_seq::{PortCaps, PortInfo, PortType};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::integers::integer;
use crate::python_classes::{FlagClass, PlainClass};

/// The classes `PortInfo`, `PortCaps` and `PortType` of the Python part.
struct Classes {
    port_info: PlainClass,
    port_caps: FlagClass,
    port_type: FlagClass,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

/// Stores the classes; `false` if they are already stored.
pub(crate) fn set_classes(
    py: Python<'_>,
    port_info: &Bound<'_, PyType>,
    port_caps: Py<PyAny>,
    port_type: Py<PyAny>,
) -> PyResult<bool> {
    let classes = Classes {
        port_info: PlainClass::new(port_info)?,
        port_caps: FlagClass::new(port_caps),
        port_type: FlagClass::new(port_type),
    };
    Ok(CLASSES.set(py, classes).is_ok())
}

/// Creates a `PortInfo` object without calling its constructor.
pub(crate) fn to_python<'py>(py: Python<'py>, info: &PortInfo) -> PyResult<Bound<'py, PyAny>> {
    let classes = CLASSES
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("import alsa_midi instead of alsa_midi._core"))?;
    let object = classes.port_info.create(py)?;
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "client_id"), info.client_id)?;
    fields.set_item(intern!(py, "port_id"), info.port_id)?;
    fields.set_item(intern!(py, "name"), &info.name)?;
    let capability = classes.port_caps.member(py, info.capability.bits())?;
    fields.set_item(intern!(py, "capability"), capability)?;
    fields.set_item(intern!(py, "type"), classes.port_type.member(py, info.port_type.bits())?)?;
    fields.set_item(intern!(py, "midi_channels"), info.midi_channels)?;
    fields.set_item(intern!(py, "midi_voices"), info.midi_voices)?;
    fields.set_item(intern!(py, "synth_voices"), info.synth_voices)?;
    fields.set_item(intern!(py, "read_use"), info.read_use)?;
    fields.set_item(intern!(py, "write_use"), info.write_use)?;
    fields.set_item(intern!(py, "timestamping"), info.timestamping)?;
    fields.set_item(intern!(py, "timestamp_real"), info.timestamp_real)?;
    fields.set_item(intern!(py, "timestamp_queue_id"), info.timestamp_queue_id)?;
    if let Some(client_name) = &info.client_name {
        fields.set_item(intern!(py, "client_name"), &**client_name)?;
    }
    object.setattr(intern!(py, "__dict__"), fields)?;
    Ok(object)
}

/// The fields of a `PortInfo` object that a program can change.
pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<PortInfo> {
    let py = object.py();
    let field = |name| object.getattr(name);
    let number = |name: &str, maximum: i64| integer(&object.getattr(name)?, name, 0, maximum);
    Ok(PortInfo {
        name: field(intern!(py, "name"))?.extract()?,
        capability: PortCaps::from_bits_retain(number("capability", u32::MAX.into())? as u32),
        port_type: PortType::from_bits_retain(number("type", u32::MAX.into())? as u32),
        midi_channels: number("midi_channels", i32::MAX.into())? as u32,
        midi_voices: number("midi_voices", i32::MAX.into())? as u32,
        synth_voices: number("synth_voices", i32::MAX.into())? as u32,
        timestamping: field(intern!(py, "timestamping"))?.is_truthy()?,
        timestamp_real: field(intern!(py, "timestamp_real"))?.is_truthy()?,
        timestamp_queue_id: number("timestamp_queue_id", 255)? as u8,
        ..PortInfo::default()
    })
}
