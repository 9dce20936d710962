//! The memory that a server shares with the programs on its machine: control buses and scopes.
//!
//! The file `/dev/shm/SuperColliderServer_<port>` is a Boost.Interprocess managed segment (64 bits,
//! little-endian, libstdc++) of scsynth 3.13 or supernova. Another process writes it, so nothing in
//! it is trusted: its owner, state, sizes, names and all offsets are checked before their use.
//!
//! A mapped page that the file no longer has kills the process that touches it (SIGBUS). Everything
//! is therefore read and written with `pread` and `pwrite`, which fail instead. Only the exchange of
//! the slots of a scope has to be atomic, which needs a mapping; the file's size is checked directly
//! before.
#![allow(unsafe_code)] // The atomic exchange needs a pointer into the mapping.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod layout;
mod scope;

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use parking_lot::Mutex;
use rustix::fs::OFlags;

use crate::error::{Error, ErrorKind, Result};
use layout::{Layout, follow};

/// The most channels that are accepted in a scope buffer.
const MAX_CHANNELS: u32 = 1024;

fn invalid_segment(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::SharedMemory, message)
}

fn invalid_argument(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// The newest samples of a scope.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeFrames {
    /// The samples of each channel, as many for all of them.
    pub channels: Vec<Vec<f32>>,
}

/// The size of a scope buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeDescription {
    /// The number of channels.
    pub channel_count: u32,
    /// The capacity in frames.
    pub maximum_frames: u32,
}

/// The shared memory of a running server.
#[derive(Debug)]
pub struct SharedMemory {
    path: PathBuf,
    file: File,
    /// For the exchange of slots only.
    map: MmapRaw,
    layout: Layout,
    control_bus_count: u32,
    /// Held while a scope buffer is read: the triple buffer is made for one reader.
    scope_reader: Mutex<()>,
}

