//! One instance: its worker's life, its queue, what goes to and fro.

mod faults;
mod life;
mod link;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, Usage};

use super::House;
use super::process::Worker;
use super::protocol;
use super::queue::{LIMIT, Queue};
use super::scan;
use super::settings::Settings;
use faults::Faults;
use link::{Link, ROOM};

/// How long an interpreter may take until it says which one it is.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// After this long a word is said about an import, or a handler, that does not end.
const IMPORT_NOTICE: Duration = Duration::from_secs(10);
const BUSY_NOTICE: Duration = Duration::from_secs(5);
/// How long after a value a worker is asked whether it is there.
const PING_DELAY: Duration = Duration::from_secs(1);

/// How long clean-up handlers have.
const STOP_LIMIT: Duration = Duration::from_secs(2);
/// So long before that, what a script still does is interrupted.
const URGE_LEFT: Duration = Duration::from_secs(1);

enum Phase {
    /// Not started, or nothing more is to come.
    Idle,
    /// There is a worker.
    Linked(Box<Link>),
    /// The worker is dead, or will be by a time; how it died is not known yet.
    Dead { worker: Worker, greeted: bool, lived: Duration, until: Instant, reason: Option<String> },
    /// Waiting to start again.
    Pause { until: Instant },
}

pub(crate) struct PythonInstance {
    settings: Settings,
    house: Rc<House>,
    label: Arc<str>,
    channels: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Bit 0: a source, bit 1: a target of mappings.
    usage: Vec<u8>,
    inputs: Vec<f64>,
    queue: Queue,
    replaced: u64,
    phase: Phase,
    deaths: u32,
    faults: Faults,
    stopping: Option<Instant>,
    stop_sent: bool,
    urged: bool,
}

impl PythonInstance {
    pub(crate) fn new(settings: Settings, house: Rc<House>) -> Self {
        PythonInstance {
            label: settings.name.as_str().into(),
            settings,
            house,
            channels: Vec::new(),
            numbers: HashMap::new(),
            usage: Vec::new(),
            inputs: Vec::new(),
            queue: Queue::new(0, LIMIT),
            replaced: 0,
            phase: Phase::Idle,
            deaths: 0,
            faults: Faults::default(),
            stopping: None,
            stop_sent: false,
            urged: false,
        }
    }
}

impl Instance for PythonInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("a channel needs a name")
                .with_hint("write `instance.name` or `instance.module.function`"));
        }
        if specification.contains('\0') {
            return Err(ChannelError::new("a channel's name holds no NUL"));
        }
        let bit = match usage {
            Usage::Source => 1,
            Usage::Target => 2,
        };
        if let Some(&number) = self.numbers.get(specification) {
            self.usage[number as usize] |= bit;
            return Ok(number);
        }
        let number = u32::try_from(self.channels.len())
            .ok()
            .filter(|&number| number < protocol::CONTROL)
            .ok_or_else(|| ChannelError::new("too many channels"))?;
        self.numbers.insert(specification.to_owned(), number);
        self.channels.push(specification.to_owned());
        self.usage.push(bit);
        Ok(number)
    }

    fn check(&self, problems: &mut Problems) {
        scan::check(&self.settings, &self.channels, &self.usage, problems);
    }

    fn start(&mut self, context: &mut Context<'_>) {
        self.numbers = HashMap::new();
        self.inputs = vec![f64::NAN; self.channels.len()];
        self.queue = Queue::new(self.channels.len(), LIMIT);
        self.launch(context);
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        if key == ROOM {
            self.write(context);
        } else {
            if let Phase::Linked(link) = &mut self.phase {
                link.closed |= readiness.closed;
                link.drained = false;
            }
            self.read(context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.stopping.is_some_and(|limit| now >= limit) {
            if matches!(self.phase, Phase::Linked(_)) {
                tracing::warn!(
                    instance = context.name(),
                    "the script did not clean up within {STOP_LIMIT:?} and was ended"
                );
            }
            return self.end(context);
        }
        if !self.urged && self.stopping.is_some_and(|limit| now + URGE_LEFT >= limit) {
            self.urged = true;
            if let Phase::Linked(link) = &self.phase
                && link.ready
            {
                link.worker.urge();
            }
        }
        match &mut self.phase {
            Phase::Idle => return,
            Phase::Dead { .. } => return self.mourn(context),
            Phase::Pause { until } if now >= *until => return self.launch(context),
            Phase::Pause { .. } => {}
            Phase::Linked(link) if !link.greeted => {
                if now >= link.started + HELLO_LIMIT {
                    let python = self.settings.python.to_string_lossy();
                    let reason = format!(
                        "`{python}` is no Python that runs here: it said nothing for {HELLO_LIMIT:?}"
                    );
                    return self.bury(context, Some(reason));
                }
            }
            Phase::Linked(link) if !link.ready => {
                if !link.noticed && now >= link.started + IMPORT_NOTICE {
                    link.noticed = true;
                    tracing::warn!(
                        instance = context.name(),
                        "its modules are still being imported after {IMPORT_NOTICE:?}; \
                         the show goes on without them"
                    );
                }
            }
            Phase::Linked(link) => {
                if link.asked.is_none() && link.fed.is_some_and(|fed| now >= fed + PING_DELAY) {
                    self.ask(context);
                } else if !link.busy && link.asked.is_some_and(|asked| now >= asked + BUSY_NOTICE) {
                    link.busy = true;
                    tracing::warn!(
                        instance = context.name(),
                        "the script has not answered for {BUSY_NOTICE:?} (a handler takes long, or more \
                         comes than it can take); its values wait"
                    );
                }
            }
        }
        self.wake(context);
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        if matches!(self.phase, Phase::Idle) {
            return context.count_dropped(events.len() as u64);
        }
        let mut replaced = 0;
        for event in events {
            replaced += u64::from(!self.queue.push(event.channel, event.value));
        }
        if replaced > 0 {
            context.count_dropped(replaced);
            if self.replaced == 0 {
                tracing::warn!(
                    instance = context.name(),
                    "{LIMIT} values wait for the script; only the newest of each channel is kept now"
                );
            }
            self.replaced += replaced;
        }
        if let Phase::Linked(link) = &mut self.phase
            && link.ready
            && link.fed.is_none()
        {
            link.fed = Some(context.now());
            if link.asked.is_none() {
                self.wake(context);
            }
        }
        self.write(context);
        self.expect(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.stopping = Some(context.now() + STOP_LIMIT);
        match &self.phase {
            Phase::Linked(link) if link.greeted => {
                self.write(context);
                self.wake(context);
            }
            // No script is running yet, or none any more.
            _ => self.end(context),
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }
}
