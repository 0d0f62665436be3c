"""A worker process: takes tickets from the socket that all share, computes, answers on a socket of its own.

    tickets  ══shared══>  worker  ══its own══>  outcomes          board: what it is at, for when it dies

Both sockets keep messages whole (SOCK_SEQPACKET): a worker that is killed has taken a ticket or has not, has answered
or has not; half a message does not exist. Workers take tickets themselves, so a slow item delays nobody else, and they
go on while the trainer trains.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from penstock.executors.messages import (
    ASK,
    IDLE,
    INDEX,
    MESSAGE,
    NODE,
    NUMBER,
    PID,
    READY,
    SLOT,
    STACK,
    STARTED,
    answer_message,
    last_words,
    open_ticket,
)
from penstock.graph.context import Surroundings
from penstock.graph.execution import Outcome, Ticket, Work
from penstock.graph.node import Node
from penstock.graph.reading import Meter, Reading
from penstock.transport.failure import pack_error
from penstock.transport.frame import Extent, Packed, pack
from penstock.transport.shipment import unship
from penstock.transport.slab import Arena, Borrowed, address

T = TypeVar("T")
NEVER = 1 << 62  # a start that is not yet


class CarefulReading(Reading):
    """Writes on the board which item of which operation is being computed. For tickets that have killed a worker."""

    stepwise = True
    notes: memoryview

    def item(self, node: Node, index: int) -> Any:
        """Say it, then compute one item, then say what was being computed before."""
        notes = self.notes
        before = notes[NODE], notes[INDEX]
        notes[NODE], notes[INDEX] = self.plan.nodes.index_of(node), index
        value = super().item(node, index)
        notes[NODE], notes[INDEX] = before
        return value

    def gather(self, node: Node, indices: Any) -> Sequence[Any]:
        """Compute many items one by one."""
        return [self.item(node, int(index)) for index in indices]

    def at(self, epoch: int) -> Reading:
        """Stay careful."""
        return type(self)(self.plan, epoch)


class Wires(NamedTuple):
    """The descriptors that a worker is born with, in the order in which they are sent."""

    tickets: int
    outcomes: int
    arena: int
    parcels: int
    board: int
    work: int
    stack: int


def main(request: dict[str, Any], fds: list[int]) -> None:
    """Set the surroundings up, unpack the description, then work until there are no more tickets."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    wires = Wires(*fds)
    sender = socket.socket(fileno=wires.outcomes)
    try:
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:] = request["path"]
        if request["cwd"]:
            os.chdir(request["cwd"])
        if "numpy.random" in sys.modules:
            np.random.seed()  # noqa: NPY002  a fork shares the state of the nursery; global draws must differ
        description: Work
        description, on_start = unship(wires.work, request["work_size"])
        os.close(wires.work)
        arena = Arena(wires.arena, request["arena_size"])
        parcels = Borrowed(wires.parcels, request["parcels_size"])
        Surroundings.memory = arena
        first = SLOT * request["slot"]
        shared = memoryview(mmap.mmap(wires.board, 0)).cast("q")
        with shared[first : first + SLOT] as notes:
            notes[PID] = os.getpid()
            if on_start is not None:
                on_start(request["slot"])
            notes[READY] = 1
            tickets = socket.socket(fileno=wires.tickets)
            faulthandler.register(STACK, wires.stack, all_threads=True)
            Desk(description, request["slot"], tickets, sender, arena, parcels, notes).serve()
    except BaseException:  # noqa: BLE001  the trainer must hear of whatever keeps a worker from starting
        with contextlib.suppress(OSError):  # unless it has gone
            sender.send(last_words(traceback.format_exc()))


@dataclass
class Desk:
    """A worker's place of work."""

    work: Work
    number: int
    tickets: socket.socket
    outcomes: socket.socket
    arena: Arena
    parcels: Borrowed
    notes: memoryview
    meter: Meter = field(default_factory=Meter)

    def answer(self, *_: object) -> None:
        """Write on the board which item is being computed. Runs when the trainer asks, by a signal."""
        item = self.meter.item()
        if item is not None:
            self.notes[NODE], self.notes[INDEX] = self.work.plan.nodes.index_of(item[0]), item[1]

    def pack(self, value: Any) -> Packed:
        """Encode a value into slabs."""
        return pack(value, self.arena)

    def try_out(self, item: Any) -> None:
        """Encode an item for nobody; raise where that is not possible."""
        release(pack(item, self.arena), self.arena)

    def serve(self) -> None:
        """Take, compute, answer, until the trainer closes its end."""
        careful = type("Careful", (CarefulReading,), {"notes": self.notes})
        notes, buffer = self.notes, bytearray(MESSAGE)
        signal.signal(ASK, self.answer)
        while size := self.tickets.recv_into(buffer):
            ticket, with_care = open_ticket(memoryview(buffer)[:size], self.parcels)
            if ticket is None:
                continue
            self.meter.at = None
            notes[NODE] = notes[INDEX] = IDLE
            notes[STARTED] = time.monotonic_ns()
            notes[NUMBER] = ticket.number
            reading = careful if with_care else Reading
            outcome: Outcome | None = self.work.perform(ticket, reading, self.number, self.meter)
            packed, seconds = encode(outcome, ticket, self.pack, self.try_out)  # type: ignore[arg-type]
            number = ticket.number
            outcome = ticket = self.meter.at = None  # let go of the items
            packed = disentangled(packed, self.arena)
            notes[STARTED] = NEVER  # from here on only the trainer can be slow: it may be training
            self.outcomes.send(answer_message(number, seconds, packed))
            notes[NUMBER] = IDLE


def encode(
    outcome: Outcome, ticket: Ticket, pack: Callable[[Any], T], try_out: Callable[[Any], object]
) -> tuple[T, float]:
    """Encode an outcome; where an item cannot travel, those before it and an error that names it.

    Args:
        outcome: what a ticket became.
        ticket: the ticket.
        pack: encodes a value, or raises.
        try_out: raises where an item cannot be encoded, and leaves nothing.
    """
    try:
        return pack(body(outcome)), outcome.seconds
    except Exception as error:  # noqa: BLE001
        problem = error
    try:
        return pack(body(sendable(outcome, ticket, problem, try_out))), outcome.seconds
    except Exception as error:  # noqa: BLE001  no memory for the items before it either, say
        problem = error
    return pack(body(outcome._replace(items=[], counts=None, error=problem, skips=[]))), outcome.seconds


def body(outcome: Outcome) -> tuple[Any, ...]:
    """Return what travels of an outcome."""
    error = None if outcome.error is None else pack_error(outcome.error)
    skips = [tuple(s._replace(error=pack_error(s.error))) for s in outcome.skips]  # type: ignore[arg-type]
    return outcome.items, outcome.counts, error, skips


def sendable(outcome: Outcome, ticket: Ticket, problem: Exception, try_out: Callable[[Any], object]) -> Outcome:
    """Return what can be sent of an outcome: the items before the first that cannot, and the reason."""
    good: list[Any] = []
    for item in outcome.items:
        try:
            try_out(item)
        except Exception as error:  # noqa: BLE001
            problem = error
            break
        good.append(item)
    counts = None
    offset = len(good)
    if outcome.counts is not None:
        counts, total = [], 0
        for count in outcome.counts:
            if total + count > len(good):
                break
            counts.append(count)
            total += count
        good = good[:total]
        offset = len(counts)
    where = ticket.start + offset if ticket.elements is None else ticket.places[offset].position
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
