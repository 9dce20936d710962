//! What a show publishes and emits so that all shows end with the same values.
//!
//! The order in which the broker passes publications on decides. A channel is in one of these
//! states, as one show sees it:
//!
//! | state | a foreign publication | the own publication returns |
//! |---|---|---|
//! | nothing outstanding | is emitted | only its position in the order is recorded |
//! | an own publication is outstanding | is not emitted: the own one comes later in the order | nothing is outstanding any more |
//!
//! Example: A writes 0.2 and B writes 0.7 at the same time, and the broker has A before B. A
//! receives its own 0.2 and then 0.7, and emits 0.7. B receives 0.2 while its 0.7 is outstanding,
//! and does not emit it. Both have 0.7.
//!
//! **A connection that was lost.** The broker publishes the will, and the others release the
//! values of that connection. When the show returns, it subscribes and gets what the broker
//! stores. It publishes again what it has written meanwhile, what the broker may not have
//! received, and what was its own and is not replaced, now with the number of its new connection.
//! The return of its own presence marks the point at which everything stored has arrived.
//!
//! **Values of shows that are gone** are deleted at the broker. Each show that has the channel
//! does so after a delay that grows with its rank, unless another one was first. A deletion can
//! overtake a new value; the show that has published it notices the deletion and publishes it
//! again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::wire::{Content, Origin, Presence, Publication, Sequence};

/// The most other shows that are distinguished.
pub(in crate::mqtt) const MAX_PEERS: usize = 64;

/// How long the return of an own publication may take before it is published again; doubled with
/// each attempt, up to eight times.
const RETURN_TIMEOUT: Duration = Duration::from_secs(2);

/// The delay before values of a show that is gone are deleted at the broker, for the first show.
const CLEAR_DELAY: Duration = Duration::from_millis(500);

/// The further delay for each show before this one.
const CLEAR_DELAY_PER_RANK: Duration = Duration::from_millis(250);

/// What becomes of the values of a show that is gone: the option `on-loss`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::mqtt) enum OnLoss {
    /// They stay.
    Hold,
    /// They are replaced.
    Value(f64),
}

impl OnLoss {
    /// Reads the option.
    pub(in crate::mqtt) fn parse(text: &str) -> Option<OnLoss> {
        match text.to_ascii_lowercase().as_str() {
            "hold" => Some(OnLoss::Hold),
            "zero" => Some(OnLoss::Value(0.0)),
            text => {
                let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
                value.map(OnLoss::Value)
            }
        }
    }

    /// Validates the option, for its table.
    pub(in crate::mqtt) fn check(text: &str) -> Result<(), String> {
        let error = || "expected `hold`, `zero` or a value from 0 to 1".to_owned();
        OnLoss::parse(text).map(drop).ok_or_else(error)
    }
}

/// What the core uses: the connection and the router.
pub(in crate::mqtt) trait Port {
    /// Publishes on a channel, retained; returns false if that is not possible now.
    fn publish(&mut self, channel: u32, publication: &Publication) -> bool;
    /// Deletes what the broker stores for a channel; returns false if that is not possible now.
    fn clear(&mut self, channel: u32) -> bool;
    /// Publishes the own presence, retained.
    fn announce(&mut self, presence: &Presence) -> bool;
    /// Deletes the stored presence of a show.
    fn clear_presence(&mut self, origin: Origin) -> bool;
    /// Passes a content to the router.
    fn emit(&mut self, channel: u32, content: &Content);
    /// Reports publications that did not arrive.
    fn missed(&mut self, channel: u32, origin: Origin, count: u32);
    /// Reports a publication that arrived after a later one.
    fn reordered(&mut self, channel: u32, origin: Origin);
    /// Reports own contents that were replaced before they could be sent.
    fn dropped(&mut self, count: u32);
    /// Reports that another show has appeared, or is gone.
    fn peer(&mut self, name: &str, is_present: bool);
}

/// An own publication that has not returned.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    /// Its number once it was sent.
    sent: Option<(Sequence, Instant)>,
    /// Whether the broker has acknowledged it.
    is_acknowledged: bool,
    attempts: u32,
}

