"""flat_map: every item as several, computed in the workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.testing import Scrambled, check_dataset


def several(x):
    """Return none to three items."""
    return [(x, k) for k in range(x % 4)]


def drawn(x, rng):
    """Yield a random number of draws."""
    for _ in range(int(rng.integers(3))):
        yield x, int(rng.integers(100))


@pytest.mark.parametrize(
    "dataset",
    [
        ps.range(0).flat_map(several),
        ps.range(1).flat_map(lambda x: [x]),
        ps.range(9).flat_map(several),
        ps.range(9).flat_map(lambda x: []),
        ps.range(9).flat_map(lambda x: (x for _ in range(2))),
        ps.stream(range(9)).flat_map(several).batch(4, collate=list),
        ps.range(9)
        .flat_map(drawn, rng=True)
        .flat_map(lambda p: [p, p])
        .map(lambda p, rng: (p, rng.random()), rng=True),
        ps.range(5).repeat().flat_map(several),
    ],
    ids=repr,
)
def test_contract(dataset):
    """Every promise of a description holds with flat_map in it."""
    check_dataset(dataset, limit=20)


def test_in_processes():
    """Processes give the same items and states."""
    check_dataset(ps.range(9).flat_map(several).flat_map(drawn_of), limit=9, executors=(ps.Processes(2),), epochs=(0,))


def drawn_of(pair):
    """Return a pair twice."""
    return [pair, pair]


@given(st.lists(st.lists(st.integers(), max_size=3), max_size=12))
def test_it_is_the_chain_of_what_the_function_returns(lists):
    """It gives what a nested loop gives."""
    assert list(ps.items(lists).flat_map(lambda x: x)) == [x for xs in lists for x in xs]


@pytest.mark.parametrize(
    ("returned", "word"), [(3, "not iterable"), (None, "not iterable"), ("ab", "one text"), ({"a": 1}, "one item")]
)
def test_what_is_no_list_of_items_is_refused(returned, word):
    """A result that is no collection of items is an error that names the function, the value and the remedy."""

    def wrong(x):
        return returned

    with pytest.raises(ArgumentTypeError, match=rf"flat_map\(wrong\): wrong must return.*{word}.*\[item\]") as caught:
        list(ps.range(3).flat_map(wrong))
    assert "item 0 of flat_map(wrong)" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("workers", [ps.Inline(), ps.Threads(2), Scrambled()], ids=repr)
def test_an_error_comes_at_its_place(workers):
    """What the function raises, at once or in the middle of yielding, comes behind the items of those before."""

    def torn(x):
        yield x
        if x == 3:
            raise OSError("torn")

    found = []
    with ps.range(9).flat_map(torn).loader(workers=workers) as loader, pytest.raises(OSError, match="torn") as caught:
        for x in loader:
            found.append(x)
    assert found == [0, 1, 2]
    assert "item 3 of flat_map(torn)" in "\n".join(caught.value.__notes__)
    assert list(ps.range(5).flat_map(torn).on_error("skip")) == [0, 1, 2, 4]


@pytest.mark.parametrize(
    "behind",
    [
        lambda d: d.flat_map(list),
        lambda d: d.take_while(len),
        lambda d: d.drop_while(len),
        lambda d: d.unique(),
        lambda d: d.transform(iter),
    ],
)
def test_ranks_never_decide_differently(behind):
    """Behind the batch whose rows are divided, what decides by the items how many there are is refused."""
    with pytest.raises(ArgumentError, match="stands behind the batch whose rows are divided"):
        behind(ps.range(8).batch(4)).loader(shard=(0, 2))


def test_bad_arguments():
    """What is no function, and what is no flag, is refused at once."""
    with pytest.raises(ArgumentTypeError, match=r"flat_map\(\): function"):
        ps.range(3).flat_map(3)
    with pytest.raises(ArgumentTypeError, match=r"flat_map\(\): rng"):
        ps.range(3).flat_map(several, rng=1)
