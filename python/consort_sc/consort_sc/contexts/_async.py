"""The asynchronous server."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any, SupportsInt

from .._core import Operation
from ..enums import BootStatus, ServerLifecycleEvent
from ..exceptions import (
    OwnedServerShutdown,
    ServerCannotBoot,
    ServerOffline,
    TooManyClients,
    UnownedServerShutdown,
)
from ..scsynth import Options
from . import _queries as queries
from ._base import BaseServer
from ._lifecycle import report
from .entities import Buffer, Bus, Group, Node, Synth
from .requests import Request, Sync, TraceNode
from .responses import BufferInfo, NodeInfo, QueryTreeGroup, StatusInfo, VersionInfo


class AsyncServer(BaseServer):
    """A server whose methods are awaited. Callbacks run in the event loop that booted it or
    connected."""

    def __init__(
        self, options: Options | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._operations: dict[int, tuple[Operation, asyncio.Future[Any]]] = {}
        self._numbers = itertools.count()
        self._events: deque[Any] = deque()
        self._drain_task: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[Any] | None = None
        super().__init__(options, name=name, **kwargs)

    def _new_future(self) -> asyncio.Future[bool]:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # The future is replaced when the server starts.
            return _Unstarted()  # type: ignore[return-value]
        return loop.create_future()

    # ---- the event loop ----------------------------------------------------------------------

    def _attach(self) -> asyncio.AbstractEventLoop:
        """Lets the running event loop watch the inbox and the events."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return loop
        self._detach()
        self._loop = loop
        self._lock_events = asyncio.Lock()
        reference = weakref.ref(self)

        def on_inbox() -> None:
            server = reference()
            if server is not None:
                server._drain_inbox()

        def on_events() -> None:
            server = reference()
            if server is not None:
                server._start_drain()

        loop.add_reader(self._inbox.fileno(), on_inbox)
        loop.add_reader(self._core.event_descriptor(), on_events)
        return loop

    def _detach(self) -> None:
        """The event loop no longer watches."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._inbox.fileno())
            loop.remove_reader(self._core.event_descriptor())

    def _drain_inbox(self) -> None:
        """Continues operations and calls callbacks."""
        for number, message in self._inbox.take():
            if message is None:
                self._advance(number)
            else:
                self._osc_protocol._dispatch(number, message)

    def _advance(self, number: int) -> None:
        """Continues an operation."""
        entry = self._operations.get(number)
        if entry is None or entry[1].done():
            return
        operation, future = entry
        try:
            is_done, result = operation.poll(self._inbox, number)
        except Exception as error:
            future.set_exception(error)
            return
        if is_done:
            future.set_result(result)

    async def _finish(self, operation: Operation) -> Any:
        """Waits for an operation."""
        future = self._attach().create_future()
        number = next(self._numbers)
        self._operations[number] = operation, future
        try:
            self._advance(number)
            return await future
        finally:
            del self._operations[number]
            if self._loop is not None and self.boot_status == BootStatus.OFFLINE:
                self._take_events()
                if not self._events and not self._operations:
                    self._detach()

    def _take_events(self) -> None:
        while (event := self._core.next_event()) is not None:
            self._events.append(event)

    def _start_drain(self) -> None:
        """Handles the events in a task, because callbacks may be coroutines."""
        self._take_events()
        if self._drain_task is None or self._drain_task.done():
            assert self._loop is not None
            self._drain_task = self._loop.create_task(self._drain_events())

    async def _drain_events(self) -> None:
        """Handles the events that have arrived, in order."""
        self._take_events()
        if not self._events:
            if self._drain_task is not None and self._draining is self._drain_task:
                pass
            elif self._draining is None:
                return
        task = asyncio.current_task()
        if self._draining is task:
            # A callback waits for the server.
            await self._handle_events()
            return
        async with self._lock_events:
            self._draining = task
            try:
                await self._handle_events()
            finally:
                self._draining = None

    async def _handle_events(self) -> None:
        while True:
            self._take_events()
            if not self._events:
                return
            event = self._events.popleft()
            if event[0] != "lifecycle":
                self._handle_other(*event)
                continue
            kind = ServerLifecycleEvent[event[1]]
            for callback in self._note(kind):
                try:
                    result = callback._call(kind)
                    if inspect.isawaitable(result):
                        await result
                except Exception as error:
                    report(error, callback.procedure)
            self._finish_life(kind)

    # ---- lifecycle ---------------------------------------------------------------------------

    async def _shutdown(self) -> None:
        if self.is_owner:
            await self.quit()
        else:
            await self.disconnect()

    async def _start(self, options: Options | None, kwargs: dict[str, Any], owned: bool) -> None:
        """Boots or connects."""
        operation = self._begin(options, kwargs, owned)
        self._attach()
        is_online = False
        try:
            await self._finish(operation)
            is_online = True
        except (ServerCannotBoot, TooManyClients) as error:
            self._note_refusal(error)
            raise
        finally:
            if not self._events:
                self._take_events()
            await self._drain_events()
            self._resolve(self._boot_future, is_online)
            if not is_online:
                self._resolve(self._exit_future, False)

    async def boot(self, *, options: Options | None = None, **kwargs: Any) -> AsyncServer:
        """Boots the server, with other options if there are some.

        Raises `ServerOnline`, and `ServerCannotBoot` with what the process printed.
        """
        await self._start(options, kwargs, owned=True)
        return self

    async def connect(self, *, options: Options | None = None, **kwargs: Any) -> AsyncServer:
        """Connects to a server that runs.

        Raises `ServerOnline`, `TooManyClients`, and `CannotConnect` if nothing answers for 5 s.
        """
        await self._start(options, kwargs, owned=False)
        return self

    async def disconnect(self) -> AsyncServer:
        """Disconnects from a server that another program owns.

        Raises `ServerOffline` and `OwnedServerShutdown`.
        """
        if self.boot_status == BootStatus.OFFLINE:
            raise ServerOffline("the server is offline already")
        if self.is_owner:
            raise OwnedServerShutdown("this program owns the server; quit it instead")
        await self._finish(self._core.disconnect())
        await self._drain_events()
        return self

    async def quit(self, force: bool = False) -> AsyncServer:
        """Quits the server; one that another program owns only with `force`. `/quit`

        Raises `UnownedServerShutdown`.
        """
        if self.boot_status != BootStatus.ONLINE:
            return self
        if not self.is_owner and not force:
            raise UnownedServerShutdown(
                "another program owns the server; quit it with `force=True`"
            )
        self._is_forced = True
        await self._finish(self._core.quit(force))
        await self._drain_events()
        return self

    async def reboot(self) -> AsyncServer:
        """Quits the server and boots it again."""
        await self.quit()
        return await self.boot()

    async def reset(self) -> AsyncServer:
        """Frees all nodes, buffers and SynthDefs of this client, and its ids."""
        queries.reset_begin(self)
        await self.sync()
        queries.reset_end(self)
        return await self.sync()

    async def sync(self, sync_id: int | None = None, timeout: float = 1.0) -> AsyncServer:
        """Waits until the server has done all earlier requests, for at most `timeout` seconds.
        `/sync`

        Raises `ServerOffline` and `TimeoutError`.
        """
        self._validate_can_request()
        number = self._get_next_sync_id() if sync_id is None else sync_id
        await Sync(sync_id=number).communicate_async(server=self, timeout=timeout)
        return self

    # ---- questions ---------------------------------------------------------------------------

    async def _query(self, request: Request, sync: bool) -> Any:
        """The reply to a request; `None` if it is added to the open moment."""
        self._validate_can_request()
        if sync:
            return await request.communicate_async(server=self)
        self._add_requests(request)
        return None

    async def dump_tree(
        self, group: Group | None = None, include_controls: bool = True, sync: bool = True
    ) -> QueryTreeGroup | None:
        """The tree below a group, as the server prints it. `/g_dumpTree`"""
        self._validate_can_request()
        operation = queries.dump_tree(self, group, include_controls, sync)
        return (
            None
            if operation is None
            else QueryTreeGroup._from_tuples(await self._finish(operation))
        )

    async def get_buffer(
        self, buffer: Buffer, *indices: int, sync: bool = True
    ) -> dict[int, float] | None:
        """Samples by their index. `/b_get`"""
        reply = await self._query(queries.buffer(buffer, indices), sync)
        return None if reply is None else dict(reply.items)

    async def get_buffer_range(
        self, buffer: Buffer, index: int, count: int, sync: bool = True
    ) -> Sequence[float] | None:
        """Consecutive samples, any number of them. `/b_getn`"""
        values: list[float] = []
        for request in queries.buffer_ranges(buffer, index, count):
            reply = await self._query(request, sync)
            if reply is not None:
                values += reply.items[0][1]
        return tuple(values) if sync else None

    async def get_bus(
        self, bus: Bus, sync: bool = True, use_shared_memory: bool = False
    ) -> float | None:
        """The value of a control bus. `/c_get`"""
        request, memory = queries.bus(self, bus, sync and use_shared_memory)
        if memory is not None:
            return float(memory)
        reply = await self._query(request, sync)
        return None if reply is None else reply.items[0][1]

    async def get_bus_range(
        self, bus: Bus, count: int, sync: bool = True, use_shared_memory: bool = False
    ) -> Sequence[float] | None:
        """The values of consecutive control buses. `/c_getn`"""
        request, memory = queries.bus_range(self, bus, count, sync and use_shared_memory)
        if memory is not None:
            return list(memory)
        reply = await self._query(request, sync)
        return None if reply is None else reply.items[0][1]

    async def get_synth_controls(
        self, synth: Synth, *controls: int | str, sync: bool = True
    ) -> dict[int | str, float] | None:
        """The values of controls. `/s_get`"""
        reply = await self._query(queries.controls(synth, controls), sync)
        return None if reply is None else dict(reply.items)

    async def get_synth_control_range(
        self, synth: Synth, control: int | str, count: int, sync: bool = True
    ) -> Sequence[float | str] | None:
        """The values of consecutive controls. `/s_getn`"""
        reply = await self._query(queries.control_range(synth, control, count), sync)
        return None if reply is None else reply.items[0][1]

    async def query_buffer(self, buffer: Buffer, sync: bool = True) -> BufferInfo | None:
        """The size of a buffer. `/b_query`"""
        return await self._query(queries.buffer_info(buffer), sync)  # type: ignore[no-any-return]

    async def query_node(self, node: Node, sync: bool = True) -> NodeInfo | None:
        """The place of a node in the tree. `/n_query`"""
        return await self._query(queries.node_info(node), sync)  # type: ignore[no-any-return]

    async def query_status(self, sync: bool = True) -> StatusInfo | None:
        """The server's load and counts. `/status`"""
        return await self._query(queries.QueryStatus(), sync)  # type: ignore[no-any-return]

    async def query_tree(
        self, group: Group | None = None, include_controls: bool = True, sync: bool = True
    ) -> QueryTreeGroup | None:
        """The tree below a group, the root by default, however large. `/g_queryTree`"""
        large = queries.large_tree(self, group, include_controls) if sync else None
        if large is not None:
            return QueryTreeGroup._from_tuples(await self._finish(large))
        reply = await self._query(queries.tree(group, include_controls), sync)
        return None if reply is None else QueryTreeGroup.from_query_tree_info(reply)

    async def query_version(self, sync: bool = True) -> VersionInfo | None:
        """The server's program and its version. `/version`"""
        return await self._query(queries.QueryVersion(), sync)  # type: ignore[no-any-return]

    async def trace_node(self, node: SupportsInt) -> None:
        """Lets the server print what a node computes. `/n_trace`"""
        self._validate_can_request()
        self._add_requests(TraceNode(node_ids=[int(node)]))

    # ---- properties --------------------------------------------------------------------------

    @property
    def boot_future(self) -> asyncio.Future[bool]:
        """Whether the last start succeeded. A new one for each start."""
        future: asyncio.Future[bool] = self._boot_future
        return future

    @property
    def exit_future(self) -> asyncio.Future[bool]:
        """Whether the last connection ended as requested. A new one for each start."""
        future: asyncio.Future[bool] = self._exit_future
        return future

    @property
    def osc_protocol(self) -> Any:
        """The connection: callbacks and captures."""
        return self._osc_protocol

    @property
    def process_protocol(self) -> Any:
        """The process: what it prints."""
        return self._process_protocol


class _Unstarted:
    """Stands for a future of a server that was never started."""

    def done(self) -> bool:
        """Nothing waits for it."""
        return True
