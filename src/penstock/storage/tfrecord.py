"""TFRecord: byte strings one after another, each with its length and two checksums; TensorFlow is not needed.

    length, 8 bytes ┊ crc32c of the length, 4 ┊ data ┊ crc32c of the data, 4      … and so on, little-endian, masked

Such a file has no index. The first opening hops from length to length for the places of the records, 8 bytes each, and
keeps those of many beside the file (``kept_index``). The checksums of lengths are compared then, all at once; those of
data when a record is read. A file that ends where a record ends is whole as far as anybody can tell.

A file in gzip has no places to hop to: it is a Stream, and resuming unpacks it from the front.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from penstock.errors import ArgumentTypeError, CorruptRecord, StoreError
from penstock.graph.checking import choice, flag, short
from penstock.graph.storing import Format, Reader, Recorder, Tape, require, sampled
from penstock.storage import kept_index
from penstock.storage.shards import Kept, Sharded, mapped, shards_of
from penstock.storage.tfrecord_example import decode_example, encode_example, kinds_of
from penstock.storage.tfrecord_places import HEAD, LENGTH, MASK, TAIL, Places, begins, places_of

CHECK = struct.Struct("<I")
MOST = 1 << 31  # bytes of a record in a packed file: the most that a protocol buffer may have
PIECE = 1 << 20  # bytes that are unpacked at once
VALUES = ("bytes", "example", "sequence_example")
SHARDS = 48  # bits of a position that say where in a file it is; those above say in which
GZIP = b"\x1f\x8b"


def open_tfrecord(
    path: str, *, values: str = "bytes", verify: str = "first", copy: bool = True, index: str = "auto"
) -> Reader | Tape:
    """Open a TFRecord file.

    Args:
        path: the file, or several: ``"train-*.tfrecord"``. One in gzip can only be read from the front.
        values: what the records are: ``"bytes"``, as they are; ``"example"``, a ``tf.train.Example``, which becomes a
            dict of an array of int64, an array of float32 or a list of byte strings for each feature, in the order of
            their names; ``"sequence_example"``, a dict with ``"context"``, as above, and ``"feature_lists"``.
        verify: when checksums of data are compared: on the ``"first"`` reading of each record in a process,
            ``"always"``, or ``"never"``.
        copy: whether ``"bytes"`` are ``bytes``; else they are read-only arrays of uint8 that view the mapped file.
        index: ``"auto"``: where the records lie is kept beside a file of 20,000 and more, as ``<file>.index``, where
            that is possible; ``"beside"``: beside any, or it is an error; ``"memory"``: it is neither looked for nor
            kept. A file in gzip has none.

    Raises:
        StoreError: it is no such file, or truncated within a record; says which.
        MissingExtra: checksums are to be compared, and google-crc32c is not installed.
    """
    where = f"open({path!r})"
    choice(values, VALUES, where, "values")
    choice(verify, ("first", "always", "never"), where, "verify")
    flag(copy, where, "copy")
    choice(index, kept_index.WAYS, where, "index")
    crc = None if verify == "never" else crc32c(f'{where} (or say verify="never")')
    decode = decoder_of(values, copy=copy)
    shards = kept_index.without(shards_of(path))
    packed = [is_packed(shard) for shard in shards]
    if any(packed):
        if not all(packed):
            raise StoreError(f"{where}: some of the files are in gzip, and others are not. Open them one by one.")
        return GzipTape(path, shards, decode, crc)
    return TfrecordReader(
        [places_of(shard, index) for shard in shards], path, shards, decode, crc, once=verify == "first"
    )


def is_packed(path: str) -> bool:
    """Tell whether a file is in gzip; it is none if it could be what it should be."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from error
    return not begins(head) and (head.startswith(GZIP) or path.endswith(".gz"))


def decoder_of(values: str, *, copy: bool) -> Callable[[Any], Any]:
    """Return the function that makes an item of a record's bytes."""
    if values == "bytes":
        return bytes if copy else lambda data: np.frombuffer(data, np.uint8)
    nested = values == "sequence_example"
    return lambda data: decode_example(data, nested=nested)


