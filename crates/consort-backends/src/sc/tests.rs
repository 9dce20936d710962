//! Instances on a stage, with a server that the tests play themselves; real servers are in
//! `tests/sc_server.rs`.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use consort_osc::{OscMessage, OscPacket, OscValue};
use consort_router::Usage;
use consort_router::testing::{Performance, TestShow};

use proptest::prelude::*;

use super::DESCRIPTOR;

/// A UDP server of a few words: it takes logins, and remembers all else.
struct Fake {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<OscMessage>>>,
    /// Who has logged in: the library's socket.
    client: Arc<Mutex<Option<SocketAddr>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the fake server broke");
        }
    }
}

fn encode(address: &str, arguments: impl Into<Vec<OscValue>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    OscMessage::new(address, arguments).encode(&mut bytes).expect("OSC");
    bytes
}

fn answer(message: &OscMessage) -> Vec<u8> {
    let f = |number: f32| OscValue::from(number);
    let d = |number: f64| OscValue::from(number);
    let i = |number: i32| OscValue::from(number);
    match message.address.as_str() {
        "/status" => encode(
            "/status.reply",
            [i(1), i(0), i(0), i(2), i(0), f(0.5), f(1.0), d(48_000.0), d(48_000.0)],
        ),
        "/notify" => encode("/done", ["/notify".into(), i(0), i(2)]),
        "/g_queryTree" => encode("/g_queryTree.reply", [i(0), i(0), i(1), i(1), i(0)]),
        "/sync" => encode("/synced", [message.arguments[0].clone()]),
        "/quit" => encode("/done", ["/quit".into()]),
        // Every bus holds a hundredth of its number.
        "/c_get" => {
            let bus = |it: &OscValue| it.as_i32().expect("a bus");
            let pairs = message.arguments.iter();
            let pairs = pairs.flat_map(|it| [it.clone(), f(bus(it) as f32 / 100.0)]);
            encode("/c_set", pairs.collect::<Vec<_>>())
        }
        "/s_new" if message.arguments[0].as_str() == Some("lead") => {
            encode("/fail", ["/s_new".into(), "SynthDef not found".into()])
        }
        _ => Vec::new(),
    }
}

impl Fake {
    fn start() -> Self {
        Self::at(0)
    }

    fn at(port: u16) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::<Mutex<Vec<OscMessage>>>::default();
        let client = Arc::<Mutex<Option<SocketAddr>>>::default();
        let (stopped, memory, logged) = (stop.clone(), heard.clone(), client.clone());
        let mine = socket.try_clone().expect("a socket");
        let thread = std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = mine.recv_from(&mut bytes) else { continue };
                let packet = OscPacket::decode(&bytes[..length]).expect("OSC");
                let mut all = Vec::new();
                flatten(packet, &mut all);
                for message in all {
                    if message.address == "/notify" {
                        *logged.lock().expect("a lock") = Some(from);
                    }
                    let reply = answer(&message);
                    memory.lock().expect("a lock").push(message);
                    if !reply.is_empty() {
                        // Whoever asked may be gone.
                        let _ = mine.send_to(&reply, from);
                    }
                }
            }
        });
        Fake { socket, stop, heard, client, thread: Some(thread) }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("an address").port()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// What was heard of one address, and forgotten.
    fn take(&self, address: &str) -> Vec<OscMessage> {
        let mut heard = self.heard.lock().expect("a lock");
        let (taken, rest) = heard.drain(..).partition(|it| it.address == address);
        *heard = rest;
        taken
    }

    fn has(&self, address: &str) -> bool {
        self.heard.lock().expect("a lock").iter().any(|it| it.address == address)
    }

    /// Tells whoever has logged in.
    fn notify(&self, address: &str, arguments: impl Into<Vec<OscValue>>) {
        let client = self.client.lock().expect("a lock").expect("a client");
        self.socket.send_to(&encode(address, arguments), client).expect("sent");
    }
}

fn flatten(packet: OscPacket, all: &mut Vec<OscMessage>) {
    match packet {
        OscPacket::Message(message) => all.push(message),
        OscPacket::Bundle(bundle) => bundle.elements.into_iter().for_each(|it| flatten(it, all)),
    }
}

