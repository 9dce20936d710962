//! Operators as methods and as Rust's own operators, on everything that becomes a signal.

use std::iter::Sum;
use std::ops::{
    Add, AddAssign, BitAnd, BitOr, BitXor, Div, DivAssign, Mul, MulAssign, Neg, Not, Rem, Shl, Shr,
    Sub, SubAssign,
};

use crate::builder::{DynamicBuilder, RawUGen, UGenBuilder};
use crate::composite::Splay;
use crate::conversion::IntoSignal;
use crate::open::{binary, unary};
use crate::operator_table::{binary_operators, unary_operators};
use crate::operators::{BinaryOperator, UnaryOperator};
use crate::signal::Signal;
use crate::spec::UGenType;

/// The methods of each row of the unary operators; the second and later ones refer to the first.
macro_rules! unary_methods {
    ($(#[doc = $doc:literal] $name:ident = $number:literal $($symbol:literal)? $(: $($method:ident)+)?;)*) => {
        $($(unary_methods!(@first $doc $name $($method)+);)?)*
    };
    (@first $doc:literal $name:ident $first:ident $($other:ident)*) => {
        unary_methods!(@method $name $first [$doc]);
        $(unary_methods!(@method $name $other [
            $doc concat!(" The same as [`", stringify!($first), "`](Self::", stringify!($first), ").")
        ]);)*
    };
    (@method $name:ident $method:ident [$($doc:expr)*]) => {
        $(#[doc = $doc])*
        fn $method(self) -> Signal {
            unary(UnaryOperator::$name, self.into_signal())
        }
    };
}

/// The methods of each row of the binary operators; the second and later ones refer to the first.
macro_rules! binary_methods {
    ($(#[doc = $doc:literal] $name:ident = $number:literal $($symbol:literal)? $(: $($method:ident)+)?;)*) => {
        $($(binary_methods!(@first $doc $name $($method)+);)?)*
    };
    (@first $doc:literal $name:ident $first:ident $($other:ident)*) => {
        binary_methods!(@method $name $first [$doc]);
        $(binary_methods!(@method $name $other [
            $doc concat!(" The same as [`", stringify!($first), "`](Self::", stringify!($first), ").")
        ]);)*
    };
    (@method $name:ident $method:ident [$($doc:expr)*]) => {
        $(#[doc = $doc])*
        fn $method(self, other: impl IntoSignal) -> Signal {
            binary(BinaryOperator::$name, self.into_signal(), other.into_signal())
        }
    };
}

/// The operators of the server as methods, on signals and on UGens that are being built.
///
/// Most have two names: a long one, and the one of sclang or of Rust's numbers (`midicps`, `tanh`,
/// `lt`, `clip2`). In the descriptions `a` is the signal and `b` the argument. Numbers and lists are
/// signals after [`signal`](IntoSignal::signal): `[60, 64, 67].signal().midicps()`.
///
/// The operators of Rust apply the operators of the server, too: `+ - * / % & | ^ << >>` with
/// numbers, lists and UGens on both sides, `-a` and `!a`. Comparisons are methods (`lt`, `ge`,
/// `equal`), because those of Rust return a `bool`. [`UnaryOperator::ALL`] and
/// [`BinaryOperator::ALL`] are the table, and the reference of UGens prints it.
pub trait Operations: IntoSignal {
    unary_operators!(unary_methods);
    binary_operators!(binary_methods);
}

impl Operations for Signal {}

impl<T: UGenType, const N: usize> Operations for UGenBuilder<T, N> {}

impl Operations for DynamicBuilder {}

impl Operations for RawUGen {}

impl Operations for Splay {}

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

/// A binary operator of Rust. Its left side is either something that only becomes a signal, with
/// anything on the right; or a number or list, with one of these on the right.
///
/// Of the integers only `i32` is on the left: with more of them, the compiler could not infer the type
/// of `(2 * signal).abs()`.
macro_rules! rust_operators {
    ($($trait:ident $method:ident $operator:ident),*) => {$(
        rust_operators!(@left $trait $method $operator
            [] Signal;
            [] &Signal;
            [T: UGenType, const N: usize] UGenBuilder<T, N>;
            [] DynamicBuilder;
            [] RawUGen;
            [] Splay;
        );
        rust_operators!(@numbers $trait $method $operator
            f64 f32 i32
        );
        rust_operators!(@right $trait $method $operator [Item: IntoSignal, const COUNT: usize] [Item; COUNT]);
        rust_operators!(@right $trait $method $operator [Item: IntoSignal] Vec<Item>);
        rust_operators!(@right $trait $method $operator [A: IntoSignal, B: IntoSignal] (A, B));
        rust_operators!(@right $trait $method $operator
            [A: IntoSignal, B: IntoSignal, C: IntoSignal] (A, B, C)
        );
        rust_operators!(@right $trait $method $operator
            [A: IntoSignal, B: IntoSignal, C: IntoSignal, D: IntoSignal] (A, B, C, D)
        );
    )*};
    (@left $trait:ident $method:ident $operator:ident
        $([$($parameters:tt)*] $left:ty;)*
    ) => {$(
        impl<Right: IntoSignal, $($parameters)*> $trait<Right> for $left {
            type Output = Signal;
            fn $method(self, other: Right) -> Signal {
                let left = self.into_signal();
                binary(BinaryOperator::$operator, left, other.into_signal())
            }
        }
    )*};
    (@numbers $trait:ident $method:ident $operator:ident $($left:ty)*) => {
        $(rust_operators!(@right $trait $method $operator [] $left);)*
    };
    (@right $trait:ident $method:ident $operator:ident [$($parameters:tt)*] $left:ty) => {
        rust_operators!(@pair $trait $method $operator [$($parameters)*] $left, Signal);
        rust_operators!(@pair $trait $method $operator
            [T: UGenType, const N: usize, $($parameters)*] $left, UGenBuilder<T, N>
        );
        rust_operators!(@pair $trait $method $operator [$($parameters)*] $left, DynamicBuilder);
        rust_operators!(@pair $trait $method $operator [$($parameters)*] $left, RawUGen);
        rust_operators!(@pair $trait $method $operator [$($parameters)*] $left, Splay);
    };
    (@pair $trait:ident $method:ident $operator:ident [$($parameters:tt)*] $left:ty, $right:ty) => {
        impl<$($parameters)*> $trait<$right> for $left {
            type Output = Signal;
            fn $method(self, other: $right) -> Signal {
                let left = self.into_signal();
                binary(BinaryOperator::$operator, left, other.into_signal())
            }
        }
    };
}

rust_operators!(
    Add add Addition,
    Sub sub Subtraction,
    Mul mul Multiplication,
    Div div Division,
    Rem rem Modulo,
    BitAnd bitand BitAnd,
    BitOr bitor BitOr,
    BitXor bitxor BitXor,
    Shl shl ShiftLeft,
    Shr shr ShiftRight
);

/// A unary operator of Rust.
macro_rules! rust_unary_operators {
    ($($trait:ident $method:ident $operator:ident: $([$($parameters:tt)*] $source:ty;)*)*) => {$($(
        impl<$($parameters)*> $trait for $source {
            type Output = Signal;
            fn $method(self) -> Signal {
                unary(UnaryOperator::$operator, self.into_signal())
            }
        }
    )*)*};
}

rust_unary_operators!(
    Neg neg Negative:
        [] Signal; [T: UGenType, const N: usize] UGenBuilder<T, N>;
        [] DynamicBuilder; [] RawUGen; [] Splay;
    Not not Not:
        [] Signal; [T: UGenType, const N: usize] UGenBuilder<T, N>;
        [] DynamicBuilder; [] RawUGen; [] Splay;
);

/// The operators that change a variable: `mix += SinOsc::ar(440.0)`.
macro_rules! assigning_operators {
    ($($trait:ident $method:ident $operator:ident),*) => {$(
        impl<Right: IntoSignal> $trait<Right> for Signal {
            fn $method(&mut self, other: Right) {
                *self = binary(BinaryOperator::$operator, *self, other.into_signal());
            }
        }
    )*};
}

assigning_operators!(
    AddAssign add_assign Addition,
    SubAssign sub_assign Subtraction,
    MulAssign mul_assign Multiplication,
    DivAssign div_assign Division
);

/// The sum of signals, channel by channel: `(1..=8).map(|n| SinOsc::ar(110 * n) / n).sum::<Signal>()`.
/// Without items, it is the number 0.
impl<T: IntoSignal> Sum<T> for Signal {
    fn sum<I: Iterator<Item = T>>(signals: I) -> Self {
        signals
            .map(IntoSignal::into_signal)
            .reduce(|sum, next| binary(BinaryOperator::Addition, sum, next))
            .unwrap_or(Signal::number(0.0))
    }
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
