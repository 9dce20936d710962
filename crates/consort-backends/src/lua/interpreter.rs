//! The interpreter: loads scripts, calls their functions, and interrupts functions that run too long.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::ChannelTable;
use mlua::{Error, Function, HookTriggers, Lua, VmState};

use super::functions::{NAMES, Shared, install, resume};
use super::schedule::Due;

/// The most memory that a script may use, in bytes.
const MAX_MEMORY_BYTES: usize = 256 << 20;

/// The largest script file, in bytes.
const MAX_SCRIPT_BYTES: u64 = 16 << 20;

/// The number of instructions between two checks of the time limit.
const CHECK_INTERVAL: u32 = 10_000;

/// The most different errors that are counted separately.
const MAX_DISTINCT_ERRORS: usize = 256;

/// A Lua state with the scripts of one instance.
pub(super) struct Interpreter {
    lua: Lua,
    shared: Rc<RefCell<Shared>>,
    /// The handler of each mapped channel.
    handlers: Vec<Option<Function>>,
    guard: Rc<Guard>,
    /// How often each error occurred, by its first line.
    errors: HashMap<String, u64>,
}

/// How many times the time limit of a handler a script may take to load. Scripts may compute tables
/// then, and the show does not run yet.
const LOADING_FACTOR: u32 = 10;

/// Interrupts the running function at its deadline.
struct Guard {
    limit: Cell<Duration>,
    /// How many times the limit the running function may take.
    factor: Cell<u32>,
    deadline: Cell<Instant>,
    /// Whether the time is checked at every instruction, so that a script cannot catch the
    /// interruption and continue.
    is_tight: Cell<bool>,
}

impl Guard {
    /// Installs the hook that checks the time every `interval` instructions.
    fn install_hook(self: &Rc<Self>, lua: &Lua, interval: u32) -> mlua::Result<()> {
        let guard = Rc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(interval);
        lua.set_global_hook(triggers, move |lua, _| {
            if Instant::now() < guard.deadline.get() {
                return Ok(VmState::Continue);
            }
            if !guard.is_tight.replace(true) {
                guard.install_hook(lua, 1)?;
            }
            let message = format!(
                "interrupted after more than {} ms (`time-limit`); is there an endless loop?",
                (guard.limit.get() * guard.factor.get()).as_millis()
            );
            Err(Error::runtime(message))
        })
    }

    /// Starts the time of a function that may take `factor` times the limit.
    fn begin(self: &Rc<Self>, lua: &Lua, factor: u32) -> mlua::Result<()> {
        self.factor.set(factor);
        self.deadline.set(Instant::now() + self.limit.get() * factor);
        if self.is_tight.replace(false) {
            self.install_hook(lua, CHECK_INTERVAL)?;
        }
        Ok(())
    }
}

/// The source of Lua code: an option `script` or `code`.
pub(super) enum Script {
    File(PathBuf),
    Code(String),
}

impl Script {
    /// The name in messages.
    fn name(&self) -> String {
        match self {
            Script::File(path) => path.display().to_string(),
            Script::Code(_) => "code".to_owned(),
        }
    }

    /// Reads the code.
    fn source(&self) -> Result<Vec<u8>, String> {
        let path = match self {
            Script::Code(text) => return Ok(text.clone().into_bytes()),
            Script::File(path) => path,
        };
        let explain = |error| format!("cannot read {}: {error}", path.display());
        let metadata = fs::metadata(path).map_err(explain)?;
        // Reading a FIFO would block, and a device may be endless.
        if !metadata.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        if metadata.len() > MAX_SCRIPT_BYTES {
            return Err(format!(
                "{} is larger than {} MiB",
                path.display(),
                MAX_SCRIPT_BYTES >> 20
            ));
        }
        let mut source = fs::read(path).map_err(explain)?;
        // As Lua does when it reads files, skip a byte-order mark and the text of a first line that
        // begins with `#`. The line break remains, so that line numbers are right.
        if source.starts_with("\u{FEFF}".as_bytes()) {
            source.drain(..3);
        }
        if source.starts_with(b"#") {
            let end = source.iter().position(|&byte| byte == b'\n').unwrap_or(source.len());
            source.drain(..end);
        }
        Ok(source)
    }

