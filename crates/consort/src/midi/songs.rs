//! Standard MIDI Files to play.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use consort_seq::file::{Damage, MAX_FILE_BYTES, MidiFile};

use super::{clock, counted};
use crate::errors::with_hint;

/// How many errors of a file are printed.
const MAX_SHOWN_ERRORS: usize = 8;

/// A file with its name.
pub(super) struct Song {
    pub(super) name: String,
    pub(super) file: MidiFile,
}

impl Song {
    /// Name, title, length and size of the file.
    pub(super) fn summary(&self) -> String {
        let Self { name, file } = self;
        let title = file.name().map(|title| format!(" “{}”", super::ports::plain(&title)));
        format!(
            "{name}{}: {}, {}, {}, {}",
            title.unwrap_or_default(),
            clock(file.length().as_nanoseconds()),
            counted(file.track_count() as u64, "track"),
            counted(file.message_count() as u64, "event"),
            file.division()
        )
    }
}

/// Reads a file, or one track of it (from 1), and reports what is damaged; an error if `is_strict`.
pub(super) fn load(path: &Path, track: Option<u16>, is_strict: bool) -> anyhow::Result<Song> {
    let name = path.display().to_string();
    let (mut file, damage) = read(path)?;
    if let Some(error) = damage.errors().first() {
        if is_strict {
            return Err(with_hint(
                format!("{name}: {error}"),
                "without --strict, what is not damaged is played",
            ));
        }
        for error in damage.errors().iter().take(MAX_SHOWN_ERRORS) {
            tracing::warn!("{name}: {error}");
        }
        let more = damage.count().saturating_sub(MAX_SHOWN_ERRORS as u64);
        if more > 0 {
            let errors = counted(more, "more error");
            tracing::warn!("{name}: {errors}; `consort midi info` lists them");
        }
    }
    if let Some(number) = track {
        let count = counted(file.track_count() as u64, "track");
        file = file
            .single_track(usize::from(number) - 1)
            .with_context(|| format!("{name} has no track {number}: it has {count}"))?;
    }
    Ok(Song { name, file })
}

/// Reads a file and what is damaged in it.
pub(super) fn read(path: &Path) -> anyhow::Result<(MidiFile, Damage)> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    // One byte more than the limit, so that the reader recognises a file that is too large.
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {name}"))?;
    MidiFile::read_partial(&bytes).with_context(|| name)
}
