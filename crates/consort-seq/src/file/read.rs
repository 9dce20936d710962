//! Reading: chunks, tracks, events, and the positions of errors.
//!
//! This reader does not use `midly`, because `midly` ends a damaged track silently, whereas the
//! position of an error and the events before it are needed here. The writer uses `midly`, and the
//! tests compare this reader with it.

use super::{
    Body, Division, FileError, FileErrorKind, FileEvent, MAX_EVENTS, MAX_FILE_BYTES, META_END,
    META_TEMPO, MidiFile,
};
use crate::midi::{MidiDecoder, MidiEncoder};

/// The maximum number of errors that are stored, since a file may have 65,535 damaged tracks.
const MAX_ERRORS: usize = 16;

use FileErrorKind::{Corrupt, NotMidi, TooLarge, Truncated, Unsupported};

pub(super) fn read(bytes: &[u8]) -> Result<(MidiFile, Vec<FileError>), FileError> {
    if bytes.len() > MAX_FILE_BYTES {
        let message =
            format!("the file has {} bytes; expected at most {MAX_FILE_BYTES}", bytes.len());
        return Err(FileError::new(TooLarge, MAX_FILE_BYTES, message));
    }
    let start = skip_riff(bytes)?;
    let (header, mut offset) = chunk(bytes, start)
        .filter(|(chunk, _)| chunk.name == *b"MThd")
        .ok_or_else(|| not_midi(bytes, start))?;
    let data = &bytes[header.start..header.end];
    let &[format_high, format_low, count_high, count_low, division_high, division_low, ..] = data
    else {
        let message = format!("the header has {} bytes; expected 6", data.len());
        let kind = if header.is_cut { Truncated } else { Corrupt };
        return Err(FileError::new(kind, header.start, message));
    };
    let declared = usize::from(u16::from_be_bytes([count_high, count_low]));
    let format = match u16::from_be_bytes([format_high, format_low]) {
        format @ (0 | 1) => format,
        2 => {
            let message = "the file has format 2 (independent patterns without a common time); \
                           convert it to format 0 or 1";
            return Err(FileError::new(Unsupported, header.start, message));
        }
        other => {
            let message = format!("the file has format {other}; expected 0 or 1");
            return Err(FileError::new(Unsupported, header.start, message));
        }
    };
    let division = division([division_high, division_low], header.start + 4)?;
    let mut reader = Reader { bytes, file: MidiFile::new(format, division), errors: Vec::new() };
    loop {
        let is_enough = reader.file.track_count() >= declared;
        let next = chunk(bytes, offset);
        // Tracks beyond the number that the header declares are read as well.
        let is_more = next.as_ref().is_some_and(|(found, _)| found.name == *b"MTrk");
        if is_enough && !(is_more && reader.file.track_count() < usize::from(u16::MAX)) {
            break;
        }
        let Some((found, next)) = next else {
            let message = format!(
                "the file ends after {} of the {declared} tracks that its header declares",
                reader.file.track_count()
            );
            reader.fail(FileError::new(Truncated, offset, message));
            break;
        };
        if found.name == *b"MTrk" {
            reader.track(&found);
        } else if found.is_cut {
            let message = format!(
                "the file ends inside a chunk {:?} of {} bytes",
                String::from_utf8_lossy(&found.name),
                found.declared
            );
            reader.fail(FileError::new(Truncated, found.start, message));
            break;
        }
        offset = next;
    }
    if reader.file.track_count() > 1 {
        // A file of format 0 with several tracks is treated as one of format 1.
        reader.file.format = 1;
    }
    reader.file.arrange();
    Ok((reader.file, reader.errors))
}

fn not_midi(bytes: &[u8], offset: usize) -> FileError {
    let message = match bytes.get(offset..) {
        None | Some([]) => "the file is empty; expected MThd".to_owned(),
        Some(found) if b"MThd".starts_with(found) => "the file ends inside MThd".to_owned(),
        Some(found) => {
            let found = &found[..found.len().min(4)];
            format!(
                "not a Standard MIDI File: it begins with {:?}; expected MThd",
                String::from_utf8_lossy(found)
            )
        }
    };
    FileError::new(NotMidi, offset, message)
}

/// A chunk and the position of its data in the file.
struct Chunk {
    name: [u8; 4],
    start: usize,
    end: usize,
    /// The length in bytes that the chunk declares.
    declared: u32,
    /// Whether the file ends before the chunk.
    is_cut: bool,
}

/// The chunk at `offset`, and the offset of the next one; `None` if the file ends before the end
/// of its header.
fn chunk(bytes: &[u8], offset: usize) -> Option<(Chunk, usize)> {
    let header = bytes.get(offset..)?.first_chunk::<8>()?;
    let name = [header[0], header[1], header[2], header[3]];
    let declared = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let start = offset + 8;
    let end = start.saturating_add(declared as usize).min(bytes.len());
    let is_cut = end - start < declared as usize;
    Some((Chunk { name, start, end, declared, is_cut }, end))
}

