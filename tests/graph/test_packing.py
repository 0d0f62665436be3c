"""Packing: plans against plain definitions, and how little they leave empty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError


def planned(lengths, budget, how, most):
    """Return the row of each item: the definition, by looking at every open row."""
    rows, room, placed = [], {}, []
    count = 0
    for n in lengths:
        if n == 0:
            placed.append(-1)
            continue
        fitting = [r for r in rows if room[r] >= n]
        if fitting:
            row = fitting[0] if how == "first_fit" else min(fitting, key=lambda r: (room[r], r))
        else:
            if len(rows) == most:
                rows.pop(0)
            row, count = count, count + 1
            rows.append(row)
            room[row] = budget
        room[row] -= n
        placed.append(row)
        rows = [r for r in rows if room[r]]
    return placed, count


@given(
    st.lists(st.integers(0, 12), max_size=60),
    st.integers(12, 30),
    st.sampled_from(["best_fit", "first_fit"]),
    st.integers(1, 6),
)
def test_plans_are_those_of_the_definition(lengths, budget, how, most):
    """The sorted list and the scan choose the rows that a look at all rows chooses."""
    plan = ps.Packing(budget, how=how, open=most).plan(lengths)
    placed, count = planned(lengths, budget, how, most)
    assert plan.placed.tolist() == placed
    assert plan.rows == count
    assert plan.padding == pytest.approx(1 - sum(lengths) / (count * budget) if count else 0)


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(30, 50))
def test_end_to_end(lengths, budget):
    """End to end, an item is in the row that its first token falls into."""
    plan = ps.Packing(budget, how="concat_split").plan(lengths)
    ends = np.cumsum(lengths)
    assert plan.placed.tolist() == [(e - n) // budget if n else -1 for e, n in zip(ends, lengths, strict=True)]
    assert plan.rows == -(-sum(lengths) // budget)


@pytest.mark.parametrize(
    ("how", "most", "share"), [("best_fit", 16, 0.003), ("first_fit", 16, 0.003), ("best_fit", 64, 0.002)]
)
def test_little_is_left_empty(how, most, share):
    """With lengths as documents have them, a few open rows leave a fraction of a per cent empty."""
    lengths = np.clip(np.random.default_rng(0).lognormal(6.0, 1.2, 50_000).astype(int), 1, 8192)
    assert ps.Packing(8192, how=how, open=most).plan(lengths).padding < share


@pytest.mark.parametrize("lengths", [[-1], [9], [1.5], [[1]], ["a"], 3])
def test_lengths_are_checked(lengths):
    """Lengths that are none, or above the budget, are refused."""
    with pytest.raises(ArgumentError, match="lengths must be"):
        ps.Packing(8).plan(lengths)


@pytest.mark.parametrize(
    "arguments",
    [{"budget": 0}, {"budget": "8"}, {"budget": 8, "how": "best"}, {"budget": 8, "open": 0}, {"budget": 8, "open": 65}],
    ids=str,
)
def test_values_check_themselves(arguments):
    """A packing that cannot work cannot be made."""
    with pytest.raises((ArgumentError, ArgumentTypeError), match=r"pack\(\)"):
        ps.Packing(**arguments)
