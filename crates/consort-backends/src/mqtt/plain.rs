//! An instance whose channels are topics of other programs.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::{
    ChannelTable, Context, Event as Value, RawValue, Sender, State, TextEvent, Unmatched, WarnOnce,
};
use serde_json::{Map, Value as Json};

use super::client::Client;
use super::config::{Announcement, Settings};
use super::decode::Message;
use super::encode::{Filter, Publication, Qos, Version};
use super::json;
use super::session::{Event, OwnedWill, Queued, Session, refused_reason};
use super::topics::Topics;
use super::values::{Format, Reading};

/// The most filters of one SUBSCRIBE packet.
const FILTERS_PER_PACKET: usize = 64;

/// While this many bytes wait, no further subscriptions are sent.
const SUBSCRIPTION_BYTES: usize = 64 * 1024;

/// The most publications of a topic whose return is expected, with MQTT 3.1.1.
const MAX_ECHOES: usize = 64;

/// How long the return of a publication is expected.
const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// The most members of an unmatched JSON document that are reported.
const MAX_UNMATCHED_MEMBERS: usize = 32;

/// The channel of a publication whose channel a reload has removed.
const REMOVED: u32 = u32::MAX;

/// What a channel publishes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Value(f64),
    Text(Box<str>),
}

/// A publication that is not acknowledged: the channels whose contents it has.
pub(super) type Unacknowledged = Box<[(u32, Content)]>;

/// A publication to a topic that is also a source, with MQTT 3.1.1: its hash and its time.
type Echo = (u64, Instant);

/// An instance with topics of other programs.
pub(super) struct Plain {
    topics: Topics,
    settings: Settings,
    detect: Rc<Cell<bool>>,
    /// The filters that are subscribed to, and those that are not sent yet.
    subscribed: Vec<String>,
    unsent: VecDeque<String>,
    /// The filters of SUBSCRIBE packets that are not answered, by their number.
    requested: VecDeque<(u16, Vec<String>)>,
    /// Publications of a lost connection, to be sent first.
    again: VecDeque<Unacknowledged>,
    /// The channels whose content could not be sent, in order, and the newest content of each.
    waiting: VecDeque<u32>,
    contents: Vec<Option<Content>>,
    /// By topic.
    echoes: Vec<VecDeque<Echo>>,
    hasher: RandomState,
    /// Members of JSON documents that are collected during a delivery, by topic.
    members: Vec<(u32, Vec<(u32, Content)>)>,
    scratch: String,
    is_stopping: bool,
    oversized: WarnOnce,
    refused: WarnOnce,
    not_numbers: WarnOnce,
    too_large: WarnOnce,
}

impl Plain {
    pub(super) fn new(topics: Topics, settings: Settings, detect: Rc<Cell<bool>>) -> Self {
        Plain {
            contents: vec![None; topics.channels.len()],
            echoes: vec![VecDeque::new(); topics.list.len()],
            topics,
            settings,
            detect,
            subscribed: Vec::new(),
            unsent: VecDeque::new(),
            requested: VecDeque::new(),
            again: VecDeque::new(),
            waiting: VecDeque::new(),
            hasher: RandomState::new(),
            members: Vec::new(),
            scratch: String::new(),
            is_stopping: false,
            oversized: WarnOnce::default(),
            refused: WarnOnce::default(),
            not_numbers: WarnOnce::default(),
            too_large: WarnOnce::default(),
        }
    }

    fn filters(&self, context: &Context<'_>) -> Vec<String> {
        self.topics.subscriptions(self.detect.get() || context.is_observed())
    }

    fn connected(&mut self, session: &mut Session<Unacknowledged>, context: &mut Context<'_>) {
        self.echoes.iter_mut().for_each(VecDeque::clear);
        self.requested.clear();
        self.subscribed = self.filters(context);
        self.unsent = self.subscribed.iter().cloned().collect();
        self.subscribe(session);
        self.announce(self.settings.birth.clone(), session);
        context.set_state(State::Up);
        self.send_waiting(session, context);
    }

