//! Interoperability with `aseqdump`, `aplaymidi`, `arecordmidi` and `aconnect` of alsa-utils, in
//! both directions. They can use only the kernel's sequencer.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::{
    Event, EventType, Payload, PortOptions, QueueTempo, SequencerClient, SubscriptionQueryType,
};

use crate::support::Rig;

/// Whether the program can be used here. Prints the reason if not.
fn can_run(rig: &Rig, program: &str) -> bool {
    if rig.as_embedded().is_some() {
        eprintln!("SKIPPED: {program} can use only the kernel's sequencer");
        return false;
    }
    let is_installed = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !is_installed {
        eprintln!("SKIPPED: {program} is not installed (alsa-utils)");
        assert!(std::env::var_os("CI").is_none(), "{program} must be installed in CI");
    }
    is_installed
}

/// A process that is killed when this is dropped.
struct RunningProgram(Child);

impl RunningProgram {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        Self(child)
    }

    /// Sends the signal of Ctrl-C.
    fn interrupt(&mut self) {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    }

    fn finish(mut self, rig: &Rig) -> String {
        let end = Instant::now() + rig.timeout();
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the program does not exit");
            rig.let_time_pass(std::time::Duration::from_millis(2));
        }
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A Standard MIDI File of format 0 with 96 ticks per quarter note at 600 beats per minute.
fn midi_file(events: &[(u8, &[u8])]) -> Vec<u8> {
    let mut track = vec![0, 0xff, 0x51, 3, 0x01, 0x86, 0xa0];
    for (delta, bytes) in events {
        assert!(*delta < 128);
        track.push(*delta);
        track.extend_from_slice(bytes);
    }
    track.extend_from_slice(&[0, 0xff, 0x2f, 0]);
    let mut file = b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk".to_vec();
    file.extend_from_slice(&(track.len() as u32).to_be_bytes());
    file.extend_from_slice(&track);
    file
}

fn scale() -> impl Iterator<Item = u8> {
    [60, 62, 64, 65, 67, 69, 71, 72].into_iter()
}

