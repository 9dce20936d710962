//! Programs of requests, written as bytes, and what a sequencer answers to them.
//!
//! The same program runs on any engine and leaves a transcript. The fuzz target runs arbitrary
//! bytes on the embedded engine; the differential test runs random ones on the kernel and on the
//! embedded engine and compares the transcripts line by line.

use std::fmt::Debug;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use super::{ClockKind, Connection, Embedded, Engine, Errno, OpenMode, Request};
use crate::raw::{
    Address, ClientInfo, ClientPool, Event, EventData, NoteData, PortInfo, PortSubscribe,
    QuerySubscribers, QueueClient, QueueInfo, QueueStatus, QueueTempo, QueueTimer, RemoveEvents,
    RunningInfo, SystemInfo, Timestamp, address, event_flag, event_type, port_capability,
    port_flag, remove, set_name,
};

/// Clients that a program has at most.
const SLOTS: usize = 4;
/// Steps that a program has at most.
const STEP_LIMIT: usize = 400;
/// A tempo at which a tick of 1 PPQ lasts 2,147 s: ticks stand still while a program runs.
const SLOWEST: u32 = i32::MAX as u32;

/// How freely a program may treat time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Any tempo and stamp: for one engine alone.
    Free,
    /// Nothing that depends on when a step happens: for comparing engines. After a step that
    /// controls a queue, `settle` waits for the engine to have done what is due.
    Comparable {
        /// How long to wait.
        settle: Duration,
    },
}

struct Source<'a> {
    bytes: &'a [u8],
}

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&byte, rest)) => {
                self.bytes = rest;
                byte
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: u8) -> u8 {
        self.byte() % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.byte() as usize % from.len()]
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn chance(&mut self, of_256: u8) -> bool {
        self.byte() < of_256
    }
}

struct Runner<'a> {
    source: Source<'a>,
    engine: &'a Engine,
    timing: Timing,
    slots: [Option<(Box<dyn Connection>, u8)>; SLOTS],
    transcript: Vec<String>,
    buffer: Vec<u8>,
}

/// Runs a program; returns a line for each step: what was asked and what was answered.
#[must_use]
pub fn run(engine: &Engine, program: &[u8], timing: Timing) -> Vec<String> {
    let mut runner = Runner {
        source: Source { bytes: program },
        engine,
        timing,
        slots: [const { None }; SLOTS],
        transcript: Vec::new(),
        buffer: vec![0; 8192],
    };
    // Every program starts with two clients that have a port each.
    for slot in 0..2 {
        runner.open(slot, OpenMode::Duplex);
        runner.make_port(slot, 0x63, 0, 0);
    }
    for _ in 0..STEP_LIMIT {
        if runner.source.bytes.is_empty() {
            break;
        }
        runner.step();
    }
    // What has arrived by then is part of the answer.
    for slot in 0..SLOTS {
        runner.read(slot, 8192);
    }
    runner.transcript
}

/// The body of the fuzz target `embedded_engine`: any program, with the engine's invariants
/// checked afterwards.
///
/// # Panics
/// If an invariant does not hold: that is the point.
pub fn embedded_engine(program: &[u8]) {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let (first, second) = program.split_at(program.len() / 2);
    let _transcript = run(&engine, first, Timing::Free);
    embedded.check_invariants();
    embedded.advance(Duration::from_millis(program.len() as u64 * 7));
    let _transcript = run(&engine, second, Timing::Free);
    embedded.check_invariants();
    let _passed = embedded.run_until_idle();
    embedded.check_invariants();
    let listing = embedded.clients_listing() + &embedded.queues_listing();
    assert!(listing.contains("cur  clients : 2\n"), "clients are left behind:\n{listing}");
    assert!(!listing.contains("queue "), "queues are left behind:\n{listing}");
}

