//! Mute, solo and freeze of mappings, from views.

use super::{CONTROLLED, Engine, MARK_CONTROL, NONE, Out};
use crate::backend::ChannelKind;
use crate::routes::Routes;

/// The mapping passes nothing on.
pub(crate) const ROUTE_MUTED: u8 = 1;
/// Only mappings with this mark pass values on.
pub(crate) const ROUTE_SOLOED: u8 = 2;
/// The target keeps its value; as a mute, but a contribution stays.
pub(crate) const ROUTE_FROZEN: u8 = 4;
/// A press began before the mapping was closed.
pub(super) const HELD: u8 = 8;

/// What a view can do with a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteControl {
    /// It passes nothing on; what it contributes is taken away.
    Mute,
    /// All other mappings that are not soloed pass nothing on.
    Solo,
    /// It passes nothing on; what it contributes stays.
    Freeze,
}

impl RouteControl {
    fn flag(self) -> u8 {
        match self {
            RouteControl::Mute => ROUTE_MUTED,
            RouteControl::Solo => ROUTE_SOLOED,
            RouteControl::Freeze => ROUTE_FROZEN,
        }
    }
}

fn with(control: u8, flag: u8, is_on: bool) -> u8 {
    if is_on { control | flag } else { control & !flag }
}

impl Engine {
    /// Mutes, soloes or freezes the mapping with that index in the routing table.
    pub(crate) fn control(
        &mut self,
        index: usize,
        kind: RouteControl,
        is_on: bool,
        out: &mut Out<'_>,
    ) {
        let flag = kind.flag();
        let number = self.of_target.get(index).copied().unwrap_or(NONE);
        let before = if number == NONE {
            if self.plain_control.is_empty() {
                self.plain_control = vec![0; out.routes.len()];
            }
            let control = &mut self.plain_control[index];
            let before = *control;
            *control = with(before, flag, is_on);
            out.live.record_plain_control(index as u32, *control);
            before
        } else {
            let route = &mut self.routes[(number >> 1) as usize];
            let before = route.control;
            route.control = with(before, flag, is_on);
            out.live.record_control(number >> 1, route.control);
            before
        };
        if (before & flag != 0) == is_on {
            return;
        }
        if kind == RouteControl::Solo {
            self.soloed = if is_on { self.soloed + 1 } else { self.soloed - 1 };
            self.apply_all(out);
        } else {
            self.apply_control(index, out);
        }
        self.settle(out);
    }

    /// Closes all mappings, so that the outputs keep their values, or ends that.
    pub(crate) fn hold(&mut self, is_on: bool, out: &mut Out<'_>) {
        if self.is_holding != is_on {
            self.is_holding = is_on;
            self.apply_all(out);
            self.settle(out);
        }
    }

    fn apply_all(&mut self, out: &mut Out<'_>) {
        if self.plain_control.is_empty() {
            self.plain_control = vec![0; out.routes.len()];
        }
        for index in 0..out.routes.len() {
            self.apply_control(index, out);
        }
    }

    fn apply_control(&mut self, index: usize, out: &mut Out<'_>) {
        let number = self.of_target.get(index).copied().unwrap_or(NONE);
        if number == NONE {
            let channel = out.routes.channel_of(index);
            let control = self.plain_control[index] & !HELD;
            let is_closed = self.controlled(control) != 0;
            let (kind, value) = out.live.kind_and_value(channel);
            let is_held = is_closed && kind == ChannelKind::Momentary && value > 0.0;
            self.plain_control[index] = if is_held { control | HELD } else { control };
            self.mark_channel(channel, out.routes);
        } else if number & 1 == 0 {
            let bits = self.controlled(self.routes[(number >> 1) as usize].control);
            self.set_blocked(number >> 1, CONTROLLED, bits, out);
        }
    }

    /// Marks a channel while one of its mappings without a route is closed.
    fn mark_channel(&mut self, channel: u32, routes: &Routes) {
        let is_controlled = routes.range(channel).any(|other| {
            self.of_target.get(other).is_none_or(|number| *number == NONE)
                && self.controlled(self.plain_control[other]) != 0
        });
        let mark = &mut self.marks[channel as usize];
        *mark = with(*mark, MARK_CONTROL, is_controlled);
    }

    /// Marks the channels of all mappings that are closed, after a reload.
    pub(super) fn mark_controlled(&mut self, routes: &Routes) {
        if (self.soloed > 0 || self.is_holding) && self.plain_control.is_empty() {
            self.plain_control = vec![0; routes.len()];
        }
        if !self.plain_control.is_empty() {
            for channel in 0..routes.channel_count() as u32 {
                self.mark_channel(channel, routes);
            }
        }
    }

    /// Whether a mapping passes texts on: an open one without stages.
    pub(crate) fn passes_text(&self, index: usize) -> bool {
        match self.of_target.get(index).copied() {
            None | Some(NONE) => {
                let control = self.plain_control.get(index).copied().unwrap_or(0);
                self.controlled(control) == 0
            }
            Some(number) => {
                let route = &self.routes[(number >> 1) as usize];
                let is_open = if number & 1 == 0 { route.is_open() } else { route.is_open_back() };
                is_open && route.chain.stages().iter().all(super::is_condition)
            }
        }
    }
}
