//! The kernel's input devices: `/dev/input/event*`, `/dev/uinput`, and `/sys/class/input`.
//!
//! Devices are identified by their files in `/sys`, so that listing them opens none: opening wakes
//! a device, and needs permissions that listing does not.
#![allow(unsafe_code)] // ioctls, whose argument types depend on the request

use std::collections::HashSet;
use std::ffi::c_void;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Direction, Ioctl, IoctlOutput, Opcode, opcode};

use super::codes::{CodeSet, EventType};
use super::system::{Axis, Blueprint, DeviceInfo, InputDevice, OutputDevice, System};
use crate::hotplug::Watch;

/// The folder of the device nodes.
const NODES: &str = "/dev/input";

/// The node that creates devices.
const UINPUT: &str = "/dev/uinput";

/// The folder in which the kernel lists input devices.
const CLASS: &str = "/sys/class/input";

/// The longest name of a device in bytes: `UINPUT_MAX_NAME_SIZE` without the final zero.
pub(super) const MAX_NAME_BYTES: usize = 79;

/// The effect type of rumble.
const FF_RUMBLE: u16 = 0x50;

/// The bus of created devices.
const BUS_VIRTUAL: u16 = 0x06;

/// A request with a pointer or a number as its argument.
struct Request {
    opcode: Opcode,
    argument: *mut c_void,
}

// SAFETY: the opcodes below are those of <linux/input.h> and <linux/uinput.h>, and each function
// that makes a request passes an argument of the type that belongs to its opcode.
unsafe impl Ioctl for Request {
    type Output = i32;

    // The kernel may write through the pointer.
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(output)
    }
}

/// Makes a request whose argument is a structure.
fn with_structure<T>(
    descriptor: BorrowedFd<'_>,
    direction: Direction,
    (group, number): (u8, u8),
    structure: &mut T,
) -> io::Result<i32> {
    let opcode = opcode::from_components(direction, group, number, size_of::<T>());
    let request = Request { opcode, argument: std::ptr::from_mut(structure).cast() };
    // SAFETY: the opcode contains the size of the structure, so that the kernel reads and writes no
    // more than that, and the structure is borrowed for the time of the call.
    Ok(unsafe { rustix::ioctl::ioctl(descriptor, request) }?)
}

/// Makes a request whose argument is a number.
fn with_number(
    descriptor: BorrowedFd<'_>,
    (group, number): (u8, u8),
    size: usize,
    argument: usize,
) -> io::Result<i32> {
    let direction = if size > 0 { Direction::Write } else { Direction::None };
    let opcode = opcode::from_components(direction, group, number, size);
    let request = Request { opcode, argument: std::ptr::without_provenance_mut(argument) };
    // SAFETY: these requests take the argument itself and do not follow it as a pointer.
    Ok(unsafe { rustix::ioctl::ioctl(descriptor, request) }?)
}

/// The kernel's devices, and those that this process has created.
#[derive(Default)]
pub(super) struct KernelSystem {
    /// The names of created devices in `/sys`, such as `input12`. The lock is held while a device
    /// is created, so that no list contains it before it is known.
    own: Arc<Mutex<HashSet<String>>>,
}

