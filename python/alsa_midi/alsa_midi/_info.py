"""Enumerations and dataclasses that describe clients, connections and the sequencer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, TypeAlias

from alsa_midi.address import Address, AddressType
from alsa_midi.event import EventType, RealTime

__all__ = [
    "ClientInfo",
    "ClientPool",
    "ClientType",
    "OpenMode",
    "RemoveCondition",
    "RemoveEvents",
    "SequencerType",
    "StreamOpenType",
    "SubscriptionQuery",
    "SubscriptionQueryType",
    "SystemInfo",
]

#: A client as the compiled part returns it: number, name, broadcast filter, error bounce, type,
#: card, process, number of ports, lost events and event filter.
ClientTuple: TypeAlias = tuple[
    int, str, bool, bool, int, int | None, int | None, int, int, list[int] | None
]

#: A connection as the compiled part returns it: root, type, index, number of connections, address
#: of the other port, queue, exclusive, time update and real time.
ConnectionTuple: TypeAlias = tuple[
    tuple[int, int], int, int, int, tuple[int, int], int, bool, bool, bool
]


class StreamOpenType(IntFlag):
    """The directions for which a client is opened."""

    OUTPUT = 1
    INPUT = 2
    DUPLEX = 3


class OpenMode(IntFlag):
    """The mode in which a client is opened."""

    NONBLOCK = 1


class ClientType(IntEnum):
    """The type of a client."""

    _UNSET = 0
    USER = 1
    KERNEL = 2


class SequencerType(IntEnum):
    """The type of the connection to the sequencer."""

    _UNSET = 0
    HW = 0
    SHM = 1
    INET = 2


class SubscriptionQueryType(IntEnum):
    """A direction of connections: those that read from a port, or those that write to it."""

    READ = 0
    WRITE = 1


class RemoveCondition(IntFlag):
    """The conditions for removing events.

    An event in the output is removed if it meets all conditions.
    """

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
    """A client, as the sequencer describes it."""

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
    def _from_core(cls, fields: ClientTuple) -> ClientInfo:
        client_id, name, broadcast, bounce, number, card, pid, ports, lost, types = fields
        event_filter = None if types is None else {EventType(number) for number in types}
        client_type: Any = ClientType(number) if number in (0, 1, 2) else number
        return cls(
            client_id, name, broadcast, bounce, client_type, card, pid, ports, lost, event_filter
        )


@dataclass
class SystemInfo:
    """Limits of the sequencer, and how many clients and queues exist."""

    queues: int
    clients: int
    ports: int
    channels: int
    cur_clients: int
    cur_queues: int


@dataclass
class ClientPool:
    """The memory of a client in the sequencer, in cells of 28 bytes."""

    client_id: int = 0
    output_pool: int = 0
    input_pool: int = 0
    output_room: int = 0
    output_free: int = 0
    input_free: int = 0


@dataclass
class SubscriptionQuery:
    """A connection of a port. As a query, it selects one by ``root``, ``type`` and ``index``."""

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
    def _from_core(cls, fields: ConnectionTuple) -> SubscriptionQuery:
        root, number, index, count, addr, queue, exclusive, time_update, time_real = fields
        return cls(
            Address(root),
            SubscriptionQueryType(number),
            index,
            count,
            Address(addr),
            queue,
            exclusive,
            time_update,
            time_real,
        )


@dataclass
class RemoveEvents:
    """All conditions of :meth:`SequencerClientBase.remove_events` in one object."""

    condition: RemoveCondition = RemoveCondition(0)
    queue_id: int = 0
    time: RealTime | int = field(default_factory=RealTime)
    dest: AddressType = Address(0, 0)
    channel: int = 0
    event_type: EventType = EventType.NONE
    tag: int = 0
