"""Contexts: servers and scores, and what they create."""

from .core import Completion, Context, Moment
from .entities import (
    Buffer,
    BufferGroup,
    Bus,
    BusGroup,
    ContextObject,
    Group,
    Node,
    RootNode,
    ScopeBuffer,
    Synth,
)
from .nonrealtime import Score
from .realtime import AsyncServer, BaseServer, FailWarning, Server, ServerLifecycleCallback

__all__ = [
    "AsyncServer",
    "BaseServer",
    "Buffer",
    "BufferGroup",
    "Bus",
    "BusGroup",
    "Completion",
    "Context",
    "ContextObject",
    "FailWarning",
    "Group",
    "Moment",
    "Node",
    "RootNode",
    "Score",
    "ScopeBuffer",
    "Server",
    "ServerLifecycleCallback",
    "Synth",
]
