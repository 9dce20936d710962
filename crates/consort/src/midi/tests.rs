//! The sub-commands on the embedded engine.

mod recording;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::Parser;
use consort_seq::file::{Body, MidiFile, Recording};
use consort_seq::{
    Announcement, ClockKind, Event, HeldNotes, Port, PortCaps, PortOptions, RealTime,
};

use super::play::{Song, play_here};
use super::schedule::Settings;
use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
const ONCE: Settings = Settings { from: RealTime::ZERO, passes: Some(1), exclusive_rate: 3125 };

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: MidiCommand,
}

fn parse(arguments: &[&str]) -> MidiCommand {
    Cli::try_parse_from(["midi"].iter().chain(arguments)).expect("sound arguments").command
}

/// Runs a command on the process's own sequencer.
fn run_here(arguments: &[&str], stop: &Arc<AtomicBool>) -> (anyhow::Result<ExitCode>, String) {
    let mut out = Vec::new();
    let all: Vec<&str> = arguments.iter().copied().chain(["--engine", "embedded"]).collect();
    let result = run(&parse(&all), stop, &mut out);
    (result, String::from_utf8(out).expect("text"))
}

fn shared() -> Engine {
    Engine::Embedded(Embedded::process_wide())
}

fn port(client: &SequencerClient, name: &str, caps: PortCaps) -> Port {
    client.create_port(PortOptions::new(name).caps(caps)).expect("a port")
}

const SOURCE: PortCaps = PortCaps::READ.union(PortCaps::SUBS_READ);
const TARGET: PortCaps = PortCaps::WRITE.union(PortCaps::SUBS_WRITE);

/// The next event that is not about connections.
fn music(client: &SequencerClient, time: Duration) -> Option<Event> {
    loop {
        let event = client.event_input(Some(time)).expect("read")?;
        if Announcement::from_event(&event).is_none() {
            return Some(event);
        }
    }
}

fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a file of a length plays: numbers from a generator, the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn delta(bytes: &mut Vec<u8>, ticks: u64) {
    for group in (1..4).rev().filter(|group| ticks >> (7 * group) != 0) {
        bytes.push(0x80 | (ticks >> (7 * group)) as u8 & 0x7f);
    }
    bytes.push(ticks as u8 & 0x7f);
}

/// A file of format 1 whose tempo changes all the time: two tracks of notes, controllers,
/// bends and system exclusive messages.
fn long_file(minutes: u64) -> MidiFile {
    let mut chance = Chance(minutes);
    let mut conductor = Vec::new();
    let mut nanoseconds = 0;
    let mut quarters = 0;
    while nanoseconds < minutes * 60_000_000_000 {
        let tempo = 200_000 + chance.below(1_000_000);
        delta(&mut conductor, if quarters == 0 { 0 } else { 4 * 480 });
        conductor.extend([0xff, 0x51, 3]);
        conductor.extend(&(tempo as u32).to_be_bytes()[1..]);
        nanoseconds += 4 * tempo * 1000;
        quarters += 4;
    }
    let mut tracks = vec![conductor];
    for channel in 0..2u8 {
        let (mut track, mut left) = (Vec::new(), quarters * 480);
        loop {
            let ticks = chance.below(400);
            if ticks > left {
                break;
            }
            left -= ticks;
            delta(&mut track, ticks);
            let (one, two) = (chance.below(128) as u8, chance.below(128) as u8);
            match chance.below(20) {
                0 => track.extend([0xe0 | channel, one, two]),
                1..=3 => track.extend([0xb0 | channel, one % 120, two]),
                4 => track.extend([0xc0 | channel, one]),
                5 => track.extend([0xf0, 3, one, two, 0xf7]),
                6..=12 => track.extend([0x80 | channel, one, two]),
                _ => track.extend([0x90 | channel, one, two]),
            }
        }
        tracks.push(track);
    }
    let mut bytes = b"MThd\0\0\0\x06\0\x01\0\x03\x01\xe0".to_vec();
    for mut track in tracks {
        track.extend([0, 0xff, 0x2f, 0]);
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32).to_be_bytes());
        bytes.extend(track);
    }
    MidiFile::read(&bytes).expect("a sound file")
}

fn song(file: MidiFile) -> Song {
    Song { name: "song".to_owned(), file }
}

