//! Tasks by beat, and the players that they belong to.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::events::EventStream;
use super::random::Random;
use super::tempo::Tempo;
use super::tick::Tick;
use crate::context::Synth;
use crate::error::{Error, Result};

/// Tasks whose beats differ by less run in one moment.
pub(super) const SAME_BEAT: f64 = 1e-9;

/// A callback of a clock. It returns the beats until its next call, or `None` to end.
pub(super) type Callback = Box<dyn FnMut(&mut Tick<'_>) -> Result<Option<f64>> + Send>;

/// What a task does.
pub(super) enum Work {
    /// Plays the first event, and then continues with the others.
    Events(EventStream),
    /// Calls a function of the user, with its own random numbers.
    Call(Callback, Random),
    /// Closes the gate of a synth, not before a beat.
    Release(Synth, f64),
}

/// Something that is due at a beat.
pub(super) struct Task {
    pub(super) beat: f64,
    /// Tasks of one beat run in the order of `rank`, then of `order`: gates close before notes begin.
    pub(super) rank: u8,
    pub(super) order: u64,
    pub(super) player: u64,
    pub(super) work: Work,
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Task {}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Task {
    /// The greatest task is the one that is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.beat.total_cmp(&self.beat))
            .then(other.rank.cmp(&self.rank))
            .then(other.order.cmp(&self.order))
    }
}

/// Something that plays until it ends or is stopped.
#[derive(Debug, Default)]
pub(super) struct PlayerState {
    /// The player that started it.
    pub(super) parent: Option<u64>,
    pub(super) is_stopped: bool,
    /// How many of its tasks are waiting or running.
    pub(super) tasks: usize,
}

/// What the lock of a conductor protects.
pub(super) struct State {
    pub(super) tempo: Tempo,
    pub(super) tasks: BinaryHeap<Task>,
    pub(super) next_order: u64,
    pub(super) next_player: u64,
    pub(super) players: HashMap<u64, PlayerState>,
    /// Everything before this beat has been sent.
    pub(super) horizon: f64,
    /// How many tasks are running now.
    pub(super) running: usize,
    pub(super) random: Random,
    pub(super) loaded: HashSet<String>,
    /// The first error of a callback.
    pub(super) error: Option<Error>,
    /// The time of the last moment that was sent, in seconds.
    pub(super) last_sent: f64,
}

impl State {
    /// Nothing to do yet.
    pub(super) fn new(tempo: Tempo) -> Self {
        Self {
            tempo,
            tasks: BinaryHeap::new(),
            next_order: 0,
            next_player: 0,
            players: HashMap::new(),
            horizon: 0.0,
            running: 0,
            random: Random::new(1),
            loaded: HashSet::new(),
            error: None,
            last_sent: 0.0,
        }
    }

    /// Adds a task, no earlier than what has been sent.
    pub(super) fn add(&mut self, beat: f64, player: u64, work: Work) {
        let rank = u8::from(!matches!(work, Work::Release(..)));
        // The gates of a player that was stopped close as soon as possible.
        let beat = match work {
            Work::Release(_, earliest) if self.is_stopped(player) => earliest,
            _ => beat,
        };
        let beat = beat.max(self.horizon);
        let order = self.next_order;
        self.next_order += 1;
        self.players.entry(player).or_default().tasks += 1;
        self.tasks.push(Task { beat, rank, order, player, work });
    }

    /// The beat of the next tasks, if they are due until a time in seconds.
    pub(super) fn take_beat(&mut self, seconds: f64) -> Option<f64> {
        let beat = self.tasks.peek()?.beat;
        (self.tempo.seconds_at(beat) <= seconds).then(|| {
            self.horizon = self.horizon.max(beat);
            beat
        })
    }

    /// Takes the tasks of a beat, in the order in which they run.
    pub(super) fn take_due(&mut self, beat: f64) -> Vec<Task> {
        let mut due = Vec::new();
        while let Some(task) = self.tasks.peek()
            && task.beat <= beat + SAME_BEAT
        {
            due.extend(self.tasks.pop());
        }
        due.sort_by_key(|task| (task.rank, task.order));
        due
    }

    pub(super) fn finish_task(&mut self, player: u64) {
        if let Some(state) = self.players.get_mut(&player) {
            state.tasks = state.tasks.saturating_sub(1);
        }
    }

    /// Forgets players without tasks, whose children have ended, too.
    pub(super) fn remove_ended(&mut self) {
        loop {
            let parents: HashSet<u64> =
                self.players.values().filter_map(|player| player.parent).collect();
            let before = self.players.len();
            self.players.retain(|id, player| player.tasks > 0 || parents.contains(id));
            if self.players.len() == before {
                return;
            }
        }
    }

    pub(super) fn is_stopped(&self, player: u64) -> bool {
        self.players.get(&player).is_none_or(|player| player.is_stopped)
    }

    /// Whether a player is another one or was started by it, directly or not.
    pub(super) fn descends_from(&self, player: u64, ancestor: u64) -> bool {
        let mut current = Some(player);
        while let Some(id) = current {
            if id == ancestor {
                return true;
            }
            current = self.players.get(&id).and_then(|player| player.parent);
        }
        false
    }

    /// Stops the players for which the condition is true.
    pub(super) fn stop(&mut self, is_meant: impl Fn(&Self, u64) -> bool) {
        let stopped: Vec<u64> =
            self.players.keys().copied().filter(|player| is_meant(self, *player)).collect();
        for player in &stopped {
            if let Some(state) = self.players.get_mut(player) {
                state.is_stopped = true;
            }
        }
        let horizon = self.horizon;
        for mut task in std::mem::take(&mut self.tasks) {
            if stopped.contains(&task.player) {
                let Work::Release(_, earliest) = task.work else {
                    self.finish_task(task.player);
                    continue;
                };
                task.beat = horizon.max(earliest);
            }
            self.tasks.push(task);
        }
        self.remove_ended();
    }
}
