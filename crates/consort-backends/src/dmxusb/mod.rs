//! DMX universes through USB adapters: interfaces with a processor, and bare lines.
//!
//! Adapters are found, opened and closed on other threads. An interface is read and written on the
//! router's thread without blocking; a bare line has a thread that makes its breaks.
//!
//! | module | content |
//! |---|---|
//! | `pro` | the messages of interfaces; no I/O |
//! | `config` | options; finding an adapter |
//! | `interface` | an open interface |
//! | `line` | the thread of a bare line |
//! | `instance` | the plan of an instance, and the router's interface |

mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod interface;
mod line;
mod pro;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

use consort_router::{
    Backend, BackendDescriptor, Driver, DriverContext, InstanceConfig, OptionKind, OptionSpec,
    Options, Plan, Problems,
};

use config::{Claims, FTDI, Settings};
use instance::DmxUsbPlan;

use crate::PluggedIn;
use crate::detect::DETECT;
use crate::dmx::{Slots, options};
use crate::serial::{AdapterInfo, adapters};

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "dmxusb",
    summary: "DMX universes through USB adapters: DMX USB Pro and Open DMX USB, in and out",
    documentation: "\
An instance is one universe on one adapter. `consort backends dmxusb` lists the adapters that are \
plugged in.

**Adapters.** `type = pro` is for the Enttec DMX USB Pro and interfaces that are compatible with it: \
they send frames by their own clock, and receive. `type = open` is for adapters without a processor, \
such as the Enttec Open DMX USB: the computer makes the breaks, and nothing is received. Without \
`device` and `serial`, an instance takes the first adapter with the USB id that no other instance \
uses.

**Adapters can be plugged in and unplugged at any time.** An instance waits for a missing adapter \
and opens it when it appears, whatever its number, and sends its last frame.

**Output.** Sending begins with the first value (slots without a value are 0). An interface gets \
each changed frame at up to `rate` frames per second and repeats it by itself; values that are \
replaced before they are sent are counted as dropped. On a bare line, the newest values are sent \
`rate` times per second from the opening of the adapter on. A break is never shorter than `break`, \
and the mark after it never shorter than `mark`. At the end, the last values are sent.

**Input.** An interface receives if no mapping sends to its instance. A value is emitted when it has \
changed, and once for every channel of the first frame. The last values are kept when the signal \
ends.

**Firmware and serial number** of an interface are logged when it is opened. An interface that does \
not answer within 2 s makes the instance wait, with that reason; values are sent to it nevertheless. \
The options `rate`, `break` and `mark` are stored in the interface, if the configuration gives them.

**Unmatched input.** Slots that have changed and that no mapping uses are counted; up to eight of \
each frame are listed with their channel and value.

**When a show is reloaded,** an instance of which only `rate`, `break`, `mark`, `receive` or mappings \
have changed keeps its adapter and its frame. A channel that is mapped no more keeps its last level. \
A channel that is newly mapped gets its value from the next frame.

