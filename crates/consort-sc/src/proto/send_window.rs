//! Large requests over UDP: a window of packets is sent, and the next one when the server has read
//! it. There is no I/O and no clock here: requests put packets in, and the driver takes out what
//! may be sent now.
//!
//! A server that is busy does not read its socket, and the system drops what does not fit into the
//! socket's buffer. So after a window the client sends a `/sync` of its own; its `/synced` shows
//! that the window was read, because the server processes packets in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::requests::{Request, Sync};

/// How many bytes of large packets may be on their way to the server. The system keeps about
/// 200 KiB for a busy server, counts large datagrams twice, and drops the rest.
const MAX_UNREAD_BYTES: usize = 65_507;
/// How many bytes may wait for a slow server.
const MAX_QUEUED_BYTES: usize = 64 << 20;
/// A `/sync` that was not answered for this long is sent again: it or its answer was lost.
const SYNC_REPEAT_INTERVAL: Duration = Duration::from_secs(1);
/// What was sent longer ago than this has been read or was lost, and no longer counts.
const UNREAD_EXPIRY: Duration = Duration::from_secs(1);
/// Sync ids of the window: this one and those below. Callers and the handshake use others.
const FIRST_SYNC_ID: i32 = -1_000;

/// A packet that waits to be sent.
#[derive(Debug)]
struct QueuedPacket {
    /// Its number in the queue, from 1; 0 for a `/sync` of the window itself.
    ticket: u64,
    bytes: Vec<u8>,
}

/// The packets that wait until the server has read earlier ones.
#[derive(Debug)]
pub(super) struct SendWindow {
    queue: VecDeque<QueuedPacket>,
    queued_bytes: usize,
    /// A packet was put in since the driver last found nothing to send. Packets that are sent
    /// meanwhile have to be queued.
    is_busy: bool,
    /// The number of the last packet that was put in.
    last_ticket: u64,
    /// How many bytes were sent and perhaps not read.
    unread_bytes: usize,
    sent_at: Duration,
    /// The `/sync` whose answer shows that the window was read, and when it is sent again.
    sync: Option<(i32, Duration)>,
    next_sync_id: i32,
    /// The packet that was taken last.
    taken: Option<QueuedPacket>,
}

impl Default for SendWindow {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_busy: false,
            last_ticket: 0,
            unread_bytes: 0,
            sent_at: Duration::ZERO,
            sync: None,
            next_sync_id: FIRST_SYNC_ID,
            taken: None,
        }
    }
}

