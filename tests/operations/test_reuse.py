"""reuse: each item is computed once, comes a given number of times, within a window; resumable."""

from __future__ import annotations

import collections
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset


def times_ten(x):
    """Return ten times as much."""
    return 10 * x


def jitter(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).reuse(3),
        ps.range(1).reuse(3),
        ps.range(12).reuse(1),
        ps.range(12).reuse(3, window=1),
        ps.range(15).reuse(2, window=4).map(jitter, rng=True).batch(4, collate=list),
        ps.range(30).shuffle().map(times_ten).reuse(2, window=5),
        ps.stream(list(range(15))).reuse(2, window=3),
        ps.stream([]).reuse(2),
        ps.range(20).filter(lambda x: x % 3).reuse(3, window=4),
        ps.range(5).repeat().reuse(2, window=3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with reuse in it."""
    check_dataset(dataset, limit=45)


def test_processes_give_the_same():
    """In processes, too."""
    check_dataset(ps.range(12).map(times_ten).reuse(2, window=4), executors=(ps.Processes(2),), epochs=(0,))


@given(st.integers(0, 60), st.integers(1, 5), st.integers(1, 30), st.integers(0, 3))
def test_counts_are_exact_and_repetitions_near(n, times, window, epoch):
    """Every item comes exactly as often as was asked, near where it would stand if nothing were mixed."""
    found = list(ps.range(n).reuse(times, window=window).epoch(epoch))
    assert collections.Counter(found) == dict.fromkeys(range(n), times)
    for place, item in enumerate(found):
        assert abs(place - times * item) < (window + 3) * times


def test_an_item_is_computed_once():
    """However often it comes, an item is computed once."""
    calls = []

    def costly(x):
        calls.append(x)
        return x

    list(ps.range(40).map(costly).reuse(5, window=8))
    assert calls == list(range(40))


def test_augmentations_behind_are_drawn_anew():
    """A random step behind it sees each repetition at a place of its own."""
    found = list(ps.range(20).reuse(3).map(jitter, rng=True))
    assert len({draw for _, draw in found}) == 60


def test_neighbours_are_mixed():
    """Repetitions do not simply follow one another."""
    found = list(ps.range(300).reuse(4, window=30))
    assert sum(a == b for a, b in itertools.pairwise(found)) < 100


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d: d.reuse(0), ArgumentError, "times must be at least 1"),
        (lambda d: d.reuse(1.5), ArgumentTypeError, "times must be a whole number"),
        (lambda d: d.reuse(2, window=0), ArgumentError, "window must be at least 1"),
        (lambda d: d.reuse(2, 5), ArgumentTypeError, "window"),
    ],
)
def test_wrong_arguments(call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(ps.range(4))


def test_label():
    """It is printed as it was written."""
    assert ps.range(4).reuse(2).node.label() == "reuse(2, window=100)"


def test_what_is_changed_at_one_place_stays_as_it_was_at_the_others():
    """A function behind that changes its item in place gets it unchanged every time; what cannot be copied is shared."""

    def add(x):
        x += 1
        return x

    dataset = ps.range(4).map(lambda x: np.full(2, float(x))).reuse(3, window=2).map(add)
    assert sorted(float(x[0]) for x in dataset) == [float(x) for x in (1, 2, 3, 4) for _ in range(3)]
    check_dataset(dataset)
    locks = list(ps.range(1).map(lambda x: threading.Lock()).reuse(2, window=2))
    assert locks[0] is locks[1]
