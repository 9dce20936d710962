//! Several shows and a broker in virtual time: links that delay, break and lose what is on its
//! way, shows that are killed, and a connection that is full. Whatever happens, all shows end with
//! the same values.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::core::{Core, OnLoss, Port};
use super::wire::{Content, Origin, Presence, Publication, Sequence};

/// How many random histories the test runs.
const RUNS: u64 = 10_000;

const SHOWS: usize = 3;
const CHANNELS: u32 = 3;

/// A generator of random numbers (xorshift), so that a failure is reproduced by its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Value(u32),
    Router(Origin),
}

#[derive(Clone, Debug)]
enum Payload {
    Empty,
    Value(Publication),
    Presence(Presence),
}

#[derive(Clone, Debug)]
enum ToBroker {
    /// The will, and the number of the attempt.
    Connect(Presence, u32),
    Publish(Topic, Payload),
}

#[derive(Clone, Debug)]
enum ToShow {
    Message(Topic, Payload, bool),
    Acknowledgement(u32, Sequence),
}

/// What a show sends and emits.
#[derive(Default)]
struct Link {
    up: VecDeque<ToBroker>,
    is_full: bool,
    missed: u64,
    reordered: u64,
}

impl Port for Link {
    fn publish(&mut self, channel: u32, publication: &Publication) -> bool {
        if !self.is_full {
            let payload = Payload::Value(publication.clone());
            self.up.push_back(ToBroker::Publish(Topic::Value(channel), payload));
        }
        !self.is_full
    }

    fn clear(&mut self, channel: u32) -> bool {
        if !self.is_full {
            self.up.push_back(ToBroker::Publish(Topic::Value(channel), Payload::Empty));
        }
        !self.is_full
    }

    fn announce(&mut self, presence: &Presence) -> bool {
        if !self.is_full {
            let payload = Payload::Presence(presence.clone());
            self.up.push_back(ToBroker::Publish(Topic::Router(presence.origin), payload));
        }
        !self.is_full
    }

    fn clear_presence(&mut self, origin: Origin) -> bool {
        if !self.is_full {
            self.up.push_back(ToBroker::Publish(Topic::Router(origin), Payload::Empty));
        }
        !self.is_full
    }

    fn emit(&mut self, _: u32, _: &Content) {}

    fn missed(&mut self, _: u32, _: Origin, count: u32) {
        self.missed += u64::from(count);
    }

    fn reordered(&mut self, _: u32, _: Origin) {
        self.reordered += 1;
    }

    fn dropped(&mut self, _: u32) {}

    fn peer(&mut self, _: &str, _: bool) {}
}

/// A show and its connection.
struct Show {
    core: Core,
    link: Link,
    down: VecDeque<ToShow>,
    is_connected: bool,
    /// How many times it has connected.
    attempts: u32,
    /// The will of the session at the broker, and whether the connection of the session lives.
    session: Option<(Presence, bool)>,
}

/// The broker and its shows.
struct World {
    now: Instant,
    shows: Vec<Show>,
    stored: BTreeMap<Topic, Payload>,
    next_origin: u64,
    on_loss: OnLoss,
    was_killed: bool,
}

impl World {
    fn new(on_loss: OnLoss) -> Self {
        let mut world = World {
            now: Instant::now(),
            shows: Vec::new(),
            stored: BTreeMap::new(),
            next_origin: 1,
            on_loss,
            was_killed: false,
        };
        for _ in 0..SHOWS {
            let core = world.new_core();
            let (link, down) = (Link::default(), VecDeque::new());
            world.shows.push(Show {
                core,
                link,
                down,
                is_connected: false,
                attempts: 0,
                session: None,
            });
        }
        world
    }

