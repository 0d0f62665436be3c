"""Collating: what batches have in common: shares, padding, masks, and the words for what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import CollateError
from penstock.graph.collating import collate_text, filled, is_ours, masked, share
from penstock.graph.items import Rows, stack
from penstock.graph.padding import Pad


@given(st.integers(0, 100), st.integers(0, 50), st.integers(1, 9))
def test_shares_are_equal_and_complete(start, count, world):
    """The ranks' shares follow one another, cover all rows, and differ by one row at the most."""
    shares = [share(start, count, (rank, world)) for rank in range(world)]
    assert [x for mine in shares for x in mine] == list(range(start, start + count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("rows", [[1, 2, 3], Rows(np.arange(1, 4), 3), Rows({"x": np.arange(1, 4)}, 3)])
def test_rows_are_filled(rows):
    """What is missing are copies of the last row, or the filling; what is there stays."""
    items = list(rows)
    assert list(filled(rows, 3, 5)) == [*items, items[-1], items[-1]]
    assert list(filled(rows, 3, 4, fill=0)) == [*items, 0]
    assert list(filled(rows[:1], 0, 2)) == items[:1] * 2
    assert filled(rows, 3, 3) is rows


def test_masks():
    """A mask is a field of a dict, else the second of a pair; it hides no field."""
    assert masked({"x": 1}, 1, 2, "m")["m"].tolist() == [True, False]
    batch, mask = masked([1, 2], 2, 2, "m")
    assert (batch, mask.tolist()) == ([1, 2], [True, True])
    with pytest.raises(CollateError, match="'x' already"):
        masked({"x": 1}, 1, 2, "x")


def test_collations_in_words():
    """A label says nothing of the usual collation, and a Pad as it was written; only functions are the user's."""
    assert collate_text(stack) == ""
    assert collate_text(list) == ", collate=list"
    assert collate_text(Pad(1)) == ", collate=Pad(value=1)"
    assert [is_ours(c) for c in (stack, list, Pad(), Pad(max), max)] == [True, True, True, False, False]
