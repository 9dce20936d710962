//! Requests about the server as a whole.

use consort_osc::{OscMessage, OscValue};

use super::{Command, ReplyPattern};
use crate::wire::Writer;

/// Defines a request without arguments.
macro_rules! without_arguments {
    ($(#[$doc:meta])* $name:ident, $address:literal, $reply:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Command for $name {
            fn address(&self) -> &str {
                $address
            }
            fn write_arguments(&self, _writer: &mut Writer<'_>) {}
            fn reply(&self) -> Option<ReplyPattern> {
                $reply
            }
        }
    };
}

without_arguments!(
    /// `/quit`: ends the server.
    Quit, "/quit", Some(ReplyPattern::done("/quit"))
);
without_arguments!(
    /// `/status`: asks for counts, load and sample rates. Answered by `/status.reply`.
    QueryStatus, "/status", Some(ReplyPattern::new("/status.reply", []))
);
without_arguments!(
    /// `/version`: asks for the program's name and version. Answered by `/version.reply`.
    QueryVersion, "/version", Some(ReplyPattern::new("/version.reply", []))
);
without_arguments!(
    /// `/clearSched`: discards all bundles that are scheduled for later.
    ClearSchedule, "/clearSched", None
);
without_arguments!(
    /// A message without effect, for bundles that would otherwise be empty. Its address is the
    /// integer 0, which the server accepts in place of a string.
    DoNothing, "", None
);

impl DoNothing {
    /// The whole message.
    pub(crate) const BYTES: &'static [u8] = b"\0\0\0\0,\0\0\0";
}

/// `/notify`: logs this client in for notifications, or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToggleNotifications {
    /// True to log in, false to log out.
    pub should_notify: bool,
    /// The client id to request; `None` to let the server choose.
    pub client_id: Option<u32>,
}

impl Command for ToggleNotifications {
    confirmed!("/notify");

    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.should_notify.into());
        if let Some(id) = self.client_id {
            writer.int(id as i32);
        }
    }
}

/// `/sync`: answered by `/synced` when all earlier asynchronous requests are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// A number that the reply repeats.
    pub id: i32,
}

impl Command for Sync {
    fn address(&self) -> &str {
        "/sync"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/synced", [self.id.into()]))
    }
}

/// `/dumpOSC`: makes the server print the messages that it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpOsc {
    /// 0: off, 1: parsed, 2: hexadecimal, 3: both.
    pub mode: i32,
}

impl Command for DumpOsc {
    fn address(&self) -> &str {
        "/dumpOSC"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.mode);
    }
}

/// `/error`: sets whether the server prints errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetErrorMode {
    /// 1: on, 0: off; -2 and -1 do the same until the end of the bundle.
    pub mode: i32,
}

impl Command for SetErrorMode {
    fn address(&self) -> &str {
        "/error"
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.mode);
    }
}

/// An arbitrary message, such as a command of a plugin (`/cmd`, `/u_cmd`).
#[derive(Clone, Debug, PartialEq)]
pub struct Raw(pub OscMessage);

impl Command for Raw {
    fn address(&self) -> &str {
        &self.0.address
    }
    fn write_arguments(&self, writer: &mut Writer<'_>) {
        fn write(writer: &mut Writer<'_>, value: &OscValue) {
            match (value, value.as_argument()) {
                (_, Some(argument)) => {
                    writer.argument(argument);
                }
                (OscValue::Array(items), None) => {
                    writer.open_array();
                    items.iter().for_each(|item| write(writer, item));
                    writer.close_array();
                }
                (_, None) => {}
            }
        }
        self.0.arguments.iter().for_each(|value| write(writer, value));
    }
    fn tag_count(&self) -> usize {
        self.0.arguments.len()
    }
}
