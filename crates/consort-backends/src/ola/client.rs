//! The connection to olad and all universes, which the instances share.
//!
//! The client does its work in the calls of the backend's driver, as the node of the other DMX
//! protocols does. Each universe goes through these steps when olad is there:
//!
//! | step | calls | then |
//! |---|---|---|
//! | its name is looked up, if an option gives one | `GetUniverseInfo` of all | number known |
//! | it is set up | `RegisterForDmx`, `SetMergeMode`, `GetUniverseInfo`, `GetDmx` | up, or waiting: no such universe |
//! | the first frame | `UpdateDmxData`, which is answered | confirmed |
//! | changed frames | `StreamDmxData`, which is not answered | |
//! | an unchanged frame, every 0.9 s | `UpdateDmxData` | confirmed, or waiting |

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use consort_router::inspect::{Endpoint, InstanceReport};
use consort_router::{
    Block, ChannelTable, DriverContext, Event, InstanceId, Readiness, Sender, State, WarnOnce,
};

use super::calls::{Dmx, Info, name, put_merge, put_registration, put_universe};
use super::config::{Selector, UniverseConfig};
use super::own::OwnFrames;
use super::wire::{Decoder, Message, kind, put_frame};
use crate::dmx::{ChannelSlots, Emission, Output, Slots};
use crate::net::HostPort;
use crate::net::tcp::Outbound;

/// The keys with which look-up and connection are registered.
const RESOLVE: u32 = 0;
const CONNECTION: u32 = 1;

/// How long olad may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a universe that olad does not have is looked for.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The most bytes that may wait for olad to read: answers to its calls, and frames, which are only
/// added when nothing waits.
const MAX_OUTGOING_BYTES: usize = 1 << 20;

/// How many bytes are read at once.
const READ_BYTES: usize = 65_536;

/// The universe of one instance.
struct Universe {
    config: UniverseConfig,
    /// Its number, once it is known.
    number: Option<u32>,
    slots: Slots,
    /// The instance, while it runs.
    id: Option<InstanceId>,
    /// Whether a view or `detect` asks for input that no mapping uses.
    is_observed: bool,
    /// What was received; slots behind a shorter frame keep their values.
    received: Vec<u8>,
    emission: Emission,
    output: Output,
    /// Own frames, if the universe is both sent and received.
    own: Option<OwnFrames>,
    is_registered: bool,
    /// Whether olad has described the universe over this connection.
    is_ready: bool,
    /// Whether olad has accepted a frame of it over this connection.
    is_confirmed: bool,
    /// Whether a frame waits for its answer.
    is_unanswered: bool,
    /// Whether it is in the list of frames to send.
    is_queued: bool,
    is_stopped: bool,
    /// When to look for it again.
    retry_at: Option<Instant>,
    problem: Option<String>,
    /// The problem that was reported last as the state; `None` before the first report.
    reported: Option<Option<String>>,
}

impl Universe {
    fn new(config: UniverseConfig, slots: Slots) -> Self {
        let number = match &config.selector {
            Selector::Number(number) => Some(*number),
            Selector::Name(_) => None,
        };
        let mut universe = Universe {
            number,
            output: Output::new(config.is_realtime, 0),
            config,
            slots,
            id: None,
            is_observed: false,
            received: Vec::new(),
            emission: Emission::default(),
            own: None,
            is_registered: false,
            is_ready: false,
            is_confirmed: false,
            is_unanswered: false,
            is_queued: false,
            is_stopped: false,
            retry_at: None,
            problem: None,
            reported: None,
        };
        universe.update_own();
        universe
    }

    /// Keeps own frames if they are needed.
    fn update_own(&mut self) {
        match self.slots.is_source && self.slots.is_target {
            true => _ = self.own.get_or_insert_default(),
            false => self.own = None,
        }
    }

    /// Forgets what belongs to a connection.
    fn disconnect(&mut self) {
        if matches!(self.config.selector, Selector::Name(_)) {
            self.number = None;
        }
        self.is_registered = false;
        self.is_ready = false;
        self.is_confirmed = false;
        self.is_unanswered = false;
        self.retry_at = None;
        self.problem = None;
        self.output.resend();
    }

    fn receives(&self, detect: bool) -> bool {
        !self.is_stopped && (self.slots.is_source || self.is_observed || detect)
    }

