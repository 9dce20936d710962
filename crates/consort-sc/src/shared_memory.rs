//! The memory that a server shares with programs on its machine: control buses and scopes.
//!
//! The file `/dev/shm/SuperColliderServer_<port>` holds a Boost.Interprocess managed segment
//! (64 bits, little-endian, libstdc++), as scsynth 3.13 and supernova make it. Nothing in it is
//! trusted: state, sizes, names and every offset are checked first.
#![allow(unsafe_code)] // A mapping that another process writes can only be read through pointers.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::error::{Error, ErrorKind, Result};

const HEADER_STATE: usize = 0x00;
const STATE_INITIALIZED: u32 = 2;
const NAMED_COUNT: usize = 0x98;
const TREE_HEADER: usize = 0xA0;
const NODE_BLOCK: usize = 24;
const BLOCK_HEADER: usize = 16;
const VALUE_BYTES: u64 = 72;
const SCOPE_BUFFER_BYTES: usize = 88;
const MAXIMUM_SCOPE_BUFFERS: u64 = 1024;
const MAXIMUM_CHANNELS: u32 = 1024;

fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::SharedMemory, message)
}

/// Where the interesting things stand in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    control_buses: usize,
    control_bus_count: u32,
    scope_buffers: usize,
    scope_buffer_count: usize,
}

/// Reads at an offset; false if there is nothing.
type ReadAt<'a> = &'a dyn Fn(usize, &mut [u8]) -> bool;

fn number<const N: usize>(read: ReadAt<'_>, offset: usize) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    if read(offset, &mut bytes) {
        Ok(bytes)
    } else {
        Err(broken(format!("offset {offset:#x} lies outside of the segment")))
    }
}

fn u64_at(read: ReadAt<'_>, offset: usize) -> Result<u64> {
    number(read, offset).map(u64::from_le_bytes)
}

/// Follows an offset pointer: relative to its own address, 1 for null.
fn follow(at: usize, value: u64) -> Result<usize> {
    if value == 1 {
        return Err(broken(format!("the pointer at offset {at:#x} is null")));
    }
    usize::try_from(at as i128 + i128::from(value as i64))
        .map_err(|_| broken(format!("the pointer at offset {at:#x} leads out of the segment")))
}

fn pointer_at(read: ReadAt<'_>, at: usize) -> Result<usize> {
    follow(at, u64_at(read, at)?)
}

/// Checks a segment of `size` bytes that is to be called `name`.
fn parse(size: usize, name: &str, read: ReadAt<'_>) -> Result<Layout> {
    let inside = |offset: usize, length: usize, what: &str| {
        if offset.checked_add(length).is_some_and(|end| end <= size) {
            Ok(())
        } else {
            Err(broken(format!("{what} at offset {offset:#x} lie outside of the segment")))
        }
    };
    let state = number(read, HEADER_STATE).map(u32::from_le_bytes)?;
    if state != STATE_INITIALIZED {
        return Err(broken(format!("the segment's state is {state}, not {STATE_INITIALIZED}")));
    }
    let count = u64_at(read, NAMED_COUNT)?;
    if count != 1 {
        return Err(broken(format!("the segment holds {count} named objects, not 1")));
    }
    // The colour of the tree's nodes sits in bit 1 of the parent's word.
    let node = follow(TREE_HEADER, u64_at(read, TREE_HEADER)? & !2)?;
    let block = node
        .checked_add(NODE_BLOCK)
        .ok_or_else(|| broken("the named object lies outside of the segment"))?;
    let value_bytes = u64_at(read, block)?;
    if value_bytes != VALUE_BYTES {
        return Err(broken(format!("the object has {value_bytes} bytes, not {VALUE_BYTES}")));
    }
    let name_length = usize::from(number(read, block + 8).map(u16::from_le_bytes)?);
    if name_length != name.len() {
        return Err(broken(format!("the object's name has {name_length} letters")));
    }
    let value = block + BLOCK_HEADER;
    let mut found = vec![0; name_length];
    if !read(value + VALUE_BYTES as usize, &mut found) || found != name.as_bytes() {
        return Err(broken(format!("the object is not called {name}")));
    }
    let control_buses = pointer_at(read, value + 32)?;
    inside(control_buses, 4, "the control buses")?;
    if !control_buses.is_multiple_of(4) {
        return Err(broken("the control buses are not aligned"));
    }
    // The word before an allocation has its size in its lower 62 bits: in units of 16 bytes, one
    // more than it has itself.
    let header = control_buses.checked_sub(8).ok_or_else(|| broken("the buses have no size"))?;
    let units = u64_at(read, header)? & (u64::MAX >> 2);
    let control_bus_count = units.saturating_sub(1).saturating_mul(4);
    let room = (size - control_buses) / 4;
    if control_bus_count == 0 || control_bus_count > room as u64 {
        return Err(broken(format!("the segment cannot hold {control_bus_count} control buses")));
    }
    let control_bus_count = u32::try_from(control_bus_count).unwrap_or(u32::MAX);
    let scope_buffer_count = u64_at(read, value + 56)?;
    if scope_buffer_count > MAXIMUM_SCOPE_BUFFERS {
        return Err(broken(format!("there are {scope_buffer_count} scope buffers")));
    }
    let scope_buffer_count = scope_buffer_count as usize;
    let scope_buffers = if scope_buffer_count == 0 { 0 } else { pointer_at(read, value + 48)? };
    inside(scope_buffers, scope_buffer_count * 8, "the scope buffers")?;
    if !scope_buffers.is_multiple_of(8) {
        return Err(broken("the scope buffers are not aligned"));
    }
    Ok(Layout { control_buses, control_bus_count, scope_buffers, scope_buffer_count })
}

