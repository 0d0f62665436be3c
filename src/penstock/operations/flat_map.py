"""flat_map: every item as several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError
from penstock.graph.checking import flag, function, name_of, short
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.reading import Reading

TEXT = (str, bytes, bytearray)


@operation
class FlatMap(Node):
    """The items of what ``function`` returns for each item. How many that are shows only when they are computed."""

    uneven = True

    input: Node
    function: Callable[..., Iterable[Any]]
    rng: bool = False

    elementwise = True

    def check(self) -> None:
        """Refuse what is no function."""
        function(self.function, "flat_map()", "function", "dataset.flat_map(lambda text: text.split())")
        flag(self.rng, "flat_map()", "rng")

    @property
    def positional(self) -> bool:
        """Never: where an item stands depends on how many all before it became."""
        return False

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Return what an element becomes."""
        call = self.function
        made = call(value, rng=read.rng(self, place)) if self.rng else call(value)
        if isinstance(made, (*TEXT, Mapping)) or not isinstance(made, Iterable):
            text = isinstance(made, TEXT)
            why = "one text" if text else "one item" if isinstance(made, Mapping) else "not iterable"
            raise ArgumentTypeError(
                f"{self.label()}: {name_of(call)} must return a list of items or yield them; {short(made)} is {why}. "
                "Return [item] for one item, [] for none."
            )
        return made

    def label(self) -> str:
        """Return the function's name."""
        return f"flat_map({name_of(self.function)}{', rng=True' if self.rng else ''})"
