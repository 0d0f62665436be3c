"""unbatch: batches back into items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from penstock.graph.items import unstack
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.reading import Reading


@operation
class Unbatch(Node):
    """The rows of every item. How many a batch has shows only when it is read: this is a stream."""

    uneven = True

    input: Node

    elementwise = True

    @property
    def positional(self) -> bool:
        """Never: where a row stands depends on the sizes of all batches before."""
        return False

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return the rows."""
        return unstack(value)

    def label(self) -> str:
        """Return ``unbatch()``."""
        return "unbatch()"
