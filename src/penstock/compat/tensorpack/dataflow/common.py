"""Flows that change, choose, join, repeat and shuffle what other flows give."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from time import perf_counter
from typing import Any

import numpy as np

from penstock.compat.tensorpack.dataflow.base import (
    DataFlow,
    DataFlowReentrantGuard,
    NoLength,
    ProxyDataFlow,
    RNGDataFlow,
    size_of,
)
from penstock.compat.tensorpack.dataflow.batching import BatchData, BatchDataByShape
from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.utils import get_rng, get_tqdm

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


class TestDataSpeed(ProxyDataFlow):
    """Measures how fast a flow is: ``TestDataSpeed(ds).start()``.

    Args:
        ds: the flow; it is reset if that has not been done.
        size: how many datapoints to take.
        warmup: how many to take before the clock starts.
    """

    __test__ = False  # no test of pytest's

    def __init__(self, ds: DataFlow, size: int = 5000, warmup: int = 0) -> None:
        super().__init__(ds)
        self.test_size = int(size)
        self.warmup = int(warmup)
        self._reset_called = False

    def reset_state(self) -> None:
        self._reset_called = True
        super().reset_state()

    def __iter__(self) -> Iterator[Any]:
        self.start()
        yield from self.ds

    def start(self) -> float:
        """Take the datapoints, with a progress bar; return how many came in a second."""
        if not self._reset_called:
            self.reset_state()
        items = iter(self.ds)
        for _ in itertools.islice(items, self.warmup):
            pass
        count, began = 0, perf_counter()
        with get_tqdm(total=self.test_size, leave=True, smoothing=0.2) as bar:
            for _ in itertools.islice(items, self.test_size):
                count += 1
                bar.update()
        speed = count / max(perf_counter() - began, 1e-9)
        logger.info("TestDataSpeed: %d datapoints at %.1f it/s", count, speed)
        return speed

    start_test = start


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


class Several(DataFlow):
    """Flows of several others."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        self.df_lists = df_lists

    def members(self) -> Iterable[DataFlow]:
        """Return the flows."""
        return self.df_lists

    def reset_state(self) -> None:
        super().reset_state()
        for flow in dict.fromkeys(self.members()):  # each once, should one stand there twice
            flow.reset_state()


class RandomChooseData(Several, RNGDataFlow):
    """Each datapoint from a flow that is drawn; a pass ends where the drawn one has.

    Args:
        df_lists: flows, all equally likely; or pairs of (flow, probability), which sum to 1.
    """

    def __init__(self, df_lists: Sequence[Any]) -> None:
        if isinstance(df_lists[0], (tuple, list)):
            assert np.isclose(sum(pair[1] for pair in df_lists), 1.0), "probabilities must sum to 1"
        else:
            df_lists = [(flow, 1.0 / len(df_lists)) for flow in df_lists]
        super().__init__(df_lists)

    def members(self) -> Iterable[DataFlow]:
        return [pair[0] for pair in self.df_lists]

    def __iter__(self) -> Iterator[Any]:
        readers = [iter(flow) for flow in self.members()]
        bounds = np.cumsum([float(pair[1]) for pair in self.df_lists])
        bounds /= bounds[-1]
        while True:
            # The draw that RandomState.choice makes, without its checks.
            reader = readers[int(bounds.searchsorted(self.rng.random_sample(), side="right"))]
            try:
                dp = next(reader)
            except StopIteration:
                return
            yield dp


