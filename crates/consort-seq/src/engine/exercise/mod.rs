//! Programs of requests, encoded as bytes, and a sequencer's answers to them.
//!
//! The same program runs on either engine and produces a transcript. The fuzz target runs arbitrary
//! bytes on the embedded engine; the differential test runs random programs on the kernel and on
//! the embedded engine and compares the transcripts line by line.

mod clients;
mod events;
mod input;
mod ports;
mod queues;

use std::fmt::Debug;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;

use self::input::Input;
use super::{ClockKind, Connection, Embedded, Engine, Errno, OpenMode, Request};
use crate::raw::{Address, ClientPool, Timestamp, address};

/// The maximum number of clients that a program can have open at a time.
const MAX_CLIENTS: usize = 4;
/// The maximum number of steps of a program that are run.
const MAX_STEPS: usize = 400;
/// A tempo at which a tick of 1 PPQ lasts 2,147 s, so that no tick passes while a program runs.
const SLOWEST_TEMPO: u32 = i32::MAX as u32;

/// How freely a program may use time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Any tempo and any time stamp: for one engine alone.
    Free,
    /// Only what does not depend on the moment at which a step runs: for comparing engines. After
    /// a step that controls a queue, the runner waits for `settle`, so that the engine has
    /// delivered everything due.
    Comparable {
        /// How long to wait.
        settle: Duration,
    },
}

/// A client that the program has opened.
struct OpenClient {
    connection: Box<dyn Connection>,
    number: u8,
}

/// The state of a running program.
struct Runner<'a> {
    input: Input<'a>,
    engine: &'a Engine,
    timing: Timing,
    clients: [Option<OpenClient>; MAX_CLIENTS],
    transcript: Vec<String>,
    buffer: Vec<u8>,
}

/// Runs a program; returns one line for each step: the request and its answer.
#[must_use]
pub fn run(engine: &Engine, program: &[u8], timing: Timing) -> Vec<String> {
    let mut runner = Runner {
        input: Input::new(program),
        engine,
        timing,
        clients: [const { None }; MAX_CLIENTS],
        transcript: Vec::new(),
        buffer: vec![0; 8192],
    };
    // Every program starts with two clients that have one port each.
    for slot in 0..2 {
        runner.open(slot, OpenMode::Duplex);
        runner.send_create_port(slot, 0x63, 0, 0);
    }
    for _ in 0..MAX_STEPS {
        if runner.input.is_empty() {
            break;
        }
        runner.step();
    }
    // The events that have arrived by now are part of the answer.
    for slot in 0..MAX_CLIENTS {
        runner.read(slot, 8192);
    }
    runner.transcript
}

/// The body of the fuzz target `embedded_engine`: runs any program, and checks the engine's
/// invariants afterwards.
///
/// # Panics
/// If an invariant does not hold.
pub fn embedded_engine(program: &[u8]) {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let (first, second) = program.split_at(program.len() / 2);
    let _transcript = run(&engine, first, Timing::Free);
    embedded.check_invariants();
    embedded.advance(Duration::from_millis(program.len() as u64 * 7));
    let _transcript = run(&engine, second, Timing::Free);
    embedded.check_invariants();
    let _elapsed = embedded.run_until_idle();
    embedded.check_invariants();
    let listing = embedded.clients_listing() + &embedded.queues_listing();
    assert!(listing.contains("cur  clients : 2\n"), "clients are left over:\n{listing}");
    assert!(!listing.contains("queue "), "queues are left over:\n{listing}");
}

