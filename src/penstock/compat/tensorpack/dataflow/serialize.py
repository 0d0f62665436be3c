"""Any flow as one file, and back: ``LMDBSerializer.save(df, path)``, ``LMDBSerializer.load(path)``.

Files are Penstock's own, or hold what ``tensorpack.utils.serialize`` makes: nothing that is read is executed. LMDB
files that Tensorpack wrote are read, too; its default, pickle, only where the caller or the environment says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import penstock as ps
from penstock.compat.tensorpack.dataflow.base import DataFlow
from penstock.compat.tensorpack.dataflow.common import FixedSizeData, MapData
from penstock.compat.tensorpack.dataflow.format import HDF5Data, LMDBData, Rows
from penstock.compat.tensorpack.dataflow.raw import DataFromIterable, DataFromList
from penstock.compat.tensorpack.dataflow.transaction import open_lmdb
from penstock.compat.tensorpack.utils.serialize import dumps, is_pickle, loads
from penstock.errors import ArgumentError

__all__ = ["HDF5Serializer", "LMDBSerializer", "NumpySerializer", "TFRecordSerializer"]


def ready(df: Any) -> Any:
    """Return a flow that is reset, as a stream."""
    assert isinstance(df, DataFlow), type(df)
    df.reset_state()
    return ps.stream(df)


class LMDBSerializer:
    """A flow as an LMDB file.

    >>> import tempfile
    >>> from penstock.compat.tensorpack.dataflow import DataFromList, LMDBSerializer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     LMDBSerializer.save(DataFromList([["a", 1], ["b", 2]], shuffle=False), f"{folder}/pairs.lmdb")
    ...     list(LMDBSerializer.load(f"{folder}/pairs.lmdb", shuffle=False))
    [['a', 1], ['b', 2]]
    """

    @staticmethod
    def save(df: DataFlow, path: str, write_frequency: int = 5000) -> None:  # noqa: ARG004
        """Write a pass of a flow.

        Args:
            df: the flow; it is reset.
            path: the file, or a folder, which gets a ``data.mdb``. It appears when it is whole.
            write_frequency: taken for compatibility.
        """
        assert isinstance(df, DataFlow), type(df)
        file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
        assert not os.path.exists(file), f"LMDB file {file} exists!"
        ready(df).save(file, "lmdb")

    @staticmethod
    def load(path: str, shuffle: bool = True, *, trust_pickle: bool = False) -> DataFlow:
        """Return the flow of a file.

        Args:
            path: the file or folder.
            shuffle: anew in every pass.
            trust_pickle: read pickles, of a file that Tensorpack wrote; they run whatever they say, so the file must
                be your own. ``TENSORPACK_SERIALIZE=pickle`` in the environment says the same.
        """
        rows, own = open_lmdb(path)
        if not own and len(rows):
            first = rows[0]
            chosen = os.environ.get("TENSORPACK_SERIALIZE", "")
            pickled = chosen == "pickle" or (not chosen and is_pickle(first))
            if pickled and not (trust_pickle or chosen == "pickle"):
                raise ArgumentError(
                    f"LMDBSerializer.load({path!r}): this file holds pickles, which run whatever they say. If it is "
                    "your own, say trust_pickle=True, or TENSORPACK_SERIALIZE=pickle in the environment."
                )
            how = {"values": "pickle", "trust_pickle": True} if pickled else {"values": "msgpack"}
            rows = ps.open(path, "lmdb", **how)
        return Rows(rows, shuffle)

    @staticmethod
    def _deserialize_lmdb(dp: Any) -> Any:  # programs read LMDBData with it
        return loads(dp[1])


class LMDBDataPoint(MapData):
    """Datapoints of an LMDB file, as before 0.9: of an ``LMDBData``, or of what that takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raw = args[0] if args and isinstance(args[0], DataFlow) else LMDBData(*args, **kwargs)
        super().__init__(raw, LMDBSerializer._deserialize_lmdb)  # noqa: SLF001


class NumpySerializer:
    """A flow as one compressed file of NumPy's, which is held in memory as a whole."""

    @staticmethod
    def save(df: DataFlow, path: str) -> None:
        """Write a pass of a flow, which is reset."""
        np.savez_compressed(path, buffer=np.frombuffer(dumps(list(ready(df))), np.uint8))

    @staticmethod
    def load(path: str, shuffle: bool = True) -> DataFlow:
        """Return the flow of a file."""
        with np.load(path, allow_pickle=False) as file:
            return DataFromList(loads(file["buffer"].tobytes()), shuffle=shuffle)


class TFRecordSerializer:
    """A flow as a TFRecord file."""

    @staticmethod
    def save(df: DataFlow, path: str) -> None:
        """Write a pass of a flow, which is reset."""
        ready(df).map(dumps).save(path, "tfrecord")

    @staticmethod
    def load(path: str, size: int | None = None) -> DataFlow:
        """Return the flow of a file.

        Args:
            path: the file.
            size: how many datapoints a pass has; as many as the file by default.
        """
        flow = MapData(DataFromIterable(ps.open(path, "tfrecord")), loads)
        return flow if size is None else FixedSizeData(flow, size)


class Named:
    """A datapoint's components by the paths of datasets."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)

    def __call__(self, dp: Sequence[Any]) -> dict[str, Any]:
        """Name them."""
        assert len(dp) == len(self.paths), f"Datapoint has {len(dp)} components!"
        return dict(zip(self.paths, dp, strict=True))


class HDF5Serializer:
    """A flow as an HDF5 file, a dataset for each component."""

    @staticmethod
    def save(df: DataFlow, path: str, data_paths: Sequence[str]) -> None:
        """Write a pass of a flow, which is reset.

        Args:
            df: the flow.
            path: the file.
            data_paths: the datasets, one for each component.
        """
        ready(df).map(Named(data_paths)).save(path, "hdf5", replace=True)

    @staticmethod
    def load(path: str, data_paths: Sequence[str], shuffle: bool = True) -> DataFlow:
        """Return the flow of a file."""
        return HDF5Data(path, data_paths, shuffle)
