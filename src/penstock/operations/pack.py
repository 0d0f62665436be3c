"""pack: sequences of tokens put together into rows of one length.

    [5 6 7] [8 9] [4] …   ──>   tokens       5 6 7 8 9 4 · ·
                                segment_ids  1 1 1 2 2 3 0 0
                                positions    0 1 2 0 1 0 0 0

Rows are filled while they are open, and few are. What is saved is where the first item of the oldest open row comes
from, how many rows had been closed before it, and the room in the rows that were open then. Reading again from there
decides as before; rows that were delivered are dropped.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, CollateError
from penstock.graph.checking import choice, short
from penstock.graph.collating import attempted, called
from penstock.graph.context import empty
from penstock.graph.node import Cursor, Node, operation
from penstock.graph.packing import Packing, Rows
from penstock.graph.padding import entry, held
from penstock.graph.replay import Replaying

if TYPE_CHECKING:
    from penstock.graph.node import Position
    from penstock.graph.reading import Reading

OVERSIZE = ("error", "truncate", "split", "drop")
TOKENS = "tokens"
NUMBERS = "biufc"  # kinds of types that tokens may have
ADDED = ("segment_ids", "positions")

Fields = dict[str, NDArray[Any]]


@operation
class Pack(Node):
    """Rows of ``packing.budget`` tokens, with segment ids from 1 on (0 is padding) and positions within segments."""

    uneven = True

    input: Node
    packing: Packing
    oversize: str = "error"
    value: Any = 0

    def check(self) -> None:
        """Refuse words that cannot work."""
        choice(self.oversize, OVERSIZE, "pack()", "oversize")
        if self.packing.how == "concat_split" and self.oversize != "error":
            raise ArgumentError('pack(how="concat_split") cuts items wherever a row ends: oversize has no meaning.')

    @property
    def positional(self) -> bool:
        """Never: what is in a row depends on all items before."""
        return False

    def start(self, read: Reading, position: Position) -> Cursor:
        """Pack the input, in the caller."""
        return (Splitting if self.packing.how == "concat_split" else Fitting)(self, read, position)

    def label(self) -> str:
        """Return the budget and what was said beside it."""
        packing = self.packing
        said = str(packing.budget)
        said += "" if packing.how == "best_fit" else f", how={packing.how!r}"
        said += "" if packing.open == Packing.open else f", open={packing.open}"
        said += "" if self.oversize == "error" else f", oversize={self.oversize!r}"
        return f"pack({said}{'' if self.value == 0 else f', value={self.value!r}'})"

    def fields(self, item: Any) -> Fields:
        """Return an item's arrays by name: all of one length."""
        if type(item) is np.ndarray and item.ndim == 1 and item.dtype.kind in NUMBERS:
            return {TOKENS: item}
        named = item if isinstance(item, Mapping) else {TOKENS: item}
        made = {name: np.asarray(value) for name, value in named.items()}
        if not made or any(a.ndim != 1 for a in made.values()) or len({len(a) for a in made.values()}) != 1:
            shapes = {name: a.shape for name, a in made.items()}
            raise CollateError(
                "pack(): items are arrays with one axis, lists of numbers, or dicts of these of one length; this one "
                f"has the shapes {shapes}: {short(item)}. Choose and shape its fields in a map() before pack()."
            )
        for name, array in made.items():
            if (array.dtype.kind not in NUMBERS and len(array)) or name in ADDED:
                what = "is a field that pack() adds" if name in ADDED else f"has values of {array.dtype}, no numbers"
                raise CollateError(f"pack(): {name!r} {what}. Change the items in a map() before pack().")
        return made


class Mark(NamedTuple):
    """A place of the input at which packing can begin again."""

    number: int  # of the item
    before: Any  # where it comes from
    made: int  # rows closed before it
    facts: list[int]  # the room in the rows that were open; for "concat_split", the tokens of the item that are gone


class Row:
    """A row being filled."""

    __slots__ = ("arrays", "filled", "lengths", "mark")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.arrays: Fields = {}
        self.lengths: list[int] = []
        self.filled = 0

    def add(self, fields: Fields, start: int, stop: int, budget: int) -> None:
        """Copy a stretch of an item's tokens to the end."""
        begin, end = self.filled, self.filled + stop - start
        if not self.arrays:
            self.arrays = {name: empty(budget, values.dtype) for name, values in fields.items()}
        if self.arrays.keys() != fields.keys():
            raise CollateError(f"pack(): the items have different fields: {list(self.arrays)} and {list(fields)}.")
        for name, values in fields.items():
            row = self.arrays[name]
            if row.dtype != values.dtype:
                raise CollateError(
                    f"pack(): field {name!r} has {row.dtype} in one item and {values.dtype} in another. "
                    "Bring them to one type in a map() before pack()."
                )
            row[begin:end] = values[start:stop]
        self.lengths.append(stop - start)
        self.filled = end

    def finished(self, value: Any) -> Fields:
        """Return the row with its padding, segment ids and positions."""
        made = dict(self.arrays)
        for name, row in made.items():
            padding = entry(value, name)
            if self.filled < len(row):
                row[self.filled :] = held(padding if np.isscalar(padding) else 0, row.dtype, repr(name))
        budget = len(next(iter(made.values())))
        lengths = np.array(self.lengths)
        segments, positions = empty(budget, np.int32), empty(budget, np.int32)
        segments[self.filled :] = positions[self.filled :] = 0
        segments[: self.filled] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
        positions[: self.filled] = np.arange(self.filled) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return {**made, ADDED[0]: segments, ADDED[1]: positions}


