"""Inline: work in the caller's own thread, when it is asked for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from penstock.graph.execution import Executor, Outcome, Session, Ticket, Work, Worker


@dataclass(frozen=True)
class Inline(Executor):
    """No workers: the loop computes each batch when it asks for it.

    >>> import penstock as ps
    >>> with ps.range(4).batch(2).loader(workers=ps.Inline()) as loader:
    ...     [batch.tolist() for batch in loader]
    [[0, 1], [2, 3]]
    """

    @property
    def count(self) -> int:
        """None."""
        return 0

    def start(self, work: Work) -> Session:
        """Start nothing."""
        return InlineSession(work)


class InlineSession(Session):
    """Tickets wait until somebody collects."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.tickets: deque[Ticket] = deque()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """None."""
        return ()

    def submit(self, ticket: Ticket) -> None:
        """Keep it."""
        self.tickets.append(ticket)

    def collect(self) -> Outcome:
        """Compute one."""
        return self.work.perform(self.tickets.popleft())

    def cancel(self) -> None:
        """Forget them."""
        self.tickets.clear()

    def close(self) -> None:
        """Forget them."""
        self.tickets.clear()
