//! One instance: its worker's life, its queue, what goes to and fro.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, State, Usage};
use mio::Interest;
use mio::unix::pipe::{Receiver, Sender};

use super::House;
use super::output::Stream;
use super::process::{Job, Outcome, Worker, default_memory, describe};
use super::protocol::{self, Message, Order, Setup, decode, push_order, push_value};
use super::queue::{LIMIT, Queue};
use super::scan;
use super::settings::Settings;

const BOOT: &str = include_str!("worker/boot.py");
const PROGRAM: &str = include_str!("worker/worker.py");
/// Registrations: what the worker says, and room for what is said to it.
const WORDS: u32 = 0;
const ROOM: u32 = 1;

/// How many values are encoded at once.
const STAGE: usize = 2_048;
const READ: usize = 1 << 16;

/// How long an interpreter may take until it says which one it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// After this long a word is said about an import, or a handler, that does not end.
const IMPORT_NOTICE: Duration = Duration::from_secs(10);
const BUSY_NOTICE: Duration = Duration::from_secs(5);
/// How long after a value a worker is asked whether it is there.
const PING_DELAY: Duration = Duration::from_secs(1);
/// How long the loop waits awake for what a handler puts out. A handler that is called and
/// answers takes some ten microseconds; waking the loop's thread can take as long again.
const ANSWER: Duration = Duration::from_micros(200);
/// How many answers that did not come in that time end the waiting, until this many values
/// later.
const PATIENCE: u32 = 4;
const RETRY: u32 = 256;

/// How long clean-up handlers have.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// How often a dead worker is asked how it died.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// The first pause before a worker is started again; doubled each time up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// A worker that lived this long dies its first death again.
const LONG_LIFE: Duration = Duration::from_secs(2);
/// How many kinds of errors are told apart.
const KINDS: usize = 512;

/// A worker and the wire to it.
struct Link {
    worker: Worker,
    /// Two pipes: over a socket pair a reader also wakes who waits at the other end for
    /// something to read, and every message costs one more change of context.
    sender: Sender,
    receiver: Receiver,
    started: Instant,
    /// Bytes to the worker, and how many of them have left.
    staged: Vec<u8>,
    sent: usize,
    blocked: bool,
    /// How many times it is still worth waiting for an answer, and writes since it was not.
    patience: u32,
    unwatched: u32,
    /// Bytes from the worker, and which of them are not decoded yet.
    received: Vec<u8>,
    /// The worker's end is closed: what it has said is read until nothing is left.
    closed: bool,
    /// The last read found less than there was room for: the next value makes a new report.
    drained: bool,
    first: usize,
    end: usize,
    greeted: bool,
    ready: bool,
    noticed: bool,
    /// Errors by the numbers that this worker gives them.
    errors: HashMap<u32, usize>,
    /// When the first value since the last ping was delivered.
    fed: Option<Instant>,
    /// When a ping without answer left.
    asked: Option<Instant>,
    busy: bool,
}

impl Link {
    /// Nothing more is heard of the worker, nor said to it.
    fn hang_up(mut self: Box<Self>, context: &mut Context<'_>) -> Self {
        let _ = context.deregister(&mut self.sender);
        let _ = context.deregister(&mut self.receiver);
        *self
    }
}

enum Phase {
    /// Not started, or nothing more is to come.
    Idle,
    /// There is a worker.
    Linked(Box<Link>),
    /// The worker is dead; how it died is not known yet.
    Dead { worker: Worker, greeted: bool, lived: Duration, reason: Option<String> },
    /// Waiting to start again.
    Pause { until: Instant },
}

/// A kind of error and how often it came.
struct Kind {
    text: String,
    count: u64,
    reported: u64,
}

pub(crate) struct PythonInstance {
    settings: Settings,
    house: Rc<House>,
    label: Arc<str>,
    channels: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Bit 0: a source, bit 1: a target of mappings.
    usage: Vec<u8>,
    inputs: Vec<f64>,
    queue: Queue,
    replaced: u64,
    phase: Phase,
    deaths: u32,
    errors: Vec<Kind>,
    stopping: Option<Instant>,
    stop_sent: bool,
}