class RandomMixData(Several, RNGDataFlow):
    """All datapoints of several flows, in a random order of whose turn it is. All must have a length."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        super().__init__(df_lists)
        self.sizes = [len(flow) for flow in df_lists]

    def __len__(self) -> int:
        return sum(self.sizes)

    def __iter__(self) -> Iterator[Any]:
        turns = np.arange(len(self))
        self.rng.shuffle(turns)
        owners = np.searchsorted(np.cumsum(self.sizes), turns, "right").tolist()
        readers = [iter(flow) for flow in self.df_lists]
        for owner in owners:
            yield next(readers[owner])


class ConcatData(Several):
    """All of the first flow, then all of the second, and so on."""

    def __len__(self) -> int:
        return sum(len(flow) for flow in self.df_lists)

    def __iter__(self) -> Iterator[Any]:
        for flow in self.df_lists:
            yield from flow


class JoinData(Several):
    """Datapoints side by side: the components of all flows in one; as long as the shortest."""

    def __init__(self, df_lists: Sequence[Any]) -> None:
        super().__init__(df_lists)
        sizes = [size_of(flow) for flow in df_lists]
        if None in sizes or len(set(sizes)) > 1:
            logger.info("[JoinData] Size check failed for the list of dataflow to be joined!")

    def __len__(self) -> int:
        return min(len(flow) for flow in self.df_lists)

    def __iter__(self) -> Iterator[Any]:
        for parts in zip(*self.df_lists, strict=False):
            if isinstance(parts[0], (list, tuple)):
                yield list(itertools.chain(*parts))
            else:
                yield {key: value for part in parts for key, value in part.items()}


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


class PrintData(ProxyDataFlow):
    """Prints what the first datapoints of a flow look like, and passes them on.

    Args:
        ds: the flow.
        num: how many datapoints to print.
        name: a name to print with them.
        max_depth: how deep to look into lists.
        max_list: how many entries of each list to print.

    >>> import numpy as np
    >>> from penstock.compat.tensorpack.dataflow import DataFromList, PrintData
    >>> for _ in PrintData(DataFromList([[np.arange(3), 7]], shuffle=False)):
    ...     pass
    datapoint 0/1 with 2 components consists of
       0: ndarray:int64 of shape (3,) in range [0, 2]
       1: int with value 7
    """

    def __init__(
        self, ds: DataFlow, num: int = 1, name: str | None = None, max_depth: int = 3, max_list: int = 3
    ) -> None:
        super().__init__(ds)
        self.num, self.name, self.max_depth, self.max_list = num, name, max_depth, max_list
        self.cnt = 0

    def reset_state(self) -> None:
        super().reset_state()
        self.cnt = 0

    def _lines(self, value: Any, key: Any, depth: int) -> Iterator[str]:
        kind, indent = type(value).__name__, "   " + "   " * depth
        if isinstance(value, np.ndarray):
            inside = f" in range [{value.min()}, {value.max()}]" if value.size and value.dtype.kind in "biuf" else ""
            yield f"{indent}{key}: ndarray:{value.dtype} of shape {value.shape}{inside}"
        elif isinstance(value, (list, tuple)):
            yield f"{indent}{key}: {kind} of len {len(value)}"
            if depth + 1 < self.max_depth:
                for place, entry in enumerate(value[: self.max_list]):
                    yield from self._lines(entry, place, depth + 1)
            if len(value) > (self.max_list if depth + 1 < self.max_depth else 0):
                yield f"{indent}   ..."
        elif isinstance(value, (int, float, np.generic)):
            yield f"{indent}{key}: {kind} with value {value}"
        else:
            yield f"{indent}{key}: {kind}"

    def _message(self, dp: Any) -> str:
        lines = [f"datapoint {self.cnt}/{self.num} with {len(dp)} components consists of"]
        for key, value in dp.items() if isinstance(dp, dict) else enumerate(dp):
            lines.extend(self._lines(value, key, 0))
        return "\n".join(lines)

    def __iter__(self) -> Iterator[Any]:
        for dp in self.ds:
            if self.cnt == 0:
                logger.info("Contents of DataFlow%s:", f" ({self.name})" if self.name else "")
            if self.cnt < self.num:
                print(self._message(dp))  # noqa: T201  printing is what it is for
                self.cnt += 1
            yield dp
