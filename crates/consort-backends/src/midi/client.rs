//! The sequencer client that all instances share: one descriptor, one port for each instance,
//! and one that hears of devices coming and going.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::{Context, InstanceId};
use consort_seq::{
    Address, Announcement, ClientPool, Engine, ErrorKind, Event, ListPorts, OpenMode, Port,
    PortCaps, PortInfo, PortOptions, PortType, Result, Routing, SequencerClient, SubscriptionQuery,
    SubscriptionQueryType,
};
use mio::Interest;
use mio::unix::SourceFd;

use super::port::PortState;

/// The largest pool that the kernel grants, in cells.
const POOL: u32 = 2_000;

/// Output that waits for a receiver at most, in bytes.
const OUTPUT_BUFFER: usize = 1 << 20;

/// How long a receiver that takes nothing may hold up the others.
const PATIENCE: Duration = Duration::from_millis(100);

/// When to try again to get rid of output that a receiver did not take.
pub(super) const OUTPUT_RETRY: Duration = Duration::from_millis(1);

/// The number of the port that hears of devices: behind those of the instances, which count from
/// 0. (Linux 7.2 refuses 253 and above.)
const ANNOUNCE_PORT: u8 = 252;

/// Key of the descriptor with the router.
pub(super) const DESCRIPTOR_KEY: u32 = 0;

/// What the options of the backend say.
#[derive(Default)]
pub(super) struct Settings {
    pub(super) name: String,
    /// None: what the environment says.
    pub(super) engine: Option<Engine>,
    pub(super) detect: bool,
}

struct Member {
    instance: InstanceId,
    port: u8,
    state: Rc<RefCell<PortState>>,
}

/// What all instances share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    open: Option<OpenClient>,
    members: Vec<Member>,
}

struct OpenClient {
    client: Rc<SequencerClient>,
    /// The instance whose `ready` the router calls.
    owner: InstanceId,
    _announcements: Port,
    batch: Vec<Event>,
    output: OutputState,
}

#[derive(Default)]
struct OutputState {
    /// Since when a receiver has taken nothing.
    blocked: Option<Instant>,
    /// Whether what is not taken at once is dropped: a receiver has been stuck for too long.
    impatient: bool,
    complained: bool,
}

impl Shared {
    /// The client, opened if it is not open yet.
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
        client.set_client_pool(&ClientPool { input_pool: POOL, output_pool: POOL, ..pool })?;
        client.set_output_buffer_size(OUTPUT_BUFFER)?;
        let announcements = client.create_port(
            PortOptions::new("announcements")
                .caps(PortCaps::WRITE | PortCaps::NO_EXPORT)
                .port_type(PortType::APPLICATION)
                .port_id(ANNOUNCE_PORT),
        )?;
        announcements.connect_from(Address::SYSTEM_ANNOUNCE)?;
        let descriptor = client.descriptor()?;
        let registered =
            context.register(&mut SourceFd(&descriptor), DESCRIPTOR_KEY, Interest::READABLE);
        if let Err(error) = registered {
            tracing::error!("the sequencer's descriptor cannot be watched: {error}");
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
            owner: context.instance(),
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
        self.members.push(Member { instance, port, state });
    }

    /// Every port but the show's own.
    pub(super) fn list_ports(client: &SequencerClient) -> Result<Vec<PortInfo>> {
        let mut ports = client.list_ports(&ListPorts::everything())?;
        ports.retain(|port| port.client_id != client.client_id());
        Ok(ports)
    }

    /// Reads what has arrived and hands it to the instances.
    pub(super) fn read(&mut self, context: &mut Context<'_>) {
        let limit = context.budget();
        let Some(open) = &mut self.open else { return };
        let mut batch = std::mem::take(&mut open.batch);
        let result = open.client.event_input_batch(&mut batch, limit);
        let client = Rc::clone(&open.client);
        for event in &batch {
            if event.dest().port == ANNOUNCE_PORT {
                if let Some(announcement) = Announcement::from_event(event) {
                    self.announce(&client, announcement, context);
                }
                continue;
            }
            let Some(member) = self.members.iter().find(|it| it.port == event.dest().port) else {
                continue;
            };
            member.state.borrow_mut().receive(event, &mut context.for_instance(member.instance));
        }
        let count = batch.len();
        batch.clear();
        if let Some(open) = &mut self.open {
            open.batch = batch;
        }
        match result {
            // Where a loss is still to be told, no readiness will tell of it.
            Ok(_) if count < limit && !client.has_overrun() => {}
            Ok(_) => context.call_again(DESCRIPTOR_KEY),
            Err(error) if error.kind() == ErrorKind::Overrun => {
                self.overrun(&client, context);
                context.call_again(DESCRIPTOR_KEY);
            }
            Err(error) => self.fail(&error.to_string(), context),
        }
    }

