//! One peer of an instance.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::stream::{Receiver, Sender};

/// How often an invitation is repeated, and how often before a pause.
pub(super) const INVITATION_INTERVAL: Duration = Duration::from_secs(1);
pub(super) const MAX_INVITATIONS: u32 = 12;

/// The pause before a peer is invited again that did not answer, has refused or has left.
pub(super) const INVITATION_PAUSE: Duration = Duration::from_secs(10);

/// How long an accepted peer may take to open the second port.
pub(super) const ACCEPTANCE_TIMEOUT: Duration = Duration::from_secs(10);

/// After how much silence a peer is gone.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The clock synchronisations of a new session, and the time between them.
const FIRST_SYNCS: u32 = 6;
const FIRST_SYNC_INTERVAL: Duration = Duration::from_millis(1_500);

/// The time between two clock synchronisations later.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);

/// The shortest time between two reports of what has arrived, and the same after a loss.
const FEEDBACK_INTERVAL: Duration = Duration::from_secs(1);
const URGENT_FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);

/// After how many packets a report is urgent, so that the peer's journals stay short.
const URGENT_PACKETS: u32 = 64;

/// The time from the last packet with commands to the first one that repeats its journal; it is
/// doubled from one to the next, up to one second.
const GUARD_INTERVAL: Duration = Duration::from_millis(50);

/// How many packets repeat a journal that the peer does not acknowledge: if it never has, and if
/// it has before.
const GUARDS_WITHOUT_FEEDBACK: u32 = 6;
const GUARDS_WITH_FEEDBACK: u32 = 60;

/// How long journals cover what a peer without feedback may have lost.
const HISTORY: Duration = Duration::from_secs(10);

/// How far the session with a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The control port was invited so many times; again at this time.
    InvitingControl(u32, Instant),
    /// The same for the data port.
    InvitingData(u32, Instant),
    /// The peer is invited again at this time.
    Pausing(Instant),
    /// Its invitation was accepted; that of the data port follows until this time.
    Accepted(Instant),
    Connected,
}

/// One peer.
pub(super) struct Peer {
    /// Identifies the peer as a source of messages.
    pub(super) id: u32,
    pub(super) name: String,
    /// The host of the configuration, or of the network, that is invited; `None` for a peer that
    /// came by itself.
    pub(super) host: Option<usize>,
    /// Whether this side has sent the invitation.
    pub(super) is_initiator: bool,
    pub(super) phase: Phase,
    /// The control port; `None` in the direct mode.
    pub(super) control: Option<SocketAddr>,
    pub(super) data: SocketAddr,
    /// Whether output is sent to the peer.
    pub(super) sends: bool,
    pub(super) token: u32,
    /// The peer's identifier in the session protocol.
    pub(super) ssrc: u32,
    /// When the peer sent something.
    pub(super) heard: Instant,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) sync_due: Option<Instant>,
    sync_count: u32,
    pub(super) feedback_due: Option<Instant>,
    feedback_last: Option<Instant>,
    packets_since_feedback: u32,
    has_feedback: bool,
    pub(super) guard_due: Option<Instant>,
    guard_count: u32,
    /// When packets were sent, about one a second.
    marks: VecDeque<(Instant, u32)>,
}

