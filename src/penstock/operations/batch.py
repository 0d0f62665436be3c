"""batch: neighbouring items as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, function, short, whole
from penstock.graph.collating import Filling, attempted, collate_text, collated, filled, is_ours, masked, share
from penstock.graph.items import Rows, stack, unstack
from penstock.graph.node import Cursor, Node, check_writable, operation, refusal

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop", "error", "pad")


@operation
class Batch(Node):
    """``size`` neighbouring items, collated; ``last`` says what becomes of a short last batch.

    With ``last="pad"`` it is brought to ``size`` with copies of its last item, or with ``fill``, and every batch has a
    ``mask`` that says which rows are real: all ranks get equal parts, and all batches one structure.

    ``part`` is set by a loader that reads a share of every batch: rank r of w collates rows r·n/w to (r+1)·n/w of the
    n rows. Batches are cut on the global order, so they are the same for every w.
    """

    rereads = False

    input: Node
    size: int
    last: str = "keep"
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)
    mask: str = "mask"
    fill: Any = None

    def check(self) -> None:
        """Refuse sizes and words that cannot work, and items that do not divide."""
        self.normalise(size=whole(self.size, "batch()", "size", least=1))
        choice(self.last, LAST, "batch()", "last")
        function(self.collate, "batch()", "collate", "dataset.batch(64, collate=list)")
        if not isinstance(self.mask, str) or not self.mask:  # type: ignore[redundant-expr]
            raise ArgumentTypeError(f"batch(): mask must be the name of a field, not {short(self.mask)}.")
        if self.last != "pad" and (self.mask != "mask" or self.fill is not None):
            raise ArgumentError(f'batch({self.size}): mask and fill are for last="pad", not last={self.last!r}.')
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
                'Say last="pad" or last="drop", or choose another size.'
            )

    def short_last(self, left: int, length: int | None) -> str:
        """Return the words for a last batch that is too short."""
        total = f"{length} items do not divide into batches of {self.size}: " if length is not None else ""
        return f'batch({self.size}, last="error"): {total}{left} would be left over. Say last="drop", "keep" or "pad".'

    def length(self) -> int | None:
        """Return the number of batches."""
        n = self.items
        if n is None:
            return None
        return n // self.size if self.last == "drop" else -(-n // self.size)

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether the collation is ours."""
        return is_ours(self.collate)

    @cached_property
    def items(self) -> int | None:
        """How many items there are to batch."""
        return self.input.length()

    @cached_property
    def simple(self) -> bool:
        """Whether batches are neither divided over ranks nor padded."""
        return self.part[1] == 1 and self.last != "pad"

    def rows(self, index: int) -> range:
        """Return the positions of a batch's rows, or of this rank's part of them."""
        start = index * self.size
        stop = start + self.size
        if self.items is not None and stop > self.items:
            stop = self.items
        return range(start, stop) if self.part[1] == 1 else share(start, stop - start, self.part)

    def item(self, index: int, read: Reading) -> Any:
        """Gather and collate one batch."""
        start = index * self.size
        stop = start + self.size
        if self.simple and (self.items is None or stop <= self.items):
            rows = read.gather(self.input, range(start, stop))
        elif self.last == "pad":
            return self.padded(index, read)
        else:
            rows = read.gather(self.input, self.rows(index))
        collate = self.collate
        return rows if collate is list and type(rows) is list else collate(rows)

    def padded(self, index: int, read: Reading) -> Any:
        """Gather and collate one batch, or this rank's part of it, brought to its size."""
        mine = share(index * self.size, self.size, self.part)
        keep, rows = len(mine), mine
        if self.items is not None and mine.stop > self.items:
            keep = max(0, self.items - mine.start)
            rows = mine[:keep] or range(self.items - 1, self.items)  # a rank without a real row copies the last
        return self.with_mask(read.gather(self.input, rows), keep, len(mine))

    def with_mask(self, rows: Sequence[Any], keep: int, count: int) -> Any:
        """Collate some rows, brought to ``count``, and say which are real."""
        return masked(self.collate(filled(rows, keep, count, self.fill)), keep, count, self.mask)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Make many batches; neighbouring ones gather their rows together, and are views of one array.

        That is for rows of arrays: of other items, collation is the greater part, and it should run as soon as it can.
        """
        if not isinstance(indices, range) or indices.step != 1 or len(indices) < 2:
            return super().gather(indices, read)
        if not self.simple or not self.pure:
            return super().gather(indices, read)
        first = indices.start * self.size
        rows = read.gather(self.input, range(first, self.rows(indices[-1]).stop))
        size = self.size
        if isinstance(rows, Rows) and self.collate is stack:
            return rows.batches(size)
        return [self.collate(rows[start : start + size]) for start in range(0, len(rows), size)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write every row of a batch; where the items cannot be written, or the rows do not match, none is."""
        if self.last == "pad" or self.collate not in (stack, list):
            raise refusal(self)
        check_writable([self.input])
        where = self.rows(index)
        rows = unstack(value)
        if len(rows) != len(where):
            raise ArgumentError(f"{self.label()}: batch {index} has {len(where)} rows, not {len(rows)}.")
        for place, row in zip(where, rows, strict=True):
            read.assign(self.input, place, row)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Compact a stream into batches, in the caller; a sequence is batched by position, in the workers."""
        if self.positional:
            return read.begin(self, position)
        return Filling(self, read, position)

    def size_of(self, number: int) -> int:
        """Return how many items of a stream a batch has."""
        return self.size

    def keeps(self, rows: int, number: int) -> bool:
        """Tell whether a short last batch of a stream is delivered."""
        if self.last == "error":
            raise ArgumentError(self.short_last(rows, None))
        if self.last == "keep":
            self.check_share(rows)
        return self.last != "drop"

    def made(self, items: list[Any], number: int, read: Reading) -> Any:
        """Return the batch of some items of a stream, or this rank's part of it."""
        if self.last != "pad":
            return collated(self, items, number, read)
        mine = share(0, self.size, self.part)
        keep = max(0, min(len(items) - mine.start, len(mine)))
        rows = items[mine.start : mine.start + keep] or items[-1:]
        return attempted(lambda: self.with_mask(rows, keep, len(mine)), self, number, read)

    def label(self) -> str:
        """Return the size and what was said beside it."""
        last = "" if self.last == "keep" else f", last={self.last!r}"
        mask = "" if self.mask == "mask" else f", mask={self.mask!r}"
        fill = "" if self.fill is None else ", fill=…"
        return f"batch({self.size}{last}{collate_text(self.collate)}{mask}{fill})"
