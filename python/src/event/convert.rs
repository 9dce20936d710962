//! Events from Python to the sequencer and back.

use consort_seq::{Address, EventType, QUEUE_DIRECT, raw};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};

use super::{Event, Layout, Value};
use crate::address;
use crate::errors;
use crate::integers::integer;
use crate::ports::PortHandle;
use crate::queues::QueueHandle;
use crate::registry;

const VARIABLE: u8 = raw::event_flag::LENGTH_VARIABLE;
const LENGTH: u8 = raw::event_flag::LENGTH_MASK;
const REAL: u8 = raw::event_flag::TIME_STAMP_REAL;
const RELATIVE: u8 = raw::event_flag::TIME_MODE_RELATIVE;

/// The arguments of an output that take the place of the event's own.
#[derive(Clone, Copy, Default)]
pub(crate) struct Target {
    queue: Option<u8>,
    port: Option<u8>,
    dest: Option<Address>,
}

fn given<'a, 'py>(value: Option<&'a Bound<'py, PyAny>>) -> Option<&'a Bound<'py, PyAny>> {
    value.filter(|value| !value.is_none())
}

fn has_no(value: &Bound<'_, PyAny>, what: &str, attribute: &str) -> PyErr {
    let shown = value.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
    let shown: String = shown.chars().take(80).collect();
    PyAttributeError::new_err(format!(
        "{what} is {shown}; expected a number or an object with '{attribute}'"
    ))
}

impl Target {
    #[inline]
    pub(crate) fn new(
        queue: Option<&Bound<'_, PyAny>>,
        port: Option<&Bound<'_, PyAny>>,
        dest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let queue = given(queue).map(queue_number).transpose()?;
        let port = given(port).map(port_number).transpose()?;
        let dest = given(dest).map(|dest| address::address(dest, "dest")).transpose()?;
        Ok(Self { queue, port, dest })
    }
}

/// The number of a queue, given as a number or an object with `queue_id`.
pub(crate) fn queue_number(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    if let Ok(handle) = value.cast::<QueueHandle>() {
        return handle.get().number(value.py());
    }
    let number = if value.is_instance_of::<PyInt>() {
        value.clone()
    } else {
        value
            .getattr_opt(intern!(value.py(), "queue_id"))?
            .ok_or_else(|| has_no(value, "queue", "queue_id"))?
    };
    Ok(integer(&number, "queue", 0, 255)? as u8)
}

/// The number of a port, given as a number or an object with `port_id`.
pub(crate) fn port_number(value: &Bound<'_, PyAny>) -> PyResult<u8> {
    if let Ok(handle) = value.cast::<PortHandle>()
        && let Some((_, port)) = handle.get().address()
    {
        return Ok(port);
    }
    let number = if value.is_instance_of::<PyInt>() {
        value.clone()
    } else {
        value
            .getattr_opt(intern!(value.py(), "port_id"))?
            .ok_or_else(|| has_no(value, "port", "port_id"))?
    };
    Ok(integer(&number, "port", 0, 255)? as u8)
}

/// The bytes of an attribute that must hold some.
fn bytes_of(py: Python<'_>, value: &Value, name: &str) -> PyResult<Vec<u8>> {
    match value {
        Value::Nothing => Ok(Vec::new()),
        Value::Raw(bytes) => Ok(bytes.to_vec()),
        Value::Object(object) => {
            let object = object.bind(py);
            if let Ok(bytes) = object.cast::<PyBytes>() {
                return Ok(bytes.as_bytes().to_vec());
            }
            let made = py.get_type::<PyBytes>().call1((object,))?;
            Ok(made.cast::<PyBytes>()?.as_bytes().to_vec())
        }
        _ => Err(PyTypeError::new_err(format!("{name} is no bytes"))),
    }
}

