//! Serial lines of the kernel, and the USB adapters behind them.
#![allow(unsafe_code)] // the two requests that begin and end a break

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{NoArg, Opcode};
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl, tcdrain,
    tcflush, tcgetattr, tcsetattr,
};

/// The folder in which the kernel lists serial lines.
const CLASS: &str = "/sys/class/tty";

/// A serial line that is a USB device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AdapterInfo {
    /// Its node, such as `/dev/ttyUSB0`.
    pub(crate) path: PathBuf,
    pub(crate) product: String,
    pub(crate) manufacturer: String,
    /// The serial number of the USB device.
    pub(crate) serial: String,
    pub(crate) vendor_id: u16,
    pub(crate) product_id: u16,
}

impl AdapterInfo {
    /// Manufacturer and product.
    pub(crate) fn name(&self) -> String {
        match self.product.starts_with(&self.manufacturer) {
            true => self.product.clone(),
            false => format!("{} {}", self.manufacturer, self.product),
        }
    }
}

/// All serial lines that are USB devices, in the order of their names. Opens none.
pub(crate) fn adapters() -> Vec<AdapterInfo> {
    let Ok(entries) = fs::read_dir(CLASS) else { return Vec::new() };
    let mut list: Vec<AdapterInfo> = entries
        .flatten()
        .filter_map(|entry| {
            let path = Path::new("/dev").join(entry.file_name());
            let folder = fs::canonicalize(entry.path().join("device")).ok()?;
            // The interface and the port of the line are below the USB device.
            let device = folder.ancestors().find(|folder| folder.join("idVendor").exists())?;
            let text = |file: &str| {
                let text = fs::read_to_string(device.join(file)).unwrap_or_default();
                text.trim().to_owned()
            };
            let id = |file: &str| u16::from_str_radix(&text(file), 16).unwrap_or(0);
            path.exists().then(|| AdapterInfo {
                path,
                product: text("product"),
                manufacturer: text("manufacturer"),
                serial: text("serial"),
                vendor_id: id("idVendor"),
                product_id: id("idProduct"),
            })
        })
        .collect();
    // `ttyUSB10` follows `ttyUSB9`.
    list.sort_by_key(|adapter| {
        let name = adapter.path.as_os_str().len();
        (name, adapter.path.clone())
    });
    list
}

/// How a serial line is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Bits per second.
    pub(crate) speed: u32,
    /// Whether a byte ends with two stop bits instead of one.
    pub(crate) has_two_stop_bits: bool,
    /// Whether reading and writing wait.
    pub(crate) blocks: bool,
}

/// An open serial line with 8 data bits and no parity, without flow control.
#[derive(Debug)]
pub(crate) struct SerialLine {
    descriptor: OwnedFd,
}

impl SerialLine {
    /// Opens a line in raw mode. May block.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn open(path: &Path, setup: &Setup) -> io::Result<Self> {
        // Without NONBLOCK, opening would wait for a carrier.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let descriptor =
            rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
        let mut settings = tcgetattr(&descriptor)?;
        settings.make_raw();
        settings.control_modes.remove(ControlModes::CRTSCTS | ControlModes::PARENB);
        settings
            .control_modes
            .insert(ControlModes::CLOCAL | ControlModes::CREAD | ControlModes::CS8);
        settings.control_modes.set(ControlModes::CSTOPB, setup.has_two_stop_bits);
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        settings.set_speed(setup.speed)?;
        tcsetattr(&descriptor, OptionalActions::Now, &settings)?;
        // No other program, unless it runs as root, opens the line meanwhile.
        ioctl_tiocexcl(&descriptor)?;
        tcflush(&descriptor, QueueSelector::IOFlush)?;
        if setup.blocks {
            let flags = rustix::fs::fcntl_getfl(&descriptor)?;
            rustix::fs::fcntl_setfl(&descriptor, flags - OFlags::NONBLOCK)?;
        }
        Ok(SerialLine { descriptor })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Discards what has not been sent, so that closing does not wait for it.
    pub(crate) fn discard(&self) {
        let _ = tcflush(&self.descriptor, QueueSelector::IOFlush);
    }

    /// Begins or ends a break: `TIOCSBRK`, `TIOCCBRK`.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn set_break(&self, is_on: bool) -> io::Result<()> {
        const BEGIN: Opcode = libc::TIOCSBRK as Opcode;
        const END: Opcode = libc::TIOCCBRK as Opcode;
        // SAFETY: both requests have no argument and no result.
        let result = unsafe {
            match is_on {
                true => rustix::ioctl::ioctl(&self.descriptor, NoArg::<BEGIN>::new()),
                false => rustix::ioctl::ioctl(&self.descriptor, NoArg::<END>::new()),
            }
        };
        Ok(result?)
    }

    /// Waits until everything is sent.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(crate) fn drain(&self) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| tcdrain(&self.descriptor))?)
    }
}
