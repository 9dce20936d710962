//! The protocol between a client and a server, without I/O and without a clock.
//!
//! A [`Connection`] is everything that a client does with a server: start and handshake, health
//! checks, replies, node ids, the mirror of the node tree, log-out and quit. It does not open a
//! socket, start a thread, lock anything or read a clock. A driver does that and passes on what
//! happens. The servers of this crate are two drivers with a thread; a score is one without.
//!
//! ```
//! use std::time::Duration;
//! use consort_sc::proto::{Connection, Event};
//! use consort_sc::requests::Sync;
//! use consort_sc::{Options, Timeouts};
//!
//! let mut connection = Connection::new(Options::default(), Timeouts::default());
//! let now = Duration::ZERO;
//! connection.connect(Options::default(), now)?;
//! // The connection asks for a socket; the driver opens one and says so.
//! let event = std::iter::from_fn(|| connection.poll_event()).last();
//! assert!(matches!(event, Some(Event::Open(_))));
//! connection.socket_opened(now);
//! assert_eq!(connection.poll_transmit(now), Some(&b"/status\0,\0\0\0"[..]));
//! // While the server is not online, requests are rejected.
//! assert!(connection.request(&Sync { id: 1 }.into(), now).is_err());
//! # Ok::<(), consort_sc::Error>(())
//! ```

mod closing;
mod events;
mod handshake;
mod life;
mod messages;
mod outbox;
mod pending;
mod probe;
mod process;
mod sample_clock;
mod send_window;
mod state;
mod submit;
mod time;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use consort_osc::TimeTag;

use crate::bundling::encode_packets;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{BootStatus, LifecycleEvent, Timeouts};
use crate::options::{Options, Protocol};
use crate::queries::StatusInfo;
use crate::requests::{Quit, Request, ToggleNotifications};
use outbox::Outbox;
use pending::PendingTable;
use sample_clock::SampleClock;
use send_window::SendWindow;

pub use events::{CommandId, Event, RequestId, RequestIds};
pub(crate) use state::{Release, State};
pub use submit::Submission;

/// Sync id that ends the tree query of the handshake. Ids of the handshake are negative, those of
/// callers are not.
const TREE_SYNC_ID: i32 = -2;
/// Sync id that ends the creation of groups in the handshake.
const GROUPS_SYNC_ID: i32 = -3;
/// Sync ids of barriers: this one and those below.
const FIRST_BARRIER_ID: i32 = -1_000_000_000;
/// How many logins a server may report. Each costs a default group and a node id, and no server
/// is started with more.
const MAX_LOGINS: u32 = 65_536;
/// A step of the handshake, or a barrier, is sent again when it was not answered for this long.
const REPEAT_INTERVAL: Duration = Duration::from_millis(1500);
/// How many lines of the process's output are kept for error messages.
const MAX_OUTPUT_LINES: usize = 200;
/// How often the tree of a server is queried to check its identity.
const MAX_IDENTITY_QUERIES: u32 = 3;

/// The step of the handshake whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandshakeStep {
    /// The socket is being opened.
    Opening,
    /// `/status`: is this a server?
    Status,
    /// `/notify`: the login.
    Notify,
    /// `/g_queryTree`: which nodes exist?
    Tree,
    /// `/g_new` and `/d_recv`: the default groups, and an owner's SynthDefs.
    Groups,
}

/// The answers of a pipelined handshake that have arrived.
///
/// With a server that this client started, all steps are sent at once, because each step alone
/// costs at least one of the server's audio periods. When an answer is missing after
/// [`REPEAT_INTERVAL`], the steps are taken one by one.
#[derive(Clone, Copy, Debug)]
struct PipelinedHandshake {
    /// The client id and, if the server reports it, the number of logins.
    login: Option<(i32, Option<i32>)>,
    has_tree: bool,
    is_synced: bool,
}

/// Why a connection is closed in good order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QuitReason {
    /// A client logs out; the server continues.
    LogOut,
    /// The owner quits its server.
    Owner,
    /// A client quits a server that it does not own.
    Forced,
}

