"""The pages of an LMDB file, read through a memory map, every number in them checked before it is followed.

    meta page 0 │ meta page 1 │ branch pages │ leaf pages │ overflow pages
    (two, the newer one counts) │ key → page   │ key → value, or → overflow page: 16 bytes, then the value

Liblmdb trusts its files: a truncated one ends the process with SIGBUS, a hostile one with worse. And its views are
valid only within a transaction. Here a view keeps the map alive, and neither threads nor forks can hurt. A whole leaf
page is decoded by a few vector operations, so this is no slower than liblmdb's own cursor. The layout
is that of LMDB 0.9, version 1, little-endian, unchanged since 2011.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError

Vector = NDArray[np.int64]

PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
META = struct.Struct("<IIQQ")  # magic, version, address, map size; behind the page's head
TREE = struct.Struct(
    "<IHHQQQQQ"
)  # pad (of the first: page size), flags, depth, branches, leaves, overflows, entries, root
NODE = struct.Struct("<HHHH")  # size or page: low, high; flags or page: highest; size of the key
MAGIC, VERSION = 0xBEEFC0DE, 1
BRANCH, LEAF, OVERFLOW, KINDS = 1, 2, 4, 0x6F
BIG = 1  # the flag of a value on overflow pages
NOWHERE = (1 << 64) - 1
LARGEST = 1 << 16  # bytes of a page
PATIENCE = 5.0  # seconds


def share(fd: int, path: str) -> None:
    """Hold off whoever would use old pages again; such a one holds its lock for a moment only."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreError(f"{path} has been locked for {PATIENCE} s by a process that adds to it.") from None
            time.sleep(0.001)
        except OSError:
            return  # a file system without locks, where nobody can add to a file in this way either


class Nodes(NamedTuple):
    """The entries of one page, each a row: where they begin in the file, and their fields."""

    at: Vector
    low: Vector
    flags: Vector
    keys: Vector
    """Bytes of each key, which begins 8 bytes behind ``at``."""


