"""A pipeline that runs: a source, and stages behind it, each in threads or processes of its own.

    source ──thread──> transformer ──thread──> … ──> the loop
                       Threads(f, n), Loky(f, n): n threads or processes for this one

What travels are pairs: a value behind the number of the item of the source that it needed last: by these, the source
knows what has been delivered, and what it must give again after ``close``.
"""

from __future__ import annotations

import threading
from collections import abc, deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import penstock as ps
from penstock.compat.dpipe.batch_iter.stages import Pairs, Transform

if TYPE_CHECKING:
    from typing import Self


class Source:
    """What items come from. It keeps those that are on their way, and gives them again where they did not arrive."""

    def __init__(self, iterable: Iterable[Any]) -> None:
        if not hasattr(iterable, "__iter__") and not hasattr(iterable, "__getitem__"):
            raise TypeError(f"Infinite(): the source must be an iterable, not a {type(iterable).__name__}.")
        self.iterable = iterable
        self.iterator: abc.Iterator[Any] | None = None
        self.log: deque[tuple[int, Any]] = deque()
        self.taken = self.delivered = 0
        self.failure: BaseException | None = None
        self.lock = threading.Lock()  # whoever reads after a close waits for an item that is still being made

    def read(self) -> Pairs:
        """Yield what has not been delivered, each with its number."""
        at = self.delivered
        while True:
            with self.lock:
                while self.log and self.log[0][0] <= self.delivered:
                    self.log.popleft()
                if (not self.log or self.log[-1][0] <= at) and not self.take():
                    return
                pair = self.log[at + 1 - self.log[0][0]]
            at = pair[0]
            yield pair

    def take(self) -> bool:
        """Take an item of the iterator, if there is one; what it raised once, it raises for ever."""
        if self.failure is not None:
            raise self.failure
        try:
            if self.iterator is None:
                self.iterator = iter(self.iterable)
            value = next(self.iterator)
        except StopIteration:
            return False
        except BaseException as error:
            self.failure = error
            raise
        self.taken += 1
        self.log.append((self.taken, value))
        return True

    def again(self) -> Source:
        """Return this, where it can be read only once; else the same from its front."""
        return self if self.iterator is self.iterable else Source(self.iterable)


class Pipeline:
    """What comes out of stages behind a source. Iterations share it: each goes on where the last one stopped."""

    _running: ps.Loader[Any] | None = None

    def __init__(self, source: Source, stages: Sequence[Transform], buffer_size: int) -> None:
        self._source = source
        self._stages = stages
        self._buffer_size = buffer_size
        self._loaders: list[ps.Loader[Any]] = []
        self._items: Pairs = iter(())

    def start(self) -> None:
        """Start what is not running; all stages begin to work."""
        if self._running is not None:
            return
        first = self._stages[0].ahead if self._stages else 1
        items: ps.Stream[Any] = ps.stream(self._source.read, once=True).prefetch(max(first, self._buffer_size))
        threaded: bool | None = True
        for stage in self._stages:
            if threaded is False and stage.threaded is False:  # or the one pool would wait for the other
                items = items.prefetch(max(stage.ahead, self._buffer_size))
            items = stage.join(items, self._loaders)
            threaded = threaded if stage.threaded is None else stage.threaded
        self._running = (items if threaded else items.prefetch(self._buffer_size)).loader()
        self._items = self._running.begin()

    def __iter__(self) -> abc.Iterator[Any]:
        self.start()
        return self

    def __next__(self) -> Any:
        try:
            number, value = next(self._items)
        except StopIteration:
            raise
        except Exception:
            self.close()
            raise
        self._source.delivered = number
        return value

    def close(self) -> None:
        """End all threads and processes.

        Used again, it begins anew where the source can be read again, as a list can; an iterator goes on behind what
        was delivered.
        """
        running, self._running = self._running, None
        if running is None:
            return
        for loader in self._loaders:
            loader.close()
        self._loaders.clear()
        running.close()
        self._items = iter(())
        self._source = self._source.again()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
