//! The kernel's input devices: keyboards, mice, gamepads, and whatever else has buttons and axes.
//!
//! Devices are found, opened and closed on other threads, because each of these may take many
//! milliseconds. Reading, and writing to created devices, is done on the router's thread.
//!
//! | module | content |
//! |---|---|
//! | `codes` | types and codes of events by name and number |
//! | `system`, `kernel` | the devices of a machine, behind traits; the kernel's requests |
//! | `config`, `channels` | options; channel specifications |
//! | `values`, `mapping` | conversion of values; what is emitted and sent |
//! | `input`, `output`, `rumble` | an open device; a created device; motors |
//! | `instance` | the plan of an instance, and the router's interface |

mod channels;
mod codes;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod input;
mod instance;
mod kernel;
mod mapping;
mod output;
mod rumble;
mod system;
#[cfg(test)]
mod tests;
mod values;

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, DriverContext, InstanceConfig, OptionFamily,
    OptionKind, OptionSpec, Options, Plan, Problems,
};

use channels::Channels;
use instance::EvdevPlan;
use kernel::KernelSystem;
use system::System;

use crate::PluggedIn;
use crate::detect::DETECT;

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "evdev",
    summary: "Keyboards, mice, gamepads and other input devices, in and out",
    documentation: "\
An instance receives from one input device, creates one, or does both. `consort backends evdev` \
lists the devices that are plugged in, and `consort learn` prints the channels that you move.

**Input.** `device`, `input`, `vendor-product`, `phys` and `uniq` select the device; it must have \
all properties that are given. Two equal devices differ in `phys`, the socket that they are plugged \
into, or in `uniq`, the serial number or Bluetooth address. Devices that the show creates \
are never selected.

**Devices can be plugged in and unplugged at any time.** An instance waits for a missing device and \
opens it when it appears, whatever its number. If a device disappears, its keys are released in the \
show (value 0), and the sticks, hats and triggers of joysticks and gamepads return to their rest \
position. Faders, tablets and switches keep their values. If input is lost because it arrives \
faster than the show can process it, the state of the device is read again; the loss is counted \
and logged.

**Output.** With `output = NAME` the instance creates a device with this name, which has all codes \
that are mapped. Values that arrive before it exists are sent when it does. The values of one \
delivery are one report. When the show stops, and on a panic, keys are released.

**Lights, sounds and rumble** (`EV_LED`, `EV_SND`, `EV_FF`) are sent to the device that the \
instance receives from. Only an instance that receives from none sends `EV_LED` and `EV_SND` to the \
device that it creates. A light of a created device is a source, too: its value arrives when \
another program sets the light. Lights are set again when their device reappears.

**Values.** A key is 1 when it is pressed or repeats, and 0 when it is released; as a target it is \
pressed above 0.9. An absolute axis is 0 to 1 over its range. A relative axis with an extent \
(`relaxis.NAME`) has a position, which input and output share. Without an extent, it is 0 for a \
step down, 0.5 for none and 1 for a step up, as input and as output.

**When a show is reloaded,** the devices stay open, and relative axes keep their positions. Keys \
that no mapping presses any more are released. A created device is replaced if it lacks a code that \
is mapped now.

**Unmatched input.** Input that no mapping uses is listed with its channel and value. Codes of \
`EV_MSC`, which keyboards send with every key, are only counted.

**Permissions.** Input devices belong to the group `input`. To create devices, load the module \
`uinput` (`echo uinput > /etc/modules-load.d/uinput.conf`) and give the group access with a rule in \
`/etc/udev/rules.d/70-uinput.rules`: `KERNEL==\"uinput\", GROUP=\"input\", MODE=\"0660\", \
OPTIONS+=\"static_node=uinput\"`.",
    options: &[OptionSpec {
        documentation: "Log every incoming value, mapped or not, with its channel as it is \
written in `[map]`.",
        ..DETECT
    }],
    instance_options: &[
        OptionSpec {
            name: "device",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "/dev/input/by-id/usb-Logitech_Extreme_3D-event-joystick",
            documentation: "The device by its path, absolute or relative to `/dev/input`. The \
numbers of `event3` change; links in `by-id` and `by-path` do not.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "input",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "Xbox Wireless",
            documentation: "The device by its name or any part of it, in any case. Whole names are \
preferred to beginnings, and these to other parts; of several, the one \
with the shortest name is selected.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "vendor-product",
            kind: OptionKind::Checked(config::check_vendor_product),
            once: true,
            example: "045e:02ea",
            documentation: "The device by its vendor and product, in hexadecimal, as `lsusb` \
prints them.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "phys",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "usb-0000:00:14.0-2",
            documentation: "The device by the socket that it is plugged into; what follows a `/` \
may be left out.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "uniq",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "e4:17:d8:01:02:03",
            documentation: "The device by its serial number or Bluetooth address.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "exclusive",
            kind: OptionKind::Flag,
            default: Some("off"),
            example: "on",
            documentation: "Grab the device: no other program, including the desktop, receives \
its events.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "output",
            kind: OptionKind::Checked(config::check_output),
            once: true,
            example: "Show Stick",
            documentation: "Create a device with this name.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "id",
            kind: OptionKind::Checked(config::check_id),
            once: true,
            example: "0x045e 0x028e 0x110",
            documentation: "Vendor, product and version of the created device.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[
        OptionFamily {
            prefix: "axis.",
            live: false,
            example: "axis.ABS_X = 0 -32768 32767 16 128",
            documentation: "The value, minimum, maximum, fuzz, flat and resolution of an absolute \
axis of the created device. Required for each one that is a target; what is left out is 0. Also \
the range of an axis of the input device that reports none.",
        },
        OptionFamily {
            prefix: "relaxis.",
            live: true,
            example: "relaxis.REL_X = 1024 512",
            documentation: "The largest position of a relative axis, and optionally the initial \
one. A negative number inverts the axis.",
        },
    ],
    channels: CHANNELS,
    example: "\
[evdev pad]
input = Xbox Wireless
output = Show Stick
axis.ABS_X = 0 -32768 32767 16 128
relaxis.REL_X = 1024 512

[map]
pad.EV_ABS.ABS_RX > pad.EV_ABS.ABS_X
pad.EV_KEY.BTN_SOUTH > pad.EV_FF.FF_RUMBLE
",
    create: || Box::<Evdev>::default(),
};

