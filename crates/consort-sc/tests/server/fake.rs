//! Faulty servers and foreign programs, which the tests simulate.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_sc::*;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("fake::a_port_without_a_server_is_reported", a_port_without_a_server_is_reported),
    (
        "fake::a_program_that_is_not_a_server_is_reported",
        a_program_that_is_not_a_server_is_reported,
    ),
    ("fake::a_server_that_does_not_answer_times_out", a_server_that_does_not_answer_times_out),
    (
        "fake::duplicate_replies_and_invalid_packets_are_ignored",
        duplicate_replies_and_invalid_packets_are_ignored,
    ),
    (
        "fake::a_client_that_is_already_registered_can_connect",
        a_client_that_is_already_registered_can_connect,
    ),
    ("fake::a_server_that_stops_answering_is_detected", a_server_that_stops_answering_is_detected),
    ("fake::a_task_continues_during_a_large_write", a_task_continues_during_a_large_write),
    (
        "fake::notifications_after_the_tree_do_not_change_it",
        notifications_after_the_tree_do_not_change_it,
    ),
    ("fake::an_end_notification_may_precede_its_go", an_end_notification_may_precede_its_go),
    ("fake::timeouts_may_be_unlimited", timeouts_may_be_unlimited),
    (
        "fake::encoded_packets_are_answered_after_the_queue_has_the_message",
        encoded_packets_are_answered_after_the_queue_has_the_message,
    ),
    ("fake::invalid_answers_are_errors_or_values", invalid_answers_are_errors_or_values),
];

/// A minimal UDP server that replies to each message with the packets that `answer` returns.
pub(crate) struct FakeServer {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The replies to a message.
type Answer = dyn FnMut(&OscMessage) -> Vec<Vec<u8>> + Send;

fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).unwrap();
    bytes
}

/// The replies of a correct server.
pub(crate) fn correct_replies(message: &OscMessage) -> Vec<Vec<u8>> {
    match message.address.as_str() {
        "/status" => vec![encode(
            "/status.reply",
            [
                1.into(),
                0.into(),
                0.into(),
                2.into(),
                0.into(),
                0.5f32.into(),
                1.0f32.into(),
                48_000f64.into(),
                48_000f64.into(),
            ],
        )],
        "/notify" => vec![encode("/done", ["/notify".into(), 0.into(), 2.into()])],
        "/g_queryTree" => {
            vec![encode("/g_queryTree.reply", [0.into(), 0.into(), 1.into(), 1.into(), 0.into()])]
        }
        "/sync" => vec![encode("/synced", [message.arguments[0].clone()])],
        "/quit" => vec![encode("/done", ["/quit".into()])],
        _ => vec![],
    }
}

impl FakeServer {
    pub(crate) fn start(mut answer: Box<Answer>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let should_stop = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !should_stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
                let Ok(packet) = OscPacket::decode(&bytes[..length]) else { continue };
                respond(&socket, from, &packet, &mut answer);
            }
        });
        Self { port, stop, thread: Some(thread) }
    }

    pub(crate) fn options(&self) -> Options {
        Options { port: self.port, ..Options::default() }
    }
}

fn respond(socket: &UdpSocket, from: SocketAddr, packet: &OscPacket, answer: &mut Box<Answer>) {
    match packet {
        OscPacket::Message(message) => {
            for reply in answer(message) {
                socket.send_to(&reply, from).unwrap();
            }
        }
        OscPacket::Bundle(bundle) => {
            for element in &bundle.elements {
                respond(socket, from, element, answer);
            }
        }
    }
}

/// Short deadlines for servers that do not answer.
fn short_timeouts() -> Timeouts {
    Timeouts { connect: Duration::from_millis(400), ..crate::lifecycle::quick() }
}

/// Long deadlines for servers that answer, on a machine that may be busy.
fn long_timeouts() -> Timeouts {
    Timeouts { connect: WAIT_TIMEOUT, request: WAIT_TIMEOUT, ..Timeouts::default() }
}

