//! The numbers of event types, and the flag bits of an event.

use std::fmt;

use bitflags::bitflags;

/// The type of an event (`SNDRV_SEQ_EVENT_*` of the kernel's `asequencer.h`). Numbers without a
/// name in the header are kept unchanged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct EventType(pub u8);

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $kernel:literal;)*) => {
        impl EventType {
            $($(#[$doc])* pub const $name: EventType = EventType($number);)*

            /// All types with a name in the kernel's header, with that name, in the order of their
            /// numbers.
            pub const ALL: &'static [(EventType, &'static str)] =
                &[$((EventType::$name, $kernel)),*];

            /// The name in the kernel's header without its prefix (`NOTEON`), or `None` for a
            /// number without a name.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($kernel),)*
                    _ => None,
                }
            }
        }
    };
}

event_types! {
    /// System status; result data.
    SYSTEM = 0, "SYSTEM";
    /// Result of an event; result data.
    RESULT = 1, "RESULT";
    /// A note with its duration, for queues only: the kernel turns it into note on and note off.
    NOTE = 5, "NOTE";
    /// Note on.
    NOTE_ON = 6, "NOTEON";
    /// Note off.
    NOTE_OFF = 7, "NOTEOFF";
    /// Key pressure (polyphonic aftertouch).
    KEY_PRESSURE = 8, "KEYPRESS";
    /// Control change.
    CONTROL_CHANGE = 10, "CONTROLLER";
    /// Program change.
    PROGRAM_CHANGE = 11, "PGMCHANGE";
    /// Channel pressure (aftertouch).
    CHANNEL_PRESSURE = 12, "CHANPRESS";
    /// Pitch bend, −8192 to 8191.
    PITCH_BEND = 13, "PITCHBEND";
    /// Control change of 14 bits.
    CONTROL_14 = 14, "CONTROL14";
    /// Non-registered parameter (NRPN).
    NON_REGISTERED_PARAMETER = 15, "NONREGPARAM";
    /// Registered parameter (RPN).
    REGISTERED_PARAMETER = 16, "REGPARAM";
    /// Song position pointer.
    SONG_POSITION = 20, "SONGPOS";
    /// Song select.
    SONG_SELECT = 21, "SONGSEL";
    /// MIDI time code quarter frame.
    QUARTER_FRAME = 22, "QFRAME";
    /// Time signature of a Standard MIDI File.
    TIME_SIGNATURE = 23, "TIMESIGN";
    /// Key signature of a Standard MIDI File.
    KEY_SIGNATURE = 24, "KEYSIGN";
    /// MIDI start; sent to the system timer, starts a queue.
    START = 30, "START";
    /// MIDI continue; sent to the system timer, continues a queue.
    CONTINUE = 31, "CONTINUE";
    /// MIDI stop; sent to the system timer, stops a queue.
    STOP = 32, "STOP";
    /// Sets a queue's position in ticks.
    SET_POSITION_TICK = 33, "SETPOS_TICK";
    /// Sets a queue's position in real time.
    SET_POSITION_TIME = 34, "SETPOS_TIME";
    /// Sets a queue's tempo in µs per quarter note.
    TEMPO = 35, "TEMPO";
    /// MIDI clock.
    CLOCK = 36, "CLOCK";
    /// MIDI tick.
    TICK = 37, "TICK";
    /// Sets the skew of a queue's tempo.
    QUEUE_SKEW = 38, "QUEUE_SKEW";
    /// A queue's position has changed.
    SYNC_POSITION = 39, "SYNC_POS";
    /// Tune request.
    TUNE_REQUEST = 40, "TUNE_REQUEST";
    /// Reset.
    RESET = 41, "RESET";
    /// Active sensing.
    ACTIVE_SENSING = 42, "SENSING";
    /// Echo: an event that a client sends to itself.
    ECHO = 50, "ECHO";
    /// Raw event of the OSS emulation.
    OSS = 51, "OSS";
    /// A client has been created.
    CLIENT_START = 60, "CLIENT_START";
    /// A client has been closed.
    CLIENT_EXIT = 61, "CLIENT_EXIT";
    /// A client's information has changed.
    CLIENT_CHANGE = 62, "CLIENT_CHANGE";
    /// A port has been created.
    PORT_START = 63, "PORT_START";
    /// A port has been deleted.
    PORT_EXIT = 64, "PORT_EXIT";
    /// A port's information has changed.
    PORT_CHANGE = 65, "PORT_CHANGE";
    /// Two ports have been connected.
    PORT_SUBSCRIBED = 66, "PORT_SUBSCRIBED";
    /// Two ports have been disconnected.
    PORT_UNSUBSCRIBED = 67, "PORT_UNSUBSCRIBED";
    /// UMP endpoint information has changed (Linux 6.12 and later).
    UMP_ENDPOINT_CHANGE = 68, "UMP_EP_CHANGE";
    /// UMP block information has changed (Linux 6.12 and later).
    UMP_BLOCK_CHANGE = 69, "UMP_BLOCK_CHANGE";
    /// User-defined event 0 with 12 bytes of data.
    USER_0 = 90, "USR0";
    /// User-defined event 1.
    USER_1 = 91, "USR1";
    /// User-defined event 2.
    USER_2 = 92, "USR2";
    /// User-defined event 3.
    USER_3 = 93, "USR3";
    /// User-defined event 4.
    USER_4 = 94, "USR4";
    /// User-defined event 5.
    USER_5 = 95, "USR5";
    /// User-defined event 6.
    USER_6 = 96, "USR6";
    /// User-defined event 7.
    USER_7 = 97, "USR7";
    /// User-defined event 8.
    USER_8 = 98, "USR8";
    /// User-defined event 9.
    USER_9 = 99, "USR9";
    /// System exclusive message, or a part of one.
    SYSTEM_EXCLUSIVE = 130, "SYSEX";
    /// An event that could not be delivered and is returned to its sender.
    BOUNCE = 131, "BOUNCE";
    /// User-defined event 0 with variable data.
    USER_VARIABLE_0 = 135, "USR_VAR0";
    /// User-defined event 1 with variable data.
    USER_VARIABLE_1 = 136, "USR_VAR1";
    /// User-defined event 2 with variable data.
    USER_VARIABLE_2 = 137, "USR_VAR2";
    /// User-defined event 3 with variable data.
    USER_VARIABLE_3 = 138, "USR_VAR3";
    /// User-defined event 4 with variable data.
    USER_VARIABLE_4 = 139, "USR_VAR4";
    /// An error; used inside the kernel only.
    KERNEL_ERROR = 150, "KERNEL_ERROR";
    /// A quoted event; used inside the kernel only (obsolete).
    KERNEL_QUOTE = 151, "KERNEL_QUOTE";
    /// No event: the sequencer ignores it.
    NONE = 255, "NONE";
}

