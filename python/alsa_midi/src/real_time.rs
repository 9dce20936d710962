//! `RealTime`: seconds and nanoseconds.

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString, PyTuple};

/// Nanoseconds per second.
const NANOSECONDS: i128 = 1_000_000_000;

/// A time of a queue: seconds and nanoseconds, normalised and never negative.
///
/// It is created from a number of seconds (`int`, `float`), a text (`"1.5"`, exact to the
/// nanosecond) or another `RealTime`, plus nanoseconds, and compares with all of these.
#[pyclass(module = "alsa_midi.event", subclass)]
#[derive(Clone, Copy)]
pub(crate) struct RealTime {
    /// Whole seconds.
    #[pyo3(get, set)]
    pub(crate) seconds: u64,
    /// Nanoseconds within the second.
    #[pyo3(get, set)]
    pub(crate) nanoseconds: u32,
}

impl RealTime {
    pub(crate) const fn new(seconds: u64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds }
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOSECONDS + i128::from(self.nanoseconds)
    }

    fn from_total(total: i128) -> PyResult<Self> {
        if total < 0 {
            return Err(PyValueError::new_err(format!(
                "a RealTime cannot be negative; got {} s",
                total as f64 / 1e9
            )));
        }
        let seconds = u64::try_from(total / NANOSECONDS).map_err(|_| {
            PyOverflowError::new_err("the time is too long: its seconds must fit in 64 bits")
        })?;
        Ok(Self { seconds, nanoseconds: (total % NANOSECONDS) as u32 })
    }

    /// `RealTime(value)`.
    pub(crate) fn from_python(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::from_total(nanoseconds_of(value)?)
    }

    /// Seconds and nanoseconds as the sequencer stores them, with seconds of 32 bits. `name` is the
    /// attribute's name in errors.
    pub(crate) fn to_sequencer(self, name: &str) -> PyResult<(u32, u32)> {
        match u32::try_from(self.seconds) {
            Ok(seconds) => Ok((seconds, self.nanoseconds)),
            Err(_) => Err(PyOverflowError::new_err(format!(
                "{name} is {} s; expected 0 to {} s",
                self.seconds,
                u32::MAX
            ))),
        }
    }
}

/// The nanoseconds of everything that a `RealTime` can be created from.
fn nanoseconds_of(value: &Bound<'_, PyAny>) -> PyResult<i128> {
    if let Ok(time) = value.cast::<RealTime>() {
        return Ok(time.borrow().total());
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        let number = number.extract::<f64>()?;
        if number.is_nan() {
            return Err(PyValueError::new_err("a RealTime cannot be NaN"));
        }
        if number.is_infinite() {
            return Err(PyOverflowError::new_err("a RealTime cannot be infinite"));
        }
        return Ok((number * 1e9) as i128);
    }
    if value.is_instance_of::<PyInt>() || value.hasattr(intern!(value.py(), "__index__"))? {
        return Ok(i128::from(value.extract::<i64>()?) * NANOSECONDS);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return nanoseconds_of_text(&text.to_cow()?);
    }
    Err(PyTypeError::new_err(format!(
        "a RealTime cannot be created from {}; expected int, float, str or RealTime",
        value.get_type().name()?
    )))
}

/// The nanoseconds of a text of decimal seconds. Digits beyond the ninth decimal place are cut off.
/// A text with a decimal point may have an exponent; it is read as `float` reads it and is as exact
/// as a `float`.
fn nanoseconds_of_text(text: &str) -> PyResult<i128> {
    let invalid = || {
        let shown: String = text.chars().take(40).collect();
        PyValueError::new_err(format!("{shown:?} is not a number of seconds such as \"1.5\""))
    };
    let trimmed = text.trim();
    let (sign, digits) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.contains(['e', 'E'])
        && let Ok(number) = digits.parse::<f64>()
        && number.is_finite()
    {
        return Ok(sign * (number * 1e9) as i128);
    }
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(invalid());
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
    let mut nanoseconds: i128 = 0;
    for place in 0..9 {
        let digit = fraction.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        nanoseconds = nanoseconds * 10 + i128::from(digit);
    }
    Ok(sign * (i128::from(seconds) * NANOSECONDS + nanoseconds))
}

#[pymethods]
impl RealTime {
    #[new]
    #[pyo3(
        signature = (*arguments, **keywords),
        text_signature = "(seconds=0, nanoseconds=0)"
    )]
    fn __new__(
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        // The arguments are read here instead of by PyO3, because `None` is an invalid time and
        // must not count as an omitted argument.
        let argument = |index: usize, name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
            match arguments.get_item(index) {
                Ok(value) => Ok(Some(value)),
                Err(_) => keywords.map_or(Ok(None), |keywords| keywords.get_item(name)),
            }
        };
        let keyword_count = keywords.map_or(0, |keywords| keywords.len());
        let (seconds, nanoseconds) = (argument(0, "seconds")?, argument(1, "nanoseconds")?);
        let used_count = usize::from(seconds.is_some()) + usize::from(nanoseconds.is_some());
        if arguments.len() + keyword_count != used_count {
            return Err(PyTypeError::new_err(
                "RealTime() expects at most 'seconds' and 'nanoseconds', each once",
            ));
        }
        let whole = seconds.as_ref().map_or(Ok(0), nanoseconds_of)?;
        let part = match &nanoseconds {
            None => 0,
            Some(part) if part.is_instance_of::<PyFloat>() => {
                return Err(PyValueError::new_err(format!(
                    "nanoseconds is {part}; expected a whole number of 0 or more"
                )));
            }
            Some(part) => part.extract::<i64>()?,
        };
        if part < 0 {
            return Err(PyValueError::new_err(format!(
                "nanoseconds is {part}; expected 0 or more"
            )));
        }
        Self::from_total(whole + i128::from(part))
    }

    fn __repr__(&self) -> String {
        format!("RealTime(seconds={}, nanoseconds={})", self.seconds, self.nanoseconds)
    }

    fn __str__(&self) -> String {
        format!("{}.{:09}", self.seconds, self.nanoseconds)
    }

    fn __int__(&self) -> u64 {
        self.seconds
    }

    fn __float__(&self) -> f64 {
        self.seconds as f64 + f64::from(self.nanoseconds) / 1e9
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match nanoseconds_of(other) {
            Ok(other) => {
                let result = op.matches(self.total().cmp(&other));
                Ok(result.into_pyobject(py)?.to_owned().into_any().unbind())
            }
            Err(error)
                if error.is_instance_of::<PyTypeError>(py)
                    || matches!(op, CompareOp::Eq | CompareOp::Ne) =>
            {
                Ok(py.NotImplemented())
            }
            Err(error) => Err(error),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (seconds, nanoseconds) = {
            let this = slf.borrow();
            (this.seconds, this.nanoseconds)
        };
        (slf.get_type(), (seconds, nanoseconds)).into_pyobject(slf.py())
    }
}
