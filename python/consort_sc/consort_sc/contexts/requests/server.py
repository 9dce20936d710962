"""Requests about the server and its control buses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, SupportsInt

from ._base import Pattern, Request, Requestable, numbers

if TYPE_CHECKING:
    from ..core import Context


@dataclass
class ClearSchedule(Request):
    """Discards all bundles that wait for their time. `/clearSched`"""

    _address: ClassVar[str | int] = "/clearSched"


@dataclass
class DoNothing(Request):
    """Does nothing. In a score, it extends the score to its time."""

    _address: ClassVar[str | int] = 0


@dataclass
class DumpOsc(Request):
    """Lets the server print what it receives: 0 nothing, 1 parsed, 2 in hexadecimal, 3 both.
    `/dumpOSC`"""

    _address: ClassVar[str | int] = "/dumpOSC"

    code: int

    def _arguments(self) -> list[Any]:
        return [int(self.code)]


@dataclass
class DumpTree(Request):
    """Lets the server print the trees below groups. `/g_dumpTree`"""

    _address: ClassVar[str | int] = "/g_dumpTree"

    items: Sequence[tuple[SupportsInt, bool]]

    def _arguments(self) -> list[Any]:
        return [int(value) for item in self.items for value in item]


@dataclass
class FillControlBusRange(Request):
    """Sets ranges of control buses to one value each. `/c_fill`"""

    _address: ClassVar[str | int] = "/c_fill"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, int, float]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        for bus, count, value in self.items:
            arguments += (int(bus), int(count), float(value))
        return arguments


@dataclass
class GetControlBus(Request):
    """Asks for the values of control buses. `/c_get`"""

    _address: ClassVar[str | int] = "/c_get"

    bus_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.bus_ids)

    def _reply(self) -> Pattern | None:
        return ["/c_set", int(self.bus_ids[0])]


@dataclass
class GetControlBusRange(Request):
    """Asks for the values of ranges of control buses. `/c_getn`"""

    _address: ClassVar[str | int] = "/c_getn"

    items: Sequence[tuple[SupportsInt, int]]

    def _arguments(self) -> list[Any]:
        return [int(value) for item in self.items for value in item]

    def _reply(self) -> Pattern | None:
        return ["/c_setn", int(self.items[0][0])]


@dataclass
class QueryStatus(Request):
    """Asks for the server's load and counts. `/status`"""

    _address: ClassVar[str | int] = "/status"

    def _reply(self) -> Pattern | None:
        return ["/status.reply"]


@dataclass
class QueryTree(Request):
    """Asks for the trees below groups. `/g_queryTree`"""

    _address: ClassVar[str | int] = "/g_queryTree"

    items: Sequence[tuple[SupportsInt, bool]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        for group, include_controls in self.items:
            arguments += (int(group), int(bool(include_controls)))
        return arguments

    def _reply(self) -> Pattern | None:
        group, include_controls = self.items[-1]
        return ["/g_queryTree.reply", int(bool(include_controls)), int(group)]


@dataclass
class QueryVersion(Request):
    """Asks for the server's version. `/version`"""

    _address: ClassVar[str | int] = "/version"

    def _reply(self) -> Pattern | None:
        return ["/version.reply"]


@dataclass
class Quit(Request):
    """Quits the server. `/quit`"""

    _address: ClassVar[str | int] = "/quit"

    def _reply(self) -> Pattern | None:
        return ["/done", "/quit"]


@dataclass
class SetControlBus(Request):
    """Sets control buses. `/c_set`"""

    _address: ClassVar[str | int] = "/c_set"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, float]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        for bus, value in self.items:
            arguments += (int(bus), float(value))
        return arguments


@dataclass
class SetControlBusRange(Request):
    """Sets ranges of control buses. `/c_setn`"""

    _address: ClassVar[str | int] = "/c_setn"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, Sequence[float]]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        for bus, values in self.items:
            arguments += (int(bus), len(values), *map(float, values))
        return arguments


@dataclass
class Sync(Request):
    """Is answered when all earlier requests are done. `/sync`"""

    _address: ClassVar[str | int] = "/sync"

    sync_id: int

    def _arguments(self) -> list[Any]:
        return [int(self.sync_id)]

    def _reply(self) -> Pattern | None:
        return ["/synced", self.sync_id]


@dataclass
class ToggleErrorReporting(Request):
    """Lets the server print errors (1) or not (0), in this bundle only (-1, -2). `/error`"""

    _address: ClassVar[str | int] = "/error"

    code: Literal[0, 1, -1, -2]

    def _arguments(self) -> list[Any]:
        return [int(self.code)]


@dataclass
class ToggleNotifications(Request):
    """Logs a client in or out. `/notify`"""

    _address: ClassVar[str | int] = "/notify"

    should_notify: bool
    client_id: int | None = None

    def _arguments(self) -> list[Any]:
        client = [] if self.client_id is None else [int(self.client_id)]
        return [int(bool(self.should_notify)), *client]

    def _reply(self) -> Pattern | None:
        return ["/done", "/notify"]

    def _get_response_patterns_and_requestable(
        self, context: Context
    ) -> tuple[Pattern | None, Pattern | None, Requestable]:
        return self._reply(), ["/fail", "/notify"], self
