"""indexed: positions for a stream."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset


def numbers():
    """Yield whole numbers."""
    yield from range(12)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.stream(numbers).indexed(),
        ps.stream(numbers).indexed(5, cache=0),
        ps.stream(numbers).indexed(12, cache=2).shuffle().batch(3),
        ps.stream([]).indexed(),
        ps.stream([7]).indexed(1)[::-1],
        ps.range(20).shuffle().filter(lambda x: x % 3).indexed(cache=3)[::-1],
        ps.range(9).map(lambda x, rng: [rng.random()] * 3, rng=True).unbatch().indexed(cache=1).select([20, 3, 4, 0]),
        ps.zip(ps.stream(numbers), ps.range(12)).indexed().map(lambda x, rng: (x, rng.random()), rng=True),
        ps.zip(ps.stream(numbers).indexed(12), ps.range(9).shuffle()),
        ps.range(12).filter(bool).batch(2).indexed(5).repeat(2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a stream by position in it."""
    check_dataset(dataset, limit=12)


def test_processes():
    """Workers read the stream for themselves: a generator function, and a filter in front of a shuffle."""
    for dataset in (
        ps.stream(numbers).indexed(12).shuffle().batch(3),
        ps.range(20).filter(lambda x: x % 3).indexed().shuffle().batch(4),
        ps.zip(ps.stream(numbers), ps.range(12).shuffle()).indexed(9, cache=2)[::-1],
    ):
        check_dataset(dataset, executors=(ps.Processes(2),), epochs=(1,))


@given(st.lists(st.integers(0, 19), max_size=20), st.integers(0, 4))
def test_any_order_of_reading(order, cache):
    """Whatever the order in which positions are asked for, each gives the stream's item."""
    streams = [ps.stream(list(range(20))), ps.range(40).filter(lambda x: x % 2 == 0).map(lambda x: x // 2)]
    for stream in streams:
        dataset = stream.indexed(20, cache=cache)
        assert [dataset[k] for k in order] == order


def counting():
    """Return a stream, and the list of what was read of it."""
    read = []

    def source():
        for x in range(1000):
            read.append(x)
            yield x

    return ps.stream(source), read


def test_reading_on_and_stepping_back_is_cheap():
    """Reading on continues where the stream is, across calls; a little back is kept; further back begins again."""
    stream, read = counting()
    dataset = stream.indexed(1000, cache=4)
    assert [dataset[k] for k in (0, 1, 2, 10)] == [0, 1, 2, 10]
    assert len(read) == 11
    assert [dataset[k] for k in (7, 9, 10, 8, 11)] == [7, 9, 10, 8, 11]
    assert len(read) == 12
    assert dataset[0] == 0
    assert len(read) == 13


def test_a_filter_goes_on_from_a_mark():
    """Where the stream stands on a Sequence, a position behind costs at most a 256th of what lies before it."""
    calls = []
    dataset = ps.range(4000).filter(lambda x: calls.append(x) or True).indexed(4000, cache=0)
    assert dataset[3999 - 1] == 3998
    calls.clear()
    order = random.Random(0).sample(range(3999), 50)
    assert [dataset[k] for k in order] == order
    assert len(calls) <= 50 * 33


def test_what_is_kept_is_a_copy():
    """Changing an item does not change what is given for its position later."""
    dataset = ps.stream([np.zeros(2), np.ones(2)]).map(np.array).indexed()
    dataset[0][:] = 5
    assert dataset[0].tolist() == [0, 0]
    dataset[0][:] = 5
    assert dataset[0].tolist() == [0, 0]


def test_what_cannot_be_copied_is_read_again():
    """Items that refuse to be copied are not kept."""
    dataset = ps.range(3).filter(lambda x: True).map(lambda x: threading.Lock()).indexed()
    assert dataset[1] is not dataset[1]


def test_threads_share_it():
    """Many threads may ask at once."""
    dataset = ps.range(200).filter(lambda x: True).indexed(200, cache=8)
    order = random.Random(1).sample(range(200), 200)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda k: dataset[k], order)) == order


def test_a_pass_closes_the_stream():
    """When the last item was read, and when a position behind is asked for, generators are closed."""
    closed = []

    def source():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    dataset = ps.stream(source).indexed(4, cache=0)
    assert list(dataset) == [0, 1, 2, 3]
    assert closed == [True]
    assert (dataset[2], dataset[1]) == (2, 1)
    assert closed == [True, True]


def test_a_shorter_stream_is_an_error():
    """A stream that ends early says how long it was; of a longer one, the first items are read."""
    with pytest.raises(ValueError, match=r"indexed\(15\): the stream ended after 12 items, not 15") as caught:
        list(ps.stream(numbers).indexed(15))
    assert "item 12 of indexed(15)" in caught.value.__notes__[0]
    assert list(ps.stream(numbers).indexed(3)) == [0, 1, 2]


def test_after_an_error_it_begins_again():
    """An item that fails fails at its place each time, with its own type; the others can be read."""
    dataset = ps.stream(numbers).map(lambda x: 12 // (x - 5)).indexed(12, cache=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            dataset[5]
        assert "of map(lambda)" in caught.value.__notes__[0]
        assert dataset[4] == -12
    with pytest.raises(ZeroDivisionError):
        dataset[6]


def test_epochs_are_told_apart():
    """What is kept belongs to one epoch: a shuffled stream gives each epoch's own items."""
    dataset = ps.range(10).shuffle().filter(lambda x: True).indexed(10)
    assert list(dataset.epoch(0)) == list(dataset)
    both = dataset.repeat(2)
    assert [both[k] for k in (0, 10, 1, 11)] == [dataset[0], dataset.epoch(1)[0], dataset[1], dataset.epoch(1)[1]]


def test_a_source_that_cannot_travel_is_named():
    """A stream that cannot be sent to processes, where it would have to be read, is an error that names the step."""

    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

        def __iter__(self):
            return iter(range(3))

    with (
        pytest.raises(TypeError, match="lock") as caught,
        ps.stream(Locked()).indexed(3).loader(workers=ps.Processes(1)) as loader,
    ):
        list(loader)
    assert "indexed(3) cannot be sent to worker processes: its stream" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [((-1,), {}, "length must be at least 0"), (("x",), {}, "length must be a whole"), ((3,), {"cache": -1}, "cache")],
    ids=str,
)
def test_bad_arguments(arguments, options, words):
    """Counts that are none are refused by name."""
    with pytest.raises((TypeError, ValueError), match=words):
        ps.stream([1]).indexed(*arguments, **options)


def test_labels():
    """The label has the length, and what else was said."""
    assert ps.stream([1, 2]).indexed().node.label() == "indexed(2)"
    assert ps.stream([1, 2]).indexed(1, cache=5).node.label() == "indexed(1, cache=5)"
