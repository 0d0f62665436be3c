"""Transformers of sources: other names, fewer of them, those of several streams side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from penstock.compat.fuel.streams import AbstractDataStream
from penstock.compat.fuel.transformers.base import AgnosticTransformer, no_request

logger = logging.getLogger("penstock")


class Rename(AgnosticTransformer):
    """Gives sources other names.

    Args:
        data_stream: what is wrapped.
        names: new names by old ones; they may change places.
        on_non_existent: what becomes of a name that there is not: ``"raise"`` a ``KeyError``, ``"ignore"``, ``"warn"``.
        kwargs: ``axis_labels``.
    """

    def __init__(self, data_stream: Any, names: dict[str, str], on_non_existent: str = "raise", **kwargs: Any) -> None:
        if on_non_existent not in ("raise", "ignore", "warn"):
            raise ValueError(
                f"Rename: on_non_existent must be one of 'raise', 'ignore' and 'warn', not {on_non_existent!r}."
            )
        for name in names:
            if name not in data_stream.sources:
                message = f"{name} not in the sources of the stream: {data_stream.sources}"
                if on_non_existent == "raise":
                    raise KeyError(message)
                if on_non_existent == "warn":
                    logger.warning("Rename: %s", message)
        self.sources = tuple(names.get(source, source) for source in data_stream.sources)
        if data_stream.axis_labels:
            labels = {names.get(source, source): axes for source, axes in data_stream.axis_labels.items()}
            kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, data_stream.produces_examples, **kwargs)

    def transform_any(self, data: Any) -> Any:
        return data


class FilterSources(AgnosticTransformer):
    """Leaves out sources; the others stay in their order.

    Args:
        data_stream: what is wrapped.
        sources: the names of those that stay.
        kwargs: ``axis_labels``.
    """

    def __init__(self, data_stream: Any, sources: Iterable[str], **kwargs: Any) -> None:
        kept = tuple(sources)
        if any(source not in data_stream.sources for source in kept):
            raise ValueError(f"FilterSources: {kept} are not all among the stream's sources: {data_stream.sources}.")
        if data_stream.axis_labels:
            labels = {source: axes for source, axes in data_stream.axis_labels.items() if source in kept}
            kwargs.setdefault("axis_labels", labels)
        super().__init__(data_stream, data_stream.produces_examples, **kwargs)
        self.sources = tuple(source for source in data_stream.sources if source in kept)

    def transform_any(self, data: Any) -> Any:
        pairs = zip(data, self.data_stream.sources, strict=False)
        return [part for part, source in pairs if source in self.sources]  # a list, as it was


class Merge(AbstractDataStream):
    """Puts the items of several streams side by side; it ends with the shortest.

    Args:
        data_streams: all of examples, or all of batches.
        sources: the names of all that comes together.
        axis_labels: what the axes of each source are.
    """

    def __init__(
        self, data_streams: Iterable[Any], sources: tuple[str, ...], axis_labels: dict[str, Any] | None = None
    ) -> None:
        super().__init__(axis_labels=axis_labels)
        self.data_streams = list(data_streams)
        if len({stream.produces_examples for stream in self.data_streams}) > 1:
            raise ValueError("Merge: all data streams must produce the same type of output: examples, or batches.")
        self.produces_examples = self.data_streams[0].produces_examples
        found = [source for stream in self.data_streams for source in stream.sources]
        if len(found) != len(sources):
            raise ValueError(f"Merge: wrong number of sources given: {tuple(sources)} for {found}.")
        self.sources = sources

    def close(self) -> None:
        for stream in self.data_streams:
            stream.close()

    def reset(self) -> None:
        for stream in self.data_streams:
            stream.reset()

    def next_epoch(self) -> None:
        for stream in self.data_streams:
            stream.next_epoch()

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        self.child_epoch_iterators = [stream.get_epoch_iterator() for stream in self.data_streams]
        return super().get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        return tuple(part for data in [next(child) for child in self.child_epoch_iterators] for part in data)
