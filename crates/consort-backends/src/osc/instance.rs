//! An instance while it is configured, and as the router runs it.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

#[cfg(feature = "oscquery")]
use std::net::SocketAddr;

use consort_osc::MessageBuilder;
use consort_router::inspect::{ChannelReport, InstanceReport, RawInput};
use consort_router::{
    ChannelError, ChannelTable, Context, Driver, Endpoints, Event, Instance, InstanceId, Plan,
    Problems, Readiness, Resolution, TextEvent, Usage, downcast, driver,
};
#[cfg(feature = "oscquery")]
use consort_web::{Namespace, QueryNode};

use super::carrier::Carrier;
use super::config::{Config, Destination, LearnedPeer, SharedBind, Transport};
use super::datagram::Datagrams;
use super::outputs::Outputs;
use super::paths::Paths;
#[cfg(feature = "oscquery")]
use super::query::QueryService;
use super::receiver::Receiver;
use super::stream::Streams;
use super::{TCP_KIND, UDP_KIND};
use crate::mdns::{Directory, FOUND, MdnsDriver};
use crate::net::{Allow, HostPort};

/// One `[osc NAME]` section before it runs.
pub(super) struct OscPlan {
    name: String,
    bind: Option<HostPort>,
    destination: Destination,
    transport: Transport,
    allow: Allow,
    learned_peer: LearnedPeer,
    paths: Paths,
    /// The messages to send; none before [`Plan::prepare`].
    outputs: Option<Outputs>,
    shared_bind: Arc<SharedBind>,
    #[cfg(feature = "oscquery")]
    query: Option<SocketAddr>,
    /// The addresses for `query`; none before the messages to send are prepared.
    #[cfg(feature = "oscquery")]
    nodes: Vec<QueryNode>,
}

impl OscPlan {
    pub(super) fn new(name: String, config: Config, shared_bind: Arc<SharedBind>) -> Self {
        OscPlan {
            name,
            bind: config.bind,
            destination: config.destination,
            transport: config.transport,
            allow: config.allow,
            learned_peer: config.learned_peer,
            paths: Paths::new(config.root, config.patterns),
            outputs: None,
            shared_bind,
            #[cfg(feature = "oscquery")]
            query: config.query,
            #[cfg(feature = "oscquery")]
            nodes: Vec::new(),
        }
    }

    /// Builds the messages to send, and the addresses for `query`, unless both exist.
    fn complete(&mut self) {
        if self.outputs.is_none() {
            #[cfg(feature = "oscquery")]
            if self.query.is_some() {
                self.nodes = self.paths.nodes();
            }
            self.outputs = Some(self.paths.prepare());
        }
    }

    /// Whether the configuration allows for sending.
    fn sends(&self) -> bool {
        self.transport != Transport::Datagrams || self.destination != Destination::None
    }

    /// How the instance is announced, if this computer has a name for others.
    fn announcement(&self, host: Option<String>) -> Option<Announcement> {
        let bind = self.bind.as_ref().filter(|_| !self.has_yielded())?;
        // Nobody else reaches it otherwise.
        let is_local = match bind.literal() {
            Some(address) => address.ip().is_loopback(),
            None => bind.host == "localhost",
        };
        let kind = if self.transport == Transport::Datagrams { UDP_KIND } else { TCP_KIND };
        let (name, port) = (self.name.clone(), bind.port);
        host.filter(|_| !is_local).map(|host| Announcement { kind, name, host, port })
    }

    /// Whether another instance got the port.
    fn has_yielded(&self) -> bool {
        self.shared_bind.yielded.load(Relaxed)
    }
}

