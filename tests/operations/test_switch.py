"""switch: at every position, the item of one of several datasets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset


def odd(index):
    """Return a number in any kind that counts as one."""
    return [np.int32(0), True][index % 2]


def stop(index):
    """Fail as an exhausted iterator would."""
    raise StopIteration


X = np.arange(20).reshape(10, 2)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.switch([0, 1, 1, 0, 1], ps.range(5), ps.range(5).map(lambda x: -x)),
        ps.switch([], ps.range(5)),
        ps.switch([True], ps.range(1), ps.range(1).map(str)),
        ps.switch(odd, ps.range(7).shuffle(), ps.range(9).map(lambda x, rng: rng.random(), rng=True)),
        ps.switch(odd, ps.range(3).repeat(), ps.range(5).repeat()),
        ps.switch(np.arange(10) % 3, ps.arrays(X), ps.arrays(X + 100), ps.arrays(X + 200)).batch(4),
        ps.switch(ps.range(10).shuffle().map(lambda x: x % 2), ps.range(10), ps.range(10).map(lambda x: -x))[::-1],
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a switch in it."""
    check_dataset(dataset, limit=12)


@given(st.lists(st.integers(0, 2), max_size=12))
def test_it_is_a_comprehension(numbers):
    """All kinds of selectors give the items of a comprehension."""
    datasets = [ps.range(20).map(lambda x, k=k: (k, x)) for k in range(3)]
    expected = [(k, i) for i, k in enumerate(numbers)]
    selectors = [numbers, np.array(numbers, np.uint8), ps.items(numbers), tuple(numbers)]
    for selector in selectors:
        found = ps.switch(selector, *datasets)
        assert list(found) == expected
        assert len(found) == len(expected)
    found = ps.switch(lambda i: i % 3, *datasets)
    assert found[17] == (2, 17)
    assert len(found) == 20
    assert [x for batch in found.batch(6, collate=list) for x in batch] == [(i % 3, i) for i in range(20)]


def test_only_the_chosen_one_is_computed():
    """Of the datasets that are not chosen, nothing is computed."""
    calls = []
    a, b = (ps.range(4).map(lambda x, name=name: calls.append(name) or x) for name in "ab")
    assert list(ps.switch([0, 0, 1, 0], a, b).batch(4, collate=list)) == [[0, 1, 2, 3]]
    assert sorted(calls) == ["a", "a", "a", "b"]


def test_seeds_come_from_the_first_dataset():
    """What stands behind a switch draws by the seed of the first dataset, not of the selector."""

    def draws(seed, other):
        made = ps.switch(ps.items([0, 1, 1]).seed(other), ps.range(3).seed(seed), ps.range(3))
        return list(made.map(lambda x, rng: rng.random(), rng=True))

    assert draws(1, 5) == draws(1, 6) != draws(2, 5)


@pytest.mark.parametrize("choice", [2, -1, "x", None, 0.5])
def test_wrong_choices_are_errors_when_read(choice):
    """A selector that gives no number of a dataset is named with its value and the position."""
    dataset = ps.switch(lambda i: choice if i == 3 else 0, ps.range(5), ps.range(5))
    for way in (dataset, dataset.batch(5)):
        with pytest.raises(ValueError, match=r"for position 3.*from 0 to 1: which of the 2 datasets") as caught:
            list(way)
        assert "item 3 of switch(lambda)" in caught.value.__notes__[0]


def test_wrong_numbers_are_errors_at_once():
    """Numbers in a list are checked when the switch is written down."""
    with pytest.raises(ValueError, match=r"entry 2 of the selector is 3; there are 2 datasets"):
        ps.switch([0, 1, 3], ps.range(5), ps.range(5))
    with pytest.raises(ValueError, match="no dataset"):
        ps.switch([0])
    with pytest.raises(TypeError, match="not a dataset"):
        ps.switch([0], [1, 2])
    with pytest.raises(TypeError, match="gives a stream"):
        ps.switch([0], ps.stream([1]))
    with pytest.raises(TypeError, match="no list of positions"):
        ps.switch(3, ps.range(3))


def test_errors_of_selectors():
    """An error of a selector keeps its type; a StopIteration does not end the epoch quietly."""
    with pytest.raises(ZeroDivisionError) as caught:
        list(ps.switch(lambda i: 0 // (i - 2), ps.range(5), ps.range(5)).batch(5))
    assert "item 2 of switch(lambda)" in caught.value.__notes__[0]
    for dataset in (ps.switch(stop, ps.range(3)), ps.switch(stop, ps.range(3)).batch(2)):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(dataset)