impl SendWindow {
    /// Whether packets wait or are being sent, so that others have to be queued.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Queues packets, all or none. Returns the number of the last.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if too many bytes wait already.
    pub(super) fn push(&mut self, packets: Vec<Vec<u8>>) -> Result<u64> {
        let size: usize = packets.iter().map(Vec::len).sum();
        if self.queued_bytes + size > MAX_QUEUED_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{} bytes are waiting for the server to read them, and {size} more would \
                     exceed the limit of {MAX_QUEUED_BYTES}; nothing was sent; call sync before \
                     sending more",
                    self.queued_bytes
                ),
            ));
        }
        self.is_busy = true;
        self.queued_bytes += size;
        for bytes in packets {
            self.last_ticket += 1;
            self.queue.push_back(QueuedPacket { ticket: self.last_ticket, bytes });
        }
        Ok(self.last_ticket)
    }

    /// What may be sent now: a packet, or the `/sync` after a full window.
    pub(super) fn next(&mut self, now: Duration) -> Option<&[u8]> {
        self.taken = self.take(now);
        self.taken.as_ref().map(|packet| &packet.bytes[..])
    }

    fn take(&mut self, now: Duration) -> Option<QueuedPacket> {
        if let Some((id, repeat_at)) = self.sync {
            return (now >= repeat_at).then(|| self.sync_packet(id, now));
        }
        let Some(first) = self.queue.front() else {
            self.is_busy = false;
            return None;
        };
        if now.saturating_sub(self.sent_at) >= UNREAD_EXPIRY {
            self.unread_bytes = 0;
        }
        if self.unread_bytes > 0 && self.unread_bytes + first.bytes.len() > MAX_UNREAD_BYTES {
            let id = self.next_sync_id;
            self.next_sync_id = self.next_sync_id.checked_sub(1).unwrap_or(FIRST_SYNC_ID);
            return Some(self.sync_packet(id, now));
        }
        let packet = self.queue.pop_front()?;
        self.queued_bytes -= packet.bytes.len();
        self.unread_bytes += packet.bytes.len();
        self.sent_at = now;
        Some(packet)
    }

    fn sync_packet(&mut self, id: i32, now: Duration) -> QueuedPacket {
        self.sync = Some((id, now + SYNC_REPEAT_INTERVAL));
        let mut bytes = Vec::new();
        // A request with one number can always be encoded.
        let _ = Request::from(Sync { id }).encode(&mut bytes);
        QueuedPacket { ticket: 0, bytes }
    }

    /// The system did not accept the packet that [`next`](Self::next) returned last.
    pub(super) fn put_back(&mut self) {
        let Some(packet) = self.taken.take() else { return };
        self.is_busy = true;
        if packet.ticket == 0 {
            // Another `/sync` is made for the next attempt.
            self.sync = None;
            return;
        }
        self.queued_bytes += packet.bytes.len();
        self.unread_bytes = self.unread_bytes.saturating_sub(packet.bytes.len());
        self.queue.push_front(packet);
    }

    /// The server answered a `/sync`. If the window sent it, returns the number of the first packet
    /// that still waits or will be queued next.
    pub(super) fn synced(&mut self, id: i32) -> Option<u64> {
        if self.sync.is_none_or(|(sync_id, _)| sync_id != id) {
            return None;
        }
        self.sync = None;
        self.unread_bytes = 0;
        Some(self.queue.front().map_or(self.last_ticket + 1, |packet| packet.ticket))
    }

    /// When the `/sync` is sent again.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.sync.map(|(_, repeat_at)| repeat_at)
    }

    /// Drops all packets: the connection is closed.
    pub(super) fn clear(&mut self) {
        let (last_ticket, next_sync_id) = (self.last_ticket, self.next_sync_id);
        *self = Self { last_ticket, next_sync_id, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consort_osc::OscPacket;

    const NONE: [i64; 0] = [];

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// What is sent now: the sizes of packets, and the ids of `/sync`s, which are negative.
    fn sent(window: &mut SendWindow, now: f64) -> Vec<i64> {
        let mut sent = Vec::new();
        while let Some(packet) = window.next(seconds(now)) {
            sent.push(match OscPacket::decode(packet) {
                Ok(OscPacket::Message(sync)) => i64::from(sync.arguments[0].as_i32().unwrap()),
                _ => packet.len() as i64,
            });
        }
        sent
    }

    fn packets(sizes: &[usize]) -> Vec<Vec<u8>> {
        sizes.iter().map(|size| vec![b'x'; *size]).collect()
    }

    #[test]
    fn a_window_is_sent_and_the_rest_when_it_was_read() {
        let mut window = SendWindow::default();
        assert!(!window.is_busy());
        window.push(packets(&[60_000, 5_000, 60_000, 100])).unwrap();
        assert_eq!(sent(&mut window, 0.0), [60_000, 5_000, -1_000]);
        // Nothing is sent before the answer, and the answer to another `/sync` does not count.
        assert_eq!(sent(&mut window, 0.5), NONE);
        assert_eq!(window.synced(-999), None);
        assert!(window.is_busy());
        // Packets that are added meanwhile are last.
        window.push(packets(&[16])).unwrap();
        assert_eq!(sent(&mut window, 0.6), NONE);
        assert_eq!(window.synced(-1_000), Some(3));
        assert_eq!(window.synced(-1_000), None, "an answer was counted twice");
        assert_eq!(sent(&mut window, 0.7), [60_000, 100, 16]);
        assert!(!window.is_busy());
    }

    #[test]
    fn packets_of_several_calls_share_the_window_until_they_expire() {
        let mut window = SendWindow::default();
        window.push(packets(&[40_000])).unwrap();
        assert_eq!(sent(&mut window, 0.0), [40_000]);
        window.push(packets(&[40_000])).unwrap();
        assert_eq!(sent(&mut window, 0.1), [-1_000]);
        window.synced(-1_000);
        assert_eq!(sent(&mut window, 0.2), [40_000]);
        window.push(packets(&[40_000])).unwrap();
        assert_eq!(sent(&mut window, 2.0), [40_000]);
    }

    #[test]
    fn a_lost_sync_is_repeated_and_a_full_queue_rejects_packets() {
        let mut window = SendWindow::default();
        window.push(packets(&[60_000, 60_000])).unwrap();
        assert_eq!(sent(&mut window, 0.0), [60_000, -1_000]);
        assert_eq!(window.next_deadline(), Some(seconds(1.0)));
        assert_eq!(sent(&mut window, 1.0), [-1_000]);
        assert_eq!(sent(&mut window, 1.5), NONE);
        let many = vec![vec![b'x'; 60_000]; 1_118];
        let error = window.push(many.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("60000 bytes are waiting"), "{error}");
        window.synced(-1_000);
        assert_eq!(sent(&mut window, 1.6), [60_000]);
        window.push(many).unwrap();
        window.clear();
        assert!(!window.is_busy());
        assert_eq!(sent(&mut window, 1.7), NONE);
        window.push(packets(&[8])).unwrap();
        assert_eq!(sent(&mut window, 1.8), [8]);
    }

    #[test]
    fn a_packet_that_the_system_rejects_stays_first() {
        let mut window = SendWindow::default();
        window.push(packets(&[60_000, 30_000, 7])).unwrap();
        assert_eq!(window.next(seconds(0.0)).unwrap().len(), 60_000);
        window.put_back();
        assert_eq!(sent(&mut window, 0.0), [60_000, -1_000]);
        window.synced(-1_000);
        assert_eq!(window.next(seconds(0.1)).unwrap().len(), 30_000);
        window.put_back();
        assert_eq!(sent(&mut window, 0.1), [30_000, 7]);
        // A `/sync` that was rejected is replaced by another.
        window.push(packets(&[60_000])).unwrap();
        assert!(window.next(seconds(0.1)).unwrap().starts_with(b"/sync"));
        window.put_back();
        assert_eq!(sent(&mut window, 0.1), [-1_002]);
    }
}
