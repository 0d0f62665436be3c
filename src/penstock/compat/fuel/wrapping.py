"""Streams that wrap streams: what they are made of, and copies of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

from penstock.compat.fuel.iterator import Reading


def wrapped(data_stream: Any) -> Iterator[Any]:
    """Yield a stream and all that it is made of."""
    yield data_stream
    for inner in [getattr(data_stream, "data_stream", None), *getattr(data_stream, "data_streams", ())]:
        if inner is not None:
            yield from wrapped(inner)


def twin(data_stream: Any, others: dict[int, Any] | None = None) -> Any:
    """Return a copy of a stream that shares its datasets: they hold the data, and no state of a reading.

    Args:
        data_stream: what is copied.
        others: what else is not copied, by ``id``, and what stands in its place.
    """
    datasets = [getattr(stream, "dataset", None) for stream in wrapped(data_stream)]
    shared = {id(dataset): dataset for dataset in datasets if dataset is not None}
    return copy.deepcopy(data_stream, shared | (others or {}))


class Unopened:
    """Stands for what a dataset's ``open`` returns, in another process than this."""


def travelling(data_stream: Any) -> Any:
    """Return a stream for another process: what cannot be sent of its datasets' states, an open file, is left out."""
    states = [getattr(stream, "data_state", None) for stream in wrapped(data_stream)]
    unsent = {id(state): Unopened() for state in states if not isinstance(state, Reading) and not travels(state)}
    return twin(data_stream, unsent) if unsent else data_stream


def arrived(data_stream: Any) -> Any:
    """Return a copy of a stream in the process that it was sent to, with the states that could not be sent."""
    stream = twin(data_stream)
    for part in wrapped(stream):
        if isinstance(getattr(part, "data_state", None), Unopened):
            part.data_state = part.dataset.open()
    return stream


def travels(value: Any) -> bool:
    """Tell whether a value can be sent to another process."""
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001  whatever an object raises
        return False
    return True
