"""Flows of what files hold, read through Penstock's stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import penstock as ps
from penstock.compat.tensorpack.dataflow import caffe
from penstock.compat.tensorpack.dataflow.base import DataFlowReentrantGuard, RNGDataFlow
from penstock.compat.tensorpack.dataflow.common import MapData
from penstock.compat.tensorpack.dataflow.transaction import Transaction

__all__ = ["CaffeLMDB", "HDF5Data", "LMDBData", "LMDBDataDecoder", "SVMLightData"]


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
        yield from map(self.datapoint, self.rows.select(self._order) if self.shuffle else self.rows)

    def datapoint(self, row: Any) -> Any:
        """Return what is made of a row."""
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

    def datapoint(self, row: Any) -> list[Any]:
        return [row[path] for path in self.data_paths]

    def __iter__(self) -> Iterator[Any]:
        self._order.sort()
        return super().__iter__()


class LMDBData(RNGDataFlow):
    """Pairs of key and value of an LMDB file, as bytes.

    Args:
        lmdb_path: the file, or a folder with a ``data.mdb``.
        shuffle: the keys further in every pass.
        keys: where shuffled, the keys to read: a list, or a form such as ``"{:0>8d}"`` for numbers from 0 on.

    Of a file that ``LMDBSerializer`` wrote, values are what ``tensorpack.utils.serialize.loads`` reads. Flows of one's
    own that stand on this one find the list ``keys``, and values in ``_txn.get(key)``.
    """

    def __init__(self, lmdb_path: str, shuffle: bool = True, keys: Sequence[Any] | str | None = None) -> None:
        self._lmdb_path = lmdb_path
        self._shuffle = shuffle
        self._guard = DataFlowReentrantGuard()
        self._txn = Transaction(lmdb_path)
        self._size = len(self._txn.keys)
        self._set_keys(keys)

    def _set_keys(self, keys: Sequence[Any] | str | None = None) -> None:
        if keys is None or not self._shuffle:
            self.keys = list(self._txn.keys)
        else:
            listed = map(keys.format, range(self._size)) if isinstance(keys, str) else keys
            self.keys = [key.encode() if isinstance(key, str) else key for key in listed]

    def reset_state(self) -> None:
        super().reset_state()
        self._guard = DataFlowReentrantGuard()

    def __len__(self) -> int:
        return len(self.keys) if self._shuffle else self._size

    def __iter__(self) -> Iterator[Any]:
        with self._guard:
            if not self._shuffle:
                yield from map(list, self._txn.cursor())
                return
            self.rng.shuffle(self.keys)
            for key in self.keys:
                yield [key, self._txn.get(key)]


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


def CaffeLMDB(lmdb_path: str, shuffle: bool = True, keys: Any = None) -> LMDBDataDecoder:  # noqa: N802  the original's
    """Return a flow of the images, (height, width, channels), and labels of Caffe's LMDB files; as ``LMDBData``."""
    return LMDBDataDecoder(LMDBData(lmdb_path, shuffle, keys), caffe.datapoint)


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
