//! The functions that scripts can call.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Error, Function, Lua, Table, Thread, Value, Variadic};

use super::schedule::Schedule;

/// The names of all functions. Channels with these names have no handler.
pub(super) const NAMES: &[&str] = &[
    "output",
    "interval",
    "input_value",
    "output_value",
    "input_channel",
    "timestamp",
    "cleanup_handler",
    "thread",
    "sleep",
    "channels",
];

/// The most channels that a script may create in addition to the mapped ones.
const MAX_UNMAPPED_CHANNELS: usize = 4_096;

/// The most values that one call may send.
const MAX_OUTPUTS_PER_CALL: usize = 65_536;

/// The most values on channels that do not exist that one call may list; further ones are counted.
const MAX_UNKNOWN_PER_CALL: usize = 256;

/// The most bytes that the names of these channels may have together.
const MAX_UNKNOWN_NAME_BYTES: usize = 1 << 16;

/// The longest interval or sleep, in milliseconds: a day.
const MAX_MILLISECONDS: f64 = 86_400_000.0;

/// The longest line that is logged, in bytes; longer ones are split.
const MAX_LINE_BYTES: usize = 8_192;

/// One channel as the script sees it.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) input: f64,
    pub(super) output: f64,
}

/// The state that the functions and the instance share. It is never borrowed while Lua code runs.
#[derive(Default)]
pub(super) struct Shared {
    /// The name of the instance, for log lines.
    pub(super) name: String,
    /// The mapped channels, followed by those that the script created.
    pub(super) channels: Vec<Channel>,
    pub(super) by_name: HashMap<String, u32>,
    /// The number of mapped channels, which are those that the router has.
    pub(super) mapped: u32,
    pub(super) is_loading: bool,
    /// The channel whose handler runs.
    pub(super) current: Option<u32>,
    /// The values that were sent but not passed to the router yet, also on channels that are not
    /// mapped.
    pub(super) outputs: Vec<(u32, f64)>,
    /// The values that were sent on channels that do not exist: the end of each name in
    /// `unknown_names`, and the value.
    pub(super) unknown: Vec<(usize, f64)>,
    pub(super) unknown_names: String,
    /// How many more such values there were.
    pub(super) unlisted: u64,
    pub(super) schedule: Schedule,
    pub(super) cleanup: Option<Function>,
    pub(super) now: Option<Instant>,
    pub(super) timestamp: u64,
    /// The errors of threads that the running function started.
    pub(super) errors: Vec<Error>,
}

impl Shared {
    /// Finds or adds a channel.
    pub(super) fn channel(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.channels.len() as u32;
        self.by_name.insert(name.to_owned(), number);
        self.channels.push(Channel { name: name.to_owned(), ..Channel::default() });
        number
    }

    /// Adds a value that was sent on a channel that does not exist.
    fn add_unknown(&mut self, name: &str, value: f64) {
        if self.unknown.len() >= MAX_UNKNOWN_PER_CALL
            || self.unknown_names.len() + name.len() > MAX_UNKNOWN_NAME_BYTES
        {
            self.unlisted += 1;
            return;
        }
        self.unknown_names.push_str(name);
        self.unknown.push((self.unknown_names.len(), value));
    }

    /// Replaces the mapped channels. Values of channels that stay are kept; channels that the script
    /// created follow the mapped ones.
    pub(super) fn set_mapped(&mut self, names: &[String]) {
        let old = std::mem::take(&mut self.channels);
        let mapped = self.mapped as usize;
        self.by_name.clear();
        for name in names {
            self.channel(name);
        }
        self.mapped = self.channels.len() as u32;
        for (number, channel) in old.into_iter().enumerate() {
            if number >= mapped || self.by_name.contains_key(&channel.name) {
                let number = self.channel(&channel.name);
                self.channels[number as usize] = channel;
            }
        }
    }

    fn now(&self) -> Instant {
        self.now.unwrap_or_else(Instant::now)
    }
}

/// How the functions access the shared state.
type Handle = Rc<RefCell<Shared>>;

/// Validates a time in milliseconds that was passed to `function`.
fn milliseconds(function: &str, value: f64) -> Result<f64, Error> {
    if (0.0..=MAX_MILLISECONDS).contains(&value) {
        return Ok(value);
    }
    let message =
        format!("{function}: invalid time {value}: expected 0 to {MAX_MILLISECONDS} milliseconds");
    Err(Error::runtime(message))
}

