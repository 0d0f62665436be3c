"""JSON lines: a JSON value a line, which are the items just as they stand there. Nothing but Python is needed.

The borders of blocks of lines are found when the file is opened, at the speed of reading it; a line is parsed when it
is asked for. A compressed file (``.jsonl.gz``) is a Stream. There are no checksums, and where a whole line is missing
at the end, nobody can tell.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentTypeError, CorruptRecord
from penstock.graph.checking import short
from penstock.graph.storing import Format, Reader, Recorder, Tape, sampled
from penstock.storage.blocks import BLOCK, NEWLINE, Part, is_packed, lines_of
from penstock.storage.grouped import Group, Grouped, Values, files_of, tag_of

SUFFIXES = (".jsonl", ".ndjson", ".jsonlines")
PACKED = tuple([suffix + packed for suffix in SUFFIXES for packed in (".gz", ".zst", ".bz2")])
ARRAYS = (b"[", b"[{", b"{")  # how files begin that are JSON, but not by lines
KEPT = 64 * BLOCK  # bytes of blocks that a process keeps


class Lines(Values):
    """The lines of a block."""

    def __init__(self, data: bytes, first: int, where: str) -> None:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
        pairs = zip(starts.tolist(), ends.tolist(), strict=True)
        self.spans = [(start, end) for start, end in pairs if data[start:end].rstrip(b"\r")]
        self.data = data
        self.first = first
        self.where = where

    def __getitem__(self, row: int) -> Any:
        start, end = self.spans[row]
        return parsed(self.data[start:end], f"record {self.first + row} of {self.where}")

    def take(self, rows: NDArray[np.int64]) -> list[Any]:
        """Return many lines' values."""
        return [self[row] for row in rows.tolist()]


def parsed(line: bytes, where: str) -> Any:
    """Return a line's value."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        remedy = ""
        if line.strip() in ARRAYS:
            remedy = " A file that is one value is no JSON lines: penstock.items(json.load(file)), if that is a list."
        raise CorruptRecord(f"{where} is no JSON: {error}: {short(line)}.{remedy}") from error


class JsonlReader(Grouped):
    """The lines of one file or several."""

    def __init__(self, path: str) -> None:
        self.path = path
        files, self.root = files_of(path, SUFFIXES)
        self.tag = tag_of(files, self.root)
        self.parts = [Part(file, 0, quotes=False, blanks=False) for file in files]
        self.places = [(part, k) for part in self.parts for k in range(len(part.blocks))]
        super().__init__((part.blocks[k].records for part, k in self.places), KEPT)

    def load(self, number: int) -> Group:
        """Read a block."""
        part, block = self.places[number]
        data = part.read(block)
        where = f"{part.path}, in bytes {part.blocks[block].start} to {part.blocks[block].end},"
        first = int(self.starts[number] - self.starts[number - block])  # counted in its file, as one looks it up there
        lines = Lines(data, first, where)
        if len(lines.spans) != part.blocks[block].records:
            raise CorruptRecord(f"{where}: {len(lines.spans)} lines, and there were {part.blocks[block].records}.")
        return Group({None: lines}, len(lines.spans), len(data) + 100 * len(lines.spans))

    def named(self, number: int) -> str | None:
        """Return the file and the block, where there are several files."""
        part, _ = self.places[number]
        return None if part.path == self.path else os.path.relpath(part.path, self.root)

    def key(self, index: int) -> str | None:
        """Return the file that a line is in, where there are several."""
        return self.named(int(self.starts.searchsorted(index, "right")) - 1)


class JsonlTape(Tape):
    """The lines of a compressed file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tag = sampled(path)

    def read(self, position: int) -> Iterator[tuple[Any, int]]:
        """Yield values; a position counts the lines, empty ones included."""
        number = 0
        lines = lines_of(self.path)
        while True:
            try:
                line = next(lines, None)
            except (OSError, EOFError, ValueError, zlib.error) as error:
                raise CorruptRecord(f"{self.path}, behind line {number}, cannot be unpacked: {error}") from error
            if line is None:
                return
            number += 1
            if number > position and line.strip():
                yield parsed(line, f"{self.path}, line {number - 1}"), number


def open_jsonl(path: str) -> Reader | Tape:
    """Open a file of JSON lines, a folder of them, or several by a pattern: ``"logs/*.jsonl"``.

    Args:
        path: the file or folder; of a folder, all files in the order of their names. Of a file ``.jsonl.gz``,
            ``.jsonl.zst`` or ``.jsonl.bz2`` the lines are a Stream.

    Raises:
        StoreError: it cannot be read, or a line is longer than a gigabyte.
    """
    return JsonlTape(path) if is_packed(path) else JsonlReader(path)


class JsonlRecorder(Recorder):
    """Writes a line for each item."""

    def __init__(self, path: str) -> None:
        self.where = f"save({os.path.basename(path)!r})"
        if is_packed(path):
            raise ArgumentTypeError(f"{self.where}: compressed lines are only read. Save as .jsonl and compress that.")
        self.file = open(path, "wb")  # noqa: SIM115  closed by close()
        self.count = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a line."""
        try:
            line = json.dumps(item, ensure_ascii=False, default=plain)
            self.file.write(line.encode() + b"\n")
        except (TypeError, ValueError, RecursionError) as error:
            raise ArgumentTypeError(
                f"{self.where}: item {self.count} cannot be written as JSON: {error}. Bring it to numbers, texts, "
                "lists and dicts in a map(), or save as .lmdb."
            ) from error
        self.count += 1

    def finish(self) -> None:
        """Write what is left."""
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def plain(value: Any) -> Any:
    """Return NumPy's numbers and arrays as Python's."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufU":
        return value.tolist()
    raise TypeError(f"{short(value)} is no JSON")


def create_jsonl(path: str) -> Recorder:
    """Begin a file of JSON lines. Items are numbers, texts, lists and dicts, those of NumPy included."""
    return JsonlRecorder(path)


FORMAT = Format("jsonl", (*SUFFIXES, *PACKED), open_jsonl, create_jsonl, patterns=True)
