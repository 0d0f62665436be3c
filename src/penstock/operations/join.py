"""zip and concat: several datasets as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError
from penstock.graph.checking import flag, short
from penstock.graph.cursors import Counting, Several
from penstock.graph.items import Rows
from penstock.graph.node import Cursor, Node, check_writable, operation
from penstock.graph.reindexing import FEW, Piece, Reindexing, groups, picked, runs

if TYPE_CHECKING:
    from penstock.graph.node import Indices, Position
    from penstock.graph.reading import Reading


@operation
class Zip(Node):
    """Item i is the i-th items of all inputs, as a tuple, or as a dict where ``names`` are given."""

    pure = True
    rereads = False

    inputs: tuple[Node, ...]
    names: tuple[str, ...] | None = None
    strict: bool = False

    def check(self) -> None:
        """Refuse nothing, and with ``strict`` inputs of different lengths."""
        flag(self.strict, "zip()", "strict")
        if not self.inputs:
            raise ArgumentError("zip(): nothing was given. For example: zip(a, b) or zip(image=a, label=b)")
        lengths = {node.length() for node in self.inputs}
        if self.strict and self.positional and len(lengths) > 1:
            said = ", ".join("endless" if n is None else str(n) for n in (node.length() for node in self.inputs))
            raise ArgumentError(f"zip(strict=True): the inputs differ in length: {said}.")

    def length(self) -> int | None:
        """Return the length of the shortest."""
        known = [n for node in self.inputs if (n := node.length()) is not None]
        if self.positional:
            return min(known, default=None)
        return None

    def together(self, values: Sequence[Any]) -> Any:
        """Make one item of several."""
        return tuple(values) if self.names is None else dict(zip(self.names, values, strict=True))

    def item(self, index: int, read: Reading) -> Any:
        """Compute one item of every input."""
        return self.together([read.item(node, index) for node in self.inputs])

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Gather from every input; rows of arrays stay rows of arrays."""
        parts = [read.gather(node, indices) for node in self.inputs]
        columns = [p.columns for p in parts if isinstance(p, Rows) and isinstance(p.columns, np.ndarray)]
        if len(columns) == len(parts):
            return Rows(self.together(columns), len(indices))
        return [self.together(values) for values in zip(*parts, strict=True)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write one item of every input; where one of them cannot be written, none is."""
        check_writable(self.inputs)
        parts = self.apart(value)
        for node, part in zip(self.inputs, parts, strict=True):
            read.assign(node, index, part)

    def apart(self, value: Any) -> list[Any]:
        """Take an item apart into those of the inputs."""
        if self.names is not None:
            if not isinstance(value, Mapping) or value.keys() != set(self.names):
                raise ArgumentError(f"zip(): an item is a dict with {', '.join(self.names)}, not {short(value)}.")
            return [value[name] for name in self.names]
        if not isinstance(value, (tuple, list)) or len(value) != len(self.inputs):
            raise ArgumentError(f"zip(): an item is a tuple of {len(self.inputs)}, not {short(value)}.")
        return list(value)

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the inputs side by side."""
        return read.begin(self, position) if self.positional else Zipping(self, read, position)

    def label(self) -> str:
        """Return ``zip`` and the names."""
        return f"zip({', '.join([*(self.names or ()), *(['strict=True'] if self.strict else [])])})"


class Zipping(Several):
    """Reads streams side by side. Its position is ``[items delivered, each one's position]``."""

    def __init__(self, node: Zip, read: Reading, position: Position) -> None:
        self.node = node
        self.count, where = position or (0, [None] * len(node.inputs))
        self.below = [read.start(source, at) for source, at in zip(node.inputs, where, strict=True)]
        self.after = list(where)

    def __next__(self) -> Any:
        values: list[Any] = []
        for number, cursor in enumerate(self.below):
            try:
                values.append(next(cursor))
            except StopIteration:
                self.check_ends(number)
                raise
        self.count += 1
        self.after = [cursor.position() for cursor in self.below]
        return self.node.together(values)

    def check_ends(self, first: int) -> None:
        """Raise where the inputs should end together and do not."""
        if not self.node.strict:
            return
        for number, cursor in enumerate(self.below):
            if number < first or (number > first and next(cursor, self) is not self):
                text = f"input {first} ended after {self.count} items, input {number} did not"
                raise ArgumentError(f"zip(strict=True): {text}.")

    def position(self) -> Position:
        """Return the count and every input's position."""
        return [self.count, self.after]


@operation
class Concat(Reindexing):
    """All items of the first input, then all of the second, and so on."""

    pure = True
    rereads = False
    alike = 2

    inputs: tuple[Node, ...]

    def check(self) -> None:
        """Refuse nothing, and inputs behind an endless one."""
        if not self.inputs:
            raise ArgumentError("concat(): nothing was given. For example: concat(a, b)")
        for number, node in enumerate(self.inputs[:-1]):
            if node.positional and node.length() is None:
                raise ArgumentError(f"concat(): input {number} has no end: what stands behind it would never be read.")

    def length(self) -> int | None:
        """Return the sum of the lengths."""
        lengths = [node.length() for node in self.inputs]
        return None if None in lengths else sum(n for n in lengths if n is not None)

    @cached_property
    def starts(self) -> list[int]:
        """The place of each input's first item."""
        return [0, *accumulate(node.length() or 0 for node in self.inputs[:-1])]

    def find(self, index: int) -> tuple[Node, int]:
        """Return the input that an index falls into, and the index there."""
        number = bisect_right(self.starts, index) - 1
        return self.inputs[number], index - self.starts[number]

    def item(self, index: int, read: Reading) -> Any:
        """Return an item of the input that the index falls into."""
        return read.item(*self.find(index))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return what falls into each input, and the positions there."""
        starts, inputs, epoch = self.starts, self.inputs, read.epoch
        if isinstance(indices, range):
            return [Piece(where, inputs[k], inner, epoch) for k, where, inner in runs(indices, self.stretch)]
        if len(inputs) > FEW:
            which = np.searchsorted(starts[1:], indices, side="right")
        else:  # comparing takes a tenth of the time
            which = np.zeros(len(indices), np.int8)
            for start in starts[1:]:
                which += indices >= start
        return [Piece(mine, inputs[k], picked(indices, mine) - starts[k], epoch) for k, mine in groups(which)]

    def stretch(self, index: int) -> tuple[int, int, int | None]:
        """Return the number of the input that an index falls into, where it begins, and where the next one does."""
        number = bisect_right(self.starts, index) - 1
        return number, self.starts[number], self.starts[number + 1] if number + 1 < len(self.starts) else None

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write an item of the input that the index falls into."""
        read.assign(*self.find(index), value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the input calls its item."""
        return read.origin(*self.find(index))

    def start(self, read: Reading, position: Position) -> Cursor:
        """Read the inputs one after the other."""
        return read.begin(self, position) if self.positional else Chaining(self, read, position)

    def label(self) -> str:
        """Return ``concat()``."""
        return "concat()"


class Chaining(Counting):
    """Reads streams one after the other. Its position is ``[items delivered, number of the input, its position]``."""

    number: int

    def __init__(self, node: Concat, read: Reading, position: Position) -> None:
        self.inputs = node.inputs
        self.read = read
        count, self.number, below = position or (0, 0, None)
        super().__init__(read.start(self.inputs[self.number], below), count)

    def __next__(self) -> Any:
        while True:
            try:
                value = next(self.below)
            except StopIteration:
                if self.number + 1 == len(self.inputs):
                    raise
                self.below.close()
                self.number += 1
                self.below = self.read.start(self.inputs[self.number], None)
                continue
            self.count += 1
            return value

    def position(self) -> Position:
        """Return the count, the input and its position."""
        return [self.count, self.number, self.below.position()]
