//! Oscillators: sine, tables, band-limited and low-frequency waves, stochastic synthesis.

use super::prepare::{copy_previous, integer_done_action};
use super::table::ugen_table;

ugen_table! {
    /// Band-limited impulse train with a given number of harmonics.
    Blip(frequency) [ar kr] (1) [] { frequency: 440.0, harmonic_count: 200.0 }
    /// Chorusing wavetable oscillator: two detuned readers of one wavetable.
    COsc(buffer_id, frequency) [ar kr] (1) [pure] { buffer_id: required, frequency: 440.0, beats: 0.5 }
    /// Maps a scale degree to a key through a scale in a buffer.
    DegreeToKey(buffer_id, source) [ar kr] (1) [pure] {
        buffer_id: required, source: required, octave: 12.0,
    }
    /// Fast sine oscillator, made from a ringing filter.
    FSinOsc(frequency) [ar kr] (1) [] { frequency: 440.0, initial_phase: 0.0 }
    /// Dynamic stochastic synthesis by Xenakis's method.
    Gendy1() [ar kr] (1) [] prepare(copy_previous) {
        amplitude_distribution: 1.0, duration_distribution: 1.0, amplitude_parameter: 1.0,
        duration_parameter: 1.0, minimum_frequency: 440.0, maximum_frequency: 660.0,
        amplitude_scale: 0.5, duration_scale: 0.5, initial_control_points: 12.0,
        control_points: auto,
    }
    /// Dynamic stochastic synthesis with a Lehmer generator.
    Gendy2() [ar kr] (1) [] prepare(copy_previous) {
        amplitude_distribution: 1.0, duration_distribution: 1.0, amplitude_parameter: 1.0,
        duration_parameter: 1.0, minimum_frequency: 440.0, maximum_frequency: 660.0,
        amplitude_scale: 0.5, duration_scale: 0.5, initial_control_points: 12.0,
        control_points: auto, a: 1.17, c: 0.31,
    }
    /// Dynamic stochastic synthesis normalised to one frequency.
    Gendy3() [ar kr] (1) [] prepare(copy_previous) {
        amplitude_distribution: 1.0, duration_distribution: 1.0, amplitude_parameter: 1.0,
        duration_parameter: 1.0, frequency: 440.0, amplitude_scale: 0.5, duration_scale: 0.5,
        initial_control_points: 12.0, control_points: auto,
    }
    /// Single-sample impulses.
    Impulse(frequency) [ar kr] (1) [pure] { frequency: 440.0, phase: 0.0 }
    /// Looks up a buffer, without interpolation, clipped at its ends.
    Index(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Bank of resonators with fixed frequencies.
    Klank(source, specifications) [ar] (1) [] {
        source: required, frequency_scale: 1.0, frequency_offset: 0.0, decay_scale: 1.0,
        specifications: list,
    }
    /// Sine-like wave from two cubic pieces.
    LFCub(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0 }
    /// Gaussian curve, repeated or played once.
    LFGauss() [ar kr] (1) [pure] prepare(integer_done_action) {
        duration: 1.0, width: 0.1, initial_phase: 0.0, looping: 1.0, done_action: 0.0,
    }
    /// Parabolic wave.
    LFPar(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0 }
    /// Pulse wave, not band-limited.
    LFPulse(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0, width: 0.5 }
    /// Sawtooth, not band-limited.
    LFSaw(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0 }
    /// Triangle wave, not band-limited.
    LFTri(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0 }
    /// Band-limited pulse wave.
    Pulse(frequency) [ar kr] (1) [] { frequency: 440.0, width: 0.5 }
    /// Band-limited sawtooth.
    Saw(frequency) [ar kr] (1) [pure] { frequency: 440.0 }
    /// Chooses one of several signals by index.
    Select(selector, sources) [ar kr] (1) [pure] { selector: required, sources: list }
    /// Sine oscillator; the phase is in radians.
    SinOsc(frequency) [ar kr] (1) [pure] { frequency: 440.0, phase: 0.0 }
    /// Sawtooth, hard-synchronised to another oscillator.
    SyncSaw() [ar kr] (1) [pure] { sync_frequency: 440.0, saw_frequency: 440.0 }
    /// Sawtooth of variable duty cycle, up to a triangle, not band-limited.
    VarSaw(frequency) [ar kr] (1) [pure] { frequency: 440.0, initial_phase: 0.0, width: 0.5 }
    /// Frequency with vibrato.
    Vibrato(frequency) [ar kr] (1) [pure] {
        frequency: 440.0, rate: 6.0, depth: 0.02, delay: 0.0, onset: 0.0, rate_variation: 0.04,
        depth_variation: 0.1, initial_phase: 0.0,
    }
    /// Wavetable oscillator that crossfades between neighbouring buffers.
    VOsc(buffer_id, frequency) [ar kr] (1) [pure] { buffer_id: required, frequency: 440.0, phase: 0.0 }
    /// Three wavetable oscillators that crossfade between neighbouring buffers.
    VOsc3(buffer_id) [ar kr] (1) [pure] {
        buffer_id: required, frequency_1: 110.0, frequency_2: 220.0, frequency_3: 440.0,
    }
    /// Looks up a buffer, without interpolation, wrapped at its ends.
    WrapIndex(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
}