    /// Publishes a birth or will, retained.
    fn announce(
        &mut self,
        announcement: Option<Announcement>,
        session: &mut Session<Unacknowledged>,
    ) {
        if let Some((topic, payload)) = announcement {
            let payload = payload.as_bytes();
            let publication =
                Publication { topic: &topic, payload, qos: self.settings.qos, retain: true };
            session.publish(&publication, None, Box::default);
        }
    }

    /// Sends subscriptions as far as the output buffer allows.
    fn subscribe(&mut self, session: &mut Session<Unacknowledged>) {
        while !self.unsent.is_empty() && session.outgoing().len() < SUBSCRIPTION_BYTES {
            let count = self.unsent.len().min(FILTERS_PER_PACKET);
            let chunk: Vec<String> = self.unsent.drain(..count).collect();
            let filter =
                |filter: &String| self.topics.find(filter).is_some_and(|topic| topic.has_target);
            let filters: Vec<Filter<'_>> = chunk
                .iter()
                .map(|text| Filter {
                    filter: text,
                    qos: self.settings.qos,
                    // What this show publishes must not come back, also through a wildcard.
                    no_local: filter(text) || text.contains(['+', '#']),
                })
                .collect();
            let id = session.subscribe(&filters);
            self.requested.push_back((id, chunk));
        }
    }

    fn subscribed(&mut self, id: u16, codes: &[u8], context: &mut Context<'_>) {
        let Some(index) = self.requested.iter().position(|(other, _)| *other == id) else { return };
        let Some((_, filters)) = self.requested.remove(index) else { return };
        for (filter, code) in filters.iter().zip(codes).filter(|(_, code)| **code >= 0x80) {
            context.count_errors(1);
            tracing::error!(
                instance = context.name(),
                "the broker refuses the subscription to `{filter}`: {}",
                refused_reason(*code)
            );
        }
    }

    /// Handles a message; returns how many values it had.
    fn message(
        &mut self,
        message: &Message<'_>,
        is_v311: bool,
        context: &mut Context<'_>,
    ) -> usize {
        context.count_input(1);
        if self.detect.get() {
            let text = String::from_utf8_lossy(message.payload);
            tracing::info!(
                target: "detect",
                instance = context.name(),
                "detected {:?} {:?}{}",
                message.topic,
                text,
                if message.retain { " (retained)" } else { "" }
            );
        }
        if message.payload.is_empty() || (is_v311 && self.is_echo(message, context.now())) {
            return 0;
        }
        let Ok(text) = std::str::from_utf8(message.payload) else {
            let raw = RawValue::Bytes(message.payload.len());
            let input = Unmatched { types: "bytes", raw, value: None, sender: Sender::Unknown };
            context.unmatched(input, |channel| channel.push_str(message.topic));
            return 0;
        };
        let mut document = None;
        let (mut count, mut is_matched) = (0, false);
        let (topics, warn) = (&self.topics, &mut self.not_numbers);
        topics.matching(message.topic, |channels| {
            for &number in channels {
                let channel = &topics.channels[number as usize];
                if !channel.is_source {
                    continue;
                }
                is_matched = true;
                let Some(names) = &channel.pointer else {
                    count += emit(number, &channel.format, text, warn, context);
                    continue;
                };
                let document = document.get_or_insert_with(|| parse(text));
                let member = document.as_ref().and_then(|document| json::member(document, names));
                if let Some(text) = member.and_then(json::scalar) {
                    count += emit(number, &channel.format, &text, warn, context);
                }
            }
        });
        if !is_matched {
            unmatched(message.topic, None, text, context);
        }
        if context.is_observed() && text.trim_start().starts_with(['{', '[']) {
            count += self.unmatched_members(
                message.topic,
                document.unwrap_or_else(|| parse(text)),
                context,
            );
        }
        count
    }

