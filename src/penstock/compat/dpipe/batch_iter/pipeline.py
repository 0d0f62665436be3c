"""Infinite: a source, transformers, and batches, each stage in threads or processes of its own."""

from __future__ import annotations

import functools
import itertools
from collections import abc
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import penstock as ps
from penstock.compat.dpipe.batch_iter.running import Pipeline, Source
from penstock.compat.dpipe.batch_iter.stages import Batches, Iterator, Loky, Plain, Threads, Transform
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
    if not isinstance(first, np.ndarray) or not first.ndim or len(set(map(kind, column))) > 1:
        return np.array(column)
    shape = (len(column), *first.shape)
    found = ps.empty(shape, first.dtype.newbyteorder("="))
    np.concatenate(column, out=found.reshape(shape[0] * shape[1], *shape[2:]))  # `stack` would make a view of each
    return found


def kind(value: Any) -> tuple[Any, ...]:
    """Return what values have in common that can be stacked as they are."""
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None)


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
        if not isinstance(combiner, Transform):
            combiner = Threads(functools.partial(combiner, **kwargs))
        stages = [*(wrapped(stage, buffer_size) for stage in transformers), Batches(batch_size), combiner]
        self.pipeline = Pipeline(Source(source), stages, buffer_size)

    def __call__(self) -> abc.Iterator[Any]:
        """Return an iterator of the batches of an epoch; their making begins at once."""
        return itertools.islice(iter(self.pipeline), self.batches_per_epoch)

    def __iter__(self) -> abc.Iterator[Any]:
        return self()

    def close(self) -> None:
        """End all threads and processes.

        Used again, it begins anew where the source can be read again, as a list can; an iterator goes on behind what
        was delivered.
        """
        self.pipeline.close()

    def __enter__(self) -> Self:
        self.pipeline.start()
        return self

    def __exit__(self, *_: object) -> None:
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


def wrap_pipeline(
    source: Iterable[Any], *transformers: Callable[..., Any] | Transform, buffer_size: int = 1
) -> Pipeline:
    """Return what some stages make of a source, item by item: ``Infinite`` without batches and epochs.

    >>> from penstock.compat.dpipe.batch_iter.pipeline import wrap_pipeline
    >>> with wrap_pipeline(range(4), lambda x: x * x) as squares:
    ...     list(squares)
    [0, 1, 4, 9]
    """
    return Pipeline(Source(source), [wrapped(stage, buffer_size) for stage in transformers], buffer_size)


def wrapped(stage: Callable[..., Any] | Transform, buffer_size: int) -> Transform:
    """Return a stage; a function gets a thread."""
    return stage if isinstance(stage, Transform) else Plain(stage, buffer_size)