/// A shared channel.
#[derive(Debug, Default)]
struct Channel {
    /// What this show has: written here or received.
    content: Option<Content>,
    /// The last publication in the order of the broker.
    order: Option<(Origin, Sequence)>,
    /// A stored content of a show that is not present, which is not emitted.
    hidden: Option<Content>,
    /// Whether the broker stores the last publication, as far as this show knows.
    is_stored: bool,
    /// Whether something has arrived since the subscription.
    is_fresh: bool,
    /// The count of own publications.
    number: u32,
    outstanding: Option<Outstanding>,
    /// Whether it is in the list of channels to be sent.
    is_waiting: bool,
    /// The last number of each other show.
    last: Vec<(Origin, u32)>,
}

/// Another show.
#[derive(Clone, Debug)]
pub(in crate::mqtt) struct Peer {
    pub(in crate::mqtt) name: String,
    pub(in crate::mqtt) connection: u32,
    /// Its round trip through the broker, in microseconds.
    pub(in crate::mqtt) lag: u32,
    /// Whether its presence has arrived since the subscription.
    is_fresh: bool,
    /// Whether this show was connected when it appeared, so that all of its publications must
    /// arrive.
    is_complete: bool,
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Disconnected,
    /// What the broker stores is arriving.
    Synchronizing,
    Synchronized,
}

/// The state of all shared channels of a show.
pub(in crate::mqtt) struct Core {
    origin: Origin,
    name: String,
    on_loss: OnLoss,
    /// The time between two announcements.
    refresh: Duration,
    connection: u32,
    phase: Phase,
    channels: Vec<Channel>,
    waiting: VecDeque<u32>,
    peers: BTreeMap<Origin, Peer>,
    /// Shows that are gone and whose presence is stored at the broker.
    gone: BTreeMap<Origin, u32>,
    clear_at: Option<Instant>,
    announce_at: Option<Instant>,
    announced: Option<Instant>,
    check_at: Option<Instant>,
    /// The last round trip through the broker.
    lag: Option<Duration>,
}

impl Core {
    pub(in crate::mqtt) fn new(
        origin: Origin,
        name: String,
        on_loss: OnLoss,
        refresh: Duration,
        channels: usize,
    ) -> Self {
        Core {
            origin,
            name,
            on_loss,
            refresh,
            connection: 0,
            phase: Phase::Disconnected,
            channels: std::iter::repeat_with(Channel::default).take(channels).collect(),
            waiting: VecDeque::new(),
            peers: BTreeMap::new(),
            gone: BTreeMap::new(),
            clear_at: None,
            announce_at: None,
            announced: None,
            check_at: None,
            lag: None,
        }
    }

    #[cfg(test)]
    pub(in crate::mqtt) fn origin(&self) -> Origin {
        self.origin
    }

    /// The other shows that are present.
    pub(in crate::mqtt) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The last round trip through the broker.
    pub(in crate::mqtt) fn lag(&self) -> Option<Duration> {
        self.lag
    }

    #[cfg(test)]
    pub(in crate::mqtt) fn content(&self, channel: u32) -> Option<&Content> {
        self.channels[channel as usize].content.as_ref()
    }

    #[cfg(test)]
    pub(in crate::mqtt) fn is_settled(&self) -> bool {
        self.phase == Phase::Synchronized
            && self.waiting.is_empty()
            && self.channels.iter().all(|channel| channel.outstanding.is_none())
    }

    /// The presence that the broker publishes when the next connection is lost.
    pub(in crate::mqtt) fn next_will(&self) -> Presence {
        Presence { origin: self.origin, connection: self.connection + 1, present: None }
    }

    /// When [`timer`](Self::timer) is to be called.
    pub(in crate::mqtt) fn deadline(&self) -> Option<Instant> {
        [self.clear_at, self.announce_at, self.check_at].into_iter().flatten().min()
    }

    /// The connection is open and the subscriptions are sent: announces the show.
    pub(in crate::mqtt) fn connected(&mut self, now: Instant, port: &mut impl Port) {
        self.connection += 1;
        self.phase = Phase::Synchronizing;
        self.announce(now, port);
    }

    fn announce(&mut self, now: Instant, port: &mut impl Port) {
        let lag = self.lag.map_or(0, |lag| u32::try_from(lag.as_micros()).unwrap_or(u32::MAX));
        let present = Some((lag, self.name.clone()));
        let presence = Presence { origin: self.origin, connection: self.connection, present };
        if port.announce(&presence) {
            self.announced = Some(now);
            self.announce_at = Some(now + self.refresh);
        } else {
            self.announce_at = Some(now + RETURN_TIMEOUT);
        }
    }

