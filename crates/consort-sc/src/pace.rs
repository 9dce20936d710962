//! Large requests over UDP: a window at a time, each once the server has read the one before. No
//! I/O, no clock: callers put packets in, the I/O thread takes out what may be sent now.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::requests::{Request, Sync};

/// Bytes of large packets that may be on their way to a server. The system keeps about 200 KiB
/// for a server that is busy, counts twice what large datagrams hold, and drops the rest.
const WINDOW: usize = 65_507;
/// The most bytes that may wait for a slow server.
const MAXIMUM_QUEUED: usize = 64 << 20;
/// A question whose answer stays away is repeated after this long: it, or the answer, was lost.
const REPEAT: Duration = Duration::from_secs(1);
/// What was sent this long ago was read by now, or is lost.
const FORGOTTEN: Duration = Duration::from_secs(1);
/// Sync ids of this queue: from here downwards, where neither callers nor handshakes have theirs.
const FIRST_ID: i32 = -1_000;

/// A packet that waits, and its number.
#[derive(Debug)]
pub(crate) struct Paced {
    ticket: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The packets that wait for the server to read earlier ones.
#[derive(Debug)]
pub(crate) struct Pace {
    queue: VecDeque<Paced>,
    queued: usize,
    /// Something was put in since the I/O thread last found nothing to send. What is sent
    /// meanwhile has to queue up behind it, also while the last packet is with the I/O thread.
    busy: bool,
    tickets: u64,
    /// Bytes that were sent and perhaps not read.
    unread: usize,
    sent_at: Duration,
    /// The `/sync` whose answer says that all of it was read, and when it is repeated.
    asked: Option<(i32, Duration)>,
    next_id: i32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            busy: false,
            tickets: 0,
            unread: 0,
            sent_at: Duration::ZERO,
            asked: None,
            next_id: FIRST_ID,
        }
    }
}

