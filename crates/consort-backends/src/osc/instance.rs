//! The instance as the router sees it.

use std::cell::Cell;
use std::rc::Rc;

use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, Usage};

use super::carrier::Carrier;
use super::config::{Config, Destination, SharedBind, Transport};
use super::datagram::Datagrams;
use super::outputs::Outputs;
use super::paths::Paths;
use super::receiver::Receiver;
use super::stream::Streams;

/// One `[osc NAME]` section.
pub(super) struct OscInstance {
    receiver: Receiver,
    outputs: Outputs,
    transport: Box<dyn Carrier>,
    /// Whether the configuration allows for sending.
    sends: bool,
    shared_bind: Rc<SharedBind>,
}

impl OscInstance {
    pub(super) fn new(config: Config, detect: Rc<Cell<bool>>, shared_bind: Rc<SharedBind>) -> Self {
        let sends = config.is_tcp() || config.destination != Destination::None;
        let transport: Box<dyn Carrier> = match config.transport {
            Transport::Datagrams => {
                Box::new(Datagrams::new(config.bind, config.destination, Rc::clone(&shared_bind)))
            }
            framing => Box::new(Streams::new(config.bind, config.destination, framing)),
        };
        let receiver = Receiver::new(Paths::new(config.root, config.patterns), detect);
        OscInstance { receiver, outputs: Outputs::default(), transport, sends, shared_bind }
    }
}

impl Instance for OscInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = self.receiver.paths.channel(specification, usage)?;
        if usage == Usage::Source {
            self.shared_bind.receives.set(true);
        }
        Ok(channel)
    }

    fn check(&self, problems: &mut Problems) {
        if !self.sends && self.receiver.paths.has_targets() {
            problems
                .warning(None, "values are mapped to this instance, but it sends nothing")
                .hint("add `destination = HOST PORT` to send");
        }
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.outputs = self.receiver.paths.prepare();
        let receives = self.receiver.is_needed() || context.is_observed();
        self.transport.start(receives, context);
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        self.transport.ready(key, readiness, &mut self.receiver, context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.transport.timer(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if !self.transport.can_send() {
            context.count_dropped(events.len() as u64);
            return;
        }
        let mut refused = 0;
        let transport = &mut *self.transport;
        let mut send = |packet: &[u8]| refused += u64::from(!transport.push(packet));
        for event in events {
            self.outputs.set(event, &mut send);
        }
        self.outputs.flush(send);
        if refused > 0 {
            context.count_dropped(refused);
        }
        self.transport.flush(context);
    }
}