    /// Takes a frame: emits what has changed and is not an own value. Returns how many values there
    /// were, at least 1.
    fn receive(&mut self, data: &[u8], detect: bool, context: &mut DriverContext<'_>) -> usize {
        let Some(id) = self.id else { return 1 };
        let mut context = context.for_instance(id);
        context.count_input(1);
        if self.received.len() < data.len() {
            self.received.resize(data.len(), 0);
        }
        self.received[..data.len()].copy_from_slice(data);
        let Universe { emission, slots, received, own, config, .. } = self;
        if received.is_empty() || emission.is_current(received) {
            return 1;
        }
        let (all, now) = (config.emits_all_first, context.now());
        let mut count = emission.emit_fresh(slots, received, all, &mut context);
        if detect {
            emission.log_changes(received, &mut context);
        }
        let own = own.as_ref();
        let is_own = |channel| own.is_some_and(|own| own.contains(channel, received, now));
        let sender = Sender::Name("olad");
        count += emission.emit_changes_except(slots, received, all, is_own, sender, &mut context);
        count.max(1)
    }
}

/// What an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// The list of all universes, to find a name.
    Names,
    /// The description of a universe.
    Info,
    /// The slots of a universe.
    Current,
    /// A frame that was sent.
    Frame,
    /// A call whose answer is not used.
    Other,
}

/// A call that waits for its answer.
struct Pending {
    id: u32,
    request: Request,
    universe: usize,
    sent: Instant,
}

/// The connection and the universes.
pub(super) struct Client {
    link: Outbound,
    decoder: Decoder,
    pub(super) detect: bool,
    /// The universe of each instance. The places of removed ones are used again.
    universes: Vec<Option<Universe>>,
    by_number: HashMap<u32, usize>,
    pending: VecDeque<Pending>,
    next_id: u32,
    /// The universes whose frames have values that are not sent yet.
    queued: Vec<usize>,
    /// When the next of the queued frames is due.
    next_frame: Option<Instant>,
    /// When [`Client::sweep`] must be called next.
    next_sweep: Option<Instant>,
    unknown_calls: WarnOnce,
    buffer: Box<[u8]>,
    /// Where bodies are encoded.
    body: Vec<u8>,
}

/// Moves a time forward to `time` if that is earlier.
fn lower(earliest: &mut Option<Instant>, time: Option<Instant>) {
    *earliest = earliest.iter().copied().chain(time).min();
}

impl Client {
    pub(super) fn new(host: HostPort, detect: bool) -> Self {
        Client {
            link: Outbound::new(host, RESOLVE, CONNECTION),
            decoder: Decoder::default(),
            detect,
            universes: Vec::new(),
            by_number: HashMap::new(),
            pending: VecDeque::new(),
            next_id: 0,
            queued: Vec::new(),
            next_frame: None,
            next_sweep: None,
            unknown_calls: WarnOnce::default(),
            buffer: vec![0; READ_BYTES].into(),
            body: Vec::new(),
        }
    }

    /// Adds an instance; returns the index of its universe.
    pub(super) fn add(&mut self, config: UniverseConfig, slots: Slots) -> usize {
        let index = self.universes.iter().position(Option::is_none).unwrap_or_else(|| {
            self.universes.push(None);
            self.universes.len() - 1
        });
        self.universes[index] = Some(Universe::new(config, slots));
        index
    }

    /// Removes an instance.
    pub(super) fn remove(&mut self, index: usize) {
        self.universes[index] = None;
        self.queued.retain(|&queued| queued != index);
        self.by_number.retain(|_, &mut other| other != index);
        self.pending.retain_mut(|pending| {
            // The answer still comes, and belongs to nobody.
            if pending.universe == index {
                pending.request = Request::Other;
            }
            true
        });
    }

    /// Starts an instance, and the connection with the first one.
    pub(super) fn start(
        &mut self,
        index: usize,
        id: InstanceId,
        is_observed: bool,
        context: &mut DriverContext<'_>,
    ) {
        let now = context.now();
        if let Some(universe) = &mut self.universes[index] {
            (universe.id, universe.is_observed) = (Some(id), is_observed);
        }
        if self.link.is_open() {
            self.set_up(index, now);
            self.flush(context);
        } else if self.link.problem().is_none() && self.link.deadline().is_none() {
            self.link.start(context, now);
        }
        self.update(context);
    }