    /// Announces the end.
    pub(in crate::mqtt) fn stop(&mut self, port: &mut impl Port) {
        if self.phase != Phase::Disconnected {
            let presence =
                Presence { origin: self.origin, connection: self.connection, present: None };
            port.announce(&presence);
        }
    }

    /// The connection is lost.
    pub(in crate::mqtt) fn disconnected(&mut self) {
        self.phase = Phase::Disconnected;
        (self.clear_at, self.announce_at, self.check_at, self.announced) = (None, None, None, None);
        for number in 0..self.channels.len() {
            let channel = &mut self.channels[number];
            (channel.is_fresh, channel.is_stored) = (false, false);
            match channel.outstanding {
                // The broker has it, at a place in the order that is not known.
                Some(Outstanding { sent: Some((sequence, _)), is_acknowledged: true, .. }) => {
                    channel.order = Some((self.origin, sequence));
                    channel.outstanding = None;
                }
                Some(_) => self.write_again(number as u32),
                None => {}
            }
        }
        for peer in self.peers.values_mut() {
            (peer.is_fresh, peer.is_complete) = (false, false);
        }
        self.gone.clear();
    }

    /// Puts the content of a channel into the list of those to be sent.
    fn write_again(&mut self, number: u32) {
        let channel = &mut self.channels[number as usize];
        let attempts = channel.outstanding.map_or(0, |outstanding| outstanding.attempts);
        channel.outstanding = Some(Outstanding { sent: None, is_acknowledged: false, attempts });
        if !channel.is_waiting {
            channel.is_waiting = true;
            self.waiting.push_back(number);
        }
    }

    /// Takes a content that a mapping has written. Returns false if it changes nothing because
    /// another show has published the same: mappings between channels that cross several shows
    /// would never end.
    pub(in crate::mqtt) fn write(
        &mut self,
        number: u32,
        content: Content,
        now: Instant,
        port: &mut impl Port,
    ) -> bool {
        let own = self.origin;
        let channel = &mut self.channels[number as usize];
        let is_foreign = channel.order.is_some_and(|(origin, _)| origin != own);
        if is_foreign && channel.outstanding.is_none() && channel.content.as_ref() == Some(&content)
        {
            return false;
        }
        channel.content = Some(content);
        let was_waiting = channel.is_waiting;
        let attempts = 0;
        channel.outstanding = Some(Outstanding { sent: None, is_acknowledged: false, attempts });
        if was_waiting {
            port.dropped(1);
        } else if !(self.phase == Phase::Synchronized
            && self.waiting.is_empty()
            && self.send(number, now, port))
        {
            self.write_again(number);
        }
        true
    }

    /// Publishes the content of a channel; returns false if that is not possible now.
    fn send(&mut self, number: u32, now: Instant, port: &mut impl Port) -> bool {
        let connection = self.connection;
        let channel = &mut self.channels[number as usize];
        let Some(content) = channel.content.clone() else { return true };
        let sequence = Sequence { connection, number: channel.number.wrapping_add(1) };
        let publication = Publication { origin: self.origin, sequence, content };
        if !port.publish(number, &publication) {
            return false;
        }
        channel.number = sequence.number;
        let attempts = channel.outstanding.map_or(0, |outstanding| outstanding.attempts);
        channel.outstanding =
            Some(Outstanding { sent: Some((sequence, now)), is_acknowledged: false, attempts });
        if self.check_at.is_none() {
            self.check_at = Some(now + RETURN_TIMEOUT);
        }
        true
    }

    /// Sends what could not be sent before, until the session is full.
    pub(in crate::mqtt) fn send_waiting(&mut self, now: Instant, port: &mut impl Port) {
        while self.phase == Phase::Synchronized
            && let Some(&number) = self.waiting.front()
        {
            if self.channels[number as usize].outstanding.is_some() && !self.send(number, now, port)
            {
                return;
            }
            self.waiting.pop_front();
            self.channels[number as usize].is_waiting = false;
        }
    }

    /// The broker has acknowledged a publication.
    pub(in crate::mqtt) fn acknowledged(&mut self, number: u32, sequence: Sequence) {
        let Some(channel) = self.channels.get_mut(number as usize) else { return };
        if let Some(outstanding) = &mut channel.outstanding
            && outstanding.sent.is_some_and(|(sent, _)| sent == sequence)
        {
            outstanding.is_acknowledged = true;
        }
    }

