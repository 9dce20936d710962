//! Noise and random numbers.

use super::table::ugen_table;
use crate::signal::Signal;
use crate::spec::UGenDraft;

ugen_table! {
    /// Noise whose spectrum falls by 6 dB an octave.
    BrownNoise() [ar kr] (1) [] {}
    /// Noise whose samples are either -1 or 1.
    ClipNoise() [ar kr] (1) [] {}
    /// Passes triggers with a given probability.
    CoinGate(trigger) [ar kr] (1) [] { probability: 0.5, trigger: required }
    /// Noise from a chaotic map.
    Crackle() [ar kr] (1) [] { chaos_parameter: 1.5 }
    /// Random impulses from 0 to 1.
    Dust(density) [ar kr] (1) [] { density: 0.0 }
    /// Random impulses from -1 to 1.
    Dust2(density) [ar kr] (1) [] { density: 0.0 }
    /// One random number when the synth starts, exponential distribution.
    ExpRand() [ir] (1) [] prepare(sort_range) { minimum: 0.01, maximum: 1.0 }
    /// Noise from flipping random bits of a word.
    GrayNoise() [ar kr] (1) [] {}
    /// Maps each value to a pseudo-random one; equal inputs give equal outputs.
    Hasher(source) [ar kr] (1) [] { source: required }
    /// One random integer when the synth starts.
    IRand() [ir] (1) [] { minimum: 0.0, maximum: 127.0 }
    /// Random steps between -1 and 1.
    LFClipNoise(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Like `LFClipNoise`, for quickly changing frequencies.
    LFDClipNoise(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Like `LFNoise0`, for quickly changing frequencies.
    LFDNoise0(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Like `LFNoise1`, for quickly changing frequencies.
    LFDNoise1(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Cubically interpolated noise for quickly changing frequencies.
    LFDNoise3(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Random steps.
    LFNoise0(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Random values with straight lines between them.
    LFNoise1(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// Random values with parabolas between them.
    LFNoise2(frequency) [ar kr] (1) [] { frequency: 500.0 }
    /// One random number when the synth starts, skewed linear distribution.
    LinRand() [ir] (1) [] { minimum: 0.0, maximum: 1.0, skew: 0.0 }
    /// Logistic map.
    Logistic(frequency) [ar kr] (1) [] { chaos_parameter: 3.0, frequency: 1000.0, initial_y: 0.5 }
    /// Keeps some bits of each value's mantissa.
    MantissaMask() [ar kr] (1) [] { source: 0.0, bits: 3.0 }
    /// One random number when the synth starts: the mean of several.
    NRand() [ir] (1) [] { minimum: 0.0, maximum: 1.0, n: 0.0 }
    /// Noise whose spectrum falls by 3 dB an octave.
    PinkNoise() [ar kr] (1) [] {}
    /// One random number when the synth starts.
    Rand() [ir] (1) [] { minimum: 0.0, maximum: 1.0 }
    /// Selects the random generator of the synth.
    RandID() [kr ir] (1) [width_first] { rand_id: 0.0 }
    /// Seeds the random generator of the synth.
    RandSeed() [ar kr ir] (1) [width_first] { trigger: 0.0, seed: 56789.0 }
    /// Random number at each trigger, exponential distribution.
    TExpRand() [ar kr] (1) [] { minimum: 0.01, maximum: 1.0, trigger: 0.0 }
    /// Random integer at each trigger.
    TIRand() [ar kr] (1) [] prepare(truncate_range) { minimum: 0.0, maximum: 127.0, trigger: 0.0 }
    /// Random number at each trigger.
    TRand() [ar kr] (1) [] { minimum: 0.0, maximum: 1.0, trigger: 0.0 }
    /// Random index at each trigger, weighted.
    TWindex(trigger, array) [ar kr] (1) [] { trigger: required, normalize: 0.0, array: list }
    /// White noise.
    WhiteNoise() [ar kr] (1) [] {}
}

/// `ExpRand` needs the smaller bound first.
fn sort_range(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    if let (Some(low), Some(high)) = (draft.number(0), draft.number(1))
        && low > high
    {
        draft.inputs.swap(0, 1);
    }
    Ok(())
}

/// The bounds of `TIRand` are integers.
fn truncate_range(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    for position in 0..2 {
        if let Some(value) = draft.number(position) {
            draft.inputs[position] = Some(Signal::number(value.trunc()));
        }
    }
    Ok(())
}
