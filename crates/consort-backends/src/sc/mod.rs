//! SuperCollider: the show plays notes and sets controls and buses on a server, and receives
//! buses, triggers and notifications from it.
//!
//! | module | content |
//! |---|---|
//! | `config` | the options of an instance as values |
//! | `reader`, `settings`, `server_options` | read the options |
//! | `definitions`, `instruments` | SynthDefs: from files, built in |
//! | `channels`, `controls` | the names of channels; ranges and curves |
//! | `voices` | voice allocation |
//! | `state` | the state that a new server receives |
//! | `player` | values to messages, notifications to values |
//! | `packets`, `transport`, `score` | encoding and sending of messages |
//! | `inputs` | buses, meters, triggers and replies |
//! | `server` | the thread that starts and watches the server |
//! | `plan`, `instance` | the router's interface: configured, running |
//!
//! `voices`, `state`, `player` and `inputs` have no I/O, so they are tested without a server.

mod channels;
mod config;
mod controls;
mod definitions;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod inputs;
mod instance;
pub mod instruments;
mod packets;
mod plan;
mod player;
mod reader;
mod score;
mod server;
mod server_options;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod transport;
mod voices;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Plan, Problems,
};

use plan::{ScDriver, ScPlan};
use reader::read_config;

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "sc",
    summary: "SuperCollider: voices, synths, effects, buses and triggers of a sound server",
    documentation: DOCUMENTATION,
    options: &[],
    instance_options: &OPTIONS,
    instance_families: FAMILIES,
    channels: CHANNELS,
    example: "\
[sc sound]
server = 127.0.0.1:57140
voice.pad = pad
control.pad.cutoff = 200 8000 exponential start 1200
synth.room = reverb
bus.wobble = 0 1

[map]
sound.bus.wobble > sound.pad.cutoff
sound.pad.note60 > sound.room.mix
",
    create: || Box::<Sc>::default(),
};

/// The description of the backend in the reference.
const DOCUMENTATION: &str = "\
An instance is one SuperCollider server, `scsynth` or `supernova`. The show boots the server and \
quits it at the end (`server = boot`), or it uses a running one (`server = HOST:PORT`). On Debian, \
install the package `supercollider-server`.

**Voices** are instruments that notes play: `voice.pad = pad`, then `keys.ch0.note{0..127} > \
sound.pad.note{0..127}`. Each note is a synth of the SynthDef. The note sets the control \
`frequency` or `freq` in hertz, or `note` or `midinote` as a note number, unless the configuration \
sets that control. The velocity sets the control `velocity`; if there is none, it scales \
`amplitude` (or `amp`) by the square of the velocity: 64 of 127 is 12 dB quieter than 127. When \
all voices are in use, a new note steals a voice: a fading one if there is one, else the one that \
`steal` selects. A note that gets no voice counts as dropped. For each instrument, the log reports \
the first stolen voice and the first dropped note.

**How a voice ends.** If the SynthDef has a control `gate`, the end of the note closes it and the \
synth frees itself. A SynthDef without a gate that frees itself (drums, bells) plays to its end. A \
SynthDef that does neither is freed when the note ends, which clicks; `check` warns about it. A \
stolen voice fades out in 20 ms (one that already fades with a `Linen`, in its own time).

**SynthDefs** are built in, or come from files that `sclang` or Consort's library wrote \
(`synthdef = FILE`). `check` validates them. `server:NAME` is a SynthDef that the \
server already has; its controls are unknown, so `check` does not validate them.

A server refuses a SynthDef with a UGen whose plugin is not installed, or that needs more wire buffers \
than the option `wire-buffers`; `check` reports the latter. The instance is then `degraded`: its state \
names the voices that are silent, the SynthDef and the cause, and everything else sounds. For a running \
server the cause is unknown, because that server prints it. SynthDefs above the 65 KB of a UDP packet are \
loaded from a temporary file by a server on this computer; for one elsewhere they need `protocol = tcp`.

