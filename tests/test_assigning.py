"""Writing through: dataset[i] = value reaches the source, through every step that keeps items where they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentTypeError

VIEWS = {
    "slice": lambda d: d[1::2],
    "reversed": lambda d: d[::-1],
    "select": lambda d: d[[3, 0, 2]],
    "shuffle": lambda d: d.shuffle(),
    "repeat": lambda d: d.repeat(2),
    "repeat_each": lambda d: d.repeat_each(3),
    "concat": lambda d: ps.concat(d[:2], d[2:]),
    "interleave": lambda d: ps.interleave(d[:3], d[3:], block=2),
    "switch": lambda d: ps.switch(lambda i: i % 2, d, d[::-1]),
    "epoch": lambda d: d.shuffle().epoch(2),
    "split": lambda d: d.split(0.5, 0.5, seed=1)[1],
}


@pytest.mark.parametrize("name", VIEWS)
@given(steps=st.lists(st.sampled_from(sorted(VIEWS)), max_size=2), data=st.data())
def test_what_is_written_is_read(name, steps, data):
    """Through any chain of views, an item that is written is read back there, and the source holds it once."""
    for source in ([0] * 6, np.zeros(6, int)):
        dataset = (ps.arrays(source) if isinstance(source, np.ndarray) else ps.items(source)).seed(3)
        for step in [name, *steps]:
            dataset = VIEWS[step](dataset) if len(dataset) >= 4 else dataset
        if not len(dataset):
            continue
        index = data.draw(st.integers(-len(dataset), len(dataset) - 1))
        dataset[index] = 7
        assert dataset[index] == 7
        assert sorted(source) == [0, 0, 0, 0, 0, 7]


@given(
    st.integers(0, 8), st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9), st.sampled_from([1, 2, -1, -2])
)
def test_slices_are_pythons(n, start, stop, step):
    """Assignment to a slice writes what it writes in a list; other numbers of values are refused."""
    ours, theirs = list(range(n)), list(range(n))
    where = slice(start, stop, step)
    values = [100 + k for k in range(len(theirs[where]))]
    ps.items(ours)[where] = values
    theirs[where] = values
    assert ours == theirs
    with pytest.raises(ValueError, match=r"places and \d+ values"):
        ps.items(ours)[where] = [*values, 1]
    assert ours == theirs


def test_many_places():
    """Lists of positions and masks are assigned like NumPy's; values may be views of what is written."""
    x = np.arange(5)
    dataset = ps.arrays(x)
    dataset[[4, 0]] = [40, 50]
    dataset[np.array([False, True, False, False, False])] = [60]
    assert x.tolist() == [50, 60, 2, 3, 40]
    dataset[:] = x[::-1]
    assert x.tolist() == [40, 3, 2, 60, 50]
    dataset[1:] = dataset[:-1]
    assert x.tolist() == [40, 40, 3, 2, 60]


def test_rows_and_columns():
    """Rows of several arrays are written column by column; in zips, every input gets its part."""
    x, y = np.zeros((3, 2)), np.zeros(3, np.int8)
    ps.arrays(x, y)[1] = ([1, 2], 3)
    ps.arrays(x=x, y=y)[-1] = {"y": 5, "x": 4}
    entries = ["a", "b", "c"]
    ps.zip(ps.arrays(x), ps.items(entries))[0] = (9, "z")
    ps.zip(name=ps.items(entries), y=ps.arrays(y))[1] = {"name": "q", "y": 8}
    assert x.tolist() == [[9, 9], [1, 2], [4, 4]]
    assert y.tolist() == [0, 8, 5]
    assert entries == ["z", "q", "c"]


def test_batches():
    """A batch of arrays is written row by row, through a shuffle too; other numbers of rows are refused."""
    x, y = np.zeros((5, 2)), np.zeros(5, int)
    batches = ps.arrays(x=x, y=y).shuffle().batch(2)
    batches[0] = {"x": np.ones((2, 2)), "y": np.array([1, 2])}
    assert batches[0]["x"].tolist() == [[1, 1], [1, 1]]
    assert batches[0]["y"].tolist() == [1, 2]
    assert (sorted(y), x.sum()) == ([0, 0, 0, 1, 2], 4)
    with pytest.raises(ValueError, match="batch 2 has 1 rows, not 2"):
        batches[-1] = {"x": np.ones((2, 2)), "y": np.array([1, 2])}
    names = list("abc")
    ps.items(names).batch(2, collate=list)[0] = ["x", "y"]
    assert names == list("xyc")


