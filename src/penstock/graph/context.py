"""What surrounds a computation without being handed through it: the memory that new arrays come from.

``penstock.empty`` may be called anywhere inside a user's function, and every batch is collated into such memory. In
a worker process it is shared memory, which the process says once, when it begins; everywhere else it is a pool of
recycled memory, because fresh memory costs a page fault per 4 KiB, several times the cost of filling it.

*A lease is an array*: each is a fresh one-dimensional array over a piece of memory; views of it, views of views and
tensors made from them keep it alive, and when the last one dies, the piece is free again.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.graph.checking import whole

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Root = NDArray[np.uint8]

PAGE = 4096
POOLED = 1 << 18  # bytes below which malloc recycles well by itself
KEPT = 1 << 27  # bytes of free memory that the pool keeps
# What malloc is told, if the environment does not say it: the number in malloc.h, and bytes.
MALLOC = {"mmap_threshold": (-3, 32 << 20), "trim_threshold": (-1, 128 << 20), "top_pad": (-2, 16 << 20)}


class Memory(ABC):
    """Where arrays come from."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return a new array with arbitrary content."""


def rounded(nbytes: int) -> int:
    """Return the size of the piece that some bytes get: whole pages, an eighth to spare, so that sizes recur."""
    step = max(PAGE, 1 << max(0, nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


def shaped(root: Root, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array of a shape and type over the beginning of a lease."""
    return np.ndarray(shape, dtype, root)


def size_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return an array's number of bytes."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    return size


class Heap(Memory):
    """A pool of memory within one process."""

    def __init__(self) -> None:
        self.free: dict[int, list[Root]] = {}
        self.nbytes = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array over recycled memory, where that is worth while."""
        nbytes = size_of(shape, dtype)
        if nbytes < POOLED:
            return np.empty(shape, dtype)
        size = rounded(nbytes)
        try:
            piece = self.free[size].pop()  # no lock: pop and append are whole, and a finalizer may come at any moment
            self.nbytes -= size
        except (KeyError, IndexError):
            if not self.free:
                teach_malloc()
            self.free.setdefault(size, [])
            piece = np.empty(size, np.uint8)
        lease: Root = np.frombuffer(piece.data, np.uint8)  # its base is no array, so views end at the lease
        weakref.finalize(lease, self.put, piece).atexit = False
        return shaped(lease, shape, dtype)

    def put(self, piece: Root) -> None:
        """Take a piece back. Runs when the last view dies, in whatever thread that is."""
        if self.nbytes + len(piece) <= KEPT:
            self.nbytes += len(piece)
            self.free.setdefault(len(piece), []).append(piece)

    def trim(self) -> None:
        """Give what is free back to the system."""
        self.free.clear()
        self.nbytes = 0


def teach_malloc() -> None:
    """Tell malloc to keep what is freed, up to a limit, in this whole process.

    By default glibc gives memory back to the system after every large array, and in threads whenever all that lies in
    64 MiB is free, and takes it again for the next: a page fault per 4 KiB, a fifth of the time of workers that decode
    photographs.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    with contextlib.suppress(AttributeError, TypeError):  # another C library, or system
        libc = ctypes.CDLL(None)
        for name, (parameter, nbytes) in MALLOC.items():
            if f"MALLOC_{name.upper()}_" not in os.environ and f"glibc.malloc.{name}=" not in tunables:
                libc.mallopt(parameter, nbytes)


heap = Heap()


class Surroundings:
    """This process's memory."""

    memory: Memory = heap


def empty(shape: int | tuple[int, ...], dtype: DTypeLike = float) -> NDArray[Any]:
    """Return a new array with arbitrary content, in memory that a loader hands on without a copy.

    Inside a worker process this is shared memory which the trainer reads in place; elsewhere it is recycled memory of
    this process. The array is the caller's alone until nothing refers to it any more, wherever that is.

    Args:
        shape: the lengths of the axes.
        dtype: any NumPy type; those that hold Python objects come from ordinary memory.

    >>> import penstock as ps
    >>> ps.empty((2, 3), "uint8").shape
    (2, 3)
    """
    kind = np.dtype(dtype)
    axes = shape if isinstance(shape, (tuple, list)) else (shape,)
    lengths = tuple([whole(length, "empty()", "a length") for length in axes])
    if kind.hasobject:
        return np.empty(lengths, kind)
    return Surroundings.memory.empty(lengths, kind)
