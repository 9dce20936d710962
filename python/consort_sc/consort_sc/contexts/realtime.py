"""Servers: contexts in real time, blocking (`Server`) and asynchronous (`AsyncServer`)."""

from __future__ import annotations

from ._async import AsyncServer
from ._base import DEFAULT_HEALTHCHECK, BaseServer, FailWarning, ServerLifecycleCallback
from ._sync import Server

__all__ = [
    "DEFAULT_HEALTHCHECK",
    "AsyncServer",
    "BaseServer",
    "FailWarning",
    "Server",
    "ServerLifecycleCallback",
]

for _class in (AsyncServer, BaseServer, FailWarning, Server, ServerLifecycleCallback):
    _class.__module__ = __name__
