//! Replays the corpus of every fuzz target, without a fuzzer.
//!
//! `fuzz/corpus/NAME` holds the inputs of `fuzz/fuzz_targets/NAME.rs`: seeds, and inputs that once
//! failed. The targets' functions are in the libraries, behind their feature `fuzzing`. A new
//! target needs a row in [`TARGETS`].
#![cfg(feature = "default")]
#![allow(clippy::print_stdout)] // the number of inputs is part of the result

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use consort_backends::{
    artnet, dmxusb, evdev, maweb, midi, mqtt, ola, openpixelcontrol, python, rtpmidi, sacn, sc,
    visca, worker,
};
use consort_seq::engine::exercise;

/// A fuzz target.
struct Target {
    /// The folder of its corpus, and the name of its file in `fuzz/fuzz_targets`.
    name: &'static str,
    /// The function that the fuzzer calls.
    run: fn(&[u8]),
    /// The least number of files in its corpus, so that a lost corpus is noticed.
    min_files: usize,
}

/// All fuzz targets.
const TARGETS: &[Target] = &[
    Target { name: "artnet_packet", run: artnet::fuzz::artnet_packet, min_files: 15 },
    Target { name: "config", run: config, min_files: 40 },
    Target { name: "control_line", run: consort_control::fuzz::control_line, min_files: 15 },
    Target { name: "dmxusb_messages", run: dmxusb::fuzz::dmxusb_messages, min_files: 20 },
    Target { name: "embedded_engine", run: exercise::embedded_engine, min_files: 15 },
    Target { name: "evdev_channel", run: evdev::fuzz::evdev_channel, min_files: 15 },
    Target { name: "evdev_events", run: evdev::fuzz::evdev_events, min_files: 15 },
    Target { name: "maweb_messages", run: maweb::fuzz::maweb_messages, min_files: 15 },
    Target { name: "midi_coder", run: consort_seq::midi::fuzz::midi_coder, min_files: 8 },
    Target { name: "midi_file", run: consort_seq::file::fuzz::midi_file, min_files: 25 },
    Target { name: "midi_input", run: midi::fuzz::midi_input, min_files: 10 },
    Target { name: "mqtt_packets", run: mqtt::fuzz::mqtt_packets, min_files: 7 },
    Target { name: "mqtt_payload", run: mqtt::fuzz::mqtt_payload, min_files: 12 },
    Target { name: "ola_messages", run: ola::fuzz::ola_messages, min_files: 14 },
    Target {
        name: "openpixelcontrol_messages",
        run: openpixelcontrol::fuzz::openpixelcontrol_messages,
        min_files: 14,
    },
    Target { name: "osc_decode", run: consort_osc::fuzz::osc_decode, min_files: 10 },
    Target { name: "osc_pattern", run: consort_osc::fuzz::osc_pattern, min_files: 10 },
    Target { name: "osc_stream", run: consort_osc::fuzz::osc_stream, min_files: 10 },
    Target { name: "page_client", run: consort_web::fuzz::page_client, min_files: 12 },
    Target { name: "python_protocol", run: worker::protocol::fuzz, min_files: 6 },
    Target { name: "python_scan", run: python::scan::fuzz, min_files: 6 },
    Target { name: "rtpmidi_packets", run: rtpmidi::fuzz::rtpmidi_packets, min_files: 10 },
    Target { name: "sacn_packet", run: sacn::fuzz::sacn_packet, min_files: 18 },
    Target { name: "sc_config", run: sc::fuzz::sc_config, min_files: 15 },
    Target { name: "sc_reply", run: consort_sc::fuzz::sc_reply, min_files: 150 },
    Target { name: "sc_shared_memory", run: consort_sc::fuzz::sc_shared_memory, min_files: 30 },
    Target { name: "score", run: consort_sc::fuzz::score, min_files: 12 },
    Target { name: "scsyndef", run: consort_synthdef::fuzz::scsyndef, min_files: 15 },
    Target { name: "seq_cells", run: consort_seq::client::fuzz::seq_cells, min_files: 10 },
    Target { name: "surface_phone", run: consort_web::fuzz::surface_phone, min_files: 15 },
    Target { name: "visca_replies", run: visca::fuzz::visca_replies, min_files: 12 },
];

fn config(bytes: &[u8]) {
    use consort_router::config::fuzz;

    fuzz::config(bytes, &[&fuzz::BACKEND]);
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn replay(target: &Target) {
    let folder = corpus().join(target.name);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry of the corpus").path();
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let result = catch_unwind(|| (target.run)(&bytes));
        assert!(result.is_ok(), "{} failed on {}", target.name, path.display());
        count += 1;
    }
    println!("{}: {count} files replayed", target.name);
    assert!(count >= target.min_files, "only {count} files in {}", folder.display());
}

#[test]
fn every_target_accepts_its_corpus() {
    TARGETS.iter().for_each(replay);
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    let entries = std::fs::read_dir(corpus()).expect("the corpus");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let folders: BTreeSet<String> = names.map(|name| name.expect("UTF-8")).collect();
    let targets = TARGETS.iter().map(|target| target.name);
    let known: BTreeSet<String> = targets.map(str::to_owned).collect();
    assert_eq!(folders, known);
}
