"""Where the records of a TFRecord file lie, and whether its lengths are those that were written."""

from __future__ import annotations

import contextlib
import struct
import zlib
from array import array
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError
from penstock.storage import kept_index
from penstock.storage.shards import mapped

LENGTH = struct.Struct("<Q")
HEAD, TAIL = 12, 4  # bytes around a record's data
MASK = 0xA282EAD8
MARK = b"penstock tfrecord index 1\n"
TOGETHER = 1 << 16  # lengths that are compared at once


@dataclass(frozen=True)
class Places:
    """Where the records of a file lie."""

    starts: NDArray[np.int64]
    """Where each begins, and the end of the file."""
    check: int
    """Of all lengths and of all checksums of data."""


def places_of(path: str, how: str) -> Places:
    """Return where the records of a file lie: as it is kept beside it, or found by hopping through it."""
    try:
        found = kept_index.stamp(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from error
    if how != "memory":
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return kept_places(path, found)
    memory = mapped(path, found.size)
    starts = np.frombuffer(hopped(path, memory), np.int64)
    check = zlib.crc32(starts.data, zlib.crc32(pieces(memory, starts[1:] - TAIL, TAIL).data))
    if how != "memory":
        kept_index.keep(
            path, how, len(starts) - 1, lambda to: kept_index.save(to, MARK, {"check": check}, [starts], found)
        )
    return Places(starts, check)


def kept_places(path: str, found: kept_index.Stamp) -> Places:
    """Return what is kept beside a file.

    Raises:
        OSError, ValueError, KeyError, TypeError: nothing is, or it does not belong to the file.
    """
    said, (starts,) = kept_index.load(kept_index.beside(path), MARK, ["<i8"], found)
    if starts[0] or starts[-1] != found.size or (np.diff(starts) < HEAD + TAIL).any():
        raise ValueError("an index that leads outside of its file")
    return Places(starts, said["check"] & 0xFFFFFFFF)


def hopped(path: str, memory: memoryview) -> array[int]:
    """Return where each record begins, and the end of the file.

    Raises:
        StoreError: a length was changed, or the file ends within a record.
    """
    size, at = len(memory), 0
    starts = array("q", [0])
    add, unpack = starts.append, LENGTH.unpack_from
    while size - at >= HEAD + TAIL:
        at += unpack(memory, at)[0] + HEAD + TAIL
        if at > size:
            break
        add(at)
    refuse_changed(path, memory, np.array(starts if at != starts[-1] else starts[:-1], np.int64))
    if at != size:
        left = size - starts[-1]
        raise StoreError(f"{path} is truncated: of record {len(starts) - 1} it has {left} bytes only.")
    return starts


def pieces(memory: memoryview, starts: NDArray[np.int64], size: int) -> NDArray[Any]:
    """Return a few bytes from each of many places."""
    if not len(starts):
        return np.empty(0, np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(memory, np.uint8), size)
    return windows[starts].reshape(-1)


def refuse_changed(path: str, memory: memoryview, starts: NDArray[np.int64]) -> None:
    """Compare all lengths with their checksums."""
    for first in range(0, len(starts), TOGETHER):
        heads = pieces(memory, starts[first : first + TOGETHER], HEAD).view([("length", "<u8"), ("check", "<u4")])
        wrong = np.flatnonzero(checks_of(heads["length"]) != heads["check"])
        if len(wrong):
            number = first + int(wrong[0])
            what = "is corrupt" if number else "is no TFRecord file, or corrupt"
            raise StoreError(f"{path} {what}: the length of record {number} differs from its checksum.")


@cache
def table() -> NDArray[np.uint32]:
    """Return what each byte does to a crc32c."""
    values: Any = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> 1) ^ (np.uint32(0x82F63B78) * (values & 1))
    return np.asarray(values, np.uint32)


def checks_of(lengths: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the checksums of many lengths at once; for eight bytes no library is needed."""
    crc: Any = np.full(len(lengths), 0xFFFFFFFF, np.uint32)
    for column in lengths.astype("<u8").view(np.uint8).reshape(-1, 8).T:
        crc = table()[(crc ^ column) & 0xFF] ^ (crc >> 8)
    crc = ~crc
    return np.asarray(((crc >> 15) | (crc << 17)) + np.uint32(MASK), np.uint32)


def begins(head: bytes) -> bool:
    """Tell whether these are a length and its checksum."""
    if len(head) < HEAD:
        return False
    length, check = struct.unpack("<QI", head)
    return bool(checks_of(np.array([length], np.uint64))[0] == check)
