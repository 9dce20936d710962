//! The piano roll of `consort midi info --roll`.

use std::collections::BTreeMap;
use std::io::Write;

use consort_seq::file::{Body, Division, MidiFile};

use super::words::note_name;

/// Columns of a line; a longer file continues below.
const COLUMNS: u64 = 64;
/// Columns of a quarter note.
const QUARTER_COLUMNS: u64 = 4;
/// The maximum number of lines, so that a long file ends.
const MAX_BLOCKS: u64 = 500;

/// A note: its first column and the column after it.
type Span = (u64, u64);

/// Prints the notes of all channels: `#` where a note begins, `-` while it sounds.
pub(super) fn print(file: &MidiFile, out: &mut dyn Write) -> std::io::Result<()> {
    let Division::Metrical(ticks) = file.division() else {
        return writeln!(out, "  a file with SMPTE time has no bars, and so no piano roll");
    };
    let column = |tick: u64| tick * QUARTER_COLUMNS / u64::from(ticks);
    let notes = spans(file, column);
    let end = column(file.end_tick()) + 1;
    let bars: Vec<u64> = (1u32..)
        .map_while(|bar| file.bar_tick(bar).map(column).filter(|column| *column < end))
        .collect();
    for block in 0..end.div_ceil(COLUMNS).min(MAX_BLOCKS) {
        let (first, last) = (block * COLUMNS, (block + 1) * COLUMNS);
        let is_shown = |span: &&Span| span.0 < last && span.1 > first;
        let shown = |spans: &[Span]| spans.iter().any(|span| is_shown(&span));
        let keys: Vec<u8> =
            notes.iter().filter(|(_, spans)| shown(spans)).map(|(key, _)| *key).collect();
        let (Some(lowest), Some(highest)) = (keys.iter().min(), keys.iter().max()) else {
            continue;
        };
        let bar = bars.partition_point(|bar| *bar < first) + 1;
        writeln!(out, "  bar {bar}")?;
        for key in (*lowest..=*highest).rev() {
            let mut line: Vec<char> = (first..last.min(end))
                .map(|column| if bars.binary_search(&column).is_ok() { '|' } else { ' ' })
                .collect();
            for (begin, end) in notes.get(&key).into_iter().flatten().filter(is_shown) {
                for column in (*begin).max(first)..(*end).min(last) {
                    let mark = if column == *begin { '#' } else { '-' };
                    if let Some(place) = line.get_mut((column - first) as usize) {
                        *place = if *place == '#' { '#' } else { mark };
                    }
                }
            }
            let line: String = line.into_iter().collect();
            writeln!(out, "{}", format!("  {:>4} {line}", note_name(key)).trim_end())?;
        }
    }
    Ok(())
}

/// The notes of each key; one that nothing ends lasts until the end of the file.
fn spans(file: &MidiFile, column: impl Fn(u64) -> u64) -> BTreeMap<u8, Vec<Span>> {
    let mut notes: BTreeMap<u8, Vec<Span>> = BTreeMap::new();
    let mut held: BTreeMap<(u8, u8), u64> = BTreeMap::new();
    let mut end = |held: Option<u64>, key: u8, tick: u64| {
        if let Some(begin) = held {
            let begin = column(begin);
            notes.entry(key).or_default().push((begin, column(tick).max(begin + 1)));
        }
    };
    for event in file.events() {
        let Body::Message(&[status @ 0x80..=0x9f, key, velocity]) = event.body else { continue };
        let note = (status & 15, key);
        end(held.remove(&note), key, event.tick);
        if status >= 0x90 && velocity > 0 {
            held.insert(note, event.tick);
        }
    }
    for ((_, key), begin) in held {
        end(Some(begin), key, file.end_tick());
    }
    notes
}