cases! {
    fn aseqdump_prints_our_events(rig) {
        if !can_run(rig, "aseqdump") {
            return;
        }
        let client = rig.client("scale");
        let out = client.create_port(PortOptions::new("out").caps(READ_PORT)).unwrap();
        let mut dump = RunningProgram::start("aseqdump", &["-p", &out.address().to_string()]);
        rig.wait_until("aseqdump to connect", || {
            !out.list_subscribers(Some(SubscriptionQueryType::Read)).unwrap().is_empty()
        });
        let queue = client.create_queue("scale").unwrap();
        queue.set_tempo(&QueueTempo::from_bpm(600.0, 96)).unwrap();
        queue.start().unwrap();
        for (step, number) in (0..).zip(scale()) {
            let note = Event::note(0, number, 100, 24).unwrap();
            client.event_output(&note.on_queue(&queue).at_tick(step * 12), &out).unwrap();
        }
        client.event_output(&Event::system_exclusive(&[0xf0, 0x7e, 1, 0xf7]).on_queue(&queue).at_tick(130), &out).unwrap();
        client.drain_output().unwrap();
        let lines = BufReader::new(dump.0.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        for line in lines {
            let line = line.unwrap();
            eprintln!("aseqdump: {line}");
            let last = line.contains("System exclusive");
            printed.push(line);
            if last {
                break;
            }
        }
        let source = format!("{:3}:{}", client.client_id(), out.port_id());
        let note_ons: Vec<&String> = printed.iter().filter(|line| line.contains("Note on")).collect();
        assert_eq!(note_ons.len(), 8);
        for (line, number) in note_ons.iter().zip(scale()) {
            assert!(line.starts_with(&source), "{line}");
            assert!(line.contains(&format!("note {number}, velocity 100")), "{line}");
        }
        assert_eq!(printed.iter().filter(|line| line.contains("Note off")).count(), 8);
        assert!(printed.last().unwrap().contains("F0 7E 01 F7"), "{printed:?}");
    }

    fn we_receive_what_aplaymidi_plays(rig) {
        if !can_run(rig, "aplaymidi") {
            return;
        }
        let client = rig.client("recorder");
        let into = client.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("played.mid");
        let file: &[(u8, &[u8])] = &[
            (0, &[0xc2, 5]),
            (0, &[0xb2, 7, 99]),
            (10, &[0x92, 60, 100]),
            (20, &[0xe2, 0, 0x40]),
            (5, &[0xa2, 60, 3]),
            (5, &[0xd2, 44]),
            (20, &[0x82, 60, 64]),
            (3, &[0xf0, 4, 0x7e, 1, 2, 0xf7]),
        ];
        std::fs::write(&path, midi_file(file)).unwrap();
        let player = RunningProgram::start(
            "aplaymidi",
            &["-p", &into.address().to_string(), "-d", "0", path.to_str().unwrap()],
        );
        let mut played = Vec::new();
        while played.len() < file.len() {
            let event = rig.receive(&client);
            // The notices of aplaymidi's connection arrive first.
            if event.event_type().has_channel() || event.event_type() == EventType::SYSTEM_EXCLUSIVE {
                eprintln!("recorded: {event}");
                played.push(event);
            }
        }
        player.finish(rig);
        let mut tick = 0;
        for ((delta, bytes), event) in file.iter().zip(&played) {
            tick += u32::from(*delta);
            assert_eq!(event.tick(), Some(tick), "{event}");
            let expected = match bytes {
                [0xf0, _length, rest @ ..] => [&[0xf0], rest].concat(),
                bytes => bytes.to_vec(),
            };
            assert_eq!(consort_seq::midi::bytes_from_event(event).unwrap(), expected, "{event}");
        }
    }

    fn arecordmidi_records_our_events(rig) {
        if !can_run(rig, "arecordmidi") {
            return;
        }
        let client = rig.client("player");
        let out = client.create_port(PortOptions::new("out").caps(READ_PORT)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recorded.mid");
        let mut recorder =
            RunningProgram::start("arecordmidi", &["-p", &out.address().to_string(), path.to_str().unwrap()]);
        rig.wait_until("arecordmidi to connect", || {
            !out.list_subscribers(Some(SubscriptionQueryType::Read)).unwrap().is_empty()
        });
        let messages: &[&[u8]] = &[&[0x90, 60, 100], &[0xb0, 7, 33], &[0x80, 60, 64], &[0xc3, 9]];
        for message in messages {
            client.midi_bytes_output(message, &Event::default(), &out).unwrap();
        }
        client.drain_output().unwrap();
        // arecordmidi's queue delivers in order, so everything has arrived when this returns.
        client.sync_output_queue().unwrap();
        let reader: SequencerClient = rig.client("observer");
        let number = out.list_subscribers(None).unwrap()[0].addr.client;
        rig.wait_until("arecordmidi to read", || {
            let pool = reader.get_any_client_pool(number).unwrap();
            pool.input_free == pool.input_pool
        });
        recorder.interrupt();
        recorder.finish(rig);
        let recorded = std::fs::read(&path).unwrap();
        assert!(recorded.starts_with(b"MThd"));
        // The data bytes are in order; times and running status may be anything.
        let mut rest = &recorded[22..];
        for message in messages {
            let data = &message[1..];
            let offset = rest.windows(data.len()).position(|window| window == data);
            rest = &rest[offset.unwrap_or_else(|| panic!("{message:02x?} in {recorded:02x?}"))..];
        }
    }

    fn aconnect_lists_and_connects_our_ports(rig) {
        if !can_run(rig, "aconnect") {
            return;
        }
        let client = rig.client("patched");
        let out = client.create_port(PortOptions::new("our out").caps(READ_PORT)).unwrap();
        let into = client.create_port(PortOptions::new("our in").caps(WRITE_PORT)).unwrap();
        let listed = run("aconnect", &["-l"]);
        assert!(listed.contains(&format!("client {}: 'patched'", client.client_id())), "{listed}");
        assert!(listed.contains("'our out") && listed.contains("'our in"), "{listed}");
        run("aconnect", &["patched:0", &into.address().to_string()]);
        let subscribers = out.list_subscribers(None).unwrap();
        assert_eq!(subscribers.iter().map(|query| query.addr).collect::<Vec<_>>(), [into.address()]);
        // Of our two ports, the writable one is notified.
        let event = rig.receive(&client);
        assert!(matches!(event.payload(), Payload::PortSubscribed(_)), "{event}");
        assert_eq!(event.dest(), into.address());
        assert!(run("aconnect", &["-l"]).contains("Connecting To"));
        run("aconnect", &["-d", &out.address().to_string(), &into.address().to_string()]);
        assert_eq!(out.list_subscribers(None).unwrap(), []);
        out.connect_to(&into).unwrap();
        assert!(run("aconnect", &["-l"]).contains(&format!("Connecting To: {}", into.address())));
    }
}
