//! The announcements and the search that the instances of a backend share. The backend's driver
//! registers the search; instances look at its results.

use consort_router::{Context, DriverContext, InstanceId};

use super::{Mdns, Service};

/// The driver's key of the search.
pub(crate) const SEARCH: u32 = 0;

/// The key with which an instance is called when something has changed; above all others.
pub(crate) const FOUND: u32 = u32::MAX;

/// What instances share. Nothing is sent, and no thread runs, before it is needed.
pub(crate) struct Directory {
    /// The kind that is searched for, such as `_osc._udp`.
    kind: &'static str,
    /// The only network interface to use.
    interface: Option<String>,
    mdns: Option<Mdns>,
    /// The instances that are called when something has changed.
    waiting: Vec<InstanceId>,
}

impl Directory {
    pub(crate) fn new(kind: &'static str, interface: Option<String>) -> Self {
        Directory { kind, interface, mdns: None, waiting: Vec::new() }
    }

    fn mdns(&mut self) -> Result<&mut Mdns, String> {
        let mdns = match self.mdns.take() {
            Some(mdns) => mdns,
            None => Mdns::start(self.interface.as_deref())?,
        };
        Ok(self.mdns.insert(mdns))
    }

    /// Announces a service of a kind on this computer, which has the name `host`.
    ///
    /// # Errors
    /// A message if a name is not valid, or mDNS cannot be used.
    pub(crate) fn announce(
        &mut self,
        kind: &str,
        name: &str,
        host: &str,
        port: u16,
    ) -> Result<(), String> {
        self.mdns()?.announce(kind, name, host, port)
    }

    /// Searches for an instance, whose `ready` is called with [`FOUND`] when something has changed.
    ///
    /// # Errors
    /// A message if mDNS cannot be used.
    pub(crate) fn search(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        let (instance, kind) = (context.instance(), self.kind);
        self.mdns()?.search(kind, SEARCH, &mut context.driver())?;
        if !self.waiting.contains(&instance) {
            self.waiting.push(instance);
        }
        Ok(())
    }

    /// What others announce.
    pub(crate) fn services(&self) -> &[Service] {
        self.mdns.as_ref().map_or(&[], Mdns::services)
    }

    /// Withdraws what an instance has announced, and forgets the instance.
    pub(crate) fn leave(&mut self, kind: &str, name: &str, instance: Option<InstanceId>) {
        if let Some(mdns) = &mut self.mdns {
            mdns.withdraw(kind, name);
        }
        self.waiting.retain(|waiting| Some(*waiting) != instance);
    }

    /// Takes note of what has been found, and has the instances called that wait for it.
    /// The driver calls it when the source of [`SEARCH`] is ready.
    pub(crate) fn update(&mut self, context: &mut DriverContext<'_>) {
        if let Some(mdns) = &mut self.mdns {
            mdns.update();
        }
        for instance in &self.waiting {
            context.for_instance(*instance).call_again(FOUND);
        }
    }
}
