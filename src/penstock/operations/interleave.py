"""interleave: several datasets in turns.

a  ──aaaaa────┐
b  ──bbb──────┤──>  a a b b c c a a b a      (block=2, stop="all")
c  ──cc───────┘
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, whole
from penstock.graph.cursors import Several
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.reindexing import Piece, Reindexing, groups, picked

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

STOPS = ("all", "first")


class Phase(NamedTuple):
    """Rounds that are all alike: every member gives the same number of items in each of them."""

    start: int
    """The index of its first item."""
    sizes: tuple[int, ...]
    """How many items each member gives in a round."""
    ends: tuple[int, ...]
    """Where each member's turn ends within a round."""
    before: tuple[int, ...]
    """How many items of each member were given before."""


@operation
class Interleave(Reindexing):
    """``block`` items of each input in turn; until the ``first`` has no more when its turn is, or ``all`` have none."""

    pure = True
    scatters = True

    inputs: tuple[Node, ...]
    block: int = 1
    stop: str = "all"

    def check(self) -> None:
        """Refuse nothing, and words and sizes that cannot work."""
        if not self.inputs:
            raise ArgumentError("interleave(): nothing was given. For example: interleave(a, b)")
        self.normalise(block=whole(self.block, "interleave()", "block", least=1))
        choice(self.stop, STOPS, "interleave()", "stop")

    def length(self) -> int | None:
        """Return the sum of the lengths, or of what is read until the first input ends."""
        lengths = [node.length() for node in self.inputs]
        if self.stop == "all" or (None in lengths and not self.positional):
            return None if None in lengths else sum(n for n in lengths if n is not None)
        ends = [(*divmod(n, self.block), k) for k, n in enumerate(lengths) if n is not None]
        if not ends:
            return None
        rounds, left, member = min(ends, key=lambda end: (end[0], end[2]))
        return (rounds * len(lengths) + member) * self.block + left

    @cached_property
    def phases(self) -> list[Phase]:
        """What changes is who takes part: a short last turn, then one member less."""
        block = self.block
        lengths = [node.length() for node in self.inputs]
        cuts = {0}
        for n in lengths:
            if n is not None:
                cuts |= {n // block, -(-n // block)}
        phases: list[Phase] = []
        start, last = 0, 0
        for cut in sorted(cuts):
            if phases:
                start += (cut - last) * phases[-1].ends[-1]
            before = tuple(cut * block if n is None else min(n, cut * block) for n in lengths)
            sizes = tuple(block if n is None else min(block, n - b) for n, b in zip(lengths, before, strict=True))
            if any(sizes):
                phases.append(Phase(start, sizes, tuple(accumulate(sizes)), before))
            last = cut
        return phases

    @cached_property
    def tables(self) -> tuple[NDArray[np.int64], ...]:
        """The phases as arrays: starts, and then a row a phase of sizes, ends and counts before."""
        return tuple(np.array(column, np.int64) for column in zip(*self.phases, strict=True))

    def find(self, index: int) -> tuple[Node, int]:
        """Return the input that an index falls into, and the index there."""
        phases = self.phases
        phase = phases[bisect_right(phases, index, key=lambda p: p.start) - 1]
        rounds, within = divmod(index - phase.start, phase.ends[-1])
        member = bisect_right(phase.ends, within)
        size = phase.sizes[member]
        return self.inputs[member], phase.before[member] + rounds * size + within - (phase.ends[member] - size)

    def item(self, index: int, read: Reading) -> Any:
        """Return an item of the input whose turn it is."""
        return read.item(*self.find(index))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return what falls into each input, and the positions there."""
        where = np.asarray(indices, np.int64)
        starts, sizes, ends, before = self.tables
        phase = np.searchsorted(starts, where, side="right") - 1
        rounds, within = np.divmod(where - starts[phase], ends[phase, -1])
        member = (ends[phase] <= within[:, None]).sum(1)
        size = sizes[phase, member]
        there = before[phase, member] + rounds * size + within - (ends[phase, member] - size)
        return [Piece(mine, self.inputs[number], picked(there, mine), read.epoch) for number, mine in groups(member)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write an item of the input whose turn it is."""
        read.assign(*self.find(index), value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the input calls its item."""
        return read.origin(*self.find(index))

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the inputs in turns."""
        return read.begin(self, position) if self.positional else Alternating(self, read, position)

    def label(self) -> str:
        """Return what was said."""
        said = [f"block={self.block}"] if self.block != 1 else []
        said += [f"stop={self.stop!r}"] if self.stop != "all" else []
        return f"interleave({', '.join(said)})"


class Alternating(Several):
    """Reads streams in turns.

    Its position is ``[items delivered, whose turn it is, how many items of this turn are gone, each one's position]``,
    and of those that have ended, which.
    """

    turn: int
    gone: int

    def __init__(self, node: Interleave, read: Reading, position: Position) -> None:
        self.node = node
        inputs = node.inputs
        self.count, self.turn, self.gone, where, ended = position or (0, 0, 0, [None] * len(inputs), [])
        self.ended = set(ended)
        self.below = [read.start(source, at) for source, at in zip(inputs, where, strict=True)]
        if not self.ended <= set(range(len(inputs))) or self.turn >= len(inputs):
            raise ValueError(f"not a position of {len(inputs)} streams")

    def __next__(self) -> Any:
        node = self.node
        while len(self.ended) < len(self.below):
            if self.gone == node.block or self.turn in self.ended:
                self.turn = (self.turn + 1) % len(self.below)
                self.gone = 0
                continue
            try:
                value = next(self.below[self.turn])
            except StopIteration:
                self.ended.add(self.turn)
                if node.stop == "first":
                    self.ended = set(range(len(self.below)))
                continue
            self.count += 1
            self.gone += 1
            return value
        raise StopIteration

    def position(self) -> Position:
        """Return the count, the turn, every input's position, and which have ended."""
        where = [cursor.position() for cursor in self.below]
        return [self.count, self.turn, self.gone, where, sorted(self.ended)]
