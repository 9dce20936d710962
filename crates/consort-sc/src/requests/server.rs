//! Requests to the server as a whole.

use consort_osc::{OscMessage, OscValue};

use super::{Command, ReplyPattern};
use crate::wire::Writer;

macro_rules! plain {
    ($(#[$doc:meta])* $name:ident, $address:literal, $reply:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl Command for $name {
            fn address(&self) -> &str {
                $address
            }
            fn arguments(&self, _writer: &mut Writer<'_>) {}
            fn reply(&self) -> Option<ReplyPattern> {
                $reply
            }
        }
    };
}

plain!(
    /// `/quit`: end the server.
    Quit, "/quit", Some(ReplyPattern::done("/quit"))
);
plain!(
    /// `/status`: counts, load and sample rates.
    QueryStatus, "/status", Some(ReplyPattern::new("/status.reply", []))
);
plain!(
    /// `/version`: program name and version.
    QueryVersion, "/version", Some(ReplyPattern::new("/version.reply", []))
);
plain!(
    /// `/clearSched`: forget all bundles whose time has not come.
    ClearSchedule, "/clearSched", None
);
plain!(
    /// A message that does nothing (its address is the integer 0), to give a bundle a content.
    DoNothing, "", None
);

impl DoNothing {
    pub(crate) const BYTES: &'static [u8] = b"\0\0\0\0,\0\0\0";
}

/// `/notify`: log in for notifications, or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToggleNotifications {
    /// True to log in.
    pub should_notify: bool,
    /// The client id that is asked for.
    pub client_id: Option<u32>,
}

impl Command for ToggleNotifications {
    fn address(&self) -> &str {
        "/notify"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.should_notify.into());
        if let Some(id) = self.client_id {
            writer.int(id as i32);
        }
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::done("/notify"))
    }
}

/// `/sync`: answered when everything asynchronous that came before is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// A number that the answer repeats.
    pub id: i32,
}

impl Command for Sync {
    fn address(&self) -> &str {
        "/sync"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.id);
    }
    fn reply(&self) -> Option<ReplyPattern> {
        Some(ReplyPattern::new("/synced", [self.id.into()]))
    }
}

/// `/dumpOSC`: print what the server receives; 0 off, 1 parsed, 2 hexadecimal, 3 both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DumpOsc {
    /// The mode.
    pub mode: i32,
}

impl Command for DumpOsc {
    fn address(&self) -> &str {
        "/dumpOSC"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.mode);
    }
}

/// `/error`: print errors (1) or not (0); -1 and -2 do so for the rest of the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetErrorMode {
    /// The mode.
    pub mode: i32,
}

impl Command for SetErrorMode {
    fn address(&self) -> &str {
        "/error"
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
        writer.int(self.mode);
    }
}

/// Any message, also for commands of plugins (`/cmd`, `/u_cmd`).
#[derive(Clone, Debug, PartialEq)]
pub struct Raw(pub OscMessage);

impl Command for Raw {
    fn address(&self) -> &str {
        &self.0.address
    }
    fn arguments(&self, writer: &mut Writer<'_>) {
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
    fn tags(&self) -> usize {
        self.0.arguments.len()
    }
}
