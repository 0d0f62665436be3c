"""What a dataset is, and the two that hold what the program has: indexable things, and iterable ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.fuel.iterator import Reading
from penstock.compat.fuel.schemes import IterationScheme, SequentialExampleScheme
from penstock.compat.fuel.streams import DataStream
from penstock.compat.fuel.utils import Subset


class Dataset(ABC):
    """Answers requests for data. It holds no state of a reading: ``open`` makes one, and streams keep it.

    Args:
        sources: which of ``provides_sources``, a class's own tuple of names, are wanted; all by default.
        axis_labels: what the axes of each source are, a tuple of texts by source.

    ``default_transformers`` lists what ``DataStream.default_stream`` wraps a stream in: (class, arguments behind the
    stream, keyword arguments).
    """

    provides_sources: tuple[str, ...] | None = None
    default_transformers: tuple[Any, ...] = ()

    def __init__(self, sources: tuple[str, ...] | None = None, axis_labels: dict[str, Any] | None = None) -> None:
        provided = self.provides_sources
        if not provided:
            raise ValueError(f"{type(self).__name__} must say in `provides_sources` which sources it has.")
        if sources is not None:
            if not sources or not all(source in provided for source in sources):
                raise ValueError(f"{type(self).__name__}: unable to provide {sources}; there are {provided}.")
            self.sources = sources
        self.axis_labels = axis_labels

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of what is given for a request, in this order."""
        return self._sources if hasattr(self, "_sources") else self.provides_sources or ()

    @sources.setter
    def sources(self, sources: tuple[str, ...]) -> None:
        self._sources = sources

    def apply_default_transformers(self, stream: Any) -> Any:
        """Return a stream wrapped in the usual transformers."""
        for cls, args, kwargs in self.default_transformers:
            stream = cls(stream, *args, **kwargs)
        return stream

    @property
    def example_iteration_scheme(self) -> IterationScheme | None:
        """The scheme of a stream of examples."""
        if not hasattr(self, "_example_iteration_scheme"):
            raise AttributeError(f"{type(self).__name__} has no scheme for a stream of examples.")
        return self._example_iteration_scheme

    @example_iteration_scheme.setter
    def example_iteration_scheme(self, value: IterationScheme | None) -> None:
        self._example_iteration_scheme = value

    def get_example_stream(self) -> DataStream:
        """Return a stream of examples."""
        return DataStream(self, iteration_scheme=self.example_iteration_scheme)

    def open(self) -> Any:
        """Return the state of a new reading, None where there is none."""
        return None

    def reset(self, state: Any) -> Any:
        """Return the state of a reading that begins anew."""
        self.close(state)
        return self.open()

    def next_epoch(self, state: Any) -> Any:
        """Return the state in which the next epoch begins."""
        return self.reset(state)

    def close(self, state: Any) -> None:
        """Let go of what a state holds."""

    @abstractmethod
    def get_data(self, state: Any = None, request: Any = None) -> Any:
        """Return a tuple of data, in the order of ``sources``."""

    def filter_sources(self, data: Iterable[Any]) -> tuple[Any, ...]:
        """Return what belongs to ``sources``, of data in the order of ``provides_sources``."""
        provided = self.provides_sources or ()
        return tuple(part for part, source in zip(data, provided, strict=False) if source in self.sources)


