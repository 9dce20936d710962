//! A simulated network between two sessions, which loses, repeats and reorders datagrams, and a
//! model of the state that MIDI messages lead to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::session::{Effects, Join, Notice, Port, Session, Settings};
use super::super::stream::Arrival;
use crate::midi_grammar::channels::Control;
use crate::midi_grammar::message::Message;
use crate::midi_grammar::parameters::ParameterInput;

/// A generator of numbers that are the same in every run (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether something happens that is as likely as so many percent.
    pub(super) fn percent(&mut self, likely: u64) -> bool {
        self.below(100) < likely
    }
}

/// The state that messages have led to, as a show sees it.
#[derive(Default)]
pub(super) struct Model {
    /// The last value of everything, by kind, MIDI channel and number.
    pub(super) values: BTreeMap<(&'static str, u8, u16), u16>,
    parameters: [ParameterInput; 16],
    pub(super) exclusives: Vec<Vec<u8>>,
    partial: Vec<u8>,
}

impl Model {
    pub(super) fn apply(&mut self, message: &Message<'_>) {
        let mut set = |kind, channel: u8, number: u16, value: u16| {
            self.values.insert((kind, channel, number), value);
        };
        match *message {
            Message::NoteOn { channel, note, velocity } => {
                set("note", channel, note.into(), velocity.into());
            }
            Message::NoteOff { channel, note, .. } => set("note", channel, note.into(), 0),
            Message::KeyPressure { channel, note, pressure } => {
                set("pressure", channel, note.into(), pressure.into());
            }
            Message::Controller { channel, number, value } => {
                // The controllers of the number of a parameter are compared by their result.
                if !(98..=101).contains(&number) {
                    set("controller", channel, number.into(), value.into());
                }
                self.parameter(channel, number, value);
                self.mode(channel, number);
            }
            Message::Program { channel, program } => set("program", channel, 0, program.into()),
            Message::ChannelPressure { channel, pressure } => {
                set("aftertouch", channel, 0, pressure.into());
            }
            Message::PitchBend { channel, bend } => set("bend", channel, 0, bend),
            Message::SongSelect(song) => set("song", 0, 0, song.into()),
            Message::Start | Message::Continue => set("running", 0, 0, 1),
            Message::Stop => set("running", 0, 0, 0),
            Message::Exclusive(part) => {
                if part.first() == Some(&0xF0) {
                    self.partial.clear();
                }
                self.partial.extend_from_slice(part);
                if part.last() == Some(&0xF7) {
                    self.exclusives.push(std::mem::take(&mut self.partial));
                }
            }
            _ => {}
        }
    }

    fn parameter(&mut self, channel: u8, number: u8, value: u8) {
        let input = &mut self.parameters[usize::from(channel)];
        match input.controller(channel, number, value) {
            Some((Control::Registered(_, parameter), value)) => {
                let value = (value * 16_383.0).round() as u16;
                self.values.insert(("rpn", channel, parameter), value);
            }
            Some((Control::NonRegistered(_, parameter), value)) => {
                let value = (value * 16_383.0).round() as u16;
                self.values.insert(("nrpn", channel, parameter), value);
            }
            _ => {}
        }
    }

    /// What the channel mode messages do to notes and pedals.
    fn mode(&mut self, channel: u8, number: u8) {
        for ((kind, other, index), value) in &mut self.values {
            let is_note = *kind == "note" && matches!(number, 120 | 123..);
            let is_pedal = *kind == "controller" && matches!(index, 64 | 66) && number == 121;
            if *other == channel && (is_note || is_pedal) {
                *value = 0;
            }
        }
    }

    fn release(&mut self) {
        for ((kind, _, index), value) in &mut self.values {
            if *kind == "note" || (*kind == "controller" && matches!(index, 64 | 66)) {
                *value = 0;
            }
        }
    }

    /// The notes that sound.
    pub(super) fn sounding(&self) -> usize {
        self.values.iter().filter(|((kind, ..), value)| *kind == "note" && **value > 0).count()
    }
}

/// One end of the network: a session and what has arrived there.
pub(super) struct Node {
    pub(super) session: Session,
    pub(super) world: World,
}

/// Where the effects of a session go.
#[derive(Default)]
pub(super) struct World {
    sent: Vec<(Port, SocketAddr, Vec<u8>)>,
    pub(super) model: Model,
    pub(super) notices: Vec<String>,
    pub(super) releases: usize,
}

impl Effects for World {
    fn send(&mut self, port: Port, to: SocketAddr, bytes: &[u8]) {
        self.sent.push((port, to, bytes.to_vec()));
    }

