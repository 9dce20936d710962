//! Envelopes, lines, rate conversion, and UGens that free or pause nodes.

use super::prepare::integer_done_action;
use super::table::ugen_table;

ugen_table! {
    /// Takes one sample of an audio signal each control period.
    A2K(source) [kr] (1) [pure] { source: required }
    /// Psychoacoustic level compensation: lower frequencies get more gain.
    AmpComp(frequency) [ar kr ir] (1) [pure] { frequency: 1000.0, root: 0.0, exponent: 0.3333 }
    /// Level compensation based on the A-weighting curve.
    AmpCompA(frequency) [ar kr ir] (1) [pure] {
        frequency: 1000.0, root: 0.0, minimum_amplitude: 0.32, root_amplitude: 1.0,
    }
    /// Outputs a constant.
    DC(source) [ar kr] (1) [pure] { source: required }
    /// Outputs one after its source has finished, else zero.
    Done(source) [kr] (1) [] { source: required }
    /// Plays an envelope.
    EnvGen(envelope) [ar kr] (1) [done] {
        gate: 1.0, level_scale: 1.0, level_bias: 0.0, time_scale: 1.0, done_action: 0.0,
        envelope: list,
    }
    /// Frees a node when triggered.
    Free(node_id) [kr] (1) [] { trigger: 0.0, node_id: required }
    /// Frees its synth when triggered.
    FreeSelf(trigger) [kr] (1) [] { trigger: required }
    /// Frees its synth when the source has finished.
    FreeSelfWhenDone(source) [kr] (1) [] { source: required }
    /// Turns a control signal into an audio signal.
    K2A(source) [ar] (1) [pure] { source: required }
    /// Straight line from start to stop.
    Line(start, stop, duration) [ar kr] (1) [done] prepare(integer_done_action) {
        start: 0.0, stop: 1.0, duration: 1.0, done_action: 0.0,
    }
    /// Linear envelope with a gate.
    Linen() [kr] (1) [done] {
        gate: 1.0, attack_time: 0.01, sustain_level: 1.0, release_time: 1.0, done_action: 0.0,
    }
    /// Maps a linear range to an exponential one.
    LinExp(source) [ar kr] (1) [pure] {
        source: required, input_minimum: 0.0, input_maximum: 1.0, output_minimum: 1.0,
        output_maximum: 2.0,
    }
    /// Pauses or resumes a node.
    Pause(trigger, node_id) [kr] (1) [] { trigger: required, node_id: required }
    /// Pauses its synth when triggered.
    PauseSelf(trigger) [kr] (1) [] { trigger: required }
    /// Pauses its synth when the source has finished.
    PauseSelfWhenDone(source) [kr] (1) [] { source: required }
    /// Exponential line from start to stop.
    XLine(start, stop, duration) [ar kr] (1) [done] {
        start: 0.0, stop: 0.0, duration: 1.0, done_action: 0.0,
    }
}
