//! What happens in each period, in the callback. It takes no lock, allocates nothing, logs nothing,
//! and makes at most one system call, to wake the router's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::bell::Bell;
use super::cell::{Part, Record};
use super::config::{Direction, PortConfig, Signal};
use super::cv::{Detector, Ramp};

/// How many records of input wait for the router's thread; the excess is dropped and counted.
const INPUT_RECORDS: usize = 8_192;

/// How many parts of messages wait for their period; the excess is dropped and counted.
const OUTPUT_PARTS: usize = 8_192;

/// The times of a period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Period {
    /// How many frames it has.
    pub(super) frames: u32,
    /// When it began, in ns.
    pub(super) start: u64,
    /// How long it lasts, in ns.
    pub(super) length: f64,
}

/// The state of the transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Transport {
    pub(super) is_rolling: bool,
    /// Quarter notes per minute, if a program provides a tempo.
    pub(super) tempo: Option<f64>,
}

/// The server during one period, as the callback sees it. Ports are numbered as in the instance.
pub(super) trait Server {
    /// The times of this period.
    fn period(&mut self) -> Period;

    /// Calls `take` for each message that a port has received.
    fn messages(&mut self, port: usize, take: &mut dyn FnMut(&[u8]));

    /// Removes what the buffer of an output contains. To be called first in each period.
    fn clear(&mut self, port: usize);

