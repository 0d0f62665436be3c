"""split and folds: which positions belong to which part."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.operations.take import Slice
from penstock.parting import by_group, by_label, codes
from penstock.testing import check_dataset

LABELS = ["a"] * 10 + ["b"] * 5 + ["c"] * 5
GROUPS = [k // 3 for k in range(20)]


def items(parts):
    """Return all items of parts, one after the other."""
    return [int(x) for part in parts for x in part]


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(20).split(0.8, 0.2)[1],
        ps.range(20).split(0.8, 0.2, seed=3)[0].batch(3),
        ps.range(20).split(5, 2, stratify=LABELS)[1],
        ps.range(20).split(parts=3, groups=GROUPS, seed=1)[2].shuffle(),
        ps.range(20).split(edges=[3, 9])[1],
        ps.range(3).repeat().split(edges=[4])[1],
        ps.range(20).folds(3, seed=2)[1][0].map(lambda x, rng: (x, rng.random()), rng=True),
        ps.arrays(np.arange(20)).folds(4, stratify=LABELS, groups=GROUPS)[0][1].batch(2),
        ps.range(1).split(0.9, 0.1)[1],
        ps.range(0).split(parts=2)[0],
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with parts of datasets in it."""
    check_dataset(dataset, limit=12)


@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.none() | st.integers(0, 2**64 - 1))
def test_fractions_cover_everything(n, weights, seed):
    """Fractions that sum to 1 give parts that cover all items once, each within one of its share."""
    shares = [weight / sum(weights) for weight in weights]
    parts = ps.range(n).split(*shares, seed=seed)
    found = items(parts)
    assert sorted(found) == list(range(n))
    assert seed is not None or found == list(range(n))
    assert all(abs(len(part) - share * n) < 1 for part, share in zip(parts, shares, strict=True))


@given(st.integers(0, 50), st.integers(1, 8), st.none() | st.integers(0, 9))
def test_parts_are_numpys(n, count, seed):
    """parts=k gives the sizes of numpy.array_split."""
    parts = ps.range(n).split(parts=count, seed=seed)
    assert [len(part) for part in parts] == [len(part) for part in np.array_split(np.arange(n), count)]
    assert sorted(items(parts)) == list(range(n))


def test_what_fractions_leave_over_is_in_no_part():
    """Fractions below 1, and counts, take their share of everything and leave the rest."""
    assert [len(part) for part in ps.range(10).split(0.5, 0.2)] == [5, 2]
    assert [list(part) for part in ps.range(10).split(3, 2)] == [[0, 1, 2], [3, 4]]
    assert [len(part) for part in ps.range(10**15).split(0.7, 0.2, 0.1)] == [7 * 10**14, 2 * 10**14, 10**14]
    assert [len(part) for part in ps.range(3).split(1 / 3, 1 / 3, 1 / 3)] == [1, 1, 1]
    assert [len(part) for part in ps.range(10).split(1.0)] == [10]


def test_edges_are_slices():
    """edges= gives what slices between the edges give, and costs nothing."""
    parts = ps.range(10).split(edges=[2, 2, 7])
    assert [list(part) for part in parts] == [[0, 1], [], [2, 3, 4, 5, 6], [7, 8, 9]]
    assert all(isinstance(part.node, Slice) for part in [*parts, *ps.range(9).split(0.5, 0.5)])


def test_a_seed_is_a_permutation_that_stays():
    """A seeded split is random, the same whenever it is made and in every epoch, and another one for another seed."""
    one, again, other = (ps.range(100).split(0.8, 0.2, seed=seed)[1] for seed in (1, 1, 2))
    assert list(one) == list(again) == list(one.epoch(3))
    assert one == again
    assert sorted(one) != sorted(other)
    assert list(one) != sorted(one)
    assert sorted(items(ps.range(40_000).split(0.5, 0.5, seed=1))) == list(range(40_000))


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.none() | st.integers(0, 9),
)
def test_strata_are_even(labels, weights, seed):
    """Each part has its size exactly, and its share of every label to within two items."""
    n = len(labels)
    shares = [weight / sum(weights) for weight in weights]
    parts = ps.range(n).split(*shares, seed=seed, stratify=labels)
    plain = ps.range(n).split(*shares)
    assert [len(part) for part in parts] == [len(part) for part in plain]
    assert sorted(items(parts)) == list(range(n))
    for label, count in collections.Counter(labels).items():
        for part in parts:
            mine = sum(labels[x] == label for x in part)
            assert abs(mine - count * len(part) / n) < 2


def test_strata_of_two_parts_are_exact():
    """Where shares come out whole, every label is divided exactly; without a seed each part keeps the order."""
    train, test = ps.range(20).split(0.8, 0.2, stratify=LABELS)
    assert [LABELS[x] for x in test] == ["a", "a", "b", "c"]
    assert list(train) == sorted(train)


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=50),
    st.integers(1, 4),
    st.none() | st.integers(0, 9),
    st.booleans(),
)
def test_groups_stay_whole(groups, count, seed, stratified):
    """No group is in two parts, every item is in one, and sizes are as near as the largest group allows."""
    labels = [g % 2 for g in groups] if stratified else None
    parts = ps.range(len(groups)).split(parts=count, groups=groups, seed=seed, stratify=labels)
    assert sorted(items(parts)) == list(range(len(groups)))
    found = [{groups[x] for x in part} for part in parts]
    assert sum(map(len, found)) == len(set(groups))
    if not stratified:
        largest = max(collections.Counter(groups).values())
        assert max(map(len, parts)) - len(groups) / count <= largest


