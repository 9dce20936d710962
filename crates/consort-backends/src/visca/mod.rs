//! VISCA: cameras that pan, tilt and zoom, over UDP, TCP and serial lines.
//!
//! | module | content |
//! |---|---|
//! | `channels` | the channels, as configurations write them |
//! | `config` | options |
//! | `wire` | messages, Sony's header, finding messages in a stream; no I/O |
//! | `flow` | the commands of one camera: what waits, what leaves next, what replies mean; no I/O |
//! | `transport` | datagram socket, stream or serial line |
//! | `line` | a connection and the cameras behind it |
//! | `instance` | the plan of an instance, and the router's interface |

mod channels;
mod config;
mod flow;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod line;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionKind, OptionSpec,
    Options, Plan, Problems,
};

use config::{Config, Endpoint, Range};
use instance::{ViscaDriver, ViscaPlan};

use crate::PluggedIn;
use crate::detect::DETECT;
use crate::net::HostPort;

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "visca",
    summary: "Cameras that pan, tilt and zoom (VISCA), over UDP, TCP and serial lines",
    documentation: "\
An instance is one camera. Cameras on a network are given with `connect`, cameras on a serial line \
(RS-232, RS-422) with `device`. Several cameras on one line or behind one converter are several \
instances with the same `connect` or `device`, and each has its own `id`; they share the connection.

**Framing.** Sony's cameras expect a header in front of each message, most others expect the bare \
message. With `framing = auto`, an instance over UDP tries both and uses the one that the camera \
answers to; on port 52381 it begins with Sony's. A camera that does not answer is tried again with both. \
Over TCP, `auto` is `raw`. Commands wait for this, for 2 s at most; a stop does not.

**Commands wait for the camera.** A camera accepts two commands at a time, so at most two are \
unacknowledged. Meanwhile the newest value of each channel replaces older ones, which are counted as \
dropped. A command that is not acknowledged within 0.5 s is sent again, up to three times; one that \
finds the camera's buffer full is sent again when the buffer has space. A camera that never acknowledges anything gets \
its commands at a slower pace.

**A stop does not wait.** When a drive stops (a value of 0 on `move.left`, the middle of `move.x`, \
`stop`), the command leaves at once, before all others, and is repeated until the camera acknowledges it \
or a newer movement has left. If the camera's buffer is full, the movements that run are cancelled. \
While the connection is lost, it is kept, and leaves first when the connection is back. At the end of \
the show and with a panic, everything that the instance has set in motion is stopped.

**Positions.** `pan` and `tilt` are one command. If only one of them has been set since the camera was \
moved in another way, the instance asks the camera where the other axis is. A camera that does not \
answer gets the middle.

**Speeds.** `panspeed` and `tiltspeed` send nothing by themselves. They apply to the next movement, and \
to one that is under way, whose command is sent again.

**Input.** The camera is asked for the position of the head, zoom and so on, every `poll` milliseconds, \
for each channel that is a source. A value is emitted when it has changed, and once after each \
connection. What a camera answers that belongs to no source is listed as unmatched input. With `detect`, \
and in `consort learn`, everything is asked.

**The camera is a state.** While a host refuses or a serial line is missing, the instance waits and tries \
again with longer and longer delays up to 8 s. A camera that does not answer makes its instance \
degraded; it is asked again and again, and commands are sent all the same. After a lost connection, the \
newest values are sent again; `memoryN`, `storeN`, `home`, `reset`, `focus.once` and `power` are not, \
and are counted as dropped.

**Ranges.** Cameras differ. The defaults are those of Sony's EVI-D70, which MIDIMonster uses; the manual of a \
camera lists its numbers. Numbers may be hexadecimal (`0x990`), and the first may be the greater one, \
which inverts the channel.

**Permissions.** Serial lines usually belong to the group `dialout`. `consort backends visca` lists the \
serial adapters that are plugged in.

