//! The connection of the core to a session and the router.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consort_router::{
    ChannelTable, Context, Event as Value, RawValue, Sender, State, TextEvent, Unmatched, WarnOnce,
};

use super::ShareConfig;
use super::core::{Core, MAX_PEERS, Port};
use super::wire::{Content, Origin, Presence, Publication, Sequence};
use crate::mqtt::client::Client;
use crate::mqtt::config::{Settings, random_digits};
use crate::mqtt::decode::Message;
use crate::mqtt::encode::{self, Filter, Qos};
use crate::mqtt::session::{Event, OwnedWill, Queued, Session, refused_reason};
use crate::mqtt::topics::Topics;

/// The most filters of one SUBSCRIBE packet.
const FILTERS_PER_PACKET: usize = 64;

/// While this many bytes wait, no further subscriptions are sent.
const SUBSCRIPTION_BYTES: usize = 64 * 1024;

/// The shortest time between two reports of missing publications.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// What identifies a publication until it is acknowledged: a value by its channel and number.
pub(in crate::mqtt) type Token = Option<(u32, Sequence)>;

/// Publications that were lost or dropped since the last report.
#[derive(Default)]
struct Losses {
    missed: u64,
    reordered: u64,
    reported: Option<Instant>,
}

/// An instance whose channels several shows share.
pub(in crate::mqtt) struct Shared {
    core: Core,
    config: ShareConfig,
    qos: Qos,
    topics: Topics,
    /// The topic of each channel.
    values: Vec<String>,
    presence: String,
    /// The filters of subscriptions that are not sent yet.
    unsent: VecDeque<String>,
    /// Whether the show is announced when all subscriptions are sent.
    is_joining: bool,
    losses: Losses,
    scratch: String,
    invalid: WarnOnce,
    refused: WarnOnce,
}

impl Shared {
    pub(in crate::mqtt) fn new(
        config: ShareConfig,
        topics: Topics,
        settings: &Settings,
        keep_alive: u16,
    ) -> Self {
        let digits = u64::from_str_radix(&random_digits(16), 16).unwrap_or_default();
        let origin = Origin(digits);
        let refresh = Duration::from_secs(u64::from(keep_alive.max(1)));
        let count = topics.channels.len();
        Shared {
            core: Core::new(origin, config.name.clone(), settings.on_loss, refresh, count),
            qos: settings.qos,
            values: value_topics(&config.prefix, &topics),
            presence: format!("{}/router/{origin}", config.prefix),
            config,
            topics,
            unsent: VecDeque::new(),
            is_joining: false,
            losses: Losses::default(),
            scratch: String::new(),
            invalid: WarnOnce::default(),
            refused: WarnOnce::default(),
        }
    }

    /// The core, and what it uses.
    fn split<'s, 'c, 'r>(
        &'s mut self,
        session: &'s mut Session<Token>,
        context: &'c mut Context<'r>,
    ) -> (&'s mut Core, RouterPort<'s, 'c, 'r>) {
        let port = RouterPort {
            qos: self.qos,
            prefix: &self.config.prefix,
            values: &self.values,
            presence: &self.presence,
            losses: &mut self.losses,
            scratch: &mut self.scratch,
            session,
            context,
        };
        (&mut self.core, port)
    }

    /// Sends subscriptions as far as the output buffer allows, and then announces the show.
    fn subscribe(&mut self, session: &mut Session<Token>, context: &mut Context<'_>) {
        while !self.unsent.is_empty() && session.outgoing().len() < SUBSCRIPTION_BYTES {
            let count = self.unsent.len().min(FILTERS_PER_PACKET);
            let chunk: Vec<String> = self.unsent.drain(..count).collect();
            let filters: Vec<Filter<'_>> = chunk
                .iter()
                .map(|text| Filter { filter: text, qos: self.qos, no_local: false })
                .collect();
            session.subscribe(&filters);
        }
        if self.unsent.is_empty() && std::mem::take(&mut self.is_joining) {
            let now = context.now();
            let (core, mut port) = self.split(session, context);
            core.connected(now, &mut port);
        }
    }

    fn message(
        &mut self,
        message: &Message<'_>,
        session: &mut Session<Token>,
        context: &mut Context<'_>,
    ) {
        context.count_input(1);
        let now = context.now();
        let Some(rest) = message
            .topic
            .strip_prefix(self.config.prefix.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return context.count_unmatched(1);
        };
        if let Some(origin) = rest.strip_prefix("router/") {
            let Some(origin) = Origin::parse(origin) else { return self.reject(message, context) };
            if message.payload.is_empty() {
                let (core, mut port) = self.split(session, context);
                core.presence_cleared(origin, now, &mut port);
                return;
            }
            let presence = Presence::parse(message.payload);
            let Some(presence) = presence.filter(|presence| presence.origin == origin) else {
                return self.reject(message, context);
            };
            let (core, mut port) = self.split(session, context);
            core.presence(presence, message.retain, now, &mut port);
            return self.show_details(context);
        }
        let name = rest.strip_prefix("value/").unwrap_or_default();
        let Some(number) = self.topics.number(name) else {
            return unmatched(name, message, context);
        };
        if message.payload.is_empty() {
            let (core, mut port) = self.split(session, context);
            return core.cleared(number, now, &mut port);
        }
        let Some(publication) = Publication::parse(message.payload) else {
            return self.reject(message, context);
        };
        let (core, mut port) = self.split(session, context);
        core.received(number, publication, message.retain, now, &mut port);
    }

    /// Counts a payload that is not one of these.
    fn reject(&mut self, message: &Message<'_>, context: &mut Context<'_>) {
        context.count_errors(1);
        if self.invalid.is_first() {
            tracing::warn!(
                instance = context.name(),
                "a message to {:?} is not from a show with `share = on`; further ones are only \
                 counted",
                message.topic
            );
        }
    }

    /// Shows presence and round trips in the views.
    fn show_details(&self, context: &mut Context<'_>) {
        context.set_details(Some(self.details()));
    }

    /// Presence and round trips as views show them.
    fn details(&self) -> String {
        let milliseconds = |micros: u64| format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100);
        let own = self.core.lag().map(|lag| milliseconds(lag.as_micros() as u64));
        let mut text = format!("round trip {}", own.as_deref().unwrap_or("unknown"));
        let mut separator = "; shares with ";
        for peer in self.core.peers().take(MAX_PEERS) {
            text.push_str(separator);
            text.push_str(&peer.name);
            if peer.lag > 0 {
                text.push_str(&format!(" ({})", milliseconds(peer.lag.into())));
            }
            separator = ", ";
        }
        if separator != ", " {
            text.push_str("; no other show is present");
        }
        text
    }
}

