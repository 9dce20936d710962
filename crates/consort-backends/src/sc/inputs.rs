//! Input from the server: control buses and meters, which are polled through shared memory or
//! with requests; triggers, replies, and the notifications of nodes.

use std::collections::BTreeSet;

use consort_osc::{Message, OscMessage, OscValue};

use super::channels::ChannelKind;
use super::config::BusKind;
use super::controls::Scale;
use super::packets::Packets;
use super::player::Player;

/// A control bus, or a meter, that is the source of a mapping.
#[derive(Debug)]
struct BusReading {
    channel: u32,
    source: BusSource,
    scale: Scale,
    /// The number of the (first) bus on the running server.
    bus: u32,
    /// The value that was emitted last.
    last: Option<f64>,
}

/// Which buses a reading reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum BusSource {
    /// The bus with this index in the configuration.
    Named(usize),
    /// The bus with this number.
    Numbered(u32),
    /// The peak of an output.
    Meter(u32),
    /// The largest peak of all outputs.
    AllMeters,
}

/// All sources of an instance, and the values they had last.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    readings: Vec<BusReading>,
    /// The `SendReply` sources: address, argument, channel, range.
    replies: Vec<(String, usize, u32, Scale)>,
    /// The `SendTrig` sources: id, channel, range.
    triggers: Vec<(i32, u32, Scale)>,
    /// The channel of the server's load.
    load: Option<u32>,
    /// The peaks of the outputs, from the replies of the server.
    peaks: Vec<f64>,
}

impl Inputs {
    pub(super) fn new(player: &Player) -> Self {
        let mut inputs =
            Inputs { peaks: vec![0.0; player.config.channels as usize], ..Inputs::default() };
        for (channel, kind) in player.channels.sources() {
            let mut read = |source, scale| {
                inputs.readings.push(BusReading { channel, source, scale, bus: 0, last: None });
            };
            match kind {
                ChannelKind::NamedBus(bus) => {
                    if let BusKind::Control(scale) = player.config.buses[*bus].kind {
                        read(BusSource::Named(*bus), scale);
                    }
                }
                ChannelKind::NumberedBus(bus) => read(BusSource::Numbered(*bus), Scale::UNIT),
                ChannelKind::Meter(Some(output)) => read(BusSource::Meter(*output), Scale::UNIT),
                ChannelKind::Meter(None) => read(BusSource::AllMeters, Scale::UNIT),
                ChannelKind::Trigger(id) => {
                    let scale = player.config.range_of(&format!("trigger.{id}"));
                    inputs.triggers.push((*id, channel, scale));
                }
                ChannelKind::Reply(address, argument) => {
                    let exact = player.config.range_of(&format!("reply.{address}:{argument}"));
                    let scale = match exact == Scale::UNIT {
                        true => player.config.range_of(&format!("reply.{address}")),
                        false => exact,
                    };
                    inputs.replies.push((address.clone(), *argument, channel, scale));
                }
                ChannelKind::Load => inputs.load = Some(channel),
                _ => {}
            }
        }
        inputs
    }