/// Why the server process is about to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExitReason {
    /// The owner quit it.
    Quit,
    /// It stopped answering.
    Lost,
    /// It never became ready.
    BootFailed,
}

/// Where the connection is in its life.
#[derive(Debug)]
enum Phase {
    Offline,
    /// The process runs and is not ready yet.
    Booting {
        deadline: Duration,
    },
    /// The handshake is in progress.
    Connecting {
        step: HandshakeStep,
        deadline: Duration,
        /// When the step is sent again.
        repeat_at: Duration,
        /// How many packets arrived that were not from a server.
        invalid_answers: u32,
    },
    Online,
    /// Requests go into a score, which has no server.
    Score,
    /// `/quit` was sent.
    Quitting {
        deadline: Duration,
        reason: QuitReason,
    },
    /// The log-out was sent.
    LoggingOut {
        deadline: Duration,
    },
    /// The connection is closed, and the process has not exited yet.
    AwaitingExit {
        /// When the process is killed; `None` if that has happened.
        kill_at: Option<Duration>,
        reason: ExitReason,
    },
}

/// The health check of an established connection.
#[derive(Debug, Default)]
struct Health {
    /// Attempts without an answer.
    attempt: u32,
    /// A `/status` was sent and not answered.
    is_waiting: bool,
    /// When the next `/status` is due, or the waiting one is overdue.
    due_at: Duration,
    /// How often in a row the port was found closed.
    refusals: u32,
}

/// Whether the server may be another one than the one that this client joined. A server that was
/// restarted at the same address answers health checks as before, but has fewer groups than the
/// mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IdentityCheck {
    /// Nothing is suspicious.
    #[default]
    None,
    /// The server reported fewer groups when the mirror had this change number.
    Suspected(u64),
    /// The server's tree was queried this many times.
    Queried(u32),
}

/// What carries the packets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// A server, by its protocol.
    Server(Protocol),
    /// A score, whose packets are at most this large, in bytes.
    Score(usize),
}

impl Carrier {
    /// The size of the largest packet, in bytes.
    fn packet_limit(self) -> usize {
        match self {
            Carrier::Server(protocol) => protocol.packet_limit(),
            Carrier::Score(limit) => limit,
        }
    }
}

