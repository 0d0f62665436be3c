"""sample: random draws from a sequence, with or without weights, with or without replacement; balance by classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.arranging import Draws, Itself
from penstock.graph.checking import digest, flag, short, whole
from penstock.graph.node import Node, operation
from penstock.graph.order import Key
from penstock.graph.reindexing import WHOLE, Piece, Reindexing

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

Weights = NDArray[np.float64]


@operation
class Sample(Reindexing):
    """``count`` draws of the input's items, others in every epoch; computed place by place.

    Draws with weights look the place's random number up in the running sum of the weights. Without replacement every
    item draws an exponential waiting time at the rate of its weight, and the first ``count`` are taken.
    """

    pure = True
    random = True
    scatters = True

    input: Node
    count: int | None = None
    weights: Weights | None = None
    replacement: bool = True
    balanced: bool = False

    def check(self) -> None:
        """Refuse streams, counts and weights that cannot work."""
        where = self.name
        if not self.input.positional or self.input.length() is None:
            what = "has no end" if self.input.positional else "gives a stream, which has no positions to draw from"
            raise ArgumentTypeError(
                f"{where}: {self.input.label()} {what}. Put {where} before it: where the dataset is still a Sequence."
            )
        flag(self.replacement, where, "replacement")
        if self.weights is not None:
            self.normalise(weights=checked(self.weights, self.size, where))
        if self.count is not None:
            self.normalise(count=whole(self.count, where, "count"))
        n = self.length()
        if not self.replacement and n > self.candidates:
            some = "items" if self.weights is None else "items with a weight above 0"
            raise ArgumentError(
                f"{where}: {n} different items cannot be drawn from {self.candidates} {some}. "
                "Ask for fewer, or leave out replacement=False."
            )
        if n and not self.candidates:
            raise ArgumentError(f"{where}: there is nothing to draw {n} items from.")

    @property
    def name(self) -> str:
        """What the user called."""
        return "balance()" if self.balanced else "sample()"

    @cached_property
    def size(self) -> int:
        """How many items the input has."""
        return self.input.length() or 0

    @cached_property
    def candidates(self) -> int:
        """How many items can be drawn at all."""
        return self.size if self.weights is None else int(np.count_nonzero(self.weights))

    @cached_property
    def sums(self) -> Weights:
        """The running sum of the weights."""
        assert self.weights is not None
        return np.cumsum(self.weights)

    @cached_property
    def last(self) -> int:
        """The last item that can be drawn: what a product that was rounded up to the whole sum means."""
        return int(np.searchsorted(self.sums, self.sums[-1]))

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what can be worked out again."""
        return {name: value for name, value in self.__dict__.items() if name != "sums"}

    def length(self) -> int:
        """Return the count."""
        if self.count is not None:
            return self.count
        return self.size if self.replacement else self.candidates

    def positions(self, places: Indices, read: Reading) -> NDArray[np.int64]:
        """Return the positions that are drawn for many places."""
        if not self.replacement:
            if self.weights is None:
                return read.order(self, self.size).many(places)
            first = read.keyed(self, subset, Itself(self.weights), self.length(), kept=2)
            return first[np.asarray(places, np.int64)]
        draws = read.keyed(self, Draws)
        if self.weights is None:  # the remainder favours some positions by less than n / 2**64
            return (draws.many(places) % np.uint64(max(1, self.size))).astype(np.int64)
        found = np.searchsorted(self.sums, draws.uniform(places) * self.sums[-1], side="right")
        positions: NDArray[np.int64] = np.minimum(found, self.last)
        return positions

    def one(self, place: int, read: Reading) -> int:
        """Return the position that is drawn for a place."""
        if self.weights is None:
            if not self.replacement:
                return read.order(self, self.size).one(place)
            return read.keyed(self, Draws).one(place) % self.size
        if not self.replacement:
            return int(self.positions(np.array([place]), read)[0])
        number = (read.keyed(self, Draws).one(place) >> 11) * 2.0**-53
        return min(int(np.searchsorted(self.sums, number * self.sums[-1], side="right")), self.last)

    def item(self, index: int, read: Reading) -> Any:
        """Return the item that is drawn for this place."""
        return read.item(self.input, self.one(index, read))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the positions that are drawn."""
        return [Piece(WHOLE, self.input, self.positions(indices, read), read.epoch)]

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, self.one(index, read))

    def label(self) -> str:
        """Return what was said of the draws."""
        said = [] if self.count is None else [str(self.count)]
        if self.balanced:
            said.insert(0, "labels")
        elif self.weights is not None:
            said.append("weights")
        if not self.replacement:
            said.append("replacement=False")
        return f"{self.name[:-2]}({', '.join(said)})"

    def fingerprint(self) -> str:
        """Return the label and a check sum of the weights."""
        if self.weights is None:
            return self.label()
        return f"{self.label()} {digest(self.weights.tobytes(), 6).hex()}"


def subset(weights: Itself, count: int, key: Key) -> NDArray[np.int64]:
    """Return ``count`` different positions, drawn one after the other by weight (Efraimidis and Spirakis, 2006)."""
    candidates = np.flatnonzero(weights.value)
    waits = -np.log1p(-Draws(key).uniform(candidates)) / weights.value[candidates]
    if count < len(waits):
        nearest = np.argpartition(waits, count)[:count]
        candidates, waits = candidates[nearest], waits[nearest]
    return candidates[np.lexsort((candidates, waits))]


def checked(weights: object, n: int, where: str) -> Weights:
    """Return weights as an array that nobody else changes, or refuse them."""
    try:
        found = np.array(weights, np.float64)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{where}: weights must be numbers, not {short(weights)}.") from None
    if found.shape != (n,):
        shape = found.shape
        raise ArgumentError(f"{where}: weights has the shape {shape}, but there are {n} items. Give one for each.")
    if not np.all(np.isfinite(found)) or np.any(found < 0):
        worst = int(np.flatnonzero(~(np.isfinite(found) & (found >= 0)))[0])
        raise ArgumentError(f"{where}: weights must be numbers from 0 up; item {worst} has {found[worst]}.")
    top = found.max(initial=0.0)
    found = found / top if top > 0 else found  # sums of them stay finite
    found.flags.writeable = False
    return found


def balancing(labels: object, n: int) -> Weights:
    """Return weights under which every class is equally likely, and the items within one are."""
    found = np.asarray(labels)
    if found.shape != (n,):
        shape = found.shape
        raise ArgumentError(f"balance(): labels has the shape {shape}, but there are {n} items. Give one for each.")
    try:
        _, which, counts = np.unique(found, return_inverse=True, return_counts=True)
    except TypeError:
        raise ArgumentTypeError(
            "balance(): labels must be of one kind that can be sorted, all numbers or all words."
        ) from None
    return 1.0 / counts[which]
