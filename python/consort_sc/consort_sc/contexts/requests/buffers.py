"""Requests about buffers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Literal, SupportsInt

from ...enums import HeaderFormat, SampleFormat
from ...typing import HeaderFormatLike, SampleFormatLike, SupportsOsc
from ._base import Pattern, Request, Requestable, numbers


@dataclass
class _Buffer(Request):
    """A request about one buffer that the server confirms with `/done`."""

    def _reply(self) -> Pattern | None:
        fields = vars(self)
        buffer_id = fields.get("buffer_id", fields.get("target_buffer_id"))
        return ["/done", str(self._address), int(buffer_id)] if buffer_id is not None else None


@dataclass
class AllocateBuffer(_Buffer):
    """Allocates a buffer. `/b_alloc`"""

    _address: ClassVar[str | int] = "/b_alloc"

    buffer_id: SupportsInt
    frame_count: int
    channel_count: int = 1
    on_completion: SupportsOsc | None = None

    def _arguments(self) -> list[Any]:
        return numbers([self.buffer_id, self.frame_count, self.channel_count])


@dataclass
class AllocateReadBuffer(_Buffer):
    """Allocates a buffer and reads a sound file. `/b_allocRead`"""

    _address: ClassVar[str | int] = "/b_allocRead"

    buffer_id: SupportsInt
    path: PathLike[str]
    starting_frame: int = 0
    frame_count: int = 0
    on_completion: SupportsOsc | None = None

    def _arguments(self) -> list[Any]:
        frames = numbers([self.starting_frame, self.frame_count])
        return [int(self.buffer_id), str(self.path), *frames]


@dataclass
class AllocateReadBufferChannel(_Buffer):
    """Allocates a buffer and reads channels of a sound file. `/b_allocReadChannel`"""

    _address: ClassVar[str | int] = "/b_allocReadChannel"

    buffer_id: SupportsInt
    path: PathLike[str]
    channel_indices: Sequence[int]
    starting_frame: int = 0
    frame_count: int = 0
    on_completion: SupportsOsc | None = None

    def _arguments(self) -> list[Any]:
        frames = numbers([self.starting_frame, self.frame_count, *self.channel_indices])
        return [int(self.buffer_id), str(self.path), *frames]


@dataclass
class CloseBuffer(_Buffer):
    """Closes the sound file of a buffer. `/b_close`"""

    _address: ClassVar[str | int] = "/b_close"

    buffer_id: SupportsInt
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [int(self.buffer_id)]


@dataclass
class CopyBuffer(_Buffer):
    """Copies frames of one buffer into another. `/b_gen … copy`"""

    _address: ClassVar[str | int] = "/b_gen"

    source_buffer_id: SupportsInt
    target_buffer_id: SupportsInt
    frame_count: int = -1
    source_starting_frame: int = 0
    target_starting_frame: int = 0

    def _arguments(self) -> list[Any]:
        return [
            int(self.target_buffer_id),
            "copy",
            int(self.target_starting_frame),
            int(self.source_buffer_id),
            int(self.source_starting_frame),
            int(self.frame_count),
        ]


@dataclass
class FillBuffer(Request):
    """Sets ranges of samples to one value each. `/b_fill`"""

    _address: ClassVar[str | int] = "/b_fill"
    _merged_by: ClassVar[str | None] = "buffer"

    buffer_id: SupportsInt
    items: Sequence[tuple[int, int, float]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.buffer_id)]
        for start, count, value in self.items:
            arguments += (int(start), int(count), float(value))
        return arguments


@dataclass
class FreeBuffer(Request):
    """Frees a buffer. `/b_free`"""

    _address: ClassVar[str | int] = "/b_free"

    buffer_id: SupportsInt
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [int(self.buffer_id)]


@dataclass
class GenerateBuffer(_Buffer):
    """Fills a buffer with a sum of sines, or a Chebyshev polynomial. `/b_gen`"""

    _address: ClassVar[str | int] = "/b_gen"

    buffer_id: SupportsInt
    command_name: Literal["sine1", "sine2", "sine3", "cheby"]
    amplitudes: Sequence[float]
    frequencies: Sequence[float] | None
    phases: Sequence[float] | None
    as_wavetable: bool = False
    should_clear_first: bool = False
    should_normalize: bool = False

    def _arguments(self) -> list[Any]:
        flags = bool(self.should_normalize) + 2 * bool(self.as_wavetable)
        flags += 4 * bool(self.should_clear_first)
        columns = [self.frequencies or None, self.amplitudes, self.phases or None]
        rows = zip(*(column for column in columns if column is not None))
        values = [float(value) for row in rows for value in row]
        return [int(self.buffer_id), self.command_name, flags, *values]


@dataclass
class GetBuffer(Request):
    """Asks for samples. `/b_get`"""

    _address: ClassVar[str | int] = "/b_get"

    buffer_id: SupportsInt
    indices: Sequence[int]

    def _arguments(self) -> list[Any]:
        return numbers([self.buffer_id, *self.indices])

    def _reply(self) -> Pattern | None:
        return ["/b_set", int(self.buffer_id), *numbers(self.indices[:1])]


@dataclass
class GetBufferRange(Request):
    """Asks for ranges of samples. `/b_getn`"""

    _address: ClassVar[str | int] = "/b_getn"

    buffer_id: SupportsInt
    items: Sequence[tuple[int, int]]

    def _arguments(self) -> list[Any]:
        return [int(self.buffer_id), *(int(value) for item in self.items for value in item)]

    def _reply(self) -> Pattern | None:
        return ["/b_setn", int(self.buffer_id), *(int(start) for start, _ in self.items[:1])]


@dataclass
class NormalizeBuffer(_Buffer):
    """Scales a buffer to a maximum. `/b_gen … normalize`"""

    _address: ClassVar[str | int] = "/b_gen"

    buffer_id: SupportsInt
    new_maximum: float = 1.0
    as_wavetable: bool = False

    def _arguments(self) -> list[Any]:
        command = "wnormalize" if self.as_wavetable else "normalize"
        return [int(self.buffer_id), command, float(self.new_maximum)]


@dataclass
class QueryBuffer(Request):
    """Asks for the sizes of buffers. `/b_query`"""

    _address: ClassVar[str | int] = "/b_query"

    buffer_ids: Sequence[int]

    def _arguments(self) -> list[Any]:
        return numbers(self.buffer_ids)

    def _reply(self) -> Pattern | None:
        return ["/b_info", *numbers(self.buffer_ids[:1])]


def _reading(request: ReadBuffer | ReadBufferChannel) -> list[Any]:
    """What is read, and to where: the buffer, the file, and the frames of both."""
    return [
        int(request.buffer_id),
        str(request.path),
        int(request.starting_frame_in_file),
        int(request.frame_count),
        int(request.starting_frame_in_buffer),
        int(bool(request.leave_open)),
    ]


@dataclass
class ReadBuffer(_Buffer):
    """Reads a sound file into a buffer. `/b_read`"""

    _address: ClassVar[str | int] = "/b_read"

    buffer_id: SupportsInt
    path: PathLike[str]
    frame_count: int = -1
    leave_open: bool = False
    starting_frame_in_buffer: int = 0
    starting_frame_in_file: int = 0
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return _reading(self)


@dataclass
class ReadBufferChannel(_Buffer):
    """Reads channels of a sound file into a buffer. `/b_readChannel`"""

    _address: ClassVar[str | int] = "/b_readChannel"

    buffer_id: SupportsInt
    path: PathLike[str]
    channel_indices: Sequence[int] | None = None
    frame_count: int = -1
    leave_open: bool = False
    starting_frame_in_buffer: int = 0
    starting_frame_in_file: int = 0
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [*_reading(self), *numbers(self.channel_indices or ())]


@dataclass
class SetBuffer(Request):
    """Sets samples. `/b_set`"""

    _address: ClassVar[str | int] = "/b_set"
    _merged_by: ClassVar[str | None] = "buffer"

    buffer_id: SupportsInt
    items: Sequence[tuple[int, float]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.buffer_id)]
        for index, value in self.items:
            arguments += (int(index), float(value))
        return arguments


@dataclass
class SetBufferRange(Request):
    """Sets ranges of samples. `/b_setn`"""

    _address: ClassVar[str | int] = "/b_setn"
    _merged_by: ClassVar[str | None] = "buffer"

    buffer_id: SupportsInt
    items: Sequence[tuple[int, Sequence[float]]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.buffer_id)]
        for start, values in self.items:
            arguments += (int(start), len(values), *map(float, values))
        return arguments


@dataclass
class WriteBuffer(_Buffer):
    """Writes a buffer into a sound file. `/b_write`"""

    _address: ClassVar[str | int] = "/b_write"

    buffer_id: SupportsInt
    path: PathLike[str]
    header_format: HeaderFormatLike
    sample_format: SampleFormatLike
    frame_count: int = -1
    starting_frame: int = 0
    leave_open: bool = False
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [
            int(self.buffer_id),
            str(self.path),
            HeaderFormat.from_expr(self.header_format).name.lower(),
            SampleFormat.from_expr(self.sample_format).name.lower(),
            int(self.frame_count),
            int(self.starting_frame),
            int(bool(self.leave_open)),
        ]


@dataclass
class ZeroBuffer(_Buffer):
    """Sets a buffer to zero. `/b_zero`"""

    _address: ClassVar[str | int] = "/b_zero"

    buffer_id: SupportsInt
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [int(self.buffer_id)]
