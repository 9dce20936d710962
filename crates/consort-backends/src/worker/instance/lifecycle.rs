//! The lifecycle of a worker: starting, exiting, restarting.
//!
//! ```text
//!  Idle ── start ──► Running ── pipe closes ──► Exiting ── reaped ──► Backoff ──┐
//!                       ▲                                                       │
//!                       └───────────────────── pause is over ───────────────────┘
//! ```
//!
//! `stop`, and an error after which a restart would not help, lead from any phase back to `Idle`.

use std::os::fd::OwnedFd;
use std::time::Duration;

use consort_router::{Context, State};
use mio::Interest;
use mio::unix::pipe::{Receiver, Sender};

use super::super::language::{Language, WorkerProgram, describe_start_failure};
use super::super::output::Stream;
use super::super::process::{Job, Outcome, describe_exit};
use super::super::queue::{MAX_ORDERED_VALUES, Queue};
use super::link::{READ_KEY, WRITE_KEY, WorkerLink};
use super::{
    HANDSHAKE_TIMEOUT, IMPORT_NOTICE_DELAY, INTERRUPT_LEAD, PING_DELAY, Phase, ScriptInstance,
    UNRESPONSIVE_NOTICE_DELAY,
};

/// How often an exiting worker is polled for its exit status.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// How long a process may go on running after it has closed its pipe.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before the first restart; it doubles with each restart, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A worker that ran for this long is restarted after the first pause again.
const STABLE_RUN: Duration = Duration::from_secs(2);

impl<L: Language> ScriptInstance<L> {
    /// Starts a worker; if that fails, it is tried again after a pause.
    pub(super) fn launch(&mut self, context: &mut Context<'_>) {
        let program = match self.settings.program() {
            Ok(program) => program,
            Err(reason) => return self.give_up(context, reason),
        };
        match self.try_launch(program, context) {
            Ok(link) => {
                self.phase = Phase::Running(Box::new(link));
                self.schedule_timer(context);
            }
            Err(error) => self.back_off(context, &format!("cannot start a worker: {error}")),
        }
    }

    fn try_launch(
        &mut self,
        program: WorkerProgram,
        context: &mut Context<'_>,
    ) -> std::io::Result<WorkerLink> {
        let services = self.shared.services(context.timestamp())?;
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (input, sender) = pipe()?;
        let (receiver, output) = pipe()?;
        let (mut sender, mut receiver) = (Sender::from(sender), Receiver::from(receiver));
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        context.register(&mut receiver, READ_KEY, Interest::READABLE)?;
        context.register(&mut sender, WRITE_KEY, Interest::WRITABLE)?;
        let output_pipe = |stream| -> std::io::Result<OwnedFd> {
            let (read, write) = pipe()?;
            rustix::io::ioctl_fionbio(&read, true)?;
            services.forwarder.add(read, &self.label, stream);
            Ok(write)
        };
        let job = Job {
            program,
            memory: self.settings.memory(),
            input,
            output,
            stdout: output_pipe(Stream::Output)?,
            stderr: output_pipe(Stream::Error)?,
        };
        Ok(WorkerLink::new(services.spawner.start(job), sender, receiver, context.now()))
    }

    /// Handles the end of the connection to the worker. The worker has exited or, if there is a
    /// `reason` that its exit status would not show, is killed.
    pub(super) fn on_worker_exit(&mut self, context: &mut Context<'_>, reason: Option<String>) {
        let Phase::Running(link) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let WorkerLink { worker, started, handshake_done, .. } = link.deregister(context);
        if reason.is_some() {
            worker.kill();
        }
        if self.stop_deadline.is_some() {
            return self.finish(context);
        }
        let run_time = context.now() - started;
        let deadline = context.now() + EXIT_TIMEOUT;
        self.phase = Phase::Exiting { worker, handshake_done, run_time, deadline, reason };
        self.reap(context);
    }

