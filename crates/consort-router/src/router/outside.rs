//! Feedback through the outside: MIDI Through, a synthesizer that echoes, two instances that face
//! each other.
//!
//! The router cannot see such a loop in its routes. The thread that watches the event loop
//! ([`Handle::watch`]) samples the counts of the channels that mappings read, so that the path of
//! an event has no additional instruction. For a channel with more than [`SUSPICIOUS_RATE`] values per
//! second it asks the router for a *guard*, which lies on the channel until the loop has ended:
//!
//! ```text
//! probing    the channel's events are kept for up to 150 ms
//!   ├─ more arrive after 30 ms ──► a fast source: all kept events are routed; not probed again
//!   └─ no more arrive ───────────► what is sent comes back: reported with the channels
//! limiting   10 events in 10 ms, at most; of the rest the last one is kept for the next 10 ms
//!   ├─ more than 100 in 10 ms ───► a source that sends in bursts; not probed again
//!   └─ fewer than 500 in a second: the loop has ended, no guard
//! ```
//!
//! A channel with a guard has a mark, so that only its events take the slow path that marked channels
//! take anyway.

use std::time::{Duration, Instant};

use super::{Command, Handle, Router};
use crate::context::{DriverId, Shared};
use crate::engine::MARK_GUARD;
use crate::event::{Event, InstanceId};
use crate::live::{Live, add};
use crate::routes::Routes;

/// Values per second above which a channel is probed.
const SUSPICIOUS_RATE: u64 = 1_500;
/// The time between two samples of the counts.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(400);
/// How long the events of a probed channel are kept, and from when on they are counted: what was on
/// its way has arrived then.
const PROBE_TIME: Duration = Duration::from_millis(150);
const SETTLE_TIME: Duration = Duration::from_millis(30);
/// How often the counts of a probe are looked at.
const PROBE_INTERVAL: Duration = Duration::from_millis(10);
/// The most events that are kept; later ones are dropped and counted.
const MAX_KEPT: usize = 65_536;
/// How many events of a loop pass in one window: 1,000 per second.
const WINDOW: Duration = Duration::from_millis(10);
const EVENTS_PER_WINDOW: u32 = 10;
/// A loop returns a few events for each one that passes; a source may send more than this.
const BURST_EVENTS: u64 = 100;
/// A loop has ended if fewer events arrive in this time.
const RELEASE_TIME: Duration = Duration::from_secs(1);
const RELEASE_EVENTS: u64 = 500;
/// A source is not probed again unless its rate grows by this factor.
const EXEMPT_GROWTH: u64 = 4;
/// How many channels a report names.
const MAX_NAMES: usize = 8;

/// What a guard does with its channel's events.
#[derive(Debug)]
enum Phase {
    /// Keeps them, and counts those after the settling time.
    Probing { since: Instant, late: u64 },
    /// Lets some pass.
    Limiting {
        /// The events of this window that passed, and that arrived.
        passed: u32,
        in_window: u64,
        /// The events since `since`.
        arrived: u64,
        since: Instant,
        dropped: u64,
    },
}

/// Why a guard ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The channel has a fast source.
    Source,
    /// The loop has ended.
    Ended,
}

/// A guard on a channel.
#[derive(Debug)]
struct Guard {
    /// The channel's number in the show.
    channel: u32,
    /// Values per second before the guard.
    rate: u64,
    kept: Vec<Event>,
    phase: Phase,
}

/// The guards of a show, and the channels that need none.
#[derive(Debug, Default)]
pub(super) struct Guards {
    guards: Vec<Guard>,
    /// Sources, with the rate up to which they are not probed.
    exempt: Vec<(u32, u64)>,
}

impl Guards {
    /// Whether a guard keeps an event back. Allocates while a channel is probed.
    // Not part of the loop over other channels, so that this keeps its registers.
    #[cold]
    #[inline(never)]
    pub(super) fn stops(&mut self, event: Event, live: &Live, now: Instant) -> bool {
        let Some(guard) = self.guards.iter_mut().find(|guard| guard.channel == event.channel)
        else {
            return false;
        };
        match &mut guard.phase {
            Phase::Probing { since, late } => {
                *late += u64::from(now.duration_since(*since) >= SETTLE_TIME);
                if guard.kept.len() < MAX_KEPT {
                    guard.kept.push(event);
                } else {
                    count_dropped(live, event.channel, 1);
                }
                true
            }
            Phase::Limiting { passed, in_window, dropped, .. } => {
                *in_window += 1;
                if *passed < EVENTS_PER_WINDOW {
                    *passed += 1;
                    return false;
                }
                // The last value counts: it is routed in the next window.
                if !guard.kept.is_empty() {
                    guard.kept.clear();
                    *dropped += 1;
                    count_dropped(live, event.channel, 1);
                }
                guard.kept.push(event);
                true
            }
        }
    }
}