#[test]
fn an_hour_on_the_virtual_clock_is_exactly_the_file() {
    let file = long_file(60);
    let wanted: Vec<(RealTime, Event)> = file
        .events()
        .filter_map(|event| Some((file.time(event.tick), event.to_event()?)))
        .collect();
    assert!(wanted.len() > 20_000 && file.length() >= RealTime::new(3600, 0));
    assert!(file.tempo_map().changes().count() > 1000);
    let length = file.length().as_nanoseconds();
    let (stop, mut heard) = (AtomicBool::new(false), Vec::new());
    let ending = Ending::new(&stop, None).expect("no end");
    let engine = Embedded::new(ClockKind::Virtual);
    let played = play_here(&engine, &[song(file)], ONCE, &ending, |time, event| {
        heard.push((time, event.clone()));
        Ok(())
    })
    .expect("it is played");
    assert_eq!((played.released, played.time), (None, length));
    // What the file leaves on is released at its end; before that it is the file.
    let releases = heard.split_off(wanted.len());
    for (number, ((time, event), (due, expected))) in heard.iter().zip(&wanted).enumerate() {
        assert_eq!(time, due, "event {number}");
        assert_eq!(event.payload(), expected.payload(), "event {number}");
    }
    assert!(releases.iter().all(|(time, _)| time.as_nanoseconds() == length));
    let mut held = HeldNotes::new();
    heard.iter().chain(&releases).for_each(|(_, event)| held.track(event));
    assert!(held.is_empty(), "{held:?}");
    println!(
        "{} events of {} at exactly their times, and {} releases",
        heard.len(),
        clock(length),
        releases.len()
    );
}

#[test]
fn wherever_it_is_stopped_nothing_hangs() {
    let mut released = 0;
    for stopped_after in (0..400).step_by(7) {
        let stop = AtomicBool::new(stopped_after == 0);
        let ending = Ending::new(&stop, None).expect("no end");
        let (mut held, mut count) = (HeldNotes::new(), 0);
        let engine = Embedded::new(ClockKind::Virtual);
        let settings = Settings { passes: None, ..ONCE };
        let played = play_here(&engine, &[song(long_file(1))], settings, &ending, |_, event| {
            held.track(event);
            count += 1;
            if count == stopped_after {
                stop.store(true, Ordering::Relaxed);
            }
            Ok(())
        })
        .expect("it is played");
        released += played.released.expect("it was stopped");
        assert!(held.is_empty(), "after {stopped_after}: {held:?}");
        assert!(count >= stopped_after);
    }
    assert!(released > 100, "only {released} were ever down");
}

#[test]
fn what_has_not_left_the_program_counts_as_down() {
    let engine = Embedded::new(ClockKind::Virtual);
    let mut listener = listener::Listener::open("listener", &Engine::Embedded(engine.clone()))
        .expect("a listener");
    let input = listener.port("in").expect("a port");
    let client = open("player", &Engine::Embedded(engine.clone())).expect("a client");
    let port = send::source(&client).expect("a port");
    port.connect_to(&input).expect("connected");
    // More at once than the sequencer holds: the note's end waits in the client's buffer.
    let mut recording = Recording::new(480, 500_000, &[""]).expect("sound");
    let time = |milliseconds: u64| RealTime::from_nanoseconds(milliseconds * 1_000_000);
    recording.push(0, time(0), &Event::note_on(0, 60, 100).expect("sound"));
    for number in 0..600 {
        let turn = Event::control_change(0, 7, (number % 128) as u8).expect("sound");
        recording.push(0, time(400), &turn);
    }
    recording.push(0, time(450), &Event::note_off(0, 60, 64).expect("sound"));
    let file = recording.finish(time(2_000));
    let schedule = schedule::Schedule::new(vec![&file], ONCE);
    let mut player = player::Player::start(&client, &port, schedule).expect("it plays");
    assert_eq!(player.step().expect("a step"), player::Step::Full);
    assert!(client.event_output_pending() > 0);
    // The program is kept waiting, and is then stopped.
    engine.advance(Duration::from_secs(1));
    let mut held = HeldNotes::new();
    player.release().expect("released");
    let mut count = 0;
    listener
        .read(|_, heard| {
            let listener::Heard::Event(event) = heard else { panic!("events were lost") };
            held.track(event);
            count += 1;
            Ok(())
        })
        .expect("read");
    assert!(count > 400 && held.is_empty(), "{count} events, {held:?}");
}