/// The channels.
const CHANNELS: &[ChannelSyntax] = &[
    ChannelSyntax {
        syntax: "EV_KEY.CODE",
        example: "EV_KEY.BTN_SOUTH",
        documentation: "A key or button. CODE is a name of the kernel, as `evtest` prints it, or a \
number; so it is for all types.",
    },
    ChannelSyntax {
        syntax: "EV_ABS.CODE",
        example: "EV_ABS.ABS_X",
        documentation: "An absolute axis: a stick, a trigger, a fader, a tablet.",
    },
    ChannelSyntax {
        syntax: "EV_REL.CODE",
        example: "EV_REL.REL_X",
        documentation: "A relative axis: a mouse, a wheel, an encoder. See `relaxis.`.",
    },
    ChannelSyntax {
        syntax: "EV_SW.CODE",
        example: "EV_SW.SW_HEADPHONE_INSERT",
        documentation: "A switch, 0 or 1.",
    },
    ChannelSyntax {
        syntax: "EV_LED.CODE",
        example: "EV_LED.LED_CAPSL",
        documentation: "A light of the device, lit above 0.9.",
    },
    ChannelSyntax {
        syntax: "EV_SND.CODE",
        example: "EV_SND.SND_BELL",
        documentation: "A sound of the device, on above 0.9.",
    },
    ChannelSyntax {
        syntax: "EV_MSC.CODE",
        example: "EV_MSC.MSC_SCAN",
        documentation: "What fits no other type, 0 or 1.",
    },
    ChannelSyntax {
        syntax: "EV_REP.CODE",
        example: "EV_REP.REP_DELAY",
        documentation: "The settings of autorepeat, 0 or 1; rarely useful.",
    },
    ChannelSyntax {
        syntax: "EV_FF.FF_RUMBLE",
        example: "EV_FF.FF_RUMBLE",
        documentation: "Target: the strength of both motors of a gamepad, until the next value.",
    },
    ChannelSyntax {
        syntax: "EV_FF.FF_RUMBLE.MOTOR",
        example: "EV_FF.FF_RUMBLE.strong",
        documentation: "Target: the strength of one motor, `strong` or `weak`.",
    },
];

/// The backend while it is configured.
#[derive(Default)]
struct Evdev {
    detect: bool,
}

impl Backend for Evdev {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
    }

    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let settings = config::read(&config.name, &config.options, problems)?;
        Some(Box::new(EvdevPlan { settings, channels: Channels::default() }))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        let system = system();
        Box::new(EvdevDriver { system, detect: Rc::new(Cell::new(self.detect)) })
    }
}

/// The kernel's devices, or those of the test that runs on this thread.
fn system() -> Arc<dyn System> {
    #[cfg(test)]
    if let Some(system) = tests::SYSTEM.with_borrow(Clone::clone) {
        return system;
    }
    Arc::new(KernelSystem::default())
}

/// The running part of the backend.
struct EvdevDriver {
    system: Arc<dyn System>,
    /// Whether instances log their input.
    detect: Rc<Cell<bool>>,
}

impl Driver for EvdevDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let backend: &dyn Any = &*backend;
        if let Some(evdev) = backend.downcast_ref::<Evdev>() {
            self.detect.set(evdev.detect);
        }
        Ok(())
    }
}

/// The input devices of this machine. Reads `/sys`; opens no device.
pub fn devices() -> Vec<PluggedIn> {
    let devices = KernelSystem::default().list();
    let describe = |device: system::DeviceInfo| {
        let mut options = String::new();
        device.describe(&mut options);
        PluggedIn { name: device.name, options }
    };
    devices.into_iter().map(describe).collect()
}

/// Creates a gamepad `name` with the button `BTN_SOUTH`, for benchmarks: returns its descriptor, to
/// which input events are written. Not part of the public interface.
///
/// # Errors
/// The error of `/dev/uinput`.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn bench_device(name: &str) -> std::io::Result<std::os::fd::OwnedFd> {
    let south = codes::Code { kind: codes::EventType::Key, number: 0x130 };
    let blueprint = system::Blueprint {
        name: name.to_owned(),
        phys: "consort/bench".into(),
        codes: vec![south],
        ..system::Blueprint::default()
    };
    kernel::create(&blueprint)
}
