//! The typed view of an event's data.

use crate::raw;

use super::{Address, Cell, EventFlags, EventType, RealTime};

/// The data of note on, note off and key pressure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Key {
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// Note number, 0 to 127.
    pub note: u8,
    /// Velocity or pressure, 0 to 127.
    pub velocity: u8,
}

/// The data of a note with its duration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Note {
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// Note number, 0 to 127.
    pub note: u8,
    /// Velocity of the note on, 0 to 127.
    pub velocity: u8,
    /// Velocity of the note off, 0 to 127.
    pub off_velocity: u8,
    /// Duration in ticks, or in milliseconds if the event's time stamp is real time.
    pub duration: u32,
}

/// The data of a controller or parameter change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Control {
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// Number of the controller (0 to 127) or parameter (0 to 16383).
    pub param: u32,
    /// Value: 0 to 127, or 0 to 16383 for the types of 14 bits.
    pub value: i32,
}

/// A value on a channel: the data of program change, channel pressure, pitch bend and the system
/// common messages, which leave the channel at 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ChannelValue {
    /// MIDI channel, 0 to 15.
    pub channel: u8,
    /// The value, whose range depends on the type.
    pub value: i32,
}

/// The result of processing an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct EventResult {
    /// Type of the event that was processed.
    pub event: i32,
    /// The result.
    pub result: i32,
}

/// The two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Connection {
    /// The port that sends events.
    pub sender: Address,
    /// The port that receives them.
    pub dest: Address,
}

/// An event that the kernel quotes internally (`struct snd_seq_ev_quote`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Quote {
    /// The destination of the event.
    pub dest: Address,
    /// The positive errno of its delivery.
    pub errno: u16,
    /// The address of the event inside the kernel, or 0. It is valid inside the kernel only.
    pub kernel: [u8; 8],
}

/// The source of a notice that UMP information has changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct UmpNotice {
    /// The client.
    pub client: u8,
    /// The block, if the notice is about one.
    pub block: u8,
}

