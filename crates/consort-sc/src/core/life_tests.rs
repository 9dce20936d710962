//! Every future of `boot`, `connect`, `disconnect`, `quit` and of the life itself ends with the right
//! result: a thousand seeded orders of calls and failures, on virtual time.

use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue};
use futures_lite::future::{block_on, poll_once};

use super::*;
use crate::pending::SlotFuture;

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

/// A future that a caller holds, and what it is expected to become.
enum Held {
    /// The result of the start of this life.
    Start(u32, SlotFuture<bool>),
    /// The end of this life.
    End(u32, SlotFuture<bool>),
}

/// What happened in a life, from its events.
#[derive(Clone, Default)]
struct Record {
    was_connected: bool,
    was_lost: bool,
    was_quit_early: bool,
}

/// A core, its driver, and a server that may fail.
struct World {
    core: Core,
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
    commands: Vec<SlotFuture<()>>,
    held: Vec<Held>,
}

impl World {
    fn new(seed: u64) -> Self {
        let context = ContextShared::new(Options::default(), None, 0.0);
        Self {
            core: Core::new(context, Timeouts::default()),
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Duration::ZERO,
            has_process: false,
            is_open: false,
            answers: true,
            next_spawn_fails: false,
            next_open_fails: false,
            lives: Vec::new(),
            commands: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Performs the actions of the core, as the driver does.
    fn act(&mut self) {
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Spawn(_) if std::mem::take(&mut self.next_spawn_fails) => {
                    self.core.spawn_failed(&Error::new(ErrorKind::Io, "no such file"));
                }
                Action::Spawn(_) => {
                    self.has_process = true;
                    self.core.process_started();
                }
                Action::Open(_) if std::mem::take(&mut self.next_open_fails) => {
                    self.core.socket_failed(&Error::new(ErrorKind::CannotConnect, "refused"));
                }
                Action::Open(_) => {
                    self.is_open = true;
                    self.core.socket_opened(self.now);
                }
                Action::Close => self.is_open = false,
                Action::Kill => {
                    self.has_process = false;
                    self.core.process_exited("killed by signal 9");
                }
                Action::Send(bytes) => {
                    if self.is_open && self.answers {
                        self.answer(&OscPacket::decode(&bytes).unwrap());
                    }
                }
                Action::Event(event) => {
                    let life = self.lives.last_mut().unwrap();
                    match event {
                        LifecycleEvent::Connected => life.was_connected = true,
                        LifecycleEvent::OscPanicked | LifecycleEvent::ProcessPanicked => {
                            life.was_lost = true;
                        }
                        _ => {}
                    }
                }
                Action::Complete(outcome, result) => outcome.fill(result),
                Action::Resolve(waiters, result) => {
                    waiters.iter().for_each(|waiter| waiter.fill(Ok(result)));
                }
                Action::Fail(_) | Action::Warn(_) => {}
            }
        }
    }

