"""shard: a rank's part of the items.

    stride   rank 0 of 3:  0  3  6  9      block   rank 0 of 3:  0  1  2
             rank 1 of 3:  1  4  7                 rank 1 of 3:  3  4  5
             rank 2 of 3:  2  5  8                 rank 2 of 3:  6  7  8  9

Both are pictures of 10 items with ``last="keep"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, whole
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing, shifted

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop", "error", "pad")
BY = ("stride", "block")
MIX = 0x9E3779B97F4A7C15  # an odd number with its bits well spread: seeds of neighbouring ranks differ in all bits


@operation
class Shard(Reindexing):
    """The items of one rank of several; together the ranks read every item once, but for what ``last`` says."""

    input: Node
    rank: int
    world: int
    last: str
    by: str = "stride"

    pure = True

    def check(self) -> None:
        """Refuse ranks that do not exist, and items that cannot be divided."""
        where = "shard()"
        self.normalise(
            rank=whole(self.rank, where, "the rank"), world=whole(self.world, where, "the world size", least=1)
        )
        if self.rank >= self.world:
            raise ArgumentError(
                f"{where}: rank {self.rank} does not exist in a world of {self.world}: ranks are 0 to {self.world - 1}."
            )
        choice(self.last, LAST, where, "last")
        choice(self.by, BY, where, "by")
        if self.by == "block" and self.total is None:
            what = "has no end" if self.input.positional else "is a stream, whose length shows only when it is read"
            raise ArgumentTypeError(
                f'{where}: by="block" needs a length, and {self.input.label()} {what}. Say by="stride".'
            )
        if self.input.positional and self.total is not None:
            self.check_total(self.total)

    def check_total(self, total: int) -> None:
        """Refuse what leaves a rank without items, or does not divide."""
        if self.last == "error" and total % self.world:
            raise ArgumentError(self.does_not_divide(total))
        if 0 < total < self.world and self.last != "pad":
            raise ArgumentError(
                f"shard(): {total} items cannot be divided over {self.world} ranks: some would have none. Use fewer "
                'ranks, say last="pad", or divide the rows of batches instead: .loader(shard=(rank, world size)).'
            )

    def does_not_divide(self, total: int) -> str:
        """Return the words for items that do not divide."""
        return (
            f'shard(last="error"): {total} items do not divide over {self.world} ranks: {total % self.world} would be '
            'left over. Say last="drop", last="pad", or last="keep", which gives ranks different numbers of items.'
        )

    @cached_property
    def total(self) -> int | None:
        """How many items the input has."""
        return self.input.length()

    @cached_property
    def begin(self) -> int:
        """The input's position of this rank's first item, where ranks have blocks."""
        total = self.total or 0
        if self.last == "keep":
            return self.rank * total // self.world
        return self.rank * (total // self.world if self.last == "drop" else -(-total // self.world))

    def length(self) -> int | None:
        """Return how many items this rank has."""
        total = self.total
        if total is None:
            return None
        if self.last == "keep" and self.by == "block":
            return (self.rank + 1) * total // self.world - self.begin
        if self.last == "keep":
            return max(0, -(-(total - self.rank) // self.world))
        return total // self.world if self.last == "drop" else -(-total // self.world)

    @property
    def seed(self) -> int | None:
        """The seed of the steps behind, another one for each rank: positions repeat from rank to rank."""
        node = self.input
        inherited = getattr(node, "seed", None)
        while not isinstance(inherited, int) and node.sources:
            node = node.sources[0]
            inherited = getattr(node, "seed", None)
        return ((inherited if isinstance(inherited, int) else 0) + self.rank * MIX) & 0xFFFFFFFFFFFFFFFF

    def where(self, index: int) -> int:
        """Return the input's position of an item; ranks that come short repeat the last item there is."""
        position = self.begin + index if self.by == "block" else self.rank + index * self.world
        return position if self.total is None else min(position, self.total - 1)

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item."""
        return read.item(self.input, self.where(index))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the input's positions: ranges stay ranges where nothing is repeated."""
        step, shift = (1, self.begin) if self.by == "block" else (self.world, self.rank)
        there = shifted(indices, shift, step)
        total = self.total
        if total is not None and (not isinstance(there, range) or max(there[0], there[-1]) >= total):
            there = np.minimum(np.asarray(there), total - 1)
        return [Piece(WHOLE, self.input, there, read.epoch)]

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, self.where(index))

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read a sequence by position; of a stream, read everything and deliver this rank's items."""
        return read.begin(self, position) if self.positional else Dealing(self, read, position)

    def label(self) -> str:
        """Return the rank and all that was said."""
        by = "" if self.by == "stride" else f", by={self.by!r}"
        return f"shard({self.rank}, {self.world}, last={self.last!r}{by})"

    def fingerprint(self) -> str:
        """Leave the rank out: a position means the same on each of them, so a state of one loads on any other."""
        return f"shard({self.world}, last={self.last!r}, by={self.by!r})"


class Dealing(Counting):
    """Reads a round of one item for each rank at a time, and delivers this rank's.

    So all ranks have the same position, and whether the last round is whole is known before any of it is delivered.
    """

    def __init__(self, node: Shard, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node

    def __next__(self) -> Any:
        node = self.node
        mine = last = None
        seen = 0
        for value in self.below:
            last = value
            if seen == node.rank:
                mine = value
            seen += 1
            if seen == node.world:
                break
        if not seen:
            raise StopIteration
        if seen < node.world:
            if not self.count:
                node.check_total(seen)
            if node.last == "error":
                raise ArgumentError(node.does_not_divide(self.count * node.world + seen))
            if node.last == "drop" or (node.last == "keep" and seen <= node.rank):
                raise StopIteration
            if seen <= node.rank:
                mine = last
        self.count += 1
        return mine
