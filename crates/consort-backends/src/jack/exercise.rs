//! The callback with a server in memory, for tests that count what it does. Not part of the public
//! interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::bell::Bell;
use super::config::{Direction, PortConfig, Signal};
use super::cv::{Detection, Range};
use super::process::{Levels, Period, Process, RouterEnd, Server, Transport};

/// The length of a period in ns: 64 frames at 48 kHz.
const PERIOD_NS: u64 = 1_333_333;

/// Frames in a period.
const FRAMES: usize = 64;

/// What a callback did in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Messages that were sent.
    pub sent: usize,
    /// Records that the router's thread got.
    pub received: usize,
}

/// A callback with a port of each kind.
pub struct Exercise {
    process: Process,
    end: RouterEnd,
    levels: Levels,
    server: Buffers,
}

/// The buffers of a server that is not there.
struct Buffers {
    period: Period,
    incoming: usize,
    written: usize,
    bytes: [u8; 64],
    received: [f32; FRAMES],
    sent: [f32; FRAMES],
}

impl Server for Buffers {
    fn period(&mut self) -> Period {
        self.period
    }

    fn messages(&mut self, _: usize, take: &mut dyn FnMut(&[u8])) {
        for _ in 0..self.incoming {
            take(&[0x90, 60, 100]);
        }
    }

    fn clear(&mut self, _: usize) {}

    fn write(&mut self, _: usize, _: u32, length: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool {
        fill(&mut self.bytes[..length]);
        self.written += 1;
        true
    }

    fn received(&mut self, _: usize) -> &[f32] {
        &self.received
    }

    fn sent(&mut self, _: usize) -> &mut [f32] {
        &mut self.sent
    }

    fn transport(&mut self) -> Transport {
        Transport { is_rolling: self.written.is_multiple_of(2), tempo: Some(120.0) }
    }
}

impl Exercise {
    /// # Errors
    /// The error of the operating system.
    pub fn new() -> std::io::Result<Self> {
        let port = |signal, direction, detection| PortConfig {
            name: "port".into(),
            signal,
            direction,
            range: Range { min: 0.0, max: 1.0 },
            detection,
            rate: 10_000.0,
            is_ramped: true,
            position: 0,
        };
        let ports = [
            port(Signal::Midi, Direction::Out, Detection::Mean),
            port(Signal::Midi, Direction::In, Detection::Mean),
            port(Signal::Cv, Direction::Out, Detection::Mean),
            port(Signal::Cv, Direction::In, Detection::Mean),
            port(Signal::Cv, Direction::In, Detection::Peak),
            port(Signal::Cv, Direction::In, Detection::Gate),
        ];
        let levels: Levels = ports.iter().map(|_| AtomicU32::new(0)).collect();
        let (process, end) = Process::new(&ports, Arc::clone(&levels), Arc::new(Bell::new()?));
        end.shared.sample_rate.store(48_000, Ordering::Relaxed);
        end.shared.reads_transport.store(true, Ordering::Relaxed);
        let period =
            Period { frames: FRAMES as u32, start: 1_000_000_000, length: PERIOD_NS as f64 };
        let server = Buffers {
            period,
            incoming: 0,
            written: 0,
            bytes: [0; 64],
            received: [0.0; FRAMES],
            sent: [0.0; FRAMES],
        };
        Ok(Exercise { process, end, levels, server })
    }

    /// Queues `messages` for the next period, which receives as many and other samples, too. One of
    /// them is a system exclusive message of 50 bytes.
    pub fn prepare(&mut self, messages: usize) {
        let start = self.server.period.start;
        self.server.period.start = start + PERIOD_NS;
        for index in 0..messages {
            let message: &[u8] = if index == 0 { &[0xF0; 50] } else { &[0xB0, 7, 64] };
            self.end.send(message, start + 20_000 * index as u64 % PERIOD_NS, 0);
        }
        self.server.incoming = messages;
        self.server.written = 0;
        let level = (self.server.period.start / PERIOD_NS % 2) as f32;
        self.server.received = [level; FRAMES];
        self.levels[2].store(level.to_bits(), Ordering::Relaxed);
    }

    /// Runs the callback for one period.
    pub fn run(&mut self) {
        self.process.run(&mut self.server);
    }

    /// What it did.
    pub fn finish(&mut self) -> Done {
        let received = std::iter::from_fn(|| self.end.input.pop().ok()).count();
        Done { sent: self.server.written, received }
    }
}
