//! The state machine of a connection: no I/O, no clock. Commands, packets and the passing of
//! time go in; [`Action`]s come out. Times are durations since any fixed moment.

mod connection;
mod handshake;
mod messages;
mod process;
mod time;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use consort_osc::{OscMessage, TimeTag};

use crate::bundling::encode_packets;
use crate::context::ContextShared;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{BootStatus, FOREVER, LifecycleEvent, Timeouts};
use crate::options::{Options, Protocol};
use crate::pace::{Pace, Paced};
use crate::pending::{PendingTable, Slot};
use crate::queries::{FailInfo, NodeInfo, StatusInfo};
use crate::requests::{
    NewGroup, NewGroups, QueryStatus, QueryTree, Quit, ReceiveSynthDef, Request, Sync,
    ToggleNotifications,
};
use crate::tree::QueryTreeGroup;
use crate::values::AddAction;
use crate::wire::Arguments;

/// What the state machine wants done, in order.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the server process.
    Spawn(Box<Options>),
    /// Open a socket to the server.
    Open(Box<Options>),
    /// Send a packet.
    Send(Vec<u8>),
    /// Close the socket.
    Close,
    /// Kill the process; it cannot refuse.
    Kill,
    /// Tell everybody.
    Event(LifecycleEvent),
    /// Tell everybody of a failure that nobody waits for.
    Fail(FailInfo),
    /// Tell everybody of something that will probably be a problem.
    Warn(String),
    /// Tell the caller of a command how it went; after the events that led there.
    Complete(Outcome, Result<()>),
}

/// Sync ids of the handshake are negative, those of callers are not.
const HANDSHAKE_TREE: i32 = -2;
const HANDSHAKE_GROUPS: i32 = -3;
/// Sync ids that settle the mirror: from here downwards.
const FIRST_SETTLE_ID: i32 = -1_000_000_000;
/// More logins than this no server means; each costs a default group and an id.
const MAXIMUM_LOGINS: u32 = 65_536;
/// Steps of the handshake are repeated after this long.
const REPEAT: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Opening,
    Status,
    Notify,
    Tree,
    Groups,
}

/// The handshake with a server that this client started: everything is asked for in one go,
/// since each question by itself costs at least one of the server's audio periods. When
/// anything of it stays away, the steps are taken one by one.
#[derive(Clone, Copy, Debug)]
struct AtOnce {
    /// The client id and the number of logins, as far as the server tells them.
    login: Option<(i32, Option<i32>)>,
    tree: bool,
    synced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Stay offline: an unowned connection ended.
    Nothing,
    /// The owner asked for the end.
    Quit,
    /// A client asked for the end of a server that it does not own.
    UnownedQuit,
}

/// Why a process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was asked to.
    Quit,
    /// It stopped answering.
    Lost,
    /// It never became ready.
    BootFailed,
}

#[derive(Debug)]
enum Phase {
    Offline,
    /// The process runs and is not ready yet.
    Booting {
        deadline: Duration,
    },
    Connecting {
        step: Step,
        deadline: Duration,
        repeat: Duration,
        other_answers: u32,
    },
    Online,
    /// `/quit` is on its way.
    Quitting {
        deadline: Duration,
        after: After,
    },
    /// The log-out is on its way.
    LoggingOut {
        deadline: Duration,
    },
    /// Disconnected; the process is still to end.
    Ending {
        kill_at: Option<Duration>,
        why: Why,
    },
}

#[derive(Debug, Default)]
struct Health {
    attempt: u32,
    waiting: bool,
    at: Duration,
    refused: u32,
}

/// Whether the server may be another than the one that was joined: one that was started anew at
/// its place answers health checks as if nothing had happened, but has fewer groups than are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Doubt {
    #[default]
    None,
    /// It has fewer groups; the mirror had changed this often then.
    Noticed(u64),
    /// Its tree was asked for, this often.
    Asked(u32),
}

/// How often the tree of a doubtful server is asked for.
const DOUBTS: u32 = 3;

/// What a caller of `boot`, `connect`, `quit` … waits on.
pub(crate) type Outcome = Arc<Slot<()>>;

#[derive(Debug)]
pub(crate) struct Core {
    context: Arc<ContextShared>,
    options: Options,
    timeouts: Timeouts,
    phase: Phase,
    health: Health,
    doubt: Doubt,
    pending: PendingTable,
    pace: Pace,
    actions: VecDeque<Action>,
    owned: bool,
    has_process: bool,
    output: VecDeque<String>,
    starting: Option<Outcome>,
    start_error: Option<Error>,
    start_outcome: Option<(Outcome, Error)>,
    ending: Option<Outcome>,
    status: Option<StatusInfo>,
    client_id: u32,
    maximum_logins: u32,
    /// What this server said of its logins when it took this client in.
    told_logins: Option<i32>,
    /// SynthDef files that an owner loads while connecting.
    initial_synthdefs: Vec<Arc<[u8]>>,
    /// A bundle of the handshake that was sent, for repetition.
    handshake: Vec<Request>,
    at_once: Option<AtOnce>,
    /// The `/sync` whose answer settles the mirror, and when it is asked again.
    settling: Option<(i32, Duration)>,
    next_settle_id: i32,
}

