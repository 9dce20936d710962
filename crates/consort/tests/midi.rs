//! `consort midi` as a program on the embedded engine, and its error messages. The suite
//! tests/suites/26-midi-command.sh tests it on the kernel's sequencer.
#![cfg(feature = "default")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A file of format 0, 480 ticks per quarter note at 120 quarter notes a minute, 2 s long.
const SONG: &[u8] = b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk\0\0\0\x1a\0\xc0\x05\x83\x60\x90\x3c\x64\
    \x83\x60\x80\x3c\x40\0\xf0\x05\x7e\x7f\x09\x01\xf7\x87\x40\xff\x2f\0";

fn consort(folder: &Path, arguments: &[&str]) -> Command {
    // Under nohup the tests ignore SIGHUP, and the command would inherit that.
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_consort")]);
    command.current_dir(folder).arg("midi").args(arguments).stdin(Stdio::null());
    command.env_remove("CONSORT_SEQ").env_remove("CONSORT_LOG");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    consort(folder, arguments).env("CONSORT_SEQ", "embedded").output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("song.mid"), SONG).expect("written");
    folder
}

#[test]
fn the_page_shows_the_real_output() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/midi-command.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let folder = folder();
    let mut count = 0;
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().expect("an end");
        let (command, expected) = block.split_once('\n').expect("a command");
        let words = command.strip_prefix("$ consort midi ").expect("a consort command");
        let output = run(folder.path(), &words.split(' ').collect::<Vec<_>>());
        assert_eq!(text(&output.stdout), expected, "{command}: {}", text(&output.stderr));
        assert!(output.status.success(), "{command}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn damaged_files_are_played_or_refused() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    };
    write("cut.mid", &SONG[..32]);
    let track = &SONG[14..];
    write("two.mid", &[&SONG[..9], &[2, 0, 2], &SONG[12..14], track, track].concat());
    write("bad.mid", &[&SONG[..29], &[0xff], &SONG[30..]].concat());
    write("text.mid", b"no music");
    let play = |name: &str, more: &[&str]| {
        run(folder.path(), &[&["play", name, "--engine", "embedded", "--fast"], more].concat())
    };
    for (name, expected) in [
        (
            "cut.mid",
            "cut.mid: at byte 32 (track 1): the file ends inside an event; found 10 of the",
        ),
        ("cut.mid", "\nhint: without --strict, what is not damaged is played\n"),
        ("text.mid", "text.mid: at byte 0: not a Standard MIDI File: it begins with \"no m\""),
        ("none.mid", "cannot read none.mid: No such file"),
    ] {
        let output = play(name, &["--strict"]);
        let error = text(&output.stderr);
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
    }
    assert_eq!(play("cut.mid", &["--partial"]), play("cut.mid", &[]));
    let output = play("cut.mid", &[]);
    assert!(output.status.success());
    // The note that is still on where the file is cut is released there.
    assert_eq!(
        text(&output.stdout),
        "    0.000000  ch0  program 5\n    0.500000  ch0  note-on 60 100        C4\n    \
         0.500000  ch0  note-off 60 64        C4\nplayed 3 events in 0:00\n"
    );
    assert!(text(&output.stderr).contains("at byte 32"), "{}", text(&output.stderr));
    // The note with a velocity above 127 is left out.
    let output = play("bad.mid", &[]);
    assert!(text(&output.stdout).ends_with("played 3 events in 0:02\n"), "{output:?}");
    assert!(text(&output.stderr).contains("at byte 29 (track 1): found status byte 0xff"));
    let output = play("two.mid", &[]);
    assert!(text(&output.stdout).ends_with("played 8 events in 0:04\n"), "{output:?}");
    let output = play("two.mid", &["--track", "2"]);
    assert!(text(&output.stdout).ends_with("played 4 events in 0:02\n"), "{output:?}");
    let output = play("two.mid", &["--track", "3"]);
    assert!(text(&output.stderr).contains("two.mid has no track 3: it has 2 tracks"));
    let output = play("song.mid", &["--from", "bar:1", "--until", "1", "--tempo", "50"]);
    assert!(text(&output.stdout).contains("    1.000000  ch0  note-on 60 100"), "{output:?}");
    assert!(text(&output.stdout).ends_with(" in 0:02\n"), "{output:?}");
    let output = play("song.mid", &["--from", "3"]);
    assert!(text(&output.stderr).contains("--from 0:03 is after the end of song.mid (0:02)"));
    // A loop without events would never end the search for the next one.
    write("silence.mid", b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0MTrk\0\0\0\x04\x60\xff\x2f\0");
    for (name, more) in
        [("silence.mid", &["--loop"][..]), ("song.mid", &["--loop", "--from", "1.5"])]
    {
        let error = text(&play(name, more).stderr);
        assert!(error.contains("cannot use --loop: the files have no events to play"), "{error}");
    }
    assert!(play("silence.mid", &[]).status.success());
    let output = play("song.mid", &["--from", "0:00.75", "--loop=2", "--quiet"]);
    let times: Vec<String> = text(&output.stdout).lines().map(|line| line[..12].into()).collect();
    assert_eq!(times[..3], ["    0.000000", "    0.251000", "    0.251000"]);
    assert_eq!(times.len(), 7, "{times:?}");
}

#[test]
fn files_are_described_as_text_json_and_piano_roll() {
    let folder = folder();
    std::fs::write(folder.path().join("bad.mid"), [&SONG[..29], &[0xff], &SONG[30..]].concat())
        .expect("written");
    let output = run(folder.path(), &["info", "bad.mid", "song.mid", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json[0]["damage"]["count"], 1);
    assert_eq!(json[0]["damage"]["errors"][0]["byte"], 29);
    assert_eq!(json[1]["damage"]["count"], 0);
    assert_eq!(json[1]["tracks"][0]["programs"], serde_json::json!([5]));
    assert_eq!(json[1]["tempos"][0]["bpm"], 120.0);
    assert_eq!((&json[1]["seconds"], &json[1]["bars"]), (&2.0.into(), &1.into()));
    let output = text(&run(folder.path(), &["info", "song.mid", "--roll"]).stdout);
    assert!(output.contains("\n    C4 |   #---"), "{output}");
    let output = run(folder.path(), &["info", "none.mid"]);
    assert!(text(&output.stderr).contains("cannot read none.mid: No such file"));
}

#[test]
fn a_limit_of_file_sizes_does_not_end_a_recording() {
    let folder = folder();
    let program = env!("CARGO_BIN_EXE_consort");
    let script = format!("ulimit -f 0; exec {program} midi record take.mid --seconds 0.2");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("CONSORT_SEQ", "embedded")
        .output()
        .expect("bash runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = text(&output.stderr);
    assert!(error.contains("cannot write take.mid") && error.contains("File too large"), "{error}");
}

#[test]
fn errors_say_what_is_missing() {
    let folder = folder();
    if Path::new("/dev/snd/seq").exists() {
        println!("SKIPPED: this machine has a sequencer");
    } else {
        for arguments in [&["ports"][..], &["watch"], &["monitor", "--engine", "kernel"]] {
            let output = consort(folder.path(), arguments).output().expect("it runs");
            let error = text(&output.stderr);
            assert!(error.contains("modprobe snd-seq"), "{arguments:?}: {error}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
    for (arguments, expected) in [
        (&["send", "Midi Thru", "tune"][..], "did you mean `Midi Through`?"),
        (&["send", "Midi Through", "noteon", "1"], "did you mean `note-on`?"),
        (
            &["play", "song.mid", "--to", "x"],
            "hint: ports that receive events: 14:0 'Midi Through:",
        ),
        (
            &["play", "song.mid", "--engine", "kernel", "--fast"],
            "--fast requires --engine embedded",
        ),
        (&["record", "song.mid"], "song.mid already exists\nhint: use --force to overwrite it"),
        (&["record", "no/where.mid"], "cannot write to the folder no"),
        (&["record", "new.mid", "--bpm", "1"], "invalid --bpm 1; expected 3.58 to"),
        (&["record", "new.mid", "--ticks", "0"], "0 ticks per quarter note; expected 1 to 32767"),
        (&["connect", "Midi Through", "15:0"], "unknown port `15:0`"),
    ] {
        let output = run(folder.path(), arguments);
        let error = text(&output.stderr);
        assert!(error.starts_with("error: "), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
    let output = run(folder.path(), &["send", "Midi Through", "pitch", "-100", "cc", "7", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!folder.path().join("new.mid").exists());
}

fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn signals_end_players_and_recorders() {
    let folder = folder();
    let arguments = ["play", "song.mid", "--engine", "embedded", "--loop"];
    let mut child =
        consort(folder.path(), &arguments).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let is_note =
        |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.contains("note-on"));
    assert!(lines.any(|line| is_note(&line)));
    signal(&child, "-INT");
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    assert_eq!(child.wait().expect("it ended").code(), Some(130));
    let [off, last] = rest.as_slice() else { panic!("{rest:?}") };
    assert!(off.contains("ch0  note-off 60 64"), "{rest:?}");
    assert!(last.starts_with("stopped at 0:00 after 2 events; 1 released"), "{rest:?}");

    let arguments = ["record", "take.mid", "--engine", "embedded"];
    let mut child =
        consort(folder.path(), &arguments).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    assert_eq!(line, "recording events sent to 128:0; press Ctrl-C to stop\n");
    // When a terminal is closed, both the kernel and the shell send SIGHUP. The recording must
    // survive two of them.
    signal(&child, "-HUP");
    signal(&child, "-HUP");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert!(rest.starts_with("take.mid: 0 events in 0:00, 1 track"), "{rest}");
    assert!(child.wait().expect("it ended").success());
    let bytes = std::fs::read(folder.path().join("take.mid")).expect("the file");
    assert!(bytes.starts_with(b"MThd"));
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
