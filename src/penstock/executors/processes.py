"""Processes: work in worker processes, batches in recycled shared memory.

                    ┌────────────── tickets (one socket, shared) ──────────────┐
    session ────────┤                                                          ├──> worker k
        ^           └── outcomes (one socket each) <── slabs (one arena each) ─┘       │
        └──────────────── lifeline (one each, through the nursery) ────────────────────┘

A worker that dies is replaced, and what it was at is done again. Which tickets that concerns follows from what is known
without its help: everything submitted, less the outcomes that arrived, less what living workers say they are at on the
board. A ticket that two workers do by this rule is harmless: the second outcome is dropped.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from penstock.errors import ClosedError, UnsupportedPlatform, WorkerDied, WorkerError, WorkerNotStarted
from penstock.executors import messages as m
from penstock.executors.messages import Sent, address_ticket, careful, open_answer
from penstock.executors.nursery import STATUS, THREADS, registry
from penstock.executors.patience import Patience
from penstock.graph.checking import whole
from penstock.graph.context import PAGE
from penstock.graph.execution import NOBODYS, Executor, Outcome, Session, Split, Ticket, Work, Worker
from penstock.graph.policy import Skipped
from penstock.transport.failure import unpack_error
from penstock.transport.frame import unpack
from penstock.transport.shipment import ship
from penstock.transport.slab import Arena, Borrowed, Held, arena_size, create

OWN_FAULT = 2  # deaths after which an item is given up, where the process ended itself or crashed …
KILLED = 4  # … and where somebody sent SIGKILL or SIGTERM, which need not be the item's fault …
HOPELESS = 20  # … so more are forgiven where workers died at other items, too, up to this
SKIPPED_ERROR = Skipped._fields.index("error")
PATIENCE = 3  # workers in a row that may die before they are ready


@dataclass(frozen=True)
class Processes(Executor):
    """Work in ``count`` worker processes; as many as there are cores where it is left out.

    Args:
        count: how many, at least 1.

    >>> import penstock as ps
    >>> with ps.range(4).map(lambda x: x * x).batch(2).loader(workers=ps.Processes(2)) as loader:
    ...     [batch.tolist() for batch in loader]
    [[0, 1], [4, 9]]
    """

    count: int = None  # type: ignore[assignment]  # replaced at once

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        default = self.count is None
        count = len(os.sched_getaffinity(0)) if default else whole(self.count, "Processes()", "count", least=1)
        object.__setattr__(self, "count", count)

    def start(self, work: Work) -> Session:
        """Start the processes."""
        if not hasattr(os, "memfd_create") or not hasattr(os, "pidfd_open"):
            raise UnsupportedPlatform("Processes needs Linux (memfd and pidfd). Use Threads(n) on this system.")
        return ProcessSession(work, self.count)


class Slot(NamedTuple):
    """A worker and what connects it."""

    number: int
    outcomes: socket.socket
    lifeline: socket.socket
    arena: Borrowed
    stack: int
    """The file in memory that it writes its stack into, when asked."""


class ProcessSession(Session):
    """Worker processes that are alive."""

    def __init__(self, work: Work, count: int) -> None:
        # Held by whatever touches what follows, and by nobody who waits. Re-entrant, because garbage collection may end
        # an epoch in the middle of anything.
        self.lock = threading.RLock()
        self.closed = False
        self.broken: WorkerError | None = None  # what makes it impossible to go on, once that has happened
        self.owner = os.getpid()
        self.work = work
        self.count = count
        self.deaths = 0
        self.innocent = 0  # deaths at items that were computed in the end
        self.unready = 0
        self.slots: dict[int, Slot] = {}
        self.by_fd: dict[int, tuple[Slot, bool]] = {}
        self.sent: dict[int, Sent] = {}
        self.strikes: dict[int, int] = {}
        self.waiting: deque[int] = deque()
        self.finished: deque[Outcome] = deque()
        self.buffer = bytearray(m.MESSAGE + 4096)
        self.held_bytes = Held()
        self.held = contextlib.ExitStack()  # what is to be given back, the last first
        try:
            self.open(work)
            for number in range(count):
                self.spawn(number)
        except BaseException:
            self.close()
            raise

    def open(self, work: Work) -> None:
        """Make all that the workers share."""
        hold = self.held.callback
        registry.hire()
        hold(self.release)
        self.patience = Patience(work)
        self.watch = select.epoll()
        hold(self.watch.close)
        self.wake = os.eventfd(0, os.EFD_CLOEXEC)
        hold(os.close, self.wake)
        self.watch.register(self.wake, select.EPOLLIN)
        self.tickets, self.queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hold(self.tickets.close)
        hold(self.queue.close)
        self.tickets.setblocking(False)
        self.size = arena_size()
        self.board_fd = create("penstock-board", PAGE * -(-self.count * m.SLOT * 8 // PAGE))
        hold(os.close, self.board_fd)
        shared = mmap.mmap(self.board_fd, 0)
        hold(shared.close)
        self.board = memoryview(shared).cast("q")
        hold(self.board.release)
        self.parcels_fd = create("penstock-parcels", self.size)
        hold(os.close, self.parcels_fd)
        self.parcels = Arena(self.parcels_fd, self.size)
        self.work_fd, self.work_size = ship(work)
        hold(os.close, self.work_fd)
        hold(self.end_workers)

    def release(self) -> None:
        """Let the nursery know; in a fork of the trainer, it is not ours."""
        if self.owner == os.getpid():
            registry.release()

    # -- workers

    def spawn(self, number: int) -> None:
        """Ask the nursery for a worker."""
        base = m.SLOT * number
        for k in range(m.SLOT):
            self.board[base + k] = 0
        self.board[base + m.NUMBER] = m.IDLE
        request = {
            "slot": number,
            "arena_size": self.size,
            "parcels_size": self.size,
            "work_size": self.work_size,
            "environment": dict.fromkeys(THREADS, "1") | dict(os.environ),
        }
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            outcomes, its_outcomes = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(outcomes.close)
            theirs.callback(its_outcomes.close)
            its_outcomes.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * m.MESSAGE)
            lifeline, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(lifeline.close)
            theirs.callback(end.close)
            arena = create("penstock-arena", self.size)
            theirs.callback(os.close, arena)
            stack = create("penstock-stack", 0)
            ours.callback(os.close, stack)
            shared = [self.parcels_fd, self.board_fd, self.work_fd]
            fds = [end.fileno(), self.queue.fileno(), its_outcomes.fileno(), arena, *shared, stack]
            registry.living().fork(request, fds)
            slot = Slot(number, outcomes, lifeline, Borrowed(arena, self.size, self.held_bytes), stack)
            for sock, is_outcomes in ((outcomes, True), (lifeline, False)):
                sock.setblocking(False)
                self.watch.register(sock, select.EPOLLIN)
                self.by_fd[sock.fileno()] = (slot, is_outcomes)
            self.slots[number] = slot
            ours.pop_all()

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The processes, with their numbers once they have started."""
        return tuple(Worker(n, "process", self.board[m.SLOT * n + m.PID] or None) for n in sorted(self.slots))

    @property
    def replaced(self) -> int:
        """How many workers died and were replaced."""
        return self.deaths

    # -- tickets

    def submit(self, ticket: Ticket) -> None:
        """Put a ticket on the shared queue, or behind those that found it full."""
        self.check_owner()
        sent = address_ticket(ticket, self.parcels)
        with self.lock:
            if self.closed:
                raise ClosedError("the workers have been closed")
            self.sent[ticket.number] = sent
            self.waiting.append(ticket.number)
            self.flush()

    def check_owner(self) -> None:
        """Refuse a fork of the trainer, which shares our sockets and would take what is not its own."""
        if self.owner != os.getpid():
            raise ClosedError(f"this loader's workers belong to process {self.owner}. Make a new loader after a fork.")

    def flush(self) -> None:
        """Send what the queue has room for."""
        while self.waiting:
            sent = self.sent.get(self.waiting[0])
            if sent is not None:
                message = sent.message
                if sent.ticket.number in self.strikes:
                    message = careful(message)
                try:
                    self.tickets.send(message)
                except BlockingIOError:
                    return
            self.waiting.popleft()

    def drain(self) -> None:
        """Take back what nobody has taken from the queue."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.queue.recv(m.MESSAGE, socket.MSG_DONTWAIT)

    def cancel(self) -> None:
        """Forget all tickets."""
        with self.lock:
            self.waiting.clear()
            self.sent.clear()
            self.finished.clear()
            self.strikes.clear()
            if self.owner == os.getpid() and not self.closed:
                self.drain()
                os.eventfd_write(self.wake, 1)

    # -- outcomes

    def collect(self) -> Outcome:
        """Wait for any outcome."""
        self.check_owner()
        while True:
            with self.lock:
                if self.closed:
                    raise ClosedError("the workers have been closed")
                if self.finished:
                    return self.finished.popleft()
                if self.broken is not None:
                    raise self.broken
                self.flush()
            events = self.events()
            with self.lock:
                if self.closed:
                    continue
                if self.wake in events:
                    os.eventfd_read(self.wake)
                    return NOBODYS
                self.handle(events)
                if self.patience.due():
                    self.look()

    def handle(self, events: list[int]) -> None:
        """Receive what has come, and replace who has died."""
        for fd in events:
            slot, is_outcomes = self.by_fd.get(fd, (None, False))
            if slot is not None:
                (self.receive if is_outcomes else self.mourn)(slot)

    def events(self) -> list[int]:
        """Wait until something can be read, or for a moment; return what."""
        # With tickets that found the queue full, look again soon: workers make room without a word.
        moment = 0.05 if self.waiting else self.patience.left() + 0.001
        try:
            return [fd for fd, _ in self.watch.poll(moment)]
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
            self.unwatch(slot.outcomes)  # it has ended; its lifeline will say how
            return False
        answer = open_answer(memoryview(self.buffer)[:size])
        if answer.kind == m.BROKEN:
            self.give_way(slot, bytes(answer.payload).decode(errors="replace"))
        sent = self.sent.pop(answer.number, None)
        try:
            items, counts, failure, left_out = unpack(
                answer.payload, answer.extents, slot.arena, spilled=answer.kind == m.SPILLED
            )
            skips = [Skipped(*s)._replace(error=unpack_error(s[SKIPPED_ERROR])) for s in left_out]
            error = None if failure is None else unpack_error(failure)
        except Exception as problem:  # noqa: BLE001  a user's class that cannot be rebuilt here
            if sent is None:
                return True
            items, counts, skips = [], None, []
            error = Split() if sent.ticket.size > 1 else unreadable(problem, sent.ticket)
        if sent is not None:  # else it was cancelled, or done twice
            self.innocent += self.strikes.pop(answer.number, 0)
            nbytes = sum(extent.nbytes for extent in answer.extents) + size
            outcome = Outcome(answer.number, items, counts, error, answer.seconds, nbytes, slot.number, skips)
            self.finished.append(outcome)
        self.unready = 0
        return True

    def give_way(self, slot: Slot, text: str) -> NoReturn:
        """Raise what a worker said that cannot go on; nor can the session."""
        what, kind = "could not start", WorkerNotStarted
        if self.board[m.SLOT * slot.number + m.READY]:
            what, kind = "failed, not the item that it was at", WorkerError  # type: ignore[assignment]
        self.broken = kind(f"worker {slot.number} {what}. It said:\n{text}")
        raise self.broken

    # -- patience

    def look(self) -> None:
        """End a worker that has been at one item for too long, or warn of it."""
        for slot in list(self.slots.values()):
            notes = self.board[m.SLOT * slot.number : m.SLOT * (slot.number + 1)].tolist()
            number, started = notes[m.NUMBER], notes[m.STARTED] / 1e9
            sent = self.sent.get(number)
            if sent is None or time.monotonic() - started < self.patience.tick:
                continue
            item = None if notes[m.NODE] == m.IDLE else (notes[m.NODE], notes[m.INDEX])
            seconds = self.patience.exceeded(slot.number, number, started, item)
            if not seconds:
                tell(slot, m.ASK)  # the answer is there at the next look
                continue
            worker = next(x for x in self.workers if x.number == slot.number)
            text = self.patience.describe(sent.ticket, item, seconds, str(worker), self.stack_of(slot))
            if not self.patience.fatal:
                self.patience.warn(text)
                continue
            del self.sent[number]
            tell(slot, None)
            error = Split() if sent.ticket.size > 1 else self.patience.error(text)
            self.finished.append(Outcome(number, [], None, error, seconds, 0, slot.number))
            slot.lifeline.settimeout(2)  # the nursery kills at once
            self.mourn(slot)

    def stack_of(self, slot: Slot) -> str:
        """Return the Python stacks of a worker's threads, written by itself even while it is stuck in C code."""
        before = os.fstat(slot.stack).st_size
        tell(slot, m.STACK)
        deadline = time.monotonic() + 1.0
        size = before
        while time.monotonic() < deadline:
            time.sleep(0.02)
            last, size = size, os.fstat(slot.stack).st_size
            if size > before and size == last:  # written, and written to its end
                break
        return os.pread(slot.stack, size - before, before).decode(errors="replace") or "(it gave none)"

    # -- deaths

    def mourn(self, slot: Slot) -> None:
        """Replace a worker that has ended; do again what it was at."""
        try:
            message = slot.lifeline.recv(STATUS.size)
        except (BlockingIOError, TimeoutError):
            return
        except ConnectionResetError:
            message = b""
        status = STATUS.unpack(message)[0] if message else -signal.SIGKILL
        if not message:  # the nursery itself was killed, and its workers die with it, but perhaps not before this
            slot.outcomes.settimeout(2)
        while self.receive(slot):
            pass
        base = m.SLOT * slot.number
        number = self.board[base + m.NUMBER]
        item = tuple(self.board[base + k] for k in (m.NODE, m.INDEX, m.ROOT))
        ready = bool(self.board[base + m.READY])
        self.dismiss(slot)
        self.deaths += 1
        self.unready = 0 if ready else self.unready + 1
        if self.unready >= PATIENCE:
            self.broken = WorkerNotStarted(
                f"{self.unready} workers in a row ended ({reason(status)}) before they were ready to work. "
                "What they printed stands above; look at what is imported by the functions of the pipeline."
            )
            raise self.broken
        if number in self.sent:
            self.strikes[number] = self.strikes.get(number, 0) + 1
            if self.strikes[number] >= self.forgiven(number, status):
                self.give_up(number, item, status)
        self.drain()
        at_work = {self.board[m.SLOT * n + m.NUMBER] for n in self.slots}
        self.waiting.clear()
        lost = [n for n in self.sent if n not in at_work]
        # What was being computed comes last: if somebody kills at random, the next to die is at something else.
        self.waiting.extend(sorted(lost, key=lambda n: (self.strikes.get(n, 0), n)))
        try:
            self.spawn(slot.number)
        except Exception as error:
            self.broken = WorkerNotStarted(f"worker {slot.number} ended and cannot be replaced: {error}")
            raise self.broken from error
        self.flush()

    def forgiven(self, number: int, status: int) -> int:
        """Return how many deaths end a ticket's life. A person or a batch system that kills workers kills all sorts."""
        if status not in (-signal.SIGKILL, -signal.SIGTERM) or self.sent[number].ticket.size > 1:
            return OWN_FAULT  # of a ticket with many positions, each is tried alone then, which harms nobody
        return min(KILLED + self.innocent + len(self.strikes) - 1, HOPELESS)

    def give_up(self, number: int, item: tuple[int, ...], status: int) -> None:
        """Answer a ticket that kills its workers with an error that names the item."""
        ticket = self.sent.pop(number).ticket
        deaths = self.strikes.pop(number)
        if ticket.size > 1:
            self.finished.append(Outcome(number, [], None, Split(), 0.0))
            return
        node, index, root = item
        if ticket.elements is not None:
            node, index = ticket.node, ticket.places[0].position
        elif node == m.IDLE:  # in a step that works element by element
            node, index = ticket.node, ticket.start
        what = self.work.plan.nodes[node]
        error = WorkerDied(
            f"item {index} of {what.label()}, epoch {ticket.epoch}, ended {deaths} worker processes, one after the "
            f"other: {reason(status)}."
        )
        error.add_note(f"penstock: {what.label()} was written at {what.site}")
        if self.work.root.positional:
            how = f"dataset.epoch({ticket.epoch})[{root}]"
            error.add_note(f"penstock: to see it in line, which will end that process, too: {how}")
        self.finished.append(Outcome(ticket.number, [], None, error, 0.0))

    def unwatch(self, sock: socket.socket) -> None:
        """Listen no longer."""
        if self.by_fd.pop(sock.fileno(), None) is not None and self.owner == os.getpid():
            self.watch.unregister(sock)  # the list is shared with forks of the trainer, who must not touch it

    def dismiss(self, slot: Slot) -> None:
        """Let go of a worker that has ended."""
        self.slots.pop(slot.number, None)
        for sock in (slot.outcomes, slot.lifeline):
            self.unwatch(sock)
            sock.close()
        os.close(slot.stack)
        self.patience.looks.pop(slot.number, None)

    # -- the end

    def end_workers(self) -> None:
        """End the workers and wait until they are gone, which takes milliseconds: the nursery kills them."""
        slots = list(self.slots.values())
        if self.owner == os.getpid():  # in a fork of the trainer, only descriptors are ours to close
            for slot in slots:
                tell(slot, None)
            for slot in slots:
                with contextlib.suppress(OSError):
                    slot.lifeline.settimeout(2)
                    slot.lifeline.recv(STATUS.size)
        for slot in slots:
            self.dismiss(slot)

    def close(self) -> None:
        """End the workers and give back all that was held."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            if hasattr(self, "wake") and self.owner == os.getpid():
                os.eventfd_write(self.wake, 1)  # another thread may be waiting in collect
            self.held.close()
            self.sent.clear()
            self.finished.clear()


def tell(slot: Slot, number: int | None) -> None:
    """Have the nursery send a worker a signal; without one, end it. A worker that has ended need not be told."""
    with contextlib.suppress(OSError):
        if number is None:
            slot.lifeline.shutdown(socket.SHUT_WR)
        else:
            slot.lifeline.send(bytes([number]))


def unreadable(error: Exception, ticket: Ticket) -> Exception:
    """Return an error of rebuilding items, with what they are."""
    error.add_note("penstock: what a worker process sent cannot be rebuilt in the trainer")
    index = ticket.start if ticket.elements is None else ticket.places[0].position
    error.add_note(f"penstock: item {index}, epoch {ticket.epoch}")
    return error


def reason(status: int) -> str:
    """Return in words how a process ended."""
    if status >= 0:
        return f"exit code {status}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"