    fn arrive(&mut self, _: u32, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Message(message) => self.model.apply(&message),
            Arrival::Cancelled => self.model.partial.clear(),
            Arrival::Release => {
                self.releases += 1;
                self.model.release();
            }
        }
    }

    fn notice(&mut self, _: u32, name: &str, _: SocketAddr, notice: Notice<'_>) {
        if !matches!(notice, Notice::Latency(_)) {
            self.notices.push(format!("{name}: {notice:?}"));
        }
    }
}

/// How the network treats datagrams, in percent.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) repeated: u64,
    pub(super) reordered: u64,
}

/// A datagram on its way.
struct Datagram {
    due: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// A network of sessions.
pub(super) struct Network {
    pub(super) nodes: Vec<Node>,
    pub(super) now: Instant,
    pub(super) weather: Weather,
    pub(super) random: Random,
    traffic: Vec<Datagram>,
    /// Every datagram that was sent, whether it was lost or not.
    pub(super) sent: Vec<(SocketAddr, Vec<u8>)>,
}

/// The address of a port of a node.
pub(super) fn address(node: usize, port: Port) -> SocketAddr {
    let port = 5004 + u16::from(port == Port::Data);
    SocketAddr::from(([10, 0, 0, node as u8 + 1], port))
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Network {
            nodes: Vec::new(),
            now: Instant::now(),
            weather: Weather::default(),
            random: Random(seed),
            traffic: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Adds a session.
    pub(super) fn add(&mut self, is_direct: bool, join: Join, learns: bool) -> usize {
        let number = self.nodes.len();
        let settings = Settings {
            name: format!("node {number}"),
            ssrc: 1_000 + number as u32,
            is_direct,
            join,
            learns,
        };
        let session = Session::new(settings, self.random.next(), self.now);
        self.nodes.push(Node { session, world: World::default() });
        number
    }

    /// Makes a node invite another, or send to it in the direct mode.
    pub(super) fn invite(&mut self, node: usize, other: usize, port: Port) {
        let Node { session, world } = &mut self.nodes[node];
        session.add_host(other, address(other, port), self.now, world);
    }

    /// Two sessions, of which the first has invited the second.
    pub(super) fn pair(seed: u64) -> Self {
        let mut network = Network::new(seed);
        network.add(false, Join::Nobody, false);
        network.add(false, Join::Everyone, false);
        network.invite(0, 1, Port::Control);
        network.run(Duration::from_millis(100));
        network
    }

    /// Sends messages in one batch.
    pub(super) fn send(&mut self, node: usize, messages: &[Message<'_>]) {
        let (now, Node { session, world }) = (self.now, &mut self.nodes[node]);
        for message in messages {
            session.send(message, now, world);
        }
        session.flush(now, world);
        self.collect(node);
    }

    /// Puts what a node has sent on its way.
    fn collect(&mut self, node: usize) {
        for (port, to, bytes) in std::mem::take(&mut self.nodes[node].world.sent) {
            self.sent.push((to, bytes.clone()));
            let copies = 1 + u64::from(self.random.percent(self.weather.repeated));
            for _ in 0..copies {
                if self.random.percent(self.weather.lost) {
                    continue;
                }
                let is_late = self.random.percent(self.weather.reordered);
                let delay = 1 + if is_late { self.random.below(20) } else { 0 };
                let due = self.now + Duration::from_millis(delay);
                let from = address(node, port);
                self.traffic.push(Datagram { due, from, to, bytes: bytes.clone() });
            }
        }
    }

    /// Lets time pass, a millisecond at a time.
    pub(super) fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.now += Duration::from_millis(1);
            self.step();
        }
    }

    /// Delivers what is due, and serves the timers.
    pub(super) fn step(&mut self) {
        let now = self.now;
        let mut due: Vec<Datagram> = Vec::new();
        let mut index = 0;
        while index < self.traffic.len() {
            if self.traffic[index].due <= now {
                due.push(self.traffic.remove(index));
            } else {
                index += 1;
            }
        }
        for Datagram { from, to, bytes, .. } in due {
            for port in [Port::Control, Port::Data] {
                let Some(node) = (0..self.nodes.len()).find(|node| address(*node, port) == to)
                else {
                    continue;
                };
                let Node { session, world } = &mut self.nodes[node];
                assert!(session.receive(port, from, &bytes, now, world), "{bytes:X?}");
                self.collect(node);
            }
        }
        for node in 0..self.nodes.len() {
            let Node { session, world } = &mut self.nodes[node];
            if session.due().is_some_and(|due| due <= now) {
                session.timer(now, world);
                self.collect(node);
            }
        }
    }
}
