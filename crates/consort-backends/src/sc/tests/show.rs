//! What an instance sends to a server, and what it makes of the server's messages.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_osc::{OscMessage, OscValue};
use consort_router::testing::{Performance, TestShow};
use consort_router::{ChannelKind, Options, Problems, Resolution, Usage};
use proptest::prelude::*;

use super::super::DESCRIPTOR;
use super::super::channels::Channels;
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
    let unmatched = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&unmatched);
    show.router.observe_unmatched(Box::new(move |_, name, input| {
        log.borrow_mut().push((name.to_owned(), input.value));
    }));
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 9.into(), 2.5f32.into()]);
    fake.notify("/tr", [1000.into(), 5.into(), 1.0f32.into()]);
    assert_eq!(show.receive(1), [("five".into(), 1.0)]);
    assert_eq!(*unmatched.borrow(), [("trigger.9".to_owned(), Some(0.25))]);
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

/// Turns until the server has received a message that fulfils a condition; returns it.
fn wait_for(
    show: &mut Performance,
    fake: &FakeServer,
    what: &str,
    is_right: impl Fn(&OscMessage) -> bool,
) -> OscMessage {
    let mut found = None;
    show.until(what, |_| {
        found = fake.received.lock().iter().find(|message| is_right(message)).cloned();
        found.is_some()
    });
    found.expect("found")
}

/// Whether a message sets a control of a node.
fn sets(message: &OscMessage, node: i32, control: &str) -> bool {
    message.address == "/n_set"
        && message.arguments[0].as_i32() == Some(node)
        && message.arguments[1].as_str() == Some(control)
}

#[test]
fn a_reload_with_live_options_keeps_the_server_the_notes_and_the_counters() {
    let fake = FakeServer::start();
    let build = |options: &[(&str, &str)], mappings: &[(&str, &str)]| {
        let mut test = test_show(&fake, options);
        for (source, target) in mappings {
            test.map(source, target);
        }
        test
    };
    let first = [("voice.pad", "pad"), ("control.pad.cutoff", "0 1000"), ("bus.7", "0 0.14")];
    let mappings = [
        ("probe.cutoff", "sound.pad.cutoff"),
        ("probe.key", "sound.pad.note60"),
        ("probe.other", "sound.pad.note64"),
        ("sound.pad.note60", "probe.sounds"),
        ("sound.bus.7", "probe.seven"),
    ];
    let mut show = build(&first, &mappings).start();
    show.until_state("sound", "up");
    let id = show.id("sound");
    assert_eq!(show.receive(1)[0].0, "seven");
    show.send_all(&[("cutoff", 0.5), ("key", 1.0), ("other", 1.0)]);
    let started = wait_for(&mut show, &fake, "the first note", |message| {
        is_new_synth(message, "pad") && node(message) & 1 == 1
    });
    let first_node = node(&started);
    for node in [first_node, first_node + 1] {
        fake.notify("/n_go", node_notification(node));
    }
    assert_eq!(show.receive(1), [("sounds".into(), 1.0)]);
    show.until("both notifications", |show| {
        show.router.handle().live().input(show.id("sound")).0 >= 2
    });
    fake.received.lock().clear();

    // A trigger, ranges and limits, other channels; and the other key has no channel any more.
    let second = [
        ("voice.pad", "pad"),
        ("voice.pad.polyphony", "2"),
        ("control.pad.cutoff", "0 4000"),
        ("bus.7", "0 0.14"),
        ("trigger.5", "0 10"),
        ("reply./beat", "0 4"),
        ("rate", "100"),
        ("latency", "0"),
        ("restore", "none"),
    ];
    let mappings = [
        ("sound.bus.7", "probe.seven"),
        ("sound.trigger.5", "probe.five"),
        ("sound.reply./beat", "probe.beat"),
        ("sound.pad.note60", "probe.sounds"),
        ("probe.key", "sound.pad.note60"),
        ("probe.cutoff", "sound.pad.cutoff"),
    ];
    let outgoing = show.counters("sound").outgoing;
    let adoption = show.adopt(build(&second, &mappings));
    assert_eq!(adoption.adopted, ["probe", "sound"]);
    assert_eq!((show.id("sound"), show.state("sound").word()), (id, "up"));
    assert_eq!(show.counters("sound").outgoing, outgoing);
    let group = 900_002;
    let cutoff = wait_for(&mut show, &fake, "the cutoff", |message| sets(message, group, "cutoff"));
    assert_eq!(cutoff.arguments[2].as_f64(), Some(2_000.0));
    wait_for(&mut show, &fake, "the release", |message| sets(message, first_node + 1, "gate"));
    assert!(!fake.received.lock().iter().any(|message| sets(message, first_node, "gate")));
    assert!(!fake.has("/notify") && !fake.has("/s_new"), "the same connection, the same notes");

    // New sources work without another connection; an unchanged bus is not emitted again.
    fake.notify("/tr", [1000.into(), 5.into(), 2.5f32.into()]);
    fake.notify("/beat", [1000.into(), 0.into(), 1.0f32.into()]);
    assert_eq!(show.receive(2), [("five".into(), 0.25), ("beat".into(), 0.25)]);
    fake.take("/c_get");
    for _ in 0..2 {
        show.until("a poll", |_| !fake.take("/c_get").is_empty());
    }
    assert_eq!(show.received(), []);
    show.send("key", 0.0);
    wait_for(&mut show, &fake, "the end", |message| sets(message, first_node, "gate"));
    fake.notify("/n_end", node_notification(first_node));
    assert_eq!(show.receive(1), [("sounds".into(), 0.0)]);
    show.finish();
}

