//! How a connection fails, and how it is closed.

use std::time::Duration;

use super::{
    Connection, Event, ExitReason, HandshakeStep, Health, IdentityCheck, MAX_IDENTITY_QUERIES,
    Phase, QuitReason, RequestId,
};
use crate::error::{Error, ErrorKind};
use crate::lifecycle::LifecycleEvent;
use crate::requests::{QueryStatus, QueryTree};
use crate::tree::QueryTreeGroup;

/// How soon `/status` is sent again to an owned server whose port is not open yet.
const PORT_CLOSED_REPEAT: Duration = Duration::from_millis(50);
/// How soon an established connection is checked again after its port was found closed.
const REFUSAL_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How often in a row the port may be found closed before the connection counts as lost. A single
/// refusal may be due to a datagram that was sent before the server started.
const MAX_REFUSALS: u32 = 3;

impl Connection {
    /// Input: the socket is open, which answers [`Event::Open`].
    pub fn socket_opened(&mut self, now: Duration) {
        if let Phase::Connecting { step: step @ HandshakeStep::Opening, repeat_at, .. } =
            &mut self.phase
        {
            *step = HandshakeStep::Status;
            *repeat_at = now + self.timeouts.health.timeout;
            self.health = Health::default();
            self.send(&[QueryStatus.into()]);
            if self.is_owner {
                self.send_pipelined_handshake();
            }
        }
    }

    /// Input: the socket cannot be opened, or failed later.
    pub fn socket_failed(&mut self, error: &Error) {
        match self.phase {
            Phase::Connecting { .. } => self.connecting_failed(error.clone()),
            Phase::Online => self.lose_connection(&error.to_string()),
            _ => {}
        }
    }

    /// Input: the server's port is closed.
    pub fn socket_refused(&mut self, now: Duration) {
        match &mut self.phase {
            Phase::Connecting { step: HandshakeStep::Status, repeat_at, .. } if self.is_owner => {
                *repeat_at = now + PORT_CLOSED_REPEAT;
            }
            Phase::Connecting { .. } => {
                let error = Error::new(
                    ErrorKind::CannotConnect,
                    format!(
                        "no server is listening at {}:{}; start one there, or boot one",
                        self.state.options.ip_address, self.state.options.port
                    ),
                );
                self.connecting_failed(error);
            }
            Phase::Online => {
                self.health.refusals += 1;
                if self.health.refusals >= MAX_REFUSALS {
                    self.lose_connection("its port is closed");
                } else {
                    self.health.is_waiting = false;
                    self.health.due_at = now + REFUSAL_CHECK_INTERVAL;
                }
            }
            Phase::Quitting { .. } => self.quit_answered(now),
            Phase::LoggingOut { .. } => self.finish_connection(),
            _ => {}
        }
    }

