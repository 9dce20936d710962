//! MQTT 3.1.1 and 5: topics of a broker, and channels that several shows share.
//!
//! `encode` and `decode` are the packets, `session` is the state of a connection without sockets
//! and clocks, and `transport` is TCP with or without TLS; `link` drives the two from the router's
//! loop. Above it, a `client` is either `plain` (topics of other programs, with `topics`, `values`
//! and `json`) or `share`.
//!
//! The packets are encoded here and not by a client library, because the usual one (`rumqttc`)
//! writes each publication with a system call of its own, on another thread: publishing took 1.35
//! µs of processor time a message, three times as much as a bare socket, and a third of its
//! messages a second.

mod client;
mod config;
mod decode;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod json;
mod link;
mod plain;
mod session;
mod share;
#[cfg(test)]
mod tests;
mod tls;
mod topics;
mod transport;
mod values;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Options, Plan, Problems,
};

use crate::detect::{DETECT, DetectDriver};
use config::{Broker, Config};
use instance::MqttPlan;
use share::OnLoss;

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "mqtt",
    summary: "MQTT 3.1.1 and 5: topics of a broker, and channels that several shows share",
    documentation: "\
A channel is a topic of the broker `host`, everything behind the instance's dot: `lamp.stage/dim` is \
the topic `stage/dim`, and `lamp./in` the topic `/in`. A topic with blanks, an arrow or other signs of \
the configuration is written in quotes.

**Output.** Every value is published, also an unchanged one. Without a topic option, the message is \
the number with six decimals, from `0.000000` to `1.000000`. A text is published as it is.

**Input.** A message is read as a number, as far as it begins with one; what follows is ignored. The \
number is clipped to the range. `on` and `true` are 1, `off` and `false` are 0, in any case. NaN is \
dropped and an empty message ignored. Any other message is a text. Messages that the broker has \
stored (*retained*) arrive when the instance connects and are values like others.

**Topic options** describe the messages of a topic, or of a member. Their name is the channel:

- `TOPIC = range MIN MAX` scales numbers; MIN may be greater than MAX. `decimals N` may follow.
- `TOPIC = discrete MIN MAX TEXT` sends TEXT for values from MIN to MAX (0 to 1). It may be repeated; \
the first that has the value is used, and a value that none has is not sent. A TEXT that arrives gives \
the middle of MIN and MAX, or the end that is marked with `!`: `discrete 0 !0.5 off`.
- `TOPIC = switch ON OFF` sends one of two words, ON from 0.5. In any case, they are 1 and 0.

**Wildcards.** A source may be a filter: `+` stands for one level, `#` at the end for all further ones.

**JSON.** `TOPIC#/MEMBER` is a member of a JSON document, by its pointer (RFC 6901): \
`lamp.wled/desk/v#/bri`, `sensor.zigbee2mqtt/door#/contact`, `x.a#/list/0`. Members that a mapping \
writes in one turn are published as one document with these members.

**What is published does not come back.** A topic that is both source and target emits only what \
others publish.

**The broker is a state.** While it cannot be reached, the instance waits and tries again with longer \
and longer delays up to 8 s. The newest value of each topic is kept for the next connection if `qos` \
is 1 or 2 or `retain` is on; other values are dropped and counted. Publications that were not \
acknowledged are sent again. A connection that does not answer for one and a half times `keep-alive` \
is closed. If a broker supports only 3.1.1, that version is used.

**Unmatched input** is what matches a filter but no channel. With `detect`, and in `consort learn`, the \
instance subscribes to all topics (`#`), and members of JSON documents are listed, too. Messages of \
more than 1 MiB are skipped and counted.

**TLS** is used with `mqtts://`. The certificate is checked with the authorities of the system, or with \
those in `ca`. A password without TLS is sent unencrypted, and a warning says so. Lists of revoked \
certificates are not used.

**MIDIMonster** 0.6 with protocol 5 writes the length in front of each message; such messages are \
understood. Consort sends the bare text, which MIDIMonster understands, too.

## One show on several machines: `share = on`

Instances with `share = on` and the same `prefix` on several machines share their channels through a \
broker: a value that one show writes reaches the mappings of all, also of the writing show itself, and \
all end with the same value. The name of a channel is free. See the page *Several machines*.

