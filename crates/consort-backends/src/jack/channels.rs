//! The channels of an instance: those of its ports, and the transport.

use consort_router::{ChannelError, ChannelKind, Resolution, Usage};

use super::config::{Direction, PortConfig, Signal};
use super::cv::Detection;
use crate::midi_grammar::channels::{Channels, Control};

/// What a channel of the transport does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportControl {
    Rolling,
    Start,
    Stop,
    Rewind,
    Tempo,
}

/// The channels of the transport.
const TRANSPORT: [(TransportControl, &str); 5] = [
    (TransportControl::Rolling, "transport.rolling"),
    (TransportControl::Start, "transport.start"),
    (TransportControl::Stop, "transport.stop"),
    (TransportControl::Rewind, "transport.rewind"),
    (TransportControl::Tempo, "transport.tempo"),
];

/// What a channel sends or receives. The number is that of the port.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    Midi(u16, Control),
    Cv(u16),
    Transport(TransportControl),
}

/// The channels of an instance.
pub(super) struct PortChannels {
    /// By channel number.
    pub(super) endpoints: Vec<Endpoint>,
    /// The channels of each MIDI port, by number of the port; those of the others are empty.
    pub(super) midi: Vec<Channels>,
    /// The channel of each port for control voltage.
    pub(super) cv: Vec<Option<u32>>,
    transport: [Option<u32>; TRANSPORT.len()],
    /// Whether a mapping writes the tempo of the transport.
    pub(super) sets_tempo: bool,
    /// Channels that a mapping uses against the direction of their port: the position of the port,
    /// and a message.
    pub(super) misused: Vec<(usize, String)>,
}

impl PortChannels {
    pub(super) fn new(ports: &[PortConfig]) -> Self {
        PortChannels {
            endpoints: Vec::new(),
            midi: ports.iter().map(|_| Channels::new()).collect(),
            cv: vec![None; ports.len()],
            transport: [None; TRANSPORT.len()],
            sets_tempo: false,
            misused: Vec::new(),
        }
    }

    /// The number of a channel of the transport, if a mapping uses it.
    pub(super) fn transport(&self, control: TransportControl) -> Option<u32> {
        self.transport[control as usize]
    }

    /// Returns the number of a channel, which is added if it is not there yet.
    pub(super) fn channel(
        &mut self,
        specification: &str,
        usage: Usage,
        ports: &[PortConfig],
    ) -> Result<u32, ChannelError> {
        let next = self.endpoints.len() as u32;
        // The name of a port may contain dots; the longest name is meant.
        let rest = |port: &PortConfig| {
            let rest = specification.strip_prefix(port.name.as_str())?;
            (rest.is_empty() || rest.starts_with('.')).then(|| rest.trim_start_matches('.').len())
        };
        let found =
            ports.iter().enumerate().filter_map(|(number, port)| Some((number, rest(port)?)));
        let Some((number, length)) = found.min_by_key(|(_, length)| *length) else {
            return self.transport_channel(specification, usage, ports);
        };
        let (port, start) = (&ports[number], specification.len() - length);
        let is_against = match usage {
            Usage::Source => port.direction == Direction::Out,
            Usage::Target => port.direction == Direction::In,
        };
        if is_against {
            let text = match usage {
                Usage::Source => {
                    "a mapping reads from `{}`, which is an output: nothing arrives there"
                }
                Usage::Target => "a mapping writes to `{}`, which is an input: nothing is sent",
            };
            self.misused.push((port.position, text.replace("{}", specification)));
        }
        let rest = &specification[start..];
        let channel = match port.signal {
            Signal::Midi if rest.is_empty() => {
                return Err(ChannelError::new(format!(
                    "expected a channel of the MIDI port, such as `{}.ch0.cc7`",
                    port.name
                )));
            }
            Signal::Midi => {
                let channels = &mut self.midi[number];
                let shift = |mut error: ChannelError| {
                    error.range = error.range.map(|(from, to)| (from + start, to + start));
                    error
                };
                let channel = channels.channel_numbered(rest, usage, next).map_err(shift)?;
                if channel == next {
                    let control = channels.last_control().clone();
                    self.endpoints.push(Endpoint::Midi(number as u16, control));
                }
                channel
            }
            Signal::Cv if !rest.is_empty() => {
                return Err(ChannelError::new(format!(
                    "the port `{}` is for control voltage and has no channels of its own",
                    port.name
                ))
                .with_hint(format!("use `{}` alone", port.name)));
            }
            Signal::Cv => *self.cv[number].get_or_insert_with(|| {
                self.endpoints.push(Endpoint::Cv(number as u16));
                next
            }),
        };
        Ok(channel)
    }

    fn transport_channel(
        &mut self,
        specification: &str,
        usage: Usage,
        ports: &[PortConfig],
    ) -> Result<u32, ChannelError> {
        let Some((control, _)) = TRANSPORT.iter().find(|(_, name)| *name == specification) else {
            let name = specification.split('.').next().unwrap_or_default();
            let error = match name {
                "transport" => ChannelError::new(format!("unknown channel `{specification}`")),
                _ => ChannelError::new(format!("the instance has no port `{name}`")),
            };
            let names = ports.iter().map(|port| port.name.as_str());
            let transport = TRANSPORT.iter().map(|(_, name)| *name);
            let near = consort_suggest::nearest(name, names.clone())
                .or_else(|| consort_suggest::nearest(specification, transport.clone()));
            return Err(error.with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if name == "transport" => {
                    format!("expected one of {}", quoted(transport))
                }
                None if ports.is_empty() => {
                    format!("add it to the section: `{name} = midi in`")
                }
                None => format!("its ports are {}", quoted(names)),
            }));
        };
        let is_trigger = !matches!(control, TransportControl::Rolling | TransportControl::Tempo);
        if is_trigger && usage == Usage::Source {
            let message = format!("`{specification}` is a target and cannot be a source");
            return Err(ChannelError::new(message).with_hint("use `transport.rolling`"));
        }
        self.sets_tempo |= *control == TransportControl::Tempo && usage == Usage::Target;
        let next = self.endpoints.len() as u32;
        Ok(*self.transport[*control as usize].get_or_insert_with(|| {
            self.endpoints.push(Endpoint::Transport(*control));
            next
        }))
    }

    /// How the values of a channel behave.
    pub(super) fn kind(&self, channel: u32, ports: &[PortConfig]) -> ChannelKind {
        match &self.endpoints[channel as usize] {
            Endpoint::Midi(_, control) => control.kind(),
            Endpoint::Cv(port) if ports[usize::from(*port)].detection == Detection::Gate => {
                ChannelKind::Momentary
            }
            Endpoint::Cv(_) | Endpoint::Transport(TransportControl::Tempo) => ChannelKind::Absolute,
            Endpoint::Transport(_) => ChannelKind::Momentary,
        }
    }

    /// How finely a channel distinguishes values.
    pub(super) fn resolution(&self, channel: u32) -> Resolution {
        match &self.endpoints[channel as usize] {
            Endpoint::Midi(_, control) => control.resolution(),
            _ => Resolution::CONTINUOUS,
        }
    }
}

/// A list of names in backquotes.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.take(12).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
