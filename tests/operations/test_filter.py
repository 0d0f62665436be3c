"""filter: the items that a predicate holds for, in order, from wherever one resumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import EndedQuietly
from penstock.testing import Scrambled, check_dataset


def draw(x, rng):
    """Return an item and a draw."""
    return x, float(rng.random())


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).filter(bool),
        ps.range(20).filter(lambda x: x % 3 == 0),
        ps.range(20).filter(lambda x: True),
        ps.range(20).filter(lambda x: False),
        ps.range(20).filter(lambda x: x > 15).filter(lambda x: x < 18),
        ps.stream([5, 0, 3, 0]).filter(bool).map(str),
        ps.range(30).seed(2).shuffle().filter(lambda x: x % 2).map(draw, rng=True).batch(4),
        ps.range(30).map(draw, rng=True).filter(lambda p: p[1] > 0.5).batch(3, last="drop"),
        ps.range(12).batch(4).filter(lambda b: b.sum() > 10).unbatch().filter(lambda x: x % 2),
        ps.range(6).repeat().filter(lambda x: x % 2),
        ps.range(9).filter(bool).seed(3).map(draw, rng=True),
        ps.range(9).filter(bool).epoch(3).map(draw, rng=True),
        ps.range(9).filter(bool).prefetch(2).map(draw, rng=True),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with filter in it."""
    check_dataset(dataset, limit=20)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 9))
def test_it_is_pythons_filter(numbers, least):
    """It keeps what the built-in filter keeps."""
    assert list(ps.items(numbers).filter(lambda x: x >= least)) == [x for x in numbers if x >= least]


def test_draws_behind_a_filter_are_the_elements_own():
    """Behind a filter, the draws of an item are those that it would have without the filter."""
    everything = dict(ps.range(30).seed(1).map(lambda x: x).map(draw, rng=True))
    some = dict(ps.range(30).seed(1).filter(lambda x: x % 3 == 0).map(draw, rng=True))
    assert some == {x: everything[x] for x in range(0, 30, 3)}


def test_truth_is_what_counts():
    """A predicate may return anything that is true or false, NumPy's booleans as well."""
    assert list(ps.range(6).filter(lambda x: np.bool_(x > 3))) == [4, 5]
    assert list(ps.items(["", "a", []]).filter(len)) == ["a"]


def test_an_ambiguous_truth_is_an_error():
    """A predicate that returns an array of several booleans fails, with the item named."""
    with pytest.raises(ValueError, match="ambiguous") as caught:
        list(ps.arrays(np.zeros((4, 3))).filter(lambda row: row == 0))
    assert "item 0 of filter(lambda)" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_errors_come_at_their_place(workers):
    """What stands before a failing item is delivered first; the notes name the item."""

    def picky(x):
        if x == 7:
            raise LookupError("seven")
        return x % 2

    found = []
    with ps.range(20).filter(picky).loader(workers=workers) as loader, pytest.raises(LookupError) as caught:
        for x in loader:
            found.append(x)
    assert found == [1, 3, 5]
    notes = "\n".join(caught.value.__notes__)
    assert "item 7 of filter(picky)" in notes
    assert __file__ in notes


def test_notes_name_the_source(tmp_path):
    """Behind a filter too, an error's notes name the file that the item came from."""
    for name in "abc":
        (tmp_path / name).write_text(name)

    def load(path):
        if path.endswith("b"):
            raise OSError("unreadable")
        return path

    with pytest.raises(OSError, match="unreadable") as caught:
        list(ps.files(tmp_path / "*").filter(bool).map(load))
    assert str(tmp_path / "b") in "\n".join(caught.value.__notes__)


def test_stopiteration_does_not_end_the_epoch():
    """A predicate that raises StopIteration gives an error that says so."""

    def stop(x):
        raise StopIteration

    with pytest.raises(EndedQuietly, match=r"raised StopIteration"):
        list(ps.range(4).filter(stop))


def test_it_is_a_stream():
    """A filter has no length and no positions, and says so."""
    assert isinstance(ps.range(4).filter(bool), ps.Stream)
