//! Tempo clocks: players and callbacks in real time, in a score, or as fast as one calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::conductor::Conductor;
use super::events::Events;
use super::tempo::{Metre, Tempo};
use super::tick::Tick;
use crate::clock::Clock;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::moment::Moment;
use crate::requests::Sync;
use crate::server::Server;

/// How far ahead of their time callbacks run, unless another time is set.
const DEFAULT_LOOKAHEAD: f64 = 0.1;

/// The longest sleep of the thread of a clock.
const MAX_SLEEP: Duration = Duration::from_millis(500);

/// The id of the request that waits for SynthDefs; those of the connection itself are below 0.
const SYNC_ID: i32 = i32::MAX;

/// A clock with a tempo and a metre, on a server or a score, that plays events and calls functions.
///
/// A clock begins at beat 0 and stands still until it is run:
///
/// - [`start`](TempoClock::start) runs it in real time, in a thread of its own. Everything is sent ahead
///   of its time, so that it sounds at exactly its beat, whatever the load of this computer.
/// - [`run_until`](TempoClock::run_until) runs it up to a time, as fast as possible. This is for scores.
/// - [`advance`](TempoClock::advance) runs it for some seconds. This is a virtual clock, for tests and
///   for programs with a clock of their own.
///
/// What is played before the clock is run sounds the same in all three cases, with the same random
/// choices: they depend on the [seed](TempoClock::set_seed) alone.
///
/// ```
/// use consort_sc::Options;
/// use consort_sc::music::*;
/// use consort_sc::score::Nonrealtime;
/// use consort_sc::synthdef::system;
///
/// fn piece(clock: &TempoClock) -> consort_sc::Result<()> {
///     let melody = voice(&system::default())
///         .degree(whole_walk(0..=14, 3), Scale::DORIAN, 50.0)
///         .beats(choose([0.5, 0.5, 1.0]));
///     clock.play(melody.for_beats(16.0))?;
///     clock.set_tempo_at(8.0, 80.0)?;
///     clock.every(4.0, |tick| {
///         tick.add_synth("default", consort_sc::Placement::default(), [("frequency", 55.0)])?;
///         Ok(())
///     })?;
///     Ok(())
/// }
///
/// let score = Nonrealtime::new(Options::default())?;
/// let clock = TempoClock::new(&score, 120.0)?;
/// piece(&clock)?;
/// clock.run_until(10.0)?;
/// assert!(score.score().duration() > 9.0);
/// # Ok::<(), consort_sc::Error>(())
/// ```
#[derive(Debug)]
pub struct TempoClock {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the handle of a clock shares with its thread and its players.
struct Shared {
    conductor: Conductor,
    position: Mutex<Position>,
    is_ending: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TempoClock").field("beat", &self.beat()).finish_non_exhaustive()
    }
}

/// How a clock runs.
struct Position {
    /// In real time.
    clock: Option<Clock>,
    /// Without real time: the seconds until which it was run.
    seconds: f64,
    /// The time of beat 0 for the context, without real time.
    origin: f64,
    lookahead: f64,
}

impl Shared {
    /// The seconds since beat 0.
    fn seconds(&self) -> f64 {
        let position = self.position.lock();
        position.clock.as_ref().map_or(position.seconds, Clock::seconds)
    }

    fn beat(&self) -> f64 {
        let seconds = self.seconds();
        self.conductor.tempo(|tempo, _| tempo.beat_at(seconds))
    }

    /// The work of the thread in real time.
    fn run_in_real_time(&self, clock: &Clock) {
        loop {
            let lookahead = self.position.lock().lookahead;
            if self.is_ending.load(Ordering::Acquire) {
                self.conductor.stop_all();
            }
            let limit = clock.seconds() + lookahead;
            if let Err(error) = self.conductor.advance(limit, &|seconds| clock.time_of(seconds)) {
                self.conductor.keep_error(error);
                self.is_ending.store(true, Ordering::Release);
            }
            if self.is_ending.load(Ordering::Acquire) && self.conductor.is_idle() {
                return;
            }
            let sleep = self.conductor.next_seconds().map_or(MAX_SLEEP, |next| {
                Duration::try_from_secs_f64(next - lookahead - clock.seconds()).unwrap_or_default()
            });
            // The clock of the sound may be slightly faster than that of the computer.
            self.conductor.wait_for_change(sleep.min(MAX_SLEEP));
        }
    }
}

