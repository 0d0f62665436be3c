"""Sources with positions: whole numbers, any indexable object, aligned arrays, paths."""

from __future__ import annotations

import glob
import os
import pickle
import zlib
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short, whence, whole
from penstock.graph.context import empty
from penstock.graph.copies import rows_at
from penstock.graph.items import Columns, Rows, each
from penstock.graph.node import Node, operation

if TYPE_CHECKING:
    from penstock.graph.node import Indices
    from penstock.graph.reading import Reading

LONG = 4096  # entries of a list that is packed on its way to worker processes
TOGETHER = 16  # entries that are packed as one: few to unpickle for one of them, many to pickle at once


@operation
class Range(Node):
    """``count`` whole numbers: ``begin``, ``begin + step``, and so on."""

    pure = True
    timeless = True

    count: int
    begin: int = 0
    step: int = 1

    moved: ClassVar[bool]
    """Whether an index is not its own number; worked out once, because trivial items feel every comparison."""

    def check(self) -> None:
        """Refuse what is not a count."""
        self.normalise(moved=(self.begin, self.step) != (0, 1))
        self.normalise(count=whole(self.count, "range()", "n"))

    def length(self) -> int:
        """Return the count."""
        return self.count

    def item(self, index: int, read: Reading) -> int:
        """Return the number at an index."""
        return self.begin + index * self.step if self.moved else index

    def gather(self, indices: Indices, read: Reading) -> Sequence[int]:
        """Return the numbers at many indices."""
        if not self.moved:
            return indices if isinstance(indices, range) else indices.tolist()
        begin, step = self.begin, self.step
        if isinstance(indices, range):
            return range(begin + indices.start * step, begin + indices.stop * step, indices.step * step)
        return [begin + index * step for index in indices.tolist()]

    def label(self) -> str:
        """Return ``range(n)``, or Python's range with the same numbers."""
        if not self.moved:
            return f"range({self.count})"
        return repr(range(self.begin, self.begin + self.count * self.step, self.step))


