//! The interpreter: loads scripts, calls their functions, and interrupts those that never end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Error, Function, HookTriggers, Lua, VmState};

use super::functions::{NAMES, Shared, install, resume};
use super::schedule::Due;

/// How much memory a script may use, in bytes.
const MEMORY: usize = 256 << 20;

/// How large a script may be, in bytes.
const SCRIPT_LIMIT: u64 = 16 << 20;

/// Instructions between two looks at the clock.
const LOOK: u32 = 10_000;

/// How many different errors are told apart.
const ERROR_KINDS: usize = 256;

pub(super) struct Interpreter {
    lua: Lua,
    shared: Rc<RefCell<Shared>>,
    /// The function of each mapped channel.
    handlers: Vec<Option<Function>>,
    guard: Rc<Guard>,
    /// How often each error came.
    errors: HashMap<String, u64>,
}

/// How many times the limit of a handler a script may take to be loaded: nothing sounds yet, and
/// tables are computed then.
const LOADING: u32 = 10;

/// When the running function is interrupted.
struct Guard {
    limit: Duration,
    /// How many times the limit it has.
    times: Cell<u32>,
    deadline: Cell<Instant>,
    /// Whether every instruction is looked at, so that a script cannot catch the interruption.
    is_tight: Cell<bool>,
}

impl Guard {
    fn watch(self: &Rc<Self>, lua: &Lua, every: u32) -> mlua::Result<()> {
        let guard = Rc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(every);
        lua.set_global_hook(triggers, move |lua, _| {
            if Instant::now() < guard.deadline.get() {
                return Ok(VmState::Continue);
            }
            if !guard.is_tight.replace(true) {
                guard.watch(lua, 1)?;
            }
            let message = format!(
                "interrupted: it ran for more than {} ms (`time-limit`); an endless loop?",
                (guard.limit * guard.times.get()).as_millis()
            );
            Err(Error::runtime(message))
        })
    }

    /// Something begins to run that has so many times the limit.
    fn begin(self: &Rc<Self>, lua: &Lua, times: u32) -> mlua::Result<()> {
        self.times.set(times);
        self.deadline.set(Instant::now() + self.limit * times);
        if self.is_tight.replace(false) {
            self.watch(lua, LOOK)?;
        }
        Ok(())
    }
}

/// Where Lua comes from.
pub(super) enum Script {
    File(PathBuf),
    Code(String),
}

impl Script {
    fn name(&self) -> String {
        match self {
            Script::File(path) => path.display().to_string(),
            Script::Code(_) => "code".to_owned(),
        }
    }

    fn source(&self) -> Result<Vec<u8>, String> {
        let path = match self {
            Script::Code(text) => return Ok(text.clone().into_bytes()),
            Script::File(path) => path,
        };
        let explain = |error| format!("cannot read {}: {error}", path.display());
        let metadata = fs::metadata(path).map_err(explain)?;
        // A FIFO would block, a device may never end.
        if !metadata.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        if metadata.len() > SCRIPT_LIMIT {
            return Err(format!("{} is larger than {} MiB", path.display(), SCRIPT_LIMIT >> 20));
        }
        let mut source = fs::read(path).map_err(explain)?;
        // As Lua reads files: without a byte-order mark, and without the text of a first line
        // that names an interpreter; the line itself still counts.
        if source.starts_with("\u{FEFF}".as_bytes()) {
            source.drain(..3);
        }
        if source.starts_with(b"#") {
            let end = source.iter().position(|&byte| byte == b'\n').unwrap_or(source.len());
            source.drain(..end);
        }
        Ok(source)
    }

    /// The script as Lua knows it: text, never byte code, which could do anything.
    fn chunk<'a>(&self, lua: &'a Lua, source: &'a [u8]) -> mlua::chunk::Chunk<'a> {
        let name = match self {
            Script::File(_) => format!("@{}", self.name()),
            Script::Code(_) => "=code".to_owned(),
        };
        lua.load(source).set_name(name).set_mode(mlua::chunk::ChunkMode::Text)
    }

    /// What is wrong that can be seen without running it.
    pub(super) fn check(&self) -> Result<(), String> {
        let (lua, source) = (Lua::new(), self.source()?);
        self.chunk(&lua, &source).into_function().map(drop).map_err(|error| error.to_string())
    }
}

/// For the table of options.
pub(super) fn check_code(text: &str) -> Result<(), String> {
    Script::Code(text.to_owned()).check()
}

