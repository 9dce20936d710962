//! The passing of time: deadlines, repetitions, health checks.

use super::*;

impl Core {
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Offline => None,
            Phase::Booting { deadline }
            | Phase::Quitting { deadline, .. }
            | Phase::LoggingOut { deadline } => Some(deadline),
            Phase::Connecting { deadline, repeat, .. } => Some(deadline.min(repeat)),
            Phase::Online => Some(self.health.at),
            Phase::Ending { kill_at, .. } => kill_at,
        };
        let settling = self.settling.map(|(_, repeat)| repeat);
        [phase, self.pending.next_deadline(), self.pace.next_deadline(), settling]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn tick(&mut self, now: Duration) {
        self.pending.expire(now);
        if self.settling.is_some_and(|(_, repeat)| now >= repeat) {
            self.ask_to_settle(now);
        }
        match self.phase {
            Phase::Booting { deadline } if now >= deadline => {
                let error = Error::new(
                    ErrorKind::ServerCannotBoot,
                    format!(
                        "the server process was not ready within {:?} and was killed.{}",
                        self.timeouts.boot,
                        self.process_text()
                    ),
                );
                self.event(LifecycleEvent::ProcessPanicked);
                self.end_start(error);
                self.set_phase(Phase::Ending { kill_at: None, why: Why::BootFailed });
                self.actions.push_back(Action::Kill);
            }
            Phase::Connecting { deadline, step, other_answers, .. } if now >= deadline => {
                let error = self.no_answer(step, other_answers);
                self.connecting_failed(error);
            }
            Phase::Connecting { step, repeat, .. } if now >= repeat => {
                if let Phase::Connecting { repeat, .. } = &mut self.phase {
                    *repeat = now + REPEAT;
                }
                // Whatever was lost of what was asked for at once: now step by step.
                self.at_once = None;
                match step {
                    Step::Opening => {}
                    Step::Status => self.send(&[QueryStatus.into()]),
                    _ => self.send(&self.handshake.clone()),
                }
            }
            Phase::Online if now >= self.health.at => self.check_health(now),
            Phase::Quitting { deadline, .. } if now >= deadline => self.quit_answered(now),
            Phase::LoggingOut { deadline } if now >= deadline => self.finish_connection(),
            Phase::Ending { kill_at: Some(kill_at), why } if now >= kill_at => {
                self.set_phase(Phase::Ending { kill_at: None, why });
                self.actions.push_back(Action::Kill);
            }
            _ => {}
        }
    }

    pub(super) fn check_health(&mut self, now: Duration) {
        let check = self.timeouts.health;
        if self.health.waiting {
            self.health.attempt += 1;
            if self.health.attempt >= check.attempts {
                self.panic("no answer to health checks");
                return;
            }
        }
        self.health.waiting = true;
        self.health.at = now + check.patience(self.health.attempt);
        self.send(&[QueryStatus.into()]);
    }
}
