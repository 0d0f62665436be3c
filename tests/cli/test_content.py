"""The check sum of content: the same for what formats may change, another for everything else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penstock.cli._content import digest


@dataclass
class Point:
    """An item as users write it."""

    x: int
    y: float


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1, 2), [1, 2]),
        ([1, 2], np.array([1, 2], "u1")),
        ([[1.5], [2.5]], np.array([[1.5], [2.5]])),
        (np.float32([0.1, 2]), [float(x) for x in np.float32([0.1, 2])]),
        (5, np.int64(5)),
        (5, 5.0),
        (np.array(5), 5),
        (b"abc", np.frombuffer(b"abc", np.uint8)),
        ({"a": 1, "b": None}, {"a": np.int8(1)}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1, "__key__": "x"}, {"a": 1}),
        (Point(1, 2.5), {"x": 1, "y": 2.5}),
        (np.arange(3, dtype=">i4"), np.arange(3)),
        (np.arange(6).reshape(2, 3).T, np.ascontiguousarray(np.arange(6).reshape(2, 3).T)),
        ([], np.zeros(0, np.float32)),
        (["a", "b"], np.array(["a", "b"])),
        ([[1], [1, 2]], ((1,), (1, 2))),
        (np.array([1 << 63], np.uint64), [1 << 63]),
    ],
    ids=repr,
)
def test_what_formats_may_change(a, b):
    """The same content in another type, or another way of saying it, has the same check sum."""
    assert digest(a) == digest(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 2),
        (1, 1.5),
        ("1", 1),
        ("a", b"a"),
        (None, 0),
        ([1, 2], [2, 1]),
        ([1, 2], [[1, 2]]),
        ([1, 23], [12, 3]),
        (["ab", "c"], ["a", "bc"]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 0}),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([1.0]), np.array([1.0000001])),
        (np.array([-1], np.int8), np.array([255], np.uint8)),
        (float("nan"), None),
    ],
    ids=repr,
)
def test_what_is_different(a, b):
    """Other content has another check sum."""
    assert digest(a) != digest(b)


@given(arrays.arrays(st.sampled_from(["u1", "i2", "i8", "f4", "f8", "?"]), st.sampled_from([(3,), (2, 2), (1, 0)])))
def test_an_array_is_its_list(array):
    """Any array has the check sum of the list of lists that it says, but for how deep the empty ones are."""
    assert digest(array) == digest(array.tolist())
    assert digest({"x": [array, "a"]}) == digest({"x": (array.copy(), "a")})
