//! Instances of `sc` with a real `scsynth`: levels are measured, and killed servers restarted.

#![cfg(feature = "sc")]
#![allow(clippy::print_stdout)]

mod sc_support;

use std::time::{Duration, Instant};

use consort_backends::sc::DESCRIPTOR;
use consort_router::testing::{Performance, TestShow};
use consort_sc::synthdef::prelude::*;
use consort_sc::{Server, find_executable};
use sc_support::{Jack, client, free_port, process_at, signal};

/// Adds an instance `sound` that starts a server on `port`.
fn add_booting_instance(test: &mut TestShow, jack: &Jack, port: u16, options: &[(&str, &str)]) {
    let all = jack.instance_options(port);
    let all = all.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<(&str, &str)> = all.chain(options.iter().copied()).collect();
    test.instance(&DESCRIPTOR, "sound", &all);
}

/// The last value that the probe has received on a channel.
fn last(show: &Performance, channel: &str) -> f64 {
    let received = show.received();
    received.iter().rev().find(|(own, _)| own == channel).map_or(-1.0, |(_, value)| *value)
}

/// The number of synths, not counting the master.
fn synths(server: &Server) -> usize {
    let tree = server.query_tree(0, false).expect("the tree");
    let is_synth = |node: &consort_sc::QueryTreeNode| {
        matches!(node, consort_sc::QueryTreeNode::Synth(synth)
            if !synth.synthdef.starts_with("consort:master"))
    };
    tree.walk().into_iter().filter(|(_, node)| is_synth(node)).count()
}

#[test]
fn a_note_sounds_and_leaves_no_node() {
    let Some(jack) = Jack::start("sc: a note sounds") else { return };
    let port = free_port();
    let mut test = TestShow::new();
    add_booting_instance(&mut test, &jack, port, &[("voice.pad", "default"), ("rate", "100")]);
    for (source, target) in [
        ("probe.key", "sound.pad.note60"),
        ("probe.mute", "sound.mute"),
        ("probe.level", "sound.level"),
        ("sound.pad.note60", "probe.sounds"),
        ("sound.pad.voices", "probe.voices"),
        ("sound.meter", "probe.meter"),
        ("sound.load", "probe.load"),
    ] {
        test.map(source, target);
    }
    let mut show = test.start();
    show.until_state("sound", "up");
    let observer = client(port);
    assert_eq!(synths(&observer), 0);
    show.send("key", 1.0);
    show.until("the start", |show| last(show, "sounds") == 1.0);
    show.until("sound", |show| last(show, "meter") > 0.005);
    assert_eq!(synths(&observer), 1);
    show.send("mute", 1.0);
    show.until("silence", |show| last(show, "meter") < 0.001);
    show.send("mute", 0.0);
    show.until("sound again", |show| last(show, "meter") > 0.005);
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0 && last(show, "voices") == 0.0);
    show.until("silence at the end", |show| last(show, "meter") < 0.001);
    assert_eq!(synths(&observer), 0);
    show.until("the load", |show| last(show, "load") >= 0.0);
    assert_eq!(show.counters("sound").errors, 0);
    observer.disconnect().expect("disconnected");
    show.finish();
    assert_eq!(process_at(port), None, "the started server has ended");
}

