//! `UGenVector`: several channels.

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PySlice, PyString, PyTuple};

use crate::algebra;
use crate::operable::{ConstantProxy, UGenOperable};
use crate::value::Value;

/// A sequence of channels; its items may be sequences, too.
#[pyclass(subclass, frozen, extends = UGenOperable, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct UGenVector {
    /// Objects of `UGenOperable`.
    pub(crate) values: Vec<Py<PyAny>>,
}

impl UGenVector {
    /// A vector of objects of `UGenOperable`.
    pub(crate) fn create(py: Python<'_>, values: Vec<Py<PyAny>>) -> PyResult<Bound<'_, PyAny>> {
        let initializer = PyClassInitializer::from(UGenOperable).add_subclass(Self { values });
        Ok(Bound::new(py, initializer)?.into_any())
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.values.iter().map(|value| value.bind(py)))
    }
}

/// The channels of a vector as values.
fn channels(slf: &Bound<'_, UGenVector>) -> PyResult<Vec<Value>> {
    let mut flat = Vec::new();
    algebra::flatten(Value::from_python(slf.as_any(), None)?, &mut flat);
    Ok(flat)
}

#[pymethods]
impl UGenVector {
    #[new]
    #[pyo3(signature = (*values))]
    fn new(values: &Bound<'_, PyTuple>) -> PyResult<PyClassInitializer<Self>> {
        let py = values.py();
        let values = values
            .iter()
            .map(|value| {
                if value.cast::<UGenOperable>().is_ok() {
                    return Ok(value.unbind());
                }
                if value.cast::<PyString>().is_err() && value.hasattr("__float__")? {
                    return Ok(ConstantProxy::create(py, value.extract()?)?.unbind());
                }
                Err(PyTypeError::new_err(format!(
                    "expected a number or a UGen, found {}",
                    value.repr()?
                )))
            })
            .collect::<PyResult<Vec<_>>>()?;
        Ok(PyClassInitializer::from(UGenOperable).add_subclass(Self { values }))
    }

    fn __len__(&self) -> usize {
        self.values.len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        i: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let items = self.items(py)?;
        if i.cast::<PySlice>().is_ok() {
            let items = items.as_any().get_item(i)?.cast_into::<PyTuple>()?;
            return Self::create(py, items.iter().map(Bound::unbind).collect());
        }
        let index: isize = i.extract()?;
        let count = self.values.len() as isize;
        let position = if index < 0 { index + count } else { index };
        match self.values.get(usize::try_from(position).unwrap_or(usize::MAX)) {
            Some(value) => Ok(value.bind(py).clone()),
            None => Err(PyIndexError::new_err(format!(
                "channel index {index} out of range: the vector has {count} channels"
            ))),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.items(py)?.try_iter()?.into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let items = self.values.iter().map(|value| Ok(value.bind(py).repr()?.to_string()));
        Ok(format!("<UGenVector([{}])>", items.collect::<PyResult<Vec<_>>>()?.join(", ")))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok((slf.get_type(), slf.get().items(slf.py())?).into_pyobject(slf.py())?.into_any())
    }

    /// All single channels of the vector and of the sequences in it, as one vector.
    fn flatten<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let flat = channels(slf)?
            .into_iter()
            .map(|value| Ok(algebra::operable(py, value)?.unbind()))
            .collect::<PyResult<Vec<_>>>()?;
        Self::create(py, flat)
    }

    /// Adds the channels to `channel_count` channels: the first of each group, the second, and so
    /// on.
    #[pyo3(signature = (channel_count=1))]
    fn mix<'py>(slf: &Bound<'py, Self>, channel_count: usize) -> PyResult<Bound<'py, PyAny>> {
        algebra::mix_channels(slf.py(), channels(slf)?, channel_count)
    }

    /// The sum of all channels, also of those in nested sequences, four at a time.
    fn sum<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        algebra::mix(slf.py(), channels(slf)?)
    }
}
