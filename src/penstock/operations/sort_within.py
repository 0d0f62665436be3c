"""sort_within: stretches of neighbouring items, each in the order of a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import flag, function, name_of
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.reading import Reading


@operation
class SortWithin(Node):
    """The items of every list of the input, which are stretches of ``size`` items, sorted; equal ones keep their order.

    Sorting is done wherever the lists are made: by workers, where the input has positions.
    """

    uneven = True

    input: Node
    size: int
    key: Callable[[Any], Any] | None
    reverse: bool = False

    elementwise = True

    def check(self) -> None:
        """Refuse what is no function."""
        if self.key is not None:
            function(self.key, "sort_within()", "key", "dataset.sort_within(1000, key=len)")
        flag(self.reverse, "sort_within()", "reverse")

    @property
    def positional(self) -> bool:
        """Never: a single item would cost a whole stretch."""
        return False

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the items in order."""
        return sorted(value, key=self.key, reverse=self.reverse)

    def label(self) -> str:
        """Return the size and the key."""
        key = "" if self.key is None else f", key={name_of(self.key)}"
        return f"sort_within({self.size}{key}{', reverse=True' if self.reverse else ''})"
