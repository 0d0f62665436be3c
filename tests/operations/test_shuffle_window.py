"""shuffle(window=…): nothing moves far; the same order for sequences and streams; resumable with a small state."""

from __future__ import annotations

import itertools
import json

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


def stream(n):
    """Return a stream of numbers."""
    return ps.stream(list(range(n)))


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).shuffle(window=3),
        ps.range(1).shuffle(window=3),
        ps.range(40).shuffle(window=2),
        ps.range(40).shuffle(window=10),
        ps.range(10**12).shuffle(window=10**6)[10**11 :],
        ps.range(7).repeat().shuffle(window=20),
        ps.arrays(np.arange(40).reshape(20, 2)).shuffle(window=6).batch(4),
        stream(0).shuffle(window=3),
        stream(1).shuffle(window=3),
        stream(40).shuffle(window=2),
        stream(40).shuffle(window=9).shuffle(window=5),
        stream(40).shuffle(window=100).map(times_ten).batch(3),
        stream(5).repeat().shuffle(window=8),
        ps.range(60).filter(lambda x: x % 3).shuffle(window=9).map(times_ten),
        ps.range(9).map(lambda x: [x] * (x % 4)).unbatch().shuffle(window=5),
        ps.zip(stream(20).shuffle(window=4), ps.range(20).shuffle(window=4)),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with a windowed shuffle in it."""
    check_dataset(dataset, limit=45)


def test_processes_give_the_same():
    """In processes, too."""
    check_dataset(stream(30).map(times_ten).shuffle(window=8).batch(4), executors=(ps.Processes(2),), epochs=(0,))
    check_dataset(ps.range(30).shuffle(window=8).map(times_ten).batch(4), executors=(ps.Processes(2),), epochs=(0,))


@given(st.integers(0, 200), st.integers(2, 250), st.integers(0, 3))
def test_sequences_and_streams_have_one_order(n, window, epoch):
    """Whether it is read by position or from the front, the order is the same, each item comes once, and none far."""
    expected = list(ps.range(n).shuffle(window=window).epoch(epoch))
    assert list(stream(n).shuffle(window=window).epoch(epoch)) == expected
    assert sorted(expected) == list(range(n))
    assert all(abs(place - item) <= window for place, item in enumerate(expected))


def test_wide_windows_have_one_order_too():
    """The same where blocks are too large for a table."""
    assert list(stream(60_000).shuffle(window=40_000)) == list(ps.range(60_000).shuffle(window=40_000))


def test_epochs_and_seeds_differ():
    """Epochs, seeds and steps have orders of their own."""
    dataset = stream(100).seed(1).shuffle(window=20)
    orders = [tuple(dataset.epoch(e)) for e in range(5)]
    orders += [tuple(stream(100).seed(s).shuffle(window=20)) for s in range(2, 5)]
    orders += [tuple(stream(100).seed(1).map(abs).shuffle(window=20))]
    assert len(set(orders)) == len(orders)


def test_a_stream_is_read_no_further_than_two_windows():
    """To give an item, a stream is read less than two windows ahead; to resume, as little is read again."""
    read = []

    def look(x):
        read.append(x)
        return x

    dataset = stream(1000).map(look).shuffle(window=30)
    with dataset.loader() as loader:
        for count, _ in enumerate(loader, 1):
            assert max(read) < count + 2 * 30
            if count == 500:
                saved = json.loads(json.dumps(loader.state_dict()))
                break
    expected = list(dataset)[500:]
    read.clear()
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        rest = iter(loader)
        first = next(rest)
        assert len(read) <= 60
        assert min(read) >= 500 - 30
        assert [first, *rest] == expected


def test_an_error_loses_nothing():
    """After an error of a function before it, a loader that goes on has lost nothing and repeats nothing."""
    broken = {17}

    def fragile(x):
        if x in broken:
            broken.remove(x)
            raise OSError(x)
        return x

    found = []
    with stream(50).map(fragile).shuffle(window=10).loader() as loader:
        items = iter(loader)
        with pytest.raises(OSError, match="17") as caught:
            for item in items:
                found.append(item)
        assert "item 17 of map(fragile)" in caught.value.__notes__[0]
        found.extend(items)
    assert found == list(stream(50).map(abs).shuffle(window=10))


def test_errors_of_a_sequence_name_the_source():
    """An error behind a windowed shuffle names the item's own source."""

    def fail(x):
        raise OSError(x)

    dataset = ps.range(20).shuffle(window=5).map(fail)
    with pytest.raises(OSError, match=r"\d+") as caught:
        dataset[3]
    assert f"source {caught.value.args[0]}" in caught.value.__notes__[0] or caught.value.args[0] == 3


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d: d.shuffle(window=1), ArgumentError, "window must be at least 2, not 1. A window of 1 would leave"),
        (lambda d: d.shuffle(window=0), ArgumentError, "at least 2"),
        (lambda d: d.shuffle(window=2.5), ArgumentTypeError, "whole number"),
        (lambda d: d.shuffle(window=True), ArgumentTypeError, "whole number"),
        (lambda d: d.shuffle(window=5, block=3), ArgumentError, "Leave out block"),
        (lambda d: d.shuffle(window=5, ascending=3), ArgumentError, "ascending"),
        (lambda d: d.shuffle(buffer_size=5), ArgumentTypeError, r"shuffle\(window=1000\)"),
        (lambda d: d.shuffle(seed=5), ArgumentTypeError, r"\.seed\(7\)\.shuffle"),
        (lambda d: d.shuffle(5), ArgumentTypeError, "window=1000"),
        (lambda d: d.shuffle(True), ArgumentTypeError, "window=1000"),
    ],
)
def test_wrong_arguments(call, kind, words):
    """What cannot work is refused with a remedy, on sequences and streams."""
    for dataset in (ps.range(9), stream(9)):
        with pytest.raises(kind, match=words):
            call(dataset)


def test_a_seed_behind_is_refused():
    """A seed that would not reach the shuffle is refused, as behind any random step."""
    with pytest.raises(ArgumentTypeError, match=r"seed\(3\) stands behind shuffle\(window=5\)"):
        stream(9).shuffle(window=5).seed(3)


def test_label():
    """It is printed as it was written."""
    assert stream(3).shuffle(window=np.int64(5)).node.label() == "shuffle(window=5)"


def test_the_beginning_does_not_wait_for_the_end():
    """An endless stream is shuffled, too."""
    found = list(itertools.islice(ps.stream(itertools.count).shuffle(window=10), 100))
    assert len(set(found)) == 100
    assert max(found) < 110
