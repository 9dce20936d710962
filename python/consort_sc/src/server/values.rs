//! Values of the library as Python objects, and the other way round.

use std::sync::Arc;

use consort_sc::{
    ControlKey, ControlValue, Error, ErrorKind, Event, OscMessage, OscPattern, OscValue,
    QueryTreeGroup, QueryTreeNode, SharedMemory,
};
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyList, PySlice, PyString, PyTuple};

use crate::osc;

/// The exception of an error.
pub(super) fn exception(error: &Error) -> PyErr {
    let name = match error.kind() {
        ErrorKind::Allocation => "AllocationError",
        ErrorKind::InvalidCalculationRate => "InvalidCalculationRate",
        ErrorKind::MomentClosed => "MomentClosed",
        ErrorKind::InvalidMoment => "InvalidMoment",
        ErrorKind::ServerOnline => "ServerOnline",
        ErrorKind::ServerOffline => "ServerOffline",
        ErrorKind::ServerCannotBoot => "ServerCannotBoot",
        ErrorKind::TooManyClients => "TooManyClients",
        ErrorKind::OwnedServerShutdown => "OwnedServerShutdown",
        ErrorKind::UnownedServerShutdown => "UnownedServerShutdown",
        ErrorKind::CannotConnect => "CannotConnect",
        ErrorKind::Timeout => "RequestTimeout",
        ErrorKind::RequestFailed => "RequestFailed",
        ErrorKind::InvalidOptions | ErrorKind::InvalidArgument | ErrorKind::TooLarge => {
            return PyValueError::new_err(error.to_string());
        }
        _ => "ContextError",
    };
    Python::attach(|py| {
        let class = py.import("consort_sc.exceptions").and_then(|module| module.getattr(name));
        match class.and_then(|class| class.call1((error.to_string(),))) {
            Ok(value) => PyErr::from_value(value),
            Err(error) => error,
        }
    })
}

/// A pattern from an address and leading values.
pub(super) fn pattern_of(items: &[Bound<'_, PyAny>]) -> PyResult<OscPattern> {
    let invalid = |item: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!("invalid pattern: expected texts and numbers, found {item:?}"))
    };
    let Some((address, arguments)) = items.split_first() else {
        return Err(PyValueError::new_err("a pattern needs an address"));
    };
    let address = address.cast::<PyString>().map_err(|_| invalid(address))?;
    let arguments = arguments
        .iter()
        .map(|item| {
            if let Ok(text) = item.cast::<PyString>() {
                Ok(OscValue::from(text.to_str()?))
            } else if item.cast::<PyInt>().is_ok() {
                Ok(OscValue::from(item.extract::<i32>()?))
            } else if item.cast::<PyFloat>().is_ok() {
                Ok(OscValue::from(item.extract::<f32>()?))
            } else {
                Err(invalid(item))
            }
        })
        .collect::<PyResult<Vec<_>>>()?;
    Ok(OscPattern::new(address.to_str()?, arguments))
}

/// A message as `OscMessage`.
pub(super) fn message_object<'py>(
    py: Python<'py>,
    message: &OscMessage,
) -> PyResult<Bound<'py, osc::OscMessage>> {
    osc::OscMessage::of_values(py, &message.address, &message.arguments)
}

/// An event as a tuple that begins with its kind.
pub(super) fn event_object<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyAny>> {
    let object = match event {
        Event::Lifecycle(event) => ("lifecycle", event.to_string()).into_pyobject(py)?,
        Event::Fail(fail) => {
            let other = fail
                .other
                .iter()
                .map(|value| osc::value_object(py, value))
                .collect::<PyResult<Vec<_>>>()?;
            let other = PyTuple::new(py, other)?;
            return Ok(("fail", &fail.command, &fail.reason, other).into_pyobject(py)?.into_any());
        }
        Event::ProcessOutput(line) => ("output", line.clone()).into_pyobject(py)?,
        Event::Warning(text) => ("warning", text.clone()).into_pyobject(py)?,
        Event::SynthDefRefused(refusal) => ("refused", refusal.to_string()).into_pyobject(py)?,
        _ => ("other", String::new()).into_pyobject(py)?,
    };
    Ok(object.into_any())
}

