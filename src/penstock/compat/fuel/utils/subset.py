"""Subsets of a dataset's examples, as slices where they can be, and requests within them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from penstock.compat.rows import rows


class Subset:
    """Some of a dataset's examples.

    Args:
        list_or_slice: which: a slice without a step, or indices, which count once and in order.
        original_num_examples: how many examples the dataset has.

    ``a + b`` is the union; ``subset[request]`` is the request to the dataset for a request to the subset.

    >>> from penstock.compat.fuel.utils import Subset
    >>> subset = Subset([7, 3, 3, 5], 10) + Subset(slice(8, 10), 10)
    >>> subset.list_or_slice, subset[[0, 4]], subset.num_examples
    ([3, 5, 7, 8, 9], [3, 9], 5)
    """

    def __init__(self, list_or_slice: Any, original_num_examples: int) -> None:
        if is_list(list_or_slice):
            list_or_slice = [int(index) for index in list_or_slice]
            check_indices(list_or_slice, original_num_examples, "a subset")
            list_or_slice = tidy(list_or_slice)
        else:
            check_slice(list_or_slice, original_num_examples)
        self.list_or_slice = list_or_slice
        self.original_num_examples = original_num_examples

    def __add__(self, other: Subset) -> Subset:
        if self.original_num_examples != other.original_num_examples:
            raise ValueError(
                f"Subset: one is of {self.original_num_examples} examples, the other of {other.original_num_examples}: "
                "they are no parts of the same dataset."
            )
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        if not self.is_list and not other.is_list:
            start, stop, _ = self._bounds()
            begin, end, _ = other._bounds()
            if start <= end and begin <= stop:  # they overlap, or touch
                return Subset(slice(min(start, begin), max(stop, end), 1), self.original_num_examples)
        both = self.get_list_representation() + other.get_list_representation()
        return type(self)(both, self.original_num_examples)

    def __getitem__(self, key: Any) -> Any:
        check_request(key, self.num_examples)
        if isinstance(key, slice) and key == slice(None):
            return self.list_or_slice
        if self.is_list:
            return [self.list_or_slice[index] for index in key] if is_list(key) else self.list_or_slice[key]
        start, _, step = self._bounds()
        if is_list(key):
            return [start + index * step for index in key]
        key_start, key_stop, key_step = self.slice_to_numerical_args(key, self.num_examples)
        return slice(start + step * key_start, start + step * key_stop, step * key_step)

    @classmethod
    def subset_of(cls, subset: Subset, list_or_slice: Any) -> Subset:
        """Return a part of a subset."""
        if isinstance(list_or_slice, slice) and list_or_slice != slice(None) and subset.num_examples == 0:
            return cls.empty_subset(subset.original_num_examples)
        found = subset[list_or_slice]
        if isinstance(found, slice) and found.step not in (None, 1):
            found = list(range(found.start, found.stop, found.step))
        return cls(found, subset.original_num_examples)

    @classmethod
    def empty_subset(cls, original_num_examples: int) -> Subset:
        """Return the part that has nothing."""
        return cls([], original_num_examples)

    @staticmethod
    def sorted_fancy_indexing(indexable: Any, request: list[int]) -> Any:
        """Return entries in any order, of what takes indices in order only: HDF5."""
        if len(request) <= 1:
            return indexable[request]
        found, places = np.unique(request, return_inverse=True)
        return indexable[found, ...][places.reshape(-1)]

    @staticmethod
    def unsorted_fancy_index(request: list[int], indexable: Any) -> Any:
        """Do the same; an older name with the arguments the other way round."""
        return Subset.sorted_fancy_indexing(indexable, request)

    @staticmethod
    def slice_to_numerical_args(slice_: slice, num_examples: int) -> tuple[int, int, int]:
        """Return start, stop and step of a slice of so many."""
        start = 0 if slice_.start is None else slice_.start
        stop = num_examples if slice_.stop is None else slice_.stop
        return start, stop, 1 if slice_.step is None else slice_.step

    def get_list_representation(self) -> list[int]:
        """Return all indices."""
        return list(self.list_or_slice) if self.is_list else list(range(*self._bounds()))

    def index_within_subset(self, indexable: Any, subset_request: Any, sort_indices: bool = False) -> Any:
        """Return what a request to the subset is for.

        Args:
            indexable: what holds all examples: an array, an HDF5 dataset, a list.
            subset_request: an index, indices or a slice, counted within the subset.
            sort_indices: ask for indices in order, and put the answer into the order that was wanted.
        """
        if isinstance(subset_request, numbers.Integral):
            (request,) = self[[int(subset_request)]]
            return indexable[request]
        request = self[subset_request]
        if isinstance(request, slice):
            return indexable[request]
        if sort_indices:
            return self.sorted_fancy_indexing(indexable, request)
        if hasattr(indexable, "dtype") and hasattr(indexable, "shape"):
            return rows(indexable, request)
        return iterable_fancy_indexing(indexable, request)

    def _bounds(self) -> tuple[int, int, int]:
        return self.slice_to_numerical_args(self.list_or_slice, self.original_num_examples)

    @property
    def is_list(self) -> bool:
        """Whether it is kept as indices, as opposed to a slice."""
        return is_list(self.list_or_slice)

    @property
    def num_examples(self) -> int:
        """How many examples it has."""
        if self.is_list:
            return len(self.list_or_slice)
        start, stop, _ = self._bounds()
        return stop - start

    @property
    def is_empty(self) -> bool:
        """Whether it has none."""
        return self.num_examples == 0

    def __repr__(self) -> str:
        return f"Subset({self.list_or_slice!r}, {self.original_num_examples})"


def is_list(list_or_slice: Any) -> bool:
    """Tell indices from a slice."""
    return not isinstance(list_or_slice, slice)


def tidy(indices: Iterable[int]) -> Any:
    """Return indices once and in order; a slice where there are no gaps."""
    found = sorted(set(indices))
    if found and found[-1] - found[0] == len(found) - 1:
        return slice(found[0], found[-1] + 1, None)
    return found


def check_indices(indices: Any, num_examples: int, what: str) -> None:
    """Refuse indices that do not exist."""
    if len(indices) and min(indices) < 0:
        raise ValueError(f"Subset: negative indices are not possible in {what}: {min(indices)}.")
    if len(indices) and max(indices) >= num_examples:
        raise ValueError(f"Subset: there are {num_examples} examples, so {what} cannot have index {max(indices)}.")


def check_slice(slice_: slice, num_examples: int) -> None:
    """Refuse slices that are no subset."""
    start, stop, step = slice_.start, slice_.stop, slice_.step
    if any(number is not None and number < 0 for number in (start, stop, step)):
        raise ValueError(f"Subset: a subset cannot be defined by negative numbers: {slice_}.")
    if step not in (None, 1):
        raise ValueError(f"Subset: a subset cannot be defined by a slice with a step: {slice_}.")
    if (stop is not None and stop > num_examples) or (start is not None and start >= num_examples):
        raise ValueError(f"Subset: there are {num_examples} examples, and {slice_} goes beyond.")
    if start is not None and stop is not None and start > stop:
        raise ValueError(f"Subset: {slice_} ends before it starts.")


def check_request(request: Any, num_examples: int) -> None:
    """Refuse requests for nothing, and for what does not exist."""
    if is_list(request):
        if len(request) == 0:
            raise ValueError("Subset: a request must not be empty.")
        check_indices(request, num_examples, "a request")
        return
    start, stop, step = request.start, request.stop, request.step
    if any(number is not None and number < 0 for number in (start, stop, step)):
        raise ValueError(f"Subset: a request cannot have negative numbers: {request}.")
    if (stop is not None and stop > num_examples) or (start is not None and start >= num_examples):
        raise ValueError(f"Subset: there are {num_examples} examples, and the request {request} goes beyond.")
    if start is not None and stop is not None and start >= stop:
        raise ValueError(f"Subset: the request {request} is for nothing.")


def iterable_fancy_indexing(iterable: Any, request: Any) -> Any:
    """Return entries of an array as an array, of anything else as a list."""
    return iterable[request] if isinstance(iterable, np.ndarray) else [iterable[index] for index in request]
