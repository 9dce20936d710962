"""The blocking server."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Sequence
from typing import Any, SupportsInt

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

#: Seconds that a request waits for the callbacks of messages that arrived before its reply.
_MAX_CALLBACK_WAIT = 0.25
#: Seconds that a start or an end waits for the callbacks of its events.
_MAX_LIFECYCLE_WAIT = 5.0


class Server(BaseServer):
    """A server whose methods block until it answers."""

    def __init__(
        self, options: Options | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(options, name=name, **kwargs)

    def _new_future(self) -> concurrent.futures.Future[bool]:
        return concurrent.futures.Future()

    # ---- lifecycle ---------------------------------------------------------------------------

    def _drain_events(self) -> None:
        """Handles the messages and the events that have arrived, on a thread of the library."""
        for number, message in self._inbox.take():
            self._osc_protocol._dispatch(number, message)
        while (event := self._core.next_event()) is not None:
            if event[0] != "lifecycle":
                self._handle_other(*event)
                continue
            kind = ServerLifecycleEvent[event[1]]
            for callback in self._note(kind):
                try:
                    callback._call(kind)
                except Exception as error:
                    report(error, callback.procedure)
            self._finish_life(kind)

    def _settle(self, seconds: float) -> None:
        """Waits until callbacks have run for what arrived before now, unless one of them takes
        longer."""
        self._core.wait_idle(seconds)

    def _after_reply(self) -> None:
        self._settle(_MAX_CALLBACK_WAIT)

    def _shutdown(self) -> None:
        if self.is_owner:
            self.quit()
        else:
            self.disconnect()

    def _start(self, options: Options | None, kwargs: dict[str, Any], owned: bool) -> None:
        """Boots or connects."""
        operation = self._begin(options, kwargs, owned)
        self._core.start_pump(weakref.ref(self), self._inbox)
        is_online = False
        try:
            operation.wait()
            is_online = True
        except (ServerCannotBoot, TooManyClients) as error:
            self._note_refusal(error)
            raise
        finally:
            self._settle(_MAX_LIFECYCLE_WAIT)
            self._resolve(self._boot_future, is_online)
            if not is_online:
                self._resolve(self._exit_future, False)

    def boot(self, *, options: Options | None = None, **kwargs: Any) -> Server:
        """Boots the server, with other options if there are some.

        Raises `ServerOnline`, and `ServerCannotBoot` with what the process printed.
        """
        self._start(options, kwargs, owned=True)
        return self

    def connect(self, *, options: Options | None = None, **kwargs: Any) -> Server:
        """Connects to a server that runs.

        Raises `ServerOnline`, `TooManyClients`, and `CannotConnect` if nothing answers for 5 s.
        """
        self._start(options, kwargs, owned=False)
        return self

    def disconnect(self) -> Server:
        """Disconnects from a server that another program owns.

        Raises `ServerOffline` and `OwnedServerShutdown`.
        """
        if self.boot_status == BootStatus.OFFLINE:
            raise ServerOffline("the server is offline already")
        if self.is_owner:
            raise OwnedServerShutdown("this program owns the server; quit it instead")
        self._core.disconnect().wait()
        self._settle(_MAX_LIFECYCLE_WAIT)
        return self

    def quit(self, force: bool = False) -> Server:
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
        self._core.quit(force).wait()
        self._settle(_MAX_LIFECYCLE_WAIT)
        return self

    def reboot(self) -> Server:
        """Quits the server and boots it again."""
        self.quit()
        return self.boot()

    def reset(self) -> Server:
        """Frees all nodes, buffers and SynthDefs of this client, and its ids."""
        queries.reset_begin(self)
        self.sync()
        queries.reset_end(self)
        return self.sync()

    def sync(self, sync_id: int | None = None, timeout: float = 1.0) -> Server:
        """Blocks until the server has done all earlier requests, for at most `timeout` seconds.
        `/sync`

        Raises `ServerOffline` and `TimeoutError`.
        """
        self._validate_can_request()
        number = self._get_next_sync_id() if sync_id is None else sync_id
        Sync(sync_id=number).communicate(server=self, timeout=timeout)
        return self

    # ---- questions ---------------------------------------------------------------------------

    def _query(self, request: Request, sync: bool) -> Any:
        """The reply to a request; `None` if it is added to the open moment."""
        self._validate_can_request()
        if sync:
            return request.communicate(server=self)
        self._add_requests(request)
        return None

    def dump_tree(
        self, group: Group | None = None, include_controls: bool = True, sync: bool = True
    ) -> QueryTreeGroup | None:
        """The tree below a group, as the server prints it. `/g_dumpTree`"""
        self._validate_can_request()
        operation = queries.dump_tree(self, group, include_controls, sync)
        return None if operation is None else QueryTreeGroup._from_tuples(operation.wait())

    def get_buffer(
        self, buffer: Buffer, *indices: int, sync: bool = True
    ) -> dict[int, float] | None:
        """Samples by their index. `/b_get`"""
        reply = self._query(queries.buffer(buffer, indices), sync)
        return None if reply is None else dict(reply.items)

    def get_buffer_range(
        self, buffer: Buffer, index: int, count: int, sync: bool = True
    ) -> Sequence[float] | None:
        """Consecutive samples, any number of them. `/b_getn`"""
        values: list[float] = []
        for request in queries.buffer_ranges(buffer, index, count):
            reply = self._query(request, sync)
            if reply is not None:
                values += reply.items[0][1]
        return tuple(values) if sync else None

    def get_bus(self, bus: Bus, sync: bool = True, use_shared_memory: bool = False) -> float | None:
        """The value of a control bus. `/c_get`"""
        request, memory = queries.bus(self, bus, sync and use_shared_memory)
        if memory is not None:
            return float(memory)
        reply = self._query(request, sync)
        return None if reply is None else reply.items[0][1]

    def get_bus_range(
        self, bus: Bus, count: int, sync: bool = True, use_shared_memory: bool = False
    ) -> Sequence[float] | None:
        """The values of consecutive control buses. `/c_getn`"""
        request, memory = queries.bus_range(self, bus, count, sync and use_shared_memory)
        if memory is not None:
            return list(memory)
        reply = self._query(request, sync)
        return None if reply is None else reply.items[0][1]

    def get_synth_controls(
        self, synth: Synth, *controls: int | str, sync: bool = True
    ) -> dict[int | str, float] | None:
        """The values of controls. `/s_get`"""
        reply = self._query(queries.controls(synth, controls), sync)
        return None if reply is None else dict(reply.items)

    def get_synth_control_range(
        self, synth: Synth, control: int | str, count: int, sync: bool = True
    ) -> Sequence[float | str] | None:
        """The values of consecutive controls. `/s_getn`"""
        reply = self._query(queries.control_range(synth, control, count), sync)
        return None if reply is None else reply.items[0][1]

    def query_buffer(self, buffer: Buffer, sync: bool = True) -> BufferInfo | None:
        """The size of a buffer. `/b_query`"""
        return self._query(queries.buffer_info(buffer), sync)  # type: ignore[no-any-return]

    def query_node(self, node: Node, sync: bool = True) -> NodeInfo | None:
        """The place of a node in the tree. `/n_query`"""
        return self._query(queries.node_info(node), sync)  # type: ignore[no-any-return]

    def query_status(self, sync: bool = True) -> StatusInfo | None:
        """The server's load and counts. `/status`"""
        return self._query(queries.QueryStatus(), sync)  # type: ignore[no-any-return]

    def query_tree(
        self, group: Group | None = None, include_controls: bool = True, sync: bool = True
    ) -> QueryTreeGroup | None:
        """The tree below a group, the root by default, however large. `/g_queryTree`"""
        large = queries.large_tree(self, group, include_controls) if sync else None
        if large is not None:
            return QueryTreeGroup._from_tuples(large.wait())
        reply = self._query(queries.tree(group, include_controls), sync)
        return None if reply is None else QueryTreeGroup.from_query_tree_info(reply)

    def query_version(self, sync: bool = True) -> VersionInfo | None:
        """The server's program and its version. `/version`"""
        return self._query(queries.QueryVersion(), sync)  # type: ignore[no-any-return]

    def trace_node(self, node: SupportsInt) -> None:
        """Lets the server print what a node computes. `/n_trace`"""
        self._validate_can_request()
        self._add_requests(TraceNode(node_ids=[int(node)]))

    # ---- properties --------------------------------------------------------------------------

    @property
    def boot_future(self) -> concurrent.futures.Future[bool]:
        """Whether the last start succeeded. A new one for each start."""
        future: concurrent.futures.Future[bool] = self._boot_future
        return future

    @property
    def exit_future(self) -> concurrent.futures.Future[bool]:
        """Whether the last connection ended as requested. A new one for each start."""
        future: concurrent.futures.Future[bool] = self._exit_future
        return future

    @property
    def osc_protocol(self) -> Any:
        """The connection: callbacks and captures."""
        return self._osc_protocol

    @property
    def process_protocol(self) -> Any:
        """The process: what it prints."""
        return self._process_protocol
