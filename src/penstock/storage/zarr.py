"""Zarr, versions 3 and 2, through zarr-python: an array, whose rows are the items, or a group of aligned arrays.

A stretch of rows that the longest chunk (or shard) covers is read and unpacked as a whole, and kept while there is
room. Chunks are only unpacked by codecs that are known to make numbers of bytes and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, CorruptRecord, PenstockError, StoreError
from penstock.graph.checking import choice, short, whole
from penstock.graph.storing import Format, Reader, Recorder, require, sampled
from penstock.storage.grouped import CACHE, Group, Grouped, Values, room_of, tag_of

LARGEST = 2 << 30  # bytes of a chunk, and of the rows that chunks lie in; more is refused
MOST = 1 << 26  # stretches of rows that are read together: each costs some bytes; more is refused
CHUNK = 1 << 20  # bytes of a chunk that is written, about
OURS = "penstock"  # an attribute of the groups that were written here
CODECS = re.compile(
    r"bytes|endian|transpose|sharding_indexed|vlen-utf8|vlen-bytes|vlen-array|crc32c?|adler32|fletcher32|jenkins_lookup3"
    r"|gzip|zlib|zstd|lz4|bz2|lzma|blosc|zfpy|pcodec|shuffle|bitround|quantize|fixedscaleoffset|delta|astype|packbits"
    r"|categorize|base64"
)


def zarr() -> Any:
    """Import zarr."""
    return require("zarr", "zarr", "Reading and writing Zarr")


@contextlib.contextmanager
def translated(where: str, kind: type[StoreError] = CorruptRecord) -> Iterator[None]:
    """Turn whatever the library and its codecs say of bytes into an error of ours."""
    try:
        yield
    except PenstockError:
        raise
    except Exception as error:
        raise kind(f"{where} cannot be read: {short(error, 200)}") from error


def check_codecs(metadata: Any, where: str) -> None:
    """Refuse codecs that are not known: unpickling, above all, which runs whatever the bytes say."""
    waiting = [metadata.get(key) for key in ("codecs", "filters", "compressor", "object_codec")]
    while waiting:
        part = waiting.pop()
        if isinstance(part, (list, tuple)):
            waiting.extend(part)
        elif isinstance(part, dict):
            name = part.get("id", part.get("name"))
            if name is not None and not CODECS.fullmatch(str(name).removeprefix("numcodecs.")):
                raise StoreError(
                    f"{where} is packed by {name!r}, which is not among the codecs that are unpacked here."
                )
            waiting.extend(value for value in part.values() if isinstance(value, (dict, list, tuple)))


def rows_together(array: Any) -> int:
    """Return how many rows the chunks, or shards, of an array have."""
    return int((getattr(array, "shards", None) or array.chunks)[0])


def check_array(array: Any, where: str) -> None:
    """Refuse arrays that have no rows, codecs that are not known, types that are no plain data, huge chunks."""
    check_codecs(array.metadata.to_dict(), where)
    if not array.ndim:
        raise StoreError(f"{where} is a single value, which has no rows.")
    if array.dtype.kind not in "biufcmMSUVTO":
        raise StoreError(f"{where} has the type {array.dtype}, which has no place in an item.")
    shape = getattr(array, "shards", None) or array.chunks
    size = math.prod(map(int, shape)) * max(1, array.dtype.itemsize)
    if size > LARGEST:
        raise StoreError(f"{where} has chunks of {size} bytes; up to {LARGEST} are read.")
    rows = min(rows_together(array), int(array.shape[0]))
    size = rows * math.prod(map(int, array.shape[1:])) * max(1, array.dtype.itemsize)
    if size > LARGEST:
        raise StoreError(
            f"{where} has {rows} rows in a chunk, {size} bytes with all that belongs to them; up to {LARGEST} are read "
            "together. Fewer rows in a chunk would do."
        )


class Objects(Values):
    """A column of texts or byte strings."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def __getitem__(self, row: int) -> Any:
        return self.values[row]

    def take(self, rows: NDArray[np.int64]) -> list[Any]:
        """Return many values."""
        return [self.values[row] for row in rows.tolist()]


