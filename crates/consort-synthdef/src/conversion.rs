//! What can be given to a UGen, and the channels of a signal.

use crate::error::{SynthDefError, SynthDefErrorKind};
use crate::open;
use crate::rate::{DoneAction, Rate};
use crate::signal::{Repr, Signal};
use crate::spec::text_signals;

impl Signal {
    /// Rate of the signal; of several channels, the highest.
    pub fn rate(self) -> Rate {
        match self.0 {
            Repr::Array { .. } => self.channels().map(Self::rate).max().unwrap_or(Rate::Scalar),
            _ => self.single_rate(),
        }
    }

    /// The channel at an index; indices beyond the last channel start again at the first.
    #[must_use]
    pub fn channel(self, index: usize) -> Self {
        match self.0 {
            Repr::Array { length: 0, .. } => Self::INVALID,
            Repr::Array { length, .. } => open::list_item(self, index % length as usize),
            _ => self,
        }
    }

    /// All channels.
    pub fn channels(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..self.channel_count()).map(move |index| self.channel(index))
    }

    /// The channels of nested lists as one list of single outputs and numbers.
    #[must_use]
    pub fn flatten(self) -> Self {
        open::list(&flat_channels(self))
    }
}

/// All single channels of a signal, however deeply its lists are nested.
pub(crate) fn flat_channels(signal: Signal) -> Vec<Signal> {
    // `Graph::add_list` bounds the depth of lists, and thereby this recursion.
    fn descend(signal: Signal, flat: &mut Vec<Signal>) {
        match signal.0 {
            Repr::Array { .. } => signal.channels().for_each(|channel| descend(channel, flat)),
            _ => flat.push(signal),
        }
    }
    let mut flat = Vec::new();
    descend(signal, &mut flat);
    flat
}

/// What can be given to a UGen: numbers, signals, UGens that are being built, and lists of these,
/// which become channels.
pub trait IntoSignal: Sized {
    /// Turns the value into a signal; a UGen that is being built is added to its SynthDef.
    fn into_signal(self) -> Signal;

    /// The value as a signal: `SinOsc::ar(440.0).signal()`, `[60, 64, 67].signal()`. A UGen that is
    /// being built is added to its SynthDef; the signal may be used as often as you like.
    fn signal(self) -> Signal {
        self.into_signal()
    }

    /// A channel of the signal, from 0; indices beyond the last channel start again at the first.
    fn channel(self, index: usize) -> Signal {
        self.into_signal().channel(index)
    }

    /// All channels as an array: `let [left, right] = In::ar(0).channels(2).split();`. The number has
    /// to be that of the channels; otherwise the build of the SynthDef fails.
    fn split<const N: usize>(self) -> [Signal; N] {
        split(self.into_signal())
    }
}

/// The channels of a signal as an array of their number.
fn split<const N: usize>(signal: Signal) -> [Signal; N] {
    let found = signal.channel_count();
    if found != N {
        open::fail(SynthDefError::new(
            SynthDefErrorKind::InvalidInput,
            format!("cannot split a signal into {N} channels: it has {found}"),
        ));
        return [Signal::INVALID; N];
    }
    std::array::from_fn(|index| signal.channel(index))
}

impl IntoSignal for Signal {
    fn into_signal(self) -> Signal {
        self
    }
}

impl IntoSignal for &Signal {
    fn into_signal(self) -> Signal {
        *self
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl IntoSignal for $number {
            fn into_signal(self) -> Signal {
                Signal::number(f64::from(self))
            }
        }
    )*};
}

numbers!(f64, f32, i32, u32, i16, u16, i8, u8, bool);

/// Integers above 2^53 are rounded.
macro_rules! large_integers {
    ($($number:ty),*) => {$(
        impl IntoSignal for $number {
            fn into_signal(self) -> Signal {
                Signal::number(self as f64)
            }
        }
    )*};
}

large_integers!(i64, u64, isize, usize);

impl IntoSignal for DoneAction {
    fn into_signal(self) -> Signal {
        Signal::number(f64::from(self as u8))
    }
}

/// The bytes of the text as numbers, for UGens that take a text.
impl IntoSignal for &str {
    fn into_signal(self) -> Signal {
        open::list(&text_signals(self))
    }
}

impl<T: IntoSignal, const N: usize> IntoSignal for [T; N] {
    fn into_signal(self) -> Signal {
        open::list(&self.map(IntoSignal::into_signal))
    }
}

impl<T: IntoSignal + Copy> IntoSignal for &[T] {
    fn into_signal(self) -> Signal {
        let signals: Vec<Signal> = self.iter().map(|item| item.into_signal()).collect();
        open::list(&signals)
    }
}

impl<T: IntoSignal> IntoSignal for Vec<T> {
    fn into_signal(self) -> Signal {
        let signals: Vec<Signal> = self.into_iter().map(IntoSignal::into_signal).collect();
        open::list(&signals)
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        #[allow(non_snake_case)]
        impl<$($name: IntoSignal),*> IntoSignal for ($($name,)*) {
            fn into_signal(self) -> Signal {
                let ($($name,)*) = self;
                open::list(&[$($name.into_signal()),*])
            }
        }
    )*};
}

tuples!((A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H));

impl<T: IntoSignal> FromIterator<T> for Signal {
    fn from_iter<I: IntoIterator<Item = T>>(signals: I) -> Self {
        signals.into_iter().map(IntoSignal::into_signal).collect::<Vec<_>>().into_signal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(function: impl FnOnce()) {
        assert!(open::build_graph(function).is_ok());
    }

    #[test]
    fn channels_start_again_after_the_last() {
        within(|| {
            let pair = [1.0, 2.0].into_signal();
            assert_eq!(pair.channel(0), 1.0.into_signal());
            assert_eq!(pair.channel(3), 2.0.into_signal());
            assert_eq!(5.0.into_signal().channel(7), 5.0.into_signal());
        });
    }

    #[test]
    fn nested_lists_are_flattened_in_order() {
        within(|| {
            let nested = (1.0, [2.0, 3.0], ([4.0], 5.0)).into_signal();
            assert_eq!(nested.channel_count(), 3);
            let flat: Vec<Signal> = nested.flatten().channels().collect();
            assert_eq!(flat, [1.0, 2.0, 3.0, 4.0, 5.0].map(Signal::number));
        });
    }

    #[test]
    fn text_becomes_the_numbers_of_its_bytes() {
        within(|| {
            let text: Vec<Signal> = "/tr".into_signal().channels().collect();
            assert_eq!(text, [47.0, 116.0, 114.0].map(Signal::number));
        });
    }
}
