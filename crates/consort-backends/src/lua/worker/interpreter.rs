//! The interpreter: loads scripts, calls their functions, and interrupts functions that run too
//! long.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Write;
use std::rc::Rc;
use std::time::Instant;

use mlua::{Error, Function, HookTriggers, Lua, LuaOptions, StdLib, VmState};

use super::super::source::{Source, version_hint};
use super::channels::Channels;
use super::deadline::{self, LOADING_FACTOR, Overdue};
use super::functions::{Handle, NAMES, Shared, install, resume};
use super::libraries;
use super::link::{exit_now, flush_streams};
use super::schedule::{Due, Schedule};
use crate::worker::protocol::{Message, NO_ROOT, Report, push_message};

/// The number of instructions between two checks of the time limit.
const CHECK_INTERVAL: u32 = 10_000;

/// An error of the script, and what was running.
pub(super) struct Fault {
    pub(super) place: String,
    pub(super) error: String,
}

/// A Lua state with the scripts of one instance.
pub(super) struct Interpreter {
    lua: Lua,
    pub(super) shared: Handle,
    hook: Rc<Hook>,
    /// The scripts, for hints about errors.
    scripts: Vec<Source>,
    /// The name of the default handler; empty for none.
    default_name: String,
    /// Errors that were not reported yet.
    pub(super) faults: Vec<Fault>,
    /// The description of the running call.
    place: String,
}

/// Ends the running function when it is overdue.
struct Hook {
    /// In milliseconds.
    limit: Cell<u32>,
    /// How many times the limit the running function may take.
    factor: Cell<u32>,
    /// Whether every instruction is checked, so that a script cannot catch the error and continue.
    is_tight: Cell<bool>,
}

impl Hook {
    /// Checks every `interval` instructions.
    fn install(self: &Rc<Self>, lua: &Lua, interval: u32) -> mlua::Result<()> {
        let hook = Rc::clone(self);
        let triggers = HookTriggers::new().every_nth_instruction(interval);
        lua.set_global_hook(triggers, move |lua, _| {
            let Some(reason) = deadline::overdue() else { return Ok(VmState::Continue) };
            if !hook.is_tight.replace(true) {
                hook.install(lua, 1)?;
            }
            let message = match reason {
                Overdue::TimeLimit => format!(
                    "interrupted after more than {} ms (`time-limit`); is there an endless loop?",
                    hook.limit.get().saturating_mul(hook.factor.get())
                ),
                Overdue::ShowEnds => "interrupted because the show ends".to_owned(),
            };
            Err(Error::runtime(message))
        })
    }

    /// Begins a call that may take `factor` times the limit.
    fn begin(self: &Rc<Self>, lua: &Lua, factor: u32) -> mlua::Result<()> {
        self.factor.set(factor);
        if self.is_tight.replace(false) {
            self.install(lua, CHECK_INTERVAL)?;
        }
        Ok(())
    }
}

impl Interpreter {
    /// Creates the state. `sink` is the pipe to the instance, for a script that ends itself.
    // The whole library is available in a process of its own: what crashes it ends only the worker.
    #[allow(unsafe_code)]
    pub(super) fn new(shared: Shared, default_name: String, sink: File) -> mlua::Result<Self> {
        // SAFETY: scripts can break the state with the debug library or bytecode. They are as
        // trusted as any program that the user runs, and the process serves nothing else.
        let lua = unsafe { Lua::unsafe_new_with(StdLib::ALL, LuaOptions::default()) };
        let shared = Rc::new(RefCell::new(shared));
        install(&lua, &shared)?;
        let state = Rc::clone(&shared);
        let exit = lua.create_function(move |_, code: mlua::Value| -> mlua::Result<()> {
            let code = match code {
                mlua::Value::Nil | mlua::Value::Boolean(true) | mlua::Value::Integer(0) => None,
                other => Some(other.to_string()?),
            };
            end_process(&mut state.borrow_mut(), &sink, code)
        })?;
        libraries::install(&lua, &shared, exit)?;
        let hook =
            Rc::new(Hook { limit: Cell::new(0), factor: Cell::new(1), is_tight: Cell::new(false) });
        hook.install(&lua, CHECK_INTERVAL)?;
        let (scripts, faults) = (Vec::new(), Vec::new());
        Ok(Interpreter { lua, shared, hook, scripts, default_name, faults, place: String::new() })
    }

