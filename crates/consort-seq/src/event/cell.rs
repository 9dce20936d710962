//! The kernel's cell of 28 bytes, which holds an event.
#![allow(unsafe_code)] // inline assembly without an instruction, see `opaque`

use super::{Address, EventFlags, EventType, RealTime};

/// An event with the layout of the kernel: `struct snd_seq_event`, 28 bytes in the machine's byte
/// order. Variable data is not part of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(4))]
pub(crate) struct Cell(pub(crate) [u8; Cell::SIZE]);

impl Cell {
    /// Bytes of a cell.
    pub(crate) const SIZE: usize = 28;

    /// An event of `event_type` with default fields: direct, to all subscribers, at tick 0.
    #[must_use]
    pub(crate) const fn new(event_type: EventType) -> Self {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = event_type.0;
        bytes[3] = super::QUEUE_DIRECT;
        bytes[14] = Address::SUBSCRIBERS.client;
        bytes[15] = Address::SUBSCRIBERS.port;
        Self(bytes)
    }

    /// Reads a cell from bytes.
    #[inline]
    pub(crate) fn load(bytes: &[u8; Self::SIZE]) -> Self {
        let mut cell = Self([0; Self::SIZE]);
        copy(bytes, &mut cell.0);
        cell
    }

    /// Writes the cell to bytes.
    #[inline]
    pub(crate) fn store(&self, bytes: &mut [u8; Self::SIZE]) {
        copy(&self.0, bytes);
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

    /// Whether the flag bits mark an event without variable data.
    #[must_use]
    #[inline]
    pub(crate) const fn is_fixed(&self) -> bool {
        self.0[1] & EventFlags::LENGTH_MASK.bits() == 0
    }

    /// Whether the event has no variable data and another destination than `client`: before it
    /// is written, only the free space has to be checked.
    #[inline]
    pub(crate) const fn is_plain(&self, client: u8) -> bool {
        self.is_fixed() && self.0[14] != client
    }

    /// Whether the flag bits mark an event with variable data.
    #[must_use]
    #[inline]
    pub(crate) const fn is_variable(&self) -> bool {
        self.0[1] & EventFlags::LENGTH_MASK.bits() == EventFlags::LENGTH_VARIABLE.bits()
    }

    /// The length of the variable data, from the length field of the cell.
    #[must_use]
    pub(crate) const fn stated_length(&self) -> usize {
        // The kernel uses the two top bits for itself (chained cells, user memory).
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

    pub(crate) const fn word(&self, offset: usize) -> u32 {
        u32::from_ne_bytes([
            self.0[offset],
            self.0[offset + 1],
            self.0[offset + 2],
            self.0[offset + 3],
        ])
    }

    pub(crate) fn set_word(&mut self, offset: usize, word: u32) {
        self.0[offset..offset + 4].copy_from_slice(&word.to_ne_bytes());
    }

    pub(crate) const fn address(&self, offset: usize) -> Address {
        Address::new(self.0[offset], self.0[offset + 1])
    }

    pub(crate) fn set_address(&mut self, offset: usize, address: Address) {
        self.0[offset] = address.client;
        self.0[offset + 1] = address.port;
    }

    pub(crate) const fn real_time(&self, offset: usize) -> RealTime {
        RealTime::new(self.word(offset), self.word(offset + 4))
    }

    pub(crate) fn set_real_time(&mut self, offset: usize, time: RealTime) {
        self.set_word(offset, time.seconds());
        self.set_word(offset + 4, time.nanoseconds());
    }
}

/// Copies a cell word by word. The compiler would choose two overlapping vectors of 16 bytes, but
/// an event that has just been built was stored word by word, and a processor cannot forward
/// several narrow stores to one wider load. Under QEMU, which runs the benchmark on the kernel's
/// sequencer, moves between vector registers and memory are also slower.
#[inline]
fn copy(from: &[u8; Cell::SIZE], to: &mut [u8; Cell::SIZE]) {
    let ([first, second, third], last) = split(from);
    let words = [
        u64::from_ne_bytes(*first),
        opaque(u64::from_ne_bytes(*second)),
        u64::from_ne_bytes(*third),
    ];
    let last = u32::from_ne_bytes(*last);
    let (targets, rest) = to.as_chunks_mut::<8>();
    for (target, word) in targets.iter_mut().zip(words) {
        *target = word.to_ne_bytes();
    }
    rest.copy_from_slice(&last.to_ne_bytes());
}

#[inline]
fn split(bytes: &[u8; Cell::SIZE]) -> ([&[u8; 8]; 3], &[u8; 4]) {
    match (bytes.as_chunks::<8>().0, bytes.last_chunk::<4>()) {
        ([first, second, third], Some(last)) => ([first, second, third], last),
        _ => unreachable!("28 bytes are three words of 8 bytes and one of 4"),
    }
}

/// Returns the word unchanged, but hides its origin from the compiler, which therefore cannot
/// merge its copy with those of its neighbours.
///
/// Gain, in the benchmark `sequencer output` (line "output reused, drain every 500") on the embedded
/// engine: 105 ns per event instead of 113 under `qemu-x86_64`, of which 90 ns are the floor.
/// Natively there is no measurable difference (41 ns), at 0.3 % more instructions (callgrind).
#[inline]
fn opaque(word: u64) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut word = word;
        // SAFETY: the assembly contains no instruction, so the register keeps its value.
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
        let bytes: [u8; Cell::SIZE] = std::array::from_fn(|index| index as u8 + 1);
        let cell = Cell::load(&bytes);
        assert_eq!(cell.0, bytes);
        let mut out = [0; Cell::SIZE];
        cell.store(&mut out);
        assert_eq!(out, bytes);
    }
}
