//! The text of events, as `repr` shows it.

use std::fmt::Write as _;

use consort_seq::EventType;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Event, Layout};

/// Data with this number of bytes or more is shown only as its length.
const MIN_ABBREVIATED_BYTES: usize = 32;

/// The text of the attribute at an index.
fn text(slf: &Bound<'_, Event>, index: usize) -> PyResult<String> {
    Ok(Event::get(slf, index)?.str()?.to_string())
}

/// An attribute of the event's class.
fn field<'py>(slf: &Bound<'py, Event>, index: usize) -> PyResult<Bound<'py, PyAny>> {
    Event::get(slf, Event::FIRST_FIELD + index)
}

/// The attributes that are shown as `name=value`, with their indices in the layout.
fn named_fields(layout: Layout) -> &'static [(&'static str, usize)] {
    match layout {
        Layout::Key => &[("channel", 1), ("note", 0), ("velocity", 2)],
        Layout::Note => {
            &[("channel", 1), ("note", 0), ("velocity", 2), ("duration", 3), ("off_velocity", 4)]
        }
        Layout::Control => &[("channel", 0), ("param", 1), ("value", 2)],
        Layout::Param => &[("channel", 0), ("value", 1)],
        Layout::Queue => &[("queue", 0)],
        Layout::PositionTick | Layout::PositionTime => &[("queue", 0), ("position", 1)],
        Layout::Tempo => &[("queue", 0), ("tempo", 1)],
        Layout::Skew => &[("queue", 0), ("value", 1), ("base", 2)],
        Layout::Result => &[("event", 0), ("result", 1)],
        Layout::Raw | Layout::Address | Layout::Connect | Layout::External | Layout::MidiBytes => {
            &[]
        }
    }
}

/// The text of an event, such as `<NoteOnEvent channel=0 note=60 velocity=127>`.
pub(super) fn describe(slf: &Bound<'_, Event>) -> PyResult<String> {
    let mut output = format!("<{}", slf.get_type().name()?);
    let layout = slf.try_borrow()?.layout;
    for &(name, index) in named_fields(layout) {
        if name != "queue" || !field(slf, index)?.is_none() {
            let value = text(slf, Event::FIRST_FIELD + index)?;
            // Writing to a string cannot fail.
            let _ = write!(output, " {name}={value}");
        }
    }
    match layout {
        Layout::Tempo => describe_tempo(slf, &mut output)?,
        Layout::Address => {
            let addr = text(slf, Event::FIRST_FIELD)?;
            let _ = write!(output, " {addr}");
        }
        Layout::Connect => {
            let sender = text(slf, Event::FIRST_FIELD)?;
            let dest = text(slf, Event::FIRST_FIELD + 1)?;
            let _ = write!(output, " from {sender} to {dest}");
        }
        Layout::External => {
            let data = field(slf, 0)?;
            let _ = match data.len() {
                Ok(length) if length >= MIN_ABBREVIATED_BYTES => {
                    write!(output, " data=<{length} bytes>")
                }
                _ => write!(output, " data={}", data.repr()?),
            };
        }
        Layout::MidiBytes => {
            let bytes = field(slf, 0)?;
            match bytes.cast::<PyBytes>() {
                Ok(bytes) => {
                    for byte in bytes.as_bytes() {
                        let _ = write!(output, " {byte:02X}");
                    }
                }
                Err(_) => {
                    let _ = write!(output, " {}", bytes.repr()?);
                }
            }
        }
        Layout::Raw => describe_raw(slf, &mut output)?,
        _ => {}
    }
    output.push('>');
    Ok(output)
}

/// Appends a tempo in beats per minute.
fn describe_tempo(slf: &Bound<'_, Event>, output: &mut String) -> PyResult<()> {
    if let Ok(tempo) = field(slf, 1)?.extract::<f64>()
        && tempo != 0.0
    {
        let bpm = 60e6 / tempo;
        let _ = if field(slf, 0)?.is_none() {
            write!(output, " ({} bpm)", bpm.into_pyobject(slf.py())?)
        } else {
            write!(output, " ({bpm:.1} bpm)")
        };
    }
    Ok(())
}

/// Appends the data of an echo or OSS event. For other events without attributes of their own,
/// appends the event type if it differs from the type of the class.
fn describe_raw(slf: &Bound<'_, Event>, output: &mut String) -> PyResult<()> {
    let py = slf.py();
    let (value, class_kind) = {
        let event = slf.try_borrow()?;
        (event.kind.clone_ref(py), event.class_kind)
    };
    let kind = value.number(py, "type", 0, 255).ok();
    match class_kind.map(EventType) {
        Some(EventType::ECHO | EventType::OSS) => {
            let data = Event::get(slf, Event::RAW_DATA)?.repr()?;
            let _ = write!(output, " data={data}");
        }
        Some(class_kind) if kind == Some(class_kind.0.into()) => {}
        _ => {
            let name = match kind {
                _ if value.is_none() => "unknown".to_owned(),
                Some(number) => EventType(number as u8).to_string(),
                None => text(slf, Event::KIND)?,
            };
            let _ = write!(output, " {name}");
        }
    }
    Ok(())
}
