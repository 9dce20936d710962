"""The questions that both kinds of servers ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..enums import AddAction, CalculationRate
from ..exceptions import InvalidCalculationRate
from ..ugens import SYSTEM_SYNTHDEFS
from .requests import (
    DumpTree,
    GetBuffer,
    GetBufferRange,
    GetControlBus,
    GetControlBusRange,
    GetSynthControl,
    GetSynthControlRange,
    NewGroup,
    QueryBuffer,
    QueryNode,
    QueryStatus,
    QueryTree,
    QueryVersion,
    Request,
)

#: How many samples fit into a reply of 64 KiB, with some space left.
_MAX_SAMPLES = 13_000
#: Up to how many nodes fit into a reply of 64 KiB, with controls and without.
_MAX_NODES = {True: 250, False: 1_500}

__all__ = ["QueryStatus", "QueryVersion"]


def buffer(buffer: Any, indices: Sequence[int]) -> Request:
    """Asks for samples."""
    return GetBuffer(buffer_id=buffer, indices=indices)


def buffer_ranges(buffer: Any, index: int, count: int) -> Iterator[Request]:
    """Asks for consecutive samples, as many at a time as fit into a reply."""
    for start in range(index, index + count, _MAX_SAMPLES) or (index,):
        part = min(_MAX_SAMPLES, index + count - start)
        yield GetBufferRange(buffer_id=buffer, items=[(start, part)])


def _check_rate(bus: Any) -> int:
    if bus.calculation_rate != CalculationRate.CONTROL:
        raise InvalidCalculationRate(f"expected a control bus, found {bus.map_symbol()}")
    return int(bus)


def bus(server: Any, bus: Any, use_shared_memory: bool) -> tuple[Request, float | None]:
    """Asks for a control bus; or its value in shared memory."""
    id_ = _check_rate(bus)
    memory = server.shared_memory if use_shared_memory else None
    return GetControlBus(bus_ids=[id_]), None if memory is None else memory[id_]


def bus_range(
    server: Any, bus: Any, count: int, use_shared_memory: bool
) -> tuple[Request, Sequence[float] | None]:
    """Asks for consecutive control buses; or their values in shared memory."""
    id_ = _check_rate(bus)
    memory = server.shared_memory if use_shared_memory else None
    values = None if memory is None else memory[id_ : id_ + count]
    return GetControlBusRange(items=[(id_, count)]), values


def controls(synth: Any, controls: Sequence[int | str]) -> Request:
    """Asks for controls."""
    return GetSynthControl(synth_id=synth, controls=controls)


def control_range(synth: Any, control: int | str, count: int) -> Request:
    """Asks for consecutive controls."""
    return GetSynthControlRange(synth_id=synth, items=[(control, count)])


def buffer_info(buffer: Any) -> Request:
    """Asks for the size of a buffer."""
    return QueryBuffer(buffer_ids=[int(buffer)])


def node_info(node: Any) -> Request:
    """Asks for the place of a node."""
    return QueryNode(node_ids=[int(node)])


def tree(group: Any, include_controls: bool) -> Request:
    """Asks for a tree."""
    return QueryTree(items=[(0 if group is None else group, include_controls)])


def large_tree(server: Any, group: Any, include_controls: bool) -> Any:
    """Asks for a tree in several requests, if there are so many nodes that one is not enough."""
    server._validate_can_request()
    if server._core.node_count() <= _MAX_NODES[bool(include_controls)]:
        return None
    return server._core.query_tree(0 if group is None else int(group), bool(include_controls))


def dump_tree(server: Any, group: Any, include_controls: bool, sync: bool) -> Any:
    """Lets the server print a tree."""
    id_ = 0 if group is None else int(group)
    if sync:
        return server._core.dump_tree(id_, bool(include_controls))
    server._add_requests(DumpTree(items=[(id_, bool(include_controls))]))
    return None


def _is_only_client(server: Any) -> bool:
    client_id, maximum_logins = server._core.login()
    return bool(server.is_owner or (client_id == 0 and maximum_logins == 1))


def reset_begin(server: Any) -> None:
    """Frees everything, or what belongs to this client if there are others."""
    server._validate_can_request()
    with server.at():
        if _is_only_client(server):
            server.clear_schedule()
            server.free_group_children(server.root_node)
            server.free_all_synthdefs()
        else:
            server.free_group_children(server.default_group)


def reset_end(server: Any) -> None:
    """Restores groups and SynthDefs of a server that has just booted."""
    server._core.reset_ids()
    server._sync_id = server._sync_id_minimum
    if not _is_only_client(server):
        return
    _, maximum_logins = server._core.login()
    groups = [(index + 1, AddAction.ADD_TO_TAIL, 0) for index in range(maximum_logins)]
    server.send(NewGroup(items=groups))
    for synthdef in SYSTEM_SYNTHDEFS.values():
        with server.at():
            server.add_synthdefs(synthdef)
