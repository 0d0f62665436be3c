"""batch with a schedule of sizes: where batches begin, by position and from streams alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset


def growing(number):
    """Return a size that grows."""
    return 1 + number // 2


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch([2, 3]),
        ps.range(1).batch([2, 3]),
        ps.range(30).batch([1, 2, 4]),
        ps.range(30).batch((5,), last="drop"),
        ps.range(30).shuffle().batch(growing),
        ps.range(29).batch(growing, last="drop"),
        ps.arrays(x=np.arange(30)).batch([4, 7], collate=list),
        ps.range(4).repeat().batch([1, 2, 3]),
        ps.range(4).repeat().batch(growing),
        ps.stream(range(30)).batch([1, 2, 4]),
        ps.stream(range(30)).batch(growing, last="drop"),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a schedule of sizes in it."""
    check_dataset(dataset, limit=20)


@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_batches_have_the_sizes(n, sizes, stream, drop):
    """Batch k has sizes[k] items, the last size for ever after; a list and the function that says the same agree."""
    base = ps.stream(range(n)) if stream else ps.range(n)
    expected, items = [], iter(range(n))
    for size in itertools.chain(sizes, itertools.repeat(sizes[-1])):
        batch = list(itertools.islice(items, size))
        if not batch or (drop and len(batch) < size):
            break
        expected.append(batch)
    last = "drop" if drop else "keep"
    for schedule in (sizes, np.array(sizes), lambda k: sizes[min(k, len(sizes) - 1)]):
        dataset = base.batch(schedule, last=last)
        assert [b.tolist() for b in dataset] == expected
        if not stream:
            assert len(dataset) == len(expected)


def test_ranks_divide_each_batch():
    """Ranks take their part of every batch; a batch with fewer rows than ranks is refused, with the remedy."""
    dataset = ps.range(30).batch([2, 4, 8], last="drop")
    parts = []
    for rank in range(2):
        with dataset.loader(shard=(rank, 2)) as loader:
            parts.append([b.tolist() for b in loader])
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]
    for base in (ps.range(30), ps.stream(range(30))):
        with (
            base.batch([2, 4, 8]).loader(shard=(0, 3)) as loader,
            pytest.raises(ArgumentError, match=r"batch 0 has 2 rows.*3 ranks.*larger sizes"),
        ):
            list(loader)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.batch([]), ["at least one size"]),
        (lambda d: d.batch([4, 0]), ["a size", "at least 1", "0"]),
        (lambda d: d.batch([4, "a"]), ["a size", "'a' (str)"]),
        (lambda d: d.batch([4], last="pad"), ["pad", "one size"]),
        (lambda d: d.batch([4], last="dorp"), ["last", "'dorp'"]),
        (lambda d: len(d.batch(lambda number: 0)), ["at least 1", "lambda(0)"]),
        (lambda d: len(d.batch(lambda number: 2.5)), ["2.5", "lambda(0)"]),
        (lambda d: len(d.batch([4, 5], last="error")), ["1 items would be left over", "last="]),
        (lambda d: list(ps.stream(range(10)).batch([4, 5], last="error")), ["1 items would be left over"]),
    ],
)
def test_mistakes(make, words):
    """What cannot work is refused with the value and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(ps.range(10))
    for word in words:
        assert word in str(caught.value)


def test_label():
    """A schedule is printed as it was written."""
    assert ps.range(9).batch([1, 2]).node.label() == "batch([1, 2])"
    long = ps.range(9).batch(tuple(range(1, 30)))
    assert long.node.label() == "batch([1, 2, 3, 4, 5, 6, …, 29])"
    assert long.node.fingerprint() != ps.range(9).batch([*range(1, 29), 29, 29]).node.fingerprint()
    assert ps.range(9).batch(growing, last="drop").node.label() == "batch(growing, last='drop')"
