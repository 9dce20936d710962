//! Opening a connection, and why it can fail.

use std::fmt;
use std::path::PathBuf;

use super::{Errno, ProtocolVersion};

/// Which directions a connection has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// Events are received only.
    Input,
    /// Events are sent only.
    Output,
    /// Both.
    #[default]
    Duplex,
}

impl OpenMode {
    /// Whether events can be received.
    #[must_use]
    pub const fn has_input(self) -> bool {
        matches!(self, Self::Input | Self::Duplex)
    }

    /// Whether events can be sent.
    #[must_use]
    pub const fn has_output(self) -> bool {
        matches!(self, Self::Output | Self::Duplex)
    }
}

/// What kept a sequencer from being opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// There is no device file, or no driver behind it.
    DeviceMissing,
    /// The user may not open the device.
    PermissionDenied,
    /// The sequencer has no client number left, or the system no files or memory.
    Exhausted,
    /// What was opened is not a sequencer, or speaks a protocol with another major version.
    Incompatible,
    /// `CONSORT_SEQ` names no engine.
    UnknownEngine,
    /// Something else; see the errno.
    Other,
}

/// A sequencer could not be opened.
#[derive(Debug)]
pub struct OpenError {
    pub(super) cause: Cause,
}

#[derive(Debug)]
pub(super) enum Cause {
    Device { path: PathBuf, errno: Errno },
    Version { path: PathBuf, found: ProtocolVersion },
    Embedded { errno: Errno },
    Selection { value: String },
}

impl OpenError {
    /// What kind of failure it is.
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
            Errno::NOT_A_SEQUENCER | Errno::INVALID => OpenErrorKind::Incompatible,
            _ => OpenErrorKind::Other,
        }
    }

    /// The system's error number, where there is one.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match &self.cause {
            Cause::Device { errno, .. } | Cause::Embedded { errno } => Some(*errno),
            Cause::Version { .. } | Cause::Selection { .. } => None,
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.kind() {
            OpenErrorKind::DeviceMissing => {
                "load the kernel module with `modprobe snd-seq`; in a container, pass the device \
                 in (such as `--device /dev/snd`); to run without a sound system, choose the \
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
                "check that the path is the sequencer's device, /dev/snd/seq"
            }
            OpenErrorKind::UnknownEngine => {
                "set CONSORT_SEQ to `kernel` or `embedded`, or unset it"
            }
            OpenErrorKind::Other => "see the system's log (`dmesg`)",
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
                    OpenErrorKind::Exhausted => write!(formatter, "no room for another client")?,
                    OpenErrorKind::Incompatible => write!(formatter, "it is not a sequencer")?,
                    _ => return write!(formatter, "{errno}; {}", self.advice()),
                }
                write!(formatter, " ({})", errno.name().unwrap_or("unknown error"))?;
            }
            Cause::Version { path, found } => write!(
                formatter,
                "cannot use the sequencer {}: it speaks protocol {found}, this library {}",
                path.display(),
                ProtocolVersion::CURRENT
            )?,
            Cause::Embedded { errno } => {
                write!(formatter, "cannot open the embedded sequencer: {errno}")?;
            }
            Cause::Selection { value } => {
                write!(formatter, "CONSORT_SEQ names no sequencer engine: `{value}`")?;
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
