//! The kernel's cell of 28 bytes that holds an event.
#![allow(unsafe_code)] // an empty piece of assembly, see `alone`

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

    /// The cell in bytes that were read.
    #[inline]
    pub(crate) fn load(bytes: &[u8; Self::SIZE]) -> Self {
        let mut cell = Self([0; Self::SIZE]);
        copy(bytes, &mut cell.0);
        cell
    }

    /// Writes the cell where it goes out from.
    #[inline]
    pub(crate) fn store(&self, into: &mut [u8; Self::SIZE]) {
        copy(&self.0, into);
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

    /// Whether the flag bits say that the event is the cell and nothing else.
    #[must_use]
    #[inline]
    pub(crate) const fn is_fixed(&self) -> bool {
        self.0[1] & EventFlags::LENGTH_MASK.bits() == 0
    }

    /// Whether the flag bits say that variable data follows.
    #[must_use]
    #[inline]
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

/// Copies a cell by the machine's words instead of two overlapping vectors of 16 bytes, which the
/// compiler would choose: an event that has just been built was written word by word, and a wider
/// load has to wait until those stores have reached the cache. (Where the processor is emulated,
/// vector registers cost three times as much besides.)
#[inline]
fn copy(from: &[u8; Cell::SIZE], into: &mut [u8; Cell::SIZE]) {
    let ([a, b, c], d) = split(from);
    let words = [u64::from_ne_bytes(*a), alone(u64::from_ne_bytes(*b)), u64::from_ne_bytes(*c)];
    let last = u32::from_ne_bytes(*d);
    let (places, rest) = into.as_chunks_mut::<8>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.to_ne_bytes();
    }
    rest.copy_from_slice(&last.to_ne_bytes());
}

#[inline]
fn split(bytes: &[u8; Cell::SIZE]) -> ([&[u8; 8]; 3], &[u8; 4]) {
    match (bytes.as_chunks::<8>().0, bytes.last_chunk::<4>()) {
        ([a, b, c], Some(d)) => ([a, b, c], d),
        _ => unreachable!("28 bytes are three words and a half"),
    }
}

/// The same word, of which the compiler knows nothing any more, so that it is moved by itself.
#[inline]
fn alone(word: u64) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut word = word;
        // SAFETY: there is no instruction in it; the register keeps its value.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        word
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_copied() {
        let bytes: [u8; Cell::SIZE] = std::array::from_fn(|at| at as u8 + 1);
        let cell = Cell::load(&bytes);
        assert_eq!(cell.0, bytes);
        let mut out = [0; Cell::SIZE];
        cell.store(&mut out);
        assert_eq!(out, bytes);
    }
}