impl Runner<'_> {
    fn is_comparable(&self) -> bool {
        matches!(self.timing, Timing::Comparable { .. })
    }

    fn record(&mut self, request: impl Debug, answer: impl Debug) {
        self.transcript.push(format!("{request:?} => {answer:?}"));
    }

    fn open(&mut self, slot: usize, mode: OpenMode) {
        self.clients[slot] = None;
        let mut number = 0;
        let result = match self.engine.open(mode) {
            Ok(connection) => {
                let result = connection.ioctl(Request::ClientId(&mut number));
                self.clients[slot] = Some(OpenClient { connection, number: number as u8 });
                result
            }
            Err(error) => Err(error.errno().unwrap_or(Errno::INVALID)),
        };
        self.record(("open", slot, mode), (number, result));
    }

    /// Sends a request of one client and records it with its answer; whether it succeeded.
    fn ask<T: Copy + Debug>(
        &mut self,
        slot: usize,
        argument: &mut T,
        request: fn(&mut T) -> Request<'_>,
    ) -> bool {
        self.ask_masked(slot, argument, request, |_| ())
    }

    /// Like [`ask`](Self::ask), but `mask` clears what two engines may answer differently.
    fn ask_masked<T: Copy + Debug>(
        &mut self,
        slot: usize,
        argument: &mut T,
        request: fn(&mut T) -> Request<'_>,
        mask: impl FnOnce(&mut T),
    ) -> bool {
        let Some(OpenClient { connection, .. }) = &self.clients[slot] else { return false };
        let sent = *argument;
        let name = request(argument).name();
        let result = connection.ioctl(request(argument));
        let mut answer = *argument;
        mask(&mut answer);
        let answer = result.is_ok().then_some(answer);
        self.record((slot, name, sent), (result, answer));
        result.is_ok()
    }

    /// The number of the client in a slot, or `closed` where none is open.
    fn number_of(&self, slot: usize, closed: u8) -> u8 {
        self.clients[slot].as_ref().map_or(closed, |client| client.number)
    }

    /// Chooses a slot, preferably one whose client is open.
    fn slot(&mut self) -> usize {
        let first = self.input.below(MAX_CLIENTS as u8) as usize;
        (0..MAX_CLIENTS)
            .map(|step| (first + step) % MAX_CLIENTS)
            .find(|&slot| self.clients[slot].is_some())
            .unwrap_or(first)
    }

    /// Chooses a client number, mostly that of an existing client.
    fn client_number(&mut self) -> u8 {
        match self.input.below(16) {
            0 => address::CLIENT_SYSTEM,
            1 => address::CLIENT_MIDI_THROUGH,
            2 => self.input.pick(&[5, 100, 127, 170, 191, 192, 253, 255]),
            _ => {
                let slot = self.slot();
                self.number_of(slot, 128)
            }
        }
    }

    fn user_address(&mut self) -> Address {
        let slot = self.slot();
        let client = self.number_of(slot, 128);
        Address::new(client, self.port_number())
    }

    fn address(&mut self) -> Address {
        let client = self.client_number();
        Address::new(client, self.port_number())
    }

    fn port_number(&mut self) -> u8 {
        self.input.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 0, 0, 1, 0, 0, 1, 253, 254])
    }

    fn queue_number(&mut self) -> i32 {
        self.input.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 0, 0, 0, 1, 31, 32, -1, 255])
    }

    fn time(&mut self, real: bool) -> Timestamp {
        if self.is_comparable() {
            let ticks = self.input.pick(&[0, 0, 0, 1, 1, 2, 5, 100]);
            return Timestamp::from_tick(if real { ticks * 100_000 } else { ticks });
        }
        match self.input.below(4) {
            0 => Timestamp::default(),
            1 => Timestamp { words: [self.input.word(), self.input.word()] },
            _ => Timestamp { words: [self.input.byte().into(), self.input.word() >> 2] },
        }
    }

    fn step(&mut self) {
        let slot = self.slot();
        if self.clients[slot].is_none() {
            self.open(slot, OpenMode::Duplex);
        }
        match self.input.below(32) {
            0 => {
                let mode = self.input.pick(&[OpenMode::Duplex, OpenMode::Input, OpenMode::Output]);
                let slot = self.input.below(MAX_CLIENTS as u8) as usize;
                self.open(slot, mode);
            }
            1 => {
                if self.input.chance(64) {
                    self.clients[slot] = None;
                    self.record(("close", slot), ());
                }
            }
            2 => self.create_port(slot),
            3 => self.change_port(slot),
            4..=6 => self.subscribe(slot),
            7 => self.query_subscribers(slot),
            8 => self.create_queue(slot),
            9 | 10 => self.queue_step(slot),
            11 => self.pool(slot),
            12 => self.remove_events(slot),
            13 => self.client_step(slot),
            14..=23 => self.write(slot),
            24 => {
                self.advance();
                self.schedule(slot);
            }
            _ => {
                let size = self.input.pick(&[8192, 8192, 8192, 28, 56, 0, 27, 100, 300]);
                self.read(slot, size);
            }
        }
        self.poll(slot);
    }

    /// Records the readiness of the descriptor and the free cells.
    fn poll(&mut self, slot: usize) {
        let Some(OpenClient { connection, number }) = &self.clients[slot] else { return };
        let descriptor = connection.descriptor();
        let mut descriptors = [PollFd::new(&descriptor, PollFlags::IN | PollFlags::OUT)];
        let immediately = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_polled = poll(&mut descriptors, Some(&immediately)).is_ok();
        let events = descriptors[0].revents() & (PollFlags::IN | PollFlags::OUT);
        let mut pool = ClientPool { client: i32::from(*number), ..ClientPool::default() };
        let result = connection.ioctl(Request::GetClientPool(&mut pool));
        let free = (pool.output_free, pool.input_free);
        self.record(("poll", slot, is_polled), (events.bits(), result, free));
    }

    /// Advances virtual time by up to 38 hours, unless engines are compared.
    fn advance(&mut self) {
        if let (Timing::Free, Engine::Embedded(embedded)) = (self.timing, self.engine) {
            let step = u64::from(self.input.word()) << self.input.below(16);
            embedded.advance(Duration::from_nanos(step));
        }
    }
}
