//! Requests, and the packets that they become.

use std::time::Duration;

use consort_osc::TimeTag;

use super::{Carrier, Connection, Phase, RequestId, RequestIds};
use crate::bundling::encode_packets;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::MAX_TIMEOUT;
use crate::options::Protocol;
use crate::requests::{ReplyPattern, Request};

/// Datagrams of at least this size go through the send window, so that the server gets no more at
/// once than the system keeps for it. Smaller ones are sent at once, unless larger ones wait.
const LARGE_DATAGRAM_BYTES: usize = 8_192;
/// How many bytes may wait because the system does not accept them.
const MAX_OUTBOX_BYTES: usize = 64 << 20;

/// Requests that are sent together.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// When they take effect; `None` for as soon as they arrive.
    pub time: Option<TimeTag>,
    /// How far ahead this time is. The deadlines of replies are later by as much.
    pub delay: Duration,
    /// The requests, in order.
    pub requests: &'a [Request],
}

impl<'a> From<&'a [Request]> for Submission<'a> {
    /// Requests that take effect as soon as they arrive.
    fn from(requests: &'a [Request]) -> Self {
        Self { time: None, delay: Duration::ZERO, requests }
    }
}

/// Whether a packet has to wait for the send window.
struct Router {
    has_window: bool,
    must_queue: bool,
}

impl Router {
    /// Whether the packet of this size is queued; then all later ones are as well.
    fn queues(&mut self, size: usize) -> bool {
        self.must_queue |= self.has_window && size >= LARGE_DATAGRAM_BYTES;
        self.must_queue
    }
}

