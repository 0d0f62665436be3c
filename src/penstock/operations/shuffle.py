"""shuffle: all items in a random order, another one in every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.arranging import Arrangement, Ascending, Blocks, Itself, Stretches
from penstock.graph.checking import whole
from penstock.graph.node import Node, operation
from penstock.graph.order import Key, Order
from penstock.graph.reindexing import WHOLE, Piece, Reindexing

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

STORED = "stored"  # in place of a block's length: the groups that a store has


@operation
class Shuffle(Reindexing):
    """A permutation of the whole input, computed place by place: no index list, whatever the length.

    With ``block``, of whole blocks, of which ``blocks`` at a time are mixed item by item. With ``ascending``, every run
    of that many places is put in the order of the input.
    """

    pure = True
    random = True
    scatters = True

    input: Node
    block: int | str | None = None
    blocks: int = 16
    ascending: int | None = None

    def check(self) -> None:
        """Refuse streams, sequences without end, and what is no size."""
        if not self.input.positional:
            raise ArgumentTypeError(
                f"{self.label()}: {self.input.label()} gives a stream, which has no positions to permute. "
                f"Put {self.label()} before it: where the dataset is still a Sequence; or shuffle within a window: "
                "shuffle(window=1000)."
            )
        if self.input.length() is None:
            raise ArgumentTypeError(
                f"{self.label()}: {self.input.label()} has no end. "
                f"Put {self.label()} before repeat(): every round is shuffled anew."
            )
        if self.block == STORED:
            if self.bounds is None:
                raise ArgumentError(
                    f"{self.label()}: {self.input.label()} is not read from a store in groups of records. Put it "
                    "directly behind the open() of such a store, or say how long blocks are: block=1024."
                )
        elif self.block is not None:
            remedy = "Or say block='stored' for the groups that a store has."
            self.normalise(block=whole(self.block, "shuffle()", "block", least=1, remedy=remedy))
        self.normalise(blocks=whole(self.blocks, "shuffle()", "blocks", least=1))
        if self.ascending is not None:
            self.normalise(ascending=whole(self.ascending, "shuffle()", "ascending", least=1))

    @cached_property
    def bounds(self) -> Itself | None:
        """Where the groups of the store begin that this reads, and the length."""
        found = self.input.stretches()
        return None if found is None else Itself(found)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the bounds behind: each process asks its own reader."""
        return {name: value for name, value in self.__dict__.items() if name != "bounds"}

    @cached_property
    def count(self) -> int:
        """How many items there are."""
        return self.input.length() or 0

    def length(self) -> int:
        """Return the length of the input."""
        return self.count

    def order(self, read: Reading) -> Arrangement:
        """Return the order of this epoch."""
        if self.block is None and self.ascending is None:
            return read.order(self, self.count)
        if self.block == STORED:
            return read.keyed(self, stretched, self.bounds, self.blocks, self.ascending)
        return read.keyed(self, arranged, self.count, self.block, self.blocks, self.ascending)

    def item(self, index: int, read: Reading) -> Any:
        """Return the item that stands at this place of the epoch."""
        return read.item(self.input, self.order(read).one(index))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the positions that stand there in this epoch."""
        return [Piece(WHOLE, self.input, self.order(read).many(indices), read.epoch)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the item that stands at this place of the epoch."""
        read.assign(self.input, self.order(read).one(index), value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item at this place."""
        return read.origin(self.input, self.order(read).one(index))

    def label(self) -> str:
        """Return ``shuffle()`` and what was said of the order."""
        said = [] if self.block is None else [f"block={self.block!r}, blocks={self.blocks}"]
        if self.ascending is not None:
            said.append(f"ascending={self.ascending}")
        return f"shuffle({', '.join(said)})"


def arranged(n: int, block: int | None, blocks: int, ascending: int | None, key: Key) -> Arrangement:
    """Return an order of ``range(n)`` as it was asked for."""
    order: Arrangement = Order(n, key) if block is None else Blocks(n, block, blocks, key)
    return order if ascending is None else Ascending(order, ascending)


def stretched(bounds: Itself, blocks: int, ascending: int | None, key: Key) -> Arrangement:
    """Return an order in the blocks that a store has."""
    order = Stretches(bounds.value, blocks, key)
    return order if ascending is None else Ascending(order, ascending)
