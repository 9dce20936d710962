"""Sine oscillators, impulses of limited bandwidth, and resonators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._classes import CLASSES, define

define(globals())


def _klank(
    cls: Any,
    *,
    amplitudes: Any = None,
    decay_scale: Any = 1,
    decay_times: Any = None,
    frequencies: Any,
    frequency_offset: Any = 0,
    frequency_scale: Any = 1,
    source: Any,
) -> Any:
    """A bank of resonators, one for each frequency in hertz; amplitudes and decay times in seconds
    are 1 if they are not given."""

    def values(given: Any) -> list[Any]:
        if given is None:
            return [1.0] * len(frequencies)
        if not isinstance(given, Sequence):
            return [given] * len(frequencies)
        return list(given)

    if not isinstance(frequencies, Sequence):
        frequencies = [frequencies]
    columns = [list(frequencies), values(amplitudes), values(decay_times)]
    if len({len(column) for column in columns}) != 1:
        raise ValueError(
            f"expected {len(frequencies)} amplitudes and decay times, one for each frequency; "
            f"found {len(columns[1])} and {len(columns[2])}"
        )
    return cls._new_expanded(
        calculation_rate="ar",
        decay_scale=decay_scale,
        frequency_offset=frequency_offset,
        frequency_scale=frequency_scale,
        source=source,
        specifications=[value for row in zip(*columns) for value in row],
    )


CLASSES["Klank"].ar = classmethod(_klank)