/// One connection to a server, or to a score: boot, handshake, health checks, requests and their
/// replies, ids, the mirror of the node tree, quit.
///
/// It has no I/O, no thread, no lock, no waker and no clock, so that every case of a server's life
/// can be tested on virtual time. A driver owns it and uses it as follows.
///
/// - **Commands**: [`boot`](Self::boot), [`connect`](Self::connect),
///   [`disconnect`](Self::disconnect), [`quit`](Self::quit) and [`probe`](Self::probe) return a
///   [`CommandId`], and exactly one [`Event::Completed`] or [`Event::Probed`] with this id follows.
/// - **Requests**: [`submit`](Self::submit), [`submit_encoded`](Self::submit_encoded) and
///   [`request`](Self::request). For each [`RequestId`] that they return, exactly one
///   [`Event::Reply`] follows, unless the driver calls [`forget`](Self::forget).
/// - **Inputs** report what happened outside: [`handle_packet`](Self::handle_packet),
///   [`handle_timeout`](Self::handle_timeout), [`process_started`](Self::process_started),
///   [`spawn_failed`](Self::spawn_failed), [`process_line`](Self::process_line),
///   [`process_exited`](Self::process_exited), [`socket_opened`](Self::socket_opened),
///   [`socket_failed`](Self::socket_failed), [`socket_refused`](Self::socket_refused) and
///   [`socket_closed_by_server`](Self::socket_closed_by_server). An input that does not belong to
///   the current phase is ignored, whatever the server sends.
/// - **Outputs**: [`poll_transmit`](Self::poll_transmit), [`poll_event`](Self::poll_event) and
///   [`poll_timeout`](Self::poll_timeout).
///
/// # What the driver must do
///
/// 1. After any command, request or input: call `poll_transmit` until it returns `None` and send
///    each packet; then call `poll_event` and perform the event. Repeat both until there is no event.
///    Performing an event may call inputs. The driver may leave events to another thread, and they
///    may not be lost.
/// 2. If the system does not accept a packet now, call
///    [`transmit_blocked`](Self::transmit_blocked) and poll again when it does.
/// 3. Answer [`Event::Spawn`], [`Event::Open`] and [`Event::Kill`] with the input that each of them
///    names; the connection waits for it.
/// 4. Wait until something arrives or `poll_timeout` has passed; in the last case call
///    `handle_timeout`. Calling it earlier does no harm.
///
/// # Time, order and bounds
///
/// A time is a [`Duration`] since a fixed moment that the driver chooses, from a monotonic clock;
/// `now` must not decrease from call to call. Packets are sent in the order of their requests.
/// Events are returned in the order in which they arose: [`Event::Message`] comes before what the
/// message led to, an [`Event::Completed`] after the events that led to it, and the failure of a
/// start last, when the connection is offline again and can be started anew. Replies are given to
/// waiting requests in the order in which those were made.
///
/// At most 65,536 requests wait for replies, and at most 64 MiB wait to be sent; beyond that,
/// requests are rejected. What a packet of the server adds to the events is at most a few times its
/// size.
#[derive(Debug)]
pub struct Connection {
    state: State,
    carrier: Carrier,
    timeouts: Timeouts,
    phase: Phase,
    health: Health,
    identity_check: IdentityCheck,
    pending: PendingTable,
    outbox: Outbox,
    /// The packet that was returned last is from the send window.
    is_from_window: bool,
    send_window: SendWindow,
    events: VecDeque<Event>,
    next_command: u64,
    /// This client started the server, or is starting it.
    is_owner: bool,
    has_process: bool,
    /// The last lines that the process printed.
    output: VecDeque<String>,
    /// The command that started the connection, until it is completed.
    start_command: Option<CommandId>,
    /// Why the start failed, while the connection is being cleaned up.
    start_error: Option<Error>,
    /// A failed start, to be reported as the last event.
    failed_start: Option<(CommandId, Error)>,
    /// The command that ends the connection, until it is completed.
    end_command: Option<CommandId>,
    life: life::Life,
    probes: probe::Probes,
    sample_clock: SampleClock,
    status: Option<StatusInfo>,
    /// The number of logins that the server at this address reported when it accepted this client.
    reported_logins: Option<i32>,
    /// SynthDef files that an owner loads while connecting.
    initial_synthdefs: Vec<Arc<[u8]>>,
    /// The requests of the current step of the handshake, for repetition.
    handshake: Vec<Request>,
    pipelined: Option<PipelinedHandshake>,
    /// The sync id of the barrier that was sent, and when it is sent again.
    barrier: Option<(i32, Duration)>,
    next_barrier_id: i32,
}

impl Connection {
    /// An offline connection. Requests without a time take effect at once, those with a time at that
    /// time.
    pub fn new(options: Options, timeouts: Timeouts) -> Self {
        let carrier = Carrier::Server(options.protocol);
        Self::with_carrier(State::new(options, 0.0), carrier, Phase::Offline, timeouts)
    }

    /// A connection to a score for a server with these options: it is online from the beginning,
    /// there are no replies, and packets have at most `packet_limit` bytes.
    pub fn score(options: Options, packet_limit: usize) -> Self {
        let state = State::new(options, 0.0);
        let carrier = Carrier::Score(packet_limit);
        Self::with_carrier(state, carrier, Phase::Score, Timeouts::default())
    }

    fn with_carrier(state: State, carrier: Carrier, phase: Phase, timeouts: Timeouts) -> Self {
        Self {
            state,
            carrier,
            timeouts: timeouts.bounded(),
            phase,
            health: Health::default(),
            identity_check: IdentityCheck::None,
            pending: PendingTable::default(),
            outbox: Outbox::default(),
            is_from_window: false,
            send_window: SendWindow::default(),
            events: VecDeque::new(),
            next_command: 0,
            is_owner: false,
            has_process: false,
            output: VecDeque::new(),
            start_command: None,
            start_error: None,
            failed_start: None,
            end_command: None,
            life: life::Life::default(),
            probes: probe::Probes::default(),
            sample_clock: SampleClock::default(),
            status: None,
            reported_logins: None,
            initial_synthdefs: Vec::new(),
            handshake: Vec::new(),
            pipelined: None,
            barrier: None,
            next_barrier_id: FIRST_BARRIER_ID,
        }
    }

