"""Threads: work in threads of this process. For functions that leave the GIL alone: decoding, reading, NumPy.

    session ──> [ tickets ] ──> thread 0 … n-1 ──> [ outcomes ] ──> session

Nothing is encoded or copied; batches lie in a pool of recycled memory. A thread cannot be ended from outside: closing
leaves one that is stuck in a user's function to finish its item, as a daemon that does not keep the interpreter alive.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from queue import SimpleQueue

from penstock.errors import ClosedError
from penstock.graph.checking import whole
from penstock.graph.execution import NOBODYS, Executor, Outcome, Session, Ticket, Work, Worker


@dataclass(frozen=True)
class Threads(Executor):
    """Work in ``count`` threads; as many as there are cores where it is left out.

    Args:
        count: how many, at least 1.

    >>> import penstock as ps
    >>> with ps.range(4).batch(2).loader(workers=ps.Threads(2)) as loader:
    ...     [batch.tolist() for batch in loader]
    [[0, 1], [2, 3]]
    """

    count: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        default = self.count == 0 and type(self.count) is int
        count = (os.cpu_count() or 1) if default else whole(self.count, "Threads()", "count", least=1)
        object.__setattr__(self, "count", count)

    def start(self, work: Work) -> Session:
        """Start the threads."""
        return ThreadSession(work, self.count)


class Crew:
    """What the threads share. They hold no reference to the session, so that it can be collected as garbage."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.tickets: SimpleQueue[tuple[int, Ticket] | None] = SimpleQueue()
        self.outcomes: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()
        self.round = 0  # raised by cancel and close: tickets and outcomes of earlier rounds are dropped

    def run(self, number: int) -> None:
        """Work until the last ticket. The body of a thread."""
        while (entry := self.tickets.get()) is not None:
            of, ticket = entry
            if of == self.round:
                self.outcomes.put((of, self.work.perform(ticket, worker=number)))
            del entry, ticket  # or this thread would keep a batch alive while it waits


class ThreadSession(Session):
    """Threads that are alive."""

    def __init__(self, work: Work, count: int) -> None:
        self.crew = Crew(work)
        self.closed = False
        self.threads = [
            threading.Thread(target=self.crew.run, args=(number,), name=f"penstock-worker-{number}", daemon=True)
            for number in range(count)
        ]
        for thread in self.threads:
            thread.start()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The threads."""
        return tuple(Worker(number, "thread") for number in range(len(self.threads)))

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        if self.closed:
            raise ClosedError("the workers have been closed")
        self.crew.tickets.put((self.crew.round, ticket))

    def collect(self) -> Outcome:
        """Wait for any outcome of this round."""
        while (entry := self.crew.outcomes.get()) is not None:
            if entry[0] == self.crew.round:
                return entry[1]
        raise ClosedError("the workers have been closed")

    def cancel(self) -> None:
        """Start a new round."""
        self.crew.round += 1
        self.crew.outcomes.put((self.crew.round, NOBODYS))

    def close(self) -> None:
        """End the threads; wait for each as long as a short item takes, not for a stuck one."""
        if self.closed:
            return
        self.closed = True
        self.crew.round += 1
        for _ in self.threads:
            self.crew.tickets.put(None)
        self.crew.outcomes.put(None)
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(timeout=0.5 / len(self.threads))
