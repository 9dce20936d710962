//! The connection and a model of a server on virtual time, with a network that loses, delays and
//! duplicates datagrams and a server that may die and be started again. The cases are generated from
//! fixed seeds; one that fails shrinks to a short one.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use consort_osc::{OscMessage, OscPacket, OscValue};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::requests::{FreeNodes, NewSynth, QueryNodes, Request, Sync};
use crate::values::AddAction;
use crate::wire::Arguments;

/// How many seeds are tried, and how many cases of each.
const SEEDS: u8 = 4;
const CASES: u32 = 100;
/// The default group of the client, and the nodes that the steps use.
const DEFAULT_GROUP: i32 = 1;
const FIRST_NODE: i32 = 1_000;

/// What a caller or the world does.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Connect,
    Boot,
    Disconnect,
    Quit,
    /// Waits for `/synced`.
    Sync,
    /// Waits for the place of a node.
    Query(i32),
    NewSynth(i32),
    FreeNode(i32),
    /// A packet of this many bytes, which goes through the send window.
    Large(usize),
    /// The server dies without a word, or is started again.
    Kill,
    Start,
    /// The system does not accept packets, or accepts them again.
    Block(bool),
}

/// What the network does with a datagram.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Pass,
    Lose,
    /// It arrives this many milliseconds later, perhaps after others.
    Delay(u64),
    Duplicate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = FIRST_NODE..FIRST_NODE + 6;
    let step = prop_oneof![
        8 => (0..900u64).prop_map(Step::Wait),
        1 => (900..9_000u64).prop_map(Step::Wait),
        3 => Just(Step::Connect),
        1 => Just(Step::Boot),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Quit),
        6 => Just(Step::Sync),
        6 => node.clone().prop_map(Step::Query),
        4 => node.clone().prop_map(Step::NewSynth),
        3 => node.prop_map(Step::FreeNode),
        2 => (8_192..65_000usize).prop_map(|size| Step::Large(size / 4 * 4)),
        1 => Just(Step::Kill),
        2 => Just(Step::Start),
        1 => any::<bool>().prop_map(Step::Block),
    ];
    // Most cases begin with a connection.
    (0..4u8, proptest::collection::vec(step, 1..60)).prop_map(|(begin, mut steps)| {
        if begin > 0 {
            steps.splice(0..0, [Step::Connect, Step::Wait(500)]);
        }
        steps
    })
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        30 => Just(Fate::Pass),
        2 => Just(Fate::Lose),
        2 => (1..3_000u64).prop_map(Fate::Delay),
        2 => Just(Fate::Duplicate),
    ];
    proptest::collection::vec(fate, 1..40)
}

/// A model of scsynth: one login, nodes, and the commands that the steps use.
#[derive(Debug, Default)]
struct ModelServer {
    is_logged_in: bool,
    /// The nodes in the default group, and that group.
    nodes: Vec<i32>,
}

impl ModelServer {
    fn notification(&self, address: &str, id: i32) -> Option<OscMessage> {
        let is_group = id == DEFAULT_GROUP;
        let parent = if is_group { 0 } else { DEFAULT_GROUP };
        let mut arguments = vec![id, parent, -1, -1, i32::from(is_group)];
        if is_group {
            arguments.extend([-1, -1]);
        }
        let arguments: Vec<OscValue> = arguments.into_iter().map(OscValue::from).collect();
        self.is_logged_in.then(|| OscMessage::new(address, arguments))
    }

    fn fail(command: &str, reason: &str) -> OscMessage {
        OscMessage::new("/fail", [command.into(), reason.into()])
    }

    fn start_node(&mut self, command: &str, id: i32) -> Vec<OscMessage> {
        if self.nodes.contains(&id) {
            return vec![Self::fail(command, "duplicate node ID")];
        }
        self.nodes.push(id);
        self.notification("/n_go", id).into_iter().collect()
    }

