"""map: every item through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
        """Compute many items; what stands before is gathered at once.

        ``list.extend`` over ``map`` is the least that CPython can spend per call, and on an exception the list has as
        many items as succeeded, which names the item that failed.
        """
        values = read.gather(self.input, indices)
        done: list[Any] = []
        try:
            if self.rng:
                call, rng = self.function, read.rng
                for value, index in zip(values, indices, strict=True):
                    done.append(call(value, rng=rng(self, Place(int(index)))))
            else:
                done.extend(map(self.function, values))
            if len(done) != len(values):
                raise self.quiet()
        except BaseException as error:
            failure = self.quiet() if isinstance(error, StopIteration) else error
            read.blame(failure, self, int(indices[len(done)]))
            if failure is not error:
                raise failure from error
            raise
        return done

    def spread(self, value: Any, place: Place, read: Reading) -> Iterable[Any]:
        """Compute the one item that an element becomes."""
        try:
            return (self.function(value, rng=read.rng(self, place)) if self.rng else self.function(value),)
        except StopIteration as error:
            raise self.quiet() from error

    def quiet(self) -> EndedQuietly:
        """Return the error that replaces a StopIteration."""
        return EndedQuietly(f"{name_of(self.function)}() raised StopIteration, which would have ended the epoch quietly.")

    def label(self) -> str:
        """Return the function's name."""
        return f"map({name_of(self.function)}{', rng=True' if self.rng else ''})"
