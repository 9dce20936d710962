//! Streaming ACN (ANSI E1.31): universes of 512 channels over UDP, multicast and unicast.
//!
//! `codec` knows packets, `config` reads options; sockets, groups, rates and merging are those of
//! `dmx`.

pub mod codec;
mod config;
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, Instance, InstanceConfig, OptionKind, OptionSpec, Options, Problems,
};

use self::codec::{Cid, DISCOVERY_UNIVERSE, Data, Packet, encode_discovery, group};
use crate::dmx::{
    Detect, DmxInstance, Frame, Incoming, Node, Policy, Protocol, SLOTS, Sending, UniverseConfig,
    check_outputs, options, read_interfaces,
};
use crate::net::OutgoingDatagrams;

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "sacn",
    summary: "Streaming ACN (E1.31): DMX universes over UDP, multicast and unicast, in and out",
    documentation: "\
An instance is one universe. With `priority` it sends the universe, and it always receives it: by \
joining the universe's multicast group, and whatever is sent to this machine directly.

**In.** A value is emitted when it changed, and once for every channel of the first frame. Of up \
to 16 sources, those of the highest priority count; among equals, with `merge = htp` the highest \
value of a channel, with `merge = ltp` the one that changed last. A source is forgotten when it \
says that it ends, or after 2.5 seconds of silence while others send; what the last one said \
holds. Frames that arrive later than their successors are dropped (their sequence numbers tell). \
Preview frames are left out unless `preview` is on; start codes other than 0, and what this source \
itself sends, always. Values are routed as they arrive: synchronisation packets are not waited for.

**Out.** Frames of 512 channels leave at most 44 times a second, with the newest values; values \
that were replaced before they could leave are counted as dropped. With `realtime = on` every \
value leaves at once. The first value starts the universe (channels without one are 0). After a \
change the frame is said three times more, then every 0.9 s to keep the universe alive; when the \
show ends, three frames say that the stream is terminated. Every 10 s universe discovery lists \
what is sent.

Bound to `0.0.0.0`, groups are joined on the interface that the machine's routes choose; bound to \
one address, on that address's interface. More than 20 groups are spread over several sockets. \
An interface that goes away is waited for and its groups are joined again. Other programs on the \
machine may share the port; `local` behind the address lets them hear what is sent here.

sACN has no protection: whoever can reach the port can send values.",
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
            documentation: "The identifier of this source: 16 bytes, or a UUID. Without it, a \
new one at each start.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            default: Some("0.0.0.0 5568"),
            repeatable: true,
            example: "0.0.0.0 5568 local",
            documentation: "Address and port to listen on and send from; the port may be left \
out. May be given more than once, instances choose with `interface`, counted from 0. With `local` \
behind it, programs on this machine hear what is sent to groups.",
            ..OptionSpec::EMPTY
        },
        options::DETECT,
    ],
    instance_options: &[
        OptionSpec {
            name: "universe",
            aliases: &["uni"],
            kind: OptionKind::Integer(1, 63_999),
            required: true,
            example: "3",
            documentation: "The universe.",
            ..OptionSpec::EMPTY
        },
        options::INTERFACE,
        OptionSpec {
            name: "priority",
            kind: OptionKind::Integer(0, 200),
            example: "100",
            documentation: "The priority of what is sent. Without it, nothing is sent.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "destination",
            aliases: &["dest"],
            kind: OptionKind::Checked(config::check_destination),
            example: "10.2.2.2",
            documentation: "Host to send to, instead of the universe's multicast group; a port \
may follow (5568).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "from",
            kind: OptionKind::Checked(config::check_cid),
            example: "0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07 0x08 0x09 0x0A 0x0B 0x0C 0x0D 0x0E 0x0F",
            documentation: "Take only what the source with this CID sends.",
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
        OptionSpec {
            name: "merge",
            kind: OptionKind::Choice(Policy::WORDS),
            default: Some("htp"),
            example: "ltp",
            documentation: "What several sources of the highest priority add up to: the highest \
value of a channel takes precedence (`htp`), or the latest (`ltp`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "preview",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Take preview frames too, and mark what is sent as preview, not meant \
for live output.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[backend sacn]
bind = 127.0.0.1 15568

[sacn stage]
universe = 3
priority = 100
destination = 127.0.0.1 15569

[map]
stage.231 > stage.1+2
",
    create: || Box::<Sacn>::default(),
};

/// The protocol's packets, for the shared part.
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
    const SKIPS_ZERO: bool = false;
    const ANNOUNCE: Option<Duration> = Some(Duration::from_secs(10));
    const FAREWELLS: u8 = 3;

    fn read<'a>(&self, bytes: &'a [u8], _: SocketAddr) -> Result<Incoming<'a>, String> {
        Ok(match Packet::decode(bytes).map_err(|error| error.to_string())? {
            // With `local`, what is sent to a group comes back.
            Packet::Data(data) if data.cid == self.cid => Incoming::Other,
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
            },
            _ => Incoming::Other,
        })
    }

    fn write(
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
        let to = SocketAddrV4::new(group(DISCOVERY_UNIVERSE), port).into();
        encode_discovery(self.cid, self.name.as_bytes(), universes, |page| {
            outgoing.push_marked(to, u32::MAX, |bytes| bytes.extend_from_slice(page));
        });
    }

    fn farewell(
        &self,
        universe: &UniverseConfig,
        sequence: u8,
        data: &[u8; SLOTS],
        bytes: &mut Vec<u8>,
    ) {
        Data { is_terminated: true, ..self.data(universe, sequence, data) }.encode(bytes);
    }
}

/// A random identifier (UUID version 4).
fn random_cid() -> Cid {
    let mut cid = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut cid));
    if read.is_err() {
        // Without a source of chance: the process and the time, which no other source shares.
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        cid[..12].copy_from_slice(&time.unwrap_or_default().as_nanos().to_be_bytes()[4..]);
        cid[12..].copy_from_slice(&std::process::id().to_be_bytes());
    }
    cid[6] = cid[6] & 0x0F | 0x40;
    cid[8] = cid[8] & 0x3F | 0x80;
    cid
}

struct Sacn {
    node: Rc<RefCell<Node<SacnPackets>>>,
    outputs: Vec<Sending>,
}

impl Default for Sacn {
    fn default() -> Self {
        let packets = SacnPackets { cid: random_cid(), name: String::new() };
        Sacn { node: Rc::new(RefCell::new(Node::new(packets))), outputs: Vec::new() }
    }
}

impl Backend for Sacn {
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        let mut node = self.node.borrow_mut();
        node.detect = Detect::read(options.text("detect"));
        node.interfaces = read_interfaces(options, problems, codec::PORT, config::read_words);
        options.text("name").unwrap_or("Consort").clone_into(&mut node.protocol.name);
        match options.text("cid").map(config::parse_cid) {
            None => {}
            Some(Ok(cid)) => node.protocol.cid = cid,
            Some(Err(message)) => {
                problems.error(options.position("cid"), message);
            }
        }
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        let count = self.node.borrow().interfaces.len();
        let config = config::read_instance(&instance, count, problems)?;
        self.outputs.extend(Sending::of(&config));
        let node = Rc::clone(&self.node);
        Some(Box::new(DmxInstance::new(node, config, "add `priority = 100` to send")))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        check_outputs(&self.outputs, report);
    }
}
