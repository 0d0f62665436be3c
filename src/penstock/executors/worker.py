"""A worker process: takes tickets from the socket that all share, computes, answers on a socket of its own.

    tickets  ══shared══>  worker  ══its own══>  outcomes          board: what it is at, for when it dies

Both sockets keep messages whole (SOCK_SEQPACKET): a worker that is killed has taken a ticket or has not, has answered or
has not; half a message does not exist. Workers take tickets themselves, so a slow item delays nobody else, and they go
on while the trainer trains.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.graph.context import Surroundings
from penstock.graph.execution import Outcome, Ticket, Work
from penstock.graph.node import Node, Place
from penstock.graph.reading import Reading
from penstock.transport.failure import pack_error
from penstock.transport.frame import Extent, Packed, pack
from penstock.transport.shipment import unship
from penstock.transport.slab import Arena, Borrowed, address

# number, epoch, node, start, stop, kind, slab offset, bytes; then the payload, if it is not in a slab
TICKET = struct.Struct("<qqqqqqqq")
POSITIONS, ELEMENTS, ELEMENTS_ASIDE = range(3)
CAREFUL = 8  # added to the kind: this ticket has killed a worker; say at every step what you are at

# number, seconds, count of extents, kind; then the extents, then the payload, if it is not in a slab
OUTCOME = struct.Struct("<qdii")
EXTENT = struct.Struct("<qqq")
WHOLE, SPILLED, BROKEN = range(3)

# the board: 8 whole numbers per worker
SLOT = 8
NUMBER, NODE, INDEX, READY, PID, ROOT = range(6)
IDLE = -1

MESSAGE = 1 << 17  # bytes of the largest message; whatever is larger travels in slabs


class CarefulReading(Reading):
    """Writes on the board which item of which operation is being computed. For tickets that have killed a worker."""

    board: memoryview
    slot: int

    def item(self, node: Node, index: int) -> Any:
        """Say it, then compute one item, then say what was being computed before."""
        board, slot = self.board, self.slot
        before = board[slot + NODE], board[slot + INDEX]
        board[slot + NODE], board[slot + INDEX] = self.plan.nodes.index_of(node), index
        if node is self.plan.root:
            board[slot + ROOT] = index
        value = super().item(node, index)
        board[slot + NODE], board[slot + INDEX] = before
        return value

    def gather(self, node: Node, indices: Any) -> Sequence[Any]:
        """Compute many items one by one."""
        return [self.item(node, int(index)) for index in indices]

    def at(self, epoch: int) -> Reading:
        """Stay careful."""
        return type(self)(self.plan, epoch)


def main(request: dict[str, Any], tickets: int, outcomes: int, arena: int, parcels: int, board: int, work: int) -> None:
    """Set the surroundings up, unpack the description, then work until there are no more tickets."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sender = socket.socket(fileno=outcomes)
    try:
        os.environ.update(request["environment"])
        sys.path[:] = request["path"]
        os.chdir(request["cwd"])
        np.random.seed()  # noqa: NPY002  a fork shares the state of the nursery; global draws must differ
        description: Work = unship(work, request["work_size"])
        os.close(work)
        slot = SLOT * request["slot"]
        with mmap.mmap(board, 0) as shared, memoryview(shared).cast("q") as notes:
            space = Arena(arena, request["arena_size"])
            aside = Borrowed(parcels, request["parcels_size"])
            Surroundings.memory = space
            notes[slot + PID] = os.getpid()
            notes[slot + READY] = 1
            serve(description, socket.socket(fileno=tickets), sender, space, aside, notes, slot)
    except BaseException:  # noqa: BLE001  the trainer must hear of whatever keeps a worker from starting
        text = traceback.format_exc().encode()[: MESSAGE // 2]
        sender.send(OUTCOME.pack(0, 0.0, 0, BROKEN) + text)


def serve(
    work: Work, tickets: socket.socket, sender: socket.socket, arena: Arena, aside: Borrowed, notes: Any, slot: int
) -> None:
    """Take, compute, answer, until the trainer closes its end."""
    careful = type("Careful", (CarefulReading,), {"board": notes, "slot": slot})
    buffer = bytearray(MESSAGE)
    view = memoryview(buffer)
    worker = slot // SLOT
    while True:
        size = tickets.recv_into(buffer)
        if not size:
            return
        number, epoch, node, start, stop, kind, offset, length = TICKET.unpack_from(buffer)
        notes[slot + NUMBER] = number
        elements: tuple[Any, ...] | None = None
        places: tuple[Place, ...] = ()
        if kind % CAREFUL != POSITIONS:
            inline = kind % CAREFUL == ELEMENTS
            payload = view[TICKET.size : size] if inline else memoryview(aside.map.lease(offset, length))
            elements, places = pickle.loads(payload)  # noqa: S301  from the process that started us
        ticket = Ticket(number, epoch, node, start, stop, elements, places)
        outcome: Outcome | None = work.perform(ticket, careful if kind >= CAREFUL else Reading, worker)
        packed, seconds = encode(outcome, ticket, arena)  # type: ignore[arg-type]
        outcome = elements = ticket = None  # type: ignore[assignment]
        send(sender, number, seconds, disentangled(packed, arena))
        notes[slot + NUMBER] = IDLE


def encode(outcome: Outcome, ticket: Ticket, arena: Arena) -> tuple[Packed, float]:
    """Encode an outcome; where an item cannot travel, those before it and an error that names it."""
    try:
        return pack(body(outcome), arena), outcome.seconds
    except Exception as error:  # noqa: BLE001
        problem = error
    return pack(body(sendable(outcome, ticket, problem, arena)), arena), outcome.seconds


def body(outcome: Outcome) -> tuple[Any, ...]:
    """Return what travels of an outcome."""
    return outcome.items, outcome.counts, None if outcome.error is None else pack_error(outcome.error)


def sendable(outcome: Outcome, ticket: Ticket, problem: Exception, arena: Arena) -> Outcome:
    """Return what can be sent of an outcome: the items before the first that cannot, and the reason."""
    good: list[Any] = []
    for item in outcome.items:
        try:
            release(pack(item, arena), arena)
        except Exception as error:  # noqa: BLE001
            problem = error
            break
        good.append(item)
    counts = None
    where = ticket.start + len(good)
    if outcome.counts is not None:
        counts, total = [], 0
        for count in outcome.counts:
            if total + count > len(good):
                break
            counts.append(count)
            total += count
        good = good[:total]
        where = ticket.start + len(counts)
    problem.add_note(f"penstock: item {where} cannot be sent from a worker process to the trainer")
    return outcome._replace(items=good, counts=counts, error=problem)


def release(packed: Packed, arena: Arena) -> None:
    """Take back what was meant to be lent."""
    for extent in packed.extents:
        arena.map.flags[extent.slab] = 0


def disentangled(packed: Packed, arena: Arena) -> Packed:
    """Copy what a user's function still holds: what it writes there later must not change a batch that was sent."""
    kept = {extent.slab for extent in packed.extents if extent.slab in arena.live}
    if not kept:
        return packed
    extents = []
    for extent in packed.extents:
        if extent.slab in kept:
            slab, root = arena.lease(extent.nbytes)
            root[: extent.nbytes] = arena.map.lease(extent.offset, extent.nbytes)
            arena.map.flags[slab] = 1
            extents.append(Extent(slab, address(root) - arena.map.start, extent.nbytes))
        else:
            extents.append(extent)
    for slab in kept:
        arena.map.flags[slab] = 0
    return packed._replace(extents=extents)


def send(sender: socket.socket, number: int, seconds: float, packed: Packed) -> None:
    """Send one message."""
    kind = SPILLED if packed.spilled else WHOLE
    extents = b"".join([EXTENT.pack(*extent) for extent in packed.extents])
    sender.send(OUTCOME.pack(number, seconds, len(packed.extents), kind) + extents + packed.payload)
