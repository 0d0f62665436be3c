"""switch: at every position, the item of one of several datasets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import name_of, short
from penstock.graph.items import Rows, merge
from penstock.graph.node import Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class Switch(Node):
    """Item i is item i of input ``choose(i)``; where ``choose`` is None, the last input says which it is.

    The selector stands last, because what is behind a step of several inputs derives its seed from the first.
    """

    inputs: tuple[Node, ...]
    choose: Callable[[int], Any] | None = None

    def check(self) -> None:
        """Refuse nothing, and streams."""
        if not self.branches:
            raise ArgumentError("switch(): no dataset was given. For example: switch(lambda i: i % 2, a, b)")
        for node in self.inputs:
            if not node.positional:
                raise ArgumentTypeError(f"switch(): {node.label()} gives a stream, which has no position i to look up.")

    @property
    def branches(self) -> tuple[Node, ...]:
        """The inputs that items come from."""
        return self.inputs if self.choose is not None else self.inputs[:-1]

    @property
    def pure(self) -> bool:  # type: ignore[override]
        """Whether the choice is data."""
        return self.choose is None

    def length(self) -> int | None:
        """Return the length of the shortest input."""
        return min((n for node in self.inputs if (n := node.length()) is not None), default=None)

    def which(self, index: int, choice: Any) -> int:
        """Return the number of an input, checked."""
        count = len(self.branches)
        try:
            number = int(choice) if isinstance(choice, np.bool_) else operator.index(choice)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            raise ArgumentError(
                f"switch(): the selector gave {short(choice)} for position {index}. "
                f"It must give a whole number from 0 to {count - 1}: which of the {count} datasets to read."
            )
        return number

    def chosen(self, index: int, read: Reading) -> Node:
        """Return the input that an item comes from."""
        choice = read.item(self.inputs[-1], index) if self.choose is None else self.choose(index)
        return self.inputs[self.which(index, choice)]

    def item(self, index: int, read: Reading) -> Any:
        """Compute the item of one input; of the others, nothing."""
        return read.item(self.chosen(index, read), index)

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Gather from each input what it is chosen for."""
        where = np.asarray(indices, np.int64)
        numbers = self.choices(where, read)
        parts = []
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            parts.append((mine, read.gather(self.inputs[number], where[mine])))
        return merge(parts, len(where)) if parts else []

    def choices(self, where: np.ndarray[Any, np.dtype[np.int64]], read: Reading) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the numbers of the inputs for many positions."""
        given = None if self.choose is not None else read.gather(self.inputs[-1], where)
        if isinstance(given, Rows) and isinstance(given.columns, np.ndarray) and given.columns.dtype.kind in "iu":
            numbers = given.columns
            if numbers.ndim == 1 and not ((numbers < 0) | (numbers >= len(self.branches))).any():
                return numbers.astype(np.int64)
        found: list[int] = []
        for place, index in enumerate(where.tolist()):
            try:
                found.append(self.which(index, self.choose(index) if given is None else given[place]))  # type: ignore[misc]
            except StopIteration as error:
                raise read.quiet(self, index) from error
            except BaseException as error:
                read.blame(error, self, index)
                raise
        return np.array(found, np.int64)

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write to the input that the position is read from."""
        read.assign(self.chosen(index, read), index, value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the chosen input calls its item."""
        return read.origin(self.chosen(index, read), index)

    def label(self) -> str:
        """Return the function's name."""
        return f"switch({'' if self.choose is None else name_of(self.choose)})"