    /// The messages that it sends because of a packet.
    fn handle(&mut self, packet: &OscPacket) -> Vec<OscMessage> {
        let message = match packet {
            OscPacket::Message(message) => message,
            OscPacket::Bundle(bundle) => {
                return bundle.elements.iter().flat_map(|element| self.handle(element)).collect();
            }
        };
        let first = message.int(0).unwrap_or_default();
        match message.address.as_str() {
            "/status" => {
                let groups = 1 + i32::from(self.nodes.contains(&DEFAULT_GROUP));
                let (load, rate) = (OscValue::from(0.5f32), OscValue::from(48_000f64));
                let counts = [1, 0, self.nodes.len() as i32, groups, 0].map(OscValue::from);
                let loads = [load.clone(), load, rate.clone(), rate];
                vec![OscMessage::new("/status.reply", [&counts[..], &loads].concat())]
            }
            "/notify" if first == 0 => {
                self.is_logged_in = false;
                vec![OscMessage::new("/done", ["/notify".into(), 0.into()])]
            }
            "/notify" if self.is_logged_in => {
                let reason = "notify: already registered";
                vec![OscMessage::new("/fail", ["/notify".into(), reason.into(), 0.into()])]
            }
            "/notify" => {
                self.is_logged_in = true;
                vec![OscMessage::new("/done", ["/notify".into(), 0.into(), 1.into()])]
            }
            "/g_queryTree" => {
                let group = self.nodes.contains(&DEFAULT_GROUP);
                let mut arguments: Vec<OscValue> =
                    vec![0.into(), 0.into(), i32::from(group).into()];
                if group {
                    let synths = self.nodes.iter().filter(|id| **id != DEFAULT_GROUP);
                    let count = synths.clone().count() as i32;
                    arguments.extend([DEFAULT_GROUP.into(), count.into()]);
                    for id in synths {
                        arguments.extend([(*id).into(), (-1).into(), "tone".into()]);
                    }
                }
                vec![OscMessage::new("/g_queryTree.reply", arguments)]
            }
            "/g_new" => self.start_node("/g_new", first),
            "/s_new" => self.start_node("/s_new", message.int(1).unwrap()),
            "/n_free" => match self.nodes.iter().position(|id| *id == first) {
                Some(index) => {
                    self.nodes.remove(index);
                    self.notification("/n_end", first).into_iter().collect()
                }
                None => vec![Self::fail("/n_free", &format!("Node {first} not found"))],
            },
            "/n_query" if self.nodes.contains(&first) => {
                let numbers = [first, DEFAULT_GROUP, -1, -1, 0].map(OscValue::from);
                vec![OscMessage::new("/n_info", numbers)]
            }
            "/n_query" => vec![Self::fail("/n_query", &format!("Node {first} not found"))],
            "/sync" => vec![OscMessage::new("/synced", message.arguments.clone())],
            "/quit" => vec![OscMessage::new("/done", ["/quit".into()])],
            _ => vec![],
        }
    }
}

/// A datagram on its way.
#[derive(Debug)]
enum InFlight {
    ToServer(Vec<u8>),
    ToClient(Vec<u8>),
    /// The port of the server is closed.
    Refusal,
}

/// What a request must be answered with.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Synced(i32),
    Node(i32),
}

/// The connection, its driver, the network and the server.
struct World {
    connection: Connection,
    server: Option<ModelServer>,
    has_process: bool,
    is_open: bool,
    is_blocked: bool,
    now: Duration,
    /// By time and number.
    network: BTreeMap<(Duration, u64), InFlight>,
    next_datagram: u64,
    fates: Vec<Fate>,
    /// The network loses and delays nothing any more.
    is_reliable: bool,
    next_sync: i32,
    requests: HashMap<RequestId, Expected>,
    commands: Vec<CommandId>,
    /// How often the connection was called without anything having arrived.
    timeouts: u32,
    replies: u32,
    connections: u32,
}

impl World {
    fn new(fates: Vec<Fate>) -> Self {
        Self {
            connection: Connection::new(Options::default(), Timeouts::default()),
            server: Some(ModelServer::default()),
            has_process: false,
            is_open: false,
            is_blocked: false,
            now: Duration::ZERO,
            network: BTreeMap::new(),
            next_datagram: 0,
            fates,
            is_reliable: false,
            next_sync: 0,
            requests: HashMap::new(),
            commands: Vec::new(),
            timeouts: 0,
            replies: 0,
            connections: 0,
        }
    }

    /// A datagram enters the network.
    fn dispatch(&mut self, datagram: impl Fn() -> InFlight) {
        let number = self.next_datagram;
        let fate = match self.is_reliable {
            true => Fate::Pass,
            false => self.fates[number as usize % self.fates.len()],
        };
        let travel = Duration::from_micros(200);
        let mut add = |delay: Duration| {
            self.next_datagram += 1;
            self.network.insert((self.now + delay, self.next_datagram), datagram());
        };
        match fate {
            Fate::Pass => add(travel),
            Fate::Lose => self.next_datagram += 1,
            Fate::Delay(milliseconds) => add(travel + Duration::from_millis(milliseconds)),
            Fate::Duplicate => (0..2).for_each(|_| add(travel)),
        }
    }

