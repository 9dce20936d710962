"""Requests of contexts about buffers, buses and SynthDefs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from ..enums import CalculationRate
from ..exceptions import InvalidCalculationRate
from ..typing import CalculationRateLike, HeaderFormatLike, SampleFormatLike
from ..ugens import SynthDef
from .entities import Buffer, BufferGroup, Bus, BusGroup, ScopeBuffer
from .requests import (
    AllocateBuffer,
    AllocateReadBuffer,
    AllocateReadBufferChannel,
    CloseBuffer,
    CopyBuffer,
    FillBuffer,
    FillControlBusRange,
    FreeAllSynthDefs,
    FreeBuffer,
    FreeSynthDef,
    GenerateBuffer,
    LoadSynthDefDirectory,
    LoadSynthDefs,
    NormalizeBuffer,
    ReadBuffer,
    ReadBufferChannel,
    ReceiveSynthDefs,
    Request,
    SetBuffer,
    SetBufferRange,
    SetControlBus,
    SetControlBusRange,
    WriteBuffer,
    ZeroBuffer,
)

if TYPE_CHECKING:
    from .core import Completion, Context

OnCompletion = Callable[["Context"], Any] | None


class _Base:
    """What the requests need from their context."""

    _add_requests: Any
    _add_request_with_completion: Any
    _allocate_id: Any
    _free_id: Any
    _on_abandon: Any
    _validate_can_request: Any

    @property
    def shared_memory(self) -> Any:
        """The server's shared memory, if this program can read it."""
        return None


def _rate(calculation_rate: CalculationRateLike) -> CalculationRate:
    """The rate of a bus."""
    rate = CalculationRate.from_expr(calculation_rate)
    if rate not in (CalculationRate.AUDIO, CalculationRate.CONTROL):
        raise InvalidCalculationRate(f"buses have the audio or the control rate, not {rate!r}")
    return rate


def _control_bus(bus: Bus) -> int:
    """The id of a control bus."""
    if bus.calculation_rate != CalculationRate.CONTROL:
        raise InvalidCalculationRate(f"expected a control bus, found {bus.map_symbol()}")
    return int(bus)


