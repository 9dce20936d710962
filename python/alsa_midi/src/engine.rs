//! The choice of a sequencer: the kernel's, or one inside this process.

use std::time::Duration;

use consort_seq::engine::{ClockKind, Embedded};
use consort_seq::{Engine, Errno};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors;

/// A sequencer inside this process, independent of the kernel. It lets MIDI programs be tested
/// anywhere.
///
/// Clients opened with the same `EmbeddedEngine` see each other, System and Midi Through.
/// `clock="real"` follows the system's clock; with `clock="virtual"`, time passes only in
/// `advance`, `advance_to_next` and `run_until_idle`.
#[pyclass(module = "alsa_midi", frozen)]
pub(crate) struct EmbeddedEngine {
    engine: Embedded,
}

/// A number of seconds from Python as a duration. `name` is the argument's name in errors.
fn duration_from_seconds(seconds: f64, name: &str) -> PyResult<Duration> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err(format!("{name} is NaN; expected seconds")));
    }
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyOverflowError::new_err(format!("{name} is {seconds}; expected 0 s or more")))
}

#[pymethods]
impl EmbeddedEngine {
    #[new]
    #[pyo3(signature = (clock = "real"))]
    fn __new__(clock: &str) -> PyResult<Self> {
        let clock = match clock {
            "real" => ClockKind::Real,
            "virtual" => ClockKind::Virtual,
            other => {
                return Err(PyValueError::new_err(format!(
                    "clock is {other:?}; expected \"real\" or \"virtual\""
                )));
            }
        };
        Ok(Self { engine: Embedded::new(clock) })
    }

    /// The engine that the whole process shares, which `CONSORT_SEQ=embedded` selects.
    #[staticmethod]
    fn process_wide() -> Self {
        Self { engine: Embedded::process_wide() }
    }

    /// `"real"` or `"virtual"`.
    #[getter]
    fn clock(&self) -> &'static str {
        match self.engine.clock() {
            ClockKind::Real => "real",
            ClockKind::Virtual => "virtual",
        }
    }

    /// Seconds since the engine was created.
    #[getter]
    fn now(&self) -> f64 {
        self.engine.now().as_secs_f64()
    }

    /// Seconds from now until the next event is due, or `None` if no event is scheduled.
    #[getter]
    fn next_due(&self) -> Option<f64> {
        self.engine.next_due().map(|due| due.as_secs_f64())
    }

    /// Advances virtual time by a number of seconds, and delivers the events that become due.
    fn advance(&self, py: Python<'_>, duration: f64) -> PyResult<()> {
        let duration = duration_from_seconds(duration, "duration")?;
        py.detach(|| self.engine.advance(duration));
        Ok(())
    }

    /// Advances virtual time to the next scheduled event. Returns the seconds that have passed, or
    /// `None` if no event is scheduled.
    fn advance_to_next(&self, py: Python<'_>) -> Option<f64> {
        py.detach(|| self.engine.advance_to_next()).map(|passed| passed.as_secs_f64())
    }

    /// Advances virtual time until no event is scheduled. Returns the seconds that have passed.
    fn run_until_idle(&self, py: Python<'_>) -> f64 {
        py.detach(|| self.engine.run_until_idle()).as_secs_f64()
    }

    /// Clients, ports and connections, in the format of `/proc/asound/seq/clients`.
    fn clients_listing(&self) -> String {
        self.engine.clients_listing()
    }

    /// Queues, in the format of `/proc/asound/seq/queues`.
    fn queues_listing(&self) -> String {
        self.engine.queues_listing()
    }

    fn __repr__(&self) -> String {
        format!("<EmbeddedEngine clock={}>", self.clock())
    }
}

/// The engine for an argument `engine`; without one, the engine that the environment selects.
pub(crate) fn engine_for(py: Python<'_>, engine: Option<&Bound<'_, PyAny>>) -> PyResult<Engine> {
    let Some(engine) = engine else {
        return Engine::from_environment().map_err(|error| {
            let errno = error.errno().map_or(libc::EINVAL, Errno::raw);
            errors::alsa_error(py, &error.to_string(), errno)
        });
    };
    if let Ok(engine) = engine.cast::<EmbeddedEngine>() {
        return Ok(Engine::Embedded(engine.get().engine.clone()));
    }
    let Ok(name) = engine.cast::<PyString>() else {
        return Err(PyTypeError::new_err(unknown_engine(&engine.repr()?.to_string_lossy())));
    };
    match name.to_cow()?.as_ref() {
        "kernel" => Ok(Engine::kernel()),
        "embedded" => Ok(Engine::Embedded(Embedded::process_wide())),
        other => Err(PyValueError::new_err(unknown_engine(&format!("{other:?}")))),
    }
}

fn unknown_engine(engine: &str) -> String {
    format!("engine is {engine}; expected \"kernel\", \"embedded\" or an EmbeddedEngine")
}
