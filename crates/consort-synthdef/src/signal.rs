//! Signals: what UGens produce and take.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use super::builder::UGenBuilder;
use super::graph::{array, binary, unary};
use super::operators::{BinaryOperator, Operations, UnaryOperator};
use super::rate::{DoneAction, Rate};
use crate::ugens::UGenType;

/// A number, an output of a UGen, or several of these: the channels of a signal.
///
/// Signals are small handles into the SynthDef that is being built: copy them as often as you
/// like. One that is used outside of its SynthDef makes the build fail with
/// [`ForeignSignal`](super::SynthDefErrorKind::ForeignSignal).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal(pub(crate) Repr);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Repr {
    Constant(f64),
    Output {
        graph: u32,
        node: u32,
        output: u16,
        rate: Rate,
    },
    Array {
        graph: u32,
        start: u32,
        length: u32,
        depth: u8,
    },
    /// Stands for a signal whose making failed; the graph holds the error.
    Invalid,
}

impl Signal {
    pub(crate) const INVALID: Self = Self(Repr::Invalid);

    /// Rate of the signal; of several channels, the highest.
    pub fn rate(self) -> Rate {
        match self.0 {
            Repr::Constant(_) | Repr::Invalid => Rate::Scalar,
            Repr::Output { rate, .. } => rate,
            Repr::Array { .. } => self.channels().map(Self::rate).max().unwrap_or(Rate::Scalar),
        }
    }

    /// Number of channels: one for a number or an output.
    pub fn channel_count(self) -> usize {
        match self.0 {
            Repr::Array { length, .. } => length as usize,
            _ => 1,
        }
    }

    /// The channel at a place, beginning anew after the last.
    #[must_use]
    pub fn channel(self, index: usize) -> Self {
        match self.0 {
            Repr::Array { length: 0, .. } => Self::INVALID,
            Repr::Array { length, .. } => super::graph::array_item(self, index % length as usize),
            _ => self,
        }
    }

    /// All channels.
    pub fn channels(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..self.channel_count()).map(move |index| self.channel(index))
    }

    /// All channels of all channels, down to single outputs and numbers.
    #[must_use]
    pub fn flatten(self) -> Self {
        array(&super::graph::flat(self))
    }

    /// Whether the signal is the number; outputs of UGens never are.
    pub(crate) fn is_number(self, number: f64) -> bool {
        matches!(self.0, Repr::Constant(value) if value == number)
    }
}

/// What can be given to a UGen: numbers, signals, UGens that are being built, and lists of these,
/// which become channels.
pub trait IntoSignal: Sized {
    /// Turns the value into a signal; a UGen that is being built enters its SynthDef here.
    fn into_signal(self) -> Signal;
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
                Signal(Repr::Constant(f64::from(self)))
            }
        }
    )*};
}

numbers!(f64, f32, i32, u32, i16, u16, i8, u8, bool);

impl IntoSignal for DoneAction {
    fn into_signal(self) -> Signal {
        Signal(Repr::Constant(f64::from(self as u8)))
    }
}

/// The characters as numbers, for UGens that take a text.
impl IntoSignal for &str {
    fn into_signal(self) -> Signal {
        let characters: Vec<Signal> =
            self.bytes().map(|byte| Signal(Repr::Constant(f64::from(byte)))).collect();
        array(&characters)
    }
}

impl<T: IntoSignal, const N: usize> IntoSignal for [T; N] {
    fn into_signal(self) -> Signal {
        array(&self.map(IntoSignal::into_signal))
    }
}

impl<T: IntoSignal + Copy> IntoSignal for &[T] {
    fn into_signal(self) -> Signal {
        let signals: Vec<Signal> = self.iter().map(|item| item.into_signal()).collect();
        array(&signals)
    }
}

impl<T: IntoSignal> IntoSignal for Vec<T> {
    fn into_signal(self) -> Signal {
        let signals: Vec<Signal> = self.into_iter().map(IntoSignal::into_signal).collect();
        array(&signals)
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        #[allow(non_snake_case)]
        impl<$($name: IntoSignal),*> IntoSignal for ($($name,)*) {
            fn into_signal(self) -> Signal {
                let ($($name,)*) = self;
                array(&[$($name.into_signal()),*])
            }
        }
    )*};
}

tuples!((A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H));

impl FromIterator<Signal> for Signal {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().collect::<Vec<_>>().into_signal()
    }
}

impl Operations for Signal {}

impl<T: UGenType, const N: usize> Operations for UGenBuilder<T, N> {}

macro_rules! operators {
    ($($trait:ident $method:ident $operator:ident),*) => {$(
        impl<R: IntoSignal> $trait<R> for Signal {
            type Output = Signal;
            fn $method(self, other: R) -> Signal {
                binary(BinaryOperator::$operator, self, other.into_signal())
            }
        }

        impl<T: UGenType, const N: usize, R: IntoSignal> $trait<R> for UGenBuilder<T, N> {
            type Output = Signal;
            fn $method(self, other: R) -> Signal {
                let left = self.signal();
                binary(BinaryOperator::$operator, left, other.into_signal())
            }
        }

        operators!(@numbers $trait $method $operator: f64 f32 i32);
    )*};
    (@numbers $trait:ident $method:ident $operator:ident: $($number:ty)*) => {$(
        impl $trait<Signal> for $number {
            type Output = Signal;
            fn $method(self, other: Signal) -> Signal {
                binary(BinaryOperator::$operator, self.into_signal(), other)
            }
        }

        impl<T: UGenType, const N: usize> $trait<UGenBuilder<T, N>> for $number {
            type Output = Signal;
            fn $method(self, other: UGenBuilder<T, N>) -> Signal {
                binary(BinaryOperator::$operator, self.into_signal(), other.signal())
            }
        }
    )*};
}

operators!(
    Add add Addition,
    Sub sub Subtraction,
    Mul mul Multiplication,
    Div div Division,
    Rem rem Modulo
);

impl Neg for Signal {
    type Output = Signal;
    fn neg(self) -> Signal {
        unary(UnaryOperator::Negative, self)
    }
}

impl<T: UGenType, const N: usize> Neg for UGenBuilder<T, N> {
    type Output = Signal;
    fn neg(self) -> Signal {
        unary(UnaryOperator::Negative, self.signal())
    }
}
