//! The driver: services that all instances share, for starting processes and forwarding what they
//! print.

use std::cell::{Cell, OnceCell};
use std::io::{self, Write};
use std::rc::Rc;

use consort_router::Driver;

use super::guard::Guard;
use super::output::Forwarder;
use super::process::Spawner;

/// The driver of the backend. It has no state besides the services, so it adopts any reloaded
/// backend: the options of a backend section are only defaults of the instances'.
pub(crate) struct ScriptDriver {
    pub(super) services: Rc<SharedServices>,
}

impl ScriptDriver {
    pub(crate) fn new(script_output: Box<dyn Write + Send>) -> Self {
        ScriptDriver { services: Rc::new(SharedServices::new(script_output)) }
    }
}

impl Driver for ScriptDriver {}

/// The services that all instances share; they start together with the first worker.
pub(super) struct SharedServices {
    services: OnceCell<Services>,
    /// Where scripts print to, until the services take it over.
    script_output: Cell<Option<Box<dyn Write + Send>>>,
}

/// The running services, each with its threads.
pub(super) struct Services {
    /// Dropped first: what it ends holds the pipes of the forwarder open.
    _guard: Option<Guard>,
    pub(super) spawner: Spawner,
    pub(super) forwarder: Forwarder,
    /// The reading of the monotonic clock at the start of the show, in nanoseconds.
    pub(super) epoch: i64,
}

impl SharedServices {
    fn new(script_output: Box<dyn Write + Send>) -> Self {
        SharedServices { services: OnceCell::new(), script_output: Cell::new(Some(script_output)) }
    }

    /// Returns the services and starts them if necessary. `timestamp` is the current time of
    /// the show in milliseconds.
    ///
    /// # Errors
    /// If the operating system cannot start their threads.
    pub(super) fn services(&self, timestamp: u64) -> io::Result<&Services> {
        if self.services.get().is_none() {
            let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = clock.tv_sec * 1_000_000_000 + clock.tv_nsec;
            let script_output = self.script_output.take().unwrap_or_else(|| Box::new(io::stdout()));
            let mark = format!("{}-{now}", std::process::id());
            // Without a guard, processes that leave their group may outlive the show.
            let guard = Guard::start(&mark).unwrap_or_else(|error| {
                tracing::warn!("cannot start the guard of the scripts' processes: {error}");
                None
            });
            let services = Services {
                _guard: guard,
                spawner: Spawner::new(mark)?,
                forwarder: Forwarder::new(script_output)?,
                epoch: now - i64::try_from(timestamp).unwrap_or(0) * 1_000_000,
            };
            let _ = self.services.set(services);
        }
        self.services.get().ok_or_else(|| io::ErrorKind::Other.into())
    }
}
