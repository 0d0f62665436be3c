"""Decoding of records, which are believed in nothing. ``record`` says what a record looks like."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import CorruptRecord
from penstock.graph.checking import short
from penstock.transport.record_layout import (
    ALIGN,
    AXES,
    DEPTH,
    HEAD,
    HEADER,
    KEPT,
    MAGIC,
    NUMBER,
    PLAIN_KEYS,
    VERSION,
    parse_dtype,
)

SMALL = 4096  # bytes of a header that is remembered

Buffer = Any  # whatever has a buffer of bytes: bytes, memoryview, an array of uint8
Take = Callable[["Body"], Any]


class Body:
    """A record being read: its numbers, and how far its buffers have been taken."""

    __slots__ = ("at", "end", "memory", "numbers", "views")

    def __init__(self, memory: memoryview, numbers: Iterator[Any], at: int, views: bool) -> None:  # noqa: FBT001
        self.memory = memory
        self.numbers = numbers
        self.at = at
        self.end = len(memory)
        self.views = views

    def take(self, nbytes: int, align: int = 1) -> int:
        """Return where the next buffer begins, if it is all there."""
        at = self.at + -self.at % align
        if nbytes < 0 or nbytes > self.end - at:
            raise ValueError(f"a part of {nbytes} bytes where {max(0, self.end - at)} are left")
        self.at = at + nbytes
        return at

    def bytes(self) -> memoryview:
        """Return the next byte string."""
        nbytes = next(self.numbers)
        at = self.take(nbytes)
        return self.memory[at : at + nbytes]


class Scattered(Body):
    """A record that lies in several pieces of memory, as it comes from a socket; no part of it is in two of them."""

    __slots__ = ("begin", "pieces")

    def __init__(self, pieces: list[memoryview], numbers: Iterator[Any], at: int) -> None:
        super().__init__(pieces[0], numbers, at, views=False)
        self.pieces = pieces[:0:-1]
        self.begin = 0  # of the piece in hand, in the record
        self.end = sum(map(len, pieces))

    def take(self, nbytes: int, align: int = 1) -> int:
        """Return where in ``memory``, which is then the right piece, the next buffer begins."""
        at = super().take(nbytes, align)
        while self.pieces and at >= self.begin + len(self.memory):
            self.begin += len(self.memory)
            self.memory = self.pieces.pop()
        if nbytes > self.begin + len(self.memory) - at:
            raise ValueError(f"a part of {nbytes} bytes that lies in two pieces")
        return at - self.begin


class Plan:
    """How to read the records of one header."""

    __slots__ = ("numbers", "root")

    def __init__(self, header: bytes) -> None:
        codes: list[str] = []
        self.root = compiled(json.loads(str(header, "ascii")), codes, 0)
        self.numbers = struct.Struct(f"<{''.join(codes)}")


plans: dict[bytes, Plan] = {}
PROBLEMS = (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error, RecursionError, StopIteration)


def decode(buffer: Buffer, *, views: bool = False, copy: bool = False) -> Any:
    """Return the item of a record. Its arrays are read-only views of the buffer, which they keep alive.

    Args:
        buffer: exactly one record.
        views: whether byte strings, too, are views: one-dimensional arrays of ``uint8`` instead of ``bytes``.
        copy: whether to copy the record first; then the arrays can be written to.

    Raises:
        CorruptRecord: the bytes are no record, whatever is wrong with them.
    """
    try:
        memory = memoryview(buffer)
        if memory.format != "B" or memory.ndim != 1:
            memory = memory.cast("B")
        plan, at = plan_of(memory)
        numbers = plan.numbers.unpack_from(memory, at)
        memory = memoryview(bytearray(memory)) if copy else memory.toreadonly()
        body = Body(memory, iter(numbers), at + plan.numbers.size, views)
        item = plan.root(body)
        if body.at != body.end:
            raise ValueError(f"{body.end - body.at} bytes too many")
    except PROBLEMS as problem:
        raise CorruptRecord(f"This is no whole record: {problem}.") from problem
    return item


def decode_pieces(buffers: list[Buffer]) -> Any:
    """Return the item of a record that came in pieces. Its arrays are views of them, writable where they are.

    Raises:
        CorruptRecord: the bytes are no record, or are not cut between its parts.
    """
    try:
        pieces = [memoryview(buffer).cast("B") for buffer in buffers]
        plan, at = plan_of(pieces[0], sum(map(len, pieces)))
        numbers, end = iter(plan.numbers.unpack_from(pieces[0], at)), at + plan.numbers.size
        body = Body(pieces[0], numbers, end, views=False) if len(pieces) == 1 else Scattered(pieces, numbers, end)
        item = plan.root(body)
        if body.at != body.end:
            raise ValueError(f"{body.end - body.at} bytes too many")
    except PROBLEMS as problem:
        raise CorruptRecord(f"This is no whole record: {problem}.") from problem
    return item


def schema(buffer: Buffer) -> Any:
    """Return what a record says of its item's structure: its header, as JSON's own types.

    Raises:
        CorruptRecord: the bytes are no record.

    >>> from penstock.transport.record import encode
    >>> schema(encode({"x": np.zeros((2, 3)), "y": 1}))
    {'x': ['a', '<f8', 2], 'y': 'i'}
    """
    try:
        memory = memoryview(buffer).cast("B")
        _, end = plan_of(memory)
        return json.loads(str(memory[HEAD.size : end], "ascii"))
    except PROBLEMS as problem:
        raise CorruptRecord(f"This is no whole record: {problem}.") from problem


def header_of(record: bytes) -> bytes:
    """Return the bytes of a whole record that are the same for all items of one structure."""
    return record[HEAD.size : HEAD.size + int.from_bytes(record[4:8], "little")]


def plan_of(memory: memoryview, size: int | None = None) -> tuple[Plan, int]:
    """Check a record's head; return how to read it, and where its numbers begin.

    ``memory`` is the whole record, or the first piece of one of ``size`` bytes.
    """
    magic, version, length, total = HEAD.unpack_from(memory)
    if magic != MAGIC:
        raise ValueError(f"it begins with {bytes(memory[:3])!r}")
    if version != VERSION:
        raise ValueError(f"its version is {version}, and this Penstock reads version {VERSION}")
    size = len(memory) if size is None else size
    if total != size:
        raise ValueError(f"it should have {total} bytes and has {size}")
    end = HEAD.size + length
    if length > HEADER or length % 8 or end > len(memory):
        raise ValueError(f"a header of {length} bytes in a record of {total}")
    header = bytes(memory[HEAD.size : end])
    plan = plans.get(header)
    if plan is None:
        plan = Plan(header)
        if length <= SMALL:
            if len(plans) >= KEPT:
                plans.clear()
            plans[header] = plan
    return plan, end


def compiled(entry: Any, codes: list[str], depth: int) -> Take:
    """Return the function that reads an entry, and add the codes of its numbers."""
    if depth > DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(entry, str):
        wanted, take = LEAVES[entry]
        codes.extend(wanted)
        return take
    if isinstance(entry, dict):
        return dict_of(list(entry), [compiled(e, codes, depth + 1) for e in entry.values()])
    if not isinstance(entry, list):
        raise ValueError(f"an entry that is a {type(entry).__name__}")  # noqa: TRY004  of content, not of an argument
    tag, *rest = entry
    if tag in ("a", "A", "g"):
        return array_of(tag, rest, codes)
    if tag == "L":
        (kind,) = rest
        codes.extend("q" if kind in NUMBER else "qq")
        return UNIFORM[kind]
    names: Any = rest.pop(0) if tag == "m" else ()
    takes = [compiled(e, codes, depth + 1) for e in rest]
    if tag == "m":
        return dict_of(names, takes)
    if tag not in ("l", "t"):
        raise ValueError(f"an entry of kind {short(tag)}")
    if tag == "l":
        return lambda body: [take(body) for take in takes]
    return lambda body: tuple([take(body) for take in takes])


def dict_of(names: list[Any], takes: list[Take]) -> Take:
    """Return the function that reads a dict."""
    if len(names) != len(takes) or not all(type(name) in PLAIN_KEYS for name in names):
        raise ValueError("keys that do not fit their values")
    pairs = list(zip(names, takes, strict=True))
    return lambda body: {name: take(body) for name, take in pairs}


def array_of(tag: str, rest: list[Any], codes: list[str]) -> Take:
    """Return the function that reads an array or a NumPy scalar."""
    dtype = parse_dtype(rest[0])
    size = dtype.itemsize
    if not size or dtype.hasobject or dtype.subdtype is not None:
        raise ValueError(f"values of dtype {short(rest[0])}")
    if tag == "g":
        if len(rest) != 1:
            raise ValueError("a scalar with a shape")

        def take_scalar(body: Body) -> Any:
            at = body.take(size)
            return np.frombuffer(bytes(body.memory[at : at + size]), dtype)[0]

        return take_scalar
    _, axes = rest
    if type(axes) is not int or not 0 <= axes <= AXES:
        raise ValueError(f"an array of {short(axes)} axes")
    codes.extend("q" * axes)
    order: Any = "C" if tag == "a" else "F"

    def take_array(body: Body) -> NDArray[Any]:
        numbers = body.numbers
        shape = [next(numbers) for _ in range(axes)]
        if shape and min(shape) < 0:
            raise ValueError("a shape below zero")
        nbytes = math.prod(shape) * size
        if not nbytes:
            made: NDArray[Any] = np.empty(shape, dtype, order)
            made.flags.writeable = not body.memory.readonly
            return made
        at = body.take(nbytes, ALIGN)  # before its memory is asked for, which may be another piece's from here on
        # Not ndarray(buffer=…): that would hold the memory's owner, but not its buffer, which could then move.
        flat: NDArray[Any] = np.frombuffer(body.memory, dtype, nbytes // size, at)
        return flat if axes == 1 else flat.reshape(shape, order=order)

    return take_array


def take_bool(body: Body) -> bool:
    """Read a boolean."""
    value = next(body.numbers)
    if value not in (0, 1):
        raise ValueError("a boolean that is neither")
    return bool(value)


def take_bytes(body: Body) -> Any:
    """Read a byte string, or a view of it."""
    data = body.bytes()
    if not body.views:
        return bytes(data)
    return np.frombuffer(data, np.uint8)


def take_numbers(dtype: np.dtype[Any]) -> Take:
    """Return the function that reads a list of numbers."""

    def take(body: Body) -> list[Any]:
        nbytes = next(body.numbers) * dtype.itemsize
        at = body.take(nbytes, 8)
        return np.frombuffer(body.memory[at : at + nbytes], dtype).tolist()  # type: ignore[no-any-return]

    return take


def take_strings(body: Body) -> list[memoryview]:
    """Read a list of byte strings."""
    nbytes = next(body.numbers) * 8
    at = body.take(nbytes, 8)
    lengths = np.frombuffer(body.memory[at : at + nbytes], "<i8")
    data = body.bytes()
    if len(lengths) and (int(lengths.min()) < 0 or int(lengths.max()) > len(data)):
        raise ValueError("a list whose lengths do not fit")
    ends = np.cumsum(lengths).tolist()  # cannot wrap round: each is at most len(data), and there are fewer than 2**32
    if (ends[-1] if ends else 0) != len(data):
        raise ValueError("a list whose lengths do not fit")
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def text(data: memoryview) -> str:
    """Return the text of some bytes."""
    return str(data, "utf-8", "surrogatepass")


LEAVES: dict[str, tuple[str, Take]] = {
    "n": ("", lambda _: None),
    "?": ("q", take_bool),
    "i": ("q", lambda body: next(body.numbers)),
    "I": ("q", lambda body: int.from_bytes(body.bytes(), "little", signed=True)),
    "f": ("d", lambda body: next(body.numbers)),
    "c": ("dd", lambda body: complex(next(body.numbers), next(body.numbers))),
    "s": ("q", lambda body: text(body.bytes())),
    "b": ("q", take_bytes),
    "B": ("q", lambda body: bytearray(body.bytes())),
    "u": ("q", lambda body: np.str_(text(body.bytes()))),
    "w": ("q", lambda body: np.bytes_(bytes(body.bytes()))),
}
UNIFORM: dict[str, Take] = {
    "i": take_numbers(NUMBER["i"]),
    "f": take_numbers(NUMBER["f"]),
    "?": take_numbers(NUMBER["?"]),
    "s": lambda body: [text(data) for data in take_strings(body)],
    "b": lambda body: [bytes(data) for data in take_strings(body)],
}
