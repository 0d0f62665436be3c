"""What both sides of our LMDB files agree on: keys, checksums, and the record that a file keeps about itself."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any

from penstock.errors import StoreError
from penstock.graph.checking import short
from penstock.graph.storing import require

VERSION = 1
META = b"\xffpenstock"
NAMES = b"\xffnames"
TOGETHER = 4096  # names in one chunk
CHECKSUM = 8  # bytes

Check = Callable[[Any, int], int]


def checksum_of(kind: str, path: str) -> Check:
    """Return the function that computes a checksum. xxh3 runs at the speed of memory, crc32 at a third of it."""
    if kind == "crc32":
        return lambda data, index: zlib.crc32(data, index & 0xFFFFFFFF)
    if kind == "xxh3":
        return require("xxhash", "lmdb", f"{path} with its checksums").xxh3_64_intdigest  # type: ignore[no-any-return]
    raise StoreError(f"{path} has checksums of kind {short(kind)}, which this Penstock does not know.")


def preferred() -> str:
    """Return the faster checksum, if it can be had."""
    try:
        require("xxhash", "lmdb", "")
    except ImportError:
        return "crc32"
    return "xxh3"


def sealed(meta: dict[str, Any]) -> bytes:
    """Return the record that a file keeps about itself."""
    text = json.dumps(meta).encode()
    return f"{zlib.crc32(text):08x}".encode() + text


def unsealed(record: bytes) -> Any:
    """Return what a file says about itself; ValueError where that was changed."""
    check, text = record[:8], record[8:]
    if int(check, 16) != zlib.crc32(text):
        raise ValueError("its checksum differs")
    return json.loads(text)
