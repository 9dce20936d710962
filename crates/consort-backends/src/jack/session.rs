//! The thread of an instance that opens its client, and again when the server returns. Everything
//! that may block in the library happens here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::bell::Bell;
use super::config::PortConfig;
use super::connections::{Connections, Rule, SETTLING_TIME};
use super::library::{self, Client, Jack, LoadError, Signals};
use super::process::{Levels, Process, RouterEnd};

/// The time between two attempts to reach a server.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a server may leave out its periods without being reported.
const STALL_TIME: Duration = Duration::from_secs(2);

/// How many commands may wait for the thread.
const MAX_COMMANDS: usize = 64;

/// What the thread needs.
pub(super) struct Settings {
    /// The name of the instance, for the log.
    pub(super) instance: String,
    pub(super) client: String,
    pub(super) server: Option<String>,
    pub(super) ports: Vec<PortConfig>,
    pub(super) rules: Vec<Rule>,
    /// The libraries to try.
    pub(super) libraries: Vec<String>,
    pub(super) sets_tempo: bool,
    pub(super) levels: Levels,
    /// The connections, which outlive the instance.
    pub(super) connections: Arc<Mutex<Connections>>,
    /// Whether messages of the library are logged, and as warnings.
    pub(super) logs_messages: bool,
}

/// What the router's thread asks for.
pub(super) enum Command {
    Roll(bool),
    Rewind,
    /// Quarter notes per minute.
    Tempo(f64),
    Rules(Vec<Rule>),
    /// Provide the tempo from now on.
    ProvideTempo,
}

/// What the thread reports.
pub(super) enum Notice {
    /// The client runs.
    Opened(Opened),
    /// Something is missing; the thread tries again.
    Waiting(String),
    /// It cannot work at all. The thread has ended.
    Failed(String),
    Status(Status),
    /// The server does not run, or runs again.
    Stalled(bool),
    /// The thread has ended.
    Closed,
}

/// A client that runs.
pub(super) struct Opened {
    pub(super) end: RouterEnd,
    /// A moment, and the server's clock at this moment in ns.
    pub(super) clock: (Instant, u64),
}

/// What views show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) client: String,
    pub(super) sample_rate: u32,
    pub(super) frames: u32,
    pub(super) is_freewheeling: bool,
    pub(super) connections: usize,
    /// The patterns of the options `connect` that match no port.
    pub(super) missing: Vec<String>,
}

/// The router's side of the thread. Dropping it ends the thread.
pub(super) struct Session {
    commands: SyncSender<Command>,
    pub(super) notices: Receiver<Notice>,
    is_ended: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl Session {
    /// Starts the thread. `bell` wakes the router's thread.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn start(settings: Settings, bell: Arc<Bell>) -> std::io::Result<Session> {
        let (commands, command_end) = sync_channel(MAX_COMMANDS);
        let (notice_end, notices) = channel();
        let is_ended = Arc::new(AtomicBool::new(false));
        let own_bell = Arc::new(Bell::new()?);
        let worker = Worker {
            settings,
            commands: command_end,
            notices: notice_end,
            is_ended: Arc::clone(&is_ended),
            bell: Arc::clone(&own_bell),
            router_bell: bell,
            jack: None,
            tempo: None,
        };
        std::thread::Builder::new().name("jack".into()).spawn(move || worker.run())?;
        Ok(Session { commands, notices, is_ended, bell: own_bell })
    }

    /// Sends a command. Returns false if the queue is full.
    pub(super) fn send(&self, command: Command) -> bool {
        let result = self.commands.try_send(command);
        self.bell.ring();
        !matches!(result, Err(TrySendError::Full(_)))
    }

