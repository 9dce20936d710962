//! Packets that may be sent at once. Nothing is allocated once the buffers have grown.

use crate::error::Result;

/// Packets in the order in which they are sent, one after the other in one buffer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// The end of each packet in `bytes`.
    ends: Vec<usize>,
    /// How many packets were taken.
    taken: usize,
}

/// How many bytes of packets that were sent are kept before the rest moves to the front.
const MAX_TAKEN_BYTES: usize = 1 << 20;

impl Outbox {
    /// Adds a packet.
    pub(super) fn push(&mut self, packet: &[u8]) {
        self.make_room();
        self.bytes.extend_from_slice(packet);
        self.ends.push(self.bytes.len());
    }

    /// Adds the packet that `write` appends, unless it has more than `limit` bytes. Returns whether
    /// it was added.
    pub(super) fn push_with(
        &mut self,
        limit: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<usize>,
    ) -> Result<bool> {
        self.make_room();
        let start = self.bytes.len();
        let written = write(&mut self.bytes);
        let is_added = written.as_ref().is_ok_and(|size| *size <= limit);
        if is_added {
            self.ends.push(self.bytes.len());
        } else {
            self.bytes.truncate(start);
        }
        written.map(|_| is_added)
    }

    /// Removes what was taken, if that is everything or much.
    #[inline]
    fn make_room(&mut self) {
        if self.taken == self.ends.len() {
            self.clear();
        } else if self.start(self.taken) > MAX_TAKEN_BYTES {
            let start = self.start(self.taken);
            self.bytes.drain(..start);
            self.ends.drain(..self.taken);
            self.ends.iter_mut().for_each(|end| *end -= start);
            self.taken = 0;
        }
    }

    /// The offset of a packet.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |previous| self.ends[previous])
    }

    /// Takes the first packet.
    pub(super) fn take(&mut self) -> Option<&[u8]> {
        let end = *self.ends.get(self.taken)?;
        let start = self.start(self.taken);
        self.taken += 1;
        Some(&self.bytes[start..end])
    }

    /// Whether there is a packet to take.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.ends.len()
    }

    /// The packet that was taken last is the first again.
    pub(super) fn put_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// Removes packets that were added last.
    pub(super) fn remove_last(&mut self, count: usize) {
        let kept = self.ends.len().saturating_sub(count);
        self.bytes.truncate(self.start(kept));
        self.ends.truncate(kept);
    }

    /// How many bytes wait.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() - self.start(self.taken)
    }

    /// Drops all packets.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn packets_are_taken_in_order_and_can_be_put_back() {
        let mut outbox = Outbox::default();
        assert!(outbox.is_empty() && outbox.take().is_none());
        outbox.push(b"one");
        outbox.push(b"three");
        assert_eq!(outbox.take(), Some(&b"one"[..]));
        outbox.put_back();
        assert_eq!(outbox.size(), 8);
        assert_eq!(outbox.take(), Some(&b"one"[..]));
        assert_eq!(outbox.take(), Some(&b"three"[..]));
        outbox.put_back();
        outbox.push(b"two");
        assert_eq!(outbox.size(), 8);
        assert_eq!(outbox.take(), Some(&b"three"[..]));
        assert_eq!(outbox.take(), Some(&b"two"[..]));
        assert!(outbox.is_empty());
        assert_eq!(outbox.size(), 0);
        let error = Error::new(ErrorKind::InvalidArgument, "test");
        let written = outbox.push_with(8, |bytes| {
            bytes.extend_from_slice(b"partly");
            Err(error)
        });
        assert!(written.is_err());
        let mut write = |packet: &[u8]| {
            outbox.push_with(4, |bytes| {
                bytes.extend_from_slice(packet);
                Ok(packet.len())
            })
        };
        assert!(!write(b"large").unwrap());
        assert!(write(b"kept").unwrap());
        outbox.push(b"removed");
        outbox.remove_last(1);
        assert_eq!(outbox.take(), Some(&b"kept"[..]));
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut outbox = Outbox::default();
        outbox.push(&[0; 1_000]);
        for number in 1..=10_000u32 {
            outbox.push(&[number as u8; 1_000]);
            assert_eq!(outbox.take(), Some(&[(number - 1) as u8; 1_000][..]));
        }
        assert_eq!(outbox.size(), 1_000);
        assert!(outbox.bytes.len() < 2 * MAX_TAKEN_BYTES);
    }
}
