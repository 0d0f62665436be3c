"""A pool of items that are expensive to make: each comes several times, in random order, before it goes."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterable
from typing import Any

import numpy as np

from penstock.compat.dpipe.batch_iter.stages import Iterator


class ExpirationPool(Iterator):
    """A transformer that gives each item ``repetitions`` times, out of a pool of ``pool_size`` of them.

    Args:
        pool_size: how many items are held.
        repetitions: how often each comes.
        iterations: how many come for each new one, while the pool is not full.
    """

    def __init__(self, pool_size: int, repetitions: int, iterations: int = 1) -> None:
        super().__init__(expiration_pool, pool_size=pool_size, repetitions=repetitions, iterations=iterations)


def expiration_pool(
    iterable: Iterable[Any], pool_size: int, repetitions: int, iterations: int = 1
) -> abc.Iterator[Any]:
    """Yield each item ``repetitions`` times, in random order, holding fewer than ``pool_size``; empty it at the end.

    It draws from NumPy's global generator what dpipe's draws. Where runs are to repeat themselves, or to be resumed,
    use ``dataset.reuse(times, window=…)``.

    >>> from penstock.compat.dpipe.batch_iter import expiration_pool
    >>> sorted(expiration_pool("ab", pool_size=2, repetitions=3))
    ['a', 'a', 'a', 'b', 'b', 'b']
    """
    if pool_size <= 0 or repetitions <= 0:
        raise AssertionError(f"expiration_pool(): {pool_size=} and {repetitions=} must be above 0.")
    held: dict[int, list[Any]] = {}  # by number: an item, and how often it will still come

    def draw() -> Any:
        number = np.random.choice(list(held))  # noqa: NPY002  as documented
        entry = held[number]
        entry[1] -= 1
        if not entry[1]:
            del held[number]
        return entry[0]

    for number, item in enumerate(iterable):
        held[number] = [item, repetitions]
        for _ in range(iterations):
            if held:
                yield draw()
        while len(held) >= pool_size:
            yield draw()
    while held:
        yield draw()
