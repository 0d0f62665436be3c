"""Replaying: a step that holds items back resumes from where the oldest of them comes from."""

from __future__ import annotations

import pytest

import penstock as ps
from penstock.errors import StateError
from penstock.graph.node import Node, operation
from penstock.graph.replay import Replaying
from penstock.stream import Stream
from penstock.testing import check_dataset


@operation
class Delay(Node):
    """The input's items in pairs, the second before the first: the least that holds something back."""

    input: Node

    @property
    def positional(self):
        return False

    def start(self, read, position):
        return Delaying(self, read, position)

    def label(self):
        return "delay()"


class Delaying(Replaying):
    """Holds the first of each pair; its number is how many of the pair are gone."""

    def __init__(self, node, read, position):
        super().__init__(node, read, position)
        self.held = []
        self.before = None

    def replay(self, facts):
        if facts and facts[0]:
            self.fill()
            self.held.pop()

    def fill(self):
        self.before = self.below.position()
        self.held = [next(self.below)]
        self.held.extend(x for _, x in zip(range(1), self.below, strict=False))

    def produce(self):
        if not self.held:
            self.fill()
        return self.held.pop()

    def facts(self):
        return [self.before, 1] if self.held else [self.below.position(), 0]


@pytest.mark.parametrize(
    "base", [ps.range(0), ps.range(1), ps.range(11).shuffle(), ps.stream(range(8)), ps.range(3).repeat()], ids=repr
)
def test_contract(base):
    """A step written with it keeps every promise, in the middle of what it holds, too."""
    check_dataset(Stream(Delay(base.node)), limit=12, executors=(ps.Threads(2),))


def test_nothing_is_read_before_it_is_asked_for():
    """A cursor that is made from a position gives that position back, and reads nothing until the first item."""
    read = []

    def look(x):
        read.append(x)
        return x

    dataset = Stream(Delay(ps.range(9).map(look).node))
    with dataset.loader() as loader:
        for _ in zip(range(3), loader, strict=False):
            state = loader.state_dict()
    read.clear()
    again = dataset.resume(state)
    assert again.position() == state["position"]
    assert read == []
    assert next(again) == 2
    assert read == [2, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda d: Stream(Delay(d.node)),
        lambda d: d.group(lambda x: x % 3, 5),
        lambda d: d.batch(4).rebatch(3),
        lambda d: d.map(lambda x: [x] * 3).pack(7),
        lambda d: d.map(lambda x: [x] * 3).pack(7, how="concat_split"),
    ],
)
def test_an_input_that_became_shorter_is_an_error(make):
    """Where the input has no more what was held, a resume says so; it never ends early without a word."""
    entries = list(range(20))
    dataset = make(ps.stream(entries))
    with dataset.loader() as loader:
        for _ in zip(range(3), loader, strict=False):
            state = loader.state_dict()
    del entries[1:]
    with dataset.loader() as loader, pytest.raises(StateError, match="shorter"):
        loader.load_state_dict(state)
        list(loader)
