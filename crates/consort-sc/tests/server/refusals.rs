//! SynthDefs that a server refuses, and those that are too large for a datagram.

use std::time::{Duration, Instant};

use consort_sc::synthdef::prelude::*;
use consort_sc::*;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("refusals::refused_synthdefs_are_errors_by_name", refused_synthdefs_are_errors_by_name),
    ("refusals::nobody_waits_and_refusals_are_events", nobody_waits_and_refusals_are_events),
    ("refusals::files_and_folders", files_and_folders),
    ("refusals::a_joined_server", a_joined_server),
    ("refusals::large_synthdefs", large_synthdefs),
    ("refusals::generated_files", generated_files),
    ("refusals::supernova_prints_the_name", supernova_prints_the_name),
    ("refusals::warnings_are_given_once", warnings_are_given_once),
];

/// A SynthDef with a UGen that no server has.
fn odd(name: &str) -> SynthDef {
    SynthDef::build(name, |_| {
        Out::ar(0, RawUGen::new("NoSuchUGen", Rate::Audio).input(440.0));
    })
    .unwrap()
}

/// A SynthDef that needs 100 wire buffers.
fn wide(name: &str) -> SynthDef {
    SynthDef::build(name, |_| {
        let sines: Vec<Signal> =
            (0..100).map(|index| SinOsc::ar(440.0 + f64::from(index)).signal()).collect();
        Out::ar(0, sines);
    })
    .unwrap()
}

/// A SynthDef of about 70 bytes for each oscillator.
fn large(name: &str, count: u32) -> SynthDef {
    SynthDef::build(name, |_| {
        for number in 0..count {
            Out::ar(0, SinOsc::ar(f64::from(number) + 0.5) * 0.0001);
        }
    })
    .unwrap()
}

fn refusals(error: &Error) -> Vec<(Option<&str>, RefusalCause)> {
    assert_eq!(error.kind(), ErrorKind::SynthDefRefused, "{error}");
    error
        .synthdef_refusals()
        .iter()
        .map(|refusal| (refusal.name.as_deref(), refusal.cause.clone()))
        .collect()
}

fn no_such_ugen() -> RefusalCause {
    RefusalCause::MissingUGen("NoSuchUGen".into())
}

/// No node and no failure is left by the search for refused SynthDefs.
fn assert_clean(server: &Server, events: &EventReceiver) {
    server.sync().unwrap();
    assert!(server.default_group().children().is_empty(), "{:?}", server.root_node().children());
    let tree = server.query_tree(0, false).unwrap();
    assert!(tree.children.iter().all(|node| node.id() < 1000), "{tree}");
    while let Some(event) = events.try_next() {
        assert!(!matches!(event, Event::Fail(_) | Event::SynthDefRefused(_)), "{event:?}");
    }
}

fn refused_synthdefs_are_errors_by_name() {
    let server = booted();
    let events = server.events(EventFilter::default());
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    server.install_synthdefs([]).unwrap();
    let (odd, wide) = (odd("odd"), wide("wide"));
    let error = server.install_synthdefs([wide.file(), &tone, odd.file()]).unwrap_err();
    assert_eq!(
        refusals(&error),
        [(Some("wide"), RefusalCause::TooFewWireBuffers), (Some("odd"), no_such_ugen())]
    );
    let text = error.to_string();
    assert!(
        text.contains("the SynthDef `odd`: the server has no UGen `NoSuchUGen`")
            && text.contains("the SynthDef `wide`: it needs more wire buffers"),
        "{text}"
    );
    assert_clean(&server, &events);
    // With enough wire buffers the server accepts it, and with one less it does not.
    let need = wide.file().definitions()[0].wire_buffers.0;
    for (count, is_accepted) in [(need - 1, false), (need, true)] {
        let server = booted_with(Options { wire_buffer_count: count, ..options() });
        assert_eq!(server.install_synthdefs([wide.file()]).is_ok(), is_accepted, "{count} buffers");
    }
    // More SynthDefs than one probe starts, most of them refused.
    let all: Vec<SynthDef> = (0..70)
        .map(|number| match number % 10 {
            0 => system_tone(&format!("fine{number}")),
            _ => crate::refusals::odd(&format!("odd{number}")),
        })
        .collect();
    let error = server.install_synthdefs(all.iter().map(SynthDef::file)).unwrap_err();
    assert_eq!(error.synthdef_refusals().len(), 63);
    assert!(error.synthdef_refusals().iter().all(|refusal| refusal.cause == no_such_ugen()));
    // The same with futures.
    let asynchronous = server.asynchronous();
    let error = futures_lite::future::block_on(asynchronous.install_synthdefs([odd.file()]));
    assert_eq!(refusals(&error.unwrap_err()), [(Some("odd"), no_such_ugen())]);
}