/// The newest samples of a scope.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeFrames {
    /// One list of samples a channel, all of the same length.
    pub channels: Vec<Vec<f32>>,
}

/// The size of a scope buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeDescription {
    /// Channels.
    pub channel_count: u32,
    /// The most frames that it can hold.
    pub maximum_frames: u32,
}

/// The shared memory of a running server.
#[derive(Debug)]
pub struct SharedMemory {
    path: PathBuf,
    map: MmapRaw,
    layout: Layout,
    control_bus_count: u32,
    /// One reader at a time pulls scope buffers.
    reading: Mutex<()>,
}

impl SharedMemory {
    /// Opens the memory of the server at `port`. At most `control_bus_count` control
    /// buses are reached, and never more than the server has.
    ///
    /// # Errors
    /// [`ErrorKind::SharedMemory`] if there is none, if it does not look as it should, or if no
    /// running process has it mapped: a server that was killed leaves its file behind.
    pub fn open(port: u16, control_bus_count: u32) -> Result<Self> {
        let name = format!("SuperColliderServer_{port}");
        let path = Path::new("/dev/shm").join(&name);
        let memory = Self::open_file(&path, &name, control_bus_count)?;
        if !is_mapped_elsewhere(&path) {
            return Err(broken(format!(
                "no running process that can be seen has {} mapped; a killed server left it",
                path.display()
            )));
        }
        Ok(memory)
    }

