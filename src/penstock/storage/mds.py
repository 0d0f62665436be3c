"""MDS: MosaicML's shards, a folder with an ``index.json`` and files of samples; their library is not needed.

    count ┊ where each sample begins, and the end, 4 bytes each ┊ the columns' names and encodings, as JSON ┊ samples …
    sample: sizes of the columns that differ in size, 4 bytes each ┊ the columns, in the order of their names

Shards are mapped, so any sample is found in place. Compressed ones are unpacked in memory, whole, as often as they
are needed: read those in order or in blocks (``shuffle(block=…)``), or write them uncompressed.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.errors import ArgumentTypeError, CorruptRecord, MissingExtra, StoreError
from penstock.graph.checking import choice, flag, short
from penstock.graph.storing import Format, Reader, require
from penstock.storage.mds_encodings import Decoder, Wanted, decoder_of
from penstock.storage.mds_writing import INDEX, SHARD_MOST, create_mds
from penstock.storage.shards import UNPACKED, Kept, Sharded, mapped
from penstock.storage.unpacking import unpack

INDEX_MOST = 1 << 28  # bytes of an index: a million shards
PAIR = struct.Struct("<II")
SAMPLES, SAMPLE = 64, 4096  # shards that the tag looks into, and how many bytes of each


@dataclass(frozen=True)
class Shard:
    """What the index says of a shard."""

    path: str
    nbytes: int
    """Unpacked."""
    samples: int
    names: tuple[str, ...]
    encodings: tuple[str, ...]
    sizes: tuple[int | None, ...]
    hashes: tuple[tuple[str, str], ...] = ()
    """Of the file as it lies there."""
    packed: tuple[str, int] | None = None
    """How, and to how many bytes, where only the compressed file is there."""


def open_mds(  # noqa: PLR0913  what files differ in, or users want of them
    path: str,
    *,
    columns: Sequence[str] | None = None,
    images: bool = False,
    copy: bool = True,
    verify: bool = False,
    trust_pickle: bool = False,
) -> Reader:
    """Open an MDS folder, or a single shard.

    Args:
        path: the folder that has the ``index.json``, that file, or one uncompressed shard.
        columns: the columns that items have, dicts; None for all.
        images: whether columns of JPEG and PNG files become arrays, by ``penstock.images``; else they are the files'
            bytes, which ``penstock.images.decode`` in a ``map`` can read less than all of.
        copy: whether arrays can be written to, and byte strings are ``bytes``; else both are read-only arrays that
            view the mapped file, aligned to single bytes.
        verify: whether a whole shard is compared with the hash in the index, where there is one, when something is
            read there first; lengths are always compared.
        trust_pickle: allow columns that are pickles, which run whatever they say.

    Raises:
        StoreError: there is no index, a shard is missing, truncated, or has an encoding that is not known.
    """
    where = f"open({path!r})"
    for name, value in (("images", images), ("copy", copy), ("verify", verify), ("trust_pickle", trust_pickle)):
        flag(value, where, name)
    if columns is not None and (isinstance(columns, str) or not all(isinstance(name, str) for name in columns)):
        raise ArgumentTypeError(f"{where}: columns must be a list of names, not {short(columns)}.")
    file = os.path.join(path, INDEX) if os.path.isdir(path) else path
    if file.endswith(".json"):
        shards, text = index_of(file)
    else:
        shards, text = [single_shard(file)], b""
    return MdsReader(path, shards, text, columns, Wanted(images, copy, trust_pickle), verify=verify)


def index_of(file: str) -> tuple[list[Shard], bytes]:
    """Read an index."""
    try:
        with open(file, "rb") as opened:
            text = opened.read(INDEX_MOST + 1)
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror}: an MDS folder has an {INDEX}.") from error
    folder = os.path.dirname(file)
    try:
        if len(text) > INDEX_MOST:
            raise ValueError(f"it has more than {INDEX_MOST} bytes")
        index = json.loads(text)
        if not isinstance(index, dict) or index.get("version") != 2 or not isinstance(index.get("shards"), list):
            raise ValueError("it has no list of shards of version 2")
        return [shard_of(entry, folder) for entry in index["shards"]], text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{file} is no index of MDS shards: {type(error).__name__}: {error}") from error


def shard_of(entry: Any, folder: str) -> Shard:
    """Return what an entry of the index says; anything else than what it should be is a ValueError of some kind."""
    if entry["format"] != "mds":
        raise ValueError(f"a shard of format {short(entry['format'])}")
    raw, zipped = entry["raw_data"], entry.get("zip_data")
    common = (positive(raw["bytes"]), positive(entry["samples"]), *columns_of(entry))
    path = inside(folder, raw["basename"])
    if os.path.lexists(path) or not zipped:
        return Shard(path, *common, hashes_of(raw))
    kind = str(entry["compression"]).partition(":")[0]
    return Shard(inside(folder, zipped["basename"]), *common, hashes_of(zipped), (kind, positive(zipped["bytes"])))


def columns_of(entry: Any) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int | None, ...]]:
    """Return the columns' names, encodings and sizes."""
    names, encodings, sizes = (tuple(entry[f"column_{what}"]) for what in ("names", "encodings", "sizes"))
    if not len(names) == len(encodings) == len(sizes) or len(set(names)) < len(names):
        raise ValueError(f"the columns {names}, {encodings}, {sizes}")
    if not all(isinstance(text, str) for text in names + encodings):
        raise ValueError(f"the columns {names}, {encodings}")
    return names, encodings, tuple(positive(size) or None if size is not None else None for size in sizes)