    /// Sets how much memory the script may use, in bytes.
    pub(super) fn set_memory_limit(&mut self, limit: usize) {
        let _ = self.lua.set_memory_limit(limit);
    }

    /// Sets the maximum time for one call in milliseconds; 0 for no limit.
    pub(super) fn set_time_limit(&mut self, limit: u32) {
        self.hook.limit.set(limit);
        deadline::set_limit(limit);
    }

    /// Runs the scripts in order and finds the handlers of the channels.
    ///
    /// # Errors
    /// When a script cannot be read or run: the instance cannot work.
    pub(super) fn load(&mut self, scripts: Vec<Source>) -> Result<(), String> {
        let folders = scripts.iter().filter_map(|script| match script {
            Source::File(file) => file.parent(),
            Source::Code(_) => None,
        });
        libraries::extend_path(&self.lua, folders).map_err(|error| error.to_string())?;
        self.scripts = scripts;
        for index in 0..self.scripts.len() {
            let script = &self.scripts[index];
            if let Source::File(path) = script {
                use std::os::unix::ffi::OsStrExt;
                self.shared.borrow_mut().files.push(path.as_os_str().as_bytes().to_vec());
            }
            let source = script.read()?;
            let place = format!("loading {}", script.name());
            let lua = self.lua.clone();
            let chunk = script.chunk(&lua, &source);
            let result = self.run(&place, LOADING_FACTOR, || chunk.exec());
            if let Err(error) = result {
                let script = &self.scripts[index];
                let (name, mut error) = (script.name(), error.to_string());
                let summary = error.lines().next().unwrap_or_default().to_owned();
                let hint = version_hint(&error, script);
                if let Some(hint) = hint {
                    error = format!("{error}\n{hint}");
                }
                // The reason of a state is one line; the log has the traceback.
                self.faults.push(Fault { place: format!("loading {name} failed"), error });
                return Err(format!("cannot load {name}: {summary}"));
            }
        }
        self.shared.borrow_mut().is_loading = false;
        let mapped = self.shared.borrow().channels.mapped();
        self.find_handlers(&mapped);
        Ok(())
    }

    /// Takes another default handler for all channels. Returns a warning if there is none.
    pub(super) fn set_default_handler(&mut self, name: String) {
        self.default_name = name;
        let mapped = self.shared.borrow().channels.mapped();
        for &channel in &mapped {
            self.shared.borrow_mut().channels[channel].handler = None;
        }
        self.find_handlers(&mapped);
    }

    /// The name of the default handler if the script does not define it.
    pub(super) fn missing_default_handler(&self) -> Option<&str> {
        let name = self.default_name.as_str();
        (!name.is_empty() && self.function(name).is_none()).then_some(name)
    }

    /// The global function of a name.
    fn function(&self, name: &str) -> Option<Function> {
        let _call = deadline::begin("looking up a handler", 1);
        match self.lua.globals().get::<mlua::Value>(name) {
            Ok(mlua::Value::Function(function)) => Some(function),
            _ => None,
        }
    }

    /// Finds the handlers of channels: what the script defines now.
    pub(super) fn find_handlers(&mut self, channels: &[u32]) {
        let default = (!self.default_name.is_empty()).then(|| self.function(&self.default_name));
        for &channel in channels {
            let name = self.shared.borrow().channels[channel].name.clone();
            let handler = match &default {
                Some(handler) => handler.clone(),
                None if NAMES.contains(&name.as_str()) => None,
                None => self.function(&name),
            };
            self.shared.borrow_mut().channels[channel].handler = handler;
        }
    }