    /// Sends packets and performs events until there are none.
    fn perform(&mut self) {
        loop {
            while let Some(packet) = self.connection.poll_transmit(self.now) {
                assert!(packet.len() <= Protocol::Udp.packet_limit());
                if self.is_blocked {
                    self.connection.transmit_blocked();
                    break;
                }
                let packet = packet.to_vec();
                if self.is_open {
                    self.dispatch(|| InFlight::ToServer(packet.clone()));
                }
            }
            let Some(event) = self.connection.poll_event() else { return };
            match event {
                Event::Spawn(_) => {
                    (self.server, self.has_process) = (Some(ModelServer::default()), true);
                    self.connection.process_started();
                    self.connection.process_line("SuperCollider 3 server ready.", self.now);
                }
                Event::Open(_) => {
                    self.is_open = true;
                    self.connection.socket_opened(self.now);
                }
                Event::Close => self.is_open = false,
                Event::Kill => self.process_exits(),
                Event::Lifecycle(LifecycleEvent::Connected) => self.connections += 1,
                Event::Reply(id, result) => {
                    let expected = self.requests.remove(&id).expect("a request ended twice");
                    self.replies += u32::from(result.is_ok());
                    match (expected, result) {
                        (Expected::Synced(id), Ok(message)) => {
                            assert_eq!(
                                (&*message.address, message.int(0).unwrap()),
                                ("/synced", id)
                            );
                        }
                        (Expected::Node(id), Ok(message)) => {
                            assert_eq!(
                                (&*message.address, message.int(0).unwrap()),
                                ("/n_info", id)
                            );
                        }
                        (_, Err(error)) => assert!(matches!(
                            error.kind(),
                            ErrorKind::Timeout
                                | ErrorKind::ServerOffline
                                | ErrorKind::RequestFailed
                        )),
                    }
                }
                Event::Completed(command, _) => {
                    let index = self.commands.iter().position(|open| *open == command);
                    self.commands.remove(index.expect("a command ended twice"));
                }
                _ => {}
            }
        }
    }

    fn process_exits(&mut self) {
        if std::mem::take(&mut self.has_process) {
            self.server = None;
            self.connection.process_exited("killed by signal 9");
        }
    }

    fn arrive(&mut self, datagram: InFlight) {
        match datagram {
            InFlight::ToServer(packet) => {
                let Some(server) = &mut self.server else {
                    return self.dispatch(|| InFlight::Refusal);
                };
                // What is not OSC is ignored, as scsynth does.
                let Ok(packet) = OscPacket::decode(&packet) else { return };
                let quits =
                    matches!(&packet, OscPacket::Message(message) if message.address == "/quit");
                for reply in server.handle(&packet) {
                    let bytes = OscPacket::from(reply).to_vec().unwrap();
                    self.dispatch(|| InFlight::ToClient(bytes.clone()));
                }
                if quits {
                    self.server = None;
                    self.process_exits();
                }
            }
            InFlight::ToClient(packet) if self.is_open => {
                self.connection.handle_packet(&packet, self.now);
            }
            InFlight::Refusal if self.is_open => self.connection.socket_refused(self.now),
            InFlight::ToClient(_) | InFlight::Refusal => {}
        }
    }

