"""Exceptions of contexts and servers."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:
    from asyncio import TimeoutError as _AsyncTimeout
    from concurrent.futures import TimeoutError as _FutureTimeout

    class _Timeout(_FutureTimeout, _AsyncTimeout, TimeoutError):
        """What both kinds of futures raise."""


__all__ = [
    "AllocationError",
    "CannotConnect",
    "ContextError",
    "InvalidCalculationRate",
    "InvalidMoment",
    "MomentClosed",
    "OwnedServerShutdown",
    "RequestFailed",
    "RequestTimeout",
    "ServerCannotBoot",
    "ServerOffline",
    "ServerOnline",
    "TooManyClients",
    "UnownedServerShutdown",
]


class AllocationError(Exception):
    """No identifier is left: of a node, a bus or a buffer."""


class ContextError(Exception):
    """A request that its context cannot carry out."""


class InvalidCalculationRate(ContextError):
    """A bus, or another object, does not exist at the calculation rate."""


class InvalidMoment(ContextError):
    """A request of a score outside of a moment, or a moment in the past."""


class MomentClosed(ContextError):
    """A request in a moment that has been sent."""


class OwnedServerShutdown(Exception):
    """A server that this program owns can only be quit, not disconnected from."""


class RequestTimeout(_Timeout):
    """The server did not answer in time."""


class RequestFailed(RequestTimeout, ContextError):
    """The server rejected a request; the message has its reason. It is a `TimeoutError`, because
    Supriya waits in vain for the answer."""


class ServerCannotBoot(Exception):
    """The server's process did not become ready; the message is what it printed."""


class ServerOffline(Exception):
    """The operation needs a server that runs."""


class ServerOnline(Exception):
    """The operation needs a server that does not run."""


class TooManyClients(Exception):
    """All logins of the server are in use."""


class UnownedServerShutdown(Exception):
    """A server that another program owns is only quit with `force`."""


class CannotConnect(ServerOffline):
    """No server answers at the address."""
