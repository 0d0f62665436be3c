"""Caches in memory: one for all workers of a machine, bounded in bytes; or the last items of each process.

    Arena     ┌ token ┐┌ bytes used ┐┌ entries, 32 bytes each ┐┌ items, one behind the other …

The arena is a file in memory that the trainer makes and the workers open; memory is taken as items come. When it is
full it stays as it is: an epoch asks for every item once, so whoever throws the oldest out to keep the newest throws
out just what will be asked for next, and finds nothing; what stays is found in every epoch.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from penstock.graph.caching import MISSING, Keeper, Kept, Shelf
from penstock.graph.context import empty
from penstock.graph.copies import copied
from penstock.graph.node import Node
from penstock.storage.cache_counts import ENTRY, Counts, Entry, checksum, packed, unpacked
from penstock.storage.cache_freezing import ALIGN, frozen, thawed, written
from penstock.storage.cache_neighbours import Neighbours, neighbours
from penstock.transport.common import TOKEN, Common


class Shared(Keeper):
    """In memory that all workers of this machine share, up to a number of bytes."""

    def __init__(self, nbytes: int, written: object) -> None:
        self.nbytes = nbytes
        self.written = written
        self.reset()

    def reset(self) -> None:
        """Begin in a process."""
        self.lock = threading.Lock()
        self.last: tuple[Node, Shelf] | None = None
        self.others: weakref.WeakValueDictionary[int, Shelf] = weakref.WeakValueDictionary()
        self.nodes: dict[int, Node] = {}

    def label(self) -> str:
        """Return the bytes as they were written."""
        return f"memory={self.written!r}"

    def shelf(self, node: Node) -> Shelf:
        """Return the arena of a description in this process: that of the one used last is held here."""
        with self.lock:
            for number, other in list(self.nodes.items()):
                shelf = self.others.get(number)
                if shelf is None:
                    del self.nodes[number]
                elif other == node:
                    self.last = (node, shelf)
                    return shelf
            made = Arena(node.length() or 0, self.nbytes)
            self.others[id(made)] = made
            self.nodes[id(made)] = node
            self.last = (node, made)
            return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shared) and self.nbytes == other.nbytes

    def __hash__(self) -> int:
        return hash(self.nbytes)

    def __getstate__(self) -> dict[str, Any]:
        return {"nbytes": self.nbytes, "written": self.written}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()


class Arena(Shelf):
    """Items as pickles with their arrays beside them, in memory that processes share."""

    def __init__(self, count: int, nbytes: int) -> None:
        self.count = count
        self.limit = nbytes
        self.start = -(-(TOKEN + 8 + count * ENTRY.size) // ALIGN) * ALIGN
        self.common = Common("penstock-cache", self.start + nbytes)
        self.counts = Counts().share()
        self.reset()

    def reset(self) -> None:
        """Begin in a process."""
        self.verified = bytearray(self.count)
        self.sum = checksum()[1]

    def get(self, index: int) -> Any:
        """Read an item into memory of its own, from which it travels without another copy."""
        fd = self.common.fd
        entry = unpacked(index, os.pread(fd, ENTRY.size, TOKEN + 8 + index * ENTRY.size))
        if entry is None or entry.where + entry.nbytes > self.limit:
            return MISSING
        memory = empty(entry.nbytes, np.uint8)
        if os.preadv(fd, [memory.data], self.start + entry.where) != entry.nbytes:
            return MISSING
        if not self.verified[index]:
            if self.sum(memory.data) != entry.check:
                return MISSING
            self.verified[index] = 1
        return thawed(memory)

    def put(self, index: int, value: Any) -> None:
        """Keep an item, if it fits."""
        parts = frozen(value)
        data = b"".join(parts)
        size = -(-len(data) // ALIGN) * ALIGN
        with self.common.locked() as fd:
            used = int.from_bytes(os.pread(fd, 8, TOKEN), "little")
            if used + size > self.limit:
                return
            os.pwrite(fd, (used + size).to_bytes(8, "little"), TOKEN)
        try:
            written(fd, data, self.start + used)
        except OSError:  # the machine has no more memory to give
            return
        entry = Entry(used, len(data), self.sum(data))
        os.pwrite(fd, packed(index, entry), TOKEN + 8 + index * ENTRY.size)

    def note(self, found: int, missed: int) -> None:
        """Count."""
        self.counts.note(found, missed)

    def kept(self, step: str) -> Kept:
        """Return how it went in all processes."""
        used = int.from_bytes(os.pread(self.common.fd, 8, TOKEN), "little")
        return Kept(step, *self.counts.total(), used, self.limit)

    def ticket(self) -> Callable[[], Shelf]:
        """Return this: it is opened when it is used."""
        return partial(same, self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in {"verified", "sum"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()


def same(shelf: Shelf) -> Shelf:
    """Return a shelf: what a ticket of one that travels by itself does."""
    return shelf


class Last(Keeper):
    """The items used last, in each process for itself."""

    bounded = False

    def __init__(self, count: int) -> None:
        self.count = count

    def label(self) -> str:
        """Return the count."""
        return f"count={self.count}"

    def shelf(self, node: Node) -> Shelf:
        """Return an empty shelf."""
        return Recent(self.count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Last) and self.count == other.count

    def __hash__(self) -> int:
        return hash(self.count)


class Recent(Shelf):
    """Some items, in the order of their use; in a worker, together with what its neighbours have just computed."""

    def __init__(self, count: int, counts: Counts | None = None, others: Neighbours | None = None) -> None:
        self.count = count
        self.items: OrderedDict[int, tuple[Any, bool]] = OrderedDict()  # and whether readers share it
        self.lock = threading.Lock()
        self.counts = counts or Counts()
        self.others = others
        self.sent: Neighbours | None = None

    @property
    def singly(self) -> bool:
        """Whether another worker may have an item, or be at it."""
        return self.others is not None and self.others.wanted

    def missing(self, index: int, compute: Callable[[], Any]) -> Any:
        """Take an item from another worker; else compute it, while those who want it, too, wait."""
        others = self.others
        if others is None or not others.wanted:
            return super().missing(index, compute)
        with others.alone(index):
            value = others.find(index)
            found = value is not MISSING
            if found:
                self.put(index, value)
            else:
                began = time.perf_counter()
                value = compute()
                seconds = time.perf_counter() - began
                self.put(index, value)
                if self.items.get(index, (None, True))[1]:  # what readers share, or read but once, is no copy elsewhere
                    others.stop()
                else:
                    others.offer(index, value, seconds)
        self.note(found, not found)
        return value

    def get(self, index: int) -> Any:
        """Return an item, its copy as a rule."""
        with self.lock:
            if index not in self.items:
                return MISSING
            self.items.move_to_end(index)
            value, shared = self.items[index]
        return value if shared else copied(value)

    def put(self, index: int, value: Any) -> None:
        """Keep a copy, or the item itself where there is none to be had; forget what was used longest ago."""
        shared = type(value) is np.memmap and not value.flags.writeable  # a copy would read all of the file
        try:
            value = value if shared else copied(value)
        except Exception:  # noqa: BLE001  whatever an object raises
            if isinstance(value, Iterator):  # open files, too: they are read but once, so each reader gets a fresh one
                return
            shared = True
        with self.lock:
            self.items[index] = value, shared
            while len(self.items) > self.count:
                self.items.popitem(last=False)

    def forget(self, index: int) -> bool:
        """Forget an item."""
        with self.lock:
            self.items.pop(index, None)
        return True

    def note(self, found: int, missed: int) -> None:
        """Count."""
        self.counts.note(found, missed)

    def kept(self, step: str) -> Kept:
        """Return how it went in all processes."""
        return Kept(step, *self.counts.total(), None)

    def ticket(self) -> Callable[[], Shelf]:
        """Return what makes an empty shelf that counts together with this one."""
        # For each loader, since what it sends may have been assigned to. Held here: what is gone cannot be opened.
        self.sent = neighbours()
        return partial(Recent, self.count, self.counts.share(), self.sent)
