"""Protocol buffers: as much of their encoding as the formats here need; whatever is malformed is a ValueError."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, SIZED, FIXED32 = 0, 1, 2, 5
MANY = 64  # bytes from which on numbers are decoded by vectors
INT64, UINT64 = 1 << 63, 1 << 64


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return a whole number, and where what follows begins."""
    value = shift = 0
    for at in range(at, min(at + 10, len(data))):  # noqa: B020, PLR1704  goes on from where it stands
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % UINT64, at + 1
        shift += 7
    raise ValueError(f"a number at byte {at} has no end")


def fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Yield each field's number, wire type, and value: an int, or a view of its bytes."""
    at, size = 0, len(data)
    while at < size:
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = varint(data, at)
            yield tag >> 3, kind, value
            continue
        if kind == SIZED:
            length, at = varint(data, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"there is no wire type {kind} in it")
        if length > size - at:
            raise ValueError(f"a field of {length} bytes, and {size - at} are left")
        yield tag >> 3, kind, data[at : at + length]
        at += length


def varints(data: memoryview) -> NDArray[np.int64]:
    """Return whole numbers that stand one behind the other."""
    if len(data) < MANY:
        found, at = [], 0
        while at < len(data):
            value, at = varint(data, at)
            found.append(value - UINT64 if value >= INT64 else value)
        return np.array(found, np.int64)
    content = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(content < 0x80) + 1
    if not len(ends) or ends[-1] != len(content):
        raise ValueError("a number has no end")
    if len(ends) == len(content):
        return content.astype(np.int64)
    return numbers_at(content, np.concatenate([[0], ends[:-1]]), ends)


def numbers_at(content: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the whole numbers that stand between some places."""
    sizes = ends - starts
    most = int(sizes.max(initial=0))
    if most > 10:
        raise ValueError("a number has no end")
    values = (content[starts] & 0x7F).astype(np.uint64)
    left = np.flatnonzero(sizes > 1)  # fewer and fewer: most numbers are short
    for k in range(1, most):
        values[left] |= (content[starts[left] + k] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * k)
        left = left[sizes[left] > k + 1]
    signed: np.ndarray[tuple[Any, ...], np.dtype[np.int64]] = values.view(np.int64)
    return signed


def sized(field: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return bytes([field << 3 | SIZED]) + number(len(content)) + content


def number(value: int) -> bytes:
    """Return a whole number's bytes."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