impl Plan for OscPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = self.paths.channel(specification, usage)?;
        if usage == Usage::Source {
            self.shared_bind.receives.store(true, Relaxed);
        }
        Ok(channel)
    }

    fn endpoints(&self) -> Endpoints {
        let place = |host: &str, port: u16| {
            let host = if matches!(host, "localhost" | "::1") { "127.0.0.1" } else { host };
            format!("osc {host} {port} {}", self.paths.root())
        };
        let mut endpoints = Endpoints::default();
        if self.transport != Transport::Datagrams {
            return endpoints;
        }
        if let Some(HostPort { host, port }) = self.bind.as_ref().filter(|_| !self.has_yielded()) {
            endpoints.hears.push(place(host, *port));
            if matches!(host.as_str(), "0.0.0.0" | "::") {
                endpoints.hears.push(place("127.0.0.1", *port));
            }
        }
        if let Destination::Fixed(HostPort { host, port }) = &self.destination {
            endpoints.sends.push(place(host, *port));
        }
        endpoints
    }

    fn repeats(&self, channel: u32) -> bool {
        self.paths.is_always(channel)
    }

    fn check(&self, problems: &mut Problems) {
        if !self.sends() && self.paths.has_targets() {
            problems
                .warning(None, "values are mapped to this instance, but it sends nothing")
                .hint("add `destination = HOST PORT` to send");
        }
        for (address, option) in self.paths.undescribed() {
            let name = option.name();
            let message = format!("no option describes `{address}`: it is sent as a float");
            problems.warning(None, message).hint(if option.is_literal() {
                format!("write `{name}` as the address is written: upper and lower case differ")
            } else {
                format!(
                    "in `{name}`, `*` matches within one part of an address and not `/`, unlike \
                     in MIDIMonster: write a `*` for each part"
                )
            });
        }
        let reported: Vec<&str> =
            self.paths.undescribed().into_iter().map(|(address, _)| address).collect();
        let misspelt = self.paths.misspelt().into_iter();
        for (address, option, is_target) in
            misspelt.filter(|(address, ..)| !reported.contains(address))
        {
            let how = if is_target { "sent" } else { "read" };
            let message = format!("no option describes `{address}`: it is {how} as a float");
            let name = option.name();
            problems.warning(None, message).hint(format!(
                "the option `{name}` describes no mapped address: is a letter wrong?"
            ));
        }
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.paths.resolution(channel)
    }

    fn prepare(&mut self) {
        self.complete();
    }

    fn open(mut self: Box<Self>, driver: &mut dyn Driver) -> Box<dyn Instance> {
        self.complete();
        let driver = self::driver::<MdnsDriver>(driver);
        let has_yielded = self.has_yielded();
        let announcement = self.announcement(driver.name());
        #[cfg(feature = "oscquery")]
        let query = QueryState {
            address: self.query,
            allow: self.allow.clone(),
            port: self.bind.as_ref().filter(|_| !has_yielded).map(|bind| bind.port),
            is_tcp: self.transport != Transport::Datagrams,
            nodes: std::mem::take(&mut self.nodes),
            service: None,
        };
        let OscPlan { bind, destination, transport, allow, learned_peer, .. } = *self;
        let OscPlan { paths, outputs, .. } = *self;
        let carrier: Box<dyn Carrier> = match transport {
            Transport::Datagrams => {
                let bind = bind.filter(|_| !has_yielded);
                Box::new(Datagrams::new(bind, destination, allow, learned_peer))
            }
            framing => Box::new(Streams::new(bind, destination, framing, allow, learned_peer)),
        };
        Box::new(OscInstance {
            outputs: outputs.unwrap_or_default(),
            receiver: Receiver::new(paths, driver.detect()),
            network: Network { announcement, directory: driver.directory(), instance: None },
            carrier,
            has_yielded,
            text_message: Vec::new(),
            carrier_due: None,
            next_state: None,
            has_new_peer: false,
            #[cfg(feature = "oscquery")]
            query,
        })
    }
}

/// A service that an instance announces.
struct Announcement {
    kind: &'static str,
    name: String,
    /// The name of this computer for others.
    host: String,
    port: u16,
}

/// An instance on the local network: what it announces, and where it finds its destination.
struct Network {
    announcement: Option<Announcement>,
    directory: Rc<RefCell<Directory>>,
    /// The instance's number, when it runs.
    instance: Option<InstanceId>,
}

impl Network {
    /// Announces the instance, and searches for its destination. That mDNS does not work does not
    /// hinder the instance.
    fn appear(&mut self, searches: bool, context: &mut Context<'_>) {
        self.instance = Some(context.instance());
        let mut directory = self.directory.borrow_mut();
        let mut result = match &self.announcement {
            Some(Announcement { kind, name, host, port }) => {
                directory.announce(kind, name, host, *port)
            }
            None => Ok(()),
        };
        if searches {
            result = result.and(directory.search(context));
        }
        if let Err(reason) = result {
            context.count_errors(1);
            tracing::warn!(instance = context.name(), "{reason}");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let (kind, name) =
            self.announcement.as_ref().map_or((UDP_KIND, ""), |one| (one.kind, one.name.as_str()));
        self.directory.borrow_mut().leave(kind, name, self.instance);
    }
}

/// What `query` needs of a running instance.
#[cfg(feature = "oscquery")]
struct QueryState {
    address: Option<SocketAddr>,
    allow: Allow,
    port: Option<u16>,
    is_tcp: bool,
    /// Until they are served.
    nodes: Vec<QueryNode>,
    service: Option<QueryService>,
}

#[cfg(feature = "oscquery")]
impl QueryState {
    fn namespace(&mut self, context: &Context<'_>) -> Namespace {
        Namespace {
            name: context.name().to_owned(),
            port: self.port,
            is_tcp: self.is_tcp,
            nodes: std::mem::take(&mut self.nodes),
        }
    }

