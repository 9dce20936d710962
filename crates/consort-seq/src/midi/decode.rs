//! Conversion of events to MIDI bytes.

use crate::event::{ChannelValue, Control, Event, EventType, Key, Payload};

/// The error for an event that has no MIDI bytes, such as a note with its duration, a queue's tempo
/// or an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of type {event_type} has no MIDI bytes; use the event itself")]
#[non_exhaustive]
pub struct NotMidi {
    /// The type of the event.
    pub event_type: EventType,
}

impl NotMidi {
    /// The errno that libasound's decoder returns: `ENOENT`.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        libc::ENOENT
    }
}

/// Converts events to MIDI bytes.
///
/// Values out of range lose their upper bits, as in libasound, so that the bytes are always valid.
/// A registered or non-registered parameter becomes 12 bytes, a 14-bit controller 6 (3 for
/// controllers above 31, which have no second half). System exclusive data is copied unchanged.
#[derive(Debug, Clone, Default)]
pub struct MidiDecoder {
    running_status: bool,
    last_status: Option<u8>,
}

impl MidiDecoder {
    /// Creates a decoder without running status.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether to omit a status byte equal to the previous one. Off by default.
    pub fn set_running_status(&mut self, on: bool) {
        self.running_status = on;
        self.last_status = None;
    }

    /// Forgets the running status.
    pub fn reset(&mut self) {
        self.last_status = None;
    }

    /// Appends the bytes of `event` to `bytes` and returns their number.
    ///
    /// # Errors
    /// The event has no MIDI bytes; nothing is appended.
    pub fn decode(&mut self, event: &Event, bytes: &mut Vec<u8>) -> Result<usize, NotMidi> {
        let start = bytes.len();
        match event.payload() {
            Payload::NoteOff(key) => self.key(0x80, key, bytes),
            Payload::NoteOn(key) => self.key(0x90, key, bytes),
            Payload::KeyPressure(key) => self.key(0xa0, key, bytes),
            Payload::ControlChange(control) => self.control(control, &[], bytes),
            Payload::Control14(control) if control.param < 32 => {
                let Control { channel, param, value } = control;
                let pairs = [(param, value >> 7), (param + 32, value)];
                self.controls(channel, &pairs, bytes);
            }
            Payload::Control14(control) => self.control(control, &[], bytes),
            Payload::NonRegisteredParameter(control) => {
                self.control(control, &[0x63, 0x62], bytes);
            }
            Payload::RegisteredParameter(control) => self.control(control, &[0x65, 0x64], bytes),
            Payload::ProgramChange(value) => self.value(0xc0, value, bytes),
            Payload::ChannelPressure(value) => self.value(0xd0, value, bytes),
            Payload::PitchBend(ChannelValue { channel, value }) => {
                let value = value.wrapping_add(8192);
                self.put_status(0xe0 | (channel & 0x0f), bytes);
                bytes.extend([seven(value), seven(value >> 7)]);
            }
            Payload::SongPosition(ChannelValue { value, .. }) => {
                self.last_status = None;
                bytes.extend([0xf2, seven(value), seven(value >> 7)]);
            }
            Payload::SongSelect(ChannelValue { value, .. }) => {
                self.last_status = None;
                bytes.extend([0xf3, seven(value)]);
            }
            Payload::QuarterFrame(ChannelValue { value, .. }) => {
                self.last_status = None;
                bytes.extend([0xf1, seven(value)]);
            }
            Payload::TuneRequest => {
                self.last_status = None;
                bytes.push(0xf6);
            }
            Payload::SystemExclusive(data) => {
                self.last_status = None;
                bytes.extend_from_slice(data);
            }
            Payload::Clock { .. } => bytes.push(0xf8),
            Payload::Start { .. } => bytes.push(0xfa),
            Payload::Continue { .. } => bytes.push(0xfb),
            Payload::Stop { .. } => bytes.push(0xfc),
            Payload::ActiveSensing => bytes.push(0xfe),
            Payload::Reset => bytes.push(0xff),
            other => {
                return Err(NotMidi { event_type: other.event_type() });
            }
        }
        Ok(bytes.len() - start)
    }

    fn put_status(&mut self, status: u8, bytes: &mut Vec<u8>) {
        if !self.running_status || self.last_status != Some(status) {
            bytes.push(status);
            self.last_status = Some(status);
        }
    }

    fn key(&mut self, status: u8, key: Key, bytes: &mut Vec<u8>) {
        self.put_status(status | (key.channel & 0x0f), bytes);
        bytes.extend([key.note & 0x7f, key.velocity & 0x7f]);
    }

    fn value(&mut self, status: u8, value: ChannelValue, bytes: &mut Vec<u8>) {
        self.put_status(status | (value.channel & 0x0f), bytes);
        bytes.push(seven(value.value));
    }

    /// Appends a control change or, if `select` contains the two controllers that select a
    /// parameter, the control changes of the parameter.
    fn control(&mut self, control: Control, select: &[u32], bytes: &mut Vec<u8>) {
        let Control { channel, param, value } = control;
        match *select {
            [upper, lower] => {
                let pairs = [
                    (upper, (param >> 7) as i32),
                    (lower, param as i32),
                    (6, value >> 7),
                    (38, value),
                ];
                self.controls(channel, &pairs, bytes);
            }
            _ => self.controls(channel, &[(param, value)], bytes),
        }
    }

    fn controls(&mut self, channel: u8, pairs: &[(u32, i32)], bytes: &mut Vec<u8>) {
        for &(param, value) in pairs {
            self.put_status(0xb0 | (channel & 0x0f), bytes);
            bytes.extend([seven(param as i32), seven(value)]);
        }
    }
}

/// The lower seven bits.
const fn seven(value: i32) -> u8 {
    (value & 0x7f) as u8
}
