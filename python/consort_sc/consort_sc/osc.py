"""OSC: messages, bundles, and what is needed to receive and record them.

`OscMessage` and `OscBundle` are compiled. Their attributes cannot be changed.
"""

from __future__ import annotations

import dataclasses
import datetime
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, overload

from ._core import OscBundle, OscMessage, format_datagram
from .enums import BootStatus

if TYPE_CHECKING:
    from .typing import SupportsOsc

__all__ = [
    "BUNDLE_PREFIX",
    "IMMEDIATELY",
    "NTP_DELTA",
    "NTP_EPOCH",
    "NTP_TIMESTAMP_TO_SECONDS",
    "SECONDS_TO_NTP_TIMESTAMP",
    "SYSTEM_EPOCH",
    "Capture",
    "CaptureEntry",
    "HealthCheck",
    "MalformedDatagram",
    "OscArgument",
    "OscBundle",
    "OscCallback",
    "OscMessage",
    "OscProtocol",
    "OscProtocolAlreadyConnected",
    "OscProtocolOffline",
    "find_free_port",
    "format_datagram",
    "format_messages",
]

BUNDLE_PREFIX = b"#bundle\x00"
#: The time tag of a bundle that is due immediately.
IMMEDIATELY = struct.pack(">Q", 1)
NTP_EPOCH = datetime.date(1900, 1, 1)
SYSTEM_EPOCH = datetime.date(1970, 1, 1)
#: Seconds from the epoch of time tags to that of Unix.
NTP_DELTA = (SYSTEM_EPOCH - NTP_EPOCH).days * 24 * 60 * 60
SECONDS_TO_NTP_TIMESTAMP = 2.0**32
NTP_TIMESTAMP_TO_SECONDS = 1.0 / SECONDS_TO_NTP_TIMESTAMP

OscArgument = Union[
    "OscBundle", "OscMessage", bool, bytes, float, str, None, Sequence["OscArgument"]
]


class MalformedDatagram(ValueError, struct.error):
    """A datagram that is not OSC; the message says what was expected and where."""


class OscProtocolOffline(Exception):
    """The protocol is not connected."""


class OscProtocolAlreadyConnected(Exception):
    """The protocol is connected already."""


@dataclasses.dataclass
class HealthCheck:
    """How a protocol checks whether its peer answers: what it sends, what it expects, and how long
    it waits, in seconds: `timeout`, multiplied by `backoff_factor` after each failed attempt."""

    request_pattern: list[str]
    response_pattern: list[str]
    active: bool = True
    timeout: float = 1.0
    backoff_factor: float = 1.5
    max_attempts: int = 5


class OscCallback(NamedTuple):
    """A procedure that a protocol calls for messages that begin with a pattern: an address and
    leading values."""

    protocol: OscProtocol
    pattern: tuple[str | int | float, ...]
    procedure: Callable[..., Any]
    failure_pattern: tuple[float | int | str, ...] | None = None
    once: bool = False
    args: tuple[Any, ...] | None = None
    kwargs: dict[str, Any] | None = None

    def unregister(self) -> None:
        """Stops calling the procedure."""
        self.protocol.unregister(self)


class CaptureEntry(NamedTuple):
    """A packet that was sent (`S`) or received (`R`), and when: seconds since 1970."""

    timestamp: float
    label: Literal["R", "S"]
    message: OscBundle | OscMessage
    raw_message: SupportsOsc | Sequence[Any] | str | None = None


