//! The connection between an instance and its worker.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use consort_router::{Context, RawValue, Root, Sender as InputSender, State, Unmatched};
use mio::unix::pipe::{Receiver, Sender};

use super::super::language::Language;
use super::super::process::Worker;
use super::super::protocol::{
    self, Command, LoadResult, Message, NO_ROOT, Output, ProtocolError, Report, Setup, decode,
    push_command, push_value,
};
use super::super::queue::Queued;
use super::channels::WorkerChannels;
use super::{Phase, ScriptInstance};

/// The key under which the pipe from the worker is registered with the event loop.
pub(super) const READ_KEY: u32 = 0;
/// The key of the pipe to the worker.
pub(super) const WRITE_KEY: u32 = 1;

/// How many values are encoded at once.
const ENCODE_BATCH: usize = 2_048;
/// The size of the receive buffer, unless one text needs more.
const RECEIVE_BUFFER_BYTES: usize = 1 << 16;
/// How long the event loop busy-waits for a handler's output. A handler that answers at once
/// takes some ten microseconds; waking the loop's thread can take as long again.
const ANSWER_TIMEOUT: Duration = Duration::from_micros(200);
/// After this many deliveries without an answer within that time, busy-waiting stops.
const MAX_UNANSWERED_WAITS: u32 = 4;
/// Busy-waiting is tried once more after this many deliveries without it.
const DELIVERIES_BEFORE_RETRY: u32 = 256;
/// The maximum number of files of a script that are recorded.
const MAX_FILES: usize = 4_096;

/// A worker and the connection to it.
pub(super) struct WorkerLink {
    pub(super) worker: Worker,
    /// Two pipes instead of a socket pair: with a socket pair, each read also wakes the thread
    /// that waits for input at the other end, which costs one context switch per message.
    sender: Sender,
    receiver: Receiver,
    pub(super) started: Instant,
    /// How the worker numbers the channels; from the handshake on.
    pub(super) channels: WorkerChannels,
    /// The time limit has changed and was not sent yet.
    pub(super) has_new_time_limit: bool,
    /// Encoded bytes for the worker, and how many of them have been written.
    encoded: Vec<u8>,
    written: usize,
    /// Whether the pipe to the worker is full.
    blocked: bool,
    /// How many further deliveries are followed by a busy-wait.
    waits_left: u32,
    /// How many deliveries in a row were not followed by a busy-wait.
    deliveries_without_wait: u32,
    /// Bytes from the worker; those in `decoded..received_end` are not decoded yet.
    received: Vec<u8>,
    decoded: usize,
    received_end: usize,
    /// Whether the worker's end is closed: what remains in the pipe is still read.
    pub(super) closed: bool,
    /// Whether the last read left space in the buffer: the event loop then reports further input.
    pub(super) drained: bool,
    /// Whether the interpreter has reported its version and has been sent its program.
    pub(super) handshake_done: bool,
    /// Whether the modules are imported.
    pub(super) ready: bool,
    /// Whether a warning that the imports take long has been logged.
    pub(super) import_noticed: bool,
    /// Indices into the instance's `Faults` by the error numbers of this worker.
    errors: HashMap<u32, usize>,
    /// When the first value since the last ping was delivered.
    pub(super) unconfirmed_since: Option<Instant>,
    /// When the ping was sent that the worker has not answered yet.
    pub(super) ping_sent: Option<Instant>,
    /// Whether a warning that the script does not respond has been logged.
    pub(super) unresponsive: bool,
}

