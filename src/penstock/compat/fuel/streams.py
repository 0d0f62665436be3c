"""Data streams: datasets being read epoch by epoch, here or from a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import penstock as ps
from penstock.compat.fuel.iterator import DataIterator


class AbstractDataStream(ABC):
    """A stream of examples or batches, divided into epochs.

    Args:
        iteration_scheme: what makes the requests; None where there are none.
        axis_labels: what the axes of each source are, a tuple of texts by source.
    """

    def __init__(self, iteration_scheme: Any = None, axis_labels: dict[str, Any] | None = None) -> None:
        self.iteration_scheme = iteration_scheme
        self.axis_labels = axis_labels

    @property
    def produces_examples(self) -> bool:
        """Whether it gives examples, as opposed to batches; where there is a scheme, that says it."""
        if self.iteration_scheme:
            return bool(self.iteration_scheme.requests_examples)
        try:
            return self._produces_examples
        except AttributeError:
            raise ValueError(
                f"{type(self).__name__}: nobody has said whether this stream gives examples or batches; set "
                "produces_examples to True or False."
            ) from None

    @produces_examples.setter
    def produces_examples(self, value: bool) -> None:
        if self.iteration_scheme:
            raise ValueError(
                f"{type(self).__name__}: produces_examples cannot be set; {self.iteration_scheme} determines it."
            )
        self._produces_examples = value

    def get_data(self, request: Any = None) -> Any:
        """Return the data that a request is for; a stream that makes its epochs otherwise needs no such method."""
        raise NotImplementedError(f"{type(self).__name__} has no get_data().")

    def reset(self) -> None:
        """Begin anew."""

    def close(self) -> None:
        """Let go of files and the like."""

    def next_epoch(self) -> None:
        """Go to the next epoch."""

    @abstractmethod
    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        """Return an iterator over the next epoch; ``as_dict`` makes it give dicts by source."""
        requests = self.iteration_scheme.get_request_iterator() if self.iteration_scheme else None
        return DataIterator(self, requests, as_dict=as_dict)

    def iterate_epochs(self, as_dict: bool = False) -> Iterator[Iterator[Any]]:
        """Yield an iterator for each epoch, without end."""
        while True:
            yield self.get_epoch_iterator(as_dict=as_dict)


class DataStream(AbstractDataStream):
    """A stream of what a dataset gives.

    Args:
        dataset: what answers the requests.
        kwargs: ``iteration_scheme``, without which the stream gives examples; ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IndexableDataset
    >>> from penstock.compat.fuel.schemes import SequentialScheme
    >>> from penstock.compat.fuel.streams import DataStream
    >>> dataset = IndexableDataset({"x": [1, 2, 3], "y": "abc"})
    >>> stream = DataStream.default_stream(dataset, iteration_scheme=SequentialScheme(3, 2))
    >>> list(stream.get_epoch_iterator())
    [([1, 2], ['a', 'b']), ([3], ['c'])]
    """

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        if dataset.axis_labels:
            kwargs.setdefault("axis_labels", dataset.axis_labels.copy())
        super().__init__(**kwargs)
        if not self.iteration_scheme:
            self.produces_examples = True
        if self.produces_examples and self.axis_labels:
            self.axis_labels = {
                source: tuple(label for label in labels if label != "batch") if labels else labels
                for source, labels in self.axis_labels.items()
            }
        self.dataset = dataset
        self.data_state = dataset.open()
        self._fresh_state = True

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what each item consists of; the dataset's, unless they are set here."""
        return self._sources if hasattr(self, "_sources") else self.dataset.sources

    @sources.setter
    def sources(self, value: tuple[str, ...]) -> None:
        self._sources = value

    def close(self) -> None:
        self.data_state = self.dataset.close(self.data_state)

    def reset(self) -> None:
        self.data_state = self.dataset.reset(self.data_state)
        self._fresh_state = True

    def next_epoch(self) -> None:
        self.data_state = self.dataset.next_epoch(self.data_state)

    def get_data(self, request: Any = None) -> Any:
        return self.dataset.get_data(self.data_state, request)

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        if not self._fresh_state:
            self.next_epoch()
        self._fresh_state = False
        return super().get_epoch_iterator(as_dict=as_dict)

    @classmethod
    def default_stream(cls, dataset: Any, **kwargs: Any) -> Any:
        """Return a stream with the transformers that the dataset names as its usual ones."""
        return dataset.apply_default_transformers(cls(dataset, **kwargs))


