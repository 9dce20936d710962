//! Events as the kernel reads and writes them.

use super::{event_flag, kernel_struct};

kernel_struct! {
    /// An address, `struct snd_seq_addr`.
    #[derive(PartialOrd, Ord)]
    Address = 2;
    /// Client number, 0 to 255; see [`address`](super::address) for the special ones.
    client: u8 = 0,
    /// Port number within the client, 0 to 255.
    port: u8 = 1,
}

impl Address {
    /// The address `client:port`.
    #[must_use]
    pub const fn new(client: u8, port: u8) -> Self {
        Self { client, port }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.client, self.port)
    }
}

kernel_struct! {
    /// Two ends of a connection, `struct snd_seq_connect`.
    Connect = 4;
    /// The port that is read from.
    sender: Address = 0,
    /// The port that is written to.
    dest: Address = 2,
}

kernel_struct! {
    /// Seconds and nanoseconds, `struct snd_seq_real_time`.
    #[derive(PartialOrd, Ord)]
    RealTime = 8;
    /// Whole seconds.
    seconds: u32 = 0,
    /// Nanoseconds; the kernel keeps them below 1,000,000,000 but does not check what it is given.
    nanoseconds: u32 = 4,
}

kernel_struct! {
    /// A time stamp, `union snd_seq_timestamp`: ticks (in the first word) or real time.
    ///
    /// Which of the two it is stands in the event's flags
    /// ([`event_flag::TIME_STAMP_REAL`]).
    Timestamp = 8;
    /// The two words of the union.
    words: [u32; 2] = 0,
}

impl Timestamp {
    /// A stamp in ticks of a queue.
    #[must_use]
    pub const fn from_tick(tick: u32) -> Self {
        Self { words: [tick, 0] }
    }

    /// A stamp in real time of a queue.
    #[must_use]
    pub const fn from_real(time: RealTime) -> Self {
        Self { words: [time.seconds, time.nanoseconds] }
    }

    /// The union read as ticks.
    #[must_use]
    pub const fn tick(self) -> u32 {
        self.words[0]
    }

    /// The union read as real time.
    #[must_use]
    pub const fn real(self) -> RealTime {
        RealTime { seconds: self.words[0], nanoseconds: self.words[1] }
    }
}

kernel_struct! {
    /// Data of note events, `struct snd_seq_ev_note`.
    NoteData = 8;
    /// MIDI channel, 0 to 15.
    channel: u8 = 0,
    /// Key, 0 to 127.
    note: u8 = 1,
    /// Velocity, 0 to 127.
    velocity: u8 = 2,
    /// Release velocity, only of `NOTE`.
    off_velocity: u8 = 3,
    /// Duration, only of `NOTE`: ticks on a tick stamp, milliseconds on a real one.
    duration: u32 = 4,
}

kernel_struct! {
    /// Data of controller events, `struct snd_seq_ev_ctrl`.
    ControlData = 12;
    /// MIDI channel, 0 to 15.
    channel: u8 = 0,
    /// Unused.
    unused: [u8; 3] = 1,
    /// Parameter: the controller's number.
    param: u32 = 4,
    /// Value; −8192 to 8191 of a pitch bend.
    value: i32 = 8,
}

kernel_struct! {
    /// Clock skew of a queue, `struct snd_seq_queue_skew`.
    QueueSkewData = 8;
    /// Numerator.
    value: u32 = 0,
    /// Denominator; the kernel accepts 0x10000 only.
    base: u32 = 4,
}

kernel_struct! {
    /// Data of timer events, `struct snd_seq_ev_queue_control`.
    QueueControlData = 12;
    /// The queue that is controlled.
    queue: u8 = 0,
    /// Reserved.
    pad: [u8; 3] = 1,
    /// The parameter union: value, time, position or skew.
    param: [u32; 2] = 4,
}

impl QueueControlData {
    /// The union read as a value, such as a tempo in microseconds per quarter note.
    #[must_use]
    pub const fn value(self) -> i32 {
        self.param[0].cast_signed()
    }

    /// The union read as a stamp.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        Timestamp { words: self.param }
    }

    /// The union read as a skew.
    #[must_use]
    pub const fn skew(self) -> QueueSkewData {
        QueueSkewData { value: self.param[0], base: self.param[1] }
    }
}

kernel_struct! {
    /// Data of `RESULT`, `struct snd_seq_result`.
    ResultData = 8;
    /// Type of the event that was processed.
    event: i32 = 0,
    /// Its result.
    result: i32 = 4,
}

kernel_struct! {
    /// Notice that UMP information has changed, `struct snd_seq_ev_ump_notify`.
    UmpNotifyData = 2;
    /// Client whose information has changed.
    client: u8 = 0,
    /// Block number, where it applies.
    block: u8 = 1,
}

