//! Reading: the header, the chunks, and what is wrong with them. `track` reads the tracks.
//!
//! This reader does not use `midly`, because `midly` ends a damaged track silently, whereas the
//! position of an error and the events around it are needed here. The writer uses `midly`, and the
//! tests compare this reader with it.

use super::damage::Damage;
use super::track::Track;
use super::{Division, FileError, FileErrorKind, MAX_FILE_BYTES, MidiFile};

use FileErrorKind::{Corrupt, NotMidi, TooLarge, Truncated, Unsupported};

/// The name of a track's chunk.
const TRACK_NAME: &[u8; 4] = b"MTrk";
/// Bytes of the header's data.
const HEADER_BYTES: usize = 6;

pub(super) fn read(bytes: &[u8]) -> Result<(MidiFile, Damage), FileError> {
    if bytes.len() > MAX_FILE_BYTES {
        let message =
            format!("the file has {} bytes; expected at most {MAX_FILE_BYTES}", bytes.len());
        return Err(FileError::new(TooLarge, MAX_FILE_BYTES, message));
    }
    let start = skip_riff(bytes)?;
    let mut damage = Damage::default();
    let (header, mut offset) = header(bytes, start, &mut damage)?;
    let mut file = MidiFile::new(header.format, header.division);
    // Tracks beyond the number that the header declares are read as well.
    while file.track_count() < usize::from(u16::MAX) {
        if is_track(bytes, offset) {
            offset = Track::read(bytes, offset, &mut file, &mut damage);
        } else if file.track_count() >= header.tracks || offset >= bytes.len() {
            break;
        } else if let Some(next) = other_chunk(bytes, offset) {
            offset = next;
        } else if let Some(next) = next_track(bytes, offset) {
            let message = format!("{} bytes between tracks are skipped", next - offset);
            damage.add(FileError::new(Corrupt, offset, message));
            offset = next;
        } else {
            break;
        }
    }
    let found = file.track_count();
    if found < header.tracks {
        let position = offset.min(bytes.len());
        let message = format!(
            "the file ends after {found} of the {} tracks that its header declares",
            header.tracks
        );
        damage.add(FileError::new(Truncated, position, message));
    } else if found > header.tracks {
        let message = format!("the header declares {} tracks; found {found}", header.tracks);
        damage.add(FileError::new(Corrupt, header.start + 2, message));
    }
    if found > 1 && file.format == 0 {
        // A file of format 0 with several tracks is treated as one of format 1.
        file.format = 1;
    }
    file.arrange();
    Ok((file, damage))
}

/// The header of a file.
struct Header {
    /// The offset of its data.
    start: usize,
    format: u16,
    /// The number of tracks that it declares.
    tracks: usize,
    division: Division,
}

/// Reads the header, and finds where the first chunk after it begins.
fn header(bytes: &[u8], start: usize, damage: &mut Damage) -> Result<(Header, usize), FileError> {
    let found = chunk(bytes, start)
        .filter(|found| found.name == *b"MThd")
        .ok_or_else(|| not_midi(bytes, start))?;
    let data = &bytes[found.start..found.end];
    let &[format_high, format_low, count_high, count_low, division_high, division_low, ..] = data
    else {
        let message = format!("the header has {} bytes; expected {HEADER_BYTES}", data.len());
        let kind = if found.is_cut { Truncated } else { Corrupt };
        return Err(FileError::new(kind, found.start, message));
    };
    let mut next = found.end;
    let regular = found.start + HEADER_BYTES;
    if next != regular && !is_track(bytes, next) && is_track(bytes, regular) {
        let message =
            format!("the header declares {} bytes; expected {HEADER_BYTES}", found.declared);
        damage.add(FileError::new(Corrupt, start + 4, message));
        next = regular;
    }
    let tracks = usize::from(u16::from_be_bytes([count_high, count_low]));
    let format = match u16::from_be_bytes([format_high, format_low]) {
        format @ 0..=2 => format,
        other => {
            let message = format!("the file has format {other}; expected 0, 1 or 2");
            damage.add(FileError::new(Unsupported, found.start, message));
            u16::from(tracks > 1)
        }
    };
    let division = division([division_high, division_low], found.start + 4)?;
    Ok((Header { start: found.start, format, tracks, division }, next))
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
pub(super) struct Chunk {
    name: [u8; 4],
    pub(super) start: usize,
    /// The end of its data, or of the file if that is earlier.
    pub(super) end: usize,
    /// The length in bytes that the chunk declares.
    pub(super) declared: u32,
    /// Whether the file ends before the chunk.
    pub(super) is_cut: bool,
}

/// The chunk at `offset`; `None` if the file ends before the end of the chunk's header.
pub(super) fn chunk(bytes: &[u8], offset: usize) -> Option<Chunk> {
    let header = bytes.get(offset..)?.first_chunk::<8>()?;
    let name = [header[0], header[1], header[2], header[3]];
    let declared = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let start = offset + 8;
    let end = start.saturating_add(declared as usize).min(bytes.len());
    let is_cut = end - start < declared as usize;
    Some(Chunk { name, start, end, declared, is_cut })
}

/// Whether a track begins at `offset`.
pub(super) fn is_track(bytes: &[u8], offset: usize) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.len() >= 8 && rest.starts_with(TRACK_NAME))
}

/// The offset of the first track at or after `offset`.
pub(super) fn next_track(bytes: &[u8], offset: usize) -> Option<usize> {
    let rest = bytes.get(offset..)?;
    let mut windows = rest.windows(8);
    windows.position(|window| window.starts_with(TRACK_NAME)).map(|found| offset + found)
}

/// The offset after a chunk of another type at `offset`; `None` if there is none: a name has
/// printable characters, and the file ends or another chunk begins after the chunk.
pub(super) fn other_chunk(bytes: &[u8], offset: usize) -> Option<usize> {
    let has_name = |chunk: &Chunk| chunk.name.iter().all(|byte| (b' '..=b'~').contains(byte));
    let found = chunk(bytes, offset).filter(|found| has_name(found) && !found.is_cut)?;
    let is_followed =
        found.end == bytes.len() || chunk(bytes, found.end).is_some_and(|next| has_name(&next));
    is_followed.then_some(found.end)
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