    /// Adds a message of `length` bytes, which `fill` writes, at a frame. Returns false if
    /// the buffer is full.
    fn write(
        &mut self,
        port: usize,
        frame: u32,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> bool;

    /// The samples that a port has received.
    fn received(&mut self, port: usize) -> &[f32];

    /// The samples that a port sends.
    fn sent(&mut self, port: usize) -> &mut [f32];

    /// The state of the transport.
    fn transport(&mut self) -> Transport;
}

/// What both threads see of a connection to the server.
#[derive(Default)]
pub(super) struct Shared {
    /// Messages that were lost because the router's thread was too slow.
    pub(super) lost_input: AtomicU64,
    /// Messages that did not fit into an empty buffer of the server.
    pub(super) lost_output: AtomicU64,
    /// Samples that were not finite.
    pub(super) invalid: AtomicU64,
    /// The number of periods so far.
    pub(super) periods: AtomicU64,
    /// Whether the server runs faster or slower than time.
    pub(super) is_freewheeling: AtomicBool,
    /// Frames per second.
    pub(super) sample_rate: AtomicU32,
    /// Whether a mapping reads the transport.
    pub(super) reads_transport: AtomicBool,
}

/// The ends of the rings that the router's thread has.
pub(super) struct RouterEnd {
    pub(super) input: Consumer<Record>,
    pub(super) output: Producer<Part>,
    pub(super) shared: Arc<Shared>,
}

impl RouterEnd {
    /// Queues a message. Returns false if the ring is full.
    pub(super) fn send(&mut self, message: &[u8], time: u64, port: u16) -> bool {
        let parts = Part::split(message, time, port);
        match self.output.write_chunk_uninit(parts.len()) {
            // All parts become visible at once.
            Ok(chunk) => {
                chunk.fill_from_iter(parts);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the callback has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.output.slots() == self.output.buffer().capacity()
    }
}

/// The newest values of the outputs for control voltage, by number of the port.
pub(super) type Levels = Arc<[AtomicU32]>;

/// One port in the callback.
enum PortState {
    MidiIn,
    /// The frame of the last message in this period, if there is one.
    MidiOut(Option<u32>),
    CvIn(Detector),
    CvOut(Ramp),
}

/// The callback's state.
pub(super) struct Process {
    ports: Box<[PortState]>,
    input: Producer<Record>,
    output: Consumer<Part>,
    levels: Levels,
    shared: Arc<Shared>,
    bell: Arc<Bell>,
    /// The last reported state of the transport.
    transport: Option<Transport>,
    has_input: bool,
}

impl Process {
    /// A callback, and the other ends of its rings. `bell` wakes the router's thread.
    pub(super) fn new(
        ports: &[PortConfig],
        levels: Levels,
        bell: Arc<Bell>,
    ) -> (Process, RouterEnd) {
        let (input, input_end) = RingBuffer::new(INPUT_RECORDS);
        let (output_end, output) = RingBuffer::new(OUTPUT_PARTS);
        let shared = Arc::new(Shared::default());
        let state = |port: &PortConfig| match (port.signal, port.direction) {
            (Signal::Midi, Direction::In) => PortState::MidiIn,
            (Signal::Midi, Direction::Out) => PortState::MidiOut(None),
            (Signal::Cv, Direction::In) => {
                PortState::CvIn(Detector::new(port.detection, port.range, port.rate))
            }
            (Signal::Cv, Direction::Out) => {
                PortState::CvOut(Ramp::new(port.is_ramped, port.range.rest()))
            }
        };
        let process = Process {
            ports: ports.iter().map(state).collect(),
            input,
            output,
            levels,
            shared: Arc::clone(&shared),
            bell,
            transport: None,
            has_input: false,
        };
        (process, RouterEnd { input: input_end, output: output_end, shared })
    }

    /// What both threads see.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Handles one period.
    pub(super) fn run(&mut self, server: &mut impl Server) {
        let period = server.period();
        for (number, port) in self.ports.iter_mut().enumerate() {
            let (input, shared) = (&mut self.input, &self.shared);
            match port {
                PortState::MidiIn => server.messages(number, &mut |message| {
                    self.has_input = true;
                    if message.len() > super::cell::MAX_MESSAGE_BYTES || message.is_empty() {
                        shared.lost_input.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                    let parts = Part::split(message, 0, number as u16);
                    if let Ok(chunk) = input.write_chunk_uninit(parts.len()) {
                        chunk.fill_from_iter(parts.map(Record::Midi));
                    } else {
                        shared.lost_input.fetch_add(1, Ordering::Relaxed);
                    }
                }),
                PortState::CvIn(detector) => {
                    let sample_rate = shared.sample_rate.load(Ordering::Relaxed);
                    detector.process(server.received(number), sample_rate, |value| {
                        self.has_input = true;
                        input.push(Record::Value(number as u16, value)).is_ok()
                    });
                    let invalid = detector.take_invalid();
                    if invalid > 0 {
                        shared.invalid.fetch_add(invalid.into(), Ordering::Relaxed);
                    }
                }
                PortState::MidiOut(_) | PortState::CvOut(_) => {}
            }
        }
        // Where an input is connected with an output of its own client, both have one buffer, which
        // contains the period before until it is filled.
        for (number, port) in self.ports.iter_mut().enumerate() {
            match port {
                PortState::MidiOut(last_frame) => {
                    *last_frame = None;
                    server.clear(number);
                }
                PortState::CvOut(ramp) => {
                    let level = self.levels[number].load(Ordering::Relaxed);
                    ramp.fill(server.sent(number), f32::from_bits(level));
                }
                PortState::MidiIn | PortState::CvIn(_) => {}
            }
        }
        self.send(&period, server);
        if self.shared.reads_transport.load(Ordering::Relaxed) {
            self.report_transport(server.transport());
        }
        self.shared.periods.fetch_add(1, Ordering::Release);
        if std::mem::take(&mut self.has_input) {
            self.bell.ring();
        }
    }

    /// Sends the messages that are older than this period, at the frames that their times had in the
    /// period before.
    fn send(&mut self, period: &Period, server: &mut impl Server) {
        let is_freewheeling = self.shared.is_freewheeling.load(Ordering::Relaxed);
        while let Ok(&Part { time, port, .. }) = self.output.peek() {
            let frame = if is_freewheeling {
                0
            } else if time < period.start {
                let age = (period.start - time) as f64 / period.length;
                let frame = (1.0 - age) * f64::from(period.frames);
                (frame.max(0.0) as u32).min(period.frames.saturating_sub(1))
            } else {
                return;
            };
            // The router's thread makes all parts of a message visible at once.
            let Ok(chunk) = self.output.read_chunk(self.output.slots()) else { return };
            let (first, second) = chunk.as_slices();
            let mut count = 0;
            let mut length = 0;
            for part in first.iter().chain(second) {
                count += 1;
                length += part.bytes().len();
                if !part.is_continued {
                    break;
                }
            }
            let parts = first.iter().chain(second).take(count);
            let mut fill = |target: &mut [u8]| {
                let mut rest = target;
                for part in parts.clone() {
                    let (head, tail) = rest.split_at_mut(part.bytes().len());
                    head.copy_from_slice(part.bytes());
                    rest = tail;
                }
            };
            let number = usize::from(port);
            let Some(PortState::MidiOut(last_frame)) = self.ports.get_mut(number) else {
                chunk.commit(count);
                continue;
            };
            let frame = frame.max(last_frame.unwrap_or(0));
            if server.write(number, frame, length, &mut fill) {
                *last_frame = Some(frame);
            } else if last_frame.is_none() {
                // It fits into no period.
                self.shared.lost_output.fetch_add(1, Ordering::Relaxed);
            } else {
                return;
            }
            chunk.commit(count);
        }
    }

    fn report_transport(&mut self, transport: Transport) {
        if self.transport == Some(transport) {
            return;
        }
        let before = self.transport;
        if before.map(|before| before.is_rolling) != Some(transport.is_rolling) {
            self.has_input = true;
            if self.input.push(Record::Rolling(transport.is_rolling)).is_err() {
                return;
            }
        }
        if let Some(tempo) = transport.tempo
            && before.and_then(|before| before.tempo) != Some(tempo)
        {
            self.has_input = true;
            if self.input.push(Record::Tempo(tempo)).is_err() {
                // The next period tries again.
                self.transport = Some(Transport { tempo: None, ..transport });
                return;
            }
        }
        self.transport = Some(transport);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jack::cv::{Detection, Range};

    /// A server in memory: what ports have received, and what was written.
    #[derive(Default)]
    struct Memory {
        period: Period,
        incoming: Vec<Vec<u8>>,
        written: Vec<(u32, Vec<u8>)>,
        /// How many bytes the buffer of an output takes.
        capacity: usize,
        received: Vec<f32>,
        sent: Vec<f32>,
        transport: Option<Transport>,
    }

    impl Server for Memory {
        fn period(&mut self) -> Period {
            self.period
        }

        fn messages(&mut self, _: usize, take: &mut dyn FnMut(&[u8])) {
            for message in self.incoming.drain(..) {
                take(&message);
            }
        }

        fn clear(&mut self, _: usize) {
            self.written.clear();
        }

        fn write(
            &mut self,
            _: usize,
            frame: u32,
            length: usize,
            fill: &mut dyn FnMut(&mut [u8]),
        ) -> bool {
            let used: usize = self.written.iter().map(|(_, bytes)| bytes.len()).sum();
            if used + length > self.capacity {
                return false;
            }
            let mut bytes = vec![0; length];
            fill(&mut bytes);
            self.written.push((frame, bytes));
            true
        }

        fn received(&mut self, _: usize) -> &[f32] {
            &self.received
        }

        fn sent(&mut self, _: usize) -> &mut [f32] {
            self.sent.resize(self.period.frames as usize, 9.0);
            &mut self.sent
        }

        fn transport(&mut self) -> Transport {
            self.transport.unwrap_or(Transport { is_rolling: false, tempo: None })
        }
    }

    fn port(signal: Signal, direction: Direction) -> PortConfig {
        PortConfig {
            name: "p".into(),
            signal,
            direction,
            range: Range { min: 0.0, max: 2.0 },
            detection: Detection::Mean,
            rate: 48_000.0,
            is_ramped: true,
            position: 0,
        }
    }

    /// A callback with one port, and the server: periods of 100 frames that last 1 ms.
    fn rig(signal: Signal, direction: Direction) -> (Process, RouterEnd, Memory, Levels) {
        let levels: Levels = [AtomicU32::new(0)].into();
        let bell = Arc::new(Bell::new().expect("a bell"));
        let (process, end) = Process::new(&[port(signal, direction)], Arc::clone(&levels), bell);
        end.shared.sample_rate.store(48_000, Ordering::Relaxed);
        let period = Period { frames: 100, start: 10_000_000, length: 1e6 };
        (process, end, Memory { period, capacity: 1_000, ..Memory::default() }, levels)
    }

    fn next(server: &mut Memory) {
        server.period.start += 1_000_000;
    }

    #[test]
    fn a_message_leaves_one_period_later_at_the_frame_of_its_time() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
        for (byte, time) in [(1, 9_000_000), (2, 9_250_000), (3, 9_999_999), (4, 10_000_000)] {
            assert!(end.send(&[byte], time, 0));
        }
        process.run(&mut server);
        let expected: Vec<(u32, Vec<u8>)> = vec![(0, vec![1]), (25, vec![2]), (99, vec![3])];
        assert_eq!(server.written, expected);
        next(&mut server);
        process.run(&mut server);
        assert_eq!(server.written, [(0, vec![4])]);
        next(&mut server);
        process.run(&mut server);
        assert!(server.written.is_empty() && end.is_empty());
    }

    #[test]
    fn a_late_message_leaves_at_once_and_none_before_its_predecessor() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
        for (byte, time) in [(1, 9_500_000), (2, 9_200_000), (3, 1)] {
            assert!(end.send(&[byte], time, 0));
        }
        process.run(&mut server);
        let expected: Vec<(u32, Vec<u8>)> = [1, 2, 3].map(|byte| (50, vec![byte])).into();
        assert_eq!(server.written, expected);
    }

    #[test]
    fn everything_leaves_at_once_while_the_server_freewheels() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
        end.shared.is_freewheeling.store(true, Ordering::Relaxed);
        assert!(end.send(&[1], 99_000_000, 0));
        process.run(&mut server);
        assert_eq!(server.written, [(0, vec![1])]);
    }

    #[test]
    fn long_messages_are_sent_whole_and_those_that_fit_nowhere_are_counted() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
        let long: Vec<u8> = (0..=255).collect();
        assert!(end.send(&long, 9_500_000, 0) && end.send(&[7], 9_500_000, 0));
        process.run(&mut server);
        assert_eq!(server.written, [(50, long.clone()), (50, vec![7])]);
        // A buffer that is full takes the rest in the next period.
        server.capacity = 257;
        for _ in 0..2 {
            assert!(end.send(&long, 9_500_000, 0));
        }
        next(&mut server);
        process.run(&mut server);
        assert_eq!(server.written.len(), 1);
        next(&mut server);
        process.run(&mut server);
        assert_eq!(server.written, [(0, long.clone())]);
        // One that is too small never does.
        server.capacity = 10;
        assert!(end.send(&long, 9_500_000, 0) && end.send(&[7], 9_500_000, 0));
        next(&mut server);
        process.run(&mut server);
        assert_eq!(server.written, [(0, vec![7])]);
        assert_eq!(end.shared.lost_output.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_full_ring_refuses_whole_messages() {
        let (_process, mut end, _, _) = rig(Signal::Midi, Direction::Out);
        let long = [0; 60];
        let count = (0..).take_while(|_| end.send(&long, 0, 0)).count();
        assert_eq!(count, OUTPUT_PARTS / 3);
        assert!(end.send(&[1], 0, 0), "two parts are left, so that a short message fits");
    }

    #[test]
    fn input_that_does_not_fit_is_lost_whole_and_counted() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::In);
        server.incoming = vec![vec![0xF0; 60]; INPUT_RECORDS / 3 + 5];
        server.incoming.push(vec![0; super::super::cell::MAX_MESSAGE_BYTES + 1]);
        process.run(&mut server);
        assert_eq!(end.shared.lost_input.load(Ordering::Relaxed), 6);
        let mut count = 0;
        while let Ok(Record::Midi(part)) = end.input.pop() {
            count += u32::from(!part.is_continued);
        }
        assert_eq!(count as usize, INPUT_RECORDS / 3);
    }

