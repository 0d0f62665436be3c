"""Functions made of functions: what they apply, how often, with whose draws; and that they are values."""

from __future__ import annotations

import collections
import pickle

import numpy as np
import pytest

import penstock as ps
from penstock.testing import check_dataset


def one(x):
    """Return x + 1."""
    return x + 1


def ten(x):
    """Return x + 10."""
    return x + 10


def drawn(x, rng):
    """Return x and a draw."""
    return x + 100 + float(rng.random())


def append(name):
    """Return a function that appends a letter."""
    return lambda text: text + name


EVERY = [
    ps.OneOf(one, ten),
    ps.OneOf(one, drawn, weights=[3, 1]),
    ps.SomeOf(one, ten, drawn, count=2),
    ps.SomeOf(one, ten, drawn, count=(0, 3)),
    ps.Maybe(drawn, p=0.3),
    ps.Compose(one, drawn, ten),
    ps.OneOf(ps.Compose(one, ps.Maybe(drawn)), ps.SomeOf(one, ten, count=1), abs),
]


@pytest.mark.parametrize("function", EVERY, ids=repr)
def test_contract(function):
    """Every promise of a description holds with each of them in a map."""
    check_dataset(ps.range(20).seed(2).shuffle().map(function, rng=True).batch(3), limit=10)
    check_dataset(ps.stream([1.0, 2.0, 3.0]).map(function, rng=True))


@pytest.mark.parametrize("function", EVERY, ids=repr)
def test_they_are_values(function):
    """They are comparable, hashable, immutable, picklable, and print as they were written."""
    copy = pickle.loads(pickle.dumps(function))
    assert copy == function
    assert hash(copy) == hash(function)
    assert repr(copy) == repr(function)
    with pytest.raises(AttributeError):
        function.steps = ()
    assert ps.range(3).map(function, rng=True) == ps.range(3).map(copy, rng=True)


def test_they_differ_by_what_they_are_made_of():
    """Another function, weight, count or probability is another value."""
    assert ps.OneOf(one, ten) != ps.OneOf(ten, one)
    assert ps.OneOf(one, ten) != ps.OneOf(one, ten, weights=[1, 2])
    assert ps.SomeOf(one, ten, count=1) != ps.SomeOf(one, ten, count=2)
    assert ps.Maybe(one, 0.1) != ps.Maybe(one, 0.2)
    assert ps.Compose(one) != ps.Maybe(one)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (ps.OneOf(one, drawn, weights=(3, 1)), "OneOf(one, drawn, weights=[3, 1])"),
        (ps.SomeOf(one, ten, count=[1, 2]), "SomeOf(one, ten, count=(1, 2))"),
        (ps.SomeOf(one, ten, count=(1, 1)), "SomeOf(one, ten, count=1)"),
        (ps.OneOf(ps.Maybe(abs, 0.25), ps.Compose(one, ten)), "OneOf(Maybe(abs, p=0.25), Compose(one, ten))"),
    ],
)
def test_labels(function, text):
    """A map is labelled with what its user wrote, so a state of another choice is refused."""
    assert repr(function) == text
    assert ps.range(3).map(function, rng=True).node.label() == f"map({text}, rng=True)"


def test_one_of_follows_its_weights():
    """Each function is applied about as often as its weight says; with weight 0 never."""
    found = ps.items([0] * 4000).map(ps.OneOf(one, ten, abs, weights=[3, 1, 0]), rng=True)
    counts = collections.Counter(found)
    assert set(counts) == {1, 10}
    assert abs(counts[1] / 4000 - 0.75) < 0.03


def test_weights_that_end_in_zero_choose_within():
    """A last function with weight 0 is not chosen by a draw just below 1."""

    class Nearly:
        def random(self):
            return np.nextafter(1.0, 0.0)

    assert ps.OneOf(one, ten, abs, weights=[0.1, 0.2, 0])(0, Nearly()) == 10


