"""order: samplers and functions of the epoch, asked wherever items are computed."""

from __future__ import annotations

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StateError
from penstock.testing import check_dataset


class Sampler:
    """What PyTorch calls a sampler: an order of its own for each epoch that it is told."""

    def __init__(self, n):
        self.n = n
        self.epoch = 100

    def set_epoch(self, epoch):
        """Remember it."""
        self.epoch = epoch

    def __len__(self):
        return self.n

    def __iter__(self):
        return iter(np.random.default_rng(self.epoch).permutation(self.n).tolist())


class Restless:
    """A sampler that gives others each time, as PyTorch's random samplers do."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __iter__(self):
        return iter(self.rng.permutation(20).tolist())


def epochs(epoch):
    """Return an order for an epoch."""
    return np.random.default_rng(epoch).permutation(12)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(12).order(epochs),
        ps.range(12).order(Sampler(12)).batch(5),
        ps.range(12).order([3, 3, 0]),
        ps.range(12).order(range(11, -1, -1)).shuffle(),
        ps.range(12).order(lambda epoch: []),
        ps.range(12).order(lambda epoch: (k for k in (epoch, 5))),
        ps.arrays(np.arange(24).reshape(12, 2)).order(epochs).batch(4),
        ps.range(12).repeat().order([100, 5, 77]),
        ps.range(12).order(epochs).repeat(3),
        ps.range(12).order(epochs).filter(lambda x: x % 3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with an order in it."""
    check_dataset(dataset)


def test_processes_ask_for_themselves():
    """In processes, too."""
    check_dataset(ps.range(12).order(Sampler(12)).batch(4), executors=(ps.Processes(2),))


def test_the_sampler_is_told_the_epoch():
    """Each epoch has the sampler's order for it; the user's own sampler is not touched."""
    sampler = Sampler(9)
    dataset = ps.range(9).order(sampler)
    for epoch in (3, 0, 1, 3):
        assert list(dataset.epoch(epoch)) == np.random.default_rng(epoch).permutation(9).tolist()
    assert sampler.epoch == 100


def test_it_is_asked_once_for_each_epoch():
    """However many items are read, a process asks once for each epoch, and twice when the operation is made."""
    asked = []

    def order(epoch):
        asked.append(epoch)
        return list(range(50))

    with ps.range(50).order(order).batch(7).loader() as loader:
        for _ in range(3):
            list(loader)
    assert asked == [0, 0, 0, 1, 2]


def test_what_changes_its_mind_is_refused():
    """A sampler that gives others each time is refused with what to write instead."""
    for sampler in (Restless(), lambda epoch: np.random.default_rng().permutation(20)):
        with pytest.raises(ArgumentError, match=r"other indices each time.*default_rng\(epoch\)"):
            ps.range(20).order(sampler)


def test_another_length_in_a_later_epoch_is_an_error():
    """Every epoch must have as many indices as the first."""
    dataset = ps.range(9).order(lambda epoch: range(3 + epoch))
    assert list(dataset) == [0, 1, 2]
    with pytest.raises(ArgumentError, match="4 indices came in epoch 1, 3 in epoch 0"):
        list(dataset.epoch(1))


def test_a_wrong_index_in_a_later_epoch_is_an_error():
    """Indices of every epoch are looked at."""
    with pytest.raises(ArgumentError, match=r"index 9 .* there are 9 items"):
        list(ps.range(9).order(lambda epoch: [9 * epoch]).epoch(1))


def test_a_state_of_another_order_is_refused():
    """Orders are told apart by what they give."""
    one, two = (ps.range(9).order(order) for order in ([0, 1, 2], [0, 2, 1]))
    with one.loader() as loader:
        state = loader.state_dict()
    with two.loader() as loader, pytest.raises(StateError, match="order"):
        loader.load_state_dict(state)


@pytest.mark.parametrize(
    ("sampler", "kind", "words"),
    [
        ([[0, 1], [2]], ArgumentTypeError, r"batch_sampler\.sampler"),
        ([[0, 1], [2, 3]], ArgumentTypeError, r"\.batch\(size\) behind"),
        ([0.5], ArgumentTypeError, "whole numbers"),
        (["a"], ArgumentTypeError, "whole numbers"),
        ([True, False], ArgumentTypeError, "whole numbers"),
        ([0, 9], ArgumentError, "index 9 .* there are 9 items"),
        ([0, -1], ArgumentError, "index -1"),
        (iter([1]), ArgumentTypeError, "is an iterator"),
        (3, ArgumentTypeError, "neither a sampler nor a function"),
        (None, ArgumentTypeError, "neither a sampler nor a function"),
    ],
)
def test_wrong_samplers(sampler, kind, words):
    """What gives no indices is refused with what to give."""
    with pytest.raises(kind, match=words):
        ps.range(9).order(sampler)


def test_streams_are_refused():
    """A stream has no positions to put in order."""
    with pytest.raises(ArgumentTypeError, match=r"gives a stream.*Put order\(\) before it"):
        ps.range(9).filter(bool).order([0])


def test_label():
    """It is printed by what it was given."""
    assert ps.range(12).order(epochs).node.label() == "order(epochs)"
    assert ps.range(12).order(Sampler(12)).node.label() == "order(Sampler)"
