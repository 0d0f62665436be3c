"""unique: items whose key has not been seen, with a small state and bounded memory where there is a window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentTypeError, StateError
from penstock.testing import Scrambled, check_dataset


def recent(numbers, window):
    """Return what unique(window=…) means: the last keys that were seen are remembered, in the order of recency."""
    seen, result = [], []
    for x in numbers:
        if x in seen:
            seen.remove(x)
        else:
            result.append(x)
        seen.append(x)
        del seen[:-window]
    return result


NUMBERS = [3, 1, 3, 2, 1, 1, 4, 3, 5, 2, 6, 3, 3, 1, 7, 2]


@pytest.mark.parametrize(
    "dataset",
    [
        ps.items([]).unique(),
        ps.items([1]).unique(window=1),
        ps.items(NUMBERS).unique(),
        ps.items(NUMBERS).unique(window=1),
        ps.items(NUMBERS).unique(window=2),
        ps.items(NUMBERS).unique(window=100),
        ps.items(NUMBERS).unique(lambda x: x % 3, window=2).batch(2),
        ps.stream(NUMBERS).unique().map(lambda x, rng: (x, rng.random()), rng=True),
        ps.stream(NUMBERS).filter(lambda x: x != 1).unique(window=3).batch(2),
        ps.items(NUMBERS).shuffle().unique().repeat(2),
        ps.range(4).repeat().unique(window=2),
        ps.arrays(np.array(NUMBERS)).unique(),
        ps.items(NUMBERS).map(lambda x: np.full(3, x)).unique(),
        ps.items(NUMBERS).unique().prefetch(2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with unique in it."""
    check_dataset(dataset, limit=12)


def test_in_processes():
    """Processes give the same, though their floats, arrays and texts are other objects."""
    nan = float("nan")
    entries = [nan, "a" * 50, np.arange(3), nan, "a" * 50, np.arange(3), (1, nan), (1, nan)]
    dataset = ps.items(entries).map(lambda x: x).unique(repr).map(repr)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))
    assert len(list(ps.items(entries).unique())) == 4
    with ps.items(entries).map(lambda x: x).unique().loader(workers=ps.Processes(2)) as loader:
        assert len(list(loader)) == 4


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(1, 5), st.data())
def test_it_is_the_plain_definition_from_any_state(numbers, window, data):
    """With and without a window, it gives what a plain loop gives, and from any state the rest of it."""
    for dataset, expected in (
        (ps.items(numbers).unique(), list(dict.fromkeys(numbers))),
        (ps.items(numbers).unique(window=window), recent(numbers, window)),
    ):
        assert list(dataset) == expected
        cut = data.draw(st.integers(0, len(expected)))
        with dataset.loader() as loader:
            assert list(itertools.islice(loader, cut)) == expected[:cut]
            saved = loader.state_dict()
        with dataset.loader(workers=Scrambled()) as loader:
            loader.load_state_dict(saved)
            assert list(loader) == expected[cut:]


def test_a_window_reads_little_again():
    """Resuming with a window reads again from where the least recent key stood last, not from the front."""
    read = []
    dataset = ps.range(1000).map(lambda x: read.append(x) or x % 7).unique(window=3)
    with dataset.loader() as loader:
        list(itertools.islice(loader, 500))
        saved = loader.state_dict()
    read.clear()
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        next(iter(loader))
    assert len(read) == 4


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ([1, 1.0, True, np.int64(1)], 1),
        ([np.arange(2), np.arange(2), np.arange(2.0), np.arange(3)], 3),
        ([[1, 2], [1, 2], (1, 2), [2, 1]], 3),
        ([{"a": np.arange(2), "b": 1}, {"b": 1, "a": np.arange(2)}, {"a": 1}], 2),
        ([{1, 2}, {2, 1}, frozenset({1})], 2),
        ([float("nan"), float("nan"), np.float32("nan")], 1),
        ([np.array([1, "x"], object), np.array([1, "x"], object)], 1),
        ([np.zeros((2, 2)).T, np.zeros((2, 2))], 1),
        ([None, None, "", b""], 3),
        ([int, int, str], 2),
    ],
    ids=repr,
)
def test_keys(keys, count):
    """Numbers, texts, arrays, and collections of them are compared by what they are, not by which object they are."""
    assert len(list(ps.items(keys).unique())) == count


@pytest.mark.parametrize("key", [object(), lambda: 0, bytearray(b"x")], ids=lambda k: type(k).__name__)
def test_keys_that_cannot_be_compared_are_refused(key):
    """What is equal only to itself, or cannot be hashed, is an error that names the item and the remedy."""
    with pytest.raises(ArgumentTypeError, match=r"unique\(\):.*Give key=") as caught:
        list(ps.items([1, key]).unique())
    assert "item 1 of unique()" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("workers", [ps.Inline(), Scrambled()], ids=repr)
def test_a_key_that_fails_loses_nothing(workers):
    """An error of the key function is named, and when it works again, the item has not been lost."""
    broken = [True]

    def key(x):
        if x == 2 and broken:
            broken.pop()
            raise OSError("torn")
        return x

    with ps.items([1, 1, 2, 2, 3]).unique(key).loader(workers=workers) as loader:
        iterator = iter(loader)
        assert next(iterator) == 1
        with pytest.raises(OSError, match="torn") as caught:
            next(iterator)
        assert "item 2 of unique(key)" in "\n".join(caught.value.__notes__)
        assert list(iterator) == [2, 3]


def test_an_input_that_became_shorter_is_an_error():
    """A state that lies behind the end of what the input now gives is never taken for a quiet end."""
    source = [1, 2, 3, 4]
    dataset = ps.stream(source).unique()
    with dataset.loader() as loader:
        list(itertools.islice(loader, 4))
        saved = loader.state_dict()
    del source[2:]
    with dataset.loader() as loader:
        loader.load_state_dict(saved)
        with pytest.raises(StateError, match="ended after 2 of 4 items"):
            list(loader)


def test_bad_arguments():
    """A key that is no function, and a window that is no count, are refused at once."""
    with pytest.raises(ArgumentTypeError, match=r"unique\(\): key"):
        ps.range(3).unique(3)
    with pytest.raises(ValueError, match=r"unique\(\): window.*0.*remember all"):
        ps.range(3).unique(window=0)
    assert ps.range(3).unique(abs, window=3).node.label() == "unique(abs, window=3)"