#[test]
fn what_is_played_is_recorded() {
    let engine = Embedded::new(ClockKind::Virtual);
    let on_engine = Engine::Embedded(engine.clone());
    let client = open("player", &on_engine).expect("a client");
    let port = send::source(&client).expect("a port");
    let MidiCommand::Record(arguments) = parse(&["record", "unused.mid", "--from", "player"])
    else {
        panic!("not record");
    };
    let mut recorder = record::Recorder::open(&arguments, &on_engine).expect("it records");
    let file = long_file(2);
    let schedule = schedule::Schedule::new(vec![&file], ONCE);
    let mut player = player::Player::start(&client, &port, schedule).expect("it plays");
    loop {
        match player.step().expect("a step") {
            player::Step::Done => break,
            player::Step::Full => {
                engine.advance_to_next();
            }
            player::Step::Wait(time) => engine.advance(time.min(Duration::from_millis(50))),
        }
        recorder.read().expect("read");
    }
    let (recorded, losses, end) = recorder.finish();
    end.expect("it ends");
    assert_eq!((losses, recorded.format()), (0, 0));
    assert_eq!(recorded.name().as_deref(), Some("player:out"));
    let sent = |file: &MidiFile| -> Vec<(u64, Vec<u8>)> {
        let bytes = |body: Body<'_>| match body {
            Body::Message(bytes) | Body::Exclusive(bytes) => Some(bytes.to_vec()),
            Body::Meta(..) => None,
        };
        let all = file.events().filter_map(|event| Some((event.tick, bytes(event.body)?)));
        all.map(|(tick, bytes)| (file.time(tick).as_nanoseconds(), bytes)).collect()
    };
    let (wanted, found) = (sent(&file), sent(&recorded));
    assert!(found.len() >= wanted.len());
    for ((due, bytes), (time, recorded)) in wanted.iter().zip(&found) {
        assert_eq!(bytes, recorded);
        assert!(due.abs_diff(*time) <= 26_042, "{due} {time}: more than half a tick");
    }
    // Behind that come only the releases of what the file leaves on.
    assert!(found[wanted.len()..].iter().all(|(_, bytes)| bytes[0] & 0xf0 != 0x90));
}