    /// Input: the server closed a TCP connection, which is its answer to `/quit` and to a log-out.
    pub fn socket_closed_by_server(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Quitting { .. } | Phase::LoggingOut { .. }) {
            self.socket_refused(now);
        }
    }

    /// A packet is not OSC, or not what a server sends.
    pub(super) fn invalid_packet(&mut self) {
        if let Phase::Connecting { invalid_answers, .. } = &mut self.phase {
            *invalid_answers += 1;
        }
    }

    /// The start has failed. Its caller gets `error` once the connection is offline.
    pub(super) fn fail_start(&mut self, error: Error) {
        self.start_error = Some(error);
    }

    pub(super) fn go_offline(&mut self, reason: &str) {
        let error =
            Error::new(ErrorKind::ServerOffline, format!("{reason} before the reply arrived"));
        self.pipelined = None;
        self.end_waits(&error);
        self.send_window.clear();
        self.barrier = None;
        self.set_phase(Phase::Offline);
        self.state.end();
        self.is_owner = false;
        self.status = None;
        self.end_life();
        let error = self.start_error.take().unwrap_or(error);
        if let Some(command) = self.start_command.take() {
            self.failed_start = Some((command, error));
        }
    }

    /// Ends everything that waits for the server.
    pub(super) fn end_waits(&mut self, error: &Error) {
        for number in self.pending.clear() {
            self.events.push_back(Event::Reply(RequestId(number), Err(error.clone())));
        }
        self.clear_probes(error);
    }

    pub(super) fn connecting_failed(&mut self, error: Error) {
        if error.kind() != ErrorKind::TooManyClients {
            self.event(LifecycleEvent::OscPanicked);
        }
        self.event(LifecycleEvent::Disconnecting);
        self.close();
        self.event(LifecycleEvent::Disconnected);
        self.life.note_failure();
        self.fail_start(error);
        self.after_loss();
    }

    fn after_loss(&mut self) {
        self.pipelined = None;
        if self.is_owner && self.has_process {
            // The connection is offline only when the process has exited: a process that is merely
            // stopped would keep the port.
            let error = Error::new(ErrorKind::ServerOffline, "the connection was lost");
            self.end_waits(&error);
            self.set_phase(Phase::AwaitingExit { kill_at: None, reason: ExitReason::Lost });
            self.events.push_back(Event::Kill);
        } else {
            let was_owner = self.is_owner;
            self.go_offline("the connection was lost");
            if was_owner {
                self.event(LifecycleEvent::Quit);
            }
        }
    }

    /// An established connection is lost.
    pub(super) fn lose_connection(&mut self, reason: &str) {
        tracing::warn!(reason, "lost the connection to the server");
        self.event(LifecycleEvent::OscPanicked);
        self.event(LifecycleEvent::Disconnecting);
        self.close();
        self.event(LifecycleEvent::Disconnected);
        self.after_loss();
    }

    /// Compares the number of groups that a joined server reports with the mirror. If it is lower
    /// twice, without a notification in between, the server's tree is queried.
    pub(super) fn check_identity(&mut self, group_count: i32) {
        if self.is_owner || !matches!(self.phase, Phase::Online) {
            return;
        }
        let (groups, changes) = self.state.mirrored_groups();
        if usize::try_from(group_count).is_ok_and(|count| count >= groups) {
            self.identity_check = IdentityCheck::None;
            return;
        }
        self.identity_check = match self.identity_check {
            IdentityCheck::Suspected(suspected) if suspected == changes => {
                IdentityCheck::Queried(1)
            }
            IdentityCheck::Queried(queries @ ..MAX_IDENTITY_QUERIES) => {
                IdentityCheck::Queried(queries + 1)
            }
            IdentityCheck::Queried(_) => return,
            IdentityCheck::None | IdentityCheck::Suspected(_) => {
                self.identity_check = IdentityCheck::Suspected(changes);
                return;
            }
        };
        self.send(&[QueryTree { id: 0, include_controls: false }.into()]);
    }

    /// Whether the tree that was queried for the identity check lacks this client's own group,
    /// although no notification announced the group's end.
    pub(super) fn is_another_server(&mut self, tree: &QueryTreeGroup) -> bool {
        let is_suspected =
            matches!(std::mem::take(&mut self.identity_check), IdentityCheck::Queried(_));
        let own_group = self.state.client_id as i32 + 1;
        is_suspected
            && matches!(self.phase, Phase::Online)
            && self.state.has_node(own_group)
            && !tree.walk().iter().any(|(_, node)| node.id() == own_group)
    }

    /// Closes the connection in good order, after `/quit` or a log-out.
    pub(super) fn finish_connection(&mut self) {
        let reason = match self.phase {
            Phase::Quitting { reason, .. } => {
                self.event(LifecycleEvent::Disconnecting);
                reason
            }
            _ => QuitReason::LogOut,
        };
        self.close();
        self.event(LifecycleEvent::OscDisconnected);
        self.event(LifecycleEvent::Disconnected);
        match reason {
            QuitReason::LogOut | QuitReason::Forced => {
                self.go_offline("the connection was closed");
                if reason == QuitReason::Forced {
                    self.event(LifecycleEvent::Quit);
                }
                self.complete_end();
            }
            // The process has still to exit.
            QuitReason::Owner => {}
        }
    }

    pub(super) fn quit_answered(&mut self, now: Duration) {
        let Phase::Quitting { reason, .. } = self.phase else { return };
        self.finish_connection();
        if reason == QuitReason::Owner {
            if self.has_process {
                let kill_at = Some(now + self.timeouts.exit);
                self.set_phase(Phase::AwaitingExit { kill_at, reason: ExitReason::Quit });
            } else {
                self.finish_exit(ExitReason::Quit);
            }
        }
    }

    /// Gives the caller of `disconnect` or `quit` its result.
    pub(super) fn complete_end(&mut self) {
        if let Some(command) = self.end_command.take() {
            self.events.push_back(Event::Completed(command, Ok(())));
        }
    }
}