impl System for KernelSystem {
    fn list(&self) -> Vec<DeviceInfo> {
        let own = self.own.lock();
        let Ok(entries) = fs::read_dir(CLASS) else { return Vec::new() };
        let mut devices: Vec<(u32, DeviceInfo)> = entries
            .flatten()
            .filter_map(|entry| {
                let file_name = entry.file_name();
                let node = file_name.to_str()?;
                let number = node.strip_prefix("event")?.parse().ok()?;
                let path = Path::new(NODES).join(node);
                path.exists().then(|| (number, identify(&entry.path(), path, &own)))
            })
            .collect();
        devices.sort_by_key(|(number, _)| *number);
        devices.into_iter().map(|(_, device)| device).collect()
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn InputDevice>> {
        let open = |access| {
            let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
        };
        // Lights and rumble need write access, but input does not.
        let descriptor = match open(OFlags::RDWR) {
            Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => open(OFlags::RDONLY)?,
            result => result?,
        };
        let device = KernelInput { descriptor };
        // Fails for a file that is not an input device.
        device.codes(EventType::Key)?;
        Ok(Arc::new(device))
    }

    fn create(&self, blueprint: &Blueprint) -> io::Result<Box<dyn OutputDevice>> {
        let mut own = self.own.lock();
        let descriptor = create(blueprint)?;
        let mut name = [0_u8; 64];
        // UI_GET_SYSNAME
        with_structure(descriptor.as_fd(), Direction::Read, (b'U', 44), &mut name)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = String::from_utf8_lossy(&name[..end]).into_owned();
        own.insert(name.clone());
        drop(own);
        Ok(Box::new(KernelOutput { descriptor, name, own: Arc::clone(&self.own) }))
    }

    fn watch(&self) -> Option<Watch> {
        let links = ["by-id", "by-path"].map(|folder| Path::new(NODES).join(folder));
        // `/dev` reports when the folder of the nodes, or `uinput`, appears.
        Watch::folders(&[Path::new(NODES), &links[0], &links[1], Path::new("/dev")])
    }
}

/// Identifies the device of a folder `/sys/class/input/eventN`.
fn identify(folder: &Path, path: PathBuf, own: &HashSet<String>) -> DeviceInfo {
    let text = |file: &str| {
        let text = fs::read_to_string(folder.join("device").join(file)).unwrap_or_default();
        text.trim_end_matches('\n').to_owned()
    };
    let number = |file: &str| u16::from_str_radix(text(file).trim(), 16).unwrap_or(0);
    // The folder is a link to `…/inputN/eventN`.
    let real = fs::canonicalize(folder).unwrap_or_default();
    let parent = real.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    DeviceInfo {
        path,
        name: text("name"),
        phys: text("phys"),
        uniq: text("uniq"),
        vendor: number("id/vendor"),
        product: number("id/product"),
        is_own: parent.is_some_and(|name| own.contains(name)),
    }
}

/// Creates a device.
///
/// # Errors
/// The error of the operating system.
pub(super) fn create(blueprint: &Blueprint) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(UINPUT, flags, Mode::empty())?;
    set_up(descriptor.as_fd(), blueprint)?;
    with_number(descriptor.as_fd(), (b'U', 1), 0, 0)?; // UI_DEV_CREATE
    Ok(descriptor)
}

/// Makes the requests that describe a device before it is created.
fn set_up(descriptor: BorrowedFd<'_>, blueprint: &Blueprint) -> io::Result<()> {
    const INT: usize = size_of::<libc::c_int>();
    for code in &blueprint.codes {
        // UI_SET_EVBIT, and UI_SET_KEYBIT and its neighbours
        with_number(descriptor, (b'U', 100), INT, code.kind.number().into())?;
        let number = match code.kind {
            EventType::Key => 101,
            EventType::Relative => 102,
            EventType::Absolute => 103,
            EventType::Miscellaneous => 104,
            EventType::Led => 105,
            EventType::Sound => 106,
            EventType::Switch => 109,
            EventType::Repeat => continue,
        };
        with_number(descriptor, (b'U', number), INT, code.number.into())?;
    }
    for (code, axis) in &blueprint.axes {
        let mut setup = libc::uinput_abs_setup {
            code: *code,
            absinfo: libc::input_absinfo {
                value: axis.value,
                minimum: axis.minimum,
                maximum: axis.maximum,
                fuzz: axis.fuzz,
                flat: axis.flat,
                resolution: axis.resolution,
            },
        };
        with_structure(descriptor, Direction::Write, (b'U', 4), &mut setup)?; // UI_ABS_SETUP
    }
    let id = libc::input_id {
        bustype: BUS_VIRTUAL,
        vendor: blueprint.vendor,
        product: blueprint.product,
        version: blueprint.version,
    };
    let mut setup = libc::uinput_setup { id, name: [0; 80], ff_effects_max: 0 };
    let bytes = blueprint.name.bytes().take(MAX_NAME_BYTES);
    for (place, byte) in setup.name.iter_mut().zip(bytes) {
        *place = byte as libc::c_char;
    }
    with_structure(descriptor, Direction::Write, (b'U', 3), &mut setup)?; // UI_DEV_SETUP
    let mut phys = blueprint.phys.clone().into_bytes();
    phys.push(0);
    let opcode = opcode::from_components(Direction::Write, b'U', 108, size_of::<*const u8>());
    let request = Request { opcode, argument: phys.as_mut_ptr().cast() };
    // SAFETY: UI_SET_PHYS reads a text that ends with a zero, which was appended.
    unsafe { rustix::ioctl::ioctl(descriptor, request) }?;
    Ok(())
}

