"""take, skip and slices: what Python's own do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset

ENDS = st.none() | st.integers(-30, 30)
STEPS = st.none() | st.integers(-5, 5).filter(bool)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(10)[3:7],
        ps.range(10)[::-2],
        ps.range(10)[7:3],
        ps.range(10)[2:][1:][::2],
        ps.range(10).take(4).skip(1),
        ps.range(10).skip(20),
        ps.range(10).take(0),
        ps.range(10).shuffle()[::3].batch(2),
        ps.range(4).repeat()[3::2],
        ps.range(4).repeat()[3:9],
        ps.range(4).repeat().skip(5).take(6),
        ps.arrays(np.arange(20).reshape(10, 2))[::-1].batch(3),
        ps.arrays(np.arange(20).reshape(10, 2))[8:1:-3].batch(2),
        ps.arrays(np.arange(10))[-3:],
        ps.items(list("abcdefgh"))[::-3],
        ps.stream(list(range(9))).take(5),
        ps.stream(list(range(9))).skip(5),
        ps.stream(list(range(9))).skip(20),
        ps.stream(list(range(9))).take(0),
        ps.stream(list(range(9))).take(99).skip(0).map(str),
        ps.range(20).filter(lambda x: x % 2).skip(2).take(5).map(lambda x, rng: (x, rng.random()), rng=True),
        ps.range(12).batch(5).unbatch().skip(3).take(6),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with parts of datasets in it."""
    check_dataset(dataset, limit=16)


@given(st.integers(0, 25), ENDS, ENDS, STEPS, ENDS, ENDS, STEPS)
def test_slices_are_pythons(n, start, stop, step, again_start, again_stop, again_step):
    """A slice, and a slice of a slice, have the items that a list's slice has, by every way of reading."""
    numbers = list(range(n))
    one, two = slice(start, stop, step), slice(again_start, again_stop, again_step)
    for source in (ps.range(n), ps.items(numbers), ps.arrays(np.arange(n))):
        found, expected = source[one][two], numbers[one][two]
        assert list(found) == expected
        assert len(found) == len(expected)
        assert [found[k] for k in range(len(expected))] == expected
        assert [found[k] for k in range(-len(expected), 0)] == expected
        assert [int(x) for batch in found.batch(3) for x in batch] == expected


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 25), st.booleans())
def test_take_and_skip_are_islice(n, skipped, taken, stream):
    """On sequences and streams, skip(a).take(b) is itertools.islice(…, a, a + b)."""
    source = ps.stream(list(range(n))) if stream else ps.range(n)
    assert list(source.skip(skipped).take(taken)) == list(itertools.islice(range(n), skipped, skipped + taken))
    assert list(source.take(taken).skip(skipped)) == list(range(n))[:taken][skipped:]


@given(st.integers(0, 30), st.none() | st.integers(0, 30), st.integers(1, 4))
def test_slices_of_endless_sequences(start, stop, step):
    """An endless sequence is sliced like itertools.islice does it."""
    found = ps.range(5).repeat()[start:stop:step]
    expected = itertools.islice(itertools.cycle(range(5)), start, stop, step)
    assert list(itertools.islice(found, 20)) == list(itertools.islice(expected, 20))
    if stop is not None:
        assert len(found) == len(range(start, stop, step))


def test_numpys_integers_are_indices():
    """Positions and ends of slices may be NumPy's integers."""
    dataset = ps.range(10)
    assert dataset[np.int64(3)] == 3
    assert list(dataset[np.int32(2) : np.uint8(5)]) == [2, 3, 4]
    assert list(dataset.take(np.int64(2))) == [0, 1]


def test_a_part_of_a_slice_is_cheap():
    """Slicing computes nothing, and reading a slice computes its own items only."""
    calls = []
    dataset = ps.range(100).map(lambda x: calls.append(x) or x)[90:]
    assert calls == []
    assert list(dataset) == list(range(90, 100))
    assert calls == list(range(90, 100))


def test_take_reads_no_further():
    """Of a stream, take(n) asks for n items and no more."""
    read = []

    def source():
        for x in itertools.count():
            read.append(x)
            yield x

    assert list(ps.stream(source).take(3)) == [0, 1, 2]
    assert read == [0, 1, 2]


def test_draws_of_a_part_are_those_of_the_whole():
    """Items of a slice have the draws that they have in the whole."""
    whole = ps.range(20).seed(1).shuffle().map(lambda x, rng: (x, rng.random()), rng=True)
    assert list(whole[5:15:2]) == list(whole)[5:15:2]


def test_labels_are_as_written():
    """A slice is printed as it was written."""
    dataset = ps.range(10)
    assert [
        dataset[part].node.label() for part in (slice(1, 5), slice(None), slice(None, None, -1), slice(2, None))
    ] == [
        "[1:5]",
        "[:]",
        "[::-1]",
        "[2:]",
    ]
    assert ps.stream([1]).take(3).node.label() == "take(3)"
    assert ps.stream([1]).skip(3).node.label() == "skip(3)"
