"""Transformers of one item into one item, and filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from penstock.compat.fuel.config_parser import config
from penstock.compat.fuel.transformers.base import (
    AgnosticSourcewiseTransformer,
    SourcewiseTransformer,
    Transformer,
    inherited,
    no_request,
    stacked,
    wanted,
)


class Mapping(Transformer):
    """Sends each item through a function.

    Args:
        data_stream: what is wrapped.
        mapping: called with the tuple of an item; it returns a tuple.
        add_sources: names for what it returns, which is put behind what was there; else it takes its place.
        mapping_accepts: ``list`` for the tuple, ``dict`` for a dict by source; then a dict is returned, too.
        kwargs: ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IterableDataset
    >>> from penstock.compat.fuel.streams import DataStream
    >>> from penstock.compat.fuel.transformers import Mapping
    >>> stream = Mapping(DataStream(IterableDataset([1, 2])), lambda item: (10 * item[0],), add_sources=("tens",))
    >>> list(stream.get_epoch_iterator(as_dict=True))
    [{'data': 1, 'tens': 10}, {'data': 2, 'tens': 20}]
    """

    def __init__(
        self,
        data_stream: Any,
        mapping: Callable[[Any], Any],
        add_sources: tuple[str, ...] | None = None,
        mapping_accepts: type = list,
        **kwargs: Any,
    ) -> None:
        if mapping_accepts not in (list, dict):
            raise ValueError(f"Mapping: mapping_accepts should be list or dict, not {mapping_accepts!r}.")
        super().__init__(data_stream, data_stream.produces_examples, **kwargs)
        self.mapping = mapping
        self.add_sources = add_sources
        self.mapping_accepts = mapping_accepts

    @property
    def sources(self) -> tuple[str, ...]:
        """The wrapped stream's, and what the function adds."""
        if hasattr(self, "_sources"):
            return self._sources
        return (*self.data_stream.sources, *(self.add_sources or ()))

    @sources.setter
    def sources(self, value: tuple[str, ...]) -> None:
        self._sources = value

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        data = next(self.child_epoch_iterator)
        if self.mapping_accepts is dict:
            found = self.mapping(dict(zip(self.data_stream.sources, data, strict=False)))
            image = tuple(found[source] for source in self.add_sources or self.data_stream.sources)
        else:
            image = self.mapping(data)
        if not self.add_sources:
            return image
        return data + image if type(data) is type(image) else (*data, *image)


class SortMapping:
    """A function for ``Mapping`` that sorts the examples of a batch.

    Args:
        key: called with the tuple of an example; it returns what is compared.
        reverse: whether the largest comes first.
    """

    def __init__(self, key: Callable[[Any], Any], reverse: bool = False) -> None:
        self.key = key
        self.reverse = reverse

    def __call__(self, batch: Any) -> tuple[Any, ...]:
        """Return the batch, sorted: arrays as arrays, all else as lists."""
        ordered = sorted(zip(*batch, strict=False), key=self.key, reverse=self.reverse)
        columns = zip(*ordered, strict=True) if ordered else batch
        return tuple(
            stacked(column) if isinstance(before, np.ndarray) else list(column)
            for column, before in zip(columns, batch, strict=True)
        )


class Filter(Transformer):
    """Leaves out items.

    Args:
        data_stream: what is wrapped.
        predicate: called with the tuple of an item; true for those that stay.
        kwargs: ``axis_labels``.
    """

    def __init__(self, data_stream: Any, predicate: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(data_stream, data_stream.produces_examples, **inherited(data_stream, kwargs))
        self.predicate = predicate

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        while True:
            data = next(self.child_epoch_iterator)
            if self.predicate(data):
                return data


class Flatten(SourcewiseTransformer):
    """Makes one axis of all axes; of batches, of all but the first.

    Args:
        data_stream: what is wrapped.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(self, data_stream: Any, **kwargs: Any) -> None:
        if data_stream.axis_labels:
            sources = wanted(data_stream, kwargs)
            examples = data_stream.produces_examples
            labels = {
                source: ((("feature",) if examples else (axes[0], "feature")) if axes else None)
                if source in sources
                else axes
                for source, axes in data_stream.axis_labels.items()
            }
            kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, data_stream.produces_examples, **kwargs)

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        return stacked(source_example).flatten()

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        return stacked(source_batch).reshape((len(source_batch), -1))


class ScaleAndShift(AgnosticSourcewiseTransformer):
    """Multiplies by a number, then adds one.

    Args:
        data_stream: what is wrapped.
        scale: the factor.
        shift: what is added.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(self, data_stream: Any, scale: float, shift: float, **kwargs: Any) -> None:
        self.scale = scale
        self.shift = shift
        super().__init__(data_stream, data_stream.produces_examples, **inherited(data_stream, kwargs))

    def transform_any_source(self, source_data: Any, source_name: str) -> Any:
        return stacked(source_data) * self.scale + self.shift


class Cast(AgnosticSourcewiseTransformer):
    """Makes arrays of another type.

    Args:
        data_stream: what is wrapped.
        dtype: a type of NumPy's, or ``"floatX"``: what the settings say.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(self, data_stream: Any, dtype: Any, **kwargs: Any) -> None:
        self.dtype = config.floatX if isinstance(dtype, str) and dtype == "floatX" else dtype
        super().__init__(data_stream, data_stream.produces_examples, **inherited(data_stream, kwargs))

    def transform_any_source(self, source_data: Any, source_name: str) -> Any:
        return np.asarray(source_data, dtype=self.dtype)


class ForceFloatX(AgnosticSourcewiseTransformer):
    """Makes arrays of floating-point numbers, and no others, of the type ``config.floatX``.

    Args:
        data_stream: what is wrapped.
        kwargs: ``which_sources``, ``axis_labels``.
    """

    def __init__(self, data_stream: Any, **kwargs: Any) -> None:
        super().__init__(data_stream, data_stream.produces_examples, **inherited(data_stream, kwargs))

    def transform_any_source(self, source_data: Any, source_name: str) -> Any:
        if isinstance(source_data, np.ndarray) and source_data.dtype.kind == "f":
            return source_data.astype(config.floatX, copy=False)
        return source_data
