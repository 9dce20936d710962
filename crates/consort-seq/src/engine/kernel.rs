//! The kernel's sequencer, through its character device.
#![allow(unsafe_code)] // one ioctl, whose argument type depends on the request

use std::ffi::c_void;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

use super::open::Cause;
use super::{Connection, Errno, OpenError, OpenMode, ProtocolVersion, Request};

/// The usual path of the sequencer's device.
pub const KERNEL_DEVICE: &str = "/dev/snd/seq";

/// A client of the kernel's sequencer.
#[derive(Debug)]
pub struct KernelConnection {
    device: OwnedFd,
    version: ProtocolVersion,
}

impl KernelConnection {
    /// Opens the device in non-blocking mode and negotiates the protocol version: checks the major
    /// version, and announces to kernels that support it (Linux 6.5 and later) that this client
    /// speaks up to [`ProtocolVersion::CURRENT`]. The client stays a legacy client (cells of 28
    /// bytes) until it sets another `midi_version`.
    ///
    /// # Errors
    /// The device is missing, this user may not open it, it has reached its limit of clients, or it
    /// is not a sequencer of protocol 1.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, OpenError> {
        let access = match mode {
            OpenMode::Input => OFlags::RDONLY,
            OpenMode::Output => OFlags::WRONLY,
            OpenMode::Duplex => OFlags::RDWR,
        };
        let failed =
            |errno: Errno| OpenError { cause: Cause::Device { path: path.to_path_buf(), errno } };
        let flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))
            .map_err(|error| failed(error.into()))?;

        let mut packed = 0;
        ioctl(&device, Request::ProtocolVersion(&mut packed)).map_err(failed)?;
        let version = ProtocolVersion::from_raw(packed);
        if version.major() != ProtocolVersion::CURRENT.major() {
            let path = path.to_path_buf();
            return Err(OpenError { cause: Cause::Version { path, found: version } });
        }
        let mut announced = version.min(ProtocolVersion::CURRENT).raw();
        match ioctl(&device, Request::UserProtocolVersion(&mut announced)) {
            Ok(_) | Err(Errno::UNSUPPORTED_REQUEST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        Ok(Self { device, version })
    }
}

impl Connection for KernelConnection {
    fn ioctl(&self, request: Request<'_>) -> Result<i32, Errno> {
        ioctl(&self.device, request)
    }

    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(&self.device, &mut *buffer))?)
    }

    fn write(&self, cells: &[u8]) -> Result<usize, Errno> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(&self.device, cells))?)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn protocol_version(&self) -> ProtocolVersion {
        self.version
    }

    fn engine_name(&self) -> &'static str {
        "kernel"
    }
}

fn ioctl(device: &OwnedFd, mut request: Request<'_>) -> Result<i32, Errno> {
    let call = Call { number: request.number(), argument: request.argument() };
    // SAFETY: the request's number determines the type of its argument, and `Request` pairs the
    // two. The argument is an exclusive reference that is valid as long as `request` exists.
    Ok(unsafe { rustix::ioctl::ioctl(device, call) }?)
}

/// An ioctl: its number, and the argument that this number requires.
struct Call {
    number: Opcode,
    argument: *mut c_void,
}

// SAFETY: `number` and `argument` come from one `Request`, whose argument has the type that the
// kernel reads and writes for that number.
unsafe impl Ioctl for Call {
    type Output = i32;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    // SAFETY: the trait lets this function assume that the pointer is the argument of a successful
    // call. It does not use the pointer; the kernel has written to the argument itself.
    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::OpenErrorKind;

    #[test]
    fn the_error_of_a_missing_device_advises_what_to_do() {
        let path = Path::new("/nonexistent/seq");
        let error = KernelConnection::open(path, OpenMode::Duplex).unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::DeviceMissing);
        let text = error.to_string();
        assert!(text.contains("/nonexistent/seq") && text.contains("modprobe snd-seq"), "{text}");
    }

    #[test]
    fn a_device_that_is_not_a_sequencer_is_rejected() {
        let error = KernelConnection::open(Path::new("/dev/null"), OpenMode::Duplex).unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::Incompatible);
        assert_eq!(error.errno(), Some(Errno::UNSUPPORTED_REQUEST));
    }
}