def crc32c(purpose: str) -> Callable[[Any], int]:
    """Return the function that computes a checksum, as it stands in files."""
    value = require("google_crc32c", "tfrecord", purpose).value

    def masked(data: Any) -> int:
        crc: int = value(data)
        return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF

    return masked


class TfrecordReader(Sharded):
    """Files that are mapped, and the place of each record."""

    def __init__(  # noqa: PLR0913  where the records are, and what becomes of them
        self,
        places: list[Places],
        path: str,
        shards: list[str],
        decode: Callable[[Any], Any],
        crc: Callable[[Any], int] | None,
        *,
        once: bool,
    ) -> None:
        self.decode = decode
        self.crc = crc
        self.once = once
        self.starts = [found.starts for found in places]
        super().__init__(path, shards, [len(starts) - 1 for starts in self.starts])
        checks = b"".join(found.check.to_bytes(4, "little") for found in places)
        self.tag = f"{places[0].check if len(places) == 1 else zlib.crc32(checks):08x}"
        self.fresh = [np.full(len(starts) - 1, crc is not None) for starts in self.starts]
        self.maps = Kept(lambda shard: mapped(shards[shard], int(self.starts[shard][-1])))

    def record(self, shard: int, number: int) -> Any:
        """Return a record, compared with its checksum where that is due."""
        starts, memory = self.starts[shard], self.maps[shard]
        end = int(starts[number + 1]) - TAIL
        data = memory[int(starts[number]) + HEAD : end]
        if self.fresh[shard][number]:
            self.compare(shard, number, data, CHECK.unpack_from(memory, end)[0])
        try:
            return self.decode(data)
        except ValueError as error:
            raise CorruptRecord(f"{self.named(shard, number)} is no such example: {error}.") from error

    def compare(self, shard: int, number: int, data: memoryview, wanted: int) -> None:
        """Compare a record's data with its checksum."""
        assert self.crc is not None
        found = self.crc(bytes(data))  # the library takes nothing else
        if found != wanted:
            raise CorruptRecord(
                f"{self.named(shard, number)} is corrupt: its checksum is {found:#x} and was {wanted:#x} when it was "
                "written."
            )
        if self.once:
            self.fresh[shard][number] = False

    def schema(self) -> Any:
        """Return the features of the first record, and what each holds."""
        first = self[0] if len(self) else None
        return kinds_of(first) if isinstance(first, dict) else None

    def close(self) -> None:
        """Do nothing: a map goes with the last view of it."""


class GzipTape(Tape):
    """Files in gzip. A position is a place in what a file unpacks to, and which file it is."""

    def __init__(
        self, path: str, shards: list[str], decode: Callable[[Any], Any], crc: Callable[[Any], int] | None
    ) -> None:
        self.path = path
        self.shards = shards
        self.decode = decode
        self.crc = crc
        self.tag = f"{zlib.crc32(' '.join(map(sampled, shards)).encode()):08x}"

    def read(self, position: int) -> Iterator[tuple[Any, int]]:
        """Yield records with the place behind each."""
        first, at = divmod(position, 1 << SHARDS)
        for number in range(first, len(self.shards)):
            for item, place in self.read_shard(self.shards[number], at):
                yield item, number << SHARDS | place
            at = 0

    def read_shard(self, path: str, at: int) -> Iterator[tuple[Any, int]]:
        """Yield a file's records from a place on, with the place behind each."""
        if not os.path.getsize(path):
            raise StoreError(f"{path} is truncated: it is empty, and even nothing takes some bytes in gzip.")
        with gzip.open(path, "rb") as file:
            for start in range(0, at, PIECE):
                if not self.part(file, min(PIECE, at - start)):
                    raise StoreError(f"{path} ends before its byte {at}, where reading was to go on.")
            while head := self.part(file, HEAD):
                data = self.data(file, head, at)
                try:
                    item = self.decode(memoryview(data))
                except ValueError as error:
                    raise corrupt(path, at, f"is no such example: {error}") from error
                at += HEAD + len(data) + TAIL
                yield item, at

    def data(self, file: gzip.GzipFile, head: bytes, at: int) -> bytes:
        """Return a record's data, whose length is believed as far as there is anything."""
        path = str(file.name)
        if not begins(head):
            raise corrupt(path, at, "has a length that differs from its checksum")
        length = LENGTH.unpack_from(head)[0]
        if length > MOST:
            raise corrupt(path, at, f"says that it has {length} bytes")
        data = b"".join(self.part(file, min(PIECE, length - done)) for done in range(0, length, PIECE))
        tail = self.part(file, TAIL)
        if len(data) < length or len(tail) < TAIL:
            raise corrupt(path, at, f"is truncated: {len(data)} bytes of {length}")
        if self.crc is not None and self.crc(data) != CHECK.unpack(tail)[0]:
            raise corrupt(path, at, "differs from its checksum")
        return data

    def part(self, file: gzip.GzipFile, size: int) -> bytes:
        """Unpack some bytes; fewer at the end."""
        try:
            return file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptRecord(f"{file.name} cannot be unpacked: {error}") from error


