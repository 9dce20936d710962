//! Every command, and every life itself, ends once and with the right result: a thousand seeded orders
//! of calls and failures, on virtual time.

use std::collections::HashMap;
use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue};

use super::*;

/// How many orders are tried.
const SEEDS: u64 = 1_000;

/// A generator of pseudorandom numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What happened in a life, from its events.
#[derive(Clone, Default)]
struct Record {
    was_connected: bool,
    was_lost: bool,
    was_quit_early: bool,
}

/// A connection, its driver, and a server that may fail.
struct World {
    connection: Connection,
    random: Random,
    now: Duration,
    /// The process of an owner runs.
    has_process: bool,
    /// A socket is open.
    is_open: bool,
    /// The server answers.
    answers: bool,
    /// The next start of a process, or the next opening of a socket, fails.
    next_spawn_fails: bool,
    next_open_fails: bool,
    lives: Vec<Record>,
    /// The commands that were accepted and have not ended.
    commands: Vec<CommandId>,
    /// The reported results of starts and of lives, by the number of the life.
    started: HashMap<u64, bool>,
    ended: HashMap<u64, bool>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            connection: Connection::new(Options::default(), Timeouts::default()),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Duration::ZERO,
            has_process: false,
            is_open: false,
            answers: true,
            next_spawn_fails: false,
            next_open_fails: false,
            lives: Vec::new(),
            commands: Vec::new(),
            started: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// Sends packets and performs events, as the driver does.
    fn act(&mut self) {
        loop {
            while let Some(bytes) = self.connection.poll_transmit(self.now).map(<[u8]>::to_vec) {
                if self.is_open && self.answers {
                    self.answer(&OscPacket::decode(&bytes).unwrap());
                }
            }
            let Some(event) = self.connection.poll_event() else { return };
            self.perform(event);
        }
    }

    fn perform(&mut self, event: Event) {
        match event {
            Event::Spawn(_) if std::mem::take(&mut self.next_spawn_fails) => {
                self.connection.spawn_failed(&Error::new(ErrorKind::Io, "no such file"));
            }
            Event::Spawn(_) => {
                self.has_process = true;
                self.connection.process_started();
            }
            Event::Open(_) if std::mem::take(&mut self.next_open_fails) => {
                self.connection.socket_failed(&Error::new(ErrorKind::CannotConnect, "refused"));
            }
            Event::Open(_) => {
                self.is_open = true;
                self.connection.socket_opened(self.now);
            }
            Event::Close => self.is_open = false,
            Event::Kill => {
                self.has_process = false;
                self.connection.process_exited("killed by signal 9");
            }
            Event::Lifecycle(event) => {
                let life = self.lives.last_mut().unwrap();
                match event {
                    LifecycleEvent::Connected => life.was_connected = true,
                    LifecycleEvent::OscPanicked | LifecycleEvent::ProcessPanicked => {
                        life.was_lost = true;
                    }
                    _ => {}
                }
            }
            Event::Completed(command, _) => {
                let index = self.commands.iter().position(|open| *open == command);
                self.commands.remove(index.expect("a command ended twice"));
            }
            Event::Started(life, success) => {
                assert_eq!(self.started.insert(life, success), None, "a life started twice");
            }
            Event::Ended(life, in_order) => {
                assert_eq!(self.ended.insert(life, in_order), None, "a life ended twice");
            }
            Event::Message(_)
            | Event::Reply(..)
            | Event::Probed(..)
            | Event::Fail(_)
            | Event::Warning(_) => {}
        }
    }

    /// A correct server's replies.
    fn answer(&mut self, packet: &OscPacket) {
        let OscPacket::Message(message) = packet else {
            let OscPacket::Bundle(bundle) = packet else { return };
            return bundle.elements.iter().for_each(|element| self.answer(element));
        };
        let reply = |world: &mut Self, address: &str, arguments: &[OscValue]| {
            world.connection.message(OscMessage::new(address, arguments), world.now);
        };
        match message.address.as_str() {
            "/status" => {
                let [zero, one] = [0, 1].map(OscValue::from);
                let (load, rate) = (OscValue::from(0.5f32), OscValue::from(48_000f64));
                let counts = [one.clone(), zero.clone(), zero.clone(), OscValue::from(2), zero];
                let loads = [load.clone(), load, rate.clone(), rate];
                reply(self, "/status.reply", &[&counts[..], &loads].concat());
            }
            "/notify" if self.random.below(12) == 0 => {
                reply(self, "/fail", &["/notify".into(), "too many users".into()]);
            }
            "/notify" => reply(self, "/done", &["/notify".into(), 0.into(), 1.into()]),
            "/g_queryTree" => {
                let numbers = [0, 0, 1, 1, 0].map(OscValue::from);
                reply(self, "/g_queryTree.reply", &numbers);
            }
            "/sync" => reply(self, "/synced", &message.arguments.clone()),
            "/quit" => {
                reply(self, "/done", &["/quit".into()]);
                // Some servers exit by themselves, and some have to be killed.
                if self.has_process && self.random.below(2) == 0 {
                    self.has_process = false;
                    self.connection.process_exited("exit status 0");
                }
            }
            _ => {}
        }
    }

