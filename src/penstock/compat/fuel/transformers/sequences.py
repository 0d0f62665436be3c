"""Windows that slide along sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.compat.fuel.transformers.base import Transformer, no_request
from penstock.compat.fuel.transformers.batching import only_examples


class Window(Transformer):
    """Pairs of windows, a source and a target, that slide along each sequence.

    Args:
        offset: where the target begins, counted from the source's end; from its beginning where they overlap.
        source_window: entries of the source.
        target_window: entries of the target.
        overlapping: whether they overlap.
        data_stream: a stream of examples with a single source: sequences that can be sliced.
        step_size: how far the windows move each time.
        target_source: the name of the targets.
        kwargs: ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IterableDataset
    >>> from penstock.compat.fuel.streams import DataStream
    >>> from penstock.compat.fuel.transformers.sequences import Window
    >>> list(Window(1, 3, 3, True, DataStream(IterableDataset([[1, 2, 3, 4, 5]]))).get_epoch_iterator())
    [([1, 2, 3], [2, 3, 4]), ([2, 3, 4], [3, 4, 5])]
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        offset: int,
        source_window: int,
        target_window: int,
        overlapping: bool,
        data_stream: Any,
        step_size: int | str = 1,
        target_source: str = "targets",
        **kwargs: Any,
    ) -> None:
        if isinstance(step_size, str):  # the sixth argument was the name, before there were steps
            target_source, step_size = step_size, 1
        only_examples(self, data_stream)
        if len(data_stream.sources) > 1:
            raise ValueError(f"{type(self).__name__} expects only one source, not {data_stream.sources}")
        super().__init__(data_stream, produces_examples=True, **kwargs)
        self.sources = (*self.sources, target_source)
        self.offset = offset
        self.source_window = source_window
        self.target_window = target_window
        self.overlapping = overlapping
        self.step_size = step_size
        self.sentence: Any = ()
        self.index = 0

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        self.sentence = ()  # what is left of an epoch that was not read to its end is no part of this one
        self.index = 0
        return super().get_epoch_iterator(as_dict=as_dict)

    def get_data(self, request: Any = None) -> Any:
        no_request(self, request)
        ahead = self.offset + (0 if self.overlapping else self.source_window)  # from the source to the target
        while self.index + max(self.source_window, ahead + self.target_window) > len(self.sentence):
            (self.sentence,) = next(self.child_epoch_iterator)
            self.index = max(0, -ahead)
        begin = self.index
        self.index += self.step_size
        return (
            self.sentence[begin : begin + self.source_window],
            self.sentence[begin + ahead : begin + ahead + self.target_window],
        )


class NGrams(Window):
    """Some entries in a row, and the one behind them.

    Args:
        ngram_order: how many.
        args: the stream, and what else ``Window`` takes.
        kwargs: the same, by name.
    """

    def __init__(self, ngram_order: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(0, ngram_order, 1, False, *args, **kwargs)
        self.ngram_order = ngram_order

    def get_data(self, request: Any = None) -> Any:
        source, target = super().get_data(request)
        return source, target[0]
