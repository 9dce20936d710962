//! The value of one attribute of an event: a number if possible, otherwise a Python object.
//!
//! Python programs may set an attribute to any object; whether it is valid is checked when the event
//! is sent. Received events contain only numbers, from which Python objects are created when a
//! program reads the attribute.

use consort_seq::Address;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyTuple};
use pyo3::{PyTraverseError, intern};

use super::classes;
use crate::address;
use crate::integers::{integer, within};
use crate::real_time::RealTime;

/// The most zero bytes that a program can request with a number as data, as `bytes(number)` does.
const MAX_ZERO_BYTES: i64 = 0x0100_0000;

/// The value of one attribute; the module's documentation describes it.
#[derive(Default)]
pub(crate) enum Value {
    /// `None`.
    #[default]
    PyNone,
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
    /// A `RealTime`: seconds and nanoseconds. It becomes an object when it is read, because a
    /// `RealTime` is mutable.
    Time(u32, u32),
    /// The twelve bytes of an event's data.
    Raw([u8; 12]),
    /// Anything else.
    Object(Py<PyAny>),
}

impl Value {
    /// The value for an object that a program has set.
    #[inline]
    pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> Self {
        if object.is_none() {
            return Self::PyNone;
        }
        if object.is_exact_instance_of::<PyInt>()
            && let Ok(number) = object.extract::<i64>()
        {
            return Self::Number(number);
        }
        Self::Object(object.clone().unbind())
    }

    pub(crate) const fn is_none(&self) -> bool {
        matches!(self, Self::PyNone)
    }

    /// The same value, with a new reference to an object.
    #[inline]
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::PyNone => Self::PyNone,
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

    /// The value as a Python object.
    #[inline]
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(match self {
            Self::PyNone => py.None().into_bound(py),
            Self::Number(number) => number.into_pyobject(py)?.into_any(),
            Self::Truth(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Self::Kind(kind) => classes::get(py)?.event_type(py, kind)?,
            Self::Flags(flags) => classes::get(py)?.event_flags(py, flags)?,
            Self::Address(client, port) => {
                classes::get(py)?.address(py, Address::new(client, port))?
            }
            Self::Raw(bytes) => PyBytes::new(py, &bytes).into_any(),
            Self::Time(seconds, nanoseconds) => {
                Bound::new(py, RealTime::new(u64::from(seconds), nanoseconds))?.into_any()
            }
            Self::Object(object) => object.into_bound(py),
        })
    }

    /// The value as a number for the sequencer, checked against a range. `name` is the attribute's
    /// name in errors.
    #[inline]
    pub(crate) fn number(
        &self,
        py: Python<'_>,
        name: &str,
        minimum: i64,
        maximum: i64,
    ) -> PyResult<i64> {
        match self {
            Self::Number(number) => within(*number, name, minimum, maximum),
            Self::Kind(number) | Self::Flags(number) => Ok((*number).into()),
            Self::Truth(truth) => Ok((*truth).into()),
            Self::Object(object) => integer(object.bind(py), name, minimum, maximum),
            Self::PyNone => integer(&py.None().into_bound(py), name, minimum, maximum),
            Self::Address(..) | Self::Time(..) | Self::Raw(_) => {
                integer(&py.NotImplemented().into_bound(py), name, minimum, maximum)
            }
        }
    }

    /// The value as a number of 8 bits.
    #[inline]
    pub(crate) fn byte(&self, py: Python<'_>, name: &str) -> PyResult<u8> {
        Ok(self.number(py, name, 0, 255)? as u8)
    }

    /// The value as an unsigned number of 32 bits.
    #[inline]
    pub(crate) fn unsigned(&self, py: Python<'_>, name: &str) -> PyResult<u32> {
        Ok(self.number(py, name, 0, u32::MAX.into())? as u32)
    }

    /// The value as a signed number of 32 bits.
    #[inline]
    pub(crate) fn signed(&self, py: Python<'_>, name: &str) -> PyResult<i32> {
        Ok(self.number(py, name, i32::MIN.into(), i32::MAX.into())? as i32)
    }

