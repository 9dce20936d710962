//! Layers: which mappings are active, and what happens when that changes.

use super::{Engine, LAYER, NONE, Out, TOUCHED, UNTOUCHED, WHEN, Watch};
use crate::backend::ChannelKind;
use crate::transform::{ConditionKind, Held};

/// How many changes of channels one event can cause. Conditions that switch each other would go on
/// without an end.
const CHANGE_LIMIT: usize = 65_536;

impl Engine {
    /// Handles the changes that the last event caused.
    pub(super) fn settle(&mut self, out: &mut Out<'_>) {
        let mut next = 0;
        while next < self.changes.len() {
            let (channel, value, is_emitted) = self.changes[next];
            next += 1;
            if next > CHANGE_LIMIT {
                tracing::warn!("conditions of mappings switch each other without an end; stopped");
                break;
            }
            self.changed(channel, value, is_emitted, out);
        }
        self.changes.clear();
    }

    fn changed(&mut self, channel: u32, value: f64, is_emitted: bool, out: &mut Out<'_>) {
        let count = self.watches.get(&channel).map_or(0, Vec::len);
        for index in 0..count {
            match self.watches[&channel][index] {
                Watch::RouteCondition(route) => self.evaluate_route(route, out),
                Watch::LayerCondition(layer) => {
                    self.evaluate_layer(layer, out);
                    self.show_layer(layer as usize, false, out);
                }
                Watch::Select(layer) if is_emitted => {
                    self.select_pressed(layer, channel, value, out)
                }
                Watch::Selector(group) if is_emitted => {
                    let count = self.groups[group as usize].layers.len();
                    let nth = ((value * count as f64) as usize).min(count - 1);
                    let layer = self.groups[group as usize].layers[nth];
                    self.select(layer, out);
                }
                Watch::Back(route) if !is_emitted => self.feed_back(route, false, out),
                _ => {}
            }
        }
    }

    fn select_pressed(&mut self, layer: u32, channel: u32, value: f64, out: &mut Out<'_>) {
        let is_down = value > self.channels[channel as usize].press_level();
        let state = &mut self.layers[layer as usize];
        let was_down = std::mem::replace(&mut state.is_selecting, is_down);
        if is_down && !was_down {
            self.select(layer, out);
        } else if was_down && !is_down {
            // Some devices switch their light off at the release.
            self.show_layer(layer as usize, true, out);
        }
    }

    /// Makes a layer the active one of its group.
    pub(crate) fn select(&mut self, layer: u32, out: &mut Out<'_>) {
        let group = self.layers[layer as usize].group;
        let Some(group) = self.groups.get_mut(group as usize) else { return };
        let before = std::mem::replace(&mut group.selected, layer);
        if before != layer {
            self.evaluate_layer(before, out);
            self.evaluate_layer(layer, out);
            // After the new layer is active, so that a button of both layers is not dark between.
            self.darken(before, out);
            self.show_layer(before as usize, true, out);
            self.show_layer(layer as usize, true, out);
        }
    }

    /// Makes a layer without a group, or with one, active or not, from a view.
    pub(crate) fn switch_layer(&mut self, layer: u32, is_on: bool, out: &mut Out<'_>) {
        let Some(state) = self.layers.get_mut(layer as usize) else { return };
        if state.group == NONE {
            state.is_off = !is_on;
            self.evaluate_layer(layer, out);
            self.show_layer(layer as usize, false, out);
        } else if is_on {
            self.select(layer, out);
        }
        self.settle(out);
    }

    pub(super) fn should_be_active(&self, layer: u32) -> bool {
        let state = &self.layers[layer as usize];
        let is_selected = match self.groups.get(state.group as usize) {
            Some(group) => group.selected == layer,
            None => !state.is_off,
        };
        is_selected
            && state.conditions.iter().all(|condition| {
                let level = self.channels[condition.channel as usize].level();
                match condition.kind {
                    ConditionKind::NotAbove(limit) => level <= limit,
                    ConditionKind::Above(limit) => level > limit,
                    ConditionKind::Touch => true,
                }
            })
    }

