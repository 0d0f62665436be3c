"""An LMDB file by its keys, as a transaction of py-lmdb's offers it: flows of one's own ask ``LMDBData`` for that."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import penstock as ps
from penstock.compat.tensorpack.utils.serialize import dumps
from penstock.errors import ArgumentError, MissingExtra

LISTED = b"__keys__"  # where Tensorpack wrote the list of keys


def open_lmdb(path: str) -> tuple[Any, bool]:
    """Return the values of an LMDB file, and whether Penstock wrote it; values of others are bytes."""
    try:
        return ps.open(path, "lmdb", values="bytes"), False
    except ArgumentError:  # what it says of its own files
        return ps.open(path, "lmdb", copy=True), True


def keys_of(path: str) -> tuple[list[bytes], bytes | None]:
    """Return the keys of an LMDB file in their order, without Tensorpack's list of them; and that list, as it lies."""
    try:
        import lmdb
    except ImportError as missing:
        raise MissingExtra("the keys of LMDB files are read with lmdb: pip install 'penstock[lmdb]'") from missing
    with lmdb.open(path, subdir=os.path.isdir(path), readonly=True, lock=False) as opened, opened.begin() as reading:
        return [key for key in reading.cursor().iternext(values=False) if key != LISTED], reading.get(LISTED)


class Transaction:
    """The values of an LMDB file, which Penstock reads, by their keys. It may travel to other processes.

    Of a file that ``LMDBSerializer`` wrote, keys are numbers of eight digits, and values what
    ``tensorpack.utils.serialize.loads`` reads.
    """

    def __init__(self, path: str) -> None:
        self._rows, self._own = open_lmdb(path)
        if self._own:
            self.keys: list[bytes] = [b"%08d" % place for place in range(len(self._rows))]
            self._listed: bytes | None = None
        else:
            self.keys, self._listed = keys_of(path)

    def _value(self, row: Any) -> bytes:
        return dumps(row) if self._own else row

    def get(self, key: bytes, default: Any = None) -> Any:
        """Return the value of a key."""
        if key == LISTED:
            return dumps(self.keys) if self._own else self._listed
        place = bisect_left(self.keys, key)  # LMDB keeps its keys sorted
        if place == len(self.keys) or self.keys[place] != key:
            return default
        return self._value(self._rows[place])

    def cursor(self) -> Cursor:
        """Return what goes through pairs of key and value, in the order of the keys."""
        return Cursor(zip(self.keys, map(self._value, self._rows), strict=True))

    def stat(self) -> dict[str, int]:
        """Return how many entries there are."""
        return {"entries": len(self.keys) + (self._own or self._listed is not None)}


class Cursor:
    """Goes through pairs of key and value: ``for key, value in cursor``, or ``while cursor.next(): cursor.item()``."""

    def __init__(self, pairs: Iterator[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        self._pair = (b"", b"")

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._pairs

    def next(self) -> bool:
        """Go to the next pair, if there is one."""
        pair = next(self._pairs, None)
        self._pair = pair or (b"", b"")
        return pair is not None

    def item(self) -> tuple[bytes, bytes]:
        """Return the pair."""
        return self._pair

    def key(self) -> bytes:
        """Return its key."""
        return self._pair[0]

    def value(self) -> bytes:
        """Return its value."""
        return self._pair[1]
