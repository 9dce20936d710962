"""Ports of clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from alsa_midi import _core
from alsa_midi.address import AddressType
from alsa_midi.exceptions import StateError

if TYPE_CHECKING:
    from alsa_midi._base import SequencerClientBase
    from alsa_midi._info import SubscriptionQuery, SubscriptionQueryType

__all__ = [
    "PortCaps",
    "PortType",
    "Port",
    "READ_PORT",
    "WRITE_PORT",
    "RW_PORT",
    "DEFAULT_PORT_TYPE",
    "READ_PORT_PREFERRED_TYPES",
    "WRITE_PORT_PREFERRED_TYPES",
    "RW_PORT_PREFERRED_TYPES",
    "PortInfo",
]


class PortCaps(IntFlag):
    """The capabilities of a port."""

    _NONE = 0
    READ = 1
    WRITE = 2
    SYNC_READ = 4
    SYNC_WRITE = 8
    DUPLEX = 16
    SUBS_READ = 32
    SUBS_WRITE = 64
    NO_EXPORT = 128


class PortType(IntFlag):
    """The type of a port: its protocol and what it is connected to."""

    ANY = 0
    SPECIFIC = 1
    MIDI_GENERIC = 2
    MIDI_GM = 4
    MIDI_GS = 8
    MIDI_XG = 16
    MIDI_MT32 = 32
    MIDI_GM2 = 64
    SYNTH = 1024
    DIRECT_SAMPLE = 2048
    SAMPLE = 4096
    HARDWARE = 65536
    SOFTWARE = 131072
    SYNTHESIZER = 262144
    PORT = 524288
    APPLICATION = 1048576


#: Capabilities of a port that sends: other clients read from it.
READ_PORT = PortCaps.READ | PortCaps.SUBS_READ
#: Capabilities of a port that receives: other clients write to it.
WRITE_PORT = PortCaps.WRITE | PortCaps.SUBS_WRITE
#: Capabilities of a port that sends and receives.
RW_PORT = READ_PORT | WRITE_PORT

DEFAULT_PORT_TYPE = PortType.MIDI_GENERIC | PortType.SOFTWARE

#: Port types in the order in which ``get_port_info_sort_key`` prefers them.
READ_PORT_PREFERRED_TYPES = [PortType.MIDI_GENERIC]
WRITE_PORT_PREFERRED_TYPES = [
    PortType.MIDI_GENERIC | PortType.MIDI_GM | PortType.SYNTHESIZER,
    PortType.MIDI_GENERIC | PortType.SYNTHESIZER,
    PortType.MIDI_GENERIC | PortType.MIDI_GM,
    PortType.MIDI_GENERIC,
]
RW_PORT_PREFERRED_TYPES = [PortType.MIDI_GENERIC]


@dataclass(repr=False)
class PortInfo:
    """A port, as the sequencer describes it."""

    client_id: int = 0
    port_id: int | None = None
    name: str = ""
    capability: PortCaps = PortCaps._NONE
    type: PortType = PortType.ANY
    midi_channels: int = 0
    midi_voices: int = 0
    synth_voices: int = 0
    read_use: int = 0
    write_use: int = 0
    port_specified: InitVar[bool | None] = None
    timestamping: bool = False
    timestamp_real: bool = False
    timestamp_queue_id: int = 0
    #: Name of the client; only ``list_ports`` sets it.
    client_name: str | None = field(init=False, default=None)

    def __post_init__(self, port_specified: bool | None) -> None:
        if port_specified is not None and not port_specified:
            self.port_id = None

    def __repr__(self) -> str:
        client = "" if self.client_name is None else f" @ {self.client_name!r}"
        return f"<PortInfo {self.client_id}:{self.port_id} {self.name!r}{client}>"


def get_port_info_sort_key(
    preferred_types: list[PortType] | None = None,
) -> Callable[[PortInfo], Any]:
    """A sort key for ``list_ports``: preferred types first, Midi Through last."""
    preferred = list(preferred_types or ())

    def key(info: PortInfo) -> Any:
        rank = len(preferred)
        for index, port_type in enumerate(preferred):
            if info.type & port_type == port_type:
                rank = index
                break
        return (info.client_name == "Midi Through", rank, info.client_id, info.port_id)

    return key


class Port(_core.PortHandle):
    """A port of a client, as ``create_port`` returns it.

    ``close`` deletes the port, and so does the end of this object. ``Port(client, number)`` takes
    over an existing port.
    """

    client: SequencerClientBase | None
    client_id: int
    port_id: int

    def __init__(self, client: SequencerClientBase, port_id: int) -> None:
        self.client = client
        self.client_id, self.port_id = self._adopt(client, port_id)

    def _open_client(self) -> SequencerClientBase:
        """The client, unless the port or the client is closed."""
        client = self.client
        if client is None or client._closed:
            raise StateError(f"Already closed: port {self.client_id}:{self.port_id}")
        return client

    def close(self) -> None:
        """Delete the port. Closing twice does nothing."""
        self.client = None
        self._close()

    def connect_to(self, dest: AddressType) -> None:
        """Connect this port to another port, which then receives what this port sends."""
        self._open_client().subscribe_port(self, dest)

    def disconnect_to(self, dest: AddressType) -> None:
        """Disconnect this port from a port that it sends to."""
        self._open_client().unsubscribe_port(self, dest)

    def connect_from(self, src: AddressType) -> None:
        """Connect another port to this port, which then receives what the other port sends."""
        self._open_client().subscribe_port(src, self)

    def disconnect_from(self, src: AddressType) -> None:
        """Disconnect this port from a port that it receives from."""
        self._open_client().unsubscribe_port(src, self)

    def get_info(self) -> PortInfo:
        """The port's description."""
        return self._open_client().get_port_info(self)

    def set_info(self, info: PortInfo) -> None:
        """Change name, capabilities, type and time stamping of the port."""
        self._open_client().set_port_info(self, info)

    def list_subscribers(
        self, type: SubscriptionQueryType | None = None
    ) -> list[SubscriptionQuery]:
        """The port's connections in one direction, or in both."""
        return self._open_client().list_port_subscribers(self, type)
