//! Events with the layout of the kernel.

use super::{event_flag, kernel_struct};

kernel_struct! {
    /// An address, `struct snd_seq_addr`.
    #[derive(PartialOrd, Ord)]
    Address = 2;
    /// Client number, 0 to 255; see [`address`](super::address) for special numbers.
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
    /// The two ends of a connection, `struct snd_seq_connect`.
    Connect = 4;
    /// The port that sends events.
    sender: Address = 0,
    /// The port that receives them.
    dest: Address = 2,
}

kernel_struct! {
    /// Seconds and nanoseconds, `struct snd_seq_real_time`.
    #[derive(PartialOrd, Ord)]
    RealTime = 8;
    /// Whole seconds.
    seconds: u32 = 0,
    /// Nanoseconds. The kernel's own times are below 1,000,000,000, but it does not check those of
    /// clients.
    nanoseconds: u32 = 4,
}

kernel_struct! {
    /// A time stamp, `union snd_seq_timestamp`: ticks (in the first word) or real time.
    ///
    /// The event's flag [`event_flag::TIME_STAMP_REAL`] selects one of the two.
    Timestamp = 8;
    /// The two words of the union.
    words: [u32; 2] = 0,
}

impl Timestamp {
    /// A time stamp in ticks of a queue.
    #[must_use]
    pub const fn from_tick(tick: u32) -> Self {
        Self { words: [tick, 0] }
    }

    /// A time stamp in real time of a queue.
    #[must_use]
    pub const fn from_real(time: RealTime) -> Self {
        Self { words: [time.seconds, time.nanoseconds] }
    }

    /// The union as ticks.
    #[must_use]
    pub const fn tick(self) -> u32 {
        self.words[0]
    }

    /// The union as real time.
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
    /// Note number, 0 to 127.
    note: u8 = 1,
    /// Velocity, 0 to 127.
    velocity: u8 = 2,
    /// Velocity of the note off; used by `NOTE` only.
    off_velocity: u8 = 3,
    /// Duration; used by `NOTE` only: in ticks, or in milliseconds if the time stamp is real time.
    duration: u32 = 4,
}

kernel_struct! {
    /// Data of controller events, `struct snd_seq_ev_ctrl`.
    ControlData = 12;
    /// MIDI channel, 0 to 15.
    channel: u8 = 0,
    /// Unused.
    unused: [u8; 3] = 1,
    /// The number of the controller or parameter.
    param: u32 = 4,
    /// The value; −8192 to 8191 for a pitch bend.
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
    /// The number of the queue.
    queue: u8 = 0,
    /// Reserved.
    pad: [u8; 3] = 1,
    /// The parameter union: value, time, position or skew.
    param: [u32; 2] = 4,
}

impl QueueControlData {
    /// The union as a value, such as a tempo in microseconds per quarter note.
    #[must_use]
    pub const fn value(self) -> i32 {
        self.param[0].cast_signed()
    }

    /// The union as a time stamp.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        Timestamp { words: self.param }
    }

    /// The union as a skew.
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
    /// The result of that event.
    result: i32 = 4,
}

kernel_struct! {
    /// Data of a notice that UMP information has changed, `struct snd_seq_ev_ump_notify`.
    UmpNotifyData = 2;
    /// Client whose information has changed.
    client: u8 = 0,
    /// Block number, if the notice is about a block.
    block: u8 = 1,
}

kernel_struct! {
    /// The data of an event, `union snd_seq_event_data`: twelve bytes. Use the accessor that
    /// belongs to the event's type.
    EventData = 12;
    /// The union as three words.
    words: [u32; 3] = 0,
}

const fn bytes_of(word: u32) -> [u8; 4] {
    word.to_ne_bytes()
}

const fn word_of(first: u8, second: u8, third: u8, fourth: u8) -> u32 {
    u32::from_ne_bytes([first, second, third, fourth])
}

