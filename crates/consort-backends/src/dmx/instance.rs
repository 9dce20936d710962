//! The driver of a DMX backend, and its instances, the universes: configured and running.

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use consort_router::{
    Backend, Block, ChannelError, ChannelTable, Context, Driver, DriverContext, Event, Instance,
    Plan, Problems, Readiness, Resolution, Usage, downcast, driver,
};

use super::node::Node;
use super::slots::Slots;
use super::{Detect, Protocol, UniverseConfig};

/// The driver of a DMX backend. It owns the node, which its instances share.
pub(crate) struct DmxDriver<P> {
    node: Rc<RefCell<Node<P>>>,
    /// Returns the option `detect` of a reloaded backend; `None` for another type of backend.
    read_detect: fn(&dyn Any) -> Option<Detect>,
}

impl<P: Protocol> DmxDriver<P> {
    pub(crate) fn new(node: Node<P>, read_detect: fn(&dyn Any) -> Option<Detect>) -> Self {
        DmxDriver { node: Rc::new(RefCell::new(node)), read_detect }
    }
}

impl<P: Protocol> Driver for DmxDriver<P> {
    fn adopt(
        &mut self,
        backend: Box<dyn Backend>,
        _: &mut DriverContext<'_>,
    ) -> Result<(), Box<dyn Backend>> {
        let Some(detect) = (self.read_detect)(&*backend) else { return Err(backend) };
        self.node.borrow_mut().detect = detect;
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut DriverContext<'_>) {
        self.node.borrow_mut().ready(key, readiness, context);
    }

    fn timer(&mut self, context: &mut DriverContext<'_>) {
        self.node.borrow_mut().timer(context);
    }
}

/// A universe that is configured and does not run: an instance of `artnet` or `sacn`.
pub(crate) struct DmxPlan<P> {
    config: UniverseConfig,
    slots: Slots,
    /// The hint for an instance that is a target but cannot send.
    send_hint: &'static str,
    /// Set when a mapping reads a channel.
    is_source: Arc<AtomicBool>,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol> DmxPlan<P> {
    pub(crate) fn new(
        config: UniverseConfig,
        send_hint: &'static str,
        is_source: Arc<AtomicBool>,
    ) -> Self {
        DmxPlan { config, slots: Slots::default(), send_hint, is_source, protocol: PhantomData }
    }
}

impl<P: Protocol> Plan for DmxPlan<P> {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = self.slots.channel(specification, usage)?;
        if usage == Usage::Source {
            self.is_source.store(true, Ordering::Relaxed);
        }
        Ok(channel)
    }

    fn check(&self, problems: &mut Problems) {
        if self.slots.is_target && !self.config.is_output {
            problems
                .warning(None, "values are mapped to this instance, but it sends nothing")
                .hint(self.send_hint);
        }
    }

    fn slot(&self, channel: u32, _: Usage) -> Option<u16> {
        self.slots.narrow(channel)
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.slots.resolution(channel)
    }

    fn open(self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        let node = Rc::clone(&self::driver::<DmxDriver<P>>(driver).node);
        let index = node.borrow_mut().add(self.config, self.slots);
        Box::new(DmxInstance { node, index })
    }
}

/// A running universe.
struct DmxInstance<P: Protocol> {
    node: Rc<RefCell<Node<P>>>,
    /// The index of its universe in the node.
    index: usize,
}

impl<P: Protocol> Instance for DmxInstance<P> {
    fn start(&mut self, context: &mut Context<'_>) {
        let id = context.instance();
        self.node.borrow_mut().start(self.index, id, &mut context.driver());
    }

    /// Keeps the sources and their merged frame, and the outgoing frame with its sequence number.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = downcast::<DmxPlan<P>>(plan)?;
        self.node.borrow_mut().adopt(self.index, plan.config, plan.slots, channels);
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let dropped = self.node.borrow_mut().deliver(self.index, events, &mut context.driver());
        if dropped > 0 {
            context.count_dropped(dropped);
        }
    }

    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let replaced =
            self.node.borrow_mut().deliver_block(self.index, block, &mut context.driver());
        if replaced > 0 {
            context.count_dropped(replaced);
        }
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.node.borrow_mut().stop(self.index, &mut context.driver());
    }
}

impl<P: Protocol> Drop for DmxInstance<P> {
    fn drop(&mut self) {
        self.node.borrow_mut().remove(self.index);
    }
}
