"""The replies and notifications of servers, one class each."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from ..enums import NodeAction
from ..osc import OscMessage


@dataclasses.dataclass
class Response:
    """A message of a server."""

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is.

        Raises `KeyError` if no response has its address.
        """
        return _CLASSES[str(osc_message.address)].from_osc(osc_message)


def _ranges(values: Sequence[Any]) -> list[tuple[Any, tuple[Any, ...]]]:
    """Ranges: a first index or name, a count, and as many values."""
    items = []
    position = 0
    while position + 1 < len(values):
        end = position + 2 + int(values[position + 1])
        items.append((values[position], tuple(values[position + 2 : end])))
        position = end
    return items


def _pairs(values: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Pairs of an index or name and a value."""
    return list(zip(values[::2], values[1::2]))


@dataclasses.dataclass
class BufferInfo(Response):
    """The sizes of buffers. `/b_info`"""

    @dataclasses.dataclass
    class Item:
        """The size of a buffer: frames, channels, and frames per second."""

        buffer_id: int
        frame_count: int
        channel_count: int
        sample_rate: float

    items: Sequence[Item]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        starts = range(0, len(values), 4)
        return cls(items=[cls.Item(*values[start : start + 4]) for start in starts])


@dataclasses.dataclass
class DoneInfo(Response):
    """A request is done. `/done`"""

    command_name: str
    other: Sequence[float | str]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        command, *_ = values = osc_message.contents
        return cls(command_name=command, other=values[1:])


@dataclasses.dataclass
class FailInfo(Response):
    """A request failed. `/fail`"""

    command_name: str
    error: str
    other: Sequence[float | str]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(command_name=values[0], error=values[1], other=values[2:])


@dataclasses.dataclass
class GetBufferInfo(Response):
    """Samples, as pairs of an index and a value. `/b_set`"""

    buffer_id: int
    items: Sequence[tuple[int, float]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(buffer_id=values[0], items=_pairs(values[1:]))


@dataclasses.dataclass
class GetBufferRangeInfo(Response):
    """Ranges of samples, as pairs of a first index and values. `/b_setn`"""

    buffer_id: int
    items: Sequence[tuple[int, Sequence[float]]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(buffer_id=values[0], items=_ranges(values[1:]))


@dataclasses.dataclass
class GetControlBusInfo(Response):
    """Values of control buses, as pairs of a bus and a value. `/c_set`"""

    items: Sequence[tuple[int, float]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        return cls(items=_pairs(osc_message.contents))


@dataclasses.dataclass
class GetControlBusRangeInfo(Response):
    """Ranges of control buses, as pairs of a first bus and values. `/c_setn`"""

    items: Sequence[tuple[int, Sequence[float]]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        return cls(items=_ranges(osc_message.contents))


@dataclasses.dataclass
class GetNodeControlInfo(Response):
    """Values of controls, as pairs of a name or index and a value. `/n_set`"""

    node_id: int
    items: Sequence[tuple[int | str, float]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(node_id=values[0], items=_pairs(values[1:]))


@dataclasses.dataclass
class GetNodeControlRangeInfo(Response):
    """Ranges of controls, as pairs of a first name or index and values. `/n_setn`"""

    node_id: int
    items: Sequence[tuple[int | str, Sequence[float]]]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(node_id=values[0], items=_ranges(values[1:]))


@dataclasses.dataclass
class NodeInfo(Response):
    """A node and its place in the tree. -1 stands for no node. `/n_info`, `/n_go` and others"""

    action: NodeAction
    node_id: int
    parent_id: int
    previous_id: int
    next_id: int
    is_group: bool
    head_id: int | None = None
    tail_id: int | None = None

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        is_group = bool(values[4])
        ends = values[5:7] if is_group else ()
        fields: Any = (NodeAction.from_expr(osc_message.address), *values[:4], is_group, *ends)
        return cls(*fields)


@dataclasses.dataclass
class QueryTreeInfo(Response):
    """A tree as a list of nodes, each before those inside. `/g_queryTree.reply`"""

    @dataclasses.dataclass
    class Item:
        """A node; `child_count` is -1 for synths."""

        node_id: int
        child_count: int
        synthdef_name: str | None = None
        controls: dict[int | str, float | str] | None = None

    node_id: int
    child_count: int
    items: Sequence[Item]

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Iterator[Any] = iter(osc_message.contents)
        has_controls = bool(next(values))
        node_id, child_count = next(values), next(values)
        items = []
        for child in values:
            item = cls.Item(node_id=child, child_count=next(values))
            if item.child_count < 0:
                item.synthdef_name = next(values)
                if has_controls:
                    item.controls = {next(values): next(values) for _ in range(next(values))}
            items.append(item)
        return cls(node_id=node_id, child_count=child_count, items=items)


@dataclasses.dataclass
class QueryTreeControl:
    """The value of a control, or the bus that it is mapped to, such as `c0`."""

    name_or_index: int | str
    value: float | str

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else round(self.value, 6)
        return f"{self.name_or_index}: {value}"


@dataclasses.dataclass
class QueryTreeNode:
    """A node of a tree."""

    node_id: int
    annotation: str | None = None

    def _lines(self, has_ids: bool) -> list[str]:
        """The node as text."""
        raise NotImplementedError

    def _title(self, name: str | None, has_ids: bool) -> str:
        title = f"{self.node_id if has_ids else '...'} {name}"
        return f"{title} ({self.annotation})" if self.annotation else title


@dataclasses.dataclass
class QueryTreeSynth(QueryTreeNode):
    """A synth of a tree."""

    node_id: int
    synthdef_name: str | None = None
    controls: list[QueryTreeControl] = dataclasses.field(default_factory=list)
    annotation: str | None = None

    def __format__(self, format_spec: str) -> str:
        return "\n".join(self._lines(format_spec != "unindexed")) + "\n"

    def __str__(self) -> str:
        return format(self)

    def _lines(self, has_ids: bool) -> list[str]:
        lines = [self._title(self.synthdef_name, has_ids)]
        if self.controls:
            lines.append("    " + ", ".join(map(str, self.controls)))
        return lines


@dataclasses.dataclass
class QueryTreeGroup(QueryTreeNode):
    """A group of a tree, and the nodes in it. As text it is the tree; `format(tree, "unindexed")`
    leaves the ids out."""

    node_id: int
    children: list[QueryTreeNode] = dataclasses.field(default_factory=list)
    annotation: str | None = None

    def __format__(self, format_spec: str) -> str:
        return "NODE TREE " + "\n".join(self._lines(format_spec != "unindexed")) + "\n"

    def __str__(self) -> str:
        return format(self)

    def _lines(self, has_ids: bool) -> list[str]:
        lines = [self._title("group", has_ids)]
        for child in self.children:
            lines += ("    " + line for line in child._lines(has_ids))
        return lines

    def annotate(self, annotations: dict[int, str]) -> QueryTreeGroup:
        """The tree with texts beside nodes, by their ids."""

        def annotated(node: QueryTreeNode) -> QueryTreeNode:
            annotation = annotations.get(node.node_id, node.annotation)
            if isinstance(node, QueryTreeGroup):
                children = [annotated(child) for child in node.children]
                return dataclasses.replace(node, annotation=annotation, children=children)
            return dataclasses.replace(node, annotation=annotation)

        tree = annotated(self)
        assert isinstance(tree, QueryTreeGroup)
        return tree

    def walk(self) -> Generator[QueryTreeGroup, None, None]:
        """This group and those inside."""
        yield self
        for child in self.children:
            if isinstance(child, QueryTreeGroup):
                yield from child.walk()

    @classmethod
    def from_query_tree_info(cls, response: QueryTreeInfo) -> QueryTreeGroup:
        """The tree of a reply."""
        root = cls(node_id=response.node_id)
        # The open groups, each with the number of nodes that are still to come.
        groups = [[root, response.child_count]]
        for item in response.items:
            while groups and groups[-1][1] == 0:
                groups.pop()
            if not groups:
                break
            groups[-1][1] -= 1  # type: ignore[operator]
            parent: Any = groups[-1][0]
            if item.child_count < 0:
                controls = [QueryTreeControl(*pair) for pair in (item.controls or {}).items()]
                parent.children.append(
                    QueryTreeSynth(
                        node_id=item.node_id, synthdef_name=item.synthdef_name, controls=controls
                    )
                )
            else:
                group = cls(node_id=item.node_id)
                parent.children.append(group)
                groups.append([group, item.child_count])
        return root

    @classmethod
    def from_string(cls, string: str) -> QueryTreeGroup:
        """The tree that a server printed."""
        lines = string.splitlines()
        while lines and not lines[0].startswith("NODE TREE"):
            lines.pop(0)
        if not lines:
            raise ValueError(f"expected a tree that begins with `NODE TREE`, found {string!r}")
        groups = [cls(node_id=int(lines.pop(0).split()[-1]))]
        synth = QueryTreeSynth(node_id=-1)
        for line in lines:
            node = re.fullmatch(r"( *)(\d+) (\S+)", line)
            if node is None:
                for name, value in re.findall(r"(\w+): (\S+)", line):
                    synth.controls.append(
                        QueryTreeControl(_number(name, int), _number(value, float))
                    )
                continue
            spaces, node_id, name = node.groups()
            # Each level is three spaces further.
            del groups[max(len(spaces) // 3, 1) :]
            if name == "group":
                group = cls(node_id=int(node_id))
                groups[-1].children.append(group)
                groups.append(group)
            else:
                synth = QueryTreeSynth(node_id=int(node_id), synthdef_name=name)
                groups[-1].children.append(synth)
        return groups[0]

    @classmethod
    def _from_tuples(cls, tree: tuple[int, None, list[Any]]) -> QueryTreeGroup:
        """The tree of the compiled part."""
        node_id, _, children = tree
        return cls(
            node_id=node_id,
            children=[
                cls._from_tuples(child)
                if child[1] is None
                else QueryTreeSynth(
                    node_id=child[0],
                    synthdef_name=child[1],
                    controls=[QueryTreeControl(*pair) for pair in child[2]],
                )
                for child in children
            ],
        )


def _number(text: str, kind: Any) -> Any:
    """A text as a number, if it is one."""
    try:
        return kind(text)
    except ValueError:
        return text


@dataclasses.dataclass
class StatusInfo(Response):
    """The server's load in percent, its counts, and its rates in hertz. `/status.reply`"""

    actual_sample_rate: float
    average_cpu_usage: float
    group_count: int
    peak_cpu_usage: float
    synth_count: int
    synthdef_count: int
    target_sample_rate: float
    ugen_count: int

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls._of(values[1:9])

    @classmethod
    def _of(cls, values: Sequence[Any]) -> StatusInfo:
        """The status of values in the order of `/status.reply`."""
        return cls(**dict(zip(_STATUS_FIELDS, values)))


_STATUS_FIELDS = (
    "ugen_count",
    "synth_count",
    "group_count",
    "synthdef_count",
    "average_cpu_usage",
    "peak_cpu_usage",
    "target_sample_rate",
    "actual_sample_rate",
)


@dataclasses.dataclass
class SyncedInfo(Response):
    """All requests before a `/sync` are done. `/synced`"""

    sync_id: int

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(values[0])


@dataclasses.dataclass
class SynthDefRemovedInfo(Response):
    """A SynthDef was freed. `/d_removed`"""

    name: str

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(values[0])


@dataclasses.dataclass
class TriggerInfo(Response):
    """A `SendTrig` was triggered. `/tr`"""

    node_id: int
    trigger_id: int
    value: float

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(*values[:3])


@dataclasses.dataclass
class VersionInfo(Response):
    """The server's program and its version. `/version.reply`"""

    program_name: str
    major: int
    minor: int
    patch: str
    branch: str
    commit: str

    @classmethod
    def from_osc(cls, osc_message: OscMessage) -> Response:
        """The response that a message is."""
        values: Any = osc_message.contents
        return cls(*values[:6])


_CLASSES: dict[str, type[Response]] = {
    "/b_info": BufferInfo,
    "/b_set": GetBufferInfo,
    "/b_setn": GetBufferRangeInfo,
    "/c_set": GetControlBusInfo,
    "/c_setn": GetControlBusRangeInfo,
    "/d_removed": SynthDefRemovedInfo,
    "/done": DoneInfo,
    "/fail": FailInfo,
    "/g_queryTree.reply": QueryTreeInfo,
    "/n_end": NodeInfo,
    "/n_go": NodeInfo,
    "/n_info": NodeInfo,
    "/n_move": NodeInfo,
    "/n_off": NodeInfo,
    "/n_on": NodeInfo,
    "/n_set": GetNodeControlInfo,
    "/n_setn": GetNodeControlRangeInfo,
    "/status.reply": StatusInfo,
    "/synced": SyncedInfo,
    "/tr": TriggerInfo,
    "/version.reply": VersionInfo,
}