#[test]
fn a_killed_server_is_restarted_with_the_whole_state() {
    let Some(jack) = Jack::start("sc: a killed server is restarted") else { return };
    let port = free_port();
    let mut test = TestShow::new();
    let options = [
        ("voice.pad", "pad"),
        ("voice.kick", "kick"),
        ("control.pad.out", "bus wet"),
        ("control.pad.cutoff", "200 8000 exponential start 1200"),
        ("bus.wet", "audio 2"),
        ("bus.knob", "0 10"),
        ("synth.room", "reverb"),
        ("control.room.in", "bus wet"),
        ("buffer.loop", "empty 1000 1"),
        ("rate", "100"),
    ];
    add_booting_instance(&mut test, &jack, port, &options);
    for (source, target) in [
        ("probe.key", "sound.pad.note60"),
        ("probe.kick", "sound.kick.note36"),
        ("probe.cutoff", "sound.pad.cutoff"),
        ("probe.mix", "sound.room.mix"),
        ("probe.knob", "sound.bus.knob"),
        ("sound.bus.knob", "probe.read"),
        ("sound.pad.note60", "probe.sounds"),
        ("sound.room.run", "probe.room"),
        ("sound.meter", "probe.meter"),
        ("probe.other", "probe.echo"),
    ] {
        test.map(source, target);
    }
    let mut show = test.start();
    show.until_state("sound", "up");
    show.send_all(&[("cutoff", 0.5), ("mix", 0.75), ("knob", 0.5), ("key", 1.0)]);
    show.until("sound", |show| {
        last(show, "meter") > 0.005 && last(show, "read") == 0.5 && last(show, "room") == 1.0
    });
    // A server that is lost sooner than this counts as a failed start.
    let min_uptime = Instant::now() + Duration::from_millis(3_200);
    show.until("the minimum uptime", |_| Instant::now() > min_uptime);
    let process = process_at(port).expect("a process");
    let mut sent = 0_u32;
    let mut send_events = |show: &mut Performance| {
        // This route and another one carry events all the time.
        sent += 1;
        show.send_all(&[
            ("other", f64::from(sent % 1_000) / 1_000.0),
            ("kick", 1.0),
            ("kick", 0.0),
        ]);
    };
    for _ in 0..100 {
        send_events(&mut show);
    }
    let killed = Instant::now();
    signal(process, "KILL");
    show.until("the loss", |show| {
        send_events(show);
        last(show, "sounds") == 0.0
    });
    let noticed = killed.elapsed();
    show.until("sound again", |show| {
        send_events(show);
        let received = show.received();
        let start = received.iter().rposition(|event| *event == ("sounds".into(), 1.0));
        let end = received.iter().rposition(|event| *event == ("sounds".into(), 0.0));
        start > end && last(show, "meter") > 0.005
    });
    let outage = killed.elapsed();
    show.until("the other route", |show| {
        show.received().iter().filter(|(name, _)| name == "echo").count() == sent as usize
    });
    let received = show.received();
    let echoes = received.iter().filter(|(name, _)| name == "echo");
    let values: Vec<f64> = echoes.map(|(_, value)| *value).collect();
    let in_order = values.iter().enumerate().all(|(index, value)| {
        (value - f64::from((index as u32 + 1) % 1_000) / 1_000.0).abs() < 1e-9
    });
    assert!(in_order, "an event of another route was lost");
    println!(
        "killed scsynth (process {process}): noticed after {noticed:.0?}, the held note sounds \
         again after {outage:.0?}; {} values of another route, none lost; {:?}",
        values.len(),
        show.counters("sound")
    );
    assert_ne!(process_at(port), Some(process));
    // The new server has the values of the old one.
    let observer = client(port);
    let tree = observer.query_tree(0, true).expect("the tree").to_string();
    let has = |text: &str| assert!(tree.contains(text), "no {text} in\n{tree}");
    has("mix: 0.75");
    has(&format!("cutoff: {}", 200.0_f32 * 40.0_f32.sqrt()).as_str()[..12]);
    has("reverb");
    assert_eq!(last(&show, "read"), 0.5);
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0);
    observer.disconnect().expect("disconnected");
    show.finish();
}

#[test]
fn a_running_server_is_used_and_left_running() {
    let Some(jack) = Jack::start("sc: a running server") else { return };
    let options = jack.server_options();
    let address = format!("127.0.0.1:{}", options.port);
    let mut test = TestShow::new();
    let instance = [("server", address.as_str()), ("voice.pad", "default"), ("synth.r", "delay")];
    test.instance(&DESCRIPTOR, "sound", &instance);
    test.map("probe.key", "sound.pad.note60");
    test.map("sound.pad.note60", "probe.sounds");
    let mut show = test.start();
    show.until_state("sound", "waiting");
    show.send("key", 1.0);
    let server = Server::new(options.clone()).expect("a server");
    server.boot().expect("booted");
    show.until("the held note", |show| last(show, "sounds") == 1.0);
    assert_eq!(synths(&server), 2);
    // Another server replaces it on the same port.
    server.quit().expect("ended");
    show.until_state("sound", "waiting");
    server.boot().expect("booted");
    show.until_state("sound", "up");
    // A server that quits normally ends its notes first, so they are not restored.
    show.until("the effect", |_| synths(&server) == 1);
    show.send("key", 1.0);
    show.until("both synths", |_| synths(&server) == 2);
    show.finish();
    assert_eq!(synths(&server), 0, "nothing is left behind");
    server.quit().expect("ended");
}

