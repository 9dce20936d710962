//! The arguments of the ioctls.

use super::{Address, Event, RealTime, Timestamp, kernel_struct};

kernel_struct! {
    /// Limits of the sequencer, `struct snd_seq_system_info`.
    SystemInfo = 48;
    /// The maximum number of queues.
    queues: i32 = 0,
    /// The maximum number of clients.
    clients: i32 = 4,
    /// The maximum number of ports of a client.
    ports: i32 = 8,
    /// The maximum number of channels of a port.
    channels: i32 = 12,
    /// Number of clients at present.
    current_clients: i32 = 16,
    /// Number of queues at present.
    current_queues: i32 = 20,
    /// Reserved.
    reserved: [u8; 24] = 24,
}

kernel_struct! {
    /// Byte order and pointer size of a client, `struct snd_seq_running_info`. The sequencer
    /// rejects those that it does not support (`EINVAL`).
    RunningInfo = 16;
    /// The client's number.
    client: u8 = 0,
    /// 1 on a big-endian machine.
    big_endian: u8 = 1,
    /// Bytes of a pointer: 4 or 8.
    cpu_mode: u8 = 2,
    /// Reserved.
    pad: u8 = 3,
    /// Reserved.
    reserved: [u8; 12] = 4,
}

kernel_struct! {
    /// A client, `struct snd_seq_client_info`.
    ClientInfo = 188;
    /// Client number of the query.
    client: i32 = 0,
    /// One of [`client_type`](super::client_type).
    kind: i32 = 4,
    /// Name, zero-terminated.
    name: [u8; 64] = 8,
    /// Bits of [`client_filter`](super::client_filter).
    filter: u32 = 72,
    /// Multicast filter bitmap.
    multicast_filter: [u8; 8] = 76,
    /// Event types that the client accepts, one bit each, if the filter is enabled.
    event_filter: [u8; 32] = 84,
    /// Number of ports, read-only.
    port_count: i32 = 116,
    /// Events lost because the input pool was full.
    lost_events: i32 = 120,
    /// Sound card of a kernel client or −1, read-only (Linux 4.6).
    card: i32 = 124,
    /// Process of a user client or −1, read-only (Linux 4.6).
    pid: i32 = 128,
    /// One of [`midi_version`](super::midi_version) (Linux 6.5).
    midi_version: u32 = 132,
    /// UMP groups that the client accepts: bit 0 for groupless messages, bits 1 to 16 for the
    /// groups (Linux 6.7).
    group_filter: u32 = 136,
    /// Reserved.
    reserved: [u8; 48] = 140,
}

kernel_struct! {
    /// The pools of a client, `struct snd_seq_client_pool`.
    ClientPool = 88;
    /// Client number of the query.
    client: i32 = 0,
    /// Cells of the output pool.
    output_pool: i32 = 4,
    /// Cells of the input pool.
    input_pool: i32 = 8,
    /// The client is writable while at least this many output cells are free.
    output_room: i32 = 12,
    /// Free output cells.
    output_free: i32 = 16,
    /// Free input cells.
    input_free: i32 = 20,
    /// Reserved.
    reserved: [u8; 64] = 24,
}

kernel_struct! {
    /// A selection of events to remove, `struct snd_seq_remove_events`.
    RemoveEvents = 64;
    /// Bits of [`remove`](super::remove).
    mode: u32 = 0,
    /// Time for `TIME_BEFORE` and `TIME_AFTER`.
    time: Timestamp = 4,
    /// Queue, with `DEST`.
    queue: u8 = 12,
    /// Address, with `DEST`.
    dest: Address = 13,
    /// Channel, with `DEST_CHANNEL`.
    channel: u8 = 15,
    /// Event type, with `EVENT_TYPE`.
    kind: i32 = 16,
    /// Tag, with `TAG_MATCH`.
    tag: u8 = 20,
    /// Padding of the C structure.
    pad: [u8; 3] = 21,
    /// Reserved.
    reserved: [i32; 10] = 24,
}

