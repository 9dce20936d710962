//! The driver, and instances while they are configured and as the router runs them.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use consort_router::inspect::InstanceReport;
use consort_router::{
    Backend, Block, ChannelError, ChannelTable, Context, Driver, DriverContext, Event, Instance,
    Plan, Readiness, Resolution, Usage, downcast, driver,
};

use super::Ola;
use super::client::Client;
use super::config::UniverseConfig;
use crate::dmx::Slots;

/// The running part that the instances share.
pub(super) struct OlaDriver {
    client: Rc<RefCell<Client>>,
}

impl OlaDriver {
    pub(super) fn new(client: Client) -> Self {
        OlaDriver { client: Rc::new(RefCell::new(client)) }
    }
}

impl Driver for OlaDriver {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        context: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let Some(detect) = (&*backend as &dyn Any).downcast_ref::<Ola>().map(Ola::detect) else {
            return Err(backend);
        };
        self.client.borrow_mut().set_detect(detect, context);
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut DriverContext<'_>) {
        self.client.borrow_mut().ready(key, readiness, context);
    }

    fn timer(&mut self, context: &mut DriverContext<'_>) {
        self.client.borrow_mut().timer(context);
    }
}

/// An instance that does not run.
pub(super) struct OlaPlan {
    config: UniverseConfig,
    slots: Slots,
}

impl OlaPlan {
    pub(super) fn new(config: UniverseConfig) -> Self {
        OlaPlan { config, slots: Slots::default() }
    }
}

impl Plan for OlaPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.slots.channel(specification, usage)
    }

    fn slot(&self, channel: u32, _: Usage) -> Option<u16> {
        self.slots.narrow(channel)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.slots.resolution(channel)
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let client = Rc::clone(&self::driver::<OlaDriver>(driver).client);
        let index = client.borrow_mut().add(self.config, self.slots);
        Box::new(OlaInstance { client, index })
    }
}

/// A running instance.
struct OlaInstance {
    client: Rc<RefCell<Client>>,
    /// The index of its universe in the client.
    index: usize,
}

impl Instance for OlaInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let (id, is_observed) = (context.instance(), context.is_observed());
        self.client.borrow_mut().start(self.index, id, is_observed, &mut context.driver());
    }

    /// Keeps the registration, and the frames of both directions.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let OlaPlan { config, slots } = *downcast::<OlaPlan>(plan)?;
        let mut client = self.client.borrow_mut();
        client.adopt(self.index, config, slots, channels, &mut context.driver());
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let replaced = self.client.borrow_mut().deliver(self.index, events, &mut context.driver());
        if replaced > 0 {
            context.count_dropped(replaced);
        }
    }

    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let replaced =
            self.client.borrow_mut().deliver_block(self.index, block, &mut context.driver());
        if replaced > 0 {
            context.count_dropped(replaced);
        }
    }

    fn inspect(&self, _: Range<u32>) -> InstanceReport {
        self.client.borrow().inspect(self.index)
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.client.borrow_mut().stop(self.index, &mut context.driver());
    }

    fn is_stopped(&self) -> bool {
        self.client.borrow().is_idle()
    }
}

impl Drop for OlaInstance {
    fn drop(&mut self) {
        self.client.borrow_mut().remove(self.index);
    }
}
