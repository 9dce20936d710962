//! The state machine of a connection, without I/O and without a clock. See [`Core`].

mod connection;
mod handshake;
mod life;
mod messages;
mod probe;
mod process;
mod sample_clock;
mod time;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use consort_osc::{OscMessage, TimeTag};

use crate::bundling::encode_packets;
use crate::context::ContextShared;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{BootStatus, LifecycleEvent, MAX_TIMEOUT, Timeouts};
use crate::options::Options;
use crate::pending::{PendingTable, Slot};
use crate::queries::{FailInfo, StatusInfo};
use crate::requests::{Quit, ReplyPattern, Request, ToggleNotifications};
use crate::send_window::{QueuedPacket, SendWindow};

/// What the driver has to do next. Actions are performed in the order in which they are returned.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the server process; then call [`Core::process_started`] or [`Core::spawn_failed`].
    Spawn(Box<Options>),
    /// Open a socket to the server; then call [`Core::socket_opened`] or [`Core::socket_failed`].
    Open(Box<Options>),
    /// Send a packet.
    Send(Vec<u8>),
    /// Close the socket. Nothing is called afterwards.
    Close,
    /// Kill the process; then call [`Core::process_exited`] as soon as it has exited.
    Kill,
    /// Pass a lifecycle event to callbacks and receivers.
    Event(LifecycleEvent),
    /// Pass on a `/fail` that answers no waiting request.
    Fail(FailInfo),
    /// Pass on a warning about a probable problem.
    Warn(String),
    /// Give the caller of a command its result. It follows the events that led to it.
    Complete(Outcome, Result<()>),
    /// Give those who wait for the start or for the end of the connection the result.
    Resolve(Waiters, bool),
}

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

pub(crate) use life::Waiters;
use sample_clock::SampleClock;

/// The result that the caller of `boot`, `connect`, `quit` … waits for.
pub(crate) type Outcome = Arc<Slot<()>>;

