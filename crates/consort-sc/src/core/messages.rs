//! What the server says.

use super::*;

impl Core {
    /// Takes one message. `claimed` says that a callback took it as a failure it waited for.
    pub(crate) fn message(&mut self, message: &OscMessage, claimed: bool, now: Duration) {
        if let Err(error) = self.try_message(message, claimed, now) {
            tracing::warn!(%error, "a message of the server was not understood");
            self.garbage();
        }
    }

    pub(super) fn try_message(
        &mut self,
        message: &OscMessage,
        claimed: bool,
        now: Duration,
    ) -> Result<()> {
        match message.address.as_str() {
            "/status.reply" => {
                let status = StatusInfo::parse(message)?;
                self.status = Some(status);
                self.health.attempt = 0;
                self.health.refused = 0;
                if self.health.waiting {
                    self.health.waiting = false;
                    self.health.at = now + self.timeouts.health.interval;
                }
                self.pending.reply(message);
                if self.at_once.is_some() {
                    self.answered_at_once(now)?;
                } else if let Phase::Connecting { step: step @ Step::Status, repeat, .. } =
                    &mut self.phase
                {
                    *step = Step::Notify;
                    *repeat = now + REPEAT;
                    self.handshake =
                        vec![ToggleNotifications { should_notify: true, client_id: None }.into()];
                    self.send(&self.handshake.clone());
                } else {
                    self.doubt_identity(status.group_count);
                }
            }
            "/n_go" => {
                let info = NodeInfo::parse(message)?;
                let unsettled = self.context.node_started(&info);
                self.settle_if(unsettled, now);
                self.pending.reply(message);
            }
            "/n_end" => {
                let info = NodeInfo::parse(message)?;
                let unsettled = self.context.node_ended(&info);
                self.settle_if(unsettled, now);
                self.pending.reply(message);
            }
            "/n_move" => {
                let unsettled = self.context.node_moved(&NodeInfo::parse(message)?);
                self.settle_if(unsettled, now);
            }
            address @ ("/n_on" | "/n_off") => {
                let unsettled = self.context.node_paused(message.int(0)?, address == "/n_off");
                self.settle_if(unsettled, now);
            }
            "/done" => self.done(message, now)?,
            "/fail" => self.fail(message, claimed, now)?,
            "/g_queryTree.reply" => {
                if self.is_at(Step::Tree) || message.int(1)? == 0 {
                    let tree = QueryTreeGroup::parse(message)?;
                    if self.is_another(&tree) {
                        self.panic("another server is at its place");
                        return Ok(());
                    }
                    self.seed(&tree, None, now);
                }
                self.pending.reply(message);
                if message.int(1)? == 0 {
                    if let Some(at_once) = &mut self.at_once {
                        at_once.tree = true;
                        self.answered_at_once(now)?;
                    } else if self.is_at(Step::Tree) {
                        // The `/sync` is for a tree that does not fit into an answer.
                        self.make_groups(now);
                    }
                }
            }
            "/synced" => {
                let id = message.int(0)?;
                if let Some(first_waiting) = self.pace.synced(id) {
                    self.was_read(first_waiting, now);
                    return Ok(());
                }
                if self.settling.is_some_and(|(settling, _)| settling == id) {
                    self.settling = None;
                    self.context.settle();
                    return Ok(());
                }
                if id == HANDSHAKE_GROUPS
                    && let Some(at_once) = &mut self.at_once
                {
                    at_once.synced = true;
                    return self.answered_at_once(now);
                }
                match id {
                    HANDSHAKE_TREE if self.is_at(Step::Tree) => self.make_groups(now),
                    HANDSHAKE_GROUPS if self.is_at(Step::Groups) => self.connected(now),
                    _ => {
                        self.pending.reply(message);
                    }
                }
            }
            _ => {
                self.pending.reply(message);
            }
        }
        Ok(())
    }

    /// Seeds the mirror by the root's tree, which may be newer than notifications on their way.
    pub(crate) fn seed(&mut self, tree: &QueryTreeGroup, changes: Option<u64>, now: Duration) {
        if self.context.seed(tree, changes) {
            self.ask_to_settle(now);
        }
    }

    fn settle_if(&mut self, unsettled: bool, now: Duration) {
        if unsettled && self.settling.is_none() {
            self.ask_to_settle(now);
        }
    }

    /// What the server says before it answers this is all that is older than now.
    pub(super) fn ask_to_settle(&mut self, now: Duration) {
        let id = self.next_settle_id;
        self.next_settle_id = id.checked_sub(1).unwrap_or(FIRST_SETTLE_ID);
        self.settling = Some((id, now + REPEAT));
        self.send(&[Sync { id }.into()]);
    }

    pub(super) fn done(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        match message.text(0)? {
            "/notify" => {
                if let Some(at_once) = &mut self.at_once {
                    at_once.login = Some((message.int(1)?, message.int(2).ok()));
                    self.answered_at_once(now)?;
                } else if self.is_at(Step::Notify) {
                    let client_id = message.int(1)?;
                    // supernova does not say how many may log in.
                    let logins = message.int(2).ok();
                    self.logged_in(client_id, logins, now)?;
                } else if matches!(self.phase, Phase::LoggingOut { .. }) {
                    self.finish_connection();
                }
            }
            "/quit" => self.quit_answered(now),
            command @ ("/b_alloc" | "/b_allocRead" | "/b_allocReadChannel") => {
                let _ = command;
                self.context.buffer_allocated(message.int(1)?);
            }
            "/b_free" => self.context.buffer_freed(message.int(1)?),
            _ => {}
        }
        self.pending.reply(message);
        Ok(())
    }

    pub(super) fn fail(
        &mut self,
        message: &OscMessage,
        claimed: bool,
        now: Duration,
    ) -> Result<()> {
        let fail = FailInfo::parse(message)?;
        if fail.command == "/notify" && (self.is_at(Step::Notify) || self.at_once.is_some()) {
            if fail.reason.contains("already registered") {
                // This very socket is logged in: an answer was lost and the request repeated, or the
                // connection was lost and is made again.
                let client_id = fail.other.first().and_then(consort_osc::OscValue::as_i32);
                if self.options.protocol == Protocol::Tcp {
                    self.actions.push_back(Action::Warn(
                        "the server cannot tell its TCP clients apart (scsynth 3.13 cannot): this \
                         client shares the login, the ids and the notifications of another; use \
                         UDP for several clients"
                            .to_owned(),
                    ));
                }
                let client_id = client_id.unwrap_or(0);
                let logins = self.told_logins;
                if let Some(at_once) = &mut self.at_once {
                    at_once.login = Some((client_id, logins));
                    return self.answered_at_once(now);
                }
                return self.logged_in(client_id, logins, now);
            }
            let error = Error::new(
                ErrorKind::TooManyClients,
                format!(
                    "the server at {}:{} takes no more clients ({}); disconnect one, or start it \
                     with more maximum_logins",
                    self.options.ip_address, self.options.port, fail.reason
                ),
            );
            self.connecting_failed(error);
            return Ok(());
        }
        if fail.command == "/notify" && matches!(self.phase, Phase::LoggingOut { .. }) {
            self.finish_connection();
            return Ok(());
        }
        if matches!(self.phase, Phase::Connecting { .. }) && fail.command == "/g_new" {
            // Another client made the group first.
            return Ok(());
        }
        // The second answer to a login that was repeated.
        let repeated = fail.command == "/notify" && fail.reason.contains("already registered");
        if !self.pending.fail(&fail) && !claimed && !repeated {
            self.actions.push_back(Action::Fail(fail));
        }
        Ok(())
    }
}
