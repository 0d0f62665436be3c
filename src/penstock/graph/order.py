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
BLOCK = 1 << 14  # this many places are computed at once and kept: vectors of this length stay in the cache
LANE = 1 << 61  # sets the words of an order apart from the draws of any item, whose part is far below this


Key = tuple[int, int, int]  # the seed, what stands for the operation, the epoch


def words(key: Key, count: int, lane: int = 0, block: int = 0) -> NDArray[np.uint64]:
    """Return ``count`` random 64-bit words that depend on (seed, operation, epoch), a lane and a block alone."""
    seed, number, epoch = key
    counter = np.array((0, LANE + lane, epoch, block), np.uint64)
    return np.random.Philox(key=np.array((seed, number), np.uint64), counter=counter).random_raw(count)


class Order:
    """One shuffled epoch: a permutation of ``range(n)`` that depends on its key alone.

    Memory is a block of 2**14 places at the most, whatever n is. ``lane`` and ``block`` tell apart several orders that
    one operation has in one epoch.
    """

    def __init__(self, n: int, key: Key, lane: int = 0, block: int = 0) -> None:
        self.n = n
        # The block and its beginning are one value: threads that share an order replace both at once.
        self._block: tuple[int, Vector] = (0, np.empty(0, np.int64))
        if n <= TABLE:
            self._block = (0, np.argsort(words(key, n, lane, block), kind="stable").astype(np.int64))
            return
        bits = (n - 1).bit_length()
        self._mask = (1 << bits) - 1
        self._half = (bits + 1) // 2
        self._word: Any = np.uint32 if bits <= 32 else np.uint64
        raw = [int(w) & self._mask for w in words(key, 2 * ROUNDS, lane, block)]
        # A factor's top bit is set: a small one would leave the high bits nearly in order.
        self._keys = [(raw[2 * r], raw[2 * r + 1] | 1 | 1 << (bits - 1)) for r in range(ROUNDS)]

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        start, block = self._block
        if 0 <= place - start < len(block):
            return int(block[place - start])
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
            return int(np.flatnonzero(self._block[1] == position)[0])
        mask, half = self._mask, self._half
        while True:
            for key, factor in reversed(self._keys):
                position ^= position >> half  # its own reverse, because a half is at least half of the bits
                position = (position * pow(factor, -1, mask + 1) & mask) ^ key
            if position < self.n:
                return position

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        if not isinstance(places, range):
            return self._block[1][places] if self.n <= TABLE else self._inside(places.astype(self._word))
        if not places:
            return np.empty(0, np.int64)
        if places.step != 1 or len(places) > BLOCK:
            return self.many(np.arange(places.start, places.stop, places.step))
        first, last = places.start, places.stop
        start, block = self._block
        if first < start or last > start + len(block):  # neighbouring places are computed a block at a time
            block = self._inside(np.arange(first, min(self.n, first + BLOCK), dtype=self._word))
            start = first
            self._block = (start, block)
        return block[first - start : last - start]

    def _inside(self, places: NDArray[Any]) -> Vector:
        """Scramble until everything is inside n. Overwrites its argument."""
        self._scramble(places)
        result = places.astype(np.int64)
        outside = np.flatnonzero(result >= self.n)
        while len(outside):
            again = result[outside].astype(self._word)
            self._scramble(again)
            result[outside] = again
            outside = outside[again >= self.n]
        return result

    def _scramble(self, x: NDArray[Any]) -> None:
        word = self._word
        mask, half = word(self._mask), word(self._half)
        scratch = np.empty_like(x)
        for key, factor in self._keys:
            np.bitwise_xor(x, word(key), out=x)
            np.multiply(x, word(factor), out=x)
            np.bitwise_and(x, mask, out=x)
            np.right_shift(x, half, out=scratch)
            np.bitwise_xor(x, scratch, out=x)
