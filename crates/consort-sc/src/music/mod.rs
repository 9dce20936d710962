//! Clocks and patterns: music that is written in beats.
//!
//! | to … | use … |
//! |---|---|
//! | write values | [`seq`], [`choose`], [`choose_other`], [`choose_weighted`], [`shuffle`], [`walk`], [`whole_walk`], [`uniform`], [`exponential`], [`series`], [`geometric`], [`steps`]; the methods and operators of [`Pattern`] |
//! | play them on synths | [`voice`] and the methods of [`Voice`]; [`Scale`], [`REST`] |
//! | change an effect | [`automation`] |
//! | join events | [`sequence`], [`parallel`], and the methods of [`Compose`] |
//! | play, in real time or in a score | [`TempoClock`], [`Player`] |
//! | call functions at their beat | [`TempoClock::every`], [`TempoClock::call_at`], [`Tick`] |
//! | change tempo and metre | [`TempoClock::set_tempo_at`], [`TempoClock::ramp_tempo`], [`Metre`], [`Tempo`] |
//! | write a sound file in one call | [`render`] |
//!
//! ```no_run
//! use consort_sc::music::*;
//! use consort_sc::synthdef::prelude::*;
//!
//! let pluck = SynthDef::build("pluck", |controls| {
//!     let period = 1.0 / controls.scalar("frequency", 220.0);
//!     let string = Pluck::ar(WhiteNoise::ar(), Impulse::kr(0.0)).delay_time(period).decay_time(3.0);
//!     let end = Line::kr(1.0, 0.0, 2.0).done_action(DoneAction::FreeSynth);
//!     Out::ar(0, Pan2::ar(string * end).position(controls.control("pan", 0.0)));
//! })?;
//! let melody = voice(&pluck)
//!     .degree(whole_walk(-3..=9, 2), Scale::MINOR_PENTATONIC, 57.0)
//!     .set("pan", uniform(-0.8, 0.8))
//!     .beats(choose([0.25, 0.5, 0.5, 1.0]));
//! let bass = voice(&pluck).note(seq([33, 33, 36, 31])).beats(4.0).forever();
//! render("piece.wav", 96.0, 30.0, |clock| clock.play(melody.with(bass)).map(drop))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! A module uses those below it and the public interface of the other modules of the crate.
//!
//! ```text
//! clock                    TempoClock, Player: threads and real time
//! conductor  tick          runs what is due, in moments; Tick; without threads and clocks
//! tasks                    what is due, by beat
//! events  voice            Events, Compose;  Voice: what is played
//! pattern  tempo  scale    values;  beats and seconds;  degrees
//! random                   random numbers that a seed repeats
//! ```

mod clock;
mod conductor;
mod events;
mod pattern;
mod random;
mod scale;
mod tasks;
mod tempo;
#[cfg(test)]
mod tests;
mod tick;
mod voice;

pub use clock::{Player, TempoClock};
pub use events::{Compose, Event, Events, Note, NotePlayer, parallel, sequence};
pub use pattern::{
    IntoPattern, Pattern, PatternValue, REST, Values, choose, choose_other, choose_weighted,
    constant, exponential, geometric, seq, series, shuffle, steps, uniform, walk, whole_walk,
};
pub use random::Random;
pub use scale::Scale;
pub use tempo::{Metre, Tempo};
pub use tick::Tick;
pub use voice::{Instrument, IntoChords, IntoValues, Voice, automation, voice};

use std::path::Path;

use crate::error::Result;
use crate::options::Options;
use crate::score::{Nonrealtime, RenderReport};

/// Writes music to a stereo sound file: `play` gets a clock with a tempo in beats a minute, and the file
/// is `seconds` long. Blocks until the server's program has rendered it.
///
/// # Errors
/// The errors of `play` and of [`TempoClock::run_until`], and those of
/// [`Score::render`](crate::score::Score::render).
pub fn render(
    path: impl AsRef<Path>,
    tempo: f64,
    seconds: f64,
    play: impl FnOnce(&TempoClock) -> Result<()>,
) -> Result<RenderReport> {
    let score = Nonrealtime::new(Options { output_bus_channel_count: 2, ..Options::default() })?;
    let clock = TempoClock::new(&score, tempo)?;
    play(&clock)?;
    clock.run_until(seconds)?;
    Ok(score.render(path, Some(seconds), |_| true)?)
}
