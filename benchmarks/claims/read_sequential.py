"""Encoded records from the first to the last, from the page cache."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.workloads import photos, records


def limit(scale: Scale) -> Measurement:
    """One file, a megabyte at a time, into one buffer."""
    return records.read_in_pieces(scale)


def opened(path: str, scale: Scale, **options: Any) -> Measurement:
    """A store of Penstock's, iterated."""
    import penstock as ps

    dataset = ps.open(path, **options)
    return records.measure(lambda: dataset, scale)


def lmdb_views(scale: Scale) -> Measurement:
    """Views of the file's pages."""
    return opened(records.lmdb(scale), scale, copy=False)


def lmdb_bytes(scale: Scale) -> Measurement:
    """Byte strings."""
    return opened(records.lmdb(scale), scale)


def tar_fields(scale: Scale, **options: Any) -> Measurement:
    """The one member of each sample."""
    import penstock as ps

    dataset = ps.open(records.tar(scale), fields=["jpg"], **options)
    return records.measure(lambda: (sample["jpg"] for sample in dataset), scale)


def tar_bytes(scale: Scale) -> Measurement:
    """Byte strings out of a tar file."""
    return tar_fields(scale)


def tar_views(scale: Scale) -> Measurement:
    """Views into a tar file."""
    return tar_fields(scale, copy=False)


def tar_stream(scale: Scale) -> Measurement:
    """A tar file from the front, without an index."""
    return tar_fields(scale, stream=True)


def arrayrecord(scale: Scale) -> Measurement:
    """An ArrayRecord file that its library wrote."""
    return opened(records.arrayrecord(scale), scale)


def files(scale: Scale) -> Measurement:
    """Loose files."""
    import penstock as ps

    dataset = ps.items(photos.paths(scale)).map(whole)
    return records.measure(lambda: dataset, scale)


def whole(path: str) -> bytes:
    """A file's content."""
    with open(path, "rb") as file:
        return file.read()


# Peers ----------------------------------------------------------------------------------------------------------------


def plain_files(scale: Scale) -> Measurement:
    """A loop over loose files."""
    return records.measure(lambda: map(whole, photos.paths(scale)), scale)


def plain_lmdb(scale: Scale, *, buffers: bool = True) -> Measurement:
    """py-lmdb's own cursor, over the values as they lie there."""
    import lmdb

    env = lmdb.open(records.lmdb(scale), subdir=False, readonly=True, lock=False, readahead=True)
    lengths = set(map(len, records.blobs(scale)))

    def values() -> Iterator[Any]:
        with env.begin(buffers=buffers) as transaction:
            for key, value in transaction.cursor():
                if bytes(key[:1]) == b"\xff":
                    return
                yield value[len(value) - 8 - length(value, lengths) : len(value) - 8]

    return records.measure(values, scale)


def length(value: Any, lengths: set[int]) -> int:
    """Bytes of the photograph within a value, which has a header of less than a hundred bytes and a check sum."""
    most = len(value) - 8
    return next(n for n in range(most, most - 200, -1) if n in lengths and value[-8 - n : -6 - n] == JPEG)


JPEG = b"\xff\xd8"


def plain_lmdb_bytes(scale: Scale) -> Measurement:
    """The same as byte strings."""
    return plain_lmdb(scale, buffers=False)


def tensorpack(scale: Scale) -> Measurement:
    """Tensorpack's LMDBSerializer, from its file."""
    from tensorpack.dataflow import LMDBSerializer

    flow = LMDBSerializer.load(records.tensorpack_lmdb(scale), shuffle=False)
    flow.reset_state()
    return records.measure(lambda: (item for [item] in flow), scale)


def python_tarfile(scale: Scale) -> Measurement:
    """The standard library's tarfile."""

    def members() -> Iterator[bytes]:
        with tarfile.open(records.tar(scale)) as archive:
            for member in archive:
                yield archive.extractfile(member).read()  # type: ignore[union-attr]

    return records.measure(members, scale)


def webdataset(scale: Scale) -> Measurement:
    """WebDataset, without decoding."""
    import webdataset

    path = records.tar(scale)
    return records.measure(
        lambda: (sample["jpg"] for sample in webdataset.WebDataset(path, shardshuffle=False, empty_check=False)), scale
    )


def array_record(scale: Scale) -> Measurement:
    """ArrayRecord's own reader, in batches of 64."""
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(records.arrayrecord(scale))
    count = reader.num_records()

    def read() -> Iterator[bytes]:
        for start in range(0, count, 64):
            yield from reader.read(start, min(count, start + 64))

    return records.measure(read, scale)


CLAIM = Claim(
    name="read_sequential",
    work="""
2,000 JPEG files of about 100 KB as records of a store, in order, from the page cache, not decoded. The limit reads
one file of the same bytes in pieces of a megabyte into one buffer. MosaicML's and LitData's readers are not here: they
ask for other versions of NumPy or PyTorch than the rest of this environment has.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "one file, 1 MB at a time, `readinto`"),
        System("lmdb-views", Role.CLAIM, lmdb_views, "ps.open('x.lmdb', copy=False)", reach=4.0),
        System("lmdb-bytes", Role.CLAIM, lmdb_bytes, "ps.open('x.lmdb')"),
        System("tar-bytes", Role.CLAIM, tar_bytes, "ps.open('x.tar')"),
        System("tar-views", Role.EXTRA, tar_views, "ps.open('x.tar', copy=False)"),
        System("tar-stream", Role.EXTRA, tar_stream, "ps.open('x.tar', stream=True)"),
        System("arrayrecord", Role.EXTRA, arrayrecord, "ps.open('x.array_record')"),
        System("files", Role.EXTRA, files, "loose files in a map"),
        System("plain-lmdb-views", Role.PEER, plain_lmdb, "py-lmdb, a cursor of buffers"),
        System("plain-lmdb-bytes", Role.PEER, plain_lmdb_bytes, "py-lmdb, a cursor of bytes"),
        System("plain-files", Role.PEER, plain_files, "a loop over loose files"),
        System("tensorpack", Role.PEER, tensorpack, "LMDBSerializer.load"),
        System("tarfile", Role.PEER, python_tarfile, "the standard library"),
        System("webdataset", Role.PEER, webdataset, "WebDataset, no decoding"),
        System("array-record", Role.PEER, array_record, "its own reader, 64 at a time"),
    ),
    reach=1.0,
    unit="GB/s",
    per_unit=1e9,
    weakest=True,
    peers=("lmdb", "tensorpack", "webdataset", "array_record"),
    prepare=photos.prepare,
)
