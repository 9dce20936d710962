//! `Parameter` and `Control`: the controls of a SynthDef.

use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::handles;
use crate::ugen::{UGen, UGenData, spec_of};

/// A control of a SynthDef: a number, or several, that `/n_set` changes.
#[pyclass(subclass, frozen, extends = UGen, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct Parameter {
    /// The name.
    #[pyo3(get)]
    pub(crate) name: Option<String>,
    /// The defaults.
    pub(crate) values: Vec<f64>,
    /// 0 scalar, 1 trigger, 2 audio, 3 control.
    pub(crate) rate_number: u8,
    /// Time in seconds over which changes are smoothed.
    #[pyo3(get)]
    pub(crate) lag: Option<f64>,
}

/// The numbers of a parameter's value.
pub(crate) fn numbers(value: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    if let Ok(number) = value.extract::<f64>() {
        return Ok(vec![number]);
    }
    let number = |value: &Bound<'_, PyAny>| -> PyResult<f64> {
        value.py().get_type::<pyo3::types::PyFloat>().call1((value,))?.extract()
    };
    if value.cast::<PyString>().is_ok() || value.hasattr("__float__")? {
        return Ok(vec![number(value)?]);
    }
    let numbers: Vec<f64> =
        value.try_iter()?.map(|item| number(&item?)).collect::<PyResult<_>>()?;
    if numbers.len() > 65_535 {
        return Err(PyValueError::new_err(format!(
            "a parameter has at most 65535 values, found {}",
            numbers.len()
        )));
    }
    Ok(numbers)
}

impl Parameter {
    /// The rate at which other UGens read a parameter.
    fn calculation_rate(rate_number: u8) -> u8 {
        match rate_number {
            0 => 0,
            2 => 2,
            _ => 1,
        }
    }

    /// A parameter of a builder: `scope` and `number` identify it there.
    pub(crate) fn create(
        py: Python<'_>,
        name: Option<String>,
        values: Vec<f64>,
        rate_number: u8,
        lag: Option<f64>,
        scope: u64,
        number: u32,
    ) -> PyResult<Bound<'_, Self>> {
        let class = py.get_type::<Self>();
        let data = UGenData {
            spec: spec_of(&class)?,
            rate: Self::calculation_rate(rate_number),
            special_index: 0,
            outputs: values.len() as u16,
            inputs: Vec::new(),
            list_lengths: Vec::new(),
            scope,
            number,
        };
        let initializer = UGen::empty().add_subclass(Self { name, values, rate_number, lag });
        let parameter = Bound::new(py, initializer)?;
        parameter.as_super().get().set_data(data)?;
        Ok(parameter)
    }

    pub(crate) fn equals(&self, other: &Self) -> bool {
        (&self.name, &self.values, self.rate_number, self.lag)
            == (&other.name, &other.values, other.rate_number, other.lag)
    }

    pub(crate) fn hash_into(&self, hasher: &mut impl Hasher) {
        self.name.hash(hasher);
        self.rate_number.hash(hasher);
        self.values.iter().for_each(|value| value.to_bits().hash(hasher));
    }
}

#[pymethods]
impl Parameter {
    #[new]
    #[pyo3(signature = (*, name=None, value, rate=None, lag=None))]
    fn new(
        name: Option<String>,
        value: &Bound<'_, PyAny>,
        rate: Option<&Bound<'_, PyAny>>,
        lag: Option<f64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let rate_number = match rate {
            Some(rate) => handles::parameter_rate(rate.py(), rate)?.0,
            None => 3,
        };
        let values = numbers(value)?;
        Ok(UGen::empty().add_subclass(Self { name, values, rate_number, lag }))
    }

    #[pyo3(signature = (*, name=None, value, rate=None, lag=None))]
    fn __init__(
        slf: &Bound<'_, Self>,
        name: Option<&Bound<'_, PyAny>>,
        value: &Bound<'_, PyAny>,
        rate: Option<&Bound<'_, PyAny>>,
        lag: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        // The arguments are those of `__new__`, which has stored them.
        let _ = (name, value, rate, lag);
        let parameter = slf.get();
        slf.as_super().get().set_data(UGenData {
            spec: spec_of(&slf.get_type())?,
            rate: Self::calculation_rate(parameter.rate_number),
            special_index: 0,
            outputs: parameter.values.len() as u16,
            inputs: Vec::new(),
            list_lengths: Vec::new(),
            scope: 0,
            number: 0,
        })
    }

