"""Parallel maps: one flow, read here, and a function of its datapoints that runs in threads or processes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.tensorpack.dataflow.base import DataFlow, DataFlowReentrantGuard, NoLength, ProxyDataFlow
from penstock.compat.tensorpack.dataflow.batching import BatchData
from penstock.compat.tensorpack.dataflow.common import MapDataComponent, RepeatedData
from penstock.compat.tensorpack.dataflow.earlier import renamed
from penstock.compat.tensorpack.dataflow.parallel import started
from penstock.compat.tensorpack.utils.utils import Seeded

__all__ = [
    "MultiProcessMapAndBatchData",
    "MultiProcessMapAndBatchDataZMQ",
    "MultiProcessMapData",
    "MultiProcessMapDataComponentSharedArray",
    "MultiProcessMapDataZMQ",
    "MultiThreadMapData",
]

Function = Callable[..., Any]


class Starred:
    """A function that takes the components of a datapoint one by one."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, dp: Any) -> Any:
        """Call it."""
        return self.function(*dp)


def of_datapoint(function: Function | None, name: str) -> Function:
    """Return a function of one datapoint; one that cannot do with one argument takes the components.

    Tensorpack's own tutorial has both.
    """
    if not callable(function):
        raise TypeError(f"{name}: map_func must be a function of a datapoint, not {function!r}")
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return function
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = sum(1 for one in parameters if one.kind in places and one.default is inspect.Parameter.empty)
    return Starred(function) if needed > 1 else function


def count_of(value: int | None, name: str, what: str) -> int:
    """Return a number of workers."""
    if value is None:
        raise TypeError(f"{name}: say how many: {what}=2")
    assert value > 0, value
    return value