fn owner(live: &Live, channel: u32) -> usize {
    live.routes.bases.partition_point(|&base| base <= channel) - 1
}

fn count_dropped(live: &Live, channel: u32, count: u64) {
    add(&live.instances[owner(live, channel)].counters.dropped, count);
}

/// `INSTANCE.CHANNEL` of a channel.
fn name(live: &Live, channel: u32) -> String {
    let instance = &live.instances[owner(live, channel)];
    format!("{}.{}", instance.name, instance.channels[channel as usize - instance.base].name)
}

/// The channels on which the values of a channel leave the show, through instances that pass them
/// on; the first few.
fn outputs(routes: &Routes, channel: u32) -> Vec<u32> {
    let (mut found, mut seen, mut open) = (Vec::new(), vec![channel], vec![channel]);
    while let Some(channel) = open.pop() {
        for target in routes.targets(channel) {
            if found.len() >= MAX_NAMES {
                return found;
            }
            if target.passes_on && !seen.contains(&target.global) {
                seen.push(target.global);
                open.push(target.global);
            } else if !target.passes_on && !found.contains(&target.global) {
                found.push(target.global);
            }
        }
    }
    found
}

impl Router {
    /// Puts a guard on a channel, if it has none; one channel is probed at a time, because what one
    /// channel keeps another one may wait for.
    pub(super) fn guard(&mut self, channel: u32, rate: u64) {
        let now = Instant::now();
        let guards = &mut self.guards;
        let is_probing = |guard: &Guard| matches!(guard.phase, Phase::Probing { .. });
        if guards.exempt.iter().any(|(exempt, limit)| *exempt == channel && rate <= *limit)
            || guards.guards.iter().any(|guard| guard.channel == channel || is_probing(guard))
        {
            return;
        }
        self.engine.marks[channel as usize] |= MARK_GUARD;
        let phase = Phase::Probing { since: now, late: 0 };
        guards.guards.push(Guard { channel, rate, kept: Vec::new(), phase });
        self.set_guard_timer(now + SETTLE_TIME + PROBE_INTERVAL);
    }

    /// The slot of the guards' timer, after those of the drivers.
    fn set_guard_timer(&mut self, time: Instant) {
        self.shared.driver_deadlines.set(self.drivers.len(), Some(time));
    }

    /// Whether the timer of this number is that of the guards.
    pub(super) fn is_guard_timer(&self, id: DriverId) -> bool {
        id.0 as usize == self.drivers.len()
    }

    /// Removes all guards and routes what they keep, before channels get other numbers.
    pub(super) fn drop_guards(&mut self) {
        while !self.guards.guards.is_empty() {
            let kept = self.remove_guard(0).kept;
            self.shared.arrived.values.extend(kept);
        }
        self.guards.exempt.clear();
        self.shared.driver_deadlines.set(self.drivers.len(), None);
        self.route();
    }

    /// Ends probes and windows, and routes what was kept.
    #[cold]
    pub(super) fn check_guards(&mut self) {
        let now = self.shared.now;
        let mut released = Vec::new();
        for index in (0..self.guards.guards.len()).rev() {
            let guard = &mut self.guards.guards[index];
            let end = match &mut guard.phase {
                Phase::Probing { since, late } => {
                    let observed = now.duration_since(*since).saturating_sub(SETTLE_TIME);
                    let expected = guard.rate * observed.as_millis() as u64 / 1_000;
                    if expected > 0 && *late * 2 > expected {
                        Some(Verdict::Source)
                    } else if now < *since + PROBE_TIME {
                        None
                    } else if *late * 10 > expected {
                        Some(Verdict::Source)
                    } else {
                        report(&self.routes, &self.shared, guard.channel, guard.rate);
                        released.extend(guard.kept.pop());
                        let dropped = guard.kept.len() as u64;
                        count_dropped(&self.shared.live, guard.channel, dropped);
                        guard.kept.clear();
                        guard.phase = Phase::Limiting {
                            passed: 0,
                            in_window: 0,
                            arrived: 0,
                            since: now,
                            dropped,
                        };
                        None
                    }
                }
                Phase::Limiting { passed, in_window, arrived, since, .. } => {
                    *arrived += *in_window;
                    let is_burst = *in_window > BURST_EVENTS;
                    (*passed, *in_window) = (0, 0);
                    let is_over = now.duration_since(*since) >= RELEASE_TIME;
                    if is_burst {
                        Some(Verdict::Source)
                    } else if is_over && *arrived < RELEASE_EVENTS {
                        Some(Verdict::Ended)
                    } else {
                        if is_over {
                            (*since, *arrived) = (now, 0);
                        }
                        released.extend(guard.kept.pop());
                        None
                    }
                }
            };
            if let Some(verdict) = end {
                if verdict == Verdict::Source {
                    let (channel, limit) =
                        (guard.channel, guard.rate.saturating_mul(EXEMPT_GROWTH));
                    self.guards.exempt.retain(|(exempt, _)| *exempt != channel);
                    self.guards.exempt.push((channel, limit));
                }
                released.extend(self.remove_guard(index).kept);
            }
        }
        if !self.guards.guards.is_empty() {
            self.set_guard_timer(now + PROBE_INTERVAL.min(WINDOW));
        }
        if !released.is_empty() {
            self.shared.arrived.values.extend(released);
            self.route();
        }
    }

