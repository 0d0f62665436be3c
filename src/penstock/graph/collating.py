"""What the steps that make batches have in common.

Filling    reads a stream into batches of known sizes
collated   a rank's part of some rows as one batch
attempted  whatever makes a batch, with errors that name the step
filled     a short batch brought to its size, and masked, which says so
called     a function of the user, called where its errors are named
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, CollateError
from penstock.graph.checking import name_of, short
from penstock.graph.cursors import Counting
from penstock.graph.items import Rows, each, stack
from penstock.graph.node import Cursor, Node, Place
from penstock.graph.padding import Pad

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

Part = tuple[int, int]


def share(start: int, count: int, part: Part) -> range:
    """Return which of ``count`` rows from ``start`` on are a rank's: for rank r of w those from r·count/w on."""
    rank, world = part
    return range(start + rank * count // world, start + (rank + 1) * count // world)


def check_share(node: Any, number: int, rows: int, remedy: str) -> None:
    """Refuse a batch that does not give every rank a row."""
    world = node.part[1]
    if rows < world:
        counted = "1 row" if rows == 1 else f"{rows} rows"
        raise ArgumentError(
            f"{node.label()}: batch {number} has {counted}, which cannot be divided over {world} ranks. {remedy}"
        )


def collate_text(collate: Callable[..., Any]) -> str:
    """Return what a label says of a collation: nothing of the usual one."""
    if collate is stack:
        return ""
    return f", collate={collate!r}" if isinstance(collate, Pad) else f", collate={name_of(collate)}"


def is_ours(collate: Callable[..., Any]) -> bool:
    """Tell whether a collation runs nothing of the user's."""
    return collate is stack or collate is list or (isinstance(collate, Pad) and collate.pure)


def called(function: Callable[..., Any], arguments: tuple[Any, ...], node: Node, below: Cursor, read: Reading) -> Any:
    """Call a user's function on the item that came last from below; its errors name that item."""
    try:
        return function(*arguments)
    except StopIteration as error:
        raise read.quiet(node, below.place) from error
    except Exception as error:
        base = node.sources[0]
        read.blame(error, node, below.place, base if base.positional else None)
        raise


def measured(size: Callable[[Any], Any], item: Any, node: Node, below: Cursor, read: Reading) -> float:
    """Return the size of the item that came last from below: a number that is not negative."""
    value = called(size, (item,), node, below, read)
    try:
        good = value >= 0
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ArgumentTypeError(
            f"{node.label()}: {name_of(size)}() must return a size, a number of 0 or more; of item "
            f"{below.place.position} it returned {short(value)}."
        )
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value  # type: ignore[no-any-return]


def collated(node: Any, rows: Sequence[Any], number: int, read: Reading) -> Any:
    """Return the batch of some rows, or of this rank's part of them; errors name the batch."""
    if node.part[1] > 1:
        mine = share(0, len(rows), node.part)
        rows = rows[mine.start : mine.stop]
    return attempted(lambda: node.collate(rows), node, number, read)


def attempted(make: Callable[[], Any], node: Node, number: int, read: Reading) -> Any:
    """Make a batch of a stream; errors name it."""
    try:
        return make()
    except StopIteration as error:
        raise read.quiet(node, Place(number)) from error
    except Exception as error:
        read.blame(error, node, Place(number))
        raise


def filled(rows: Sequence[Any], keep: int, count: int, fill: Any = None) -> Sequence[Any]:
    """Return the first ``keep`` rows and, up to ``count``, copies of the last there is, or of ``fill``."""
    if keep == count == len(rows):
        return rows
    if isinstance(rows, Rows) and fill is None:
        where = np.minimum(np.arange(count), len(rows) - 1)
        return Rows(each(rows.columns, lambda c: c[where]), count)
    return [*list(rows)[:keep], *[rows[-1] if fill is None else fill] * (count - keep)]


def masked(batch: Any, keep: int, count: int, name: str) -> Any:
    """Return a batch with a mask of which rows are real: one field more of a dict, else a pair of batch and mask."""
    mask = np.arange(count) < keep
    if not isinstance(batch, Mapping):
        return batch, mask
    if name in batch:
        raise CollateError(
            f'batch(last="pad"): the items have a field {name!r} already. Call the mask otherwise: mask="is_real".'
        )
    return {**batch, name: mask}


class Filling(Counting):
    """Fills batches from a stream; the position below is that behind the last item of the last batch.

    The node says how large each batch is (``size_of``) and what becomes of its items (``made``, None for nothing).
    """

    def __init__(self, node: Any, read: Reading, position: Position) -> None:
        count, below = position or (0, None)
        super().__init__(read.start(node.input, below), count)
        self.node = node
        self.after = below
        self.read = read

    def __next__(self) -> Any:
        node = self.node
        size = node.size_of(self.count)
        items: list[Any] = []
        for item in self.below:
            items.append(item)
            if len(items) == size:
                break
        if len(items) < size and not (items and node.keeps(len(items), self.count)):
            raise StopIteration
        batch = node.made(items, self.count, self.read)
        self.count += 1
        self.after = self.below.position()
        return batch

    def position(self) -> Position:
        """Return the number of batches and the stream's position."""
        return [self.count, self.after]

    def onward(self) -> Position:
        """Return where the next epoch begins, if the stream knows."""
        below = self.below.onward()
        return None if below is None else [0, below]

    def exhausted(self) -> bool:
        """Tell whether the stream's work has been handed out."""
        return self.below.exhausted()

    def prime(self) -> None:
        """Let the stream's work begin."""
        self.below.prime()
