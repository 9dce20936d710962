//! Voices: an instrument and the patterns that play it.

use std::borrow::Cow;

use consort_synthdef::{SynthDef, SynthDefFile};

use super::events::{Event, EventStream, Note, NotePlayer};
use super::pattern::{IntoPattern, Pattern, Values, constant};
use super::random::Random;
use super::scale::Scale;
use crate::context::{Buffer, Bus, Group, NodeReference};
use crate::synthdefs::SynthDefReference;
use crate::values::{AddAction, ControlKey, ControlValue, Settings};

/// Values for a control: a number, a pattern, a bus or a buffer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pattern of values for a control",
    note = "write a list as `seq([…])` or `seq([…]).forever()`"
)]
pub trait IntoValues {
    /// The values.
    fn into_values(self) -> Pattern<ControlValue>;
}

/// Pitches: a number, a pattern of numbers, or one of lists of numbers, which are chords.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pattern of pitches or chords",
    note = "write a list as `seq([…])` or `seq([…]).forever()`"
)]
pub trait IntoChords {
    /// The chords; single pitches are chords of one.
    fn into_chords(self) -> Pattern<Vec<f64>>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl IntoValues for $number {
            fn into_values(self) -> Pattern<ControlValue> {
                constant(ControlValue::from(self))
            }
        }

        impl IntoValues for Pattern<$number> {
            fn into_values(self) -> Pattern<ControlValue> {
                self.map(ControlValue::from)
            }
        }

        impl IntoChords for $number {
            fn into_chords(self) -> Pattern<Vec<f64>> {
                constant(vec![f64::from(self)])
            }
        }

        impl IntoChords for Pattern<$number> {
            fn into_chords(self) -> Pattern<Vec<f64>> {
                self.map(|pitch| vec![f64::from(pitch)])
            }
        }

        impl IntoChords for Pattern<Vec<$number>> {
            fn into_chords(self) -> Pattern<Vec<f64>> {
                self.map(|chord| chord.into_iter().map(f64::from).collect())
            }
        }

        impl<const N: usize> IntoChords for Pattern<[$number; N]> {
            fn into_chords(self) -> Pattern<Vec<f64>> {
                self.map(|chord| chord.into_iter().map(f64::from).collect())
            }
        }
    )*};
}

numbers!(f64, i32, u32);

macro_rules! single_values {
    ($($value:ty),*) => {$(
        impl IntoValues for $value {
            fn into_values(self) -> Pattern<ControlValue> {
                constant(ControlValue::from(self))
            }
        }
    )*};
}

single_values!(bool, &Bus, &Buffer, ControlValue);

impl IntoValues for Pattern<ControlValue> {
    fn into_values(self) -> Pattern<ControlValue> {
        self
    }
}

/// How pitches become frequencies.
#[derive(Clone, Copy, Debug)]
enum PitchKind {
    /// MIDI note numbers.
    Notes,
    /// Degrees of a scale above a root.
    Degrees(Scale, f64),
    /// Hertz.
    Frequencies,
}

impl PitchKind {
    fn frequency(self, pitch: f64) -> f64 {
        let note = match self {
            Self::Frequencies => return pitch,
            Self::Notes => pitch,
            Self::Degrees(..) if pitch.is_nan() => pitch,
            Self::Degrees(scale, root) => {
                // The fraction of a degree is one of a semitone: a detuned note.
                scale.note(root, pitch.floor() as i64) + pitch.fract().rem_euclid(1.0)
            }
        };
        440.0 * ((note - 69.0) / 12.0).exp2()
    }
}

/// An instrument and the patterns that play it; it becomes [`Events`](super::Events).
///
/// Each event takes one value of each pattern, and the events end with the shortest pattern. An event
/// is a rest if one of its values is [`REST`](super::REST). Without patterns of their own, events are one beat
/// apart and their gates stay open for 0.8 of this distance.
///
/// ```
/// use consort_sc::music::*;
///
/// let bass = voice("bass")
///     .degree(seq([0.0, 4.0, REST, 3.0]), Scale::MINOR, 36.0)
///     .beats(seq([1.0, 0.5, 0.5, 2.0]))
///     .set("cutoff", uniform(300.0, 900.0));
/// assert_eq!(bass.list(1, 16.0).len(), 4);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a voice that is not played does nothing"]
pub struct Voice {
    instrument: SynthDefReference,
    synthdef: Option<SynthDefFile>,
    node: Option<i32>,
    placement: Option<(AddAction, i32)>,
    pitch: Option<(Pattern<Vec<f64>>, PitchKind)>,
    controls: Vec<(Cow<'static, str>, Pattern<ControlValue>)>,
    beats: Pattern<f64>,
    legato: Pattern<f64>,
    sustain: Option<Pattern<f64>>,
}

/// An instrument of a voice: a SynthDef, which is loaded when the voice is played, or the name of one
/// that the server has.
pub trait Instrument {
    /// The name, and the controls if they are known.
    fn reference(&self) -> SynthDefReference;
    /// What has to be loaded.
    fn synthdef(&self) -> Option<SynthDefFile>;
}

impl Instrument for &SynthDef {
    fn reference(&self) -> SynthDefReference {
        (*self).into()
    }

    fn synthdef(&self) -> Option<SynthDefFile> {
        Some(self.file().clone())
    }
}

impl Instrument for &str {
    fn reference(&self) -> SynthDefReference {
        (*self).into()
    }