/// The typed payload of an event. Payloads of fixed size are copied, variable data is borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// System status.
    System(EventResult),
    /// Result of an event.
    Result(EventResult),
    /// A note with its duration; for queues only.
    Note(Note),
    /// Note on.
    NoteOn(Key),
    /// Note off.
    NoteOff(Key),
    /// Key pressure (polyphonic aftertouch).
    KeyPressure(Key),
    /// Control change.
    ControlChange(Control),
    /// Program change, 0 to 127.
    ProgramChange(ChannelValue),
    /// Channel pressure, 0 to 127.
    ChannelPressure(ChannelValue),
    /// Pitch bend, −8192 to 8191.
    PitchBend(ChannelValue),
    /// Control change of 14 bits, 0 to 16383.
    Control14(Control),
    /// Non-registered parameter (NRPN).
    NonRegisteredParameter(Control),
    /// Registered parameter (RPN).
    RegisteredParameter(Control),
    /// Song position in MIDI beats, 0 to 16383.
    SongPosition(ChannelValue),
    /// Song select, 0 to 127.
    SongSelect(ChannelValue),
    /// MIDI time code quarter frame, 0 to 127.
    QuarterFrame(ChannelValue),
    /// Time signature of a Standard MIDI File, its four bytes in one number.
    TimeSignature(ChannelValue),
    /// Key signature of a Standard MIDI File.
    KeySignature(ChannelValue),
    /// MIDI start; sent to the system timer, starts the queue.
    Start {
        /// The queue's number.
        queue: u8,
    },
    /// MIDI continue; sent to the system timer, continues the queue.
    Continue {
        /// The queue's number.
        queue: u8,
    },
    /// MIDI stop; sent to the system timer, stops the queue.
    Stop {
        /// The queue's number.
        queue: u8,
    },
    /// Sets a queue's position in ticks.
    SetPositionTick {
        /// The queue's number.
        queue: u8,
        /// Position in ticks.
        tick: u32,
    },
    /// Sets a queue's position in real time.
    SetPositionTime {
        /// The queue's number.
        queue: u8,
        /// Position in real time.
        time: RealTime,
    },
    /// Sets a queue's tempo.
    Tempo {
        /// The queue's number.
        queue: u8,
        /// Microseconds per quarter note.
        microseconds: i32,
    },
    /// MIDI clock.
    Clock {
        /// The queue's number.
        queue: u8,
    },
    /// MIDI tick.
    Tick {
        /// The queue's number.
        queue: u8,
    },
    /// Sets the skew of a queue's tempo.
    QueueSkew {
        /// The queue's number.
        queue: u8,
        /// Skew, in parts of `base`.
        value: u32,
        /// Base; the kernel accepts 0x10000 only.
        base: u32,
    },
    /// A queue's position has changed.
    SyncPosition {
        /// The queue's number.
        queue: u8,
        /// The new position.
        position: u32,
    },
    /// Tune request.
    TuneRequest,
    /// Reset.
    Reset,
    /// Active sensing.
    ActiveSensing,
    /// Echo, with any 12 bytes.
    Echo([u8; 12]),
    /// Raw event of the OSS emulation.
    Oss([u8; 12]),
    /// A client has been created.
    ClientStart(Address),
    /// A client has been closed.
    ClientExit(Address),
    /// A client's information has changed.
    ClientChange(Address),
    /// A port has been created.
    PortStart(Address),
    /// A port has been deleted.
    PortExit(Address),
    /// A port's information has changed.
    PortChange(Address),
    /// Two ports have been connected.
    PortSubscribed(Connection),
    /// Two ports have been disconnected.
    PortUnsubscribed(Connection),
    /// UMP endpoint information has changed.
    UmpEndpointChange(UmpNotice),
    /// UMP block information has changed.
    UmpBlockChange(UmpNotice),
    /// User-defined event 0 to 9 with any 12 bytes of data.
    User(u8, [u8; 12]),
    /// System exclusive message, or a part of a long one.
    SystemExclusive(&'a [u8]),
    /// An event that could not be delivered; see [`Bounce::parse`].
    Bounce(&'a [u8]),
    /// An error; used inside the kernel only.
    KernelError(Quote),
    /// A quoted event; used inside the kernel only.
    KernelQuote(Quote),
    /// User-defined event 0 to 4 with variable data.
    UserVariable(u8, &'a [u8]),
    /// No event.
    None,
    /// An event whose type has no name in the kernel's header.
    Unknown {
        /// The type.
        event_type: EventType,
        /// The fixed data.
        data: [u8; 12],
        /// The variable data; empty for an event of fixed size.
        variable: &'a [u8],
    },
}

impl<'a> Payload<'a> {
    /// The type of an event with this payload. A user-defined event with too large a number gets
    /// the largest one.
    #[must_use]
    #[inline]
    pub fn event_type(&self) -> EventType {
        match *self {
            Payload::System(_) => EventType::SYSTEM,
            Payload::Result(_) => EventType::RESULT,
            Payload::Note(_) => EventType::NOTE,
            Payload::NoteOn(_) => EventType::NOTE_ON,
            Payload::NoteOff(_) => EventType::NOTE_OFF,
            Payload::KeyPressure(_) => EventType::KEY_PRESSURE,
            Payload::ControlChange(_) => EventType::CONTROL_CHANGE,
            Payload::ProgramChange(_) => EventType::PROGRAM_CHANGE,
            Payload::ChannelPressure(_) => EventType::CHANNEL_PRESSURE,
            Payload::PitchBend(_) => EventType::PITCH_BEND,
            Payload::Control14(_) => EventType::CONTROL_14,
            Payload::NonRegisteredParameter(_) => EventType::NON_REGISTERED_PARAMETER,
            Payload::RegisteredParameter(_) => EventType::REGISTERED_PARAMETER,
            Payload::SongPosition(_) => EventType::SONG_POSITION,
            Payload::SongSelect(_) => EventType::SONG_SELECT,
            Payload::QuarterFrame(_) => EventType::QUARTER_FRAME,
            Payload::TimeSignature(_) => EventType::TIME_SIGNATURE,
            Payload::KeySignature(_) => EventType::KEY_SIGNATURE,
            Payload::Start { .. } => EventType::START,
            Payload::Continue { .. } => EventType::CONTINUE,
            Payload::Stop { .. } => EventType::STOP,
            Payload::SetPositionTick { .. } => EventType::SET_POSITION_TICK,
            Payload::SetPositionTime { .. } => EventType::SET_POSITION_TIME,
            Payload::Tempo { .. } => EventType::TEMPO,
            Payload::Clock { .. } => EventType::CLOCK,
            Payload::Tick { .. } => EventType::TICK,
            Payload::QueueSkew { .. } => EventType::QUEUE_SKEW,
            Payload::SyncPosition { .. } => EventType::SYNC_POSITION,
            Payload::TuneRequest => EventType::TUNE_REQUEST,
            Payload::Reset => EventType::RESET,
            Payload::ActiveSensing => EventType::ACTIVE_SENSING,
            Payload::Echo(_) => EventType::ECHO,
            Payload::Oss(_) => EventType::OSS,
            Payload::ClientStart(_) => EventType::CLIENT_START,
            Payload::ClientExit(_) => EventType::CLIENT_EXIT,
            Payload::ClientChange(_) => EventType::CLIENT_CHANGE,
            Payload::PortStart(_) => EventType::PORT_START,
            Payload::PortExit(_) => EventType::PORT_EXIT,
            Payload::PortChange(_) => EventType::PORT_CHANGE,
            Payload::PortSubscribed(_) => EventType::PORT_SUBSCRIBED,
            Payload::PortUnsubscribed(_) => EventType::PORT_UNSUBSCRIBED,
            Payload::UmpEndpointChange(_) => EventType::UMP_ENDPOINT_CHANGE,
            Payload::UmpBlockChange(_) => EventType::UMP_BLOCK_CHANGE,
            Payload::KernelError(_) => EventType::KERNEL_ERROR,
            Payload::KernelQuote(_) => EventType::KERNEL_QUOTE,
            Payload::User(number, _) => EventType(EventType::USER_0.0 + number.min(9)),
            Payload::SystemExclusive(_) => EventType::SYSTEM_EXCLUSIVE,
            Payload::Bounce(_) => EventType::BOUNCE,
            Payload::UserVariable(number, _) => {
                EventType(EventType::USER_VARIABLE_0.0 + number.min(4))
            }
            Payload::None => EventType::NONE,
            Payload::Unknown { event_type, .. } => event_type,
        }
    }

    /// Reads the payload of `cell` with the variable data `variable`.
    pub(crate) fn read(cell: &Cell, variable: &'a [u8]) -> Self {
        let bytes = &cell.0;
        let key = || Key { channel: bytes[16], note: bytes[17], velocity: bytes[18] };
        let control =
            || Control { channel: bytes[16], param: cell.word(20), value: cell.word(24) as i32 };
        let channel_value = || ChannelValue { channel: bytes[16], value: cell.word(24) as i32 };
        let result = || EventResult { event: cell.word(16) as i32, result: cell.word(20) as i32 };
        let connection = || Connection { sender: cell.address(16), dest: cell.address(18) };
        let queue = bytes[16];
        let notice = || UmpNotice { client: bytes[16], block: bytes[17] };
        let quote = || {
            let mut kernel = [0; 8];
            kernel.copy_from_slice(&bytes[20..28]);
            let errno = u16::from_ne_bytes([bytes[18], bytes[19]]);
            Quote { dest: cell.address(16), errno, kernel }
        };
        let event_type = cell.event_type();
        match event_type {
            EventType::SYSTEM => Payload::System(result()),
            EventType::RESULT => Payload::Result(result()),
            EventType::NOTE => Payload::Note(Note {
                channel: bytes[16],
                note: bytes[17],
                velocity: bytes[18],
                off_velocity: bytes[19],
                duration: cell.word(20),
            }),
            EventType::NOTE_ON => Payload::NoteOn(key()),
            EventType::NOTE_OFF => Payload::NoteOff(key()),
            EventType::KEY_PRESSURE => Payload::KeyPressure(key()),
            EventType::CONTROL_CHANGE => Payload::ControlChange(control()),
            EventType::PROGRAM_CHANGE => Payload::ProgramChange(channel_value()),
            EventType::CHANNEL_PRESSURE => Payload::ChannelPressure(channel_value()),
            EventType::PITCH_BEND => Payload::PitchBend(channel_value()),
            EventType::CONTROL_14 => Payload::Control14(control()),
            EventType::NON_REGISTERED_PARAMETER => Payload::NonRegisteredParameter(control()),
            EventType::REGISTERED_PARAMETER => Payload::RegisteredParameter(control()),
            EventType::SONG_POSITION => Payload::SongPosition(channel_value()),
            EventType::SONG_SELECT => Payload::SongSelect(channel_value()),
            EventType::QUARTER_FRAME => Payload::QuarterFrame(channel_value()),
            EventType::TIME_SIGNATURE => Payload::TimeSignature(channel_value()),
            EventType::KEY_SIGNATURE => Payload::KeySignature(channel_value()),
            EventType::START => Payload::Start { queue },
            EventType::CONTINUE => Payload::Continue { queue },
            EventType::STOP => Payload::Stop { queue },
            EventType::SET_POSITION_TICK => Payload::SetPositionTick { queue, tick: cell.word(20) },
            EventType::SET_POSITION_TIME => {
                Payload::SetPositionTime { queue, time: cell.real_time(20) }
            }
            EventType::TEMPO => Payload::Tempo { queue, microseconds: cell.word(20) as i32 },
            EventType::CLOCK => Payload::Clock { queue },
            EventType::TICK => Payload::Tick { queue },
            EventType::QUEUE_SKEW => {
                Payload::QueueSkew { queue, value: cell.word(20), base: cell.word(24) }
            }
            EventType::SYNC_POSITION => Payload::SyncPosition { queue, position: cell.word(20) },
            EventType::TUNE_REQUEST => Payload::TuneRequest,
            EventType::RESET => Payload::Reset,
            EventType::ACTIVE_SENSING => Payload::ActiveSensing,
            EventType::ECHO => Payload::Echo(cell.data()),
            EventType::OSS => Payload::Oss(cell.data()),
            EventType::CLIENT_START => Payload::ClientStart(cell.address(16)),
            EventType::CLIENT_EXIT => Payload::ClientExit(cell.address(16)),
            EventType::CLIENT_CHANGE => Payload::ClientChange(cell.address(16)),
            EventType::PORT_START => Payload::PortStart(cell.address(16)),
            EventType::PORT_EXIT => Payload::PortExit(cell.address(16)),
            EventType::PORT_CHANGE => Payload::PortChange(cell.address(16)),
            EventType::PORT_SUBSCRIBED => Payload::PortSubscribed(connection()),
            EventType::PORT_UNSUBSCRIBED => Payload::PortUnsubscribed(connection()),
            EventType::UMP_ENDPOINT_CHANGE => Payload::UmpEndpointChange(notice()),
            EventType::UMP_BLOCK_CHANGE => Payload::UmpBlockChange(notice()),
            EventType::KERNEL_ERROR => Payload::KernelError(quote()),
            EventType::KERNEL_QUOTE => Payload::KernelQuote(quote()),
            EventType(number @ 90..=99) => Payload::User(number - 90, cell.data()),
            EventType::SYSTEM_EXCLUSIVE => Payload::SystemExclusive(variable),
            EventType::BOUNCE => Payload::Bounce(variable),
            EventType(number @ 135..=139) => Payload::UserVariable(number - 135, variable),
            EventType::NONE => Payload::None,
            _ => Payload::Unknown { event_type, data: cell.data(), variable },
        }
    }

    /// Writes the payload into `cell` (type, data and length bits) and returns its variable
    /// data. Bytes that the payload does not use become 0.
    #[inline]
    pub(crate) fn write(&self, cell: &mut Cell) -> &'a [u8] {
        cell.0[0] = self.event_type().0;
        cell.set_data([0; 12]);
        self.write_data(cell);
        let variable = self.variable_data();
        let mut flags = cell.flags() - EventFlags::LENGTH_MASK;
        if variable.is_some() {
            flags |= EventFlags::LENGTH_VARIABLE;
        }
        cell.0[1] = flags.bits();
        variable.unwrap_or_default()
    }

    /// The variable data; `None` for a payload of fixed size.
    #[inline]
    fn variable_data(&self) -> Option<&'a [u8]> {
        match *self {
            Payload::SystemExclusive(data)
            | Payload::Bounce(data)
            | Payload::UserVariable(_, data) => Some(data),
            Payload::Unknown { event_type, variable, .. } => {
                (event_type.is_variable() || !variable.is_empty()).then_some(variable)
            }
            _ => None,
        }
    }

    /// Writes the 12 bytes of data, which are 0 before.
    #[inline]
    fn write_data(&self, cell: &mut Cell) {
        match *self {
            Payload::System(result) | Payload::Result(result) => {
                cell.set_word(16, result.event as u32);
                cell.set_word(20, result.result as u32);
            }
            Payload::Note(note) => {
                let bytes = [note.channel, note.note, note.velocity, note.off_velocity];
                cell.set_word(16, u32::from_ne_bytes(bytes));
                cell.set_word(20, note.duration);
            }
            Payload::NoteOn(key) | Payload::NoteOff(key) | Payload::KeyPressure(key) => {
                // Stored as one word, so that `Cell::store` can load it as one word at once.
                let bytes = [key.channel, key.note, key.velocity, 0];
                cell.set_word(16, u32::from_ne_bytes(bytes));
            }
            Payload::ControlChange(control)
            | Payload::Control14(control)
            | Payload::NonRegisteredParameter(control)
            | Payload::RegisteredParameter(control) => {
                cell.0[16] = control.channel;
                cell.set_word(20, control.param);
                cell.set_word(24, control.value as u32);
            }
            Payload::ProgramChange(value)
            | Payload::ChannelPressure(value)
            | Payload::PitchBend(value)
            | Payload::SongPosition(value)
            | Payload::SongSelect(value)
            | Payload::QuarterFrame(value)
            | Payload::TimeSignature(value)
            | Payload::KeySignature(value) => {
                cell.0[16] = value.channel;
                cell.set_word(24, value.value as u32);
            }
            Payload::Start { queue }
            | Payload::Continue { queue }
            | Payload::Stop { queue }
            | Payload::Clock { queue }
            | Payload::Tick { queue } => cell.0[16] = queue,
            Payload::SetPositionTick { queue, tick } => {
                cell.0[16] = queue;
                cell.set_word(20, tick);
            }
            Payload::SetPositionTime { queue, time } => {
                cell.0[16] = queue;
                cell.set_real_time(20, time);
            }
            Payload::Tempo { queue, microseconds } => {
                cell.0[16] = queue;
                cell.set_word(20, microseconds as u32);
            }
            Payload::QueueSkew { queue, value, base } => {
                cell.0[16] = queue;
                cell.set_word(20, value);
                cell.set_word(24, base);
            }
            Payload::SyncPosition { queue, position } => {
                cell.0[16] = queue;
                cell.set_word(20, position);
            }
            Payload::Echo(data)
            | Payload::Oss(data)
            | Payload::User(_, data)
            | Payload::Unknown { data, .. } => cell.set_data(data),
            Payload::ClientStart(address)
            | Payload::ClientExit(address)
            | Payload::ClientChange(address)
            | Payload::PortStart(address)
            | Payload::PortExit(address)
            | Payload::PortChange(address) => cell.set_address(16, address),
            Payload::PortSubscribed(connection) | Payload::PortUnsubscribed(connection) => {
                cell.set_address(16, connection.sender);
                cell.set_address(18, connection.dest);
            }
            Payload::UmpEndpointChange(notice) | Payload::UmpBlockChange(notice) => {
                cell.0[16] = notice.client;
                cell.0[17] = notice.block;
            }
            Payload::KernelError(quote) | Payload::KernelQuote(quote) => {
                cell.set_address(16, quote.dest);
                cell.0[18..20].copy_from_slice(&quote.errno.to_ne_bytes());
                cell.0[20..28].copy_from_slice(&quote.kernel);
            }
            // These have no data, or variable data only.
            Payload::TuneRequest
            | Payload::Reset
            | Payload::ActiveSensing
            | Payload::None
            | Payload::SystemExclusive(_)
            | Payload::Bounce(_)
            | Payload::UserVariable(..) => {}
        }
    }
}

/// An event that was returned because it could not be delivered. Only clients with the bounce
/// filter receive such events, and only for events that were sent through a queue.
///
/// Linux (at least 6.1 to 7.2) sends only the event's cell. The header describes a longer form,
/// `struct snd_seq_event_bounce` with errno and variable data, which is parsed as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bounce<'a> {
    /// The positive errno; `None` in the short form.
    pub errno: Option<i32>,
    /// The event that could not be delivered.
    pub event: raw::Event,
    /// Its variable data; empty in the short form.
    pub variable: &'a [u8],
}

impl<'a> Bounce<'a> {
    /// Parses the data of a bounce event; `None` if it does not contain an event.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        if let Ok(cell) = data.try_into() {
            return Some(Self { errno: None, event: raw::Event::from_bytes(cell), variable: &[] });
        }
        let (errno, rest) = data.split_first_chunk()?;
        let (cell, variable) = rest.split_first_chunk()?;
        Some(Self {
            errno: Some(i32::from_ne_bytes(*errno).wrapping_abs()),
            event: raw::Event::from_bytes(cell),
            variable,
        })
    }
}
