"""Slabs: recycled shared memory for arrays.

An arena is one anonymous file in memory (memfd) per worker process, mapped by the worker and by the trainer. It
belongs to its worker, who alone cuts slabs from it and chooses among the free ones:

    ┌ control page(s): one byte per slab ┐┌ slab 0 ┐┌ slab 1 ┐ … (cut as needed, never moved)
      0 the worker's    1 lent to the trainer

The worker sets a slab's byte before it sends a batch that lies in it; the trainer clears it when the last view dies.
No message goes back. If the worker dies, nothing is to be tidied up: its arena lives exactly as long as somebody
still looks into it, and its successor brings an arena of its own. A file in memory has no name, so nothing can be left
behind in /dev/shm, and none of its limits apply.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import UnsupportedPlatform
from penstock.graph.context import PAGE, Memory, rounded, shaped, size_of

if sys.platform != "win32":
    import resource  # here and not where it is used: whoever starts workers must not wait for the import lock

Root = NDArray[np.uint8]

logger = logging.getLogger("penstock")

MUCH = 1 << 30  # bytes of batches that a loop may hold before it is told
SMALL = 1 << 14  # below this many bytes ordinary memory and a copy are cheaper than a lease
FREE = b"\0"  # a slab's byte
MADV_REMOVE = 9  # gives memory of a shared mapping back to the system
MADV_POPULATE_WRITE = 23  # Linux 5.14; the standard library has no name for it yet
SLABS = 1 << 16  # of one arena at the most: the size of its control block
LARGEST = 1 << 36  # address space of one arena; pages that are never touched cost nothing


def address(array: NDArray[Any]) -> int:
    """Return where an array's memory begins."""
    where: int = array.__array_interface__["data"][0]
    return where


class Shared(mmap.mmap):
    """The memory of an arena, which keeps a descriptor of it where another process may be given one."""

    fd: int = -1
    start: int = 0

    def keep(self, fd: int, start: int) -> None:
        """Keep a descriptor for as long as this memory is mapped."""
        self.fd, self.start = os.dup(fd), start
        weakref.finalize(self, os.close, self.fd).atexit = False


def origin_of(piece: memoryview) -> tuple[Shared, int] | None:
    """Return the arena that a piece of memory lies in, and where, if it is one that others may be given."""
    found: Any = piece
    while found is not None:
        found = found.obj if isinstance(found, memoryview) else getattr(found, "base", None)
        if isinstance(found, Shared):
            where = address(np.frombuffer(piece, np.uint8)) - found.start
            return (found, where) if found.fd >= 0 else None
    return None


class Mapped:
    """An arena mapped into this process."""

    def __init__(self, fd: int, size: int, *, keep: bool = False) -> None:
        self.size = size
        self.memory = Shared(fd, size)
        self.flags: Root = np.frombuffer(self.memory, np.uint8, SLABS)
        whole: Root = np.frombuffer(self.memory, np.uint8)
        self.start = address(whole)
        if keep:
            self.memory.keep(fd, self.start)

    def lease(self, offset: int, nbytes: int) -> Root:
        """Return a fresh array over a part of the arena; its base is the mapping itself."""
        return np.frombuffer(self.memory, np.uint8, nbytes, offset)


