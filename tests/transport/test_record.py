"""Records: what goes in comes out, exactly; what has no place in one is refused by name; hostile bytes do no harm."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import json
import pathlib
import random
import tracemalloc
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord
from penstock.testing import same
from penstock.transport.record import decode, encode, pieces, schema
from penstock.transport.record_layout import HEAD, HEADER

STRUCTURED = np.zeros(3, [("a", ">i4"), ("b", "f8", (2, 2)), ("c", "S3"), ("d", [("e", "u1")])])
ALIGNED = np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True))
VALUES = {
    "nothing": None,
    "true": True,
    "int": -(2**63),
    "long int": 2**70,
    "negative long int": -(2**64) - 5,
    "float": 1.5,
    "nan": float("nan"),
    "minus nan": -float("nan"),
    "infinity": float("-inf"),
    "complex": 1 - 2j,
    "text": "äö\x00\U0001f600",
    "file name that is no text": "a\udc80",
    "no text": "",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"x"),
    "float32": np.float32(3),
    "longdouble": np.longdouble(3),
    "numpy text": np.str_("ä"),
    "empty numpy text": np.str_(""),
    "numpy bytes": np.bytes_(b""),
    "numpy bool": np.True_,
    "date": np.datetime64("2020-01-01"),
    "span": np.timedelta64(3, "25s"),
    "void": np.void(b"abc"),
    "row": STRUCTURED[0],
    "structured": STRUCTURED,
    "aligned": ALIGNED,
    "no axes": np.array(5),
    "empty": np.zeros((0, 5), ">i2"),
    "empty fortran": np.zeros((3, 0), order="F"),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "strided": np.arange(24).reshape(2, 3, 4)[:, ::2],
    "reversed": np.arange(5)[::-1],
    "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
    "big-endian": np.arange(3, dtype=">u2"),
    "texts": np.array(["a", "bcd"]),
    "dates": np.array(["2020", "NaT"], "M8[ns]"),
    "dates without unit": np.zeros(2, "M8"),
    "no list": [],
    "list of int": [1, 2, -3],
    "list of long int": [1, 2**65],
    "list of float": [0.5, float("nan")],
    "list of bool": [True, False],
    "list of text": ["", "ä", "a\udc80"],
    "list of bytes": [b"", b"ab"],
    "mixed list": [1, 2.0, "x", None, [1, [2]]],
    "list of dicts": [{"x": 1}, {"x": 2, "y": ()}],
    "no tuple": (),
    "tuple": (1, ("a",), [b"b"]),
    "no dict": {},
    "dict": {"b": 1, "a": np.zeros(2), "": {'ä"\\': None}},
    "other keys": {1: "a", None: 2, True and 2.5: 3, "x": 4, False: 5},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_what_goes_in_comes_out(value):
    """Type, structure, dtype, shape and every bit are the same; in one piece or several, as a copy or as views."""
    record = encode(value)
    assert same(decode(record), value)
    assert same(decode(record, copy=True), value)
    assert same(decode(b"".join(bytes(piece) for piece in pieces([value, value]))), [value, value])
    assert same(decode(np.frombuffer(record, np.uint8)), value)
    json.dumps(schema(record))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes() | hnp.datetime64_dtypes() | hnp.array_dtypes(hnp.scalar_dtypes()),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@given(
    st.recursive(
        SCALARS | ARRAYS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.text() | st.integers(-9, 9), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_tree_comes_back(tree):
    """Whatever tree of arrays, scalars, lists, tuples and dicts: it comes back bit for bit."""
    try:
        record = encode(tree)
    except ArgumentTypeError as error:
        assert "titles" in str(error) or "no place" in str(error)  # noqa: PT017  what the strategies may draw
        return
    assert same(decode(record), tree)


def test_arrays_are_views_and_aligned():
    """An array is a read-only view of the buffer, at a multiple of 64 bytes, and keeps the buffer alive; a copy is not."""
    buffer = bytearray(encode({"n": 1, "x": np.arange(100), "y": np.arange(3.0)}))
    item = decode(buffer)
    whole = np.frombuffer(buffer, np.uint8)
    for array in (item["x"], item["y"]):
        assert np.shares_memory(array, whole)
        assert not array.flags.writeable
        assert (array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) % 64 == 0
    del whole
    with pytest.raises(BufferError):
        buffer.append(0)  # a view is alive
    copy = decode(bytes(buffer), copy=True)
    copy["x"][0] = 7
    assert decode(buffer)["x"][0] == 0


def test_byte_strings_as_views():
    """With views=True a byte string is an array over the buffer, without a copy."""
    record = encode({"jpeg": b"abc", "all": [b"x"]})
    item = decode(record, views=True)
    assert same(item["jpeg"], np.frombuffer(b"abc", np.uint8))
    assert np.shares_memory(item["jpeg"], np.frombuffer(record, np.uint8))


def test_memory_maps_are_arrays(tmp_path):
    """A memory map comes back as an array."""
    mapped = np.memmap(tmp_path / "a", np.int32, "w+", 0, (4,))
    assert same(decode(encode(mapped)), np.zeros(4, np.int32))


def test_headers_of_a_dataset_are_alike():
    """Items that differ in values, lengths and shapes have one header, which is parsed once."""
    assert schema(encode({"x": np.zeros((2, 3)), "n": 1, "s": "a", "l": [1]})) == schema(
        encode({"x": np.zeros((5, 7)), "n": 9, "s": "abc", "l": [1, 2, 3]})
    )


# ---------------------------------------------------------------------------------------------------------- refused


class Colour(enum.IntEnum):
    """A number with a name."""

    RED = 1


@dataclasses.dataclass
class Sample:
    """A dataclass."""

    x: int


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024


class Image:
    """Something that NumPy can see."""

    __array_interface__ = None


REFUSED = {
    "objects": (np.array([1, "a"], object), "Python objects"),
    "structured objects": (np.zeros(1, [("a", "O")]), "Python objects"),
    "masked": (np.ma.masked_array([1], [True]), "lose its mask"),
    "named tuple": (Point(1, 2), r"item\._asdict\(\)"),
    "dataclass": (Sample(1), r"dataclasses\.asdict"),
    "image": (Image(), r"numpy\.asarray"),
    "enumeration": (Colour.RED, r"int\(x\)"),
    "ordered dict": (collections.OrderedDict(a=1), r"dict\(x\)"),
    "set": ({1}, "records hold"),
    "function": (len, "records hold"),
    "decimal": (Decimal(1), "records hold"),
    "path": (pathlib.Path("a"), "records hold"),
    "titles": (np.zeros(1, [(("title", "a"), "i4")]), "titles"),
    "key": ({(1, 2): 1}, "keys are texts"),
    "long key": ({2**70: 1}, "keys are texts"),
    "nan key": ({float("nan"): 1}, "keys are texts"),
}


@pytest.mark.parametrize(("value", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_place_is_refused_by_name(value, match):
    """The error names the field, the value and what to do instead."""
    with pytest.raises(ArgumentTypeError, match=match) as caught:
        encode({"a": [0, value]})
    assert "['a'][1]" in str(caught.value)


def test_depth_and_size_of_the_structure_are_limited():
    """What is nested in itself, or consists of a million different parts, is refused and not tried."""
    loop: list = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="64 levels"):
        encode(loop)
    with pytest.raises(ArgumentError, match="4 MB"):
        encode([{"x": k, "y": ()} for k in range(HEADER // 8)])


# ---------------------------------------------------------------------------------------------------------- hostile


def record_of(header, numbers=b"", body=b""):
    """Return a record with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rest = numbers + body
    return HEAD.pack(b"PSR", 1, len(text), HEAD.size + len(text) + len(rest)) + text + rest


