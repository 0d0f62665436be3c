"""sample and balance: by any place, other draws in every epoch, in the proportions that were asked for."""

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
        ps.range(0).sample(),
        ps.range(0).sample(0, weights=[]),
        ps.range(0).sample(replacement=False),
        ps.range(1).sample(),
        ps.range(20).sample(),
        ps.range(20).sample(50),
        ps.range(5).sample(0),
        ps.range(20).sample(7, replacement=False),
        ps.range(20).sample(weights=np.arange(20)),
        ps.range(20).sample(weights=np.arange(20), replacement=False),
        ps.range(20).sample(5, weights=np.arange(20), replacement=False).repeat(4),
        ps.range(10**12).sample(),
        ps.range(10**12).sample(100, replacement=False),
        ps.arrays(np.arange(60).reshape(20, 3)).sample(30).batch(4),
        ps.range(9).balance([0, 0, 0, 0, 0, 0, 1, 1, 2]),
        ps.range(3).balance(["cat", "cat", "dog"], 20).batch(4),
        ps.zip(ps.range(9).sample(), ps.range(9).sample()),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with draws in it."""
    check_dataset(dataset, limit=30)


def test_processes_give_the_same():
    """In processes, too."""
    weights = np.arange(20)
    for dataset in (
        ps.range(20).sample(weights=weights).batch(4),
        ps.range(20).sample(12, weights=weights, replacement=False).batch(4),
    ):
        check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


def chi_square(counts, expected):
    """Return the deviation from expected counts, as standard deviations of a chi-square distribution."""
    freedom = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def drawn(dataset):
    """Return all items as an array."""
    return np.concatenate(list(dataset.batch(4096)))


@pytest.mark.parametrize("epoch", [0, 1])
def test_uniform_draws(epoch):
    """All items are equally likely, and so are all pairs of neighbours."""
    found = drawn(ps.range(50).sample(100_000).epoch(epoch))
    assert abs(chi_square(np.bincount(found, minlength=50), 2000)) < 4
    pairs = np.bincount(found[:-1] * 50 + found[1:], minlength=2500)
    assert abs(chi_square(pairs, pairs.mean())) < 4


def test_weighted_draws():
    """Items are drawn in proportion to their weights; those of weight 0 never are."""
    weights = np.array([0, 1, 2, 3, 0, 10, 0.5, 0])
    counts = np.bincount(drawn(ps.range(8).sample(100_000, weights=weights)), minlength=8)
    assert not counts[weights == 0].any()
    some = weights > 0
    assert abs(chi_square(counts[some], 100_000 * weights[some] / weights.sum())) < 4


def test_weighted_subsets():
    """Without replacement the first is drawn by weight, and the next by the weights of those left."""
    weights = np.array([1.0, 2, 3, 0])
    seen = np.zeros((4, 4))
    n = 6000
    dataset = ps.range(4).sample(2, weights=weights, replacement=False)
    for epoch in range(n):
        first, second = dataset.epoch(epoch)
        seen[first, second] += 1
    total = weights.sum()
    expected = np.array([[a / total * b / (total - a) for b in weights] for a in weights]) * n
    np.fill_diagonal(expected, 0)
    assert not seen[expected == 0].any()
    assert abs(chi_square(seen[expected > 0], expected[expected > 0])) < 4


@given(st.integers(0, 60), st.data())
def test_without_replacement_nothing_comes_twice(n, data):
    """Without replacement every item comes at most once, with weights and without."""
    weights = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    for given_, candidates in ((None, n), (weights, sum(map(bool, weights)))):
        count = data.draw(st.integers(0, candidates))
        found = list(ps.range(n).sample(count, weights=given_, replacement=False))
        assert len(found) == len(set(found)) == count
        everything = sorted(ps.range(n).sample(weights=given_, replacement=False))
        assert everything == [k for k in range(n) if given_ is None or weights[k]]


def test_epochs_and_seeds_differ():
    """Each epoch, seed and step has draws of its own."""
    dataset = ps.range(1000).seed(1).sample(20)
    found = [tuple(dataset.epoch(e)) for e in range(5)] + [tuple(ps.range(1000).seed(s).sample(20)) for s in (2, 3)]
    assert len(set(found)) == len(found)
    weights = np.ones(1000)
    subsets = [tuple(ps.range(1000).sample(9, weights=weights, replacement=False).epoch(e)) for e in range(5)]
    assert len(set(subsets)) == 5


def test_classes_are_balanced():
    """Every class is equally likely, and so are the items within one."""
    labels = np.array([0] * 90 + [7] * 9 + [3])
    found = drawn(ps.range(100).balance(labels, 90_000))
    assert abs(chi_square(np.array([(labels[found] == c).sum() for c in (0, 3, 7)]), 30_000)) < 4
    assert abs(chi_square(np.bincount(found[labels[found] == 7] - 90, minlength=9), 10_000 / 3)) < 5


def test_any_place_of_very_many_takes_no_memory():
    """Draws from 10**12 items are computed place by place."""
    dataset = ps.range(10**12).sample(10**12)
    dataset[5]
    tracemalloc.start()
    try:
        found = {dataset[0], dataset[10**11], dataset[-1], *dataset[10**11 : 10**11 + 50]}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 52  # the second is in the slice
    assert peak < 1 << 20


def test_weights_are_part_of_a_state():
    """A state of other weights is refused, and a state stays small."""
    from penstock.errors import StateError

    one, two = (ps.range(100).sample(weights=np.arange(100) + k) for k in (0, 1))
    with one.loader() as loader:
        state = loader.state_dict()
    with two.loader() as loader, pytest.raises(StateError, match="sample"):
        loader.load_state_dict(state)
    assert one != two
    assert one == ps.range(100).sample(weights=list(range(100)))


def test_weights_cannot_be_changed_later():
    """Changing the array that was given changes no draw."""
    weights = np.ones(5)
    dataset = ps.range(5).sample(100, weights=weights)
    before = list(dataset)
    weights[:4] = 0
    assert list(dataset) == before


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d: d.sample(-1), ArgumentError, "count must be at least 0"),
        (lambda d: d.sample(1.5), ArgumentTypeError, "count must be a whole number"),
        (lambda d: d.sample(weights=[1, 2]), ArgumentError, "Give one for each"),
        (lambda d: d.sample(weights=[1, 2, -1, 1]), ArgumentError, "item 2 has -1"),
        (lambda d: d.sample(weights=[1, 2, float("nan"), 1]), ArgumentError, "item 2 has nan"),
        (lambda d: d.sample(weights=["a"] * 4), ArgumentTypeError, "must be numbers"),
        (lambda d: d.sample(weights=[0] * 4), ArgumentError, "nothing to draw"),
        (lambda d: d.sample(5, replacement=False), ArgumentError, "5 different items cannot be drawn from 4 items"),
        (lambda d: d.sample(3, weights=[1, 1, 0, 0], replacement=False), ArgumentError, "2 items with a weight above"),
        (lambda d: d.sample(replacement=1), ArgumentTypeError, "True or False"),
        (lambda d: d.sample(replace=False), ArgumentTypeError, "replacement"),
        (lambda d: d.filter(bool).sample(), ArgumentTypeError, "gives a stream"),
        (lambda d: d.repeat().sample(), ArgumentTypeError, "has no end"),
        (lambda d: d.take(0).sample(3), ArgumentError, "nothing to draw 3 items from"),
        (lambda d: d.balance([1, 2]), ArgumentError, "labels has the shape"),
        (lambda d: d.balance(np.array([1, "a", None, 2], object)), ArgumentTypeError, "of one kind"),
        (lambda d: d.filter(bool).balance([1]), ArgumentTypeError, r"balance\(\): .*gives a stream"),
        (lambda d: d.sample().seed(3), ArgumentTypeError, "stands behind sample"),
    ],
)
def test_wrong_arguments(call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(ps.range(4))


def test_labels():
    """Draws are printed without their weights, which a state knows by a check sum."""
    assert (
        ps.range(4).sample(2, weights=[1] * 4, replacement=False).node.label()
        == "sample(2, weights, replacement=False)"
    )
    assert ps.range(4).balance([1] * 4).node.label() == "balance(labels)"


def test_errors_name_the_source():
    """An error of a drawn item names the item."""

    def fail(x):
        raise OSError(x)

    with pytest.raises(OSError, match="item 1") as caught:
        ps.items(["item 0", "item 1"]).sample(5, weights=[0, 1]).map(fail)[3]
    assert "item 3 of map(fail), epoch 0" in caught.value.__notes__[0]
