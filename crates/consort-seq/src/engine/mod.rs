//! Engines: they carry out a client's requests and deliver its events.
//!
//! Both engines have the interface of the kernel's character device: a [`Connection`] accepts
//! ioctls ([`Request`]), reads and writes cells, and has one descriptor to poll. Clients, ports and
//! queues are implemented on top of it, once for both engines.
//!
//! * [`Engine::Kernel`]: the sequencer of the Linux kernel, through `/dev/snd/seq`.
//! * [`Engine::Embedded`]: a sequencer inside this process with the semantics of Linux 7.0, on
//!   the real or on a virtual clock. It is used only if selected, never as a fallback.

pub mod embedded;
mod errno;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod exercise;
mod kernel;
mod open;
mod request;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

pub use embedded::{ClockKind, Embedded, EmbeddedConnection};
pub use errno::Errno;
pub use kernel::{KERNEL_DEVICE, KernelConnection};
pub use open::{OpenError, OpenErrorKind, OpenMode};
pub use request::Request;

/// A version of the sequencer's protocol, such as 1.0.5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(u32);

impl ProtocolVersion {
    /// The newest version that this library supports: that of Linux 6.15 to 7.2.
    pub const CURRENT: Self = Self::new(1, 0, 5);
    /// The first version with MIDI 2.0: UMP cells and `midi_version` (Linux 6.5).
    pub const UMP: Self = Self::new(1, 0, 3);
    /// The first version with `tempo_base` (Linux 6.11).
    pub const TEMPO_BASE: Self = Self::new(1, 0, 4);

    /// The version `major.minor.subminor`.
    #[must_use]
    pub const fn new(major: u16, minor: u8, subminor: u8) -> Self {
        Self((major as u32) << 16 | (minor as u32) << 8 | subminor as u32)
    }

    /// The version that the kernel's packed number encodes.
    #[must_use]
    pub const fn from_raw(packed: i32) -> Self {
        Self(packed.cast_unsigned())
    }

    /// The kernel's packed number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0.cast_signed()
    }

    /// The first number. Protocols whose major versions differ are incompatible.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.0 >> 16
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0 >> 16, self.0 >> 8 & 0xff, self.0 & 0xff)
    }
}

impl fmt::Debug for ProtocolVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// An open connection to a sequencer: one client.
///
/// All methods may be called from any thread, several at once; input and output do not wait for
/// each other. No method blocks: what cannot be done at once fails with `EAGAIN`. To wait, use
/// `poll`, epoll or an async runtime on [`descriptor`](Self::descriptor). Dropping the connection
/// closes the client.
pub trait Connection: Send + Sync + fmt::Debug {
    /// Carries out an ioctl and returns its result, which is zero for most requests.
    ///
    /// # Errors
    /// The kernel's errno for the request.
    fn ioctl(&self, request: Request<'_>) -> Result<i32, Errno>;

    /// Reads whole events into `buffer`, as many as fit, and returns the bytes read.
    ///
    /// Cells have 28 bytes, or 32 once the client has set a UMP `midi_version`; variable data is
    /// padded to whole cells (see [`Cells`](crate::raw::Cells)). An event that does not fit stays
    /// in the input queue. A buffer smaller than a cell reads 0 bytes.
    ///
    /// # Errors
    /// `EAGAIN`: there is no event, or the buffer is too small for the first one. `ENOSPC`: events
    /// were lost, and the input queue has been cleared; the next read continues with new events.
    /// `EBADF`: the connection is not open for input.
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes events: cells, each followed by its variable data without padding. Returns the
    /// number of bytes accepted, always whole events.
    ///
    /// # Errors
    /// The errno of the first event, if it is not accepted. An error of a later event ends the
    /// write early, and the next write reports it. `EAGAIN`: no room at present. `EBADF`: the
    /// connection is not open for output.
    fn write(&self, cells: &[u8]) -> Result<usize, Errno>;

    /// The descriptor to wait on, the same for both directions: readable (`POLLIN`) while there is
    /// an event to read or a loss to report, writable (`POLLOUT`) while the output pool has at
    /// least `output_room` free cells.
    ///
    /// Use it for waiting only: do not read, write or close it. Level-triggered and edge-triggered
    /// waiting both work.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// The protocol version of the sequencer.
    fn protocol_version(&self) -> ProtocolVersion;

    /// The name of the engine for messages: `kernel` or `embedded`.
    fn engine_name(&self) -> &'static str;
}

/// The sequencer to use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Engine {
    /// The kernel's sequencer.
    Kernel {
        /// The path of its device, usually [`KERNEL_DEVICE`].
        path: PathBuf,
    },
    /// A sequencer inside this process.
    Embedded(Embedded),
}

impl Engine {
    /// The kernel's sequencer at [`KERNEL_DEVICE`].
    #[must_use]
    pub fn kernel() -> Self {
        Self::Kernel { path: PathBuf::from(KERNEL_DEVICE) }
    }

    /// The engine that the environment variable `CONSORT_SEQ` selects: `kernel` (the default if it
    /// is unset or empty) or `embedded`, the sequencer of [`Embedded::process_wide`].
    ///
    /// # Errors
    /// The variable has another value ([`OpenErrorKind::UnknownEngine`]).
    pub fn from_environment() -> Result<Self, OpenError> {
        let value = std::env::var_os("CONSORT_SEQ").unwrap_or_default();
        match value.to_str() {
            Some("" | "kernel") => Ok(Self::kernel()),
            Some("embedded") => Ok(Self::Embedded(Embedded::process_wide())),
            _ => {
                let value = value.to_string_lossy().into_owned();
                Err(OpenError { cause: open::Cause::Selection { value } })
            }
        }
    }

    /// Opens a connection: a new client without a name and without ports.
    ///
    /// # Errors
    /// The device is missing, this user may not open it, or it has another protocol version; see
    /// [`OpenErrorKind`].
    pub fn open(&self, mode: OpenMode) -> Result<Box<dyn Connection>, OpenError> {
        match self {
            Self::Kernel { path } => Ok(Box::new(KernelConnection::open(path, mode)?)),
            Self::Embedded(engine) => Ok(Box::new(engine.open(mode)?)),
        }
    }
}
