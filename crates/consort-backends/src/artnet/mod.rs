//! Art-Net 4: DMX universes over UDP.
//!
//! `codec` decodes and encodes packets, `node` reads what nodes reply, `config` reads options.
//! Sockets, frame rates and merging are in `dmx`.

pub mod codec;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod node;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, Driver, InstanceConfig, OptionKind, OptionSpec, Options, Plan,
    Problems,
};

use self::codec::{Dmx, Packet, PollReply};
use crate::dmx::{
    Detect, DmxDriver, DmxPlan, Frame, Incoming, Interface, InterfaceConfig, NO_UNIVERSE, Node,
    Policy, Protocol, Receivers, SLOTS, Transmission, Universe, UniverseConfig, check_outputs,
    options, read_interfaces,
};
use crate::net::{ALLOW, Allow, OutgoingDatagrams};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "artnet",
    summary: "Art-Net 4: DMX universes over UDP, in and out",
    documentation: "\
An instance is one universe. It always receives the universe, and with `destination` it also sends \
it.

**Input.** A value is emitted when it has changed; of the first frame, every value that is not 0. \
Up to 16 sources may send one universe: with `merge = htp` the highest value of a channel takes \
precedence, with `merge = ltp` the value that changed last. A source is removed after 10 seconds \
of silence if others still send; the values of the last remaining source are kept, and the loss is \
logged and shown by `consort status`. Frames that this program has sent itself, which broadcasts \
bring back, are not input. Frames that \
arrive out of order, according to their sequence numbers, are dropped. Values are routed when they \
arrive, without waiting for ArtSync.

**Output.** Frames of 512 slots are sent with the newest values at up to 44 frames per second, the \
rate of DMX. Values that are replaced before they are sent are counted as dropped. With \
`realtime = on`, every value is sent immediately. Sending starts with the first value (slots \
without a value are 0). If nothing changes for 0.9 s, the frame is sent again to keep the universe alive.

**Unmatched input.** Slots that have changed and that no mapping uses are counted; up to eight of \
each frame are listed with their channel, value and sender.

**When a show is reloaded,** an instance of which only `merge`, `realtime`, `first-values` or mappings have changed \
keeps its sources, its frame and its sequence numbers. A channel that is mapped no more keeps its \
last level in the frame. A channel that is newly mapped gets its value from the next frame.

**Discovery.** ArtPoll is answered with one ArtPollReply for each instance, up to twice a second \
for each host and up to 20 times for all.

Several instances may have the same universe; all of them receive it. Other programs on the same \
computer may share the port. To receive broadcasts, bind to `0.0.0.0`: on Linux, a socket that is \
bound to one address receives only what is sent to that address.

