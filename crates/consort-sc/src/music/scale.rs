//! Scales: degrees to MIDI note numbers.

/// A scale: the semitones of its degrees above the root, and the length of its octave.
///
/// ```
/// use consort_sc::music::Scale;
///
/// assert_eq!(Scale::MINOR.note(60.0, 2), 63.0);
/// assert_eq!(Scale::MINOR.note(60.0, 7), 72.0);
/// assert_eq!(Scale::MINOR.note(60.0, -1), 58.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    semitones: &'static [f64],
    octave: f64,
}

/// A scale of twelve equal semitones.
macro_rules! scales {
    ($(#[doc = $doc:literal] $name:ident = [$($semitone:literal),*];)*) => {
        impl Scale {
            $(
                #[doc = $doc]
                pub const $name: Self = Self { semitones: &[$($semitone as f64),*], octave: 12.0 };
            )*
        }
    };
}

scales! {
    /// All twelve semitones.
    CHROMATIC = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    /// Major, the Ionian mode.
    MAJOR = [0, 2, 4, 5, 7, 9, 11];
    /// The Dorian mode.
    DORIAN = [0, 2, 3, 5, 7, 9, 10];
    /// The Phrygian mode.
    PHRYGIAN = [0, 1, 3, 5, 7, 8, 10];
    /// The Lydian mode.
    LYDIAN = [0, 2, 4, 6, 7, 9, 11];
    /// The Mixolydian mode.
    MIXOLYDIAN = [0, 2, 4, 5, 7, 9, 10];
    /// Natural minor, the Aeolian mode.
    MINOR = [0, 2, 3, 5, 7, 8, 10];
    /// Harmonic minor.
    HARMONIC_MINOR = [0, 2, 3, 5, 7, 8, 11];
    /// Major pentatonic.
    MAJOR_PENTATONIC = [0, 2, 4, 7, 9];
    /// Minor pentatonic.
    MINOR_PENTATONIC = [0, 3, 5, 7, 10];
    /// Whole tones.
    WHOLE_TONE = [0, 2, 4, 6, 8, 10];
}

impl Scale {
    /// A scale of one's own: its semitones above the root, which may have fractions, and the semitones
    /// after which it repeats.
    ///
    /// `None` if there are no semitones, or a number is not finite.
    pub fn new(semitones: &'static [f64], octave: f64) -> Option<Self> {
        let is_valid = !semitones.is_empty()
            && semitones.iter().chain([&octave]).all(|number| number.is_finite());
        is_valid.then_some(Self { semitones, octave })
    }

    /// How many degrees an octave has.
    pub fn degrees(&self) -> usize {
        self.semitones.len()
    }

    /// The MIDI note number of a degree above a root, both from 0; negative degrees are below it.
    pub fn note(&self, root: f64, degree: i64) -> f64 {
        let count = self.semitones.len() as i64;
        let octave = degree.div_euclid(count) as f64;
        root + octave * self.octave + self.semitones[degree.rem_euclid(count) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn degrees_continue_in_both_directions() {
        let notes: Vec<f64> = (-2..=8).map(|degree| Scale::MAJOR.note(60.0, degree)).collect();
        assert_eq!(notes, [57.0, 59.0, 60.0, 62.0, 64.0, 65.0, 67.0, 69.0, 71.0, 72.0, 74.0]);
        assert_eq!(Scale::MINOR_PENTATONIC.note(48.0, 5), 60.0);
    }

    #[test]
    fn a_scale_of_ones_own_may_have_other_octaves() {
        let scale = Scale::new(&[0.0, 1.46, 2.93], 19.02).unwrap();
        assert_eq!(scale.note(0.0, 3), 19.02);
        assert!(Scale::new(&[], 12.0).is_none() && Scale::new(&[f64::NAN], 12.0).is_none());
    }
}