def positive(value: Any) -> int:
    """Return a whole number that is not negative."""
    if type(value) is not int or not 0 <= value <= SHARD_MOST:
        raise ValueError(f"a number of {short(value)}")
    return value


def inside(folder: str, name: str) -> str:
    """Return a path in the folder: an index points nowhere else."""
    if os.path.isabs(name) or ".." in name.split("/") or "\0" in name or not name:
        raise ValueError(f"a shard called {name!r}")
    return os.path.join(folder, name)


def hashes_of(file: Any) -> tuple[tuple[str, str], ...]:
    """Return a file's hashes."""
    return tuple((str(name), str(value)) for name, value in (file.get("hashes") or {}).items())


def single_shard(file: str) -> Shard:
    """Return what a shard says of itself."""
    memory = mapped(file)
    try:
        count = int.from_bytes(memory[:4], "little")
        end = 4 * (count + 2)
        first = int.from_bytes(memory[4:8], "little")
        entry = json.loads(bytes(memory[end : min(first, end + INDEX_MOST)]))
        if int.from_bytes(memory[end - 4 : end], "little") != len(memory):
            raise ValueError(f"it has {len(memory)} bytes")
        if entry["format"] != "mds" or entry["version"] != 2:
            raise ValueError("it says that it is something else")
        return Shard(file, len(memory), count, *columns_of(entry))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{file} is no MDS shard, or truncated: {type(error).__name__}: {error}") from error


class MdsReader(Sharded):
    """Shards that are mapped, or unpacked when they are needed."""

    def __init__(  # noqa: PLR0913  what an index says, and what the user does
        self,
        path: str,
        shards: list[Shard],
        index: bytes,
        columns: Sequence[str] | None,
        wanted: Wanted,
        *,
        verify: bool,
    ) -> None:
        super().__init__(path, [shard.path for shard in shards], [shard.samples for shard in shards])
        self.entries = shards
        self.verify = verify
        made: dict[Any, Plan] = {}
        self.plans = []
        for shard in shards:
            kind = (shard.names, shard.encodings, shard.sizes)
            if kind not in made:
                made[kind] = Plan(shard, columns, wanted)
            self.plans.append(made[kind])
            refuse_incomplete(shard)
        self.tag = tag_of(shards, index)
        self.maps = Kept(self.load)
        self.unpacked = Kept(self.load, nbytes=UNPACKED)

    def load(self, number: int) -> memoryview:
        """Map a shard, or unpack it."""
        shard = self.entries[number]
        memory = mapped(shard.path, shard.nbytes if shard.packed is None else shard.packed[1])
        if self.verify:
            compare(shard, memory)
        if shard.packed is not None:
            memory = memoryview(unpack(shard.packed[0], memory, shard.nbytes, shard.path))
        if int.from_bytes(memory[:4], "little") != shard.samples or len(memory) < 4 * (shard.samples + 2):
            raise CorruptRecord(f"{shard.path} does not begin with the {shard.samples} samples of the index.")
        return memory

    def record(self, shard: int, number: int) -> Any:
        """Return a sample."""
        memory = (self.maps if self.entries[shard].packed is None else self.unpacked)[shard]
        start, end = PAIR.unpack_from(memory, 4 + 4 * number)
        if not 4 * (self.entries[shard].samples + 2) <= start <= end <= len(memory):
            raise CorruptRecord(f"{self.named(shard, number)} lies from byte {start} to {end} of {len(memory)}.")
        try:
            return self.plans[shard].item(memory[start:end])
        except (MissingExtra, MemoryError):
            raise
        except Exception as error:  # whatever a decoder, or a pickle, finds wrong
            raise CorruptRecord(f"{self.named(shard, number)}: {error}") from error

    def schema(self) -> Any:
        """Return the encodings of the columns that items have."""
        plan = self.plans[0] if self.plans else None
        return None if plan is None else {name: plan.encodings[name] for name in plan.wanted}

    def close(self) -> None:
        """Do nothing: a map goes with the last view of it."""


