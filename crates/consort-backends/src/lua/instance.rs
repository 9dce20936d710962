//! A Lua instance: its plan, and the instance that runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use consort_router::{
    ChannelError, ChannelTable, Context, Driver, Event, Instance, Options, Plan, Problems,
    RawValue, Root, Sender, State, Unmatched, Usage, downcast,
};

use super::functions::Shared;
use super::interpreter::{Interpreter, Script};

/// The maximum number of intervals and threads that are called in one turn.
const MAX_CALLS_PER_TURN: u32 = 2_048;

/// An instance that is configured and does not run: one `[lua NAME]` section.
pub(super) struct LuaPlan {
    name: String,
    scripts: Vec<Script>,
    /// The position of each script's option in the section.
    positions: Vec<usize>,
    default_handler: Option<String>,
    time_limit: Duration,
    channels: Vec<String>,
    by_name: HashMap<String, u32>,
}

impl LuaPlan {
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
        LuaPlan {
            name,
            scripts,
            positions,
            default_handler: options.text("default-handler").map(str::to_owned),
            time_limit: Duration::from_millis(limit.unwrap_or(200)),
            channels: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl Plan for LuaPlan {
    fn channel(&mut self, specification: &str, _: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("a channel needs a name"));
        }
        if let Some(&number) = self.by_name.get(specification) {
            return Ok(number);
        }
        let number = self.channels.len() as u32;
        self.by_name.insert(specification.to_owned(), number);
        self.channels.push(specification.to_owned());
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        for (script, &position) in self.scripts.iter().zip(&self.positions) {
            if let Err(message) = script.check() {
                problems.error(Some(position), message);
            }
        }
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        let mut shared = Shared { name: self.name.clone(), ..Shared::default() };
        shared.set_mapped(&self.channels);
        Box::new(LuaInstance {
            plan: *self,
            shared: Rc::new(RefCell::new(shared)),
            interpreter: None,
        })
    }
}

/// A running instance.
struct LuaInstance {
    plan: LuaPlan,
    shared: Rc<RefCell<Shared>>,
    interpreter: Option<Interpreter>,
}

impl LuaInstance {
    /// Creates the interpreter and runs the scripts.
    fn load(&mut self) -> Result<Interpreter, String> {
        let mut interpreter = Interpreter::new(Rc::clone(&self.shared), self.plan.time_limit)
            .map_err(|error| format!("cannot create the interpreter: {error}"))?;
        interpreter.load(&self.plan.scripts, self.plan.default_handler.as_deref())?;
        Ok(interpreter)
    }

    /// Sets the time that the functions of the script use during this call.
    fn set_time(&self, context: &Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        shared.now = Some(context.now());
        shared.timestamp = context.timestamp();
    }

    /// Passes the values that the script has sent to the router. `root` is
    /// the input whose handler sent them; `None` for intervals and threads.
    fn emit(&self, root: Option<Root>, context: &mut Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        let Shared { outputs, unknown, unknown_names, unlisted, channels, mapped, .. } =
            &mut *shared;
        if outputs.is_empty() && unknown.is_empty() {
            return;
        }
        context.count_input((outputs.len() + unknown.len()) as u64 + *unlisted);
        for (channel, value) in outputs.drain(..) {
            match root {
                _ if channel >= *mapped => {
                    report_unmatched(&channels[channel as usize].name, value, context);
                }
                Some(root) => context.emit_descended(channel, value, root),
                None => context.emit(channel, value),
            }
        }
        let mut start = 0;
        for (end, value) in unknown.drain(..) {
            report_unmatched(&unknown_names[start..end], value, context);
            start = end;
        }
        unknown_names.clear();
        context.count_unmatched(std::mem::take(unlisted));
    }

    /// Schedules a call for when the next interval or thread is due.
    fn schedule_timer(&self, context: &mut Context<'_>) {
        let next = self.shared.borrow().schedule.next_due();
        if next != context.wake_time() {
            context.wake_at(next);
        }
    }
}

/// Reports a value that the script has sent on a channel that is not mapped.
fn report_unmatched(name: &str, value: f64, context: &mut Context<'_>) {
    let input = Unmatched {
        types: "number",
        raw: RawValue::Number(value),
        value: Some(value),
        sender: Sender::Unknown,
    };
    context.unmatched(input, |channel| channel.push_str(name));
}

impl Instance for LuaInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        match self.load() {
            Ok(interpreter) => {
                self.interpreter = Some(interpreter);
                context.set_state(State::Up);
                self.emit(None, context);
                self.schedule_timer(context);
            }
            Err(reason) => {
                context.count_errors(1);
                context.set_state(State::Failed(reason));
                *self.shared.borrow_mut() = Shared::default();
            }
        }
    }

    /// Keeps the interpreter with its intervals and threads.
    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        // If the scripts failed to load, a restart loads them again.
        let Some(interpreter) = &mut self.interpreter else { return Err(plan) };
        let plan = downcast::<LuaPlan>(plan)?;
        let default_handler = plan.default_handler.as_deref();
        interpreter.adopt(&plan.channels, channels, default_handler, plan.time_limit);
        self.plan = *plan;
        Ok(())
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
            self.emit(Some(event.root()), context);
        }
        self.schedule_timer(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        // The number of calls is limited, so that a script whose intervals are always due cannot
        // block the router; the rest is called in the next turn.
        let mut remaining = MAX_CALLS_PER_TURN;
        while remaining > 0
            && let Some(interpreter) = &mut self.interpreter
            && let Some(errors) = interpreter.run_due(context.now())
        {
            remaining -= 1;
            if errors > 0 {
                context.count_errors(errors);
            }
            self.emit(None, context);
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
            self.emit(None, context);
        }
        context.wake_at(None);
    }
}
