//! UGens of the standard server that Supriya does not list.

use super::table::ugen_table;

ugen_table! {
    /// Index of the first value of a buffer that equals the input.
    DetectIndex(buffer_id, source) [ar kr] (1) [pure] None { buffer_id: required, source: required }
    /// Looks up a buffer, without interpolation, folded at its ends.
    FoldIndex(buffer_id, source) [ar kr] (1) [pure] None { buffer_id: required, source: required }
    /// Formant oscillator: a fundamental, a formant and its width, all in hertz.
    Formant(fundamental) [ar] (1) [] None {
        fundamental: 440.0, formant: 1760.0, bandwidth: 880.0,
    }
    /// Stereo reverberator.
    FreeVerb2(left, right) [ar] (2) [] None {
        left: required, right: required, mix: 0.33, room_size: 0.5, damping: 0.5, amplitude: 1.0,
    }
    /// Reverberator with early reflections; two outputs.
    GVerb(source) [ar] (2) [] None {
        source: required, room_size: 10.0, reverb_time: 3.0, damping: 0.5, input_bandwidth: 0.5,
        spread: 15.0, dry_level: 1.0, early_level: 0.7, tail_level: 0.5, maximum_room_size: 300.0,
    }
    /// Granular synthesis with frequency modulation.
    GrainFM() [ar] (variable 1) [] None {
        trigger: 0.0, duration: 1.0, carrier_frequency: 440.0, modulator_frequency: 200.0,
        index: 1.0, pan: 0.0, envelope_buffer_id: (-1.0), maximum_overlap: 512.0,
    }
    /// Granular synthesis with sines.
    GrainSin(frequency) [ar] (variable 1) [] None {
        trigger: 0.0, duration: 1.0, frequency: 440.0, pan: 0.0, envelope_buffer_id: (-1.0),
        maximum_overlap: 512.0,
    }
    /// Plays an envelope at an index; it takes `Envelope::serialize_interpolated`.
    IEnvGen(index, envelope) [ar kr] (1) [] None { index: required, envelope: list }
    /// Index between two values of a buffer, with its fraction.
    IndexInBetween(buffer_id, source) [ar kr] (1) [pure] None {
        buffer_id: required, source: required,
    }
    /// Looks up a buffer with linear interpolation.
    IndexL(buffer_id, source) [ar kr] (1) [pure] None { buffer_id: required, source: required }
    /// Reads control buses; a value that is set counts for one control period only.
    InTrig(bus) [kr] (variable 1) [input] None { bus: 0.0 }
    /// Bank of sine oscillators with fixed frequencies: frequency, amplitude and phase of each.
    Klang(specifications) [ar] (1) [] None {
        frequency_scale: 1.0, frequency_offset: 0.0, specifications: list,
    }
    /// Reads control buses, smoothed.
    LagIn(bus) [kr] (variable 1) [input] None { bus: 0.0, lag_time: 0.1 }
    /// Pans a signal between two channels, equal amplitude.
    LinPan2(source) [ar kr] (2) [] None { source: required, position: 0.0, level: 1.0 }
    /// Linear crossfade of two signals.
    LinXFade2(in_a) [ar kr] (1) [] None { in_a: required, in_b: 0.0, pan: 0.0 }
    /// Wavetable oscillator with linear interpolation; the phase is in radians.
    Osc(buffer_id, frequency) [ar kr] (1) [pure] None {
        buffer_id: required, frequency: 440.0, phase: 0.0,
    }
    /// Wavetable oscillator without interpolation; the phase is in radians.
    OscN(buffer_id, frequency) [ar kr] (1) [pure] None {
        buffer_id: required, frequency: 440.0, phase: 0.0,
    }
    /// Convolution with a long impulse response that was prepared in a buffer.
    PartConv(source, fft_size, buffer_id) [ar] (1) [] None {
        source: required, fft_size: required, buffer_id: required,
    }
    /// Counts triggers.
    PulseCount(trigger) [ar kr] (1) [] None { trigger: required, reset: 0.0 }
    /// One trigger for every so many.
    PulseDivider(trigger) [ar kr] (1) [] None { trigger: required, divisor: 2.0, start: 0.0 }
    /// Resonant filter with two poles and two zeros, of constant gain at its peak.
    Resonz(source, frequency) [ar kr] (1) [pure same_rate] None {
        source: required, frequency: 440.0, bandwidth_ratio: 1.0,
    }
    /// One from a trigger on until the next reset.
    SetResetFF(trigger) [ar kr] (1) [] None { trigger: required, reset: 0.0 }
    /// Shapes a signal by a table of a buffer.
    Shaper(buffer_id, source) [ar kr] (1) [pure] None { buffer_id: required, source: required }
    /// Sine oscillator that modulates its own phase.
    SinOscFB(frequency) [ar kr] (1) [] None { frequency: 440.0, feedback: 0.0 }
    /// Goes a step further at each trigger, from the highest value back to the lowest.
    Stepper(trigger) [ar kr] (1) [] StepperReset {
        trigger: required, reset: 0.0, minimum: 0.0, maximum: 7.0, step: 1.0, reset_value: auto,
    }
    /// Turns a control trigger into an audio trigger at a sample of the control period.
    T2A(source) [ar] (1) [] None { source: required, offset: 0.0 }
    /// Turns an audio trigger into a control trigger.
    T2K(source) [kr] (1) [] None { source: required }
    /// Triggers after demand-rate durations, with demand-rate values.
    TDuty() [ar kr] (1) [asks] None {
        duration: 1.0, reset: 0.0, done_action: 0.0, level: 1.0, gap_first: 0.0,
    }
    /// Granular synthesis from a buffer of one channel, panned; at least two outputs.
    TGrains(buffer_id) [ar] (variable 2) [] None {
        trigger: 0.0, buffer_id: required, rate: 1.0, center_position: 0.0, duration: 0.1,
        pan: 0.0, amplitude: 0.1, interpolation: 4.0,
    }
    /// Seconds between triggers.
    Timer(trigger) [ar kr] (1) [] None { trigger: required }
}
