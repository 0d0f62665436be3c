"""Ordering: which item stands where, and what randomness derives from."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from penstock.errors import ArgumentTypeError
from penstock.graph.node import Node, ordered
from penstock.operations.epoch import Epoch
from penstock.operations.map import Map
from penstock.operations.repeat import Repeat
from penstock.operations.seed import Seed
from penstock.operations.shuffle import Shuffle
from penstock.surface.described import Described

if TYPE_CHECKING:
    from typing import Self

T_co = TypeVar("T_co", covariant=True)


class Ordering(Described[T_co]):
    """Operations on the order of the items, and on the epochs."""

    __slots__ = ()

    def shuffle(self) -> Self:
        """Put all items into a random order, another one in every epoch. Needs a Sequence.

        The order is a keyed permutation, computed place by place: no list of indices, whatever the length.

        >>> import penstock as ps
        >>> shuffled = ps.range(5).seed(1).shuffle()
        >>> sorted(shuffled) == list(range(5)), list(shuffled) == list(shuffled)
        (True, True)
        """
        return cast("Self", self._wrap(Shuffle(self.node)))

    def seed(self, seed: int) -> Self:
        """Let every random step behind this one derive from ``seed``, from 0 to 2**64 - 1. Without it, it is 0.

        >>> import penstock as ps
        >>> list(ps.range(9).seed(1).shuffle()) == list(ps.range(9).seed(2).shuffle())
        False
        """
        made = Seed(self.node, seed)
        for node in ordered(self.node):
            if (isinstance(node, Shuffle) or (isinstance(node, Map) and node.rng)) and not seeded(node):
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
