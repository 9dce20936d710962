//! An instance: the router's side of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use consort_router::{ChannelError, Context, Event, Instance, Options, Problems, State, Usage};

use super::functions::Shared;
use super::interpreter::{Interpreter, Script};

pub(super) struct LuaInstance {
    scripts: Vec<Script>,
    /// The number of each script's option.
    places: Vec<usize>,
    default_handler: Option<String>,
    limit: Duration,
    shared: Rc<RefCell<Shared>>,
    interpreter: Option<Interpreter>,
}

impl LuaInstance {
    pub(super) fn new(name: String, options: &Options) -> Self {
        let limit = options.integer("time-limit").and_then(|it| u64::try_from(it).ok());
        let (mut scripts, mut places) = (Vec::new(), Vec::new());
        for (at, entry) in options.entries().iter().enumerate() {
            scripts.push(match entry.name.as_str() {
                "script" => Script::File(entry.directory.join(&entry.value)),
                "code" => Script::Code(entry.value.clone()),
                _ => continue,
            });
            places.push(at);
        }
        LuaInstance {
            scripts,
            places,
            default_handler: options.text("default-handler").map(str::to_owned),
            limit: Duration::from_millis(limit.unwrap_or(200)),
            shared: Rc::new(RefCell::new(Shared { name, ..Shared::default() })),
            interpreter: None,
        }
    }

    fn load(&mut self) -> Result<Interpreter, String> {
        let mut interpreter = Interpreter::new(Rc::clone(&self.shared), self.limit)
            .map_err(|error| format!("no interpreter: {error}"))?;
        interpreter.load(&self.scripts, self.default_handler.as_deref())?;
        Ok(interpreter)
    }

    fn set_time(&self, context: &Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        shared.now = Some(context.now());
        shared.timestamp = context.timestamp();
    }

    /// Gives the router what the script has sent.
    fn emit(&self, context: &mut Context<'_>) {
        let mut shared = self.shared.borrow_mut();
        for (channel, value) in shared.outputs.drain(..) {
            context.emit(channel, value);
        }
    }

    /// Asks to be called when the next interval or thread is due.
    fn wake(&self, context: &mut Context<'_>) {
        let next = self.shared.borrow().schedule.next();
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
        for (script, &place) in self.scripts.iter().zip(&self.places) {
            if let Err(message) = script.check() {
                problems.error(Some(place), message);
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
                self.wake(context);
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
        self.wake(context);
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        self.set_time(context);
        // Once for what is due now; what these make due has the next turn.
        let mut left = 2_048;
        while left > 0
            && let Some(interpreter) = &mut self.interpreter
            && let Some(errors) = interpreter.run_due(context.now())
        {
            left -= 1;
            if errors > 0 {
                context.count_errors(errors);
            }
            self.emit(context);
        }
        self.wake(context);
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
