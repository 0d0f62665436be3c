"""Shards: numbered records of several files, which are mapped, or unpacked, a limited number at a time.

records    0 ────────── 999 │ 1000 ─────── 1799 │ 1800 …
           shard 0, its own     shard 1, its own
           records 0 … 999      records 0 … 799
"""

from __future__ import annotations

import bisect
import itertools
import mmap
import os
import resource
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from penstock.errors import StoreError
from penstock.graph.storing import Reader
from penstock.storage.patterns import files

T = TypeVar("T")

UNPACKED = 1 << 30  # bytes of unpacked shards that a process keeps


class Sharded(Reader):
    """A store whose records are in several files, in the order of these."""

    def __init__(self, path: str, shards: Sequence[str], counts: Sequence[int]) -> None:
        self.path = path
        self.shards = shards
        self.firsts = [0, *itertools.accumulate(counts)]

    def __len__(self) -> int:
        return self.firsts[-1]

    def __getitem__(self, index: int) -> Any:
        shard = bisect.bisect_right(self.firsts, index) - 1
        return self.record(shard, index - self.firsts[shard])

    @abstractmethod
    def record(self, shard: int, number: int) -> Any:
        """Return a shard's record."""

    def key(self, index: int) -> str | None:
        """Return which record of which file it is, where there are several."""
        if len(self.shards) == 1:
            return None
        shard = bisect.bisect_right(self.firsts, index) - 1
        return f"record {index - self.firsts[shard]} of {os.path.basename(self.shards[shard])}"

    def named(self, shard: int, number: int) -> str:
        """Return what a record is called in errors."""
        return f"record {number} of {self.shards[shard]}"


class Kept(Generic[T]):
    """What is loaded of a store, part by part, as long as there is room; what was not used for longest goes first.

    Items that view its memory keep that alive, whether it is still kept here or not.

    Args:
        load: loads one shard.
        count: how many are kept; by default an eighth of the descriptors that the process may have: a map holds one.
        nbytes: how many bytes are kept, instead; at least one shard is.
        size: says how many bytes a shard has.
    """

    def __init__(
        self,
        load: Callable[[int], T],
        *,
        count: int | None = None,
        nbytes: int | None = None,
        size: Callable[[T], int] = len,  # type: ignore[assignment]
    ) -> None:
        self.load = load
        self.count = count
        if count is None and nbytes is None:
            self.count = max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
        self.nbytes = nbytes
        self.size = size
        self.kept: OrderedDict[int, T] = OrderedDict()
        self.total = 0
        self.lock = threading.Lock()
        self.loading: dict[int, threading.Lock] = {}

    def __getitem__(self, shard: int) -> T:
        with self.lock:
            memory = self.kept.get(shard)
            if memory is not None:
                self.kept.move_to_end(shard)
                return memory
            loading = self.loading.setdefault(shard, threading.Lock())
        with loading:  # of a shard that several threads want, one does the work; other shards do not wait
            memory = self.kept.get(shard)
            if memory is None:
                memory = self.load(shard)
                with self.lock:
                    self.keep(shard, memory)
        return memory

    def keep(self, shard: int, memory: T) -> None:
        """Keep a shard, and let go of others."""
        self.kept[shard] = memory
        self.total += 0 if self.nbytes is None else self.size(memory)
        self.loading.pop(shard, None)
        while len(self.kept) > 1 and self.crowded():
            _, gone = self.kept.popitem(last=False)
            self.total -= 0 if self.nbytes is None else self.size(gone)

    def crowded(self) -> bool:
        """Tell whether there is more than there is room for."""
        return (self.count is not None and len(self.kept) > self.count) or (
            self.nbytes is not None and self.total > self.nbytes
        )


def mapped(path: str, size: int | None = None) -> memoryview:
    """Map a file.

    Args:
        path: the file.
        size: how many bytes it must have: it may have been replaced since somebody looked.
    """
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno()).st_size
            if size is not None and found != size:
                raise StoreError(f"{path} has {found} bytes where there should be {size}: it is truncated, or another.")
            return memoryview(mmap.mmap(file.fileno(), found, access=mmap.ACCESS_READ) if found else b"")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}.") from error


def shards_of(path: str) -> list[str]:
    """Return the files of a pattern; without a folder, which is none of them."""
    found = files(path)
    for one in found:
        if os.path.isdir(one):
            raise StoreError(f"{one} is a folder. Open the files in it: {os.path.join(one, '*')!r}.")
    return found
