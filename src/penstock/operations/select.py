"""select: the items at explicit positions."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import digest, short
from penstock.graph.node import Node, operation
from penstock.graph.reindexing import WHOLE, Piece, Reindexing

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

SHOWN = 4  # positions that a label names


@operation
class Select(Reindexing):
    """The items at ``indices``, in that order. Selections of selections compose vectors: one gather at the source."""

    pure = True
    scatters = True

    input: Node
    indices: NDArray[np.int64]
    text: str = ""

    def check(self) -> None:
        """Check the positions; keep a copy of its own that nobody can change."""
        indices = positions(self.indices, self.input.length(), self.text or "select()")
        if indices is self.indices and indices.flags.writeable:
            indices = indices.copy()
        indices.flags.writeable = False
        self.normalise(indices=indices)

    def length(self) -> int:
        """Return the number of positions."""
        return len(self.indices)

    def item(self, index: int, read: Reading) -> Any:
        """Return the input's item at the chosen position."""
        return read.item(self.input, int(self.indices[index]))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the chosen positions."""
        if isinstance(indices, range):
            stop = indices.stop if indices.stop >= 0 else None
            where = self.indices[indices.start : stop : indices.step]
        else:
            where = self.indices.take(indices)
        return [Piece(WHOLE, self.input, where, read.epoch)]

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write to the chosen position."""
        read.assign(self.input, int(self.indices[index]), value)

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, int(self.indices[index]))

    def label(self) -> str:
        """Return the positions, or the first of many, or what made them."""
        if self.text:
            return self.text
        some = ", ".join(map(str, self.indices[:SHOWN].tolist()))
        rest = f", … {len(self.indices)} in all" if len(self.indices) > SHOWN else ""
        return f"select([{some}{rest}])"

    def fingerprint(self) -> str:
        """Return the label and a digest of the positions."""
        return f"{self.label()} {self.digest}"

    @cached_property
    def digest(self) -> str:
        """A check sum of the positions."""
        data = np.ascontiguousarray(self.indices, "<i8")
        return digest(data.data, 6).hex()


def positions(indices: Any, length: int | None, where: str) -> NDArray[np.int64]:
    """Return positions as whole numbers from the front, checked.

    Args:
        indices: whole numbers, negative ones counted from the end, or a boolean mask of the full length.
        length: how many items there are; None for endless.
        where: what an error calls the operation.

    Raises:
        ArgumentTypeError: these are no positions.
        ArgumentError: a mask of another length.
        IndexError: there is no such position.
    """
    vector = as_vector(indices, where)
    if vector.dtype == np.bool_:
        if length is None or len(vector) != length:
            said = "the sequence has no end" if length is None else f"there are {length} items"
            message = f"{where}: a mask must have an entry for every item; it has {len(vector)}, and {said}."
            raise ArgumentError(message)
        return np.flatnonzero(vector).astype(np.int64)
    if length is None and len(vector) and vector.min() < 0:
        raise IndexError(f"{where}: {vector.min()} counts from the end, and this sequence has none.")
    if length is not None:
        wrong = np.flatnonzero((vector < -length) | (vector >= length))
        if len(wrong):
            entry = int(wrong[0])
            raise IndexError(f"{where}: {vector[entry]}, entry {entry}, is out of range for {length} items.")
        if len(vector) and vector.min() < 0:
            vector = np.where(vector < 0, vector + length, vector)
    return vector


def as_vector(indices: Any, where: str) -> NDArray[Any]:
    """Return a vector of int64 or of booleans."""
    wanted = "Give whole numbers, select([3, 1, 4]), or a mask of booleans, one for every item."
    if isinstance(indices, (str, bytes, set, frozenset, dict)) or not hasattr(indices, "__len__"):
        hint = " These have no order: use sorted(…)." if isinstance(indices, (set, frozenset)) else ""
        raise ArgumentTypeError(f"{where}: {short(indices)} is no list of positions.{hint} {wanted}")
    if not hasattr(indices, "__array__") and not isinstance(indices, (list, tuple, range)):
        indices = list(indices)  # any other sequence, read once from the front
    try:
        vector = np.asarray(indices)
    except (ValueError, OverflowError):
        vector = np.empty(0, object)
    if not vector.size and vector.ndim == 1 and vector.dtype.kind == "f":
        vector = vector.astype(np.int64)  # what NumPy makes of an empty list
    if vector.ndim == 1 and vector.dtype.kind == "b":
        return vector
    if vector.ndim == 1 and vector.dtype.kind in "iu":
        mixed = isinstance(indices, (list, tuple)) and any(type(entry) is bool for entry in indices)
        if not mixed and (vector.dtype.kind == "i" or not len(vector) or int(vector.max()) < 1 << 63):
            return vector.astype(np.int64, copy=False)
    raise ArgumentTypeError(f"{where}: {short(indices)} is no list of positions. {wanted}")


def whole_range(indices: range, length: int | None) -> range | None:
    """Return a range of positions from the front, where they are all there and count from one side."""
    if not indices:
        return range(0)
    first, last = operator.index(indices[0]), operator.index(indices[-1])
    low, high = min(first, last), max(first, last)
    if low >= 0 and (length is None or high < length):
        return indices
    if length is not None and high < 0 and low >= -length:
        return range(first + length, last + length + (1 if indices.step > 0 else -1), indices.step)
    return None
