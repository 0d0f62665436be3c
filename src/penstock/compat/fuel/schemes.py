"""Which examples are asked for, in which order: iteration schemes.

An epoch's requests are a Penstock dataset, ``ps.arrays(indices).batch(size)``, so an iterator of requests can be
pickled at any place.
"""

from __future__ import annotations

import itertools
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.fuel.config_parser import config
from penstock.compat.fuel.iterator import Reading


class IterationScheme(ABC):
    """Makes the requests of an epoch.

    ``requests_examples`` says whether a request is for one example, or for a batch.
    """

    requests_examples: bool

    @abstractmethod
    def get_request_iterator(self) -> Iterator[Any]:
        """Return the requests of the next epoch."""


class BatchSizeScheme(IterationScheme):
    """Requests are numbers of examples."""

    requests_examples = False


class BatchScheme(IterationScheme):
    """Requests are lists of indices.

    Args:
        examples: the indices, or how many there are.
        batch_size: indices of a request; the last one may be shorter.
    """

    requests_examples = False

    def __init__(self, examples: int | Iterable[int], batch_size: int) -> None:
        self.indices = indices_of(examples)
        self.batch_size = batch_size


class IndexScheme(IterationScheme):
    """Requests are single indices.

    Args:
        examples: the indices, or how many there are.
    """

    requests_examples = True

    def __init__(self, examples: int | Iterable[int]) -> None:
        self.indices = indices_of(examples)


class ConcatenatedScheme(IterationScheme):
    """The requests of several schemes, of the first, then of the second, and so on.

    Args:
        schemes: they must all be for examples, or all for batches.
    """

    def __init__(self, schemes: Iterable[IterationScheme]) -> None:
        self.schemes = list(schemes)
        if len({scheme.requests_examples for scheme in self.schemes}) != 1:
            raise ValueError(
                "ConcatenatedScheme: all schemes must make the same kind of requests: for examples, or for batches."
            )

    @property
    def requests_examples(self) -> bool:  # type: ignore[override]
        """What the schemes agree on."""
        return self.schemes[0].requests_examples

    def get_request_iterator(self) -> Iterator[Any]:
        parts = [scheme.get_request_iterator() for scheme in self.schemes]
        if all(isinstance(part, Reading) for part in parts):
            return Reading(ps.concat(*[part.dataset for part in parts]))  # type: ignore[attr-defined]
        return itertools.chain(*parts)  # of a scheme of the user's: as able to travel as itertools are


class ConstantScheme(BatchSizeScheme):
    """The same number of examples again and again.

    Args:
        batch_size: that number.
        num_examples: how many these may come to; the last request may be smaller.
        times: how many requests there are. Without either there is no end.
    """

    def __init__(self, batch_size: int, num_examples: int | None = None, times: int | None = None) -> None:
        if num_examples and times:
            raise ValueError(f"ConstantScheme: num_examples={num_examples} and times={times} were given; say one.")
        self.batch_size = batch_size
        self.num_examples = num_examples
        self.times = times

    def get_request_iterator(self) -> Iterator[Any]:
        if self.times:
            return Reading(ps.items([self.batch_size] * self.times))
        if self.num_examples:
            whole, rest = divmod(self.num_examples, self.batch_size)
            return Reading(ps.items([self.batch_size] * whole + [rest] * bool(rest)))
        return Reading(ps.items([self.batch_size]).repeat())


class SequentialScheme(BatchScheme):
    """Batches in order; the last one may be shorter.

    >>> from penstock.compat.fuel.schemes import SequentialScheme
    >>> list(SequentialScheme(examples=5, batch_size=2).get_request_iterator())
    [[0, 1], [2, 3], [4]]
    """

    def get_request_iterator(self) -> Iterator[Any]:
        return batches(self.indices, self.batch_size)


