"""Lines, conversions of rates and of ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._classes import CLASSES, define
from .core import PseudoUGen, UGenVector

if TYPE_CHECKING:
    from .core import UGenOperable


def _linear_map(
    source: Any,
    input_minimum: Any,
    input_maximum: Any,
    output_minimum: Any,
    output_maximum: Any,
) -> Any:
    """Maps a linear range to another."""
    scale = (output_maximum - output_minimum) / (input_maximum - input_minimum)
    offset = output_minimum - scale * input_minimum
    return CLASSES["MulAdd"].new(source=source, multiplier=scale, addend=offset)


class LinLin(PseudoUGen):
    """Maps a linear range to another linear range."""

    @staticmethod
    def ar(
        *,
        source: Any,
        input_minimum: Any = 0.0,
        input_maximum: Any = 1.0,
        output_minimum: Any = 1.0,
        output_maximum: Any = 2.0,
    ) -> UGenOperable:
        """The signal in its new range."""
        return _linear_map(source, input_minimum, input_maximum, output_minimum, output_maximum)

    @staticmethod
    def kr(
        *,
        source: Any,
        input_minimum: Any = 0.0,
        input_maximum: Any = 1.0,
        output_minimum: Any = 1.0,
        output_maximum: Any = 2.0,
    ) -> UGenOperable:
        """The signal in its new range."""
        return _linear_map(source, input_minimum, input_maximum, output_minimum, output_maximum)


class Silence(PseudoUGen):
    """Silence at audio rate."""

    @classmethod
    def ar(cls, channel_count: int = 1) -> UGenOperable:
        """The same silent signal for all channels."""
        silence = CLASSES["DC"].ar(source=0)
        if channel_count == 1:
            return silence
        return UGenVector(*[silence] * channel_count)


define(globals())