    /// Runs `work` under the time limit; errors of threads that it starts are recorded.
    fn run(
        &mut self,
        place: &str,
        factor: u32,
        work: impl FnOnce() -> mlua::Result<()>,
    ) -> mlua::Result<()> {
        self.place.clear();
        self.place.push_str(place);
        let result = {
            let _call = deadline::begin(&self.place, factor);
            self.hook.begin(&self.lua, factor).and_then(|()| work())
        };
        let mut shared = self.shared.borrow_mut();
        shared.outputs = 0;
        for error in std::mem::take(&mut shared.errors) {
            let place = "a thread failed".to_owned();
            self.faults.push(Fault { place, error: error.to_string() });
        }
        result
    }

    /// Runs `work` under the time limit and records its error.
    fn call(&mut self, place: &str, work: impl FnOnce() -> mlua::Result<()>) {
        if let Err(error) = self.run(place, 1, work) {
            let mut error = error.to_string();
            let hint = self.scripts.first().and_then(|script| version_hint(&error, script));
            if let Some(hint) = hint {
                error = format!("{error}\n{hint}");
            }
            self.faults.push(Fault { place: format!("{place} failed"), error });
        }
    }

    /// Calls the handler of a channel with a value or a text.
    pub(super) fn handle(&mut self, channel: u32, root: u32, input: impl mlua::IntoLuaMulti) {
        let (handler, mut place) = {
            let mut shared = self.shared.borrow_mut();
            let Some(handler) = shared.channels[channel].handler.clone() else { return };
            shared.current = Some(channel);
            shared.root = root;
            (handler, std::mem::take(&mut self.place))
        };
        place.clear();
        place.push_str("the handler of `");
        place.push_str(&self.shared.borrow().channels[channel].name);
        place.push('`');
        let result = {
            let _call = deadline::begin(&place, 1);
            self.hook.begin(&self.lua, 1).and_then(|()| handler.call::<()>(input))
        };
        let has_failed = {
            let mut shared = self.shared.borrow_mut();
            shared.current = None;
            shared.root = NO_ROOT;
            shared.outputs = 0;
            result.is_err() || !shared.errors.is_empty()
        };
        if has_failed {
            self.call(&place.clone(), || result);
        }
        self.place = place;
    }

    /// Calls the next interval or thread that is due; returns whether one was due.
    pub(super) fn run_due(&mut self, now: Instant) -> bool {
        let due = self.shared.borrow_mut().schedule.take_due(now);
        let shared = Rc::clone(&self.shared);
        match due {
            None => return false,
            Some(Due::Call(function)) => self.call("an interval function", || function.call(())),
            Some(Due::Resume(thread, scheduled)) => {
                self.call("a thread", || resume(&shared, thread, Some(scheduled)));
            }
        }
        true
    }

    /// Calls the cleanup handler, and the finalizers of the script.
    pub(super) fn clean_up(&mut self) {
        deadline::clear_interruption();
        let handler = {
            let mut shared = self.shared.borrow_mut();
            shared.is_stopping = true;
            shared.cleanup.take()
        };
        if let Some(handler) = handler {
            self.call("the cleanup handler", || handler.call(()));
        }
    }

    /// Closes the state: calls the finalizers of the script and closes its files. No function can
    /// be called any more.
    pub(super) fn close(&mut self) {
        let _call = deadline::begin("the end of the script", 1);
        {
            // Functions of the state, which keep it open.
            let mut shared = self.shared.borrow_mut();
            shared.schedule = Schedule::default();
            shared.channels = Channels::default();
        }
        self.lua = Lua::new_with(StdLib::NONE, LuaOptions::default()).unwrap_or_default();
    }
}

/// Ends the process for `os.exit`, at once as scripts expect; `code` reports a failure. The
/// instance is not started again.
fn end_process(shared: &mut Shared, mut sink: &File, code: Option<String>) -> ! {
    let report = match code {
        _ if shared.is_stopping => Report::Stopped,
        None => Report::Ended("the script has ended itself (os.exit)".to_owned()),
        Some(code) => Report::Failed(format!("the script called os.exit({code})")),
    };
    push_message(&mut shared.pending, &Message::Report(report));
    flush_streams();
    // Without an instance nothing is lost.
    let _ = sink.write_all(&shared.pending);
    exit_now(0)
}
