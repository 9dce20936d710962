//! Control surfaces: faders and buttons on telephones and tablets, in a web browser.
//!
//! | module | content |
//! |---|---|
//! | `channels` | the channels, as configurations write them |
//! | `config` | options |
//! | `layout` | pages of widgets from channels and options |
//! | `instance` | the plan of an instance, and the router's interface |
//!
//! `consort_web` serves the pages and shares the values between phones and the router.

mod channels;
mod config;
mod instance;
mod layout;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Driver, InstanceConfig, OptionFamily, OptionKind,
    OptionSpec, Plan, Problems,
};
use consort_web::{SurfaceLink, Surfaces};

use crate::net::ALLOW;
use config::Config;
use instance::{WebDriver, WebPlan};

/// What all families have in common.
const FAMILY: OptionFamily = OptionFamily {
    prefix: "",
    live: true,
    example: "",
    documentation: "A property of a widget, see above.",
};

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "web",
    summary: "Control surfaces: faders, buttons and texts on phones and tablets",
    documentation: "\
An instance is a page for phones, tablets and computers with a web browser. The channels that mappings \
use appear on it as widgets: a mapped channel `fader.volume` is a fader. There is no editor and no app.

**Where it is.** With `bind`, the instance opens a port of its own. Without it, the surface joins the \
page of `consort run --web`, at `/surface/INSTANCE`; without a page it waits. In a terminal, the command \
prints the address with a QR code: scan it with the phone. Up to 64 phones can use a surface. All show the \
same state; what one changes, the others show.

**What unlocks it.** The address contains a token that unlocks the surfaces of this computer and nothing \
else: neither the page, nor its log, nor the configuration. It is in `surface-token` in the state folder \
(usually `~/.local/state/consort`) and stays the same until you delete the file. A session for `control` of \
the page can use the surfaces, too. Without a certificate, everyone in the same network can read what is \
transferred, the token included.

**Touching.** Each finger moves a widget of its own. A fader or knob moves by as much as the finger does, \
so that a touch alone changes nothing; `xy` jumps to the finger. A button is 1 while it is touched. If \
several phones touch it, it is 1 until the last one releases it. When a phone sleeps, leaves the page or \
loses the network, its buttons are released: at once, or after 5 seconds without an answer. When it comes \
back, it shows the state of now.

**What is shown.** A target shows its value, so that a widget which is source and target follows a \
motor fader or another surface. A widget that is only a target cannot be touched. `text` shows texts, such as \
those of scripts, and numbers with three decimals. A phone gets up to 40 messages a second, each with the \
newest values; a slow one skips values.

**Properties of widgets** are options `WIDGET.PROPERTY = VALUE`, such as `fader.volume.label = Main`:

| property | value |
|---|---|
| `label` | what is written on it; by default its name |
| `colour` | `red`, `orange`, `yellow`, `green`, `cyan`, `blue`, `purple`, `pink`, `grey`, or `#rrggbb` |
| `page` | the page on which it is; by default the first one |
| `order` | a number from 0 to 9999: widgets with lower numbers come first, those without one last, in the \
order of the mappings |
| `width`, `height` | 1 to 12 columns and rows |

