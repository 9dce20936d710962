//! Reading a track: its events, and what a player does about damage.
//!
//! | damage | what follows |
//! |---|---|
//! | a system real-time or common message; a meta event of a wrong type, length or value; a data byte above 0x7f | it has a known length: it is skipped, and its time counts |
//! | a data byte without a status; a time or length of more than 4 bytes; data past the end of the track | it has none: reading goes on at the next plausible position |
//! | the length of the track is wrong | the track ends at its end event, or where the next one begins |
//!
//! A damaged track may lack the ends of notes; they are added at its end.

use super::damage::{Damage, data_length, resume};
use super::read::{Chunk, chunk, is_track, next_track, other_chunk};
use super::{
    Body, FileError, FileErrorKind, FileEvent, MAX_EVENTS, META_END, META_TEMPO, MidiFile,
};
use crate::held::HeldNotes;
use crate::midi::{MidiDecoder, MidiEncoder};

use FileErrorKind::{Corrupt, TooLarge, Truncated};

/// A track that is being read.
pub(super) struct Track<'a> {
    bytes: &'a [u8],
    /// Position in the file.
    offset: usize,
    /// Where reading ends at the latest.
    end: usize,
    chunk: &'a Chunk,
    /// Whether what follows the chunk suggests that its length is wrong.
    is_suspect: bool,
    number: usize,
    tick: u64,
    running_status: Option<u8>,
    /// Whether a system exclusive message has begun and not ended.
    is_exclusive: bool,
}

/// What follows an event.
enum Next {
    /// Another event.
    Event,
    /// The end event was read, or the track has no more bytes.
    End,
}

/// What is wrong with an event, and where reading goes on.
enum Fault {
    /// The event is skipped: it ends where the track's offset is.
    Skip(FileError),
    /// The length of the event is not known: reading goes on at the first plausible position from
    /// this one on.
    Search(FileError, usize),
    /// Nothing more can be read.
    Stop(FileError),
}

impl<'a> Track<'a> {
    /// Reads the track whose chunk begins at `offset` into `file`. Returns the offset after it.
    pub(super) fn read(
        bytes: &'a [u8],
        offset: usize,
        file: &mut MidiFile,
        damage: &mut Damage,
    ) -> usize {
        let Some(found) = chunk(bytes, offset) else { return bytes.len() };
        let is_followed = found.end == bytes.len()
            || is_track(bytes, found.end)
            || other_chunk(bytes, found.end).is_some();
        let end = match is_followed {
            true => found.end,
            // The end of the track should come first.
            false => next_track(bytes, found.end).unwrap_or(bytes.len()),
        };
        let mut track = Track {
            bytes,
            offset: found.start,
            end,
            chunk: &found,
            is_suspect: !is_followed || found.is_cut,
            number: file.track_count(),
            tick: file.pattern_start(),
            running_status: None,
            is_exclusive: false,
        };
        let (first_event, errors) = (file.events.len(), damage.count());
        let next = track.events(file, damage);
        if damage.count() > errors {
            track.release(file, first_event);
        }
        file.starts.push(file.pattern_start());
        file.ends.push(track.tick);
        next
    }

    /// Reads all events. Returns the offset after the track.
    fn events(&mut self, file: &mut MidiFile, damage: &mut Damage) -> usize {
        loop {
            if self.is_suspect && is_track(self.bytes, self.offset) {
                damage.add(self.wrong_length());
                return self.offset;
            }
            match self.event(file) {
                Ok(Next::Event) => {}
                Ok(Next::End) => return self.finish(damage),
                Err(Fault::Skip(error)) => damage.add(error),
                Err(Fault::Search(error, from)) => {
                    damage.add(error);
                    self.running_status = None;
                    let track = &self.bytes[..self.end];
                    match resume(track, from) {
                        Some(offset) => self.offset = offset,
                        None => return self.after_stop(),
                    }
                }
                Err(Fault::Stop(error)) => {
                    damage.add(error);
                    return self.after_stop();
                }
            }
        }
    }

