"""seed: what every random step behind it derives from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import whole
from penstock.graph.node import Place, Unchanged, operation

if TYPE_CHECKING:
    from penstock.graph.reading import Reading


@operation
class Seed(Unchanged):
    """The same items; the random steps behind this one derive from ``seed``."""

    seed: int

    elementwise = True

    def check(self) -> None:
        """Refuse what does not fit 64 bits."""
        remedy = "Choose any: with the same one, everything comes the same again."
        seed = whole(self.seed, "seed()", "seed", remedy=remedy)
        if seed >= 1 << 64:
            raise ArgumentError(f"seed(): seed must be below 2**64, not {seed}.")
        self.normalise(seed=seed)

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the element itself."""
        return (value,)

    def label(self) -> str:
        """Return ``seed(n)``."""
        return f"seed({self.seed})"