/// The state machine of one connection to a server: boot, handshake, health checks, replies, quit.
///
/// It performs no I/O, starts no thread and reads no clock, so that every case of a server's life
/// can be tested on virtual time. A driver owns it and must use its methods as follows. There are
/// five kinds:
///
/// - **Commands** come from callers on any thread: [`boot`](Self::boot),
///   [`connect`](Self::connect), [`disconnect`](Self::disconnect), [`quit`](Self::quit),
///   [`wait_for`](Self::wait_for), [`forget`](Self::forget), [`enqueue`](Self::enqueue),
///   [`seed`](Self::seed) and the setters. None blocks. The first four report through their
///   [`Outcome`], which is always completed in the end.
/// - **Inputs** report what happened outside: [`process_started`](Self::process_started),
///   [`spawn_failed`](Self::spawn_failed), [`process_line`](Self::process_line),
///   [`process_exited`](Self::process_exited), [`socket_opened`](Self::socket_opened),
///   [`socket_failed`](Self::socket_failed), [`socket_refused`](Self::socket_refused),
///   [`socket_closed_by_server`](Self::socket_closed_by_server), [`message`](Self::message),
///   [`invalid_packet`](Self::invalid_packet) and [`enqueue_own`](Self::enqueue_own). An input
///   that does not belong to the current phase is ignored, whatever the server sends.
/// - **Outputs** say what to do: [`next_action`](Self::next_action), and then
///   [`next_queued`](Self::next_queued) for packets that wait for the server to read earlier ones.
/// - **Time**: [`next_deadline`](Self::next_deadline) is when [`tick`](Self::tick) has to be called
///   at the latest. Calling it earlier does no harm.
/// - **Queries** such as [`boot_status`](Self::boot_status) change nothing.
///
/// # What the driver must do
///
/// 1. After any command, input or tick: call [`next_action`](Self::next_action) until it returns
///    `None` and perform each [`Action`] before fetching the next. Performing an action may call
///    inputs, which add further actions at the end.
/// 2. Then call [`next_queued`](Self::next_queued) until it returns `None` and send each packet. A
///    packet that the system does not accept goes back with [`requeue`](Self::requeue).
/// 3. Answer [`Action::Spawn`], [`Action::Open`] and [`Action::Kill`] with the input that each of
///    them names; the connection waits for it.
/// 4. Wait until an input arrives, another thread has used a command, or the deadline has passed;
///    in the last case call [`tick`](Self::tick).
///
/// While [`has_queue`](Self::has_queue) is true, packets of callers must go through
/// [`enqueue`](Self::enqueue) as well, or they would overtake those that wait.
///
/// # Time and order
///
/// A time is a [`Duration`] since a fixed moment that the driver chooses, from a monotonic clock;
/// `now` must not decrease from call to call. Actions are returned in the order in which they
/// arose: a [`Action::Complete`] follows the events that led to it, and the failure of a start
/// comes last, when the connection is offline again and can be started anew. Replies are given to
/// waiting requests in the order in which those were registered.
#[derive(Debug)]
pub(crate) struct Core {
    context: Arc<ContextShared>,
    options: Options,
    timeouts: Timeouts,
    phase: Phase,
    health: Health,
    identity_check: IdentityCheck,
    pending: PendingTable,
    send_window: SendWindow,
    actions: VecDeque<Action>,
    /// This client started the server, or is starting it.
    is_owner: bool,
    has_process: bool,
    /// The last lines that the process printed.
    output: VecDeque<String>,
    /// The caller of `boot` or `connect`.
    start_outcome: Option<Outcome>,
    /// Why the start failed, while the connection is being cleaned up.
    start_error: Option<Error>,
    /// A failed start, to be reported as the last action.
    failed_start: Option<(Outcome, Error)>,
    /// The caller of `disconnect` or `quit`.
    end_outcome: Option<Outcome>,
    life: life::Life,
    probes: probe::Probes,
    sample_clock: SampleClock,
    status: Option<StatusInfo>,
    client_id: u32,
    maximum_logins: u32,
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

impl Core {
    /// The state machine of an offline connection.
    pub(crate) fn new(context: Arc<ContextShared>, timeouts: Timeouts) -> Self {
        let options = context.options();
        Self {
            context,
            options,
            timeouts: timeouts.bounded(),
            phase: Phase::Offline,
            health: Health::default(),
            identity_check: IdentityCheck::None,
            pending: PendingTable::default(),
            send_window: SendWindow::default(),
            actions: VecDeque::new(),
            is_owner: false,
            has_process: false,
            output: VecDeque::new(),
            start_outcome: None,
            start_error: None,
            failed_start: None,
            end_outcome: None,
            life: life::Life::default(),
            probes: probe::Probes::default(),
            sample_clock: SampleClock::default(),
            status: None,
            client_id: 0,
            maximum_logins: 1,
            reported_logins: None,
            initial_synthdefs: Vec::new(),
            handshake: Vec::new(),
            pipelined: None,
            barrier: None,
            next_barrier_id: FIRST_BARRIER_ID,
        }
    }