/// The offset of the MIDI file: after the RIFF wrapper, if there is one (`RIFF`, size, `RMID`, and
/// a chunk `data`; little-endian, padded to even lengths).
fn skip_riff(bytes: &[u8]) -> Result<usize, FileError> {
    if !bytes.starts_with(b"RIFF") {
        return Ok(0);
    }
    if bytes.get(8..12).is_some_and(|kind| kind != b"RMID") {
        let message = "the file is a RIFF file of another type; expected RMID";
        return Err(FileError::new(NotMidi, 8, message));
    }
    let mut offset = 12;
    while let Some(header) = bytes.get(offset..).and_then(|rest| rest.first_chunk::<8>()) {
        if header.starts_with(b"data") {
            return Ok(offset + 8);
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        offset = offset.saturating_add(8).saturating_add(length.next_multiple_of(2));
    }
    let message = "the RIFF file ends without a chunk `data`";
    Err(FileError::new(Truncated, bytes.len(), message))
}

fn division(bytes: [u8; 2], offset: usize) -> Result<Division, FileError> {
    let fail = |message: String| Err(FileError::new(Corrupt, offset, message));
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

/// The file that is being read, and the errors found so far.
struct Reader<'a> {
    bytes: &'a [u8],
    file: MidiFile,
    errors: Vec<FileError>,
}

/// A track that is being read.
struct Track<'a> {
    bytes: &'a [u8],
    /// Position in the file.
    offset: usize,
    chunk: &'a Chunk,
    number: usize,
    tick: u64,
    running_status: Option<u8>,
    /// Whether a system exclusive message has begun and not ended.
    is_exclusive: bool,
}

impl Reader<'_> {
    fn fail(&mut self, error: FileError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        }
    }

    fn track(&mut self, chunk: &Chunk) {
        let mut track = Track {
            bytes: self.bytes,
            offset: chunk.start,
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

    /// The error for an item that extends past the end of the track or of the file.
    fn short(&self, item: &str) -> FileError {
        if !self.chunk.is_cut {
            return self.error(self.offset, format!("{item} extends past the end of the track"));
        }
        let message = format!(
            "the file ends inside {item}; found {} of the track's {} bytes",
            self.chunk.end - self.chunk.start,
            self.chunk.declared
        );
        FileError::new(Truncated, self.bytes.len(), message).in_track(self.number)
    }

    fn byte(&mut self, item: &str) -> Result<u8, FileError> {
        if self.offset >= self.chunk.end {
            return Err(self.short(item));
        }
        self.offset += 1;
        Ok(self.bytes[self.offset - 1])
    }

    /// A number of variable length: 1 to 4 bytes of 7 bits.
    fn number(&mut self, item: &str) -> Result<u32, FileError> {
        let start = self.offset;
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.byte(item)?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.error(start, format!("{item} has more than 4 bytes")))
    }

    /// A length, followed by as many bytes.
    fn data(&mut self, item: &str) -> Result<&'a [u8], FileError> {
        let length = self.number(item)? as usize;
        let Some(end) = self.offset.checked_add(length).filter(|end| *end <= self.chunk.end) else {
            return Err(self.short(item));
        };
        let data = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(data)
    }

    /// Reads an event into `file`; returns whether the track continues.
    fn event(&mut self, file: &mut MidiFile) -> Result<bool, FileError> {
        if self.offset == self.chunk.end {
            return if self.chunk.is_cut { Err(self.short("the track")) } else { Ok(false) };
        }
        let delta = u64::from(self.number("a time")?);
        let start = self.offset;
        let first = self.byte("an event")?;
        // The track ends at its last valid event: the delta before a damaged one does not count.
        let previous = self.tick;
        self.tick += delta;
        let result = self.rest(file, start, first);
        if result.is_err() {
            self.tick = previous;
        }
        result
    }

    /// Reads the rest of an event after its first byte.
    fn rest(&mut self, file: &mut MidiFile, start: usize, first: u8) -> Result<bool, FileError> {
        match first {
            0xff => {
                let kind = self.byte("a meta event")?;
                let data = self.data("a meta event")?;
                return self.meta(file, start, kind, data);
            }
            0xf0 => {
                let data = self.data("a system exclusive message")?;
                // In the file there is a length between the status and the data.
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
                let message = format!("the status {first:#04x} is not allowed in a file");
                return Err(self.error(start, message));
            }
            0x80..=0xef => {
                self.running_status = Some(first);
                self.channel(file, first, None)?;
            }
            data => match self.running_status {
                Some(status) => self.channel(file, status, Some(data))?,
                None => {
                    let message = format!("found data byte {data:#04x}; expected a status byte");
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
        let mut first = first;
        for data in &mut message[1..length] {
            *data = match first.take() {
                Some(data) => data,
                None => self.byte("a message")?,
            };
            if *data >= 0x80 {
                let plural = if length == 2 { "" } else { "s" };
                let text = format!(
                    "found status byte {data:#04x}; expected {} data byte{plural} after \
                     {status:#04x}",
                    length - 1
                );
                return Err(self.error(self.offset - 1, text));
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
            let message = format!("invalid meta event type {kind:#04x}; expected 0x00 to 0x7f");
            return Err(self.error(start, message));
        }
        if kind == META_END {
            return Ok(false);
        }
        if kind == META_TEMPO {
            match data {
                [0, 0, 0, ..] => {
                    let message = "invalid tempo of 0 µs per quarter note; expected 1 or more";
                    return Err(self.error(start, message));
                }
                [_, _, _, ..] => {}
                _ => {
                    let message = format!("invalid tempo of {} bytes; expected 3", data.len());
                    return Err(self.error(start, message));
                }
            }
        }
        self.push(file, Body::Meta(kind, data))?;
        Ok(true)
    }

    /// Stores an escape: the next part of a system exclusive message, or any bytes to send.
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

    /// Stores the messages that `data` consists of.
    fn messages(&mut self, file: &mut MidiFile, data: &[u8]) -> Result<(), FileError> {
        let mut encoder = MidiEncoder::with_chunk(usize::MAX);
        let mut message = Vec::new();
        for event in data.iter().filter_map(|byte| encoder.encode_byte(*byte)) {
            message.clear();
            // An event that was encoded from bytes can be decoded to bytes.
            let _infallible = MidiDecoder::new().decode(&event, &mut message);
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
        let message = format!("the file has more than {MAX_EVENTS} events");
        Err(FileError::new(TooLarge, self.offset, message).in_track(self.number))
    }
}
