//! Tests of the commands of a camera in virtual time, of options, and of the corpus. Cameras are in
//! `tests/visca_cameras.rs`.

use std::time::{Duration, Instant};

use consort_router::Usage;
use consort_router::testing::TestShow;

use super::DESCRIPTOR;
use super::channels::Channel;
use super::config::{Range, Settings};
use super::flow::{ANSWER_TIMEOUT, Flow, Outcome, What};
use super::wire::{Inquiry, Reply};

fn settings() -> Settings {
    Settings {
        deadzone: 0.1,
        pan: Range { low: -2448, high: 2448 },
        tilt: Range { low: -1296, high: 1296 },
        zoom: Range { low: 0, high: 0x4000 },
        focus: Range { low: 0, high: 0x4000 },
        pan_speed: Range { low: 1, high: 24 },
        tilt_speed: Range { low: 1, high: 20 },
        poll: Duration::from_millis(500),
    }
}

/// A camera whose replies the test chooses, in virtual time.
struct Desk {
    flow: Flow,
    now: Instant,
    sequence: u32,
}

impl Desk {
    /// A connected camera that has answered the first inquiry.
    fn new() -> Self {
        let mut desk = Desk { flow: Flow::new(1, settings()), now: Instant::now(), sequence: 0 };
        desk.flow.connected(desk.now);
        assert_eq!(desk.sent(), ["81 09 00 02 ff"]);
        desk.reply(Reply::Answer(&[0, 1, 4, 2, 0, 0, 2]));
        desk
    }

    fn set(&mut self, channel: &str, value: f64) -> bool {
        let channel = Channel::parse(channel, Usage::Target).expect(channel);
        self.flow.set(channel, value)
    }

