//! MIDI through the ALSA sequencer, or through the embedded one.
//!
//! How it stays quick and lets nobody wait: input is read and output written in batches, without
//! waiting, on the router's thread. A receiver that takes nothing is given 100 ms, where it is the
//! only one; then what it does not take is dropped and counted. Devices are looked up when the
//! sequencer announces a change, never in the steady state.
//!
//! `channels` and `values` know what MIDI has, `parameters`, `sysex` and `clock` the messages of
//! several parts, `down` which notes and pedals are down, `devices` finds ports by name, `client`
//! is the sequencer client that all instances share, `port` the port of an instance and its
//! devices, `input` takes what arrives there, `instance` sends.

mod channels;
mod client;
mod clock;
mod devices;
mod down;
#[doc(hidden)]
pub mod fuzz;
mod input;
mod instance;
mod parameters;
mod port;
mod sysex;
#[cfg(test)]
mod tests;
mod values;

use std::cell::RefCell;
use std::rc::Rc;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Instance, InstanceConfig, OptionKind, OptionSpec,
    Options, Problems,
};
use consort_seq::{Embedded, Engine};

use client::Shared;
use instance::{MidiInstance, OutputOptions};
use port::PortState;

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "midi",
    summary: "MIDI through the ALSA sequencer, in and out",
    documentation: "\
The show is one client of the sequencer, and each instance a port of it, called like the \
instance: other programs can connect to it (`consort midi connect`, `aconnect`).

**Devices come and go.** `read` and `write` name devices; one that is missing is waited for and \
connected when it comes, whatever number it has then. When a device goes while notes are held \
down or a pedal is (sustain `cc64`, sostenuto `cc66`), these are released in the show (value 0); \
the same happens when input was lost because it came faster than the show could take it, which \
is counted and logged. Notes are released too when their device says \"all notes off\" (`cc120`, \
`cc123` to `cc127`), and pedals at \"reset all controllers\" (`cc121`).

**No hanging notes.** When the show stops, every note that it has sent and not ended is ended, \
and the pedals that it has put down are lifted. The channel `panic` ends everything on all MIDI \
channels (pedal up, all sound off, all notes off), `chN.panic` on one.

**Values.** 7-bit numbers are 0.0–1.0 in steps of 1/127, 14-bit numbers (`pitch`, `rpn`, \
`nrpn`, `position`) in steps of 1/16383; both survive the way through the show without loss. \
MIDI channels count from 0: channel 1 of a device is `ch0`.

**Parameters** (`rpn`, `nrpn`) are sent and received as controllers 101 to 98, 6 and 38; these \
arrive on their `cc` channels too. A device that sends the upper 7 bits only (controller 6 and \
never 38) is understood from its second message on; 127 is 1.0 then.

**Clock.** A value on `tempo` sends MIDI clock: 0.5 is 150 quarter notes per minute, 1.0 is 300, \
0 none. The clocks are timed by the sequencer, not by the show; a new tempo counts within 50 ms. \
Incoming clock comes as `clock`, `beat` and `tempo`, MIDI time code (24, 25 or 30 frames; drop \
frame is counted as 30) as `timecode` and its parts.