#[test]
fn a_reload_with_other_options_starts_the_instance_again() {
    let fake = FakeServer::start();
    let build = |options: &[(&str, &str)]| {
        let mut test = test_show(&fake, options);
        test.map("probe.key", "sound.pad.note60");
        test.map("sound.pad.voices", "probe.voices");
        test
    };
    let mut show = build(&[("voice.pad", "pad")]).start();
    show.until_state("sound", "up");
    let mut generation = show.id("sound").generation();
    for options in [
        // The options `outputs` and `buffer.x` are not live.
        &[("voice.pad", "pad"), ("outputs", "4")][..],
        &[("voice.pad", "pad"), ("outputs", "4"), ("buffer.x", "empty 10 1")],
        // A SynthDef that the server does not have.
        &[("voice.pad", "default"), ("outputs", "4"), ("buffer.x", "empty 10 1")],
    ] {
        show.send("key", 1.0);
        show.until("the note", |_| fake.has("/s_new"));
        fake.received.lock().clear();
        let adoption = show.adopt(build(options));
        assert_eq!(adoption.restarted, ["sound"]);
        generation += 1;
        assert_eq!(show.id("sound").generation(), generation);
        assert!(
            fake.has("/n_free") || {
                show.until("the nodes of the old instance to go", |_| fake.has("/n_free"));
                true
            }
        );
        show.until_state("sound", "up");
        show.until("a new login", |_| fake.has("/notify") && fake.has("/s_new"));
    }
    // The same options again change nothing.
    let options = [("voice.pad", "default"), ("outputs", "4"), ("buffer.x", "empty 10 1")];
    assert_eq!(show.adopt(build(&options)).restarted, [""; 0]);
    show.finish();
}

#[test]
fn a_panic_frees_all_voices() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("voice.pad", "pad"), ("voice.kick", "kick")]);
    test.map("probe.key", "sound.pad.note60");
    test.map("sound.pad.note60", "probe.sounds");
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send("key", 1.0);
    let started = wait_for(&mut show, &fake, "the note", |message| is_new_synth(message, "pad"));
    fake.notify("/n_go", node_notification(node(&started)));
    assert_eq!(show.receive(1), [("sounds".into(), 1.0)]);
    assert!(show.router.handle().panic());
    show.until("all voices to be freed", |_| {
        let freed = fake.received.lock();
        freed.iter().filter(|message| message.address == "/g_freeAll").count() == 2
    });
    assert_eq!(show.receive(1), [("sounds".into(), 0.0)]);
    show.finish();
}

#[test]
fn texts_are_dropped_and_counted() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("voice.pad", "pad")]);
    test.map("probe.key", "sound.pad.note60");
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_text("key", "loud");
    assert_eq!(show.counters("sound").dropped, 1);
    assert!(!fake.received.lock().iter().any(|message| is_new_synth(message, "pad")));
}

