//! Clients: input and output of events.
//!
//! What is asked for often is here in full; what is asked for seldom stands in `inquiries`, as
//! plain tuples of which the Python part makes its objects.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use consort_seq::{
    Address, ClientBuilder, Errno, EventType, OpenMode, Routing, SequencerClient, Waited, raw,
};
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::{self, IntoPyResult};
use crate::event::{self, Event, Target};
use crate::integers::{I32, U8};
use crate::{engine, inquiries, registry};

/// How long to stay away from a sequencer that says it has room and yet takes nothing.
const BACK_OFF: Duration = Duration::from_millis(1);

/// What both kinds of client share: the connection to the sequencer.
///
/// Methods may be called from any thread, several at once; those that wait let other threads
/// run, and are ended by signals and by `close`.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
pub(crate) struct Client {
    sequencer: OnceLock<Arc<SequencerClient>>,
    may_block: OnceLock<bool>,
}

/// Events on their way out that have to wait for room: what is left of one output.
#[pyclass(module = "alsa_midi._core", frozen)]
pub(crate) struct Outgoing {
    state: Mutex<OutgoingState>,
    way: Way,
}

struct OutgoingState {
    events: std::vec::IntoIter<consort_seq::Event>,
    result: usize,
}

impl Outgoing {
    fn go_on(&self, client: &SequencerClient) -> consort_seq::Result<Option<usize>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(event) = state.events.as_slice().first() {
            match put(client, self.way, event) {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) => state.result = bytes,
                Err(error) => {
                    state.events.next();
                    return Err(error);
                }
            }
            state.events.next();
        }
        Ok(Some(state.result))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Through the output buffer.
    Buffered,
    /// Past it.
    Direct,
    /// Into the output buffer, and no further.
    BufferOnly,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
}

/// Waits for the sequencer without holding the interpreter's lock: the one place that does.
/// `false`: the time is over.
fn wait(
    py: Python<'_>,
    client: &SequencerClient,
    direction: Direction,
    deadline: Option<Instant>,
) -> PyResult<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let waited = py.detach(|| match direction {
            Direction::Read => client.wait_readable(left),
            Direction::Write => client.wait_writable(left),
        });
        match waited.py(py)? {
            Waited::Ready => return Ok(true),
            Waited::TimedOut => return Ok(false),
            Waited::Interrupted => py.check_signals()?,
        }
    }
}

fn pause(py: Python<'_>) -> PyResult<()> {
    py.detach(|| std::thread::sleep(BACK_OFF));
    py.check_signals()
}

/// One step of an output: the bytes, or `None` if there is no room.
#[inline]
fn put(
    client: &SequencerClient,
    way: Way,
    event: &consort_seq::Event,
) -> consort_seq::Result<Option<usize>> {
    match way {
        Way::Buffered => client.try_event_output(event, ()),
        Way::Direct => client.try_event_output_direct(event, ()),
        Way::BufferOnly => client.event_output_buffer(event, ()).map(Some),
    }
}

fn put_waiting(
    py: Python<'_>,
    client: &SequencerClient,
    way: Way,
    event: &consort_seq::Event,
) -> PyResult<usize> {
    let mut stuck = false;
    loop {
        if let Some(bytes) = put(client, way, event).py(py)? {
            return Ok(bytes);
        }
        if stuck {
            pause(py)?;
        }
        wait(py, client, Direction::Write, None)?;
        stuck = true;
    }
}

