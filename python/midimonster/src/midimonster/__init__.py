"""The interface of a script to the show.

Inside `consort run`, consort itself provides this module. This package replaces it in editors and
in tests: the functions act on the :class:`midimonster.harness.Show` that a test has created, or
on an empty one.
"""

from __future__ import annotations

from typing import Any, Callable

from . import _state

__all__ = [
    "channels",
    "cleanup_handler",
    "current",
    "inputvalue",
    "interval",
    "manage",
    "output",
    "outputvalue",
    "timestamp",
]


def output(name: str, value: float) -> None:
    """Output a value on a channel of this instance; it is clamped to 0.0-1.0."""
    _state.active().output(name, value)


def inputvalue(name: str) -> float | None:
    """The last value that arrived on a channel; None if there is no such channel.

    Inside the channel's own handler, this is the previous value.
    """
    return _state.active().value_of(name, _state.active().last_inputs)


def outputvalue(name: str) -> float | None:
    """The last value output on a channel; None if there is no such channel."""
    return _state.active().value_of(name, _state.active().last_outputs)


def current() -> str | None:
    """The channel whose handler is running, otherwise None."""
    return _state.active().current


def timestamp() -> int:
    """Milliseconds since the show started."""
    return _state.active().milliseconds


def interval(function: Callable[[], Any], milliseconds: int) -> None:
    """Call a function periodically, in steps of 10 milliseconds; 0 cancels."""
    _state.active().set_interval(function, milliseconds)


def manage(function: Callable[[Any], Any] | None, socket: Any) -> None:
    """Call ``function(socket)`` whenever it is readable; None as function cancels."""
    _state.active().set_managed(function, socket)


def channels() -> list[str]:
    """The names of the channels: first those created during imports, then the mapped ones."""
    return list(_state.active().names)


def cleanup_handler(function: Callable[[], Any] | None) -> Callable[[], Any] | None:
    """Call a function when the show ends; returns the previous one."""
    return _state.active().set_cleanup(function)
