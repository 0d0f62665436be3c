"""Reading ahead, in threads or processes: a Penstock loader behind ``[i]`` and iteration."""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import penstock as ps
from penstock.compat.seqtools.errors import EvaluationError, seterr, site
from penstock.compat.seqtools.views import Ended, View, adopt, counting, place, sized
from penstock.errors import WorkerError

if TYPE_CHECKING:
    from typing import Self


class Prefetch:
    """An ordered sequence that is computed ahead. Reading on is cheap; a jump gives up what was read ahead.

    Threads may share it. It ends its workers when it is garbage, at once, whatever they are doing; or with ``close``,
    or at the end of a ``with`` block.
    """

    def __init__(self, view: View, workers: ps.Executor, window: int) -> None:
        self._view = view
        self._workers = workers
        self._window = window
        self._site = site()
        self._lock = threading.RLock()
        self._loader: ps.Loader[Any] | None = None
        self._front: dict[str, Any] = {}
        self._reading: Iterator[Any] | None = None
        self._next = 0  # the item that the reading gives next
        self._size = sized(view)

    def __reduce__(self) -> Any:
        """Travel without workers: whoever reads it there starts its own."""
        return Prefetch, (self._view, self._workers, self._window)

    def __len__(self) -> int:
        return len(self._view)

    def __iter__(self) -> Iterator[Any]:
        for index in itertools.count() if self._size is None else range(self._size):
            try:
                value = self[index]
            except Ended:
                return
            yield value
            del value  # or its memory could not be used for the next

    def __getitem__(self, key: Any) -> Any:
        if not hasattr(key, "__index__"):
            return adopt(self)[key]
        index = operator.index(key)
        if self._size is None or not 0 <= index < self._size:
            index = place(self, index)
        with self._lock:
            try:
                if self._loader is None:
                    self._open()
                if self._reading is None or index != self._next:
                    self._turn_to(index)
                value = next(self._reading)  # type: ignore[arg-type]  # made just now
            except StopIteration:
                self._reading = None
                raise Ended(f"the sequence has no item {index}") from None
            except Exception as error:  # noqa: BLE001  whatever it is, it is told with its place
                self._reading = None
                self._fail(error, index)
            self._next = index + 1
            return value

    def begin(self) -> Self:
        """Let the workers begin with the first items."""
        self._reading = self._open().begin()
        return self

    def _open(self) -> ps.Loader[Any]:
        self._loader = self._view.dataset.epoch(0).loader(workers=self._workers, window=self._window)
        self._front = self._loader.state_dict()
        return self._loader

    def _turn_to(self, index: int) -> None:
        assert self._loader is not None
        if self._reading is not None and index == 0 and self._next == self._size:
            next(self._reading, None)  # the end, behind which the workers have begun again
            self._reading = iter(self._loader)
            return
        if index or self._reading is not None or self._loader.epoch:
            self._loader.load_state_dict({**self._front, "position": index} if index else self._front)
        self._reading = iter(self._loader)

    def _fail(self, error: Exception, index: int) -> None:
        if isinstance(error, (EvaluationError, WorkerError, Ended)) or seterr() == "passthrough":
            raise error
        raise EvaluationError(f"failed to evaluate item {index} in prefetch created at:\n{self._site}") from error

    def close(self) -> None:
        """End the workers."""
        if self._loader is not None:
            self._loader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<seqtools Prefetch of {self._view!r}, {self._workers!r}>"


class Hook:
    """A start hook without arguments, as threads have it."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def __call__(self, number: int) -> None:
        """Call it."""
        self.function()


def spare(nworkers: int) -> int:
    """Return a number of workers; from 0 down it is how many cores to leave alone."""
    if nworkers > 0:
        return nworkers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores + nworkers <= 0:
        raise ValueError(f"prefetch(): at least one worker required, and nworkers={nworkers} of {cores} cores is none.")
    return cores + nworkers


def prefetch(  # noqa: PLR0913, PLR0917  the original's signature, and that of its time
    seq: Any,
    nworkers: int = 0,
    method: str = "thread",
    max_buffered: int = 10,
    start_hook: Callable[..., object] | None = None,
    shm_size: int = 0,  # noqa: ARG001  taken, as is timeout
    *,
    max_cached: int | None = None,
    timeout: float | None = None,  # noqa: ARG001
) -> Any:
    """Compute the items ahead in workers; they come in order.

    Args:
        seq: what to read.
        nworkers: how many workers; from -1 down, how many cores to leave alone. With 0, ``seq`` is returned as it is;
            together with ``max_cached``, as in SeqTools 0.8, 0 means all cores.
        method: ``"thread"`` or ``"process"``.
        max_buffered: how many items, or small pieces of work, may be under way or waiting.
        start_hook: called in each worker before its first item; in processes with the worker's number.
        shm_size: taken for compatibility: results always travel in shared memory, as much as they need.
        max_cached: what ``max_buffered`` was called in SeqTools 0.8.
        timeout: taken for compatibility: idle workers cost nothing.

    Workers start at once; those of one that was pickled, with the first read.

    >>> from penstock.compat import seqtools
    >>> ahead = seqtools.prefetch(seqtools.smap(abs, range(-3, 3)), nworkers=2, method="thread", max_buffered=4)
    >>> list(ahead), ahead[1], ahead[-1]
    ([3, 2, 1, 0, 1, 2], 2, 2)
    """
    if isinstance(method, int):  # prefetch(sequence, max_cached, nworkers, method), as in SeqTools 0.8
        named = max_buffered if isinstance(max_buffered, str) else "thread"
        nworkers, method, max_cached, max_buffered = method, named, nworkers, 10
    buffered = max_buffered if max_cached is None else max_cached
    if buffered <= 0:
        raise ValueError(f"prefetch(): max_buffered must be greater than 0, not {buffered}.")
    if method not in ("thread", "process"):
        raise ValueError(f"prefetch(): method must be 'thread' or 'process', not {method!r}.")
    if nworkers == 0 and max_cached is None:
        return seq
    return Prefetch(adopt(seq), workers(method, spare(nworkers), start_hook), buffered).begin()


def workers(method: str, count: int, start_hook: Callable[..., object] | None) -> ps.Executor:
    """Return where work runs."""
    if method == "process":
        return ps.Processes(count, on_start=start_hook)
    return ps.Threads(count, on_start=None if start_hook is None else Hook(start_hook))


class Again:
    """Calls a function without arguments for each number."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self, number: int) -> Any:
        """Call it."""
        return self.function()


def load_buffers(
    func: Callable[[], Any],
    max_cached: int = 2,
    nworkers: int = 0,
    timeout: float = 1.0,  # noqa: ARG001  taken, for the original has it
    start_hook: Callable[..., object] | None = None,
) -> Iterator[Any]:
    """Call a function again and again in processes, and yield what it returns, without end.

    Args:
        func: called without arguments.
        max_cached: how many results may be under way or waiting.
        nworkers: how many processes; from 0 down, how many cores to leave alone.
        timeout: taken for compatibility.
        start_hook: called in each process with its number, before anything else.

    Results stay valid as long as they are used; of SeqTools' own, the next one took the last one's place.

    >>> import itertools, numpy as np
    >>> from penstock.compat.seqtools import load_buffers
    >>> buffers = load_buffers(lambda: np.ones(3), nworkers=1)
    >>> [buffer.sum() for buffer in itertools.islice(buffers, 2)]
    [np.float64(3.0), np.float64(3.0)]
    >>> buffers.close()
    """
    view = View(counting().map(Again(func)))
    with Prefetch(view, workers("process", spare(nworkers), start_hook), max_cached) as ahead:
        yield from ahead
