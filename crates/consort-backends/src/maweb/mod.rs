//! The web remotes of grandMA2 and dot2 consoles.
//!
//! | module | content |
//! |---|---|
//! | `keys` | the keys of a console |
//! | `channels` | the channels, as configurations write them |
//! | `config` | options |
//! | `session` | login, inquiries and values: messages in and out; no I/O |
//! | `socket` | a WebSocket in the router's loop |
//! | `instance` | the plan of an instance, and the router's interface |

mod channels;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod keys;
mod session;
mod socket;
#[cfg(test)]
mod tests;

use std::time::Duration;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionKind, OptionSpec,
    Options, Plan, Problems,
};

use crate::detect::DETECT;
use config::Config;
use instance::{MawebDriver, MawebPlan, Settings};

/// The backend's entry in the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "maweb",
    summary: "Executors and keys of grandMA2 and dot2 consoles, through their web remotes",
    documentation: "\
An instance is the web remote of a console, or of onPC. On a grandMA2, set *Setup*, *Console*, *Global \
settings*, *Remotes* to *Login enabled*, and create a user for it. On a dot2, switch the web remote on in \
*Setup*, *Global settings*, and set its password; its user is always `remote`. A grandMA3 has no such \
web remote: use `osc`.

**Executors** are `pageP.CONTROLE` with a page and a number from 1.

- grandMA2: faders 1 to 90 with the buttons `upper` and `lower` above and `button` (or `flash`) below, and \
button executors 101 to 190, which have a `button` and a virtual `fader`.
- dot2: faders 1 to 21 with the buttons `upper` and `lower` below, button executors 101 to 122 and 201 to \
222 above them, and 301 to 316, 401 to 416, …, 801 to 816 on the wings.

**Output.** A fader gets the newest value; several values of one turn are one message. A button or key is \
pressed above 0.9 and released otherwise. A value that equals the last one is not sent again. Faders that \
were set while there was no login are sent after it; buttons and keys are not, and are counted as dropped. \
What is still pressed is released at the end of the show, with a panic, and when its mapping is removed.

**Input.** The console is asked again and again for the executors that are sources: `fader` is its \
position, `button` is 1 while the executor runs. A value is emitted when it has changed, and once after \
each login. What the console reports right after a fader was set is ignored, and so is the set value itself. \
An inquiry that is not answered within a second is repeated.

**Keys** are written by their names, such as `CLEAR`. With `cmdline = remote`, they go to a command line of \
the web remote's own, which the console does not display. With `console`, they are the console's own keys \
(grandMA2 only), which include more. With `downgrade`, they are the console's own keys where these exist.

| command line | keys |
|---|---|
| all | `PREV` `SET` `NEXT` `TIME` `EDIT` `UPDATE` `OOPS` `ESC` `CLEAR` `0` to `9` `PUNKT` `ENTER` `PLUS` \
`MINUS` `THRU` `IF` `AT` `FULL` `MA` `HIGH` `SOLO` `SELECT` `OFF` `ON` `ASSIGN` `COPY` `DELETE` `STORE` `GOTO` \
`PAGE` `MACRO` `PRESET` `SEQU` `CUE` `EXEC` `FIXTURE` `GROUP` `GO_MINUS` `PAUSE` `GO_PLUS` |
| `remote`, `downgrade` | `LABEL` `FIXTURE_CHANNEL` `FIXTURE_GROUP_PRESET` `EXEC_CUE` `STORE_UPDATE` \
`PROG_ONLY` `SPECIAL_DIALOGUE` `ODD` `EVEN` `WINGS` `RESET` |
| `console`, `downgrade` | `CHPGPLUS` `CHPGMINUS` `FDPGPLUS` `FDPGMINUS` `BTPGPLUS` `BTPGMINUS` `X1` to `X20` \
`V1` to `V10` `NIPPLE` `TOOLS` `SETUP` `BACKUP` `BLIND` `FREEZE` `PREVIEW` `FIX` `TEMP` `TOP` `VIEW` `EFFECT` \
`CHANNEL` `MOVE` `BLACKOUT` `PLEASE` `LIST` `USER1` `USER2` `ALIGN` `HELP` `UP` `DOWN` `FASTREVERSE` `LEARN` \
`FASTFORWARD` `GO_MINUS_SMALL` `PAUSE_SMALL` `GO_PLUS_SMALL` |