impl WorkerLink {
    pub(super) fn new(
        worker: Worker,
        sender: Sender,
        receiver: Receiver,
        started: Instant,
    ) -> Self {
        WorkerLink {
            worker,
            sender,
            receiver,
            started,
            channels: WorkerChannels::default(),
            has_new_time_limit: false,
            encoded: Vec::with_capacity(ENCODE_BATCH * protocol::RECORD_BYTES),
            written: 0,
            blocked: false,
            waits_left: 0,
            deliveries_without_wait: 0,
            received: vec![0; RECEIVE_BUFFER_BYTES],
            decoded: 0,
            received_end: 0,
            closed: false,
            drained: false,
            handshake_done: false,
            ready: false,
            import_noticed: false,
            errors: HashMap::new(),
            unconfirmed_since: None,
            ping_sent: None,
            unresponsive: false,
        }
    }

    /// Removes the pipes from the event loop.
    pub(super) fn deregister(mut self: Box<Self>, context: &mut Context<'_>) -> Self {
        let _ = context.deregister(&mut self.sender);
        let _ = context.deregister(&mut self.receiver);
        *self
    }

    /// Reads more bytes after those that are not decoded yet.
    fn fill(&mut self) -> std::io::Result<usize> {
        if self.decoded > 0 {
            self.received.copy_within(self.decoded..self.received_end, 0);
            self.received_end -= self.decoded;
            self.decoded = 0;
        }
        if self.received_end == self.received.len() {
            // A text longer than the buffer; the protocol limits its length.
            self.received.resize(self.received_end * 2, 0);
        }
        let count = self.receiver.read(&mut self.received[self.received_end..])?;
        self.received_end += count;
        self.drained = self.received_end < self.received.len();
        Ok(count)
    }
}

