"""Caches on the disk: shared by all processes, runs and machines that see the folder; safe against kills.

    <path>/<key>/about.json     what this is, for people
    <path>/<key>/index          32 bytes for each position (``cache_counts``)
    <path>/<key>/data-<k>       records, one behind the other; whoever appends holds the file's lock while he lives

The key stands for the description with the code of its functions (``codeprint``), so another function never reads what
this one made: it has a folder of its own. Whoever needs the room removes the folders of descriptions that are no more.

A record is on its way to the disk before its entry, but nothing waits for either. What a kill or a power failure left
half done, the checksum finds when the record is read; then it is computed again, and written anew.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from penstock.errors import CorruptRecord, StoreError
from penstock.graph.caching import MISSING, Keeper, Kept, Shelf
from penstock.graph.codeprint import description_key
from penstock.graph.context import empty
from penstock.graph.drawing import line
from penstock.graph.node import Node
from penstock.storage.cache_counts import ENTRY, Counts, Entry, checksum, packed, unpacked
from penstock.transport.record import encode
from penstock.transport.record_decoding import decode_pieces

ALIGN = 64
PLACES = 48  # bits of a place within a data file; the number of the file is above
MOST = 1 << 15  # data files: processes that write at the same time

logger = logging.getLogger("penstock")


class Disk(Keeper):
    """In a folder."""

    def __init__(self, path: str, written: str, key: str | None) -> None:
        self.path = path
        self.written = written
        self.key = key

    def label(self) -> str:
        """Return the folder as it was written."""
        return repr(self.written) + ("" if self.key is None else f", key={self.key!r}")

    def shelf(self, node: Node) -> Shelf:
        """Return the folder of a description."""
        count = node.length() or 0
        key = description_key(node, self.key, checksum()[0])
        return Folder(os.path.join(self.path, key), count, line(node))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Disk) and (self.path, self.key) == (other.path, other.key)

    def __hash__(self) -> int:
        return hash((self.path, self.key))


class Folder(Shelf):
    """Records in files that processes append to, each to its own."""

    def __init__(self, path: str, count: int, about: str, counts: Counts | None = None) -> None:
        self.path = path
        self.count = count
        self.about = about
        self.counts = counts or Counts()
        self.verified = bytearray(count)
        self.sum = checksum()[1]
        self.lock = threading.Lock()
        self.files: dict[int, int] = {}  # by number, for reading
        self.own: tuple[int, int, int] | None = None  # number, descriptor and end of the one that is written to
        self.full = False
        self.index = self.begin()
        weakref.finalize(self, let_go, os.getpid(), self.index, self.files).atexit = False

    def begin(self) -> int:
        """Make the folder, if it is not there; return the index, opened."""
        try:
            os.makedirs(self.path, exist_ok=True)
            fd = os.open(os.path.join(self.path, "index"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if os.fstat(fd).st_size < self.count * ENTRY.size:
                os.ftruncate(fd, self.count * ENTRY.size)  # nobody makes it smaller, so all may do this
                with open(os.path.join(self.path, "about.json"), "w", encoding="utf-8") as file:
                    json.dump({"dataset": self.about, "items": self.count, "made": time.strftime("%F %T")}, file)
        except OSError as error:
            raise StoreError(f"cache({self.path!r}): the folder cannot be used: {error}.") from error
        return fd

    def get(self, index: int) -> Any:
        """Read a record, if a whole one is there."""
        entry = unpacked(index, os.pread(self.index, ENTRY.size, index * ENTRY.size))
        if entry is None:
            return MISSING
        try:
            number, at = entry.where >> PLACES, entry.where & ((1 << PLACES) - 1)
            fd = self.file(number)
            if at + entry.nbytes > os.fstat(fd).st_size:
                return MISSING
            memory = empty(entry.nbytes, np.uint8)
            if os.preadv(fd, [memory.data], at) != entry.nbytes:
                return MISSING
            if not self.verified[index]:
                if self.sum(memory.data) != entry.check:
                    return MISSING
                self.verified[index] = 1
            return decode_pieces([memory])
        except (OSError, CorruptRecord):
            return MISSING

    def file(self, number: int) -> int:
        """Return the descriptor of a data file."""
        fd = self.files.get(number)
        if fd is None:
            with self.lock:
                fd = self.files.get(number)
                if fd is None:
                    fd = self.files[number] = os.open(self.name(number), os.O_RDONLY | os.O_CLOEXEC)
        return fd

    def name(self, number: int) -> str:
        """Return a data file's path."""
        return os.path.join(self.path, f"data-{number:05d}")

    def put(self, index: int, value: Any) -> None:
        """Append a record, then say where it is."""
        if self.full:
            return
        data = encode(value)
        try:
            with self.lock:
                number, fd, end = self.own or self.claim()
                self.own = (number, fd, end + len(data) + -len(data) % ALIGN)
            view, at = memoryview(data), end
            while view.nbytes:
                done = os.pwrite(fd, view[: 1 << 30], at)
                view, at = view[done:], at + done
            entry = packed(index, Entry(number << PLACES | end, len(data), self.sum(data)))
            os.pwrite(self.index, entry, index * ENTRY.size)
            self.verified[index] = 0
        except OSError as error:
            self.full = True
            logger.warning("cache(%r) keeps nothing more: %s", self.path, str(error))

    def claim(self) -> tuple[int, int, int]:
        """Take a data file that nobody else writes to, or a new one."""
        for number in range(MOST):
            fd = os.open(self.name(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            end = os.fstat(fd).st_size
            weakref.finalize(self, let_go, os.getpid(), fd, {}).atexit = False
            return number, fd, end + -end % ALIGN
        raise OSError(f"{MOST} processes write at the same time")

    def note(self, found: int, missed: int) -> None:
        """Count."""
        self.counts.note(found, missed)

    def kept(self, step: str) -> Kept:
        """Return how it went in all processes, and what the data files take."""
        with os.scandir(self.path) as entries:
            used = sum(entry.stat().st_size for entry in entries if entry.name.startswith("data-"))
        return Kept(step, *self.counts.total(), used)

    def ticket(self) -> Callable[[], Shelf]:
        """Return what opens the same folder in another process."""
        return partial(Folder, self.path, self.count, self.about, self.counts.share())


def let_go(pid: int, fd: int, files: dict[int, int]) -> None:
    """Close descriptors in the process that they belong to."""
    if pid == os.getpid():
        os.close(fd)
        for other in files.values():
            os.close(other)
        files.clear()
