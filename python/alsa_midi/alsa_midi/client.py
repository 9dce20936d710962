"""Clients of the sequencer."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from types import TracebackType
from typing import Any, NoReturn, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from alsa_midi import _core
from alsa_midi._core import EmbeddedEngine
from alsa_midi.address import Address, AddressType
from alsa_midi.event import MIDI_BYTES_EVENTS, Event, EventType, MidiBytesEvent, RealTime
from alsa_midi.exceptions import ALSAError, Error, StateError
from alsa_midi.port import (
    DEFAULT_PORT_TYPE,
    READ_PORT_PREFERRED_TYPES,
    RW_PORT,
    RW_PORT_PREFERRED_TYPES,
    WRITE_PORT_PREFERRED_TYPES,
    Port,
    PortCaps,
    PortInfo,
    PortType,
    get_port_info_sort_key,
)
from alsa_midi.queue import Queue, QueueInfo, QueueStatus

__all__ = [
    "SequencerClientBase",
    "SequencerClient",
    "AsyncSequencerClient",
    "ClientInfo",
    "ClientType",
    "SequencerType",
    "SystemInfo",
    "SubscriptionQueryType",
    "SubscriptionQuery",
    "ClientPool",
    "RemoveEvents",
    "RemoveCondition",
    "StreamOpenType",
    "OpenMode",
    "MIDI_BYTES_EVENTS",
    "READ_PORT_PREFERRED_TYPES",
    "RW_PORT_PREFERRED_TYPES",
    "WRITE_PORT_PREFERRED_TYPES",
    "get_port_info_sort_key",
    "Event",
    "MidiBytesEvent",
    "PortCaps",
    "StateError",
]

_Client = TypeVar("_Client", bound="SequencerClientBase")
_Engine: TypeAlias = "str | EmbeddedEngine | None"


class StreamOpenType(IntFlag):
    """For which directions a client is opened."""

    OUTPUT = 1
    INPUT = 2
    DUPLEX = 3


class OpenMode(IntFlag):
    """How a client is opened."""

    NONBLOCK = 1


class ClientType(IntEnum):
    """What a client is."""

    _UNSET = 0
    USER = 1
    KERNEL = 2


class SequencerType(IntEnum):
    """How the sequencer is reached."""

    _UNSET = 0
    HW = 0
    SHM = 1
    INET = 2


class SubscriptionQueryType(IntEnum):
    """Which connections of a port are asked for: those that read from it, or write to it."""

    READ = 0
    WRITE = 1


class RemoveCondition(IntFlag):
    """Which events to remove. Conditions on output are combined with "and"."""

    INPUT = 1
    OUTPUT = 2
    DEST = 4
    DEST_CHANNEL = 8
    TIME_BEFORE = 16
    TIME_AFTER = 32
    TIME_TICK = 64
    EVENT_TYPE = 128
    IGNORE_OFF = 256
    TAG_MATCH = 512


@dataclass
class ClientInfo:
    """A client as the sequencer knows it."""

    client_id: int
    name: str = ""
    broadcast_filter: bool = False
    error_bounce: bool = False
    type: ClientType | None = None
    card_id: int | None = None
    pid: int | None = None
    num_ports: int = 0
    event_lost: int = 0
    event_filter: set[EventType] | None = None

    @classmethod
    def _of(cls, answer: tuple[Any, ...]) -> ClientInfo:
        client_id, name, broadcast, bounce, kind, card, pid, ports, lost, types = answer
        filtered = None if types is None else {EventType(number) for number in types}
        client_type = ClientType(kind) if kind in (0, 1, 2) else kind
        return cls(
            client_id, name, broadcast, bounce, client_type, card, pid, ports, lost, filtered
        )


@dataclass
class SystemInfo:
    """Limits and use of the sequencer."""

    queues: int
    clients: int
    ports: int
    channels: int
    cur_clients: int
    cur_queues: int


@dataclass
class ClientPool:
    """A client's memory in the sequencer, in cells of 28 bytes."""

    client_id: int = 0
    output_pool: int = 0
    input_pool: int = 0
    output_room: int = 0
    output_free: int = 0
    input_free: int = 0