In the web remote, `PREV`, `NEXT` and `MA` act when they are released, `SET` when it is pressed. On a dot2, \
all keys go to the web remote, so that `console` has none.

**The console is a state.** While no host can be reached, or the login is refused, the instance waits and \
tries again with longer and longer delays up to 8 s. Several hosts are tried in turn. A console that is \
asked and silent for 15 s counts as lost.

**Unmatched input** is an executor that has changed and has no mapping, as far as the console is asked for \
it: in blocks of five. With `detect`, and in `consort learn`, all executors of the pages in use are asked for.

**Security.** The connection is not encrypted, and the web remote takes the MD5 sum of the password, which \
anyone who reads it can use. Use a network of its own.

**What has been tried.** No real console was available. The tests use a console that is written from the \
messages that public clients send and expect, and was checked with the client `pymadot2`. The answers of \
real consoles have more members, which are ignored. Not tried: firmware versions, the dot2's wings, \
several pages at once on a real console.",
    options: &[
        OptionSpec {
            name: "interval",
            kind: OptionKind::Integer(0, 3_600_000),
            default: Some("0"),
            live: true,
            example: "100",
            documentation: "The milliseconds between inquiries. With 0, the console is asked again \
as soon as it has answered, up to a hundred times per second.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "quiet",
            kind: OptionKind::Integer(0, 9),
            default: Some("0"),
            live: true,
            example: "1",
            documentation: "From 1 on, unanswered inquiries and invalid messages are counted \
without a warning.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            documentation: "Ask for all executors, and log each value that has changed.",
            ..DETECT
        },
    ],
    instance_options: &[
        OptionSpec {
            name: "host",
            kind: OptionKind::Checked(config::check_host),
            required: true,
            repeatable: true,
            example: "127.0.0.1 18080",
            documentation: "The console: `HOST` or `HOST PORT`; the port is 80. May be given several \
times: the next one is tried when a connection fails.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "user",
            default: Some("remote"),
            example: "midimonster",
            documentation: "The user that logs in. A dot2 has only the user `remote`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "password",
            default: Some("midimonster"),
            example: "secret",
            documentation: "The password.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "cmdline",
            kind: OptionKind::Choice(&["remote", "console", "downgrade"]),
            default: Some("remote"),
            example: "console",
            documentation: "Where keys are handled: in a command line of the web remote's own, in \
the console's, or in the console's where possible.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[],
    channels: &[
        ChannelSyntax {
            syntax: "pageP.faderE",
            example: "page1.fader1",
            documentation: "The fader of executor E on page P. Target and source.",
        },
        ChannelSyntax {
            syntax: "pageP.buttonE, pageP.flashE",
            example: "page1.button101",
            documentation: "The button of an executor. As a source, it is 1 while the executor runs. \
Target and source.",
        },
        ChannelSyntax {
            syntax: "pageP.upperE, pageP.lowerE",
            example: "page1.upper1",
            documentation: "The further buttons of a fader executor. Target.",
        },
        ChannelSyntax {
            syntax: "KEY",
            example: "CLEAR",
            documentation: "A key by its name; see above. Target.",
        },
    ],
    example: "\
[maweb ma]
host = 127.0.0.1 18080

[map]
ma.page1.fader1 > ma.page1.fader2
",
    create: || Box::<Maweb>::default(),
};

/// The backend while it is configured.
#[derive(Default)]
struct Maweb {
    settings: Settings,
}

impl Backend for Maweb {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.settings = Settings {
            detect: options.flag("detect"),
            is_quiet: options.integer("quiet").unwrap_or(0) > 0,
            interval: Duration::from_millis(options.integer("interval").unwrap_or(0) as u64),
        };
    }

    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        Some(Box::new(MawebPlan::new(Config::read(&instance, problems)?)))
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        Box::new(MawebDriver::new(self.settings))
    }
}
