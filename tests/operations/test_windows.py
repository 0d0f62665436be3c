"""windows: neighbouring items together, one window beginning every few items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset

X = np.arange(20).reshape(10, 2)


def add_up(items):
    """Return the sum of a window."""
    return sum(items)


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(9).windows(3),
        ps.range(9).windows(3, step=2, collate=tuple),
        ps.range(9).windows(2, step=3, collate=list).shuffle(),
        ps.range(9).windows(10),
        ps.range(0).windows(1),
        ps.range(1).windows(1),
        ps.range(3).repeat().windows(4, step=3),
        ps.range(9).map(lambda x, rng: rng.random(), rng=True).windows(3, collate=add_up).batch(2),
        ps.arrays(X).windows(4, 2).batch(2),
        ps.arrays(x=X, y=X[:, 0]).shuffle().windows(3, 4),
        ps.stream(list(range(9))).windows(3),
        ps.stream(list(range(9))).windows(3, step=2, collate=tuple).map(lambda w, rng: (w, rng.random()), rng=True),
        ps.stream(list(range(9))).windows(2, step=3),
        ps.stream(list(range(9))).windows(3, step=3, collate=add_up),
        ps.stream([]).windows(2),
        ps.stream([1]).windows(2),
        ps.range(20).filter(lambda x: x % 3).windows(4, step=3, collate=list).unbatch().windows(2),
        ps.range(20).map(lambda x: [x] * (x % 3)).unbatch().windows(3),
        ps.range(20).filter(lambda x: x % 3).repeat(2).windows(3, step=5),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with windows in it."""
    check_dataset(dataset, limit=12)


@given(st.integers(0, 14), st.integers(1, 5), st.integers(1, 6))
def test_it_is_a_comprehension(n, size, step):
    """Sequences and streams give the whole windows of a list, as slices of it."""
    expected = [tuple(range(k, k + size)) for k in range(0, n - size + 1, step)]
    found = ps.range(n).windows(size, step, collate=tuple)
    assert len(found) == len(expected)
    assert list(found) == [found[k] for k in range(len(expected))] == expected
    assert [w for batch in found.batch(3, collate=list) for w in batch] == expected
    assert list(ps.stream(list(range(n))).windows(size, step, collate=tuple)) == expected
    assert [tuple(w.tolist()) for w in ps.arrays(np.arange(n)).windows(size, step)] == expected


def test_what_windows_share_is_computed_once():
    """Windows that are read together compute each item once; none of them sees another's changes."""
    calls = []
    dataset = ps.range(6).map(lambda x: calls.append(x) or np.full(2, x)).windows(3, collate=list)
    windows = dataset.batch(4, collate=list)[0]
    assert calls == [0, 1, 2, 3, 4, 5]
    windows[0][2] += 100
    assert [int(w[0][0]) for w in windows] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "rows", [ps.arrays(X), ps.items(list(X)), ps.stream(list(X))], ids=["arrays", "items", "stream"]
)
def test_windows_may_be_changed(rows):
    """A function that changes a window in place changes no other window."""

    def spoil(window):
        window = [np.add(row, 100, out=row) for row in window]
        return [row.tolist() for row in window]

    if "arrays" not in repr(rows):
        rows = rows.map(np.array)  # or what changes would be the source
    found = list(rows.windows(3, collate=None if "arrays" in repr(rows) else tuple).map(spoil).take(2))
    assert found[1] == (X[1:4] + 100).tolist()


def test_streams_are_read_no_further_than_needed():
    """The first window reads its own items only, and each next one as many as it steps on."""
    read = []

    def source():
        for x in range(100):
            read.append(x)
            yield x

    windows = iter(ps.stream(source).windows(3, step=2, collate=tuple))
    assert next(windows) == (0, 1, 2)
    assert len(read) == 3
    assert next(windows) == (2, 3, 4)
    assert len(read) == 5


def test_processes():
    """Windows of sequences are made in processes, windows of streams of what processes computed."""
    for dataset in (ps.range(12).map(float).windows(4, 2), ps.range(12).map(float).filter(bool).windows(4, 2)):
        check_dataset(dataset, executors=(ps.Processes(2),), epochs=(1,))


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((0,), {}, "size must be at least 1"),
        ((2, 0), {}, "step must be at least 1"),
        ((2.0,), {}, "size must be a whole number"),
        ((2,), {"collate": 3}, r"collate must be a function.*collate=tuple"),
    ],
    ids=str,
)
def test_bad_arguments(arguments, options, words):
    """Sizes and functions that cannot work are refused by name."""
    for dataset in (ps.range(5), ps.stream([1])):
        with pytest.raises((TypeError, ValueError), match=words):
            dataset.windows(*arguments, **options)


def test_errors_of_collations():
    """An error of a collation keeps its type and names the window; a StopIteration does not end the epoch."""

    def fail(items):
        return 1 // (items[0] - 2)

    def stop(items):
        raise StopIteration

    for source in (ps.range(6), ps.stream(list(range(6)))):
        for way in (source.windows(2, collate=fail), source.windows(2, collate=fail).batch(9)):
            with pytest.raises(ZeroDivisionError) as caught:
                list(way)
            assert "item 2 of windows(2, collate=fail)" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(source.windows(2, collate=stop))
        with pytest.raises(ValueError, match="shapes"):
            list(source.map(np.zeros).windows(2))


def test_labels():
    """A label says what was said."""
    labels = [d.node.label() for d in (ps.range(9).windows(3), ps.range(9).windows(3, 2, collate=tuple))]
    assert labels == ["windows(3)", "windows(3, step=2, collate=tuple)"]