| built in | description |
|---|---|
| `bell` | an FM bell; frees itself |
| `default` | the default instrument of SuperCollider |
| `delay` | effect: echoes on the audio bus `in` (`mix`, `time`, `decay`) |
| `hat` | a hi-hat, open if `decay` is long; frees itself |
| `kick` | a kick drum; frees itself |
| `lead` | a bright monophonic lead with `glide`, `cutoff` and `vibrato` |
| `level` | measures the audio bus `in` and writes to the control bus `out` |
| `pad` | a wide pad with `cutoff`, `pressure`, `attack`, `release`, `glide` and `spread` |
| `pluck` | a plucked string; frees itself |
| `reverb` | effect: reverb on the audio bus `in` (`mix`, `room`, `damping`) |
| `sample` | plays the `buffer` once at `rate`; frees itself |
| `snare` | a snare drum; frees itself |

**Controls** take values of the show, 0.0–1.0, and convert them to the range of \
`control.NAME.CONTROL`. Without that option, `frequency` and `freq` range from 20 to 20,000 Hz and \
`cutoff` from 50 to 15,000 Hz, both exponential; `pan` ranges from -1 to 1, and every other \
control \
from 0 to 1.

**Order of execution.** The server runs the groups in the order of the option `groups`, the synths \
of a group in the order of the configuration, and at the end the master, which scales the outputs. \
So effects come after the voices that they process: `control.pad.out = bus wet` and \
`control.room.in = bus wet` with `bus.wet = audio 2`.

**If the server starts late, crashes, hangs or is restarted,** the instance waits, reports the reason, and \
tries again; the rest of the show continues. A new server receives SynthDefs, buffers, groups, \
fixed \
synths, buses and the master with their last values. Notes whose key or pedal is still down start \
again, unless `restore = none`. Notes that were fading or free themselves are not restored. \
Neither \
are the notes of a server that quit normally, because it ends them first. Notes that cannot sound \
while there is no server count as dropped. If another program frees the groups of the show \
(Cmd-period in `sclang`), the instance creates them again, without the notes.

**On reload**, voices, synths, controls, ranges, `rate`, `latency`, `restore` and `level` change \
while the server runs: notes that sound go on, controls keep their values, and notes of channels \
that are no longer mapped are released. A voice whose SynthDef changes uses the new one from the next \
note on. The server is started again if it would have to load or allocate something: for a \
SynthDef, bus or buffer that was not used before, for changed SynthDef files, and for the other \
options.

**Latency.** The router's thread sends each value at once, as one datagram, without waiting. The \
option `latency` adds a time to every message, so that the server executes it sample-accurately.

**Input from the server** arrives when it changes. Buses and the meter are read `rate` times per \
second, from shared memory if the server runs on this computer, else with requests. Triggers, \
replies, and the starts and ends of notes are notifications of the server.

**`server = score`** needs no server and no sound card: the instance writes all messages to a \
score when the show ends, and `consort sc render` renders it to a sound file. With a score, nothing \
is received from the server.";

/// The options of the instance itself.
const INSTANCE_OPTIONS: [OptionSpec; 9] = [
    OptionSpec {
        name: "server",
        kind: OptionKind::Checked(server_options::check_server),
        default: Some("boot"),
        example: "127.0.0.1:57110",
        documentation: "`boot` starts a server and quits it when the show ends, `HOST:PORT` uses a \
running server, `score` writes a score.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "score",
        kind: OptionKind::Path,
        example: "show.osc",
        documentation: "The file that `server = score` writes.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "synthdef",
        kind: OptionKind::Path,
        repeatable: true,
        example: "instruments.scsyndef",
        documentation: "A file of SynthDefs, or a folder of `.scsyndef` files. May be given more \
than once. A SynthDef of a file replaces a built-in one with the same name.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "groups",
        default: Some("voices effects"),
        example: "voices drums effects",
        documentation: "The groups, in their order of execution. By default, voices are in the \
first group and synths in the last.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "rate",
        live: true,
        kind: OptionKind::Number(0.1, 1_000.0),
        default: Some("30"),
        example: "50",
        documentation: "How many times per second buses and the meter are read.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "latency",
        live: true,
        kind: OptionKind::Number(0.0, 10_000.0),
        default: Some("0"),
        example: "20",
        documentation: "Milliseconds from a value to its effect. With 0, the server executes \
messages as soon as they arrive. Above 0, it executes them at an exact time, for which the clocks \
of both computers must be synchronized.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "restore",
        live: true,
        kind: OptionKind::Choice(&["notes", "none"]),
        default: Some("notes"),
        example: "none",
        documentation: "Whether held notes start again on a new server.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "level",
        live: true,
        kind: OptionKind::Number(-120.0, 24.0),
        default: Some("0"),
        example: "-6",
        documentation: "The level of the master in decibels, at the start and when the channel \
`level` is 1.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "channels",
        kind: OptionKind::Integer(1, 64),
        default: Some("2"),
        example: "8",
        documentation: "How many outputs the master scales and the meter measures, from the first.",
        ..OptionSpec::EMPTY
    },
];

