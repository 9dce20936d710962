//! The instance as the router sees it.

use std::cell::RefCell;
use std::rc::Rc;

use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, Usage};

use super::node::{Node, key};
use super::{Protocol, UniverseConfig};

/// One universe: an instance of `artnet` or `sacn`.
pub(crate) struct DmxInstance<P> {
    node: Rc<RefCell<Node<P>>>,
    /// The index of its universe in the node.
    index: usize,
    /// The hint for an instance that is a target but cannot send.
    send_hint: &'static str,
}

impl<P: Protocol> DmxInstance<P> {
    pub(crate) fn new(
        node: Rc<RefCell<Node<P>>>,
        config: UniverseConfig,
        send_hint: &'static str,
    ) -> Self {
        let index = node.borrow_mut().add(config);
        DmxInstance { node, index, send_hint }
    }
}

impl<P: Protocol> Instance for DmxInstance<P> {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.node.borrow_mut().universes[self.index].slots.channel(specification, usage)
    }

    fn check(&self, problems: &mut Problems) {
        let node = self.node.borrow();
        let universe = &node.universes[self.index];
        if universe.slots.is_target && !universe.config.is_output {
            problems
                .warning(None, "values are mapped to this instance, but it sends nothing")
                .hint(self.send_hint);
        }
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.node.borrow_mut().start(self.index, context);
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        let mut node = self.node.borrow_mut();
        if key & (key::BIND | key::DESTINATION) != 0 {
            node.finish_lookup(self.index, key, context);
        } else {
            node.ready(key, readiness.readable, readiness.writable, context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.node.borrow_mut().service(self.index, context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        self.node.borrow_mut().deliver(self.index, events, context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.node.borrow_mut().stop(self.index, context);
    }
}