    /// Reports the members of a document that no mapping uses, so that they can be mapped.
    fn unmatched_members(
        &self,
        topic: &str,
        document: Option<Json>,
        context: &mut Context<'_>,
    ) -> usize {
        let mut count = 0;
        let Some(document) = document else { return 0 };
        json::scalars(&document, MAX_UNMATCHED_MEMBERS, &mut |pointer, value| {
            let is_mapped = self.topics.find(topic).is_some_and(|found| {
                let name = |channel: &u32| &self.topics.channels[*channel as usize].name;
                found.channels.iter().map(name).any(|name| {
                    name.strip_prefix(topic).and_then(|rest| rest.strip_prefix('#'))
                        == Some(pointer)
                })
            });
            if !is_mapped && let Some(text) = json::scalar(value) {
                count += 1;
                unmatched(topic, Some(pointer), &text, context);
            }
        });
        count
    }

    /// Whether a message is a publication of this instance that has come back: MQTT 3.1.1 cannot
    /// exclude them.
    fn is_echo(&mut self, message: &Message<'_>, now: Instant) -> bool {
        let hash = self.hasher.hash_one(message.payload);
        let mut is_echo = false;
        if let Some(index) = self.topics.index(message.topic)
            && !message.retain
        {
            let echoes = &mut self.echoes[index as usize];
            echoes.retain(|(_, time)| now.saturating_duration_since(*time) < ECHO_TIMEOUT);
            if let Some(offset) = echoes.iter().position(|(other, _)| *other == hash) {
                echoes.drain(..=offset);
                is_echo = true;
            }
        }
        is_echo
    }