    /// The next event for the driver, or `None` until something else happens.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.life.next_result()).or_else(|| {
            // A failed start is reported last, when the connection can be started again.
            let (command, error) = self.failed_start.take()?;
            Some(Event::Completed(command, Err(error)))
        })
    }

    /// Whether [`poll_event`](Self::poll_event) would return an event.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty() || self.life.has_results() || self.failed_start.is_some()
    }

    /// The deadlines in force.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Sets the deadlines. Those that run already keep theirs.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts.bounded();
    }

    /// Sets the SynthDef files that are loaded with every boot.
    pub fn set_initial_synthdefs(&mut self, files: Vec<Arc<[u8]>>) {
        self.initial_synthdefs = files;
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.state.options
    }

    /// Whether this client started the server.
    pub fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// The id that the server assigned to this client, from 0.
    pub fn client_id(&self) -> u32 {
        self.state.client_id
    }

    /// The last answer to a health check.
    pub fn status(&self) -> Option<StatusInfo> {
        self.status
    }

    /// The server's sample clock.
    pub(crate) fn sample_clock(&self) -> SampleClock {
        self.sample_clock
    }

    /// Ids, mirror, SynthDefs.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// As [`state`](Self::state), for allocation.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The phase, as callers see it.
    pub fn boot_status(&self) -> BootStatus {
        match self.phase {
            Phase::Offline => BootStatus::Offline,
            Phase::Booting { .. } | Phase::Connecting { .. } => BootStatus::Booting,
            Phase::Online | Phase::Score => BootStatus::Online,
            Phase::Quitting { .. } | Phase::LoggingOut { .. } | Phase::AwaitingExit { .. } => {
                BootStatus::Quitting
            }
        }
    }

    /// Whether requests are accepted.
    pub fn is_online(&self) -> bool {
        matches!(self.phase, Phase::Online | Phase::Score)
    }

    fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }

    fn event(&mut self, event: LifecycleEvent) {
        self.life.note(event);
        self.events.push_back(Event::Lifecycle(event));
    }

    /// An id for a command.
    fn new_command(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }

    /// Sends requests of the connection itself: several as one bundle. They do not wait for the send
    /// window.
    fn send(&mut self, requests: &[Request]) {
        let time = (requests.len() > 1).then_some(TimeTag::IMMEDIATE);
        let limit = self.carrier.packet_limit();
        let outbox = &mut self.outbox;
        let sent = encode_packets(time, requests, limit, &mut |bytes| {
            outbox.push(bytes);
            Ok(())
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "cannot encode a request of the connection");
        }
    }

    /// As [`send`](Self::send), but after the packets that wait to be sent.
    fn send_last(&mut self, request: Request) {
        let mut bytes = Vec::new();
        if self.send_window.is_busy()
            && request.encode(&mut bytes).is_ok()
            && self.send_window.push(vec![bytes]).is_ok()
        {
            return;
        }
        self.send(&[request]);
    }

    fn close(&mut self) {
        self.send_window.clear();
        self.barrier = None;
        self.identity_check = IdentityCheck::None;
        self.events.push_back(Event::Close);
    }

    // ---- commands -------------------------------------------------------------------------

    /// Prepares a start, if it is possible.
    fn begin_start(&mut self, options: Options) -> Result<CommandId> {
        if !matches!(self.phase, Phase::Offline) {
            return Err(Error::new(
                ErrorKind::ServerOnline,
                format!(
                    "the server is not offline (its status is {:?}); quit it or disconnect first",
                    self.boot_status()
                ),
            ));
        }
        options.validate()?;
        self.life.begin();
        let known = &self.state.options;
        if (options.ip_address, options.port) != (known.ip_address, known.port) {
            self.reported_logins = None;
        }
        self.state.begin(&options);
        self.carrier = Carrier::Server(options.protocol);
        self.start_error = None;
        self.output.clear();
        self.status = None;
        self.pipelined = None;
        self.barrier = None;
        self.outbox.clear();
        self.send_window.clear();
        let command = self.new_command();
        self.start_command = Some(command);
        Ok(command)
    }

    /// Starts a server process and connects to it.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOnline`] unless the connection is offline, [`ErrorKind::InvalidOptions`].
    pub fn boot(&mut self, options: Options, now: Duration) -> Result<CommandId> {
        let command = self.begin_start(options)?;
        self.is_owner = true;
        self.set_phase(Phase::Booting { deadline: now + self.timeouts.boot });
        self.event(LifecycleEvent::Booting);
        self.events.push_back(Event::Spawn(Box::new(self.state.options.clone())));
        Ok(command)
    }

    /// Connects to a running server.
    ///
    /// # Errors
    /// As [`boot`](Self::boot).
    pub fn connect(&mut self, options: Options, now: Duration) -> Result<CommandId> {
        let command = self.begin_start(options)?;
        self.is_owner = false;
        self.start_connecting(now);
        Ok(command)
    }

    fn start_connecting(&mut self, now: Duration) {
        let deadline = now + self.timeouts.connect;
        self.set_phase(Phase::Connecting {
            step: HandshakeStep::Opening,
            deadline,
            repeat_at: deadline,
            invalid_answers: 0,
        });
        self.event(LifecycleEvent::Connecting);
        self.events.push_back(Event::Open(Box::new(self.state.options.clone())));
    }

    /// An error unless a server is online.
    fn check_connected(&self) -> Result<()> {
        match self.phase {
            Phase::Score => Err(Error::new(ErrorKind::ServerOffline, "a score has no server")),
            _ => self.check_online(),
        }
    }

    /// Logs out of a server that this client does not own.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::OwnedServerShutdown`].
    pub fn disconnect(&mut self, now: Duration) -> Result<CommandId> {
        self.check_connected()?;
        if self.is_owner {
            return Err(Error::new(
                ErrorKind::OwnedServerShutdown,
                "this client started the server; quit it instead of disconnecting",
            ));
        }
        let command = self.begin_end();
        self.event(LifecycleEvent::Disconnecting);
        let client_id = Some(self.state.client_id);
        self.send_last(ToggleNotifications { should_notify: false, client_id }.into());
        self.set_phase(Phase::LoggingOut { deadline: now + self.timeouts.log_out });
        Ok(command)
    }

    /// An id for the command that ends the connection.
    fn begin_end(&mut self) -> CommandId {
        let command = self.new_command();
        self.end_command = Some(command);
        command
    }

    /// Quits the server; with `force`, also one that another process started.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::UnownedServerShutdown`].
    pub fn quit(&mut self, force: bool, now: Duration) -> Result<CommandId> {
        // An owner can abort a start.
        if self.is_owner && matches!(self.phase, Phase::Booting { .. } | Phase::Connecting { .. }) {
            let command = self.begin_end();
            self.event(LifecycleEvent::Quitting);
            self.fail_start(Error::new(
                ErrorKind::ServerCannotBoot,
                "the server was quit while it was starting",
            ));
            self.pipelined = None;
            self.close();
            self.set_phase(Phase::AwaitingExit { kill_at: Some(now), reason: ExitReason::Quit });
            return Ok(command);
        }
        self.check_connected()?;
        if !self.is_owner && !force {
            return Err(Error::new(
                ErrorKind::UnownedServerShutdown,
                "another process started the server; disconnect, or force it to quit",
            ));
        }
        let command = self.begin_end();
        self.event(LifecycleEvent::Quitting);
        self.send_last(Quit.into());
        let reason = if self.is_owner { QuitReason::Owner } else { QuitReason::Forced };
        self.set_phase(Phase::Quitting { deadline: now + self.timeouts.quit, reason });
        Ok(command)
    }
}

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
