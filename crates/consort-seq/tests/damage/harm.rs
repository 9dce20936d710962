//! Kinds of damage.

use crate::generate::{Item, Random, Song};

/// Damages a song in a way that leaves the length of everything known. Removes what cannot be
/// read any more from the song, and returns the file; `None` if the song has nothing to damage in
/// this way.
pub(crate) type Known = fn(&mut Song, &mut Random) -> Option<Vec<u8>>;

/// Damages a song in a way that hides where events begin.
pub(crate) type Unknown = fn(&Song, &mut Random) -> Vec<u8>;

/// Damage of known length.
pub(crate) const KNOWN: [(&str, Known); 8] = [
    ("data byte above 127", data_byte),
    ("system message in a track", system_message),
    ("tempo of 0", |song, random| tempo(song, random, &[0, 0, 0])),
    ("tempo of 2 bytes", |song, random| tempo(song, random, &[7, 1])),
    ("meta event type above 127", meta_type),
    ("format number", |song, _| Some(patched(song, 9, 9))),
    ("bytes between tracks", between_tracks),
    ("events after the end of a track", after_end),
];

/// Damage of unknown length.
pub(crate) const UNKNOWN: [(&str, Unknown); 6] = [
    ("byte replaced", replace_byte),
    ("byte missing", remove_byte),
    ("bytes inserted", insert_bytes),
    ("file cut", cut),
    ("length of a track", track_length),
    ("length of a text or message", event_length),
];

/// The bytes of a song before an event is replaced by others; then the event is removed from the
/// song, so that its time passes to the next one.
fn replaced(song: &mut Song, track: usize, index: usize, bytes: Vec<u8>) -> Vec<u8> {
    let mut damaged = song.clone();
    let item = &mut damaged.tracks[track][index];
    item.bytes = bytes;
    let file = damaged.write();
    let removed = song.tracks[track].remove(index);
    song.tracks[track][index].delta += removed.delta;
    file
}

/// A random event that fulfils a condition.
fn choose(
    song: &Song,
    random: &mut Random,
    condition: impl Fn(&Item) -> bool,
) -> Option<(usize, usize)> {
    let all: Vec<(usize, usize)> = (0..song.tracks.len())
        .flat_map(|track| (0..song.tracks[track].len()).map(move |index| (track, index)))
        .filter(|(track, index)| condition(&song.tracks[*track][*index]))
        .collect();
    (!all.is_empty()).then(|| all[random.below(all.len())])
}

fn data_byte(song: &mut Song, random: &mut Random) -> Option<Vec<u8>> {
    // Without its status byte, an event would begin with the damaged byte if that were its first.
    let (track, index) = choose(song, random, Item::is_channel)?;
    let item = &song.tracks[track][index];
    let first = if item.is_running { 2 } else { 1 };
    if first >= item.bytes.len() {
        return None;
    }
    let mut bytes = item.bytes.clone();
    let position = first + random.below(bytes.len() - first);
    bytes[position] |= 0x80;
    Some(replaced(song, track, index, bytes))
}

fn system_message(song: &mut Song, random: &mut Random) -> Option<Vec<u8>> {
    let messages: [&[u8]; 6] = [&[0xf8], &[0xfe], &[0xf6], &[0xf3, 5], &[0xf2, 1, 2], &[0xf1, 3]];
    let mut damaged = song.clone();
    let track = random.below(song.tracks.len());
    let index = random.below(song.tracks[track].len());
    let bytes = messages[random.below(messages.len())].to_vec();
    damaged.tracks[track].insert(index, Item { delta: 0, bytes, is_running: false });
    Some(damaged.write())
}

fn tempo(song: &mut Song, random: &mut Random, data: &[u8]) -> Option<Vec<u8>> {
    let (track, index) = choose(song, random, |item| item.bytes.starts_with(&[0xff, 0x51]))?;
    let bytes = [&[0xff, 0x51, data.len() as u8], data].concat();
    Some(replaced(song, track, index, bytes))
}

fn meta_type(song: &mut Song, random: &mut Random) -> Option<Vec<u8>> {
    let (track, index) = choose(song, random, |item| item.bytes.starts_with(&[0xff, 5]))?;
    let mut bytes = song.tracks[track][index].bytes.clone();
    bytes[1] |= 0x80;
    Some(replaced(song, track, index, bytes))
}

/// The file with one byte changed.
fn patched(song: &Song, position: usize, byte: u8) -> Vec<u8> {
    let mut bytes = song.write();
    bytes[position] = byte;
    bytes
}

fn between_tracks(song: &mut Song, random: &mut Random) -> Option<Vec<u8>> {
    let bytes = song.write();
    let second = bytes.windows(4).rposition(|window| window == b"MTrk").filter(|at| *at > 14)?;
    let (before, after) = bytes.split_at(second);
    let stray: Vec<u8> = (0..1 + random.below(9)).map(|_| random.byte(32)).collect();
    Some([before, &stray, after].concat())
}

fn after_end(song: &mut Song, random: &mut Random) -> Option<Vec<u8>> {
    let mut damaged = song.clone();
    let track = random.below(song.tracks.len());
    for bytes in [vec![0x90, 60, 100], vec![0x80, 60, 0]] {
        damaged.tracks[track].push(Item { delta: 0, bytes, is_running: false });
    }
    Some(damaged.write())
}

/// The first byte after the header of the first track.
const TRACKS: usize = 14 + 8;

fn replace_byte(song: &Song, random: &mut Random) -> Vec<u8> {
    let mut bytes = song.write();
    for _ in 0..1 + random.below(3) {
        let position = TRACKS + random.below(bytes.len() - TRACKS);
        bytes[position] = random.byte(256);
    }
    bytes
}

fn remove_byte(song: &Song, random: &mut Random) -> Vec<u8> {
    let mut bytes = song.write();
    bytes.remove(TRACKS + random.below(bytes.len() - TRACKS));
    bytes
}

fn insert_bytes(song: &Song, random: &mut Random) -> Vec<u8> {
    let bytes = song.write();
    let (before, after) = bytes.split_at(TRACKS + random.below(bytes.len() - TRACKS));
    let inserted: Vec<u8> = (0..1 + random.below(8)).map(|_| random.byte(256)).collect();
    [before, &inserted, after].concat()
}

fn cut(song: &Song, random: &mut Random) -> Vec<u8> {
    let mut bytes = song.write();
    bytes.truncate(TRACKS + random.below(bytes.len() - TRACKS));
    bytes
}

fn track_length(song: &Song, random: &mut Random) -> Vec<u8> {
    let mut bytes = song.write();
    let change = 1 + random.below(40);
    let length = u32::from_be_bytes([bytes[18], bytes[19], bytes[20], bytes[21]]);
    let length = match random.chance(50) {
        true => length + change as u32,
        false => length.saturating_sub(change as u32),
    };
    bytes[18..22].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn event_length(song: &Song, random: &mut Random) -> Vec<u8> {
    let has_length = |item: &Item| matches!(item.bytes[..], [0xff, 3 | 5, ..] | [0xf0, ..]);
    let Some((track, index)) = choose(song, random, has_length) else {
        return remove_byte(song, random);
    };
    let mut damaged = song.clone();
    let bytes = &mut damaged.tracks[track][index].bytes;
    let position = if bytes[0] == 0xff { 2 } else { 1 };
    bytes[position] = random.byte(128);
    damaged.write()
}