impl SharedMemory {
    /// Opens the memory of the server at `port`. Gives access to `control_bus_count` control buses,
    /// or to as many as the server has if that is less.
    ///
    /// # Errors
    /// [`ErrorKind::SharedMemory`] if there is no such segment, if it belongs to another user, if it
    /// fails a check, or if no running process has it mapped, because a server that was killed leaves
    /// its file behind.
    pub fn open(port: u16, control_bus_count: u32) -> Result<Self> {
        let name = format!("SuperColliderServer_{port}");
        let path = Path::new("/dev/shm").join(&name);
        // Another user may have placed a link there.
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(|error| segment_error("open", &path, error))?;
        let memory = Self::from_file(file, &path, &name, control_bus_count)?;
        if !is_mapped_elsewhere(&path) {
            return Err(invalid_segment(format!(
                "no visible process has {} mapped; it was left by a killed server",
                path.display()
            )));
        }
        Ok(memory)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    fn open_file(path: &Path, name: &str, control_bus_count: u32) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| segment_error("open", path, error))?;
        Self::from_file(file, path, name, control_bus_count)
    }

    fn from_file(file: File, path: &Path, name: &str, control_bus_count: u32) -> Result<Self> {
        let io_error = |verb: &str, error: std::io::Error| segment_error(verb, path, error);
        let metadata = file.metadata().map_err(|error| io_error("get the size of", error))?;
        check_owner(&metadata, path)?;
        let size = usize::try_from(metadata.len())
            .map_err(|_| invalid_segment("the segment is too large"))?;
        let read_at =
            |offset: usize, bytes: &mut [u8]| file.read_exact_at(bytes, offset as u64).is_ok();
        let layout = Layout::parse(size, name, &read_at)?;
        let control_bus_count = control_bus_count.min(layout.control_bus_count);
        let map = MmapOptions::new().map_raw(&file).map_err(|error| io_error("map", error))?;
        if map.len() != size {
            return Err(invalid_segment("the size of the segment changed while it was opened"));
        }
        let scope_reader = Mutex::new(());
        let path = path.to_owned();
        Ok(Self { path, file, map, layout, control_bus_count, scope_reader })
    }

    /// The segment's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of control buses that can be accessed.
    pub fn control_bus_count(&self) -> u32 {
        self.control_bus_count
    }

    /// The error for an access beyond the end of the file.
    fn access_error(&self, verb: &str, error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => invalid_segment(format!(
                "{} is shorter than when it was opened; another program has cut it",
                self.path.display()
            )),
            _ => segment_error(verb, &self.path, error),
        }
    }

    /// An error if the file is shorter than when it was opened.
    fn check_size(&self) -> Result<()> {
        let size = self.file.metadata().map_err(|error| self.access_error("access", error))?.len();
        if size < self.map.len() as u64 {
            return Err(self.access_error("access", std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Reads bytes, which every caller has checked to be inside the segment as it was opened.
    fn read_at(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(bytes, offset as u64)
            .map_err(|error| self.access_error("read", error))
    }

    /// Writes bytes. A file that was cut is not made longer again.
    fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.check_size()?;
        self.file
            .write_all_at(bytes, offset as u64)
            .map_err(|error| self.access_error("write", error))
    }

    fn read_u32(&self, offset: usize) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read_at(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn read_u64(&self, offset: usize) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read_at(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Exchanges the word at `offset` and returns its old value.
    fn swap(&self, offset: usize, value: u32) -> Result<u32> {
        debug_assert!(offset + 4 <= self.map.len() && offset.is_multiple_of(4));
        self.check_size()?;
        // SAFETY: the caller passes an offset that was checked against the mapping's length and is a
        // multiple of 4; the mapping starts at a page, and the file has all of it. The memory is
        // shared with the server, so it is only ever accessed through atomics.
        let word = unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(offset).cast()) };
        Ok(word.swap(value, Ordering::AcqRel))
    }

    /// The offset of a control bus.
    fn control_bus(&self, id: u32) -> Result<usize> {
        if id >= self.control_bus_count {
            return Err(invalid_argument(format!(
                "there is no control bus {id}; there are {}",
                self.control_bus_count
            )));
        }
        Ok(self.layout.control_buses + id as usize * 4)
    }

    /// Reads the value of a control bus.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such bus, [`ErrorKind::SharedMemory`] if the
    /// segment was cut.
    pub fn control_bus_value(&self, id: u32) -> Result<f32> {
        let offset = self.control_bus(id)?;
        self.read_u32(offset).map(f32::from_bits)
    }

    /// Sets the value of a control bus. The server uses it from its next control period on.
    ///
    /// # Errors
    /// As [`control_bus_value`](Self::control_bus_value).
    pub fn set_control_bus(&self, id: u32, value: f32) -> Result<()> {
        let offset = self.control_bus(id)?;
        self.write_at(offset, &value.to_le_bytes())
    }

    /// The offset of a scope buffer.
    fn scope_buffer(&self, index: u32) -> Result<usize> {
        if index as usize >= self.layout.scope_buffer_count {
            return Err(invalid_argument(format!(
                "there is no scope buffer {index}; there are {}",
                self.layout.scope_buffer_count
            )));
        }
        // The server may change the pointers in the table, so they are checked at each access.
        let pointer = self.layout.scope_table + index as usize * 8;
        let buffer = follow(pointer, self.read_u64(pointer)?)?;
        let end = buffer.checked_add(scope::BYTES);
        if !buffer.is_multiple_of(8) || end.is_none_or(|end| end > self.map.len()) {
            return Err(invalid_segment(format!("scope buffer {index} is outside of the segment")));
        }
        Ok(buffer)
    }

    /// The size of a scope buffer; `None` if no UGen writes it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such scope buffer, [`ErrorKind::SharedMemory`]
    /// if it fails a check.
    pub fn describe_scope_buffer(&self, index: u32) -> Result<Option<ScopeDescription>> {
        let buffer = self.scope_buffer(index)?;
        let load = |offset: usize| self.read_u32(buffer + offset);
        if load(scope::STATUS)? != scope::STATUS_ACTIVE {
            return Ok(None);
        }
        let (maximum_frames, channel_count) = (load(scope::MAX_FRAMES)?, load(scope::CHANNELS)?);
        if channel_count == 0 || channel_count > MAX_CHANNELS {
            return Err(invalid_segment(format!(
                "scope buffer {index} has {channel_count} channels; expected 1 to {MAX_CHANNELS}"
            )));
        }
        let bytes = u64::from(maximum_frames) * u64::from(channel_count) * 4;
        if bytes > self.map.len() as u64 {
            return Err(invalid_segment(format!(
                "scope buffer {index} has {maximum_frames} frames, too many for the segment"
            )));
        }
        Ok(Some(ScopeDescription { channel_count, maximum_frames }))
    }

    /// Reads the newest frames of a scope buffer; `None` if the server has written none since the
    /// last call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if there is no such scope buffer, [`ErrorKind::SharedMemory`]
    /// if it fails a check.
    pub fn read_scope_buffer(&self, index: u32) -> Result<Option<ScopeFrames>> {
        let buffer = self.scope_buffer(index)?;
        let Some(size) = self.describe_scope_buffer(index)? else { return Ok(None) };
        let _only_reader = self.scope_reader.lock();
        let Some(slot) = self.take_staged_slot(index, buffer)? else { return Ok(None) };
        let frames = self.read_u32(slot + scope::SLOT_FRAMES)?;
        let frames = frames.min(size.maximum_frames) as usize;
        let data = follow(slot, self.read_u64(slot)?)?;
        let stride = size.maximum_frames as usize;
        let samples = stride * size.channel_count as usize;
        if !data.is_multiple_of(4)
            || data.checked_add(samples * 4).is_none_or(|end| end > self.map.len())
        {
            return Err(invalid_segment(format!(
                "the samples of scope buffer {index} are outside of the segment"
            )));
        }
        let mut bytes = vec![0; frames * 4];
        let mut channels = Vec::with_capacity(size.channel_count as usize);
        for channel in 0..size.channel_count as usize {
            self.read_at(data + channel * stride * 4, &mut bytes)?;
            let samples = bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample));
            channels.push(samples.collect());
        }
        Ok(Some(ScopeFrames { channels }))
    }

    /// Exchanges the slot that was read last for the staged one, if the server has changed it.
    /// Returns the new slot's offset.
    fn take_staged_slot(&self, index: u32, buffer: usize) -> Result<Option<usize>> {
        let invalid_slot =
            || invalid_segment(format!("scope buffer {index} has an invalid slot number"));
        let next = self.read_u32(buffer + scope::STAGED)?;
        let last = self.read_u32(buffer + scope::READING)?;
        if !scope::is_slot(next) || !scope::is_slot(last) {
            return Err(invalid_slot());
        }
        let mark = |slot: u32| buffer + scope::slot(slot) + scope::SLOT_CHANGED;
        let mut changed = [0];
        self.read_at(mark(next), &mut changed)?;
        if changed == [0] {
            return Ok(None);
        }
        self.write_at(mark(last), &[0])?;
        // The server may have staged another slot in the meantime; it is newer still.
        let taken = self.swap(buffer + scope::STAGED, last)?;
        if !scope::is_slot(taken) {
            return Err(invalid_slot());
        }
        self.write_at(buffer + scope::READING, &taken.to_le_bytes())?;
        Ok(Some(buffer + scope::slot(taken)))
    }
}

