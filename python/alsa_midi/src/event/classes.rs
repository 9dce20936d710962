//! The Python classes that events use: the classes of events themselves, `EventType`, `EventFlags`
//! and `Address`.
//!
//! The Python part of the package passes them to `setup` when it is imported.
#![allow(unsafe_code)] // an object is cast to a type that was checked when the class was stored

use std::collections::HashMap;

use consort_seq::Address;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyType};

use super::Event;
use crate::python_classes::{ByteEnum, PlainClass};

/// A [`PlainClass`] whose objects are events.
struct EventClass(PlainClass);

impl EventClass {
    fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // `create` relies on this.
        if !class.is_subclass_of::<Event>()? {
            return Err(PyRuntimeError::new_err(format!("{class} is not a class of events")));
        }
        PlainClass::new(class).map(Self)
    }

    fn create<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Event>> {
        let object = self.0.create(py)?;
        // SAFETY: `new` has checked that the class derives from Event, and the `tp_new` of such
        // classes creates objects of the class that it receives.
        Ok(unsafe { object.cast_into_unchecked() })
    }
}

/// The classes, with caches of the immutable objects that are created of them.
pub(super) struct Classes {
    address: Py<PyType>,
    addresses: Mutex<HashMap<(u8, u8), Py<PyAny>>>,
    types: ByteEnum,
    flags: ByteEnum,
    /// The class of each event type; `None` stands for `Event` itself.
    by_kind: Vec<Option<EventClass>>,
    midi_bytes: EventClass,
    /// The event type of each class, by the address of the class object.
    kinds: HashMap<usize, u8>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

/// Stores the classes; `false` if they are already stored.
pub(crate) fn set_classes(
    py: Python<'_>,
    address: Py<PyType>,
    event_type: Py<PyAny>,
    event_flags: Py<PyAny>,
    events: &[(Bound<'_, PyAny>, Bound<'_, PyType>)],
    midi_bytes_event: &Bound<'_, PyType>,
) -> PyResult<bool> {
    let mut by_kind: Vec<Option<EventClass>> = (0..256).map(|_| None).collect();
    let mut kinds = HashMap::new();
    for (kind, class) in events {
        let kind: u8 = py.get_type::<PyInt>().call1((kind,))?.extract()?;
        by_kind[usize::from(kind)] = Some(EventClass::new(class)?);
        kinds.insert(class.as_ptr() as usize, kind);
    }
    let classes = Classes {
        address,
        addresses: Mutex::default(),
        types: ByteEnum::new(event_type),
        flags: ByteEnum::new(event_flags),
        by_kind,
        midi_bytes: EventClass::new(midi_bytes_event)?,
        kinds,
    };
    Ok(CLASSES.set(py, classes).is_ok())
}

/// The classes, once the package has been imported.
#[inline]
pub(super) fn get(py: Python<'_>) -> PyResult<&'static Classes> {
    CLASSES
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("import alsa_midi instead of alsa_midi._core"))
}

impl Classes {
    /// A new event of the class for an event type, or of `Event` itself if the type has no class.
    #[inline]
    pub(super) fn new_event<'py>(&self, py: Python<'py>, kind: u8) -> PyResult<Bound<'py, Event>> {
        match &self.by_kind[usize::from(kind)] {
            Some(class) => class.create(py),
            None => Ok(Bound::new(py, Event::of_kind(kind))?),
        }
    }

    /// A new event of the class `MidiBytesEvent`.
    pub(super) fn new_midi_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Event>> {
        self.midi_bytes.create(py)
    }

    /// The event type of a class of events, or `None` if it has none.
    pub(super) fn kind_of(&self, class: &Bound<'_, PyType>) -> PyResult<Option<u8>> {
        if let Some(kind) = self.kinds.get(&(class.as_ptr() as usize)) {
            return Ok(Some(*kind));
        }
        // A class without a type, or a program's own subclass, which may set a type of its own.
        let kind = class.getattr(intern!(class.py(), "type"))?;
        if kind.is_none() {
            return Ok(None);
        }
        if let Ok(kind) = kind.extract() {
            return Ok(Some(kind));
        }
        for base in class.mro() {
            if let Some(kind) = self.kinds.get(&(base.as_ptr() as usize)) {
                return Ok(Some(*kind));
            }
        }
        Ok(None)
    }

    /// `Address(client, port)`.
    pub(super) fn address<'py>(
        &self,
        py: Python<'py>,
        address: Address,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pair = (address.client, address.port);
        if let Some(object) = self.addresses.lock().get(&pair) {
            return Ok(object.bind(py).clone());
        }
        let object = self.wide_address(py, pair.0.into(), pair.1.into())?;
        self.addresses.lock().insert(pair, object.clone().unbind());
        Ok(object)
    }

    /// `Address(client, port)` with numbers that may be out of the sequencer's range.
    pub(super) fn wide_address<'py>(
        &self,
        py: Python<'py>,
        client: i64,
        port: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.address.bind(py).call1((client, port))
    }

    /// `EventType(number)`.
    pub(super) fn event_type<'py>(
        &self,
        py: Python<'py>,
        number: u8,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.types.member(py, number)
    }

    /// `EventFlags(bits)`.
    pub(super) fn event_flags<'py>(
        &self,
        py: Python<'py>,
        bits: u8,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.flags.member(py, bits)
    }

    /// The class `EventFlags`.
    pub(super) fn flags_class<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.flags.class(py)
    }
}
