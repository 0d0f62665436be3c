"""batch with a schedule: neighbouring items as one, more or fewer of them as training goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError
from penstock.graph.checking import choice, function, name_of, whole
from penstock.graph.collating import Filling, check_share, collate_text, collated, is_ours, share
from penstock.graph.items import stack
from penstock.graph.node import Cursor, Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

LAST = ("keep", "drop", "error")
EXAMPLE = "dataset.batch([16, 32, 64]) or dataset.batch(lambda number: 16 + number // 1000)"


@operation
class BatchSizes(Node):
    """Batch number k has ``sizes[k]`` items, the last of these sizes for ever after; or ``sizes(k)``."""

    rereads = False

    input: Node
    sizes: tuple[int, ...] | Callable[[int], int]
    last: str = "keep"
    collate: Callable[[Sequence[Any]], Any] = stack
    part: tuple[int, int] = (0, 1)

    def check(self) -> None:
        """Refuse sizes and words that cannot work."""
        if callable(self.sizes):
            function(self.sizes, "batch()", "size", EXAMPLE)
        else:
            self.normalise(sizes=tuple(whole(size, "batch()", "a size", least=1) for size in self.sizes))
            if not self.sizes:
                raise ArgumentError(f"batch([]): there must be at least one size. For example: {EXAMPLE}")
        choice(self.last, LAST, "batch(sizes)", "last")
        function(self.collate, "batch()", "collate", "dataset.batch([16, 32], collate=list)")

    @property
    def positional(self) -> bool:
        """Whether it can be said where a batch begins: not at the far end of a function and an endless input."""
        return self.input.positional and not (callable(self.sizes) and self.items is None)

    @cached_property
    def items(self) -> int | None:
        """How many items there are to batch."""
        return self.input.length()

    def size_of(self, number: int) -> int:
        """Return the size of a batch."""
        if not callable(self.sizes):
            return self.sizes[min(number, len(self.sizes) - 1)]
        remedy = f"So said {name_of(self.sizes)}({number})."
        return whole(self.sizes(number), "batch()", "a size", least=1, remedy=remedy)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each batch begins, as far as sizes change, and where the last of these ends."""
        if not callable(self.sizes):
            return np.cumsum([0, *self.sizes])
        starts = [0]
        while starts[-1] < (self.items or 0):
            starts.append(starts[-1] + self.size_of(len(starts) - 1))
        return np.array(starts, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the places behind: they are counted again where they are needed."""
        return {name: value for name, value in self.__dict__.items() if name != "starts"}

    def begin_of(self, number: int) -> int:
        """Return the position of a batch's first item."""
        starts = self.starts
        beyond = number - (len(starts) - 1)
        if beyond <= 0:
            return int(starts[number])
        return int(starts[-1]) + beyond * self.size_of(number)

    @cached_property
    def batches(self) -> tuple[int, int]:
        """How many whole batches there are, and how many items are left over."""
        items = self.items or 0
        starts = self.starts
        if items >= starts[-1] and not callable(self.sizes):
            more, left = divmod(items - int(starts[-1]), self.sizes[-1])
            return len(starts) - 1 + more, left
        count = int(np.searchsorted(starts, items, side="right")) - 1
        return count, items - int(starts[count])

    def length(self) -> int | None:
        """Return the number of batches."""
        if not self.positional or self.items is None:
            return None
        count, left = self.batches
        if left and self.last == "error":
            raise ArgumentError(self.short_last(left))
        return count + (left > 0 and self.last == "keep")

    def short_last(self, left: int) -> str:
        """Return the words for a last batch that is too short."""
        return f'{self.label()}: {left} items would be left over. Say last="drop" or last="keep".'

    def item(self, index: int, read: Reading) -> Any:
        """Gather and collate one batch, or this rank's part of it."""
        start, stop = self.begin_of(index), self.begin_of(index + 1)
        if self.items is not None:
            stop = min(stop, self.items)
        if self.part[1] > 1:
            check_share(self, index, stop - start, self.remedy)
        rows = read.gather(self.input, share(start, stop - start, self.part))
        return rows if self.collate is list and type(rows) is list else self.collate(rows)

    @property
    def remedy(self) -> str:
        """What helps where ranks would be left without rows."""
        return 'Choose larger sizes, or say last="drop".'

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether the collation is ours."""
        return is_ours(self.collate)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Compact a stream into batches, in the caller; a sequence is batched by position, in the workers."""
        return read.begin(self, position) if self.positional else Filling(self, read, position)

    def keeps(self, rows: int, number: int) -> bool:
        """Tell whether a short last batch of a stream is delivered."""
        if self.last == "error":
            raise ArgumentError(self.short_last(rows))
        return self.last == "keep"

    def made(self, items: list[Any], number: int, read: Reading) -> Any:
        """Return the batch of some items of a stream, or this rank's part of it."""
        check_share(self, number, len(items), self.remedy)
        return collated(self, items, number, read)

    def label(self) -> str:
        """Return the schedule and what was said beside it."""
        return self.text(8)

    def fingerprint(self) -> str:
        """Return the label with all sizes."""
        return self.text(None)

    def text(self, most: int | None) -> str:
        """Return the label; of a long schedule, the beginning."""
        if callable(self.sizes):
            sizes = name_of(self.sizes)
        elif most is None or len(self.sizes) <= most:
            sizes = str(list(self.sizes))
        else:
            sizes = f"[{', '.join(map(str, self.sizes[: most - 2]))}, …, {self.sizes[-1]}]"
        last = "" if self.last == "keep" else f", last={self.last!r}"
        return f"batch({sizes}{last}{collate_text(self.collate)})"
