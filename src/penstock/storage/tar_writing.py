"""Writing of tar archives as WebDataset has them: a record is some members that share a key."""

from __future__ import annotations

import gzip
import operator
import os
import struct
from collections.abc import Mapping
from typing import IO, Any

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short, whole
from penstock.graph.storing import Recorder
from penstock.storage.extensions import encoded
from penstock.storage.tar_members import BLOCK, Buffer, padded, total
from penstock.storage.tar_reading import KEY

FILE = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
OWNED = (b"0000644\0", b"0000000\0", b"0000000\0")  # mode, and nobody's: the same content is the same file, everywhere
RECORD = 20 * BLOCK  # archives are filled up to whole ones, as tar does
SUFFIXES = (".tar", ".tar.gz", ".tgz")
OCTAL = 8**11  # bytes of a member from which on its size is written in binary


class TarRecorder(Recorder):
    """Writes one archive, or a folder of them."""

    def __init__(self, path: str, most: int | None, largest: int | None) -> None:
        self.path = path
        self.where = f"save({os.path.basename(path)!r})"
        self.most = most
        self.largest = largest
        name = os.path.basename(path)
        self.suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), ".tar")
        self.stem = name[: -len(self.suffix)] if name.lower().endswith(self.suffix) else name
        self.folder = most is not None or largest is not None
        self.count = 0  # records in all, in this archive …
        self.here = 0
        self.size = 0  # … and its bytes
        self.shards = 0
        self.last = ""
        self.file: IO[bytes] | None = None
        if self.folder:
            os.mkdir(path)
        self.begin()

    def begin(self) -> None:
        """Begin an archive."""
        path = self.path
        if self.folder:
            path = os.path.join(path, f"{self.stem}-{self.shards:06d}{self.suffix}")
        self.file = opened(path)
        self.shards += 1
        self.here = self.size = 0

    def append(self, item: Any, key: str | None = None) -> None:
        """Add a record."""
        if not isinstance(item, Mapping) or not item.keys() - {KEY}:
            raise ArgumentTypeError(
                f"{self.where}: a record is a dict of values by extension, such as {{'jpg': data, 'cls': 3}}, not "
                f"{short(item)}. Make it one in a map()."
            )
        name = self.checked_key(item.get(KEY, f"{self.count:09d}") if key is None else key)
        where = f"{self.where}, record {self.count}, {name!r}"
        parts: list[tuple[bytes, Buffer]] = []
        for extension, value in item.items():
            if extension != KEY:
                parts.append(
                    (f"{name}.{checked_extension(extension, where)}".encode(), encoded(extension, value, where))
                )
        size = sum(BLOCK + padded(len(data)) + long(member) for member, data in parts)
        if self.here and (self.here == self.most or (self.largest and self.size + size > self.largest)):
            self.end()
            self.begin()
        for member, data in parts:
            self.write(member, data)
        self.last = name
        self.count += 1
        self.here += 1
        self.size += size

    def checked_key(self, key: object) -> str:
        """Refuse a key that would not be read as what it is."""
        where = f"{self.where}, record {self.count}"
        if not isinstance(key, str):
            raise ArgumentTypeError(f"{where}: its key must be text, not {short(key)}.")
        base = key.rpartition("/")[2]
        if not base or "." in base or "\0" in key or (base == key and key.startswith("__")):
            raise ArgumentError(
                f"{where}: {key!r} cannot be a key: it must end in a name without dots, because what stands behind the "
                "first dot is the extension."
            )
        if key.startswith("/") or ".." in key.split("/"):
            raise ArgumentError(f"{where}: {key!r} cannot be a key: it leads out of the folder that it is unpacked to.")
        if key == self.last:
            raise ArgumentError(
                f"{where}: the record before it has the key {key!r}, too, and they would be read as one."
            )
        return key

    def write(self, name: bytes, data: Buffer) -> None:
        """Write a member."""
        assert self.file is not None
        if long(name):
            self.file.write(header(b"././@LongLink", len(name) + 1, b"L"))
            self.file.write((name + b"\0").ljust(padded(len(name) + 1), b"\0"))
        self.file.write(header(name[:100], len(data), b"0"))
        self.file.write(data)
        self.file.write(bytes(padded(len(data)) - len(data)))

    def end(self) -> None:
        """Write the end of an archive."""
        assert self.file is not None
        self.file.write(bytes(2 * BLOCK))
        self.file.write(bytes(-self.file.tell() % RECORD))
        self.file.close()

    def finish(self) -> None:
        """Write the end of the last archive."""
        self.end()

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()