    /// Takes the options and channels of a reloaded instance.
    pub(super) fn adopt(
        &mut self,
        index: usize,
        config: UniverseConfig,
        slots: Slots,
        channels: &ChannelTable,
        context: &mut DriverContext<'_>,
    ) {
        if let Some(universe) = &mut self.universes[index] {
            universe.emission.adopt(slots.channel_count(), channels);
            universe.slots = slots;
            universe.output.set_realtime(config.is_realtime);
            if config.priority != universe.config.priority {
                universe.output.resend();
            }
            universe.config = config;
            universe.update_own();
        }
        self.update_registration(index, context.now());
        self.flush(context);
        self.update(context);
    }

    /// Takes the option `detect` of a reloaded backend.
    pub(super) fn set_detect(&mut self, detect: bool, context: &mut DriverContext<'_>) {
        self.detect = detect;
        for index in 0..self.universes.len() {
            self.update_registration(index, context.now());
        }
        self.flush(context);
        self.update(context);
    }

    /// Takes values. Returns how many replaced values that have not been sent.
    pub(super) fn deliver(
        &mut self,
        index: usize,
        events: &[Event],
        context: &mut DriverContext<'_>,
    ) -> u64 {
        let Some(universe) = &mut self.universes[index] else { return 0 };
        let mut replaced = 0;
        for event in events {
            replaced += u64::from(universe.output.replaces(event, &universe.slots));
            universe.output.set(event, &universe.slots);
            if let Some(own) = &mut universe.own {
                own.mark(universe.slots.slots_of(event.channel));
            }
        }
        self.schedule_frame(index, context);
        replaced
    }

    /// Takes a block as [`deliver`](Self::deliver) takes values.
    pub(super) fn deliver_block(
        &mut self,
        index: usize,
        block: &Block<'_>,
        context: &mut DriverContext<'_>,
    ) -> u64 {
        let Some(universe) = &mut self.universes[index] else { return 0 };
        let replaced = universe.output.count_replaced(block);
        universe.output.set_block(block);
        if let Some(own) = &mut universe.own {
            for (slot, _) in (block.slot..).zip(block.changed).filter(|(_, changed)| **changed != 0)
            {
                own.mark(ChannelSlots { high: slot, low: None });
            }
        }
        self.schedule_frame(index, context);
        replaced
    }

    /// Has the frame of an instance sent at the end of the turn, together with those of other
    /// universes.
    fn schedule_frame(&mut self, index: usize, context: &mut DriverContext<'_>) {
        let Some(universe) = &mut self.universes[index] else { return };
        if !universe.is_queued {
            universe.is_queued = true;
            self.queued.push(index);
        }
        let due = universe.output.due_time(context.now());
        lower(&mut self.next_frame, due.filter(|_| self.link.is_open()));
        self.schedule(context);
    }

    /// Sends the last frame of an instance, whatever the rate, and ends its registration.
    pub(super) fn stop(&mut self, index: usize, context: &mut DriverContext<'_>) {
        let now = context.now();
        let is_open = self.link.is_open();
        let Some(universe) = &mut self.universes[index] else { return };
        universe.is_stopped = true;
        if is_open && universe.output.is_dirty() && universe.number.is_some() {
            self.put_output(index, now);
        }
        self.update_registration(index, now);
        self.flush(context);
    }

    /// Whether everything was written, or cannot be.
    pub(super) fn is_idle(&self) -> bool {
        !self.link.is_open() || self.link.waiting() == 0
    }

    /// What an instance reports about its connection.
    pub(super) fn inspect(&self, index: usize) -> InstanceReport {
        let mut report = InstanceReport::default();
        let Some(universe) = &self.universes[index] else { return report };
        let endpoint = self.link.address().filter(|_| self.link.is_open());
        let endpoint = endpoint.map(|address| Endpoint { transport: "TCP", address });
        if universe.is_registered {
            report.listens.extend(endpoint);
        }
        if universe.slots.is_target {
            report.sends.extend(endpoint);
            if endpoint.is_none() {
                report.sends_nothing =
                    Some("there is no connection to olad: start it, or correct `host`".into());
            }
        }
        report
    }

    /// Handles the readiness of the connection or the end of the look-up.
    pub(super) fn ready(&mut self, key: u32, _: Readiness, context: &mut DriverContext<'_>) {
        let now = context.now();
        let had_problem = self.link.problem().is_some();
        if self.link.ready(key, context, now) {
            self.decoder.clear();
            for index in 0..self.universes.len() {
                self.set_up(index, now);
            }
        }
        if !had_problem && self.link.problem().is_some() {
            self.count_error(context);
        }
        if let Err(reason) = self.read(context) {
            self.lose(&reason, context);
        }
        self.flush(context);
        self.send_queued(context);
        self.update(context);
    }

