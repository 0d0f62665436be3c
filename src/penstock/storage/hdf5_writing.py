"""Writing of HDF5 files: a dataset for each field of dicts, with checksums, and in Fuel's layout where shapes vary."""

from __future__ import annotations

import errno
import os
import shutil
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, short
from penstock.graph.storing import Recorder, require

BYTES = "penstock_bytes"  # the attribute of a dataset whose values are byte strings
COMPRESSIONS = (None, "gzip", "lzf")
CHUNK = 1 << 18  # bytes of a chunk, about
WAITING = 8 << 20  # bytes of items that are written at once, about
RESERVE = 4 << 20  # bytes of the disk that HDF5 may need for chunks that wait and for what is not data


class Field:
    """A field of the items and the dataset that it becomes."""

    def __init__(self, file: Any, name: str, value: Any, options: dict[str, Any], *, variable: bool) -> None:
        h5py = require("h5py", "hdf5", "Reading and writing HDF5")
        self.name = name
        self.text = isinstance(value, str)
        self.bytes = isinstance(value, bytes)
        first = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
        self.dtype, self.shape = first.dtype, first.shape
        self.variable = variable or self.bytes
        self.shapes: Any = None
        kind: Any = h5py.string_dtype() if self.text else first.dtype
        if not self.text and first.dtype.kind not in "biufc":
            raise ArgumentTypeError(f"field {name!r} is {short(value)}, which HDF5 has no type for")
        row = () if self.variable or self.text else self.shape
        weight = 16 if self.variable or self.text else max(1, first.nbytes)
        chunks = (max(1, min(4096, CHUNK // weight)), *[max(1, length) for length in row])
        if self.variable and not self.text:
            kind = h5py.vlen_dtype(first.dtype)
        if self.variable or self.text:
            options = {}  # filters would see references only
        self.data = file.create_dataset(name, (0, *row), kind, maxshape=(None, *row), chunks=chunks, **options)
        if self.bytes:
            self.data.attrs[BYTES] = True
        if self.variable and not self.bytes and first.ndim != 1:
            shapes = (0, first.ndim)
            self.shapes = file.create_dataset(
                f"{name}_shapes", shapes, np.int32, maxshape=(None, first.ndim), chunks=(4096, max(1, first.ndim))
            )
            self.shapes.make_scale("shapes")
            self.data.dims[0].attach_scale(self.shapes)
            self.data.dims[0].label = "batch"

    def check(self, value: Any) -> Any:
        """Return a value as it is written, or refuse it."""
        if self.text or self.bytes:
            if not isinstance(value, str if self.text else bytes):
                raise ArgumentTypeError(
                    f"field {self.name!r} is {short(value)}, and was {'text' if self.text else 'bytes'}"
                )
            if self.text and "\0" in value:
                raise ArgumentError(f"field {self.name!r} is a text with a zero in it, at which HDF5 would cut it")
            return np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        array = np.asarray(value)
        fits = array.ndim == len(self.shape) if self.variable else array.shape == self.shape
        if array.dtype != self.dtype or not fits:
            remedy = "" if self.variable else f". Say variable=[{self.name!r}] where shapes differ"
            raise ArgumentTypeError(
                f"field {self.name!r} has shape {array.shape} and dtype {array.dtype}, the first one {self.shape} and "
                f"{self.dtype}{remedy}"
            )
        return np.array(array)

    def write(self, values: list[Any], start: int) -> None:
        """Write the values of some rows."""
        end = start + len(values)
        self.data.resize(end, 0)
        if self.text:
            self.data[start:end] = values
        elif not self.variable:
            self.data[start:end] = np.stack(values)
        else:
            for place, value in enumerate(values, start):
                self.data[place] = value.reshape(-1)
            if self.shapes is not None:
                self.shapes.resize(end, 0)
                self.shapes[start:end] = np.array([value.shape for value in values], np.int32)


class Hdf5Recorder(Recorder):
    """Collects rows and writes many at once."""

    def __init__(self, path: str, compression: str | None, variable: list[str]) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        self.folder = os.path.dirname(os.path.abspath(path))
        h5py = require("h5py", "hdf5", "Reading and writing HDF5")
        choice(str(compression), map(str, COMPRESSIONS), self.where, "compression")
        self.options = {"compression": compression, "fletcher32": True}
        self.variable = variable
        self.file = h5py.File(path, "x", track_order=True)
        self.fields: dict[str, Field] | None = None
        self.rows: list[dict[str, Any]] = []
        self.nbytes = 0
        self.count = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a row to each dataset."""
        number = self.count + len(self.rows)
        if (
            not isinstance(item, dict)
            or not item
            or not all(isinstance(name, str) and name.strip("./") for name in item)
        ):
            raise ArgumentTypeError(
                f"{self.where}: items must be dicts of arrays, numbers and texts by name, not {short(item)}. Make them "
                'in a map(): map(lambda x: {"x": x}).'
            )
        if self.fields is None:
            for name in self.variable:
                choice(name, item, self.where, "a field of variable")
        elif item.keys() != self.fields.keys():
            raise ArgumentTypeError(
                f"{self.where}: item {number} has the fields {list(item)}, the first one {list(self.fields)}."
            )
        try:
            if self.fields is None:
                self.fields = {
                    name: Field(self.file, name, value, self.options, variable=name in self.variable)
                    for name, value in item.items()
                }
            row = {name: self.fields[name].check(value) for name, value in item.items()}
        except (ArgumentTypeError, ArgumentError) as error:
            raise type(error)(
                f"{self.where}: item {number}: {error}. Or bring it to what fits in a map(), or save as .lmdb."
            ) from None
        self.rows.append(row)
        self.nbytes += sum(value.nbytes if isinstance(value, np.ndarray) else len(value) for value in row.values())
        if self.nbytes >= WAITING or len(self.rows) >= 4096:
            self.write()

    def write(self) -> None:
        """Write what waits, if it surely fits: of a disk that is full, HDF5 does not only fail, it crashes."""
        free = shutil.disk_usage(self.folder).free
        if self.rows and free < self.nbytes + RESERVE:
            raise OSError(
                errno.ENOSPC,
                f"{self.where}: {free} bytes are free in {self.folder}, fewer than HDF5 may need for the next rows",
            )
        for name, field in (self.fields or {}).items():
            if self.rows:
                field.write([row[name] for row in self.rows], self.count)
        self.count += len(self.rows)
        self.rows = []
        self.nbytes = 0

    def finish(self) -> None:
        """Write what is left."""
        self.write()
        self.file.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def create_hdf5(path: str, *, compression: str | None = None, variable: list[str] | None = None) -> Recorder:
    """Begin an HDF5 file. Items are dicts of arrays, numbers, texts and byte strings; each field becomes a dataset.

    Args:
        path: the file.
        compression: None, ``"gzip"`` or ``"lzf"``.
        variable: the fields whose arrays differ in shape. They are kept as Fuel keeps them: flattened, with the shapes
            in a dataset beside them.
    """
    return Hdf5Recorder(path, compression, list(variable or ()))
