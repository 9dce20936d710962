//! Inputs of UGens while they are expanded, converted from Python objects and back.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::operable::{ConstantProxy, OutputProxy};
use crate::ugen::{Input, UGen};
use crate::vector::UGenVector;

/// How deeply lists of inputs may be nested.
pub(crate) const MAX_LIST_DEPTH: usize = 64;

/// An input of a UGen that is still to be expanded.
#[derive(Debug)]
pub(crate) enum Value {
    /// A number.
    Number(f64),
    /// An output of a UGen.
    Output(Py<UGen>, u32),
    /// Several inputs.
    List(Vec<Value>),
    /// Not given.
    Missing,
}

impl Value {
    /// Converts an argument; `key` is the parameter's name for errors, if there is one.
    pub(crate) fn from_python(object: &Bound<'_, PyAny>, key: Option<&str>) -> PyResult<Self> {
        Self::convert(object, key, 0)
    }

    fn convert(object: &Bound<'_, PyAny>, key: Option<&str>, depth: usize) -> PyResult<Self> {
        if depth > MAX_LIST_DEPTH {
            return Err(PyValueError::new_err(format!(
                "lists of inputs may be nested at most {MAX_LIST_DEPTH} deep"
            )));
        }
        if let Ok(number) = object.cast_exact::<PyFloat>() {
            return Ok(Self::Number(number.value()));
        }
        if let Ok(output) = object.cast::<OutputProxy>() {
            let output = output.get();
            return Ok(Self::Output(output.ugen.clone_ref(object.py()), output.index));
        }
        if object.cast::<PyInt>().is_ok() || object.cast::<PyBool>().is_ok() {
            return object.extract().map(Self::Number);
        }
        if let Ok(constant) = object.cast::<ConstantProxy>() {
            return Ok(Self::Number(constant.get().value));
        }
        if let Ok(ugen) = object.cast::<UGen>() {
            let outputs = u32::from(ugen.get().data()?.outputs);
            let output = |index| Self::Output(ugen.clone().unbind(), index);
            return Ok(Self::List((0..outputs).map(output).collect()));
        }
        if let Ok(vector) = object.cast::<UGenVector>() {
            let items = vector.get().values.iter();
            let items = items.map(|item| Self::convert(item.bind(object.py()), key, depth + 1));
            return items.collect::<PyResult<_>>().map(Self::List);
        }
        if let Ok(list) = object.cast::<PyList>() {
            let items = list.iter().map(|item| Self::convert(&item, key, depth + 1));
            return items.collect::<PyResult<_>>().map(Self::List);
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            let items = tuple.iter().map(|item| Self::convert(&item, key, depth + 1));
            return items.collect::<PyResult<_>>().map(Self::List);
        }
        Self::convert_rare(object, key, depth)
    }

    /// Converts objects that are rarely inputs.
    fn convert_rare(object: &Bound<'_, PyAny>, key: Option<&str>, depth: usize) -> PyResult<Self> {
        if object.is_none() {
            return Err(match key {
                Some(key) => PyValueError::new_err(format!("missing input `{key}`")),
                None => unsuitable(object, key),
            });
        }
        if object.cast::<PyString>().is_ok() {
            return Err(unsuitable(object, key));
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            let numbers = bytes.as_bytes().iter().map(|byte| Self::Number(f64::from(*byte)));
            return Ok(Self::List(numbers.collect()));
        }
        let serialize = object.getattr_opt("serialize")?;
        if let Some(serialize) = serialize.filter(|attribute| attribute.is_callable()) {
            if depth > 0 {
                // The inputs of several envelopes cannot be told apart once they are lists.
                return Err(unsuitable(object, key));
            }
            return Self::convert(&serialize.call0()?, key, depth + 1);
        }
        if object.hasattr("__float__")? {
            return object.extract().map(Self::Number);
        }
        if object.hasattr("__getitem__")?
            && object.hasattr("__len__")?
            && !object.hasattr("keys")?
        {
            let items = object.try_iter()?.map(|item| Self::convert(&item?, key, depth + 1));
            return items.collect::<PyResult<_>>().map(Self::List);
        }
        Err(unsuitable(object, key))
    }

    /// The value as a Python object: a number, an output, or a list.
    pub(crate) fn to_python<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Number(number) => PyFloat::new(py, *number).into_any(),
            Self::Output(ugen, index) => OutputProxy::create(py, ugen.clone_ref(py), *index)?,
            Self::List(items) => {
                let items =
                    items.iter().map(|item| item.to_python(py)).collect::<PyResult<Vec<_>>>()?;
                PyList::new(py, items)?.into_any()
            }
            Self::Missing => py.None().into_bound(py),
        })
    }

    /// A copy; Python objects are shared.
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Number(number) => Self::Number(*number),
            Self::Output(ugen, index) => Self::Output(ugen.clone_ref(py), *index),
            Self::List(items) => Self::List(items.iter().map(|item| item.clone_ref(py)).collect()),
            Self::Missing => Self::Missing,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    /// Whether the value is this number.
    pub(crate) fn is_number(&self, number: f64) -> bool {
        matches!(self, Self::Number(value) if *value == number)
    }

    /// The rate: of a list, the highest; numbers are scalar.
    pub(crate) fn rate(&self) -> PyResult<u8> {
        match self {
            Self::Number(_) | Self::Missing => Ok(0),
            Self::Output(ugen, _) => Ok(ugen.get().data()?.rate),
            Self::List(items) => {
                items.iter().try_fold(0, |rate: u8, item| Ok(rate.max(item.rate()?)))
            }
        }
    }

    /// The input of a UGen; lists and missing values are errors of their caller.
    pub(crate) fn into_input(self) -> Option<Input> {
        match self {
            Self::Number(number) => Some(Input::Constant(number)),
            Self::Output(ugen, output) => Some(Input::Output(ugen, output)),
            Self::List(_) | Self::Missing => None,
        }
    }
}

/// The error for an object that is not an input of a UGen.
pub(crate) fn unsuitable(object: &Bound<'_, PyAny>, key: Option<&str>) -> PyErr {
    let shown = object.repr().map_or_else(|_| String::from("an object"), |text| text.to_string());
    let what = key.map(|key| format!("`{key}`: ")).unwrap_or_default();
    PyTypeError::new_err(format!(
        "{what}expected a number, a UGen or a sequence of these, found {shown}"
    ))
}