class Plan:
    """How samples of one kind of shard become items."""

    def __init__(self, shard: Shard, columns: Sequence[str] | None, wanted: Wanted) -> None:
        self.wanted = list(shard.names if columns is None else columns)
        for name in self.wanted:
            choice(name, shard.names, shard.path, "a column")
        self.encodings = dict(zip(shard.names, shard.encodings, strict=True))
        self.names = shard.names
        self.sizes = shard.sizes
        self.differing = struct.Struct(f"<{shard.sizes.count(None)}I")
        decoders: dict[str, Decoder] = {
            name: decoder_of(self.encodings[name], wanted, f"column {name!r} of {shard.path}") for name in self.wanted
        }
        self.steps = [(name, size, decoders.get(name)) for name, size in zip(shard.names, shard.sizes, strict=True)]
        self.ordered = columns is None

    def item(self, data: memoryview) -> dict[str, Any]:
        """Return a sample's item."""
        sizes = iter(self.differing.unpack_from(data))
        at = self.differing.size
        found = {}
        for name, fixed, decode in self.steps:
            end = at + (next(sizes) if fixed is None else fixed)
            if end > len(data):
                raise ValueError(f"column {name!r} ends at byte {end} of {len(data)}")
            if decode is not None:
                try:
                    found[name] = decode(data[at:end])
                except MissingExtra:
                    raise
                except Exception as error:
                    error.args = (f"column {name!r} is no {self.encodings[name]}: {error}",)
                    raise
            at = end
        if at != len(data):
            raise ValueError(f"its columns have {at} bytes of {len(data)}")
        return found if self.ordered else {name: found[name] for name in self.wanted}


def refuse_incomplete(shard: Shard) -> None:
    """Refuse a shard that is not there, or of another size than the index says."""
    wanted = shard.nbytes if shard.packed is None else shard.packed[1]
    try:
        found = os.stat(shard.path).st_size
    except OSError as error:
        raise StoreError(f"{shard.path}: {error.strerror}, and the index lists it.") from error
    if found != wanted:
        raise StoreError(f"{shard.path} is truncated, or another: it has {found} bytes, and {wanted} in the index.")


def compare(shard: Shard, memory: memoryview) -> None:
    """Compare a file with the first of its hashes that can be computed."""
    for name, wanted in shard.hashes:
        if name.startswith("xxh"):
            digest = getattr(require("xxhash", "lmdb", f"the hash {name} of {shard.path}"), name, None)
        else:
            digest = getattr(hashlib, name, None) if name in hashlib.algorithms_guaranteed else None
        if digest is None or name.startswith("shake"):
            continue
        found = digest(memory).hexdigest()
        if found != wanted:
            raise CorruptRecord(f"{shard.path} is corrupt: its {name} is {found}, and {wanted} in the index.")
        return


def tag_of(shards: list[Shard], index: bytes) -> str:
    """Return what stands for the content: the index, and pieces of some shards, for it may have no hashes."""
    check = zlib.crc32(index)
    step = max(1, len(shards) // SAMPLES)
    for shard in shards[::step]:
        with open(shard.path, "rb", buffering=0) as file:
            for at in (0, os.fstat(file.fileno()).st_size // 2):
                check = zlib.crc32(os.pread(file.fileno(), SAMPLE, at), check)
    return f"{check:08x}"


def recognise(path: str) -> bool:
    """Tell whether something is a folder whose index lists MDS shards, or such an index."""
    file = os.path.join(path, INDEX) if os.path.isdir(path) else path
    if os.path.basename(file) != INDEX:
        return False
    try:
        with open(file, "rb") as opened:
            return b'"mds"' in opened.read(SAMPLE)
    except OSError:
        return False


FORMAT = Format("mds", (".mds",), open_mds, create_mds, recognise)
