"""Allocators of ids."""

from __future__ import annotations

import bisect
import dataclasses
import threading

#: Bits of a node id below those of the client.
_NODE_BITS = 26
_NODE_MASK = (1 << _NODE_BITS) - 1


@dataclasses.dataclass(order=True)
class Block:
    """Consecutive ids, the last excluded."""

    start_offset: int = 0
    stop_offset: int = 0

    @property
    def size(self) -> int:
        """The number of ids."""
        return self.stop_offset - self.start_offset


class _Locked:
    """An object with a lock, which copies do not share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


class BlockAllocator(_Locked):
    """Allocates blocks of consecutive ids, the first that is free."""

    def __init__(self, heap_maximum: int = 1024, heap_minimum: int = 0) -> None:
        super().__init__()
        #: The gaps in order; adjacent ones are merged.
        self._gaps = [Block(heap_minimum, heap_maximum)]
        #: The end of each block by its first id.
        self._ends: dict[int, int] = {}

    def allocate(self, size: int = 1) -> int | None:
        """The first id of a block, or `None` if no gap is large enough."""
        with self._lock:
            for gap in self._gaps:
                if gap.size >= size:
                    break
            else:
                return None
            first = gap.start_offset
            self._ends[first] = first + size
            gap.start_offset += size
            if not gap.size:
                self._gaps.remove(gap)
            return first

    def free(self, index: int) -> None:
        """Frees the block that begins with an id."""
        with self._lock:
            end = self._ends.pop(index, None)
            if end is None:
                return
            position = bisect.bisect(self._gaps, Block(index, end))
            start = index
            if position < len(self._gaps) and self._gaps[position].start_offset == end:
                end = self._gaps.pop(position).stop_offset
            if position and self._gaps[position - 1].stop_offset == start:
                position -= 1
                start = self._gaps.pop(position).start_offset
            self._gaps.insert(position, Block(start, end))


class NodeIdAllocator(_Locked):
    """Allocates node ids of a client: temporary ones, which are not reused, and permanent ones
    below them, the lowest that is free."""

    def __init__(
        self, client_id: int = 0, initial_node_id: int = 1000, locked: bool = True
    ) -> None:
        if not 0 <= client_id <= 31:
            raise ValueError(f"invalid client id {client_id}: expected 0 to 31")
        super().__init__()
        self._prefix = client_id << _NODE_BITS
        self._initial = initial_node_id
        self._next = initial_node_id
        self._next_permanent = 1
        self._free_permanent: set[int] = set()

    def allocate(self, count: int = 1) -> int:
        """The first of as many consecutive temporary ids."""
        return self.allocate_node_id(count)

    def allocate_node_id(self, count: int = 1) -> int:
        """The first of as many consecutive temporary ids."""
        with self._lock:
            first = self._next
            following = first + count
            if following > _NODE_MASK:
                following = following % _NODE_MASK + self._initial
            self._next = following
            return first | self._prefix

    def allocate_permanent_node_id(self) -> int:
        """The lowest permanent id that is free."""
        with self._lock:
            if self._free_permanent:
                node_id = min(self._free_permanent)
                self._free_permanent.discard(node_id)
            else:
                node_id = self._next_permanent
                self._next_permanent = min(node_id + 1, self._initial - 1)
            return node_id | self._prefix

    def free(self, node_id: int) -> None:
        """Frees an id, if it is permanent."""
        self.free_permanent_node_id(node_id)

    def free_permanent_node_id(self, node_id: int) -> None:
        """Frees a permanent id."""
        node_id &= _NODE_MASK
        with self._lock:
            if node_id < self._initial:
                self._free_permanent.add(node_id)
