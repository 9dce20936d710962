//! Sessions that are announced and found with mDNS. The driver owns the search; instances that
//! invite look at its results.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use consort_router::{Backend, Context, Driver, DriverContext, InstanceId, Readiness};

use super::RtpMidi;
use crate::mdns::{Mdns, Service};

/// The kind of the service: its port is the control port.
const KIND: &str = "_apple-midi._udp";

/// The driver's key of the search.
const SEARCH: u32 = 0;

/// The options of the backend.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) detect: bool,
    /// The name of this computer for others; without it, nothing is announced.
    pub(super) name: Option<String>,
    pub(super) interface: Option<String>,
}

/// What instances share.
pub(super) struct Shared {
    settings: Settings,
    mdns: Option<Mdns>,
    /// The instances whose timers are called when something has changed.
    waiting: Vec<InstanceId>,
}

impl Shared {
    fn mdns(&mut self) -> Result<&mut Mdns, String> {
        let mdns = match self.mdns.take() {
            Some(mdns) => mdns,
            None => Mdns::start(self.settings.interface.as_deref())?,
        };
        Ok(self.mdns.insert(mdns))
    }

    /// Announces a session, if the configuration gives this computer a name.
    ///
    /// # Errors
    /// A message if a name is not valid, or mDNS cannot be used.
    pub(super) fn announce(&mut self, name: &str, port: u16) -> Result<(), String> {
        let Some(host) = self.settings.name.clone() else { return Ok(()) };
        self.mdns()?.announce(KIND, name, &host, port)
    }

    /// Searches for sessions for an instance, whose timer is called when something has changed.
    ///
    /// # Errors
    /// A message if mDNS cannot be used.
    pub(super) fn search(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let instance = context.instance();
        self.mdns()?.search(KIND, SEARCH, &mut context.driver())?;
        if !self.waiting.contains(&instance) {
            self.waiting.push(instance);
        }
        Ok(())
    }

    /// The sessions of others.
    pub(super) fn services(&self) -> &[Service] {
        self.mdns.as_ref().map_or(&[], Mdns::services)
    }

    /// Withdraws what an instance has announced, and forgets it.
    pub(super) fn leave(&mut self, name: &str, instance: Option<InstanceId>) {
        if let Some(mdns) = &mut self.mdns {
            mdns.withdraw(KIND, name);
        }
        self.waiting.retain(|waiting| Some(*waiting) != instance);
    }
}

/// The running part of the backend.
pub(super) struct RtpMidiDriver {
    detect: Rc<Cell<bool>>,
    shared: Rc<RefCell<Shared>>,
}

impl RtpMidiDriver {
    pub(super) fn new(settings: Settings) -> Self {
        RtpMidiDriver {
            detect: Rc::new(Cell::new(settings.detect)),
            shared: Rc::new(RefCell::new(Shared { settings, mdns: None, waiting: Vec::new() })),
        }
    }

    pub(super) fn detect(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.detect)
    }

    pub(super) fn shared(&self) -> Rc<RefCell<Shared>> {
        Rc::clone(&self.shared)
    }
}

impl Driver for RtpMidiDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let any: &dyn Any = &*backend;
        let Some(rtpmidi) = any.downcast_ref::<RtpMidi>() else { return Err(backend) };
        self.detect.set(rtpmidi.settings.detect);
        Ok(())
    }

    fn ready(&mut self, _: u32, _: Readiness, context: &mut DriverContext<'_>) {
        let shared = &mut *self.shared.borrow_mut();
        if let Some(mdns) = &mut shared.mdns {
            mdns.update();
        }
        let now = context.now();
        for instance in &shared.waiting {
            context.for_instance(*instance).wake_at(Some(now));
        }
    }
}
