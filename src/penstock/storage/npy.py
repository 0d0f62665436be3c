"""NumPy's own files: ``.npy``, an array whose rows are the items, and ``.npz``, aligned arrays whose rows are dicts.

Both are mapped and gathered by whole index vectors; of a compressed ``.npz`` each process unpacks a copy of its own.
There are no checksums in a ``.npy``, so a changed byte is a changed number; what is missing is noticed.
"""

from __future__ import annotations

import math
import os
import shutil
import zipfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, StoreError
from penstock.graph.checking import flag, short
from penstock.graph.context import empty
from penstock.graph.copies import rows_at
from penstock.graph.items import Rows, each
from penstock.graph.storing import Format, Reader, Recorder, sampled

if TYPE_CHECKING:
    from penstock.graph.node import Indices

UNPACKED = 1100  # times its packed size is the most that deflate can unpack to
LOCAL = 30  # bytes of the head before a member of a zip file, without its name and extra field


class NpyReader(Reader):
    """Aligned arrays, mapped."""

    def __init__(self, path: str, columns: Any, *, copy: bool) -> None:
        self.path = path
        self.columns = columns
        self.copy = copy
        self.tag = sampled(path)
        lengths = {name: len(column) for name, column in columns.items()} if isinstance(columns, dict) else {}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {count}" for name, count in lengths.items())
            raise StoreError(f"{path}: rows must be aligned, but {said}.")
        self.count = next(iter(lengths.values())) if lengths else len(columns)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if not self.copy:
            return each(self.columns, lambda c: c[index])
        return each(self.columns, lambda c: np.array(c[index]) if c.ndim > 1 else c[index])

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many rows, gathered at once."""
        if isinstance(indices, range):
            stop = indices.stop if indices.stop >= 0 else None
            rows = slice(indices.start, stop, indices.step) if len(indices) else slice(0)
            if not self.copy:
                return Rows(each(self.columns, lambda c: c[rows]), len(indices))
            return Rows(each(self.columns, lambda c: copied(c[rows])), len(indices))
        return Rows(each(self.columns, lambda c: rows_at(c, indices)), len(indices))

    def schema(self) -> Any:
        """Return each array's dtype and the shape of a row."""
        return each(self.columns, lambda c: [str(c.dtype), list(c.shape[1:])])


def copied(rows: NDArray[Any]) -> NDArray[Any]:
    """Return a copy in memory that travels without another."""
    out = empty(rows.shape, rows.dtype)
    np.copyto(out, rows)
    return out


def open_npy(path: str, *, copy: bool = True) -> Reader:
    """Open a ``.npy`` or ``.npz`` file.

    Args:
        path: the file; what it is shows in its first bytes.
        copy: whether items are copies, which may be changed; else they are read-only views of the mapped file.

    Raises:
        StoreError: it is no such file, truncated, holds Python objects, or arrays of different lengths.
    """
    flag(copy, f"open({path!r})", "copy")
    try:
        with open(path, "rb") as file:
            start = file.read(4)
            file.seek(0)
            columns: Any = archive(path, file) if start[:2] == b"PK" else mapped(path, file, 0, os.path.getsize(path))
    except StoreError:
        raise
    except Exception as error:  # a header is parsed by NumPy as Python text, and may fail in any way
        raise StoreError(f"{path} is no whole .npy or .npz file: {error}") from error
    return NpyReader(path, columns, copy=copy)


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read an array's shape, whether it is in Fortran order, and its dtype."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the format is not known")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which only a pickle could keep")
    if not shape:
        raise ValueError("a single value has no rows")
    if min(shape) < 0:
        raise ValueError(f"a shape of {shape}")
    return shape, fortran, dtype


def mapped(path: str, file: IO[bytes], start: int, end: int) -> NDArray[Any]:
    """Map the array that stands between two places of a file."""
    file.seek(start)
    shape, fortran, dtype = header(file)
    at = file.tell()
    nbytes = math.prod(shape) * dtype.itemsize
    if at + nbytes > end:
        raise ValueError(f"it is truncated: {max(0, end - at)} bytes of {nbytes}")
    order: Any = "F" if fortran else "C"
    if not nbytes:
        return np.empty(shape, dtype, order)
    memory = np.memmap(path, np.uint8, "r", at, (nbytes,))
    return np.ndarray(shape, dtype, memory, 0, None, order)


