"""enumerate: every item with its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import whole
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class Enumerate(Node):
    """Pairs of an item's number and the item; numbers begin at ``first``. On a stream they are counted."""

    rereads = False

    input: Node
    first: int = 0

    pure = True

    def check(self) -> None:
        """Refuse what is no number to begin with."""
        self.normalise(first=whole(self.first, "enumerate()", "start"))

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Return the number and the item."""
        return self.first + index, read.item(self.input, index)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return many pairs."""
        first = self.first
        numbers = indices if isinstance(indices, range) else indices.tolist()
        return [(first + index, item) for index, item in zip(numbers, read.gather(self.input, indices), strict=True)]

    def start(self, read: Reading, position: Position) -> Cursor:
        """Number a sequence by position; count a stream, in the caller."""
        return read.begin(self, position) if self.positional else Numbering(self, read, position)

    def label(self) -> str:
        """Return ``enumerate()``."""
        return f"enumerate({self.first or ''})"


class Numbering(Counting):
    """Counts what it delivers, and says so."""

    def __init__(self, node: Enumerate, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.first = node.first

    def __next__(self) -> Any:
        value = next(self.below)
        self.count += 1
        return self.first + self.count - 1, value
