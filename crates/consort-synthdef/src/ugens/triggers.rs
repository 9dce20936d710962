//! Triggers, ranges, followers, and messages to the clients.

use super::table::ugen_table;
use crate::signal::Signal;
use crate::spec::{UGenDraft, text_signals};

ugen_table! {
    /// Limits a signal to a range.
    Clip(source) [ar kr ir] (1) [] { source: required, minimum: 0.0, maximum: 1.0 }
    /// Folds a signal back into a range.
    Fold(source) [ar kr ir] (1) [] { source: required, minimum: 0.0, maximum: 1.0 }
    /// Passes a signal while the trigger is above zero, and holds its last value otherwise.
    Gate(source) [ar kr] (1) [] { source: required, trigger: 0.0 }
    /// Outputs one while a signal is within a range, else zero.
    InRange(source) [ar kr ir] (1) [] { source: required, minimum: 0.0, maximum: 1.0 }
    /// Samples a signal at each trigger and holds the value.
    Latch(source) [ar kr] (1) [] { source: required, trigger: 0.0 }
    /// Outputs the one of two signals that changed least.
    LeastChange() [ar kr] (1) [] { a: 0.0, b: 0.0 }
    /// Outputs the one of two signals that changed most.
    MostChange() [ar kr] (1) [] { a: 0.0, b: 0.0 }
    /// Largest absolute value since the last trigger.
    Peak(source) [ar kr] (1) [] { source: required, trigger: 0.0 }
    /// Follows peaks; the output decays between them.
    PeakFollower(source) [ar kr] (1) [] { source: required, decay: 0.999 }
    /// Ramp between two values, with reset.
    Phasor() [ar kr] (1) [] { trigger: 0.0, rate: 1.0, start: 0.0, stop: 1.0, reset_position: 0.0 }
    /// Prints a value at each trigger, or sends it as `/tr`.
    Poll(trigger, source) [ar kr] (1) [] prepare(append_label) {
        trigger: required, source: required, trigger_id: (-1.0), label: auto_list,
    }
    /// Largest value since the last trigger.
    RunningMax(source) [ar kr] (1) [] { source: required, trigger: 0.0 }
    /// Smallest value since the last trigger.
    RunningMin(source) [ar kr] (1) [] { source: required, trigger: 0.0 }
    /// Schmitt trigger: switches at two thresholds.
    Schmidt(source) [ar kr ir] (1) [] { source: required, minimum: 0.0, maximum: 1.0 }
    /// Sends the peak and RMS levels of signals to the clients.
    SendPeakRMS(source) [ar kr] (0) [] prepare(count_sources) {
        reply_rate: 20.0, peak_lag: 3.0, reply_id: (-1.0), source: list, command_name: auto_list,
    }
    /// Sends values to the clients at each trigger.
    SendReply(trigger, source) [ar kr] (0) [] prepare(insert_reply_name) {
        trigger: required, reply_id: (-1.0), command_name: auto_list, source: list,
    }
    /// Sends `/tr` to the clients at each trigger.
    SendTrig(trigger) [ar kr] (1) [] { trigger: required, id: 0.0, value: 0.0 }
    /// Ramp that restarts at each trigger.
    Sweep() [ar kr] (1) [] { trigger: 0.0, rate: 1.0 }
    /// Delays a trigger.
    TDelay(source) [ar kr] (1) [] { source: required, duration: 0.1 }
    /// Toggles between zero and one at each trigger.
    ToggleFF() [ar kr] (1) [] { trigger: 0.0 }
    /// Outputs the trigger's value for a given time after each trigger.
    Trig(source) [ar kr] (1) [] { source: required, duration: 0.1 }
    /// Outputs one for a given time after each trigger.
    Trig1(source) [ar kr] (1) [] { source: required, duration: 0.1 }
    /// Wraps a signal into a range.
    Wrap(source) [ar kr ir] (1) [] { source: required, minimum: 0.0, maximum: 1.0 }
    /// Estimates a frequency from the time between zero crossings.
    ZeroCrossing(source) [ar kr] (1) [] { source: required }
}

/// The label of `Poll` is preceded by its length; by default it is the source's name.
fn append_label(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let label = match (draft.inputs[3], draft.inputs[1]) {
        (Some(_), _) => draft.channels(3),
        (None, Some(source)) => text_signals(&draft.graph.source_name(source)),
        (None, None) => Vec::new(),
    };
    let mut inputs = draft.given_before(3);
    inputs.push(Signal::number(label.len() as f64));
    inputs.extend(label);
    draft.compiled_inputs = Some(inputs);
    Ok(())
}

/// The reply's name of `SendReply` is preceded by its length and followed by the values.
fn insert_reply_name(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let name = reply_name(draft, 2);
    let mut inputs = draft.given_before(2);
    inputs.push(Signal::number(name.len() as f64));
    inputs.extend(name);
    inputs.extend(draft.channels(3));
    draft.compiled_inputs = Some(inputs);
    Ok(())
}

/// The sources and the reply's name of `SendPeakRMS` are both preceded by their number.
fn count_sources(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let name = reply_name(draft, 4);
    let sources = draft.channels(3);
    let mut inputs = draft.given_before(3);
    inputs.push(Signal::number(sources.len() as f64));
    inputs.extend(sources);
    inputs.push(Signal::number(name.len() as f64));
    inputs.extend(name);
    draft.compiled_inputs = Some(inputs);
    Ok(())
}

/// The address of a reply; `/reply` if none is given.
fn reply_name(draft: &UGenDraft<'_>, position: usize) -> Vec<Signal> {
    match draft.inputs[position] {
        Some(_) => draft.channels(position),
        None => text_signals("/reply"),
    }
}
