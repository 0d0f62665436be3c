"""take_while and drop_while: up to, and from, the first item that a predicate is false for."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentTypeError, EndedQuietly
from penstock.testing import Scrambled, check_dataset


def small(x):
    """Tell whether a number is below 5."""
    return x < 5


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize("method", ["take_while", "drop_while"])
@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0),
        ps.range(1),
        ps.range(12),
        ps.items([0, 9, 0, 9]),
        ps.range(12).shuffle(),
        ps.stream(range(8)),
        ps.stream(itertools.count),
        ps.range(6).repeat(),
        ps.range(12).filter(lambda x: x % 2),
        ps.range(9).prefetch(2),
    ],
    ids=repr,
)
def test_contract(method, dataset):
    """Every promise of a description holds with them, and with what may stand behind them."""
    made = getattr(dataset, method)(small)
    check_dataset(made, limit=12)
    check_dataset(made.map(draw, rng=True).batch(2), limit=5)
    if method == "take_while":
        check_dataset(made.repeat(2).batch(4), limit=6)
        check_dataset(ps.concat(made, ps.range(3)), limit=9)


def test_in_processes():
    """Processes give the same items and states."""
    dataset = ps.range(12).map(float).drop_while(lambda x: x < 3).map(float).take_while(lambda x: x < 9)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


@given(st.lists(st.integers(0, 9), max_size=20))
def test_they_are_those_of_itertools(numbers):
    """They give what itertools gives, and together everything."""
    dataset = ps.items(numbers)
    assert list(dataset.take_while(small)) == list(itertools.takewhile(small, numbers))
    assert list(dataset.drop_while(small)) == list(itertools.dropwhile(small, numbers))
    assert [*dataset.take_while(small), *dataset.drop_while(small)] == numbers


def test_a_short_last_batch_is_the_end():
    """A state behind the short last batch is at the end: the item that ended it does not come back as a beginning."""
    dataset = ps.items([1, 2, 3, 9, 4, 4]).take_while(small).batch(2)
    with dataset.loader() as loader:
        iterator = iter(loader)
        assert [next(iterator).tolist(), next(iterator).tolist()] == [[1, 2], [3]]
        saved = loader.state_dict()
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        assert list(loader) == []


def test_the_predicate_is_asked_no_longer_than_needed():
    """Behind the end, and behind the beginning, nothing is asked."""
    asked = []

    def below(x):
        asked.append(x)
        return x < 3

    assert list(ps.range(9).take_while(below)) == [0, 1, 2]
    assert list(ps.range(6).drop_while(below)) == [3, 4, 5]
    assert asked == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("method", ["take_while", "drop_while"])
@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_an_error_loses_nothing(method, workers):
    """A predicate that fails is named with its item, and when it works again, the item has not been lost."""
    broken = [True]

    def shaky(x):
        if x == 2 and broken:
            broken.pop()
            raise OSError("torn")
        return x < 4

    dataset = getattr(ps.range(7), method)(shaky)
    with dataset.loader(workers=workers) as loader:
        iterator = iter(loader)
        found = []
        with pytest.raises(OSError, match="torn") as caught:
            found.extend(iter(lambda: next(iterator), None) if method == "drop_while" else ())
            found.extend(next(iterator) for _ in range(3))
        assert f"item 2 of {method}(shaky)" in "\n".join(caught.value.__notes__)
        rest = list(iterator)
    assert rest == ([4, 5, 6] if method == "drop_while" else [2, 3])


def test_stopping_is_an_error():
    """A predicate that raises StopIteration does not end the epoch."""

    def stop(x):
        raise StopIteration

    for dataset in (ps.range(3).take_while(stop), ps.range(3).drop_while(stop)):
        with pytest.raises(EndedQuietly, match="stop"):
            list(dataset)


def test_bad_arguments():
    """What is no function is refused at once; nothing can be shuffled behind them."""
    with pytest.raises(ArgumentTypeError, match=r"take_while\(\): predicate"):
        ps.range(3).take_while(3)
    with pytest.raises(ArgumentTypeError, match=r"drop_while\(\): predicate"):
        ps.range(3).drop_while(None)
    assert type(ps.range(3).take_while(small)) is ps.Stream
