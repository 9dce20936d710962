//! The two directions of a stream of packets: a sender with its journal, and a receiver that
//! repairs losses.

use super::journal::repair::{self, RECEIVED};
use super::journal::state::State;
use super::journal::write::{self, Scope};
use super::packet::{self, Command, Invalid, Packet};
use crate::midi_grammar::message::Message;

/// A sequence number this far behind belongs to a stream that has started anew.
const MAX_BEHIND: i16 = -1_000;

/// The sending direction.
pub(super) struct Sender {
    ssrc: u32,
    /// The number of the next packet. The wire carries its lower 16 bits; it is never 0.
    next: u32,
    acknowledged: u32,
    state: State,
    /// The journal of the packet that is being filled.
    journal: Vec<u8>,
}

impl Sender {
    /// A stream whose first packet has the number `first`.
    pub(super) fn new(ssrc: u32, first: u16) -> Self {
        let next = u32::from(first) + (1 << 16);
        let (acknowledged, journal) = (next - 1, Vec::new());
        Sender { ssrc, next, acknowledged, state: State::new(), journal }
    }

    /// Begins a packet: the journal is that of the packets before it.
    pub(super) fn begin(&mut self) {
        self.journal.clear();
        let scope = Scope { acknowledged: self.acknowledged, previous: self.next - 1 };
        write::write(&self.state, scope, &mut self.journal);
    }

    /// Records a message of the packet that is being filled.
    pub(super) fn record(&mut self, message: &Message<'_>) {
        self.state.record(message, self.next);
    }

    /// Writes the packet with these commands.
    pub(super) fn finish(&mut self, list: &[u8], timestamp: u32, out: &mut Vec<u8>) {
        packet::write(out, self.next as u16, timestamp, self.ssrc, list, &self.journal);
        self.next += 1;
    }

    /// Writes a packet without commands, which carries only the journal.
    pub(super) fn guard(&mut self, timestamp: u32, out: &mut Vec<u8>) {
        self.begin();
        self.finish(&[], timestamp, out);
    }

    /// The peer has everything up to a packet. A number that was not sent yet is ignored.
    pub(super) fn acknowledge(&mut self, sequence: u16) {
        let last = self.next - 1;
        let behind = (last as u16).wrapping_sub(sequence);
        self.acknowledge_all_before(last.wrapping_sub(u32::from(behind)).wrapping_add(1));
    }

    /// The number of the next packet, for [`acknowledge_all_before`](Self::acknowledge_all_before).
    pub(super) fn next_packet(&self) -> u32 {
        self.next
    }

    /// Leaves the packets before `packet` out of further journals.
    pub(super) fn acknowledge_all_before(&mut self, packet: u32) {
        if (self.acknowledged + 1..=self.next).contains(&packet) {
            self.acknowledged = packet - 1;
            self.state.forget_exclusives(self.acknowledged);
        }
    }

    /// Whether something was sent that the peer may not have.
    pub(super) fn is_unacknowledged(&self) -> bool {
        self.state.last_change() > self.acknowledged
    }
}

/// What a packet means for the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It follows the last one, or it is the first.
    InOrder,
    /// It was received before, or a later one was, whose journal has repaired its absence.
    Late,
    /// So many packets before it are missing, and the journal has repaired that.
    Repaired(u16),
    /// So many are missing, and the journal does not cover all of them.
    Lost(u16),
}

/// What a receiver passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival<'a> {
    Message(Message<'a>),
    /// The system exclusive message so far is not continued.
    Cancelled,
    /// Packets were lost beyond repair: everything that is held is to be released.
    Release,
}

/// The receiving direction.
pub(super) struct Receiver {
    /// The stream, and the number of its last packet.
    last: Option<(u32, u16)>,
    state: State,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Receiver { last: None, state: State::new() }
    }

    /// The number of the last packet.
    pub(super) fn last(&self) -> Option<u16> {
        self.last.map(|(_, sequence)| sequence)
    }

    /// Handles a packet: repairs what was lost before it, and passes its commands on.
    ///
    /// # Errors
    /// If the commands are not valid; those before the error were passed on.
    pub(super) fn receive(
        &mut self,
        packet: &Packet<'_>,
        handle: &mut dyn FnMut(Arrival<'_>),
    ) -> Result<Outcome, Invalid> {
        let outcome = match self.last {
            Some((ssrc, last)) if ssrc == packet.ssrc => {
                match packet.sequence.wrapping_sub(last) as i16 {
                    1 => Outcome::InOrder,
                    MAX_BEHIND..=0 => return Ok(Outcome::Late),
                    distance => {
                        handle(Arrival::Cancelled);
                        self.repair(packet, last, (distance as u16).wrapping_sub(1), handle)
                    }
                }
            }
            Some(_) => {
                // Another stream of the same peer: it has started anew.
                self.release(handle);
                self.state = State::new();
                self.begin(packet, handle);
                Outcome::InOrder
            }
            None => {
                self.begin(packet, handle);
                Outcome::InOrder
            }
        };
        self.last = Some((packet.ssrc, packet.sequence));
        let state = &mut self.state;
        packet.commands(|command| match command {
            Command::Message(message) => {
                state.record(&message, RECEIVED);
                state.forget_exclusives(RECEIVED);
                handle(Arrival::Message(message));
            }
            Command::Cancelled => handle(Arrival::Cancelled),
        })?;
        Ok(outcome)
    }

    /// Takes the state from the journal of the first packet of a stream.
    fn begin(&mut self, packet: &Packet<'_>, handle: &mut dyn FnMut(Arrival<'_>)) {
        let Some(journal) = packet.journal else { return };
        let mut emit = |message: Message<'_>| handle(Arrival::Message(message));
        if repair::repair(journal, &mut self.state, &mut emit).is_err() {
            self.release(handle);
        }
    }

    fn repair(
        &mut self,
        packet: &Packet<'_>,
        last: u16,
        missing: u16,
        handle: &mut dyn FnMut(Arrival<'_>),
    ) -> Outcome {
        let covers_all = |journal: &[u8]| {
            // The first packet that the journal covers is not later than the first missing one.
            repair::checkpoint(journal)
                .is_ok_and(|first| last.wrapping_add(1).wrapping_sub(first) < 0x8000)
        };
        let is_covered = packet.journal.is_some_and(covers_all);
        if !is_covered {
            self.release(handle);
        }
        let mut emit = |message: Message<'_>| handle(Arrival::Message(message));
        let journal = packet.journal;
        let repaired = journal
            .is_none_or(|journal| repair::repair(journal, &mut self.state, &mut emit).is_ok());
        if !repaired {
            self.release(handle);
        }
        if is_covered && repaired { Outcome::Repaired(missing) } else { Outcome::Lost(missing) }
    }

    fn release(&mut self, handle: &mut dyn FnMut(Arrival<'_>)) {
        self.state.release();
        handle(Arrival::Release);
    }
}
