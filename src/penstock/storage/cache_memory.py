"""Caches in memory: one for all workers of a machine, bounded in bytes; or the last items of each process.

    Arena     ┌ token ┐┌ bytes used ┐┌ entries, 32 bytes each ┐┌ items, one behind the other …

The arena is a file in memory that the trainer makes and the workers open; memory is taken as items come. When it is
full it stays as it is: an epoch asks for every item once, so whoever throws the oldest out to keep the newest throws
out just what will be asked for next, and finds nothing; what stays is found in every epoch.
"""

from __future__ import annotations

import os
import pickle
import struct
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from penstock.graph.caching import MISSING, Keeper, Kept, Shelf
from penstock.graph.context import empty
from penstock.graph.copies import copied
from penstock.graph.node import Node
from penstock.storage.cache_counts import ENTRY, Counts, Entry, checksum, packed, unpacked
from penstock.transport.common import TOKEN, Common
from penstock.transport.reducing import by_value

ALIGN = 64
INLINE = 1 << 12  # bytes of a buffer that stays within the pickle


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


def written(fd: int, data: bytes, at: int) -> None:
    """Write all of some bytes."""
    view = memoryview(data)
    while view.nbytes:
        done = os.pwrite(fd, view[: 1 << 30], at)
        view, at = view[done:], at + done


def frozen(value: Any) -> list[Any]:
    """Return an item as pieces of bytes: lengths, pickle, and its large buffers, each at a multiple of 64."""
    raws: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < INLINE:
            return True  # within the pickle
        raws.append(raw)
        return False

    body = by_value(value, keep)
    head = struct.pack(f"<{2 + len(raws)}q", len(body), len(raws), *[raw.nbytes for raw in raws])
    pieces: list[Any] = [head, body]
    size = len(head) + len(body)
    for raw in raws:
        gap = -size % ALIGN
        pieces += [bytes(gap), raw]
        size += gap + raw.nbytes
    return pieces


def thawed(memory: Any) -> Any:
    """Return the item; its large arrays are views of this memory, and can be written to."""
    view = memoryview(memory)
    length, count = struct.unpack_from("<2q", view)
    sizes = struct.unpack_from(f"<{count}q", view, 16)
    at = 16 + 8 * count
    body = view[at : at + length]
    at += length
    buffers = []
    for nbytes in sizes:
        at += -at % ALIGN
        buffers.append(view[at : at + nbytes])
        at += nbytes
    return pickle.loads(body, buffers=buffers)  # noqa: S301  of our own trainer and its workers, in memory


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
    """Some items, in the order of their use."""

    def __init__(self, count: int, counts: Counts | None = None) -> None:
        self.count = count
        self.items: OrderedDict[int, Any] = OrderedDict()
        self.lock = threading.Lock()
        self.counts = counts or Counts()

    def get(self, index: int) -> Any:
        """Return a copy of an item."""
        with self.lock:
            if index not in self.items:
                return MISSING
            self.items.move_to_end(index)
            value = self.items[index]
        return copied(value)

    def put(self, index: int, value: Any) -> None:
        """Keep a copy; forget what was used longest ago."""
        value = copied(value)
        with self.lock:
            self.items[index] = value
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
        return partial(Recent, self.count, self.counts.share())
