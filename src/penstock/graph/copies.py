"""Copies of items: what stands at several places must not change everywhere when it is changed at one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.graph.context import empty
from penstock.graph.items import Rows, each

LASTING = (bool, int, float, complex, str, bytes, type(None), np.generic)  # nothing can change these


def copied(value: Any) -> Any:
    """Return a copy that shares nothing that could be changed.

    Raises:
        Exception: whatever an object raises that cannot be copied, such as an open file.
    """
    kind = type(value)
    if issubclass(kind, LASTING):
        return value
    if kind is np.ndarray and not value.dtype.hasobject:
        fresh = empty(value.shape, value.dtype)
        np.copyto(fresh, value)
        return fresh
    if kind is tuple:
        return tuple([copied(part) for part in value])
    return copy.deepcopy(value)


def duplicate(value: Any) -> Any:
    """Return a copy, or the value itself where it cannot be copied: an open file, say, is the same at every place."""
    try:
        return copied(value)
    except Exception:  # noqa: BLE001  whatever an object raises
        return value


def placed(values: Sequence[Any], places: NDArray[np.int64], again: Callable[[int], Any]) -> Sequence[Any]:
    """Return ``values[place]`` for all places; where one comes again, it is a copy.

    Args:
        values: items, or Rows, which stay Rows.
        places: one-dimensional.
        again: computes the item of a place anew, where it cannot be copied.
    """
    if isinstance(values, Rows):
        return Rows(each(values.columns, lambda column: rows_at(column, places)), len(places))
    seen: set[int] = set()
    found = []
    for place in places.tolist():
        value = values[place]
        if place in seen:
            try:
                value = copied(value)
            except Exception:  # noqa: BLE001  a lock, a generator, an open file
                value = again(place)
        seen.add(place)
        found.append(value)
    return found


def rows_at(column: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Gather rows into new memory. ``mode="clip"`` because with "raise" NumPy fills a buffer first and copies it.

    Of an array whose rows do not lie one behind the other, ``take`` would copy all of it, for every batch.
    """
    out = empty((len(places), *column.shape[1:]), column.dtype)
    if not (column.flags.c_contiguous and column.flags.aligned):
        out[...] = column[places]
        return out
    return column.take(places, 0, out, "clip") if len(places) else out
