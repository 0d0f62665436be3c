"""order: the items in an order that a sampler, or a function of the epoch, gives."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.arranging import Itself
from penstock.graph.checking import digest, name_of, short
from penstock.graph.node import Node, operation
from penstock.graph.order import Key
from penstock.graph.reindexing import WHOLE, Piece, Reindexing

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

Vector = NDArray[np.int64]


@operation
class Order(Reindexing):
    """The items at the positions that ``sampler`` gives for the epoch.

    Every process that computes items asks for itself, once for each epoch. So what is asked has to give the same to all
    of them, and after a restart; it is asked twice when the operation is made, and refused if the answers differ.
    """

    scatters = True
    random = True  # as far as others must know: not the same in every epoch

    input: Node
    sampler: Any
    count: int = -1
    check_sum: str = ""

    def check(self) -> None:
        """Refuse streams, and what gives no indices, or others every time."""
        if not self.input.positional:
            raise ArgumentTypeError(
                f"order(): {self.input.label()} gives a stream, which has no positions. "
                "Put order() before it: where the dataset is still a Sequence."
            )
        if self.count >= 0:
            return
        first, second = (asked(self.sampler, self.input.length(), 0) for _ in range(2))
        if not np.array_equal(first, second):
            raise ArgumentError(
                f"order(): {short(self.sampler)} gives other indices each time it is asked, so workers would not agree "
                "and a state could not be resumed. Give a function of the epoch that makes a generator of its own: "
                "order(lambda epoch: numpy.random.default_rng(epoch).permutation(n)); or use shuffle() or sample()."
            )
        self.normalise(count=len(first), check_sum=digest(first.tobytes(), 6).hex())

    def length(self) -> int:
        """Return how many indices the sampler gave."""
        return self.count

    def positions(self, read: Reading) -> Vector:
        """Return the positions of this epoch."""
        found = read.keyed(self, listed, Itself(self.sampler), self.input.length(), kept=2)
        if len(found) != self.count:
            raise ArgumentError(
                f"{self.label()}: {len(found)} indices came in epoch {read.epoch}, {self.count} in epoch 0. "
                "Every epoch must have as many: give a sampler whose length does not change."
            )
        return found

    def item(self, index: int, read: Reading) -> Any:
        """Return the item at the position that this place has."""
        return read.item(self.input, int(self.positions(read)[index]))

    def trace(self, indices: Indices, read: Reading) -> Sequence[Piece]:
        """Return the positions that the sampler gave."""
        return [Piece(WHOLE, self.input, self.positions(read)[np.asarray(indices, np.int64)], read.epoch)]

    def origin(self, index: int, read: Reading) -> object:
        """Return what the source calls the item."""
        return read.origin(self.input, int(self.positions(read)[index]))

    def label(self) -> str:
        """Return the function's name, or the kind of sampler."""
        sampler = self.sampler
        return f"order({type(sampler).__name__ if isinstance(sampler, Iterable) else name_of(sampler)})"

    def fingerprint(self) -> str:
        """Return the label and a check sum of the first epoch's indices."""
        return f"{self.label()} {self.check_sum}"


def listed(sampler: Itself, n: int | None, key: Key) -> Vector:
    """Return the positions of an epoch."""
    return asked(sampler.value, n, key[2])


def asked(sampler: Any, n: int | None, epoch: int) -> Vector:
    """Ask a sampler, or a function, for the positions of an epoch; refuse what is none."""
    if isinstance(sampler, Iterator):
        raise ArgumentTypeError(
            f"order(): {short(sampler)} is an iterator: it can be read once. "
            "Give the sampler, or a function of the epoch."
        )
    if isinstance(sampler, Iterable):
        own = copy.copy(sampler)  # an epoch that is set on it stays among us
        if callable(set_epoch := getattr(own, "set_epoch", None)):
            set_epoch(epoch)
        found = own if isinstance(own, np.ndarray) else as_array(list(own))
    elif callable(sampler):
        given = sampler(epoch)
        found = as_array(list(given) if isinstance(given, Iterator) else given)
    else:
        raise ArgumentTypeError(
            f"order(): {short(sampler)} is neither a sampler nor a function. "
            "For example: order(lambda epoch: [2, 0, 1])"
        )
    return inside(found, n, sampler)


def as_array(values: Any) -> NDArray[Any]:
    """Return values as an array: of objects, where they are lists of different lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.array(values, object)


def inside(found: NDArray[Any], n: int | None, sampler: Any) -> Vector:
    """Return indices as a vector of positions, or refuse them."""
    if found.ndim == 1 and not len(found):
        return np.empty(0, np.int64)
    if found.ndim != 1 or found.dtype == object:
        raise ArgumentTypeError(
            f"order(): {short(sampler)} does not give single indices. Of a batch sampler give the sampler that it "
            "draws from, order(batch_sampler.sampler), and say .batch(size) behind it."
        )
    if found.dtype.kind not in "iu":
        raise ArgumentTypeError(f"order(): indices must be whole numbers, not {found.dtype}: {short(sampler)}.")
    low, high = int(found.min()), int(found.max())
    if low < 0 or (n is not None and high >= n):
        wrong = low if low < 0 else high
        raise ArgumentError(f"order(): index {wrong} of {short(sampler)} does not exist: there are {n} items.")
    return found.astype(np.int64)
