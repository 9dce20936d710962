//! The sequencer client that all instances share. It has one descriptor, a port for each instance,
//! and a port that receives announcements of devices. It belongs to the driver: instances join when
//! they have a port, and leave when they are removed.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::{Context, DriverContext, InstanceId, WarnOnce};
use consort_seq::{
    Address, Announcement, ClientPool, Engine, ErrorKind, Event, OpenMode, Port, PortCaps,
    PortOptions, PortType, Result, Routing, SequencerClient,
};
use mio::Interest;
use mio::unix::SourceFd;

use super::port::PortState;

/// The largest pool that the kernel grants, in cells.
const POOL_CELLS: u32 = 2_000;

/// The size of the buffer for output that receivers have not taken yet, in bytes.
const OUTPUT_BUFFER_BYTES: usize = 1 << 20;

/// How long a full receiver may block the output to others.
const BLOCKED_OUTPUT_TIMEOUT: Duration = Duration::from_millis(100);

/// When to write output again that a receiver did not take.
pub(super) const OUTPUT_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// The number of the port that receives announcements. The ports of the instances count from 0;
/// Linux 7.2 refuses 253 and above.
const ANNOUNCE_PORT: u8 = 252;

/// The driver's key of the descriptor.
const DESCRIPTOR_KEY: u32 = 0;

/// The options of the backend.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) name: String,
    /// `None`: the environment variable decides.
    pub(super) engine: Option<Engine>,
    /// Whether everything that arrives is logged.
    pub(super) detect: bool,
}

/// An instance with its port.
struct Member {
    instance: InstanceId,
    port: u8,
    state: Rc<RefCell<PortState>>,
    /// How many events of the batch that is being read are for it.
    received: u64,
}

/// The client, and the instances that use it.
pub(super) struct SharedClient {
    settings: Settings,
    open: Option<OpenClient>,
    members: Vec<Member>,
}

/// The client while it is open.
struct OpenClient {
    client: Rc<SequencerClient>,
    _announcements: Port,
    /// Space for events that are read.
    batch: Vec<Event>,
    output: OutputState,
}

/// The state of output that receivers do not take.
#[derive(Default)]
struct OutputState {
    /// Since when a receiver has been full.
    blocked_since: Option<Instant>,
    /// Whether events for a full receiver are dropped at once, because one was full for too long.
    drops_at_once: bool,
    /// Whether a failure has been reported.
    failure: WarnOnce,
}

impl SharedClient {
    /// A client with these options, which opens when the first instance needs it.
    pub(super) fn new(settings: Settings) -> Self {
        SharedClient { settings, open: None, members: Vec::new() }
    }

    /// Takes the option `detect` of a reloaded backend.
    pub(super) fn set_detect(&mut self, detect: bool) {
        self.settings.detect = detect;
        for member in &self.members {
            member.state.borrow_mut().input.detect = detect;
        }
    }

    /// The client, which is opened if it is not open yet.
    pub(super) fn client(&mut self, context: &mut Context<'_>) -> Result<Rc<SequencerClient>> {
        if let Some(open) = &self.open {
            return Ok(Rc::clone(&open.client));
        }
        let mut builder = SequencerClient::builder(self.settings.name.clone());
        if let Some(engine) = &self.settings.engine {
            builder = builder.engine(engine.clone());
        }
        let client = builder.streams(OpenMode::Duplex).open()?;
        let pool = client.get_client_pool()?;
        client.set_client_pool(&ClientPool {
            input_pool: POOL_CELLS,
            output_pool: POOL_CELLS,
            ..pool
        })?;
        client.set_output_buffer_size(OUTPUT_BUFFER_BYTES)?;
        let announcements = client.create_port(
            PortOptions::new("announcements")
                .caps(PortCaps::WRITE | PortCaps::NO_EXPORT)
                .port_type(PortType::APPLICATION)
                .port_id(ANNOUNCE_PORT),
        )?;
        announcements.connect_from(Address::SYSTEM_ANNOUNCE)?;
        let descriptor = client.descriptor()?;
        let mut source = SourceFd(&descriptor);
        let registered = context.driver().register(&mut source, DESCRIPTOR_KEY, Interest::READABLE);
        if let Err(error) = registered {
            tracing::error!("cannot watch the sequencer's descriptor: {error}");
            context.count_errors(1);
        }
        tracing::debug!(
            client = client.client_id(),
            engine = client.get_sequencer_name().unwrap_or_default(),
            "sequencer client opened"
        );
        let client = Rc::new(client);
        self.open = Some(OpenClient {
            client: Rc::clone(&client),
            _announcements: announcements,
            batch: Vec::with_capacity(256),
            output: OutputState::default(),
        });
        Ok(client)
    }

