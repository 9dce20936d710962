//! Queues: what waits, in the order in which it is due, and the timer that moves it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::pool::Stored;
use crate::engine::Errno;
use crate::raw::{Event, QueueTimer, RealTime, TimerId, event_flag, timer_type};

/// Most queues, numbers 0 to 31.
pub(super) const QUEUE_LIMIT: usize = 32;
/// The only base of a skew that is accepted.
pub(super) const SKEW_BASE: u32 = 0x1_0000;

const NANOSECONDS: u64 = 1_000_000_000;
/// Nanoseconds after which the 32 bits of a queue's seconds start again.
const ROUND: u64 = NANOSECONDS << 32;

/// Nanoseconds of a stamp. A stamp that is not normalised is due with the next full second, since
/// stamps are compared second by second.
const fn nanoseconds_of(time: RealTime) -> u64 {
    let nanoseconds = time.nanoseconds as u64;
    let rest = if nanoseconds < NANOSECONDS { nanoseconds } else { NANOSECONDS };
    time.seconds as u64 * NANOSECONDS + rest
}

const fn real_time_of(nanoseconds: u64) -> RealTime {
    RealTime {
        seconds: (nanoseconds / NANOSECONDS) as u32,
        nanoseconds: (nanoseconds % NANOSECONDS) as u32,
    }
}

/// The clock of a queue: where it stood at a moment of the engine's clock, and how fast it runs.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) running: bool,
    pub(super) tempo: u32,
    pub(super) ppq: i32,
    pub(super) tempo_base: u16,
    pub(super) skew: u32,
    pub(super) source: QueueTimer,
    initialised: bool,
    /// Nanoseconds of a tick.
    resolution: u64,
    /// Engine time at which the three values below were true.
    since: u64,
    time: u64,
    tick: u32,
    /// Nanoseconds into the tick.
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

    /// The state in which the first user of a queue finds its timer.
    pub(super) fn set_defaults(&mut self) {
        self.tempo = 500_000;
        self.ppq = 96;
        self.tempo_base = 1000;
        self.update_resolution();
        self.running = false;
        self.skew = SKEW_BASE;
        // The sequencer's hold on the global high-resolution timer.
        let id = TimerId { class: 1, slave_class: 2, card: -1, device: 3, subdevice: 0 };
        self.source = QueueTimer { kind: timer_type::ALSA, id, ..QueueTimer::default() };
    }

    fn update_resolution(&mut self) {
        let unit = u64::from(self.tempo_base);
        let ppq = u64::from(self.ppq.cast_unsigned()).max(1);
        self.resolution = (u64::from(self.tempo) * unit / ppq).max(1);
    }

    /// Queue nanoseconds that have passed since `since`.
    fn passed(&self, now: u64) -> u64 {
        if !self.running {
            return 0;
        }
        let passed = now.saturating_sub(self.since);
        if self.skew == SKEW_BASE {
            return passed;
        }
        let skewed = u128::from(passed) * u128::from(self.skew) / u128::from(SKEW_BASE);
        u64::try_from(skewed).unwrap_or(u64::MAX)
    }

    fn time_at(&self, now: u64) -> u64 {
        self.time.saturating_add(self.passed(now))
    }

    pub(super) fn real_time(&self, now: u64) -> RealTime {
        real_time_of(self.time_at(now))
    }

    pub(super) fn tick(&self, now: u64) -> u32 {
        let ticks = self.fraction.saturating_add(self.passed(now)) / self.resolution;
        self.tick.wrapping_add(ticks as u32)
    }

    /// Makes `now` the moment that the position is told from: before any change of speed.
    fn settle(&mut self, now: u64) {
        let passed = self.passed(now);
        let into = self.fraction.saturating_add(passed);
        self.tick = self.tick.wrapping_add((into / self.resolution) as u32);
        self.fraction = into % self.resolution;
        self.time = self.time.saturating_add(passed) % ROUND;
        self.since = now;
    }

    /// Engine time at which `wait` queue nanoseconds after `since` have passed.
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
        // The clock starts again before it comes to a stamp behind all times.
        (due < ROUND).then(|| self.moment_after(u128::from(due.saturating_sub(self.time))))?
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

    /// Goes on; a timer that runs already is left alone and says so.
    pub(super) fn go_on(&mut self, now: u64) -> Result<(), Errno> {
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
        self.time = (u64::from(time.seconds) * NANOSECONDS + nanoseconds) % ROUND;
    }
}

