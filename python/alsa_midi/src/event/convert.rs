//! Conversion of events from Python to the sequencer and back.

use consort_seq::{Address, EventType, QUEUE_DIRECT, raw};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString};

use super::classes;
use super::{Event, Layout, Value};
use crate::address;
use crate::errors;
use crate::handles::{PortHandle, QueueHandle};
use crate::integers::{integer, shortened_repr, within};

const LENGTH_VARIABLE: u8 = raw::event_flag::LENGTH_VARIABLE;
const LENGTH_MASK: u8 = raw::event_flag::LENGTH_MASK;
const TIME_STAMP_REAL: u8 = raw::event_flag::TIME_STAMP_REAL;
const TIME_MODE_RELATIVE: u8 = raw::event_flag::TIME_MODE_RELATIVE;

/// Offset of an event's data in its cell.
const DATA_OFFSET: usize = 16;

/// The arguments `queue`, `port` and `dest` of an output, which override the event's attributes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Routing {
    queue: Option<u8>,
    port: Option<u8>,
    dest: Option<Address>,
}

/// An argument, unless it is `None`.
fn not_none<'a, 'py>(value: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none())
}

/// The number in an argument: the argument itself if it is an `int`, otherwise its attribute.
fn number_or_attribute(
    value: &Bound<'_, PyAny>,
    name: &str,
    attribute: &Bound<'_, PyString>,
) -> PyResult<u8> {
    let number = if value.is_instance_of::<PyInt>() {
        value.clone()
    } else {
        value.getattr_opt(attribute)?.ok_or_else(|| {
            PyAttributeError::new_err(format!(
                "{name} is {}; expected a number or an object with '{attribute}'",
                shortened_repr(value)
            ))
        })?
    };
    Ok(integer(&number, name, 0, 255)? as u8)
}

impl Routing {
    #[inline]
    pub(crate) fn new(
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let queue = not_none(queue).map(queue_number).transpose()?;
        let port = not_none(port).map(port_number).transpose()?;
        let dest = not_none(dest).map(|dest| address::address(dest, "dest")).transpose()?;
        Ok(Self { queue, port, dest })
    }
}

/// The number of a queue, which is a number or an object with `queue_id`.
fn queue_number(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    if let Ok(handle) = value.cast::<QueueHandle>() {
        return handle.get().number(value.py());
    }
    number_or_attribute(value, "queue", intern!(value.py(), "queue_id"))
}

/// The number of a port, which is a number or an object with `port_id`.
fn port_number(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    if let Ok(handle) = value.cast::<PortHandle>()
        && let Some((_, port)) = handle.get().address()
    {
        return Ok(port);
    }
    number_or_attribute(value, "port", intern!(value.py(), "port_id"))
}

/// The bytes of an attribute; none if it is `None`.
fn bytes_of(py: Python<'_>, value: &Value, name: &str) -> PyResult<Vec<u8>> {
    match value {
        Value::PyNone => Ok(Vec::new()),
        Value::Raw(bytes) => Ok(bytes.to_vec()),
        Value::Object(object) => {
            let object = object.bind(py);
            if let Ok(bytes) = object.cast::<PyBytes>() {
                return Ok(bytes.as_bytes().to_vec());
            }
            let bytes = py.get_type::<PyBytes>().call1((object,))?;
            Ok(bytes.cast::<PyBytes>()?.as_bytes().to_vec())
        }
        _ => Err(PyTypeError::new_err(format!("{name} must be bytes"))),
    }
}