    /// Handles a publication on a channel.
    pub(in crate::mqtt) fn received(
        &mut self,
        number: u32,
        publication: Publication,
        is_stored: bool,
        now: Instant,
        port: &mut impl Port,
    ) {
        let Publication { origin, sequence, content } = publication;
        let channel = &mut self.channels[number as usize];
        if is_stored && channel.is_fresh {
            // What was stored before the subscription is older than what has arrived since.
            return;
        }
        if origin == self.origin {
            return self.returned(number, sequence, now);
        }
        let is_same = channel.order == Some((origin, sequence));
        if !is_same {
            self.count_missed(number, origin, sequence, is_stored, port);
        }
        if !is_stored {
            self.note_connection(origin, sequence.connection, port);
        }
        let is_present =
            self.peers.get(&origin).is_some_and(|peer| peer.connection == sequence.connection);
        let channel = &mut self.channels[number as usize];
        let was_hidden = channel.hidden.is_some();
        channel.order = Some((origin, sequence));
        channel.is_fresh = true;
        channel.is_stored = true;
        channel.hidden = None;
        if !is_present {
            channel.hidden = Some(content);
            return self.schedule_clear(now);
        }
        if channel.outstanding.is_some() || (is_same && !was_hidden) {
            return;
        }
        port.emit(number, &content);
        channel.content = Some(content);
    }

    /// An own publication has returned.
    fn returned(&mut self, number: u32, sequence: Sequence, now: Instant) {
        let channel = &mut self.channels[number as usize];
        channel.order = Some((self.origin, sequence));
        channel.is_fresh = true;
        channel.is_stored = true;
        channel.hidden = None;
        if let Some(Outstanding { sent: Some((sent, time)), .. }) = channel.outstanding
            && sent == sequence
        {
            channel.outstanding = None;
            self.lag = Some(now.saturating_duration_since(time));
        }
    }

    /// Compares the number of a publication with the last one of its origin.
    fn count_missed(
        &mut self,
        number: u32,
        origin: Origin,
        sequence: Sequence,
        is_stored: bool,
        port: &mut impl Port,
    ) {
        let is_complete = self.peers.get(&origin).is_some_and(|peer| peer.is_complete);
        let channel = &mut self.channels[number as usize];
        let last = match channel.last.iter_mut().find(|(other, _)| *other == origin) {
            Some((_, last)) => last,
            None => {
                if channel.last.len() >= MAX_PEERS {
                    channel.last.retain(|(origin, _)| self.peers.contains_key(origin));
                }
                let first = if is_complete { 0 } else { sequence.number.wrapping_sub(1) };
                channel.last.push((origin, first));
                &mut channel.last.last_mut().expect("one was just pushed").1
            }
        };
        match sequence.number.wrapping_sub(*last) {
            0 => {}
            step if step <= u32::MAX / 2 => {
                *last = sequence.number;
                if step > 1 {
                    port.missed(number, origin, step - 1);
                }
            }
            _ if !is_stored => port.reordered(number, origin),
            _ => {}
        }
    }

    /// A value proves that its origin is present, even if its presence has not arrived.
    fn note_connection(&mut self, origin: Origin, connection: u32, port: &mut impl Port) {
        match self.peers.get_mut(&origin) {
            Some(peer) => {
                peer.connection = peer.connection.max(connection);
                peer.is_fresh = true;
            }
            None => {
                let name = origin.to_string();
                self.add_peer(origin, connection, 0, name, false, port);
            }
        }
    }

    fn add_peer(
        &mut self,
        origin: Origin,
        connection: u32,
        lag: u32,
        name: String,
        is_complete: bool,
        port: &mut impl Port,
    ) {
        if self.peers.len() < MAX_PEERS {
            port.peer(&name, true);
            let peer = Peer { name, connection, lag, is_fresh: true, is_complete };
            self.peers.insert(origin, peer);
        }
    }

    /// The stored content of a channel was deleted.
    pub(in crate::mqtt) fn cleared(&mut self, number: u32, now: Instant, port: &mut impl Port) {
        let own = self.origin;
        let channel = &mut self.channels[number as usize];
        channel.is_stored = false;
        // A value that was deleted meanwhile is released when everything stored has arrived.
        channel.is_fresh = self.phase == Phase::Synchronized;
        channel.hidden = None;
        let is_own = channel.order.is_some_and(|(origin, _)| origin == own);
        if is_own && channel.outstanding.is_none() {
            self.write_again(number);
            self.send_waiting(now, port);
        }
    }

