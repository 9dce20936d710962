"""Panning and B-format."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._classes import CLASSES, define
from .basic import Mix
from .core import PseudoUGen

if TYPE_CHECKING:
    from .core import UGenOperable


class Splay(PseudoUGen):
    """Spreads channels over the stereo field."""

    @classmethod
    def ar(
        cls,
        *,
        source: Any,
        center: Any = 0,
        level: Any = 1,
        normalize: bool = True,
        spread: Any = 1,
    ) -> UGenOperable:
        """Spreads at audio rate; normalised for equal power."""
        if normalize:
            level = level * math.sqrt(1 / len(source))
        return cls._spread("ar", source, center, level, spread)

    @classmethod
    def kr(
        cls,
        *,
        source: Any,
        center: Any = 0,
        level: Any = 1,
        normalize: bool = True,
        spread: Any = 1,
    ) -> UGenOperable:
        """Spreads at control rate; normalised for equal amplitude."""
        if normalize:
            level = level / len(source)
        return cls._spread("kr", source, center, level, spread)

    @staticmethod
    def _spread(rate: str, source: Any, center: Any, level: Any, spread: Any) -> UGenOperable:
        count = len(source)
        positions = [
            (index * (2 / (count - 1)) - 1 if count > 1 else 0) * spread + center
            for index in range(count)
        ]
        panners = getattr(CLASSES["Pan2"], rate)(source=source, position=positions)
        return Mix.multichannel(Mix.multichannel(panners, 2) * level, 2)


define(globals())