/// A tree as nested tuples: the id of a group, `None` and its nodes; or the id of a synth, the name
/// of its SynthDef and its controls.
pub(super) fn tree_object<'py>(
    py: Python<'py>,
    tree: &QueryTreeGroup,
) -> PyResult<Bound<'py, PyAny>> {
    let children = PyList::empty(py);
    for child in &tree.children {
        match child {
            QueryTreeNode::Group(group) => children.append(tree_object(py, group)?)?,
            QueryTreeNode::Synth(synth) => {
                let controls = PyList::empty(py);
                for (key, value) in &synth.controls {
                    controls.append((key_object(py, key)?, control_object(py, value)?))?;
                }
                children.append((synth.id, &synth.synthdef, controls))?;
            }
        }
    }
    Ok((tree.id, py.None(), children).into_pyobject(py)?.into_any())
}

fn key_object<'py>(py: Python<'py>, key: &ControlKey) -> PyResult<Bound<'py, PyAny>> {
    Ok(match key {
        ControlKey::Index(index) => index.into_pyobject(py)?.into_any(),
        ControlKey::Name(name) => PyString::new(py, name.as_ref()).into_any(),
    })
}

fn control_object<'py>(py: Python<'py>, value: &ControlValue) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        ControlValue::Float(value) => PyFloat::new(py, f64::from(*value)).into_any(),
        ControlValue::Map(symbol) => PyString::new(py, &symbol.to_string()).into_any(),
        ControlValue::Array(values) => {
            let values = values
                .iter()
                .map(|value| control_object(py, value))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, values)?.into_any()
        }
    })
}

/// The memory that a server shares with the programs of its machine: control buses, and buffers of
/// scopes. Reading and writing needs no request and never blocks.
#[pyclass(frozen, name = "ServerSHM", module = "consort_sc.shm")]
pub(crate) struct ServerMemory(pub(super) Arc<SharedMemory>);

impl ServerMemory {
    /// The buses of an index or a slice.
    fn range(&self, index: &Bound<'_, PyAny>) -> PyResult<(Vec<u32>, bool)> {
        let count = self.0.control_bus_count() as isize;
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(count)?;
            let ids = (0..range.slicelength)
                .map(|step| (range.start + step as isize * range.step) as u32)
                .collect();
            return Ok((ids, true));
        }
        let id: isize = index.extract()?;
        let id = if id < 0 { id + count } else { id };
        if !(0..count).contains(&id) {
            return Err(PyIndexError::new_err(format!(
                "there is no control bus {index}; there are {count}"
            )));
        }
        Ok((vec![id as u32], false))
    }
}

#[pymethods]
impl ServerMemory {
    /// The memory of the server at a port.
    #[new]
    fn new(port: u16, bus_count: u32) -> PyResult<Self> {
        SharedMemory::open(port, bus_count)
            .map(|memory| Self(Arc::new(memory)))
            .map_err(|error| exception(&error))
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = index.py();
        let (ids, is_slice) = self.range(index)?;
        let values = ids
            .into_iter()
            .map(|id| self.0.control_bus_value(id).map_err(|error| exception(&error)))
            .collect::<PyResult<Vec<f32>>>()?;
        match values.as_slice() {
            [value] if !is_slice => Ok(PyFloat::new(py, f64::from(*value)).into_any()),
            _ => Ok(PyList::new(py, values)?.into_any()),
        }
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let (ids, is_slice) = self.range(index)?;
        let values: Vec<f32> = if is_slice { value.extract()? } else { vec![value.extract()?] };
        if values.len() != ids.len() {
            return Err(PyValueError::new_err(format!(
                "expected {} values, found {}",
                ids.len(),
                values.len()
            )));
        }
        for (id, value) in ids.into_iter().zip(values) {
            self.0.set_control_bus(id, value).map_err(|error| exception(&error))?;
        }
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.0.control_bus_count() as usize
    }

    /// The number of channels of a scope buffer, and of frames that it holds; zeros if no UGen
    /// writes it.
    fn describe_scope_buffer(&self, index: u32) -> PyResult<(u32, u32)> {
        let description = self.0.describe_scope_buffer(index).map_err(|error| exception(&error))?;
        Ok(description.map_or((0, 0), |found| (found.channel_count, found.maximum_frames)))
    }

    /// The number of frames that the server has written since the last call, and their samples,
    /// one channel after another.
    fn read_scope_buffer(&self, index: u32) -> PyResult<(usize, Vec<f32>)> {
        let frames = self.0.read_scope_buffer(index).map_err(|error| exception(&error))?;
        Ok(frames.map_or((0, Vec::new()), |frames| {
            let count = frames.channels.first().map_or(0, Vec::len);
            (count, frames.channels.concat())
        }))
    }
}
