"""The client for asyncio.

The running loop watches the client's file descriptor. Tasks that wait are served in order. The
loop's reader is not removed when a wait ends, so that an exchange of events costs no calls to the
selector. It is removed when an event arrives and no task is waiting.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alsa_midi import _core
from alsa_midi._base import SequencerClientBase
from alsa_midi.exceptions import StateError

if TYPE_CHECKING:
    from alsa_midi.address import AddressType
    from alsa_midi.event import Event
    from alsa_midi.port import Port
    from alsa_midi.queue import Queue

#: Seconds to pause while a client is writable but lacks the room for its next event.
_BACK_OFF = 0.001

#: One attempt to output, which returns ``None`` if there is not enough room.
_Attempt = Callable[[], int | None]


def _expire(future: asyncio.Future[Any]) -> None:
    """Ends a wait whose timeout has passed."""
    if not future.done():
        future.set_result(None)


# A loop holds only weak references to clients. Otherwise it would keep a client open that the
# program no longer uses.


def _on_readable(reference: weakref.ref[AsyncSequencerClient]) -> None:
    client = reference()
    if client is not None:
        client._serve_input()


def _on_writable(reference: weakref.ref[AsyncSequencerClient]) -> None:
    client = reference()
    if client is not None:
        client._serve_output()


class AsyncSequencerClient(SequencerClientBase):
    """A client of the sequencer for asyncio. Methods that may wait are coroutines.

    Any number of tasks may read and write at once. They are served in order, and each event goes to
    one of them. A client can be used with one loop at a time.
    """

    _may_block = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fd = self._descriptor()
        self._readers: deque[asyncio.Future[Event | None]] = deque()
        self._writers: deque[tuple[asyncio.Future[int | None], _Attempt]] = deque()
        #: Events that had been assigned to tasks which were then cancelled.
        self._returned: deque[Event] = deque()
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
            loop.add_reader(self._fd, _on_readable, weakref.ref(self))
            self._read_loop = loop

    def _unwatch_input(self) -> None:
        loop, self._read_loop = self._read_loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._fd)

    def _watch_output(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._write_loop is not loop:
            self._unwatch_output()
            loop.add_writer(self._fd, _on_writable, weakref.ref(self))
            self._write_loop = loop

    def _unwatch_output(self) -> None:
        loop, self._write_loop = self._write_loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_writer(self._fd)

    # closing

    def close(self) -> None:
        """Close the client. Tasks that wait get a ``StateError``. Closing twice does nothing."""
        self._returned.clear()
        loops = {loop for loop in (self._read_loop, self._write_loop) if loop is not None}
        for loop in loops:
            if loop.is_closed():
                continue
            try:
                is_this_thread = asyncio.get_running_loop() is loop
            except RuntimeError:
                is_this_thread = not loop.is_running()
            if not is_this_thread:
                # The loop of another thread must end the waits of its tasks itself.
                loop.call_soon_threadsafe(self._end_waits)
                super().close()
                return
        self._unwatch_input()
        self._unwatch_output()
        super().close()
        self._end_waits()

    def _end_waits(self) -> None:
        """Raises a ``StateError`` in all tasks that wait."""
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
        """Close the client, as ``close`` does."""
        self.close()

    # input

    def drop_input(self) -> None:
        """Discard all input, in the input buffer and in the sequencer."""
        self._returned.clear()
        super().drop_input()

    def drop_input_buffer(self) -> None:
        """Discard the contents of the input buffer."""
        self._returned.clear()
        super().drop_input_buffer()

    async def event_input(  # type: ignore[override]
        self, prefer_bytes: bool = False, timeout: float | None = None
    ) -> Event | None:
        """Wait for the next event and return it, or return ``None`` after ``timeout`` seconds.

        With ``prefer_bytes``, an event that has a form in MIDI bytes is returned as a
        ``MidiBytesEvent``.
        """
        if not self._readers:
            if self._returned:
                return self._convert(self._returned.popleft(), prefer_bytes)
            event = self._try_event_input(prefer_bytes)
            if event is not None:
                return event
        if timeout is not None and timeout <= 0:
            if self._closed:
                raise StateError("Already closed: the client")
            return None
        return self._convert(await self._wait_for_event(timeout), prefer_bytes)

    def _convert(self, event: Event | None, prefer_bytes: bool) -> Event | None:
        """The event as the caller of ``event_input`` wants it."""
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
            # If the task got an event in the same pass of the loop, the next task gets the event.
            if future.done() and not future.cancelled() and future.exception() is None:
                event = future.result()
                if event is not None:
                    self._return_event(event)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if future in self._readers:
                self._readers.remove(future)

    def _return_event(self, event: Event) -> None:
        """Passes an event of a cancelled task to the first task that waits, or keeps it."""
        self._returned.appendleft(event)
        while self._returned and self._readers:
            future = self._readers.popleft()
            if not future.done():
                future.set_result(self._returned.popleft())

    def _serve_input(self) -> None:
        """Passes events that have arrived to the tasks that wait."""
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
        """Put an event into the output buffer. If the buffer is full, it is written first.

        Returns the number of bytes in the buffer.
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
        """Write an event directly to the sequencer, bypassing the output buffer.

        Returns the number of bytes written.
        """
        started = self._start_output(event, queue, port, dest, True, bool(self._writers))
        return await self._finish_output(started)

    async def drain_output(self) -> int:  # type: ignore[override]
        """Write the output buffer. Returns the number of bytes that remain, which is 0."""
        if not self._writers and self._try_drain_output() == 0:
            return 0
        return await self._wait_for_room(self._try_drain)

    def _try_drain(self) -> int | None:
        """One attempt to write the output buffer."""
        return 0 if self._try_drain_output() == 0 else None

    async def _finish_output(self, started: int | _core.PendingOutput) -> int:
        """Waits for the end of an output that ``_start_output`` has started."""
        if isinstance(started, int):
            return started
        pending = started
        return await self._wait_for_room(lambda: self._continue_output(pending))

    async def _wait_for_room(self, attempt: _Attempt) -> int:
        """Waits until an attempt to output succeeds, behind the tasks that already wait."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int | None] = loop.create_future()
        waiter = (future, attempt)
        self._writers.append(waiter)
        try:
            self._watch_output(loop)
            return await future or 0
        finally:
            if waiter in self._writers:
                self._writers.remove(waiter)

    def _serve_output(self) -> None:
        """Repeats the attempts of the tasks that wait, in order, until there is no room."""
        writers = self._writers
        made_progress = False
        while writers:
            future, attempt = writers[0]
            if future.done():
                writers.popleft()
                continue
            try:
                result = attempt()
            except Exception as error:
                writers.popleft()
                future.set_exception(error)
                continue
            if result is None:
                break
            writers.popleft()
            future.set_result(result)
            made_progress = True
        loop = self._write_loop
        if not writers:
            self._unwatch_output()
        elif not made_progress and loop is not None:
            # The client is writable, but has not enough room for the next event. Watching it now
            # would call this method without end.
            self._unwatch_output()
            loop.call_later(_BACK_OFF, _watch_output_again, weakref.ref(self), loop)


def _watch_output_again(
    reference: weakref.ref[AsyncSequencerClient], loop: asyncio.AbstractEventLoop
) -> None:
    client = reference()
    if client is not None and client._writers and not client._closed:
        client._watch_output(loop)