impl Connection {
    /// An error unless the connection is online.
    pub(super) fn check_online(&self) -> Result<()> {
        if self.is_online() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ServerOffline,
            format!("the server is not online (its status is {:?})", self.boot_status()),
        ))
    }

    /// Sends requests: all of them or none. `waiting` are the indices of those whose reply is
    /// awaited; the ids that are returned are theirs, in this order. If there are none, the time does
    /// not matter.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::TooLarge`] if a request does not fit into a packet
    /// or if too much waits to be sent, [`ErrorKind::Allocation`] if too many requests wait for
    /// replies, [`ErrorKind::InvalidArgument`] if a request has no reply or cannot be encoded.
    pub fn submit(
        &mut self,
        submission: Submission<'_>,
        waiting: impl IntoIterator<Item = usize>,
        now: Duration,
    ) -> Result<RequestIds> {
        self.check_online()?;
        self.check_outbox()?;
        let mut waits = RequestIds::default();
        for index in waiting {
            let request = &submission.requests[index];
            // The reply to a timed request arrives after its time.
            let timeout = submission.delay.saturating_add(self.timeouts.request);
            match self.wait_for(request, Some(timeout), now) {
                Ok(id) if waits.0.is_empty() => waits.0 = id.0..id.0 + 1,
                Ok(id) => waits.0.end = id.0 + 1,
                Err(error) => {
                    self.forget(waits);
                    return Err(error);
                }
            }
        }
        match self.submit_small(submission) {
            Ok(true) => return Ok(waits),
            Ok(false) => {}
            Err(error) => {
                self.forget(waits);
                return Err(error);
            }
        }
        let mut router = self.router();
        let limit = self.carrier.packet_limit();
        let outbox = &mut self.outbox;
        let mut small_packets = 0;
        let mut queued = Vec::new();
        let sent = encode_packets(submission.time, submission.requests, limit, &mut |packet| {
            if router.queues(packet.len()) {
                queued.push(packet.to_vec());
            } else {
                outbox.push(packet);
                small_packets += 1;
            }
            Ok(())
        });
        if let Err(error) = sent.and_then(|()| self.enqueue(queued, &waits)) {
            self.outbox.remove_last(small_packets);
            self.forget(waits);
            return Err(error);
        }
        Ok(waits)
    }

    /// Encodes a single request without a time directly into the outbox, if it fits into a packet
    /// that does not have to wait. Returns whether it was added.
    fn submit_small(&mut self, submission: Submission<'_>) -> Result<bool> {
        let (None, [request]) = (submission.time, submission.requests) else { return Ok(false) };
        let limit = match self.router() {
            Router { must_queue: true, .. } => return Ok(false),
            Router { has_window: true, .. } => LARGE_DATAGRAM_BYTES - 1,
            _ => self.carrier.packet_limit(),
        };
        self.outbox.push_with(limit, |bytes| request.encode(bytes))
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn request(&mut self, request: &Request, now: Duration) -> Result<RequestId> {
        let submission = Submission::from(std::slice::from_ref(request));
        let waits = self.submit(submission, [0], now)?;
        Ok(RequestId(waits.0.start))
    }

    /// Sends a packet that is encoded already. With a pattern, waits up to `timeout` for a message
    /// that matches it; a `/fail` that names the command ends the wait as well.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_encoded(
        &mut self,
        packet: &[u8],
        wait: Option<(String, ReplyPattern, Option<Duration>)>,
        now: Duration,
    ) -> Result<RequestIds> {
        self.check_online()?;
        self.check_outbox()?;
        let limit = self.carrier.packet_limit();
        if packet.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the packet has {} bytes; {limit} can be sent", packet.len()),
            ));
        }
        let mut waits = RequestIds::default();
        if let Some((command, pattern, timeout)) = wait {
            let timeout = timeout.unwrap_or(self.timeouts.request).min(MAX_TIMEOUT);
            let number = self.pending.add_pattern(command, pattern, timeout, now)?;
            waits.0 = number..number + 1;
        }
        if self.router().queues(packet.len()) {
            if let Err(error) = self.enqueue(vec![packet.to_vec()], &waits) {
                self.forget(waits);
                return Err(error);
            }
        } else {
            self.outbox.push(packet);
        }
        Ok(waits)
    }

    /// Waits for the reply to a request that the driver sends by other means, or has still to send.
    ///
    /// # Errors
    /// [`ErrorKind::ServerOffline`], [`ErrorKind::Allocation`], [`ErrorKind::InvalidArgument`].
    pub(crate) fn wait_for(
        &mut self,
        request: &Request,
        timeout: Option<Duration>,
        now: Duration,
    ) -> Result<RequestId> {
        self.check_online()?;
        if matches!(self.phase, Phase::Score) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("cannot wait for the reply to {} in a score", request.address()),
            ));
        }
        let timeout = timeout.unwrap_or(self.timeouts.request).min(MAX_TIMEOUT);
        self.pending.add(request, timeout, now).map(RequestId)
    }

    /// Ends waits without an event, because the requests are never sent or nobody wants the replies.
    pub fn forget(&mut self, waits: RequestIds) {
        self.pending.forget(waits.0);
    }

    /// The next packet to send, or `None` until something else happens. The time matters only while
    /// [`has_window`](Self::has_window) is true. If the system does not accept
    /// it now, the driver calls [`transmit_blocked`](Self::transmit_blocked).
    pub fn poll_transmit(&mut self, now: Duration) -> Option<&[u8]> {
        self.is_from_window = self.outbox.is_empty();
        if !self.is_from_window {
            self.outbox.take()
        } else if self.send_window.is_busy() {
            self.send_window.next(now)
        } else {
            None
        }
    }

    /// The system did not accept the packet that [`poll_transmit`](Self::poll_transmit) returned
    /// last. It is returned again.
    pub fn transmit_blocked(&mut self) {
        if self.is_from_window {
            self.send_window.put_back();
        } else {
            self.outbox.put_back();
        }
    }

    /// Whether packets wait until the server has read earlier ones, so that time matters.
    pub fn has_window(&self) -> bool {
        self.send_window.is_busy()
    }

    /// Whether packets wait that [`poll_transmit`](Self::poll_transmit) has not returned, perhaps
    /// until the server has read earlier ones.
    pub fn has_queue(&self) -> bool {
        self.send_window.is_busy() || !self.outbox.is_empty()
    }

    fn check_outbox(&self) -> Result<()> {
        match self.outbox.size() {
            size if size > MAX_OUTBOX_BYTES && !matches!(self.phase, Phase::Score) => {
                Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("{size} bytes are waiting to be sent; nothing was added"),
                ))
            }
            _ => Ok(()),
        }
    }

    fn router(&self) -> Router {
        let has_window = self.carrier == Carrier::Server(Protocol::Udp);
        Router { has_window, must_queue: has_window && self.send_window.is_busy() }
    }

    /// Queues packets until the server has read earlier ones. They are sent in order. The
    /// deadlines of their requests' waits are counted from when the queue last moved.
    fn enqueue(&mut self, packets: Vec<Vec<u8>>, waits: &RequestIds) -> Result<()> {
        if packets.is_empty() {
            return Ok(());
        }
        let last = self.send_window.push(packets)?;
        self.pending.hold(waits.0.clone(), last);
        Ok(())
    }

    /// The server has read a window of packets. Requests behind it get their full time again, and
    /// so does a `/quit` or a log-out.
    pub(super) fn window_read(&mut self, first_waiting: u64, now: Duration) {
        self.pending.renew(first_waiting, now);
        match &mut self.phase {
            Phase::Quitting { deadline, .. } => *deadline = now + self.timeouts.quit,
            Phase::LoggingOut { deadline } => *deadline = now + self.timeouts.log_out,
            _ => {}
        }
    }
}