/// An open `/dev/input/eventN`.
struct KernelInput {
    descriptor: OwnedFd,
}

impl KernelInput {
    /// Makes a request that returns a set of codes.
    fn set(&self, number: u8) -> io::Result<CodeSet> {
        let mut words = [0_u64; CodeSet::BYTES / 8];
        with_structure(self.descriptor.as_fd(), Direction::Read, (b'E', number), &mut words)?;
        Ok(CodeSet::from_words(words))
    }
}

impl InputDevice for KernelInput {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn axis(&self, number: u16) -> io::Result<Axis> {
        let mut axis = libc::input_absinfo {
            value: 0,
            minimum: 0,
            maximum: 0,
            fuzz: 0,
            flat: 0,
            resolution: 0,
        };
        let request = (b'E', 0x40 + (number & 0x3F) as u8); // EVIOCGABS
        with_structure(self.descriptor.as_fd(), Direction::Read, request, &mut axis)?;
        Ok(Axis {
            value: axis.value,
            minimum: axis.minimum,
            maximum: axis.maximum,
            fuzz: axis.fuzz,
            flat: axis.flat,
            resolution: axis.resolution,
        })
    }

    fn codes(&self, kind: EventType) -> io::Result<CodeSet> {
        self.set(0x20 + kind.number() as u8) // EVIOCGBIT
    }

    fn active(&self, kind: EventType) -> io::Result<CodeSet> {
        match kind {
            EventType::Key => self.set(0x18),    // EVIOCGKEY
            EventType::Led => self.set(0x19),    // EVIOCGLED
            EventType::Switch => self.set(0x1b), // EVIOCGSW
            _ => Ok(CodeSet::default()),
        }
    }

    fn grab(&self, is_grabbed: bool) -> io::Result<()> {
        let size = size_of::<libc::c_int>();
        // EVIOCGRAB
        with_number(self.descriptor.as_fd(), (b'E', 0x90), size, usize::from(is_grabbed)).map(drop)
    }

    fn rumble(&self, effect: i16, strong: u16, weak: u16) -> io::Result<i16> {
        let mut structure = libc::ff_effect {
            type_: FF_RUMBLE,
            id: effect,
            direction: 0,
            trigger: libc::ff_trigger { button: 0, interval: 0 },
            replay: libc::ff_replay { length: 0, delay: 0 }, // until it is stopped
            u: Default::default(),
        };
        // The union begins with `struct ff_rumble_effect`: the strong and the weak motor.
        let mut first = [0; size_of::<usize>()];
        first[..2].copy_from_slice(&strong.to_ne_bytes());
        first[2..4].copy_from_slice(&weak.to_ne_bytes());
        structure.u[0] = usize::from_ne_bytes(first) as _;
        // EVIOCSFF
        with_structure(self.descriptor.as_fd(), Direction::Write, (b'E', 0x80), &mut structure)?;
        Ok(structure.id)
    }
}

/// A device that was created through `/dev/uinput`. It disappears when the descriptor is closed.
struct KernelOutput {
    descriptor: OwnedFd,
    name: String,
    own: Arc<Mutex<HashSet<String>>>,
}

impl OutputDevice for KernelOutput {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for KernelOutput {
    fn drop(&mut self) {
        let mut own = self.own.lock();
        // The name is free again as soon as the device has disappeared. An error leaves it to the
        // closing of the descriptor.
        let _ = with_number(self.descriptor.as_fd(), (b'U', 2), 0, 0); // UI_DEV_DESTROY
        own.remove(&self.name);
    }
}
