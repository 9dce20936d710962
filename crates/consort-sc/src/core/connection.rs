//! The connection: how it fails, and how it ends.

use super::*;

impl Core {
    pub(crate) fn socket_opened(&mut self, now: Duration) {
        if let Phase::Connecting { step: step @ Step::Opening, repeat, .. } = &mut self.phase {
            *step = Step::Status;
            *repeat = now + self.timeouts.health.timeout;
            self.health = Health::default();
            self.send(&[QueryStatus.into()]);
            if self.owned {
                self.ask_at_once();
            }
        }
    }

    pub(crate) fn socket_failed(&mut self, error: &Error) {
        match self.phase {
            Phase::Connecting { .. } => self.connecting_failed(error.clone()),
            Phase::Online => self.panic(&error.to_string()),
            _ => {}
        }
    }

    /// The port is closed: nothing listens there.
    pub(crate) fn socket_refused(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::Connecting { step: Step::Status, repeat, .. } if self.owned => {
                *repeat = now + Duration::from_millis(50);
            }
            Phase::Connecting { .. } => {
                let error = Error::new(
                    ErrorKind::CannotConnect,
                    format!(
                        "nothing listens at {}:{}; start a server there, or boot one",
                        self.options.ip_address, self.options.port
                    ),
                );
                self.connecting_failed(error);
            }
            Phase::Online => {
                self.health.refused += 1;
                if self.health.refused >= 3 {
                    self.panic("the port was closed");
                } else {
                    self.health.waiting = false;
                    self.health.at = now + Duration::from_millis(100);
                }
            }
            Phase::Quitting { .. } => self.quit_answered(now),
            Phase::LoggingOut { .. } => self.finish_connection(),
            _ => {}
        }
    }

    /// The server closed a TCP connection: its answer to `/quit` and to a log-out.
    pub(crate) fn socket_refused_by_quit(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Quitting { .. } | Phase::LoggingOut { .. }) {
            self.socket_refused(now);
        }
    }

    /// A packet that is no OSC.
    pub(crate) fn garbage(&mut self) {
        if let Phase::Connecting { other_answers, .. } = &mut self.phase {
            *other_answers += 1;
        }
    }

    /// Whoever waits for the start gets `error`, once everything is cleaned up.
    pub(super) fn end_start(&mut self, error: Error) {
        self.start_error = Some(error);
    }

    pub(super) fn go_offline(&mut self, why: &str) {
        let error = Error::new(ErrorKind::ServerOffline, format!("{why} before it answered"));
        self.at_once = None;
        self.pending.clear(&error);
        self.pace.clear();
        self.settling = None;
        self.set_phase(Phase::Offline);
        self.context.end();
        self.owned = false;
        self.status = None;
        if let (Some(starting), Some(error)) = (self.starting.take(), self.start_error.take()) {
            self.start_outcome = Some((starting, error));
        }
    }

    pub(super) fn connecting_failed(&mut self, error: Error) {
        let too_many = error.kind() == ErrorKind::TooManyClients;
        if !too_many {
            self.event(LifecycleEvent::OscPanicked);
        }
        self.event(LifecycleEvent::Disconnecting);
        self.close();
        self.event(LifecycleEvent::Disconnected);
        self.end_start(error);
        self.after_loss();
    }

    pub(super) fn after_loss(&mut self) {
        self.at_once = None;
        if self.owned && self.has_process {
            // Only its end completes the loss: a stopped process would keep the port.
            let error = Error::new(ErrorKind::ServerOffline, "the connection was lost");
            self.pending.clear(&error);
            self.set_phase(Phase::Ending { kill_at: None, why: Why::Lost });
            self.actions.push_back(Action::Kill);
        } else {
            let owned = self.owned;
            self.go_offline("the connection was lost");
            if owned {
                self.event(LifecycleEvent::Quit);
            }
        }
    }

    pub(super) fn panic(&mut self, why: &str) {
        tracing::warn!(why, "the server is lost");
        self.event(LifecycleEvent::OscPanicked);
        self.event(LifecycleEvent::Disconnecting);
        self.close();
        self.event(LifecycleEvent::Disconnected);
        self.after_loss();
    }

    /// A server that this client joined says how many groups it has. With fewer than are known,
    /// twice and with nothing told between, its tree is asked for.
    pub(super) fn doubt_identity(&mut self, group_count: i32) {
        if self.owned || !matches!(self.phase, Phase::Online) {
            return;
        }
        let (groups, changes) = self.context.mirrored_groups();
        if usize::try_from(group_count).is_ok_and(|count| count >= groups) {
            self.doubt = Doubt::None;
            return;
        }
        self.doubt = match self.doubt {
            Doubt::Noticed(at) if at == changes => Doubt::Asked(1),
            Doubt::Asked(times @ ..DOUBTS) => Doubt::Asked(times + 1),
            Doubt::Asked(_) => return,
            Doubt::None | Doubt::Noticed(_) => {
                self.doubt = Doubt::Noticed(changes);
                return;
            }
        };
        self.send(&[QueryTree { id: 0, include_controls: false }.into()]);
    }

    /// Whether a doubtful server's tree lacks this client's own group, of whose end nothing was
    /// told.
    pub(super) fn is_another(&mut self, tree: &QueryTreeGroup) -> bool {
        let is_doubtful = matches!(std::mem::take(&mut self.doubt), Doubt::Asked(_));
        let own = self.client_id as i32 + 1;
        is_doubtful
            && matches!(self.phase, Phase::Online)
            && self.context.has_node(own)
            && !tree.walk().iter().any(|(_, node)| node.id() == own)
    }

    /// After `/quit` or a log-out: the connection ends in good order.
    pub(super) fn finish_connection(&mut self) {
        let after = match self.phase {
            Phase::Quitting { after, .. } => {
                self.event(LifecycleEvent::Disconnecting);
                after
            }
            _ => After::Nothing,
        };
        self.close();
        self.event(LifecycleEvent::OscDisconnected);
        self.event(LifecycleEvent::Disconnected);
        match after {
            After::Nothing | After::UnownedQuit => {
                self.go_offline("the connection was ended");
                if after == After::UnownedQuit {
                    self.event(LifecycleEvent::Quit);
                }
                if let Some(ending) = self.ending.take() {
                    self.actions.push_back(Action::Complete(ending, Ok(())));
                }
            }
            After::Quit => {}
        }
    }

    pub(super) fn quit_answered(&mut self, now: Duration) {
        let Phase::Quitting { after, .. } = self.phase else { return };
        self.finish_connection();
        if after == After::Quit {
            if self.has_process {
                let kill_at = Some(now + self.timeouts.exit);
                self.set_phase(Phase::Ending { kill_at, why: Why::Quit });
            } else {
                self.process_gone(Why::Quit);
            }
        }
    }
}
