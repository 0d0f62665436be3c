"""check_dataset finds what it is there to find: operations that break one promise each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import penstock as ps
from penstock.graph.items import Rows
from penstock.graph.node import Cursor, Node, Place, operation
from penstock.testing import check_dataset

BASE = ps.range(12)
DRAWS = itertools.count()


@operation
class Right(Node):
    """The same items: the operation that the broken ones are made from."""

    input: Node

    def length(self):
        return self.input.length()

    def item(self, index, read):
        return read.item(self.input, index)

    def label(self):
        return "right()"


@operation
class OtherGather(Right):
    """Gathers in the wrong order."""

    def gather(self, indices, read):
        return [read.item(self.input, i) for i in sorted(np.asarray(indices).tolist())]


@operation
class ShortGather(Right):
    """Gathers too few."""

    def gather(self, indices, read):
        return list(read.gather(self.input, indices))[:5]


@operation
class OtherType(Right):
    """Gathers items of another type than it computes singly."""

    def gather(self, indices, read):
        return Rows(np.asarray(indices), len(indices))


@operation
class Random(Right):
    """Draws from nowhere."""

    def item(self, index, read):
        return next(DRAWS)


@operation
class TooLong(Right):
    """Says a wrong length."""

    def length(self):
        return 13

    def item(self, index, read):
        return index

    def start(self, read, position):
        return read.start(self.input, position)


class Mutable(Right):
    """Can be changed."""

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


@operation
class Unequal(Right):
    """Does not equal itself."""

    def __eq__(self, other):
        return False

    __hash__ = Node.__hash__


class Counting(Cursor):
    """Reads what is below and says where it is."""

    def __init__(self, node, read, position):
        self.count, below = position or (0, None)
        self.below = read.start(node.input, below)

    def __next__(self):
        value = next(self.below)
        self.count += 1
        return value

    @property
    def place(self):
        """Where the item stands."""
        return Place(self.count - 1)

    def position(self):
        return [self.count, self.below.position()]

    def close(self):
        self.below.close()


@operation
class Sequential(Right):
    """Reads from the front."""

    cursor = Counting

    @property
    def positional(self):
        return False

    def length(self):
        return None

    def start(self, read, position):
        return self.cursor(self, read, position)


class Forgets(Counting):
    """Always begins at the front again."""

    def __init__(self, node, read, position):
        super().__init__(node, read, None)


class Skips(Counting):
    """Loses an item when it resumes."""

    def __init__(self, node, read, position):
        super().__init__(node, read, position)
        if position:
            next(self.below, None)


class Hoards(Counting):
    """Keeps content in its state."""

    def position(self):
        return [self.count, self.below.position()] if self.count < 3 else [self.count, list(range(1000))]


@operation
class Forgetful(Sequential):
    """Cannot resume."""

    cursor = Forgets


@operation
class Skipping(Sequential):
    """Loses items."""

    cursor = Skips


@operation
class Hoarding(Sequential):
    """Has a large state."""

    cursor = Hoards


@pytest.mark.parametrize("kind", [Right, Sequential])
def test_what_is_right_passes(kind):
    """Operations that keep the promises pass, also behind and before others."""
    check_dataset((ps.Sequence if kind is Right else ps.Stream)(kind(BASE.node)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (OtherGather, "gather"),
        (ShortGather, "gather"),
        (OtherType, "differs"),
        (Random, "twice"),
        (TooLong, "len is 13"),
        (Mutable, "can be changed"),
        (Unequal, "differs from itself"),
    ],
)
def test_broken_sequences_are_found(kind, words):
    """Each broken promise of a sequence is told in words."""
    with pytest.raises(AssertionError, match=words):
        check_dataset(ps.Sequence(kind(BASE.node)))


@pytest.mark.parametrize(
    ("kind", "words"), [(Forgetful, "restored after"), (Skipping, "restored after"), (Hoarding, "state has")]
)
def test_broken_streams_are_found(kind, words):
    """Each broken promise of a stream is told in words."""
    with pytest.raises(AssertionError, match=words):
        check_dataset(ps.Stream(kind(BASE.node)))


def test_functions_that_break_the_promise_are_found():
    """A user's function with a memory of its own is found out."""
    count = itertools.count()
    with pytest.raises(AssertionError, match="twice"):
        check_dataset(ps.range(5).map(lambda x: next(count)))


def test_other_executors_are_asked_too():
    """Executors that are handed over are held to the same items."""
    check_dataset(ps.range(9).shuffle().batch(2), executors=(ps.Threads(2),))


def test_endless_and_huge_datasets_are_looked_at_from_the_front():
    """What has no end, or is too long to list, is checked at its beginning."""
    check_dataset(ps.range(3).repeat(), limit=10)
    check_dataset(ps.range(10**15), limit=10)
    check_dataset(ps.stream(itertools.count), limit=10)
