"""The OSC side of servers: callbacks, captures, and packets that fit."""

from __future__ import annotations

import inspect
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..enums import BootStatus
from ..osc import (
    Capture,
    CaptureEntry,
    HealthCheck,
    OscBundle,
    OscCallback,
    OscMessage,
    OscProtocol,
)
from ._lifecycle import report
from .requests import ReceiveSynthDefs, Request, RequestBundle, SetBufferRange, SetControlBusRange

if TYPE_CHECKING:
    from .._core import Inbox, ServerCore
    from ..typing import SupportsOsc

#: The largest datagram.
MAX_DATAGRAM_BYTES = 65_507


def packet_of(message: SupportsOsc | Sequence[Any] | str) -> OscMessage | OscBundle:
    """What is sent for a message, a request, an address, or an address with values."""
    if isinstance(message, OscMessage | OscBundle):
        return message
    if isinstance(message, str):
        return OscMessage(message)
    if isinstance(message, Sequence):
        return OscMessage(*message)
    return message.to_osc()


def _halves(request: Any) -> list[Any]:
    """Two requests with the effect of one; none if it cannot be divided."""
    import dataclasses

    items: list[Any]
    if isinstance(request, SetBufferRange | SetControlBusRange):
        items = list(request.items)
        if len(items) == 1:
            (start, values) = items[0]
            if len(values) < 2:
                return []
            middle = len(values) // 2
            items = [(start, values[:middle]), (int(start) + middle, values[middle:])]
    elif isinstance(request, ReceiveSynthDefs) and not request.on_completion:
        defs = request.synthdefs
        if len(defs) < 2:
            return []
        middle = len(defs) // 2
        return [
            dataclasses.replace(request, synthdefs=part) for part in (defs[:middle], defs[middle:])
        ]
    else:
        return []
    middle = len(items) // 2
    return [dataclasses.replace(request, items=part) for part in (items[:middle], items[middle:])]


def divided(request: Any, limit: int) -> Iterator[bytes]:
    """The datagrams of a request or bundle, none larger than the limit unless it cannot be divided.
    Bundles are divided into bundles with the same time."""
    packet = packet_of(request).to_datagram()
    if len(packet) <= limit:
        yield packet
    elif isinstance(request, RequestBundle | OscBundle) and len(request.contents) > 1:
        contents: Any = list(request.contents)
        middle = len(contents) // 2
        for part in (contents[:middle], contents[middle:]):
            kind: Any = type(request)
            yield from divided(kind(contents=part, timestamp=request.timestamp), limit)
    elif isinstance(request, RequestBundle) and _halves(request.contents[0]):
        parts = _halves(request.contents[0])
        bundle = RequestBundle(contents=parts, timestamp=request.timestamp)
        yield from divided(bundle, limit)
    elif isinstance(request, Request) and (parts := _halves(request)):
        for part in parts:
            yield from divided(part, limit)
    else:
        yield packet


class ServerCapture(Capture):
    """Records the packets of a server, as a context manager."""

    def __init__(self, osc_protocol: ServerOscProtocol) -> None:
        super().__init__(osc_protocol)
        self._protocol = osc_protocol

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self._protocol._collect()
        super().__exit__(exc_type, exc_value, traceback)
        self._protocol._update_capturing()

    def __enter__(self) -> ServerCapture:
        self._protocol._collect()
        super().__enter__()
        self._protocol._update_capturing()
        return self

    def __getitem__(self, i: Any) -> Any:
        self._protocol._collect()
        return super().__getitem__(i)

    def __iter__(self) -> Iterator[CaptureEntry]:
        self._protocol._collect()
        return super().__iter__()

    def __len__(self) -> int:
        self._protocol._collect()
        return super().__len__()

    def filtered(
        self, sent: bool = True, received: bool = True, status: bool = False
    ) -> list[CaptureEntry]:
        """The packets that were sent or received; with `status`, also those of health checks."""
        self._protocol._collect()
        entries = super().filtered(sent, received, status)
        return entries if status else [entry for entry in entries if not _is_own(entry.message)]


def _is_own(message: OscMessage | OscBundle) -> bool:
    """Whether a message belongs to the connection itself, which numbers its `/sync` below 0."""
    return (
        isinstance(message, OscMessage)
        and message.address in ("/sync", "/synced")
        and len(message.contents) == 1
        and message.contents[0] < 0
    )


