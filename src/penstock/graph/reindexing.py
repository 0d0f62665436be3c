"""Reindexing: steps whose items are items of their inputs, at other positions; and how a chain of them is read at once.

Such a step says only which item of which input stands where: it *traces* positions. Neighbours behind a shuffle come
from all over, so there a block of places is traced, through all such steps on the way, and kept:

    block of places ──shuffle──concat──┬──slice──shuffle──┬──> which source, which of its positions
                                       └──slice───────────┘

What is left to do for a batch is to cut a piece out of the block, and one gather. Without a step that scatters, ranges
stay ranges, so that a store reads neighbours together.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.graph.items import merge
from penstock.graph.node import Node, Unchanged, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.order import Key
    from penstock.graph.reading import Reading

Vector = NDArray[np.int64]

BLOCK = 1 << 16  # places that are traced at once: enough that NumPy's calls cost little, few enough for the cache
GROWTH = 16  # times what was traced, or is asked for, are traced next: whoever wants few does not pay for many
LONG = 0.01  # seconds of tracing, behind which no block is larger: rounds of few items cost far more than others
KEPT = 2  # blocks of a step, and epochs: threads are on both sides of a border for a while
FEW = 16  # numbers that are looked for one by one
WHOLE = slice(None)


class Piece(NamedTuple):
    """Some of the places that were asked for, and the items of an input that stand there."""

    where: slice | Vector
    node: Node
    indices: Indices
    epoch: int


@operation
class Reindexing(Node):
    """A step whose items are items of its inputs, at other positions."""

    scatters: ClassVar[bool] = False
    """Whether neighbours come from all over the input. If not, ranges are traced to ranges."""

    @abstractmethod
    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return where the items at some positions, at least one, come from. Runs nothing of the user's per item."""

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items: one gather of every node that the positions lead to."""
        if not len(indices):
            return read.gather(self.sources[0], range(0))
        if read.stepwise or (isinstance(indices, range) and not self.scatters):
            found = self.trace(indices, read)
            return merge([(p.where, inside(p.epoch, read).gather(p.node, p.indices)) for p in found], len(indices))
        if isinstance(indices, range) and len(indices) != self.length():
            return read.keyed(self, Blocks, kept=KEPT).gather(self, indices, read)
        return Traced(self, indices, read).gather(WHOLE, read)


class Traced:
    """Where the items at some positions of a step come from, through all steps on the way that only reindex."""

    __slots__ = ("indices", "leaves", "numbers")

    def __init__(self, node: Node, indices: Indices, read: Reading) -> None:
        self.leaves: list[tuple[Node, int]] = []  # with the epoch in which each is read
        self.indices: Indices = indices
        self.numbers: NDArray[np.int32] | None = None  # of the leaf, for every position; None where there is one leaf
        found = self._follow(node, read, len(indices))
        if len(found) == 1:
            self.indices = found[0][2]
            return
        self.indices = np.empty(len(indices), np.int64)
        if len(self.leaves) > 1:
            self.numbers = np.empty(len(indices), np.int32)
        for where, number, positions in found:
            self.indices[where] = positions
            if self.numbers is not None:
                self.numbers[where] = number

    def _follow(self, node: Node, read: Reading, count: int) -> list[tuple[slice | Vector, int, Indices]]:
        """Return the positions of leaves: which of those asked for, the leaf's number, where in the leaf."""
        numbers: dict[tuple[int, int], int] = {}
        found: list[tuple[slice | Vector, int, Indices]] = []
        waiting = [Piece(WHOLE, node, self.indices, read.epoch)]
        for piece in waiting:  # grows while it is gone through
            where, node, indices, epoch = piece
            if isinstance(node, Reindexing):
                inner = node.trace(indices, inside(epoch, read))
                waiting.extend(p._replace(where=composed(where, p.where, count)) for p in inner)
            elif type(node).gather is Unchanged.gather:
                waiting.append(piece._replace(node=node.sources[0]))
            else:
                leaf = (id(node), read.epoch if node.timeless else epoch)
                if leaf not in numbers:
                    numbers[leaf] = len(numbers)
                    self.leaves.append((node, leaf[1]))
                found.append((where, numbers[leaf], indices))
        return found

    def gather(self, part: slice, read: Reading) -> Sequence[Any]:
        """Compute the items of some of the positions."""
        indices: Any = self.indices[part]
        if self.numbers is None:
            return self._read(0, indices, read)
        found = groups(self.numbers[part])
        return merge([(where, self._read(number, indices[where], read)) for number, where in found], len(indices))

    def _read(self, number: int, indices: Indices, read: Reading) -> Sequence[Any]:
        node, epoch = self.leaves[number]
        return inside(epoch, read).gather(node, indices)