fn system_tone(name: &str) -> SynthDef {
    consort_sc::synthdef::system::default().renamed(name).unwrap()
}

#[allow(clippy::print_stdout)] // The time is part of the test's output.
fn nobody_waits_and_refusals_are_events() {
    let server = booted();
    let events = server.events(EventFilter::default());
    let next_refusal = || {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "no refusal was reported");
            match events.next_timeout(Duration::from_millis(100)) {
                Some(Event::SynthDefRefused(refusal)) => return refusal,
                Some(Event::Fail(fail)) => panic!("{fail:?}"),
                _ => {}
            }
        }
    };
    let start = Instant::now();
    server.add_synthdefs([tone().clone(), odd("odd").file().clone()].iter()).unwrap();
    let refusal = next_refusal();
    println!("    a refused SynthDef was reported by name after {:?}", start.elapsed());
    assert_eq!((refusal.name.as_deref(), refusal.cause), (Some("odd"), no_such_ugen()));
    // Two at once, one in a completion.
    server
        .add_synthdefs_then([wide("wide").file()], |completion| {
            completion.add_synthdefs([odd("inner").file()])
        })
        .unwrap();
    let mut both = [next_refusal(), next_refusal()].map(|refusal| refusal.name.unwrap());
    both.sort();
    assert_eq!(both, ["inner", "wide"]);
    // A raw message, whose name this client does not know.
    let bytes = odd("raw").file().bytes().to_vec();
    server.send_message(OscMessage::new("/d_recv", [bytes.into()])).unwrap();
    let refusal = next_refusal();
    assert_eq!((refusal.name, refusal.cause), (None, no_such_ugen()));
    assert_clean(&server, &events);
}

fn files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    for (file, synthdef) in [("odd", odd("odd")), ("fine", system_tone("fine"))] {
        let path = folder.path().join(file).with_extension("scsyndef");
        std::fs::write(path, synthdef.file().bytes()).unwrap();
    }
    let server = booted();
    let events = server.events(EventFilter::default());
    server.load_synthdefs_directory(folder.path()).unwrap();
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let refusal = loop {
        assert!(Instant::now() < deadline, "no refusal was reported");
        if let Some(Event::SynthDefRefused(refusal)) =
            events.next_timeout(Duration::from_millis(100))
        {
            break refusal;
        }
    };
    assert_eq!((refusal.name.as_deref(), refusal.cause), (Some("odd"), no_such_ugen()));
    server.add_synth("fine", AddAction::ToHead, NO_SETTINGS).unwrap();
    server.sync().unwrap();
    assert_eq!(server.default_group().children().len(), 1);
}

fn a_joined_server() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let owner_events = owner.events(EventFilter { process_output: true, ..Default::default() });
    let client = connected(&owner);
    let events = client.events(EventFilter::default());
    let (odd, fine, big) = (odd("odd"), system_tone("fine"), large("big", 2_000));
    client.install_synthdefs([fine.file(), big.file()]).unwrap();
    // Where the server runs, nothing is printed for SynthDefs of usual UGens.
    owner.sync().unwrap();
    while let Some(event) = owner_events.try_next() {
        if let Event::ProcessOutput(line) = event {
            assert!(!line.contains("/s_new") && !line.contains("SynthDef"), "{line}");
        }
    }
    let error = client.install_synthdefs([odd.file(), fine.file()]).unwrap_err();
    assert_eq!(refusals(&error), [(Some("odd"), RefusalCause::Unknown)]);
    assert_clean(&client, &events);
}

/// The files that were written for SynthDefs above the size of a datagram.
fn temporary_files() -> usize {
    let prefix = format!("consort-{}-", std::process::id());
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let is_own = |name: &str| name.starts_with(&prefix) && name.ends_with(".scsyndef");
    entries.filter(|entry| is_own(&entry.file_name().to_string_lossy())).count()
}