def test_groups_are_placed_where_labels_are_missing():
    """With groups and strata, whole groups are placed so that labels are even, too."""
    groups = [0, 0, 1, 1, 2, 2, 3, 3]
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    for part in ps.range(8).split(0.5, 0.5, groups=groups, stratify=labels):
        assert sorted(labels[x] for x in part) == [0, 0, 1, 1]


def test_groups_leave_a_rest():
    """Where fractions leave something over, groups may be in no part."""
    small, large = ps.range(40).split(0.25, 0.5, groups=[k // 2 for k in range(40)])
    assert (len(small), len(large)) == (10, 20)


@pytest.mark.parametrize("options", [{}, {"seed": 4}, {"stratify": LABELS}, {"groups": GROUPS}], ids=str)
def test_folds_hold_every_item_out_once(options):
    """The held-out parts cover everything once, and each pair has nothing in common and misses nothing."""
    pairs = ps.range(20).folds(4, **options)
    assert sorted(items([held for _, held in pairs])) == list(range(20))
    for train, held in pairs:
        assert sorted([*train, *held]) == list(range(20))
        assert "seed" in options or list(train) == sorted(train)
        if "groups" in options:
            assert not {GROUPS[x] for x in train} & {GROUPS[x] for x in held}
        if "stratify" in options:
            assert sum(LABELS[x] == "a" for x in held) in (2, 3)


def test_labels_of_any_kind():
    """Labels may be arrays, lists of texts, tuples or mixtures; their order is that of coming first."""
    assert codes(np.array([5, 3, 5, 1]), 4, "x").tolist() == [0, 1, 0, 2]
    assert codes(["b", "a", None, "b"], 4, "x").tolist() == [0, 1, 2, 0]
    assert codes(np.array([(1, 2), None], object), 2, "x").tolist() == [0, 1]
    assert codes(ps.items(["x", "y"]), 2, "x").tolist() == [0, 1]
    assert codes([], 0, "x").tolist() == []
    assert by_label(codes([], 0, "x"), [0, 0]).tolist() == []
    assert by_group(np.arange(0), np.arange(0), None, [0], largest=True).tolist() == []


def test_draws_are_those_of_the_position_in_the_part():
    """Random steps in front of a split draw by the whole's positions: a part has the items of the whole."""
    whole = ps.range(20).seed(1).map(lambda x, rng: (x, rng.random()), rng=True)
    everything = dict(list(whole))
    for part in whole.split(0.5, 0.5, seed=1):
        assert all(everything[x] == draw for x, draw in part)


@pytest.mark.parametrize(
    ("shares", "options", "words"),
    [
        ((), {}, "give fractions, counts, parts= or edges="),
        ((0.5,), {"parts": 2}, "one of them"),
        ((0.8, 0.3), {}, r"0.8 \+ 0.3 is more than 1"),
        ((0.0, 1.0), {}, "above 0 and at most 1, not 0.0"),
        ((-0.5,), {}, "above 0"),
        ((1.5,), {}, "at most 1"),
        ((0.5, 3), {}, "is a fraction, others are counts"),
        ((8, 3), {}, r"8 \+ 3 items are more than the 10"),
        ((-1,), {}, "at least 0"),
        (("x",), {}, "whole number"),
        ((), {"parts": 0}, "parts must be at least 1"),
        ((), {"edges": 3}, "list of positions"),
        ((), {"edges": [5, 2]}, "ascend"),
        ((), {"edges": [11]}, "behind the end"),
        ((0.5,), {"edges": [1]}, "nothing else"),
        ((), {"edges": [1], "seed": 1}, "nothing else"),
        ((0.5,), {"seed": -1}, "seed must be at least 0"),
        ((0.5,), {"seed": 2**64}, "below 2"),
        ((0.5,), {"seed": 1.5}, "seed must be a whole number"),
        ((0.5,), {"stratify": [1, 2]}, "it has 2, there are 10"),
        ((0.5,), {"groups": "abcdefghij"}, "a list or an array"),
        ((0.5,), {"groups": [[1]] * 10}, "cannot be compared"),
        ((0.5,), {"stratify": np.ones((10, 2))}, "one axis"),
    ],
    ids=str,
)
def test_bad_arguments(shares, options, words):
    """What cannot divide the dataset is refused, with what was said."""
    with pytest.raises((TypeError, ValueError), match=rf"split\(.*{words}"):
        ps.range(10).split(*shares, **options)


def test_endless_sequences_are_cut_by_counts_and_edges():
    """What has no end has no fractions, but a beginning."""
    endless = ps.range(3).repeat()
    assert [list(part) for part in endless.split(2, 3)] == [[0, 1], [2, 0, 1]]
    head, tail = endless.split(edges=[4])
    assert (list(head), tail[0]) == ([0, 1, 2, 0], 1)
    for arguments, options in (((0.5,), {}), ((), {"parts": 2}), ((3,), {"seed": 1})):
        with pytest.raises(ValueError, match="no end"):
            endless.split(*arguments, **options)
    with pytest.raises(ValueError, match="no end"):
        endless.folds(2)


@pytest.mark.parametrize(("count", "error"), [(1, ValueError), (2.0, TypeError), (0, ValueError)])
def test_bad_folds(count, error):
    """Fewer than two folds are no cross-validation."""
    with pytest.raises(error, match=r"folds\(\): count"):
        ps.range(5).folds(count)


def test_labels_are_as_written():
    """A part is printed as the split that it came from, and its number."""
    labels = [part.node.label() for part in ps.range(10).split(0.8, 0.2, seed=1)]
    assert labels == ["split(0.8, 0.2, seed=1)[0]", "split(0.8, 0.2, seed=1)[1]"]
    assert ps.range(20).split(5, stratify=LABELS)[0].node.label() == "split(5, stratify=…)[0]"
    assert ps.range(20).folds(2, seed=1)[1][0].node.label() == "folds(2, seed=1)[1][0]"
