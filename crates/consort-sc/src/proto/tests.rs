//! The connection on virtual time, without a server.

use super::*;
use std::collections::HashMap;

use consort_osc::{OscMessage, OscPacket, OscValue};

use crate::queries::NodeInfo;
use crate::requests::QueryNodes;
use crate::tree::QueryTreeGroup;
use crate::wire::Arguments;

/// A connection on a virtual clock, with a record of what it does.
struct Harness {
    connection: Connection,
    now: Duration,
    events: Vec<String>,
    /// The packets, except barriers, which are answered at once.
    sent: Vec<String>,
    /// Failures, warnings, and the closing of the socket or the process.
    other_events: Vec<String>,
    replies: HashMap<RequestId, Result<OscMessage>>,
    completed: HashMap<CommandId, Result<()>>,
    probed: HashMap<CommandId, Result<Vec<bool>>>,
}

impl Harness {
    fn new() -> Self {
        Self {
            connection: Connection::new(Options::default(), Timeouts::default()),
            now: Duration::ZERO,
            events: vec![],
            sent: vec![],
            other_events: vec![],
            replies: HashMap::new(),
            completed: HashMap::new(),
            probed: HashMap::new(),
        }
    }

    fn connect(&mut self) -> CommandId {
        self.connection.connect(Options::default(), self.now).unwrap()
    }

    fn boot(&mut self) -> CommandId {
        self.boot_with(Options::default())
    }

    /// Boots a server whose process becomes ready.
    fn boot_with(&mut self, options: Options) -> CommandId {
        let command = self.connection.boot(options, self.now).unwrap();
        self.perform();
        self.connection.process_line("SuperCollider 3 server ready.", self.now);
        command
    }

    /// Packets that wait for the send window one by one.
    fn send_large(&mut self, count: usize) {
        for _ in 0..count {
            self.connection.submit_encoded(&[b'x'; 60_000], None, self.now).unwrap();
        }
    }

    /// The result of a command, if it is there.
    fn result(&mut self, command: CommandId) -> Option<Result<()>> {
        self.completed.remove(&command)
    }

    /// The reply to a request, which must be there.
    fn node(&mut self, request: RequestId) -> Result<NodeInfo> {
        let reply = self.replies.remove(&request).expect("the request still waits");
        reply.and_then(|message| NodeInfo::parse(&message))
    }

    fn send(&mut self, bytes: &[u8]) {
        match OscPacket::decode(bytes) {
            Ok(OscPacket::Message(message))
                if message.address == "/sync" && message.int(0).unwrap() <= FIRST_BARRIER_ID =>
            {
                self.connection.message(OscMessage::new("/synced", message.arguments), self.now);
            }
            Ok(packet) => self.sent.push(packet.to_string()),
            Err(_) => self.sent.push(format!("{} bytes", bytes.len())),
        }
    }

    /// Sends packets and performs events until there are none.
    fn perform(&mut self) {
        loop {
            while let Some(packet) = self.connection.poll_transmit(self.now).map(<[u8]>::to_vec) {
                self.send(&packet);
            }
            let Some(event) = self.connection.poll_event() else { break };
            match event {
                Event::Lifecycle(event) => self.events.push(event.to_string()),
                Event::Reply(id, result) => drop(self.replies.insert(id, result)),
                Event::Completed(id, result) => drop(self.completed.insert(id, result)),
                Event::Probed(id, result) => drop(self.probed.insert(id, result)),
                Event::Open(_) => self.connection.socket_opened(self.now),
                Event::Spawn(_) => self.connection.process_started(),
                Event::Kill => self.other_events.push("kill".into()),
                Event::Close => self.other_events.push("close".into()),
                Event::Fail(fail) => self.other_events.push(format!("fail {}", fail.command)),
                Event::Warning(warning) => self.other_events.push(warning),
                Event::Message(_) | Event::Started(..) | Event::Ended(..) => {}
            }
        }
    }

