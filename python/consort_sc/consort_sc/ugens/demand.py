"""Demand-rate sources and the UGens that read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._classes import CLASSES, define

define(globals())


def _dwrand(cls: Any, repeats: Any = 1, sequence: Any = None, weights: Any = None) -> Any:
    """A weighted random choice from the sequence; weights that are missing are zero, and without
    any weight all are equal."""
    if not isinstance(sequence, Sequence):
        sequence = [sequence]
    if weights is None:
        weights = [1 / len(sequence)] * len(sequence)
    elif not isinstance(weights, Sequence):
        weights = [weights]
    weights = list(weights)[: len(sequence)]
    weights += [0.0] * (len(sequence) - len(weights))
    return cls._new_expanded(
        calculation_rate="dr",
        repeats=repeats,
        length=len(sequence),
        weights=weights,
        sequence=list(sequence),
    )


CLASSES["Dwrand"].dr = classmethod(_dwrand)
