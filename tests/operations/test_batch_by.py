"""batch_by and batch_while: as many items as fit, against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, EndedQuietly
from penstock.testing import check_dataset


def size(x):
    """Return a size from 1 to 7."""
    return int(x) % 7 + 1


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).batch_by(10, size),
        ps.range(1).batch_by(10, size),
        ps.range(40).shuffle().batch_by(10, size),
        ps.range(40).batch_by(10, size, padded=True, max_items=3),
        ps.range(40).filter(lambda x: x % 3).batch_by(9.5, size, last="drop"),
        ps.range(40).batch_by(4, size, oversize="drop"),
        ps.range(40).batch_by(4, size, oversize="alone", collate=list),
        ps.stream(range(40)).batch_by(10, size).map(np.sum),
        ps.range(5).repeat().batch_by(10, size),
        ps.range(40).batch_while(lambda items, item: sum(items) + item < 50),
        ps.stream(range(40)).batch_while(lambda items, item: len(items) < 3, last="drop"),
        ps.range(5).repeat().batch_while(lambda items, item: item > items[-1]),
        ps.range(0).batch_while(lambda items, item: True),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with adaptive batches in it."""
    check_dataset(dataset, limit=20)


@pytest.mark.parametrize("dataset", [ps.range(40).shuffle().batch_by(10, size)], ids=repr)
def test_processes(dataset):
    """Items made by processes are cut like those made in line."""
    check_dataset(dataset, limit=20, executors=(ps.Processes(2),), epochs=(0,))


def cut(items, fits):
    """Return the batches that a rule makes: the definition."""
    batches = []
    for item in items:
        if batches and fits(batches[-1], item):
            batches[-1].append(item)
        else:
            batches.append([item])
    return batches


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(9, 30), st.booleans(), st.none() | st.integers(1, 4))
def test_budgets(items, budget, padded, most):
    """Items are added while the sum, or the largest times the count, stays within the budget."""

    def fits(batch, item):
        together = [*batch, item]
        cost = max(together) * len(together) if padded else sum(together)
        return cost <= budget and (most is None or len(together) <= most)

    dataset = ps.items(items).batch_by(budget, lambda x: x, padded=padded, max_items=most, collate=list)
    found = list(dataset)
    assert [x for batch in found for x in batch] == items
    if 0 not in items:  # a full batch takes no item of size 0 any more
        assert found == cut(items, fits)
    whole = ps.items(items).batch_by(budget, lambda x: x, padded=padded, max_items=most, collate=list, last="drop")
    assert list(whole) in (found, found[:-1])


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 4))
def test_predicates(items, most):
    """The predicate sees the items so far and the next one, and its word is followed."""

    def predicate(batch, item):
        return len(batch) < most and item != batch[-1]

    assert list(ps.items(items).batch_while(predicate, collate=list)) == cut(items, predicate)


def test_items_above_the_budget():
    """An item above the budget is an error that says so; or alone; or left out."""
    dataset = ps.items([1, 9, 2])
    with pytest.raises(ArgumentError, match=r'batch_by\(4, lambda\): item 1 has size 9.*oversize="alone"'):
        list(dataset.batch_by(4, lambda x: x))
    assert list(dataset.batch_by(4, lambda x: x, oversize="alone", collate=list)) == [[1], [9], [2]]
    assert list(dataset.batch_by(4, lambda x: x, oversize="drop", collate=list)) == [[1, 2]]


def test_ranks_divide_each_batch():
    """Ranks take their parts of every batch; one with fewer rows than ranks is refused, with the remedy."""
    dataset = ps.range(40).batch_by(16, size, last="drop")
    parts = []
    for rank in range(2):
        with dataset.loader(shard=(rank, 2)) as loader:
            parts.append([b.tolist() for b in loader])
    assert [a + b for a, b in zip(*parts, strict=True)] == [b.tolist() for b in dataset]
    for short in (ps.range(40).batch_by(7, size), ps.range(40).batch_while(lambda items, item: False)):
        with (
            short.loader(shard=(0, 4)) as loader,
            pytest.raises(ArgumentError, match=r"cannot be divided over 4 ranks"),
        ):
            list(loader)
    with pytest.raises(ArgumentError, match="4 ranks"):
        ps.range(40).batch_by(7, size, max_items=3).loader(shard=(0, 4))


def boom(*_):
    """Fail."""
    raise ZeroDivisionError


def stop(*_):
    """Stop."""
    raise StopIteration


@pytest.mark.parametrize("base", [ps.items([5, 6, 7]), ps.stream([5, 6, 7])], ids=repr)
def test_errors_of_functions_keep_their_type(base):
    """What a user's function raises arrives as it is, with the step and the line; StopIteration ends nothing."""
    for dataset in (base.batch_by(9, boom), base.batch_while(boom), base.batch_by(9, int, collate=boom)):
        with pytest.raises(ZeroDivisionError) as caught:
            list(dataset)
        assert dataset.node.label() in "\n".join(caught.value.__notes__)
        assert __file__ in "\n".join(caught.value.__notes__)
    for dataset in (base.batch_by(9, stop), base.batch_while(stop), base.batch_by(9, int, collate=stop)):
        with pytest.raises(EndedQuietly):
            list(dataset)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.batch_by(0, len), ["budget", "above 0", "0 (int)"]),
        (lambda d: d.batch_by("8", len), ["budget", "'8' (str)"]),
        (lambda d: d.batch_by(float("nan"), len), ["budget", "nan"]),
        (lambda d: d.batch_by(True, len), ["budget", "True"]),
        (lambda d: d.batch_by(8, 3), ["size", "function", "3 (int)"]),
        (lambda d: d.batch_by(8, len, max_items=0), ["max_items", "at least 1"]),
        (lambda d: d.batch_by(8, len, last="error"), ["last", "'keep', 'drop'"]),
        (lambda d: d.batch_by(8, len, oversize="skip"), ["oversize", "'alone'"]),
        (lambda d: d.batch_by(8, len, padded=1), ["padded", "True or False"]),
        (lambda d: d.batch_while(True), ["predicate", "function"]),
        (lambda d: d.batch_while(bool, last="pad"), ["last"]),
        (lambda d: list(d.batch_by(8, str)), ["str()", "a number of 0 or more", "item 0", "'0' (str)"]),
        (lambda d: list(d.batch_by(8, lambda x: -1)), ["-1 (int)"]),
    ],
)
def test_mistakes(make, words):
    """What cannot work is refused with the value, the operation and the remedy."""
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        make(ps.range(10))
    for word in ["batch_", *words]:
        assert word in str(caught.value)
