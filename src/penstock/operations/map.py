"""map: every item through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import flag, function, name_of
from penstock.graph.node import Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Map(Node):
    """Each item becomes ``function(item)``, or ``function(item, rng=generator)``; behind ``batch``, each batch does."""

    input: Node
    function: Callable[..., Any]
    rng: bool = False

    elementwise = True

    def check(self) -> None:
        """Refuse what is no function."""
        function(self.function, "map()", "function", "dataset.map(decode)")
        flag(self.rng, "map()", "rng")

    def length(self) -> int | None:
        """Return the length of the input."""
        return self.input.length()

    def item(self, index: int, read: Reading) -> Any:
        """Compute one item."""
        value = read.item(self.input, index)
        if self.rng:
            return self.function(value, rng=read.rng(self, Place(index)))
        return self.function(value)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items; what stands before the last run of maps is gathered at once.

        Consecutive maps go item by item, not map by map, so that what one function leaves in the cache is still there
        for the next. Chained ``map`` objects do that without a line of Python in between, and ``list.extend`` over
        them is the least that CPython can spend per call; on an exception the list has as many items as succeeded,
        which tells which item failed.
        """
        run = self.run
        values = read.gather(run[0].input, indices)
        if len(run) == 1 and not self.rng:
            flow: Iterator[Any] = map(self.function, values)
        else:
            flow = iter(values)
            for node in run:
                flow = map(node.drawing(read), flow, indices) if node.rng else map(node.function, flow)
        done: list[Any] = []
        read.meter.at = (self, indices, done)
        try:
            done.extend(flow)
        except Exception as error:
            if len(run) == 1:
                read.blame(error, self, int(indices[len(done)]))
                raise
        except BaseException as error:
            read.blame(error, self, int(indices[len(done)]))
            raise
        if len(done) < len(values):
            # Of several functions, or of a StopIteration, nothing says where it came from: ask again, step by step.
            index = int(indices[len(done)])
            done.append(read.item(self, index))
            rest = [int(index) for index in indices[len(done) :]]
            done.extend([read.item(self, index) for index in rest])
        return done

    @cached_property
    def run(self) -> list[Map]:
        """The maps that stand directly before this one, and this one, in order."""
        run = [self]
        while isinstance(run[-1].input, Map):
            run.append(run[-1].input)
        return run[::-1]

    def drawing(self, read: Reading) -> Callable[[Any, int], Any]:
        """Return the function of an item and its index that hands over the item's generator."""
        call, rng = self.function, read.rng
        return lambda value, index: call(value, rng=rng(self, Place(int(index))))

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Compute the one item that an element becomes."""
        return (self.function(value, rng=read.rng(self, place)) if self.rng else self.function(value),)

    def label(self) -> str:
        """Return the function's name."""
        return f"map({name_of(self.function)}{', rng=True' if self.rng else ''})"