class ServerOscProtocol(OscProtocol):
    """The connection of a server: callbacks and captures."""

    def __init__(self, core: ServerCore, name: str | None, inbox: Inbox) -> None:
        super().__init__(name=name)
        #: Whether packets of any size can be sent, because the connection is one of TCP.
        self._is_stream = False
        self._core = core
        self._inbox = inbox
        self._registered: dict[int, OscCallback] = {}
        self._created = time.time()
        self._lock = threading.Lock()
        self._tasks: set[Any] = set()
        #: What was sent while packets are recorded, by packet: the message, and its source.
        self._sent: dict[bytes, tuple[OscMessage | OscBundle, Any]] = {}

    def capture(self) -> ServerCapture:
        """A recorder of the connection's packets."""
        return ServerCapture(self)

    def send(self, message: SupportsOsc | Sequence[Any] | str) -> None:
        """Sends a message. Bundles and requests that are larger than a datagram are divided."""
        packet = packet_of(message)
        data = packet.to_datagram()
        if len(data) <= MAX_DATAGRAM_BYTES or self._is_stream:
            self._note(data, packet, message)
            self._core.send(data)
            return
        for part in divided(message, MAX_DATAGRAM_BYTES):
            self._core.send(part)

    def _note(self, data: bytes, packet: OscMessage | OscBundle, raw: Any) -> None:
        """Remembers what a packet was made of."""
        if self.captures:
            self._sent[data] = packet, raw

    def register(
        self,
        pattern: Sequence[float | str],
        procedure: Callable[[OscMessage], Awaitable[None] | None],
        *,
        failure_pattern: Sequence[float | str] | None = None,
        once: bool = False,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> OscCallback:
        """Calls a procedure for messages that begin with the pattern, or with the other one."""
        callback = self._callback(
            pattern,
            procedure,
            failure_pattern=failure_pattern,
            once=once,
            args=args,
            kwargs=kwargs,
        )
        failure = list(callback.failure_pattern) if callback.failure_pattern else None
        with self._lock:
            number = self._core.register(
                list(callback.pattern), failure, callback.once, self._inbox
            )
            self._registered[number] = callback
        return callback

    def unregister(self, callback: OscCallback) -> None:
        """Stops calling a procedure."""
        for number, known in tuple(self._registered.items()):
            if known is callback:
                self._core.unregister(number)
                del self._registered[number]

    def _dispatch(self, number: int, message: OscMessage) -> None:
        """Calls the procedure of a callback."""
        with self._lock:
            # `register` may not have noted the number before the first message arrives.
            callback = self._registered.get(number)
        if callback is None:
            return
        if callback.once:
            self._registered.pop(number, None)
            self._core.unregister(number)
        try:
            result: Any = callback.procedure(
                message, *(callback.args or ()), **(callback.kwargs or {})
            )
            if inspect.isawaitable(result):
                self._run(result)
        except Exception as error:
            report(error, callback.procedure)

    def _run(self, awaitable: Any) -> None:
        """Runs what a coroutine function returned."""
        import asyncio

        async def run() -> None:
            try:
                await awaitable
            except Exception as error:
                report(error, awaitable)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(run())
            return
        task = loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def activate_healthcheck(self) -> None:
        """Does nothing: servers are always checked."""

    def disconnect(self) -> Any:
        """Closes the connection to a server that another program owns."""
        return self._core.disconnect().wait()

    def _collect(self) -> None:
        """Takes the packets that were recorded since the last call."""
        captured = self._core.captured()
        if not captured or not self.captures:
            return
        entries = []
        for seconds, is_sent, packet in captured:
            kind: Any = OscBundle if packet.startswith(b"#bundle\0") else OscMessage
            try:
                message, raw = (is_sent and self._sent.get(packet)) or (
                    kind.from_datagram(packet),
                    None,
                )
            except ValueError:
                continue
            label: Any = "S" if is_sent else "R"
            entries.append(CaptureEntry(self._created + seconds, label, message, raw))
        for capture, entry in itertools.product(self.captures, entries):
            capture.entries.append(entry)

    def _update_capturing(self) -> None:
        self._core.set_capturing(bool(self.captures))
        if not self.captures:
            self._sent.clear()


def health_check(core: ServerCore, check: HealthCheck) -> None:
    """Sets how a server that stops answering is found."""
    core.set_health_check(check.timeout, check.backoff_factor, check.max_attempts)


__all__ = ["BootStatus", "ServerCapture", "ServerOscProtocol", "divided", "packet_of"]
