"""Storing: the seam between datasets and what lies on disk. Formats are in ``storage``, one a file.

    Reader    a store that is open in this process: len, [i], many at once
    Tape      a store that can only be read from the front
    Recorder  a store being written, item after item
    Format    how such are opened and created, and by which names they are found

What is hard about files is written once, above these four:

    Handle    opens a reader lazily, once in every process, and never uses one that a fork has inherited
    Writing   a store that appears under its name whole and on disk, or not at all (``writing``)

WHAT A NEW FORMAT MUST DO: one file ``storage/<name>.py`` that imports at no cost (its library inside functions, through
``require``) and ends in ``FORMAT = Format(…)``, and one test file that calls ``penstock.testing.check_store``. Nothing
else: formats are found by looking into the folder.

1.  ``open(path, **options)`` returns a Reader. It looks at enough of the file to know count and tag, and refuses with a
    StoreError what is truncated, too new or something else. Each option has a default; nothing is read ahead.
2.  A reader is used by many threads at once. Items must stay valid for as long as anything refers to them, after
    ``close`` too: hand out copies, or arrays whose base keeps the memory alive. It never writes.
3.  ``tag`` stands for the content: another content, another tag; the same file elsewhere, the same tag. A saved state
    is refused by a file with another tag. ``sampled`` makes one for files that do not say anything about themselves.
4.  Whatever is wrong with one record is a CorruptRecord that names file and record, when that record is read. No pickle
    unless the user says ``trust_pickle=True``; no size that a file claims is believed before it was compared.
5.  ``create(path, **options)`` returns a Recorder that writes to a path which does not exist yet. It need not care for
    kills, temporary names or flushing: ``Writing`` hands it a name in a folder of its own, and moves what is finished.
"""

from __future__ import annotations

import importlib
import inspect
import os
import threading
import weakref
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import ArgumentError, MissingExtra, StoreError
from penstock.graph.checking import choice

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from numpy.typing import NDArray

    from penstock.graph.node import Indices

SAMPLES = 64  # pieces of a file that its tag looks at …
SAMPLE = 4096  # … and the bytes of each


# ---------------------------------------------------------------------------------------------------------- the seam


class Reader(ABC):
    """A store that is open in this process. Threads share it."""

    tag: str
    """Stands for the content: a few characters."""
    travels: ClassVar[bool] = False
    """Whether it goes to other processes as it is, pickled, its arrays in shared memory: for an index that is dear to
    make. Elsewhere each process opens the store by its path."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Return a record's item; ``0 <= index < len``."""

    def many(self, indices: Indices) -> Sequence[Any]:
        """Return the items of many records, in the order of the indices: a list, or Rows."""
        return [self[index] for index in (indices if isinstance(indices, range) else indices.tolist())]

    def key(self, index: int) -> str | None:
        """Return the name that a record has of its own, if records have names here."""
        return None

    def schema(self) -> Any:
        """Return what is known of the items' structure, as plain JSON; None where nothing is."""
        return None

    def stretches(self) -> NDArray[np.int64] | None:
        """Return where stretches of records begin that can only be read together, and the count; None for no such."""
        return None

    def close(self) -> None:
        """Let go of the file. Items that were read stay valid. Closing twice is allowed."""


class Tape(ABC):
    """A store that is open in this process and can only be read from the front."""

    tag: str
    """Stands for the content: a few characters."""

    @abstractmethod
    def read(self, position: int) -> Iterator[tuple[Any, int]]:
        """Yield items with the position behind each: a whole number that says where the next one begins."""

    def key(self, position: int) -> str | None:
        """Return the name of the record at a position, if records have names here."""
        return None

    def schema(self) -> Any:
        """Return what is known of the items' structure, as plain JSON; None where nothing is."""
        return None

    def close(self) -> None:
        """Let go of the file. Items that were read stay valid. Closing twice is allowed."""


class Recorder(ABC):
    """A store being written."""

    @abstractmethod
    def append(self, item: Any, key: str | None = None) -> None:
        """Add an item. Whatever of it is needed later is copied before this returns."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is left; the files are complete when this returns."""

    def close(self) -> None:
        """Let go of the files: after ``finish``, or to give up. Closing twice is allowed."""


