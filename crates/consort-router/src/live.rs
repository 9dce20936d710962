//! A running show as other threads see it: values, counters and states, without a lock on the
//! router's path.
//!
//! The router stores with relaxed atomics, one plain store each; readers may be a turn behind
//! and may see changes of one turn one after the other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use crate::backend::{ChannelKind, Resolution};
use crate::blocks::Blocks;
use crate::event::InstanceId;
use crate::live_routes::LiveRoutes;
use crate::options::Options;
use crate::routes::Routes;
use crate::unmatched::{UnmatchedInput, UnmatchedLog};

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not ready yet; no problem so far.
    Starting,
    /// Working.
    Up,
    /// Working, except for a part that cannot, such as one of several modules of a script.
    Degraded(String),
    /// A device, host or server is missing; the instance tries again.
    Waiting(String),
    /// The instance cannot work; the configuration or a file that it loads has to change.
    Failed(String),
    /// The instance has stopped.
    Stopped,
}

impl State {
    /// One word: `starting`, `up`, `degraded`, `waiting`, `failed`, `stopped`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Up => "up",
            State::Degraded(_) => "degraded",
            State::Waiting(_) => "waiting",
            State::Failed(_) => "failed",
            State::Stopped => "stopped",
        }
    }

    /// The reason of `degraded`, `waiting` and `failed`.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Degraded(reason) | State::Waiting(reason) | State::Failed(reason) => {
                Some(reason)
            }
            _ => None,
        }
    }

    /// Cuts the reason after its first line and returns the rest: a reason is one line in every
    /// view.
    pub(crate) fn take_details(&mut self) -> Option<String> {
        let reason = match self {
            State::Degraded(reason) | State::Waiting(reason) | State::Failed(reason) => reason,
            _ => return None,
        };
        let end = reason.find('\n')?;
        let details = reason.split_off(end);
        reason.truncate(reason.trim_end().len());
        Some(details[1..].to_owned()).filter(|details| !details.trim().is_empty())
    }
}

/// Counts of an instance since the start: events that it passed to the router, received from it
/// and dropped, errors, and datagrams that did not get through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that came in through it.
    pub incoming: u64,
    /// Events that went out through it.
    pub outgoing: u64,
    /// Events that it, or its queue, dropped.
    pub dropped: u64,
    /// Errors of the instance.
    pub errors: u64,
    /// Received datagrams that the kernel dropped, because the instance's receive buffer was full.
    pub lost: u64,
    /// Sent datagrams for which a host reported that nobody takes them.
    pub refused: u64,
}

/// [`Counters`] as the router writes them.
#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    pub(crate) incoming: AtomicU64,
    pub(crate) outgoing: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// Adds to a counter that only the router's thread writes: a load and a store, no locked
/// instruction.
#[inline]
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// The last value of a channel, and the number of values so far.
#[derive(Debug, Default)]
pub(crate) struct LiveChannel {
    value: AtomicU64,
    events: AtomicU64,
}

impl LiveChannel {
    /// A copy for the show after a reload, with the same value and count.
    pub(crate) fn copied(&self) -> LiveChannel {
        LiveChannel {
            value: AtomicU64::new(self.value.load(Ordering::Relaxed)),
            events: AtomicU64::new(self.events.load(Ordering::Relaxed)),
        }
    }

    /// The last value; none before the first.
    pub(crate) fn last(&self) -> Option<f64> {
        let has_value = self.events.load(Ordering::Relaxed) > 0;
        has_value.then(|| f64::from_bits(self.value.load(Ordering::Relaxed)))
    }

    /// The number of values so far.
    pub(crate) fn count(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Records the last of several values.
    pub(crate) fn record_many(&self, value: f64, count: u64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        add(&self.events, count);
    }

    #[inline]
    pub(crate) fn record(&self, value: f64) {
        self.value.store(value.to_bits(), Ordering::Relaxed);
        add(&self.events, 1);
    }
}

/// Files besides the configuration that an instance has loaded.
#[derive(Debug)]
pub(crate) struct LoadedFiles {
    pub(crate) paths: Vec<PathBuf>,
    /// When it began to load them.
    pub(crate) since: SystemTime,
}

impl Default for LoadedFiles {
    fn default() -> Self {
        LoadedFiles { paths: Vec::new(), since: SystemTime::UNIX_EPOCH }
    }
}

/// What the running configuration contains for a backend.
#[derive(Clone, Debug)]
pub(crate) struct OriginBackend {
    pub(crate) name: &'static str,
    pub(crate) options: Options,
}

/// What the running configuration contains for an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct OriginInstance {
    pub(crate) options: Options,
    pub(crate) passes_on: bool,
}

