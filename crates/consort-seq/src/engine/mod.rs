//! Engines: what carries a client's requests and events.
//!
//! Both engines speak the kernel's own language at the level of its character device: a
//! [`Connection`] takes ioctls ([`Request`]), reads and writes of cells, and has one descriptor
//! to poll. Clients, ports and queues are built on that once, for both.
//!
//! * [`Engine::Kernel`]: the sequencer of the Linux kernel, through `/dev/snd/seq`.
//! * [`Engine::Embedded`]: a sequencer inside this process with the semantics of Linux 7.0, on
//!   the real or on a virtual clock. It is chosen, never fallen back to.

pub mod embedded;
mod errno;
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
    /// The newest version this library knows: that of Linux 6.15 to 7.2.
    pub const CURRENT: Self = Self::new(1, 0, 5);
    /// The first with MIDI 2.0: UMP cells and `midi_version` (Linux 6.5).
    pub const UMP: Self = Self::new(1, 0, 3);
    /// The first with `tempo_base` (Linux 6.11).
    pub const TEMPO_BASE: Self = Self::new(1, 0, 4);

    /// The version `major.minor.subminor`.
    #[must_use]
    pub const fn new(major: u16, minor: u8, subminor: u8) -> Self {
        Self((major as u32) << 16 | (minor as u32) << 8 | subminor as u32)
    }

    /// From the kernel's packed number.
    #[must_use]
    pub const fn from_raw(packed: i32) -> Self {
        Self(packed.cast_unsigned())
    }

    /// The kernel's packed number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0.cast_signed()
    }

    /// The first number: protocols with different ones cannot talk to each other.
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
/// each other. None of them blocks: what cannot be done now is `EAGAIN`, and waiting is `poll`,
/// epoll or an async runtime on [`descriptor`](Self::descriptor). Dropping the connection ends
/// the client.
pub trait Connection: Send + Sync + fmt::Debug {
    /// Carries out an ioctl and returns its (mostly zero) result.
    ///
    /// # Errors
    /// The kernel's errno for the request.
    fn ioctl(&self, request: Request<'_>) -> Result<i32, Errno>;

    /// Reads whole events into `buffer`, as many as fit, and returns the bytes read.
    ///
    /// Cells have 28 bytes, or 32 once the client has set a UMP `midi_version`; variable data is
    /// padded to whole cells (see [`Cells`](crate::raw::Cells)). An event that does not fit stays
    /// where it is.
    ///
    /// # Errors
    /// `EAGAIN`: no event. `ENOSPC`: events were lost, and the input has been cleared; the next
    /// read goes on. `EBADF`: not open for input. A buffer that is too small for the first event
    /// is `EAGAIN` too, and one that is smaller than a cell reads 0 bytes.
    fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes events: cells, each followed by its variable data without padding. Returns the
    /// bytes taken, always whole events.
    ///
    /// # Errors
    /// The errno of the first event, where not even one could be taken; an error further on ends
    /// the write early and is reported by the next. `EAGAIN`: no room at present. `EBADF`: not
    /// open for output.
    fn write(&self, cells: &[u8]) -> Result<usize, Errno>;

    /// The descriptor to wait on, the same for both directions: readable (`POLLIN`) while an
    /// event waits or a loss is to be reported, writable (`POLLOUT`) while the output pool has at
    /// least `output_room` free cells.
    ///
    /// It serves for waiting only: do not read, write or close it. Level- and edge-triggered
    /// waiting both work.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// The protocol version of the sequencer.
    fn protocol_version(&self) -> ProtocolVersion;

    /// Which engine this is, for messages: `kernel` or `embedded`.
    fn engine_name(&self) -> &'static str;
}

/// Which sequencer to talk to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Engine {
    /// The kernel's.
    Kernel {
        /// Its device, usually [`KERNEL_DEVICE`].
        path: PathBuf,
    },
    /// One inside this process.
    Embedded(Embedded),
}

impl Engine {
    /// The kernel's sequencer at [`KERNEL_DEVICE`].
    #[must_use]
    pub fn kernel() -> Self {
        Self::Kernel { path: PathBuf::from(KERNEL_DEVICE) }
    }

    /// The engine that the environment variable `CONSORT_SEQ` names: `kernel` (also if it is
    /// unset or empty) or `embedded`, the one of [`Embedded::process_wide`].
    ///
    /// # Errors
    /// The variable names something else ([`OpenErrorKind::UnknownEngine`]).
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
    /// The device is missing, may not be opened, or speaks another protocol; see
    /// [`OpenErrorKind`].
    pub fn open(&self, mode: OpenMode) -> Result<Box<dyn Connection>, OpenError> {
        match self {
            Self::Kernel { path } => Ok(Box::new(KernelConnection::open(path, mode)?)),
            Self::Embedded(engine) => Ok(Box::new(engine.open(mode)?)),
        }
    }
}
