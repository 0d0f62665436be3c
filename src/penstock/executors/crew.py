"""The crew: worker processes, from their start to their end, and what connects them with the trainer.

    each       a socket for outcomes, a lifeline, an arena, a file for its stack
    together   the socket of tickets, the parcels that large tickets lie in, the description, the board

What a worker is given to do, and what its death means, is the session's business.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from penstock.executors import messages as m
from penstock.executors.nursery import STATUS, THREADS, registry
from penstock.graph.context import PAGE
from penstock.graph.execution import Work, Worker
from penstock.transport.shipment import ship_work
from penstock.transport.slab import Arena, Borrowed, Held, arena_size, create

ENDING = 2.0  # seconds to wait for news of a worker that is being killed, which takes milliseconds
STACK = 1.0  # seconds to wait for a worker's stack


class Slot(NamedTuple):
    """A worker and what connects it."""

    number: int
    outcomes: socket.socket
    lifeline: socket.socket
    arena: Borrowed
    stack: int
    """The file in memory that it writes its stack into, when asked."""


class Notes(NamedTuple):
    """What a worker has written on the board: what it is at."""

    number: int
    node: int
    position: int
    ready: int
    pid: int
    started: int

    @property
    def item(self) -> tuple[int, int] | None:
        """The step and the position, where it has said so."""
        return None if self.node == m.IDLE else (self.node, self.position)


class Crew:
    """Worker processes that are alive."""

    def __init__(self, work: Work, count: int, on_start: Callable[[int], object] | None = None) -> None:
        self.owner = os.getpid()
        self.work = work
        self.on_start = on_start
        self.count = count
        self.slots: dict[int, Slot] = {}
        self.by_fd: dict[int, tuple[Slot, bool]] = {}
        self.held_bytes = Held()
        self.held = contextlib.ExitStack()  # what is to be given back, the last first

    def open(self) -> None:
        """Make all that the workers share, then the workers."""
        hold = self.held.callback
        registry.hire()
        hold(self.release)
        self.watch = select.epoll()
        hold(self.watch.close)
        self.wake = os.eventfd(0, os.EFD_CLOEXEC)
        hold(os.close, self.wake)
        self.watch.register(self.wake, select.EPOLLIN)
        self.tickets, self.queue = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hold(self.tickets.close)
        hold(self.queue.close)
        self.tickets.setblocking(False)
        self.size = arena_size(self.count + 1)
        self.board_fd = create("penstock-board", PAGE * -(-self.count * m.SLOT * 8 // PAGE))
        hold(os.close, self.board_fd)
        shared = mmap.mmap(self.board_fd, 0)
        hold(shared.close)
        self.board = memoryview(shared).cast("q")
        hold(self.board.release)
        self.parcels_fd = create("penstock-parcels", self.size)
        hold(os.close, self.parcels_fd)
        self.parcels = Arena(self.parcels_fd, self.size)
        self.work_fd, self.work_size = ship_work(self.work, self.on_start)
        hold(os.close, self.work_fd)
        hold(self.end)
        self.complete()

    def close(self) -> None:
        """End the workers, and give back all that was held."""
        self.held.close()

    @property
    def ours(self) -> bool:
        """Whether this is the trainer, not a fork of it, which shares our sockets and has no workers."""
        return self.owner == os.getpid()

    def release(self) -> None:
        """Let the nursery know; in a fork of the trainer, it is not ours."""
        if self.ours:
            registry.release()

    def complete(self) -> None:
        """Start the workers that are missing."""
        if len(self.slots) < self.count:
            for number in range(self.count):
                if number not in self.slots:
                    self.spawn(number)

    def spawn(self, number: int) -> None:
        """Ask the nursery for a worker."""
        base = m.SLOT * number
        for k in range(m.SLOT):
            self.board[base + k] = 0
        self.board[base + m.NUMBER] = self.board[base + m.NODE] = m.IDLE
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
            registry.fork(request, fds)
            slot = Slot(number, outcomes, lifeline, Borrowed(arena, self.size, self.held_bytes), stack)
            for sock, is_outcomes in ((outcomes, True), (lifeline, False)):
                sock.setblocking(False)
                self.watch.register(sock, select.EPOLLIN)
                self.by_fd[sock.fileno()] = (slot, is_outcomes)
            self.slots[number] = slot
            ours.pop_all()

    def notes(self, number: int) -> Notes:
        """Return what a worker has written on the board."""
        base = m.SLOT * number
        return Notes(*self.board[base : base + len(Notes._fields)].tolist())

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The processes, with their numbers once they have started."""
        return tuple(Worker(n, "process", self.notes(n).pid or None) for n in sorted(self.slots))

    def stack_of(self, slot: Slot) -> str:
        """Return the Python stacks of a worker's threads, written by itself even while it is stuck in C code."""
        before = os.fstat(slot.stack).st_size
        tell(slot, m.STACK)
        deadline = time.monotonic() + STACK
        size = before
        while time.monotonic() < deadline:
            time.sleep(0.02)
            last, size = size, os.fstat(slot.stack).st_size
            if size > before and size == last:  # written, and written to its end
                break
        return os.pread(slot.stack, size - before, before).decode(errors="replace") or "(it gave none)"

    def unwatch(self, sock: socket.socket) -> None:
        """Listen no longer."""
        if self.by_fd.pop(sock.fileno(), None) is not None and self.ours:
            self.watch.unregister(sock)  # the list is shared with forks of the trainer, who must not touch it

    def dismiss(self, slot: Slot) -> None:
        """Let go of a worker that has ended."""
        self.slots.pop(slot.number, None)
        for sock in (slot.outcomes, slot.lifeline):
            self.unwatch(sock)
            sock.close()
        os.close(slot.stack)

    def end(self) -> None:
        """End the workers and wait until they are gone, which takes milliseconds: the nursery kills them."""
        slots = list(self.slots.values())
        if self.ours:  # in a fork of the trainer, only descriptors are ours to close
            for slot in slots:
                tell(slot, None)
            for slot in slots:
                with contextlib.suppress(OSError):
                    slot.lifeline.settimeout(ENDING)
                    slot.lifeline.recv(STATUS.size)
        for slot in slots:
            self.dismiss(slot)


def tell(slot: Slot, number: int | None) -> None:
    """Have the nursery send a worker a signal; without one, end it. A worker that has ended need not be told."""
    with contextlib.suppress(OSError):
        if number is None:
            slot.lifeline.shutdown(socket.SHUT_WR)
        else:
            slot.lifeline.send(bytes([number]))
