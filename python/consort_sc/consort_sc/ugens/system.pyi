"""SynthDefs that contexts need."""

from .core import SynthDef

AMPLITUDE_SCOPE_SYNTHDEFS: dict[str, SynthDef]
FREQUENCY_SCOPE_SYNTHDEFS: dict[str, SynthDef]
SYSTEM_SYNTHDEFS: dict[str, SynthDef]
default: SynthDef

__all__ = [
    "AMPLITUDE_SCOPE_SYNTHDEFS",
    "FREQUENCY_SCOPE_SYNTHDEFS",
    "SYSTEM_SYNTHDEFS",
    "default",
]