    fn open_file(path: &Path, name: &str, control_bus_count: u32) -> Result<Self> {
        let say = |what: &str, error: std::io::Error| {
            Error::io(format!("cannot {what} {}", path.display()), error)
                .with_kind(ErrorKind::SharedMemory)
        };
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| say("open", error))?;
        let size = file.metadata().map_err(|error| say("measure", error))?.len();
        let size = usize::try_from(size).map_err(|_| broken("the segment is too large"))?;
        let layout =
            parse(size, name, &|offset, bytes| file.read_exact_at(bytes, offset as u64).is_ok())?;
        let control_bus_count = control_bus_count.min(layout.control_bus_count);
        let map = MmapOptions::new().map_raw(&file).map_err(|error| say("map", error))?;
        if map.len() != size {
            return Err(broken("the segment changed its size"));
        }
        Ok(Self { path: path.to_owned(), map, layout, control_bus_count, reading: Mutex::new(()) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many control buses can be reached.
    pub fn control_bus_count(&self) -> u32 {
        self.control_bus_count
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU32 {
        debug_assert!(offset + 4 <= self.map.len() && offset.is_multiple_of(4));
        // SAFETY: every caller passes an offset that was checked against the mapping's length
        // and is a multiple of 4; the mapping starts at a page. The memory is shared with the
        // server, so it is only ever touched through atomics.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }

    #[inline]
    fn control_bus(&self, id: u32) -> Result<&AtomicU32> {
        if id >= self.control_bus_count {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("there is no control bus {id}; there are {}", self.control_bus_count),
            ));
        }
        Ok(self.word(self.layout.control_buses + id as usize * 4))
    }

    /// The value of a control bus.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such bus.
    #[inline]
    pub fn control_bus_value(&self, id: u32) -> Result<f32> {
        self.control_bus(id).map(|word| f32::from_bits(word.load(Ordering::Relaxed)))
    }

    /// Sets a control bus; the server sees it in its next control period.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such bus.
    #[inline]
    pub fn set_control_bus(&self, id: u32, value: f32) -> Result<()> {
        self.control_bus(id).map(|word| word.store(value.to_bits(), Ordering::Relaxed))
    }

    fn scope_buffer(&self, index: u32) -> Result<usize> {
        if index as usize >= self.layout.scope_buffer_count {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "there is no scope buffer {index}; there are {}",
                    self.layout.scope_buffer_count
                ),
            ));
        }
        // The vector holds pointers, and the server may write them: each is checked anew.
        let pointer = self.layout.scope_buffers + index as usize * 8;
        let base = follow(pointer, self.long(pointer))?;
        let end = base.checked_add(SCOPE_BUFFER_BYTES);
        if !base.is_multiple_of(8) || end.is_none_or(|end| end > self.map.len()) {
            return Err(broken(format!("scope buffer {index} lies outside of the segment")));
        }
        Ok(base)
    }

    fn long(&self, offset: usize) -> u64 {
        let low = u64::from(self.word(offset).load(Ordering::Relaxed));
        let high = u64::from(self.word(offset + 4).load(Ordering::Relaxed));
        high << 32 | low
    }

    /// The size of a scope buffer; `None` if nothing writes it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] or [`ErrorKind::SharedMemory`].
    pub fn describe_scope_buffer(&self, index: u32) -> Result<Option<ScopeDescription>> {
        let base = self.scope_buffer(index)?;
        let load = |offset: usize| self.word(base + offset).load(Ordering::Acquire);
        if load(0) != 1 {
            return Ok(None);
        }
        let (maximum_frames, channel_count) = (load(4), load(8));
        if channel_count == 0 || channel_count > MAXIMUM_CHANNELS {
            return Err(broken(format!("scope buffer {index} has {channel_count} channels")));
        }
        let bytes = u64::from(maximum_frames) * u64::from(channel_count) * 4;
        if bytes > self.map.len() as u64 {
            return Err(broken(format!("scope buffer {index} has {maximum_frames} frames")));
        }
        Ok(Some(ScopeDescription { channel_count, maximum_frames }))
    }

    /// The newest frames of a scope buffer, if the server wrote new ones since the last call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] or [`ErrorKind::SharedMemory`].
    pub fn read_scope_buffer(&self, index: u32) -> Result<Option<ScopeFrames>> {
        let base = self.scope_buffer(index)?;
        let Some(size) = self.describe_scope_buffer(index)? else { return Ok(None) };
        let _one_reader = self.reading.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let stage = self.word(base + 24);
        let out = self.word(base + 32);
        let (staged, taken) = (stage.load(Ordering::Acquire), out.load(Ordering::Relaxed));
        if staged > 2 || taken > 2 {
            return Err(broken(format!("scope buffer {index} has no third of three states")));
        }
        let state = |number: u32| base + 40 + number as usize * 16;
        if self.changed(state(staged)) == 0 {
            return Ok(None);
        }
        self.set_changed(state(taken), 0);
        let taken = stage.swap(taken, Ordering::AcqRel);
        if taken > 2 {
            return Err(broken(format!("scope buffer {index} has no third of three states")));
        }
        out.store(taken, Ordering::Release);
        let state = state(taken);
        let frames = self.word(state + 8).load(Ordering::Acquire).min(size.maximum_frames) as usize;
        let data = follow(state, self.long(state))?;
        let stride = size.maximum_frames as usize;
        let samples = stride * size.channel_count as usize;
        if !data.is_multiple_of(4)
            || data.checked_add(samples * 4).is_none_or(|end| end > self.map.len())
        {
            return Err(broken(format!("the samples of scope buffer {index} lie outside")));
        }
        let channels = (0..size.channel_count as usize)
            .map(|channel| {
                (0..frames)
                    .map(|frame| {
                        let word = self.word(data + (channel * stride + frame) * 4);
                        f32::from_bits(word.load(Ordering::Relaxed))
                    })
                    .collect()
            })
            .collect();
        Ok(Some(ScopeFrames { channels }))
    }

    fn byte(&self, offset: usize) -> &AtomicU8 {
        debug_assert!(offset < self.map.len());
        // SAFETY: as in `word`: inside of the mapping, and only touched through atomics.
        unsafe { AtomicU8::from_ptr(self.map.as_mut_ptr().add(offset)) }
    }

    fn changed(&self, state: usize) -> u8 {
        self.byte(state + 12).load(Ordering::Acquire)
    }

    fn set_changed(&self, state: usize, changed: u8) {
        self.byte(state + 12).store(changed, Ordering::Release);
    }
}

