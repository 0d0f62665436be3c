"""seed: what every random step behind it derives from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import whole
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Seed(Node):
    """The same items; the random steps behind this one derive from ``seed``."""

    elementwise = True
    pure = True

    input: Node
    seed: int

    def check(self) -> None:
        """Refuse what does not fit 64 bits."""
        seed = whole(self.seed, "seed()", "seed")
        if seed >= 1 << 64:
            raise ArgumentError(f"seed(): seed must be below 2**64, not {seed}.")
        self.normalise(seed=seed)

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item."""
        return read.item(self.input, index)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return the input's items."""
        return read.gather(self.input, indices)

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the element itself."""
        return (value,)

    def label(self) -> str:
        """Return ``seed(n)``."""
        return f"seed({self.seed})"