    /// The addresses of the notifications to subscribe to.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut all = vec!["/n_go".to_owned(), "/n_end".to_owned()];
        all.extend(["/n_on", "/n_off", "/tr"].map(str::to_owned));
        let replies: BTreeSet<&String> = self.replies.iter().map(|(address, ..)| address).collect();
        all.extend(replies.into_iter().cloned());
        all
    }

    /// The channel of the server's load.
    pub(super) fn load(&self) -> Option<u32> {
        self.load
    }

    /// Whether any bus is polled.
    pub(super) fn reads_buses(&self) -> bool {
        !self.readings.is_empty()
    }

    /// Looks up the bus numbers of a new server.
    pub(super) fn on_server_ready(&mut self, player: &Player) {
        for reading in &mut self.readings {
            reading.bus = match reading.source {
                BusSource::Named(bus) => player.bus(bus).unwrap_or(0),
                BusSource::Numbered(bus) => bus,
                BusSource::Meter(output) => player.server().meter + output,
                BusSource::AllMeters => player.server().meter,
            };
        }
    }

    /// Polls the buses: through shared memory, or with a request whose reply
    /// [`Inputs::on_bus_values`] handles.
    pub(super) fn poll(&mut self, player: &mut Player) {
        let Some(memory) = player.server().memory.clone() else {
            return self.request(&mut player.packets, player.config.channels);
        };
        let outputs = player.config.channels;
        for reading in &mut self.readings {
            let number = |bus| memory.control_bus_value(bus).ok().map(f64::from);
            let value = match reading.source {
                BusSource::AllMeters => {
                    (reading.bus..reading.bus + outputs).filter_map(number).reduce(f64::max)
                }
                _ => number(reading.bus),
            };
            reading.update(value, &mut player.emits);
        }
    }

    /// Requests the values of all buses.
    fn request(&self, packets: &mut Packets, outputs: u32) {
        if self.readings.is_empty() {
            return;
        }
        packets.message("/c_get", |message| {
            for reading in &self.readings {
                let count = if reading.source == BusSource::AllMeters { outputs } else { 1 };
                for bus in reading.bus..reading.bus + count {
                    message.int(bus as i32);
                }
            }
        });
    }

    /// Handles the reply to a request: pairs of bus numbers and values.
    pub(super) fn on_bus_values(&mut self, message: &Message<'_>, player: &mut Player) {
        let mut arguments = message.arguments();
        while let (Some(bus), Some(number)) = (arguments.next(), arguments.next()) {
            let (Some(bus), Some(number)) = (bus.as_i32(), number.as_f64()) else { return };
            let Ok(bus) = u32::try_from(bus) else { return };
            if let Some(peak) = bus
                .checked_sub(player.server().meter)
                .and_then(|output| self.peaks.get_mut(output as usize))
            {
                *peak = number;
            }
            let is_single = |reading: &&mut BusReading| {
                reading.bus == bus && reading.source != BusSource::AllMeters
            };
            for reading in self.readings.iter_mut().filter(is_single) {
                reading.update(Some(number), &mut player.emits);
            }
        }
        let loudest = self.peaks.iter().copied().reduce(f64::max);
        for reading in self.readings.iter_mut() {
            if reading.source == BusSource::AllMeters {
                reading.update(loudest, &mut player.emits);
            }
        }
    }

    /// The id and value of a trigger that belongs to no mapped channel.
    pub(super) fn unmapped(&self, message: &OscMessage, player: &Player) -> Option<(i32, f64)> {
        if message.address != "/tr" {
            return None;
        }
        let id = message.arguments.get(1)?.as_i32()?;
        let number = message.arguments.get(2)?.as_f64()?;
        let is_mapped = self.triggers.iter().any(|(mapped, ..)| *mapped == id);
        let scale = player.config.range_of(&format!("trigger.{id}"));
        (!is_mapped).then(|| scale.value(number)).flatten().map(|value| (id, value))
    }

    /// Handles a notification.
    pub(super) fn on_notification(&mut self, message: &OscMessage, player: &mut Player) {
        let arguments = &message.arguments;
        let node = arguments.first().and_then(OscValue::as_i32);
        match (message.address.as_str(), node) {
            ("/n_go", Some(node)) => player.on_node_started(node),
            ("/n_end", Some(node)) => player.on_node_ended(node),
            ("/n_on", Some(node)) => player.on_node_paused(node, false),
            ("/n_off", Some(node)) => player.on_node_paused(node, true),
            ("/tr", _) => {
                let id = arguments.get(1).and_then(OscValue::as_i32);
                let number = arguments.get(2).and_then(OscValue::as_f64);
                for (_, channel, scale) in self.triggers.iter().filter(|(own, ..)| Some(*own) == id)
                {
                    let value = number.and_then(|number| scale.value(number));
                    player.emits.extend(value.map(|value| (*channel, value)));
                }
            }
            (address, _) => {
                for (_, argument, channel, scale) in
                    self.replies.iter().filter(|(own, ..)| own == address)
                {
                    // The values follow the node and the id.
                    let number = arguments.get(argument + 2).and_then(OscValue::as_f64);
                    let value = number.and_then(|number| scale.value(number));
                    player.emits.extend(value.map(|value| (*channel, value)));
                }
            }
        }
    }
}

/// Converts the server's load in percent to a value; `None` for NaN.
pub(super) fn load_value(percent: f32) -> Option<f64> {
    (!percent.is_nan()).then(|| (f64::from(percent) / 100.0).clamp(0.0, 1.0))
}

impl BusReading {
    /// Emits the value of a number, if it has changed.
    fn update(&mut self, number: Option<f64>, emits: &mut Vec<(u32, f64)>) {
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
    fn a_load_is_clipped_and_nan_is_ignored() {
        assert_eq!([25.0, 400.0, -1.0].map(load_value), [Some(0.25), Some(1.0), Some(0.0)]);
        assert_eq!([f32::NAN, f32::INFINITY].map(load_value), [None, Some(1.0)]);
    }
}
