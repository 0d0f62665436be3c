"""unbatch: the rows of batches, and resuming within one."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest

import penstock as ps
from penstock.errors import CollateError
from penstock.testing import check_dataset


class Point(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


@dataclasses.dataclass
class Sample:
    """A batch with fields."""

    x: Any
    name: Any


def draw(x, rng):
    """Return an item and a draw."""
    return int(x), float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch(3).unbatch(),
        ps.range(11).batch(3).unbatch(),
        ps.items([[1, 2], [], [3], [], []]).unbatch(),
        ps.items([[], []]).unbatch(),
        ps.items([[[1, 2], [3]], [[4]], []]).unbatch().unbatch().map(draw, rng=True),
        ps.range(12).shuffle().batch(5).unbatch().filter(lambda x: x % 2).map(draw, rng=True).batch(2),
        ps.stream([[1, 2, 3], [4]]).unbatch().batch(2),
        ps.range(4).repeat().batch(3).unbatch(),
        ps.range(8).batch(3).unbatch().seed(2).map(draw, rng=True),
        ps.range(8).batch(3).unbatch().take(5).prefetch(2),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with unbatch in it, also resuming within a batch."""
    check_dataset(dataset, limit=20)


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (["a", "b"], ["a", "b"]),
        ({"x": np.arange(2), "s": ["a", "b"]}, [{"x": 0, "s": "a"}, {"x": 1, "s": "b"}]),
        ((np.arange(2), ["a", "b"]), [(0, "a"), (1, "b")]),
        (Point(np.arange(2), np.arange(2)), [Point(0, 0), Point(1, 1)]),
        (Sample(np.arange(2), ["a", "b"]), [Sample(0, "a"), Sample(1, "b")]),
        ({"a": {"b": np.arange(2)}}, [{"a": {"b": 0}}, {"a": {"b": 1}}]),
        ([], []),
        (np.zeros((0, 3)), []),
    ],
)
def test_rows(batch, rows):
    """Arrays, lists and whatever holds them are taken apart along their first axis."""
    found = list(ps.items([batch]).unbatch())
    assert [x.tolist() if isinstance(x, np.ndarray) else x for x in found] == rows


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, ["3 (int)", "not a batch"]),
        ("text", ["'text'", "not a batch"]),
        (None, ["None", "not a batch"]),
        (np.array(3), ["without axes"]),
        ({"x": np.arange(2), "y": np.arange(3)}, ["different numbers of rows"]),
        (Sample(np.arange(2), ["a"]), ["different numbers of rows"]),
    ],
)
def test_what_has_no_rows_is_refused(value, words):
    """What cannot be taken apart gives an error that shows it, with the item named."""
    with pytest.raises(CollateError) as caught:
        list(ps.items([value]).unbatch())
    for word in [*words, "unbatch()"]:
        assert word in str(caught.value)
    assert "item 0 of unbatch()" in "\n".join(caught.value.__notes__)
