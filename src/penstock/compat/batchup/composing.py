"""Several data sources as one: side by side, or in turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from penstock.compat.batchup.evaluating import length_of_batch, trimmed
from penstock.compat.batchup.sampling import num_batches
from penstock.compat.batchup.sources import AbstractDataSource, shuffler


class CompositeDataSource(AbstractDataSource):
    """Batches of several sources side by side, as long as the shortest.

    Args:
        datasets: the sources; composites in composites are welcome.
        flatten: join the batches to one tuple, instead of a tuple of tuples.
        trim: cut all to the shortest of them where their lengths differ. What is cut off is not seen in this epoch.
    """

    def __init__(self, datasets: Sequence[AbstractDataSource], flatten: bool = True, trim: bool = True) -> None:
        self.datasets = datasets
        self.flatten = flatten
        self.trim = trim

    @property
    def is_random_access(self) -> bool:
        """Whether all of them are."""
        return all(source.is_random_access for source in self.datasets)

    def num_samples(self, **kwargs: Any) -> Any:
        """Return the number of samples of the shortest."""
        return min(source.num_samples(**kwargs) for source in self.datasets)

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Yield batches of all of them."""
        for batch in zip(*[s.batch_iterator(batch_size, **kwargs) for s in self.datasets], strict=False):
            yield self._joined(batch)

    def batch_indices_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Yield tuples of the indices of all of them."""
        self._check()
        batches = [source.batch_indices_iterator(batch_size, **kwargs) for source in self.datasets]
        return map(self._cut, zip(*batches, strict=False))

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return the mini-batch of a tuple of indices, one entry for each source."""
        self._check(indices)
        return self._joined(self._each("samples_by_indices_nomapping", indices))

    def samples_by_indices(self, indices: Any) -> Any:
        """Return the mini-batch of a tuple of positions, one entry for each source."""
        self._check(indices)
        return self._joined(self._each("samples_by_indices", indices))

    def _each(self, method: str, indices: Any) -> tuple[Any, ...]:
        return tuple(getattr(s, method)(mine) for s, mine in zip(self.datasets, indices, strict=True))

    def _check(self, indices: Any = None) -> None:
        if not self.is_random_access:
            raise TypeError("CompositeDataSource has no indices: a source in it is not of random access.")
        if indices is not None and len(indices) != len(self.datasets):
            raise ValueError(f"{len(indices)} groups of indices were given for {len(self.datasets)} sources.")

    def _cut(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        lengths = [length_of_batch(part) for part in batch]
        return trimmed(batch, min(lengths)) if self.trim and min(lengths) != max(lengths) else batch

    def _joined(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        batch = self._cut(batch)
        return tuple(entry for part in batch for entry in part) if self.flatten else batch


class ChoiceBatch(NamedTuple):
    """The indices of a batch, and the number of the source that they are of."""

    sample_indices: Any
    ds_index: int


class ChoiceDataSource(AbstractDataSource):
    """Batches of several sources, each of one of them.

    Args:
        datasets: the sources.
        stratified: read all of them to their ends, evenly spread; unless one of them has none. Otherwise they take
            turns, and the first that has no more ends the epoch.
    """

    def __init__(self, datasets: Sequence[AbstractDataSource], stratified: bool = False) -> None:
        self.datasets = datasets
        self.stratified = stratified

    @property
    def is_random_access(self) -> bool:
        """Whether all of them are."""
        return all(source.is_random_access for source in self.datasets)

    def num_samples(self, **kwargs: Any) -> Any:
        """Return the number of samples of all of them, which an epoch that is not stratified may not reach."""
        return sum(source.num_samples(**kwargs) or 0 for source in self.datasets)

    def batch_iterator(self, batch_size: int, shuffle: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Yield batches of one or another of them."""
        batches = [source.batch_iterator(batch_size, shuffle=shuffle, **kwargs) for source in self.datasets]
        return (batch for batch, _ in self._chosen(batch_size, batches, shuffle, kwargs))

    def batch_indices_iterator(self, batch_size: int, shuffle: Any = None, **kwargs: Any) -> Iterator[ChoiceBatch]:
        """Yield the indices of batches, and which source they are of."""
        self._check()
        batches = [source.batch_indices_iterator(batch_size, shuffle=shuffle, **kwargs) for source in self.datasets]
        return self._chosen(batch_size, batches, shuffle, kwargs)

    def samples_by_indices_nomapping(self, indices: Any) -> Any:
        """Return the mini-batch of a ``ChoiceBatch`` of indices."""
        self._check(indices)
        return self.datasets[indices.ds_index].samples_by_indices_nomapping(indices.sample_indices)

    def samples_by_indices(self, indices: Any) -> Any:
        """Return the mini-batch of a ``ChoiceBatch`` of positions."""
        self._check(indices)
        return self.datasets[indices.ds_index].samples_by_indices(indices.sample_indices)

    def _check(self, *indices: Any) -> None:
        if not self.is_random_access:
            raise TypeError("ChoiceDataSource has no indices: a source in it is not of random access.")
        for given in indices:
            if not isinstance(given, ChoiceBatch):
                raise TypeError(f"indices must be a ChoiceBatch, not a {type(given).__name__}.")

    def _chosen(self, batch_size: int, batches: list[Any], shuffle: Any, kwargs: Any) -> Iterator[ChoiceBatch]:
        rng = shuffler(shuffle)
        counts = [source.num_samples(shuffle=rng, **kwargs) for source in self.datasets]
        if self.stratified and np.inf not in counts:
            sizes = [num_batches(n, batch_size) for n in counts]
            for number in spread(sizes) if rng is None else mixed(sizes, rng):
                yield ChoiceBatch(next(batches[number]), number)
            return
        while True:
            for number in range(len(batches)) if rng is None else rng.permutation(len(batches)).tolist():
                try:
                    batch = next(batches[number])
                except StopIteration:
                    return
                yield ChoiceBatch(batch, number)


def spread(sizes: list[int]) -> Iterator[int]:
    """Yield each source's number as often as it has batches, evenly spread over as many steps as the largest has."""
    most = max(sizes, default=0)
    for step in range(most):
        for number, size in enumerate(sizes):
            if size and (not step or step * size // most > (step - 1) * size // most):
                yield number


def mixed(sizes: list[int], rng: Any) -> list[int]:
    """Return each source's number as often as it has batches, in random order."""
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    rng.shuffle(numbers)
    return [int(number) for number in numbers]
