"""Sequences of sequences: side by side, end to end, cut into batches or parts, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import penstock as ps
from penstock.compat.seqtools.errors import Callback
from penstock.compat.seqtools.views import View, adopt, derive, sized


def collate(sequences: Iterable[Any]) -> View:
    """Return tuples of the items of several sequences of one length.

    >>> from penstock.compat import seqtools
    >>> seqtools.collate([[1, 2], ["a", "b"]])[1]
    (2, 'b')
    """
    views = [adopt(sequence) for sequence in sequences]
    lengths = {length for view in views if (length := sized(view)) is not None}
    if len(lengths) > 1:
        raise ValueError(f"collate(): the sequences differ in length: {sorted(lengths)}.")
    return derive(ps.zip, *views)


class Concatenation(View):
    """Sequences end to end: ``sequences``."""

    def __init__(self, sequences: list[Any]) -> None:
        self.sequences = sequences
        self._be(derive(ps.concat, *sequences) if sequences else adopt(()))


def concatenate(sequences: Iterable[Any]) -> Concatenation:
    """Return the items of the first sequence, then those of the second, and so on.

    >>> from penstock.compat import seqtools
    >>> joined = seqtools.concatenate([[0, 1], [2], [3, 4]])
    >>> list(joined), joined[-2]
    ([0, 1, 2, 3, 4], 3)
    """
    given = [part.sequences if isinstance(part, Concatenation) else [part] for part in sequences]
    return Concatenation([sequence for part in given for sequence in part])


class Shape:
    """Makes a batch of a list of items: pads it, then collates it."""

    def __init__(self, size: int, pad: Any, collate_fn: Callable[[list[Any]], Any] | None) -> None:
        self.size = size
        self.pad = pad
        self.collate_fn = collate_fn
        self.__name__ = getattr(collate_fn, "__name__", "list")

    def __call__(self, items: Iterable[Any]) -> Any:
        """Return the batch."""
        batch = list(items)
        if self.pad is not None:
            batch += [self.pad] * (self.size - len(batch))
        return batch if self.collate_fn is None else self.collate_fn(batch)


class Batches(View):
    """A sequence in batches of ``k``, each of a given shape."""

    def __init__(self, view: View, k: int, last: str, shape: Shape) -> None:
        collate: Any = list
        if shape.pad is not None or shape.collate_fn is not None:
            collate = Callback(shape, view._trail.maps)  # noqa: SLF001  one class, made in several places
        self._be(
            derive(
                lambda data: data.batch(k, last=last, collate=collate),
                view,
                sink=lambda data: data.batch(k, last=last, collate=list),
            )
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, [list(batch) for batch in value] if isinstance(key, slice) else list(value))


def batch(
    sequence: Any,
    k: int,
    drop_last: bool = False,
    pad: Any = None,
    collate_fn: Callable[[list[Any]], Any] | None = None,
) -> View:
    """Return a sequence in lists of ``k`` items.

    Args:
        sequence: what to cut.
        k: items per batch.
        drop_last: leave a short last batch out.
        pad: fill a short last batch up with this; not where it is None.
        collate_fn: makes a batch of a list of items.

    >>> from penstock.compat import seqtools
    >>> list(seqtools.batch(range(5), 2)), seqtools.batch(range(5), 2, pad=-1)[-1]
    ([[0, 1], [2, 3], [4]], [4, -1])
    """
    return Batches(adopt(sequence), k, "drop" if drop_last else "keep", Shape(k, pad, collate_fn))


def unbatch(sequence: Any, batch_size: int, last_batch_size: int | None = None) -> View:
    """Return the rows of batches, whose sizes are known: the reverse of ``batch``.

    Args:
        sequence: batches.
        batch_size: rows of each, but for the last.
        last_batch_size: rows of the last one, where it has fewer.

    A batch that has another number of rows is an error when it is read.

    >>> from penstock.compat import seqtools
    >>> rows = seqtools.unbatch([[1, 2], [3, 4], [5]], 2, 1)
    >>> list(rows), len(rows), rows[-1]
    ([1, 2, 3, 4, 5], 5, 5)
    """
    view = adopt(sequence)
    count = sized(view)
    total = None
    if last_batch_size and count is not None:
        total = max(0, count - 1) * batch_size + (last_batch_size if count else 0)
    return derive(lambda data: data.unbatch(size=batch_size, total=total), view)


class Cut:
    """Cuts parts out of a sequence."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __call__(self, span: tuple[int, int]) -> Any:
        """Return the part from a start to a stop."""
        return self.sequence[span[0] : span[1]]


class Split(View):
    """Parts of a sequence."""

    def __init__(self, sequence: Any, spans: list[tuple[int, int]]) -> None:
        super().__init__(ps.items(spans).map(Cut(sequence)))
        self._heed(sequence)
        self._sequence = sequence
        self._spans = spans

    def __setitem__(self, key: Any, value: Any) -> None:
        spans = self._spans[key]
        for (start, stop), part in [(spans, value)] if isinstance(spans, tuple) else zip(spans, value, strict=True):
            if len(part) != stop - start:
                raise ValueError(f"this part has {stop - start} items, and {len(part)} values are given.")
            self._sequence[start:stop] = part


def split(sequence: Any, edges: Any) -> Split:
    """Return the parts of a sequence.

    Args:
        sequence: what to cut; parts are its slices.
        edges: positions to cut at; or in how many places to cut it into equal parts; or pairs (start, stop).

    >>> from penstock.compat import seqtools
    >>> list(seqtools.split([0, 1, 2, 3, 4, 5], [2, 3])), list(seqtools.split([0, 1, 2, 3], 1))
    ([[0, 1], [2], [3, 4, 5]], [[0, 1], [2, 3]])
    """
    size = len(sequence)
    if isinstance(edges, Integral):
        parts = int(edges) + 1
        if size % parts:
            raise ValueError(f"split(): {parts} equal parts of {size} items: edges must divide the size.")
        edges = [size // parts * part for part in range(1, parts)]
    listed = list(edges)
    if not listed or isinstance(listed[0], Integral):
        stops = [*listed, size]
        listed = list(zip([0, *listed], stops, strict=True))
    spans = [(min(max(0, int(start)), size), min(max(0, int(stop)), size)) for start, stop in listed]
    return Split(sequence, spans)
