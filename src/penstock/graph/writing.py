"""Writing stores: what appears under a name is whole and on disk, or what was there before stays.

Writing     a new store, in a locked folder beside its name until it is complete
Extending   more records for a store where it lies, in formats that can
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.errors import StoreError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from penstock.graph.storing import Recorder

AT_FDCWD, RENAME_EXCHANGE = -100, 2


class Writing:
    """A store being written: a context manager with ``append``. It appears whole, or what was there before stays.

    Everything is written into a folder beside the final name, ``.<name>.<random>.partial``, that is locked while its
    writer lives. At the end it is flushed to the disk and renamed. What a killed writer left, the next one removes.
    """

    def __init__(
        self, create: Callable[..., Recorder], path: str, options: dict[str, Any], *, replace: bool = False
    ) -> None:
        self.path = path
        self.create = create
        self.options = options
        self.replace = replace
        self.count = 0

    def __enter__(self) -> Self:
        name = os.path.basename(self.path)
        parent = os.path.dirname(self.path)
        if not os.path.isdir(parent):
            raise StoreError(f"{self.path} cannot be written: there is no folder {parent}. Make it first.")
        self.refuse_existing()
        sweep(parent, name)
        self.folder = tempfile.mkdtemp(".partial", f".{name}.", parent)
        self.lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            self.recorder = self.create(os.path.join(self.folder, name), **self.options)
        except BaseException:
            self.give_up()
            raise
        return self

    def refuse_existing(self) -> None:
        """Refuse to replace what is there, unless that was asked for."""
        if not self.replace and os.path.lexists(self.path):
            raise StoreError(
                f"{self.path} exists. Say replace=True to put the new one in its place when it is complete."
            )

    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item.

        Args:
            item: whatever the format can hold.
            key: the record's own name, where the format has such.
        """
        self.recorder.append(item, key)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.room(error)
        try:
            try:
                if kind is None:
                    self.recorder.finish()
            finally:
                self.recorder.close()
            if kind is None:
                self.commit()
        except OSError as problem:
            self.room(problem)
            raise
        finally:
            self.give_up()

    def room(self, error: BaseException) -> None:
        """Note on the error of a full disk, or what may be one, which file it is about and what is free there."""
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            free = shutil.disk_usage(self.folder).free
            error.add_note(f"penstock: {self.path} was being written; {free:,} bytes are free there")

    def commit(self) -> None:
        """Put what was written under its name."""
        made = os.path.join(self.folder, os.path.basename(self.path))
        flush(made)
        self.refuse_existing()
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            exchange(made, self.path)
        else:
            os.rename(made, self.path)
        flush(os.path.dirname(self.path), deep=False)

    def give_up(self) -> None:
        """Remove the folder, and what may be left in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


class Extending:
    """A store that is added to where it lies: a context manager with ``append``."""

    def __init__(self, extend: Callable[..., Recorder], path: str, options: dict[str, Any]) -> None:
        self.path = path
        self.extend = extend
        self.options = options
        self.count = 0

    def __enter__(self) -> Self:
        if not os.path.exists(self.path):
            raise StoreError(f"{self.path} cannot be added to: it does not exist. Leave append=True out.")
        self.recorder = self.extend(self.path, **self.options)
        return self

    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item."""
        self.recorder.append(item, key)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.recorder.finish()
        finally:
            self.recorder.close()


def sweep(parent: str, name: str) -> None:
    """Remove the folders that killed writers of a name left behind: those that nobody holds the lock of."""
    with os.scandir(parent) as entries:
        left = [e.path for e in entries if e.name.startswith(f".{name}.") and e.name.endswith(".partial")]
    for folder in left:
        with contextlib.suppress(OSError):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(fd)


def flush(path: str, *, deep: bool = True) -> None:
    """Bring a file, or a folder with all that is in it, to the disk."""
    if deep and os.path.isdir(path):
        with os.scandir(path) as entries:
            for entry in list(entries):
                flush(entry.path)
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def exchange(new: str, old: str) -> None:
    """Let two folders change places at once; a rename alone replaces files only."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    places = (AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old))
    if renameat2 is None or renameat2(*places, ctypes.c_uint(RENAME_EXCHANGE)):
        raise StoreError(
            f"{old} is a folder, and this system cannot replace one in one step. Remove it first, or save under "
            "another name."
        )
