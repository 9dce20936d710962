//! The wire between an instance and its worker.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use consort_router::{Context, State};
use mio::unix::pipe::{Receiver, Sender};

use super::super::process::Worker;
use super::super::protocol::{
    self, Message, Order, ProtocolError, Setup, decode, push_order, push_value,
};
use super::{Phase, PythonInstance};

const PROGRAM: &str = include_str!("../worker/worker.py");
/// Registrations: what the worker says, and room for what is said to it.
pub(super) const WORDS: u32 = 0;
pub(super) const ROOM: u32 = 1;

/// How many values are encoded at once.
const STAGE: usize = 2_048;
const READ: usize = 1 << 16;
/// How long the loop waits awake for what a handler puts out. A handler that is called and
/// answers takes some ten microseconds; waking the loop's thread can take as long again.
const ANSWER: Duration = Duration::from_micros(200);
/// How many answers that did not come in that time end the waiting, until this many values
/// later.
const PATIENCE: u32 = 4;
const RETRY: u32 = 256;

/// A worker and the wire to it.
pub(super) struct Link {
    pub(super) worker: Worker,
    /// Two pipes: over a socket pair a reader also wakes who waits at the other end for
    /// something to read, and every message costs one more change of context.
    sender: Sender,
    receiver: Receiver,
    pub(super) started: Instant,
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
    pub(super) closed: bool,
    /// The last read found less than there was room for: the next value makes a new report.
    pub(super) drained: bool,
    first: usize,
    end: usize,
    pub(super) greeted: bool,
    pub(super) ready: bool,
    pub(super) noticed: bool,
    /// Errors by the numbers that this worker gives them.
    errors: HashMap<u32, usize>,
    /// When the first value since the last ping was delivered.
    pub(super) fed: Option<Instant>,
    /// When a ping without answer left.
    pub(super) asked: Option<Instant>,
    pub(super) busy: bool,
}

impl Link {
    pub(super) fn new(
        worker: Worker,
        sender: Sender,
        receiver: Receiver,
        started: Instant,
    ) -> Self {
        Link {
            worker,
            sender,
            receiver,
            started,
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
        }
    }

    /// Nothing more is heard of the worker, nor said to it.
    pub(super) fn hang_up(mut self: Box<Self>, context: &mut Context<'_>) -> Self {
        let _ = context.deregister(&mut self.sender);
        let _ = context.deregister(&mut self.receiver);
        *self
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

impl PythonInstance {
    /// Writes what waits until all is written or the pipe is full.
    pub(super) fn write(&mut self, context: &mut Context<'_>) {
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
    pub(super) fn ask(&mut self, context: &mut Context<'_>) {
        let Phase::Linked(link) = &mut self.phase else { return };
        link.fed = None;
        link.asked = Some(context.now());
        push_order(&mut link.staged, Order::Ping);
        self.write(context);
    }

    /// Has the loop wait awake for the answer to what was written, if this script is one that
    /// answers at once.
    pub(super) fn expect(&mut self, context: &mut Context<'_>) {
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

    pub(super) fn read(&mut self, context: &mut Context<'_>) {
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
                        if channel as usize >= self.channels.len() || value.is_nan() {
                            // Half a record, or something that a script wrote in between: from
                            // here on all values would be read out of step.
                            return self.disown(ProtocolError::Value(channel), context);
                        }
                        context.emit(channel, value.clamp(0.0, 1.0));
                        budget -= 1;
                    } else {
                        self.take(message, context);
                    }
                    continue;
                }
                Err(error) => return self.disown(error, context),
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

    /// A worker whose words make no sense is ended.
    fn disown(&mut self, error: ProtocolError, context: &mut Context<'_>) {
        let greeted = matches!(&self.phase, Phase::Linked(link) if link.greeted);
        let reason = if greeted {
            format!("its process does not speak the protocol: {error}")
        } else {
            let python = self.settings.python.to_string_lossy();
            format!("`{python}` is no Python that runs here: it says {error}")
        };
        self.bury(context, Some(reason));
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
            Message::Error(number, text) => {
                context.count_errors(1);
                if let Some(kind) = self.faults.kind(&text) {
                    link.errors.insert(number, kind);
                    self.faults.count(kind, context.name());
                }
            }
            Message::Repeat(number) => {
                if let Some(&kind) = link.errors.get(&number) {
                    context.count_errors(1);
                    self.faults.count(kind, context.name());
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
            // A worker whose pipe is full wakes by itself.
            Message::WakeMe if link.greeted && !link.blocked => {
                push_order(&mut link.staged, Order::Wake);
                self.write(context);
            }
            Message::WakeMe => {}
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
}
