"""What a trainer and its worker processes say to one another, both directions in one place.

    ticket    head │ elements, where there are any and they are small        larger ones lie in a slab of the trainer's
    outcome   head │ extents │ payload, where it is small                     a larger one lies in the last extent
    board     eight whole numbers per worker, in shared memory: what it is at, for when it dies or stalls
    signals   through the nursery: say what you are at, write down your stack

Messages are whole or not at all (SOCK_SEQPACKET), and none is larger than ``MESSAGE`` bytes.
"""

from __future__ import annotations

import pickle
import signal
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np

from penstock.graph.execution import Ticket
from penstock.graph.node import Place
from penstock.graph.policy import Skipped
from penstock.transport.failure import unpack_error
from penstock.transport.frame import Extent, Packed
from penstock.transport.reducing import by_value
from penstock.transport.slab import Arena, Borrowed, Root, address

# number, epoch, node, start, stop, kind, slab offset, bytes, check sum
TICKET = struct.Struct("<qqqqqqqqq")
POSITIONS, ELEMENTS, ELEMENTS_ASIDE = range(3)
KINDS, CAREFUL = 3, 8  # a mask, and a flag: this ticket has killed a worker; say at every step what you are at
INLINE = 1 << 12  # bytes of elements that travel inside a ticket

# number, seconds, count of extents, kind
OUTCOME = struct.Struct("<qdii")
EXTENT = struct.Struct("<qqq")
WHOLE, SPILLED, BROKEN = range(3)

# the board
SLOT = 8
NUMBER, NODE, INDEX, READY, PID, STARTED = range(6)
IDLE = -1

ASK, STACK = signal.SIGUSR2, signal.SIGUSR1

MESSAGE = 1 << 17
SKIPPED_ERROR = Skipped._fields.index("error")


class Sent(NamedTuple):
    """A ticket that has no outcome yet."""

    ticket: Ticket
    message: bytes
    parcel: Root | None
    """The slab that its elements lie in."""


def address_ticket(ticket: Ticket, parcels: Arena) -> Sent:
    """Return a ticket as a message. Elements are pickled by value where a worker could not find their class."""
    kind, offset, payload, parcel, check = POSITIONS, 0, b"", None, 0
    if ticket.elements is not None:
        payload = pickled_elements(ticket)
        kind = ELEMENTS
        if len(payload) > INLINE:
            kind = ELEMENTS_ASIDE
            _, parcel = parcels.lease(len(payload))
            parcel[: len(payload)] = np.frombuffer(payload, np.uint8)
            offset = address(parcel) - parcels.map.start
            check = zlib.crc32(payload)
    head = (ticket.number, ticket.epoch, ticket.node, ticket.start, ticket.stop, kind, offset, len(payload), check)
    return Sent(ticket, TICKET.pack(*head) + (payload if parcel is None else b""), parcel)


def careful(message: bytes) -> bytes:
    """Return a ticket's message, marked as one that has killed a worker."""
    head = list(TICKET.unpack_from(message))
    head[5] |= CAREFUL
    return TICKET.pack(*head) + message[TICKET.size :]


def open_ticket(message: memoryview, parcels: Borrowed) -> tuple[Ticket | None, bool]:
    """Decode a ticket; tell also whether it is to be handled with care.

    None is a ticket that was cancelled, or done by somebody else, since it was taken: its slab holds something new.
    """
    number, epoch, node, start, stop, kind, offset, length, check = TICKET.unpack_from(message)
    if kind & KINDS == POSITIONS:
        return Ticket(number, epoch, node, start, stop), bool(kind & CAREFUL)
    payload: memoryview | bytes = message[TICKET.size :]
    if kind & KINDS == ELEMENTS_ASIDE:
        payload = parcels.map.lease(offset, length).tobytes()
        if zlib.crc32(payload) != check:
            return None, False
    elements, places = pickle.loads(payload)  # noqa: S301  from the process that started us
    return Ticket(number, epoch, node, start, stop, elements, tuple(map(Place._make, places))), bool(kind & CAREFUL)


def pickled_elements(ticket: Ticket) -> bytes:
    """Return a ticket's elements as bytes, by value where a worker could not find their class."""
    try:
        return by_value((ticket.elements, list(map(tuple, ticket.places))))  # a Place costs 2 µs
    except Exception as error:
        place = ticket.places[0].position
        error.add_note(f"penstock: item {place} of the stream cannot be sent to a worker process")
        raise


def open_body(body: tuple[Any, ...]) -> tuple[Any, Any, BaseException | None, list[Skipped]]:
    """Return the items, counts, error and omissions of an outcome that has come."""
    items, counts, failure, left_out = body
    skips = [Skipped(*s)._replace(error=unpack_error(s[SKIPPED_ERROR])) for s in left_out]
    return items, counts, None if failure is None else unpack_error(failure), skips


def unreadable(error: Exception, ticket: Ticket) -> Exception:
    """Return an error of rebuilding items, with what they are."""
    error.add_note("penstock: what a worker process sent cannot be rebuilt in the trainer")
    index = ticket.start if ticket.elements is None else ticket.places[0].position
    error.add_note(f"penstock: item {index}, epoch {ticket.epoch}")
    return error


class Answer(NamedTuple):
    """An outcome's message."""

    number: int
    seconds: float
    kind: int
    extents: list[Extent]
    payload: memoryview


def answer_message(number: int, seconds: float, packed: Packed) -> bytes:
    """Return an outcome as a message."""
    kind = SPILLED if packed.spilled else WHOLE
    extents = b"".join([EXTENT.pack(*extent) for extent in packed.extents])
    return OUTCOME.pack(number, seconds, len(packed.extents), kind) + extents + packed.payload


def last_words(text: str) -> bytes:
    """Return the message of a worker that cannot go on."""
    return OUTCOME.pack(0, 0.0, 0, BROKEN) + text.encode()[-MESSAGE // 2 :]


def open_answer(message: memoryview) -> Answer:
    """Decode an outcome's message."""
    number, seconds, count, kind = OUTCOME.unpack_from(message)
    top = OUTCOME.size + count * EXTENT.size
    extents = [Extent(*extent) for extent in EXTENT.iter_unpack(message[OUTCOME.size : top])]
    return Answer(number, seconds, kind, extents, message[top:])
