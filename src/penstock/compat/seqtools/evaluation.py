"""Reading ahead, in threads or processes: a Penstock loader behind ``[i]`` and iteration."""

from __future__ import annotations

import inspect
import itertools
import operator
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import penstock as ps
from penstock.compat.fresh import fresh
from penstock.compat.seqtools.errors import EvaluationError, Site, seterr
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
        self._site = Site()
        self._lock = threading.RLock()
        self._loader: ps.Loader[Any] | None = None
        self._front: dict[str, Any] = {}
        self._reading: Iterator[Any] | None = None
        self._next = 0  # the item that the reading gives next
        # Buffers that come round again must not be filled before their time.
        self._ring = view._ring and isinstance(workers, ps.Threads)  # noqa: SLF001  one class, made in several places
        self._read: list[Any] = []  # positions that others may change, as they were when the workers began
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
                if not index and self._loader is not None and self._changed():
                    self.close()  # what was read ahead belongs to another order
                    self._loader = self._reading = None
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
            return value[0].value if self._ring else value

    def begin(self) -> Self:
        """Let the workers begin with the first items."""
        self._reading = self._open().begin()
        return self

    def _open(self) -> ps.Loader[Any]:
        self._read = [chosen.now() for chosen in self._loose]
        items, amount = self._view.steady.epoch(0), {}
        if self._ring:
            items, amount = items.map(alone), {"window_bytes": self._window * MUCH.nbytes}
            if self._size is not None:  # or the next epoch's first items would be begun beside the last
                items = ps.concat(items, ps.items([alone(None)] * (self._window + 1)))
        self._loader = items.loader(workers=self._workers, window=self._window, **amount)
        self._front = self._loader.state_dict()
        return self._loader

    @property
    def _loose(self) -> tuple[Any, ...]:
        return self._view._loose  # noqa: SLF001  one class, made in several places

    def _changed(self) -> bool:
        return not all(np.array_equal(c.now(), before) for c, before in zip(self._loose, self._read, strict=True))

    def _turn_to(self, index: int) -> None:
        assert self._loader is not None
        if self._reading is not None and index == 0 and self._next == self._size and not self._ring:
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


class Box:
    """An item that Penstock does not look into."""

    def __init__(self, value: Any) -> None:
        self.value = value


MUCH = np.broadcast_to(np.int8(0), 1 << 30)  # of no memory


def alone(value: Any) -> tuple[Box, Any]:
    """Return an item so that it seems to be large: threads are given one at a time, never many in a bundle."""
    return Box(value), MUCH


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
        method: ``"thread"`` or ``"process"``; ``"sharedmem"``, as some versions had it, is the latter.
        max_buffered: how many items, or small pieces of work, may be under way or waiting.
        start_hook: called in each worker before its first item; in processes with the worker's number, if it takes one.
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
    if method not in ("thread", "process", "sharedmem"):
        raise ValueError(f"prefetch(): method must be 'thread' or 'process', not {method!r}.")
    if nworkers == 0 and max_cached is None:
        return seq
    return Prefetch(adopt(seq), workers(method, spare(nworkers), start_hook), buffered).begin()


def workers(method: str, count: int, start_hook: Callable[..., object] | None) -> ps.Executor:
    """Return where work runs."""
    if start_hook is not None and (method == "thread" or not takes_number(start_hook)):
        start_hook = Hook(start_hook)
    kind = ps.Threads if method == "thread" else ps.Processes
    return kind(count, on_start=start_hook)


def takes_number(hook: Callable[..., object]) -> bool:
    """Tell whether a start hook can be called with a number; of what has no signature, yes."""
    try:
        inspect.signature(hook).bind(0)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


class Again:
    """Calls a function without arguments for each number."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self, number: int) -> Any:
        """Call it."""
        return fresh(self.function())


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
