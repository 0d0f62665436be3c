"""A worker's parts, tried in this process: what it says while it works, and what it does with what cannot be sent."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import penstock as ps
from penstock.executors import messages as m
from penstock.executors import worker as w
from penstock.graph.execution import Outcome, Ticket, Work
from penstock.graph.node import Place
from penstock.testing import same
from penstock.transport.frame import pack, unpack
from penstock.transport.slab import Arena, Borrowed, address, create

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 24


@pytest.fixture
def fd() -> Iterator[int]:
    """A file in memory for an arena."""
    fd = create("penstock-test", SIZE)
    yield fd
    os.close(fd)


def test_items_before_the_one_that_cannot_be_sent(fd):
    """Of an outcome with an item that cannot be sent, those before it are kept, and the error names it."""
    arena = Arena(fd, SIZE)
    outcome = Outcome(1, [np.ones(50_000), 2, threading.Lock(), 4], None, None, 0.1)
    found = w.sendable(
        outcome, Ticket(1, 0, 0, 40, 44), TypeError("cannot pickle"), lambda item: w.release(pack(item, arena), arena)
    )
    assert same(list(found.items), [np.ones(50_000), 2])
    assert "item 42" in "\n".join(found.error.__notes__)
    assert not arena.map.flags.any()


def test_elements_before_the_one_that_cannot_be_sent(fd):
    """The same where elements were spread into several items: whole elements are kept, and the place is the element's."""
    arena = Arena(fd, SIZE)
    places = tuple(Place(k) for k in (100, 103, 104))
    outcome = Outcome(1, [1, 2, 3, threading.Lock(), 5], [2, 2, 1], None, 0.1)
    found = w.sendable(
        outcome,
        Ticket(1, 0, 0, 0, 0, (0, 0, 0), places),
        TypeError("cannot pickle"),
        lambda item: w.release(pack(item, arena), arena),
    )
    assert list(found.items) == [1, 2]
    assert found.counts == [2]
    assert "item 103" in "\n".join(found.error.__notes__)


def test_what_a_function_holds_is_copied(fd):
    """An array that a function still holds is copied before it is sent; one that it has dropped is not."""
    arena, trainer = Arena(fd, SIZE), Borrowed(fd, SIZE)
    held, dropped = arena.empty((50_000,), np.dtype("f8")), arena.empty((50_000,), np.dtype("f8"))
    held[:], dropped[:] = 1, 2
    where = address(dropped) - arena.map.start
    packed = pack((held, dropped), arena)
    del dropped
    packed = w.disentangled(packed, arena)
    first, second = unpack(packed.payload, packed.extents, trainer, spilled=packed.spilled)
    held[:] = 9
    assert (first == 1).all()
    assert (second == 2).all()
    assert address(second) - trainer.map.start == where
    del first, second, held
    assert not arena.map.flags.any()
    assert arena.live == {}


def test_careful_reading_says_what_it_is_at():
    """A careful reading writes on the board which item of which operation is being computed, innermost last."""
    board = memoryview(bytearray(8 * m.SLOT)).cast("q")
    seen = []

    def look(x: int) -> int:
        seen.append((board[m.NODE], board[m.INDEX]))
        return x

    dataset = ps.range(12).map(look).batch(4)
    work = Work(dataset.node)
    careful = type("Careful", (w.CarefulReading,), {"board": board, "slot": 0, "notes": board})
    outcome = work.perform(Ticket(1, 0, 2, 1, 2), careful)
    assert outcome.error is None
    assert outcome.items[0].tolist() == [4, 5, 6, 7]
    assert seen == [(1, 4), (1, 5), (1, 6), (1, 7)]


def test_careful_reading_gives_the_same():
    """A careful reading computes the very same items, random ones and shuffled ones included."""
    board = memoryview(bytearray(8 * m.SLOT)).cast("q")
    dataset = ps.range(30).shuffle().map(lambda x, rng: (x, rng.random()), rng=True).batch(4).map(lambda b: b)
    work = Work(dataset.node)
    careful = type("Careful", (w.CarefulReading,), {"board": board, "slot": 0, "notes": board})
    ticket = Ticket(1, 3, len(work.plan.nodes) - 1, 0, len(dataset))
    assert same(list(work.perform(ticket, careful).items), list(dataset.epoch(3)))
