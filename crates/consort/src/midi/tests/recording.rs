//! Recordings whose sources, connections, sequencer or readers disappear.

use super::*;

/// The notes of a file: seconds, track, status, and note.
fn notes(file: &MidiFile) -> Vec<(u32, u16, u8, u8)> {
    file.events()
        .filter_map(|event| match event.body {
            Body::Message(&[status @ 0x80..0xa0, note, _]) => {
                Some((file.time(event.tick).seconds(), event.track, status, note))
            }
            _ => None,
        })
        .collect()
}

fn recorder(arguments: &[&str], engine: &Engine) -> record::Recorder {
    let MidiCommand::Record(arguments) = parse(arguments) else { panic!("not record") };
    record::Recorder::open(&arguments, None, engine).expect("a recorder")
}

fn note_on(client: &SequencerClient, port: &Port, note: u8) {
    let event = Event::note_on(0, note, 100).expect("valid");
    client.event_output_direct(&event, port).expect("sent");
}

#[test]
fn only_the_chosen_one_of_two_devices_with_the_same_name_is_recorded() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let devices: Vec<(SequencerClient, Port)> = (0..2)
        .map(|_| {
            let client = open("keys", &engine).expect("a client");
            let out = port(&client, "out", SOURCE);
            (client, out)
        })
        .collect();
    let chosen = devices[1].1.address().to_string();
    let mut recorder = recorder(&["record", "unused.mid", "--from", &chosen], &engine);
    // A new client makes the recorder list all ports.
    let other = open("another program", &engine).expect("a client");
    let _out = port(&other, "out", SOURCE);
    recorder.read().expect("read");
    note_on(&devices[0].0, &devices[0].1, 60);
    note_on(&devices[1].0, &devices[1].1, 61);
    embedded.advance(Duration::from_secs(1));
    let (file, _, end) = recorder.finish();
    end.expect("it ended");
    assert_eq!(notes(&file), [(0, 0, 0x90, 61), (1, 0, 0x80, 61)]);
}

#[test]
fn notes_are_released_when_another_program_disconnects_the_source() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let mut recorder = recorder(&["record", "unused.mid"], &engine);
    let ours = keys.find_port("consort record:in 0").expect("the port").address();
    out.connect_to(ours).expect("connected");
    note_on(&keys, &out, 60);
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    out.disconnect_to(ours).expect("disconnected");
    recorder.read().expect("read");
    // It stays disconnected when another port appears.
    let _other = port(&keys, "other", SOURCE);
    recorder.read().expect("read");
    note_on(&keys, &out, 61);
    // A port that disappears without disconnecting first.
    out.connect_to(ours).expect("connected");
    note_on(&keys, &out, 62);
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    drop((out, _other, keys));
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    let (file, _, end) = recorder.finish();
    end.expect("it ended");
    let expected = [(0, 0, 0x90, 60), (1, 0, 0x80, 60), (1, 0, 0x90, 62), (2, 0, 0x80, 62)];
    assert_eq!(notes(&file), expected);
}

#[test]
fn a_source_that_returns_while_announcements_are_lost_is_connected_again() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let mut recorder = recorder(&["record", "unused.mid", "--from", "keys"], &engine);
    note_on(&keys, &out, 60);
    // Events are not read, so that the pool overflows and announcements are lost.
    let control = Event::control_change(0, 7, 64).expect("valid");
    let limit = 2 * listener::POOL_CELLS;
    let is_accepted =
        |_: &u32| keys.try_event_output_direct(&control, &out).expect("no error").is_some();
    assert!((0..limit).take_while(is_accepted).count() < limit as usize, "the pool never filled");
    let address = out.address();
    drop((out, keys));
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    assert_eq!(out.address(), address);
    recorder.read().expect("read");
    note_on(&keys, &out, 61);
    let (file, losses, end) = recorder.finish();
    end.expect("it ended");
    assert_eq!(losses, 1);
    assert!(notes(&file).contains(&(0, 0, 0x90, 61)), "{:?}", notes(&file));
}

#[test]
fn a_recording_survives_a_sequencer_that_fails() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let mut recorder = recorder(&["record", "unused.mid", "--from", "keys"], &engine);
    embedded.advance(Duration::from_secs(1));
    note_on(&keys, &out, 60);
    recorder.read().expect("read");
    embedded.advance(Duration::from_secs(1));
    recorder.read().expect("read");
    recorder.listener.client.close();
    recorder.read().expect_err("it is closed");
    let (file, _, end) = recorder.finish();
    end.expect_err("it is closed");
    assert_eq!(notes(&file), [(1, 0, 0x90, 60), (2, 0, 0x80, 60)]);
}