impl Peer {
    pub(super) fn new(id: u32, data: SocketAddr, sender: Sender, now: Instant) -> Self {
        Peer {
            id,
            name: String::new(),
            host: None,
            is_initiator: false,
            phase: Phase::Connected,
            control: None,
            data,
            sends: true,
            token: 0,
            ssrc: 0,
            heard: now,
            sender,
            receiver: Receiver::new(),
            sync_due: None,
            sync_count: 0,
            feedback_due: None,
            feedback_last: None,
            packets_since_feedback: 0,
            has_feedback: false,
            guard_due: None,
            guard_count: 0,
            marks: VecDeque::new(),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.phase == Phase::Connected
    }

    /// Whether output reaches the peer.
    pub(super) fn is_receiving(&self) -> bool {
        self.is_connected() && self.sends
    }

    /// Starts a session that both sides have agreed to.
    pub(super) fn connect(&mut self, sender: Sender, now: Instant) {
        self.phase = Phase::Connected;
        self.heard = now;
        self.sender = sender;
        self.receiver = Receiver::new();
        self.sync_due = self.is_initiator.then_some(now);
        self.sync_count = 0;
        (self.feedback_due, self.feedback_last) = (None, None);
        self.packets_since_feedback = 0;
        (self.has_feedback, self.guard_due) = (false, None);
        self.marks.clear();
    }

    /// Counts a clock synchronisation and schedules the next.
    pub(super) fn schedule_sync(&mut self, now: Instant) {
        self.sync_count += 1;
        let is_first = self.sync_count < FIRST_SYNCS;
        self.sync_due = Some(now + if is_first { FIRST_SYNC_INTERVAL } else { SYNC_INTERVAL });
    }

    /// Schedules a report of what has arrived, after a packet.
    pub(super) fn schedule_feedback(&mut self, is_urgent: bool, now: Instant) {
        self.packets_since_feedback += 1;
        let is_urgent = is_urgent || self.packets_since_feedback >= URGENT_PACKETS;
        let interval = if is_urgent { URGENT_FEEDBACK_INTERVAL } else { FEEDBACK_INTERVAL };
        let due = self.feedback_last.map_or(now, |last| (last + interval).max(now));
        self.feedback_due = Some(self.feedback_due.map_or(due, |before| before.min(due)));
    }

    /// Takes note of a report that is sent now.
    pub(super) fn on_feedback_sent(&mut self, now: Instant) {
        (self.feedback_due, self.feedback_last) = (None, Some(now));
        self.packets_since_feedback = 0;
    }

    /// The peer reports which packet has arrived.
    pub(super) fn acknowledge(&mut self, sequence: u16) {
        self.has_feedback = true;
        self.marks.clear();
        self.sender.acknowledge(sequence);
        if !self.sender.is_unacknowledged() {
            self.guard_due = None;
        }
    }

    /// Takes note of a packet with commands that is sent now.
    pub(super) fn on_sent(&mut self, now: Instant) {
        self.guard_count = 0;
        self.guard_due = Some(now + GUARD_INTERVAL);
        if self.has_feedback {
            return;
        }
        if self.marks.back().is_none_or(|(time, _)| now - *time >= Duration::from_secs(1)) {
            self.marks.push_back((now, self.sender.next_packet()));
        }
        while let Some(&(time, packet)) = self.marks.front()
            && now - time > HISTORY
        {
            self.sender.acknowledge_all_before(packet);
            self.marks.pop_front();
        }
    }

    /// Schedules the next packet that repeats the journal. Returns whether one is to be sent now.
    pub(super) fn schedule_guard(&mut self, now: Instant) -> bool {
        let most = if self.has_feedback { GUARDS_WITH_FEEDBACK } else { GUARDS_WITHOUT_FEEDBACK };
        if !self.sender.is_unacknowledged() || self.guard_count == most {
            self.guard_due = None;
            return false;
        }
        self.guard_count += 1;
        let interval = GUARD_INTERVAL * (1 << self.guard_count.min(5));
        self.guard_due = Some(now + interval.min(Duration::from_secs(1)));
        true
    }

    /// When the peer needs a call.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::InvitingControl(_, at)
            | Phase::InvitingData(_, at)
            | Phase::Pausing(at)
            | Phase::Accepted(at) => Some(at),
            Phase::Connected => {
                let silence = self.control.is_some().then_some(self.heard + SILENCE_TIMEOUT);
                let all = [self.sync_due, self.feedback_due, self.guard_due, silence];
                all.into_iter().flatten().min()
            }
        }
    }
}
