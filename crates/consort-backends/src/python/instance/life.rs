//! The life and death of a worker.

use std::os::fd::OwnedFd;
use std::time::Duration;

use consort_router::{Context, State};
use mio::Interest;
use mio::unix::pipe::{Receiver, Sender};

use super::super::output::Stream;
use super::super::process::{Job, Outcome, default_memory, describe};
use super::link::{Link, ROOM, WORDS};
use super::{
    BUSY_NOTICE, HELLO_LIMIT, IMPORT_NOTICE, PING_DELAY, Phase, PythonInstance, URGE_LEFT,
};

const BOOT: &str = include_str!("../worker/boot.py");

/// How often a dead worker is asked how it died.
const REAP_INTERVAL: Duration = Duration::from_millis(5);
/// How long a process that no longer speaks may live on.
const DEATH_LIMIT: Duration = Duration::from_secs(1);
/// The first pause before a worker is started again; doubled each time up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// A worker that lived this long dies its first death again.
const LONG_LIFE: Duration = Duration::from_secs(2);

impl PythonInstance {
    /// Starts a worker; what goes wrong is tried again later.
    pub(super) fn launch(&mut self, context: &mut Context<'_>) {
        match self.try_launch(context) {
            Ok(link) => {
                self.phase = Phase::Linked(Box::new(link));
                self.wake(context);
            }
            Err(error) => self.pause(context, &format!("no worker can be started: {error}")),
        }
    }

    pub(super) fn try_launch(&mut self, context: &mut Context<'_>) -> std::io::Result<Link> {
        let services = self.house.services(context.timestamp())?;
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let (input, sender) = pipe()?;
        let (receiver, output) = pipe()?;
        let (mut sender, mut receiver) = (Sender::from(sender), Receiver::from(receiver));
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        context.register(&mut receiver, WORDS, Interest::READABLE)?;
        context.register(&mut sender, ROOM, Interest::WRITABLE)?;
        let printer = |kind| -> std::io::Result<OwnedFd> {
            let (read, write) = pipe()?;
            rustix::io::ioctl_fionbio(&read, true)?;
            services.forwarder.add(read, &self.label, kind);
            Ok(write)
        };
        let job = Job {
            python: self.settings.python.clone(),
            boot: BOOT,
            memory: self.settings.memory.unwrap_or_else(default_memory),
            input,
            output,
            stdout: printer(Stream::Output)?,
            stderr: printer(Stream::Error)?,
        };
        Ok(Link::new(services.spawner.start(job), sender, receiver, context.now()))
    }

    /// The worker is gone, or has to go: `reason` says why where its exit status would not.
    pub(super) fn bury(&mut self, context: &mut Context<'_>, reason: Option<String>) {
        let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let Link { worker, started, greeted, .. } = link.hang_up(context);
        if reason.is_some() {
            worker.kill();
        }
        if self.stopping.is_some() {
            return self.end(context);
        }
        let lived = context.now() - started;
        let until = context.now() + DEATH_LIMIT;
        self.phase = Phase::Dead { worker, greeted, lived, until, reason };
        self.mourn(context);
    }

    /// Finds out how the worker died and plans the next one.
    pub(super) fn mourn(&mut self, context: &mut Context<'_>) {
        let Phase::Dead { worker, greeted, lived, until, reason } = &mut self.phase else { return };
        let Some(outcome) = worker.outcome() else {
            if reason.is_none() && context.now() >= *until {
                *reason = Some("the script has closed the pipe to the show and runs on".into());
                worker.kill();
            }
            return context.wake_in(REAP_INTERVAL);
        };
        if *lived >= LONG_LIFE {
            self.deaths = 0;
        }
        let reason = reason.take().unwrap_or_else(|| {
            let how = describe(outcome, &self.settings.python);
            match outcome {
                Outcome::Ended(_) if !*greeted => {
                    let python = self.settings.python.to_string_lossy();
                    format!("`{python}` is no Python that runs here: {how}")
                }
                _ => how,
            }
        });
        self.pause(context, &reason);
    }

    pub(super) fn pause(&mut self, context: &mut Context<'_>, reason: &str) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.deaths.min(16)).min(LAST_PAUSE);
        self.deaths += 1;
        context.count_errors(1);
        self.phase = Phase::Pause { until: context.now() + pause };
        context.set_state(State::Waiting(format!("{reason}; it is started again in {pause:?}")));
        self.wake(context);
    }

    /// No worker will be started again.
    pub(super) fn give_up(&mut self, context: &mut Context<'_>, reason: String) {
        if let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.hang_up(context));
        }
        context.count_errors(1);
        context.count_dropped(self.queue.len() as u64);
        while self.queue.pop().is_some() {}
        context.set_state(State::Failed(reason));
        context.wake_at(None);
    }

    /// The show is over for it: the worker goes, and the counts of errors are told.
    pub(super) fn end(&mut self, context: &mut Context<'_>) {
        if let Phase::Linked(link) = std::mem::replace(&mut self.phase, Phase::Idle) {
            drop(link.hang_up(context));
        }
        context.wake_at(None);
        self.faults.report(context.name());
    }

    /// Asks for the next call of `timer`.
    pub(super) fn wake(&self, context: &mut Context<'_>) {
        let time = match &self.phase {
            Phase::Idle => None,
            Phase::Dead { .. } => Some(context.now() + REAP_INTERVAL),
            Phase::Pause { until } => Some(*until),
            Phase::Linked(link) if !link.greeted => Some(link.started + HELLO_LIMIT),
            Phase::Linked(link) if !link.ready && !link.noticed => {
                Some(link.started + IMPORT_NOTICE)
            }
            Phase::Linked(link) => match link.asked {
                Some(asked) if !link.busy => Some(asked + BUSY_NOTICE),
                Some(_) => None,
                None => link.fed.map(|fed| fed + PING_DELAY),
            },
        };
        let limit = self.stopping.map(|it| if self.urged { it } else { it - URGE_LEFT });
        context.wake_at(match (time, limit) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        });
    }
}