impl EventType {
    /// Whether events of this type have variable data, as the kernel's header defines it (130 to
    /// 139).
    #[must_use]
    pub const fn is_variable(self) -> bool {
        matches!(self.0, 130..=139)
    }

    /// Whether the sequencer treats the first data byte of this type as a channel (5 to 19): notes,
    /// controllers and parameters.
    #[must_use]
    pub const fn has_channel(self) -> bool {
        matches!(self.0, 5..=19)
    }
}

impl fmt::Display for EventType {
    /// The name in the kernel's header, or `UNKNOWN_n`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.pad(name),
            None => formatter.pad(&format!("UNKNOWN_{}", self.0)),
        }
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

bitflags! {
    /// The flag bits of an event (`SNDRV_SEQ_TIME_*`, `_EVENT_LENGTH_*`, `_PRIORITY_*`,
    /// `_EVENT_UMP`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct EventFlags: u8 {
        /// The time stamp is real time; without this bit it is in ticks.
        const TIME_STAMP_REAL = 1 << 0;
        /// The time stamp is relative to the queue's time when the event is queued.
        const TIME_MODE_RELATIVE = 1 << 1;
        /// Variable data follows the event.
        const LENGTH_VARIABLE = 1 << 2;
        /// Variable data is in the sender's memory. This library never sends such events.
        const LENGTH_USER_MEMORY = 2 << 2;
        /// The event is delivered before others of the same time.
        const PRIORITY_HIGH = 1 << 4;
        /// The event is a Universal MIDI Packet.
        const UMP = 1 << 5;
        const _ = !0;
    }
}

impl EventFlags {
    /// The two bits of the length: fixed, variable, or in the sender's memory.
    pub const LENGTH_MASK: EventFlags =
        EventFlags::from_bits_retain(EventFlags::LENGTH_VARIABLE.bits() | (2 << 2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_equal_those_of_the_header() {
        assert_eq!(EventType::NOTE_ON.to_string(), "NOTEON");
        assert_eq!(EventType(77).to_string(), "UNKNOWN_77");
        assert_eq!(EventType::ALL.len(), 63);
        let mut numbers: Vec<u8> = EventType::ALL.iter().map(|(kind, _)| kind.0).collect();
        numbers.dedup();
        assert!(numbers.is_sorted() && numbers.len() == 63);
    }
}
