//! The worker of a Lua instance: a process that loads the scripts, calls their handlers, and ends
//! with the show.
//!
//! | module | content |
//! |---|---|
//! | `interpreter` | loading scripts, calling functions |
//! | `functions` | the functions that scripts can call |
//! | `libraries` | the standard libraries |
//! | `channels` | channels and their values |
//! | `schedule` | intervals and sleeping threads |
//! | `deadline` | ends calls that take too long |
//! | `link` | the pipes to the instance |

mod channels;
mod deadline;
mod functions;
mod interpreter;
mod libraries;
mod link;
mod schedule;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use super::source::Source;
use crate::worker::protocol::{
    Command, Input, LoadResult, Message, Report, WorkerSetup, decode_input,
};
use channels::Channels;
pub(crate) use deadline::TIME_LIMIT_STATUS;
use functions::Shared;
use interpreter::{Fault, Interpreter};
use link::{Ending, Link, exit_now, flush_streams};

/// The version of the language, which the worker reports.
const LUA_VERSION: (u8, u8) = (5, 3);

/// The maximum number of intervals and threads that are called between two looks at the input.
const MAX_CALLS_PER_TURN: u32 = 2_048;

/// How much output is collected before it is written.
const MAX_PENDING_BYTES: usize = 1 << 16;

/// The maximum time for which output is held back while a batch of values is handled.
const FLUSH_DELAY: Duration = Duration::from_millis(5);

/// The memory limit of a script that the setup does not give, in bytes.
const DEFAULT_MEMORY: usize = 256 << 20;

/// Runs the worker; `output` is the descriptor of the pipe to the instance. Never returns.
pub(crate) fn serve(output: Option<OsString>) -> ! {
    let number = output.as_deref().and_then(OsStr::to_str).and_then(|text| text.parse().ok());
    let Some(link) = number.and_then(Link::take) else {
        eprint("this command is started by a running show\n");
        exit_now(2);
    };
    match run(link) {
        Err(Ending::Disconnected) => exit_now(1),
        Err(Ending::Stopped) | Ok(()) => exit_now(0),
    }
}