    /// The value as an address; `None` if it is Python's `None`.
    pub(crate) fn address(&self, py: Python<'_>, name: &str) -> PyResult<Option<Address>> {
        match self {
            Self::PyNone => Ok(None),
            Self::Address(client, port) => Ok(Some(Address::new(*client, *port))),
            Self::Number(_) => Ok(Some(Address::new(self.number(py, name, 0, 255)? as u8, 0))),
            Self::Object(object) => address::address(object.bind(py), name).map(Some),
            other => Ok(Some(Address::new(other.byte(py, name)?, 0))),
        }
    }

    /// The value as a real time; `None` if it is Python's `None`.
    pub(crate) fn time(&self, py: Python<'_>, name: &str) -> PyResult<Option<(u32, u32)>> {
        match self {
            Self::PyNone => Ok(None),
            Self::Time(seconds, nanoseconds) => Ok(Some((*seconds, *nanoseconds))),
            Self::Number(_) => Ok(Some((self.unsigned(py, name)?, 0))),
            Self::Object(object) => {
                RealTime::from_python(object.bind(py))?.to_sequencer(name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether the value counts as true; `None` if it is Python's `None`.
    pub(crate) fn truth(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        Ok(match self {
            Self::PyNone => None,
            Self::Truth(truth) => Some(*truth),
            Self::Number(number) => Some(*number != 0),
            Self::Object(object) => Some(object.bind(py).is_truthy()?),
            _ => Some(true),
        })
    }

    /// The value for an address that a constructor receives.
    pub(crate) fn from_address(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::PyNone);
        }
        let py = object.py();
        let (client, port) = address::address_pair(object, None)?;
        match (u8::try_from(client), u8::try_from(port)) {
            (Ok(client), Ok(port)) => Ok(Self::Address(client, port)),
            _ => Ok(Self::Object(classes::get(py)?.wide_address(py, client, port)?.unbind())),
        }
    }

    /// The value for the keywords `source` and `dest` of constructors, which accept lists and
    /// tuples of only a client, too.
    pub(crate) fn from_address_parts(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(list) = object.cast::<PyList>() {
            return Self::from_address_parts(list.to_tuple().as_any());
        }
        if let Ok(parts) = object.cast::<PyTuple>()
            && parts.len() != 2
        {
            if parts.len() == 1 {
                return Self::from_address(&parts.get_item(0)?);
            }
            return Err(PyTypeError::new_err(address::wrong_length(parts)));
        }
        Self::from_address(object)
    }

    /// The value for a time that a constructor receives: always a `RealTime`.
    pub(crate) fn from_time(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() {
            return Ok(Self::PyNone);
        }
        if object.cast::<RealTime>().is_ok() {
            return Ok(Self::Object(object.clone().unbind()));
        }
        let time = RealTime::from_python(object)?;
        match u32::try_from(time.seconds) {
            Ok(seconds) => Ok(Self::Time(seconds, time.nanoseconds)),
            Err(_) => Ok(Self::Object(Bound::new(object.py(), time)?.into_any().unbind())),
        }
    }

    /// The value for a queue that a constructor receives: a number or an object with `queue_id`.
    pub(crate) fn from_queue(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_none() || object.is_instance_of::<PyInt>() {
            return Ok(Self::from_python(object));
        }
        Ok(Self::from_python(&object.getattr(intern!(object.py(), "queue_id"))?))
    }

    /// The value for data that a constructor receives: everything that `bytes(value)` accepts.
    pub(crate) fn from_bytes(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if object.is_exact_instance_of::<PyBytes>() {
            return Ok(Self::Object(object.clone().unbind()));
        }
        let py = object.py();
        if let Ok(length) = object.extract::<i64>()
            && length > MAX_ZERO_BYTES
        {
            return Err(PyOverflowError::new_err(format!(
                "the data is {length} zero bytes; expected at most {MAX_ZERO_BYTES}"
            )));
        }
        Ok(Self::Object(py.get_type::<PyBytes>().call1((object,))?.unbind()))
    }

    /// Visits the object for the garbage collector.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Object(object) => visit.call(object),
            _ => Ok(()),
        }
    }
}
