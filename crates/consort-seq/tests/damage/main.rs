//! Damaged Standard MIDI Files: 500 valid ones are damaged, so that the truth is known.
//!
//! Damage of known length must lose nothing else and invent nothing. For damage of unknown length
//! the same files are given to timidity, and our reader must find at least as many of the notes
//! and invent at most as many. A note is counted by its channel, key and velocity; timidity's
//! notes are those of the MIDI file that it writes with `-Om`.
#![cfg(feature = "midi-file")]
#![allow(clippy::print_stderr)]

mod generate;
mod harm;
mod timidity;

use std::collections::BTreeMap;

use consort_seq::file::{Body, Damage, MidiFile};
use consort_seq::{HeldNotes, Payload};

use generate::{NoteOn, Random, Song};

/// The number of files.
const FILES: usize = 500;

/// Reads a file; its header is never damaged so much that it cannot be read.
fn read(bytes: &[u8]) -> (MidiFile, Damage) {
    MidiFile::read_partial(bytes).expect("the header is valid")
}

/// The notes of a file that was read.
fn notes(file: &MidiFile) -> Vec<NoteOn> {
    let mut starts = BTreeMap::new();
    if file.format() == 2 {
        // The patterns follow one another; the truth counts from the start of each.
        let mut start = 0;
        for track in 0..file.track_count() {
            starts.insert(track as u16, start);
            start += file.single_track(track).expect("a track").end_tick();
        }
    }
    let mut notes: Vec<NoteOn> = file
        .events()
        .filter_map(|event| match event.body {
            Body::Message(&[status @ 0x90..=0x9f, key, velocity]) if velocity > 0 => Some(NoteOn {
                track: usize::from(event.track),
                tick: event.tick - starts.get(&event.track).copied().unwrap_or(0),
                key: [status & 15, key, velocity],
            }),
            _ => None,
        })
        .collect();
    notes.sort();
    notes
}

/// The number of notes that nothing ends.
fn hanging(file: &MidiFile) -> usize {
    let mut held = HeldNotes::new();
    for event in file.events().filter_map(|event| event.to_event()) {
        held.track(&event);
    }
    held.releases().iter().filter(|event| matches!(event.payload(), Payload::NoteOff(_))).count()
}

/// How often each note occurs, without its time.
fn counts(notes: impl IntoIterator<Item = [u8; 3]>) -> BTreeMap<[u8; 3], usize> {
    let mut counts = BTreeMap::new();
    for note in notes {
        *counts.entry(note).or_default() += 1;
    }
    counts
}

/// The notes of the truth that were found, and the number of those that are not in it.
fn compare(truth: &[NoteOn], found: &BTreeMap<[u8; 3], usize>) -> (usize, usize) {
    let truth = counts(truth.iter().map(|note| note.key));
    let common = truth.iter().map(|(key, count)| found.get(key).unwrap_or(&0).min(count)).sum();
    (common, found.values().sum::<usize>() - common)
}

#[test]
fn valid_files_are_read_whole() {
    for seed in 0..FILES {
        let song = Song::new(seed);
        let (file, damage) = read(&song.write());
        assert!(damage.is_empty(), "{seed}: {:?}", damage.errors());
        let mut truth = song.notes();
        truth.sort();
        assert_eq!(notes(&file), truth, "{seed}");
        assert_eq!(usize::from(file.format()), seed % 3);
        assert_eq!(hanging(&file), 0);
    }
}

#[test]
fn damage_of_known_length_loses_nothing_else() {
    let mut table: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for seed in 0..FILES {
        let mut random = Random::new(seed as u64 + 7000);
        for (name, harm) in harm::KNOWN {
            let mut song = Song::new(seed);
            let Some(bytes) = harm(&mut song, &mut random) else { continue };
            // The harm has removed the damaged events from the truth.
            let mut truth = song.notes();
            truth.sort();
            let (file, damage) = read(&bytes);
            assert!(!damage.is_empty(), "{name} of file {seed} is not reported");
            assert!(MidiFile::read(&bytes).is_err(), "{name}: strict reading accepts file {seed}");
            let found = notes(&file);
            assert_eq!(found, truth, "{name} of file {seed}: {:?}", damage.errors());
            assert_eq!(hanging(&file), 0, "{name} of file {seed}");
            let row = table.entry(name).or_default();
            *row = [row[0] + 1, row[1] + truth.len(), row[2] + found.len(), 0];
        }
    }
    eprintln!("damage of known length          files  notes  found  invented");
    for (name, [files, truth, found, invented]) in &table {
        eprintln!("{name:<30} {files:>6} {truth:>6} {found:>6} {invented:>9}");
    }
    assert_eq!(table.len(), harm::KNOWN.len(), "each kind of damage occurs");
}

