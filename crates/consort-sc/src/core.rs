//! The state machine of a connection: no I/O, no clock. Commands, packets and the passing of
//! time go in; [`Action`]s come out. Times are durations since any fixed moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use consort_osc::{OscMessage, TimeTag};

use crate::bundling::packets;
use crate::context::ContextShared;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{BootStatus, LifecycleEvent, Timeouts};
use crate::options::{Options, Protocol};
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

/// What a caller of `boot`, `connect`, `quit` … waits on.
pub(crate) type Outcome = Arc<Slot<()>>;

#[derive(Debug)]
pub(crate) struct Core {
    context: Arc<ContextShared>,
    options: Options,
    timeouts: Timeouts,
    phase: Phase,
    health: Health,
    pending: PendingTable,
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
    /// SynthDef files that an owner loads while connecting.
    initial_synthdefs: Vec<Arc<[u8]>>,
    /// A bundle of the handshake that was sent, for repetition.
    handshake: Vec<Request>,
    at_once: Option<AtOnce>,
}

/// Lines of the process's output that are kept for errors.
const MAXIMUM_OUTPUT: usize = 200;

impl Core {
    pub(crate) fn new(context: Arc<ContextShared>, timeouts: Timeouts) -> Self {
        let options = context.options();
        Self {
            context,
            options,
            timeouts,
            phase: Phase::Offline,
            health: Health::default(),
            pending: PendingTable::default(),
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
            initial_synthdefs: Vec::new(),
            handshake: Vec::new(),
            at_once: None,
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
        self.timeouts = timeouts;
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
        let sent = packets(time, requests, limit, &mut |bytes| {
            actions.push_back(Action::Send(bytes.to_vec()));
            Ok(())
        });
        if let Err(error) = sent {
            tracing::warn!(%error, "a request of the connection itself could not be written");
        }
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
        self.options = options;
        self.start_error = None;
        self.output.clear();
        self.status = None;
        self.at_once = None;
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
        self.send(&[
            ToggleNotifications { should_notify: false, client_id: Some(self.client_id) }.into()
        ]);
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
            self.actions.push_back(Action::Close);
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
        self.send(&[Quit.into()]);
        let after = if self.owned { After::Quit } else { After::UnownedQuit };
        self.set_phase(Phase::Quitting { deadline: now + self.timeouts.quit, after });
    }

    /// Makes `slot` wait for the reply to `request`.
    pub(crate) fn wait_for(
        &mut self,
        request: &Request,
        slot: Arc<Slot<OscMessage>>,
        timeout: Option<Duration>,
        now: Duration,
    ) -> Result<()> {
        if !matches!(self.phase, Phase::Online) {
            return Err(Error::new(
                ErrorKind::ServerOffline,
                format!("the server is not online (it is {:?})", self.boot_status()),
            ));
        }
        self.pending.add(request, slot, now + timeout.unwrap_or(self.timeouts.request))
    }

    // ---- the process ----------------------------------------------------------------------

    pub(crate) fn process_started(&mut self) {
        self.has_process = true;
    }

    pub(crate) fn process_line(&mut self, line: &str, now: Duration) {
        if self.output.len() >= MAXIMUM_OUTPUT {
            self.output.pop_front();
        }
        self.output.push_back(line.to_owned());
        let ready =
            line.contains("SuperCollider 3 server ready") || line.contains("Supernova ready");
        if ready && matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessBooted);
            self.start_connecting(now);
        }
    }

    fn process_text(&self) -> String {
        let text = self.output.iter().map(|line| format!("\n    {line}")).collect::<String>();
        if text.is_empty() {
            " It printed nothing.".to_owned()
        } else {
            format!(" It printed:{text}")
        }
    }

    pub(crate) fn spawn_failed(&mut self, error: &Error) {
        if matches!(self.phase, Phase::Booting { .. }) {
            self.event(LifecycleEvent::ProcessPanicked);
            self.end_start(error.clone().with_kind(ErrorKind::ServerCannotBoot));
            self.go_offline("the server could not boot");
        }
    }

    pub(crate) fn process_exited(&mut self, how: &str) {
        self.has_process = false;
        match self.phase {
            Phase::Booting { .. } => {
                self.event(LifecycleEvent::ProcessPanicked);
                let hint = self.boot_hint();
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!(
                        "the server process ended before it was ready ({how}).{hint}{}",
                        self.process_text()
                    ),
                );
                self.end_start(error);
                self.go_offline("the server could not boot");
            }
            Phase::Connecting { .. } | Phase::Online | Phase::LoggingOut { .. } => {
                self.event(LifecycleEvent::ProcessPanicked);
                self.event(LifecycleEvent::OscPanicked);
                self.event(LifecycleEvent::Disconnecting);
                self.actions.push_back(Action::Close);
                self.event(LifecycleEvent::Disconnected);
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!("the server process ended ({how}).{}", self.process_text()),
                );
                self.end_start(error);
                self.go_offline("the server process ended");
                self.event(LifecycleEvent::Quit);
                if let Some(ending) = self.ending.take() {
                    self.actions.push_back(Action::Complete(ending, Ok(())));
                }
            }
            Phase::Quitting { .. } => {
                self.finish_connection();
                self.process_gone(Why::Quit);
            }
            Phase::Ending { why, .. } => self.process_gone(why),
            Phase::Offline => {}
        }
    }

    fn boot_hint(&self) -> String {
        let text: String = self.output.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        if text.contains("already in use")
            || text.contains("address in use")
            || text.contains("unable to bind")
        {
            format!(" Port {} is in use; choose another or end what holds it.", self.options.port)
        } else if text.contains("JackDriver") && text.contains("could not") {
            " No JACK server answers; start one (for example `jackd -d dummy`).".to_owned()
        } else {
            String::new()
        }
    }

    fn process_gone(&mut self, why: Why) {
        if why == Why::Quit {
            self.event(LifecycleEvent::ProcessQuit);
        }
        self.go_offline("the server was quit");
        if why != Why::BootFailed {
            self.event(LifecycleEvent::Quit);
        }
        if let Some(ending) = self.ending.take() {
            self.actions.push_back(Action::Complete(ending, Ok(())));
        }
    }

    // ---- the socket -----------------------------------------------------------------------

    pub(crate) fn socket_opened(&mut self, now: Duration) {
        if let Phase::Connecting { step: step @ Step::Opening, repeat, .. } = &mut self.phase {
            *step = Step::Status;
            *repeat = now + self.timeouts.health.timeout;
            self.health = Health::default();
            self.send(&[QueryStatus.into()]);
            if self.owned {
                self.ask_at_once();
            }
        }
    }

    /// Follows `/status` with the rest of the handshake. The tree is asked for after the groups
    /// were made, so that its answer shows them; only SynthDefs need a `/sync` besides.
    fn ask_at_once(&mut self) {
        let login = ToggleNotifications { should_notify: true, client_id: None };
        self.send(&[login.into()]);
        let mut requests = self.group_requests(0..self.options.maximum_logins);
        requests.push(QueryTree { id: 0, include_controls: false }.into());
        let synced = self.initial_synthdefs.is_empty();
        if !synced {
            requests.push(Sync { id: HANDSHAKE_GROUPS }.into());
        }
        self.send(&requests);
        self.at_once = Some(AtOnce { login: None, tree: false, synced });
    }

    /// An answer came while everything was asked for at once.
    fn answered_at_once(&mut self, now: Duration) -> Result<()> {
        let Some(AtOnce { login: Some((client_id, logins)), tree: true, synced: true }) =
            self.at_once
        else {
            return Ok(());
        };
        if self.status.is_none() {
            return Ok(());
        }
        self.at_once = None;
        self.log_in(client_id, logins)?;
        // With other clients in view the tree is asked for again, now that the server tells of
        // changes: what they did between its answer and the login would be missed.
        if self.maximum_logins == 1 && self.context.has_node(1) {
            self.connected(now);
        } else {
            self.ask_tree(now);
        }
        Ok(())
    }

    pub(crate) fn socket_failed(&mut self, error: &Error) {
        match self.phase {
            Phase::Connecting { .. } => self.connecting_failed(error.clone()),
            Phase::Online => self.panic(&error.to_string()),
            _ => {}
        }
    }

    /// The port is closed: nothing listens there.
    pub(crate) fn socket_refused(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::Connecting { step: Step::Status, repeat, .. } if self.owned => {
                *repeat = now + Duration::from_millis(50);
            }
            Phase::Connecting { .. } => {
                let error = Error::new(
                    ErrorKind::CannotConnect,
                    format!(
                        "nothing listens at {}:{}; start a server there, or boot one",
                        self.options.ip_address, self.options.port
                    ),
                );
                self.connecting_failed(error);
            }
            Phase::Online => {
                self.health.refused += 1;
                if self.health.refused >= 3 {
                    self.panic("the port was closed");
                } else {
                    self.health.waiting = false;
                    self.health.at = now + Duration::from_millis(100);
                }
            }
            Phase::Quitting { .. } => self.quit_answered(now),
            Phase::LoggingOut { .. } => self.finish_connection(),
            _ => {}
        }
    }

    /// The server closed a TCP connection: its answer to `/quit` and to a log-out.
    pub(crate) fn socket_refused_by_quit(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Quitting { .. } | Phase::LoggingOut { .. }) {
            self.socket_refused(now);
        }
    }

    /// A packet that is no OSC.
    pub(crate) fn garbage(&mut self) {
        if let Phase::Connecting { other_answers, .. } = &mut self.phase {
            *other_answers += 1;
        }
    }

    /// Whoever waits for the start gets `error`, once everything is cleaned up.
    fn end_start(&mut self, error: Error) {
        self.start_error = Some(error);
    }

    fn go_offline(&mut self, why: &str) {
        let error = Error::new(ErrorKind::ServerOffline, format!("{why} before it answered"));
        self.at_once = None;
        self.pending.clear(&error);
        self.set_phase(Phase::Offline);
        self.context.end();
        self.owned = false;
        self.status = None;
        if let (Some(starting), Some(error)) = (self.starting.take(), self.start_error.take()) {
            self.start_outcome = Some((starting, error));
        }
    }

    fn connecting_failed(&mut self, error: Error) {
        let too_many = error.kind() == ErrorKind::TooManyClients;
        if !too_many {
            self.event(LifecycleEvent::OscPanicked);
        }
        self.event(LifecycleEvent::Disconnecting);
        self.actions.push_back(Action::Close);
        self.event(LifecycleEvent::Disconnected);
        self.end_start(error);
        self.after_loss();
    }

    fn after_loss(&mut self) {
        self.at_once = None;
        if self.owned && self.has_process {
            // Only its end completes the loss: a stopped process would keep the port.
            let error = Error::new(ErrorKind::ServerOffline, "the connection was lost");
            self.pending.clear(&error);
            self.set_phase(Phase::Ending { kill_at: None, why: Why::Lost });
            self.actions.push_back(Action::Kill);
        } else {
            let owned = self.owned;
            self.go_offline("the connection was lost");
            if owned {
                self.event(LifecycleEvent::Quit);
            }
        }
    }

    fn panic(&mut self, why: &str) {
        tracing::warn!(why, "the server is lost");
        self.event(LifecycleEvent::OscPanicked);
        self.event(LifecycleEvent::Disconnecting);
        self.actions.push_back(Action::Close);
        self.event(LifecycleEvent::Disconnected);
        self.after_loss();
    }

    /// After `/quit` or a log-out: the connection ends in good order.
    fn finish_connection(&mut self) {
        let after = match self.phase {
            Phase::Quitting { after, .. } => {
                self.event(LifecycleEvent::Disconnecting);
                after
            }
            _ => After::Nothing,
        };
        self.actions.push_back(Action::Close);
        self.event(LifecycleEvent::OscDisconnected);
        self.event(LifecycleEvent::Disconnected);
        match after {
            After::Nothing | After::UnownedQuit => {
                self.go_offline("the connection was ended");
                if after == After::UnownedQuit {
                    self.event(LifecycleEvent::Quit);
                }
                if let Some(ending) = self.ending.take() {
                    self.actions.push_back(Action::Complete(ending, Ok(())));
                }
            }
            After::Quit => {}
        }
    }

    fn quit_answered(&mut self, now: Duration) {
        let Phase::Quitting { after, .. } = self.phase else { return };
        self.finish_connection();
        if after == After::Quit {
            if self.has_process {
                let kill_at = Some(now + self.timeouts.exit);
                self.set_phase(Phase::Ending { kill_at, why: Why::Quit });
            } else {
                self.process_gone(Why::Quit);
            }
        }
    }

    // ---- what the server says ---------------------------------------------------------------

    /// Takes one message. `claimed` says that a callback took it as a failure it waited for.
    pub(crate) fn message(&mut self, message: &OscMessage, claimed: bool, now: Duration) {
        if let Err(error) = self.try_message(message, claimed, now) {
            tracing::warn!(%error, "a message of the server was not understood");
            self.garbage();
        }
    }

    fn try_message(&mut self, message: &OscMessage, claimed: bool, now: Duration) -> Result<()> {
        match message.address.as_str() {
            "/status.reply" => {
                self.status = Some(StatusInfo::parse(message)?);
                self.health.attempt = 0;
                self.health.refused = 0;
                if self.health.waiting {
                    self.health.waiting = false;
                    self.health.at = now + self.timeouts.health.interval;
                }
                self.pending.reply(message);
                if self.at_once.is_some() {
                    self.answered_at_once(now)?;
                } else if let Phase::Connecting { step: step @ Step::Status, repeat, .. } =
                    &mut self.phase
                {
                    *step = Step::Notify;
                    *repeat = now + REPEAT;
                    self.handshake =
                        vec![ToggleNotifications { should_notify: true, client_id: None }.into()];
                    self.send(&self.handshake.clone());
                }
            }
            "/n_go" => {
                let info = NodeInfo::parse(message)?;
                self.context.node_started(&info);
                self.pending.reply(message);
            }
            "/n_end" => {
                let info = NodeInfo::parse(message)?;
                self.context.node_ended(&info);
                self.pending.reply(message);
            }
            "/n_move" => self.context.node_moved(&NodeInfo::parse(message)?),
            "/n_on" => self.context.node_paused(message.int(0)?, false),
            "/n_off" => self.context.node_paused(message.int(0)?, true),
            "/done" => self.done(message, now)?,
            "/fail" => self.fail(message, claimed, now)?,
            "/g_queryTree.reply" => {
                if self.is_at(Step::Tree) || message.int(1)? == 0 {
                    let tree = QueryTreeGroup::parse(message)?;
                    self.context.seed(&tree);
                }
                self.pending.reply(message);
                if message.int(1)? == 0 {
                    if let Some(at_once) = &mut self.at_once {
                        at_once.tree = true;
                        self.answered_at_once(now)?;
                    } else if self.is_at(Step::Tree) {
                        // The `/sync` is for a tree that does not fit into an answer.
                        self.make_groups(now);
                    }
                }
            }
            "/synced" => {
                let id = message.int(0)?;
                if id == HANDSHAKE_GROUPS
                    && let Some(at_once) = &mut self.at_once
                {
                    at_once.synced = true;
                    return self.answered_at_once(now);
                }
                match id {
                    HANDSHAKE_TREE if self.is_at(Step::Tree) => self.make_groups(now),
                    HANDSHAKE_GROUPS if self.is_at(Step::Groups) => self.connected(now),
                    _ => {
                        self.pending.reply(message);
                    }
                }
            }
            _ => {
                self.pending.reply(message);
            }
        }
        Ok(())
    }

    fn is_at(&self, wanted: Step) -> bool {
        matches!(self.phase, Phase::Connecting { step, .. } if step == wanted)
    }

    fn go_to(&mut self, next: Step, now: Duration, requests: Vec<Request>) {
        if let Phase::Connecting { step, repeat, .. } = &mut self.phase {
            *step = next;
            *repeat = now + REPEAT;
            self.send(&requests);
            self.handshake = requests;
        }
    }

    fn done(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        match message.text(0)? {
            "/notify" => {
                if let Some(at_once) = &mut self.at_once {
                    at_once.login = Some((message.int(1)?, message.int(2).ok()));
                    self.answered_at_once(now)?;
                } else if self.is_at(Step::Notify) {
                    let client_id = message.int(1)?;
                    // supernova does not say how many may log in.
                    let logins = message.int(2).ok();
                    self.logged_in(client_id, logins, now)?;
                } else if matches!(self.phase, Phase::LoggingOut { .. }) {
                    self.finish_connection();
                }
            }
            "/quit" => self.quit_answered(now),
            command @ ("/b_alloc" | "/b_allocRead" | "/b_allocReadChannel") => {
                let _ = command;
                self.context.buffer_allocated(message.int(1)?);
            }
            "/b_free" => self.context.buffer_freed(message.int(1)?),
            _ => {}
        }
        self.pending.reply(message);
        Ok(())
    }

    fn fail(&mut self, message: &OscMessage, claimed: bool, now: Duration) -> Result<()> {
        let fail = FailInfo::parse(message)?;
        if fail.command == "/notify" && (self.is_at(Step::Notify) || self.at_once.is_some()) {
            if fail.reason.contains("already registered") {
                // This very socket is logged in: an answer was lost and the request repeated.
                let client_id = fail.other.first().and_then(consort_osc::OscValue::as_i32);
                if self.options.protocol == Protocol::Tcp {
                    self.actions.push_back(Action::Warn(
                        "the server cannot tell its TCP clients apart (scsynth 3.13 cannot): this \
                         client shares the login, the ids and the notifications of another; use \
                         UDP for several clients"
                            .to_owned(),
                    ));
                }
                let client_id = client_id.unwrap_or(0);
                if let Some(at_once) = &mut self.at_once {
                    at_once.login = Some((client_id, None));
                    return self.answered_at_once(now);
                }
                return self.logged_in(client_id, None, now);
            }
            let error = Error::new(
                ErrorKind::TooManyClients,
                format!(
                    "the server at {}:{} takes no more clients ({}); disconnect one, or start it \
                     with more maximum_logins",
                    self.options.ip_address, self.options.port, fail.reason
                ),
            );
            self.connecting_failed(error);
            return Ok(());
        }
        if fail.command == "/notify" && matches!(self.phase, Phase::LoggingOut { .. }) {
            self.finish_connection();
            return Ok(());
        }
        if matches!(self.phase, Phase::Connecting { .. }) && fail.command == "/g_new" {
            // Another client made the group first.
            return Ok(());
        }
        // The second answer to a login that was repeated.
        let repeated = fail.command == "/notify" && fail.reason.contains("already registered");
        if !self.pending.fail(&fail) && !claimed && !repeated {
            self.actions.push_back(Action::Fail(fail));
        }
        Ok(())
    }

    fn logged_in(&mut self, client_id: i32, logins: Option<i32>, now: Duration) -> Result<()> {
        self.log_in(client_id, logins)?;
        self.ask_tree(now);
        Ok(())
    }

    fn log_in(&mut self, client_id: i32, logins: Option<i32>) -> Result<()> {
        let client_id = u32::try_from(client_id).map_err(|_| {
            Error::new(ErrorKind::Protocol, format!("the server gave the client id {client_id}"))
        })?;
        let logins = logins
            .and_then(|logins| u32::try_from(logins).ok())
            .unwrap_or(self.options.maximum_logins)
            .max(client_id.saturating_add(1));
        if logins > MAXIMUM_LOGINS {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the server says that {logins} clients may log in; {MAXIMUM_LOGINS} may"),
            ));
        }
        self.client_id = client_id;
        self.maximum_logins = logins;
        self.context.log_in(client_id, logins)?;
        self.event(LifecycleEvent::OscConnected);
        Ok(())
    }

    fn ask_tree(&mut self, now: Duration) {
        let requests = vec![
            QueryTree { id: 0, include_controls: false }.into(),
            Sync { id: HANDSHAKE_TREE }.into(),
        ];
        self.go_to(Step::Tree, now, requests);
    }

    /// The default groups of these clients that are not there, and an owner's SynthDefs.
    fn group_requests(&self, clients: std::ops::Range<u32>) -> Vec<Request> {
        let groups: Vec<NewGroup> = clients
            .map(|client| client as i32 + 1)
            .filter(|id| !self.context.has_node(*id))
            .map(|id| NewGroup { id, add_action: AddAction::ToTail, target_id: 0 })
            .collect();
        let mut requests: Vec<Request> = Vec::new();
        if !groups.is_empty() {
            requests.push(NewGroups { parallel: false, groups }.into());
        }
        if self.owned {
            for bytes in &self.initial_synthdefs {
                requests.push(
                    ReceiveSynthDef { bytes: bytes.clone(), completion: Default::default() }.into(),
                );
            }
        }
        requests
    }

    fn make_groups(&mut self, now: Duration) {
        let logins =
            if self.owned { 0..self.maximum_logins } else { self.client_id..self.client_id + 1 };
        let mut requests = self.group_requests(logins);
        if requests.is_empty() {
            // The tree shows every group already.
            return self.connected(now);
        }
        requests.push(Sync { id: HANDSHAKE_GROUPS }.into());
        self.go_to(Step::Groups, now, requests);
    }

    fn connected(&mut self, now: Duration) {
        self.set_phase(Phase::Online);
        self.health = Health { at: now + self.timeouts.health.interval, ..Health::default() };
        self.handshake.clear();
        self.at_once = None;
        self.event(LifecycleEvent::Connected);
        if self.owned {
            self.event(LifecycleEvent::Booted);
        }
        if let Some(starting) = self.starting.take() {
            self.actions.push_back(Action::Complete(starting, Ok(())));
        }
    }

    // ---- time ------------------------------------------------------------------------------

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Offline => None,
            Phase::Booting { deadline }
            | Phase::Quitting { deadline, .. }
            | Phase::LoggingOut { deadline } => Some(deadline),
            Phase::Connecting { deadline, repeat, .. } => Some(deadline.min(repeat)),
            Phase::Online => Some(self.health.at),
            Phase::Ending { kill_at, .. } => kill_at,
        };
        match (phase, self.pending.next_deadline()) {
            (Some(phase), Some(pending)) => Some(phase.min(pending)),
            (phase, pending) => phase.or(pending),
        }
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        self.pending.expire(now);
        match self.phase {
            Phase::Booting { deadline } if now >= deadline => {
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!(
                        "the server process was not ready within {:?} and was killed.{}",
                        self.timeouts.boot,
                        self.process_text()
                    ),
                );
                self.event(LifecycleEvent::ProcessPanicked);
                self.end_start(error);
                self.set_phase(Phase::Ending { kill_at: None, why: Why::BootFailed });
                self.actions.push_back(Action::Kill);
            }
            Phase::Connecting { deadline, step, other_answers, .. } if now >= deadline => {
                let error = self.no_answer(step, other_answers);
                self.connecting_failed(error);
            }
            Phase::Connecting { step, repeat, .. } if now >= repeat => {
                if let Phase::Connecting { repeat, .. } = &mut self.phase {
                    *repeat = now + REPEAT;
                }
                // Whatever was lost of what was asked for at once: now step by step.
                self.at_once = None;
                match step {
                    Step::Opening => {}
                    Step::Status => self.send(&[QueryStatus.into()]),
                    _ => self.send(&self.handshake.clone()),
                }
            }
            Phase::Online if now >= self.health.at => self.check_health(now),
            Phase::Quitting { deadline, .. } if now >= deadline => self.quit_answered(now),
            Phase::LoggingOut { deadline } if now >= deadline => self.finish_connection(),
            Phase::Ending { kill_at: Some(kill_at), why } if now >= kill_at => {
                self.set_phase(Phase::Ending { kill_at: None, why });
                self.actions.push_back(Action::Kill);
            }
            _ => {}
        }
    }

    fn no_answer(&self, step: Step, other_answers: u32) -> Error {
        let at = format!("{}:{}", self.options.ip_address, self.options.port);
        let within = self.timeouts.connect;
        let message = if other_answers > 0 {
            format!("what answers at {at} is no SuperCollider server")
        } else if self.options.protocol == Protocol::Tcp && step == Step::Status {
            format!(
                "{at} accepts TCP but never answered within {within:?}; it wants {} password, or \
                 is no SuperCollider server",
                if self.options.password.is_some() { "another" } else { "a" }
            )
        } else {
            format!(
                "no answer from {at} within {within:?}; is it a SuperCollider server, and alive?"
            )
        };
        Error::new(ErrorKind::CannotConnect, message)
    }

    fn check_health(&mut self, now: Duration) {
        let check = self.timeouts.health;
        if self.health.waiting {
            self.health.attempt += 1;
            if self.health.attempt >= check.attempts {
                self.panic("no answer to health checks");
                return;
            }
        }
        self.health.waiting = true;
        let patience = check.timeout.mul_f64(check.backoff.powi(self.health.attempt as i32));
        self.health.at = now + patience;
        self.send(&[QueryStatus.into()]);
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
