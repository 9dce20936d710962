"""What servers and scores share: moments, completions, and requests by name."""

from __future__ import annotations

import abc
import contextvars
import dataclasses
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..enums import BootStatus, CalculationRate
from ..exceptions import AllocationError, ContextError, MomentClosed
from ..scsynth import Options
from ._buffers import BufferRequests
from ._nodes import NodeRequests
from .allocators import BlockAllocator, NodeIdAllocator
from .entities import Buffer, Bus, BusGroup, ContextObject, Node, RootNode, ScopeBuffer
from .requests import ClearSchedule, DoNothing, Request, RequestBundle

if TYPE_CHECKING:
    from ..typing import SupportsOsc

#: The moments and completions that are open in this thread or task, of all contexts, the innermost
#: last. The tuple is replaced, never changed, so that tasks do not see each other's moments.
_OPEN: contextvars.ContextVar[tuple[Moment | Completion, ...]] = contextvars.ContextVar(
    "consort_sc.open", default=()
)

#: Requests, each with its completion.
_Pairs = list[tuple[Request, "Completion | None"]]


def _close(entry: Moment | Completion) -> None:
    """Removes a moment or completion from those that are open."""
    _OPEN.set(tuple(other for other in _OPEN.get() if other is not entry))


@dataclasses.dataclass(eq=False)
class Moment:
    """Requests that take effect together. As a context manager it collects the requests that the
    thread or task makes, and sends them at the end; after an exception it sends nothing, and the
    ids that it allocated are free again."""

    context: Context
    seconds: float | None = None
    closed: bool = dataclasses.field(default=False, init=False)
    requests: _Pairs = dataclasses.field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        #: What frees the ids that were allocated inside.
        self._releases: list[Callable[[], None]] = []

    def __enter__(self) -> Moment:
        if self.closed:
            raise MomentClosed("the moment was sent already; begin a new one with `at`")
        _OPEN.set((*_OPEN.get(), self))
        return self

    def __exit__(self, exc_type: type[BaseException] | None = None, *args: Any) -> None:
        _close(self)
        self.closed = True
        if exc_type is not None:
            for release in self._releases:
                release()
            return
        requests = self.context._apply_completions(self.requests)
        if self.seconds is not None and requests:
            timestamp = self.seconds + self.context._latency
            self.context.send(RequestBundle(timestamp=timestamp, contents=requests))
        elif len(requests) == 1:
            self.context.send(requests[0])
        elif requests:
            self.context.send(RequestBundle(contents=requests))


@dataclasses.dataclass(eq=False)
class Completion:
    """Requests that a server makes when an asynchronous request is done. As a context manager,
    which may be entered until its moment is sent, it collects the requests that are made inside."""

    context: Context
    moment: Moment
    requests: _Pairs = dataclasses.field(default_factory=list, init=False)

    def __call__(self, request: Request) -> Request:
        """The request with these requests as its completion."""
        if not hasattr(request, "on_completion"):
            raise ValueError(f"{request!r} has no completion")
        requests = self.context._apply_completions(self.requests)
        if not requests:
            return request
        completion = requests[0] if len(requests) == 1 else RequestBundle(contents=requests)
        changes: dict[str, Any] = {"on_completion": completion}
        return dataclasses.replace(request, **changes)

    def __enter__(self) -> Completion:
        if self.moment.closed:
            raise MomentClosed("the request of this completion was sent already")
        self._count = len(self.requests)
        _OPEN.set((*_OPEN.get(), self))
        return self

    def __exit__(self, exc_type: type[BaseException] | None = None, *args: Any) -> None:
        _close(self)
        if exc_type is not None:
            del self.requests[self._count :]


