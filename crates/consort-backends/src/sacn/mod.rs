//! Streaming ACN (ANSI E1.31): DMX universes over UDP, multicast and unicast.
//!
//! `codec` decodes and encodes packets, `config` reads options. Sockets, multicast groups, frame
//! rates and merging are in `dmx`.

pub mod codec;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, Driver, InstanceConfig, OptionKind, OptionSpec, Options, Plan,
    Problems,
};

use self::codec::{Cid, DISCOVERY_UNIVERSE, Data, Packet, encode_discovery, group};
use crate::dmx::{
    Detect, DmxDriver, DmxPlan, Frame, Incoming, InterfaceConfig, NO_UNIVERSE, Node, Policy,
    Protocol, Receivers, SLOTS, Transmission, UniverseConfig, check_outputs, options,
    read_interfaces,
};
use crate::net::{ALLOW, Allow, OutgoingDatagrams};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "sacn",
    summary: "Streaming ACN (E1.31): DMX universes over UDP, multicast and unicast, in and out",
    documentation: "\
An instance is one universe. It always receives the universe, by multicast and by unicast. With \
`priority` it also sends the universe.

**Input.** A value is emitted when it has changed; of the first frame, every value that is not 0. \
Up to 16 sources may send one universe; those with the highest priority take precedence. Among \
sources of equal priority, with `merge = htp` the highest value of a channel takes precedence, \
with `merge = ltp` the value that changed last. A source is removed when it terminates its stream, \
or after 2.5 seconds of silence if others still send; the values of the last remaining source are \
kept. Frames that arrive out of order, according to their sequence numbers, are dropped. Preview \
frames are ignored unless `preview` is on. Packets with a start code other than 0 and packets from \
this source itself are always ignored. Values are routed when they arrive, without waiting for \
synchronisation packets.

**Output.** Frames of 512 slots are sent with the newest values at up to 44 frames per second. \
Values that are replaced before they are sent are counted as dropped. With `realtime = on`, every \
value is sent immediately. Sending starts with the first value (slots without a value are 0). \
After a change the frame is repeated three times, then sent every 0.9 s to keep the universe \
alive. When the show ends, three packets terminate the stream. Universe discovery lists the sent \
universes every 10 s.

**Unmatched input.** Slots that have changed and that no mapping uses are counted; up to eight of \
each frame are listed with their channel, value and sender.

**When a show is reloaded,** an instance of which only `merge`, `realtime`, `first-values` or mappings have changed \
keeps its sources, its frame and its sequence numbers. A channel that is mapped no more keeps its \
last level in the frame. A channel that is newly mapped gets its value from the next frame.

If `bind` is `0.0.0.0`, groups are joined on the interface that the routing table selects; if it is \
one address, on the interface with that address. More than 20 groups are distributed over several \
sockets. If an interface is removed, the instance waits for it and joins its groups again. Other \
programs on the same computer may share the port; they receive what is sent to groups if `local` \
follows the address.

