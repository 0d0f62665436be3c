"""Where datasets come from."""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import ArgumentError
from penstock.graph.checking import flag, whole
from penstock.operations.live import Once, Queue
from penstock.operations.source import Arrays, Items, Range, find_files, listed
from penstock.operations.stream import Stream as StreamNode
from penstock.operations.synthetic import Synthetic
from penstock.sequence import Sequence
from penstock.storage.remote import Remote, find, is_url
from penstock.stream import Stream
from penstock.surface.hinting import hinting

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

T = TypeVar("T")


@overload
def range(n: int, /) -> Sequence[int]: ...
@overload
def range(start: int, stop: int, step: int = 1, /) -> Sequence[int]: ...
def range(n: int, stop: int | None = None, step: int = 1, /) -> Sequence[int]:
    """Return whole numbers by the rules of Python's ``range``: ``range(n)`` or ``range(start, stop, step)``.

    Raises:
        ArgumentError: of a single number, that it is negative; or a step of 0.

    >>> import penstock as ps
    >>> list(ps.range(3)), list(ps.range(5, 0, -2))
    ([0, 1, 2], [5, 3, 1])
    """
    if stop is None:
        return Sequence(Range(n))
    edges = []
    for name, value in (("start", n), ("stop", stop), ("step", step)):
        edges.append(whole(value, "range()", name, least=-sys.maxsize))
    if not edges[2]:
        raise ArgumentError("range(): step must not be 0.")
    numbers = builtins.range(*edges)
    return Sequence(Range(len(numbers), numbers.start, numbers.step))


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


def files(*patterns: str | os.PathLike[str], remote: Remote | None = None) -> Sequence[str]:
    """Return the paths that match patterns, each once, sorted; ``**`` goes through folders.

    Args:
        patterns: of paths, or of URLs such as ``"s3://bucket/train/*.jpg"``, whose content ``fetch`` gives.
        remote: how URLs are looked up: ``Remote(storage_options=…)``.

    Raises:
        ArgumentError: a pattern matches nothing.

    >>> import penstock as ps, tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.txt", "a.txt"):
    ...         _ = pathlib.Path(folder, name).write_text("hello")
    ...     [pathlib.Path(path).name for path in ps.files(f"{folder}/*.txt")]
    ['a.txt', 'b.txt']
    """
    if any(map(is_url, patterns)):
        return Sequence(listed(tuple(map(str, patterns)), find(patterns, remote or Remote())))
    return Sequence(find_files(patterns))


def stream(source: Iterable[T] | Callable[[], Iterable[T]], *, once: bool = False) -> Stream[T]:
    """Return the items of an iterable that can be read again, or of a function that returns a fresh iterator.

    Args:
        source: a collection, an object with ``__iter__``, or a function without arguments; it is read in the caller.
            Where it has ``set_epoch``, that is called with the epoch, on a copy (``copy.copy``). A dataset of Ray Data
            gives its rows, in its order.
        once: take an iterator that cannot be made again. There is one epoch then, no way to resume in another process,
            and what workers have read ahead when a loop is left is gone. Leaving the loop does not close it.

    A state counts the items read; resuming reads them again and drops them. Where the iterator or the iterable has
    PyTorch's ``state_dict()`` and ``load_state_dict()``, resuming loads the state instead, which must be plain JSON and
    is asked for after every item; an iterable that has them is copied (``copy.deepcopy``) for every epoch.

    Raises:
        ArgumentTypeError: an iterator was given, without ``once``; or what is no iterable.

    >>> import penstock as ps
    >>> def numbers():
    ...     yield from (1, 2, 3)
    >>> list(ps.stream(numbers).map(lambda x: x + 1))
    [2, 3, 4]
    >>> list(ps.stream(iter([1, 2]), once=True))
    [1, 2]
    """
    flag(once, "stream()", "once")
    return Stream(Once(source) if once else StreamNode(source))


def queue(source: Any, *, end: Any = None) -> Stream[Any]:
    """Return what comes out of a queue, as it comes: a live stream.

    Args:
        source: a ``queue.Queue``, a ``multiprocessing.Queue``, or anything with ``get(timeout=…)``; read in the caller.
        end: what ends an epoch when it comes, None by default. The next epoch is what comes after it. A queue that was
            shut (Python 3.13) ends, too.

    A queue gives every item once, in an order that is known to nobody beforehand. So there is no resume: a state can be
    loaded only where the queue stands at that item. What workers have read ahead when a loop is left is gone.

    >>> import queue, penstock as ps
    >>> q = queue.Queue()
    >>> for item in (1, 2, None):
    ...     q.put(item)
    >>> list(ps.queue(q).map(lambda x: 10 * x))
    [10, 20]
    """
    return Stream(Queue(source, end))


def synthetic(count: int | None, /, *, fresh: bool = True, **fields: tuple[Any, ...]) -> Sequence[dict[str, Any]]:
    """Return made-up data, for measuring how fast all the rest is: dicts of random arrays, the same in every epoch.

    Args:
        count: how many; None for an endless sequence.
        fresh: False gives one and the same read-only arrays again and again, which costs nothing.
        fields: by name, (shape, dtype) or (shape, dtype, high). Whole numbers are drawn from 0 to below ``high``, or to
            the largest of the type; floats from 0 to 1.

    >>> import penstock as ps
    >>> data = ps.synthetic(1000, image=((224, 224, 3), "uint8"), label=((), "int64", 10))
    >>> batch = data.batch(4)[0]
    >>> batch["image"].shape, batch["image"].dtype, batch["label"].max() < 10
    ((4, 224, 224, 3), dtype('uint8'), np.True_)
    """
    return Sequence(Synthetic(count, fields, fresh))


hinting(globals())
