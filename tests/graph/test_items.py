"""Items in bulk: rows of arrays, and putting gathered parts back into order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import CollateError
from penstock.graph.items import Rows, merge, stack, unstack
from penstock.testing import same

X, Y = np.arange(12).reshape(6, 2), np.arange(6.0)
COLUMNS = {"one": X, "tuple": (X, Y), "dict": {"x": X, "y": Y}}


def plain(rows, kind):
    """Return what rows should be as a list."""
    if kind == "one":
        return list(X[rows])
    if kind == "tuple":
        return [tuple(pair) for pair in zip(X[rows], Y[rows], strict=True)]
    return [{"x": a, "y": b} for a, b in zip(X[rows], Y[rows], strict=True)]


@pytest.mark.parametrize("kind", COLUMNS)
def test_rows_are_a_sequence(kind):
    """Rows have the length, items, negative positions, slices and iteration of the list of their rows."""
    rows, expected = Rows(COLUMNS[kind], 6), plain(slice(None), kind)
    assert len(rows) == 6
    assert same(list(rows), expected)
    assert same([rows[k] for k in range(-6, 6)], expected + expected)
    for part in (slice(1, 4), slice(None, None, -1), slice(5, 1, -2), slice(9, 20)):
        assert same(list(rows[part]), plain(part, kind))
        assert len(rows[part]) == len(plain(part, kind))
    for wrong in (6, -7):
        with pytest.raises(IndexError):
            rows[wrong]
    assert same(list(reversed(rows)), expected[::-1])


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("size", [1, 4, 6, 9])
def test_rows_cut_into_batches_are_views(kind, size):
    """Batches of rows are slices of the columns that share their memory."""
    batches = Rows(COLUMNS[kind], 6).batches(size)
    assert len(batches) == -(-6 // size)
    for number, batch in enumerate(batches):
        assert same(batch, stack(Rows(COLUMNS[kind], 6)[number * size : (number + 1) * size]))
        first = batch if kind == "one" else batch[0 if kind == "tuple" else "x"]
        assert np.shares_memory(first, X)


def test_stacking_rows_is_free():
    """A batch of rows is their columns, without a copy."""
    assert stack(Rows(X, 6)) is X


def test_stacking_does_not_share_memory_with_the_items():
    """A batch is a copy, so changing it does not change the items."""
    items = [np.zeros(3), np.zeros(3)]
    stack(items)[:] = 1
    assert items[0].sum() == 0


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=5))
def test_whole_numbers_stay_exact(numbers):
    """However large, whole numbers come out of a batch as they went in."""
    assert [int(x) for x in stack(numbers)] == numbers


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_floats_stay_exact(numbers):
    """Floats come out of a batch as they went in."""
    assert stack(numbers).tolist() == numbers


def test_dtypes_are_promoted():
    """Arrays of different number types are stacked in the type that holds both."""
    assert stack([np.zeros(2, np.uint8), np.ones(2, np.float32)]).dtype == np.float32
    assert stack([np.zeros(2, np.float32), np.ones(2, np.uint8)]).dtype == np.float32
    assert stack([np.int8(1), np.int64(300)]).tolist() == [1, 300]


def test_unstacking_a_dict_keeps_its_order():
    """Names stay in the order that they have in the batch."""
    assert [list(row) for row in unstack({"b": np.arange(2), "a": np.arange(2)})] == [["b", "a"]] * 2


def test_unstacking_names_the_value():
    """What has no rows is shown."""
    with pytest.raises(CollateError, match=r"3 \(int\) is not a batch"):
        unstack(3)


@given(st.lists(st.integers(0, 3), max_size=20), st.sampled_from(["rows", "dict", "list", "mixed", "shapes"]))
def test_merging_puts_everything_at_its_place(owners, kind):
    """Parts of any kind come back in the order of their places."""
    count = len(owners)
    where = np.array(owners, int)
    source = np.arange(count)
    parts = []
    for owner in sorted(set(owners)):
        mine = np.flatnonzero(where == owner)
        width = owner + 1 if kind == "shapes" else 2
        values = np.repeat(source[mine][:, None], width, 1)
        items = Rows({"x": values}, len(mine)) if kind == "dict" else Rows(values, len(mine))
        if kind == "list" or (kind == "mixed" and owner % 2):
            items = list(values)
        parts.append((mine, items))
    if not parts:
        return
    merged = list(merge(parts, count))
    assert len(merged) == count
    for place, item in enumerate(merged):
        value = item["x"] if kind == "dict" else item
        assert (value == place).all()


def test_merging_keeps_columns_by_name():
    """Two parts whose dicts name their columns in another order are not mixed up."""
    a = Rows({"x": np.zeros(2), "y": np.ones(2)}, 2)
    b = Rows({"y": np.ones(2), "x": np.zeros(2)}, 2)
    assert all(row["x"] == 0 and row["y"] == 1 for row in merge([(np.array([0, 2]), a), (np.array([1, 3]), b)], 4))


def test_merging_takes_slices():
    """A place may be a slice, too."""
    merged = merge([(slice(0, 4, 2), ["a", "b"]), (slice(1, 4, 2), ["c", "d"])], 4)
    assert list(merged) == ["a", "c", "b", "d"]