/// What an event is but for its payload: as every event made of its MIDI bytes shares it.
#[inline]
fn envelope(event: &Event, py: Python<'_>, target: &Target) -> PyResult<raw::Event> {
    let mut flags = match event.flags {
        Value::Flags(flags) => flags,
        Value::Nothing => 0,
        ref other => other.byte(py, "flags")?,
    };
    let time = if let Some((seconds, nanoseconds)) = event.time.time(py, "time")? {
        flags |= REAL;
        raw::Timestamp::from_real(raw::RealTime { seconds, nanoseconds })
    } else if !event.tick.is_nothing() {
        flags &= !REAL;
        raw::Timestamp::from_tick(event.tick.unsigned(py, "tick")?)
    } else {
        raw::Timestamp::default()
    };
    match event.relative.truth(py)? {
        Some(true) => flags |= RELATIVE,
        Some(false) => flags &= !RELATIVE,
        None => {}
    }
    let queue = match target.queue {
        Some(queue) => queue,
        None if event.queue_id.is_nothing() => QUEUE_DIRECT,
        None => event.queue_id.byte(py, "queue_id")?,
    };
    let port = match target.port {
        Some(port) => port,
        None => match &event.source {
            Value::Nothing => 0,
            Value::Address(_, port) => *port,
            // Only the port counts; the client is the sender whatever stands here.
            Value::Object(object) => {
                let (_, port) = address::address_pair(object.bind(py), None)?;
                crate::integers::within(port, "port of source", 0, 255)? as u8
            }
            other => other.address(py, "source")?.map_or(0, |source| source.port),
        },
    };
    let dest = match target.dest {
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

/// The twelve bytes of data, and the variable data if the event has any.
fn payload(event: &Event, py: Python<'_>) -> PyResult<([u8; 12], Option<Vec<u8>>)> {
    let mut data = [0; 12];
    let field = &event.fields;
    let mut word = |at: usize, word: u32| data[at..at + 4].copy_from_slice(&word.to_ne_bytes());
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
            if !field[0].is_nothing() {
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

/// The event as the sequencer takes it, `sink` called for each: one, but for MIDI bytes, of
/// which `encode` makes any number.
#[inline]
pub(crate) fn to_sequencer(
    event: &Event,
    py: Python<'_>,
    target: &Target,
    encode: impl FnOnce(&[u8], &mut dyn FnMut(consort_seq::Event)),
    mut sink: impl FnMut(consort_seq::Event) -> PyResult<()>,
) -> PyResult<()> {
    let mut raw = envelope(event, py, target)?;
    if event.layout == Layout::MidiBytes {
        let bytes = bytes_of(py, &event.fields[0], "midi_bytes")?;
        // What takes the events may run Python code, and so let another thread come to its turn:
        // not while the coder is locked.
        let mut events = Vec::new();
        encode(&bytes, &mut |made| events.push(made));
        return events.into_iter().try_for_each(|made| {
            let body = made.to_raw();
            let mut addressed = raw;
            addressed.kind = body.kind;
            addressed.flags = addressed.flags & !LENGTH | body.flags & LENGTH;
            addressed.data = body.data;
            sink(consort_seq::Event::from_raw(addressed, made.variable().to_vec()))
        });
    }
    raw.kind = match event.kind {
        Value::Kind(kind) => kind,
        Value::Nothing => 0,
        ref other => other.byte(py, "type")?,
    };
    if raw.kind == raw::event_type::NONE {
        return Ok(());
    }
    let (data, mut variable) = payload(event, py)?;
    if event.layout == Layout::Raw && raw.flags & LENGTH == VARIABLE {
        // An event of variable length without a class of its own, as it was received.
        variable = Some(bytes_of(py, &event.raw_data, "raw_data")?);
    }
    raw.flags &= !LENGTH;
    if let Some(variable) = variable {
        raw.flags |= VARIABLE;
        return sink(consort_seq::Event::from_raw(raw, variable));
    }
    if EventType(raw.kind).is_variable() {
        return Err(errors::alsa_error(
            py,
            format!(
                "an event of type {} has data of variable length; use its own class",
                EventType(raw.kind)
            ),
            libc::EINVAL,
        ));
    }
    let cell = raw.to_bytes();
    let mut bytes = cell;
    bytes[16..].copy_from_slice(&data);
    sink(consort_seq::Event::from_raw(raw::Event::from_bytes(&bytes), Vec::new()))
}

/// The common attributes of a received event.
#[inline]
fn fill(event: &mut Event, raw: &raw::Event, data: [u8; 12]) {
    event.kind = Value::Kind(raw.kind);
    event.flags = Value::Flags(raw.flags);
    event.tag = Value::Number(raw.tag.into());
    event.queue_id = Value::Number(raw.queue.into());
    if raw.flags & REAL == 0 {
        event.tick = Value::Number(raw.time.tick().into());
    } else {
        let time = raw.time.real();
        event.time = Value::Time(time.seconds, time.nanoseconds);
    }
    event.relative = Value::Truth(raw.flags & RELATIVE != 0);
    event.source = Value::Address(raw.source.client, raw.source.port);
    event.dest = Value::Address(raw.dest.client, raw.dest.port);
    event.raw_data = Value::Raw(data);
}

fn data_of(raw: &raw::Event) -> [u8; 12] {
    let mut data = [0; 12];
    data.copy_from_slice(&raw.to_bytes()[16..]);
    data
}

/// The Python object of a received event.
pub(crate) fn from_sequencer<'py>(
    py: Python<'py>,
    received: &consort_seq::Event,
) -> PyResult<Bound<'py, Event>> {
    let raw = received.to_raw();
    let object = registry::get(py)?.new_event(py, raw.kind)?;
    let data = data_of(&raw);
    let byte = |at: usize| Value::Number(data[at].into());
    let unsigned =
        |at: usize| u32::from_ne_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    let word = |at: usize| Value::Number(unsigned(at).into());
    let signed = |at: usize| Value::Number(unsigned(at).cast_signed().into());
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

/// The Python object of a received event as its MIDI bytes.
pub(crate) fn midi_bytes_from_sequencer<'py>(
    py: Python<'py>,
    received: &consort_seq::Event,
    bytes: &[u8],
) -> PyResult<Bound<'py, Event>> {
    let raw = received.to_raw();
    let object = registry::get(py)?.new_midi_bytes(py)?;
    {
        let mut event = object.borrow_mut();
        fill(&mut event, &raw, data_of(&raw));
        event.fields[0] = Value::Object(PyBytes::new(py, bytes).into_any().unbind());
    }
    Ok(object)
}
