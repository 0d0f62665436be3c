"""per_epoch: so many items an epoch, going on where the last one stopped, from scratch as by running."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError
from penstock.testing import Scrambled, check_dataset, same

PLACES = [ps.Inline(), ps.Threads(2), Scrambled()]


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


class Source:
    """An endless iterable that counts what is read from it, and what was closed."""

    def __init__(self):
        self.read = 0
        self.closed = 0

    def __iter__(self):
        """Count up without end."""
        try:
            for k in itertools.count():
                self.read += 1
                yield k
        finally:
            self.closed += 1


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).per_epoch(3),
        ps.range(1).per_epoch(3),
        ps.range(7).per_epoch(3),
        ps.range(3).shuffle().per_epoch(7),
        ps.range(7).shuffle().map(draw, rng=True).per_epoch(4).map(draw, rng=True),
        ps.range(7).shuffle().repeat().per_epoch(4),
        ps.range(7).repeat(2).per_epoch(4).repeat(2),
        ps.range(7).shuffle().per_epoch(4).repeat(),
        ps.range(7).shuffle().filter(lambda x: x % 3).map(draw, rng=True).per_epoch(3).repeat(),
        ps.arrays(np.arange(7.0)).shuffle().per_epoch(10).batch(4),
        ps.stream([]).per_epoch(3),
        ps.stream([1]).per_epoch(3),
        ps.stream(range(7)).per_epoch(3).batch(2),
        ps.stream(range(3)).per_epoch(7).map(draw, rng=True),
        ps.stream(itertools.count).per_epoch(5).map(str),
        ps.range(9).shuffle().filter(lambda x: x % 2).map(draw, rng=True).per_epoch(3),
        ps.range(9).filter(lambda x: x % 2).per_epoch(3).prefetch(2),
        ps.zip(ps.stream(range(5)).per_epoch(3), ps.range(9).per_epoch(2)),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with per_epoch in it, in any epoch."""
    check_dataset(dataset, limit=12, epochs=(0, 1, 4))