/// The error for a segment that cannot be opened or accessed.
fn segment_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("cannot {verb} {}", path.display()), error).with_kind(ErrorKind::SharedMemory)
}

/// Rejects what another user owns, except for root: that user could cut it at any time, or write
/// values into it.
fn check_owner(metadata: &std::fs::Metadata, path: &Path) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(invalid_segment(format!("{} is not a regular file", path.display())));
    }
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(invalid_segment(format!(
            "{} belongs to the user {}, not to {own}; it is not used",
            path.display(),
            metadata.uid()
        )));
    }
    Ok(())
}

/// Removes the file of a server that ended without doing so, unless another server at the same port
/// uses it.
pub(crate) fn remove_stale(port: u16) {
    let path = Path::new("/dev/shm").join(format!("SuperColliderServer_{port}"));
    if path.exists() && !is_mapped_elsewhere(&path) {
        let _ = std::fs::remove_file(&path);
    }
}

/// Whether a process other than this one has the file mapped, of those that this one may inspect.
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

#[cfg(test)]
mod tests {
    use super::fuzzing::{example_segment, fuzz_shared_memory};
    use super::*;
    use proptest::prelude::*;

    const NAME: &str = "SuperColliderServer_57110";

    fn open(bytes: &[u8], folder: &tempfile::TempDir) -> Result<SharedMemory> {
        let path = folder.path().join("segment");
        std::fs::write(&path, bytes).unwrap();
        SharedMemory::open_file(&path, NAME, 16)
    }

