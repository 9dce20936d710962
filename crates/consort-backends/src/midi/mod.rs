//! MIDI through the kernel's ALSA sequencer, or through the embedded one.
//!
//! The router's thread reads input and writes output in batches, and never blocks. A receiver that
//! does not read its input delays the output for at most 100 ms, and only if it is the only
//! receiver; then further events for it are dropped and counted. Devices are looked up when the
//! sequencer announces a change, never in the steady state.
//!
//! The driver owns the sequencer client, each instance a port of it. A reload restarts the instances
//! if the client itself changes; everything else is adopted, and the ports keep their numbers and
//! the connections that other programs have made.
//!
//! | module | content |
//! |---|---|
//! | `devices` | finding ports by name |
//! | `client` | the sequencer client that all instances share |
//! | `port`, `input` | the port of an instance, its connections and its input |
//! | `clock` | the clock that is sent |
//! | `pace` | values that wait for a slow device |
//! | `instance` | the plan of an instance, the router's interface, and output |
//!
//! Channels, values, and the record of held notes are in `midi_grammar`.

mod client;
mod clock;
mod devices;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod input;
mod instance;
mod pace;
mod port;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, Driver, DriverContext, InstanceConfig, OptionKind, OptionSpec,
    Options, Plan, Problems, Readiness,
};
use consort_seq::{Embedded, Engine};

use client::{Settings, SharedClient};
use instance::MidiPlan;

use crate::detect::DETECT;
use crate::midi_grammar::channels::Channels;
use crate::midi_grammar::output::{EPN_TX, NOTE_OFF, OutputOptions};
use crate::midi_grammar::syntax::SYNTAX;

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "midi",
    summary: "MIDI through the ALSA sequencer, in and out",
    documentation: "\
The show is one client of the sequencer. Each instance is a port with the name of the instance, \
so other programs can connect to it (`consort midi connect`, `aconnect`).

**Devices can be plugged in and unplugged at any time.** `read` and `write` name devices. An \
instance waits for a missing device and connects it when it appears, whatever its client number. \
If a device disappears while it holds notes or a pedal (sustain `cc64`, sostenuto `cc66`), these \
are released in the show (value 0). The same happens if input is lost because it arrives faster \
than the show can process it; the loss is counted and logged. Notes are also released when their \
device sends \"all notes off\" (`cc120`, `cc123` to `cc127`), and pedals when it sends \"reset all \
controllers\" (`cc121`).

**No stuck notes.** When the show stops, it ends every note that it has started and releases every \
pedal that it has pressed. The channel `panic` ends everything on all MIDI channels (pedal up, all \
sound off, all notes off), `chN.panic` on one.

**Values.** 7-bit numbers are 0.0–1.0 in steps of 1/127, 14-bit numbers (`pitch`, `rpn`, \
`nrpn`, `position`) in steps of 1/16383. Both pass through the show without loss. MIDI channels \
are \
counted from 0: channel 1 of a device is `ch0`.

**Reload.** A reload keeps the ports, their connections and the notes that sound. It ends what was \
started on a channel that no mapping writes any more (notes, pedals, clock). If `write` names \
another device, the notes and pedals are released before the old one is disconnected; if `read` \
does, what the old one holds is released in the show.

**Parameters** (`rpn`, `nrpn`) are sent and received as controllers 101 to 98, 6 and 38, which also \
arrive on their `cc` channels. If a device sends only the upper 7 bits (controller 6 and never \
38), \
its values arrive from the second message on, and 127 is 1.0.

**Clock.** A value on `tempo` sends MIDI clock: 0.5 is 150 quarter notes per minute, 1.0 is 300, \
and 0 stops the clock. The sequencer, not the show, does the timing. A new tempo takes effect \
within 50 ms. Incoming clock arrives on `clock`, `beat` and `tempo`. Incoming MIDI time code (24, \
25 or 30 frames; drop frame is read as 30) arrives on `timecode` and its parts.

**Linux only.** The backend needs access to `/dev/snd/seq` (usually the group `audio`). With \
`engine = embedded` it uses a sequencer inside the program, for tests and demonstrations.",
    options: &[
        OptionSpec {
            name: "name",
            default: Some("Consort"),
            example: "MIDIMonster",
            documentation: "The name of the sequencer client.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            documentation: "Log every incoming value, mapped or not, with its channel as it is \
written in `[map]`.",
            ..DETECT
        },
        OptionSpec {
            name: "engine",
            kind: OptionKind::Choice(&["kernel", "embedded"]),
            example: "embedded",
            documentation: "The sequencer: the kernel's, or one inside this program, to which \
other \
programs cannot connect. The default is the value of the environment variable `CONSORT_SEQ`, or \
`kernel` if that is not set.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_options: &[
        OptionSpec {
            name: "read",
            live: true,
            aliases: &["source"],
            kind: OptionKind::Checked(check_device),
            once: true,
            example: "20:0",
            documentation: "The device to receive from: `client:port` in numbers or names, the \
name of a client or port, or any part of one of these, in any case. Whole names are preferred to \
beginnings, and these to other parts.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "write",
            live: true,
            aliases: &["target"],
            kind: OptionKind::Checked(check_device),
            once: true,
            example: "DeviceName",
            documentation: "The device to send to, in the same form as `read`.",
            ..OptionSpec::EMPTY
        },
        EPN_TX,
        NOTE_OFF,
        OptionSpec {
            name: "pace",
            live: true,
            kind: OptionKind::Integer(0, 1_000),
            default: Some("0"),
            example: "1",
            documentation: "Milliseconds between two values that are sent to channels that are \
also read, that is, to the lights and motors of a controller. Meanwhile only the newest value of each \
channel is kept, and buttons come first. 1 suits a controller at a DIN cable. With 0, everything is \
sent at once.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: SYNTAX,
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

/// Checks the options `read` and `write`.
fn check_device(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a device: `client:port` or a name".into()) } else { Ok(()) }
}

/// The backend while it is configured.
#[derive(Default)]
struct Midi {
    settings: Settings,
}

impl Backend for Midi {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        let settings = &mut self.settings;
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

    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let options = &config.options;
        Some(Box::new(MidiPlan {
            read: options.text("read").map(str::to_owned),
            write: options.text("write").map(str::to_owned),
            output: OutputOptions::read(options),
            pace: Duration::from_millis(options.integer("pace").unwrap_or(0).unsigned_abs()),
            channels: Channels::new(),
            name: config.name,
        }))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(MidiDriver { shared: Rc::new(RefCell::new(SharedClient::new(self.settings))) })
    }
}

/// The running part of the backend, which owns the client.
struct MidiDriver {
    shared: Rc<RefCell<SharedClient>>,
}

impl Driver for MidiDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let backend: &dyn Any = &*backend;
        if let Some(midi) = backend.downcast_ref::<Midi>() {
            self.shared.borrow_mut().set_detect(midi.settings.detect);
        }
        Ok(())
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut DriverContext<'_>) {
        self.shared.borrow_mut().read(context);
    }

    fn timer(&mut self, context: &mut DriverContext<'_>) {
        self.shared.borrow_mut().flush(context);
    }
}
