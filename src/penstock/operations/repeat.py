"""repeat: a dataset several times, or without end, each round shuffled and augmented anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import whole
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.reindexing import Piece, Reindexing, rounds

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

ROUNDS = 1 << 32  # rounds of an endless repetition that one epoch is given, in the numbering of epochs
BARREN = 100  # rounds in a row that may give no item, by chance, where there were items before


@operation
class Repeat(Reindexing):
    """``times`` rounds of the input, or endless ones where it is None.

    A round is an epoch for everything before it: epoch e of ``repeat(n)`` reads the input's epochs e·n to e·n + n − 1.
    """

    pure = True
    rereads = False
    alike = 2

    input: Node
    times: int | None = None

    def check(self) -> None:
        """Refuse what is no count."""
        if self.times is not None:
            remedy = "Leave it out to repeat without end."
            self.normalise(times=whole(self.times, "repeat()", "times", remedy=remedy))

    @property
    def positional(self) -> bool:
        """Whether rounds have positions: the input does, and its length is known and not zero."""
        return self.input.positional and bool(self.input.length())

    def length(self) -> int | None:
        """Return the length of all rounds."""
        n = self.input.length()
        return None if n is None or self.times is None else n * self.times

    def first(self, read: Reading) -> int:
        """Return which epoch of the input the first round is."""
        return read.epoch * (ROUNDS if self.times is None else self.times)

    def within(self, read: Reading, number: int) -> Reading:
        """Return the reading of one round."""
        return read.at(self.first(read) + number)

    def item(self, index: int, read: Reading) -> Any:
        """Return an item of the round that the index falls into."""
        number, place = divmod(index, self.input.length() or 1)
        return self.within(read, number).item(self.input, place)

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the rounds, and the positions in each."""
        return rounds(self.input, self.input.length() or 1, indices, self.first(read))

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the item of the round that the index falls into: it is the one of all rounds."""
        number, place = divmod(index, self.input.length() or 1)
        self.within(read, number).assign(self.input, place, value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        number, place = divmod(index, self.input.length() or 1)
        return self.within(read, number).origin(self.input, place)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read round after round."""
        return read.begin(self, position) if self.positional else Repeating(self, read, position)

    def label(self) -> str:
        """Return ``repeat(n)``."""
        return f"repeat({'' if self.times is None else self.times})"


class Repeating(Cursor):
    """Reads a stream again and again. Its position is ``[items delivered, number of the round, position in it]``."""

    count: int
    number: int

    def __init__(self, node: Repeat, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        self.count, self.number, below = position or (0, 0, None)
        self.fruitful = below is not None
        self.barren = 0
        self.below: Cursor | None = None
        if node.times is None or self.number < node.times:
            self.below = node.within(read, self.number).start(node.input, below)

    def __next__(self) -> Any:
        while self.below is not None:
            try:
                value = next(self.below)
            except StopIteration:
                self.below.close()
                self.below = self.next_round()
                continue
            self.fruitful = True
            self.count += 1
            return value
        raise StopIteration

    def next_round(self) -> Cursor | None:
        """Begin the next round, if there is one."""
        node = self.node
        self.number += 1
        if node.times is not None and self.number >= node.times:
            return None
        self.barren = 0 if self.fruitful else self.barren + 1
        if self.barren and not self.count and (node.times is None or self.barren > BARREN):
            self.number -= 1  # resumed from here, it ends again
            return None  # an empty input, repeated without end, would never give an item
        if self.barren > BARREN:
            raise ArgumentError(
                f"{node.label()}: {BARREN} rounds in a row gave no item. Look at what leaves items out before it."
            )
        self.fruitful = False
        return node.within(self.read, self.number).start(node.input, None)

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return the count, the round and the position in it."""
        return [self.count, self.number, None if self.below is None else self.below.position()]

    def starved(self) -> bool:
        """Tell whether the round that is open must be waited for outside."""
        return self.below is not None and self.below.starved()

    def interrupt(self) -> None:
        """Let the round that is open stop waiting."""
        if self.below is not None:
            self.below.interrupt()

    def close(self) -> None:
        """Close the round that is open."""
        if self.below is not None:
            self.below.close()
