"""Functions on sequences."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import chain, cycle, islice
from typing import Any, TypeVar

__all__ = [
    "expand",
    "flatten",
    "group_by_count",
    "iterate_nwise",
    "repeat_to_length",
    "zip_cycled",
]

T = TypeVar("T")


def expand(
    mapping: dict[str, Any],
    unexpanded: Iterable[str] | None = None,
    only: Iterable[str] | None = None,
) -> list[dict[str, Any]]:
    """The mappings that result when each sequence among the values is replaced by one of its items:
    as many as the longest sequence has; shorter ones are repeated.

    Values of the names in `unexpanded`, or not in `only`, are kept.
    """
    kept = set(unexpanded or ())
    if only is not None:
        kept |= set(mapping) - set(only)

    def is_expanded(name: str, value: Any) -> bool:
        return (
            name not in kept and isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        )

    lengths = [len(value) for name, value in mapping.items() if is_expanded(name, value)]
    return [
        {
            name: value[index % len(value)] if is_expanded(name, value) else value
            for name, value in mapping.items()
        }
        for index in range(max(lengths, default=1))
    ]


def flatten(
    iterable: Iterable[Any], terminal_types: type | tuple[type, ...] | None = None
) -> Generator[Any, None, None]:
    """The items of nested iterables; texts, and objects of `terminal_types`, are items."""
    for item in iterable:
        is_item = isinstance(item, (str, bytes)) or (
            terminal_types is not None and isinstance(item, terminal_types)
        )
        if is_item or not isinstance(item, Iterable):
            yield item
        else:
            yield from flatten(item, terminal_types)


def group_by_count(iterable: Iterable[T], count: int) -> Generator[list[T], None, None]:
    """Lists of `count` items each; the last may have fewer."""
    iterator = iter(iterable)
    while group := list(islice(iterator, count)):
        yield group


def iterate_nwise(iterable: Iterable[T], n: int = 2) -> Generator[Sequence[T], None, None]:
    """All runs of `n` consecutive items."""
    iterator = iter(iterable)
    window = tuple(islice(iterator, n - 1))
    for item in iterator:
        window = (*window, item)
        yield window
        window = window[1:]


def repeat_to_length(iterable: Iterable[T], length: int) -> Generator[T, None, None]:
    """`length` items; the iterable is repeated."""
    yield from islice(cycle(iterable), length)


def zip_cycled(*args: Sequence[T]) -> Generator[Sequence[T], None, None]:
    """As `zip`, as long as the longest sequence; shorter ones are repeated."""
    length = max(map(len, chain(args)), default=0)
    for index in range(length):
        yield tuple(sequence[index % len(sequence)] for sequence in args)