def number(*values):
    """Return numbers as they stand in a record."""
    return b"".join(value.to_bytes(8, "little", signed=True) for value in values)


HOSTILE = {
    "nothing": b"",
    "no magic": b"x" * 64,
    "another version": b"PSR\x02" + encode(1)[4:],
    "too short": encode(np.arange(9))[:-1],
    "too long": encode(np.arange(9)) + b"x",
    "header beyond": HEAD.pack(b"PSR", 1, 1 << 31, 16),
    "no json": record_of(b"{{{{"),
    "deep json": record_of(b"[" * 100_000),
    "deep": record_of(b'["l",' * 100 + b'"n"' + b"]" * 100),
    "long number": record_of(b"1" * 100_000),
    "not ascii": record_of("ä".encode()),
    "a number": record_of(5),
    "unknown": record_of("q"),
    "unknown list": record_of(["q"]),
    "no list": record_of([]),
    "unhashable": record_of([["a"]]),
    "no kind": record_of(["L"]),
    "wrong kind": record_of(["L", "n"]),
    "no keys": record_of(["m"]),
    "too many keys": record_of(["m", [1, 2], "n"]),
    "keys that are lists": record_of(["m", [[1]], "n"]),
    "keys that are no list": record_of(["m", 3, "n"]),
    "objects": record_of(["a", "|O", 1], number(1), b"x" * 64),
    "python code": record_of(["a", "i4,O", 1], number(1), b"x" * 64),
    "huge items": record_of(["a", "|S2000000000", 0]),
    "no dtype": record_of(["a", None, 0]),
    "bad dtype": record_of(["a", {"names": ["a"], "formats": ["<f8"], "offsets": [-8], "itemsize": 8}, 0]),
    "bad fields": record_of(["a", {"names": [1], "formats": ["<f8"], "offsets": [0], "itemsize": 8}, 0]),
    "deep dtype": record_of(["a", [[[[[[[[[["<f8", []], []], []], []], []], []], []], []], []], []], 0]),
    "negative axis": record_of(["a", "<f8", 2], number(-1, -1), b"x" * 64),
    "huge axis": record_of(["a", "<f8", 1], number(1 << 62)),
    "overflowing axes": record_of(["a", "<f8", 3], number(1 << 32, 1 << 32, 8)),
    "huge and empty": record_of(["a", "<f8", 3], number(1 << 62, 1 << 62, 0)),
    "many axes": record_of(["a", "<f8", 1000]),
    "half an axis": record_of(["a", "<f8", 0.5]),
    "negative text": record_of("s", number(-1)),
    "huge text": record_of("s", number(1 << 62)),
    "bad text": record_of("s", number(1), b"\xff"),
    "no boolean": record_of("?", number(2)),
    "huge list": record_of(["L", "i"], number(1 << 60)),
    "negative list": record_of(["L", "s"], number(-1, 0)),
    "lengths that wrap": record_of(["L", "s"], number(2, 4), number(-(2**63), -(2**63)) + b"abcd"),
    "lengths that lack": record_of(["L", "s"], number(1, 4), number(2) + b"abcd"),
    "missing numbers": record_of(["t", "i", "i"], number(1)),
    "left over": record_of("i", number(1), b"x"),
}


