"""Pad: ragged arrays in one batch, on either side, with masks, whatever the structure of the items."""

from __future__ import annotations

import dataclasses
import pickle
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


def ragged(x):
    """Return a dict of ragged fields."""
    return {"a": np.arange(x % 4), "b": {"c": np.ones((x % 3, 2), np.float32)}, "n": x, "s": str(x)}


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).map(ragged).batch(3, collate=ps.Pad()),
        ps.range(10).map(ragged).batch(3, collate=ps.Pad()),
        ps.range(10).map(ragged).batch(3, collate=ps.Pad({"a": -1, "b": 0.5}, side="left", multiple_of=4, mask=True)),
        ps.range(10).map(np.arange).batch(3, last="pad", collate=ps.Pad()),
        ps.stream(range(10)).map(np.arange).batch(3, collate=ps.Pad(np.size, mask="_m")),
        ps.arrays(x=np.arange(10), y=np.ones((10, 2))).batch(4, collate=ps.Pad()),
        ps.range(10).map(np.arange).batch_by(20, len, padded=True, collate=ps.Pad()),
        ps.range(20).shuffle().map(lambda x: np.arange(x % 7)).bucket(len, [3], 4, collate=ps.Pad(side=0.5)),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with padded batches in it."""
    check_dataset(dataset, limit=12)


def test_processes():
    """Padded in processes, the batches are those padded in line."""
    dataset = ps.range(12).map(ragged).batch(4, collate=ps.Pad(mask=True))
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


shapes = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6)


@given(
    shapes, st.sampled_from(["right", "left", 0.5, 0.25]), st.integers(1, 3), st.sampled_from([np.int16, np.float32])
)
def test_it_is_numpys_pad(shapes, side, multiple_of, dtype):
    """Each row is what np.pad makes of the item; the mask is what np.pad makes of ones."""
    items = [np.arange(1, 1 + a * b, dtype=dtype).reshape(a, b) for a, b in shapes]
    largest = [-(-max(n) // multiple_of) * multiple_of for n in zip(*shapes, strict=True)]
    share = {"right": 0, "left": 1}.get(side, side)
    batch, mask = ps.Pad(-1, side=side, multiple_of=multiple_of, mask=True)(items)
    assert batch.dtype == dtype
    for row, real, item in zip(batch, mask, items, strict=True):
        before = [int((room - own) * share) for room, own in zip(largest, item.shape, strict=True)]
        widths = [(b, room - own - b) for b, room, own in zip(before, largest, item.shape, strict=True)]
        assert same(row, np.pad(item, widths, constant_values=-1))
        assert same(real, np.pad(np.ones(item.shape, bool), widths, constant_values=False))


def test_structures():
    """Dicts, tuples, named tuples and dataclasses keep their kind; numbers and texts are stacked as ever."""
    items = [ragged(x) for x in (1, 3)]
    batch = ps.Pad()(items)
    assert batch["a"].tolist() == [[0, 0, 0], [0, 1, 2]]
    assert batch["b"]["c"].shape == (2, 1, 2)
    assert batch["n"].tolist() == [1, 3]
    assert batch["s"] == ["1", "3"]
    x, y = ps.Pad((-1, -2))([([1], [2, 3]), ([4, 5], [6])])
    assert (x.tolist(), y.tolist()) == ([[1, -1], [4, 5]], [[2, 3], [6, -2]])
    point = ps.Pad()([Point([1], 1), Point([1, 2], 2)])
    assert type(point) is Point
    assert point.x.tolist() == [[1, 0], [1, 2]]
    sample = ps.Pad({"x": 9})([Sample(np.zeros(1), "a"), Sample(np.zeros(2), "b")])
    assert (sample.x.tolist(), sample.y) == ([[0, 9], [0, 0]], ["a", "b"])


def test_fields_without_a_value_are_stacked():
    """A dict of values pads the fields that it names; another ragged field is an error that names it."""
    items = [{"a": np.zeros(2), "b": np.zeros(3)}, {"a": np.zeros(1), "b": np.zeros(3)}]
    batch = ps.Pad({"a": 1})(items)
    assert batch["a"].tolist() == [[0, 0], [0, 1]]
    assert batch["b"].shape == (2, 3)
    with pytest.raises(CollateError, match=r"field \['a'\], which Pad\(\) has no value for.*\(2,\)"):
        ps.Pad({"b": 1})(items)


def test_values_and_sides_by_field():
    """Every field may have its own value and side; a function gets the array."""
    items = [{"a": [1], "b": [2.0]}, {"a": [3, 4], "b": [5.0, 6.0]}]
    batch = ps.Pad({"a": lambda array: array.max() + 10, "b": np.nan}, side={"b": "left"})(items)
    assert batch["a"].tolist() == [[1, 11], [3, 4]]
    assert same(batch["b"], np.array([[np.nan, 2], [5, 6]]))


def test_masks_stand_beside_their_fields():
    """A mask is a field of its own, over the padded axes; nothing else gets one."""
    items = [{"x": np.zeros((n, 2)), "y": n} for n in (1, 3)]
    batch = ps.Pad(axes=0, mask="_real")(items)
    assert list(batch) == ["x", "x_real", "y"]
    assert batch["x_real"].tolist() == [[True, False, False], [True, True, True]]


def test_axes_that_are_not_padded_must_agree():
    """Only the named axes are padded; others that differ are an error that says what to name."""
    items = [np.zeros((1, 2, 3)), np.zeros((4, 2, 5))]
    assert ps.Pad(axes=(0, -1))(items).shape == (2, 4, 2, 5)
    with pytest.raises(CollateError, match=r"axis 2, which is not padded.*Pad\(axes=\(0, 2\)\)"):
        ps.Pad(axes=0)(items)
    with pytest.raises(CollateError, match="lack"):
        ps.Pad(axes=3)(items)


@pytest.mark.parametrize(
    ("items", "pad", "words"),
    [
        ([np.zeros(2), np.zeros((2, 2))], ps.Pad(), ["numbers of axes"]),
        ([{"a": np.zeros(1, np.uint8)}, {"a": np.zeros(2, np.uint8)}], ps.Pad(-1), ["'a'", "uint8", "-1"]),
        ([np.zeros(1, int), np.zeros(2, int)], ps.Pad(0.5), ["int64", "0.5"]),
        ([np.zeros(1, int), np.zeros(2, int)], ps.Pad(np.nan), ["int64", "nan"]),
        ([{"a": [1]}, {"b": [1]}], ps.Pad(), ["differ"]),
        ([([1],), ([1], [2])], ps.Pad(), ["differ"]),
        ([[1], "ab"], ps.Pad(), ["no array of numbers"]),
    ],
)
def test_what_cannot_be_padded_is_described(items, pad, words):
    """What does not fit gives an error with the field, the value and the type."""
    with pytest.raises(CollateError) as caught:
        list(ps.items(items).batch(9, collate=pad))
    for word in words:
        assert word in str(caught.value)


def test_stacking_ragged_arrays_names_pad():
    """Whoever forgets the padding is told of it."""
    with pytest.raises(CollateError, match=r"\(1,\).*\(2,\).*collate=Pad\(\)"):
        list(ps.range(3).map(np.arange).skip(1).batch(2))


@pytest.mark.parametrize(
    "options",
    [
        {"side": "middle"},
        {"side": 1.5},
        {"side": True},
        {"multiple_of": 0},
        {"axes": "x"},
        {"axes": (0, "x")},
        {"mask": ""},
        {"mask": 3},
        {"value": "left"},
        {"value": np.zeros(3)},
        {"value": {"a": np.zeros(3)}},
    ],
)
def test_values_check_themselves(options):
    """A padding that cannot work cannot be made."""
    with pytest.raises((ArgumentError, ArgumentTypeError), match=r"Pad\(\)"):
        ps.Pad(**options)


def test_it_is_a_value():
    """Pads compare, travel and print as they were written."""
    pad = ps.Pad(-1, side="left", mask=True)
    assert pickle.loads(pickle.dumps(pad)) == pad
    assert repr(pad) == "Pad(value=-1, side='left', mask=True)"
    assert ps.range(3).batch(2, collate=pad).node.label() == f"batch(2, collate={pad})"
    assert ps.range(3).batch(2, collate=ps.Pad()).node.label() == "batch(2, collate=Pad())"