/// How many options there are.
const OPTION_COUNT: usize = INSTANCE_OPTIONS.len() + server_options::OPTIONS.len();

/// The options of the instance, then those of the server.
const OPTIONS: [OptionSpec; OPTION_COUNT] = {
    let mut all = [OptionSpec::EMPTY; OPTION_COUNT];
    let mut index = 0;
    while index < OPTION_COUNT {
        all[index] = if index < INSTANCE_OPTIONS.len() {
            INSTANCE_OPTIONS[index]
        } else {
            server_options::OPTIONS[index - INSTANCE_OPTIONS.len()]
        };
        index += 1;
    }
    all
};

/// The options whose names contain a name of the configuration.
const FAMILIES: &[OptionFamily] = &[
    OptionFamily {
        prefix: "voice.",
        live: true,
        example: "voice.pad = pad",
        documentation: "An instrument that notes play, and its SynthDef. Further lines configure \
it: \
`voice.pad.polyphony = 16` (the maximum number of nodes, 1–1024), `voice.pad.steal = oldest` (or \
`quietest`, `lowest`, `highest`, `none`), `voice.pad.mode = poly` (or `mono`: one note at a time, \
each starts a new voice; `legato`: overlapping notes slide), `voice.pad.glide = 0.1` (seconds from \
note to note; the SynthDef needs a control `glide`), `voice.pad.bend = 2` (semitones each way), \
`voice.pad.group = voices`, `voice.pad.end = gate` (or `itself`, `cut`).",
    },
    OptionFamily {
        prefix: "synth.",
        live: true,
        example: "synth.room = reverb",
        documentation: "A synth that runs throughout the show, such as an effect or a drone. \
`synth.room.group = effects` puts it into another group than the last.",
    },
    OptionFamily {
        prefix: "control.",
        live: true,
        example: "control.pad.cutoff = 200 8000 exponential start 1200",
        documentation: "A control of a voice or synth. `LOW HIGH` is the range of the channel. A \
curve may follow (`linear`, `exponential`, `squared`, `decibels` for an amplitude whose ends are \
in \
decibels, or a number from -20 to 20 as in SuperCollider), then `start NUMBER`, the number before \
the first value. A single number is a constant. `bus NAME` sets the control to the number of a \
bus, \
`buffer NAME` to the number of a buffer; with `map NAME` it follows a control bus.",
    },
    OptionFamily {
        prefix: "bus.",
        live: true,
        example: "bus.wobble = 20 2000 exponential",
        documentation: "A control bus with its range (`LOW HIGH`, curve and `start` as above), or \
`audio CHANNELS`: consecutive audio buses. The show allocates the bus numbers; a number as the \
name selects the control bus with that number.",
    },
    OptionFamily {
        prefix: "buffer.",
        live: false,
        example: "buffer.loop = empty 48000 2",
        documentation: "A sound file to load at the start, or `empty FRAMES CHANNELS`.",
    },
    OptionFamily {
        prefix: "trigger.",
        live: true,
        example: "trigger.1 = 0 127",
        documentation: "The range of the numbers that a `SendTrig` with this id sends. The \
default is 0 to 1.",
    },
    OptionFamily {
        prefix: "reply.",
        live: true,
        example: "reply./beat = 0 100",
        documentation: "The range of the numbers that a `SendReply` to this address sends; \
`reply./beat:1` sets the range of one of them. The default is 0 to 1.",
    },
];

