"""repeat_each: every item several times in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.graph.checking import whole
from penstock.graph.copies import placed
from penstock.graph.node import Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class RepeatEach(Node):
    """Item i is the input's item ``i // times``. What is read together is computed once, and copied."""

    pure = True

    input: Node
    times: int

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(times=whole(self.times, "repeat_each()", "times"))

    def length(self) -> int | None:
        """Return ``times`` the length of the input."""
        n = self.input.length()
        if n is None:
            return None if self.times else 0
        return n * self.times

    def item(self, index: int, read: Reading) -> Any:
        """Compute the item of the input."""
        return read.item(self.input, index // self.times)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute each item of the input once; neighbouring places read a range."""
        if not len(indices):
            return read.gather(self.input, range(0)) if self.times else []
        times = self.times
        if isinstance(indices, range) and indices.step == 1:
            needed: Indices = range(indices.start // times, indices[-1] // times + 1)
            places = np.arange(indices.start, indices.stop) // times - needed[0]
        else:
            needed, places = np.unique(np.asarray(indices, np.int64) // times, return_inverse=True)
        values = read.gather(self.input, needed)
        return placed(values, places, lambda place: read.item(self.input, int(needed[place])))

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the item, for all its repetitions."""
        read.assign(self.input, index // self.times, value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, index // self.times)

    def label(self) -> str:
        """Return ``repeat_each(n)``."""
        return f"repeat_each({self.times})"