    /// Advances the clock, from one deadline to the next.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.act();
        while let Some(deadline) = self.connection.poll_timeout()
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.connection.handle_timeout(self.now);
            self.act();
        }
        self.now = until;
    }

    fn start(&mut self, is_boot: bool) {
        if self.connection.boot_status() == BootStatus::Offline {
            // What the last life has still to report belongs to it.
            self.act();
            self.lives.push(Record::default());
        }
        let options = Options::default();
        self.commands.extend(match is_boot {
            true => self.connection.boot(options, self.now),
            false => self.connection.connect(options, self.now),
        });
    }

    /// One call or one failure.
    fn step(&mut self) {
        match self.random.below(15) {
            0 | 1 => self.start(true),
            2 | 3 => self.start(false),
            4 | 5 => {
                let force = self.random.below(2) == 0;
                if self.connection.is_owner()
                    && self.connection.boot_status() == BootStatus::Booting
                {
                    self.lives.last_mut().unwrap().was_quit_early = true;
                }
                self.commands.extend(self.connection.quit(force, self.now));
            }
            6 => self.commands.extend(self.connection.disconnect(self.now)),
            7 | 8 if self.has_process => {
                self.connection.process_line("SuperCollider 3 server ready.", self.now);
            }
            9 if self.has_process => {
                self.has_process = false;
                self.connection.process_exited("killed by signal 11");
            }
            10 => self.answers = !self.answers,
            11 => self.connection.socket_refused(self.now),
            12 if self.is_open => {
                self.connection.socket_failed(&Error::new(ErrorKind::Io, "connection reset"));
            }
            13 => self.next_spawn_fails = true,
            14 => self.next_open_fails = true,
            _ => {}
        }
        if self.random.below(3) > 0 {
            self.act();
        }
        let milliseconds = self.random.below(4) * self.random.below(1_000);
        self.pass(Duration::from_millis(milliseconds));
    }

    /// The longest time that anything may take once the server has ceased to answer.
    fn limit(&self) -> Duration {
        let timeouts = self.connection.timeouts();
        let checks = (0..timeouts.health.attempts).map(|n| timeouts.health.attempt_timeout(n));
        let health = timeouts.health.interval + checks.sum::<Duration>();
        let start = timeouts.boot + timeouts.connect;
        start.max(health) + timeouts.quit + timeouts.exit + timeouts.log_out
    }
}

#[test]
fn every_command_and_life_ends_with_the_right_result_in_a_thousand_orders_of_calls_and_failures() {
    let (mut lives, mut connected, mut lost) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.step();
        }
        // From now on the server is silent.
        world.answers = false;
        world.pass(world.limit());
        assert_eq!(world.connection.boot_status(), BootStatus::Offline, "seed {seed}");
        assert_eq!(world.connection.poll_timeout(), None, "seed {seed}");
        assert!(world.commands.is_empty(), "a command never ends, seed {seed}");
        if world.lives.is_empty() {
            // There was no start; the life ends with the object.
            world.connection.abandon();
            world.act();
            world.lives.push(Record { was_lost: true, ..Record::default() });
        }
        for (index, record) in world.lives.iter().enumerate() {
            let number = index as u64 + 1;
            let in_order = !record.was_lost && (record.was_connected || record.was_quit_early);
            assert_eq!(world.started.get(&number), Some(&record.was_connected), "seed {seed}");
            assert_eq!(world.ended.get(&number), Some(&in_order), "seed {seed}");
        }
        // Whoever asks late gets the same result.
        let last = world.lives.len() as u64;
        let started = world.started.get(&last).copied();
        assert_eq!(world.connection.start_result(), (last, started), "seed {seed}");
        assert_eq!(world.connection.end_result(), (last, world.ended.get(&last).copied()));
        lives += world.lives.len();
        connected += world.lives.iter().filter(|life| life.was_connected).count();
        lost += world.lives.iter().filter(|life| life.was_lost).count();
    }
    // The orders reach all kinds of lives.
    assert!(lives > 3_000 && connected > 500 && lost > 500, "{lives} {connected} {lost}");
}
