"""Where things are in an ArrayRecord file: blocks, chunks, and the footer that lists the chunks.

    file      blocks of 64 KiB; each begins with 24 bytes that are no part of what flows through it
    chunks    40 bytes: hash ┊ size of data ┊ hash of data ┊ type, 1, and number of records, 7 ┊ size when decoded
              then the data: compression ┊ size of the lengths ┊ lengths of the records ┊ records
    end       … records │ footer: each chunk's place, size and number of records │ padding │ last block: where that is

A *flow* is a place counted without the heads of blocks. All hashes are HighwayHash, which no Python library computes
at speed; here sizes and counts are compared, which are written twice.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import CorruptRecord, StoreError
from penstock.storage.protobuf import SIZED, VARINT, fields, numbers_at, varint, varints
from penstock.storage.unpacking import unpack

BLOCK, HEAD = 1 << 16, 24
ROOM = BLOCK - HEAD
CHUNK = struct.Struct("<QQQQQ")
MAGIC = 0x71930E704FDAE05E
MOST = 1 << 32  # bytes of a decoded chunk
PACKED = 128  # records for each byte of a file are too many, even if they are empty and compressed
RECORDS, TRANSPOSED = ord("r"), ord("t")
PLAIN = 0
PACKINGS = {ord("z"): "zstd", ord("b"): "br"}
TAGS = 8, 16, 24  # of the footer's numbers: offset, decoded size, number of records
PIECE = 1 << 16  # bytes of the footer that are looked at together
HASHES = 4096  # chunks whose hashes a tag counts in


class Chunk(NamedTuple):
    """What the head of a chunk says."""

    kind: int
    records: int
    flow: int
    """Where its data begins."""
    nbytes: int
    decoded: int


class Flow:
    """A mapped file, read as if blocks had no heads."""

    def __init__(self, memory: memoryview, path: str) -> None:
        self.memory = memory
        self.path = path
        self.end = flow_of(len(memory))

    def read(self, flow: int, size: int) -> memoryview:
        """Return some bytes: a view where they lie in one block."""
        if flow < 0 or size < 0 or size > self.end - flow:
            raise CorruptRecord(f"{self.path} is corrupt: {size} bytes at {flow} are not in it.")
        block, at = divmod(flow, ROOM)
        start = block * BLOCK + HEAD + at
        if at + size <= ROOM:
            return self.memory[start : start + size]
        return memoryview(self.copied(flow, size))

    def copied(self, flow: int, size: int) -> bytes:
        """Return some bytes that are in the file, copied."""
        block, at = divmod(flow, ROOM)
        memory, start = self.memory, block * BLOCK + HEAD + at
        if at + size <= ROOM:
            return bytes(memory[start : start + size])
        parts = [memory[start : start + ROOM - at]]
        left = size - (ROOM - at)
        while left > 0:
            block += 1
            start = block * BLOCK + HEAD
            parts.append(memory[start : start + min(left, ROOM)])
            left -= ROOM
        return b"".join(parts)

    def chunk(self, offset: int) -> Chunk:
        """Return what stands at the head of a chunk, at a place in the file."""
        flow = flow_of(offset)
        _, nbytes, _, numbers, decoded = CHUNK.unpack(self.read(flow, CHUNK.size))
        chunk = Chunk(numbers & 0xFF, numbers >> 8, flow + CHUNK.size, nbytes, decoded)
        if chunk.flow + nbytes > self.end or decoded > MOST:
            raise CorruptRecord(f"{self.path} is corrupt: its chunk at byte {offset} has {nbytes} bytes.")
        return chunk

    def lengths(self, chunk: Chunk) -> tuple[int, NDArray[np.int64], int, int]:
        """Return the compression of a chunk, its records' lengths, and where these lie and with how many bytes.

        Raises:
            ValueError: it cannot be so.
        """
        head = self.read(chunk.flow, min(chunk.nbytes, 11))
        if not len(head):
            raise ValueError("it is empty")
        packing = head[0]
        size, at = varint(head, 1)
        if at + size > chunk.nbytes:
            raise ValueError(f"its lengths have {size} bytes")
        data = self.read(chunk.flow + at, size)
        if packing != PLAIN:
            data = memoryview(self.unpacked(packing, data, 10 * chunk.records))
        found = varints(data)
        flow, left = chunk.flow + at + size, chunk.nbytes - at - size
        # compared one by one first: their sum may be any number
        if len(found) != chunk.records or (found < 0).any() or (found > chunk.decoded).any():
            raise ValueError(f"it has {len(found)} lengths for {chunk.records} records")
        if int(found.sum()) != chunk.decoded or (packing == PLAIN and left != chunk.decoded):
            raise ValueError(f"its records have {int(found.sum())} bytes, and {chunk.decoded} are there")
        return packing, found, flow, left

    def unpacked(self, packing: int, data: memoryview, most: int) -> bytes:
        """Return what a compressed part of a chunk holds; its size stands before it."""
        if packing not in PACKINGS:
            raise ValueError(f"its compression is {chr(packing)!r}, and must be zstd or brotli")
        size, at = varint(data, 0)
        if size > most:
            raise ValueError(f"a part says that it has {size} bytes")
        return unpack(PACKINGS[packing], data[at:], size, self.path) if size or len(data) > at else b""


def flow_of(offset: int) -> int:
    """Return the flow of a place in the file; of the head of a block it is what comes behind it."""
    block, at = divmod(offset, BLOCK)
    return block * ROOM + max(0, at - HEAD)


@dataclass(frozen=True)
class Footer:
    """The chunks of a file."""

    offsets: NDArray[np.int64]
    decoded: NDArray[np.int64]
    firsts: NDArray[np.int64]
    """The number of each chunk's first record, and of all records."""
    tag: int