@dataclass(frozen=True)
class Format:
    """How stores of one kind are opened and created, and by which names they are found."""

    name: str
    suffixes: tuple[str, ...]
    """With their dots; the longest one that fits a path decides."""
    open: Callable[..., Reader | Tape]
    create: Callable[..., Recorder] | None = None
    """None where the format is only read."""
    recognise: Callable[[str], bool] | None = None
    """Tells whether a path without a telling suffix, which exists, is such a store."""
    extend: Callable[..., Recorder] | None = None
    """Adds to a store where it lies; None where that is not safe or not possible."""
    patterns: bool = False
    """Whether ``open`` understands the path of several files: a pattern of ``storage.patterns``."""

    def check_options(self, function: Callable[..., Any], options: dict[str, Any], where: str) -> None:
        """Refuse options that this format does not have."""
        known = [
            p.name for p in inspect.signature(function).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        for name in options:
            if not known:
                raise ArgumentError(f"{where}: {self.name} has no options, so {name}= means nothing here.")
            choice(name, known, where, f"an option of {self.name}")


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional library.

    Raises:
        MissingExtra: it is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f'{purpose} needs {module.partition(".")[0]}: pip install "penstock[{extra}]" ({error}).', name=module
        ) from error


def sampled(path: str) -> str:
    """Return a tag for a file that says nothing about itself: its size, and pieces of it from front to end."""
    size = os.path.getsize(path)
    check = zlib.crc32(str(size).encode())
    step = max(SAMPLE, (size - SAMPLE) // (SAMPLES - 1)) if size > SAMPLE else SAMPLE
    with open(path, "rb", buffering=0) as file:
        for at in [*range(0, size, step), max(0, size - SAMPLE)]:
            check = zlib.crc32(os.pread(file.fileno(), SAMPLE, at), check)
    return f"{check:08x}"


# ---------------------------------------------------------------------------------------------------------- reading

inherited: list[Reader | Tape] = []  # of the process that forked this one: neither used nor closed here


class Handle:
    """A store by its path: picklable, comparable, opened in each process when something is read there first."""

    def __init__(
        self,
        opener: Callable[..., Any],
        path: str,
        options: dict[str, Any],
        tag: str | None = None,
        reader: Reader | None = None,  # one that travels
    ) -> None:
        self.opener = opener
        self.path = path
        self.options = options
        self._tag = tag
        self._lock = (os.getpid(), threading.Lock())
        self._opened: tuple[int, Any, Any] | None = None
        if reader is not None:
            self._opened = self._kept(os.getpid(), reader)

    @property
    def tag(self) -> str:
        """What stands for the content; this opens the store."""
        if self._tag is None:
            self._tag = self.reader().tag
        return self._tag

    def reader(self) -> Any:
        """Return the reader, or tape, of this process."""
        opened = self._opened
        if opened is not None and opened[0] == os.getpid():
            return opened[1]
        pid, lock = self._lock
        if pid != os.getpid():  # a thread of the parent may have held it at the fork, and is not here to let go
            self._lock = pid, lock = os.getpid(), threading.Lock()
        with lock:
            opened = self._opened
            if opened is None or opened[0] != pid:
                if opened is not None:
                    inherited.append(opened[1])
                    opened[2].detach()
                self._opened = opened = self._open(pid)
        return opened[1]

    def _open(self, pid: int) -> tuple[int, Any, Any]:
        reader = self.opener(self.path, **self.options)
        if self._tag is not None and reader.tag != self._tag:
            reader.close()
            raise StoreError(
                f"{self.path} has been replaced since it was opened: its content is {reader.tag}, and was {self._tag}. "
                "Open it again: penstock.open(path)."
            )
        return self._kept(pid, reader)

    def _kept(self, pid: int, reader: Any) -> tuple[int, Any, Any]:
        closing = weakref.finalize(self, close_in, pid, reader)
        closing.atexit = False
        return pid, reader, closing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.path, self.tag))

    def _key(self) -> tuple[Any, ...]:
        return self.opener, self.path, self.options, self.tag

    def __reduce__(self) -> tuple[Any, ...]:
        reader = self._opened[1] if self._opened is not None else None
        along = reader if isinstance(reader, Reader) and reader.travels else None
        return Handle, (self.opener, self.path, self.options, self.tag, along)


def close_in(pid: int, reader: Reader | Tape) -> None:
    """Close a reader in the process that opened it, and nowhere else."""
    if pid == os.getpid():
        reader.close()
