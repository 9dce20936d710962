//! Conversion of MIDI bytes to events.

use crate::event::{ChannelValue, Control, Event, Key, Payload};

/// Default size of the chunks into which long system exclusive messages are split, in bytes.
pub const DEFAULT_CHUNK: usize = 1024;

/// The message to which the next data byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// None: data bytes are skipped.
    #[default]
    Idle,
    /// A message with this status byte, and its first data byte once it has been received.
    Message { status: u8, first: Option<u8> },
    /// A system exclusive message.
    SystemExclusive,
}

/// Converts MIDI bytes to events. It keeps its state between calls, so messages may be split
/// anywhere.
///
/// Bytes outside messages are skipped. A message that another status byte interrupts is dropped, as
/// is the unfinished chunk of a system exclusive message. The encoder never stores more than one
/// chunk.
///
/// | state | data byte | status byte | 0xf7 |
/// |---|---|---|---|
/// | idle | skipped | begins a message | skipped |
/// | message | completes the message or is its first byte | drops the message, begins another | drops the message |
/// | system exclusive | is added; a full chunk becomes an event | drops the chunk, begins a message | ends the message with an event |
///
/// Real-time bytes (0xf8 to 0xff) become events in any state, without changing it. After a channel
/// message the status remains, so that further data bytes form messages (running status).
#[derive(Debug, Clone)]
pub struct MidiEncoder {
    state: State,
    exclusive: Vec<u8>,
    chunk: usize,
}

impl Default for MidiEncoder {
    fn default() -> Self {
        Self::with_chunk(DEFAULT_CHUNK)
    }
}

impl MidiEncoder {
    /// Creates an encoder that splits system exclusive messages into events of at most
    /// [`DEFAULT_CHUNK`] bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an encoder that splits system exclusive messages into events of at most `chunk`
    /// bytes (at least 1).
    #[must_use]
    pub const fn with_chunk(chunk: usize) -> Self {
        Self {
            state: State::Idle,
            exclusive: Vec::new(),
            chunk: if chunk == 0 { 1 } else { chunk },
        }
    }

    /// The maximum number of bytes of a system exclusive message in one event.
    #[must_use]
    pub const fn chunk(&self) -> usize {
        self.chunk
    }

    /// Discards an unfinished message and the running status.
    pub fn reset(&mut self) {
        self.state = State::Idle;
        self.exclusive.clear();
    }

    /// Whether a message has begun and not yet ended.
    #[must_use]
    pub const fn is_inside_message(&self) -> bool {
        match self.state {
            State::Idle => false,
            State::Message { status, first } => first.is_some() || status >= 0xf0,
            State::SystemExclusive => true,
        }
    }

    /// Converts `bytes` to events and calls `sink` with each of them, in order. The events are
    /// direct and addressed to all subscribers. Allocates for system exclusive messages only.
    pub fn encode(&mut self, bytes: &[u8], mut sink: impl FnMut(Event)) {
        for &byte in bytes {
            if let Some(event) = self.encode_byte(byte) {
                sink(event);
            }
        }
    }

    /// Processes one byte; returns the event that it completes.
    pub fn encode_byte(&mut self, byte: u8) -> Option<Event> {
        match byte {
            0xf8.. => real_time(byte),
            0x80..=0xf7 => self.status(byte),
            _ => self.data(byte),
        }
    }

    fn status(&mut self, byte: u8) -> Option<Event> {
        if byte == 0xf7 && self.state == State::SystemExclusive {
            self.exclusive.push(byte);
            self.state = State::Idle;
            return Some(self.take_exclusive());
        }
        self.exclusive.clear();
        self.state = State::Idle;
        match byte {
            0xf0 => {
                self.state = State::SystemExclusive;
                self.exclusive.push(byte);
                return (self.chunk == 1).then(|| self.take_exclusive());
            }
            0xf6 => return Some(Event::new(Payload::TuneRequest)),
            // Undefined status bytes, or an end without a beginning.
            0xf4 | 0xf5 | 0xf7 => {}
            status => self.state = State::Message { status, first: None },
        }
        None
    }

    fn data(&mut self, byte: u8) -> Option<Event> {
        match self.state {
            State::Idle => None,
            State::SystemExclusive => {
                self.exclusive.push(byte);
                (self.exclusive.len() >= self.chunk).then(|| self.take_exclusive())
            }
            State::Message { status, first } => {
                let has_two_data_bytes =
                    !matches!(status & 0xf0, 0xc0 | 0xd0) && !matches!(status, 0xf1 | 0xf3);
                let (first, second) = match first {
                    None if has_two_data_bytes => {
                        self.state = State::Message { status, first: Some(byte) };
                        return None;
                    }
                    None => (byte, 0),
                    Some(first) => (first, byte),
                };
                // Running status applies after channel messages, not after system common messages.
                self.state = if status < 0xf0 {
                    State::Message { status, first: None }
                } else {
                    State::Idle
                };
                Some(message(status, first, second))
            }
        }
    }

    fn take_exclusive(&mut self) -> Event {
        let event = Event::system_exclusive(&self.exclusive);
        self.exclusive.clear();
        event
    }
}

fn real_time(byte: u8) -> Option<Event> {
    let payload = match byte {
        0xf8 => Payload::Clock { queue: 0 },
        0xfa => Payload::Start { queue: 0 },
        0xfb => Payload::Continue { queue: 0 },
        0xfc => Payload::Stop { queue: 0 },
        0xfe => Payload::ActiveSensing,
        0xff => Payload::Reset,
        _ => return None,
    };
    Some(Event::new(payload))
}

fn message(status: u8, first: u8, second: u8) -> Event {
    let channel = status & 0x0f;
    let key = Key { channel, note: first, velocity: second };
    let value = |value| ChannelValue { channel, value };
    let common = |value| ChannelValue { channel: 0, value };
    let both = i32::from(first) | i32::from(second) << 7;
    Event::new(match status {
        0x80..=0x8f => Payload::NoteOff(key),
        0x90..=0x9f => Payload::NoteOn(key),
        0xa0..=0xaf => Payload::KeyPressure(key),
        0xb0..=0xbf => Payload::ControlChange(Control {
            channel,
            param: u32::from(first),
            value: i32::from(second),
        }),
        0xc0..=0xcf => Payload::ProgramChange(value(i32::from(first))),
        0xd0..=0xdf => Payload::ChannelPressure(value(i32::from(first))),
        0xe0..=0xef => Payload::PitchBend(value(both - 8192)),
        0xf1 => Payload::QuarterFrame(common(i32::from(first))),
        0xf2 => Payload::SongPosition(common(both)),
        _ => Payload::SongSelect(common(i32::from(first))),
    })
}
