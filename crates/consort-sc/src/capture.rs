//! Captures: a record of the packets that are sent and received.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use consort_osc::OscPacket;
use parking_lot::Mutex;

/// The direction of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// A captured packet.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedPacket {
    /// Time since the client object was created.
    pub time: Duration,
    /// Its direction.
    pub direction: Direction,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl CapturedPacket {
    /// The packet, decoded; `None` if it is not valid OSC.
    pub fn decode(&self) -> Option<OscPacket> {
        OscPacket::decode(&self.bytes).ok()
    }
}

impl fmt::Display for CapturedPacket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::Sent => "->",
            Direction::Received => "<-",
        };
        write!(formatter, "{:10.6} {arrow} ", self.time.as_secs_f64())?;
        match self.decode() {
            Some(packet) => write!(formatter, "{packet}"),
            None => write!(formatter, "{} bytes that are not OSC", self.bytes.len()),
        }
    }
}

/// How many bytes a capture holds before it drops the oldest packets.
const MAX_CAPTURED_BYTES: usize = 64 << 20;

/// The packets of a capture.
#[derive(Debug, Default)]
struct Captured {
    packets: VecDeque<CapturedPacket>,
    bytes: usize,
}

/// The buffer of a capture, which the sending threads and the I/O thread fill.
#[derive(Debug, Default)]
pub(crate) struct CaptureBuffer(Mutex<Captured>);

impl CaptureBuffer {
    pub(crate) fn push(&self, packet: CapturedPacket) {
        let mut captured = self.0.lock();
        captured.bytes += packet.bytes.len();
        captured.packets.push_back(packet);
        while captured.bytes > MAX_CAPTURED_BYTES {
            let Some(oldest) = captured.packets.pop_front() else { break };
            captured.bytes -= oldest.bytes.len();
        }
    }
}

/// A running capture: the packets since it began, at most 64 MiB of them. It ends when dropped.
#[derive(Debug)]
pub struct Capture(pub(crate) Arc<CaptureBuffer>);

impl Capture {
    /// Takes the packets that were captured since the last call.
    pub fn take(&self) -> Vec<CapturedPacket> {
        let mut captured = self.0.0.lock();
        captured.bytes = 0;
        captured.packets.drain(..).collect()
    }
}
