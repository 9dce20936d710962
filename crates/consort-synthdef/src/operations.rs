//! Operators as methods and as Rust's own operators, on signals and on UGens that are being built.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use crate::builder::UGenBuilder;
use crate::conversion::IntoSignal;
use crate::open::{binary, unary};
use crate::operators::{BinaryOperator, UnaryOperator, binary_operators, unary_operators};
use crate::signal::Signal;
use crate::spec::UGenType;

/// A method for each row of the unary operators that names one.
macro_rules! unary_methods {
    ($($(#[$doc:meta])* $name:ident = $number:literal $($method:ident)?;)*) => {
        $(unary_methods!(@method [$(#[$doc])*] $name $($method)?);)*
    };
    (@method [$($doc:tt)*] $name:ident $method:ident) => {
        $($doc)*
        fn $method(self) -> Signal {
            unary(UnaryOperator::$name, self.into_signal())
        }
    };
    (@method [$($doc:tt)*] $name:ident) => {};
}

/// A method for each row of the binary operators that names one.
macro_rules! binary_methods {
    ($($(#[$doc:meta])* $name:ident = $number:literal $($method:ident)?;)*) => {
        $(binary_methods!(@method [$(#[$doc])*] $name $($method)?);)*
    };
    (@method [$($doc:tt)*] $name:ident $method:ident) => {
        $($doc)*
        fn $method(self, other: impl IntoSignal) -> Signal {
            binary(BinaryOperator::$name, self.into_signal(), other.into_signal())
        }
    };
    (@method [$($doc:tt)*] $name:ident) => {};
}

/// The operators of the server as methods, on signals and on UGens that are being built.
///
/// In the descriptions `a` is the signal and `b` the argument. The operators of Rust apply
/// [`Negative`](UnaryOperator::Negative), [`Addition`](BinaryOperator::Addition),
/// [`Subtraction`](BinaryOperator::Subtraction),
/// [`Multiplication`](BinaryOperator::Multiplication), [`Division`](BinaryOperator::Division) and
/// [`Modulo`](BinaryOperator::Modulo).
pub trait Operations: IntoSignal {
    unary_operators!(unary_methods);
    binary_operators!(binary_methods);
}

impl Operations for Signal {}

impl<T: UGenType, const N: usize> Operations for UGenBuilder<T, N> {}

/// Applies an operator that is given as a value; for code that builds graphs from data.
pub fn apply_unary(operator: UnaryOperator, source: impl IntoSignal) -> Signal {
    unary(operator, source.into_signal())
}

/// Applies an operator that is given as a value; for code that builds graphs from data.
pub fn apply_binary(
    operator: BinaryOperator,
    left: impl IntoSignal,
    right: impl IntoSignal,
) -> Signal {
    binary(operator, left.into_signal(), right.into_signal())
}

/// The binary operators of Rust between signals, UGens that are being built, and numbers.
macro_rules! rust_operators {
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

        rust_operators!(@numbers $trait $method $operator: f64 f32 i32);
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

rust_operators!(
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
