"""Operators on numbers, computed without the server. An operator that is not here becomes a UGen
even if its inputs are numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from ..enums import BinaryOperator as B
from ..enums import UnaryOperator as U

UNARY: dict[int, Callable[[float], float]] = {
    int(U.NEGATIVE): operator.neg,
    int(U.BIT_NOT): operator.not_,
    int(U.ABSOLUTE_VALUE): abs,
    int(U.AS_INT): lambda value: value // 1,
    int(U.CEILING): math.ceil,
    int(U.FLOOR): math.floor,
    int(U.FRACTIONAL_PART): lambda value: value % 1,
    int(U.SQUARED): lambda value: value**2,
    int(U.CUBED): lambda value: value**3,
    int(U.SQUARE_ROOT): math.sqrt,
    int(U.RECIPROCAL): lambda value: 1 / value,
    int(U.LOG): math.log,
    int(U.LOG2): math.log2,
    int(U.LOG10): math.log10,
    int(U.SIN): math.sin,
    int(U.COS): math.cos,
    int(U.TAN): math.tan,
    int(U.ARCSIN): math.asin,
    int(U.ARCCOS): math.acos,
    int(U.ARCTAN): math.atan,
    int(U.SINH): math.sinh,
    int(U.COSH): math.cosh,
    int(U.TANH): math.tanh,
    int(U.DISTORT): lambda value: value / (1 + abs(value)),
    int(U.SILENCE): lambda value: 0.0,
    int(U.THRU): lambda value: value,
}


def _integers(name: str) -> Callable[[float, float], float]:
    def reject(left: float, right: float) -> float:
        raise TypeError(f"{name} of {left} and {right}: only the server computes it, on signals")

    return reject


BINARY: dict[int, Callable[[float, float], float]] = {
    int(B.ADDITION): operator.add,
    int(B.SUBTRACTION): operator.sub,
    int(B.MULTIPLICATION): operator.mul,
    int(B.INTEGER_DIVISION): operator.floordiv,
    int(B.FLOAT_DIVISION): operator.truediv,
    int(B.MODULO): operator.mod,
    int(B.EQUAL): operator.eq,
    int(B.NOT_EQUAL): operator.ne,
    int(B.LESS_THAN): operator.lt,
    int(B.GREATER_THAN): operator.gt,
    int(B.LESS_THAN_OR_EQUAL): operator.le,
    int(B.GREATER_THAN_OR_EQUAL): operator.ge,
    int(B.MINIMUM): min,
    int(B.MAXIMUM): max,
    int(B.BITWISE_AND): _integers("the bitwise and"),
    int(B.BITWISE_OR): _integers("the bitwise or"),
    int(B.BITWISE_XOR): _integers("the bitwise exclusive or"),
    int(B.LCM): _integers("the least common multiple"),
    int(B.GCD): _integers("the greatest common divisor"),
    int(B.ATAN2): math.atan2,
    int(B.HYPOT): math.hypot,
    int(B.POWER): operator.pow,
    int(B.SHIFT_LEFT): _integers("the left shift"),
    int(B.SHIFT_RIGHT): _integers("the right shift"),
    int(B.RING1): lambda left, right: left * right + left,
    int(B.RING2): lambda left, right: left * right + left + right,
    int(B.RING3): lambda left, right: left * left * right,
    int(B.RING4): lambda left, right: left * left * right - left * right * right,
    int(B.DIFFERENCE_OF_SQUARES): lambda left, right: left * left - right * right,
    int(B.SUM_OF_SQUARES): lambda left, right: left * left + right * right,
    int(B.SQUARE_OF_SUM): lambda left, right: (left + right) ** 2,
    int(B.SQUARE_OF_DIFFERENCE): lambda left, right: (left - right) ** 2,
    int(B.ABSOLUTE_DIFFERENCE): lambda left, right: abs(left - right),
    int(B.THRESHOLD): lambda left, right: left if left >= right else 0.0,
}