    #[test]
    fn control_buses_can_be_read_and_written() {
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
    fn an_invalid_segment_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let change = |offset: usize, value: u8| {
            let mut bytes = example_segment(NAME);
            bytes[offset] = value;
            open(&bytes, &folder).unwrap_err()
        };
        assert!(change(layout::STATE, 1).to_string().contains("state is 1"));
        assert!(change(layout::OBJECT_COUNT, 2).to_string().contains("2 named objects"));
        assert!(change(0x1F8, 0).to_string().contains("cannot hold 0 control buses"));
        assert!(change(0x1F9, 1).to_string().contains("cannot hold 1088 control buses"));
        let header = 0x100 + layout::NODE_BYTES;
        let object = header + layout::BLOCK_HEADER_BYTES;
        assert!(change(object + 72, b'X').to_string().contains("not named"));
        assert!(change(object + 38, 0x7F).to_string().contains("outside"));
        assert!(change(object + 57, 0xFF).to_string().contains("scope buffers"));
        assert!(change(header, 71).to_string().contains("71 bytes"));
        let error = SharedMemory::open(1, 16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SharedMemory);
    }

    #[test]
    fn a_segment_that_is_cut_is_an_error_at_every_access() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 0x40, 0x204, 0x304, 0x350, 0x420] {
            let memory = open(&example_segment(NAME), &folder).unwrap();
            assert_eq!(memory.control_bus_value(2).unwrap(), 0.25);
            let file = File::options().write(true).open(folder.path().join("segment")).unwrap();
            file.set_len(size).unwrap();
            let errors = [
                memory.set_control_bus(15, 1.0).unwrap_err(),
                memory.read_scope_buffer(1).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::SharedMemory, "{error}");
                assert!(
                    error.to_string().contains("is shorter than when it was opened"),
                    "{error}"
                );
            }
            assert_eq!(memory.control_bus_value(15).is_err(), size < 0x240);
            // What is left is not made longer by writing.
            assert_eq!(file.metadata().unwrap().len(), size);
        }
    }

    #[test]
    fn a_segment_of_another_user_and_what_is_not_a_file_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_owner(&folder.path().metadata().unwrap(), folder.path()).unwrap_err();
        assert!(error.to_string().contains("is not a regular file"), "{error}");
        let path = folder.path().join("segment");
        std::fs::write(&path, example_segment(NAME)).unwrap();
        check_owner(&path.metadata().unwrap(), &path).unwrap();
        // Only root can give files away.
        if std::os::unix::fs::chown(&path, Some(4_711), None).is_ok() {
            let error = SharedMemory::open_file(&path, NAME, 16).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SharedMemory);
            assert!(error.to_string().contains("belongs to the user 4711"), "{error}");
        }
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
        fn an_arbitrary_segment_never_panics(
            changes in proptest::collection::vec((0usize..0x500, any::<u8>()), 0..12),
            length in 0usize..=0x500,
        ) {
            let mut bytes = example_segment(NAME);
            for (offset, value) in changes {
                bytes[offset] = value;
            }
            bytes.truncate(length);
            fuzz_shared_memory(&bytes);
        }
    }
}
