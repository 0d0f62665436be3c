"""Encoding of records: an item's parts, each by its exact type. ``record`` says what a record looks like."""

# ruff: noqa: ARG001  a writer takes what all of them are handed

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.graph.checking import short
from penstock.transport.record_layout import (
    ALIGN,
    DEPTH,
    HEAD,
    HEADER,
    KEPT,
    MAGIC,
    NUMBER,
    PLAIN_KEYS,
    VERSION,
    dtype_text,
)


class Sheet:
    """What an item becomes while it is written: numbers with their codes, and buffers with their alignments."""

    __slots__ = ("buffers", "codes", "depth", "numbers")

    def __init__(self) -> None:
        self.numbers: list[int | float] = []
        self.codes: list[str] = []
        self.buffers: list[tuple[int, Any, int]] = []
        self.depth = 0

    def number(self, code: str, value: float) -> None:
        """Add a number: ``q`` a whole one, ``d`` another."""
        self.codes.append(code)
        self.numbers.append(value)

    def bytes(self, data: Any, nbytes: int) -> None:
        """Add a byte string and its length."""
        self.number("q", nbytes)
        self.buffers.append((1, data, nbytes))


def encode(item: Any) -> bytes:
    """Return an item's record.

    Raises:
        ArgumentTypeError: a part of it has no place in a record; names the field and the remedy.
        ArgumentError: it is nested too deeply, or consists of too many parts.

    >>> from penstock.transport.record import decode, encode
    >>> decode(encode({"x": np.arange(3), "name": "a"}))
    {'x': array([0, 1, 2]), 'name': 'a'}
    """
    return b"".join(pieces(item))


def pieces(item: Any) -> list[Any]:
    """Return an item's record in pieces, large arrays uncopied: for what can write or send several at once."""
    sheet = Sheet()
    header = write(item, sheet, "").encode("ascii")
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER:
        raise ArgumentError(
            f"a record's structure may take {HEADER >> 20} MB, this one takes {len(header) / 2**20:.1f}: "
            f"{short(item)}. Make arrays of long lists."
        )
    at = HEAD.size + len(header) + 8 * len(sheet.numbers)
    body: list[Any] = []
    for align, data, nbytes in sheet.buffers:
        gap = -at % align
        if gap:
            body.append(bytes(gap))
        body.append(data)
        at += gap + nbytes
    numbers = struct.pack(f"<{''.join(sheet.codes)}", *sheet.numbers)
    return [HEAD.pack(MAGIC, VERSION, len(header), at) + header + numbers, *body]


def write(value: Any, sheet: Sheet, field: str) -> str:
    """Put a value on the sheet; return its entry in the header."""
    writer = WRITERS.get(type(value))
    if writer is not None:
        return writer(value, sheet, field)
    if isinstance(value, np.memmap):
        return write_array(np.asarray(value), sheet, field)
    if isinstance(value, np.generic):
        return write_scalar(value, sheet, field)
    raise ArgumentTypeError(unfit(value, field))


def unfit(value: Any, field: str) -> str:
    """Say why a value has no place in a record, and what to do."""
    where = f"field {field} is" if field else "this item is"
    if hasattr(value, "_asdict"):
        remedy = "Make a dict of it in a map(): item._asdict()."
    elif hasattr(value, "__dataclass_fields__"):
        remedy = "Make a dict of it in a map(): dataclasses.asdict(item)."
    elif isinstance(value, np.ma.MaskedArray):
        remedy = "It would lose its mask: return data and mask as two fields from a map()."
    elif hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        remedy = "Make an array of it in a map(): numpy.asarray(x)."
    elif isinstance(value, (dict, list, tuple, str, int, float, bytes)):
        kind = next(k for k in (dict, list, tuple, str, int, float, bytes) if isinstance(value, k)).__name__
        remedy = f"It would come back as a plain {kind}: say so in a map(): {kind}(x)."
    else:
        remedy = "Make such of it in a map()."
    return (
        f"{where} {short(value)}, and records hold arrays, numbers, texts, byte strings, None, and dicts, lists and "
        f"tuples of such. {remedy}"
    )


def write_none(value: None, sheet: Sheet, field: str) -> str:
    """Write nothing."""
    return '"n"'


def write_int(value: int, sheet: Sheet, field: str) -> str:
    """Write a whole number."""
    if -(1 << 63) <= value < 1 << 63:
        sheet.number("q", value)
        return '"i"'
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    sheet.bytes(data, len(data))
    return '"I"'


def write_float(value: float, sheet: Sheet, field: str) -> str:
    """Write a float, bit for bit."""
    sheet.number("d", value)
    return '"f"'


def write_bool(value: bool, sheet: Sheet, field: str) -> str:  # noqa: FBT001  a value among others
    """Write a boolean."""
    sheet.number("q", value)
    return '"?"'


def write_complex(value: complex, sheet: Sheet, field: str) -> str:
    """Write both parts."""
    sheet.number("d", value.real)
    sheet.number("d", value.imag)
    return '"c"'


def write_text(value: str, sheet: Sheet, field: str, tag: str = '"s"') -> str:
    """Write a text; lone surrogates, which file names may have, survive."""
    data = value.encode("utf-8", "surrogatepass")
    sheet.bytes(data, len(data))
    return tag


