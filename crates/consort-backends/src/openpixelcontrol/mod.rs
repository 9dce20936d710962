//! Open Pixel Control: strips of LEDs over TCP.
//!
//! `codec` has the messages and `channels` the names of components. `output` keeps a message for
//! each strip, `input` finds what changes between received messages, `server` has the clients, and
//! `instance` combines them.

mod channels;
mod codec;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod input;
mod instance;
mod output;
mod server;
#[cfg(test)]
mod tests;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionKind, OptionSpec,
    Options, Plan, Problems,
};

use self::channels::Order;
use self::codec::Mode;
use self::config::Config;
use self::instance::OpcPlan;
use crate::detect::{DETECT, DetectDriver};
use crate::net::ALLOW;

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "openpixelcontrol",
    summary: "Open Pixel Control: strips of LEDs over TCP, in and out",
    documentation: "\
An instance sends colours to the server `destination`, such as Fadecandy or a simulator, receives \
colours from clients at `listen`, or both. Output and input of one instance are independent.

**Output.** Sending starts with the first value. Each strip with new values is sent, at once and at \
most `rate` times per second; values that are replaced before they are sent are counted as dropped. \
A message is as long as the highest mapped component, rounded up to a whole pixel; components \
without a value are 0. Without `refresh`, an unchanged strip is not sent again.

**Strip 0** stands for all strips of the server. A value that is sent to it is also the value of \
the other mapped strips. The message of strip 0 overwrites them at the server, and those that have \
other values are sent again behind it. Some servers do not support strip 0. It cannot be a source: \
what clients send to strip 0 arrives on every mapped strip.

**Input.** Up to 64 clients may be connected; the last message of a strip counts. A value is \
emitted when it has changed, and once for each component of the first message. Messages of any \
length are accepted, also those that end within a pixel. Messages of the other `mode` and of unknown \
commands are ignored and counted as errors; system exclusive messages are ignored. A client whose \
message is incomplete for 10 s is disconnected.

**The server is a state.** While it cannot be reached, the instance waits and tries again with \
longer and longer delays up to 8 s. A new connection gets the newest values of all strips.

**Unmatched input.** Components that have changed and that no mapping uses are counted; up to eight of \
each message are listed with their channel and value. Without any source, what arrives for strip 0 is \
listed as strip 1.

**When a show is reloaded,** an instance of which only `gamma`, `rate`, `refresh` or mappings have \
changed keeps its connections and values. A channel that is mapped no more keeps its last level. A \
channel that is newly mapped gets its value from the next message.

Open Pixel Control has no access control: anyone who can reach the port can send values, unless \
`allow` names the networks from which connections are accepted.

**Tested with** the Open Pixel Control plugin of olad 0.10.9 in both directions, and with the client \
of the Python package `opclib` 0.0.7. These have 8 bits only: 16 bits were tested byte by byte \
against the specification. Fadecandy boards and other hardware could not be tried.",
    options: &[OptionSpec {
        documentation: "Log every change of a received component, mapped or not, with its strip.",
        ..DETECT
    }],
    instance_options: &[
        OptionSpec {
            name: "destination",
            kind: OptionKind::Checked(config::check_destination),
            example: "127.0.0.1 7891",
            documentation: "Host and port of the server to send to. The port is optional (7890).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "listen",
            kind: OptionKind::Checked(config::check_listen),
            example: "127.0.0.1 17892",
            documentation: "Address and port on which clients can connect. The port is optional \
(7890).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "mode",
            kind: OptionKind::Choice(Mode::WORDS),
            default: Some("8bit"),
            example: "16bit",
            documentation: "The bits of each component, sent and received. 16 bits are big endian; \
few servers support them.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "order",
            kind: OptionKind::Checked(Order::check),
            default: Some("rgb"),
            example: "grb",
            documentation: "The order of the colours of a pixel, for the channels `red`, `green`, \
`blue` and `white`. With a `w`, a pixel has four components.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "gamma",
            kind: OptionKind::Number(0.1, 10.0),
            default: Some("1"),
            live: true,
            example: "2.2",
            documentation: "Values are raised to this power before they are sent, for LEDs whose \
server does not correct them. What is received is not changed.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "rate",
            kind: OptionKind::Integer(0, config::MAX_RATE),
            default: Some("60"),
            live: true,
            example: "30",
            documentation: "The most messages per second for each strip; 0: no limit.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "refresh",
            kind: OptionKind::Integer(0, config::MAX_REFRESH_MILLIS),
            default: Some("0"),
            live: true,
            example: "1000",
            documentation: "Milliseconds after which an unchanged strip is sent again, for servers \
that return to something else without input; 0: never.",
            ..OptionSpec::EMPTY
        },
        ALLOW,
    ],
    instance_families: &[],
    channels: &[
        ChannelSyntax {
            syntax: "[stripN.]redL",
            example: "strip1.red5",
            documentation: "The red of pixel L (from 1) of strip N (0 to 255); also `greenL`, `blueL` \
and, if `order` has a `w`, `whiteL`. Without a strip, strip 0: all.",
        },
        ChannelSyntax {
            syntax: "[stripN.]channelK",
            example: "strip1.channel7",
            documentation: "Component K of a strip, from 1 to 65535, or to 32767 with 16 bits.",
        },
    ],
    example: "\
[openpixelcontrol leds]
destination = 127.0.0.1 17890
listen = 127.0.0.1 17891

[map]
leds.strip1.red1 > leds.strip2.blue1
",
    create: || Box::<OpenPixelControl>::default(),
};

/// The backend: its option.
#[derive(Default)]
struct OpenPixelControl {
    detect: bool,
    /// The instances that listen, with their addresses.
    listeners: Vec<(String, crate::net::HostPort)>,
}

impl Backend for OpenPixelControl {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = Config::read(&instance, problems)?;
        if let Some(listen) = &config.listen {
            self.listeners.push((instance.name, listen.clone()));
        }
        Some(Box::new(OpcPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, (name, listen)) in self.listeners.iter().enumerate() {
            let mut earlier = self.listeners[..index].iter();
            let Some((other, _)) = earlier.find(|(_, other)| other.overlaps(listen)) else {
                continue;
            };
            let mut problems = Problems::new();
            problems
                .error(None, format!("instance `{other}` listens on the same port"))
                .hint("give each instance its own port, or map all strips from one of them");
            report(name, problems);
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(DetectDriver::new(self.detect, |backend| {
            backend.downcast_ref::<OpenPixelControl>().map(|backend| backend.detect)
        }))
    }
}
