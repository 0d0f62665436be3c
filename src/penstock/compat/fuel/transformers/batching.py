"""Transformers between examples and batches, and between batches of different sizes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.compat.fuel.config_parser import config
from penstock.compat.fuel.schemes import BatchSizeScheme, IterationScheme
from penstock.compat.fuel.transformers.base import Transformer, inherited, no_request, stacked


class Batch(Transformer):
    """Joins examples; examples of different shapes become an array of objects.

    Args:
        data_stream: a stream of examples.
        iteration_scheme: gives the sizes.
        strictness: of a short last batch: 0 gives it, 1 drops it, 2 makes it a ``ValueError``.
        kwargs: ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IterableDataset
    >>> from penstock.compat.fuel.schemes import ConstantScheme
    >>> from penstock.compat.fuel.streams import DataStream
    >>> from penstock.compat.fuel.transformers import Batch
    >>> list(Batch(DataStream(IterableDataset(range(5))), ConstantScheme(3)).get_epoch_iterator())
    [(array([0, 1, 2]),), (array([3, 4]),)]
    """

    def __init__(self, data_stream: Any, iteration_scheme: IterationScheme, strictness: int = 0, **kwargs: Any) -> None:
        only_examples(self, data_stream)
        if iteration_scheme.requests_examples:
            raise ValueError("the iteration scheme must request batches, not individual examples.")
        if data_stream.axis_labels:
            labels = {source: ("batch", *axes) if axes else None for source, axes in data_stream.axis_labels.items()}
            kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, iteration_scheme=iteration_scheme, **kwargs)
        self.strictness = strictness

    def get_data(self, request: Any = None) -> Any:
        size = sized(self, request)
        examples = [example for _, example in zip(range(size), self.child_epoch_iterator, strict=False)]
        if not examples or (len(examples) < size and self.strictness == 1):
            raise StopIteration
        if len(examples) < size and self.strictness > 1:
            raise ValueError(f"Batch: {len(examples)} examples are left for the last batch, and {size} were asked for.")
        columns = zip(self.sources, zip(*examples, strict=True), strict=False)
        return tuple(stacked(column) for _, column in columns)


class Unpack(Transformer):
    """Takes batches apart into examples.

    Args:
        data_stream: a stream of batches.
        kwargs: ``axis_labels``.
    """

    def __init__(self, data_stream: Any, **kwargs: Any) -> None:
        only_batches(self, data_stream)
        if data_stream.axis_labels:
            labels = {source: axes[1:] if axes else None for source, axes in data_stream.axis_labels.items()}
            kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, produces_examples=True, **kwargs)
        self.data: Iterator[Any] = iter(())

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        self.data = iter(())  # what is left of an epoch that was not read to its end is no part of this one
        return super().get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        while True:
            for example in self.data:
                return example
            self.data = iter(list(zip(*next(self.child_epoch_iterator), strict=False)))


class Cache(Transformer):
    """Makes smaller batches of large ones, or larger ones of small ones, which are read when they are needed.

    Args:
        data_stream: a stream of batches.
        iteration_scheme: gives the sizes.
        kwargs: ``axis_labels``.
    """

    def __init__(self, data_stream: Any, iteration_scheme: IterationScheme, **kwargs: Any) -> None:
        if not isinstance(iteration_scheme, BatchSizeScheme):
            raise ValueError(f"Cache: the iteration scheme must be a BatchSizeScheme, not {iteration_scheme!r}.")  # noqa: TRY004  the original's
        super().__init__(data_stream, iteration_scheme=iteration_scheme, **inherited(data_stream, kwargs))
        self.cache: list[list[Any]] = [[] for _ in self.sources]

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        self.cache = [[] for _ in self.sources]
        return super().get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        size = sized(self, request)
        while size > len(self.cache[0]):
            try:
                chunk = next(self.child_epoch_iterator)
            except StopIteration:
                if not self.cache[0]:
                    raise
                break
            for cache, data in zip(self.cache, chunk, strict=False):
                cache.extend(data)
        found = tuple(stacked(cache[:size]) for cache in self.cache)
        for cache in self.cache:
            del cache[:size]
        return found


class Padding(Transformer):
    """Fills sequences of different lengths up with zeros; a source ``…_mask`` behind each has 1 for what is real.

    Args:
        data_stream: a stream of batches.
        mask_sources: the sources that are filled up and get a mask; all by default.
        mask_dtype: the masks' type; ``config.floatX`` by default.
        kwargs: ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IndexableDataset
    >>> from penstock.compat.fuel.schemes import SequentialScheme
    >>> from penstock.compat.fuel.streams import DataStream
    >>> from penstock.compat.fuel.transformers import Padding
    >>> words = DataStream(IndexableDataset({"words": [[1, 2], [3]]}), iteration_scheme=SequentialScheme(2, 2))
    >>> next(Padding(words, mask_dtype="int8").get_epoch_iterator(as_dict=True))
    {'words': array([[1, 2], [3, 0]]), 'words_mask': array([[1, 1], [1, 0]], dtype=int8)}
    """

    def __init__(
        self, data_stream: Any, mask_sources: tuple[str, ...] | None = None, mask_dtype: Any = None, **kwargs: Any
    ) -> None:
        only_batches(self, data_stream)
        super().__init__(data_stream, produces_examples=False, **kwargs)
        self.mask_sources = data_stream.sources if mask_sources is None else mask_sources
        self.mask_dtype = config.floatX if mask_dtype is None else mask_dtype

    @property  # type: ignore[misc]  # they follow from the wrapped stream's
    def sources(self) -> tuple[str, ...]:
        """The wrapped stream's, with masks among them."""
        pairs = [(source, f"{source}_mask") if source in self.mask_sources else (source,)
                 for source in self.data_stream.sources]  # fmt: skip
        return tuple(source for pair in pairs for source in pair)

    def transform_batch(self, batch: Any) -> tuple[Any, ...]:
        found: list[Any] = []
        for source, samples in zip(self.data_stream.sources, batch, strict=False):
            if source in self.mask_sources:
                data, mask = padded([np.asarray(sample) for sample in samples])
                found += [data, mask.astype(self.mask_dtype)]
            else:
                found.append(samples)
        return tuple(found)