**What has been tried.** No real camera was available. The tests use a camera that is written from the \
specification and was checked with the client `visca-over-ip`; over a pseudo terminal it takes the place \
of a serial line. What differs between models, such as ranges, reasons of refusals and the time of \
acknowledgements, has not been tried.",
    options: &[OptionSpec {
        documentation: "Ask the cameras for everything, and log each value that has changed.",
        ..DETECT
    }],
    instance_options: &[
        OptionSpec {
            name: "connect",
            kind: OptionKind::Checked(config::check_connect),
            once: true,
            example: "127.0.0.1 15678 udp",
            documentation: "The camera: `HOST PORT`, over TCP, or `HOST PORT udp`. Usual ports are \
5678 (TCP) and 1259 (UDP) for bare messages, and 52381 (UDP) for Sony's cameras.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "device",
            kind: OptionKind::Checked(config::check_device),
            once: true,
            example: "/dev/ttyUSB0 9600",
            documentation: "The serial line: its path, absolute or relative to `/dev`, and the bits \
per second (9600 without). Links in `serial/by-id` do not change when adapters are plugged.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "id",
            kind: OptionKind::Integer(1, 7),
            default: Some("1"),
            example: "2",
            documentation: "The number of the camera on its line. Cameras on a network have 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "framing",
            kind: OptionKind::Choice(&["auto", "raw", "sony"]),
            default: Some("auto"),
            example: "sony",
            documentation: "How messages are framed: bare (`raw`), with Sony's header (`sony`), or \
what the camera answers to.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(HostPort::check),
            example: "0.0.0.0 52381",
            documentation: "The local address and port, over UDP, for cameras that always answer to \
the same port. Several instances may use the same one.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "deadzone",
            kind: OptionKind::Number(0.0, 0.5),
            default: Some("0.1"),
            live: true,
            example: "0.05",
            documentation: "How far `move.x`, `move.y`, `zoom.move` and `focus.move` may be from the \
middle, 0.5, without a movement.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "poll",
            kind: OptionKind::Integer(20, 3_600_000),
            default: Some("500"),
            live: true,
            example: "200",
            documentation: "The milliseconds between two inquiries of a source.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "pan-range",
            kind: OptionKind::Checked(Range::check_head),
            default: Some("-2448 2448"),
            live: true,
            example: "-0x990 0x990",
            documentation: "The positions of `pan` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "tilt-range",
            kind: OptionKind::Checked(Range::check_head),
            default: Some("-1296 1296"),
            live: true,
            example: "-0x1b0 0x510",
            documentation: "The positions of `tilt` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "zoom-range",
            kind: OptionKind::Checked(Range::check_lens),
            default: Some("0 0x4000"),
            live: true,
            example: "0 0x7ac0",
            documentation: "The positions of `zoom` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "focus-range",
            kind: OptionKind::Checked(Range::check_lens),
            default: Some("0 0x4000"),
            live: true,
            example: "0x1000 0xf000",
            documentation: "The positions of `focus` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "pan-speeds",
            kind: OptionKind::Checked(Range::check_speed),
            default: Some("1 24"),
            live: true,
            example: "1 18",
            documentation: "The speeds of `panspeed` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "tilt-speeds",
            kind: OptionKind::Checked(Range::check_speed),
            default: Some("1 20"),
            live: true,
            example: "1 17",
            documentation: "The speeds of `tiltspeed` for 0 and 1.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: &[
        ChannelSyntax {
            syntax: "pan, tilt",
            example: "pan",
            documentation: "The position of the head, in `pan-range` and `tilt-range`. Target and \
source.",
        },
        ChannelSyntax {
            syntax: "panspeed, tiltspeed",
            example: "panspeed",
            documentation: "The speed of movements. Without a value, it is the highest. Target.",
        },
        ChannelSyntax {
            syntax: "move.left, move.right, move.up, move.down",
            example: "move.left",
            documentation: "Moves the head while the value is above 0, with that part of the speed. \
Target.",
        },
        ChannelSyntax {
            syntax: "move.x, move.y",
            example: "move.x",
            documentation: "A joystick: 0.5 stops, above is left or up, below is right or down. \
Target.",
        },
        ChannelSyntax {
            syntax: "stop",
            example: "stop",
            documentation: "Stops the head, and the drives of the lens, with any value. Target.",
        },
        ChannelSyntax {
            syntax: "home, reset",
            example: "home",
            documentation: "Moves the head to its home position, or calibrates it, with a value of \
0.9 or more. Target.",
        },
        ChannelSyntax {
            syntax: "memoryN, storeN",
            example: "memory1",
            documentation: "Recalls or stores memory N (0 to 254), with a value of 0.9 or more. \
Target.",
        },
        ChannelSyntax {
            syntax: "zoom, focus",
            example: "zoom",
            documentation: "The position of the lens, in `zoom-range` and `focus-range`. Target and \
source.",
        },
        ChannelSyntax {
            syntax: "zoom.in, zoom.out, zoom.move, focus.far, focus.near, focus.move",
            example: "zoom.move",
            documentation: "Drives the lens while the value is above 0, with that part of the \
highest speed; `.move` is a joystick with 0.5 in the middle, above is in or far. Target.",
        },
        ChannelSyntax {
            syntax: "autofocus",
            example: "autofocus",
            documentation: "Automatic focus, on above 0.9. Target and source.",
        },
        ChannelSyntax {
            syntax: "focus.once",
            example: "focus.once",
            documentation: "Focuses once, with a value of 0.9 or more. Target.",
        },
        ChannelSyntax {
            syntax: "wb.auto",
            example: "wb.auto",
            documentation: "Automatic white balance above 0.9, otherwise the manual one. Target and \
source.",
        },
        ChannelSyntax {
            syntax: "wb.red, wb.blue",
            example: "wb.red",
            documentation: "The gains of the manual white balance, 0 to 255. Target and source.",
        },
        ChannelSyntax {
            syntax: "power",
            example: "power",
            documentation: "Switches the camera on above 0.9, otherwise to standby. Target and \
source.",
        },
    ],
    example: "\
[visca cam]
connect = 127.0.0.1 15678 udp

[map]
cam.zoom > cam.panspeed
",
    create: || Box::<Visca>::default(),
};