/// Everything of an event except its type and data. The events encoded from MIDI bytes share it.
#[inline]
fn envelope(event: &Event, py: Python<'_>, routing: &Routing) -> PyResult<raw::Event> {
    let mut flags = match event.flags {
        Value::Flags(flags) => flags,
        Value::PyNone => 0,
        ref other => other.byte(py, "flags")?,
    };
    let time = if let Some((seconds, nanoseconds)) = event.time.time(py, "time")? {
        flags |= TIME_STAMP_REAL;
        raw::Timestamp::from_real(raw::RealTime { seconds, nanoseconds })
    } else if !event.tick.is_none() {
        flags &= !TIME_STAMP_REAL;
        raw::Timestamp::from_tick(event.tick.unsigned(py, "tick")?)
    } else {
        raw::Timestamp::default()
    };
    match event.relative.truth(py)? {
        Some(true) => flags |= TIME_MODE_RELATIVE,
        Some(false) => flags &= !TIME_MODE_RELATIVE,
        None => {}
    }
    let queue = match routing.queue {
        Some(queue) => queue,
        None if event.queue_id.is_none() => QUEUE_DIRECT,
        None => event.queue_id.byte(py, "queue_id")?,
    };
    let port = match routing.port {
        Some(port) => port,
        None => match &event.source {
            Value::PyNone => 0,
            Value::Address(_, port) => *port,
            // Only the port counts; the sequencer sets the client.
            Value::Object(object) => {
                let (_, port) = address::address_pair(object.bind(py), None)?;
                within(port, "port of source", 0, 255)? as u8
            }
            other => other.address(py, "source")?.map_or(0, |source| source.port),
        },
    };
    let dest = match routing.dest {
        Some(dest) => dest,
        None => event.dest.address(py, "dest")?.unwrap_or(Address::SUBSCRIBERS),
    };
    Ok(raw::Event {
        kind: 0,
        flags,
        tag: event.tag.byte(py, "tag")?,
        queue,
        time,
        source: raw::Address::new(0, port),
        dest: dest.into(),
        data: raw::EventData::default(),
    })
}

/// The twelve bytes of data, and the data of variable length if the event has any.
fn payload(event: &Event, py: Python<'_>) -> PyResult<([u8; 12], Option<Vec<u8>>)> {
    let mut data = [0; 12];
    let field = &event.fields;
    let mut word =
        |offset: usize, word: u32| data[offset..offset + 4].copy_from_slice(&word.to_ne_bytes());
    match event.layout {
        Layout::Key | Layout::Note => {
            let mut head = [0; 4];
            head[0] = field[1].byte(py, "channel")?;
            head[1] = field[0].byte(py, "note")?;
            head[2] = field[2].byte(py, "velocity")?;
            if event.layout == Layout::Note {
                head[3] = field[4].byte(py, "off_velocity")?;
                word(4, field[3].unsigned(py, "duration")?);
            }
            data[..4].copy_from_slice(&head);
        }
        Layout::Control => {
            word(4, field[1].unsigned(py, "param")?);
            word(8, field[2].signed(py, "value")?.cast_unsigned());
            data[0] = field[0].byte(py, "channel")?;
        }
        Layout::Param => {
            word(8, field[1].signed(py, "value")?.cast_unsigned());
            data[0] = field[0].byte(py, "channel")?;
        }
        Layout::Queue
        | Layout::PositionTick
        | Layout::PositionTime
        | Layout::Tempo
        | Layout::Skew => {
            match event.layout {
                Layout::PositionTick => word(4, field[1].unsigned(py, "position")?),
                Layout::PositionTime => {
                    let (seconds, nanoseconds) = field[1].time(py, "position")?.unwrap_or_default();
                    word(4, seconds);
                    word(8, nanoseconds);
                }
                Layout::Tempo => {
                    word(4, field[1].signed(py, "midi_tempo")?.cast_unsigned());
                }
                Layout::Skew => {
                    word(4, field[1].unsigned(py, "value")?);
                    word(8, field[2].unsigned(py, "base")?);
                }
                _ => {}
            }
            if !field[0].is_none() {
                data[0] = field[0].byte(py, "control_queue")?;
            }
        }
        Layout::Result => {
            word(0, field[0].signed(py, "event")?.cast_unsigned());
            word(4, field[1].signed(py, "result")?.cast_unsigned());
        }
        Layout::Address => {
            let addr = field[0].address(py, "addr")?.unwrap_or_default();
            data[..2].copy_from_slice(&[addr.client, addr.port]);
        }
        Layout::Connect => {
            let sender = field[0].address(py, "connect_sender")?.unwrap_or_default();
            let dest = field[1].address(py, "connect_dest")?.unwrap_or_default();
            data[..4].copy_from_slice(&[sender.client, sender.port, dest.client, dest.port]);
        }
        Layout::External => return Ok((data, Some(bytes_of(py, &field[0], "data")?))),
        Layout::Raw | Layout::MidiBytes => match &event.raw_data {
            Value::Raw(bytes) => data = *bytes,
            other => {
                let bytes = bytes_of(py, other, "raw_data")?;
                let length = bytes.len().min(12);
                data[..length].copy_from_slice(&bytes[..length]);
            }
        },
    }
    Ok((data, None))
}

