"""A store of 1.28 million records is open at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.claim import Claim, Measurement, Role, Scale, System
from benchmarks.workloads import records


def count(scale: Scale) -> int:
    """How many records there are."""
    return scale.of(1_280_000, 50_000)


def content(number: int) -> bytes:
    """A record."""
    return b"%012d" % number


def store(scale: Scale, suffix: str, wrap: Callable[[int], Any], **options: Any) -> str:
    """The path of a store of small records, made once."""

    def make(path: str) -> None:
        import penstock as ps

        ps.range(count(scale)).map(wrap).save(path, format_of(suffix), progress=False, **options)

    return records.store(scale, f"small-{count(scale)}{suffix}", make)


def format_of(suffix: str) -> str:
    """The format's name."""
    return suffix[1:]


def measure(opened: Callable[[], Any], take: Callable[[Any, int], Any], scale: Scale) -> Measurement:
    """Open a store, and read the record in the middle; the first time in this process."""
    middle = count(scale) // 2
    started = time.perf_counter()
    found = take(opened(), middle)
    seconds = time.perf_counter() - started
    if bytes(found) != content(middle):
        raise AssertionError(f"record {middle} should be {content(middle)!r}, not {found!r}")
    return Measurement(1.0, seconds)


def limit(scale: Scale) -> Measurement:
    """A tenth of a second."""
    return Measurement(1.0, 0.1)


def lmdb(scale: Scale) -> Measurement:
    """Penstock's LMDB."""
    import penstock as ps

    path = store(scale, ".lmdb", content)
    return measure(lambda: ps.open(path), lambda dataset, k: dataset[k], scale)


def tar(scale: Scale) -> Measurement:
    """A tar file with a kept index."""
    import penstock as ps

    path = store(scale, ".tar", lambda number: {"bin": content(number)})
    if not os.path.exists(path + ".index"):
        len(ps.open(path, index="beside"))
    return measure(lambda: ps.open(path), lambda dataset, k: dataset[k]["bin"], scale)


def tfrecord(scale: Scale) -> Measurement:
    """A TFRecord file with kept places."""
    import penstock as ps

    path = store(scale, ".tfrecord", content)
    if not os.path.exists(path + ".index"):
        len(ps.open(path, index="beside"))
    return measure(lambda: ps.open(path), lambda dataset, k: dataset[k], scale)


def arrayrecord(scale: Scale) -> Measurement:
    """An ArrayRecord file, compared by its library, which opens it for itself."""
    return _arrayrecord(scale)


def arrayrecord_alone(scale: Scale) -> Measurement:
    """An ArrayRecord file, without its library."""
    return _arrayrecord(scale, verify="never")


def _arrayrecord(scale: Scale, **options: str) -> Measurement:
    import penstock as ps

    path = store(scale, ".arrayrecord", content, compression=None)
    return measure(lambda: ps.open(path, **options), lambda dataset, k: dataset[k], scale)


def mds(scale: Scale) -> Measurement:
    """A folder of MDS shards."""
    import penstock as ps

    path = store(scale, ".mds", lambda number: {"x": content(number)})
    return measure(lambda: ps.open(path), lambda dataset, k: dataset[k]["x"], scale)


def array_record_library(scale: Scale) -> Measurement:
    """ArrayRecord's library, as it is meant for random access."""
    from array_record.python.array_record_module import ArrayRecordReader

    path = store(scale, ".arrayrecord", content, compression=None)
    options = "readahead_buffer_size:0,max_parallelism:0"
    return measure(lambda: ArrayRecordReader(path, options), lambda reader, k: reader.read(k, k + 1)[0], scale)


def plain_lmdb(scale: Scale) -> Measurement:
    """py-lmdb, the same file, one look-up."""
    import lmdb

    path = store(scale, ".lmdb", content)

    def take(env: Any, number: int) -> Any:
        with env.begin() as transaction:
            value = transaction.get(number.to_bytes(8, "big"))
            return value[value.index(b"%012d" % number) :][:12]

    return measure(lambda: lmdb.open(path, subdir=False, readonly=True, lock=False), take, scale)


CLAIM = Claim(
    name="open",
    work="""
A store of 1,280,000 records of 12 bytes, in the page cache: from `ps.open` to the record in the middle, the first time
in a process. The limit is a tenth of a second. An ArrayRecord file is opened twice if its checksums are compared: once
here and once by its library, which alone can compare them.
""",
    systems=(
        System("limit", Role.LIMIT, limit, "0.1 s"),
        System("lmdb", Role.CLAIM, lmdb, "ps.open('x.lmdb')[k]"),
        System("tar", Role.CLAIM, tar, "ps.open('x.tar')[k], index kept"),
        System("tfrecord", Role.CLAIM, tfrecord, "ps.open('x.tfrecord')[k], places kept"),
        System("mds", Role.CLAIM, mds, "ps.open('x.mds')[k]"),
        System("arrayrecord-alone", Role.EXTRA, arrayrecord_alone, "ps.open('x.arrayrecord', verify='never')[k]"),
        System("arrayrecord", Role.EXTRA, arrayrecord, "ps.open('x.arrayrecord')[k]"),
        System("plain-lmdb", Role.PEER, plain_lmdb, "py-lmdb, one get"),
        System("array-record-library", Role.PEER, array_record_library, "ArrayRecordReader, one read"),
    ),
    reach=1.0,
    unit="s",
    duration=True,
    weakest=True,
    seconds=None,
    timeout=300.0,
    peers=("lmdb", "array_record"),
)
