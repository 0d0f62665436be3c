"""Runners: whole flows in processes or threads of their own, read from here.

    RunnerZMQ ──(pass, number)──> process k, with its own copy of the flow ──datapoint──> RunnerZMQ

What is handed to the workers are only numbers; for each, a worker gives the next datapoint of its copy. Another number
of the pass makes a copy begin again: so a pass that was left early leaves nothing behind for the next.

Workers start in ``reset_state``, as Tensorpack's did: flows and functions travel as they are then, before a program
goes on to keep, say, an iterator in the object whose method they are.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import penstock as ps
from penstock.compat.tensorpack.dataflow.base import DataFlow, DataFlowReentrantGuard, ProxyDataFlow, size_of
from penstock.compat.tensorpack.dataflow.common import RepeatedData
from penstock.compat.tensorpack.dataflow.earlier import renamed
from penstock.compat.tensorpack.dataflow.travelling import modules_as_they_are
from penstock.compat.tensorpack.utils import logger
from penstock.compat.tensorpack.utils.utils import Seeded
from penstock.errors import PenstockError

__all__ = [
    "MultiProcessPrefetchData",
    "MultiProcessRunner",
    "MultiProcessRunnerZMQ",
    "MultiThreadPrefetchData",
    "MultiThreadRunner",
    "PrefetchData",
    "PrefetchDataZMQ",
]

Ask = tuple[int, int]
"""The number of a pass, and how many datapoints of it were asked for before."""


class Copy:
    """A flow in its worker, which gives a datapoint for each time that it is asked."""

    def __init__(self, flow: DataFlow, alone: bool) -> None:
        self.flow = flow
        self.alone = alone
        self.round = -1
        self.given = 0
        self.items: Iterator[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"flow": self.flow, "alone": self.alone, "round": -1, "given": 0, "items": None}

    def __call__(self, ask: Ask) -> Any:
        """Give the next datapoint."""
        round_, number = ask
        if self.items is None or round_ > self.round:
            if self.items is None:
                self.flow.reset_state()
            self.items = iter(RepeatedData(self.flow, -1))
            self.round, self.given = round_, 0
        if self.alone and number != self.given:
            raise RuntimeError(
                f"the process that ran {type(self.flow).__name__} died after {number} datapoints; a new one cannot "
                "know how to go on. Iterate again, which begins a new pass."
            )
        self.given += 1
        return next(self.items)


class Copies:
    """One flow for each thread: whichever thread asks first takes the next one."""

    def __init__(self, flows: list[DataFlow]) -> None:
        self.flows = [Copy(flow, alone=len(flows) == 1) for flow in flows]
        self.mine = threading.local()

    def __call__(self, ask: Ask) -> Any:
        """Give the next datapoint of this thread's flow."""
        if not hasattr(self.mine, "copy"):
            self.mine.copy = self.flows.pop()
        return self.mine.copy(ask)


class Asking:
    """The numbers that are handed to the workers."""

    def __init__(self) -> None:
        self.round = 0

    def __iter__(self) -> Iterator[Ask]:
        round_ = self.round
        return ((round_, number) for number in itertools.count())


def started(
    stream: ps.Stream[Any], workers: ps.Executor, window: int, who: str
) -> tuple[ps.Loader[Any], Iterator[Any]]:
    """Return a loader whose workers have started, and its first pass; the stream is not opened yet.

    What cannot travel to processes (an open archive, an HDF5 file, a generator) could be in a fork. Here it is read in
    this process, one datapoint at a time, with a warning: the same data, without the speed.
    """
    loader = stream.loader(workers=workers, window=window)
    try:
        with modules_as_they_are():
            return loader, loader.begin()
    except (PenstockError, OSError):
        loader.close()
        raise
    except Exception as error:  # noqa: BLE001  of pickling: TypeError, RuntimeError, whatever an object says
        loader.close()
        logger.warning(
            "[%s] runs in this process, one datapoint at a time, since it cannot be sent to others: %s: %s. "
            "Where a flow of your own opens files, let it open them in reset_state().",
            who,
            type(error).__name__,
            str(error),  # the error itself knows the workers that never were
        )
    loader = stream.loader(workers=ps.Inline(), window=window)
    return loader, loader.begin()


class Running:
    """Copies of a flow that run, read from here; what was left of a pass is dropped."""

    def __init__(self, function: Callable[[Ask], Any], workers: ps.Executor, window: int, who: str) -> None:
        self.asking = Asking()
        self.owner = os.getpid()
        self.reading: Iterator[Any] | None
        self.loader, self.reading = started(ps.stream(self.asking).map(function), workers, window, who)

    def take(self, size: int | None) -> Iterator[Any]:
        """Yield so many datapoints, or without end."""
        if self.reading is None:
            self.reading = iter(self.loader)
        reading, self.reading = self.reading, None
        keep = False
        try:
            for _ in itertools.count() if size is None else range(size):
                dp = next(reading)
                keep = size is None  # whoever leaves what has no end wants to go on there
                yield dp
                keep = False
            keep = True
        finally:
            if keep:
                self.reading = reading
            else:
                self.asking.round += 1


