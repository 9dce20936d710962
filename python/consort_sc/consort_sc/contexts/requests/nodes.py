"""Requests about nodes and SynthDefs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, SupportsInt

from ...enums import AddAction
from ...typing import AddActionLike
from ...ugens import SynthDef, compile_synthdefs
from ._base import Pattern, Request, Requestable, control, numbers


def _name(synthdef: SynthDef | str) -> str:
    """The name that the server knows a SynthDef by."""
    return synthdef if isinstance(synthdef, str) else synthdef.effective_name


@dataclass
class AutoReassignSynthID(Request):
    """Lets synths have ids that nobody knows. `/s_noid`"""

    _address: ClassVar[str | int] = "/s_noid"

    synth_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.synth_ids)


@dataclass
class FillNode(Request):
    """Sets ranges of controls to one value each. `/n_fill`"""

    _address: ClassVar[str | int] = "/n_fill"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, int, float]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.node_id)]
        for name, count, value in self.items:
            arguments += (control(name), int(count), float(value))
        return arguments


@dataclass
class FreeAllSynthDefs(Request):
    """Frees all SynthDefs. `/d_freeAll`"""

    _address: ClassVar[str | int] = "/d_freeAll"


@dataclass
class FreeGroupChildren(Request):
    """Frees all nodes in groups. `/g_freeAll`"""

    _address: ClassVar[str | int] = "/g_freeAll"

    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.node_ids)


@dataclass
class FreeGroupDeep(Request):
    """Frees all synths in groups and in the groups inside. `/g_deepFree`"""

    _address: ClassVar[str | int] = "/g_deepFree"

    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.node_ids)


@dataclass
class FreeNode(Request):
    """Frees nodes. `/n_free`"""

    _address: ClassVar[str | int] = "/n_free"

    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.node_ids)

    def _reply(self) -> Pattern | None:
        return ["/n_end", int(self.node_ids[-1])]


@dataclass
class FreeSynthDef(Request):
    """Frees SynthDefs. `/d_free`"""

    _address: ClassVar[str | int] = "/d_free"

    synthdefs: Sequence[SynthDef | str]

    def _arguments(self) -> list[Any]:
        return [_name(synthdef) for synthdef in self.synthdefs]


@dataclass
class GetSynthControl(Request):
    """Asks for the values of controls. `/s_get`"""

    _address: ClassVar[str | int] = "/s_get"

    synth_id: SupportsInt
    controls: Sequence[int | str]

    def _arguments(self) -> list[Any]:
        return [int(self.synth_id), *map(control, self.controls)]

    def _reply(self) -> Pattern | None:
        return ["/n_set", int(self.synth_id), *map(control, self.controls[:1])]


@dataclass
class GetSynthControlRange(Request):
    """Asks for the values of ranges of controls. `/s_getn`"""

    _address: ClassVar[str | int] = "/s_getn"

    synth_id: SupportsInt
    items: Sequence[tuple[int | str, int]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.synth_id)]
        for name, count in self.items:
            arguments += (control(name), int(count))
        return arguments

    def _reply(self) -> Pattern | None:
        return ["/n_setn", int(self.synth_id), control(self.items[0][0])]


@dataclass
class LoadSynthDefs(Request):
    """Loads files of SynthDefs. `/d_load`"""

    _address: ClassVar[str | int] = "/d_load"

    path: PathLike[str]
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [str(self.path)]


@dataclass
class LoadSynthDefDirectory(Request):
    """Loads a folder of SynthDefs. `/d_loadDir`"""

    _address: ClassVar[str | int] = "/d_loadDir"

    path: PathLike[str]
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [str(self.path)]


class _Mapping(Request):
    """Maps controls to buses."""

    def _arguments(self) -> list[Any]:
        fields = vars(self)
        arguments: list[Any] = [int(fields["node_id"])]
        for name, *buses in fields["items"]:
            arguments += (control(name), *numbers(buses))
        return arguments


@dataclass
class MapAudioBusToNode(_Mapping):
    """Maps controls to audio buses. `/n_mapa`"""

    _address: ClassVar[str | int] = "/n_mapa"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, SupportsInt]]


@dataclass
class MapAudioBusRangeToNode(_Mapping):
    """Maps ranges of controls to audio buses. `/n_mapan`"""

    _address: ClassVar[str | int] = "/n_mapan"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, SupportsInt, int]]


@dataclass
class MapControlBusToNode(_Mapping):
    """Maps controls to control buses. `/n_map`"""

    _address: ClassVar[str | int] = "/n_map"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, SupportsInt]]


@dataclass
class MapControlBusRangeToNode(_Mapping):
    """Maps ranges of controls to control buses. `/n_mapn`"""

    _address: ClassVar[str | int] = "/n_mapn"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, SupportsInt, int]]


class _Move(Request):
    """Moves nodes: pairs of a node and another."""

    def _arguments(self) -> list[Any]:
        items = vars(self)["items"]
        return [int(value) for item in items for value in item]


@dataclass
class MoveNodeAfter(_Move):
    """Moves nodes behind others. `/n_after`"""

    _address: ClassVar[str | int] = "/n_after"

    items: Sequence[tuple[SupportsInt, SupportsInt]]


@dataclass
class MoveNodeBefore(_Move):
    """Moves nodes before others. `/n_before`"""

    _address: ClassVar[str | int] = "/n_before"

    items: Sequence[tuple[SupportsInt, SupportsInt]]


class _MoveIntoGroup(Request):
    """Moves nodes into groups: pairs of a node and a group."""

    def _arguments(self) -> list[Any]:
        items = vars(self)["items"]
        return [int(value) for node, group in items for value in (group, node)]


@dataclass
class MoveNodeToGroupHead(_MoveIntoGroup):
    """Moves nodes to the beginning of groups. `/g_head`"""

    _address: ClassVar[str | int] = "/g_head"

    items: Sequence[tuple[SupportsInt, SupportsInt]]


@dataclass
class MoveNodeToGroupTail(_MoveIntoGroup):
    """Moves nodes to the end of groups. `/g_tail`"""

    _address: ClassVar[str | int] = "/g_tail"

    items: Sequence[tuple[SupportsInt, SupportsInt]]


class _Groups(Request):
    """Creates groups: an id, an add action and the id of another node."""

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = []
        for group, add_action, target in vars(self)["items"]:
            arguments += (int(group), int(AddAction.from_expr(add_action)), int(target))
        return arguments


@dataclass
class NewGroup(_Groups):
    """Creates groups. `/g_new`"""

    _address: ClassVar[str | int] = "/g_new"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, AddActionLike, SupportsInt]]


@dataclass
class NewParallelGroup(_Groups):
    """Creates groups whose nodes have no order. `/p_new`"""

    _address: ClassVar[str | int] = "/p_new"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, AddActionLike, SupportsInt]]


@dataclass
class NewSynth(Request):
    """Creates a synth. `/s_new`"""

    _address: ClassVar[str | int] = "/s_new"

    synthdef: SynthDef | str
    synth_id: SupportsInt
    add_action: AddActionLike
    target_node_id: SupportsInt
    controls: dict[int | str, float | str | tuple[float | str, ...]] | None = None

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [
            _name(self.synthdef),
            int(self.synth_id),
            int(AddAction.from_expr(self.add_action)),
            int(self.target_node_id),
        ]
        for name, value in sorted((self.controls or {}).items()):
            if isinstance(value, tuple) and len(value) == 1:
                arguments += (control(name), value[0])
            elif isinstance(value, tuple | str):
                arguments += (control(name), value)
            else:
                arguments += (control(name), float(value))
        return arguments


@dataclass
class OrderNodes(Request):
    """Orders nodes beside or in another. `/n_order`"""

    _address: ClassVar[str | int] = "/n_order"

    add_action: AddActionLike
    target_node_id: SupportsInt
    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        add_action = AddAction.from_expr(self.add_action)
        return numbers([add_action, self.target_node_id, *self.node_ids])


@dataclass
class QueryNode(Request):
    """Asks for the places of nodes in the tree. `/n_query`"""

    _address: ClassVar[str | int] = "/n_query"

    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.node_ids)

    def _reply(self) -> Pattern | None:
        return ["/n_info", int(self.node_ids[-1])]


@dataclass
class ReceiveSynthDefs(Request):
    """Sends SynthDefs. `/d_recv`"""

    _address: ClassVar[str | int] = "/d_recv"

    synthdefs: Sequence[SynthDef]
    on_completion: Requestable | None = None

    def _arguments(self) -> list[Any]:
        return [compile_synthdefs(*self.synthdefs)]


@dataclass
class ReleaseNode(Request):
    """Releases a node: a synth with a gate closes it, other nodes are freed."""

    node_id: SupportsInt
    has_gate: bool = False
    force: bool = False

    def to_osc(self) -> Any:
        """The message, `/n_set` or `/n_free`."""
        if self.has_gate and not self.force:
            return SetNodeControl(node_id=self.node_id, items=[("gate", 0)]).to_osc()
        return FreeNode(node_ids=[self.node_id]).to_osc()


@dataclass
class RunNode(Request):
    """Pauses or continues nodes. `/n_run`"""

    _address: ClassVar[str | int] = "/n_run"
    _merged_by: ClassVar[str | None] = "all"

    items: Sequence[tuple[SupportsInt, bool]]

    def _arguments(self) -> list[Any]:
        return [int(value) for item in self.items for value in item]


@dataclass
class SetNodeControl(Request):
    """Sets controls. `/n_set`"""

    _address: ClassVar[str | int] = "/n_set"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, float | Sequence[float]]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.node_id)]
        for name, values in self.items:
            arguments.append(control(name))
            if isinstance(values, Sequence):
                arguments.append([float(value) for value in values])
            else:
                arguments.append(float(values))
        return arguments


@dataclass
class SetNodeControlRange(Request):
    """Sets ranges of controls. `/n_setn`"""

    _address: ClassVar[str | int] = "/n_setn"

    node_id: SupportsInt
    items: Sequence[tuple[int | str, Sequence[float]]]

    def _arguments(self) -> list[Any]:
        arguments: list[Any] = [int(self.node_id)]
        for name, values in self.items:
            arguments += (control(name), len(values), *map(float, values))
        return arguments


@dataclass
class TraceNode(Request):
    """Lets the server print what nodes compute. `/n_trace`"""

    _address: ClassVar[str | int] = "/n_trace"

    node_ids: Sequence[SupportsInt]

    def _arguments(self) -> list[Any]:
        return numbers(self.node_ids)
