"""rebatch: the same rows in batches of another size, without a look at single rows."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CollateError
from penstock.testing import check_dataset, same


class Point(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


@dataclasses.dataclass
class Sample:
    """An item with fields."""

    x: Any
    y: Any


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch(3).rebatch(2),
        ps.range(1).batch(3).rebatch(2),
        ps.range(20).batch(3).rebatch(7),
        ps.range(20).batch(7).rebatch(3),
        ps.range(20).batch(4).rebatch(4),
        ps.range(21).batch(7).rebatch(3, last="error"),
        ps.range(20).batch(7).rebatch(3, last="drop"),
        ps.arrays(x=np.arange(40).reshape(20, 2), y=np.arange(20)).shuffle().batch(6).rebatch(4),
        ps.items([np.arange(k % 4) for k in range(12)]).rebatch(5),
        ps.stream([[1, 2], [], [3], [4, 5, 6]]).rebatch(2),
        ps.range(5).batch(2).repeat().rebatch(3),
        ps.range(20).filter(lambda x: x % 3).batch(4, collate=list).rebatch(3).unbatch(),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with rebatch in it."""
    check_dataset(dataset, limit=20)


def test_processes():
    """Batches made by processes are cut like those made in line."""
    dataset = ps.arrays(x=np.arange(40), y=np.arange(40.0)).shuffle().batch(7).rebatch(4)
    check_dataset(dataset, limit=12, executors=(ps.Processes(2),), epochs=(0,))


KINDS = [lambda x: x, str, lambda x: {"x": x, "s": str(x)}, lambda x: (x, np.full(2, x)), lambda x: Point(x, str(x))]


@given(
    st.integers(0, 40), st.integers(1, 9), st.integers(1, 9), st.sampled_from(KINDS), st.sampled_from(["keep", "drop"])
)
def test_it_is_as_if_batched_at_once(n, before, after, kind, last):
    """Whatever the size was before, the batches are those that batch(size) makes."""
    items = ps.range(n).map(kind)
    assert same(list(items.batch(before).rebatch(after, last=last)), list(items.batch(after, last=last)))


def test_dataclasses():
    """Dataclasses are cut and joined field by field."""
    first, second = ps.range(4).map(lambda x: Sample(x, str(x))).batch(3).rebatch(2)
    assert (first.x.tolist(), first.y, second.x.tolist(), second.y) == ([0, 1], ["0", "1"], [2, 3], ["2", "3"])


def test_arrays_are_views_where_one_batch_is_enough():
    """Rows of one batch are not copied; rows of several are joined once."""
    source = np.arange(12)
    batches = list(ps.items([source[:8], source[8:]]).rebatch(4))
    assert all(np.shares_memory(batch, source) for batch in batches)
    joined = next(iter(ps.items([source[:3], source[3:]]).rebatch(12)))
    assert not np.shares_memory(joined, source)


def test_ranks_divide_each_batch():
    """Ranks take their parts of every batch; a last one that is too short is refused."""
    dataset = ps.range(26).batch(5).rebatch(4)
    parts = []
    for rank in range(2):
        with dataset.loader(shard=(rank, 2)) as loader:
            parts.append([b.tolist() for b in loader])
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]
    with dataset.loader(shard=(0, 3)) as loader, pytest.raises(ArgumentError, match=r"has 2 rows.*3 ranks"):
        list(loader)
    with pytest.raises(ArgumentError, match="5 ranks"):
        dataset.loader(shard=(0, 5))


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([np.zeros((2, 3)), np.zeros((2, 4))], ["rebatch()", "(2, 3)", "(1, 4)"]),
        ([{"a": np.zeros((2, 3))}, {"a": np.zeros((2, 4))}], ["'a'"]),
        ([{"a": np.zeros(2)}, {"b": np.zeros(2)}], ["differ"]),
        ([{"a": np.zeros(2), "b": np.zeros(3)}], ["different numbers of rows"]),
        ([3], ["3 (int)", "not a batch"]),
        ([[1, 2], np.zeros(2)], ["joined"]),
        ([np.zeros(())], ["not a batch"]),
        ([{}], ["different numbers of rows"]),
    ],
)
def test_what_cannot_be_joined_is_described(items, words):
    """Batches that do not fit together give an error that names the field and the step."""
    with pytest.raises(CollateError) as caught:
        list(ps.items(items).rebatch(3))
    for word in words:
        assert word in str(caught.value)
    assert "item 0 of rebatch(3)" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.rebatch(0), ["rebatch()", "at least 1"]),
        (lambda d: d.rebatch("3"), ["rebatch()", "'3' (str)"]),
        (lambda d: d.rebatch(3, last="pad"), ["rebatch()", "last"]),
        (lambda d: list(d.rebatch(3, last="error")), ["1 rows would be left over", "drop"]),
    ],
)
def test_mistakes(make, words):
    """What cannot work is refused with the value, the operation and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(ps.range(10).batch(4))
    for word in words:
        assert word in str(caught.value)