    /// Handles a payload of a presence topic.
    pub(in crate::mqtt) fn presence(
        &mut self,
        presence: Presence,
        is_stored: bool,
        now: Instant,
        port: &mut impl Port,
    ) {
        let Presence { origin, connection, present } = presence;
        if origin == self.origin {
            return self.own_presence(connection, present.is_some(), is_stored, now, port);
        }
        let Some((lag, name)) = present else {
            return self.peer_gone(origin, connection, now, port);
        };
        self.gone.remove(&origin);
        match self.peers.get_mut(&origin) {
            Some(peer) if peer.connection > connection => return,
            Some(peer) => {
                (peer.connection, peer.lag, peer.is_fresh) = (connection, lag, true);
                peer.name = name;
            }
            None => {
                let is_complete =
                    !is_stored && self.phase == Phase::Synchronized && connection == 1;
                self.add_peer(origin, connection, lag, name, is_complete, port);
            }
        }
        for (number, channel) in (0..).zip(&mut self.channels) {
            let is_shown = channel.order.is_some_and(|(other, sequence)| {
                other == origin && sequence.connection == connection
            });
            if is_shown
                && let Some(content) = channel.hidden.take()
                && channel.outstanding.is_none()
                && channel.content.as_ref() != Some(&content)
            {
                port.emit(number, &content);
                channel.content = Some(content);
            }
        }
    }

    /// The presence topic of this show has a payload.
    fn own_presence(
        &mut self,
        connection: u32,
        is_present: bool,
        is_stored: bool,
        now: Instant,
        port: &mut impl Port,
    ) {
        let is_current = connection == self.connection && is_present;
        if self.phase == Phase::Synchronizing && is_current && !is_stored {
            self.note_return(now);
            self.synchronized(now, port);
        } else if is_current && !is_stored {
            self.note_return(now);
        } else if !is_stored && self.phase != Phase::Disconnected {
            // The will of an earlier connection has replaced the presence of this one.
            self.announce(now, port);
        }
    }

    fn note_return(&mut self, now: Instant) {
        if let Some(time) = self.announced.take() {
            self.lag = Some(now.saturating_duration_since(time));
        }
    }

    /// The stored presence of a show was deleted.
    pub(in crate::mqtt) fn presence_cleared(
        &mut self,
        origin: Origin,
        now: Instant,
        port: &mut impl Port,
    ) {
        self.gone.remove(&origin);
        if origin == self.origin && self.phase != Phase::Disconnected {
            self.announce(now, port);
        }
    }

    /// A connection of another show has ended.
    fn peer_gone(&mut self, origin: Origin, connection: u32, now: Instant, port: &mut impl Port) {
        match self.peers.get(&origin) {
            Some(peer) if peer.connection > connection => return,
            Some(_) => self.remove_peer(origin, connection, port),
            None => {}
        }
        if self.gone.len() < MAX_PEERS {
            self.gone.insert(origin, connection);
        }
        self.schedule_clear(now);
    }

    fn remove_peer(&mut self, origin: Origin, connection: u32, port: &mut impl Port) {
        if let Some(peer) = self.peers.remove(&origin) {
            port.peer(&peer.name, false);
        }
        for number in 0..self.channels.len() {
            let channel = &mut self.channels[number];
            let is_released = channel.order.is_some_and(|(other, sequence)| {
                other == origin && sequence.connection <= connection
            });
            if is_released && channel.outstanding.is_none() && channel.hidden.is_none() {
                // The show may prove to be present after all: another one can have deleted the
                // presence of its earlier connection too late.
                if channel.is_stored {
                    channel.hidden.clone_from(&channel.content);
                }
                self.release(number as u32, port);
            }
        }
    }

    /// Replaces the value of a show that is gone. Texts stay.
    fn release(&mut self, number: u32, port: &mut impl Port) {
        let channel = &mut self.channels[number as usize];
        if let (OnLoss::Value(value), Some(Content::Value(_))) = (self.on_loss, &channel.content) {
            let content = Content::Value(value);
            if channel.content.as_ref() != Some(&content) {
                port.emit(number, &content);
                channel.content = Some(content);
            }
        }
    }

