"""evaluate and statistics: what NumPy says of the whole, on any workers, without holding it."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import penstock as ps
from penstock.testing import Scrambled, same


class Pair(NamedTuple):
    """A named tuple."""

    x: object
    y: object


@dataclasses.dataclass
class Result:
    """A dataclass."""

    x: object


def both(x):
    """Return an array and a list, for every row."""
    return {"square": x * x, "name": [str(k) for k in x.tolist()]}


@pytest.mark.parametrize("workers", [None, ps.Threads(2), Scrambled(seed=1)])
@pytest.mark.parametrize("dataset", [ps.range(11).shuffle().batch(3), ps.stream(range(11)).batch(4)], ids=repr)
def test_concat_is_the_function_of_the_whole(dataset, workers):
    """Concatenated results are those of one batch of everything, in order, on any workers."""
    whole = np.concatenate(list(dataset))
    assert same(dataset.evaluate(both, workers=workers, progress=False), both(whole))


def test_structures_are_combined_field_by_field():
    """Dicts, tuples, named tuples and dataclasses of results keep their structure."""
    batches = ps.range(5).batch(2)
    assert same(batches.evaluate(lambda b: (b, {"y": b + 1})), (np.arange(5), {"y": np.arange(1, 6)}))
    found = batches.evaluate(lambda b: Pair(b[:1], Result(b.sum())), combine="sum")
    assert same(found, Pair(np.array([6]), Result(10)))


def test_mean_is_weighted_by_rows():
    """The mean of batches' means is the mean of all rows, though the last batch is shorter."""
    data = np.random.default_rng(0).random((103, 3))
    batches = ps.arrays(x=data, y=data).batch(10)
    found = batches.evaluate(lambda b: {"all": b["x"].mean(), "each": b["x"].mean(0)}, combine="mean")
    assert np.isclose(found["all"], data.mean(), rtol=1e-12)
    assert isinstance(found["all"], float)
    assert np.allclose(found["each"], data.mean(0), rtol=1e-12)


def test_sum_and_a_function_of_ones_own():
    """Sums keep whole numbers whole; any function of the list of results is welcome, also of none."""
    batches = ps.range(10).batch(4)
    assert batches.evaluate(lambda b: int(b.sum()), combine="sum") == 45
    assert type(batches.evaluate(len, combine="sum")) is int
    assert batches.evaluate(len, combine=list) == [4, 4, 2]
    assert ps.range(0).evaluate(abs, combine=list) == []


def test_a_function_for_its_effect():
    """A function that returns None every time gives None."""
    seen = []
    assert ps.range(3).evaluate(seen.append) is None
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: ps.range(3).evaluate(3), TypeError, ["evaluate()", "function", "3 (int)"]),
        (lambda: ps.range(3).evaluate(abs, combine="cat"), ValueError, ["combine", "'cat'", "concat"]),
        (lambda: ps.range(3).evaluate(abs, progress=1), TypeError, ["progress"]),
        (lambda: ps.range(3).evaluate(abs), TypeError, ["concat", "0 (int)", "rows", "mean", "list"]),
        (lambda: ps.range(0).evaluate(abs), ValueError, ["no items"]),
        (lambda: ps.range(3).repeat().evaluate(abs), TypeError, ["evaluate()", "no end"]),
        (lambda: ps.range(3).repeat().statistics(), TypeError, ["statistics()", "no end"]),
        (lambda: ps.range(3).evaluate(str, combine="mean"), TypeError, ["'0' (str)", "number"]),
        (
            lambda: ps.range(3).evaluate(lambda k: np.zeros((1, k))),
            ValueError,
            ["(1, 0)", "(1, 1)", "combine=list"],
        ),
        (lambda: ps.range(3).evaluate(np.zeros, combine="sum"), ValueError, ["(0,)", "(1,)"]),
        (lambda: ps.range(3).evaluate(lambda k: {k: 1}, combine="sum"), ValueError, ["structure", "{0: 1}"]),
        (lambda: ps.range(3).evaluate(lambda k: (k, "x"), combine="sum"), TypeError, ["[1]", "'x'"]),
        (lambda: ps.range(3).statistics(axis=1.5), TypeError, ["statistics()", "axis", "1.5"]),
        (lambda: ps.range(3).statistics(axis=0), ValueError, ["axis=0", "'item'", "()"]),
    ],
)
def test_mistakes(call, kind, words):
    """What cannot be combined or summarised is refused with what can be said instead."""
    with pytest.raises(kind) as caught:
        call()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_errors_of_the_function_arrive_as_themselves():
    """What the function raises is not wrapped, and the workers are gone afterwards."""
    with pytest.raises(ZeroDivisionError):
        ps.range(3).evaluate(lambda x: 1 // x, workers=ps.Threads(2))


def test_torch_results_come_to_the_host():
    """Tensors are joined as arrays, with or without gradients."""
    torch = pytest.importorskip("torch")
    found = ps.range(5).batch(2).evaluate(lambda b: torch.tensor(b, dtype=torch.float32, requires_grad=True) * 2)
    assert same(found, np.arange(5, dtype=np.float32) * 2)


# ------------------------------------------------------------------------------------------------------ statistics


@given(arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)), st.integers(1, 9))
def test_statistics_are_numpys(data, size):
    """However items are cut into chunks, the figures are those of NumPy over everything."""
    for dataset in (ps.arrays(data), ps.stream(data.tolist()), ps.arrays(data).batch(size)):
        found = dataset.statistics(progress=False)["item"]
        assert found.values == len(data)
        assert (found.min, found.max) == (data.min(), data.max())
        assert np.isclose(found.mean, data.mean(), rtol=1e-12, atol=1e-9)
        assert np.isclose(found.std, data.std(), rtol=1e-9, atol=1e-8)


