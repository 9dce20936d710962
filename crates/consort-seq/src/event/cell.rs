//! The kernel's cell of 28 bytes that holds an event.

use super::{Address, EventFlags, EventType, RealTime};

/// An event as it stands in the kernel's memory: `struct snd_seq_event`, 28 bytes in the
/// machine's byte order. Variable data is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(4))]
pub(crate) struct Cell(pub(crate) [u8; Cell::SIZE]);

impl Cell {
    /// Bytes of a cell.
    pub(crate) const SIZE: usize = 28;

    /// An event of `event_type` with nothing set: direct, to all subscribers, at tick 0.
    #[must_use]
    pub(crate) const fn new(event_type: EventType) -> Self {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = event_type.0;
        bytes[3] = super::QUEUE_DIRECT;
        bytes[14] = Address::SUBSCRIBERS.client;
        bytes[15] = Address::SUBSCRIBERS.port;
        Self(bytes)
    }

    /// The event's type.
    #[must_use]
    pub(crate) const fn event_type(&self) -> EventType {
        EventType(self.0[0])
    }

    /// The flag bits.
    #[must_use]
    pub(crate) const fn flags(&self) -> EventFlags {
        EventFlags::from_bits_retain(self.0[1])
    }

    /// Whether the flag bits say that variable data follows.
    #[must_use]
    pub(crate) const fn is_variable(&self) -> bool {
        self.0[1] & EventFlags::LENGTH_MASK.bits() == EventFlags::LENGTH_VARIABLE.bits()
    }

    /// The length in bytes that a variable event states.
    #[must_use]
    pub(crate) const fn stated_length(&self) -> usize {
        // The two top bits are the kernel's own marks (chained cells, user memory).
        (self.word(16) & 0x3fff_ffff) as usize
    }

    /// The 12 bytes of data.
    #[must_use]
    pub(crate) fn data(&self) -> [u8; 12] {
        let mut data = [0; 12];
        data.copy_from_slice(&self.0[16..]);
        data
    }

    pub(crate) fn set_data(&mut self, data: [u8; 12]) {
        self.0[16..].copy_from_slice(&data);
    }

    pub(crate) const fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    pub(crate) fn set_word(&mut self, at: usize, word: u32) {
        self.0[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }

    pub(crate) const fn address(&self, at: usize) -> Address {
        Address::new(self.0[at], self.0[at + 1])
    }

    pub(crate) fn set_address(&mut self, at: usize, address: Address) {
        self.0[at] = address.client;
        self.0[at + 1] = address.port;
    }

    pub(crate) const fn real_time(&self, at: usize) -> RealTime {
        RealTime::new(self.word(at), self.word(at + 4))
    }

    pub(crate) fn set_real_time(&mut self, at: usize, time: RealTime) {
        self.set_word(at, time.seconds());
        self.set_word(at + 4, time.nanoseconds());
    }
}
