"""2,000 encoded photographs of about 100 KB, as records of stores that each system makes once and then reads.

What is timed is reading records, not decoding them. Stores lie beside the photographs in ``.cache``; everything is in
the page cache when the clock starts, because the first pass warms up.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claim import Measurement, Scale
from benchmarks.workloads import photos

PIECE = 1 << 20


@cache
def blobs(scale: Scale) -> list[bytes]:
    """The records: the files' bytes."""
    return [Path(path).read_bytes() for path in photos.paths(scale)]


def store(scale: Scale, name: str, make: Callable[[str], None]) -> str:
    """The path of a store; made if it is not there."""
    path = photos.folder(scale).parent / f"stores-{photos.count(scale)}" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        started = path.with_name("_" + name)
        remove(started)
        make(str(started))
        started.rename(path)
    return str(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def shuffled(scale: Scale) -> list[int]:
    """The order in which records are read at random."""
    return np.random.default_rng(0).permutation(len(blobs(scale))).tolist()  # type: ignore[no-any-return]


def measure(records: Callable[[], Iterable[Any]], scale: Scale) -> Measurement:
    """Check that a pass gives all records, whole; then time whole passes. The amount is in bytes.

    A pass that is slower than four times the stretch is cut.
    """
    expected = sorted(map(len, blobs(scale)))
    total = sum(expected)
    found = []
    for number, record in enumerate(records()):
        found.append(len(record))
        if number < 20 and bytes(record) not in _set(scale):
            raise AssertionError(f"record {number} is none of the photographs")
    if sorted(found) != expected:
        raise AssertionError(f"{len(found)} records of {sum(found)} bytes, not {len(expected)} of {total}")
    done = 0
    started = time.perf_counter()
    while time.perf_counter() - started < scale.seconds:
        for record in records():
            done += len(record)
            if not done & 15 and time.perf_counter() - started > 4 * scale.seconds:
                break
    return Measurement(done, time.perf_counter() - started)


@cache
def _set(scale: Scale) -> set[bytes]:
    return set(blobs(scale))


def whole_file(scale: Scale) -> str:
    """All records in one file."""

    def make(path: str) -> None:
        with open(path, "wb") as file:
            file.writelines(blobs(scale))

    return store(scale, "whole.bin", make)


def read_in_pieces(scale: Scale, order: Callable[[int], Iterable[int]] = range) -> Measurement:
    """The limit: one file, a megabyte at a time, into one buffer."""
    path = whole_file(scale)
    size = os.path.getsize(path)
    pieces = size // PIECE
    buffer = bytearray(PIECE)

    def read() -> Iterator[int]:
        with open(path, "rb", buffering=0) as file:
            for number in order(pieces):
                file.seek(number * PIECE)
                yield file.readinto(buffer) or 0

    sum(read())
    done = 0
    started = time.perf_counter()
    while time.perf_counter() - started < scale.seconds:
        done += sum(read())
    return Measurement(done, time.perf_counter() - started)


# Stores ---------------------------------------------------------------------------------------------------------------


def lmdb(scale: Scale) -> str:
    """Penstock's LMDB file, without compression, with checksums."""
    import penstock as ps

    return store(scale, "records.lmdb", lambda path: _saved(ps, scale, path, "lmdb"))


def _saved(ps: Any, scale: Scale, path: str, kind: str) -> None:
    ps.items(blobs(scale)).save(path, kind, progress=False)


def tar(scale: Scale) -> str:
    """A tar file of samples with one member, as WebDataset has them."""

    def make(path: str) -> None:
        import tarfile
        from io import BytesIO

        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for number, blob in enumerate(blobs(scale)):
                member = tarfile.TarInfo(f"{number:09d}.jpg")
                member.size = len(blob)
                archive.addfile(member, BytesIO(blob))

    return store(scale, "records.tar", make)


def tensorpack_lmdb(scale: Scale) -> str:
    """A file of Tensorpack's serializer, as its ImageNet tutorial makes them."""

    def make(path: str) -> None:
        from tensorpack.dataflow import DataFromList, LMDBSerializer

        LMDBSerializer.save(DataFromList([[np.frombuffer(b, np.uint8)] for b in blobs(scale)], shuffle=False), path)

    return store(scale, "tensorpack.mdb", make)


def arrayrecord(scale: Scale, group: int = 1) -> str:
    """An ArrayRecord file, by its library, uncompressed."""

    def make(path: str) -> None:
        from array_record.python.array_record_module import ArrayRecordWriter

        writer = ArrayRecordWriter(path, f"group_size:{group},uncompressed")
        for blob in blobs(scale):
            writer.write(blob)
        writer.close()

    return store(scale, f"records-{group}.array_record", make)
