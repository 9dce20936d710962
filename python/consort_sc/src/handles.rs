//! What the Python part of the package passes to the compiled part when it is imported.

use std::collections::HashMap;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// Classes and functions of the Python part.
struct Handles {
    /// The members of `CalculationRate` by number.
    rates: [Py<PyAny>; 4],
    /// `CalculationRate.from_expr`.
    rate_from_expression: Py<PyAny>,
    /// The members of `ParameterRate` by number: scalar, trigger, audio, control.
    parameter_rates: [Py<PyAny>; 4],
    /// `ParameterRate.from_expr`.
    parameter_rate_from_expression: Py<PyAny>,
    /// `DoneAction`.
    done_action: Py<PyType>,
    /// `SynthDefError`.
    synthdef_error: Py<PyType>,
    /// The names of the operators by number.
    unary_names: HashMap<i16, String>,
    binary_names: HashMap<i16, String>,
    /// Functions that compute operators on numbers, by the operator's number.
    unary_functions: Py<PyDict>,
    binary_functions: Py<PyDict>,
    /// The classes of UGens by name.
    classes: Py<PyDict>,
}

static HANDLES: PyOnceLock<Handles> = PyOnceLock::new();

fn handles(py: Python<'_>) -> PyResult<&Handles> {
    HANDLES
        .get(py)
        .ok_or_else(|| PyRuntimeError::new_err("import `consort_sc` instead of `consort_sc._core`"))
}

/// Passes classes and functions of the Python part to the compiled part. The package calls it once,
/// when it is imported.
#[pyfunction]
#[pyo3(signature = (*, calculation_rate, parameter_rate, done_action, synthdef_error,
    unary_operator, binary_operator, unary_functions, binary_functions, classes))]
#[allow(clippy::too_many_arguments)] // keyword arguments of a single call
pub(crate) fn setup(
    py: Python<'_>,
    calculation_rate: &Bound<'_, PyType>,
    parameter_rate: &Bound<'_, PyType>,
    done_action: Py<PyType>,
    synthdef_error: Py<PyType>,
    unary_operator: &Bound<'_, PyType>,
    binary_operator: &Bound<'_, PyType>,
    unary_functions: Py<PyDict>,
    binary_functions: Py<PyDict>,
    classes: Py<PyDict>,
) -> PyResult<()> {
    let members = |class: &Bound<'_, PyType>| -> PyResult<[Py<PyAny>; 4]> {
        let member = |number: u8| class.call1((number,)).map(Bound::unbind);
        Ok([member(0)?, member(1)?, member(2)?, member(3)?])
    };
    let names = |class: &Bound<'_, PyType>| -> PyResult<HashMap<i16, String>> {
        let members = class.try_iter()?;
        members
            .map(|member| {
                let member = member?;
                Ok((member.extract()?, member.getattr("name")?.extract()?))
            })
            .collect()
    };
    let handles = Handles {
        rates: members(calculation_rate)?,
        rate_from_expression: calculation_rate.getattr("from_expr")?.unbind(),
        parameter_rates: members(parameter_rate)?,
        parameter_rate_from_expression: parameter_rate.getattr("from_expr")?.unbind(),
        done_action,
        synthdef_error,
        unary_names: names(unary_operator)?,
        binary_names: names(binary_operator)?,
        unary_functions,
        binary_functions,
        classes,
    };
    HANDLES.set(py, handles).map_err(|_| PyRuntimeError::new_err("consort_sc is already set up"))
}

/// The member of `CalculationRate` of a number.
pub(crate) fn calculation_rate(py: Python<'_>, rate: u8) -> PyResult<Py<PyAny>> {
    Ok(handles(py)?.rates[usize::from(rate & 3)].clone_ref(py))
}

/// `CalculationRate.from_expr`, with a short cut for members of the class.
pub(crate) fn rate_from_expression(
    py: Python<'_>,
    expression: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let handles = handles(py)?;
    match handles.rates.iter().find(|member| member.is(expression)) {
        Some(member) => Ok(member.clone_ref(py)),
        None => handles.rate_from_expression.call1(py, (expression,)),
    }
}

/// The number of a member of `ParameterRate`, and the member.
pub(crate) fn parameter_rate(
    py: Python<'_>,
    expression: &Bound<'_, PyAny>,
) -> PyResult<(u8, Py<PyAny>)> {
    let handles = handles(py)?;
    let member = match handles.parameter_rates.iter().find(|member| member.is(expression)) {
        Some(member) => member.clone_ref(py),
        None => handles.parameter_rate_from_expression.call1(py, (expression,))?,
    };
    Ok((member.extract(py)?, member))
}

/// The member of `ParameterRate` of a number.
pub(crate) fn parameter_rate_member(py: Python<'_>, rate: u8) -> PyResult<Py<PyAny>> {
    Ok(handles(py)?.parameter_rates[usize::from(rate & 3)].clone_ref(py))
}

/// Checks that a number is that of a done action, and returns it.
pub(crate) fn done_action(py: Python<'_>, number: f64) -> PyResult<f64> {
    if !number.is_finite() {
        return Err(PyValueError::new_err(format!("{number} is not a valid DoneAction")));
    }
    handles(py)?.done_action.bind(py).call1((number as i64,))?.extract()
}

/// A `SynthDefError` with a message.
pub(crate) fn synthdef_error(py: Python<'_>, message: impl Into<String>) -> PyErr {
    match handles(py) {
        Ok(handles) => PyErr::from_type(handles.synthdef_error.bind(py).clone(), (message.into(),)),
        Err(error) => error,
    }
}

/// The name of the operator of an operator UGen.
pub(crate) fn operator_name(
    py: Python<'_>,
    class: &str,
    special_index: i16,
) -> PyResult<Option<String>> {
    let handles = handles(py)?;
    Ok(match class {
        "UnaryOpUGen" => handles.unary_names.get(&special_index).cloned(),
        "BinaryOpUGen" => handles.binary_names.get(&special_index).cloned(),
        _ => None,
    })
}

/// The result of an operator on one number; `None` if only the server can compute it.
pub(crate) fn fold_unary(py: Python<'_>, operator: i16, value: f64) -> PyResult<Option<f64>> {
    match handles(py)?.unary_functions.bind(py).get_item(operator)? {
        Some(function) => function.call1((value,))?.extract().map(Some),
        None => Ok(None),
    }
}

/// The result of an operator on two numbers; `None` if only the server can compute it.
pub(crate) fn fold_binary(
    py: Python<'_>,
    operator: i16,
    left: f64,
    right: f64,
) -> PyResult<Option<f64>> {
    match handles(py)?.binary_functions.bind(py).get_item(operator)? {
        Some(function) => function.call1((left, right))?.extract().map(Some),
        None => Ok(None),
    }
}

/// The class of a UGen by its name, if there is one.
pub(crate) fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyType>>> {
    let class = handles(py)?.classes.bind(py).get_item(name)?;
    Ok(class.map(Bound::cast_into::<PyType>).transpose()?)
}

/// The class of a UGen that the package itself needs.
pub(crate) fn known_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    class(py, name)?
        .ok_or_else(|| PyRuntimeError::new_err(format!("the UGen class {name} is not defined")))
}
