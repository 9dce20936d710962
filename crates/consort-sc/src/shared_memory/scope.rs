//! The layout of a scope buffer: a triple buffer of frames.
//!
//! The server writes into one of three slots, this process reads another, and the third is *staged*:
//! the server exchanges it for the one that it has written, this process for the one that it has
//! read. Neither waits for the other. A slot is marked as changed when the server has written it.

/// The offset of the status (u32).
pub(super) const STATUS: usize = 0;
/// The status of a scope buffer that a UGen writes.
pub(super) const STATUS_ACTIVE: u32 = 1;
/// The offset of the capacity of a slot in frames (u32).
pub(super) const MAX_FRAMES: usize = 4;
/// The offset of the number of channels (u32).
pub(super) const CHANNELS: usize = 8;
/// The offset of the number of the staged slot (u32).
pub(super) const STAGED: usize = 24;
/// The offset of the number of the slot that the reader has (u32).
pub(super) const READING: usize = 32;
/// The offset, within a slot, of the number of frames that it has (u32). At 0 is an offset pointer to
/// its samples: all frames of the first channel, then those of the next.
pub(super) const SLOT_FRAMES: usize = 8;
/// The offset, within a slot, of the mark of a changed slot (u8).
pub(super) const SLOT_CHANGED: usize = 12;

const FIRST_SLOT: usize = 40;
const SLOT_BYTES: usize = 16;
const SLOT_COUNT: u32 = 3;

/// The size of a scope buffer.
pub(super) const BYTES: usize = FIRST_SLOT + SLOT_COUNT as usize * SLOT_BYTES;

/// The offset of slot `number` from 0 to 2.
pub(super) const fn slot(number: u32) -> usize {
    FIRST_SLOT + number as usize * SLOT_BYTES
}

/// Whether there is a slot with this number.
pub(super) const fn is_slot(number: u32) -> bool {
    number < SLOT_COUNT
}
