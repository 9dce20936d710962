//! From an open socket to a server that is ours to use.

use super::*;

impl Core {
    /// Follows `/status` with the rest of the handshake. The tree is asked for after the groups
    /// were made, so that its answer shows them; only SynthDefs need a `/sync` besides.
    pub(super) fn ask_at_once(&mut self) {
        let login = ToggleNotifications { should_notify: true, client_id: None };
        self.send(&[login.into()]);
        let mut requests = self.group_requests(0..self.options.maximum_logins);
        requests.push(QueryTree { id: 0, include_controls: false }.into());
        let synced = self.initial_synthdefs.is_empty();
        if !synced {
            requests.push(Sync { id: HANDSHAKE_GROUPS }.into());
        }
        self.send(&requests);
        self.at_once = Some(AtOnce { login: None, tree: false, synced });
    }

    /// An answer came while everything was asked for at once.
    pub(super) fn answered_at_once(&mut self, now: Duration) -> Result<()> {
        let Some(AtOnce { login: Some((client_id, logins)), tree: true, synced: true }) =
            self.at_once
        else {
            return Ok(());
        };
        if self.status.is_none() {
            return Ok(());
        }
        self.at_once = None;
        self.log_in(client_id, logins)?;
        // With other clients in view the tree is asked for again, now that the server tells of
        // changes: what they did between its answer and the login would be missed.
        if self.maximum_logins == 1 && self.context.has_node(1) {
            self.connected(now);
        } else {
            self.ask_tree(now);
        }
        Ok(())
    }

    pub(super) fn is_at(&self, wanted: Step) -> bool {
        matches!(self.phase, Phase::Connecting { step, .. } if step == wanted)
    }

    pub(super) fn go_to(&mut self, next: Step, now: Duration, requests: Vec<Request>) {
        if let Phase::Connecting { step, repeat, .. } = &mut self.phase {
            *step = next;
            *repeat = now + REPEAT;
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
        self.ask_tree(now);
        Ok(())
    }

    pub(super) fn log_in(&mut self, client_id: i32, told: Option<i32>) -> Result<()> {
        let client_id = u32::try_from(client_id).map_err(|_| {
            Error::new(ErrorKind::Protocol, format!("the server gave the client id {client_id}"))
        })?;
        let logins = told
            .and_then(|logins| u32::try_from(logins).ok())
            .unwrap_or(self.options.maximum_logins)
            .max(client_id.saturating_add(1));
        if logins > MAXIMUM_LOGINS {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the server says that {logins} clients may log in; {MAXIMUM_LOGINS} may"),
            ));
        }
        self.client_id = client_id;
        self.maximum_logins = logins;
        self.told_logins = told;
        self.context.log_in(client_id, logins)?;
        self.event(LifecycleEvent::OscConnected);
        Ok(())
    }

    pub(super) fn ask_tree(&mut self, now: Duration) {
        let requests = vec![
            QueryTree { id: 0, include_controls: false }.into(),
            Sync { id: HANDSHAKE_TREE }.into(),
        ];
        self.go_to(Step::Tree, now, requests);
    }

    /// The default groups of these clients that are not there, and an owner's SynthDefs.
    pub(super) fn group_requests(&self, clients: std::ops::Range<u32>) -> Vec<Request> {
        let groups: Vec<NewGroup> = clients
            .map(|client| client as i32 + 1)
            .filter(|id| !self.context.has_node(*id))
            .map(|id| NewGroup { id, add_action: AddAction::ToTail, target_id: 0 })
            .collect();
        let mut requests: Vec<Request> = Vec::new();
        if !groups.is_empty() {
            requests.push(NewGroups { parallel: false, groups }.into());
        }
        if self.owned {
            for bytes in &self.initial_synthdefs {
                requests.push(
                    ReceiveSynthDef { bytes: bytes.clone(), completion: Default::default() }.into(),
                );
            }
        }
        requests
    }

    pub(super) fn make_groups(&mut self, now: Duration) {
        let logins =
            if self.owned { 0..self.maximum_logins } else { self.client_id..self.client_id + 1 };
        let mut requests = self.group_requests(logins);
        if requests.is_empty() {
            // The tree shows every group already.
            return self.connected(now);
        }
        requests.push(Sync { id: HANDSHAKE_GROUPS }.into());
        self.go_to(Step::Groups, now, requests);
    }

    pub(super) fn connected(&mut self, now: Duration) {
        self.set_phase(Phase::Online);
        self.health = Health { at: now + self.timeouts.health.interval, ..Health::default() };
        self.handshake.clear();
        self.at_once = None;
        self.event(LifecycleEvent::Connected);
        if self.owned {
            self.event(LifecycleEvent::Booted);
        }
        if let Some(starting) = self.starting.take() {
            self.actions.push_back(Action::Complete(starting, Ok(())));
        }
    }

    pub(super) fn no_answer(&self, step: Step, other_answers: u32) -> Error {
        let at = format!("{}:{}", self.options.ip_address, self.options.port);
        let within = self.timeouts.connect;
        let message = if other_answers > 0 {
            format!("what answers at {at} is no SuperCollider server")
        } else if self.options.protocol == Protocol::Tcp && step == Step::Status {
            format!(
                "{at} accepts TCP but never answered within {within:?}; it wants {} password, or \
                 is no SuperCollider server",
                if self.options.password.is_some() { "another" } else { "a" }
            )
        } else {
            format!(
                "no answer from {at} within {within:?}; is it a SuperCollider server, and alive?"
            )
        };
        Error::new(ErrorKind::CannotConnect, message)
    }
}
