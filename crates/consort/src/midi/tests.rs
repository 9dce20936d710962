//! The subcommands on the embedded engine.

mod recording;

use std::path::{Path, PathBuf};

use clap::Parser;
use consort_seq::file::{Body, MidiFile, Recording};
use consort_seq::{
    Announcement, ClockKind, Event, HeldNotes, Port, PortCaps, PortOptions, RealTime,
};
use parking_lot::Mutex;

use super::play::play_here;
use super::schedule::Settings;
use super::songs::Song;
use super::*;
use crate::errors::printed;

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
const ONCE: Settings = Settings::ONCE;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: MidiCommand,
}

fn parse(arguments: &[&str]) -> MidiCommand {
    Cli::try_parse_from(["midi"].iter().chain(arguments)).expect("valid arguments").command
}

/// Runs a command on the embedded sequencer that all tests of this process share.
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

/// The next event that is not an announcement of a connection.
fn music(client: &SequencerClient, time: Duration) -> Option<Event> {
    loop {
        let event = client.event_input(Some(time)).expect("read")?;
        if Announcement::from_event(&event).is_none() {
            return Some(event);
        }
    }
}

/// Waits for a condition.
fn wait_until(mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !is_true() {
        assert!(Instant::now() < deadline, "not within {WAIT_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A generator of pseudo-random numbers, the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Appends a delta time as a variable-length quantity.
fn delta(bytes: &mut Vec<u8>, ticks: u64) {
    for group in (1..4).rev().filter(|group| ticks >> (7 * group) != 0) {
        bytes.push(0x80 | (ticks >> (7 * group)) as u8 & 0x7f);
    }
    bytes.push(ticks as u8 & 0x7f);
}

/// A file of format 1 whose tempo changes with every bar: two tracks of notes, controllers,
/// pitch bends and system exclusive messages.
fn long_file(minutes: u64) -> MidiFile {
    let mut random = Random(minutes);
    let mut conductor = Vec::new();
    let mut nanoseconds = 0;
    let mut quarters = 0;
    while nanoseconds < minutes * 60_000_000_000 {
        let tempo = 200_000 + random.below(1_000_000);
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
            let ticks = random.below(400);
            if ticks > left {
                break;
            }
            left -= ticks;
            delta(&mut track, ticks);
            let (one, two) = (random.below(128) as u8, random.below(128) as u8);
            match random.below(20) {
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
    MidiFile::read(&bytes).expect("a valid file")
}

fn song(file: MidiFile) -> Song {
    Song { name: "song".to_owned(), file }
}

#[test]
fn an_hour_on_the_virtual_clock_plays_exactly_the_file() {
    let file = long_file(60);
    let wanted: Vec<(RealTime, Event)> = file
        .events()
        .filter_map(|event| Some((file.time(event.tick), event.to_event()?)))
        .collect();
    assert!(wanted.len() > 20_000 && file.length() >= RealTime::new(3600, 0));
    assert!(file.tempo_map().changes().count() > 1000);
    let length = file.length().as_nanoseconds();
    let (stop, mut received) = (AtomicBool::new(false), Vec::new());
    let ending = Ending::new(&stop, None).expect("no end");
    let engine = Embedded::new(ClockKind::Virtual);
    let played =
        play_here(&engine, &[song(file)], ONCE, &ending, &mut keys::Keys::none(), |time, event| {
            received.push((time, event.clone()));
            Ok(())
        })
        .expect("played");
    assert_eq!((played.released, played.time), (None, length));
    // Before its end, the playback is the file; at its end, held notes are released.
    let releases = received.split_off(wanted.len());
    for (number, ((time, event), (due, expected))) in received.iter().zip(&wanted).enumerate() {
        assert_eq!(time, due, "event {number}");
        assert_eq!(event.payload(), expected.payload(), "event {number}");
    }
    assert!(releases.iter().all(|(time, _)| time.as_nanoseconds() == length));
    let mut held = HeldNotes::new();
    received.iter().chain(&releases).for_each(|(_, event)| held.track(event));
    assert!(held.is_empty(), "{held:?}");
    println!(
        "{} events of {} at exactly their times, and {} releases",
        received.len(),
        clock(length),
        releases.len()
    );
}

#[test]
fn no_note_hangs_wherever_playing_is_stopped() {
    let mut released = 0;
    for stopped_after in (0..400).step_by(7) {
        let stop = AtomicBool::new(stopped_after == 0);
        let ending = Ending::new(&stop, None).expect("no end");
        let (mut held, mut count) = (HeldNotes::new(), 0);
        let engine = Embedded::new(ClockKind::Virtual);
        let settings = Settings { passes: None, ..ONCE };
        let played = play_here(
            &engine,
            &[song(long_file(1))],
            settings,
            &ending,
            &mut keys::Keys::none(),
            |_, event| {
                held.track(event);
                count += 1;
                if count == stopped_after {
                    stop.store(true, Ordering::Relaxed);
                }
                Ok(())
            },
        )
        .expect("played");
        released += played.released.expect("it was stopped");
        assert!(held.is_empty(), "after {stopped_after}: {held:?}");
        assert!(count >= stopped_after);
    }
    assert!(released > 100, "only {released} events released notes");
}

#[test]
fn events_still_in_the_client_buffer_count_as_held() {
    let engine = Embedded::new(ClockKind::Virtual);
    let mut listener = listener::Listener::open("listener", &Engine::Embedded(engine.clone()))
        .expect("a listener");
    let input = listener.port("in").expect("a port");
    let client = open("player", &Engine::Embedded(engine.clone())).expect("a client");
    let port = send::source(&client).expect("a port");
    port.connect_to(&input).expect("connected");
    // More events at once than the pool holds: the note-off stays in the client's buffer.
    let mut recording = Recording::new(480, 500_000, &[""]).expect("valid");
    let time = |milliseconds: u64| RealTime::from_nanoseconds(milliseconds * 1_000_000);
    recording.push(0, time(0), &Event::note_on(0, 60, 100).expect("valid"));
    for number in 0..600 {
        let control = Event::control_change(0, 7, (number % 128) as u8).expect("valid");
        recording.push(0, time(400), &control);
    }
    recording.push(0, time(450), &Event::note_off(0, 60, 64).expect("valid"));
    let file = recording.finish(time(2_000));
    let schedule = schedule::Schedule::new(vec![&file], ONCE);
    let mut player = player::Player::start(&client, outlets(&port), schedule).expect("a player");
    assert_eq!(player.step().expect("a step"), player::Step::Full);
    assert!(client.event_output_pending() > 0);
    // The program is delayed, and then stopped.
    engine.advance(Duration::from_secs(1));
    let mut held = HeldNotes::new();
    player.release().expect("released");
    let mut count = 0;
    listener
        .read(|_, received| {
            let listener::Received::Event(event) = received else { panic!("events were lost") };
            held.track(event);
            count += 1;
            Ok(())
        })
        .expect("read");
    assert!(count > 400 && held.is_empty(), "{count} events, {held:?}");
}

#[test]
fn keys_play_another_file_and_leave_no_note_on() {
    let engine = Embedded::new(ClockKind::Virtual);
    let mut listener = listener::Listener::open("listener", &Engine::Embedded(engine.clone()))
        .expect("a listener");
    let input = listener.port("in").expect("a port");
    let client = open("player", &Engine::Embedded(engine.clone())).expect("a client");
    let port = send::source(&client).expect("a port");
    port.connect_to(&input).expect("connected");
    // Three files of ten seconds with one note each.
    let file = |note: u8| {
        let mut recording = Recording::new(480, 500_000, &[""]).expect("valid");
        recording.push(0, RealTime::ZERO, &Event::note_on(0, note, 100).expect("valid"));
        recording.finish(RealTime::new(10, 0))
    };
    let files = [file(60), file(61), file(62)];
    let settings = Settings { passes: Some(2), ..ONCE };
    let schedule = schedule::Schedule::new(files.iter().collect(), settings);
    let mut player = player::Player::start(&client, outlets(&port), schedule).expect("a player");
    let (mut held, mut started) = (HeldNotes::new(), Vec::new());
    let mut after = |player: &mut player::Player<'_>, seconds: u64| {
        let mut last = player.step().expect("a step");
        for _ in 0..seconds * 4 {
            engine.advance(Duration::from_millis(250));
            last = player.step().expect("a step");
            listener
                .read(|_, received| {
                    let listener::Received::Event(event) = received else { panic!("lost") };
                    held.track(event);
                    if let consort_seq::Payload::NoteOn(key) = event.payload() {
                        started.push(key.note);
                    }
                    Ok(())
                })
                .expect("read");
        }
        (last, held.clone(), std::mem::take(&mut started))
    };
    use schedule::Skip::{Again, Next, Previous};
    assert_eq!(after(&mut player, 3).2, [60]);
    player.skip(Next).expect("skipped");
    assert_eq!(after(&mut player, 3).2, [61]);
    player.skip(Again).expect("skipped");
    assert_eq!(after(&mut player, 3).2, [61]);
    player.skip(Previous).expect("skipped");
    // Within the last second of a file, the next one is scheduled, and "again" is still this one.
    assert_eq!(after(&mut player, 9).2, [60]);
    let time = player.time().expect("the time");
    assert!(player.position(time).is_some_and(|(file, _)| file == 0));
    player.skip(Again).expect("skipped");
    // It goes on by itself.
    assert_eq!(after(&mut player, 12).2, [60, 61]);
    player.skip(Next).expect("skipped");
    player.skip(Next).expect("skipped");
    // The second pass.
    assert_eq!(after(&mut player, 1).2, [60]);
    player.skip(Next).expect("skipped");
    player.skip(Next).expect("skipped");
    assert_eq!(after(&mut player, 1).2, [62]);
    player.skip(Next).expect("skipped");
    let (step, held, started) = after(&mut player, 1);
    assert_eq!((step, started), (player::Step::Done, Vec::new()));
    assert!(held.is_empty(), "{held:?}");
}

#[test]
fn a_recording_contains_what_was_played() {
    let engine = Embedded::new(ClockKind::Virtual);
    let on_engine = Engine::Embedded(engine.clone());
    let client = open("player", &on_engine).expect("a client");
    let port = send::source(&client).expect("a port");
    let MidiCommand::Record(arguments) = parse(&["record", "unused.mid", "--from", "player"])
    else {
        panic!("not record");
    };
    let mut recorder = record::Recorder::open(&arguments, None, &on_engine).expect("a recorder");
    let file = long_file(2);
    let schedule = schedule::Schedule::new(vec![&file], ONCE);
    let mut player = player::Player::start(&client, outlets(&port), schedule).expect("a player");
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
    end.expect("it ended");
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
    // After that come only releases of notes that the file leaves on.
    assert!(found[wanted.len()..].iter().all(|(_, bytes)| bytes[0] & 0xf0 != 0x90));
}

#[test]
fn sources_that_disappear_and_return_are_recorded_on_their_tracks() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let keys = open("keys", &engine).expect("a client");
    let keys_out = port(&keys, "out", SOURCE);
    let pads = open("pads", &engine).expect("a client");
    let pads_out = port(&pads, "out", SOURCE);
    let arguments = parse(&["record", "unused.mid", "--from", "keys", "--from", "pads:out"]);
    let MidiCommand::Record(arguments) = arguments else { panic!("not record") };
    let mut recorder = record::Recorder::open(&arguments, None, &engine).expect("a recorder");
    let Engine::Embedded(embedded) = &engine else { panic!("not embedded") };
    let send = |client: &SequencerClient, port: &Port, note| {
        let event = Event::note_on(0, note, 100).expect("valid");
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
    // The device returns with another client number.
    let other = open("another program", &engine).expect("a client");
    let pads = open("pads", &engine).expect("a client");
    let pads_out = port(&pads, "out", SOURCE);
    recorder.read().expect("read");
    send(&pads, &pads_out, 37);
    drop(other);
    let (file, losses, end) = recorder.finish();
    end.expect("it ended");
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
fn a_recording_continues_after_lost_events_without_hanging_notes() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let arguments = parse(&["record", "unused.mid", "--from", "keys"]);
    let MidiCommand::Record(arguments) = arguments else { panic!("not record") };
    let mut recorder = record::Recorder::open(&arguments, None, &engine).expect("a recorder");
    let on = |note| Event::note_on(0, note, 100).expect("valid");
    embedded.advance(Duration::from_secs(1));
    keys.event_output_direct(&on(60), &out).expect("sent");
    recorder.read().expect("read");

    // Events are not read for a while, so that the pool overflows.
    embedded.advance(Duration::from_secs(1));
    let control = Event::control_change(0, 7, 64).expect("valid");
    let limit = 2 * listener::POOL_CELLS;
    let is_accepted =
        |_: &u32| keys.try_event_output_direct(&control, &out).expect("no error").is_some();
    assert!((0..limit).take_while(is_accepted).count() < limit as usize, "the pool never filled");
    recorder.read().expect("lost events do not end a recording");

    embedded.advance(Duration::from_secs(1));
    keys.event_output_direct(&on(61), &out).expect("sent");
    embedded.advance(Duration::from_secs(1));
    let (file, losses, end) = recorder.finish();
    end.expect("it ended");
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
fn the_monitor_connects_ports_that_appear() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let MidiCommand::Monitor(arguments) = parse(&["monitor"]) else { panic!("not monitor") };
    let mut monitor = monitor::Monitor::open(&arguments, &engine).expect("it opens");
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let mut text = Vec::new();
    monitor.print(&mut text).expect("printed");
    keys.event_output_direct(&Event::note_on(3, 60, 100).expect("valid"), &out).expect("sent");
    monitor.print(&mut text).expect("printed");
    let address = out.address();
    drop((out, keys));
    monitor.print(&mut text).expect("printed");
    let text = String::from_utf8(text).expect("text");
    assert_eq!(
        text,
        format!(
            "-- {address} 'keys:out' connected\n    0.000000  {address}   keys:out                  \
             ch3  note-on 60 100        C4\n-- {address} 'keys:out' disconnected\n"
        )
    );
}

/// Outlets without a clock.
fn outlets(music: &Port) -> player::Outlets<'_> {
    player::Outlets { music, clock: None }
}

/// Held by tests that use the shared embedded sequencer.
static SHARED_SEQUENCER: Mutex<()> = Mutex::new(());

#[test]
fn ports_are_listed_connected_and_disconnected() {
    let _lock = SHARED_SEQUENCER.lock();
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
    assert!(text.contains("is already connected to"), "{text}");
    let (_, text) = run(&["ports", "--json"]);
    let ports: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entry = |address: String| {
        let mut all = ports.as_array().expect("a list").iter();
        all.find(|port| port["address"] == *address).expect("it is listed").clone()
    };
    assert_eq!(entry(from.to_string())["connected_to"][0], to.to_string());
    assert_eq!(entry(to.to_string())["target"], true);

    let (result, text) = run(&["disconnect", "rack", "rack"]);
    result.expect("disconnected");
    assert!(text.starts_with(&format!("disconnected {from} 'rack:out' from ")), "{text}");
    let error = run(&["disconnect", "rack", "rack"]).0.expect_err("it is not connected");
    assert!(error.to_string().ends_with("it has no connections"), "{error}");
    let error = printed(&run(&["connect", "ruck", "rack"]).0.expect_err("no such port"));
    assert!(error.contains("did you mean `rack`?"), "{error}");
    let error = run(&["connect", "rack:in", "rack"]).0.expect_err("not a source");
    assert!(error.to_string().contains("only receives events"), "{error}");
}

#[test]
fn events_are_sent_and_held_notes_released_when_stopped() {
    let _lock = SHARED_SEQUENCER.lock();
    let stop = Arc::new(AtomicBool::new(false));
    let client = open("synth", &shared()).expect("a client");
    let _input = port(&client, "in", TARGET);
    let received = || {
        let mut events = Vec::new();
        while let Some(event) = music(&client, Duration::ZERO) {
            events.push(words::words(&event));
        }
        events
    };
    let (result, _) =
        run_here(&["send", "synth", "-c", "3", "pitch", "-5", "cc", "7", "64"], &stop);
    result.expect("sent");
    assert_eq!(received(), ["pitch -5", "cc 7 64"]);
    stop.store(true, Ordering::Relaxed);
    let arguments = ["send", "synth", "note-on", "C4", "99", "wait", "3600", "note-off", "C4"];
    run_here(&arguments, &stop).0.expect("stopped");
    assert_eq!(received(), ["note-on 60 99", "note-off 60 64"]);
    let error = run_here(&["send", "sinth", "tune"], &stop).0.expect_err("no such port");
    assert!(printed(&error).contains("did you mean `synth"), "{error}");
}

#[test]
fn the_watcher_prints_ports_and_connections_with_names() {
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
        &format!("+ {number:<7} (client) "),
        &format!("+ {number}:0   keys:out\n"),
        &format!("  {number}:0 'keys:out' -> {number}:1 'keys:in'\n"),
        &format!("  {number}:0 'keys:out' disconnected from {number}:1 'keys:in'\n"),
        &format!("- {number}:1   keys:in\n"),
        &format!("- {number:<7} (client) keys\n"),
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

fn write_song(folder: &Path, seconds: u32) -> PathBuf {
    let mut recording = Recording::new(480, 500_000, &["lament"]).expect("valid");
    for second in 0..seconds {
        let on = Event::note_on(0, 60, 100).expect("valid");
        recording.push(0, RealTime::new(second, 0), &on);
    }
    let path = folder.join("song.mid");
    let file = recording.finish(RealTime::new(seconds, 0));
    std::fs::write(&path, file.to_bytes().expect("short")).expect("written");
    path
}

#[test]
fn a_receiver_that_disappears_is_named() {
    let _lock = SHARED_SEQUENCER.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_song(folder.path(), 600);
    let receiver = open("receiver", &shared()).expect("a client");
    let input = port(&receiver, "in", TARGET);
    let address = input.address();
    let player = std::thread::spawn(move || {
        let stop = Arc::new(AtomicBool::new(false));
        let file = path.to_str().expect("text").to_owned();
        run_here(&["play", &file, "--to", "receiver"], &stop)
    });
    let first = music(&receiver, WAIT_TIMEOUT).expect("an event");
    assert_eq!(words::words(&first), "note-on 60 100");
    drop((input, receiver));
    let (result, out) = player.join().expect("it ended");
    let error = result.expect_err("no receiver is left").to_string();
    assert_eq!(error, format!("no receiver is left: {address} 'receiver:in' disconnected"));
    let name = folder.path().join("song.mid");
    let summary = format!("{} “lament”: 10:00, 1 track, 601 events", name.display());
    assert!(out.starts_with(&summary), "{out}");
}

#[test]
fn a_player_that_is_stopped_releases_held_notes() {
    let _lock = SHARED_SEQUENCER.lock();
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
    held.track(&music(&receiver, WAIT_TIMEOUT).expect("an event"));
    assert!(!held.is_empty());
    stop.store(true, Ordering::Relaxed);
    let (result, out) = player.join().expect("it ended");
    assert_eq!(format!("{:?}", result.expect("stopped")), format!("{:?}", ExitCode::from(130)));
    assert!(out.contains("stopped at 0:00 after ") && out.contains("; 1 released"), "{out}");
    wait_until(|| {
        let event = receiver.event_input(Some(Duration::ZERO)).expect("read");
        event.iter().for_each(|event| held.track(event));
        held.is_empty()
    });
}

#[test]
fn a_port_for_the_clock_gets_clock_and_stop_and_no_notes() {
    let _lock = SHARED_SEQUENCER.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_song(folder.path(), 600);
    let receiver = open("synth", &shared()).expect("a client");
    let _input = port(&receiver, "in", TARGET);
    let machine = open("drums", &shared()).expect("a client");
    let _clock = port(&machine, "in", TARGET);
    let stop = Arc::new(AtomicBool::new(false));
    let stopper = Arc::clone(&stop);
    let player = std::thread::spawn(move || {
        let file = path.to_str().expect("text").to_owned();
        run_here(&["play", &file, "--to", "synth", "--clock", "drums"], &stopper)
    });
    let next = || words::words(&music(&machine, WAIT_TIMEOUT).expect("an event"));
    assert_eq!([next(), next(), next()], ["start", "clock", "clock"]);
    let first = music(&receiver, WAIT_TIMEOUT).expect("an event");
    assert_eq!(words::words(&first), "note-on 60 100");
    stop.store(true, Ordering::Relaxed);
    player.join().expect("it ended").0.expect("stopped");
    let last = std::iter::from_fn(|| music(&machine, Duration::ZERO)).last();
    assert_eq!(last.map(|event| words::words(&event)).as_deref(), Some("stop"));
    let rest = std::iter::from_fn(|| music(&receiver, Duration::ZERO));
    assert!({ rest }.all(|event| words::words(&event).starts_with("note-")));
}

#[test]
fn a_receiver_that_returns_is_connected_again() {
    let _lock = SHARED_SEQUENCER.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let path = write_song(folder.path(), 600);
    let receiver = open("receiver", &shared()).expect("a client");
    let input = port(&receiver, "in", TARGET);
    let stop = Arc::new(AtomicBool::new(false));
    let player = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || run_here(&["play", path.to_str().expect("text"), "--to", "receiver"], &stop)
    });
    music(&receiver, WAIT_TIMEOUT).expect("an event");
    drop((input, receiver));
    let receiver = open("receiver", &shared()).expect("a client");
    let _input = port(&receiver, "in", TARGET);
    let again = music(&receiver, WAIT_TIMEOUT).expect("an event");
    assert_eq!(words::words(&again), "note-on 60 100");
    stop.store(true, Ordering::Relaxed);
    player.join().expect("it ended").0.expect("stopped");
}

#[test]
fn links_are_followed_or_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let [link, file] = ["link.mid", "take.mid"].map(|name| folder.path().join(name));
    std::os::unix::fs::symlink("take.mid", &link).expect("a link");
    let error = target::Target::new(&link, true).map(drop).expect_err("it is dangling");
    assert!(printed(&error).contains("is a link to a file that does not exist"), "{error}");
    std::fs::write(&file, b"old").expect("a file");
    assert!(target::Target::new(&link, false).is_err(), "the file exists");
    let song = long_file(1);
    target::Target::new(&link, true).and_then(|target| target.write(&song)).expect("written");
    assert!(link.symlink_metadata().expect("the link").is_symlink(), "the link stays");
    assert_eq!(MidiFile::read(&std::fs::read(&file).expect("a file")).expect("valid"), song);
}

#[test]
fn recordings_are_written_to_a_temporary_file_and_renamed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let target = target::Target::new(&path, false).expect("a free path");
    let file = long_file(1);
    target.write(&file).expect("written");
    assert_eq!(MidiFile::read(&std::fs::read(&path).expect("a file")).expect("valid"), file);
    let error = target::Target::new(&path, false).map(drop).expect_err("it exists");
    assert!(
        printed(&error).ends_with("already exists\nhint: use --force to overwrite it"),
        "{error}"
    );
    // Another program has created the file meanwhile: both are kept.
    let error = target.write(&file).expect_err("it exists").to_string();
    let (_, kept) = error.rsplit_once(' ').expect("a path");
    assert!(MidiFile::read(&std::fs::read(kept).expect("kept")).is_ok(), "{error}");
    target::Target::new(&path, true).and_then(|target| target.write(&file)).expect("replaced");
    let missing = folder.path().join("no/such/take.mid");
    let error = target::Target::new(&missing, false).map(drop).expect_err("no folder");
    assert!(error.to_string().starts_with("cannot write to the folder"), "{error}");
    assert!(target::Target::new(folder.path(), true).is_err());
    // If the folder has disappeared, the recording is kept elsewhere.
    let lost = folder.path().join("stick");
    std::fs::create_dir(&lost).expect("a folder");
    let target = target::Target::new(&lost.join("take.mid"), false).expect("a free path");
    std::fs::remove_dir(&lost).expect("unplugged");
    let error = format!("{:#}", target.write(&file).expect_err("it is unplugged"));
    let (_, rest) = error.split_once("the recording is in ").expect("where it is");
    let kept = rest.split(": ").next().expect("a path");
    assert_eq!(MidiFile::read(&std::fs::read(kept).expect(kept)).expect("valid"), file);
    std::fs::remove_file(kept).expect("removed");
}

#[test]
fn times_are_printed_and_parsed() {
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
fn the_commands_of_the_page_are_valid() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/midi-command.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut count = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("consort midi ")) {
        // Only whole words are quoted.
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