Names consist of letters, digits, `_` and `-`.",
    options: &[],
    instance_options: &[
        OptionSpec {
            name: "bind",
            kind: OptionKind::Checked(config::check_bind),
            example: "0.0.0.0 8089",
            documentation: "Address and port to listen on. A port alone listens on every \
interface. Without this option, the surface joins the page.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            documentation: "Networks (`10.0.0.0/8`) and hosts (`192.168.1.20`) whose browsers may \
connect to `bind`, separated by spaces; `local` is this computer. By default, everyone is allowed.",
            ..ALLOW
        },
        OptionSpec {
            name: "certificate",
            kind: OptionKind::Path,
            example: "stage.crt",
            documentation: "A file with the certificate chain (PEM), to serve `bind` by HTTPS; \
needs `key`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "key",
            kind: OptionKind::Path,
            example: "stage.key",
            documentation: "A file with the private key (PEM) of `certificate`.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "title",
            live: true,
            example: "Band",
            documentation: "The heading of the surface; by default the name of the instance.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "columns",
            kind: OptionKind::Integer(1, 12),
            default: Some("4"),
            live: true,
            example: "3",
            documentation: "The number of columns on an upright phone. Wider screens show twice as \
many.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "pages",
            kind: OptionKind::Checked(config::check_pages),
            live: true,
            example: "Band, Light",
            documentation: "The pages in their order, separated by commas. Pages that only widgets \
name follow.",
            ..OptionSpec::EMPTY
        },
    ],
    instance_families: &[
        OptionFamily { prefix: "fader.", example: "fader.volume.label = Main", ..FAMILY },
        OptionFamily { prefix: "knob.", example: "knob.cutoff.colour = orange", ..FAMILY },
        OptionFamily { prefix: "button.", example: "button.go.order = 1", ..FAMILY },
        OptionFamily { prefix: "toggle.", example: "toggle.loop.page = Band", ..FAMILY },
        OptionFamily { prefix: "xy.", example: "xy.pad.width = 4", ..FAMILY },
        OptionFamily { prefix: "meter.", example: "meter.level.height = 2", ..FAMILY },
        OptionFamily { prefix: "text.", example: "text.cue.width = 2", ..FAMILY },
    ],
    channels: &[
        ChannelSyntax {
            syntax: "fader.NAME, knob.NAME",
            example: "fader.volume",
            documentation: "A level from 0 to 1. Source and target.",
        },
        ChannelSyntax {
            syntax: "button.NAME",
            example: "button.go",
            documentation: "1 while it is touched, else 0. As a target, its light. Source and \
target.",
        },
        ChannelSyntax {
            syntax: "toggle.NAME",
            example: "toggle.loop",
            documentation: "1 or 0, changed by each touch; a value from 0.5 on counts as 1. Source \
and target.",
        },
        ChannelSyntax {
            syntax: "xy.NAME.x, xy.NAME.y",
            example: "xy.pad.x",
            documentation: "The place of a finger on a square, from the lower left corner. Source \
and target.",
        },
        ChannelSyntax {
            syntax: "meter.NAME",
            example: "meter.level",
            documentation: "A level that is shown. Target.",
        },
        ChannelSyntax {
            syntax: "text.NAME",
            example: "text.cue",
            documentation: "A text or a number that is shown. Target.",
        },
    ],
    example: "\
[web band]
fader.volume.label = Main

[map]
band.fader.volume > band.meter.level
",
    create: || Box::new(Web::new(Surfaces::default(), log_link)),
};

/// Called on the router's thread with the name of an instance when its surface is served.
pub type Invite = fn(&str, &SurfaceLink);

/// A backend whose surfaces join a page that serves `surfaces`, and are announced by `invite`.
pub fn backend(surfaces: Surfaces, invite: Invite) -> Box<dyn Backend> {
    Box::new(Web::new(surfaces, invite))
}

/// Logs where a surface is.
fn log_link(instance: &str, link: &SurfaceLink) {
    tracing::info!(instance, "the surface is at {}", link.public(link.address));
}

/// The backend while it is configured.
struct Web {
    surfaces: Surfaces,
    invite: Invite,
    /// The folder with the token; that of the user if there is none.
    state: Option<PathBuf>,
    /// Instances with `bind`, for comparison: name, address, position of the option.
    bound: Vec<(String, SocketAddr, Option<usize>)>,
}

impl Web {
    fn new(surfaces: Surfaces, invite: Invite) -> Self {
        Web { surfaces, invite, state: None, bound: Vec::new() }
    }
}

impl Backend for Web {
    fn instance(
        &mut self,
        instance: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Plan>> {
        let config = Config::read(&instance, problems)?;
        if let Some(address) = config.bind {
            let position = instance.options.position("bind");
            self.bound.push((instance.name, address, position));
        }
        Some(Box::new(WebPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, (name, address, position)) in self.bound.iter().enumerate() {
            let same = |other: &SocketAddr| {
                let is_everywhere = |address: &SocketAddr| address.ip().is_unspecified();
                other.port() == address.port()
                    && address.port() != 0
                    && (other.ip() == address.ip()
                        || is_everywhere(other)
                        || is_everywhere(address))
            };
            let Some((other, ..)) = self.bound[..index].iter().find(|(_, other, _)| same(other))
            else {
                continue;
            };
            let mut problems = Problems::new();
            problems
                .error(
                    *position,
                    format!("port {} is already bound by instance `{other}`", address.port()),
                )
                .hint("give each instance its own port, or remove `bind` to join the page");
            report(name, problems);
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        let state = self.state.or_else(consort_web::state_folder);
        Box::new(WebDriver { surfaces: self.surfaces, invite: self.invite, state })
    }
}