    /// What leaves now, in hexadecimal.
    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.flow.next(self.now, false, &mut self.sequence))
            .map(|outgoing| {
                let bytes = outgoing.message.bytes().iter().map(|byte| format!("{byte:02x}"));
                bytes.collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    fn reply(&mut self, reply: Reply<'_>) -> Outcome {
        self.flow.reply(reply, None, self.now)
    }

    /// Acknowledges and completes everything, so that the next commands can leave.
    fn acknowledge(&mut self, count: u8) {
        for socket in 1..=count {
            self.reply(Reply::Acknowledged(socket));
            self.reply(Reply::Completed(socket));
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.flow.expire(self.now);
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn every_channel_sends_its_command() {
    for (channel, value, message) in [
        ("zoom", 1.0, "81 01 04 47 04 00 00 00 ff"),
        ("zoom", 0.5, "81 01 04 47 02 00 00 00 ff"),
        ("focus", 0.25, "81 01 04 48 01 00 00 00 ff"),
        ("autofocus", 1.0, "81 01 04 38 02 ff"),
        ("autofocus", 0.9, "81 01 04 38 03 ff"),
        ("wb.auto", 1.0, "81 01 04 35 00 ff"),
        ("wb.auto", 0.0, "81 01 04 35 05 ff"),
        ("wb.red", 1.0, "81 01 04 43 00 00 0f 0f ff"),
        ("wb.blue", 0.5, "81 01 04 44 00 00 08 00 ff"),
        ("memory3", 0.9, "81 01 04 3f 02 03 ff"),
        ("store254", 1.0, "81 01 04 3f 01 fe ff"),
        ("home", 1.0, "81 01 06 04 ff"),
        ("reset", 1.0, "81 01 06 05 ff"),
        ("focus.once", 1.0, "81 01 04 18 01 ff"),
        ("power", 1.0, "81 01 04 00 02 ff"),
        ("power", 0.0, "81 01 04 00 03 ff"),
        ("move.left", 1.0, "81 01 06 01 18 00 01 03 ff"),
        ("move.right", 0.5, "81 01 06 01 0c 00 02 03 ff"),
        ("move.up", 0.001, "81 01 06 01 00 01 03 01 ff"),
        ("move.down", 1.0, "81 01 06 01 00 14 03 02 ff"),
        ("move.x", 1.0, "81 01 06 01 18 00 01 03 ff"),
        ("move.x", 0.25, "81 01 06 01 0c 00 02 03 ff"),
        ("move.y", 0.75, "81 01 06 01 00 0a 03 01 ff"),
        ("stop", 1.0, "81 01 06 01 18 14 03 03 ff"),
        ("zoom.in", 1.0, "81 01 04 07 27 ff"),
        ("zoom.out", 0.5, "81 01 04 07 34 ff"),
        ("focus.near", 1.0, "81 01 04 08 37 ff"),
        ("focus.move", 1.0, "81 01 04 08 27 ff"),
    ] {
        let mut desk = Desk::new();
        desk.set(channel, value);
        assert_eq!(desk.sent(), [message], "{channel} {value}");
    }
    for (channel, value) in [
        ("home", 0.0),
        ("memory1", 0.89),
        ("move.left", 0.0),
        ("move.x", 0.5),
        ("move.x", 0.59),
        ("move.x", f64::NAN),
        ("panspeed", 0.5),
        ("zoom.move", 0.5),
    ] {
        let mut desk = Desk::new();
        desk.set(channel, value);
        assert_eq!(desk.sent(), NOTHING, "{channel} {value}");
    }
}

#[test]
fn two_commands_are_unacknowledged_and_the_newest_value_wins() {
    let mut desk = Desk::new();
    let values = ["zoom", "focus", "wb.red", "wb.blue"];
    for channel in values {
        assert!(!desk.set(channel, 0.0));
    }
    assert_eq!(desk.sent(), ["81 01 04 47 00 00 00 00 ff", "81 01 04 48 00 00 00 00 ff"]);
    assert!(desk.set("wb.red", 1.0), "it replaces a value that was not sent");
    assert!(!desk.set("zoom", 1.0));
    assert!(desk.set("zoom", 0.5));
    assert_eq!((desk.sent(), desk.flow.unacknowledged()), (vec![], 2));
    desk.reply(Reply::Acknowledged(1));
    assert_eq!(desk.sent(), ["81 01 04 43 00 00 0f 0f ff"]);
    // A completion without an acknowledgement counts as one.
    desk.reply(Reply::Completed(2));
    desk.reply(Reply::Acknowledged(2));
    assert_eq!(desk.sent(), ["81 01 04 44 00 00 00 00 ff", "81 01 04 47 02 00 00 00 ff"]);
}

#[test]
fn commands_of_one_part_keep_their_order() {
    let mut desk = Desk::new();
    desk.set("wb.red", 0.0);
    desk.set("wb.blue", 0.0);
    desk.sent();
    desk.set("zoom", 0.1);
    desk.set("store1", 1.0);
    desk.set("focus", 0.1);
    desk.set("zoom", 1.0);
    desk.acknowledge(2);
    assert_eq!(desk.sent(), ["81 01 04 3f 01 01 ff", "81 01 04 48 00 06 06 06 ff"]);
    desk.acknowledge(2);
    assert_eq!(desk.sent(), ["81 01 04 47 04 00 00 00 ff"]);
}

#[test]
fn a_stop_leaves_first_and_is_repeated_until_it_is_acknowledged() {
    let mut desk = Desk::new();
    desk.set("move.left", 1.0);
    desk.set("zoom", 0.0);
    desk.set("focus", 0.0);
    assert_eq!(desk.sent().len(), 2);
    desk.set("move.left", 0.0);
    let stop = "81 01 06 01 18 14 03 03 ff";
    assert_eq!(desk.sent(), [stop]);
    desk.wait(ANSWER_TIMEOUT);
    // The movement itself is not repeated after the stop.
    let sent = desk.sent();
    assert!(sent.contains(&stop.to_owned()) && !sent.iter().any(|m| m.ends_with("01 03 ff")));
    desk.wait(ANSWER_TIMEOUT);
    assert!(desk.sent().contains(&stop.to_owned()));
    // A newer movement ends the repetition.
    desk.acknowledge(3);
    desk.set("move.right", 1.0);
    assert_eq!(desk.sent().last().map(String::as_str), Some("81 01 06 01 18 00 02 03 ff"));
    for _ in 0..5 {
        desk.wait(ANSWER_TIMEOUT);
        assert!(!desk.sent().contains(&stop.to_owned()));
    }
}

#[test]
fn one_axis_stops_while_the_other_one_moves() {
    let mut desk = Desk::new();
    desk.set("move.left", 1.0);
    desk.set("move.up", 1.0);
    assert_eq!(desk.sent(), ["81 01 06 01 18 14 01 01 ff"]);
    desk.set("zoom", 0.0);
    desk.sent();
    desk.set("move.left", 0.0);
    assert_eq!(desk.sent(), ["81 01 06 01 00 14 03 01 ff"]);
    desk.set("stop", 0.0);
    assert_eq!(desk.sent(), ["81 01 06 01 18 14 03 03 ff"]);
}

#[test]
fn a_stop_without_a_socket_cancels_what_runs() {
    let mut desk = Desk::new();
    desk.set("pan", 1.0);
    desk.set("tilt", 1.0);
    assert_eq!(desk.sent().len(), 1);
    desk.reply(Reply::Acknowledged(1));
    desk.set("stop", 1.0);
    let stop = "81 01 06 01 18 14 03 03 ff";
    assert_eq!(desk.sent(), [stop]);
    desk.reply(Reply::Refused(0, 3));
    assert_eq!(desk.sent(), ["81 21 ff", stop]);
    desk.reply(Reply::Refused(1, 4));
    desk.reply(Reply::Acknowledged(1));
    assert_eq!(desk.sent(), NOTHING);
    // Without anything to cancel, it is sent again after a pause.
    desk.set("stop", 1.0);
    assert_eq!(desk.sent(), [stop]);
    desk.reply(Reply::Completed(1));
    desk.reply(Reply::Refused(0, 3));
    assert_eq!(desk.sent(), NOTHING);
    desk.wait(Duration::from_millis(30));
    assert_eq!(desk.sent(), [stop]);
}

#[test]
fn a_speed_applies_to_a_movement_that_is_under_way() {
    let mut desk = Desk::new();
    desk.set("panspeed", 0.0);
    desk.set("move.left", 1.0);
    assert_eq!(desk.sent(), ["81 01 06 01 01 00 01 03 ff"]);
    desk.acknowledge(1);
    desk.set("panspeed", 1.0);
    assert_eq!(desk.sent(), ["81 01 06 01 18 00 01 03 ff"]);
    desk.set("move.left", 0.0);
    desk.sent();
    desk.acknowledge(2);
    desk.set("pan", 1.0);
    desk.set("tilt", 0.5);
    assert_eq!(desk.sent(), ["81 01 06 02 18 14 00 09 09 00 00 00 00 00 ff"]);
    desk.reply(Reply::Acknowledged(1));
    desk.set("panspeed", 0.5);
    assert_eq!(desk.sent(), ["81 01 06 02 0d 14 00 09 09 00 00 00 00 00 ff"]);
    desk.reply(Reply::Acknowledged(2));
    desk.reply(Reply::Completed(1));
    desk.reply(Reply::Completed(2));
    desk.set("panspeed", 0.0);
    assert_eq!(desk.sent(), NOTHING, "the movement is complete");
}

#[test]
fn the_other_axis_is_asked_for() {
    let mut desk = Desk::new();
    desk.set("pan", 0.0);
    // A later command of the head does not overtake it, others do.
    desk.set("zoom", 0.0);
    assert_eq!(desk.sent(), ["81 01 04 47 00 00 00 00 ff", "81 09 06 12 ff"]);
    let outcome = desk.reply(Reply::Answer(&[0, 0, 0, 0, 0xF, 0xF, 0xF, 0xE]));
    assert_eq!(outcome, Outcome::Answer(Inquiry::PanTilt, [0, -2]));
    let position = "81 01 06 02 18 14 0f 06 07 00 0f 0f 0f 0e ff";
    assert_eq!(desk.sent(), [position]);
    desk.acknowledge(2);
    // It is known until something else moves the head.
    desk.set("pan", 0.0);
    assert_eq!(desk.sent(), [position]);
    desk.acknowledge(1);
    desk.set("home", 1.0);
    desk.set("pan", 0.0);
    assert_eq!(desk.sent(), ["81 01 06 04 ff", "81 09 06 12 ff"]);
    // A camera that does not answer gets the middle.
    for _ in 0..2 {
        desk.wait(ANSWER_TIMEOUT);
        desk.sent();
    }
    assert_eq!(desk.flow.unacknowledged(), 2);
    let mut desk = Desk::new();
    desk.set("tilt", 1.0);
    assert_eq!(desk.sent(), ["81 09 06 12 ff"]);
    desk.reply(Reply::Refused(0, 2));
    assert_eq!(desk.sent(), ["81 01 06 02 18 14 00 00 00 00 00 05 01 00 ff"]);
}

#[test]
fn a_full_camera_gets_a_command_again() {
    let mut desk = Desk::new();
    desk.set("zoom", 0.0);
    desk.sent();
    desk.reply(Reply::Refused(0, 3));
    assert_eq!(desk.sent(), NOTHING);
    desk.set("zoom", 1.0);
    desk.wait(Duration::from_millis(100));
    assert_eq!(desk.sent(), ["81 01 04 47 04 00 00 00 ff"]);
    let outcome = desk.reply(Reply::Refused(0, 0x41));
    assert!(matches!(outcome, Outcome::Refused(What::Command(_), 0x41)), "{outcome:?}");
    assert_eq!(desk.sent(), NOTHING);
}

#[test]
fn a_mute_camera_gets_its_commands_at_a_slower_pace() {
    let mut desk = Desk::new();
    desk.set("zoom", 0.0);
    desk.set("focus", 0.0);
    assert_eq!(desk.sent().len(), 2);
    desk.wait(ANSWER_TIMEOUT);
    assert_eq!(desk.sent().len(), 2, "repeated");
    for _ in 0..2 {
        desk.wait(ANSWER_TIMEOUT);
        desk.sent();
    }
    let mut count = 0;
    for round in 0..20 {
        desk.set("zoom", f64::from(round) / 20.0);
        desk.wait(Duration::from_millis(50));
        count += desk.sent().iter().filter(|message| message.contains(" 04 47 ")).count();
    }
    assert!(count >= 19, "{count}");
    assert!(desk.flow.presence().1 > 3);
    // The pace is that of a camera again when it acknowledges.
    desk.reply(Reply::Acknowledged(1));
    assert_eq!(desk.flow.presence().1, 0);
}

#[test]
fn sources_are_asked_again_and_again() {
    let mut desk = Desk::new();
    desk.flow.poll_if_changed(Inquiry::Zoom.bit() | Inquiry::Power.bit(), desk.now);
    assert_eq!(desk.sent(), ["81 09 04 47 ff"], "one at a time");
    desk.reply(Reply::Answer(&[1, 2, 3, 4]));
    assert_eq!(desk.sent(), ["81 09 04 00 ff"]);
    // Lost answers do not stop it.
    for _ in 0..100 {
        desk.wait(ANSWER_TIMEOUT);
        assert_eq!(desk.sent().len(), 1);
    }
    assert!(desk.flow.deadline().is_some());
    // What the camera does not know is not asked again.
    desk.reply(Reply::Refused(0, 2));
    for _ in 0..10 {
        let sent = desk.sent();
        assert!(sent.len() <= 1);
        desk.reply(Reply::Answer(&[0, 0, 0, 0]));
        desk.wait(ANSWER_TIMEOUT);
    }
}

#[test]
fn a_lost_connection_keeps_the_newest_values_and_stops() {
    let mut desk = Desk::new();
    desk.set("zoom", 1.0);
    desk.set("move.left", 1.0);
    desk.sent();
    desk.set("move.left", 0.0);
    desk.sent();
    desk.set("memory1", 1.0);
    desk.set("focus", 1.0);
    assert_eq!(desk.flow.lost(), 1, "the memory");
    assert_eq!(desk.flow.deadline(), None);
    desk.sequence = 0;
    desk.flow.connected(desk.now);
    let expected = [
        "81 01 06 01 18 14 03 03 ff",
        "81 01 04 47 04 00 00 00 ff",
        "81 01 04 48 04 00 00 00 ff",
        "81 09 00 02 ff",
    ];
    assert_eq!(desk.sent(), expected);
}

#[test]
fn options_that_do_not_fit_are_reported() {
    let errors = |options: &[(&str, &str)]| {
        let problems = TestShow::new().try_instance(&DESCRIPTOR, "cam", options);
        problems.expect_err("an error").remove(0).message
    };
    assert_eq!(errors(&[]), "missing option `connect` or `device`");
    let both = [("connect", "cam 5678"), ("device", "/dev/ttyS0")];
    assert_eq!(errors(&both), "`connect` and `device` exclude each other");
    let framed = [("device", "/dev/ttyS0"), ("framing", "sony")];
    assert_eq!(errors(&framed), "a serial line has no headers");
    assert_eq!(errors(&[("connect", "cam 5678"), ("bind", "52381")]), "`bind` needs UDP");
}

/// The corpus of the fuzz target.
mod corpus {
    use proptest::prelude::*;

    use super::super::fuzz::visca_replies;

    #[test]
    fn the_committed_corpus_passes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/visca_replies");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("a corpus") {
            visca_replies(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            count += 1;
        }
        assert!(count > 5);
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            visca_replies(&bytes);
        }
    }
}