    /// Sends what is due, and does everything else that is due.
    pub(super) fn timer(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        self.link.timer(context, now);
        if self.next_sweep.is_some_and(|time| time <= now) {
            self.sweep(context);
        }
        self.send_queued(context);
        self.update(context);
    }

    /// Counts an error of every instance.
    fn count_error(&self, context: &mut DriverContext<'_>) {
        for id in self.universes.iter().flatten().filter_map(|universe| universe.id) {
            context.for_instance(id).count_errors(1);
        }
    }

    /// Closes the connection, and connects again later.
    fn lose(&mut self, reason: &str, context: &mut DriverContext<'_>) {
        let now = context.now();
        self.link.lose(reason, context, now);
        self.decoder.clear();
        self.pending.clear();
        self.by_number.clear();
        self.universes.iter_mut().flatten().for_each(Universe::disconnect);
        self.count_error(context);
    }

    fn flush(&mut self, context: &mut DriverContext<'_>) {
        let result = match self.link.waiting() > MAX_OUTGOING_BYTES {
            true => Err("olad does not read".to_owned()),
            false => self.link.flush(),
        };
        if let Err(reason) = result {
            self.lose(&reason, context);
        }
    }

    /// Appends a call whose body is in `self.body`.
    fn call(&mut self, name: &str, request: Request, universe: usize, now: Instant) {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        put_frame(kind::REQUEST, id, name, &self.body, self.link.outgoing());
        self.body.clear();
        self.pending.push_back(Pending { id, request, universe, sent: now });
        lower(&mut self.next_sweep, Some(now + ANSWER_TIMEOUT));
    }

    /// Begins to use a universe over the present connection.
    fn set_up(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        if universe.id.is_none() || universe.is_stopped {
            return;
        }
        universe.retry_at = None;
        let (number, merge) = (universe.number, universe.config.merge);
        let Some(number) = number else {
            return self.call(name::INFO, Request::Names, index, now);
        };
        self.by_number.insert(number, index);
        // The registration also creates the universe, if olad does not have it.
        self.update_registration(index, now);
        if let Some(merge) = merge {
            put_merge(number, merge, &mut self.body);
            self.call(name::MERGE, Request::Other, index, now);
        }
        put_universe(Some(number), &mut self.body);
        self.call(name::INFO, Request::Info, index, now);
    }

    /// Begins or ends the registration of a universe, if that has changed.
    fn update_registration(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        let receives = universe.receives(self.detect);
        let Some(number) = universe.number.filter(|_| self.link.is_open()) else { return };
        if universe.id.is_none() || universe.is_registered == receives {
            return;
        }
        universe.is_registered = receives;
        put_registration(number, receives, &mut self.body);
        self.call(name::REGISTER, Request::Other, index, now);
        if receives {
            // olad sends changes only.
            put_universe(Some(number), &mut self.body);
            self.call(name::GET, Request::Current, index, now);
        }
    }

    /// Takes calls and answers until nothing is left or the budget of the turn is spent.
    fn read(&mut self, context: &mut DriverContext<'_>) -> Result<(), String> {
        let mut remaining = context.budget();
        let mut decoder = std::mem::take(&mut self.decoder);
        let result = loop {
            match decoder.next() {
                Ok(Some(message)) => {
                    let spent = self.take(&message, context);
                    remaining = remaining.saturating_sub(spent);
                    if remaining == 0 {
                        context.call_again(CONNECTION);
                        break Ok(());
                    }
                }
                Ok(None) => match self.link.read(&mut self.buffer) {
                    Ok(Some(count)) => decoder.push(&self.buffer[..count]),
                    Ok(None) => break Ok(()),
                    Err(reason) => break Err(reason),
                },
                Err(reason) => break Err(reason),
            }
        };
        self.decoder = decoder;
        result
    }

