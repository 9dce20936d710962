//! Calls of functions at their beat.

use super::conductor::Conductor;
use super::events::Events;
use super::random::Random;
use crate::context::Synth;
use crate::error::Result;
use crate::moment::Moment;
#[allow(unused_imports)] // The documentation links to them.
use crate::{context::Context, error::ErrorKind};

/// A call of a function at its beat. All requests of the call, which are those of a
/// [`Context`], take effect together at exactly this beat.
pub struct Tick<'a> {
    pub(super) conductor: &'a Conductor,
    pub(super) moment: &'a Moment,
    pub(super) beat: f64,
    pub(super) seconds: f64,
    pub(super) player: u64,
    pub(super) random: Random,
}

impl std::fmt::Debug for Tick<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tick").field("beat", &self.beat).finish_non_exhaustive()
    }
}

impl std::ops::Deref for Tick<'_> {
    type Target = Moment;

    fn deref(&self) -> &Moment {
        self.moment
    }
}

impl Tick<'_> {
    /// The beat, from 0.
    pub fn beat(&self) -> f64 {
        self.beat
    }

    /// The seconds since beat 0.
    pub fn elapsed(&self) -> f64 {
        self.seconds
    }

    /// The bar, from 0, and the beats since its beginning.
    pub fn bar(&self) -> (u64, f64) {
        self.conductor.tempo(|tempo, _| tempo.bar_at(self.beat))
    }

    /// The random numbers of this function.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Starts events at this beat. They stop with the player of this function. Their SynthDefs have to
    /// be on the server already.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`].
    pub fn play(&self, events: impl Into<Events>) -> Result<()> {
        let events = events.into();
        let files = self.conductor.take_unloaded(&events);
        self.moment.add_synthdefs(&files)?;
        self.conductor.play(&events, self.beat, Some(self.player)).map(|_| ())
    }

    /// Closes the gate of a synth after some beats, or when the player of this function is stopped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a negative number of beats.
    pub fn release_after(&self, synth: &Synth, beats: f64) -> Result<()> {
        self.conductor.release_after(synth.clone(), self.beat, beats, self.player)
    }

    /// Changes the tempo from this beat on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a tempo out of range.
    pub fn set_tempo(&self, tempo: f64) -> Result<()> {
        self.conductor.tempo(|map, _| map.set(self.beat, tempo))
    }
}
