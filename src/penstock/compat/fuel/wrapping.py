"""Streams that wrap streams: what they are made of, and copies of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any


def wrapped(data_stream: Any) -> Iterator[Any]:
    """Yield a stream and all that it is made of."""
    yield data_stream
    for inner in [getattr(data_stream, "data_stream", None), *getattr(data_stream, "data_streams", ())]:
        if inner is not None:
            yield from wrapped(inner)


def twin(data_stream: Any) -> Any:
    """Return a copy of a stream that shares its datasets: they hold the data, and no state of a reading."""
    datasets = [getattr(stream, "dataset", None) for stream in wrapped(data_stream)]
    return copy.deepcopy(data_stream, {id(dataset): dataset for dataset in datasets if dataset is not None})
