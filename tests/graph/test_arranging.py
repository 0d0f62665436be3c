"""Arrangements: permutations that keep something near, and draws: exact, computed place by place, and random enough.

The keys are fixed, so these statistics always come out the same; their bounds are the 99.9 % quantile or wider.
"""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.graph.arranging import Ascending, Blocks, Blockwise, Draws, Itself, Windowed
from penstock.graph.order import TABLE, Order

KEYS = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 5000), st.integers(0, 2**40))


def windowed(n, window=20, times=1, key=(0, 1, 0)):
    """Return all positions of a windowed order."""
    return Windowed(n, window, times, key).many(range(n))


def blocks(n, size=5, together=3, key=(0, 1, 0)):
    """Return all positions of an order of blocks."""
    return Blocks(n, size, together, key).many(range(n))


def chi_square(counts):
    """Return the deviation from evenness, as standard deviations of a chi-square distribution."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


# ------------------------------------------------------------------------------------------------ exact and by place


@given(st.integers(0, 400), st.integers(2, 450), st.integers(1, 4), KEYS)
def test_windows_hold_each_position_once_and_near(n, window, times, key):
    """A windowed order is a permutation, and moves nothing further than its window."""
    found = windowed(n, window, 1, key)
    assert np.array_equal(np.sort(found), np.arange(n))
    assert np.abs(found - np.arange(n)).max(initial=0) <= window
    several = windowed(n * times, window, times, key)
    assert np.array_equal(np.sort(several), np.arange(n * times))
    assert np.abs(several - np.arange(n * times)).max(initial=0) < (window + 2) * times


@given(st.integers(0, 400), st.integers(1, 30), st.integers(1, 9), KEYS)
def test_blocks_hold_each_position_once_and_stay_whole(n, size, together, key):
    """An order of blocks is a permutation, and every group of places has whole blocks, the short one among them."""
    found = blocks(n, size, together, key)
    assert np.array_equal(np.sort(found), np.arange(n))
    place = 0
    while place < n:
        members = set((found[place : place + size * together] // size).tolist())
        count = sum(min(size, n - block * size) for block in list(members)[:together])
        if len(members) > together:  # the short block makes this group shorter
            count = size * together - (-n % size)
        whole = found[place : place + count]
        assert len(set((whole // size).tolist())) <= together
        for block in set((whole // size).tolist()):
            assert (whole // size == block).sum() == min(size, n - block * size)
        place += count


@given(st.integers(1, 400), st.integers(1, 50), KEYS)
def test_runs_ascend_and_have_the_same_positions(n, run, key):
    """Each run of places has the positions that it has without, in ascending order."""
    order = Order(n, key)
    plain, found = order.many(range(n)), Ascending(order, run).many(range(n))
    for start in range(0, n, run):
        assert found[start : start + run].tolist() == sorted(plain[start : start + run].tolist())


ARRANGEMENTS = {
    "windowed": lambda n: Windowed(n, 37, 1, (3, 2, 1)),
    "windowed, wide": lambda n: Windowed(n, 5 * TABLE, 1, (3, 2, 1)),
    "windowed, times": lambda n: Windowed(n, 7, 3, (3, 2, 1)),
    "blocks": lambda n: Blocks(n, 7, 4, (3, 2, 1)),
    "blocks, large": lambda n: Blocks(n, 3000, 20, (3, 2, 1)),
    "ascending": lambda n: Ascending(Order(n, (3, 2, 1)), 13),
    "ascending blocks": lambda n: Ascending(Blocks(n, 7, 4, (3, 2, 1)), 13),
    "draws": lambda n: Draws((3, 2, 1)),
}


@pytest.mark.parametrize("name", ARRANGEMENTS)
@given(data=st.data())
@settings(max_examples=20)
def test_one_is_many(name, data):
    """One place by itself, a vector of places, and ranges of any direction and step agree, whatever was asked before."""
    n = data.draw(st.sampled_from([1, 50, 1000, 3 * TABLE + 5, 10**9]))
    make = ARRANGEMENTS[name]
    a = data.draw(st.integers(0, n - 1))
    step = data.draw(st.integers(1, max(1, n // 50)))
    ranges = [
        range(a, min(n, a + 30)),
        range(a, min(n, a + 30 * step), step),
        range(a, max(-1, a - 30), -1),
        range(a, a),
    ]
    used = make(n)
    for places in ranges:
        expected = [make(n).one(place) for place in places]
        assert make(n).many(places).tolist() == expected
        assert used.many(np.array(list(places), np.int64)).tolist() == expected
        assert [used.one(place) for place in places] == expected


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_memory_is_bounded(name):
    """An arrangement of 10**12 takes a few tables at the most, wherever it is read."""
    asked = ARRANGEMENTS[name](10**12)
    asked.many(range(10))
    tracemalloc.start()
    try:
        for start in (0, 10**6, 10**11, 10**12 - 2000):
            asked.many(range(start, start + 1000))
            asked.one(start)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_an_endless_windowed_order_is_that_of_any_length():
    """But for its end, a windowed order does not depend on the length: so a stream can begin before it is known."""
    endless = Windowed(None, 20, 1, (0, 1, 0)).many(range(1000))
    assert np.array_equal(endless[:960], windowed(1000)[:960])


def test_blocks_know_their_bounds():
    """Blocks follow one another without a gap; the first is shorter by the shift."""
    blocks_ = Blockwise(None, 10, 3, (0, 1, 0), 1)
    assert [blocks_.bounds(k) for k in range(3)] == [(0, 7), (7, 17), (17, 27)]
    assert [blocks_.number(place) for place in (0, 6, 7, 16, 17)] == [0, 0, 1, 1, 2]


def test_the_same_value_is_the_same_name():
    """What stands in a name is known by identity alone."""
    value, other = [1], [1]
    assert Itself(value) == Itself(value)
    assert Itself(value) != Itself(other)
    assert hash(Itself(value)) == hash(Itself(value))
    assert Itself(value) != value


# ----------------------------------------------------------------------------------------------------- randomness


def test_displacements_are_spread_over_the_window():
    """In a windowed order both directions are equally frequent, and few items stay near their place."""
    window = 300
    moved = windowed(300_000, window) - np.arange(300_000)
    assert abs((moved > 0).mean() - (moved < 0).mean()) < 0.01
    assert 0.3 * window < np.abs(moved).mean() < 0.4 * window
    assert (np.abs(moved) < window // 20).mean() < 0.08
    counts = np.histogram(np.abs(moved), bins=6, range=(0, window))[0]
    assert counts[0] < 1.2 * counts[1]
    assert counts[-1] > 0.02 * counts.sum()


def test_nothing_sticks_to_a_border():
    """Over epochs, each place gets items from both sides equally often: no border keeps them apart."""
    n, window = 200, 30
    orders = np.array([windowed(n, window, key=(0, 1, epoch)) for epoch in range(2000)])
    for border in range(2 * window, n - 2 * window):
        crossing = (orders[:, :border] >= border).sum(axis=1).mean()
        assert crossing > window / 8


def test_windowed_epochs_are_independent():
    """Displacements of adjacent epochs, seeds and operations have nothing in common."""
    orders = [windowed(20_000, 500, key=key) for key in [(0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 2, 0)]]
    for a, b in itertools.combinations(orders, 2):
        assert (a == b).mean() < 0.01
        assert abs(np.corrcoef(np.diff(a), np.diff(b))[0, 1]) < 0.05


def test_neighbours_of_a_windowed_order_are_apart():
    """Items that stood side by side rarely do afterwards."""
    steps = np.abs(np.diff(windowed(100_000, 300)))
    assert (steps == 1).mean() < 0.02
    assert np.median(steps) > 40


def test_small_windows_reach_every_order():
    """Of four items in a wide window, all 24 orders come, none of them rarely."""
    seen = dict.fromkeys(itertools.permutations(range(4)), 0)
    for epoch in range(2400):
        seen[tuple(windowed(4, 20, key=(5, 1, epoch)).tolist())] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize("n", [24, 23])
def test_blocks_and_their_items_are_spread_evenly(n):
    """Over epochs every position is equally often at every place; with a short block, about equally often."""
    table = np.zeros((n, n))
    for epoch in range(6000):
        table[np.arange(n), blocks(n, 4, 2, (1, 1, epoch))] += 1
    if n == 24:
        assert abs(chi_square(table.ravel())) < 4
    else:  # the last place of a group is in that group only where the short block is not
        table = np.delete(table, [7, 15], axis=0)
        assert 0.75 < table.min() / 6000 * n < table.max() / 6000 * n < 1.35


def test_groups_of_blocks_are_mixed():
    """Within a group, neighbouring places are of different blocks about as often as they would by chance."""
    found = blocks(64_000, 100, 8)
    same = (np.diff(found // 100) == 0).mean()
    assert abs(same - 99 / 799) < 0.01


def test_draws_are_random():
    """Words are even, bit by bit, without repetition, and those of adjacent keys and places have nothing in common."""
    n = 1 << 16
    keys = [(0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 2, 0)]
    draws = [Draws(key).many(range(n)) for key in keys]
    assert len(np.unique(np.concatenate(draws))) == 4 * n
    for words in draws:
        for bit in range(64):
            ones = (words >> np.uint64(bit) & np.uint64(1)).sum()
            assert abs(int(ones) - n // 2) < 5 * np.sqrt(n) / 2
    numbers = [Draws(key).uniform(range(n)) for key in keys]
    for a, b in itertools.combinations(numbers, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)
    for a in numbers:
        assert 0 <= a.min() < 1e-3
        assert 1 - 1e-3 < a.max() < 1
        assert abs(chi_square(np.histogram(a, bins=256, range=(0, 1))[0])) < 5
        pairs = np.histogram2d(a[:-1], a[1:], bins=32, range=((0, 1), (0, 1)))[0]
        assert abs(chi_square(pairs.ravel())) < 5
        for lag in (1, 2, 64, 4096):
            assert abs(np.corrcoef(a[:-lag], a[lag:])[0, 1]) < 5 / np.sqrt(n)
