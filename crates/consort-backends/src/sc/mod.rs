//! SuperCollider: notes, controls and buses of the show play a server, and the server plays the
//! show.
//!
//! `config` is what the options say; `reader`, `settings` and `server_options` read them.
//! `definitions` knows SynthDefs, `instruments` are those that are built in, `channels` names what
//! can be mapped. `voices` (which notes sound),
//! `controls` (ranges and curves), `state` (what a new server is told) and `desk` (values to
//! messages) know no server; `packets` writes, `link` sends, `inputs` takes what comes back,
//! `server` is the thread that starts and watches, `score` stands in for a server, `instance`
//! ties them to the router.

mod channels;
mod config;
mod controls;
mod definitions;
mod desk;
#[doc(hidden)]
pub mod fuzz;
mod inputs;
mod instance;
pub mod instruments;
mod link;
mod packets;
mod reader;
mod score;
mod server;
mod server_options;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod voices;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Instance, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Problems,
};

use config::Config;
use instance::ScInstance;

/// The registry's entry.
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

const DOCUMENTATION: &str = "\
An instance is one SuperCollider server, `scsynth` or `supernova`: one that the show starts and \
ends (`server = boot`), or one that runs already (`server = HOST:PORT`). Debian has it as \
`supercollider-server`.

**Voices** are instruments that notes play: `voice.pad = pad`, then `keys.ch0.note{0..127} > \
sound.pad.note{0..127}`. Each note is a synth of the SynthDef. A note sets its `frequency` (or \
`freq`, or as a number `note` or `midinote`), unless the configuration sets that control; its \
velocity sets `velocity` where there is such a control, else `amplitude` (or `amp`), times the \
square of the velocity: 64 of 127 is 12 dB quieter than 127. When all voices are taken, those \
that only fade give way first, then the one that `steal` says; a note that is refused is counted \
as dropped, and both are said once in the log.

**How a voice ends.** With a control `gate`, it is closed when the note ends and the synth frees \
itself. A SynthDef without one that frees itself (drums, bells) is left alone. One that does \
neither is freed when the note ends, which clicks: `check` warns of it. A voice that is stolen \
fades in 20 ms (one that fades already by a `Linen`, in its own time).

**SynthDefs** are built in, or come from files that `sclang` or our library wrote (`synthdef = \
FILE`), and are validated by `check`. `server:NAME` is one that the server has itself; its \
controls are not known, so they are not checked.

| built in | what it is |
|---|---|
| `bell` | a bell by frequency modulation; frees itself |
| `default` | the plain instrument of every SuperCollider system |
| `delay` | effect: echoes of the audio bus `in` (`mix`, `time`, `decay`) |
| `hat` | a hi-hat, `decay` opens it; frees itself |
| `kick` | a kick drum; frees itself |
| `lead` | a bright voice for one note at a time, with `glide`, `cutoff` and `vibrato` |
| `level` | measures the audio bus `in` and writes the control bus `out` |
| `pad` | a wide pad with `cutoff`, `pressure`, `attack`, `release`, `glide` and `spread` |
| `pluck` | a plucked string; frees itself |
| `reverb` | effect: the audio bus `in` in a room (`mix`, `room`, `damping`) |
| `sample` | plays the `buffer` once at `rate`; frees itself |
| `snare` | a snare drum; frees itself |

**Controls** take values of the show, 0.0–1.0, in the range that `control.NAME.CONTROL` says. \
Without that, `frequency` and `freq` are 20–20,000 Hz and `cutoff` 50–15,000 Hz, both \
exponential, `pan` is -1 to 1, everything else 0 to 1.

**Order.** The groups of `groups` are computed in their order, the synths of a group in the order \
of the configuration, and last the master, which scales the outputs. So effects stand behind what \
they process: `control.pad.out = bus wet` and `control.room.in = bus wet` with `bus.wet = audio 2`.

**The server may come late, die and come back.** The instance waits then, says why, and tries \
again; the rest of the show goes on. A new server gets SynthDefs, buffers, groups, fixed synths, \
buses and the master with the values that they had. Notes whose keys or pedal are still down start \
again (`restore = notes`) or not (`restore = none`); what was fading or ends by itself is not \
restored, nor are the notes of a server that was ended in good order, which ends them first. Notes that cannot sound meanwhile are counted as dropped. \
What another program frees (Cmd-period in `sclang`) is made again, but for the notes, which have ended.

**From a value to sound** it is one datagram, sent at once from the router's thread without \
waiting. `latency` adds a time to everything, so that the server places it exactly.