def footer_of(flow: Flow) -> Footer:
    """Read a footer.

    Raises:
        StoreError: there is none, or it cannot be so.
    """
    size = len(flow.memory)
    try:
        if size < 2 * BLOCK or size % BLOCK:
            raise ValueError(f"it has {size} bytes, which are no two blocks or more of {BLOCK}")
        first, _ = records_of(flow, flow.chunk(size - BLOCK))
        said = {field: value for field, kind, value in fields(first) if kind == VARINT}
        if said.get(2) != MAGIC or not 0 < said.get(1, 0) < size - BLOCK:
            raise ValueError("its last block does not say where the footer is")
        first, rest = records_of(flow, flow.chunk(said[1]))
        about = [value for field, kind, value in fields(first) if field == 1 and kind == SIZED]
        counts = {field: value for field, kind, value in fields(about[0]) if kind == VARINT}
        offsets, decoded, numbers = listed(rest)
        if (offsets >= size).any() or (numbers > size * PACKED).any() or numbers.sum(dtype=float) > size * PACKED:
            raise ValueError("its footer lists more than there can be")
        firsts = np.concatenate([[0], np.cumsum(numbers)])
        if len(offsets) != counts.get(2, 0) or firsts[-1] != counts.get(3, 0):
            raise ValueError(f"its footer lists {len(offsets)} chunks of {counts.get(2)}")
        if (np.diff(offsets, prepend=0, append=said[1]) <= 0).any() or (numbers <= 0).any() or (decoded < 0).any():
            raise ValueError("its footer has chunks that cannot be")
    except (ValueError, IndexError, OverflowError) as error:
        raise StoreError(f"{flow.path} is no ArrayRecord file, truncated or corrupt: {error}.") from error
    hashes = offsets[:: max(1, len(offsets) // HASHES)] + 16
    pieces = np.lib.stride_tricks.sliding_window_view(np.frombuffer(flow.memory, np.uint8), 8)[hashes]
    check = zlib.crc32(pieces.tobytes(), zlib.crc32(offsets.tobytes()))
    return Footer(offsets, decoded, firsts, check)


def records_of(flow: Flow, chunk: Chunk) -> tuple[memoryview, memoryview]:
    """Return the first record of a chunk, and the others, which stand one behind the other."""
    if chunk.kind != RECORDS:
        raise ValueError("there is no chunk of records where one should be")
    packing, lengths, at, nbytes = flow.lengths(chunk)
    data = flow.read(at, nbytes)
    if packing != PLAIN:
        data = memoryview(flow.unpacked(packing, data, chunk.decoded))
    if int(lengths.sum()) != len(data):
        raise ValueError(f"its records have {int(lengths.sum())} bytes of {len(data)}")
    end = int(lengths[0])
    return data[:end], data[end:]


def listed(data: memoryview) -> tuple[NDArray[np.int64], ...]:
    """Return place, decoded size and number of records of each chunk.

    No number is 0 as a rule, so all six stand there for each chunk: three tags and three numbers.
    """
    content = np.frombuffer(data, np.uint8)
    found: list[list[NDArray[np.int64]]] = []
    at = 0
    while at < len(content):  # a piece at a time, which stays in the cache
        ends = np.flatnonzero(content[at : at + PIECE] < 0x80) + at + 1
        ends = ends[: len(ends) // 6 * 6]
        tags, numbers = ends[::2], ends[1::2]
        said = content[tags - 1]
        if (
            not len(ends)
            or tags[0] != at + 1
            or (tags[1:] - numbers[:-1] != 1).any()
            or any((said[k::3] != TAGS[k]).any() for k in range(3))
        ):
            return listed_singly(data)
        found.append([numbers_at(content, tags[k::3], numbers[k::3]) for k in range(3)])
        at = int(ends[-1])
    return tuple(map(np.concatenate, zip(*found, strict=True))) if found else listed_singly(data)


def listed_singly(data: memoryview) -> tuple[NDArray[np.int64], ...]:
    """Return the same of any such message, field by field."""
    rows: list[list[int]] = []
    for field, kind, value in fields(data):
        if kind != VARINT or not 1 <= field <= 3:
            continue
        if field == 1:
            rows.append([0, 0, 0])
        rows[-1][field - 1] = value
    found = np.array(rows, np.int64).reshape(-1, 3)
    return found[:, 0].copy(), found[:, 1].copy(), found[:, 2].copy()
