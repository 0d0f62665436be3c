"""Deaths: what it means for a ticket, and for the session, that a worker has ended.

Items that kill are told from items that are killed. A crash or an exit is the item's own doing, and the second one
ends its life. SIGKILL or SIGTERM may come from a person, a batch system or the kernel short of memory, and hits
whatever is under way; so an item is given up at the fourth, and more are forgiven where workers died at others, too.
"""

from __future__ import annotations

import contextlib
import signal

from penstock.errors import WorkerDied, WorkerNotStarted
from penstock.graph.execution import Outcome, Split, Ticket
from penstock.graph.reading import Plan

OWN_FAULT = 2  # deaths after which an item is given up, where the process ended itself or crashed …
KILLED = 4  # … and where somebody sent SIGKILL or SIGTERM, which need not be the item's fault …
HOPELESS = 20  # … so more are forgiven where workers died at other items, too, up to this
PATIENCE = 3  # workers in a row that may end by themselves before they are ready
KILLS = (-signal.SIGKILL, -signal.SIGTERM)


class Deaths:
    """The account of a session's deaths."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self.plan = plan
        self.workers = workers
        self.count = 0
        self.innocent = 0  # deaths at items that were computed in the end
        self.unready = 0  # in a row: those that ended before they could work …
        self.felled = 0  # … and those of them that somebody killed, which says nothing of how they would have started
        self.strikes: dict[int, int] = {}  # by ticket

    def computed(self, number: int) -> None:
        """Note that a ticket has an outcome."""
        self.unready = self.felled = 0
        self.innocent += self.strikes.pop(number, 0)

    def forget(self) -> None:
        """Forget all tickets."""
        self.strikes.clear()

    def add(self, status: int, *, ready: bool, words: str = "") -> WorkerNotStarted | None:
        """Count a death; return an error where there have been too many before any work."""
        self.count += 1
        if ready:
            self.unready = self.felled = 0
            return None
        self.unready += 1
        self.felled += status in KILLS
        if self.unready - self.felled < PATIENCE and self.felled < HOPELESS + 2 * self.workers:
            return None
        return WorkerNotStarted(
            f"{self.unready} workers in a row ended ({words or reason(status)}) before they were ready to work. "
            "What they printed stands above; look at what is imported by the functions of the pipeline."
        )

    def strike(self, ticket: Ticket, item: tuple[int, int] | None, status: int, words: str = "") -> Outcome | None:
        """Count a death at a ticket; return its outcome where that was one too many.

        A ticket of many positions is tried again one by one, which harms nobody; of one position, the item is named.
        ``words`` say how the worker ended, where the status does not.
        """
        deaths = self.strikes[ticket.number] = self.strikes.get(ticket.number, 0) + 1
        if deaths < self.forgiven(ticket, status):
            return None
        del self.strikes[ticket.number]
        error = Split() if ticket.size > 1 else self.error(ticket, item, words or reason(status), deaths)
        return Outcome(ticket.number, [], None, error, 0.0)

    def forgiven(self, ticket: Ticket, status: int) -> int:
        """Return how many deaths end a ticket's life. A person or a batch system that kills workers kills all sorts."""
        if status not in KILLS or ticket.size > 1:
            return OWN_FAULT
        return min(KILLED + self.innocent + len(self.strikes) - 1, HOPELESS)

    def error(self, ticket: Ticket, item: tuple[int, int] | None, words: str, deaths: int) -> WorkerDied:
        """Return the error that names an item which ends its workers."""
        if ticket.elements is not None:
            node, index = ticket.node, ticket.places[0].position
        else:
            node, index = item or (ticket.node, ticket.start)  # without: in a step that works element by element
        step = self.plan.nodes[node]
        error = WorkerDied(
            f"item {index} of {step.label()}, epoch {ticket.epoch}, ended {deaths} worker processes, one after the "
            f"other: {words.rstrip('.')}."
        )
        error.add_note(f"penstock: {step.label()} was written at {step.site}")
        return error


def reason(status: int) -> str:
    """Return in words how a process ended."""
    if status >= 0:
        return f"exit code {status}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"
