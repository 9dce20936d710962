//! A file that is played while new tracks for it are recorded.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use consort_seq::file::{Division, MidiFile};
use consort_seq::{Engine, Port, SequencerClient};

use super::find::{Use, find};
use super::listener::POOL_CELLS;
use super::metronome::{Beats, Meter};
use super::player::{Outlets, Player};
use super::record::Recorder;
use super::schedule::{Schedule, Settings};
use super::send;
use super::songs::{self, Song};

/// The file, and a client that plays it.
pub(super) struct Overdub {
    song: Song,
    path: PathBuf,
    client: SequencerClient,
    port: Port,
}

impl Overdub {
    /// Reads the file and connects to the ports named `targets`.
    pub(super) fn open(path: &Path, targets: &[String], engine: &Engine) -> anyhow::Result<Self> {
        let song = songs::load(path, None, false)?;
        if song.file.format() == 2 {
            bail!(
                "cannot overdub {}: it has format 2, whose tracks are not played together",
                song.name
            );
        }
        let client = super::open("consort overdub", engine)?;
        client.set_client_pool_output(POOL_CELLS)?;
        let port = send::source(&client)?;
        for text in targets {
            port.connect_to(find(&client, text, Use::Target)?.address())?;
        }
        Ok(Self { song, path: path.to_path_buf(), client, port })
    }

    /// The beats of the file, for a metronome: by its tempo and its first time signature.
    pub(super) fn beats(&self) -> anyhow::Result<Beats> {
        let Song { name, file } = &self.song;
        if matches!(file.division(), Division::Timecode { .. }) {
            bail!("{name} has SMPTE time, which has no beats for a metronome");
        }
        let signatures = file.time_signatures();
        let first = signatures.first().context("a file has a time signature")?;
        let meter = Meter { numerator: first.numerator, denominator: first.denominator };
        Ok(Beats::mapped(file.tempo_map().clone(), meter))
    }

    /// Plays the file on the queue of a recording, from the time at which that begins.
    pub(super) fn player(&self, recorder: &Recorder) -> anyhow::Result<Player<'_>> {
        let queue = self.client.get_queue(recorder.listener.queue().queue_id())?;
        let start = recorder.origin().as_nanoseconds();
        let schedule = Schedule::starting_at(start, vec![&self.song.file], Settings::ONCE);
        let outlets = Outlets { music: &self.port, clock: None };
        Ok(Player::on_queue(&self.client, outlets, queue, schedule))
    }

    /// The file with what was recorded.
    pub(super) fn combine(&self, take: &MidiFile, ticks: u16) -> anyhow::Result<MidiFile> {
        let path = self.path.display();
        let combined = self.song.file.overdubbed(take, ticks);
        combined.with_context(|| format!("{path} and what was recorded are too large for one file"))
    }
}
