"""ArrayRecord: Google's files of byte strings, in groups that may be compressed, with a list of the groups at the end.

Files are mapped and read in place, which is faster than the ``array_record`` library. That writes them, reads groups
that are transposed, and compares checksums: their hash can only be computed there. So the first reading of each group
goes through the library, and later ones do not, unless ``verify`` says something else. Snappy is not read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord
from penstock.graph.checking import choice, short, whole
from penstock.graph.storing import Format, Reader, Recorder, require
from penstock.storage.arrayrecord_layout import (
    BLOCK,
    HEAD,
    PACKINGS,
    PLAIN,
    RECORDS,
    TRANSPOSED,
    Chunk,
    Flow,
    footer_of,
)
from penstock.storage.shards import Kept, Sharded, mapped, shards_of

MODULE = "array_record.python.array_record_module"
AT_RANDOM = "readahead_buffer_size:0,max_parallelism:0"
DECODED = 256 << 20  # bytes of decoded groups that a process keeps
SIGNATURE = b"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f"  # the hash of the first block's head, which is always the same


def open_arrayrecord(path: str, *, verify: str = "first") -> Reader:
    """Open an ArrayRecord file.

    Args:
        path: the file, or several: ``"train-*.array_record"``. Items are byte strings.
        verify: when groups are compared with their checksums, which takes the ``array_record`` library: on the
            ``"first"`` reading in a process, ``"always"``, or ``"never"``. Sizes and counts are always compared.

    Raises:
        StoreError: it is no such file, or truncated.
        MissingExtra: the library is needed, and not installed.

    Records are read one by one where each has a group of its own, as the library writes by default. Of larger groups,
    each process decodes the whole and keeps some: read those in order or in blocks (``shuffle(block=…)``).
    """
    where = f"open({path!r})"
    choice(verify, ("first", "always", "never"), where, "verify")
    if verify != "never":
        require(MODULE, "arrayrecord", f'{where} (or say verify="never", which compares no checksums)')
    return ArrayRecordReader(path, shards_of(path), verify)


class Part:
    """One file: the list of its groups, and the places of records as far as they were looked up."""

    def __init__(self, path: str, *, fresh: bool) -> None:
        memory = mapped(path)
        self.nbytes = len(memory)
        self.footer = footer_of(Flow(memory, path))
        count, groups = int(self.footer.firsts[-1]), len(self.footer.offsets)
        self.singly = count == groups
        self.fresh = np.full(groups, fresh)
        """Whether a group must still be compared with its checksum."""
        self.known = np.zeros(groups, np.uint8)
        """1: its records lie there as they are, at ``starts``; 2: they must be decoded together; else there is one, and
        this is how it is compressed."""
        self.starts = np.zeros(count, np.int64)
        self.sizes = np.zeros(count, np.int64)

    def group(self, number: int) -> int:
        """Return the group that a record is in."""
        return number if self.singly else int(self.footer.firsts.searchsorted(number, "right")) - 1


class ArrayRecordReader(Sharded):
    """Files that are mapped."""

    def __init__(self, path: str, shards: list[str], verify: str) -> None:
        self.parts = [Part(shard, fresh=verify != "never") for shard in shards]
        super().__init__(path, shards, [len(part.starts) for part in self.parts])
        self.once = verify == "first"
        check = 0
        for part in self.parts:
            check = zlib.crc32(part.footer.tag.to_bytes(4, "little"), check)
        self.tag = f"{check:08x}"
        self.maps = Kept(lambda shard: Flow(mapped(shards[shard], self.parts[shard].nbytes), shards[shard]))
        self.libraries: Kept[Any] = Kept(self.library)
        self.decoded: Kept[list[bytes]] = Kept(self.decode, nbytes=DECODED, size=lambda group: sum(map(len, group)))
        self.groups = [0, *np.cumsum([len(part.footer.offsets) for part in self.parts]).tolist()]

    def record(self, shard: int, number: int) -> bytes:
        """Return a record, compared with the checksum of its group where that is due."""
        part = self.parts[shard]
        group = part.group(number)
        if part.fresh[group]:
            return self.compared(shard, group, number)
        known = part.known[group]
        if not known:
            self.look_up(shard, group)
            known = part.known[group]
        if known == 1:
            return self.maps[shard].copied(int(part.starts[number]), int(part.sizes[number]))
        if known > 2:
            return self.unpacked(shard, number, int(known))
        return self.decoded[self.groups[shard] + group][number - int(part.footer.firsts[group])]

    def compared(self, shard: int, group: int, number: int) -> bytes:
        """Return a record as the library reads it, which compares the whole group."""
        data: bytes = self.by_library(shard, number, number + 1)[0]
        if self.once:
            self.parts[shard].fresh[group] = False
        return data

    def chunk(self, shard: int, group: int) -> Chunk:
        """Return what the head of a group says, which must be what the footer says of it."""
        footer = self.parts[shard].footer
        chunk = self.maps[shard].chunk(int(footer.offsets[group]))
        count = int(footer.firsts[group + 1] - footer.firsts[group])
        if (
            chunk.kind not in (RECORDS, TRANSPOSED)
            or chunk.records != count
            or chunk.decoded != footer.decoded[group]
            or chunk.records > chunk.nbytes * BLOCK  # so that no more is believed than could have been compressed
        ):
            raise ValueError(f"the footer lists {count} records where the group has {chunk.records}")
        return chunk

    def look_up(self, shard: int, group: int) -> None:
        """Find out how the records of a group lie there."""
        part, flow = self.parts[shard], self.maps[shard]
        first = int(part.footer.firsts[group])
        try:
            chunk = self.chunk(shard, group)
            packing, lengths, start, nbytes = (
                flow.lengths(chunk) if chunk.kind == RECORDS else (TRANSPOSED, np.empty(0, np.int64), 0, 0)
            )
        except (ValueError, IndexError) as error:
            raise CorruptRecord(f"{self.named(shard, first)}: its group of records is corrupt: {error}") from error
        if packing == PLAIN:
            ends = start + np.cumsum(lengths)
            part.starts[first : first + len(ends)] = ends - lengths
            part.sizes[first : first + len(ends)] = lengths
        elif packing in PACKINGS and len(lengths) == 1:
            part.starts[first], part.sizes[first] = start, nbytes
        else:
            packing = 2
        part.known[group] = packing or 1

    def unpacked(self, shard: int, number: int, packing: int) -> bytes:
        """Return a record that is compressed by itself."""
        part, flow = self.parts[shard], self.maps[shard]
        size = int(part.footer.decoded[number if part.singly else part.group(number)])
        try:
            data = flow.unpacked(packing, flow.read(int(part.starts[number]), int(part.sizes[number])), size)
            if len(data) != size:
                raise ValueError(f"it has {len(data)} bytes of {size}")
            return data
        except (ValueError, IndexError) as error:
            raise CorruptRecord(f"{self.named(shard, number)} is corrupt: {error}") from error

    def decode(self, at: int) -> list[bytes]:
        """Return the records of a group that is compressed; groups are numbered through all files."""
        shard = int(np.searchsorted(self.groups, at, "right")) - 1
        group = at - self.groups[shard]
        part, flow = self.parts[shard], self.maps[shard]
        first, last = int(part.footer.firsts[group]), int(part.footer.firsts[group + 1])
        try:
            chunk = self.chunk(shard, group)
            if chunk.kind == RECORDS:
                packing, lengths, start, nbytes = flow.lengths(chunk)
                data = flow.unpacked(packing, flow.read(start, nbytes), chunk.decoded)
                if len(data) != chunk.decoded:
                    raise ValueError(f"it has {len(data)} bytes of {chunk.decoded}")
                ends = np.cumsum(lengths).tolist()
                return [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        except (ValueError, IndexError) as error:
            raise CorruptRecord(f"{self.named(shard, first)}: its group of records is corrupt: {error}") from error
        return self.by_library(shard, first, last)

    def by_library(self, shard: int, first: int, last: int) -> list[bytes]:
        """Return some records as the library reads them."""
        try:
            found: list[bytes] = self.libraries[shard].read(first, last)
        except (RuntimeError, ValueError, IndexError) as error:
            raise CorruptRecord(f"{self.named(shard, first)} is corrupt: {error}") from error
        if len(found) != last - first:
            raise CorruptRecord(f"{self.named(shard, first)} is corrupt: it cannot be read.")
        return found

    def library(self, shard: int) -> Any:
        """Open a file with the library, whose footer was looked at before: of some it would crash."""
        path, count = self.shards[shard], len(self.parts[shard].starts)
        reader = require(MODULE, "arrayrecord", path).ArrayRecordReader(path, AT_RANDOM)
        if not reader.ok() or reader.num_records() != count:
            raise CorruptRecord(f"{path} is corrupt: its checksums differ.")
        return reader

    def close(self) -> None:
        """Do nothing: a map goes with the last view of it."""


# ---------------------------------------------------------------------------------------------------------- writing


class ArrayRecordRecorder(Recorder):
    """Hands byte strings to the library."""

    def __init__(self, path: str, options: str) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        library = require(MODULE, "arrayrecord", self.where)
        try:
            self.writer: Any = library.ArrayRecordWriter(path, options)
        except ValueError as error:
            raise ArgumentError(f"{self.where}: {error}") from error

    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item."""
        if isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 1:
            item = item.tobytes()
        if not isinstance(item, bytes):
            raise ArgumentTypeError(
                f"{self.where}: ArrayRecord holds byte strings, not {short(item)}. Turn items into bytes in a map()."
            )
        with self.writing():
            if not self.writer.write(item) and not self.writer.ok():
                raise RuntimeError("it does not say why")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn the library's errors, which are those of the disk, into the system's."""
        try:
            yield
        except RuntimeError as error:
            raise OSError(errno.EIO, f"{self.where}: the library could not write: {error}") from error

    def finish(self) -> None:
        """Write what is left, and the footer."""
        with self.writing():
            self.writer.close()

    def close(self) -> None:
        """Let go of the file."""
        if self.writer.is_open():
            self.writer.close()


def create_arrayrecord(path: str, *, group_size: int = 1, compression: str | None = "zstd") -> Recorder:
    """Begin a file.

    Args:
        path: the file; there is none yet.
        group_size: how many records are compressed together; 1 is what random access wants.
        compression: ``"zstd"`` or ``"brotli"``, with a level as in ``"zstd:9"``; None for none, which is best for what
            is compressed already, such as JPEG.
    """
    where = f"save({os.path.basename(path)!r})"
    whole(group_size, where, "group_size", least=1)
    if compression is not None:
        choice(str(compression).partition(":")[0], ("zstd", "brotli"), where, "compression")
    return ArrayRecordRecorder(path, f"group_size:{group_size},{compression or 'uncompressed'}")


def recognise(path: str) -> bool:
    """Tell whether something begins as a file of Riegeli's chunks does, and consists of whole blocks."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
            return head[:8] == SIGNATURE and not os.fstat(file.fileno()).st_size % BLOCK
    except OSError:
        return False


FORMAT = Format(
    "arrayrecord",
    (".array_record", ".arrayrecord"),
    open_arrayrecord,
    create_arrayrecord,
    recognise,
    patterns=True,
)
