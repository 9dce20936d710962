//! The functions that scripts can call.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Error, Function, Lua, Table, Thread, Value, Variadic};

use super::channels::{Channel, Channels};
use super::schedule::Schedule;
use crate::worker::protocol::{MAX_NAME_BYTES, Message, NO_ROOT, Output, push_message, push_value};

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

/// The most bytes of outputs that one call may send.
const MAX_OUTPUT_BYTES: usize = 8 << 20;

/// The longest interval or sleep, in milliseconds: a day.
const MAX_MILLISECONDS: f64 = 86_400_000.0;

/// The longest text of a channel, in bytes.
const MAX_TEXT_BYTES: usize = consort_router::context::MAX_TEXT_BYTES;

/// The state that the functions and the worker share. It is never borrowed while Lua code runs.
pub(super) struct Shared {
    pub(super) channels: Channels,
    pub(super) is_loading: bool,
    /// The channel whose handler runs.
    pub(super) current: Option<u32>,
    /// The root of what the running call sends.
    pub(super) root: u32,
    /// What was sent and is not written yet: encoded for the instance.
    pub(super) pending: Vec<u8>,
    /// How many values the running call has sent.
    pub(super) outputs: usize,
    pub(super) schedule: Schedule,
    pub(super) cleanup: Option<Function>,
    /// The reading of the monotonic clock at the start of the show, in nanoseconds.
    pub(super) epoch: i64,
    /// The errors of threads that the running function started.
    pub(super) errors: Vec<Error>,
    /// The show ends.
    pub(super) is_stopping: bool,
    /// The files that the script has loaded and that were not reported yet.
    pub(super) files: Vec<Vec<u8>>,
}

impl Shared {
    pub(super) fn new(channels: Channels, epoch: i64) -> Self {
        Shared {
            channels,
            is_loading: true,
            current: None,
            root: NO_ROOT,
            pending: Vec::new(),
            outputs: 0,
            schedule: Schedule::default(),
            cleanup: None,
            epoch,
            errors: Vec::new(),
            is_stopping: false,
            files: Vec::new(),
        }
    }

    /// Finds a channel for an output; while scripts are being loaded, an output creates it.
    fn output_channel(&mut self, name: &str) -> Result<Option<u32>, Error> {
        if let Some(index) = self.channels.find(name) {
            return Ok(Some(index));
        }
        if !self.is_loading {
            return Ok(None);
        }
        if self.channels.created() >= MAX_UNMAPPED_CHANNELS {
            return Err(Error::runtime("output: too many unmapped channels"));
        }
        Ok(Some(self.channels.create(name)))
    }

    /// Sends an output.
    fn output(&mut self, name: &str, output: Output<'_>) -> Result<(), Error> {
        let channel = self.output_channel(name)?;
        let number = channel.and_then(|channel| {
            let channel = &mut self.channels[channel];
            if let Output::Value(value) = output {
                channel.output = value;
            }
            channel.number
        });
        self.outputs += 1;
        if self.outputs > MAX_OUTPUTS_PER_CALL || self.pending.len() > MAX_OUTPUT_BYTES {
            return match number {
                // What no mapping uses is only listed.
                None => Ok(()),
                Some(_) => Err(Error::runtime(format!(
                    "output: a call may send at most {MAX_OUTPUTS_PER_CALL} values"
                ))),
            };
        }
        let root = self.root;
        match (number, output) {
            (Some(number), Output::Value(value)) => {
                push_value(&mut self.pending, number, root, value);
            }
            (Some(number), Output::Text(text)) => {
                push_message(&mut self.pending, &Message::Text { number, root, text });
            }
            (None, output) if name.len() <= MAX_NAME_BYTES => {
                push_message(&mut self.pending, &Message::Unmatched { name, output });
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Milliseconds since the show started.
    fn timestamp(&self) -> i64 {
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        (clock.tv_sec * 1_000_000_000 + clock.tv_nsec - self.epoch) / 1_000_000
    }
}

/// How the functions access the shared state.
pub(super) type Handle = Rc<RefCell<Shared>>;

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
    let output =
        move |_: &Lua, (name, value, kind): (mlua::LuaString, Value, Option<mlua::LuaString>)| {
            let name = name.to_str()?;
            let text = match &value {
                Value::String(text) => Some(text),
                _ => None,
            };
            // MIDIMonster takes a string that Lua can convert for a number.
            let is_text = match kind {
                Some(kind) => &*kind.as_bytes() == b"text",
                None => text.is_some() && number_in(&value).is_none(),
            };
            let mut shared = state.borrow_mut();
            if let (true, Some(text)) = (is_text, text) {
                let text = text.to_string_lossy();
                if text.len() > MAX_TEXT_BYTES {
                    return Err(Error::runtime(format!(
                        "output: a text must have at most {MAX_TEXT_BYTES} bytes, this one has {}",
                        text.len()
                    )));
                }
                return shared.output(&name, Output::Text(&text));
            }
            let number = number_in(&value).ok_or_else(|| {
                Error::runtime(format!(
                    "output: expected a number or a string as the value, not {}",
                    value.type_name()
                ))
            })?;
            let number = if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) };
            shared.output(&name, Output::Value(number))
        };
    globals.set("output", lua.create_function(output)?)?;

