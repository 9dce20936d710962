//! UGens of the standard server that Supriya does not list.

use super::table::ugen_table;
use crate::spec::UGenDraft;

ugen_table! {
    /// Index of the first value of a buffer that equals the input.
    DetectIndex(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Looks up a buffer, without interpolation, folded at its ends.
    FoldIndex(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Formant oscillator: a fundamental, a formant and its width, all in hertz.
    Formant(fundamental) [ar] (1) [] {
        fundamental: 440.0, formant: 1760.0, bandwidth: 880.0,
    }
    /// Stereo reverberator.
    FreeVerb2(left, right) [ar] (2) [] {
        left: required, right: required, mix: 0.33, room_size: 0.5, damping: 0.5, amplitude: 1.0,
    }
    /// Reverberator with early reflections; two outputs.
    GVerb(source) [ar] (2) [] {
        source: required, room_size: 10.0, reverb_time: 3.0, damping: 0.5, input_bandwidth: 0.5,
        spread: 15.0, dry_level: 1.0, early_level: 0.7, tail_level: 0.5, maximum_room_size: 300.0,
    }
    /// Granular synthesis with frequency modulation.
    GrainFM() [ar] (variable 1) [] {
        trigger: 0.0, duration: 1.0, carrier_frequency: 440.0, modulator_frequency: 200.0,
        index: 1.0, pan: 0.0, envelope_buffer_id: (-1.0), maximum_overlap: 512.0,
    }
    /// Granular synthesis with sines.
    GrainSin(frequency) [ar] (variable 1) [] {
        trigger: 0.0, duration: 1.0, frequency: 440.0, pan: 0.0, envelope_buffer_id: (-1.0),
        maximum_overlap: 512.0,
    }
    /// Reads an envelope at an index; takes `Envelope::serialize_interpolated`.
    IEnvGen(index, envelope) [ar kr] (1) [] { index: required, envelope: list }
    /// Index between two values of a buffer, with its fraction.
    IndexInBetween(buffer_id, source) [ar kr] (1) [pure] {
        buffer_id: required, source: required,
    }
    /// Looks up a buffer with linear interpolation.
    IndexL(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Reads control buses; a value that is set lasts for one control period.
    InTrig(bus) [kr] (variable 1) [input] { bus: 0.0 }
    /// Bank of sine oscillators with fixed frequencies: frequency, amplitude and phase of each.
    Klang(specifications) [ar] (1) [] {
        frequency_scale: 1.0, frequency_offset: 0.0, specifications: list,
    }
    /// Reads control buses, smoothed.
    LagIn(bus) [kr] (variable 1) [input] { bus: 0.0, lag_time: 0.1 }
    /// Pans a signal between two channels, equal amplitude.
    LinPan2(source) [ar kr] (2) [] { source: required, position: 0.0, level: 1.0 }
    /// Linear crossfade of two signals.
    LinXFade2(in_a) [ar kr] (1) [] { in_a: required, in_b: 0.0, pan: 0.0 }
    /// Wavetable oscillator with linear interpolation; the phase is in radians.
    Osc(buffer_id, frequency) [ar kr] (1) [pure] {
        buffer_id: required, frequency: 440.0, phase: 0.0,
    }
    /// Wavetable oscillator without interpolation; the phase is in radians.
    OscN(buffer_id, frequency) [ar kr] (1) [pure] {
        buffer_id: required, frequency: 440.0, phase: 0.0,
    }
    /// Convolution with a long impulse response, which is prepared in a buffer.
    PartConv(source, fft_size, buffer_id) [ar] (1) [] {
        source: required, fft_size: required, buffer_id: required,
    }
    /// Counts triggers.
    PulseCount(trigger) [ar kr] (1) [] { trigger: required, reset: 0.0 }
    /// Outputs one trigger for every `divisor` triggers.
    PulseDivider(trigger) [ar kr] (1) [] { trigger: required, divisor: 2.0, start: 0.0 }
    /// Resonant filter with two poles and two zeros, of constant gain at its peak.
    Resonz(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, bandwidth_ratio: 1.0,
    }
    /// Flip-flop: outputs one after a trigger and zero after a reset.
    SetResetFF(trigger) [ar kr] (1) [] { trigger: required, reset: 0.0 }
    /// Waveshaper: looks a signal up in a table in a buffer.
    Shaper(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Sine oscillator that modulates its own phase.
    SinOscFB(frequency) [ar kr] (1) [] { frequency: 440.0, feedback: 0.0 }
    /// Counts up by a step at each trigger and wraps beyond the highest value.
    Stepper(trigger) [ar kr] (1) [] prepare(default_reset_value) {
        trigger: required, reset: 0.0, minimum: 0.0, maximum: 7.0, step: 1.0, reset_value: auto,
    }
    /// Converts a control-rate trigger to audio rate, at a sample of the control period.
    T2A(source) [ar] (1) [] { source: required, offset: 0.0 }
    /// Converts an audio-rate trigger to control rate.
    T2K(source) [kr] (1) [] { source: required }
    /// Outputs demand-rate values as triggers, separated by demand-rate durations.
    TDuty() [ar kr] (1) [demand_consumer] {
        duration: 1.0, reset: 0.0, done_action: 0.0, level: 1.0, gap_first: 0.0,
    }
    /// Granular synthesis from a buffer of one channel, panned; at least two outputs.
    TGrains(buffer_id) [ar] (variable 2) [] {
        trigger: 0.0, buffer_id: required, rate: 1.0, center_position: 0.0, duration: 0.1,
        pan: 0.0, amplitude: 0.1, interpolation: 4.0,
    }
    /// Measures the seconds between triggers.
    Timer(trigger) [ar kr] (1) [] { trigger: required }
}

/// `Stepper` starts again at its lowest value if no other is given.
fn default_reset_value(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    draft.inputs[5] = draft.inputs[5].or(draft.inputs[2]);
    Ok(())
}
