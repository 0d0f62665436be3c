"""map: every item through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from types import CodeType
from typing import TYPE_CHECKING, Any

from penstock.errors import EndedQuietly
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
        try:
            if self.rng:
                return self.function(value, rng=read.rng(self, Place(index)))
            return self.function(value)
        except StopIteration as error:
            raise self.quiet() from error

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Compute many items; what stands before the last run of maps is gathered at once.

        Consecutive maps go item by item, not map by map, so that what one function leaves in the cache is still there
        for the next. Chained ``map`` objects do that without a line of Python in between, and ``list.extend`` over
        them is the least that CPython can spend per call; on an exception the list has as many items as succeeded,
        which tells which item failed.
        """
        run = self.run
        values = read.gather(run[0].input, indices)
        flow: Iterator[Any] = iter(values)
        for node in run:
            flow = map(node.drawing(read), flow, indices) if node.rng else map(node.function, flow)
        done: list[Any] = []
        read.meter.at = (self, indices, done)
        failure: BaseException
        try:
            done.extend(flow)
            if len(done) == len(values):
                return done
            failure = self.quiet()
        except BaseException as error:
            failure = error
            guilty = self.guilty(error)
            read.blame(failure, guilty, int(indices[len(done)]))
            raise
        read.item(self, int(indices[len(done)]))  # a StopIteration says nothing of where it came from: ask again
        read.blame(failure, self, int(indices[len(done)]))
        raise failure

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

    def guilty(self, error: BaseException) -> Map:
        """Return the map of this run whose function an error came from: the first whose code is in the traceback."""
        if len(self.run) > 1:
            codes = {code: node for node in reversed(self.run) if (code := code_of(node.function)) is not None}
            trace = error.__traceback__
            while trace is not None:
                node = codes.get(trace.tb_frame.f_code)
                if node is not None:
                    return node
                trace = trace.tb_next
            built_in = [node for node in self.run if code_of(node.function) is None]
            if built_in:
                return built_in[0]
        return self

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Compute the one item that an element becomes."""
        try:
            return (self.function(value, rng=read.rng(self, place)) if self.rng else self.function(value),)
        except StopIteration as error:
            raise self.quiet() from error

    def quiet(self) -> EndedQuietly:
        """Return the error that replaces a StopIteration."""
        name = name_of(self.function)
        return EndedQuietly(f"{name}() raised StopIteration, which would have ended the epoch quietly.")

    def label(self) -> str:
        """Return the function's name."""
        return f"map({name_of(self.function)}{', rng=True' if self.rng else ''})"


def code_of(function_: Callable[..., Any]) -> CodeType | None:
    """Return the code that a call of a function runs first; None where that is not Python."""
    inner = getattr(function_, "func", None)
    if callable(inner):  # functools.partial
        return code_of(inner)
    if not hasattr(function_, "__code__") and not isinstance(function_, type):
        function_ = type(function_).__call__  # an instance with __call__
    return getattr(function_, "__code__", None)
