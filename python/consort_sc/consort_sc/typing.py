"""Types of arguments: protocols and unions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, SupportsInt, TypeVar, Union, runtime_checkable

from .enums import (
    AddAction,
    CalculationRate,
    HeaderFormat,
    ParameterRate,
    SampleFormat,
    ServerLifecycleEvent,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from os import PathLike
    from pathlib import Path
    from uuid import UUID

    from .osc import OscBundle, OscMessage

__all__ = [
    "DEFAULT",
    "INHERIT",
    "MISSING",
    "AddActionLike",
    "CalculationRateLike",
    "Default",
    "E",
    "HeaderFormatLike",
    "Inherit",
    "Missing",
    "ParameterRateLike",
    "SampleFormatLike",
    "ServerLifecycleEventLike",
    "SupportsOsc",
    "SupportsPlot",
    "SupportsRender",
    "SupportsRenderMemo",
    "UUIDDict",
]

E = TypeVar("E")


class Default:
    """The type of a default that depends on other arguments."""


class Inherit:
    """The type of a value that an enclosing object provides."""


class Missing:
    """The type of a default that stands for no default."""


DEFAULT = Default()
INHERIT = Inherit()
MISSING = Missing()

#: Ids by name, of events of patterns.
UUIDDict = dict[str, "UUID"]

AddActionLike = Union[AddAction, SupportsInt, str, None]
CalculationRateLike = Union[CalculationRate, SupportsInt, str, None]
HeaderFormatLike = Union[HeaderFormat, SupportsInt, str, None]
ParameterRateLike = Union[ParameterRate, SupportsInt, str, None]
SampleFormatLike = Union[SampleFormat, SupportsInt, str, None]
ServerLifecycleEventLike = Union[ServerLifecycleEvent, SupportsInt, str, None]


@runtime_checkable
class SupportsOsc(Protocol):
    """What can be sent to a server."""

    def to_osc(self) -> OscBundle | OscMessage:
        """The message or bundle."""
        ...


@runtime_checkable
class SupportsPlot(Protocol):
    """What can be plotted."""

    def __plot__(self) -> tuple[Any, float]:
        """The samples, an array, and their rate in hertz."""
        ...


@runtime_checkable
class SupportsRender(Protocol):
    """What can be rendered into a sound file."""

    def __render__(
        self,
        output_file_path: PathLike[str] | None = None,
        render_directory_path: PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Coroutine[None, None, tuple[Path | None, int]]:
        """Renders; the result is the path of the file and the exit code."""
        ...


@runtime_checkable
class SupportsRenderMemo(Protocol):
    """What can be made into something that can be rendered."""

    def __render_memo__(self) -> SupportsRender:
        """The object that is rendered."""
        ...
