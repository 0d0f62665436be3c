"""Reading of the LMDB files that Penstock wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.errors import CorruptRecord, StoreError
from penstock.graph.checking import short
from penstock.graph.storing import Reader
from penstock.storage.lmdb_format import CHECKSUM, NAMES, TOGETHER, VERSION, checksum_of
from penstock.storage.lmdb_pages import Pages
from penstock.transport.record import decode, encode

if TYPE_CHECKING:
    from penstock.graph.node import Indices

OTHERS = 1 << 63  # eight bytes of a key that is no position
STRING = encode(b"")  # the record of a byte string is this, its two lengths put in, and the string
TOTAL, LENGTH = slice(8, 16), slice(len(STRING) - 8, len(STRING))  # where those stand


class Places:
    """Where the values of consecutive positions lie in the file; a leaf page is looked at when it is needed first."""

    def __init__(self, pages: Pages, count: int, *, numbered: bool) -> None:
        self.pages = pages
        self.count = count
        self.numbered = numbered
        self.starts = np.zeros(count, np.int64)  # untouched memory costs nothing
        self.sizes = np.zeros(count, np.int64)
        self.leaves, firsts = pages.leaves()
        if numbered:
            inside = firsts < OTHERS
            self.leaves, self.firsts = self.leaves[inside], firsts[inside].astype(np.int64)
            if count and (self.firsts[0] or (np.diff(self.firsts) <= 0).any() or self.firsts[-1] >= count):
                raise StoreError(f"{pages.path} is corrupt: its branches do not lead to positions 0 to {count - 1}.")

    def load(self, indices: Any) -> None:
        """Look at the leaves of some positions, all of them within ``count``."""
        for leaf in np.unique(np.searchsorted(self.firsts, indices, "right") - 1).tolist():
            self.load_leaf(leaf)

    def load_leaf(self, leaf: int) -> None:
        """Look at one leaf."""
        page = int(self.leaves[leaf])
        nodes, starts = self.pages.values(page)
        first = int(self.firsts[leaf])
        stop = int(self.firsts[leaf + 1]) if leaf + 1 < len(self.firsts) else self.count
        wanted = stop - first
        if len(starts) < wanted or not np.array_equal(
            self.pages.begins(nodes)[:wanted], np.arange(first, stop, dtype=np.uint64)
        ):
            raise self.pages.corrupt(page, f"does not hold the positions {first} to {stop - 1}")
        self.sizes[first:stop] = nodes.low[:wanted]
        self.starts[first:stop] = starts[:wanted]  # last: whoever sees a start finds the size


class LmdbReader(Reader):
    """A file that ``save`` wrote."""

    def __init__(self, pages: Pages, meta: dict[str, Any], copy: bool | None, verify: str) -> None:  # noqa: FBT001
        self.path = pages.path
        self.pages = pages
        self.meta = meta
        self.count = checked_meta(meta, pages)
        self.tag = str(meta["tag"])
        self.copy = copy
        self.verify = verify
        kind = None if verify == "never" else meta["checksum"]
        self.check = None if kind is None else checksum_of(kind, self.path)
        self.tail = CHECKSUM if meta["checksum"] is not None else 0
        strings = meta["values"] != "bytes" and meta["schema"] == ["b"]
        self.head = len(STRING) if strings else 0  # bytes before each byte string, which nobody need decode
        self.plain = strings or meta["values"] == "bytes"
        self.places = Places(pages, self.count, numbered=True)
        self.fresh = np.full(self.count, strings or self.check is not None)  # those to be looked at closely
        self.whole = self.make_whole()
        self.each = self.make_each()

    def make_whole(self) -> Callable[[int, int], Any]:
        """Return the function that makes an item of a record."""
        memory, array, copy = self.pages.memory, self.pages.bytes, self.copy
        if not self.plain or self.head:
            views, copied = copy is False, copy is True
            return lambda start, end: decode(memory[start:end], views=views, copy=copied)
        if copy is False:
            return lambda start, end: array[start:end]
        return lambda start, end: bytes(memory[start:end])

    def make_each(self) -> Callable[[list[int], list[int]], list[Any]]:
        """Return the function that makes items of records that were looked at before."""
        memory, array, whole = self.pages.memory, self.pages.bytes, self.whole
        if not self.plain:
            return lambda starts, ends: [whole(start, end) for start, end in zip(starts, ends, strict=True)]
        if self.copy is False:
            return lambda starts, ends: [array[start:end] for start, end in zip(starts, ends, strict=True)]
        return lambda starts, ends: [bytes(memory[start:end]) for start, end in zip(starts, ends, strict=True)]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        places = self.places
        if not places.starts[index]:
            places.load_leaf(int(places.firsts.searchsorted(index, "right")) - 1)
        return self.item(index, int(places.starts[index]), int(places.sizes[index]))

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many items; places are looked up by vectors."""
        if not len(indices):
            return []
        places = self.places
        where: Any = indices
        if isinstance(indices, range):
            stop = indices.stop if indices.stop >= 0 else None
            where = slice(indices.start, stop, indices.step)
        starts = places.starts[where]
        if not starts.all():
            places.load(np.asarray(indices))
            starts = places.starts[where]
        sizes = places.sizes[where]
        if self.fresh[where].any():
            pairs = zip(indices, starts.tolist(), sizes.tolist(), strict=True)
            return [self.item(int(index), start, size) for index, start, size in pairs]
        ends = (starts + (sizes - self.tail)).tolist()
        try:
            return self.each((starts + self.head).tolist(), ends)
        except CorruptRecord:  # which one? They are verified once only
            return [self[int(index)] for index in indices]

    def item(self, index: int, start: int, size: int) -> Any:
        """Verify a record where that is due, and decode it."""
        end = start + size - self.tail
        if end < start:
            raise CorruptRecord(f"record {index} of {self.path} has {size} bytes, fewer than its checksum.")
        fresh = self.fresh[index]
        if fresh and self.check is not None:
            self.verify_record(index, start, end)
        try:
            item = self.whole(start, end)
        except CorruptRecord as error:
            raise CorruptRecord(f"record {index} of {self.path}: {error}") from error
        if fresh and self.verify != "always" and (not self.head or is_string(self.pages.memory[start:end])):
            self.fresh[index] = False
        return item

    def verify_record(self, index: int, start: int, end: int) -> None:
        """Compare a record with its checksum."""
        memory = self.pages.memory
        assert self.check is not None
        found = self.check(memory[start:end], index)
        wanted = int.from_bytes(memory[end : end + CHECKSUM], "little")
        if found != wanted:
            raise CorruptRecord(
                f"record {index} of {self.path} is corrupt: its {self.meta['checksum']} checksum is {found:#x} and was "
                f"{wanted:#x} when it was written."
            )

    def key(self, index: int) -> str | None:
        """Return the record's own key."""
        if not self.meta["keys"]:
            return None
        chunk = self.pages.find(NAMES + (index // TOGETHER).to_bytes(4, "big"))
        return None if chunk is None else str(decode(bytes(chunk))[index % TOGETHER])

    def schema(self) -> Any:
        """Return the structures that the records have."""
        return self.meta["schema"]

    def close(self) -> None:
        """Do nothing: the map goes with the last view of it."""


def is_string(record: memoryview) -> bool:
    """Tell whether a record is that of a byte string."""
    head = bytearray(STRING)
    head[TOTAL] = len(record).to_bytes(8, "little")
    head[LENGTH] = (len(record) - len(STRING)).to_bytes(8, "little", signed=True)
    return record[: len(STRING)] == head


def checked_meta(meta: Any, pages: Pages) -> int:
    """Return the number of records, or refuse a meta record that cannot be."""
    fields = {"penstock", "version", "count", "values", "checksum", "tag", "schema", "keys"}
    if not isinstance(meta, dict) or not fields <= meta.keys() or meta["penstock"] != "lmdb":
        raise StoreError(f"{pages.path} is corrupt: its record about itself is {short(meta)}.")
    if meta["version"] != VERSION:
        raise StoreError(f"{pages.path} has version {meta['version']!r}; this Penstock reads version {VERSION}.")
    count = meta["count"]
    if type(count) is not int or not 0 <= count < pages.entries:
        raise StoreError(f"{pages.path} is corrupt: it says that it has {short(count)} of {pages.entries} entries.")
    return count
