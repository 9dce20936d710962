"""Triggers, ranges, and messages to the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._core import OutputProxy, UGen
from ..enums import CalculationRate
from ._classes import CLASSES, define

define(globals())


def _characters(text: Any) -> list[float]:
    return [float(ord(character)) for character in str(text)]


def _poll(rate: str, cls: Any, label: Any, source: Any, trigger: Any, trigger_id: Any) -> Any:
    if label is None:
        if isinstance(source, OutputProxy):
            label = type(source.ugen).__name__
        elif isinstance(source, UGen):
            label = type(source).__name__
        else:
            label = ""
    characters = _characters(label)
    return cls._new_expanded(
        calculation_rate=rate,
        trigger=trigger,
        source=source,
        trigger_id=trigger_id,
        label=[len(characters), *characters],
    )


def _poll_ar(
    cls: Any, label: Any = None, source: Any = None, trigger: Any = None, trigger_id: Any = -1
) -> Any:
    """Prints the source at each trigger, and sends it to the client unless the id is negative."""
    return _poll("ar", cls, label, source, trigger, trigger_id)


def _poll_kr(
    cls: Any, label: Any = None, source: Any = None, trigger: Any = None, trigger_id: Any = -1
) -> Any:
    """Prints the source at each trigger, and sends it to the client unless the id is negative."""
    return _poll("kr", cls, label, source, trigger, trigger_id)


def _poll_new(
    cls: Any, label: Any = None, source: Any = None, trigger: Any = None, trigger_id: Any = -1
) -> Any:
    """Prints the source at each trigger, at the rate of the source; at least at control rate."""
    rate = max(CalculationRate.from_expr(source), CalculationRate.CONTROL)
    return _poll(rate.token, cls, label, source, trigger, trigger_id)


def _listed(source: Any) -> list[Any]:
    return list(source) if isinstance(source, Sequence) else [source]


def _send_reply(
    rate: str, cls: Any, command_name: Any, reply_id: Any, source: Any, trigger: Any
) -> Any:
    characters = _characters(command_name)
    return cls._new_expanded(
        calculation_rate=rate,
        trigger=trigger,
        reply_id=reply_id,
        character_count=len(characters),
        character=characters,
        source=_listed(source),
    )


def _send_reply_ar(
    cls: Any,
    command_name: str = "/reply",
    reply_id: Any = -1,
    source: Any = None,
    trigger: Any = None,
) -> Any:
    """Sends the sources to the client at each trigger, as a message of this address."""
    return _send_reply("ar", cls, command_name, reply_id, source, trigger)


def _send_reply_kr(
    cls: Any,
    command_name: str = "/reply",
    reply_id: Any = -1,
    source: Any = None,
    trigger: Any = None,
) -> Any:
    """Sends the sources to the client at each trigger, as a message of this address."""
    return _send_reply("kr", cls, command_name, reply_id, source, trigger)


def _send_peak(
    rate: str,
    cls: Any,
    command_name: Any,
    peak_lag: Any,
    reply_id: Any,
    reply_rate: Any,
    source: Any,
) -> Any:
    sources = _listed(source)
    characters = _characters(command_name)
    return cls._new_expanded(
        calculation_rate=rate,
        reply_rate=reply_rate,
        peak_lag=peak_lag,
        reply_id=reply_id,
        source_size=len(sources),
        source=sources,
        character_count=len(characters),
        character=characters,
    )


def _send_peak_ar(
    cls: Any,
    command_name: str = "/reply",
    peak_lag: Any = 3,
    reply_id: Any = -1,
    reply_rate: Any = 20,
    source: Any = None,
) -> Any:
    """Sends peak and mean power of the sources to the client, `reply_rate` times a second."""
    return _send_peak("ar", cls, command_name, peak_lag, reply_id, reply_rate, source)


def _send_peak_kr(
    cls: Any,
    command_name: str = "/reply",
    peak_lag: Any = 3,
    reply_id: Any = -1,
    reply_rate: Any = 20,
    source: Any = None,
) -> Any:
    """Sends peak and mean power of the sources to the client, `reply_rate` times a second."""
    return _send_peak("kr", cls, command_name, peak_lag, reply_id, reply_rate, source)


for _name, _rate, _function in (
    ("Poll", "ar", _poll_ar),
    ("Poll", "kr", _poll_kr),
    ("Poll", "new", _poll_new),
    ("SendReply", "ar", _send_reply_ar),
    ("SendReply", "kr", _send_reply_kr),
    ("SendPeakRMS", "ar", _send_peak_ar),
    ("SendPeakRMS", "kr", _send_peak_kr),
):
    setattr(CLASSES[_name], _rate, classmethod(_function))
