//! What the compiled part knows of each UGen class, and the rows of the table as Python reads them.

use std::sync::atomic::{AtomicPtr, Ordering};

use consort_synthdef::ugens::{self, Outputs, ParameterDefault, UGenFlags};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::hooks::Hook;
use crate::value::Value;

/// The value of a parameter that is not given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Default {
    /// The parameter has to be given.
    Required,
    /// A number.
    Number(f64),
    /// Depends on the other parameters or on the rate.
    Automatic,
    /// `None`, which is not a valid input, so that the parameter has to be given.
    Nothing,
}

/// A parameter of a UGen class.
#[derive(Debug)]
pub(crate) struct Key {
    /// Interned, for fast look-ups in keyword arguments.
    pub(crate) name: Py<PyString>,
    pub(crate) default: Default,
    /// Whether the parameter takes a list as it is.
    pub(crate) unexpanded: bool,
}

/// What the compiled part has to know of a UGen class. Classes that derive from another without the
/// decorator `ugen` share its specification.
#[pyclass(frozen, module = "consort_sc._core")]
#[derive(Debug)]
pub(crate) struct ClassSpec {
    /// The name in compiled SynthDefs.
    pub(crate) name: Py<PyString>,
    pub(crate) keys: Vec<Key>,
    /// Bits of the rates at which the UGen runs; zero if any.
    pub(crate) rates: u8,
    pub(crate) flags: UGenFlags,
    pub(crate) channel_count: u16,
    /// Whether `channel_count` is a parameter.
    pub(crate) is_multichannel: bool,
    pub(crate) hook: Hook,
    /// The class of the package that it describes, which overrides no method; null for others.
    /// It is only compared with other addresses.
    pub(crate) plain_owner: AtomicPtr<ffi::PyObject>,
}

impl Default {
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Number(number) => Value::Number(*number),
            Self::Required | Self::Automatic | Self::Nothing => Value::Missing,
        }
    }
}

#[pymethods]
impl ClassSpec {
    /// Describes a class; `keys` are name, default and whether lists are not expanded.
    #[new]
    #[pyo3(signature = (name, keys, rates, flags=0, channel_count=1, is_multichannel=false))]
    fn new(
        name: Bound<'_, PyString>,
        keys: Vec<(Bound<'_, PyString>, Bound<'_, PyAny>, bool)>,
        rates: Vec<u8>,
        flags: u8,
        channel_count: u16,
        is_multichannel: bool,
    ) -> PyResult<Self> {
        let keys = keys
            .into_iter()
            .map(|(name, default, unexpanded)| {
                let default = match default.extract::<f64>() {
                    Ok(number) => Default::Number(number),
                    Err(_) if default.is_none() => Default::Nothing,
                    Err(_) if default.get_type().name()? == "Default" => Default::Automatic,
                    Err(_) => Default::Required,
                };
                Ok(Key { name: interned(&name)?, default, unexpanded })
            })
            .collect::<PyResult<Vec<_>>>()?;
        if let Some(rate) = rates.iter().find(|rate| **rate > 3) {
            return Err(PyValueError::new_err(format!("invalid rate {rate}: expected 0 to 3")));
        }
        let hook = Hook::of(name.to_str()?);
        Ok(Self {
            name: name.unbind(),
            keys,
            rates: rates.iter().fold(0, |bits, rate| bits | 1 << rate),
            flags: UGenFlags::from_bits_truncate(flags),
            channel_count,
            is_multichannel,
            hook,
            plain_owner: AtomicPtr::new(std::ptr::null_mut()),
        })
    }

    /// Marks a class of the package, which overrides no method of `UGen`.
    fn set_plain_owner(&self, owner: &Bound<'_, PyType>) {
        self.plain_owner.store(owner.as_ptr(), Ordering::Relaxed);
    }

    /// Whether `channel_count` is a parameter.
    #[getter]
    fn is_multichannel(&self) -> bool {
        self.is_multichannel
    }

    /// The number of outputs, unless `channel_count` is given.
    #[getter]
    fn channel_count(&self) -> u16 {
        self.channel_count
    }

    /// The names and defaults of the parameters; `required`, `automatic` and `None` stand for
    /// defaults that are not numbers.
    fn parameters<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>> {
        let parameter = |key: &Key| {
            let default = match key.default {
                Default::Number(number) => number.into_pyobject(py)?.into_any(),
                Default::Required => "required".into_pyobject(py)?.into_any(),
                Default::Automatic => "automatic".into_pyobject(py)?.into_any(),
                Default::Nothing => py.None().into_bound(py),
            };
            Ok((key.name.bind(py).clone(), default))
        };
        self.keys.iter().map(parameter).collect()
    }

    /// The names of the parameters.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.keys.iter().map(|key| key.name.bind(py)))
    }
}

/// The interned string of the same text.
fn interned(name: &Bound<'_, PyString>) -> PyResult<Py<PyString>> {
    Ok(PyString::intern(name.py(), name.to_str()?).unbind())
}

/// The table of UGens of the core, one dictionary for each row.
#[pyfunction]
pub(crate) fn ugen_table(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    ugens::families()
        .flat_map(|family| family.ugens.iter().map(move |row| (family.title, *row)))
        .map(|(family, row)| {
            let entry = PyDict::new(py);
            entry.set_item("name", row.name)?;
            entry.set_item("family", family)?;
            entry.set_item("doc", row.documentation)?;
            entry
                .set_item("rates", row.rates.iter().map(|rate| *rate as u8).collect::<Vec<_>>())?;
            entry.set_item("flags", row.flags.bits())?;
            let (channels, is_multichannel) = match row.outputs {
                Outputs::Fixed(count) => (count, false),
                Outputs::Variable(count) => (count, true),
                _ => (1, false),
            };
            entry.set_item("channel_count", channels)?;
            entry.set_item("is_multichannel", is_multichannel)?;
            let parameters = row
                .parameters
                .iter()
                .map(|parameter| {
                    let default = match parameter.default {
                        ParameterDefault::Value(value) => value.into_pyobject(py)?.into_any(),
                        ParameterDefault::Automatic => "automatic".into_pyobject(py)?.into_any(),
                        _ => "required".into_pyobject(py)?.into_any(),
                    };
                    Ok((parameter.name, default, parameter.list))
                })
                .collect::<PyResult<Vec<_>>>()?;
            entry.set_item("parameters", parameters)?;
            Ok(entry)
        })
        .collect()
}
