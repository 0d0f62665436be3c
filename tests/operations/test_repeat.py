"""repeat: rounds that are epochs of what stands before."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError
from penstock.testing import check_dataset


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(4).repeat(3),
        ps.range(4).repeat(0),
        ps.range(4).repeat(1),
        ps.range(0).repeat(3),
        ps.range(0).repeat(),
        ps.range(4).repeat(),
        ps.range(4).shuffle().map(draw, rng=True).repeat(3).batch(5),
        ps.range(4).shuffle().repeat().batch(5),
        ps.range(3).repeat(2).repeat(2),
        ps.range(3).repeat(2).shuffle(),
        ps.arrays(np.arange(8).reshape(4, 2)).shuffle().repeat(3).batch(5),
        ps.stream([1, 2, 3]).repeat(3),
        ps.stream([1, 2, 3]).repeat(0),
        ps.stream([1, 2, 3]).repeat(),
        ps.stream([]).repeat(),
        ps.range(5).filter(bool).map(draw, rng=True).repeat(3).batch(3),
        ps.range(5).shuffle().filter(bool).repeat().map(draw, rng=True),
        ps.range(5).filter(lambda x: x > 9).repeat(),
        ps.range(5).filter(lambda x: x > 9).repeat(3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with repeat in it, also for empty and endless ones."""
    check_dataset(dataset, limit=16)


@given(st.integers(0, 6), st.integers(0, 5), st.booleans())
def test_it_is_the_list_times_n(n, times, stream):
    """The items are those of the list, so many times."""
    source = ps.stream(list(range(n))) if stream else ps.range(n)
    assert list(source.repeat(times)) == list(range(n)) * times


@pytest.mark.parametrize("stream", [False, True])
def test_a_round_is_an_epoch(stream):
    """Epoch e of repeat(n) reads the epochs e·n to e·n + n - 1 of the input."""
    base = ps.range(8).shuffle().map(draw, rng=True)
    base = base.filter(lambda p: True) if stream else base
    for epoch in (0, 1, 5):
        rounds = [list(base.epoch(3 * epoch + k)) for k in range(3)]
        assert list(base.repeat(3).epoch(epoch)) == list(itertools.chain(*rounds))
        assert rounds[0] != rounds[1]


@pytest.mark.parametrize("stream", [False, True])
def test_endless_rounds_are_new_in_every_epoch(stream):
    """Without end too, no round of one epoch is a round of another, and the first rounds are epochs 0, 1 and 2."""
    base = ps.range(8).shuffle()
    base = base.filter(lambda x: True) if stream else base
    first = list(itertools.islice(base.repeat(), 24))
    assert [first[0:8], first[8:16], first[16:]] == [list(base.epoch(e)) for e in range(3)]
    assert list(itertools.islice(base.repeat().epoch(1), 24)) != first


def test_an_empty_stream_repeated_ends():
    """An endless repetition of nothing ends instead of searching for ever."""
    assert list(ps.range(4).filter(lambda x: False).repeat()) == []


def test_a_stream_that_is_resumed_behind_its_last_item_goes_on():
    """A state taken at the very end of a round goes on with the next one."""
    dataset = ps.stream([1, 2, 3]).repeat(2)
    with dataset.loader() as loader:
        assert list(itertools.islice(loader, 3)) == [1, 2, 3]
        saved = loader.state_dict()
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        assert list(loader) == [1, 2, 3]


def test_errors_name_the_epoch_of_the_round():
    """An error's notes tell the round's own epoch, so that it can be seen again."""

    def bad(x, rng):
        if rng.random() > 0.9:
            raise OSError("torn")
        return x

    base = ps.range(5).map(bad, rng=True)
    with pytest.raises(OSError, match="torn") as caught:
        list(base.repeat())
    note = next(n for n in caught.value.__notes__ if "item" in n)
    epoch, item = int(note.split("epoch ")[1].split(",")[0]), int(note.split("item ")[1].split()[0])
    with pytest.raises(OSError, match="torn"):
        base.epoch(epoch)[item]


def test_label():
    """A repetition is printed with its number of rounds, an endless one without."""
    assert ps.range(3).repeat(2).node.label() == "repeat(2)"
    assert ps.range(3).repeat().node.label() == "repeat()"


def test_a_round_that_is_empty_by_chance_does_not_end_the_repetition():
    """Only the last round ends it, and an endless one goes on; also from every state."""

    def thinned(seed):
        return ps.stream([1]).seed(seed).flat_map(lambda x, rng: [x] if rng.random() > 0.6 else [], rng=True)

    def rounds(dataset):
        return [list(dataset.epoch(number)) for number in range(9)]

    thin = next(thinned(seed) for seed in range(99) if rounds(thinned(seed))[:2] == [[1], []])
    assert list(thin.repeat(9)) == [x for items in rounds(thin) for x in items]
    check_dataset(thin.repeat(9), epochs=(0,))
    check_dataset(thin.repeat(), limit=20, epochs=(0,))


def test_an_endless_repetition_that_dries_up_says_so():
    """Where a source has no more items in any later round, an endless repetition is an error, not a hang."""
    once = iter([[1, 2]])
    dataset = ps.stream(lambda: iter(next(once, []))).repeat().take(5)
    with pytest.raises(ArgumentError, match=r"repeat\(\): 100 rounds in a row gave no item"):
        list(dataset)
    assert list(ps.stream([]).repeat(10**9)) == []
