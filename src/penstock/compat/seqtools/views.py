"""What every function of this package returns: a lazy sequence over a Penstock dataset.

view[i]      ──> items   the dataset that is read
view[i] = x  ──> sink    the same steps without what only shapes results; None behind a mapping
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any

import penstock as ps
from penstock.compat.seqtools.errors import site, told


class View:
    """A lazy sequence: ``len``, ``[i]``, slices, iteration, assignment. Nothing is computed until it is read."""

    def __init__(self, items: Any, sink: Any = None, maps: int = 0) -> None:
        self._items = items
        self._sink = sink
        self._maps = maps  # mappings that items go through, one after the other
        self._site = site()

    @property
    def dataset(self) -> Any:
        """The Penstock dataset behind it, to go on with."""
        return self._items

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __iter__(self) -> Iterator[Any]:
        index = -1
        try:
            for index, value in enumerate(self._items):  # noqa: B007  an error is told the number behind it
                yield value
        except Ended:
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it is told with its place
            self._fail(error, index + 1)

    def __getitem__(self, key: Any) -> Any:
        try:
            index = operator.index(key)
        except TypeError:
            from_front(self, key)
            return View(self._items[key], None if self._sink is None else self._sink[key], self._maps)
        index = place(self, index)
        try:
            return self._items[index]
        except Exception as error:  # noqa: BLE001  whatever it is, it is told with its place
            self._fail(error, index)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._sink is None:
            raise TypeError(f"{self!r} does not support item assignment: a function computes its items.")
        from_front(self, key)
        self._sink[key] = value

    def _fail(self, error: Exception, index: int) -> None:
        found = told(error, index, self._maps, self._site)
        raise found from (error.__cause__ if found is error else error)

    def __repr__(self) -> str:
        return f"<seqtools {type(self).__name__} of {self._items!r}>"


class Ended(IndexError):
    """A sequence of unknown length that has no such item."""


class Entry:
    """Reads entries of a sequence that does not tell its length."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __call__(self, index: int) -> Any:
        """Return an entry, or say that there is none."""
        try:
            return self.sequence[index]
        except (IndexError, StopIteration) as error:
            raise Ended(f"the sequence has no item {index}") from error


def sized(view: Any) -> int | None:
    """Return the length of what has one."""
    try:
        return len(view)
    except TypeError:
        return None


def from_front(view: View, key: Any) -> None:
    """Refuse what counts from an end that nobody knows."""
    if sized(view) is None:
        for index in (key.start, key.stop) if isinstance(key, slice) else (key,):
            if isinstance(index, Integral) and index < 0:
                raise IndexError(f"index {index} counts from the end, which nobody knows: {view!r}")


def place(sequence: Any, index: int) -> int:
    """Return an index from the front, checked where the length is known."""
    length = sized(sequence)
    if length is None:
        from_front(sequence, index)
        return index
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range for {length} items: {sequence!r}")
    return index % length


def adopt(sequence: Any) -> View:
    """Return a view of anything that can be indexed, or at least iterated."""
    if isinstance(sequence, View):
        return sequence
    if isinstance(sequence, (ps.Sequence, ps.Stream)):
        return View(sequence, sequence if isinstance(sequence, ps.Sequence) else None)
    if isinstance(sequence, str):
        sequence = tuple(sequence)
    if hasattr(sequence, "__getitem__"):
        try:
            len(sequence)
        except TypeError:
            return View(counting().map(Entry(sequence)))
        items = ps.items(sequence)
        return View(items, items)
    return View(ps.stream(sequence, once=isinstance(sequence, Iterator)))


def counting() -> Any:
    """Return the whole numbers from 0 on, without end."""
    return ps.range(1).repeat().enumerate().map(operator.itemgetter(0))


def derive(step: Callable[..., Any], *sequences: Any) -> View:
    """Return the view of a step over others; assignment goes through it, where it goes through all of them."""
    views = [adopt(sequence) for sequence in sequences]
    items = step(*[view._items for view in views])  # noqa: SLF001  one class, made in several places
    sinks = [view._sink for view in views]  # noqa: SLF001
    sink = None
    if None not in sinks:
        same = all(view._items is view._sink for view in views)  # noqa: SLF001
        sink = items if same else step(*sinks)
    return View(items, sink, depth(views))


def depth(views: Iterable[View]) -> int:
    """Return how many mappings the items of some views go through at the most."""
    return max([view._maps for view in views], default=0)  # noqa: SLF001
