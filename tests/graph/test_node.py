"""Nodes: immutable values that compare by what they say, and whose numbering keys all random draws."""

from __future__ import annotations

import dataclasses
import inspect
import pickle

import cloudpickle
import numpy as np
import pytest

import penstock as ps
from penstock.graph.node import Node, Site, operation, ordered
from penstock.operations.seed import Seed


def double(x):
    """Return the double."""
    return 2 * x


def half(x):
    """Return the half."""
    return x / 2


def pipeline():
    """Return a description with a bit of everything."""
    base = ps.range(10).seed(3).shuffle()
    return ps.zip(base.map(double), ps.arrays(np.arange(10))).batch(4, last="drop").prefetch(2).repeat(2)[1:]


DIFFERENT = [
    ps.range(10),
    ps.range(11),
    ps.range(10).shuffle(),
    ps.range(10).map(double),
    ps.range(10).map(half),
    ps.range(10).map(double).map(double),
    ps.range(10).batch(2),
    ps.range(10).batch(3),
    ps.range(10).batch(2, last="drop"),
    ps.range(10).batch(2, collate=list),
    ps.range(10).seed(1),
    ps.range(10)[1:],
    ps.range(10)[2:],
    ps.range(10).take(3),
    ps.items(range(10)),
    ps.items(list(range(10))),
    ps.arrays(np.arange(10)),
    ps.arrays(np.arange(10) + 1),
    ps.arrays(np.arange(10.0)),
    ps.arrays(x=np.arange(10)),
    ps.zip(ps.range(10), ps.range(10)),
    ps.zip(ps.range(10)),
    ps.concat(ps.range(10), ps.range(10)),
    ps.range(10).filter(bool),
    ps.range(10).filter(double),
    ps.range(10).epoch(1),
    ps.range(10).repeat(),
    ps.range(10).repeat(2),
    pipeline(),
]


def test_equal_descriptions_are_equal():
    """Two descriptions that say the same are equal and have the same hash, wherever they were written."""
    assert pipeline() == pipeline()
    assert hash(pipeline()) == hash(pipeline())
    assert len({pipeline(), pipeline()}) == 1


def test_different_descriptions_differ():
    """Whatever is said differently makes another description; no other type is equal to one."""
    for k, a in enumerate(DIFFERENT):
        for m, b in enumerate(DIFFERENT):
            assert (a == b) == (k == m), f"{a!r} and {b!r}"
    assert ps.range(3) != range(3)
    assert ps.range(3).node != ps.range(3)


def test_sharing_is_part_of_what_is_said():
    """One node that two branches share differs from two alike: they have other draws."""
    shared = ps.range(4).shuffle()
    assert ps.zip(shared, shared) == ps.zip(shared, shared)
    assert ps.zip(shared, shared) != ps.zip(ps.range(4).shuffle(), ps.range(4).shuffle())


def test_sharing_survives_pickling():
    """Where branches share a node, they share it in the copy, so its draws stay shared."""
    shared = ps.range(20).shuffle()
    dataset = ps.zip(shared, shared)
    copy = pickle.loads(cloudpickle.dumps(dataset))
    assert copy == dataset
    assert all(a == b for a, b in copy)


def test_fields_with_a_strange_equality():
    """Fields whose == gives no yes or no do not break comparison."""

    class Strange:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return index

        def __eq__(self, other):
            return np.array([True, False])

        __hash__ = None

    one, two = Strange(), Strange()
    assert ps.items(one) == ps.items(one)
    assert ps.items(one) != ps.items(two)


def test_nan_in_arrays():
    """An array is equal to itself, NaN or not."""
    x = np.array([1.0, np.nan])
    assert ps.arrays(x) == ps.arrays(x)
    assert ps.arrays(x) == ps.arrays(x.copy())


def test_numbers_count_from_the_sources():
    """Sources come first, each node once, and what is added behind changes no number."""
    shared = ps.range(4).map(double)
    dataset = ps.zip(shared.shuffle(), shared, ps.range(3))
    labels = [node.label() for node in ordered(dataset.node)]
    assert labels == ["range(4)", "map(double)", "shuffle()", "range(3)", "zip()"]
    longer = ordered(dataset.batch(2).map(len).node)
    assert [n.label() for n in longer][:5] == labels
    assert [longer.index_of(n) for n in longer] == list(range(7))


def test_numbers_of_a_long_chain():
    """Chains of thousands of steps are numbered, compared and hashed without recursion."""

    def long():
        node = ps.range(3).node
        for _ in range(5000):
            node = Seed(node, 1)
        return node

    assert len(ordered(long())) == 5001
    assert long() == long()
    assert hash(long()) == hash(long())


@pytest.mark.parametrize("dataset", DIFFERENT, ids=repr)
def test_nothing_can_be_changed(dataset):
    """No field of a node can be set or deleted, and nothing can be set on a dataset."""
    for name in ("node", "other"):
        with pytest.raises(AttributeError):
            setattr(dataset, name, 1)
    for field in dataclasses.fields(dataset.node):
        with pytest.raises(AttributeError):
            setattr(dataset.node, field.name, 1)
        with pytest.raises(AttributeError):
            delattr(dataset.node, field.name)


def test_the_site_is_the_users_line():
    """A node remembers the innermost line that is not Penstock's own, through every method."""
    base, line = ps.range(3), inspect.currentframe().f_lineno + 1
    made = [ps.items([1]), base.map(double), base[1:], ps.zip(base), base.take(1), base.filter(bool).take(1)]
    assert {dataset.node.site for dataset in made} == {Site(__file__, line)}
    assert str(Site("a.py", 3)) == "a.py:3"


def test_the_site_survives_copies():
    """A node that is replaced or pickled keeps the line at which its user wrote it."""
    node = ps.range(4).batch(2).node
    assert dataclasses.replace(node, part=(0, 2)).site == node.site
    assert pickle.loads(pickle.dumps(node)).site == node.site


def test_an_operation_of_ones_own():
    """A new operation is its fields and its meaning: it reads, compares, prints and refuses by itself."""

    @operation
    class Plus(Node):
        """Each item plus a number."""

        input: Node
        number: int

        def check(self):
            if self.number < 0:
                raise ValueError(self.number)

        def length(self):
            return self.input.length()

        def item(self, index, read):
            return read.item(self.input, index) + self.number

        def label(self):
            return f"plus({self.number})"

    dataset = ps.Sequence(Plus(ps.range(4).node, 10))
    assert list(dataset) == [10, 11, 12, 13]
    assert dataset[-1] == 13
    assert dataset == ps.Sequence(Plus(ps.range(4).node, 10)) != ps.Sequence(Plus(ps.range(4).node, 11))
    assert "plus(10)" in repr(dataset)
    with pytest.raises(ValueError, match="-1"):
        Plus(ps.range(4).node, -1)
    with pytest.raises(NotImplementedError, match="Plus"):
        Plus(ps.range(4).node, 1).spread(1, None, None)
