"""Sums of signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core
from .._core import RateMethod
from ._classes import CLASSES, define
from .core import PseudoUGen

if TYPE_CHECKING:
    from .core import UGenOperable, UGenRecursiveInput


class Mix(PseudoUGen):
    """Adds channels."""

    @classmethod
    def new(cls, sources: UGenRecursiveInput) -> Any:
        """The sum of all channels of the sources, four at a time. A number is returned as it is."""
        if isinstance(sources, (int, float)):
            return sources
        return _core.mix_all(sources)

    @classmethod
    def multichannel(cls, sources: UGenRecursiveInput, channel_count: int) -> UGenOperable:
        """The sum of the first channels of all groups of `channel_count` channels, of the second
        ones, and so on."""
        return _core.mix_groups(sources, channel_count)


define(globals())

for _name in ("MulAdd", "Sum3", "Sum4"):
    CLASSES[_name].new = RateMethod(CLASSES[_name]._spec)