class Block(NamedTuple):
    """Neighbouring places that were traced together."""

    places: range
    traced: Traced
    seconds: float


class Blocks:
    """The blocks of a step that were traced last, in one epoch."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._held: tuple[Block, ...] = ()  # one value: threads that share this replace all at once

    def gather(self, node: Node, places: range, read: Reading) -> Sequence[Any]:
        """Compute the items at neighbouring places."""
        for held, traced, _ in self._held:
            if places.step == held.step and places[0] in held and places[-1] in held:
                begin = (places.start - held.start) // held.step
                return traced.gather(slice(begin, begin + len(places)), read)
        began = perf_counter()
        ahead = self._ahead(places, node.length())
        traced = Traced(node, ahead, read)
        self._held = (Block(ahead, traced, perf_counter() - began), *self._held[: KEPT - 1])
        return traced.gather(slice(0, len(places)), read)

    def _ahead(self, places: range, length: int | None) -> range:
        """Return the places with those behind them: more and more while whoever asks goes on not far from before."""
        start, step = places.start, places.step
        size = len(places)
        for held, _, seconds in self._held:
            if held.step == step and 0 < (start - held.start) // step <= len(held) + BLOCK:
                wanted = len(held) if seconds > LONG else GROWTH * max(len(held), len(places))
                size = max(size, min(BLOCK, wanted))
        stop = start + size * step
        return range(start, max(stop, -1) if step < 0 else stop if length is None else min(stop, length), step)


def inside(epoch: int, read: Reading) -> Reading:
    """Return the reading of an epoch."""
    return read if epoch == read.epoch else read.at(epoch)


def composed(outer: slice | Vector, inner: slice | Vector, count: int) -> slice | Vector:
    """Return which of ``count`` places some of some of them are."""
    if outer is WHOLE or inner is WHOLE:
        return inner if outer is WHOLE else outer
    return (np.arange(count)[outer] if isinstance(outer, slice) else outer)[inner]


def runs(indices: range, find: Callable[[int], tuple[int, int, int | None]]) -> Iterator[tuple[int, slice, range]]:
    """Cut a range at borders: yield the number of each stretch, which indices fall into it, and where in it they are.

    Args:
        indices: in any direction.
        find: returns, for an index, the number of its stretch, its first index, and that behind its last if it has one.
    """
    step, done, count = indices.step, 0, len(indices)
    while done < count:
        number, begin, end = find(indices[done])
        if step < 0:
            upto = min(count, (indices.start - begin) // -step + 1)
        else:
            upto = count if end is None else min(count, -((indices.start - end) // step))
        mine = indices[done:upto]
        yield number, slice(done, upto), range(mine.start - begin, mine.stop - begin, step)
        done = upto


def shifted(indices: Indices, begin: int, step: int = 1) -> Indices:
    """Return ``begin + index * step`` for all indices; a range stays one."""
    if isinstance(indices, range):
        return range(begin + indices.start * step, begin + indices.stop * step, indices.step * step)
    there = indices if step == 1 else indices * step
    return there + begin if begin else there


def picked(indices: Vector, where: slice | Vector) -> Vector:
    """Return ``indices[where]``, in two thirds of the time."""
    return indices[where] if isinstance(where, slice) else indices.take(where)


def rounds(node: Node, n: int, indices: Indices, first: int) -> list[Piece]:
    """Return where positions come from that count ``n`` items a round, each round an epoch from ``first`` on."""
    if isinstance(indices, range):
        number = indices[0] // n
        if number == indices[-1] // n:
            return [Piece(WHOLE, node, shifted(indices, -number * n), first + number)]
        found = runs(indices, lambda index: (index // n, index - index % n, index - index % n + n))
        return [Piece(where, node, inner, first + number) for number, where, inner in found]
    which = indices // n
    return [Piece(mine, node, picked(indices, mine) - number * n, first + number) for number, mine in groups(which)]


def groups(numbers: NDArray[Any]) -> Iterator[tuple[int, slice | Vector]]:
    """Yield each number that occurs, and where: of few by comparing, of many by sorting."""
    low, high = int(numbers.min()), int(numbers.max())
    if low == high:
        yield low, WHOLE
    elif high - low < FEW:
        for number in range(low, high + 1):
            mine = np.flatnonzero(numbers == number)
            if len(mine):
                yield number, mine
    else:
        order = np.argsort(numbers, kind="stable")
        for mine in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            yield int(numbers[mine[0]]), mine