    /// Determines how the worker exited and schedules the next one.
    pub(super) fn reap(&mut self, context: &mut Context<'_>) {
        let Phase::Exiting { worker, handshake_done, run_time, deadline, reason } = &mut self.phase
        else {
            return;
        };
        let Some(outcome) = worker.outcome() else {
            if reason.is_none() && context.now() >= *deadline {
                let text = "the script closed the pipe to Consort, but its process is still \
                 running";
                *reason = Some(text.into());
                worker.kill();
            }
            return context.wake_in(REAP_INTERVAL);
        };
        if *run_time >= STABLE_RUN {
            self.restart_count = 0;
        }
        let handshake_done = *handshake_done;
        let reason = reason.take().unwrap_or_else(|| {
            let status = match outcome {
                Outcome::NotStarted(kind, code) => {
                    return describe_start_failure(&self.settings.program_name(), kind, code);
                }
                Outcome::Exited(status) => status,
            };
            if !handshake_done {
                return self.settings.not_a_worker(&describe_exit(status));
            }
            self.settings.describe_exit(status).unwrap_or_else(|| describe_exit(status))
        });
        self.back_off(context, &reason);
    }

    /// Waits before the next start; the pause grows with each start that fails soon.
    fn back_off(&mut self, context: &mut Context<'_>, reason: &str) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.restart_count.min(16)).min(LONGEST_PAUSE);
        self.restart_count += 1;
        context.count_errors(1);
        self.phase = Phase::Backoff { until: context.now() + pause };
        context.set_state(State::Waiting(format!("{reason}; restarting in {pause:?}")));
        self.schedule_timer(context);
    }

    /// Fails for good: no further worker is started.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>, reason: String) {
        self.discard(context);
        context.count_errors(1);
        context.set_state(State::Failed(reason));
    }

    /// Ends the worker and drops what waits for it.
    fn discard(&mut self, context: &mut Context<'_>) {
        if let Phase::Running(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.deregister(context));
        }
        context.count_dropped(self.queue.len() as u64);
        self.queue = Queue::new(self.channels.len(), MAX_ORDERED_VALUES);
        context.wake_at(None);
    }

    /// The script has ended itself: no further worker is started.
    pub(super) fn end(&mut self, context: &mut Context<'_>, text: &str) {
        if self.stop_deadline.is_some() {
            return self.finish(context);
        }
        tracing::info!(instance = context.name(), "{text}");
        self.discard(context);
        self.faults.report_counts(context.name());
        context.set_state(State::Stopped);
    }

    /// Ends the instance together with the show: kills the worker, reports the error counts.
    pub(super) fn finish(&mut self, context: &mut Context<'_>) {
        if let Phase::Running(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.deregister(context));
        }
        context.wake_at(None);
        self.faults.report_counts(context.name());
    }

    /// Schedules the next call of `timer`.
    pub(super) fn schedule_timer(&self, context: &mut Context<'_>) {
        let phase_time = match &self.phase {
            Phase::Idle => None,
            Phase::Exiting { .. } => Some(context.now() + REAP_INTERVAL),
            Phase::Backoff { until } => Some(*until),
            Phase::Running(link) if !link.handshake_done => Some(link.started + HANDSHAKE_TIMEOUT),
            Phase::Running(link) if !link.ready && !link.import_noticed => {
                Some(link.started + IMPORT_NOTICE_DELAY)
            }
            Phase::Running(link) => match link.ping_sent {
                Some(sent) if !link.unresponsive => Some(sent + UNRESPONSIVE_NOTICE_DELAY),
                Some(_) => None,
                None => link.unconfirmed_since.map(|since| since + PING_DELAY),
            },
        };
        let stop_time = self
            .stop_deadline
            .map(|deadline| if self.interrupt_sent { deadline } else { deadline - INTERRUPT_LEAD });
        context.wake_at(match (phase_time, stop_time) {
            (Some(first), Some(second)) => Some(first.min(second)),
            (first, second) => first.or(second),
        });
    }
}
