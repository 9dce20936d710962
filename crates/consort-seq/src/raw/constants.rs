//! Constants of `<sound/asequencer.h>`, one module for each family.
//!
//! The documentation of each constant contains its C identifier.

macro_rules! constants {
    ($(#[$about:meta])* $module:ident : $type:ty; $($name:ident = $value:expr, $c_name:literal, $text:literal;)*) => {
        $(#[$about])*
        pub mod $module {
            $(
                #[doc = concat!($text, " `", $c_name, "`")]
                pub const $name: $type = $value;
            )*

            /// All constants of this module with their C identifiers, in the order of the header.
            pub const ALL: &[(&str, $type)] = &[$(($c_name, $name),)*];
        }
    };
}

constants! {
    /// Types of events, `SNDRV_SEQ_EVENT_*`.
    event_type: u8;
    SYSTEM = 0, "SNDRV_SEQ_EVENT_SYSTEM", "System status; data: result.";
    RESULT = 1, "SNDRV_SEQ_EVENT_RESULT", "Result of a processed event; data: result.";
    NOTE = 5, "SNDRV_SEQ_EVENT_NOTE", "Note with duration: becomes note on and note off when due; data: note.";
    NOTE_ON = 6, "SNDRV_SEQ_EVENT_NOTEON", "Note on; data: note.";
    NOTE_OFF = 7, "SNDRV_SEQ_EVENT_NOTEOFF", "Note off; data: note.";
    KEY_PRESSURE = 8, "SNDRV_SEQ_EVENT_KEYPRESS", "Key pressure; data: note.";
    CONTROLLER = 10, "SNDRV_SEQ_EVENT_CONTROLLER", "Controller; data: control.";
    PROGRAM_CHANGE = 11, "SNDRV_SEQ_EVENT_PGMCHANGE", "Program change; data: control.";
    CHANNEL_PRESSURE = 12, "SNDRV_SEQ_EVENT_CHANPRESS", "Channel pressure; data: control.";
    PITCH_BEND = 13, "SNDRV_SEQ_EVENT_PITCHBEND", "Pitch bend, −8192 to 8191; data: control.";
    CONTROL_14 = 14, "SNDRV_SEQ_EVENT_CONTROL14", "Controller of 14 bits; data: control.";
    NON_REGISTERED_PARAMETER = 15, "SNDRV_SEQ_EVENT_NONREGPARAM", "NRPN, 14-bit number and value; data: control.";
    REGISTERED_PARAMETER = 16, "SNDRV_SEQ_EVENT_REGPARAM", "RPN, 14-bit number and value; data: control.";
    SONG_POSITION = 20, "SNDRV_SEQ_EVENT_SONGPOS", "Song position pointer; data: control.";
    SONG_SELECT = 21, "SNDRV_SEQ_EVENT_SONGSEL", "Song select; data: control.";
    QUARTER_FRAME = 22, "SNDRV_SEQ_EVENT_QFRAME", "MIDI time code quarter frame; data: control.";
    TIME_SIGNATURE = 23, "SNDRV_SEQ_EVENT_TIMESIGN", "Time signature of a Standard MIDI File; data: control.";
    KEY_SIGNATURE = 24, "SNDRV_SEQ_EVENT_KEYSIGN", "Key signature of a Standard MIDI File; data: control.";
    START = 30, "SNDRV_SEQ_EVENT_START", "Start; data: queue control.";
    CONTINUE = 31, "SNDRV_SEQ_EVENT_CONTINUE", "Continue; data: queue control.";
    STOP = 32, "SNDRV_SEQ_EVENT_STOP", "Stop; data: queue control.";
    SET_POSITION_TICK = 33, "SNDRV_SEQ_EVENT_SETPOS_TICK", "Sets a queue's position in ticks; data: queue control.";
    SET_POSITION_TIME = 34, "SNDRV_SEQ_EVENT_SETPOS_TIME", "Sets a queue's position in real time; data: queue control.";
    TEMPO = 35, "SNDRV_SEQ_EVENT_TEMPO", "Sets a queue's tempo; data: queue control.";
    CLOCK = 36, "SNDRV_SEQ_EVENT_CLOCK", "MIDI clock; data: queue control.";
    TICK = 37, "SNDRV_SEQ_EVENT_TICK", "MIDI tick; data: queue control.";
    QUEUE_SKEW = 38, "SNDRV_SEQ_EVENT_QUEUE_SKEW", "Sets a queue's skew; data: queue control.";
    TUNE_REQUEST = 40, "SNDRV_SEQ_EVENT_TUNE_REQUEST", "Tune request; no data.";
    RESET = 41, "SNDRV_SEQ_EVENT_RESET", "Reset; no data.";
    ACTIVE_SENSING = 42, "SNDRV_SEQ_EVENT_SENSING", "Active sensing; no data.";
    ECHO = 50, "SNDRV_SEQ_EVENT_ECHO", "Echo; any data.";
    OSS = 51, "SNDRV_SEQ_EVENT_OSS", "OSS raw event; any data.";
    CLIENT_START = 60, "SNDRV_SEQ_EVENT_CLIENT_START", "A client was created; data: address.";
    CLIENT_EXIT = 61, "SNDRV_SEQ_EVENT_CLIENT_EXIT", "A client was closed; data: address.";
    CLIENT_CHANGE = 62, "SNDRV_SEQ_EVENT_CLIENT_CHANGE", "A client's information has changed; data: address.";
    PORT_START = 63, "SNDRV_SEQ_EVENT_PORT_START", "A port was created; data: address.";
    PORT_EXIT = 64, "SNDRV_SEQ_EVENT_PORT_EXIT", "A port was deleted; data: address.";
    PORT_CHANGE = 65, "SNDRV_SEQ_EVENT_PORT_CHANGE", "A port's information has changed; data: address.";
    PORT_SUBSCRIBED = 66, "SNDRV_SEQ_EVENT_PORT_SUBSCRIBED", "Two ports were connected; data: connect.";
    PORT_UNSUBSCRIBED = 67, "SNDRV_SEQ_EVENT_PORT_UNSUBSCRIBED", "Two ports were disconnected; data: connect.";
    UMP_ENDPOINT_CHANGE = 68, "SNDRV_SEQ_EVENT_UMP_EP_CHANGE", "UMP endpoint information has changed (Linux 6.12); data: UMP notice.";
    UMP_BLOCK_CHANGE = 69, "SNDRV_SEQ_EVENT_UMP_BLOCK_CHANGE", "UMP block information has changed (Linux 6.12); data: UMP notice.";
    USER_0 = 90, "SNDRV_SEQ_EVENT_USR0", "User-defined, fixed length; any data.";
    USER_1 = 91, "SNDRV_SEQ_EVENT_USR1", "User-defined, fixed length; any data.";
    USER_2 = 92, "SNDRV_SEQ_EVENT_USR2", "User-defined, fixed length; any data.";
    USER_3 = 93, "SNDRV_SEQ_EVENT_USR3", "User-defined, fixed length; any data.";
    USER_4 = 94, "SNDRV_SEQ_EVENT_USR4", "User-defined, fixed length; any data.";
    USER_5 = 95, "SNDRV_SEQ_EVENT_USR5", "User-defined, fixed length; any data.";
    USER_6 = 96, "SNDRV_SEQ_EVENT_USR6", "User-defined, fixed length; any data.";
    USER_7 = 97, "SNDRV_SEQ_EVENT_USR7", "User-defined, fixed length; any data.";
    USER_8 = 98, "SNDRV_SEQ_EVENT_USR8", "User-defined, fixed length; any data.";
    USER_9 = 99, "SNDRV_SEQ_EVENT_USR9", "User-defined, fixed length; any data.";
    SYSEX = 130, "SNDRV_SEQ_EVENT_SYSEX", "System exclusive; variable data.";
    BOUNCE = 131, "SNDRV_SEQ_EVENT_BOUNCE", "An event that could not be delivered; variable data.";
    USER_VARIABLE_0 = 135, "SNDRV_SEQ_EVENT_USR_VAR0", "User-defined; variable data.";
    USER_VARIABLE_1 = 136, "SNDRV_SEQ_EVENT_USR_VAR1", "User-defined; variable data.";
    USER_VARIABLE_2 = 137, "SNDRV_SEQ_EVENT_USR_VAR2", "User-defined; variable data.";
    USER_VARIABLE_3 = 138, "SNDRV_SEQ_EVENT_USR_VAR3", "User-defined; variable data.";
    USER_VARIABLE_4 = 139, "SNDRV_SEQ_EVENT_USR_VAR4", "User-defined; variable data.";
    KERNEL_ERROR = 150, "SNDRV_SEQ_EVENT_KERNEL_ERROR", "Kernel error; data: quoted event.";
    KERNEL_QUOTE = 151, "SNDRV_SEQ_EVENT_KERNEL_QUOTE", "Quoted event, used inside the kernel only (obsolete).";
    NONE = 255, "SNDRV_SEQ_EVENT_NONE", "No event: ignored by the sequencer.";
}

constants! {
    /// Flags of an event.
    event_flag: u8;
    TIME_STAMP_TICK = 0, "SNDRV_SEQ_TIME_STAMP_TICK", "The time stamp is in ticks.";
    TIME_STAMP_REAL = 1, "SNDRV_SEQ_TIME_STAMP_REAL", "The time stamp is real time.";
    TIME_STAMP_MASK = 1, "SNDRV_SEQ_TIME_STAMP_MASK", "Mask of the time stamp's unit.";
    TIME_MODE_ABSOLUTE = 0, "SNDRV_SEQ_TIME_MODE_ABS", "The time stamp is absolute.";
    TIME_MODE_RELATIVE = 2, "SNDRV_SEQ_TIME_MODE_REL", "The time stamp is relative to the moment of queueing.";
    TIME_MODE_MASK = 2, "SNDRV_SEQ_TIME_MODE_MASK", "Mask of the time stamp's mode.";
    LENGTH_FIXED = 0, "SNDRV_SEQ_EVENT_LENGTH_FIXED", "There is no variable data.";
    LENGTH_VARIABLE = 4, "SNDRV_SEQ_EVENT_LENGTH_VARIABLE", "Variable data follows the cell.";
    LENGTH_USER = 8, "SNDRV_SEQ_EVENT_LENGTH_VARUSR", "Variable data is in the sender's memory; for kernel clients only.";
    LENGTH_MASK = 12, "SNDRV_SEQ_EVENT_LENGTH_MASK", "Mask of the length.";
    PRIORITY_NORMAL = 0, "SNDRV_SEQ_PRIORITY_NORMAL", "Delivered after events queued earlier with the same time stamp.";
    PRIORITY_HIGH = 16, "SNDRV_SEQ_PRIORITY_HIGH", "Delivered before others with the same time stamp.";
    PRIORITY_MASK = 16, "SNDRV_SEQ_PRIORITY_MASK", "Mask of the priority.";
    UMP = 32, "SNDRV_SEQ_EVENT_UMP", "The cell holds a UMP packet (Linux 6.5).";
}

constants! {
    /// Special numbers of clients, ports and queues.
    address: u8;
    CLIENT_SYSTEM = 0, "SNDRV_SEQ_CLIENT_SYSTEM", "The client `System`.";
    CLIENT_MIDI_THROUGH = 14, "SNDRV_SEQ_CLIENT_DUMMY", "The client `Midi Through`.";
    CLIENT_OSS = 15, "SNDRV_SEQ_CLIENT_OSS", "The client of the OSS emulation.";
    PORT_SYSTEM_TIMER = 0, "SNDRV_SEQ_PORT_SYSTEM_TIMER", "Port of `System` that controls queues.";
    PORT_SYSTEM_ANNOUNCE = 1, "SNDRV_SEQ_PORT_SYSTEM_ANNOUNCE", "Port of `System` that announces changes.";
    UNKNOWN = 253, "SNDRV_SEQ_ADDRESS_UNKNOWN", "Unknown client or port.";
    SUBSCRIBERS = 254, "SNDRV_SEQ_ADDRESS_SUBSCRIBERS", "Destination client: all subscribers of the source port.";
    BROADCAST = 255, "SNDRV_SEQ_ADDRESS_BROADCAST", "Destination client or port: all of them.";
    QUEUE_DIRECT = 253, "SNDRV_SEQ_QUEUE_DIRECT", "Queue: direct delivery, without a queue.";
}

constants! {
    /// Types of clients.
    client_type: i32;
    NONE = 0, "NO_CLIENT", "No client.";
    USER = 1, "USER_CLIENT", "A process.";
    KERNEL = 2, "KERNEL_CLIENT", "A driver.";
}

constants! {
    /// Filter flags of a client.
    client_filter: u32;
    BROADCAST = 1, "SNDRV_SEQ_FILTER_BROADCAST", "Accepts broadcast events.";
    MULTICAST = 2, "SNDRV_SEQ_FILTER_MULTICAST", "Accepts multicast events.";
    BOUNCE = 1 << 2, "SNDRV_SEQ_FILTER_BOUNCE", "Returns queued events that could not be delivered.";
    NO_CONVERT = 1 << 30, "SNDRV_SEQ_FILTER_NO_CONVERT", "Disables the conversion of UMP events (Linux 6.5).";
    USE_EVENT = 1 << 31, "SNDRV_SEQ_FILTER_USE_EVENT", "Enables the event filter bitmap.";
}

constants! {
    /// MIDI versions of a client.
    midi_version: u32;
    LEGACY = 0, "SNDRV_SEQ_CLIENT_LEGACY_MIDI", "Cells of 28 bytes.";
    UMP_MIDI_1_0 = 1, "SNDRV_SEQ_CLIENT_UMP_MIDI_1_0", "Cells of 32 bytes with UMP packets, MIDI 1.0 protocol.";
    UMP_MIDI_2_0 = 2, "SNDRV_SEQ_CLIENT_UMP_MIDI_2_0", "Cells of 32 bytes with UMP packets, MIDI 2.0 protocol.";
}

constants! {
    /// Conditions of `remove_events`.
    remove: u32;
    INPUT = 1, "SNDRV_SEQ_REMOVE_INPUT", "Clears the input queue.";
    OUTPUT = 2, "SNDRV_SEQ_REMOVE_OUTPUT", "Removes scheduled output.";
    DEST = 1 << 2, "SNDRV_SEQ_REMOVE_DEST", "Selects events of this destination and queue.";
    DEST_CHANNEL = 1 << 3, "SNDRV_SEQ_REMOVE_DEST_CHANNEL", "Selects events of this channel.";
    TIME_BEFORE = 1 << 4, "SNDRV_SEQ_REMOVE_TIME_BEFORE", "Selects events before the time.";
    TIME_AFTER = 1 << 5, "SNDRV_SEQ_REMOVE_TIME_AFTER", "Selects events at the time or after it.";
    TIME_TICK = 1 << 6, "SNDRV_SEQ_REMOVE_TIME_TICK", "The time is in ticks.";
    EVENT_TYPE = 1 << 7, "SNDRV_SEQ_REMOVE_EVENT_TYPE", "Selects events of this type.";
    IGNORE_OFF = 1 << 8, "SNDRV_SEQ_REMOVE_IGNORE_OFF", "Keeps note off events.";
    TAG_MATCH = 1 << 9, "SNDRV_SEQ_REMOVE_TAG_MATCH", "Selects events with this tag.";
}

constants! {
    /// Capabilities of a port.
    port_capability: u32;
    READ = 1, "SNDRV_SEQ_PORT_CAP_READ", "Events can be read from the port.";
    WRITE = 2, "SNDRV_SEQ_PORT_CAP_WRITE", "Events can be written to the port.";
    SYNC_READ = 1 << 2, "SNDRV_SEQ_PORT_CAP_SYNC_READ", "Reserved for synchronised reading.";
    SYNC_WRITE = 1 << 3, "SNDRV_SEQ_PORT_CAP_SYNC_WRITE", "Reserved for synchronised writing.";
    DUPLEX = 1 << 4, "SNDRV_SEQ_PORT_CAP_DUPLEX", "Input and output belong together.";
    SUBSCRIBE_READ = 1 << 5, "SNDRV_SEQ_PORT_CAP_SUBS_READ", "Other clients may subscribe to read from the port.";
    SUBSCRIBE_WRITE = 1 << 6, "SNDRV_SEQ_PORT_CAP_SUBS_WRITE", "Other clients may subscribe to write to the port.";
    NO_EXPORT = 1 << 7, "SNDRV_SEQ_PORT_CAP_NO_EXPORT", "Only the port's client may connect it.";
    INACTIVE = 1 << 8, "SNDRV_SEQ_PORT_CAP_INACTIVE", "The port is inactive at present (Linux 6.5).";
    UMP_ENDPOINT = 1 << 9, "SNDRV_SEQ_PORT_CAP_UMP_ENDPOINT", "The port is a UMP endpoint (Linux 6.5).";
}

constants! {
    /// Types of ports.
    port_type: u32;
    SPECIFIC = 1, "SNDRV_SEQ_PORT_TYPE_SPECIFIC", "Specific to the hardware.";
    MIDI_GENERIC = 2, "SNDRV_SEQ_PORT_TYPE_MIDI_GENERIC", "Supports MIDI messages.";
    MIDI_GM = 1 << 2, "SNDRV_SEQ_PORT_TYPE_MIDI_GM", "General MIDI.";
    MIDI_GS = 1 << 3, "SNDRV_SEQ_PORT_TYPE_MIDI_GS", "Roland GS.";
    MIDI_XG = 1 << 4, "SNDRV_SEQ_PORT_TYPE_MIDI_XG", "Yamaha XG.";
    MIDI_MT32 = 1 << 5, "SNDRV_SEQ_PORT_TYPE_MIDI_MT32", "Roland MT-32.";
    MIDI_GM2 = 1 << 6, "SNDRV_SEQ_PORT_TYPE_MIDI_GM2", "General MIDI 2.";
    MIDI_UMP = 1 << 7, "SNDRV_SEQ_PORT_TYPE_MIDI_UMP", "UMP (Linux 6.5).";
    SYNTH = 1 << 10, "SNDRV_SEQ_PORT_TYPE_SYNTH", "A synthesizer without MIDI support.";
    DIRECT_SAMPLE = 1 << 11, "SNDRV_SEQ_PORT_TYPE_DIRECT_SAMPLE", "Samples can be loaded.";
    SAMPLE = 1 << 12, "SNDRV_SEQ_PORT_TYPE_SAMPLE", "Samples can be loaded at any time.";
    HARDWARE = 1 << 16, "SNDRV_SEQ_PORT_TYPE_HARDWARE", "A hardware device.";
    SOFTWARE = 1 << 17, "SNDRV_SEQ_PORT_TYPE_SOFTWARE", "A program.";
    SYNTHESIZER = 1 << 18, "SNDRV_SEQ_PORT_TYPE_SYNTHESIZER", "A synthesizer.";
    PORT = 1 << 19, "SNDRV_SEQ_PORT_TYPE_PORT", "A connection to other devices.";
    APPLICATION = 1 << 20, "SNDRV_SEQ_PORT_TYPE_APPLICATION", "An application.";
}

constants! {
    /// Flags of a port.
    port_flag: u32;
    GIVEN_PORT = 1, "SNDRV_SEQ_PORT_FLG_GIVEN_PORT", "Creates the port with the given number.";
    TIMESTAMP = 2, "SNDRV_SEQ_PORT_FLG_TIMESTAMP", "Stamps arriving events.";
    TIME_REAL = 4, "SNDRV_SEQ_PORT_FLG_TIME_REAL", "Stamps with real time instead of ticks.";
    IS_MIDI1 = 8, "SNDRV_SEQ_PORT_FLG_IS_MIDI1", "Restricts the port to the MIDI 1.0 protocol (Linux 6.13).";
}

constants! {
    /// Direction of a port.
    port_direction: u8;
    UNKNOWN = 0, "SNDRV_SEQ_PORT_DIR_UNKNOWN", "Unknown direction.";
    INPUT = 1, "SNDRV_SEQ_PORT_DIR_INPUT", "Input only.";
    OUTPUT = 2, "SNDRV_SEQ_PORT_DIR_OUTPUT", "Output only.";
    BIDIRECTION = 3, "SNDRV_SEQ_PORT_DIR_BIDIRECTION", "Input and output.";
}

constants! {
    /// Flags of a queue.
    queue_flag: u32;
    SYNC = 1, "SNDRV_SEQ_QUEUE_FLG_SYNC", "Synchronisation is enabled.";
}

constants! {
    /// Types of the timer that drives a queue.
    timer_type: i32;
    ALSA = 0, "SNDRV_SEQ_TIMER_ALSA", "An ALSA timer.";
    MIDI_CLOCK = 1, "SNDRV_SEQ_TIMER_MIDI_CLOCK", "MIDI clock events.";
    MIDI_TICK = 2, "SNDRV_SEQ_TIMER_MIDI_TICK", "MIDI tick events.";
}

constants! {
    /// Flags of a subscription.
    subscription_flag: u32;
    EXCLUSIVE = 1, "SNDRV_SEQ_PORT_SUBS_EXCLUSIVE", "No other connection may use the ports.";
    TIMESTAMP = 2, "SNDRV_SEQ_PORT_SUBS_TIMESTAMP", "Stamps the events of the connection.";
    TIME_REAL = 4, "SNDRV_SEQ_PORT_SUBS_TIME_REAL", "Stamps with real time instead of ticks.";
}

constants! {
    /// Directions of a query for subscribers.
    query_type: i32;
    READ = 0, "SNDRV_SEQ_QUERY_SUBS_READ", "Subscribers that read from the port.";
    WRITE = 1, "SNDRV_SEQ_QUERY_SUBS_WRITE", "Subscribers that write to the port.";
}

constants! {
    /// Kinds of UMP information.
    ump_info_type: i32;
    ENDPOINT = 0, "SNDRV_SEQ_CLIENT_UMP_INFO_ENDPOINT", "Information about the endpoint.";
    BLOCK = 1, "SNDRV_SEQ_CLIENT_UMP_INFO_BLOCK", "Information about the first block; add the number of another block.";
}

/// Request numbers of the ioctls, `SNDRV_SEQ_IOCTL_*`.
pub mod request_number {
    use rustix::ioctl::{Opcode, opcode};

    use super::super::{
        ClientInfo, ClientPool, ClientUmpInfo, PortInfo, PortSubscribe, QuerySubscribers,
        QueueClient, QueueInfo, QueueStatus, QueueTempo, QueueTimer, RemoveEvents, RunningInfo,
        SystemInfo,
    };

    /// `SNDRV_SEQ_IOCTL_PVERSION`
    pub const PROTOCOL_VERSION: Opcode = opcode::read::<i32>(b'S', 0x00);
    /// `SNDRV_SEQ_IOCTL_CLIENT_ID`
    pub const CLIENT_ID: Opcode = opcode::read::<i32>(b'S', 0x01);
    /// `SNDRV_SEQ_IOCTL_SYSTEM_INFO`
    pub const SYSTEM_INFO: Opcode = opcode::read_write::<SystemInfo>(b'S', 0x02);
    /// `SNDRV_SEQ_IOCTL_RUNNING_MODE`
    pub const RUNNING_MODE: Opcode = opcode::read_write::<RunningInfo>(b'S', 0x03);
    /// `SNDRV_SEQ_IOCTL_USER_PVERSION`
    pub const USER_PROTOCOL_VERSION: Opcode = opcode::write::<i32>(b'S', 0x04);
    /// `SNDRV_SEQ_IOCTL_GET_CLIENT_INFO`
    pub const GET_CLIENT_INFO: Opcode = opcode::read_write::<ClientInfo>(b'S', 0x10);
    /// `SNDRV_SEQ_IOCTL_SET_CLIENT_INFO`
    pub const SET_CLIENT_INFO: Opcode = opcode::write::<ClientInfo>(b'S', 0x11);
    /// `SNDRV_SEQ_IOCTL_GET_CLIENT_UMP_INFO`
    pub const GET_CLIENT_UMP_INFO: Opcode = opcode::read_write::<ClientUmpInfo>(b'S', 0x12);
    /// `SNDRV_SEQ_IOCTL_SET_CLIENT_UMP_INFO`
    pub const SET_CLIENT_UMP_INFO: Opcode = opcode::read_write::<ClientUmpInfo>(b'S', 0x13);
    /// `SNDRV_SEQ_IOCTL_CREATE_PORT`
    pub const CREATE_PORT: Opcode = opcode::read_write::<PortInfo>(b'S', 0x20);
    /// `SNDRV_SEQ_IOCTL_DELETE_PORT`
    pub const DELETE_PORT: Opcode = opcode::write::<PortInfo>(b'S', 0x21);
    /// `SNDRV_SEQ_IOCTL_GET_PORT_INFO`
    pub const GET_PORT_INFO: Opcode = opcode::read_write::<PortInfo>(b'S', 0x22);
    /// `SNDRV_SEQ_IOCTL_SET_PORT_INFO`
    pub const SET_PORT_INFO: Opcode = opcode::write::<PortInfo>(b'S', 0x23);
    /// `SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT`
    pub const SUBSCRIBE_PORT: Opcode = opcode::write::<PortSubscribe>(b'S', 0x30);
    /// `SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT`
    pub const UNSUBSCRIBE_PORT: Opcode = opcode::write::<PortSubscribe>(b'S', 0x31);
    /// `SNDRV_SEQ_IOCTL_CREATE_QUEUE`
    pub const CREATE_QUEUE: Opcode = opcode::read_write::<QueueInfo>(b'S', 0x32);
    /// `SNDRV_SEQ_IOCTL_DELETE_QUEUE`
    pub const DELETE_QUEUE: Opcode = opcode::write::<QueueInfo>(b'S', 0x33);
    /// `SNDRV_SEQ_IOCTL_GET_QUEUE_INFO`
    pub const GET_QUEUE_INFO: Opcode = opcode::read_write::<QueueInfo>(b'S', 0x34);
    /// `SNDRV_SEQ_IOCTL_SET_QUEUE_INFO`
    pub const SET_QUEUE_INFO: Opcode = opcode::read_write::<QueueInfo>(b'S', 0x35);
    /// `SNDRV_SEQ_IOCTL_GET_NAMED_QUEUE`
    pub const GET_NAMED_QUEUE: Opcode = opcode::read_write::<QueueInfo>(b'S', 0x36);
    /// `SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS`
    pub const GET_QUEUE_STATUS: Opcode = opcode::read_write::<QueueStatus>(b'S', 0x40);
    /// `SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO`
    pub const GET_QUEUE_TEMPO: Opcode = opcode::read_write::<QueueTempo>(b'S', 0x41);
    /// `SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO`
    pub const SET_QUEUE_TEMPO: Opcode = opcode::write::<QueueTempo>(b'S', 0x42);
    /// `SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER`
    pub const GET_QUEUE_TIMER: Opcode = opcode::read_write::<QueueTimer>(b'S', 0x45);
    /// `SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER`
    pub const SET_QUEUE_TIMER: Opcode = opcode::write::<QueueTimer>(b'S', 0x46);
    /// `SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT`
    pub const GET_QUEUE_CLIENT: Opcode = opcode::read_write::<QueueClient>(b'S', 0x49);
    /// `SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT`
    pub const SET_QUEUE_CLIENT: Opcode = opcode::write::<QueueClient>(b'S', 0x4a);
    /// `SNDRV_SEQ_IOCTL_GET_CLIENT_POOL`
    pub const GET_CLIENT_POOL: Opcode = opcode::read_write::<ClientPool>(b'S', 0x4b);
    /// `SNDRV_SEQ_IOCTL_SET_CLIENT_POOL`
    pub const SET_CLIENT_POOL: Opcode = opcode::write::<ClientPool>(b'S', 0x4c);
    /// `SNDRV_SEQ_IOCTL_REMOVE_EVENTS`
    pub const REMOVE_EVENTS: Opcode = opcode::write::<RemoveEvents>(b'S', 0x4e);
    /// `SNDRV_SEQ_IOCTL_QUERY_SUBS`
    pub const QUERY_SUBSCRIBERS: Opcode = opcode::read_write::<QuerySubscribers>(b'S', 0x4f);
    /// `SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION`
    pub const GET_SUBSCRIPTION: Opcode = opcode::read_write::<PortSubscribe>(b'S', 0x50);
    /// `SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT`
    pub const QUERY_NEXT_CLIENT: Opcode = opcode::read_write::<ClientInfo>(b'S', 0x51);
    /// `SNDRV_SEQ_IOCTL_QUERY_NEXT_PORT`
    pub const QUERY_NEXT_PORT: Opcode = opcode::read_write::<PortInfo>(b'S', 0x52);

    /// All requests with their C identifiers.
    pub const ALL: &[(&str, Opcode)] = &[
        ("SNDRV_SEQ_IOCTL_PVERSION", PROTOCOL_VERSION),
        ("SNDRV_SEQ_IOCTL_CLIENT_ID", CLIENT_ID),
        ("SNDRV_SEQ_IOCTL_SYSTEM_INFO", SYSTEM_INFO),
        ("SNDRV_SEQ_IOCTL_RUNNING_MODE", RUNNING_MODE),
        ("SNDRV_SEQ_IOCTL_USER_PVERSION", USER_PROTOCOL_VERSION),
        ("SNDRV_SEQ_IOCTL_GET_CLIENT_INFO", GET_CLIENT_INFO),
        ("SNDRV_SEQ_IOCTL_SET_CLIENT_INFO", SET_CLIENT_INFO),
        ("SNDRV_SEQ_IOCTL_GET_CLIENT_UMP_INFO", GET_CLIENT_UMP_INFO),
        ("SNDRV_SEQ_IOCTL_SET_CLIENT_UMP_INFO", SET_CLIENT_UMP_INFO),
        ("SNDRV_SEQ_IOCTL_CREATE_PORT", CREATE_PORT),
        ("SNDRV_SEQ_IOCTL_DELETE_PORT", DELETE_PORT),
        ("SNDRV_SEQ_IOCTL_GET_PORT_INFO", GET_PORT_INFO),
        ("SNDRV_SEQ_IOCTL_SET_PORT_INFO", SET_PORT_INFO),
        ("SNDRV_SEQ_IOCTL_SUBSCRIBE_PORT", SUBSCRIBE_PORT),
        ("SNDRV_SEQ_IOCTL_UNSUBSCRIBE_PORT", UNSUBSCRIBE_PORT),
        ("SNDRV_SEQ_IOCTL_CREATE_QUEUE", CREATE_QUEUE),
        ("SNDRV_SEQ_IOCTL_DELETE_QUEUE", DELETE_QUEUE),
        ("SNDRV_SEQ_IOCTL_GET_QUEUE_INFO", GET_QUEUE_INFO),
        ("SNDRV_SEQ_IOCTL_SET_QUEUE_INFO", SET_QUEUE_INFO),
        ("SNDRV_SEQ_IOCTL_GET_NAMED_QUEUE", GET_NAMED_QUEUE),
        ("SNDRV_SEQ_IOCTL_GET_QUEUE_STATUS", GET_QUEUE_STATUS),
        ("SNDRV_SEQ_IOCTL_GET_QUEUE_TEMPO", GET_QUEUE_TEMPO),
        ("SNDRV_SEQ_IOCTL_SET_QUEUE_TEMPO", SET_QUEUE_TEMPO),
        ("SNDRV_SEQ_IOCTL_GET_QUEUE_TIMER", GET_QUEUE_TIMER),
        ("SNDRV_SEQ_IOCTL_SET_QUEUE_TIMER", SET_QUEUE_TIMER),
        ("SNDRV_SEQ_IOCTL_GET_QUEUE_CLIENT", GET_QUEUE_CLIENT),
        ("SNDRV_SEQ_IOCTL_SET_QUEUE_CLIENT", SET_QUEUE_CLIENT),
        ("SNDRV_SEQ_IOCTL_GET_CLIENT_POOL", GET_CLIENT_POOL),
        ("SNDRV_SEQ_IOCTL_SET_CLIENT_POOL", SET_CLIENT_POOL),
        ("SNDRV_SEQ_IOCTL_REMOVE_EVENTS", REMOVE_EVENTS),
        ("SNDRV_SEQ_IOCTL_QUERY_SUBS", QUERY_SUBSCRIBERS),
        ("SNDRV_SEQ_IOCTL_GET_SUBSCRIPTION", GET_SUBSCRIPTION),
        ("SNDRV_SEQ_IOCTL_QUERY_NEXT_CLIENT", QUERY_NEXT_CLIENT),
        ("SNDRV_SEQ_IOCTL_QUERY_NEXT_PORT", QUERY_NEXT_PORT),
    ];
}
