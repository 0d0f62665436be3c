"""shuffle: all items in a random order, another one in every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError
from penstock.graph.node import Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Shuffle(Node):
    """A permutation of the whole input, computed place by place: no index list, whatever the length."""

    pure = True

    input: Node

    def check(self) -> None:
        """Refuse streams, and sequences without end."""
        if not self.input.positional:
            raise ArgumentTypeError(
                f"shuffle(): {self.input.label()} gives a stream, which has no positions to permute. "
                "Put shuffle() before it: where the dataset is still a Sequence."
            )
        if self.input.length() is None:
            raise ArgumentTypeError(
                f"shuffle(): {self.input.label()} has no end. "
                "Put shuffle() before repeat(): every round is shuffled anew."
            )

    @cached_property
    def count(self) -> int:
        """How many items there are."""
        return self.input.length() or 0

    def length(self) -> int:
        """Return the length of the input."""
        return self.count

    def item(self, index: int, read: Reading) -> Any:
        """Return the item that stands at this place of the epoch."""
        return read.item(self.input, read.order(self, self.count).one(index))

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return many of them: one vector of positions."""
        return read.gather(self.input, read.order(self, self.count).many(indices))

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item at this place."""
        return read.origin(self.input, read.order(self, self.count).one(index))

    def label(self) -> str:
        """Return ``shuffle()``."""
        return "shuffle()"
