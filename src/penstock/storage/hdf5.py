"""HDF5, through h5py: aligned datasets, whose rows are dicts; Fuel's files, with their splits and sources, too.

    contiguous                  mapped, and read without HDF5: any row costs what it weighs
    in chunks, compressed       rows are read by their sorted positions, neighbours together, and put in order after

Fuel's layout, which is also written here, keeps arrays of different shapes flattened, and their shapes beside them as a
dimension scale. Where a dataset's bytes lie outside the file, it is refused.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, CorruptRecord, PenstockError, StoreError
from penstock.graph.checking import choice, short
from penstock.graph.context import empty
from penstock.graph.items import Rows
from penstock.graph.storing import Format, Reader, require, sampled
from penstock.storage.hdf5_writing import BYTES, create_hdf5

if TYPE_CHECKING:
    from penstock.graph.node import Indices

MAGIC = b"\x89HDF\r\n\x1a\n"
CHUNKS = 64 << 20  # bytes of unpacked chunks that HDF5 keeps of each dataset
LARGEST = 64 << 20  # a row, or a chunk, may have as many bytes whatever the file's size …
UNPACKED = 1100  # … or as many times that size
GAP = 4  # rows that nobody asked for are read along, up to as many for each that somebody did
SPLIT = ("split", "source", "start", "stop", "available")  # and "indices", which the oldest files lack


def hdf5() -> Any:
    """Import h5py."""
    return require("h5py", "hdf5", "Reading and writing HDF5")


@contextlib.contextmanager
def translated(where: str, kind: type[StoreError] = CorruptRecord) -> Iterator[None]:
    """Turn whatever HDF5 says into an error of ours."""
    try:
        yield
    except PenstockError:
        raise
    except (OSError, ValueError, RuntimeError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise kind(f"{where} cannot be read: {error}") from error


class Column:
    """A dataset: its rows by their positions in the file."""

    def __init__(self, data: Any, name: str, path: str) -> None:
        h5py = hdf5()
        self.name = name
        self.where = f"dataset {name!r} of {path}"
        with translated(self.where, StoreError):
            if data.shape is None or data.ndim == 0:
                raise StoreError(f"{self.where} has no rows.")
            if data.external:
                raise StoreError(f"{self.where} keeps its bytes in other files, which is not followed.")
            self.data = data
            self.count = int(data.shape[0])
            self.dtype = data.dtype
            self.texts = h5py.check_string_dtype(data.dtype) is not None
            self.variable = h5py.check_vlen_dtype(data.dtype) is not None
            self.bytes = self.variable and bool(data.attrs.get(BYTES, False))
            self.shapes = shapes_of(data)
            check_size(data, path, self.where)
            self.mapped = mapped(data, path)
            plain = not (self.texts or self.variable)
            if plain and data.dtype.hasobject:
                raise StoreError(f"{self.where} holds {data.dtype}, which has no place in an item.")
            self.plain = plain

    def read(self, rows: NDArray[np.int64]) -> Any:
        """Return many rows: an array, or a list where they are no plain numbers."""
        if self.plain:
            out = empty((len(rows), *self.data.shape[1:]), self.dtype)
            if self.mapped is not None:
                return self.mapped.take(rows, 0, out, "clip")
            self.fill(out, rows)
            return out
        found = np.empty((len(rows), *self.data.shape[1:]), object)
        self.fill(found, rows)
        shapes = None
        if self.shapes is not None:
            shapes = np.empty((len(rows), *self.shapes.shape[1:]), self.shapes.dtype)
            fill(self.shapes, shapes, rows)
        return [self.value(v, None if shapes is None else shapes[k]) for k, v in enumerate(found)]

    def value(self, value: Any, shape: Any) -> Any:
        """Return an item's value of one of variable length."""
        if self.texts:
            try:
                return value.decode() if isinstance(value, bytes) else each_decoded(value)
            except UnicodeDecodeError as error:
                raise CorruptRecord(f"{self.where}: a text is not in UTF-8: {error}") from error
        if self.bytes:
            return value.tobytes()
        if shape is None:
            return value
        if shape.size and (shape.min() < 0 or int(np.prod(shape, dtype=object)) != value.size):
            raise CorruptRecord(f"{self.where}: {value.size} values have the shape {tuple(shape.tolist())}.")
        return value.reshape(shape)

    def fill(self, out: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Read many rows into memory."""
        with translated(self.where):
            fill(self.data, out, rows)

    def described(self) -> list[Any]:
        """Return dtype and shape of a row, as JSON."""
        shape = "variable" if self.variable and not self.bytes else list(self.data.shape[1:])
        kind = (
            "str" if self.texts else "bytes" if self.bytes else str(hdf5().check_vlen_dtype(self.dtype) or self.dtype)
        )
        return [kind, shape]


def each_decoded(values: Any) -> Any:
    """Return texts of a row of texts."""
    return [v.decode() if isinstance(v, bytes) else each_decoded(v) for v in values]


def fill(data: Any, out: NDArray[Any], rows: NDArray[np.int64]) -> None:
    """Read rows, in any order and also twice, by stretches of neighbours."""
    if len(rows) and (np.diff(rows) == 1).all():
        out[...] = data[int(rows[0]) : int(rows[-1]) + 1]
        return
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    apart = np.diff(ascending) > GAP
    if data.chunks:  # what is in one chunk has to be unpacked together anyway
        apart &= np.diff(ascending // data.chunks[0]) > 0
    cuts = np.flatnonzero(apart) + 1
    for mine in np.split(np.arange(len(rows)), cuts):
        if len(mine):
            first, last = int(ascending[mine[0]]), int(ascending[mine[-1]])
            out[order[mine]] = data[first : last + 1][ascending[mine] - first]


def check_size(data: Any, path: str, where: str) -> None:
    """Refuse rows and chunks that are larger than such a file could hold."""
    most = max(LARGEST, os.path.getsize(path) * UNPACKED)
    row = int(np.prod(data.shape[1:], dtype=object)) * data.dtype.itemsize
    chunk = int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize if data.chunks else 0
    if max(row, chunk) > most:
        raise StoreError(f"{where} is corrupt: it says that a row has {row} bytes, and a chunk {chunk}.")


def mapped(data: Any, path: str) -> NDArray[Any] | None:
    """Return a map of a dataset that lies in the file as NumPy has it in memory."""
    offset = data.id.get_offset()
    size = int(np.prod(data.shape, dtype=object)) * data.dtype.itemsize
    plain = data.dtype.kind in "iuf" and data.id.get_type() == hdf5().h5t.py_create(data.dtype)
    if offset is None or not size or not plain or data.is_virtual:
        return None
    if offset + size > os.path.getsize(path):
        raise StoreError(f"{path} is truncated: dataset {data.name!r} ends at byte {offset + size}.")
    return np.ndarray(data.shape, data.dtype, np.memmap(path, np.uint8, "r", offset, (size,)))


def shapes_of(data: Any) -> Any:
    """Return the dataset that holds the shapes of flattened rows, as Fuel has it."""
    if hdf5().check_vlen_dtype(data.dtype) is None:
        return None
    scales = data.dims[0]
    return scales["shapes"] if "shapes" in scales.keys() else None  # noqa: SIM118  it is no mapping


# ---------------------------------------------------------------------------------------------------------- reader


class Hdf5Reader(Reader):
    """Aligned datasets of a file, or what a split has of them. HDF5 is not made for threads, so one reads at a time."""

    def __init__(self, path: str, file: Any, names: dict[str, NDArray[np.int64] | range], *, bare: bool) -> None:
        self.path = path
        self.file = file
        self.bare = bare
        self.tag = sampled(path)
        self.lock = threading.Lock()
        self.columns = {name: Column(file[name], name, path) for name in names}
        self.rows = names
        lengths = {name: len(rows) for name, rows in names.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name!r} has {count}" for name, count in lengths.items())
            raise StoreError(f"{path}: rows must be aligned, but {said}. Choose those that are: sources=[…].")
        self.count = next(iter(lengths.values()), 0)
        for name, rows in names.items():
            column = self.columns[name]
            if len(rows) and not 0 <= min(rows[0], rows[-1]) <= max(rows[0], rows[-1]) < column.count:
                raise StoreError(f"{column.where} has {column.count} rows, and a split asks for others.")
            if column.shapes is not None and column.shapes.shape[0] != column.count:
                raise StoreError(f"{column.where} has {column.count} rows, and {column.shapes.shape[0]} shapes.")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        values = self.read(np.array([index], np.int64))
        return values[0] if self.bare else {name: value[0] for name, value in values.items()}

    def read(self, indices: NDArray[np.int64]) -> Any:
        """Return the columns of many rows."""
        found: dict[str, Any] = {}
        for name, column in self.columns.items():
            rows = self.rows[name]
            where = rows[indices] if isinstance(rows, np.ndarray) else indices * rows.step + rows.start
            if column.mapped is not None:
                found[name] = column.read(where)
            else:
                with self.lock:
                    found[name] = column.read(where)
        return next(iter(found.values())) if self.bare else found

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many rows, each dataset's at once."""
        if isinstance(indices, range):
            indices = np.arange(indices.start, indices.stop, indices.step)
        if not len(indices):
            return []
        found = self.read(indices)
        if all(column.plain for column in self.columns.values()):
            return Rows(found, len(indices))
        if self.bare:
            return found  # type: ignore[no-any-return]
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]

    def schema(self) -> Any:
        """Return each dataset's dtype and the shape of a row."""
        return {name: column.described() for name, column in self.columns.items()}

    def close(self) -> None:
        """Close the file."""
        with self.lock, contextlib.suppress(Exception):  # of a damaged file HDF5 may not like the end, either
            self.file.close()