/// A time-out as Python gives it: `None` for ever, what is not above 0 not at all.
fn time_out(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
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
    /// The connection; `StateError` before it is opened.
    pub(crate) fn sequencer(&self, py: Python<'_>) -> PyResult<&Arc<SequencerClient>> {
        self.sequencer
            .get()
            .ok_or_else(|| errors::state_error(py, "the client has not been opened: call __init__"))
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        let client = self.sequencer(py)?;
        let Some(received) = client.try_event_input().py(py)? else { return Ok(None) };
        if prefer_bytes && let Some(bytes) = client.decode_midi_bytes(&received) {
            return event::midi_bytes_from_sequencer(py, &received, &bytes).map(Some);
        }
        event::from_sequencer(py, &received).map(Some)
    }

    /// The events that one output makes, without those that went at once; whether to wait for
    /// room is the caller's business.
    fn start(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        target: &Target,
        way: Way,
    ) -> PyResult<(usize, Vec<consort_seq::Event>)> {
        let client = self.sequencer(py)?;
        let Ok(event) = event.cast::<Event>() else {
            return Err(PyAttributeError::new_err(format!(
                "event is {}; expected an alsa_midi.Event",
                event.repr()?
            )));
        };
        let mut result = None;
        let mut left = Vec::new();
        event::to_sequencer(
            &*event.try_borrow()?,
            py,
            target,
            |bytes, sink| client.encode_midi_bytes(bytes, sink),
            |event| {
                if left.is_empty()
                    && let Some(bytes) = put(client, way, &event).py(py)?
                {
                    result = Some(bytes);
                    return Ok(());
                }
                left.push(event);
                Ok(())
            },
        )?;
        // No event, or part of one: what waits in the buffer is the same as before.
        let none = || if way == Way::Direct { 0 } else { client.event_output_pending() };
        Ok((result.unwrap_or_else(none), left))
    }

    fn output(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        target: &Target,
        way: Way,
    ) -> PyResult<usize> {
        let (mut result, left) = self.start(py, event, target, way)?;
        for event in &left {
            result = put_waiting(py, self.sequencer(py)?, way, event)?;
        }
        Ok(result)
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
        streams: I32,
        engine: Option<&Bound<'_, PyAny>>,
        may_block: bool,
    ) -> PyResult<u8> {
        let mode = match streams.0 {
            1 => OpenMode::Output,
            2 => OpenMode::Input,
            3 => OpenMode::Duplex,
            other => {
                return Err(PyValueError::new_err(format!(
                    "streams is {other}; expected StreamOpenType.OUTPUT, INPUT or DUPLEX (1 to 3)"
                )));
            }
        };
        let engine = engine::choose(py, engine)?;
        let client = ClientBuilder::new(name).streams(mode).engine(engine).open().py(py)?;
        let number = client.client_id();
        if self.sequencer.set(Arc::new(client)).is_err() {
            return Err(errors::state_error(py, "the client is open already"));
        }
        let _ = self.may_block.set(may_block);
        Ok(number)
    }

    /// Ends the client: its ports and queues go, and whoever waits gets a `StateError`.
    fn _close(&self) {
        if let Some(client) = self.sequencer.get() {
            client.close();
        }
    }

    /// Whether the client has been closed.
    #[getter]
    fn _closed(&self) -> bool {
        self.sequencer.get().is_none_or(|client| client.is_closed())
    }

    /// The descriptor to wait on.
    fn _descriptor(&self, py: Python<'_>) -> PyResult<i32> {
        self.sequencer(py)?.descriptor().py(py)
    }

    // ---- input ----

    /// Waits for the next event and returns it; `None` when `timeout` (in seconds) is over. With
    /// a `timeout` of 0 it does not wait. With `prefer_bytes` events that MIDI has come as
    /// `MidiBytesEvent`.
    #[pyo3(signature = (prefer_bytes = false, timeout = None))]
    fn event_input<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        let timeout = time_out(timeout)?;
        if let Some(event) = self.take(py, prefer_bytes)? {
            return Ok(Some(event));
        }
        if timeout == Some(Duration::ZERO) {
            return Ok(None);
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let client = Arc::clone(self.sequencer(py)?);
        loop {
            let in_time = wait(py, &client, Direction::Read, deadline)?;
            if let Some(event) = self.take(py, prefer_bytes)? {
                return Ok(Some(event));
            }
            if !in_time {
                return Ok(None);
            }
        }
    }

    /// The next event, or `None` if there is none now.
    fn _try_event_input<'py>(
        &self,
        py: Python<'py>,
        prefer_bytes: bool,
    ) -> PyResult<Option<Bound<'py, Event>>> {
        self.take(py, prefer_bytes)
    }

    /// A received event as its MIDI bytes; itself if MIDI has none.
    fn _as_bytes<'py>(
        &self,
        py: Python<'py>,
        event: Bound<'py, Event>,
    ) -> PyResult<Bound<'py, Event>> {
        let client = self.sequencer(py)?;
        let mut plain = None;
        event::to_sequencer(
            &*event.try_borrow()?,
            py,
            &Target::default(),
            |_, _| {},
            |event| {
                plain = Some(event);
                Ok(())
            },
        )?;
        match plain.map(|plain| (client.decode_midi_bytes(&plain), plain)) {
            Some((Some(bytes), plain)) => event::midi_bytes_from_sequencer(py, &plain, &bytes),
            _ => Ok(event),
        }
    }

    /// Bytes that wait in the input buffer; if there are none and `fetch_sequencer` is set, reads
    /// from the sequencer and returns the number of events.
    #[pyo3(signature = (fetch_sequencer = false))]
    fn event_input_pending(&self, py: Python<'_>, fetch_sequencer: bool) -> PyResult<usize> {
        self.sequencer(py)?.event_input_pending(fetch_sequencer).py(py)
    }

    // ---- output ----

    /// Puts an event into the output buffer, which is written first if it is full; that may wait
    /// for room. Returns the bytes that the buffer holds then.
    ///
    /// `queue`, `port` and `dest` take the place of the event's own; without any, an event is
    /// delivered at once, to all subscribers of port 0.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Target::new(queue, port, dest)?, Way::Buffered)
    }

    /// Puts an event into the output buffer, and never writes; `ALSAError` with `errnum`
    /// `-errno.EAGAIN` when the buffer is full. Returns the bytes that the buffer holds then.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output_buffer(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Target::new(queue, port, dest)?, Way::BufferOnly)
    }

    /// Writes an event to the sequencer at once, past the output buffer, waiting for room if need
    /// be. Returns the bytes written.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output_direct(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Target::new(queue, port, dest)?, Way::Direct)
    }

    /// Begins an output without waiting: its result, or what is left of it.
    #[allow(clippy::too_many_arguments)] // those of an output, and how it is done
    fn _start_output<'py>(
        &self,
        py: Python<'py>,
        event: &Bound<'py, PyAny>,
        queue: Option<&Bound<'py, PyAny>>,
        port: Option<&Bound<'py, PyAny>>,
        dest: Option<&Bound<'py, PyAny>>,
        direct: bool,
        must_wait: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let way = if direct { Way::Direct } else { Way::Buffered };
        let target = Target::new(queue, port, dest)?;
        let (result, left) = if must_wait {
            // Others wait already: take the place behind them.
            let mut left = Vec::new();
            let client = self.sequencer(py)?;
            let event = event.cast::<Event>().map_err(PyErr::from)?;
            event::to_sequencer(
                &*event.try_borrow()?,
                py,
                &target,
                |bytes, sink| client.encode_midi_bytes(bytes, sink),
                |event| {
                    left.push(event);
                    Ok(())
                },
            )?;
            (0, left)
        } else {
            self.start(py, event, &target, way)?
        };
        if left.is_empty() {
            return Ok(result.into_pyobject(py)?.into_any());
        }
        let state = Mutex::new(OutgoingState { events: left.into_iter(), result });
        Ok(Bound::new(py, Outgoing { state, way })?.into_any())
    }

    /// Goes on with an output without waiting: its result, or `None` if there is no room yet.
    fn _continue_output(&self, py: Python<'_>, outgoing: &Outgoing) -> PyResult<Option<usize>> {
        let client = self.sequencer(py)?;
        outgoing.go_on(client).py(py)
    }

    /// Writes what is in the output buffer, waiting for room as long as it takes. Returns the
    /// bytes that remain: 0.
    fn drain_output(&self, py: Python<'_>) -> PyResult<usize> {
        let client = Arc::clone(self.sequencer(py)?);
        let mut stuck = None;
        loop {
            let left = client.try_drain_output().py(py)?;
            if left == 0 {
                return Ok(0);
            }
            if stuck == Some(left) {
                pause(py)?;
            }
            stuck = Some(left);
            wait(py, &client, Direction::Write, None)?;
        }
    }

    /// Writes as much of the output buffer as there is room for; returns the bytes that remain.
    fn _try_drain_output(&self, py: Python<'_>) -> PyResult<usize> {
        self.sequencer(py)?.try_drain_output().py(py)
    }

    /// Bytes that wait in the output buffer.
    fn event_output_pending(&self, py: Python<'_>) -> PyResult<usize> {
        let client = self.sequencer(py)?;
        // The library answers 0 for a closed client.
        client.connection().py(py)?;
        Ok(client.event_output_pending())
    }

    /// Takes the first event out of the output buffer and returns it; `ALSAError` with `errnum`
    /// `-errno.ENOENT` if the buffer is empty.
    fn extract_output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Event>> {
        match self.sequencer(py)?.extract_output().py(py)? {
            Some(event) => event::from_sequencer(py, &event),
            None => Err(errors::alsa_error(
                py,
                "extract_output failed: the output buffer is empty (ENOENT)".to_owned(),
                Errno::NOT_FOUND.raw(),
            )),
        }
    }

    /// Forgets what waits in the output buffer.
    fn drop_output_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_output_buffer().py(py)
    }

    /// Forgets what waits in the output buffer and what this client has waiting in queues.
    fn drop_output(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_output().py(py)
    }

    /// Forgets what has been read into the input buffer.
    fn drop_input_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_input_buffer().py(py)
    }

    /// Forgets all input, here and in the sequencer.
    fn drop_input(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_input().py(py)
    }

    /// Waits until everything that this client has written has been delivered, what waits in
    /// queues included.
    fn sync_output_queue(&self, py: Python<'_>) -> PyResult<()> {
        let client = Arc::clone(self.sequencer(py)?);
        // In slices, so that Ctrl-C ends it.
        let slice = Some(Duration::from_millis(500));
        while !py.detach(|| client.sync_output_queue_timeout(slice)).py(py)? {
            py.check_signals()?;
        }
        Ok(())
    }

    /// Puts a control event for a queue into the output buffer.
    fn _queue_control(
        &self,
        py: Python<'_>,
        queue: U8,
        kind: &Bound<'_, PyAny>,
        value: I32,
    ) -> PyResult<()> {
        let kind = crate::integers::integer(kind, "event_type", 0, 255)? as u8;
        let data = raw::EventData::from_queue_control(raw::QueueControlData {
            queue: queue.0,
            param: [value.0.cast_unsigned(), 0],
            ..raw::QueueControlData::default()
        });
        let event = consort_seq::Event::from_raw(
            raw::Event {
                kind: EventType(kind).0,
                queue: consort_seq::QUEUE_DIRECT,
                dest: Address::SYSTEM_TIMER.into(),
                data,
                ..raw::Event::default()
            },
            Vec::new(),
        );
        let client = Arc::clone(self.sequencer(py)?);
        if self.may_block.get() == Some(&true) {
            return put_waiting(py, &client, Way::Buffered, &event).map(|_| ());
        }
        match client.try_event_output(&event, Routing::new()).py(py)? {
            Some(_) => Ok(()),
            None => Err(errors::alsa_error(
                py,
                "the output buffer is full (EAGAIN): await drain_output() first".to_owned(),
                Errno::WOULD_BLOCK.raw(),
            )),
        }
    }

    // ---- ports of all clients ----

    /// The ports that are asked for, as `PortInfo` objects.
    #[pyo3(signature = (input, output, r#type, include_system, include_midi_through,
        include_no_export, only_connectable, by_usefulness))]
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)] // of `list_ports`
    fn _list_ports<'py>(
        &self,
        py: Python<'py>,
        input: bool,
        output: bool,
        r#type: &Bound<'py, PyAny>,
        include_system: bool,
        include_midi_through: bool,
        include_no_export: bool,
        only_connectable: bool,
        by_usefulness: bool,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut options = consort_seq::ListPorts::new();
        let bits = crate::integers::integer(r#type, "type", 0, u32::MAX.into())?;
        options.input = input;
        options.output = output;
        options.port_type = consort_seq::PortType::from_bits_retain(bits as u32);
        options.include_system = include_system;
        options.include_midi_through = include_midi_through;
        options.include_no_export = include_no_export;
        options.only_connectable = only_connectable;
        if !by_usefulness {
            options.sort = consort_seq::PortSort::Address;
        }
        let ports = self.sequencer(py)?.list_ports(&options).py(py)?;
        let registry = registry::get(py)?;
        ports.iter().map(|info| inquiries::port_info(py, registry, info)).collect()
    }

    /// One inquiry of those in `inquiries`: its answer as plain Python objects.
    #[pyo3(signature = (name, *arguments))]
    fn _ask<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        inquiries::ask(py, self.sequencer(py)?, name, arguments)
    }
}
