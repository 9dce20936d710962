//! What an instance sends to a server, and what it makes of the server's messages.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_osc::{OscMessage, OscValue};
use consort_router::testing::{Performance, TestShow};
use consort_router::{Options, Problems, Usage};
use proptest::prelude::*;

use super::super::DESCRIPTOR;
use super::super::inputs::Inputs;
use super::super::player::Player;
use super::super::reader::read_config;
use super::super::server::ServerInfo;
use super::{FakeServer, flatten, node, node_notification, test_show};

/// Whether a message creates a synth of this SynthDef.
fn is_new_synth(message: &OscMessage, synthdef: &str) -> bool {
    message.address == "/s_new" && message.arguments[0].as_str() == Some(synthdef)
}

#[test]
fn a_note_is_a_packet_and_its_notifications_come_back() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("voice.pad", "pad")]);
    test.map("probe.key", "sound.pad.note60");
    test.map("sound.pad.note60", "probe.sounds");
    test.map("sound.pad.voices", "probe.voices");
    let mut show = test.start();
    assert_eq!(show.state("sound").word(), "starting");
    show.until_state("sound", "up");
    show.until("the master", |_| {
        let received = fake.received.lock();
        received.iter().any(|message| is_new_synth(message, "consort:master:2"))
    });
    assert_eq!(fake.take("/d_recv").len(), 2, "the pad and the master");
    fake.take("/s_new");
    show.send("key", 1.0);
    show.until("the note", |_| fake.has("/s_new"));
    let started = fake.take("/s_new");
    let node = node(&started[0]);
    assert_eq!(started[0].arguments[0].as_str(), Some("pad"));
    fake.notify("/n_go", node_notification(node));
    assert_eq!(show.receive(2), [("voices".into(), 0.0625), ("sounds".into(), 1.0)]);
    show.send("key", 0.0);
    show.until("the release", |_| fake.has("/n_set"));
    fake.notify("/n_end", node_notification(node));
    assert_eq!(show.receive(2), [("sounds".into(), 0.0), ("voices".into(), 0.0)]);
    show.finish();
    assert!(
        fake.has("/notify") && !fake.has("/quit"),
        "a server that the show has not started keeps running"
    );
}

#[test]
fn an_instance_waits_for_a_server_that_starts_late_or_is_lost() {
    let port = FakeServer::start().port();
    let mut test = TestShow::new();
    let address = format!("127.0.0.1:{port}");
    test.instance(&DESCRIPTOR, "sound", &[("server", address.as_str()), ("voice.pad", "pad")]);
    test.map("probe.key", "sound.pad.note60");
    test.map("probe.other", "probe.echo");
    let mut show = test.start();
    show.until_state("sound", "waiting");
    assert!(show.state("sound").reason().is_some_and(|reason| reason.contains(
        "no server is \
     listening"
    )));
    // A held key is remembered; the rest of the show continues.
    show.send_all(&[("key", 1.0), ("other", 0.5)]);
    assert_eq!(show.receive(1), [("echo".into(), 0.5)]);
    let plays_pad = |fake: &FakeServer| {
        let received = fake.received.lock();
        received.iter().any(|message| is_new_synth(message, "pad"))
    };
    for _ in 0..2 {
        let fake = FakeServer::at_port(port);
        show.until_state("sound", "up");
        show.until("the held note", |_| plays_pad(&fake));
        drop(fake);
        show.until_state("sound", "waiting");
    }
    show.finish();
}

#[test]
fn buses_are_requested_if_there_is_no_shared_memory() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("bus.7", "0 0.14"), ("rate", "200"), ("bus.x", "0 1")]);
    test.map("sound.bus.7", "probe.seven");
    test.map("sound.bus.50", "probe.fifty");
    test.map("sound.meter", "probe.meter");
    test.map("sound.load", "probe.load");
    let mut show = test.start();
    let mut values = show.receive(4);
    values.sort_by(|one, other| one.0.cmp(&other.0));
    let value =
        |name: &str| values.iter().find(|(own, _)| own == name).map_or(-1.0, |(_, value)| *value);
    assert!((value("seven") - 0.5).abs() < 1e-6, "{values:?}");
    assert!((value("fifty") - 0.5).abs() < 1e-6, "{values:?}");
    // `x` is bus 0, the meters are 1 and 2; 7 and 50 are not allocated.
    assert!((value("meter") - 0.02).abs() < 1e-6, "{values:?}");
    assert!((value("load") - 0.005).abs() < 1e-6, "{values:?}");
}

#[test]
fn triggers_and_replies_are_scaled() {
    let fake = FakeServer::start();
    let options = [("trigger.5", "0 10"), ("reply./beat", "0 4"), ("reply./beat:1", "1 0")];
    let mut test = test_show(&fake, &options);
    test.map("sound.trigger.5", "probe.five");
    test.map("sound.trigger.6", "probe.six");
    test.map("sound.reply./beat", "probe.beat");
    test.map("sound.reply./beat:1", "probe.second");
    let mut show = test.start();
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 5.into(), 2.5f32.into()]);
    fake.notify("/tr", [1000.into(), 6.into(), 7.0f32.into()]);
    fake.notify("/tr", [1000.into(), 9.into(), 7.0f32.into()]);
    fake.notify("/beat", [1000.into(), 0.into(), 1.0f32.into(), 0.25f32.into()]);
    // Malformed notifications are ignored.
    fake.notify("/beat", [1000.into()]);
    fake.notify("/tr", []);
    fake.notify("/n_go", [OscValue::from("not a number")]);
    fake.notify("/beat", [1000.into(), 0.into(), 2.0f32.into(), f32::NAN.into()]);
    assert_eq!(
        show.receive(5),
        [
            ("five".into(), 0.25),
            ("six".into(), 1.0),
            ("beat".into(), 0.25),
            ("second".into(), 0.75),
            ("beat".into(), 0.5),
        ]
    );
}

