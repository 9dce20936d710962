//! An attribute of an event: a number where it can be, any Python object where it must be.
//!
//! Python programs may set attributes to anything, and are told when the event is sent; received
//! events carry numbers only, of which Python objects are made when they are asked for.

use consort_seq::Address;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyTuple};
use pyo3::{PyTraverseError, intern};

use crate::integers::{integer, within};
use crate::real_time::RealTime;
use crate::{address, registry};

/// See the module's text.
#[derive(Default)]
pub(crate) enum Value {
    /// `None`.
    #[default]
    Nothing,
    /// An `int`.
    Number(i64),
    /// A `bool`.
    Truth(bool),
    /// An `EventType`.
    Kind(u8),
    /// An `EventFlags`.
    Flags(u8),
    /// An `Address`.
    Address(u8, u8),
    /// A `RealTime`; becomes an object when it is asked for, because it is mutable.
    Time(u32, u32),
    /// Twelve `bytes`.
    Raw([u8; 12]),
    /// Anything else.
    Object(Py<PyAny>),
}

impl Value {
    /// Takes what Python gives.
    #[inline]
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> Self {
        if object.is_none() {
            return Self::Nothing;
        }
        if object.is_exact_instance_of::<PyInt>()
            && let Ok(number) = object.extract::<i64>()
        {
            return Self::Number(number);
        }
        Self::Object(object.clone().unbind())
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// The same value once more.
    #[inline]
    pub(super) fn share(&self, py: Python<'_>) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Number(number) => Self::Number(*number),
            Self::Truth(truth) => Self::Truth(*truth),
            Self::Kind(kind) => Self::Kind(*kind),
            Self::Flags(flags) => Self::Flags(*flags),
            Self::Address(client, port) => Self::Address(*client, *port),
            Self::Time(seconds, nanoseconds) => Self::Time(*seconds, *nanoseconds),
            Self::Raw(bytes) => Self::Raw(*bytes),
            Self::Object(object) => Self::Object(object.clone_ref(py)),
        }
    }

    /// As Python sees it.
    #[inline]
    pub(super) fn show(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(match self {
            Self::Nothing => py.None().into_bound(py),
            Self::Number(number) => number.into_pyobject(py)?.into_any(),
            Self::Truth(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Self::Kind(kind) => registry::get(py)?.event_type(py, kind)?,
            Self::Flags(flags) => registry::get(py)?.event_flags(py, flags)?,
            Self::Address(client, port) => {
                registry::get(py)?.address(py, Address::new(client, port))?
            }
            Self::Raw(bytes) => PyBytes::new(py, &bytes).into_any(),
            Self::Time(seconds, nanoseconds) => {
                Bound::new(py, RealTime::new(u64::from(seconds), nanoseconds))?.into_any()
            }
            Self::Object(object) => object.into_bound(py),
        })
    }

    /// As a number in a range, for the sequencer.
    #[inline]
    pub(crate) fn number(
        &self,
        py: Python<'_>,
        name: &str,
        least: i64,
        most: i64,
    ) -> PyResult<i64> {
        match self {
            Self::Number(number) => within(*number, name, least, most),
            Self::Kind(number) | Self::Flags(number) => Ok((*number).into()),
            Self::Truth(truth) => Ok((*truth).into()),
            Self::Object(object) => integer(object.bind(py), name, least, most),
            Self::Nothing => integer(&py.None().into_bound(py), name, least, most),
            Self::Address(..) | Self::Time(..) | Self::Raw(_) => {
                integer(&py.NotImplemented().into_bound(py), name, least, most)
            }
        }
    }

    #[inline]
    pub(crate) fn byte(&self, py: Python<'_>, name: &str) -> PyResult<u8> {
        Ok(self.number(py, name, 0, 255)? as u8)
    }

    #[inline]
    pub(crate) fn unsigned(&self, py: Python<'_>, name: &str) -> PyResult<u32> {
        Ok(self.number(py, name, 0, u32::MAX.into())? as u32)
    }

    #[inline]
    pub(crate) fn signed(&self, py: Python<'_>, name: &str) -> PyResult<i32> {
        Ok(self.number(py, name, i32::MIN.into(), i32::MAX.into())? as i32)
    }

    /// As an address; `None` stays none.
    pub(crate) fn address(&self, py: Python<'_>, name: &str) -> PyResult<Option<Address>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Address(client, port) => Ok(Some(Address::new(*client, *port))),
            Self::Number(_) => Ok(Some(Address::new(self.number(py, name, 0, 255)? as u8, 0))),
            Self::Object(object) => address::address(object.bind(py), name).map(Some),
            other => Ok(Some(Address::new(other.byte(py, name)?, 0))),
        }
    }

