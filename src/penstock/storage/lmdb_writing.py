"""Writing of LMDB files, anew or at the end of one that is there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from penstock.errors import ArgumentTypeError, StoreError
from penstock.graph.checking import choice, short
from penstock.graph.context import teach_malloc
from penstock.graph.storing import Recorder, require
from penstock.storage.lmdb_format import (
    CHECKSUM,
    META,
    NAMES,
    TOGETHER,
    VERSION,
    checksum_of,
    preferred,
    sealed,
    unsealed,
)
from penstock.storage.lmdb_pages import Pages
from penstock.transport.record import decode, encode, header_of, schema

SCHEMAS = 8  # different ones that the meta record lists
TRANSACTION = 4 << 20  # bytes that are written at once, few enough to stay in the cache until then …
RECORDS = 1 << 16  # … or records …
PAUSE = 1.0  # … or, where a file is added to, what has come in so many seconds: whoever is killed loses no more
MAP = 1 << 30  # bytes of address space to begin with; it doubles when it is full


@dataclass
class Settings:
    """What a file is like, and how far it has come."""

    where: str
    raw: bool
    kind: str | None
    count: int = 0
    tag: str = ""
    schemas: dict[str, Any] = field(default_factory=dict)
    named: bool = False
    names: list[str] = field(default_factory=list)
    """Those that are not written yet, from a multiple of ``TOGETHER`` on."""


class LmdbRecorder(Recorder):
    """Writes records in large transactions, in the order of their keys; each one leaves a file that is whole."""

    def __init__(self, environment: Any, settings: Settings, *, append: bool, close: Callable[[], None]) -> None:
        self.environment = environment
        self.settings = settings
        self.ordered = append
        self.closing = close
        self.library = require("lmdb", "lmdb", settings.where)
        teach_malloc()  # else what a transaction took is given back to the system, and costs its page faults again
        self.check = checksum_of(settings.kind or preferred(), settings.where)  # also of content, for the tag
        self.batch: list[tuple[bytes, bytes]] = []
        self.nbytes = 0
        self.written = monotonic()
        self.headers: set[bytes] = set()
        self.content = hashlib.blake2b(settings.tag.encode(), digest_size=6)

    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item."""
        at = self.settings
        data = self.encoded(item)
        if key is not None or at.named:
            self.name(key)
        tail = self.check(data, at.count).to_bytes(CHECKSUM, "little")
        self.content.update(tail)
        if at.kind is not None:
            data += tail
        self.batch.append((at.count.to_bytes(8, "big"), data))
        at.count += 1
        self.nbytes += len(data)
        late = not self.ordered and monotonic() - self.written > PAUSE
        if late or self.nbytes >= TRANSACTION or len(self.batch) >= RECORDS:
            if not self.ordered:
                self.describe()
            self.write()

    def encoded(self, item: Any) -> bytes:
        """Return an item's bytes."""
        schemas = self.settings.schemas
        if self.settings.raw:
            if not isinstance(item, (bytes, bytearray, memoryview)) and not (
                isinstance(item, np.ndarray) and item.dtype == np.uint8 and item.ndim == 1
            ):
                raise ArgumentTypeError(
                    f'{self.settings.where}: values="bytes" is for byte strings, not for {short(item)}. Leave it out.'
                )
            return bytes(item)
        data = encode(item)
        if len(schemas) < SCHEMAS and (header := header_of(data)) not in self.headers:
            self.headers.add(header)
            found = schema(data)
            schemas.setdefault(json.dumps(found), found)
        return data

    def name(self, key: str | None) -> None:
        """Remember a record's own key."""
        at = self.settings
        if not isinstance(key, str) or (at.count and not at.named):
            raise ArgumentTypeError(f"{at.where}: record {at.count} has the key {short(key)}: all have text, or none.")
        at.named = True
        at.names.append(key)
        self.content.update(key.encode("utf-8", "surrogatepass"))

    def write(self) -> None:
        """Write a transaction. A map that is full is doubled, and the same transaction is written again."""
        while self.batch:
            try:
                with self.environment.begin(write=True) as transaction:
                    cursor = transaction.cursor()
                    cursor.putmulti(self.batch, append=self.ordered)
                    cursor.close()
                self.batch.clear()
                self.nbytes = 0
                self.written = monotonic()
            except self.library.MapFullError:
                size = self.environment.info()["map_size"]
                self.environment.set_mapsize(2 * size)
            except self.library.Error as error:
                raise OSError(errno.EIO, f"{self.settings.where}: LMDB could not write: {error}") from error

    def describe(self) -> None:
        """Add the names, and what the file says about itself, to the transaction."""
        at = self.settings
        first = (at.count - len(at.names)) // TOGETHER
        for number, start in enumerate(range(0, len(at.names), TOGETHER), first):
            self.batch.append((NAMES + number.to_bytes(4, "big"), encode(at.names[start : start + TOGETHER])))
        at.names = at.names[len(at.names) // TOGETHER * TOGETHER :]
        meta = {
            "penstock": "lmdb",
            "version": VERSION,
            "count": at.count,
            "values": "bytes" if at.raw else "records",
            "checksum": at.kind,
            "tag": self.content.hexdigest(),
            "schema": list(at.schemas.values()),
            "keys": at.named,
        }
        self.batch.append((META, sealed(meta)))

    def finish(self) -> None:
        """Write what is left, the names, and what the file says about itself."""
        self.write()
        self.describe()
        self.write()
        self.environment.sync(True)

    def close(self) -> None:
        """Let go of the file."""
        self.batch.clear()
        environment, self.environment = self.environment, None
        if environment is not None:
            self.closing()


def create_lmdb(path: str, *, checksum: str | None = "default", values: str = "records") -> Recorder:
    """Begin a file.

    Args:
        path: the file; there is none yet.
        checksum: ``"xxh3"`` (the default where xxhash is installed), ``"crc32"``, or None for none.
        values: ``"records"``, or ``"bytes"``: each item is a byte string and is stored as it is, for other programs
            (with its checksum behind it, unless there is none).
    """
    where = f"save({os.path.basename(path)!r})"
    choice(values, ("records", "bytes"), where, "values")
    if checksum == "default":
        checksum = preferred()
    if checksum is not None:
        choice(checksum, ("xxh3", "crc32"), where, "checksum")
    environment = require("lmdb", "lmdb", where).open(
        path, subdir=False, lock=False, map_size=MAP, sync=False, metasync=False
    )

    def close() -> None:
        """Make the file as long as its pages say: some may have been taken and given back at the very end."""
        environment.close()
        pages = Pages(path)
        end = (pages.last + 1) * pages.page
        if pages.size < end:
            os.truncate(path, end)

    return LmdbRecorder(environment, Settings(where, values == "bytes", checksum), append=True, close=close)


def extend_lmdb(path: str) -> Recorder:
    """Begin to add to a file where it lies; every transaction leaves it whole, with more records.

    Readers that open it meanwhile see what was complete then, and keep seeing just that. Their pages are safe, because
    a reading transaction is held from the beginning, so that no page is used again; and because readers of former
    times, which that does not protect, hold a lock that this must have for a moment.

    Raises:
        StoreError: somebody reads it since before, or adds to it.
    """
    where = f"save({os.path.basename(path)!r}, append=True)"
    library = require("lmdb", "lmdb", where)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{where}: {path} is open elsewhere. Close what reads it or adds to it, or save another file."
            ) from None
        lock_file = f"{path}-lock"
        ours = not os.path.exists(lock_file)
        environment = library.open(path, subdir=False, lock=True, map_size=max(MAP, 2 * os.path.getsize(path)))
        pinned = environment.begin()
        settings = settings_of(pinned, path, where)
        fcntl.flock(fd, fcntl.LOCK_SH)
    except BaseException:
        os.close(fd)
        raise

    def close() -> None:
        """Let the pages go that were held, remove what was made, and let go of the lock."""
        pinned.abort()
        environment.close()
        if ours:
            os.unlink(lock_file)
        os.close(fd)

    return LmdbRecorder(environment, settings, append=False, close=close)


def settings_of(transaction: Any, path: str, where: str) -> Settings:
    """Return how far a file has come."""
    found = transaction.get(META)
    if found is None:
        raise StoreError(f"{where}: {path} was not written by Penstock; it can be read, and saved as another file.")
    try:
        meta = unsealed(found)
        count, names = meta["count"], []
        if meta["keys"] and count % TOGETHER:
            names = decode(transaction.get(NAMES + (count // TOGETHER).to_bytes(4, "big")))
        schemas = {json.dumps(entry): entry for entry in meta["schema"]}
        return Settings(
            where, meta["values"] == "bytes", meta["checksum"], count, meta["tag"], schemas, meta["keys"], names
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is corrupt: its record about itself: {error}") from error