class Capture:
    """Records the packets of a protocol, as a context manager."""

    def __init__(self, osc_protocol: OscProtocol) -> None:
        self.osc_protocol = osc_protocol
        self.entries: list[CaptureEntry] = []

    def __enter__(self) -> Capture:
        self.osc_protocol.captures.add(self)
        self.entries.clear()
        return self

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.osc_protocol.captures.discard(self)

    @overload
    def __getitem__(self, i: int) -> CaptureEntry: ...

    @overload
    def __getitem__(self, i: slice) -> list[CaptureEntry]: ...

    def __getitem__(self, i: int | slice) -> CaptureEntry | list[CaptureEntry]:
        return self.entries[i]

    def __iter__(self) -> Iterator[CaptureEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def add_entry(
        self,
        timestamp: float,
        label: Literal["R", "S"],
        message: OscBundle | OscMessage,
        raw_message: SupportsOsc | Sequence[Any] | str | None = None,
    ) -> None:
        """Records a packet."""
        self.entries.append(CaptureEntry(timestamp, label, message, raw_message))

    def filtered(
        self, sent: bool = True, received: bool = True, status: bool = False
    ) -> list[CaptureEntry]:
        """The packets that were sent or received; with `status`, also those of health checks."""
        return [
            entry
            for entry in self.entries
            if (sent if entry.label == "S" else received)
            and (status or not _is_status(entry.message))
        ]


def _is_status(message: OscBundle | OscMessage) -> bool:
    return isinstance(message, OscMessage) and message.address in ("/status", "/status.reply")


class OscProtocol:
    """The base class of OSC clients: callbacks and captures."""

    def __init__(
        self,
        *,
        name: str | None = None,
        on_connect_callback: Callable[..., Any] | None = None,
        on_disconnect_callback: Callable[..., Any] | None = None,
        on_panic_callback: Callable[..., Any] | None = None,
    ) -> None:
        self.name = name
        self.on_connect_callback = on_connect_callback
        self.on_disconnect_callback = on_disconnect_callback
        self.on_panic_callback = on_panic_callback
        self.captures: set[Capture] = set()
        self.healthcheck: HealthCheck | None = None
        self.ip_address = "127.0.0.1"
        self.port = 57551
        self.status = BootStatus.OFFLINE
        #: Callbacks by their pattern.
        self._patterns: dict[tuple[str | int | float, ...], list[OscCallback]] = {}

    def capture(self) -> Capture:
        """A recorder of this protocol's packets."""
        return Capture(self)

    def activate_healthcheck(self) -> None:
        """Begins to check whether the peer answers."""
        raise NotImplementedError

    def disconnect(self) -> Any:
        """Closes the connection."""
        raise NotImplementedError

    def register(
        self,
        pattern: Sequence[float | str],
        procedure: Callable[[OscMessage], Any],
        *,
        failure_pattern: Sequence[float | str] | None = None,
        once: bool = False,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> OscCallback:
        """Calls a procedure for messages that begin with the pattern."""
        raise NotImplementedError

    def send(self, message: SupportsOsc | Sequence[Any] | str) -> None:
        """Sends a message."""
        raise NotImplementedError

    def unregister(self, callback: OscCallback) -> None:
        """Stops calling a procedure."""
        raise NotImplementedError

    def _callback(
        self,
        pattern: Sequence[float | str] | str,
        procedure: Callable[[OscMessage], Any],
        *,
        failure_pattern: Sequence[float | str] | str | None,
        once: bool,
        args: tuple[Any, ...] | None,
        kwargs: dict[str, Any] | None,
    ) -> OscCallback:
        """A callback that is not registered yet; a text is a pattern of an address alone."""
        if isinstance(pattern, str):
            pattern = (pattern,)
        if isinstance(failure_pattern, str):
            failure_pattern = (failure_pattern,)
        return OscCallback(
            protocol=self,
            pattern=tuple(pattern),
            procedure=procedure,
            failure_pattern=tuple(failure_pattern) if failure_pattern else None,
            once=bool(once),
            args=args,
            kwargs=kwargs,
        )

    def _register(
        self,
        pattern: Sequence[float | str] | str,
        procedure: Callable[[OscMessage], Any],
        *,
        failure_pattern: Sequence[float | str] | str | None = None,
        once: bool = False,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> OscCallback:
        """Adds a callback."""
        callback = self._callback(
            pattern,
            procedure,
            failure_pattern=failure_pattern,
            once=once,
            args=args,
            kwargs=kwargs,
        )
        for key in filter(None, (callback.pattern, callback.failure_pattern)):
            self._patterns.setdefault(key, []).append(callback)
        return callback

    def _unregister(self, callback: OscCallback) -> None:
        """Removes a callback, if it is registered."""
        for key in filter(None, (callback.pattern, callback.failure_pattern)):
            remaining = [known for known in self._patterns.get(key, ()) if known is not callback]
            if remaining:
                self._patterns[key] = remaining
            else:
                self._patterns.pop(key, None)

    def _match_callbacks(self, message: OscMessage) -> list[OscCallback]:
        """The callbacks for a message, those of shorter patterns first. Those that are called once
        are removed."""
        items = (message.address, *message.contents)
        matches: list[OscCallback] = []
        longest = max((len(pattern) for pattern in self._patterns), default=0)
        for length in range(1, min(longest, len(items)) + 1):
            try:
                matches += self._patterns.get(items[:length], ())
            except TypeError:
                # A value is a list, which no pattern contains.
                break
        for callback in matches:
            if callback.once:
                self._unregister(callback)
        return matches


def find_free_port() -> int:
    """A UDP port that no program of this machine uses."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def format_messages(messages: Sequence[OscBundle | OscMessage]) -> str:
    """Messages and bundles as lists, one after another, with compiled SynthDefs as SynthDefs."""
    import pprint

    blocks = []
    for message in messages:
        lines = pprint.pformat(_readable(message.to_list()), width=120).splitlines()
        blocks.append("- " + "\n  ".join(lines))
    return "\n".join(blocks)


def _readable(value: Any) -> Any:
    """A value with compiled SynthDefs as SynthDefs."""
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if isinstance(value, bytes) and value.startswith(b"SCgf"):
        from .ugens import decompile_synthdefs

        synthdefs = decompile_synthdefs(value)
        return synthdefs[0] if len(synthdefs) == 1 else synthdefs
    return value