**What comes from the server** comes when it changes: buses and the meter at `rate` times a \
second, read in the server's memory where it runs on this machine, else asked for; triggers, \
replies and the starts and ends of notes when the server says them.

**`server = score`** needs no server and no sound card: everything that would be sent is written \
to a score when the show ends, which `consort sc render` makes a sound file of. Nothing comes back \
from a score.";

const SERVER: [OptionSpec; 9] = [
    OptionSpec {
        name: "server",
        kind: OptionKind::Checked(config::check_server),
        default: Some("boot"),
        example: "127.0.0.1:57110",
        documentation: "`boot` starts a server and ends it with the show, `HOST:PORT` uses one \
that runs, `score` writes a score.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "score",
        kind: OptionKind::Path,
        example: "show.osc",
        documentation: "The file of `server = score`.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "synthdef",
        kind: OptionKind::Path,
        repeatable: true,
        example: "instruments.scsyndef",
        documentation: "A file of SynthDefs, or a folder of `.scsyndef` files. May be given more \
than once; a name that is built in means the file's then.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "groups",
        default: Some("voices effects"),
        example: "voices drums effects",
        documentation: "The groups, in the order in which the server computes them. Voices are in \
the first and synths in the last unless they say otherwise.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "rate",
        kind: OptionKind::Number(0.1, 1_000.0),
        default: Some("30"),
        example: "50",
        documentation: "How many times a second buses and the meter are looked at.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "latency",
        kind: OptionKind::Number(0.0, 10_000.0),
        default: Some("0"),
        example: "20",
        documentation: "Milliseconds from a value to its effect. 0: as soon as it arrives; above, \
the server places everything exactly, which needs clocks that agree.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "restore",
        kind: OptionKind::Choice(&["notes", "none"]),
        default: Some("notes"),
        example: "none",
        documentation: "Whether held notes start again on a server that came back.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "level",
        kind: OptionKind::Number(-120.0, 24.0),
        default: Some("0"),
        example: "-6",
        documentation: "The master's level in decibels: from the start, and where the channel \
`level` is 1.",
        ..OptionSpec::EMPTY
    },
    OptionSpec {
        name: "channels",
        kind: OptionKind::Integer(1, 64),
        default: Some("2"),
        example: "8",
        documentation: "How many outputs, from the first, the master and the meter look after.",
        ..OptionSpec::EMPTY
    },
];

const ROWS: usize = SERVER.len() + server_options::ROWS.len();

const OPTIONS: [OptionSpec; ROWS] = {
    let mut all = [OptionSpec::EMPTY; ROWS];
    let mut at = 0;
    while at < ROWS {
        all[at] =
            if at < SERVER.len() { SERVER[at] } else { server_options::ROWS[at - SERVER.len()] };
        at += 1;
    }
    all
};

const FAMILIES: &[OptionFamily] = &[
    OptionFamily {
        prefix: "voice.",
        example: "voice.pad = pad",
        documentation: "An instrument that notes play, and its SynthDef. Further lines set it up: \
`voice.pad.polyphony = 16` (nodes at once, 1–1024), `voice.pad.steal = oldest` (or `quietest`, \
`lowest`, `highest`, `none`), `voice.pad.mode = poly` (or `mono`: one note at a time, each starts \
anew; `legato`: overlapping notes slide), `voice.pad.glide = 0.1` (seconds from note to note; the \
SynthDef needs a control `glide`), `voice.pad.bend = 2` (semitones each way), `voice.pad.group = \
voices`, `voice.pad.end = gate` (or `itself`, `cut`).",
    },
    OptionFamily {
        prefix: "synth.",
        example: "synth.room = reverb",
        documentation: "A synth that is there all the time: an effect, a drone. `synth.room.group \
= effects` puts it into another group than the last.",
    },
    OptionFamily {
        prefix: "control.",
        example: "control.pad.cutoff = 200 8000 exponential start 1200",
        documentation: "A control of a voice or synth. `LOW HIGH` is the range of the channel, \
with a curve behind it (`linear`, `exponential`, `squared`, `decibels` for an amplitude whose ends \
are decibels, or a number from -20 to 20 as in SuperCollider) and `start NUMBER`, its number \
before the first value. A number alone sets it for good. `bus NAME` is the number of a bus and \
`buffer NAME` that of a buffer; with `map NAME` it follows a control bus.",
    },
    OptionFamily {
        prefix: "bus.",
        example: "bus.wobble = 20 2000 exponential",
        documentation: "A control bus with its range (`LOW HIGH`, curve and `start` as above), or \
`audio CHANNELS`: neighbouring audio buses. The server's numbers are chosen by the show; a name \
that is a number means that control bus.",
    },
    OptionFamily {
        prefix: "buffer.",
        example: "buffer.loop = empty 48000 2",
        documentation: "A sound file that is loaded at the start, or `empty FRAMES CHANNELS`.",
    },
    OptionFamily {
        prefix: "trigger.",
        example: "trigger.1 = 0 127",
        documentation: "The range of the numbers that a `SendTrig` of this id sends; else 0 to 1.",
    },
    OptionFamily {
        prefix: "reply.",
        example: "reply./beat = 0 100",
        documentation: "The range of the numbers that a `SendReply` to this address sends; \
`reply./beat:1` of one of them. Else 0 to 1.",
    },
];

