"""Pools of workers: a Penstock loader for each stream of work.

tasks ──drawn by the caller──> queue ──> workers ──in order──> results
       │      at most `buffer` of them drawn and not yet taken       │
"""

from __future__ import annotations

import queue
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import penstock as ps
from penstock.compat.absent import answer
from penstock.compat.batchup.data_source import AbstractDataSource
from penstock.compat.fresh import fresh
from penstock.errors import ClosedError

if TYPE_CHECKING:
    from typing import Self


class AbstractWorkerPool(ABC):
    """Workers for streams of tasks. ``close``, or a ``with`` block, ends them; so does dropping a stream."""

    def __init__(self) -> None:
        self._streams: weakref.WeakSet[WorkStream] = weakref.WeakSet()
        self._closed = False

    @property
    @abstractmethod
    def workers(self) -> ps.Executor:
        """Where work runs."""

    def shared_constant(self, x: Any) -> Any:
        """Return what stands for a large argument of many tasks, so that it is sent to each worker once."""
        return x

    def work_stream(self, task_generator: Iterator[Any], task_buffer_size: int = 20) -> WorkStream:
        """Compute tasks ahead, and return their results in order.

        Args:
            task_generator: yields ``(function,)``, ``(function, args)`` or ``(function, args, kwargs)``; it is read in
                the caller.
            task_buffer_size: how many tasks are under way or waiting to be taken.

        >>> from penstock.compat.batchup.work_pool import WorkerThreadPool
        >>> with WorkerThreadPool(2) as pool:
        ...     list(pool.work_stream((pow, (2, n)) for n in range(5)).retrieve_iter())
        [1, 2, 4, 8, 16]
        """
        return WorkStream(self, task_generator, task_buffer_size)

    def parallel_data_source(self, ds: AbstractDataSource, batch_buffer_size: int = 20) -> ParallelDataSource:
        """Return a source of the same mini-batches, made by the workers.

        Args:
            ds: a source of random access.
            batch_buffer_size: how many mini-batches are under way or waiting to be taken.
        """
        return ParallelDataSource(ds, batch_buffer_size, self)

    def close(self) -> None:
        """End all workers, whatever they are doing. Closing twice is allowed."""
        self._closed = True
        for stream in list(self._streams):
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WorkerThreadPool(AbstractWorkerPool):
    """Threads: ``processes`` of them for each stream of work; as many as there are cores with None.

    >>> import numpy as np
    >>> from penstock.compat.batchup import data_source, work_pool
    >>> source = data_source.ArrayDataSource([np.arange(5)])
    >>> with work_pool.WorkerThreadPool(processes=2) as pool:
    ...     parallel = pool.parallel_data_source(source, batch_buffer_size=8)
    ...     [batch.tolist() for batch, in parallel.batch_iterator(batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, processes: int | None = 1) -> None:
        super().__init__()
        self._workers = ps.Threads() if processes is None else ps.Threads(processes)

    @property
    def workers(self) -> ps.Executor:
        """Threads."""
        return self._workers


class WorkerProcessPool(AbstractWorkerPool):
    """Processes: ``processes`` of them for each stream of work; as many as there are cores with None.

    Each stream starts its own, which takes a tenth of a second, and they see the data as it is then.
    """

    def __init__(self, processes: int | None = 1) -> None:
        super().__init__()
        self._workers = ps.Processes() if processes is None else ps.Processes(processes)

    @property
    def workers(self) -> ps.Executor:
        """Processes."""
        return self._workers

    def shared_constant(self, x: Any) -> SharedConstant:
        """Return what stands for a large argument of many tasks, so that it is sent to each worker once."""
        return SharedConstant(x)


class SharedConstant:
    """A large argument of many tasks."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Constant:
    """Stands for an argument that the workers have."""

    def __init__(self, number: int) -> None:
        self.number = number


class Doing:
    """Does a task, in a worker that has some large arguments already."""

    def __init__(self, constants: list[Any]) -> None:
        self.constants = constants

    def __call__(self, task: tuple[Any, ...]) -> Any:
        """Call the task's function."""
        function, args, kwargs = task
        return function(*map(self.known, args), **{name: self.known(value) for name, value in kwargs.items()})

    def known(self, argument: Any) -> Any:
        """Return the argument itself."""
        if isinstance(argument, Constant):
            return self.constants[argument.number]
        return argument.value if isinstance(argument, SharedConstant) else argument


