"""same: equal to the bit, or not."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from penstock.testing import same


class Point(NamedTuple):
    """A named tuple."""

    x: object
    y: object


@dataclasses.dataclass
class Sample:
    """An item with a field."""

    x: object


NAN = float("nan")
VALUES = [
    0,
    False,
    0.0,
    -0.0,
    NAN,
    None,
    "a",
    b"a",
    np.int32(0),
    np.int64(0),
    np.float32(0),
    np.float64("nan"),
    np.zeros(3),
    np.zeros(3, "f4"),
    np.zeros((3, 1)),
    np.array([NAN, 0, 0]),
    np.array([None, "a"]),
    np.array(["a", None]),
    [],
    [0],
    (0,),
    {},
    {"a": 0},
    {"a": np.zeros(3)},
    {"a": np.zeros(4)},
    {"a": 0, "b": 0},
    {"b": 0, "a": 0},
    Point(0, 0),
    Point(0, 1),
    Sample(0),
    Sample(np.zeros(3)),
    {1, 2},
]


@pytest.mark.parametrize("a", range(len(VALUES)))
def test_each_value_is_only_itself(a):
    """Type, dtype, shape, order, sign of zero and content all count; NaN is NaN."""
    import copy

    for b, other in enumerate(VALUES):
        assert same(VALUES[a], copy.deepcopy(other)) == (a == b), (VALUES[a], other)