    /// The client, if it is open.
    pub(super) fn opened(&self) -> Option<Rc<SequencerClient>> {
        self.open.as_ref().map(|open| Rc::clone(&open.client))
    }

    /// Adds an instance with its port.
    pub(super) fn join(&mut self, instance: InstanceId, port: u8, state: Rc<RefCell<PortState>>) {
        state.borrow_mut().input.detect = self.settings.detect;
        self.members.push(Member { instance, port, state, received: 0 });
    }

    /// Removes an instance. The client stays open for the others.
    pub(super) fn leave(&mut self, state: &Rc<RefCell<PortState>>) {
        self.members.retain(|member| !Rc::ptr_eq(&member.state, state));
    }

    /// The context of the instance with this port.
    fn context_of<'c>(&self, port: u8, context: &'c mut DriverContext<'_>) -> Option<Context<'c>> {
        let member = self.members.iter().find(|member| member.port == port)?;
        Some(context.for_instance(member.instance))
    }

    /// Reads the events that have arrived and passes them to the instances.
    pub(super) fn read(&mut self, context: &mut DriverContext<'_>) {
        let limit = context.budget();
        let Some(open) = &mut self.open else { return };
        let mut batch = std::mem::take(&mut open.batch);
        let result = open.client.event_input_batch(&mut batch, limit);
        let client = Rc::clone(&open.client);
        for event in &batch {
            let port = event.dest().port;
            if port == ANNOUNCE_PORT {
                if let Some(announcement) = Announcement::from_event(event) {
                    self.handle_announcement(&client, announcement, context);
                }
                continue;
            }
            let Some(member) = self.members.iter_mut().find(|member| member.port == port) else {
                continue;
            };
            member.received += 1;
            member.state.borrow_mut().receive(event, &mut context.for_instance(member.instance));
        }
        for member in self.members.iter_mut().filter(|member| member.received > 0) {
            let received = std::mem::take(&mut member.received);
            context.for_instance(member.instance).count_input(received);
        }
        let count = batch.len();
        batch.clear();
        if let Some(open) = &mut self.open {
            open.batch = batch;
        }
        match result {
            // The descriptor does not become readable for an overrun that is still to be reported.
            Ok(_) if count < limit && !client.has_overrun() => {}
            Ok(_) => context.call_again(DESCRIPTOR_KEY),
            Err(error) if error.kind() == ErrorKind::Overrun => {
                self.handle_overrun(&client, context);
                context.call_again(DESCRIPTOR_KEY);
            }
            Err(error) => self.fail(&error.to_string(), context),
        }
    }

    /// Handles lost input: releases held notes, because their ends may be lost, and looks up the
    /// devices again, because announcements may be lost.
    fn handle_overrun(&self, client: &SequencerClient, context: &mut DriverContext<'_>) {
        tracing::warn!(
            "MIDI input was lost because it arrived faster than the show could process it; \
             held notes and pedals are released"
        );
        for member in &self.members {
            let mut member_context = context.for_instance(member.instance);
            member_context.count_errors(1);
            member_context.count_dropped(1);
            let mut state = member.state.borrow_mut();
            state.input.on_input_lost(&mut member_context);
            state.resolve(client, true, &mut member_context);
        }
    }

    /// Passes an announcement of the sequencer to all instances.
    fn handle_announcement(
        &self,
        client: &SequencerClient,
        announcement: Announcement,
        context: &mut DriverContext<'_>,
    ) {
        let own = client.client_id();
        for member in &self.members {
            let mut member_context = context.for_instance(member.instance);
            let mut state = member.state.borrow_mut();
            match announcement {
                Announcement::PortExited(address) if address.client != own => {
                    state.on_ports_exited(&|port| port == address, &mut member_context);
                    state.resolve(client, false, &mut member_context);
                }
                Announcement::ClientExited(exited) if exited != own => {
                    state.on_ports_exited(&|port| port.client == exited, &mut member_context);
                    state.resolve(client, false, &mut member_context);
                }
                Announcement::PortStarted(address) if address.client != own => {
                    state.resolve(client, false, &mut member_context);
                }
                Announcement::ClientChanged(changed) if changed != own => {
                    state.input.names.forget(&|port| port.client == changed);
                    state.resolve(client, false, &mut member_context);
                }
                Announcement::PortChanged(address) if address.client != own => {
                    state.input.names.forget(&|port| port == address);
                    state.resolve(client, false, &mut member_context);
                }
                Announcement::Disconnected(connection) => {
                    state.on_disconnected(connection.sender, connection.dest, &mut member_context);
                }
                _ => {}
            }
        }
    }

