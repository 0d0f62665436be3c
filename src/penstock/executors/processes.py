"""Processes: work in worker processes, batches in recycled shared memory.

                    ┌────────────── tickets (one socket, shared) ──────────────┐
    session ────────┤                                                          ├──> worker k
        ^           └── outcomes (one socket each) <── slabs (one arena each) ─┘       │
        └──────────────── lifeline (one each, through the nursery) ────────────────────┘

    session   tickets out, outcomes in (this file)         crew     processes and what connects them
    deaths    what a death means for a ticket              patience items that take too long

A worker that dies is replaced, and what it was at is done again. Which tickets that concerns follows from what is known
without its help: everything submitted, less the outcomes that arrived, less what living workers say they are at on the
board. A ticket that two workers do by this rule is harmless: the second outcome is dropped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from penstock.errors import ClosedError, UnsupportedPlatform, WorkerError, WorkerNotStarted
from penstock.executors import messages as m
from penstock.executors.crew import ENDING, Crew, Slot, tell
from penstock.executors.deaths import Deaths
from penstock.executors.messages import Sent, address_ticket, careful, open_answer, open_body, unreadable
from penstock.executors.nursery import STATUS
from penstock.executors.patience import Patience
from penstock.graph.checking import function, whole
from penstock.graph.execution import NOBODYS, Executor, Outcome, Session, Split, Ticket, Work, Worker
from penstock.transport.frame import unpack


@dataclass(frozen=True)
class Processes(Executor):
    """Work in ``count`` worker processes; as many as there are cores where it is left out.

    Args:
        count: how many, at least 1.
        on_start: called once in each worker before its first item, with the worker's number, from 0 on; also in one
            that replaces a worker that has died. What it raises keeps the workers from starting.

    Libraries with threads of their own (BLAS, OpenMP, OpenCV, PyTorch, Numba …) use one in each worker, unless the
    trainer's environment says otherwise: ``OMP_NUM_THREADS``, ``OPENBLAS_NUM_THREADS`` and their like.

    >>> import penstock as ps
    >>> with ps.range(4).map(lambda x: x * x).batch(2).loader(workers=ps.Processes(2)) as loader:
    ...     [batch.tolist() for batch in loader]
    [[0, 1], [4, 9]]
    """

    count: int = None  # type: ignore[assignment]  # replaced at once
    on_start: Callable[[int], object] | None = field(default=None, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        default = self.count is None
        count = len(os.sched_getaffinity(0)) if default else whole(self.count, "Processes()", "count", least=1)
        object.__setattr__(self, "count", count)
        if self.on_start is not None:
            function(self.on_start, "Processes()", "on_start", "Processes(4, on_start=lambda number: connect())")

    def start(self, work: Work) -> Session:
        """Start the processes."""
        if not hasattr(os, "memfd_create") or not hasattr(os, "pidfd_open"):
            raise UnsupportedPlatform("Processes needs Linux (memfd and pidfd). Use Threads(n) on this system.")
        return ProcessSession(work, self.count, self.on_start)


class ProcessSession(Session):
    """Worker processes that are alive, with work under way."""

    def __init__(self, work: Work, count: int, on_start: Callable[[int], object] | None = None) -> None:
        # Held by whatever touches what follows, and by nobody who waits. Re-entrant, because garbage collection may end
        # an epoch in the middle of anything.
        self.lock = threading.RLock()
        self.closed = False
        self.broken: WorkerError | None = None  # what makes it impossible to go on, once that has happened
        self.deaths = Deaths(work.plan, count)
        self.patience = Patience(work)
        self.sent: dict[int, Sent] = {}
        self.waiting: deque[int] = deque()
        self.finished: deque[Outcome] = deque()
        self.buffer = bytearray(m.MESSAGE + 4096)
        self.crew = Crew(work, count, on_start)
        try:
            self.crew.open()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The processes, with their numbers once they have started."""
        return self.crew.workers

    @property
    def replaced(self) -> int:
        """How many workers died and were replaced."""
        return self.deaths.count

    # -- tickets

    def submit(self, ticket: Ticket) -> None:
        """Put a ticket on the shared queue, or behind those that found it full."""
        self.check_owner()
        sent = address_ticket(ticket, self.crew.parcels)
        with self.lock:
            if self.closed:
                raise ClosedError("the workers have been closed")
            self.sent[ticket.number] = sent
            self.waiting.append(ticket.number)
            self.flush()

    def check_owner(self) -> None:
        """Refuse a fork of the trainer, which shares our sockets and would take what is not its own."""
        if not self.crew.ours:
            owner = self.crew.owner
            raise ClosedError(f"this loader's workers belong to process {owner}. Make a new loader after a fork.")

    def flush(self) -> None:
        """Send what the queue has room for."""
        while self.waiting:
            sent = self.sent.get(self.waiting[0])
            if sent is not None:
                message = sent.message
                if sent.ticket.number in self.deaths.strikes:
                    message = careful(message)
                try:
                    self.crew.tickets.send(message)
                except BlockingIOError:
                    return
            self.waiting.popleft()

    def drain(self) -> None:
        """Take back what nobody has taken from the queue."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.crew.queue.recv(m.MESSAGE, socket.MSG_DONTWAIT)

    def cancel(self) -> None:
        """Forget all tickets."""
        with self.lock:
            self.waiting.clear()
            self.sent.clear()
            self.finished.clear()
            self.deaths.forget()
            if self.crew.ours and not self.closed:
                self.drain()
                os.eventfd_write(self.crew.wake, 1)

    # -- outcomes

    def collect(self) -> Outcome:
        """Wait for any outcome."""
        self.check_owner()
        while True:
            with self.lock:
                if self.closed:
                    raise ClosedError("the workers have been closed")
                if self.broken is None:
                    self.replace()
                if self.finished:
                    return self.finished.popleft()
                if self.broken is not None:
                    raise self.broken
                self.flush()
            events = self.events()
            with self.lock:
                if self.closed:
                    continue
                if self.crew.wake in events:
                    os.eventfd_read(self.crew.wake)
                    return NOBODYS
                self.handle(events)
                if self.patience.due():
                    self.look()

    def handle(self, events: list[int]) -> None:
        """Receive what has come, and take note of who has died."""
        for fd in events:
            slot, is_outcomes = self.crew.by_fd.get(fd, (None, False))
            if slot is not None:
                (self.receive if is_outcomes else self.mourn)(slot)

    def events(self) -> list[int]:
        """Wait until something can be read, or for a moment; return what."""
        # With tickets that found the queue full, look again soon: workers make room without a word.
        moment = 0.05 if self.waiting else self.patience.left() + 0.001
        try:
            return [fd for fd, _ in self.crew.watch.poll(moment)]
        except (ValueError, OSError):
            if self.closed:  # by another thread, while this one waited
                return []
            raise

    def receive(self, slot: Slot) -> bool:
        """Take one message of a worker; False where there is none."""
        try:
            size = slot.outcomes.recv_into(self.buffer)
        except (BlockingIOError, ConnectionResetError, TimeoutError):
            return False
        if not size:
            self.crew.unwatch(slot.outcomes)  # it has ended; its lifeline will say how
            return False
        answer = open_answer(memoryview(self.buffer)[:size])
        if answer.kind == m.BROKEN:
            self.give_way(slot, bytes(answer.payload).decode(errors="replace"))
        sent = self.sent.pop(answer.number, None)
        try:
            body = unpack(answer.payload, answer.extents, slot.arena, spilled=answer.kind == m.SPILLED)
            items, counts, error, skips = open_body(body)
        except Exception as problem:  # noqa: BLE001  a user's class that cannot be rebuilt here
            if sent is None:
                return True
            items, counts, skips = [], None, []
            error = Split() if sent.ticket.size > 1 else unreadable(problem, sent.ticket)
        if sent is not None:  # else it was cancelled, or done twice
            self.deaths.computed(answer.number)
            nbytes = sum(extent.nbytes for extent in answer.extents) + size
            outcome = Outcome(answer.number, items, counts, error, answer.seconds, nbytes, slot.number, skips)
            self.finished.append(outcome)
        return True

    def give_way(self, slot: Slot, text: str) -> NoReturn:
        """Raise what a worker said that cannot go on; nor can the session."""
        what, kind = "could not start", WorkerNotStarted
        if self.crew.notes(slot.number).ready:
            what, kind = "failed, not the item that it was at", WorkerError  # type: ignore[assignment]
        self.broken = kind(f"worker {slot.number} {what}. It said:\n{text}")
        raise self.broken

    # -- patience

    def look(self) -> None:
        """End a worker that has been at one item for too long, or warn of it."""
        for slot in list(self.crew.slots.values()):
            notes = self.crew.notes(slot.number)
            number, item, started = notes.number, notes.item, notes.started / 1e9
            sent = self.sent.get(number)
            if sent is None or time.monotonic() - started < self.patience.tick:
                continue
            seconds = self.patience.exceeded(slot.number, number, started, item)
            if not seconds:
                tell(slot, m.ASK)  # the answer is there at the next look
                continue
            worker = next(x for x in self.workers if x.number == slot.number)
            text = self.patience.describe(sent.ticket, item, seconds, str(worker), self.crew.stack_of(slot))
            if not self.patience.fatal:
                self.patience.warn(text)
                continue
            del self.sent[number]
            tell(slot, None)
            error = Split() if sent.ticket.size > 1 else self.patience.error(text)
            self.finished.append(Outcome(number, [], None, error, seconds, 0, slot.number))
            slot.lifeline.settimeout(ENDING)  # the nursery kills at once
            self.mourn(slot)

    # -- deaths

    def mourn(self, slot: Slot) -> None:
        """Let go of a worker that has ended; what it was at is done again. The next look for outcomes replaces it."""
        try:
            message = slot.lifeline.recv(STATUS.size)
        except (BlockingIOError, TimeoutError):
            return
        except ConnectionResetError:
            message = b""
        status = STATUS.unpack(message)[0] if message else -signal.SIGKILL
        if not message:  # the nursery itself was killed, and its workers die with it, but perhaps not before this
            slot.outcomes.settimeout(ENDING)
        while self.receive(slot):
            pass
        notes = self.crew.notes(slot.number)
        self.crew.dismiss(slot)
        self.patience.looks.pop(slot.number, None)
        self.broken = self.deaths.add(status, ready=bool(notes.ready))
        if self.broken is not None:
            raise self.broken
        if notes.number in self.sent:
            outcome = self.deaths.strike(self.sent[notes.number].ticket, notes.item, status)
            if outcome is not None:
                del self.sent[notes.number]
                self.finished.append(outcome)
        self.hand_out_again()

    def replace(self) -> None:
        """Start the workers that are missing, whatever became of the last attempt: a Ctrl-C may have come between."""
        try:
            self.crew.complete()
        except Exception as error:
            self.broken = WorkerNotStarted(f"a worker ended and cannot be replaced: {error}")
            raise self.broken from error

    def hand_out_again(self) -> None:
        """Queue whatever no living worker is at."""
        self.drain()
        at_work = {self.crew.notes(number).number for number in self.crew.slots}
        lost = [number for number in self.sent if number not in at_work]
        # What was being computed comes last: if somebody kills at random, the next to die is at something else.
        strikes = self.deaths.strikes
        self.waiting = deque(sorted(lost, key=lambda number: (strikes.get(number, 0), number)))

    # -- the end

    def close(self) -> None:
        """End the workers and give back all that was held."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            if hasattr(self.crew, "wake") and self.crew.ours:
                os.eventfd_write(self.crew.wake, 1)  # another thread may be waiting in collect
            self.crew.close()
            self.sent.clear()
            self.finished.clear()