/// Removes the file of a server that has ended without doing so, unless another server at the
/// same port has made it anew.
pub(crate) fn remove_stale(port: u16) {
    let path = Path::new("/dev/shm").join(format!("SuperColliderServer_{port}"));
    if path.exists() && !is_mapped_elsewhere(&path) {
        let _ = std::fs::remove_file(&path);
    }
}

/// Whether another process that this one may look at has the file mapped.
fn is_mapped_elsewhere(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    let inode = metadata.ino().to_string();
    let own = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else { return false };
    entries.flatten().any(|entry| {
        let pid = entry.file_name();
        let pid = pid.to_string_lossy();
        if pid == own.as_str() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        std::fs::read_to_string(entry.path().join("maps")).is_ok_and(|maps| {
            maps.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.nth(4) == Some(inode.as_str())
                    && words.next().is_some_and(|name| Path::new(name) == path)
            })
        })
    })
}

/// The body of the fuzz target `sc_shared_memory`: any bytes are a segment.
#[doc(hidden)]
pub fn fuzz_shared_memory(bytes: &[u8]) {
    let mut file = match tempfile_in_memory() {
        Some(file) => file,
        None => return,
    };
    if std::io::Write::write_all(&mut file.0, bytes).is_err() {
        return;
    }
    if let Ok(memory) = SharedMemory::open_file(&file.1, "SuperColliderServer_57110", 16_384) {
        let last = memory.control_bus_count();
        for id in [0, last.saturating_sub(1), last] {
            let _ = memory.control_bus_value(id);
            let _ = memory.set_control_bus(id, 1.0);
        }
        for index in 0..=memory.layout.scope_buffer_count as u32 {
            let _ = memory.describe_scope_buffer(index);
            let _ = memory.read_scope_buffer(index);
        }
    }
}

