//! From packets to values.

use std::cell::Cell;
use std::rc::Rc;

use consort_osc::{Limits, Message, Packet};
use consort_router::{Context, WarnOnce};

use super::paths::{AddressMatch, Paths};

/// The most values that one packet may emit. A pattern that matches thousands of channels, sent
/// thousands of times in one bundle, stops there.
const MAX_VALUES_PER_PACKET: usize = 65_536;

/// How much effort of matching patterns counts as one value in the budget of a turn.
const EFFORT_PER_VALUE: usize = 4_096;

/// The limits of an incoming packet: no message is longer than a datagram.
pub(super) const PACKET_LIMITS: Limits = Limits::DEFAULT.with_size(1 << 16);

/// Decodes packets and emits their values.
pub(super) struct Receiver {
    pub(super) paths: Paths,
    /// Whether every message is logged: the backend's option `detect`.
    detect: Rc<Cell<bool>>,
    invalid_packets: WarnOnce,
    excess_patterns: WarnOnce,
}

impl Receiver {
    pub(super) fn new(paths: Paths, detect: Rc<Cell<bool>>) -> Self {
        Receiver {
            paths,
            detect,
            invalid_packets: WarnOnce::default(),
            excess_patterns: WarnOnce::default(),
        }
    }

    /// Whether incoming packets are used for anything.
    pub(super) fn is_needed(&self) -> bool {
        self.paths.has_sources() || self.detect.get()
    }

    /// Decodes one packet and emits its values. Returns how much of the turn's budget that used.
    pub(super) fn receive(&mut self, packet: &[u8], context: &mut Context<'_>) -> usize {
        if packet.is_empty() {
            return 0;
        }
        let mut count = 0;
        let effort_limit = self.paths.pattern_effort();
        let mut effort = effort_limit;
        match Packet::decode_with(packet, &PACKET_LIMITS) {
            // The usual case avoids the iterator over nested bundles.
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
                if self.invalid_packets.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "invalid OSC packet of {} bytes: {error}; further ones are only counted",
                        packet.len()
                    );
                }
            }
        }
        if count > MAX_VALUES_PER_PACKET {
            context.count_dropped((count - MAX_VALUES_PER_PACKET) as u64);
        }
        count.min(MAX_VALUES_PER_PACKET).max((effort_limit - effort) / EFFORT_PER_VALUE)
    }

    /// Emits the values of one message.
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
            if *count <= MAX_VALUES_PER_PACKET {
                context.emit(channel, value);
            }
        });
        match found {
            // Unmapped messages are processed only while a view or `consort learn` is attached.
            AddressMatch::Unmapped if context.is_observed() => {
                self.paths.unmapped(message, |specification, value| {
                    context.unmapped(value, || specification);
                });
            }
            AddressMatch::Mapped | AddressMatch::Unmapped => {}
            AddressMatch::TooExpensive => self.drop_pattern(context),
        }
        if self.detect.get() && self.paths.has_root(message.address_bytes()) {
            tracing::info!(instance = context.name(), "detected {}", message.to_owned());
        }
    }

    /// Counts a pattern that was not matched because the packet has used its effort up.
    #[cold]
    fn drop_pattern(&mut self, context: &mut Context<'_>) {
        context.count_dropped(1);
        if self.excess_patterns.is_first() {
            tracing::warn!(
                instance = context.name(),
                "a packet has more address patterns than can be matched in time; the excess is \
                 dropped, and further ones are only counted"
            );
        }
    }
}
