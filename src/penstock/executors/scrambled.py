"""Scrambled: outcomes in a wrong order, on purpose. For tests: whoever relies on order by chance, fails under it."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

from penstock.graph.execution import Executor, Outcome, Session, Ticket, Work, Worker


@dataclass(frozen=True)
class Scrambled(Executor):
    """Computes in the caller, a random one of the waiting tickets at a time.

    Args:
        seed: of the disorder.
        count: how many workers to claim; it sets how far ahead a loader submits.
    """

    seed: int = 0
    count: int = 4

    def start(self, work: Work) -> Session:
        """Start nothing."""
        return ScrambledSession(work, self)


class ScrambledSession(Session):
    """Tickets wait until somebody collects; then one is drawn."""

    def __init__(self, work: Work, executor: Scrambled) -> None:
        self.work = work
        self.random = random.Random(executor.seed)  # noqa: S311  disorder, not secrets
        self.count = executor.count
        self.tickets: deque[Ticket] = deque()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Pretended ones."""
        return tuple(Worker(number, "scrambled") for number in range(self.count))

    def submit(self, ticket: Ticket) -> None:
        """Keep it."""
        self.tickets.append(ticket)

    def collect(self) -> Outcome:
        """Compute any one."""
        self.tickets.rotate(self.random.randrange(len(self.tickets)))
        return self.work.perform(self.tickets.popleft(), worker=self.random.randrange(self.count))

    def cancel(self) -> None:
        """Forget them."""
        self.tickets.clear()

    def close(self) -> None:
        """Forget them."""
        self.tickets.clear()
