"""repeat_each: every item several times in a row."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph.reading import Plan, Reading
from penstock.testing import check_dataset


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(5).repeat_each(3),
        ps.range(5).repeat_each(1),
        ps.range(5).repeat_each(0),
        ps.range(0).repeat_each(3),
        ps.range(1).repeat_each(2).shuffle(),
        ps.range(3).repeat().repeat_each(2),
        ps.range(5).shuffle().map(lambda x, rng: (x, rng.random()), rng=True).repeat_each(3).batch(4),
        ps.range(4).repeat_each(3).map(lambda x, rng: (x, rng.random()), rng=True).batch(5),
        ps.arrays(np.arange(12).reshape(6, 2)).repeat_each(2)[::-1].batch(5),
        ps.arrays(x=np.arange(6), y=np.arange(6)).shuffle().repeat_each(2).batch(4),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with repeated items in it."""
    check_dataset(dataset, limit=14)


@given(st.integers(0, 8), st.integers(0, 4))
def test_it_is_a_comprehension(n, times):
    """The items are those of two nested loops, by every way of reading."""
    expected = [x for x in range(n) for _ in range(times)]
    for source in (ps.range(n), ps.arrays(np.arange(n))):
        found = source.repeat_each(times)
        assert len(found) == len(expected)
        assert [int(x) for x in found] == expected
        assert [int(x) for batch in found.batch(3) for x in batch] == expected
        if expected:
            assert found[-1] == expected[-1]


def test_what_is_read_together_is_computed_once():
    """A batch of repetitions calls the function in front once per item, and gives each repetition a copy."""
    calls = []
    dataset = ps.range(4).map(lambda x: calls.append(x) or np.full(3, x)).repeat_each(3)
    first = dataset.batch(12, collate=list)[0]
    assert calls == [0, 1, 2, 3]
    first[0] += 100
    assert [x[0] for x in first] == [100, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_what_cannot_be_copied_is_computed_again():
    """Items that refuse to be copied, like locks, are made once per repetition."""
    locks = ps.range(2).map(lambda x: threading.Lock()).repeat_each(2).batch(4, collate=list)[0]
    assert len({id(lock) for lock in locks}) == 4


def test_ranges_stay_ranges():
    """Neighbouring repetitions read neighbouring rows of the source as one range."""
    asked = []

    class Entries(list):
        def __getitems__(self, where):
            asked.append(where)
            return [self[k] for k in where]

    dataset = ps.items(Entries(range(9))).repeat_each(4)
    assert Reading(Plan(dataset.node)).gather(dataset.node, range(6, 14)) == [1, 1, 2, 2, 2, 2, 3, 3]
    assert asked == [[1, 2, 3]]


@pytest.mark.parametrize(("times", "error"), [(-1, ValueError), (1.5, TypeError), (None, TypeError), (True, TypeError)])
def test_bad_counts(times, error):
    """What is no count is refused by name."""
    with pytest.raises(error, match=r"repeat_each\(\): times"):
        ps.range(3).repeat_each(times)


def test_errors_name_the_item():
    """An error in front has its own type and the item of the input."""
    with pytest.raises(ZeroDivisionError) as caught:
        list(ps.range(3).map(lambda x: 1 // (x - 2)).repeat_each(2).batch(2))
    assert "item 2 of map(" in caught.value.__notes__[0]
