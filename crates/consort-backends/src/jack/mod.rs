//! JACK: MIDI and control voltage, through the server of jackd, jackd2 or PipeWire.
//!
//! libjack is loaded while the show runs. A thread of each instance calls it, except in the callback;
//! the router's thread does not, so that a server that hangs stops no route. Between the router and the
//! callback are two rings of fixed size, and atomic numbers for control voltage.
//!
//! | module | content |
//! |---|---|
//! | `config`, `channels` | options; channel specifications |
//! | `connections` | which connections are made, and made again |
//! | `cv`, `cell` | samples and values; records in the rings |
//! | `process` | what the callback does, without libjack |
//! | `library` | libjack |
//! | `bell` | waking a thread |
//! | `session` | the thread |
//! | `instance` | the plan of an instance, and the router's interface |
//!
//! MIDI channels, values, and the record of held notes are in `midi_grammar`.

mod bell;
mod cell;
mod channels;
mod config;
mod connections;
mod cv;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod exercise;
mod instance;
mod library;
mod process;
mod session;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, DriverContext, InstanceConfig, OptionFamily,
    OptionKind, OptionSpec, Options, Plan, Problems,
};
use parking_lot::Mutex;

use connections::Connections;
use instance::JackPlan;

use crate::detect::{DETECT, DetectDriver};
use crate::midi_grammar::output::{EPN_TX, NOTE_OFF};

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "jack",
    summary: "JACK (also PipeWire's): MIDI and control voltage, in and out",
    documentation: "\
An instance is one client of the server. Every option with a name of its own is a port: \
`notes = midi out`. Other programs connect to it (`jack_connect`, qjackctl, qpwgraph), or the \
instance connects by itself (`connect`).

**The library is found while the show runs.** Nothing needs to be installed for the show itself: \
with `library = auto` it loads `libjack.so.0`, and if that is missing or reaches no server, that of \
PipeWire. All instances use one server, because the library of jackd2 cannot reach two.

**The server may come and go.** An instance waits for it, opens its client when it appears, and \
makes all connections again that were there before, by the names of their ports. So it does when \
another program returns. A connection that somebody has removed stays removed. If a server goes, what \
its inputs hold is released in the show (value 0). Buffer size and sample rate may change. A server \
that hangs stops only its own instances. No server is started.

**Timing.** A value leaves one period after it arrived, at the frame that its time had in the period \
before, so that the distances between messages stay as they were. While the server freewheels, \
everything leaves at once.

**MIDI.** Channels and values are those of [`midi`](midi.md), behind the name of the port: \
`notes.ch0.note60`. When the show stops, it ends every note that it has started and releases every \
pedal that it has pressed; the channel `panic` ends everything.

**Control voltage.** A value from 0 to 1 becomes a sample from `min` to `max`, and back. An output \
keeps its last value. Before the first one it sends 0, or the end of its range that is closer to it. \
With `ramp`, it reaches a new value in a line within one period. An input emits the mean of the \
samples, the largest absolute one (`peak`), or 1 above the middle of its range and 0 below four tenths \
of it (`gate`), at most `rate` times per second, when the value has changed. The shortest pulse of a \
gate counts. Samples that are not numbers are left out and counted as errors.

**Transport.** The channels `transport.rolling` and `transport.tempo` are sources and targets; 1.0 is \
300 quarter notes per minute. If a mapping writes the tempo, the show provides bars and beats in 4/4 \
(it is the timebase master), unless another program does.

**Reload.** A reload keeps the client, its connections and what sounds, unless a port, `name`, \
`server` or `library` has changed.

**Differences to MIDIMonster.** Its configurations work unchanged. Values are rounded instead of \
truncated. What is left out has a value: ports are outputs, `min` is 0 and `max` is 1. A missing \
server is not fatal. Ports of the type `osc` do not exist. Several messages of one period keep their \
times instead of getting the frames 0, 1, 2.",
    options: &[
        OptionSpec {
            name: "library",
            default: Some("auto"),
            example: "/usr/lib/x86_64-linux-gnu/pipewire-0.3/jack/libjack.so.0",
            documentation: "The path of libjack, or `auto`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "errors",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Log what libjack prints as warnings. Otherwise it is logged at the level \
`debug`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "debug",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "The same as `errors`; accepted because MIDIMonster has it.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            documentation: "Log every incoming value, mapped or not, with its channel as it is \
written in `[map]`.",
            ..DETECT
        },
    ],
    instance_options: &[
        OptionSpec {
            name: "name",
            kind: OptionKind::Checked(config::check_client),
            default: Some("MIDIMonster"),
            example: "Show",
            documentation: "The name of the client. The server appends a number if it is taken. The \
default is that of MIDIMonster, so that connections that other programs keep by name stay.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "server",
            kind: OptionKind::Checked(config::check_server),
            default: Some("default"),
            example: "studio",
            documentation: "The name of the server (`jackd -n NAME`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "connect",
            repeatable: true,
            live: true,
            example: "notes > fluidsynth:*",
            documentation: "Connect with the ports whose full names match, now and when they appear. \
`OUTPUT > PATTERN` and `PATTERN > INPUT` name one port of the instance; a pattern alone means all of \
them that have the same type. `*` stands for any text, `?` for one character.",
            ..OptionSpec::EMPTY
        },
        EPN_TX,
        NOTE_OFF,
    ],
    instance_families: &[OptionFamily {
        prefix: "",
        live: false,
        example: "lfo = cv out min 0 max 5 ramp",
        documentation: "A port with this name. Its value is `midi` or `cv`, `in` or `out` (the \
default), and for `cv` also `min F` and `max F` (the samples of 0 and 1; 0 and 1 by default), for \
outputs `ramp`, and for inputs `mean` (the default), `peak` or `gate`, and `rate F` (the most values \
per second; 100 by default), in any order. `in` is from JACK into the show.",
    }],
    channels: CHANNELS,
    example: "\
[jack synth]
notes = midi out
keys = midi in
lfo = cv out min 0 max 5 ramp
level = cv in peak rate 20
connect = notes > fluidsynth:*

