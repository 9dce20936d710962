"""What contexts create: buffers, buses and nodes. Objects are references: an id in a context."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Container, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, overload

from ..enums import AddAction, CalculationRate
from ..exceptions import ContextError, InvalidCalculationRate, InvalidMoment
from ..typing import AddActionLike, HeaderFormatLike, SampleFormatLike
from ..ugens import SynthDef
from .responses import BufferInfo, NodeInfo, QueryTreeGroup

if TYPE_CHECKING:
    from .core import Completion, Context

#: Requests that a server makes when an asynchronous one is done.
OnCompletion = Callable[["Context"], Any] | None


@dataclasses.dataclass(frozen=True)
class ContextObject:
    """A reference to something with an id in a context."""

    context: Context
    id_: int

    def __float__(self) -> float:
        return float(self.id_)

    def __int__(self) -> int:
        return self.id_

    @property
    def allocated(self) -> bool:
        """Whether the server has it, as far as its notifications tell."""
        return self in self._server

    @property
    def _server(self) -> Any:
        """The context, if it is a server."""
        from .realtime import BaseServer

        if not isinstance(self.context, BaseServer):
            raise ContextError(f"expected a server, found {self.context!r}")
        return self.context


@dataclasses.dataclass(frozen=True)
class Buffer(ContextObject):
    """A buffer."""

    completion: Completion | None = dataclasses.field(default=None, compare=False)

    def __enter__(self) -> Completion:
        return self._completion.__enter__()

    def __exit__(self, *args: Any) -> None:
        self._completion.__exit__(*args)

    @property
    def _completion(self) -> Completion:
        if self.completion is None:
            raise InvalidMoment("only the buffer that `add_buffer` returned has a completion")
        return self.completion

    def __plot__(self) -> tuple[Any, float]:
        import numpy

        from ..soundfiles import load

        with self._temporary_file() as path:
            samples, sample_rate = load(path)
            return numpy.array(samples), sample_rate

    def __render_memo__(
        self,
        output_file_path: PathLike[str] | None = None,
        render_directory_path: PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        from ..io import PlayMemo

        with self._temporary_file() as path:
            return PlayMemo.from_path(path)

    def _temporary_file(self) -> Any:
        """A context manager: the buffer in a sound file."""
        import contextlib
        import tempfile
        from pathlib import Path

        from .realtime import Server

        server = self.context
        if not isinstance(server, Server):
            raise ContextError(f"expected a `Server`, found {server!r}")

        @contextlib.contextmanager
        def written() -> Iterator[Path]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "buffer.wav"
                self.write(file_path=path, header_format="wav", sample_format="int32")
                server.sync()
                yield path

        return written()

    def close(self, on_completion: OnCompletion = None) -> Completion:
        """Closes the sound file that was left open. `/b_close`"""
        return self.context.close_buffer(self, on_completion=on_completion)

    def copy(
        self,
        *,
        target_buffer: Buffer,
        starting_frame: int,
        target_starting_frame: int,
        frame_count: int,
    ) -> None:
        """Copies frames into another buffer. `/b_gen`"""
        self.context.copy_buffer(
            source_buffer=self,
            target_buffer=target_buffer,
            source_starting_frame=starting_frame,
            target_starting_frame=target_starting_frame,
            frame_count=frame_count,
        )

    def fill(self, starting_frame: int, frame_count: int, value: float) -> None:
        """Sets a range of samples to one value. `/b_fill`"""
        self.context.fill_buffer(self, starting_frame, frame_count, value)

    def free(self, on_completion: OnCompletion = None) -> Completion:
        """Frees the buffer. `/b_free`"""
        return self.context.free_buffer(self, on_completion=on_completion)

    def generate(
        self,
        command_name: Literal["sine1", "sine2", "sine3", "cheby"],
        amplitudes: Sequence[float],
        frequencies: Sequence[float] | None = None,
        phases: Sequence[float] | None = None,
        as_wavetable: bool = False,
        should_clear_first: bool = False,
        should_normalize: bool = False,
    ) -> None:
        """Fills the buffer with a sum of sines, or a Chebyshev polynomial. `/b_gen`"""
        self.context.generate_buffer(
            buffer=self,
            command_name=command_name,
            amplitudes=amplitudes,
            frequencies=frequencies,
            phases=phases,
            as_wavetable=as_wavetable,
            should_clear_first=should_clear_first,
            should_normalize=should_normalize,
        )

    def get(
        self, *indices: int, sync: bool = True
    ) -> Awaitable[dict[int, float] | None] | dict[int, float] | None:
        """Samples by their index. `/b_get`"""
        return self._server.get_buffer(self, *indices, sync=sync)  # type: ignore[no-any-return]

    def get_range(
        self, index: int, count: int, sync: bool = True
    ) -> Awaitable[Sequence[float] | None] | Sequence[float] | None:
        """Consecutive samples. `/b_getn`"""
        result: Any = self._server.get_buffer_range(self, index, count, sync=sync)
        return result  # type: ignore[no-any-return]

    def normalize(self, new_maximum: float = 1.0, as_wavetable: bool = False) -> None:
        """Scales the buffer to a maximum. `/b_gen`"""
        self.context.normalize_buffer(self, new_maximum=new_maximum, as_wavetable=as_wavetable)

    def query(self, sync: bool = True) -> Awaitable[BufferInfo | None] | BufferInfo | None:
        """The size of the buffer. `/b_query`"""
        return self._server.query_buffer(self, sync=sync)  # type: ignore[no-any-return]

    def read(
        self,
        file_path: PathLike[str],
        *,
        buffer_starting_frame: int | None = None,
        channel_indices: list[int] | None = None,
        frame_count: int | None = None,
        leave_open: bool = False,
        on_completion: OnCompletion = None,
        starting_frame: int | None = None,
    ) -> Completion:
        """Reads a sound file. `/b_read`"""
        return self.context.read_buffer(
            self,
            file_path,
            buffer_starting_frame=buffer_starting_frame,
            channel_indices=channel_indices,
            frame_count=frame_count,
            leave_open=leave_open,
            on_completion=on_completion,
            starting_frame=starting_frame,
        )

    def set(self, index: int, value: float) -> None:
        """Sets a sample. `/b_set`"""
        self.context.set_buffer(buffer=self, index=index, value=value)

    def set_range(self, index: int, values: Sequence[float]) -> None:
        """Sets consecutive samples. `/b_setn`"""
        self.context.set_buffer_range(buffer=self, index=index, values=values)

    def write(
        self,
        file_path: PathLike[str],
        *,
        frame_count: int | None = None,
        header_format: HeaderFormatLike = "aiff",
        leave_open: bool = False,
        on_completion: OnCompletion = None,
        sample_format: SampleFormatLike = "int24",
        starting_frame: int | None = None,
    ) -> Completion:
        """Writes a sound file. `/b_write`"""
        return self.context.write_buffer(
            self,
            file_path,
            frame_count=frame_count,
            header_format=header_format,
            leave_open=leave_open,
            on_completion=on_completion,
            sample_format=sample_format,
            starting_frame=starting_frame,
        )

    def zero(self, on_completion: OnCompletion = None) -> Completion:
        """Sets all samples to zero. `/b_zero`"""
        return self.context.zero_buffer(self, on_completion=on_completion)


@dataclasses.dataclass(frozen=True)
class BufferGroup(ContextObject):
    """Buffers with consecutive ids."""

    count: int = 1
    buffers: tuple[Buffer, ...] = dataclasses.field(init=False, repr=False, default_factory=tuple)

    def __post_init__(self) -> None:
        ids = range(self.id_, self.id_ + self.count)
        object.__setattr__(self, "buffers", tuple(Buffer(self.context, id_) for id_ in ids))

    @overload
    def __getitem__(self, item: int) -> Buffer: ...

    @overload
    def __getitem__(self, item: slice) -> tuple[Buffer, ...]: ...

    def __getitem__(self, item: int | slice) -> Buffer | tuple[Buffer, ...]:
        return self.buffers[item]

    def __iter__(self) -> Iterator[Buffer]:
        return iter(self.buffers)

    def __len__(self) -> int:
        return self.count

    def free(self) -> None:
        """Frees the buffers. `/b_free`"""
        self.context.free_buffer_group(self)


def _map_symbol(calculation_rate: CalculationRate, id_: int) -> str:
    """The text that maps a control to a bus."""
    letters = {CalculationRate.AUDIO: "a", CalculationRate.CONTROL: "c"}
    if calculation_rate not in letters:
        raise InvalidCalculationRate(
            f"expected the audio or the control rate, found {calculation_rate!r}"
        )
    return f"{letters[calculation_rate]}{id_}"


@dataclasses.dataclass(frozen=True)
class Bus(ContextObject):
    """A bus."""

    calculation_rate: CalculationRate

    def fill(self, count: int, value: float, use_shared_memory: bool = False) -> None:
        """Sets this bus and those that follow to one value. `/c_fill`"""
        self.context.fill_bus_range(self, count, value, use_shared_memory=use_shared_memory)

    def free(self) -> None:
        """Frees the bus."""
        self.context.free_bus(self)

    def get(
        self, sync: bool = True, use_shared_memory: bool = False
    ) -> Awaitable[float | None] | float | None:
        """The value of the bus. `/c_get`"""
        result: Any = self._server.get_bus(self, sync=sync, use_shared_memory=use_shared_memory)
        return result  # type: ignore[no-any-return]

    def get_range(
        self, count: int, sync: bool = True, use_shared_memory: bool = False
    ) -> Awaitable[Sequence[float] | None] | Sequence[float] | None:
        """The values of this bus and of those that follow. `/c_getn`"""
        result: Any = self._server.get_bus_range(
            self, count, sync=sync, use_shared_memory=use_shared_memory
        )
        return result  # type: ignore[no-any-return]

    def map_symbol(self) -> str:
        """The text that maps a control to the bus, such as `c0`."""
        return _map_symbol(self.calculation_rate, self.id_)

    def set(self, value: float, use_shared_memory: bool = False) -> None:
        """Sets the bus. `/c_set`"""
        self.context.set_bus(self, value, use_shared_memory=use_shared_memory)

    def set_range(self, values: Sequence[float], use_shared_memory: bool = False) -> None:
        """Sets this bus and those that follow. `/c_setn`"""
        self.context.set_bus_range(self, values, use_shared_memory=use_shared_memory)


@dataclasses.dataclass(frozen=True)
class BusGroup(ContextObject):
    """Buses with consecutive ids."""

    calculation_rate: CalculationRate
    count: int = 1
    buses: tuple[Bus, ...] = dataclasses.field(init=False, repr=False, default_factory=tuple)

    def __post_init__(self) -> None:
        ids = range(self.id_, self.id_ + self.count)
        buses = tuple(Bus(self.context, id_, self.calculation_rate) for id_ in ids)
        object.__setattr__(self, "buses", buses)

    @overload
    def __getitem__(self, item: int) -> Bus: ...

    @overload
    def __getitem__(self, item: slice) -> tuple[Bus, ...]: ...

    def __getitem__(self, item: int | slice) -> Bus | tuple[Bus, ...]:
        return self.buses[item]

    def __iter__(self) -> Iterator[Bus]:
        return iter(self.buses)

    def __len__(self) -> int:
        return self.count

    def free(self) -> None:
        """Frees the buses."""
        self.context.free_bus_group(self)

    def get(
        self, sync: bool = True, use_shared_memory: bool = False
    ) -> Awaitable[Sequence[float] | None] | Sequence[float] | None:
        """The values of the buses. `/c_getn`"""
        result: Any = self._server.get_bus_range(
            bus=self[0], count=len(self), sync=sync, use_shared_memory=use_shared_memory
        )
        return result  # type: ignore[no-any-return]

    def map_symbol(self) -> str:
        """The text that maps a control to the first bus, such as `c0`."""
        return _map_symbol(self.calculation_rate, self.id_)

    def set(self, values: float | Sequence[float], use_shared_memory: bool = False) -> None:
        """Sets the buses, all to one value or each to its own. `/c_set`, `/c_fill`, `/c_setn`"""
        if not isinstance(values, SupportsFloat):
            self.context.set_bus_range(self[0], values, use_shared_memory=use_shared_memory)
        elif len(self) == 1:
            self.context.set_bus(self[0], float(values), use_shared_memory=use_shared_memory)
        else:
            self.context.fill_bus_range(
                self[0], len(self), float(values), use_shared_memory=use_shared_memory
            )


@dataclasses.dataclass(frozen=True)
class Node(ContextObject):
    """A node: a group or a synth."""

    def add_group(
        self,
        add_action: AddActionLike = AddAction.ADD_TO_HEAD,
        parallel: bool = False,
        permanent: bool = False,
    ) -> Group:
        """Adds a group relative to this node. `/g_new`"""
        return self.context.add_group(
            add_action=add_action, parallel=parallel, permanent=permanent, target_node=self
        )

    def add_synth(
        self,
        synthdef: SynthDef,
        *,
        add_action: AddActionLike = AddAction.ADD_TO_HEAD,
        permanent: bool = False,
        **settings: SupportsFloat | str | Sequence[SupportsFloat | str],
    ) -> Synth:
        """Adds a synth relative to this node. `/s_new`"""
        return self.context.add_synth(
            synthdef, add_action=add_action, permanent=permanent, target_node=self, **settings
        )

    def free(self, force: bool = False) -> None:
        """Releases a synth with a gate, and frees other nodes, or any with `force`. `/n_set`,
        `/n_free`"""
        self.context.free_node(self, force=force)

    def map(self, **settings: Bus | str | None) -> None:
        """Maps controls to buses, or no longer with `None`. `/n_map`, `/n_mapa`"""
        self.context.map_node(self, **settings)

    def map_range(self, **settings: BusGroup | tuple[Bus | str, int] | None) -> None:
        """Maps ranges of controls to buses. `/n_mapn`, `/n_mapan`"""
        self.context.map_node_range(self, **settings)

    def move(self, target_node: Node, add_action: AddActionLike = None) -> None:
        """Moves the node relative to another. `/n_before`, `/n_after`, `/g_head`, `/g_tail`"""
        self.context.move_node(node=self, add_action=add_action, target_node=target_node)

    def order(self, *nodes: Node, add_action: AddActionLike = None) -> None:
        """Moves nodes in this order relative to this one. `/n_order`"""
        self.context.order_nodes(self, *nodes, add_action=add_action)

    def pause(self) -> None:
        """Pauses the node. `/n_run`"""
        self.context.pause_node(self)

    def query(self, sync: bool = True) -> Awaitable[NodeInfo | None] | (NodeInfo | None):
        """The place of the node in the tree. `/n_query`"""
        return self._server.query_node(self, sync=sync)  # type: ignore[no-any-return]

    def set(
        self,
        *indexed_settings: tuple[int, SupportsFloat | Sequence[SupportsFloat]],
        **settings: SupportsFloat | Sequence[SupportsFloat],
    ) -> None:
        """Sets controls. `/n_set`"""
        self.context.set_node(self, *indexed_settings, **settings)

    def set_range(
        self,
        *indexed_settings: tuple[int, Sequence[SupportsFloat]],
        **settings: Sequence[SupportsFloat],
    ) -> None:
        """Sets ranges of controls. `/n_setn`"""
        self.context.set_node_range(self, *indexed_settings, **settings)

    def trace(self) -> Awaitable[None] | None:
        """Lets the server print what the node computes. `/n_trace`"""
        return self._server.trace_node(self)  # type: ignore[no-any-return]

    def unpause(self) -> None:
        """Continues the node. `/n_run`"""
        self.context.unpause_node(self)

    @property
    def _valid_add_actions(self) -> Container[int]:
        return tuple(AddAction)

    @property
    def active(self) -> bool:
        """Whether the node is not paused."""
        server = self._server
        return bool(not server._core.has_node(self.id_) or server._core.is_node_active(self.id_))

    @property
    def parent(self) -> Group | None:
        """The group that contains the node, as far as the server's notifications tell."""
        parent_id = self._server._core.node_parent(self.id_)
        return None if parent_id is None else self._group(parent_id)

    @property
    def parentage(self) -> Sequence[Node]:
        """The node and the groups that contain it, up to the root."""
        core = self._server._core
        nodes: list[Node] = [self]
        while (parent_id := core.node_parent(nodes[-1].id_)) is not None:
            nodes.append(self._group(parent_id))
        return nodes

    def _group(self, id_: int) -> Group:
        kind = RootNode if id_ == 0 else Group
        return kind(context=self.context, id_=id_)