impl PythonInstance {
    pub(crate) fn new(settings: Settings, house: Rc<House>) -> Self {
        PythonInstance {
            label: settings.name.as_str().into(),
            settings,
            house,
            channels: Vec::new(),
            numbers: HashMap::new(),
            usage: Vec::new(),
            inputs: Vec::new(),
            queue: Queue::new(0, LIMIT),
            replaced: 0,
            phase: Phase::Idle,
            deaths: 0,
            errors: Vec::new(),
            stopping: None,
            stop_sent: false,
        }
    }

    // ---- life and death ------------------------------------------------------------------

    /// Starts a worker; what goes wrong is tried again later.
    fn launch(&mut self, context: &mut Context<'_>) {
        match self.try_launch(context) {
            Ok(link) => {
                self.phase = Phase::Linked(Box::new(link));
                self.wake(context);
            }
            Err(error) => self.pause(context, &format!("no worker can be started: {error}")),
        }
    }

    fn try_launch(&mut self, context: &mut Context<'_>) -> std::io::Result<Link> {
        let services = self.house.services(context.timestamp())?;
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (input, sender) = pipe()?;
        let (receiver, output) = pipe()?;
        let (mut sender, mut receiver) = (Sender::from(sender), Receiver::from(receiver));
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        context.register(&mut receiver, WORDS, Interest::READABLE)?;
        context.register(&mut sender, ROOM, Interest::WRITABLE)?;
        let printer = |kind| -> std::io::Result<OwnedFd> {
            let (read, write) = pipe()?;
            rustix::io::ioctl_fionbio(&read, true)?;
            services.forwarder.add(read, &self.label, kind);
            Ok(write)
        };
        let job = Job {
            python: self.settings.python.clone(),
            boot: BOOT,
            memory: self.settings.memory.unwrap_or_else(default_memory),
            input,
            output,
            stdout: printer(Stream::Output)?,
            stderr: printer(Stream::Error)?,
        };
        let now = context.now();
        Ok(Link {
            worker: services.spawner.start(job),
            sender,
            receiver,
            started: now,
            staged: Vec::with_capacity(STAGE * protocol::RECORD),
            sent: 0,
            blocked: false,
            patience: 0,
            unwatched: 0,
            received: vec![0; READ],
            closed: false,
            drained: false,
            first: 0,
            end: 0,
            greeted: false,
            ready: false,
            noticed: false,
            errors: HashMap::new(),
            fed: None,
            asked: None,
            busy: false,
        })
    }

    /// The worker is gone, or has to go: `reason` says why where its exit status would not.
    fn bury(&mut self, context: &mut Context<'_>, reason: Option<String>) {
        let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let Link { worker, started, greeted, .. } = link.hang_up(context);
        if reason.is_some() {
            worker.kill();
        }
        if self.stopping.is_some() {
            return self.end(context);
        }
        let lived = context.now() - started;
        self.phase = Phase::Dead { worker, greeted, lived, reason };
        self.mourn(context);
    }

    /// Finds out how the worker died and plans the next one.
    fn mourn(&mut self, context: &mut Context<'_>) {
        let Phase::Dead { worker, greeted, lived, reason } = &mut self.phase else { return };
        let Some(outcome) = worker.outcome() else {
            return context.wake_in(REAP_INTERVAL);
        };
        if *lived >= LONG_LIFE {
            self.deaths = 0;
        }
        let reason = reason.take().unwrap_or_else(|| {
            let how = describe(outcome, &self.settings.python);
            match outcome {
                Outcome::Ended(_) if !*greeted => {
                    let python = self.settings.python.to_string_lossy();
                    format!("`{python}` is no Python that runs here: {how}")
                }
                _ => how,
            }
        });
        self.pause(context, &reason);
    }

    fn pause(&mut self, context: &mut Context<'_>, reason: &str) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.deaths.min(16)).min(LAST_PAUSE);
        self.deaths += 1;
        context.count_errors(1);
        self.phase = Phase::Pause { until: context.now() + pause };
        context.set_state(State::Waiting(format!("{reason}; it is started again in {pause:?}")));
        self.wake(context);
    }

