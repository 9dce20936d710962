//! The state machine on virtual time, without a server.

use super::*;
use consort_osc::OscPacket;
use futures_lite::future::{block_on, poll_once};

use crate::pending::{Pending, SlotFuture};
use crate::requests::QueryNodes;

/// A core, its clock, and what it asked for.
struct Stage {
    core: Core,
    now: Duration,
    events: Vec<String>,
    /// Without the questions that settle the mirror, which are answered at once.
    sent: Vec<String>,
    others: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let context = ContextShared::new(Options::default(), None, 0.0);
        let core = Core::new(context, Timeouts::default());
        let nothing = Vec::new;
        Self { core, now: Duration::ZERO, events: nothing(), sent: nothing(), others: nothing() }
    }

    fn send(&mut self, bytes: &[u8]) {
        match OscPacket::decode(bytes) {
            Ok(OscPacket::Message(message))
                if message.address == "/sync" && message.int(0).unwrap() <= FIRST_SETTLE_ID =>
            {
                let synced = OscMessage::new("/synced", message.arguments);
                self.core.message(&synced, false, self.now);
            }
            Ok(packet) => self.sent.push(packet.to_string()),
            Err(_) => self.sent.push(format!("{} bytes", bytes.len())),
        }
    }

    fn take_actions(&mut self) {
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Event(event) => self.events.push(event.to_string()),
                Action::Send(bytes) => self.send(&bytes),
                Action::Complete(outcome, result) => outcome.fill(result),
                Action::Open(_) => self.core.socket_opened(self.now),
                Action::Spawn(_) => self.core.process_started(),
                Action::Kill => self.others.push("kill".into()),
                Action::Close => self.others.push("close".into()),
                Action::Fail(fail) => self.others.push(format!("fail {}", fail.command)),
                Action::Warn(warning) => self.others.push(warning),
            }
        }
        while let Some(paced) = self.core.next_paced(self.now) {
            self.send(&paced.bytes);
        }
    }

    /// Lets time pass up to `until`, from one deadline to the next.
    fn pass(&mut self, until: Duration) {
        self.take_actions();
        while let Some(deadline) = self.core.next_deadline()
            && deadline <= until
        {
            self.now = self.now.max(deadline);
            self.core.tick(self.now);
            self.take_actions();
        }
        self.now = until;
    }

    fn hear(&mut self, address: &str, arguments: impl Into<Vec<consort_osc::OscValue>>) {
        self.core.message(&OscMessage::new(address, arguments), false, self.now);
        self.take_actions();
    }

    fn status(&mut self) {
        self.status_of(2);
    }

    fn status_of(&mut self, group_count: i32) {
        let (one, float, double) = (1.into(), 0.5f32.into(), 48_000f64.into());
        let int = || 0.into();
        let rate = 48_000f64.into();
        self.hear(
            "/status.reply",
            vec![one, int(), int(), group_count.into(), int(), float, 0.5f32.into(), double, rate],
        );
    }

    fn handshake(&mut self) {
        self.take_actions();
        self.status();
        self.hear("/done", ["/notify".into(), 0.into(), 1.into()]);
        self.hear("/g_queryTree.reply", [0.into(), 0.into(), 0.into()]);
        self.hear("/synced", [HANDSHAKE_TREE.into()]);
        self.hear("/synced", [HANDSHAKE_GROUPS.into()]);
    }

    fn connected() -> Self {
        let mut stage = Self::new();
        let outcome = Slot::new();
        stage.core.connect(Options::default(), outcome.clone(), stage.now);
        stage.handshake();
        block_on(SlotFuture(outcome)).unwrap();
        stage.events.clear();
        stage.sent.clear();
        stage
    }

    fn booted() -> Self {
        let mut stage = Self::new();
        let outcome = Slot::new();
        stage.core.boot(Options::default(), outcome.clone(), stage.now);
        stage.take_actions();
        stage.core.process_line("SuperCollider 3 server ready.", stage.now);
        stage.handshake();
        block_on(SlotFuture(outcome)).unwrap();
        stage.events.clear();
        stage.sent.clear();
        stage
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_step_of_the_handshake_is_repeated_until_it_is_answered() {
    let mut stage = Stage::new();
    stage.core.connect(Options::default(), Slot::new(), stage.now);
    stage.pass(seconds(0.5));
    assert_eq!(stage.sent, ["/status ,"]);
    stage.pass(seconds(1.2));
    assert_eq!(stage.sent, ["/status ,", "/status ,"]);
    stage.status();
    stage.pass(seconds(3.0));
    assert_eq!(stage.sent[2..], ["/notify ,i 1", "/notify ,i 1"]);
    assert_eq!(stage.events, ["CONNECTING"]);
    // And not for ever.
    stage.pass(seconds(5.1));
    let expected = ["CONNECTING", "OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"];
    assert_eq!(stage.events, expected);
    assert_eq!(stage.core.boot_status(), BootStatus::Offline);
    assert_eq!(stage.core.next_deadline(), None);
}

#[test]
fn an_owner_asks_for_everything_at_once() {
    let mut stage = Stage::new();
    let outcome = Slot::new();
    stage.core.boot(Options::default(), outcome.clone(), stage.now);
    stage.take_actions();
    stage.core.process_line("SuperCollider 3 server ready.", stage.now);
    stage.take_actions();
    assert_eq!(stage.sent.len(), 3, "{:?}", stage.sent);
    assert_eq!(stage.sent[..2], ["/status ,", "/notify ,i 1"]);
    assert!(stage.sent[2].contains("/g_new") && stage.sent[2].contains("/g_queryTree"));
    // In whatever order the answers come.
    stage.hear("/done", ["/notify".into(), 0.into(), 1.into()]);
    let tree = [0.into(), 0.into(), 1.into(), 1.into(), 0.into()];
    stage.hear("/g_queryTree.reply", tree);
    assert_eq!(stage.events, ["BOOTING", "PROCESS_BOOTED", "CONNECTING"]);
    stage.status();
    assert_eq!(stage.events[3..], ["OSC_CONNECTED", "CONNECTED", "BOOTED"]);
    block_on(SlotFuture(outcome)).unwrap();
    assert_eq!(stage.sent.len(), 3, "{:?}", stage.sent);
}

#[test]
fn what_is_lost_of_everything_at_once_is_asked_for_step_by_step() {
    let mut stage = Stage::new();
    let outcome = Slot::new();
    stage.core.boot(Options::default(), outcome.clone(), stage.now);
    stage.take_actions();
    stage.core.process_line("SuperCollider 3 server ready.", stage.now);
    stage.take_actions();
    stage.status();
    stage.pass(seconds(1.2));
    assert_eq!(stage.sent[3..], ["/status ,"]);
    stage.status();
    assert_eq!(stage.sent[4..], ["/notify ,i 1"]);
    let reason = "notify: already registered\n";
    stage.hear("/fail", ["/notify".into(), reason.into(), 0.into()]);
    stage.hear("/fail", ["/notify".into(), reason.into(), 0.into()]);
    assert!(stage.others.is_empty(), "{:?}", stage.others);
    let tree = [0.into(), 0.into(), 1.into(), 1.into(), 0.into()];
    stage.hear("/g_queryTree.reply", tree);
    assert_eq!(stage.events[3..], ["OSC_CONNECTED", "CONNECTED", "BOOTED"]);
    block_on(SlotFuture(outcome)).unwrap();
}

#[test]
fn an_owner_with_other_clients_looks_at_the_tree_again_after_the_login() {
    let mut stage = Stage::new();
    let outcome = Slot::new();
    let options = Options { maximum_logins: 3, ..Options::default() };
    stage.core.boot(options, outcome.clone(), stage.now);
    stage.take_actions();
    stage.core.process_line("SuperCollider 3 server ready.", stage.now);
    stage.take_actions();
    stage.status();
    stage.hear("/done", ["/notify".into(), 0.into(), 4.into()]);
    let groups = |count: i32| {
        let mut tree: Vec<consort_osc::OscValue> = vec![0.into(), 0.into(), count.into()];
        tree.extend((1..=count).flat_map(|id| [id.into(), 0.into()]));
        tree
    };
    stage.hear("/g_queryTree.reply", groups(3));
    assert_eq!(stage.events[3..], ["OSC_CONNECTED"]);
    assert!(stage.sent[3].contains("/g_queryTree"), "{:?}", stage.sent);
    stage.hear("/g_queryTree.reply", groups(3));
    // The server rounded the logins up: only the fourth group is still to be made.
    assert!(stage.sent[4].contains("/g_new ,iii 4 1 0"), "{:?}", stage.sent);
    stage.hear("/synced", [HANDSHAKE_GROUPS.into()]);
    assert_eq!(stage.events[4..], ["CONNECTED", "BOOTED"]);
    block_on(SlotFuture(outcome)).unwrap();
}

#[test]
fn a_number_of_logins_that_no_server_means_is_refused_at_once() {
    let mut stage = Stage::new();
    stage.core.connect(Options::default(), Slot::new(), stage.now);
    stage.take_actions();
    stage.status();
    stage.hear("/done", ["/notify".into(), 0.into(), i32::MAX.into()]);
    assert_eq!(stage.events, ["CONNECTING"]);
    stage.hear("/done", ["/notify".into(), 0.into(), 2.into()]);
    assert_eq!(stage.events, ["CONNECTING", "OSC_CONNECTED"]);
}

#[test]
fn health_checks_grow_patient_and_then_give_up() {
    let mut stage = Stage::connected();
    stage.pass(seconds(1.5));
    assert_eq!(stage.sent.len(), 1);
    stage.status();
    // Answered at 1.5 s, asked again a second later, and from then on never answered: tries
    // of 1, 1.5, 2.25, 3.375 and 5.0625 s.
    let mut asked = Vec::new();
    for tenth in 15..=170 {
        let before = stage.sent.len();
        stage.pass(seconds(f64::from(tenth) / 10.0));
        if stage.sent.len() > before {
            asked.push(tenth);
        }
    }
    assert_eq!(asked, [25, 35, 50, 73, 107]);
    assert_eq!(stage.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
}

#[test]
fn a_server_that_neither_answers_nor_ends_is_killed() {
    let mut stage = Stage::booted();
    let outcome = Slot::new();
    stage.core.quit(false, outcome.clone(), stage.now);
    stage.pass(seconds(1.9));
    assert_eq!(stage.events, ["QUITTING"]);
    stage.pass(seconds(3.9));
    assert_eq!(stage.events, ["QUITTING", "DISCONNECTING", "OSC_DISCONNECTED", "DISCONNECTED"]);
    assert_eq!(stage.others, ["close"]);
    stage.pass(seconds(4.1));
    assert_eq!(stage.others, ["close", "kill"]);
    assert!(block_on(poll_once(SlotFuture(outcome.clone()))).is_none());
    stage.core.process_exited("killed by signal 9");
    stage.take_actions();
    assert_eq!(stage.events[4..], ["PROCESS_QUIT", "QUIT"]);
    block_on(SlotFuture(outcome)).unwrap();
}

#[test]
fn a_process_that_is_never_ready_is_killed_and_its_text_told() {
    let mut stage = Stage::new();
    let outcome = Slot::new();
    stage.core.boot(Options::default(), outcome.clone(), stage.now);
    stage.take_actions();
    stage.core.process_line("cannot find the audio device", stage.now);
    stage.pass(seconds(21.0));
    assert_eq!(stage.others, ["kill"]);
    stage.core.process_exited("killed by signal 9");
    stage.take_actions();
    assert_eq!(stage.events, ["BOOTING", "PROCESS_PANICKED"]);
    let error = block_on(SlotFuture(outcome)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
    assert!(error.to_string().contains("cannot find the audio device"), "{error}");
}

#[test]
fn replies_failures_and_deadlines_end_what_waits() {
    let mut stage = Stage::connected();
    let ask = |stage: &mut Stage, id: i32| {
        let slot = Slot::new();
        let request = QueryNodes { ids: vec![id] }.into();
        stage.core.wait_for(&request, slot.clone(), None, stage.now).unwrap();
        Pending::new(slot, NodeInfo::parse)
    };
    let (one, two, three) = (ask(&mut stage, 1), ask(&mut stage, 2), ask(&mut stage, 3));
    let info = |id: i32| [id.into(), 0.into(), (-1).into(), (-1).into(), 0.into()];
    stage.hear("/n_info", info(2));
    stage.hear("/n_info", info(2));
    assert_eq!(two.wait().unwrap().id, 2);
    stage.hear("/fail", ["/n_query".into(), "Node 3 not found".into()]);
    assert_eq!(three.wait().unwrap_err().kind(), ErrorKind::RequestFailed);
    stage.hear("/fail", ["/n_set".into(), "Node 3 not found".into()]);
    assert_eq!(stage.others, ["fail /n_set"]);
    for tenth in 0..52 {
        stage.now = seconds(f64::from(tenth) / 10.0);
        stage.status();
        stage.pass(stage.now);
    }
    assert_eq!(one.wait().unwrap_err().kind(), ErrorKind::Timeout);
    let four = ask(&mut stage, 4);
    stage.core.disconnect(Slot::new(), stage.now);
    stage.pass(stage.now + seconds(1.0));
    assert_eq!(four.wait().unwrap_err().kind(), ErrorKind::ServerOffline);
}

#[test]
fn three_refusals_are_a_loss_and_one_is_not() {
    let mut stage = Stage::connected();
    stage.core.socket_refused(stage.now);
    stage.pass(seconds(0.2));
    stage.status();
    stage.core.socket_refused(stage.now);
    stage.core.socket_refused(stage.now);
    stage.take_actions();
    assert!(stage.events.is_empty());
    stage.core.socket_refused(stage.now);
    stage.take_actions();
    assert_eq!(stage.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
}

/// A server that is started anew at once, by a supervisor, answers every health check.
#[test]
fn another_server_at_the_place_of_a_joined_one_is_noticed() {
    let mut stage = Stage::connected();
    let group = |id: i32| [id, 0, -1, -1, 1, -1, -1].map(consort_osc::OscValue::from);
    stage.hear("/n_go", group(1));
    stage.status_of(2);
    stage.status_of(1);
    assert_eq!(stage.sent, [""; 0], "a group may just have gone");
    stage.hear("/n_move", group(1));
    stage.status_of(1);
    assert_eq!(stage.sent, [""; 0], "the server has just told something");
    stage.status_of(1);
    assert_eq!(stage.sent, ["/g_queryTree ,ii 0 0"]);
    // Its notification was lost: the tree is known anew, and nothing is lost.
    stage.hear("/g_queryTree.reply", [0.into(), 0.into(), 1.into(), 1.into(), 0.into()]);
    assert_eq!(stage.events, [""; 0]);
    stage.status_of(1);
    stage.status_of(1);
    assert_eq!(stage.sent.len(), 2);
    // This one knows nothing of us.
    stage.hear("/g_queryTree.reply", [0.into(), 0.into(), 0.into()]);
    assert_eq!(stage.events, ["OSC_PANICKED", "DISCONNECTING", "DISCONNECTED"]);
    assert_eq!(stage.core.boot_status(), BootStatus::Offline);
    // It is asked three times, not for ever, where no answer comes.
    let mut stage = Stage::connected();
    stage.hear("/n_go", group(1));
    (0..10).for_each(|_| stage.status_of(1));
    assert_eq!(stage.sent, ["/g_queryTree ,ii 0 0"; 3]);
    // An owner knows better: its process lives.
    let mut stage = Stage::booted();
    stage.hear("/n_go", group(1));
    (0..10).for_each(|_| stage.status_of(1));
    assert_eq!(stage.sent, [""; 0]);
}

fn large(count: usize) -> Vec<Vec<u8>> {
    vec![vec![b'x'; 60_000]; count]
}

#[test]
fn what_waits_behind_a_large_write_has_time_as_long_as_the_server_reads() {
    let mut stage = Stage::connected();
    let slot = Slot::new();
    let request = QueryNodes { ids: vec![1] }.into();
    let number = stage.core.wait_for(&request, slot.clone(), None, stage.now).unwrap();
    stage.core.pace(large(3), number..number + 1).unwrap();
    stage.pass(seconds(0.5));
    assert_eq!(stage.sent, ["60000 bytes", "/sync ,i -1000"]);
    let answer = Pending::new(slot, NodeInfo::parse);
    for (tenths, id) in [(6..38, -1000), (46..75, -1001)] {
        for tenth in tenths {
            stage.now = seconds(f64::from(tenth) / 10.0);
            stage.status();
            stage.pass(stage.now);
        }
        // The question was repeated.
        let questions = stage.sent.iter().filter(|sent| **sent == format!("/sync ,i {id}"));
        assert_eq!(questions.count(), 4);
        stage.hear("/synced", [id.into()]);
    }
    assert_eq!(stage.sent.iter().filter(|sent| *sent == "60000 bytes").count(), 3);
    assert!(!stage.core.is_paced());
    stage.now = seconds(12.2);
    stage.status();
    stage.pass(stage.now);
    stage.hear("/n_info", [1.into(), 0.into(), (-1).into(), (-1).into(), 0.into()]);
    assert_eq!(answer.wait().unwrap().id, 1);
}

#[test]
fn what_never_is_read_ends_at_its_deadline_and_with_the_connection() {
    let mut stage = Stage::connected();
    let wait = |stage: &mut Stage| {
        let slot = Slot::new();
        let request = QueryNodes { ids: vec![1] }.into();
        let number = stage.core.wait_for(&request, slot.clone(), None, stage.now).unwrap();
        stage.core.pace(large(2), number..number + 1).unwrap();
        Pending::new(slot, NodeInfo::parse)
    };
    let one = wait(&mut stage);
    stage.pass(seconds(3.0));
    let two = wait(&mut stage);
    // Alive, but it reads nothing.
    for tenth in 30..60 {
        stage.now = seconds(f64::from(tenth) / 10.0);
        stage.status();
        stage.pass(stage.now);
    }
    assert_eq!(one.wait().unwrap_err().kind(), ErrorKind::Timeout);
    stage.core.socket_failed(&Error::new(ErrorKind::CannotConnect, "gone"));
    stage.take_actions();
    assert_eq!(two.wait().unwrap_err().kind(), ErrorKind::ServerOffline);
    assert!(!stage.core.is_paced());
    assert_eq!(stage.core.pace(large(1), 0..0).unwrap_err().kind(), ErrorKind::ServerOffline);
}

#[test]
fn a_log_out_goes_behind_what_waits_but_not_for_ever() {
    let mut stage = Stage::connected();
    stage.core.pace(large(2), 0..0).unwrap();
    stage.take_actions();
    stage.core.disconnect(Slot::new(), stage.now);
    stage.pass(seconds(0.4));
    assert_eq!(stage.sent, ["60000 bytes", "/sync ,i -1000"]);
    stage.hear("/synced", [(-1000).into()]);
    assert_eq!(stage.sent[2..], ["60000 bytes", "/notify ,ii 0 0"]);
    // Its time is counted from when the server last read something.
    stage.pass(seconds(0.8));
    assert_eq!(stage.events, ["DISCONNECTING"]);
    stage.pass(seconds(1.0));
    assert_eq!(stage.events, ["DISCONNECTING", "OSC_DISCONNECTED", "DISCONNECTED"]);
}

#[test]
fn the_mirror_is_settled_by_one_more_question_which_is_repeated() {
    let mut stage = Stage::connected();
    stage.core.seed(&QueryTreeGroup::default(), None, stage.now);
    let Some(Action::Send(lost)) = stage.core.next_action() else { panic!("nothing was asked") };
    let asked = |bytes: &[u8]| OscPacket::decode(bytes).unwrap().to_string();
    assert!(asked(&lost).starts_with("/sync ,i -10000000"), "{}", asked(&lost));
    // Nothing more is asked while the answer is on its way, and again when it is lost.
    stage.core.message(
        &OscMessage::new("/n_on", [77.into(), 1.into(), (-1).into(), (-1).into(), 0.into()]),
        false,
        stage.now,
    );
    assert!(stage.core.next_action().is_none());
    assert!(stage.core.context.lock().mirror.is_unsettled());
    stage.pass(REPEAT);
    assert!(!stage.core.context.lock().mirror.is_unsettled());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = consort_osc::OscValue> {
        prop_oneof![
            (-3i32..1100).prop_map(Into::into),
            any::<f32>().prop_map(Into::into),
            prop_oneof![Just("/notify"), Just("/b_alloc"), Just("tone"), Just("/n_query")]
                .prop_map(Into::into),
        ]
    }

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
        fn nothing_that_a_server_says_makes_the_client_panic(
            messages in proptest::collection::vec(
                (address(), proptest::collection::vec(value(), 0..9)), 0..60
            ),
            handshake in any::<bool>(),
        ) {
            let mut stage = if handshake { Stage::connected() } else { Stage::new() };
            if !handshake {
                stage.core.connect(Options::default(), Slot::new(), stage.now);
            }
            for (address, arguments) in messages {
                stage.hear(address, arguments);
            }
            stage.pass(stage.now + seconds(100.0));
            prop_assert_eq!(stage.core.boot_status(), BootStatus::Offline);
        }

        #[test]
        fn no_bytes_make_the_client_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            crate::fuzz::sc_reply(&bytes);
        }
    }
}