class BufferRequests(_Base):
    """Requests of contexts about buffers, buses and SynthDefs."""

    # ---- buffers -----------------------------------------------------------------------------

    def add_buffer(
        self,
        *,
        channel_count: int | None = None,
        channel_indices: list[int] | None = None,
        file_path: PathLike[str] | None = None,
        frame_count: int | None = None,
        starting_frame: int | None = None,
        on_completion: OnCompletion = None,
    ) -> Buffer:
        """Adds a buffer: an empty one of some frames, or one with a sound file or with channels of
        it. `/b_alloc`, `/b_allocRead`, `/b_allocReadChannel`"""
        self._validate_can_request()
        if not (frame_count or file_path):
            raise ValueError("a buffer needs `frame_count` or `file_path`")
        if channel_count and (channel_indices or file_path):
            raise ValueError("`channel_count` is for buffers without a sound file")
        id_ = self._allocate_id(Buffer)
        self._on_abandon(lambda: self._free_id(Buffer, id_))
        frames: dict[str, Any] = {
            "frame_count": frame_count or 0,
            "starting_frame": starting_frame or 0,
        }
        request: Request
        if not file_path:
            request = AllocateBuffer(id_, frame_count or 0, channel_count or 1)
        elif channel_indices:
            request = AllocateReadBufferChannel(id_, file_path, channel_indices, **frames)
        else:
            request = AllocateReadBuffer(id_, file_path, **frames)
        completion = self._add_request_with_completion(request, on_completion)
        return Buffer(context=self, id_=id_, completion=completion)  # type: ignore[arg-type]

    def add_buffer_group(
        self,
        *,
        channel_count: int | None = None,
        count: int = 1,
        frame_count: int | None = None,
    ) -> BufferGroup:
        """Adds buffers with consecutive ids. `/b_alloc`"""
        self._validate_can_request()
        if not (channel_count and frame_count):
            raise ValueError("buffers need `channel_count` and `frame_count`")
        if count < 1:
            raise ValueError(f"invalid count {count}: expected 1 or more")
        id_ = self._allocate_id(Buffer, count=count)
        self._on_abandon(lambda: [self._free_id(Buffer, id_ + index) for index in range(count)])
        self._add_requests(
            *(AllocateBuffer(id_ + index, frame_count, channel_count) for index in range(count))
        )
        return BufferGroup(context=self, id_=id_, count=count)  # type: ignore[arg-type]

    def close_buffer(self, buffer: Buffer, on_completion: OnCompletion = None) -> Completion:
        """Closes the sound file of a buffer. `/b_close`"""
        return self._complete(CloseBuffer(buffer_id=buffer.id_), on_completion)

    def _complete(self, request: Request, on_completion: OnCompletion) -> Completion:
        self._validate_can_request()
        completion: Completion = self._add_request_with_completion(request, on_completion)
        return completion

    def _request(self, request: Request) -> None:
        self._validate_can_request()
        self._add_requests(request)

    def copy_buffer(
        self,
        *,
        source_buffer: Buffer,
        target_buffer: Buffer,
        source_starting_frame: int,
        target_starting_frame: int,
        frame_count: int,
    ) -> None:
        """Copies frames of one buffer into another. `/b_gen`"""
        self._request(
            CopyBuffer(
                source_buffer_id=source_buffer,
                target_buffer_id=target_buffer,
                frame_count=frame_count,
                source_starting_frame=source_starting_frame,
                target_starting_frame=target_starting_frame,
            )
        )

    def fill_buffer(
        self, buffer: Buffer, starting_frame: int, frame_count: int, value: float
    ) -> None:
        """Sets a range of samples to one value. `/b_fill`"""
        self._request(FillBuffer(buffer_id=buffer, items=[(starting_frame, frame_count, value)]))

    def free_buffer(self, buffer: Buffer, on_completion: OnCompletion = None) -> Completion:
        """Frees a buffer. Its id is free when the server has done it. `/b_free`"""
        return self._complete(FreeBuffer(buffer_id=buffer), on_completion)

    def free_buffer_group(self, buffer_group: BufferGroup) -> None:
        """Frees buffers. `/b_free`"""
        self._validate_can_request()
        self._add_requests(*(FreeBuffer(buffer_id=buffer.id_) for buffer in buffer_group))

    def generate_buffer(
        self,
        buffer: Buffer,
        command_name: Literal["sine1", "sine2", "sine3", "cheby"],
        amplitudes: Sequence[float],
        frequencies: Sequence[float] | None = None,
        phases: Sequence[float] | None = None,
        as_wavetable: bool = False,
        should_clear_first: bool = False,
        should_normalize: bool = False,
    ) -> None:
        """Fills a buffer with a sum of sines, or a Chebyshev polynomial. `/b_gen`"""
        self._validate_can_request()
        columns: dict[str, Sequence[float] | None] = {"amplitudes": amplitudes}
        if command_name in ("sine2", "sine3"):
            columns["frequencies"] = frequencies
        if command_name == "sine3":
            columns["phases"] = phases
        for name, values in columns.items():
            if not values or len(values) != len(amplitudes):
                raise ValueError(
                    f"{command_name} needs amplitudes, and as many {name}; found {values}"
                )
        self._add_requests(
            GenerateBuffer(
                buffer_id=buffer,
                command_name=command_name,
                amplitudes=amplitudes,
                frequencies=frequencies,
                phases=phases,
                as_wavetable=as_wavetable,
                should_clear_first=should_clear_first,
                should_normalize=should_normalize,
            )
        )

    def normalize_buffer(
        self, buffer: Buffer, new_maximum: float = 1.0, as_wavetable: bool = False
    ) -> None:
        """Scales a buffer to a maximum. `/b_gen`"""
        self._request(NormalizeBuffer(buffer.id_, new_maximum, as_wavetable))

    def read_buffer(
        self,
        buffer: Buffer,
        file_path: PathLike[str],
        *,
        buffer_starting_frame: int | None = None,
        channel_indices: list[int] | None = None,
        frame_count: int | None = None,
        leave_open: bool = False,
        starting_frame: int | None = None,
        on_completion: OnCompletion = None,
    ) -> Completion:
        """Reads a sound file into a buffer. `/b_read`, `/b_readChannel`"""
        fields: dict[str, Any] = {
            "buffer_id": buffer.id_,
            "path": file_path,
            "frame_count": frame_count or -1,
            "leave_open": leave_open,
            "starting_frame_in_buffer": buffer_starting_frame or 0,
            "starting_frame_in_file": starting_frame or 0,
        }
        request: Request
        if channel_indices:
            request = ReadBufferChannel(channel_indices=channel_indices, **fields)
        else:
            request = ReadBuffer(**fields)
        return self._complete(request, on_completion)

    def set_buffer(self, buffer: Buffer, index: int, value: float) -> None:
        """Sets a sample. `/b_set`"""
        self._request(SetBuffer(buffer_id=buffer, items=[(index, value)]))

    def set_buffer_range(self, buffer: Buffer, index: int, values: Sequence[float]) -> None:
        """Sets consecutive samples. `/b_setn`"""
        self._request(SetBufferRange(buffer_id=buffer, items=[(index, values)]))

    def write_buffer(
        self,
        buffer: Buffer,
        file_path: PathLike[str],
        *,
        frame_count: int | None = None,
        header_format: HeaderFormatLike = "aiff",
        leave_open: bool = False,
        sample_format: SampleFormatLike = "int24",
        starting_frame: int | None = None,
        on_completion: OnCompletion = None,
    ) -> Completion:
        """Writes a buffer into a sound file. `/b_write`"""
        request = WriteBuffer(
            buffer_id=buffer.id_,
            path=file_path,
            header_format=header_format,
            sample_format=sample_format,
            frame_count=-1 if frame_count is None else frame_count,
            starting_frame=starting_frame or 0,
            leave_open=leave_open,
        )
        return self._complete(request, on_completion)

    def zero_buffer(self, buffer: Buffer, on_completion: OnCompletion = None) -> Completion:
        """Sets a buffer to zero. `/b_zero`"""
        return self._complete(ZeroBuffer(buffer_id=buffer), on_completion)

    # ---- buses -------------------------------------------------------------------------------

    def add_bus(self, calculation_rate: CalculationRateLike = CalculationRate.CONTROL) -> Bus:
        """Adds a bus. Nothing is sent."""
        self._validate_can_request()
        rate = _rate(calculation_rate)
        id_ = self._allocate_id(Bus, calculation_rate=rate)
        return Bus(context=self, id_=id_, calculation_rate=rate)  # type: ignore[arg-type]

    def add_bus_group(
        self,
        calculation_rate: CalculationRateLike = CalculationRate.CONTROL,
        count: int = 1,
    ) -> BusGroup:
        """Adds buses with consecutive ids. Nothing is sent."""
        self._validate_can_request()
        rate = _rate(calculation_rate)
        if count < 1:
            raise ValueError(f"invalid count {count}: expected 1 or more")
        id_ = self._allocate_id(Bus, calculation_rate=rate, count=count)
        context: Any = self
        return BusGroup(context=context, id_=id_, calculation_rate=rate, count=count)

    def fill_bus_range(
        self, bus: Bus, count: int, value: float, use_shared_memory: bool = False
    ) -> None:
        """Sets consecutive control buses to one value. `/c_fill`"""
        self._validate_can_request()
        first = _control_bus(bus)
        memory = self.shared_memory if use_shared_memory else None
        if memory:
            memory[first : first + count] = [value] * count
        else:
            self._add_requests(FillControlBusRange(items=[(first, count, value)]))

    def free_bus(self, bus: Bus) -> None:
        """Frees a bus, and the whole group if it is the first of one. Nothing is sent."""
        self._validate_can_request()
        self._free_id(Bus, bus.id_, calculation_rate=bus.calculation_rate)

    def free_bus_group(self, bus_group: BusGroup) -> None:
        """Frees buses. Nothing is sent."""
        self._validate_can_request()
        self._free_id(Bus, bus_group.id_, calculation_rate=bus_group.calculation_rate)

    def set_bus(self, bus: Bus, value: float, use_shared_memory: bool = False) -> None:
        """Sets a control bus. `/c_set`"""
        self._validate_can_request()
        id_ = _control_bus(bus)
        memory = self.shared_memory if use_shared_memory else None
        if memory:
            memory[id_] = value
        else:
            self._add_requests(SetControlBus(items=[(id_, value)]))

    def set_bus_range(
        self, bus: Bus, values: Sequence[float], use_shared_memory: bool = False
    ) -> None:
        """Sets consecutive control buses. `/c_setn`"""
        self._validate_can_request()
        first = _control_bus(bus)
        memory = self.shared_memory if use_shared_memory else None
        if memory:
            memory[first : first + len(values)] = list(values)
        else:
            self._add_requests(SetControlBusRange(items=[(first, values)]))

    # ---- SynthDefs and scope buffers ---------------------------------------------------------

    def add_scope_buffer(self) -> ScopeBuffer:
        """Adds a buffer in shared memory. Nothing is sent."""
        self._validate_can_request()
        context: Any = self
        return ScopeBuffer(context=context, id_=self._allocate_id(ScopeBuffer))

    def free_scope_buffer(self, scope_buffer: ScopeBuffer) -> None:
        """Frees a buffer in shared memory. Nothing is sent."""
        self._validate_can_request()
        self._free_id(ScopeBuffer, scope_buffer.id_)

    def add_synthdefs(self, *synthdefs: SynthDef, on_completion: OnCompletion = None) -> Completion:
        """Sends SynthDefs. `/d_recv`"""
        self._validate_can_request()
        if not synthdefs:
            raise ValueError("expected one SynthDef or more")
        return self._complete(ReceiveSynthDefs(synthdefs=synthdefs), on_completion)

    def free_all_synthdefs(self) -> None:
        """Frees all SynthDefs. `/d_freeAll`"""
        self._request(FreeAllSynthDefs())

    def free_synthdefs(self, *synthdefs: SynthDef) -> None:
        """Frees SynthDefs. `/d_free`"""
        self._validate_can_request()
        if not synthdefs:
            raise ValueError("expected one SynthDef or more")
        self._add_requests(FreeSynthDef(synthdefs=synthdefs))

    def load_synthdefs(self, path: PathLike[str], on_completion: OnCompletion = None) -> Completion:
        """Loads a file of SynthDefs, or several by a pattern. `/d_load`"""
        return self._complete(LoadSynthDefs(path=path), on_completion)

    def load_synthdefs_directory(
        self, path: PathLike[str], on_completion: OnCompletion = None
    ) -> Completion:
        """Loads a folder of SynthDefs. `/d_loadDir`"""
        return self._complete(LoadSynthDefDirectory(path=path), on_completion)
