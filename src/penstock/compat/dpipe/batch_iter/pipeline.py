"""Infinite: a source, transformers, and batches, each stage in threads or processes of its own.

    source ──thread──> transformer ──thread──> … ──> batches, combiner ──thread──> the loop
                       Threads(f, n), Loky(f, n): n threads or processes for this one

What travels are pairs: a value behind the number of the item of the source that it needed last: by these, the source
knows what has been delivered, and what it must give again after ``close``.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections import abc, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import penstock as ps
from penstock.compat.dpipe.batch_iter.stages import Iterator, Loky, Pairs, Plain, Threads, Transform
from penstock.compat.dpipe.batch_iter.utils import pad_batch_equal
from penstock.compat.dpipe.itertools import zip_equal

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Infinite", "Iterator", "Loky", "Threads", "combine_batches", "combine_pad", "combine_to_arrays"]


def combine_batches(inputs: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    """Return a batch of tuples as a tuple of batches; tuples of different lengths are a ``ValueError``.

    >>> from penstock.compat.dpipe.batch_iter import combine_batches
    >>> combine_batches([(1, "a"), (2, "b")])
    ((1, 2), ('a', 'b'))
    """
    return tuple(zip_equal(*inputs))


def combine_to_arrays(inputs: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    """Return a batch of tuples as a tuple of arrays."""
    return tuple(map(array, combine_batches(inputs)))


def array(column: tuple[Any, ...]) -> Any:
    """Return some values as one array: of arrays of one shape and type, in recycled memory."""
    first = column[0]
    if not isinstance(first, np.ndarray) or len({(type(x), getattr(x, "dtype", 0), np.shape(x)) for x in column}) > 1:
        return np.array(column)
    return np.stack(column, out=ps.empty((len(column), *first.shape), first.dtype))


def combine_pad(inputs: Iterable[Iterable[Any]], padding_values: Any = 0, ratio: Any = 0.5) -> tuple[Any, ...]:
    """Return a batch of tuples as a tuple of arrays, where each is padded to the largest.

    Args:
        inputs: the tuples.
        padding_values: what the padding consists of, one for all or one for each entry: a number, or a function of the
            array that returns one.
        ratio: the share of the padding that goes before.

    >>> from penstock.compat.dpipe.batch_iter import combine_pad
    >>> [x.tolist() for x in combine_pad([([1, 2, 3], 0), ([4], 1)])]
    [[[1, 2, 3], [0, 4, 0]], [0, 1]]
    """
    batches = combine_batches(inputs)
    values = np.broadcast_to(np.asarray(padding_values), [len(batches)])
    return tuple(pad_batch_equal(x, value, ratio) for x, value in zip(batches, values, strict=True))


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


class Infinite:
    """Batches of what a source yields, made in the background; an epoch is so many of them.

    Args:
        source: an iterable, without end mostly. It is read in a thread.
        transformers: functions of an item, each in a thread of its own; or ``Threads``, ``Loky`` or ``Iterator``.
        batch_size: how many items make a batch; or a function of (items so far, next item) that says whether the item
            is added.
        batches_per_epoch: how many batches an epoch has.
        buffer_size: how many items may wait behind each stage.
        combiner: makes a batch of a list of items.
        kwargs: arguments of the combiner.

    Calling it, or iterating, is one epoch. The next one goes on where the last stopped, and what it needs is made in
    between. ``close``, a ``with`` block, or the end of the program ends all workers.

    >>> from penstock.compat.dpipe.batch_iter import Infinite, sample, unpack_args
    >>> pairs = [(n, n % 2) for n in range(10)]
    >>> double = unpack_args(lambda x, y: (2 * x, y))
    >>> with Infinite(sample(pairs, random_state=0), double, batch_size=3, batches_per_epoch=2) as batch_iter:
    ...     for xs, ys in batch_iter():
    ...         print(xs, ys)
    [10 14 12] [1 1 0]
    [10  8 12] [1 0 0]
    """

    _running: ps.Loader[Any] | None = None

    def __init__(
        self,
        source: Iterable[Any],
        *transformers: Callable[..., Any] | Transform,
        batch_size: int | Callable[..., Any],
        batches_per_epoch: int,
        buffer_size: int = 1,
        combiner: Callable[..., Any] | Transform = combine_to_arrays,
        **kwargs: Any,
    ) -> None:
        if batches_per_epoch <= 0:
            raise ValueError(f"batches_per_epoch must be above 0, not {batches_per_epoch}.")
        if isinstance(combiner, Transform) and kwargs:
            raise ValueError(f"give {', '.join(kwargs)} to the combiner itself, which is a Transform.")
        self.batches_per_epoch = batches_per_epoch
        self._batch_size = checked(batch_size)
        self._buffer_size = buffer_size
        self._source = Source(source)
        self._stages = [t if isinstance(t, Transform) else Plain(t, buffer_size) for t in transformers]
        self._combiner = combiner if isinstance(combiner, Transform) else Threads(functools.partial(combiner, **kwargs))
        self._loaders: list[ps.Loader[Any]] = []
        self._batches: abc.Iterator[Any] = iter(())

    def _start(self) -> None:
        items: ps.Stream[Any] = ps.stream(self._source.read, once=True).prefetch(self._buffer_size)
        threaded = True
        for stage in self._stages:
            items = self._behind(items, threaded, stage)
            threaded = stage.threaded
        if isinstance(self._batch_size, int):
            batches = items.batch(self._batch_size, collate=chunked)
        else:
            batches = items.batch_while(Budget(self._batch_size), collate=chunked)
        batches = self._behind(batches, threaded, self._combiner)
        self._running = (batches if self._combiner.threaded else batches.prefetch(self._buffer_size)).loader()
        self._batches = self._running.begin()

    def _behind(self, items: ps.Stream[Any], threaded: bool, stage: Transform) -> ps.Stream[Any]:
        """Put a stage behind others. Between two pools stands a thread, or the one would wait for the other."""
        if not threaded and not stage.threaded:
            items = items.prefetch(self._buffer_size)
        return stage.join(items, self._loaders)

    def __call__(self) -> abc.Iterator[Any]:
        """Return an iterator of the batches of an epoch; their making begins at once."""
        if self._running is None:
            self._start()
        return self._epoch()

    def _epoch(self) -> abc.Iterator[Any]:
        for _ in range(self.batches_per_epoch):
            try:
                number, batch = next(self._batches)
            except StopIteration:
                return
            except Exception:
                self.close()
                raise
            self._source.delivered = number
            yield batch
            del batch  # or its memory could not be used for the next

    def __iter__(self) -> abc.Iterator[Any]:
        return self()

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
        self._batches = iter(())
        self._source = self._source.again()

    def __enter__(self) -> Self:
        if self._running is None:
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def closing_callback(self) -> Any:
        """A callback for Lightning's trainer that closes this when the training ends, or fails."""
        from lightning.pytorch.callbacks import Callback  # type: ignore[import-not-found]  # optional

        this = self

        class ClosingCallback(Callback):  # type: ignore[misc]  # it may be missing
            def teardown(self, trainer: Any, pl_module: Any, stage: Any) -> None:
                this.close()

            def on_exception(self, trainer: Any, pl_module: Any, exception: Any) -> None:
                this.close()

        return ClosingCallback()


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
