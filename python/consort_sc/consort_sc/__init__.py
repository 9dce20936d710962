"""SuperCollider for Python: UGens, SynthDefs and OSC, with the interface of Supriya."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .io import graph, play, plot, render
from .osc import OscBundle, OscCallback, OscMessage, find_free_port
from .scsynth import Options
from .ugens import Envelope, SynthDef, SynthDefBuilder, UGen, UGenOperable, UGenVector, synthdef

if TYPE_CHECKING:
    from pathlib import Path

    from . import contexts
    from .contexts import (
        AsyncServer,
        BaseServer,
        Buffer,
        BufferGroup,
        Bus,
        BusGroup,
        Context,
        Group,
        Node,
        ScopeBuffer,
        Score,
        Server,
        ServerLifecycleCallback,
        Synth,
    )

    output_path: Path

__version__ = "0.1.0"
__version_info__ = (0, 1, 0)

__all__ = [
    "AddAction",
    "AsyncServer",
    "BaseServer",
    "BootStatus",
    "Buffer",
    "BufferGroup",
    "Bus",
    "BusGroup",
    "CalculationRate",
    "Context",
    "DoneAction",
    "Envelope",
    "Group",
    "HeaderFormat",
    "Node",
    "Options",
    "OscBundle",
    "OscCallback",
    "OscMessage",
    "ParameterRate",
    "SampleFormat",
    "ScopeBuffer",
    "Score",
    "Server",
    "ServerLifecycleCallback",
    "ServerLifecycleEvent",
    "ServerShutdownEvent",
    "Synth",
    "SynthDef",
    "SynthDefBuilder",
    "UGen",
    "UGenOperable",
    "UGenVector",
    "__version__",
    "__version_info__",
    "contexts",
    "conversions",
    "default",
    "enums",
    "exceptions",
    "find_free_port",
    "graph",
    "io",
    "osc",
    "output_path",
    "play",
    "plot",
    "render",
    "sclang",
    "scsynth",
    "synthdef",
    "typing",
    "ugens",
    "utils",
]


#: Names that are imported when they are used first, so that programs that only build SynthDefs
#: start faster: the module of each.
_LAZY = {
    **dict.fromkeys(
        (
            "AsyncServer",
            "BaseServer",
            "Buffer",
            "BufferGroup",
            "Bus",
            "BusGroup",
            "Context",
            "Group",
            "Node",
            "Score",
            "ScopeBuffer",
            "Server",
            "ServerLifecycleCallback",
            "Synth",
        ),
        "contexts",
    ),
    **dict.fromkeys(
        (
            "AsyncClock",
            "AsyncOfflineClock",
            "BaseClock",
            "Clock",
            "ClockCallbackState",
            "OfflineClock",
            "TimeUnit",
        ),
        "clocks",
    ),
    "Pattern": "patterns",
}
_LAZY_MODULES = ("clocks", "compat", "contexts", "patterns", "shm")


def __getattr__(name: str) -> Any:
    if name in _LAZY_MODULES:
        return import_module(f".{name}", __name__)
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    elif name == "default":
        return ugens.default
    elif name == "output_path":
        value = _output_path()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _output_path() -> Path:
    """The folder for rendered files."""
    import os
    from pathlib import Path

    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "consort_sc"


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_LAZY_MODULES, "default", "output_path"})