fn go(node: i32) -> Vec<OscValue> {
    [node, 900_002, -1, -1, 0].map(OscValue::from).to_vec()
}

fn stage(fake: &Fake, options: &[(&str, &str)]) -> TestShow {
    let mut stage = TestShow::new();
    let address = fake.address();
    let options: Vec<(&str, &str)> =
        [("server", address.as_str())].into_iter().chain(options.iter().copied()).collect();
    stage.instance(&DESCRIPTOR, "sound", &options);
    stage
}

fn node(message: &OscMessage) -> i32 {
    message.arguments[1].as_i32().expect("a node")
}

#[test]
fn a_note_is_a_packet_and_the_servers_word_comes_back() {
    let fake = Fake::start();
    let mut stage = stage(&fake, &[("voice.pad", "pad")]);
    stage.map("probe.key", "sound.pad.note60");
    stage.map("sound.pad.note60", "probe.sounds");
    stage.map("sound.pad.voices", "probe.voices");
    let mut show = stage.start();
    assert_eq!(show.state("sound").word(), "starting");
    show.until_state("sound", "up");
    show.until("the master", |_| {
        fake.heard.lock().expect("it").iter().any(|it| {
            it.address == "/s_new" && it.arguments[0].as_str() == Some("consort:master:2")
        })
    });
    assert_eq!(fake.take("/d_recv").len(), 2, "the pad and the master");
    fake.take("/s_new");
    show.send("key", 1.0);
    show.until("the note", |_| fake.has("/s_new"));
    let started = fake.take("/s_new");
    let node = node(&started[0]);
    assert_eq!(started[0].arguments[0].as_str(), Some("pad"));
    fake.notify("/n_go", go(node));
    assert_eq!(show.receive(2), [("voices".into(), 0.0625), ("sounds".into(), 1.0)]);
    show.send("key", 0.0);
    show.until("the release", |_| fake.has("/n_set"));
    fake.notify("/n_end", go(node));
    assert_eq!(show.receive(2), [("sounds".into(), 0.0), ("voices".into(), 0.0)]);
    show.finish();
    assert!(fake.has("/notify") && !fake.has("/quit"), "another's server is left running");
}

#[test]
fn a_server_that_comes_late_and_goes_is_waited_for() {
    let port = Fake::start().port();
    let mut stage = TestShow::new();
    let address = format!("127.0.0.1:{port}");
    stage.instance(&DESCRIPTOR, "sound", &[("server", address.as_str()), ("voice.pad", "pad")]);
    stage.map("probe.key", "sound.pad.note60");
    stage.map("probe.other", "probe.heard");
    let mut show = stage.start();
    show.until_state("sound", "waiting");
    assert!(show.state("sound").reason().is_some_and(|it| it.contains("nothing listens")));
    // A key that is down is remembered; the rest of the show goes on.
    show.send_all(&[("key", 1.0), ("other", 0.5)]);
    assert_eq!(show.receive(1), [("heard".into(), 0.5)]);
    let sounds = |fake: &Fake| {
        let heard = fake.heard.lock().expect("a lock");
        heard.iter().any(|it| it.address == "/s_new" && it.arguments[0].as_str() == Some("pad"))
    };
    for _ in 0..2 {
        let fake = Fake::at(port);
        show.until_state("sound", "up");
        show.until("the held note", |_| sounds(&fake));
        drop(fake);
        show.until_state("sound", "waiting");
    }
    show.finish();
}

#[test]
fn buses_are_asked_for_where_there_is_no_shared_memory() {
    let fake = Fake::start();
    let mut stage = stage(&fake, &[("bus.7", "0 0.14"), ("rate", "200"), ("bus.x", "0 1")]);
    stage.map("sound.bus.7", "probe.seven");
    stage.map("sound.bus.50", "probe.fifty");
    stage.map("sound.meter", "probe.meter");
    stage.map("sound.load", "probe.load");
    let mut show = stage.start();
    let mut values = show.receive(4);
    values.sort_by(|one, other| one.0.cmp(&other.0));
    let value = |name: &str| values.iter().find(|it| it.0 == name).map_or(-1.0, |it| it.1);
    assert!((value("seven") - 0.5).abs() < 1e-6, "{values:?}");
    assert!((value("fifty") - 0.5).abs() < 1e-6, "{values:?}");
    // `x` has the number 0, the two outputs 1 and 2; 7 and 50 are left to the show.
    assert!((value("meter") - 0.02).abs() < 1e-6, "{values:?}");
    assert!((value("load") - 0.005).abs() < 1e-6, "{values:?}");
}