/// A closed pipe.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_player_survives_a_closed_output() {
    let _lock = SHARED_SEQUENCER.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let mut recording = Recording::new(480, 500_000, &["a note"]).expect("valid");
    recording.push(0, RealTime::ZERO, &Event::note_on(0, 60, 100).expect("valid"));
    let file = recording.finish(RealTime::from_nanoseconds(1_000_000));
    let path = folder.path().join("song.mid");
    std::fs::write(&path, file.to_bytes().expect("short")).expect("written");
    let receiver = open("receiver", &shared()).expect("a client");
    let _input = port(&receiver, "in", TARGET);
    let stop = Arc::new(AtomicBool::new(false));
    let path = path.to_str().expect("text");
    let command = parse(&["play", path, "--to", "receiver", "--engine", "embedded"]);
    run(&command, &stop, &mut Closed).expect("played");
    let received = music(&receiver, Duration::ZERO).map(|event| words::words(&event));
    assert_eq!(received.as_deref(), Some("note-on 60 100"));
}

#[test]
fn a_recording_survives_a_closed_output() {
    let _lock = SHARED_SEQUENCER.lock();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let file = path.to_str().expect("text");
    let stop = Arc::new(AtomicBool::new(false));
    let command = parse(&["record", file, "--seconds", "0.01", "--engine", "embedded"]);
    run(&command, &stop, &mut Closed).expect("recorded");
    assert!(MidiFile::read(&std::fs::read(&path).expect("a file")).is_ok());
}

