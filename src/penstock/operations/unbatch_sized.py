"""unbatch(size=…), unbatch(sizes=…): batches of known sizes back into items, which keep their positions."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import digest, short, whole
from penstock.graph.copies import duplicate
from penstock.graph.items import unstack
from penstock.graph.node import Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading


@operation
class UnbatchSized(Node):
    """The rows of batches that have ``size`` rows each, ``total`` in all, or as many as ``sizes`` says.

    Of the batch that was taken apart last, the rows are kept, for the neighbours of the row that was asked for.
    """

    uneven = True

    pure = True

    input: Node
    size: int | None = None
    total: int | None = None
    sizes: NDArray[np.int64] | None = None

    def check(self) -> None:
        """Refuse what does not fit the number of batches."""
        if not self.input.positional:
            raise ArgumentTypeError(
                f"unbatch(): {self.input.label()} gives a stream, whose rows have no positions. "
                "Say unbatch() without sizes, or put it where the dataset is still a Sequence."
            )
        if self.sizes is not None:
            self.check_sizes()
        else:
            self.check_size()

    def check_sizes(self) -> None:
        """Check a size for every batch; keep where each batch ends."""
        if self.size is not None or self.total is not None:
            raise ArgumentError("unbatch(): say size= and total=, or sizes=, not both.")
        sizes = np.asarray(self.sizes)
        if sizes.ndim != 1 or (sizes.dtype.kind not in "iu" and sizes.size):
            raise ArgumentTypeError(f"unbatch(): sizes must be a list of whole numbers, not {short(self.sizes)}.")
        count = self.input.length()
        if len(sizes) != count:
            many = "an endless number of" if count is None else count
            raise ArgumentError(f"unbatch(): sizes has {len(sizes)} entries for {many} batches. Give one for each.")
        if sizes.size and sizes.min() < 0:
            batch = int(np.argmin(sizes))
            raise ArgumentError(f"unbatch(): sizes[{batch}] must be at least 0, not {sizes[batch]}.")
        kept = sizes.astype(np.int64)
        kept.flags.writeable = False
        self.normalise(sizes=kept)
        self.__dict__["ends"] = np.cumsum(kept)

    def check_size(self) -> None:
        """Check one size for all batches, and the total."""
        size = whole(self.size, "unbatch()", "size", least=1)
        self.normalise(size=size)
        count = self.input.length()
        if self.total is None:
            return
        total = whole(self.total, "unbatch()", "total")
        self.normalise(total=total)
        if count is None:
            raise ArgumentError(f"unbatch(): total={total}, but {self.input.label()} has no end. Leave total out.")
        if not (count - 1) * size < total <= count * size and not total == count == 0:
            least = max(0, (count - 1) * size + 1) if count else 0
            raise ArgumentError(
                f"unbatch(size={size}, total={total}): {count} batches hold from {least} to {count * size} rows."
            )

    def length(self) -> int | None:
        """Return the number of rows."""
        if self.sizes is not None:
            ends = self.__dict__["ends"]
            return int(ends[-1]) if len(ends) else 0
        if self.total is not None:
            return self.total
        count = self.input.length()
        return None if count is None else count * self.size  # type: ignore[operator]

    def said(self, batch: int) -> int:
        """Return how many rows a batch shall have."""
        if self.sizes is not None:
            return int(self.sizes[batch])
        length = self.length()
        size: int = self.size  # type: ignore[assignment]
        return size if length is None else min(size, length - batch * size)

    def find(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the batches that rows stand in, and their places there."""
        if self.sizes is None:
            return indices // self.size, indices % self.size  # type: ignore[operator]
        ends = self.__dict__["ends"]
        batches = np.searchsorted(ends, indices, side="right")
        return batches, indices - (ends - self.sizes)[batches]

    def item(self, index: int, read: Reading) -> Any:
        """Return a row of the batch that it stands in."""
        batches, places = self.find(np.array([index]))
        batch = int(batches[0])
        kept = self.kept(read)
        if batch not in kept:
            kept = {batch: self.apart(batch, read.item(self.input, batch))}
            self.keep(kept, read)
        return duplicate(kept[batch][int(places[0])])

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Take each batch apart once."""
        if not len(indices):
            return []
        batches, places = self.find(np.asarray(indices, np.int64))
        rows = dict(self.kept(read))
        needed, first = np.unique(batches, return_index=True)
        missing = [int(batch) for batch in needed.tolist() if batch not in rows]
        for batch, value in zip(missing, read.gather(self.input, np.array(missing, np.int64)), strict=True):
            try:
                rows[batch] = self.apart(batch, value)
            except Exception as error:
                read.blame(error, self, int(indices[int(first[np.searchsorted(needed, batch)])]))
                raise
        last = int(batches[-1])
        self.keep({last: rows[last]}, read)
        return [duplicate(rows[b][p]) for b, p in zip(batches.tolist(), places.tolist(), strict=True)]

    def apart(self, batch: int, value: Any) -> Sequence[Any]:
        """Return a batch's rows; as many as was said."""
        rows = unstack(value)
        said = self.said(batch)
        if len(rows) != said:
            raise ArgumentError(
                f"{self.label()}: batch {batch} has {len(rows)} rows, not the {said} that were said. "
                "Correct size, total or sizes, or use unbatch() without them, which asks each batch."
            )
        return rows

    def kept(self, read: Reading) -> dict[int, Sequence[Any]]:
        """Return the rows that are kept, where they belong to this reading."""
        plan, epoch, rows = self.__dict__.get("_kept", (None, 0, {}))
        return rows if plan is not None and plan() is read.plan and epoch == read.epoch else {}

    def keep(self, rows: dict[int, Sequence[Any]], read: Reading) -> None:
        """Keep rows. Threads may race here: each replaces the whole, and at worst a batch is computed again."""
        self.__dict__["_kept"] = (weakref.ref(read.plan), read.epoch, rows)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what is kept."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the batch."""
        return read.origin(self.input, int(self.find(np.array([index]))[0][0]))

    def label(self) -> str:
        """Return the sizes."""
        if self.sizes is not None:
            some = ", ".join(map(str, self.sizes[:3].tolist()))
            return f"unbatch(sizes=[{some}{', …' if len(self.sizes) > 3 else ''}])"
        return f"unbatch(size={self.size}{'' if self.total is None else f', total={self.total}'})"

    def fingerprint(self) -> str:
        """Return the label and a digest of the sizes."""
        if self.sizes is None:
            return self.label()
        return f"{self.label()} {digest(self.sizes.astype('<i8').data, 6).hex()}"
