//! The load: messages in flight or at a fixed rate, and the figures that result.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consort_bench::Samples;
use consort_osc::{BundleBuilder, Message, MessageBuilder, TimeTag};

use super::Subject;
use super::messages::{BATCH, Batch, send};

/// The number of different sequence numbers. Every message carries its own, exactly, as a float.
const SEQUENCES: u64 = 65_535;

/// The contents of the datagrams to the subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// `/x ,f`
    Float,
    /// `/x ,ff`
    TwoFloats,
    /// `/path/0 ,f`, `/path/1 ,f` and so on in turn, for this number of paths.
    Paths(u64),
    /// Like `Paths`, with one pattern option in the configuration for all paths.
    Patterns(u64),
    /// A bundle of this number of messages `/path/0 ,f`, `/path/1 ,f` and so on.
    Bundle(u64),
}

impl Shape {
    /// The number of messages per datagram.
    pub(crate) fn messages(self) -> u64 {
        match self {
            Self::Bundle(messages) => messages,
            _ => 1,
        }
    }

    /// Writes the datagram whose first message has the number `sequence`. Values are never 0.0 and
    /// never the same twice in a row on one path, because some programs send changes only.
    pub(crate) fn write(self, sequence: u64, datagram: &mut Vec<u8>) {
        datagram.clear();
        let value = |sequence: u64| (sequence % SEQUENCES + 1) as f32 / 65_536.0;
        let result = match self {
            Self::Float => MessageBuilder::new(datagram, "/x").float(value(sequence)).finish(),
            Self::TwoFloats => MessageBuilder::new(datagram, "/x")
                .float(value(sequence))
                .float(1.0 - value(sequence))
                .finish(),
            Self::Paths(paths) | Self::Patterns(paths) => {
                let path = format!("/path/{}", sequence % paths);
                MessageBuilder::new(datagram, &path).float(value(sequence)).finish()
            }
            Self::Bundle(messages) => {
                let mut bundle = BundleBuilder::new(datagram, TimeTag::IMMEDIATE);
                for index in 0..messages {
                    let path = format!("/path/{index}");
                    let mut message = bundle.message(&path);
                    message.float(value(sequence + index)).finish().expect("a vector grows");
                }
                bundle.finish()
            }
        };
        result.expect("a vector grows");
    }

    /// The number that a message carries, modulo [`SEQUENCES`].
    fn sequence(bytes: &[u8]) -> Option<usize> {
        let value = Message::decode(bytes).ok()?.arguments().next()?.as_f64()?;
        let sequence = (value * 65_536.0).round() - 1.0;
        (0.0..SEQUENCES as f64).contains(&sequence).then_some(sequence as usize)
    }
}

/// The sums of all runs with messages in flight.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Throughput {
    cpu: Duration,
    elapsed: Duration,
    received: u64,
    /// The number of messages that were not forwarded.
    pub(crate) lost: u64,
}

impl Throughput {
    /// The CPU time of the subject for each forwarded message, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.received as f64
    }

    /// The number of messages forwarded per second.
    pub(crate) fn rate(&self) -> f64 {
        self.received as f64 / self.elapsed.as_secs_f64()
    }
}

