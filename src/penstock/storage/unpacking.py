"""Unpacking of compressed pieces of files: never more than was promised, whatever the bytes say."""

from __future__ import annotations

import bz2
import sys
import threading
import zlib
from collections.abc import Callable
from typing import Any

from penstock.errors import CorruptRecord, StoreError
from penstock.graph.storing import require

KINDS = ("gz", "bz2", "zstd", "br")
RATIO = 1 << 16  # times its packed size is more than Zstandard can unpack to: 128 KiB take 4 bytes
SUDDEN = 1 << 16  # bytes at once of the output of what has no limit of its own

own = threading.local()  # each thread's: a decompressor takes as long to make as to unpack 100 KB, and none is shared


def unpack(kind: str, data: memoryview, size: int, name: str) -> bytes:
    """Return what some bytes unpack to.

    Args:
        kind: ``"gz"``, ``"bz2"``, ``"zstd"`` or ``"br"``.
        data: the bytes.
        size: how many bytes it must be.
        name: what it is, for errors.

    Raises:
        CorruptRecord: it is not as many bytes, or nothing of that kind.
        MissingExtra: the library for this kind is not installed.
    """
    if kind not in UNPACKERS:
        raise StoreError(f"{name} is compressed as {kind!r}; known are {', '.join(map(repr, KINDS))}.")
    unpacker = UNPACKERS[kind](name)
    try:
        found = unpacker(data, size)
    except Exception as error:  # each library has errors of its own
        raise CorruptRecord(f"{name} cannot be unpacked: {error}") from error
    if len(found) != size:
        raise CorruptRecord(f"{name} does not unpack to the {size} bytes that it should.")
    return found


def zstd(name: str) -> Callable[[memoryview, int], bytes]:
    """Return the function that unpacks a Zstandard frame."""
    if sys.version_info >= (3, 14):
        standard: Any = require("compression.zstd", "mds", name)
        return lambda data, size: standard.ZstdDecompressor().decompress(data, size + 1)
    library = require("zstandard", "mds", name)

    def unpacked(data: memoryview, size: int) -> bytes:
        claimed = library.frame_content_size(data)
        if claimed > size or size > len(data) * RATIO:  # either would be allocated at once
            raise ValueError(f"{len(data)} bytes cannot be {max(claimed, size)}")
        if not hasattr(own, "zstd"):
            own.zstd = library.ZstdDecompressor()
        return own.zstd.decompress(data, max_output_size=size)  # type: ignore[no-any-return]

    return unpacked


def brotli(name: str) -> Callable[[memoryview, int], bytes]:
    """Return the function that unpacks Brotli."""
    library = require("brotli", "mds", name)

    def unpacked(data: memoryview, size: int) -> bytes:
        unpacker, parts, left = library.Decompressor(), [], size + 1
        parts.append(unpacker.process(bytes(data), output_buffer_limit=min(left, SUDDEN)))
        while parts[-1] and (left := left - len(parts[-1])) > 0 and not unpacker.is_finished():
            parts.append(unpacker.process(b"", output_buffer_limit=min(left, SUDDEN)))
        return b"".join(parts)

    return unpacked


UNPACKERS: dict[str, Callable[[str], Callable[[memoryview, int], bytes]]] = {
    "gz": lambda name: lambda data, size: zlib.decompressobj(31).decompress(data, size + 1),  # noqa: ARG005
    "bz2": lambda name: lambda data, size: bz2.BZ2Decompressor().decompress(data, size + 1),  # noqa: ARG005
    "zstd": zstd,
    "br": brotli,
}


def pack(kind: str, data: bytes, level: int | None, where: str) -> bytes:
    """Return some bytes, compressed."""
    if kind == "gz":
        packer = zlib.compressobj(6 if level is None else level, wbits=31)
        return packer.compress(data) + packer.flush()
    if kind == "bz2":
        return bz2.compress(data, 9 if level is None else level)
    if kind == "br":
        return require("brotli", "mds", where).compress(data, quality=5 if level is None else level)  # type: ignore[no-any-return]
    if sys.version_info >= (3, 14):
        standard: Any = require("compression.zstd", "mds", where)
        return standard.compress(data, 3 if level is None else level)  # type: ignore[no-any-return]
    library = require("zstandard", "mds", where)
    return library.ZstdCompressor(3 if level is None else level).compress(data)  # type: ignore[no-any-return]
