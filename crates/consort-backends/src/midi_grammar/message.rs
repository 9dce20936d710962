//! One MIDI message.

/// A message, to send or as it arrived. MIDI channels are 0–15, and data is 7 bits unless stated
/// otherwise.
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
    QuarterFrame(u8),
    /// The song position in sixteenth notes, 14 bits.
    SongPosition(u16),
    SongSelect(u8),
    TuneRequest,
    Clock,
    Start,
    Continue,
    Stop,
    ActiveSensing,
    Reset,
    /// A system exclusive message, or a part of one: a part that begins a message begins with F0,
    /// and a part that ends one ends with F7.
    Exclusive(&'a [u8]),
}

impl Message<'_> {
    /// The status byte and the data bytes, with their number; `None` for a system exclusive
    /// message.
    pub(crate) fn bytes(&self) -> Option<([u8; 3], usize)> {
        let one = |status| Some(([status, 0, 0], 1));
        let two = |status, first| Some(([status, first, 0], 2));
        let three = |status, first, second| Some(([status, first, second], 3));
        let (low, high) = (|wide: u16| (wide & 0x7F) as u8, |wide: u16| (wide >> 7 & 0x7F) as u8);
        match *self {
            Message::NoteOff { channel, note, velocity } => three(0x80 | channel, note, velocity),
            Message::NoteOn { channel, note, velocity } => three(0x90 | channel, note, velocity),
            Message::KeyPressure { channel, note, pressure } => {
                three(0xA0 | channel, note, pressure)
            }
            Message::Controller { channel, number, value } => three(0xB0 | channel, number, value),
            Message::Program { channel, program } => two(0xC0 | channel, program),
            Message::ChannelPressure { channel, pressure } => two(0xD0 | channel, pressure),
            Message::PitchBend { channel, bend } => three(0xE0 | channel, low(bend), high(bend)),
            Message::QuarterFrame(data) => two(0xF1, data),
            Message::SongPosition(position) => three(0xF2, low(position), high(position)),
            Message::SongSelect(song) => two(0xF3, song),
            Message::TuneRequest => one(0xF6),
            Message::Clock => one(0xF8),
            Message::Start => one(0xFA),
            Message::Continue => one(0xFB),
            Message::Stop => one(0xFC),
            Message::ActiveSensing => one(0xFE),
            Message::Reset => one(0xFF),
            Message::Exclusive(_) => None,
        }
    }

    /// How many data bytes follow a status byte; `None` for system exclusive messages and for
    /// undefined ones.
    pub(crate) fn data_length(status: u8) -> Option<usize> {
        match status {
            0x80..=0xBF | 0xE0..=0xEF | 0xF2 => Some(2),
            0xC0..=0xDF | 0xF1 | 0xF3 => Some(1),
            0xF6 | 0xF8 | 0xFA..=0xFC | 0xFE | 0xFF => Some(0),
            _ => None,
        }
    }

    /// The message of a status byte and its data bytes, unused ones 0; `None` where
    /// [`data_length`](Self::data_length) is none, or for data of more than 7 bits.
    pub(crate) fn from_bytes(status: u8, data: [u8; 2]) -> Option<Message<'static>> {
        let [first, second] = data;
        if first > 127 || second > 127 {
            return None;
        }
        let channel = status & 0xF;
        let wide = u16::from(second) << 7 | u16::from(first);
        Some(match status {
            0x80..=0x8F => Message::NoteOff { channel, note: first, velocity: second },
            0x90..=0x9F => Message::NoteOn { channel, note: first, velocity: second },
            0xA0..=0xAF => Message::KeyPressure { channel, note: first, pressure: second },
            0xB0..=0xBF => Message::Controller { channel, number: first, value: second },
            0xC0..=0xCF => Message::Program { channel, program: first },
            0xD0..=0xDF => Message::ChannelPressure { channel, pressure: first },
            0xE0..=0xEF => Message::PitchBend { channel, bend: wide },
            0xF1 => Message::QuarterFrame(first),
            0xF2 => Message::SongPosition(wide),
            0xF3 => Message::SongSelect(first),
            0xF6 => Message::TuneRequest,
            0xF8 => Message::Clock,
            0xFA => Message::Start,
            0xFB => Message::Continue,
            0xFC => Message::Stop,
            0xFE => Message::ActiveSensing,
            0xFF => Message::Reset,
            _ => return None,
        })
    }
}