    /// Where the file goes on after a track whose rest cannot be read.
    fn after_stop(&self) -> usize {
        if self.is_suspect { self.end } else { self.chunk.end }
    }

    /// Checks what follows the end of the track. Returns the offset after the track.
    fn finish(&mut self, damage: &mut Damage) -> usize {
        let (end, chunk_end) = (self.offset, self.chunk.end);
        let is_right = end == chunk_end && !self.chunk.is_cut;
        if is_right {
            return end;
        }
        if end > chunk_end || is_track(self.bytes, end) || self.chunk.is_cut {
            damage.add(self.wrong_length());
            return end;
        }
        let mut rest = Track { tick: 0, end: chunk_end, is_suspect: false, ..*self };
        let mut ignored = MidiFile::new(0, super::Division::Metrical(1));
        while let Ok(Next::Event) | Err(Fault::Skip(_)) = rest.event(&mut ignored) {}
        let count = ignored.message_count();
        let plural = if count == 1 { "" } else { "s" };
        damage.add(self.error(
            end,
            format!(
                "{} bytes follow the end of the track ({count} event{plural}); they are not played",
                chunk_end - end
            ),
        ));
        chunk_end
    }

    /// The error for a track whose length is not the one that its chunk declares.
    fn wrong_length(&self) -> FileError {
        let message = format!(
            "the track declares {} bytes; found {}",
            self.chunk.declared,
            self.offset - self.chunk.start
        );
        self.error(self.chunk.start - 4, message)
    }

    /// Ends the notes that are still held, at the end of a damaged track.
    fn release(&mut self, file: &mut MidiFile, first_event: usize) {
        let mut held = HeldNotes::new();
        for index in first_event..file.events.len() {
            if let Some(event) = file.get(index).and_then(|event| event.to_event()) {
                held.track(&event);
            }
        }
        let mut bytes = Vec::new();
        for event in held.releases() {
            bytes.clear();
            if MidiDecoder::new().decode(&event, &mut bytes).is_ok() && bytes[0] < 0xa0 {
                // If there is no space for the end of a note, there is none for the error either.
                let _ = self.push(file, Body::Message(&bytes));
            }
        }
    }

    fn error(&self, position: usize, message: impl Into<String>) -> FileError {
        FileError::new(Corrupt, position, message).in_track(self.number)
    }

    /// The fault of an item that extends past the end of the track or of the file. If it has a
    /// length, that may be wrong: then reading can go on after it, at `data`.
    fn short(&self, item: &str, data: Option<usize>) -> Fault {
        let error = if self.end < self.bytes.len() || !self.chunk.is_cut {
            self.error(self.offset, format!("{item} extends past the end of the track"))
        } else {
            let message = format!(
                "the file ends inside {item}; found {} of the track's {} bytes",
                self.chunk.end - self.chunk.start,
                self.chunk.declared
            );
            FileError::new(Truncated, self.bytes.len(), message).in_track(self.number)
        };
        match data {
            Some(data) => Fault::Search(error, data),
            None => Fault::Stop(error),
        }
    }

    fn byte(&mut self, item: &str) -> Result<u8, Fault> {
        if self.offset >= self.end {
            return Err(self.short(item, None));
        }
        self.offset += 1;
        Ok(self.bytes[self.offset - 1])
    }