def test_statistics_are_stable():
    """Small deviations far from zero are not lost, as they would be in a sum of squares."""
    data = 1e9 + np.random.default_rng(1).normal(size=5000)
    found = ps.arrays(data).statistics()["item"]
    assert np.isclose(found.std, data.std(), rtol=1e-9)


@pytest.mark.parametrize("workers", [ps.Threads(2), Scrambled(seed=2)])
def test_statistics_are_the_same_on_any_workers(workers):
    """Chunks are merged in order, so the figures are the same to the bit."""
    data = np.random.default_rng(1).normal(size=(3000, 2))
    dataset = ps.arrays(x=data).shuffle().map(lambda row: {"x": row["x"] * 3, "name": "a" * int(abs(row["x"][0] * 9))})
    assert dataset.statistics() == dataset.statistics(workers=workers)


def test_statistics_in_processes():
    """Items are summarised in other processes, and come back as figures."""
    found = ps.range(1000).batch(10).statistics(workers=ps.Processes(2))["item"]
    assert (found.mean, found.min, found.max, found.values) == (499.5, 0, 999, 1000)


def test_an_axis_is_kept():
    """With an axis there is a value for each of its places, whatever the other axes are."""
    images = [np.random.default_rng(k).random((k + 2, 3, 4)) for k in range(5)]
    found = ps.items(images).statistics(axis=-1)["item"]
    flat = np.concatenate([image.reshape(-1, 4) for image in images])
    assert np.allclose(found.mean, flat.mean(0))
    assert np.allclose(found.std, flat.std(0))
    assert np.array_equal(found.max, flat.max(0))
    assert found.values.tolist() == [len(flat)] * 4
    assert found.lengths == {k + 2: 1 for k in range(5)}
    with pytest.raises(ValueError, match="3 places along that axis, and 4"):
        ps.items([np.zeros((2, 3)), np.zeros((2, 4))]).statistics(axis=-1)


def test_types_keep_their_range():
    """The smallest and largest of whole numbers are exact, beyond what a float holds."""
    big = 2**62 + 1
    found = ps.items([big, 5]).statistics()["item"]
    assert (found.max, found.min) == (big, 5)
    image = ps.items([np.array([0, 255], np.uint8)] * 3).statistics()["item"]
    assert (image.type, image.max, image.mean) == ("uint8", 255, 127.5)
    assert ps.items([True, False]).statistics()["item"].mean == 0.5


def test_gaps_are_counted_apart():
    """NaN do not spoil the figures: they are counted, and shown."""
    data = np.array([1.0, np.nan, 3.0, np.nan])
    statistics = ps.arrays(x=data).statistics()
    found = statistics["x"]
    assert (found.values, found.missing, found.mean, found.std, found.min, found.max) == (2, 2, 2.0, 1.0, 1.0, 3.0)
    assert "NaN" in str(statistics)
    nothing = ps.items([np.nan, np.nan]).statistics()["item"]
    assert (nothing.values, nothing.missing) == (0, 2)


def test_what_is_no_number_has_lengths():
    """Texts, lists and arrays of different lengths are counted by length, and drawn."""
    items = [{"text": "a" * (k % 4), "tokens": list(range(k % 3)), "pair": (k, None)} for k in range(12)]
    statistics = ps.items(items).statistics()
    assert statistics["text"].lengths == {0: 3, 1: 3, 2: 3, 3: 3}
    assert statistics["tokens"].lengths == {0: 4, 1: 4, 2: 4}
    assert statistics["text"].mean is None
    assert statistics["pair.0"].max == 11
    assert statistics["pair.1"].type == "NoneType"
    counts, edges = statistics["text"].histogram(2)
    assert counts.tolist() == [6, 6]
    assert edges.tolist() == [0, 2, 4]
    counts, edges = statistics["tokens"].histogram(9)
    assert (counts.tolist(), edges.tolist()) == ([4, 4, 4], [0, 1, 2, 3])
    assert statistics["pair.0"].histogram()[0].tolist() == []
    assert "lengths of text: 0 to 3, mean 1.5" in str(statistics)


def test_statistics_of_nothing():
    """Without items there are no columns; without fields, or with empty arrays, there are no figures."""
    assert str(ps.range(0).statistics()) == "0 items"
    found = ps.items([np.zeros((0, 3))] * 2).statistics()["item"]
    assert (found.count, found.values, found.mean) == (2, 0, None)


@pytest.mark.parametrize("field", [0, 1])
def test_tuples_have_numbers_for_names(field):
    """Columns of tuples are named by their place."""
    assert ps.arrays(np.arange(3), np.arange(3.0)).statistics()[str(field)].mean == 1.0