def test_computed_items_are_refused():
    """Behind a step that computes, the error says which one, and nothing is written."""
    entries = [1, 2, 3, 4]
    source = ps.items(entries)
    for dataset, label in (
        (source.map(float), r"map\(float\)"),
        (source.map(float)[1:].shuffle().repeat(2), r"map\(float\)"),
        (ps.range(4), r"range\(4\)"),
        (source.windows(2), r"windows\(2\)"),
        (source.batch(2, collate=sum), r"batch\(2, collate=sum\)"),
        (source.batch(2).unbatch(size=2), r"unbatch\(size=2, total=4\)"),
        (ps.stream(entries).indexed(), r"indexed\(4\)"),
    ):
        with pytest.raises(ArgumentTypeError, match=rf"{label} cannot be written through.*stands before it") as caught:
            dataset[0] = 9
        assert label.replace("\\", "") in caught.value.__notes__[0]
    with pytest.raises(ArgumentTypeError, match=r"map\(float\) cannot"):
        ps.zip(source, source.map(float))[0] = (9, 9)
    with pytest.raises(ArgumentTypeError, match=r"map\(float\) cannot"):
        ps.zip(source, source.map(float)).batch(2)[0] = ([9, 9], [9, 9])
    assert entries == [1, 2, 3, 4]


def test_sources_that_cannot_be_written():
    """Tuples, read-only arrays and rows that do not fit are refused, and no column is written."""
    with pytest.raises(TypeError, match=r"items\(\): a tuple cannot be written to"):
        ps.items((1, 2))[0] = 3
    x, y = np.zeros(3), np.zeros((3, 2))
    frozen = x.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="array 1 is read-only"):
        ps.arrays(x, frozen)[0] = (1, 1)
    with pytest.raises(ValueError, match="could not broadcast"):
        ps.arrays(x, y)[0] = (1, [1, 2, 3])
    for value in (1, (1,), [1, 2, 3], {"x": 1}):
        with pytest.raises(ValueError, match="a row is a tuple of 2"):
            ps.arrays(x, y)[0] = value
        with pytest.raises(ValueError, match="an item is a tuple of 2"):
            ps.zip(ps.arrays(x), ps.arrays(y))[0] = value
    for value in (1, (1, 2), {"x": 1}, {"x": 1, "z": 2}):
        with pytest.raises(ValueError, match="a row is a dict with x, y"):
            ps.arrays(x=x, y=y)[0] = value
        with pytest.raises(ValueError, match="an item is a dict with x, y"):
            ps.zip(x=ps.arrays(x), y=ps.arrays(y))[0] = value
    assert not x.any()
    assert not y.any()


def test_places_that_are_not_there():
    """Positions are checked as for reading; a part without end cannot be assigned."""
    dataset = ps.items([1, 2])
    with pytest.raises(IndexError, match="out of range"):
        dataset[2] = 1
    with pytest.raises(TypeError, match="whole numbers or slices"):
        dataset["x"] = 1
    with pytest.raises(IndexError, match="out of range"):
        dataset[[0, 5]] = [1, 2]
    with pytest.raises(ValueError, match="no end"):
        dataset.repeat()[2:] = [1]
    dataset.repeat()[3] = 5
    assert dataset[1] == 5
    with pytest.raises(TypeError, match="does not support item assignment"):
        ps.stream([1])[0] = 2


def test_descriptions_do_not_change():
    """Writing changes what is described, not the description: it stays equal to what it was."""
    entries = [1, 2, 3]
    dataset, other = ps.items(entries)[::-1], ps.items(entries)[::-1]
    dataset[0] = 9
    assert dataset == other
    assert list(other) == [9, 2, 1]