    /// The chunk to load. Only text is accepted: invalid byte code can crash the interpreter.
    fn chunk<'a>(&self, lua: &'a Lua, source: &'a [u8]) -> mlua::chunk::Chunk<'a> {
        let name = match self {
            Script::File(_) => format!("@{}", self.name()),
            Script::Code(_) => "=code".to_owned(),
        };
        lua.load(source).set_name(name).set_mode(mlua::chunk::ChunkMode::Text)
    }

    /// Checks the syntax without running the script.
    pub(super) fn check(&self) -> Result<(), String> {
        let (lua, source) = (Lua::new(), self.source()?);
        self.chunk(&lua, &source).into_function().map(drop).map_err(|error| error.to_string())
    }
}

/// Validates the option `code`.
pub(super) fn check_code(text: &str) -> Result<(), String> {
    Script::Code(text.to_owned()).check()
}

impl Interpreter {
    pub(super) fn new(shared: Rc<RefCell<Shared>>, limit: Duration) -> mlua::Result<Self> {
        let lua = Lua::new();
        lua.set_memory_limit(MAX_MEMORY_BYTES)?;
        install(&lua, &shared)?;
        let deadline = Cell::new(Instant::now());
        let guard = Rc::new(Guard {
            limit: Cell::new(limit),
            factor: Cell::new(1),
            deadline,
            is_tight: Cell::new(false),
        });
        guard.install_hook(&lua, CHECK_INTERVAL)?;
        Ok(Interpreter { lua, shared, handlers: Vec::new(), guard, errors: HashMap::new() })
    }

    /// Adds the folders of the scripts to the path of `require`.
    fn extend_path(&self, scripts: &[Script]) -> mlua::Result<()> {
        let package: mlua::Table = self.lua.globals().get("package")?;
        let mut path: String = package.get("path")?;
        let mut folders: Vec<&Path> = Vec::new();
        for script in scripts {
            if let Script::File(file) = script
                && let Some(folder) = file.parent()
                && !folders.contains(&folder)
            {
                folders.push(folder);
            }
        }
        for folder in folders.into_iter().rev() {
            let folder = folder.display();
            path = format!("{folder}/?.lua;{folder}/?/init.lua;{path}");
        }
        package.set("path", path)
    }

    /// Runs the scripts in order and finds the handlers of the channels. A missing default handler is
    /// logged as an error, and the show continues without handlers.
    pub(super) fn load(
        &mut self,
        scripts: &[Script],
        default_handler: Option<&str>,
    ) -> Result<(), String> {
        self.extend_path(scripts).map_err(|error| error.to_string())?;
        self.shared.borrow_mut().is_loading = true;
        let result = scripts.iter().try_for_each(|script| {
            let source = script.source()?;
            self.guard.begin(&self.lua, LOADING_FACTOR).map_err(|error| error.to_string())?;
            let run = script.chunk(&self.lua, &source).exec();
            run.map_err(|error| format!("cannot load {}: {error}", script.name()))
        });
        self.shared.borrow_mut().is_loading = false;
        result?;

        if let Some(name) = default_handler
            && self.function(name).is_none()
        {
            tracing::error!(
                instance = self.shared.borrow().name,
                "the default handler `{name}` is not a global function"
            );
        }
        self.handlers = self.resolve(default_handler, |_| None);
        Ok(())
    }