def archive(path: str, file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a ``.npz`` by name: mapped where they lie there unpacked."""
    columns = {}
    with zipfile.ZipFile(file) as members:
        for info in members.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
                file.seek(info.header_offset)
                head = file.read(LOCAL)
                skipped = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
                start = info.header_offset + LOCAL + skipped
                columns[name] = mapped(path, file, start, min(start + info.file_size, os.path.getsize(path)))
            else:
                columns[name] = unpacked(members, info)
    if not columns:
        raise ValueError("there is no array in it")
    return columns


def unpacked(members: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """Read a compressed array, no more than can be in it."""
    if info.file_size > info.compress_size * UNPACKED:
        raise ValueError(f"{info.filename} says that it has {info.file_size} bytes, packed to {info.compress_size}")
    with members.open(info) as member:
        shape, _, dtype = header(member)
        if math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"{info.filename} is truncated")
    with members.open(info) as member:
        return npy.read_array(member, allow_pickle=False)


# ---------------------------------------------------------------------------------------------------------- writing


class NpyRecorder(Recorder):
    """Writes rows of one shape and dtype behind one another; the header learns their number at the end."""

    def __init__(self, path: str, where: str) -> None:
        self.path = path
        self.where = where
        self.file: IO[bytes] = open(path, "wb")  # noqa: SIM115  closed by close()
        self.first: NDArray[Any] | None = None
        self.count = 0
        self.head = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a row."""
        row = np.asarray(item)
        if row.dtype.hasobject:
            raise ArgumentTypeError(
                f"{self.where}: item {self.count} has {short(item)}, which is no plain array or number."
            )
        if self.first is None:
            self.first = np.empty(row.shape, row.dtype)
            self.begin()
        elif row.dtype != self.first.dtype or row.shape != self.first.shape:
            raise ArgumentTypeError(
                f"{self.where}: item {self.count} has shape {row.shape} and dtype "
                f"{row.dtype}, the first one {self.first.shape} and {self.first.dtype}: one array has one of each. "
                "Bring them to it in a map(), or save as .lmdb."
            )
        self.file.write(np.ascontiguousarray(row).reshape(-1).view(np.uint8).data if row.size else b"")
        self.count += 1

    def begin(self) -> None:
        """Write the header for the rows that there are; NumPy leaves room in it for more."""
        first = np.empty(0) if self.first is None else self.first
        shape = (self.count, *first.shape) if self.first is not None else (0,)
        described = {"descr": npy.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_2_0(self.file, described)
        if self.head and self.file.tell() != self.head:
            raise StoreError(f"{self.path}: the header grew from {self.head} to {self.file.tell()} bytes.")
        self.head = self.file.tell()

    def finish(self) -> None:
        """Write the header again, with the number of rows."""
        self.file.seek(0)
        self.begin()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class NpzRecorder(Recorder):
    """Writes an array for each field of dicts, then all of them into one file, unpacked."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = f"{path}.columns"
        self.columns: dict[str, NpyRecorder] | None = None
        os.mkdir(self.folder)

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a row to each array."""
        where = saving(self.path)
        if (
            not isinstance(item, dict)
            or not item
            or not all(isinstance(name, str) and "/" not in name for name in item)
        ):
            raise ArgumentTypeError(f"{where}: items must be dicts of arrays and numbers by name, not {short(item)}.")
        if self.columns is None:
            self.columns = {
                name: NpyRecorder(os.path.join(self.folder, f"{name}.npy"), f"{where}, field {name!r}") for name in item
            }
        if self.columns.keys() != item.keys():
            raise ArgumentTypeError(
                f"{where}: an item has the fields {list(item)}, the first one {list(self.columns)}."
            )
        for name, value in item.items():
            self.columns[name].append(value)

    def finish(self) -> None:
        """Put all arrays into one file."""
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_STORED, allowZip64=True) as members:
            for name, column in (self.columns or {}).items():
                column.finish()
                column.close()
                member = zipfile.ZipInfo(f"{name}.npy")  # without the time: the same content is the same file
                with open(column.path, "rb") as rows, members.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(rows, target, 1 << 20)
            if not self.columns:  # no item, no field: an array without rows
                with members.open(zipfile.ZipInfo("arr_0.npy"), "w") as target:
                    npy.write_array(target, np.empty(0))

    def close(self) -> None:
        """Remove the arrays."""
        for column in (self.columns or {}).values():
            column.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def saving(path: str) -> str:
    """Return what errors call the writing of a file."""
    return f"save({os.path.basename(path)!r})"


def create_npy(path: str) -> Recorder:
    """Begin a ``.npy`` file, or a ``.npz`` where the name says so."""
    return NpzRecorder(path) if path.endswith(".npz") else NpyRecorder(path, saving(path))


def recognise(path: str) -> bool:
    """Tell whether something begins as a ``.npy`` file does."""
    try:
        with open(path, "rb") as file:
            return file.read(6) == npy.MAGIC_PREFIX
    except OSError:
        return False


FORMAT = Format("npy", (".npy", ".npz"), open_npy, create_npy, recognise)
