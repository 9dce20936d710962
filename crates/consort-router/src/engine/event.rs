//! An event of a marked channel: forward through the stages, back through their inverses.

use super::control::HELD;
use super::{CONTROLLED, Engine, NONE, Out, ROUTE_FROZEN, ROUTE_MUTED, ROUTE_SOLOED};
use crate::backend::ChannelKind;
use crate::event::Event;
use crate::stage::{Environment, Waiting};

/// How a value continues a press.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Press {
    pub(super) is_momentary: bool,
    pub(super) was_down: bool,
    pub(super) is_down: bool,
}

impl Engine {
    /// Routes an event of a marked channel.
    pub(crate) fn event(&mut self, event: Event, out: &mut Out<'_>) {
        let channel = event.channel as usize;
        out.root = event.root;
        if self.channels.is_empty() {
            self.plain_targets(event, out);
            return;
        }
        let value = event.value;
        let before = self.channels[channel].input;
        let kind = self.channels[channel].kind;
        let press = Press {
            is_momentary: kind == ChannelKind::Momentary,
            was_down: before > 0.0,
            is_down: value > 0.0,
        };
        self.channels[channel].input = value;
        for index in out.routes.range(event.channel) {
            match self.of_target.get(index).copied().unwrap_or(NONE) {
                NONE => self.plain_target(index, value, press, out),
                number if number & 1 == 1 => self.back(number >> 1, value, out),
                number => self.forward(number >> 1, value, before, press, out),
            }
        }
        let state = &mut self.channels[channel];
        state.current = value;
        if kind == ChannelKind::Absolute {
            state.shown = value;
        }
        if self.watches.contains_key(&event.channel) {
            self.changes.push((event.channel, value, true));
        }
        self.settle(out);
    }

    /// The targets of a channel that is marked only because of a mute, solo or freeze.
    fn plain_targets(&mut self, event: Event, out: &mut Out<'_>) {
        // Without channels there is no kind either: a value above 0 may be a press.
        let press = Press { is_momentary: true, was_down: true, is_down: event.value > 0.0 };
        for index in out.routes.range(event.channel) {
            self.plain_target(index, event.value, press, out);
        }
    }

    /// A mapping without a route here.
    fn plain_target(&mut self, index: usize, value: f64, press: Press, out: &mut Out<'_>) {
        let target = out.routes.target(index);
        let control = self.plain_control.get(index).copied().unwrap_or(0);
        let is_closed = self.controlled(control) != 0;
        if let Some(control) = self.plain_control.get_mut(index).filter(|_| is_closed) {
            let is_held = *control & HELD != 0;
            if press.is_momentary && !press.is_down {
                *control &= !HELD;
            }
            if !is_held {
                return;
            }
        }
        out.push(target, value);
    }

    /// Takes a value of the source through the stages.
    fn forward(&mut self, number: u32, value: f64, before: f64, press: Press, out: &mut Out<'_>) {
        let route = &mut self.routes[number as usize];
        let is_open = route.is_open();
        let passes = if press.is_momentary && (press.was_down || press.is_down) {
            if !press.was_down {
                route.is_held = is_open;
            }
            let passes = route.is_held;
            route.is_held &= press.is_down;
            passes
        } else {
            is_open
        };
        if !passes || self.is_echo(number, value, press, out) || self.is_return(number, out) {
            return;
        }
        let is_accepted = self.run(number, 0, value, before, out);
        let route = &self.routes[number as usize];
        if is_accepted && route.chain.is_servo && route.is_open_back() {
            self.send_back(number, value, true, out);
        }
    }

    /// What a route sees of its surroundings.
    pub(super) fn around(&self, number: u32, position: f64, now: u64) -> Environment {
        let route = &self.routes[number as usize];
        let source = &self.channels[route.source.global as usize];
        let target = &self.channels[route.target.global as usize];
        Environment {
            now,
            press_level: source.press_level(),
            source_step: source.resolution.step(),
            position,
            // What a route contributes is its own; the target's value is that of all of them.
            current: if route.merge == NONE { target.current } else { route.sent },
            sent: route.sent,
            target_resolution: target.resolution,
            is_moving: route.is_active || route.delayed > 0,
        }
    }

    /// Takes a value through the stages from `first` on; returns whether the target got one.
    pub(super) fn run(
        &mut self,
        number: u32,
        first: usize,
        value: f64,
        position: f64,
        out: &mut Out<'_>,
    ) -> bool {
        let around = self.around(number, position, out.now);
        let mut waiting = Waiting::default();
        let route = &mut self.routes[number as usize];
        route.root = out.root;
        let steps = &mut self.steps[route.steps as usize..];
        let result = route.chain.forward(first, value, steps, &around, &mut waiting);
        if route.chain.has_time {
            self.wait_for(number, waiting, out);
        }
        if let Some(result) = result {
            let root = out.root;
            out.root = self.root_behind(number, root, out);
            self.deliver(number, result, out);
            out.root = root;
        }
        if waiting.answers {
            self.answer(number, out);
        }
        if self.routes[number as usize].chain.has_takeover() {
            self.publish_takeover(number, out.live);
        }
        result.is_some()
    }

    /// Tells views how far a takeover is off.
    pub(super) fn publish_takeover(&self, number: u32, live: &crate::live::Live) {
        let route = &self.routes[number as usize];
        let steps = &self.steps[route.steps as usize..];
        live.record_takeover(number, route.chain.takeover_distance(steps));
    }

    /// A route's value reaches its target.
    pub(super) fn deliver(&mut self, number: u32, value: f64, out: &mut Out<'_>) {
        let route = &mut self.routes[number as usize];
        route.sent = value;
        let merged = if route.merge == NONE { value } else { self.contribute(number, value) };
        out.live.record_route(number, value);
        self.put(number, merged, out);
    }

    /// Puts a value into the batch of a route's target.
    pub(super) fn put(&mut self, number: u32, value: f64, out: &mut Out<'_>) {
        let target = self.routes[number as usize].target;
        self.channels[target.global as usize].current = value;
        out.push(target, value);
        // An instance that passes values on emits this one itself.
        if !target.passes_on && self.watches.contains_key(&target.global) {
            self.changes.push((target.global, value, false));
        }
    }

    /// A value that a view delivers to a channel.
    pub(crate) fn delivered(&mut self, channel: u32, value: f64, out: &mut Out<'_>) {
        if self.channels.is_empty() {
            return;
        }
        self.channels[channel as usize].current = value;
        if self.watches.contains_key(&channel) {
            self.changes.push((channel, value, false));
            self.settle(out);
        }
    }

    /// Whether a route is closed by mute, solo or freeze.
    pub(super) fn controlled(&self, control: u8) -> u8 {
        let is_closed = control & (ROUTE_MUTED | ROUTE_FROZEN) != 0
            || self.is_holding
            || (self.soloed > 0 && control & ROUTE_SOLOED == 0);
        if is_closed { CONTROLLED } else { 0 }
    }
}