    fn evaluate_layer(&mut self, layer: u32, out: &mut Out<'_>) {
        let is_active = self.should_be_active(layer);
        let state = &mut self.layers[layer as usize];
        if state.is_active == is_active {
            return;
        }
        state.is_active = is_active;
        let routes = std::mem::take(&mut state.routes);
        for &route in &routes {
            self.set_blocked(route, LAYER, if is_active { 0 } else { LAYER }, out);
        }
        let state = &mut self.layers[layer as usize];
        state.routes = routes;
        let is_alone = state.group == NONE;
        out.live.record_layer(layer, is_active);
        if is_alone && !is_active {
            self.darken(layer, out);
        }
    }

    /// Switches off the lights of buttons that lost their last way back.
    fn darken(&mut self, layer: u32, out: &mut Out<'_>) {
        let state = &mut self.layers[layer as usize];
        if state.keeps_lights {
            return;
        }
        let routes = std::mem::take(&mut state.routes);
        for &route in &routes {
            self.switch_off(route, out);
        }
        self.layers[layer as usize].routes = routes;
    }

    /// Shows on a layer's light whether it is active.
    pub(super) fn show_layer(&mut self, layer: usize, always: bool, out: &mut Out<'_>) {
        let state = &self.layers[layer];
        let Some((led, chain)) = &state.led else { return };
        let value = chain.shape(f64::from(state.is_active));
        let channel = &mut self.channels[led.global as usize];
        if always || !channel.resolution.equal(channel.shown, value) {
            channel.shown = value;
            out.push(*led, value);
        }
    }

    fn evaluate_route(&mut self, number: u32, out: &mut Out<'_>) {
        let bits = self.condition_bits(number);
        self.set_blocked(number, WHEN | TOUCHED | UNTOUCHED, bits, out);
    }

    /// Which conditions of a route keep it closed.
    pub(super) fn condition_bits(&self, number: u32) -> u8 {
        let mut bits = 0;
        for condition in &*self.routes[number as usize].conditions {
            let channel = &self.channels[condition.channel as usize];
            let level = channel.level();
            bits |= match condition.kind {
                ConditionKind::Above(limit) if level <= limit => WHEN,
                ConditionKind::NotAbove(limit) if level > limit => WHEN,
                ConditionKind::Touch if level > channel.press_level() => TOUCHED,
                ConditionKind::Touch => UNTOUCHED,
                _ => 0,
            };
        }
        bits
    }

    /// Opens or closes a route.
    pub(super) fn set_blocked(&mut self, number: u32, mask: u8, bits: u8, out: &mut Out<'_>) {
        let route = &mut self.routes[number as usize];
        let (was, was_open, was_back) = (route.blocked, route.is_open(), route.is_open_back());
        route.blocked = (was & !mask) | bits;
        let (is_open, is_back) = (route.is_open(), route.is_open_back());
        if was_open && !is_open {
            self.close(number, out);
        }
        if is_back && !was_back {
            // What a touched fader missed is sent once, whatever it shows.
            self.feed_back(number, was & TOUCHED != 0, out);
        }
    }

    fn close(&mut self, number: u32, out: &mut Out<'_>) {
        let route = &self.routes[number as usize];
        let layer = self.layers.get(route.layer as usize);
        if route.is_held && layer.is_some_and(|layer| layer.held == Held::Release) {
            self.release(number, out);
        }
        self.finish(number, out);
        let route = &self.routes[number as usize];
        let is_frozen = self.is_holding || route.control & super::ROUTE_FROZEN != 0;
        if !route.is_held && !is_frozen {
            self.withdraw(number, out);
        }
    }

    /// Ends a press at the target.
    pub(super) fn release(&mut self, number: u32, out: &mut Out<'_>) {
        let route = &mut self.routes[number as usize];
        debug_assert_eq!(
            self.channels[route.source.global as usize].kind,
            ChannelKind::Momentary,
            "only presses are held"
        );
        route.is_held = false;
        self.run(number, 0, 0.0, f64::NAN, out);
    }
}