@dataclass
class SubscriptionQuery:
    """A connection of a port, as question and as answer."""

    root: Address = Address(0, 0)
    type: SubscriptionQueryType = SubscriptionQueryType.READ
    index: int = 0
    num_subs: int = 0
    addr: Address = Address(0, 0)
    queue_id: int = 0
    exclusive: bool = False
    time_update: bool = False
    time_real: bool = False

    def __post_init__(self) -> None:
        self.root = Address(self.root)
        self.addr = Address(self.addr)
        self.exclusive = bool(self.exclusive)
        self.time_update = bool(self.time_update)
        self.time_real = bool(self.time_real)

    @classmethod
    def _of(cls, answer: tuple[Any, ...]) -> SubscriptionQuery:
        root, kind, *rest = answer
        return cls(root, SubscriptionQueryType(kind), *rest)


@dataclass
class RemoveEvents:
    """Which events to remove, in full."""

    condition: RemoveCondition = RemoveCondition(0)
    queue_id: int = 0
    time: RealTime | int = field(default_factory=RealTime)
    dest: AddressType = Address(0, 0)
    channel: int = 0
    event_type: EventType = EventType.NONE
    tag: int = 0


class HandleError(Error, AttributeError):
    """There is no libasound handle."""


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise AttributeError(f"{name} is {value!r}; expected a str")
    return value


def _queue_number(queue: Queue | int | None) -> int | None:
    if queue is None or isinstance(queue, int):
        return queue
    return queue.queue_id