class ZarrReader(Grouped):
    """The rows of aligned arrays. A single array has no name, and its rows are the items."""

    def __init__(
        self, path: str, arrays: dict[str | None, Any], tag: str, close: Callable[[], None], room: int
    ) -> None:
        self.path = path
        self.arrays = arrays
        self.tag = tag
        self.shut = close
        lengths = {name: int(array.shape[0]) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name!r} has {count}" for name, count in lengths.items())
            raise StoreError(f"{path}: rows must be aligned, but {said}. Choose those that are: arrays=[…].")
        count = next(iter(lengths.values()), 0)
        together = max([1, *map(rows_together, arrays.values())])
        if count > MOST * together:
            raise StoreError(f"{path} says that it has {count} rows, of which {together} are read together: too many.")
        super().__init__((min(together, count - start) for start in range(0, count, together)), room)

    def load(self, number: int) -> Group:
        """Read a stretch of rows."""
        start, stop = int(self.starts[number]), int(self.starts[number + 1])
        columns: dict[str | None, Any] = {}
        for name, array in self.arrays.items():
            with translated(f"rows {start} to {stop - 1} of {self.label(name)}"):
                rows = np.asarray(array[start:stop])
            if rows.shape[0] != stop - start:
                raise CorruptRecord(f"rows {start} to {stop - 1} of {self.label(name)}: {rows.shape[0]} were found.")
            if rows.dtype.kind == "T":
                rows = rows.astype(object)
            columns[name] = Objects(rows) if rows.dtype.hasobject else rows
        nbytes = sum(8 * c.values.size if isinstance(c, Objects) else c.nbytes for c in columns.values())
        return Group(columns, stop - start, nbytes)

    def label(self, name: str | None) -> str:
        """Return what an array is called in errors."""
        return self.path if name is None else f"array {name!r} of {self.path}"

    def schema(self) -> Any:
        """Return each array's dtype, the shape of a row, and how many rows are read together."""
        found = {"" if n is None else n: [str(a.dtype), list(a.shape[1:])] for n, a in self.arrays.items()}
        return {"arrays": found, "rows together": int(self.starts[1]) if len(self.starts) > 1 else 0}

    def close(self) -> None:
        """Let go of what is kept, and of the file where it is one."""
        super().close()
        self.shut()


def open_zarr(path: str, *, arrays: str | list[str] | None = None, cache: int = CACHE) -> Reader:
    """Open a Zarr array or group: a folder, or a file ``.zarr.zip``.

    Args:
        path: the folder or file.
        arrays: of a group, the arrays that items have, by their paths in it; all by default, and these must have the
            same number of rows. A single name, not in a list, gives its rows as they are, not in dicts.
        cache: bytes of rows that each process keeps.

    Raises:
        StoreError: it is no such folder, its arrays are not aligned, or packed by an unknown codec.
    """
    where = f"open({path!r})"
    room = room_of(cache, where)
    library = zarr()
    with translated(path, StoreError), contextlib.ExitStack() as stack:
        store: Any = path
        if not os.path.isdir(path):
            store = library.storage.ZipStore(path, mode="r")
            stack.callback(store.close)
        check_metadata(path)
        opened = library.open(store, mode="r")
        found: dict[str | None, Any]
        if isinstance(opened, library.Array):
            if arrays is not None:
                raise ArgumentTypeError(f"{where}: this is a single array; arrays is for groups of several.")
            found = {None: opened}
        else:
            found = chosen(members_of(opened, path), arrays, where)
            check_ours(opened, found, path)
        for name, array in found.items():
            check_array(array, path if name is None else f"array {name!r} of {path}")
        return ZarrReader(path, found, zarr_tag(path), stack.pop_all().close, room)


def check_metadata(path: str) -> None:
    """Refuse codecs that are not known before the library makes objects of them."""
    if os.path.isdir(path):
        for name in ("zarr.json", ".zarray", ".zmetadata"):
            file = os.path.join(path, name)
            if os.path.isfile(file):
                with open(file, "rb") as opened:
                    metadata = json.load(opened)
                if isinstance(metadata, dict):
                    check_codecs(metadata, path)


def members_of(group: Any, path: str) -> dict[str, Any]:
    """Return the arrays of a group, however deep, in the order in which they were written where that is known."""
    library = zarr()
    found = {
        name: member for name, member in sorted(group.members(max_depth=None)) if isinstance(member, library.Array)
    }
    ours = group.attrs.get(OURS)
    if ours is not None:
        fields = ours.get("fields") if isinstance(ours, dict) else None
        if not isinstance(fields, list) or sorted(found) != sorted(map(str, fields)):
            raise StoreError(
                f"{path} is corrupt: it should have the arrays {short(fields)}, and has {short(list(found))}."
            )
        return {name: found[name] for name in fields}
    if not found:
        raise StoreError(f"{path}: there is no array in it.")
    return found


def check_ours(group: Any, arrays: dict[str | None, Any], path: str) -> None:
    """Refuse a group that was written here and lacks rows or chunks; of others, a chunk may be left out."""
    ours = group.attrs.get(OURS)
    for name, array in arrays.items() if isinstance(ours, dict) else ():
        if array.shape[0] != ours.get("count"):
            raise StoreError(
                f"{path} is corrupt: array {name!r} has {array.shape[0]} rows, and should have {ours.get('count')}."
            )
        check_array(array, f"array {name!r} of {path}")  # before chunks are listed, of which it may claim any number
        if array.nchunks_initialized != array.nchunks:
            raise StoreError(
                f"{path} is corrupt: array {name!r} has {array.shape[0]} rows in {array.nchunks_initialized} chunks, "
                f"and should have them in {array.nchunks}."
            )