def write_bytes(value: bytes, sheet: Sheet, field: str, tag: str = '"b"') -> str:
    """Write a byte string."""
    sheet.bytes(value, len(value))
    return tag


def write_array(value: NDArray[Any], sheet: Sheet, field: str) -> str:
    """Write an array, uncopied where it is contiguous."""
    dtype = dtype_text(value.dtype, field)
    for length in value.shape:
        sheet.number("q", length)
    flags = value.flags
    tag = "a"
    if not flags.c_contiguous:
        if flags.f_contiguous:
            tag, value = "A", value.T
        value = np.ascontiguousarray(value)
    if value.size:
        sheet.buffers.append((ALIGN, value.reshape(-1).view(np.uint8).data, value.nbytes))
    return f'["{tag}",{dtype},{value.ndim}]'


def write_scalar(value: np.generic, sheet: Sheet, field: str) -> str:
    """Write a NumPy scalar."""
    if type(value) is np.str_:
        return write_text(str(value), sheet, field, '"u"')
    if type(value) is np.bytes_:
        return write_bytes(bytes(value), sheet, field, '"w"')
    data = value.tobytes()
    dtype = dtype_text(value.dtype, field)
    sheet.buffers.append((1, data, len(data)))
    return f'["g",{dtype}]'


def write_list(value: list[Any], sheet: Sheet, field: str) -> str:
    """Write a list: many of one kind as one buffer, others entry by entry."""
    kinds = set(map(type, value))
    if len(kinds) == 1:
        entry = write_uniform(value, kinds.pop(), sheet)
        if entry:
            return entry
    return write_entries("l", value, sheet, field)


def write_uniform(value: list[Any], kind: type, sheet: Sheet) -> str:
    """Write a list of plain values of one kind; return nothing where it is none."""
    if kind in (int, float, bool):
        tag = {int: "i", float: "f", bool: "?"}[kind]
        try:
            array = np.fromiter(value, NUMBER[tag], len(value))
        except OverflowError:
            return ""
        sheet.number("q", len(value))
        sheet.buffers.append((8, array.view(np.uint8).data, array.nbytes))
        return f'["L","{tag}"]'
    if kind in (str, bytes):
        data = [v.encode("utf-8", "surrogatepass") for v in value] if kind is str else value
        lengths = np.fromiter(map(len, data), np.dtype("<i8"), len(data))
        sheet.number("q", len(value))
        sheet.buffers.append((8, lengths.view(np.uint8).data, lengths.nbytes))
        sheet.bytes(b"".join(data), int(lengths.sum()))
        return '["L","s"]' if kind is str else '["L","b"]'
    return ""


def write_entries(tag: str, value: list[Any] | tuple[Any, ...], sheet: Sheet, field: str) -> str:
    """Write the entries of a list or tuple one by one."""
    with_depth(sheet, field, 1)
    entries = [write(v, sheet, f"{field}[{k}]") for k, v in enumerate(value)]
    sheet.depth -= 1
    return f'["{tag}",{",".join(entries)}]' if entries else f'["{tag}"]'


def write_tuple(value: tuple[Any, ...], sheet: Sheet, field: str) -> str:
    """Write a tuple."""
    return write_entries("t", value, sheet, field)


def write_dict(value: dict[Any, Any], sheet: Sheet, field: str) -> str:
    """Write a dict in its own order."""
    with_depth(sheet, field, 1)
    for key in value:
        if type(key) not in PLAIN_KEYS or (type(key) is float and not math.isfinite(key)) or huge(key):
            raise ArgumentTypeError(
                f"field {field}[{short(key)}]: a record's keys are texts, numbers, True, False or None. "
                "Rename it in a map()."
            )
    named = all(type(key) is str for key in value)
    entries = [write(v, sheet, f"{field}[{k!r}]") for k, v in value.items()]
    sheet.depth -= 1
    if named:
        return "{" + ",".join([f"{key_text(k)}:{e}" for k, e in zip(value, entries, strict=True)]) + "}"
    return f'["m",{json.dumps(list(value))},{",".join(entries)}]'


def huge(key: object) -> bool:
    """Tell whether a key is a whole number that JSON's readers may not read back."""
    return type(key) is int and not -(1 << 63) <= key < 1 << 63


def with_depth(sheet: Sheet, field: str, more: int) -> None:
    """Go a level down, if that is not too deep."""
    sheet.depth += more
    if sheet.depth > DEPTH:
        raise ArgumentError(f"a record is at most {DEPTH} levels deep; this item goes on at {field[:200]}.")


keys: dict[str, str] = {}


def key_text(key: str) -> str:
    """Return a key as JSON; the same few come again and again."""
    text = keys.get(key)
    if text is None:
        if len(keys) >= KEPT:
            keys.clear()
        text = keys[key] = json.dumps(key)
    return text


WRITERS: dict[type, Callable[[Any, Sheet, str], str]] = {
    type(None): write_none,
    bool: write_bool,
    int: write_int,
    float: write_float,
    complex: write_complex,
    str: write_text,
    bytes: write_bytes,
    bytearray: lambda value, sheet, field: write_bytes(value, sheet, field, '"B"'),
    np.ndarray: write_array,
    list: write_list,
    tuple: write_tuple,
    dict: write_dict,
}
