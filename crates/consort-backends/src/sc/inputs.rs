//! What comes from the server: control buses and meters, looked at again and again through its
//! memory or asked for; triggers, replies and the notifications of nodes.

use std::collections::BTreeSet;

use consort_osc::{Message, OscMessage};

use super::channels::Control;
use super::config::BusKind;
use super::controls::Scale;
use super::desk::Desk;
use super::packets::Packets;

/// A control bus that the show listens to.
#[derive(Debug)]
struct Reading {
    channel: u32,
    what: Source,
    scale: Scale,
    /// Its number on the server that runs.
    bus: u32,
    last: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Named(usize),
    Numbered(u32),
    /// The peak of an output.
    Meter(u32),
    /// The largest of all.
    AllMeters,
}

/// Everything that the show listens to.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    readings: Vec<Reading>,
    /// Of `SendReply`: address, argument, channel, range.
    replies: Vec<(String, usize, u32, Scale)>,
    /// Of `SendTrig`: id, channel, range.
    triggers: Vec<(i32, u32, Scale)>,
    load: Option<u32>,
    /// Peaks of the outputs, as answers bring them.
    peaks: Vec<f64>,
}

impl Inputs {
    pub(super) fn new(desk: &Desk) -> Self {
        let mut inputs =
            Inputs { peaks: vec![0.0; desk.config.channels as usize], ..Inputs::default() };
        for (channel, control) in desk.channels.sources() {
            let mut read = |what, scale| {
                inputs.readings.push(Reading { channel, what, scale, bus: 0, last: None });
            };
            match control {
                Control::NamedBus(bus) => {
                    if let BusKind::Control(scale) = desk.config.buses[*bus].kind {
                        read(Source::Named(*bus), scale);
                    }
                }
                Control::NumberedBus(bus) => read(Source::Numbered(*bus), Scale::UNIT),
                Control::Meter(Some(output)) => read(Source::Meter(*output), Scale::UNIT),
                Control::Meter(None) => read(Source::AllMeters, Scale::UNIT),
                Control::Trigger(id) => {
                    let scale = desk.config.range_of(&format!("trigger.{id}"));
                    inputs.triggers.push((*id, channel, scale));
                }
                Control::Reply(address, argument) => {
                    let exact = desk.config.range_of(&format!("reply.{address}:{argument}"));
                    let scale = match exact == Scale::UNIT {
                        true => desk.config.range_of(&format!("reply.{address}")),
                        false => exact,
                    };
                    inputs.replies.push((address.clone(), *argument, channel, scale));
                }
                Control::Load => inputs.load = Some(channel),
                _ => {}
            }
        }
        inputs
    }