@operation
class Items(Node):
    """The entries of any object with ``len`` and ``[i]``: lists, sequences, map-style datasets."""

    entries: Any

    def check(self) -> None:
        """Refuse what has no positions."""
        x = self.entries
        if isinstance(x, Mapping):
            raise ArgumentTypeError(
                f"items(): a {type(x).__name__} has keys, not positions: {short(x)}. "
                "Use items(list(x.items())), or arrays(**x) for columns of equal length."
            )
        if isinstance(x, (str, bytes)):
            raise ArgumentTypeError(
                f"items(): {short(x)} is one text, not many items. Use items([…]), or files(pattern)."
            )
        try:
            len(x)
            found = hasattr(type(x), "__getitem__")
        except TypeError:
            found = False
        if not found:
            raise ArgumentTypeError(
                f"items(): {short(x)} lacks len() or [i]. For what can only be read from the front, use stream()."
            )

    def length(self) -> int:
        """Return ``len`` of the object."""
        return len(self.entries)

    def item(self, index: int, read: Reading) -> Any:
        """Return one entry."""
        return self.entries[index]

    def gather(self, indices: Indices, read: Reading) -> Sequence[Any]:
        """Return many entries, through ``__getitems__`` where the object offers it, as PyTorch's datasets may."""
        where = indices if isinstance(indices, range) else indices.tolist()
        entries = self.entries
        bulk = getattr(entries, "__getitems__", None)
        if bulk is not None:
            found = list(bulk(list(where)))
            if len(found) != len(where):
                raise ArgumentError(f"{type(entries).__name__}.__getitems__ gave {len(found)} items for {len(where)}.")
            return found
        if type(entries) is list and isinstance(where, range) and where.step == 1:
            return entries[where.start : where.stop]
        done: list[Any] = []
        read.meter.at = (self, indices, done)
        item = read.item
        for index in where:
            done.append(item(self, index))  # noqa: PERF401  whoever watches sees it grow
        return done

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Replace an entry, where the object allows it."""
        if not hasattr(type(self.entries), "__setitem__"):
            raise ArgumentTypeError(
                f"items(): a {type(self.entries).__name__} cannot be written to: it has no [i] = value. Use a list."
            )
        self.entries[index] = value

    def shipped(self) -> Node:
        """Pack a long list: Python objects would be copied into every worker, an array of bytes is shared."""
        if type(self.entries) in (list, tuple) and len(self.entries) >= LONG:
            return replace(self, entries=packed(self.entries))
        return self

    def label(self) -> str:
        """Return the kind of object and its length."""
        kind = getattr(self.entries, "kind", None) if isinstance(self.entries, Packed) else None
        return f"items({kind or type(self.entries).__name__} of {len(self.entries)})"


class Packed:
    """A long list as one array of bytes: each entry is unpickled when it is asked for, a few neighbours with it."""

    def __init__(self, kind: str, count: int, ends: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
        self.kind = kind
        self.count = count
        self.ends = ends
        self.data = data
        self.last: tuple[int, list[Any]] = (-1, [])

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        number, place = divmod(index, TOGETHER)
        at, entries = self.last  # one value, so that threads see a pair that belongs together
        if at != number:
            start = int(self.ends[number - 1]) if number else 0
            entries = pickle.loads(self.data[start : self.ends[number]].data)  # noqa: S301  our own bytes, in memory
            self.last = (number, entries)
        return entries[place]


def packed(entries: Any) -> Packed:
    """Pack a list or tuple."""
    chunks = []
    for start in range(0, len(entries), TOGETHER):
        part = list(entries[start : start + TOGETHER])
        try:
            chunk = pickle.dumps(part, 5)
        except Exception:  # noqa: BLE001  a lambda, a local class
            chunk = b"__main__"
        if b"__main__" in chunk:  # found by name here, but not in a worker: by value then
            chunk = cloudpickle.dumps(part, 5)
        chunks.append(chunk)
    ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)
    return Packed(type(entries).__name__, len(entries), ends, np.frombuffer(b"".join(chunks), np.uint8))


@operation
class Arrays(Node):
    """Aligned rows of arrays, gathered by whole index vectors."""

    pure = True
    timeless = True

    columns: Columns

    def check(self) -> None:
        """Make arrays of lists; refuse columns of different lengths."""
        if isinstance(self.columns, (tuple, dict)) and not self.columns:
            raise ArgumentError("arrays(): nothing was given. For example: arrays(x, y) or arrays(image=x, label=y)")
        self.normalise(columns=each(self.columns, as_column))
        lengths = {name: len(column) for name, column in self.named()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise ArgumentError(f"arrays(): rows must be aligned, but {said}. Cut them to one length first.")

    def named(self) -> list[tuple[str, NDArray[Any]]]:
        """Return the columns with what a person would call them."""
        c = self.columns
        if isinstance(c, dict):
            return list(c.items())
        return [(f"array {k}", a) for k, a in enumerate(c if isinstance(c, tuple) else (c,))]

    def length(self) -> int:
        """Return the number of rows."""
        return len(self.named()[0][1])

    def item(self, index: int, read: Reading) -> Any:
        """Return one row, copied: a function that changes its item in place must not change the source."""
        return each(self.columns, lambda c: np.array(c[index]) if c.ndim > 1 else copy(c[index]))

    def gather(self, indices: Indices, read: Reading) -> Rows:
        """Return many rows at once."""
        count = len(indices)
        if isinstance(indices, range):
            stop = indices.stop if indices.stop >= 0 else None
            rows = slice(indices.start, stop, indices.step) if count else slice(0)
            return Rows(each(self.columns, lambda c: sliced(c, rows, count)), count)
        return Rows(each(self.columns, lambda c: rows_at(c, indices)), count)

    def assign(self, index: int, value: Any, read: Reading) -> None:
        """Write a row into the arrays themselves, by NumPy's rules of assignment; all columns or none."""
        parts = self.parts(value)
        for (name, column), part in zip(self.named(), parts, strict=True):
            if not column.flags.writeable:
                raise ArgumentError(f"arrays(): {name} is read-only. Open or copy it writable first.")
            np.empty(column.shape[1:], column.dtype)[...] = part  # what does not fit fails before anything is written
        for (_, column), part in zip(self.named(), parts, strict=True):
            column[index] = part

    def parts(self, value: Any) -> list[Any]:
        """Take a row apart into the columns' entries."""
        c = self.columns
        if isinstance(c, dict):
            if not isinstance(value, Mapping) or value.keys() != c.keys():
                raise ArgumentError(f"arrays(): a row is a dict with {', '.join(c)}, not {short(value)}.")
            return [value[name] for name in c]
        if not isinstance(c, tuple):
            return [value]
        if not isinstance(value, (tuple, list)) or len(value) != len(c):
            raise ArgumentError(f"arrays(): a row is a tuple of {len(c)}, not {short(value)}.")
        return list(value)

    def label(self) -> str:
        """Return the shape and type of every column."""
        names = isinstance(self.columns, dict)
        parts = [
            f"{f'{name}: ' if names else ''}{'×'.join(map(str, a.shape))} {a.dtype.str.lstrip('<|=')}"
            for name, a in self.named()
        ]
        return f"arrays({', '.join(parts)})"


