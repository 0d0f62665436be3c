"""filter: only the items that a predicate holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import function, name_of
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.reading import Reading


@operation
class Filter(Node):
    """The items that ``predicate`` is true for. How many that are shows only when they are read: this is a stream."""

    uneven = True

    rereads = False

    input: Node
    predicate: Callable[[Any], Any]

    elementwise = True

    def check(self) -> None:
        """Refuse what is no function."""
        function(self.predicate, "filter()", "predicate", "dataset.filter(lambda item: item > 0)")

    @property
    def positional(self) -> bool:
        """Never: which item stands at a position depends on all before it."""
        return False

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the element itself or nothing."""
        return (value,) if self.predicate(value) else ()

    def label(self) -> str:
        """Return the predicate's name."""
        return f"filter({name_of(self.predicate)})"
