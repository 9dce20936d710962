//! Queues: scheduled events in the order in which they are due, and the timer of each queue.
//!
//! A timer does not tick. It stores the queue's position at one moment of the engine's clock
//! (`since`) and the queue's speed, and computes every other position from these two. Before the
//! speed changes, [`Timer::settle`] moves `since` to the present.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::pool::Stored;
use crate::engine::Errno;
use crate::raw::{Event, QueueTimer, RealTime, TimerId, event_flag, timer_type};

/// The maximum number of queues: numbers 0 to 31.
pub(super) const MAX_QUEUES: usize = 32;
/// The only base of a skew that is accepted.
pub(super) const SKEW_BASE: u32 = 0x1_0000;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// Nanoseconds after which the 32 bits of a queue's seconds wrap round.
const REAL_TIME_PERIOD: u64 = NANOSECONDS_PER_SECOND << 32;

/// Nanoseconds of a time stamp. A stamp that is not normalised is due with the next full second,
/// because stamps are compared by their seconds first.
const fn nanoseconds_of(time: RealTime) -> u64 {
    let nanoseconds = time.nanoseconds as u64;
    let fraction =
        if nanoseconds < NANOSECONDS_PER_SECOND { nanoseconds } else { NANOSECONDS_PER_SECOND };
    time.seconds as u64 * NANOSECONDS_PER_SECOND + fraction
}

const fn real_time_of(nanoseconds: u64) -> RealTime {
    RealTime {
        seconds: (nanoseconds / NANOSECONDS_PER_SECOND) as u32,
        nanoseconds: (nanoseconds % NANOSECONDS_PER_SECOND) as u32,
    }
}

/// The clock of a queue: its position at one moment of the engine's clock, and its speed.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) running: bool,
    pub(super) tempo: u32,
    pub(super) ppq: i32,
    pub(super) tempo_base: u16,
    pub(super) skew: u32,
    pub(super) source: QueueTimer,
    /// Whether the timer has ever been started.
    initialised: bool,
    /// Nanoseconds of a tick.
    resolution: u64,
    /// Engine time at which the queue had the position in the three fields below.
    since: u64,
    time: u64,
    tick: u32,
    /// Nanoseconds since the beginning of the tick.
    fraction: u64,
}

impl Timer {
    fn new() -> Self {
        let mut timer = Self {
            running: false,
            tempo: 0,
            ppq: 0,
            tempo_base: 1000,
            skew: SKEW_BASE,
            source: QueueTimer::default(),
            initialised: false,
            resolution: 1,
            since: 0,
            time: 0,
            tick: 0,
            fraction: 0,
        };
        timer.set_defaults();
        timer
    }

    /// Resets the timer, as the kernel does when a queue gets its first user.
    pub(super) fn set_defaults(&mut self) {
        self.tempo = 500_000;
        self.ppq = 96;
        self.tempo_base = 1000;
        self.update_resolution();
        self.running = false;
        self.skew = SKEW_BASE;
        // The kernel's global high-resolution timer.
        let id = TimerId { class: 1, slave_class: 2, card: -1, device: 3, subdevice: 0 };
        self.source = QueueTimer { kind: timer_type::ALSA, id, ..QueueTimer::default() };
    }

    fn update_resolution(&mut self) {
        let unit = u64::from(self.tempo_base);
        let ppq = u64::from(self.ppq.cast_unsigned()).max(1);
        self.resolution = (u64::from(self.tempo) * unit / ppq).max(1);
    }

    /// Queue nanoseconds from `since` to `now`.
    fn elapsed(&self, now: u64) -> u64 {
        if !self.running {
            return 0;
        }
        let elapsed = now.saturating_sub(self.since);
        if self.skew == SKEW_BASE {
            return elapsed;
        }
        let skewed = u128::from(elapsed) * u128::from(self.skew) / u128::from(SKEW_BASE);
        u64::try_from(skewed).unwrap_or(u64::MAX)
    }

    fn time_at(&self, now: u64) -> u64 {
        self.time.saturating_add(self.elapsed(now))
    }

    pub(super) fn real_time(&self, now: u64) -> RealTime {
        real_time_of(self.time_at(now))
    }

    pub(super) fn tick(&self, now: u64) -> u32 {
        let ticks = self.fraction.saturating_add(self.elapsed(now)) / self.resolution;
        self.tick.wrapping_add(ticks as u32)
    }

    /// Makes `now` the moment from which positions are computed. Call this before any change of
    /// speed.
    fn settle(&mut self, now: u64) {
        let elapsed = self.elapsed(now);
        let offset = self.fraction.saturating_add(elapsed);
        self.tick = self.tick.wrapping_add((offset / self.resolution) as u32);
        self.fraction = offset % self.resolution;
        self.time = self.time.saturating_add(elapsed) % REAL_TIME_PERIOD;
        self.since = now;
    }

