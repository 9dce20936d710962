//! Compares the MIDI coder with that of libasound, which is called through Python's ctypes: the same
//! bytes must become the same events. Needs libasound2 and python3, but no sound system.
#![allow(clippy::print_stderr)]

use std::io::Write;
use std::process::{Command, Stdio};

use consort_seq::midi::{MidiEncoder, bytes_from_event};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

/// A Python program that reads lines of hexadecimal bytes and prints the events of each line,
/// decoded to bytes again.
const ORACLE: &str = r"
import ctypes as C, sys
lib = C.CDLL('libasound.so.2')
lib.snd_midi_event_new.argtypes = [C.c_size_t, C.POINTER(C.c_void_p)]
lib.snd_midi_event_encode_byte.argtypes = [C.c_void_p, C.c_int, C.c_char_p]
lib.snd_midi_event_decode.argtypes = [C.c_void_p, C.c_char_p, C.c_long, C.c_char_p]
lib.snd_midi_event_decode.restype = C.c_long
for line in sys.stdin:
    coder = C.c_void_p()
    lib.snd_midi_event_new(1024, C.byref(coder))
    lib.snd_midi_event_no_status(coder, 1)
    out = []
    for byte in bytes.fromhex(line):
        event = C.create_string_buffer(28)
        if lib.snd_midi_event_encode_byte(coder, byte, event) == 1:
            buffer = C.create_string_buffer(2048)
            length = lib.snd_midi_event_decode(coder, buffer, 2048, event)
            out.append('%d=%s' % (event.raw[0], buffer.raw[:max(length, 0)].hex()))
    print(' '.join(out))
    lib.snd_midi_event_free(coder)
";

/// The same conversion with our coder.
fn convert(bytes: &[u8]) -> String {
    let mut events = Vec::new();
    MidiEncoder::new().encode(bytes, |event| {
        let decoded: String = bytes_from_event(&event)
            .expect("an encoded event has bytes")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        events.push(format!("{}={decoded}", event.event_type().0));
    });
    events.join(" ")
}

#[test]
fn the_coder_agrees_with_that_of_libasound() {
    let probe = "import ctypes; ctypes.CDLL('libasound.so.2')";
    let status = Command::new("python3").args(["-c", probe]).stderr(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: the_coder_agrees_with_that_of_libasound: libasound2 or python3 is missing"
        );
        assert!(std::env::var_os("CI").is_none(), "CI needs libasound2");
        return;
    }
    // Any bytes except 0xf1 to 0xf3: after a completed system common message libasound treats a
    // data byte as running status, which MIDI does not allow.
    let byte = prop_oneof![
        8 => 0u8..0x80,
        4 => 0x80u8..0xf0,
        1 => Just(0xf0u8),
        1 => Just(0xf7u8),
        1 => 0xf4u8..=0xff,
    ];
    let strategy = prop::collection::vec(byte, 0..200);
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let inputs: Vec<Vec<u8>> =
        (0..500).map(|_| strategy.new_tree(&mut runner).expect("a value").current()).collect();
    let mut oracle = Command::new("python3")
        .args(["-c", ORACLE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut text = String::new();
    for input in &inputs {
        text.extend(input.iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
    }
    let mut stdin = oracle.stdin.take().expect("stdin is a pipe");
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = oracle.wait_with_output().expect("python3 exits");
    writer.join().expect("the writer does not panic").expect("python3 reads all input");
    let answers = String::from_utf8(output.stdout).expect("the output is UTF-8");
    assert_eq!(answers.lines().count(), inputs.len());
    for (input, answer) in inputs.iter().zip(answers.lines()) {
        assert_eq!(convert(input), answer, "{input:02x?}");
    }
}