class Rowing(Replaying):
    """What the ways of packing have in common.

    The position is ``[rows delivered, where the oldest item that is held comes from, rows closed before it, facts …]``.
    """

    def __init__(self, node: Pack, read: Reading, position: Position) -> None:
        super().__init__(node, read, position)
        self.budget = node.packing.budget
        self.open: dict[int, Row] = {}  # by number, in the order of opening
        self.due: deque[Row] = deque()
        self.made = 0  # rows closed
        self.taken = 0  # items
        self.before: Position = None
        self.failed = False  # whether the item that was taken last could not be placed, and is to be tried again

    def take(self) -> Fields:
        """Take an item."""
        self.before = self.below.position()
        item = next(self.below)
        self.taken += 1
        self.failed = True
        fields: Fields = called(self.node.fields, (item,), self.node, self.below, self.read)
        return fields

    @abstractmethod
    def put_in(self, fields: Fields) -> None:
        """Put an item into rows, and close those that are full."""

    def finish(self) -> None:
        """Close all rows, at the end of the input."""
        for number in list(self.open):
            self.close_row(number)

    def close_row(self, number: int) -> None:
        """Close a row. Those that were delivered before this cursor began are dropped, whole or not."""
        row = self.open.pop(number, None)
        if self.made >= self.count and row is not None:
            self.due.append(row)
        self.made += 1

    def produce(self) -> Fields:
        """Return the next row that is closed."""
        while not self.due:
            try:
                fields = self.take()
            except StopIteration:
                if not self.open and self.made >= self.count:
                    raise
                self.finish()
                if self.made < self.count:
                    raise self.ended_early() from None
            else:
                if len(next(iter(fields.values()))):
                    called(self.put_in, (fields,), self.node, self.below, self.read)
                self.failed = False
        row: Fields = attempted(lambda: self.due[0].finished(self.node.value), self.node, self.count, self.read)
        self.due.popleft()
        return row

    def facts(self) -> list[Any]:
        """Return the mark of the oldest row that was not delivered."""
        rows = [*self.due, *self.open.values()]
        if not rows:
            return [self.before if self.failed else self.below.position(), self.made]
        mark = min((row.mark for row in rows), key=lambda mark: mark.number)
        return [mark.before, mark.made, *mark.facts]


class Fitting(Rowing):
    """Whole items, each into a row that has room for it."""

    rows: Rows

    def replay(self, facts: list[Any]) -> None:
        """Begin with rows that have as much room as there was; what is in them was delivered."""
        self.made, *rooms = facts or [0]
        self.rows = self.node.packing.rows(rooms)

    def finish(self) -> None:
        """Close all rows, those too that were delivered: they count."""
        for number in self.rows.numbers():
            self.close_row(number)
        self.rows = self.node.packing.rows()

    def put_in(self, fields: Fields) -> None:
        """Put an item into the row that is chosen; one that is too long, as the user said."""
        length, budget, node = len(next(iter(fields.values()))), self.budget, self.node
        start = 0
        mark = None
        if length > budget:
            if node.oversize == "drop":
                return
            if node.oversize == "error":
                raise ArgumentError(
                    f'{node.label()}: this item has {length} tokens. Say oversize="truncate", "split" or "drop", '
                    'or how="concat_split".'
                )
            if node.oversize == "truncate":
                length = budget
        while start < length:
            stop = min(start + budget, length)
            number = self.rows.find(stop - start) if stop - start < budget else None
            if number is None:
                mark = mark or Mark(self.taken, self.before, self.made, self.rows.rooms())
                oldest = self.rows.crowded() if stop - start < budget else None
                if oldest is not None:
                    self.close_row(oldest)
                number = self.rows.open(budget - (stop - start))
                self.open[number] = Row(mark)
            if number in self.open:  # else it was delivered
                self.open[number].add(fields, start, stop, budget)
            if not self.rows.is_open(number):
                self.close_row(number)
            start = stop


class Splitting(Rowing):
    """Items end to end, cut where a row ends."""

    skip: int

    def replay(self, facts: list[Any]) -> None:
        """Begin with a new row, within an item."""
        self.made, self.skip = [*facts, 0, 0][:2]

    def put_in(self, fields: Fields) -> None:
        """Fill the row, and further ones."""
        start, self.skip = self.skip, 0
        length = len(next(iter(fields.values())))
        while start < length:
            row = self.open.get(0)
            if row is None:
                row = self.open[0] = Row(Mark(self.taken, self.before, self.made, [start]))
            stop = min(length, start + self.budget - row.filled)
            row.add(fields, start, stop, self.budget)
            if row.filled == self.budget:
                self.close_row(0)
            start = stop