#[test]
fn triggers_and_replies_are_scaled() {
    let fake = Fake::start();
    let options = [("trigger.5", "0 10"), ("reply./beat", "0 4"), ("reply./beat:1", "1 0")];
    let mut stage = stage(&fake, &options);
    stage.map("sound.trigger.5", "probe.five");
    stage.map("sound.trigger.6", "probe.six");
    stage.map("sound.reply./beat", "probe.beat");
    stage.map("sound.reply./beat:1", "probe.second");
    let mut show = stage.start();
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 5.into(), 2.5f32.into()]);
    fake.notify("/tr", [1000.into(), 6.into(), 7.0f32.into()]);
    fake.notify("/tr", [1000.into(), 9.into(), 7.0f32.into()]);
    fake.notify("/beat", [1000.into(), 0.into(), 1.0f32.into(), 0.25f32.into()]);
    // What does not look as it should harms nobody.
    fake.notify("/beat", [1000.into()]);
    fake.notify("/tr", []);
    fake.notify("/n_go", [OscValue::from("no number")]);
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
fn triggers_that_no_mapping_uses_can_be_learnt() {
    let fake = Fake::start();
    let mut stage = stage(&fake, &[("trigger.9", "0 10")]);
    stage.map("sound.trigger.5", "probe.five");
    let mut show = stage.start();
    let learnt = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&learnt);
    show.router.observe_unmapped(Box::new(move |_, name, value| {
        log.borrow_mut().push((name.to_owned(), value));
    }));
    show.until_state("sound", "up");
    fake.notify("/tr", [1000.into(), 9.into(), 2.5f32.into()]);
    fake.notify("/tr", [1000.into(), 5.into(), 1.0f32.into()]);
    assert_eq!(show.receive(1), [("five".into(), 1.0)]);
    assert_eq!(*learnt.borrow(), [("trigger.9".to_owned(), 0.25)]);
}

#[test]
fn what_the_server_refuses_is_counted() {
    let fake = Fake::start();
    let mut stage = stage(&fake, &[("voice.lead", "lead")]);
    stage.map("probe.key", "sound.lead.note60");
    let mut show = stage.start();
    show.until_state("sound", "up");
    show.send("key", 1.0);
    show.until("the complaint", |show| show.counters("sound").errors == 1);
    assert_eq!(show.counters("sound").dropped, 0);
}

#[test]
fn notes_without_a_voice_are_dropped_and_counted() {
    let fake = Fake::start();
    let options = [("voice.pad", "pad"), ("voice.pad.polyphony", "2"), ("voice.pad.steal", "none")];
    let mut stage = stage(&fake, &options);
    for key in 60..64 {
        stage.map(&format!("probe.{key}"), &format!("sound.pad.note{key}"));
    }
    let mut show = stage.start();
    show.until_state("sound", "up");
    show.send_all(&[("60", 1.0), ("61", 1.0), ("62", 1.0), ("63", 1.0)]);
    show.until("the count", |show| show.counters("sound").dropped == 2);
    let taken = |fake: &Fake| fake.take("/s_new").len();
    show.until("the notes", |_| fake.has("/s_new"));
    assert!(taken(&fake) <= 3);
}

#[test]
fn a_score_is_written_when_the_show_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("show.osc");
    let path = path.to_str().expect("UTF-8");
    let mut stage = TestShow::new();
    let options = [("server", "score"), ("score", path), ("voice.bell", "bell")];
    stage.instance(&DESCRIPTOR, "sound", &options);
    stage.map("probe.key", "sound.bell.note60");
    let mut show = stage.start();
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
    let synths = messages.iter().filter(|it| it.address == "/s_new");
    let names: Vec<&str> = synths.filter_map(|it| it.arguments[0].as_str()).collect();
    assert_eq!(names, ["consort:master:2", "bell"]);
    assert_eq!(messages.iter().filter(|it| it.address == "/d_recv").count(), 2);
    assert_eq!(messages.iter().filter(|it| it.address == "/g_new").count(), 3);
}