    /// Serves the namespace. The instance also works without it.
    fn start(&mut self, context: &mut Context<'_>) {
        let Some(address) = self.address else { return };
        let namespace = self.namespace(context);
        match QueryService::start(address, self.allow.clone(), namespace, context) {
            Ok(service) => self.service = Some(service),
            Err(error) => {
                let note = format!("cannot serve the namespace on {address}: {error}");
                tracing::warn!(instance = context.name(), "{note}");
                context.set_note(Some(note));
            }
        }
    }
}

/// One `[osc NAME]` section that runs.
struct OscInstance {
    network: Network,
    receiver: Receiver,
    outputs: Outputs,
    carrier: Box<dyn Carrier>,
    /// Whether another instance got the port.
    has_yielded: bool,
    /// Where messages with texts are encoded.
    text_message: Vec<u8>,
    /// When the transport wants to be called.
    carrier_due: Option<Instant>,
    /// When the state may be sent to a new peer again, and whether one is waiting for it.
    next_state: Option<Instant>,
    has_new_peer: bool,
    #[cfg(feature = "oscquery")]
    query: QueryState,
}

impl OscInstance {
    /// Calls the transport, which sets its own timer; then sets the timer for both.
    fn with_carrier(
        &mut self,
        context: &mut Context<'_>,
        call: impl FnOnce(&mut dyn Carrier, &mut Receiver, &mut Context<'_>),
    ) {
        let has_timers = self.outputs.has_repeats() || self.has_new_peer;
        if has_timers {
            context.wake_at(self.carrier_due);
        }
        call(&mut *self.carrier, &mut self.receiver, context);
        self.carrier_due = context.wake_time();
        if has_timers {
            self.schedule(context);
        }
    }

    fn schedule(&self, context: &mut Context<'_>) {
        let state = self.next_state.filter(|_| self.has_new_peer);
        let due = [self.carrier_due, self.outputs.next_repeat(), state];
        context.wake_at(due.into_iter().flatten().min());
    }

    /// Sends what the outputs have made pending.
    fn flush(&mut self, context: &mut Context<'_>) {
        let carrier = &mut *self.carrier;
        let mut refused = 0;
        self.outputs.flush(|packet| refused += u64::from(!carrier.push(packet)));
        if refused > 0 {
            context.count_dropped(refused);
        }
        self.with_carrier(context, |carrier, _, context| carrier.flush(context));
    }

    /// Sends the state to a peer that was learned just now, at most once in [`STATE_INTERVAL`].
    fn greet(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.has_new_peer && self.next_state.is_none_or(|next| next <= now) {
            self.has_new_peer = false;
            if self.outputs.resend_all() {
                self.next_state = Some(now + STATE_INTERVAL);
                self.flush(context);
            }
        }
    }

    /// Looks for the destination among the services that were found.
    fn find_service(&mut self, context: &mut Context<'_>) {
        let directory = Rc::clone(&self.network.directory);
        let directory = directory.borrow();
        self.with_carrier(context, |carrier, _, context| {
            carrier.find_service(directory.services(), context);
        });
    }

    /// Sends what is repeated, as far as there is a peer.
    fn repeat(&mut self, context: &mut Context<'_>) {
        if self.outputs.has_repeats() && self.carrier.can_send() {
            self.outputs.repeat(context.now());
            self.flush(context);
        }
    }
}

/// The shortest time between two times that the whole state is sent to a new peer.
const STATE_INTERVAL: Duration = Duration::from_secs(5);

impl Instance for OscInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        let receives = self.receiver.is_needed();
        self.with_carrier(context, |carrier, _, context| carrier.start(receives, context));
        self.network.appear(self.carrier.searches(), context);
        #[cfg(feature = "oscquery")]
        self.query.start(context);
        self.repeat(context);
        self.schedule(context);
    }

