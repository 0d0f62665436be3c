"""The members of a tar archive, header by header, from a map of the file or from a stream that cannot go back.

    header │ data, up to a multiple of 512 │ header │ data │ … │ a block of zeros, or two

Understood: the old format of Unix, ustar with its prefix, GNU's long names and large sizes, and pax. Directories, links
and devices are passed over; sparse files and parts of volumes are refused. Every header has a checksum, and no size is
believed before it was compared with what there is; data has no checksum in a tar archive.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from penstock.errors import CorruptRecord, StoreError

BLOCK = 512
ZEROS = bytes(BLOCK)
HEADER = struct.Struct("100s24x12s12x8xc100x6s82x155s12x")  # name, size, kind, magic, prefix
FILES = frozenset([b"0", b"\0", b"7"])
EMPTY = frozenset([b"1", b"2", b"3", b"4", b"5", b"6"])  # links, devices, directories, pipes: they have no data
PASSED = frozenset([b"g", b"K", b"V", b"D"])  # defaults, names of links, of volumes, lists of directories
REFUSED = {b"S": "is sparse", b"M": "continues a file of another volume"}
LONGEST = 1 << 20  # bytes of a name, or of what pax says of a member
LARGEST = 1 << 62  # bytes of a member
SPACES = 8 * ord(" ")

Buffer = bytes | bytearray | memoryview
Take = Callable[[int, int], Buffer]
"""Returns so many bytes from a place on, fewer at the end of the file; a stream's goes forward only."""


class Member(NamedTuple):
    """A file in an archive."""

    name: bytes
    start: int
    """Where its data begins."""
    size: int
    place: int
    """Where its headers begin."""


class Truncated(StoreError):
    """An archive that ends before its end."""


class Archive:
    """An archive being read from the front.

    Args:
        take: what gives the archive's bytes.
        path: its name, for errors.
    """

    def __init__(self, take: Take, path: str) -> None:
        self.take = take
        self.path = path
        self.last: bytes | None = None

    def members(self, place: int = 0) -> Iterator[Member]:
        """Yield the files in their order; between two of them, the data of the first may be taken.

        Args:
            place: where to begin: a member's ``place``, or what is behind its data.

        Raises:
            CorruptRecord: a header is none; names the member before it.
            Truncated: the archive ends before its end.
            StoreError: a member is of a kind that cannot be read.
        """
        at = place
        long: bytes | None = None  # the next member's name, where a header before its own has it
        longer: int | None = None  # the next member's size, the same
        while (block := self.header(at)) is not None:
            name, digits, kind, magic, prefix = HEADER.unpack(block)
            size = self.number(digits, at)
            at += BLOCK
            if kind == b"L":
                long = self.text(at, size).rstrip(b"\0")
            elif kind in b"xX":
                long, longer = self.pax(self.text(at, size), at, long, longer)
            elif kind in EMPTY:
                size, place, long, longer = 0, at, None, None
            elif kind not in PASSED:
                long = joined(name, prefix, magic) if long is None else long
                size = size if longer is None else longer
                self.refuse(kind, long)
                if kind in FILES and not long.endswith(b"/"):
                    yield Member(long, at, size, place)
                self.last, long, longer = long, None, None
                place = at + padded(size)
            at += padded(size)
        if long is not None or longer is not None:
            raise self.truncated(at)

    def header(self, at: int) -> bytes | None:
        """Return a header whose checksum is right, or None at the end of the archive."""
        block = bytes(self.take(at, BLOCK))
        if block == ZEROS:
            return None
        if len(block) < BLOCK:
            raise self.truncated(at + len(block))
        digits = block[148:156]
        said, found = self.decimal(digits.strip(b"\0 "), at, 8), total(block) - sum(digits) + SPACES
        if said != found:  # of some old archives it is the sum of signed bytes
            signed = found - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
            if said != signed:
                raise self.corrupt(at, f"its checksum is {found} and should be {said}")
        return block

    def number(self, digits: bytes, at: int) -> int:
        """Return a size: octal, or binary behind a mark."""
        if digits[0] == 0x80:
            size = int.from_bytes(digits[1:], "big")
            if size > LARGEST:
                raise self.corrupt(at, f"it says that it has {size} bytes")
            return size
        return self.decimal(digits.strip(b"\0 ") or b"0", at, 8)

    def decimal(self, digits: bytes, at: int, base: int = 10) -> int:
        """Return a number that is written in digits."""
        try:
            if len(digits) > 20 or b"_" in digits:
                raise ValueError
            size = int(digits, base)
        except ValueError:
            raise self.corrupt(at, f"{digits[:24]!r} is no number") from None
        if not 0 <= size <= LARGEST:
            raise self.corrupt(at, f"{size} cannot be")
        return size

    def text(self, at: int, size: int) -> bytes:
        """Return what a header says in its data about the next one."""
        if size > LONGEST:
            raise self.corrupt(at, f"it says {size} bytes about the next member")
        found = bytes(self.take(at, size))
        if len(found) < size:
            raise self.truncated(at + len(found))
        return found

    def refuse(self, kind: bytes, name: bytes) -> None:
        """Refuse members that are no whole files."""
        if kind in REFUSED:
            raise StoreError(
                f"{self.path}: member {text_of(name)!r} {REFUSED[kind]}, which cannot be read. Pack it anew."
            )

    def pax(self, text: bytes, at: int, path: bytes | None, size: int | None) -> tuple[bytes | None, int | None]:
        """Return the next member's path and size by lines of ``length key=value``; the length counts the whole line."""
        while text:
            digits, space, _ = text[:24].partition(b" ")
            length = self.decimal(digits, at)
            line = text[len(digits) + 1 : length]
            key, equals, value = line.partition(b"=")
            if not space or not equals or length > len(text) or line[-1:] != b"\n":
                raise self.corrupt(at, f"pax says {line[:40]!r}")
            if key.startswith(b"GNU.sparse"):
                raise StoreError(f"{self.path}: a member behind {self.behind()} is sparse, which cannot be read.")
            if key == b"path":
                path = value[:-1]
            elif key == b"size":
                size = self.decimal(value[:-1], at)
            text = text[length:]
        return path, size

    def behind(self) -> str:
        """Return where we are, in words."""
        return "the beginning" if self.last is None else f"member {text_of(self.last)!r}"

    def corrupt(self, at: int, what: str) -> CorruptRecord:
        """Return the error of a header that is none."""
        if at <= BLOCK and self.last is None:
            return CorruptRecord(f"{self.path} is no tar archive, or corrupt from its first header on: {what}.")
        return CorruptRecord(f"{self.path} is corrupt at byte {at}, behind {self.behind()}: {what}.")

    def truncated(self, at: int) -> Truncated:
        """Return the error of an archive that ends early."""
        return Truncated(f"{self.path} is truncated: it has no end at byte {at}, behind {self.behind()}.")


def total(block: bytes) -> int:
    """Return the sum of a header's bytes: half of Adler's checksum, exact for 256 bytes, and faster than sum()."""
    return (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2


def padded(size: int) -> int:
    """Return the bytes that data takes in an archive."""
    return size + BLOCK - 1 & -BLOCK


def joined(name: bytes, prefix: bytes, magic: bytes) -> bytes:
    """Return a member's name, which ustar has in two parts; GNU's own format has something else there."""
    name = name.partition(b"\0")[0]
    if magic != b"ustar\0" or prefix[0] == 0:
        return name
    return prefix.partition(b"\0")[0] + b"/" + name


def text_of(name: bytes) -> str:
    """Return a name as text, whatever is in it."""
    return str(name, "utf-8", "backslashreplace")
