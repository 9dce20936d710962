//! What scripts can call.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Error, Function, Lua, Table, Thread, Value, Variadic};

use super::schedule::Schedule;

/// The names of all of them: no handler is looked for under these.
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

/// How many channels a script may make known that no mapping uses.
const EXTRA_LIMIT: usize = 4_096;

/// How many values one call may send.
const OUTPUT_LIMIT: usize = 65_536;

/// The longest interval or sleep, in milliseconds: a day.
const LONGEST: f64 = 86_400_000.0;

/// The longest line that is printed, in bytes; longer ones are broken.
const LINE_LIMIT: usize = 8_192;

/// One channel as the script sees it.
#[derive(Default)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) input: f64,
    pub(super) output: f64,
}

/// What the functions and the instance share. Never borrowed while Lua runs.
#[derive(Default)]
pub(super) struct Shared {
    /// The instance's, for what is logged.
    pub(super) name: String,
    pub(super) channels: Vec<Channel>,
    pub(super) by_name: HashMap<String, u32>,
    /// How many of the channels are mapped; the router knows only these.
    pub(super) mapped: u32,
    pub(super) is_loading: bool,
    pub(super) current: Option<u32>,
    /// What was sent and not yet given to the router.
    pub(super) outputs: Vec<(u32, f64)>,
    pub(super) schedule: Schedule,
    pub(super) cleanup: Option<Function>,
    pub(super) now: Option<Instant>,
    pub(super) timestamp: u64,
    /// Errors of threads that were started by a running function.
    pub(super) errors: Vec<Error>,
}

impl Shared {
    /// Finds or makes a channel.
    pub(super) fn channel(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            return number;
        }
        let number = self.channels.len() as u32;
        self.by_name.insert(name.to_owned(), number);
        self.channels.push(Channel { name: name.to_owned(), ..Channel::default() });
        number
    }

    fn now(&self) -> Instant {
        self.now.unwrap_or_else(Instant::now)
    }
}

type Handle = Rc<RefCell<Shared>>;

fn milliseconds(function: &str, value: f64) -> Result<f64, Error> {
    if (0.0..=LONGEST).contains(&value) {
        return Ok(value);
    }
    let message = format!("{function}: {value} is no time: expected 0 to {LONGEST} milliseconds");
    Err(Error::runtime(message))
}

/// Makes all functions global.
pub(super) fn install(lua: &Lua, shared: &Handle) -> mlua::Result<()> {
    let globals = lua.globals();

    let state = Rc::clone(shared);
    let output = move |_: &Lua, (name, value): (mlua::LuaString, f64)| {
        let mut shared = state.borrow_mut();
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let name = name.to_str()?;
        let number = match shared.by_name.get(&*name) {
            Some(&number) => number,
            None if !shared.is_loading => return Ok(()),
            None if shared.channels.len() >= shared.mapped as usize + EXTRA_LIMIT => {
                return Err(Error::runtime("output: too many channels that are not mapped"));
            }
            None => shared.channel(&name),
        };
        shared.channels[number as usize].output = value;
        if number < shared.mapped {
            if shared.outputs.len() >= OUTPUT_LIMIT {
                return Err(Error::runtime(format!(
                    "output: one call may send {OUTPUT_LIMIT} values"
                )));
            }
            shared.outputs.push((number, value));
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
        // What is not 0 does not end the interval.
        let steps = if time > 0.0 { steps.max(1) } else { 0 };
        let mut shared = state.borrow_mut();
        let now = shared.now();
        let every = Duration::from_millis(steps * 10);
        shared.schedule.interval(function, every, now).map_err(Error::runtime)
    };
    globals.set("interval", lua.create_function(interval)?)?;

    let state = Rc::clone(shared);
    let cleanup_handler = move |_: &Lua, function: Option<Function>| {
        Ok(std::mem::replace(&mut state.borrow_mut().cleanup, function))
    };
    globals.set("cleanup_handler", lua.create_function(cleanup_handler)?)?;

    let state = Rc::clone(shared);
    let thread = move |lua: &Lua, function: Function| {
        if !state.borrow().schedule.has_room() {
            return Err(Error::runtime("thread: there are too many threads already"));
        }
        let thread = lua.create_thread(function)?;
        let current = state.borrow_mut().current.take();
        let resumed = resume(&state, thread, None);
        let mut shared = state.borrow_mut();
        shared.current = current;
        if let Err(error) = resumed {
            shared.errors.push(error);
        }
        Ok(())
    };
    globals.set("thread", lua.create_function(thread)?)?;

    install_sleep(lua, &globals)?;
    install_print(lua, &globals, shared)
}

/// `print` and `io.write` to the log, which never waits: standard output may be a terminal that
/// is held, or a pipe that nobody reads.
fn install_print(lua: &Lua, globals: &Table, shared: &Handle) -> mlua::Result<()> {
    let state = Rc::clone(shared);
    let mut begun: Vec<u8> = Vec::new();
    let log = lua.create_function_mut(move |_, text: mlua::LuaString| {
        let state = state.borrow();
        for piece in text.as_bytes().split_inclusive(|&byte| byte == b'\n') {
            begun.extend_from_slice(piece);
            if begun.ends_with(b"\n") || begun.len() >= LINE_LIMIT {
                let line = String::from_utf8_lossy(&begun);
                tracing::info!(instance = &*state.name, "{}", line.trim_end());
                begun.clear();
            }
        }
        Ok(())
    })?;
    let source = "local log, io = ...\n\
                  local output, stdout, write = io.output, io.stdout, io.write\n\
                  local pack, concat, tostring = table.pack, table.concat, tostring\n\
                  function print(...)\n\
                  \tlocal parts = pack(...)\n\
                  \tfor at = 1, parts.n do parts[at] = tostring(parts[at]) end\n\
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

/// `sleep` yields to [`resume`], which only a function of Lua can do.
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

/// Runs a thread until it sleeps or ends. `woken` is when it should have been woken.
pub(super) fn resume(shared: &Handle, thread: Thread, woken: Option<Instant>) -> mlua::Result<()> {
    let yielded: Variadic<Value> = thread.resume(())?;
    if thread.is_resumable() {
        // A yield that is not a sleep goes on in the next turn; so does one of NaN.
        let time = yielded.first().and_then(Value::as_f64).filter(|time| !time.is_nan());
        let time = time.unwrap_or(0.0).clamp(0.0, LONGEST);
        let time = Duration::from_secs_f64(time / 1_000.0).max(Duration::from_millis(1));
        let mut shared = shared.borrow_mut();
        let now = shared.now();
        shared.schedule.sleep(thread, time, woken, now);
    }
    Ok(())
}
