//! From packets to values.

use std::cell::Cell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;

use consort_osc::{Argument, Limits, Message, Packet};
use consort_router::{ChannelTable, Context, RawValue, Sender, Unmatched, WarnOnce};

use super::paths::{AddressMatch, Found, MAX_ARGUMENT, Paths, scale};
use crate::net::Peer;

/// The most values that one packet may emit. A pattern that matches thousands of channels, sent
/// thousands of times in one bundle, stops there.
const MAX_VALUES_PER_PACKET: usize = 65_536;

/// How many bytes of a text count as one value: about as much memory as a value takes.
const TEXT_BYTES_PER_VALUE: usize = 16;

/// The most unmatched arguments of one packet that are reported; further ones are only counted.
const MAX_UNMATCHED_PER_PACKET: usize = 256;

/// How much effort of matching patterns counts as one value in the budget of a turn.
const EFFORT_PER_VALUE: usize = 4_096;

/// The limits of an incoming packet: no message is longer than a datagram.
pub(super) const PACKET_LIMITS: Limits = Limits::DEFAULT.with_size(1 << 16);

/// Who sent a packet. The address is decoded only when it is needed.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Datagram(Peer<'a>),
    Stream(SocketAddr),
}

impl Origin<'_> {
    fn sender(self) -> Sender<'static> {
        match self {
            Origin::Datagram(peer) => peer.address().map_or(Sender::Unknown, Sender::Address),
            Origin::Stream(address) => Sender::Address(address),
        }
    }
}

/// What one packet has used so far.
struct Usage {
    /// The values emitted; a long text counts as several.
    values: usize,
    unmatched: usize,
    /// The effort of matching patterns that is left.
    effort: usize,
    dropped: u64,
}

/// Decodes packets and emits their values.
pub(super) struct Receiver {
    pub(super) paths: Paths,
    /// Whether every message is logged: the backend's option `detect`.
    detect: Rc<Cell<bool>>,
    invalid_packets: WarnOnce,
    pub(super) invalid_count: u64,
    excess_patterns: WarnOnce,
    outside_root: WarnOnce,
    /// Whether the last packet was valid and had an address that begins with the root.
    is_addressed: bool,
}

impl Receiver {
    pub(super) fn new(paths: Paths, detect: Rc<Cell<bool>>) -> Self {
        Receiver {
            paths,
            detect,
            invalid_packets: WarnOnce::default(),
            invalid_count: 0,
            excess_patterns: WarnOnce::default(),
            outside_root: WarnOnce::default(),
            is_addressed: false,
        }
    }

    /// Whether the last packet was valid and meant for this instance: one of its addresses begins
    /// with the root.
    pub(super) fn is_addressed(&self) -> bool {
        self.is_addressed
    }

    /// Takes the addresses of a new plan; returns the old ones.
    pub(super) fn adopt(&mut self, paths: Paths, channels: &ChannelTable) -> Paths {
        paths.adopt_seen(&self.paths, channels);
        if paths.root() != self.paths.root() {
            self.outside_root.reset();
        }
        std::mem::replace(&mut self.paths, paths)
    }

    /// Whether the values of incoming packets are used for anything.
    pub(super) fn is_needed(&self) -> bool {
        self.paths.has_sources() || self.detect.get()
    }