    /// Closes a client that does not work any more; the instances open a new one.
    fn fail(&mut self, reason: &str, context: &mut DriverContext<'_>) {
        if let Some(open) = self.open.take()
            && let Ok(descriptor) = open.client.descriptor()
        {
            // The descriptor may be invalid already.
            let _ = context.deregister(&mut SourceFd(&descriptor));
        }
        for member in self.members.drain(..) {
            let mut member_context = context.for_instance(member.instance);
            member_context.count_errors(1);
            member.state.borrow_mut().on_client_lost(reason, &mut member_context);
        }
    }

    /// Whether output is waiting for its receivers.
    pub(super) fn has_output(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.client.event_output_pending() > 0)
    }

    /// Adds an event to the output buffer. Writes a full buffer first; if the event still does not
    /// fit, drops and counts it.
    pub(super) fn put(&mut self, event: &Event, routing: Routing, context: &mut Context<'_>) {
        let Some(open) = &self.open else {
            context.count_dropped(1);
            return;
        };
        let client = Rc::clone(&open.client);
        match client.event_output_buffer(event, routing) {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.flush(&mut context.driver());
                if client.event_output_buffer(event, routing).is_ok() {
                    return;
                }
            }
            Err(error) => self.report_failure(&error, context),
        }
        context.count_dropped(1);
    }

    /// Writes the output buffer. What receivers do not take now is written again by the driver's
    /// timer.
    pub(super) fn flush(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        loop {
            let Some(open) = &mut self.open else { return };
            let result = open.client.try_drain_output();
            // The library drops what one of several receivers does not take.
            for undelivered in open.client.take_undelivered() {
                if open.output.failure.is_first() {
                    warn_of_stuck_receiver();
                }
                let member =
                    self.members.iter().find(|member| member.port == undelivered.source.port);
                if let Some(member) = member {
                    context.for_instance(member.instance).count_dropped(undelivered.count);
                }
            }
            match result {
                Ok(0) => {
                    if open.output.blocked_since.take().is_none() {
                        open.output.drops_at_once = false;
                    }
                    return;
                }
                Ok(_) => {
                    let since = *open.output.blocked_since.get_or_insert(now);
                    let may_wait = !open.output.drops_at_once
                        && now.duration_since(since) < BLOCKED_OUTPUT_TIMEOUT;
                    if may_wait {
                        context.wake_at(Some(now + OUTPUT_RETRY_INTERVAL));
                        return;
                    }
                    open.output.drops_at_once |= !may_wait;
                    let Ok(Some(dropped)) = open.client.extract_output() else { return };
                    if open.output.failure.is_first() {
                        warn_of_stuck_receiver();
                    }
                    if let Some(mut context) = self.context_of(dropped.source().port, context) {
                        context.count_dropped(1);
                    }
                }
                Err(error) => {
                    let Ok(Some(dropped)) = open.client.extract_output() else { return };
                    if let Some(mut context) = self.context_of(dropped.source().port, context) {
                        context.count_dropped(1);
                        self.report_failure(&error, &mut context);
                    }
                }
            }
        }
    }

    /// Counts an output error, and logs the first one.
    fn report_failure(&mut self, error: &consort_seq::Error, context: &mut Context<'_>) {
        context.count_errors(1);
        if let Some(open) = &mut self.open
            && open.output.failure.is_first()
        {
            tracing::warn!(
                instance = context.name(),
                "cannot send an event: {error}; further failures are counted, not logged"
            );
        }
    }
}

/// Logs the first event that a receiver does not take.
fn warn_of_stuck_receiver() {
    tracing::warn!(
        "a MIDI receiver does not read its input; further events for it are dropped and counted"
    );
}