kernel_struct! {
    /// The data part of an event, `union snd_seq_event_data`: twelve bytes, read through the
    /// accessor that fits the event's type.
    EventData = 12;
    /// The union as three words.
    words: [u32; 3] = 0,
}

const fn bytes_of(word: u32) -> [u8; 4] {
    word.to_ne_bytes()
}

const fn word_of(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_ne_bytes([a, b, c, d])
}

impl EventData {
    /// The union as bytes, `raw8`.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 12] {
        let (a, b, c) = (bytes_of(self.words[0]), bytes_of(self.words[1]), bytes_of(self.words[2]));
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3]]
    }

    /// From twelve bytes, `raw8`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        let b = bytes;
        Self {
            words: [
                word_of(b[0], b[1], b[2], b[3]),
                word_of(b[4], b[5], b[6], b[7]),
                word_of(b[8], b[9], b[10], b[11]),
            ],
        }
    }

    /// Read as a note.
    #[must_use]
    pub const fn note(&self) -> NoteData {
        let [channel, note, velocity, off_velocity] = bytes_of(self.words[0]);
        NoteData { channel, note, velocity, off_velocity, duration: self.words[1] }
    }

    /// From a note.
    #[must_use]
    pub const fn from_note(data: NoteData) -> Self {
        let first = word_of(data.channel, data.note, data.velocity, data.off_velocity);
        Self { words: [first, data.duration, 0] }
    }

    /// Read as a controller.
    #[must_use]
    pub const fn control(&self) -> ControlData {
        let [channel, a, b, c] = bytes_of(self.words[0]);
        ControlData {
            channel,
            unused: [a, b, c],
            param: self.words[1],
            value: self.words[2].cast_signed(),
        }
    }

    /// From a controller.
    #[must_use]
    pub const fn from_control(data: ControlData) -> Self {
        let [a, b, c] = data.unused;
        Self { words: [word_of(data.channel, a, b, c), data.param, data.value.cast_unsigned()] }
    }

    /// Read as queue control.
    #[must_use]
    pub const fn queue_control(&self) -> QueueControlData {
        let [queue, a, b, c] = bytes_of(self.words[0]);
        QueueControlData { queue, pad: [a, b, c], param: [self.words[1], self.words[2]] }
    }

    /// From queue control.
    #[must_use]
    pub const fn from_queue_control(data: QueueControlData) -> Self {
        let [a, b, c] = data.pad;
        Self { words: [word_of(data.queue, a, b, c), data.param[0], data.param[1]] }
    }

    /// Read as a stamp.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        Timestamp { words: [self.words[0], self.words[1]] }
    }

    /// From a stamp.
    #[must_use]
    pub const fn from_time(time: Timestamp) -> Self {
        Self { words: [time.words[0], time.words[1], 0] }
    }

    /// Read as an address (client and port notices).
    #[must_use]
    pub const fn address(&self) -> Address {
        let [client, port, ..] = bytes_of(self.words[0]);
        Address { client, port }
    }

    /// From an address.
    #[must_use]
    pub const fn from_address(address: Address) -> Self {
        Self { words: [word_of(address.client, address.port, 0, 0), 0, 0] }
    }

    /// Read as a connection.
    #[must_use]
    pub const fn connect(&self) -> Connect {
        let [a, b, c, d] = bytes_of(self.words[0]);
        Connect { sender: Address { client: a, port: b }, dest: Address { client: c, port: d } }
    }

    /// From a connection.
    #[must_use]
    pub const fn from_connect(connect: Connect) -> Self {
        let Connect { sender, dest } = connect;
        Self { words: [word_of(sender.client, sender.port, dest.client, dest.port), 0, 0] }
    }

    /// Read as a result.
    #[must_use]
    pub const fn result(&self) -> ResultData {
        ResultData { event: self.words[0].cast_signed(), result: self.words[1].cast_signed() }
    }

    /// From a result.
    #[must_use]
    pub const fn from_result(data: ResultData) -> Self {
        Self { words: [data.event.cast_unsigned(), data.result.cast_unsigned(), 0] }
    }

    /// Read as a UMP notice.
    #[must_use]
    pub const fn ump_notify(&self) -> UmpNotifyData {
        let [client, block, ..] = bytes_of(self.words[0]);
        UmpNotifyData { client, block }
    }

    /// The length field of variable data, `ext.len`, with the two flag bits of the kernel
    /// (0xc0000000) still in it.
    #[must_use]
    pub const fn external_length(&self) -> u32 {
        self.words[0]
    }

    /// Variable data of `length` bytes that follow the event; the pointer field is zero.
    #[must_use]
    pub const fn from_external_length(length: u32) -> Self {
        Self { words: [length, 0, 0] }
    }
}