#[test]
fn a_server_under_jack_is_connected_to_the_sound_card() {
    let environment = |pairs: &[(&str, &str)]| {
        let options = consort_router::Options::from_pairs(DESCRIPTOR.instance_options, pairs);
        let mut problems = consort_router::Problems::new();
        super::Config::read(&options, &mut problems).expect("sound").server.environment
    };
    let outputs = "SC_JACK_DEFAULT_OUTPUTS";
    let of = |pairs: &[(&str, &str)]| {
        let all = environment(pairs);
        all.iter().find(|it| it.0 == outputs).map(|it| it.1.clone())
    };
    // The environment of whoever runs the tests may say otherwise, and counts then.
    let usual = std::env::var_os(outputs).is_none().then(|| "system".to_owned());
    assert_eq!(of(&[("voice.pad", "pad")]), usual);
    let said = [("voice.pad", "pad"), ("environment", "SC_JACK_DEFAULT_OUTPUTS=mixer")];
    assert_eq!(of(&said).as_deref(), Some("mixer"));
    assert_eq!(of(&[("voice.pad", "pad"), ("server", "127.0.0.1:57110")]), None);
}

fn refused(options: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut stage = TestShow::new();
    let problems = stage.try_instance(&DESCRIPTOR, "sound", options).expect_err("refused");
    problems.into_iter().map(|it| (it.message, it.hint.unwrap_or_default())).collect()
}

#[test]
fn bad_options_are_told_with_what_was_probably_meant() {
    for (options, message, hint) in [
        (&[("voice.pad", "pda")][..], "there is no SynthDef `pda`", "did you mean `pad`?"),
        (&[("voice.pad", "")], "the name of a SynthDef is missing", "SynthDefs are"),
        (&[("voice.bus", "pad")], "`bus` is a channel of every instance", "another name"),
        (&[("voice.a b", "pad")], "no sound name", "letters"),
        (&[("voice.pad.steal", "oldest")], "there is no voice `pad`", "voice.pad = SYNTHDEF"),
        (
            &[("voice.pad", "pad"), ("voice.pad.polyfony", "3")],
            "a voice has no setting `polyfony`",
            "did you mean `polyphony`?",
        ),
        (&[("voice.pad", "pad"), ("voice.pad.polyphony", "0")], "expected 1 to 1024", ""),
        (&[("voice.pad", "pad"), ("voice.pad.steal", "best")], "`best` is none of `oldest`", ""),
        (
            &[("voice.pad", "pad"), ("voice.pad.group", "voice")],
            "there is no group `voice`",
            "did you mean `voices`?",
        ),
        (&[("voice.kick", "kick"), ("voice.kick.end", "gate")], "has no control `gate`", "`cut`"),
        (&[("voice.r", "reverb"), ("voice.r.end", "itself")], "never ends by itself", "pile up"),
        (&[("voice.k", "kick"), ("voice.k.mode", "legato")], "cannot slide", "gate"),
        (&[("voice.k", "kick"), ("voice.k.glide", "1")], "has no control `glide`", "`lead`"),
        (
            &[("voice.pad", "pad"), ("control.pad.cuttof", "0 1")],
            "has no control `cuttof`",
            "did you mean `cutoff`?",
        ),
        (&[("voice.pad", "pad"), ("control.pad.cutoff", "0 0")], "the range is empty", "such as"),
        (
            &[("voice.pad", "pad"), ("control.pda.cutoff", "0 1")],
            "no voice or synth `pda`",
            "did you mean `pad`?",
        ),
        (&[("voice.pad", "pad"), ("control.pad", "0 1")], "which control is missing", "CONTROL"),
        (
            &[("synth.r", "reverb"), ("control.r.in", "bus wt"), ("bus.wet", "audio")],
            "there is no bus `wt`",
            "did you mean `wet`?",
        ),
        (
            &[("synth.r", "reverb"), ("control.r.mix", "map wet"), ("bus.wet", "audio")],
            "which a control cannot follow",
            "`bus wet` is its number",
        ),
        (&[("synth.r", "reverb"), ("control.r.in", "buffer x")], "there is no buffer", ""),
        (&[("synth.pad", "reverb"), ("synth.pad.x", "1")], "has no setting `x`", "control.pad.x"),
        (&[("bus.x", "audio 0")], "expected `audio CHANNELS`", "bus.wobble"),
        (&[("bus.x", "0 1"), ("bus.x", "0 2")], "is there twice", ""),
        (&[("buffer.x", "no/such.wav")], "there is no file", ""),
        (&[("trigger.1", "x")], "`x` is no number", ""),
        (&[("synthdef", "no.scsyndef")], "cannot read", ""),
        (&[("server", "score")], "needs a file", "score = FILE"),
        (&[("groups", "a a")], "named twice", ""),
        (&[("channels", "4")], "the server has 2 outputs", "outputs"),
        (&[("password", "x")], "UDP server never asks", ""),
        (&[("audio-buses", "2"), ("bus.x", "0 1")], "outputs (2) and inputs (2) need 4", ""),
    ] {
        let problems = refused(options);
        let fits = |it: &(String, String)| it.0.contains(message) && it.1.contains(hint);
        assert!(problems.iter().any(fits), "{options:?}: {problems:?}");
    }
}