    /// Input was lost: notes whose ends may be among it are released, and devices that may have
    /// come or gone meanwhile are looked up again.
    fn overrun(&mut self, client: &SequencerClient, context: &mut Context<'_>) {
        tracing::warn!(
            "MIDI input was lost: it came faster than the show could take it; \
             notes and pedals that were held are released"
        );
        context.count_errors(1);
        for member in &self.members {
            let mut of = context.for_instance(member.instance);
            of.count_dropped(1);
            let mut state = member.state.borrow_mut();
            state.forget_input(&mut of);
            state.resolve(client, true, &mut of);
        }
    }

    fn announce(
        &mut self,
        client: &SequencerClient,
        announcement: Announcement,
        context: &mut Context<'_>,
    ) {
        let own = client.client_id();
        for member in &self.members {
            let mut of = context.for_instance(member.instance);
            let mut state = member.state.borrow_mut();
            match announcement {
                Announcement::PortExited(address) if address.client != own => {
                    state.vanished(&|it| it == address, &mut of);
                    state.resolve(client, false, &mut of);
                }
                Announcement::ClientExited(gone) if gone != own => {
                    state.vanished(&|it| it.client == gone, &mut of);
                    state.resolve(client, false, &mut of);
                }
                Announcement::PortStarted(address) if address.client != own => {
                    state.resolve(client, false, &mut of);
                }
                Announcement::ClientChanged(changed) if changed != own => {
                    state.resolve(client, false, &mut of);
                }
                Announcement::PortChanged(address) if address.client != own => {
                    state.resolve(client, false, &mut of);
                }
                Announcement::Disconnected(connection) => {
                    state.disconnected(connection.sender, connection.dest, &mut of);
                }
                _ => {}
            }
        }
    }

    /// The client is of no use any more: everything is opened anew.
    fn fail(&mut self, reason: &str, context: &mut Context<'_>) {
        context.count_errors(1);
        if let Some(open) = self.open.take()
            && let Ok(descriptor) = open.client.descriptor()
        {
            // It may have gone already, which is why we are here.
            let _ = context.deregister(&mut SourceFd(&descriptor));
        }
        for member in self.members.drain(..) {
            member.state.borrow_mut().lost(reason, &mut context.for_instance(member.instance));
        }
    }

    /// Whether output waits for room.
    pub(super) fn has_output(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.client.event_output_pending() > 0)
    }

    /// Puts an event into the output buffer; what a full buffer holds is written first, and what
    /// does not fit then is dropped and counted.
    pub(super) fn put(&mut self, event: &Event, routing: Routing, context: &mut Context<'_>) {
        let Some(open) = &self.open else {
            context.count_dropped(1);
            return;
        };
        let client = Rc::clone(&open.client);
        match client.event_output_buffer(event, routing) {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.flush(context);
                if client.event_output_buffer(event, routing).is_ok() {
                    return;
                }
            }
            Err(error) => self.complain(&error, context),
        }
        context.count_dropped(1);
    }

    /// Writes what waits. Returns whether something is left, to be tried again in a moment.
    pub(super) fn flush(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now();
        loop {
            let Some(open) = &mut self.open else { return false };
            match open.client.try_drain_output() {
                Ok(0) => {
                    if open.output.blocked.take().is_none() {
                        open.output.impatient = false;
                    }
                    return false;
                }
                Ok(_) => {
                    let since = *open.output.blocked.get_or_insert(now);
                    let patient = !open.output.impatient && now.duration_since(since) < PATIENCE;
                    let Ok(Some(event)) = open.client.peek_output() else { return false };
                    // Where several listen, the others have it already, and would hear it
                    // again with every attempt.
                    if patient && receivers(&open.client, event.source()) < 2 {
                        return true;
                    }
                    open.output.impatient |= !patient;
                    if !matches!(open.client.extract_output(), Ok(Some(_))) {
                        return false;
                    }
                    context.count_dropped(1);
                    if !std::mem::replace(&mut open.output.complained, true) {
                        tracing::warn!(
                            "a receiver of MIDI takes nothing any more; what it does not take \
                             is dropped and counted"
                        );
                    }
                }
                Err(error) => {
                    let dropped = matches!(open.client.extract_output(), Ok(Some(_)));
                    context.count_dropped(u64::from(dropped));
                    self.complain(&error, context);
                    if !dropped {
                        return false;
                    }
                }
            }
        }
    }

    fn complain(&mut self, error: &consort_seq::Error, context: &mut Context<'_>) {
        context.count_errors(1);
        if let Some(open) = &mut self.open
            && !std::mem::replace(&mut open.output.complained, true)
        {
            tracing::warn!(
                instance = context.name(),
                "an event could not be sent: {error}; further failures are only counted"
            );
        }
    }

    /// The instance whose `ready` reads.
    pub(super) fn is_owner(&self, instance: InstanceId) -> bool {
        self.open.as_ref().is_some_and(|open| open.owner == instance)
    }
}

/// How many listen to one of the show's ports.
fn receivers(client: &SequencerClient, source: Address) -> u32 {
    let port = client.address(source.port);
    let query = SubscriptionQuery::new(port, SubscriptionQueryType::Read, 0);
    client.query_port_subscribers(&query).map_or(0, |answer| answer.num_subs)
}
