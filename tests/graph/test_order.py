"""Order: a permutation of exactly n, without memory, and as random as a shuffle should be.

The keys are fixed, so these statistics always come out the same; their bounds are the 99.9 % quantile or wider.
"""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.graph.order import TABLE, Order

KEYS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 5000), st.integers(0, 2**40))
LARGE = [TABLE + 1, 3 * TABLE + 7, 1 << 16, (1 << 16) + 1, 100_003]


def order(n, seed=0, number=1, epoch=0):
    """Return all positions of an order."""
    return Order(n, (seed, number, epoch)).many(range(n))


@given(st.integers(0, 2 * TABLE), KEYS)
@example(0, (0, 0, 0))
@example(1, (0, 0, 0))
@example(2, (0, 0, 0))
@example(3, (2**64 - 1, 5000, 2**40))
@example(TABLE - 1, (1, 2, 3))
@example(TABLE, (1, 2, 3))
@example(TABLE + 1, (1, 2, 3))
@example(2 * TABLE, (1, 2, 3))
@example(2 * TABLE + 1, (1, 2, 3))
def test_bijection(n, key):
    """Each position stands at exactly one place, for every n and key."""
    found = Order(n, key).many(np.arange(n))
    assert found.dtype == np.int64
    assert np.array_equal(np.sort(found), np.arange(n))


@pytest.mark.parametrize("n", [*LARGE, 1 << 20, (1 << 20) - 1])
def test_bijection_of_many(n):
    """The same beyond the table, next to powers of two."""
    assert np.array_equal(np.sort(order(n)), np.arange(n))


@given(st.sampled_from([1, 2, 100, TABLE, *LARGE, 10**9, 2**32, 2**32 + 1, 10**12, 2**62]), KEYS, st.data())
def test_one_is_many(n, key, data):
    """One place by itself, a vector of places, and ranges of any direction and step agree."""
    a, b = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
    step = data.draw(st.integers(1, max(1, n // 50)))
    ranges = [
        range(a, min(n, a + 40)),
        range(a, min(n, a + 40 * step), step),
        range(a, max(-1, a - 40), -1),
        range(b, b),
    ]
    for places in ranges:
        expected = [Order(n, key).one(p) if n > TABLE else int(Order(n, key).many(np.array([p]))[0]) for p in places]
        assert Order(n, key).many(places).tolist() == expected
        assert Order(n, key).many(np.array(list(places), np.int64)).tolist() == expected
        assert [Order(n, key).one(p) for p in places] == expected
        assert all(0 <= x < n for x in expected)


def test_answers_cannot_be_spoiled():
    """Changing the places that were asked for, or the answer's order of asking, leaves later answers alone."""
    asked = Order(100_003, (0, 1, 0))
    places = np.arange(10)
    first = asked.many(places).copy()
    assert places.tolist() == list(range(10))
    assert np.array_equal(asked.many(places), first)


@given(st.sampled_from([1, 2, 100, TABLE, *LARGE, 10**9, 2**32 + 1, 10**12, 2**62]), KEYS, st.data())
def test_find_is_the_reverse(n, key, data):
    """The place that is found for a position is the one at which it stands."""
    place = data.draw(st.integers(0, n - 1))
    asked = Order(n, key)
    position = asked.one(place) if n > TABLE else int(asked.many(np.array([place]))[0])
    assert asked.find(position) == place


@pytest.mark.parametrize("n", [50, *LARGE])
def test_lanes_and_blocks_have_orders_of_their_own(n):
    """Several orders of one operation in one epoch have nothing in common."""
    orders = [Order(n, (0, 1, 0), *which).many(np.arange(n)) for which in [(), (1,), (2,), (1, 1), (1, 2), (0, 1)]]
    for a, b in itertools.combinations(orders, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)
        assert (a == b).sum() < 12


def test_memory_is_bounded():
    """An order of 10**12 keeps and takes less than 2 MiB, wherever it is read."""
    asked = Order(10**12, (0, 1, 0))
    asked.many(range(10))
    tracemalloc.start()
    try:
        for start in (0, 10**6, 10**11, 10**12 - TABLE):
            asked.many(range(start, start + TABLE))
            asked.one(start)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


# ----------------------------------------------------------------------------------------------------- randomness


def chi_square(counts):
    """Return the deviation from evenness, as standard deviations of a chi-square distribution."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


def test_small_orders_are_uniform():
    """All 24 orders of four items come equally often over epochs, and over seeds."""
    for keys in ([(5, 1, e) for e in range(4800)], [(s, 1, 0) for s in range(4800)]):
        seen = dict.fromkeys(itertools.permutations(range(4)), 0)
        for key in keys:
            seen[tuple(Order(4, key).many(range(4)).tolist())] += 1
        assert chi_square(np.array(list(seen.values()))) < 4


@pytest.mark.parametrize("n", [1000, *LARGE])
@pytest.mark.parametrize("seed", [0, 1, 12345678901])
def test_positions_are_spread_evenly(n, seed):
    """In every stretch of places, positions from every stretch of the source are equally frequent."""
    found = order(n, seed)
    table, _, _ = np.histogram2d(np.arange(n), found, bins=16)
    assert abs(chi_square(table.ravel())) < 5


@pytest.mark.parametrize("n", [1000, *LARGE])
@pytest.mark.parametrize("seed", [0, 1, 12345678901])
def test_neighbours_are_far_apart(n, seed):
    """Differences of neighbouring places are those of random pairs: no steps that recur, none that are too small."""
    found = order(n, seed)
    steps = np.diff(found) % n
    counts = np.histogram(steps, bins=64, range=(0, n))[0]
    assert abs(chi_square(counts)) < 5
    assert np.bincount(steps).max() <= 12  # of n differences, the commonest of n values: Poisson
    assert (np.abs(np.diff(found)) == 1).sum() < 20  # two expected
    for lag in (1, 2, 3, 64, 256):
        assert abs(np.corrcoef(found[:-lag], found[lag:])[0, 1]) < 4.5 / np.sqrt(n - lag)


@pytest.mark.parametrize("n", [1000, *LARGE])
@pytest.mark.parametrize("what", ["seed", "number", "epoch"])
def test_neighbouring_keys_are_independent(n, what):
    """Orders of adjacent seeds, operations and epochs have nothing in common."""
    orders = [order(n, **{what: k}) for k in range(1, 9)]
    for a, b in itertools.combinations(orders, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)
        assert (a == b).sum() < 12  # one expected
        differences = np.histogram((a - b) % n, bins=32, range=(0, n))[0]
        assert abs(chi_square(differences)) < 6


def test_low_and_high_bits_are_random():
    """Every bit of the positions is as random as a coin, also for places in steps of powers of two."""
    n = 1 << 20
    asked = Order(n, (7, 3, 1))
    for step in (1, 2, 64, 256):
        found = asked.many(np.arange(0, step * 4096, step))
        for bit in range(20):
            ones = (found >> bit & 1).sum()
            assert abs(ones - 2048) < 5 * 32


@pytest.mark.parametrize("n", [10**9, 10**12, 2**40 + 1])
def test_long_orders_are_random_where_they_are_read(n):
    """The first places of a very long order are even, and without recurring steps."""
    found = Order(n, (0, 1, 0)).many(np.arange(1 << 16))
    assert len(np.unique(found)) == 1 << 16
    assert abs(chi_square(np.histogram(found, bins=64, range=(0, n))[0])) < 5
    assert len(np.unique(np.diff(found) % n)) > (1 << 16) - 40