sACN has no access control: anyone who can reach the port can send values, unless `allow` names the \
networks from which values are accepted. (Sender addresses can be forged.)",
    options: &[
        OptionSpec {
            name: "name",
            kind: OptionKind::Checked(config::check_name),
            default: Some("Consort"),
            example: "front of house",
            documentation: "The name of this source, 1 to 63 bytes.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "cid",
            kind: OptionKind::Checked(config::check_cid),
            example: "0x43 0x6F 0x6E 0x73 0x6F 0x72 0x74 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x01",
            documentation: "The identifier of this source: 16 bytes or a UUID. By default, a new \
one is generated at each start.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            default: Some("0.0.0.0 5568"),
            repeatable: true,
            example: "0.0.0.0 5568 local",
            documentation: "Address and port to listen on and send from; the port is optional. May \
be repeated; instances select one with `interface`, counted from 0. Append `local` so that programs \
on this computer receive what is sent to groups.",
            ..OptionSpec::EMPTY
        },
        ALLOW,
        options::DETECT,
    ],
    instance_options: &[
        OptionSpec {
            name: "universe",
            aliases: &["uni"],
            kind: OptionKind::Integer(1, 63_999),
            required: true,
            example: "3",
            documentation: "The universe, 1 to 63999.",
            ..OptionSpec::EMPTY
        },
        options::INTERFACE,
        OptionSpec {
            name: "priority",
            kind: OptionKind::Integer(0, 200),
            example: "100",
            documentation: "The priority of sent frames. Without it, nothing is sent.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "destination",
            aliases: &["dest"],
            kind: OptionKind::Checked(config::check_destination),
            example: "10.2.2.2",
            documentation: "Host to send to instead of the universe's multicast group, and \
optionally a port (default: 5568).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "from",
            kind: OptionKind::Checked(config::check_cid),
            example: "0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08 0x09 0x0A 0x0B 0x0C 0x0D 0x0E 0x0F",
            documentation: "Accept only frames from the source with this CID.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "unicast",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Do not join the universe's multicast group.",
            ..OptionSpec::EMPTY
        },
        options::REALTIME,
        options::FIRST_VALUES,
        OptionSpec {
            name: "merge",
            kind: OptionKind::Choice(Policy::WORDS),
            default: Some("htp"),
            live: true,
            example: "ltp",
            documentation: "How to merge several sources of the highest priority: the highest \
value of a channel takes precedence (`htp`), or the latest (`ltp`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "preview",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Accept preview frames, too, and mark sent frames as preview data, \
which receivers do not use for live output.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[backend sacn]
bind = 127.0.0.1 15568

[sacn front]
universe = 3
priority = 100
destination = 127.0.0.1 15569

[map]
front.231 > front.1+2
",
    create: || Box::<Sacn>::default(),
};

/// The packets of the protocol, for the shared code.
pub(crate) struct SacnPackets {
    cid: Cid,
    name: String,
}

impl SacnPackets {
    fn data<'a>(&'a self, universe: &UniverseConfig, sequence: u8, slots: &'a [u8]) -> Data<'a> {
        Data {
            cid: self.cid,
            name: self.name.as_bytes(),
            priority: universe.priority,
            sync: 0,
            sequence,
            is_preview: universe.is_preview,
            is_terminated: false,
            universe: universe.number,
            slots,
        }
    }
}

impl Protocol for SacnPackets {
    const SOURCE_TIMEOUT: Duration = Duration::from_millis(2_500);
    const REPEATS: u8 = 3;
    const SKIPS_SEQUENCE_ZERO: bool = false;
    const ANNOUNCE_INTERVAL: Option<Duration> = Some(Duration::from_secs(10));
    const TERMINATION_PACKETS: u8 = 3;

    fn decode<'a>(&self, bytes: &'a [u8], _: SocketAddr) -> Result<Incoming<'a>, String> {
        Ok(match Packet::decode(bytes).map_err(|error| error.to_string())? {
            // With `local`, packets to a group are also delivered to this instance.
            Packet::Data(data) if data.is_terminated && data.cid == self.cid => Incoming::Other,
            Packet::Data(data) if data.is_terminated => {
                Incoming::Terminated { universe: data.universe, source: data.cid }
            }
            Packet::Data(data) => Incoming::Frame {
                universe: data.universe,
                frame: Frame {
                    source: data.cid,
                    priority: data.priority,
                    sequence: Some(data.sequence),
                    data: data.slots,
                },
                is_preview: data.is_preview,
                may_be_own: data.cid == self.cid,
            },
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
        self.data(universe, sequence, data).encode(bytes);
    }

    fn group(&self, universe: u16) -> Option<Ipv4Addr> {
        Some(group(universe))
    }

    fn announce(&self, universes: &[u16], port: u16, outgoing: &mut OutgoingDatagrams) {
        let target = SocketAddrV4::new(group(DISCOVERY_UNIVERSE), port).into();
        encode_discovery(self.cid, self.name.as_bytes(), universes, |page| {
            outgoing.push_marked(target, NO_UNIVERSE, |bytes| bytes.extend_from_slice(page));
        });
    }

    fn encode_termination(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    ) {
        Data { is_terminated: true, ..self.data(universe, sequence, data) }.encode(bytes);
    }
}

/// Generates a random identifier (UUID version 4).
fn random_cid() -> io::Result<Cid> {
    let mut cid = [0; 16];
    rustix::rand::getrandom(&mut cid[..], rustix::rand::GetRandomFlags::empty())?;
    cid[6] = cid[6] & 0x0F | 0x40;
    cid[8] = cid[8] & 0x3F | 0x80;
    Ok(cid)
}

/// The backend: its options, and what its instances send.
#[derive(Default)]
struct Sacn {
    cid: Cid,
    name: String,
    interfaces: Vec<InterfaceConfig>,
    detect: Detect,
    outputs: Vec<Transmission>,
    receivers: Receivers,
    allow: Allow,
}

impl Backend for Sacn {
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        self.detect = Detect::read(options.text("detect"));
        self.allow = Allow::read(options);
        self.interfaces = read_interfaces(options, problems, codec::PORT, config::read_flags);
        options.text("name").unwrap_or("Consort").clone_into(&mut self.name);
        match options.text("cid").map(config::parse_cid) {
            None => match random_cid() {
                Ok(cid) => self.cid = cid,
                Err(error) => {
                    problems
                        .error(None, format!("cannot generate a random CID: {error}"))
                        .hint("set `cid` to a UUID");
                }
            },
            Some(Ok(cid)) => self.cid = cid,
            Some(Err(message)) => {
                problems.error(options.position("cid"), message);
            }
        }
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = config::read_instance(&instance, self.interfaces.len(), problems)?;
        self.outputs.extend(Transmission::from_config(&config));
        let is_source = self.receivers.add(&config);
        Some(Box::new(DmxPlan::<SacnPackets>::new(
            config,
            "add `priority = 100` to send",
            is_source,
        )))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        check_outputs(&self.outputs, report);
        self.receivers.check(report);
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        let packets = SacnPackets { cid: self.cid, name: self.name };
        let node = Node::new(packets, self.detect, self.allow, self.interfaces);
        // A reload keeps the random CID: receivers would count another one as another source.
        let detect_of = |backend: &dyn std::any::Any| {
            backend.downcast_ref::<Sacn>().map(|backend| backend.detect)
        };
        Box::new(DmxDriver::new(node, detect_of))
    }
}