    /// The addresses of notifications that are wanted.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut all = vec!["/n_go".to_owned(), "/n_end".to_owned()];
        all.extend(["/n_on", "/n_off", "/tr"].map(str::to_owned));
        let replies: BTreeSet<&String> = self.replies.iter().map(|it| &it.0).collect();
        all.extend(replies.into_iter().cloned());
        all
    }

    /// The channel of the server's load.
    pub(super) fn load(&self) -> Option<u32> {
        self.load
    }

    /// Whether there is a bus to look at.
    pub(super) fn reads_buses(&self) -> bool {
        !self.readings.is_empty()
    }

    /// A new server has other numbers.
    pub(super) fn go_up(&mut self, desk: &Desk) {
        for reading in &mut self.readings {
            reading.bus = match reading.what {
                Source::Named(bus) => desk.bus(bus).unwrap_or(0),
                Source::Numbered(bus) => bus,
                Source::Meter(output) => desk.up().meter + output,
                Source::AllMeters => desk.up().meter,
            };
        }
    }

    /// Looks at the buses: through the server's memory, or by a question whose answer comes to
    /// [`Inputs::answered`].
    pub(super) fn look(&mut self, desk: &mut Desk) {
        let Some(memory) = desk.up().memory.clone() else {
            return self.ask(&mut desk.packets, desk.config.channels);
        };
        let outputs = desk.config.channels;
        for reading in &mut self.readings {
            let number = |bus| memory.control_bus_value(bus).ok().map(f64::from);
            let value = match reading.what {
                Source::AllMeters => {
                    (reading.bus..reading.bus + outputs).filter_map(number).reduce(f64::max)
                }
                _ => number(reading.bus),
            };
            reading.take(value, &mut desk.emits);
        }
    }

    fn ask(&self, packets: &mut Packets, outputs: u32) {
        if self.readings.is_empty() {
            return;
        }
        packets.message("/c_get", |it| {
            for reading in &self.readings {
                let count = if reading.what == Source::AllMeters { outputs } else { 1 };
                for bus in reading.bus..reading.bus + count {
                    it.int(bus as i32);
                }
            }
        });
    }

    /// Takes the answer to a question about buses: pairs of numbers and values.
    pub(super) fn answered(&mut self, message: &Message<'_>, desk: &mut Desk) {
        let mut arguments = message.arguments();
        while let (Some(bus), Some(number)) = (arguments.next(), arguments.next()) {
            let (Some(bus), Some(number)) = (bus.as_i32(), number.as_f64()) else { return };
            let Ok(bus) = u32::try_from(bus) else { return };
            if let Some(peak) =
                bus.checked_sub(desk.up().meter).and_then(|at| self.peaks.get_mut(at as usize))
            {
                *peak = number;
            }
            let single = |it: &&mut Reading| it.bus == bus && it.what != Source::AllMeters;
            for reading in self.readings.iter_mut().filter(single) {
                reading.take(Some(number), &mut desk.emits);
            }
        }
        let loudest = self.peaks.iter().copied().reduce(f64::max);
        for reading in self.readings.iter_mut().filter(|it| it.what == Source::AllMeters) {
            reading.take(loudest, &mut desk.emits);
        }
    }

    /// The id and the value of a trigger that no mapping uses.
    pub(super) fn unmapped(&self, message: &OscMessage, desk: &Desk) -> Option<(i32, f64)> {
        if message.address != "/tr" {
            return None;
        }
        let id = message.arguments.get(1)?.as_i32()?;
        let number = message.arguments.get(2)?.as_f64()?;
        let is_mapped = self.triggers.iter().any(|it| it.0 == id);
        let scale = desk.config.range_of(&format!("trigger.{id}"));
        (!is_mapped).then(|| scale.value(number)).flatten().map(|value| (id, value))
    }

    /// Takes a notification.
    pub(super) fn notified(&mut self, message: &OscMessage, desk: &mut Desk) {
        let arguments = &message.arguments;
        let node = arguments.first().and_then(|it| it.as_i32());
        match (message.address.as_str(), node) {
            ("/n_go", Some(node)) => desk.started(node),
            ("/n_end", Some(node)) => desk.ended(node),
            ("/n_on", Some(node)) => desk.paused(node, false),
            ("/n_off", Some(node)) => desk.paused(node, true),
            ("/tr", _) => {
                let id = arguments.get(1).and_then(|it| it.as_i32());
                let number = arguments.get(2).and_then(|it| it.as_f64());
                let all = self.triggers.iter().filter(|it| Some(it.0) == id);
                for (_, channel, scale) in all {
                    desk.emits
                        .extend(number.and_then(|it| scale.value(it)).map(|it| (*channel, it)));
                }
            }
            (address, _) => {
                // Node, id, then the values.
                for (_, argument, channel, scale) in
                    self.replies.iter().filter(|it| it.0 == address)
                {
                    let number = arguments.get(argument + 2).and_then(|it| it.as_f64());
                    desk.emits
                        .extend(number.and_then(|it| scale.value(it)).map(|it| (*channel, it)));
                }
            }
        }
    }
}

/// The server's load, told in percent, as a value; none for what is no number.
pub(super) fn load(percent: f32) -> Option<f64> {
    (!percent.is_nan()).then(|| (f64::from(percent) / 100.0).clamp(0.0, 1.0))
}

impl Reading {
    /// Tells a number if it is a new value.
    fn take(&mut self, number: Option<f64>, emits: &mut Vec<(u32, f64)>) {
        let Some(value) = number.and_then(|number| self.scale.value(number)) else { return };
        if self.last.is_none_or(|last| (last - value).abs() > 1e-6) {
            self.last = Some(value);
            emits.push((self.channel, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_value_or_nothing() {
        assert_eq!([25.0, 400.0, -1.0].map(load), [Some(0.25), Some(1.0), Some(0.0)]);
        assert_eq!([f32::NAN, f32::INFINITY].map(load), [None, Some(1.0)]);
    }
}
