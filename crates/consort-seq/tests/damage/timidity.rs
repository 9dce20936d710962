//! The notes that timidity plays: those of the MIDI file that it writes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use consort_seq::file::MidiFile;

/// How many files are played at once: timidity waits for a second at its end.
const THREADS: usize = 16;

/// The notes of each file, in the order of the files.
pub(crate) fn all_notes<'a>(
    files: impl Iterator<Item = &'a [u8]>,
) -> Vec<BTreeMap<[u8; 3], usize>> {
    let files: Vec<&[u8]> = files.collect();
    let mut all = vec![BTreeMap::new(); files.len()];
    let share = files.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        for (files, all) in files.chunks(share).zip(all.chunks_mut(share)) {
            scope.spawn(move || {
                let folder = tempfile::tempdir().expect("a folder");
                for (file, found) in files.iter().zip(all) {
                    *found = notes(folder.path(), file);
                }
            });
        }
    });
    all
}

/// Plays a file with timidity and returns how often each note occurs. A file that timidity refuses
/// has none.
fn notes(folder: &Path, bytes: &[u8]) -> BTreeMap<[u8; 3], usize> {
    let [input, output, configuration] =
        ["in.mid", "out.mid", "timidity.cfg"].map(|name| folder.join(name));
    let _ = std::fs::remove_file(&output);
    std::fs::write(&input, bytes).expect("a file");
    std::fs::write(&configuration, format!("dir {}\n", folder.display())).expect("a file");
    let status = Command::new("timidity")
        .args(["-Om", "-c"])
        .arg(&configuration)
        .arg("-o")
        .args([&output, &input])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("timidity (Debian package timidity) runs");
    let written = std::fs::read(&output).ok().filter(|bytes| !bytes.is_empty());
    let Some(written) = written.filter(|_| status.code().is_some()) else {
        return BTreeMap::new();
    };
    let (file, _) = MidiFile::read_partial(&written).expect("timidity writes a MIDI file");
    crate::counts(crate::notes(&file).into_iter().map(|note| note.key))
}