fn a_port_without_a_server_is_reported() {
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let options = Options { port: free_port(), protocol, ..Options::default() };
        let server = Server::with_timeouts(options, None, short_timeouts()).unwrap();
        let events = server.events(EventFilter::default());
        let start = Instant::now();
        let error = server.connect().unwrap_err();
        assert!(start.elapsed() < WAIT_TIMEOUT);
        assert_eq!(error.kind(), ErrorKind::CannotConnect);
        assert!(error.to_string().contains("no server is listening"), "{error}");
        let mut names = Vec::new();
        while let Some(Event::Lifecycle(event)) = events.try_next() {
            names.push(event.to_string());
        }
        assert_eq!(names, ["CONNECTING", "OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
        assert_eq!(server.boot_status(), BootStatus::Offline);
        assert!(!futures_lite::future::block_on(server.boot_future()).unwrap());
    }
}

fn a_program_that_is_not_a_server_is_reported() {
    for answer in [b"HTTP/1.1 400 Bad Request\r\n".to_vec(), encode("/status.reply", [1.into()])] {
        let fake = FakeServer::start(Box::new(move |_| vec![answer.clone()]));
        let server = Server::with_timeouts(fake.options(), None, short_timeouts()).unwrap();
        let error = server.connect().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CannotConnect);
        assert!(error.to_string().contains("not a SuperCollider server"), "{error}");
    }
}

fn a_server_that_does_not_answer_times_out() {
    let fake = FakeServer::start(Box::new(|_| vec![]));
    let server = Server::with_timeouts(fake.options(), None, short_timeouts()).unwrap();
    let error = server.connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotConnect);
    assert!(error.to_string().contains("within 400ms"), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options {
        port: listener.local_addr().unwrap().port(),
        protocol: Protocol::Tcp,
        ..Options::default()
    };
    let server = Server::with_timeouts(options, None, short_timeouts()).unwrap();
    let error = server.connect().unwrap_err();
    assert!(error.to_string().contains("it needs a password"), "{error}");
}

fn duplicate_replies_and_invalid_packets_are_ignored() {
    let fake = FakeServer::start(Box::new(|message| {
        let mut replies = correct_replies(message);
        replies.extend(replies.clone());
        replies.insert(0, b"invalid".to_vec());
        replies.push(encode("/n_go", ["not a number".into()]));
        replies.push(encode("/g_queryTree.reply", [1.into(), 0.into(), i32::MAX.into()]));
        replies.push(encode("/done", []));
        replies
    }));
    let server = Server::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
    server.connect().unwrap();
    assert_eq!(server.maximum_logins(), 2);
    for _ in 0..50 {
        server.sync().unwrap();
    }
    assert_eq!(server.query_status().unwrap().group_count, 2);
    server.disconnect().unwrap();
}

fn a_client_that_is_already_registered_can_connect() {
    let mut first = true;
    let fake = FakeServer::start(Box::new(move |message| {
        if message.address == "/notify" && std::mem::take(&mut first) {
            let reason = "notify: already registered\n";
            return vec![encode("/fail", ["/notify".into(), reason.into(), 1.into()])];
        }
        correct_replies(message)
    }));
    let options = Options { maximum_logins: 2, ..fake.options() };
    let server = Server::with_timeouts(options, None, long_timeouts()).unwrap();
    server.connect().unwrap();
    assert_eq!(server.client_id(), 1);
}