def chosen(members: dict[str, Any], arrays: Any, where: str) -> dict[str | None, Any]:
    """Return the arrays that were asked for."""
    if arrays is None:
        return dict(members.items())
    if isinstance(arrays, str):
        choice(arrays, members, where, "an array")
        return {None: members[arrays]}
    if not isinstance(arrays, (list, tuple)) or not arrays:
        raise ArgumentTypeError(f"{where}: arrays must be names, not {short(arrays)}.")
    for name in arrays:
        choice(name, members, where, "an array")
    return {name: members[name] for name in arrays}


def zarr_tag(path: str) -> str:
    """Return what stands for the content."""
    if not os.path.isdir(path):
        return sampled(path)
    return tag_of(sorted(os.path.join(folder, f) for folder, _, files in os.walk(path) for f in files), path)


# ---------------------------------------------------------------------------------------------------------- writing


class ZarrRecorder(Recorder):
    """Collects rows and writes whole chunks, each with a checksum."""

    def __init__(self, path: str, group: int | None) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        self.together = None if group is None else whole(group, self.where, "group", least=1)
        self.file = zarr().open_group(path, mode="w", zarr_format=3)
        self.arrays: dict[str, Any] = {}
        self.first: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.count = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a row."""
        plain = isinstance(item, dict) and item and all(isinstance(n, str) and n.strip("./") for n in item)
        if not plain:
            raise ArgumentTypeError(
                f"{self.where}: items must be dicts of arrays, numbers and texts by name, not {short(item)}. Make them "
                'in a map(): map(lambda x: {"x": x}).'
            )
        row = {name: value if isinstance(value, str) else np.array(value) for name, value in item.items()}
        if not self.first:
            self.begin(row)
        number = self.count + len(self.rows)
        if row.keys() != self.first.keys():
            raise ArgumentTypeError(
                f"{self.where}: item {number} has the fields {list(row)}, the first one {list(self.first)}."
            )
        for name, value in row.items():
            if kind_of(value) != kind_of(self.first[name]):
                raise ArgumentTypeError(
                    f"{self.where}: field {name!r} of item {number} is {kind_of(value)}, of the first one "
                    f"{kind_of(self.first[name])}. Bring them to one in a map(), or save as .lmdb."
                )
        self.rows.append(row)
        if len(self.rows) == self.together:
            self.write()

    def begin(self, row: dict[str, Any]) -> None:
        """Make an array for each field."""
        codecs = zarr().codecs
        weight = sum(64 if isinstance(value, str) else value.nbytes for value in row.values())
        if self.together is None:
            self.together = max(1, min(1 << 16, CHUNK // max(1, weight)))
        for name, value in row.items():
            text = isinstance(value, str)
            if not text and value.dtype.kind not in "biufcmM":
                given = value.item() if value.ndim == 0 else value
                raise ArgumentTypeError(
                    f"{self.where}: field {name!r} is {short(given)}, which Zarr has no type for. Bring it to numbers "
                    "or text in a map(), or save as .lmdb."
                )
            shape = () if text else value.shape
            self.arrays[name] = self.file.create_array(
                name,
                shape=(0, *shape),
                chunks=(self.together, *[max(1, length) for length in shape]),
                dtype=str if text else value.dtype.newbyteorder("="),
                compressors=[codecs.ZstdCodec(), codecs.Crc32cCodec()],
                config={"write_empty_chunks": True},
            )
        self.first = row

    def write(self) -> None:
        """Write what waits."""
        stop = self.count + len(self.rows)
        for name, array in self.arrays.items():
            values = [row[name] for row in self.rows]
            array.resize((stop, *array.shape[1:]))
            array[self.count : stop] = np.array(values, object) if isinstance(values[0], str) else np.stack(values)
        self.count = stop
        self.rows = []

    def finish(self) -> None:
        """Write what is left, and what there is."""
        if self.rows:
            self.write()
        self.file.attrs[OURS] = {"fields": list(self.first), "count": self.count}


def kind_of(value: Any) -> str:
    """Return what the values of a field have in common."""
    return "a text" if isinstance(value, str) else f"{value.dtype} of shape {value.shape}"


def create_zarr(path: str, *, group: int | None = None) -> Recorder:
    """Begin a Zarr group, of version 3. Items are dicts of arrays, numbers and texts; each field becomes an array.

    Args:
        path: the folder.
        group: rows of a chunk; by default as many as are about 1 MB.
    """
    return ZarrRecorder(path, group)


def recognise(path: str) -> bool:
    """Tell whether something is a Zarr folder."""
    return any(os.path.isfile(os.path.join(path, name)) for name in ("zarr.json", ".zgroup", ".zarray"))


FORMAT = Format("zarr", (".zarr", ".zarr.zip"), open_zarr, create_zarr, recognise)
