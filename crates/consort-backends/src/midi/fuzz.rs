//! The body of the fuzz target `midi_input`, which the tests run on the committed corpus. Not part
//! of the public API.

use crate::midi_grammar::channels::{Control, parse, specification};
use crate::midi_grammar::clock::{QuarterFrames, Timecode};
use crate::midi_grammar::parameters::ParameterInput;
use crate::midi_grammar::sysex::{Assembler, MAX_MESSAGE_BYTES};

/// Reads a channel's specification up to the first zero byte, and uses the rest as input: parts of
/// system exclusive messages, controllers, and quarter frames.
///
/// # Panics
/// If a value is out of range, or a specification does not survive parsing and printing.
pub fn midi_input(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    if let Ok(text) = std::str::from_utf8(&bytes[..end]) {
        check_channel(text);
    }
    let input = bytes.get(end + 1..).unwrap_or_default();
    let mut assembler = Assembler::default();
    for part in input.chunks(7) {
        if assembler.add(part) {
            if let Some(time) = Timecode::full_frame(assembler.message()) {
                assert!((0.0..1.0).contains(&time.of_day()));
            }
            assembler.clear();
        }
        assert!(assembler.message().len() <= MAX_MESSAGE_BYTES);
    }
    let mut parameters = ParameterInput::default();
    for pair in input.chunks_exact(2) {
        if let Some((_, value)) = parameters.controller(0, pair[0], pair[1] & 0x7F) {
            assert!((0.0..=1.0).contains(&value));
        }
    }
    let mut frames = QuarterFrames::default();
    for time in input.iter().filter_map(|byte| frames.add(*byte)) {
        assert!((0.0..1.0).contains(&time.of_day()));
    }
}

/// Checks a channel's specification.
fn check_channel(text: &str) {
    match parse(text) {
        Ok(Control::Exclusive(pattern)) => {
            let mut message = Vec::new();
            pattern.message(1.0, &mut message);
            assert_eq!(pattern.value(&message), Some(1.0));
        }
        Ok(control) => assert_eq!(parse(&specification(&control)), Ok(control)),
        Err(error) => {
            let (start, end) = error.range.unwrap_or((0, text.len()));
            assert!(start <= end && text.get(start..end).is_some(), "{text:?}: {error:?}");
        }
    }
}
