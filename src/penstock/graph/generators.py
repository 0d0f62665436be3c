"""Generators of items: Philox with a key and a counter, which are all that an item's draws depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence
from numpy.typing import NDArray


def generator(key: NDArray[np.uint64], counter: Sequence[int]) -> np.random.Generator:
    """Return the generator with a key of two words and a counter of four."""
    start = np.array(counter, np.uint64)
    seed: Any = Key(key, start)  # NumPy's stub knows its own SeedSequence only
    return np.random.Generator(np.random.Philox(seed, counter=start))


class Key(ISpawnableSeedSequence):
    """A key, where NumPy takes what a seed is stretched to.

    ``Philox(key=…)`` means the same, but asks the system for entropy first, which takes 6 of 9 µs and is what
    generators that are spawned from it would depend on.
    """

    __slots__ = ("key", "seeds", "start")

    def __init__(self, key: NDArray[np.uint64], start: NDArray[np.uint64]) -> None:
        self.key = key
        self.start = start
        self.seeds: np.random.SeedSequence | None = None

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        """Return the key."""
        return self.key

    def spawn(self, n_children: int) -> list[Any]:
        """Return seeds of further generators, others each time: functions of key and counter, as everything is."""
        if self.seeds is None:
            self.seeds = np.random.SeedSequence([*self.key.tolist(), *self.start.tolist()])
        return list(self.seeds.spawn(n_children))
