"""Grouped: stores whose rows can only be read a group at a time, as Parquet's row groups and compressed chunks.

    positions   0 ─────────── 999 │ 1000 ────────── 1999 │ …
                    group 0                group 1            a group is decoded once and kept while there is room

Whoever reads at random pays for a whole group at each row; ``shuffle(block=…)`` with the length of a group mixes rows
of a few groups at a time instead.
"""

from __future__ import annotations

import os
import re
import threading
import zlib
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError
from penstock.graph.checking import whole
from penstock.graph.context import empty
from penstock.graph.items import Rows, merge
from penstock.graph.storing import Reader, sampled
from penstock.storage.patterns import files

if TYPE_CHECKING:
    from penstock.graph.node import Indices

SPECIAL = re.compile(r"[\\{*?\[]")
CACHE = 512 << 20  # bytes of decoded groups that each process keeps
GLANCE = 1000  # files of a folder that are looked at to tell what it is
MANY = 64  # files of a folder that are sampled for its tag; of the others, name and size count


def room_of(cache: Any, place: str) -> int:
    """Return how many bytes of groups are kept."""
    return whole(cache, place, "cache", remedy="It is a number of bytes: cache=1 << 30.")


class Values(Protocol):
    """A column of a group that is no plain array."""

    def __getitem__(self, row: int, /) -> Any:
        """Return one value, which is the caller's own."""
        ...

    def take(self, rows: NDArray[np.int64], /) -> list[Any]:
        """Return many values."""
        ...


class Group:
    """Aligned columns: plain arrays, and others. The names are None where there is one column, which is the item."""

    def __init__(
        self, columns: dict[str | None, NDArray[Any] | Values], count: int, nbytes: int, raw: Any = None
    ) -> None:
        self.columns = columns
        self.count = count
        self.nbytes = nbytes
        self.raw = raw
        self.plain = all(isinstance(column, np.ndarray) for column in columns.values())

    def item(self, row: int) -> Any:
        """Return a row's item."""
        if None in self.columns:
            return own(self.columns[None][row])
        return {name: own(column[row]) for name, column in self.columns.items()}

    def take(self, rows: NDArray[np.int64], *, last: bool) -> Sequence[Any]:
        """Return many items; in memory that travels without a copy if nothing is done to them here any more."""
        taken = self.taken(rows, last=last)
        if self.plain:
            return Rows(taken, len(rows))
        if None in self.columns:
            return taken  # type: ignore[no-any-return]
        names = list(taken)
        return [dict(zip(names, row, strict=True)) for row in zip(*taken.values(), strict=True)]

    def taken(self, rows: NDArray[np.int64], *, last: bool) -> Any:
        """Return the columns of many rows: arrays and lists."""
        found: dict[str | None, Any] = {}
        for name, column in self.columns.items():
            if isinstance(column, np.ndarray):
                memory = empty if last and self.plain else np.empty
                found[name] = column.take(rows, 0, memory((len(rows), *column.shape[1:]), column.dtype), "clip")
            else:
                found[name] = column.take(rows)
        return found.get(None, found)


def own(value: Any) -> Any:
    """Return a copy of what may be a view."""
    return np.array(value) if isinstance(value, np.ndarray) else value


class Cache:
    """Decoded groups, up to a number of bytes, and one at least. Of threads that want the same one, one loads it."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.used = 0
        self.kept: OrderedDict[int, Group] = OrderedDict()
        self.lock = threading.Lock()
        self.loading: dict[int, threading.Lock] = {}

    def get(self, number: int, load: Callable[[int], Group]) -> Group:
        """Return a group, loaded if need be."""
        with self.lock:
            if (group := self.found(number)) is not None:
                return group
            turn = self.loading.setdefault(number, threading.Lock())
        with turn:
            with self.lock:
                if (group := self.found(number)) is not None:
                    return group
            try:
                group = load(number)
                with self.lock:
                    self.keep(number, group)
            finally:
                with self.lock:
                    self.loading.pop(number, None)
        return group

    def found(self, number: int) -> Group | None:
        """Return a group that is kept."""
        group = self.kept.get(number)
        if group is not None:
            self.kept.move_to_end(number)
        return group

    def keep(self, number: int, group: Group) -> None:
        """Keep a group, and let go of those that were not asked for the longest."""
        if number in self.kept:
            return
        self.kept[number] = group
        self.used += group.nbytes
        while self.used > self.room and len(self.kept) > 1:
            self.used -= self.kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Let go of everything."""
        with self.lock:
            self.kept.clear()
            self.used = 0