    /// The defaults.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.values)
    }

    /// How the control behaves.
    #[getter]
    fn rate(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        handles::parameter_rate_member(py, self.rate_number)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let parameter = slf.get();
        let restore = slf.py().import("consort_sc._core")?.getattr("restore_parameter")?;
        let state = (
            parameter.name.clone(),
            parameter.values.clone(),
            parameter.rate_number,
            parameter.lag,
        );
        Ok((restore, state).into_pyobject(slf.py())?.into_any())
    }
}

/// Restores a parameter that was copied or pickled.
#[pyfunction]
#[pyo3(signature = (name, values, rate, lag))]
pub(crate) fn restore_parameter(
    py: Python<'_>,
    name: Option<String>,
    values: Vec<f64>,
    rate: u8,
    lag: Option<f64>,
) -> PyResult<Bound<'_, Parameter>> {
    if rate > 3 || values.len() > 65_535 {
        return Err(PyValueError::new_err("the stored parameter is damaged"));
    }
    Parameter::create(py, name, values, rate, lag, 0, 0)
}

/// A UGen that holds the values of parameters.
#[pyclass(subclass, frozen, extends = UGen, module = "consort_sc.ugens.core")]
#[derive(Debug)]
pub(crate) struct Control {
    parameters: OnceLock<Vec<Py<Parameter>>>,
}

#[pymethods]
impl Control {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn new(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        UGen::empty().add_subclass(Self { parameters: OnceLock::new() })
    }

    #[pyo3(signature = (*, parameters, calculation_rate, special_index=0))]
    fn __init__(
        slf: &Bound<'_, Self>,
        parameters: Vec<Py<Parameter>>,
        calculation_rate: &Bound<'_, PyAny>,
        special_index: i64,
    ) -> PyResult<()> {
        let rate = crate::rate::from_expression(calculation_rate)?;
        let special_index = u16::try_from(special_index)
            .map_err(|_| PyValueError::new_err(format!("invalid special index {special_index}")))?;
        initialize(slf, parameters, rate, special_index as i16)
    }

    /// The parameters whose values the UGen holds.
    #[getter]
    pub(crate) fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let parameters = self.parameters.get().map(Vec::as_slice).unwrap_or_default();
        PyTuple::new(py, parameters.iter().map(|parameter| parameter.bind(py)))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let data = slf.as_super().get().data()?;
        let restore = py.import("consort_sc._core")?.getattr("restore_control")?;
        let state = (slf.get_type(), slf.get().parameters(py)?, data.rate, data.special_index);
        Ok((restore, state).into_pyobject(py)?.into_any())
    }
}

/// Sets the content of a control UGen.
pub(crate) fn initialize(
    slf: &Bound<'_, Control>,
    parameters: Vec<Py<Parameter>>,
    rate: u8,
    special_index: i16,
) -> PyResult<()> {
    let outputs: usize = parameters.iter().map(|parameter| parameter.get().values.len()).sum();
    let outputs = u16::try_from(outputs).map_err(|_| {
        PyValueError::new_err(format!("a control UGen has at most 65535 values, found {outputs}"))
    })?;
    let spec = spec_of(&slf.get_type())?;
    let mut lags = Vec::new();
    if !spec.get().keys.is_empty() {
        for parameter in &parameters {
            let parameter = parameter.get();
            let lag = || crate::ugen::Input::Constant(parameter.lag.unwrap_or(0.0));
            lags.extend(parameter.values.iter().map(|_| lag()));
        }
    }
    let list_lengths =
        if spec.get().keys.is_empty() { Vec::new() } else { vec![lags.len() as u32] };
    slf.get()
        .parameters
        .set(parameters)
        .map_err(|_| PyRuntimeError::new_err("the UGen is initialised already"))?;
    slf.as_super().get().set_data(UGenData {
        spec,
        rate,
        special_index,
        outputs,
        inputs: lags,
        list_lengths,
        scope: 0,
        number: 0,
    })
}

/// Restores a control UGen that was copied or pickled.
#[pyfunction]
pub(crate) fn restore_control<'py>(
    kind: &Bound<'py, pyo3::types::PyType>,
    parameters: Vec<Py<Parameter>>,
    rate: u8,
    special_index: i16,
) -> PyResult<Bound<'py, PyAny>> {
    if rate > 3 {
        return Err(PyTypeError::new_err("the stored UGen is damaged"));
    }
    let object = kind.getattr("__new__")?.call1((kind,))?.cast_into::<Control>()?;
    initialize(&object, parameters, rate, special_index)?;
    Ok(object.into_any())
}
