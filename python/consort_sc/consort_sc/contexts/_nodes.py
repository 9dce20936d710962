"""Requests of contexts about nodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, SupportsFloat, SupportsInt

from ..enums import AddAction, CalculationRate
from ..typing import AddActionLike
from ..ugens import SynthDef
from ._buffers import _Base
from .entities import Bus, BusGroup, Group, Node, Synth
from .requests import (
    FreeGroupChildren,
    FreeGroupDeep,
    MapAudioBusRangeToNode,
    MapAudioBusToNode,
    MapControlBusRangeToNode,
    MapControlBusToNode,
    MoveNodeAfter,
    MoveNodeBefore,
    MoveNodeToGroupHead,
    MoveNodeToGroupTail,
    NewGroup,
    NewParallelGroup,
    NewSynth,
    OrderNodes,
    ReleaseNode,
    Request,
    RunNode,
    SetNodeControl,
    SetNodeControlRange,
)

_BUS = re.compile(r"([ac])(\d+)")


def _bus(value: Bus | str) -> tuple[bool, int]:
    """Whether a bus is an audio bus, and its id."""
    if isinstance(value, Bus):
        return value.calculation_rate is CalculationRate.AUDIO, int(value)
    match = _BUS.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"invalid bus {value!r}: expected a bus, or a text such as `a16` or `c0`")
    return match[1] == "a", int(match[2])


def _setting(value: Any) -> Any:
    """The value of a control of a new synth: a number, a bus, or several."""
    if isinstance(value, str):
        _bus(value)
        return value
    if isinstance(value, Sequence):
        values = tuple(_setting(item) for item in value)
        return values[0] if len(values) == 1 else values
    return float(value)


def _numbers(value: Any) -> Any:
    """The value of a control: a number or several."""
    if isinstance(value, Sequence):
        return [float(item) for item in value]
    return float(value)


class NodeRequests(_Base):
    """Requests of contexts about nodes."""

    _resolve_node: Any

    def _place(
        self, add_action: AddActionLike, target_node: SupportsInt | None
    ) -> tuple[AddAction, int]:
        """The add action and the id of the node that a new one is placed relative to."""
        self._validate_can_request()
        action = AddAction.from_expr(add_action)
        if isinstance(target_node, Node) and action not in target_node._valid_add_actions:
            kind = type(target_node).__name__
            raise ValueError(f"a node cannot be placed relative to a {kind} by {action.name}")
        return action, self._resolve_node(target_node)

    def _new_node(self, permanent: bool) -> int:
        """The id of a new node."""
        id_: int = self._allocate_id(Node, permanent=permanent)
        if permanent:
            self._on_abandon(lambda: self._free_id(Node, id_))
        return id_

    def add_group(
        self,
        *,
        add_action: AddActionLike = AddAction.ADD_TO_HEAD,
        target_node: SupportsInt | None = None,
        parallel: bool = False,
        permanent: bool = False,
    ) -> Group:
        """Adds a group relative to a node, by default the default group. `/g_new`, `/p_new`"""
        action, target = self._place(add_action, target_node)
        id_ = self._new_node(permanent)
        kind = NewParallelGroup if parallel else NewGroup
        self._add_requests(kind(items=[(id_, action, target)]))
        return Group(context=self, id_=id_, parallel=parallel)  # type: ignore[arg-type]

    def add_synth(
        self,
        synthdef: SynthDef,
        *,
        add_action: AddActionLike = AddAction.ADD_TO_HEAD,
        target_node: SupportsInt | None = None,
        permanent: bool = False,
        **settings: SupportsFloat | str | Sequence[SupportsFloat | str],
    ) -> Synth:
        """Adds a synth relative to a node, by default the default group. Settings that equal the
        SynthDef's defaults are not sent; a text such as `c0` maps a control to a bus. `/s_new`"""
        action, target = self._place(add_action, target_node)
        controls: dict[int | str, Any] = {}
        if settings:
            parameters = synthdef.parameters
            for name, value in settings.items():
                parameter = parameters.get(name)
                if parameter is None:
                    self._warn_unknown_control(synthdef, name)
                    continue
                is_many = isinstance(value, Sequence) and not isinstance(value, str)
                if (value if is_many else (value,)) != parameter[0].value:
                    controls[name] = _setting(value)
        id_ = self._new_node(permanent)
        self._add_requests(
            NewSynth(
                synthdef=synthdef,
                synth_id=id_,
                add_action=action,
                target_node_id=target,
                controls=controls,
            )
        )
        return Synth(context=self, id_=id_, synthdef=synthdef)  # type: ignore[arg-type]

    @staticmethod
    def _warn_unknown_control(synthdef: SynthDef, name: str) -> None:
        import warnings

        if synthdef.effective_name.startswith("supriya:link"):
            # Patterns give these the controls of their notes.
            return
        names = ", ".join(sorted(synthdef.parameters)) or "none"
        warnings.warn(
            f"the SynthDef `{synthdef.effective_name}` has no control `{name}`; it has: {names}",
            stacklevel=4,
        )

    def free_group_children(self, group: Group, synths_only: bool = False) -> None:
        """Frees the nodes in a group, or only synths, also in the groups inside. `/g_freeAll`,
        `/g_deepFree`"""
        self._validate_can_request()
        kind = FreeGroupDeep if synths_only else FreeGroupChildren
        self._add_requests(kind(node_ids=[group.id_]))

    def free_node(self, node: Node, force: bool = False) -> None:
        """Releases a synth with a gate, and frees other nodes, or any with `force`. `/n_set`,
        `/n_free`"""
        self._validate_can_request()
        has_gate = isinstance(node, Synth) and "gate" in node.synthdef.parameters
        self._add_requests(ReleaseNode(node.id_, has_gate=has_gate, force=force))

    def map_node(self, node: Node, **settings: Bus | str | None) -> None:
        """Maps controls to buses, or no longer with `None`. `/n_map`, `/n_mapa`"""
        self._validate_can_request()
        buses: dict[bool, list[tuple[int | str, SupportsInt]]] = {False: [], True: []}
        for name, value in sorted(settings.items()):
            is_audio, bus = (False, -1) if value is None else _bus(value)
            buses[is_audio].append((name, bus))
        requests: list[Request] = []
        if buses[False]:
            requests.append(MapControlBusToNode(node_id=node, items=buses[False]))
        if buses[True]:
            requests.append(MapAudioBusToNode(node_id=node, items=buses[True]))
        self._add_requests(*requests)

    def map_node_range(
        self, node: Node, **settings: BusGroup | tuple[Bus | str, int] | None
    ) -> None:
        """Maps ranges of controls to buses: to a group, or to a bus and those that follow; or no
        longer with `None`. `/n_mapn`, `/n_mapan`"""
        self._validate_can_request()
        buses: dict[bool, list[tuple[int | str, SupportsInt, int]]] = {False: [], True: []}
        for name, value in sorted(settings.items()):
            if value is None:
                buses[False].append((name, -1, 1))
                continue
            first, count = (value[0], len(value)) if isinstance(value, BusGroup) else value
            is_audio, bus = _bus(first)
            buses[is_audio].append((name, bus, count))
        requests: list[Request] = []
        if buses[False]:
            requests.append(MapControlBusRangeToNode(node_id=node, items=buses[False]))
        if buses[True]:
            requests.append(MapAudioBusRangeToNode(node_id=node, items=buses[True]))
        self._add_requests(*requests)

    def move_node(self, node: Node, add_action: AddActionLike, target_node: Node) -> None:
        """Moves a node relative to another. `/n_before`, `/n_after`, `/g_head`, `/g_tail`"""
        self._validate_can_request()
        action = AddAction.from_expr(add_action)
        kinds = {
            AddAction.ADD_BEFORE: MoveNodeBefore,
            AddAction.ADD_AFTER: MoveNodeAfter,
            AddAction.ADD_TO_HEAD: MoveNodeToGroupHead,
            AddAction.ADD_TO_TAIL: MoveNodeToGroupTail,
        }
        if action not in kinds:
            raise ValueError(f"a node cannot be moved by {action.name}")
        kind: Any = kinds[action]
        self._add_requests(kind(items=[(node, target_node)]))

    def order_nodes(
        self, target_node: Node, *nodes: Node, add_action: AddActionLike = None
    ) -> None:
        """Moves nodes in this order relative to another. `/n_order`"""
        self._validate_can_request()
        self._add_requests(
            OrderNodes(add_action=add_action, target_node_id=target_node, node_ids=nodes)
        )

    def pause_node(self, node: Node) -> None:
        """Pauses a node. `/n_run`"""
        self._validate_can_request()
        self._add_requests(RunNode(items=[(node, False)]))

    def unpause_node(self, node: Node) -> None:
        """Continues a node. `/n_run`"""
        self._validate_can_request()
        self._add_requests(RunNode(items=[(node, True)]))

    def set_node(
        self,
        node: Node,
        *indexed_settings: tuple[int, SupportsFloat | Sequence[SupportsFloat]],
        **settings: SupportsFloat | Sequence[SupportsFloat],
    ) -> None:
        """Sets controls, by index and by name. `/n_set`"""
        self._validate_can_request()
        self._add_requests(
            SetNodeControl(node_id=node.id_, items=self._settings(indexed_settings, settings))
        )

    def set_node_range(
        self,
        node: Node,
        *indexed_settings: tuple[int, Sequence[SupportsFloat]],
        **settings: Sequence[SupportsFloat],
    ) -> None:
        """Sets ranges of controls, by index and by name. `/n_setn`"""
        self._validate_can_request()
        self._add_requests(
            SetNodeControlRange(node_id=node.id_, items=self._settings(indexed_settings, settings))
        )

    @staticmethod
    def _settings(indexed: Sequence[tuple[int, Any]], named: dict[str, Any]) -> list[Any]:
        """Settings in order: those by index, then those by name; the last of each control."""
        values: dict[int | str, Any] = {}
        pairs: list[tuple[Any, Any]] = [*sorted(indexed), *sorted(named.items())]
        for key, value in pairs:
            values[key] = _numbers(value)
        return list(values.items())
