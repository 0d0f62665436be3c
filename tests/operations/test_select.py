"""select: items at explicit positions, as NumPy's fancy indexing has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph.items import Rows
from penstock.graph.reading import Plan, Reading
from penstock.operations.select import whole_range
from penstock.testing import check_dataset

ROWS = np.arange(20).reshape(10, 2)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(10).select([3, 1, 4, 1, 5]),
        ps.range(10).select([]),
        ps.range(1).select([0, -1, 0]),
        ps.range(0).select([]),
        ps.range(10).select(range(8, 2, -2)),
        ps.range(10).select(np.arange(10) % 3 == 0),
        ps.range(4).repeat().select([7, 0, 9]),
        ps.range(10)[[3, 1, 4]].shuffle().map(lambda x, rng: (x, rng.random()), rng=True),
        ps.range(10).shuffle()[np.array([-1, 0])].repeat(2),
        ps.arrays(ROWS).select([3, 1, 4, 9, 0])[::-1].select([0, 2]).batch(2),
        ps.arrays(x=ROWS, y=ROWS[:, 0])[3:][[True, False] * 3 + [True]].batch(3),
        ps.items(list("abcdef")).map(str.upper)[[5, 0, -2]].batch(2, collate=list),
        ps.range(9).select([1, 2, 3]).filter(lambda x: x % 2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with selections in it."""
    check_dataset(dataset, limit=12)


def test_processes():
    """Positions reach processes, and give the same items there."""
    dataset = ps.arrays(ROWS).select([3, 1, 4, 1, 5, 9, 2]).shuffle().batch(2)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(1,))


@given(st.integers(1, 30), st.data())
def test_selections_are_numpys(n, data):
    """A selection of a slice of a selection has the rows that NumPy's indexing gives."""
    numbers = np.arange(n)
    first = data.draw(st.lists(st.integers(-n, n - 1), max_size=12))
    step = data.draw(st.sampled_from([1, 2, -1, -3]))
    expected = numbers[np.array(first, int)][::step]
    second = data.draw(st.lists(st.integers(-len(expected), len(expected) - 1), max_size=8)) if len(expected) else []
    expected = expected[np.array(second, int)]
    for source in (ps.range(n), ps.arrays(numbers), ps.items(numbers.tolist())):
        found = source.select(first)[::step][second]
        assert list(found) == expected.tolist()
        assert [x for batch in found.batch(3) for x in batch.tolist()] == expected.tolist()


@given(st.lists(st.booleans(), max_size=20))
def test_masks_are_numpys(mask):
    """A mask keeps the items that it is true for, as a list or an array."""
    expected = [k for k, keep in enumerate(mask) if keep]
    assert list(ps.range(len(mask)).select(np.array(mask, bool))) == expected
    if mask:
        assert list(ps.range(len(mask))[mask]) == expected


@given(st.integers(0, 12), st.integers(-15, 15), st.integers(-15, 15), st.sampled_from([1, 2, -1, -2]))
def test_ranges_are_lists_of_positions(n, start, stop, step):
    """A range selects what the list of its numbers would, or is refused as that would be."""
    where = range(start, stop, step)
    if any(not -n <= index < n for index in where):
        with pytest.raises(IndexError):
            ps.range(n).select(where)
        return
    found = ps.range(n).select(where)
    assert list(found) == list(ps.range(n).select(list(where))) == [range(n)[k] for k in where]
    normal = whole_range(where, n)
    assert normal is None or list(normal) == [k % n for k in where]


def test_ranges_need_no_memory():
    """A range is kept as a slice, however long, and works on endless sequences."""
    assert len(ps.range(10**15).select(range(0, 10**15, 3))) == len(range(0, 10**15, 3))
    assert list(ps.range(3).repeat().select(range(10, 16, 2))) == [1, 0, 2]


def test_one_gather_at_the_source():
    """However many selections are stacked, rows of arrays are gathered at once, and stay arrays."""
    dataset = ps.arrays(ROWS).select(np.arange(10)[::-1])[1:].select([4, 2, 0])
    rows = Reading(Plan(dataset.node)).gather(dataset.node, np.array([2, 0]))
    assert isinstance(rows, Rows)
    assert rows.columns.tolist() == ROWS[::-1][1:][[4, 2, 0]][[2, 0]].tolist()


def test_what_was_given_may_change():
    """A description keeps positions of its own: changing the array afterwards changes nothing."""
    indices = np.array([1, 2, 3])
    dataset = ps.range(10).select(indices)
    indices[:] = 0
    assert list(dataset) == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        dataset.node.indices[0] = 5


@pytest.mark.parametrize(
    ("indices", "error", "words"),
    [
        ([10], IndexError, r"10, entry 0, is out of range for 10 items"),
        ([0, -11], IndexError, r"-11, entry 1, is out of range for 10 items"),
        (range(5, 12), IndexError, r"10, entry 5"),
        ([True, False], ValueError, r"an entry for every item; it has 2, and there are 10 items"),
        ([1.0, 2.0], TypeError, r"no list of positions.*select\(\[3, 1, 4\]\)"),
        ([1, True], TypeError, r"no list of positions"),
        ([[1], [2]], TypeError, r"no list of positions"),
        ([[1], [2, 3]], TypeError, r"no list of positions"),
        ("12", TypeError, r"no list of positions"),
        ({1, 2}, TypeError, r"no order: use sorted"),
        (7, TypeError, r"no list of positions"),
        ([2**70], TypeError, r"no list of positions"),
        (np.array([2**63], np.uint64), TypeError, r"no list of positions"),
    ],
    ids=str,
)
def test_bad_positions(indices, error, words):
    """What is no position is refused when it is written down, with the entry that is wrong."""
    with pytest.raises(error, match=words):
        ps.range(10).select(indices)


def test_endless_sequences_have_no_end_to_count_from():
    """Negative positions and masks need a length."""
    with pytest.raises(IndexError, match="from the end"):
        ps.range(3).repeat().select([0, -1])
    with pytest.raises(ValueError, match="no end"):
        ps.range(3).repeat()[[True]]


def test_labels_stay_small_and_states_tell_positions_apart():
    """A label names the first positions; a state of other positions is refused, and a long selection's is small."""
    many = ps.range(10**5).select(np.arange(10**5)[::-1])
    assert many.node.label() == "select([99999, 99998, 99997, 99996, … 100000 in all])"
    assert ps.range(9)[[1, 2]].node.label() == "select([1, 2])"
    assert ps.range(3)[[True, False, True]].node.label() == "select(mask with 2 of 3)"
    with many.loader() as loader, many[::-1][np.arange(10**5)[::-1]].loader() as same:
        assert len(json.dumps(loader.state_dict())) < 300
        assert same.state_dict() != loader.state_dict()
    a, b = (ps.range(10).select([0, 1, 2, 3, 4, last]) for last in (5, 6))
    with a.loader() as one, b.loader() as other, pytest.raises(ValueError, match="another pipeline"):
        other.load_state_dict(one.state_dict())
    assert a != b
    assert a == ps.range(10).select(np.arange(6, dtype=np.int16))


def test_errors_name_the_source():
    """An error behind a selection has the original type, and names the source's own item."""
    dataset = ps.items(["1", "x", "3"]).select([2, 1]).map(int)
    with pytest.raises(ValueError, match="invalid literal") as caught:
        list(dataset)
    assert "item 1 of map(int), epoch 0" in caught.value.__notes__[0]