class Context(BufferRequests, NodeRequests, metaclass=abc.ABCMeta):
    """Where requests go: a server or a score."""

    def __init__(self, options: Options | None, name: str | None = None, **kwargs: Any) -> None:
        self._options = self._get_options(options, **kwargs)
        self._name = name
        self._boot_status = BootStatus.OFFLINE
        self._client_id = 0
        self._latency = 0.0
        self._lock = threading.RLock()
        self._sync_id = 0
        self._sync_id_minimum = 0
        self._sync_id_maximum = 1 << 26

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.RLock()

    # ---- moments -----------------------------------------------------------------------------

    def at(self, seconds: float | None = None) -> Moment:
        """A moment. For servers, `seconds` counts from 1970 and the latency is added; without,
        requests take effect when they arrive. For scores, it counts from the start."""
        self._validate_moment_timestamp(seconds)
        return Moment(context=self, seconds=seconds)

    @abc.abstractmethod
    def send(self, message: Sequence[Any] | SupportsOsc | str) -> None:
        """Sends a message, a bundle or a request, past any open moment."""
        raise NotImplementedError

    def clear_schedule(self) -> None:
        """Discards all bundles that wait for their time. `/clearSched`"""
        self._validate_can_request()
        self._add_requests(ClearSchedule())

    def do_nothing(self) -> None:
        """A request without effect, which extends a score to its time."""
        self._validate_can_request()
        self._add_requests(DoNothing())

    def _get_request_context(self) -> Moment | Completion | None:
        """The innermost moment or completion that is open, of this context."""
        for entry in reversed(_OPEN.get()):
            if entry.context is self:
                closed = entry.closed if isinstance(entry, Moment) else entry.moment.closed
                if not closed:
                    return entry
        return None

    def _get_moment(self) -> Moment | None:
        """The innermost moment that is open, of this context."""
        for entry in reversed(_OPEN.get()):
            if isinstance(entry, Moment) and entry.context is self and not entry.closed:
                return entry
        return None

    def _add_requests(self, *requests: Request) -> None:
        """Adds requests to what is open, or sends them."""
        target = self._get_request_context()
        if target is not None:
            target.requests += ((request, None) for request in requests)
        elif len(requests) == 1:
            self._send_alone(requests[0])
        elif requests:
            with self.at():
                self._add_requests(*requests)

    def _send_alone(self, request: Request) -> None:
        """Sends a request outside of a moment."""
        self._validate_moment_timestamp(None)
        self.send(request)

    def _add_request_with_completion(
        self, request: Request, on_completion: Callable[[Context], Any] | None
    ) -> Completion:
        """Adds a request to what is open, or sends it, and calls `on_completion` in its
        completion."""
        if self._get_request_context() is None:
            with self.at():
                return self._add_request_with_completion(request, on_completion)
        moment = self._get_moment()
        target = self._get_request_context()
        if moment is None:
            # A completion is open whose moment this task does not have.
            assert isinstance(target, Completion)
            moment = target.moment
        completion = Completion(context=self, moment=moment)
        assert target is not None
        target.requests.append((request, completion))
        if on_completion:
            with completion:
                on_completion(self)
        return completion

    @staticmethod
    def _apply_completions(pairs: _Pairs) -> list[Request]:
        """The requests with their completions, those that follow one another merged."""
        requests: list[Request] = []
        complete = [completion(request) if completion else request for request, completion in pairs]
        for _, group in itertools.groupby(complete, key=type):
            same = list(group)
            requests += type(same[0]).merge(same)
        return requests

    def _on_abandon(self, release: Callable[[], None]) -> None:
        """Frees ids if the open moment is not sent."""
        moment = self._get_moment()
        if moment is not None:
            moment._releases.append(release)

    # ---- ids ---------------------------------------------------------------------------------

    @abc.abstractmethod
    def _allocate_id(
        self,
        type_: type[ContextObject],
        calculation_rate: CalculationRate | None = None,
        count: int = 1,
        permanent: bool = False,
    ) -> int:
        """The first of consecutive free ids."""
        raise NotImplementedError

    @abc.abstractmethod
    def _free_id(
        self,
        type_: type[ContextObject],
        id_: int,
        calculation_rate: CalculationRate | None = None,
    ) -> None:
        """Frees an id."""
        raise NotImplementedError

    def _get_next_sync_id(self) -> int:
        """A number for the next `/sync`."""
        with self._lock:
            sync_id = self._sync_id
            self._sync_id += 1
            if self._sync_id >= self._sync_id_maximum:
                self._sync_id = self._sync_id_minimum
            return sync_id

    def _get_options(self, options: Options | None, **kwargs: Any) -> Options:
        return dataclasses.replace(options or Options(), **kwargs)

    @abc.abstractmethod
    def _resolve_node(self, node: Any) -> int:
        """The id of a node, or of the one that new nodes are placed in by default."""
        raise NotImplementedError

    @abc.abstractmethod
    def _validate_can_request(self) -> None:
        """Raises an exception if no requests can be made."""
        raise NotImplementedError

    @abc.abstractmethod
    def _validate_moment_timestamp(self, seconds: float | None) -> None:
        """Raises an exception if no moment can have this time."""
        raise NotImplementedError

    # ---- properties --------------------------------------------------------------------------

    @property
    def audio_input_bus_group(self) -> BusGroup:
        """The audio buses of the inputs."""
        options = self.options
        return BusGroup(
            context=self,
            id_=options.output_bus_channel_count,
            calculation_rate=CalculationRate.AUDIO,
            count=options.input_bus_channel_count,
        )

    @property
    def audio_output_bus_group(self) -> BusGroup:
        """The audio buses of the outputs."""
        return BusGroup(
            context=self,
            id_=0,
            calculation_rate=CalculationRate.AUDIO,
            count=self.options.output_bus_channel_count,
        )

    @property
    def boot_status(self) -> BootStatus:
        """Whether the context is offline, booting, online or quitting."""
        return self._boot_status

    @property
    def client_id(self) -> int:
        """The number that the server has given to this client."""
        return self._client_id

    @property
    def default_group(self) -> Any:
        """The node that new nodes are placed in by default."""
        raise NotImplementedError

    @property
    def latency(self) -> float:
        """Seconds that are added to the times of moments."""
        return self._latency

    @property
    def name(self) -> str | None:
        """A name for logs."""
        return self._name

    @property
    def options(self) -> Options:
        """The options."""
        return self._options

    @property
    def root_node(self) -> RootNode:
        """The root of the node tree."""
        return RootNode(context=self, id_=0)


