"""windows: neighbouring items together, one window beginning every few items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.graph.checking import function, name_of, whole
from penstock.graph.copies import duplicate, placed
from penstock.graph.cursors import Counting
from penstock.graph.items import Rows, stack
from penstock.graph.node import Cursor, Node, Place, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class Windows(Node):
    """``size`` neighbouring items, collated; the next window begins ``step`` items later. Only whole windows."""

    input: Node
    size: int
    step: int = 1
    collate: Callable[[Sequence[Any]], Any] = stack

    def check(self) -> None:
        """Refuse sizes that cannot work."""
        self.normalise(
            size=whole(self.size, "windows()", "size", least=1), step=whole(self.step, "windows()", "step", least=1)
        )
        function(self.collate, "windows()", "collate", "dataset.windows(3, collate=tuple)")

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether the collation is ours."""
        return self.collate is stack or self.collate is list or self.collate is tuple

    def length(self) -> int | None:
        """Return the number of whole windows, where the input knows its length."""
        n = self.input.length()
        return None if n is None else max(0, (n - self.size) // self.step + 1)

    def item(self, index: int, read: Reading) -> Any:
        """Gather and collate one window."""
        start = index * self.step
        return self.collate(read.gather(self.input, range(start, start + self.size)))

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Make many windows; what overlapping ones share is computed once, and copied."""
        if not len(indices):
            return []
        size = self.size
        starts = np.asarray(indices, np.int64) * self.step
        needed, places = np.unique(starts[:, None] + np.arange(size), return_inverse=True)
        first, last = int(needed[0]), int(needed[-1])
        where: Indices = range(first, last + 1) if last - first + 1 == len(needed) else needed
        values = read.gather(self.input, where)
        items = placed(values, places.ravel(), lambda place: read.item(self.input, int(needed[place])))
        if isinstance(items, Rows) and self.collate is stack:
            return items.batches(size)
        done: list[Any] = []
        read.meter.at = (self, indices, done)
        for start in range(0, len(items), size):
            try:
                done.append(self.collate(items[start : start + size]))
            except StopIteration as error:
                raise read.quiet(self, int(indices[len(done)])) from error
            except BaseException as error:
                read.blame(error, self, int(indices[len(done)]))
                raise
        return done

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the window's first item."""
        return read.origin(self.input, index * self.step) if self.positional else index

    def start(self, read: Reading, position: Position) -> Cursor:
        """Slide along a stream, in the caller; a sequence is read by position, in the workers."""
        return read.begin(self, position) if self.positional else Sliding(self, read, position)

    def label(self) -> str:
        """Return the size and what was said beside it."""
        step = "" if self.step == 1 else f", step={self.step}"
        collate = "" if self.collate is stack else f", collate={name_of(self.collate)}"
        return f"windows({self.size}{step}{collate})"


class Sliding(Counting):
    """Slides along a stream; the position below is that of the next window's first item.

    Where windows have gaps between them, it is that behind the last window: what lies in the gap is dropped later.
    """

    def __init__(self, node: Windows, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.read = read
        self.next = below
        self.held: deque[tuple[Any, Position]] = deque()  # items that the next window has, each with where it came from
        self.gap = max(0, node.step - node.size) if count else 0

    def __next__(self) -> Any:
        size, step = self.node.size, self.node.step
        while self.gap:
            next(self.below)
            self.gap -= 1
        while len(self.held) < size:
            before = self.below.position()
            self.held.append((next(self.below), before))
        items = [item for item, _ in self.held]
        for place in range(step, size):  # these come again, and must come as they are
            items[place] = duplicate(items[place])
        try:
            window = self.node.collate(items)
        except StopIteration as error:
            raise self.read.quiet(self.node, Place(self.count)) from error
        except Exception as error:
            self.read.blame(error, self.node, Place(self.count))
            raise
        for _ in range(min(step, size)):
            self.held.popleft()
        self.gap = max(0, step - size)
        self.next = self.held[0][1] if self.held else self.below.position()
        self.count += 1
        return window

    def position(self) -> Position:
        """Return the number of windows and where the next one begins."""
        return [self.count, self.next]

    def exhausted(self) -> bool:
        """Tell whether the stream's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the stream's work begin."""
        self.below.prime()