class ServerDataStream(AbstractDataStream):
    """What a Fuel server sends: every epoch whole, whoever else reads there.

    Args:
        sources: the names of what each item consists of.
        produces_examples: whether it gives examples, as opposed to batches.
        host: where the server is.
        port: and its port.
        hwm: how many batches may be here and not taken.
        axis_labels: what the axes of each source are.
        timeout: seconds that the server may be silent; then it is an error.
        keys: the file that ``penstock keys`` made for this client, where the server asks for one.

    It connects when the first batch is asked for. Pickled, it goes on at the batch where it was; it may be closed, and
    closes itself.
    """

    def __init__(  # noqa: PLR0913, PLR0917  the original's signature
        self,
        sources: tuple[str, ...],
        produces_examples: bool = False,
        host: str = "localhost",
        port: int = 5557,
        hwm: int = 10,
        axis_labels: dict[str, Any] | None = None,
        *,
        timeout: float = 60.0,
        keys: str | None = None,
    ) -> None:
        super().__init__(axis_labels=axis_labels)
        self.sources = sources
        self.produces_examples = produces_examples
        self.host = host
        self.port = port
        self.hwm = hwm
        self.timeout = timeout
        self.keys = keys
        self._state: dict[str, Any] | None = None  # where a reading that has travelled goes on
        self._loader: ps.Loader[Any] | None = None
        self._epoch: Iterator[Any] | None = None  # the epoch being read; None between two
        self._midway = False

    def connect(self) -> ps.Loader[Any]:
        """Return the reading of what the server sends; nothing is said to the server yet."""
        if self._loader is None:
            batches = ps.connect(
                f"tcp://{self.host}:{self.port}", window=self.hwm, timeout=self.timeout, keys=self.keys
            )
            self._loader = batches.loader()
            if self._state is not None:
                self._loader.load_state_dict(self._state)
        return self._loader

    def get_data(self, request: Any = None) -> Any:
        if request is not None:
            raise ValueError(f"ServerDataStream: a server decides what it sends, and takes no request: {request!r}.")
        if self._epoch is None:
            self._epoch = iter(self.connect())
        self._midway = True
        try:
            return tuple(next(self._epoch))
        except StopIteration:
            self._epoch, self._midway = None, False
            raise

    def get_epoch_iterator(self, as_dict: bool = False) -> Iterator[Any]:
        """Return an iterator over the next epoch; what is left of the one before does not come."""
        if self._midway:
            loader = self.connect()
            if self._epoch is None:  # it has travelled, and the rest of its epoch is not wanted
                loader.load_state_dict({**loader.state_dict(), "epoch": loader.epoch + 1, "position": None})
            self._epoch, self._midway = None, False
        return super().get_epoch_iterator(as_dict=as_dict)

    def close(self) -> None:
        """Say good-bye to the server. Reading on connects again, where this stands."""
        if self._loader is not None:
            self._state = self._loader.state_dict()
            self._loader.close()
            self._loader = self._epoch = None

    def next_epoch(self) -> None:
        """Do nothing: an epoch is the next one by itself."""

    def reset(self) -> None:
        """Do nothing: there is no way back in a server's epochs."""

    def __getstate__(self) -> dict[str, Any]:
        state = self._loader.state_dict() if self._loader is not None else self._state
        return {**self.__dict__, "_state": state, "_loader": None, "_epoch": None}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
