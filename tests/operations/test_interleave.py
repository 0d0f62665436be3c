"""interleave: several datasets in turns; by position where all have positions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.graph.reading import Plan, Reading
from penstock.testing import check_dataset


def turns(lists, block, stop):
    """Return what interleave means, in plain Python."""
    waiting = [list(x) for x in lists]
    result = []
    while any(waiting):
        for member in waiting:
            result += member[:block]
            ended = len(member) < block
            del member[:block]
            if ended and stop == "first":
                return result
    return result


def letters(n, first):
    """Return pairs that say where they come from."""
    return [(first, k) for k in range(n)]


@pytest.mark.parametrize(
    "dataset",
    [
        ps.interleave(ps.range(5)),
        ps.interleave(ps.range(0), ps.range(0)),
        ps.interleave(ps.range(5), ps.range(0), ps.range(100, 102)),
        ps.interleave(ps.range(5), ps.range(10, 18), block=3),
        ps.interleave(ps.range(5), ps.range(10, 18), block=3, stop="first"),
        ps.interleave(ps.range(4).repeat(), ps.range(10, 13)),
        ps.interleave(ps.range(4).repeat(), ps.range(10, 13), block=2, stop="first"),
        ps.interleave(ps.range(4).repeat(), ps.range(9).shuffle()).map(lambda x, rng: (x, rng.random()), rng=True),
        ps.interleave(ps.arrays(np.arange(6.0)), ps.arrays(np.arange(9.0))).batch(4),
        ps.interleave(ps.stream(range(5)), ps.range(9), ps.stream([])),
        ps.interleave(ps.stream(range(5)), ps.range(9).filter(lambda x: x % 2), block=2, stop="first").batch(3),
        ps.interleave(ps.stream(itertools.count), ps.range(3)),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds, over sequences, streams, both, and endless ones."""
    check_dataset(dataset, limit=16)


def test_in_processes():
    """Processes give the same items and states, by position and from the front."""
    check_dataset(ps.interleave(ps.range(5), ps.range(3), block=2), executors=(ps.Processes(2),), epochs=(0,))
    check_dataset(ps.interleave(ps.stream([1, 2]), ps.range(3)).map(str), executors=(ps.Processes(2),), epochs=(0,))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 4), st.sampled_from(["all", "first"]))
def test_it_is_a_round_robin(lengths, block, stop):
    """By iterating, by index, by length and gathered, and of streams, it is the plain round robin."""
    lists = [letters(n, k) for k, n in enumerate(lengths)]
    expected = turns(lists, block, stop)
    dataset = ps.interleave(*map(ps.items, lists), block=block, stop=stop)
    assert list(dataset) == expected
    assert len(dataset) == len(expected)
    assert [dataset[k] for k in range(len(expected))] == expected
    where = np.random.default_rng(0).permutation(len(expected))
    assert list(Reading(Plan(dataset.node)).gather(dataset.node, where)) == [expected[k] for k in where]
    assert list(ps.interleave(*map(ps.stream, lists), block=block, stop=stop)) == expected


def test_far_positions_are_cheap():
    """Any position of members with billions of items is found by arithmetic."""
    dataset = ps.interleave(ps.range(10**12), ps.range(10**9), block=7)
    assert len(dataset) == 10**12 + 10**9
    assert dataset[-1] == 10**12 - 1
    assert dataset[7] == 0


def test_errors_name_the_member():
    """An error of a member's function says which item of which step it was."""

    def torn(x):
        raise OSError("torn")

    with pytest.raises(OSError, match="torn") as caught:
        list(ps.interleave(ps.range(3), ps.range(3).map(torn)))
    assert "item 0 of map(torn)" in "\n".join(caught.value.__notes__)


def test_label():
    """It is printed with what was said, and with its members."""
    dataset = ps.interleave(ps.range(3), ps.range(4), block=2, stop="first")
    assert dataset.node.label() == "interleave(block=2, stop='first')"
    assert "interleave(range(3), range(4)" in repr(dataset)


@pytest.mark.parametrize("stop", ["all", "first"])
@pytest.mark.parametrize("sizes", [(7, 30, 2), (1, 9, 4), (30, 1, 1), (2, 2, 2)])
def test_the_length_of_streams_that_know_theirs(sizes, stop):
    """A loader's length is what is read, also where one of the inputs is a stream with a count for every epoch."""
    a, b, c = sizes
    dataset = ps.interleave(ps.range(a), ps.range(b), ps.stream(range(50)).per_epoch(c), block=2, stop=stop)
    with dataset.loader() as loader:
        assert len(loader) == len(list(dataset))
    unknown = ps.interleave(ps.range(a), ps.stream(range(50)), stop=stop)
    assert unknown.node.length() is None
