//! Errors of the library as Python exceptions.

use consort_seq::{Error, ErrorKind};
use pyo3::prelude::*;

/// `alsa_midi.ALSAError(message, -errno)`.
pub(crate) fn alsa_error(py: Python<'_>, message: String, errno: i32) -> PyErr {
    let message = pyo3::types::PyString::new(py, &message).into_any();
    exception_of(py, "ALSAError", message, Some(-errno))
}

/// `alsa_midi.StateError(message)`.
pub(crate) fn state_error(py: Python<'_>, message: &str) -> PyErr {
    let message = pyo3::types::PyString::new(py, message).into_any();
    exception_of(py, "StateError", message, None)
}

fn exception_of(
    py: Python<'_>,
    name: &str,
    message: Bound<'_, PyAny>,
    errnum: Option<i32>,
) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let class = py.import("alsa_midi.exceptions")?.getattr(name)?;
        Ok(PyErr::from_value(match errnum {
            Some(errnum) => class.call1((message, errnum))?,
            None => class.call1((message,))?,
        }))
    };
    make().unwrap_or_else(|error| error)
}

/// The exception for an error of the library.
pub(crate) fn convert(py: Python<'_>, error: &Error) -> PyErr {
    if error.kind() == ErrorKind::Closed {
        return state_error(py, &format!("Already closed: {error}"));
    }
    let errno = match (error.errno(), error.kind()) {
        (Some(errno), _) => errno.raw(),
        (None, ErrorKind::NotFound) => libc::ENOENT,
        (None, ErrorKind::Corrupt) => libc::EIO,
        (None, _) => libc::EINVAL,
    };
    alsa_error(py, error.to_string(), errno)
}

/// Turns the library's results into Python's.
pub(crate) trait IntoPyResult<T> {
    fn py(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> IntoPyResult<T> for consort_seq::Result<T> {
    #[inline]
    fn py(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| convert(py, &error))
    }
}