    /// The next action for the driver, or `None` until something else happens.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| self.life.next_resolved()).or_else(|| {
            // A failed start is reported last, when the connection can be started again.
            let (outcome, error) = self.failed_start.take()?;
            Some(Action::Complete(outcome, Err(error)))
        })
    }

    /// The deadlines in force.
    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Sets the deadlines. Those that run already keep theirs.
    pub(crate) fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts.bounded();
    }

    /// Sets the SynthDef files that are loaded with every boot.
    pub(crate) fn set_initial_synthdefs(&mut self, files: Vec<Arc<[u8]>>) {
        self.initial_synthdefs = files;
    }

    /// Whether this client started the server.
    pub(crate) fn is_owner(&self) -> bool {
        self.is_owner
    }

    /// The last answer to a health check.
    pub(crate) fn status(&self) -> Option<StatusInfo> {
        self.status
    }

    /// The server's sample clock.
    pub(crate) fn sample_clock(&self) -> SampleClock {
        self.sample_clock
    }

    /// The phase, as callers see it.
    pub(crate) fn boot_status(&self) -> BootStatus {
        match self.phase {
            Phase::Offline => BootStatus::Offline,
            Phase::Booting { .. } | Phase::Connecting { .. } => BootStatus::Booting,
            Phase::Online => BootStatus::Online,
            Phase::Quitting { .. } | Phase::LoggingOut { .. } | Phase::AwaitingExit { .. } => {
                BootStatus::Quitting
            }
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.context.set_boot_status(self.boot_status());
    }

    fn event(&mut self, event: LifecycleEvent) {
        self.life.note(event);
        self.actions.push_back(Action::Event(event));
    }

    /// Sends requests of the connection itself: several as one bundle.
    fn send(&mut self, requests: &[Request]) {
        let time = (requests.len() > 1).then_some(TimeTag::IMMEDIATE);
        let limit = self.options.protocol.packet_limit();
        let actions = &mut self.actions;
        let sent = encode_packets(time, requests, limit, &mut |bytes| {
            actions.push_back(Action::Send(bytes.to_vec()));
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
        self.actions.push_back(Action::Close);
    }

    // ---- commands -------------------------------------------------------------------------

    /// Prepares a start. If it is not possible, completes `outcome` and returns false.
    fn begin_start(&mut self, options: Options, outcome: &Outcome) -> bool {
        if !matches!(self.phase, Phase::Offline) {
            outcome.fill(Err(Error::new(
                ErrorKind::ServerOnline,
                format!(
                    "the server is not offline (its status is {:?}); quit it or disconnect first",
                    self.boot_status()
                ),
            )));
            return false;
        }
        if let Err(error) = options.validate() {
            outcome.fill(Err(error));
            return false;
        }
        self.life.begin();
        self.context.begin(&options);
        if (options.ip_address, options.port) != (self.options.ip_address, self.options.port) {
            self.reported_logins = None;
        }
        self.options = options;
        self.start_error = None;
        self.output.clear();
        self.status = None;
        self.pipelined = None;
        self.barrier = None;
        self.send_window.clear();
        self.start_outcome = Some(outcome.clone());
        true
    }

    /// Starts a server process and connects to it.
    pub(crate) fn boot(&mut self, options: Options, outcome: Outcome, now: Duration) {
        if !self.begin_start(options, &outcome) {
            return;
        }
        self.is_owner = true;
        self.set_phase(Phase::Booting { deadline: now + self.timeouts.boot });
        self.event(LifecycleEvent::Booting);
        self.actions.push_back(Action::Spawn(Box::new(self.options.clone())));
    }

    /// Connects to a running server.
    pub(crate) fn connect(&mut self, options: Options, outcome: Outcome, now: Duration) {
        if !self.begin_start(options, &outcome) {
            return;
        }
        self.is_owner = false;
        self.start_connecting(now);
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
        self.actions.push_back(Action::Open(Box::new(self.options.clone())));
    }

    /// An error unless the connection is online.
    fn check_online(&self) -> Result<()> {
        if matches!(self.phase, Phase::Online) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ServerOffline,
            format!("the server is not online (its status is {:?})", self.boot_status()),
        ))
    }

    /// Logs out of a server that this client does not own.
    pub(crate) fn disconnect(&mut self, outcome: Outcome, now: Duration) {
        if let Err(error) = self.check_online() {
            outcome.fill(Err(error));
            return;
        }
        if self.is_owner {
            outcome.fill(Err(Error::new(
                ErrorKind::OwnedServerShutdown,
                "this client started the server; quit it instead of disconnecting",
            )));
            return;
        }
        self.end_outcome = Some(outcome);
        self.event(LifecycleEvent::Disconnecting);
        let client_id = Some(self.client_id);
        self.send_last(ToggleNotifications { should_notify: false, client_id }.into());
        self.set_phase(Phase::LoggingOut { deadline: now + self.timeouts.log_out });
    }

    /// Quits the server; with `force`, also one that another process started.
    pub(crate) fn quit(&mut self, force: bool, outcome: Outcome, now: Duration) {
        // An owner can abort a start.
        if self.is_owner && matches!(self.phase, Phase::Booting { .. } | Phase::Connecting { .. }) {
            self.end_outcome = Some(outcome);
            self.event(LifecycleEvent::Quitting);
            self.fail_start(Error::new(
                ErrorKind::ServerCannotBoot,
                "the server was quit while it was starting",
            ));
            self.pipelined = None;
            self.close();
            self.set_phase(Phase::AwaitingExit { kill_at: Some(now), reason: ExitReason::Quit });
            return;
        }
        if let Err(error) = self.check_online() {
            outcome.fill(Err(error));
            return;
        }
        if !self.is_owner && !force {
            outcome.fill(Err(Error::new(
                ErrorKind::UnownedServerShutdown,
                "another process started the server; disconnect, or force it to quit",
            )));
            return;
        }
        self.end_outcome = Some(outcome);
        self.event(LifecycleEvent::Quitting);
        self.send_last(Quit.into());
        let reason = if self.is_owner { QuitReason::Owner } else { QuitReason::Forced };
        self.set_phase(Phase::Quitting { deadline: now + self.timeouts.quit, reason });
    }

    /// Lets `slot` wait for the reply to `request`. Returns the number of the wait; waits that are
    /// registered without other commands in between have consecutive numbers.
    pub(crate) fn wait_for(
        &mut self,
        request: &Request,
        slot: Arc<Slot<OscMessage>>,
        timeout: Option<Duration>,
        now: Duration,
    ) -> Result<u64> {
        self.check_online()?;
        let timeout = timeout.unwrap_or(self.timeouts.request).min(MAX_TIMEOUT);
        self.pending.add(request, slot, timeout, now)
    }

    /// Lets `slot` wait for a message that matches `pattern`. Returns the number of the wait.
    pub(crate) fn wait_for_pattern(
        &mut self,
        command: String,
        pattern: ReplyPattern,
        slot: Arc<Slot<OscMessage>>,
        timeout: Option<Duration>,
        now: Duration,
    ) -> Result<u64> {
        self.check_online()?;
        let timeout = timeout.unwrap_or(self.timeouts.request).min(MAX_TIMEOUT);
        self.pending.add_pattern(command, pattern, slot, timeout, now)
    }

    /// Removes waits whose requests are never sent.
    pub(crate) fn forget(&mut self, waits: Range<u64>) {
        self.pending.forget(waits);
    }

    // ---- packets that wait for the send window ----------------------------------------------

    /// Queues packets until the server has read earlier ones. They are sent in order. The
    /// deadlines of their requests' `waits` are counted from when the queue last moved.
    pub(crate) fn enqueue(&mut self, packets: Vec<Vec<u8>>, waits: Range<u64>) -> Result<()> {
        self.check_online()?;
        let last = self.send_window.push(packets)?;
        self.pending.hold(waits, last);
        Ok(())
    }

    /// Queues a packet of the connection itself that the system did not accept.
    pub(crate) fn enqueue_own(&mut self, packet: Vec<u8>) {
        if let Err(error) = self.send_window.push(vec![packet]) {
            tracing::warn!(%error, "cannot queue a packet of the connection");
        }
    }

    /// The next queued packet that may be sent now. If this is `None` and [`Core::has_queue`] is
    /// false, no packet waits.
    pub(crate) fn next_queued(&mut self, now: Duration) -> Option<QueuedPacket> {
        self.send_window.next(now)
    }

    /// Puts a packet that the system did not accept back to the front.
    pub(crate) fn requeue(&mut self, packet: QueuedPacket) {
        self.send_window.put_back(packet);
    }

    /// Whether packets wait, so that further ones have to be queued as well.
    pub(crate) fn has_queue(&self) -> bool {
        self.send_window.is_busy()
    }

    /// The server has read a window of packets. Requests behind it get their full time again, and
    /// so does a `/quit` or a log-out.
    fn window_read(&mut self, first_waiting: u64, now: Duration) {
        self.pending.renew(first_waiting, now);
        match &mut self.phase {
            Phase::Quitting { deadline, .. } => *deadline = now + self.timeouts.quit,
            Phase::LoggingOut { deadline } => *deadline = now + self.timeouts.log_out,
            _ => {}
        }
    }
}

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
