"""Sources without end. They draw from a ``RandomState`` what dpipe's draw, in that order."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from penstock.compat.dpipe.itertools import pam, squeeze_first


def sample(sequence: Sequence[Any], weights: Any = None, random_state: Any = None) -> Iterator[Any]:
    """Yield entries of a sequence, drawn at random with replacement, without end.

    Args:
        sequence: anything with ``len`` and ``[i]``.
        weights: how likely each is, from 0 up; all alike by default.
        random_state: a seed, a ``np.random.RandomState`` or a ``np.random.Generator``; a fresh one by default.

    >>> import itertools
    >>> from penstock.compat.dpipe.batch_iter import sample
    >>> list(itertools.islice(sample("abc", random_state=1), 5))
    ['b', 'c', 'a', 'a', 'a']
    """
    rng = random_state
    if not isinstance(rng, (np.random.RandomState, np.random.Generator)):
        rng = np.random.RandomState(rng)
    size = len(sequence)
    if not size:
        raise IndexError("sample(): the sequence is empty, so there is nothing to draw.")
    if weights is None:
        while True:
            yield sequence[int(rng.random() * size)]
    weights = np.asarray(weights)
    if len(weights) != size:
        raise AssertionError(f"sample(): there are {size} entries, and {len(weights)} weights.")
    if not ((weights >= 0).all() and (weights > 0).any()):
        raise AssertionError("sample(): weights must be at least 0, and one of them more.")
    borders = np.add.accumulate(weights / weights.sum())
    while True:
        yield sequence[min(bisect(borders, rng.random()), size - 1)]


def load_by_random_id(
    *loaders: Callable[[Any], Any], ids: Sequence[Any], weights: Any = None, random_state: Any = None
) -> Iterator[Any]:
    """Yield what some functions load of ids that are drawn at random: a tuple, or the one thing that is loaded."""
    for identifier in sample(ids, weights, random_state):
        yield squeeze_first(tuple(pam(loaders, identifier)))