def corrupt(path: str, at: int, what: str) -> CorruptRecord:
    """Return the error of one record."""
    return CorruptRecord(f"the record at byte {at} of what {path} unpacks to {what}.")


# ---------------------------------------------------------------------------------------------------------- writing


class TfrecordRecorder(Recorder):
    """Writes records one after another."""

    def __init__(self, path: str, values: str, file: IO[bytes]) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        self.values = values
        self.crc = crc32c(self.where)
        self.file = file

    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item."""
        if self.values == "example":
            item = encode_example(item, self.where)
        elif isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 1:
            item = item.tobytes()
        elif not isinstance(item, bytes):
            raise ArgumentTypeError(
                f"{self.where}: TFRecord holds byte strings, not {short(item)}. Turn items into bytes in a map(), or "
                'dicts into Examples with values="example".'
            )
        length = LENGTH.pack(len(item))
        self.file.write(b"".join([length, CHECK.pack(self.crc(length)), item, CHECK.pack(self.crc(item))]))

    def finish(self) -> None:
        """Close the file: nothing stands at the end of it."""
        self.file.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def create_tfrecord(path: str, *, values: str = "bytes", compression: str | None = None) -> Recorder:
    """Begin a file.

    Args:
        path: the file; there is none yet.
        values: ``"bytes"``, items are byte strings; ``"example"``, items are dicts whose values are whole numbers,
            floating point numbers, texts or byte strings, one or a list or an array of one axis; each becomes a
            feature of a ``tf.train.Example``: int64, float32 or bytes. To be opened with ``values="example"``, too.
        compression: ``"gzip"``, which makes it a Stream; None for none, and gzip if the name ends in ``.gz``.
    """
    where = f"save({os.path.basename(path)!r})"
    choice(values, VALUES[:2], where, "values")
    if compression is not None:
        choice(compression, ("gzip",), where, "compression")
    if compression is None and not path.endswith(".gz"):
        return TfrecordRecorder(path, values, open(path, "wb"))
    packed: Any = gzip.GzipFile("", "wb", 6, open(path, "wb"), mtime=0)  # noqa: SIM115  closed by the recorder
    packed.myfileobj = packed.fileobj  # what it closes along
    return TfrecordRecorder(path, values, packed)


def recognise(path: str) -> bool:
    """Tell whether something begins with a length and its checksum."""
    try:
        with open(path, "rb") as file:
            return begins(file.read(HEAD))
    except OSError:
        return False


ENDINGS = (".tfrecord", ".tfrecords", ".tfrec")
FORMAT = Format(
    "tfrecord", (*ENDINGS, *(f"{e}.gz" for e in ENDINGS)), open_tfrecord, create_tfrecord, recognise, patterns=True
)