impl<L: Language> ScriptInstance<L> {
    /// Writes queued values until the queue is empty or the pipe is full.
    pub(super) fn write(&mut self, context: &mut Context<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        if !link.handshake_done {
            return;
        }
        loop {
            if link.written == link.encoded.len() {
                link.encoded.clear();
                link.written = 0;
                let default_handler = self.settings.default_handler();
                let WorkerLink { channels, encoded, has_new_time_limit, .. } = &mut **link;
                channels.encode_change(encoded, &self.channels, &self.usage, default_handler);
                if std::mem::take(has_new_time_limit) {
                    push_command(encoded, Command::TimeLimit(self.settings.time_limit()));
                }
                while encoded.len() < ENCODE_BATCH * protocol::RECORD_BYTES {
                    match self.queue.pop() {
                        Some(Queued::Value(channel, root, value)) => {
                            self.inputs[channel as usize] = value;
                            push_value(encoded, channels.number(channel), root, value);
                        }
                        Some(Queued::Text(channel, root, text)) => {
                            let number = channels.number(channel);
                            push_command(encoded, Command::Text { number, root, text });
                        }
                        None => break,
                    }
                }
                let is_stopping = self.stop_deadline.is_some();
                if link.encoded.is_empty() && is_stopping && !self.stop_sent {
                    push_command(&mut link.encoded, Command::Stop);
                    self.stop_sent = true;
                }
                if link.encoded.is_empty() {
                    break;
                }
            }
            match link.sender.write(&link.encoded[link.written..]) {
                Ok(count) => link.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    link.blocked = true;
                    return;
                }
                // The worker has exited; `read` detects and reports that.
                Err(_) => return,
            }
        }
        link.blocked = false;
        if self.replaced > 0 {
            let count = std::mem::take(&mut self.replaced);
            let values = if count == 1 { "value was" } else { "values were" };
            tracing::warn!(
                instance = context.name(),
                "the script accepts values again; {count} {values} replaced by a newer one of the \
                 same channel"
            );
        }
    }

    /// Sends a ping to a worker that has been sent values, to see whether it responds.
    pub(super) fn ping(&mut self, context: &mut Context<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        link.unconfirmed_since = None;
        link.ping_sent = Some(context.now());
        push_command(&mut link.encoded, Command::Ping);
        self.write(context);
    }

    /// Makes the event loop busy-wait for the answer to a delivery, if the script usually
    /// answers at once.
    pub(super) fn expect_answer(&mut self, context: &mut Context<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        if !link.ready || link.blocked {
            return;
        }
        if link.waits_left == 0 {
            link.deliveries_without_wait += 1;
            if link.deliveries_without_wait < DELIVERIES_BEFORE_RETRY {
                return;
            }
            link.deliveries_without_wait = 0;
            link.waits_left = 1;
        }
        link.waits_left -= 1;
        context.expect_answer(Some(ANSWER_TIMEOUT));
    }

    /// Reads and handles messages until the pipe is empty or the budget of this turn is spent.
    pub(super) fn read(&mut self, context: &mut Context<'_>) {
        if context.is_expecting() {
            context.expect_answer(None);
            if let Phase::Running(link) = &mut self.phase {
                link.waits_left = MAX_UNANSWERED_WAITS;
            }
        }
        let budget = context.budget();
        let mut remaining = budget;
        self.read_messages(&mut remaining, context);
        if remaining < budget {
            context.count_input((budget - remaining) as u64);
        }
    }

    /// The loop of [`read`](Self::read); `budget` is how many outputs may still be routed in this
    /// turn.
    fn read_messages(&mut self, budget: &mut usize, context: &mut Context<'_>) {
        loop {
            let Phase::Running(link) = &mut self.phase else { return };
            if *budget == 0 {
                return context.call_again(READ_KEY);
            }
            let link = &mut **link;
            let filled = match decode(&link.received[link.decoded..link.received_end]) {
                Ok(Some((message, length))) => {
                    link.decoded += length;
                    *budget -= usize::from(!matches!(message, Message::Report(_)));
                    match message {
                        Message::Value { number, root, value } => {
                            // An invalid record: part of one is missing, or the script wrote to
                            // the pipe itself. All further records would be misaligned.
                            let Ok(channel) = link.channels.channel(number) else {
                                return self.protocol_error(ProtocolError::Value(number), context);
                            };
                            if value.is_nan() {
                                return self.protocol_error(ProtocolError::Value(number), context);
                            }
                            let value = value.clamp(0.0, 1.0);
                            match channel {
                                Some(channel) if root == NO_ROOT => context.emit(channel, value),
                                Some(channel) => {
                                    let root = Root::from_number(root);
                                    context.emit_descended(channel, value, root);
                                }
                                None => context.count_dropped(1),
                            }
                        }
                        Message::Text { number, root, text } => {
                            let Ok(channel) = link.channels.channel(number) else {
                                return self.protocol_error(ProtocolError::Value(number), context);
                            };
                            match channel {
                                Some(channel) if root == NO_ROOT => {
                                    context.emit_text(channel, text);
                                }
                                Some(channel) => {
                                    let root = Root::from_number(root);
                                    context.emit_text_descended(channel, text, root);
                                }
                                None => context.count_dropped(1),
                            }
                        }
                        Message::Unmatched { name, output } => {
                            context.unmatched(unmatched::<L>(output), |channel| {
                                channel.push_str(name)
                            });
                        }
                        Message::File(path) => {
                            if self.files.len() < MAX_FILES {
                                self.files.push(OsStr::from_bytes(path).into());
                            }
                        }
                        Message::Report(report) => self.handle_report(report, context),
                    }
                    continue;
                }
                Err(error) => return self.protocol_error(error, context),
                Ok(None) if link.drained && !link.closed => return,
                Ok(None) => link.fill(),
            };
            match filled {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.on_worker_exit(context, None),
            }
        }
    }

    /// Ends a worker that sent invalid data.
    fn protocol_error(&mut self, error: ProtocolError, context: &mut Context<'_>) {
        let handshake_done = matches!(&self.phase, Phase::Running(link) if link.handshake_done);
        let reason = if handshake_done {
            format!("received invalid data from the script's process: {error}")
        } else {
            self.settings.not_a_worker(&format!("it sent invalid data: {error}"))
        };
        self.on_worker_exit(context, Some(reason));
    }

    /// Handles a report about the worker itself.
    fn handle_report(&mut self, report: Report, context: &mut Context<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        match report {
            Report::Hello(major, minor) => self.complete_handshake(major, minor, context),
            Report::Ready(result) => {
                link.ready = true;
                self.is_complete = result == LoadResult::Complete;
                context.set_files(self.files.clone(), link.started);
                if self.stop_deadline.is_none() {
                    context.set_state(match result {
                        LoadResult::Complete => State::Up,
                        LoadResult::Partial(reason) => State::Degraded(reason),
                        LoadResult::Nothing(reason) => State::Failed(reason),
                    });
                }
                self.schedule_timer(context);
            }
            Report::Error(number, text) => {
                context.count_errors(1);
                if let Some(kind) = self.faults.kind(&text) {
                    link.errors.insert(number, kind);
                    self.faults.count(kind, context.name());
                }
            }
            Report::Repeat(number) => {
                if let Some(&kind) = link.errors.get(&number) {
                    context.count_errors(1);
                    self.faults.count(kind, context.name());
                }
            }
            Report::Warning(text) => tracing::warn!(instance = context.name(), "{text}"),
            Report::Failed(reason) => self.give_up(context, reason),
            Report::Ended(text) => self.end(context, &text),
            Report::Stopped if self.stop_sent => self.finish(context),
            Report::Stopped => {
                let reason = "its process ended without being stopped";
                self.on_worker_exit(context, Some(reason.into()));
            }
            Report::Generation(generation) => {
                link.channels.acknowledge(generation);
                context.set_files(self.files.clone(), link.started);
            }
            Report::Pong => {
                if link.unresponsive {
                    let name = context.name();
                    tracing::info!(instance = name, "the script responds again");
                }
                link.unresponsive = false;
                link.ping_sent = None;
                self.schedule_timer(context);
            }
            // A worker whose pipe is full has input and wakes without this.
            Report::WakeRequest if link.handshake_done && !link.blocked => {
                push_command(&mut link.encoded, Command::Wake);
                self.write(context);
            }
            Report::WakeRequest => {}
        }
    }

    /// Checks the version of the interpreter and sends it the worker's program.
    fn complete_handshake(&mut self, major: u8, minor: u8, context: &mut Context<'_>) {
        let Phase::Running(link) = &mut self.phase else { return };
        if let Err(reason) = self.settings.check_version(major, minor) {
            return self.give_up(context, reason);
        }
        tracing::debug!(
            instance = context.name(),
            process = link.worker.id(),
            "`{}` is {} {major}.{minor}",
            self.settings.program_name(),
            L::NAME
        );
        let Ok(services) = self.shared.services(context.timestamp()) else { return };
        let scripts = self.settings.scripts();
        let setup = Setup {
            program: scripts.program,
            epoch: services.epoch,
            directory: self.settings.directory(),
            default_handler: self.settings.default_handler(),
            time_limit: self.settings.time_limit(),
            modules: &scripts.modules,
            channels: &self.channels,
            usage: &self.usage,
            inputs: &self.inputs,
        };
        link.encoded = setup.encode();
        link.channels = WorkerChannels::new(self.channels.len());
        self.files.clear();
        link.written = 0;
        link.handshake_done = true;
        self.schedule_timer(context);
        self.write(context);
    }
}

/// An output on a channel that is not mapped, as views show it.
fn unmatched<L: Language>(output: Output<'_>) -> Unmatched<'_> {
    let [number, text_type] = L::TYPES;
    let sender = InputSender::Unknown;
    match output {
        Output::Value(value) => {
            let raw = RawValue::Number(value);
            Unmatched { types: number, raw, value: Some(value.clamp(0.0, 1.0)), sender }
        }
        Output::Text(text) => {
            Unmatched { types: text_type, raw: RawValue::Text(text), value: None, sender }
        }
    }
}