def as_column(value: Any) -> NDArray[Any]:
    """Return an array with at least one axis; memory maps stay what they are."""
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentTypeError(
            "arrays(): a masked array would lose its mask. Give both: arrays(x=x.data, mask=numpy.ma.getmaskarray(x))."
        )
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError:
        message = f"arrays(): {short(value)} has rows of different lengths. Use items() for such rows."
        raise ArgumentError(message) from None
    if array.ndim == 0:
        raise ArgumentTypeError(f"arrays(): {short(value)} is not an array with rows.")
    return array


def sliced(column: NDArray[Any], rows: slice, count: int) -> NDArray[Any]:
    """Copy neighbouring rows into new memory."""
    out = empty((count, *column.shape[1:]), column.dtype)
    np.copyto(out, column[rows])
    return out


@operation
class Files(Node):
    """The paths that match patterns, sorted; kept as one block of text, not as Python strings.

    A list of Python strings would be copied into every worker, page by page, as reference counts are touched
    (pytorch#13246); a block of text and an array of its ends are shared.
    """

    pure = True
    timeless = True

    patterns: tuple[str, ...]
    text: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def length(self) -> int:
        """Return the number of paths."""
        return len(self.ends)

    def item(self, index: int, read: Reading) -> str:
        """Return one path."""
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.text[start : self.ends[index]].tobytes())

    def gather(self, indices: Indices, read: Reading) -> Sequence[str]:
        """Return many paths."""
        where = np.asarray(indices, np.int64)
        ends = self.ends[where].tolist()
        starts = np.where(where > 0, self.ends[where - 1], 0).tolist()
        text = self.text.data
        return [os.fsdecode(bytes(text[a:b])) for a, b in zip(starts, ends, strict=True)]

    def origin(self, index: int, read: Reading) -> object:
        """Return the path itself."""
        return self.item(index, read)

    def label(self) -> str:
        """Return the patterns."""
        return f"files({', '.join(map(repr, self.patterns))})"

    def fingerprint(self) -> str:
        """Return the patterns, the number of paths and their check sum: a state belongs to these very files."""
        return f"{self.label()} of {len(self.ends)}, crc {zlib.crc32(self.text.data):08x}"


def find_files(patterns: tuple[Any, ...]) -> Files:
    """Return the source of all paths that match, each once, in the order of their bytes: the same on every machine.

    Raises:
        ArgumentTypeError: a pattern is no path.
        ArgumentError: no pattern was given, or one matches nothing.
    """
    if not patterns:
        raise ArgumentError('files(): no pattern was given. For example: files("photos/**/*.jpg")')
    names: list[str] = []
    found: set[bytes] = set()
    for pattern in patterns:
        if isinstance(pattern, (list, tuple, set)):
            raise ArgumentTypeError(
                f"files(): patterns are given one by one, not as a {type(pattern).__name__}: files(*patterns). "
                "A list of paths, which are to be read as they stand, is items(paths)."
            )
        if not isinstance(pattern, (str, os.PathLike)):
            raise ArgumentTypeError(f"files(): a pattern must be text or a path, not {short(pattern)}.")
        name = os.path.expanduser(os.fspath(pattern))
        names.append(name)
        hits = [os.fsencode(p) for p in glob.iglob(name, recursive=True) if not os.path.isdir(p)]
        if not hits:
            hint = f" It is a folder: did you mean {os.path.join(name, '**', '*')!r}?" if os.path.isdir(name) else ""
            raise ArgumentError(f"files(): nothing matches {name!r}{whence(name)}.{hint}")
        found.update(hits)
    return listed(tuple(names), sorted(found))


def listed(patterns: tuple[str, ...], paths: list[bytes]) -> Files:
    """Return the source of some paths."""
    text = np.frombuffer(b"".join(paths), np.uint8)
    ends = np.cumsum([len(p) for p in paths], dtype=np.int64)
    return Files(patterns, text, ends)