    /// Decodes one packet and emits its values. Returns how much of the turn's budget that used.
    pub(super) fn receive(
        &mut self,
        packet: &[u8],
        origin: Origin<'_>,
        context: &mut Context<'_>,
    ) -> usize {
        self.is_addressed = false;
        if packet.is_empty() {
            return 0;
        }
        let effort = self.paths.pattern_effort();
        let mut usage = Usage { values: 0, unmatched: 0, effort, dropped: 0 };
        match Packet::decode_with(packet, &PACKET_LIMITS) {
            // The usual case avoids the iterator over nested bundles.
            Ok(Packet::Message(message)) => self.message(&message, &mut usage, origin, context),
            Ok(packet) => {
                for message in packet.messages() {
                    self.message(&message, &mut usage, origin, context);
                }
            }
            Err(error) => {
                context.count_errors(1);
                self.invalid_count += 1;
                if self.invalid_packets.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "invalid OSC packet of {} bytes: {error}; further ones are only counted",
                        packet.len()
                    );
                }
            }
        }
        if usage.dropped > 0 {
            context.count_dropped(usage.dropped);
        }
        let used = usage.values.min(MAX_VALUES_PER_PACKET) + usage.unmatched;
        used.max((effort - usage.effort) / EFFORT_PER_VALUE)
    }

    /// Emits the values of one message.
    #[inline]
    fn message(
        &mut self,
        message: &Message<'_>,
        usage: &mut Usage,
        origin: Origin<'_>,
        context: &mut Context<'_>,
    ) {
        self.is_addressed |= self.paths.has_root(message.address_bytes());
        let Usage { values, unmatched, effort, dropped } = usage;
        let mut has_room = |cost: usize| {
            *values += cost;
            *dropped += u64::from(*values > MAX_VALUES_PER_PACKET);
            *values <= MAX_VALUES_PER_PACKET
        };
        let paths = &self.paths;
        let found = paths.values(message, effort, |found| match found {
            Found::Value(channel, value) => {
                if has_room(1) {
                    context.emit(channel, value);
                }
            }
            Found::Text(channel, text) => {
                if has_room(1 + text.len() / TEXT_BYTES_PER_VALUE) {
                    context.emit_text(channel, text);
                }
            }
            Found::Unmatched(number, argument) => {
                if let Some(local) = paths.local(message) {
                    report(message, local, number, argument, unmatched, origin, context);
                }
            }
        });
        match found {
            AddressMatch::Mapped => {}
            AddressMatch::Unmapped => self.unmatched(message, unmatched, origin, context),
            AddressMatch::TooExpensive => self.drop_pattern(context),
        }
        if self.detect.get() && self.paths.has_root(message.address_bytes()) {
            let text = without_controls(&message.to_owned().to_string());
            tracing::info!(target: "detect", instance = context.name(), "detected {text}");
        }
    }

    /// Reports the arguments of a message whose address is not mapped.
    fn unmatched(
        &mut self,
        message: &Message<'_>,
        unmatched: &mut usize,
        origin: Origin<'_>,
        context: &mut Context<'_>,
    ) {
        let Some(local) = self.paths.local(message) else {
            // There is no channel for it.
            context.count_unmatched(1);
            if self.outside_root.is_first() {
                tracing::info!(
                    instance = context.name(),
                    "`{}` from {} does not begin with the root `{}`; further messages are only \
                     counted",
                    without_controls(message.address()),
                    origin.sender(),
                    self.paths.root()
                );
            }
            return;
        };
        if message.type_tags().is_empty() {
            report(message, local, 0, None, unmatched, origin, context);
        }
        for (number, argument) in message.arguments().enumerate() {
            report(message, local, number, Some(argument), unmatched, origin, context);
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

/// Text of a message for the log: an address may contain line breaks.
fn without_controls(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => safe.extend(letter.escape_default()),
            false => safe.push(letter),
        }
    }
    safe
}

/// Reports an argument that no mapping uses. Argument 0 has the type tags of the whole message,
/// another one its own. `local` is the address without the root.
fn report(
    message: &Message<'_>,
    local: &str,
    number: usize,
    argument: Option<Argument<'_>>,
    unmatched: &mut usize,
    origin: Origin<'_>,
    context: &mut Context<'_>,
) {
    *unmatched += 1;
    if *unmatched > MAX_UNMATCHED_PER_PACKET || number > MAX_ARGUMENT {
        return context.count_unmatched(1);
    }
    let mut tag = [0; 4];
    let types = match &argument {
        Some(argument) if number > 0 => argument.type_tag().encode_utf8(&mut tag),
        _ => std::str::from_utf8(message.type_tags()).unwrap_or_default(),
    };
    let raw = match argument {
        None | Some(Argument::Nil) => RawValue::None,
        Some(Argument::Int(number)) => RawValue::Integer(number.into()),
        Some(Argument::Long(number)) => RawValue::Integer(number),
        Some(Argument::Float(number)) => RawValue::Number(number.into()),
        Some(Argument::Double(number)) => RawValue::Number(number),
        Some(Argument::Bool(on)) => RawValue::Flag(on),
        Some(Argument::Impulse) => RawValue::Flag(true),
        Some(Argument::String(text) | Argument::Symbol(text)) => RawValue::Text(text),
        Some(Argument::Blob(bytes)) => RawValue::Bytes(bytes.len()),
        Some(Argument::Time(_)) => RawValue::Bytes(8),
        Some(Argument::Char(_) | Argument::Color(_) | Argument::Midi(_)) => RawValue::Bytes(4),
        Some(_) => RawValue::None,
    };
    let value = argument.map_or(Some(1.0), |argument| scale(&argument, None));
    context.unmatched(Unmatched { types, raw, value, sender: origin.sender() }, |channel| {
        channel.push_str(local);
        // What follows a colon is read as the number of an argument.
        if number > 0 || local.contains(':') {
            let _ = write!(channel, ":{number}");
        }
    });
}