    /// Closes the client and ends the thread, which reports [`Notice::Closed`].
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.bell.ring();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why there is no client.
enum OpenError {
    Waiting(String),
    Failed(String),
}

/// The thread's side.
struct Worker {
    settings: Settings,
    commands: Receiver<Command>,
    notices: Sender<Notice>,
    is_ended: Arc<AtomicBool>,
    bell: Arc<Bell>,
    router_bell: Arc<Bell>,
    /// The library that has reached a server.
    jack: Option<&'static Jack>,
    /// The tempo that was set last.
    tempo: Option<f64>,
}

impl Worker {
    fn run(mut self) {
        let mut reported = String::new();
        while !self.is_ended() {
            let reason = match self.open() {
                Ok(client) => self.serve(client),
                Err(OpenError::Waiting(reason)) => reason,
                Err(OpenError::Failed(reason)) => {
                    self.notify(Notice::Failed(reason));
                    break;
                }
            };
            self.log_messages();
            if reason != reported && !self.is_ended() {
                reported.clone_from(&reason);
                self.notify(Notice::Waiting(reason));
            }
            let until = Instant::now() + RETRY_INTERVAL;
            while let Some(left) = until.checked_duration_since(Instant::now())
                && !self.is_ended()
            {
                self.bell.wait(Some(left));
                self.take_commands(None);
            }
        }
        self.notify(Notice::Closed);
    }

    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    fn notify(&self, notice: Notice) {
        // Fails if the instance is gone.
        let _ = self.notices.send(notice);
        self.router_bell.ring();
    }

    fn log_messages(&self) {
        let instance = self.settings.instance.as_str();
        for message in library::take_messages() {
            if self.settings.logs_messages {
                tracing::warn!(instance, "libjack: {message}");
            } else {
                tracing::debug!(instance, "libjack: {message}");
            }
        }
    }

    /// The server's name, for messages.
    fn server(&self) -> String {
        match &self.settings.server {
            Some(name) => format!("the JACK server `{name}`"),
            None => "the JACK server".into(),
        }
    }

    /// Opens a client with the first library that reaches a server.
    fn open(&mut self) -> Result<Client, OpenError> {
        let mut tried = Vec::new();
        let mut incomplete = None;
        let mut refused = None;
        let known = self.jack.map(|jack| vec![jack.path.clone()]);
        for path in known.as_ref().unwrap_or(&self.settings.libraries) {
            let jack = match library::load(path) {
                Ok(jack) => jack,
                Err(LoadError::Missing(reason)) => {
                    tracing::debug!("cannot load libjack: {reason}");
                    tried.push(format!("`{path}`"));
                    continue;
                }
                Err(LoadError::Incomplete(reason)) => {
                    incomplete.get_or_insert(reason);
                    continue;
                }
            };
            match Client::open(jack, &self.settings.client, self.settings.server.as_deref()) {
                Ok(client) => {
                    self.jack = Some(jack);
                    return Ok(client);
                }
                Err(reason) => {
                    refused.get_or_insert(reason);
                }
            }
        }
        Err(match (refused, incomplete) {
            (Some(reason), _) => OpenError::Waiting(format!(
                "cannot open a client of {}: {reason}; start it (`jackd`, or PipeWire)",
                self.server()
            )),
            (None, Some(reason)) => OpenError::Failed(reason),
            (None, None) => OpenError::Waiting(format!(
                "cannot load libjack: tried {}; install JACK or PipeWire's `pipewire-jack`, or \
                 give the path with `library`",
                tried.join(", ")
            )),
        })
    }

