"""rebatch: batches of one size into batches of another, without going through their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, whole
from penstock.graph.collating import attempted, check_share, share
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.replay import Replaying
from penstock.graph.splicing import cut, join, rows

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop", "error")


@operation
class Rebatch(Node):
    """The rows of all batches, ``size`` of them at a time."""

    input: Node
    size: int
    last: str = "keep"
    part: tuple[int, int] = (0, 1)

    pure = True

    def check(self) -> None:
        """Refuse what is no size."""
        self.normalise(size=whole(self.size, "rebatch()", "size", least=1))
        choice(self.last, LAST, "rebatch()", "last")
        if self.size < self.part[1]:
            raise ArgumentError(f"{self.label()} cannot be divided over {self.part[1]} ranks: it has fewer rows.")

    @property
    def positional(self) -> bool:
        """Never: where a row stands depends on the sizes of all batches before."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Cut and join, in the caller."""
        return Rebatching(self, read, position)

    def label(self) -> str:
        """Return the size and what was said beside it."""
        return f"rebatch({self.size}{'' if self.last == 'keep' else f', last={self.last!r}'})"


class Rebatching(Replaying):
    """Holds at most one batch whose rows are not all gone.

    Its position is ``[batches, where that batch comes from, how many of its rows are gone]``.
    """

    def __init__(self, node: Rebatch, read: Reading, position: Position) -> None:
        super().__init__(node, read, position)
        self.held: Any = None
        self.gone = self.rows = 0
        self.before: Position = None
        self.at: list[Any] = [None, 0]

    def replay(self, facts: list[Any]) -> None:
        """Take the batch again whose rows are not all gone."""
        assert self.saved is not None
        self.at = [self.saved[1], *(facts or [0])]
        if self.at[1]:
            self.take()
            self.gone = self.at[1]
            if self.gone > self.rows:
                raise self.ended_early()

    def take(self) -> None:
        """Take a batch."""
        self.before = self.below.position()
        batch = next(self.below)
        self.rows, self.gone, self.held = attempted(lambda: rows(batch), self.node, self.count, self.read), 0, batch

    def produce(self) -> Any:
        """Cut as many rows as a batch needs from the batches below."""
        node = self.node
        parts: list[Any] = []
        wanted = node.size
        while wanted:
            if self.gone == self.rows:
                try:
                    self.take()
                except StopIteration:
                    if not parts or node.last == "drop":
                        raise
                    break
            else:
                count = min(wanted, self.rows - self.gone)
                parts.append(self.held if count == self.rows else cut(self.held, self.gone, self.gone + count))
                self.gone += count
                wanted -= count
        batch = self.made(parts, node.size - wanted)
        if self.gone == self.rows:
            self.held = None  # its memory may be used again
        self.at = [self.before, self.gone] if self.gone < self.rows else [self.below.position(), 0]
        return batch

    def made(self, parts: list[Any], count: int) -> Any:
        """Join the rows, or this rank's part of them."""
        node = self.node
        if count < node.size and node.last == "error":
            raise ArgumentError(f'{node.label()}: {count} rows would be left over. Say last="drop" or last="keep".')
        check_share(node, self.count, count, 'Say last="drop", or choose another size.')
        batch = attempted(lambda: join(parts), self.node, self.count, self.read)
        if node.part[1] == 1:
            return batch
        mine = share(0, count, node.part)
        return cut(batch, mine.start, mine.stop)

    def facts(self) -> list[Any]:
        """Return where the batch in hand came from, and how many of its rows were gone, behind the last delivery."""
        return self.at
