//! Modes of opening a connection, and the errors of opening.

use std::fmt;
use std::path::PathBuf;

use super::{Errno, ProtocolVersion};

/// The directions of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// The connection only receives events.
    Input,
    /// The connection only sends events.
    Output,
    /// The connection receives and sends events.
    #[default]
    Duplex,
}

impl OpenMode {
    /// Whether the connection receives events.
    #[must_use]
    pub const fn has_input(self) -> bool {
        matches!(self, Self::Input | Self::Duplex)
    }

    /// Whether the connection sends events.
    #[must_use]
    pub const fn has_output(self) -> bool {
        matches!(self, Self::Output | Self::Duplex)
    }
}

/// The kind of an [`OpenError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The device file does not exist, or has no driver.
    DeviceMissing,
    /// This user may not open the device.
    PermissionDenied,
    /// The sequencer has no client number left, or the system has no files or memory left.
    Exhausted,
    /// The device is not a sequencer, or its protocol has another major version.
    Incompatible,
    /// `CONSORT_SEQ` is not the name of an engine.
    UnknownEngine,
    /// Another error; see the errno.
    Other,
}

/// The error of opening a sequencer.
#[derive(Debug)]
pub struct OpenError {
    pub(super) cause: Cause,
}

/// What was opened, and why it failed.
#[derive(Debug)]
pub(super) enum Cause {
    Device { path: PathBuf, errno: Errno },
    Version { path: PathBuf, found: ProtocolVersion },
    Embedded { errno: Errno },
    Selection { value: String },
}

impl OpenError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> OpenErrorKind {
        let errno = match &self.cause {
            Cause::Version { .. } => return OpenErrorKind::Incompatible,
            Cause::Selection { .. } => return OpenErrorKind::UnknownEngine,
            Cause::Device { errno, .. } | Cause::Embedded { errno } => *errno,
        };
        match errno {
            Errno::NOT_FOUND | Errno::NO_DEVICE | Errno::NO_SUCH_ADDRESS => {
                OpenErrorKind::DeviceMissing
            }
            Errno::ACCESS | Errno::NOT_PERMITTED => OpenErrorKind::PermissionDenied,
            Errno::NO_MEMORY
            | Errno::BUSY
            | Errno::TOO_MANY_OPEN
            | Errno::TOO_MANY_IN_SYSTEM
            | Errno::WOULD_BLOCK => OpenErrorKind::Exhausted,
            Errno::UNSUPPORTED_REQUEST | Errno::INVALID => OpenErrorKind::Incompatible,
            _ => OpenErrorKind::Other,
        }
    }

    /// The system's error number, if the system reported one.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match &self.cause {
            Cause::Device { errno, .. } | Cause::Embedded { errno } => Some(*errno),
            Cause::Version { .. } | Cause::Selection { .. } => None,
        }
    }

    /// What the user can do about the error.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.kind() {
            OpenErrorKind::DeviceMissing => {
                "load the kernel module with `modprobe snd-seq`; in a container, pass the device \
                 through (such as `--device /dev/snd`); to run without a sound system, select the \
                 embedded engine with CONSORT_SEQ=embedded"
            }
            OpenErrorKind::PermissionDenied => {
                "add the user to the group that owns the device, usually `audio` \
                 (`usermod -aG audio USER`, then log in again)"
            }
            OpenErrorKind::Exhausted => {
                "close other sequencer clients; `/proc/asound/seq/clients` lists them"
            }
            OpenErrorKind::Incompatible => {
                "check that the path is that of the sequencer's device, /dev/snd/seq"
            }
            OpenErrorKind::UnknownEngine => {
                "set CONSORT_SEQ to `kernel` or `embedded`, or unset it"
            }
            OpenErrorKind::Other => "see the system log (`dmesg`)",
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Device { path, errno } => {
                write!(formatter, "cannot open the sequencer {}: ", path.display())?;
                match self.kind() {
                    OpenErrorKind::DeviceMissing => write!(formatter, "the device is missing")?,
                    OpenErrorKind::PermissionDenied => write!(formatter, "permission denied")?,
                    OpenErrorKind::Exhausted => {
                        write!(formatter, "the limit of clients is reached")?;
                    }
                    OpenErrorKind::Incompatible => write!(formatter, "it is not a sequencer")?,
                    _ => return write!(formatter, "{errno}; {}", self.advice()),
                }
                write!(formatter, " ({})", errno.name().unwrap_or("unknown error"))?;
            }
            Cause::Version { path, found } => write!(
                formatter,
                "cannot use the sequencer {}: its protocol version is {found}, this library \
                 supports {}",
                path.display(),
                ProtocolVersion::CURRENT
            )?,
            Cause::Embedded { errno } => {
                write!(formatter, "cannot open the embedded sequencer: {errno}")?;
            }
            Cause::Selection { value } => {
                write!(formatter, "unknown sequencer engine `{value}` in CONSORT_SEQ")?;
            }
        }
        write!(formatter, "; {}", self.advice())
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Device { errno, .. } | Cause::Embedded { errno } => Some(errno),
            Cause::Version { .. } | Cause::Selection { .. } => None,
        }
    }
}
