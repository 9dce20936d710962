//! Messages from the server: replies, notifications and failures.

use std::time::Duration;

use consort_osc::{OscMessage, OscValue, Packet};

use super::{
    Carrier, Connection, Event, FIRST_BARRIER_ID, GROUPS_SYNC_ID, HandshakeStep, Phase,
    REPEAT_INTERVAL, RequestId, TREE_SYNC_ID,
};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Protocol;
use crate::queries::{FailInfo, NodeInfo, StatusInfo};
use crate::requests::{Sync, ToggleNotifications};
use crate::tree::QueryTreeGroup;
use crate::wire::{Arguments, REPLY_LIMITS};

impl Connection {
    /// Input: a packet arrived. Each of its messages becomes an [`Event::Message`], and what it leads
    /// to follows. A packet that is not OSC is logged and ignored.
    pub fn handle_packet(&mut self, packet: &[u8], now: Duration) {
        match Packet::decode_with(packet, &REPLY_LIMITS) {
            Ok(packet) => {
                packet.messages().for_each(|message| self.message(message.into(), now));
            }
            Err(error) => {
                let length = packet.len();
                tracing::warn!(%error, length, "received a packet that is not valid OSC");
                self.invalid_packet();
            }
        }
    }

    /// Processes one message.
    pub(super) fn message(&mut self, message: OscMessage, now: Duration) {
        let index = self.events.len();
        if let Err(error) = self.try_message(&message, now) {
            tracing::warn!(%error, "cannot process a message from the server");
            self.invalid_packet();
        }
        self.events.insert(index, Event::Message(message));
    }

    /// Gives a reply to the first request that waits for it.
    fn give_reply(&mut self, message: &OscMessage) {
        if let Some(number) = self.pending.reply(message) {
            self.events.push_back(Event::Reply(RequestId(number), Ok(message.clone())));
        }
    }

    fn try_message(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        match message.address.as_str() {
            "/status.reply" => self.status_reply(message, now),
            "/n_go" => self.node_started(message, now),
            "/n_end" => self.node_ended(message, now),
            "/n_move" => self.node_moved(message, now),
            "/n_on" => self.node_running(message, true, now),
            "/n_off" => self.node_running(message, false, now),
            "/done" => self.done(message, now),
            "/fail" => self.fail(message, now),
            "/g_queryTree.reply" => self.tree_reply(message, now),
            "/synced" => self.synced(message, now),
            _ => {
                self.give_reply(message);
                Ok(())
            }
        }
    }

    /// `/status.reply` answers health checks, callers, and the first step of the handshake.
    fn status_reply(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let status = StatusInfo::parse(message)?;
        self.status = Some(status);
        self.sample_clock.measure(&status, now);
        self.health.attempt = 0;
        self.health.refusals = 0;
        if self.health.is_waiting {
            self.health.is_waiting = false;
            self.health.due_at = now + self.timeouts.health.interval;
        }
        self.give_reply(message);
        if self.pipelined.is_some() {
            return self.check_pipelined_handshake(now);
        }
        if let Phase::Connecting { step: step @ HandshakeStep::Status, repeat_at, .. } =
            &mut self.phase
        {
            *step = HandshakeStep::Notify;
            *repeat_at = now + REPEAT_INTERVAL;
            self.handshake =
                vec![ToggleNotifications { should_notify: true, client_id: None }.into()];
            self.send(&self.handshake.clone());
        } else {
            self.check_identity(status.group_count);
        }
        Ok(())
    }

    fn node_started(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let info = NodeInfo::parse(message)?;
        let needs_barrier = self.state.node_started(&info);
        self.send_barrier_if(needs_barrier, now);
        self.give_reply(message);
        Ok(())
    }

    fn node_ended(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let info = NodeInfo::parse(message)?;
        let needs_barrier = self.state.node_ended(&info);
        self.send_barrier_if(needs_barrier, now);
        self.give_reply(message);
        Ok(())
    }

    fn node_moved(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let needs_barrier = self.state.node_moved(&NodeInfo::parse(message)?);
        self.send_barrier_if(needs_barrier, now);
        Ok(())
    }

    fn node_running(
        &mut self,
        message: &OscMessage,
        is_running: bool,
        now: Duration,
    ) -> Result<()> {
        let needs_barrier = self.state.node_paused(message.int(0)?, !is_running);
        self.send_barrier_if(needs_barrier, now);
        Ok(())
    }

    /// `/g_queryTree.reply`: a tree of the root seeds the mirror, shows whether the server is still
    /// the same, and is a step of the handshake.
    fn tree_reply(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        if self.is_at_step(HandshakeStep::Tree) || message.int(1)? == 0 {
            let tree = QueryTreeGroup::parse(message)?;
            if self.is_another_server(&tree) {
                self.lose_connection("another server has started at its address");
                return Ok(());
            }
            self.seed(&tree, None, now);
        }
        self.give_reply(message);
        if message.int(1)? == 0 {
            if let Some(pipelined) = &mut self.pipelined {
                pipelined.has_tree = true;
                self.check_pipelined_handshake(now)?;
            } else if self.is_at_step(HandshakeStep::Tree) {
                // The `/sync` of this step is for trees that do not fit into a reply.
                self.make_groups(now);
            }
        }
        Ok(())
    }