class LocalIds:
    """The ids of a context without a server: those of the only client, which are never freed."""

    def __init__(self, options: Options) -> None:
        def blocks(first: int, end: int) -> BlockAllocator:
            return BlockAllocator(heap_minimum=first, heap_maximum=end)

        self.nodes = NodeIdAllocator(initial_node_id=options.initial_node_id)
        self.buffers = blocks(*options.get_buffer_ids(0))
        self.buses = {
            CalculationRate.AUDIO: blocks(*options.get_audio_bus_ids(0)),
            CalculationRate.CONTROL: blocks(*options.get_control_bus_ids(0)),
        }

    def allocate(
        self,
        type_: type[ContextObject],
        calculation_rate: CalculationRate | None,
        count: int,
        permanent: bool,
    ) -> int:
        """The first of consecutive free ids."""
        if type_ is Node:
            nodes = self.nodes
            return nodes.allocate_permanent_node_id() if permanent else nodes.allocate_node_id()
        if type_ is ScopeBuffer:
            raise ContextError("scores have no scope buffers")
        if type_ is Bus:
            assert calculation_rate is not None
            allocator, noun = self.buses[calculation_rate], f"{calculation_rate.name.lower()} buses"
        else:
            allocator, noun = self.buffers, "buffers"
        id_ = allocator.allocate(count)
        if id_ is None:
            raise AllocationError(f"there are no {count} {noun} with consecutive ids left")
        return id_


__all__ = ["Buffer", "Completion", "Context", "Moment"]