/// Converts an event for the sequencer and calls `sink` for each resulting event: one, or as many as
/// `encode` produces from MIDI bytes.
#[inline]
pub(crate) fn to_sequencer(
    event: &Event,
    py: Python<'_>,
    routing: &Routing,
    encode: impl FnOnce(&[u8], &mut dyn FnMut(consort_seq::Event)),
    mut sink: impl FnMut(consort_seq::Event) -> PyResult<()>,
) -> PyResult<()> {
    let mut raw = envelope(event, py, routing)?;
    if event.layout == Layout::MidiBytes {
        let bytes = bytes_of(py, &event.fields[0], "midi_bytes")?;
        // `sink` may run Python code, which lets other threads run, so it is not called while the
        // encoder is locked.
        let mut events = Vec::new();
        encode(&bytes, &mut |encoded| events.push(encoded));
        return events.into_iter().try_for_each(|encoded| {
            let body = encoded.to_raw();
            let mut addressed = raw;
            addressed.kind = body.kind;
            addressed.flags = addressed.flags & !LENGTH_MASK | body.flags & LENGTH_MASK;
            addressed.data = body.data;
            sink(consort_seq::Event::from_raw(addressed, encoded.variable().to_vec()))
        });
    }
    raw.kind = match event.kind {
        Value::Kind(kind) => kind,
        Value::PyNone => 0,
        ref other => other.byte(py, "type")?,
    };
    if raw.kind == raw::event_type::NONE {
        return Ok(());
    }
    let (data, mut variable) = payload(event, py)?;
    if event.layout == Layout::Raw && raw.flags & LENGTH_MASK == LENGTH_VARIABLE {
        // A received event of variable length whose type has no class.
        variable = Some(bytes_of(py, &event.raw_data, "raw_data")?);
    }
    raw.flags &= !LENGTH_MASK;
    if let Some(variable) = variable {
        raw.flags |= LENGTH_VARIABLE;
        return sink(consort_seq::Event::from_raw(raw, variable));
    }
    if EventType(raw.kind).is_variable() {
        return Err(errors::alsa_error(
            py,
            &format!(
                "events of type {} have data of variable length; use the class for this type",
                EventType(raw.kind)
            ),
            libc::EINVAL,
        ));
    }
    let mut bytes = raw.to_bytes();
    bytes[DATA_OFFSET..].copy_from_slice(&data);
    sink(consort_seq::Event::from_raw(raw::Event::from_bytes(&bytes), Vec::new()))
}