impl Pace {
    /// Whether packets wait or are being sent, so that others have to queue up.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Puts packets in, all or none. Returns the number of the last.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] if too much waits already.
    pub(crate) fn push(&mut self, packets: Vec<Vec<u8>>) -> Result<u64> {
        let size: usize = packets.iter().map(Vec::len).sum();
        if self.queued + size > MAXIMUM_QUEUED {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{} bytes wait for the server to read them; with these {size} they would be \
                     more than the {MAXIMUM_QUEUED} that may. Nothing was sent; sync first",
                    self.queued
                ),
            ));
        }
        self.busy = true;
        self.queued += size;
        for bytes in packets {
            self.tickets += 1;
            self.queue.push_back(Paced { ticket: self.tickets, bytes });
        }
        Ok(self.tickets)
    }

    /// What may be sent now: a packet, or the question whether the earlier ones were read.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Paced> {
        if let Some((id, repeat)) = self.asked {
            return (now >= repeat).then(|| self.ask(id, now));
        }
        let Some(first) = self.queue.front() else {
            self.busy = false;
            return None;
        };
        if now.saturating_sub(self.sent_at) >= FORGOTTEN {
            self.unread = 0;
        }
        if self.unread > 0 && self.unread + first.bytes.len() > WINDOW {
            let id = self.next_id;
            self.next_id = self.next_id.checked_sub(1).unwrap_or(FIRST_ID);
            return Some(self.ask(id, now));
        }
        let paced = self.queue.pop_front()?;
        self.queued -= paced.bytes.len();
        self.unread += paced.bytes.len();
        self.sent_at = now;
        Some(paced)
    }

    fn ask(&mut self, id: i32, now: Duration) -> Paced {
        self.asked = Some((id, now + REPEAT));
        let mut bytes = Vec::new();
        // A request of one number always fits.
        let _ = Request::from(Sync { id }).encode(&mut bytes);
        Paced { ticket: 0, bytes }
    }

    /// Takes back a packet that the system did not take.
    pub(crate) fn put_back(&mut self, paced: Paced) {
        self.busy = true;
        if paced.ticket == 0 {
            // The question is asked anew.
            self.asked = None;
            return;
        }
        self.queued += paced.bytes.len();
        self.unread = self.unread.saturating_sub(paced.bytes.len());
        self.queue.push_front(paced);
    }

    /// The server answered a `/sync`. If it was this queue's: the number of the first packet
    /// that still waits, or will be next.
    pub(crate) fn synced(&mut self, id: i32) -> Option<u64> {
        if self.asked.is_none_or(|(asked, _)| asked != id) {
            return None;
        }
        self.asked = None;
        self.unread = 0;
        Some(self.queue.front().map_or(self.tickets + 1, |paced| paced.ticket))
    }

    /// When the question is repeated.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.asked.map(|(_, repeat)| repeat)
    }

    /// Forgets everything: the connection is over.
    pub(crate) fn clear(&mut self) {
        let (tickets, next_id) = (self.tickets, self.next_id);
        *self = Self { tickets, next_id, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consort_osc::OscPacket;

    const NONE: [i64; 0] = [];

    fn second(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// What goes out now: sizes of packets, and the ids of questions (which are negative).
    fn out(pace: &mut Pace, now: f64) -> Vec<i64> {
        std::iter::from_fn(|| pace.next(second(now)))
            .map(|paced| match OscPacket::decode(&paced.bytes) {
                Ok(OscPacket::Message(sync)) => i64::from(sync.arguments[0].as_i32().unwrap()),
                _ => paced.bytes.len() as i64,
            })
            .collect()
    }

    fn packets(sizes: &[usize]) -> Vec<Vec<u8>> {
        sizes.iter().map(|size| vec![b'x'; *size]).collect()
    }

    #[test]
    fn a_window_is_sent_and_the_rest_once_it_was_read() {
        let mut pace = Pace::default();
        assert!(!pace.is_busy());
        pace.push(packets(&[60_000, 5_000, 60_000, 100])).unwrap();
        assert_eq!(out(&mut pace, 0.0), [60_000, 5_000, -1_000]);
        // Nothing moves before the answer; another's answer is none.
        assert_eq!(out(&mut pace, 0.5), NONE);
        assert_eq!(pace.synced(-999), None);
        assert!(pace.is_busy());
        // What comes meanwhile stands behind.
        pace.push(packets(&[16])).unwrap();
        assert_eq!(out(&mut pace, 0.6), NONE);
        assert_eq!(pace.synced(-1_000), Some(3));
        assert_eq!(pace.synced(-1_000), None, "an answer counted twice");
        assert_eq!(out(&mut pace, 0.7), [60_000, 100, 16]);
        assert!(!pace.is_busy());
    }

    #[test]
    fn what_several_calls_send_counts_together_and_is_forgotten_in_time() {
        let mut pace = Pace::default();
        pace.push(packets(&[40_000])).unwrap();
        assert_eq!(out(&mut pace, 0.0), [40_000]);
        pace.push(packets(&[40_000])).unwrap();
        assert_eq!(out(&mut pace, 0.1), [-1_000]);
        pace.synced(-1_000);
        assert_eq!(out(&mut pace, 0.2), [40_000]);
        pace.push(packets(&[40_000])).unwrap();
        assert_eq!(out(&mut pace, 2.0), [40_000]);
    }

    #[test]
    fn a_lost_question_is_repeated_and_a_full_queue_refuses() {
        let mut pace = Pace::default();
        pace.push(packets(&[60_000, 60_000])).unwrap();
        assert_eq!(out(&mut pace, 0.0), [60_000, -1_000]);
        assert_eq!(pace.next_deadline(), Some(second(1.0)));
        assert_eq!(out(&mut pace, 1.0), [-1_000]);
        assert_eq!(out(&mut pace, 1.5), NONE);
        let many = vec![vec![b'x'; 60_000]; 1_118];
        let error = pace.push(many.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("60000 bytes wait"), "{error}");
        pace.synced(-1_000);
        assert_eq!(out(&mut pace, 1.6), [60_000]);
        pace.push(many).unwrap();
        pace.clear();
        assert!(!pace.is_busy());
        assert_eq!(out(&mut pace, 1.7), NONE);
        pace.push(packets(&[8])).unwrap();
        assert_eq!(out(&mut pace, 1.8), [8]);
    }

    #[test]
    fn what_the_system_does_not_take_stays_in_front() {
        let mut pace = Pace::default();
        pace.push(packets(&[60_000, 30_000, 7])).unwrap();
        let first = pace.next(second(0.0)).unwrap();
        pace.put_back(first);
        assert_eq!(out(&mut pace, 0.0), [60_000, -1_000]);
        pace.synced(-1_000);
        let next = pace.next(second(0.1)).unwrap();
        assert_eq!(next.bytes.len(), 30_000);
        pace.put_back(next);
        assert_eq!(out(&mut pace, 0.1), [30_000, 7]);
        // A question that was not taken is asked anew.
        pace.push(packets(&[60_000])).unwrap();
        let question = pace.next(second(0.1)).unwrap();
        assert!(question.bytes.starts_with(b"/sync"));
        pace.put_back(question);
        assert_eq!(out(&mut pace, 0.1), [-1_002]);
    }
}
