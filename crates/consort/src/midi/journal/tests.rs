//! Journals that end anywhere, and disks that fail.

use std::sync::{Arc, Mutex};

use consort_seq::file::Body;

use super::*;

/// An operation on the disk.
#[derive(Debug, Clone)]
enum Operation {
    Write(u64, Vec<u8>),
    Sync,
}

/// A disk that records its operations; it is full while `room` is 0.
#[derive(Clone, Default)]
struct Recorded {
    operations: Arc<Mutex<Vec<Operation>>>,
    is_full: Arc<Mutex<bool>>,
}

impl Storage for Recorded {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // A full disk takes a part of the bytes.
        let is_full = *self.is_full.lock().expect("locked");
        let taken = if is_full { &bytes[..bytes.len() / 2] } else { bytes };
        self.operations.lock().expect("locked").push(Operation::Write(offset, taken.to_vec()));
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.operations.lock().expect("locked").push(Operation::Sync);
        Ok(())
    }
}

/// The content of the disk after some operations, of which those after the last sync were lost
/// or took effect up to `torn` bytes.
fn content(operations: &[Operation], torn: usize) -> Vec<u8> {
    let synced = operations.iter().rposition(|operation| matches!(operation, Operation::Sync));
    let synced = synced.map_or(0, |index| index + 1);
    let mut content = Vec::new();
    let mut left = torn;
    for (index, operation) in operations.iter().enumerate() {
        let Operation::Write(offset, bytes) = operation else { continue };
        let taken = if index < synced { bytes.len() } else { bytes.len().min(left) };
        if index >= synced {
            left -= taken;
        }
        let offset = *offset as usize;
        content.resize(content.len().max(offset + taken), 0);
        content[offset..offset + taken].copy_from_slice(&bytes[..taken]);
    }
    content
}

fn note(number: usize) -> Event {
    Event::note_on((number % 16) as u8, (number % 128) as u8, 100).expect("valid")
}

/// The notes of a journal, in order; none if its beginning is not on the disk.
fn notes(journal: &[u8]) -> Vec<[u8; 3]> {
    let Ok((file, _)) = replay(journal) else { return Vec::new() };
    let on = |body| match body {
        Body::Message(&[status @ 0x90..0xa0, key, velocity]) => Some([status, key, velocity]),
        _ => None,
    };
    file.events().filter_map(|event| on(event.body)).collect()
}

#[test]
fn every_prefix_of_the_operations_has_all_that_was_synced() {
    let disk = Recorded::default();
    let mut writer = Writer::new(disk.clone());
    writer.add(&start(480, 500_000, &["keys", "pads"]));
    let mut expected = Vec::new();
    // The number of notes that were added before each operation, and before each sync.
    let mut added = vec![0];
    for number in 0..200 {
        *disk.is_full.lock().expect("locked") = (60..80).contains(&number);
        let time = RealTime::from_nanoseconds(number as u64 * 50_000_000);
        writer.add(&event(number % 2, time, &note(number)).expect("a message"));
        expected.push([0x90 | (number % 16) as u8, (number % 128) as u8, 100]);
        if number % 3 == 0 {
            writer.write();
        }
        // A sync every second.
        if number % 20 == 19 {
            writer.sync();
        }
        added.resize(disk.operations.lock().expect("locked").len() + 1, number + 1);
    }
    let operations = disk.operations.lock().expect("locked").clone();
    let mut replayed = 0;
    for length in 0..=operations.len() {
        let prefix = &operations[..length];
        // The disk was full until the sync at note 99 succeeded.
        let last_sync = prefix.iter().rposition(|operation| matches!(operation, Operation::Sync));
        let least = last_sync.map_or(0, |index| added[index + 1]);
        for torn in [0, 1, 9, 30, 200, usize::MAX] {
            let found = notes(&content(prefix, torn));
            assert!(found.len() >= least, "{} notes, {least} synced, prefix {length}", found.len());
            assert_eq!(found, expected[..found.len()], "prefix {length}, {torn} bytes more");
            replayed += 1;
        }
    }
    assert_eq!(notes(&content(&operations, 0)), expected);
    assert!(replayed > 300, "{replayed}");
}

#[test]
fn a_journal_keeps_tracks_parts_and_releases() {
    let mut bytes = start(9600, 500_000, &["keys"]);
    let time = |seconds| RealTime::new(seconds, 0);
    let from = |mut event: Event| {
        event.set_source(Address::new(20, 0));
        event
    };
    for frame in [
        event(0, time(1), &from(note(60))),
        event(0, time(1), &from(Event::system_exclusive(&[0xf0, 1]))),
        event(0, time(2), &from(Event::system_exclusive(&[2, 0xf7]))),
        Some(release(Some(0), time(2))),
        event(0, time(3), &Event::control_14(0, 7, 300).expect("valid")),
        Some(release(None, time(4))),
    ] {
        bytes.extend(frame.expect("it has bytes"));
    }
    assert!(event(0, time(0), &Event::tempo(0, 1).expect("valid")).is_none());
    let (file, count) = replay(&bytes).expect("a journal");
    let bodies: Vec<Body<'_>> = file.events().skip(2).map(|event| event.body).collect();
    assert_eq!(
        bodies,
        [
            Body::Message(&[0x9c, 60, 100]),
            Body::Exclusive(&[0xf0, 1, 2, 0xf7]),
            Body::Message(&[0x8c, 60, 64]),
            Body::Message(&[0xb0, 7, 2]),
            Body::Message(&[0xb0, 39, 44]),
        ]
    );
    assert_eq!((count, file.length()), (5, time(4)));
    for length in 0..bytes.len() {
        let _ = replay(&bytes[..length]);
    }
    assert!(replay(b"MThd").is_err());
}
