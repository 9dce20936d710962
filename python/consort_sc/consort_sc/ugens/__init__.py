"""UGens and SynthDefs."""

from __future__ import annotations

from typing import Any

from . import (
    _classes,
    basic,
    beq,
    bufio,
    chaos,
    convolution,
    core,
    delay,
    demand,
    diskio,
    dynamics,
    envelopes,
    ffsinosc,
    filters,
    further,
    gendyn,
    granular,
    hilbert,
    info,
    inout,
    lines,
    mac,
    ml,
    noise,
    osc,
    panning,
    physical,
    pv,
    reverb,
    safety,
    system,
    triggers,
)

_MODULES = (
    core,
    basic,
    beq,
    bufio,
    chaos,
    convolution,
    delay,
    demand,
    diskio,
    dynamics,
    envelopes,
    ffsinosc,
    filters,
    further,
    gendyn,
    granular,
    hilbert,
    info,
    inout,
    lines,
    mac,
    ml,
    noise,
    osc,
    panning,
    physical,
    pv,
    reverb,
    safety,
    triggers,
)

__all__ = ["SYSTEM_SYNTHDEFS", "default"]
for _module in _MODULES:
    for _name in _module.__all__:
        globals()[_name] = getattr(_module, _name)
        __all__.append(_name)
# The SynthDefs of `system` use the classes of several UGens together.
_classes.CLASSES["Mix"] = basic.Mix


def __getattr__(name: str) -> Any:
    if name in system.__all__:
        return getattr(system, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *system.__all__})
