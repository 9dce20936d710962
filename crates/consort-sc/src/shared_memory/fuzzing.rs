//! Segments for tests and fuzzing.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use super::{SharedMemory, layout, scope};

/// A segment as scsynth lays it out, also a seed of the fuzz corpus: 64 control buses with 0.25 on
/// bus 2, and two scope buffers, of which the second has 3 new frames of 2 channels.
pub fn example_segment(name: &str) -> Vec<u8> {
    fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
        bytes[offset..offset + value.len()].copy_from_slice(value);
    }
    fn pointer(from: usize, to: usize) -> [u8; 8] {
        (to as i64 - from as i64).to_le_bytes()
    }
    let node = 0x100;
    let header = node + layout::NODE_BYTES;
    let object = header + layout::BLOCK_HEADER_BYTES;
    let (buses, table, samples) = (0x200, 0x300, 0x400);
    let mut bytes = vec![0; 0x500];
    put(&mut bytes, layout::STATE, &layout::STATE_INITIALIZED.to_le_bytes());
    put(&mut bytes, layout::OBJECT_COUNT, &1u64.to_le_bytes());
    let root = (node as i64 - layout::TREE_ROOT as i64) | 2;
    put(&mut bytes, layout::TREE_ROOT, &root.to_le_bytes());
    put(&mut bytes, header, &layout::OBJECT_BYTES.to_le_bytes());
    put(&mut bytes, header + layout::NAME_LENGTH, &(name.len() as u16).to_le_bytes());
    put(&mut bytes, object + layout::OBJECT_BYTES as usize, name.as_bytes());
    let bus_pointer = object + layout::CONTROL_BUSES;
    put(&mut bytes, bus_pointer, &pointer(bus_pointer, buses));
    let table_pointer = object + layout::SCOPE_TABLE;
    put(&mut bytes, table_pointer, &pointer(table_pointer, table));
    put(&mut bytes, object + layout::SCOPE_COUNT, &2u64.to_le_bytes());
    put(&mut bytes, buses - 8, &(0b11 << 62 | 17u64).to_le_bytes());
    put(&mut bytes, buses + 8, &0.25f32.to_le_bytes());
    let first_scope = table + 16;
    let second_scope = first_scope + scope::BYTES;
    put(&mut bytes, table, &pointer(table, first_scope));
    put(&mut bytes, table + 8, &pointer(table + 8, second_scope));
    put(&mut bytes, second_scope + scope::STATUS, &scope::STATUS_ACTIVE.to_le_bytes());
    put(&mut bytes, second_scope + scope::MAX_FRAMES, &4u32.to_le_bytes());
    put(&mut bytes, second_scope + scope::CHANNELS, &2u32.to_le_bytes());
    put(&mut bytes, second_scope + scope::STAGED, &1u32.to_le_bytes());
    put(&mut bytes, second_scope + scope::READING, &2u32.to_le_bytes());
    for slot in 0..3 {
        let offset = second_scope + scope::slot(slot);
        put(&mut bytes, offset, &pointer(offset, samples + slot as usize * 32));
        put(&mut bytes, offset + scope::SLOT_FRAMES, &3u32.to_le_bytes());
    }
    bytes[second_scope + scope::slot(1) + scope::SLOT_CHANGED] = 1;
    for (index, sample) in [0.1f32, 0.2, 0.3, 0.0, 0.5, 0.6, 0.7, 0.0].iter().enumerate() {
        put(&mut bytes, samples + 32 + index * 4, &sample.to_le_bytes());
    }
    bytes
}

/// The body of the fuzz target `sc_shared_memory`: arbitrary bytes as a segment, which must neither
/// panic nor be read out of bounds.
pub fn fuzz_shared_memory(bytes: &[u8]) {
    let Some((mut file, path)) = file_in_memory() else { return };
    if file.write_all(bytes).is_err() {
        return;
    }
    if let Ok(memory) = SharedMemory::open_file(&path, "SuperColliderServer_57110", 16_384) {
        let count = memory.control_bus_count();
        for id in [0, count.saturating_sub(1), count] {
            let _ = memory.control_bus_value(id);
            let _ = memory.set_control_bus(id, 1.0);
        }
        for index in 0..=memory.layout.scope_buffer_count as u32 {
            let _ = memory.describe_scope_buffer(index);
            let _ = memory.read_scope_buffer(index);
        }
    }
}

/// An empty file in memory, and its path while it is open.
fn file_in_memory() -> Option<(File, PathBuf)> {
    let descriptor =
        rustix::fs::memfd_create("consort-sc", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    Some((File::from(descriptor), path))
}