#[test]
fn a_voice_that_is_cut_is_warned_of() {
    let mut stage = TestShow::new();
    let cut = [("voice.r", "reverb"), ("voice.r.end", "cut")];
    assert!(stage.try_instance(&DESCRIPTOR, "quiet", &cut).is_ok());
    let options = consort_router::Options::from_pairs(DESCRIPTOR.instance_options, &cut[..1]);
    let mut problems = consort_router::Problems::new();
    assert!(super::Config::read(&options, &mut problems).is_some());
    let problems = problems.into_vec();
    assert!(problems[0].is_warning && problems[0].message.contains("freed at once"));
    assert!(problems[0].hint.as_deref().is_some_and(|it| it.contains("voice.r.end = cut")));
}

#[test]
fn channels_that_are_not_there_are_told() {
    let mut stage = TestShow::new();
    let options = [
        ("voice.pad", "pad"),
        ("synth.room", "reverb"),
        ("control.room.room", "0.5"),
        ("bus.lfo", "0 1"),
        ("control.room.mix", "map lfo"),
        ("bus.wet", "audio"),
    ];
    stage.instance(&DESCRIPTOR, "sound", &options);
    for (channel, usage, message, hint) in [
        ("pda.note60", Usage::Target, "nothing called `pda`", "did you mean `pad`?"),
        ("pad.cuttoff", Usage::Target, "`pad` has no control `cuttoff`", "did you mean `cutoff`?"),
        ("pad.note128", Usage::Target, "note 128 is out of range: expected 0 to 127", ""),
        ("pad", Usage::Target, "what of the voice `pad` is meant is missing", "noteN"),
        ("room", Usage::Target, "what of the synth `room`", "room.run"),
        ("room.wet", Usage::Target, "`room` has no control `wet`", "damping, in, mix, out, room"),
        ("room.room", Usage::Target, "is always 0.5", "control.room.room = LOW HIGH"),
        ("room.mix", Usage::Target, "follows a bus", "bus.NAME"),
        ("bus.wet", Usage::Target, "is an audio bus", "level"),
        ("bus.lfoo", Usage::Target, "there is no bus `lfoo`", "did you mean `lfo`?"),
        ("bus.99999", Usage::Target, "out of range: expected 0 to 16383", ""),
        ("meter", Usage::Target, "cannot be set", "source"),
        ("meter.2", Usage::Source, "output 2 is out of range: expected 0 to 1", ""),
        ("level", Usage::Source, "nothing comes from `level`", "target"),
        ("trigger.x", Usage::Source, "no number of a trigger", "trigger.1"),
        ("reply.beat", Usage::Source, "no OSC address", "reply./beat:0"),
        ("reply./beat:x", Usage::Source, "no number of a argument", ""),
    ] {
        let error = stage.channel(&format!("sound.{channel}"), usage).expect_err(channel);
        assert!(error.message.contains(message), "{channel}: {error:?}");
        let has_hint = error.hint.as_deref().unwrap_or_default().contains(hint);
        assert!(has_hint, "{channel}: {error:?}");
        if let Some((start, end)) = error.range {
            assert!(start <= end && end <= channel.len(), "{channel}: {error:?}");
        }
    }
    let number = stage.channel("sound.pad.control.cutoff", Usage::Target).expect("a channel");
    assert_eq!(stage.channel("sound.pad.cutoff", Usage::Target).expect("the same"), number);
}

