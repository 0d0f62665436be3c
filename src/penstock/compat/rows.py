"""Rows of arrays, as ``array[indices]`` gives them, in memory that workers hand on without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

import penstock as ps

LARGE = 1 << 19  # bytes of a batch; for less, what follows costs more than a copy


def rows(array: Any, indices: Any) -> Any:
    """Return ``array[indices]``; a large batch in ``penstock.empty``, which a worker process hands on as it is.

    Args:
        array: anything that takes the indices.
        indices: anything; whole numbers, counted from the front, are what this is for.
    """
    if not worthwhile(array, indices):
        return array[indices]
    places = np.asarray(indices)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        return array[indices]
    places = places.astype(np.intp, copy=False)
    if places.view(np.uintp).max() >= len(array):  # what is negative is huge
        return array[indices]
    out = ps.empty((len(places), *array.shape[1:]), array.dtype)
    return np.take(array, places, 0, out, "clip")  # nothing is clipped; with "raise" NumPy fills a buffer first


def worthwhile(array: Any, indices: Any) -> bool:
    """Tell whether this is much of an array whose rows lie one behind the other."""
    if type(array) not in {np.ndarray, np.memmap} or not array.ndim or not len(array):
        return False
    if not isinstance(indices, list) and (not isinstance(indices, np.ndarray) or not indices.ndim):
        return False
    together = array.flags.c_contiguous and array.flags.aligned and not array.dtype.hasobject
    return bool(together and len(indices) * (array.nbytes // len(array)) >= LARGE)