/// Lines of the process's output that are kept for errors.
const MAXIMUM_OUTPUT: usize = 200;

impl Core {
    pub(crate) fn new(context: Arc<ContextShared>, timeouts: Timeouts) -> Self {
        let options = context.options();
        Self {
            context,
            options,
            timeouts: timeouts.bounded(),
            phase: Phase::Offline,
            health: Health::default(),
            doubt: Doubt::None,
            pending: PendingTable::default(),
            pace: Pace::default(),
            actions: VecDeque::new(),
            owned: false,
            has_process: false,
            output: VecDeque::new(),
            starting: None,
            start_error: None,
            start_outcome: None,
            ending: None,
            status: None,
            client_id: 0,
            maximum_logins: 1,
            told_logins: None,
            initial_synthdefs: Vec::new(),
            handshake: Vec::new(),
            at_once: None,
            settling: None,
            next_settle_id: FIRST_SETTLE_ID,
        }
    }

    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front().or_else(|| {
            // A start that failed is told of last, when everything is as it was before.
            let (outcome, error) = self.start_outcome.take()?;
            Some(Action::Complete(outcome, Err(error)))
        })
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    pub(crate) fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts.bounded();
    }

    pub(crate) fn set_initial_synthdefs(&mut self, files: Vec<Arc<[u8]>>) {
        self.initial_synthdefs = files;
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.owned
    }

    pub(crate) fn status(&self) -> Option<StatusInfo> {
        self.status
    }

    pub(crate) fn boot_status(&self) -> BootStatus {
        match self.phase {
            Phase::Offline => BootStatus::Offline,
            Phase::Booting { .. } | Phase::Connecting { .. } => BootStatus::Booting,
            Phase::Online => BootStatus::Online,
            Phase::Quitting { .. } | Phase::LoggingOut { .. } | Phase::Ending { .. } => {
                BootStatus::Quitting
            }
        }
    }

    fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.context.set_boot_status(self.boot_status());
    }

    fn event(&mut self, event: LifecycleEvent) {
        self.actions.push_back(Action::Event(event));
    }

    fn send(&mut self, requests: &[Request]) {
        let time = (requests.len() > 1).then_some(TimeTag::IMMEDIATE);
        let limit = self.options.protocol.packet_limit();
        let actions = &mut self.actions;
        let sent = encode_packets(time, requests, limit, &mut |bytes| {
            actions.push_back(Action::Send(bytes.to_vec()));
            Ok(())
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "a request of the connection itself could not be written");
        }
    }

    /// As `send`, behind what still waits to be sent.
    fn send_last(&mut self, request: Request) {
        let mut bytes = Vec::new();
        if self.pace.is_busy()
            && request.encode(&mut bytes).is_ok()
            && self.pace.push(vec![bytes]).is_ok()
        {
            return;
        }
        self.send(&[request]);
    }

    fn close(&mut self) {
        self.pace.clear();
        self.settling = None;
        self.doubt = Doubt::None;
        self.actions.push_back(Action::Close);
    }

    // ---- commands -------------------------------------------------------------------------

    fn begin(&mut self, options: Options, outcome: &Outcome) -> bool {
        if !matches!(self.phase, Phase::Offline) {
            outcome.fill(Err(Error::new(
                ErrorKind::ServerOnline,
                format!(
                    "the server is not offline (it is {:?}); quit or disconnect it first",
                    self.boot_status()
                ),
            )));
            return false;
        }
        if let Err(error) = options.validate() {
            outcome.fill(Err(error));
            return false;
        }
        self.context.begin(&options);
        if (options.ip_address, options.port) != (self.options.ip_address, self.options.port) {
            self.told_logins = None;
        }
        self.options = options;
        self.start_error = None;
        self.output.clear();
        self.status = None;
        self.at_once = None;
        self.settling = None;
        self.pace.clear();
        self.starting = Some(outcome.clone());
        true
    }

    pub(crate) fn boot(&mut self, options: Options, outcome: Outcome, now: Duration) {
        if !self.begin(options, &outcome) {
            return;
        }
        self.owned = true;
        self.set_phase(Phase::Booting { deadline: now + self.timeouts.boot });
        self.event(LifecycleEvent::Booting);
        self.actions.push_back(Action::Spawn(Box::new(self.options.clone())));
    }

    pub(crate) fn connect(&mut self, options: Options, outcome: Outcome, now: Duration) {
        if !self.begin(options, &outcome) {
            return;
        }
        self.owned = false;
        self.start_connecting(now);
    }

    fn start_connecting(&mut self, now: Duration) {
        let deadline = now + self.timeouts.connect;
        self.set_phase(Phase::Connecting {
            step: Step::Opening,
            deadline,
            repeat: deadline,
            other_answers: 0,
        });
        self.event(LifecycleEvent::Connecting);
        self.actions.push_back(Action::Open(Box::new(self.options.clone())));
    }

    fn offline(&self, outcome: &Outcome) -> bool {
        if matches!(self.phase, Phase::Online) {
            return false;
        }
        outcome.fill(Err(Error::new(
            ErrorKind::ServerOffline,
            format!("the server is not online (it is {:?})", self.boot_status()),
        )));
        true
    }

    pub(crate) fn disconnect(&mut self, outcome: Outcome, now: Duration) {
        if self.offline(&outcome) {
            return;
        }
        if self.owned {
            outcome.fill(Err(Error::new(
                ErrorKind::OwnedServerShutdown,
                "this client started the server; quit it instead of disconnecting",
            )));
            return;
        }
        self.ending = Some(outcome);
        self.event(LifecycleEvent::Disconnecting);
        let client_id = Some(self.client_id);
        self.send_last(ToggleNotifications { should_notify: false, client_id }.into());
        self.set_phase(Phase::LoggingOut { deadline: now + self.timeouts.log_out });
    }

    pub(crate) fn quit(&mut self, force: bool, outcome: Outcome, now: Duration) {
        // A server that is still starting can be given up by its owner.
        if self.owned && matches!(self.phase, Phase::Booting { .. } | Phase::Connecting { .. }) {
            self.ending = Some(outcome);
            self.event(LifecycleEvent::Quitting);
            self.end_start(Error::new(
                ErrorKind::ServerCannotBoot,
                "the server was quit meanwhile",
            ));
            self.at_once = None;
            self.close();
            self.set_phase(Phase::Ending { kill_at: Some(now), why: Why::Quit });
            return;
        }
        if self.offline(&outcome) {
            return;
        }
        if !self.owned && !force {
            outcome.fill(Err(Error::new(
                ErrorKind::UnownedServerShutdown,
                "another process started the server; disconnect, or quit with force",
            )));
            return;
        }
        self.ending = Some(outcome);
        self.event(LifecycleEvent::Quitting);
        self.send_last(Quit.into());
        let after = if self.owned { After::Quit } else { After::UnownedQuit };
        self.set_phase(Phase::Quitting { deadline: now + self.timeouts.quit, after });
    }

    fn check_online(&self) -> Result<()> {
        if matches!(self.phase, Phase::Online) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ServerOffline,
            format!("the server is not online (it is {:?})", self.boot_status()),
        ))
    }

    /// Makes `slot` wait for the reply to `request`. Returns the number of the wait; those that
    /// are made in a row without other commands between have numbers in a row.
    pub(crate) fn wait_for(
        &mut self,
        request: &Request,
        slot: Arc<Slot<OscMessage>>,
        timeout: Option<Duration>,
        now: Duration,
    ) -> Result<u64> {
        self.check_online()?;
        let timeout = timeout.unwrap_or(self.timeouts.request).min(FOREVER);
        self.pending.add(request, slot, timeout, now)
    }

    /// The requests of these waits are never sent.
    pub(crate) fn forget(&mut self, waits: Range<u64>) {
        self.pending.forget(waits);
    }

    // ---- what is sent a window at a time ----------------------------------------------------

    /// Lets packets wait until the server has read what was sent before, and be sent in order.
    /// The deadlines of their requests' `waits` are counted from when the queue last moved.
    pub(crate) fn pace(&mut self, packets: Vec<Vec<u8>>, waits: Range<u64>) -> Result<()> {
        self.check_online()?;
        let last = self.pace.push(packets)?;
        self.pending.hold(waits, last);
        Ok(())
    }

    /// The connection's own packet that the system did not take, behind what waits.
    pub(crate) fn pace_own(&mut self, packet: Vec<u8>) {
        if let Err(error) = self.pace.push(vec![packet]) {
            tracing::warn!(%error, "a packet of the connection itself was not sent");
        }
    }

    /// What may be sent now. When this is `None` and [`Core::is_paced`] false, nothing waits.
    pub(crate) fn next_paced(&mut self, now: Duration) -> Option<Paced> {
        self.pace.next(now)
    }

    pub(crate) fn put_back(&mut self, paced: Paced) {
        self.pace.put_back(paced);
    }

    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_busy()
    }

    /// The server read what was sent; what waits behind it has not waited in vain.
    fn was_read(&mut self, first_waiting: u64, now: Duration) {
        self.pending.renew(first_waiting, now);
        match &mut self.phase {
            Phase::Quitting { deadline, .. } => *deadline = now + self.timeouts.quit,
            Phase::LoggingOut { deadline } => *deadline = now + self.timeouts.log_out,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
