"""Ordering: which item stands where, and what randomness derives from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.node import Node, ordered
from penstock.operations.epoch import Epoch
from penstock.operations.order import Order
from penstock.operations.repeat import Repeat
from penstock.operations.reuse import Reuse
from penstock.operations.sample import Sample, balancing
from penstock.operations.seed import Seed
from penstock.operations.shuffle import Shuffle
from penstock.operations.shuffle_window import ShuffleWindow
from penstock.surface.described import Described

if TYPE_CHECKING:
    from typing import Self

    from penstock.sequence import Sequence
    from penstock.stream import Stream

T_co = TypeVar("T_co", covariant=True)


class Ordering(Described[T_co]):
    """Operations on the order of the items, and on the epochs."""

    __slots__ = ()

    def shuffle(
        self,
        *,
        window: int | None = None,
        block: int | Literal["stored"] | None = None,
        blocks: int | None = None,
        ascending: int | None = None,
    ) -> Self:
        """Put the items into a random order, another one in every epoch. Every item comes exactly once.

        Args:
            window: move no item more than this many places. Works on streams too, which otherwise cannot be shuffled;
                a stream's items are held in the caller, up to 4/3 of ``window``, and resuming reads up to as many
                again.
            block: keep reads sequential: blocks of this many neighbouring positions are put into a random order, …
                ``"stored"``: those groups that the store keeps together, such as the row groups of Parquet.
            blocks: … and the items of this many blocks at a time are mixed; 16 by default.
            ascending: within every run of this many places (a batch, say), let the positions ascend, so that a disk
                is read in one direction. A batch then has the same items as without.

        Without ``window`` the dataset must be a Sequence. The order is computed place by place: no list of indices,
        whatever the length.

        >>> import penstock as ps
        >>> shuffled = ps.range(5).seed(1).shuffle()
        >>> sorted(shuffled) == list(range(5)), list(shuffled) == list(shuffled)
        (True, True)
        >>> near = list(ps.stream(range(1000)).shuffle(window=20))
        >>> max(abs(place - item) for place, item in enumerate(near)) <= 20
        True
        """
        if window is not None:
            if block is not None or blocks is not None or ascending is not None:
                raise ArgumentError(
                    "shuffle(): window goes with no other argument. Leave out block, blocks and ascending."
                )
            return cast("Self", self._wrap(ShuffleWindow(self.node, window)))
        if blocks is not None and block is None:
            raise ArgumentError("shuffle(): blocks says how many blocks are mixed; say how long they are: block=1024.")
        size = Shuffle.blocks if blocks is None else blocks
        return cast("Self", self._wrap(Shuffle(self.node, block, size, ascending)))

    def sample(
        self, count: int | None = None, *, weights: ArrayLike | None = None, replacement: bool = True
    ) -> Sequence[T_co]:
        """Draw items at random, others in every epoch. Needs a Sequence, and gives one.

        Args:
            count: how many items an epoch has; by default as many as the dataset, or without replacement as can be
                drawn.
            weights: a number from 0 up for every item: how likely it is, relative to the others. By default all are
                equally likely. Held once, as 8 bytes an item.
            replacement: whether an item can come several times. If not, ``weights`` say how likely an item is to be
                drawn next of those that are left; each process then works out an epoch's draws at its beginning.

        Any place is computed by itself.

        >>> import penstock as ps
        >>> list(ps.range(3).sample(5, weights=[0, 1, 0]))
        [1, 1, 1, 1, 1]
        >>> sorted(ps.range(3).sample(2, weights=[5, 0, 1], replacement=False))
        [0, 2]
        """
        given = None if weights is None else np.asarray(weights)
        return cast("Sequence[T_co]", self._wrap(Sample(self.node, count, given, replacement)))

    def balance(self, labels: ArrayLike, count: int | None = None) -> Sequence[T_co]:
        """Draw items such that every class is equally likely, with replacement. Needs a Sequence, and gives one.

        Args:
            labels: the class of every item: numbers or words.
            count: how many items an epoch has; by default as many as the dataset.

        >>> import penstock as ps
        >>> drawn = list(ps.items(list("aaaaaaaab")).balance(list("aaaaaaaab"), 1000))
        >>> 400 < drawn.count("b") < 600
        True
        """
        if not self.node.positional or self.node.length() is None:
            return cast("Sequence[T_co]", self._wrap(Sample(self.node, count, balanced=True)))  # which refuses
        weights = balancing(labels, self.node.length() or 0)
        return cast("Sequence[T_co]", self._wrap(Sample(self.node, count, weights, balanced=True)))

    def order(self, sampler: Iterable[int] | Callable[[int], Any]) -> Sequence[T_co]:
        """Read the items in the order that a sampler gives. Needs a Sequence, and gives one.

        Args:
            sampler: a function of the epoch that returns indices; or an iterable of indices, such as PyTorch's
                samplers; where it has ``set_epoch``, that is called with the epoch, on a copy. It must give the same
                indices whenever and wherever it is asked for an epoch, and as many in every epoch.

        Each process asks for itself, once for each epoch, and holds 8 bytes for each index.

        >>> import penstock as ps
        >>> list(ps.items(["a", "b", "c"]).order(lambda epoch: [2, 0, 0, 1]))
        ['c', 'a', 'a', 'b']
        """
        return cast("Sequence[T_co]", self._wrap(Order(self.node, sampler)))

    def reuse(self, times: int, *, window: int = 100) -> Stream[T_co]:
        """Give every item ``times`` times, computed once: for items that are expensive to make.

        Args:
            times: how often each item comes.
            window: how many neighbouring items are mixed. An item's repetitions stand within about twice this many
                times ``times`` places.

        The result is a Stream, read in the caller: it holds ``window`` items, about, and resuming computes up to as
        many again. What stands behind it (an augmentation, say) runs for every repetition; it is handed the same object
        each time, so it must not change it in place.

        >>> import penstock as ps
        >>> sorted(ps.range(3).reuse(2))
        [0, 0, 1, 1, 2, 2]
        """
        return cast("Stream[T_co]", self._wrap(Reuse(self.node, times, window)))

    def seed(self, seed: int) -> Self:
        """Let every random step behind this one derive from ``seed``, from 0 to 2**64 - 1. Without it, it is 0.

        >>> import penstock as ps
        >>> list(ps.range(9).seed(1).shuffle()) == list(ps.range(9).seed(2).shuffle())
        False
        """
        made = Seed(self.node, seed)
        for node in ordered(self.node):
            if (getattr(node, "random", False) or getattr(node, "rng", False)) and not seeded(node):
                raise ArgumentTypeError(
                    f"seed({made.seed}) stands behind {node.label()}, which it would not reach: a seed is for the "
                    "steps behind it. Put .seed() before the first random step."
                )
        return cast("Self", self._wrap(made))

    def repeat(self, times: int | None = None) -> Self:
        """Go through the dataset ``times`` times, or without end. Every round is shuffled and augmented anew.

        >>> import penstock as ps
        >>> list(ps.range(2).repeat(3))
        [0, 1, 0, 1, 0, 1]
        """
        return cast("Self", self._wrap(Repeat(self.node, times)))

    def epoch(self, number: int) -> Self:
        """Return the dataset as it is in one epoch, whatever the epoch: for looking at what a later epoch reads.

        >>> import penstock as ps
        >>> shuffled = ps.range(9).shuffle()
        >>> list(shuffled.epoch(0)) == list(shuffled), list(shuffled.epoch(1)) == list(shuffled)
        (True, False)
        """
        return cast("Self", self._wrap(Epoch(self.node, number)))


def seeded(node: Node) -> bool:
    """Tell whether a seed stands somewhere before a step."""
    while node.sources:
        node = node.sources[0]
        if isinstance(node, Seed):
            return True
    return False
