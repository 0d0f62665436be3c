"""Counts and entries: what the shelves of caches have in common.

    counts      two numbers for each process: items found, items missed. Each writes its own, the trainer adds them up
    entries     32 bytes for each position: where, bytes, checksum, and a seal over these and the position

An entry is written behind what it points at. Its seal tells a whole entry from nothing, from half of one, and from one
of another position; its checksum tells whether what it points at is what was written. So a kill at any moment, or two
writers at once, leave what is missing, never what is wrong.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Any, NamedTuple

from penstock.errors import UnsupportedPlatform
from penstock.graph.storing import require
from penstock.transport.common import TOKEN, Common

SLOTS = 1024  # processes that count for themselves; more share
PAIR = struct.Struct("<qq")
ENTRY = struct.Struct("<QQQQ")
FACTOR, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


class Entry(NamedTuple):
    """Where an item lies."""

    where: int
    nbytes: int
    check: int


def seal(index: int, entry: Entry) -> int:
    """Return a number that goes with an entry at a position; never 0, which is what nothing looks like."""
    mixed = index + 1
    for word in entry:
        mixed = (mixed ^ word) * FACTOR & MASK
        mixed ^= mixed >> 29
    return mixed or 1


def packed(index: int, entry: Entry) -> bytes:
    """Return an entry as bytes."""
    return ENTRY.pack(*entry, seal(index, entry))


def unpacked(index: int, data: bytes) -> Entry | None:
    """Return an entry, if these bytes are a whole one of this position."""
    if len(data) != ENTRY.size:
        return None
    *words, sealed = ENTRY.unpack(data)
    entry = Entry(*words)
    return entry if sealed == seal(index, entry) else None


def checksum() -> Any:
    """Return the faster of the checksums that can be had, with a name."""
    try:
        return "xxh3", require("xxhash", "lmdb", "").xxh3_64_intdigest
    except ImportError:
        return "crc32", zlib.crc32


class Counts:
    """Items found and missed, of all processes that share this."""

    def __init__(self) -> None:
        self.found = self.missed = 0
        self.slot = (0, -1)
        self.common: Common | None = None

    def share(self) -> Counts:
        """Return this with memory that other processes can reach, where the system has such."""
        if self.common is None:
            try:
                self.common = Common("penstock-counts", TOKEN + 8 + SLOTS * PAIR.size)
            except UnsupportedPlatform:
                return self
            self.write()
        return self

    def note(self, found: int, missed: int) -> None:
        """Count."""
        if self.slot[0] != os.getpid():  # a worker, or a fork: what was counted before is another's
            self.found = self.missed = 0
            self.slot = (os.getpid(), -1)
        self.found += found
        self.missed += missed
        if self.common is not None:
            self.write()

    def write(self) -> None:
        """Let the others know."""
        common = self.common
        assert common is not None
        if self.slot[1] < 0:
            with common.locked() as fd:
                number = int.from_bytes(os.pread(fd, 8, TOKEN), "little")
                os.pwrite(fd, (number + 1).to_bytes(8, "little"), TOKEN)
            self.slot = (os.getpid(), number % SLOTS)
        os.pwrite(common.fd, PAIR.pack(self.found, self.missed), TOKEN + 8 + self.slot[1] * PAIR.size)

    def total(self) -> tuple[int, int]:
        """Return what all have found and missed."""
        if self.common is None:
            return self.found, self.missed
        pairs = list(PAIR.iter_unpack(os.pread(self.common.fd, SLOTS * PAIR.size, TOKEN + 8)))
        return sum(found for found, _ in pairs), sum(missed for _, missed in pairs)

    def __getstate__(self) -> dict[str, Any]:
        return {"common": self.common}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        self.common = state["common"]
