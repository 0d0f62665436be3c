"""Threads: work in threads of this process. For functions that leave the GIL alone: decoding, reading, NumPy.

    session ──> [ tickets ] ──> thread 0 … n-1 ──> [ outcomes ] ──> session

Nothing is encoded or copied; batches lie in a pool of recycled memory. A thread cannot be ended from outside: closing
leaves one that is stuck in a user's function to finish its item, as a daemon that does not keep the interpreter alive.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import NamedTuple

from penstock.errors import ClosedError, WorkerNotStarted
from penstock.executors.patience import Patience
from penstock.graph.checking import function, whole
from penstock.graph.context import teach_malloc
from penstock.graph.cursors import weight
from penstock.graph.execution import NOBODYS, Executor, Outcome, Session, Split, Ticket, Work, Worker
from penstock.graph.reading import Meter

PATIENCE = 1.0  # seconds that the interpreter's exit waits for threads, all together


@dataclass(frozen=True)
class Threads(Executor):
    """Work in ``count`` threads; as many as there are cores where it is left out.

    Args:
        count: how many, at least 1.
        on_start: called once in each thread before its first item, with the thread's number, from 0 on. What it raises
            keeps the workers from starting.

    >>> import penstock as ps
    >>> with ps.range(4).batch(2).loader(workers=ps.Threads(2)) as loader:
    ...     [batch.tolist() for batch in loader]
    [[0, 1], [2, 3]]
    """

    count: int = None  # type: ignore[assignment]  # replaced at once
    on_start: Callable[[int], object] | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        default = self.count is None
        count = (os.cpu_count() or 1) if default else whole(self.count, "Threads()", "count", least=1)
        object.__setattr__(self, "count", count)
        if self.on_start is not None:
            function(self.on_start, "Threads()", "on_start", "Threads(4, on_start=lambda number: connect())")

    def start(self, work: Work) -> Session:
        """Start the threads."""
        return ThreadSession(work, self.count, self.on_start)


class Seat(NamedTuple):
    """What a thread is at, for whoever watches."""

    of: int
    ticket: Ticket
    started: float
    meter: Meter


class Crew:
    """What the threads share. They hold no reference to the session, so that it can be collected as garbage."""

    def __init__(self, work: Work, on_start: Callable[[int], object] | None = None) -> None:
        self.work = work
        self.on_start = on_start
        self.failure: tuple[int, BaseException] | None = None  # of a thread that could not start
        self.tickets: SimpleQueue[tuple[int, Ticket] | None] = SimpleQueue()
        self.outcomes: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()
        self.round = 0  # raised by cancel and close: tickets and outcomes of earlier rounds are dropped
        self.seats: dict[threading.Thread, Seat] = {}
        self.given_up: set[threading.Thread] = set()
        crews.add(self)

    def run(self, number: int) -> None:
        """Work until the last ticket. The body of a thread."""
        me = threading.current_thread()
        meter = Meter()
        if self.on_start is not None:
            try:
                self.on_start(number)
            except BaseException as error:  # noqa: BLE001  whoever waits for an outcome is told
                self.failure = number, error
                self.outcomes.put((-1, NOBODYS))
                return
        while me not in self.given_up and (entry := self.tickets.get()) is not None:
            of, ticket = entry
            if of == self.round:
                meter.at = None
                self.seats[me] = Seat(of, ticket, time.monotonic(), meter)
                try:
                    outcome = self.work.perform(ticket, worker=number, meter=meter)
                    if outcome.items:  # about: items of one ticket are much alike
                        with contextlib.suppress(Exception):  # a user's container that cannot be looked into
                            outcome = outcome._replace(nbytes=len(outcome.items) * weight(outcome.items[0]))
                except BaseException as error:  # noqa: BLE001  no memory, say: somebody waits for an answer
                    outcome = Outcome(ticket.number, [], None, error, 0.0, 0, number)
                if me not in self.given_up:
                    self.outcomes.put((of, outcome))
                self.seats.pop(me, None)
                meter.at = None
                del outcome
            del entry, ticket  # or this thread would keep a batch alive while it waits


crews: weakref.WeakSet[Crew] = weakref.WeakSet()


@atexit.register
def await_items() -> None:
    """Wait a moment for threads that are in the middle of an item, so that none is when the interpreter goes.

    CPython before 3.14 ends a daemon thread that comes back from C code by then through unwinding its stack; where that
    passes through C++ (OpenCV), the whole process aborts.
    """
    end = time.monotonic() + PATIENCE
    for crew in list(crews):
        crew.round += 1
        for thread in list(crew.seats):
            crew.tickets.put(None)
            thread.join(timeout=max(0.0, end - time.monotonic()))


class ThreadSession(Session):
    """Threads that are alive."""

    def __init__(self, work: Work, count: int, on_start: Callable[[int], object] | None = None) -> None:
        teach_malloc()  # what users' functions return is memory of their own
        self.crew = Crew(work, on_start)
        self.patience = Patience(work)
        self.closed = False
        self.owner = os.getpid()
        self.deaths = 0
        self.threads = [self.begin(number) for number in range(count)]

    def begin(self, number: int) -> threading.Thread:
        """Start a thread."""
        thread = threading.Thread(target=self.crew.run, args=(number,), name=f"penstock-worker-{number}", daemon=True)
        thread.start()
        return thread

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The threads."""
        return tuple(Worker(number, "thread") for number in range(len(self.threads)))

    @property
    def replaced(self) -> int:
        """How many threads were given up, stuck in an item."""
        return self.deaths

    def submit(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        if self.closed:
            raise ClosedError("the workers have been closed")
        if self.owner != os.getpid():
            raise ClosedError("threads do not survive a fork. Make a new loader after it.")
        self.crew.tickets.put((self.crew.round, ticket))

    def collect(self) -> Outcome:
        """Wait for any outcome of this round."""
        while True:
            if self.crew.failure is not None:
                number, error = self.crew.failure
                raise WorkerNotStarted(f"worker {number} could not start: {type(error).__name__}: {error}") from error
            try:
                entry = self.crew.outcomes.get(timeout=self.patience.left())
            except Empty:
                entry = (-1, NOBODYS)
            if entry is None:
                raise ClosedError("the workers have been closed")
            if entry[0] == self.crew.round:
                return entry[1]
            if self.patience.due():
                self.look()

    def look(self) -> None:
        """Give up a thread that has been at one item for too long, or warn of it."""
        index_of = self.crew.work.plan.nodes.index_of
        for number, thread in enumerate(self.threads):
            seat = self.crew.seats.get(thread)
            if seat is None or seat.of != self.crew.round:
                continue
            found = seat.meter.item()
            item = None if found is None else (index_of(found[0]), found[1])
            seconds = self.patience.exceeded(number, seat.ticket.number, seat.started, item)
            if not seconds:
                continue
            frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  the documented way
            stack = "(the thread has ended)" if frame is None else "".join(traceback.format_stack(frame))
            text = self.patience.describe(seat.ticket, item, seconds, str(self.workers[number]), stack)
            if not self.patience.fatal:
                self.patience.warn(text)
                continue
            self.crew.given_up.add(thread)
            self.deaths += 1
            self.threads[number] = self.begin(number)
            error = Split() if seat.ticket.size > 1 else self.patience.error(text)
            outcome = Outcome(seat.ticket.number, [], None, error, seconds, 0, number)
            self.crew.outcomes.put((self.crew.round, outcome))

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
        for _ in range(len(self.threads) + len(self.crew.given_up)):
            self.crew.tickets.put(None)
        self.crew.outcomes.put(None)
        for thread in self.threads:
            if thread is not threading.current_thread():
                thread.join(timeout=0.5 / len(self.threads))