    fn synthdef(&self) -> Option<SynthDefFile> {
        None
    }
}

/// A voice that starts a synth for each note.
pub fn voice(instrument: impl Instrument) -> Voice {
    Voice {
        instrument: instrument.reference(),
        synthdef: instrument.synthdef(),
        node: None,
        placement: None,
        pitch: None,
        controls: Vec::new(),
        beats: constant(1.0),
        legato: constant(0.8),
        sustain: None,
    }
}

/// A voice that sets controls of a node, such as an effect, instead of starting synths.
pub fn automation<'a>(node: impl Into<NodeReference<'a>>) -> Voice {
    Voice { node: Some(node.into().id()), ..voice("") }
}

impl Voice {
    fn with_pitch(mut self, pitches: impl IntoChords, kind: PitchKind) -> Self {
        self.pitch = Some((pitches.into_chords(), kind));
        self
    }

    /// Sets the pitch as MIDI note numbers; 60 is middle C. They are sent as a frequency in hertz, to
    /// the control `frequency`, or to `freq` if the SynthDef has that one.
    pub fn note(self, notes: impl IntoChords) -> Self {
        self.with_pitch(notes, PitchKind::Notes)
    }

    /// Sets the pitch as degrees of a scale, from 0, above a root, which is a MIDI note number.
    pub fn degree(self, degrees: impl IntoChords, scale: Scale, root: f64) -> Self {
        self.with_pitch(degrees, PitchKind::Degrees(scale, root))
    }

    /// Sets the pitch as frequencies in hertz.
    pub fn frequency(self, frequencies: impl IntoChords) -> Self {
        self.with_pitch(frequencies, PitchKind::Frequencies)
    }

    /// Sets the control `amplitude`: 1 is full scale.
    pub fn amplitude(self, amplitudes: impl IntoValues) -> Self {
        self.set("amplitude", amplitudes)
    }

    /// Sets a control by its name.
    pub fn set(mut self, control: impl Into<Cow<'static, str>>, values: impl IntoValues) -> Self {
        let control = control.into();
        self.controls.retain(|(other, _)| *other != control);
        self.controls.push((control, values.into_values()));
        self
    }

    /// Sets the beats from each event to the next.
    pub fn beats(mut self, beats: impl IntoPattern<f64>) -> Self {
        self.beats = beats.into_pattern();
        self
    }

    /// Sets how long gates stay open, as a share of the beats to the next event.
    pub fn legato(mut self, shares: impl IntoPattern<f64>) -> Self {
        self.legato = shares.into_pattern();
        self
    }

    /// Sets how long gates stay open, in beats.
    pub fn sustain(mut self, beats: impl IntoPattern<f64>) -> Self {
        self.sustain = Some(beats.into_pattern());
        self
    }

    /// Places the synths at the head of a group, so that effects after the group hear them.
    pub fn in_group(mut self, group: &Group) -> Self {
        self.placement = Some((AddAction::ToHead, group.id()));
        self
    }

    /// The control that pitches set.
    fn frequency_control(&self) -> &'static str {
        match &self.instrument.info {
            Some(info) if !info.has_control("frequency") && info.has_control("freq") => "freq",
            _ => "frequency",
        }
    }

    /// The SynthDefs that have to be loaded.
    pub(super) fn synthdefs(&self) -> Vec<SynthDefFile> {
        self.synthdef.iter().cloned().collect()
    }

    /// Starts the events.
    pub(super) fn stream(self, random: &mut Random) -> EventStream {
        let mut beats = self.beats.values(random);
        let mut legato = self.legato.values(random);
        let mut sustain = self.sustain.as_ref().map(|sustain| sustain.values(random));
        let mut pitches = self.pitch.as_ref().map(|(pitch, kind)| (pitch.values(random), *kind));
        let mut controls: Vec<(Cow<'static, str>, Values<ControlValue>)> = (self.controls.iter())
            .map(|(name, pattern)| (name.clone(), pattern.values(random)))
            .collect();
        let frequency = self.frequency_control();
        Box::new(std::iter::from_fn(move || {
            let beats = beats.next()?;
            let share = legato.next()?;
            let sustain = match &mut sustain {
                Some(sustain) => sustain.next()?,
                None => beats * share,
            };
            let chord = match &mut pitches {
                Some((pitches, kind)) => {
                    let chord = pitches.next()?;
                    Some(chord.into_iter().map(|pitch| kind.frequency(pitch)).collect::<Vec<f64>>())
                }
                None => None,
            };
            let mut settings: Settings = Vec::with_capacity(controls.len() + 1);
            for (name, values) in &mut controls {
                settings.push((ControlKey::Name(name.clone()), values.next()?));
            }
            let is_rest = sustain.is_nan() || settings.iter().any(|(_, value)| is_rest(value));
            let chord: Vec<Option<f64>> = match chord {
                Some(chord) => chord.into_iter().map(Some).collect(),
                None => vec![None],
            };
            let sounding =
                chord.into_iter().filter(|pitch| !is_rest && !pitch.is_some_and(f64::is_nan));
            let notes = sounding
                .map(|pitch| {
                    let mut settings = settings.clone();
                    if let Some(pitch) = pitch {
                        settings.insert(0, (ControlKey::Name(frequency.into()), pitch.into()));
                    }
                    let player = match self.node {
                        Some(id) => NotePlayer::Node(id),
                        None => NotePlayer::Synth(self.instrument.clone(), self.placement),
                    };
                    Note { player, settings, sustain }
                })
                .collect();
            Some(Event { beats, notes })
        }))
    }
}

/// Whether a value is a rest.
fn is_rest(value: &ControlValue) -> bool {
    match value {
        ControlValue::Float(number) => number.is_nan(),
        ControlValue::Map(_) => false,
        ControlValue::Array(values) => values.iter().any(is_rest),
    }
}