/// What the running configuration contains, for comparing it with a reloaded one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// By the slot of their drivers.
    pub(crate) backends: Vec<Option<OriginBackend>>,
    /// By slot.
    pub(crate) instances: Vec<OriginInstance>,
}

/// What other threads see of an instance.
#[derive(Debug)]
pub(crate) struct LiveInstance {
    pub(crate) name: String,
    pub(crate) backend: &'static str,
    pub(crate) id: InstanceId,
    /// Its place in the order of the configuration.
    pub(crate) number: u32,
    pub(crate) base: usize,
    pub(crate) channels: Arc<[ChannelInfo]>,
    pub(crate) counters: Arc<LiveCounters>,
    pub(crate) state: Arc<Mutex<State>>,
    /// What an instance that works has to report.
    pub(crate) note: Arc<Mutex<Option<String>>>,
    /// Packets, messages or frames that arrived, and when the last one did: microseconds since
    /// the start, or 0 for never.
    pub(crate) packets: Arc<AtomicU64>,
    pub(crate) last_input: Arc<AtomicU64>,
    pub(crate) unmatched_count: Arc<AtomicU64>,
    pub(crate) unmatched: Arc<Mutex<UnmatchedLog>>,
    /// Files besides the configuration that the instance has loaded.
    pub(crate) files: Arc<Mutex<LoadedFiles>>,
    /// What an instance reports about itself besides its state.
    pub(crate) details: Arc<Mutex<Option<String>>>,
}

impl LiveInstance {
    pub(crate) fn new(
        name: String,
        backend: &'static str,
        id: InstanceId,
        base: usize,
        channels: Vec<ChannelInfo>,
    ) -> Self {
        LiveInstance {
            name,
            backend,
            id,
            number: 0,
            base,
            channels: channels.into(),
            counters: Arc::default(),
            state: Arc::new(Mutex::new(State::Starting)),
            note: Arc::default(),
            packets: Arc::default(),
            last_input: Arc::default(),
            unmatched_count: Arc::default(),
            unmatched: Arc::default(),
            files: Arc::default(),
            details: Arc::default(),
        }
    }

    /// A slot without an instance, whose next instance will have that number.
    pub(crate) fn vacant(id: InstanceId) -> Self {
        LiveInstance::new(String::new(), "", id, 0, Vec::new())
    }

    /// The next instance of the same name, place and channels.
    pub(crate) fn renewed(&self, id: InstanceId) -> Self {
        LiveInstance {
            number: self.number,
            channels: Arc::clone(&self.channels),
            ..LiveInstance::new(self.name.clone(), self.backend, id, self.base, Vec::new())
        }
    }

    /// The names of its channels, in the order of their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// The same instance after a reload: it keeps its state and counters.
    pub(crate) fn adopted(&self, base: usize, channels: Arc<[ChannelInfo]>) -> Self {
        LiveInstance {
            name: self.name.clone(),
            backend: self.backend,
            id: self.id,
            number: self.number,
            base,
            channels,
            counters: Arc::clone(&self.counters),
            state: Arc::clone(&self.state),
            note: Arc::clone(&self.note),
            packets: Arc::clone(&self.packets),
            last_input: Arc::clone(&self.last_input),
            unmatched_count: Arc::clone(&self.unmatched_count),
            unmatched: Arc::clone(&self.unmatched),
            files: Arc::clone(&self.files),
            details: Arc::clone(&self.details),
        }
    }
}

/// A mapped channel: its name and what its instance declares about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelInfo {
    /// The channel as the configuration spells it first, without the instance.
    pub name: String,
    /// Whether a mapping reads it.
    pub is_source: bool,
    /// Whether a mapping writes it.
    pub is_target: bool,
    /// How its values behave.
    pub kind: ChannelKind,
    /// How finely it distinguishes values.
    pub resolution: Resolution,
}