#[test]
fn synths_send_triggers_replies_and_buses() {
    let Some(jack) = Jack::start("sc: triggers, replies, buses, buffers") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let clock = SynthDef::build("clock", |controls| {
        let rate = controls.control("rate", 20.0);
        let out = controls.scalar("bus", 0);
        let beat = Impulse::kr(rate).signal();
        SendTrig::kr(beat).id(7.0).value(rate).signal();
        SendReply::kr(beat, [rate, rate * 0.5]).command_name("/beat").signal();
        Out::kr(out, LFSaw::kr(3.0).signal());
    })
    .expect("a SynthDef");
    std::fs::write(folder.path().join("clock.scsyndef"), clock.compile()).expect("written");
    let path = folder.path().join("clock.scsyndef");
    let samples = write_wav(folder.path());
    let port = free_port();
    let mut test = TestShow::new();
    let options = [
        ("synthdef", path.to_str().expect("UTF-8")),
        ("synth.clock", "clock"),
        ("control.clock.bus", "bus saw"),
        ("control.clock.rate", "0 100 start 20"),
        ("bus.saw", "-1 1"),
        ("buffer.tone", samples.to_str().expect("UTF-8")),
        ("voice.tone", "sample"),
        ("control.tone.buffer", "buffer tone"),
        ("trigger.7", "0 40"),
        ("reply./beat", "0 40"),
        ("rate", "100"),
    ];
    add_booting_instance(&mut test, &jack, port, &options);
    for (source, target) in [
        ("sound.trigger.7", "probe.trigger"),
        ("sound.reply./beat", "probe.first"),
        ("sound.reply./beat:1", "probe.second"),
        ("sound.bus.saw", "probe.saw"),
        ("sound.meter", "probe.meter"),
        ("sound.clock.run", "probe.runs"),
        ("probe.rate", "sound.clock.rate"),
        ("probe.run", "sound.clock.run"),
        ("probe.play", "sound.tone.note60"),
        ("sound.tone.voices", "probe.voices"),
    ] {
        test.map(source, target);
    }
    let mut show = test.start();
    show.until("a beat", |show| {
        last(show, "trigger") == 0.5 && last(show, "first") == 0.5 && last(show, "second") == 0.25
    });
    show.send("rate", 0.4);
    show.until("a faster beat", |show| last(show, "trigger") == 1.0);
    show.until("a moving bus", |show| {
        show.received().iter().filter(|(name, _)| name == "saw").count() > 50
    });
    show.send("run", 0.0);
    show.until("the pause", |show| last(show, "runs") == 0.0);
    show.send("play", 1.0);
    show.until("the sample", |show| last(show, "meter") > 0.1);
    show.until("its end", |show| last(show, "voices") == 0.0);
    assert_eq!(show.counters("sound").errors, 0);
    show.finish();
}