    /// As a real time; `None` stays none.
    pub(crate) fn time(&self, py: Python<'_>, name: &str) -> PyResult<Option<(u32, u32)>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Time(seconds, nanoseconds) => Ok(Some((*seconds, *nanoseconds))),
            Self::Number(_) => Ok(Some((self.unsigned(py, name)?, 0))),
            Self::Object(object) => RealTime::of(object.bind(py))?.for_sequencer(name).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether it counts as true; `None` stays none.
    pub(crate) fn truth(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        Ok(match self {
            Self::Nothing => None,
            Self::Truth(truth) => Some(*truth),
            Self::Number(number) => Some(*number != 0),
            Self::Object(object) => Some(object.bind(py).is_truthy()?),
            _ => Some(true),
        })
    }

    /// An address as the constructors take it.
    pub(crate) fn of_address(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::Nothing);
        }
        let py = object.py();
        let (client, port) = address::address_pair(object, None)?;
        match (u8::try_from(client), u8::try_from(port)) {
            (Ok(client), Ok(port)) => Ok(Self::Address(client, port)),
            _ => Ok(Self::Object(registry::get(py)?.wide_address(py, client, port)?.unbind())),
        }
    }

    /// An address as the keywords `source` and `dest` take it: also a tuple of the client alone,
    /// or a list.
    pub(crate) fn of_address_parts(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(list) = object.cast::<PyList>() {
            return Self::of_address_parts(list.to_tuple().as_any());
        }
        if let Ok(parts) = object.cast::<PyTuple>()
            && parts.len() != 2
        {
            if parts.len() == 1 {
                return Self::of_address(&parts.get_item(0)?);
            }
            return Err(PyTypeError::new_err(format!(
                "an address is a tuple of two numbers, client and port; this one has {}",
                parts.len()
            )));
        }
        Self::of_address(object)
    }

    /// A time as the constructors take it: always a `RealTime`.
    pub(crate) fn of_time(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::Nothing);
        }
        if object.cast::<RealTime>().is_ok() {
            return Ok(Self::Object(object.clone().unbind()));
        }
        let time = RealTime::of(object)?;
        match u32::try_from(time.seconds) {
            Ok(seconds) => Ok(Self::Time(seconds, time.nanoseconds)),
            Err(_) => Ok(Self::Object(Bound::new(object.py(), time)?.into_any().unbind())),
        }
    }

    /// A queue as the constructors take it: a number, or an object with `queue_id`.
    pub(crate) fn of_queue(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() || object.is_instance_of::<PyInt>() {
            return Ok(Self::of(object));
        }
        Ok(Self::of(&object.getattr(intern!(object.py(), "queue_id"))?))
    }

    /// Bytes as the constructors take them: whatever `bytes(value)` takes.
    pub(crate) fn of_bytes(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_exact_instance_of::<PyBytes>() {
            return Ok(Self::Object(object.clone().unbind()));
        }
        let py = object.py();
        if let Ok(length) = object.extract::<i64>()
            && length > 0x0100_0000
        {
            return Err(pyo3::exceptions::PyOverflowError::new_err(format!(
                "data of {length} zero bytes; expected at most 16777216"
            )));
        }
        Ok(Self::Object(py.get_type::<PyBytes>().call1((object,))?.unbind()))
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Object(object) => visit.call(object),
            _ => Ok(()),
        }
    }
}
