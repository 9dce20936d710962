"""SuperCollider for Python: UGens, SynthDefs and OSC, with the interface of Supriya."""

from __future__ import annotations

from typing import Any

from . import conversions, enums, exceptions, io, osc, sclang, scsynth, typing, ugens, utils
from .enums import (
    AddAction,
    BootStatus,
    CalculationRate,
    DoneAction,
    HeaderFormat,
    ParameterRate,
    SampleFormat,
    ServerLifecycleEvent,
    ServerShutdownEvent,
)
from .io import graph
from .osc import OscBundle, OscCallback, OscMessage, find_free_port
from .scsynth import Options
from .ugens import Envelope, SynthDef, SynthDefBuilder, UGen, UGenOperable, UGenVector, synthdef

__version__ = "0.1.0"
__version_info__ = (0, 1, 0)

__all__ = [
    "AddAction",
    "BootStatus",
    "CalculationRate",
    "DoneAction",
    "Envelope",
    "HeaderFormat",
    "Options",
    "OscBundle",
    "OscCallback",
    "OscMessage",
    "ParameterRate",
    "SampleFormat",
    "ServerLifecycleEvent",
    "ServerShutdownEvent",
    "SynthDef",
    "SynthDefBuilder",
    "UGen",
    "UGenOperable",
    "UGenVector",
    "__version__",
    "__version_info__",
    "conversions",
    "default",
    "enums",
    "exceptions",
    "find_free_port",
    "graph",
    "io",
    "osc",
    "sclang",
    "scsynth",
    "synthdef",
    "typing",
    "ugens",
    "utils",
]


def __getattr__(name: str) -> Any:
    if name == "default":
        return ugens.default
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "default"})