#[test]
fn unmapped_triggers_are_reported() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("trigger.9", "0 10")]);
    test.map("sound.trigger.5", "probe.five");
    let mut show = test.start();
    let unmapped = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&unmapped);
    show.router.observe_unmapped(Box::new(move |_, name, value| {
        log.borrow_mut().push((name.to_owned(), value));
    }));
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 9.into(), 2.5f32.into()]);
    fake.notify("/tr", [1000.into(), 5.into(), 1.0f32.into()]);
    assert_eq!(show.receive(1), [("five".into(), 1.0)]);
    assert_eq!(*unmapped.borrow(), [("trigger.9".to_owned(), 0.25)]);
}

#[test]
fn refused_messages_are_counted_as_errors() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("voice.lead", "lead")]);
    test.map("probe.key", "sound.lead.note60");
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send("key", 1.0);
    show.until("the error", |show| show.counters("sound").errors == 1);
    assert_eq!(show.counters("sound").dropped, 0);
}

#[test]
fn notes_without_a_voice_are_dropped_and_counted() {
    let fake = FakeServer::start();
    let options = [("voice.pad", "pad"), ("voice.pad.polyphony", "2"), ("voice.pad.steal", "none")];
    let mut test = test_show(&fake, &options);
    for key in 60..64 {
        test.map(&format!("probe.{key}"), &format!("sound.pad.note{key}"));
    }
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_all(&[("60", 1.0), ("61", 1.0), ("62", 1.0), ("63", 1.0)]);
    show.until("the count", |show| show.counters("sound").dropped == 2);
    let taken = |fake: &FakeServer| fake.take("/s_new").len();
    show.until("the notes", |_| fake.has("/s_new"));
    assert!(taken(&fake) <= 3);
}

#[test]
fn a_score_is_written_when_the_show_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("show.osc");
    let path = path.to_str().expect("UTF-8");
    let mut test = TestShow::new();
    let options = [("server", "score"), ("score", path), ("voice.bell", "bell")];
    test.instance(&DESCRIPTOR, "sound", &options);
    test.map("probe.key", "sound.bell.note60");
    let mut show = test.start();
    assert_eq!(show.state("sound").word(), "up");
    show.send("key", 1.0);
    show.finish();
    let score = consort_sc::score::Score::read(path).expect("a score");
    let messages: Vec<OscMessage> = {
        let mut all = Vec::new();
        for packet in score.entries().flat_map(|entry| entry.packets) {
            flatten(packet, &mut all);
        }
        all
    };
    let synths = messages.iter().filter(|message| message.address == "/s_new");
    let names: Vec<&str> = synths.filter_map(|message| message.arguments[0].as_str()).collect();
    assert_eq!(names, ["consort:master:2", "bell"]);
    let count =
        |address: &str| messages.iter().filter(|message| message.address == address).count();
    assert_eq!(count("/d_recv"), 2);
    assert_eq!(count("/g_new"), 3);
}

#[test]
fn an_instance_waits_if_the_server_program_is_missing() {
    let mut test = TestShow::new();
    let options = [("program", "no-such-scsynth"), ("voice.pad", "pad")];
    test.instance(&DESCRIPTOR, "sound", &options);
    test.map("probe.a", "probe.b");
    let mut show: Performance = test.start();
    show.until_state("sound", "waiting");
    let state = show.state("sound");
    let reason = state.reason().unwrap_or_default();
    assert!(reason.contains("no-such-scsynth") && reason.contains("install it"), "{reason}");
    show.send("a", 0.5);
    assert_eq!(show.receive(1).len(), 1);
    let before = Instant::now();
    show.finish();
    assert!(before.elapsed() < Duration::from_secs(2), "it stops while it waits");
}

proptest! {
    /// No notification of a server causes a panic or a value out of range.
    #[test]
    fn any_notification_is_handled(
        address in prop::sample::select(vec!["/n_go", "/n_end", "/n_on", "/tr", "/beat", "/c_set"]),
        numbers in prop::collection::vec(any::<i32>(), 0..6),
        floats in prop::collection::vec(any::<f32>(), 0..4),
    ) {
        let options = [("voice.pad", "pad"), ("bus.x", "0 1")];
        let options = Options::from_pairs(DESCRIPTOR.instance_options, &options);
        let config = read_config(&options, &mut Problems::new());
        let mut player = Player::new(config.expect("a configuration"));
        for source in ["trigger.1", "reply./beat:1", "bus.x", "bus.7", "meter", "pad.note60"] {
            let Player { channels, config, .. } = &mut player;
            channels.channel(source, Usage::Source, config).expect("a channel");
        }
        player.prepare();
        let mut inputs = Inputs::new(&player);
        player.on_server_ready(ServerInfo { buses: vec![3], is_owned: true, ..Default::default() });
        inputs.on_server_ready(&player);
        let arguments: Vec<OscValue> = numbers
            .into_iter()
            .map(OscValue::from)
            .chain(floats.into_iter().map(OscValue::from))
            .collect();
        let message = OscMessage::new(address, arguments);
        inputs.on_notification(&message, &mut player);
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("OSC");
        let decoded = consort_osc::Message::decode(&bytes).expect("OSC");
        inputs.on_bus_values(&decoded, &mut player);
        prop_assert!(player.emits.iter().all(|(_, value)| (0.0..=1.0).contains(value)));
    }
}
