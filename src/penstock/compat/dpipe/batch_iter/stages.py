"""The stages of a pipeline: a function in a thread, in several threads or processes, or one of the whole iterator.

What travels are pairs of a number and a value; see ``pipeline``.
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Callable, Iterable
from typing import Any

import penstock as ps
from penstock.compat.fresh import fresh

Pairs = abc.Iterator[tuple[int, Any]]


class Transform(ABC):
    """A stage of a pipeline."""

    threaded: bool | None = True
    """Whether a thread runs ahead in it; where none does, the next stage's keeps it busy. None: as before it."""
    ahead = 1
    """How many items may wait for it. With one, two threads wake each other for every item: too slow for a pool."""

    @abstractmethod
    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Return the stream with this stage behind it; put its workers, if it has any, to the loaders."""


def positive(n_workers: int, buffer_size: int) -> None:
    """Refuse what is no number of workers, or of items."""
    if n_workers <= 0 or buffer_size <= 0:
        raise AssertionError(f"{n_workers=} and {buffer_size=} must be above 0.")


class Plain(Transform):
    """A function, called in a thread of its own, on one item after the other."""

    def __init__(self, func: Callable[..., Any], buffer_size: int) -> None:
        self.func = func
        self.buffer_size = buffer_size

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Add the function and the thread."""
        return items.map(Paired(self.func)).prefetch(self.buffer_size)


class Pool(Transform):
    """A function, called by several workers; what it returns comes in order."""

    threaded = False

    def __init__(self, func: Callable[..., Any], workers: ps.Executor, count: int, buffer_size: int) -> None:
        self.func = func
        self.workers = workers
        self.ahead = 2 * count + buffer_size  # one at work and one waiting for each worker

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Add the function and its workers."""
        items = items.map(Paired(self.func))
        if isinstance(self.workers, ps.Processes):
            items = items.map(Paired(fresh))
        loader = items.loader(workers=self.workers, window=self.ahead)
        loaders.append(loader)
        return ps.stream(iter(loader), once=True)


class Threads(Transform):
    """Call a function in several threads.

    Args:
        func: called with the item, then ``args`` and ``kwargs``.
        args: more arguments.
        n_workers: how many threads.
        buffer_size: how many results may wait.
        kwargs: more arguments, by name.

    Results come in the order of the items, whichever thread is first.
    """

    def __init__(
        self, func: Callable[..., Any], *args: Any, n_workers: int = 1, buffer_size: int = 1, **kwargs: Any
    ) -> None:
        positive(n_workers, buffer_size)
        called = filled(func, args, kwargs)
        self._stage = (
            Plain(called, buffer_size)
            if n_workers == 1
            else Pool(called, ps.Threads(n_workers), n_workers, buffer_size)
        )
        self.threaded, self.ahead = self._stage.threaded, self._stage.ahead

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Add the function and its threads."""
        return self._stage.join(items, loaders)


class Loky(Transform):
    """Call a function in several processes.

    Args:
        func: called with the item, then ``args`` and ``kwargs``; lambdas and closures are welcome.
        args: more arguments.
        n_workers: how many processes; from -1 down, as many as there are cores, less -1, -2, … and one.
        buffer_size: how many results may wait.
        kwargs: more arguments, by name.

    Results come in the order of the items, in shared memory.
    """

    def __init__(
        self, func: Callable[..., Any], *args: Any, n_workers: int = 1, buffer_size: int = 1, **kwargs: Any
    ) -> None:
        if n_workers < 0:
            n_workers = max(1, (os.cpu_count() or 1) + n_workers + 1)
        positive(n_workers, buffer_size)
        self._stage = Pool(filled(func, args, kwargs), ps.Processes(n_workers), n_workers, buffer_size)
        self.threaded, self.ahead = self._stage.threaded, self._stage.ahead

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Add the function and its processes."""
        return self._stage.join(items, loaders)


class Iterator(Transform):
    """Send all items through a function of their iterator, which may leave some out, join them or make more.

    Args:
        transform: called with an iterable, then ``args`` and ``kwargs``; returns an iterable.
        args: more arguments.
        n_workers: how many threads, each of which calls it for itself and gets a part of the items.
        buffer_size: how many results may wait.
        kwargs: more arguments, by name.
    """

    def __init__(
        self, transform: Callable[..., Any], *args: Any, n_workers: int = 1, buffer_size: int = 1, **kwargs: Any
    ) -> None:
        positive(n_workers, buffer_size)
        self._through = Through(filled(transform, args, kwargs))
        self._count = n_workers
        self._buffer_size = buffer_size

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Add the function and its threads, which take items and give results in turns."""
        if self._count == 1:
            return items.transform(self._through).prefetch(self._buffer_size)
        loader = items.loader()
        loaders.append(loader)
        shared = iter(loader)
        parts = [ps.stream(Part(shared), once=True).transform(self._through) for _ in range(self._count)]
        found = ps.interleave(*[part.prefetch(self._buffer_size) for part in parts])
        assert isinstance(found, ps.Stream)  # of streams
        return found


