//! The instance as the router sees it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use consort_router::{ChannelError, Context, Event, Instance, Options, Problems, State, Usage};

use super::functions::Shared;
use super::interpreter::{Interpreter, Script};

/// The most intervals and threads that run in one turn.
const MAX_CALLS_PER_TURN: u32 = 2_048;

/// One `[lua NAME]` section.
pub(super) struct LuaInstance {
    scripts: Vec<Script>,
    /// The position of the option of each script.
    positions: Vec<usize>,
    default_handler: Option<String>,
    time_limit: Duration,
    shared: Rc<RefCell<Shared>>,
    interpreter: Option<Interpreter>,
}

impl LuaInstance {
    pub(super) fn new(name: String, options: &Options) -> Self {
        let limit = options.integer("time-limit").and_then(|limit| u64::try_from(limit).ok());
        let (mut scripts, mut positions) = (Vec::new(), Vec::new());
        for (position, entry) in options.entries().iter().enumerate() {
            scripts.push(match entry.name.as_str() {
                "script" => Script::File(entry.directory.join(&entry.value)),
                "code" => Script::Code(entry.value.clone()),
                _ => continue,
            });
            positions.push(position);
        }
        LuaInstance {
            scripts,
            positions,
            default_handler: options.text("default-handler").map(str::to_owned),
            time_limit: Duration::from_millis(limit.unwrap_or(200)),
            shared: Rc::new(RefCell::new(Shared { name, ..Shared::default() })),
            interpreter: None,
        }
    }

    /// Creates the interpreter and runs the scripts.
    fn load(&mut self) -> Result<Interpreter, String> {
        let mut interpreter = Interpreter::new(Rc::clone(&self.shared), self.time_limit)
            .map_err(|error| format!("cannot create the interpreter: {error}"))?;
        interpreter.load(&self.scripts, self.default_handler.as_deref())?;
        Ok(interpreter)
    }

    /// Sets the time that the functions of the script use during this call.
    fn set_time(&self, context: &Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        shared.now = Some(context.now());
        shared.timestamp = context.timestamp();
    }

    /// Passes the values that the script has sent to the router.
    fn emit(&self, context: &mut Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        for (channel, value) in shared.outputs.drain(..) {
            context.emit(channel, value);
        }
    }

    /// Schedules a call for when the next interval or thread is due.
    fn schedule_timer(&self, context: &mut Context<'_>) {
        let next = self.shared.borrow().schedule.next_due();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }
}

impl Instance for LuaInstance {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("a channel needs a name"));
        }
        let mut shared = self.shared.borrow_mut();
        let number = shared.channel(specification);
        shared.mapped = shared.channels.len() as u32;
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        for (script, &position) in self.scripts.iter().zip(&self.positions) {
            if let Err(message) = script.check() {
                problems.error(Some(position), message);
            }
        }
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        match self.load() {
            Ok(interpreter) => {
                self.interpreter = Some(interpreter);
                context.set_state(State::Up);
                self.emit(context);
                self.schedule_timer(context);
            }
            Err(reason) => {
                context.count_errors(1);
                context.set_state(State::Failed(reason));
                *self.shared.borrow_mut() = Shared::default();
            }
        }
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if self.interpreter.is_none() {
            return context.count_dropped(events.len() as u64);
        }
        self.set_time(context);
        for event in events {
            let Some(interpreter) = &mut self.interpreter else { return };
            let errors = interpreter.handle(event.channel, event.value);
            if errors > 0 {
                context.count_errors(errors);
            }
            self.emit(context);
        }
        self.schedule_timer(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        // The number of calls is limited, so that a script whose intervals are always due cannot block
        // the router; the rest is called in the next turn.
        let mut remaining = MAX_CALLS_PER_TURN;
        while remaining > 0
            && let Some(interpreter) = &mut self.interpreter
            && let Some(errors) = interpreter.run_due(context.now())
        {
            remaining -= 1;
            if errors > 0 {
                context.count_errors(errors);
            }
            self.emit(context);
        }
        self.schedule_timer(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        if let Some(interpreter) = &mut self.interpreter {
            let errors = interpreter.clean_up();
            interpreter.report_counts();
            if errors > 0 {
                context.count_errors(errors);
            }
            self.emit(context);
        }
        context.wake_at(None);
    }
}
