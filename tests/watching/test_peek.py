"""What items look like in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.watching.peek import described


class Point(NamedTuple):
    """An item as users write it."""

    x: int
    y: int


@dataclass
class Sample:
    """An item as users write it."""

    image: np.ndarray
    name: str


class Broken:
    """Says that it is an array, and is none that can be had."""

    shape = (2, 3)
    dtype = "float32"

    def __array__(self, *args, **options):
        raise RuntimeError("on an accelerator")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (7, "int  7"),
        (None, "NoneType  None"),
        ("abc", "str of 3  'abc'"),
        (b"\xff\xd8\xff\xe0", "bytes of 4  JPEG"),
        (b"", "bytes of 0  empty"),
        (np.float32(1.5), "float32  1.5"),
        (np.zeros((2, 0)), "float64 (2, 0)  empty"),
        (np.array([True, False]), "bool (2,)  1 of 2 true"),
        (np.array([1.0, np.nan, 3.0]), "float64 (3,)  1 to 3, mean 2; 1 NaN or infinite"),
        (np.array([np.inf]), "float64 (1,)  all NaN or infinite"),
        (np.array(["a", "b"]), "<U1 (2,)  'a', 'b'"),
        (np.arange(6, dtype=np.uint8).reshape(2, 3), "uint8 (2, 3)  0 to 5, mean 2.5"),
        ([1, 2], "list of 2  1, 2"),
        (list(range(9)), "list of 9  0, 1, 2, 3, 4, 5, 6, 7, …"),
        ({}, "dict of 0"),
        (Point(1, 2), "Point of 2\n  x  int  1\n  y  int  2"),
        (Sample(np.ones(2), "a"), "Sample of 2\n  image  float64 (2,)  all 1\n  name   str of 1      'a'"),
        (Broken(), "Broken, float32 (2, 3)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kinds(item, text):
    """Each kind of value has its line."""
    assert described(item) == text


def test_nesting_is_cut():
    """What is deep or long is said to be so, not shown."""
    assert described({"a": {"b": {"c": {"d": 1}}}}, depth=2) == "dict of 1\n  a    dict of 1\n    b  dict of 1  dict"
    assert described(["x", "y", "z"], entries=2).splitlines()[-1].split() == ["…", "1", "more"]
    assert len(described("x" * 1000)) < 70


def values():
    """Return items of all kinds."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
    leaves |= st.sampled_from([np.arange(3), np.float64("nan"), np.zeros((0, 2)), np.array([None, 1])])
    return st.recursive(leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3))


@given(values(), st.integers(0, 3), st.integers(1, 3))
def test_anything_can_be_described(item, depth, entries):
    """Whatever an item is, it has a description."""
    assert described(item, depth=depth, entries=entries)
