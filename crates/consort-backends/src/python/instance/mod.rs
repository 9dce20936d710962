//! One instance: the lifecycle of its worker, its queue, and the connection between them.

mod faults;
mod lifecycle;
mod link;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{ChannelError, Context, Event, Instance, Problems, Readiness, Usage};

use super::process::Worker;
use super::protocol;
use super::queue::{MAX_ORDERED_VALUES, Queue};
use super::scan;
use super::services::SharedServices;
use super::settings::Settings;
use faults::Faults;
use link::{WRITE_KEY, WorkerLink};

/// How long an interpreter may take to report its version.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// After this long a warning is logged that the imports are not finished.
const IMPORT_NOTICE_DELAY: Duration = Duration::from_secs(10);
/// After this long a warning is logged that a ping has not been answered.
const UNRESPONSIVE_NOTICE_DELAY: Duration = Duration::from_secs(5);
/// How long after a delivery a worker is sent a ping.
const PING_DELAY: Duration = Duration::from_secs(1);

/// How long a worker has to run its cleanup handler and exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long before that time a script that is still busy is interrupted.
const INTERRUPT_LEAD: Duration = Duration::from_secs(1);

/// What an instance is doing; `lifecycle.rs` shows the transitions.
enum Phase {
    /// Not started yet, or stopped for good.
    Idle,
    /// A worker is running.
    Running(Box<WorkerLink>),
    /// The worker is exiting; its exit status is not known yet. It is killed at the deadline.
    Exiting {
        worker: Worker,
        handshake_done: bool,
        run_time: Duration,
        deadline: Instant,
        reason: Option<String>,
    },
    /// Waiting before the next start.
    Backoff { until: Instant },
}

/// An instance of the backend.
pub(crate) struct PythonInstance {
    settings: Settings,
    shared: Rc<SharedServices>,
    /// The instance's name, for threads that print its output.
    label: Arc<str>,
    channels: Vec<String>,
    /// The channels' numbers by name, while the show is configured.
    numbers: HashMap<String, u32>,
    /// Per channel, bit 0: a source, bit 1: a target of mappings.
    usage: Vec<u8>,
    /// The last input of each channel, which a restarted worker gets; NaN for none.
    inputs: Vec<f64>,
    queue: Queue,
    /// How many queued values have been replaced by newer ones since the last report.
    replaced: u64,
    phase: Phase,
    /// How many restarts in a row came soon after the start before.
    restart_count: u32,
    faults: Faults,
    /// When a stopping worker is killed.
    stop_deadline: Option<Instant>,
    stop_sent: bool,
    interrupt_sent: bool,
}

impl PythonInstance {
    pub(crate) fn new(settings: Settings, shared: Rc<SharedServices>) -> Self {
        PythonInstance {
            label: settings.name.as_str().into(),
            settings,
            shared,
            channels: Vec::new(),
            numbers: HashMap::new(),
            usage: Vec::new(),
            inputs: Vec::new(),
            queue: Queue::new(0, MAX_ORDERED_VALUES),
            replaced: 0,
            phase: Phase::Idle,
            restart_count: 0,
            faults: Faults::default(),
            stop_deadline: None,
            stop_sent: false,
            interrupt_sent: false,
        }
    }
}

impl Instance for PythonInstance {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        if specification.is_empty() {
            return Err(ChannelError::new("expected a channel name")
                .with_hint("write `instance.name` or `instance.module.function`"));
        }
        if specification.contains('\0') {
            return Err(ChannelError::new("a channel name must not contain a NUL character"));
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
        self.queue = Queue::new(self.channels.len(), MAX_ORDERED_VALUES);
        self.launch(context);
    }

    fn ready(&mut self, key: u32, readiness: Readiness, context: &mut Context<'_>) {
        if key == WRITE_KEY {
            self.write(context);
        } else {
            if let Phase::Running(link) = &mut self.phase {
                link.closed |= readiness.closed;
                link.drained = false;
            }
            self.read(context);
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        if self.stop_deadline.is_some_and(|deadline| now >= deadline) {
            if matches!(self.phase, Phase::Running(_)) {
                tracing::warn!(
                    instance = context.name(),
                    "the script did not clean up within {STOP_TIMEOUT:?} and was killed"
                );
            }
            return self.finish(context);
        }
        if !self.interrupt_sent
            && self.stop_deadline.is_some_and(|deadline| now + INTERRUPT_LEAD >= deadline)
        {
            self.interrupt_sent = true;
            if let Phase::Running(link) = &self.phase
                && link.ready
            {
                link.worker.interrupt();
            }
        }
        match &mut self.phase {
            Phase::Idle => return,
            Phase::Exiting { .. } => return self.reap(context),
            Phase::Backoff { until } if now >= *until => return self.launch(context),
            Phase::Backoff { .. } => {}
            Phase::Running(link) if !link.handshake_done => {
                if now >= link.started + HANDSHAKE_TIMEOUT {
                    let reason =
                        self.not_an_interpreter(&format!("no response for {HANDSHAKE_TIMEOUT:?}"));
                    return self.on_worker_exit(context, Some(reason));
                }
            }
            Phase::Running(link) if !link.ready => {
                if !link.import_noticed && now >= link.started + IMPORT_NOTICE_DELAY {
                    link.import_noticed = true;
                    tracing::warn!(
                        instance = context.name(),
                        "the imports are not finished after {IMPORT_NOTICE_DELAY:?}; the show runs \
                         without this instance until they are"
                    );
                }
            }
            Phase::Running(link) => {
                let is_ping_due =
                    link.unconfirmed_since.is_some_and(|since| now >= since + PING_DELAY);
                let is_late =
                    link.ping_sent.is_some_and(|sent| now >= sent + UNRESPONSIVE_NOTICE_DELAY);
                if link.ping_sent.is_none() && is_ping_due {
                    self.ping(context);
                } else if !link.unresponsive && is_late {
                    link.unresponsive = true;
                    tracing::warn!(
                        instance = context.name(),
                        "the script has not responded for {UNRESPONSIVE_NOTICE_DELAY:?} (a handler \
                         takes long, or values arrive faster than the script handles them); new \
                         values are queued"
                    );
                }
            }
        }
        self.schedule_timer(context);
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
                    "{MAX_ORDERED_VALUES} values are queued for the script; from now on only the newest \
                     of each channel is kept"
                );
            }
            self.replaced += replaced;
        }
        if let Phase::Running(link) = &mut self.phase
            && link.ready
            && link.unconfirmed_since.is_none()
        {
            link.unconfirmed_since = Some(context.now());
            if link.ping_sent.is_none() {
                self.schedule_timer(context);
            }
        }
        self.write(context);
        self.expect_answer(context);
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.stop_deadline = Some(context.now() + STOP_TIMEOUT);
        match &self.phase {
            Phase::Running(link) if link.handshake_done => {
                self.write(context);
                self.schedule_timer(context);
            }
            // No script is running.
            _ => self.finish(context),
        }
    }

    fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }
}