/// Prints to standard error, if that is open.
fn eprint(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Loads the scripts and serves the instance until it stops the worker.
fn run(mut link: Link) -> Result<(), Ending> {
    deadline::install();
    link.send(&Message::Report(Report::Hello(LUA_VERSION.0, LUA_VERSION.1)))?;
    let setup = link.read_setup()?;
    // The instance reports a folder that does not exist, since its scripts are not found.
    let _ = std::env::set_current_dir(&setup.directory);
    let mut worker = Worker::new(link, &setup)?;
    let (mut scripts, mut memory) = (Vec::new(), DEFAULT_MEMORY);
    for (kind, content) in setup.modules {
        let text = || String::from_utf8_lossy(&content).into_owned();
        match kind.as_slice() {
            b"file" => scripts.push(Source::File(OsString::from_vec(content).into())),
            b"code" => scripts.push(Source::Code(text())),
            _ => memory = text().parse().unwrap_or(DEFAULT_MEMORY),
        }
    }
    worker.interpreter.set_memory_limit(memory);
    worker.interpreter.set_time_limit(setup.time_limit);
    if let Err(reason) = worker.interpreter.load(scripts) {
        return worker.fail(reason);
    }
    for (number, value) in setup.inputs {
        let mut shared = worker.interpreter.shared.borrow_mut();
        if let Some(channel) = shared.channels.slot(number) {
            shared.channels[channel].input = value;
        }
    }
    worker.warn_of_default_handler()?;
    worker.report()?;
    worker.send(&Message::Report(Report::Ready(LoadResult::Complete)))?;
    worker.serve()
}

/// A script and the loop that serves it.
struct Worker {
    link: Link,
    interpreter: Interpreter,
    /// The errors that were reported; their positions are their numbers.
    known: Vec<(String, String)>,
    /// Channels whose handlers are to be found when the change of channels is complete.
    changed: Vec<u32>,
}

impl Worker {
    fn new(link: Link, setup: &WorkerSetup) -> Result<Self, Ending> {
        let shared = Shared::new(Channels::new(setup.channels.clone()), setup.epoch);
        let default = setup.default_handler.clone();
        let sink = link.sink().map_err(|_| Ending::Disconnected)?;
        let interpreter = match Interpreter::new(shared, default, sink) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                let reason = format!("cannot create the interpreter: {error}");
                let mut link = link;
                link.send(&Message::Report(Report::Failed(reason)))?;
                return Err(Ending::Stopped);
            }
        };
        Ok(Worker { link, interpreter, known: Vec::new(), changed: Vec::new() })
    }

    /// Sends what the script has sent, and then a message.
    fn send(&mut self, message: &Message<'_>) -> Result<(), Ending> {
        self.flush()?;
        self.link.send(message)
    }

    /// Writes what the script has sent.
    fn flush(&mut self) -> Result<(), Ending> {
        let pending = std::mem::take(&mut self.interpreter.shared.borrow_mut().pending);
        let result = self.link.write(&pending);
        // The buffer is used again.
        let mut shared = self.interpreter.shared.borrow_mut();
        shared.pending = pending;
        shared.pending.clear();
        shared.pending.shrink_to(MAX_PENDING_BYTES * 2);
        result
    }

    /// Ends the worker because the script cannot run.
    fn fail(mut self, reason: String) -> Result<(), Ending> {
        self.send_faults()?;
        flush_streams();
        self.link.send(&Message::Report(Report::Failed(reason)))?;
        Err(Ending::Stopped)
    }

    /// Reports errors and files.
    fn report(&mut self) -> Result<(), Ending> {
        let files = std::mem::take(&mut self.interpreter.shared.borrow_mut().files);
        for file in files {
            self.send(&Message::File(&file))?;
        }
        self.send_faults()
    }

    /// Reports errors: in full the first time, then only by their numbers.
    fn send_faults(&mut self) -> Result<(), Ending> {
        for Fault { place, error } in std::mem::take(&mut self.interpreter.faults) {
            let summary = error.lines().next().unwrap_or_default().to_owned();
            let key = (place, summary);
            let known = self.known.iter().position(|known| *known == key);
            let report = match known {
                Some(number) => Report::Repeat(number as u32),
                None if self.known.len() >= MAX_DISTINCT_ERRORS => continue,
                None => {
                    let number = self.known.len() as u32;
                    // The message comes last, as in the tracebacks of other languages.
                    let (place, summary) = &key;
                    let trace = error.strip_prefix(summary.as_str()).unwrap_or_default();
                    let text = format!("{place}{}\n{summary}", trace.trim_end());
                    self.known.push(key);
                    Report::Error(number, text)
                }
            };
            self.send(&Message::Report(report))?;
        }
        Ok(())
    }

    fn warn_of_default_handler(&mut self) -> Result<(), Ending> {
        let missing = self.interpreter.missing_default_handler();
        let Some(name) = missing else { return Ok(()) };
        let text = format!("the default handler `{name}` is not a global function");
        self.send(&Message::Report(Report::Warning(text)))
    }

    /// Handles input, intervals and threads until the instance ends the worker.
    fn serve(&mut self) -> Result<(), Ending> {
        loop {
            self.run_due()?;
            self.flush()?;
            let next = self.interpreter.shared.borrow().schedule.next_due();
            if self.link.fill(next)? {
                self.handle_input()?;
            }
        }
    }

    /// Handles all that was read.
    fn handle_input(&mut self) -> Result<(), Ending> {
        let start = Instant::now();
        let mut buffer = std::mem::take(&mut self.link.received);
        let mut decoded = 0;
        let result = loop {
            let (input, length) = match decode_input(&buffer[decoded..]) {
                Ok(Some(decoded)) => decoded,
                Ok(None) => break Ok(()),
                Err(_) => break Err(Ending::Disconnected),
            };
            decoded += length;
            let result = match input {
                Input::Value { number, root, value } => self.handle_value(number, root, value),
                Input::Command(command) => self.handle_command(command),
            };
            if result.is_err() {
                break result;
            }
            let pending = self.interpreter.shared.borrow().pending.len();
            if pending > MAX_PENDING_BYTES || (pending > 0 && start.elapsed() > FLUSH_DELAY) {
                self.flush()?;
            }
        };
        buffer.drain(..decoded);
        self.link.received = buffer;
        result
    }

    #[inline]
    fn handle_value(&mut self, number: u32, root: u32, value: f64) -> Result<(), Ending> {
        let channel = self.interpreter.shared.borrow().channels.slot(number);
        let Some(channel) = channel else { return Ok(()) };
        self.interpreter.handle(channel, root, value);
        // In the handler, `input_value` returns the previous value.
        self.interpreter.shared.borrow_mut().channels[channel].input = value;
        self.after_call()
    }

    /// What may be necessary after each call.
    #[inline]
    fn after_call(&mut self) -> Result<(), Ending> {
        let is_quiet =
            self.interpreter.faults.is_empty() && self.interpreter.shared.borrow().files.is_empty();
        if is_quiet { Ok(()) } else { self.report() }
    }

    fn handle_command(&mut self, command: Command<'_>) -> Result<(), Ending> {
        match command {
            Command::Stop => return self.stop(),
            Command::Ping => return self.send(&Message::Report(Report::Pong)),
            Command::Wake => {}
            Command::Channel { number, usage: _, name } => {
                let channel = self.interpreter.shared.borrow_mut().channels.map(number, name);
                let has_handler =
                    self.interpreter.shared.borrow().channels[channel].handler.is_some();
                if !has_handler {
                    self.changed.push(number);
                }
            }
            Command::Remove(number) => {
                self.interpreter.shared.borrow_mut().channels.unmap(number);
            }
            Command::DefaultHandler(name) => {
                self.interpreter.set_default_handler(name.to_owned());
                self.warn_of_default_handler()?;
            }
            Command::Generation(generation) => {
                let changed = std::mem::take(&mut self.changed);
                self.interpreter.shared.borrow_mut().channels.compact();
                let channels: Vec<u32> = {
                    let shared = self.interpreter.shared.borrow();
                    changed.into_iter().filter_map(|number| shared.channels.slot(number)).collect()
                };
                self.interpreter.find_handlers(&channels);
                self.report()?;
                return self.send(&Message::Report(Report::Generation(generation)));
            }
            Command::Text { number, root, text } => {
                let channel = self.interpreter.shared.borrow().channels.slot(number);
                if let Some(channel) = channel {
                    self.interpreter.handle(channel, root, text);
                    return self.after_call();
                }
            }
            Command::TimeLimit(limit) => self.interpreter.set_time_limit(limit),
        }
        Ok(())
    }

    /// Calls what is due.
    fn run_due(&mut self) -> Result<(), Ending> {
        if self.interpreter.shared.borrow().schedule.next_due().is_none() {
            return Ok(());
        }
        let now = Instant::now();
        for _ in 0..MAX_CALLS_PER_TURN {
            if !self.interpreter.run_due(now) {
                break;
            }
            self.after_call()?;
        }
        Ok(())
    }

    /// Runs the cleanup handler and ends the worker.
    fn stop(&mut self) -> Result<(), Ending> {
        self.interpreter.clean_up();
        self.report()?;
        self.flush()?;
        self.interpreter.close();
        flush_streams();
        self.link.send(&Message::Report(Report::Stopped))?;
        Err(Ending::Stopped)
    }
}

/// The most different errors that are counted separately.
const MAX_DISTINCT_ERRORS: usize = 256;
