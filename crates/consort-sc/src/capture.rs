//! Traffic in view: what was sent and received while a capture is held.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consort_osc::OscPacket;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// A packet that was captured.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedPacket {
    /// Time since the client object was made.
    pub time: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl CapturedPacket {
    /// The packet, decoded; `None` if it is no OSC.
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
            None => write!(formatter, "{} bytes that are no OSC", self.bytes.len()),
        }
    }
}

/// The most bytes that a capture holds before it forgets the oldest packets.
const CAPACITY: usize = 64 << 20;

#[derive(Debug, Default)]
struct Captured {
    packets: std::collections::VecDeque<CapturedPacket>,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(crate) struct CaptureBuffer(Mutex<Captured>);

impl CaptureBuffer {
    pub(crate) fn push(&self, packet: CapturedPacket) {
        let mut captured = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        captured.bytes += packet.bytes.len();
        captured.packets.push_back(packet);
        while captured.bytes > CAPACITY {
            let Some(oldest) = captured.packets.pop_front() else { break };
            captured.bytes -= oldest.bytes.len();
        }
    }
}

/// Packets since the capture began. Ends when it is dropped.
#[derive(Debug)]
pub struct Capture(pub(crate) Arc<CaptureBuffer>);

impl Capture {
    /// Takes what was captured so far.
    pub fn take(&self) -> Vec<CapturedPacket> {
        let mut captured = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        captured.bytes = 0;
        captured.packets.drain(..).collect()
    }
}
