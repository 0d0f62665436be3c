"""Flows of what files hold, read through Penstock's stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import penstock as ps
from penstock.compat.tensorpack.dataflow.base import RNGDataFlow
from penstock.compat.tensorpack.dataflow.common import MapData
from penstock.compat.tensorpack.utils.serialize import dumps
from penstock.errors import ArgumentError, MissingExtra

__all__ = ["HDF5Data", "LMDBData", "LMDBDataDecoder", "SVMLightData"]


class Rows(RNGDataFlow):
    """The rows of a store; where shuffled, in an order that is shuffled further in every pass."""

    def __init__(self, rows: Any, shuffle: bool) -> None:
        self.rows = rows
        self.shuffle = shuffle
        self._order = list(range(len(rows)))

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Any]:
        if self.shuffle:
            self.rng.shuffle(self._order)
        yield from map(self.datapoint, self._order, self.rows.select(self._order) if self.shuffle else self.rows)

    def datapoint(self, place: int, row: Any) -> Any:
        """Return what is made of the row at a place."""
        return row


class HDF5Data(Rows):
    """Rows of several datasets of an HDF5 file, side by side; read when they are asked for.

    Args:
        filename: the file.
        data_paths: the datasets.
        shuffle: anew in every pass.
    """

    def __init__(self, filename: str, data_paths: Sequence[str], shuffle: bool = True) -> None:
        self.data_paths = list(data_paths)
        super().__init__(ps.open(filename, "hdf5", sources=self.data_paths), shuffle)

    def datapoint(self, place: int, row: Any) -> list[Any]:
        return [row[path] for path in self.data_paths]

    def __iter__(self) -> Iterator[Any]:
        self._order.sort()
        return super().__iter__()


class LMDBData(Rows):
    """Pairs of key and value of an LMDB file, as bytes.

    Args:
        lmdb_path: the file, or a folder with a ``data.mdb``.
        shuffle: anew in every pass.
        keys: where shuffled, the keys to read: a list, or a form such as ``"{:0>8d}"`` for numbers from 0 on.

    Of a file that ``LMDBSerializer`` wrote, values are what ``tensorpack.utils.serialize.loads`` reads.
    """

    def __init__(self, lmdb_path: str, shuffle: bool = True, keys: Sequence[Any] | str | None = None) -> None:
        self._lmdb_path = lmdb_path
        rows, self._own = open_lmdb(lmdb_path)
        super().__init__(rows, shuffle)
        self.keys = [b"%08d" % place for place in self._order] if self._own else keys_of(lmdb_path)
        if shuffle and keys is not None:
            listed = [keys.format(place) for place in self._order] if isinstance(keys, str) else keys
            places = {key: place for place, key in enumerate(self.keys)}
            self._order = [places[key.encode() if isinstance(key, str) else key] for key in listed]

    def datapoint(self, place: int, row: Any) -> list[bytes]:
        return [self.keys[place], dumps(row) if self._own else row]


def open_lmdb(path: str) -> tuple[Any, bool]:
    """Return the values of an LMDB file, and whether Penstock wrote it; values of others are bytes."""
    try:
        return ps.open(path, "lmdb", values="bytes"), False
    except ArgumentError:  # what it says of its own files
        return ps.open(path, "lmdb", copy=True), True


def keys_of(path: str) -> list[bytes]:
    """Return the keys of an LMDB file in their order, without Tensorpack's list of them."""
    import os

    try:
        import lmdb
    except ImportError as missing:
        raise MissingExtra("the keys of LMDB files are read with lmdb: pip install 'penstock[lmdb]'") from missing
    with lmdb.open(path, subdir=os.path.isdir(path), readonly=True, lock=False) as opened, opened.begin() as reading:
        return [key for key in reading.cursor().iternext(values=False) if key != b"__keys__"]


class Decoded:
    """A decoder of key and value, as a function of a datapoint."""

    def __init__(self, decoder: Callable[[Any, Any], Any]) -> None:
        self.decoder = decoder

    def __call__(self, dp: Any) -> Any:
        """Decode one."""
        return self.decoder(dp[0], dp[1])


class LMDBDataDecoder(MapData):
    """``decoder(key, value)`` of an LMDB file; what it returns None for is left out."""

    def __init__(self, lmdb_data: LMDBData, decoder: Callable[[Any, Any], Any]) -> None:
        super().__init__(lmdb_data, Decoded(decoder))


class SVMLightData(RNGDataFlow):
    """Rows and labels of a file in SVMlight's format, by scikit-learn."""

    def __init__(self, filename: str, shuffle: bool = True) -> None:
        from sklearn.datasets import load_svmlight_file  # type: ignore[import-untyped]

        rows, self.y = load_svmlight_file(filename)
        self.X = rows.toarray()
        self.shuffle = shuffle

    def __len__(self) -> int:
        return len(self.y)

    def __iter__(self) -> Iterator[Any]:
        places = list(range(len(self)))
        if self.shuffle:
            self.rng.shuffle(places)
        for place in places:
            yield [self.X[place], self.y[place]]