class ParallelMap(ProxyDataFlow):
    """What parallel maps have in common.

    In strict mode a pass is a pass of ``ds``. Else it has no end: passes of ``ds`` follow each other, and whoever
    iterates again goes on where the last iteration stopped. Datapoints come in the order of ``ds`` either way.
    """

    def __init__(self, ds: DataFlow, map_func: Function | None, buffer_size: int, strict: bool) -> None:
        super().__init__(ds)
        assert buffer_size > 0, buffer_size
        self.map_func = of_datapoint(map_func, type(self).__name__)
        self._buffer_size = buffer_size
        self._strict = strict
        self._prepare()

    def _prepare(self) -> None:
        self._guard = DataFlowReentrantGuard()
        self._loader: ps.Loader[Any] | None = None
        self._reading: Iterator[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loader": None, "_reading": None}

    def workers(self) -> ps.Executor:
        """Return where the function runs."""
        raise NoLength("batches of mixed passes have no length")

    def described(self, source: DataFlow) -> ps.Stream[Any]:
        """Return what is read."""
        return ps.stream(source).map(self.map_func)

    def reset_state(self) -> None:
        super().reset_state()
        if self._loader is not None:
            self._loader.close()
        self._start()

    def _start(self) -> None:
        self._prepare()
        self._owner = os.getpid()
        source = self.ds if self._strict else RepeatedData(self.ds, -1)
        workers = self.workers()
        window = max(self._buffer_size, workers.count)
        self._loader, self._reading = started(self.described(source), workers, window, type(self).__name__)

    def __iter__(self) -> Iterator[Any]:
        if self._loader is None:
            self.reset_state()
        elif self._owner != os.getpid():  # a fork has no workers yet
            self._start()
        with self._guard:
            assert self._loader is not None
            if self._reading is None:
                self._reading = iter(self._loader)
            if self._strict:
                reading, self._reading = self._reading, None
                for dp in reading:
                    assert dp is not None, (
                        f"[{type(self).__name__}] Map function cannot return None when strict mode is used."
                    )
                    yield dp
                return
            try:
                for dp in self._reading:
                    if dp is not None:
                        yield dp
            except Exception:  # what failed is not asked for again
                self._reading = None
                raise


class MultiThreadMapData(ParallelMap):
    """``MapData`` whose function runs in threads.

    Args:
        ds: the flow; it is read here.
        num_thread: how many threads.
        map_func: gets a datapoint and returns one, or None to leave it out. One that needs several arguments gets the
            components.
        buffer_size: how many datapoints may be ready or under way.
        strict: a pass has exactly the datapoints of a pass of ``ds``; ``map_func`` cannot leave any out. Else there is
            no end.

    >>> from penstock.compat.tensorpack.dataflow import DataFromList, MultiThreadMapData
    >>> numbers = DataFromList([[1], [2], [3]], shuffle=False)
    >>> doubled = MultiThreadMapData(numbers, num_thread=2, map_func=lambda dp: [2 * dp[0]], strict=True)
    >>> doubled.reset_state()
    >>> list(doubled)
    [[2], [4], [6]]
    """

    @renamed("num_thread")
    def __init__(
        self,
        ds: DataFlow,
        num_thread: int | None = None,
        map_func: Function | None = None,
        *,
        buffer_size: int = 200,
        strict: bool = False,
    ) -> None:
        self.num_thread = count_of(num_thread, "MultiThreadMapData", "num_thread")
        super().__init__(ds, map_func, buffer_size, strict)

    def workers(self) -> ps.Executor:
        return ps.Threads(self.num_thread)


class MultiProcessMapDataZMQ(ParallelMap):
    """``MapData`` whose function runs in processes; arguments as for ``MultiThreadMapData``."""

    @renamed("num_proc")
    def __init__(
        self,
        ds: DataFlow,
        num_proc: int | None = None,
        map_func: Function | None = None,
        *,
        buffer_size: int = 200,
        strict: bool = False,
    ) -> None:
        self.num_proc = count_of(num_proc, type(self).__name__, "num_proc")
        super().__init__(ds, map_func, buffer_size, strict)

    def workers(self) -> ps.Executor:
        return ps.Processes(self.num_proc, on_start=Seeded())


class MultiProcessMapAndBatchDataZMQ(MultiProcessMapDataZMQ):
    """Batches, without end, of datapoints that a function made in processes: passes are mixed, order is kept.

    Args:
        ds: the flow; it is read here.
        num_proc: how many processes.
        map_func: gets a datapoint and returns one, or None to leave it out.
        batch_size: how many datapoints a batch has.
        buffer_size: how many datapoints may be ready or under way; ten batches by default.
    """

    @renamed("num_proc")
    def __init__(
        self, ds: DataFlow, num_proc: int, map_func: Function, batch_size: int, buffer_size: int | None = None
    ) -> None:
        buffer_size = 10 * batch_size if buffer_size is None else buffer_size
        assert batch_size < buffer_size
        self.batch_size = batch_size
        super().__init__(ds, num_proc, map_func, buffer_size=buffer_size)

    def __len__(self) -> int:
        raise NoLength("batches of mixed passes have no length")

    def described(self, source: DataFlow) -> ps.Stream[Any]:
        made = super().described(source).filter(present)
        return made.batch(self.batch_size, collate=BatchData.aggregate_batch)


def present(dp: Any) -> bool:
    """Tell whether a datapoint is there."""
    return dp is not None


class Checked:
    """A function whose results must be arrays of one shape and dtype."""

    def __init__(self, function: Function, shape: tuple[int, ...], dtype: Any) -> None:
        self.function, self.shape, self.dtype = function, tuple(shape), np.dtype(dtype)

    def __call__(self, component: Any) -> Any:
        """Call it."""
        made = self.function(component)
        if made is None:
            return None
        assert made.dtype == self.dtype, (made.dtype, self.dtype)
        return np.reshape(made, self.shape)


class MultiProcessMapDataComponentSharedArray(MultiProcessMapDataZMQ):
    """``MapDataComponent`` without end in processes, whose results are arrays of one shape and dtype."""

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        ds: DataFlow,
        nr_proc: int,
        map_func: Function,
        output_shape: tuple[int, ...],
        output_dtype: Any,
        index: Any = 0,
    ) -> None:
        super().__init__(ds, nr_proc, Mapper(Checked(map_func, output_shape, output_dtype), index))


class Mapper:
    """A function of one component, as one of a datapoint."""

    def __init__(self, function: Function, index: Any) -> None:
        self.function, self.index = function, index

    def __call__(self, dp: Any) -> Any:
        """Call it."""
        return next(iter(MapDataComponent([dp], self.function, self.index)), None)  # type: ignore[arg-type]


MultiProcessMapData = MultiProcessMapDataZMQ
MultiProcessMapAndBatchData = MultiProcessMapAndBatchDataZMQ