impl Runner<'_> {
    fn comparable(&self) -> bool {
        matches!(self.timing, Timing::Comparable { .. })
    }

    fn note(&mut self, asked: impl Debug, answered: impl Debug) {
        self.transcript.push(format!("{asked:?} => {answered:?}"));
    }

    fn open(&mut self, slot: usize, mode: OpenMode) {
        self.slots[slot] = None;
        let opened = self.engine.open(mode);
        let mut number = 0;
        let result = match opened {
            Ok(connection) => {
                let result = connection.ioctl(Request::ClientId(&mut number));
                self.slots[slot] = Some((connection, number as u8));
                result
            }
            Err(error) => Err(error.errno().unwrap_or(Errno::INVALID)),
        };
        self.note(("open", slot, mode), (number, result));
    }

    /// Asks one client, and notes question and answer.
    fn ask<T: Copy + Debug>(
        &mut self,
        slot: usize,
        argument: &mut T,
        request: fn(&mut T) -> Request<'_>,
        mask: impl FnOnce(&mut T),
    ) -> Result<i32, Errno> {
        let Some((connection, _)) = &self.slots[slot] else { return Err(Errno::NO_LONGER_KNOWN) };
        let asked = *argument;
        let name = request(argument).name();
        let result = connection.ioctl(request(argument));
        let mut answered = *argument;
        mask(&mut answered);
        let answered = result.is_ok().then_some(answered);
        self.note((slot, name, asked), (result, answered));
        result
    }

    fn make_port(&mut self, slot: usize, capability: u32, flags: u32, port: u8) {
        let Some((_, number)) = self.slots[slot] else { return };
        let client = if self.source.chance(8) { number ^ 1 } else { number };
        let mut info = PortInfo {
            address: Address::new(client, port),
            capability,
            kind: 0x2_0002,
            midi_channels: 16,
            flags,
            time_queue: self.source.below(4),
            ..PortInfo::default()
        };
        if self.source.chance(128) {
            set_name(&mut info.name, "a port");
        }
        let _noted = self.ask(slot, &mut info, |argument| Request::CreatePort(argument), |_| ());
    }

    fn slot(&mut self) -> usize {
        let first = self.source.below(SLOTS as u8) as usize;
        (0..SLOTS)
            .map(|step| (first + step) % SLOTS)
            .find(|&slot| self.slots[slot].is_some())
            .unwrap_or(first)
    }

    /// A client number, mostly of a client that is there.
    fn client_number(&mut self) -> u8 {
        let choice = self.source.below(16);
        match choice {
            0 => address::CLIENT_SYSTEM,
            1 => address::CLIENT_MIDI_THROUGH,
            2 => self.source.pick(&[5, 100, 127, 170, 191, 192, 253, 255]),
            _ => {
                let slot = self.slot();
                self.slots[slot].as_ref().map_or(128, |(_, number)| *number)
            }
        }
    }

    fn user_address(&mut self) -> Address {
        let slot = self.slot();
        let client = self.slots[slot].as_ref().map_or(128, |(_, number)| *number);
        Address::new(client, self.port_number())
    }

    fn address(&mut self) -> Address {
        let client = self.client_number();
        Address::new(client, self.port_number())
    }

    fn port_number(&mut self) -> u8 {
        self.source.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 0, 0, 1, 0, 0, 1, 253, 254])
    }

    fn queue_number(&mut self) -> i32 {
        self.source.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 0, 0, 0, 1, 31, 32, -1, 255])
    }

    fn time(&mut self, real: bool) -> Timestamp {
        if self.comparable() {
            let far = self.source.pick(&[0, 0, 0, 1, 1, 2, 5, 100]);
            return Timestamp::from_tick(if real { far * 100_000 } else { far });
        }
        match self.source.below(4) {
            0 => Timestamp::default(),
            1 => Timestamp { words: [self.source.word(), self.source.word()] },
            _ => Timestamp { words: [self.source.byte().into(), self.source.word() >> 2] },
        }
    }

    fn step(&mut self) {
        let slot = self.slot();
        if self.slots[slot].is_none() {
            self.open(slot, OpenMode::Duplex);
        }
        match self.source.below(32) {
            0 => {
                let mode = self.source.pick(&[OpenMode::Duplex, OpenMode::Input, OpenMode::Output]);
                let slot = self.source.below(SLOTS as u8) as usize;
                self.open(slot, mode);
            }
            1 => {
                if self.source.chance(64) {
                    self.slots[slot] = None;
                    self.note(("close", slot), ());
                }
            }
            2 => self.create_port(slot),
            3 => self.change_port(slot),
            4..=6 => self.subscribe(slot),
            7 => self.query(slot),
            8 => self.create_queue(slot),
            9 | 10 => self.queue_step(slot),
            11 => self.pool(slot),
            12 => self.remove(slot),
            13 => self.client(slot),
            14..=23 => self.write(slot),
            24 => {
                self.pass();
                self.scheduled(slot);
            }
            _ => {
                let size = self.source.pick(&[8192, 8192, 8192, 28, 56, 0, 27, 100, 300]);
                self.read(slot, size);
            }
        }
        self.poll(slot);
    }

    fn poll(&mut self, slot: usize) {
        let Some((connection, number)) = &self.slots[slot] else { return };
        let descriptor = connection.descriptor();
        let mut descriptors = [PollFd::new(&descriptor, PollFlags::IN | PollFlags::OUT)];
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let polled = poll(&mut descriptors, Some(&none)).is_ok();
        let events = descriptors[0].revents() & (PollFlags::IN | PollFlags::OUT);
        let mut pool = ClientPool { client: i32::from(*number), ..ClientPool::default() };
        let asked = connection.ioctl(Request::GetClientPool(&mut pool));
        let free = (pool.output_free, pool.input_free);
        self.note(("poll", slot, polled), (events.bits(), asked, free));
    }

    fn create_port(&mut self, slot: usize) {
        let capability = if self.source.chance(96) {
            // MIDI 2.0 endpoints are not for comparing.
            self.source.word() & if self.comparable() { 0x1ff } else { 0x3ff }
        } else {
            self.source.pick(&[0x63, 0x63, 0x21, 0x42, 0x03, 0xe3])
        };
        let mut flags = self.source.pick(&[
            0,
            0,
            port_flag::TIMESTAMP,
            port_flag::TIMESTAMP | port_flag::TIME_REAL,
        ]);
        let port = self.port_number();
        // A number that is taken is answered differently by different kernels.
        if self.source.chance(32) && port >= 3 {
            flags |= port_flag::GIVEN_PORT;
        }
        self.make_port(slot, capability, flags, port);
    }

    fn change_port(&mut self, slot: usize) {
        let mut info = PortInfo { address: self.address(), ..PortInfo::default() };
        match self.source.below(8) {
            0 => {
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::DeletePort(argument), |_| ());
            }
            1 | 2 => {
                info.address = self.user_address();
                info.capability = self.source.pick(&[0x63, 0x63, 0x21, 0x42, 0x83]);
                info.flags = self.source.pick(&[0, port_flag::TIMESTAMP]);
                info.time_queue = self.source.below(3);
                info.ump_group = 0;
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::SetPortInfo(argument), |_| ());
            }
            3 => {
                info.address.port = self.source.pick(&[255, 0, 1, 2]);
                info.capability = self.source.pick(&[0, port_capability::INACTIVE]);
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::QueryNextPort(argument), |_| ());
            }
            _ => {
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::GetPortInfo(argument), |_| ());
            }
        }
    }

    fn subscribe(&mut self, slot: usize) {
        let (sender, dest) = match self.source.below(4) {
            0 => (self.address(), self.user_address()),
            1 => (self.user_address(), self.address()),
            2 => (Address::new(0, self.source.below(2)), self.user_address()),
            _ => (self.user_address(), self.user_address()),
        };
        let mut request = PortSubscribe {
            sender,
            dest,
            voices: 0,
            flags: self.source.pick(&[0, 0, 0, 0, 0, 1, 2, 6]),
            queue: self.source.below(3),
            ..PortSubscribe::default()
        };
        match self.source.below(8) {
            0 | 1 => {
                let _noted = self.ask(
                    slot,
                    &mut request,
                    |argument| Request::UnsubscribePort(argument),
                    |_| (),
                );
            }
            2 => {
                let _noted = self.ask(
                    slot,
                    &mut request,
                    |argument| Request::GetSubscription(argument),
                    |_| (),
                );
            }
            _ => {
                let _noted = self.ask(
                    slot,
                    &mut request,
                    |argument| Request::SubscribePort(argument),
                    |_| (),
                );
            }
        }
    }

    fn query(&mut self, slot: usize) {
        let mut query = QuerySubscribers {
            root: self.address(),
            kind: self.source.pick(&[0, 0, 1, 1, 2]),
            index: self.source.pick(&[0, 0, 0, 1, 1, 2, -1, 5]),
            ..QuerySubscribers::default()
        };
        let _noted =
            self.ask(slot, &mut query, |argument| Request::QuerySubscribers(argument), |_| ());
    }

    fn create_queue(&mut self, slot: usize) {
        let mut info = QueueInfo::default();
        info.set_locked(self.source.chance(128));
        if self.source.chance(128) {
            set_name(&mut info.name, self.source.pick(&["one", "two"]));
        }
        let made = self.ask(slot, &mut info, |argument| Request::CreateQueue(argument), |_| ());
        if made.is_ok() && self.comparable() {
            let mut tempo =
                QueueTempo { queue: info.queue, tempo: SLOWEST, ppq: 1, ..QueueTempo::default() };
            let _noted =
                self.ask(slot, &mut tempo, |argument| Request::SetQueueTempo(argument), |_| ());
        }
    }

    fn queue_step(&mut self, slot: usize) {
        let queue = self.queue_number();
        let comparable = self.comparable();
        match self.source.below(12) {
            0 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::DeleteQueue(argument), |_| ());
            }
            1 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::GetQueueInfo(argument), |_| ());
            }
            2 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                if !self.source.chance(32) {
                    info.owner = self.slots[slot].as_ref().map_or(0, |(_, number)| *number).into();
                }
                info.set_locked(self.source.chance(128));
                set_name(&mut info.name, self.source.pick(&["one", "two", ""]));
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::SetQueueInfo(argument), |_| ());
            }
            3 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                set_name(&mut info.name, self.source.pick(&["one", "two", "Queue-0", ""]));
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::GetNamedQueue(argument), |_| ());
            }
            4 | 5 => {
                let mut status = QueueStatus { queue, ..QueueStatus::default() };
                let _noted = self.ask(
                    slot,
                    &mut status,
                    |argument| Request::GetQueueStatus(argument),
                    |status| {
                        if comparable && status.running != 0 {
                            status.time = Default::default();
                        }
                    },
                );
            }
            6 => {
                let mut tempo = QueueTempo { queue, ..QueueTempo::default() };
                let _noted =
                    self.ask(slot, &mut tempo, |argument| Request::GetQueueTempo(argument), |_| ());
            }
            7 => {
                let mut tempo = QueueTempo { queue, ..QueueTempo::default() };
                tempo.tempo = self.source.pick(&[SLOWEST, SLOWEST - 1, 0, u32::MAX, SLOWEST]);
                tempo.ppq = self.source.pick(&[1, 1, 2, 0, -1]);
                tempo.skew_base = self.source.pick(&[0, 0x1_0000, 1]);
                tempo.skew_value = self.source.pick(&[0x1_0000, 0x8000]);
                if !comparable {
                    tempo.tempo = self.source.word() >> self.source.below(32);
                    tempo.ppq = (self.source.word() >> self.source.below(32)).cast_signed();
                    tempo.skew_value = self.source.word();
                }
                let _noted =
                    self.ask(slot, &mut tempo, |argument| Request::SetQueueTempo(argument), |_| ());
            }
            8 => {
                let mut timer = QueueTimer { queue, ..QueueTimer::default() };
                let _noted =
                    self.ask(slot, &mut timer, |argument| Request::GetQueueTimer(argument), |_| ());
            }
            9 => {
                let mut timer = QueueTimer { queue, ..QueueTimer::default() };
                timer.kind = self.source.pick(&[0, 1, 2]);
                timer.id.class = 1;
                timer.id.card = -1;
                timer.id.device = 3;
                timer.resolution = self.source.pick(&[0, 1000]);
                let _noted =
                    self.ask(slot, &mut timer, |argument| Request::SetQueueTimer(argument), |_| ());
            }
            10 => {
                let mut usage = QueueClient { queue, ..QueueClient::default() };
                let _noted = self.ask(
                    slot,
                    &mut usage,
                    |argument| Request::GetQueueClient(argument),
                    |_| (),
                );
            }
            _ => {
                let used = self.source.pick(&[1, 1, 0, -1]);
                let mut usage = QueueClient { queue, used, ..QueueClient::default() };
                let used = self.ask(
                    slot,
                    &mut usage,
                    |argument| Request::SetQueueClient(argument),
                    |_| (),
                );
                // The first user finds the timer as new: slow it down again.
                if used.is_ok() && comparable {
                    let mut tempo =
                        QueueTempo { queue, tempo: SLOWEST, ppq: 1, ..QueueTempo::default() };
                    let _noted = self.ask(
                        slot,
                        &mut tempo,
                        |argument| Request::SetQueueTempo(argument),
                        |_| (),
                    );
                }
            }
        }
    }

    fn pool(&mut self, slot: usize) {
        let client = self.client_number().into();
        let mut pool = ClientPool { client, ..ClientPool::default() };
        if self.source.chance(128) {
            pool.output_pool = self.source.pick(&[0, 0, 1, 3, 10, 500, 2000, 2001, -1]);
            pool.input_pool = self.source.pick(&[0, 0, 1, 3, 10, 200, 2000, 2001, -1]);
            pool.output_room = self.source.pick(&[0, 1, 2, 5, 250, 600, -1]);
            let _noted =
                self.ask(slot, &mut pool, |argument| Request::SetClientPool(argument), |_| ());
        } else {
            let _noted =
                self.ask(slot, &mut pool, |argument| Request::GetClientPool(argument), |_| ());
        }
    }

    fn remove(&mut self, slot: usize) {
        let mut mode = remove::OUTPUT | (self.source.word() & 0x3ff & self.source.word());
        if !self.source.chance(64) {
            mode &= !remove::INPUT;
        }
        let mut condition = RemoveEvents {
            mode,
            time: self.time(mode & remove::TIME_TICK == 0),
            queue: self.source.below(3),
            dest: self.address(),
            channel: self.source.below(2),
            kind: self.source.pick(&[5, 6, 7, 10, 50]),
            tag: self.source.below(2),
            ..RemoveEvents::default()
        };
        let _noted =
            self.ask(slot, &mut condition, |argument| Request::RemoveEvents(argument), |_| ());
    }

    fn client(&mut self, slot: usize) {
        let mut info = ClientInfo { client: self.client_number().into(), ..ClientInfo::default() };
        match self.source.below(8) {
            0 => {
                let client = self.client_number();
                let cpu_mode = self.source.pick(&[0, 4, 8, 9]);
                let mut running = RunningInfo { client, cpu_mode, ..RunningInfo::default() };
                running.big_endian = u8::from(self.source.chance(32));
                let _noted =
                    self.ask(slot, &mut running, |argument| Request::RunningMode(argument), |_| ());
                let mut system = SystemInfo::default();
                let _noted = self.ask(
                    slot,
                    &mut system,
                    |argument| Request::SystemInfo(argument),
                    |system| {
                        system.current_clients = 0;
                    },
                );
            }
            1 => {
                info.client = self.source.pick(&[-1, -5, 13, 127, 128, 129, 190, 1000]);
                let _noted = self.ask(
                    slot,
                    &mut info,
                    |argument| Request::QueryNextClient(argument),
                    |_| (),
                );
            }
            2 => {
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::GetClientInfo(argument), |_| ());
            }
            3 => {
                let mut version = self.source.pick(&[0x1_0002, 0x1_0003, 0x1_0005]);
                if !self.comparable() {
                    let _noted = self.ask(
                        slot,
                        &mut version,
                        |argument| Request::UserProtocolVersion(argument),
                        |_| (),
                    );
                }
            }
            _ => {
                let number = self.slots[slot].as_ref().map_or(0, |(_, number)| *number);
                info.client = if self.source.chance(16) { info.client } else { number.into() };
                info.kind = if self.source.chance(16) { 2 } else { 1 };
                info.filter = self.source.pick(&[0, 4, 4, 4, 1 << 31, 1 << 31 | 4]);
                info.event_filter = [self.source.pick(&[0, 0xff, 0x40, 0xa5]); 32];
                if self.source.chance(64) {
                    set_name(&mut info.name, "a client");
                }
                info.lost_events = self.source.below(2).into();
                let _noted =
                    self.ask(slot, &mut info, |argument| Request::SetClientInfo(argument), |_| ());
            }
        }
    }

    fn event(&mut self) -> (Event, Vec<u8>) {
        let kind = if self.source.chance(24) {
            self.source.byte()
        } else {
            self.source.pick(&[
                event_type::NOTE,
                event_type::NOTE_ON,
                event_type::NOTE_OFF,
                event_type::CONTROLLER,
                event_type::ECHO,
                event_type::SYSEX,
                event_type::NONE,
                event_type::USER_VARIABLE_0,
            ])
        };
        let variable = (130..=139).contains(&kind);
        let mut flags = if variable { event_flag::LENGTH_VARIABLE } else { 0 };
        flags |= self.source.pick(&[0, 0, 0, 1, 1, 2, 3, 16, 17]);
        if self.source.chance(6) {
            flags = self.source.byte() & !event_flag::UMP;
        }
        let dest = match self.source.below(4) {
            0 => Address::new(address::SUBSCRIBERS, 0),
            1 => self.address(),
            _ => self.user_address(),
        };
        let mut event = Event {
            kind,
            flags,
            tag: self.source.below(2),
            queue: self.source.pick(&[253, 253, 0, 0, 0, 0, 1, 2, 254, 9]),
            time: self.time(flags & 1 != 0),
            source: Address::new(self.source.below(2) * 77, self.source.pick(&[0, 0, 0, 1, 7])),
            dest,
            data: EventData::default(),
        };
        let mut data = Vec::new();
        if variable {
            let length = self.source.pick(&[0, 1, 10, 28, 29, 100, 300]);
            data = (0..length).map(|index| index as u8).collect();
            event.data = EventData::from_external_length(length);
        } else {
            event.data = EventData::from_note(NoteData {
                channel: self.source.below(2),
                note: self.source.byte(),
                velocity: 100,
                off_velocity: 64,
                duration: self.source.pick(&[0, 3, 1_000_000]) * 1000,
            });
        }
        (event, data)
    }

    fn control(&mut self) -> Event {
        let kind = self.source.pick(&[30, 30, 31, 32, 33, 34, 35, 36, 38]);
        let mut data = [0; 12];
        data[0] = self.queue_number().cast_unsigned() as u8;
        let mut value = match kind {
            event_type::TEMPO => self.source.pick(&[SLOWEST, 0, u32::MAX]),
            event_type::QUEUE_SKEW => 0x1_0000,
            _ => self.source.pick(&[0, 1, 2, 50]),
        };
        if !self.comparable() && self.source.chance(64) {
            value = self.source.word();
        }
        data[4..8].copy_from_slice(&value.to_ne_bytes());
        let second: u32 = if kind == event_type::QUEUE_SKEW { 0x1_0000 } else { 0 };
        data[8..].copy_from_slice(&second.to_ne_bytes());
        Event {
            kind,
            queue: self.source.pick(&[253, 253, 253, 0]),
            dest: Address::new(0, 0),
            data: EventData::from_bytes(data),
            ..Event::default()
        }
    }

    fn write(&mut self, slot: usize) {
        let mut bytes = Vec::new();
        let mut events = Vec::new();
        if self.source.chance(40) {
            events.push(self.control());
            bytes.extend(events[0].to_bytes());
        } else {
            for _ in 0..=self.source.below(4) {
                let (event, data) = self.event();
                bytes.extend(event.to_bytes());
                bytes.extend(data);
                events.push(event);
            }
        }
        if self.source.chance(8) {
            let cut = self.source.below(30) as usize;
            bytes.truncate(bytes.len().saturating_sub(cut));
        }
        let repeat = if self.source.chance(16) { self.source.byte() } else { 1 };
        for _ in 0..repeat.max(1) {
            self.write_bytes(slot, &bytes, &events);
        }
    }

    fn write_bytes(&mut self, slot: usize, bytes: &[u8], events: &[Event]) {
        let Some((connection, _)) = &self.slots[slot] else { return };
        let result = connection.write(bytes);
        if let Timing::Comparable { settle } = self.timing
            && events.iter().any(|event| (30..40).contains(&event.kind))
        {
            std::thread::sleep(settle);
        }
        self.note((slot, "write", bytes.len(), events), result);
    }

    /// Lets virtual time pass, up to 38 hours, where nothing is to be compared.
    fn pass(&mut self) {
        if let (Timing::Free, Engine::Embedded(embedded)) = (self.timing, self.engine) {
            let step = u64::from(self.source.word()) << self.source.below(16);
            embedded.advance(Duration::from_nanos(step));
        }
    }

    /// Fills a queue with events that are not due yet.
    fn scheduled(&mut self, slot: usize) {
        for _ in 0..self.source.below(12) {
            let (mut event, data) = self.event();
            event.queue = 0;
            event.flags &= !event_flag::LENGTH_USER;
            let mut bytes = event.to_bytes().to_vec();
            bytes.extend(data);
            self.write_bytes(slot, &bytes, &[event]);
        }
    }

    fn read(&mut self, slot: usize, size: usize) {
        let Some((connection, _)) = &self.slots[slot] else { return };
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = connection.read(&mut buffer[..size]);
        let bytes = &mut buffer[..result.unwrap_or(0)];
        let mut events = Vec::new();
        let mut rest = &bytes[..];
        while let Some((cell, tail)) = rest.split_first_chunk() {
            let mut event = Event::from_bytes(cell);
            rest = tail;
            let mut data = Vec::new();
            if event.is_variable() {
                // The pointer is the kernel's own.
                event.data.words[1..].fill(0);
                let length = event.data.external_length() as usize;
                let (carried, tail) = rest.split_at(length.next_multiple_of(28).min(rest.len()));
                data = carried.to_vec();
                if event.kind == event_type::BOUNCE
                    && let Some(quoted) = data.first_chunk_mut::<28>()
                    && Event::from_bytes(quoted).is_variable()
                {
                    quoted[20..].fill(0);
                }
                rest = tail;
            }
            if self.comparable() && event.is_real_time() && event.time.words[1] != 0 {
                event.time.words = [0, 0];
            }
            events.push((event, data));
        }
        self.buffer = buffer;
        self.note((slot, "read", size), (result, events));
    }
}
