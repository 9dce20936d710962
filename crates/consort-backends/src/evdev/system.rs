//! The input devices of a machine, behind traits: the kernel's, or those of a test.

use std::fmt::Write as _;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes::{Code, CodeSet, EventType};
use crate::hotplug::Watch;

/// The bytes of one `struct input_event`.
pub(super) const EVENT_BYTES: usize = size_of::<libc::input_event>();

/// The event type of reports and of their loss.
pub(super) const EV_SYN: u16 = 0;
/// The end of a report.
pub(super) const SYN_REPORT: u16 = 0;
/// The kernel has dropped events, because they were not read in time.
pub(super) const SYN_DROPPED: u16 = 3;
/// The event type of force feedback.
pub(super) const EV_FF: u16 = 0x15;

/// One input event, without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawEvent {
    pub(super) kind: u16,
    pub(super) code: u16,
    pub(super) value: i32,
}

impl RawEvent {
    /// The end of a report.
    pub(super) const REPORT: RawEvent = RawEvent { kind: EV_SYN, code: SYN_REPORT, value: 0 };

    pub(super) fn new(code: Code, value: i32) -> Self {
        RawEvent { kind: code.kind.number(), code: code.number, value }
    }

    /// Reads an event from the bytes of a `struct input_event`; the last eight of them are type,
    /// code and value. `None` if there are too few.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: [u8; 8] = *bytes.get(..EVENT_BYTES)?.last_chunk()?;
        let [k0, k1, c0, c1, value @ ..] = fields;
        Some(RawEvent {
            kind: u16::from_ne_bytes([k0, k1]),
            code: u16::from_ne_bytes([c0, c1]),
            value: i32::from_ne_bytes(value),
        })
    }

    /// Appends the bytes of a `struct input_event` with the time 0, as uinput takes it.
    pub(super) fn encode(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&[0; EVENT_BYTES - 8]);
        bytes.extend_from_slice(&self.kind.to_ne_bytes());
        bytes.extend_from_slice(&self.code.to_ne_bytes());
        bytes.extend_from_slice(&self.value.to_ne_bytes());
    }
}

/// The values of an absolute axis: `struct input_absinfo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) value: i32,
    pub(super) minimum: i32,
    pub(super) maximum: i32,
    /// Changes below this are noise.
    pub(super) fuzz: i32,
    /// Values this near to the centre are the centre.
    pub(super) flat: i32,
    /// Units per millimetre or radian; 0 if unknown.
    pub(super) resolution: i32,
}

/// What identifies a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeviceInfo {
    /// Its node, such as `/dev/input/event3`.
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Where it is plugged in.
    pub(super) phys: String,
    /// Its serial number or Bluetooth address.
    pub(super) uniq: String,
    pub(super) vendor: u16,
    pub(super) product: u16,
    /// Whether a running show of this process has created it.
    pub(super) is_own: bool,
}

impl DeviceInfo {
    /// The options that select the device, one a line, as in a configuration.
    pub(super) fn describe(&self, text: &mut String) {
        let _ = writeln!(text, "device = {}", self.path.display());
        let _ = writeln!(text, "vendor-product = {:04x}:{:04x}", self.vendor, self.product);
        for (option, value) in [("phys", &self.phys), ("uniq", &self.uniq)] {
            if !value.is_empty() {
                let _ = writeln!(text, "{option} = {value}");
            }
        }
    }
}

/// A device to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blueprint {
    pub(super) name: String,
    pub(super) phys: String,
    pub(super) vendor: u16,
    pub(super) product: u16,
    pub(super) version: u16,
    /// The codes that it has, in ascending order.
    pub(super) codes: Vec<Code>,
    /// The values of its absolute axes, by code number.
    pub(super) axes: Vec<(u16, Axis)>,
}

/// An open input device. The descriptor does not block and yields input events.
pub(super) trait InputDevice: Send + Sync {
    fn descriptor(&self) -> BorrowedFd<'_>;
    /// The range and the present value of an axis.
    fn axis(&self, number: u16) -> io::Result<Axis>;
    /// The codes that the device has.
    fn codes(&self, kind: EventType) -> io::Result<CodeSet>;
    /// The keys that are down, the switches that are on, or the lights that are lit.
    fn active(&self, kind: EventType) -> io::Result<CodeSet>;
    /// Whether other programs get the device's events.
    fn grab(&self, is_grabbed: bool) -> io::Result<()>;
    /// Stores a rumble effect under a number that the kernel has given, or -1 for a new one;
    /// returns the number. May block until the device answers.
    fn rumble(&self, effect: i16, strong: u16, weak: u16) -> io::Result<i16>;
}

/// A device that the show has created. The descriptor does not block and takes input events.
pub(super) trait OutputDevice: Send {
    fn descriptor(&self) -> BorrowedFd<'_>;
}

/// The input devices of a machine. All methods but [`System::watch`] may block, so that they are
/// called on threads of their own.
pub(super) trait System: Send + Sync {
    /// All devices, in the order of their numbers.
    fn list(&self) -> Vec<DeviceInfo>;
    /// The node that a path leads to.
    fn resolve(&self, path: &Path) -> PathBuf;
    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputDevice>>;
    fn create(&self, blueprint: &Blueprint) -> io::Result<Box<dyn OutputDevice>>;
    /// What reports new devices; `None` if nothing does.
    fn watch(&self) -> Option<Watch>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_layout_of_the_kernels_structure() {
        let event = RawEvent { kind: 3, code: 0x110, value: -5 };
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(bytes.len(), EVENT_BYTES);
        assert_eq!(RawEvent::decode(&bytes), Some(event));
        assert_eq!(RawEvent::decode(&bytes[1..]), None);
        assert_eq!(std::mem::offset_of!(libc::input_event, type_), EVENT_BYTES - 8);
        assert_eq!(std::mem::offset_of!(libc::input_event, code), EVENT_BYTES - 6);
        assert_eq!(std::mem::offset_of!(libc::input_event, value), EVENT_BYTES - 4);
    }
}
