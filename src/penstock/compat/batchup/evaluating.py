"""Functions over all batches, and the lengths of these."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


def length_of_batch(batch: Any) -> int:
    """Return how many samples a batch has, however its arrays are nested."""
    while isinstance(batch, (tuple, list)) and not hasattr(batch, "dtype"):
        batch = batch[0]
    return len(batch)


def trimmed(batch: Any, length: int) -> Any:
    """Return the first samples of a batch."""
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):  # a choice's indices, with the number of its source
        return type(batch)(trimmed(batch[0], length), *batch[1:])
    return tuple(trimmed(part, length) for part in batch) if isinstance(batch, tuple) else batch[:length]


def results(
    func: Callable[..., Any],
    batches: Iterable[Any],
    progress: Callable[..., Any] | None,
    n_batches: int | None,
    prepend: tuple[Any, ...] | None,
) -> Iterator[tuple[int, tuple[Any, ...] | None]]:
    """Yield the length of each batch, and what a function makes of it, as a tuple; None where it made nothing."""
    batches = itertools.islice(batches, n_batches)  # no batch is taken that is not used
    if progress is not None:
        batches = progress(batches, total=n_batches, leave=False)
    for batch in batches:
        result = func(*(prepend or ()), *batch)
        if isinstance(result, (np.ndarray, np.generic, int, float)):
            result = (result,)
        elif result is not None and not isinstance(result, tuple):
            raise TypeError(
                f"the function must return an array, a number, a tuple of these or None, not a {type(result).__name__}."
            )
        yield length_of_batch(tuple(batch)), result


def batch_map_concat(
    func: Callable[..., Any],
    batch_iter: Iterable[Any],
    progress_iter_func: Callable[..., Any] | None = None,
    n_batches: int | None = None,
    prepend_args: tuple[Any, ...] | None = None,
) -> tuple[Any, ...] | None:
    """Call a function with each batch, and join its results; None where there were none.

    Args:
        func: called ``func(*batch)``; returns an array with an entry for each sample, a tuple of such arrays, or None.
        batch_iter: the batches.
        progress_iter_func: called ``(iterator, total=n_batches, leave=False)``, as ``tqdm`` is.
        n_batches: how many to take; all by default.
        prepend_args: put before each batch's own.

    >>> import numpy as np
    >>> from penstock.compat.batchup.data_source import ArrayDataSource
    >>> ArrayDataSource([np.arange(5)]).batch_map_concat(lambda x: x * x, batch_size=2)
    (array([ 0,  1,  4,  9, 16]),)
    """
    found = [r for _, r in results(func, batch_iter, progress_iter_func, n_batches, prepend_args) if r is not None]
    for result in found:
        if not all(np.ndim(part) for part in result):
            raise TypeError("the function must return an entry for each sample, not a single number.")
    return tuple(np.concatenate(parts, axis=0) for parts in zip(*found, strict=True)) if found else None


def batch_map_mean(  # noqa: PLR0913, PLR0917  BatchUp's signature
    func: Callable[..., Any],
    batch_iter: Iterable[Any],
    progress_iter_func: Callable[..., Any] | None = None,
    sum_axis: Any = None,
    n_batches: int | None = None,
    prepend_args: tuple[Any, ...] | None = None,
) -> tuple[Any, ...] | None:
    """Call a function with each batch, and return the sums of its results over the number of samples.

    Args:
        func: called ``func(*batch)``; returns the sum over the batch, or a tuple of sums, or None.
        batch_iter: the batches.
        progress_iter_func: called ``(iterator, total=n_batches, leave=False)``, as ``tqdm`` is.
        sum_axis: where the function returns an entry for each sample: the axis, or axes, to sum over.
        n_batches: how many to take; all by default.
        prepend_args: put before each batch's own.

    >>> import numpy as np
    >>> from penstock.compat.batchup.data_source import ArrayDataSource
    >>> ArrayDataSource([np.arange(5.0)]).batch_map_mean(np.sum, batch_size=2)
    (np.float64(2.0),)
    """
    sums: list[Any] | None = None
    samples = 0
    for length, result in results(func, batch_iter, progress_iter_func, n_batches, prepend_args):
        samples += length
        if result is None:
            continue
        parts = [np.asarray(part) if sum_axis is None else np.asarray(part).sum(axis=sum_axis) for part in result]
        sums = parts if sums is None else [total + part for total, part in zip(sums, parts, strict=True)]
    return None if sums is None else tuple(total.astype(float) / samples for total in sums)