/// The topics of the channels, in the order of their numbers.
fn value_topics(prefix: &str, topics: &Topics) -> Vec<String> {
    topics.channels.iter().map(|channel| format!("{prefix}/value/{}", channel.name)).collect()
}

/// Reports a value of a channel that no mapping uses.
fn unmatched(name: &str, message: &Message<'_>, context: &mut Context<'_>) {
    let publication = Publication::parse(message.payload);
    let (raw, value) = match publication.as_ref().map(|publication| &publication.content) {
        Some(Content::Value(value)) => (RawValue::Number(*value), Some(*value)),
        Some(Content::Text(text)) => (RawValue::Text(text), None),
        None => (RawValue::Bytes(message.payload.len()), None),
    };
    let input = Unmatched { types: "value", raw, value, sender: Sender::Unknown };
    context.unmatched(input, |channel| channel.push_str(name));
}

/// The port of the core during one call.
struct RouterPort<'s, 'c, 'r> {
    qos: Qos,
    prefix: &'s str,
    values: &'s [String],
    presence: &'s str,
    losses: &'s mut Losses,
    scratch: &'s mut String,
    session: &'s mut Session<Token>,
    context: &'c mut Context<'r>,
}

impl RouterPort<'_, '_, '_> {
    fn send(&mut self, topic: &str, payload: &[u8], alias: Option<u32>, token: Token) -> bool {
        let publication = encode::Publication { topic, payload, qos: self.qos, retain: true };
        match self.session.publish(&publication, alias, || token) {
            Queued::Yes => true,
            Queued::Full => false,
            Queued::TooLarge => {
                self.context.count_dropped(1);
                true
            }
        }
    }

    /// Reports losses, at most once in a while.
    fn report(&mut self) {
        let now = self.context.now();
        if self.losses.reported.is_some_and(|time| now - time < REPORT_INTERVAL) {
            return;
        }
        tracing::warn!(
            instance = self.context.name(),
            "{} values of other shows did not arrive and {} arrived late; check the queue limits \
             of the broker",
            self.losses.missed,
            self.losses.reordered
        );
        *self.losses = Losses { reported: Some(now), ..Losses::default() };
    }
}

impl Port for RouterPort<'_, '_, '_> {
    fn publish(&mut self, channel: u32, publication: &Publication) -> bool {
        let mut payload = std::mem::take(self.scratch);
        publication.encode(&mut payload);
        let values = self.values;
        let token = Some((channel, publication.sequence));
        let is_sent =
            self.send(&values[channel as usize], payload.as_bytes(), Some(channel), token);
        *self.scratch = payload;
        is_sent
    }

    fn clear(&mut self, channel: u32) -> bool {
        let values = self.values;
        self.send(&values[channel as usize], b"", Some(channel), None)
    }

    fn announce(&mut self, presence: &Presence) -> bool {
        let topic = self.presence;
        self.send(topic, presence.encode().as_bytes(), None, None)
    }

    fn clear_presence(&mut self, origin: Origin) -> bool {
        let topic = format!("{}/router/{origin}", self.prefix);
        self.send(&topic, b"", None, None)
    }

    fn emit(&mut self, channel: u32, content: &Content) {
        match content {
            Content::Value(value) => self.context.emit(channel, *value),
            Content::Text(text) => self.context.emit_text(channel, text),
        }
    }

    fn missed(&mut self, _: u32, _: Origin, count: u32) {
        self.context.count_dropped(count.into());
        self.losses.missed += u64::from(count);
        self.report();
    }

    fn reordered(&mut self, _: u32, _: Origin) {
        self.context.count_errors(1);
        self.losses.reordered += 1;
        self.report();
    }

    fn dropped(&mut self, count: u32) {
        self.context.count_dropped(count.into());
    }

    fn peer(&mut self, name: &str, is_present: bool) {
        let state = if is_present { "has appeared" } else { "is gone" };
        tracing::info!(instance = self.context.name(), "the show {name:?} {state}");
    }
}

