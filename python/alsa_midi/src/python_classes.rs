//! Classes of the Python part, prepared so that the compiled part creates their objects quickly.
#![allow(unsafe_code)] // a type's `tp_new` slot is called directly, once for each event received

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// A class whose objects are created without its constructor, as `class.__new__(class)` creates
/// them.
pub(crate) struct PlainClass {
    class: Py<PyType>,
    new: ffi::newfunc,
    no_arguments: Py<PyTuple>,
}

impl PlainClass {
    pub(crate) fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        // SAFETY: `class` is a type object, and the id is that of a slot that holds a `newfunc`.
        let slot = unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), ffi::Py_tp_new) };
        if slot.is_null() {
            return Err(PyRuntimeError::new_err(format!("{class} cannot be instantiated")));
        }
        // SAFETY: the slot `tp_new` holds a `newfunc`, and this one is not null.
        let new = unsafe { std::mem::transmute::<*mut c_void, ffi::newfunc>(slot) };
        let no_arguments = PyTuple::empty(class.py()).unbind();
        Ok(Self { class: class.clone().unbind(), new, no_arguments })
    }

    /// A new object.
    pub(crate) fn create<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py).as_type_ptr();
        // SAFETY: `new` is the type's own `tp_new`; it takes the type, a tuple and no keywords,
        // and returns a new reference, or null with an exception set.
        unsafe {
            let object = (self.new)(class, self.no_arguments.as_ptr(), ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, object)
        }
    }
}

/// The most members that a [`FlagClass`] keeps. A sequencer uses a handful of combinations.
const MAX_CACHED_FLAGS: usize = 1024;

/// A class of flags (an `IntFlag`) with a cache of its members, because calling an enumeration is
/// slow.
pub(crate) struct FlagClass {
    class: Py<PyAny>,
    members: Mutex<HashMap<u32, Py<PyAny>>>,
}

impl FlagClass {
    pub(crate) fn new(class: Py<PyAny>) -> Self {
        Self { class, members: Mutex::default() }
    }

    /// The member with these bits.
    pub(crate) fn member<'py>(&self, py: Python<'py>, bits: u32) -> PyResult<Bound<'py, PyAny>> {
        if let Some(member) = self.members.lock().get(&bits) {
            return Ok(member.bind(py).clone());
        }
        // The class is Python code, which may use this cache: the lock must not be held.
        let member = self.class.bind(py).call1((bits,))?;
        let mut members = self.members.lock();
        if members.len() < MAX_CACHED_FLAGS {
            members.insert(bits, member.clone().unbind());
        }
        Ok(member)
    }
}

/// An enumeration of bytes with a cache of its members.
pub(crate) struct ByteEnum {
    class: Py<PyAny>,
    members: Mutex<Vec<Option<Py<PyAny>>>>,
}

impl ByteEnum {
    pub(crate) fn new(class: Py<PyAny>) -> Self {
        Self { class, members: Mutex::default() }
    }

    /// The class itself.
    pub(crate) fn class<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.class.bind(py)
    }

    /// The member with this number.
    pub(crate) fn member<'py>(&self, py: Python<'py>, number: u8) -> PyResult<Bound<'py, PyAny>> {
        let index = usize::from(number);
        if let Some(Some(member)) = self.members.lock().get(index) {
            return Ok(member.bind(py).clone());
        }
        // As above: the lock must not be held while Python code runs.
        let member = self.class.bind(py).call1((number,))?;
        let mut members = self.members.lock();
        if members.len() <= index {
            members.resize_with(256, || None);
        }
        members[index] = Some(member.clone().unbind());
        Ok(member)
    }
}
