"""The interface of a script to the show.

Inside `consort run`, consort itself provides this module. This package replaces it in editors and
in tests: the functions act on the :class:`midimonster.harness.Show` that a test has created, or
on an empty one.
"""

from __future__ import annotations

from typing import Any, Callable

from . import _active

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


def output(name: str, value: float | str) -> None:
    """Output a number, clamped to 0.0-1.0, or a text on a channel of this instance."""
    _active.active().output(name, value)


def inputvalue(name: str) -> float | None:
    """The last number that arrived on a channel; None if there is no such channel.

    Inside the channel's own handler, this is the previous value.
    """
    return _active.active().inputvalue(name)


def outputvalue(name: str) -> float | None:
    """The last number output on a channel; None if there is no such channel."""
    return _active.active().outputvalue(name)


def current() -> str | None:
    """The channel whose handler is running, otherwise None."""
    return _active.active().current()


def timestamp() -> int:
    """Milliseconds since the show started."""
    return _active.active().milliseconds


def interval(function: Callable[[], Any], milliseconds: int) -> None:
    """Call a function periodically, in steps of 10 milliseconds; 0 cancels."""
    _active.active().interval(function, milliseconds)


def manage(function: Callable[[Any], Any] | None, socket: Any) -> None:
    """Call ``function(socket)`` whenever it is readable; None as function cancels."""
    _active.active().manage(function, socket)


def channels() -> list[str]:
    """The names of the channels: first those created during imports, then the mapped ones."""
    return _active.active().channel_names()


def cleanup_handler(function: Callable[[], Any] | None) -> Callable[[], Any] | None:
    """Call a function when the show ends; returns the previous one."""
    return _active.active().cleanup_handler(function)