/// A running show, shared between the router and its views.
#[derive(Debug)]
pub struct Live {
    /// By slot.
    pub(crate) instances: Vec<LiveInstance>,
    /// The slots of the instances, in the order of the configuration.
    pub(crate) order: Vec<u32>,
    pub(crate) channels: Vec<LiveChannel>,
    /// The channels whose values go as blocks.
    pub(crate) blocks: Blocks,
    pub(crate) routes: Arc<Routes>,
    pub(crate) mapped: Arc<LiveRoutes>,
    /// By channel number in the show: the last text of each channel that had one, and the count of
    /// texts.
    pub(crate) texts: Mutex<HashMap<u32, (String, u64)>>,
    pub(crate) generation: u64,
    pub(crate) is_replaced: AtomicBool,
    pub(crate) running: Arc<AtomicBool>,
    /// The outputs keep their values.
    pub(crate) holding: Arc<AtomicBool>,
    pub(crate) origin: Origin,
}

impl Live {
    /// A layout of nothing.
    pub(crate) fn empty() -> Self {
        Live {
            instances: Vec::new(),
            order: Vec::new(),
            channels: Vec::new(),
            blocks: Blocks::default(),
            routes: Arc::default(),
            mapped: Arc::default(),
            texts: Mutex::default(),
            generation: 0,
            is_replaced: AtomicBool::new(false),
            running: Arc::default(),
            holding: Arc::default(),
            origin: Origin::default(),
        }
    }

    /// Slot and channel of a channel's number in the show.
    pub(crate) fn place(&self, global: u32) -> (usize, u32) {
        let bases = &self.routes.bases;
        let slot = bases.partition_point(|&base| base <= global) - 1;
        (slot, global - bases[slot])
    }

    /// How many instances the show has.
    pub fn instance_count(&self) -> usize {
        self.order.len()
    }

    /// The place of an instance in the order of the configuration, by which views number it.
    pub fn number(&self, instance: InstanceId) -> u32 {
        self.instances[instance.index()].number
    }

    /// An instance's name.
    pub fn instance_name(&self, instance: InstanceId) -> &str {
        &self.instances[instance.index()].name
    }

    /// The instance of that name.
    pub fn find_instance(&self, name: &str) -> Option<InstanceId> {
        self.instance_ids().find(|&id| self.instance_name(id) == name)
    }

