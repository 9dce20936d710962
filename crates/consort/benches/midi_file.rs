//! Plays a file with `consort midi play` into `consort midi record`, on the kernel's sequencer.
//! Checks that every event is recorded, and prints how far the times of events deviate and drift.
//! The times are not asserted.
//!
//! CONSORT_MIDI_SECONDS sets the length of the file (default 180).
#![allow(clippy::print_stdout)] // the figures are the result

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use consort_bench::{Budget, Samples, median, report};
use consort_seq::file::{Body, MidiFile, Recording};
use consort_seq::{Event, RealTime};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;
/// The period of the kernel's default queue timer, 1000 Hz.
const TIMER_PERIOD_MILLISECONDS: f64 = 1.0;

fn main() {
    // `cargo test` also runs benchmarks, without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    if !Path::new("/dev/snd/seq").exists() {
        println!("SKIPPED: midi_file: /dev/snd/seq does not exist");
        return;
    }
    let seconds = std::env::var("CONSORT_MIDI_SECONDS").ok();
    let seconds: u64 = seconds.and_then(|text| text.parse().ok()).unwrap_or(180);
    let folder = tempfile::tempdir().expect("a folder");
    let (song, take) = (folder.path().join("song.mid"), folder.path().join("take.mid"));
    let file = compose(seconds);
    std::fs::write(&song, file.to_bytes().expect("short enough")).expect("written");

    let (mut recorder, address) = record(&take);
    let played = consort().arg("play").arg(&song).args(["--to", &address]).status();
    assert!(played.expect("it runs").success(), "the player failed");
    stop(&mut recorder);
    let recorded = MidiFile::read(&std::fs::read(&take).expect("the file")).expect("a valid file");
    compare(&file, &recorded);
}

fn consort() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consort"));
    command.arg("midi").env("CONSORT_SEQ", "kernel");
    command
}

/// Starts a recorder; also returns the address of its port.
fn record(take: &Path) -> (Child, String) {
    let mut command = consort();
    command.arg("record").arg(take).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    let address =
        line.strip_prefix("recording events sent to ").and_then(|rest| rest.split_once(';'));
    let address = address.unwrap_or_else(|| panic!("{line}")).0.to_owned();
    // The rest of the output must not fill the pipe.
    std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
    (child, address)
}

/// Stops the recorder.
fn stop(recorder: &mut Child) {
    let signalled = Command::new("kill").args(["-INT", &recorder.id().to_string()]).status();
    assert!(signalled.expect("kill runs").success());
    assert!(recorder.wait().expect("it ends").success(), "the recorder failed");
}

/// A file with notes and controllers at irregular times, 40 events per second, each different
/// from its neighbours.
fn compose(seconds: u64) -> MidiFile {
    let mut recording = Recording::new(9600, 500_000, &[""]).expect("valid");
    let (mut state, mut time, mut number) = (26u64, 0, 0u32);
    while time < seconds * NANOSECONDS_PER_SECOND {
        let (note, value) = ((number % 100) as u8, (number / 100 % 128) as u8);
        let event = match number % 4 {
            0 => Event::note_on(0, note, value.max(1)),
            1 => Event::control_change(1, note, value),
            2 => Event::note_off(0, note - 2, 64),
            _ => Event::pitch_bend(2, (number % 16_384) as i16 - 8192),
        };
        let position = RealTime::from_nanoseconds(time);
        assert!(recording.push(0, position, &event.expect("in range")));
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        time += 5_000_000 + (state >> 33) % 40_000_000;
        number += 1;
    }
    recording.finish(RealTime::from_nanoseconds(seconds * NANOSECONDS_PER_SECOND))
}

/// The time in milliseconds and the bytes of each message.
fn messages(file: &MidiFile) -> Vec<(f64, Vec<u8>)> {
    let sent = file.events().filter_map(|event| match event.body {
        Body::Message(bytes) | Body::Exclusive(bytes) => Some((event.tick, bytes.to_vec())),
        Body::Meta(..) => None,
    });
    sent.map(|(tick, bytes)| (file.time(tick).as_nanoseconds() as f64 / 1e6, bytes)).collect()
}

/// Checks the recorded events and prints their times.
fn compare(file: &MidiFile, recorded: &MidiFile) {
    let (expected, found) = (messages(file), messages(recorded));
    for (number, ((_, one), (_, other))) in expected.iter().zip(&found).enumerate() {
        assert_eq!(one, other, "event {number} differs");
    }
    assert_eq!(expected.len(), found.len(), "events are missing");
    let lags: Vec<(f64, f64)> =
        expected.iter().zip(&found).map(|((due, _), (time, _))| (*due, time - due)).collect();
    let median_lag = |from: f64, to: f64| {
        median(lags.iter().filter(|(due, _)| (from..to).contains(due)).map(|(_, lag)| *lag))
    };
    let length = expected.last().map_or(0.0, |(due, _)| *due) + 1.0;
    let span = (length / 3.0).min(60_000.0);
    let overall_lag = median_lag(0.0, length);
    let deviations: Samples = lags.iter().map(|(_, lag)| (lag - overall_lag).abs()).collect();
    let [p50, p99, max] = deviations.quantiles([0.5, 0.99, 1.0]);
    println!(
        "consort midi play -> record, {:.0} s on the kernel's queue: {} events, all identical",
        length / 1e3,
        expected.len()
    );
    let work = "MIDI file played and recorded: time around the median lag";
    report(format!("{work}, p50"), "ms").ours(p50).print();
    report(format!("{work}, p99"), "ms")
        .ours(p99)
        .budget(Budget::AtMost(2.0 * TIMER_PERIOD_MILLISECONDS))
        .note("two timer periods")
        .print();
    report(format!("{work}, maximum"), "ms").ours(max).print();
    report("MIDI file played and recorded: drift", "ms")
        .ours(median_lag(length - span, length) - median_lag(0.0, span))
        .note(format!("the median lag of the last {:.0} s minus the first's", span / 1e3))
        .print();
}
