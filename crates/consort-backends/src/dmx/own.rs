//! Recognises frames that this program has sent and that come back to its own sockets.
//!
//! A broadcast, and a packet to a group that a program on this machine has joined, is also delivered
//! to the sender. Merged as input, such a frame would keep a relay's lights on for ever and send a
//! two-way show its own values as echoes. The address alone does not tell who sent a frame: another
//! program on this machine may share address and port. A frame is therefore an own one if it was
//! sent lately (universe, sequence number and all slots), comes from an address of this machine and
//! from an own port. Each sent frame is recognised once at each interface, so that an equal frame of
//! another program still counts as input.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::slots::SLOTS;

/// How long a sent frame is remembered. It comes back within a turn of the event loop.
const SENT_FRAME_LIFETIME: Duration = Duration::from_secs(2);

/// The most sent frames that are remembered; the oldest are forgotten first.
const MAX_SENT_FRAMES: usize = 1 << 16;

/// How long the answer whether an address belongs to this machine is used.
const LOCAL_ADDRESS_LIFETIME: Duration = Duration::from_secs(5);

/// The most addresses for which that is known.
const MAX_KNOWN_ADDRESSES: usize = 32;

/// How often a frame was sent to an interface's port, and how often it has come back.
#[derive(Clone, Copy, Debug, Default)]
struct Copies {
    sent: u32,
    returned: u32,
}

/// The frames that were sent lately to ports of this program.
#[derive(Debug, Default)]
pub(super) struct SentFrames {
    /// In the order of sending.
    order: VecDeque<(Instant, u64)>,
    copies: HashMap<u64, Copies>,
    /// Addresses, whether they belong to this machine, and when that was found out.
    known_addresses: Vec<(IpAddr, bool, Instant)>,
}

/// Identifies a frame at an interface. Frames that differ have different keys, but for chance.
fn key(interface: usize, universe: u16, sequence: u8, data: &[u8; SLOTS]) -> u64 {
    const MULTIPLIER: u64 = 0x517C_C1B7_2722_0A95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    let head = (interface as u64) << 24 | u64::from(universe) << 8 | u64::from(sequence);
    let (words, _) = data.as_chunks::<8>();
    words.iter().fold(mix(0, head), |hash, word| mix(hash, u64::from_le_bytes(*word)))
}

impl SentFrames {
    /// Remembers a frame that is sent to the port of an interface.
    pub(super) fn record(
        &mut self,
        interface: usize,
        universe: u16,
        sequence: u8,
        data: &[u8; SLOTS],
        now: Instant,
    ) {
        while self.order.front().is_some_and(|(sent, _)| {
            now.saturating_duration_since(*sent) > SENT_FRAME_LIFETIME
                || self.order.len() >= MAX_SENT_FRAMES
        }) {
            self.forget_oldest();
        }
        let key = key(interface, universe, sequence, data);
        self.order.push_back((now, key));
        self.copies.entry(key).or_default().sent += 1;
    }

    fn forget_oldest(&mut self) {
        let Some((_, key)) = self.order.pop_front() else { return };
        let Some(copies) = self.copies.get_mut(&key) else { return };
        copies.sent -= 1;
        copies.returned = copies.returned.saturating_sub(1);
        if copies.sent == 0 {
            self.copies.remove(&key);
        }
    }

    /// Whether a frame that an interface received from an own port is one that was sent and has not
    /// come back yet.
    pub(super) fn take(
        &mut self,
        interface: usize,
        universe: u16,
        sequence: u8,
        data: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> bool {
        if self.copies.is_empty() {
            return false;
        }
        let Ok(data) = data.try_into() else { return false };
        let key = key(interface, universe, sequence, data);
        let has_copy = |copies: &Copies| copies.returned < copies.sent;
        if !self.copies.get(&key).is_some_and(has_copy) || !self.is_local(from.ip(), now) {
            return false;
        }
        if let Some(copies) = self.copies.get_mut(&key) {
            copies.returned += 1;
        }
        true
    }

    /// Whether an address belongs to this machine: a socket can be bound to it.
    fn is_local(&mut self, address: IpAddr, now: Instant) -> bool {
        let is_old = |known: Instant| now.saturating_duration_since(known) > LOCAL_ADDRESS_LIFETIME;
        self.known_addresses.retain(|(_, _, known)| !is_old(*known));
        let known = self.known_addresses.iter().find(|(known, ..)| *known == address);
        if let Some((_, is_local, _)) = known {
            return *is_local;
        }
        let is_local = std::net::UdpSocket::bind((address, 0)).is_ok();
        if self.known_addresses.len() == MAX_KNOWN_ADDRESSES {
            self.known_addresses.remove(0);
        }
        self.known_addresses.push((address, is_local, now));
        is_local
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: ([u8; 4], u16) = ([127, 0, 0, 1], 6454);

    #[test]
    fn a_sent_frame_is_recognised_once_at_each_interface() {
        let (mut sent, now) = (SentFrames::default(), Instant::now());
        let data = [7; SLOTS];
        sent.record(0, 3, 9, &data, now);
        sent.record(1, 3, 9, &data, now);
        let other = [8; SLOTS];
        let mut take = |interface, universe, sequence, data: &[u8], from: ([u8; 4], u16)| {
            sent.take(interface, universe, sequence, data, from.into(), now)
        };
        assert!(!take(0, 4, 9, &data, OWN), "another universe");
        assert!(!take(0, 3, 8, &data, OWN), "another sequence number");
        assert!(!take(0, 3, 9, &other, OWN), "other slots");
        assert!(!take(0, 3, 9, &data[..511], OWN), "fewer slots");
        assert!(!take(0, 3, 9, &data, ([192, 0, 2, 1], 6454)), "another machine");
        assert!(take(0, 3, 9, &data, OWN) && take(1, 3, 9, &data, OWN));
        assert!(!take(0, 3, 9, &data, OWN), "an equal frame of another program");
    }

    #[test]
    fn old_frames_are_forgotten_and_their_number_is_bounded() {
        let (mut sent, now) = (SentFrames::default(), Instant::now());
        let mut data = [0; SLOTS];
        for number in 0..MAX_SENT_FRAMES as u32 + 5 {
            data[..4].copy_from_slice(&number.to_le_bytes());
            sent.record(0, 1, 0, &data, now);
        }
        assert_eq!((sent.order.len(), sent.copies.len()), (MAX_SENT_FRAMES, MAX_SENT_FRAMES));
        let later = now + SENT_FRAME_LIFETIME * 2;
        sent.record(0, 1, 0, &data, later);
        assert_eq!((sent.order.len(), sent.copies.len()), (1, 1));
        // The same frame sent twice comes back twice, and not a third time.
        sent.record(0, 1, 0, &data, later);
        let mut take = || sent.take(0, 1, 0, &data, OWN.into(), later);
        assert!(take() && take() && !take());
        // What has come back already is not counted again when the first one is forgotten.
        sent.record(0, 1, 0, &data, later);
        sent.forget_oldest();
        assert!(sent.take(0, 1, 0, &data, OWN.into(), later));
        assert!(!sent.take(0, 1, 0, &data, OWN.into(), later));
    }
}
