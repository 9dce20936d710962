"""The client for asyncio.

The client's descriptor is watched by the running loop's own reader and writer. Whoever waits
stands in a queue, and is served in order. The reader stays in place between two waits, so that
an exchange of events costs no calls to the selector; it goes when an event finds nobody waiting.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alsa_midi import _core
from alsa_midi.client import SequencerClientBase
from alsa_midi.exceptions import StateError

if TYPE_CHECKING:
    from alsa_midi.address import AddressType
    from alsa_midi.event import Event
    from alsa_midi.port import Port
    from alsa_midi.queue import Queue

#: How long to stay away from a sequencer that says it has room and yet takes nothing.
_BACK_OFF = 0.001

_Step = Callable[[], int | None]


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


def _readable(reference: weakref.ref[AsyncSequencerClient]) -> None:
    client = reference()
    if client is not None:
        client._serve_input()


def _writable(reference: weakref.ref[AsyncSequencerClient]) -> None:
    client = reference()
    if client is not None:
        client._serve_output()


class AsyncSequencerClient(SequencerClientBase):
    """A client of the sequencer for asyncio: what waits is a coroutine.

    Any number of tasks may read and write at once; they are served in order, and every event goes
    to one of them. A client is used with one loop at a time.
    """

    _may_block = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fd = self._descriptor()
        self._readers: deque[asyncio.Future[Event | None]] = deque()
        self._writers: deque[tuple[asyncio.Future[int | None], _Step]] = deque()
        #: Events that a cancelled task had been given.
        self._given_back: deque[Event] = deque()
        self._read_loop: asyncio.AbstractEventLoop | None = None
        self._write_loop: asyncio.AbstractEventLoop | None = None

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            self._unwatch_input()
            self._unwatch_output()

    # watching

    def _watch_input(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._read_loop is not loop:
            self._unwatch_input()
            loop.add_reader(self._fd, _readable, weakref.ref(self))
            self._read_loop = loop

    def _unwatch_input(self) -> None:
        loop, self._read_loop = self._read_loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._fd)

    def _watch_output(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._write_loop is not loop:
            self._unwatch_output()
            loop.add_writer(self._fd, _writable, weakref.ref(self))
            self._write_loop = loop

    def _unwatch_output(self) -> None:
        loop, self._write_loop = self._write_loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_writer(self._fd)

    # closing

    def close(self) -> None:
        """End the client; whoever waits gets a ``StateError``. Closing twice does nothing."""
        self._given_back.clear()
        loops = {loop for loop in (self._read_loop, self._write_loop) if loop is not None}
        for loop in loops:
            if loop.is_closed():
                continue
            try:
                here = asyncio.get_running_loop() is loop
            except RuntimeError:
                here = not loop.is_running()
            if not here:
                # Another thread's loop: its tasks are told there, after the client has gone.
                loop.call_soon_threadsafe(self._tell_closed)
                super().close()
                return
        self._unwatch_input()
        self._unwatch_output()
        super().close()
        self._tell_closed()

    def _tell_closed(self) -> None:
        self._unwatch_input()
        self._unwatch_output()
        futures: list[asyncio.Future[Any]] = [*self._readers]
        futures += [future for future, _ in self._writers]
        self._readers.clear()
        self._writers.clear()
        for future in futures:
            if not future.done() and not future.get_loop().is_closed():
                future.set_exception(StateError("Already closed: the client"))

    async def aclose(self) -> None:
        """End the client, as ``close`` does."""
        self.close()

    # input

    def drop_input(self) -> None:
        """Forget all input, here and in the sequencer."""
        self._given_back.clear()
        super().drop_input()

    def drop_input_buffer(self) -> None:
        """Forget what has been read into the input buffer."""
        self._given_back.clear()
        super().drop_input_buffer()

    async def event_input(  # type: ignore[override]
        self, prefer_bytes: bool = False, timeout: float | None = None
    ) -> Event | None:
        """Wait for the next event; ``None`` when ``timeout`` (in seconds) is over.

        With ``prefer_bytes`` events that MIDI has come as ``MidiBytesEvent``.
        """
        if not self._readers:
            if self._given_back:
                return self._shape(self._given_back.popleft(), prefer_bytes)
            event = self._try_event_input(prefer_bytes)
            if event is not None:
                return event
        if timeout is not None and timeout <= 0:
            if self._closed:
                raise StateError("Already closed: the client")
            return None
        return self._shape(await self._wait_for_event(timeout), prefer_bytes)

    def _shape(self, event: Event | None, prefer_bytes: bool) -> Event | None:
        if event is not None and prefer_bytes:
            return self._as_bytes(event)
        return event

    async def _wait_for_event(self, timeout: float | None) -> Event | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Event | None] = loop.create_future()
        self._readers.append(future)
        timer = None if timeout is None else loop.call_later(timeout, _expire, future)
        try:
            self._watch_input(loop)
            return await future
        except asyncio.CancelledError:
            # Given an event and cancelled in the same turn: the event goes to the next.
            if future.done() and not future.cancelled() and future.exception() is None:
                event = future.result()
                if event is not None:
                    self._give_back(event)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if future in self._readers:
                self._readers.remove(future)

    def _give_back(self, event: Event) -> None:
        self._given_back.appendleft(event)
        self._serve_given_back()

    def _serve_given_back(self) -> None:
        while self._given_back and self._readers:
            future = self._readers.popleft()
            if not future.done():
                future.set_result(self._given_back.popleft())

    def _serve_input(self) -> None:
        readers = self._readers
        if not readers:
            self._unwatch_input()
            return
        while readers:
            future = readers[0]
            if future.done():
                readers.popleft()
                continue
            try:
                event = self._try_event_input(False)
            except Exception as error:
                readers.popleft()
                future.set_exception(error)
                return
            if event is None:
                return
            readers.popleft()
            future.set_result(event)

    # output

    async def event_output(  # type: ignore[override]
        self,
        event: Event,
        queue: Queue | int | None = None,
        port: Port | int | None = None,
        dest: AddressType | None = None,
    ) -> int:
        """Put an event into the output buffer, which is written first if it is full.

        Returns the bytes that the buffer holds then.
        """
        started = self._start_output(event, queue, port, dest, False, bool(self._writers))
        return await self._finish_output(started)

    async def event_output_direct(  # type: ignore[override]
        self,
        event: Event,
        queue: Queue | int | None = None,
        port: Port | int | None = None,
        dest: AddressType | None = None,
    ) -> int:
        """Write an event to the sequencer at once, past the output buffer.

        Returns the bytes written.
        """
        started = self._start_output(event, queue, port, dest, True, bool(self._writers))
        return await self._finish_output(started)

    async def drain_output(self) -> int:  # type: ignore[override]
        """Write what is in the output buffer; returns the bytes that remain: 0."""
        if not self._writers and self._try_drain_output() == 0:
            return 0
        return await self._wait_for_room(self._drain_step)

    def _drain_step(self) -> int | None:
        return 0 if self._try_drain_output() == 0 else None

    async def _finish_output(self, started: int | _core.Outgoing) -> int:
        if isinstance(started, int):
            return started
        outgoing = started
        return await self._wait_for_room(lambda: self._continue_output(outgoing))

    async def _wait_for_room(self, step: _Step) -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int | None] = loop.create_future()
        waiter = (future, step)
        self._writers.append(waiter)
        try:
            self._watch_output(loop)
            return await future or 0
        finally:
            if waiter in self._writers:
                self._writers.remove(waiter)

    def _serve_output(self) -> None:
        writers = self._writers
        served = False
        while writers:
            future, step = writers[0]
            if future.done():
                writers.popleft()
                continue
            try:
                result = step()
            except Exception as error:
                writers.popleft()
                future.set_exception(error)
                continue
            if result is None:
                break
            writers.popleft()
            future.set_result(result)
            served = True
        loop = self._write_loop
        if not writers:
            self._unwatch_output()
        elif not served and loop is not None:
            # There is room, and yet nothing fits: look again in a moment.
            self._unwatch_output()
            loop.call_later(_BACK_OFF, _look_again, weakref.ref(self), loop)


def _look_again(
    reference: weakref.ref[AsyncSequencerClient], loop: asyncio.AbstractEventLoop
) -> None:
    client = reference()
    if client is not None and client._writers and not client._closed:
        client._watch_output(loop)