Art-Net has no access control: anyone who can reach the port can send values, unless `allow` names \
the networks from which values are accepted. (Sender addresses can be forged.) Art-Net™ designed by \
and copyright Artistic Licence.",
    options: &[
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            default: Some("0.0.0.0 6454"),
            repeatable: true,
            example: "10.2.0.1 6454",
            documentation: "Address and port to listen on and send from; the port is optional. May \
be repeated; instances select one with `interface`, counted from 0. Append `announce=ADDRESS` to \
report another address than the bound one in ArtPollReply.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "net",
            kind: OptionKind::Integer(0, 127),
            default: Some("0"),
            example: "1",
            documentation: "The default net, for instances without the option `net`.",
            ..OptionSpec::EMPTY
        },
        ALLOW,
        options::DETECT,
    ],
    instance_options: &[
        OptionSpec {
            name: "net",
            kind: OptionKind::Integer(0, 127),
            example: "1",
            documentation: "The net: the upper 7 bits of the port-address. The default is the net \
of the backend.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "universe",
            aliases: &["uni"],
            kind: OptionKind::Integer(0, 255),
            default: Some("0"),
            example: "3",
            documentation: "Sub-net and universe: the lower 8 bits of the port-address.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "destination",
            aliases: &["dest"],
            kind: OptionKind::Checked(config::check_destination),
            example: "10.2.2.2",
            documentation: "Host or broadcast address to send to, and optionally a port (default: \
6454). Without it, nothing is sent.",
            ..OptionSpec::EMPTY
        },
        options::INTERFACE,
        options::REALTIME,
        options::FIRST_VALUES,
        OptionSpec {
            name: "merge",
            kind: OptionKind::Choice(Policy::WORDS),
            default: Some("htp"),
            live: true,
            example: "ltp",
            documentation: "How to merge several sources of the universe: the highest value of a \
channel takes precedence (`htp`), or the latest (`ltp`).",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[backend artnet]
bind = 127.0.0.1 16454

[artnet front]
universe = 3
destination = 127.0.0.1 16455

[map]
front.231 > front.1+2
",
    create: || Box::<ArtNet>::default(),
};

/// The packets of the protocol, for the shared code.
pub(crate) struct ArtNetPackets;

impl Protocol for ArtNetPackets {
    const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);
    const REPEATS: u8 = 0;
    const SKIPS_SEQUENCE_ZERO: bool = true;
    const ANNOUNCE_INTERVAL: Option<Duration> = None;
    const TERMINATION_PACKETS: u8 = 0;

    fn decode<'a>(&self, bytes: &'a [u8], from: SocketAddr) -> Result<Incoming<'a>, String> {
        Ok(match Packet::decode(bytes).map_err(|error| error.to_string())? {
            Packet::Dmx(dmx) => {
                let source = match from.ip() {
                    std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                    std::net::IpAddr::V6(ip) => ip.octets(),
                };
                Incoming::Frame {
                    universe: dmx.port_address,
                    frame: Frame {
                        source,
                        priority: 100,
                        sequence: (dmx.sequence > 0).then_some(dmx.sequence),
                        data: dmx.data,
                    },
                    is_preview: false,
                    may_be_own: true,
                }
            }
            Packet::Poll { first, last } => Incoming::Poll { first, last },
            _ => Incoming::Other,
        })
    }

    fn encode_frame(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    ) {
        Dmx { sequence, physical: 0, port_address: universe.number, data }.encode(bytes);
    }

    fn reply_to_poll<'u>(
        &self,
        universes: impl Iterator<Item = &'u Universe>,
        interface: &Interface,
        number: usize,
        range: (u16, u16),
        peer: SocketAddr,
        outgoing: &mut OutgoingDatagrams,
    ) {
        if peer.is_ipv6() {
            return;
        }
        let address = interface.address_for(peer);
        let polled = universes.filter(|universe| {
            let config = &universe.config;
            config.interface == number && (range.0..=range.1).contains(&config.number)
        });
        for (index, universe) in polled.enumerate().take(255) {
            let config = &universe.config;
            let long_name = format!("Consort: {}", config.name);
            let reply = PollReply {
                address,
                port: interface.port(),
                port_address: config.number,
                bind_index: index as u8 + 1,
                short_name: &config.name,
                long_name: &long_name,
                receives: Some(universe.has_input()),
                is_merging: universe.is_merging(),
                is_latest: config.policy == Policy::Latest,
                sends: config.is_output.then(|| universe.has_output()),
            };
            outgoing.push_marked(peer, NO_UNIVERSE, |bytes| reply.encode(bytes));
        }
    }
}

/// The backend: its options, and what its instances send.
#[derive(Default)]
struct ArtNet {
    interfaces: Vec<InterfaceConfig>,
    detect: Detect,
    net: u16,
    outputs: Vec<Transmission>,
    receivers: Receivers,
    allow: Allow,
}

impl Backend for ArtNet {
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        self.detect = Detect::read(options.text("detect"));
        self.allow = Allow::read(options);
        self.interfaces = read_interfaces(options, problems, codec::PORT, config::read_flags);
        self.net = options.integer("net").unwrap_or(0) as u16;
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let count = self.interfaces.len();
        let config = config::read_instance(&instance, self.net, count, problems)?;
        self.outputs.extend(Transmission::from_config(&config));
        let is_source = self.receivers.add(&config);
        Some(Box::new(DmxPlan::<ArtNetPackets>::new(
            config,
            "add `destination = HOST` to send",
            is_source,
        )))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        check_outputs(&self.outputs, report);
        self.receivers.check(report);
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        let node = Node::new(ArtNetPackets, self.detect, self.allow, self.interfaces);
        let detect_of = |backend: &dyn std::any::Any| {
            backend.downcast_ref::<ArtNet>().map(|backend| backend.detect)
        };
        Box::new(DmxDriver::new(node, detect_of))
    }
}