/// A file with damage of unknown length, and its truth.
struct Damaged {
    kind: &'static str,
    bytes: Vec<u8>,
    truth: Vec<NoteOn>,
}

/// All files with damage of unknown length.
fn unknown() -> impl Iterator<Item = Damaged> {
    (0..FILES).map(|seed| {
        let mut random = Random::new(seed as u64 + 9000);
        let song = Song::new(seed);
        let (kind, harm) = harm::UNKNOWN[seed % harm::UNKNOWN.len()];
        Damaged { kind, bytes: harm(&song, &mut random), truth: song.notes() }
    })
}

#[test]
fn damage_of_unknown_length_loses_little() {
    let mut table: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for (seed, damaged) in unknown().enumerate() {
        let (file, damage) = read(&damaged.bytes);
        // A wrong length may hide the end of a note without being noticed; the player ends such
        // notes with the file.
        assert!(damage.is_empty() || hanging(&file) == 0, "{} of file {seed}", damaged.kind);
        let found = counts(notes(&file).into_iter().map(|note| note.key));
        let (common, invented) = compare(&damaged.truth, &found);
        let row = table.entry(damaged.kind).or_default();
        *row = [row[0] + 1, row[1] + damaged.truth.len(), row[2] + common, row[3] + invented];
    }
    eprintln!("damage of unknown length        files  notes  found  invented");
    let mut sum = [0; 4];
    for (kind, row) in &table {
        let [files, truth, found, invented] = row;
        eprintln!("{kind:<30} {files:>6} {truth:>6} {found:>6} {invented:>9}");
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let [files, truth, found, invented] = sum;
    eprintln!("{:<30} {files:>6} {truth:>6} {found:>6} {invented:>9}", "sum");
    // Timidity finds 32,971 and invents 1,024.
    assert!(found * 100 >= truth * 94, "{found} of {truth} notes found");
    assert!(invented * 1000 <= truth * 25, "{invented} notes invented, {truth} in the files");
}

/// Compares our reader with timidity; the suite tests/suites/27-damaged-files.sh runs this.
#[test]
#[ignore = "requires timidity"]
fn timidity_finds_no_more_and_invents_no_less() {
    let files: Vec<Damaged> = unknown().collect();
    let theirs = timidity::all_notes(files.iter().map(|damaged| damaged.bytes.as_slice()));
    let mut table: BTreeMap<&str, [usize; 6]> = BTreeMap::new();
    for (damaged, theirs) in files.iter().zip(theirs) {
        let (file, _) = read(&damaged.bytes);
        let ours = counts(notes(&file).into_iter().map(|note| note.key));
        let (our_common, our_invented) = compare(&damaged.truth, &ours);
        let (common, invented) = compare(&damaged.truth, &theirs);
        let row = [1, damaged.truth.len(), our_common, common, our_invented, invented];
        for (sum, value) in table.entry(damaged.kind).or_default().iter_mut().zip(row) {
            *sum += value;
        }
    }
    eprintln!("                                                 found         invented");
    eprintln!("damage of unknown length        files  notes   ours timidity   ours timidity");
    let mut sum = [0; 6];
    for (kind, row) in &table {
        print_row(kind, row);
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
    print_row("sum", &sum);
    let [_, _, our_common, common, our_invented, invented] = sum;
    assert!(our_common >= common, "timidity finds more");
    assert!(our_invented <= invented, "timidity invents less");
}

fn print_row(kind: &str, row: &[usize; 6]) {
    let [files, truth, ours, theirs, our_invented, invented] = row;
    eprintln!(
        "{kind:<30} {files:>6} {truth:>6} {ours:>6} {theirs:>8} {our_invented:>6} {invented:>8}"
    );
}
