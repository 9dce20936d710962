//! RTP-MIDI, directly or in sessions of Apple's protocol.
//!
//! The router's thread reads and writes datagrams in batches and never blocks. What lost packets
//! have changed is repaired by the journal of the next one.
//!
//! | module | content |
//! |---|---|
//! | `packet` | packets with MIDI; lists of commands |
//! | `journal` | the recovery journal, written and read |
//! | `stream` | the two directions of a stream of packets |
//! | `exchange` | the messages of Apple's session protocol |
//! | `peer`, `session` | the peers of an instance and what is exchanged with them, without I/O |
//! | `sockets`, `config`, `instance` | the two ports; options; the router's interface |
//!
//! Channels, values, and the record of held notes are in `midi_grammar`.

mod config;
mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod journal;
mod packet;
mod peer;
mod session;
mod sockets;
mod stream;
#[cfg(test)]
mod tests;

use consort_router::{
    Backend, BackendDescriptor, Driver, InstanceConfig, OptionKind, OptionSpec, Options, Plan,
    Problems,
};

use crate::mdns::{MdnsDriver, Settings};
use crate::midi_grammar::output::{EPN_TX, NOTE_OFF};
use crate::midi_grammar::syntax::SYNTAX;
use crate::net::{ALLOW, HostPort};
use config::Config;
use instance::RtpMidiPlan;

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "rtpmidi",
    summary: "MIDI over the network (RTP-MIDI, AppleMIDI), in and out",
    documentation: "\
An instance is a session with up to 16 peers: macOS and iOS (*Audio MIDI Setup*, *Network*), \
Windows (rtpMIDI), `rtpmidid`, interfaces with a network socket, and other shows. Everything that \
arrives from any of them is input, and output goes to all of them.

**Sessions** (`mode = apple`). Each side has a control port and, one above it, a data port: `bind` \
is the data port, `peer` is the control port of another computer, which is invited and, if it does \
not answer or leaves, invited again. With `join`, invitations of others are accepted; those of the \
hosts of `peer` always are. A peer that is silent for a minute is gone. Without the protocol of \
sessions (`mode = direct`), `peer` is a data port.

**On the local network.** With `mdns-name`, the sessions are announced with the names of their \
instances, so that others find them without an address; `invite` finds those of others. Interfaces \
may come and go, and avahi may run beside the show. Without both options, nothing is sent. A session \
that is bound to this computer alone (`127.0.0.1`) is neither announced nor does it search.

**Lost packets leave nothing hanging.** Each packet says what the ones before it have changed, as \
far as the peer has not confirmed it (the recovery journal of RFC 6295): notes that started and \
ended, controllers, programs, pitch, pressure, parameters, the song and short system exclusive \
messages. A packet without commands says it again when nothing follows, until the peer confirms. \
After a loss, the next packet is compared with what has arrived, and what differs is received late \
instead of never. If a peer sends no journal, or one that does not reach back to the loss, \
everything that it holds is released in the show, as well as when it leaves. Packets that arrive \
after later ones are ignored: the journal has replaced them. System exclusive messages of more than \
800 bytes are not repeated.

**No stuck notes.** When the show stops, it ends every note that it has started and releases every \
pedal that it has pressed, and waits up to half a second for the peers to confirm. The channel \
`panic` ends everything.

**Values and channels** are those of [`midi`](midi.md).

**Reload.** A reload keeps the sessions unless `mode`, `bind`, `ssrc`, `peer` or `allow` has \
changed, and ends what was started on a channel that no mapping writes any more.

**Clock.** `tempo` sends MIDI clock from the show's own timers; the delays of the network add to \
it.

**Differences to MIDIMonster.** Its options have the same names and meaning, in any order. Its \
packets contain no notes; these do. Sessions end with the show, peers that leave are noticed, and \
data is accepted from peers only (in the direct mode, from everyone whom `allow` names). A missing \
peer or host does not end the show.",
    options: config::BACKEND_OPTIONS,
    instance_options: &[
        OptionSpec {
            name: "mode",
            kind: OptionKind::Choice(&["apple", "direct"]),
            required: true,
            example: "apple",
            documentation: "`apple`: sessions, as nearly everyone uses them. `direct`: packets \
without sessions.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            default: Some("::"),
            example: "10.1.2.1 5005",
            documentation: "Host and data port to listen on; with `apple`, the port below it is \
the control port. Without a port, free ones are used.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "peer",
            kind: OptionKind::Checked(HostPort::check),
            repeatable: true,
            example: "10.1.2.3 5004",
            documentation: "Another computer, up to 16: with `apple` its control port, which is \
invited; with `direct` its data port, to which output is sent.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "join",
            kind: OptionKind::Checked(config::check_session),
            live: true,
            example: "Studio",
            documentation: "With `apple`: accept invitations of the session with this name, or of \
every one (`*`). Without it, only hosts of `peer` are accepted.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "invite",
            kind: OptionKind::Checked(config::check_session),
            repeatable: true,
            example: "Studio",
            documentation: "With `apple`: invite the session with this name on the local network, or \
every one (`*`), when it appears. It is found with mDNS.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "learn",
            kind: OptionKind::Flag,
            live: true,
            example: "on",
            documentation: "With `direct`: send output to everyone who has sent something. The \
default is `off`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "ssrc",
            kind: OptionKind::Integer(0, 0xFFFF_FFFF),
            default: Some("0"),
            example: "0xDEADBEEF",
            documentation: "The number that identifies the show's stream; 0 is a random one.",
            ..OptionSpec::EMPTY
        },
        ALLOW,
        EPN_TX,
        NOTE_OFF,
    ],
    instance_families: &[],
    channels: SYNTAX,
    example: "\
[rtpmidi stage]
mode = apple
bind = 127.0.0.1 15005
join = *

[map]
stage.ch0.cc7 > stage.ch1.cc7
stage.channel0.note{60..71} > stage.channel1.note{72..83}
",
    create: || Box::<RtpMidi>::default(),
};

/// The kind of the service that announces a session: its port is the control port.
const KIND: &str = "_apple-midi._udp";

/// The backend: its options, and the ports of its instances.
#[derive(Default)]
struct RtpMidi {
    settings: Settings,
    /// The name of each instance, the position of its option `bind`, and its ports.
    bound: Vec<(String, Option<usize>, Vec<HostPort>)>,
}

impl Backend for RtpMidi {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.settings = Settings::read(options);
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = Config::read(&instance, problems)?;
        let position = instance.options.position("bind");
        self.bound.push((instance.name, position, config.ports()));
        Some(Box::new(RtpMidiPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, (name, position, ports)) in self.bound.iter().enumerate() {
            let overlaps = |other: &[HostPort]| {
                ports.iter().find(|port| other.iter().any(|other| port.overlaps(other)))
            };
            let taken = self.bound[..index]
                .iter()
                .find_map(|(other, _, ports)| Some((other, overlaps(ports)?)));
            if let Some((other, port)) = taken {
                let mut problems = Problems::new();
                let message = format!("port {} is already bound by instance `{other}`", port.port);
                problems
                    .error(*position, message)
                    .hint("give each instance its own two ports: `bind` and the one below it");
                report(name, problems);
            }
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(MdnsDriver::new(self.settings, KIND, |backend| {
            backend.downcast_ref::<RtpMidi>().map(|backend| backend.settings.detect)
        }))
    }
}