def datasets_of(file: Any) -> dict[str, Any]:
    """Return the datasets with rows, by their paths in the file; links to other files are not followed."""
    h5py = hdf5()
    found = {}
    waiting = [("", file)]
    seen = set()
    while waiting:
        prefix, group = waiting.pop(0)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            thing = group[name]
            mark = h5py.h5o.get_info(thing.id).addr  # groups may contain one another
            if mark in seen:
                continue
            seen.add(mark)
            if isinstance(thing, h5py.Group):
                waiting.append((f"{prefix}{name}/", thing))
            elif isinstance(thing, h5py.Dataset) and thing.shape and not thing.is_scale:
                found[f"{prefix}{name}"] = thing
    return found


def splits_of(file: Any) -> NDArray[Any] | None:
    """Return Fuel's table of splits, if there is one."""
    table = file.attrs.get("split")
    if not isinstance(table, np.ndarray) or table.dtype.names is None or not set(SPLIT) <= set(table.dtype.names):
        return None
    return table


def text_of(value: Any) -> str:
    """Return a name as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def rows_of_splits(file: Any, table: NDArray[Any], split: Any, where: str) -> dict[str, NDArray[np.int64] | range]:
    """Return for each source that is in all of the splits which rows they have, ascending."""
    there = list(dict.fromkeys(text_of(row["split"]) for row in table))
    wanted = [split] if isinstance(split, str) else list(split)
    for name in wanted:
        choice(name, there, where, "split")
    found: dict[str, list[NDArray[np.int64]]] = {}
    for row in table:
        if text_of(row["split"]) in wanted and row["available"]:
            if "indices" in (table.dtype.names or ()) and row["indices"]:
                rows = np.sort(np.asarray(file[row["indices"]][...], np.int64))
            else:
                start, stop = int(row["start"]), int(row["stop"])
                source = text_of(row["source"])
                if not 0 <= start <= stop <= file[source].shape[0]:
                    raise StoreError(f"{where}: the split {text_of(row['split'])!r} has rows {start} to {stop}.")
                rows = np.arange(start, stop)
            found.setdefault(text_of(row["source"]), []).append(rows)
    return {name: np.unique(np.concatenate(parts)) for name, parts in found.items() if len(parts) == len(wanted)}


def open_hdf5(path: str, *, sources: str | list[str] | None = None, split: str | list[str] | None = None) -> Reader:
    """Open an HDF5 file.

    Args:
        path: the file.
        sources: the datasets that items have, by their paths in the file; all by default, and these must have the same
            number of rows. A single name, not in a list, gives its rows as they are, not in dicts.
        split: of a file with Fuel's attribute ``split``: one of its splits, or several, whose rows are united in
            ascending order. By default the rows of all splits.

    Raises:
        StoreError: it is no such file, truncated, its datasets are not aligned, or have their bytes elsewhere.
    """
    where = f"open({path!r})"
    h5py = hdf5()
    with translated(path, StoreError):
        file = opened(h5py, path)
    try:
        with translated(path, StoreError):
            return reader_of(path, file, sources, split, where)
    except BaseException:
        with contextlib.suppress(Exception):
            file.close()
        raise


def opened(h5py: Any, path: str) -> Any:
    """Open a file for reading as h5py does by itself: a process can open it again only with the same way of locking.

    Where it cannot be locked (another process writes to it, its file system has no locks), it is read without.
    """
    try:
        return h5py.File(path, "r", rdcc_nbytes=CHUNKS)
    except OSError:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=CHUNKS)


def reader_of(path: str, file: Any, sources: Any, split: Any, where: str) -> Hdf5Reader:
    """Return the reader of a file that is open."""
    known = datasets_of(file)
    if not known and len(file):
        raise StoreError(f"{path} has no dataset with rows: {', '.join(map(repr, list(file)[:5]))}.")
    names: dict[str, NDArray[np.int64] | range] = {name: range(data.shape[0]) for name, data in known.items()}
    table = splits_of(file)
    if table is not None:
        named = {text_of(row["source"]) for row in table}
        names = {name: rows for name, rows in names.items() if name in named}
    if split is not None:
        if table is None:
            raise StoreError(f"{where}: this file has no attribute 'split', as Fuel writes it. Leave split out.")
        if not isinstance(split, (str, list, tuple)):
            raise ArgumentTypeError(f"{where}: split must be a name or a list of names, not {short(split)}.")
        names = rows_of_splits(file, table, split, where)
    bare = isinstance(sources, str)
    if sources is not None:
        wanted = [sources] if isinstance(sources, str) else sources
        if not isinstance(wanted, (list, tuple)) or not wanted:
            raise ArgumentTypeError(f"{where}: sources must be names of datasets, not {short(sources)}.")
        for name in wanted:
            choice(name, names, where, "a source")
        names = {name: names[name] for name in wanted}
    return Hdf5Reader(path, file, names, bare=bare)


def recognise(path: str) -> bool:
    """Tell whether something begins as an HDF5 file does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


FORMAT = Format("hdf5", (".h5", ".hdf5", ".hdf", ".he5"), open_hdf5, create_hdf5, recognise)