    fn obstacle(&self, plan: &dyn Plan, _: &Context<'_>) -> Option<String> {
        let plan = (plan as &dyn Any).downcast_ref::<OscPlan>()?;
        let has_changed = plan.has_yielded() != self.has_yielded;
        has_changed.then(|| "which instance receives on its port changed".to_owned())
    }

    /// Keeps the sockets, the connections, the learned peer, and which values the receivers have.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let plan = downcast::<OscPlan>(plan)?;
        if plan.has_yielded() != self.has_yielded {
            return Err(plan);
        }
        let mut plan = plan;
        plan.complete();
        #[cfg(feature = "oscquery")]
        if self.query.service.is_some() {
            self.query.nodes = std::mem::take(&mut plan.nodes);
            let namespace = self.query.namespace(context);
            if let Some(service) = &mut self.query.service {
                service.replace(namespace);
            }
        }
        let OscPlan { paths, outputs, .. } = *plan;
        let mut outputs = outputs.unwrap_or_default();
        outputs.adopt(&self.outputs, channels);
        context.discard(std::mem::replace(&mut self.outputs, outputs));
        context.discard(self.receiver.adopt(paths, channels));
        let receives = self.receiver.is_needed();
        self.with_carrier(context, |carrier, _, context| carrier.set_receives(receives, context));
        self.repeat(context);
        self.schedule(context);
        Ok(())
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        #[cfg(feature = "oscquery")]
        if key == super::query::QUERY {
            if let Some(service) = &mut self.query.service {
                service.ready(context);
            }
            return;
        }
        if key == FOUND {
            self.find_service(context);
        } else {
            self.with_carrier(context, |carrier, receiver, context| {
                carrier.ready(key, readiness, receiver, context);
            });
        }
        let outputs = &mut self.outputs;
        self.receiver
            .paths
            .take_peer_values(|channel, value| outputs.on_peer_value(channel, value));
        if self.carrier.has_new_peer() {
            self.has_new_peer = true;
            self.greet(context);
            self.schedule(context);
        }
        if self.outputs.has_repeats() && self.outputs.next_repeat().is_none() {
            // The peer has become reachable.
            self.repeat(context);
            self.schedule(context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.carrier_due.is_some_and(|due| due <= context.now()) {
            self.carrier_due = None;
            self.with_carrier(context, |carrier, _, context| carrier.timer(context));
        }
        self.greet(context);
        self.repeat(context);
        self.schedule(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if !self.carrier.can_send() {
            context.count_dropped(events.len() as u64);
            context.count_unsent(events.len() as u64);
            return;
        }
        let (mut refused, mut unsent) = (0, 0);
        let carrier = &mut *self.carrier;
        let mut send = |packet: &[u8]| refused += u64::from(!carrier.push(packet));
        for event in events {
            unsent += u64::from(!self.outputs.set(event, &mut send));
        }
        self.outputs.flush(send);
        if refused > 0 {
            context.count_dropped(refused);
        }
        if unsent > 0 {
            context.count_unsent(unsent);
        }
        self.with_carrier(context, |carrier, _, context| carrier.flush(context));
    }

    fn inspect(&self, channels: Range<u32>) -> InstanceReport {
        let mut report = InstanceReport {
            invalid_packets: self.receiver.invalid_count,
            ..InstanceReport::default()
        };
        self.carrier.inspect(&mut report);
        let mut inputs: HashMap<u32, RawInput> =
            self.receiver.paths.raw_inputs(&channels).into_iter().collect();
        report.channels.extend(channels.map(|channel| {
            let input = inputs.remove(&channel);
            (channel, ChannelReport { input, output: self.outputs.last_message(channel) })
        }));
        report
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        let (outputs, carrier) = (&mut self.outputs, &mut *self.carrier);
        let mut is_queued = false;
        if carrier.can_send() {
            let is_part = outputs.set_text(event.channel, event.text, |packet| {
                is_queued = carrier.push(packet);
            });
            if !is_part && let Some(address) = outputs.address(event.channel) {
                self.text_message.clear();
                let mut message = MessageBuilder::with_tags(&mut self.text_message, address, 1);
                // A text with a zero byte is not an OSC string.
                let is_valid = message.string(event.text).finish().is_ok();
                drop(message);
                is_queued = is_valid && carrier.push(&self.text_message);
            }
        }
        if is_queued {
            self.with_carrier(context, |carrier, _, context| carrier.flush(context));
        } else {
            context.count_dropped(1);
            context.count_unsent(1);
        }
    }
}
