//! OLA: the universes of olad, the daemon of the Open Lighting Architecture.
//!
//! `wire` has the bytes of olad's remote calls and `calls` their contents. `client` is the connection,
//! which all instances share, and `own` recognises own values that olad sends back. Slots, frame
//! rates and what is emitted are in `dmx`.

mod calls;
mod client;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod instance;
mod own;
#[cfg(test)]
mod tests;
mod wire;

use consort_router::{
    Backend, BackendDescriptor, Driver, InstanceConfig, OptionKind, OptionSpec, Options, Plan,
    Problems,
};

use self::calls::Merge;
use self::client::Client;
use self::config::{MAX_PRIORITY, Selector, UniverseConfig};
use self::instance::{OlaDriver, OlaPlan};
use crate::detect::DETECT;
use crate::dmx::options;
use crate::net::HostPort;

/// The entry of the registry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "ola",
    summary: "OLA: the DMX universes of olad, in and out",
    documentation: "\
An instance is one universe of olad, the daemon of the Open Lighting Architecture, which has \
drivers for many interfaces. All instances share one connection. No library of OLA is needed.

**The universe** is given by its number, or by the name that olad has for it (`ola_uni_name`). \
`consort status` shows name, merging and ports. olad creates a universe when an instance receives \
it; to send, a port must be patched to it (`ola_patch`), else the instance waits with that reason.

**Output.** Frames of 512 slots are sent with the newest values at up to 44 frames per second, the \
rate of DMX. Values that are replaced before they are sent are counted as dropped. With \
`realtime = on`, every value is sent immediately. Sending starts with the first value (slots \
without a value are 0). An unchanged frame is sent again every 0.9 s, because olad forgets a source \
that is silent for 2.5 s.

**Input.** A universe is received if a mapping reads one of its channels, with `detect`, and in \
`consort learn`. A value is emitted when it has changed; of the first frame, every value that is not \
0. olad merges the sources of a universe; `merge` sets how. Values that the instance has sent itself, \
which olad sends back, are not emitted.

**olad is a state.** While it cannot be reached or does not answer for 5 s, the instances wait, with \
the reason, and the connection is tried again with longer and longer delays up to 8 s. The last \
received values are kept. When olad returns, everything is registered and sent again.

**Unmatched input.** Slots that have changed and that no mapping uses are counted; up to eight of \
each frame are listed with their channel and value.

**When a show is reloaded,** an instance of which only `priority`, `realtime`, `first-values` or \
mappings have changed keeps its registration and its frame. A channel that is mapped no more keeps \
its last level. A channel that is newly mapped gets its value from the next frame.

**Tested with** olad 0.10.9 of Debian and its Open Pixel Control plugin. DMX interfaces behind olad \
could not be tried.",
    options: &[
        OptionSpec {
            name: "host",
            kind: OptionKind::Checked(config::check_host),
            default: Some("127.0.0.1 9010"),
            example: "127.0.0.1 19010",
            documentation: "Host and port of olad. The port is optional (9010). olad accepts \
programs of its own computer only.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            documentation: "Log every change of a received slot, mapped or not, with its channel.",
            ..DETECT
        },
    ],
    instance_options: &[
        OptionSpec {
            name: "universe",
            kind: OptionKind::Checked(Selector::check),
            default: Some("0"),
            example: "7",
            documentation: "The number of the universe in olad, or its name.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "priority",
            kind: OptionKind::Integer(0, MAX_PRIORITY),
            default: Some("100"),
            live: true,
            example: "150",
            documentation: "The priority of what is sent. olad uses the sources of the highest \
priority only.",
            ..OptionSpec::EMPTY
        },
        OptionSpec {
            name: "merge",
            kind: OptionKind::Choice(Merge::WORDS),
            example: "htp",
            documentation: "How olad merges several sources of the same priority: the highest value of \
a channel (`htp`), or the latest source (`ltp`). Without the option, olad keeps its setting.",
            ..OptionSpec::EMPTY
        },
        options::REALTIME,
        options::FIRST_VALUES,
    ],
    instance_families: &[],
    channels: options::CHANNELS,
    example: "\
[backend ola]
host = 127.0.0.1 19011

[ola front]
universe = 3

[map]
front.231 > front.1+2
",
    create: || Box::<Ola>::default(),
};

/// The backend: its options, and the universes of its instances.
#[derive(Default)]
struct Ola {
    host: Option<HostPort>,
    detect: bool,
    universes: Vec<(String, Selector)>,
}

impl Ola {
    /// The option `detect`.
    fn detect(&self) -> bool {
        self.detect
    }
}

impl Backend for Ola {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.host = options.text("host").and_then(|text| config::parse_host(text).ok());
        self.detect = options.flag("detect");
    }

    fn instance(&mut self, instance: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let config = UniverseConfig::read(&instance)?;
        self.universes.push((instance.name, config.selector.clone()));
        Some(Box::new(OlaPlan::new(config)))
    }

    fn check(&mut self, report: &mut dyn FnMut(&str, Problems)) {
        for (index, (name, universe)) in self.universes.iter().enumerate() {
            let mut earlier = self.universes[..index].iter();
            let Some((other, _)) = earlier.find(|(_, other)| other == universe) else { continue };
            let mut problems = Problems::new();
            problems
                .error(None, format!("instance `{other}` is the same universe"))
                .hint("map everything from and to one of them");
            report(name, problems);
        }
    }

    fn open(self: Box<Self>) -> Box<dyn Driver> {
        let host = self.host.unwrap_or(HostPort { host: "127.0.0.1".into(), port: 9010 });
        Box::new(OlaDriver::new(Client::new(host, self.detect)))
    }
}