fn large_synthdefs() {
    let big = large("big", 2_000);
    let size = big.file().bytes().len();
    assert!(size > 100_000, "{size}");
    // Another client's large SynthDef, of 600 KB.
    let huge = large("huge", 9_000);
    let server = booted_with(Options { memory_size: 65_536, ..options() });
    let events = server.events(EventFilter::default());
    server.install_synthdefs([big.file(), huge.file()]).unwrap();
    let synth = server.add_synth(&big, AddAction::ToHead, NO_SETTINGS).unwrap();
    server.sync().unwrap();
    assert!(synth.is_allocated());
    synth.free(true).unwrap();
    // With a completion, in a moment together with others, and one that is refused.
    let mut started = None;
    server
        .add_synthdefs_then([big.file()], |completion| {
            started = Some(completion.add_synth(&big, AddAction::ToHead, NO_SETTINGS)?);
            Ok(())
        })
        .unwrap();
    eventually("the completion of a large SynthDef", || {
        started.as_ref().is_some_and(Synth::is_allocated)
    });
    started.unwrap().free(true).unwrap();
    let refused = SynthDef::build("refused", |_| {
        for number in 0..2_000 {
            Out::ar(0, SinOsc::ar(f64::from(number) + 0.5));
        }
        Out::ar(0, RawUGen::new("NoSuchUGen", Rate::Audio).input(440.0));
    })
    .unwrap();
    let error = server.install_synthdefs([refused.file()]).unwrap_err();
    assert_eq!(refusals(&error), [(Some("refused"), no_such_ugen())]);
    assert_clean(&server, &events);
    assert!(temporary_files() >= 3);
    server.quit().unwrap();
    assert_eq!(temporary_files(), 0, "files remain");
    // They are loaded with every boot, too.
    server.set_initial_synthdefs([big.file(), system_tone("fine").file()]);
    for _ in 0..2 {
        server.boot().unwrap();
        for name in ["big", "fine"] {
            server.add_synth(name, AddAction::ToHead, NO_SETTINGS).unwrap();
        }
        server.sync().unwrap();
        assert_eq!(server.default_group().children().len(), 2);
        server.quit().unwrap();
    }
    // Over TCP no file is needed.
    let server = booted_with(Options { protocol: Protocol::Tcp, ..options() });
    server.install_synthdefs([big.file()]).unwrap();
    assert_eq!(temporary_files(), 0);
}

/// Writes SynthDef files of both versions of the format.
struct FileWriter {
    bytes: Vec<u8>,
    version: u8,
}

impl FileWriter {
    /// A count or an index: 16 bits in version 1, 32 bits in version 2.
    fn number(&mut self, number: i32) {
        match self.version {
            1 => self.bytes.extend((number as i16).to_be_bytes()),
            _ => self.bytes.extend(number.to_be_bytes()),
        }
    }

    fn string(&mut self, text: &str) {
        self.bytes.push(text.len() as u8);
        self.bytes.extend(text.as_bytes());
    }

    fn ugen(&mut self, class: &str, inputs: &[(i32, i32)], outputs: usize) {
        self.string(class);
        self.bytes.push(2);
        self.number(inputs.len() as i32);
        self.number(outputs as i32);
        self.bytes.extend([0, 0]);
        for (ugen, output) in inputs {
            self.number(*ugen);
            self.number(*output);
        }
        self.bytes.extend(std::iter::repeat_n(2u8, outputs));
    }
}

/// A kind of generated file, and whether the server accepts it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Fine,
    MissingPlugin,
    TooManyWires,
}

/// A SynthDef of about `size` bytes: pairs of an oscillator and an output, and what its kind needs.
fn generate(version: u8, name: &str, size: usize, kind: Kind) -> SynthDefFile {
    let mut writer = FileWriter { bytes: b"SCgf".to_vec(), version };
    writer.bytes.extend(i32::from(version).to_be_bytes());
    writer.bytes.extend(1i16.to_be_bytes());
    writer.string(name);
    writer.number(2);
    writer.bytes.extend(440f32.to_be_bytes());
    writer.bytes.extend(0f32.to_be_bytes());
    writer.number(0);
    writer.number(0);
    let pair = if version == 1 { 42 } else { 66 };
    let pairs = (size.saturating_sub(60) / pair).max(1) as i32;
    let extra = match kind {
        Kind::Fine => 0,
        Kind::MissingPlugin => 1,
        Kind::TooManyWires => 101,
    };
    writer.number(pairs * 2 + extra);
    for index in 0..pairs {
        writer.ugen("SinOsc", &[(-1, 0), (-1, 1)], 1);
        writer.ugen("Out", &[(-1, 1), (index * 2, 0)], 0);
    }
    match kind {
        Kind::Fine => {}
        Kind::MissingPlugin => writer.ugen("NoSuchUGen", &[(-1, 0)], 1),
        Kind::TooManyWires => {
            (0..100).for_each(|_| writer.ugen("SinOsc", &[(-1, 0), (-1, 1)], 1));
            let mut inputs = vec![(-1, 1)];
            inputs.extend((0..100).map(|index| (pairs * 2 + index, 0)));
            writer.ugen("Out", &inputs, 0);
        }
    }
    writer.bytes.extend([0, 0]);
    SynthDefFile::new(writer.bytes).unwrap()
}

