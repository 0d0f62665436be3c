"""unbatch with known sizes: batches back into items, which keep their positions."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.testing import check_dataset

X = np.arange(20).reshape(10, 2)


def double(batch):
    """Return a batch of as many rows."""
    return batch * 2


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(10).batch(3).unbatch(size=3),
        ps.range(10).batch(3, last="drop").unbatch(size=3),
        ps.range(10).batch(3).map(double).unbatch(size=3, total=10).shuffle(),
        ps.range(10).batch(3).unbatch(sizes=[3, 3, 3, 1])[::-1],
        ps.range(0).batch(3).unbatch(size=3, total=0),
        ps.range(0).batch(3).unbatch(sizes=[]),
        ps.range(1).batch(3).unbatch(sizes=[1]),
        ps.items([[], ["a", "b"], [], [], ["c"]]).unbatch(sizes=[0, 2, 0, 0, 1]),
        ps.range(4).repeat().batch(3).unbatch(size=3),
        ps.range(8).shuffle().map(lambda x, rng: (x, rng.random()), rng=True).batch(3).unbatch(size=3).batch(2),
        ps.arrays(x=X, y=X[:, 0]).batch(4).unbatch(size=4).filter(lambda row: row["y"] % 4),
        ps.arrays(X).shuffle().batch(5).unbatch(size=5).repeat_each(2).batch(3),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with batches of known sizes taken apart."""
    check_dataset(dataset, limit=12)


@given(st.lists(st.integers(0, 4), max_size=6))
def test_it_is_a_flattened_list(sizes):
    """The rows are those of the batches one after the other, by every way of reading."""
    batches = [[(b, k) for k in range(size)] for b, size in enumerate(sizes)]
    expected = [row for batch in batches for row in batch]
    found = ps.items(batches).unbatch(sizes=sizes)
    assert len(found) == len(expected)
    assert list(found) == [found[k] for k in range(len(expected))] == expected
    assert list(found) == list(ps.items(batches).unbatch())
    assert [row for batch in found.batch(3, collate=list) for row in batch] == expected


def test_each_batch_is_computed_once():
    """Reading row after row, alone or in ranges, computes every batch once."""
    calls = []
    batches = ps.range(12).batch(4).map(lambda batch: calls.append(int(batch[0])) or batch)
    rows = batches.unbatch(size=4)
    assert [int(x) for x in rows] == list(range(12))
    assert calls == [0, 4, 8]
    calls.clear()
    assert [batch.tolist() for batch in rows.batch(6)] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert calls == [0, 4, 8]


def test_rows_are_the_callers_own():
    """Changing a row changes neither the row that is read next nor the same row when it is read again."""
    rows = ps.arrays(X).batch(5).unbatch(size=5).map(lambda row: np.add(row, 100, out=row))
    assert [row.tolist() for row in rows] == (X + 100).tolist()
    again = rows.select([0, 0, 1]).batch(3)
    assert again[0].tolist() == (X[[0, 0, 1]] + 100).tolist()


def test_rows_that_cannot_be_copied():
    """A row that refuses to be copied is itself, in a loop and by position; it was an error."""
    locks = [threading.Lock() for _ in range(4)]
    rows = ps.items([locks[:2], locks[2:]]).unbatch(size=2)
    assert all(a is b for a, b in zip(rows, locks, strict=True))
    assert rows[3] is locks[3]


def test_epochs_do_not_share_rows():
    """The batch that is kept belongs to one epoch and one seed."""
    rows = ps.range(6).shuffle().batch(6).unbatch(size=6)
    twice = rows.repeat(2)
    one, two = list(twice)[:6], list(twice)[6:]
    assert sorted(one) == sorted(two)
    assert one != two
    assert [int(twice[k]) for k in (0, 6, 1, 7)] == [one[0], two[0], one[1], two[1]]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"size": 4}, r"unbatch\(size=4\): batch 0 has 3 rows, not the 4 that were said.*Correct size"),
        ({"size": 2}, r"batch 0 has 3 rows, not the 2 that were said"),
        ({"sizes": [3, 3, 2, 2]}, r"batch 2 has 3 rows, not the 2 that were said"),
        ({"size": 3}, r"batch 3 has 1 rows, not the 3 that were said"),
    ],
    ids=str,
)
def test_other_numbers_of_rows_are_errors(said, words):
    """A batch with another number of rows than was said is named with both numbers, in every way of reading."""
    rows = ps.range(10).batch(3).map(lambda batch: batch).unbatch(**said)
    for way in (rows, rows.batch(20), rows.filter(bool)):
        with pytest.raises(ValueError, match=words) as caught:
            list(way)
        assert "penstock: item" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"size": 0}, ValueError, "size must be at least 1"),
        ({"size": 1.5}, TypeError, "size must be a whole number"),
        ({"total": 3}, TypeError, "size must be a whole number"),
        ({"size": 3, "total": 13}, ValueError, r"4 batches hold from 10 to 12 rows"),
        ({"size": 3, "total": 9}, ValueError, r"4 batches hold from 10 to 12 rows"),
        ({"sizes": [3, 3]}, ValueError, r"sizes has 2 entries for 4 batches"),
        ({"sizes": [3, 3, -1, 1]}, ValueError, r"sizes\[2\] must be at least 0, not -1"),
        ({"sizes": [1.0] * 4}, TypeError, "list of whole numbers"),
        ({"size": 3, "sizes": [1]}, ValueError, "not both"),
    ],
    ids=str,
)
def test_bad_sizes(said, error, words):
    """Sizes that cannot be right are refused when they are written down."""
    with pytest.raises(error, match=words):
        ps.range(10).batch(3).map(len).unbatch(**said)


def test_streams_and_endless_sequences():
    """A stream has no positions to keep; an endless sequence takes a size, but neither a total nor sizes."""
    with pytest.raises(TypeError, match="gives a stream"):
        ps.stream([[1]]).unbatch(size=1)
    endless = ps.range(4).repeat().batch(2).map(double)
    assert endless.unbatch(size=2)[5] == 2
    with pytest.raises(ValueError, match="has no end"):
        endless.unbatch(size=2, total=5)
    with pytest.raises(ValueError, match="endless number of batches"):
        endless.unbatch(sizes=[2])


def test_shares_of_batches_are_refused():
    """Ranks that divide the rows of a batch would find fewer than were said: the loader says where to batch."""
    with pytest.raises(ValueError, match="behind the batch whose rows are divided"):
        ps.range(8).batch(4).unbatch(size=4).loader(shard=(0, 2))


def test_labels_tell_sizes_apart():
    """Labels show the sizes, and states of other sizes are other states."""
    batches = ps.range(10).batch(3)
    assert batches.unbatch(size=3).node.label() == "unbatch(size=3, total=10)"
    assert batches.unbatch(sizes=[3, 3, 3, 1]).node.label() == "unbatch(sizes=[3, 3, 3, …])"
    assert (
        batches.unbatch(sizes=[3, 3, 3, 1]).node.fingerprint() != batches.unbatch(sizes=[3, 3, 3, 2]).node.fingerprint()
    )