    /// Engine time that is `wait` queue nanoseconds after `since`; `None` if it is never reached.
    fn moment_after(&self, wait: u128) -> Option<u64> {
        if wait == 0 {
            return Some(self.since);
        }
        if !self.running || self.skew == 0 {
            return None;
        }
        let wait = if self.skew == SKEW_BASE {
            wait
        } else {
            (wait * u128::from(SKEW_BASE)).div_ceil(u128::from(self.skew))
        };
        u64::try_from(wait).ok()?.checked_add(self.since)
    }

    fn moment_of_tick(&self, tick: u32) -> Option<u64> {
        let ticks = u128::from(tick.saturating_sub(self.tick));
        self.moment_after(
            (ticks * u128::from(self.resolution)).saturating_sub(self.fraction.into()),
        )
    }

    fn moment_of_time(&self, time: RealTime) -> Option<u64> {
        let due = nanoseconds_of(time);
        // The clock wraps round before it reaches a stamp above its largest time.
        (due < REAL_TIME_PERIOD)
            .then(|| self.moment_after(u128::from(due.saturating_sub(self.time))))?
    }

    fn reset(&mut self, now: u64) {
        self.since = now;
        self.time = 0;
        self.tick = 0;
        self.fraction = 0;
    }

    pub(super) fn start(&mut self, now: u64) {
        self.reset(now);
        self.initialised = true;
        self.running = true;
    }

    pub(super) fn stop(&mut self, now: u64) {
        self.settle(now);
        self.running = false;
    }

    /// Continues from the present position. A running timer is left unchanged (`EBUSY`).
    pub(super) fn resume(&mut self, now: u64) -> Result<(), Errno> {
        if self.running {
            return Err(Errno::BUSY);
        }
        if self.initialised {
            self.settle(now);
        } else {
            self.reset(now);
            self.initialised = true;
        }
        self.running = true;
        Ok(())
    }

    pub(super) fn set_tempo(&mut self, now: u64, tempo: i32) -> Result<(), Errno> {
        if tempo <= 0 {
            return Err(Errno::INVALID);
        }
        self.settle(now);
        self.tempo = tempo.cast_unsigned();
        self.update_resolution();
        Ok(())
    }

    pub(super) fn set_tempo_and_resolution(
        &mut self,
        now: u64,
        tempo: u32,
        ppq: i32,
        base: u16,
    ) -> Result<(), Errno> {
        if tempo.cast_signed() <= 0 || ppq <= 0 || !matches!(base, 0 | 10 | 1000) {
            return Err(Errno::INVALID);
        }
        if self.running && ppq != self.ppq {
            return Err(Errno::BUSY);
        }
        self.settle(now);
        self.tempo = tempo;
        self.ppq = ppq;
        self.tempo_base = if base == 0 { 1000 } else { base };
        self.update_resolution();
        Ok(())
    }

    pub(super) fn set_skew(&mut self, now: u64, value: u32, base: u32) -> Result<(), Errno> {
        if base != SKEW_BASE {
            return Err(Errno::INVALID);
        }
        self.settle(now);
        self.skew = value;
        Ok(())
    }

    pub(super) fn set_tick(&mut self, now: u64, tick: u32) {
        self.settle(now);
        self.tick = tick;
        self.fraction = 0;
    }

    pub(super) fn set_time(&mut self, now: u64, time: RealTime) {
        self.settle(now);
        let nanoseconds = u64::from(time.nanoseconds);
        self.time =
            (u64::from(time.seconds) * NANOSECONDS_PER_SECOND + nanoseconds) % REAL_TIME_PERIOD;
    }
}

/// A scheduled event, ordered by its time stamp. Events with equal stamps keep the order in which
/// they were queued; those of high priority come first, the last queued before the others.
#[derive(Debug)]
struct Scheduled {
    key: u64,
    order: i64,
    stored: Stored,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key, self.order).cmp(&(other.key, other.order))
    }
}

/// A key that orders real-time stamps as the kernel compares them.
const fn key_of_time(time: RealTime) -> u64 {
    (time.seconds as u64) << 32 | time.nanoseconds as u64
}

/// How events with equal time stamps are ordered. Both fields are false unless a deliberate fault
/// is on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TieOrder {
    pub(super) ignore_priority: bool,
    pub(super) last_first: bool,
}

/// A queue: its timer, its users and the events that it will deliver.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) owner: u8,
    pub(super) locked: bool,
    pub(super) flags: u32,
    pub(super) name: [u8; 64],
    /// Bit set of the clients that use the queue.
    users: [u64; 4],
    pub(super) timer: Timer,
    /// Events scheduled in ticks.
    ticks: BinaryHeap<Reverse<Scheduled>>,
    /// Events scheduled in real time.
    times: BinaryHeap<Reverse<Scheduled>>,
    /// Number of events queued so far.
    counter: i64,
}

impl Queue {
    pub(super) fn new(owner: u8, locked: bool, flags: u32) -> Self {
        Self {
            owner,
            locked,
            flags,
            name: [0; 64],
            users: [0; 4],
            timer: Timer::new(),
            ticks: BinaryHeap::new(),
            times: BinaryHeap::new(),
            counter: 0,
        }
    }

    pub(super) const fn may_be_controlled_by(&self, client: u8) -> bool {
        self.owner == client || !self.locked
    }

