//! Art-Net 4: universes of 512 channels over UDP.
//!
//! `codec` knows packets, `config` reads options; sockets, rates and merging are those of
//! `dmx`.

pub mod codec;
mod config;
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, Instance, InstanceConfig, OptionKind, OptionSpec, Options, Problems,
};

use self::codec::{Dmx, Packet, PollReply};
use crate::dmx::{
    Detect, DmxInstance, Frame, Incoming, Interface, Node, Policy, Protocol, SLOTS, Sending,
    Universe, UniverseConfig, check_outputs, options, read_interfaces,
};
use crate::net::OutgoingDatagrams;

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "artnet",
    summary: "Art-Net 4: DMX universes over UDP, in and out",
    documentation: "\
An instance is one universe. With `destination` it sends the universe, and it always receives it.

**In.** A value is emitted when it changed, and once for every channel of the first frame. Up to \
16 sources may send one universe: with `merge = htp` the highest value of a channel counts, with \
`merge = ltp` the one that changed last; a source is forgotten after 10 seconds of silence while \
others send, and what the last one said holds. Frames that arrive later than their successors are \
dropped (their sequence numbers tell). ArtSync is not needed: values are routed as they arrive.

**Out.** Frames of 512 channels leave at most 44 times a second, the rate of DMX, with the newest \
values; values that were replaced before they could leave are counted as dropped. With \
`realtime = on` every value leaves at once. The first value starts the universe (channels without \
one are 0), and after 0.9 s without a change the frame is sent again to keep it alive.

**Discovery.** ArtPoll is answered with one ArtPollReply for each instance, at most 20 times a \
second.

The same universe may stand in several instances; all of them receive it. Other programs on the \
machine may share the port. To hear broadcasts, bind to `0.0.0.0`: on Linux a socket that is \
bound to one address hears only what is sent to that address.

Art-Net has no protection: whoever can reach the port can send values. Art-Net™ designed by and \
copyright Artistic Licence.",
    options: &[
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            default: Some("0.0.0.0 6454"),
            repeatable: true,
            example: "10.2.0.1 6454",
            documentation: "Address and port to listen on and send from; the port may be left \
out. May be given more than once, instances choose with `interface`, counted from 0. Behind it, \
`announce=ADDRESS` gives ArtPollReply another address than the bound one.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "net",
            kind: OptionKind::Integer(0, 127),
            default: Some("0"),
            example: "1",
            documentation: "The net of instances that name none.",
            ..OptionSpec::EMPTY
        },
        options::DETECT,
    ],
    instance_options: &[
        OptionSpec {
            name: "net",
            kind: OptionKind::Integer(0, 127),
            example: "1",
            documentation: "The net: the upper 7 bits of the port-address. Without it, the \
backend's.",
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
            documentation: "Host to send to, or a broadcast address; a port may follow (6454). \
Without it, nothing is sent.",
            ..OptionSpec::EMPTY
        },
        options::INTERFACE,
        options::REALTIME,
        OptionSpec {
            name: "merge",
            kind: OptionKind::Choice(Policy::WORDS),
            default: Some("htp"),
            example: "ltp",
            documentation: "What several sources of the universe add up to: the highest value of \
a channel takes precedence (`htp`), or the latest (`ltp`).",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[backend artnet]
bind = 127.0.0.1 16454

[artnet stage]
universe = 3
destination = 127.0.0.1 16455

[map]
stage.231 > stage.1+2
",
    create: || Box::<ArtNet>::default(),
};

/// The protocol's packets, for the shared part.
pub(crate) struct ArtNetPackets;

impl Protocol for ArtNetPackets {
    const SOURCE_TIMEOUT: Duration = Duration::from_secs(10);
    const REPEATS: u8 = 0;
    const SKIPS_ZERO: bool = true;
    const ANNOUNCE: Option<Duration> = None;
    const FAREWELLS: u8 = 0;

    fn read<'a>(&self, bytes: &'a [u8], from: SocketAddr) -> Result<Incoming<'a>, String> {
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
                }
            }
            Packet::Poll { first, last } => Incoming::Poll { first, last },
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
        Dmx { sequence, physical: 0, port_address: universe.number, data }.encode(bytes);
    }

    fn answer(
        &self,
        universes: &[Universe],
        interface: &Interface,
        number: usize,
        range: (u16, u16),
        to: SocketAddr,
        outgoing: &mut OutgoingDatagrams,
    ) {
        if to.is_ipv6() {
            return;
        }
        let address = interface.address_for(to);
        let ours = universes.iter().filter(|universe| {
            let config = &universe.config;
            config.interface == number && (range.0..=range.1).contains(&config.number)
        });
        for (nth, universe) in ours.enumerate().take(255) {
            let config = &universe.config;
            let long_name = format!("Consort: {}", config.name);
            let reply = PollReply {
                address,
                port: interface.port(),
                port_address: config.number,
                bind_index: nth as u8 + 1,
                short_name: &config.name,
                long_name: &long_name,
                takes: Some(universe.has_input()),
                is_merging: universe.is_merging(),
                is_latest: config.policy == Policy::Latest,
                gives: config.is_output.then(|| universe.has_output()),
            };
            outgoing.push_marked(to, u32::MAX, |bytes| reply.encode(bytes));
        }
    }
}

struct ArtNet {
    node: Rc<RefCell<Node<ArtNetPackets>>>,
    net: u16,
    outputs: Vec<Sending>,
}

impl Default for ArtNet {
    fn default() -> Self {
        let node = Rc::new(RefCell::new(Node::new(ArtNetPackets)));
        ArtNet { node, net: 0, outputs: Vec::new() }
    }
}

impl Backend for ArtNet {
    fn configure(&mut self, options: &Options, problems: &mut Problems) {
        let mut node = self.node.borrow_mut();
        node.detect = Detect::read(options.text("detect"));
        node.interfaces = read_interfaces(options, problems, codec::PORT, config::read_words);
        self.net = options.integer("net").unwrap_or(0) as u16;
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        let count = self.node.borrow().interfaces.len();
        let config = config::read_instance(&instance, self.net, count, problems)?;
        self.outputs.extend(Sending::of(&config));
        Some(Box::new(DmxInstance::new(
            Rc::clone(&self.node),
            config,
            "add `destination = HOST` to send",
        )))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        check_outputs(&self.outputs, report);
    }
}
