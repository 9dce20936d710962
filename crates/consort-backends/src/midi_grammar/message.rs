//! One MIDI message.

/// A message to send. MIDI channels are 0–15, and data is 7 bits unless stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    NoteOff {
        channel: u8,
        note: u8,
        velocity: u8,
    },
    NoteOn {
        channel: u8,
        note: u8,
        velocity: u8,
    },
    KeyPressure {
        channel: u8,
        note: u8,
        pressure: u8,
    },
    Controller {
        channel: u8,
        number: u8,
        value: u8,
    },
    Program {
        channel: u8,
        program: u8,
    },
    ChannelPressure {
        channel: u8,
        pressure: u8,
    },
    /// `bend` has 14 bits; the centre is 8192.
    PitchBend {
        channel: u8,
        bend: u16,
    },
    /// The song position in sixteenth notes, 14 bits.
    SongPosition(u16),
    SongSelect(u8),
    Clock,
    Start,
    Continue,
    Stop,
    /// A complete system exclusive message with its first and last byte (F0, F7).
    Exclusive(&'a [u8]),
}
