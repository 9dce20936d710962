"""The class that blocking and asynchronous clients extend."""

from __future__ import annotations

import errno
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from alsa_midi import _core
from alsa_midi._core import EmbeddedEngine
from alsa_midi._info import (
    ClientInfo,
    ClientPool,
    OpenMode,
    RemoveCondition,
    RemoveEvents,
    SequencerType,
    StreamOpenType,
    SubscriptionQuery,
    SubscriptionQueryType,
    SystemInfo,
)
from alsa_midi.address import AddressType
from alsa_midi.event import Event, EventType, RealTime
from alsa_midi.exceptions import ALSAError, Error
from alsa_midi.port import DEFAULT_PORT_TYPE, RW_PORT, Port, PortCaps, PortInfo, PortType
from alsa_midi.queue import Queue, QueueInfo, QueueStatus

__all__ = ["HandleError", "SequencerClientBase"]

_Client = TypeVar("_Client", bound="SequencerClientBase")
_Engine: TypeAlias = "str | EmbeddedEngine | None"


class HandleError(Error, AttributeError):
    """Raised by ``handle``, which the clients of this package do not have."""


def _checked_str(value: Any, name: str) -> str:
    """A text argument; a wrong type raises the exception that python-alsa-midi raises."""
    if not isinstance(value, str):
        raise AttributeError(f"{name} is {value!r}; expected a str")
    return value


def _queue_number(queue: Queue | int | None) -> int | None:
    """The number of a queue that is given as an object or as a number."""
    if queue is None or isinstance(queue, int):
        return queue
    return queue.queue_id


