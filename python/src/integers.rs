//! Integers with a range: what C's types would hold.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// The integer in `value`, checked: `TypeError` for what is no integer, `OverflowError` for
/// what is out of range; both name the field, the value and the range.
pub(crate) fn integer(
    value: &Bound<'_, PyAny>,
    name: &str,
    least: i64,
    most: i64,
) -> PyResult<i64> {
    let number = if value.is_exact_instance_of::<PyInt>() {
        value.extract::<i64>()
    } else {
        value.call_method0(pyo3::intern!(value.py(), "__index__")).and_then(|index| index.extract())
    };
    match number {
        Ok(number) => within(number, name, least, most),
        // Python's own integers are longer than 64 bits.
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(out_of_range(&value.str()?.to_string_lossy(), name, least, most))
        }
        Err(_) => Err(not_an_integer(value, name, least, most)),
    }
}

#[inline]
pub(crate) fn within(number: i64, name: &str, least: i64, most: i64) -> PyResult<i64> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(out_of_range(&number.to_string(), name, least, most))
}

#[cold]
fn out_of_range(value: &str, name: &str, least: i64, most: i64) -> PyErr {
    PyOverflowError::new_err(format!("{name} is {value}; expected {least} to {most}"))
}

#[cold]
fn not_an_integer(value: &Bound<'_, PyAny>, name: &str, least: i64, most: i64) -> PyErr {
    let shown = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
    let shown: String = shown.chars().take(80).collect();
    PyTypeError::new_err(format!("{name} is {shown}; expected an integer from {least} to {most}"))
}

macro_rules! ranged {
    ($($name:ident: $type:ty, $what:literal;)*) => { $(
        /// An argument with the range of the C type.
        #[derive(Clone, Copy)]
        pub(crate) struct $name(pub(crate) $type);

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                let number = integer(&value, $what, <$type>::MIN as i64, <$type>::MAX as i64)?;
                Ok(Self(number as $type))
            }
        }
    )* };
}

ranged! {
    U8: u8, "an argument";
    U32: u32, "an argument";
    I32: i32, "an argument";
}
