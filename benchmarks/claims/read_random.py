"""Encoded records in a shuffled order, from the page cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.claims.read_sequential import length, whole
from benchmarks.workloads import photos, records


def limit(scale: Scale) -> Measurement:
    """One file, a megabyte at a time, in random order."""
    order = np.random.default_rng(0)
    return records.read_in_pieces(scale, lambda count: order.permutation(count).tolist())


def opened(path: str, scale: Scale, field: str | None = None, **options: Any) -> Measurement:
    """A store of Penstock's, shuffled."""
    import penstock as ps

    dataset = ps.open(path, **options).shuffle()
    return records.measure(lambda: dataset if field is None else (sample[field] for sample in dataset), scale)


def lmdb_views(scale: Scale) -> Measurement:
    """Views of the file's pages."""
    return opened(records.lmdb(scale), scale, copy=False)


def lmdb_bytes(scale: Scale) -> Measurement:
    """Byte strings."""
    return opened(records.lmdb(scale), scale)


def tar_bytes(scale: Scale) -> Measurement:
    """Byte strings out of a tar file."""
    return opened(records.tar(scale), scale, "jpg", fields=["jpg"])


def tar_views(scale: Scale) -> Measurement:
    """Views into a tar file."""
    return opened(records.tar(scale), scale, "jpg", fields=["jpg"], copy=False)


def arrayrecord(scale: Scale) -> Measurement:
    """An ArrayRecord file that its library wrote."""
    return opened(records.arrayrecord(scale), scale)


def plain_files(scale: Scale) -> Measurement:
    """A loop over loose files."""
    paths = photos.paths(scale)
    return records.measure(lambda: (whole(paths[k]) for k in records.shuffled(scale)), scale)


def plain_lmdb(scale: Scale, *, buffers: bool = True) -> Measurement:
    """py-lmdb, a look-up for each record."""
    import lmdb

    env = lmdb.open(records.lmdb(scale), subdir=False, readonly=True, lock=False, readahead=False)
    lengths = set(map(len, records.blobs(scale)))
    keys = [k.to_bytes(8, "big") for k in records.shuffled(scale)]

    def values() -> Iterator[Any]:
        with env.begin(buffers=buffers) as transaction:
            for key in keys:
                value = transaction.get(key)
                yield value[len(value) - 8 - length(value, lengths) : len(value) - 8]

    return records.measure(values, scale)


def plain_lmdb_bytes(scale: Scale) -> Measurement:
    """The same as byte strings."""
    return plain_lmdb(scale, buffers=False)


def array_record(scale: Scale) -> Measurement:
    """ArrayRecord's own reader, 64 indices a call."""
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(records.arrayrecord(scale))
    order = records.shuffled(scale)

    def read() -> Iterator[bytes]:
        for start in range(0, len(order), 64):
            yield from reader.read(order[start : start + 64])

    return records.measure(read, scale)


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack's LMDBSerializer, shuffled."""
    from tensorpack.dataflow import LMDBSerializer

    flow = LMDBSerializer.load(records.tensorpack_lmdb(scale), shuffle=True)
    flow.reset_state()
    return records.measure(lambda: (item for [item] in flow), scale)


CLAIM = Claim(
    name="read_random",
    work="""
The records of `read_sequential` in a shuffled order. The limit reads its megabytes in random order, too.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "one file, 1 MB at a time, at random"),
        System("lmdb-views", Role.CLAIM, lmdb_views, "ps.open('x.lmdb', copy=False).shuffle()", reach=3.5),
        System("tar-bytes", Role.CLAIM, tar_bytes, "ps.open('x.tar').shuffle()"),
        System("lmdb-bytes", Role.EXTRA, lmdb_bytes, "ps.open('x.lmdb').shuffle()"),
        System("tar-views", Role.EXTRA, tar_views, "ps.open('x.tar', copy=False).shuffle()"),
        System("arrayrecord", Role.EXTRA, arrayrecord, "ps.open('x.array_record').shuffle()"),
        System("plain-lmdb-views", Role.PEER, plain_lmdb, "py-lmdb, get() of buffers"),
        System("plain-lmdb-bytes", Role.PEER, plain_lmdb_bytes, "py-lmdb, get() of bytes"),
        System("plain-files", Role.PEER, plain_files, "a loop over loose files"),
        System("tensorpack", Role.PEER, tensorpack, "LMDBSerializer.load(shuffle=True)"),
        System("array-record", Role.PEER, array_record, "its own reader, 64 at a time"),
    ),
    reach=0.9,
    unit="GB/s",
    per_unit=1e9,
    weakest=True,
    peers=("lmdb", "tensorpack", "array_record"),
    prepare=photos.prepare,
)