    /// Removes a guard; reports the end of a loop.
    fn remove_guard(&mut self, index: usize) -> Guard {
        let guard = self.guards.guards.remove(index);
        self.engine.marks[guard.channel as usize] &= !MARK_GUARD;
        if let Phase::Limiting { dropped, .. } = guard.phase {
            let live = &self.shared.live;
            live.instances[owner(live, guard.channel)].note.lock().take();
            tracing::info!(
                "feedback through `{}` has ended; values dropped: {dropped}",
                name(live, guard.channel)
            );
        }
        guard
    }
}

/// Reports a loop: in the log, and as the note of the instance that hears itself.
fn report(routes: &Routes, shared: &Shared, channel: u32, rate: u64) {
    let live = &shared.live;
    let outputs: Vec<String> = outputs(routes, channel)
        .iter()
        .map(|output| format!("`{}`", name(live, *output)))
        .collect();
    let text = format!(
        "feedback: what `{}` sends to {} comes back from outside, at {rate} values/s; it is limited to \
         1,000/s until that ends",
        name(live, channel),
        outputs.join(", ")
    );
    tracing::warn!("{text}");
    *live.instances[owner(live, channel)].note.lock() = Some(text);
}

/// The counts of the channels at some time.
#[derive(Default)]
pub(crate) struct Samples {
    generation: u64,
    time: Option<Instant>,
    counts: Vec<u64>,
}

impl Samples {
    /// Takes a sample, unless the last one is recent. Asks for a guard on the channel whose count
    /// has grown the most, if that is suspicious.
    pub(crate) fn take(&mut self, handle: &Handle) {
        let now = Instant::now();
        let elapsed = self.time.map(|time| now.duration_since(time));
        if elapsed.is_some_and(|elapsed| elapsed < SAMPLE_INTERVAL) {
            return;
        }
        let live = handle.live();
        let counts = live.blocks.counts(&live.channels);
        if let Some(elapsed) = elapsed
            && self.generation == live.generation()
        {
            let per_second = |count: u64| count * 1_000 / elapsed.as_millis().max(1) as u64;
            let is_source = |channel: u32| {
                let routes = &live.routes;
                !routes.targets(channel).is_empty() && !routes.passes_on[owner(&live, channel)]
            };
            let growth = counts.iter().zip(&self.counts).map(|(new, old)| new.wrapping_sub(*old));
            let mut fastest: Vec<(u64, u32)> = growth
                .zip(0..)
                .map(|(count, channel)| (per_second(count), channel))
                .filter(|(rate, channel)| *rate > SUSPICIOUS_RATE && is_source(*channel))
                .collect();
            fastest.sort_unstable_by(|one, other| other.cmp(one));
            for (rate, channel) in fastest.into_iter().take(MAX_NAMES) {
                let instance = live.instances[owner(&live, channel)].id;
                let channel = channel - live.routes.bases[instance.index()];
                handle.suspect(instance, channel, rate, live.generation());
            }
        }
        *self = Self { generation: live.generation(), time: Some(now), counts };
    }
}

impl Handle {
    /// Asks for a guard on a channel.
    fn suspect(&self, instance: InstanceId, channel: u32, rate: u64, generation: u64) {
        self.for_generation(generation).push(Command::Guard { instance, channel, rate });
    }
}