    /// Lets time pass, from one datagram or deadline to the next.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.perform();
        loop {
            let datagram = self.network.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.connection.poll_timeout();
            let Some(next) = [datagram, deadline].into_iter().flatten().min() else { break };
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            if datagram == Some(next) {
                if let Some((_, datagram)) = self.network.pop_first() {
                    self.arrive(datagram);
                }
            } else {
                self.timeouts += 1;
                self.connection.handle_timeout(self.now);
            }
            self.perform();
        }
        self.now = until;
    }

    fn request(&mut self, request: impl Into<Request>, expected: Option<Expected>) {
        let request = request.into();
        match expected {
            Some(expected) => {
                if let Ok(id) = self.connection.request(&request, self.now) {
                    self.requests.insert(id, expected);
                }
            }
            None => {
                let _ = self.connection.submit([request][..].into(), [], self.now);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(milliseconds) => self.pass(Duration::from_millis(milliseconds)),
            Step::Connect => {
                self.commands.extend(self.connection.connect(Options::default(), self.now));
            }
            Step::Boot => self.commands.extend(self.connection.boot(Options::default(), self.now)),
            Step::Disconnect => self.commands.extend(self.connection.disconnect(self.now)),
            Step::Quit => self.commands.extend(self.connection.quit(true, self.now)),
            Step::Sync => {
                let id = self.next_sync;
                self.next_sync += 1;
                self.request(Sync { id }, Some(Expected::Synced(id)));
            }
            Step::Query(id) => self.request(QueryNodes { ids: vec![id] }, Some(Expected::Node(id))),
            Step::NewSynth(id) => {
                let (synthdef, settings) = ("tone".to_owned(), Vec::new());
                let (add_action, target_id) = (AddAction::ToTail, DEFAULT_GROUP);
                self.request(NewSynth { synthdef, id, add_action, target_id, settings }, None);
            }
            Step::FreeNode(id) => self.request(FreeNodes { ids: vec![id] }, None),
            Step::Large(size) => {
                let _ = self.connection.submit_encoded(&vec![b'x'; size], None, self.now);
            }
            Step::Kill => {
                self.server = None;
                self.process_exits();
            }
            Step::Start => drop(self.server.get_or_insert_default()),
            Step::Block(is_blocked) => self.is_blocked = is_blocked,
        }
        self.perform();
    }

    /// The server is gone: everything ends.
    fn end(&mut self) {
        self.server = None;
        self.process_exits();
        self.is_blocked = false;
        self.pass(Duration::from_secs(60));
        assert_eq!(self.connection.boot_status(), BootStatus::Offline);
        assert_eq!(self.connection.poll_timeout(), None);
        assert!(!self.connection.has_queue() && !self.connection.has_events());
        assert!(self.requests.is_empty(), "requests that never end: {:?}", self.requests);
        assert!(self.commands.is_empty(), "commands that never end: {:?}", self.commands);
        // The connection has no deadline that is in the past again and again.
        let limit = 200 * (self.now.as_secs() as u32 + 1);
        assert!(self.timeouts < limit, "{} timeouts in {:?}", self.timeouts, self.now);
    }
}

/// Runs the test with cases from all seeds. Returns the sum of what it returns.
fn for_all<S: Strategy>(strategy: S, mut test: impl FnMut(S::Value) -> (u32, u32)) -> (u32, u32) {
    let total = std::cell::Cell::new((0, 0));
    let test = std::cell::RefCell::new(&mut test);
    for seed in 0..SEEDS {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new_with_rng(config, rng).run(&strategy, |value| {
            let (one, two) = (test.borrow_mut())(value);
            total.set((total.get().0 + one, total.get().1 + two));
            Ok(())
        });
        if let Err(error) = result {
            panic!("seed {seed}: {error}");
        }
    }
    total.get()
}

#[test]
fn every_request_and_command_ends_once_whatever_the_network_and_the_server_do() {
    let (connections, replies) = for_all((steps(), fates()), |(steps, fates)| {
        let mut world = World::new(fates);
        steps.into_iter().for_each(|step| world.step(step));
        world.end();
        (world.connections, world.replies)
    });
    // The cases reach connections and replies.
    assert!(connections > 250 && replies > 250, "{connections} {replies}");
}

#[test]
fn a_client_connects_and_is_answered_as_soon_as_network_and_server_are_reliable() {
    for_all((steps(), fates()), |(steps, fates)| {
        let mut world = World::new(fates);
        steps.into_iter().for_each(|step| world.step(step));
        // Whatever is left of the faults ends within a minute.
        world.is_reliable = true;
        world.is_blocked = false;
        world.server = None;
        world.process_exits();
        world.pass(Duration::from_secs(60));
        world.server = Some(ModelServer::default());
        world.step(Step::Connect);
        world.pass(Duration::from_millis(100));
        assert_eq!(world.connection.boot_status(), BootStatus::Online);
        let replies = world.replies;
        world.step(Step::NewSynth(FIRST_NODE));
        world.step(Step::NewSynth(FIRST_NODE + 1));
        world.step(Step::FreeNode(FIRST_NODE));
        world.step(Step::Query(FIRST_NODE + 1));
        world.step(Step::Large(60_000));
        world.step(Step::Large(60_000));
        world.step(Step::Sync);
        world.pass(Duration::from_millis(100));
        assert_eq!(world.replies, replies + 2);
        let nodes = world.connection.state().mirror.ids();
        let expected = [0, DEFAULT_GROUP, FIRST_NODE + 1];
        assert_eq!(nodes.into_iter().collect::<std::collections::BTreeSet<_>>(), expected.into());
        world.end();
        (0, 0)
    });
}