class WorkStream:
    """Tasks being done ahead, in order. It begins at once, and ends its workers behind the last result, or as garbage.

    A task that fails raises where its result would have come; the next ``retrieve`` goes on behind it.
    """

    def __init__(
        self, worker_pool: AbstractWorkerPool, task_generator: Iterator[Any], task_buffer_size: int = 20
    ) -> None:
        if worker_pool._closed:  # noqa: SLF001
            raise ClosedError("this pool has been closed. Make a new one.")
        self._pool = worker_pool
        self._tasks = iter(task_generator)
        self._size = task_buffer_size
        self._drawn: deque[tuple[Any, ...]] = deque()  # tasks whose results have not been taken
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._constants: list[SharedConstant] = []
        self._loader: ps.Loader[Any] | None = None
        self._results: Iterator[Any] = iter(())
        worker_pool._streams.add(self)  # noqa: SLF001
        self._draw()

    def retrieve(self) -> Any:
        """Return the next result; None at the end."""
        return self._next() if self._drawn else None

    def retrieve_iter(self) -> Iterator[Any]:
        """Yield the results that are left."""
        while self._drawn:
            yield self._next()

    def close(self) -> None:
        """End the workers; tasks that were drawn are given up."""
        self._drawn.clear()
        self._stop()

    def _draw(self) -> None:
        """Draw tasks until as many are under way as the buffer holds."""
        while len(self._drawn) < self._size:
            task = next(self._tasks, None)
            if task is None:
                break
            self._drawn.append(complete(task))
            if self._loader is not None:
                self._queue.put(self._sent(self._drawn[-1]))
        if self._drawn and self._loader is None:
            self._start()

    def _start(self) -> None:
        """Start workers on the tasks that are drawn. They get the large arguments of these beforehand."""
        arguments = [value for _, args, kwargs in self._drawn for value in (*args, *kwargs.values())]
        self._constants = list(dict.fromkeys(x for x in arguments if isinstance(x, SharedConstant)))
        self._queue = queue.SimpleQueue()
        for task in self._drawn:
            self._queue.put(self._sent(task))
        doing = Doing([constant.value for constant in self._constants])
        results = ps.queue(self._queue).map(doing)
        if isinstance(self._pool.workers, ps.Processes):
            results = results.map(fresh)
        self._loader = results.prefetch(self._size).loader(workers=self._pool.workers, window=self._size)
        self._results = self._loader.begin()

    def _sent(self, task: tuple[Any, ...]) -> tuple[Any, ...]:
        function, args, kwargs = task
        if not self._constants:
            return task
        return function, tuple(map(self._standing, args)), {name: self._standing(x) for name, x in kwargs.items()}

    def _standing(self, argument: Any) -> Any:
        """Return what is sent for an argument."""
        known = isinstance(argument, SharedConstant) and argument in self._constants
        return Constant(self._constants.index(argument)) if known else argument

    def _next(self) -> Any:
        try:
            result = next(self._results)
        except BaseException as error:
            self._stop()
            if isinstance(error, Exception):  # what is behind the task that failed is done anew when it is asked for
                self._drawn.popleft()
                self._draw()
            raise
        self._drawn.popleft()
        self._draw()
        if not self._drawn:
            self._stop()
        return result

    def _stop(self) -> None:
        loader, self._loader = self._loader, None
        self._results = iter(())
        if loader is not None:
            loader.close()


def complete(task: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the function, the arguments and the named arguments of a task."""
    function, args, kwargs = (*task, (), {})[:3] if len(task) != 2 else (*task, {})
    return function, tuple(args), dict(kwargs)


class ParallelDataSource(AbstractDataSource):
    """The mini-batches of a source, made by the workers of a pool. Samples are drawn in the caller."""

    def __init__(self, ds: AbstractDataSource, batch_buffer_size: int, pool: AbstractWorkerPool) -> None:
        if not isinstance(ds, AbstractDataSource):
            raise TypeError(f"ds must be a data source, not a {type(ds).__name__}.")
        if not ds.is_random_access:
            raise TypeError(f"ds must be of random access, and this {type(ds).__name__} is not.")
        self._ds = ds
        self._buffer = batch_buffer_size
        self._pool = pool

    def num_samples(self, **kwargs: Any) -> Any:
        """Return the source's number of samples."""
        return self._ds.num_samples(**kwargs)

    def batch_iterator(self, batch_size: int, **kwargs: Any) -> Iterator[Any]:
        """Return an iterator of mini-batches, the first of which are begun at once."""
        source = self._pool.shared_constant(self._ds)  # the data as it is now, for this iterator alone
        tasks = ((made, (source, indices)) for indices in self._ds.batch_indices_iterator(batch_size, **kwargs))
        return self._pool.work_stream(tasks, self._buffer).retrieve_iter()


def made(source: AbstractDataSource, indices: Any) -> Any:
    """Return the mini-batch of some indices."""
    return source.samples_by_indices_nomapping(indices)


answer(globals(), {"WorkerPool": "It is called WorkerProcessPool."})
