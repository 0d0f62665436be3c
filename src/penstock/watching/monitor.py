"""Monitor: how many items a stage of a pipeline gives, and how long each takes, wherever it is computed.

    worker ──> slot 1 ─┐
    worker ──> slot 2 ─┼─ one file in memory ──> throughput, delay
    caller ──> slot 0 ─┘

Each process that reads the stage counts in a slot of its own, so nobody waits for anybody. The file has no name; a
worker finds it through the process that made it, which outlives its workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import secrets
import threading
import weakref
from typing import Any

SLOTS = 510  # processes that count; of more, several share a slot
# What a slot has: the round that it belongs to, items, those of them whose reading was timed, seconds, first, last.
ROUND, COUNT, TIMED, SECONDS, FIRST, LAST, WIDTH = 0, 1, 2, 3, 4, 5, 8
SIZE = 8 * WIDTH * (SLOTS + 2)  # in front, the round that is being counted, and the number of the next free slot


class Monitor:
    """Counts what a stage gives: ``dataset.monitor(monitor)`` puts it there. It can be read while others count.

    Args:
        name: shown in texts and drawings.

    What worker processes of this machine read is counted, too.

    >>> import penstock as ps
    >>> loads = ps.Monitor("loads")
    >>> list(ps.range(3).monitor(loads)), loads.count
    ([0, 1, 2], 3)
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.key = secrets.token_hex(8)
        self._home = os.getpid()
        self._fd = os.memfd_create("penstock-monitor", os.MFD_CLOEXEC) if hasattr(os, "memfd_create") else -1
        if self._fd >= 0:
            os.ftruncate(self._fd, SIZE)
            weakref.finalize(self, os.close, self._fd)
        self._open(mmap.mmap(self._fd, SIZE))

    def share(self, fd: int) -> None:
        """Count into the memory of another monitor from here on."""
        os.dup2(fd, self._fd, inheritable=False)
        self._open(mmap.mmap(self._fd, SIZE))

    def _open(self, memory: mmap.mmap) -> None:
        self._numbers = memoryview(memory).cast("d")
        self._slot = (0, 0)  # the process, and where its slot begins
        self._lock = threading.Lock()

    # -- counting

    def read(self, count: int, began: float, ended: float) -> None:
        """Note that items were read, between two moments of the monotonic clock."""
        numbers = self._numbers
        slot = self._mine()
        with self._lock:
            self._begin(slot, began)
            numbers[slot + COUNT] += count
            numbers[slot + TIMED] += count
            numbers[slot + SECONDS] += ended - began
            numbers[slot + LAST] = ended

    def passed(self, now: float) -> None:
        """Note that an item came by, and nobody knows how long it was under way."""
        slot = self._mine()
        with self._lock:
            self._begin(slot, now)
            self._numbers[slot + COUNT] += 1
            self._numbers[slot + LAST] = now

    def _mine(self) -> int:
        """Return where this process counts."""
        pid, slot = self._slot
        if pid == os.getpid():
            return slot
        if pid:  # a fork: a thread of the parent may hold the lock for ever
            self._lock = threading.Lock()
        with self._lock:
            if self._slot[0] != os.getpid():
                if self._fd >= 0:
                    fcntl.lockf(self._fd, fcntl.LOCK_EX)
                number = int(self._numbers[1])
                self._numbers[1] = number + 1
                if self._fd >= 0:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN)
                self._slot = os.getpid(), WIDTH * (1 + number % SLOTS)
            return self._slot[1]

    def _begin(self, slot: int, now: float) -> None:
        """Begin to count from nothing, if this is the first since ``reset``."""
        numbers = self._numbers
        if numbers[slot + ROUND] != numbers[0] + 1:
            numbers[slot + COUNT] = numbers[slot + TIMED] = numbers[slot + SECONDS] = 0.0
            numbers[slot + FIRST] = numbers[slot + LAST] = now
            numbers[slot + ROUND] = numbers[0] + 1

    # -- what was counted

    def _slots(self) -> list[list[float]]:
        numbers: list[float] = self._numbers.tolist()  # type: ignore[assignment]  # "d" is not in the types
        used = min(int(numbers[1]), SLOTS)
        slots = [numbers[WIDTH * k : WIDTH * (k + 1)] for k in range(1, used + 1)]
        return [slot for slot in slots if slot[ROUND] == numbers[0] + 1]

    @property
    def count(self) -> int:
        """How many items were read, in all processes."""
        return int(sum(slot[COUNT] for slot in self._slots()))

    @property
    def throughput(self) -> float:
        """Items a second, from the beginning of the first reading to the end of the last; 0 before there is one."""
        slots = self._slots()
        if not slots:
            return 0.0
        seconds = max(slot[LAST] for slot in slots) - min(slot[FIRST] for slot in slots)
        return sum(slot[COUNT] for slot in slots) / seconds if seconds > 0 else 0.0

    @property
    def delay(self) -> float | None:
        """Seconds that reading an item takes, on average, with all that stands before it.

        None where that is not known: before the first item, and behind a filter and the like, where items come by.
        """
        slots = self._slots()
        timed = sum(slot[TIMED] for slot in slots)
        return sum(slot[SECONDS] for slot in slots) / timed if timed else None

    def reset(self) -> None:
        """Count from nothing."""
        self._numbers[0] += 1

    def __str__(self) -> str:
        delay = self.delay
        took = "" if delay is None else f", {1000 * delay:.3g} ms each"
        name = f"{self.name}: " if self.name else ""
        return f"{name}{self.count:,} items, {self.throughput:,.1f}/s{took}"

    # -- as a value

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, Monitor) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"<Monitor {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the way to the memory."""
        return joined, (self.name, self.key, self._home, self._fd)


def joined(name: str, key: str, home: int, fd: int) -> Monitor:
    """Return a monitor that counts into another one's memory; where that has gone, or is elsewhere, into its own."""
    made = Monitor(name)
    made.key = key
    with contextlib.suppress(OSError):
        way = os.open(f"/proc/{home}/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
        try:
            link = os.readlink(f"/proc/self/fd/{way}")
            if link.startswith("/memfd:penstock-monitor") and os.fstat(way).st_size == SIZE:
                made.share(way)
        finally:
            os.close(way)
    return made