[map]
synth.keys.ch0.note{36..96} > synth.notes.ch1.note{36..96}
synth.level > synth.notes.ch0.cc1
synth.keys.ch0.cc1 > synth.lfo
synth.keys.ch0.cc64 > synth.transport.rolling
",
    create: || Box::<JackBackend>::default(),
};

/// The channels.
const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "PORT.chN.ccM",
        example: "notes.ch0.cc7",
        documentation: "A controller of a MIDI port, and in the same way all other channels of \
[`midi`](midi.md#channels): `PORT.chN.noteM`, `PORT.chN.pitch`, `PORT.chN.rpnM`, `PORT.tempo`, \
`PORT.sysex.F0 … F7`, `PORT.panic`. `channelN.` can replace `chN.`.",
    },
    ChannelSyntax {
        syntax: "PORT",
        example: "lfo",
        documentation: "The value of a port for control voltage.",
    },
    ChannelSyntax {
        syntax: "transport.rolling",
        example: "transport.rolling",
        documentation: "1 while the transport rolls, else 0. As a target, it starts the transport \
above 0.5 and stops it otherwise.",
    },
    ChannelSyntax {
        syntax: "transport.start",
        example: "transport.start",
        documentation: "Target: a value above 0 starts the transport.",
    },
    ChannelSyntax {
        syntax: "transport.stop",
        example: "transport.stop",
        documentation: "Target: a value above 0 stops the transport.",
    },
    ChannelSyntax {
        syntax: "transport.rewind",
        example: "transport.rewind",
        documentation: "Target: a value above 0 moves the transport to its beginning.",
    },
    ChannelSyntax {
        syntax: "transport.tempo",
        example: "transport.tempo",
        documentation: "The tempo, 1.0 for 300 quarter notes per minute. A source has a value when \
some program provides bars and beats.",
    },
];

/// The libraries of `library = auto`: the one that the dynamic linker finds, then PipeWire's.
const LIBRARIES: &[&str] = &[
    "libjack.so.0",
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu/pipewire-0.3/jack/libjack.so.0",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu/pipewire-0.3/jack/libjack.so.0",
    "/usr/lib64/pipewire-0.3/jack/libjack.so.0",
    "/usr/lib/pipewire-0.3/jack/libjack.so.0",
];

/// The backend while it is configured.
#[derive(Default)]
struct JackBackend {
    detect: bool,
    logs_messages: bool,
    libraries: Vec<String>,
    /// The server of each instance: the instance's name, the position of the option, the server.
    servers: Vec<(String, Option<usize>, Option<String>)>,
}

impl Backend for JackBackend {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
        self.logs_messages = options.flag("errors") || options.flag("debug");
        self.libraries = match options.text("library") {
            None | Some("auto") => LIBRARIES.iter().map(|path| (*path).to_owned()).collect(),
            Some(path) => vec![path.to_owned()],
        };
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = config::Config::read(&instance, problems)?;
        let position = instance.options.position("server");
        self.servers.push((instance.name, position, config.server.clone()));
        Some(Box::new(JackPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        let Some((first, _, server)) = self.servers.first() else { return };
        for (name, position, other) in self.servers.iter().filter(|(_, _, other)| other != server) {
            let mut problems = Problems::new();
            let text = |server: &Option<String>| server.clone().unwrap_or_else(|| "default".into());
            let message = format!(
                "the server is `{}`, but that of the instance `{first}` is `{}`",
                text(other),
                text(server)
            );
            let hint = "jackd2's library reaches one server at a time; use one, or run two shows";
            problems.warning(*position, message).hint(hint);
            report(name, problems);
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(JackDriver {
            detect: DetectDriver::new(self.detect, |backend| {
                backend.downcast_ref::<JackBackend>().map(|backend| backend.detect)
            }),
            logs_messages: self.logs_messages,
            libraries: self.libraries,
            connections: HashMap::new(),
        })
    }
}

/// The running part of the backend.
struct JackDriver {
    /// Whether instances log their input.
    detect: DetectDriver,
    logs_messages: bool,
    libraries: Vec<String>,
    /// The connections of each instance, which outlive its restart by a reload.
    connections: HashMap<String, Arc<Mutex<Connections>>>,
}

impl JackDriver {
    fn connections(&mut self, instance: &str) -> Arc<Mutex<Connections>> {
        Arc::clone(self.connections.entry(instance.to_owned()).or_default())
    }
}

impl Driver for JackDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        context: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        self.detect.adopt(backend, context)
    }
}