    fn new_core(&mut self) -> Core {
        // Origins without an order in time, since ranks depend on them.
        let origin = Origin(self.next_origin.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        self.next_origin += 1;
        let refresh = Duration::from_secs(20);
        Core::new(origin, "show".into(), self.on_loss, refresh, CHANNELS as usize)
    }

    /// The broker passes a message on to every session and stores it.
    fn publish(&mut self, topic: Topic, payload: &Payload) {
        match payload {
            Payload::Empty => self.stored.remove(&topic),
            payload => self.stored.insert(topic, payload.clone()),
        };
        for show in &mut self.shows {
            if let Some((_, true)) = show.session {
                show.down.push_back(ToShow::Message(topic, payload.clone(), false));
            }
        }
    }

    /// The broker notices that a connection is lost.
    fn end_session(&mut self, index: usize) {
        if let Some((will, _)) = self.shows[index].session.take() {
            self.publish(Topic::Router(will.origin), &Payload::Presence(will));
        }
    }

    /// The broker handles the next packet of a show.
    fn step_up(&mut self, index: usize) {
        match self.shows[index].link.up.pop_front() {
            None => {}
            Some(ToBroker::Connect(will, attempt)) => {
                self.end_session(index);
                let show = &self.shows[index];
                let lives = show.is_connected && show.attempts == attempt;
                self.shows[index].session = Some((will, lives));
                if !lives {
                    return;
                }
                for (topic, payload) in self.stored.clone() {
                    self.shows[index].down.push_back(ToShow::Message(topic, payload, true));
                }
            }
            Some(ToBroker::Publish(topic, payload)) => {
                if let (Topic::Value(channel), Payload::Value(publication)) = (topic, &payload)
                    && self.shows[index].session.as_ref().is_some_and(|(_, lives)| *lives)
                {
                    let acknowledgement = ToShow::Acknowledgement(channel, publication.sequence);
                    self.shows[index].down.push_back(acknowledgement);
                }
                self.publish(topic, &payload);
            }
        }
    }

    /// A show handles the next packet of the broker.
    fn step_down(&mut self, index: usize) {
        let now = self.now;
        let Show { core, link, down, .. } = &mut self.shows[index];
        match down.pop_front() {
            None => {}
            Some(ToShow::Acknowledgement(channel, sequence)) => {
                core.acknowledged(channel, sequence)
            }
            Some(ToShow::Message(topic, payload, stored)) => match (topic, payload) {
                (Topic::Value(channel), Payload::Value(publication)) => {
                    core.received(channel, publication, stored, now, link);
                }
                (Topic::Value(channel), Payload::Empty) => core.cleared(channel, now, link),
                (Topic::Router(_), Payload::Presence(presence)) => {
                    core.presence(presence, stored, now, link);
                }
                (Topic::Router(origin), Payload::Empty) => core.presence_cleared(origin, now, link),
                _ => unreachable!("each topic has payloads of its kind"),
            },
        }
    }

    /// The connection breaks: what the broker has not received is lost, and it notices later.
    fn cut(&mut self, index: usize, random: &mut Random) {
        let show = &mut self.shows[index];
        if !show.is_connected {
            return;
        }
        show.is_connected = false;
        let count = random.below(show.link.up.len() + 1);
        show.link.up.truncate(count);
        // A connection attempt that has not reached the broker leaves no session.
        show.down.clear();
        if let Some((_, lives)) = &mut show.session {
            *lives = false;
        }
        show.core.disconnected();
    }

    fn connect(&mut self, index: usize) {
        let show = &mut self.shows[index];
        if !show.is_connected {
            show.is_connected = true;
            show.link.is_full = false;
            show.attempts += 1;
            let connect = ToBroker::Connect(show.core.next_will(), show.attempts);
            show.link.up.push_back(connect);
            show.core.connected(self.now, &mut show.link);
        }
    }

    /// The process ends and is started again: nothing of its state remains.
    fn kill(&mut self, index: usize, random: &mut Random) {
        self.cut(index, random);
        let core = self.new_core();
        self.shows[index].core = core;
        self.was_killed = true;
    }

    fn timers(&mut self, step: Duration) {
        self.now += step;
        for show in &mut self.shows {
            if show.is_connected && show.core.deadline().is_some_and(|time| time <= self.now) {
                show.core.timer(self.now, &mut show.link);
            }
        }
    }

    /// One random event; `writes` is the share of values that shows write, in percent.
    fn act(&mut self, writes: usize, may_kill: bool, random: &mut Random) {
        let index = random.below(SHOWS);
        match random.below(100) {
            0..20 => (0..random.below(8)).for_each(|_| self.step_up(index)),
            20..55 => (0..random.below(16)).for_each(|_| self.step_down(index)),
            55..75 if random.below(20) < writes => {
                let content = Content::Value(random.below(1_000) as f64 / 1_000.0);
                let channel = random.below(CHANNELS as usize) as u32;
                let Show { core, link, .. } = &mut self.shows[index];
                core.write(channel, content, self.now, link);
            }
            75..80 => self.cut(index, random),
            80..87 => self.connect(index),
            87..90 => {
                if self.shows[index].session.as_ref().is_some_and(|(_, lives)| !lives) {
                    // What is left in a closed connection is lost.
                    let up = &mut self.shows[index].link.up;
                    while matches!(up.front(), Some(ToBroker::Publish(..))) {
                        up.pop_front();
                    }
                    self.end_session(index);
                }
            }
            90..92 => {
                let Show { core, link, is_connected, .. } = &mut self.shows[index];
                link.is_full = *is_connected && !link.is_full;
                if !link.is_full && *is_connected {
                    core.send_waiting(self.now, link);
                }
            }
            92..94 if may_kill => self.kill(index, random),
            _ => self.timers(Duration::from_millis(random.below(1_500) as u64)),
        }
    }

    /// Everything is connected again and delivered.
    fn settle(&mut self, random: &mut Random) {
        for index in 0..SHOWS {
            self.shows[index].link.is_full = false;
            self.connect(index);
        }
        for _ in 0..60 {
            while self.shows.iter().any(|show| !show.link.up.is_empty() || !show.down.is_empty()) {
                let index = random.below(SHOWS);
                if random.below(2) == 0 {
                    self.step_up(index);
                } else {
                    self.step_down(index);
                }
            }
            self.timers(Duration::from_millis(500));
        }
    }

    fn values(&self, channel: u32) -> Vec<Option<Content>> {
        self.shows.iter().map(|show| show.core.content(channel).cloned()).collect()
    }

    /// Checks that all shows have the same values, and that the broker stores none of a show that
    /// is gone.
    fn check(&self, seed: u64) {
        for (index, show) in self.shows.iter().enumerate() {
            assert!(show.core.is_settled(), "seed {seed}: show {index} has not settled");
            assert_eq!(show.link.reordered, 0, "seed {seed}: show {index}");
            assert_eq!(show.core.peers().count(), SHOWS - 1, "seed {seed}: show {index}");
        }
        let present: Vec<Origin> = self.shows.iter().map(|show| show.core.origin()).collect();
        for (topic, payload) in &self.stored {
            let origin = match payload {
                Payload::Value(publication) => publication.origin,
                Payload::Presence(presence) => {
                    assert!(presence.present.is_some(), "seed {seed}: {presence:?}");
                    presence.origin
                }
                Payload::Empty => unreachable!("an empty payload is not stored"),
            };
            assert!(
                present.contains(&origin),
                "seed {seed}: {topic:?} is stored of a show that is gone"
            );
        }
        for channel in 0..CHANNELS {
            let mut values = self.values(channel);
            if self.was_killed && !self.stored.contains_key(&Topic::Value(channel)) {
                // A show that started after the value was deleted does not have it.
                values.retain(Option::is_some);
            }
            let is_equal = values.windows(2).all(|pair| pair[0] == pair[1]);
            assert!(is_equal, "seed {seed}: channel {channel} has {values:?}");
        }
    }
}

fn run(seed: u64, on_loss: OnLoss, may_kill: bool) {
    let mut random = Random::new(seed);
    let mut world = World::new(on_loss);
    for index in 0..SHOWS {
        world.connect(index);
    }
    // In some histories, shows write all the time, in others rarely, so that links are idle.
    let writes = [1, 4, 20][random.below(3)];
    for _ in 0..40 + random.below(160) {
        world.act(writes, may_kill, &mut random);
    }
    world.settle(&mut random);
    world.check(seed);
}

#[test]
fn all_shows_end_with_the_same_values_after_partitions() {
    for seed in 1..=RUNS {
        let on_loss = [OnLoss::Hold, OnLoss::Value(0.0), OnLoss::Value(0.25)][seed as usize % 3];
        run(seed, on_loss, false);
    }
}

#[test]
fn all_shows_end_with_the_same_values_after_some_were_killed() {
    for seed in 1..=RUNS {
        run(seed, OnLoss::Value(0.0), true);
    }
}

/// Delivers everything that is on its way.
fn deliver_all(world: &mut World) {
    while world.shows.iter().any(|show| !show.link.up.is_empty() || !show.down.is_empty()) {
        for index in 0..SHOWS {
            world.step_up(index);
            world.step_down(index);
        }
    }
}

#[test]
fn values_of_a_show_that_is_gone_are_deleted_and_return_with_it() {
    let mut random = Random::new(1);
    let mut world = World::new(OnLoss::Value(0.0));
    for index in 0..SHOWS {
        world.connect(index);
        deliver_all(&mut world);
    }
    let now = world.now;
    let Show { core, link, .. } = &mut world.shows[0];
    assert!(core.write(1, Content::Value(0.5), now, link));
    deliver_all(&mut world);
    assert_eq!(world.values(1), [0.5; SHOWS].map(|value| Some(Content::Value(value))));
    world.cut(0, &mut random);
    world.end_session(0);
    deliver_all(&mut world);
    let expected = [0.5, 0.0, 0.0].map(|value| Some(Content::Value(value)));
    assert_eq!(world.values(1), expected, "the others release it");
    world.timers(Duration::from_secs(1));
    deliver_all(&mut world);
    assert!(!world.stored.contains_key(&Topic::Value(1)), "it is deleted at the broker");
    assert_eq!(world.stored.len(), SHOWS - 1, "and so is its presence");
    world.connect(0);
    deliver_all(&mut world);
    assert_eq!(world.values(1), [0.5; SHOWS].map(|value| Some(Content::Value(value))));
}
