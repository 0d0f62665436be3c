"""The index of a tar archive: where the members of each record lie, found by reading every header once.

    starts, sizes    of each member's data                     firsts    each record's first member, and the end
    kinds            each record's row of ``layouts``: the     ends      where each record's key ends in ``text``
                     extensions of its members

An index of many members is kept beside its archive (``kept_index``). Its numbers are compared with the archive before
they are followed.
"""

from __future__ import annotations

import contextlib
import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import StoreError
from penstock.graph.storing import sampled
from penstock.storage import kept_index
from penstock.storage.kept_index import Stamp, stamp
from penstock.storage.tar_members import Archive, Member, Truncated, text_of

Vector = NDArray[np.int64]

MARK = b"penstock tar index 1\n"


@dataclass(frozen=True)
class Index:
    """Where the records of one archive lie."""

    stamp: Stamp
    tag: str
    layouts: list[tuple[str, ...]]
    starts: Vector
    sizes: Vector
    firsts: Vector
    ends: Vector
    kinds: NDArray[np.int32]
    text: NDArray[np.uint8]

    @property
    def count(self) -> int:
        """The number of records."""
        return len(self.kinds)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All arrays, in the order in which they are kept."""
        return self.starts, self.sizes, self.firsts, self.ends, self.kinds, self.text


def split(name: bytes) -> tuple[bytes, str] | None:
    """Return a member's key and extension; None for a name without, and for what WebDataset says about itself."""
    slash = name.rfind(b"/") + 1
    dot = name.find(b".", slash)
    if dot <= slash or (not slash and name.startswith(b"__") and name.endswith(b"__")):
        return None
    return name[:dot], text_of(name[dot + 1 :]).lower()


class Building:
    """An index in the making."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.key: bytes | None = None
        self.row: list[str] = []
        self.passed: bytes | None = None  # a member that is in no record
        self.layouts: dict[tuple[str, ...], int] = {}
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.firsts: list[int] = [0]
        self.ends: list[int] = [0]
        self.kinds: list[int] = []
        self.texts: list[bytes] = []

    def add(self, member: Member) -> None:
        """Add a member to the record in hand, or begin the next one."""
        parts = split(member.name)
        if parts is None:
            self.passed = member.name
            return
        key, extension = parts
        if key != self.key:
            self.close()
            self.key = key
        self.row.append(extension)
        self.starts.append(member.start)
        self.sizes.append(member.size)

    def close(self) -> None:
        """Close the record in hand."""
        if self.key is not None:
            self.kinds.append(self.layouts.setdefault(tuple(self.row), len(self.layouts)))
            self.firsts.append(len(self.starts))
            self.ends.append(self.ends[-1] + len(self.key))
            self.texts.append(self.key)
            self.key, self.row = None, []

    def drop(self) -> None:
        """Leave the record in hand out: nobody knows whether it is whole."""
        self.key, self.row = None, []
        del self.starts[self.firsts[-1] :], self.sizes[self.firsts[-1] :]

    def index(self, stamp_: Stamp) -> Index:
        """Return what was built."""
        if self.passed is not None and not self.kinds:
            raise StoreError(
                f"{self.path} has no records: members are called key.extension, and {text_of(self.passed)!r} is not."
            )
        starts, sizes, firsts, ends = (np.array(a, np.int64) for a in (self.starts, self.sizes, self.firsts, self.ends))
        kinds = np.array(self.kinds, np.int32)
        text = np.frombuffer(b"".join(self.texts), np.uint8)
        return Index(stamp_, sampled(self.path), list(self.layouts), starts, sizes, firsts, ends, kinds, text)


def build(path: str, *, keep: bool = False) -> Index:
    """Read an archive's headers.

    Args:
        path: the archive.
        keep: of a truncated archive, keep the records that are certainly whole.

    Raises:
        StoreError: it is no archive, truncated, or has members that cannot be read; names the member.
    """
    with open(path, "rb") as file:
        found = stamp(file.fileno())
        building = Building(path)
        memory = memoryview(scattered(file.fileno()) if found.size else b"")
        try:
            for member in Archive(lambda at, size: memory[at : at + size], path).members():
                if member.start + member.size > found.size:
                    raise cut(path, member, found.size)
                building.add(member)
        except Truncated:
            if not keep:
                raise
            building.drop()
        building.close()
        return building.index(found)


def scattered(fd: int) -> mmap.mmap:
    """Map a file that is looked at here and there: what lies between two headers is not read from the disk."""
    found = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    found.madvise(mmap.MADV_RANDOM)
    return found


def cut(path: str, member: Member, size: int) -> Truncated:
    """Return the error for a member that is not all there."""
    return Truncated(
        f"{path} is truncated: it has {size} bytes, and its member {text_of(member.name)!r} of {member.size} begins at "
        f"{member.start}."
    )


# ---------------------------------------------------------------------------------------------------------- keeping


def index_of(path: str, how: str, *, keep: bool) -> Index:
    """Return an archive's index: the one that is kept beside it, if it belongs to it, or a new one.

    Args:
        path: the archive.
        how: ``"auto"``: keep what has many members, where that is possible; ``"beside"``: keep it; ``"memory"``:
            neither look for one nor keep it.
        keep: as of ``build``.
    """
    if how == "memory":
        return build(path, keep=keep)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return load(kept_index.beside(path), stamp(path))
    index = build(path, keep=keep)
    if not keep:
        kept_index.keep(path, how, len(index.starts), lambda beside: save(index, beside))
    return index


def save(index: Index, path: str) -> None:
    """Write an index."""
    fields = {"tag": index.tag, "layouts": index.layouts}
    kept_index.save(path, MARK, fields, index.arrays, index.stamp)


def load(path: str, wanted: Stamp) -> Index:
    """Read an index that was kept.

    Raises:
        OSError, ValueError, KeyError, TypeError: there is none, or it does not belong to the archive.
    """
    said, arrays = kept_index.load(path, MARK, ("<i8", "<i8", "<i8", "<i8", "<i4", "u1"), wanted)
    layouts = [tuple(map(str, layout)) for layout in said["layouts"]]
    index = Index(wanted, str(said["tag"]), layouts, *arrays)
    check(index)
    return index


def check(index: Index) -> None:
    """Refuse numbers that lead outside.

    Raises:
        ValueError: there are some.
    """
    starts, sizes, firsts, ends, kinds, text = index.arrays
    counts = np.array([len(layout) for layout in index.layouts], np.int64)
    if (
        not len(starts) == len(sizes) == firsts[-1]
        or not len(kinds) + 1 == len(firsts) == len(ends)
        or firsts[0]
        or ends[0]
        or ends[-1] != len(text)
        or (np.diff(ends) < 0).any()
        or (len(starts) and (starts.min() < 0 or sizes.min() < 0 or sizes.max() > index.stamp.size))
        or (len(starts) and (starts + sizes).max() > index.stamp.size)
        or (len(kinds) and (kinds.min() < 0 or kinds.max() >= len(counts)))
        or (len(kinds) and (np.diff(firsts) != counts[kinds]).any())
    ):
        raise ValueError("an index that leads outside of its archive")
