"""copies: what stands at several places must not change everywhere when it is changed at one."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

from penstock.graph.copies import copied, placed, rows_at
from penstock.graph.items import Rows
from penstock.testing import same

VALUES = [
    1,
    2.5,
    "text",
    None,
    np.float32(1),
    (1, "a"),
    np.arange(6).reshape(2, 3)[:, ::-1],
    np.array([[1], None], object),
    {"x": np.arange(3), "y": [1, {2}]},
    (np.arange(3), [np.arange(2)]),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_copy_is_equal_to_the_bit(value):
    """A copy has the value's type and content."""
    assert same(copied(value), value)


def arrays_of(value):
    """Return all arrays in a value."""
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [array for part in parts for array in arrays_of(part)]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_copy_shares_nothing_that_changes(value):
    """No array of a copy lies in the memory of the value's."""
    assert not any(
        np.shares_memory(a, b) for a, b in zip(arrays_of(copied(value)), arrays_of(value), strict=True) if a.size
    )


def test_only_what_comes_again_is_copied():
    """The first of equal places is the value itself, the others are copies; Rows stay Rows in memory of their own."""
    values = [np.zeros(2), np.ones(2)]
    found = placed(values, np.array([1, 0, 1]), lambda place: None)
    assert found[0] is values[1]
    assert found[1] is values[0]
    assert found[2] is not values[1]
    rows = Rows((np.arange(3), np.arange(6).reshape(3, 2)), 3)
    taken = placed(rows, np.array([2, 2, 0, 1]), lambda place: None)
    assert isinstance(taken, Rows)
    assert [column.tolist() for column in taken.columns] == [[2, 2, 0, 1], [[4, 5], [4, 5], [0, 1], [2, 3]]]
    assert len(placed(rows, np.array([], int), lambda place: None)) == 0


def test_what_cannot_be_copied_is_made_again():
    """For an item that refuses to be copied, the function is asked with its place."""
    asked = []
    found = placed([threading.Lock()], np.array([0, 0, 0]), lambda place: asked.append(place) or len(asked))
    assert (asked, found[1:]) == ([0, 0], [1, 2])


WIDE = np.arange(1 << 20, dtype=np.int64).reshape(1024, 1024)  # 8 MB


@pytest.mark.parametrize(
    "column",
    [
        WIDE,
        np.asfortranarray(WIDE),
        WIDE[:, ::2],
        WIDE[::-1],
        np.frombuffer(b"." + WIDE.tobytes(), np.int64, offset=1).reshape(WIDE.shape),
        np.rec.fromarrays([WIDE, WIDE], names="a,b")["a"],
    ],
    ids=["C", "Fortran", "strided", "reversed", "unaligned", "field"],
)
def test_rows_are_gathered_alone(column):
    """However an array lies, gathering some rows takes memory for those rows, not for all of it."""
    places = np.array([1000, 3, 3, 7])
    tracemalloc.start()
    try:
        found = rows_at(column, places)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(found, column[places])
    assert peak < 1 << 20
    assert len(rows_at(column, places[:0])) == 0
