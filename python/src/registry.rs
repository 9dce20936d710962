//! The classes of the Python part that the compiled part makes objects of.
#![allow(unsafe_code)] // a type's `tp_new` slot is called directly: once for each event received

use std::collections::HashMap;
use std::sync::Mutex;

use consort_seq::Address;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyTuple, PyType};
use pyo3::{ffi, intern};

use crate::event::Event;

/// A class, ready to be instantiated without a call through the interpreter.
struct PlainClass {
    class: Py<PyType>,
    new: ffi::newfunc,
}

/// A [`PlainClass`] whose instances are known to be events.
struct EventClass(PlainClass);

/// What the Python part has told.
pub(crate) struct Registry {
    address: Py<PyType>,
    event_type: Py<PyAny>,
    event_flags: Py<PyAny>,
    port_caps: Flags,
    port_type: Flags,
    port_info: PlainClass,
    classes: Vec<Option<EventClass>>,
    midi_bytes: EventClass,
    kinds: HashMap<usize, u8>,
    empty: Py<PyTuple>,
    /// Members by number; addresses by their two numbers. Immutable objects, so shared.
    types: Mutex<Vec<Option<Py<PyAny>>>>,
    flags: Mutex<Vec<Option<Py<PyAny>>>>,
    addresses: Mutex<HashMap<(u8, u8), Py<PyAny>>>,
}

static REGISTRY: PyOnceLock<Registry> = PyOnceLock::new();

/// The registry, once the package has been imported.
#[inline]
pub(crate) fn get(py: Python<'_>) -> PyResult<&'static Registry> {
    REGISTRY
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("import alsa_midi, not alsa_midi._core alone"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn plain_class(class: &Bound<'_, PyType>) -> PyResult<PlainClass> {
    // SAFETY: `class` is a type object, and the id is that of a slot that holds a `newfunc`.
    let slot = unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_tp_new) };
    if slot.is_null() {
        return Err(PyRuntimeError::new_err(format!("{class} cannot be instantiated")));
    }
    // SAFETY: the slot `tp_new` holds a `newfunc`, and this one is not null.
    let new = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(slot) };
    Ok(PlainClass { class: class.clone().unbind(), new })
}

fn event_class(class: &Bound<'_, PyType>) -> PyResult<EventClass> {
    // What `EventClass::make` relies on.
    if !class.is_subclass_of::<Event>()? {
        return Err(PyRuntimeError::new_err(format!("{class} is no class of events")));
    }
    plain_class(class).map(EventClass)
}

impl PlainClass {
    /// An instance, as `class.__new__(class)` makes it.
    fn make<'py>(&self, py: Python<'py>, empty: &Py<PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py).as_type_ptr();
        // SAFETY: `new` is this type's own `tp_new`; it takes the type, a tuple and no keywords,
        // and returns a new reference or null with an exception set.
        unsafe {
            let object = (self.new)(class, empty.as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, object)
        }
    }
}

impl EventClass {
    fn make<'py>(&self, py: Python<'py>, empty: &Py<PyTuple>) -> PyResult<Bound<'py, Event>> {
        let object = self.0.make(py, empty)?;
        // SAFETY: `event_class` has checked that the class derives from Event, and `tp_new` of
        // those makes instances of the class that it is given.
        Ok(unsafe { object.cast_into_unchecked() })
    }
}