kernel_struct! {
    /// A port, `struct snd_seq_port_info`.
    PortInfo = PORT_INFO_SIZE;
    /// Client and port number.
    address: Address = 0,
    /// Name, zero-terminated.
    name: [u8; 64] = 2,
    /// Padding of the C structure.
    pad: [u8; 2] = 66,
    /// Bits of [`port_capability`](super::port_capability).
    capability: u32 = 68,
    /// Bits of [`port_type`](super::port_type).
    kind: u32 = 72,
    /// MIDI channels of the port.
    midi_channels: i32 = 76,
    /// MIDI voices of the port.
    midi_voices: i32 = 80,
    /// Synthesizer voices of the port.
    synth_voices: i32 = 84,
    /// Subscribers that read from the port, read-only.
    read_use: i32 = 88,
    /// Subscribers that write to the port, read-only.
    write_use: i32 = 92,
    /// Reserved for the kernel; must be zero.
    kernel: usize = 96,
    /// Bits of [`port_flag`](super::port_flag).
    flags: u32 = PORT_INFO_FLAGS,
    /// Queue for time stamps.
    time_queue: u8 = PORT_INFO_FLAGS + 4,
    /// One of [`port_direction`](super::port_direction) (Linux 6.5).
    direction: u8 = PORT_INFO_FLAGS + 5,
    /// UMP group: 1 to 16, or 0 for the endpoint (Linux 6.5).
    ump_group: u8 = PORT_INFO_FLAGS + 6,
    /// Reserved.
    reserved: [u8; 57] = PORT_INFO_FLAGS + 7,
}

const PORT_INFO_FLAGS: usize = 96 + size_of::<usize>();
const PORT_INFO_SIZE: usize = PORT_INFO_FLAGS + 64;

kernel_struct! {
    /// A queue, `struct snd_seq_queue_info`.
    QueueInfo = 140;
    /// Queue number.
    queue: i32 = 0,
    /// Client that owns the queue.
    owner: i32 = 4,
    /// The byte that contains the bit field `locked`; use [`QueueInfo::locked`]. (C compilers
    /// place the name directly after it.)
    locked_byte: u8 = 8,
    /// Name, zero-terminated.
    name: [u8; 64] = 9,
    /// Padding of the C structure.
    pad: [u8; 3] = 73,
    /// Bits of [`queue_flag`](super::queue_flag).
    flags: u32 = 76,
    /// Reserved.
    reserved: [u8; 60] = 80,
}

impl QueueInfo {
    /// The first bit of a C bit field.
    const LOCKED: u8 = if cfg!(target_endian = "big") { 1 << 7 } else { 1 };

    /// Whether only the owner may control the queue, `locked`.
    #[must_use]
    pub const fn locked(&self) -> bool {
        self.locked_byte & Self::LOCKED != 0
    }

    /// Sets whether only the owner may control the queue.
    pub const fn set_locked(&mut self, locked: bool) {
        self.locked_byte = if locked { Self::LOCKED } else { 0 };
    }
}

kernel_struct! {
    /// The status of a queue, `struct snd_seq_queue_status`.
    QueueStatus = 92;
    /// Queue number.
    queue: i32 = 0,
    /// Number of scheduled events.
    events: i32 = 4,
    /// Current tick.
    tick: u32 = 8,
    /// Current time.
    time: RealTime = 12,
    /// Not 0 while the queue is running.
    running: i32 = 20,
    /// Flags, as in [`QueueInfo::flags`].
    flags: i32 = 24,
    /// Reserved.
    reserved: [u8; 64] = 28,
}

