"""Clients of the sequencer."""

from __future__ import annotations

from typing import Any

from alsa_midi import _core
from alsa_midi._async import AsyncSequencerClient
from alsa_midi._base import SequencerClientBase
from alsa_midi._info import (
    ClientInfo,
    ClientPool,
    ClientType,
    OpenMode,
    RemoveCondition,
    RemoveEvents,
    SequencerType,
    StreamOpenType,
    SubscriptionQuery,
    SubscriptionQueryType,
    SystemInfo,
)

# python-alsa-midi's module `client` contains the following names, too.
from alsa_midi.address import Address as Address
from alsa_midi.address import AddressType as AddressType
from alsa_midi.event import MIDI_BYTES_EVENTS, Event, MidiBytesEvent
from alsa_midi.event import EventType as EventType
from alsa_midi.event import RealTime as RealTime
from alsa_midi.exceptions import StateError
from alsa_midi.port import DEFAULT_PORT_TYPE as DEFAULT_PORT_TYPE
from alsa_midi.port import (
    READ_PORT_PREFERRED_TYPES,
    RW_PORT_PREFERRED_TYPES,
    WRITE_PORT_PREFERRED_TYPES,
    PortCaps,
    get_port_info_sort_key,
)
from alsa_midi.port import RW_PORT as RW_PORT
from alsa_midi.port import Port as Port
from alsa_midi.port import PortInfo as PortInfo
from alsa_midi.port import PortType as PortType
from alsa_midi.queue import Queue as Queue
from alsa_midi.queue import QueueInfo as QueueInfo
from alsa_midi.queue import QueueStatus as QueueStatus

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


class SequencerClient(SequencerClientBase):
    """A client of the sequencer whose input and output block the calling thread.

    While one thread waits, others run.
    """

    def __init__(self, client_name: str, **kwargs: Any) -> None:
        super().__init__(client_name, **kwargs)

    event_input = _core.Client.event_input
