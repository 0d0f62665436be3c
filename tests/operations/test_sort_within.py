"""sort_within: stretches of items in the order of a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import check_dataset


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).sort_within(3, key=lambda x: -x),
        ps.range(1).sort_within(3, key=lambda x: -x),
        ps.range(20).shuffle().sort_within(6, key=lambda x: x),
        ps.range(20).shuffle().sort_within(6, key=lambda x: x, reverse=True).batch(4),
        ps.stream(range(20)).sort_within(6, key=lambda x: -x),
        ps.range(5).repeat().sort_within(4, key=lambda x: x),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with sort_within in it."""
    check_dataset(dataset, limit=20)


def test_processes():
    """Stretches that processes sort are those sorted in line."""
    check_dataset(ps.range(40).shuffle().sort_within(8, key=abs), limit=20, executors=(ps.Processes(2),), epochs=(0,))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=30), st.integers(1, 9), st.booleans(), st.booleans()
)
def test_it_is_pythons_sort(items, size, reverse, stream):
    """Every stretch is what ``sorted`` makes of it, equal items in their order."""
    dataset = (ps.stream(items) if stream else ps.items(items)).sort_within(size, key=lambda x: x[0], reverse=reverse)
    expected = []
    for start in range(0, len(items), size):
        expected += sorted(items[start : start + size], key=lambda x: x[0], reverse=reverse)
    assert list(dataset) == expected


def test_without_a_key_items_are_compared():
    """As with ``sorted``, items are their own keys where none is said."""
    dataset = ps.items([3, 1, 2, 9, 7]).sort_within(3)
    assert list(dataset) == [1, 2, 3, 7, 9]
    assert dataset.node.label() == "sort_within(3)"


def test_it_is_printed_as_it_was_written():
    """The drawing shows the stretches and the key."""
    assert ps.range(9).sort_within(4, key=abs, reverse=True).node.label() == "sort_within(4, key=abs, reverse=True)"


def test_errors_of_the_key():
    """An error of the key keeps its type and names the step."""
    with pytest.raises(TypeError) as caught:
        list(ps.items([1, "a"]).sort_within(2, key=lambda x: x))
    assert "sort_within(2, key=lambda)" in "\n".join(caught.value.__notes__)


def test_a_shard_behind_it_needs_a_batch():
    """The stretches are no batches, so their rows are never divided over ranks."""
    with pytest.raises(ArgumentError, match="Put it before batch"):
        ps.range(9).sort_within(4, key=abs).loader(shard=(0, 2))
    with ps.range(8).sort_within(4, key=abs).batch(2).loader(shard=(1, 2)) as loader:
        assert [b.tolist() for b in loader] == [[1], [3], [5], [7]]


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.sort_within(0, key=abs),
        lambda d: d.sort_within(abs),
        lambda d: d.sort_within(3, key="x"),
        lambda d: d.sort_within(3, key=abs, reverse=1),
    ],
)
def test_mistakes(make):
    """What cannot work is refused."""
    with pytest.raises((ArgumentError, ArgumentTypeError)):
        make(ps.range(9))