class Runner(DataFlow):
    """What runners have in common: they start when they are reset, once, and stay where they were started."""

    def __init__(self, size: int | None) -> None:
        self._size = size or None
        self._guard = DataFlowReentrantGuard()
        self._running: Running | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}

    def run(self) -> Running:
        """Start the workers."""
        raise NotImplementedError

    def reset_state(self) -> None:
        assert self._running is None, "reset_state() was called twice! This violates the API of DataFlow!"
        self._running = self.run()

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            if self._running is None:
                self.reset_state()
            elif self._running.owner != os.getpid():  # a fork has no workers yet
                self._running = self.run()
            assert self._running is not None
            yield from self._running.take(self._size)


class InProcesses(Runner):
    """A flow in one or more processes."""

    def __init__(self, ds: DataFlow, num_proc: int, window: int) -> None:
        assert num_proc > 0, num_proc
        assert window > 0, window
        super().__init__(size_of(ds))
        self.ds = ds
        self.num_proc = num_proc
        self._window = window
        if num_proc > 1:
            logger.info(
                "[%s] runs the flow in more than one process. This assumes the datapoints are i.i.d.",
                type(self).__name__,
            )

    def __len__(self) -> int:
        return len(self.ds)

    def run(self) -> Running:
        workers = ps.Processes(self.num_proc, on_start=Seeded())
        window = max(self._window, 2 * self.num_proc)
        return Running(Copy(self.ds, alone=self.num_proc == 1), workers, window, type(self).__name__)


class MultiProcessRunner(InProcesses, ProxyDataFlow):
    """A flow in one or more processes, read from here.

    Args:
        ds: the flow. It is reset in each process.
        num_prefetch: how many datapoints may be ready or under way.
        num_proc: how many processes; each runs the whole flow. With one, the same datapoints come in the same order;
            with more, the same distribution, in which datapoints are repeated: for training, not for validation.

    A pass has ``len(ds)`` datapoints, or no end where the flow has no length.
    """

    @renamed("num_prefetch", "num_proc")
    def __init__(self, ds: DataFlow, num_prefetch: int, num_proc: int = 1) -> None:
        super().__init__(ds, num_proc, num_prefetch)
        self.num_prefetch = num_prefetch


class MultiProcessRunnerZMQ(InProcesses):
    """A flow in one or more processes, read from here: ``MultiProcessRunner`` with a default of one process.

    Args:
        ds: the flow. It is reset in each process.
        num_proc: how many processes; each runs the whole flow. With one, the same datapoints come in the same order;
            with more, the same distribution, in which datapoints are repeated: for training, not for validation.
        hwm: how many datapoints may be ready or under way.

    A pass has ``len(ds)`` datapoints, or no end where the flow has no length.

    >>> from penstock.compat.tensorpack.dataflow import DataFromList, MultiProcessRunnerZMQ
    >>> ahead = MultiProcessRunnerZMQ(DataFromList([[1], [2], [3]], shuffle=False), num_proc=1)
    >>> ahead.reset_state()
    >>> list(ahead)
    [[1], [2], [3]]
    """

    @renamed("num_proc")
    def __init__(self, ds: DataFlow, num_proc: int = 1, hwm: int = 50) -> None:
        super().__init__(ds, num_proc, hwm)


class MultiThreadRunner(Runner):
    """A flow for each of several threads, read from here.

    Args:
        get_df: called once for each thread; must return another flow each time.
        num_prefetch: how many datapoints may be ready or under way.
        num_thread: how many threads.
    """

    @renamed("num_prefetch", "num_thread")
    def __init__(self, get_df: Callable[[], DataFlow], num_prefetch: int, num_thread: int) -> None:
        assert num_thread > 0, num_thread
        assert num_prefetch > 0, num_prefetch
        self.num_thread = num_thread
        self.num_prefetch = num_prefetch
        self._flows = [get_df() for _ in range(num_thread)]
        for flow in self._flows:
            assert isinstance(flow, DataFlow), flow
        super().__init__(size_of(self._flows[0]))

    def __len__(self) -> int:
        return len(self._flows[0])

    def run(self) -> Running:
        window = max(self.num_prefetch, 2 * self.num_thread)
        return Running(Copies(self._flows), ps.Threads(self.num_thread), window, type(self).__name__)


class PlasmaPutData(ProxyDataFlow):
    """The flow itself: Plasma, which Tensorpack handed datapoints to, is no more."""

    def __init__(self, ds: DataFlow, socket: str = "") -> None:
        super().__init__(ds)


class PlasmaGetData(PlasmaPutData):
    """The flow itself, likewise."""


PrefetchData = MultiProcessPrefetchData = MultiProcessRunner
PrefetchDataZMQ = MultiProcessRunnerZMQ
MultiThreadPrefetchData = MultiThreadRunner
