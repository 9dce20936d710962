"""What both kinds of servers share."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import shlex
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, SupportsInt

from .._core import Inbox, Operation, ServerCore
from ..enums import AddAction, BootStatus, CalculationRate, ServerLifecycleEvent
from ..exceptions import ServerOffline, ServerOnline, TooManyClients
from ..osc import HealthCheck, OscBundle, OscCallback, OscMessage
from ..scsynth import ENVAR_SERVER_EXECUTABLE, Options
from ..typing import AddActionLike, ServerLifecycleEventLike
from ..ugens import compile_synthdefs
from ._lifecycle import FailWarning, ServerLifecycleCallback, ServerProcess, events_of
from ._osc import ServerOscProtocol, health_check
from .core import Context
from .entities import Buffer, Bus, BusGroup, ContextObject, Group, Node, ScopeBuffer
from .requests import ReceiveSynthDefs, Request, RequestBundle
from .responses import StatusInfo
from .scopes import AmplitudeScope, FrequencyScope

if TYPE_CHECKING:
    from ..typing import SupportsOsc

warnings.simplefilter("always", FailWarning)

#: How a server that stops answering is found: it is asked for its status, and has to answer within
#: `timeout` seconds, multiplied by `backoff_factor` after each failed attempt.
DEFAULT_HEALTHCHECK = HealthCheck(
    request_pattern=["/status"],
    response_pattern=["/status.reply"],
    active=False,
    timeout=1.0,
    backoff_factor=1.5,
    max_attempts=5,
)

#: All servers, for the end of the program.
_SERVERS: weakref.WeakSet[BaseServer] = weakref.WeakSet()


class BaseServer(Context):
    """The base class of servers."""

    #: The servers that are online.
    _contexts: ClassVar[set[BaseServer]] = set()

    def __init__(self, options: Options | None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(options, name=name, **kwargs)
        self._latency = 0.1
        self._core = ServerCore(name)
        self._inbox = Inbox()
        self._osc_protocol: Any = ServerOscProtocol(self._core, name, self._inbox)
        self._process_protocol = ServerProcess(self._core, name)
        self._lifecycle_callbacks: list[ServerLifecycleCallback] = []
        self._is_owned_life = False
        self._is_forced = False
        self._has_failed = False
        self._boot_future: Any = self._new_future()
        self._exit_future: Any = self._new_future()
        _SERVERS.add(self)

    def _new_future(self) -> Any:
        raise NotImplementedError

    def __contains__(self, object_: ContextObject) -> bool:
        if object_.context is not self or self.boot_status != BootStatus.ONLINE:
            return False
        id_ = object_.id_
        if isinstance(object_, Node):
            return id_ == 0 or self._core.has_node(id_)
        if isinstance(object_, Buffer):
            return self._core.has_buffer(id_)
        if isinstance(object_, Bus):
            is_audio = object_.calculation_rate == CalculationRate.AUDIO
            options = self.options
            count = (
                options.audio_bus_channel_count if is_audio else options.control_bus_channel_count
            )
            return 0 <= id_ < count
        return False

    def __repr__(self) -> str:
        command = shlex.join(self.options)
        return f"<{type(self).__name__} {self.boot_status.name} [{command}]>"

    # ---- lifecycle ---------------------------------------------------------------------------

    def _begin(self, options: Options | None, kwargs: dict[str, Any], owned: bool) -> Operation:
        """Begins to boot or to connect."""
        if self.boot_status != BootStatus.OFFLINE:
            raise ServerOnline(
                f"the server is {self.boot_status.name.lower()}; quit it or disconnect first"
            )
        self._options = self._get_options(options or self._options, **kwargs)
        from . import realtime

        health_check(self._core, realtime.DEFAULT_HEALTHCHECK)
        fields = dataclasses.asdict(self._options)
        if not fields["executable"]:
            fields["executable"] = os.environ.get(ENVAR_SERVER_EXECUTABLE)
        program = os.path.basename(fields["executable"] or "scsynth")
        if program != "supernova":
            # The option has a default, which only supernova understands.
            fields["threads"] = None
        self._process_protocol.options = self._options
        self._process_protocol.error_text = ""
        self._osc_protocol.ip_address = self._options.ip_address
        self._osc_protocol.port = self._options.port
        self._osc_protocol._is_stream = self._options.protocol == "tcp"
        self._is_owned_life, self._is_forced, self._has_failed = owned, False, False
        self._boot_future, self._exit_future = self._new_future(), self._new_future()
        if not owned:
            return self._core.connect(fields)
        from ..ugens import SYSTEM_SYNTHDEFS

        synthdefs = [compile_synthdefs(synthdef) for synthdef in SYSTEM_SYNTHDEFS.values()]
        return self._core.boot(fields, synthdefs)

    def _note_refusal(self, error: Exception) -> None:
        """Notes why the server did not start."""
        if isinstance(error, TooManyClients):
            warnings.warn("/notify too many users", FailWarning, stacklevel=4)
        else:
            self._process_protocol.error_text = str(error)

    def _started(self) -> None:
        """The server is online."""
        self._client_id, _ = self._core.login()
        self._sync_id_minimum, self._sync_id_maximum = self._options.get_sync_ids(self._client_id)
        # The reference numbers its own synchronisation at the end of a boot.
        self._sync_id = self._sync_id_minimum + self._is_owned_life

    def _resolve(self, future: Any, result: bool) -> None:
        if not future.done():
            future.set_result(result)

    def _note(self, event: ServerLifecycleEvent) -> list[ServerLifecycleCallback]:
        """Notes an event of the lifecycle, and returns the callbacks for it."""
        if event == ServerLifecycleEvent.CONNECTED:
            self._started()
            self._contexts.add(self)
        elif event == ServerLifecycleEvent.DISCONNECTED:
            self._contexts.discard(self)
        if event.name.endswith("PANICKED"):
            self._has_failed = True
        callbacks = [known for known in self._lifecycle_callbacks if event in known.events]
        for callback in callbacks:
            if callback.once:
                self.unregister_lifecycle_callback(callback)
        return callbacks

    def _finish_life(self, event: ServerLifecycleEvent) -> None:
        """Resolves the futures after the last event of a life."""
        is_last = (
            event == ServerLifecycleEvent.QUIT
            or (
                event == ServerLifecycleEvent.DISCONNECTED
                and not (self._is_owned_life or self._is_forced)
            )
            or (event == ServerLifecycleEvent.PROCESS_PANICKED and not self._boot_future.done())
        )
        if event == ServerLifecycleEvent.CONNECTED:
            self._resolve(self._boot_future, True)
        elif is_last:
            self._resolve(self._boot_future, False)
            self._resolve(self._exit_future, not self._has_failed)

    def _handle_other(self, kind: str, *values: Any) -> None:
        """Handles an event that is not one of the lifecycle."""
        if kind == "fail":
            command, reason, other = values
            text = " ".join(map(str, (command, reason, *other))).strip()
            warnings.warn(text, FailWarning, stacklevel=4)
        elif kind == "refused":
            warnings.warn(values[0], FailWarning, stacklevel=4)
        elif kind == "output":
            self._process_protocol._printed(values[0])

    def _close_at_exit(self) -> None:
        """Ends what runs, because the program ends."""
        self._core.stop_pump()
        if self._core.is_owner():
            self._core.quit(True).wait()
        elif self.boot_status == BootStatus.ONLINE:
            self._core.disconnect().wait()

    def register_lifecycle_callback(
        self,
        event: ServerLifecycleEventLike | Iterable[ServerLifecycleEventLike],
        procedure: Callable[[ServerLifecycleEvent], Awaitable[None] | None],
        *,
        once: bool = False,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> ServerLifecycleCallback:
        """Calls a procedure when one of the events happens; with `once`, for the first of them."""
        callback = ServerLifecycleCallback(
            context=self,
            events=events_of(event),
            procedure=procedure,
            once=once,
            args=args,
            kwargs=kwargs,
        )
        self._lifecycle_callbacks.append(callback)
        return callback

    def unregister_lifecycle_callback(self, callback: ServerLifecycleCallback) -> None:
        """Stops calling a procedure."""
        self._lifecycle_callbacks = [
            known for known in self._lifecycle_callbacks if known is not callback
        ]

    def register_osc_callback(
        self,
        pattern: Sequence[float | str],
        procedure: Callable[[OscMessage], Awaitable[None] | None],
        *,
        failure_pattern: Sequence[float | str] | None = None,
        once: bool = False,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> OscCallback:
        """Calls a procedure for messages that begin with the pattern: an address and leading
        values. A `Server` calls it on a thread of its own, an `AsyncServer` in its event loop."""
        callback: OscCallback = self._osc_protocol.register(
            pattern=pattern,
            procedure=procedure,
            failure_pattern=failure_pattern,
            once=once,
            args=args,
            kwargs=kwargs,
        )
        return callback

    def unregister_osc_callback(self, callback: OscCallback) -> None:
        """Stops calling a procedure."""
        self._osc_protocol.unregister(callback)

    # ---- packets -----------------------------------------------------------------------------

    def send(self, message: Sequence[Any] | SupportsOsc | str) -> None:
        """Sends a message, a bundle or a request, past any open moment. Never blocks. Bundles and
        requests that are larger than a datagram are divided."""
        if isinstance(message, RequestBundle):
            self._remember(message.contents)
        elif isinstance(message, ReceiveSynthDefs):
            self._remember([message])
        self._osc_protocol.send(message)

    def _remember(self, requests: Iterable[Any]) -> None:
        """Remembers the controls of SynthDefs that are sent."""
        for request in requests:
            if isinstance(request, ReceiveSynthDefs):
                self._core.remember_synthdefs(compile_synthdefs(*request.synthdefs))

    def _ask(
        self,
        message: OscMessage | OscBundle,
        pattern: Sequence[float | str],
        failure: Sequence[float | str] | None,
        timeout: float,
    ) -> Operation:
        """Sends a message that the server answers."""
        self._validate_can_request()
        command = str(message.address) if isinstance(message, OscMessage) else ""
        data = message.to_datagram()
        self._osc_protocol._note(data, message, message)
        return self._core.ask(data, command, list(pattern), timeout)

    # ---- ids ---------------------------------------------------------------------------------

    def _allocate_id(
        self,
        type_: type[ContextObject],
        calculation_rate: CalculationRate | None = None,
        count: int = 1,
        permanent: bool = False,
    ) -> int:
        if type_ is Node:
            return self._core.allocate_node(permanent)
        if type_ is Bus:
            return self._core.allocate_buses(calculation_rate == CalculationRate.AUDIO, count)
        if type_ is Buffer:
            return self._core.allocate_buffers(count)
        return self._core.allocate_scope_buffer()

    def _free_id(
        self,
        type_: type[ContextObject],
        id_: int,
        calculation_rate: CalculationRate | None = None,
    ) -> None:
        if type_ is Node:
            self._core.free_node(id_)
        elif type_ is Bus:
            self._core.free_buses(calculation_rate == CalculationRate.AUDIO, id_)
        elif type_ is Buffer:
            self._core.free_buffers(id_, 1)
        elif type_ is ScopeBuffer:
            self._core.free_scope_buffer(id_)

    def _resolve_node(self, node: SupportsInt | None) -> int:
        return self._client_id + 1 if node is None else int(node)

    def _validate_can_request(self) -> None:
        if not self._core.is_online():
            raise ServerOffline("the server is not online; boot it or connect to it first")

    def _validate_moment_timestamp(self, seconds: float | None) -> None:
        pass

    # ---- scopes and properties ---------------------------------------------------------------

    def add_amplitude_scope(
        self,
        bus: Bus | BusGroup,
        add_action: AddActionLike = AddAction.ADD_TO_TAIL,
        target_node: Node | None = None,
    ) -> AmplitudeScope:
        """Adds a scope of amplitudes, which plays."""
        scope = AmplitudeScope(
            add_action=add_action, bus=bus, context=self, target_node=target_node
        )
        scope.play()
        return scope

    def add_frequency_scope(
        self,
        bus: Bus,
        add_action: AddActionLike = AddAction.ADD_TO_TAIL,
        fft_size: int = 4096,
        frequency_mode: Literal["linear", "logarithmic"] = "linear",
        rate: int = 4,
        target_node: Node | None = None,
    ) -> FrequencyScope:
        """Adds a scope of frequencies, which plays."""
        scope = FrequencyScope(
            add_action=add_action,
            bus=bus,
            context=self,
            fft_size=fft_size,
            frequency_mode=frequency_mode,
            rate=rate,
            target_node=target_node,
        )
        scope.play()
        return scope

    def set_latency(self, latency: float) -> None:
        """Sets the seconds that are added to the times of moments."""
        self._latency = float(latency)

    @property
    def boot_status(self) -> BootStatus:
        """Whether the server is offline, booting, online or quitting."""
        return BootStatus[self._core.boot_status()]

    @property
    def default_group(self) -> Group:
        """The group of this client, in which new nodes are placed by default."""
        return Group(context=self, id_=self._client_id + 1)

    @property
    def is_owner(self) -> bool:
        """Whether this program started the server."""
        return self._core.is_owner()

    @property
    def shared_memory(self) -> Any:
        """The server's shared memory, if it runs on this machine."""
        return self._core.shared_memory()

    @property
    def status(self) -> StatusInfo | None:
        """The last report about the server's load and counts."""
        values = self._core.status()
        return None if values is None else StatusInfo._of(values)


def _close_all() -> None:
    """Ends what runs, before the interpreter does."""
    for server in tuple(_SERVERS):
        # It may have ended, or belong to a parent process.
        with contextlib.suppress(Exception):
            server._close_at_exit()


atexit.register(_close_all)

__all__ = ["DEFAULT_HEALTHCHECK", "BaseServer", "FailWarning", "Request", "ServerLifecycleCallback"]
