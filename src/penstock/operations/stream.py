"""A source that is read from the front: any iterable that can be read again, or a generator function."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError, StateError
from penstock.graph.checking import name_of, short
from penstock.graph.node import Cursor, Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class Stream(Node):
    """The items of an iterable, anew in every epoch. It is read in the caller; what is behind it runs in workers."""

    iterable: Any

    def check(self) -> None:
        """Refuse what cannot be read twice."""
        x = self.iterable
        if isinstance(x, Iterator):
            raise ArgumentTypeError(
                f"stream(): {short(x)} is an iterator: it can be read once, so no second epoch and no resume would be "
                "possible. Give the function that makes it, or the iterable that it comes from."
            )
        if not isinstance(x, Iterable) and callable(x):
            self.check_call(x)
        elif not isinstance(x, Iterable):
            raise ArgumentTypeError(
                f"stream(): {short(x)} is neither iterable nor a function that returns an iterator."
            )

    @staticmethod
    def check_call(function: Any) -> None:
        """Refuse a function that cannot be called without arguments."""
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            name = name_of(function)
            raise ArgumentTypeError(
                f"stream(): {name}() must work without arguments: {error}. Fill them with functools.partial."
            ) from None
        except ValueError:
            return  # a built-in without a signature

    @property
    def positional(self) -> bool:
        """Never: there is no way but from the front."""
        return False

    def shipped(self) -> Node:
        """Stay at home: a stream is read in the caller, so what it holds need not be able to travel."""
        return replace(self, iterable=())

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read again from the front; resuming reads and drops what came before."""
        return Replay(self, read, position or 0)

    def open(self) -> Iterator[Any]:
        """Return a fresh iterator."""
        x = self.iterable
        if isinstance(x, Iterable):
            return iter(x)
        made = x()
        if self.is_known(made):
            raise ArgumentTypeError(
                f"stream(): {name_of(x)}() returned the same iterator again, which has been read. It must make one."
            )
        if not isinstance(made, Iterable):
            raise ArgumentTypeError(f"stream(): {name_of(x)}() returned {short(made)}, which cannot be iterated.")
        return iter(made)

    def is_known(self, made: Any) -> bool:
        """Tell whether a function returned the iterator that it returned the last time; remember it."""
        last = self.__dict__.get("_made")
        known = isinstance(made, Iterator) and (last() if isinstance(last, weakref.ref) else last) is made
        try:
            self.__dict__["_made"] = weakref.ref(made)
        except TypeError:  # a list's iterator, say, which holds nothing that should go
            self.__dict__["_made"] = made
        return known

    def __getstate__(self) -> dict[str, Any]:
        """Leave the iterator that was made last behind."""
        return {name: value for name, value in self.__dict__.items() if name != "_made"}

    def label(self) -> str:
        """Return the function's name, or the kind of iterable."""
        x = self.iterable
        return f"stream({type(x).__name__ if isinstance(x, Iterable) else name_of(x)})"


class Replay(Cursor):
    """Reads an iterator and counts; a position is that count."""

    def __init__(self, node: Stream, read: Reading, position: int) -> None:
        if type(position) is not int:
            raise TypeError(f"a position of {node.label()} is a count, not {short(position)}")
        self.node = node
        self.read = read
        self.count = 0
        self.target = position
        self.iterator: Iterator[Any] | None = None

    def __next__(self) -> Any:
        try:
            if self.iterator is None:
                self.replay()
            value = next(self.iterator)  # type: ignore[arg-type]
        except StopIteration:
            raise
        except Exception as error:
            self.read.blame(error, self.node, Place(self.count))
            raise
        self.count += 1
        return value

    def replay(self) -> None:
        """Begin anew, and drop what was read before."""
        try:
            self.iterator = self.node.open()
        except StopIteration as error:
            raise self.read.quiet(self.node, Place(0)) from error
        while self.count < self.target:
            try:
                next(self.iterator)
            except StopIteration:
                raise StateError(
                    f"{self.node.label()} ended after {self.count} items, before the saved position {self.target}: "
                    "it is not the stream that the state was saved from, or it became shorter."
                ) from None
            self.count += 1

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the item stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return how many items have been read."""
        return self.target if self.iterator is None else self.count

    def close(self) -> None:
        """Close a generator, so that its ``finally`` runs."""
        close = getattr(self.iterator, "close", None)
        self.iterator = iter(())
        if close is not None:
            close()