    /// The global function of a name.
    fn function(&self, name: &str) -> Option<Function> {
        match self.lua.globals().get::<mlua::Value>(name) {
            Ok(mlua::Value::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// The handlers of the mapped channels: those that `known` has, and otherwise what the script
    /// defines now.
    fn resolve(
        &self,
        default_handler: Option<&str>,
        known: impl Fn(u32) -> Option<Option<Function>>,
    ) -> Vec<Option<Function>> {
        let shared = self.shared.borrow();
        let default = default_handler.map(|name| self.function(name));
        let mapped = shared.channels.iter().take(shared.mapped as usize);
        mapped
            .enumerate()
            .map(|(number, channel)| {
                known(number as u32).unwrap_or_else(|| match &default {
                    Some(handler) => handler.clone(),
                    None if NAMES.contains(&channel.name.as_str()) => None,
                    None => self.function(&channel.name),
                })
            })
            .collect()
    }

    /// Takes the channels of a reloaded instance. Channels that stay keep their handlers; those of
    /// new ones are what the script defines now.
    pub(super) fn adopt(
        &mut self,
        names: &[String],
        channels: &ChannelTable,
        default_handler: Option<&str>,
        limit: Duration,
    ) {
        self.guard.limit.set(limit);
        self.shared.borrow_mut().set_mapped(names);
        let handlers = &self.handlers;
        let known = |number: u32| handlers.get(channels.old_number(number)? as usize).cloned();
        self.handlers = self.resolve(default_handler, known);
    }

    /// Runs `work` under the time limit; returns the number of errors.
    fn run(&mut self, work: impl FnOnce() -> mlua::Result<()>) -> u64 {
        let result = self.guard.begin(&self.lua, 1).and_then(|()| work());
        let mut errors = std::mem::take(&mut self.shared.borrow_mut().errors);
        errors.extend(result.err());
        for error in &errors {
            self.report(error);
        }
        errors.len() as u64
    }

    /// Logs an error with its traceback when it first occurs, and counts it afterwards.
    fn report(&mut self, error: &Error) {
        let text = error.to_string();
        let first_line = text.lines().next().unwrap_or_default().to_owned();
        if self.errors.len() >= MAX_DISTINCT_ERRORS && !self.errors.contains_key(&first_line) {
            return;
        }
        let count = self.errors.entry(first_line).or_default();
        *count += 1;
        if *count == 1 {
            tracing::error!(instance = self.shared.borrow().name, "{text}");
        }
    }

    /// Logs how often each repeated error occurred.
    pub(super) fn report_counts(&self) {
        for (error, count) in self.errors.iter().filter(|(_, count)| **count > 1) {
            tracing::error!(instance = self.shared.borrow().name, "{count} times: {error}");
        }
    }

    /// Calls the handler of a channel with a value; returns the number of errors.
    pub(super) fn handle(&mut self, channel: u32, value: f64) -> u64 {
        let mut errors = 0;
        if let Some(Some(handler)) = self.handlers.get(channel as usize) {
            let handler = handler.clone();
            self.shared.borrow_mut().current = Some(channel);
            errors = self.run(|| handler.call(value));
            self.shared.borrow_mut().current = None;
        }
        // In the handler, `input_value` returns the previous value.
        self.shared.borrow_mut().channels[channel as usize].input = value;
        errors
    }

    /// Runs the next interval or thread that is due; returns the number of errors, or `None` if
    /// nothing is due.
    pub(super) fn run_due(&mut self, now: Instant) -> Option<u64> {
        let due = self.shared.borrow_mut().schedule.take_due(now)?;
        let shared = Rc::clone(&self.shared);
        Some(match due {
            Due::Call(function) => self.run(|| function.call(())),
            Due::Resume(thread, scheduled) => self.run(|| resume(&shared, thread, Some(scheduled))),
        })
    }

    /// Calls the clean-up handler; returns the number of errors.
    pub(super) fn clean_up(&mut self) -> u64 {
        let handler = self.shared.borrow_mut().cleanup.take();
        handler.map_or(0, |handler| self.run(|| handler.call(())))
    }
}
