"""A source that is read from the front: any iterable that can be read again, or a generator function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentTypeError
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
        if not isinstance(x, Iterable) and not callable(x):
            raise ArgumentTypeError(
                f"stream(): {short(x)} is neither iterable nor a function that returns an iterator."
            )

    @property
    def positional(self) -> bool:
        """Never: there is no way but from the front."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read again from the front; resuming reads and drops what came before."""
        return Replay(self, position or 0)

    def open(self) -> Iterator[Any]:
        """Return a fresh iterator."""
        x = self.iterable
        if isinstance(x, Iterable):
            return iter(x)
        made = x()
        if not isinstance(made, Iterable):
            raise ArgumentTypeError(f"stream(): {name_of(x)}() returned {short(made)}, which cannot be iterated.")
        return iter(made)

    def label(self) -> str:
        """Return the function's name, or the kind of iterable."""
        x = self.iterable
        return f"stream({type(x).__name__ if isinstance(x, Iterable) else name_of(x)})"


class Replay(Cursor):
    """Reads an iterator and counts; a position is that count."""

    def __init__(self, node: Stream, position: int) -> None:
        self.node = node
        self.count = 0
        self.target = position
        self.iterator: Iterator[Any] | None = None

    def __next__(self) -> Any:
        if self.iterator is None:
            self.iterator = self.node.open()
            for _ in range(self.target):
                next(self.iterator)
            self.count = self.target
        value = next(self.iterator)
        self.count += 1
        return value

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
