"""Encoded records into a new store, on disk when the clock stops."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.workloads import photos, records


def measure(write: Callable[[str, list[bytes]], None], scale: Scale, suffix: str) -> Measurement:
    """Write all records again and again, each time to a new file, flushed to disk. The amount is in bytes."""
    blobs = records.blobs(scale)
    folder = photos.folder(scale).parent / f"written-{os.getpid()}"
    folder.mkdir()
    target = folder / f"records{suffix}"
    try:
        write(str(target), blobs)
        if sum(f.stat().st_size for f in (target.rglob("*") if target.is_dir() else [target])) < sum(map(len, blobs)):
            raise AssertionError(f"{target} is smaller than what was written")
        done, spent = 0, 0.0
        while spent < scale.seconds:
            records.remove(target)
            started = time.perf_counter()
            write(str(target), blobs)
            flush(target)
            spent += time.perf_counter() - started
            done += sum(map(len, blobs))
        return Measurement(done, spent)
    finally:
        records.remove(folder)


def flush(path: Path) -> None:
    """Wait until everything is on disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())


def limit(scale: Scale) -> Measurement:
    """All records into one file."""

    def write(path: str, blobs: list[bytes]) -> None:
        with open(path, "wb", buffering=0) as file:
            file.writelines(blobs)

    return measure(write, scale, ".bin")


def saved(scale: Scale, suffix: str, wrap: Callable[[bytes], Any], **options: Any) -> Measurement:
    """Penstock's save."""
    import penstock as ps

    def write(path: str, blobs: list[bytes]) -> None:
        ps.items(blobs).map(wrap).save(path, progress=False, **options)

    return measure(write, scale, suffix)


def lmdb(scale: Scale) -> Measurement:
    """Penstock's LMDB, with checksums."""
    return saved(scale, ".lmdb", itself)


def tar(scale: Scale) -> Measurement:
    """Penstock's tar."""
    return saved(scale, ".tar", sample)


def itself(blob: bytes) -> bytes:
    """The record."""
    return blob


def sample(blob: bytes) -> dict[str, bytes]:
    """The record as a member."""
    return {"jpg": blob}


def plain_lmdb(scale: Scale) -> Measurement:
    """py-lmdb, one transaction, keys in order, a map of known size."""

    def write(path: str, blobs: list[bytes]) -> None:
        import lmdb

        env = lmdb.open(path, map_size=2 * sum(map(len, blobs)) + (1 << 20), subdir=False)
        with env.begin(write=True) as transaction:
            for number, blob in enumerate(blobs):
                transaction.put(number.to_bytes(8, "big"), blob, append=True)
        env.close()
        Path(path + "-lock").unlink()

    return measure(write, scale, ".mdb")


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack's LMDBSerializer."""

    def write(path: str, blobs: list[bytes]) -> None:
        import numpy as np
        from tensorpack.dataflow import DataFromList, LMDBSerializer

        LMDBSerializer.save(DataFromList([[np.frombuffer(b, np.uint8)] for b in blobs], shuffle=False), path)
        Path(path + "-lock").unlink(missing_ok=True)

    return measure(write, scale, ".mdb")


def webdataset(scale: Scale) -> Measurement:
    """WebDataset's TarWriter."""

    def write(path: str, blobs: list[bytes]) -> None:
        import webdataset

        with webdataset.TarWriter(path) as writer:
            for number, blob in enumerate(blobs):
                writer.write({"__key__": f"{number:09d}", "jpg": blob})

    return measure(write, scale, ".tar")


def array_record(scale: Scale) -> Measurement:
    """ArrayRecord's writer, uncompressed."""

    def write(path: str, blobs: list[bytes]) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        writer = ArrayRecordWriter(path, "group_size:1,uncompressed")
        for blob in blobs:
            writer.write(blob)
        writer.close()

    return measure(write, scale, ".array_record")


CLAIM = Claim(
    name="write",
    work="""
The records of `read_sequential` into a new store, each system as it does by default, until all is on disk: whoever
does not flush by itself is flushed, and counted with it. The limit writes them into one file. Penstock is meant to be
ahead of the library of each format, and gives more than these:

- Penstock: a checksum for each record (LMDB); flushed, then renamed, then the folder is flushed, so that a kill or a
  power failure at any moment leaves the old file or the new one.
- py-lmdb and Tensorpack: flushed, by a transaction of all or of 1,000 records each; no checksums; the file grows under
  its name.
- ArrayRecord: checksums; WebDataset: none. Neither flushes, and a file that is not closed is broken.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "one file, a record at a time"),
        System("lmdb", Role.CLAIM, lmdb, "save('x.lmdb'): checksums, flushed, renamed", against="tensorpack"),
        System("tar", Role.CLAIM, tar, "save('x.tar'): flushed, renamed", against="webdataset", reach=1.0),
        System("plain-lmdb", Role.PEER, plain_lmdb, "py-lmdb, one transaction, append: flushed"),
        System("tensorpack", Role.PEER, tensorpack, "LMDBSerializer.save: flushed"),
        System("webdataset", Role.PEER, webdataset, "TarWriter; flushed here"),
        System("array-record", Role.PEER, array_record, "ArrayRecordWriter, uncompressed: checksums; flushed here"),
    ),
    reach=1.0,
    unit="GB/s",
    per_unit=1e9,
    weakest=True,
    peers=("lmdb", "tensorpack", "webdataset", "array_record"),
    prepare=photos.prepare,
)