    /// Publishes the contents of channels of one topic: one channel, or members of a document.
    fn publish(
        &mut self,
        contents: &[(u32, Content)],
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) -> Queued {
        let Some(&(first, _)) = contents.first() else { return Queued::Yes };
        let Some(channel) = self.topics.channels.get(first as usize) else { return Queued::Yes };
        let (number, is_member) = (channel.topic, channel.pointer.is_some());
        self.scratch.clear();
        let mut has_text = false;
        if is_member {
            let mut object = Map::new();
            for (channel, content) in contents {
                let channel = &self.topics.channels[*channel as usize];
                let names = channel.pointer.as_deref().unwrap_or_default();
                let mut text = String::new();
                let value = match content {
                    Content::Text(text) => Json::String(text.to_string()),
                    Content::Value(value) => {
                        if !channel.format.write(*value, self.settings.decimals, &mut text) {
                            continue;
                        }
                        json::literal(&text)
                    }
                };
                json::set(&mut object, names, value);
                has_text = true;
            }
            let _ = write!(self.scratch, "{}", Json::Object(object));
        } else {
            has_text = match &contents[0].1 {
                Content::Value(value) => {
                    channel.format.write(*value, self.settings.decimals, &mut self.scratch)
                }
                Content::Text(text) => {
                    self.scratch.push_str(text);
                    true
                }
            };
        }
        if !has_text {
            return Queued::Yes;
        }
        let topic = &self.topics.list[number as usize];
        let publication = Publication {
            topic: &topic.name,
            payload: self.scratch.as_bytes(),
            qos: self.settings.qos,
            retain: self.settings.retain,
        };
        let queued = session.publish(&publication, Some(number), || contents.into());
        match queued {
            Queued::Yes if session.version() == Version::V311 && topic.has_source => {
                let echoes = &mut self.echoes[number as usize];
                if echoes.len() == MAX_ECHOES {
                    echoes.pop_front();
                }
                let hash = self.hasher.hash_one(self.scratch.as_bytes());
                echoes.push_back((hash, context.now()));
            }
            Queued::TooLarge => {
                context.count_dropped(1);
                if self.too_large.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "the broker does not accept messages as large as that to `{}`",
                        topic.name
                    );
                }
            }
            _ => {}
        }
        queued
    }

    /// Whether the newest content of a channel is kept while it cannot be sent.
    fn keeps_newest(&self) -> bool {
        self.settings.qos != Qos::AtMostOnce || self.settings.retain
    }

    /// Publishes contents, or keeps the newest of each channel for later.
    fn publish_or_keep(
        &mut self,
        contents: &[(u32, Content)],
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) {
        if self.waiting.is_empty()
            && self.again.is_empty()
            && self.publish(contents, session, context) != Queued::Full
        {
            return;
        }
        if !self.keeps_newest() {
            return context.count_dropped(contents.len() as u64);
        }
        for (channel, content) in contents {
            match self.contents[*channel as usize].replace(content.clone()) {
                None => self.waiting.push_back(*channel),
                Some(_) => context.count_dropped(1),
            }
        }
    }

    /// Sends what could not be sent before, until the session is full.
    fn send_waiting(&mut self, session: &mut Session<Unacknowledged>, context: &mut Context<'_>) {
        while let Some(contents) = self.again.pop_front() {
            if self.publish(&contents, session, context) == Queued::Full {
                self.again.push_front(contents);
                return;
            }
        }
        while let Some(&channel) = self.waiting.front() {
            let Some(content) = self.contents[channel as usize].take() else {
                self.waiting.pop_front();
                continue;
            };
            let contents = [(channel, content)];
            if self.publish(&contents, session, context) == Queued::Full {
                let [(_, content)] = contents;
                self.contents[channel as usize] = Some(content);
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Adds a member to the document of its topic. A second content of the same channel publishes
    /// the document first.
    fn collect(
        &mut self,
        channel: u32,
        content: Content,
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) {
        let topic = self.topics.channels[channel as usize].topic;
        let index = self.members.iter().position(|(other, _)| *other == topic);
        let index = index.unwrap_or_else(|| {
            self.members.push((topic, Vec::new()));
            self.members.len() - 1
        });
        if self.members[index].1.iter().any(|(other, _)| *other == channel) {
            let contents = std::mem::take(&mut self.members[index].1);
            self.publish_or_keep(&contents, session, context);
        }
        self.members[index].1.push((channel, content));
    }
}

/// Parses a document; `None` if it is not JSON or too large.
fn parse(text: &str) -> Option<Json> {
    if text.len() > json::MAX_DOCUMENT_BYTES { None } else { serde_json::from_str(text).ok() }
}

/// Emits a text that has arrived on a channel; returns 1.
fn emit(
    number: u32,
    format: &Format,
    text: &str,
    not_numbers: &mut WarnOnce,
    context: &mut Context<'_>,
) -> usize {
    match format.read(text) {
        Reading::Value(value) => context.emit(number, value),
        Reading::Text => context.emit_text(number, text),
        Reading::NotANumber => {
            context.count_dropped(1);
            if not_numbers.is_first() {
                tracing::warn!(instance = context.name(), "NaN is not a value and is dropped");
            }
        }
    }
    1
}

/// Reports input that no mapping uses.
fn unmatched(topic: &str, pointer: Option<&str>, text: &str, context: &mut Context<'_>) {
    let (types, raw, value) = match Format::Plain.read(text) {
        Reading::Value(value) => match text.trim().parse() {
            Ok(number) => ("number", RawValue::Number(number), Some(value)),
            Err(_) => ("text", RawValue::Text(text), Some(value)),
        },
        _ => ("text", RawValue::Text(text), None),
    };
    context.unmatched(Unmatched { types, raw, value, sender: Sender::Unknown }, |channel| {
        channel.push_str(topic);
        if let Some(pointer) = pointer {
            channel.push('#');
            channel.push_str(pointer);
        }
    });
}

impl Client for Plain {
    type Token = Unacknowledged;

    fn will(&mut self) -> Option<OwnedWill> {
        let (topic, payload) = self.settings.will.clone()?;
        Some(OwnedWill { topic, payload: payload.into_bytes(), qos: self.settings.qos })
    }

    fn event(
        &mut self,
        event: Event<'_, Unacknowledged>,
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) -> usize {
        match event {
            Event::Connected => self.connected(session, context),
            Event::Subscribed(id, codes) => self.subscribed(id, codes, context),
            Event::Message(message) => {
                return self.message(&message, session.version() == Version::V311, context);
            }
            Event::Delivered(_) => {}
            Event::Refused(contents, code) => {
                context.count_errors(1);
                let channel = contents.first().map_or(REMOVED, |(channel, _)| *channel);
                if let Some(channel) = self.topics.channels.get(channel as usize)
                    && self.refused.is_first()
                {
                    tracing::warn!(
                        instance = context.name(),
                        "the broker refuses a value of `{}`: {}; further ones are only counted",
                        channel.name,
                        refused_reason(code)
                    );
                }
            }
            Event::Oversized(topic, size) => {
                context.count_input(1);
                context.count_dropped(1);
                if self.oversized.is_first() {
                    tracing::warn!(
                        instance = context.name(),
                        "skipped a message of {size} bytes to {topic:?}; further ones are only \
                         counted"
                    );
                }
            }
        }
        0
    }

    fn lost(&mut self, lost: Vec<Unacknowledged>, _: &mut Context<'_>) {
        // They were sent before those that are still to be sent again.
        for contents in lost.into_iter().rev() {
            let is_known = contents.iter().all(|(channel, _)| *channel != REMOVED);
            if is_known && !contents.is_empty() {
                self.again.push_front(contents);
            }
        }
    }

    fn writable(&mut self, session: &mut Session<Unacknowledged>, context: &mut Context<'_>) {
        self.subscribe(session);
        self.send_waiting(session, context);
    }

    fn deliver(
        &mut self,
        events: &[Value],
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) {
        for event in events {
            let channel = &self.topics.channels[event.channel as usize];
            if !channel.is_target {
                continue;
            }
            let content = Content::Value(event.value);
            match channel.pointer {
                None => self.publish_or_keep(&[(event.channel, content)], session, context),
                Some(_) => self.collect(event.channel, content, session, context),
            }
        }
        let mut members = std::mem::take(&mut self.members);
        for (_, contents) in &members {
            self.publish_or_keep(contents, session, context);
        }
        members.clear();
        self.members = members;
    }

    fn deliver_text(
        &mut self,
        event: TextEvent<'_>,
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) {
        if self.topics.channels[event.channel as usize].is_target {
            let content = Content::Text(event.text.into());
            self.publish_or_keep(&[(event.channel, content)], session, context);
        }
    }

    fn stop(&mut self, session: &mut Session<Unacknowledged>, _: &mut Context<'_>) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            // A clean end does not trigger the will.
            self.announce(self.settings.will.clone(), session);
        }
    }

    fn adopt(
        &mut self,
        topics: Topics,
        settings: Settings,
        table: &ChannelTable,
        session: &mut Session<Unacknowledged>,
        context: &mut Context<'_>,
    ) {
        let new_number = |channel: u32| table.new_number(channel).unwrap_or(REMOVED);
        let change = |contents: &mut Unacknowledged| {
            contents.iter_mut().for_each(|(channel, _)| *channel = new_number(*channel));
        };
        session.change_tokens(change);
        self.again.iter_mut().for_each(change);
        self.again.retain(|contents| contents.iter().all(|(channel, _)| *channel != REMOVED));
        let mut contents = vec![None; topics.channels.len()];
        for channel in self.waiting.drain(..).collect::<Vec<_>>() {
            let new = new_number(channel);
            if new != REMOVED {
                contents[new as usize] = self.contents[channel as usize].take();
                self.waiting.push_back(new);
            }
        }
        self.contents = contents;
        self.echoes = vec![VecDeque::new(); topics.list.len()];
        // The numbers of topics have changed, and with them the aliases.
        session.change_topics(|index| {
            let old = self.topics.list.get(index as usize)?;
            topics.index(&old.name)
        });
        self.topics = topics;
        self.settings = settings;
        let filters = self.filters(context);
        if session.is_open() {
            let old: HashSet<&str> = self.subscribed.iter().map(String::as_str).collect();
            let new: HashSet<&str> = filters.iter().map(String::as_str).collect();
            let gone: Vec<&str> = old.difference(&new).copied().collect();
            for chunk in gone.chunks(FILTERS_PER_PACKET) {
                session.unsubscribe(chunk);
            }
            self.unsent.retain(|filter| new.contains(filter.as_str()));
            self.unsent.extend(new.difference(&old).map(|filter| (*filter).to_owned()));
        }
        self.subscribed = filters;
        self.subscribe(session);
    }
}
