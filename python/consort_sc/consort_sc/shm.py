"""The memory that a server shares with the programs of its machine."""

from ._core import ServerSHM

__all__ = ["ServerSHM"]
