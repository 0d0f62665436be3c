"""Blocks of text: where the records of files that are lines, more or less, begin; about a megabyte of them together.

file     {"x": 1}⏎{"x": 2}⏎ … │ {"x": 900}⏎ …  │ …
             block 0                 block 1            only the borders of blocks are kept: 24 bytes each
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError
from penstock.graph.storing import require
from penstock.storage.grouped import Known

BLOCK = 1 << 20  # bytes of a block, about
CHUNK = 4 << 20  # bytes that are looked at together
LONGEST = 1 << 30  # bytes that one record may have
NEWLINE, RETURN, QUOTE = b'\n\r"'
PACKED = (".gz", ".zst", ".bz2")


class Block(NamedTuple):
    """Some whole records of a file."""

    start: int
    end: int
    records: int


class Scan:
    """Finds the ends of records in a file, chunk by chunk."""

    def __init__(self, *, quotes: bool, blanks: bool) -> None:
        self.quotes = quotes
        """Whether a line may end between quotes, and is not the end of a record then."""
        self.blanks = blanks
        """Whether an empty line is a record."""
        self.at = 0
        self.begun = 0
        self.inside = 0
        self.last = b""

    def ends(self, chunk: bytes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return where records end in the file, behind their newlines, and which of them are no empty lines."""
        data = np.frombuffer(chunk, np.uint8)
        ends = np.flatnonzero(data == NEWLINE)
        if self.quotes and (self.inside or b'"' in chunk):
            quotes = np.flatnonzero(data == QUOTE)
            ends = ends[(quotes.searchsorted(ends) + self.inside) % 2 == 0]
            self.inside = (self.inside + len(quotes)) % 2
        begins = np.concatenate([[self.begun - self.at], ends[:-1] + 1])[: len(ends)]
        sizes = ends - begins
        full = sizes > 0
        single = np.flatnonzero(sizes == 1)
        before = np.frombuffer(self.last + chunk, np.uint8)  # what a record begins with may be in the last chunk
        full[single] = before[begins[single] + len(self.last)] != RETURN
        found = ends + self.at + 1
        self.at += len(chunk)
        if len(found):
            self.begun = int(found[-1])
        self.last = chunk[-1:]
        return found, np.ones(len(full), np.bool_) if self.blanks else full


def blocks_of(path: str, start: int, *, quotes: bool, blanks: bool) -> list[Block]:
    """Return the blocks of a file from a place on, at which a record begins."""
    scan = Scan(quotes=quotes, blanks=blanks)
    scan.at = scan.begun = start
    found: list[Block] = []
    begun, count = start, 0
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while chunk := file.read(CHUNK):
            ends, full = scan.ends(chunk)
            totals = np.cumsum(full)
            taken = 0
            while len(ends):
                cut = int(ends.searchsorted(begun + BLOCK))
                if cut >= len(ends):
                    break
                found.append(Block(begun, int(ends[cut]), count + int(totals[cut]) - taken))
                begun, count, taken = int(ends[cut]), 0, int(totals[cut])
                if found[-1].end - found[-1].start > LONGEST:
                    break
            count += (int(totals[-1]) if len(totals) else 0) - taken
            if scan.at - scan.begun > LONGEST:
                raise StoreError(f"{path}: a record at byte {scan.begun} has more than {LONGEST} bytes, or no end.")
    tail = scan.at - scan.begun
    if tail and (blanks or tail > 1 or scan.last != b"\r"):
        count += 1
    if count:
        found.append(Block(begun, scan.at, count))
    return [block for block in found if block.records]


class Part(Known):
    """One file as blocks."""

    def __init__(self, path: str, start: int, *, quotes: bool, blanks: bool) -> None:
        super().__init__(path)
        try:
            self.blocks = blocks_of(path, start, quotes=quotes, blanks=blanks)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error

    def read(self, number: int) -> bytes:
        """Return a block's bytes."""
        self.check()
        block = self.blocks[number]
        with open(self.path, "rb", buffering=0) as file:
            return os.pread(file.fileno(), block.end - block.start, block.start)


def is_packed(path: str) -> bool:
    """Tell whether a file is compressed as a whole, by its name."""
    return path.lower().endswith(PACKED)


def unpacking(path: str) -> IO[bytes] | Any:
    """Open a compressed file for reading from the front."""
    if path.lower().endswith(".gz"):
        return gzip.open(path, "rb")
    return require("pyarrow", "tables", f"Reading {os.path.basename(path)}").input_stream(path, compression="detect")


def lines_of(path: str) -> Iterator[bytes]:
    """Yield the lines of a compressed file."""
    with unpacking(path) as file:
        rest = b""
        while chunk := file.read(CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > LONGEST:
                raise StoreError(f"{path}: a line has more than {LONGEST} bytes, or no end.")
        if rest:
            yield rest
