"""Data sources: mini-batches, as tuples of arrays, out of arrays, functions, iterators and other sources.

AbstractDataSource
├── RandomAccessDataSource      indices first, then samples: what a pool of workers can make batches of
│   └── ArrayDataSource         arrays, and whatever has ``len`` and ``[indices]``
├── CallableDataSource          a function that returns an iterator of batches
├── IteratorDataSource          an iterator of batches, once
├── CompositeDataSource         several sources side by side
├── ChoiceDataSource            several sources, one of them for each batch
└── MapDataSource               a function of each batch
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.compat.absent import answer
from penstock.compat.batchup.composing import ChoiceBatch, ChoiceDataSource, CompositeDataSource
from penstock.compat.batchup.evaluating import batch_map_concat, batch_map_mean
from penstock.compat.batchup.sources import (
    AbstractDataSource,
    ArrayDataSource,
    CallableDataSource,
    IteratorDataSource,
    MapDataSource,
    RandomAccessDataSource,
)

__all__ = [
    "AbstractDataSource",
    "ArrayDataSource",
    "CallableDataSource",
    "ChoiceBatch",
    "ChoiceDataSource",
    "CompositeDataSource",
    "IteratorDataSource",
    "MapDataSource",
    "RandomAccessDataSource",
    "batch_map_concat",
    "batch_map_mean",
    "coerce_data_source",
]


def coerce_data_source(x: Any) -> AbstractDataSource:
    """Return a source of arrays for a list or tuple of them, of an iterator, or of a function; a source as it is.

    >>> import numpy as np
    >>> from penstock.compat.batchup.data_source import coerce_data_source
    >>> coerce_data_source((np.arange(3),)).num_samples()
    3
    """
    if isinstance(x, AbstractDataSource):
        return x
    if isinstance(x, (list, tuple)):
        if not x:
            raise ValueError("an empty sequence cannot become a data source.")
        for array in x:
            if not hasattr(array, "__getitem__") or not hasattr(array, "__len__"):
                raise TypeError(f"a sequence that is to become a data source holds {array!r}, which is no array.")
        return ArrayDataSource(list(x))
    if isinstance(x, Iterator):
        return IteratorDataSource(x)
    if callable(x):
        return CallableDataSource(x)
    raise TypeError(
        f"a {type(x).__name__} cannot become a data source: give arrays in a list, an iterator or a function."
    )


answer(globals(), {"ApplyParamsDataSource": "Say repeats= of a source."})