    /// Advances the clock to `until`, from one deadline to the next.
    fn advance_to(&mut self, until: Duration) {
        self.perform();
        while let Some(deadline) = self.connection.poll_timeout()
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.connection.handle_timeout(self.now);
            self.perform();
        }
        self.now = until;
    }

    /// A message from the server arrives.
    fn receive(&mut self, address: &str, arguments: impl Into<Vec<OscValue>>) {
        self.connection.message(OscMessage::new(address, arguments), self.now);
        self.perform();
    }

    /// A `/status.reply` with two groups.
    fn status(&mut self) {
        self.status_with_groups(2);
    }

    fn status_with_groups(&mut self, group_count: i32) {
        let [zero, one, groups] = [0, 1, group_count].map(OscValue::from);
        let (load, rate) = (OscValue::from(0.5f32), OscValue::from(48_000f64));
        let (ugens, synths, synthdefs) = (zero.clone(), zero.clone(), zero);
        self.receive(
            "/status.reply",
            vec![one, ugens, synths, groups, synthdefs, load.clone(), load, rate.clone(), rate],
        );
    }

    /// The server answers every step.
    fn handshake(&mut self) {
        self.perform();
        self.status();
        self.receive("/done", ["/notify".into(), 0.into(), 1.into()]);
        self.receive("/g_queryTree.reply", [0.into(), 0.into(), 0.into()]);
        self.receive("/synced", [TREE_SYNC_ID.into()]);
        self.receive("/synced", [GROUPS_SYNC_ID.into()]);
    }

    /// A client of a running server, online.
    fn connected() -> Self {
        let mut harness = Self::new();
        let command = harness.connect();
        harness.handshake();
        harness.result(command).unwrap().unwrap();
        harness.events.clear();
        harness.sent.clear();
        harness
    }

    /// The owner of a server, online.
    fn booted() -> Self {
        let mut harness = Self::new();
        let command = harness.boot();
        harness.handshake();
        harness.result(command).unwrap().unwrap();
        harness.events.clear();
        harness.sent.clear();
        harness
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_step_of_the_handshake_is_repeated_until_it_is_answered() {
    let mut harness = Harness::new();
    harness.connect();
    harness.advance_to(seconds(0.5));
    assert_eq!(harness.sent, ["/status ,"]);
    harness.advance_to(seconds(1.2));
    assert_eq!(harness.sent, ["/status ,", "/status ,"]);
    harness.status();
    harness.advance_to(seconds(3.0));
    assert_eq!(harness.sent[2..], ["/notify ,i 1", "/notify ,i 1"]);
    assert_eq!(harness.events, ["CONNECTING"]);
    // But only until the deadline.
    harness.advance_to(seconds(5.1));
    let expected = ["CONNECTING", "OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"];
    assert_eq!(harness.events, expected);
    assert_eq!(harness.connection.boot_status(), BootStatus::Offline);
    assert_eq!(harness.connection.poll_timeout(), None);
}

#[test]
fn an_owner_sends_all_steps_of_the_handshake_at_once() {
    let mut harness = Harness::new();
    let command = harness.boot();
    harness.perform();
    assert_eq!(harness.sent.len(), 3, "{:?}", harness.sent);
    assert_eq!(harness.sent[..2], ["/status ,", "/notify ,i 1"]);
    assert!(harness.sent[2].contains("/g_new") && harness.sent[2].contains("/g_queryTree"));
    // The answers may arrive in any order.
    harness.receive("/done", ["/notify".into(), 0.into(), 1.into()]);
    let tree = [0.into(), 0.into(), 1.into(), 1.into(), 0.into()];
    harness.receive("/g_queryTree.reply", tree);
    assert_eq!(harness.events, ["BOOTING", "PROCESS_BOOTED", "CONNECTING"]);
    harness.status();
    assert_eq!(harness.events[3..], ["OSC_CONNECTED", "CONNECTED", "BOOTED"]);
    harness.result(command).unwrap().unwrap();
    assert_eq!(harness.sent.len(), 3, "{:?}", harness.sent);
}

#[test]
fn a_pipelined_handshake_that_lost_answers_continues_step_by_step() {
    let mut harness = Harness::new();
    let command = harness.boot();
    harness.perform();
    harness.status();
    harness.advance_to(seconds(1.2));
    assert_eq!(harness.sent[3..], ["/status ,"]);
    harness.status();
    assert_eq!(harness.sent[4..], ["/notify ,i 1"]);
    let reason = "notify: already registered\n";
    harness.receive("/fail", ["/notify".into(), reason.into(), 0.into()]);
    harness.receive("/fail", ["/notify".into(), reason.into(), 0.into()]);
    assert!(harness.other_events.is_empty(), "{:?}", harness.other_events);
    let tree = [0.into(), 0.into(), 1.into(), 1.into(), 0.into()];
    harness.receive("/g_queryTree.reply", tree);
    assert_eq!(harness.events[3..], ["OSC_CONNECTED", "CONNECTED", "BOOTED"]);
    harness.result(command).unwrap().unwrap();
}

#[test]
fn an_owner_with_other_clients_queries_the_tree_again_after_the_login() {
    let mut harness = Harness::new();
    let command = harness.boot_with(Options { maximum_logins: 3, ..Options::default() });
    harness.perform();
    harness.status();
    harness.receive("/done", ["/notify".into(), 0.into(), 4.into()]);
    let groups = |count: i32| {
        let mut tree: Vec<OscValue> = vec![0.into(), 0.into(), count.into()];
        tree.extend((1..=count).flat_map(|id| [id.into(), 0.into()]));
        tree
    };
    harness.receive("/g_queryTree.reply", groups(3));
    assert_eq!(harness.events[3..], ["OSC_CONNECTED"]);
    assert!(harness.sent[3].contains("/g_queryTree"), "{:?}", harness.sent);
    harness.receive("/g_queryTree.reply", groups(3));
    // The server rounded the logins up, so only the fourth group is missing.
    assert!(harness.sent[4].contains("/g_new ,iii 4 1 0"), "{:?}", harness.sent);
    harness.receive("/synced", [GROUPS_SYNC_ID.into()]);
    assert_eq!(harness.events[4..], ["CONNECTED", "BOOTED"]);
    harness.result(command).unwrap().unwrap();
}

#[test]
fn an_absurd_number_of_logins_is_rejected_at_once() {
    let mut harness = Harness::new();
    harness.connect();
    harness.perform();
    harness.status();
    harness.receive("/done", ["/notify".into(), 0.into(), i32::MAX.into()]);
    assert_eq!(harness.events, ["CONNECTING"]);
    harness.receive("/done", ["/notify".into(), 0.into(), 2.into()]);
    assert_eq!(harness.events, ["CONNECTING", "OSC_CONNECTED"]);
}

#[test]
fn health_checks_back_off_and_then_give_up() {
    let mut harness = Harness::connected();
    harness.advance_to(seconds(1.5));
    assert_eq!(harness.sent.len(), 1);
    harness.status();
    // Answered at 1.5 s, sent again a second later, and not answered any more: attempts of 1, 1.5,
    // 2.25, 3.375 and 5.0625 s.
    let mut sent_at = Vec::new();
    for tenth in 15..=170 {
        let before = harness.sent.len();
        harness.advance_to(seconds(f64::from(tenth) / 10.0));
        if harness.sent.len() > before {
            sent_at.push(tenth);
        }
    }
    assert_eq!(sent_at, [25, 35, 50, 73, 107]);
    assert_eq!(harness.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
}

#[test]
fn a_server_that_neither_answers_nor_exits_is_killed() {
    let mut harness = Harness::booted();
    let command = harness.connection.quit(false, harness.now).unwrap();
    harness.advance_to(seconds(1.9));
    assert_eq!(harness.events, ["QUITTING"]);
    harness.advance_to(seconds(3.9));
    assert_eq!(harness.events, ["QUITTING", "DISCONNECTING", "OSC_DISCONNECTED", "DISCONNECTED"]);
    assert_eq!(harness.other_events, ["close"]);
    harness.advance_to(seconds(4.1));
    assert_eq!(harness.other_events, ["close", "kill"]);
    assert!(harness.result(command).is_none());
    harness.connection.process_exited("killed by signal 9");
    harness.perform();
    assert_eq!(harness.events[4..], ["PROCESS_QUIT", "QUIT"]);
    harness.result(command).unwrap().unwrap();
}

#[test]
fn a_process_that_is_never_ready_is_killed_and_its_output_is_reported() {
    let mut harness = Harness::new();
    let command = harness.connection.boot(Options::default(), harness.now).unwrap();
    harness.perform();
    harness.connection.process_line("cannot find the audio device", harness.now);
    harness.advance_to(seconds(21.0));
    assert_eq!(harness.other_events, ["kill"]);
    harness.connection.process_exited("killed by signal 9");
    harness.perform();
    assert_eq!(harness.events, ["BOOTING", "PROCESS_PANICKED"]);
    let error = harness.result(command).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
    assert!(error.to_string().contains("cannot find the audio device"), "{error}");
}

#[test]
fn replies_failures_and_deadlines_end_waiting_requests() {
    let mut harness = Harness::connected();
    let ask = |harness: &mut Harness, id: i32| {
        let request = QueryNodes { ids: vec![id] }.into();
        let id = harness.connection.request(&request, harness.now).unwrap();
        harness.perform();
        harness.sent.clear();
        id
    };
    let (one, two, three) = (ask(&mut harness, 1), ask(&mut harness, 2), ask(&mut harness, 3));
    let info = |id: i32| [id.into(), 0.into(), (-1).into(), (-1).into(), 0.into()];
    harness.receive("/n_info", info(2));
    harness.receive("/n_info", info(2));
    assert_eq!(harness.node(two).unwrap().id, 2);
    harness.receive("/fail", ["/n_query".into(), "Node 3 not found".into()]);
    assert_eq!(harness.node(three).unwrap_err().kind(), ErrorKind::RequestFailed);
    harness.receive("/fail", ["/n_set".into(), "Node 3 not found".into()]);
    assert_eq!(harness.other_events, ["fail /n_set"]);
    for tenth in 0..52 {
        harness.now = seconds(f64::from(tenth) / 10.0);
        harness.status();
        harness.advance_to(harness.now);
    }
    assert_eq!(harness.node(one).unwrap_err().kind(), ErrorKind::Timeout);
    let four = ask(&mut harness, 4);
    harness.connection.disconnect(harness.now).unwrap();
    harness.advance_to(harness.now + seconds(1.0));
    assert_eq!(harness.node(four).unwrap_err().kind(), ErrorKind::ServerOffline);
}

#[test]
fn three_refusals_lose_the_connection_and_one_does_not() {
    let mut harness = Harness::connected();
    harness.connection.socket_refused(harness.now);
    harness.advance_to(seconds(0.2));
    harness.status();
    harness.connection.socket_refused(harness.now);
    harness.connection.socket_refused(harness.now);
    harness.perform();
    assert!(harness.events.is_empty());
    harness.connection.socket_refused(harness.now);
    harness.perform();
    assert_eq!(harness.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
}

/// A server that a supervisor restarts at once answers every health check.
#[test]
fn another_server_at_the_address_of_a_joined_one_is_detected() {
    let mut harness = Harness::connected();
    let group = |id: i32| [id, 0, -1, -1, 1, -1, -1].map(OscValue::from);
    harness.receive("/n_go", group(1));
    harness.status_with_groups(2);
    harness.status_with_groups(1);
    assert_eq!(harness.sent, [""; 0], "a group may just have ended");
    harness.receive("/n_move", group(1));
    harness.status_with_groups(1);
    assert_eq!(harness.sent, [""; 0], "a notification has just arrived");
    harness.status_with_groups(1);
    assert_eq!(harness.sent, ["/g_queryTree ,ii 0 0"]);
    // Only a notification was lost: the tree is right again and the connection remains.
    harness.receive("/g_queryTree.reply", [0.into(), 0.into(), 1.into(), 1.into(), 0.into()]);
    assert_eq!(harness.events, [""; 0]);
    harness.status_with_groups(1);
    harness.status_with_groups(1);
    assert_eq!(harness.sent.len(), 2);
    // This server does not have our group.
    harness.receive("/g_queryTree.reply", [0.into(), 0.into(), 0.into()]);
    assert_eq!(harness.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
    assert_eq!(harness.connection.boot_status(), BootStatus::Offline);
    // Without an answer the tree is queried three times and no more.
    let mut harness = Harness::connected();
    harness.receive("/n_go", group(1));
    (0..10).for_each(|_| harness.status_with_groups(1));
    assert_eq!(harness.sent, ["/g_queryTree ,ii 0 0"; 3]);
    // An owner does not check, because its process runs.
    let mut harness = Harness::booted();
    harness.receive("/n_go", group(1));
    (0..10).for_each(|_| harness.status_with_groups(1));
    assert_eq!(harness.sent, [""; 0]);
}

#[test]
fn requests_behind_a_large_write_do_not_time_out_while_the_server_reads() {
    let mut harness = Harness::connected();
    harness.send_large(3);
    let request = QueryNodes { ids: vec![1] }.into();
    let answer = harness.connection.request(&request, harness.now).unwrap();
    harness.advance_to(seconds(0.5));
    assert_eq!(harness.sent, ["60000 bytes", "/sync ,i -1000"]);
    for (tenths, id) in [(6..38, -1000), (46..75, -1001)] {
        for tenth in tenths {
            harness.now = seconds(f64::from(tenth) / 10.0);
            harness.status();
            harness.advance_to(harness.now);
        }
        // The `/sync` was repeated.
        let syncs = harness.sent.iter().filter(|sent| **sent == format!("/sync ,i {id}"));
        assert_eq!(syncs.count(), 4);
        harness.receive("/synced", [id.into()]);
    }
    assert_eq!(harness.sent.iter().filter(|sent| *sent == "60000 bytes").count(), 3);
    assert!(!harness.connection.has_queue());
    harness.now = seconds(12.2);
    harness.status();
    harness.advance_to(harness.now);
    harness.receive("/n_info", [1.into(), 0.into(), (-1).into(), (-1).into(), 0.into()]);
    assert_eq!(harness.node(answer).unwrap().id, 1);
}

#[test]
fn requests_that_are_never_read_end_at_their_deadline_or_with_the_connection() {
    let mut harness = Harness::connected();
    let wait = |harness: &mut Harness| {
        harness.send_large(2);
        let request = QueryNodes { ids: vec![1] }.into();
        harness.connection.request(&request, harness.now).unwrap()
    };
    let one = wait(&mut harness);
    harness.advance_to(seconds(3.0));
    let two = wait(&mut harness);
    // The server answers health checks but does not read.
    for tenth in 30..60 {
        harness.now = seconds(f64::from(tenth) / 10.0);
        harness.status();
        harness.advance_to(harness.now);
    }
    assert_eq!(harness.node(one).unwrap_err().kind(), ErrorKind::Timeout);
    harness.connection.socket_failed(&Error::new(ErrorKind::CannotConnect, "test"));
    harness.perform();
    assert_eq!(harness.node(two).unwrap_err().kind(), ErrorKind::ServerOffline);
    assert!(!harness.connection.has_queue());
    let error = harness.connection.submit_encoded(&[0; 60_000], None, harness.now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerOffline);
}

#[test]
fn a_log_out_waits_for_queued_packets_up_to_its_deadline() {
    let mut harness = Harness::connected();
    harness.send_large(2);
    harness.perform();
    harness.connection.disconnect(harness.now).unwrap();
    harness.advance_to(seconds(0.4));
    assert_eq!(harness.sent, ["60000 bytes", "/sync ,i -1000"]);
    harness.receive("/synced", [(-1000).into()]);
    assert_eq!(harness.sent[2..], ["60000 bytes", "/notify ,ii 0 0"]);
    // Its deadline is counted from when the server last read a window.
    harness.advance_to(seconds(0.8));
    assert_eq!(harness.events, ["DISCONNECTING"]);
    harness.advance_to(seconds(1.0));
    assert_eq!(harness.events, ["DISCONNECTING", "OSC_DISCONNECTED", "DISCONNECTED"]);
}

#[test]
fn the_barrier_of_the_mirror_is_sent_once_and_repeated_when_it_is_lost() {
    let mut harness = Harness::connected();
    harness.connection.seed(&QueryTreeGroup::default(), None, harness.now);
    let lost = harness.connection.poll_transmit(harness.now).expect("no barrier was sent");
    let lost = OscPacket::decode(lost).unwrap().to_string();
    assert!(lost.starts_with("/sync ,i -10000000"), "{lost}");
    // No second barrier is sent while the answer is in transit, and one when it was lost.
    harness.connection.message(
        OscMessage::new("/n_on", [77.into(), 1.into(), (-1).into(), (-1).into(), 0.into()]),
        harness.now,
    );
    assert!(harness.connection.poll_transmit(harness.now).is_none());
    assert!(harness.connection.state().mirror.needs_barrier());
    harness.advance_to(REPEAT_INTERVAL);
    assert!(!harness.connection.state().mirror.needs_barrier());
}

#[test]
fn a_probe_finds_the_synthdefs_that_the_server_does_not_have() {
    let mut harness = Harness::connected();
    let names = ["one", "two", "three"].map(str::to_owned);
    let probe = harness.connection.probe(&names, harness.now).unwrap();
    let bytes = harness.connection.poll_transmit(harness.now).expect("nothing is sent");
    let Ok(OscPacket::Bundle(bundle)) = OscPacket::decode(bytes) else {
        panic!("the probe is one bundle")
    };
    let messages: Vec<OscMessage> = bundle
        .elements
        .iter()
        .map(|element| match element {
            OscPacket::Message(message) => message.clone(),
            OscPacket::Bundle(_) => panic!("a bundle in a bundle"),
        })
        .collect();
    let group = |index: usize| messages[index].int(3).unwrap();
    assert_eq!(messages.len(), 4);
    assert!(group(0) != group(1) && group(1) != group(2));
    let fail = |harness: &mut Harness, reason: &str| {
        harness.receive("/fail", ["/s_new".into(), reason.into()]);
    };
    // The failure of somebody else's synth arrives in between, and one of another group.
    fail(&mut harness, "SynthDef not found");
    fail(&mut harness, &format!("Group {} not found", group(0)));
    fail(&mut harness, "SynthDef not found");
    fail(&mut harness, "Group 4711 not found");
    fail(&mut harness, &format!("Group {} not found", group(2)));
    assert_eq!(harness.other_events, ["fail /s_new"], "only the unknown group is reported");
    let sync = messages[3].int(0).unwrap();
    harness.receive("/synced", [sync.into()]);
    assert_eq!(harness.probed.remove(&probe).unwrap().unwrap(), [true, false, true]);
    assert_eq!(harness.other_events, ["fail /s_new", "fail /s_new"]);

    // A probe that is not answered ends at its deadline, or with the connection.
    let probe = harness.connection.probe(&names, harness.now).unwrap();
    fail(&mut harness, "SynthDef not found");
    for half in 0..62 {
        harness.now = seconds(f64::from(half) / 2.0);
        harness.status();
        harness.advance_to(harness.now);
    }
    assert_eq!(harness.probed.remove(&probe).unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(harness.other_events.len(), 3, "the held failure is reported");
    let probe = harness.connection.probe(&names, harness.now).unwrap();
    harness.connection.socket_failed(&Error::new(ErrorKind::CannotConnect, "test"));
    harness.perform();
    assert_eq!(
        harness.probed.remove(&probe).unwrap().unwrap_err().kind(),
        ErrorKind::ServerOffline
    );
    let error = harness.connection.probe(&names, harness.now).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerOffline);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// An argument of a message.
    fn value() -> impl Strategy<Value = OscValue> {
        prop_oneof![
            (-3i32..1100).prop_map(Into::into),
            any::<f32>().prop_map(Into::into),
            prop_oneof![Just("/notify"), Just("/b_alloc"), Just("tone"), Just("/n_query")]
                .prop_map(Into::into),
        ]
    }

    /// The address of a message.
    fn address() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            Just("/status.reply"),
            Just("/n_go"),
            Just("/n_end"),
            Just("/n_move"),
            Just("/n_on"),
            Just("/n_off"),
            Just("/done"),
            Just("/fail"),
            Just("/g_queryTree.reply"),
            Just("/synced"),
            Just("/n_info"),
            Just("/c_set"),
        ]
    }

    proptest! {
        #[test]
        fn no_messages_of_a_server_make_the_client_panic(
            messages in proptest::collection::vec(
                (address(), proptest::collection::vec(value(), 0..9)), 0..60
            ),
            handshake in any::<bool>(),
        ) {
            let mut harness = if handshake { Harness::connected() } else { Harness::new() };
            if !handshake {
                harness.connect();
            }
            for (address, arguments) in messages {
                harness.receive(address, arguments);
            }
            harness.advance_to(harness.now + seconds(100.0));
            prop_assert_eq!(harness.connection.boot_status(), BootStatus::Offline);
        }

        #[test]
        fn no_bytes_make_the_client_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            crate::fuzz::sc_reply(&bytes);
        }
    }
}
