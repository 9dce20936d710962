//! One tick of 10 ms for all stages that emit values later, while there are any.

use std::cmp::Ordering;

use super::{Engine, Out};
use crate::stage::Waiting;

/// The time between two ticks, in microseconds.
const TICK: u64 = 10_000;

/// How many values can wait in all `delay` stages together.
pub(super) const DELAY_LIMIT: usize = 65_536;

/// A value that waits in a `delay`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delayed {
    due: u64,
    /// Values of the same time keep their order.
    number: u64,
    route: u32,
    /// The stage behind the delay.
    stage: u32,
    value: f64,
    root: u32,
}

impl Ord for Delayed {
    /// The earliest is the greatest, for a heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Delayed {}

impl Engine {
    /// When the next tick is due, in microseconds since the start.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        self.next_tick
    }

    /// Remembers what a route left for later.
    pub(super) fn wait_for(&mut self, number: u32, waiting: Waiting, out: &Out<'_>) {
        let route = &mut self.routes[number as usize];
        if waiting.is_active && !route.is_active {
            route.is_active = true;
            self.active.push(number);
        }
        if let Some((stage, due, value)) = waiting.delayed {
            if self.delays.len() >= DELAY_LIMIT {
                self.dropped_delays += 1;
                if self.dropped_delays == 1 {
                    tracing::warn!(
                        "more than {DELAY_LIMIT} values wait in `delay` stages; the excess is \
                         dropped and counted"
                    );
                }
                out.live.count_dropped_route(route.source.instance);
            } else {
                route.delayed += 1;
                let (stage, root) = (stage as u32, out.root);
                let number_of_value = self.next_delay;
                self.next_delay += 1;
                self.delays.push(Delayed {
                    due,
                    number: number_of_value,
                    route: number,
                    stage,
                    value,
                    root,
                });
            }
        }
        if self.next_tick.is_none() && (!self.active.is_empty() || !self.delays.is_empty()) {
            self.next_tick = Some(out.now + TICK);
        }
    }

    /// Calls all stages that have something to do.
    pub(crate) fn tick(&mut self, out: &mut Out<'_>) {
        self.next_tick = None;
        // A value that is due now waits at most one tick.
        while self.delays.peek().is_some_and(|delayed| delayed.due <= out.now) {
            let Some(delayed) = self.delays.pop() else { break };
            self.routes[delayed.route as usize].delayed -= 1;
            out.root = delayed.root;
            self.run(delayed.route, delayed.stage as usize, delayed.value, f64::NAN, out);
        }
        let mut kept = 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        for index in 0..self.active.len() {
            let number = self.active[index];
            let around = self.around(number, f64::NAN, out.now);
            let route = &mut self.routes[number as usize];
            let steps = &mut self.steps[route.steps as usize..];
            let mut waiting = Waiting::default();
            route.chain.tick(steps, &around, &mut waiting, |value| scratch.push(value));
            route.is_active = waiting.is_active;
            out.root = route.root;
            if waiting.is_active {
                self.active[kept] = number;
                kept += 1;
            }
            waiting.is_active = false;
            if waiting.delayed.is_some() {
                self.wait_for(number, waiting, out);
            }
            if !scratch.is_empty() {
                out.root = self.root_behind(number, out.root, out);
            }
            for value in scratch.drain(..) {
                self.deliver(number, value, out);
            }
            if waiting.answers {
                self.answer(number, out);
            }
        }
        self.scratch = scratch;
        self.active.truncate(kept);
        self.settle(out);
        if !self.active.is_empty() || !self.delays.is_empty() {
            self.next_tick = Some(out.now + TICK);
        }
    }

    /// Takes the waiting values of continued routes from the engine before a reload.
    pub(super) fn carry_delays(&mut self, old: &mut Engine, continued: &super::Continued) {
        let new_of_old = continued.new_of_old(old.routes.len());
        for delayed in old.delays.drain() {
            if let Some(route) = new_of_old[delayed.route as usize] {
                self.routes[route as usize].delayed += 1;
                self.delays.push(Delayed { route, ..delayed });
            }
        }
        self.next_delay = old.next_delay;
        self.dropped_delays = old.dropped_delays;
        if !self.active.is_empty() || !self.delays.is_empty() {
            self.next_tick = old.next_tick;
        }
    }

    /// Ends what waits in a route's stages at its last value, because the route closes.
    pub(super) fn finish(&mut self, number: u32, out: &mut Out<'_>) {
        let route = &mut self.routes[number as usize];
        if !route.chain.has_time && !route.chain.has_state {
            return;
        }
        let mut newest: Option<Delayed> = None;
        if route.delayed > 0 {
            route.delayed = 0;
            self.delays.retain(|delayed| {
                let is_other = delayed.route != number;
                if !is_other && newest.is_none_or(|other| other.number < delayed.number) {
                    newest = Some(*delayed);
                }
                is_other
            });
        }
        let newest = newest.map(|delayed| (delayed.stage as usize, delayed.value));
        let steps = &mut self.steps[route.steps as usize..];
        if let Some(value) = route.chain.finish(steps, newest) {
            self.deliver(number, value, out);
        }
    }
}
