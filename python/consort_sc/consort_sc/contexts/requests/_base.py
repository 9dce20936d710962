"""What all requests have in common."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, SupportsInt

from ...exceptions import RequestFailed
from ...osc import OscBundle, OscMessage
from ..responses import Response

if TYPE_CHECKING:
    from ..core import Context

#: What a reply begins with: its address and leading values.
Pattern = Sequence[float | str]


def _warn(error: RequestFailed) -> None:
    """Warns of a request that the server rejected, as of those that nothing waits for."""
    import warnings

    from .._lifecycle import FailWarning

    text = str(error).removeprefix("the server rejected ").replace(": ", " ", 1)
    warnings.warn(text, FailWarning, stacklevel=4)


class Requestable(ABC):
    """What a context can send and a server can answer."""

    @abstractmethod
    def to_osc(self) -> OscBundle | OscMessage:
        """The message or bundle."""
        raise NotImplementedError

    @abstractmethod
    def _get_response_patterns_and_requestable(
        self, context: Context
    ) -> tuple[Pattern | None, Pattern | None, Requestable]:
        """What the reply and a failure begin with, and what is sent."""
        raise NotImplementedError

    def communicate(self, server: Any, timeout: float = 1.0) -> Response | None:
        """Sends the request and blocks until the server answers, for at most `timeout` seconds.

        Returns the reply; `None` if the server does not answer such a request. Raises
        `TimeoutError`, and its subclass `RequestFailed` if the server rejects the request.
        """
        pattern, failure, sent = self._get_response_patterns_and_requestable(server)
        if not pattern:
            server.send(self)
            return None
        try:
            message = server._ask(sent.to_osc(), pattern, failure, timeout).wait()
        except RequestFailed as error:
            _warn(error)
            raise
        server._after_reply()
        return Response.from_osc(message)

    async def communicate_async(self, server: Any, timeout: float = 1.0) -> Response | None:
        """As `communicate`, without blocking."""
        pattern, failure, sent = self._get_response_patterns_and_requestable(server)
        if not pattern:
            server.send(self)
            return None
        try:
            message = await server._finish(server._ask(sent.to_osc(), pattern, failure, timeout))
        except RequestFailed as error:
            _warn(error)
            raise
        await server._drain_events()
        return Response.from_osc(message)


@dataclasses.dataclass
class Request(Requestable):
    """A request: one message."""

    #: The address of the message.
    _address: ClassVar[str | int] = ""
    #: What requests that directly follow one another are merged by: `all`, or `buffer`.
    _merged_by: ClassVar[str | None] = None

    def _arguments(self) -> list[Any]:
        """The values of the message, without the completion."""
        return []

    def _reply(self) -> Pattern | None:
        """What the reply begins with."""
        return None

    def to_osc(self) -> OscMessage:
        """The message."""
        arguments = self._arguments()
        completion = getattr(self, "on_completion", None)
        if completion:
            arguments.append(completion.to_osc())
        return OscMessage(self._address, *arguments)

    @classmethod
    def merge(cls, requests: list[Request]) -> list[Request]:
        """Requests of this class with the same effect, as few as possible."""
        if cls._merged_by is None or len(requests) < 2:
            return requests
        groups: dict[int, list[Any]] = {}
        for request in requests:
            if isinstance(request, cls):
                values = vars(request)
                key = int(values["buffer_id"]) if cls._merged_by == "buffer" else 0
                groups.setdefault(key, []).extend(values["items"])
        if cls._merged_by == "buffer":
            build: Any = cls
            return [build(buffer_id=key, items=groups[key]) for key in sorted(groups)]
        return [_with_items(cls, items) for items in groups.values()]

    def _get_response_patterns_and_requestable(
        self, context: Context
    ) -> tuple[Pattern | None, Pattern | None, Requestable]:
        return self._reply(), None, self


def _with_items(cls: Any, items: list[Any]) -> Request:
    """A request with these items and nothing else."""
    request: Request = cls(items=items)
    return request


@dataclasses.dataclass
class RequestBundle(Requestable):
    """Requests that take effect together: at a time in seconds since 1970, or when they arrive."""

    contents: Sequence[Requestable]
    timestamp: float | None = None

    def to_osc(self) -> OscBundle:
        """The bundle."""
        return OscBundle(
            timestamp=self.timestamp, contents=[request.to_osc() for request in self.contents]
        )

    def _get_response_patterns_and_requestable(
        self, context: Context
    ) -> tuple[Pattern | None, Pattern | None, Requestable]:
        from .server import Sync

        # The end of a bundle is known by a request that is answered after all others.
        sync_id = context._get_next_sync_id()
        return (
            ["/synced", sync_id],
            None,
            dataclasses.replace(self, contents=[*self.contents, Sync(sync_id=sync_id)]),
        )


def numbers(values: Sequence[SupportsInt]) -> list[int]:
    """The values as integers."""
    return [int(value) for value in values]


def control(name_or_index: int | str) -> int | str:
    """A control: its name or its index."""
    return name_or_index if isinstance(name_or_index, str) else int(name_or_index)
