//! An instance: the router's side of it.

use std::cell::Cell;
use std::rc::Rc;

use consort_osc::{Limits, Message, Packet};
use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, Usage};

use super::Port;
use super::config::{Config, Destination, Transport};
use super::datagram::Datagrams;
use super::outputs::Outputs;
use super::paths::{Found, Paths};
use super::stream::Streams;

/// How many values one packet may have; a pattern that reaches thousands of channels, thousands
/// of times in a bundle, stops there.
const VALUES_PER_PACKET: usize = 65_536;

/// How much of comparing patterns weighs as much as one value in the budget of a turn.
const EFFORT_A_VALUE: usize = 4_096;

/// What a packet may be: no message is longer than a datagram.
pub(super) const LIMITS: Limits = Limits::DEFAULT.with_size(1 << 16);

pub(super) struct OscInstance {
    receiver: Receiver,
    outputs: Outputs,
    transport: Box<dyn Carrier>,
    /// Whether there will ever be anyone to send to.
    sends: bool,
    port: Rc<Port>,
}

/// What moves packets: datagrams or streams.
pub(super) trait Carrier {
    /// Opens what there is to open. `receives`: whether anything that comes in is of use.
    fn start(&mut self, receives: bool, context: &mut Context<'_>);
    fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        receiver: &mut Receiver,
        context: &mut Context<'_>,
    );
    fn timer(&mut self, context: &mut Context<'_>);
    /// Whether there is anyone to send to.
    fn can_send(&self) -> bool;
    /// Takes a packet to be sent; false when too much is waiting already.
    fn push(&mut self, packet: &[u8]) -> bool;
    /// Sends what was pushed.
    fn flush(&mut self, context: &mut Context<'_>);
}

/// From packets to values.
pub(super) struct Receiver {
    pub(super) paths: Paths,
    detect: Rc<Cell<bool>>,
    complained: bool,
    complained_of_patterns: bool,
}

impl Receiver {
    /// Reads one packet and emits its values. Returns how much of the turn's budget that took.
    pub(super) fn receive(&mut self, packet: &[u8], context: &mut Context<'_>) -> usize {
        if packet.is_empty() {
            return 0;
        }
        let mut count = 0;
        let whole = self.paths.effort();
        let mut effort = whole;
        match Packet::decode_with(packet, &LIMITS) {
            // The usual case, without the iterator over nested bundles.
            Ok(Packet::Message(message)) => {
                self.message(&message, &mut count, &mut effort, context)
            }
            Ok(packet) => {
                for message in packet.messages() {
                    self.message(&message, &mut count, &mut effort, context);
                }
            }
            Err(error) => {
                context.count_errors(1);
                if !self.complained {
                    self.complained = true;
                    tracing::warn!(
                        instance = context.name(),
                        "a packet of {} bytes is no OSC: {error}; further ones are only counted",
                        packet.len()
                    );
                }
            }
        }
        if count > VALUES_PER_PACKET {
            context.count_dropped((count - VALUES_PER_PACKET) as u64);
        }
        count.min(VALUES_PER_PACKET).max((whole - effort) / EFFORT_A_VALUE)
    }

    #[inline]
    fn message(
        &mut self,
        message: &Message<'_>,
        count: &mut usize,
        effort: &mut usize,
        context: &mut Context<'_>,
    ) {
        let found = self.paths.values(message, effort, |channel, value| {
            *count += 1;
            if *count <= VALUES_PER_PACKET {
                context.emit(channel, value);
            }
        });
        match found {
            // The options' patterns need not be looked through when nobody wants to know.
            Found::Unknown if context.is_observed() => {
                self.paths.unmapped(message, |specification, value| {
                    context.unmapped(value, || specification);
                });
            }
            Found::Known | Found::Unknown => {}
            Found::TooMuch => self.refuse_pattern(context),
        }
        if self.detect.get() && self.paths.is_ours(message.address_bytes()) {
            tracing::info!(instance = context.name(), "detected {}", message.to_owned());
        }
    }
}

impl Receiver {
    /// A packet has more patterns than can be compared in good time.
    #[cold]
    fn refuse_pattern(&mut self, context: &mut Context<'_>) {
        context.count_dropped(1);
        if !std::mem::replace(&mut self.complained_of_patterns, true) {
            tracing::warn!(
                instance = context.name(),
                "a packet has too many patterns for so many addresses: what is too much is left \
                 out; further ones are only counted"
            );
        }
    }
}

impl OscInstance {
    pub(super) fn new(config: Config, detect: Rc<Cell<bool>>, port: Rc<Port>) -> Self {
        let sends = config.is_tcp() || config.destination != Destination::None;
        let transport: Box<dyn Carrier> = match config.transport {
            Transport::Datagrams => {
                Box::new(Datagrams::new(config.bind, config.destination, Rc::clone(&port)))
            }
            framing => Box::new(Streams::new(config.bind, config.destination, framing)),
        };
        let paths = Paths::new(config.root, config.patterns);
        let receiver = Receiver { paths, detect, complained: false, complained_of_patterns: false };
        OscInstance { receiver, outputs: Outputs::default(), transport, sends, port }
    }
}

impl Instance for OscInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = self.receiver.paths.channel(specification, usage)?;
        if usage == Usage::Source {
            self.port.hears.set(true);
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
        let receiver = &self.receiver;
        let receives =
            receiver.paths.has_sources() || receiver.detect.get() || context.is_observed();
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
