"""What a transformer is, and the kinds that users derive theirs from."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from penstock.compat.fuel.exceptions import AxisLabelsMismatchError
from penstock.compat.fuel.streams import AbstractDataStream

logger = logging.getLogger("penstock")
KINDS = {True: "examples", False: "batches"}


class ExpectsAxisLabels:
    """For transformers that need certain axes."""

    def verify_axis_labels(self, expected: tuple[str, ...], actual: tuple[str, ...] | None, source_name: str) -> None:
        """Compare the labels of a source with those that are needed, once for each source; warn where it has none.

        Raises:
            AxisLabelsMismatchError: they are others.
        """
        checked = self.__dict__.setdefault("_checked_axis_labels", set())
        if source_name in checked:
            return
        name = type(self).__name__
        if actual is None:
            logger.warning("%s instance could not verify (missing) axis expected %s, got None", name, expected)
        elif tuple(expected) != tuple(actual):
            raise AxisLabelsMismatchError(
                f"{name} expected axis labels {expected} of source {source_name!r}, got {actual} instead"
            )
        checked.add(source_name)


class Transformer(AbstractDataStream):
    """A stream that wraps a stream. Derive from it, and define ``transform_example``, ``transform_batch`` or both.

    Where examples become batches, or one item is not made of one, define ``get_data`` instead, and take from
    ``self.child_epoch_iterator``.

    Args:
        data_stream: what is wrapped.
        produces_examples: whether this gives examples, as opposed to batches.
        kwargs: ``iteration_scheme``, ``axis_labels``.
    """

    child_epoch_iterator: Iterator[Any]

    def __init__(self, data_stream: Any, produces_examples: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if produces_examples is not None:
            self.produces_examples = produces_examples
        self.data_stream = data_stream

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what each item consists of; the wrapped stream's, unless they are set here."""
        return self._sources if hasattr(self, "_sources") else self.data_stream.sources

    @sources.setter
    def sources(self, value: tuple[str, ...]) -> None:
        self._sources = value

    def close(self) -> None:
        self.data_stream.close()

    def reset(self) -> None:
        self.data_stream.reset()

    def next_epoch(self) -> None:
        self.data_stream.next_epoch()

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        self.child_epoch_iterator = self.data_stream.get_epoch_iterator()
        return super().get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        data = next(self.child_epoch_iterator)
        if self.produces_examples != self.data_stream.produces_examples:
            raise NotImplementedError(
                f"the wrapped data stream produces {KINDS[self.data_stream.produces_examples]} while the "
                f"{type(self).__name__} transformer produces {KINDS[self.produces_examples]}, which it does not "
                "support."
            )
        return self.transform_example(data) if self.produces_examples else self.transform_batch(data)

    def transform_example(self, example: Any) -> Any:
        """Return what becomes of an example."""
        raise unsupported(self, "examples")

    def transform_batch(self, batch: Any) -> Any:
        """Return what becomes of a batch."""
        raise unsupported(self, "batches")


class AgnosticTransformer(Transformer):
    """A transformer that does the same to examples and to batches: define ``transform_any``."""

    @abstractmethod
    def transform_any(self, data: Any) -> Any:
        """Return what becomes of an example or a batch."""

    def transform_example(self, example: Any) -> Any:
        return self.transform_any(example)

    def transform_batch(self, batch: Any) -> Any:
        return self.transform_any(batch)


class SourcewiseTransformer(Transformer):
    """A transformer of each source by itself: define ``transform_source_example``, ``transform_source_batch`` or both.

    Args:
        data_stream: what is wrapped.
        produces_examples: whether this gives examples.
        which_sources: the sources that are transformed; all by default.
        kwargs: ``iteration_scheme``, ``axis_labels``.
    """

    def __init__(
        self,
        data_stream: Any,
        produces_examples: bool | None = None,
        which_sources: tuple[str, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        self.which_sources = data_stream.sources if which_sources is None else which_sources
        super().__init__(data_stream, produces_examples, **kwargs)

    def _apply_sourcewise_transformation(self, data: Any, method: Callable[[Any, str], Any]) -> tuple[Any, ...]:
        found = list(data)
        for number, source in enumerate(self.data_stream.sources):
            if source in self.which_sources:
                found[number] = method(found[number], source)
        return tuple(found)  # a mapping may have made other parts than there are sources

    def transform_source_example(self, source_example: Any, source_name: str) -> Any:
        """Return what becomes of one source of an example."""
        raise unsupported(self, "examples")

    def transform_source_batch(self, source_batch: Any, source_name: str) -> Any:
        """Return what becomes of one source of a batch."""
        raise unsupported(self, "batches")

    def transform_example(self, example: Any) -> Any:
        return self._apply_sourcewise_transformation(example, self.transform_source_example)

    def transform_batch(self, batch: Any) -> Any:
        return self._apply_sourcewise_transformation(batch, self.transform_source_batch)


class AgnosticSourcewiseTransformer(AgnosticTransformer, SourcewiseTransformer):
    """A transformer that does the same to each source of examples and of batches: define ``transform_any_source``."""

    def transform_any(self, data: Any) -> Any:
        return self._apply_sourcewise_transformation(data, self.transform_any_source)

    @abstractmethod
    def transform_any_source(self, source_data: Any, source_name: str) -> Any:
        """Return what becomes of one source."""


def unsupported(transformer: Any, kind: str) -> NotImplementedError:
    """Return the error of a transformer that does not take this kind of items."""
    return NotImplementedError(
        f"`{type(transformer).__name__}` does not support {kind} as input, but the wrapped data stream produces {kind}."
    )


def no_request(transformer: Any, request: Any) -> None:
    """Refuse a request where none is possible."""
    if request is not None:
        raise ValueError(f"{type(transformer).__name__}: it takes what comes, and no request: {request!r}.")


def inherited(data_stream: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments with the wrapped stream's axis labels among them, unless others are given."""
    if data_stream.axis_labels:
        kwargs.setdefault("axis_labels", dict(data_stream.axis_labels))
    return kwargs


def stacked(examples: Any) -> Any:
    """Return examples as an array; where their shapes differ, as an array of objects."""
    try:
        return np.asarray(examples)
    except ValueError:
        found = np.empty(len(examples), dtype=object)
        for index, example in enumerate(examples):
            found[index] = example
        return found


def labels_of(data_stream: Any, source: str) -> tuple[str, ...] | None:
    """Return the axis labels of a source, if it has any."""
    found: tuple[str, ...] | None = (data_stream.axis_labels or {}).get(source)
    return found


def wanted(data_stream: Any, kwargs: dict[str, Any]) -> Any:
    """Return the sources that are to be transformed."""
    found = kwargs.get("which_sources")
    return data_stream.sources if found is None else found