kernel_struct! {
    /// The tempo of a queue, `struct snd_seq_queue_tempo`.
    QueueTempo = 44;
    /// Queue number.
    queue: i32 = 0,
    /// Length of a quarter note, in microseconds (or in units of `tempo_base`).
    tempo: u32 = 4,
    /// Ticks per quarter note.
    ppq: i32 = 8,
    /// Skew: the queue runs at `skew_value / skew_base` times its speed.
    skew_value: u32 = 12,
    /// Base of the skew, 0x10000.
    skew_base: u32 = 16,
    /// Unit of `tempo` in nanoseconds: 10 or 1000, and 0 for 1000 (Linux 6.11).
    tempo_base: u16 = 20,
    /// Reserved.
    reserved: [u8; 22] = 22,
}

kernel_struct! {
    /// An ALSA timer, `struct snd_timer_id`.
    TimerId = 20;
    /// Device class.
    class: i32 = 0,
    /// Slave class.
    slave_class: i32 = 4,
    /// Sound card or −1.
    card: i32 = 8,
    /// Device.
    device: i32 = 12,
    /// Subdevice.
    subdevice: i32 = 16,
}

kernel_struct! {
    /// The timer that drives a queue, `struct snd_seq_queue_timer`.
    QueueTimer = 96;
    /// Queue number.
    queue: i32 = 0,
    /// One of [`timer_type`](super::timer_type).
    kind: i32 = 4,
    /// The ALSA timer.
    id: TimerId = 8,
    /// Resolution in Hz.
    resolution: u32 = 28,
    /// Reserved.
    reserved: [u8; 64] = 32,
}

kernel_struct! {
    /// A client's use of a queue, `struct snd_seq_queue_client`.
    QueueClient = 76;
    /// Queue number.
    queue: i32 = 0,
    /// Client number.
    client: i32 = 4,
    /// Not 0 while the client uses the queue.
    used: i32 = 8,
    /// Reserved.
    reserved: [u8; 64] = 12,
}

kernel_struct! {
    /// A subscription, `struct snd_seq_port_subscribe`.
    PortSubscribe = 80;
    /// The port that sends events.
    sender: Address = 0,
    /// The port that receives them.
    dest: Address = 2,
    /// Voices to allocate; 0 for any.
    voices: u32 = 4,
    /// Bits of [`subscription_flag`](super::subscription_flag).
    flags: u32 = 8,
    /// Queue for time stamps, if the flags request them.
    queue: u8 = 12,
    /// Reserved.
    pad: [u8; 3] = 13,
    /// Reserved.
    reserved: [u8; 64] = 16,
}

kernel_struct! {
    /// A query for one subscriber of a port, `struct snd_seq_query_subs`.
    QuerySubscribers = 88;
    /// The port whose subscribers are queried.
    root: Address = 0,
    /// Padding of the C structure.
    pad: [u8; 2] = 2,
    /// One of [`query_type`](super::query_type).
    kind: i32 = 4,
    /// Index of the subscriber, from 0.
    index: i32 = 8,
    /// Number of subscribers, read-only.
    subscriber_count: i32 = 12,
    /// The other end, read-only.
    address: Address = 16,
    /// Time-stamp queue, read-only.
    queue: u8 = 18,
    /// Padding of the C structure.
    pad_after: u8 = 19,
    /// Bits of [`subscription_flag`](super::subscription_flag), read-only.
    flags: u32 = 20,
    /// Reserved.
    reserved: [u8; 64] = 24,
}

kernel_struct! {
    /// UMP information of a client, `struct snd_seq_client_ump_info` (Linux 6.5).
    ClientUmpInfo = 520;
    /// Client number.
    client: i32 = 0,
    /// One of [`ump_info_type`](super::ump_info_type), plus the block's number for a block.
    kind: i32 = 4,
    /// `struct snd_ump_endpoint_info` or `struct snd_ump_block_info`.
    info: [u8; 512] = 8,
}

kernel_struct! {
    /// The beginning of the data of a `BOUNCE` event, `struct snd_seq_event_bounce`; variable data
    /// of the bounced event follows.
    BounceHeader = 32;
    /// The negative errno of the delivery.
    error: i32 = 0,
    /// The bounced event.
    event: Event = 4,
}
