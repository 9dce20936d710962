"""The state that the functions of the module act on."""

from __future__ import annotations

from typing import Any, Callable


def clamp(value: Any) -> float:
    """The number that is sent for a value passed to `output`."""
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"the value of an output must be a number, not {type(value).__name__}")
    number = float(value)
    if 0.0 <= number <= 1.0:
        return number
    return 1.0 if number > 1.0 else 0.0


def check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a channel's name must be a string, not {type(name).__name__}")


def descriptor_of(socket: Any) -> int:
    """The descriptor of a socket, pipe or file; -1 if it is closed."""
    fileno = getattr(socket, "fileno", None)
    if fileno is None:
        kind = type(socket).__name__
        raise TypeError(f"manage() expects an object with a fileno() method, not {kind}")
    try:
        descriptor = fileno()
    except Exception:
        # Objects that wrap sockets raise various exceptions when they are closed.
        return -1
    return descriptor if isinstance(descriptor, int) else -1


class Interval:
    """A function that is called periodically; times in milliseconds."""

    def __init__(self, function: Callable[[], Any], period: int, due: int) -> None:
        self.function = function
        self.period = period
        self.due = due


class State:
    """The channels, values, intervals and sockets of one instance; times in milliseconds."""

    def __init__(self) -> None:
        self.importing = True
        self.names: list[str] = []
        self.last_inputs: dict[str, float] = {}
        self.last_outputs: dict[str, float] = {}
        self.outputs: list[tuple[str, float]] = []
        self.current: str | None = None
        self.milliseconds = 0
        self.intervals: list[Interval] = []
        self.managed: list[tuple[Any, Callable[[Any], Any]]] = []
        self.cleanup: Callable[[], Any] | None = None

    def add_channel(self, name: str) -> None:
        if name not in self.last_inputs:
            self.names.append(name)
            self.last_inputs[name] = 0.0
            self.last_outputs[name] = 0.0

    def output(self, name: str, value: Any) -> None:
        number = clamp(value)
        check_name(name)
        if self.importing:
            self.add_channel(name)
        if name in self.last_outputs:
            self.last_outputs[name] = number
            if not self.importing:
                self.outputs.append((name, number))

    def finish_importing(self) -> None:
        """Sends what the imports output: the last value of each channel, in order of creation."""
        self.importing = False
        self.outputs.extend((name, self.last_outputs[name]) for name in self.names)

    def value_of(self, name: str, values: dict[str, float]) -> float | None:
        check_name(name)
        return values.get(name)

    def set_interval(self, function: Callable[[], Any], milliseconds: int) -> None:
        if not callable(function):
            raise TypeError("interval() expects a function")
        if not isinstance(milliseconds, int):
            raise TypeError("the interval must be an int, in milliseconds")
        if milliseconds < 0:
            raise ValueError("the interval must not be negative")
        period = (milliseconds + 5) // 10 * 10
        for entry in self.intervals:
            if entry.function == function:
                if not period:
                    self.intervals.remove(entry)
                elif entry.period != period:
                    entry.period = period
                    entry.due = self.milliseconds + period
                return
        if period:
            self.intervals.append(Interval(function, period, self.milliseconds + period))

    def set_managed(self, function: Callable[[Any], Any] | None, socket: Any) -> None:
        if socket is None or (function is not None and not callable(function)):
            raise TypeError(
                "manage() expects a function or None, and an object with a fileno() method"
            )
        entries = [entry for entry in self.managed if entry[0] is socket]
        if function is None and entries:
            self.managed.remove(entries[0])
            return
        descriptor = descriptor_of(socket)
        if descriptor < 0:
            raise TypeError("manage() expects an open socket, pipe or file")
        if function is None:
            self.managed = [
                entry for entry in self.managed if descriptor_of(entry[0]) != descriptor
            ]
            return
        if entries:
            self.managed[self.managed.index(entries[0])] = (socket, function)
        else:
            self.managed.append((socket, function))

    def set_cleanup(self, function: Callable[[], Any] | None) -> Callable[[], Any] | None:
        if function is not None and not callable(function):
            raise TypeError("cleanup_handler() expects a function or None")
        previous, self.cleanup = self.cleanup, function
        return previous


_active: list[State] = [State()]


def active() -> State:
    """The state of the show that was entered last, or of an empty one."""
    return _active[-1]


def push(state: State) -> None:
    _active.append(state)


def pop(state: State) -> None:
    _active.remove(state)