impl Interpreter {
    pub(super) fn new(shared: Rc<RefCell<Shared>>, limit: Duration) -> mlua::Result<Self> {
        let lua = Lua::new();
        lua.set_memory_limit(MEMORY)?;
        install(&lua, &shared)?;
        let deadline = Cell::new(Instant::now());
        let guard =
            Rc::new(Guard { limit, times: Cell::new(1), deadline, is_tight: Cell::new(false) });
        guard.watch(&lua, LOOK)?;
        Ok(Interpreter { lua, shared, handlers: Vec::new(), guard, errors: HashMap::new() })
    }

    /// Lets `require` find modules beside the scripts.
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

    /// Runs the scripts, one after the other, and finds the handlers of the channels. A default
    /// handler that there is not is an error that is reported, and the show goes on without.
    pub(super) fn load(
        &mut self,
        scripts: &[Script],
        default_handler: Option<&str>,
    ) -> Result<(), String> {
        self.extend_path(scripts).map_err(|error| error.to_string())?;
        self.shared.borrow_mut().is_loading = true;
        let loaded = scripts.iter().try_for_each(|script| {
            let source = script.source()?;
            self.guard.begin(&self.lua, LOADING).map_err(|error| error.to_string())?;
            let run = script.chunk(&self.lua, &source).exec();
            run.map_err(|error| format!("{} cannot be loaded: {error}", script.name()))
        });
        self.shared.borrow_mut().is_loading = false;
        loaded?;

        let globals = self.lua.globals();
        let function = |name: &str| match globals.get::<mlua::Value>(name) {
            Ok(mlua::Value::Function(function)) => Some(function),
            _ => None,
        };
        let shared = self.shared.borrow();
        let mapped = shared.channels.iter().take(shared.mapped as usize);
        self.handlers = match default_handler {
            Some(name) => {
                let handler = function(name);
                if handler.is_none() {
                    tracing::error!(
                        instance = shared.name,
                        "the default handler `{name}` is no global function"
                    );
                }
                mapped.map(|_| handler.clone()).collect()
            }
            None => mapped
                .map(|channel| {
                    let is_ours = NAMES.contains(&channel.name.as_str());
                    (!is_ours).then(|| function(&channel.name)).flatten()
                })
                .collect(),
        };
        Ok(())
    }

    /// Runs something under the time limit; returns how many errors it made.
    fn run(&mut self, work: impl FnOnce() -> mlua::Result<()>) -> u64 {
        let result = self.guard.begin(&self.lua, 1).and_then(|()| work());
        let mut errors = std::mem::take(&mut self.shared.borrow_mut().errors);
        errors.extend(result.err());
        for error in &errors {
            self.report(error);
        }
        errors.len() as u64
    }

    /// Says an error once, with its traceback; counts it after that.
    fn report(&mut self, error: &Error) {
        let text = error.to_string();
        let head = text.lines().next().unwrap_or_default().to_owned();
        if self.errors.len() >= ERROR_KINDS && !self.errors.contains_key(&head) {
            return;
        }
        let count = self.errors.entry(head).or_default();
        *count += 1;
        if *count == 1 {
            tracing::error!(instance = self.shared.borrow().name, "{text}");
        }
    }

    /// Says how often errors came that were said only once.
    pub(super) fn report_counts(&self) {
        for (error, count) in self.errors.iter().filter(|(_, count)| **count > 1) {
            tracing::error!(instance = self.shared.borrow().name, "{count} times: {error}");
        }
    }

    /// A value has come to a channel.
    pub(super) fn handle(&mut self, channel: u32, value: f64) -> u64 {
        let mut errors = 0;
        if let Some(Some(handler)) = self.handlers.get(channel as usize) {
            let handler = handler.clone();
            self.shared.borrow_mut().current = Some(channel);
            errors = self.run(|| handler.call(value));
            self.shared.borrow_mut().current = None;
        }
        // The handler still saw the value before this one.
        self.shared.borrow_mut().channels[channel as usize].input = value;
        errors
    }

    /// Runs what is due; returns how many errors there were, or none when nothing is due.
    pub(super) fn run_due(&mut self, now: Instant) -> Option<u64> {
        let due = self.shared.borrow_mut().schedule.take_due(now)?;
        let shared = Rc::clone(&self.shared);
        Some(match due {
            Due::Call(function) => self.run(|| function.call(())),
            Due::Resume(thread, woken) => self.run(|| resume(&shared, thread, Some(woken))),
        })
    }

    /// Calls the clean-up handler.
    pub(super) fn clean_up(&mut self) -> u64 {
        let handler = self.shared.borrow_mut().cleanup.take();
        handler.map_or(0, |handler| self.run(|| handler.call(())))
    }
}
