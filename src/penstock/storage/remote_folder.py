"""The folder on the local disk in which remote objects are kept: bounded, shared by processes, safe against kills.

    objects/<hash>-<name>     an object, whole; its time says when it was used last
    partial/<random>          one being fetched, locked while its writer lives
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
from collections.abc import Iterator

from penstock.graph.amounts import said
from penstock.graph.storing import flush

STRIPES = 1024  # locks of objects being fetched
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
    def arriving(self, path: str) -> Iterator[str]:
        """Give a file to write an object into; it gets its name when the block ends well."""
        fd, partial = tempfile.mkstemp(dir=os.path.join(self.path, "partial"))
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield partial
            flush(partial)
            os.rename(partial, path)
            os.utime(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            os.close(fd)

    def take(self, nbytes: int) -> None:
        """Make room for some bytes more, and count them."""
        with locked(os.path.join(self.path, "usage")) as fd:
            used = int(os.pread(fd, 32, 0) or 0) + nbytes
            if used > self.limit or fresh(self.path):
                used = self.tidy(nbytes) + nbytes
                if used > self.limit:
                    raise Full(f"the cache of {said(self.limit)} is too small for all that is fetched at once")
            os.pwrite(fd, f"{used:<32d}".encode(), 0)

    def tidy(self, wanted: int) -> int:
        """Remove what killed writers left, then what was used longest ago, until there is room; return the bytes."""
        used, found = 0, []
        for path in glob.iglob(os.path.join(glob.escape(self.path), "partial", "*")):
            if not abandoned(path):
                with contextlib.suppress(FileNotFoundError):
                    used += os.path.getsize(path)
        with os.scandir(os.path.join(self.path, "objects")) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
                    used += status.st_size
        if used + wanted <= self.limit:
            return used
        for _, size, path in sorted(found):
            if used + wanted <= self.limit * ROOM:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            used -= size
        return used


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


def abandoned(path: str) -> bool:
    """Remove a partial object whose writer is dead; tell whether it was one."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
