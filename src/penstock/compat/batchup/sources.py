"""Data sources of one kind of data each, and what all sources can do."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from penstock.compat.batchup.evaluating import batch_map_concat, batch_map_mean
from penstock.compat.batchup.sampling import AbstractSampler, StandardSampler, SubsetSampler, missing, num_batches
from penstock.compat.rows import rows


class AbstractDataSource:
    """Something that mini-batches come from. A subclass overrides what it can do."""

    @property
    def is_random_access(self) -> bool:
        """Whether batches can be made of indices, and so by workers."""
        return False

    def num_samples(self, **kwargs: Any) -> Any:
        """Return how many samples there are: a whole number, ``np.inf``, or None where nobody knows."""
        raise missing(self, "num_samples")

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Return an iterator of mini-batches."""
        raise missing(self, "batch_iterator")

    def batch_indices_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Return an iterator of the indices of each mini-batch; of random access sources."""
        raise TypeError(f"{type(self).__name__} has no indices: it, or a source in it, is not of random access.")

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return the mini-batch of some indices of the data; of random access sources."""
        raise TypeError(f"{type(self).__name__} has no indices: it, or a source in it, is not of random access.")

    def samples_by_indices(self, indices: Any) -> Any:
        """Return the mini-batch of some positions in what the sampler draws from; of random access sources."""
        raise TypeError(f"{type(self).__name__} has no indices: it, or a source in it, is not of random access.")

    def map(self, fn: Callable[..., Any]) -> MapDataSource:
        """Send each batch through ``fn(*batch)``, which returns a tuple. In a pool, its workers call it."""
        return MapDataSource(self, fn)

    def batch_map_concat(
        self,
        func: Callable[..., Any],
        batch_size: int,
        progress_iter_func: Callable[..., Any] | None = None,
        n_batches: int | None = None,
        prepend_args: tuple[Any, ...] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a function with each batch, and join its results: one for each sample."""
        n_batches = self._limit(batch_size, n_batches, kwargs)
        batches = self.batch_iterator(batch_size, **kwargs)
        return batch_map_concat(func, batches, progress_iter_func, n_batches, prepend_args)

    def batch_map_mean(  # noqa: PLR0913, PLR0917  BatchUp's signature
        self,
        func: Callable[..., Any],
        batch_size: int,
        progress_iter_func: Callable[..., Any] | None = None,
        sum_axis: Any = None,
        n_batches: int | None = None,
        prepend_args: tuple[Any, ...] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call a function with each batch, and return the sums of its results over the number of samples."""
        n_batches = self._limit(batch_size, n_batches, kwargs)
        batches = self.batch_iterator(batch_size, **kwargs)
        return batch_map_mean(func, batches, progress_iter_func, sum_axis, n_batches, prepend_args)

    def _limit(self, batch_size: int, n_batches: int | None, kwargs: dict[str, Any]) -> int | None:
        if n_batches is not None:
            return n_batches
        n = self.num_samples(**kwargs)
        if n == np.inf:
            raise ValueError("the samples have no end: say how many batches to take, n_batches=….")
        return None if n is None else num_batches(n, batch_size)


def shuffler(shuffle: Any) -> Any:
    """Return what draws: nothing, NumPy's global generator, or the one that was given."""
    if shuffle is None or shuffle is False:
        return None
    if shuffle is True:
        return np.random
    if not hasattr(shuffle, "permutation"):
        raise TypeError(f"shuffle must be True, False or a np.random.RandomState, not {shuffle!r}.")
    return shuffle


class RandomAccessDataSource(AbstractDataSource):
    """A source whose batches are made of indices, which a sampler draws. Override ``samples_by_indices_nomapping``.

    Args:
        length: how many samples there are.
        indices: those that are to be used; all by default.
        repeats: how many rounds; -1 for no end.
        sampler: draws the indices, in place of ``indices`` and ``repeats``.
        include_indices: put the indices before each batch.
    """

    def __init__(
        self,
        length: int,
        indices: Any = None,
        repeats: int = 1,
        sampler: AbstractSampler | None = None,
        include_indices: bool = False,
    ) -> None:
        if sampler is not None and (repeats != 1 or indices is not None):
            raise ValueError("a sampler knows its indices and its repeats: give it alone.")
        if sampler is None:
            sampler = StandardSampler(length, repeats) if indices is None else SubsetSampler(indices, repeats)
        self.include_indices = include_indices
        self.sampler = sampler

    @property
    def is_random_access(self) -> bool:
        """True."""
        return True

    def num_samples(self, **kwargs: Any) -> Any:
        """Return how many samples the sampler draws."""
        return self.sampler.num_indices_generated()

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return the mini-batch of some indices of the data."""
        raise missing(self, "samples_by_indices_nomapping")

    def samples_by_indices(self, indices: Any) -> Any:
        """Return the mini-batch of some positions in what the sampler draws from."""
        return self.samples_by_indices_nomapping(self.sampler.map_indices(indices))

    def batch_indices_iterator(self, batch_size: int, shuffle: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Return an iterator of the indices of each mini-batch.

        Args:
            batch_size: how many.
            shuffle: a ``np.random.RandomState``; True for NumPy's global one; None or False for the samples' order.
            kwargs: left for other sources.
        """
        rng = shuffler(shuffle)
        if rng is None:
            return self.sampler.in_order_indices_batch_iterator(batch_size)
        return self.sampler.shuffled_indices_batch_iterator(batch_size, rng)

    def batch_iterator(self, batch_size: int, shuffle: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Yield mini-batches; the last may be short."""
        for indices in self.batch_indices_iterator(batch_size, shuffle=shuffle, **kwargs):
            yield self.samples_by_indices_nomapping(indices)


class ArrayDataSource(RandomAccessDataSource):
    """Rows of arrays, or of objects with ``len`` and ``[i]``, ``[a:b]`` and ``[array of indices]``.

    >>> import numpy as np
    >>> from penstock.compat.batchup.data_source import ArrayDataSource
    >>> source = ArrayDataSource([np.arange(5), np.arange(5) * 10])
    >>> [(x.tolist(), y.tolist()) for x, y in source.batch_iterator(batch_size=3)]
    [([0, 1, 2], [0, 10, 20]), ([3, 4], [30, 40])]
    """

    def __init__(
        self,
        data: list[Any],
        indices: Any = None,
        repeats: int = 1,
        sampler: AbstractSampler | None = None,
        include_indices: bool = False,
    ) -> None:
        if not isinstance(data, list):
            raise TypeError(f"data must be a list of arrays, not a {type(data).__name__}.")
        if not data:
            raise IndexError("data is an empty list: give at least one array.")
        lengths = [len(array) for array in data]
        if len(set(lengths)) > 1:
            raise ValueError(f"the arrays must be of equal length; theirs are {lengths}.")
        self.data = data
        super().__init__(lengths[0], indices, repeats, sampler, include_indices)

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return the rows, a tuple with an entry for each array."""
        batch = tuple(rows(array, indices) for array in self.data)
        if not self.include_indices:
            return batch
        if isinstance(indices, slice):
            indices = np.arange(*indices.indices(len(self.data[0])))
        return (indices, *batch)


class CallableDataSource(AbstractDataSource):
    """The batches of ``batch_iterator_fn(batch_size, **kwargs)``, anew in every epoch.

    Args:
        batch_iterator_fn: returns an iterator of batches.
        num_samples_fn: how many samples there are: a function of the ``kwargs``, a number, or ``np.inf``.
    """

    def __init__(self, batch_iterator_fn: Callable[..., Any], num_samples_fn: Any = None) -> None:
        self.batch_iterator_fn = batch_iterator_fn
        self.num_samples_fn = num_samples_fn if callable(num_samples_fn) else count(num_samples_fn, "num_samples_fn")

    def num_samples(self, **kwargs: Any) -> Any:
        """Return how many samples there are, if that is known."""
        return self.num_samples_fn(**kwargs) if callable(self.num_samples_fn) else self.num_samples_fn

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Return what the function returns."""
        made: Iterator[Any] = self.batch_iterator_fn(batch_size, **kwargs)
        return made


class IteratorDataSource(AbstractDataSource):
    """The batches of an iterator. There is one epoch; what has been read does not come again."""

    def __init__(self, batch_iter: Iterator[Any], n_samples: Any = None) -> None:
        self.batch_iter = batch_iter
        self.n_samples = count(n_samples, "n_samples")
        self._ended = False

    def num_samples(self, **kwargs: Any) -> Any:
        """Return how many samples there are, if that is known."""
        return self.n_samples

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Yield what the iterator still has; behind its end there is no second epoch, and that is an error."""
        if self._ended:
            raise ValueError(
                "this iterator has come to its end, and cannot be read again: give CallableDataSource a function that "
                "makes it."
            )
        return self._rest()

    def _rest(self) -> Iterator[Any]:
        yield from self.batch_iter
        self._ended = True


def count(n: Any, name: str) -> Any:
    """Return a number of samples, or refuse what is none."""
    if n is None or n == np.inf:
        return n
    try:
        return operator.index(n)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, np.inf or None, not {n!r}.") from None


class MapDataSource(AbstractDataSource):
    """A function of each batch: ``fn(*batch)``, which returns a tuple."""

    def __init__(self, source: AbstractDataSource, fn: Callable[..., Any]) -> None:
        self.source = source
        self.fn = fn

    @property
    def is_random_access(self) -> bool:
        """Whether the source is."""
        return self.source.is_random_access

    def num_samples(self, **kwargs: Any) -> Any:
        """Return the source's number of samples."""
        return self.source.num_samples(**kwargs)

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Yield what the function makes of each batch."""
        for batch in self.source.batch_iterator(batch_size, **kwargs):
            yield self.fn(*batch)

    def batch_indices_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Return the source's indices."""
        return self.source.batch_indices_iterator(batch_size, **kwargs)

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return what the function makes of the mini-batch."""
        return self.fn(*self.source.samples_by_indices_nomapping(indices))

    def samples_by_indices(self, indices: Any) -> Any:
        """Return what the function makes of the mini-batch."""
        return self.fn(*self.source.samples_by_indices(indices))