const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "VOICE.noteN",
        example: "pad.note60",
        documentation: "Target: the velocity of a note, 0–127; 0 ends it. Source: its velocity \
when it has started on the server, 0 when it has ended there.",
    },
    ChannelSyntax {
        syntax: "VOICE.bend",
        example: "pad.bend",
        documentation: "Target: pitch bend; 0.5 (of 14 bits 8192/16383) is none.",
    },
    ChannelSyntax {
        syntax: "VOICE.sustain",
        example: "pad.sustain",
        documentation: "Target: the pedal, down from 0.5.",
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
        documentation: "Source: how many voices sound, as a share of the polyphony.",
    },
    ChannelSyntax {
        syntax: "VOICE.stolen",
        example: "pad.stolen",
        documentation: "Source: 1 whenever a note is ended for another.",
    },
    ChannelSyntax {
        syntax: "VOICE.CONTROL",
        example: "pad.cutoff",
        documentation: "Target: a control of all voices of the instrument, those to come \
included. `VOICE.control.CONTROL` means the same, also where the control is called like one of \
the channels above.",
    },
    ChannelSyntax {
        syntax: "SYNTH.CONTROL",
        example: "room.mix",
        documentation: "Target: a control of a fixed synth.",
    },
    ChannelSyntax {
        syntax: "SYNTH.run",
        example: "room.run",
        documentation: "Target: above 0 the synth runs, at 0 it pauses. Source: 1 when it runs.",
    },
    ChannelSyntax {
        syntax: "bus.NAME",
        example: "bus.wobble",
        documentation: "Target and source: a control bus of the configuration, in its range.",
    },
    ChannelSyntax {
        syntax: "bus.N",
        example: "bus.100",
        documentation: "The control bus of that number, 0 to 1 unless `bus.N` gives a range.",
    },
    ChannelSyntax {
        syntax: "trigger.ID",
        example: "trigger.1",
        documentation: "Source: what a `SendTrig` of this id sends.",
    },
    ChannelSyntax {
        syntax: "reply./ADDRESS:N",
        example: "reply./beat:1",
        documentation: "Source: a value of a `SendReply` to this address, counted from 0; `:0` \
may be left out.",
    },
    ChannelSyntax {
        syntax: "level",
        example: "level",
        documentation: "Target: the master; its amplitude is the square of the value.",
    },
    ChannelSyntax {
        syntax: "mute",
        example: "mute",
        documentation: "Target: from 0.5 the outputs are silent.",
    },
    ChannelSyntax {
        syntax: "panic",
        example: "panic",
        documentation: "Target: a value above 0 ends all notes of all voices at once.",
    },
    ChannelSyntax {
        syntax: "meter",
        example: "meter",
        documentation: "Source: the level of the loudest output behind the master, 1.0 is full \
scale.",
    },
    ChannelSyntax {
        syntax: "meter.N",
        example: "meter.0",
        documentation: "Source: the level of one output, counted from 0.",
    },
    ChannelSyntax {
        syntax: "load",
        example: "load",
        documentation: "Source: how busy the server is, once a second; 1.0 is all it can do.",
    },
];

#[derive(Default)]
struct Sc {
    /// The name of each instance that starts a server, and its port.
    ports: Vec<(String, u16, Option<usize>)>,
}

impl Backend for Sc {
    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        let config = Config::read(&instance.options, problems)?;
        if let Some(port) = instance::boots_at(&config) {
            let at = instance.options.position("port");
            self.ports.push((instance.name, port, at));
        }
        Some(Box::new(ScInstance::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (nth, (name, port, at)) in self.ports.iter().enumerate() {
            if let Some((other, ..)) = self.ports[..nth].iter().find(|it| it.1 == *port) {
                let mut problems = Problems::new();
                problems
                    .error(
                        *at,
                        format!("the instance `{other}` starts a server on port {port}, too"),
                    )
                    .hint("give each a `port` of its own");
                report(name, problems);
            }
        }
    }
}
