"""seed: reaches what stands behind it, and is refused where it would reach nothing that it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(6).seed(1),
        ps.range(6).seed(0).shuffle().map(draw, rng=True),
        ps.range(6).seed(2**64 - 1).shuffle().map(draw, rng=True),
        ps.arrays(np.arange(6)).seed(3).shuffle().batch(4),
        ps.stream([1, 2, 3]).seed(3).map(draw, rng=True),
        ps.range(6).filter(bool).seed(3).map(draw, rng=True),
        ps.range(6).filter(bool).seed(3).filter(bool),
        ps.range(6).batch(2).unbatch().seed(3).map(draw, rng=True).batch(2),
        ps.range(6).filter(bool).batch(2).seed(1).map(lambda b, rng: rng.random(), rng=True),
        ps.range(6).seed(1).shuffle().seed(2).map(draw, rng=True),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with seed in it, wherever it stands."""
    check_dataset(dataset)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_seeds_differ(a, b):
    """Two seeds give the same draws only if they are the same number."""
    one, two = (list(ps.range(3).seed(s).map(draw, rng=True)) for s in (a, b))
    assert (one == two) == (a == b)


def test_it_reaches_all_that_follows():
    """Every random step behind a seed derives from it, through joins and parts too."""

    def both(seed):
        base = ps.range(30).seed(seed)
        return list(ps.zip(base.shuffle(), base[::-1].map(draw, rng=True)))

    assert both(1) == both(1)
    a, b = both(1), both(2)
    assert [x[0] for x in a] != [x[0] for x in b]
    assert {x[1][1] for x in a}.isdisjoint({x[1][1] for x in b})


def test_each_seed_reaches_to_the_next():
    """Of two seeds, each rules the steps between it and the next."""
    order = list(ps.range(30).seed(1).shuffle())
    for later in (2, 3):
        assert [x for x, _ in ps.range(30).seed(1).shuffle().seed(later).map(draw, rng=True)] == order
    draws = [{y for _, y in ps.range(30).seed(1).shuffle().seed(later).map(draw, rng=True)} for later in (2, 3)]
    assert draws[0].isdisjoint(draws[1])


def test_of_a_zip_each_branch_has_its_own():
    """Branches with seeds of their own keep them."""
    one = list(ps.range(20).seed(1).shuffle())
    assert [a for a, _ in ps.zip(ps.range(20).seed(1).shuffle(), ps.range(20).seed(2).shuffle())] == one


@pytest.mark.parametrize(
    ("dataset", "step"),
    [
        (ps.range(9).shuffle(), "shuffle()"),
        (ps.range(9).shuffle().batch(2), "shuffle()"),
        (ps.range(9).map(draw, rng=True), "map(draw, rng=True)"),
        (ps.range(9).filter(bool).map(draw, rng=True).prefetch(2), "map(draw, rng=True)"),
        (ps.range(9).shuffle(window=3), "shuffle(window=3)"),
        (ps.range(9).sample(), "sample()"),
        (ps.range(9).reuse(2, window=3), "reuse(2, window=3)"),
        (ps.mix([ps.range(9)], how="random"), "mix(how='random')"),
        (ps.zip(ps.range(9), ps.range(9).shuffle()), "shuffle()"),
        (ps.zip(ps.range(9).seed(1), ps.range(9).shuffle()), "shuffle()"),
        (ps.concat(ps.range(9).shuffle(), ps.range(9).seed(1)), "shuffle()"),
    ],
    ids=repr,
)
def test_a_seed_behind_an_unseeded_random_step_is_refused(dataset, step):
    """A seed that comes too late for a random step names that step and where the seed belongs."""
    with pytest.raises(ArgumentTypeError) as caught:
        dataset.seed(5)
    assert f"seed(5) stands behind {step}" in str(caught.value)
    assert "before the first random step" in str(caught.value)


@pytest.mark.parametrize("seed", [None, 1.5, "7", True, [1], np.random.default_rng(1), -1])
def test_what_is_no_seed_is_refused(seed):
    """A seed is a whole number from 0 up; anything else is refused with what it is for."""
    with pytest.raises((ArgumentTypeError, ArgumentError), match=r"seed\(\): seed must be .* Choose any"):
        ps.range(9).seed(seed)


def test_label():
    """A seed is printed as a number, whatever kind of number it was."""
    assert ps.range(3).seed(np.uint64(7)).node.label() == "seed(7)"
