//! What goes back to sources: values of targets, answers to presses, and the echo rule.

use super::event::Press;
use super::{Engine, Out};
use crate::stage::Stage;

impl Engine {
    /// Whether a value of a source is only what was sent to it.
    pub(super) fn is_echo(&self, number: u32, value: f64, press: Press, out: &Out<'_>) -> bool {
        let route = &self.routes[number as usize];
        let chain = &route.chain;
        // A press or a step is not a position: the same value again is another press.
        let is_position = !press.is_momentary
            && !chain.is_triggered()
            && !chain
                .stages()
                .iter()
                .any(|stage| stage.starts_from_target() && !matches!(stage, Stage::Takeover(_)));
        if !route.has_back || !is_position {
            return false;
        }
        let source = &self.channels[route.source.global as usize];
        let target = &self.channels[route.target.global as usize];
        let is_same = |sent: f64| source.resolution.equal(sent, value);
        let is_current =
            !target.current.is_nan() && is_same(chain.feedback(target.current, target.resolution));
        is_current || self.echoes.contains(source.echo, out.now, is_same)
    }

    /// A value of the target goes back.
    pub(super) fn back(&mut self, number: u32, value: f64, out: &mut Out<'_>) {
        let route = &self.routes[number as usize];
        if route.is_open_back() {
            let resolution = self.channels[route.target.global as usize].resolution;
            let value = route.chain.feedback(value, resolution);
            self.send_back(number, value, false, out);
        }
    }

    /// The target's current value goes back, if there is one.
    pub(super) fn feed_back(&mut self, number: u32, always: bool, out: &mut Out<'_>) {
        let route = &self.routes[number as usize];
        let target = self.channels[route.target.global as usize];
        if route.is_open_back() && !target.current.is_nan() {
            let value = route.chain.feedback(target.current, target.resolution);
            self.send_back(number, value, always, out);
        }
    }

    /// The source of a stage that starts from the target is answered.
    pub(super) fn answer(&mut self, number: u32, out: &mut Out<'_>) {
        let around = self.around(number, f64::NAN, out.now);
        let route = &self.routes[number as usize];
        if !route.is_open_back() {
            return;
        }
        let steps = &self.steps[route.steps as usize..];
        if let Some(value) = route.chain.answer(steps, &around) {
            self.send_back(number, value, true, out);
        }
    }

    /// Sends a value to a route's source, unless the source shows it already.
    pub(super) fn send_back(&mut self, number: u32, value: f64, always: bool, out: &mut Out<'_>) {
        let source = self.routes[number as usize].source;
        let channel = &mut self.channels[source.global as usize];
        if !always && channel.resolution.equal(channel.shown, value) {
            return;
        }
        channel.shown = value;
        channel.current = value;
        channel.echo = self.echoes.record(value, out.now, channel.echo);
        out.push(source, value);
    }

    /// Whether another open route sends values back to this source.
    fn has_light(&self, source: u32, out: &Out<'_>) -> bool {
        out.routes.range(source).any(|index| {
            let number = self.of_target[index];
            number != super::NONE
                && number & 1 == 0
                && self.routes[number as usize >> 1].is_open_back()
        })
    }

    /// Switches the light of a momentary source off that no route sends values to any more.
    pub(super) fn switch_off(&mut self, number: u32, out: &mut Out<'_>) {
        let route = &self.routes[number as usize];
        let source = &self.channels[route.source.global as usize];
        if route.has_back
            && source.kind == crate::backend::ChannelKind::Momentary
            && !source.shown.is_nan()
            && !self.has_light(route.source.global, out)
        {
            self.send_back(number, 0.0, false, out);
        }
    }

    /// Sends everything that an instance shows, because its device has come back.
    pub(crate) fn refresh(&mut self, instance: u32, out: &mut Out<'_>) {
        for number in 0..self.routes.len() as u32 {
            if self.routes[number as usize].source.instance == instance {
                self.feed_back(number, true, out);
            }
        }
        for layer in 0..self.layers.len() {
            if self.layers[layer].led.as_ref().is_some_and(|(led, _)| led.instance == instance) {
                self.show_layer(layer, true, out);
            }
        }
        self.settle(out);
    }

    /// Takes the contributions of an instance away that no longer works.
    pub(crate) fn instance_lost(&mut self, instance: u32, out: &mut Out<'_>) {
        if self.merges.is_empty() {
            return;
        }
        for number in 0..self.routes.len() as u32 {
            if self.routes[number as usize].source.instance == instance {
                self.withdraw(number, out);
            }
        }
        self.settle(out);
    }
}
