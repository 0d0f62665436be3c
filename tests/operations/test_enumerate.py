"""enumerate: every item with its number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import penstock as ps
from penstock.testing import check_dataset

DATASETS = [
    ps.range(0),
    ps.range(1),
    ps.range(9).shuffle(),
    ps.arrays(np.arange(6).reshape(3, 2)),
    ps.range(5).repeat(),
    ps.stream(["a", "b", "c"]),
    ps.range(20).filter(lambda x: x % 3),
    ps.items([[1, 2], [], [3]]).unbatch(),
    ps.range(4).filter(bool).repeat(2),
]


@pytest.mark.parametrize("dataset", DATASETS, ids=repr)
def test_contract(dataset):
    """Every promise of a description holds, on sequences and on streams, wherever the count begins."""
    check_dataset(dataset.enumerate(), limit=20)
    check_dataset(dataset.enumerate(7).map(str).batch(2), limit=10)


@pytest.mark.parametrize("dataset", DATASETS, ids=repr)
def test_it_is_pythons_enumerate(dataset):
    """The pairs are those of the built-in function."""
    expected = list(itertools.islice(enumerate(dataset, 3), 15))
    found = list(itertools.islice(dataset.enumerate(3), 15))
    assert [n for n, _ in found] == [n for n, _ in expected]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(found, expected, strict=True))


def test_numbers_are_plain():
    """A number is an int, however the items are gathered."""
    batch = ps.range(5).shuffle().enumerate()[::-1].batch(5, collate=list)[0]
    assert all(type(n) is int for n, _ in batch)


@pytest.mark.parametrize(("start", "kind"), [(-1, ValueError), ("1", TypeError), (1.0, TypeError), (True, TypeError)])
def test_mistakes(start, kind):
    """What is no number to count from is refused."""
    with pytest.raises(kind, match=r"enumerate\(\): start"):
        ps.range(3).enumerate(start)