impl Client for Shared {
    type Token = Token;

    fn will(&mut self) -> Option<OwnedWill> {
        let payload = self.core.next_will().encode().into_bytes();
        Some(OwnedWill { topic: self.presence.clone(), payload, qos: self.qos })
    }

    fn event(
        &mut self,
        event: Event<'_, Token>,
        session: &mut Session<Token>,
        context: &mut Context<'_>,
    ) -> usize {
        match event {
            Event::Connected => {
                let presence = format!("{}/router/+", self.config.prefix);
                self.unsent =
                    std::iter::once(presence).chain(self.values.iter().cloned()).collect();
                self.is_joining = true;
                context.set_state(State::Up);
                self.subscribe(session, context);
            }
            Event::Message(message) => {
                self.message(&message, session, context);
                return 1;
            }
            Event::Delivered(token) => {
                if let Some((channel, sequence)) = token {
                    self.core.acknowledged(channel, sequence);
                }
            }
            Event::Refused(_, code) => {
                context.count_errors(1);
                if self.refused.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "the broker refuses a value: {}; check its access rights for `{}/#`; further ones \
                     are only counted",
                        refused_reason(code),
                        self.config.prefix
                    );
                }
            }
            Event::Subscribed(_, codes) => {
                if let Some(code) = codes.iter().find(|code| **code >= 0x80) {
                    context.count_errors(1);
                    tracing::error!(
                        instance = context.name(),
                        "the broker refuses a subscription: {}; check its access rights for \
                         `{}/#`",
                        refused_reason(*code),
                        self.config.prefix
                    );
                }
            }
            Event::Oversized(..) => context.count_errors(1),
        }
        0
    }

    fn lost(&mut self, _: Vec<Token>, context: &mut Context<'_>) {
        self.core.disconnected();
        self.is_joining = false;
        context.set_details(None);
    }

    fn writable(&mut self, session: &mut Session<Token>, context: &mut Context<'_>) {
        self.subscribe(session, context);
        let now = context.now();
        let (core, mut port) = self.split(session, context);
        core.send_waiting(now, &mut port);
    }

    fn deliver(
        &mut self,
        events: &[Value],
        session: &mut Session<Token>,
        context: &mut Context<'_>,
    ) {
        // The other mappings of this show follow at once; the others when the broker passes it on.
        context.pass_on(events);
        let now = context.now();
        let (core, mut port) = self.split(session, context);
        for event in events {
            core.write(event.channel, Content::Value(event.value), now, &mut port);
        }
    }

    fn deliver_text(
        &mut self,
        event: TextEvent<'_>,
        session: &mut Session<Token>,
        context: &mut Context<'_>,
    ) {
        context.pass_on_text(event);
        let now = context.now();
        let (core, mut port) = self.split(session, context);
        core.write(event.channel, Content::Text(event.text.into()), now, &mut port);
    }

    fn deadline(&self) -> Option<Instant> {
        self.core.deadline()
    }

    fn timer(&mut self, session: &mut Session<Token>, context: &mut Context<'_>) {
        let now = context.now();
        let (core, mut port) = self.split(session, context);
        core.timer(now, &mut port);
    }

    fn stop(&mut self, session: &mut Session<Token>, context: &mut Context<'_>) {
        let (core, mut port) = self.split(session, context);
        core.stop(&mut port);
    }

    fn adopt(
        &mut self,
        topics: Topics,
        settings: Settings,
        table: &ChannelTable,
        session: &mut Session<Token>,
        context: &mut Context<'_>,
    ) {
        let values = value_topics(&self.config.prefix, &topics);
        session.change_topics(|channel| table.new_number(channel));
        session.change_tokens(|token| {
            *token =
                token.and_then(|(channel, sequence)| Some((table.new_number(channel)?, sequence)));
        });
        if session.is_open() {
            let is_gone = |channel: &usize| table.new_number(*channel as u32).is_none();
            let gone: Vec<&str> = (0..self.values.len())
                .filter(is_gone)
                .map(|channel| self.values[channel].as_str())
                .collect();
            for chunk in gone.chunks(FILTERS_PER_PACKET) {
                session.unsubscribe(chunk);
            }
            let is_new = |channel: &usize| table.old_number(*channel as u32).is_none();
            self.unsent
                .extend((0..values.len()).filter(is_new).map(|channel| values[channel].clone()));
        }
        self.core.adopt(values.len(), settings.on_loss, |number| table.old_number(number));
        (self.topics, self.values, self.qos) = (topics, values, settings.qos);
        self.subscribe(session, context);
    }
}