    /// No worker will be started again.
    fn give_up(&mut self, context: &mut Context<'_>, reason: String) {
        if let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.hang_up(context));
        }
        context.count_errors(1);
        context.count_dropped(self.queue.len() as u64);
        while self.queue.pop().is_some() {}
        context.set_state(State::Failed(reason));
        context.wake_at(None);
    }

    /// The show is over for it: the worker goes, and the counts of errors are told.
    fn end(&mut self, context: &mut Context<'_>) {
        if let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.hang_up(context));
        }
        context.wake_at(None);
        for kind in &mut self.errors {
            if kind.count > kind.reported.max(1) {
                kind.repeat(context.name());
            }
        }
    }

    /// Asks for the next call of `timer`.
    fn wake(&self, context: &mut Context<'_>) {
        let time = match &self.phase {
            Phase::Idle => None,
            Phase::Dead { .. } => Some(context.now() + REAP_INTERVAL),
            Phase::Pause { until } => Some(*until),
            Phase::Linked(link) if !link.greeted => Some(link.started + HELLO_LIMIT),
            Phase::Linked(link) if !link.ready && !link.noticed => {
                Some(link.started + IMPORT_NOTICE)
            }
            Phase::Linked(link) => match link.asked {
                Some(asked) if !link.busy => Some(asked + BUSY_NOTICE),
                Some(_) => None,
                None => link.fed.map(|fed| fed + PING_DELAY),
            },
        };
        context.wake_at(match (time, self.stopping) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        });
    }

    // ---- to the worker -------------------------------------------------------------------

    /// Writes what waits until all is written or the socket is full.
    fn write(&mut self, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        if !link.greeted {
            return;
        }
        loop {
            if link.sent == link.staged.len() {
                link.staged.clear();
                link.sent = 0;
                while link.staged.len() < STAGE * protocol::RECORD {
                    let Some((channel, value)) = self.queue.pop() else { break };
                    self.inputs[channel as usize] = value;
                    push_value(&mut link.staged, channel, value);
                }
                if link.staged.is_empty() && self.stopping.is_some() && !self.stop_sent {
                    push_order(&mut link.staged, Order::Stop);
                    self.stop_sent = true;
                }
                if link.staged.is_empty() {
                    break;
                }
            }
            match link.sender.write(&link.staged[link.sent..]) {
                Ok(count) => link.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    link.blocked = true;
                    return;
                }
                // The end of the worker is seen, and spoken of, where its words are read.
                Err(_) => return,
            }
        }
        link.blocked = false;
        if self.replaced > 0 {
            let count = std::mem::take(&mut self.replaced);
            tracing::warn!(
                instance = context.name(),
                "the script takes values again; {count} were replaced by newer ones of their channel"
            );
        }
    }

    /// Asks a worker that got values whether it is there.
    fn ask(&mut self, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        link.fed = None;
        link.asked = Some(context.now());
        push_order(&mut link.staged, Order::Ping);
        self.write(context);
    }

    /// Has the loop wait awake for the answer to what was written, if this script is one that
    /// answers at once.
    fn expect(&mut self, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        if !link.ready || link.blocked {
            return;
        }
        if link.patience == 0 {
            link.unwatched += 1;
            if link.unwatched < RETRY {
                return;
            }
            link.unwatched = 0;
            link.patience = 1;
        }
        link.patience -= 1;
        context.expect_answer(Some(ANSWER));
    }

    // ---- from the worker -----------------------------------------------------------------

    fn read(&mut self, context: &mut Context<'_>) {
        let mut budget = context.budget();
        if context.is_expecting() {
            context.expect_answer(None);
            if let Phase::Linked(link) = &mut self.phase {
                link.patience = PATIENCE;
            }
        }
        loop {
            let Phase::Linked(link) = &mut self.phase else { return };
            if budget == 0 {
                return context.call_again(WORDS);
            }
            let ended = match decode(&link.received[link.first..link.end]) {
                Ok(Some((message, taken))) => {
                    link.first += taken;
                    if let Message::Value(channel, value) = message {
                        if (channel as usize) < self.channels.len() && !value.is_nan() {
                            context.emit(channel, value.clamp(0.0, 1.0));
                        }
                        budget -= 1;
                    } else {
                        self.take(message, context);
                    }
                    continue;
                }
                Err(error) => {
                    let reason = format!("its process does not speak the protocol: {error}");
                    return self.bury(context, Some(reason));
                }
                Ok(None) if link.drained && !link.closed => return,
                Ok(None) => fill(link),
            };
            match ended {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.bury(context, None),
            }
        }
    }

    /// Acts on anything but a value.
    fn take(&mut self, message: Message, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        match message {
            Message::Value(..) => {}
            Message::Hello(major, minor) => self.greet(major, minor, context),
            Message::Ready => {
                link.ready = true;
                if self.stopping.is_none() {
                    context.set_state(State::Up);
                }
                self.wake(context);
            }
            Message::Error(number, text) => self.new_error(number, &text, context),
            Message::Repeat(number) => {
                if let Some(&kind) = link.errors.get(&number) {
                    self.count_error(kind, context);
                }
            }
            Message::Warning(text) => tracing::warn!(instance = context.name(), "{text}"),
            Message::Exit(text) => {
                let (module, code) = text.split_once('\0').unwrap_or((&text, ""));
                let with = if code.is_empty() { String::new() } else { format!(" ({code})") };
                self.give_up(
                    context,
                    format!(
                        "the module `{module}` ended it with sys.exit{with} while it was imported"
                    ),
                );
            }
            Message::Bye => self.end(context),
            Message::Pong => {
                if link.busy {
                    let name = context.name();
                    tracing::info!(instance = name, "the script takes values again");
                }
                link.busy = false;
                link.asked = None;
                self.wake(context);
            }
            Message::WakeMe => {
                push_order(&mut link.staged, Order::Wake);
                self.write(context);
            }
        }
    }

    /// The interpreter is there: it gets its program.
    fn greet(&mut self, major: u8, minor: u8, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        let python = self.settings.python.to_string_lossy();
        if (major, minor) < (3, 8) {
            let reason = format!("`{python}` is Python {major}.{minor}; 3.8 or newer is needed");
            return self.give_up(context, reason);
        }
        tracing::debug!(
            instance = context.name(),
            process = link.worker.id(),
            "`{python}` is Python {major}.{minor}"
        );
        let Ok(services) = self.house.services(context.timestamp()) else { return };
        let modules = self.settings.modules.iter();
        let setup = Setup {
            program: PROGRAM,
            epoch: services.epoch,
            directory: &self.settings.directory,
            default_handler: &self.settings.default_handler,
            modules: modules.map(|it| (it.name.as_str(), it.path.as_deref())).collect(),
            channels: &self.channels,
            usage: &self.usage,
            inputs: &self.inputs,
        };
        link.staged = setup.encode();
        link.sent = 0;
        link.greeted = true;
        self.wake(context);
        self.write(context);
    }

    fn new_error(&mut self, number: u32, text: &str, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        let known = self.errors.iter().position(|kind| kind.text == text);
        let kind = known.or_else(|| {
            let room = self.errors.len() < KINDS;
            room.then(|| {
                self.errors.push(Kind { text: text.to_owned(), count: 0, reported: 0 });
                self.errors.len() - 1
            })
        });
        let Some(kind) = kind else { return context.count_errors(1) };
        link.errors.insert(number, kind);
        self.count_error(kind, context);
    }

    /// An error is reported when it comes first, then at the tenth, the hundredth time and so on.
    fn count_error(&mut self, kind: usize, context: &mut Context<'_>) {
        context.count_errors(1);
        let kind = &mut self.errors[kind];
        kind.count += 1;
        let name = context.name();
        if kind.count == 1 {
            tracing::error!(instance = name, "{}", kind.text.trim_end());
        } else if kind.count.ilog10() > (kind.count - 1).ilog10() {
            kind.repeat(name);
        }
    }
}