impl Registry {
    /// A new event of the class for `kind`; of `Event` itself where there is none.
    #[inline]
    pub(crate) fn new_event<'py>(&self, py: Python<'py>, kind: u8) -> PyResult<Bound<'py, Event>> {
        match &self.classes[usize::from(kind)] {
            Some(class) => class.make(py, &self.empty),
            None => Ok(Bound::new(py, Event::of_kind(kind))?),
        }
    }

    /// A new event of the class `MidiBytesEvent`.
    pub(crate) fn new_midi_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Event>> {
        self.midi_bytes.make(py, &self.empty)
    }

    /// A `PortInfo` without any attribute yet.
    pub(crate) fn new_port_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.port_info.make(py, &self.empty)
    }

    /// The type number that a class of events stands for.
    pub(crate) fn kind_of(&self, class: &Bound<'_, PyType>) -> PyResult<Option<u8>> {
        if let Some(kind) = self.kinds.get(&(class.as_ptr() as usize)) {
            return Ok(Some(*kind));
        }
        // One without a type, or a program's own subclass, perhaps with a type of its own.
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
    pub(crate) fn address<'py>(
        &self,
        py: Python<'py>,
        address: Address,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pair = (address.client, address.port);
        if let Some(known) = lock(&self.addresses).get(&pair) {
            return Ok(known.bind(py).clone());
        }
        let made = self.wide_address(py, pair.0.into(), pair.1.into())?;
        lock(&self.addresses).insert(pair, made.clone().unbind());
        Ok(made)
    }

    /// `Address(client, port)` with numbers that no sequencer has.
    pub(crate) fn wide_address<'py>(
        &self,
        py: Python<'py>,
        client: i64,
        port: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.address.bind(py).call1((client, port))
    }

    /// `EventType(number)`.
    pub(crate) fn event_type<'py>(&self, py: Python<'py>, n: u8) -> PyResult<Bound<'py, PyAny>> {
        member(py, &self.types, &self.event_type, n)
    }

    /// `EventFlags(number)`.
    pub(crate) fn event_flags<'py>(&self, py: Python<'py>, n: u8) -> PyResult<Bound<'py, PyAny>> {
        member(py, &self.flags, &self.event_flags, n)
    }

    /// The class `EventFlags`.
    pub(crate) fn flags_class<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.event_flags.bind(py)
    }

    /// `PortCaps(number)`.
    pub(crate) fn port_caps<'py>(&self, py: Python<'py>, bits: u32) -> PyResult<Bound<'py, PyAny>> {
        self.port_caps.member(py, bits)
    }

    /// `PortType(number)`.
    pub(crate) fn port_type<'py>(&self, py: Python<'py>, bits: u32) -> PyResult<Bound<'py, PyAny>> {
        self.port_type.member(py, bits)
    }
}

fn member<'py>(
    py: Python<'py>,
    known: &Mutex<Vec<Option<Py<PyAny>>>>,
    class: &Py<PyAny>,
    number: u8,
) -> PyResult<Bound<'py, PyAny>> {
    let at = usize::from(number);
    if let Some(Some(member)) = lock(known).get(at) {
        return Ok(member.bind(py).clone());
    }
    let made = class.bind(py).call1((number,))?;
    let mut known = lock(known);
    if known.len() <= at {
        known.resize_with(256, || None);
    }
    known[at] = Some(made.clone().unbind());
    Ok(made)
}

/// A member of a flag class, kept where it has been asked for: calling an enumeration is slow.
struct Flags {
    class: Py<PyAny>,
    known: Mutex<HashMap<u32, Py<PyAny>>>,
}

impl Flags {
    fn new(class: Py<PyAny>) -> Self {
        Self { class, known: Mutex::default() }
    }

    fn member<'py>(&self, py: Python<'py>, bits: u32) -> PyResult<Bound<'py, PyAny>> {
        if let Some(member) = lock(&self.known).get(&bits) {
            return Ok(member.bind(py).clone());
        }
        let made = self.class.bind(py).call1((bits,))?;
        let mut known = lock(&self.known);
        // A sequencer uses a handful of combinations; whoever sets odd ones pays for the call.
        if known.len() < 1024 {
            known.insert(bits, made.clone().unbind());
        }
        Ok(made)
    }
}

/// Tells the compiled part the classes of the Python part; called once, by the package.
#[pyfunction]
#[pyo3(signature = (*, address, event_type, event_flags, port_caps, port_type, port_info,
    events, midi_bytes_event))]
#[allow(clippy::too_many_arguments)] // keyword arguments, of one call
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
    let mut classes: Vec<Option<EventClass>> = (0..256).map(|_| None).collect();
    let mut kinds = HashMap::new();
    for (kind, class) in &events {
        let kind: u8 = py.get_type::<PyInt>().call1((kind,))?.extract()?;
        classes[usize::from(kind)] = Some(event_class(class)?);
        kinds.insert(class.as_ptr() as usize, kind);
    }
    let registry = Registry {
        address,
        event_type,
        event_flags,
        port_caps: Flags::new(port_caps),
        port_type: Flags::new(port_type),
        port_info: plain_class(port_info)?,
        classes,
        midi_bytes: event_class(midi_bytes_event)?,
        kinds,
        empty: PyTuple::empty(py).unbind(),
        types: Mutex::default(),
        flags: Mutex::default(),
        addresses: Mutex::default(),
    };
    REGISTRY
        .set(py, registry)
        .map_err(|_| PyRuntimeError::new_err("alsa_midi has been set up already"))
}