    /// The name of an instance's backend.
    pub fn backend_name(&self, instance: InstanceId) -> &'static str {
        self.instances[instance.index()].backend
    }

    /// What an instance is doing.
    pub fn state(&self, instance: InstanceId) -> State {
        self.instances[instance.index()].state.lock().clone()
    }

    /// What an instance reports beside its state, such as a source that it has lost; none in the
    /// usual case.
    pub fn note(&self, instance: InstanceId) -> Option<String> {
        self.instances[instance.index()].note.lock().clone()
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
            lost: counters.lost.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
        }
    }

    /// An instance's mapped channels, in the order of their numbers.
    pub fn channel_infos(&self, instance: InstanceId) -> &[ChannelInfo] {
        &self.instances[instance.index()].channels
    }

    /// The number of a mapped channel by its name.
    pub fn find_channel(&self, instance: InstanceId, name: &str) -> Option<u32> {
        let channels = &self.instances[instance.index()].channels;
        Some(channels.iter().position(|channel| channel.name == name)? as u32)
    }

    /// The instances in the order of the configuration.
    pub fn instance_ids(&self) -> impl Iterator<Item = InstanceId> {
        self.order.iter().map(|&slot| self.instances[slot as usize].id)
    }

    /// The instance in a slot.
    pub(crate) fn instance_in(&self, slot: u32) -> Option<InstanceId> {
        self.order.contains(&slot).then(|| self.instances[slot as usize].id)
    }

    /// Whether the show has this instance now: same slot, same generation.
    pub fn has_instance(&self, instance: InstanceId) -> bool {
        self.instances.get(instance.index()).is_some_and(|live| live.id == instance)
    }

    /// The targets of a channel, in the order of the mappings.
    pub fn targets(
        &self,
        instance: InstanceId,
        channel: u32,
    ) -> impl Iterator<Item = (InstanceId, u32)> + '_ {
        let global = self.instances[instance.index()].base as u32 + channel;
        let targets = self.routes.targets(global).iter();
        targets.map(|target| (self.instances[target.instance as usize].id, target.channel))
    }

    /// How many packets, messages or frames arrived at an instance, matched or not, and how long
    /// after the start the last one did.
    pub fn input(&self, instance: InstanceId) -> (u64, Option<Duration>) {
        let live = &self.instances[instance.index()];
        let last = live.last_input.load(Ordering::Relaxed);
        let last = (last > 0).then(|| Duration::from_micros(last));
        (live.packets.load(Ordering::Relaxed), last)
    }

    /// How many inputs of an instance belonged to no mapped channel.
    pub fn unmatched_count(&self, instance: InstanceId) -> u64 {
        self.instances[instance.index()].unmatched_count.load(Ordering::Relaxed)
    }

    /// The last different inputs of an instance that belonged to no mapped channel, the newest
    /// first; at most [`MAX_UNMATCHED`](crate::unmatched::MAX_UNMATCHED). Input that arrives while
    /// they are copied is only counted.
    pub fn unmatched(&self, instance: InstanceId) -> Vec<UnmatchedInput> {
        self.instances[instance.index()].unmatched.lock().newest_first()
    }

    /// The files besides the configuration that an instance has loaded, such as the modules of a
    /// script: when one changes, the instance is to be restarted.
    pub fn files(&self, instance: InstanceId) -> Vec<PathBuf> {
        self.instances[instance.index()].files.lock().paths.clone()
    }

    /// The first of the files that an instance has loaded that was changed or removed since, by
    /// the time of its last change of contents or name. Reads the file system.
    pub fn changed_file(&self, instance: InstanceId) -> Option<PathBuf> {
        use std::os::unix::fs::MetadataExt;
        let files = self.instances[instance.index()].files.lock();
        let since = files.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let has_changed = |path: &&PathBuf| {
            std::fs::metadata(path).map_or(true, |metadata| {
                let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
                (seconds, nanos) > (since.as_secs() as i64, i64::from(since.subsec_nanos()))
            })
        };
        files.paths.iter().find(has_changed).cloned()
    }

    /// What an instance reports about itself besides its state, in one line, such as its peers.
    pub fn details(&self, instance: InstanceId) -> Option<String> {
        self.instances[instance.index()].details.lock().clone()
    }

    /// The last text of a channel, and the number of texts so far.
    pub fn text(&self, instance: InstanceId, channel: u32) -> Option<(String, u64)> {
        let global = self.instances[instance.index()].base as u32 + channel;
        self.texts.lock().get(&global).cloned()
    }

    /// The last text of every channel that had one: instance, channel, text, number of texts.
    pub fn texts(&self) -> Vec<(InstanceId, u32, String, u64)> {
        let texts = self.texts.lock();
        let mut list: Vec<_> = texts
            .iter()
            .map(|(&global, (text, count))| {
                let (slot, channel) = self.place(global);
                (self.instances[slot].id, channel, text.clone(), *count)
            })
            .collect();
        list.sort_by_key(|&(instance, channel, ..)| (instance, channel));
        list
    }

    /// Records a text on the router's thread; it is skipped while a view reads the texts.
    pub(crate) fn record_text(&self, global: u32, text: &str) {
        let Some(mut texts) = self.texts.try_lock() else { return };
        let (last, count) = texts.entry(global).or_default();
        last.clear();
        last.push_str(text);
        *count += 1;
    }

    /// The number of this layout of instances and channels: a reload increments it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a reload has replaced this view; [`Handle::live`](crate::Handle::live) has the new
    /// one.
    pub fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// The last value of a channel and how many values it has had; none before the first.
    pub fn channel(&self, instance: InstanceId, channel: u32) -> Option<(f64, u64)> {
        self.last(self.instances[instance.index()].base as u32 + channel)
    }

    /// [`channel`](Self::channel) by the channel's number in the show.
    pub(crate) fn last(&self, global: u32) -> Option<(f64, u64)> {
        self.blocks.channel(global, &self.channels)
    }

    /// Records a value of a channel that may be one of a run, on the router's thread.
    pub(crate) fn record(&self, global: u32, value: f64) {
        self.blocks.settle(global, &self.channels);
        self.channels[global as usize].record(value);
    }

    /// False once the router has left its loop.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Whether no mapping passes anything on, see [`Handle::hold`](crate::Handle::hold).
    pub fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Relaxed)
    }
}
