"""Addresses of ports: a client's number and a port's number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Union

from alsa_midi import _core

if TYPE_CHECKING:
    from alsa_midi.client import SequencerClientBase
    from alsa_midi.port import Port, PortInfo

__all__ = ["Address", "AddressType", "ALL_SUBSCRIBERS", "SYSTEM_TIMER", "SYSTEM_ANNOUNCE"]


class _Pair(NamedTuple):
    client_id: int
    port_id: int


class Address(_Pair):
    """The address of a port, a tuple of two numbers.

    Made of two numbers, of one (port 0), of a tuple of two, of a ``Port``, a ``PortInfo`` or a
    client (with the port's number as second argument), or of a text such as ``"128:0"``.
    """

    __slots__ = ()

    def __new__(
        cls,
        arg1: int | str | Address | Port | PortInfo | tuple[int, int] | SequencerClientBase,
        arg2: int = 0,
    ) -> Address:
        return _Pair.__new__(cls, *_core.address_pair(arg1, arg2))

    def __str__(self) -> str:
        return f"{self.client_id}:{self.port_id}"

    def __repr__(self) -> str:
        return f"Address(client_id={self.client_id}, port_id={self.port_id})"


AddressType = Union["Address", "Port", "PortInfo", tuple[int, int]]

#: All ports that are subscribed to the sending port.
ALL_SUBSCRIBERS = Address(254, 0)
#: Where queue control events go.
SYSTEM_TIMER = Address(0, 0)
#: Where notices about clients and ports come from.
SYSTEM_ANNOUNCE = Address(0, 1)
