//! The journal of a recording: a file beside the target that loses at most a second.
//!
//! A journal is a magic line, then frames: the length of the payload and its checksum, 32 bits
//! little-endian each, and the payload. Its first byte is the kind:
//!
//! | kind | data |
//! |---|---|
//! | start | ticks per quarter note (16 bits), tempo (32), number of tracks (16), their names |
//! | message, exclusive | track (16), time in nanoseconds (64), client and port, MIDI bytes |
//! | release | track (16; 0xffff for all), time (64) |
//!
//! Reading ends at the first frame that is not whole, so a journal is valid after any number of its
//! writes. A thread writes frames as they come and syncs them to the disk every second, so that a
//! slow disk does not delay the recorder.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use consort_seq::file::{MidiFile, Recording};
use consort_seq::{Address, Event, MidiDecoder, MidiEncoder, Payload, RealTime};

/// The first line of a journal, with the version of its format.
const MAGIC: &[u8] = b"consort journal 1\n";
/// The time between two syncs: at most this much is lost.
pub(super) const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// The track number that stands for all tracks.
const ALL_TRACKS: u16 = 0xffff;

const START: u8 = 0;
const MESSAGE: u8 = 1;
const EXCLUSIVE: u8 = 2;
const RELEASE: u8 = 3;

/// FNV-1a: detects a frame that was written in part.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step)
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(checksum(payload).to_le_bytes());
    frame.extend(payload);
    frame
}

/// The beginning of a journal.
pub(super) fn start(ticks: u16, microseconds: u32, tracks: &[&str]) -> Vec<u8> {
    let mut payload = vec![START];
    payload.extend(ticks.to_le_bytes());
    payload.extend(microseconds.to_le_bytes());
    payload.extend((tracks.len() as u16).to_le_bytes());
    for name in tracks {
        payload.extend((name.len() as u16).to_le_bytes());
        payload.extend(&name.as_bytes()[..name.len().min(0xffff)]);
    }
    [MAGIC, &frame(&payload)].concat()
}

/// A recorded event; `None` if it has no MIDI bytes.
pub(super) fn event(track: usize, time: RealTime, event: &Event) -> Option<Vec<u8>> {
    let mut payload = vec![MESSAGE];
    payload.extend((track as u16).to_le_bytes());
    payload.extend(time.as_nanoseconds().to_le_bytes());
    payload.extend([event.source().client, event.source().port]);
    if let Payload::SystemExclusive(data) = event.payload() {
        payload[0] = EXCLUSIVE;
        payload.extend(data);
    } else {
        MidiDecoder::new().decode(event, &mut payload).ok()?;
    }
    Some(frame(&payload))
}

/// The release of the held notes of a track, or of all tracks.
pub(super) fn release(track: Option<usize>, time: RealTime) -> Vec<u8> {
    let mut payload = vec![RELEASE];
    payload.extend(track.map_or(ALL_TRACKS, |track| track as u16).to_le_bytes());
    payload.extend(time.as_nanoseconds().to_le_bytes());
    frame(&payload)
}

/// Removes a number of bytes from the front of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}

/// The next whole frame.
fn next_frame<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let sum = u32::from_le_bytes(take(rest)?);
    let (payload, left) = rest.split_at_checked(length)?;
    *rest = left;
    (checksum(payload) == sum).then_some(payload)
}