    /// Takes one message. Returns how many values were emitted or reported, at least 1.
    fn take(&mut self, message: &Message<'_>, context: &mut DriverContext<'_>) -> usize {
        if message.kind == kind::REQUEST && message.name == name::UPDATE.as_bytes() {
            put_frame(kind::RESPONSE, message.id, "", &[], self.link.outgoing());
            let Ok(dmx) = Dmx::decode(message.body) else { return 1 };
            let Some(&index) = self.by_number.get(&dmx.universe) else { return 1 };
            let Some(universe) = &mut self.universes[index] else { return 1 };
            return universe.receive(dmx.data, self.detect, context);
        }
        if message.kind == kind::REQUEST {
            let outgoing = self.link.outgoing();
            put_frame(kind::NOT_IMPLEMENTED, message.id, "", &[], outgoing);
            if self.unknown_calls.is_first() {
                let name = String::from_utf8_lossy(message.name);
                tracing::warn!("olad made the unknown call `{}`", name.escape_debug());
            }
            return 1;
        }
        let Some(place) = self.pending.iter().position(|pending| pending.id == message.id) else {
            return 1;
        };
        let Some(Pending { request, universe, .. }) = self.pending.remove(place) else { return 1 };
        match message.kind {
            kind::RESPONSE => self.answered(request, universe, message.body, context),
            kind::FAILED | kind::NOT_IMPLEMENTED => {
                self.refused(request, universe, message, context.now());
                1
            }
            _ => 1,
        }
    }

    /// Takes the answer to a call.
    fn answered(
        &mut self,
        request: Request,
        index: usize,
        body: &[u8],
        context: &mut DriverContext<'_>,
    ) -> usize {
        let now = context.now();
        let Some(universe) = &mut self.universes[index] else { return 1 };
        match request {
            Request::Names => {
                let all = Info::decode_all(body).unwrap_or_default();
                self.take_names(index, &all, now);
            }
            Request::Info => {
                universe.is_ready = true;
                universe.problem = None;
                let info = Info::decode_all(body).ok().and_then(|all| all.into_iter().next());
                if let Some(id) = universe.id {
                    let details = info.map(|info| info.describe());
                    context.for_instance(id).set_details(details);
                }
                self.queue(index, now);
            }
            Request::Current => {
                if let Ok(dmx) = Dmx::decode(body) {
                    return universe.receive(dmx.data, self.detect, context);
                }
            }
            Request::Frame => {
                universe.is_unanswered = false;
                universe.is_confirmed = true;
                universe.problem = None;
                self.queue(index, now);
            }
            Request::Other => {}
        }
        1
    }

