"""Splicing: cutting batches along their rows, and joining them, is each other's reverse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import CollateError
from penstock.graph.splicing import cut, join, rows
from penstock.testing import same

BATCHES = [
    np.arange(12).reshape(6, 2),
    list("abcdef"),
    {"x": np.arange(6), "s": list("abcdef")},
    (np.arange(6.0), {"y": np.arange(6, dtype=np.int8)}),
]


@pytest.mark.parametrize("batch", BATCHES, ids=lambda b: type(b).__name__)
@given(st.lists(st.integers(0, 6), max_size=4))
def test_joining_undoes_cutting(batch, places):
    """However a batch is cut, its parts joined are the batch."""
    edges = [0, *sorted(places), 6]
    parts = [cut(batch, a, b) for a, b in pairwise(edges)]
    assert [rows(part) for part in parts] == [b - a for a, b in pairwise(edges)]
    assert same(join(parts), batch)


def test_types_are_joined():
    """Arrays of different types are joined in the one that holds both."""
    assert join([np.zeros(1, np.int8), np.zeros(1, np.float32)]).dtype == np.float32


@pytest.mark.parametrize("batch", [3, "abc", np.zeros(()), {}, {"a": [1], "b": [1, 2]}, {"a": 3}, None])
def test_what_has_no_rows_is_refused(batch):
    """What is no batch is an error that shows it."""
    with pytest.raises(CollateError, match=r"rebatch\(\)"):
        rows(batch)