/// Sets the attributes that all events have from a received event.
#[inline]
fn fill(event: &mut Event, raw: &raw::Event, data: [u8; 12]) {
    event.kind = Value::Kind(raw.kind);
    event.flags = Value::Flags(raw.flags);
    event.tag = Value::Number(raw.tag.into());
    event.queue_id = Value::Number(raw.queue.into());
    if raw.flags & TIME_STAMP_REAL == 0 {
        event.tick = Value::Number(raw.time.tick().into());
    } else {
        let time = raw.time.real();
        event.time = Value::Time(time.seconds, time.nanoseconds);
    }
    event.relative = Value::Truth(raw.flags & TIME_MODE_RELATIVE != 0);
    event.source = Value::Address(raw.source.client, raw.source.port);
    event.dest = Value::Address(raw.dest.client, raw.dest.port);
    event.raw_data = Value::Raw(data);
}

/// The twelve bytes of data of an event.
fn data_of(raw: &raw::Event) -> [u8; 12] {
    let mut data = [0; 12];
    data.copy_from_slice(&raw.to_bytes()[DATA_OFFSET..]);
    data
}

/// A received event as a Python object.
pub(crate) fn from_sequencer<'py>(
    py: Python<'py>,
    received: &consort_seq::Event,
) -> PyResult<Bound<'py, Event>> {
    let raw = received.to_raw();
    let object = classes::get(py)?.new_event(py, raw.kind)?;
    let data = data_of(&raw);
    let byte = |offset: usize| Value::Number(data[offset].into());
    let unsigned = |offset: usize| {
        u32::from_ne_bytes([data[offset], data[offset + 1], data[offset + 2], data[offset + 3]])
    };
    let word = |offset: usize| Value::Number(unsigned(offset).into());
    let signed = |offset: usize| Value::Number(unsigned(offset).cast_signed().into());
    {
        let mut event = object.borrow_mut();
        fill(&mut event, &raw, data);
        let layout = event.layout;
        let field = &mut event.fields;
        match layout {
            Layout::Key => {
                (field[0], field[1], field[2]) = (byte(1), byte(0), byte(2));
            }
            Layout::Note => {
                (field[0], field[1], field[2]) = (byte(1), byte(0), byte(2));
                (field[3], field[4]) = (word(4), byte(3));
            }
            Layout::Control => {
                (field[0], field[1], field[2]) = (byte(0), word(4), signed(8));
            }
            Layout::Param => (field[0], field[1]) = (byte(0), signed(8)),
            Layout::Queue => field[0] = byte(0),
            Layout::PositionTick => (field[0], field[1]) = (byte(0), word(4)),
            Layout::PositionTime => {
                (field[0], field[1]) = (byte(0), Value::Time(unsigned(4), unsigned(8)));
            }
            Layout::Tempo => (field[0], field[1]) = (byte(0), signed(4)),
            Layout::Skew => (field[0], field[1], field[2]) = (byte(0), word(4), word(8)),
            Layout::Result => (field[0], field[1]) = (signed(0), signed(4)),
            Layout::Address => field[0] = Value::Address(data[0], data[1]),
            Layout::Connect => {
                field[0] = Value::Address(data[0], data[1]);
                field[1] = Value::Address(data[2], data[3]);
            }
            Layout::External => {
                let bytes = PyBytes::new(py, received.variable());
                field[0] = Value::Object(bytes.into_any().unbind());
            }
            Layout::Raw => {
                if received.is_variable() {
                    let bytes = PyBytes::new(py, received.variable());
                    event.raw_data = Value::Object(bytes.into_any().unbind());
                }
            }
            Layout::MidiBytes => {}
        }
    }
    Ok(object)
}

/// A received event as a `MidiBytesEvent`.
pub(crate) fn midi_bytes_from_sequencer<'py>(
    py: Python<'py>,
    received: &consort_seq::Event,
    bytes: &[u8],
) -> PyResult<Bound<'py, Event>> {
    let raw = received.to_raw();
    let object = classes::get(py)?.new_midi_bytes(py)?;
    {
        let mut event = object.borrow_mut();
        fill(&mut event, &raw, data_of(&raw));
        event.fields[0] = Value::Object(PyBytes::new(py, bytes).into_any().unbind());
    }
    Ok(object)
}
