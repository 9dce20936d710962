//! `UGenOperable`, the base of everything that can be calculated with, and its scalars.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyTuple};

use crate::algebra;
use crate::handles;
use crate::parameter::Parameter;
use crate::ugen::{UGen, label};
use crate::value::Value;

/// Something that operators can be applied to: a UGen, one of its outputs, a number, or a list.
#[pyclass(subclass, frozen, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct UGenOperable;

/// A single channel: an output of a UGen or a number.
#[pyclass(subclass, frozen, extends = UGenOperable, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct UGenScalar;

/// An output of a UGen.
#[pyclass(subclass, frozen, extends = UGenScalar, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct OutputProxy {
    /// The UGen.
    #[pyo3(get)]
    pub(crate) ugen: Py<UGen>,
    /// The position of the output.
    #[pyo3(get)]
    pub(crate) index: u32,
}

/// A number in a list of channels.
#[pyclass(subclass, frozen, extends = UGenScalar, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct ConstantProxy {
    /// The number.
    #[pyo3(get)]
    pub(crate) value: f64,
}

impl OutputProxy {
    /// A new object.
    pub(crate) fn create<'py>(
        py: Python<'py>,
        ugen: Py<UGen>,
        index: u32,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(Bound::new(py, Self::new(ugen, index))?.into_any())
    }
}

impl ConstantProxy {
    /// A new object.
    pub(crate) fn create(py: Python<'_>, value: f64) -> PyResult<Bound<'_, PyAny>> {
        Ok(Bound::new(py, Self::initializer(value))?.into_any())
    }

    fn initializer(value: f64) -> PyClassInitializer<Self> {
        PyClassInitializer::from(UGenOperable).add_subclass(UGenScalar).add_subclass(Self { value })
    }
}

#[pymethods]
impl UGenScalar {
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyTuple::new(slf.py(), [slf])?.try_iter()?.into_any())
    }
}

#[pymethods]
impl OutputProxy {
    #[new]
    fn new(ugen: Py<UGen>, index: u32) -> PyClassInitializer<Self> {
        PyClassInitializer::from(UGenOperable)
            .add_subclass(UGenScalar)
            .add_subclass(Self { ugen, index })
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let output = slf.get();
        let ugen = output.ugen.bind(slf.py());
        Ok(format!("<{}[{}]>", label(ugen, ugen.get().data()?)?, output.index))
    }

    /// The rate at which the UGen computes.
    #[getter]
    fn calculation_rate(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        handles::calculation_rate(py, self.ugen.get().data()?.rate)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let output = slf.get();
        let arguments = (output.ugen.clone_ref(slf.py()), output.index);
        Ok((slf.get_type(), arguments).into_pyobject(slf.py())?.into_any())
    }
}

#[pymethods]
impl ConstantProxy {
    #[new]
    fn new(value: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<Self>> {
        let value: f64 = match value.extract() {
            Ok(value) => value,
            // Texts are converted, as `float` does it.
            Err(_) => value.py().get_type::<PyFloat>().call1((value,))?.extract()?,
        };
        Ok(Self::initializer(value))
    }

    fn __float__(&self) -> f64 {
        self.value
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<{}>", PyFloat::new(py, self.value).str()?))
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(PyFloat::new(py, self.value).str()?.to_string())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok((slf.get_type(), (slf.get().value,)).into_pyobject(slf.py())?.into_any())
    }
}

/// Whether two objects are the same output, equal numbers, equal parameters, or one object.
fn is_equal(left: &Bound<'_, UGenOperable>, right: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(left) = left.cast::<OutputProxy>() {
        return Ok(right.cast::<OutputProxy>().is_ok_and(|right| {
            let (left, right) = (left.get(), right.get());
            left.index == right.index && left.ugen.is(&right.ugen)
        }));
    }
    if let Ok(left) = left.cast::<ConstantProxy>() {
        if right.hasattr("__float__")? {
            return Ok(right.extract::<f64>().is_ok_and(|right| right == left.get().value));
        }
        return Ok(false);
    }
    if let (Ok(left), Ok(right)) = (left.cast::<Parameter>(), right.cast::<Parameter>()) {
        return Ok(left.get().equals(right.get()));
    }
    Ok(left.is(right))
}

#[pymethods]
impl UGenOperable {
    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        expr: &Bound<'py, PyAny>,
        operation: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let operator = match operation {
            CompareOp::Eq | CompareOp::Ne => {
                let is_wanted = matches!(operation, CompareOp::Eq);
                let equal = is_equal(slf, expr)? == is_wanted;
                return Ok(equal.into_pyobject(slf.py())?.to_owned().into_any());
            }
            CompareOp::Lt => algebra::LESS_THAN,
            CompareOp::Gt => algebra::GREATER_THAN,
            CompareOp::Le => algebra::LESS_THAN_OR_EQUAL,
            CompareOp::Ge => algebra::GREATER_THAN_OR_EQUAL,
        };
        algebra::binary(slf.as_any(), expr, operator)
    }

    fn __hash__(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let mut hasher = DefaultHasher::new();
        if let Ok(output) = slf.cast::<OutputProxy>() {
            (output.get().ugen.as_ptr() as usize, output.get().index).hash(&mut hasher);
        } else if slf.cast::<ConstantProxy>().is_ok() {
            return Err(PyTypeError::new_err("unhashable type: 'ConstantProxy'"));
        } else if let Ok(parameter) = slf.cast::<Parameter>() {
            parameter.get().hash_into(&mut hasher);
        } else {
            (slf.as_ptr() as usize).hash(&mut hasher);
        }
        Ok(hasher.finish())
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(PyTuple::new(slf.py(), [slf])?.try_iter()?.into_any())
    }

    /// Limits the signal to a range, with `Clip`.
    fn clip<'py>(
        slf: &Bound<'py, Self>,
        minimum: &Bound<'py, PyAny>,
        maximum: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let more = [
            Value::from_python(minimum, Some("minimum"))?,
            Value::from_python(maximum, Some("maximum"))?,
        ];
        algebra::mapped(slf.as_any(), "Clip", None, more)
    }
}
