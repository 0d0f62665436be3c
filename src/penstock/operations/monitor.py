"""monitor: the same items; how many were read, and how long reading them took, is counted in a monitor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import short
from penstock.graph.node import Place, Unchanged, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@runtime_checkable
class Counter(Protocol):
    """What counts: ``penstock.Monitor``, or anything with the same two methods."""

    def read(self, count: int, began: float, ended: float) -> None:
        """Note that items were read, between two moments of the monotonic clock."""

    def passed(self, now: float) -> None:
        """Note that an item came by, and nobody knows how long it was under way."""


@operation
class Monitored(Unchanged):
    """The same items, counted and timed where they are read."""

    monitor: Counter

    elementwise = True
    silent = True

    def check(self) -> None:
        """Refuse what cannot count."""
        if not isinstance(self.monitor, Counter):
            raise ArgumentTypeError(
                f"monitor(): {short(self.monitor)} is no monitor. Make one first: loads = penstock.Monitor(), and "
                "hand it over: dataset.monitor(loads)."
            )

    def item(self, index: int, read: Reading) -> Any:
        """Time the reading of one item."""
        began = monotonic()
        value = read.item(self.input, index)
        self.monitor.read(1, began, monotonic())
        return value

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Time the reading of many items."""
        began = monotonic()
        values = read.gather(self.input, indices)
        self.monitor.read(len(values), began, monotonic())
        return values

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Count an element."""
        self.monitor.passed(monotonic())
        return (value,)

    def label(self) -> str:
        """Return ``monitor(name)``."""
        return f"monitor({getattr(self.monitor, 'name', '')})"