class Pages:
    """The pages of one file, as they are now.

    Raises:
        StoreError: it is no LMDB file, or shorter than it must be.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            share(fd, path)  # the map keeps the file open, and with it the lock
            self.size = os.fstat(fd).st_size
            if self.size < 2 * 512:
                raise StoreError(f"{path} is no LMDB file: it has {self.size} bytes.")
            self.memory = memoryview(mmap.mmap(fd, self.size, access=mmap.ACCESS_READ))
        finally:
            os.close(fd)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self.memory, np.uint8)
        self.page = self.page_size()
        newest = max(self.meta(0), self.meta(self.page))
        _, self.last, self.depth, self.entries, self.root = newest

    def page_size(self) -> int:
        """Return the bytes of a page, or refuse a file of another kind."""
        magic, version, *_ = META.unpack_from(self.memory, PAGE.size)
        (page,) = struct.unpack_from("<I", self.memory, PAGE.size + META.size)
        if magic != MAGIC:
            raise StoreError(f"{self.path} is no LMDB file: its first page has the mark {magic:#x}.")
        if version != VERSION or not 512 <= page <= LARGEST or page & (page - 1):
            raise StoreError(f"{self.path}: LMDB version {version} with pages of {page} bytes cannot be read.")
        if self.size < 2 * page:
            raise StoreError(f"{self.path} is truncated: it has {self.size} bytes of at least {2 * page}.")
        return int(page)

    def meta(self, at: int) -> tuple[int, int, int, int, int]:
        """Return a meta page's transaction, last page, and the main tree's depth, entries and root."""
        magic, version, _, _ = META.unpack_from(self.memory, at + PAGE.size)
        if magic != MAGIC or version != VERSION:
            return (-1, 0, 0, 0, NOWHERE)
        main = at + PAGE.size + META.size + TREE.size
        _, _, depth, _, _, _, entries, root = TREE.unpack_from(self.memory, main)
        last, transaction = struct.unpack_from("<QQ", self.memory, main + TREE.size)
        return transaction, last, depth, entries, root

    def corrupt(self, page: int, what: str) -> StoreError:
        """Return the error that names a page."""
        if (page + 1) * self.page > self.size:
            need = (self.last + 1) * self.page
            return StoreError(f"{self.path} is truncated: it has {self.size} bytes, and its pages need {need}.")
        return StoreError(f"{self.path} is corrupt: page {page} {what}.")

    def nodes(self, page: int, kind: int) -> Nodes:
        """Return the entries of a branch or leaf page."""
        at = page * self.page
        if not 1 < page <= self.last or at + self.page > self.size:
            raise self.corrupt(page, "lies outside")
        number, _, flags, lower, _ = PAGE.unpack_from(self.memory, at)
        if number != page or flags & KINDS != kind:
            raise self.corrupt(page, f"has number {number} and flags {flags:#x}")
        if not PAGE.size <= lower <= self.page or lower & 1:
            raise self.corrupt(page, f"has an end of {lower}")
        words = np.frombuffer(self.memory, "<u2", self.page >> 1, at)
        starts = words[PAGE.size >> 1 : lower >> 1].astype(np.int64)
        if len(starts) and (starts.min() < lower or starts.max() > self.page - NODE.size or (starts & 1).any()):
            raise self.corrupt(page, "has entries outside")
        first = starts >> 1
        keys = words[first + 3].astype(np.int64)
        if len(starts) and (starts + NODE.size + keys).max() > self.page:
            raise self.corrupt(page, "has keys outside")
        low = words[first].astype(np.int64) | words[first + 1].astype(np.int64) << 16
        return Nodes(starts + at, low, words[first + 2].astype(np.int64), keys)

    def children(self, page: int) -> tuple[Nodes, Vector]:
        """Return the entries of a branch page and the pages that they lead to."""
        nodes = self.nodes(page, BRANCH)
        if not len(nodes.at):
            raise self.corrupt(page, "is a branch without leaves")
        return nodes, nodes.low | nodes.flags << 32

    def values(self, page: int) -> tuple[Nodes, Vector]:
        """Return the entries of a leaf page and where their values begin in the file: ``low`` is how long they are."""
        nodes = self.nodes(page, LEAF)
        at, low, flags, keys = nodes
        if (flags & ~BIG).any():
            raise StoreError(f"{self.path} has named databases or several values for a key, which cannot be read here.")
        starts = at + NODE.size + keys
        big = flags & BIG > 0
        if (starts + np.where(big, 8, low) > (page + 1) * self.page).any():
            raise self.corrupt(page, "has values outside")
        if big.any():
            numbers = self.words(starts[big])
            if numbers.min() < 2 or numbers.max() > self.last:
                raise self.corrupt(page, "has values on pages that are none")
            starts[big] = numbers * self.page + PAGE.size
            if (starts + low).max() > self.size:
                raise self.corrupt(int(numbers.max()) + int(low.max()) // self.page, "is missing")
        return nodes, starts

    def words(self, at: Vector) -> Vector:
        """Return the eight bytes at each place as one number."""
        found: Vector = self.bytes[at[:, None] + np.arange(8)].view("<i8").reshape(-1)
        return found.astype(np.int64)

    def key(self, nodes: Nodes, number: int) -> bytes:
        """Return a key."""
        at = int(nodes.at[number]) + NODE.size
        return bytes(self.memory[at : at + int(nodes.keys[number])])

    def find(self, key: bytes) -> memoryview | None:
        """Return the value of a key."""
        if self.root == NOWHERE:
            return None
        page = self.root
        for _ in range(self.levels()):
            nodes, pages = self.children(page)
            page = int(pages[max(0, self.bisect(nodes, key, 1) - 1)])
        nodes, starts = self.values(page)
        place = self.bisect(nodes, key, 0)
        if place and self.key(nodes, place - 1) == key:
            start = int(starts[place - 1])
            return self.memory[start : start + int(nodes.low[place - 1])]
        return None

    def bisect(self, nodes: Nodes, key: bytes, low: int) -> int:
        """Return how many keys are not above a key. The first key of a branch page is not written down."""
        high = len(nodes.at)
        while low < high:
            middle = (low + high) // 2
            if self.key(nodes, middle) <= key:
                low = middle + 1
            else:
                high = middle
        return low

    def levels(self) -> int:
        """Return how many levels of branch pages there are."""
        if not 1 <= self.depth <= 32:
            raise StoreError(f"{self.path} is corrupt: its tree has {self.depth} levels.")
        return self.depth - 1

    def leaves(self) -> tuple[Vector, NDArray[np.uint64]]:
        """Return the leaf pages in the order of their keys, and the first eight bytes of the key that each begins with.

        The first leaf has 0 there. Only branch pages are read: there are as many as leaves divided by some hundred.
        """
        if self.root == NOWHERE:
            return np.empty(0, np.int64), np.empty(0, np.uint64)
        pages, firsts = np.array([self.root], np.int64), np.zeros(1, np.uint64)
        for _ in range(self.levels()):
            below: list[Any] = []
            total = 0
            for page, first in zip(pages.tolist(), firsts, strict=True):
                nodes, children = self.children(page)
                begins = self.begins(nodes)
                begins[0] = first
                below.append((children, begins))
                total += len(children)
                if total > self.last:
                    raise StoreError(f"{self.path} is corrupt: its branches lead to more leaves than there are pages.")
            pages = np.concatenate([children for children, _ in below])
            firsts = np.concatenate([begins for _, begins in below])
        return pages, firsts

    def begins(self, nodes: Nodes) -> NDArray[np.uint64]:
        """Return the first eight bytes of each key, as one number; of shorter ones, zeros follow."""
        limit = len(self.bytes) - 1
        at = np.minimum(nodes.at[:, None] + NODE.size + np.arange(8), limit)
        text = np.where(np.arange(8) < nodes.keys[:, None], self.bytes[at], 0).astype(np.uint8)
        return text.view(">u8").reshape(-1).astype(np.uint64)
