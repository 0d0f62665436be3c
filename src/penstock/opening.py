"""Datasets on disk: opening a store, and saving any dataset as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.graph.checking import flag, function, short, whence
from penstock.graph.storing import Format, Handle, Reader
from penstock.graph.writing import Extending, Writing
from penstock.operations.store import Store, Tape
from penstock.sequence import Sequence
from penstock.storage import format_of
from penstock.storage.patterns import joined
from penstock.storage.remote import Remote, is_url, open_remote
from penstock.stream import Stream
from penstock.surface.hinting import hinted
from penstock.surface.progress import Progress, checked_progress, watched

if TYPE_CHECKING:
    from penstock.graph.execution import Executor
    from penstock.surface.dataset import Dataset

LONG = 200  # characters of a path that are too many to show

Path = str | os.PathLike[str]


@hinted
def open(
    path: Path | Iterable[Path],
    format: str | Format | None = None,
    *,
    remote: Remote | None = None,
    **options: Any,
) -> Any:
    """Return the records of a store on disk: a Sequence, or a Stream where the format is read from the front only.

    Args:
        path: a file or folder. Workers open it for themselves, by this path. Where the format knows several files as
            one store, also a pattern (``"shard-{000..012}.tar"``, ``"shard-*.tar"``) or a list of paths.
        format: ``"lmdb"``, ``"npy"``, …; left out, the path's suffix says it, or its content.
        remote: of URLs: where they are kept on the local disk, and how they are fetched there, as a whole.
        options: the format's own; its ``open`` function describes them, and a wrong name is refused.

    Raises:
        StoreError: it is not there, truncated, or no such store.
        ArgumentError: nothing tells the format.

    A saved state remembers count and content, not the path: it fits a copy of the store, and no other content.

    >>> import penstock as ps, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     squares = ps.range(5).map(lambda x: x * x).save(f"{folder}/squares.lmdb")
    ...     list(ps.open(f"{folder}/squares.lmdb"))
    [0, 1, 4, 9, 16]
    """
    if isinstance(path, (list, tuple)):
        paths = [path_of(one, "open()") for one in path]
        given, first, place = joined(paths), paths[0] if paths else "", joined([os.path.abspath(one) for one in paths])
    else:
        given = first = path_of(path, "open()")
        place = os.path.abspath(given)
    elsewhere = is_url(first)
    shown = repr(given) if len(given) < LONG else f"[{first!r}, …]"
    where = f"open({shown})"
    format_ = format_of(first.partition("?")[0] if elsewhere else first, format, where)
    format_.check_options(format_.open, options, where)
    if not format_.patterns and isinstance(path, (list, tuple)):
        raise ArgumentError(
            f"{where}: the format {format_.name} reads one file. Join several: concat(open(a), open(b))."
        )
    if not format_.patterns and not elsewhere and not os.path.lexists(given):
        raise StoreError(f"{where}: there is no such file{whence(given)}.")
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    named = "" if format is None else f", {format_.name!r}"
    if elsewhere:
        how = {"format": format_, "remote": remote or Remote(), "options": options}
        return dataset_of(Handle(open_remote, given, how), f"open({shown}{named}{said})")
    return opened(format_, place, options, f"open({shown}{named}{said})")


def opened(format: Format, path: str, options: dict[str, Any], text: str) -> Any:
    """Return the dataset of a store."""
    return dataset_of(Handle(format.open, path, options), text)


def dataset_of(handle: Handle, text: str) -> Any:
    """Return the dataset of a store that is opened by a handle."""
    reader = handle.reader()
    if isinstance(reader, Reader):
        return Sequence(Store(handle, len(reader), text))
    return Stream(Tape(handle, text))


def writing(
    path: Path, format: str | Format | None = None, *, replace: bool = False, append: bool = False, **options: Any
) -> Writing | Extending:
    """Return a context manager whose ``append(item, key=None)`` writes a store record by record.

    The store appears under its name when the context ends, whole and on disk; not at all if it ends in an error. With
    ``append``, records are added to a store that is there, in formats that can, a transaction at a time.

    >>> import penstock as ps, tempfile
    >>> from penstock.opening import writing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with writing(f"{folder}/a.lmdb") as store:
    ...         store.append({"x": 1})
    ...     list(ps.open(f"{folder}/a.lmdb"))
    [{'x': 1}]
    """
    given = path_of(path, "save()")
    where = f"save({given!r})"
    format_ = format_of(given, format, where)
    if format_.create is None:
        raise ArgumentError(f"{where}: the format {format_.name} is only read, not written. Save it in another one.")
    flag(replace, where, "replace")
    flag(append, where, "append")
    if append:
        if format_.extend is None or replace:
            why = "replace=True means the opposite" if replace else f"the format {format_.name} cannot be added to"
            raise ArgumentError(f"{where}: append=True is not possible: {why}.")
        format_.check_options(format_.extend, options, where)
        return Extending(format_.extend, os.path.abspath(given), options)
    format_.check_options(format_.create, options, where)
    return Writing(format_.create, os.path.abspath(given), options, replace=replace)


@dataclass(frozen=True)
class Saving:
    """How a dataset is saved: what ``Dataset.save`` was told."""

    workers: Executor | None
    progress: Progress
    key: Callable[[Any], str] | None
    replace: bool
    append: bool


def save(dataset: Dataset[Any], path: Path, format: str | Format | None, how: Saving, options: dict[str, Any]) -> Any:
    """Write a dataset's items; return the opened store."""
    where = f"save({path_of(path, 'save()')!r})"
    total = dataset.node.length()
    if total is None and dataset.node.positional:
        raise ArgumentError(f"{where}: {dataset!r} has no end. Take a part of it first: dataset[:1000].")
    checked_progress(how.progress, where)
    if how.key is not None:
        function(how.key, where, "key", 'key=lambda item: item["name"]')
    with writing(path, format, replace=how.replace, append=how.append, **options) as store:
        if how.workers is None:
            fill(store, watched(dataset, total, "save", progress=how.progress), how.key)
        else:
            with dataset.loader(workers=how.workers) as loader:
                fill(store, watched(loader, total, "save", progress=how.progress), how.key)
    return open(path, format)


def fill(store: Writing | Extending, items: Iterable[Any], key: Callable[[Any], str] | None) -> None:
    """Append all items, with their names where a function gives them such."""
    for item in items:
        store.append(item, None if key is None else key(item))


def path_of(path: object, where: str) -> str:
    """Return a path as text, or refuse what is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(f"{where}: a path must be text or a path, not {short(path)}.")
    text = os.path.expanduser(os.fsdecode(path))
    if not text:
        raise ArgumentError(f"{where}: the path is empty.")
    return text
