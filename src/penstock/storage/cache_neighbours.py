"""Items that one worker has computed and another needs a moment later: handed over instead of computed again.

    worker A ──computes──> item ──> a file in memory of its own, and an entry in the table: which process, which file
    worker B ──waits for A──> the table ──> A's file, through /proc ──> item

While an item is computed, its byte of the table is locked: a kill frees it, and whoever waited computes the item. Files
go with their worker, or when it offers later ones. What has gone, or is another's by now, is not found.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np

from penstock.errors import UnsupportedPlatform
from penstock.graph.caching import MISSING
from penstock.graph.context import empty
from penstock.storage.cache_counts import ENTRY, Entry, checksum, packed, unpacked
from penstock.storage.cache_freezing import frozen, thawed, written
from penstock.transport.common import TOKEN, Common
from penstock.transport.slab import create

NAME = "penstock-handover"
PLACES = 1024  # of the table: items whose numbers are so far apart take each other's place
FILES = 8  # that one worker offers at a time
HELD = 128 << 20  # bytes of these, all together
SLOW = 0.002  # seconds of computing below which nothing is handed over
PACE = 250e6  # bytes a second: what takes less time to compute than at this pace is computed again
WASTED = 8  # items in a row that nobody wanted, or that were quickly made, after which no more are offered
SHIFT = 32  # an entry says where: the process above these bits, its descriptor below


class Neighbours:
    """What the workers of one loader hand to one another."""

    def __init__(self) -> None:
        """Make the table; the others open it."""
        self.table = Common(NAME, TOKEN + PLACES * ENTRY.size)
        self.reset()

    def reset(self) -> None:
        """Begin in a process."""
        self.files: OrderedDict[int, tuple[int, int]] = OrderedDict()  # by item: descriptor and bytes
        self.wasted = 0
        self.sum = checksum()[1]

    @property
    def wanted(self) -> bool:
        """Whether it is worth while to look here, as far as this worker has seen."""
        return self.wasted < WASTED

    def stop(self) -> None:
        """Have nothing to do with the others any more."""
        self.wasted = WASTED

    @contextlib.contextmanager
    def alone(self, index: int) -> Iterator[None]:
        """Wait until nobody else computes an item, and keep others from it."""
        fd = -1
        with contextlib.suppress(OSError, UnsupportedPlatform):  # on another machine than the trainer's, say
            fcntl.lockf(self.table.fd, fcntl.LOCK_EX, 1, index)
            fd = self.table.fd
        if fd < 0:
            self.stop()
        try:
            yield
        finally:
            if fd >= 0:
                fcntl.lockf(fd, fcntl.LOCK_UN, 1, index)

    def find(self, index: int) -> Any:
        """Return an item that another worker offers, or MISSING."""
        try:
            entry = unpacked(index, os.pread(self.table.fd, ENTRY.size, place(index)))
            if entry is None:
                return MISSING
            path = f"/proc/{entry.where >> SHIFT}/fd/{entry.where & (1 << SHIFT) - 1}"
            if NAME not in os.readlink(path):
                return MISSING
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, UnsupportedPlatform):
            return MISSING
        try:
            memory = empty(entry.nbytes, np.uint8)
            if os.preadv(fd, [memory.data], 1) != entry.nbytes or self.sum(memory.data) != entry.check:
                return MISSING
            os.pwrite(fd, b"\1", 0)  # somebody wanted it
        finally:
            os.close(fd)
        self.wasted = 0
        try:
            return thawed(memory)
        except Exception:  # noqa: BLE001  what a user's class raises where it is rebuilt
            self.stop()
            return MISSING

    def offer(self, index: int, value: Any, seconds: float) -> None:
        """Offer an item that took some seconds, if others may be glad of it."""
        if index in self.files:
            self.drop(index)
        if seconds < SLOW:
            self.wasted += 1
            return
        try:
            pieces = frozen(value)
            size = sum(memoryview(piece).nbytes for piece in pieces)
            if size > min(HELD, seconds * PACE):
                self.wasted += 1
                return
            fd = create(NAME, 0)
            data = b"".join(pieces)
            written(fd, b"\0", 0)
            written(fd, data, 1)
        except Exception:  # noqa: BLE001  what does not travel, or no memory for it
            self.stop()
            return
        self.files[index] = fd, size
        entry = Entry(os.getpid() << SHIFT | fd, size, self.sum(data))
        os.pwrite(self.table.fd, packed(index, entry), place(index))
        while len(self.files) > FILES or sum(nbytes for _, nbytes in self.files.values()) > HELD:
            self.drop(next(iter(self.files)))

    def drop(self, index: int) -> None:
        """Offer an item no longer."""
        fd, _ = self.files.pop(index)
        self.wasted = 0 if os.pread(fd, 1, 0) == b"\1" else self.wasted + 1
        os.close(fd)

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()


def place(index: int) -> int:
    """Return where an item's entry stands in the table."""
    return TOKEN + index % PLACES * ENTRY.size


def neighbours() -> Neighbours | None:
    """Return a new table, where the system has such."""
    try:
        return Neighbours()
    except UnsupportedPlatform:
        return None
