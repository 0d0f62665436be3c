"""shuffle: a permutation anew in every epoch, by position, in no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
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


# ------------------------------------------------------------------------------------------- blocks and ascending runs


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).shuffle(block=4),
        ps.range(1).shuffle(block=4),
        ps.range(40).shuffle(block=4),
        ps.range(41).shuffle(block=4, blocks=3),
        ps.range(10**12).shuffle(block=1000, blocks=5),
        ps.range(0).shuffle(ascending=4),
        ps.range(43).shuffle(ascending=8),
        ps.range(10**12).shuffle(ascending=64),
        ps.range(43).shuffle(block=5, blocks=2, ascending=6),
        ps.arrays(np.arange(60).reshape(30, 2)).shuffle(ascending=6).batch(6),
        ps.range(7).shuffle(block=2, blocks=2).repeat(3),
    ],
    ids=repr,
)
def test_contract_of_other_orders(dataset):
    """Every promise holds for shuffles of blocks and ascending ones."""
    check_dataset(dataset, limit=30)


def test_blocks_stay_together():
    """Each group of places has whole blocks; with blocks=1 every block is read as a whole."""
    order = np.array(list(ps.range(60).shuffle(block=5, blocks=1)))
    groups = order.reshape(12, 5) // 5
    assert (groups == groups[:, :1]).all()
    assert sorted(groups[:, 0]) == list(range(12))
    mixed = np.array(list(ps.range(60).shuffle(block=5, blocks=4))).reshape(3, 20) // 5
    assert all(len(set(group)) == 4 for group in mixed.tolist())


def test_ascending_runs_are_the_batches_of_the_plain_shuffle():
    """With ascending, a batch has the same items as without, in the order of the source."""
    plain = [batch.tolist() for batch in ps.range(50).shuffle().batch(8)]
    assert [batch.tolist() for batch in ps.range(50).shuffle(ascending=8).batch(8)] == [sorted(b) for b in plain]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"block": 0}, ArgumentError, "block must be at least 1"),
        ({"block": "4"}, ArgumentTypeError, "block must be a whole number"),
        ({"block": 4, "blocks": 0}, ArgumentError, "blocks must be at least 1"),
        ({"blocks": 4}, ArgumentError, "say how long they are"),
        ({"ascending": 0}, ArgumentError, "ascending must be at least 1"),
        ({"ascending": True}, ArgumentTypeError, "ascending must be a whole number"),
    ],
)
def test_wrong_options(options, kind, words):
    """What cannot be an order is refused with what to say."""
    with pytest.raises(kind, match=words):
        ps.range(9).shuffle(**options)


def test_labels():
    """Shuffles are printed as they were written."""
    assert ps.range(9).shuffle(block=2, blocks=3).node.label() == "shuffle(block=2, blocks=3)"
    assert ps.range(9).shuffle(ascending=3).node.label() == "shuffle(ascending=3)"


def test_streams_are_told_of_windows():
    """The error for a stream names the shuffle that streams have."""
    with pytest.raises(ArgumentTypeError, match=r"shuffle\(block=2, blocks=16\): .* shuffle\(window=1000\)"):
        ps.range(9).filter(bool).shuffle(block=2)
