"""Where datasets come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import ArgumentError
from penstock.operations.source import Arrays, Items, Range, find_files
from penstock.operations.stream import Stream as StreamNode
from penstock.sequence import Sequence
from penstock.stream import Stream

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

T = TypeVar("T")


def range(n: int) -> Sequence[int]:
    """Return the whole numbers from 0 to ``n - 1``.

    >>> import penstock as ps
    >>> list(ps.range(3))
    [0, 1, 2]
    """
    return Sequence(Range(n))


def items(entries: Any) -> Sequence[Any]:
    """Return the entries of any object with ``len`` and ``[i]``: a list, a map-style dataset.

    Args:
        entries: not copied. Where it has PyTorch's ``__getitems__``, many entries are fetched at once.

    >>> import penstock as ps
    >>> ps.items(["a", "b", "c"])[1]
    'b'
    """
    return Sequence(Items(entries))


def arrays(*columns: Any, **named: Any) -> Sequence[Any]:
    """Return aligned rows of arrays: items are tuples, or dicts where columns are named, or rows of a single array.

    Args:
        columns: arrays of equal length along their first axis; memory maps stay on disk.
        named: the same, by name.

    Batches are gathered by whole index vectors. Rows are copies: changing one does not change the source.

    >>> import numpy as np, penstock as ps
    >>> ps.arrays(x=np.arange(6), y=np.arange(6) % 2).batch(3)[1]
    {'x': array([3, 4, 5]), 'y': array([1, 0, 1])}
    """
    if columns and named:
        raise ArgumentError("arrays(): give all columns by place, arrays(x, y), or all by name, arrays(x=x, y=y).")
    if not columns and not named:
        raise ArgumentError("arrays(): nothing was given. For example: arrays(x, y) or arrays(image=x, label=y)")
    return Sequence(Arrays(named or (columns[0] if len(columns) == 1 else columns)))


def files(*patterns: str | os.PathLike[str]) -> Sequence[str]:
    """Return the paths that match patterns, each once, sorted; ``**`` goes through folders.

    Raises:
        ArgumentError: a pattern matches nothing.

    >>> import penstock as ps, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.txt", "a.txt"):
    ...         _ = pathlib.Path(folder, name).write_text("hello")
    ...     [pathlib.Path(path).name for path in ps.files(f"{folder}/*.txt")]
    ['a.txt', 'b.txt']
    """
    return Sequence(find_files(patterns))


def stream(source: Iterable[T] | Callable[[], Iterable[T]]) -> Stream[T]:
    """Return the items of an iterable that can be read again, or of a function that returns a fresh iterator.

    A state counts the items read; resuming reads them again and drops them.

    >>> import penstock as ps
    >>> def numbers():
    ...     yield from (1, 2, 3)
    >>> list(ps.stream(numbers).map(lambda x: x + 1))
    [2, 3, 4]
    """
    return Stream(StreamNode(source))