class IterableDataset(Dataset):
    """What iterables give, side by side; it takes no requests.

    Args:
        iterables: by source, or a single one, whose source is ``"data"``. An iterator can be read once.
        kwargs: ``sources``, ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IterableDataset
    >>> list(IterableDataset({"x": [1, 2], "y": "ab"}).get_example_stream().get_epoch_iterator(as_dict=True))
    [{'x': 1, 'y': 'a'}, {'x': 2, 'y': 'b'}]
    """

    example_iteration_scheme = None

    def __init__(self, iterables: Any, **kwargs: Any) -> None:
        named = iterables if isinstance(iterables, dict) else {"data": iterables}
        self.provides_sources = tuple(named)
        super().__init__(**kwargs)
        for source, iterable in named.items():
            if not isinstance(iterable, Iterable):
                raise ValueError(f"IterableDataset: source {source!r} is a {type(iterable).__name__}: not iterable.")  # noqa: TRY004  the original's
        self.iterables = [named[source] for source in self.sources]
        if len(set(lengths(self.iterables))) > 1:
            raise ValueError(f"IterableDataset: iterables are of different length: {lengths(self.iterables)}.")

    @property
    def num_examples(self) -> float:
        """How many there are; NaN where the length of one is not known."""
        return next(iter(lengths(self.iterables)), float("nan"))

    def open(self) -> Iterator[Any]:
        if any(isinstance(iterable, Iterator) for iterable in self.iterables):
            return zip(*self.iterables, strict=False)
        return Reading(ps.zip(*[described(iterable) for iterable in self.iterables]))

    def get_data(self, state: Any = None, request: Any = None) -> Any:
        if state is None or request is not None:
            raise ValueError(
                f"IterableDataset: it is read from the front, by a state, and takes no request: {request!r}."
            )
        return next(state)


class IndexableDataset(Dataset):
    """What can be indexed, side by side: lists give lists, arrays give arrays. The sources are attributes, too.

    Args:
        indexables: by source, or a single one, whose source is ``"data"``; all of the same length.
        start: the first example that counts.
        stop: the first behind those that count.
        kwargs: ``sources``, ``axis_labels``.

    >>> from penstock.compat.fuel.datasets import IndexableDataset
    >>> dataset = IndexableDataset({"x": [10, 20, 30], "y": "abc"})
    >>> dataset.get_data(request=[2, 0]), dataset.get_data(request=slice(0, 2)), dataset.x
    (([30, 10], ['c', 'a']), ([10, 20], 'ab'), [10, 20, 30])
    """

    def __init__(self, indexables: Any, start: int | None = None, stop: int | None = None, **kwargs: Any) -> None:
        named = indexables if isinstance(indexables, dict) else {"data": indexables}
        self.provides_sources = tuple(named)
        super().__init__(**kwargs)
        self.indexables = [named[source] for source in self.sources]
        if start is not None or stop is not None:
            self.indexables = [indexable[start:stop] for indexable in self.indexables]
        if len({len(indexable) for indexable in self.indexables}) > 1:
            found = [len(indexable) for indexable in self.indexables]
            raise ValueError(f"IndexableDataset: sources have different lengths: {found}.")
        self.example_iteration_scheme = SequentialExampleScheme(self.num_examples)
        self.start = start
        self.stop = stop
        self.subset = Subset(slice(None), self.num_examples)  # what is held is what start and stop leave

    def __getattr__(self, attr: str) -> Any:
        if not attr.startswith("_") and attr not in ("sources", "indexables", "provides_sources"):
            sources = self.sources
            if attr in sources:
                return self.indexables[sources.index(attr)]
        raise AttributeError(f"{type(self).__name__} has no attribute {attr!r}, and no such source.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @property
    def num_examples(self) -> int:
        """How many there are."""
        return len(self.indexables[0])

    def get_data(self, state: Any = None, request: Any = None) -> Any:
        if state is not None or request is None:
            raise ValueError(
                f"IndexableDataset: it answers requests, such as those of a SequentialScheme, and has no state; here "
                f"the request was {request!r}, and the state {state!r:.100}."
            )
        return tuple(self.subset.index_within_subset(indexable, request) for indexable in self.indexables)


def lengths(iterables: list[Any]) -> list[int]:
    """Return all lengths, or none where one is not known."""
    return list(map(len, iterables)) if all(hasattr(iterable, "__len__") for iterable in iterables) else []


def described(iterable: Any) -> ps.Sequence[Any] | ps.Stream[Any]:
    """Return an iterable as a Penstock dataset."""
    if isinstance(iterable, str):
        iterable = tuple(iterable)
    return ps.items(iterable) if isinstance(iterable, (list, tuple, range, np.ndarray)) else ps.stream(iterable)