fn tempfile_in_memory() -> Option<(File, PathBuf)> {
    use std::os::fd::AsRawFd;
    let descriptor =
        rustix::fs::memfd_create("consort-sc", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    Some((File::from(descriptor), path))
}

/// A segment as scsynth lays it out, for tests and as a seed of the fuzz corpus.
#[doc(hidden)]
pub fn example_segment(name: &str) -> Vec<u8> {
    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    fn relative(from: usize, to: usize) -> [u8; 8] {
        (to as i64 - from as i64).to_le_bytes()
    }
    let node = 0x100;
    let block = node + NODE_BLOCK;
    let value = block + BLOCK_HEADER;
    let (buses, scopes, samples) = (0x200, 0x300, 0x400);
    let mut bytes = vec![0; 0x500];
    put(&mut bytes, HEADER_STATE, &STATE_INITIALIZED.to_le_bytes());
    put(&mut bytes, NAMED_COUNT, &1u64.to_le_bytes());
    put(&mut bytes, TREE_HEADER, &((node as i64 - TREE_HEADER as i64) | 2).to_le_bytes());
    put(&mut bytes, block, &VALUE_BYTES.to_le_bytes());
    put(&mut bytes, block + 8, &(name.len() as u16).to_le_bytes());
    put(&mut bytes, value + VALUE_BYTES as usize, name.as_bytes());
    put(&mut bytes, value + 32, &relative(value + 32, buses));
    put(&mut bytes, value + 48, &relative(value + 48, scopes));
    put(&mut bytes, value + 56, &2u64.to_le_bytes());
    put(&mut bytes, buses - 8, &(0b11 << 62 | 17u64).to_le_bytes());
    put(&mut bytes, buses + 8, &0.25f32.to_le_bytes());
    put(&mut bytes, scopes, &relative(scopes, scopes + 16));
    put(&mut bytes, scopes + 8, &relative(scopes + 8, scopes + 16 + SCOPE_BUFFER_BYTES));
    // Scope buffer 1: live, 4 frames of 2 channels, state 1 staged and changed.
    let scope = scopes + 16 + SCOPE_BUFFER_BYTES;
    put(&mut bytes, scope, &1u32.to_le_bytes());
    put(&mut bytes, scope + 4, &4u32.to_le_bytes());
    put(&mut bytes, scope + 8, &2u32.to_le_bytes());
    put(&mut bytes, scope + 24, &1u32.to_le_bytes());
    put(&mut bytes, scope + 32, &2u32.to_le_bytes());
    for state in 0..3 {
        let at = scope + 40 + state * 16;
        put(&mut bytes, at, &relative(at, samples + state * 32));
        put(&mut bytes, at + 8, &3u32.to_le_bytes());
    }
    bytes[scope + 40 + 16 + 12] = 1;
    for (index, sample) in [0.1f32, 0.2, 0.3, 0.0, 0.5, 0.6, 0.7, 0.0].iter().enumerate() {
        put(&mut bytes, samples + 32 + index * 4, &sample.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "SuperColliderServer_57110";

    fn open(bytes: &[u8], folder: &tempfile::TempDir) -> Result<SharedMemory> {
        let path = folder.path().join("segment");
        std::fs::write(&path, bytes).unwrap();
        SharedMemory::open_file(&path, NAME, 16)
    }

    #[test]
    fn buses_are_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let memory = open(&example_segment(NAME), &folder).unwrap();
        assert_eq!(memory.control_bus_value(2).unwrap(), 0.25);
        memory.set_control_bus(3, 0.75).unwrap();
        assert_eq!(memory.control_bus_value(3).unwrap(), 0.75);
        let error = memory.control_bus_value(16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_scope_is_read_once_and_only_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let memory = open(&example_segment(NAME), &folder).unwrap();
        assert_eq!(memory.describe_scope_buffer(0).unwrap(), None);
        let size = memory.describe_scope_buffer(1).unwrap().unwrap();
        assert_eq!(size, ScopeDescription { channel_count: 2, maximum_frames: 4 });
        let frames = memory.read_scope_buffer(1).unwrap().unwrap();
        assert_eq!(frames.channels, [vec![0.1, 0.2, 0.3], vec![0.5, 0.6, 0.7]]);
        assert_eq!(memory.read_scope_buffer(1).unwrap(), None);
        assert_eq!(memory.read_scope_buffer(2).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_segment_that_is_not_quite_right_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let change = |at: usize, value: u8| {
            let mut bytes = example_segment(NAME);
            bytes[at] = value;
            open(&bytes, &folder).unwrap_err()
        };
        assert!(change(HEADER_STATE, 1).to_string().contains("state is 1"));
        assert!(change(NAMED_COUNT, 2).to_string().contains("2 named objects"));
        assert!(change(0x1F8, 0).to_string().contains("cannot hold 0 control buses"));
        assert!(change(0x1F9, 1).to_string().contains("cannot hold 1088 control buses"));
        let value = 0x100 + NODE_BLOCK + BLOCK_HEADER;
        assert!(change(value + 72, b'X').to_string().contains("not called"));
        assert!(change(value + 38, 0x7F).to_string().contains("outside"));
        assert!(change(value + 57, 0xFF).to_string().contains("scope buffers"));
        assert!(change(0x100 + NODE_BLOCK, 71).to_string().contains("71 bytes"));
        let error = SharedMemory::open(1, 16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SharedMemory);
    }

    #[test]
    fn a_file_that_no_process_has_mapped_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stale");
        std::fs::write(&path, b"x").unwrap();
        assert!(!is_mapped_elsewhere(&path));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn no_segment_makes_a_reader_panic(
            changes in proptest::collection::vec((0usize..0x500, any::<u8>()), 0..12),
            length in 0usize..=0x500,
        ) {
            let mut bytes = example_segment(NAME);
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(length);
            fuzz_shared_memory(&bytes);
        }
    }
}