/// The channels.
const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "VOICE.noteN",
        example: "pad.note60",
        documentation: "A note, 0–127. Target: its velocity; 0 ends it. Source: its velocity when \
it has started on the server, 0 when it has ended there.",
    },
    ChannelSyntax {
        syntax: "VOICE.bend",
        example: "pad.bend",
        documentation: "Target: pitch bend; 0.5 (or 8192/16383 with 14 bits) is the centre.",
    },
    ChannelSyntax {
        syntax: "VOICE.sustain",
        example: "pad.sustain",
        documentation: "Target: the sustain pedal, down at 0.5 and above.",
    },
    ChannelSyntax {
        syntax: "VOICE.pressure",
        example: "pad.pressure",
        documentation: "Target: the control `pressure` of all voices.",
    },
    ChannelSyntax {
        syntax: "VOICE.pressureN",
        example: "pad.pressure60",
        documentation: "Target: the control `pressure` of one note.",
    },
    ChannelSyntax {
        syntax: "VOICE.panic",
        example: "pad.panic",
        documentation: "Target: a value above 0 ends all notes at once.",
    },
    ChannelSyntax {
        syntax: "VOICE.voices",
        example: "pad.voices",
        documentation: "Source: the number of sounding voices, divided by the polyphony.",
    },
    ChannelSyntax {
        syntax: "VOICE.stolen",
        example: "pad.stolen",
        documentation: "Source: 1 whenever the voice of a note is stolen.",
    },
    ChannelSyntax {
        syntax: "VOICE.CONTROL",
        example: "pad.cutoff",
        documentation: "Target: a control of all present and future voices of the instrument. \
`VOICE.control.CONTROL` is the same channel; use it if the control has the name of a channel \
above.",
    },
    ChannelSyntax {
        syntax: "SYNTH.CONTROL",
        example: "room.mix",
        documentation: "Target: a control of a fixed synth.",
    },
    ChannelSyntax {
        syntax: "SYNTH.run",
        example: "room.run",
        documentation: "Target: above 0 the synth runs, at 0 it pauses. Source: 1 while it runs, \
else 0.",
    },
    ChannelSyntax {
        syntax: "bus.NAME",
        example: "bus.wobble",
        documentation: "Target and source: a control bus of the configuration, in its range.",
    },
    ChannelSyntax {
        syntax: "bus.N",
        example: "bus.100",
        documentation: "The control bus with this number, from 0 to 1 unless the option `bus.N` \
sets a range.",
    },
    ChannelSyntax {
        syntax: "trigger.ID",
        example: "trigger.1",
        documentation: "Source: the value that a `SendTrig` with this id sends.",
    },
    ChannelSyntax {
        syntax: "reply./ADDRESS:N",
        example: "reply./beat:1",
        documentation: "Source: a value of a `SendReply` to this address, counted from 0; `:0` may \
be omitted.",
    },
    ChannelSyntax {
        syntax: "level",
        example: "level",
        documentation: "Target: the level of the master; its amplitude is proportional to the \
square of the value.",
    },
    ChannelSyntax {
        syntax: "mute",
        example: "mute",
        documentation: "Target: the outputs are muted at 0.5 and above.",
    },
    ChannelSyntax {
        syntax: "panic",
        example: "panic",
        documentation: "Target: a value above 0 ends all notes of all voices at once.",
    },
    ChannelSyntax {
        syntax: "meter",
        example: "meter",
        documentation: "Source: the level of the loudest output after the master; 1.0 is full \
scale.",
    },
    ChannelSyntax {
        syntax: "meter.N",
        example: "meter.0",
        documentation: "Source: the level of one output after the master, counted from 0.",
    },
    ChannelSyntax {
        syntax: "load",
        example: "load",
        documentation: "Source: the average CPU load of the server, once per second; 1.0 is 100 %.",
    },
];

/// The backend.
#[derive(Default)]
struct Sc {
    /// The instances that start a server: name, port, and the position of the option `port`.
    boot_ports: Vec<(String, u16, Option<usize>)>,
}

impl Backend for Sc {
    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let plan = ScPlan::new(read_config(&instance.options, problems)?);
        if let Some(port) = plan.boot_port() {
            let position = instance.options.position("port");
            self.boot_ports.push((instance.name, port, position));
        }
        Some(Box::new(plan))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::<ScDriver>::default()
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, (name, port, position)) in self.boot_ports.iter().enumerate() {
            let mut earlier = self.boot_ports[..index].iter();
            if let Some((other, ..)) = earlier.find(|(_, used, _)| used == port) {
                let mut problems = Problems::new();
                problems
                    .error(
                        *position,
                        format!("the instance `{other}` also starts a server on port {port}"),
                    )
                    .hint("set a different `port` for each instance");
                report(name, problems);
            }
        }
    }
}