#[test]
fn a_source_that_does_not_exist_yet_is_recorded_when_it_appears() {
    let engine = Engine::Embedded(Embedded::new(ClockKind::Virtual));
    let mut recorder = recorder(&["record", "unused.mid", "--from", "key"], &engine);
    recorder.read().expect("read");
    let keys = open("Keystation", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    recorder.read().expect("read");
    note_on(&keys, &out, 60);
    drop((out, keys));
    recorder.read().expect("read");
    // It returns by its name, and another port that fits the text is not taken.
    let other = open("keyboard", &engine).expect("a client");
    let other_out = port(&other, "out", SOURCE);
    recorder.read().expect("read");
    note_on(&other, &other_out, 61);
    let keys = open("Keystation", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    recorder.read().expect("read");
    note_on(&keys, &out, 62);
    let (file, _, end) = recorder.finish();
    end.expect("it ended");
    let on = notes(&file).into_iter().filter(|note| note.2 == 0x90).map(|note| note.3);
    assert_eq!(on.collect::<Vec<_>>(), [60, 62]);
}

#[test]
fn a_metronome_counts_in_and_the_recording_begins_with_its_bar() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let click = open("click", &engine).expect("a client");
    let _input = port(&click, "in", TARGET);
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let arguments =
        ["record", "unused.mid", "--from", "keys", "--metronome", "click", "--meter", "3/4"];
    let mut recorder = recorder(&[&arguments[..], &["--bpm", "60"]].concat(), &engine);
    // A note during the count-in of three seconds, one slightly early, and one on the second beat.
    let mut beats = Vec::new();
    let mut held = HeldNotes::new();
    for tenth in 0..50 {
        match tenth {
            10 => note_on(&keys, &out, 50),
            31 => note_on(&keys, &out, 60),
            42 => note_on(&keys, &out, 61),
            _ => {}
        }
        recorder.read().expect("read");
        embedded.advance(Duration::from_millis(100));
        while let Some(event) = music(&click, Duration::ZERO) {
            held.track(&event);
            if matches!(event.payload(), consort_seq::Payload::NoteOn(_)) {
                beats.push((tenth, words::words(&event)));
            }
        }
    }
    let (file, _, end) = recorder.finish();
    end.expect("it ended");
    let clicks: Vec<&str> = beats.iter().map(|(_, words)| words.as_str()).collect();
    assert_eq!(clicks.len(), 5, "{beats:?}");
    assert!(clicks.iter().enumerate().all(|(beat, words)| {
        words.contains(if beat % 3 == 0 { "note-on 76" } else { "note-on 77" })
    }));
    let on: Vec<_> = notes(&file).into_iter().filter(|note| note.2 == 0x90).collect();
    assert_eq!(on, [(0, 0, 0x90, 60), (1, 0, 0x90, 61)]);
    assert_eq!(file.time_signatures()[0].numerator, 3);
    // No click sounds on.
    while let Some(event) = music(&click, Duration::ZERO) {
        held.track(&event);
    }
    assert!(held.is_empty());
}

#[test]
fn an_overdub_plays_the_file_and_adds_a_track_to_it() {
    let embedded = Embedded::new(ClockKind::Virtual);
    let engine = Engine::Embedded(embedded.clone());
    let synth = open("synth", &engine).expect("a client");
    let _input = port(&synth, "in", TARGET);
    let click = open("click", &engine).expect("a client");
    let _click = port(&click, "in", TARGET);
    let keys = open("keys", &engine).expect("a client");
    let out = port(&keys, "out", SOURCE);
    // 60 bpm and 3/4: a note at the second beat.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("song.mid");
    let mut recording = Recording::new(96, 1_000_000, &["song"]).expect("valid");
    recording.set_time_signature(3, 4);
    recording.push(0, RealTime::new(1, 0), &Event::note_on(0, 40, 100).expect("valid"));
    let file = recording.finish(RealTime::new(2, 0));
    std::fs::write(&path, file.to_bytes().expect("short")).expect("written");

    let arguments = [
        "record",
        "unused.mid",
        "--from",
        "keys",
        "--overdub",
        path.to_str().expect("text"),
        "--play-to",
        "synth",
        "--metronome",
        "click",
    ];
    let MidiCommand::Record(arguments) = parse(&arguments) else { panic!("not record") };
    let targets = ["synth".to_owned()];
    let overdub = overdub::Overdub::open(&path, &targets, &engine).expect("a file");
    let mut recorder =
        record::Recorder::open(&arguments, Some(&overdub), &engine).expect("a recorder");
    let mut player = overdub.player(&recorder).expect("a player");
    // A bar of count-in, which takes three seconds, and three more.
    let (mut played, mut beats) = (Vec::new(), 0);
    for tenth in 0..65 {
        if tenth == 47 {
            // The player of the keys hears the file's note at 4.2 s and plays half a second later.
            note_on(&keys, &out, 60);
        }
        recorder.read().expect("read");
        player.step().expect("a step");
        embedded.advance(Duration::from_millis(100));
        while let Some(event) = music(&synth, Duration::ZERO) {
            played.push((tenth, words::words(&event)));
        }
        while let Some(event) = music(&click, Duration::ZERO) {
            beats += u32::from(matches!(event.payload(), consort_seq::Payload::NoteOn(_)));
        }
    }
    assert_eq!(played, [(41, "note-on 40 100".to_owned()), (51, "note-off 40 64".to_owned())]);
    assert_eq!(beats, 7);
    player.release().expect("released");
    let (take, _, end) = recorder.finish();
    end.expect("it ended");
    let file = overdub.combine(&take, 9600).expect("short");
    assert_eq!((file.format(), file.track_count()), (1, 2));
    let on: Vec<(u64, u16, u8)> = file
        .events()
        .filter_map(|event| match event.body {
            Body::Message(&[0x90, note, _]) => {
                Some((file.time(event.tick).as_nanoseconds() / 1_000_000, event.track, note))
            }
            _ => None,
        })
        .collect();
    assert_eq!(on, [(1_000, 0, 40), (1_500, 1, 60)]);
    assert_eq!(file.time_signatures()[0].numerator, 3);
}

/// The file of the child process of the next test.
const CHILD: &str = "CONSORT_TEST_RECORD";

#[test]
fn a_recording_that_is_killed_is_recovered() {
    if let Some(path) = std::env::var_os(CHILD) {
        record_until_killed(&path);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("take.mid");
    let name = "midi::tests::recording::a_recording_that_is_killed_is_recovered";
    let program = std::env::current_exe().expect("this program");
    let mut child = std::process::Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, &path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it runs");
    let journal = recover::journal_path(&path);
    let count = || {
        let bytes = std::fs::read(&journal).unwrap_or_default();
        journal::replay(&bytes).map_or(0, |(_, count)| count)
    };
    wait_until(|| count() >= 50);
    // While it is recorded, nobody else takes it.
    let error = recover::recover(&path).expect_err("it is locked").to_string();
    assert!(error.contains("another process records to"), "{error}");
    child.kill().expect("killed");
    child.wait().expect("it ended");
    let least = count();
    assert!(!path.exists());
    // The target is taken meanwhile: both are kept.
    std::fs::write(&path, b"another take").expect("written");
    let text = recover::recover(&path).expect("recovered").expect("a journal");
    assert!(text.contains("take-recovered.mid: ") && text.contains("recovered"), "{text}");
    assert_eq!(std::fs::read(&path).expect("the file"), b"another take");
    let recovered = std::fs::read(folder.path().join("take-recovered.mid")).expect("a file");
    let file = MidiFile::read(&recovered).expect("valid");
    let on = notes(&file).into_iter().filter(|note| note.2 == 0x90).count();
    assert_eq!(on, least);
    assert!(!journal.exists());
    assert!(recover::recover(&path).expect("nothing to do").is_none());
}

/// Records notes that this process sends, without end.
fn record_until_killed(path: &std::ffi::OsStr) -> ! {
    let keys = open("keys", &shared()).expect("a client");
    let out = port(&keys, "out", SOURCE);
    let path = path.to_str().expect("text").to_owned();
    let _recording = std::thread::spawn(move || {
        let stop = Arc::new(AtomicBool::new(false));
        run_here(&["record", &path, "--from", "keys"], &stop).0.expect("recorded");
    });
    loop {
        note_on(&keys, &out, 60);
        std::thread::sleep(Duration::from_millis(2));
    }
}
