"""batch: neighbouring items as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, function, name_of, whole
from penstock.graph.cursors import Counting
from penstock.graph.items import Rows, stack
from penstock.graph.node import Cursor, Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop", "error")


@operation
class Batch(Node):
    """``size`` neighbouring items, collated; ``last`` says what becomes of a short last batch.

    ``part`` is set by a loader that reads a share of every batch: rank r of w collates rows r·n/w to (r+1)·n/w of the
    n rows. Batches are cut on the global order, so they are the same for every w.
    """

    input: Node
    size: int
    last: str = "keep"
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse sizes and words that cannot work, and items that do not divide."""
        self.normalise(size=whole(self.size, "batch()", "size", least=1))
        choice(self.last, LAST, "batch()", "last")
        function(self.collate, "batch()", "collate", "dataset.batch(64, collate=list)")
        length = self.items
        if length is not None and self.last == "error" and length % self.size:
            raise ArgumentError(self.short_last(length % self.size, length))
        self.check_share(length % self.size if length is not None and self.last == "keep" else 0)

    def check_share(self, rows: int) -> None:
        """Refuse a short last batch that does not give every rank a row."""
        world = self.part[1]
        if self.size < world:
            raise ArgumentError(f"batch({self.size}) cannot be divided over {world} ranks: it has fewer rows.")
        if 0 < rows < world:
            raise ArgumentError(
                f"batch({self.size}): the last batch has {rows} rows, which cannot be divided over {world} ranks. "
                'Say last="drop", or choose another size.'
            )

    def short_last(self, left: int, length: int | None) -> str:
        """Return the words for a last batch that is too short."""
        total = f"{length} items do not divide into batches of {self.size}: " if length is not None else ""
        return f'batch({self.size}, last="error"): {total}{left} would be left over. Say last="drop" or last="keep".'

    def length(self) -> int | None:
        """Return the number of batches."""
        n = self.items
        if n is None:
            return None
        return n // self.size if self.last == "drop" else -(-n // self.size)

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether the collation is ours."""
        return self.collate is stack or self.collate is list

    @cached_property
    def items(self) -> int | None:
        """How many items there are to batch."""
        return self.input.length()

    @cached_property
    def whole(self) -> bool:
        """Whether batches are not divided over ranks."""
        return self.part[1] == 1

    def rows(self, index: int) -> range:
        """Return the positions of a batch's rows, or of this rank's part of them."""
        start = index * self.size
        stop = start + self.size
        if self.items is not None and stop > self.items:
            stop = self.items
        rank, world = self.part
        if world == 1:
            return range(start, stop)
        count = stop - start
        return range(start + rank * count // world, start + (rank + 1) * count // world)

    def item(self, index: int, read: Reading) -> Any:
        """Gather and collate one batch."""
        start = index * self.size
        stop = start + self.size
        whole_batch = self.whole and (self.items is None or stop <= self.items)
        rows = read.gather(self.input, range(start, stop) if whole_batch else self.rows(index))
        collate = self.collate
        return rows if collate is list and type(rows) is list else collate(rows)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Make many batches; neighbouring ones gather their rows together, and are views of one array.

        That is for rows of arrays: of other items, collation is the greater part, and it should run as soon as it can.
        """
        if not isinstance(indices, range) or indices.step != 1 or len(indices) < 2:
            return super().gather(indices, read)
        if self.part != (0, 1) or not self.pure:
            return super().gather(indices, read)
        first = indices.start * self.size
        rows = read.gather(self.input, range(first, self.rows(indices[-1]).stop))
        size = self.size
        if isinstance(rows, Rows) and self.collate is stack:
            return rows.batches(size)
        return [self.collate(rows[start : start + size]) for start in range(0, len(rows), size)]

    def start(self, read: Reading, position: Position) -> Cursor:
        """Compact a stream into batches, in the caller; a sequence is batched by position, in the workers."""
        if self.positional:
            return read.begin(self, position)
        return Filling(self, read, position)

    def label(self) -> str:
        """Return the size and what was said beside it."""
        last = "" if self.last == "keep" else f", last={self.last!r}"
        collate = "" if self.collate is stack else f", collate={name_of(self.collate)}"
        return f"batch({self.size}{last}{collate})"


class Filling(Counting):
    """Fills batches from a stream; the position below is that behind the last item of the last batch."""

    def __init__(self, node: Batch, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.after = below
        self.read = read

    def __next__(self) -> Any:
        node = self.node
        items: list[Any] = []
        for item in self.below:
            items.append(item)
            if len(items) == node.size:
                break
        if len(items) < node.size:
            if items and node.last == "error":
                raise ArgumentError(node.short_last(len(items), None))
            if not items or node.last == "drop":
                raise StopIteration
            node.check_share(len(items))
        rank, world = node.part
        rows = items[rank * len(items) // world : (rank + 1) * len(items) // world]
        try:
            batch = node.collate(rows)
        except StopIteration as error:
            raise self.read.quiet(node, Place(self.count)) from error
        except Exception as error:
            self.read.blame(error, node, Place(self.count))
            raise
        self.count += 1
        self.after = self.below.position()
        return batch

    @property
    def place(self) -> Place:  # type: ignore[override]
        """Where the batch stands that came last."""
        return Place(self.count - 1)

    def position(self) -> Position:
        """Return the number of batches and the stream's position."""
        return [self.count, self.after]

    def exhausted(self) -> bool:
        """Tell whether the stream's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the stream's work begin."""
        self.below.prime()