    /// A number of variable length: 1 to 4 bytes of 7 bits.
    fn number(&mut self, item: &str) -> Result<u32, Fault> {
        let start = self.offset;
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.byte(item)?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::Search(self.error(start, format!("{item} has more than 4 bytes")), start + 1))
    }

    /// A length, followed by as many bytes.
    fn data(&mut self, item: &str) -> Result<&'a [u8], Fault> {
        let length = self.number(item)? as usize;
        let Some(end) = self.offset.checked_add(length).filter(|end| *end <= self.end) else {
            return Err(self.short(item, Some(self.offset)));
        };
        let data = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(data)
    }

    /// Reads an event into `file`.
    fn event(&mut self, file: &mut MidiFile) -> Result<Next, Fault> {
        if self.offset >= self.end {
            let is_missing = self.chunk.is_cut && self.end == self.bytes.len();
            return if is_missing { Err(self.short("the track", None)) } else { Ok(Next::End) };
        }
        let delta = u64::from(self.number("a time")?);
        let start = self.offset;
        let first = self.byte("an event")?;
        // The time before a damaged event counts if the event is known, and is a guess otherwise.
        let previous = self.tick;
        self.tick += delta;
        let result = self.rest(file, start, first);
        if let Err(Fault::Search(..) | Fault::Stop(_)) = result {
            self.tick = previous;
        }
        result
    }

    /// Reads the rest of an event after its first byte.
    fn rest(&mut self, file: &mut MidiFile, start: usize, first: u8) -> Result<Next, Fault> {
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
                let length = match first {
                    0xf1 | 0xf3 => 1,
                    0xf2 => 2,
                    _ => 0,
                };
                let data = self.bytes[self.offset..self.end].iter().take(length);
                self.offset += data.take_while(|byte| **byte < 0x80).count();
                let message = format!("the status {first:#04x} is not allowed in a file");
                return Err(Fault::Skip(self.error(start, message)));
            }
            0x80..=0xef => {
                self.running_status = Some(first);
                self.channel(file, first)?;
            }
            data => match self.running_status {
                Some(status) => {
                    self.offset = start;
                    self.channel(file, status)?;
                }
                None => {
                    let message = format!("found data byte {data:#04x}; expected a status byte");
                    return Err(Fault::Search(self.error(start, message), start));
                }
            },
        }
        Ok(Next::Event)
    }

    /// Reads the data bytes of a channel message.
    fn channel(&mut self, file: &mut MidiFile, status: u8) -> Result<(), Fault> {
        let length = data_length(status);
        let start = self.offset;
        let mut message = [status, 0, 0];
        for data in &mut message[1..=length] {
            *data = self.byte("a message")?;
        }
        let Some(index) = message[1..=length].iter().position(|data| *data >= 0x80) else {
            return self.push(file, Body::Message(&message[..=length]));
        };
        let plural = if length == 1 { "" } else { "s" };
        let text = format!(
            "found status byte {:#04x}; expected {length} data byte{plural} after {status:#04x}",
            message[1 + index]
        );
        Err(Fault::Skip(self.error(start + index, text)))
    }

    fn meta(
        &mut self,
        file: &mut MidiFile,
        start: usize,
        kind: u8,
        data: &[u8],
    ) -> Result<Next, Fault> {
        let skip = |message: String| Err(Fault::Skip(self.error(start, message)));
        if kind >= 0x80 {
            return skip(format!("invalid meta event type {kind:#04x}; expected 0x00 to 0x7f"));
        }
        if kind == META_END {
            return Ok(Next::End);
        }
        if kind == META_TEMPO {
            match data {
                [0, 0, 0, ..] => {
                    return skip(
                        "invalid tempo of 0 µs per quarter note; expected 1 or more".into(),
                    );
                }
                [_, _, _, ..] => {}
                _ => return skip(format!("invalid tempo of {} bytes; expected 3", data.len())),
            }
        }
        self.push(file, Body::Meta(kind, data))?;
        Ok(Next::Event)
    }

    /// Stores an escape: the next part of a system exclusive message, or any bytes to send.
    fn escape(&mut self, file: &mut MidiFile, data: &[u8]) -> Result<(), Fault> {
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
    fn messages(&mut self, file: &mut MidiFile, data: &[u8]) -> Result<(), Fault> {
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

    fn push(&mut self, file: &mut MidiFile, body: Body<'_>) -> Result<(), Fault> {
        match body {
            Body::Exclusive(data) => self.is_exclusive = data.last() != Some(&0xf7),
            Body::Message(&[0xf8..=0xff, ..]) | Body::Meta(..) => {}
            Body::Message(_) => self.is_exclusive = false,
        }
        if file.push(FileEvent { tick: self.tick, track: self.number as u16, body }) {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_EVENTS} events");
        Err(Fault::Stop(FileError::new(TooLarge, self.offset, message).in_track(self.number)))
    }
}