class SequencerClientBase(_core.Client):
    """The methods that ``SequencerClient`` and ``AsyncSequencerClient`` share.

    ``streams`` gives the directions for which the client is opened. ``engine`` selects the
    sequencer: ``"kernel"``, ``"embedded"`` (inside this process, shared by its clients) or an
    ``EmbeddedEngine``. By default, the environment variable ``CONSORT_SEQ`` selects it, and if that
    is not set, the kernel's sequencer is used.

    A client may be used by several threads at once.
    """

    client_id: int
    _queues: WeakValueDictionary[int, Queue]
    _may_block = True

    def __init__(
        self,
        client_name: str,
        streams: int = StreamOpenType.DUPLEX,
        mode: int = OpenMode.NONBLOCK,
        sequencer_name: str = "default",
        *,
        engine: _Engine = None,
    ) -> None:
        _checked_str(client_name, "client_name")
        # The client waits by itself, so that the mode of the descriptor makes no difference.
        OpenMode(mode)
        if sequencer_name not in ("default", "hw"):
            raise ALSAError(
                f"sequencer_name is {sequencer_name!r}; expected 'default' or 'hw', because "
                "libasound's configuration is not read",
                -errno.ENOENT,
            )
        self._sequencer_name = sequencer_name
        self._queues = WeakValueDictionary()
        self._engine_argument = engine
        self.client_id = self._open(client_name, streams, engine, self._may_block)
        if not client_name:
            self.set_client_info(ClientInfo(self.client_id, f"Client-{self.client_id}"))

    def __enter__(self: _Client) -> _Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def event_input(self, prefer_bytes: bool = False, timeout: float | None = None) -> Event | None:
        """Return the next event without waiting.

        Raises ``ALSAError`` with the ``errnum`` ``-errno.EAGAIN`` if none has arrived. The classes
        that extend this one wait for an event instead.
        """
        event = self._try_event_input(prefer_bytes)
        if event is None:
            raise ALSAError("event_input: no event has arrived", -errno.EAGAIN)
        return event

    @property
    def handle(self) -> NoReturn:
        """Raises ``HandleError``, because this package does not use libasound."""
        raise HandleError(
            "clients have no libasound handle, because this package calls the kernel directly; to "
            "use libasound, open a handle with alsa_midi.alsa.snd_seq_open (and create its "
            "arguments with alsa_midi.ffi)"
        )

    def close(self) -> None:
        """Close the client with its ports and queues. Closing twice does nothing.

        Waiting methods of other threads raise a ``StateError``.
        """
        self._close()

    def fileno(self) -> int:
        """The file descriptor to wait on with ``select``, ``poll`` or an event loop.

        It is readable while an event is waiting in the sequencer, and writable while there is room.
        Do not read, write or close it.
        """
        return self._descriptor()

    # the sequencer

    def get_sequencer_name(self) -> str:
        """The name with which the sequencer was opened."""
        self._engine_name()  # raises StateError if the client is closed
        return self._sequencer_name

    def get_engine_name(self) -> str:
        """The name of the client's engine: ``"kernel"`` or ``"embedded"``."""
        return self._engine_name()

    def get_sequencer_type(self) -> SequencerType:
        """The type of the connection to the sequencer."""
        return SequencerType(self._sequencer_type())

    def get_system_info(self) -> SystemInfo:
        """Limits of the sequencer, and how many clients and queues exist."""
        return SystemInfo(*self._system_info())

    # clients

    def get_client_info(self, client_id: int | None = None) -> ClientInfo:
        """A client's description; by default, this client's."""
        return ClientInfo._from_core(self._client_info(client_id))

    def set_client_info(self, info: ClientInfo) -> None:
        """Change this client's name and filters. An empty event filter accepts all events."""
        self._set_client_info(
            self.client_id,
            info.name,
            bool(info.broadcast_filter),
            bool(info.error_bounce),
            info.event_lost,
            list(info.event_filter) if info.event_filter else None,
        )

    def set_client_event_filter(self, event_type: EventType) -> None:
        """Add an event type to the event filter, which then accepts only the added types."""
        self._set_client_event_filter(EventType(event_type))

    def query_next_client(self, previous: ClientInfo | int | None = None) -> ClientInfo | None:
        """The client with the next number after ``previous``, or the first client.

        Returns ``None`` after the last client.
        """
        number = previous.client_id if isinstance(previous, ClientInfo) else previous
        fields = self._query_next_client(number)
        return None if fields is None else ClientInfo._from_core(fields)

    def get_client_pool(self) -> ClientPool:
        """This client's memory in the sequencer."""
        return ClientPool(*self._client_pool())

    def set_client_pool(self, pool: ClientPool) -> None:
        """Change the sizes of this client's pools and its output room."""
        self._set_client_pool(pool.output_pool, pool.input_pool, pool.output_room)

    def set_client_pool_output(self, size: int) -> None:
        """Set the size of the output pool in cells, 1 to 2000."""
        self._set_client_pool(size, None, None)

    def set_client_pool_input(self, size: int) -> None:
        """Set the size of the input pool in cells, 1 to 2000."""
        self._set_client_pool(None, size, None)

    def set_client_pool_output_room(self, size: int) -> None:
        """Set the minimum number of free cells at which the client counts as writable."""
        self._set_client_pool(None, None, size)

    # ports

    def create_port(
        self,
        name: str,
        caps: PortCaps = RW_PORT,
        type: PortType = DEFAULT_PORT_TYPE,
        *,
        port_id: int | None = None,
        midi_channels: int | None = None,
        midi_voices: int | None = None,
        synth_voices: int | None = None,
        timestamping: bool | None = None,
        timestamp_real: bool | None = None,
        timestamp_queue: Queue | int | None = None,
    ) -> Port:
        """Create a port.

        A port with ``READ_PORT`` sends: other clients read from it. A port with ``WRITE_PORT``
        receives: other clients write to it. With ``timestamping``, arriving events get the time of
        ``timestamp_queue`` as their time stamp, in ticks, or with ``timestamp_real`` in real time.
        The time stamps are 0 until the queue has started, which requires draining the output.
        """
        options = (
            port_id,
            midi_channels,
            midi_voices,
            synth_voices,
            timestamping,
            timestamp_real,
            timestamp_queue,
        )
        if all(option is None for option in options):
            midi_channels, midi_voices = 16, 64
        if timestamp_queue is not None and not isinstance(timestamp_queue, (int, Queue)):
            raise AttributeError(
                f"timestamp_queue is {timestamp_queue!r}; expected a Queue or a number"
            )
        port = Port.__new__(Port)
        port.client = self
        port.client_id, port.port_id = port._create(
            self,
            _checked_str(name, "name"),
            caps,
            type,
            port_id,
            midi_channels or 0,
            midi_voices or 0,
            synth_voices or 0,
            bool(timestamping),
            bool(timestamp_real),
            _queue_number(timestamp_queue) or 0,
        )
        return port

    def set_port_info(self, port: int | Port, info: PortInfo) -> None:
        """Change name, capabilities, type and time stamping of a port of this client."""
        number = port if isinstance(port, int) else port.port_id
        self._set_port_info(number, info)

    def query_next_port(
        self, client_id: int, previous: PortInfo | int | None = None
    ) -> PortInfo | None:
        """The client's port with the next number after ``previous``, or its first port.

        Returns ``None`` after the last port.
        """
        number: int | None
        if isinstance(previous, PortInfo):
            if previous.client_id != client_id:
                raise ValueError(
                    f"client_id is {client_id}; expected {previous.client_id}, the client of the "
                    "previous port"
                )
            number = previous.port_id
        else:
            number = previous
        return self._query_next_port(client_id, number)

    def list_ports(
        self,
        *,
        input: bool | None = None,
        output: bool | None = None,
        type: PortType | None = PortType.MIDI_GENERIC,
        include_system: bool = False,
        include_midi_through: bool = True,
        include_no_export: bool = True,
        only_connectable: bool = True,
        sort: bool | Callable[[PortInfo], Any] = True,
    ) -> list[PortInfo]:
        """The ports to read from (``input``) or to write to (``output``), the most useful first.

        ``type`` gives the type bits that the ports must have. ``sort`` may be ``False``, to sort by
        number, or a function that returns a sort key for a ``PortInfo``.
        """
        by_key = callable(sort)
        ports = self._list_ports(
            bool(input),
            bool(output),
            type or PortType.ANY,
            bool(include_system),
            bool(include_midi_through),
            bool(include_no_export),
            bool(only_connectable),
            bool(sort) and not by_key,
        )
        if callable(sort):
            ports.sort(key=sort)
        return ports

    def subscribe_port(
        self,
        sender: AddressType,
        dest: AddressType,
        *,
        queue: Queue | int | None = None,
        exclusive: bool = False,
        time_update: bool = False,
        time_real: bool = False,
    ) -> None:
        """Connect two ports, of this client or of others.

        With ``time_update``, events that pass get the time of ``queue`` as their time stamp, in
        ticks, or with ``time_real`` in real time.
        """
        self._subscribe_port(
            sender,
            dest,
            _queue_number(queue),
            bool(exclusive),
            bool(time_update),
            bool(time_real),
        )

    def query_port_subscribers(self, query: SubscriptionQuery) -> SubscriptionQuery:
        """One connection of a port, selected by ``root``, ``type`` and ``index``."""
        fields = self._query_port_subscribers(query.root, query.type, query.index)
        return SubscriptionQuery._from_core(fields)

    def list_port_subscribers(
        self, port: AddressType, type: SubscriptionQueryType | None = None
    ) -> list[SubscriptionQuery]:
        """A port's connections in one direction, or in both."""
        try:
            connections = self._list_port_subscribers(port, type)
        except ALSAError as error:
            if error.errnum in (-errno.ENXIO, -errno.ENOENT):
                return []
            raise
        return [SubscriptionQuery._from_core(fields) for fields in connections]

    # queues

    def create_queue(self, name: str | None = None, info: QueueInfo | None = None) -> Queue:
        """Create a queue. Without a name, the sequencer names it."""
        if name is not None and info is not None:
            raise ValueError("expected 'name' or 'info', but both are given")
        queue = Queue.__new__(Queue)
        if info is not None:
            arguments = (info.name, bool(info.locked), info.flags)
        else:
            arguments = ("" if name is None else _checked_str(name, "name"), True, 0)
        queue.queue_id, queue._own = queue._create(self, *arguments)
        queue.client = self
        self._queues[queue.queue_id] = queue
        return queue

    def get_queue(self, queue_id: int) -> Queue:
        """The queue with this number. While an object for it exists, that object is returned."""
        queue = None if self._closed else self._queues.get(queue_id)
        if queue is None:
            queue = Queue(self, queue_id, _own=False)
            self._queues[queue_id] = queue
        return queue

    def get_named_queue(self, name: str) -> Queue:
        """The queue with this name."""
        return self.get_queue(self.query_named_queue(name))

    def _forget_queue(self, queue: Queue) -> None:
        if queue.queue_id is not None and self._queues.get(queue.queue_id) is queue:
            del self._queues[queue.queue_id]

    def query_named_queue(self, name: str) -> int:
        """The number of the queue with this name."""
        return self._query_named_queue(_checked_str(name, "name"))

    def get_queue_info(self, queue_id: int) -> QueueInfo:
        """Name, owner and locking of a queue."""
        return QueueInfo(*self._queue_info(queue_id))

    def set_queue_info(self, queue_id: int, info: QueueInfo) -> None:
        """Change owner and locking of a queue, and on some kernels its name."""
        owner = info.owner or self.client_id
        self._set_queue_info(queue_id, info.name, owner, bool(info.locked), info.flags)

    def get_queue_status(self, queue_id: int) -> QueueStatus:
        """Time, state and number of waiting events of a queue."""
        queue, events, tick, real_time, status = self._queue_status(queue_id)
        return QueueStatus(queue, events, tick, RealTime(*real_time), status)

    # removing events

    def remove_events(
        self,
        condition: RemoveEvents | RemoveCondition | None = None,
        queue: Queue | int | None = None,
        time: RealTime | int | None = None,
        dest: AddressType | None = None,
        channel: int | None = None,
        event_type: EventType | None = None,
        tag: int | None = None,
        before: bool = False,
        ignore_off: bool | None = None,
    ) -> None:
        """Remove events from the buffers and queues.

        ``condition`` selects ``RemoveCondition.OUTPUT``, ``INPUT`` (from which all events are
        removed) or both. Every further argument restricts the selection. A ``RemoveEvents``
        contains all conditions and cannot be combined with other arguments.
        """
        if isinstance(condition, RemoveEvents):
            if any((queue, time, dest, channel, event_type, tag)):
                raise TypeError("other arguments cannot be combined with a RemoveEvents")
            remove = condition
            self._remove_events(
                remove.condition,
                remove.queue_id,
                remove.time,
                remove.dest,
                remove.channel,
                remove.event_type,
                remove.tag,
            )
            return
        if isinstance(condition, str) or (condition is not None and not isinstance(condition, int)):
            raise TypeError(f"condition is {condition!r}; expected a RemoveCondition")
        bits = RemoveCondition(condition or 0)
        if time is not None:
            bits |= RemoveCondition.TIME_BEFORE if before else RemoveCondition.TIME_AFTER
            if not isinstance(time, RealTime):
                bits |= RemoveCondition.TIME_TICK
        for is_given, bit in (
            (dest is not None, RemoveCondition.DEST),
            (channel is not None, RemoveCondition.DEST_CHANNEL),
            (event_type is not None, RemoveCondition.EVENT_TYPE),
            (tag is not None, RemoveCondition.TAG_MATCH),
            (bool(ignore_off), RemoveCondition.IGNORE_OFF),
        ):
            if is_given:
                bits |= bit
        self._remove_events(
            bits,
            _queue_number(queue) or 0,
            0 if time is None else time,
            (0, 0) if dest is None else dest,
            channel or 0,
            EventType.NONE if event_type is None else event_type,
            tag or 0,
        )