class Grouped(Reader):
    """Rows of groups, all of them or those that were selected."""

    path: str
    selected: NDArray[np.int64] | None = None
    """The positions of the rows that there are to be, ascending; None for all."""

    def __init__(self, counts: Iterable[int], room: int = CACHE) -> None:
        lengths = np.fromiter(counts, np.int64)
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self.cache = Cache(room)

    @abstractmethod
    def load(self, number: int) -> Group:
        """Read and decode a group."""

    def named(self, number: int) -> str | None:
        """Return what a group is called in error notes, if more can be said than the record's number."""
        return None

    def group(self, number: int) -> Group:
        """Return a group, from memory where it is kept."""
        return self.cache.get(number, self.load)

    def __len__(self) -> int:
        return int(self.starts[-1]) if self.selected is None else len(self.selected)

    def __getitem__(self, index: int) -> Any:
        position = index if self.selected is None else self.selected[index]
        number = int(self.starts.searchsorted(position, "right")) - 1
        return self.group(number).item(int(position - self.starts[number]))

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many rows, each group's at once, one group after the other."""
        if isinstance(indices, range):
            indices = np.arange(indices.start, indices.stop, indices.step)
        if not len(indices):
            return []
        where: NDArray[np.int64] = indices if self.selected is None else self.selected[indices]
        numbers = self.starts.searchsorted(where, "right") - 1
        if numbers[0] == numbers[-1] and (numbers == numbers[0]).all():
            number = int(numbers[0])
            return self.group(number).take(where - self.starts[number], last=True)
        parts = []
        found, first = np.unique(numbers, return_index=True)
        for number in found[first.argsort()].tolist():  # in the order of their use: the last one will be needed next
            mine = np.flatnonzero(numbers == number)
            parts.append((mine, self.group(number).take(where[mine] - self.starts[number], last=False)))
        return merge(parts, len(where))

    def key(self, index: int) -> str | None:
        """Return the group that a row is in."""
        position = index if self.selected is None else self.selected[index]
        number = int(self.starts.searchsorted(position, "right")) - 1
        name = self.named(number)
        return None if name is None else f"row {int(position - self.starts[number])} of {name}"

    def stretches(self) -> NDArray[np.int64]:
        """Return where groups begin, of the rows that there are to be, and the count."""
        return np.unique(self.starts if self.selected is None else self.selected.searchsorted(self.starts))

    def close(self) -> None:
        """Let go of what is kept."""
        self.cache.clear()


class Wholes(Reader):
    """Whole groups as items: those of another reader that have rows."""

    def __init__(self, rows: Grouped, whole: Callable[[Group, NDArray[np.int64] | None], Any]) -> None:
        self.rows = rows
        self.whole = whole
        self.tag = rows.tag
        starts, selected = rows.starts, rows.selected
        self.bounds = starts if selected is None else selected.searchsorted(starts)
        self.numbers = np.flatnonzero(np.diff(self.bounds)).tolist()

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Any:
        number = self.numbers[index]
        group = self.rows.group(number)
        selected = self.rows.selected
        if selected is None:
            return self.whole(group, None)
        mine = selected[self.bounds[number] : self.bounds[number + 1]] - self.rows.starts[number]
        return self.whole(group, mine)

    def key(self, index: int) -> str | None:
        """Return what the group is called."""
        return self.rows.named(self.numbers[index])

    def schema(self) -> Any:
        """Return what is known of the rows."""
        return self.rows.schema()

    def close(self) -> None:
        """Let go of what is kept."""
        self.rows.close()


# ---------------------------------------------------------------------------------------------------------- files


class Known:
    """A file as it was when it was opened. It is opened again for each reading, so that no descriptor stays open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.mark = mark_of(path)

    def check(self) -> None:
        """Refuse a file that is another one by now."""
        if mark_of(self.path) != self.mark:
            raise StoreError(f"{self.path} has been replaced or changed since it was opened. Open it again.")


def mark_of(path: str) -> tuple[int, int, int, int]:
    """Return what changes with a file's content, mostly."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def files_of(path: str, suffixes: tuple[str, ...]) -> tuple[list[str], str]:
    """Return the files that a path stands for, and what their names are said relative to.

    A folder stands for all files in it with one of the suffixes, however deep, by name, without those whose names, or
    whose folders' names, begin with a dot or an underscore.
    """
    if os.path.isfile(path):
        return [path], os.path.dirname(path)
    found: list[str] = []
    for given in files(path):
        if os.path.isdir(given):
            found.extend(files_below(given, suffixes))
        else:
            found.append(given)
    if not found:
        raise StoreError(f"{path}: there is no file whose name ends in {' or '.join(suffixes)}.")
    wild = SPECIAL.search(path) if not os.path.lexists(path) else None
    return found, path if wild is None else os.path.dirname(path[: wild.start()])


def files_below(folder: str, suffixes: tuple[str, ...], most: int | None = None) -> list[str]:
    """Return the files in a folder, by name; with ``most``, of the first so many that there are."""
    found: list[str] = []
    seen = 0
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] not in "._")
        found.extend(os.path.join(inside, f) for f in names if f[0] not in "._" and f.lower().endswith(suffixes))
        seen += len(names) + 1
        if most is not None and seen >= most:
            break
    return sorted(found)


def begins(path: str, magic: bytes, suffixes: tuple[str, ...]) -> bool:
    """Tell whether something begins as a format's files do, or is a folder in which such are."""
    try:
        if os.path.isdir(path):
            return bool(files_below(path, suffixes, GLANCE))
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def tag_of(paths: list[str], root: str) -> str:
    """Return what stands for the content of a file, or of several and their names."""
    if len(paths) == 1:
        return sampled(paths[0])
    step = -(-len(paths) // MANY)
    check = 0
    for number, path in enumerate(paths):
        said = sampled(path) if number % step == 0 else str(os.path.getsize(path))
        check = zlib.crc32(f"{os.path.relpath(path, root)}\0{said}\0".encode(errors="surrogateescape"), check)
    return f"{check:08x}"
