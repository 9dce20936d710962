//! Triggers, ranges, followers, and messages to the clients.

use super::table::ugen_table;

ugen_table! {
    /// Limits a signal to a range.
    Clip(source) [ar kr ir] (1) [] None { source: required, minimum: 0.0, maximum: 1.0 }
    /// Folds a signal back into a range.
    Fold(source) [ar kr ir] (1) [] None { source: required, minimum: 0.0, maximum: 1.0 }
    /// Lets a signal through while the trigger is above zero.
    Gate(source) [ar kr] (1) [] None { source: required, trigger: 0.0 }
    /// One while the signal lies within a range.
    InRange(source) [ar kr ir] (1) [] None { source: required, minimum: 0.0, maximum: 1.0 }
    /// Samples and holds at each trigger.
    Latch(source) [ar kr] (1) [] None { source: required, trigger: 0.0 }
    /// The one of two signals that changed least.
    LeastChange() [ar kr] (1) [] None { a: 0.0, b: 0.0 }
    /// The one of two signals that changed most.
    MostChange() [ar kr] (1) [] None { a: 0.0, b: 0.0 }
    /// Largest absolute value since the last trigger.
    Peak(source) [ar kr] (1) [] None { source: required, trigger: 0.0 }
    /// Follows peaks, with decay.
    PeakFollower(source) [ar kr] (1) [] None { source: required, decay: 0.999 }
    /// Ramp between two values, with reset.
    Phasor() [ar kr] (1) [] None { trigger: 0.0, rate: 1.0, start: 0.0, stop: 1.0, reset_position: 0.0 }
    /// Prints a value at each trigger, or sends it as `/tr`.
    Poll(trigger, source) [ar kr] (1) [] Poll {
        trigger: required, source: required, trigger_id: (-1.0), label: auto_list,
    }
    /// Largest value since the last trigger.
    RunningMax(source) [ar kr] (1) [] None { source: required, trigger: 0.0 }
    /// Smallest value since the last trigger.
    RunningMin(source) [ar kr] (1) [] None { source: required, trigger: 0.0 }
    /// Schmitt trigger: switches at two thresholds.
    Schmidt(source) [ar kr ir] (1) [] None { source: required, minimum: 0.0, maximum: 1.0 }
    /// Sends peak and power of signals to the clients.
    SendPeakRMS(source) [ar kr] (0) [] SendPeakRms {
        reply_rate: 20.0, peak_lag: 3.0, reply_id: (-1.0), source: list, command_name: auto_list,
    }
    /// Sends values to the clients at each trigger.
    SendReply(trigger, source) [ar kr] (0) [] SendReply {
        trigger: required, reply_id: (-1.0), command_name: auto_list, source: list,
    }
    /// Sends `/tr` to the clients at each trigger.
    SendTrig(trigger) [ar kr] (1) [] None { trigger: required, id: 0.0, value: 0.0 }
    /// Ramp that starts anew at each trigger.
    Sweep() [ar kr] (1) [] None { trigger: 0.0, rate: 1.0 }
    /// Delays a trigger.
    TDelay(source) [ar kr] (1) [] None { source: required, duration: 0.1 }
    /// Flips between zero and one at each trigger.
    ToggleFF() [ar kr] (1) [] None { trigger: 0.0 }
    /// Holds the trigger's value for a time.
    Trig(source) [ar kr] (1) [] None { source: required, duration: 0.1 }
    /// One for a time after each trigger.
    Trig1(source) [ar kr] (1) [] None { source: required, duration: 0.1 }
    /// Wraps a signal into a range.
    Wrap(source) [ar kr ir] (1) [] None { source: required, minimum: 0.0, maximum: 1.0 }
    /// Frequency by the time between zero crossings.
    ZeroCrossing(source) [ar kr] (1) [] None { source: required }
}