    /// A correct server's replies.
    fn answer(&mut self, packet: &OscPacket) {
        let OscPacket::Message(message) = packet else {
            let OscPacket::Bundle(bundle) = packet else { return };
            return bundle.elements.iter().for_each(|element| self.answer(element));
        };
        let reply = |world: &mut Self, address: &str, arguments: &[OscValue]| {
            world.core.message(&OscMessage::new(address, arguments), false, world.now);
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
                    self.core.process_exited("exit status 0");
                }
            }
            _ => {}
        }
    }

    /// Advances the clock, from one deadline to the next.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.act();
        while let Some(deadline) = self.core.next_deadline()
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.core.tick(self.now);
            self.act();
        }
        self.now = until;
    }

    fn start(&mut self, is_boot: bool) {
        let outcome = Slot::new();
        if self.core.boot_status() == BootStatus::Offline {
            // What the last life has still to report belongs to it.
            self.act();
            self.lives.push(Record::default());
        }
        let options = Options::default();
        match is_boot {
            true => self.core.boot(options, outcome.clone(), self.now),
            false => self.core.connect(options, outcome.clone(), self.now),
        }
        self.commands.push(SlotFuture(outcome));
    }

    /// One call or one failure.
    fn step(&mut self) {
        let outcome = Slot::new();
        match self.random.below(17) {
            0 | 1 => self.start(true),
            2 | 3 => self.start(false),
            4 | 5 => {
                let force = self.random.below(2) == 0;
                if self.core.is_owner() && self.core.boot_status() == BootStatus::Booting {
                    self.lives.last_mut().unwrap().was_quit_early = true;
                }
                self.core.quit(force, outcome.clone(), self.now);
                self.commands.push(SlotFuture(outcome));
            }
            6 => {
                self.core.disconnect(outcome.clone(), self.now);
                self.commands.push(SlotFuture(outcome));
            }
            7 | 8 => {
                let life = self.lives.len().max(1) as u32;
                self.held.push(Held::Start(life, SlotFuture(self.core.start_slot())));
                self.held.push(Held::End(life, SlotFuture(self.core.end_slot())));
            }
            9 | 10 if self.has_process => {
                self.core.process_line("SuperCollider 3 server ready.", self.now);
            }
            11 if self.has_process => {
                self.has_process = false;
                self.core.process_exited("killed by signal 11");
            }
            12 => self.answers = !self.answers,
            13 => self.core.socket_refused(self.now),
            14 if self.is_open => {
                self.core.socket_failed(&Error::new(ErrorKind::Io, "connection reset"));
            }
            15 => self.next_spawn_fails = true,
            16 => self.next_open_fails = true,
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
        let timeouts = self.core.timeouts();
        let checks = (0..timeouts.health.attempts).map(|n| timeouts.health.attempt_timeout(n));
        let health = timeouts.health.interval + checks.sum::<Duration>();
        let start = timeouts.boot + timeouts.connect;
        start.max(health) + timeouts.quit + timeouts.exit + timeouts.log_out
    }
}

fn ready<T>(future: SlotFuture<T>) -> Option<Result<T>> {
    block_on(poll_once(future))
}

#[test]
fn every_future_ends_with_the_right_result_in_a_thousand_orders_of_calls_and_failures() {
    let (mut lives, mut connected, mut lost, mut futures) = (0, 0, 0, 0);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.step();
        }
        // From now on the server is silent.
        world.answers = false;
        world.pass(world.limit());
        assert_eq!(world.core.boot_status(), BootStatus::Offline, "seed {seed}");
        assert_eq!(world.core.next_deadline(), None, "seed {seed}");
        for command in world.commands.drain(..) {
            assert!(ready(command).is_some(), "a command never ends, seed {seed}");
        }
        // Whoever asks late gets the same result.
        let life = world.lives.len().max(1) as u32;
        world.held.push(Held::Start(life, SlotFuture(world.core.start_slot())));
        world.held.push(Held::End(life, SlotFuture(world.core.end_slot())));
        if world.lives.is_empty() {
            // There was no start; the futures end with the object.
            world.core.abandon();
            world.lives.push(Record { was_lost: true, ..Record::default() });
        }
        for held in world.held.drain(..) {
            futures += 1;
            match held {
                Held::Start(life, future) => {
                    let record = &world.lives[life as usize - 1];
                    let result = ready(future).map(|result| result.unwrap());
                    assert_eq!(result, Some(record.was_connected), "start, seed {seed}");
                }
                Held::End(life, future) => {
                    let record = &world.lives[life as usize - 1];
                    let in_order =
                        !record.was_lost && (record.was_connected || record.was_quit_early);
                    let result = ready(future).map(|result| result.unwrap());
                    assert_eq!(result, Some(in_order), "end, seed {seed}");
                }
            }
        }
        lives += world.lives.len();
        connected += world.lives.iter().filter(|life| life.was_connected).count();
        lost += world.lives.iter().filter(|life| life.was_lost).count();
    }
    // The orders reach all kinds of lives.
    assert!(lives > 3_000 && connected > 500 && lost > 500, "{lives} {connected} {lost}");
    assert!(futures > 3_000, "{futures}");
}
