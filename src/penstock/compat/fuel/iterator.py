"""One epoch being read: of a stream, and of a Penstock dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import penstock as ps


class DataIterator:
    """One epoch of a stream; it may be pickled at any place, and goes on there.

    Args:
        data_stream: what answers the requests.
        request_iterator: the requests; none where the stream needs none.
        as_dict: give dicts by source, in place of tuples in the order of ``data_stream.sources``.
    """

    def __init__(self, data_stream: Any, request_iterator: Iterator[Any] | None = None, as_dict: bool = False) -> None:
        self.data_stream = data_stream
        self.request_iterator = request_iterator
        self.as_dict = as_dict

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self.request_iterator is None:
            data = self.data_stream.get_data()
        else:
            data = self.data_stream.get_data(next(self.request_iterator))
        return dict(zip(self.data_stream.sources, data, strict=False)) if self.as_dict else data


class Reading:
    """The items of a Penstock dataset, one after the other; it is pickled as the dataset and a place in it."""

    def __init__(self, dataset: Any, state: dict[str, Any] | None = None) -> None:
        self.dataset = dataset
        self._state = state
        self._loader: ps.Loader[Any] | None = None
        self._items: Iterator[Any] = iter(())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._loader is None:
            self._loader = self.dataset.loader()
            if self._state is not None:
                self._loader.load_state_dict(self._state)
            self._items = iter(self._loader) if self._loader.epoch == 0 else iter(())  # epoch 1: it was at its end
        return next(self._items)

    def __reduce__(self) -> Any:
        return Reading, (self.dataset, self._state if self._loader is None else self._loader.state_dict())

    def __deepcopy__(self, memo: dict[int, Any]) -> Reading:
        return Reading(self.dataset, self.__reduce__()[1][1])