    /// Everything that the broker stores has arrived.
    fn synchronized(&mut self, now: Instant, port: &mut impl Port) {
        self.phase = Phase::Synchronized;
        let silent: Vec<(Origin, u32)> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.is_fresh)
            .map(|(origin, peer)| (*origin, peer.connection))
            .collect();
        for (origin, connection) in silent {
            self.remove_peer(origin, connection, port);
        }
        for number in 0..self.channels.len() as u32 {
            let channel = &self.channels[number as usize];
            match channel.order {
                _ if channel.outstanding.is_some() => {}
                Some((origin, _)) if origin == self.origin => self.write_again(number),
                // Its show is gone: the value was deleted meanwhile, or will be.
                Some(_) if !channel.is_fresh || channel.hidden.is_some() => {
                    self.release(number, port);
                }
                _ => {}
            }
        }
        self.send_waiting(now, port);
        self.schedule_clear(now);
    }

    /// Schedules the deletion of what shows that are gone have left, if there is any.
    fn schedule_clear(&mut self, now: Instant) {
        if self.phase == Phase::Synchronized && self.clear_at.is_none() && self.has_left_overs() {
            let rank = self.peers.keys().filter(|origin| **origin < self.origin).count() as u32;
            self.clear_at = Some(now + CLEAR_DELAY + CLEAR_DELAY_PER_RANK * rank);
        }
    }

    /// Whether a channel stores a value of a connection that is gone.
    fn is_left_over(&self, channel: &Channel) -> bool {
        channel.is_stored
            && channel.order.is_some_and(|(origin, sequence)| {
                origin != self.origin
                    && self
                        .peers
                        .get(&origin)
                        .is_none_or(|peer| peer.connection > sequence.connection)
            })
    }

    fn has_left_overs(&self) -> bool {
        !self.gone.is_empty() || self.channels.iter().any(|channel| self.is_left_over(channel))
    }

    /// Does what is due.
    pub(in crate::mqtt) fn timer(&mut self, now: Instant, port: &mut impl Port) {
        if self.announce_at.is_some_and(|time| time <= now) {
            self.announce(now, port);
        }
        if self.clear_at.is_some_and(|time| time <= now) {
            self.clear_at = None;
            self.clear_left_overs(port);
            self.schedule_clear(now);
        }
        if self.check_at.is_some_and(|time| time <= now) {
            self.check_returns(now, port);
        }
        self.send_waiting(now, port);
    }

    /// Deletes the values of shows that are gone, until the session is full.
    fn clear_left_overs(&mut self, port: &mut impl Port) {
        for number in 0..self.channels.len() {
            if self.is_left_over(&self.channels[number]) {
                if !port.clear(number as u32) {
                    return;
                }
                self.channels[number].is_stored = false;
            }
        }
        while let Some((&origin, _)) = self.gone.first_key_value() {
            if !port.clear_presence(origin) {
                return;
            }
            self.gone.remove(&origin);
        }
    }

    /// Publishes again what has not returned in time: the broker may have dropped it.
    fn check_returns(&mut self, now: Instant, port: &mut impl Port) {
        let mut next = None;
        for number in 0..self.channels.len() as u32 {
            let channel = &mut self.channels[number as usize];
            let Some(outstanding) = &mut channel.outstanding else { continue };
            let Some((_, time)) = outstanding.sent else { continue };
            let due = time + RETURN_TIMEOUT * (1 << outstanding.attempts.min(3));
            if due <= now {
                outstanding.attempts += 1;
                self.write_again(number);
                next = Some(now + RETURN_TIMEOUT);
            } else {
                next = next.into_iter().chain([due]).min();
            }
        }
        self.check_at = next;
        self.send_waiting(now, port);
    }

    /// Takes the channels of a new plan: `old_number` gives the number before, if there was one.
    pub(in crate::mqtt) fn adopt(
        &mut self,
        count: usize,
        on_loss: OnLoss,
        old_number: impl Fn(u32) -> Option<u32>,
    ) {
        let mut old: Vec<Channel> = std::mem::take(&mut self.channels);
        self.channels = (0..count as u32)
            .map(|number| match old_number(number) {
                Some(old_number) => std::mem::take(&mut old[old_number as usize]),
                None => Channel::default(),
            })
            .collect();
        self.on_loss = on_loss;
        let is_waiting = |number: &u32| self.channels[*number as usize].is_waiting;
        self.waiting = (0..count as u32).filter(is_waiting).collect();
    }
}
