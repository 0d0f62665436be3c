"""Reading of tar archives: at random through their indices and maps, or from the front."""

from __future__ import annotations

import bisect
import bz2
import gzip
import itertools
import lzma
import mmap
import os
import resource
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from penstock.errors import CorruptRecord, StateError, StoreError
from penstock.graph.storing import Reader, Tape, sampled
from penstock.storage.extensions import Decoder, Extensions
from penstock.storage.kept_index import Stamp, stamp
from penstock.storage.tar_index import Index, Vector, cut, split
from penstock.storage.tar_members import Archive, Buffer, Member, Truncated, text_of

if TYPE_CHECKING:
    from penstock.graph.node import Indices

KEY = "__key__"
SHARDS = 48  # bits of a position that say where in an archive it is; those above say in which
LEAST = 16  # maps that are open at once, if more are not too many for the process
PIECE = 1 << 24  # bytes that are read at once, so that a size that a header claims costs nothing
LARGEST = 1 << 32  # bytes of a member of a compressed archive, which may claim to unpack to anything
PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}

Plan = list[tuple[str, Decoder, int]]
"""Of one layout: the fields that are read, how, and the number of each one's member."""


class Fields:
    """Which members of a record become which fields of an item."""

    def __init__(self, wanted: Sequence[str] | None, extensions: Extensions) -> None:
        self.wanted = wanted
        self.extensions = extensions
        self.keyed = wanted is None or KEY in wanted

    def plan(self, layout: Sequence[str]) -> Plan | str:
        """Return the plan for records of a layout, or what is wrong with them."""
        if len(set(layout)) < len(layout) or KEY in layout:
            twice = next((name for k, name in enumerate(layout) if name in layout[:k]), KEY)
            return f"has more than one member .{twice}"
        names = layout if self.wanted is None else [name for name in self.wanted if name != KEY]
        missing = [name for name in names if name not in layout]
        if missing:
            return f"has no member .{missing[0]}; it has {', '.join('.' + name for name in layout)}"
        decoder = self.extensions.decoder
        return [(name, decoder(name), layout.index(name)) for name in names]


