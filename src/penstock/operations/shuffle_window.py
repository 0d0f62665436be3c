"""shuffle(window=…): a random order in which nothing moves far, of sequences and of streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.arranging import Windowed
from penstock.graph.checking import whole
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing
from penstock.graph.windowing import Windowing

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class ShuffleWindow(Reindexing):
    """A permutation in which no item moves more than ``window`` places: by position, or block by block of a stream."""

    pure = True
    random = True
    scatters = True

    input: Node
    window: int

    def check(self) -> None:
        """Refuse what is no window."""
        remedy = "A window of 1 would leave every item where it is."
        self.normalise(window=whole(self.window, "shuffle()", "window", least=2, remedy=remedy))

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def order(self, read: Reading, length: int | None) -> Windowed:
        """Return the order for a length."""
        return read.keyed(self, Windowed, length, self.window, 1)

    def item(self, index: int, read: Reading) -> Any:
        """Return the item that stands at this place of the epoch."""
        return read.item(self.input, self.order(read, self.input.length()).one(index))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the positions that stand there in this epoch."""
        there = self.order(read, self.input.length()).many(indices)
        return [Piece(WHOLE, self.input, there, read.epoch)]

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item at this place."""
        return read.origin(self.input, self.order(read, self.input.length()).one(index))

    def start(self, read: Reading, position: Position) -> Cursor:
        """Permute a stream in the caller; a sequence by position, in the workers."""
        if self.positional:
            return read.begin(self, position)
        return Windowing(lambda at: read.start(self.input, at), lambda n: self.order(read, n), 1, position)

    def label(self) -> str:
        """Return ``shuffle(window=n)``."""
        return f"shuffle(window={self.window})"
