"""Writing of MDS shards, for Penstock and for MosaicML's own reader."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import choice, short, whole
from penstock.graph.storing import Recorder
from penstock.storage.mds_encodings import encoder_of, encoding_of, size_of
from penstock.storage.unpacking import KINDS, pack

INDEX = "index.json"
SHARD_MOST = (1 << 32) - 1  # bytes of a shard, whose places are 32 bits wide


class MdsRecorder(Recorder):
    """Collects a shard in memory, and writes it when it is full."""

    def __init__(
        self,
        path: str,
        columns: dict[str, str] | None,
        size_limit: int,
        compression: str | None,
        hashes: Sequence[str],
    ) -> None:
        self.path = path
        self.where = f"save({os.path.basename(path)!r})"
        self.size_limit = size_limit
        self.compression = compression
        self.hashes = list(hashes)
        self.shards: list[dict[str, Any]] = []
        self.samples: list[bytes] = []
        self.nbytes = 0
        self.columns = columns
        if columns is not None:
            self.begin(columns)
        os.mkdir(path)

    def begin(self, columns: dict[str, str]) -> None:
        """Settle what the columns are."""
        self.columns = columns
        names = sorted(columns)
        self.encoders = {name: encoder_of(columns[name], f"{self.where}: {name!r}") for name in names}
        self.sizes = {name: size_of(columns[name]) for name in names}
        self.config = {
            "column_encodings": [columns[name] for name in names],
            "column_names": names,
            "column_sizes": [self.sizes[name] for name in names],
            "compression": self.compression,
            "format": "mds",
            "hashes": self.hashes,
            "size_limit": self.size_limit,
            "version": 2,
        }
        self.head = json.dumps(self.config, sort_keys=True).encode()

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a sample."""
        if not isinstance(item, dict) or not item or any(not isinstance(name, str) for name in item):
            raise ArgumentTypeError(f"{self.where}: MDS holds dicts of values by name, not {short(item)}.")
        if self.columns is None:
            self.begin({name: encoding_of(value, f"{self.where}: {name!r}") for name, value in item.items()})
        if item.keys() != self.encoders.keys():
            raise ArgumentTypeError(f"{self.where}: an item has the columns {list(item)}, not {list(self.encoders)}.")
        head, body = [], []
        for name, encode in self.encoders.items():
            data = encode(item[name])
            if self.sizes[name] is None:
                head.append(len(data))
            elif len(data) != self.sizes[name]:
                raise ArgumentError(f"{self.where}: {name!r} has {len(data)} bytes, and must have {self.sizes[name]}.")
            body.append(data)
        sample = b"".join([np.array(head, "<u4").tobytes(), *body])
        if self.samples and self.nbytes + len(sample) + 4 > self.size_limit:
            self.write()
        self.samples.append(sample)
        self.nbytes += len(sample) + 4
        if self.nbytes + len(self.head) + 8 > SHARD_MOST:
            raise ArgumentError(f"{self.where}: a shard has room for {SHARD_MOST} bytes, and a sample needs more.")

    def write(self) -> None:
        """Write a shard."""
        count = len(self.samples)
        first = 4 * (count + 2) + len(self.head)
        places = np.concatenate([[0], np.cumsum([len(sample) for sample in self.samples])]) + first
        data = b"".join([struct.pack("<I", count), places.astype("<u4").tobytes(), self.head, *self.samples])
        name = f"shard.{len(self.shards):05}.mds"
        raw = self.described(name, data)
        zipped: dict[str, Any] | None = None
        if self.compression is not None:
            kind, _, level = self.compression.partition(":")
            data = pack(kind, data, int(level) if level else None, self.where)
            zipped = self.described(f"{name}.{kind}", data)
        basename = raw["basename"] if zipped is None else zipped["basename"]
        with open(os.path.join(self.path, basename), "wb") as file:
            file.write(data)
        self.shards.append({**self.config, "raw_data": raw, "samples": count, "zip_data": zipped})
        self.samples = []
        self.nbytes = 0

    def described(self, name: str, data: bytes) -> dict[str, Any]:
        """Return what the index says of a file."""
        hashes = {kind: hashlib.new(kind, data, usedforsecurity=False).hexdigest() for kind in self.hashes}
        return {"basename": name, "bytes": len(data), "hashes": hashes}

    def finish(self) -> None:
        """Write the last shard, and the index."""
        if self.samples:
            self.write()
        with open(os.path.join(self.path, INDEX), "w") as file:
            json.dump({"shards": self.shards, "version": 2}, file, sort_keys=True)

    def close(self) -> None:
        """Let go of the samples."""
        self.samples = []


def create_mds(
    path: str,
    *,
    columns: dict[str, str] | None = None,
    size_limit: int = 1 << 26,
    compression: str | None = None,
    hashes: Sequence[str] = ("sha1",),
) -> Recorder:
    """Begin a folder of shards.

    Args:
        path: the folder; there is none yet.
        columns: the encoding of each column, such as ``{"image": "jpeg", "label": "int"}``; by default the first
            item's values say it: ``int``, ``float64``, ``str``, ``bytes``, ``ndarray``, the names of NumPy's scalars,
            and ``json`` for the rest. Byte strings are written as they are, whatever the encoding is.
        size_limit: bytes of a shard, uncompressed, at which the next one begins.
        compression: ``"zstd"``, ``"gz"``, ``"bz2"`` or ``"br"``, with a level as in ``"zstd:7"``; None for none, which
            is what random access wants.
        hashes: names of ``hashlib``'s that the index keeps of each shard.
    """
    where = f"save({os.path.basename(path)!r})"
    if columns is not None and not (isinstance(columns, dict) and columns):  # type: ignore[redundant-expr]
        raise ArgumentTypeError(f"{where}: columns must be a dict of encodings by name, not {short(columns)}.")
    limit = min(whole(size_limit, where, "size_limit", least=1), SHARD_MOST)
    if compression is not None:
        kind, _, level = str(compression).partition(":")
        choice(kind, KINDS, where, "compression")
        if level and not level.isdigit():
            raise ArgumentError(f"{where}: compression={compression!r} has a level that is no number.")
    for name in hashes:
        choice(name, sorted(n for n in hashlib.algorithms_guaranteed if "shake" not in n), where, "a hash")
    return MdsRecorder(path, columns, limit, compression, hashes)