impl TempoClock {
    /// A clock that plays on a server or a score, at a tempo in beats a minute.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a tempo that is not from 0.1 to 10,000.
    pub fn new(context: &Context, tempo: f64) -> Result<Self> {
        let position = Position {
            clock: None,
            seconds: 0.0,
            origin: context.now().unwrap_or(0.0),
            lookahead: DEFAULT_LOOKAHEAD,
        };
        let shared = Shared {
            conductor: Conductor::new(context, Tempo::new(tempo)?),
            position: Mutex::new(position),
            is_ending: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared), thread: Mutex::new(None) })
    }

    /// The server or score that the clock plays on.
    pub fn context(&self) -> &Context {
        self.shared.conductor.context()
    }

    /// Runs `work` with a moment at the present beat, and sends it: for groups, effects and buffers that
    /// a piece needs. On a clock that was not run yet, a score has them at its start, and a server as
    /// soon as possible.
    ///
    /// # Errors
    /// The errors of `work` and of [`Context::at_time`].
    pub fn prepare<T>(&self, work: impl FnOnce(&Moment) -> Result<T>) -> Result<T> {
        let context = self.context();
        if context.now().is_ok() {
            return context.at_time(None, work);
        }
        let seconds = self.shared.conductor.tempo(|tempo, horizon| tempo.seconds_at(horizon));
        context.at_time(seconds, work)
    }

    /// Sets the seed of the random choices of everything that is played from now on; it is 1 at first.
    /// `Random::from_time().bits()` is a different one each time.
    pub fn set_seed(&self, seed: u64) {
        self.shared.conductor.set_seed(seed);
    }

    /// Starts events at the present beat; on a clock that was not run yet, at beat 0.
    ///
    /// SynthDefs that the events need are loaded first. On a server this blocks the calling thread until
    /// it has them.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] and [`ErrorKind::ServerOffline`] of loading.
    pub fn play(&self, events: impl Into<Events>) -> Result<Player> {
        let beat = self.shared.conductor.tempo(|_, horizon| horizon);
        self.play_at(beat, events)
    }

    /// Starts events at the next bar.
    ///
    /// # Errors
    /// As [`play`](TempoClock::play).
    pub fn play_at_next_bar(&self, events: impl Into<Events>) -> Result<Player> {
        let beat = self.shared.conductor.tempo(|tempo, horizon| tempo.next_bar(horizon));
        self.play_at(beat, events)
    }

    /// Starts events at a beat, or as soon as possible after it.
    ///
    /// # Errors
    /// As [`play`](TempoClock::play); [`ErrorKind::InvalidArgument`] for a negative beat.
    pub fn play_at(&self, beat: f64, events: impl Into<Events>) -> Result<Player> {
        let events = events.into();
        let conductor = &self.shared.conductor;
        let files = conductor.take_unloaded(&events);
        if !files.is_empty() {
            let context = conductor.context();
            if context.now().is_ok() {
                context.add_synthdefs(&files)?;
                context.ask(Sync { id: SYNC_ID })?.wait()?;
            } else {
                let seconds = conductor.tempo(|tempo, horizon| tempo.seconds_at(horizon));
                context.at_time(seconds, |moment| moment.add_synthdefs(&files))?;
            }
        }
        let id = conductor.play(&events, beat, None)?;
        Ok(Player { shared: self.shared.clone(), id })
    }

    /// Calls a function again and again, every so many beats, from the present beat on.
    ///
    /// The function runs ahead of its beat. Its requests are collected in a moment for exactly this
    /// beat. It must not block, and it must not run the clock. An error that it returns ends it; the
    /// methods that run the clock, and [`wait`](TempoClock::wait), return it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] unless the number of beats is above 0.
    pub fn every(
        &self,
        beats: f64,
        mut function: impl FnMut(&mut Tick<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Player> {
        if beats.is_nan() || beats <= 0.0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("invalid number of beats {beats}: expected more than 0"),
            ));
        }
        let beat = self.shared.conductor.tempo(|_, horizon| horizon);
        self.call_at(beat, move |tick| function(tick).map(|()| Some(beats)))
    }

    /// Calls a function at a beat, or as soon as possible after it. The function returns the beats until
    /// its next call, or `None` if it has ended. [`every`](TempoClock::every) has the details.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a negative beat.
    pub fn call_at(
        &self,
        beat: f64,
        function: impl FnMut(&mut Tick<'_>) -> Result<Option<f64>> + Send + 'static,
    ) -> Result<Player> {
        let id = self.shared.conductor.call(beat, None, Box::new(function))?;
        Ok(Player { shared: self.shared.clone(), id })
    }

    /// Changes the tempo now: in real time, after what has been sent ahead.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a tempo that is not from 0.1 to 10,000 beats a minute.
    pub fn set_tempo(&self, tempo: f64) -> Result<()> {
        self.shared.conductor.tempo(|map, horizon| map.set(horizon, tempo))
    }

    /// Changes the tempo at a beat, or now if the beat is over.
    ///
    /// # Errors
    /// As [`set_tempo`](TempoClock::set_tempo).
    pub fn set_tempo_at(&self, beat: f64, tempo: f64) -> Result<()> {
        self.shared.conductor.tempo(|map, horizon| map.set(beat.max(horizon), tempo))
    }

    /// Changes the tempo evenly over a number of beats, from a beat on, or from now on if the beat is
    /// over.
    ///
    /// # Errors
    /// As [`set_tempo`](TempoClock::set_tempo).
    pub fn ramp_tempo(&self, beat: f64, beats: f64, tempo: f64) -> Result<()> {
        self.shared.conductor.tempo(|map, horizon| map.ramp(beat.max(horizon), beats, tempo))
    }

    /// Changes the metre from the first bar on that begins at a beat or after it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a metre that does not exist.
    pub fn set_metre(&self, beat: f64, metre: Metre) -> Result<()> {
        self.shared.conductor.tempo(|map, _| map.set_metre(beat, metre))
    }

    /// The tempo with all changes so far.
    pub fn tempo(&self) -> Tempo {
        self.shared.conductor.tempo(|tempo, _| tempo.clone())
    }

    /// The present beat.
    pub fn beat(&self) -> f64 {
        self.shared.beat()
    }

    /// The seconds since beat 0.
    pub fn seconds(&self) -> f64 {
        self.shared.seconds()
    }

    /// Sets how many seconds ahead of their time functions run in real time, at least 0; 0.1 at first.
    /// To this comes the [latency](Context::latency) of the context. More seconds help against a busy
    /// computer, fewer make [`Player::stop`] and changes of tempo take effect sooner.
    pub fn set_lookahead(&self, seconds: f64) {
        self.shared.position.lock().lookahead = seconds.clamp(0.0, 60.0);
    }

    /// Runs the clock in real time, from beat 0 on, in a thread. It follows the server's sample clock.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if the clock was run already, or plays on another server or on a
    /// score; [`ErrorKind::Io`] if no thread can be started.
    pub fn start(&self, server: &Server) -> Result<()> {
        let invalid = |text: &str| Error::new(ErrorKind::InvalidMoment, text);
        if !self.shared.conductor.context().is_same(server) {
            return Err(invalid(
                "the clock plays on another server or on a score, which `run_until` runs",
            ));
        }
        let mut thread = self.thread.lock();
        let clock = {
            let mut position = self.shared.position.lock();
            if position.clock.is_some() || position.seconds > 0.0 {
                return Err(invalid("the clock was run already"));
            }
            let clock = server.clock();
            position.clock = Some(clock.clone());
            clock
        };
        let shared = self.shared.clone();
        let started = std::thread::Builder::new()
            .name("tempo clock".into())
            .spawn(move || shared.run_in_real_time(&clock));
        *thread = Some(started.map_err(|error| Error::io("cannot start a thread", error))?);
        Ok(())
    }

    /// Runs the clock up to a time in seconds since beat 0, as fast as possible.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMoment`] if the clock runs in real time; the errors of functions and of the
    /// context.
    pub fn run_until(&self, seconds: f64) -> Result<()> {
        let origin = {
            let position = self.shared.position.lock();
            if position.clock.is_some() {
                let text = "the clock runs in real time";
                return Err(Error::new(ErrorKind::InvalidMoment, text));
            }
            position.origin
        };
        self.shared.conductor.advance(seconds, &|seconds| origin + seconds)?;
        let mut position = self.shared.position.lock();
        position.seconds = position.seconds.max(seconds);
        self.shared.conductor.take_error().map_or(Ok(()), Err)
    }

    /// Runs the clock for some seconds, as fast as possible.
    ///
    /// # Errors
    /// As [`run_until`](TempoClock::run_until).
    pub fn advance(&self, seconds: f64) -> Result<()> {
        let position = self.shared.position.lock().seconds;
        self.run_until(position + seconds)
    }

    /// Waits until everything that the clock plays has ended and sounded. Blocks the calling thread; for
    /// ever, if something is repeated for ever. For a clock in real time.
    ///
    /// # Errors
    /// The first error of a function or of the context.
    pub fn wait(&self) -> Result<()> {
        self.wait_while(|shared| !shared.conductor.is_idle())
    }

    fn wait_while(&self, is_busy: impl Fn(&Shared) -> bool) -> Result<()> {
        let Some(clock) = self.shared.position.lock().clock.clone() else {
            let text = "the clock does not run in real time: call `start` first, or `run_until`";
            return Err(Error::new(ErrorKind::InvalidMoment, text));
        };
        while is_busy(&self.shared) && !self.shared.is_ending.load(Ordering::Acquire) {
            self.shared.conductor.wait_for_change(Duration::from_millis(50));
        }
        let conductor = &self.shared.conductor;
        let rest = conductor.last_sent() + conductor.context().latency() - clock.seconds();
        if let Ok(rest) = Duration::try_from_secs_f64(rest) {
            std::thread::sleep(rest);
        }
        conductor.take_error().map_or(Ok(()), Err)
    }

    /// Stops everything: nothing new begins, and open gates close. A clock in real time ends its thread,
    /// after which it cannot be started again. Dropping the clock does the same.
    ///
    /// # Errors
    /// The first error of a function or of the context.
    pub fn stop(&self) -> Result<()> {
        self.shared.conductor.stop_all();
        if let Some(thread) = self.thread.lock().take() {
            self.shared.is_ending.store(true, Ordering::Release);
            self.shared.conductor.changed.notify_all();
            if thread.thread().id() != std::thread::current().id() {
                // A panic of a function of the user was printed already.
                let _ = thread.join();
            }
        }
        self.shared.conductor.take_error().map_or(Ok(()), Err)
    }
}

impl Drop for TempoClock {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Events or a function that a clock plays. Dropping the player does not stop it.
#[derive(Clone, Debug)]
pub struct Player {
    shared: Arc<Shared>,
    id: u64,
}

impl Player {
    /// Stops the player and those that it started: nothing new begins, and its open gates close, so that
    /// its notes end as they do when they are released.
    pub fn stop(&self) {
        self.shared.conductor.stop(self.id);
    }

    /// Whether the player, or one that it started, has events or gates to come.
    pub fn is_playing(&self) -> bool {
        self.shared.conductor.is_playing(self.id)
    }
}