**Permissions.** Serial adapters usually belong to the group `dialout`.",
    options: &[OptionSpec {
        documentation: "Log every change of a received slot, mapped or not, with its channel.",
        ..DETECT
    }],
    instance_options: &[
        OptionSpec {
            name: "type",
            kind: OptionKind::Choice(&["pro", "open"]),
            default: Some("pro"),
            example: "open",
            documentation: "The type of the adapter: with a processor (`pro`) or without (`open`).",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "device",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "/dev/serial/by-id/usb-ENTTEC_DMX_USB_PRO_EN123456-if00-port0",
            documentation: "The adapter by its path, absolute or relative to `/dev`. The numbers \
of `ttyUSB0` change; links in `serial/by-id` do not.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "serial",
            kind: OptionKind::Checked(config::check_text),
            once: true,
            example: "EN123456",
            documentation: "The adapter by the serial number of its USB device.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "usb-id",
            kind: OptionKind::Checked(config::check_usb_id),
            default: Some(FTDI),
            example: "0403:6001",
            documentation: "The vendor and product of the adapter's USB device, in hexadecimal, as \
`lsusb` prints them. Not used with `device`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "rate",
            kind: OptionKind::Integer(1, 44),
            default: Some("44"),
            live: true,
            example: "30",
            documentation: "Frames per second. A frame of 512 slots takes 22.7 ms; fixtures that \
flicker may need fewer.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "break",
            kind: OptionKind::Integer(92, 100_000),
            default: Some("110"),
            live: true,
            example: "176",
            documentation: "The shortest break before a frame, in microseconds. Interfaces have \
breaks of up to 1,355 µs.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "mark",
            kind: OptionKind::Integer(12, 100_000),
            default: Some("16"),
            live: true,
            example: "20",
            documentation: "The shortest mark after a break, in microseconds. Interfaces have \
marks of up to 1,355 µs.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "receive",
            kind: OptionKind::Choice(&["frames", "changes"]),
            default: Some("frames"),
            live: true,
            example: "changes",
            documentation: "Whether an interface reports every frame that it receives, or only \
changes. Changes need less processor time; a lost one is repaired only by the next.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[dmxusb truss]
type = open
serial = A10KPBQX

[dmxusb desk]
serial = EN123456

[map]
desk.1 > truss.7
desk.2 > truss.1+2
",
    create: || Box::<DmxUsb>::default(),
};

/// The backend while it is configured.
#[derive(Default)]
struct DmxUsb {
    detect: bool,
}

impl Backend for DmxUsb {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.detect = options.flag("detect");
    }

    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let settings = Settings::read(&config);
        Some(Box::new(DmxUsbPlan { settings, slots: Slots::default() }))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(DmxUsbDriver {
            claims: Claims::default(),
            detect: Rc::new(Cell::new(self.detect)),
        })
    }
}

/// The running part of the backend.
struct DmxUsbDriver {
    /// The adapters that instances use.
    claims: Claims,
    /// Whether instances log what they receive.
    detect: Rc<Cell<bool>>,
}

impl Driver for DmxUsbDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let backend: &dyn Any = &*backend;
        if let Some(dmxusb) = backend.downcast_ref::<DmxUsb>() {
            self.detect.set(dmxusb.detect);
        }
        Ok(())
    }
}

/// The serial lines of this machine that are USB devices. Reads `/sys`; opens no device.
pub fn devices() -> Vec<PluggedIn> {
    let describe = |adapter: AdapterInfo| PluggedIn {
        name: adapter.name(),
        options: format!(
            "device = {}\nserial = {}\nusb-id = {:04x}:{:04x}\n",
            adapter.path.display(),
            adapter.serial,
            adapter.vendor_id,
            adapter.product_id
        ),
    };
    adapters().into_iter().map(describe).collect()
}

/// Sends frames of zeros on a line, as an instance of `type = open` does, for benchmarks: `act` is
/// called with 1 when a break begins, with 2 when it ends, and with 3 for the slots. Not part of
/// the public interface.
///
/// # Errors
/// The error of `act`.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub fn bench_line(
    count: usize,
    break_time: std::time::Duration,
    mark_time: std::time::Duration,
    act: impl FnMut(u8) -> std::io::Result<()> + Send,
) -> std::io::Result<()> {
    struct Recorded<F>(F);

    impl<F: FnMut(u8) -> std::io::Result<()> + Send> line::Line for Recorded<F> {
        fn set_break(&mut self, is_on: bool) -> std::io::Result<()> {
            (self.0)(if is_on { 1 } else { 2 })
        }

        fn send(&mut self, _: &[u8; crate::dmx::SLOTS + 1]) -> std::io::Result<()> {
            (self.0)(3)
        }
    }

    let timing = line::Timing { break_time, mark_time, interval: std::time::Duration::ZERO };
    line::send_frames(&mut Recorded(act), count, timing)
}
