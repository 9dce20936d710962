//! The bodies of the fuzz targets, which the tests also run on the committed corpus. Not part of the
//! public interface.

use std::io;
use std::os::fd::BorrowedFd;

use super::channels::parse;
use super::codes::{Code, CodeSet, EventType};
use super::input::{Accepted, InputState};
use super::system::{Axis, EVENT_BYTES, InputDevice, RawEvent};
use super::values::from_axis;

/// A device whose state the bytes decide.
struct Device {
    axis: Axis,
    keys: CodeSet,
}

impl InputDevice for Device {
    fn descriptor(&self) -> BorrowedFd<'_> {
        unreachable!("the state of a device is read with requests")
    }

    fn axis(&self, _: u16) -> io::Result<Axis> {
        Ok(self.axis)
    }

    fn codes(&self, kind: EventType) -> io::Result<CodeSet> {
        let mut codes = CodeSet::default();
        (0..kind.count()).for_each(|number| {
            codes.set(number, true);
        });
        Ok(codes)
    }

    fn active(&self, kind: EventType) -> io::Result<CodeSet> {
        Ok(if kind == EventType::Key { self.keys } else { CodeSet::default() })
    }

    fn grab(&self, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn rumble(&self, effect: i16, _: u16, _: u16) -> io::Result<i16> {
        Ok(effect.max(0))
    }
}

/// Takes any events of a device with any range. Whatever arrives, values are between 0 and 1, and
/// after the loss of the device no key is down.
pub fn evdev_events(bytes: &[u8]) {
    let Some((range, events)) = bytes.split_first_chunk::<12>() else { return };
    let number = |index: usize| {
        i32::from_ne_bytes([range[index], range[index + 1], range[index + 2], range[index + 3]])
    };
    let axis = Axis { value: number(0), minimum: number(4), maximum: number(8), ..Axis::default() };
    let mut keys = CodeSet::default();
    keys.set(u16::from(range[0]), true);
    let device = Device { axis, keys };
    let mut state = InputState::read(&device).unwrap_or_default();
    let mut down = keys;
    let mut take = |state: &InputState, code: Code, raw: i32| {
        let value = match (code.kind, state.axis(code.number)) {
            (EventType::Absolute, Some(axis)) => from_axis(axis, raw),
            _ => 0.0,
        };
        assert!((0.0..=1.0).contains(&value), "{code:?} {raw} {value}");
        if code.kind == EventType::Key {
            down.set(code.number, raw != 0);
        }
    };
    // The time is not read, so that the bytes contain only the eight that are.
    for fields in events.chunks_exact(8) {
        let mut event = [0; EVENT_BYTES];
        event[EVENT_BYTES - 8..].copy_from_slice(fields);
        let Some(event) = RawEvent::decode(&event) else { return };
        match state.accept(event) {
            Accepted::Nothing => {}
            Accepted::Value(code, raw) => take(&state, code, raw),
            Accepted::Lost => {
                let repaired = state.repair(&device, &mut take);
                assert!(repaired.is_ok());
            }
        }
    }
    state.release(&mut take);
    assert_eq!(down.iter().next(), None, "a key is down");
}

/// Parses any text as a channel. A code that is accepted is found again by its own name.
pub fn evdev_channel(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Ok(super::channels::Control::Code(code)) => {
            assert_eq!(parse(&code.name()), Ok(super::channels::Control::Code(code)));
        }
        Ok(super::channels::Control::Rumble(_)) => {}
        Err(error) => {
            assert!(!error.message.is_empty());
            if let Some((start, end)) = error.range {
                assert!(start <= end && end <= text.len());
            }
        }
    }
}