/// An event that waits. Equal stamps keep their order; one of high priority goes before them.
#[derive(Debug)]
struct Waiting {
    key: u64,
    order: i64,
    stored: Stored,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key, self.order).cmp(&(other.key, other.order))
    }
}

/// Orders real-time stamps as the kernel compares them.
const fn key_of_time(time: RealTime) -> u64 {
    (time.seconds as u64) << 32 | time.nanoseconds as u64
}

/// How equal stamps are ordered; the faults of the test suite bend it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tie {
    pub(super) ignore_priority: bool,
    pub(super) last_first: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) owner: u8,
    pub(super) locked: bool,
    pub(super) flags: u32,
    pub(super) name: [u8; 64],
    /// Bit set of the clients that use it.
    users: [u64; 4],
    pub(super) timer: Timer,
    ticks: BinaryHeap<Reverse<Waiting>>,
    times: BinaryHeap<Reverse<Waiting>>,
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

    /// Notes that a client uses the queue or no longer. A sole user that says so, be it again,
    /// finds the timer as new; the last takes it away.
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

    /// Whether the timer is there to be started.
    pub(super) fn has_timer(&self) -> bool {
        self.user_count() > 0
    }

    pub(super) fn waiting(&self) -> usize {
        self.ticks.len() + self.times.len()
    }

    pub(super) fn waiting_ticks(&self) -> usize {
        self.ticks.len()
    }

    pub(super) fn waiting_times(&self) -> usize {
        self.times.len()
    }

    /// Puts an event in, its stamp made absolute.
    pub(super) fn insert(&mut self, mut stored: Stored, now: u64, bend: Tie) {
        let event = &mut stored.event;
        if event.is_relative() {
            if event.is_real_time() {
                let [seconds, nanoseconds] = event.time.words;
                let current = self.timer.real_time(now);
                let sum = u64::from(nanoseconds) + u64::from(current.nanoseconds);
                event.time.words = [
                    seconds.wrapping_add(current.seconds).wrapping_add((sum / NANOSECONDS) as u32),
                    (sum % NANOSECONDS) as u32,
                ];
            } else {
                event.time.words[0] = event.time.words[0].wrapping_add(self.timer.tick(now));
            }
            event.flags &= !event_flag::TIME_MODE_MASK;
        }
        // What waits is ahead of the position that moments are told from, also when the position
        // has wrapped round.
        self.timer.settle(now);
        self.counter += 1;
        let high = event.flags & event_flag::PRIORITY_MASK == event_flag::PRIORITY_HIGH;
        let first = (high && !bend.ignore_priority) || bend.last_first;
        let order = if first { -self.counter } else { self.counter };
        if event.is_real_time() {
            let key = key_of_time(event.time.real());
            self.times.push(Reverse(Waiting { key, order, stored }));
        } else {
            let key = u64::from(event.time.tick());
            self.ticks.push(Reverse(Waiting { key, order, stored }));
        }
    }

    /// Takes the next event that is due at `now`: ticks before times.
    pub(super) fn take_due(&mut self, now: u64) -> Option<Stored> {
        let tick = u64::from(self.timer.tick(now));
        if self.ticks.peek().is_some_and(|Reverse(first)| first.key <= tick) {
            return self.ticks.pop().map(|Reverse(waiting)| waiting.stored);
        }
        let time = key_of_time(self.timer.real_time(now));
        if self.times.peek().is_some_and(|Reverse(first)| first.key <= time) {
            return self.times.pop().map(|Reverse(waiting)| waiting.stored);
        }
        None
    }

    /// Engine time at which the next event is due; `None` if none is, or the queue stands still
    /// (what is due there waits for the next event to be put in, as on the kernel).
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

    /// Shows every event that waits, in no order.
    pub(super) fn for_each(&self, mut show: impl FnMut(&Stored)) {
        self.ticks.iter().chain(&self.times).for_each(|Reverse(waiting)| show(&waiting.stored));
    }

    /// Removes the events that `selects` selects and hands each to `removed`.
    pub(super) fn remove(
        &mut self,
        mut selects: impl FnMut(&Event) -> bool,
        mut removed: impl FnMut(&Stored),
    ) {
        for heap in [&mut self.ticks, &mut self.times] {
            heap.retain(|Reverse(waiting)| {
                let goes = selects(&waiting.stored.event);
                if goes {
                    removed(&waiting.stored);
                }
                !goes
            });
        }
    }
}
