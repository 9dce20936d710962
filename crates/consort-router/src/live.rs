//! A running show as other threads see it: values, counters and states, without a lock on the
//! router's path.
//!
//! The router stores with relaxed atomics, one plain store each; readers may be a turn behind
//! and may see two channels of one moment at different moments.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::event::InstanceId;

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not ready yet; no problem so far.
    Starting,
    /// Working.
    Up,
    /// A device, host or server is missing; the instance tries again.
    Waiting(String),
    /// The instance cannot work; the configuration has to change.
    Failed(String),
    /// The instance has stopped.
    Stopped,
}

impl State {
    /// One word: `starting`, `up`, `waiting`, `failed`, `stopped`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Up => "up",
            State::Waiting(_) => "waiting",
            State::Failed(_) => "failed",
            State::Stopped => "stopped",
        }
    }

    /// The reason of `waiting` and `failed`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Waiting(reason) | State::Failed(reason) => Some(reason),
            _ => None,
        }
    }
}

/// How many events an instance has put into the router, taken from it, dropped, and how many
/// errors it met, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that came in through it.
    pub incoming: u64,
    /// Events that went out through it.
    pub outgoing: u64,
    /// Events that it, or its queue, dropped.
    pub dropped: u64,
    /// Errors it met.
    pub errors: u64,
}

/// [`Counters`] as the router writes them.
#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    pub(crate) incoming: AtomicU64,
    pub(crate) outgoing: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) errors: AtomicU64,
}

/// Adds to a counter that only the router's thread writes: a load and a store, no locked
/// instruction.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// The last value of a channel, and how many it had.
#[derive(Debug, Default)]
pub(crate) struct LiveChannel {
    value: AtomicU64,
    events: AtomicU64,
}

impl LiveChannel {
    #[inline]
    pub(crate) fn record(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        add(&self.events, 1);
    }
}

/// What other threads see of an instance.
#[derive(Debug)]
pub(crate) struct LiveInstance {
    pub(crate) name: String,
    pub(crate) backend: &'static str,
    pub(crate) base: usize,
    pub(crate) channels: Vec<String>,
    pub(crate) counters: LiveCounters,
    pub(crate) state: Mutex<State>,
}

/// A running show, shared between the router and its views.
#[derive(Debug)]
pub struct Live {
    pub(crate) instances: Vec<LiveInstance>,
    pub(crate) channels: Vec<LiveChannel>,
    pub(crate) running: AtomicBool,
}

impl Live {
    /// How many instances the show has.
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// An instance's name.
    pub fn instance_name(&self, instance: InstanceId) -> &str {
        &self.instances[instance.index()].name
    }

    /// The instance of that name.
    pub fn find_instance(&self, name: &str) -> Option<InstanceId> {
        let index = self.instances.iter().position(|instance| instance.name == name)?;
        Some(InstanceId(u32::try_from(index).ok()?))
    }

    /// The name of an instance's backend.
    pub fn backend_name(&self, instance: InstanceId) -> &'static str {
        self.instances[instance.index()].backend
    }

    /// What an instance is doing.
    pub fn state(&self, instance: InstanceId) -> State {
        self.instances[instance.index()].state.lock().clone()
    }

    pub(crate) fn set_state(&self, instance: InstanceId, state: State) -> State {
        std::mem::replace(&mut *self.instances[instance.index()].state.lock(), state)
    }

    /// An instance's counters.
    pub fn counters(&self, instance: InstanceId) -> Counters {
        let counters = &self.instances[instance.index()].counters;
        Counters {
            incoming: counters.incoming.load(Ordering::Relaxed),
            outgoing: counters.outgoing.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            errors: counters.errors.load(Ordering::Relaxed),
        }
    }

    /// An instance's mapped channels, as the configuration spells them, in the order of their
    /// numbers.
    pub fn channel_names(&self, instance: InstanceId) -> &[String] {
        &self.instances[instance.index()].channels
    }

    /// The last value of a channel and how many values it has had; none before the first.
    pub fn channel(&self, instance: InstanceId, channel: u32) -> Option<(f64, u64)> {
        let live = &self.channels[self.instances[instance.index()].base + channel as usize];
        match live.events.load(Ordering::Relaxed) {
            0 => None,
            events => Some((f64::from_bits(live.value.load(Ordering::Relaxed)), events)),
        }
    }

    /// False once the router has left its loop.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }
}
