"""What is sent to consumers: small batches together, and nothing kept for longer than somebody wants it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from penstock.service.lanes import Entry
from penstock.service.ledger import Outflow
from penstock.service.protocol import SAYS, opened
from penstock.service.routes import Group, Guest, Route, neighbours
from penstock.transport.wire import Parcel, divided
from penstock.transport.wire import opened as item_of


class Frame:
    """What ZeroMQ would make of some bytes."""

    def __init__(self, memory):
        self.buffer = memoryview(bytes(memory))


class Sent:
    """An outlet that keeps what leaves."""

    def __init__(self):
        self.messages = []

    def send(self, guest, frames, bulk=()):
        self.messages.append(opened([*frames, *(frame.buffer for frame in bulk)], SAYS))

    def copied(self, memory):
        return Frame(memory)

    def count(self, batches):
        pass


def entries(count, first=10, after=True):
    found = []
    for number in range(first, first + count):
        entry = Entry(0, number, None, after=[number + 1] if after else None, parcel=Parcel(np.full(50, number)))
        entry.nbytes = entry.parcel.nbytes
        found.append(entry)
    return found


def route_of(window, nbytes):
    fields = {"route": 3, "epoch": 0, "shard": None, "share": [0, 1], "window": window, "bytes": nbytes}
    return Route(Guest(b"someone", "", "", 0.0), fields)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize(("window", "starts"), [(100, [0]), (100, [4, 9]), (4, [0, 2]), (1, [7])])
def test_a_part_of_a_group(after, window, starts):
    """From any place on and with any credit, a message holds just the batches that it names."""
    made = entries(10, after=after)
    sizes = [entry.nbytes for entry in made]
    outlet = Sent()
    group = Group(neighbours(made), outlet)
    for start in starts:
        group.send(route_of(window, 1 << 30), start)
        _, fields, (frame,) = outlet.messages.pop()
        stop = min(10, start + window)
        assert fields["numbers"] == [*range(10 + start, 10 + stop)]
        assert fields["sizes"] == sizes[start:stop]
        assert fields["after"] == ([[n + 1] for n in fields["numbers"]] if after else None)
        items = [item_of(record) for record in divided(frame, fields["sizes"])]
        assert [int(item[0]) for item in items] == fields["numbers"]


def test_a_group_goes_with_its_entries():
    """The memory of small batches is free as soon as their entries are forgotten, without waiting for a collection."""
    gc.disable()
    try:
        made = entries(5)
        ref = weakref.ref(Group(neighbours(made), Sent()))
        assert ref() is not None
        made.clear()
        assert ref() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("held", [0, 25])
@pytest.mark.parametrize("limit", [1, 30, 60, 1000])
def test_room(held, limit):
    """As many as fit may go together, as if they were asked for one by one, and the first always."""
    sizes = [10, 10, 20, 5, 5, 5]
    flow, single = Outflow(5, limit), Outflow(5, limit)
    for one in (flow, single):
        if held:
            one.add(held)
    fitting = 0
    for size in sizes:
        if not single.allows(size):
            break
        single.add(size)
        fitting += 1
    assert flow.room(sizes) == max(1, fitting)
    flow.extend(sizes[:fitting])
    assert (flow.sent, flow.held, [*flow.sizes]) == (single.sent, single.held, [*single.sizes])
