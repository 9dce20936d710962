"""The script that the functions of the module act on."""

from __future__ import annotations

import warnings
from typing import Any

# What a running show uses, too: the channels, the checks of arguments, intervals and sockets.
from ._worker.script import Channel, Script


class TestScript(Script):
    """A script with a clock that a test advances, whose outputs are recorded."""

    __test__ = False  # For pytest: this is not a class of tests.

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[tuple[str, float | str]] = []
        self.running: str | None = None
        self.milliseconds = 0

    def now(self) -> int:
        return self.milliseconds

    def current(self) -> str | None:
        return self.running

    def send(self, channel: Channel, value: float | str) -> None:
        self.outputs.append((channel.name, value))

    def warn(self, text: str) -> None:
        warnings.warn(text, RuntimeWarning, stacklevel=2)

    def add_channel(self, name: str) -> None:
        """Adds a channel, as a mapping does."""
        if name not in self.channels:
            self.map_channel(name, len(self.channels), 3)


def empty() -> TestScript:
    """A script without modules."""
    script = TestScript()
    script.finish_imports([])
    return script


_active: list[Any] = [empty()]


def active() -> TestScript:
    """The script of the show that was entered last, or an empty one."""
    return _active[-1]


def push(script: TestScript) -> None:
    _active.append(script)


def pop(script: TestScript) -> None:
    _active.remove(script)
