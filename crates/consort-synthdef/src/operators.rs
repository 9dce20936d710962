//! The operators of the server, and their results on numbers.

use crate::operator_table::{binary_operators, unary_operators};

/// What an operator is called, and what it does: a row of the table of operators.
///
/// ```
/// use consort_synthdef::UnaryOperator;
///
/// let info = UnaryOperator::HyperbolicTangent.info();
/// assert_eq!(info.methods, ["hyperbolic_tangent", "tanh"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperatorInfo {
    /// The operator's name here, for example `HyperbolicTangent`.
    pub name: &'static str,
    /// The operator's number on the server, among those of its kind.
    pub number: u16,
    /// How Rust writes it, for example `a + b`.
    pub expression: Option<&'static str>,
    /// The methods of [`Operations`](crate::Operations) that apply it, all of the same effect. Empty
    /// for operators that have only an expression, and for those that the server lacks.
    pub methods: &'static [&'static str],
    /// One sentence, in which `a` is the signal and `b` the argument.
    pub documentation: &'static str,
}

/// Defines the enum of operators of one kind.
macro_rules! operator_enum {
    (
        $(#[$enum_doc:meta])* $enum:ident;
        $(
            #[doc = $doc:literal]
            $name:ident = $number:literal $($expression:literal)? $(: $($method:ident)+)?;
        )*
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $enum {
            $(#[doc = $doc] $name = $number,)*
        }

        impl $enum {
            /// All operators in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The operator with this number on the server.
            pub fn from_number(number: u16) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }

            /// The operator's row of the table.
            pub fn info(self) -> OperatorInfo {
                match self {
                    $(Self::$name => OperatorInfo {
                        name: stringify!($name),
                        number: $number,
                        expression: operator_enum!(@expression $($expression)?),
                        methods: &[$($(stringify!($method)),+)?],
                        documentation: $doc.trim_ascii(),
                    },)*
                }
            }
        }
    };
    (@expression) => { None };
    (@expression $expression:literal) => { Some($expression) };
}

/// Defines the enum of the unary operators.
macro_rules! unary_enum {
    ($($rows:tt)*) => {
        operator_enum! {
            /// An operator on one signal, `a`.
            UnaryOperator;
            $($rows)*
        }
    };
}

/// Defines the enum of the binary operators.
macro_rules! binary_enum {
    ($($rows:tt)*) => {
        operator_enum! {
            /// An operator on two signals, `a` and `b`.
            BinaryOperator;
            $($rows)*
        }
    };
}

unary_operators!(unary_enum);
binary_operators!(binary_enum);

/// Remainder with the sign of the divisor.
fn modulo(left: f64, right: f64) -> f64 {
    let remainder = left % right;
    if remainder != 0.0 && (remainder < 0.0) != (right < 0.0) {
        remainder + right
    } else {
        remainder
    }
}

/// Quotient rounded down, computed from the remainder so that it stays exact.
fn floor_division(left: f64, right: f64) -> f64 {
    let quotient = (left - modulo(left, right)) / right;
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// Truth as a signal has it: one or zero.
fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl UnaryOperator {
    /// The result for a number that is known while building; `None` if only the server can
    /// compute it.
    pub(crate) fn fold(self, value: f64) -> Option<f64> {
        Some(match self {
            Self::Negative => -value,
            Self::BitNot => truth(value == 0.0),
            Self::Absolute => value.abs(),
            Self::AsInteger => floor_division(value, 1.0),
            Self::Ceiling => value.ceil(),
            Self::Floor => value.floor(),
            Self::FractionalPart => modulo(value, 1.0),
            Self::Squared => value * value,
            Self::Cubed => value.powi(3),
            Self::SquareRoot if value >= 0.0 => value.sqrt(),
            Self::Reciprocal => 1.0 / value,
            Self::Logarithm if value > 0.0 => value.ln(),
            Self::Logarithm2 if value > 0.0 => value.log2(),
            Self::Logarithm10 if value > 0.0 => value.log10(),
            Self::Sine => value.sin(),
            Self::Cosine => value.cos(),
            Self::Tangent => value.tan(),
            Self::ArcSine if value.abs() <= 1.0 => value.asin(),
            Self::ArcCosine if value.abs() <= 1.0 => value.acos(),
            Self::ArcTangent => value.atan(),
            Self::HyperbolicSine => value.sinh(),
            Self::HyperbolicCosine => value.cosh(),
            Self::HyperbolicTangent => value.tanh(),
            Self::Distort => value / (1.0 + value.abs()),
            Self::Silence => 0.0,
            Self::Through => value,
            _ => return None,
        })
    }
}

impl BinaryOperator {
    /// The result for numbers that are known while building; `None` if only the server can
    /// compute it.
    pub(crate) fn fold(self, left: f64, right: f64) -> Option<f64> {
        Some(match self {
            Self::Addition => left + right,
            Self::Subtraction => left - right,
            Self::Multiplication => left * right,
            Self::IntegerDivision if right != 0.0 => floor_division(left, right),
            Self::Division => left / right,
            Self::Modulo if right != 0.0 => modulo(left, right),
            Self::Equal => truth(left == right),
            Self::NotEqual => truth(left != right),
            Self::LessThan => truth(left < right),
            Self::GreaterThan => truth(left > right),
            Self::LessThanOrEqual => truth(left <= right),
            Self::GreaterThanOrEqual => truth(left >= right),
            Self::Minimum => {
                if right < left {
                    right
                } else {
                    left
                }
            }
            Self::Maximum => {
                if right > left {
                    right
                } else {
                    left
                }
            }
            Self::ArcTangent2 => left.atan2(right),
            Self::Hypotenuse => left.hypot(right),
            Self::Power => left.powf(right),
            Self::Ring1 => left * right + left,
            Self::Ring2 => left * right + left + right,
            Self::Ring3 => left * left * right,
            Self::Ring4 => left * left * right - left * right * right,
            Self::DifferenceOfSquares => left * left - right * right,
            Self::SumOfSquares => left * left + right * right,
            Self::SquareOfSum => (left + right) * (left + right),
            Self::SquareOfDifference => (left - right) * (left - right),
            Self::AbsoluteDifference => (left - right).abs(),
            Self::Threshold => {
                if left < right {
                    0.0
                } else {
                    left
                }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BinaryOperator, UnaryOperator, floor_division, modulo};

    #[test]
    fn numbers_are_positions_in_the_tables() {
        for (number, operator) in (0..).zip(UnaryOperator::ALL) {
            assert_eq!(*operator as u16, number);
            assert_eq!(UnaryOperator::from_number(number), Some(*operator));
        }
        for (number, operator) in (0..).zip(BinaryOperator::ALL) {
            assert_eq!(*operator as u16, number);
            assert_eq!(BinaryOperator::from_number(number), Some(*operator));
        }
        assert_eq!(UnaryOperator::ALL.len(), 54);
        assert_eq!(BinaryOperator::ALL.len(), 49);
        assert_eq!(UnaryOperator::from_number(54), None);
        assert_eq!(BinaryOperator::from_number(49), None);
    }

    #[test]
    fn results_that_only_the_server_has_are_not_folded() {
        assert_eq!(UnaryOperator::SquareRoot.fold(4.0), Some(2.0));
        assert_eq!(UnaryOperator::SquareRoot.fold(-4.0), None);
        assert_eq!(UnaryOperator::Logarithm.fold(0.0), None);
        assert_eq!(UnaryOperator::ArcSine.fold(1.5), None);
        assert_eq!(UnaryOperator::Random.fold(1.0), None);
        assert_eq!(BinaryOperator::Modulo.fold(1.0, 0.0), None);
        assert_eq!(BinaryOperator::IntegerDivision.fold(1.0, 0.0), None);
        assert_eq!(BinaryOperator::Division.fold(1.0, 4.0), Some(0.25));
        assert_eq!(BinaryOperator::RandomRange.fold(0.0, 1.0), None);
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        assert_eq!(modulo(5.0, 3.0), 2.0);
        assert_eq!(modulo(-5.0, 3.0), 1.0);
        assert_eq!(modulo(5.0, -3.0), -1.0);
        assert_eq!(floor_division(-5.0, 3.0), -2.0);
        assert_eq!(floor_division(6.0, 3.0), 2.0);
    }
}