fn a_server_that_stops_answering_is_detected() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = is_silent.clone();
    let fake = FakeServer::start(Box::new(move |message| {
        if silent.load(Ordering::Relaxed) { vec![] } else { correct_replies(message) }
    }));
    let server = Server::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
    server.connect().unwrap();
    server.set_timeouts(Timeouts { connect: WAIT_TIMEOUT, ..short_timeouts() });
    is_silent.store(true, Ordering::Relaxed);
    // A waiting request ends with its deadline or with the connection, whichever is first.
    let error = server.sync_with(1, Duration::from_millis(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = server.sync_with(2, Duration::from_secs(60)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerOffline);
    eventually("the loss is detected", || server.boot_status() == BootStatus::Offline);
    // The client can connect again when the server answers again.
    is_silent.store(false, Ordering::Relaxed);
    server.connect().unwrap();
    server.sync().unwrap();
    // A closed port is detected before the health checks give up.
    drop(fake);
    eventually("the closed port is detected", || server.boot_status() == BootStatus::Offline);
}

fn a_task_continues_during_a_large_write() {
    let reads = Arc::new(AtomicBool::new(false));
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let (may_read, log) = (reads.clone(), arrived.clone());
    let fake = FakeServer::start(Box::new(move |message| {
        match message.address.as_str() {
            "/sync" if !may_read.load(Ordering::Relaxed) => return vec![],
            "/b_setn" | "/n_set" => {
                let start = message.arguments[1].as_i32().unwrap_or(-1);
                log.lock().unwrap().push((start, message.arguments.len()));
            }
            _ => {}
        }
        correct_replies(message)
    }));
    futures_lite::future::block_on(async {
        let server = AsyncServer::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
        reads.store(true, Ordering::Relaxed);
        server.connect().await.unwrap();
        server.sync().await.unwrap();
        reads.store(false, Ordering::Relaxed);
        let buffer = server.add_buffer(BufferContent::empty(1, 200_000)).unwrap();
        let write = async {
            // 800,000 bytes to a server that has stopped reading.
            server.set_buffer_range(&buffer, 0, &vec![0.5; 200_000]).unwrap();
            server.set_node(1000, [("amplitude", 0.5)]).unwrap();
            server.sync().await
        };
        let other = async {
            let deadline = Instant::now() + WAIT_TIMEOUT;
            while arrived.lock().unwrap().is_empty() {
                assert!(Instant::now() < deadline, "nothing arrived");
                futures_lite::future::yield_now().await;
            }
            // This task runs while the write waits, so the write has not blocked the thread.
            assert!(arrived.lock().unwrap().iter().map(|(_, count)| count).sum::<usize>() < 20_000);
            reads.store(true, Ordering::Relaxed);
        };
        let (synced, ()) = futures_lite::future::zip(write, other).await;
        synced.unwrap();
    });
    let arrived = arrived.lock().unwrap();
    let (last, writes) = arrived.split_last().unwrap();
    // The writes arrived in order and without gaps, and the later request arrived last.
    let mut next = 0;
    for (start, count) in writes {
        assert_eq!(*start, next);
        next += *count as i32 - 3;
    }
    assert_eq!((next, *last), (200_000, (-1, 3)));
}

fn node(address: &str, id: i32, previous: i32, next: i32, is_group: bool) -> Vec<u8> {
    let numbers = [id, 1, previous, next, i32::from(is_group)];
    encode(address, numbers.map(OscValue::from))
}

fn children(group: &Group) -> Vec<i32> {
    group.children().iter().map(Node::id).collect()
}

/// The server replies to the tree query before it sends the notifications of the nodes in it, as
/// scsynth does when they are created in the same audio period.
fn notifications_after_the_tree_do_not_change_it() {
    let mut first = true;
    let fake = FakeServer::start(Box::new(move |message| {
        if message.address != "/g_queryTree" {
            return correct_replies(message);
        }
        // 1000, 1001, and a group 1002 with 1003 in it; 1004 was created after 1001 and freed.
        let tree = [0, 0, 1, 1, 3, 1000, -1];
        let mut tree: Vec<OscValue> = tree.map(OscValue::from).to_vec();
        tree.push("tone".into());
        tree.extend([1001, -1].map(OscValue::from));
        tree.push("tone".into());
        tree.extend([1002, 1, 1003, -1].map(OscValue::from));
        tree.push("tone".into());
        let inner = [1003, 1002, -1, -1, 0].map(OscValue::from);
        if !std::mem::take(&mut first) {
            return vec![encode("/g_queryTree.reply", tree)];
        }
        vec![
            encode("/g_queryTree.reply", tree),
            node("/n_go", 1000, -1, -1, false),
            node("/n_go", 1001, 1000, -1, false),
            node("/n_go", 1004, 1001, -1, false),
            node("/n_go", 1002, 1004, -1, true),
            encode("/n_go", inner),
            node("/n_end", 1004, -1, -1, false),
        ]
    }));
    let server = Server::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
    server.connect().unwrap();
    let check = || {
        server.sync().unwrap();
        assert_eq!(children(&server.default_group()), [1000, 1001, 1002]);
        let Node::Group(inner) = &server.default_group().children()[2] else { panic!("no group") };
        assert_eq!(children(inner), [1003]);
        assert!(!server.is_mirror_stale());
    };
    check();
    // Once more, when the mirror contains all nodes.
    server.query_tree(0, false).unwrap();
    check();
}

fn an_end_notification_may_precede_its_go() {
    let fake = FakeServer::start(Box::new(|message| match message.address.as_str() {
        "/clearSched" => {
            vec![node("/n_end", 1000, -1, -1, false), node("/n_go", 1000, -1, -1, false)]
        }
        "/d_freeAll" => vec![node("/n_go", 1000, -1, -1, false)],
        _ => correct_replies(message),
    }));
    let server = Server::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
    server.connect().unwrap();
    server.sync().unwrap();
    server.clear_schedule().unwrap();
    server.sync().unwrap();
    assert!(children(&server.default_group()).is_empty());
    assert!(!server.is_mirror_stale());
    server.free_all_synthdefs().unwrap();
    server.sync().unwrap();
    assert_eq!(children(&server.default_group()), [1000]);
}

/// `Duration::MAX` is accepted as every deadline.
fn timeouts_may_be_unlimited() {
    let fake = FakeServer::start(Box::new(correct_replies));
    let unlimited = Duration::MAX;
    let health = HealthCheck {
        interval: unlimited,
        timeout: unlimited,
        backoff: f64::NAN,
        attempts: u32::MAX,
    };
    let timeouts = Timeouts {
        boot: unlimited,
        connect: unlimited,
        quit: unlimited,
        exit: unlimited,
        log_out: unlimited,
        request: unlimited,
        health,
    };
    let server = Server::with_timeouts(fake.options(), None, timeouts).unwrap();
    let events = server.events(EventFilter::default());
    server.connect().unwrap();
    assert!(events.next_timeout(unlimited).is_some());
    server.sync().unwrap();
    server.sync_with(1, unlimited).unwrap();
    // A moment with a time beyond the range of the clock, whose reply is awaited.
    let moment = server.at(1e19).unwrap();
    let status = moment.ask_status().unwrap();
    moment.send().unwrap();
    assert!(status.wait().is_ok());
    for backoff in [-1.0, f64::INFINITY, 1e300] {
        let health = HealthCheck { interval: Duration::ZERO, backoff, ..health };
        server.set_timeouts(Timeouts { health, ..timeouts });
        server.sync().unwrap();
    }
    server.force_quit().unwrap();
    assert_eq!(server.boot_status(), BootStatus::Offline);
}

/// Every invalid answer becomes a value or an error, and the next request is answered again.
fn invalid_answers_are_errors_or_values() {
    let answers = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let current_answers = answers.clone();
    let fake = FakeServer::start(Box::new(move |message| {
        let is_handshake =
            ["/sync", "/status", "/notify", "/quit"].contains(&message.address.as_str());
        if is_handshake || current_answers.lock().unwrap().is_empty() {
            return correct_replies(message);
        }
        current_answers.lock().unwrap().clone()
    }));
    let server = Server::with_timeouts(fake.options(), None, long_timeouts()).unwrap();
    server.connect().unwrap();
    let buffer = server.add_buffer(BufferContent::empty(1, 8)).unwrap();
    let bus = server.add_bus(CalculationRate::Control).unwrap();
    let synth = server.add_synth("tone", Placement::default(), NO_SETTINGS).unwrap();
    let (int, float, double) = (
        OscValue::from as fn(i32) -> OscValue,
        OscValue::from as fn(f32) -> OscValue,
        OscValue::from as fn(f64) -> OscValue,
    );
    let text = |text: &str| OscValue::from(text);
    let answer_with = |address: &str, arguments: Vec<OscValue>| {
        *answers.lock().unwrap() = vec![encode(address, arguments)];
    };
    let protocol = |description: &str, result: Result<()>| {
        let error = result.expect_err(description);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{description}: {error}");
    };
    // Counts that are negative or exceed the number of arguments.
    for count in [-1, i32::MIN, 3, i32::MAX] {
        answer_with("/b_setn", vec![int(0), int(0), int(count), float(0.5)]);
        protocol("/b_setn", server.get_buffer_range(&buffer, 0, 1).map(drop));
        answer_with("/n_setn", vec![int(synth.id()), int(0), int(count), float(0.5)]);
        protocol("/n_setn", server.get_synth_control_range(&synth, 0, 1).map(drop));
        answer_with(
            "/g_queryTree.reply",
            vec![int(0), int(1), int(count.max(3)), int(5), int(-1), text("tone")],
        );
        protocol("tree", server.query_tree(1, false).map(drop));
    }
    // Unexpected types, and missing arguments.
    for value in [text("x"), OscValue::Blob(vec![0; 60_000]), OscValue::Nil] {
        answer_with("/b_setn", vec![int(0), int(0), int(1), value.clone()]);
        protocol("/b_setn", server.get_buffer_range(&buffer, 0, 1).map(drop));
        answer_with("/b_set", vec![int(0), int(0), value.clone()]);
        protocol("/b_set", server.get_buffer(&buffer, &[0]).map(drop));
        answer_with("/b_info", vec![int(0), value.clone()]);
        protocol("/b_info", server.query_buffer(&buffer).map(drop));
        answer_with("/c_set", vec![int(0), value.clone()]);
        protocol("/c_set", server.get_bus(&bus).map(drop));
        answer_with("/n_set", vec![int(synth.id()), double(0.5), value.clone()]);
        protocol("/n_set", server.get_synth_controls(&synth, [0]).map(drop));
        answer_with("/n_info", vec![int(synth.id()), value.clone()]);
        protocol("/n_info", server.query_node(&synth).map(drop));
        answer_with("/version.reply", vec![value.clone()]);
        protocol("/version.reply", server.query_version().map(drop));
        // Notifications without valid ids, which no request expects.
        for address in ["/done", "/fail", "/n_go", "/n_end", "/n_move", "/n_on", "/tr", "/synced"] {
            answers.lock().unwrap().push(encode(address, [value.clone()]));
        }
        server.clear_schedule().unwrap();
        server.sync().unwrap();
    }
    // NaN and negative counts are passed on unchanged.
    answer_with("/c_set", vec![int(0), float(f32::NAN)]);
    assert!(server.get_bus(&bus).unwrap().is_nan());
    answer_with("/b_info", vec![int(0), int(i32::MIN), int(-1), double(f64::NAN)]);
    assert_eq!(server.query_buffer(&buffer).unwrap().frame_count, i32::MIN);
    // Nodes and buffers with unusual ids, and nodes that contain themselves.
    for id in [i32::MIN, -1, 0, 1, i32::MAX] {
        let mut all = Vec::new();
        for (address, parent) in [("/n_go", id), ("/n_move", 0), ("/n_move", id), ("/n_end", id)] {
            all.push(encode(address, [id, parent, id, id, 1, id, id].map(OscValue::from)));
        }
        for command in ["/b_alloc", "/b_free"] {
            all.push(encode("/done", [text(command), int(id)]));
        }
        *answers.lock().unwrap() = all;
        server.clear_schedule().unwrap();
        server.sync().unwrap();
        let _ = server.root_node().children();
    }
    answers.lock().unwrap().clear();
    assert_eq!(server.query_status().unwrap().group_count, 2);
    server.disconnect().unwrap();
}

/// A front in another language encodes its packets itself.
fn encoded_packets_are_answered_after_the_queue_has_the_message() {
    let fake = FakeServer::start(Box::new(|message| match message.address.as_str() {
        "/c_get" => vec![encode("/c_set", [3.into(), 0.5f32.into()])],
        "/b_get" => vec![encode("/fail", ["/b_get".into(), "index out of range".into()])],
        _ => correct_replies(message),
    }));
    let server = Server::new(fake.options()).unwrap();
    server.connect().unwrap();
    let queued = Arc::new(Mutex::new(Vec::new()));
    let queue = queued.clone();
    let handle = server.register_osc_queue("/c_set", None, false, move |message| {
        queue.lock().unwrap().push(message);
    });
    let ask = |address: &str, reply: &'static str| {
        let pattern = requests::ReplyPattern::new(reply, [3.into()]);
        server.ask_encoded(&encode(address, [3.into()]), address, pattern, Some(WAIT_TIMEOUT))
    };
    for count in 1..=20 {
        let reply = ask("/c_get", "/c_set").unwrap().wait().unwrap();
        assert_eq!(reply.arguments[1].as_f64(), Some(0.5));
        assert_eq!(queued.lock().unwrap().len(), count);
    }
    handle.unregister();
    ask("/c_get", "/c_set").unwrap().wait().unwrap();
    assert_eq!(queued.lock().unwrap().len(), 20);
    let error = ask("/b_get", "/b_set").unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestFailed);
    let too_large = server.send_encoded(&vec![0; 70_000]).unwrap_err();
    assert_eq!(too_large.kind(), ErrorKind::TooLarge);
    // Ids by number.
    let first = server.allocate_buffer_ids(3).unwrap();
    server.free_buffer_ids(first + 1, 1);
    assert_eq!(server.allocate_buffer_ids(1).unwrap(), first + 1);
    let node = server.allocate_node_id(true).unwrap();
    server.free_node_id(node);
    assert_eq!(server.allocate_node_id(true).unwrap(), node);
    assert!(!server.has_node(node) && server.node_children(node).is_none());
    server.disconnect().unwrap();
    assert_eq!(server.send_encoded(b"").unwrap_err().kind(), ErrorKind::ServerOffline);
}
