//! `Client`: the connection to the sequencer that both Python classes of clients extend.
//!
//! The methods are in three files: opening, closing and input here, output in `output`, and the
//! requests about clients, ports, queues and pools in `requests`. Requests return plain tuples or
//! `PortInfo` objects, from which the Python part creates the objects that programs see.

mod output;
mod requests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use consort_seq::{ClientBuilder, OpenMode, SequencerClient};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

pub(crate) use self::output::PendingOutput;
use self::output::{Direction, wait};
use crate::engine;
use crate::errors::{self, OrRaise};
use crate::event::{self, Event, Routing};
use crate::integers::integer;

/// The connection to the sequencer.
///
/// Methods may be called from any thread, and by several threads at once. Methods that wait let
/// other threads run; signals and `close` end the wait.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
pub(crate) struct Client {
    sequencer: OnceLock<Arc<SequencerClient>>,
    /// Whether output may block the thread; set when the client is opened.
    may_block: OnceLock<bool>,
}

/// A timeout from Python: without a limit if it is `None`, and zero if it is negative.
fn timeout_from_python(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout else { return Ok(None) };
    let Ok(seconds) = timeout.extract::<f64>() else {
        return Err(PyTypeError::new_err(format!(
            "timeout is {}; expected a number of seconds or None",
            timeout.repr()?
        )));
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout is NaN; expected a number of seconds or None"));
    }
    Ok(Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

impl Client {
    /// The connection; raises `StateError` before the client is opened.
    pub(crate) fn sequencer(&self, py: Python<'_>) -> PyResult<&Arc<SequencerClient>> {
        self.sequencer
            .get()
            .ok_or_else(|| errors::state_error(py, "the client has not been opened: call __init__"))
    }

    /// The next event, or `None` if none has arrived.
    fn try_input<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        let client = self.sequencer(py)?;
        let Some(received) = client.try_event_input().or_raise(py)? else { return Ok(None) };
        if prefer_bytes && let Some(bytes) = client.decode_midi_bytes(&received) {
            return event::midi_bytes_from_sequencer(py, &received, &bytes).map(Some);
        }
        event::from_sequencer(py, &received).map(Some)
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { sequencer: OnceLock::new(), may_block: OnceLock::new() }
    }

    /// Opens the client; returns its number.
    fn _open(
        &self,
        py: Python<'_>,
        name: &str,
        streams: &Bound<'_, PyAny>,
        engine: Option<&Bound<'_, PyAny>>,
        may_block: bool,
    ) -> PyResult<u8> {
        let mode = match integer(streams, "streams", i32::MIN.into(), i32::MAX.into())? {
            1 => OpenMode::Output,
            2 => OpenMode::Input,
            3 => OpenMode::Duplex,
            other => {
                return Err(PyValueError::new_err(format!(
                    "streams is {other}; expected StreamOpenType.OUTPUT, INPUT or DUPLEX (1 to 3)"
                )));
            }
        };
        let engine = engine::engine_for(py, engine)?;
        let client = ClientBuilder::new(name).streams(mode).engine(engine).open().or_raise(py)?;
        let number = client.client_id();
        if self.sequencer.set(Arc::new(client)).is_err() {
            return Err(errors::state_error(py, "the client is already open"));
        }
        let _ = self.may_block.set(may_block);
        Ok(number)
    }

    /// Closes the client with its ports and queues. Threads that wait get a `StateError`.
    fn _close(&self) {
        if let Some(client) = self.sequencer.get() {
            client.close();
        }
    }

    /// Whether the client is closed, or not open yet.
    #[getter]
    fn _closed(&self) -> bool {
        self.sequencer.get().is_none_or(|client| client.is_closed())
    }

    /// The file descriptor to wait on.
    fn _descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        self.sequencer(py)?.descriptor().or_raise(py)
    }

    /// Waits for the next event and returns it, or returns `None` after `timeout` seconds. With a
    /// `timeout` of 0, it does not wait. With `prefer_bytes`, an event that has a form in MIDI bytes
    /// is returned as a `MidiBytesEvent`.
    #[pyo3(signature = (prefer_bytes = false, timeout = None))]
    fn event_input<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        let timeout = timeout_from_python(timeout)?;
        if let Some(event) = self.try_input(py, prefer_bytes)? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let client = Arc::clone(self.sequencer(py)?);
        loop {
            let is_ready = wait(py, &client, Direction::Read, deadline)?;
            if let Some(event) = self.try_input(py, prefer_bytes)? {
                return Ok(Some(event));
            }
            if !is_ready {
                return Ok(None);
            }
        }
    }

    /// The next event, or `None` if none has arrived.
    fn _try_event_input<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        self.try_input(py, prefer_bytes)
    }

    /// A received event as a `MidiBytesEvent`, or the event itself if it has no form in MIDI bytes.
    fn _as_bytes<'py>(
        &self,
        py: Python<'py>,
        event: Bound<'py, Event>,
    ) -> PyResult<Bound<'py, Event>> {
        let client = self.sequencer(py)?;
        let mut converted = None;
        event::to_sequencer(
            &*event.try_borrow()?,
            py,
            &Routing::default(),
            |_, _| {},
            |event| {
                converted = Some(event);
                Ok(())
            },
        )?;
        match converted.map(|received| (client.decode_midi_bytes(&received), received)) {
            Some((Some(bytes), received)) => {
                event::midi_bytes_from_sequencer(py, &received, &bytes)
            }
            _ => Ok(event),
        }
    }

    /// The number of bytes in the input buffer. If it is empty and `fetch_sequencer` is set, reads
    /// from the sequencer and returns the number of events.
    #[pyo3(signature = (fetch_sequencer = false))]
    fn event_input_pending(&self, py: Python<'_>, fetch_sequencer: bool) -> PyResult<usize> {
        self.sequencer(py)?.event_input_pending(fetch_sequencer).or_raise(py)
    }

    /// Discards the contents of the input buffer.
    fn drop_input_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_input_buffer().or_raise(py)
    }

    /// Discards all input, in the input buffer and in the sequencer.
    fn drop_input(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_input().or_raise(py)
    }
}