/// A tenth of a second of a loud tone, as a WAV file.
fn write_wav(folder: &std::path::Path) -> std::path::PathBuf {
    let samples: Vec<u8> = (0..4_800_u32)
        .flat_map(|frame| {
            let phase = f64::from(frame) * 440.0 / 48_000.0 * std::f64::consts::TAU;
            ((phase.sin() * 30_000.0) as i16).to_le_bytes()
        })
        .collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(48_000_u32.to_le_bytes());
    bytes.extend(96_000_u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    let path = folder.join("tone.wav");
    std::fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_thousand_notes_a_second_leave_an_empty_tree() {
    let Some(jack) = Jack::start("sc: a thousand notes a second") else { return };
    for (protocol, synthdef) in [("udp", "default"), ("udp", "pad"), ("tcp", "pad")] {
        let port = free_port();
        let mut test = TestShow::new();
        let options = [
            ("voice.pad", synthdef),
            ("voice.pad.polyphony", "64"),
            ("protocol", protocol),
            ("memory", "131072"),
        ];
        add_booting_instance(&mut test, &jack, port, &options);
        for note in 0..128 {
            test.map(&format!("probe.{note}"), &format!("sound.pad.note{note}"));
        }
        test.map("sound.pad.voices", "probe.voices");
        let mut show = test.start();
        show.until_state("sound", "up");
        let started = Instant::now();
        for round in 0..500_u32 {
            // Two notes every 2 ms, each of which ends 60 ms later.
            for index in 0..2 {
                let note = (round * 2 + index) % 128;
                show.send(&note.to_string(), 0.5);
                show.send(&((note + 68) % 128).to_string(), 0.0);
            }
            let due = started + Duration::from_millis(u64::from(round + 1) * 2);
            while Instant::now() < due {
                show.router.step(Some(Duration::from_micros(500))).expect("a turn");
            }
        }
        for note in 0..128 {
            show.send(&note.to_string(), 0.0);
        }
        show.until("silence", |show| last(show, "voices") == 0.0);
        let counters = show.counters("sound");
        println!("1,000 notes of `{synthdef}` over {protocol}: {counters:?}");
        assert_eq!((counters.dropped, counters.errors), (0, 0));
        if protocol == "udp" {
            let observer = client(port);
            show.until("an empty tree", |_| synths(&observer) == 0);
            observer.disconnect().expect("disconnected");
        }
        show.finish();
    }
}

/// Waits until the server's tree has a property.
fn until_tree(
    show: &mut Performance,
    server: &Server,
    what: &str,
    is_right: impl Fn(&str) -> bool,
) -> String {
    let mut tree = String::new();
    show.until(what, |_| {
        tree = server.query_tree(0, true).map(|tree| tree.to_string()).unwrap_or_default();
        is_right(&tree)
    });
    tree
}

/// Whether the parts follow each other in a text.
fn has_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.find(part) {
        Some(index) => {
            rest = &rest[index + part.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn a_reload_changes_a_sounding_server_without_a_gap() {
    let Some(jack) = Jack::start("sc: a reload without a gap") else { return };
    for program in ["scsynth", "supernova"] {
        if find_executable(Some(program.as_ref())).is_err() {
            println!("SKIPPED: sc: a reload without a gap: no {program}");
            continue;
        }
        reload_while_sounding(&jack, program);
    }
}

fn reload_while_sounding(jack: &Jack, program: &str) {
    let port = free_port();
    let build = |options: &[(&str, &str)], mappings: &[(&str, &str)]| {
        let mut test = TestShow::new();
        let all = [&[("program", program), ("rate", "100")], options].concat();
        add_booting_instance(&mut test, jack, port, &all);
        let usual = [
            ("probe.key", "sound.pad.note60"),
            ("sound.pad.note60", "probe.sounds"),
            ("sound.meter", "probe.meter"),
        ];
        for (source, target) in usual.iter().chain(mappings) {
            test.map(source, target);
        }
        test
    };
    let first = [
        ("voice.pad", "pad"),
        ("voice.kick", "kick"),
        ("control.pad.cutoff", "0 1000"),
        ("synth.one", "reverb"),
        ("synth.two", "delay"),
        ("bus.lfo", "0 1"),
    ];
    let mappings = [("probe.cutoff", "sound.pad.cutoff"), ("probe.other", "sound.pad.note72")];
    let mut show = build(&first, &mappings).start();
    show.until_state("sound", "up");
    let process = process_at(port).expect("a process");
    let observer = client(port);
    show.send_all(&[("cutoff", 0.5), ("key", 1.0), ("other", 1.0)]);
    show.until("sound", |show| last(show, "sounds") == 1.0 && last(show, "meter") > 0.005);
    until_tree(&mut show, &observer, "the synths", |tree| {
        has_in_order(tree, &["pad", "cutoff: 500.0", "pad", "reverb", "delay"])
    });

    // Ranges, settings and the order change; a synth is replaced and another one added.
    let second = [
        ("voice.low", "server:kick"),
        ("voice.pad", "pad"),
        ("voice.pad.polyphony", "1"),
        ("control.pad.cutoff", "0 4000"),
        ("control.pad.spread", "map lfo"),
        ("synth.two", "reverb"),
        ("synth.third", "server:delay"),
        ("control.third.mix", "0.125"),
        ("synth.one", "reverb"),
        ("bus.lfo", "0 1"),
    ];
    let mappings = [("probe.cutoff", "sound.pad.cutoff"), ("probe.low", "sound.low.note36")];
    let before = show.received().len();
    assert_eq!(show.adopt(build(&second, &mappings)).adopted, ["probe", "sound"]);
    let tree = until_tree(&mut show, &observer, "the new state", |tree| {
        tree.matches("pad").count() == 1 && tree.contains("cutoff: 2000.0")
    });
    let is_in_order =
        has_in_order(&tree, &["cutoff: 2000.0", "reverb", "delay", "mix: 0.125", "reverb"]);
    assert!(is_in_order, "{program}: {tree}");
    assert!(tree.contains("spread: c"), "{program}: it follows the bus: {tree}");
    // The note of the channel that stays sounds all the time.
    show.send("low", 1.0);
    let until = Instant::now() + Duration::from_millis(300);
    show.until("some meter values", |_| Instant::now() > until);
    let received = show.received();
    let meters: Vec<f64> = received[before..]
        .iter()
        .filter(|(name, _)| name == "meter")
        .map(|(_, value)| *value)
        .collect();
    assert!(!meters.is_empty() && meters.iter().all(|value| *value > 0.001), "{meters:?}");
    assert!(!received[before..].contains(&("sounds".into(), 0.0)), "{program}");

    // The control does not follow the bus any more.
    let third = [("voice.pad", "pad"), ("control.pad.spread", "0.25"), ("bus.lfo", "0 1")];
    assert_eq!(show.adopt(build(&third, &[])).adopted, ["probe", "sound"]);
    until_tree(&mut show, &observer, "the third state", |tree| {
        tree.contains("spread: 0.25") && !tree.contains("reverb") && !tree.contains("delay")
    });
    assert_eq!(process_at(port), Some(process));
    assert_eq!(show.counters("sound").errors, 0, "{program}");
    show.send("key", 0.0);
    show.until("the end", |show| last(show, "sounds") == 0.0);
    assert_eq!(synths(&observer), 0);
    observer.disconnect().expect("disconnected");

    // A SynthDef that is not loaded: when the old server has ended, another is started.
    let fourth = [("voice.pad", "default")];
    assert_eq!(show.adopt(build(&fourth, &[("probe.a", "probe.b")])).restarted, ["sound"]);
    show.send("a", 0.5);
    show.until("another route", |show| last(show, "b") == 0.5);
    show.until_state("sound", "up");
    show.send("key", 1.0);
    show.until("sound again", |show| last(show, "sounds") == 1.0);
    assert_ne!(process_at(port), Some(process));
    show.finish();
    assert_eq!(process_at(port), None, "{program}: no server is left behind");
}

#[test]
fn a_restarted_instance_leaves_nothing_on_a_running_server() {
    let Some(jack) = Jack::start("sc: a restarted instance") else { return };
    let options = jack.server_options();
    let address = format!("127.0.0.1:{}", options.port);
    let server = Server::new(options).expect("a server");
    server.boot().expect("booted");
    let build = |definition: &str| {
        let mut test = TestShow::new();
        let options =
            [("server", address.as_str()), ("voice.pad", definition), ("synth.r", "delay")];
        test.instance(&DESCRIPTOR, "sound", &options);
        test.map("probe.key", "sound.pad.note60");
        test.map("sound.pad.note60", "probe.sounds");
        test
    };
    let mut show = build("default").start();
    show.until_state("sound", "up");
    show.send("key", 1.0);
    show.until("the note", |show| last(show, "sounds") == 1.0);
    assert_eq!(synths(&server), 2);
    assert_eq!(show.adopt(build("pad")).restarted, ["sound"]);
    show.until_state("sound", "up");
    show.until("the new effect alone", |_| synths(&server) == 1);
    let tree = server.query_tree(0, false).expect("the tree").to_string();
    assert_eq!(tree.matches("consort:master").count(), 1, "{tree}");
    show.finish();
    assert_eq!(synths(&server), 0);
    server.quit().expect("ended");
}

/// A SynthDef file whose plugin is missing, large enough for several datagrams if `count` is.
fn file_without_plugin(folder: &std::path::Path, name: &str, count: u32) -> String {
    let synthdef = SynthDef::build(name, |controls| {
        let gate = controls.control("gate", 1.0);
        EnvGen::kr(Envelope::adsr(0.1, 0.1, 0.5, 0.1))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        for number in 0..count {
            Out::ar(0, SinOsc::ar(f64::from(number) + 0.5));
        }
        Out::ar(0, RawUGen::new("NoSuchUGen", Rate::Audio).input(440.0));
    });
    let path = folder.join(name).with_extension("scsyndef");
    std::fs::write(&path, synthdef.expect("a SynthDef").file().bytes()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_refused_synthdef_degrades_the_instance_and_the_others_sound() {
    let Some(jack) = Jack::start("sc: a refused SynthDef") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let odd = file_without_plugin(folder.path(), "odd", 1);
    let large = file_without_plugin(folder.path(), "large", 2_000);
    let port = free_port();
    let mut test = TestShow::new();
    let options = [
        ("synthdef", odd.as_str()),
        ("synthdef", large.as_str()),
        ("voice.v", "odd"),
        ("voice.pad", "default"),
        ("synth.drone", "large"),
        ("rate", "100"),
    ];
    add_booting_instance(&mut test, &jack, port, &options);
    test.map("probe.odd", "sound.v.note60");
    test.map("probe.key", "sound.pad.note60");
    test.map("sound.meter", "probe.meter");
    let mut show = test.start();
    show.until_state("sound", "degraded");
    let state = show.state("sound");
    let reason = state.reason().expect("a reason");
    println!("degraded: {reason}");
    assert!(
        reason.starts_with(
            "the voice `v` is silent: the server refused the SynthDef `odd`: the server has no UGen \
             `NoSuchUGen`"
        ),
        "{reason}"
    );
    assert!(reason.ends_with("and 1 more"), "{reason}");
    // The drone could not start either.
    show.until("the errors", |show| show.counters("sound").errors >= 3);
    show.send("key", 1.0);
    show.until("sound", |show| last(show, "meter") > 0.005);
    let errors = show.counters("sound").errors;
    show.send("odd", 1.0);
    show.until("the error of the note", |show| show.counters("sound").errors > errors);
    assert_eq!(show.state("sound").word(), "degraded");
    show.finish();
    assert_eq!(process_at(port), None);
}

#[test]
fn a_large_synthdef_sounds_on_an_own_and_on_a_running_server() {
    let Some(jack) = Jack::start("sc: a large SynthDef") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let synthdef = SynthDef::build("large", |controls| {
        let gate = controls.control("gate", 1.0);
        let swell = EnvGen::kr(Envelope::adsr(0.01, 0.1, 0.5, 0.1))
            .gate(gate)
            .done_action(DoneAction::FreeSynth)
            .signal();
        for number in 0..2_000 {
            Out::ar(0, SinOsc::ar(f64::from(number) + 100.5) * swell * 0.01);
        }
    });
    let path = folder.path().join("large.scsyndef");
    let synthdef = synthdef.expect("a SynthDef");
    assert!(synthdef.file().bytes().len() > 100_000);
    std::fs::write(&path, synthdef.file().bytes()).expect("written");
    let path = path.to_str().expect("UTF-8");
    let play = |test: TestShow| {
        let mut show = test.start();
        show.until_state("sound", "up");
        show.send("key", 1.0);
        show.until("sound", |show| last(show, "meter") > 0.005);
        assert_eq!(show.counters("sound").errors, 0);
        show.finish();
    };
    let options = [("synthdef", path), ("voice.v", "large"), ("rate", "100")];
    let map = |test: &mut TestShow| {
        test.map("probe.key", "sound.v.note60");
        test.map("sound.meter", "probe.meter");
    };
    let mut test = TestShow::new();
    add_booting_instance(&mut test, &jack, free_port(), &options);
    map(&mut test);
    play(test);

    let server = Server::new(jack.server_options()).expect("a server");
    server.boot().expect("booted");
    let address = format!("127.0.0.1:{}", server.options().port);
    let mut test = TestShow::new();
    let all = [&[("server", address.as_str())], &options[..]].concat();
    test.instance(&DESCRIPTOR, "sound", &all);
    map(&mut test);
    play(test);
    server.quit().expect("ended");
}
