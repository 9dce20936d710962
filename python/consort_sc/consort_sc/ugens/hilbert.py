"""Hilbert transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._classes import CLASSES, define
from .core import PseudoUGen, UGenVector

if TYPE_CHECKING:
    from .core import UGenOperable, UGenRecursiveInput


class HilbertFIR(PseudoUGen):
    """Hilbert transform with an FFT: the delayed signal, and the signal shifted by 90 degrees."""

    @classmethod
    def ar(cls, *, source: UGenRecursiveInput, buffer_id: UGenRecursiveInput) -> UGenOperable:
        """The transform at audio rate. The buffer has the size of the window, and its duration is
        the delay."""
        chain = CLASSES["FFT"].kr(source=source, buffer_id=buffer_id)
        chain = CLASSES["PV_PhaseShift90"].kr(pv_chain=chain)
        delay = CLASSES["BufDur"].kr(buffer_id=buffer_id)
        delayed = CLASSES["DelayN"].ar(source=source, maximum_delay_time=delay, delay_time=delay)
        return UGenVector(delayed, CLASSES["IFFT"].ar(pv_chain=chain))


define(globals())