/// Defines all functions as globals.
pub(super) fn install(lua: &Lua, shared: &Handle) -> mlua::Result<()> {
    let globals = lua.globals();

    let state = Rc::clone(shared);
    let output = move |_: &Lua, (name, value): (mlua::LuaString, f64)| {
        let mut shared = state.borrow_mut();
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let name = name.to_str()?;
        let number = match shared.by_name.get(&*name) {
            Some(&number) => number,
            None if !shared.is_loading => {
                shared.add_unknown(&name, value);
                return Ok(());
            }
            None if shared.channels.len() >= shared.mapped as usize + MAX_UNMAPPED_CHANNELS => {
                return Err(Error::runtime("output: too many unmapped channels"));
            }
            None => shared.channel(&name),
        };
        shared.channels[number as usize].output = value;
        if shared.outputs.len() < MAX_OUTPUTS_PER_CALL {
            shared.outputs.push((number, value));
        } else if number < shared.mapped {
            return Err(Error::runtime(format!(
                "output: a call may send at most {MAX_OUTPUTS_PER_CALL} values"
            )));
        }
        Ok(())
    };
    globals.set("output", lua.create_function(output)?)?;

    for (name, read) in [
        ("input_value", (|channel| channel.input) as fn(&Channel) -> f64),
        ("output_value", |channel| channel.output),
    ] {
        let state = Rc::clone(shared);
        let function = move |_: &Lua, name: mlua::LuaString| {
            let shared = state.borrow();
            let number = shared.by_name.get(&*name.to_str()?).copied();
            Ok(number.map(|number| read(&shared.channels[number as usize])))
        };
        globals.set(name, lua.create_function(function)?)?;
    }

    let state = Rc::clone(shared);
    let input_channel = move |_: &Lua, ()| {
        let shared = state.borrow();
        Ok(shared.current.map(|number| shared.channels[number as usize].name.clone()))
    };
    globals.set("input_channel", lua.create_function(input_channel)?)?;

    let state = Rc::clone(shared);
    let channels = move |_: &Lua, ()| {
        let shared = state.borrow();
        Ok(shared.channels.iter().map(|channel| channel.name.clone()).collect::<Vec<_>>())
    };
    globals.set("channels", lua.create_function(channels)?)?;

    let state = Rc::clone(shared);
    let timestamp = move |_: &Lua, ()| Ok(state.borrow().timestamp);
    globals.set("timestamp", lua.create_function(timestamp)?)?;

    let state = Rc::clone(shared);
    let interval = move |_: &Lua, (function, time): (Function, f64)| {
        let steps = (milliseconds("interval", time)? / 10.0).round() as u64;
        // Only 0 ends the interval: a short time is rounded up.
        let steps = if time > 0.0 { steps.max(1) } else { 0 };
        let mut shared = state.borrow_mut();
        let now = shared.now();
        let period = Duration::from_millis(steps * 10);
        shared.schedule.interval(function, period, now).map_err(Error::runtime)
    };
    globals.set("interval", lua.create_function(interval)?)?;

    let state = Rc::clone(shared);
    let cleanup_handler = move |_: &Lua, function: Option<Function>| {
        Ok(std::mem::replace(&mut state.borrow_mut().cleanup, function))
    };
    globals.set("cleanup_handler", lua.create_function(cleanup_handler)?)?;

    let state = Rc::clone(shared);
    let thread = move |lua: &Lua, function: Function| {
        if !state.borrow().schedule.can_add_thread() {
            return Err(Error::runtime("thread: too many threads"));
        }
        let thread = lua.create_thread(function)?;
        let current = state.borrow_mut().current.take();
        let result = resume(&state, thread, None);
        let mut shared = state.borrow_mut();
        shared.current = current;
        if let Err(error) = result {
            shared.errors.push(error);
        }
        Ok(())
    };
    globals.set("thread", lua.create_function(thread)?)?;

    install_sleep(lua, &globals)?;
    install_print(lua, &globals, shared)
}

/// Redirects `print` and `io.write` to the log, which does not block. Standard output could block the
/// router: it may be a stopped terminal, or a pipe that is not read.
fn install_print(lua: &Lua, globals: &Table, shared: &Handle) -> mlua::Result<()> {
    let state = Rc::clone(shared);
    let mut line: Vec<u8> = Vec::new();
    let log = lua.create_function_mut(move |_, text: mlua::LuaString| {
        let state = state.borrow();
        for piece in text.as_bytes().split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") || line.len() >= MAX_LINE_BYTES {
                let text = String::from_utf8_lossy(&line);
                tracing::info!(instance = &*state.name, "{}", text.trim_end());
                line.clear();
            }
        }
        Ok(())
    })?;
    let source = "local log, io = ...\n\
                  local output, stdout, write = io.output, io.stdout, io.write\n\
                  local pack, concat, tostring = table.pack, table.concat, tostring\n\
                  function print(...)\n\
                  \tlocal parts = pack(...)\n\
                  \tfor index = 1, parts.n do parts[index] = tostring(parts[index]) end\n\
                  \tlog(concat(parts, '\\t') .. '\\n')\n\
                  end\n\
                  function io.write(...)\n\
                  \tif output() ~= stdout then return write(...) end\n\
                  \tlog(concat({...}))\n\
                  \treturn stdout\n\
                  end";
    let io: Table = globals.get("io")?;
    lua.load(source).set_name("=print").call((log, io))
}

/// Defines `sleep`, which yields to [`resume`]. It is written in Lua because only a Lua function can
/// yield.
fn install_sleep(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let check = lua.create_function(|_, time: f64| milliseconds("sleep", time))?;
    let source = "local yield, is_yieldable, check = ...\n\
                  return function(time)\n\
                  \tif not is_yieldable() then error('sleep: only inside a thread', 2) end\n\
                  \tyield(check(time))\n\
                  end";
    let coroutine: Table = globals.get("coroutine")?;
    let parts: (Function, Function, Function) =
        (coroutine.get("yield")?, coroutine.get("isyieldable")?, check);
    let sleep: Function = lua.load(source).set_name("=sleep").call(parts)?;
    globals.set("sleep", sleep)
}

/// Runs a thread until it sleeps or ends. `scheduled` is when it should have been resumed.
pub(super) fn resume(
    shared: &Handle,
    thread: Thread,
    scheduled: Option<Instant>,
) -> mlua::Result<()> {
    let yielded: Variadic<Value> = thread.resume(())?;
    if thread.is_resumable() {
        // A yield without a valid time resumes in the next turn.
        let time = yielded.first().and_then(Value::as_f64).filter(|time| !time.is_nan());
        let time = time.unwrap_or(0.0).clamp(0.0, MAX_MILLISECONDS);
        let time = Duration::from_secs_f64(time / 1_000.0).max(Duration::from_millis(1));
        let mut shared = shared.borrow_mut();
        let now = shared.now();
        shared.schedule.sleep(thread, time, scheduled, now);
    }
    Ok(())
}
