//! What is played when: tasks by beat, and the moments in which they run. No thread and no clock.

use parking_lot::{Condvar, Mutex};

use super::events::{Event, Events, Note, NotePlayer};
use super::random::Random;
use super::tasks::{Callback, PlayerState, SAME_BEAT, State, Task, Work};
use super::tempo::{Tempo, checked_beat};
use super::tick::Tick;
use crate::context::{Context, NodeReference, Placement, Synth};
use crate::error::{Error, ErrorKind, Result};
use crate::moment::Moment;

/// The most tasks that run at one beat, so that events without a duration end with an error.
const MAX_TASKS_AT_ONE_BEAT: usize = 100_000;

/// Plays on a context: keeps the tasks and runs those that are due.
pub(super) struct Conductor {
    context: Context,
    state: Mutex<State>,
    /// Notified when a task is added or a player ends.
    pub(super) changed: Condvar,
    /// The shortest time in seconds for which gates are open. A synth whose gate closes in the control
    /// period in which it starts never had an open gate, and is never freed by its envelope.
    shortest_gate: f64,
    /// Held while tasks run, so that only one thread runs them.
    driver: Mutex<()>,
}

impl Conductor {
    pub(super) fn new(context: &Context, tempo: Tempo) -> Self {
        let options = context.options();
        let rate = f64::from(options.sample_rate.unwrap_or(44_100).max(1));
        Self {
            context: context.clone(),
            state: Mutex::new(State::new(tempo)),
            changed: Condvar::new(),
            shortest_gate: 3.0 * f64::from(options.block_size) / rate,
            driver: Mutex::new(()),
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn set_seed(&self, seed: u64) {
        self.state.lock().random = Random::new(seed);
    }

    /// Reads or changes the tempo; the second argument is the beat before which everything was sent.
    pub(super) fn tempo<R>(&self, work: impl FnOnce(&mut Tempo, f64) -> R) -> R {
        let mut state = self.state.lock();
        let horizon = state.horizon;
        let result = work(&mut state.tempo, horizon);
        self.changed.notify_all();
        result
    }

    /// The SynthDefs of events that were not loaded before; they count as loaded from now on.
    pub(super) fn take_unloaded(&self, events: &Events) -> Vec<consort_synthdef::SynthDefFile> {
        let mut state = self.state.lock();
        let mut files = Vec::new();
        for file in events.synthdefs() {
            let mut names = file.definitions().iter().map(|info| info.name.clone());
            if names.any(|name| state.loaded.insert(name)) {
                files.push(file.clone());
            }
        }
        files
    }

    /// Starts events at a beat, or as soon as possible after it.
    pub(super) fn play(&self, events: &Events, beat: f64, parent: Option<u64>) -> Result<u64> {
        checked_beat(beat)?;
        let mut random = self.state.lock().random.fork();
        // The first values of the patterns may take a while, or call the user's code.
        let stream = events.stream(&mut random);
        Ok(self.start(beat, parent, Work::Events(stream)))
    }

    /// Calls a function at a beat, or as soon as possible after it.
    pub(super) fn call(&self, beat: f64, parent: Option<u64>, callback: Callback) -> Result<u64> {
        checked_beat(beat)?;
        let random = self.state.lock().random.fork();
        Ok(self.start(beat, parent, Work::Call(callback, random)))
    }

    fn start(&self, beat: f64, parent: Option<u64>, work: Work) -> u64 {
        let mut state = self.state.lock();
        let player = state.next_player;
        state.next_player += 1;
        state.players.insert(player, PlayerState { parent, ..PlayerState::default() });
        state.add(beat, player, work);
        self.changed.notify_all();
        player
    }

    /// Whether a player has events or gates to come.
    pub(super) fn is_playing(&self, player: u64) -> bool {
        self.state.lock().players.contains_key(&player)
    }

    /// Stops a player and those that it started: no new notes, and open gates close now.
    pub(super) fn stop(&self, player: u64) {
        self.state.lock().stop(|state, candidate| state.descends_from(candidate, player));
        self.changed.notify_all();
    }

    /// Stops all players.
    pub(super) fn stop_all(&self) {
        self.state.lock().stop(|_, _| true);
        self.changed.notify_all();
    }

    /// The time of the next task in seconds.
    pub(super) fn next_seconds(&self) -> Option<f64> {
        let state = self.state.lock();
        state.tasks.peek().map(|task| state.tempo.seconds_at(task.beat))
    }

    /// Whether nothing is left to do.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.tasks.is_empty() && state.running == 0
    }

    /// The time of the last moment that was sent, in seconds.
    pub(super) fn last_sent(&self) -> f64 {
        self.state.lock().last_sent
    }

    /// The first error of a callback since the last call.
    pub(super) fn take_error(&self) -> Option<Error> {
        self.state.lock().error.take()
    }

    /// Keeps an error if it is the first.
    pub(super) fn keep_error(&self, error: Error) {
        self.state.lock().error.get_or_insert(error);
    }

    /// Waits until something changes or the time is over.
    pub(super) fn wait_for_change(&self, duration: std::time::Duration) {
        self.changed.wait_for(&mut self.state.lock(), duration);
    }

    /// Runs all tasks up to a time in seconds, each beat in a moment of its own. `time_of` gives the
    /// time of a moment for the context.
    ///
    /// # Errors
    /// Those of the context, after which nothing more is sent. Errors of callbacks end their player and
    /// are kept.
    pub(super) fn advance(&self, seconds: f64, time_of: &dyn Fn(f64) -> f64) -> Result<()> {
        let Some(_driver) = self.driver.try_lock() else {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the clock is running already: in a thread, or in the callback that calls it",
            ));
        };
        let mut count = 0;
        let mut last_beat = f64::NEG_INFINITY;
        loop {
            let (beat, due) = {
                let mut state = self.state.lock();
                let Some(beat) = state.take_beat(seconds) else { break };
                let due = state.take_due(beat);
                state.running = due.len();
                (beat, due)
            };
            count = if beat > last_beat + SAME_BEAT { 0 } else { count };
            count += due.len();
            last_beat = beat;
            let result = if count > MAX_TASKS_AT_ONE_BEAT {
                Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "more than {MAX_TASKS_AT_ONE_BEAT} events at beat {beat}: events that are \
                         repeated for ever need a number of beats above 0"
                    ),
                ))
            } else {
                self.run(beat, due, time_of)
            };
            let mut state = self.state.lock();
            state.running = 0;
            state.remove_ended();
            self.changed.notify_all();
            if let Err(error) = result {
                state.tasks.clear();
                state.players.clear();
                return Err(error);
            }
        }
        let mut state = self.state.lock();
        let beat = state.tempo.beat_at(seconds);
        state.horizon = state.horizon.max(beat);
        Ok(())
    }

    /// Runs tasks of one beat in a moment.
    fn run(&self, beat: f64, due: Vec<Task>, time_of: &dyn Fn(f64) -> f64) -> Result<()> {
        let seconds = self.tempo(|tempo, _| tempo.seconds_at(beat));
        let moment = self.context.at(time_of(seconds))?;
        for task in due {
            let player = task.player;
            if let Some(next) = self.run_task(&moment, beat, seconds, task)? {
                self.state.lock().add(next.0, player, next.1);
            }
            self.state.lock().finish_task(player);
        }
        moment.send()?;
        let mut state = self.state.lock();
        state.last_sent = state.last_sent.max(seconds);
        Ok(())
    }

    /// Runs a task, and returns how it continues.
    fn run_task(
        &self,
        moment: &Moment,
        beat: f64,
        seconds: f64,
        task: Task,
    ) -> Result<Option<(f64, Work)>> {
        let player = task.player;
        match task.work {
            Work::Release(synth, _) => {
                synth.within(moment).set([("gate", 0.0)])?;
                Ok(None)
            }
            _ if self.state.lock().is_stopped(player) => Ok(None),
            Work::Events(mut stream) => {
                let Some(event) = stream.next() else { return Ok(None) };
                let Event { beats, notes } = event;
                checked_beat(beats)?;
                for note in notes {
                    self.start_note(moment, beat, player, note)?;
                }
                // A pattern that ends here still lasts until its last event is over.
                Ok(Some((beat + beats, Work::Events(stream))))
            }
            Work::Call(mut callback, random) => {
                let mut tick = Tick { conductor: self, moment, beat, seconds, player, random };
                match callback(&mut tick) {
                    Ok(Some(beats)) => {
                        let random = tick.random;
                        checked_beat(beats)?;
                        Ok(Some((beat + beats, Work::Call(callback, random))))
                    }
                    Ok(None) => Ok(None),
                    Err(error) => {
                        self.keep_error(error);
                        self.stop(player);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// Starts a note, and plans the end of its gate.
    fn start_note(&self, moment: &Moment, beat: f64, player: u64, note: Note) -> Result<()> {
        match note.player {
            NotePlayer::Node(id) => moment.set_node(id, note.settings),
            NotePlayer::Synth(synthdef, placement) => {
                let placement = match &placement {
                    Some((action, id)) => Placement::new(*action, NodeReference::from(*id)),
                    None => Placement::default(),
                };
                let synth = moment.add_synth(synthdef, placement, note.settings)?;
                self.release_after(synth, beat, note.sustain, player)
            }
        }
    }

    /// Plans to close the gate of a synth, if it has one.
    pub(super) fn release_after(
        &self,
        synth: Synth,
        beat: f64,
        beats: f64,
        player: u64,
    ) -> Result<()> {
        checked_beat(beats)?;
        let has_gate = synth.synthdef().is_none_or(|info| info.has_control("gate"));
        if has_gate {
            let mut state = self.state.lock();
            let tempo = &state.tempo;
            let earliest = tempo.beat_at(tempo.seconds_at(beat) + self.shortest_gate);
            state.add((beat + beats).max(earliest), player, Work::Release(synth, earliest));
        }
        Ok(())
    }
}
