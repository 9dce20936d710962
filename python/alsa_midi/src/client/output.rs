//! Output of events: through the output buffer or directly, and waiting for room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_seq::client::RoomWait;
use consort_seq::{Address, Errno, SequencerClient, Waited, raw};
use parking_lot::Mutex;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;

use super::Client;
use crate::errors::{self, OrRaise};
use crate::event::{self, Event, Routing};
use crate::integers::integer;

/// How long `sync_output_queue` waits before it checks for signals.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How an event is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OutputMode {
    /// Into the output buffer, which is written if it is full.
    Buffered,
    /// Directly to the sequencer, bypassing the output buffer.
    Direct,
    /// Into the output buffer, which is never written.
    BufferOnly,
}

/// The direction in which a client waits for the sequencer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

/// The events of one output that still have to be written when there is room.
#[pyclass(module = "alsa_midi._core", frozen)]
pub(crate) struct PendingOutput {
    state: Mutex<PendingState>,
    mode: OutputMode,
}

/// The progress of a [`PendingOutput`].
struct PendingState {
    events: std::vec::IntoIter<consort_seq::Event>,
    /// The result of the last event that has been written.
    result: usize,
}

impl PendingOutput {
    /// Writes events until there is no room. Returns the result of the output, or `None` if events
    /// remain. An event that fails is skipped.
    fn resume(&self, client: &SequencerClient) -> consort_seq::Result<Option<usize>> {
        let mut state = self.state.lock();
        while let Some(event) = state.events.as_slice().first() {
            match try_output(client, self.mode, event) {
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

/// Waits until the client is readable or writable, without holding the interpreter's lock. Returns
/// `false` if the deadline has passed. Signal handlers run; if one of them raises an
/// exception, the wait ends.
pub(super) fn wait(
    py: Python<'_>,
    client: &SequencerClient,
    direction: Direction,
    deadline: Option<Instant>,
) -> PyResult<bool> {
    loop {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let waited = py.detach(|| match direction {
            Direction::Read => client.wait_readable(remaining),
            Direction::Write => client.wait_writable(remaining),
        });
        match waited.or_raise(py)? {
            Waited::Ready => return Ok(true),
            Waited::TimedOut => return Ok(false),
            Waited::Interrupted => py.check_signals()?,
        }
    }
}

/// Waits until a blocked output should try again. `written` is a count that has changed if the last
/// attempt made progress.
fn wait_for_room(
    py: Python<'_>,
    client: &SequencerClient,
    room: &mut RoomWait,
    written: u64,
) -> PyResult<()> {
    if let Some(pause) = room.pause_after(client, written).or_raise(py)? {
        py.detach(|| std::thread::sleep(pause));
        py.check_signals()?;
    }
    wait(py, client, Direction::Write, None).map(|_| ())
}

/// One attempt to output an event. Returns the result of the output, or `None` if there is no room.
#[inline]
fn try_output(
    client: &SequencerClient,
    mode: OutputMode,
    event: &consort_seq::Event,
) -> consort_seq::Result<Option<usize>> {
    match mode {
        OutputMode::Buffered => client.try_event_output(event, ()),
        OutputMode::Direct => client.try_event_output_direct(event, ()),
        OutputMode::BufferOnly => client.event_output_buffer(event, ()).map(Some),
    }
}

/// Outputs an event and waits for room as long as necessary.
fn output_blocking(
    py: Python<'_>,
    client: &SequencerClient,
    mode: OutputMode,
    event: &consort_seq::Event,
) -> PyResult<usize> {
    let mut room = RoomWait::new();
    loop {
        if let Some(bytes) = try_output(client, mode, event).or_raise(py)? {
            return Ok(bytes);
        }
        // An event is written as a whole, so a blocked attempt has written nothing.
        wait_for_room(py, client, &mut room, 0)?;
    }
}

impl Client {
    /// Starts an output and writes events until there is no room. Returns the result so far and the
    /// events that remain. With `must_wait`, all events remain.
    fn start_output(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        routing: &Routing,
        mode: OutputMode,
        must_wait: bool,
    ) -> PyResult<(usize, Vec<consort_seq::Event>)> {
        let client = self.sequencer(py)?;
        let Ok(event) = event.cast::<Event>() else {
            return Err(PyAttributeError::new_err(format!(
                "event is {}; expected an alsa_midi.Event",
                event.repr()?
            )));
        };
        let mut result = None;
        let mut remaining = Vec::new();
        event::to_sequencer(
            &*event.try_borrow()?,
            py,
            routing,
            |bytes, sink| client.encode_midi_bytes(bytes, sink),
            |event| {
                if !must_wait
                    && remaining.is_empty()
                    && let Some(bytes) = try_output(client, mode, &event).or_raise(py)?
                {
                    result = Some(bytes);
                    return Ok(());
                }
                remaining.push(event);
                Ok(())
            },
        )?;
        // The event was NONE or an incomplete MIDI message, so the buffer is unchanged.
        let unchanged =
            || if mode == OutputMode::Direct { 0 } else { client.event_output_pending() };
        Ok((result.unwrap_or_else(unchanged), remaining))
    }

    /// Outputs an event and waits for room as long as necessary.
    fn output(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        routing: &Routing,
        mode: OutputMode,
    ) -> PyResult<usize> {
        let (mut result, remaining) = self.start_output(py, event, routing, mode, false)?;
        for event in &remaining {
            result = output_blocking(py, self.sequencer(py)?, mode, event)?;
        }
        Ok(result)
    }
}

#[pymethods]
impl Client {
    /// Puts an event into the output buffer. If the buffer is full, it is written first, which may
    /// wait for room. Returns the number of bytes in the buffer.
    ///
    /// `queue`, `port` and `dest` override the attributes of the event. Without them, an event is
    /// delivered immediately, to all subscribers of port 0.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Routing::new(queue, port, dest)?, OutputMode::Buffered)
    }

    /// Puts an event into the output buffer without ever writing the buffer. Raises `ALSAError`
    /// with the `errnum` `-errno.EAGAIN` if the buffer is full. Returns the number of bytes in the
    /// buffer.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output_buffer(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Routing::new(queue, port, dest)?, OutputMode::BufferOnly)
    }

    /// Writes an event directly to the sequencer, bypassing the output buffer. Waits for room if
    /// necessary. Returns the number of bytes written.
    #[pyo3(signature = (event, queue = None, port = None, dest = None))]
    fn event_output_direct(
        &self,
        py: Python<'_>,
        event: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        self.output(py, event, &Routing::new(queue, port, dest)?, OutputMode::Direct)
    }

    /// Starts an output without waiting. Returns its result, or a `PendingOutput` if events remain.
    /// With `must_wait` nothing is written, because other outputs come first.
    #[allow(clippy::too_many_arguments)] // the arguments of an output, and its mode
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
        let mode = if direct { OutputMode::Direct } else { OutputMode::Buffered };
        let routing = Routing::new(queue, port, dest)?;
        let (result, remaining) = self.start_output(py, event, &routing, mode, must_wait)?;
        if remaining.is_empty() {
            return Ok(result.into_pyobject(py)?.into_any());
        }
        let state = Mutex::new(PendingState { events: remaining.into_iter(), result });
        Ok(Bound::new(py, PendingOutput { state, mode })?.into_any())
    }

    /// Continues an output without waiting. Returns its result, or `None` if events remain.
    fn _continue_output(&self, py: Python<'_>, output: &PendingOutput) -> PyResult<Option<usize>> {
        let client = self.sequencer(py)?;
        let result = output.resume(client).or_raise(py)?;
        if result.is_none() {
            client.check_receiver().or_raise(py)?;
        }
        Ok(result)
    }

    /// Writes the output buffer, and waits for room as long as necessary. Returns the number of
    /// bytes that remain, which is 0.
    fn drain_output(&self, py: Python<'_>) -> PyResult<usize> {
        let client = Arc::clone(self.sequencer(py)?);
        let mut room = RoomWait::new();
        loop {
            let remaining = client.try_drain_output().or_raise(py)?;
            if remaining == 0 {
                return Ok(0);
            }
            // The buffer shrinks as it is written, so this count grows with progress.
            wait_for_room(py, &client, &mut room, u64::MAX - remaining as u64)?;
        }
    }

    /// Writes as much of the output buffer as there is room for. Returns the number of bytes that
    /// remain.
    fn _try_drain_output(&self, py: Python<'_>) -> PyResult<usize> {
        let client = self.sequencer(py)?;
        let remaining = client.try_drain_output().or_raise(py)?;
        if remaining > 0 {
            client.check_receiver().or_raise(py)?;
        }
        Ok(remaining)
    }

    /// The number of bytes in the output buffer.
    fn event_output_pending(&self, py: Python<'_>) -> PyResult<usize> {
        let client = self.sequencer(py)?;
        // For a closed client, the library returns 0; Python programs get an exception.
        client.connection().or_raise(py)?;
        Ok(client.event_output_pending())
    }

    /// Removes the first event from the output buffer and returns it. Raises `ALSAError` with the
    /// `errnum` `-errno.ENOENT` if the buffer is empty.
    fn extract_output<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Event>> {
        match self.sequencer(py)?.extract_output().or_raise(py)? {
            Some(event) => event::from_sequencer(py, &event),
            None => Err(errors::alsa_error(
                py,
                "extract_output failed: the output buffer is empty (ENOENT)",
                Errno::NOT_FOUND.raw(),
            )),
        }
    }

    /// Discards the contents of the output buffer.
    fn drop_output_buffer(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_output_buffer().or_raise(py)
    }

    /// Discards the contents of the output buffer and this client's events in queues.
    fn drop_output(&self, py: Python<'_>) -> PyResult<()> {
        self.sequencer(py)?.drop_output().or_raise(py)
    }

    /// Waits until all events that this client has written have been delivered, including those in
    /// queues.
    fn sync_output_queue(&self, py: Python<'_>) -> PyResult<()> {
        let client = Arc::clone(self.sequencer(py)?);
        // The wait is split into intervals, so that Ctrl-C can end it.
        let interval = Some(SIGNAL_CHECK_INTERVAL);
        while !py.detach(|| client.sync_output_queue_timeout(interval)).or_raise(py)? {
            py.check_signals()?;
        }
        Ok(())
    }

    /// Puts a control event for a queue into the output buffer.
    fn _queue_control(
        &self,
        py: Python<'_>,
        queue: &Bound<'_, PyAny>,
        kind: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let queue = integer(queue, "queue", 0, 255)? as u8;
        let value = integer(value, "value", i32::MIN.into(), i32::MAX.into())? as i32;
        let kind = integer(kind, "event_type", 0, 255)? as u8;
        let data = raw::EventData::from_queue_control(raw::QueueControlData {
            queue,
            param: [value.cast_unsigned(), 0],
            ..raw::QueueControlData::default()
        });
        let event = consort_seq::Event::from_raw(
            raw::Event {
                kind,
                queue: consort_seq::QUEUE_DIRECT,
                dest: Address::SYSTEM_TIMER.into(),
                data,
                ..raw::Event::default()
            },
            Vec::new(),
        );
        let client = Arc::clone(self.sequencer(py)?);
        if self.may_block.get() == Some(&true) {
            return output_blocking(py, &client, OutputMode::Buffered, &event).map(|_| ());
        }
        match client.try_event_output(&event, ()).or_raise(py)? {
            Some(_) => Ok(()),
            None => Err(errors::alsa_error(
                py,
                "the output buffer is full (EAGAIN): await drain_output() first",
                Errno::WOULD_BLOCK.raw(),
            )),
        }
    }
}
