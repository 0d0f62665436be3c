r"""Text files: a line an item, any line at once.

    to be⏎or not⏎to be       0 → "to be"   1 → "or not"   2 → "to be"

A file is gone through once, for where its lines end (8 bytes a line, which worker processes share); then line i is one
reading of a few bytes. Compressed text can only be read from the front. A line ends in ``\n`` or ``\r\n``; the last
one may lack it. There are no checksums in a text, so a changed letter is a changed letter; a file that is another than
when it was opened is noticed.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.graph.checking import short
from penstock.graph.storing import Format, Reader, Recorder, Tape, sampled

if TYPE_CHECKING:
    from penstock.graph.node import Indices

CHUNK = 1 << 24  # bytes that are looked through at once
LONGEST = 1 << 26  # bytes of a line: more is no text
TOGETHER = 1 << 22  # bytes of neighbouring lines that are read at once
PACKED: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UNITS = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
STATEFUL = ("utf-7", "utf_7", "hz", "iso2022")


class Script:
    """How the bytes of lines become text."""

    def __init__(self, encoding: str, errors: str, start: bytes, where: str) -> None:
        """Look at an encoding, and at the first bytes of a file, which may say the order of bytes."""
        try:
            name = codecs.lookup(encoding).name
            codecs.lookup_error(errors)
        except (LookupError, TypeError) as error:
            raise ArgumentError(f"{where}: encoding={encoding!r}, errors={errors!r}: {error}.") from None
        self.errors = errors
        self.skip = 0  # bytes of the mark in front
        for mark, kind in MARKS.items():
            if start.startswith(mark) and kind.startswith(name.removesuffix("-sig")):
                name, self.skip = kind, len(mark)
                break
        if name in {"utf-16", "utf-32"}:  # without a mark, the order of this machine, as Python has it
            name += "-le" if np.little_endian else "-be"
        self.encoding = "utf-8" if name == "utf-8-sig" else name
        self.unit = UNITS.get(self.encoding, 1)
        plain = self.unit > 1 or ("\n".encode(self.encoding) == b"\n" and "\r".encode(self.encoding) == b"\r")
        if not plain or self.encoding.startswith(STATEFUL):
            raise ArgumentError(f"{where}: in {encoding}, the ends of lines cannot be found. Convert it to UTF-8.")
        self.newline = "\n".encode(self.encoding)
        self.carriage = "\r".encode(self.encoding)

    def text(self, line: bytes) -> str:
        """Return a line without its end."""
        if line.endswith(self.newline):
            line = line[: -self.unit]
            if line.endswith(self.carriage):
                line = line[: -self.unit]
        return line.decode(self.encoding, self.errors)


class TextReader(Reader):
    """Lines, by where they begin."""

    travels: ClassVar[bool] = True

    def __init__(self, path: str, script: Script) -> None:
        self.path = path
        self.script = script
        self.tag = sampled(path)
        self.ends = line_ends(path, script)
        self.fd = -1
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        return self.line(index, self.bytes(*self.extent(index, index + 1), index))

    def extent(self, first: int, stop: int) -> tuple[int, int]:
        """Return where some neighbouring lines begin and end."""
        return int(self.ends[first - 1]) if first else self.script.skip, int(self.ends[stop - 1])

    def many(self, indices: Indices) -> Sequence[str]:
        """Return many lines; neighbours are read together."""
        if not isinstance(indices, range) or indices.step != 1 or not indices:
            return [self[index] for index in (indices if isinstance(indices, range) else indices.tolist())]
        found: list[str] = []
        first = indices.start
        while first < indices.stop:
            begin, end = self.extent(first, first + 1)
            stop = max(first + 1, int(np.searchsorted(self.ends[: indices.stop], begin + TOGETHER, "right")))
            data = memoryview(self.bytes(*self.extent(first, stop), first))
            for index in range(first, stop):
                end = int(self.ends[index])
                found.append(self.line(index, data[: end - begin]))
                data, begin = data[end - begin :], end
            first = stop
        return found

    def line(self, index: int, data: bytes | memoryview) -> str:
        """Return a line's text."""
        try:
            return self.script.text(bytes(data))
        except UnicodeError as error:
            raise CorruptRecord(
                f"line {index + 1} of {self.path} is not {self.script.encoding}: {error}. Say encoding=…, or "
                "errors='replace'."
            ) from error

    def bytes(self, begin: int, end: int, index: int) -> bytes:
        """Read a part of the file."""
        if end - begin > LONGEST + TOGETHER:
            raise CorruptRecord(f"line {index + 1} of {self.path} has {end - begin:,} bytes; {LONGEST:,} are the most.")
        if self.fd < 0:
            self.open()
        try:
            data = os.pread(self.fd, end - begin, begin)
        except OSError as error:
            raise CorruptRecord(f"line {index + 1} of {self.path} cannot be read: {error}") from error
        if len(data) != end - begin:
            raise CorruptRecord(f"line {index + 1} of {self.path} is missing: the file has become shorter.")
        return data

    def open(self) -> None:
        """Open the file in this process, if it is still the same."""
        with self.lock:
            if self.fd >= 0:
                return
            try:
                same = sampled(self.path) == self.tag
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise StoreError(f"{self.path} cannot be opened: {error.strerror}.") from error
            if not same:
                os.close(fd)
                raise StoreError(f"{self.path} has changed since it was opened. Open it again: penstock.open(path).")
            self.fd = fd

    def key(self, index: int) -> str:
        """Return the line's number, counted from 1 as editors do."""
        return f"line {index + 1}"

    def close(self) -> None:
        """Close the file."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in {"fd", "lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, fd=-1, lock=threading.Lock())


def line_ends(path: str, script: Script) -> NDArray[np.int64]:
    """Return where each line of a file ends, its newline included."""
    kind = np.dtype({1: "u1", 2: "u2", 4: "u4"}[script.unit]).newbyteorder(">" if "be" in script.encoding[-2:] else "<")
    found: list[NDArray[np.int64]] = []
    at = script.skip
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(at)
        while at < size:
            chunk = file.read(min(CHUNK, size - at))
            if not chunk:
                break
            whole = len(chunk) - len(chunk) % script.unit
            if not whole:
                break  # half a letter: it belongs to the last line, and fails there
            file.seek(at + whole)
            places = np.flatnonzero(np.frombuffer(chunk, kind, whole // script.unit) == 10)
            found.append((places + 1) * script.unit + at)
            at += whole
    ends = np.concatenate(found) if found else np.empty(0, np.int64)
    if size > (int(ends[-1]) if len(ends) else script.skip):
        ends = np.append(ends, size)
    return ends.astype(np.int64, copy=False)


class TextTape(Tape):
    """Lines of compressed text. A position counts bytes of the unpacked text."""

    def __init__(self, path: str, script: Script, unpack: Any) -> None:
        self.path = path
        self.script = script
        self.unpack = unpack
        self.tag = sampled(path)

    def read(self, position: int) -> Iterator[tuple[str, int]]:
        """Yield lines from a place on; what is before it is unpacked and dropped."""
        at = max(position, self.script.skip)
        try:
            with self.unpack(self.path, "rb") as file:
                left = at
                while left:
                    dropped = len(file.read(min(left, CHUNK)))
                    if not dropped:
                        raise CorruptRecord(f"{self.path} ends before byte {at}.")
                    left -= dropped
                yield from self.lines(file, at)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise CorruptRecord(f"{self.path} is damaged, or cut off, behind byte {at} of its text: {error}") from error

    def lines(self, file: IO[bytes], at: int) -> Iterator[tuple[str, int]]:
        """Yield the lines of an unpacked file with where the next one begins."""
        while line := file.readline(LONGEST + 1):
            if len(line) > LONGEST:
                raise CorruptRecord(f"{self.path} has a line of more than {LONGEST:,} bytes, at byte {at} of its text.")
            try:
                text = self.script.text(line)
            except UnicodeError as error:
                raise CorruptRecord(
                    f"{self.path} is not {self.script.encoding} at byte {at} of its text: {error}. Say encoding=…, or "
                    "errors='replace'."
                ) from error
            at += len(line)
            yield text, at


def open_text(path: str, *, encoding: str = "utf-8", errors: str = "strict") -> Reader | Tape:
    """Open a text file: its lines as a Sequence, or as a Stream where it is compressed (``.gz``, ``.bz2``, ``.xz``).

    Args:
        path: the file.
        encoding: as Python names them. A mark of the order of bytes in front (BOM) is heeded and left out.
        errors: what becomes of bytes that are no text: ``"strict"``, ``"replace"``, ``"ignore"``, …, as in Python.

    Raises:
        StoreError: it cannot be opened.
        ArgumentError: there is no such encoding, or one whose newlines cannot be found without reading all before.
    """
    where = f"open({path!r})"
    unpack = next((function for ending, function in PACKED.items() if path.lower().endswith(ending)), None)
    try:
        with (unpack or open)(path, "rb") as file:
            start = file.read(4)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise StoreError(f"{where}: it cannot be opened as text: {error}") from error
    script = Script(encoding, errors, start, where)
    if unpack is None:
        return TextReader(path, script)
    if not os.path.getsize(path):  # even no text at all takes some bytes; Python's gzip does not mind
        raise StoreError(f"{where}: it is empty, which no compressed file is.")
    if script.unit > 1:
        raise ArgumentError(f"{where}: {encoding} cannot be read from a compressed file. Unpack it first.")
    return TextTape(path, script, unpack)


class TextRecorder(Recorder):
    """Writes texts, one a line, as UTF-8."""

    def __init__(self, path: str) -> None:
        self.name = os.path.basename(path)
        pack = next((function for ending, function in PACKED.items() if path.lower().endswith(ending)), open)
        self.file: Any = gzip.GzipFile(path, "wb", mtime=0) if pack is gzip.open else pack(path, "wb")

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a line."""
        if not isinstance(item, str):
            raise ArgumentTypeError(
                f"save({self.name!r}): a line is a text, not {short(item)}. Make it one in a map()."
            )
        if "\n" in item or item.endswith("\r"):
            raise ArgumentError(
                f"save({self.name!r}): {short(item)} has the end of a line in it, and would not come back."
            )
        self.file.write(item.encode() + b"\n")

    def finish(self) -> None:
        """Write what is left."""
        self.file.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


SUFFIXES = (".txt", ".text", *(f".txt{ending}" for ending in PACKED))
FORMAT = Format("text", SUFFIXES, open_text, TextRecorder)
