"""epoch: one epoch, whatever the epoch."""

from __future__ import annotations

import numpy as np
import pytest

import penstock as ps
from penstock.testing import check_dataset, same


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(6).shuffle().epoch(3),
        ps.range(6).shuffle().map(draw, rng=True).epoch(3).shuffle().batch(4),
        ps.arrays(np.arange(6)).shuffle().epoch(1).batch(4),
        ps.range(6).shuffle().filter(bool).epoch(3),
        ps.range(6).shuffle().filter(bool).epoch(3).map(draw, rng=True),
        ps.range(6).shuffle().filter(bool).epoch(3).filter(lambda x: x % 2).batch(2),
        ps.range(6).batch(2).unbatch().epoch(1).map(draw, rng=True),
        ps.stream([1, 2, 3]).map(draw, rng=True).epoch(2).prefetch(2),
        ps.range(4).shuffle().epoch(2).repeat(2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with epoch in it."""
    check_dataset(dataset)


@pytest.mark.parametrize(
    "base",
    [
        ps.range(20).shuffle().map(draw, rng=True),
        ps.range(20).shuffle().batch(3),
        ps.range(20).shuffle().filter(bool).map(draw, rng=True),
    ],
    ids=repr,
)
def test_it_is_what_a_loader_reads_in_that_epoch(base):
    """Epoch n of a dataset is what a loader's n-th iteration reads."""
    with base.loader() as loader:
        read = [list(loader) for _ in range(3)]
    for number in range(3):
        assert same(list(base.epoch(number)), read[number])
        assert same(list(base.epoch(number).epoch(7)), read[number])
    assert not same(read[0], read[1])


def test_the_epoch_is_fixed():
    """A fixed epoch is the same in every epoch of a loader."""
    with ps.range(20).shuffle().epoch(4).loader() as loader:
        assert list(loader) == list(loader) == list(ps.range(20).shuffle().epoch(4))
