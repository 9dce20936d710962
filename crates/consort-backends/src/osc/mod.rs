//! Open Sound Control over UDP and TCP.
//!
//! `config` reads options, `paths` turns messages into values and `outputs` values into messages,
//! `datagram` and `stream` move bytes, `instance` ties them to the router.

mod config;
mod datagram;
mod instance;
mod outputs;
mod paths;
mod stream;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Instance, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Options, Problems,
};

use crate::net::HostPort;
use config::{Config, Destination};
use instance::OscInstance;

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "osc",
    summary: "Open Sound Control over UDP and TCP, in and out",
    documentation: "\
Speaks Open Sound Control 1.0 and the types of 1.1.

**In.** A channel is an address (`/1/fader1`); `:n` behind it names an argument, the first being \
`:0`. Numbers are scaled from their range to 0.0–1.0 and clipped: from the range that a pattern \
option gives, else from the default of their type: `i` 0–255, `f` and `d` 0.0–1.0, `h` 0–1024. \
`T` and `I` are 1, `F` is 0, a message without arguments is a 1 on `:0`. Arguments of other types \
keep their place and have no value. An incoming address may be an OSC pattern, it then reaches \
every channel it matches; packets with so many patterns that comparing them would hold up the show \
lose some, which are counted as dropped. The messages of a bundle are handled at once, in order, \
whatever its time tag.

**Out.** A message leaves when one of its arguments has changed, and always for the first value. \
Arguments of one address that change together (an XY pad) leave in one message. Whole numbers \
are rounded. An argument that has had no value yet is sent as 0, or as the end of its range \
nearest to it. Types and ranges come from a pattern option; an address without one is sent as \
floats from 0.0 to 1.0.

**`bind` without an address** (`bind = 8000`, or the address `::`) listens on every interface, \
IPv6 and IPv4: anyone in the network can then send. Bind to `127.0.0.1` for this machine only.

**`destination = learn` lets any sender redirect the output:** replies go to whoever sent the \
last packet. Use it only in networks where everyone is trusted.

Over TCP, `bind` accepts up to 64 connections and `destination` connects, again and again until \
somebody answers; with `bind` alone, output goes to everyone who is connected. A peer whose network \
has gone is noticed within a minute or so.

Host names are looked up in the background. A port that is in use, a name without an address and \
a host that does not answer are waited for; the show runs.",
    options: &[OptionSpec {
        name: "detect",
        kind: OptionKind::Flag,
        default: Some("off"),
        example: "on",
        documentation: "Log the address, types and values of every incoming message that begins \
with the instance's `root`.",
        ..OptionSpec::EMPTY
    }],
    instance_options: &[
        OptionSpec {
            name: "root",
            kind: OptionKind::Checked(config::check_address),
            example: "/my/osc/path",
            documentation: "Stands before every address of the instance, in and out. A plain \
prefix.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(HostPort::check),
            example: ":: 8000",
            documentation: "Host and port to listen on. A port alone, or the host `::`, is every \
interface.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "destination",
            aliases: &["dest"],
            kind: OptionKind::Checked(config::check_destination),
            example: "10.11.12.13 8001",
            documentation: "Host and port to send to. `learn` replies to whoever sent last, \
`learn@PORT` to that host on another port.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "transport",
            kind: OptionKind::Choice(&["udp", "tcp"]),
            default: Some("udp"),
            example: "tcp",
            documentation: "Datagrams or streams.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "framing",
            kind: OptionKind::Choice(&["length", "slip"]),
            default: Some("length"),
            example: "slip",
            documentation: "How packets are told apart over TCP: by a 32-bit length before each \
(OSC 1.0) or as SLIP frames (OSC 1.1).",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[OptionFamily {
        prefix: "/",
        example: "/1/xy* = ff 0.0 2.0 0.0 2.0",
        documentation: "The types of a message's arguments (`i`, `f`, `h`, `d`), then the lower \
and upper end of the range of each. The address may be a pattern (`?`, `*`, `[a-z]`, `[!a]`, \
`{one,two}`) and does not include the `root`; the first option that matches a channel counts. A \
range may run downwards. Words behind the last range are ignored, with a warning.",
    }],
    channels: &[
        ChannelSyntax {
            syntax: "/ADDRESS",
            example: "/1/fader1",
            documentation: "The first argument of messages to that address.",
        },
        ChannelSyntax {
            syntax: "/ADDRESS:N",
            example: "/1/xy1:1",
            documentation: "An argument, counted from 0.",
        },
    ],
    example: "\
[osc tablet]
bind = 127.0.0.1 18000
destination = 127.0.0.1 18001
/1/xy* = ff 0.0 2.0 0.0 2.0

[map]
tablet./1/fader1 > tablet./1/xy1:1
",
    create: || Box::<Osc>::default(),
};

/// What an instance that binds an address and the backend know of it together.
#[derive(Default)]
struct Port {
    /// Whether anything that arrives there is of use.
    hears: Cell<bool>,
    /// Whether another instance has it: this one sends from any other.
    is_left: Cell<bool>,
}

/// An instance that binds an address.
struct Bound {
    name: String,
    /// The number of its option `bind`.
    at: usize,
    bind: HostPort,
    is_tcp: bool,
    /// Whether it has a destination of its own, and so can send without the port.
    has_target: bool,
    port: Rc<Port>,
}

impl Bound {
    fn meets(&self, other: &Bound) -> bool {
        self.bind.overlaps(&other.bind) && self.is_tcp == other.is_tcp
    }

    /// Whether it needs the port for nothing: MIDIMonster wants `bind` also of those that only
    /// send.
    fn can_leave(&self) -> bool {
        self.has_target && !self.is_tcp && !self.port.hears.get()
    }

    /// Lets another instance have the port.
    fn leave_to(&self, other: &Bound, report: &mut dyn FnMut(&str, Problems)) {
        self.port.is_left.set(true);
        let message = format!("port {} is that of instance `{}`", self.bind.port, other.name);
        let mut problems = Problems::new();
        let hint = "this one only sends, it does so from another port; remove its `bind`";
        problems.warning(Some(self.at), message).hint(hint);
        report(&self.name, problems);
    }
}

#[derive(Default)]
struct Osc {
    detect: Rc<Cell<bool>>,
    bound: Vec<Bound>,
}

impl Backend for Osc {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect.set(options.flag("detect"));
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        let config = Config::read(&instance.options, problems)?;
        let port = Rc::<Port>::default();
        port.hears.set(self.detect.get() || matches!(config.destination, Destination::Learn(_)));
        if let (Some(bind), Some(at)) = (&config.bind, instance.options.position("bind")) {
            self.bound.push(Bound {
                name: instance.name,
                at,
                bind: bind.clone(),
                is_tcp: config.is_tcp(),
                has_target: matches!(config.destination, Destination::Fixed(_)),
                port: Rc::clone(&port),
            });
        }
        Some(Box::new(OscInstance::new(config, Rc::clone(&self.detect), port)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (nth, it) in self.bound.iter().enumerate() {
            let met = self.bound[..nth].iter().filter(|other| it.meets(other));
            for other in met.filter(|other| !other.port.is_left.get()) {
                if it.can_leave() {
                    it.leave_to(other, report);
                    break;
                }
                if other.can_leave() {
                    other.leave_to(it, report);
                    continue;
                }
                let mut problems = Problems::new();
                problems
                    .error(
                        Some(it.at),
                        format!(
                            "port {} is already bound by instance `{}` ({})",
                            it.bind.port, other.name, other.bind
                        ),
                    )
                    .hint("give each instance a port of its own");
                report(&it.name, problems);
                break;
            }
        }
    }
}
