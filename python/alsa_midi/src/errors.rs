//! Errors of `consort-seq` as Python exceptions.

use consort_seq::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// `alsa_midi.ALSAError(message, -errno)`.
pub(crate) fn alsa_error(py: Python<'_>, message: &str, errno: i32) -> PyErr {
    new_exception(py, "ALSAError", message, Some(-errno))
}

/// `alsa_midi.StateError(message)`.
pub(crate) fn state_error(py: Python<'_>, message: &str) -> PyErr {
    new_exception(py, "StateError", message, None)
}

/// An exception of a class in `alsa_midi.exceptions`; if it cannot be created, the reason.
fn new_exception(py: Python<'_>, class: &str, message: &str, errnum: Option<i32>) -> PyErr {
    let message = PyString::new(py, message);
    let create = || -> PyResult<PyErr> {
        let class = py.import("alsa_midi.exceptions")?.getattr(class)?;
        Ok(PyErr::from_value(match errnum {
            Some(errnum) => class.call1((message, errnum))?,
            None => class.call1((message,))?,
        }))
    };
    create().unwrap_or_else(|error| error)
}

/// The exception for an error of `consort-seq`.
pub(crate) fn exception_for(py: Python<'_>, error: &Error) -> PyErr {
    if error.kind() == ErrorKind::Closed {
        return state_error(py, &format!("Already closed: {error}"));
    }
    let errno = match (error.errno(), error.kind()) {
        (Some(errno), _) => errno.raw(),
        (None, ErrorKind::NotFound) => libc::ENOENT,
        (None, ErrorKind::Corrupt) => libc::EIO,
        (None, _) => libc::EINVAL,
    };
    alsa_error(py, &error.to_string(), errno)
}

/// Turns results of `consort-seq` into results that raise Python exceptions.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for consort_seq::Result<T> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception_for(py, &error))
    }
}