def opened(path: str) -> IO[bytes]:
    """Return a new file, compressed where its name says so, but without the time: the same content is the same file."""
    if path.lower().endswith(SUFFIXES[1:]):
        return gzip.GzipFile(path, "wb", 6, mtime=0)  # type: ignore[return-value]
    return open(path, "wb", buffering=1 << 20)


def checked_extension(extension: object, where: str) -> str:
    """Refuse a field's name that would not be read as what it is."""
    if not isinstance(extension, str):
        raise ArgumentTypeError(f"{where}: a field's name must be text, not {short(extension)}.")
    if not extension or "/" in extension or "\0" in extension or extension != extension.lower():
        raise ArgumentError(
            f"{where}: the field {extension!r} cannot be an extension: it must be in lower case, without a slash. "
            "Rename it in a map()."
        )
    return extension


def long(name: bytes) -> int:
    """Return the bytes that a name takes that does not fit into a header."""
    return BLOCK + padded(len(name) + 1) if len(name) > 100 else 0


def header(name: bytes, size: int, kind: bytes) -> bytes:
    """Return a member's header, in GNU's format, which every tar reads."""
    digits = b"%011o\0" % size if size < OCTAL else b"\x80" + size.to_bytes(11, "big")
    zero = b"0000000\0"
    fields = (
        name,
        *OWNED,
        digits,
        b"00000000000\0",
        b"        ",
        kind,
        b"",
        b"ustar ",
        b" \0",
        b"",
        b"",
        zero,
        zero,
        b"",
    )
    block = FILE.pack(*fields)
    return block[:148] + b"%06o\0 " % total(block) + block[156:]


def create_tar(path: str, *, max_count: int | None = None, max_bytes: int | str | None = None) -> Recorder:
    """Begin an archive; or, with a limit for each, a folder of archives, ``<name>/<name>-000000.tar`` and so on.

    Args:
        path: the archive, or the folder. ``train.tar`` and ``train`` both hold archives called ``train-…``.
        max_count: the most records of an archive.
        max_bytes: the most bytes of an archive, as a number or as in ``"1GB"``, its padding at the end not counted. A
            record that is larger has one of its own.

    A record is a dict of values by extension. Bytes are written as they are, other values as their extension says
    (``json``, ``txt``, ``cls``, ``npy``, ``npz``). ``"__key__"`` names the record, or ``save(…, key=…)``; otherwise its
    number does. The same records make the same bytes, at any time.
    """
    where = f"save({path!r})"
    if path.lower().endswith((".bz2", ".xz")):
        raise ArgumentError(f"{where}: archives are written plain or with gzip. Save as .tar, which has positions.")
    most = None if max_count is None else whole(max_count, where, "max_count", least=1)
    return TarRecorder(path, most, None if max_bytes is None else in_bytes(max_bytes, where))


def in_bytes(value: object, where: str) -> int:
    """Return a number of bytes, which may be said as "100MB"."""
    if isinstance(value, str):
        text = value.strip().upper().removesuffix("B")
        units = {
            "": 1,
            "K": 10**3,
            "M": 10**6,
            "G": 10**9,
            "T": 10**12,
            "KI": 2**10,
            "MI": 2**20,
            "GI": 2**30,
            "TI": 2**40,
        }
        number = text.rstrip("KMGTI ")
        unit = text[len(number) :].strip()
        try:
            value = int(float(number) * units[unit])
        except (ValueError, KeyError, OverflowError):
            raise ArgumentError(
                f"{where}: max_bytes must be a number, or text such as '1GB', not {short(value)}."
            ) from None
    return whole(operator.index(value) if isinstance(value, int) else value, where, "max_bytes", least=1)
