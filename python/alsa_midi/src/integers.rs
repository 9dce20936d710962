//! Integers from Python, checked against the range of a C type.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// How many characters of a value's `repr` an error shows.
const MAX_SHOWN_CHARACTERS: usize = 80;

/// The integer in `value`. Raises `TypeError` if it is not an integer and `OverflowError` if it is
/// out of range; both give the name of the argument, the value and the range.
pub(crate) fn integer(
    value: &Bound<'_, PyAny>,
    name: &str,
    minimum: i64,
    maximum: i64,
) -> PyResult<i64> {
    let number = if value.is_exact_instance_of::<PyInt>() {
        value.extract::<i64>()
    } else {
        value.call_method0(pyo3::intern!(value.py(), "__index__")).and_then(|index| index.extract())
    };
    match number {
        Ok(number) => within(number, name, minimum, maximum),
        // Integers of Python can be longer than 64 bits.
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(out_of_range(&value.str()?.to_string_lossy(), name, minimum, maximum))
        }
        Err(_) => Err(not_an_integer(value, name, minimum, maximum)),
    }
}

/// `number` if it is in range, else `OverflowError`.
#[inline]
pub(crate) fn within(number: i64, name: &str, minimum: i64, maximum: i64) -> PyResult<i64> {
    if (minimum..=maximum).contains(&number) {
        return Ok(number);
    }
    Err(out_of_range(&number.to_string(), name, minimum, maximum))
}

#[cold]
fn out_of_range(value: &str, name: &str, minimum: i64, maximum: i64) -> PyErr {
    PyOverflowError::new_err(format!("{name} is {value}; expected {minimum} to {maximum}"))
}

#[cold]
fn not_an_integer(value: &Bound<'_, PyAny>, name: &str, minimum: i64, maximum: i64) -> PyErr {
    let shown = shortened_repr(value);
    PyTypeError::new_err(format!(
        "{name} is {shown}; expected an integer from {minimum} to {maximum}"
    ))
}

/// The `repr` of a value, cut off for an error message.
pub(crate) fn shortened_repr(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
    text.chars().take(MAX_SHOWN_CHARACTERS).collect()
}