@pytest.mark.parametrize("record", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_records_are_corrupt_records(record):
    """Whatever is wrong, it is a CorruptRecord, and takes no memory beyond a small multiple of the record."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecord):
            decode(record)
        assert tracemalloc.get_traced_memory()[1] < 200_000 + 100 * len(record)
    finally:
        tracemalloc.stop()


def touch(value):
    """Use everything in an item."""
    if isinstance(value, np.ndarray):
        value.tobytes()
    elif isinstance(value, dict):
        for part in value.values():
            touch(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            touch(part)


NASTY = (
    b"\xff" * 8,
    bytes(8),
    (1 << 62).to_bytes(8, "little"),
    b'"|O"',
    b"[[[[",
    b"99999999",
    b'"<U9999',
    b'{"names"',
    b'["L","s"]',
    b'["A",',
)


def mutated(draw: random.Random, record: bytes, others: list[bytes]) -> bytes:
    """Return a record that was damaged; most heads are put right, so that the damage gets as far as it can."""
    data = bytearray(record)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(16, max(17, len(data)))
        kind = draw.randrange(7)
        if kind == 0:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = draw.choice(NASTY)
        elif kind == 3:
            data[at : at + 8] = draw.choice(NASTY)
        elif kind == 4:
            data[at:] = draw.choice(others)[at:]
        elif kind == 5:
            header = int.from_bytes(data[4:8], "little")
            data[16 : 16 + header] = draw.choice(others)[16 : 16 + header]
        else:
            end = draw.randrange(at, len(data) + 1) if at <= len(data) else at
            data[at:at] = data[at:end]
    if draw.random() < 0.9:
        data[8:16] = len(data).to_bytes(8, "little")
    return bytes(data)


def test_damaged_records_never_crash():
    """Forty thousand damaged records: each gives an item or a CorruptRecord, nothing else."""
    draw = random.Random(5)
    records = [encode(value) for value in VALUES.values()]
    records += [encode([a, {"x": b}]) for a, b in zip(VALUES.values(), reversed(VALUES.values()), strict=True)]
    whole = 0
    for _ in range(40_000):
        data = mutated(draw, draw.choice(records), records)
        try:
            touch(decode(data, views=draw.random() < 0.5))
            whole += 1
        except CorruptRecord:
            continue
    assert 400 < whole < 39_000  # the damage is neither all nor nothing


@given(st.binary(max_size=300))
def test_random_bytes_are_corrupt(data):
    """Random bytes, and random bytes behind a head that fits them, are refused or read, and never anything else."""
    with pytest.raises(CorruptRecord):
        decode(data)
    with contextlib.suppress(CorruptRecord):
        touch(decode(HEAD.pack(b"PSR", 1, len(data) // 8 * 8, 16 + len(data)) + data))
