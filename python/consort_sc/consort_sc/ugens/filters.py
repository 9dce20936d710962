"""Filters and smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._classes import CLASSES, define
from .core import PseudoUGen

if TYPE_CHECKING:
    from .core import UGenOperable, UGenRecursiveInput


class Changed(PseudoUGen):
    """One while a signal changes by more than a threshold, otherwise zero."""

    @classmethod
    def ar(cls, *, source: UGenRecursiveInput, threshold: UGenRecursiveInput = 0) -> UGenOperable:
        """Compares at audio rate."""
        return abs(CLASSES["HPZ1"].ar(source=source)) > threshold

    @classmethod
    def kr(cls, *, source: UGenRecursiveInput, threshold: UGenRecursiveInput = 0) -> UGenOperable:
        """Compares at control rate."""
        return abs(CLASSES["HPZ1"].kr(source=source)) > threshold


define(globals())
