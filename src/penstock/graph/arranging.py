"""Arrangements: orders that keep something near, and draws; as functions of (seed, epoch, operation) and a place.

    Ascending   an order in which the positions of every run of places ascend, so that a disk is read in one direction
    Blocks      whole blocks in random order, and the items of several blocks mixed: reads stay sequential
    Stretches   the same with blocks of different lengths
    Windowed    nothing moves further than a window
    Draws       independent random words, one for each place

All of them are computed place by place, like an Order, and hold a bounded table at the most.

A windowed order is made of two passes. Each permutes blocks; those of the second lie across the borders of the first,
so nothing sticks to a border, and the first border is somewhere else in every epoch:

    positions   ──┤  block  ├──┤  block  ├──┤  block  ├──        a block has two thirds of a window
                      permuted    permuted     permuted
                ────────┤  block  ├──┤  block  ├──┤  block       half a block further
    places      ────────   permuted    permuted
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.graph.order import TABLE, Key, Order, Vector, words

CHUNK = 1 << 12  # places of small blocks that are permuted at once
KEPT = 4  # tables of blocks that are kept, of each pass: those that neighbouring places need

ONES = 0xFFFFFFFFFFFFFFFF


class Arrangement(Protocol):
    """Which position stands at which place."""

    n: int

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        ...

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        ...


def vector(places: range | Vector) -> Vector:
    """Return places as a vector."""
    if isinstance(places, range):
        return np.arange(places.start, places.stop, places.step)
    return np.asarray(places, np.int64)


class Itself:
    """A value that stands in a name under which something is kept: it is equal to the very same value alone."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same one."""
        return isinstance(other, Itself) and other.value is self.value

    def __hash__(self) -> int:
        """Hash where it is."""
        return id(self.value)


def trim(tables: dict[int, Any]) -> None:
    """Make room for one more. Threads may race here: at worst something is made anew."""
    for old in list(tables)[: max(0, len(tables) + 1 - KEPT)]:
        tables.pop(old, None)