impl Kind {
    fn repeat(&mut self, name: &str) {
        self.reported = self.count;
        let mut lines = self.text.lines();
        let place = lines.next().unwrap_or("");
        let error = lines.next_back().unwrap_or("");
        tracing::error!(instance = name, "{} times so far: {place}: {error}", self.count);
    }
}

/// Reads more bytes behind those that are not decoded yet.
fn fill(link: &mut Link) -> std::io::Result<usize> {
    if link.first > 0 {
        link.received.copy_within(link.first..link.end, 0);
        link.end -= link.first;
        link.first = 0;
    }
    if link.end == link.received.len() {
        // A text that is longer than the buffer; the protocol bounds it.
        link.received.resize(link.end * 2, 0);
    }
    let count = link.receiver.read(&mut link.received[link.end..])?;
    link.end += count;
    link.drained = link.end < link.received.len();
    Ok(count)
}

impl Instance for PythonInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("a channel needs a name")
                .with_hint("write `instance.name` or `instance.module.function`"));
        }
        if specification.contains('\0') {
            return Err(ChannelError::new("a channel's name holds no NUL"));
        }
        let bit = match usage {
            Usage::Source => 1,
            Usage::Target => 2,
        };
        if let Some(&number) = self.numbers.get(specification) {
            self.usage[number as usize] |= bit;
            return Ok(number);
        }
        let number = u32::try_from(self.channels.len())
            .ok()
            .filter(|&number| number < protocol::CONTROL)
            .ok_or_else(|| ChannelError::new("too many channels"))?;
        self.numbers.insert(specification.to_owned(), number);
        self.channels.push(specification.to_owned());
        self.usage.push(bit);
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        scan::check(&self.settings, &self.channels, &self.usage, problems);
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.numbers = HashMap::new();
        self.inputs = vec![f64::NAN; self.channels.len()];
        self.queue = Queue::new(self.channels.len(), LIMIT);
        self.launch(context);
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        if key == ROOM {
            self.write(context);
        } else {
            if let Phase::Linked(link) = &mut self.phase {
                link.closed |= readiness.closed;
                link.drained = false;
            }
            self.read(context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.stopping.is_some_and(|limit| now >= limit) {
            if matches!(self.phase, Phase::Linked(_)) {
                tracing::warn!(
                    instance = context.name(),
                    "the script did not clean up within {STOP_LIMIT:?} and was ended"
                );
            }
            return self.end(context);
        }
        match &mut self.phase {
            Phase::Idle => return,
            Phase::Dead { .. } => return self.mourn(context),
            Phase::Pause { until } if now >= *until => return self.launch(context),
            Phase::Pause { .. } => {}
            Phase::Linked(link) if !link.greeted => {
                if now >= link.started + HELLO_LIMIT {
                    let python = self.settings.python.to_string_lossy();
                    let reason = format!(
                        "`{python}` is no Python that runs here: it said nothing for {HELLO_LIMIT:?}"
                    );
                    return self.bury(context, Some(reason));
                }
            }
            Phase::Linked(link) if !link.ready => {
                if !link.noticed && now >= link.started + IMPORT_NOTICE {
                    link.noticed = true;
                    tracing::warn!(
                        instance = context.name(),
                        "its modules are still being imported after {IMPORT_NOTICE:?}; \
                         the show goes on without them"
                    );
                }
            }
            Phase::Linked(link) => {
                if link.asked.is_none() && link.fed.is_some_and(|fed| now >= fed + PING_DELAY) {
                    self.ask(context);
                } else if !link.busy && link.asked.is_some_and(|asked| now >= asked + BUSY_NOTICE) {
                    link.busy = true;
                    tracing::warn!(
                        instance = context.name(),
                        "the script has not answered for {BUSY_NOTICE:?} (a handler takes long, or more \
                         comes than it can take); its values wait"
                    );
                }
            }
        }
        self.wake(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if matches!(self.phase, Phase::Idle) {
            return context.count_dropped(events.len() as u64);
        }
        let mut replaced = 0;
        for event in events {
            replaced += u64::from(!self.queue.push(event.channel, event.value));
        }
        if replaced > 0 {
            context.count_dropped(replaced);
            if self.replaced == 0 {
                tracing::warn!(
                    instance = context.name(),
                    "{LIMIT} values wait for the script; only the newest of each channel is kept now"
                );
            }
            self.replaced += replaced;
        }
        if let Phase::Linked(link) = &mut self.phase
            && link.ready
            && link.fed.is_none()
        {
            link.fed = Some(context.now());
            if link.asked.is_none() {
                self.wake(context);
            }
        }
        self.write(context);
        self.expect(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.stopping = Some(context.now() + STOP_LIMIT);
        match &self.phase {
            Phase::Linked(link) if link.greeted => {
                self.write(context);
                self.wake(context);
            }
            // No script is running yet, or none any more.
            _ => self.end(context),
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }
}