impl EventData {
    /// The union as bytes, `raw8`.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 12] {
        let [x0, x1, x2, x3] = bytes_of(self.words[0]);
        let [y0, y1, y2, y3] = bytes_of(self.words[1]);
        let [z0, z1, z2, z3] = bytes_of(self.words[2]);
        [x0, x1, x2, x3, y0, y1, y2, y3, z0, z1, z2, z3]
    }

    /// The union with twelve bytes, `raw8`.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        let [x0, x1, x2, x3, y0, y1, y2, y3, z0, z1, z2, z3] = bytes;
        Self { words: [word_of(x0, x1, x2, x3), word_of(y0, y1, y2, y3), word_of(z0, z1, z2, z3)] }
    }

    /// The union as a note.
    #[must_use]
    pub const fn note(&self) -> NoteData {
        let [channel, note, velocity, off_velocity] = bytes_of(self.words[0]);
        NoteData { channel, note, velocity, off_velocity, duration: self.words[1] }
    }

    /// The union with a note.
    #[must_use]
    pub const fn from_note(data: NoteData) -> Self {
        let first = word_of(data.channel, data.note, data.velocity, data.off_velocity);
        Self { words: [first, data.duration, 0] }
    }

    /// The union as a controller.
    #[must_use]
    pub const fn control(&self) -> ControlData {
        let [channel, unused @ ..] = bytes_of(self.words[0]);
        ControlData { channel, unused, param: self.words[1], value: self.words[2].cast_signed() }
    }

    /// The union with a controller.
    #[must_use]
    pub const fn from_control(data: ControlData) -> Self {
        let [x, y, z] = data.unused;
        Self { words: [word_of(data.channel, x, y, z), data.param, data.value.cast_unsigned()] }
    }

    /// The union as queue control.
    #[must_use]
    pub const fn queue_control(&self) -> QueueControlData {
        let [queue, pad @ ..] = bytes_of(self.words[0]);
        QueueControlData { queue, pad, param: [self.words[1], self.words[2]] }
    }

    /// The union with queue control.
    #[must_use]
    pub const fn from_queue_control(data: QueueControlData) -> Self {
        let [x, y, z] = data.pad;
        Self { words: [word_of(data.queue, x, y, z), data.param[0], data.param[1]] }
    }

    /// The union as a time stamp.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        Timestamp { words: [self.words[0], self.words[1]] }
    }

    /// The union with a time stamp.
    #[must_use]
    pub const fn from_time(time: Timestamp) -> Self {
        Self { words: [time.words[0], time.words[1], 0] }
    }

    /// The union as an address, for notices about clients and ports.
    #[must_use]
    pub const fn address(&self) -> Address {
        let [client, port, ..] = bytes_of(self.words[0]);
        Address { client, port }
    }

    /// The union with an address.
    #[must_use]
    pub const fn from_address(address: Address) -> Self {
        Self { words: [word_of(address.client, address.port, 0, 0), 0, 0] }
    }

    /// The union as a connection.
    #[must_use]
    pub const fn connect(&self) -> Connect {
        let [sender_client, sender_port, dest_client, dest_port] = bytes_of(self.words[0]);
        Connect {
            sender: Address::new(sender_client, sender_port),
            dest: Address::new(dest_client, dest_port),
        }
    }

    /// The union with a connection.
    #[must_use]
    pub const fn from_connect(connect: Connect) -> Self {
        let Connect { sender, dest } = connect;
        Self { words: [word_of(sender.client, sender.port, dest.client, dest.port), 0, 0] }
    }

    /// The union as a result.
    #[must_use]
    pub const fn result(&self) -> ResultData {
        ResultData { event: self.words[0].cast_signed(), result: self.words[1].cast_signed() }
    }

    /// The union with a result.
    #[must_use]
    pub const fn from_result(data: ResultData) -> Self {
        Self { words: [data.event.cast_unsigned(), data.result.cast_unsigned(), 0] }
    }

    /// The union as a UMP notice.
    #[must_use]
    pub const fn ump_notify(&self) -> UmpNotifyData {
        let [client, block, ..] = bytes_of(self.words[0]);
        UmpNotifyData { client, block }
    }

    /// The length field of variable data, `ext.len`, including the two flag bits of the kernel
    /// (0xc0000000).
    #[must_use]
    pub const fn external_length(&self) -> u32 {
        self.words[0]
    }

    /// The union for variable data of `length` bytes that follow the event; the pointer is zero.
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
    /// Tag of the sender's choice, `char tag`; `remove_events` can select events by it.
    tag: u8 = 2,
    /// The queue that schedules the event, or 253 for direct delivery.
    queue: u8 = 3,
    /// The time at which the event is due.
    time: Timestamp = 4,
    /// The sending port; the kernel sets the client.
    source: Address = 12,
    /// The destination.
    dest: Address = 14,
    /// The data, depending on the type.
    data: EventData = 16,
}

kernel_struct! {
    /// An event of a UMP client, `struct snd_seq_ump_event`: one cell of 32 bytes.
    UmpEvent = 32;
    /// Type; unused if the UMP flag is set.
    kind: u8 = 0,
    /// Bits of [`event_flag`].
    flags: u8 = 1,
    /// Tag of the sender's choice.
    tag: u8 = 2,
    /// The queue that schedules the event, or 253 for direct delivery.
    queue: u8 = 3,
    /// The time at which the event is due.
    time: Timestamp = 4,
    /// The sending port.
    source: Address = 12,
    /// The destination.
    dest: Address = 14,
    /// The UMP packet or, in the first three words, the data of a legacy event.
    words: [u32; 4] = 16,
}

fn put(bytes: &mut [u8], word: u32) {
    bytes.copy_from_slice(&word.to_ne_bytes());
}

fn get(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl Event {
    /// Bytes of a cell.
    pub const SIZE: usize = 28;

    /// Whether variable data follows the event.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.flags & event_flag::LENGTH_MASK == event_flag::LENGTH_VARIABLE
    }

    /// Whether the time stamp is real time; otherwise it is in ticks.
    #[must_use]
    pub const fn is_real_time(&self) -> bool {
        self.flags & event_flag::TIME_STAMP_MASK == event_flag::TIME_STAMP_REAL
    }

    /// Whether the time stamp is relative to the moment of queueing.
    #[must_use]
    pub const fn is_relative(&self) -> bool {
        self.flags & event_flag::TIME_MODE_MASK == event_flag::TIME_MODE_RELATIVE
    }

    /// The cell's bytes, in the byte order of the machine, as `write` expects them.
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

    /// Reads the event from a cell's bytes.
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

    /// Whether the words are a UMP packet; otherwise they are the data of a legacy event.
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

    /// Widens a legacy event.
    #[must_use]
    pub const fn from_legacy(event: Event) -> Self {
        let [first, second, third] = event.data.words;
        Self {
            kind: event.kind,
            flags: event.flags,
            tag: event.tag,
            queue: event.queue,
            time: event.time,
            source: event.source,
            dest: event.dest,
            words: [first, second, third, 0],
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

    /// Reads the event from a cell's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut legacy = [0; Event::SIZE];
        legacy.copy_from_slice(&bytes[..Event::SIZE]);
        let mut event = Self::from_legacy(Event::from_bytes(&legacy));
        event.words[3] = get(&bytes[28..]);
        event
    }
}
