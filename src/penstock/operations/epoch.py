"""epoch: a dataset as it is in one epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import whole
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class Epoch(Reindexing):
    """The input as it is in epoch ``number``, whatever the epoch: one fixed order, one fixed augmentation."""

    pure = True
    rereads = False

    input: Node
    number: int

    def check(self) -> None:
        """Refuse what is no epoch."""
        self.normalise(number=whole(self.number, "epoch()", "number"))

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item in that epoch."""
        return read.at(self.number).item(self.input, index)

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the same positions, in that epoch."""
        return [Piece(WHOLE, self.input, indices, self.number)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the item that stands there in that epoch."""
        read.at(self.number).assign(self.input, index, value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item in that epoch."""
        return read.at(self.number).origin(self.input, index)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the input in that epoch."""
        return read.begin(self, position) if self.positional else Pinned(self, read, position)

    def label(self) -> str:
        """Return ``epoch(n)``."""
        return f"epoch({self.number})"


class Pinned(Counting):
    """Reads a stream in one epoch."""

    def __init__(self, node: Epoch, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.at(node.number).start(node.input, below), count)

    def __next__(self) -> Any:
        value = next(self.below)
        self.count += 1
        return value