    /// `/synced`: the id identifies the sender of the `/sync`: the send window, the barrier, the
    /// handshake or a caller.
    fn synced(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let id = message.int(0)?;
        if let Some(first_waiting) = self.send_window.synced(id) {
            self.window_read(first_waiting, now);
            return Ok(());
        }
        if self.probe_synced(id) {
            return Ok(());
        }
        if self.barrier.is_some_and(|(barrier, _)| barrier == id) {
            self.barrier = None;
            self.state.reconcile();
            return Ok(());
        }
        if id == GROUPS_SYNC_ID
            && let Some(pipelined) = &mut self.pipelined
        {
            pipelined.is_synced = true;
            return self.check_pipelined_handshake(now);
        }
        match id {
            TREE_SYNC_ID if self.is_at_step(HandshakeStep::Tree) => self.make_groups(now),
            GROUPS_SYNC_ID if self.is_at_step(HandshakeStep::Groups) => self.connected(now),
            _ => {
                self.give_reply(message);
            }
        }
        Ok(())
    }

    /// Seeds the mirror with the root's tree, which may be newer than notifications on their way.
    /// `changes` is the mirror's change number when a tree that was assembled from several replies
    /// was begun; if notifications arrived since then, the tree is not used.
    pub(crate) fn seed(&mut self, tree: &QueryTreeGroup, changes: Option<u64>, now: Duration) {
        if self.state.seed(tree, changes) {
            self.send_barrier(now);
        }
    }

    fn send_barrier_if(&mut self, needs_barrier: bool, now: Duration) {
        if needs_barrier && self.barrier.is_none() {
            self.send_barrier(now);
        }
    }

    /// Sends a `/sync` for the mirror. Every notification that the server sends before it answers
    /// is older than the answer.
    pub(super) fn send_barrier(&mut self, now: Duration) {
        let id = self.next_barrier_id;
        self.next_barrier_id = id.checked_sub(1).unwrap_or(FIRST_BARRIER_ID);
        self.barrier = Some((id, now + REPEAT_INTERVAL));
        self.send(&[Sync { id }.into()]);
    }

    /// `/done`: an asynchronous command has finished.
    fn done(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        match message.text(0)? {
            "/notify" => {
                if let Some(pipelined) = &mut self.pipelined {
                    pipelined.login = Some((message.int(1)?, message.int(2).ok()));
                    self.check_pipelined_handshake(now)?;
                } else if self.is_at_step(HandshakeStep::Notify) {
                    let client_id = message.int(1)?;
                    // supernova does not report the number of logins.
                    let logins = message.int(2).ok();
                    self.logged_in(client_id, logins, now)?;
                } else if matches!(self.phase, Phase::LoggingOut { .. }) {
                    self.finish_connection();
                }
            }
            "/quit" => self.quit_answered(now),
            "/b_alloc" | "/b_allocRead" | "/b_allocReadChannel" => {
                self.state.buffer_allocated(message.int(1)?);
            }
            "/b_free" => self.state.buffer_freed(message.int(1)?),
            _ => {}
        }
        self.give_reply(message);
        Ok(())
    }

    /// `/fail`: the server rejected a request.
    fn fail(&mut self, message: &OscMessage, now: Duration) -> Result<()> {
        let fail = FailInfo::parse(message)?;
        let is_login = fail.command == "/notify";
        if is_login && (self.is_at_step(HandshakeStep::Notify) || self.pipelined.is_some()) {
            return self.login_rejected(&fail, now);
        }
        if is_login && matches!(self.phase, Phase::LoggingOut { .. }) {
            self.finish_connection();
            return Ok(());
        }
        if matches!(self.phase, Phase::Connecting { .. }) && fail.command == "/g_new" {
            // Another client has created the group in the meantime.
            return Ok(());
        }
        // The second answer to a login that was repeated is not a failure.
        let is_repeated = is_login && is_already_registered(&fail);
        if self.is_failure_of_probe(&fail) {
            return Ok(());
        }
        if let Some((number, error)) = self.pending.fail(&fail) {
            self.events.push_back(Event::Reply(RequestId(number), Err(error)));
            return Ok(());
        }
        if is_repeated {
            return Ok(());
        }
        self.events.push_back(Event::Fail(fail));
        Ok(())
    }

    /// The server rejected the login. If it did so because this socket is logged in already, the
    /// handshake continues.
    fn login_rejected(&mut self, fail: &FailInfo, now: Duration) -> Result<()> {
        if !is_already_registered(fail) {
            let error = Error::new(
                ErrorKind::TooManyClients,
                format!(
                    "the server at {}:{} accepts no more clients ({}); disconnect another \
                     client, or start the server with a higher maximum_logins",
                    self.state.options.ip_address, self.state.options.port, fail.reason
                ),
            );
            self.connecting_failed(error);
            return Ok(());
        }
        // Either an answer was lost and the request repeated, or the connection was lost and is
        // being established again.
        if self.carrier == Carrier::Server(Protocol::Tcp) {
            self.events.push_back(Event::Warning(
                "the server cannot distinguish its TCP clients (a limitation of scsynth 3.13): \
                 this client shares login, ids and notifications with another; use UDP for \
                 several clients"
                    .to_owned(),
            ));
        }
        let client_id = fail.other.first().and_then(OscValue::as_i32).unwrap_or(0);
        let logins = self.reported_logins;
        if let Some(pipelined) = &mut self.pipelined {
            pipelined.login = Some((client_id, logins));
            return self.check_pipelined_handshake(now);
        }
        self.logged_in(client_id, logins, now)
    }
}

/// Whether a login failed because this client's socket is logged in already.
fn is_already_registered(fail: &FailInfo) -> bool {
    fail.reason.contains("already registered")
}
