"""A Ray actor: a worker of ``Ray``, on whatever node Ray has put it.

    the trainer's thread k  ──perform(ticket)──>  actor k  ──a bundle──>  the object store of its node

Tickets come as calls, one after the other. Beside them, in a thread of its own, the actor says what it is at. Nothing
here imports Ray but what must call it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from penstock.executors.messages import INDEX, NODE
from penstock.executors.worker import CarefulReading, encode
from penstock.graph.context import teach_malloc
from penstock.graph.execution import Ticket, Work
from penstock.graph.reading import Meter, Reading
from penstock.transport.bundle import Piece, bundle, unbundle

CONTROL = "control"  # the thread that answers while items are computed


class Birth(NamedTuple):
    """What an actor says of itself when it is ready."""

    pid: int
    host: str
    space: str
    """Which process numbers these are: those of the trainer, where it is the same."""


class Sight(NamedTuple):
    """What an actor is at."""

    number: int
    item: tuple[int, int] | None
    """The number of a step, and a position."""
    stack: str


def space() -> str:
    """Return what is the same for all processes that see one another's numbers, and for no others."""
    words = [socket.gethostname()]
    with contextlib.suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            words.append(file.read().strip())
        words.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(words)


class RayWorker:
    """A worker of ``Ray``."""

    work: Work

    def __init__(self) -> None:
        self.meter = Meter()
        self.number = 0
        self.thread = 0

    def prepare(self, number: int, path: list[str], description: Sequence[Piece]) -> Birth | str:
        """Get ready to work; return what keeps it from that, as text."""
        try:
            sys.path.extend(entry for entry in path if entry not in sys.path)
            teach_malloc()
            self.work, on_start = unbundle(description)
            if on_start is not None:
                on_start(number)
        except BaseException:  # noqa: BLE001  the trainer must hear of whatever keeps a worker from starting
            return traceback.format_exc()
        return Birth(os.getpid(), socket.gethostname(), space())

    def perform(
        self, fields: tuple[Any, ...], elements: bytes | None = None, board: Any = None
    ) -> tuple[float, *tuple[Piece, ...]]:
        """Compute a ticket; return the seconds, and the outcome as a bundle.

        Args:
            fields: a ticket's fields, without its elements.
            elements: these, pickled, and their places.
            board: where to say which item is being computed; None where no worker has died of this ticket.
        """
        ticket = Ticket(*fields)
        if elements is not None:
            found, places = pickle.loads(elements)  # noqa: S301  from the program that started us
            ticket = ticket._replace(elements=found, places=places)
        self.number, self.thread, self.meter.at = ticket.number, threading.get_ident(), None
        reading = Reading if board is None else type("Careful", (CarefulReading,), {"notes": Notes(board, ticket)})
        outcome = self.work.perform(ticket, reading, meter=self.meter)
        pieces, seconds = encode(outcome, ticket, bundle, bundle)
        self.number, self.meter.at = 0, None
        return seconds, *pieces

    def sight(self) -> Sight:
        """Return what is being computed. Called in the other thread."""
        number, item = self.number, self.meter.item()
        frame = sys._current_frames().get(self.thread)  # noqa: SLF001  the documented way
        stack = "" if frame is None else "".join(traceback.format_stack(frame))
        where = None if item is None else (self.work.plan.nodes.index_of(item[0]), item[1])
        return Sight(number, where, stack)


class Notes(dict[int, int]):
    """What a careful reading writes on: hands it on to the board, and waits until it stands there."""

    def __init__(self, board: Any, ticket: Ticket) -> None:
        super().__init__({NODE: ticket.node, INDEX: ticket.start})
        self.board = board
        self.number = ticket.number

    def __setitem__(self, key: int, value: int) -> None:
        super().__setitem__(key, value)
        if key == INDEX:
            import ray

            with contextlib.suppress(ray.exceptions.RayError):  # the board's node is gone: then nobody knows the item
                ray.get(self.board.write.remote(self.number, (self[NODE], value)))


class Board:
    """An actor that knows what those were at who died."""

    def __init__(self) -> None:
        self.items: dict[int, tuple[int, int]] = {}

    def write(self, number: int, item: tuple[int, int]) -> None:
        """Note which item of a ticket is being computed."""
        self.items[number] = item

    def read(self, number: int) -> tuple[int, int] | None:
        """Return what was noted last."""
        return self.items.get(number)
