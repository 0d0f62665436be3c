"""Messages: what one end writes, the other reads, and nothing is larger than a message may be."""

import os
import threading

import numpy as np
import pytest

from penstock.executors import messages as m
from penstock.graph.execution import Ticket
from penstock.graph.node import Place
from penstock.transport.frame import EXTENTS, Extent, Packed
from penstock.transport.slab import SMALL, Arena, Borrowed, create

SIZE = 1 << 24


@pytest.fixture
def fd():
    """A file in memory that large elements travel in."""
    fd = create("penstock-test", SIZE)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    "ticket",
    [
        Ticket(3, 4, 5, 60, 70),
        Ticket(1 << 60, 1 << 31, 0, 1 << 60, (1 << 60) + 1),
        Ticket(1, 0, 2, 0, 0, (), ()),
        Ticket(1, 0, 2, 0, 0, ("a", None, {"b": 1.5}), (Place(7), Place(8), Place(9, 3))),
        Ticket(1, 0, 2, 0, 0, ("x" * m.INLINE * 3,), (Place(7),)),
    ],
    ids=["positions", "large", "none", "small", "aside"],
)
@pytest.mark.parametrize("mark", [False, True])
def test_tickets(ticket, mark, fd):
    """A ticket arrives as it was, however its elements travel, and so does the mark of one that has killed."""
    ours, theirs = Arena(fd, SIZE), Borrowed(fd, SIZE)
    sent = m.address_ticket(ticket, ours)
    assert sent.ticket is ticket
    assert len(sent.message) <= m.MESSAGE
    message = m.careful(sent.message) if mark else sent.message
    assert m.open_ticket(memoryview(message), theirs) == (ticket, mark)
    assert (sent.parcel is not None) == (ticket.elements is not None and "x" * m.INLINE in str(ticket.elements))


def test_an_element_that_cannot_travel_is_named(fd):
    """Where an element cannot be pickled, the error says which of the stream it is."""
    with pytest.raises(TypeError, match="lock") as caught:
        m.address_ticket(Ticket(1, 0, 2, 0, 0, (threading.Lock(),), (Place(7),)), Arena(fd, SIZE))
    assert "item 7 of the stream" in caught.value.__notes__[0]


@pytest.mark.parametrize("spilled", [False, True])
def test_answers(spilled):
    """An outcome's message arrives as it was sent."""
    packed = Packed(b"" if spilled else b"payload", [Extent(1, 4096, 70000), Extent(2, 81920, 3)], spilled)
    answer = m.open_answer(memoryview(m.answer_message(12, 0.25, packed)))
    assert answer[:4] == (12, 0.25, m.SPILLED if spilled else m.WHOLE, packed.extents)
    assert bytes(answer.payload) == packed.payload


def test_last_words():
    """What a worker says that cannot go on is cut at its beginning: its end says why."""
    answer = m.open_answer(memoryview(m.last_words("é" * m.MESSAGE + "the reason")))
    assert answer.kind == m.BROKEN
    assert bytes(answer.payload).decode(errors="replace").endswith("the reason")


def test_messages_fit():
    """The largest outcome and the largest ticket are within what a message may be, and kinds leave room for their mark."""
    assert m.OUTCOME.size + (EXTENTS + 1) * m.EXTENT.size + SMALL <= m.MESSAGE
    assert m.TICKET.size + m.INLINE <= m.MESSAGE
    assert max(m.POSITIONS, m.ELEMENTS, m.ELEMENTS_ASIDE) <= m.KINDS < m.CAREFUL
    assert np.dtype(np.int64).itemsize * m.SLOT == 64