#[test]
fn several_sources_that_vanish_and_return() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let keys = open("keys", &engine).expect("a client");
    let keys_out = port(&keys, "out", SOURCE);
    let pads = open("pads", &engine).expect("a client");
    let pads_out = port(&pads, "out", SOURCE);
    let arguments = parse(&["record", "unused.mid", "--from", "keys", "--from", "pads:out"]);
    let MidiCommand::Record(arguments) = arguments else { panic!("not record") };
    let mut recorder = record::Recorder::open(&arguments, &engine).expect("it records");
    let Engine::Embedded(embedded) = &engine else { panic!("not embedded") };
    let send = |client: &SequencerClient, port: &Port, note| {
        let event = Event::note_on(0, note, 100).expect("sound");
        client.event_output_direct(&event, port).expect("sent");
    };
    embedded.advance(Duration::from_secs(1));
    send(&keys, &keys_out, 60);
    send(&pads, &pads_out, 36);
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    drop((pads_out, pads));
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    // It comes back as another client.
    let other = open("somebody else", &engine).expect("a client");
    let pads = open("pads", &engine).expect("a client");
    let pads_out = port(&pads, "out", SOURCE);
    recorder.read().expect("read");
    send(&pads, &pads_out, 37);
    drop(other);
    let (file, losses, end) = recorder.finish();
    end.expect("it ends");
    assert_eq!((losses, file.format(), file.track_count()), (0, 1, 3));
    let found: Vec<(u32, u16, Vec<u8>)> = file
        .events()
        .filter_map(|event| match event.body {
            Body::Message(bytes) => {
                Some((file.time(event.tick).seconds(), event.track, bytes.to_vec()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (1, 1, vec![0x90, 60, 100]),
        (1, 2, vec![0x90, 36, 100]),
        (2, 2, vec![0x80, 36, 64]),
        (3, 2, vec![0x90, 37, 100]),
        (3, 1, vec![0x80, 60, 64]),
        (3, 2, vec![0x80, 37, 64]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_recording_with_losses_hangs_no_notes_and_goes_on() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let arguments = parse(&["record", "unused.mid", "--from", "keys"]);
    let MidiCommand::Record(arguments) = arguments else { panic!("not record") };
    let mut recorder = record::Recorder::open(&arguments, &engine).expect("it records");
    let on = |note| Event::note_on(0, note, 100).expect("sound");
    embedded.advance(Duration::from_secs(1));
    keys.event_output_direct(&on(60), &out).expect("sent");
    recorder.read().expect("read");

    // Nobody reads for a while, and what is one too many is lost.
    embedded.advance(Duration::from_secs(1));
    let turn = Event::control_change(0, 7, 64).expect("sound");
    let limit = 2 * listener::POOL;
    let room = |_: &u32| keys.try_event_output_direct(&turn, &out).expect("no error").is_some();
    assert!((0..limit).take_while(room).count() < limit as usize, "it takes any number");
    recorder.read().expect("losses do not end a recording");

    embedded.advance(Duration::from_secs(1));
    keys.event_output_direct(&on(61), &out).expect("sent");
    embedded.advance(Duration::from_secs(1));
    let (file, losses, end) = recorder.finish();
    end.expect("it ends");
    assert_eq!(losses, 1);
    let notes: Vec<(u32, Vec<u8>)> = file
        .events()
        .filter_map(|event| match event.body {
            Body::Message(bytes) if bytes[0] < 0xa0 => {
                Some((file.time(event.tick).seconds(), bytes.to_vec()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        (1, vec![0x90, 60, 100]),
        (2, vec![0x80, 60, 64]),
        (3, vec![0x90, 61, 100]),
        (4, vec![0x80, 61, 64]),
    ];
    assert_eq!(notes, expected);
}

#[test]
fn the_monitor_follows_what_comes_and_goes() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let MidiCommand::Monitor(arguments) = parse(&["monitor"]) else { panic!("not monitor") };
    let mut monitor = monitor::Monitor::open(&arguments, &engine).expect("it opens");
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let mut text = Vec::new();
    monitor.print(&mut text).expect("printed");
    keys.event_output_direct(&Event::note_on(3, 60, 100).expect("sound"), &out).expect("sent");
    monitor.print(&mut text).expect("printed");
    let address = out.address();
    drop((out, keys));
    monitor.print(&mut text).expect("printed");
    let text = String::from_utf8(text).expect("text");
    assert_eq!(
        text,
        format!(
            "-- {address} 'keys:out' has come\n    0.000000  {address}   keys:out                  \
             ch3  note-on 60 100        C4\n-- {address} 'keys:out' has gone\n"
        )
    );
}

/// The process's own sequencer is one for all tests of this file that use it.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn ports_are_listed_connected_and_disconnected() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stop = Arc::new(AtomicBool::new(false));
    let client = open("rack", &shared()).expect("a client");
    let (out, input) = (port(&client, "out", SOURCE), port(&client, "in", TARGET));
    let run = |arguments: &[&str]| run_here(arguments, &stop);
    let (result, text) = run(&["ports"]);
    result.expect("listed");
    assert!(text.starts_with("ADDRESS  CLIENT        PORT                 USE"), "{text}");
    let row = format!(
        "\n{:<7}  rack          out                  source  software\n",
        out.address().to_string()
    );
    assert!(text.contains(&row), "{text}");

    let (result, text) = run(&["connect", "rack:out", "rack:in"]);
    result.expect("connected");
    let (from, to) = (out.address(), input.address());
    assert_eq!(text, format!("{from} 'rack:out' -> {to} 'rack:in'\n"));
    let (result, text) = run(&["connect", "rack", &to.to_string()]);
    result.expect("connected");
    assert!(text.contains("are connected already"), "{text}");
    let (_, text) = run(&["ports", "--json"]);
    let ports: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let of = |address: String| {
        let mut all = ports.as_array().expect("a list").iter();
        all.find(|port| port["address"] == *address).expect("it is listed").clone()
    };
    assert_eq!(of(from.to_string())["connected_to"][0], to.to_string());
    assert_eq!(of(to.to_string())["target"], true);

    let (result, text) = run(&["disconnect", "rack", "rack"]);
    result.expect("disconnected");
    assert!(text.contains("no longer ->"), "{text}");
    let error = run(&["disconnect", "rack", "rack"]).0.expect_err("it is not connected");
    assert!(error.to_string().ends_with("it is connected to nothing"), "{error}");
    let error = run(&["connect", "rake", "rack"]).0.expect_err("no such port");
    assert!(error.to_string().contains("did you mean `rack`?"), "{error}");
    let error = run(&["connect", "rack:in", "rack"]).0.expect_err("not a source");
    assert!(error.to_string().contains("it can only be sent to"), "{error}");
}

#[test]
fn events_are_sent_and_taken_back_when_stopped() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let stop = Arc::new(AtomicBool::new(false));
    let client = open("synth", &shared()).expect("a client");
    let _input = port(&client, "in", TARGET);
    let heard = || {
        let mut events = Vec::new();
        while let Some(event) = music(&client, Duration::ZERO) {
            events.push(words::words(&event));
        }
        events
    };
    let (result, _) =
        run_here(&["send", "synth", "-c", "3", "pitch", "-5", "cc", "7", "64"], &stop);
    result.expect("sent");
    assert_eq!(heard(), ["pitch -5", "cc 7 64"]);
    stop.store(true, Ordering::Relaxed);
    let arguments = ["send", "synth", "note-on", "C4", "99", "wait", "3600", "note-off", "C4"];
    run_here(&arguments, &stop).0.expect("stopped");
    assert_eq!(heard(), ["note-on 60 99", "note-off 60 64"]);
    let error = run_here(&["send", "sinth", "tune"], &stop).0.expect_err("no such port");
    assert!(error.to_string().contains("did you mean `synth"), "{error}");
}

#[test]
fn the_watcher_names_what_comes_and_goes() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let mut out = Vec::new();
    let mut watcher = watch::Watcher::open(&engine, &mut out).expect("it opens");
    let client = open("keys", &engine).expect("a client");
    let (from, to) = (port(&client, "out", SOURCE), port(&client, "in", TARGET));
    let mut catch_up =
        || while watcher.next(Duration::ZERO, &mut out).expect("an announcement or none") {};
    catch_up();
    from.connect_to(&to).expect("connected");
    from.disconnect_to(&to).expect("disconnected");
    let number = client.client_id();
    drop((from, to, client));
    catch_up();
    let text = String::from_utf8(out).expect("text");
    for line in [
        "  14:0    Midi Through:Midi Through Port-0\n",
        &format!("+ {number:<7} (client)\n"),
        &format!("+ {number}:0   keys:out\n"),
        &format!("  {number}:0 'keys:out' -> {number}:1 'keys:in'\n"),
        &format!("  {number}:0 'keys:out' no longer -> {number}:1 'keys:in'\n"),
        &format!("- {number}:1   keys:in\n"),
        &format!("- {number:<7} (client)\n"),
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

fn write_song(folder: &Path, seconds: u32) -> PathBuf {
    let mut recording = Recording::new(480, 500_000, &["lament"]).expect("sound");
    for second in 0..seconds {
        let on = Event::note_on(0, 60, 100).expect("sound");
        recording.push(0, RealTime::new(second, 0), &on);
    }
    let path = folder.join("song.mid");
    let file = recording.finish(RealTime::new(seconds, 0));
    std::fs::write(&path, file.to_bytes().expect("short")).expect("written");
    path
}

#[test]
fn a_receiver_that_vanishes_is_named() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_song(folder.path(), 600);
    let receiver = open("fragile", &shared()).expect("a client");
    let input = port(&receiver, "in", TARGET);
    let address = input.address();
    let player = std::thread::spawn(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let file = path.to_str().expect("text").to_owned();
        run_here(&["play", &file, "--to", "fragile"], &stop)
    });
    let first = music(&receiver, DEADLINE).expect("an event");
    assert_eq!(words::words(&first), "note-on 60 100");
    drop((input, receiver));
    let (result, out) = player.join().expect("it ends");
    let error = result.expect_err("nobody is there").to_string();
    assert_eq!(error, format!("{address} 'fragile:in' has gone, and nobody is left to play to"));
    let name = folder.path().join("song.mid");
    let summary = format!("{} “lament”: 10:00, 1 track, 601 events", name.display());
    assert!(out.starts_with(&summary), "{out}");
}

#[test]
fn a_player_that_is_stopped_releases_what_sounds() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_song(folder.path(), 600);
    let receiver = open("listener", &shared()).expect("a client");
    let _input = port(&receiver, "in", TARGET);
    let stop = Arc::new(AtomicBool::new(false));
    let stopper = Arc::clone(&stop);
    let player = std::thread::spawn(move || {
        let file = path.to_str().expect("text").to_owned();
        run_here(&["play", &file, "--to", "listener", "--loop"], &stopper)
    });
    let mut held = HeldNotes::new();
    held.track(&music(&receiver, DEADLINE).expect("an event"));
    assert!(!held.is_empty());
    stop.store(true, Ordering::Relaxed);
    let (result, out) = player.join().expect("it ends");
    assert_eq!(format!("{:?}", result.expect("stopped")), format!("{:?}", ExitCode::from(130)));
    assert!(out.contains("stopped at 0:00 after ") && out.contains("; 1 released"), "{out}");
    until(|| {
        let event = receiver.event_input(Some(Duration::ZERO)).expect("read");
        event.iter().for_each(|event| held.track(event));
        held.is_empty()
    });
}

#[test]
fn recordings_are_written_beside_and_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let target = record::Target::new(&path, false).expect("it is free");
    let file = long_file(1);
    target.write(&file).expect("written");
    assert_eq!(MidiFile::read(&std::fs::read(&path).expect("a file")).expect("sound"), file);
    let error = record::Target::new(&path, false).map(drop).expect_err("it is there");
    assert!(error.to_string().ends_with("exists already; --force replaces it"), "{error}");
    // Somebody else has made it meanwhile: nothing is lost, nothing replaced.
    let error = target.write(&file).expect_err("it is there").to_string();
    let (_, kept) = error.rsplit_once(' ').expect("a path");
    assert!(MidiFile::read(&std::fs::read(kept).expect("kept")).is_ok(), "{error}");
    record::Target::new(&path, true).and_then(|target| target.write(&file)).expect("replaced");
    let missing = folder.path().join("no/such/take.mid");
    let error = record::Target::new(&missing, false).map(drop).expect_err("no folder");
    assert!(error.to_string().starts_with("cannot write to the folder"), "{error}");
    assert!(record::Target::new(folder.path(), true).is_err());
    // What was recorded cannot be recorded again: it is kept elsewhere.
    let lost = folder.path().join("stick");
    std::fs::create_dir(&lost).expect("a folder");
    let target = record::Target::new(&lost.join("take.mid"), false).expect("it is free");
    std::fs::remove_dir(&lost).expect("unplugged");
    let error = format!("{:#}", target.write(&file).expect_err("it is gone"));
    let (_, behind) = error.split_once("the recording is in ").expect("where it is");
    let kept = behind.split(": ").next().expect("a path");
    assert_eq!(MidiFile::read(&std::fs::read(kept).expect(kept)).expect("sound"), file);
    std::fs::remove_file(kept).expect("removed");
}

#[test]
fn times_for_people() {
    assert_eq!(clock(3_723_999_999_999), "1:02:03");
    assert_eq!(clock(205_000_000_000), "3:25");
    for (text, milliseconds) in [("90", 90_000), ("1:30.5", 90_500), ("1:02:03", 3_723_000)] {
        assert_eq!(read_clock(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "x", "1:x", ":", "1:2:3:4", "-1", "1e400"] {
        assert!(read_clock(text).is_err(), "{text}");
    }
    let groups = "root:x:0:\naudio:x:29:one,two\n";
    assert_eq!(group_name(groups, 29).as_deref(), Some("audio"));
    assert_eq!(group_name(groups, 30), None);
}

#[test]
fn the_commands_of_the_page_are_sound() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/midi-command.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut count = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("consort midi ")) {
        // Quotes stand around whole words.
        let mut words = Vec::new();
        for (number, part) in line.split('"').enumerate() {
            match number % 2 {
                0 => words.extend(part.split_whitespace()),
                _ => words.push(part),
            }
        }
        let command = Cli::try_parse_from(["midi"].iter().chain(&words));
        let command = command.unwrap_or_else(|error| panic!("{line}: {error}")).command;
        if let MidiCommand::Send(arguments) = command {
            arguments.steps().unwrap_or_else(|error| panic!("{line}: {error:#}"));
        }
        count += 1;
    }
    assert!(count >= 15, "only {count} were found");
}