class ShuffledScheme(BatchScheme):
    """Batches of a new random order in every epoch; the last one may be shorter.

    Args:
        examples: the indices, or how many there are.
        batch_size: indices of a request.
        rng: what shuffles; by default ``RandomState(config.default_seed)``, so that all streams have the same order.
        sorted_indices: whether the indices of each request are in order.

    >>> from penstock.compat.fuel.schemes import ShuffledScheme
    >>> list(ShuffledScheme(examples=6, batch_size=4).get_request_iterator())
    [[2, 1, 4, 0], [3, 5]]
    """

    def __init__(
        self,
        examples: int | Iterable[int],
        batch_size: int,
        rng: Any = None,
        sorted_indices: bool = False,
    ) -> None:
        super().__init__(examples, batch_size)
        self.rng = np.random.RandomState(config.default_seed) if rng is None else rng
        self.sorted_indices = sorted_indices

    def get_request_iterator(self) -> Iterator[Any]:
        return batches(shuffled(self.indices, self.rng), self.batch_size, in_order=self.sorted_indices)


class SequentialExampleScheme(IndexScheme):
    """One example after the other, in order."""

    def get_request_iterator(self) -> Iterator[Any]:
        return Reading(ps.items(self.indices))


class ShuffledExampleScheme(IndexScheme):
    """One example after the other, in a new random order in every epoch.

    Args:
        examples: the indices, or how many there are.
        rng: what shuffles; by default ``RandomState(config.default_seed)``.
    """

    def __init__(self, examples: int | Iterable[int], rng: Any = None) -> None:
        super().__init__(examples)
        self.rng = np.random.RandomState(config.default_seed) if rng is None else rng

    def get_request_iterator(self) -> Iterator[Any]:
        return Reading(ps.items(shuffled(self.indices, self.rng)).map(plain))


def cross_validation(
    scheme_class: Any,
    num_examples: int,
    num_folds: int,
    strict: bool = True,
    **kwargs: Any,
) -> Iterator[tuple[Any, ...]]:
    """Yield a pair of schemes for each fold: for training, and for validation.

    Args:
        scheme_class: a class of schemes that takes indices.
        num_examples: how many there are.
        num_folds: how many pairs.
        strict: refuse numbers that folds of the same size are not possible for. Without it, tuples have a third
            entry: the size of the part for validation.
        kwargs: what else the schemes are made with.
    """
    if strict and num_examples % num_folds:
        raise ValueError(
            f"cross_validation: {num_examples} examples do not make {num_folds} folds of the same size; strict=False "
            "makes folds of different sizes."
        )
    for fold in range(num_folds):
        begin, end = num_examples * fold // num_folds, num_examples * (fold + 1) // num_folds
        train = scheme_class([*range(begin), *range(end, num_examples)], **kwargs)
        valid = scheme_class(range(begin, end), **kwargs)
        yield (train, valid) if strict else (train, valid, end - begin)


def indices_of(examples: int | Iterable[int]) -> Any:
    """Return indices: those given, or as many as are wanted."""
    if not isinstance(examples, Iterable):
        return range(examples)
    return list(examples) if isinstance(examples, Iterator) else examples


def shuffled(indices: Any, rng: Any) -> Any:
    """Return indices in a random order: an array, where its draws are those of a list; it is an eighth as large."""
    if isinstance(rng, np.random.RandomState):
        found = np.asarray(indices)
        if found.dtype.kind == "i" and found.ndim == 1:
            found = found.copy()
            rng.shuffle(found)
            return found
    entries = list(indices)
    rng.shuffle(entries)
    return entries


def batches(indices: Any, size: int, *, in_order: bool = False) -> Reading:
    """Return lists of indices."""
    if isinstance(indices, np.ndarray):
        lists = ps.arrays(indices).batch(size).map(operator.methodcaller("tolist"))
    elif isinstance(indices, range):
        numbers = ps.range(indices.start, indices.stop, indices.step)
        lists = numbers.batch(size).map(operator.methodcaller("tolist"))
    else:
        lists = ps.items(indices).batch(size, collate=list)
    return Reading(lists.map(sorted) if in_order else lists)


def plain(index: Any) -> Any:
    """Return an index as Python's number."""
    return index.item() if isinstance(index, np.generic) else index
