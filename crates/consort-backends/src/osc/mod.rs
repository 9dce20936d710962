//! Open Sound Control over UDP and TCP.
//!
//! `config` reads the options, `receiver` and `paths` turn packets into values, `outputs` turns
//! values into messages, `datagram` and `stream` implement the transports behind the trait of
//! `carrier`, and `instance` connects all of them to the router.

mod carrier;
mod config;
mod datagram;
mod instance;
mod outputs;
mod paths;
mod pattern_index;
mod patterns;
#[cfg(feature = "oscquery")]
mod query;
#[cfg(all(test, feature = "oscquery"))]
mod query_tests;
mod receiver;
mod stream;
#[cfg(test)]
mod tests;
mod variable;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Options, Plan, Problems,
};

use crate::detect::DETECT;
use crate::mdns::{MDNS_INTERFACE, MDNS_NAME, MdnsDriver, Settings};
use crate::net::{ALLOW, HostPort};
use config::{Config, Destination, LearnedPeer, SharedBind};
use instance::OscPlan;

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "osc",
    summary: "Open Sound Control over UDP and TCP, in and out",
    documentation: "\
Implements Open Sound Control 1.0 and the argument types of 1.1.

**Input.** A channel is an address (`/1/fader1`); `:n` after it selects an argument, the first \
being `:0`. Numbers are scaled from their range to 0.0–1.0 and clipped. The range comes from a \
pattern option or else from the type: `i` 0–255, `f` and `d` 0.0–1.0, `h` 0–1024. `T` and `I` are \
1, `F` is 0, and a message without arguments is a 1 on `:0`. Arguments of other types are counted \
but have no value. An incoming address may be an OSC pattern, which reaches every channel that it \
matches; if a packet contains so many patterns that matching them would delay the show, the excess \
is dropped and counted. The messages of a bundle are handled immediately, in order, whatever its \
time tag. A string (`s` or `S`) is a text, unless a pattern option describes its \
argument.

A pattern option can give the words of a text (`/mode = s off on auto` is 0, 0.5 and 1) or say that \
a text is a number (`/level = n 0 100`). Addresses may end with a slash and contain spaces, `#` and \
commas; quote such channels.

**Output.** A message is sent when one of its arguments has changed, and always for the first \
value. With `always` in the pattern option, every value is sent. A message without arguments, or of \
constants alone (`/cue/go = s \"main\"`, `/start = i 1 1`, `/xremote =`), is sent for every value above \
0, equal ones too, and never for 0. If a channel is both source and target, a value that differs \
from the last one that the peer sent is always sent. The count `out` counts the values that left. \
Arguments of one address that change together (an XY pad) are sent in one message. Whole \
numbers are rounded. An argument that has not had a value yet is sent as 0, or as the end of its \
range that is closest to 0. Types and ranges come from a pattern option; an address without one is \
sent as floats from 0.0 to 1.0. A text replaces the argument if the pattern option describes it as a \
text (`s`, `n`); otherwise it is sent as a message with one string.

**Unmatched input.** What arrives and is not mapped is counted and listed with its channel, type \
tags, first value and sender: each argument of an address that no mapping uses, and the unmapped \
arguments of one that mappings use. Messages outside the `root` are only counted.

**When a show is reloaded,** sockets, connections and the learned peer are kept, unless `bind`, \
`destination`, `transport` or `framing` has changed. Channels that stay send only what has \
changed.

**`bind` without an address** (`bind = 8000`, or the address `::`) listens on every interface, \
IPv6 and IPv4, so that every computer on the network can send to the show. Bind to `127.0.0.1` to \
accept packets from this computer only.

**`destination = learn` lets any sender redirect the output:** output is sent to the peer that \
sent the last valid packet whose address begins with `root`. A new peer gets the last value of every \
channel, at most once in 5 seconds. `allow` limits who that may be, and `learn = first` keeps the first \
one. Most apps receive on another port than the one that they send from: use `learn@PORT` for them. Use \
it only on networks that you trust.

**On the local network.** With `mdns-name`, the instances that have `bind` are announced with their \
names (`_osc._udp` or `_osc._tcp`), so that apps list them. `destination = mdns:NAME` searches for a \
service of that name and sends to it, and follows it when its address changes; `consort discover` \
lists what is there. Without both options, nothing is announced or searched for. An instance that is \
bound to this computer alone (`127.0.0.1`) is not announced.

