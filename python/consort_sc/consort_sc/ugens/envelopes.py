"""Envelopes, and UGens that free and pause nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any

from ..enums import EnvelopeShape
from ._classes import define
from .core import UGenOperable, UGenVector

define(globals())

_SHAPE_NUMBERS = {shape: (float(shape), 0.0) for shape in EnvelopeShape}


def _number(value: Any) -> Any:
    """A signal as it is, other values as numbers."""
    if isinstance(value, UGenOperable):
        return value
    return float(value)


def _curve(value: Any) -> Any:
    """A shape, or the curvature of a segment."""
    if value is None or isinstance(value, (str, EnvelopeShape)):
        return EnvelopeShape.from_expr(value)
    if type(value).__name__ == "EnvelopeShape":
        return EnvelopeShape(int(value))
    return _number(value)


class Envelope:
    """Breakpoints: amplitudes, the durations between them in seconds, and the shapes of the
    segments: an `EnvelopeShape`, its name, or a curvature, where 0 is linear.

    An envelope stays at `release_node` until its gate closes, and repeats from `loop_node` until
    then. `offset` shifts the time of envelopes that are read at a position.
    """

    def __init__(
        self,
        amplitudes: Sequence[UGenOperable | float] = (0, 1, 0),
        durations: Sequence[UGenOperable | float] = (1, 1),
        curves: Any = (EnvelopeShape.LINEAR, EnvelopeShape.LINEAR),
        release_node: int | None = None,
        loop_node: int | None = None,
        offset: UGenOperable | float = 0.0,
    ) -> None:
        if len(amplitudes) < 2:
            raise ValueError(f"expected at least two amplitudes, found {amplitudes!r}")
        if len(durations) != len(amplitudes) - 1:
            raise ValueError(
                f"expected {len(amplitudes) - 1} durations for {len(amplitudes)} amplitudes, found "
                f"{durations!r}"
            )
        if (
            isinstance(curves, (int, float, str, EnvelopeShape, UGenOperable))
            and not isinstance(curves, UGenVector)
        ) or curves is None:
            curves = (curves,)
        self._release_node = release_node
        self._loop_node = loop_node
        self._offset = _number(0.0 if offset is None else offset)
        self._initial_amplitude = _number(amplitudes[0])
        self._amplitudes = tuple(_number(amplitude) for amplitude in amplitudes[1:])
        self._durations = tuple(_number(duration) for duration in durations)
        self._curves = tuple(_curve(curve) for curve in curves)
        self._envelope_segments = tuple(zip(self._amplitudes, self._durations, cycle(self._curves)))

    @classmethod
    def adsr(
        cls,
        attack_time: Any = 0.01,
        decay_time: Any = 0.3,
        sustain: Any = 0.5,
        release_time: Any = 1.0,
        peak: Any = 1.0,
        curve: Any = -4.0,
        bias: Any = 0.0,
    ) -> Envelope:
        """Attack, decay to a fraction of the peak, sustain, and release; times are in seconds."""
        amplitudes = [amplitude + bias for amplitude in (0, peak, peak * sustain, 0)]
        durations = [attack_time, decay_time, release_time]
        return cls(amplitudes, durations, [curve], release_node=2)

    @classmethod
    def asr(
        cls,
        attack_time: Any = 0.01,
        sustain: Any = 1.0,
        release_time: Any = 1.0,
        curve: Any = -4.0,
    ) -> Envelope:
        """Attack, sustain and release; times are in seconds."""
        return cls([0, sustain, 0], [attack_time, release_time], [curve], release_node=1)

    @classmethod
    def from_segments(
        cls,
        initial_amplitude: Any = 0,
        segments: Iterable[tuple[Any, Any, Any]] | None = None,
        release_node: int | None = None,
        loop_node: int | None = None,
        offset: Any = None,
    ) -> Envelope:
        """An envelope of segments: amplitude at the end, duration in seconds, and shape."""
        segments = list(segments or ())
        return cls(
            [initial_amplitude, *(amplitude for amplitude, _, _ in segments)],
            [duration for _, duration, _ in segments],
            [curve for _, _, curve in segments],
            release_node=release_node,
            loop_node=loop_node,
            offset=offset,
        )

    @classmethod
    def linen(
        cls,
        attack_time: Any = 0.01,
        sustain_time: Any = 1.0,
        release_time: Any = 1.0,
        level: Any = 1.0,
        curve: Any = 1,
    ) -> Envelope:
        """A trapezoid; times are in seconds."""
        durations = [attack_time, sustain_time, release_time]
        return cls([0, level, level, 0], durations, [curve])

    @classmethod
    def percussive(
        cls,
        attack_time: UGenOperable | float = 0.01,
        release_time: UGenOperable | float = 1.0,
        amplitude: UGenOperable | float = 1.0,
        curve: Any = -4.0,
    ) -> Envelope:
        """Attack and release without sustain; times are in seconds."""
        return cls([0, amplitude, 0], [attack_time, release_time], [curve])

    @classmethod
    def triangle(cls, duration: Any = 1.0, amplitude: Any = 1.0) -> Envelope:
        """A triangle; the duration is in seconds."""
        return cls([0, amplitude, 0], [duration / 2.0, duration / 2.0])

    def at(self, time: float) -> float:
        """The amplitude at a time in seconds."""
        start = _constant(self._initial_amplitude)
        for end, duration, curve in self._envelope_segments:
            end, duration = _constant(end), _constant(duration)
            if time < duration:
                return _interpolate(start, end, time / duration if duration else 1.0, curve)
            time -= duration
            start = end
        return start

    def serialize(self, **kwargs: Any) -> UGenVector:
        """The inputs of `EnvGen`."""
        release_node = -99 if self._release_node is None else self._release_node
        loop_node = -99 if self._loop_node is None else self._loop_node
        values = [self._initial_amplitude, len(self._envelope_segments), release_node, loop_node]
        for amplitude, duration, curve in self._envelope_segments:
            values += (amplitude, duration)
            values += _SHAPE_NUMBERS.get(curve) if type(curve) is EnvelopeShape else (5.0, curve)
        return UGenVector(*values)

    def serialize_interpolated(self) -> UGenVector:
        """The inputs of `IEnvGen`."""
        values = [
            self._offset,
            self._initial_amplitude,
            len(self._envelope_segments),
            sum(self._durations[1:], self._durations[0]),
        ]
        for amplitude, duration, curve in self._envelope_segments:
            values.append(duration)
            values += _SHAPE_NUMBERS[curve] if type(curve) is EnvelopeShape else (5.0, curve)
            values.append(amplitude)
        return UGenVector(*values)

    def to_array(self, length: int = 1024) -> list[float]:
        """The amplitudes at `length` times at equal distances, from the beginning to the end."""
        if length < 1:
            raise ValueError(f"invalid length {length}: expected 1 or more")
        duration = sum(_constant(duration) for duration in self._durations)
        step = duration / (length - 1) if length > 1 else 0.0
        return [self.at(index * step) for index in range(length)]

    @property
    def amplitudes(self) -> tuple[UGenOperable | float, ...]:
        """All amplitudes."""
        return (self._initial_amplitude, *self._amplitudes)

    @property
    def curves(self) -> tuple[EnvelopeShape | UGenOperable | float, ...]:
        """The shapes or curvatures."""
        return self._curves

    @property
    def duration(self) -> UGenOperable | float:
        """The sum of the durations in seconds."""
        duration: UGenOperable | float = sum(self._durations[1:], self._durations[0])
        return duration

    @property
    def durations(self) -> tuple[UGenOperable | float, ...]:
        """The durations of the segments in seconds."""
        return self._durations

    @property
    def envelope_segments(self) -> tuple[tuple[Any, Any, Any], ...]:
        """Amplitude at the end, duration and shape of each segment."""
        return self._envelope_segments

    @property
    def initial_amplitude(self) -> UGenOperable | float:
        """The amplitude at the beginning."""
        amplitude: UGenOperable | float = self._initial_amplitude
        return amplitude

    @property
    def loop_node(self) -> int | None:
        """The breakpoint at which a loop begins."""
        return self._loop_node

    @property
    def offset(self) -> UGenOperable | float:
        """How the time of envelopes that are read at a position is shifted."""
        offset: UGenOperable | float = self._offset
        return offset

    @property
    def release_node(self) -> int | None:
        """The breakpoint at which the envelope stays until its gate closes."""
        return self._release_node


def _constant(value: Any) -> float:
    if isinstance(value, UGenOperable) and not hasattr(value, "__float__"):
        raise TypeError(f"expected a number, found {value!r}: only the server has its value")
    return float(value)


def _interpolate(start: float, end: float, position: float, curve: Any) -> float:
    """The amplitude at a position from 0 to 1 of a segment."""
    difference = end - start
    if not isinstance(curve, EnvelopeShape):
        curvature = _constant(curve)
        if abs(curvature) < 0.001:
            return start + difference * position
        ratio = (1 - math.exp(position * curvature)) / (1 - math.exp(curvature))
        return start + difference * ratio
    if curve is EnvelopeShape.STEP:
        return end
    if curve is EnvelopeShape.HOLD:
        return start
    if curve is EnvelopeShape.EXPONENTIAL:
        return start * math.pow(end / start, position)
    if curve is EnvelopeShape.SINE:
        return start + difference * (0.5 - 0.5 * math.cos(math.pi * position))
    if curve is EnvelopeShape.WELCH:
        if start < end:
            return start + difference * math.sin(math.pi / 2 * position)
        return end - difference * math.sin(math.pi / 2 * (1 - position))
    if curve is EnvelopeShape.SQUARED:
        root = math.sqrt(start)
        return (root + position * (math.sqrt(end) - root)) ** 2
    if curve is EnvelopeShape.CUBED:
        root = start ** (1 / 3)
        return float((root + position * (end ** (1 / 3) - root)) ** 3)
    return start + difference * position


globals()["__all__"].append("Envelope")