class Draws:
    """A random 64-bit word for every place: the hash of a keyed counter.

    This is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), whose n-th word
    is a mix of n alone, with a start and a step that Philox draws, and the mix done twice.
    """

    def __init__(self, key: Key, lane: int = 0) -> None:
        start, step, second = words(key, 3, lane).tolist()
        self._start, self._step, self._second = start, step | 1, second

    def one(self, place: int) -> int:
        """Return the word of a place."""
        x: int = (self._start + place * self._step) & ONES
        for key in (0, self._second):
            x ^= key
            x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & ONES
            x = ((x ^ x >> 27) * 0x94D049BB133111EB) & ONES
            x ^= x >> 31
        return x

    def many(self, places: range | Vector) -> NDArray[np.uint64]:
        """Return the words of many places."""
        x = vector(places).astype(np.uint64) * np.uint64(self._step) + np.uint64(self._start)
        for key in (0, self._second):
            x ^= np.uint64(key)
            x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
            x ^= x >> np.uint64(31)
        return x

    def uniform(self, places: range | Vector) -> NDArray[np.float64]:
        """Return a number from 0 up to 1, without it, for each of many places."""
        return (self.many(places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Ascending:
    """Another arrangement in which the positions within every run of ``run`` places ascend."""

    def __init__(self, order: Arrangement, run: int) -> None:
        self.order = order
        self.n = order.n
        self.run = run
        self._last: tuple[int, list[int]] = (-1, [])  # threads that share this replace both at once

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        number = place // self.run
        at, positions = self._last
        if at != number:
            start = number * self.run
            positions = sorted(self.order.many(range(start, min(self.n, start + self.run))).tolist())
            self._last = (number, positions)
        return positions[place - number * self.run]

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        run = self.run
        if isinstance(places, range) and places and places.step == 1:
            first, last = places.start // run, (places.stop - 1) // run + 1
            table = self._table(range(first * run, min(self.n, last * run)), last - first)
            return table.ravel()[places.start - first * run : places.stop - first * run]
        where = vector(places)
        numbers, which = np.unique(where // run, return_inverse=True)
        table = self._table((numbers[:, None] * run + np.arange(run)).ravel(), len(numbers))
        return table[which, where % run]

    def _table(self, places: range | Vector, runs: int) -> Vector:
        """Return the positions of whole runs, sorted; what a last run lacks is sorted behind."""
        table = np.full((runs, self.run), self.n, np.int64)
        if isinstance(places, range):
            table.ravel()[: len(places)] = self.order.many(places)
        else:
            inside = places < self.n
            table.ravel()[inside] = self.order.many(places[inside])
        table.sort(axis=1)
        return table


class Blockwise:
    """Permutes ``range(n)`` block by block. The first block is ``shift`` places shorter; ``n`` None is endless."""

    def __init__(self, n: int | None, size: int, shift: int, key: Key, lane: int) -> None:
        self.n = n
        self.size = size
        self.shift = shift
        self.key = key
        self.lane = lane
        self.span = size * max(1, CHUNK // size)
        self._tables: dict[int, Vector] = {}
        self._orders: dict[int, Order] = {}

    def number(self, place: int) -> int:
        """Return the number of the block that a place is in."""
        return (place + self.shift) // self.size

    def bounds(self, number: int) -> tuple[int, int]:
        """Return where a block begins and ends; a last one may end beyond n."""
        start = number * self.size - self.shift
        return max(0, start), start + self.size

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        chunk = (place + self.shift) // self.span
        if self.size > TABLE:
            start, order = self._order(chunk)
            return order.one(place - start) + start
        start = chunk * self.span - self.shift
        return int(self._table(chunk)[place - start]) + start

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        where = vector(places)
        chunks = (where + self.shift) // self.span
        found = np.empty_like(where)
        numbers = np.unique(chunks).tolist()
        for chunk in numbers:
            mine = slice(None) if len(numbers) == 1 else np.flatnonzero(chunks == chunk)
            if self.size > TABLE:
                start, order = self._order(chunk)
                found[mine] = order.many(where[mine] - start) + start
            else:
                start = chunk * self.span - self.shift
                found[mine] = self._table(chunk)[where[mine] - start] + start
        return found

    def _order(self, number: int) -> tuple[int, Order]:
        """Return where a large block begins, and its order, which needs no table."""
        start, end = self.bounds(number)
        order = self._orders.get(number)
        if order is None:
            count = (end if self.n is None else min(end, self.n)) - start
            trim(self._orders)
            order = self._orders[number] = Order(count, self.key, self.lane, number)
        return start, order

    def _table(self, chunk: int) -> Vector:
        """Return the permutation of some blocks, as offsets into them.

        Blocks are sorted by random words. Places that a first or last block lacks have words that leave them where they
        are, so the other places of such a block are permuted among themselves.
        """
        table = self._tables.get(chunk)
        if table is None:
            raw = (words(self.key, self.span, self.lane, chunk) >> np.uint64(1)) + np.uint64(1)
            first = chunk * self.span - self.shift
            if first < 0:
                raw[:-first] = 0
            if self.n is not None and first + self.span > self.n:
                raw[self.n - first :] = ONES
            table = np.argsort(raw.reshape(-1, self.size), axis=1, kind="stable")
            table = (table + np.arange(len(table))[:, None] * self.size).ravel()
            trim(self._tables)
            self._tables[chunk] = table
        return table


class Windowed:
    """Moves nothing further than ``window`` places, or groups of ``times``, which the first pass leaves whole."""

    def __init__(self, n: int | None, window: int, times: int, key: Key) -> None:
        self.n = n
        groups = max(1, 2 * (window + 1) // 3)  # both passes together move 3/2 of a block, less a place, at the most
        shift = int(words(key, 1)[0]) % groups * times
        size = groups * times
        self.first = Blockwise(n, size, shift, key, 1)
        self.second = Blockwise(n, size, (shift + size // 2) % size, key, 2)

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        return self.first.one(self.second.one(place))

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        return self.first.many(self.second.many(places))


class Blocks:
    """Blocks of ``size`` positions in random order, each ``together`` neighbouring blocks of it mixed item by item."""

    def __init__(self, n: int, size: int, together: int, key: Key) -> None:
        self.n = n
        self.size = size
        self.together = together
        self.key = key
        count = -(-n // size)
        self.order = Order(count, key)
        self.lack = count * size - n  # the last block of the positions is shorter, and stands …
        self.slot = self.order.find(count - 1) if self.lack else count  # … here among the blocks
        self.end = (self.slot + 1) * size - self.lack  # of the places that it has
        self._groups: dict[int, Order] = {}

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        group = (place + (self.lack if place >= self.end else 0)) // (self.size * self.together)
        start = self._start(group)
        mixed = self._group(group, self._start(group + 1) - start).one(place - start) + start
        block, inside = divmod(mixed + (self.lack if mixed >= self.end else 0), self.size)
        return self.order.one(block) * self.size + inside

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        size, lack, end = self.size, self.lack, self.end
        where = vector(places)
        # In virtual places every block has its full size; those that the shorter one lacks are never asked for.
        groups = (where + lack * (where >= end)) // (size * self.together)
        mixed = np.empty_like(where)
        for group in np.unique(groups).tolist():
            mine = np.flatnonzero(groups == group)
            start = self._start(group)
            mixed[mine] = self._group(group, self._start(group + 1) - start).many(where[mine] - start) + start
        virtual = mixed + lack * (mixed >= end)
        found: Vector = self.order.many(virtual // size) * size + virtual % size
        return found

    def _start(self, group: int) -> int:
        """Return the place at which a group of blocks begins."""
        block = group * self.together
        return min(self.n, block * self.size - (self.lack if block > self.slot else 0))

    def _group(self, number: int, count: int) -> Order:
        """Return the order within a group of blocks."""
        order = self._groups.get(number)
        if order is None:
            trim(self._groups)
            order = self._groups[number] = Order(count, self.key, 1, number)
        return order


class Stretches:
    """Blocks of any lengths in random order, each ``together`` neighbouring blocks of it mixed item by item.

    ``bounds`` says where the blocks begin, and at last how many positions there are. Holds 24 bytes a block.
    """

    def __init__(self, bounds: Vector, together: int, key: Key) -> None:
        self.n = int(bounds[-1])
        self.together = together
        self.key = key
        count = len(bounds) - 1
        blocks = Order(count, key).many(np.arange(count))
        self.positions = bounds[blocks]
        self.places = np.concatenate([[0], np.cumsum(np.diff(bounds)[blocks])])
        self._groups: dict[int, Order] = {}

    def one(self, place: int) -> int:
        """Return the position that stands at a place."""
        group, start = self._start(int(self.places.searchsorted(place, "right") - 1) // self.together)
        return int(self._position(np.int64(group.one(place - start) + start)))

    def many(self, places: range | Vector) -> Vector:
        """Return the positions that stand at many places."""
        where = vector(places)
        numbers = (self.places.searchsorted(where, "right") - 1) // self.together
        mixed = np.empty_like(where)
        for number in np.unique(numbers).tolist():
            mine = np.flatnonzero(numbers == number)
            group, start = self._start(number)
            mixed[mine] = group.many(where[mine] - start) + start
        return self._position(mixed)

    def _position(self, mixed: Any) -> Vector:
        """Return the positions of places, before items are mixed."""
        slots = self.places.searchsorted(mixed, "right") - 1
        positions: Vector = self.positions[slots] + mixed - self.places[slots]
        return positions

    def _start(self, number: int) -> tuple[Order, int]:
        """Return the order within a group of blocks, and the place at which it begins."""
        start = int(self.places[number * self.together])
        end = int(self.places[min(len(self.places) - 1, (number + 1) * self.together)])
        order = self._groups.get(number)
        if order is None:
            trim(self._groups)
            order = self._groups[number] = Order(end - start, self.key, 1, number)
        return order, start