/// Files from 1 KB to 600 KB, of both versions: each is loaded, or refused with the reason.
#[allow(clippy::print_stdout)] // The counts are part of the test's output.
fn generated_files() {
    let server = booted_with(Options { maximum_synthdef_count: 2_048, ..options() });
    let start = Instant::now();
    let (mut bytes, mut largest) = (0, 0);
    let mut counts = [0; 3];
    let mut batch: Vec<(SynthDefFile, Kind)> = Vec::new();
    for number in 0..520u32 {
        let version = if number % 2 == 0 { 2 } else { 1 };
        let kind = match number % 13 {
            0 | 5 => Kind::MissingPlugin,
            7 => Kind::TooManyWires,
            _ => Kind::Fine,
        };
        // From 1 KB to 600 KB, most of them small.
        let size = match number % 26 {
            25 => 600_000,
            12 => 250_000,
            3 => 90_000,
            step => 1_000 + step as usize * 2_300,
        };
        let file = generate(version, &format!("generated{number}"), size, kind);
        bytes += file.bytes().len();
        largest = largest.max(file.bytes().len());
        counts[kind as usize] += 1;
        batch.push((file, kind));
        if batch.len() < 40 {
            continue;
        }
        let expected: Vec<(String, RefusalCause)> = batch
            .iter()
            .filter(|(_, kind)| *kind != Kind::Fine)
            .map(|(file, kind)| {
                let cause = match kind {
                    Kind::MissingPlugin => no_such_ugen(),
                    _ => RefusalCause::TooFewWireBuffers,
                };
                (file.definitions()[0].name.clone(), cause)
            })
            .collect();
        let error = server.install_synthdefs(batch.iter().map(|(file, _)| file)).unwrap_err();
        let found: Vec<(String, RefusalCause)> = refusals(&error)
            .into_iter()
            .map(|(name, cause)| (name.unwrap().to_owned(), cause))
            .collect();
        assert_eq!(found, expected);
        batch.clear();
    }
    assert!(batch.is_empty());
    assert!(largest > 590_000, "{largest}");
    let loaded = server.query_status().unwrap().synthdef_count;
    assert_eq!(loaded, counts[0]);
    println!(
        "    {} files, {} KB in all, the largest {} KB: {} loaded, {} without a plugin, {} with too \
         many wires; {:.1} s",
        counts.iter().sum::<i32>(),
        bytes / 1_000,
        largest / 1_000,
        counts[0],
        counts[1],
        counts[2],
        start.elapsed().as_secs_f64()
    );
}

#[allow(clippy::print_stdout)]
fn supernova_prints_the_name() {
    let supernova = Options { executable: Some("supernova".into()), ..options() };
    if find_executable(supernova.executable.as_deref()).is_err() {
        println!("    SKIPPED: supernova is not installed");
        return;
    }
    let server = booted_with(supernova);
    let events = server.events(EventFilter::default());
    server.install_synthdefs([system_tone("fine").file()]).unwrap();
    server.add_synthdefs([odd("odd").file()]).unwrap();
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        assert!(Instant::now() < deadline, "no refusal was reported");
        if let Some(Event::SynthDefRefused(refusal)) =
            events.next_timeout(Duration::from_millis(100))
        {
            assert_eq!((refusal.name.as_deref(), refusal.cause), (Some("odd"), no_such_ugen()));
            break;
        }
    }
}

fn warnings_are_given_once() {
    let server = booted();
    let events = server.events(EventFilter::default());
    let tone = tone();
    server.install_synthdefs([&tone]).unwrap();
    let synth = server.add_synth(&tone, AddAction::ToHead, NO_SETTINGS).unwrap();
    for _ in 0..3 {
        synth.set([("frequenzy", 440.0)]).unwrap();
        synth.set([("amplitud", 0.5)]).unwrap();
    }
    // A UGen prints a warning each time that a synth of it starts.
    let delay = SynthDef::build("delay", |_| {
        // More than the server's memory.
        Out::ar(0, DelayN::ar(WhiteNoise::ar()).maximum_delay_time(100.0).delay_time(1.0));
    })
    .unwrap();
    server.install_synthdefs([delay.file()]).unwrap();
    for _ in 0..3 {
        server.add_synth(&delay, AddAction::ToHead, NO_SETTINGS).unwrap();
    }
    server.sync().unwrap();
    let mut warnings = Vec::new();
    eventually("the server's warning", || {
        while let Some(event) = events.try_next() {
            if let Event::Warning(text) = event {
                warnings.push(text);
            }
        }
        warnings.iter().any(|text| text.starts_with("the server printed: "))
    });
    for word in ["frequenzy", "amplitud`"] {
        let count = warnings.iter().filter(|text| text.contains(word)).count();
        assert_eq!(count, 1, "{warnings:?}");
    }
}