#[test]
fn unmatched_notifications_are_kept_with_types_and_sender() {
    let fake = FakeServer::start();
    let mut test = test_show(&fake, &[("trigger.9", "0 10"), ("reply./beat:0", "0 4")]);
    test.map("sound.trigger.5", "probe.five");
    let mut show = test.start();
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 9.into(), 2.5f32.into()]);
    fake.notify("/beat", [1000.into(), 0.into(), 1.0f32.into(), 3.0f32.into()]);
    fake.notify("/hello", ["there".into(), 1.into(), "a text".into()]);
    // These belong to a node, to no channel that one could map, and to a mapped channel.
    fake.notify("/n_end", node_notification(77));
    fake.notify("/tr", [1000.into()]);
    fake.notify("/tr", [1000.into(), 5.into(), 1.0f32.into()]);
    assert_eq!(show.receive(1), [("five".into(), 1.0)]);
    let live = show.router.handle().live();
    let id = show.id("sound");
    assert_eq!((live.unmatched_count(id), live.input(id).0), (3, 6));
    let mut inputs = live.unmatched(id);
    inputs.sort_by(|one, other| one.channel.cmp(&other.channel));
    let lines: Vec<String> = inputs
        .iter()
        .map(|input| format!("{} {} {} {:?}", input.channel, input.types, input.raw, input.value))
        .collect();
    assert_eq!(
        lines,
        [
            "reply./beat iiff 1 Some(0.25)",
            "reply./hello sis \"a text\" None",
            "trigger.9 iif 2.5 Some(0.25)",
        ]
    );
    assert_eq!(inputs[0].sender.to_string(), fake.address());
}

#[test]
fn channels_have_kinds_and_resolutions() {
    let mut test = TestShow::new();
    let options = [("voice.pad", "pad"), ("voice.pad.polyphony", "4"), ("bus.x", "0 1")];
    test.instance(&DESCRIPTOR, "sound", &options);
    for target in ["pad.note60", "pad.cutoff", "mute"] {
        test.map("probe.a", &format!("sound.{target}"));
    }
    for source in ["pad.voices", "trigger.1", "bus.x"] {
        test.map(&format!("sound.{source}"), "probe.b");
    }
    let show = test.start();
    let live = show.router.handle().live();
    let infos = live.channel_infos(show.id("sound"));
    let all: Vec<(ChannelKind, Resolution)> =
        infos.iter().map(|info| (info.kind, info.resolution)).collect();
    assert_eq!(
        all,
        [
            (ChannelKind::Momentary, Resolution::CONTINUOUS),
            (ChannelKind::Absolute, Resolution::CONTINUOUS),
            (ChannelKind::Absolute, Resolution::steps(2)),
            (ChannelKind::Absolute, Resolution::steps(5)),
            (ChannelKind::Momentary, Resolution::CONTINUOUS),
            (ChannelKind::Absolute, Resolution::CONTINUOUS),
        ]
    );
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
        let config = config.expect("a configuration");
        let mut channels = Channels::new(&config);
        for source in ["trigger.1", "reply./beat:1", "bus.x", "bus.7", "meter", "pad.note60"] {
            channels.channel(source, Usage::Source, &config).expect("a channel");
        }
        let mut player = Player::new(config, channels);
        let mut inputs = Inputs::new(&player);
        player.on_server_ready(ServerInfo { buses: vec![3], is_owned: true, ..Default::default() });
        inputs.on_server_ready(&player);
        let arguments: Vec<OscValue> = numbers
            .into_iter()
            .map(OscValue::from)
            .chain(floats.into_iter().map(OscValue::from))
            .collect();
        let message = OscMessage::new(address, arguments);
        if !inputs.on_notification(&message, &mut player) {
            let value = Inputs::unmatched(&message, &player).and_then(|input| input.value);
            prop_assert!(value.is_none_or(|value| (0.0..=1.0).contains(&value)));
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("OSC");
        let decoded = consort_osc::Message::decode(&bytes).expect("OSC");
        inputs.on_bus_values(&decoded, &mut player);
        prop_assert!(player.emits.iter().all(|(_, value)| (0.0..=1.0).contains(value)));
    }
}
