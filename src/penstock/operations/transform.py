"""transform: a function over the iterator of all items, or a class that is one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.checking import function, name_of, short
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.graph.stateful import restore, state_of, stateful

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class Transform(Node):
    """What ``function(iterator of the input)`` yields. It is called in the caller, anew in every epoch."""

    uneven = True

    input: Node
    function: Callable[[Iterator[Any]], Any]

    def check(self) -> None:
        """Refuse what cannot be called with an iterator."""
        call = self.function
        function(call, "transform()", "function", "dataset.transform(generator_function)")
        try:
            inspect.signature(call).bind(iter(()))
        except TypeError as error:
            raise ArgumentTypeError(
                f"transform(): {name_of(call)}() must work with one argument, the iterator of the items: {error}."
            ) from None
        except ValueError:
            pass  # a built-in without a signature

    @property
    def positional(self) -> bool:
        """Never: what comes is known to the function alone."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Call the function on the items from the front; a class that resumes by itself, on those from a position."""
        return Through(self, read, position)

    def label(self) -> str:
        """Return the function's name."""
        return f"transform({name_of(self.function)})"


class Upstream(Iterator[Any]):
    """The items of the input, as a user's function gets them."""

    def __init__(self, below: Cursor) -> None:
        self.below = below

    def __next__(self) -> Any:
        return next(self.below)


class Through(Cursor):
    """Reads what a function makes of the input.

    A position is the number of items that came, and resuming drops as many; of a class with ``state_dict`` it is
    ``[items delivered, the input's position, {"state": what the class says}]``.
    """

    count: int

    def __init__(self, node: Transform, read: Reading, position: Position) -> None:
        self.node = node
        self.read = read
        self.at: Any = position or 0
        self.count = self.at if isinstance(self.at, int) else self.unpacked(self.at)[0]
        self.below: Cursor | None = None
        self.holder: Any = None  # what the function returned, which has the state if there is one …
        self.made: Iterator[Any] = iter(())  # … and its items
        self.closed = False
        self.over = False

    @staticmethod
    def unpacked(position: Position) -> tuple[int, Any, Any]:
        """Return the parts of a position with a state."""
        count, below, state = position
        return count, below, state

    def __next__(self) -> Any:
        if self.closed or self.over:  # a class may begin anew when it is asked again
            raise StopIteration
        try:
            if self.below is None:
                self.begin()
            value = next(self.made)
            self.count += 1
            self.at = self.here()
        except StopIteration:
            self.over = True
            raise
        except BaseException as error:
            self.read.blame(error, self.node, Place(self.count))
            self.give_up()  # a generator that has failed would end quietly when it is asked again
            raise
        return value

    def begin(self) -> None:
        """Call the function, and come to where it was left."""
        node, at = self.node, self.at
        target, below, state = (at, None, None) if isinstance(at, int) else self.unpacked(at)
        if state is not None and not stateful(node.function):
            raise StateError(f"{node.label()} has no load_state_dict(), but the saved position is of one that has.")
        self.below = self.read.start(node.input, below)
        try:
            made = self.holder = node.function(Upstream(self.below))
            if not hasattr(made, "__next__") and not hasattr(made, "__iter__"):
                raise ArgumentTypeError(
                    f"{node.label()}: {name_of(node.function)}() returned {short(made)}, which cannot be iterated. "
                    "It must yield items, or be a class with __next__."
                )
            self.made = made if hasattr(made, "__next__") else iter(made)
        except StopIteration as error:
            raise self.read.quiet(node, Place(0)) from error
        if state is not None:
            restore(self.holder, state, node.label())
            self.count = target
        else:
            self.replay(target)

    def replay(self, target: int) -> None:
        """Drop what came before."""
        self.count = 0
        while self.count < target:
            try:
                next(self.made)
            except StopIteration:
                raise StateError(
                    f"{self.node.label()} ended after {self.count} items, before the saved position {target}: "
                    "its input, or what it does, is not what the state was saved from."
                ) from None
            self.count += 1

    def here(self) -> Position:
        """Return the position behind the item that came last."""
        if not stateful(self.node.function):
            return self.count
        assert self.below is not None
        return [self.count, self.below.position(), state_of(self.holder, self.node.label())]

    def give_up(self) -> None:
        """End the function's iterator; when asked again, begin from the last position."""
        below, made = self.below, self.made
        self.below, self.holder, self.made = None, None, iter(())
        self.count = self.at if isinstance(self.at, int) else self.at[0]
        close = getattr(made, "close", None)
        try:
            if close is not None:
                close()
        finally:
            if below is not None:
                below.close()

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return where the next item comes from."""
        return self.at

    def starved(self) -> bool:
        """Tell whether the input must be waited for outside."""
        return self.below is not None and self.below.starved()

    def interrupt(self) -> None:
        """Let the input stop waiting."""
        if self.below is not None:
            self.below.interrupt()

    def close(self) -> None:
        """End the function's iterator, so that a generator's ``finally`` runs, and close the input."""
        self.closed = True
        self.give_up()
