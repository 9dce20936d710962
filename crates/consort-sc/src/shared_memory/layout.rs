//! The layout of the shared memory segment, and the checks of a segment before its use.
//!
//! | offset | content |
//! |---|---|
//! | 0x00 | state of the segment (u32): 2 when it is initialized |
//! | 0x98 | number of named objects (u64): 1 |
//! | 0xA0 | root of the tree of named objects: an offset pointer, with the node's colour in bit 1 |
//!
//! The tree's only node is followed, after 24 bytes, by a block header (size of the object as u64,
//! length of its name as u16) and, 16 bytes later, by the object itself and its name. The object has
//! 72 bytes:
//!
//! | offset | content |
//! |---|---|
//! | 32 | offset pointer to the control buses, as f32 |
//! | 48 | offset pointer to the table of scope buffers, which are offset pointers in turn |
//! | 56 | number of scope buffers (u64) |
//!
//! An *offset pointer* is relative to its own address; 1 is null.

use super::invalid_segment;
use crate::error::Result;

pub(super) const STATE: usize = 0x00;
pub(super) const STATE_INITIALIZED: u32 = 2;
pub(super) const OBJECT_COUNT: usize = 0x98;
pub(super) const TREE_ROOT: usize = 0xA0;
/// The size of a tree node.
pub(super) const NODE_BYTES: usize = 24;
/// The size of a block's header.
pub(super) const BLOCK_HEADER_BYTES: usize = 16;
/// The offset of the name's length in a block's header.
pub(super) const NAME_LENGTH: usize = 8;
/// The size of the named object.
pub(super) const OBJECT_BYTES: u64 = 72;
pub(super) const CONTROL_BUSES: usize = 32;
pub(super) const SCOPE_TABLE: usize = 48;
pub(super) const SCOPE_COUNT: usize = 56;
const MAX_SCOPE_BUFFERS: u64 = 1024;

/// The positions of the control buses and scope buffers, all of which are inside the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The offset of the first control bus, a multiple of 4.
    pub(super) control_buses: usize,
    pub(super) control_bus_count: u32,
    /// The offset of the table of scope buffers, a multiple of 8.
    pub(super) scope_table: usize,
    pub(super) scope_buffer_count: usize,
}

/// Fills a slice with the bytes at an offset; false if they are not all in the segment.
type ReadAt<'a> = &'a dyn Fn(usize, &mut [u8]) -> bool;

fn read_array<const N: usize>(read: ReadAt<'_>, offset: usize) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    if read(offset, &mut bytes) {
        Ok(bytes)
    } else {
        Err(invalid_segment(format!("offset {offset:#x} is outside of the segment")))
    }
}

fn read_u64(read: ReadAt<'_>, offset: usize) -> Result<u64> {
    read_array(read, offset).map(u64::from_le_bytes)
}

/// The offset that an offset pointer at `offset` with this value refers to.
pub(super) fn follow(offset: usize, value: u64) -> Result<usize> {
    if value == 1 {
        return Err(invalid_segment(format!("the pointer at offset {offset:#x} is null")));
    }
    usize::try_from(offset as i128 + i128::from(value as i64)).map_err(|_| {
        invalid_segment(format!("the pointer at offset {offset:#x} points outside of the segment"))
    })
}

fn read_pointer(read: ReadAt<'_>, offset: usize) -> Result<usize> {
    follow(offset, read_u64(read, offset)?)
}

impl Layout {
    /// Checks a segment of `size` bytes whose object has to be named `name`.
    pub(super) fn parse(size: usize, name: &str, read: ReadAt<'_>) -> Result<Self> {
        let check_inside = |offset: usize, length: usize, what: &str| {
            if offset.checked_add(length).is_some_and(|end| end <= size) {
                Ok(())
            } else {
                Err(invalid_segment(format!(
                    "{what} at offset {offset:#x} are outside of the segment"
                )))
            }
        };
        let object = find_object(name, read)?;
        let control_buses = read_pointer(read, object + CONTROL_BUSES)?;
        check_inside(control_buses, 4, "the control buses")?;
        if !control_buses.is_multiple_of(4) {
            return Err(invalid_segment("the control buses are not aligned"));
        }
        // The word before an allocation contains its size in the lower 62 bits, in units of 16 bytes
        // and with one unit for the word itself.
        let size_word = control_buses
            .checked_sub(8)
            .ok_or_else(|| invalid_segment("the control buses have no size"))?;
        let units = read_u64(read, size_word)? & (u64::MAX >> 2);
        let control_bus_count = units.saturating_sub(1).saturating_mul(4);
        let capacity = (size - control_buses) / 4;
        if control_bus_count == 0 || control_bus_count > capacity as u64 {
            return Err(invalid_segment(format!(
                "the segment cannot hold {control_bus_count} control buses"
            )));
        }
        let control_bus_count = u32::try_from(control_bus_count).unwrap_or(u32::MAX);
        let scope_buffer_count = read_u64(read, object + SCOPE_COUNT)?;
        if scope_buffer_count > MAX_SCOPE_BUFFERS {
            return Err(invalid_segment(format!(
                "expected at most {MAX_SCOPE_BUFFERS} scope buffers, not {scope_buffer_count}"
            )));
        }
        let scope_buffer_count = scope_buffer_count as usize;
        let scope_table =
            if scope_buffer_count == 0 { 0 } else { read_pointer(read, object + SCOPE_TABLE)? };
        check_inside(scope_table, scope_buffer_count * 8, "the scope buffers")?;
        if !scope_table.is_multiple_of(8) {
            return Err(invalid_segment("the scope buffers are not aligned"));
        }
        Ok(Layout { control_buses, control_bus_count, scope_table, scope_buffer_count })
    }
}

/// Checks the segment's header and the name of its only object; returns the object's offset.
fn find_object(name: &str, read: ReadAt<'_>) -> Result<usize> {
    let state = read_array(read, STATE).map(u32::from_le_bytes)?;
    if state != STATE_INITIALIZED {
        return Err(invalid_segment(format!(
            "the segment's state is {state}, not {STATE_INITIALIZED}"
        )));
    }
    let count = read_u64(read, OBJECT_COUNT)?;
    if count != 1 {
        return Err(invalid_segment(format!("the segment has {count} named objects, not 1")));
    }
    let node = follow(TREE_ROOT, read_u64(read, TREE_ROOT)? & !2)?;
    let header = node
        .checked_add(NODE_BYTES)
        .ok_or_else(|| invalid_segment("the named object is outside of the segment"))?;
    let object_bytes = read_u64(read, header)?;
    if object_bytes != OBJECT_BYTES {
        return Err(invalid_segment(format!(
            "the named object has {object_bytes} bytes, not {OBJECT_BYTES}"
        )));
    }
    let name_length = usize::from(read_array(read, header + NAME_LENGTH).map(u16::from_le_bytes)?);
    if name_length != name.len() {
        return Err(invalid_segment(format!(
            "the object's name has {name_length} bytes, not {}",
            name.len()
        )));
    }
    let object = header + BLOCK_HEADER_BYTES;
    let mut found = vec![0; name_length];
    if !read(object + OBJECT_BYTES as usize, &mut found) || found != name.as_bytes() {
        return Err(invalid_segment(format!("the object is not named {name}")));
    }
    Ok(object)
}