fn begin(mut payload: &[u8]) -> Option<Recording> {
    let rest = &mut payload;
    let [START] = take(rest)? else { return None };
    let ticks = u16::from_le_bytes(take(rest)?);
    let microseconds = u32::from_le_bytes(take(rest)?);
    let count = u16::from_le_bytes(take(rest)?);
    let mut names = Vec::new();
    for _ in 0..count {
        let length = u16::from_le_bytes(take(rest)?);
        let (name, left) = rest.split_at_checked(usize::from(length))?;
        names.push(String::from_utf8_lossy(name).into_owned());
        *rest = left;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Recording::new(ticks, microseconds, &names).ok()
}

/// The recording in a journal, and the number of its events.
///
/// # Errors
/// The bytes are not a journal.
pub(super) fn replay(bytes: &[u8]) -> anyhow::Result<(MidiFile, usize)> {
    let mut rest = bytes.strip_prefix(MAGIC).context("not a journal of `consort midi record`")?;
    let Some(mut recording) = next_frame(&mut rest).and_then(begin) else {
        bail!("the journal ends inside its beginning");
    };
    let mut end = RealTime::ZERO;
    while let Some(payload) = next_frame(&mut rest) {
        let Some(time) = add(&mut recording, payload) else { break };
        end = end.max(time);
    }
    let count = recording.len();
    Ok((recording.finish(end), count))
}

/// Adds a frame to a recording; returns its time, or `None` if it is not valid.
fn add(recording: &mut Recording, mut payload: &[u8]) -> Option<RealTime> {
    let rest = &mut payload;
    let [kind] = take(rest)?;
    let track = u16::from_le_bytes(take(rest)?);
    let time = RealTime::from_nanoseconds(u64::from_le_bytes(take(rest)?));
    match kind {
        RELEASE if track == ALL_TRACKS => recording.release_all(time),
        RELEASE => recording.release(usize::from(track), time),
        MESSAGE | EXCLUSIVE => {
            let [client, port] = take(rest)?;
            let source = Address::new(client, port);
            let mut push = |mut event: Event| {
                event.set_source(source);
                recording.push(usize::from(track), time, &event);
            };
            if kind == EXCLUSIVE {
                push(Event::system_exclusive(rest));
            } else {
                let mut encoder = MidiEncoder::new();
                rest.iter().filter_map(|byte| encoder.encode_byte(*byte)).for_each(&mut push);
            }
        }
        _ => return None,
    }
    Some(time)
}

/// Where a journal is written.
pub(super) trait Storage: Send + 'static {
    /// Writes bytes at an offset.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Waits until everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for std::fs::File {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Writes frames. What could not be written, because the disk is full, is written later.
struct Writer<S> {
    storage: S,
    /// The number of bytes that have been written.
    written: u64,
    /// Bytes that are still to be written.
    pending: Vec<u8>,
    is_dirty: bool,
    has_failed: bool,
}

impl<S: Storage> Writer<S> {
    fn new(storage: S) -> Self {
        Self { storage, written: 0, pending: Vec::new(), is_dirty: false, has_failed: false }
    }

    fn add(&mut self, frame: &[u8]) {
        self.pending.extend_from_slice(frame);
    }

    /// Writes what is pending. Bytes of a write that failed are overwritten by the next one.
    fn write(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let result = self.storage.write(self.written, &self.pending);
        if self.check(result) {
            self.written += self.pending.len() as u64;
            self.pending.clear();
            self.is_dirty = true;
        }
    }

    fn sync(&mut self) {
        self.write();
        if self.is_dirty {
            let result = self.storage.sync();
            self.is_dirty = !self.check(result);
        }
    }

    /// Logs the first failure in a row. Returns whether there was none.
    fn check(&mut self, result: io::Result<()>) -> bool {
        if let Err(error) = &result
            && !self.has_failed
        {
            tracing::warn!("cannot write the journal, recording continues in memory: {error}");
        }
        self.has_failed = result.is_err();
        result.is_ok()
    }
}

/// A journal that a thread writes.
pub(super) struct Journal {
    sender: Option<Sender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    pub(super) fn start(storage: impl Storage) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let writer = Writer::new(storage);
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let thread = thread.spawn(move || write(writer, &receiver))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Passes a frame to the thread. Does not block.
    pub(super) fn add(&self, frame: Vec<u8>) {
        if let Some(sender) = &self.sender {
            // The thread ends only when the sender is dropped.
            let _ = sender.send(frame);
        }
    }
}

impl Drop for Journal {
    /// Waits until everything is written and synced.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The journal's thread.
fn write(mut writer: Writer<impl Storage>, frames: &Receiver<Vec<u8>>) {
    let mut next_sync = Instant::now() + SYNC_INTERVAL;
    loop {
        match frames.recv_timeout(next_sync.saturating_duration_since(Instant::now())) {
            Ok(frame) => {
                writer.add(&frame);
                frames.try_iter().for_each(|frame| writer.add(&frame));
                writer.write();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return writer.sync(),
        }
        if Instant::now() >= next_sync {
            writer.sync();
            next_sync = Instant::now() + SYNC_INTERVAL;
        }
    }
}

#[cfg(test)]
mod tests;