    for (name, read) in [
        ("input_value", (|channel| channel.input) as fn(&Channel) -> f64),
        ("output_value", |channel| channel.output),
    ] {
        let state = Rc::clone(shared);
        let function = move |_: &Lua, name: mlua::LuaString| {
            let shared = state.borrow();
            let channel = shared.channels.find(&name.to_str()?);
            Ok(channel.map(|channel| read(&shared.channels[channel])))
        };
        globals.set(name, lua.create_function(function)?)?;
    }

    let state = Rc::clone(shared);
    let input_channel = move |_: &Lua, ()| {
        let shared = state.borrow();
        Ok(shared.current.map(|channel| shared.channels[channel].name.clone()))
    };
    globals.set("input_channel", lua.create_function(input_channel)?)?;

    let state = Rc::clone(shared);
    let channels = move |_: &Lua, ()| {
        let shared = state.borrow();
        Ok(shared.channels.names().map(str::to_owned).collect::<Vec<_>>())
    };
    globals.set("channels", lua.create_function(channels)?)?;

    let state = Rc::clone(shared);
    let timestamp = move |_: &Lua, ()| Ok(state.borrow().timestamp());
    globals.set("timestamp", lua.create_function(timestamp)?)?;

    let state = Rc::clone(shared);
    let interval = move |_: &Lua, (function, time): (Function, f64)| {
        let steps = (milliseconds("interval", time)? / 10.0).round() as u64;
        // Only 0 ends the interval: a short time is rounded up.
        let steps = if time > 0.0 { steps.max(1) } else { 0 };
        let mut shared = state.borrow_mut();
        let now = Instant::now();
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
        // What a thread sends does not result from the value whose handler started it.
        let (current, root) = {
            let mut shared = state.borrow_mut();
            (shared.current.take(), std::mem::replace(&mut shared.root, NO_ROOT))
        };
        let result = resume(&state, thread, None);
        let mut shared = state.borrow_mut();
        (shared.current, shared.root) = (current, root);
        if let Err(error) = result {
            shared.errors.push(error);
        }
        Ok(())
    };
    globals.set("thread", lua.create_function(thread)?)?;

    install_sleep(lua, &globals)
}

/// A number, or what Lua converts a string to.
fn number_in(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return Some(*number),
        Value::Integer(number) => return Some(*number as f64),
        Value::String(text) => text,
        _ => return None,
    };
    let text = text.to_str().ok()?;
    let text = text.trim_ascii();
    let digits = text.trim_start_matches(['+', '-']);
    // Unlike Lua, Rust accepts `inf` and `nan`, and no hexadecimal numbers.
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(hexadecimal, 16).ok().map(|number| number as f64);
    }
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if is_number { text.parse().ok() } else { None }
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
        let time = yielded.first().and_then(number_in).filter(|time| !time.is_nan());
        let time = time.unwrap_or(0.0).clamp(0.0, MAX_MILLISECONDS);
        let time = Duration::from_secs_f64(time / 1_000.0).max(Duration::from_millis(1));
        let mut shared = shared.borrow_mut();
        let now = Instant::now();
        shared.schedule.sleep(thread, time, scheduled, now);
    }
    Ok(())
}
