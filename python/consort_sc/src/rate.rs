//! Calculation rates as numbers: 0 scalar, 1 control, 2 audio, 3 demand.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::handles;

/// The names of the rates in SuperCollider.
pub(crate) const TOKENS: [&str; 4] = ["ir", "kr", "ar", "dr"];

/// The rate of an expression, as `CalculationRate.from_expr` determines it.
pub(crate) fn from_expression(expression: &Bound<'_, PyAny>) -> PyResult<u8> {
    let py = expression.py();
    let member = handles::rate_from_expression(py, expression)?;
    let rate: u8 = member.bind(py).extract()?;
    if rate > 3 {
        return Err(PyValueError::new_err(format!("invalid calculation rate {rate}")));
    }
    Ok(rate)
}

/// As [`from_expression`]; `None` is scalar.
pub(crate) fn from_optional(expression: Option<&Bound<'_, PyAny>>) -> PyResult<u8> {
    expression.map_or(Ok(0), from_expression)
}