- A value is passed on at once in the show that writes it. The order in which the broker gets the \
values decides: who writes last, wins, on every machine.
- The broker stores the values, so that a show that is started later gets them.
- When a show is gone, its values are deleted at the broker, and each other show keeps them or \
replaces them (`on-loss`). When it comes back, it publishes its values again.
- While a show is disconnected, its mappings continue with its own values. What it has written then is \
published when the connection is back.
- A value that equals the one that another show has published last is not published again. Otherwise \
mappings from one shared channel to another, spread over several machines, could form a loop that no \
show sees.
- The default of `qos` is 1. With `qos = 0`, publications may be lost; the receivers count them.",
    options: &[OptionSpec {
        documentation: "Log every message. Instances that connect while it is on subscribe to all \
topics.",
        ..DETECT
    }],
    instance_options: &[
        OptionSpec {
            name: "host",
            kind: OptionKind::Checked(Broker::check),
            required: true,
            example: "mqtt://127.0.0.1:18831",
            documentation: "The broker: `[mqtt://|mqtts://][USER[:PASSWORD]@]HOST[:PORT]`. \
`mqtts` uses TLS. The port is 1883, or 8883 with TLS.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "user",
            example: "stage",
            documentation: "The user's name, instead of that in `host`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "password",
            example: "secret",
            documentation: "The password, instead of that in `host`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "clientid",
            kind: OptionKind::Checked(config::check_client_id),
            example: "stage-left",
            documentation: "The identifier of the client, which must be unique at its broker. \
Without it, a random one is used.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "protocol",
            kind: OptionKind::Choice(&["5", "3.1.1"]),
            default: Some("5"),
            example: "3.1.1",
            documentation: "The version of the protocol to begin with.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "keep-alive",
            kind: OptionKind::Integer(0, 65_535),
            default: Some("20"),
            example: "10",
            documentation: "Seconds: the broker closes a connection that is silent for one and a \
half times as long, and publishes its will. With `share`, it is asked for a shorter time, since \
brokers look for silent clients only from time to time, mosquitto every 5 s: with 5 or more, the other \
shows are notified within one and a half times the option. 0 switches this off.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "qos",
            kind: OptionKind::Integer(0, 2),
            example: "1",
            documentation: "The quality of service of publications and subscriptions: 0 at most \
once, 1 at least once, 2 exactly once within a connection. The default is 0, and 1 with `share`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "retain",
            kind: OptionKind::Flag,
            default: Some("off"),
            live: true,
            example: "on",
            documentation: "Let the broker store the last value of each topic for later \
subscribers.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "decimals",
            kind: OptionKind::Integer(0, values::MAX_DECIMALS as i64),
            default: Some("6"),
            live: true,
            example: "3",
            documentation: "The decimals of published numbers.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "birth",
            kind: OptionKind::Checked(config::check_announcement),
            live: true,
            example: "stage/consort online",
            documentation: "A topic and a message that is published, retained, after each \
connection.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "will",
            kind: OptionKind::Checked(config::check_announcement),
            example: "stage/consort offline",
            documentation: "A topic and a message that the broker publishes, retained, when the \
connection is lost, and that the instance publishes when the show ends.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "ca",
            kind: OptionKind::Path,
            example: "ca.crt",
            documentation: "A file with the certificate authorities (PEM) that the broker's \
certificate is checked with, instead of those of the system.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "certificate",
            kind: OptionKind::Path,
            example: "stage.crt",
            documentation: "A file with this client's certificate (PEM), for brokers that ask for \
one; needs `key`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "key",
            kind: OptionKind::Path,
            example: "stage.key",
            documentation: "A file with the private key (PEM) of `certificate`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "insecure",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Accept any certificate of the broker. For tests only.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "share",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Share the channels with the shows of other machines; see below.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "prefix",
            kind: OptionKind::Checked(config::check_prefix),
            example: "consort/bus",
            documentation: "With `share`: how the topics begin. It must be the same on all \
machines; without it, it is `consort/` and the instance's name.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "on-loss",
            kind: OptionKind::Checked(OnLoss::check),
            default: Some("hold"),
            live: true,
            example: "zero",
            documentation: "With `share`: what becomes of the values of a show that is gone: \
`hold`, `zero` or a value from 0 to 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "name",
            example: "stage-left",
            documentation: "With `share`: the name of this show for the others; without it, that \
of the computer.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[OptionFamily {
        prefix: "",
        live: true,
        example: "stage/dim = range 0 255 decimals 0",
        documentation: "The format of the messages of a topic or of a member: `range MIN MAX`, \
`range MIN MAX decimals N`, `discrete MIN MAX TEXT` or `switch ON OFF`; see above.",
    }],
    channels: &[
        ChannelSyntax {
            syntax: "TOPIC",
            example: "stage/dim",
            documentation: "The messages of a topic.",
        },
        ChannelSyntax {
            syntax: "FILTER",
            example: "sensor/+/level",
            documentation: "The messages of all topics that a filter matches; a source only.",
        },
        ChannelSyntax {
            syntax: "TOPIC#/POINTER",
            example: "wled/desk#/bri",
            documentation: "A member of the JSON documents of a topic.",
        },
    ],
    example: "\
[mqtt broker]
host = mqtt://127.0.0.1:18831
stage/dim = range 0 255 decimals 0

[map]
broker.sensor/fader > broker.stage/dim
",
    create: || Box::<Mqtt>::default(),
};

/// The backend: its option.
#[derive(Default)]
struct Mqtt {
    detect: bool,
}

impl Backend for Mqtt {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        Some(Box::new(MqttPlan::new(Config::read(&instance, problems)?)))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(DetectDriver::new(self.detect, |backend| {
            backend.downcast_ref::<Mqtt>().map(|backend| backend.detect)
        }))
    }
}