**Linux only**, with access to `/dev/snd/seq` (usually the group `audio`), or with \
`engine = embedded` a sequencer inside the program, for tests and demonstrations.",
    options: &[
        OptionSpec {
            name: "name",
            default: Some("Consort"),
            example: "MIDIMonster",
            documentation: "The name of the sequencer client.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "detect",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Log all that arrives, mapped or not, by the channel that a mapping \
would name, with its value.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "engine",
            kind: OptionKind::Choice(&["kernel", "embedded"]),
            example: "embedded",
            documentation: "Which sequencer: the kernel's, or one inside this program, which no \
other program can reach. Without the option the environment variable `CONSORT_SEQ` says so, and \
else it is the kernel's.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_options: &[
        OptionSpec {
            name: "read",
            aliases: &["source"],
            kind: OptionKind::Checked(check_device),
            once: true,
            example: "20:0",
            documentation: "The device to receive from: `client:port` in numbers or names, a \
client's name, a port's name, or the beginning of one of these.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "write",
            aliases: &["target"],
            kind: OptionKind::Checked(check_device),
            once: true,
            example: "DeviceName",
            documentation: "The device to send to, named likewise.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "epn-tx",
            kind: OptionKind::Choice(&["full", "short"]),
            default: Some("full"),
            example: "short",
            documentation: "Whether a parameter is deselected after each `rpn` or `nrpn` value \
that is sent (`full`), or not (`short`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "note-off",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "End notes with note-off messages; without it they end with a note-on \
of velocity 0, which means the same.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: CHANNELS,
    example: "\
[midi keys]
read = Keystation
write = Synthesizer

[map]
keys.ch0.cc7 > keys.ch1.cc7
keys.channel0.note{60..71} > keys.channel1.note{72..83}
",
    create: || Box::<Midi>::default(),
};

const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "chN.ccM",
        example: "ch0.cc7",
        documentation: "A controller, 0–127, of a MIDI channel, 0–15. `channelN.` may stand for \
`chN.` everywhere, and the old forms `ccN.M` and `noteN.M` are accepted.",
    },
    ChannelSyntax {
        syntax: "chN.noteM",
        example: "channel0.note60",
        documentation: "A note, 0–127: its velocity, 0 when it ends.",
    },
    ChannelSyntax {
        syntax: "chN.pressureM",
        example: "ch0.pressure60",
        documentation: "Pressure on a note (polyphonic aftertouch).",
    },
    ChannelSyntax {
        syntax: "chN.pitch",
        example: "ch0.pitch",
        documentation: "Pitch bend, 14 bits; the middle is 8192/16383.",
    },
    ChannelSyntax {
        syntax: "chN.aftertouch",
        example: "ch0.aftertouch",
        documentation: "Pressure on the whole MIDI channel.",
    },
    ChannelSyntax {
        syntax: "chN.program",
        example: "ch0.program",
        documentation: "The program, 0–127.",
    },
    ChannelSyntax {
        syntax: "chN.rpnM",
        example: "ch0.rpn0",
        documentation: "A registered parameter, 0–16383, with 14 bits.",
    },
    ChannelSyntax {
        syntax: "chN.nrpnM",
        example: "ch0.nrpn900",
        documentation: "A non-registered parameter, 0–16383, with 14 bits.",
    },
    ChannelSyntax {
        syntax: "chN.notenumber",
        example: "ch0.notenumber",
        documentation: "The number of the last note, 0–127 as 0.0–1.0. As a target, it chooses \
the note that `chN.velocity` plays.",
    },
    ChannelSyntax {
        syntax: "chN.velocity",
        example: "ch0.velocity",
        documentation: "The velocity of the last note, 0 when a note ends; `chN.notenumber` comes \
before it. As a target, it plays the chosen note and ends the one before.",
    },
    ChannelSyntax {
        syntax: "chN.panic",
        example: "ch0.panic",
        documentation: "Target: a value above 0 ends everything on the MIDI channel.",
    },
    ChannelSyntax {
        syntax: "panic",
        example: "panic",
        documentation: "Target: a value above 0 ends everything on all MIDI channels.",
    },
    ChannelSyntax {
        syntax: "start",
        example: "start",
        documentation: "The message start: 1 when it arrives, sent for values above 0.",
    },
    ChannelSyntax { syntax: "stop", example: "stop", documentation: "The message stop, likewise." },
    ChannelSyntax {
        syntax: "continue",
        example: "continue",
        documentation: "The message continue, likewise.",
    },
    ChannelSyntax {
        syntax: "position",
        example: "position",
        documentation: "Song position in sixteenth notes, 0–16383 as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "song",
        example: "song",
        documentation: "Song select, 0–127 as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "tempo",
        example: "tempo",
        documentation: "Tempo of the MIDI clock, 0–300 quarter notes per minute as 0.0–1.0: \
measured over each quarter note that arrives; as a target, it sends clock.",
    },
    ChannelSyntax {
        syntax: "clock",
        example: "clock",
        documentation: "Each MIDI clock (24 in a quarter note): its place in the quarter note, \
0/24 to 23/24. As a target, values above 0 send one clock.",
    },
    ChannelSyntax {
        syntax: "beat",
        example: "beat",
        documentation: "Source: 1 at the first clock of each quarter note, 0 in its middle.",
    },
    ChannelSyntax {
        syntax: "timecode",
        example: "timecode",
        documentation: "Source: MIDI time code, 24 hours as 0.0–1.0; every two frames.",
    },
    ChannelSyntax {
        syntax: "timecode.PART",
        example: "timecode.seconds",
        documentation: "Source: `hours` (0–23), `minutes`, `seconds` (0–59) or `frames` (0–29) \
of it, as 0.0–1.0.",
    },
    ChannelSyntax {
        syntax: "sysex.F0 … F7",
        example: "sysex.F0 7D 01 vv F7",
        documentation: "A system exclusive message, its bytes in hexadecimal. `vv` is the value, \
`hh` and `ll` its upper and lower 7 bits of 14, `xx` any byte (sent as 0). Without a value: 1 \
when it arrives, sent for values above 0.",
    },
];

fn check_device(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a device: `client:port` or a name".into()) } else { Ok(()) }
}

#[derive(Default)]
struct Midi {
    shared: Rc<RefCell<Shared>>,
}

impl Backend for Midi {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        let settings = &mut self.shared.borrow_mut().settings;
        options.text("name").unwrap_or_default().clone_into(&mut settings.name);
        settings.detect = options.flag("detect");
        settings.engine = options.text("engine").map(|engine| {
            if engine.eq_ignore_ascii_case("embedded") {
                Engine::Embedded(Embedded::process_wide())
            } else {
                Engine::kernel()
            }
        });
        #[cfg(test)]
        tests::ENGINE.with_borrow(|engine| {
            if engine.is_some() {
                settings.engine.clone_from(engine);
            }
        });
    }

    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Instance>> {
        let options = &config.options;
        let output = OutputOptions {
            note_off: options.flag("note-off"),
            deselect: !options.text("epn-tx").is_some_and(|it| it.eq_ignore_ascii_case("short")),
        };
        let detect = self.shared.borrow().settings.detect;
        let state = PortState::new(options.text("read"), options.text("write"), detect);
        Some(Box::new(MidiInstance::new(config.name, Rc::clone(&self.shared), state, output)))
    }
}
