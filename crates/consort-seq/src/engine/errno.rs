//! Error numbers of the kernel, with name and meaning.

use std::fmt;

/// An error number, positive, as the kernel's sequencer (or the embedded one) reports it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

macro_rules! error_numbers {
    ($($name:ident = $source:ident, $symbol:literal, $meaning:literal;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", $symbol, "`: ", $meaning, ".")]
                pub const $name: Self = Self(rustix::io::Errno::$source.raw_os_error());
            )*

            /// The C symbol, such as `ENOENT`, of an error the sequencer is known to report.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($symbol),)*
                    _ => None,
                }
            }

            /// What the sequencer means by it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    _ => "not an error the sequencer is known to report",
                }
            }
        }
    };
}

error_numbers! {
    NOT_PERMITTED = PERM, "EPERM", "not permitted: it belongs to another client, or the port lacks the capability";
    NOT_FOUND = NOENT, "ENOENT", "there is no such client, port or subscription";
    INTERRUPTED = INTR, "EINTR", "interrupted by a signal";
    IO = IO, "EIO", "input or output failed";
    NO_SUCH_ADDRESS = NXIO, "ENXIO", "there is no such client, or the connection was opened without this direction";
    BAD_DESCRIPTOR = BADF, "EBADF", "the connection is not open for this";
    WOULD_BLOCK = AGAIN, "EAGAIN", "there is no event to read, or no room to write one, at present";
    NO_MEMORY = NOMEM, "ENOMEM", "no number or memory is left, or the event is larger than the pool";
    ACCESS = ACCESS, "EACCES", "this user may not open the device";
    FAULT = FAULT, "EFAULT", "an argument points outside the process";
    BUSY = BUSY, "EBUSY", "it is in use";
    NO_DEVICE = NODEV, "ENODEV", "the device is not there";
    INVALID = INVAL, "EINVAL", "an argument is not valid, or what it names does not exist";
    TOO_MANY_IN_SYSTEM = NFILE, "ENFILE", "the system has too many open files";
    TOO_MANY_OPEN = MFILE, "EMFILE", "this process has too many open files";
    NOT_A_SEQUENCER = NOTTY, "ENOTTY", "this sequencer does not know the request";
    OVERRUN = NOSPC, "ENOSPC", "events were lost: the input was full, and has been cleared";
    TOO_MANY_HOPS = MLINK, "EMLINK", "the event has passed through too many clients";
    FILE_BROKEN = PIPE, "EPIPE", "the connection is broken";
    UNKNOWN_REQUEST = NOSYS, "ENOSYS", "this system does not know the call";
    NO_LONGER_KNOWN = BADFD, "EBADFD", "the connection has been closed";
}

impl Errno {
    /// From a positive error number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The positive number.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        Self(error.raw_os_error())
    }
}

impl From<Errno> for std::io::Error {
    fn from(error: Errno) -> Self {
        Self::from_raw_os_error(error.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({}): {}", self.0, self.meaning()),
            None => write!(formatter, "error {}: {}", self.0, std::io::Error::from(*self)),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "Errno({name})"),
            None => write!(formatter, "Errno({})", self.0),
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_linux() {
        assert_eq!(Errno::NOT_PERMITTED.raw(), 1);
        assert_eq!(Errno::WOULD_BLOCK.raw(), 11);
        assert_eq!(
            Errno::OVERRUN.to_string(),
            "ENOSPC (28): events were lost: the input was full, and has been cleared"
        );
        assert_eq!(Errno::from_raw(4095).name(), None);
        assert_eq!(format!("{:?}", Errno::INVALID), "Errno(EINVAL)");
    }
}
