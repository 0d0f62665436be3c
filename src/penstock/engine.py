"""Engine: the workers of a loader, and what is checked before they start."""

from __future__ import annotations

import os
from typing import Any

from penstock.errors import ArgumentError, ArgumentTypeError, ClosedError, StateError
from penstock.executors import interrupts
from penstock.executors.desk import Desk
from penstock.executors.window import Afar
from penstock.graph.checking import short, whole
from penstock.graph.context import heap
from penstock.graph.execution import Executor, Limits, Omissions, Session, Tally, Work
from penstock.graph.node import Node
from penstock.graph.progress import Progress
from penstock.graph.reading import Plan, Reading


def check_position(node: Node, epoch: int, position: Any) -> None:
    """Refuse a position of a stream that the stream would not have given. Cursors begin to work when they are read."""
    try:
        cursor = Reading(Plan(node), epoch).start(node, position)
        fits = cursor.position() == position
        cursor.close()
    except StateError:  # says more than that it does not fit
        raise
    except (TypeError, ValueError, IndexError):
        fits = False
    if not fits:
        raise StateError(f"The state's position does not fit this pipeline: {short(position)}.")


def checked_timeout(timeout: object) -> float | None:
    """Return a time-out, or refuse what is none."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
        raise ArgumentError(f"loader(): timeout must be a number of seconds above 0, not {short(timeout)}.")
    return float(timeout)


def checked_shard(shard: object) -> tuple[int, int]:
    """Return (rank, world), or refuse what is no such pair."""
    if not isinstance(shard, (tuple, list)) or len(shard) != 2:
        raise ArgumentTypeError(f"loader(): shard must be (rank, world size) or 'auto', not {short(shard)}.")
    world = whole(shard[1], "loader()", "the world size", least=1)
    rank = whole(shard[0], "loader()", "the rank")
    if rank >= world:
        raise ArgumentError(f"loader(): rank {rank} does not exist in a world of {world}: ranks are 0 to {world - 1}.")
    return rank, world


class Engine:
    """The workers of a loader, apart from it, so that they can be ended when the loader is garbage."""

    def __init__(self, work: Work, executor: Executor, limits: Limits) -> None:
        self.work = work
        self.executor = executor
        self.limits = limits
        self.session: Session | None = None
        self.desk: Desk | None = None
        self.tally = Tally()
        self.omissions: dict[int, Omissions] = {}  # of the epoch that is being read, and of the next
        self.owner = os.getpid()
        self.closed = False
        self.heeded = any(node.heeds for node in self.work.plan.nodes)  # whether a source must know how far the loop is

    def reading(self, epoch: int) -> Reading:
        """Return the reading of an epoch; start the workers if they have not been."""
        if self.closed:
            raise ClosedError("this loader has been closed. Make a new one: dataset.loader(…)")
        omissions = self.omissions.setdefault(epoch, Omissions())
        omissions.again()
        progress = Progress() if self.heeded else None
        if not self.executor.count:
            return Reading(self.work.plan, epoch, hear=omissions.hear, progress=progress)
        desk = self.desk
        if desk is None:
            interrupts.watch()
            session = self.executor.start(self.work)
            desk = Desk(session, self.limits, self.tally)
            self.session, self.desk = session, desk
            if self.closed:  # by another thread, which may have seen no workers yet
                self.session = self.desk = None
                session.close()
                raise ClosedError("this loader has been closed, while its workers were started")
        return Afar(self.work.plan, epoch, desk, self.executor.count, omissions.hear, progress)

    def close(self) -> None:
        """End the workers."""
        self.closed = True
        heap.trim()
        desk, session = self.desk, self.session
        self.desk = self.session = None
        if self.owner != os.getpid():  # a fork of the trainer: locks may be held for ever, and workers are not ours
            if session is not None:
                session.close()
            return
        if desk is not None and session is not None:
            self.tally.replaced = session.replaced
            try:
                desk.cancel()
            finally:
                session.close()