kernel_struct! {
    /// An event, `struct snd_seq_event`: one cell of 28 bytes.
    Event = 28;
    /// Type, one of [`event_type`](super::event_type).
    kind: u8 = 0,
    /// Bits of [`event_flag`].
    flags: u8 = 1,
    /// Free for the sender, `char tag`; used by `remove_events`.
    tag: u8 = 2,
    /// The queue that schedules it, or 253 for direct dispatch.
    queue: u8 = 3,
    /// When it is due.
    time: Timestamp = 4,
    /// Where it comes from; the kernel sets the client.
    source: Address = 12,
    /// Where it goes to.
    dest: Address = 14,
    /// What it says.
    data: EventData = 16,
}

kernel_struct! {
    /// An event of a client that speaks MIDI 2.0, `struct snd_seq_ump_event`: one cell of 32
    /// bytes.
    UmpEvent = 32;
    /// Type, meaningful unless the UMP flag is set.
    kind: u8 = 0,
    /// Bits of [`event_flag`].
    flags: u8 = 1,
    /// Free for the sender.
    tag: u8 = 2,
    /// The queue that schedules it, or 253 for direct dispatch.
    queue: u8 = 3,
    /// When it is due.
    time: Timestamp = 4,
    /// Where it comes from.
    source: Address = 12,
    /// Where it goes to.
    dest: Address = 14,
    /// The UMP packet, or (in the first three words) the data of a legacy event.
    words: [u32; 4] = 16,
}

fn put(into: &mut [u8], word: u32) {
    into.copy_from_slice(&word.to_ne_bytes());
}

fn get(from: &[u8]) -> u32 {
    u32::from_ne_bytes([from[0], from[1], from[2], from[3]])
}

impl Event {
    /// Bytes of a cell.
    pub const SIZE: usize = 28;

    /// Whether variable data follows the event.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.flags & event_flag::LENGTH_MASK == event_flag::LENGTH_VARIABLE
    }

    /// Whether the stamp is real time (else ticks).
    #[must_use]
    pub const fn is_real_time(&self) -> bool {
        self.flags & event_flag::TIME_STAMP_MASK == event_flag::TIME_STAMP_REAL
    }

    /// Whether the stamp counts from the moment of queueing.
    #[must_use]
    pub const fn is_relative(&self) -> bool {
        self.flags & event_flag::TIME_MODE_MASK == event_flag::TIME_MODE_RELATIVE
    }

    /// The cell's bytes, in the byte order of the machine, as `write` wants them.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&[self.kind, self.flags, self.tag, self.queue]);
        put(&mut bytes[4..8], self.time.words[0]);
        put(&mut bytes[8..12], self.time.words[1]);
        bytes[12..16].copy_from_slice(&[
            self.source.client,
            self.source.port,
            self.dest.client,
            self.dest.port,
        ]);
        put(&mut bytes[16..20], self.data.words[0]);
        put(&mut bytes[20..24], self.data.words[1]);
        put(&mut bytes[24..28], self.data.words[2]);
        bytes
    }

    /// The event in a cell's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        Self {
            kind: bytes[0],
            flags: bytes[1],
            tag: bytes[2],
            queue: bytes[3],
            time: Timestamp { words: [get(&bytes[4..8]), get(&bytes[8..12])] },
            source: Address::new(bytes[12], bytes[13]),
            dest: Address::new(bytes[14], bytes[15]),
            data: EventData {
                words: [get(&bytes[16..20]), get(&bytes[20..24]), get(&bytes[24..28])],
            },
        }
    }
}

impl UmpEvent {
    /// Bytes of a cell.
    pub const SIZE: usize = 32;

    /// Whether the words are a UMP packet (else a legacy event's data).
    #[must_use]
    pub const fn is_ump(&self) -> bool {
        self.flags & event_flag::UMP != 0
    }

    /// The legacy event in this cell, without the fourth word.
    #[must_use]
    pub const fn legacy(&self) -> Event {
        Event {
            kind: self.kind,
            flags: self.flags,
            tag: self.tag,
            queue: self.queue,
            time: self.time,
            source: self.source,
            dest: self.dest,
            data: EventData { words: [self.words[0], self.words[1], self.words[2]] },
        }
    }

    /// A legacy event in the wide cell.
    #[must_use]
    pub const fn from_legacy(event: Event) -> Self {
        let [a, b, c] = event.data.words;
        Self {
            kind: event.kind,
            flags: event.flags,
            tag: event.tag,
            queue: event.queue,
            time: event.time,
            source: event.source,
            dest: event.dest,
            words: [a, b, c, 0],
        }
    }

    /// The cell's bytes, in the byte order of the machine.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..Event::SIZE].copy_from_slice(&self.legacy().to_bytes());
        put(&mut bytes[28..], self.words[3]);
        bytes
    }

    /// The event in a cell's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut legacy = [0; Event::SIZE];
        legacy.copy_from_slice(&bytes[..Event::SIZE]);
        let mut event = Self::from_legacy(Event::from_bytes(&legacy));
        event.words[3] = get(&bytes[28..]);
        event
    }
}
