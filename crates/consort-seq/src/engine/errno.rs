//! Error numbers of the kernel, with their names and meanings.

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

            /// The C symbol, such as `ENOENT`; `None` for errors that the sequencer does not
            /// report.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($symbol),)*
                    _ => None,
                }
            }

            /// What the error means when the sequencer reports it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => $meaning,)*
                    _ => "unknown error of the sequencer",
                }
            }
        }
    };
}

error_numbers! {
    NOT_PERMITTED = PERM, "EPERM", "not permitted: owned by another client, or the port lacks the capability";
    NOT_FOUND = NOENT, "ENOENT", "no such client, port or subscription";
    INTERRUPTED = INTR, "EINTR", "interrupted by a signal";
    IO = IO, "EIO", "input or output failed";
    NO_SUCH_ADDRESS = NXIO, "ENXIO", "no such client, or the connection was opened without this direction";
    BAD_DESCRIPTOR = BADF, "EBADF", "the connection is not open for this direction";
    WOULD_BLOCK = AGAIN, "EAGAIN", "no event to read, or no room to write one, at present";
    NO_MEMORY = NOMEM, "ENOMEM", "out of memory or of client, port or queue numbers, or the event \
     is larger than the pool";
    ACCESS = ACCESS, "EACCES", "this user has no permission to open the device";
    FAULT = FAULT, "EFAULT", "an argument points outside the memory of the process";
    BUSY = BUSY, "EBUSY", "in use";
    NO_DEVICE = NODEV, "ENODEV", "the device does not exist";
    INVALID = INVAL, "EINVAL", "an argument is invalid, or refers to something that does not exist";
    TOO_MANY_IN_SYSTEM = NFILE, "ENFILE", "the system has too many open files";
    TOO_MANY_OPEN = MFILE, "EMFILE", "this process has too many open files";
    UNSUPPORTED_REQUEST = NOTTY, "ENOTTY", "this sequencer does not support the request";
    OVERRUN = NOSPC, "ENOSPC", "events were lost: the input queue was full, and has been cleared";
    TOO_MANY_HOPS = MLINK, "EMLINK", "the event has passed through too many clients";
    BROKEN_PIPE = PIPE, "EPIPE", "the connection is broken";
    UNSUPPORTED_CALL = NOSYS, "ENOSYS", "this system does not support the call";
    CLOSED = BADFD, "EBADFD", "the connection has been closed";
}

impl Errno {
    /// The error with a positive error number.
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
    fn numbers_equal_those_of_linux() {
        assert_eq!(Errno::NOT_PERMITTED.raw(), 1);
        assert_eq!(Errno::WOULD_BLOCK.raw(), 11);
        assert_eq!(
            Errno::OVERRUN.to_string(),
            "ENOSPC (28): events were lost: the input queue was full, and has been cleared"
        );
        assert_eq!(Errno::from_raw(4095).name(), None);
        assert_eq!(format!("{:?}", Errno::INVALID), "Errno(EINVAL)");
    }
}
