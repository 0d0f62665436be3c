"""take_while and drop_while: a stream up to, or from, the first item that a predicate is false for.

The predicate runs in the caller, because where it ends decides what is read at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import function, name_of
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading


@operation
class TakeWhile(Node):
    """The items before the first one that ``predicate`` is false for."""

    uneven = True

    rereads = False

    input: Node
    predicate: Callable[[Any], Any]

    def check(self) -> None:
        """Refuse what is no function."""
        function(self.predicate, "take_while()", "predicate", "dataset.take_while(lambda item: item < 10)")

    @property
    def positional(self) -> bool:
        """Never: where the end is shows only when the items before it are read."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read until the predicate is false."""
        return TakingWhile(self, read, position)

    def label(self) -> str:
        """Return the predicate's name."""
        return f"take_while({name_of(self.predicate)})"


@operation
class DropWhile(Node):
    """The first item that ``predicate`` is false for, and all behind it."""

    uneven = True

    rereads = False

    input: Node
    predicate: Callable[[Any], Any]

    def check(self) -> None:
        """Refuse what is no function."""
        function(self.predicate, "drop_while()", "predicate", "dataset.drop_while(lambda item: item < 10)")

    @property
    def positional(self) -> bool:
        """Never: where the beginning is shows only when the items before it are read."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Drop until the predicate is false, then read."""
        return DroppingWhile(self, read, position)

    def label(self) -> str:
        """Return the predicate's name."""
        return f"drop_while({name_of(self.predicate)})"


def holds(node: TakeWhile | DropWhile, value: Any, read: Reading, number: int) -> bool:
    """Tell whether a predicate is true for an item of the input."""
    base = node.input if node.input.positional else None
    try:
        return bool(node.predicate(value))
    except StopIteration as error:
        raise read.quiet(node, Place(number)) from error
    except BaseException as error:
        read.blame(error, node, Place(number), base)
        raise


class TakingWhile(Counting):
    """Reads until a predicate is false.

    Its position is ``[items delivered, the input's position]``; ``[count]`` at the end, which is remembered, because
    the item that ended it has been taken from below.
    """

    def __init__(self, node: TakeWhile, read: Reading, position: Position) -> None:
        count, *below = position or (0, None)
        self.node = node
        self.read = read
        self.ended = not below
        super().__init__(read.start(node.input, below[0] if below else None), count)
        self.after = self.below.position()
        self.hand: list[Any] = []  # an item that was taken and not judged yet: the predicate may fail

    def __next__(self) -> Any:
        if self.ended:
            raise StopIteration
        if not self.hand:
            self.hand.append(next(self.below))
        if not holds(self.node, self.hand[0], self.read, self.count):
            self.ended = True
            self.below.close()  # what workers compute ahead is not needed
            raise StopIteration
        self.count += 1
        self.after = self.below.position()
        return self.hand.pop()

    def position(self) -> Position:
        """Return the count, and the input's position unless this is the end."""
        return [self.count] if self.ended else [self.count, self.after]

    def prime(self) -> None:
        """Let the input's work begin."""
        if not self.ended:
            self.below.prime()


class DroppingWhile(Counting):
    """Drops items first; its position is None before the first that it delivers."""

    def __init__(self, node: DropWhile, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.read = read
        self.dropped = 0
        self.hand: list[Any] = []  # an item that was taken and not judged yet: the predicate may fail

    def __next__(self) -> Any:
        if not self.count:
            return self.first()
        value = next(self.below)
        self.count += 1
        return value

    def first(self) -> Any:
        """Drop items, and return the first that is not dropped."""
        while True:
            if not self.hand:
                self.hand.append(next(self.below))
            dropped = holds(self.node, self.hand[0], self.read, self.dropped)
            value = self.hand.pop()
            if not dropped:
                self.count = 1
                return value
            self.dropped += 1

    def position(self) -> Position:
        """Return the count and the input's position."""
        return super().position() if self.count else None

    def exhausted(self) -> bool:
        """Tell whether the input's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the input's work begin."""
        self.below.prime()
