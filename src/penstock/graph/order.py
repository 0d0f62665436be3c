"""Order: which source position stands at which place of a shuffled epoch, as a function.

A shuffle is a permutation of ``range(n)`` that is computed, never stored. Up to 2**14 items it is the sorting order
of keyed random words, uniform over all permutations. Beyond that, places are scrambled within the smallest power of two
that holds n, and those that fall outside n are scrambled again until they fall inside ("cycle walking", Black and
Rogaway, "Ciphers with arbitrary finite domains", 2002), which keeps it a permutation of exactly n.

    place ──> 5 rounds of:  x ^ key   × odd factor (low bits reach high ones)   ^ x >> half (and back) ──> position

Each step of a round is a bijection of k bits with a key of its own. A round does what two rounds of a Feistel network
do, with half the operations, all of which NumPy runs on vectors of 32-bit words; the tests of uniformity, neighbours
and independence of epochs are in tests/graph/test_order.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.int64]

ROUNDS = 5
TABLE = 1 << 14  # up to here the order is sorted random words
FEW = 8  # places that are scrambled again in Python: below, NumPy's calls cost more than the numbers
LANE = 1 << 61  # sets the words of an order apart from the draws of any item, whose part is far below this


Key = tuple[int, int, int]  # the seed, what stands for the operation, the epoch


def words(key: Key, count: int, lane: int = 0, block: int = 0) -> NDArray[np.uint64]:
    """Return ``count`` random 64-bit words that depend on (seed, operation, epoch), a lane and a block alone."""
    seed, number, epoch = key
    counter = np.array((0, LANE + lane, epoch, block), np.uint64)
    return np.random.Philox(key=np.array((seed, number), np.uint64), counter=counter).random_raw(count)


class Order:
    """One shuffled epoch: a permutation of ``range(n)`` that depends on its key alone.

    Memory is a table of 2**14 places at the most, whatever n is. ``lane`` and ``block`` tell apart several orders that
    one operation has in one epoch.
    """

    def __init__(self, n: int, key: Key, lane: int = 0, block: int = 0) -> None:
        self.n = n
        if n <= TABLE:
            self._table: Vector = np.argsort(words(key, n, lane, block), kind="stable").astype(np.int64)
            return
        bits = (n - 1).bit_length()
        self._mask = (1 << bits) - 1
        self._half = (bits + 1) // 2
        self._word: Any = np.uint32 if bits <= 32 else np.uint64
        raw = [int(w) & self._mask for w in words(key, 2 * ROUNDS, lane, block)]
        # A factor's top bit is set: a small one would leave the high bits nearly in order.
        self._keys = [(raw[2 * r], raw[2 * r + 1] | 1 | 1 << (bits - 1)) for r in range(ROUNDS)]
        # The same for vectors: NumPy takes arrays without axes in half the time that it takes numbers in.
        self._vectors = [tuple(np.array(number, self._word) for number in pair) for pair in self._keys]
        self._bounds = tuple(np.array(number, self._word) for number in (self._mask, self._half, n - 1))

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        if self.n <= TABLE:
            return int(self._table[place])
        mask, half = self._mask, self._half
        while True:
            for key, factor in self._keys:
                place = ((place ^ key) * factor) & mask
                place ^= place >> half
            if place < self.n:
                return place

    def find(self, position: int) -> int:
        """Return the place at which a position stands: the reverse of ``one``."""
        if self.n <= TABLE:
            return int(np.flatnonzero(self._table == position)[0])
        mask, half = self._mask, self._half
        while True:
            for key, factor in reversed(self._keys):
                position ^= position >> half  # its own reverse, because a half is at least half of the bits
                position = (position * pow(factor, -1, mask + 1) & mask) ^ key
            if position < self.n:
                return position

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        where = np.arange(places.start, places.stop, places.step) if isinstance(places, range) else places
        return self._table.take(where) if self.n <= TABLE else self._inside(where.astype(self._word))

    def _inside(self, x: NDArray[Any]) -> Vector:
        """Scramble until everything is inside n. Overwrites its argument."""
        last = self._bounds[2]
        self._scramble(x)
        outside = np.flatnonzero(x > last)
        while len(outside) > FEW:
            again = x.take(outside)
            self._scramble(again)
            x[outside] = again
            outside = outside.compress(again > last)
        for place in outside.tolist():
            x[place] = self.one(int(x[place]))
        return x.astype(np.int64)

    def _scramble(self, x: NDArray[Any]) -> None:
        mask, half, _ = self._bounds
        for key, factor in self._vectors:
            x ^= key
            x *= factor
            x &= mask
            x ^= x >> half
