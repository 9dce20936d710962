//! Reading: chunks, tracks, events, and where the damage is.
//!
//! The scanner is ours because the position of an error and the events before it are wanted, and
//! `midly` ends a damaged track silently; `midly` writes, and is the tests' second opinion.

use super::{
    Body, Division, EVENT_LIMIT, FileError, FileErrorKind, FileEvent, META_END, META_TEMPO,
    MidiFile, SIZE_LIMIT,
};
use crate::midi::{MidiDecoder, MidiEncoder};

/// Errors that are kept; a file of 65,535 damaged tracks has said enough before.
const ERROR_LIMIT: usize = 16;

use FileErrorKind::{Corrupt, NotMidi, TooLarge, Truncated, Unsupported};

pub(super) fn read(bytes: &[u8]) -> Result<(MidiFile, Vec<FileError>), FileError> {
    if bytes.len() > SIZE_LIMIT {
        let message = format!("the file has {} bytes; {SIZE_LIMIT} are taken", bytes.len());
        return Err(FileError::new(TooLarge, SIZE_LIMIT, message));
    }
    let start = skip_riff(bytes)?;
    let (header, mut at) = chunk(bytes, start)
        .filter(|(chunk, _)| chunk.name == *b"MThd")
        .ok_or_else(|| not_midi(bytes, start))?;
    let data = &bytes[header.start..header.end];
    let &[f1, f0, n1, n0, d1, d0, ..] = data else {
        let message = format!("the header has {} bytes; expected 6", data.len());
        let kind = if header.is_cut { Truncated } else { Corrupt };
        return Err(FileError::new(kind, header.start, message));
    };
    let declared = usize::from(u16::from_be_bytes([n1, n0]));
    let format = match u16::from_be_bytes([f1, f0]) {
        format @ (0 | 1) => format,
        2 => {
            let message = "the file is of format 2: independent patterns, which have no common \
                           time; convert it to format 0 or 1";
            return Err(FileError::new(Unsupported, header.start, message));
        }
        other => {
            let message = format!("the file is of format {other}; expected 0 or 1");
            return Err(FileError::new(Unsupported, header.start, message));
        }
    };
    let division = division([d1, d0], header.start + 4)?;
    let mut reader = Reader { bytes, file: MidiFile::new(format, division), errors: Vec::new() };
    loop {
        let is_enough = reader.file.track_count() >= declared;
        let next = chunk(bytes, at);
        // A header that says too little hides no tracks.
        let is_more = next.as_ref().is_some_and(|(found, _)| found.name == *b"MTrk");
        if is_enough && !(is_more && reader.file.track_count() < usize::from(u16::MAX)) {
            break;
        }
        let Some((found, next)) = next else {
            let message = format!(
                "the file ends after {} of the {declared} tracks that its header names",
                reader.file.track_count()
            );
            reader.fail(FileError::new(Truncated, at, message));
            break;
        };
        if found.name == *b"MTrk" {
            reader.track(&found);
        } else if found.is_cut {
            let message = format!(
                "the file ends inside a chunk {:?} that says it has {} bytes",
                String::from_utf8_lossy(&found.name),
                found.stated
            );
            reader.fail(FileError::new(Truncated, found.start, message));
            break;
        }
        at = next;
    }
    if reader.file.track_count() > 1 {
        // A single track that comes in several is played as if it said so.
        reader.file.format = 1;
    }
    reader.file.arrange();
    Ok((reader.file, reader.errors))
}

fn not_midi(bytes: &[u8], at: usize) -> FileError {
    let message = match bytes.get(at..) {
        None | Some([]) => "the file is empty; expected MThd".to_owned(),
        Some(found) if b"MThd".starts_with(found) => "the file ends inside MThd".to_owned(),
        Some(found) => {
            let found = &found[..found.len().min(4)];
            format!(
                "this is no Standard MIDI File: it begins with {:?}; expected MThd",
                String::from_utf8_lossy(found)
            )
        }
    };
    FileError::new(NotMidi, at, message)
}

/// A chunk: where its data stands in the file.
struct Chunk {
    name: [u8; 4],
    start: usize,
    end: usize,
    /// How many bytes it says it has.
    stated: u32,
    /// Whether the file ends before the chunk.
    is_cut: bool,
}

/// The chunk at `at`, and where the next one is; `None` if not even its head is there.
fn chunk(bytes: &[u8], at: usize) -> Option<(Chunk, usize)> {
    let head = bytes.get(at..)?.first_chunk::<8>()?;
    let name = [head[0], head[1], head[2], head[3]];
    let stated = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let start = at + 8;
    let end = start.saturating_add(stated as usize).min(bytes.len());
    let is_cut = end - start < stated as usize;
    Some((Chunk { name, start, end, stated, is_cut }, end))
}

