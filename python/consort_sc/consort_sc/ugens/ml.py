"""Analysis: beats, keys, loudness, onsets and pitch."""

import enum

from ._classes import CLASSES, define

define(globals())


class _ODFType(enum.IntEnum):
    """The detection functions of `Onsets`."""

    POWER = 0
    MAGSUM = 1
    COMPLEX = 2
    RCOMPLEX = 3
    PHASE = 4
    WPHASE = 5
    MKL = 6


CLASSES["Onsets"].ODFType = _ODFType