class Part:
    """An iteration that others read, too: each item goes to one of them."""

    def __init__(self, shared: Pairs) -> None:
        self.shared = shared

    def __call__(self) -> Pairs:
        """Return an iterator."""
        return (pair for pair in self.shared)


class Through:
    """A function of an iterator of values, made one of pairs."""

    def __init__(self, transform: Callable[[Iterable[Any]], Iterable[Any]]) -> None:
        self.transform = transform

    def __call__(self, pairs: Iterable[tuple[int, Any]]) -> Pairs:
        """Yield what it makes, each with the number of the last item that it had asked for."""
        last = 0

        def values() -> abc.Iterator[Any]:
            nonlocal last
            for number, value in pairs:
                last = number
                yield value

        for made in self.transform(values()):
            yield last, made


class Batches(Transform):
    """Several values in a list, without a thread: the next stage's makes them.

    Args:
        batch_size: how many; or a function of (values so far, next value) that says whether the value is added.
    """

    threaded = None

    def __init__(self, batch_size: int | Callable[[list[Any], Any], Any]) -> None:
        self.batch_size = checked(batch_size)

    def join(self, items: ps.Stream[Any], loaders: list[ps.Loader[Any]]) -> ps.Stream[Any]:
        """Put them together."""
        if isinstance(self.batch_size, int):
            return items.batch(self.batch_size, collate=chunked)
        return items.batch_while(Budget(self.batch_size), collate=chunked)


class Budget:
    """Says whether an item goes to the batch, by a function of values."""

    def __init__(self, should_add: Callable[[list[Any], Any], Any]) -> None:
        self.should_add = should_add

    def __call__(self, chunk: list[Any], item: Any) -> bool:
        """Ask the function."""
        return bool(self.should_add([value for _, value in chunk], item[1]))


def chunked(pairs: Iterable[tuple[int, Any]]) -> tuple[int, list[Any]]:
    """Return the values of some pairs, with the last number."""
    numbers, values = zip(*pairs, strict=True)
    return max(numbers), list(values)


def checked(batch_size: Any) -> Any:
    """Return a batch size, or refuse what is none."""
    if callable(batch_size):
        return batch_size
    try:
        size = operator.index(batch_size)
    except TypeError:
        raise TypeError(f"batch_size must be a whole number or a function, not {batch_size!r}.") from None
    if size <= 0:
        raise ValueError(f"batch_size must be above 0, not {size}.")
    return size


def filled(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
    """Return a function with arguments behind the first."""
    return Filled(func, args, kwargs) if args or kwargs else func


class Paired:
    """A function of a value, made one of pairs: ``map(…, at=1)`` would look first what kind of item each is."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __call__(self, pair: tuple[int, Any]) -> tuple[int, Any]:
        """Call it."""
        number, value = pair
        return number, self.func(value)


class Filled:
    """A function with arguments behind its first."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.__name__ = getattr(func, "__name__", type(func).__name__)

    def __call__(self, value: Any) -> Any:
        """Call it."""
        return self.func(value, *self.args, **self.kwargs)