/// Keeps `in_flight` messages in flight until `messages` have been forwarded or lost.
pub(crate) fn in_flight(
    subject: &mut Subject,
    shape: Shape,
    messages: u64,
    in_flight: u64,
    sum: &mut Throughput,
) -> io::Result<()> {
    let per_datagram = shape.messages();
    let mut batch = Batch::new();
    let mut datagrams: Vec<Vec<u8>> = (0..BATCH).map(|_| Vec::with_capacity(2048)).collect();
    let (mut sent, mut received, mut lost) = (0u64, 0u64, 0u64);
    subject.drain()?;
    let cpu = subject.cpu_time()?;
    let start = Instant::now();
    while received + lost < messages {
        let available = in_flight.saturating_sub(sent - received - lost) / per_datagram;
        let count = available.min(BATCH as u64) as usize;
        if count > 0 {
            for datagram in &mut datagrams[..count] {
                shape.write(sent, datagram);
                sent += per_datagram;
            }
            let slices: Vec<&[u8]> = datagrams[..count].iter().map(Vec::as_slice).collect();
            send(subject.input(), &slices)?;
        }
        match batch.receive(subject.output()) {
            Ok(count) => received += count as u64,
            // Nothing arrived for a second: the messages in flight are lost.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => lost = sent - received,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sum.elapsed += start.elapsed();
    sum.cpu += subject.cpu_time()?.saturating_sub(cpu);
    sum.received += received;
    sum.lost += lost;
    assert!(received > 0, "{} forwarded nothing", subject.name);
    Ok(())
}

/// The samples of all runs at a fixed rate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies {
    /// Latencies in microseconds.
    samples: Samples,
    cpu: Duration,
    /// The number of messages sent so far.
    sent: u64,
    /// The number of messages that were not forwarded.
    pub(crate) lost: u64,
}

impl Latencies {
    /// The latency in microseconds that this part of the messages did not exceed.
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        self.samples.quantile(part)
    }

    /// The CPU time of the subject for each message, in microseconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.samples.len() as f64
    }
}

/// Sends `datagrams` at `rate` per second, whatever is received, and measures the time of each
/// message from just before it is sent until just after it is received.
pub(crate) fn at_rate(
    subject: &mut Subject,
    shape: Shape,
    datagrams: u64,
    rate: u64,
    sum: &mut Latencies,
) -> io::Result<()> {
    subject.drain()?;
    let departures: Vec<AtomicU64> = (0..SEQUENCES).map(|_| AtomicU64::new(0)).collect();
    let done = AtomicBool::new(false);
    let total = datagrams * shape.messages();
    // Continues where the last slice ended: a value that a path already had would not be forwarded.
    let first = sum.sent;
    sum.sent += total;
    let mut received = 0;
    let samples = &mut sum.samples;
    let cpu = subject.cpu_time()?;
    let epoch = Instant::now();
    let nanoseconds = || epoch.elapsed().as_nanos() as u64;
    let subject_input = subject.input();
    let output = subject.output();
    std::thread::scope(|scope| -> io::Result<()> {
        let sender = scope.spawn(|| -> io::Result<()> {
            let mut datagram = Vec::with_capacity(2048);
            let mut result = Ok(());
            for index in 0..datagrams {
                let sequence = first + index * shape.messages();
                shape.write(sequence, &mut datagram);
                let due = Duration::from_nanos(index * 1_000_000_000 / rate);
                if let Some(wait) = due.checked_sub(epoch.elapsed()) {
                    std::thread::sleep(wait);
                }
                let now = nanoseconds();
                for message in sequence..sequence + shape.messages() {
                    departures[(message % SEQUENCES) as usize].store(now, Ordering::Release);
                }
                result = subject_input.send(&datagram).map(drop);
                if result.is_err() {
                    break;
                }
            }
            done.store(true, Ordering::Release);
            result
        });
        let mut buffer = [0; 2048];
        while received < total {
            match output.recv(&mut buffer) {
                Ok(length) => {
                    let now = nanoseconds();
                    received += 1;
                    if let Some(sequence) = Shape::sequence(&buffer[..length]) {
                        let departure = departures[sequence].load(Ordering::Acquire);
                        samples.push(now.saturating_sub(departure) as f64 / 1e3);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if done.load(Ordering::Acquire) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        sender.join().unwrap_or_else(|_| Err(io::Error::other("the sender panicked")))
    })?;
    sum.cpu += subject.cpu_time()?.saturating_sub(cpu);
    sum.lost += total - received;
    assert!(received > 0, "{} forwarded nothing", subject.name);
    Ok(())
}