def test_in_processes():
    """Processes give the same items and states, by position and from the front."""
    check_dataset(ps.range(5).shuffle().per_epoch(3).map(str), executors=(ps.Processes(2),), epochs=(0, 2))
    check_dataset(ps.range(5).filter(bool).per_epoch(3).map(str), executors=(ps.Processes(2),), epochs=(0, 2))


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 5))
def test_epochs_are_pieces_of_the_rounds(n, count, epochs):
    """The epochs, one after the other, are the rounds, one after the other, each shuffled anew."""
    whole = ps.range(n).shuffle()
    rounds = list(itertools.chain(*(whole.epoch(e) for e in range(-(-count * epochs // n)))))[: count * epochs]
    for dataset in (whole.per_epoch(count), whole.filter(lambda x: True).per_epoch(count)):
        assert list(itertools.chain(*(dataset.epoch(e) for e in range(epochs)))) == rounds
        with dataset.loader() as loader:
            assert list(itertools.chain(*([*loader] for _ in range(epochs)))) == rounds


@pytest.mark.parametrize("workers", PLACES, ids=repr)
def test_a_running_loader_reads_nothing_twice(workers):
    """From epoch to epoch the input stays open; in the end it is closed."""
    source = Source()
    with ps.stream(source).per_epoch(10).map(float).loader(workers=workers) as loader:
        for epoch in range(5):
            assert list(loader) == list(range(10 * epoch, 10 * epoch + 10))
        assert source.read == 50
        assert source.closed == 0
    assert source.closed == 1


@pytest.mark.parametrize("workers", PLACES, ids=repr)
@pytest.mark.parametrize("taken", [0, 1, 3, 4])
def test_an_epoch_that_is_given_up_changes_nothing(workers, taken):
    """After a break anywhere, also behind the last item, the next epoch is the one that follows."""
    dataset = ps.range(50).map(float).filter(lambda x: x % 3).map(lambda x: x).per_epoch(4).map(lambda x: x)
    everything = [list(dataset.epoch(e)) for e in range(5)]
    with dataset.loader(workers=workers) as loader:
        for epoch in (0, 1, 2):
            iterator = iter(loader)
            assert list(itertools.islice(iterator, taken)) == everything[epoch][:taken]
            del iterator
            if not taken:
                assert list(loader) == everything[epoch]
        assert list(loader) == everything[3]
        assert list(loader) == everything[4]


@given(st.integers(0, 4), st.integers(0, 6), st.sampled_from(PLACES), st.sampled_from(PLACES))
def test_states_resume_within_and_between_epochs(epoch, cut, before, after):
    """A state from any place of any epoch, also from between two, gives the rest of it and the next epochs."""
    dataset = ps.stream([3, 1, 4, 1, 5]).map(draw, rng=True).per_epoch(7).map(draw, rng=True)
    everything = [list(dataset.epoch(e)) for e in range(7)]
    with dataset.loader(workers=before) as loader:
        for e in range(epoch):
            assert same(list(loader), everything[e])
        iterator = iter(loader) if cut else None
        for k in range(cut):
            assert same(next(iterator), everything[epoch][k])
        saved = json.dumps(loader.state_dict())
    with dataset.loader(workers=after) as loader:
        loader.load_state_dict(json.loads(saved))
        assert same(list(loader), everything[epoch][cut:])
        assert same(list(loader), everything[epoch + 1])
        assert same(list(loader), everything[epoch + 2])
        loader.load_state_dict(json.loads(saved))  # and back again
        assert same(list(loader), everything[epoch][cut:])


@pytest.mark.parametrize(
    "behind",
    [
        lambda d: d,
        lambda d: d.map(float),
        lambda d: d.map(float).on_error("skip"),
        lambda d: d.batch(4),
        lambda d: d.map(float).batch(3).map(list),
        lambda d: d.prefetch(2).map(float),
        lambda d: d.map(float).prefetch(2),
    ],
)
def test_a_state_between_epochs_says_where_the_input_stands(behind):
    """Loading what was saved behind the end of an epoch reads nothing of the epochs before again."""
    read = []
    dataset = behind(ps.range(1000).map(lambda x: read.append(x) or x).filter(lambda x: True).per_epoch(10))
    expected = [list(dataset.epoch(e)) for e in range(4)]
    states = []
    for workers in PLACES:
        with dataset.loader(workers=workers) as loader:
            assert same([list(loader), list(loader)], expected[:2])
            states.append(json.dumps(loader.state_dict()))
    assert states == states[:1] * len(PLACES)
    assert json.loads(states[0])["epoch"] == 2
    for workers in PLACES:
        read.clear()
        with dataset.loader(workers=workers) as loader:
            loader.load_state_dict(json.loads(states[0]))
            assert json.dumps(loader.state_dict()) == states[0]
            assert same([list(loader), list(loader)], expected[2:])
        assert min(read) == 20


def test_an_epoch_left_behind_an_end():
    """After an epoch that was left, a state says nothing of where the epoch before it ended."""
    dataset = ps.stream(itertools.count).per_epoch(3)
    with dataset.loader() as loader:
        assert list(loader) == [0, 1, 2]
        assert next(iter(loader)) == 3
        iterator = iter(loader)
        saved = loader.state_dict()
        assert (saved["epoch"], saved["position"]) == (2, None)
        assert next(iterator) == 6
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        assert list(loader) == [6, 7, 8]


def test_an_endless_repetition_begins_anew():
    """Each epoch of an endless repetition behind it begins with a round of its own, by position as from the front."""
    whole = ps.range(5).seed(3).shuffle()
    for dataset in (whole.per_epoch(3).repeat(), whole.filter(lambda x: True).per_epoch(3).repeat()):
        first = list(itertools.islice(dataset.epoch(0), 10))
        assert first == [*whole.epoch(0), *whole.epoch(1)]
        assert list(itertools.islice(dataset.epoch(1), 10)) == [*whole.epoch(1 << 32), *whole.epoch((1 << 32) + 1)]


def test_the_length_is_the_count():
    """Of a sequence and of a stream, a loader's epoch has the length that was said."""
    with ps.stream(itertools.count).per_epoch(10).batch(4).loader() as loader:
        assert len(loader) == len(list(loader)) == 3
    assert len(ps.range(3).per_epoch(10)) == 10
    assert len(ps.range(0).per_epoch(10)) == 0


def test_an_error_does_not_move_the_epochs():
    """After an error in the input, what was left comes, and the next epoch follows."""
    broken = [True]

    def shaky(x):
        if x == 5 and broken:
            broken.pop()
            raise OSError("torn")
        return x

    with ps.stream(range(20)).map(shaky).per_epoch(4).loader(workers=ps.Threads(2)) as loader:
        assert list(loader) == [0, 1, 2, 3]
        iterator = iter(loader)
        assert next(iterator) == 4
        with pytest.raises(OSError, match="torn"):
            next(iterator)
        assert list(iterator) == [5, 6, 7]
        assert list(loader) == [8, 9, 10, 11]


def test_origins():
    """An error names what the source calls the item, in whatever round it is."""

    def torn(x):
        raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        list(ps.range(3)[::-1].per_epoch(2).epoch(1).map(torn))
    assert "source 0" in "\n".join(caught.value.__notes__) or "item 0" in "\n".join(caught.value.__notes__)


def test_bad_arguments():
    """What is no count of at least 1 is refused at once."""
    with pytest.raises(ArgumentError, match=r"per_epoch\(\): count.*0"):
        ps.range(3).per_epoch(0)
    with pytest.raises(TypeError, match=r"per_epoch\(\): count"):
        ps.range(3).per_epoch(1.5)


def test_a_round_that_is_empty_by_chance_does_not_end_an_epoch():
    """Every epoch has its count of items as long as rounds have some, now and then."""
    thin = ps.stream([1]).flat_map(lambda x, rng: [x] if rng.random() > 0.6 else [], rng=True)
    dataset = ps.concat(ps.stream([0]).take(1), thin).per_epoch(7)
    check_dataset(dataset, epochs=(0, 1, 2))
    assert [len(list(dataset.epoch(epoch))) for epoch in range(3)] == [7, 7, 7]
    alone = thin.per_epoch(5).epoch(4)
    assert len(list(alone)) in {0, 5}


def test_an_input_that_dries_up_is_an_error():
    """Where no later round gives an item, that is said, and nobody waits for ever."""
    once = iter([[1, 2]])
    with pytest.raises(ArgumentError, match=r"per_epoch\(5\): 100 rounds in a row gave no item"):
        list(ps.stream(lambda: iter(next(once, []))).per_epoch(5))


def test_rounds_of_rounds_of_rounds_begin_at_once():
    """Deep within endless rounds an epoch is counted from a round nearby; it does not read billions of items first."""
    short = ps.stream([1, 2, 3]).per_epoch(2)
    for _ in range(3):
        short = ps.mix([short, ps.range(2)], weights=[1, 1], stop="repeat")
    assert next(iter(short.epoch(2))) == 1
    check_dataset(short, epochs=(1,), limit=12)
