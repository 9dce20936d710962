"""Addresses of ports: the number of a client and the number of a port."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Union

from alsa_midi import _core

if TYPE_CHECKING:
    from alsa_midi._base import SequencerClientBase
    from alsa_midi.port import Port, PortInfo

__all__ = ["Address", "AddressType", "ALL_SUBSCRIBERS", "SYSTEM_TIMER", "SYSTEM_ANNOUNCE"]


class _Pair(NamedTuple):
    """The fields of an address, without its constructor."""

    client_id: int
    port_id: int


class Address(_Pair):
    """The address of a port, a tuple of two numbers.

    It is created from two numbers, one number (with port 0), a tuple of two numbers, a ``Port``, a
    ``PortInfo``, a client (with the port's number as the second argument), or a text such as
    ``"128:0"``.
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
#: The port that receives control events of queues.
SYSTEM_TIMER = Address(0, 0)
#: The port that announces changes of clients and ports.
SYSTEM_ANNOUNCE = Address(0, 1)