def padded(samples: list[Any]) -> tuple[Any, Any]:
    """Return sequences as one array, and where they are real. Those without entries have no say in the type."""
    if not all(sample.ndim for sample in samples):
        raise ValueError(f"Padding: {samples[0]!r:.100} is no sequence; mask_sources= says which sources are.")
    filled = [sample for sample in samples if len(sample)] or samples[:1]
    rest = filled[0].shape[1:]
    if any(sample.shape[1:] != rest for sample in filled):
        raise ValueError(
            f"Padding: all dimensions except length must be equal: {[sample.shape for sample in samples]}."
        )
    length = max(map(len, samples))
    data = np.zeros((len(samples), length, *rest), np.result_type(*filled))
    mask = np.zeros((len(samples), length), bool)
    for values, real, sample in zip(data, mask, samples, strict=True):
        if len(sample):
            values[: len(sample)] = sample
            real[: len(sample)] = True
    return data, mask


def sized(transformer: Any, request: Any) -> int:
    """Refuse to do without a size."""
    if request is None:
        raise ValueError(f"{type(transformer).__name__}: it needs a request: how many examples are wanted.")
    return int(request)


def only_examples(transformer: Any, data_stream: Any) -> None:
    """Refuse a stream of batches."""
    if not data_stream.produces_examples:
        raise ValueError(
            f"{type(transformer).__name__}: the wrapped data stream must produce examples, not batches of examples."
        )


def only_batches(transformer: Any, data_stream: Any) -> None:
    """Refuse a stream of examples."""
    if data_stream.produces_examples:
        raise ValueError(
            f"{type(transformer).__name__}: the wrapped data stream must produce batches of examples, not examples."
        )
