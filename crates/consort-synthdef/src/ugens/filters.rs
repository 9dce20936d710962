//! Filters, equalisers, dynamics, smoothing and safety.

use super::table::ugen_table;
use crate::rate::Rate;
use crate::signal::Signal;
use crate::spec::UGenDraft;

ugen_table! {
    /// Follows the amplitude of a signal, with separate attack and release.
    Amplitude(source) [ar kr] (1) [] { source: required, attack_time: 0.01, release_time: 0.01 }
    /// Second-order all-pass filter, set by pole angle and radius.
    APF(source, frequency) [ar kr] (1) [pure same_rate] { source: required, frequency: 440.0, radius: 0.8 }
    /// Second-order all-pass section (equaliser family).
    BAllPass(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_q: 1.0,
    }
    /// Second-order band-pass section (equaliser family), bandwidth in octaves.
    BBandPass(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, bandwidth: 1.0,
    }
    /// Second-order band-stop section (equaliser family), bandwidth in octaves.
    BBandStop(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, bandwidth: 1.0,
    }
    /// Second-order high-pass section (equaliser family).
    BHiPass(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_q: 1.0,
    }
    /// Second-order high shelf (equaliser family), gain in decibels.
    BHiShelf(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_s: 1.0, gain: 0.0,
    }
    /// Second-order low-pass section (equaliser family).
    BLowPass(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_q: 1.0,
    }
    /// Second-order low shelf (equaliser family), gain in decibels.
    BLowShelf(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_s: 1.0, gain: 0.0,
    }
    /// Second-order peaking section (equaliser family), gain in decibels.
    BPeakEQ(source, frequency) [ar] (1) [pure same_rate] {
        source: required, frequency: 1200.0, reciprocal_of_q: 1.0, gain: 0.0,
    }
    /// Second-order band-pass filter.
    BPF(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, reciprocal_of_q: 1.0,
    }
    /// Band-pass with fixed mid frequency, two zeros.
    BPZ2(source) [ar kr] (1) [pure same_rate] { source: required }
    /// Second-order band-reject filter.
    BRF(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, reciprocal_of_q: 1.0,
    }
    /// Band-reject with fixed mid frequency, two zeros.
    BRZ2(source) [ar kr] (1) [pure same_rate] { source: required }
    /// Reports infinite, not-a-number and denormal values.
    CheckBadValues(source) [ar kr] (1) [] prepare(check_post_mode) { source: required, ugen_id: 0.0, post_mode: 2.0 }
    /// Compressor, expander, limiter and gate, set by thresholds and slopes.
    Compander(source) [ar] (1) [] {
        source: required, control: 0.0, threshold: 0.5, slope_below: 1.0, slope_above: 1.0,
        clamp_time: 0.01, relax_time: 0.1,
    }
    /// Exponential decay of impulses; `decay_time` is the time to fall by 60 dB.
    Decay(source) [ar kr] (1) [pure same_rate] { source: required, decay_time: 1.0 }
    /// Exponential decay with an attack.
    Decay2(source) [ar kr] (1) [pure same_rate] { source: required, attack_time: 0.01, decay_time: 1.0 }
    /// Performs its done action when a signal has been silent for some time.
    DetectSilence(source) [ar kr] (1) [same_rate] {
        source: required, threshold: 0.0001, time: 0.1, done_action: 0.0,
    }
    /// Filter whose impulse response resembles a vocal formant.
    Formlet(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, attack_time: 1.0, decay_time: 1.0,
    }
    /// General first-order filter section.
    FOS(source) [ar kr] (1) [pure same_rate] { source: required, a0: 0.0, a1: 0.0, b1: 0.0 }
    /// Mono reverberator.
    FreeVerb(source) [ar] (1) [] { source: required, mix: 0.33, room_size: 0.5, damping: 0.5 }
    /// Second-order Butterworth high-pass filter.
    HPF(source, frequency) [ar kr] (1) [pure same_rate] { source: required, frequency: 440.0 }
    /// Half the difference of two samples (one zero).
    HPZ1(source) [ar kr] (1) [pure same_rate] { source: required }
    /// High-pass with two zeros.
    HPZ2(source) [ar kr] (1) [pure same_rate] { source: required }
    /// Leaky integrator.
    Integrator(source) [ar kr] (1) [pure same_rate] { source: required, coefficient: 1.0 }
    /// Exponential smoothing; `lag_time` is the time to come within 60 dB of the target.
    Lag(source, lag_time) [ar kr] (1) [pure same_rate] { source: required, lag_time: 0.1 }
    /// Exponential smoothing, applied twice.
    Lag2(source, lag_time) [ar kr] (1) [pure same_rate] { source: required, lag_time: 0.1 }
    /// Exponential smoothing with separate times up and down, applied twice.
    Lag2UD(source) [ar kr] (1) [pure same_rate] { source: required, lag_time_up: 0.1, lag_time_down: 0.1 }
    /// Exponential smoothing, applied three times.
    Lag3(source, lag_time) [ar kr] (1) [pure same_rate] { source: required, lag_time: 0.1 }
    /// Exponential smoothing with separate times up and down, applied three times.
    Lag3UD(source) [ar kr] (1) [pure same_rate] { source: required, lag_time_up: 0.1, lag_time_down: 0.1 }
    /// Exponential smoothing with separate times up and down.
    LagUD(source) [ar kr] (1) [pure same_rate] { source: required, lag_time_up: 0.1, lag_time_down: 0.1 }
    /// Removes a constant offset.
    LeakDC(source) [ar kr] (1) [pure same_rate] prepare(default_coefficient) { source: required, coefficient: auto }
    /// Peak limiter with look-ahead.
    Limiter(source) [ar] (1) [] { source: required, level: 1.0, duration: 0.01 }
    /// Second-order Butterworth low-pass filter.
    LPF(source, frequency) [ar kr] (1) [pure same_rate] { source: required, frequency: 440.0 }
    /// Average of two samples (one zero).
    LPZ1(source) [ar kr] (1) [pure same_rate] { source: required }
    /// Low-pass with two zeros.
    LPZ2(source) [ar kr] (1) [pure same_rate] { source: required }
    /// Median of the last few values.
    Median(source) [ar kr] (1) [pure] { length: 3.0, source: required }
    /// Parametric equaliser with one band, gain in decibels.
    MidEQ(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, reciprocal_of_q: 1.0, db: 0.0,
    }
    /// Model of the Moog ladder filter.
    MoogFF(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 100.0, gain: 2.0, reset: 0.0,
    }
    /// Normalises peaks to a level, with look-ahead.
    Normalizer(source) [ar] (1) [] { source: required, level: 1.0, duration: 0.01 }
    /// Filter with one pole.
    OnePole(source) [ar kr] (1) [pure same_rate] { source: required, coefficient: 0.5 }
    /// Filter with one zero.
    OneZero(source) [ar kr] (1) [pure same_rate] { source: required, coefficient: 0.5 }
    /// Follows a signal in straight lines of a fixed duration.
    Ramp(source) [ar kr] (1) [pure same_rate] { source: required, lag_time: 0.1 }
    /// Resonant high-pass filter.
    RHPF(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, reciprocal_of_q: 1.0,
    }
    /// Ringing filter; `decay_time` is the time to fall by 60 dB.
    Ringz(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, decay_time: 1.0,
    }
    /// Resonant low-pass filter.
    RLPF(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, reciprocal_of_q: 1.0,
    }
    /// Replaces infinite, not-a-number and denormal values.
    Sanitize(source) [ar kr] (1) [] { source: required, replace: 0.0 }
    /// Limits how fast a signal may change.
    Slew(source) [ar kr] (1) [pure same_rate] { source: required, up: 1.0, down: 1.0 }
    /// Slope of a signal per second.
    Slope(source) [ar kr] (1) [pure same_rate] { source: required }
    /// General second-order filter section.
    SOS(source) [ar kr] (1) [pure same_rate] {
        source: required, a0: 0.0, a1: 0.0, a2: 0.0, b1: 0.0, b2: 0.0,
    }
    /// Filter with two poles.
    TwoPole(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, radius: 0.8,
    }
    /// Filter with two zeros.
    TwoZero(source, frequency) [ar kr] (1) [pure same_rate] {
        source: required, frequency: 440.0, radius: 0.8,
    }
}

/// The coefficient of `LeakDC` gives about the same cutoff frequency at both rates.
fn default_coefficient(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let coefficient = if draft.rate == Rate::Audio { 0.995 } else { 0.9 };
    draft.inputs[1] = draft.inputs[1].or(Some(Signal::number(coefficient)));
    Ok(())
}

/// `CheckBadValues` has three post modes.
fn check_post_mode(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    match draft.number(2) {
        Some(mode) if ![0.0, 1.0, 2.0].contains(&mode) => {
            Err(format!("invalid post mode {mode}: expected 0, 1 or 2"))
        }
        _ => Ok(()),
    }
}