Over TCP, `bind` accepts up to 64 connections, and `destination` connects and tries again until \
the peer accepts. When all places are taken, a new connection replaces the one that has been silent \
for longest among those of the host with the most. A connection with an incomplete packet is closed \
after ten seconds. With `bind` alone, output is sent to every connected peer. A peer whose network \
fails is detected after about one minute.

**OSCQuery.** With `query = on`, programs such as Chataigne and ossia read which addresses the instance \
has: by HTTP a tree with types, ranges and last values, by WebSocket the values that change (`LISTEN`), up \
to 20 times a second. An address that the instance receives can be written (`ACCESS` 3), by OSC; one that it \
sends can only be read. HTTP changes nothing. There is no password: who may connect reads all of it, so \
use `allow`. At most 16 programs can listen at a time, each to 1,000 addresses; the first 10,000 channels \
have values, texts have none. The instance is not announced in the network: enter `http://HOST:PORT/`.

Host names are looked up in the background. If a port is in use, a name has no address or a host \
does not respond, the instance waits and tries again while the show runs.",
    options: &[OptionSpec {
        documentation: "Log the address, types and values of every incoming message whose \
address begins with the instance's `root`.",
        ..DETECT
    },
    OptionSpec {
        documentation: "The name of this computer on the local network (without `.local`): announces \
the instances that have `bind`.",
        ..MDNS_NAME
    },
    OptionSpec {
        documentation: "The network interface on which instances are announced and services are \
found. The default is all of them.",
        ..MDNS_INTERFACE
    }],
    instance_options: &[
        OptionSpec {
            name: "root",
            kind: OptionKind::Checked(config::check_address),
            live: true,
            example: "/my/osc/path",
            documentation: "A prefix of every address of the instance, for input and output. It is \
literal text, not a pattern.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(HostPort::check),
            example: ":: 8000",
            documentation: "Host and port to listen on. A port alone, or the host `::`, listens on \
every interface.",
            ..OptionSpec::EMPTY
        },
        #[cfg(feature = "oscquery")]
        OptionSpec {
            name: "query",
            kind: OptionKind::Checked(query::Query::check),
            default: Some("off"),
            example: "on",
            documentation: "Serve the namespace by OSCQuery: `on` for TCP with the address and port of \
`bind`, `HOST PORT` for others. `allow` limits who may connect.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "destination",
            aliases: &["dest"],
            kind: OptionKind::Checked(config::check_destination),
            example: "10.11.12.13 8001",
            documentation: "Host and port to send to. `learn` sends to the peer that sent last, \
`learn@PORT` to the same host on another port, `mdns:NAME` to the service of this name on the local \
network.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "learn",
            kind: OptionKind::Choice(LearnedPeer::WORDS),
            default: Some("last"),
            example: "first",
            documentation: "The peer that `destination = learn` follows: the `last` one that sent, \
or the `first` one, as long as the instance runs (over TCP: as long as it is connected).",
            ..OptionSpec::EMPTY
        },
        ALLOW,
        OptionSpec {
            name: "transport",
            kind: OptionKind::Choice(&["udp", "tcp"]),
            default: Some("udp"),
            example: "tcp",
            documentation: "Send and receive datagrams (`udp`) or streams (`tcp`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "framing",
            kind: OptionKind::Choice(&["length", "slip"]),
            default: Some("length"),
            example: "slip",
            documentation: "How packets are separated over TCP: by a 32-bit length before each \
packet (OSC 1.0) or as SLIP frames (OSC 1.1).",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[OptionFamily {
        prefix: "/",
        live: true,
        example: "/1/xy* = ff 0.0 2.0 0.0 2.0",
        documentation: "The types of a message's arguments, then what each of them needs: the lower \
and upper end of the range of a number (`i`, `f`, `h`, `d`, and `n`, a number that is written as a \
text); the text of `s`, in quotes if it contains spaces, or several words if `s` is the only type, or \
nothing for any text; the bytes of `b` in hexadecimal. `T`, `F`, `N` and `I` need nothing, and without \
types the message has no arguments. A range of one value (`i 1 1`) is a constant. After that, `always` \
sends every value instead of changes, `refresh 5 s` sends the last message again at this interval, \
and `every 9 s` sends the message at this interval even without a mapping, to keep a subscription \
alive; it needs an address without wildcards. The address may be a pattern (`?`, `*`, `[a-z]`, `[!a]`, \
`{one,two}`) and does not include the `root`; the first option that matches a channel applies. The \
lower end may be greater than the upper end. Words after the last range are ignored with a \
warning.",
    }],
    channels: &[
        ChannelSyntax {
            syntax: "/ADDRESS",
            example: "/1/fader1",
            documentation: "The first argument of messages to this address.",
        },
        ChannelSyntax {
            syntax: "/ADDRESS:N",
            example: "/1/xy1:1",
            documentation: "Argument N of messages to this address, counted from 0.",
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

/// An instance with a `bind` option, as the backend records it to find conflicts.
struct Bound {
    name: String,
    /// The position of its option `bind`.
    position: usize,
    bind: HostPort,
    is_tcp: bool,
    /// Whether it has a fixed destination, and so can send from any port.
    has_target: bool,
    shared: Arc<SharedBind>,
}

impl Bound {
    fn conflicts_with(&self, other: &Bound) -> bool {
        self.bind.overlaps(&other.bind) && self.is_tcp == other.is_tcp
    }

    /// Whether the instance does not need the port, because it only sends. MIDIMonster requires
    /// `bind` of such instances too, and lets several of them share a port.
    fn can_yield(&self) -> bool {
        self.has_target && !self.is_tcp && !self.shared.receives.load(Relaxed)
    }

    /// Leaves the port to another instance.
    fn yield_to(&self, other: &Bound, report: &mut dyn FnMut(&str, Problems)) {
        self.shared.yielded.store(true, Relaxed);
        let message = format!("port {} is used by instance `{}`", self.bind.port, other.name);
        let mut problems = Problems::new();
        let hint = "this instance only sends, and uses another port; remove its `bind`";
        problems.warning(Some(self.position), message).hint(hint);
        report(&self.name, problems);
    }
}

/// The kinds of service that announce an instance over UDP and TCP.
const UDP_KIND: &str = "_osc._udp";
const TCP_KIND: &str = "_osc._tcp";

/// The backend: its options, and the instances that bind a port.
#[derive(Default)]
struct Osc {
    settings: Settings,
    bound: Vec<Bound>,
}

impl Backend for Osc {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.settings = Settings::read(options);
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = Config::read(&instance.options, problems)?;
        let shared = Arc::<SharedBind>::default();
        let learns = matches!(config.destination, Destination::Learn(_));
        shared.receives.store(self.settings.detect || learns, Relaxed);
        if let (Some(bind), Some(position)) = (&config.bind, instance.options.position("bind")) {
            self.bound.push(Bound {
                name: instance.name.clone(),
                position,
                bind: bind.clone(),
                is_tcp: config.is_tcp(),
                has_target: matches!(
                    config.destination,
                    Destination::Fixed(_) | Destination::Service(_)
                ),
                shared: Arc::clone(&shared),
            });
        }
        Some(Box::new(OscPlan::new(instance.name, config, shared)))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(MdnsDriver::new(self.settings, UDP_KIND, |backend| {
            backend.downcast_ref::<Osc>().map(|backend| backend.settings.detect)
        }))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, instance) in self.bound.iter().enumerate() {
            let conflicting =
                self.bound[..index].iter().filter(|other| instance.conflicts_with(other));
            for other in conflicting.filter(|other| !other.shared.yielded.load(Relaxed)) {
                if instance.can_yield() {
                    instance.yield_to(other, report);
                    break;
                }
                if other.can_yield() {
                    other.yield_to(instance, report);
                    continue;
                }
                let mut problems = Problems::new();
                problems
                    .error(
                        Some(instance.position),
                        format!(
                            "port {} is already bound by instance `{}` ({})",
                            instance.bind.port, other.name, other.bind
                        ),
                    )
                    .hint("give each instance its own port");
                report(&instance.name, problems);
                break;
            }
        }
    }
}