    /// Registers the ports and serves the client until the server or the instance ends. Returns why
    /// there is no server.
    fn serve(&mut self, mut client: Client) -> String {
        let (process, end) = Process::new(
            &self.settings.ports,
            Arc::clone(&self.settings.levels),
            Arc::clone(&self.router_bell),
        );
        let shared = Arc::clone(&end.shared);
        let signals = Arc::new(Signals::new(Arc::clone(&self.bell), process.shared()));
        if let Some(tempo) = self.tempo {
            signals.tempo.store(tempo.to_bits(), Ordering::Relaxed);
        }
        let mut result = Ok(());
        for port in &self.settings.ports {
            result = result.and_then(|()| client.register(port));
        }
        if let Err(reason) = result.and_then(|()| client.start(process, &signals)) {
            client.close();
            return format!("cannot use {}: {reason}", self.server());
        }
        if self.settings.sets_tempo {
            client.provide_tempo();
        }
        let clock = (Instant::now(), client.time());
        self.notify(Notice::Opened(Opened { end, clock }));
        client.mark_control_voltage();
        let mut status = Status::default();
        let mut reported = None;
        let mut is_unsure = false;
        let mut stalled = false;
        let (mut periods, mut since) = (0, Instant::now());
        while !self.is_ended() && !signals.is_shut_down.load(Ordering::Acquire) {
            let has_rules = self.take_commands(Some((&client, &signals)));
            let has_changed = signals.graph_changed.swap(false, Ordering::AcqRel);
            let has_format = signals.format_changed.swap(false, Ordering::AcqRel);
            if has_changed || has_rules || is_unsure {
                is_unsure = self.look(&client, has_rules, &mut status);
            }
            if has_changed || has_format || has_rules || is_unsure {
                status.client = client.name();
                (status.sample_rate, status.frames) = client.format();
                status.is_freewheeling = shared.is_freewheeling.load(Ordering::Relaxed);
                if reported.as_ref() != Some(&status) {
                    reported = Some(status.clone());
                    self.notify(Notice::Status(status.clone()));
                }
            }
            let (now, count) = (Instant::now(), shared.periods.load(Ordering::Relaxed));
            if count != periods {
                (periods, since) = (count, now);
            }
            let has_stalled = now - since >= STALL_TIME;
            if has_stalled != stalled {
                stalled = has_stalled;
                self.notify(Notice::Stalled(stalled));
            }
            self.log_messages();
            self.bell.wait(Some(if is_unsure { SETTLING_TIME } else { STALL_TIME }));
        }
        let reason = signals.reason.lock().take();
        self.settings.connections.lock().lose_server();
        client.close();
        let server = self.server();
        match reason.filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("{server} has ended: {reason}"),
            None => format!("{server} has ended"),
        }
    }

    /// Compares the connections with those that are to exist, and makes what is missing. Returns
    /// whether to look again soon.
    fn look(&self, client: &Client, has_rules: bool, status: &mut Status) -> bool {
        let (ports, rules) = (&self.settings.ports, &self.settings.rules);
        let mut connections = self.settings.connections.lock();
        if has_rules {
            connections.lose_server();
        }
        let (peers, current) = (client.peers(), client.connections());
        let plan = connections.look(Instant::now(), ports, rules, &peers, &current);
        status.missing = Connections::missing(ports, rules, &peers);
        status.connections = current.len();
        let instance = self.settings.instance.as_str();
        for (port, peer) in &plan.removed {
            tracing::info!(instance, "`{port}` was disconnected from `{peer}` and stays so");
        }
        for connection in &plan.connect {
            let (port, peer) = connection;
            if client.connect(connection) {
                tracing::info!(instance, "connected `{port}` with `{peer}`");
            } else {
                tracing::warn!(instance, "cannot connect `{port}` with `{peer}`");
            }
        }
        plan.is_unsure
    }

    /// Carries out what the router's thread has asked for. Returns whether the rules have changed.
    fn take_commands(&mut self, open: Option<(&Client, &Signals)>) -> bool {
        let mut has_rules = false;
        while let Ok(command) = self.commands.try_recv() {
            match (command, open) {
                (Command::Rules(rules), _) => {
                    self.settings.rules = rules;
                    has_rules = true;
                }
                (Command::Tempo(tempo), open) => {
                    self.tempo = Some(tempo);
                    if let Some((_, signals)) = open {
                        signals.tempo.store(tempo.to_bits(), Ordering::Relaxed);
                    }
                }
                (Command::ProvideTempo, open) => {
                    self.settings.sets_tempo = true;
                    if let Some((client, _)) = open {
                        client.provide_tempo();
                    }
                }
                (Command::Roll(is_rolling), Some((client, _))) => client.roll(is_rolling),
                (Command::Rewind, Some((client, _))) => client.rewind(),
                (Command::Roll(_) | Command::Rewind, None) => {}
            }
        }
        has_rules
    }
}