class SequencerClientBase(_core.Client):
    """What ``SequencerClient`` and ``AsyncSequencerClient`` have in common.

    ``streams`` says for which directions the client is opened. ``engine`` chooses the sequencer:
    ``"kernel"``, ``"embedded"`` (one inside this process that all its clients share) or an
    ``EmbeddedEngine``; without it the environment variable ``CONSORT_SEQ`` decides, and without
    that it is the kernel's.

    A client may be used from any thread, several at once.
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
        _text(client_name, "client_name")
        if not mode & OpenMode.NONBLOCK:
            raise ValueError(f"mode is {mode!r}; it must have OpenMode.NONBLOCK")
        if sequencer_name not in ("default", "hw"):
            raise ALSAError(
                f"sequencer_name is {sequencer_name!r}; expected 'default' or 'hw': libasound's "
                "configuration is not read",
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

    @property
    def handle(self) -> NoReturn:
        """There is none: this package does not use libasound."""
        raise HandleError(
            "a client of this package has no libasound handle, because it talks to the kernel "
            "itself; for raw libasound open a handle of your own with alsa_midi.alsa.snd_seq_open "
            "(alsa_midi.ffi makes its arguments)"
        )

    def close(self) -> None:
        """End the client: its ports and queues go with it. Closing twice does nothing.

        Whoever waits in another thread gets a ``StateError``.
        """
        self._close()

    def fileno(self) -> int:
        """The descriptor to wait on with ``select``, ``poll`` or an event loop.

        It is readable while an event waits in the sequencer, writable while there is room; do not
        read, write or close it.
        """
        return self._descriptor()

    # the sequencer

    def get_sequencer_name(self) -> str:
        """The name that the sequencer was opened by."""
        self._ask("sequencer_name")
        return self._sequencer_name

    def get_engine_name(self) -> str:
        """Which engine the client runs on: ``"kernel"`` or ``"embedded"``."""
        name: str = self._ask("sequencer_name")
        return name

    def get_sequencer_type(self) -> SequencerType:
        """How the sequencer is reached."""
        return SequencerType(self._ask("sequencer_type"))

    def get_system_info(self) -> SystemInfo:
        """Limits and use of the sequencer."""
        return SystemInfo(*self._ask("system_info"))

    # clients

    def get_client_info(self, client_id: int | None = None) -> ClientInfo:
        """What the sequencer knows about a client; without a number, about this one."""
        return ClientInfo._of(self._ask("client_info", client_id))

    def set_client_info(self, info: ClientInfo) -> None:
        """Change this client's name and filters; without types there is no event filter."""
        self._ask(
            "set_client_info",
            self.client_id,
            info.name,
            bool(info.broadcast_filter),
            bool(info.error_bounce),
            info.event_lost,
            list(info.event_filter) if info.event_filter else None,
        )

    def set_client_event_filter(self, event_type: EventType) -> None:
        """Let events of this type in, and no others than those named so."""
        self._ask("event_filter", EventType(event_type))

    def query_next_client(self, previous: ClientInfo | int | None = None) -> ClientInfo | None:
        """The client after ``previous`` by number, or the first; ``None`` after the last."""
        number = previous.client_id if isinstance(previous, ClientInfo) else previous
        answer = self._ask("next_client", number)
        return None if answer is None else ClientInfo._of(answer)

    def get_client_pool(self) -> ClientPool:
        """This client's memory in the sequencer."""
        return ClientPool(*self._ask("pool"))

    def set_client_pool(self, pool: ClientPool) -> None:
        """Change the sizes of this client's pools and its room."""
        self._ask("set_pool", pool.output_pool, pool.input_pool, pool.output_room)

    def set_client_pool_output(self, size: int) -> None:
        """Set the size of the output pool in cells, 1 to 2000."""
        self._ask("set_pool", size, None, None)

    def set_client_pool_input(self, size: int) -> None:
        """Set the size of the input pool in cells, 1 to 2000."""
        self._ask("set_pool", None, size, None)

    def set_client_pool_output_room(self, size: int) -> None:
        """Set from how many free cells on the client counts as writable."""
        self._ask("set_pool", None, None, size)

    def get_output_buffer_size(self) -> int:
        """Size of the output buffer in bytes."""
        size: int = self._ask("output_buffer_size")
        return size

    def set_output_buffer_size(self, size: int) -> None:
        """Set the size of the output buffer in bytes, 28 or more."""
        self._ask("set_output_buffer_size", size)

    def get_input_buffer_size(self) -> int:
        """Size of the input buffer in bytes."""
        size: int = self._ask("input_buffer_size")
        return size

    def set_input_buffer_size(self, size: int) -> None:
        """Set the size of the input buffer in bytes, 28 or more."""
        self._ask("set_input_buffer_size", size)

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

        Others read from a port with ``READ_PORT`` (it sends) and write to one with ``WRITE_PORT``
        (it receives). ``timestamping`` stamps arriving events with the time of
        ``timestamp_queue``: in ticks, or with ``timestamp_real`` in real time. The stamps are 0
        until the queue's start has been drained.
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
            _text(name, "name"),
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

    def get_port_info(self, port: int | AddressType) -> PortInfo:
        """What the sequencer knows about a port: one of this client's by number, or any."""
        info: PortInfo = self._ask("port_info", port)
        return info

    def set_port_info(self, port: int | Port, info: PortInfo) -> None:
        """Change name, capabilities, type and time stamping of a port of this client."""
        number = port if isinstance(port, int) else port.port_id
        self._ask("set_port_info", number, info)

    def query_next_port(
        self, client_id: int, previous: PortInfo | int | None = None
    ) -> PortInfo | None:
        """The client's port after ``previous`` by number, or the first; ``None`` after the last."""
        number = previous
        if isinstance(previous, PortInfo):
            if previous.client_id != client_id:
                raise ValueError(f"client_id is {client_id}, of the previous {previous.client_id}")
            number = previous.port_id
        info: PortInfo | None = self._ask("next_port", client_id, number)
        return info

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
        """The ports to read from (``input``) or to write to (``output``), the likely one first.

        ``type`` names bits of type that they must all have. ``sort`` may be off (by number), or a
        function that makes a key of a ``PortInfo``.
        """
        by_key = callable(sort)
        ports: list[PortInfo] = self._list_ports(
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

        With ``time_update`` events are stamped on their way with the time of ``queue``: in ticks,
        or with ``time_real`` in real time.
        """
        number = _queue_number(queue)
        self._ask("subscribe", sender, dest, number, exclusive, time_update, time_real)

    def unsubscribe_port(self, sender: AddressType, dest: AddressType) -> None:
        """Disconnect two ports, of this client or of others."""
        self._ask("unsubscribe", sender, dest)

    def query_port_subscribers(self, query: SubscriptionQuery) -> SubscriptionQuery:
        """One connection of a port, by ``root``, ``type`` and ``index``."""
        return SubscriptionQuery._of(self._ask("subscriber", query.root, query.type, query.index))

    def list_port_subscribers(
        self, port: AddressType, type: SubscriptionQueryType | None = None
    ) -> list[SubscriptionQuery]:
        """A port's connections: those of one direction, or of both."""
        try:
            found = self._ask("subscribers", port, type)
        except ALSAError as error:
            if error.errnum in (-errno.ENXIO, -errno.ENOENT):
                return []
            raise
        return [SubscriptionQuery._of(answer) for answer in found]

    # queues

    def create_queue(self, name: str | None = None, info: QueueInfo | None = None) -> Queue:
        """Create a queue; without a name the sequencer makes one up."""
        if name is not None and info is not None:
            raise ValueError("only one of 'name' and 'info' may be given")
        queue = Queue.__new__(Queue)
        if info is not None:
            arguments = (info.name, bool(info.locked), info.flags)
        else:
            arguments = ("" if name is None else _text(name, "name"), True, 0)
        queue.queue_id, queue._own = queue._create(self, *arguments)
        queue.client = self
        self._queues[queue.queue_id] = queue
        return queue

    def get_queue(self, queue_id: int) -> Queue:
        """The queue with this number; the same object again while there is one."""
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
        number: int = self._ask("queue_named", _text(name, "name"))
        return number

    def get_queue_info(self, queue_id: int) -> QueueInfo:
        """Name, owner and locking of a queue."""
        return QueueInfo(*self._ask("queue_info", queue_id))

    def set_queue_info(self, queue_id: int, info: QueueInfo) -> None:
        """Change owner and locking of a queue (and on some kernels its name)."""
        owner = info.owner or self.client_id
        self._ask("set_queue_info", queue_id, info.name, owner, info.locked, info.flags)

    def get_queue_status(self, queue_id: int) -> QueueStatus:
        """Time, state and number of waiting events of a queue."""
        queue, events, tick, real_time, status = self._ask("queue_status", queue_id)
        return QueueStatus(queue, events, tick, RealTime(*real_time), status)

    # removing

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

        ``condition`` says where: ``RemoveCondition.OUTPUT``, ``INPUT`` (which clears all of it) or
        both; every other argument that is given narrows it. A ``RemoveEvents`` says it all.
        """
        if isinstance(condition, RemoveEvents):
            if any((queue, time, dest, channel, event_type, tag)):
                raise TypeError("a RemoveEvents says it all; give no other argument with it")
            remove = condition
            self._ask(
                "remove_events",
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
        for given, bit in (
            (dest is not None, RemoveCondition.DEST),
            (channel is not None, RemoveCondition.DEST_CHANNEL),
            (event_type is not None, RemoveCondition.EVENT_TYPE),
            (tag is not None, RemoveCondition.TAG_MATCH),
            (bool(ignore_off), RemoveCondition.IGNORE_OFF),
        ):
            if given:
                bits |= bit
        self._ask(
            "remove_events",
            bits,
            _queue_number(queue) or 0,
            0 if time is None else time,
            (0, 0) if dest is None else dest,
            channel or 0,
            EventType.NONE if event_type is None else event_type,
            tag or 0,
        )


class SequencerClient(SequencerClientBase):
    """A client of the sequencer whose input and output wait by blocking the calling thread.

    While one thread waits, others run.
    """

    def __init__(self, client_name: str, **kwargs: Any) -> None:
        super().__init__(client_name, **kwargs)


from alsa_midi._async import AsyncSequencerClient  # noqa: E402  (it derives from the base above)