def test_some_of_takes_each_once_in_any_order():
    """Of three, every pair comes in every order, and nothing twice."""
    function = ps.SomeOf(append("a"), append("b"), append("c"), count=2)
    counts = collections.Counter(ps.items([""] * 1800).map(function, rng=True))
    assert set(counts) == {"ab", "ba", "ac", "ca", "bc", "cb"}
    assert min(counts.values()) > 200


def test_some_of_draws_the_number_from_its_range():
    """With (least, most), every number between is equally likely."""
    function = ps.SomeOf(append("a"), append("b"), append("c"), count=(1, 3))
    counts = collections.Counter(len(x) for x in ps.items([""] * 1500).map(function, rng=True))
    assert set(counts) == {1, 2, 3}
    assert min(counts.values()) > 420


def test_maybe_applies_its_share():
    """Maybe applies its function with its probability."""
    found = list(ps.items([0] * 3000).map(ps.Maybe(one, 0.2), rng=True))
    assert abs(np.mean(found) - 0.2) < 0.03


def test_choices_are_shared_by_fields():
    """Image and mask of one item are sent through the same function with the same draws."""
    items = ps.range(50).map(lambda k: {"image": float(k), "mask": float(k)})
    made = list(items.map(ps.OneOf(one, ten, drawn), at=("image", "mask"), rng=True))
    assert all(item["image"] == item["mask"] for item in made)


def test_a_generator_goes_to_those_that_name_it():
    """What has a parameter rng gets the item's generator, also as the partner of what has none."""
    value = ps.range(1).map(ps.Compose(one, drawn, ten), rng=True)[0]
    assert 111 < value < 112


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (ps.OneOf, ValueError, ["OneOf()", "nothing", "OneOf(flip"]),
        (lambda: ps.OneOf([one, ten]), TypeError, ["OneOf()", "list", "OneOf(flip, rotate)"]),
        (lambda: ps.OneOf(one, 3), TypeError, ["OneOf()", "3 (int)"]),
        (lambda: ps.OneOf(one, weights=[1, 2]), ValueError, ["OneOf()", "1 functions", "2 weights"]),
        (lambda: ps.OneOf(one, ten, weights=[1, -2]), ValueError, ["OneOf()", "-2"]),
        (lambda: ps.OneOf(one, ten, weights=[1, float("nan")]), ValueError, ["OneOf()", "nan"]),
        (lambda: ps.OneOf(one, ten, weights=[1, "2"]), ValueError, ["OneOf()", "'2'"]),
        (lambda: ps.OneOf(one, ten, weights=[0, 0]), ValueError, ["OneOf()", "above 0"]),
        (lambda: ps.SomeOf(one, ten, count=3), ValueError, ["SomeOf()", "3", "2 functions"]),
        (lambda: ps.SomeOf(one, ten, count=(2, 1)), ValueError, ["SomeOf()", "(2, 1)"]),
        (lambda: ps.SomeOf(one, count="1"), TypeError, ["SomeOf()", "count", "'1'"]),
        (lambda: ps.Maybe(one, 2), ValueError, ["Maybe()", "2", "0 to 1"]),
        (lambda: ps.Maybe(one, "0.5"), TypeError, ["Maybe()", "'0.5'"]),
        (ps.Compose, ValueError, ["Compose()"]),
        (lambda: ps.range(3).map(ps.OneOf(one, ten)), TypeError, ["OneOf(one, ten)", "rng=True"]),
    ],
)
def test_mistakes(make, kind, words):
    """What cannot work is refused when it is written, also a map that forgets the generator."""
    with pytest.raises(kind) as caught:
        make()
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_errors_arrive_as_themselves():
    """A function that fails within a choice raises its own error, with the map's notes."""
    with pytest.raises(ZeroDivisionError) as caught:
        list(ps.range(3).map(ps.Compose(lambda x: 1 // x), rng=True))
    assert "item 0 of map(Compose(lambda), rng=True)" in "\n".join(caught.value.__notes__)
