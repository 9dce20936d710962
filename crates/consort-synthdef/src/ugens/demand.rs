//! Demand-rate sources and the UGens that read them.

use super::table::ugen_table;
use crate::signal::Signal;
use crate::spec::UGenDraft;

ugen_table! {
    /// Demand-rate random walk.
    Dbrown() [dr] (1) [] { length: (f64::INFINITY), minimum: 0.0, maximum: 1.0, step: 0.01 }
    /// Demand-rate reading of a buffer.
    Dbufrd() [dr] (1) [] { buffer_id: 0.0, phase: 0.0, looping: 1.0 }
    /// Demand-rate writing of a buffer.
    Dbufwr() [dr] (1) [] { buffer_id: 0.0, phase: 0.0, source: 0.0, looping: 1.0 }
    /// Takes the next value of each demand-rate source at each trigger.
    Demand(source) [ar kr] (by_input) [demand_consumer] prepare(one_output_for_each_source) { trigger: 0.0, reset: 0.0, source: list }
    /// Envelope whose levels, durations and shapes come from demand-rate sources.
    DemandEnvGen(level, duration) [ar kr] (1) [demand_consumer] {
        level: required, duration: required, shape: 1.0, curve: 0.0, gate: 1.0, reset: 1.0,
        level_scale: 1.0, level_bias: 0.0, time_scale: 1.0, done_action: 0.0,
    }
    /// Demand-rate geometric series.
    Dgeom() [dr] (1) [] { length: (f64::INFINITY), start: 1.0, grow: 2.0 }
    /// Demand-rate random walk over integers.
    Dibrown() [dr] (1) [] { length: (f64::INFINITY), minimum: 0.0, maximum: 12.0, step: 1.0 }
    /// Demand-rate random integers.
    Diwhite() [dr] (1) [] { length: (f64::INFINITY), minimum: 0.0, maximum: 1.0 }
    /// Demand-rate random choice from a list.
    Drand(sequence) [dr] (1) [] { repeats: 1.0, sequence: list }
    /// Resets a demand-rate source when triggered.
    Dreset(source) [dr] (1) [] { source: required, reset: 0.0 }
    /// Demand-rate sequence; `repeats` counts whole sequences.
    Dseq(sequence) [dr] (1) [] { repeats: 1.0, sequence: list }
    /// Demand-rate sequence; `repeats` counts items.
    Dser(sequence) [dr] (1) [] { repeats: 1.0, sequence: list }
    /// Demand-rate arithmetic series.
    Dseries() [dr] (1) [] { length: (f64::INFINITY), start: 1.0, step: 1.0 }
    /// Demand-rate sequence in an order shuffled once.
    Dshuf(sequence) [dr] (1) [] { repeats: 1.0, sequence: list }
    /// Demand-rate repetition of each value.
    Dstutter(source) [dr] (1) [] { n: 2.0, source: required }
    /// Demand-rate choice among sources, each played to its end.
    Dswitch(index, sequence) [dr] (1) [] { index: required, sequence: list }
    /// Demand-rate choice among sources, one value at a time.
    Dswitch1(index, sequence) [dr] (1) [] { index: required, sequence: list }
    /// Provides the same demand-rate values to several readers; some servers lack it.
    Dunique(source) [dr] (1) [] { source: required, max_buffer_size: 1024.0, protected: 1.0 }
    /// Demand-rate values, each held for a demand-rate duration.
    Duty() [ar kr] (1) [demand_consumer] { duration: 1.0, reset: 0.0, done_action: 0.0, level: 1.0 }
    /// Demand-rate random numbers.
    Dwhite() [dr] (1) [] { length: (f64::INFINITY), minimum: 0.0, maximum: 0.0 }
    /// Demand-rate weighted random choice.
    Dwrand(weights, sequence) [dr] (1) [] prepare(pad_weights) { repeats: 1.0, weights: list, sequence: list }
    /// Demand-rate random choice that never repeats the last item.
    Dxrand(sequence) [dr] (1) [] { repeats: 1.0, sequence: list }
}

/// `Demand` has one output for each source.
fn one_output_for_each_source(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    draft.outputs = draft.channels(2).len() as u16;
    Ok(())
}

/// `Dwrand` needs the number of items before weights and items, and a weight for each item.
fn pad_weights(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let sequence = draft.channels(2);
    let mut weights = draft.channels(1);
    weights.resize(sequence.len(), Signal::number(0.0));
    let mut inputs = draft.given_before(1);
    inputs.push(Signal::number(sequence.len() as f64));
    inputs.extend(weights);
    inputs.extend(sequence);
    draft.compiled_inputs = Some(inputs);
    Ok(())
}