def create(name: str, size: int) -> int:
    """Make an anonymous file in memory; return its descriptor."""
    if not hasattr(os, "memfd_create"):
        raise UnsupportedPlatform(
            "Processes needs memfd_create, which this operating system does not have. Use Threads(n) here."
        )
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def arena_size(mappings: int = 1) -> int:
    """Return how much address space an arena gets: as much as the machine has memory, within limits.

    Args:
        mappings: how many of them one process maps; where its address space is limited (``ulimit -v``, as batch systems
            do), all together get half of it.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    size = min(max(physical, 1 << 28), LARGEST)
    if sys.platform != "win32":
        for limit, share in ((resource.RLIMIT_AS, 2 * mappings), (resource.RLIMIT_FSIZE, 1)):
            allowed, _ = resource.getrlimit(limit)
            if allowed != resource.RLIM_INFINITY:
                size = min(size, max(allowed // share, 1 << 22))
    return size // PAGE * PAGE


class Arena(Memory):
    """The worker's side: cuts slabs, chooses among the free ones, and knows which the trainer still looks into."""

    def __init__(self, fd: int, size: int, *, keep: bool = False) -> None:
        self.fd = fd
        self.map = Mapped(fd, size, keep=keep)
        self.offsets: list[int] = []
        self.sizes: list[int] = []
        self.top = -(-SLABS // PAGE) * PAGE
        self.live: dict[int, weakref.ref[Root]] = {}  # slabs that something in this process still looks into
        self.hollow: set[int] = set()  # free slabs whose memory was given back
        self.lock = threading.RLock()  # a finalizer may come at any allocation

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array in shared memory, or in ordinary memory where a copy is cheaper."""
        nbytes = size_of(shape, dtype)
        if nbytes < SMALL:
            return np.empty(shape, dtype)
        return shaped(self.lease(nbytes)[1], shape, dtype)

    def lease(self, nbytes: int) -> tuple[int, Root]:
        """Return a free slab's number and a fresh array over it.

        Raises:
            MemoryError: there is neither a free slab nor room for a new one.
        """
        with self.lock:
            slab = self._find(nbytes)
            root = self.map.lease(self.offsets[slab], self.sizes[slab])
            self.live[slab] = weakref.ref(root, lambda _, slab=slab: self.live.pop(slab, None))  # type: ignore[misc]
            return slab, root

    def _find(self, nbytes: int) -> int:
        best, least = -1, rounded(nbytes)
        # The latest freed would be warmest in the cache; the lowest number is nearly that, and keeps the set small.
        for slab in self._free():
            size = self.sizes[slab]
            if nbytes <= size <= 2 * least and slab not in self.live and (best < 0 or size < self.sizes[best]):
                best = slab
                if size == least:
                    break  # none is smaller
        if best < 0:
            return self._cut(least)
        if best in self.hollow:
            os.posix_fallocate(self.fd, self.offsets[best], self.sizes[best])
            self.hollow.discard(best)
        return best

    def _free(self) -> Iterator[int]:
        """Yield the slabs that the trainer does not look into, from the lowest number on."""
        find, count = self.map.memory.find, len(self.offsets)
        slab = find(FREE, 0, count)
        while slab >= 0:
            yield slab
            slab = find(FREE, slab + 1, count)

    def _cut(self, size: int) -> int:
        count = len(self.offsets)
        if count >= SLABS or self.top + size > self.map.size:
            raise MemoryError(
                f"no room for {size:,} bytes more: this worker's shared memory holds {self.top:,} bytes. "
                "Keep fewer batches at a time, or copy those that you keep."
            )
        self._give_back(size)
        os.posix_fallocate(self.fd, self.top, size)  # full memory is an OSError here, not a SIGBUS later
        with contextlib.suppress(OSError):  # an older kernel: then pages are mapped one by one, when they are touched
            self.map.memory.madvise(MADV_POPULATE_WRITE, self.top, size)
        self.offsets.append(self.top)
        self.sizes.append(size)
        self.top += size
        return count

    def _give_back(self, size: int) -> None:
        """Return the memory of free slabs that have become too small, as they do when batches slowly grow."""
        for slab in self._free():
            if self.sizes[slab] < size and slab not in self.live and slab not in self.hollow:
                with contextlib.suppress(OSError):
                    self.map.memory.madvise(MADV_REMOVE, self.offsets[slab], self.sizes[slab])
                    self.hollow.add(slab)

    def slab_at(self, where: int, nbytes: int) -> int | None:
        """Return the slab that a stretch of memory lies in, or None where it is not the arena's."""
        offset = where - self.map.start
        if not 0 <= offset < self.top:
            return None
        low, high = 0, len(self.offsets)
        while low < high:
            middle = (low + high) // 2
            if self.offsets[middle] <= offset:
                low = middle + 1
            else:
                high = middle
        slab = low - 1
        inside = slab >= 0 and offset + nbytes <= self.offsets[slab] + self.sizes[slab]
        return slab if inside else None


class Held:
    """How much shared memory of all workers the trainer still looks into. Says so, once, when that is much."""

    def __init__(self) -> None:
        self.nbytes = 0
        self.said = False

    def add(self, nbytes: int) -> None:
        """Count a lease, or with a negative number its end."""
        self.nbytes += nbytes
        if self.nbytes > MUCH and not self.said:
            self.said = True
            logger.warning(
                "The training loop holds %.1f GB of batches. They stay valid, and the workers take new memory for the "
                "next ones, so memory grows. Keep copies of what you need, or let go of batches when they are used.",
                self.nbytes / 1e9,
            )


class Borrowed:
    """The trainer's side of an arena: leases of what a worker has lent."""

    def __init__(self, fd: int, size: int, held: Held | None = None) -> None:
        self.map = Mapped(fd, size, keep=True)
        self.held = held or Held()
        self.owner = os.getpid()

    def adopt(self, slab: int, offset: int, nbytes: int) -> Root:
        """Return an array over a lent slab; when its last view dies, the worker may use the slab again."""
        root = self.map.lease(offset, nbytes)
        self.held.add(nbytes)
        weakref.finalize(root, self.give_back, slab, nbytes).atexit = False
        return root

    def give_back(self, slab: int, nbytes: int) -> None:
        """Let the worker have a slab again. Runs when the last view dies, in whatever thread that is.

        In a fork of the trainer it does nothing: the fork's views are copies of the trainer's, who still looks.
        """
        if self.owner != os.getpid():
            return
        self.map.flags[slab] = 0
        self.held.add(-nbytes)
