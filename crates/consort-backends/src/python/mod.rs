//! Python scripts in the show: each instance is a worker process with an interpreter of its
//! own, which provides the module `midimonster`.
//!
//! ```text
//!  router ── deliver ──► queue ──► pipe ──► worker.py ──► handler(value)
//!  router ◄── ready ────────────── pipe ◄── output(name, value)
//! ```
//!
//! The worker mirrors all state that a script may ask for, so no function of the module makes
//! a round trip, and a script that is slow, crashes or floods concerns nobody else.

mod instance;
mod output;
mod process;
#[doc(hidden)]
pub mod protocol;
mod queue;
#[doc(hidden)]
pub mod scan;
mod settings;

use std::cell::OnceCell;
use std::io::{self, Write};
use std::rc::Rc;

use consort_router::{
    Backend, BackendDescriptor, ChannelSyntax, Instance, InstanceConfig, Options, Problems,
};

use instance::PythonInstance;
use output::Forwarder;
use process::Spawner;
use settings::{Defaults, Settings};

/// The registry's entry.
pub const DESCRIPTOR: BackendDescriptor = BackendDescriptor {
    name: "python",
    summary: "Python scripts as handlers and sources of values",
    documentation: include_str!("documentation.md"),
    options: settings::BACKEND_OPTIONS,
    instance_options: settings::INSTANCE_OPTIONS,
    instance_families: &[],
    channels: &[
        ChannelSyntax {
            syntax: "NAME",
            example: "foo",
            documentation: "\
A channel that the script puts values out on with `output(\"NAME\", value)`, and whose values go \
to the `default-handler`, if there is one.",
        },
        ChannelSyntax {
            syntax: "MODULE.FUNCTION",
            example: "random.seed",
            documentation: "\
A handler: `FUNCTION(value)` of that module is called for every value that comes in. The module \
must be one of the instance's `module` options.",
        },
    ],
    example: "[python script]\nmodule = random\n\n[map]\nscript.foo > script.random.seed\n",
    create: || backend(Box::new(io::stdout())),
};

/// The backend, with another place than standard output for what scripts print.
pub fn backend(print: Box<dyn Write + Send>) -> Box<dyn Backend> {
    Box::new(Python {
        defaults: Defaults::default(),
        house: Rc::new(House {
            services: OnceCell::new(),
            print: std::cell::Cell::new(Some(print)),
        }),
    })
}

struct Python {
    defaults: Defaults,
    house: Rc<House>,
}

/// What all instances share. Its threads start with the first worker.
struct House {
    services: OnceCell<Services>,
    print: std::cell::Cell<Option<Box<dyn Write + Send>>>,
}

struct Services {
    spawner: Spawner,
    forwarder: Forwarder,
    /// The monotonic clock when the show started, in nanoseconds.
    epoch: i64,
}

impl House {
    fn services(&self, timestamp: u64) -> io::Result<&Services> {
        if self.services.get().is_none() {
            let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = clock.tv_sec * 1_000_000_000 + clock.tv_nsec;
            let print = self.print.take().unwrap_or_else(|| Box::new(io::stdout()));
            let services = Services {
                spawner: Spawner::new()?,
                forwarder: Forwarder::new(print)?,
                epoch: now - i64::try_from(timestamp).unwrap_or(0) * 1_000_000,
            };
            let _ = self.services.set(services);
        }
        self.services.get().ok_or_else(|| io::ErrorKind::Other.into())
    }
}

impl Backend for Python {
    fn configure(&mut self, options: &Options, _: &mut Problems) {
        self.defaults = Defaults::new(options);
    }

    fn instance(
        &mut self,
        config: InstanceConfig,
        problems: &mut Problems,
    ) -> Option<Box<dyn Instance>> {
        let settings = Settings::new(config, &self.defaults, problems)?;
        Some(Box::new(PythonInstance::new(settings, Rc::clone(&self.house))))
    }
}