@dataclasses.dataclass(frozen=True)
class Group(Node):
    """A group."""

    parallel: bool = False

    def dump_tree(
        self, include_controls: bool = True, sync: bool = True
    ) -> Awaitable[QueryTreeGroup | None] | QueryTreeGroup | None:
        """The tree below the group, as the server prints it. `/g_dumpTree`"""
        result: Any = self._server.dump_tree(
            group=self, include_controls=include_controls, sync=sync
        )
        return result  # type: ignore[no-any-return]

    def free_children(self, synths_only: bool = False) -> None:
        """Frees the nodes in the group, or only synths, also in the groups inside. `/g_freeAll`,
        `/g_deepFree`"""
        self.context.free_group_children(self, synths_only=synths_only)

    def query_tree(
        self, include_controls: bool = True, sync: bool = True
    ) -> Awaitable[QueryTreeGroup | None] | QueryTreeGroup | None:
        """The tree below the group. `/g_queryTree`"""
        result: Any = self._server.query_tree(
            group=self, include_controls=include_controls, sync=sync
        )
        return result  # type: ignore[no-any-return]

    @property
    def children(self) -> list[Node]:
        """The nodes in the group, as far as the server's notifications tell. The SynthDef of a
        synth is not among them: `default` stands for it."""
        from ..ugens import default

        nodes: list[Node] = []
        for id_, is_group in self._server._core.node_children(self.id_) or ():
            if is_group:
                nodes.append(Group(context=self.context, id_=id_))
            else:
                nodes.append(Synth(context=self.context, id_=id_, synthdef=default))
        return nodes