    #[test]
    fn control_voltage_goes_both_ways() {
        let (mut process, _end, mut server, levels) = rig(Signal::Cv, Direction::Out);
        process.run(&mut server);
        assert_eq!(server.sent, [0.0; 100]);
        levels[0].store(2.0_f32.to_bits(), Ordering::Relaxed);
        process.run(&mut server);
        assert!((server.sent[49] - 1.0).abs() < 1e-6 && server.sent[99] == 2.0);
        let (mut process, mut end, mut server, _) = rig(Signal::Cv, Direction::In);
        server.received = vec![1.0; 100];
        server.received[0] = f32::NAN;
        process.run(&mut server);
        assert_eq!(end.input.pop(), Ok(Record::Value(0, 0.5)));
        assert_eq!(end.shared.invalid.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn changes_of_the_transport_are_reported_once() {
        let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
        process.run(&mut server);
        assert!(end.input.pop().is_err(), "nobody reads it");
        end.shared.reads_transport.store(true, Ordering::Relaxed);
        for (is_rolling, tempo) in
            [(false, None), (true, None), (true, Some(120.0)), (true, Some(90.0))]
        {
            server.transport = Some(Transport { is_rolling, tempo });
            process.run(&mut server);
            process.run(&mut server);
        }
        let records: Vec<Record> = std::iter::from_fn(|| end.input.pop().ok()).collect();
        let expected = [
            Record::Rolling(false),
            Record::Rolling(true),
            Record::Tempo(120.0),
            Record::Tempo(90.0),
        ];
        assert_eq!(records, expected);
    }

    proptest! {
        #[test]
        fn frames_are_in_the_period_and_in_order(
            times in proptest::collection::vec(0_u64..20_000_000, 1..50),
            frames in 1_u32..5_000,
        ) {
            let (mut process, mut end, mut server, _) = rig(Signal::Midi, Direction::Out);
            server.period.frames = frames;
            for time in &times {
                prop_assert!(end.send(&[0xF8], *time, 0));
            }
            let mut count = 0;
            for _ in 0..12 {
                process.run(&mut server);
                count += server.written.len();
                prop_assert!(server.written.iter().all(|(frame, _)| *frame < frames));
                prop_assert!(server.written.is_sorted_by_key(|(frame, _)| *frame));
                next(&mut server);
            }
            prop_assert_eq!(count, times.len());
        }
    }
}
