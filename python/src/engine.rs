//! Engines: the kernel's sequencer, or one inside this process.

use std::time::Duration;

use consort_seq::Engine;
use consort_seq::engine::{ClockKind, Embedded};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors;

/// A sequencer inside this process, without the kernel: for tests of MIDI programs anywhere.
///
/// Clients opened with the same `EmbeddedEngine` see each other, System and Midi Through.
/// `clock="real"` follows the system's clock; with `clock="virtual"` time passes only by
/// `advance`, `advance_to_next` and `run_until_idle`.
#[pyclass(module = "alsa_midi", frozen)]
pub(crate) struct EmbeddedEngine {
    engine: Embedded,
}

/// A Python number of seconds as a duration.
pub(crate) fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    if value.is_nan() {
        return Err(PyValueError::new_err(format!("{name} is NaN; expected seconds")));
    }
    Duration::try_from_secs_f64(value)
        .map_err(|_| PyOverflowError::new_err(format!("{name} is {value}; expected 0 s or more")))
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

    /// The engine that all of this process shares: the one of `CONSORT_SEQ=embedded`.
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

    /// Seconds since the engine came to be.
    #[getter]
    fn now(&self) -> f64 {
        self.engine.now().as_secs_f64()
    }

    /// Seconds from now until the next event is due, or `None`.
    #[getter]
    fn next_due(&self) -> Option<f64> {
        self.engine.next_due().map(|due| due.as_secs_f64())
    }

    /// Lets virtual time pass, in seconds; what is due meanwhile is delivered.
    fn advance(&self, py: Python<'_>, duration: f64) -> PyResult<()> {
        let duration = seconds(duration, "duration")?;
        py.detach(|| self.engine.advance(duration));
        Ok(())
    }

    /// Lets virtual time pass to the next moment at which anything is due, and returns how many
    /// seconds that was; `None` if nothing waits.
    fn advance_to_next(&self, py: Python<'_>) -> Option<f64> {
        py.detach(|| self.engine.advance_to_next()).map(|passed| passed.as_secs_f64())
    }

    /// Lets virtual time pass until nothing waits, and returns how many seconds that was.
    fn run_until_idle(&self, py: Python<'_>) -> f64 {
        py.detach(|| self.engine.run_until_idle()).as_secs_f64()
    }

    /// Clients, ports and connections, in the form of `/proc/asound/seq/clients`.
    fn clients_listing(&self) -> String {
        self.engine.clients_listing()
    }

    /// Queues, in the form of `/proc/asound/seq/queues`.
    fn queues_listing(&self) -> String {
        self.engine.queues_listing()
    }

    fn __repr__(&self) -> String {
        format!("<EmbeddedEngine clock={}>", self.clock())
    }
}

/// The engine that an argument `engine` names; none: what the environment says.
pub(crate) fn choose(py: Python<'_>, engine: Option<&Bound<'_, PyAny>>) -> PyResult<Engine> {
    let Some(engine) = engine else {
        return Engine::from_environment().map_err(|error| {
            let errno = error.errno().map_or(libc::EINVAL, consort_seq::Errno::raw);
            errors::alsa_error(py, error.to_string(), errno)
        });
    };
    if let Ok(engine) = engine.cast::<EmbeddedEngine>() {
        return Ok(Engine::Embedded(engine.get().engine.clone()));
    }
    let Ok(name) = engine.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!(
            "engine is {}; expected \"kernel\", \"embedded\" or an EmbeddedEngine",
            engine.repr()?
        )));
    };
    match name.to_cow()?.as_ref() {
        "kernel" => Ok(Engine::kernel()),
        "embedded" => Ok(Engine::Embedded(Embedded::process_wide())),
        other => Err(PyValueError::new_err(format!(
            "engine is {other:?}; expected \"kernel\", \"embedded\" or an EmbeddedEngine"
        ))),
    }
}
