//! The passing of time: deadlines, repetitions, health checks.

use std::time::Duration;

use super::{Connection, Event, ExitReason, HandshakeStep, Phase, REPEAT_INTERVAL, RequestId};
use crate::error::{Error, ErrorKind};
use crate::lifecycle::LifecycleEvent;
use crate::requests::QueryStatus;

impl Connection {
    /// When [`Connection::handle_timeout`] has to be called at the latest; `None` if nothing is due.
    pub fn poll_timeout(&mut self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Offline | Phase::Score => None,
            Phase::Booting { deadline }
            | Phase::Quitting { deadline, .. }
            | Phase::LoggingOut { deadline } => Some(deadline),
            Phase::Connecting { deadline, repeat_at, .. } => Some(deadline.min(repeat_at)),
            Phase::Online => Some(self.health.due_at),
            Phase::AwaitingExit { kill_at, .. } => kill_at,
        };
        let barrier = self.barrier.map(|(_, repeat_at)| repeat_at);
        let waiting = [self.pending.next_deadline(), self.probes.next_deadline()];
        let sending = [self.send_window.next_deadline(), barrier];
        waiting.into_iter().chain(sending).chain([phase]).flatten().min()
    }

    /// Input: does whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        for (number, error) in self.pending.expire(now) {
            self.events.push_back(Event::Reply(RequestId(number), Err(error)));
        }
        self.expire_probes(now);
        if self.barrier.is_some_and(|(_, repeat_at)| now >= repeat_at) {
            self.send_barrier(now);
        }
        match self.phase {
            Phase::Booting { deadline } if now >= deadline => self.boot_timed_out(),
            Phase::Connecting { deadline, step, invalid_answers, .. } if now >= deadline => {
                let error = self.handshake_timeout(step, invalid_answers);
                self.connecting_failed(error);
            }
            Phase::Connecting { step, repeat_at, .. } if now >= repeat_at => {
                self.repeat_step(step, now);
            }
            Phase::Online if now >= self.health.due_at => self.check_health(now),
            Phase::Quitting { deadline, .. } if now >= deadline => self.quit_answered(now),
            Phase::LoggingOut { deadline } if now >= deadline => self.finish_connection(),
            Phase::AwaitingExit { kill_at: Some(kill_at), reason } if now >= kill_at => {
                self.set_phase(Phase::AwaitingExit { kill_at: None, reason });
                self.events.push_back(Event::Kill);
            }
            _ => {}
        }
    }

    fn boot_timed_out(&mut self) {
        let error = Error::new(
            ErrorKind::ServerCannotBoot,
            format!(
                "the server process was not ready within {:?} and was killed{}",
                self.timeouts.boot,
                self.printed_output()
            ),
        );
        self.event(LifecycleEvent::ProcessPanicked);
        self.fail_start(error);
        self.set_phase(Phase::AwaitingExit { kill_at: None, reason: ExitReason::BootFailed });
        self.events.push_back(Event::Kill);
    }

    fn repeat_step(&mut self, step: HandshakeStep, now: Duration) {
        if let Phase::Connecting { repeat_at, .. } = &mut self.phase {
            *repeat_at = now + REPEAT_INTERVAL;
        }
        // Part of a pipelined handshake was lost: continue step by step.
        self.pipelined = None;
        match step {
            HandshakeStep::Opening => {}
            HandshakeStep::Status => self.send(&[QueryStatus.into()]),
            _ => self.send(&self.handshake.clone()),
        }
    }

    fn check_health(&mut self, now: Duration) {
        let check = self.timeouts.health;
        if self.health.is_waiting {
            self.health.attempt += 1;
            if self.health.attempt >= check.attempts {
                self.lose_connection("it does not respond to health checks");
                return;
            }
        }
        self.health.is_waiting = true;
        self.health.due_at = now + check.attempt_timeout(self.health.attempt);
        self.send(&[QueryStatus.into()]);
    }
}
