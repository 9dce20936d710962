"""Lifecycle callbacks, and what a server's process prints."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..enums import BootStatus, ServerLifecycleEvent
from ..scsynth import Options
from ..typing import ServerLifecycleEventLike

if TYPE_CHECKING:
    from .realtime import BaseServer


class FailWarning(Warning):
    """A request failed that nothing waits for, or the server refused a SynthDef."""


class ServerLifecycleCallback(NamedTuple):
    """A procedure that a server calls for events of its lifecycle."""

    context: BaseServer
    events: tuple[ServerLifecycleEvent, ...]
    procedure: Callable[[ServerLifecycleEvent], Awaitable[None] | None]
    once: bool = False
    args: tuple[Any, ...] | None = None
    kwargs: dict[str, Any] | None = None

    def unregister(self) -> None:
        """Stops calling the procedure."""
        self.context.unregister_lifecycle_callback(self)

    def _call(self, event: ServerLifecycleEvent) -> Any:
        return self.procedure(event, *(self.args or ()), **(self.kwargs or {}))


def events_of(
    event: ServerLifecycleEventLike | Iterable[ServerLifecycleEventLike],
) -> tuple[ServerLifecycleEvent, ...]:
    """The events that a callback is registered for, in order."""
    events: Any = [event] if isinstance(event, str) or not isinstance(event, Iterable) else event
    return tuple(sorted(ServerLifecycleEvent.from_expr(item) for item in events))


def report(error: BaseException, source: object) -> None:
    """Prints an exception of a callback, as those of other threads."""
    sys.unraisablehook(
        types.SimpleNamespace(
            exc_type=type(error),
            exc_value=error,
            exc_traceback=error.__traceback__,
            err_msg="Exception ignored in callback",
            object=source,
        )
    )


class LineCapture:
    """Records what a process prints, as a context manager: all, or the lines from one that matches
    a pattern to one that matches another."""

    def __init__(
        self,
        *,
        process_protocol: ServerProcess,
        future: Any = None,
        start_pattern: str | None = None,
        stop_pattern: str | None = None,
    ) -> None:
        self.process_protocol = process_protocol
        self.future = future
        self.lines: list[str] = []
        self.start_pattern = re.compile(start_pattern) if start_pattern else None
        self.stop_pattern = re.compile(stop_pattern) if stop_pattern else None
        self.capturing = False

    def __enter__(self) -> LineCapture:
        self.capturing = self.start_pattern is None
        self.process_protocol.captures.add(self)
        return self

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.process_protocol.captures.discard(self)
        self.capturing = False
        if self.future is not None and not self.future.done():
            self.future.set_result(False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def capture(self, line: str) -> None:
        """Takes a line."""
        if not self.capturing:
            is_done = self.future is not None and self.future.done()
            if is_done or not (self.start_pattern and self.start_pattern.match(line)):
                return
            self.capturing = True
        elif self.stop_pattern and self.stop_pattern.match(line):
            self.capturing = False
            if self.future is not None and not self.future.done():
                self.future.set_result(True)
        self.lines.append(line)


class ServerProcess:
    """The process of a server: its status and what it prints."""

    def __init__(self, core: Any, name: str | None) -> None:
        self._core = core
        self.name = name
        self.captures: set[LineCapture] = set()
        #: What the process printed when it could not be started.
        self.error_text = ""
        self.options = Options()

    @property
    def status(self) -> BootStatus:
        """Whether the process runs."""
        return BootStatus.ONLINE if self.pid is not None else BootStatus.OFFLINE

    @property
    def pid(self) -> int | None:
        """The id of the process, if this program started it and it runs."""
        pid: int | None = self._core.process_id()
        return pid

    def capture(
        self,
        *,
        future: Any = None,
        start_pattern: str | None = None,
        stop_pattern: str | None = None,
    ) -> LineCapture:
        """A recorder of what the process prints."""
        return LineCapture(
            process_protocol=self,
            future=future,
            start_pattern=start_pattern,
            stop_pattern=stop_pattern,
        )

    def _printed(self, line: str) -> None:
        for capture in tuple(self.captures):
            capture.capture(line)
