//! Input from the server: control buses and meters, which are polled through shared memory or
//! with requests; triggers, replies, and the notifications of nodes.

use std::fmt;

use consort_osc::{Message, OscMessage, OscValue};
use consort_router::RawValue;
use consort_sc::EventFilter;

use super::channels::ChannelRole;
use super::config::BusKind;
use super::controls::Scale;
use super::packets::Packets;
use super::player::Player;

/// What the server sends in reply to requests. The library handles it, so the instance is not
/// woken for it.
const REPLIES: [&str; 16] = [
    "/b_info",
    "/b_set",
    "/b_setn",
    "/c_set",
    "/c_setn",
    "/done",
    "/fail",
    "/g_queryTree.reply",
    "/late",
    "/n_info",
    "/n_set",
    "/n_setn",
    "/rtMemoryStatus.reply",
    "/status.reply",
    "/synced",
    "/version.reply",
];

/// The notifications of the server: all messages that are not replies to requests, so that those
/// of unmapped channels can be reported.
pub(super) fn notifications() -> EventFilter {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut except: Vec<String> = names(&REPLIES);
    // The reports of nodes that the instance itself has moved.
    except.push("/n_move".to_owned());
    EventFilter {
        addresses: names(&["/n_go", "/n_end", "/n_on", "/n_off", "/tr"]),
        all_messages: true,
        except,
        ..EventFilter::default()
    }
}

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
        for (channel, role) in player.channels.sources() {
            let mut read = |source, scale| {
                inputs.readings.push(BusReading { channel, source, scale, bus: 0, last: None });
            };
            match role {
                ChannelRole::NamedBus(bus) => {
                    if let BusKind::Control(scale) = player.config.buses[*bus].kind {
                        read(BusSource::Named(*bus), scale);
                    }
                }
                ChannelRole::NumberedBus(bus) => read(BusSource::Numbered(*bus), Scale::UNIT),
                ChannelRole::Meter(Some(output)) => read(BusSource::Meter(*output), Scale::UNIT),
                ChannelRole::Meter(None) => read(BusSource::AllMeters, Scale::UNIT),
                ChannelRole::Trigger(id) => {
                    inputs.triggers.push((*id, channel, player.config.trigger_range(*id)));
                }
                ChannelRole::Reply(address, argument) => {
                    let scale = player.config.reply_range(address, *argument);
                    inputs.replies.push((address.clone(), *argument, channel, scale));
                }
                ChannelRole::Load => inputs.load = Some(channel),
                _ => {}
            }
        }
        inputs
    }

    /// Continues with the last values of the inputs before a reload, so that an unchanged value is
    /// not emitted again. The bus numbers of both are looked up.
    pub(super) fn continue_from(&mut self, old: Inputs) {
        for reading in &mut self.readings {
            let is_all = |reading: &BusReading| reading.source == BusSource::AllMeters;
            let is_same = |other: &&BusReading| {
                other.bus == reading.bus
                    && is_all(other) == is_all(reading)
                    && other.scale == reading.scale
            };
            reading.last = old.readings.iter().find(is_same).and_then(|other| other.last);
        }
        self.peaks = old.peaks;
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

    /// What a notification carries that [`Inputs::on_notification`] has not matched; none if it is
    /// malformed.
    pub(super) fn unmatched<'m>(
        message: &'m OscMessage,
        player: &Player,
    ) -> Option<UnmatchedMessage<'m>> {
        let arguments = &message.arguments;
        let (channel, scale) = match message.address.as_str() {
            "/tr" => {
                let id = arguments.get(1).and_then(OscValue::as_i32)?;
                (UnmatchedChannel::Trigger(id), player.config.trigger_range(id))
            }
            address => (UnmatchedChannel::Reply(address), player.config.reply_range(address, 0)),
        };
        // The values follow the node and the id.
        let argument = arguments.get(2);
        let value = argument.and_then(OscValue::as_f64).and_then(|number| scale.value(number));
        let raw = match argument {
            Some(OscValue::Int(number)) => RawValue::Integer(i64::from(*number)),
            Some(OscValue::Long(number)) => RawValue::Integer(*number),
            Some(OscValue::Float(number)) => RawValue::Number(f64::from(*number)),
            Some(OscValue::Double(number)) => RawValue::Number(*number),
            Some(OscValue::Bool(flag)) => RawValue::Flag(*flag),
            Some(OscValue::String(text) | OscValue::Symbol(text)) => RawValue::Text(text),
            Some(OscValue::Blob(bytes)) => RawValue::Bytes(bytes.len()),
            _ => RawValue::None,
        };
        Some(UnmatchedMessage { channel, types: TypeTags::of(arguments), raw, value })
    }

    /// Handles a notification. Returns whether it belongs to a mapped channel or to a node.
    pub(super) fn on_notification(&mut self, message: &OscMessage, player: &mut Player) -> bool {
        let arguments = &message.arguments;
        let node = arguments.first().and_then(OscValue::as_i32);
        let mut is_matched = false;
        match (message.address.as_str(), node) {
            ("/n_go", Some(node)) => player.on_node_started(node),
            ("/n_end", Some(node)) => player.on_node_ended(node),
            ("/n_on", Some(node)) => player.on_node_paused(node, false),
            ("/n_off", Some(node)) => player.on_node_paused(node, true),
            ("/n_go" | "/n_end" | "/n_on" | "/n_off", None) => {}
            ("/tr", _) => {
                let id = arguments.get(1).and_then(OscValue::as_i32);
                let number = arguments.get(2).and_then(OscValue::as_f64);
                for (_, channel, scale) in self.triggers.iter().filter(|(own, ..)| Some(*own) == id)
                {
                    is_matched = true;
                    let value = number.and_then(|number| scale.value(number));
                    player.emits.extend(value.map(|value| (*channel, value)));
                }
                return is_matched;
            }
            (address, _) => {
                for (_, argument, channel, scale) in
                    self.replies.iter().filter(|(own, ..)| own == address)
                {
                    is_matched = true;
                    // The values follow the node and the id.
                    let number = arguments.get(argument + 2).and_then(OscValue::as_f64);
                    let value = number.and_then(|number| scale.value(number));
                    player.emits.extend(value.map(|value| (*channel, value)));
                }
                return is_matched;
            }
        }
        true
    }
}

/// A notification that belongs to no mapped channel.
pub(super) struct UnmatchedMessage<'m> {
    pub(super) channel: UnmatchedChannel<'m>,
    pub(super) types: TypeTags,
    pub(super) raw: RawValue<'m>,
    pub(super) value: Option<f64>,
}

/// The channel to which a notification would belong.
pub(super) enum UnmatchedChannel<'m> {
    Trigger(i32),
    Reply(&'m str),
}

impl fmt::Display for UnmatchedChannel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnmatchedChannel::Trigger(id) => write!(f, "trigger.{id}"),
            UnmatchedChannel::Reply(address) => write!(f, "reply.{address}"),
        }
    }
}

/// The type tags of a message, without allocation.
pub(super) struct TypeTags {
    tags: [u8; TypeTags::MAX],
    count: usize,
}

impl TypeTags {
    /// How many tags are kept.
    const MAX: usize = 32;

    fn of(arguments: &[OscValue]) -> Self {
        let mut tags = TypeTags { tags: [0; Self::MAX], count: 0 };
        for (slot, argument) in tags.tags.iter_mut().zip(arguments) {
            let tag = argument.as_argument().map_or('[', |argument| argument.type_tag());
            *slot = u8::try_from(tag).unwrap_or(b'?');
            tags.count += 1;
        }
        tags
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.tags[..self.count]).unwrap_or_default()
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
