//! Probes: which SynthDefs does the server have?
//!
//! A probe starts each SynthDef in a group that does not exist. The server looks for the SynthDef
//! first: it answers "Group ID not found" if it has it, and "SynthDef not found" otherwise. Nothing is
//! started and no memory is used. A `/sync` in the same bundle shows that all answers have arrived.

use std::time::Duration;

use super::{CommandId, Connection, Event};
use crate::error::{Error, ErrorKind, Result};
use crate::queries::FailInfo;
use crate::requests::{NewSynth, Request, Sync};
use crate::values::AddAction;

/// The sync id of the first probe; those of later ones are below it.
pub(super) const FIRST_PROBE_ID: i32 = -100_000_000;
/// The sync id after the last probe, below which the ids start again.
const LAST_PROBE_ID: i32 = -900_000_000;
/// How long the server may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// The highest node id of a client, without the client id.
const MAX_NODE_ID: u32 = 0x03FF_FFFF;
/// How many ids the groups of probes use.
const GROUP_IDS: u32 = 4_096;
/// How many failures that may belong to a probe are held until it has ended.
const MAX_HELD_FAILURES: usize = 1_024;

/// A probe in flight.
#[derive(Debug)]
pub(super) struct Probe {
    sync_id: i32,
    /// For each SynthDef, the id of the group that does not exist, and whether the server has the
    /// SynthDef.
    entries: Vec<(i32, bool)>,
    command: CommandId,
    deadline: Duration,
}

/// All probes in flight, and the failures that arrived meanwhile.
#[derive(Debug)]
pub(super) struct Probes {
    running: Vec<Probe>,
    next_sync_id: i32,
    next_group: u32,
    /// Failures without an id: those of the probes, and perhaps others.
    held: Vec<FailInfo>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { running: Vec::new(), next_sync_id: FIRST_PROBE_ID, next_group: 0, held: Vec::new() }
    }
}

impl Probes {
    /// The id of a group that does not exist: at the upper end of this client's ids, which count up
    /// from 1000.
    fn next_group_id(&mut self, client_id: u32) -> i32 {
        self.next_group = (self.next_group + 1) % GROUP_IDS;
        (client_id << 26 | (MAX_NODE_ID - self.next_group)) as i32
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.running.iter().map(|probe| probe.deadline).min()
    }
}

impl Connection {
    /// Asks the server which of these SynthDefs it has. The server must have loaded them already,
    /// which the caller finds out with a `/sync`. The answer is an [`Event::Probed`].
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`].
    pub fn probe(&mut self, names: &[String], now: Duration) -> Result<CommandId> {
        self.check_connected()?;
        let sync_id = self.probes.next_sync_id;
        self.probes.next_sync_id =
            if sync_id <= LAST_PROBE_ID { FIRST_PROBE_ID } else { sync_id - 1 };
        let mut entries = Vec::with_capacity(names.len());
        let mut requests: Vec<Request> = Vec::with_capacity(names.len() + 1);
        for name in names {
            let id = self.probes.next_group_id(self.state.client_id);
            entries.push((id, false));
            requests.push(
                NewSynth {
                    synthdef: name.clone(),
                    id,
                    add_action: AddAction::ToTail,
                    target_id: id,
                    settings: Vec::new(),
                }
                .into(),
            );
        }
        requests.push(Sync { id: sync_id }.into());
        let command = self.new_command();
        let deadline = now + PROBE_TIMEOUT;
        self.probes.running.push(Probe { sync_id, entries, command, deadline });
        self.send(&requests);
        Ok(command)
    }

    /// Whether a failure belongs to a probe, or may belong to one and is held.
    pub(super) fn is_failure_of_probe(&mut self, fail: &FailInfo) -> bool {
        if self.probes.running.is_empty() || fail.command != "/s_new" {
            return false;
        }
        let numbers = fail.reason.split(|letter: char| !letter.is_ascii_digit());
        for id in numbers.filter_map(|digits| digits.parse::<i32>().ok()) {
            let mut entries = self.probes.running.iter_mut().flat_map(|probe| &mut probe.entries);
            if let Some((_, has_synthdef)) = entries.find(|(own, _)| *own == id) {
                *has_synthdef = true;
                return true;
            }
        }
        if fail.reason.contains("SynthDef not found") && self.probes.held.len() < MAX_HELD_FAILURES
        {
            self.probes.held.push(fail.clone());
            return true;
        }
        false
    }

    /// Ends the probe with this sync id. Returns whether there was one.
    pub(super) fn probe_synced(&mut self, sync_id: i32) -> bool {
        let probes = &mut self.probes;
        let Some(index) = probes.running.iter().position(|probe| probe.sync_id == sync_id) else {
            return false;
        };
        let probe = probes.running.remove(index);
        let found: Vec<bool> = probe.entries.iter().map(|(_, found)| *found).collect();
        // Each SynthDef that the server does not have caused one of the failures.
        let missing = found.iter().filter(|found| !**found).count();
        probes.held.drain(..missing.min(probes.held.len()));
        self.events.push_back(Event::Probed(probe.command, Ok(found)));
        self.release_held_failures();
        true
    }

    /// Ends the probes whose deadline has passed.
    pub(super) fn expire_probes(&mut self, now: Duration) {
        if self.probes.running.iter().all(|probe| probe.deadline > now) {
            return;
        }
        for probe in self.probes.running.extract_if(.., |probe| probe.deadline <= now) {
            let error =
                Error::new(ErrorKind::Timeout, "the server did not answer which SynthDefs it has");
            self.events.push_back(Event::Probed(probe.command, Err(error)));
        }
        self.release_held_failures();
    }

    /// Ends all probes because the connection has ended.
    pub(super) fn clear_probes(&mut self, error: &Error) {
        for probe in self.probes.running.drain(..) {
            self.events.push_back(Event::Probed(probe.command, Err(error.clone())));
        }
        self.release_held_failures();
    }

    /// Reports the failures that belong to no probe.
    fn release_held_failures(&mut self) {
        if self.probes.running.is_empty() {
            self.events.extend(self.probes.held.drain(..).map(Event::Fail));
        }
    }
}
