"""Flows that change, choose, repeat and shuffle what another flow gives.

As in Tensorpack, this is also where those of ``batching``, ``joining`` and ``looking`` are imported from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

from penstock.compat.tensorpack.dataflow.base import (
    DataFlow,
    DataFlowReentrantGuard,
    NoLength,
    ProxyDataFlow,
    RNGDataFlow,
)
from penstock.compat.tensorpack.dataflow.batching import BatchData, BatchDataByShape
from penstock.compat.tensorpack.dataflow.earlier import renamed
from penstock.compat.tensorpack.dataflow.joining import ConcatData, JoinData, RandomChooseData, RandomMixData
from penstock.compat.tensorpack.dataflow.looking import PrintData, TestDataSpeed
from penstock.compat.tensorpack.utils.utils import get_rng

__all__ = [
    "BatchData",
    "BatchDataByShape",
    "CacheData",
    "ConcatData",
    "FixedSizeData",
    "JoinData",
    "LocallyShuffleData",
    "MapData",
    "MapDataComponent",
    "PrintData",
    "RandomChooseData",
    "RandomMixData",
    "RepeatedData",
    "RepeatedDataPoint",
    "SelectComponent",
    "TestDataSpeed",
]


class FixedSizeData(ProxyDataFlow):
    """Passes of a fixed length, made of another flow's.

    Args:
        ds: the flow; where it ends, it begins again.
        size: how many datapoints a pass has.
        keep_state: begin a pass where the last one stopped; False begins with the front of the flow.

    >>> from penstock.compat.tensorpack.dataflow import DataFromList, FixedSizeData
    >>> three = FixedSizeData(DataFromList([1, 2, 3, 4, 5], shuffle=False), 3)
    >>> three.reset_state()
    >>> list(three), list(three)
    ([1, 2, 3], [4, 5, 1])
    """

    def __init__(self, ds: DataFlow, size: int, keep_state: bool = True) -> None:
        super().__init__(ds)
        self._size = int(size)
        self.itr: Iterator[Any] | None = None
        self._keep = keep_state
        self._guard = DataFlowReentrantGuard()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "itr": None}

    def __len__(self) -> int:
        return self._size

    def reset_state(self) -> None:
        super().reset_state()
        self.itr = None
        self._guard = DataFlowReentrantGuard()

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            if self.itr is None or not self._keep:
                self.itr = iter(self.ds)
            for _ in range(self._size):
                try:
                    dp = next(self.itr)
                except StopIteration:
                    self.itr = iter(self.ds)
                    dp = next(self.itr)
                yield dp


class MapData(ProxyDataFlow):
    """A function of every datapoint; those that it returns None for are left out.

    Args:
        ds: the flow.
        func: gets a shallow copy of the datapoint.
    """

    def __init__(self, ds: DataFlow, func: Callable[[Any], Any]) -> None:
        super().__init__(ds)
        self.func = func

    def __iter__(self) -> Iterator[Any]:
        function = self.func
        for dp in self.ds:
            made = function(copy(dp))
            if made is not None:
                yield made


class MapDataComponent(MapData):
    """A function of one component; datapoints that it returns None for are left out.

    Args:
        ds: the flow.
        func: gets the component.
        index: the component's place, or its key.
    """

    def __init__(self, ds: DataFlow, func: Callable[[Any], Any], index: Any = 0) -> None:
        self._index = index
        self._func = func
        super().__init__(ds, self._mapper)

    def _mapper(self, dp: Any) -> Any:
        made = self._func(dp[self._index])
        if made is None:
            return None
        dp = list(dp) if isinstance(dp, tuple) else copy(dp)
        dp[self._index] = made
        return dp


class RepeatedData(ProxyDataFlow):
    """A flow ``num`` times in a row; -1 is without end."""

    @renamed("num")
    def __init__(self, ds: DataFlow, num: int) -> None:
        self.num = num
        super().__init__(ds)

    def __len__(self) -> int:
        if self.num == -1:
            raise NoLength("__len__() is unavailable for infinite dataflow")
        return len(self.ds) * self.num

    def __iter__(self) -> Iterator[Any]:
        for _ in itertools.count() if self.num == -1 else range(self.num):
            empty = True
            for dp in self.ds:
                empty = False
                yield dp
            if empty and self.num == -1:
                raise RuntimeError(
                    f"RepeatedData: {type(self.ds).__name__} is empty, and to repeat it would never end."
                )


class RepeatedDataPoint(ProxyDataFlow):
    """Every datapoint ``num`` times in a row."""

    @renamed("num")
    def __init__(self, ds: DataFlow, num: int) -> None:
        self.num = int(num)
        assert self.num >= 1, self.num
        super().__init__(ds)

    def __len__(self) -> int:
        return len(self.ds) * self.num

    def __iter__(self) -> Iterator[Any]:
        for dp in self.ds:
            for _ in range(self.num):
                yield dp


class Selected:
    """Takes components out of a datapoint."""

    def __init__(self, idxs: Sequence[Any]) -> None:
        self.idxs = idxs

    def __call__(self, dp: Any) -> list[Any]:
        """Take them out."""
        return [dp[index] for index in self.idxs]


def SelectComponent(ds: DataFlow, idxs: Sequence[Any]) -> MapData:  # noqa: N802  the original's name
    """Return a flow of some components, in the order of their places or keys.

    >>> from penstock.compat.tensorpack.dataflow import DataFromList, SelectComponent
    >>> list(SelectComponent(DataFromList([["a", "b", "c"]], shuffle=False), [2, 1]))
    [['c', 'b']]
    """
    return MapData(ds, Selected(idxs))


class LocallyShuffleData(ProxyDataFlow, RNGDataFlow):
    """A buffer that is shuffled once in a while; without end, since passes are mixed.

    Args:
        ds: the flow, read again and again.
        buffer_size: how many datapoints the buffer holds; the first comes out when it is full.
        num_reuse: how often each datapoint is put in.
        shuffle_interval: after how many datapoints of ``ds`` the buffer is shuffled; a third of its size by default.
    """

    @renamed("num_reuse")
    def __init__(self, ds: DataFlow, buffer_size: int, num_reuse: int = 1, shuffle_interval: int | None = None) -> None:
        super().__init__(ds)
        assert buffer_size > 0, buffer_size
        self.buffer_size = buffer_size
        self.shuffle_interval = max(1, buffer_size // 3) if shuffle_interval is None else shuffle_interval
        self.num_reuse = num_reuse
        self._prepare()

    def _prepare(self) -> None:
        self._guard = DataFlowReentrantGuard()
        self._buffer: list[Any] = []
        self._count = 0
        self._items: Iterator[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_items": None, "_buffer": []}

    def reset_state(self) -> None:
        ProxyDataFlow.reset_state(self)
        RNGDataFlow.reset_state(self)
        self._prepare()

    def __len__(self) -> int:
        return len(self.ds) * self.num_reuse

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            if self._items is None:
                self._items = iter(RepeatedData(self.ds, -1))
            buffer, first = self._buffer, 0  # what stands before `first` has been given
            try:
                for dp in self._items:
                    self._count = (self._count + 1) % self.shuffle_interval
                    if self._count == 0:
                        del buffer[:first]
                        first = 0
                        self.rng.shuffle(buffer)
                    for _ in range(self.num_reuse):
                        if len(buffer) - first == self.buffer_size:
                            given = buffer[first]
                            buffer[first] = None
                            first += 1
                            buffer.append(dp)
                            yield given
                        else:
                            buffer.append(dp)
            finally:
                del buffer[:first]


class CacheData(ProxyDataFlow):
    """The first whole pass is kept in memory; later passes come from there.

    Args:
        ds: the flow.
        shuffle: shuffle what is kept, in place, before each pass but the first.
    """

    def __init__(self, ds: DataFlow, shuffle: bool = False) -> None:
        self.shuffle = shuffle
        self._guard = DataFlowReentrantGuard()
        self.buffer: list[Any] = []
        super().__init__(ds)

    def reset_state(self) -> None:
        super().reset_state()
        self._guard = DataFlowReentrantGuard()
        if self.shuffle:
            self.rng = get_rng(self)
        self.buffer = []

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            if self.buffer:
                if self.shuffle:
                    self.rng.shuffle(self.buffer)
                yield from self.buffer
                return
            kept = []  # a pass that is left early keeps nothing
            for dp in self.ds:
                yield dp
                kept.append(dp)
            self.buffer = kept
