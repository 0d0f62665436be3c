"""shuffle: a permutation anew in every epoch, by position, in no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentTypeError
from penstock.testing import check_dataset


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).shuffle(),
        ps.range(1).shuffle(),
        ps.range(2).shuffle(),
        ps.range(40).shuffle(),
        ps.range(10**12).shuffle(),
        ps.range(20).seed(3).shuffle().batch(6).shuffle(),
        ps.range(20).shuffle()[5:15],
        ps.range(7).shuffle().repeat(3),
        ps.range(7).shuffle().repeat(),
        ps.arrays(np.arange(30).reshape(15, 2)).shuffle().batch(4),
        ps.items(["a", "b", "c", "d", "e"]).shuffle().filter(lambda s: s != "c"),
        ps.zip(ps.range(9).shuffle(), ps.range(9).shuffle()),
        ps.concat(ps.range(5), ps.range(7)).shuffle(),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with shuffle in it."""
    check_dataset(dataset, limit=24)


@given(st.integers(0, 300), st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_it_is_a_permutation(n, seed, epoch):
    """Every item comes exactly once, whatever length, seed and epoch."""
    assert sorted(ps.range(n).seed(seed).shuffle().epoch(epoch)) == list(range(n))


def test_every_epoch_and_seed_is_new():
    """Epochs and seeds have orders of their own; the same ones have the same."""
    dataset = ps.range(100).seed(1).shuffle()
    orders = [tuple(dataset.epoch(e)) for e in range(20)]
    orders += [tuple(ps.range(100).seed(s).shuffle()) for s in range(2, 20)]
    assert len(set(orders)) == len(orders)
    assert tuple(ps.range(100).seed(1).shuffle().epoch(7)) == orders[7]


def test_two_shuffles_differ():
    """Two shuffle steps are two operations: each has an order of its own; a shared one has one."""
    items = ps.range(50)
    assert any(a != b for a, b in ps.zip(items.shuffle(), items.shuffle()))
    shared = items.shuffle()
    assert all(a == b for a, b in ps.zip(shared, shared))


def test_what_follows_does_not_change_the_order():
    """Steps behind a shuffle leave its order as it is."""
    expected = list(ps.range(30).seed(4).shuffle())
    assert [x[0] for x in ps.zip(ps.range(30).seed(4).shuffle(), ps.range(30).shuffle())] == expected
    assert [x // 10 for x in ps.range(30).seed(4).shuffle().map(lambda x: 10 * x)] == expected


def test_it_needs_no_memory():
    """A shuffled epoch of 10**12 items takes less than a megabyte, at its front, middle and end."""
    dataset = ps.range(10**12).shuffle()
    next(iter(dataset))
    tracemalloc.start()
    try:
        found = {dataset[0], dataset[10**11], dataset[-1], *dataset[5 * 10**11 : 5 * 10**11 + 100]}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 103
    assert peak < 1 << 20


def test_a_stream_is_refused():
    """A stream cannot be shuffled as a whole; the error says where the step belongs."""
    with pytest.raises(ArgumentTypeError, match=r"filter\(bool\) gives a stream.*Put shuffle\(\) before it"):
        ps.range(9).filter(bool).shuffle()


def test_an_endless_sequence_is_refused():
    """An endless sequence has no permutation; the error says where the step belongs."""
    with pytest.raises(ArgumentTypeError, match=r"repeat\(\) has no end. Put shuffle\(\) before repeat\(\)"):
        ps.range(9).repeat().shuffle()