@dataclasses.dataclass(frozen=True)
class RootNode(Group):
    """The root of the tree."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id_", 0)
        object.__setattr__(self, "parallel", False)

    @property
    def _valid_add_actions(self) -> Container[int]:
        return (AddAction.ADD_TO_HEAD, AddAction.ADD_TO_TAIL)


@dataclasses.dataclass(frozen=True)
class ScopeBuffer(ContextObject):
    """A buffer in shared memory, for the UGen `ScopeOut2`."""

    def free(self) -> None:
        """Frees the buffer."""
        self.context.free_scope_buffer(self)


@dataclasses.dataclass(frozen=True)
class Synth(Node):
    """A synth."""

    synthdef: SynthDef

    def get(self, *controls: int | str, sync: bool = True) -> Awaitable[
        dict[int | str, float] | None
    ] | (dict[int | str, float] | None):
        """The values of controls. `/s_get`"""
        result: Any = self._server.get_synth_controls(self, *controls, sync=sync)
        return result  # type: ignore[no-any-return]

    def get_range(self, control: int | str, count: int, sync: bool = True) -> Awaitable[
        Sequence[float | str] | None
    ] | (Sequence[float | str] | None):
        """The values of consecutive controls. `/s_getn`"""
        result: Any = self._server.get_synth_control_range(self, control, count, sync=sync)
        return result  # type: ignore[no-any-return]

    @property
    def _valid_add_actions(self) -> Container[int]:
        return (AddAction.ADD_AFTER, AddAction.ADD_BEFORE, AddAction.REPLACE)
