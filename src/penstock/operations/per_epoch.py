"""per_epoch: a fixed number of items an epoch, going on where the last epoch stopped.

input    ├── round 0 ──┤├── round 1 ──┤├── round 2 ──┤
epochs   ├─ 0 ─┤├─ 1 ─┤├─ 2 ─┤├─ 3 ─┤├─ 4 ─┤├─ 5 ─┤
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.errors import ArgumentError, ClosedError
from penstock.graph.checking import whole
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing, rounds, shifted

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

ROUNDS = 1 << 32  # epochs that one epoch of an endless repetition is given, in the numbering of epochs
BARREN = 100  # rounds in a row that may give no item, by chance, where there were items before


@operation
class PerEpoch(Reindexing):
    """Epoch e has the items e·count to e·count + count − 1 of the input, read again and again.

    A round of the input is an epoch for everything before it, as in ``repeat``. Of an endless ``repeat`` behind this,
    each epoch begins with a round of its own: 2**32 epochs lie between two of its epochs, and nobody can read those.
    """

    pure = True
    random = True  # as far as others must know: not the same in every epoch

    input: Node
    count: int

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(count=whole(self.count, "per_epoch()", "count", least=1))

    def length(self) -> int:
        """Return the count; of an empty sequence there is nothing."""
        return 0 if self.positional and self.input.length() == 0 else self.count

    def begins(self, epoch: int) -> tuple[int, int]:
        """Return the round from which items are counted, and the number of items between that and an epoch."""
        first = epoch // ROUNDS * ROUNDS
        return first, (epoch - first) * self.count

    def find(self, index: int, read: Reading) -> tuple[Reading, int]:
        """Return the round that an index of this epoch falls into, and the place in it."""
        n = self.input.length()
        first, before = self.begins(read.epoch)
        number, place = (0, before + index) if n is None else divmod(before + index, n)
        return read.at(first + number), place

    def item(self, index: int, read: Reading) -> Any:
        """Return an item of the round that the index falls into."""
        within, place = self.find(index, read)
        return within.item(self.input, place)

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the rounds, and the positions in each."""
        n = self.input.length()
        first, before = self.begins(read.epoch)
        there = shifted(indices, before)
        return [Piece(WHOLE, self.input, there, first)] if n is None else rounds(self.input, n, there, first)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        within, place = self.find(index, read)
        return within.origin(self.input, place)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read where the last epoch stopped."""
        return read.begin(self, position) if self.positional else GoingOn(self, read, position)

    def label(self) -> str:
        """Return ``per_epoch(n)``."""
        return f"per_epoch({self.count})"


class Mark(NamedTuple):
    """Where an epoch stopped: what the next one needs, so that it does not have to read what came before."""

    first: int
    """The round from which items are counted …"""
    at: int
    """… and how many all epochs since then have taken."""
    round: int
    position: Any
    cursor: Cursor | None
    """The input itself, being read, where the epoch came to its end; where it was given up, the position must do."""


class GoingOn(Cursor):
    """Reads a stream from where the epoch before stopped.

    Its position is ``[items delivered in this epoch, number of the round, position in it]``; None at the front, which
    is found by the mark that the epoch before left, or, where there is none, by reading all epochs before.
    """

    def __init__(self, node: PerEpoch, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        self.number = read.plan.nodes.index_of(node)
        self.saved = position
        self.count = 0
        self.round = 0
        self.below: Cursor | None = None
        self.fruitful = True
        self.barren = 0
        self.ever = position is not None  # whether there was an item, in this epoch or before
        self.kept = False  # whether the epoch before has left the input open
        self.left: Position = None  # where the next epoch begins, once this one has been closed behind its end
        if position is not None:
            self.count, number, below = position
            self.begin(number, below)

    def __next__(self) -> Any:
        if self.count >= self.node.count:
            raise StopIteration
        if self.below is None:
            self.below = self.found()
        value = self.advance()
        self.count += 1
        return value

    def found(self) -> Cursor:
        """Return the input, being read, where this epoch begins."""
        first, wanted = self.node.begins(self.read.epoch)
        mark = self.read.plan.marks.pop(self.number, None)
        if mark is None or mark.first != first or mark.at > wanted:
            forget(mark)
            mark = Mark(first, 0, first, None, None)
        if mark.cursor is None:
            self.begin(mark.round, mark.position)
        else:
            self.round, self.below, self.kept = mark.round, mark.cursor, True
        self.ever = self.ever or mark.at > 0
        try:
            for _ in range(wanted - mark.at):
                self.advance()
        except BaseException:
            below, self.below = self.below, None  # begin anew when asked again
            if below is not None:
                below.close()
            raise
        assert self.below is not None
        return self.below

    def begin(self, number: int, position: Any) -> None:
        """Begin a round, or go on in it."""
        self.round = number
        self.kept = False
        self.fruitful = position is not None
        self.below = self.read.at(number).start(self.node.input, position)

    def advance(self) -> Any:
        """Return the next item, of the next round where this one is over."""
        while True:
            assert self.below is not None
            try:
                value = next(self.below)
            except StopIteration:
                if not self.fruitful and not self.ever:  # an empty input would never give an item
                    raise
                self.barren = 0 if self.fruitful else self.barren + 1
                if self.barren > BARREN:
                    raise ArgumentError(
                        f"{self.node.label()}: {BARREN} rounds in a row gave no item. Look at what leaves items out "
                        "before it."
                    ) from None
                self.below.close()
                self.begin(self.round + 1, None)
                continue
            except ClosedError:  # an epoch that was given up took the work with it that this had under way
                if not self.kept:
                    raise
                position = self.below.position()
                self.below.close()
                self.begin(self.round, position)
                continue
            self.fruitful = self.ever = True
            return value

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return the count, the round and the position in it; None at the front."""
        if self.below is None or not self.count:
            return self.saved
        return [self.count, self.round, self.below.position()]

    def onward(self) -> Position:
        """Return where the input goes on in the next epoch."""
        if self.count < self.node.count:
            return None
        return self.left if self.below is None else [0, self.round, self.below.position()]

    def starved(self) -> bool:
        """Tell whether the input must be waited for outside."""
        return self.below is not None and self.below.starved()

    def interrupt(self) -> None:
        """Let the input stop waiting."""
        if self.below is not None:
            self.below.interrupt()

    def close(self) -> None:
        """Leave the input to the next epoch if this one came to its end; else close it, and leave its position."""
        marks = self.read.plan.marks
        below, self.below = self.below, None
        if below is None:
            mark = marks.get(self.number)
            if mark is not None and mark.cursor is not None:  # work that it has under way may be given up now
                marks[self.number] = mark._replace(position=mark.cursor.position(), cursor=None)
                mark.cursor.close()
            return
        position = below.position()
        self.saved = [self.count, self.round, position] if self.count else self.saved
        over = self.count >= self.node.count
        self.left = [0, self.round, position] if over else None
        forget(marks.get(self.number))
        first, before = self.node.begins(self.read.epoch)
        marks[self.number] = Mark(first, before + self.count, self.round, position, below if over else None)
        if not over:
            below.close()


def forget(mark: Mark | None) -> None:
    """Close what a mark keeps open."""
    if mark is not None and mark.cursor is not None:
        mark.cursor.close()
