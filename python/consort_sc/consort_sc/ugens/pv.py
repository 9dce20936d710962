"""Spectra: chains of phase vocoders."""

from __future__ import annotations

from typing import Any

from .._core import ClassSpec, UGen
from ._classes import CLASSES, MODULES, create, define


class PV_ChainUGen(UGen):
    """The base of UGens that change a spectrum in place. Every reader of a spectrum except the last
    gets a copy."""

    _spec = ClassSpec("PV_ChainUGen", [], [], 2 | 32)

    @property
    def fft_size(self) -> Any:
        """The size of the buffer with the spectrum, in frames."""
        source: Any = self.inputs[0]
        return source.ugen.fft_size


CLASSES["PV_ChainUGen"] = PV_ChainUGen


def _fft_size(self: UGen) -> Any:
    """The size of the buffer with the spectrum, in frames."""
    return CLASSES["BufFrames"].ir(buffer_id=self.inputs[0])


_PLAIN = ("IFFT", "RunningSum")
for _name in MODULES["pv"].split():
    if _name not in _PLAIN:
        globals()[_name] = create(
            _name,
            "pv",
            base=PV_ChainUGen,
            methods={"fft_size": property(_fft_size)} if _name == "FFT" else None,
        )
define(globals(), skip=[_name for _name in MODULES["pv"].split() if _name not in _PLAIN])
