"""Amplitude followers, compressors and limiters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._classes import CLASSES, define
from .core import PseudoUGen

if TYPE_CHECKING:
    from .core import UGenOperable, UGenRecursiveInput


class CompanderD(PseudoUGen):
    """Compander with look-ahead: the signal is delayed by the clamp time, its control is not."""

    @classmethod
    def ar(
        cls,
        source: UGenRecursiveInput | None = None,
        threshold: UGenRecursiveInput = 0.5,
        clamp_time: UGenRecursiveInput = 0.01,
        relax_time: UGenRecursiveInput = 0.1,
        slope_above: UGenRecursiveInput = 1.0,
        slope_below: UGenRecursiveInput = 1.0,
    ) -> UGenOperable:
        """The compander at audio rate; times are in seconds."""
        delayed = CLASSES["DelayN"].ar(
            source=source, maximum_delay_time=clamp_time, delay_time=clamp_time
        )
        return CLASSES["Compander"].ar(
            source=delayed,
            control=source,
            threshold=threshold,
            slope_below=slope_below,
            slope_above=slope_above,
            clamp_time=clamp_time,
            relax_time=relax_time,
        )


define(globals())
