"""The folder on the local disk in which remote objects are kept: bounded, shared by processes, safe against kills.

    objects/<hash>-<name>     an object, whole; its time of access says when it was used last
    partial/<random>.data     one being fetched
    partial/<random>          how many bytes that takes, or will take; locked while its writer lives
    locks/<number>            whoever fetches an object holds the lock of its hash; others wait, and find it
    usage                     bytes in use; whoever changes it holds its lock

An object gets its name when it is whole and on the disk, so a kill leaves nothing that could be taken for one. Locks
belong to open files, so they end with whoever held them. When the bytes exceed the limit, what was used longest ago
goes; what somebody reads at that moment stays readable for him, as deleted files do.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator

from penstock.graph.amounts import said
from penstock.graph.writing import flush

STRIPES = 1024  # locks of objects being fetched
DATA = ".data"
ROOM = 0.9  # of the limit that is left in use where something has to go, so that not every object is a look at all


class Folder:
    """The objects that were fetched."""

    def __init__(self, path: str, limit: int) -> None:
        self.path = path
        self.limit = limit

    def place(self, url: str, version: str = "") -> str:
        """Return where an object lies, or would."""
        digest = hashlib.sha256(f"{url}\0{version}".encode(errors="surrogateescape")).hexdigest()[:40]
        name = re.sub(r"[^\w.\-]", "_", url.partition("?")[0].rpartition("/")[2], flags=re.ASCII)[-80:]
        return os.path.join(self.path, "objects", f"{digest}-{name}")

    def prepare(self) -> None:
        """Make the folders."""
        for name in ("objects", "partial", "locks"):
            os.makedirs(os.path.join(self.path, name), mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def fetching(self, path: str) -> Iterator[None]:
        """Be the only one that fetches an object."""
        with locked(os.path.join(self.path, "locks", str(int(os.path.basename(path)[:8], 16) % STRIPES))):
            yield

    @contextlib.contextmanager
    def arriving(self, path: str) -> Iterator[Arriving]:
        """Give a file to write an object into; it gets its name when the block ends well."""
        fd, claim = tempfile.mkstemp(dir=os.path.join(self.path, "partial"))
        partial = claim + DATA
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield Arriving(self, fd, partial)
            flush(partial)
            os.rename(partial, path)
            touch(path)
        finally:
            remove(partial)
            remove(claim)
            os.close(fd)

    def take(self, nbytes: int, arriving: Arriving) -> None:
        """Make room for some bytes more of an object, and count them, in use and as its own."""
        with locked(os.path.join(self.path, "usage")) as fd:
            used = number_in(fd) + nbytes
            if used > self.limit or fresh(self.path):
                used = self.tidy(nbytes) + nbytes
                if used > self.limit:
                    raise Full(f"the cache of {said(self.limit)} is too small for all that is fetched at once")
            arriving.taken += nbytes
            write_number(arriving.claim, arriving.taken)
            write_number(fd, used)

    def tidy(self, wanted: int) -> int:
        """Remove what killed writers left, then what was used longest ago, until there is room; return the bytes."""
        used, found = 0, []
        for path in glob.iglob(os.path.join(glob.escape(self.path), "partial", "*")):
            used += 0 if path.endswith(DATA) else claimed(path)
        with os.scandir(os.path.join(self.path, "objects")) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found.append((status.st_atime_ns, status.st_size, entry.path))
                    used += status.st_size
        if used + wanted <= self.limit:
            return used
        for _, size, path in sorted(found):
            if used + wanted <= self.limit * ROOM:
                break
            remove(path)
            used -= size
        return used


class Arriving:
    """An object that is being fetched: the file that it is written into, and the bytes that were taken for it."""

    def __init__(self, folder: Folder, claim: int, path: str) -> None:
        self.folder = folder
        self.claim = claim
        self.path = path
        self.taken = 0

    def grow(self, nbytes: int) -> None:
        """See to it that so many bytes in all have been taken."""
        if nbytes > self.taken:
            self.folder.take(nbytes - self.taken, self)


class Full(OSError):
    """There is no room now; others may be done soon."""


looked: set[tuple[int, str]] = set()  # folders whose use this process has counted itself


def fresh(home: str) -> bool:
    """Tell whether this process has not looked at a folder yet: what others noted may be wrong after a kill."""
    key = (os.getpid(), home)
    if key in looked:
        return False
    looked.add(key)
    return True


@contextlib.contextmanager
def locked(path: str) -> Iterator[int]:
    """Hold a file's lock."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def claimed(path: str) -> int:
    """Return what an object that is being fetched takes; remove it, if its writer is dead.

    It is not the size of its file: what a writer still holds in its buffer has been counted, too.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path + DATA)
        remove(path)
        return 0
    except OSError:
        return number_in(fd)
    finally:
        os.close(fd)


def touch(path: str) -> None:
    """Note that an object is used now.

    Its time of change stays what it is for all: an object of this name has one content, also when it comes again, and
    readers and the indexes beside it would take another time for another content.
    """
    os.utime(path, ns=(time.time_ns(), 0))


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def number_in(fd: int) -> int:
    """Return the number that a file holds; 0 for an empty one."""
    return int(os.pread(fd, 32, 0) or 0)


def write_number(fd: int, number: int) -> None:
    """Write a number over the one that a file holds."""
    os.pwrite(fd, f"{number:<32d}".encode(), 0)