/// Where the MIDI file begins: behind the wrapper where there is one (`RIFF`, size, `RMID`, and
/// a chunk `data`; little-endian, padded to even lengths).
fn skip_riff(bytes: &[u8]) -> Result<usize, FileError> {
    if !bytes.starts_with(b"RIFF") {
        return Ok(0);
    }
    if bytes.get(8..12).is_some_and(|kind| kind != b"RMID") {
        let message = "the file is a RIFF file, but not of kind RMID";
        return Err(FileError::new(NotMidi, 8, message));
    }
    let mut at = 12;
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        if head.starts_with(b"data") {
            return Ok(at + 8);
        }
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        at = at.saturating_add(8).saturating_add(length.next_multiple_of(2));
    }
    let message = "the RIFF file ends without a chunk `data` that holds MIDI";
    Err(FileError::new(Truncated, bytes.len(), message))
}

fn division(bytes: [u8; 2], at: usize) -> Result<Division, FileError> {
    let fail = |message: String| Err(FileError::new(Corrupt, at, message));
    match u16::from_be_bytes(bytes) {
        0 => fail("0 ticks per quarter note; expected 1 to 32767".to_owned()),
        ticks @ 1..=0x7fff => Ok(Division::Metrical(ticks)),
        _ => {
            let (frames, ticks) = (bytes[0].wrapping_neg(), bytes[1]);
            if !matches!(frames, 24 | 25 | 29 | 30) {
                return fail(format!("{frames} frames per second; expected 24, 25, 29 or 30"));
            }
            if ticks == 0 {
                return fail("0 ticks per frame; expected 1 to 255".to_owned());
            }
            Ok(Division::Timecode { frames, ticks })
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    file: MidiFile,
    errors: Vec<FileError>,
}

/// A track that is being read.
struct Track<'a> {
    bytes: &'a [u8],
    at: usize,
    chunk: &'a Chunk,
    number: usize,
    tick: u64,
    running_status: Option<u8>,
    /// Whether a system exclusive message has begun and not ended.
    is_exclusive: bool,
}

impl Reader<'_> {
    fn fail(&mut self, error: FileError) {
        if self.errors.len() < ERROR_LIMIT {
            self.errors.push(error);
        }
    }

    fn track(&mut self, chunk: &Chunk) {
        let mut track = Track {
            bytes: self.bytes,
            at: chunk.start,
            chunk,
            number: self.file.track_count(),
            tick: 0,
            running_status: None,
            is_exclusive: false,
        };
        let result = loop {
            match track.event(&mut self.file) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.file.ends.push(track.tick);
        if let Err(error) = result {
            self.fail(error);
        }
    }
}

impl<'a> Track<'a> {
    fn error(&self, position: usize, message: impl Into<String>) -> FileError {
        FileError::new(Corrupt, position, message).in_track(self.number)
    }

    /// The error that something reaches behind the end of the track, or of the file.
    fn short(&self, what: &str) -> FileError {
        if !self.chunk.is_cut {
            return self.error(self.at, format!("{what} reaches behind the end of the track"));
        }
        let message = format!(
            "the file ends inside {what}; {} of the track's {} bytes are there",
            self.chunk.end - self.chunk.start,
            self.chunk.stated
        );
        FileError::new(Truncated, self.bytes.len(), message).in_track(self.number)
    }

    fn byte(&mut self, what: &str) -> Result<u8, FileError> {
        if self.at >= self.chunk.end {
            return Err(self.short(what));
        }
        self.at += 1;
        Ok(self.bytes[self.at - 1])
    }

    /// A number of variable length: 1 to 4 bytes of 7 bits.
    fn number(&mut self, what: &str) -> Result<u32, FileError> {
        let start = self.at;
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.byte(what)?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.error(start, format!("{what} has more than 4 bytes")))
    }

    /// A length, and as many bytes.
    fn data(&mut self, what: &str) -> Result<&'a [u8], FileError> {
        let length = self.number(what)? as usize;
        let Some(end) = self.at.checked_add(length).filter(|end| *end <= self.chunk.end) else {
            return Err(self.short(what));
        };
        let data = &self.bytes[self.at..end];
        self.at = end;
        Ok(data)
    }

    /// Reads an event into `file`; whether the track goes on.
    fn event(&mut self, file: &mut MidiFile) -> Result<bool, FileError> {
        if self.at == self.chunk.end {
            return if self.chunk.is_cut { Err(self.short("the track")) } else { Ok(false) };
        }
        let delta = u64::from(self.number("a time")?);
        let start = self.at;
        let first = self.byte("an event")?;
        // The track ends at its last sound event: a delta before a damaged one does not count.
        let before = self.tick;
        self.tick += delta;
        let result = self.rest(file, start, first);
        if result.is_err() {
            self.tick = before;
        }
        result
    }

    fn rest(&mut self, file: &mut MidiFile, start: usize, first: u8) -> Result<bool, FileError> {
        match first {
            0xff => {
                let kind = self.byte("a meta event")?;
                let data = self.data("a meta event")?;
                return self.meta(file, start, kind, data);
            }
            0xf0 => {
                let data = self.data("a system exclusive message")?;
                // In the file a length stands between the status and the data.
                let mut message = Vec::with_capacity(data.len() + 1);
                message.push(0xf0);
                message.extend_from_slice(data);
                self.push(file, Body::Exclusive(&message))?;
            }
            0xf7 => {
                let data = self.data("an escape")?;
                self.escape(file, data)?;
            }
            0xf1..=0xfe => {
                let message = format!("the status {first:#04x} cannot stand in a file");
                return Err(self.error(start, message));
            }
            0x80..=0xef => {
                self.running_status = Some(first);
                self.channel(file, first, None)?;
            }
            data => match self.running_status {
                Some(status) => self.channel(file, status, Some(data))?,
                None => {
                    let message = format!("a data byte {data:#04x} where a status is expected");
                    return Err(self.error(start, message));
                }
            },
        }
        Ok(true)
    }

    fn channel(
        &mut self,
        file: &mut MidiFile,
        status: u8,
        first: Option<u8>,
    ) -> Result<(), FileError> {
        let mut message = [status, 0, 0];
        let length = if matches!(status & 0xf0, 0xc0 | 0xd0) { 2 } else { 3 };
        let mut given = first;
        for data in &mut message[1..length] {
            *data = match given.take() {
                Some(data) => data,
                None => self.byte("a message")?,
            };
            if *data >= 0x80 {
                let text = format!(
                    "a status byte {data:#04x} where a message {status:#04x} needs {} data bytes",
                    length - 1
                );
                return Err(self.error(self.at - 1, text));
            }
        }
        self.push(file, Body::Message(&message[..length]))
    }

    fn meta(
        &mut self,
        file: &mut MidiFile,
        start: usize,
        kind: u8,
        data: &[u8],
    ) -> Result<bool, FileError> {
        if kind >= 0x80 {
            return Err(self.error(start, format!("a meta event of type {kind:#04x}")));
        }
        if kind == META_END {
            return Ok(false);
        }
        if kind == META_TEMPO {
            match data {
                [0, 0, 0, ..] => {
                    let message = "a tempo of 0 µs per quarter note; expected 1 or more";
                    return Err(self.error(start, message));
                }
                [_, _, _, ..] => {}
                _ => {
                    let message = format!("a tempo of {} bytes; expected 3", data.len());
                    return Err(self.error(start, message));
                }
            }
        }
        self.push(file, Body::Meta(kind, data))?;
        Ok(true)
    }

    /// An escape: the next part of a system exclusive message, or any bytes to be sent.
    fn escape(&mut self, file: &mut MidiFile, data: &[u8]) -> Result<(), FileError> {
        let (Some(&first), Some(&last)) = (data.first(), data.last()) else { return Ok(()) };
        if self.is_exclusive && data.iter().all(|byte| *byte >= 0xf8) {
            return self.messages(file, data);
        }
        let is_part = self.is_exclusive || first < 0x80 || first == 0xf7;
        let ends = data.iter().filter(|byte| **byte == 0xf7).count();
        let is_message = first == 0xf0 && (ends == 0 || ends == 1 && last == 0xf7);
        if is_part || is_message {
            return self.push(file, Body::Exclusive(data));
        }
        self.messages(file, data)
    }

    fn messages(&mut self, file: &mut MidiFile, data: &[u8]) -> Result<(), FileError> {
        let mut encoder = MidiEncoder::with_chunk(usize::MAX);
        let mut message = Vec::new();
        for event in data.iter().filter_map(|byte| encoder.encode_byte(*byte)) {
            message.clear();
            // What bytes have made becomes bytes again.
            let _ = MidiDecoder::new().decode(&event, &mut message);
            match message.first() {
                Some(0xf0) => self.push(file, Body::Exclusive(&message))?,
                Some(_) => self.push(file, Body::Message(&message))?,
                None => {}
            }
        }
        Ok(())
    }

    fn push(&mut self, file: &mut MidiFile, body: Body<'_>) -> Result<(), FileError> {
        match body {
            Body::Exclusive(data) => self.is_exclusive = data.last() != Some(&0xf7),
            Body::Message(&[0xf8..=0xff, ..]) | Body::Meta(..) => {}
            Body::Message(_) => self.is_exclusive = false,
        }
        if file.push(FileEvent { tick: self.tick, track: self.number as u16, body }) {
            return Ok(());
        }
        let message = format!("the file has more than {EVENT_LIMIT} events");
        Err(FileError::new(TooLarge, self.at, message).in_track(self.number))
    }
}