/// The cameras of one line, by their numbers, with the positions of their options.
struct Claimed {
    name: String,
    id: u8,
    endpoint: Endpoint,
    position: Option<usize>,
}

/// The backend while it is configured.
#[derive(Default)]
struct Visca {
    detect: bool,
    claimed: Vec<Claimed>,
}

impl Backend for Visca {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = Config::read(&instance, problems)?;
        let options = &instance.options;
        self.claimed.push(Claimed {
            name: config.name.clone(),
            id: config.id,
            endpoint: config.endpoint.clone(),
            position: options.position("id").or(options.position("connect")),
        });
        Some(Box::new(ViscaPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, instance) in self.claimed.iter().enumerate() {
            let is_same =
                |other: &&Claimed| other.id == instance.id && other.endpoint == instance.endpoint;
            if let Some(other) = self.claimed[..index].iter().find(is_same) {
                let mut problems = Problems::new();
                problems
                    .error(
                        instance.position,
                        format!("camera {} of this line is instance `{}`", other.id, other.name),
                    )
                    .hint("use that instance, or give this one another `id`");
                report(&instance.name, problems);
            }
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(ViscaDriver::new(self.detect))
    }
}

/// The serial lines of this machine that are USB devices. Reads `/sys`; opens no device.
pub fn devices() -> Vec<PluggedIn> {
    crate::serial::adapters()
        .into_iter()
        .map(|adapter| PluggedIn {
            name: adapter.name(),
            options: format!("device = {} 9600\n", adapter.path.display()),
        })
        .collect()
}
