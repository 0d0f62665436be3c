"""Which item stands where: chosen, repeated, in turns, by a condition, and positions for what has none."""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

import penstock as ps
from penstock.compat.seqtools.errors import joined
from penstock.compat.seqtools.views import View, adopt, derive, entries, sized

LASTING = (int, float, complex, str, bytes, type(None), np.generic)  # nothing can write into these
MANY = 8  # items of a view; for fewer, describing that they are read together costs more than reading them


def arange(start: int, stop: int | None = None, step: int | None = None) -> View:
    """Return whole numbers, as ``range`` does.

    >>> from penstock.compat import seqtools
    >>> numbers = seqtools.arange(5)
    >>> list(numbers), numbers[-1], list(seqtools.arange(6, 0, -2))
    ([0, 1, 2, 3, 4], 4, [6, 4, 2])
    """
    first, last = (0, start) if stop is None else (start, stop)
    return View(ps.range(first, last, 1 if step is None else step))


class Chosen:
    """Items of a sequence at positions that are looked up when they are read: somebody may shuffle them meanwhile."""

    def __init__(self, sequence: Any, indexes: Any) -> None:
        self.sequence = entries(sequence)
        self.indexes = indexes

    def __len__(self) -> int:
        return len(self.indexes)

    def __getitem__(self, index: int) -> Any:
        return self.sequence[self.indexes[index]]

    def __getitems__(self, places: list[int]) -> list[Any]:
        """Return many items; those of a view are read together."""
        chosen = [operator.index(self.indexes[place]) for place in places]
        if isinstance(self.sequence, View) and len(chosen) > MANY:
            with contextlib.suppress(Exception):  # which the view itself tells of, below
                return list(self.sequence.dataset.select(chosen))
        return [self.sequence[index] for index in chosen]

    def __setitem__(self, index: int, value: Any) -> None:
        self.sequence[self.indexes[index]] = value

    def now(self) -> NDArray[Any]:
        """Return the positions as they are."""
        return np.array(self.indexes)


class Gathering(View):
    """Items of a ``sequence`` at some ``indexes``."""

    def __init__(self, sequence: Any, indexes: Any) -> None:
        known = hasattr(indexes, "dtype") or isinstance(indexes, (list, tuple, range))
        self.sequence, self.indexes = sequence, indexes if known else list(indexes)
        if isinstance(sequence, Gathering):
            self.sequence, self.indexes = sequence.sequence, [sequence.indexes[index] for index in self.indexes]
        view = adopt(self.sequence)
        if isinstance(self.indexes, (tuple, range)) or not known:
            self._be(derive(lambda data: data.select(self.indexes), view))
            return
        chosen = Chosen(self.sequence, self.indexes)
        self._be(derive(lambda _: ps.items(chosen), view))
        self._loose = (*view._loose, chosen)  # noqa: SLF001  one class, made in several places
        self._again = lambda: view.steady.select(chosen.now())

    def __getitem__(self, key: Any) -> Any:
        return Gathering(self.sequence, self.indexes[key]) if isinstance(key, slice) else super().__getitem__(key)


def gather(sequence: Any, indexes: Any) -> Gathering:
    """Return the items at given positions, in that order. Negative ones count from the end.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.gather(["a", "b", "c"], [2, 0, 0]))
    ['c', 'a', 'a']
    """
    return Gathering(sequence, indexes)


def take(sequence: Any, indexes: Any) -> Gathering:
    """Return the same as ``gather``.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.take(["a", "b", "c"], [1, 1]))
    ['b', 'b']
    """
    return gather(sequence, indexes)


def cycle(sequence: Any, limit: int | None = None) -> View:
    """Return a sequence again and again, without end or up to a limit.

    >>> from penstock.compat import seqtools
    >>> seqtools.cycle(["a", "b", "c"])[3 * 10**9 + 1], list(seqtools.cycle(["a", "b"], 3))
    ('b', ['a', 'b', 'a'])
    """
    view = adopt(sequence)
    if sized(view) == 0:
        return view  # nothing, however often
    stop = None if limit is None else int(limit)
    made = derive(lambda data: data.repeat() if stop is None else data.repeat()[:stop], view)
    made._ring |= isinstance(sequence, (list, tuple, np.ndarray)) and not isinstance(sequence[0], LASTING)  # noqa: SLF001
    return made


def interleave(*sequences: Any) -> View:
    """Return items of several sequences in turns; those that are through drop out.

    What cannot be indexed makes the whole something that can only be iterated.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.interleave([1, 2, 3], ["a"], [0.1, 0.2]))
    [1, 'a', 0.1, 2, 0.2, 3]
    """
    return derive(ps.interleave, *sequences) if sequences else adopt(())


def repeat(value: Any, times: int | None = None) -> View:
    """Return one value many times, or without end.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.repeat(3, 4)), seqtools.repeat(3)[10**12]
    ([3, 3, 3, 3], 3)
    """
    if times is not None and (not isinstance(times, Integral) or times < 0):
        raise TypeError(f"repeat(): times must be a whole number from 0 on, or None, not {times!r}.")
    return derive(lambda data: data.repeat(times), [value])


def switch(condition: Any, x: Any, y: Any) -> View:
    """Return items of ``x`` where a condition is true, and of ``y`` where it is false.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.switch([True, False, True], "abc", "xyz"))
    ['a', 'y', 'c']
    """
    return case(condition, y, x)


def case(selector: Any, *values: Any) -> View:
    """Return items of ``values[selector[i]]``, of which only that one is computed.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.case([2, 0, 1], "abc", "klm", "xyz"))
    ['x', 'b', 'm']
    """
    chooser, *views = [adopt(sequence) for sequence in (selector, *values)]
    lengths = [sized(view) for view in (chooser, *views)]
    if None not in lengths and len(set(lengths)) > 1:
        raise ValueError(f"case(): all inputs must have the same size, not {lengths}.")
    made = derive(lambda *data: ps.switch(chooser.steady, *data), *views)
    made._trail = joined([chooser._trail, made._trail])  # noqa: SLF001  one class, made in several places
    return made


class Tape:
    """The items of an iterable by position, where nobody knows how many there are."""

    def __init__(self, iterable: Iterable[Any], cache: int) -> None:
        once = isinstance(iterable, Iterator)
        self.items = ps.stream(iterable, once=once).indexed(sys.maxsize, cache=cache)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.items[index]
        except ValueError as error:  # the stream ended: Penstock's way to say so
            raise IndexError(f"the iterable has no item {index}") from error


def uniter(
    iterable: Iterable[Any],
    cache_size: int = 0,
    n_parallel: int = 1,  # noqa: ARG001  taken, for the original has it
    size: int | None = None,
) -> View:
    """Return the items of an iterable by position, by reading it again where need be.

    Args:
        iterable: what can be iterated again, in the same order.
        cache_size: how many of the items read last are kept.
        n_parallel: taken for compatibility; one iterator is open.
        size: how many items there are; of a longer iterable the first ones. Without it, there is no ``len``.

    >>> from penstock.compat import seqtools
    >>> numbers = seqtools.uniter(range(5000), cache_size=10, n_parallel=5, size=5000)
    >>> numbers[10], numbers[1], numbers[-1]
    (10, 1, 4999)
    """
    if size is None:
        return adopt(Tape(iterable, cache_size))
    once = isinstance(iterable, Iterator)
    return View(ps.stream(iterable, once=once).indexed(size, cache=cache_size))
