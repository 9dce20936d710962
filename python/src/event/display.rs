//! How events show themselves.

use std::fmt::Write as _;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Event, Layout};

/// Data of as many bytes is only counted.
const SHOWN: usize = 32;

/// The text of the attribute at a place.
fn text(slf: &Bound<'_, Event>, at: usize) -> PyResult<String> {
    Ok(Event::get(slf, at)?.str()?.to_string())
}

/// `<NoteOnEvent channel=0 note=60 velocity=127>` and the like.
pub(super) fn describe(slf: &Bound<'_, Event>) -> PyResult<String> {
    let py = slf.py();
    let mut shown = format!("<{}", slf.get_type().name()?);
    let own = |at| Event::get(slf, Event::OWN + at);
    let (layout, class_kind) = {
        let event = slf.try_borrow()?;
        (event.layout, event.class_kind)
    };
    let names: &[(&str, usize)] = match layout {
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
    };
    for &(name, at) in names {
        if name != "queue" || !own(at)?.is_none() {
            let value = text(slf, Event::OWN + at)?;
            // Writing to a string cannot fail.
            let _ = write!(shown, " {name}={value}");
        }
    }
    match layout {
        Layout::Tempo => {
            if let Ok(tempo) = own(1)?.extract::<f64>()
                && tempo != 0.0
            {
                let bpm = 60e6 / tempo;
                let _ = if own(0)?.is_none() {
                    write!(shown, " ({} bpm)", bpm.into_pyobject(py)?)
                } else {
                    write!(shown, " ({bpm:.1} bpm)")
                };
            }
        }
        Layout::Address => {
            let addr = text(slf, Event::OWN)?;
            let _ = write!(shown, " {addr}");
        }
        Layout::Connect => {
            let (sender, dest) = (text(slf, Event::OWN)?, text(slf, Event::OWN + 1)?);
            let _ = write!(shown, " from {sender} to {dest}");
        }
        Layout::External => {
            let data = own(0)?;
            let _ = match data.len() {
                Ok(length) if length >= SHOWN => write!(shown, " data=<{length} bytes>"),
                _ => write!(shown, " data={}", data.repr()?),
            };
        }
        Layout::MidiBytes => {
            let bytes = own(0)?;
            match bytes.cast::<PyBytes>() {
                Ok(bytes) => {
                    for byte in bytes.as_bytes() {
                        let _ = write!(shown, " {byte:02X}");
                    }
                }
                Err(_) => {
                    let _ = write!(shown, " {}", bytes.repr()?);
                }
            }
        }
        Layout::Raw => {
            let value = slf.try_borrow()?.kind.share(py);
            let kind = value.number(py, "type", 0, 255).ok();
            match class_kind {
                // Echo and OSS: what matters is the data.
                Some(50 | 51) => {
                    let data = Event::get(slf, Event::RAW_DATA)?.repr()?;
                    let _ = write!(shown, " data={data}");
                }
                Some(own) if kind == Some(own.into()) => {}
                _ => {
                    let name = match kind {
                        _ if value.is_nothing() => "unknown".to_owned(),
                        Some(number) => consort_seq::EventType(number as u8).to_string(),
                        None => text(slf, Event::KIND)?,
                    };
                    let _ = write!(shown, " {name}");
                }
            }
        }
        _ => {}
    }
    shown.push('>');
    Ok(shown)
}
