"""take, skip and slices: a part of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.graph.checking import whole
from penstock.graph.cursors import Counting
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing, shifted

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class Slice(Reindexing):
    """The positions ``start, start + step, …`` of a sequence, ``count`` of them; endless where ``count`` is None."""

    pure = True

    input: Node
    begin: int
    step: int
    count: int | None
    text: str

    def length(self) -> int | None:
        """Return the count."""
        return self.count

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item at the shifted position."""
        return read.item(self.input, self.begin + index * self.step)

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the input's positions."""
        return [Piece(WHOLE, self.input, shifted(indices, self.begin, self.step), read.epoch)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write the input's item at the shifted position."""
        read.assign(self.input, self.begin + index * self.step, value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, self.begin + index * self.step)

    def label(self) -> str:
        """Return the slice as it was written."""
        return self.text


def cut(node: Node, part: slice) -> Slice:
    """Return the slice of a sequence that Python's rules mean."""
    length = node.length()
    text = f"[{'' if part.start is None else part.start}:{'' if part.stop is None else part.stop}"
    text += "]" if part.step is None else f":{part.step}]"
    if length is not None:
        where = range(*part.indices(length))
        return Slice(node, where.start, where.step, len(where), text)
    step = 1 if part.step is None else whole(part.step, f"{text} of an endless sequence", "the step", least=1)
    start = 0 if part.start is None else whole(part.start, f"{text} of an endless sequence", "the start")
    if part.stop is None:
        return Slice(node, start, step, None, text)
    stop = whole(part.stop, f"{text} of an endless sequence", "the stop")
    return Slice(node, start, step, len(range(start, stop, step)), text)


@operation
class Take(Node):
    """The first ``count`` items of a stream."""

    pure = True
    rereads = False

    input: Node
    count: int

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(count=whole(self.count, "take()", "count"))

    @property
    def positional(self) -> bool:
        """Never: of a sequence, take() makes a Slice."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read at most ``count`` items."""
        return Taking(self, read, position)

    def label(self) -> str:
        """Return ``take(n)``."""
        return f"take({self.count})"


class Taking(Counting):
    """Counts what it lets through."""

    def __init__(self, node: Take, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.end = node.count

    def __next__(self) -> Any:
        if self.count >= self.end:
            raise StopIteration
        value = next(self.below)
        self.count += 1
        return value


@operation
class Skip(Node):
    """A stream without its first ``count`` items, which are computed and dropped."""

    pure = True
    rereads = False

    input: Node
    count: int

    def check(self) -> None:
        """Refuse what is no count."""
        self.normalise(count=whole(self.count, "skip()", "count"))

    @property
    def positional(self) -> bool:
        """Never: of a sequence, skip() makes a Slice."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Drop ``count`` items, then read."""
        return Skipping(self, read, position)

    def label(self) -> str:
        """Return ``skip(n)``."""
        return f"skip({self.count})"


class Skipping(Counting):
    """Drops items first; its position is None before the first that it delivers."""

    def __init__(self, node: Skip, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.left = node.count if position is None else 0

    def __next__(self) -> Any:
        while self.left:
            next(self.below)
            self.left -= 1
        value = next(self.below)
        self.count += 1
        return value

    def position(self) -> Position:
        """Return the count and the stream's position."""
        return super().position() if self.count else None
