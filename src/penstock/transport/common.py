"""A file in memory that the processes of one machine share without having been handed it when they began.

The process that made it keeps it open; others reach it through ``/proc/<process>/fd/<descriptor>``, which the system
allows to processes of the same user. It has no name elsewhere, and is gone when the last of them lets go of it. Each
process opens it for itself, so that locks (``flock``) hold between processes, and end with whoever held them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from penstock.errors import UnsupportedPlatform
from penstock.transport.slab import create

TOKEN = 16  # bytes in front, by which the file is told from another that took its place


class Common:
    """Shared memory, as a file: ``pread`` and ``pwrite`` at ``fd``, from byte 16 on."""

    def __init__(self, name: str, size: int) -> None:
        """Make one. Memory is taken where something is written."""
        fd = create(name, size)
        self.size = size
        self.token = os.urandom(TOKEN)
        os.pwrite(fd, self.token, 0)
        self.home = (os.getpid(), fd)
        self.reset()
        self.keep(fd)

    def reset(self) -> None:
        """Begin in a process."""
        self.mine: tuple[int, int] = (0, -1)
        self.threads = (os.getpid(), threading.RLock())

    def keep(self, fd: int) -> None:
        """Remember this process's descriptor, and close it when this is garbage."""
        self.mine = (os.getpid(), fd)
        weakref.finalize(self, close_in, *self.mine).atexit = False

    @property
    def fd(self) -> int:
        """The descriptor in this process.

        Raises:
            UnsupportedPlatform: the system does not let this process look into the one that made it.
        """
        if self.mine[0] == os.getpid():
            return self.mine[1]
        with self.lock_of_threads():
            if self.mine[0] != os.getpid():
                self.keep(self.open())
        return self.mine[1]

    def open(self) -> int:
        """Open the file of the process that made it."""
        pid, number = self.home
        try:
            fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise UnsupportedPlatform(
                f"memory that workers share cannot be opened through /proc here ({error}). Use cache(path) instead."
            ) from error
        if os.pread(fd, TOKEN, 0) != self.token:
            os.close(fd)
            raise UnsupportedPlatform("memory that workers share is gone: the process that made it has ended.")
        return fd

    def lock_of_threads(self) -> Any:
        """Return the lock of this process's threads; one that a fork has inherited may be held by nobody."""
        if self.threads[0] != os.getpid():
            self.threads = (os.getpid(), threading.RLock())
        return self.threads[1]

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Be alone with the file, among all threads of all processes."""
        with self.lock_of_threads():
            fd = self.fd
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                yield fd
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)

    def __getstate__(self) -> dict[str, Any]:
        return {"size": self.size, "token": self.token, "home": self.home}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()


def close_in(pid: int, fd: int) -> None:
    """Close a descriptor in the process that it belongs to."""
    if pid == os.getpid():
        os.close(fd)