    /// Finds the universe of an instance among all by its name.
    fn take_names(&mut self, index: usize, all: &[Info], now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Selector::Name(wanted) = &universe.config.selector else { return };
        let Some(found) = all.iter().find(|info| info.name == *wanted) else {
            let names: Vec<String> =
                all.iter().take(8).map(|info| format!("`{}`", info.name)).collect();
            let known = match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            };
            universe.problem =
                Some(format!("olad has no universe with the name `{wanted}`; it has: {known}"));
            universe.retry_at = Some(now + RETRY_INTERVAL);
            lower(&mut self.next_sweep, universe.retry_at);
            return;
        };
        if self.by_number.get(&found.universe).is_some_and(|&other| other != index) {
            universe.problem = Some(format!(
                "universe {} `{wanted}` is that of another instance, too",
                found.universe
            ));
            universe.retry_at = Some(now + RETRY_INTERVAL);
            lower(&mut self.next_sweep, universe.retry_at);
            return;
        }
        universe.number = Some(found.universe);
        self.set_up(index, now);
    }

    /// Takes the refusal of a call.
    fn refused(&mut self, request: Request, index: usize, message: &Message<'_>, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        match request {
            Request::Frame => {
                universe.is_unanswered = false;
                universe.is_confirmed = false;
            }
            Request::Info => {
                universe.retry_at = Some(now + RETRY_INTERVAL);
                lower(&mut self.next_sweep, universe.retry_at);
            }
            // The universe does not exist, so its slots have no values yet.
            Request::Current => return,
            Request::Names | Request::Other => {}
        }
        let reason = String::from_utf8_lossy(message.body);
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(100).collect();
        let number = universe.number.unwrap_or(0);
        universe.problem = Some(match reason.contains("exist") {
            true => format!(
                "olad has no universe {number}: patch a port to it, for example with `ola_patch`"
            ),
            false => format!("olad refuses universe {number}: {reason}"),
        });
        if request == Request::Frame {
            self.queue(index, now);
        }
    }

    /// Puts a universe with unsent values into the list of frames to send.
    fn queue(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        if !universe.output.is_dirty() {
            return lower(&mut self.next_sweep, universe.output.due_time(now));
        }
        if !universe.is_queued {
            universe.is_queued = true;
            self.queued.push(index);
        }
        lower(&mut self.next_frame, universe.output.due_time(now));
    }

    /// Sends the changed frames that are due.
    fn send_queued(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        self.next_frame = None;
        // The frames of a slow olad wait, so that the newest values follow.
        if !self.link.is_open() || self.link.waiting() > 0 {
            return;
        }
        let mut queued = std::mem::take(&mut self.queued);
        queued.retain(|&index| {
            let Some(universe) = &mut self.universes[index] else { return false };
            if universe.number.is_none() || !universe.is_ready || universe.is_unanswered {
                // The answer continues.
                universe.is_queued = false;
                return false;
            }
            match universe.output.due_time(now) {
                Some(due) if due > now => {
                    lower(&mut self.next_frame, Some(due));
                    true
                }
                _ => {
                    universe.is_queued = false;
                    self.put_output(index, now);
                    false
                }
            }
        });
        self.queued = queued;
        self.flush(context);
    }

    /// Appends the frame of a universe.
    fn put_output(&mut self, index: usize, now: Instant) {
        let Some(universe) = &mut self.universes[index] else { return };
        let Some(number) = universe.number else { return };
        let streams = universe.output.is_dirty() && universe.is_confirmed;
        let (data, _) = universe.output.next_frame(now, false);
        if let Some(own) = &mut universe.own {
            own.record(data, now);
        }
        Dmx { universe: number, data, priority: universe.config.priority }.encode(&mut self.body);
        if streams {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            put_frame(kind::STREAM, id, name::STREAM, &self.body, self.link.outgoing());
            self.body.clear();
        } else {
            universe.is_unanswered = true;
            self.call(name::UPDATE, Request::Frame, index, now);
        }
        let Some(universe) = &self.universes[index] else { return };
        lower(&mut self.next_sweep, universe.output.due_time(now));
    }

    /// Does everything that is due but sending changed frames, for all universes.
    fn sweep(&mut self, context: &mut DriverContext<'_>) {
        let now = context.now();
        self.next_sweep = None;
        if !self.link.is_open() {
            return;
        }
        if self.pending.front().is_some_and(|pending| pending.sent + ANSWER_TIMEOUT <= now) {
            let reason = format!("olad has not answered for {} s", ANSWER_TIMEOUT.as_secs());
            return self.lose(&reason, context);
        }
        for index in 0..self.universes.len() {
            let Some(universe) = &self.universes[index] else { continue };
            if universe.retry_at.is_some_and(|time| time <= now) {
                self.set_up(index, now);
            }
            let Some(universe) = &self.universes[index] else { continue };
            let repeats = universe.is_ready
                && !universe.is_unanswered
                && !universe.is_stopped
                && !universe.output.is_dirty()
                && universe.output.is_due(now, false);
            if repeats && self.link.waiting() == 0 {
                self.put_output(index, now);
            }
        }
        lower(&mut self.next_sweep, self.pending.front().map(|front| front.sent + ANSWER_TIMEOUT));
        for universe in self.universes.iter().flatten() {
            lower(&mut self.next_sweep, universe.retry_at);
            if universe.is_ready && !universe.is_unanswered && !universe.output.is_dirty() {
                // A repetition that could not be sent is tried again soon.
                let soon = now + Duration::from_millis(20);
                let due = universe.output.due_time(now).map(|due| due.max(soon));
                lower(&mut self.next_sweep, due);
            }
        }
        self.flush(context);
    }

    /// Asks for the next call of [`Client::timer`].
    fn schedule(&mut self, context: &mut DriverContext<'_>) {
        let mut next = self.next_sweep.filter(|_| self.link.is_open());
        lower(&mut next, self.next_frame);
        lower(&mut next, self.link.deadline());
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }

    /// Sets the states that have changed, and the time of the next call.
    fn update(&mut self, context: &mut DriverContext<'_>) {
        self.schedule(context);
        let is_open = self.link.is_open();
        let lost = self.link.problem();
        for universe in self.universes.iter_mut().flatten() {
            let Some(id) = universe.id else { continue };
            let problem = match is_open {
                true => universe.problem.as_deref(),
                false => lost,
            };
            let is_known = problem.is_some() || (is_open && universe.is_ready);
            let known = universe.reported.as_ref().map(Option::as_deref);
            if !is_known || known == Some(problem) {
                continue;
            }
            universe.reported = Some(problem.map(str::to_owned));
            context.for_instance(id).set_state(match problem {
                Some(problem) => State::Waiting(problem.to_owned()),
                None => State::Up,
            });
        }
    }
}