proptest! {
    /// Whatever stands in a file is a value or an error inside of it.
    #[test]
    fn any_option_and_any_channel_is_taken_or_refused(
        name in "(voice|synth|control|bus|buffer|trigger|reply)\\.[a-z.0-9/ ]{0,12}",
        value in "(pad|kick|bus|map|audio|empty|[-0-9. ]|[a-z]){0,8}",
        channel in "(pad|room|bus|trigger|reply|meter|level)?\\.?(note|pressure|/)?[a-z0-9.:]{0,8}",
        usage in prop::sample::select(vec![Usage::Source, Usage::Target]),
    ) {
        let pairs = [("voice.pad", "pad"), ("synth.room", "reverb"), (name.as_str(), value.as_str())];
        let options = consort_router::Options::from_pairs(DESCRIPTOR.instance_options, &pairs);
        let mut problems = consort_router::Problems::new();
        let config = super::Config::read(&options, &mut problems);
        prop_assert_eq!(config.is_some(), problems.is_ok());
        let mut stage = TestShow::new();
        stage.instance(&DESCRIPTOR, "sound", &pairs[..2]);
        if let Err(error) = stage.channel(&format!("sound.{channel}"), usage)
            && let Some((start, end)) = error.range
        {
            prop_assert!(start <= end && end <= channel.len(), "{:?}", error);
        }
    }

    /// Whatever a server says harms nobody.
    #[test]
    fn any_notification_is_survived(
        address in prop::sample::select(vec!["/n_go", "/n_end", "/n_on", "/tr", "/beat", "/c_set"]),
        numbers in prop::collection::vec(any::<i32>(), 0..6),
        floats in prop::collection::vec(any::<f32>(), 0..4),
    ) {
        let options = [("voice.pad", "pad"), ("bus.x", "0 1")];
        let options = consort_router::Options::from_pairs(DESCRIPTOR.instance_options, &options);
        let config = super::Config::read(&options, &mut consort_router::Problems::new());
        let mut desk = super::desk::Desk::new(config.expect("sound"));
        for source in ["trigger.1", "reply./beat:1", "bus.x", "bus.7", "meter", "pad.note60"] {
            let super::desk::Desk { channels, config, .. } = &mut desk;
            channels.channel(source, Usage::Source, config).expect("a channel");
        }
        desk.prepare();
        let mut inputs = super::inputs::Inputs::new(&desk);
        desk.go_up(super::server::Up { buses: vec![3], is_owned: true, ..Default::default() });
        inputs.go_up(&desk);
        let arguments: Vec<OscValue> = numbers
            .into_iter()
            .map(OscValue::from)
            .chain(floats.into_iter().map(OscValue::from))
            .collect();
        let message = OscMessage::new(address, arguments);
        inputs.notified(&message, &mut desk);
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("OSC");
        let decoded = consort_osc::Message::decode(&bytes).expect("OSC");
        inputs.answered(&decoded, &mut desk);
        prop_assert!(desk.emits.iter().all(|it| (0.0..=1.0).contains(&it.1)));
    }
}

#[test]
fn no_server_program_is_a_reason_to_wait() {
    let mut stage = TestShow::new();
    let options = [("program", "no-such-scsynth"), ("voice.pad", "pad")];
    stage.instance(&DESCRIPTOR, "sound", &options);
    stage.map("probe.a", "probe.b");
    let mut show: Performance = stage.start();
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

#[test]
fn the_committed_corpus_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/sc_config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("readable");
        super::fuzz::sc_config(&bytes);
        count += 1;
    }
    assert!(count >= 15, "only {count} files");
}
