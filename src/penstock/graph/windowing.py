"""Windowing: a stream read in a windowed order, holding no more items than the window.

    stream ──read──> a block, permuted ──> items in hand ──> a block of the second pass, permuted ──> items

The position is the count of items delivered and the place in the stream at which the first block begins that the next
item may come from. The order is a function of the count, so nothing else need be kept: resuming reads that block again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.graph.arranging import Windowed
from penstock.graph.copies import duplicate
from penstock.graph.cursors import Counting

if TYPE_CHECKING:
    from penstock.graph.node import Cursor, Position


class Windowing(Counting):
    """Reads a stream block by block, each item ``times`` times, in a windowed order.

    Args:
        below: begins to read the stream at a position.
        order: the order for a length; None where that is not known yet.
        times: how often each item comes.
        position: as given by an earlier cursor.
    """

    def __init__(
        self,
        below: Callable[[Position], Cursor],
        order: Callable[[int | None], Windowed],
        times: int,
        position: Position,
    ) -> None:
        count, at = position or (0, None)
        self.at: Position = at
        super().__init__(below(self.at), count)
        self.make = order
        self.order = order(None)
        self.times = times
        self.end = count  # of the block of the second pass in hand
        self.next_at = self.at  # where the one after it begins to read
        start = self.order.second.bounds(self.order.second.number(count))[0]
        self.base = self.reached = self.order.first.bounds(self.order.first.number(start))[0]
        self.held: list[Any] = []  # items of the places from base to reached
        self.marks = {self.base: self.at}  # where in the stream the blocks begin that are held
        self.pending: list[Any] = []  # of the block that is being read
        self.ended = False
        self.places: list[int] = []  # in `held`, of the block in hand, last first

    def __next__(self) -> Any:
        if not self.places:
            self.fill()
        value = self.held[self.places.pop()]
        self.count += 1
        return value if self.times == 1 else duplicate(value)  # what is changed at one place stays as it was elsewhere

    def fill(self) -> None:
        """Take the next block of the second pass in hand."""
        start, end = self.order.second.bounds(self.order.second.number(self.count))
        while self.reached < end and not self.ended:
            self.read_block()
        end = min(end, self.reached)
        if self.count >= end:
            raise StopIteration
        first = self.order.first.bounds(self.order.first.number(start))[0]
        del self.held[: first - self.base]
        self.base = first
        self.at = self.marks[first]
        behind = self.order.first.bounds(self.order.first.number(end))[0]
        self.next_at = self.marks[behind] if behind in self.marks else self.below.position()
        self.marks = {place: at for place, at in self.marks.items() if place >= first}
        self.places = (self.order.second.many(range(self.count, end)) - first)[::-1].tolist()
        self.end = end

    def read_block(self) -> None:
        """Read the next block of the first pass and permute it. What was read before an error is not read again."""
        start, end = self.order.first.bounds(self.order.first.number(self.reached))
        pending = self.pending
        if not pending and start not in self.marks:
            self.marks[start] = self.below.position()
        while len(pending) < end - start:
            try:
                value = next(self.below)
            except StopIteration:
                self.ended = True
                self.order = self.make(start + len(pending))
                break
            pending.extend([value] * self.times)
        places = self.order.first.many(range(start, start + len(pending))) - start
        self.held.extend([pending[place] for place in places.tolist()])
        self.reached += len(pending)
        self.pending = []

    def position(self) -> Position:
        """Return the count and where to begin to read again."""
        return [self.count, self.at if self.count < self.end else self.next_at]

    def exhausted(self) -> bool:
        """Tell whether the stream's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the stream's work begin."""
        self.below.prime()
