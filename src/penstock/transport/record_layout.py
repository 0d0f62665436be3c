"""What both sides of a record agree on: the head, the limits, and dtypes as text."""

from __future__ import annotations

import json
import math
import re
import struct
from typing import Any

import numpy as np

from penstock.errors import ArgumentTypeError

HEAD = struct.Struct("<3sBIQ")  # magic, version, bytes of the header, bytes of the record
MAGIC = b"PSR"
VERSION = 1
ALIGN = 64  # bytes; arrays begin at a multiple of it, counted from the beginning of the record
DEPTH = 64  # levels of a tree
HEADER = 4 << 20  # bytes; parsing takes about 25 times as much memory
AXES = 64  # NumPy's own limit
KEPT = 512  # headers that are remembered …

SIMPLE = re.compile(
    r"\|b1|[<>|][iu][1248]|[<>](f2|f4|f8|f12|f16|c8|c16|c24|c32)"
    r"|\|[SV][1-9][0-9]{0,9}|[<>]U[1-9][0-9]{0,8}|[<>][mM]8(\[[0-9]{0,9}[a-zA-Zμ]{1,7}\])?"
)
NUMBER = {"i": np.dtype("<i8"), "f": np.dtype("<f8"), "?": np.dtype("|b1")}
PLAIN_KEYS = (str, int, bool, type(None), float)

spelled: dict[np.dtype[Any], str] = {}
known: dict[str, np.dtype[Any]] = {}


def dtype_text(dtype: np.dtype[Any], field: str) -> str:
    """Return a dtype as JSON."""
    text = spelled.get(dtype)
    if text is None:
        if len(spelled) >= KEPT:
            spelled.clear()
        text = json.dumps(dtype_entry(dtype, field))
        if dtype.metadata is None:
            spelled[dtype] = text
    return text


def dtype_entry(dtype: np.dtype[Any], field: str) -> Any:
    """Return a dtype as JSON's own types."""
    where = f"field {field}" if field else "this item"
    if dtype.hasobject:
        raise ArgumentTypeError(
            f"{where} holds Python objects (dtype {dtype}), which only a pickle could keep. Give it a plain dtype, "
            "or make a list of it, in a map()."
        )
    if dtype.names is not None and dtype.fields is not None:
        if any(len(part) > 2 for part in dtype.fields.values()):
            raise ArgumentTypeError(f"{where}: the fields of {dtype} have titles, which records lack. Leave them out.")
        parts = [dtype.fields[name] for name in dtype.names]
        return {
            "names": list(dtype.names),
            "formats": [dtype_entry(part[0], field) for part in parts],
            "offsets": [part[1] for part in parts],
            "itemsize": dtype.itemsize,
            **({"aligned": True} if dtype.isalignedstruct else {}),
        }
    if dtype.subdtype is not None:
        inner, shape = dtype.subdtype
        return [dtype_entry(inner, field), list(shape)]
    if not SIMPLE.fullmatch(dtype.str):
        raise ArgumentTypeError(f"{where}: arrays of dtype {dtype} ({dtype.str}) have no place in records.")
    return dtype.str


def parse_dtype(entry: Any, depth: int = 0) -> np.dtype[Any]:
    """Return the dtype of an entry; ValueError or TypeError where it is none."""
    if isinstance(entry, str):
        dtype = known.get(entry)
        if dtype is None:
            if not SIMPLE.fullmatch(entry):
                raise ValueError(f"no dtype of records: {entry[:60]!r}")
            dtype = np.dtype(entry)
            if len(known) < KEPT:
                known[entry] = dtype
        return dtype
    if depth > 8:
        raise ValueError("a dtype that is nested too deeply")
    if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], list):
        shape = tuple(entry[1])
        if len(shape) > AXES or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
            raise ValueError("a dtype with an impossible shape")
        inner = parse_dtype(entry[0], depth + 1)
        if inner.itemsize * math.prod(shape) >= 1 << 31:
            raise ValueError("a dtype that is too large")
        return np.dtype((inner, shape))
    if isinstance(entry, dict) and entry.keys() - {"aligned"} == {"names", "formats", "offsets", "itemsize"}:
        return parse_fields(entry, depth)
    raise ValueError("no dtype")


def parse_fields(entry: dict[str, Any], depth: int) -> np.dtype[Any]:
    """Return the dtype of an entry with fields."""
    names, offsets, size = entry["names"], entry["offsets"], entry["itemsize"]
    if not isinstance(names, list) or not all(type(n) is str for n in names):
        raise ValueError("a dtype whose names are no texts")
    if not all(type(n) is int and 0 <= n < 1 << 31 for n in (*offsets, size)):
        raise ValueError("a dtype with impossible offsets")
    formats = [parse_dtype(part, depth + 1) for part in entry["formats"]]
    fields = {"names": names, "formats": formats, "offsets": offsets, "itemsize": size}
    return np.dtype(fields, align=entry.get("aligned") is True)  # type: ignore[call-overload, no-any-return]
