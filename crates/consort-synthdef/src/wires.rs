//! How many wire buffers a SynthDef needs.
//!
//! The server keeps each audio-rate output in a wire buffer until its last reader has run. A UGen
//! that permits it writes its outputs to the buffers of inputs that nobody reads any more; which
//! UGens permit it is up to the server, so that only bounds are known here.

use crate::model::{CompiledInput, CompiledUGen};
use crate::rate::Rate;

/// The least and the greatest number of wire buffers that the UGens may need, in their order of
/// execution.
pub(crate) fn wire_buffers(ugens: &[CompiledUGen]) -> (u32, u32) {
    let mut readers: Vec<Vec<u32>> = ugens.iter().map(|ugen| vec![0; ugen.outputs.len()]).collect();
    let audio_input = |input: &CompiledInput| match input {
        CompiledInput::Output { ugen, output } => {
            let (ugen, output) = (*ugen as usize, *output as usize);
            let rate = ugens.get(ugen).and_then(|source| source.outputs.get(output));
            (rate == Some(&Rate::Audio)).then_some((ugen, output))
        }
        CompiledInput::Constant(_) => None,
    };
    for (ugen, output) in ugens.iter().flat_map(|ugen| ugen.inputs.iter().filter_map(audio_input)) {
        readers[ugen][output] += 1;
    }
    let remaining = readers.clone();
    let used = |ugen: usize| {
        let outputs = ugens[ugen].outputs.iter().zip(&remaining[ugen]);
        let audio = outputs.filter(|(rate, _)| **rate == Rate::Audio);
        let all = audio.clone().count() as u32;
        (audio.filter(|(_, readers)| **readers > 0).count() as u32, all)
    };
    let (mut in_use, mut unread) = (0, 0);
    let (mut least, mut greatest) = (0, 0);
    for (index, ugen) in ugens.iter().enumerate() {
        let mut released = 0;
        for (source, output) in ugen.inputs.iter().filter_map(audio_input) {
            readers[source][output] -= 1;
            released += u32::from(readers[source][output] == 0);
        }
        let (read, all) = used(index);
        // Outputs that nobody reads may keep a buffer for good.
        greatest = greatest.max(in_use + unread + all);
        in_use = in_use - released + read;
        unread += all - read;
        least = least.max(in_use);
    }
    (least, greatest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn bounds(build: impl FnOnce(&Controls)) -> (u32, u32) {
        wire_buffers(&SynthDef::build("test", build).unwrap().ugens())
    }

    #[test]
    fn outputs_are_kept_until_their_last_reader() {
        assert_eq!(bounds(|_| drop(Out::ar(0, SinOsc::ar(440.0)))), (1, 1));
        let parallel = bounds(|_| {
            let sines: Vec<Signal> =
                (0..100).map(|index| SinOsc::ar(f64::from(index)).signal()).collect();
            Out::ar(0, sines);
        });
        assert_eq!(parallel, (100, 100));
        // One after another they share a buffer.
        let serial = bounds(|_| {
            for index in 0..100 {
                Out::ar(0, SinOsc::ar(f64::from(index)));
            }
        });
        assert_eq!(serial, (1, 1));
        // A filter may write to the buffer of its input.
        let filtered = bounds(|_| drop(Out::ar(0, LPF::ar(SinOsc::ar(440.0), 500.0))));
        assert_eq!(filtered, (1, 2));
        // Signals of the control rate need no wire buffers, and unread outputs count above only.
        let (least, greatest) = bounds(|_| {
            let both = Pan2::ar(SinOsc::ar(SinOsc::kr(1.0))).signal();
            Out::ar(0, both.channel(0));
        });
        assert!(least <= 2 && (2..=3).contains(&greatest), "{least} {greatest}");
    }
}
