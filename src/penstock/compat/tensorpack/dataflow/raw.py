"""Flows of what is there already: lists, iterables, queues, made-up data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import DataFlow, NoLength, RNGDataFlow

__all__ = ["DataFromGenerator", "DataFromIterable", "DataFromList", "DataFromQueue", "FakeData"]


class FakeData(RNGDataFlow):
    """Made-up arrays of given shapes.

    Args:
        shapes: the shape of each component.
        size: how many datapoints a pass has.
        random: draw anew for each datapoint; False draws once a pass.
        dtype: a type, or one for each component.
        domain: (least, most), or such a pair for each component.
    """

    def __init__(
        self, shapes: Sequence[Any], size: int = 1000, random: bool = True, dtype: Any = "float32", domain: Any = (0, 1)
    ) -> None:
        self.shapes = shapes
        self._size = int(size)
        self.random = random
        self.dtype = [dtype] * len(shapes) if isinstance(dtype, str) else dtype
        self.domain = [domain] * len(shapes) if isinstance(domain, tuple) else domain
        assert len(self.dtype) == len(self.shapes)
        assert len(self.domain) == len(self.shapes)

    def __len__(self) -> int:
        return self._size

    def _draw(self) -> list[Any]:
        made = []
        for shape, dtype, (low, high) in zip(self.shapes, self.dtype, self.domain, strict=True):
            made.append((self.rng.rand(*shape) * (high - low) + low).astype(dtype))
        return made

    def __iter__(self) -> Iterator[Any]:
        if self.random:
            for _ in range(self._size):
                yield self._draw()
        else:
            made = self._draw()
            for _ in range(self._size):
                yield copy.copy(made)


class DataFromQueue(DataFlow):
    """What comes out of a queue, without end.

    Args:
        queue: anything with ``get()``.
    """

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self.queue.get()


class DataFromList(RNGDataFlow):
    """The datapoints of a list, shuffled in every pass unless ``shuffle`` is False.

    >>> from penstock.compat.tensorpack.dataflow import DataFromList
    >>> list(DataFromList([[1], [2]], shuffle=False))
    [[1], [2]]
    """

    def __init__(self, lst: Sequence[Any], shuffle: bool = True) -> None:
        self.lst = lst
        self.shuffle = shuffle

    def __len__(self) -> int:
        return len(self.lst)

    def __iter__(self) -> Iterator[Any]:
        if not self.shuffle:
            yield from self.lst
            return
        places = np.arange(len(self.lst))
        self.rng.shuffle(places)
        for place in places.tolist():
            yield self.lst[place]


class DataFromGenerator(DataFlow):
    """The datapoints of an iterable, or of a function that returns one, which is called in every pass.

    Args:
        gen: a generator can be gone through once; give the function, and every pass has a fresh one.
    """

    def __init__(self, gen: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self._gen = gen

    def __iter__(self) -> Iterator[Any]:
        yield from self._gen() if callable(self._gen) else self._gen

    def __len__(self) -> int:
        if not isinstance(self._gen, Sized):
            raise NoLength("a generator has no length")
        return len(self._gen)


class DataFromIterable(DataFlow):
    """The datapoints of an iterable; as long as that."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        self._itr = iterable
        self._len = len(iterable) if isinstance(iterable, Sized) else None

    def __len__(self) -> int:
        if self._len is None:
            raise NoLength("a generator has no length")
        return self._len

    def __iter__(self) -> Iterator[Any]:
        yield from self._itr