class Maps:
    """Maps of archives, a limited number at a time; what is still looked at stays valid when its map is dropped."""

    def __init__(self, paths: Sequence[str], stamps: Sequence[Stamp]) -> None:
        self.paths = paths
        self.stamps = stamps
        self.open: dict[int, memoryview] = {}
        self.limit = max(LEAST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
        self.lock = threading.Lock()

    def __getitem__(self, shard: int) -> memoryview:
        memory = self.open.get(shard)
        return self.map(shard) if memory is None else memory

    def map(self, shard: int) -> memoryview:
        """Map an archive, and drop another one where there are too many."""
        path = self.paths[shard]
        with open(path, "rb") as file:
            if stamp(file.fileno()) != self.stamps[shard]:
                raise StoreError(f"{path} has been changed since it was opened. Open it again: penstock.open(path).")
            empty = not self.stamps[shard].size
            memory = memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        with self.lock:
            while len(self.open) >= self.limit:
                self.open.pop(next(iter(self.open)))
            return self.open.setdefault(shard, memory)


class TarReader(Reader):
    """Archives one behind the other, their records at random."""

    def __init__(self, paths: Sequence[str], indices: Sequence[Index], fields: Fields) -> None:
        self.paths = paths
        self.indices = indices
        self.maps = Maps(paths, [index.stamp for index in indices])
        self.tag = together([index.tag for index in indices])
        self.stops = list(itertools.accumulate(index.count for index in indices))
        self.keyed = fields.keyed
        layouts = {layout for index in indices for layout in index.layouts}
        known = {layout: fields.plan(layout) for layout in layouts}
        self.plans = [[known[layout] for layout in index.layouts] for index in indices]

    def __len__(self) -> int:
        return self.stops[-1]

    def find(self, index: int) -> tuple[int, int]:
        """Return the archive of a record, and its number there."""
        shard = bisect.bisect_right(self.stops, index)
        return shard, index - (self.stops[shard - 1] if shard else 0)

    def __getitem__(self, index: int) -> Any:
        shard, number = self.find(index)
        table = self.indices[shard]
        memory = self.maps[shard]
        plan = self.plans[shard][table.kinds.item(number)]
        item = {KEY: self.key_of(shard, number)} if self.keyed else {}
        if isinstance(plan, str):
            raise CorruptRecord(f"{self.name(shard, number)} {plan}.")
        first = table.firsts.item(number)
        for name, decoder, member in plan:
            start = table.starts.item(first + member)
            data = memory[start : start + table.sizes.item(first + member)]
            try:
                item[name] = decoder(data)
            except Exception as error:
                raise undecodable(error, self.name(shard, number, name)) from error
        return item

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return many items. Neighbours, and whatever is in one archive, are looked up by vectors."""
        if isinstance(indices, range):
            if indices.step == 1 and len(indices) > 1:
                return self.run(indices.start, indices.stop)
        elif len(self.indices) == 1 and len(indices) > 1:
            return self.gather(0, indices, 0)
        else:
            indices = indices.tolist()
        return [self[index] for index in indices]

    def run(self, start: int, stop: int) -> list[Any]:
        """Return the items from one to another."""
        items: list[Any] = []
        while start < stop:
            shard, number = self.find(start)
            end = min(stop, self.stops[shard])
            items += self.gather(shard, slice(number, number + end - start), start - number)
            start = end
        return items

    def gather(self, shard: int, where: slice | Vector, before: int) -> list[Any]:
        """Return items of one archive, ``before`` whose first record so many others stand."""
        table, memory, plans, keyed = self.indices[shard], self.maps[shard], self.plans[shard], self.keyed
        firsts = table.firsts[:-1][where]
        counts = table.firsts[1:][where] - firsts
        stops = counts.cumsum()
        flat = np.repeat(firsts - stops + counts, counts) + np.arange(counts.sum())
        starts = table.starts[flat].tolist()
        sizes = table.sizes[flat].tolist()
        keys = self.keys(table, where) if keyed else itertools.repeat("")
        items = []
        try:
            for key, kind, at in zip(keys, table.kinds[where].tolist(), (stops - counts).tolist(), strict=keyed):
                item = {KEY: key} if keyed else {}
                for name, decoder, member in plans[kind]:
                    start = starts[at + member]
                    item[name] = decoder(memory[start : start + sizes[at + member]])
                items.append(item)
        except Exception:  # noqa: BLE001  raised again, with the record's name, by the next line
            numbers = range(table.count)[where] if isinstance(where, slice) else where.tolist()
            items.append(self[before + numbers[len(items)]])
            return items + [self[before + number] for number in numbers[len(items) :]]
        return items

    def keys(self, table: Index, where: slice | Vector) -> list[str]:
        """Return the keys of some records."""
        starts, stops = table.ends[:-1][where].tolist(), table.ends[1:][where].tolist()
        text = table.text.data
        return [text_of(bytes(text[start:stop])) for start, stop in zip(starts, stops, strict=True)]

    def key_of(self, shard: int, number: int) -> str:
        """Return a record's key."""
        table = self.indices[shard]
        return text_of(table.text[table.ends.item(number) : table.ends.item(number + 1)].tobytes())

    def key(self, index: int) -> str:
        """Return a record's key; behind its archive's name, where there are several."""
        shard, number = self.find(index)
        key = self.key_of(shard, number)
        return key if len(self.paths) == 1 else f"{os.path.basename(self.paths[shard])}: {key}"

    def name(self, shard: int, number: int, extension: str | None = None) -> str:
        """Return what errors call a record, or a member of it."""
        record = f"record {number + (self.stops[shard - 1] if shard else 0)}, {self.key_of(shard, number)!r}"
        member = "" if extension is None else f", member .{extension}"
        return f"{record}, of {self.paths[shard]}{member}"

    def schema(self) -> Any:
        """Return the layouts: the extensions that the members of a record have."""
        return sorted({layout for index in self.indices for layout in index.layouts})

    def close(self) -> None:
        """Do nothing: a map goes with the last view of it."""


def together(tags: Sequence[str]) -> str:
    """Return what stands for the content of several archives: the same, in whichever way they are read."""
    return tags[0] if len(tags) == 1 else f"{zlib.crc32(' '.join(tags).encode()):08x} of {len(tags)}"


def undecodable(error: Exception, name: str) -> Exception:
    """Return the error of a member that is not what its extension says."""
    if isinstance(error, (ImportError, MemoryError)):  # of the machine, not of the file
        return error
    return CorruptRecord(f"{name}: {type(error).__name__}: {error}")


# ---------------------------------------------------------------------------------------------------- from the front


class Forward:
    """A file that is read from the front, compressed or not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.packed = packing(path)
        self.file: IO[bytes] = open(path, "rb") if self.packed is None else self.packed(path, "rb")  # noqa: SIM115
        self.size = os.fstat(self.file.fileno()).st_size if self.packed is None else None

    def take(self, at: int, size: int) -> Buffer:
        """Return so many bytes from a place on, fewer at the end of the file."""
        try:
            if self.file.tell() != at:
                self.file.seek(at)
            if size <= PIECE:
                return self.file.read(size)
            found = bytearray()
            while len(found) < size and (piece := self.file.read(min(PIECE, size - len(found)))):
                found += piece
            return bytes(found)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise CorruptRecord(
                f"{self.path} is truncated or corrupt near byte {at} of what it unpacks to: {error}"
            ) from error


def packing(path: str) -> Any:
    """Return the function that opens a compressed file, or None for one that is not."""
    with open(path, "rb") as file:
        start = file.read(6)
    return next((opener for mark, opener in PACKED.items() if start.startswith(mark)), None)


class TarTape(Tape):
    """Archives one behind the other, from the front. A position is the number of one and a place in it."""

    def __init__(self, paths: Sequence[str], fields: Fields, *, keep: bool) -> None:
        self.paths = paths
        self.fields = fields
        self.keep = keep
        self.tag = together([sampled(path) for path in paths])
        self.plans: dict[tuple[str, ...], Plan | str] = {}

    def read(self, position: int) -> Iterator[tuple[Any, int]]:
        """Yield items with the position behind each."""
        shard, place = position >> SHARDS, position & (1 << SHARDS) - 1
        if not 0 <= shard <= len(self.paths):
            raise StateError(f"a position in archive {shard} of {len(self.paths)} cannot be.")
        for number in range(shard, len(self.paths)):
            forward = Forward(self.paths[number])
            with forward.file:
                for item, behind in self.records(forward, place):
                    yield item, (number + 1 << SHARDS) if behind is None else number << SHARDS | behind
            place = 0

    def records(self, forward: Forward, place: int) -> Iterator[tuple[Any, int | None]]:
        """Yield the items of one archive, and where each next one begins."""
        key: bytes | None = None
        row: list[tuple[str, memoryview]] = []
        try:
            for member in Archive(forward.take, forward.path).members(place):
                parts = split(member.name)
                if parts is None:
                    continue
                if key is not None and parts[0] != key:
                    yield self.item(key, row, forward.path), member.place
                    row = []
                key = parts[0]
                row.append((parts[1], self.data(forward, member)))
        except Truncated:
            if not self.keep:
                raise
            return
        if key is not None:
            yield self.item(key, row, forward.path), None

    def data(self, forward: Forward, member: Member) -> memoryview:
        """Return a member's bytes."""
        if forward.size is not None and member.start + member.size > forward.size:
            raise cut(forward.path, member, forward.size)
        if member.size > LARGEST and forward.size is None:
            raise StoreError(f"{forward.path}: member {text_of(member.name)!r} says that it has {member.size} bytes.")
        found = memoryview(forward.take(member.start, member.size))
        if len(found) < member.size:
            raise cut(forward.path, member, member.start + len(found))
        return found

    def item(self, key: bytes, row: list[tuple[str, memoryview]], path: str) -> dict[str, Any]:
        """Return a record's item."""
        layout = tuple([name for name, _ in row])
        plan = self.plans.get(layout)
        if plan is None:
            plan = self.plans[layout] = self.fields.plan(layout)
        record = f"record {text_of(key)!r} of {path}"
        if isinstance(plan, str):
            raise CorruptRecord(f"{record} {plan}.")
        item: dict[str, Any] = {KEY: text_of(key)} if self.fields.keyed else {}
        for name, decoder, number in plan:
            try:
                item[name] = decoder(row[number][1])
            except Exception as error:
                raise undecodable(error, f"{record}, member .{name}") from error
        return item

    def close(self) -> None:
        """Do nothing: every reading has a file of its own, and closes it."""
