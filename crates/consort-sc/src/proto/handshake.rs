//! The handshake: from an open socket to a complete connection.

use std::ops::Range;
use std::time::Duration;

use super::{
    Carrier, Connection, Event, GROUPS_SYNC_ID, HandshakeStep, Health, MAX_LOGINS, Phase,
    PipelinedHandshake, REPEAT_INTERVAL, TREE_SYNC_ID,
};
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::LifecycleEvent;
use crate::options::Protocol;
use crate::requests::{
    CompletionRequests, NewGroup, NewGroups, QueryTree, ReceiveSynthDef, Request, Sync,
    ToggleNotifications,
};
use crate::values::AddAction;

impl Connection {
    /// Sends the rest of the handshake right after `/status`. The tree is queried after the groups
    /// were created, so that the reply shows them; only SynthDefs need a `/sync` as well.
    pub(super) fn send_pipelined_handshake(&mut self) {
        let login = ToggleNotifications { should_notify: true, client_id: None };
        self.send(&[login.into()]);
        let mut requests = self.group_requests(0..self.state.options.maximum_logins);
        requests.push(QueryTree { id: 0, include_controls: false }.into());
        let is_synced = self.initial_synthdefs.is_empty();
        if !is_synced {
            requests.push(Sync { id: GROUPS_SYNC_ID }.into());
        }
        self.send(&requests);
        self.pipelined = Some(PipelinedHandshake { login: None, has_tree: false, is_synced });
    }

    /// Continues when all answers of the pipelined handshake have arrived, in whatever order.
    pub(super) fn check_pipelined_handshake(&mut self, now: Duration) -> Result<()> {
        let Some(PipelinedHandshake {
            login: Some((client_id, logins)),
            has_tree: true,
            is_synced: true,
        }) = self.pipelined
        else {
            return Ok(());
        };
        if self.status.is_none() {
            return Ok(());
        }
        self.pipelined = None;
        self.log_in(client_id, logins)?;
        // The server sends notifications only since the login. If other clients may have changed
        // the tree between the reply and the login, it is queried again.
        if self.state.maximum_logins == 1 && self.state.has_node(1) {
            self.connected(now);
        } else {
            self.query_root_tree(now);
        }
        Ok(())
    }

    pub(super) fn is_at_step(&self, wanted: HandshakeStep) -> bool {
        matches!(self.phase, Phase::Connecting { step, .. } if step == wanted)
    }

    /// Sends the requests of the next step and remembers them for repetition.
    fn enter_step(&mut self, next: HandshakeStep, now: Duration, requests: Vec<Request>) {
        if let Phase::Connecting { step, repeat_at, .. } = &mut self.phase {
            *step = next;
            *repeat_at = now + REPEAT_INTERVAL;
            self.send(&requests);
            self.handshake = requests;
        }
    }

    pub(super) fn logged_in(
        &mut self,
        client_id: i32,
        logins: Option<i32>,
        now: Duration,
    ) -> Result<()> {
        self.log_in(client_id, logins)?;
        self.query_root_tree(now);
        Ok(())
    }

    /// Takes the client id and divides the ids among `reported_logins` clients.
    fn log_in(&mut self, client_id: i32, reported_logins: Option<i32>) -> Result<()> {
        let client_id = u32::try_from(client_id).map_err(|_| {
            Error::new(
                ErrorKind::Protocol,
                format!("the server assigned the invalid client id {client_id}"),
            )
        })?;
        let logins = reported_logins
            .and_then(|logins| u32::try_from(logins).ok())
            .unwrap_or(self.state.options.maximum_logins)
            .max(client_id.saturating_add(1));
        if logins > MAX_LOGINS {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the server reports {logins} logins; expected at most {MAX_LOGINS}"),
            ));
        }
        self.reported_logins = reported_logins;
        self.state.log_in(client_id, logins)?;
        self.event(LifecycleEvent::OscConnected);
        Ok(())
    }

    fn query_root_tree(&mut self, now: Duration) {
        let requests = vec![
            QueryTree { id: 0, include_controls: false }.into(),
            Sync { id: TREE_SYNC_ID }.into(),
        ];
        self.enter_step(HandshakeStep::Tree, now, requests);
    }

    /// Requests for the default groups of these clients that are missing, and for an owner's
    /// SynthDefs.
    fn group_requests(&self, clients: Range<u32>) -> Vec<Request> {
        let groups: Vec<NewGroup> = clients
            .map(|client| client as i32 + 1)
            .filter(|id| !self.state.has_node(*id))
            .map(|id| NewGroup { id, add_action: AddAction::ToTail, target_id: 0 })
            .collect();
        let mut requests: Vec<Request> = Vec::new();
        if !groups.is_empty() {
            requests.push(NewGroups { parallel: false, groups }.into());
        }
        if self.is_owner {
            for bytes in &self.initial_synthdefs {
                let completion = CompletionRequests::default();
                requests.push(ReceiveSynthDef { bytes: bytes.clone(), completion }.into());
            }
        }
        requests
    }

    pub(super) fn make_groups(&mut self, now: Duration) {
        let clients = if self.is_owner {
            0..self.state.maximum_logins
        } else {
            self.state.client_id..self.state.client_id + 1
        };
        let mut requests = self.group_requests(clients);
        if requests.is_empty() {
            return self.connected(now);
        }
        requests.push(Sync { id: GROUPS_SYNC_ID }.into());
        self.enter_step(HandshakeStep::Groups, now, requests);
    }

    pub(super) fn connected(&mut self, now: Duration) {
        self.set_phase(Phase::Online);
        self.health = Health { due_at: now + self.timeouts.health.interval, ..Health::default() };
        self.handshake.clear();
        self.pipelined = None;
        self.event(LifecycleEvent::Connected);
        if self.is_owner {
            self.event(LifecycleEvent::Booted);
        }
        self.finish_start(true);
        if let Some(command) = self.start_command.take() {
            self.events.push_back(Event::Completed(command, Ok(())));
        }
    }

    /// The error when the handshake has not finished within its deadline.
    pub(super) fn handshake_timeout(&self, step: HandshakeStep, invalid_answers: u32) -> Error {
        let address = format!("{}:{}", self.state.options.ip_address, self.state.options.port);
        let timeout = self.timeouts.connect;
        let message = if invalid_answers > 0 {
            format!("the program at {address} is not a SuperCollider server")
        } else if self.carrier == Carrier::Server(Protocol::Tcp) && step == HandshakeStep::Status {
            format!(
                "{address} accepted the TCP connection but did not respond within {timeout:?}; it \
                 needs {} password, or is not a SuperCollider server",
                if self.state.options.password.is_some() { "another" } else { "a" }
            )
        } else {
            format!(
                "no response from {address} within {timeout:?}; check that a SuperCollider server \
                 runs there and responds"
            )
        };
        Error::new(ErrorKind::CannotConnect, message)
    }
}
