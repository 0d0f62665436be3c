"""Sequence: lengths, positions, and words for what it does not have."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentTypeError, LengthError

ENDLESS = ps.range(4).repeat()


def test_length_and_truth():
    """A sequence has the length of its items, and is false where it is empty, like a list."""
    assert (len(ps.range(3)), len(ps.range(0))) == (3, 0)
    assert ps.range(1)
    assert not ps.range(0)
    assert ENDLESS
    assert len(ps.range(10**15)) == 10**15


def test_endless_sequences_have_no_length():
    """The refusal says so and how to take a part."""
    with pytest.raises(LengthError, match=r"no end: .*repeat\(\).*dataset\[:1000\]"):
        len(ENDLESS)


@pytest.mark.parametrize("index", [10, -11, 10**9, -(10**9), np.int64(10)])
def test_positions_that_are_not_there(index):
    """An index out of range is an IndexError that says how many items there are."""
    with pytest.raises(IndexError, match=rf"index {index} is out of range for 10 items.*range\(10\)"):
        ps.range(10)[index]


def test_endless_sequences_have_no_last_item():
    """An index from the end of an endless sequence is refused; any other is there."""
    assert ENDLESS[10**9] == 0
    with pytest.raises(IndexError, match="from the end"):
        ENDLESS[-1]


@pytest.mark.parametrize(
    "index", ["x", 1.0, None, ["x"], [1.0], (1, 2), np.array([1.5]), np.eye(2, dtype=int), True and "0"]
)
def test_what_is_no_position(index):
    """Keys, floats, tuples and lists of such are refused with the way to an entry of an item."""
    with pytest.raises(ArgumentTypeError, match=r"whole numbers or slices.*\.map\(lambda item: item\[key\]\)"):
        ps.range(10)[index]


@pytest.mark.parametrize(
    "part",
    [slice("a", None), slice(None, 1.5), slice(None, None, 0), slice(None, None, "x")],
    ids=str,
)
@pytest.mark.parametrize("dataset", [ps.range(10), ENDLESS], ids=["finite", "endless"])
def test_slices_that_python_refuses(dataset, part):
    """A slice that a list would refuse is refused when it is written, with the same type of error."""
    with pytest.raises((TypeError, ValueError)):
        dataset[part]


@pytest.mark.parametrize(
    ("part", "word"), [(slice(-3, None), "start"), (slice(None, -1), "stop"), (slice(None, None, -1), "step")], ids=str
)
def test_slices_from_the_end_of_no_end(part, word):
    """A slice that counts from the end of an endless sequence is refused, with the part that is wrong."""
    with pytest.raises(ValueError, match=rf"endless sequence.*{word}"):
        ENDLESS[part]


def test_it_is_a_pythonic_sequence():
    """Membership, reversal and unpacking work as on any sequence."""
    dataset = ps.range(4).map(lambda x: x * x)
    assert 9 in dataset
    assert 5 not in dataset
    assert list(reversed(dataset)) == [9, 4, 1, 0]
    first, *rest = dataset
    assert (first, rest) == (0, [1, 4, 9])


def test_random_sampling():
    """The standard library can choose from a sequence."""
    import random

    assert random.Random(0).choice(ps.range(5)) in range(5)


def test_an_item_is_computed_from_what_there_is_now():
    """What was worked out for one item and kept for the next depends on the description alone, not on what may change."""
    rows, weights = np.arange(4), np.array([1.0, 0, 0, 0])

    class Sampler:
        order = (0, 1, 2)

        def __iter__(self):
            return iter(self.order)

        def __len__(self):
            return 3

    plain, drawn, ordered = ps.arrays(rows), ps.range(4).sample(9, weights=weights), ps.range(3).order(Sampler())
    assert [plain[2], drawn[0], ordered[0]] == [2, 0, 0]
    rows[2] = 7
    Sampler.order = (2, 1, 0)
    assert [plain[2], ordered[0]] == [7, 2]


@pytest.mark.parametrize("read", [lambda d: d[0], lambda d: next(iter(d))], ids=["indexed", "iterated"])
def test_a_dataset_that_was_read_goes_without_the_garbage_collector(read):
    """What is kept for the next item holds no dataset, and nothing of it, alive."""

    class Things(list):
        pass

    things = Things(range(8))
    alive = weakref.ref(things)
    gc.disable()
    try:
        dataset = ps.items(things).shuffle().batch(2)
        read(dataset)
        del things, dataset
        assert alive() is None
    finally:
        gc.enable()