    pub(super) const fn is_used_by(&self, client: u8) -> bool {
        self.users[client as usize / 64] & (1 << (client % 64)) != 0
    }

    pub(super) fn user_count(&self) -> u32 {
        self.users.iter().map(|word| word.count_ones()).sum()
    }

    /// Records whether a client uses the queue. The timer is reset whenever the queue's only user
    /// declares its use, even repeatedly, and stops when the last user leaves.
    pub(super) fn set_used(&mut self, client: u8, used: bool, now: u64) {
        if self.is_used_by(client) != used {
            self.users[client as usize / 64] ^= 1 << (client % 64);
        }
        match (used, self.user_count()) {
            (true, 1) => {
                self.timer.stop(now);
                self.timer.set_defaults();
            }
            (false, 0) => self.timer.stop(now),
            _ => {}
        }
    }

    /// Whether the timer can be started: a queue without users has none.
    pub(super) fn has_timer(&self) -> bool {
        self.user_count() > 0
    }

    pub(super) fn event_count(&self) -> usize {
        self.ticks.len() + self.times.len()
    }

    /// Number of events scheduled in ticks.
    pub(super) fn tick_count(&self) -> usize {
        self.ticks.len()
    }

    /// Number of events scheduled in real time.
    pub(super) fn real_time_count(&self) -> usize {
        self.times.len()
    }

    /// Schedules an event. A relative time stamp becomes absolute.
    pub(super) fn insert(&mut self, mut stored: Stored, now: u64, tie_order: TieOrder) {
        let event = &mut stored.event;
        if event.is_relative() {
            if event.is_real_time() {
                let [seconds, nanoseconds] = event.time.words;
                let current = self.timer.real_time(now);
                let sum = u64::from(nanoseconds) + u64::from(current.nanoseconds);
                event.time.words = [
                    seconds
                        .wrapping_add(current.seconds)
                        .wrapping_add((sum / NANOSECONDS_PER_SECOND) as u32),
                    (sum % NANOSECONDS_PER_SECOND) as u32,
                ];
            } else {
                event.time.words[0] = event.time.words[0].wrapping_add(self.timer.tick(now));
            }
            event.flags &= !event_flag::TIME_MODE_MASK;
        }
        // Moments are computed from the timer's stored position. Settling it here keeps that
        // position behind all scheduled events, even after the position has wrapped round.
        self.timer.settle(now);
        self.counter += 1;
        let is_high = event.flags & event_flag::PRIORITY_MASK == event_flag::PRIORITY_HIGH;
        let goes_first = (is_high && !tie_order.ignore_priority) || tie_order.last_first;
        let order = if goes_first { -self.counter } else { self.counter };
        if event.is_real_time() {
            let key = key_of_time(event.time.real());
            self.times.push(Reverse(Scheduled { key, order, stored }));
        } else {
            let key = u64::from(event.time.tick());
            self.ticks.push(Reverse(Scheduled { key, order, stored }));
        }
    }

    /// Removes and returns the next event due at `now`: events scheduled in ticks come before
    /// those scheduled in real time.
    pub(super) fn take_due(&mut self, now: u64) -> Option<Stored> {
        let tick = u64::from(self.timer.tick(now));
        if self.ticks.peek().is_some_and(|Reverse(first)| first.key <= tick) {
            return self.ticks.pop().map(|Reverse(scheduled)| scheduled.stored);
        }
        let time = key_of_time(self.timer.real_time(now));
        if self.times.peek().is_some_and(|Reverse(first)| first.key <= time) {
            return self.times.pop().map(|Reverse(scheduled)| scheduled.stored);
        }
        None
    }

    /// Engine time at which the next event is due; `None` if the queue is empty or stopped. (As on
    /// the kernel, events of a stopped queue that are already due are delivered when the next event
    /// is queued.)
    pub(super) fn next_due(&self) -> Option<u64> {
        if !self.timer.running {
            return None;
        }
        let tick = self
            .ticks
            .peek()
            .and_then(|Reverse(first)| self.timer.moment_of_tick(first.stored.event.time.tick()));
        let time = self
            .times
            .peek()
            .and_then(|Reverse(first)| self.timer.moment_of_time(first.stored.event.time.real()));
        match (tick, time) {
            (Some(tick), Some(time)) => Some(tick.min(time)),
            (moment, None) | (None, moment) => moment,
        }
    }

    /// Calls `visit` with every scheduled event, in no particular order.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Stored)) {
        let heaps = self.ticks.iter().chain(&self.times);
        heaps.for_each(|Reverse(scheduled)| visit(&scheduled.stored));
    }

    /// Removes the events for which `selects` returns true, and calls `removed` with each.
    pub(super) fn remove(
        &mut self,
        mut selects: impl FnMut(&Event) -> bool,
        mut removed: impl FnMut(&Stored),
    ) {
        for heap in [&mut self.ticks, &mut self.times] {
            heap.retain(|Reverse(scheduled)| {
                let is_selected = selects(&scheduled.stored.event);
                if is_selected {
                    removed(&scheduled.stored);
                }
                !is_selected
            });
        }
    }
}
