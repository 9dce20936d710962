//! Delays, convolution, Hilbert transforms and physical models.

use super::table::ugen_table;

ugen_table! {
    /// All-pass delay line with cubic interpolation.
    AllpassC(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// All-pass delay line with linear interpolation.
    AllpassL(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// All-pass delay line without interpolation.
    AllpassN(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// Model of a ball that bounces on a moving surface.
    Ball(source) [ar kr] (1) [] { source: required, gravity: 1.0, damping: 0.0, friction: 0.01 }
    /// All-pass delay in a buffer, cubic interpolation.
    BufAllpassC(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// All-pass delay in a buffer, linear interpolation.
    BufAllpassL(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// All-pass delay in a buffer, without interpolation.
    BufAllpassN(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// Comb delay in a buffer, cubic interpolation.
    BufCombC(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// Comb delay in a buffer, linear interpolation.
    BufCombL(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// Comb delay in a buffer, without interpolation.
    BufCombN(buffer_id, source) [ar] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2, decay_time: 1.0,
    }
    /// Delay in a buffer, cubic interpolation.
    BufDelayC(buffer_id, source) [ar kr] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2,
    }
    /// Delay in a buffer, linear interpolation.
    BufDelayL(buffer_id, source) [ar kr] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2,
    }
    /// Delay in a buffer, without interpolation.
    BufDelayN(buffer_id, source) [ar kr] (1) [pure] {
        buffer_id: required, source: required, delay_time: 0.2,
    }
    /// Comb delay line with cubic interpolation.
    CombC(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// Comb delay line with linear interpolation.
    CombL(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// Comb delay line without interpolation.
    CombN(source) [ar kr] (1) [pure] {
        source: required, maximum_delay_time: 0.2, delay_time: 0.2, decay_time: 1.0,
    }
    /// Real-time convolution of two running signals.
    Convolution(source, kernel) [ar] (1) [] { source: required, kernel: required, frame_size: 512.0 }
    /// Convolution with a buffer, which is read again at each trigger.
    Convolution2(source, kernel) [ar] (1) [] {
        source: required, kernel: required, trigger: 0.0, frame_size: 2048.0,
    }
    /// Convolution with a buffer, which is read again with a crossfade at each trigger.
    Convolution2L(source, kernel) [ar] (1) [] {
        source: required, kernel: required, trigger: 0.0, frame_size: 2048.0, crossfade: 1.0,
    }
    /// Time-domain convolution with a buffer; slow, so best at control rate.
    Convolution3(source, kernel) [ar kr] (1) [] {
        source: required, kernel: required, trigger: 0.0, frame_size: 2048.0,
    }
    /// Delay by one sample.
    Delay1(source) [ar kr] (1) [pure] { source: required }
    /// Delay by two samples.
    Delay2(source) [ar kr] (1) [pure] { source: required }
    /// Delay line with cubic interpolation.
    DelayC(source) [ar kr] (1) [pure] { source: required, maximum_delay_time: 0.2, delay_time: 0.2 }
    /// Delay line with linear interpolation.
    DelayL(source) [ar kr] (1) [pure] { source: required, maximum_delay_time: 0.2, delay_time: 0.2 }
    /// Delay line without interpolation.
    DelayN(source) [ar kr] (1) [pure] { source: required, maximum_delay_time: 0.2, delay_time: 0.2 }
    /// Reads a tap of a delay line that `DelTapWr` writes.
    DelTapRd(buffer_id, phase) [ar kr] (1) [pure] {
        buffer_id: required, phase: required, delay_time: 0.0, interpolation: 1.0,
    }
    /// Writes a delay line for taps; its output is the phase.
    DelTapWr(buffer_id, source) [ar kr] (1) [pure] { buffer_id: required, source: required }
    /// Shifts all frequencies by an amount in hertz.
    FreqShift(source, frequency) [ar] (1) [] { source: required, frequency: 0.0, phase: 0.0 }
    /// Two outputs ninety degrees apart, by all-pass filters.
    Hilbert(source) [ar] (2) [] { source: required }
    /// Karplus-Strong plucked string.
    Pluck(source, trigger) [ar] (1) [] {
        source: required, trigger: required, maximum_delay_time: 0.2, delay_time: 0.2,
        decay_time: 1.0, coefficient: 0.5,
    }
    /// Model of a resonating spring.
    Spring(source) [ar kr] (1) [] { source: required, spring: 1.0, damping: 0.0 }
    /// Outputs the impacts of a ball that bounces on a moving surface.
    TBall(source) [ar kr] (1) [] { source: required, gravity: 10.0, damping: 0.0, friction: 0.01 }
}
