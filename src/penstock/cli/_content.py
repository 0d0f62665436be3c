"""A check sum of what an item says, whatever way of saying it a format has.

Formats differ in how they give back what was saved: a list for a tuple, an array for a list of numbers, ``int64`` for
``int``, None for a field that is missing. Such items have one check sum. Where a value itself differs, it is another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

HEAD = struct.Struct("<cq")
EXACT = 1 << 53  # whole numbers up to here are the same as floating point


def digest(item: Any) -> bytes:
    """Return eight bytes that stand for an item's content.

    Names of fields that begin with two underscores, which are a format's own, do not count.

    >>> import numpy as np
    >>> digest({"x": (1, 2), "y": None}) == digest({"x": np.array([1, 2], "u1")})
    True
    >>> digest([1, 2]) == digest([1, 3])
    False
    """
    state = hashlib.blake2b(digest_size=8)
    feed(state, item)
    return state.digest()


def feed(state: Any, value: Any) -> None:  # noqa: C901  a table of cases
    """Add a value to a check sum."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        feed_array(state, np.frombuffer(value, np.uint8))
    elif isinstance(value, str):
        text = value.encode(errors="surrogatepass")
        state.update(HEAD.pack(b"s", len(text)))
        state.update(text)
    elif value is None:
        state.update(b"n")
    elif isinstance(value, (bool, int, float, np.generic)):
        feed_number(state, value)
    elif isinstance(value, Mapping):
        kept = {str(name): part for name, part in value.items() if part is not None and not str(name).startswith("__")}
        state.update(HEAD.pack(b"d", len(kept)))
        for name in sorted(kept):
            feed(state, name)
            feed(state, kept[name])
    elif isinstance(value, np.ndarray):
        feed_array(state, value)
    elif isinstance(value, (list, tuple)):
        feed_list(state, value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        feed(state, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    elif hasattr(value, "__array__"):
        feed_array(state, np.asarray(value))
    else:
        feed(state, repr(value))


def feed_number(state: Any, value: Any) -> None:
    """Add a number; whole ones are the same in every type."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and plain.is_integer() and abs(plain) < EXACT:
        plain = int(plain)
    if isinstance(plain, (bool, int)):
        plain = int(plain)
    elif not isinstance(plain, (float, complex)):
        feed(state, str(value))  # dates
        return
    state.update(HEAD.pack(b"i", 0))
    state.update(repr(plain).encode())


def feed_list(state: Any, value: Any) -> None:
    """Add a list: as an array where it is one of numbers, else entry by entry."""
    if not value or isinstance(value[0], (bool, int, float, np.number, list, tuple)):
        try:
            array = np.asarray(value)
        except (ValueError, OverflowError):
            array = np.empty(0, object)
        if array.dtype.kind in "biuf":
            feed_array(state, array)
            return
    state.update(HEAD.pack(b"l", len(value)))
    for part in value:
        feed(state, part)


def feed_array(state: Any, array: np.ndarray[Any, Any]) -> None:
    """Add an array: its shape, and its numbers in the smallest type that holds them."""
    if array.ndim == 0:
        feed(state, array[()])
        return
    if array.dtype.kind not in "biuf":
        feed_list(state, array.tolist())
        return
    state.update(HEAD.pack(b"a", array.ndim))
    state.update(struct.pack(f"<{array.ndim}q", *array.shape))
    if not array.size:
        return
    if array.dtype.kind in "iub":
        low, high = (0, 255) if array.dtype.itemsize == 1 and array.dtype.kind != "i" else (array.min(), array.max())
        kinds = ("<u1", "<i2", "<i4", "<i8")
        kind = next((k for k in kinds if np.iinfo(k).min <= low and high <= np.iinfo(k).max), "<u8")
    else:
        kind = "<f8"
    state.update(kind[1:].encode())
    state.update(np.ascontiguousarray(array, kind).reshape(-1).view(np.uint8).data)
