//! One instance: the lifecycle of its worker, its queue, and the connection between them.

mod channels;
mod faults;
mod lifecycle;
mod link;

use std::any::Any;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{
    ChannelTable, Context, Event, Instance, Plan, Readiness, TextEvent, downcast,
};

use super::language::Language;
use super::plan::ScriptPlan;
use super::process::Worker;
use super::queue::{MAX_ORDERED_VALUES, Queue};
use super::services::SharedServices;
use faults::Faults;
use link::{WRITE_KEY, WorkerLink};

/// How long an interpreter may take to report its version.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// After this long a warning is logged that the script is not loaded.
const IMPORT_NOTICE_DELAY: Duration = Duration::from_secs(10);
/// After this long a warning is logged that a ping has not been answered.
const UNRESPONSIVE_NOTICE_DELAY: Duration = Duration::from_secs(5);
/// How long after a delivery a worker is sent a ping.
const PING_DELAY: Duration = Duration::from_secs(1);

/// How long a worker has to run its cleanup handler and exit.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long before that time a script that is still busy is interrupted.
const INTERRUPT_LEAD: Duration = Duration::from_secs(1);

/// In `usage`: the channel is only a target of mappings.
const TARGET: u8 = 2;

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
pub(crate) struct ScriptInstance<L> {
    settings: L,
    shared: Rc<SharedServices>,
    /// The instance's name, for threads that print its output.
    label: Arc<str>,
    channels: Vec<String>,
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
    /// All parts of the script are loaded, or are being loaded.
    is_complete: bool,
    /// The files of the show that the script has loaded.
    files: Vec<PathBuf>,
    /// When a stopping worker is killed.
    stop_deadline: Option<Instant>,
    stop_sent: bool,
    interrupt_sent: bool,
}

impl<L: Language> ScriptInstance<L> {
    pub(crate) fn new(plan: ScriptPlan<L>, shared: Rc<SharedServices>) -> Self {
        let ScriptPlan { settings, channels, usage, .. } = plan;
        ScriptInstance {
            label: settings.name().into(),
            settings,
            shared,
            inputs: vec![f64::NAN; channels.len()],
            queue: Queue::new(channels.len(), MAX_ORDERED_VALUES),
            channels,
            usage,
            replaced: 0,
            phase: Phase::Idle,
            restart_count: 0,
            faults: Faults::default(),
            is_complete: true,
            files: Vec::new(),
            stop_deadline: None,
            stop_sent: false,
            interrupt_sent: false,
        }
    }
}

impl<L: Language> ScriptInstance<L> {
    /// Sends what was queued to the worker, and expects that it responds.
    fn hand_over(&mut self, context: &mut Context<'_>) {
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
}

impl<L: Language> Instance for ScriptInstance<L> {
    fn start(&mut self, context: &mut Context<'_>) {
        // After a restart by a reload, the script finds its last inputs again. The last value of a
        // channel that is mapped in both directions can be an output.
        for (channel, usage) in self.usage.iter().enumerate() {
            if *usage == TARGET {
                self.inputs[channel] = context.last_value(channel as u32).unwrap_or(f64::NAN);
            }
        }
        self.launch(context);
    }

    fn obstacle(&self, plan: &dyn Plan, _: &Context<'_>) -> Option<String> {
        let plan = (plan as &dyn Any).downcast_ref::<ScriptPlan<L>>()?;
        // A script that cannot run, or not all of it, is loaded again by a restart.
        if matches!(self.phase, Phase::Idle) || !self.is_complete {
            return Some("the script is not loaded completely".to_owned());
        }
        let has_changed = self.settings.needs_restart(&plan.settings);
        has_changed.then(|| "the script or its interpreter changed".to_owned())
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        table: &ChannelTable,
        context: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        if self.obstacle(&*plan, context).is_some() {
            return Err(plan);
        }
        let ScriptPlan { settings, channels, usage, .. } = *downcast::<ScriptPlan<L>>(plan)?;
        if let Phase::Running(link) = &mut self.phase
            && link.handshake_done
        {
            link.channels.adopt(table, &self.usage, &usage);
            if settings.default_handler() != self.settings.default_handler() {
                link.channels.change_default_handler();
            }
            link.has_new_time_limit |= settings.time_limit() != self.settings.time_limit();
        }
        let old_inputs = std::mem::take(&mut self.inputs);
        let input = |old: Option<u32>| old.map_or(f64::NAN, |old| old_inputs[old as usize]);
        self.inputs =
            (0..table.new_count() as u32).map(|new| input(table.old_number(new))).collect();
        context.count_dropped(self.queue.renumber(table) as u64);
        (self.settings, self.channels, self.usage) = (settings, channels, usage);
        self.write(context);
        Ok(())
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
                    let reason = self
                        .settings
                        .not_a_worker(&format!("no response for {HANDSHAKE_TIMEOUT:?}"));
                    return self.on_worker_exit(context, Some(reason));
                }
            }
            Phase::Running(link) if !link.ready => {
                if !link.import_noticed && now >= link.started + IMPORT_NOTICE_DELAY {
                    link.import_noticed = true;
                    tracing::warn!(
                        instance = context.name(),
                        "the script is not loaded after {IMPORT_NOTICE_DELAY:?}; the show runs \
                         without this instance until it is"
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
            let root = event.root().number();
            replaced += u64::from(!self.queue.push(event.channel, root, event.value));
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
        self.hand_over(context);
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, context: &mut Context<'_>) {
        let is_idle = matches!(self.phase, Phase::Idle);
        let root = event.root().number();
        if is_idle || !self.queue.push_text(event.channel, root, event.text) {
            return context.count_dropped(1);
        }
        self.hand_over(context);
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
