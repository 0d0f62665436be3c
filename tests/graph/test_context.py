"""Memory: recycled when, and only when, the last view of it has died."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import penstock as ps
from penstock.graph import context
from penstock.graph.context import KEPT, POOLED, Heap, Surroundings, heap, rounded, size_of, teach_malloc

LARGE = 4 * POOLED


def address(array):
    """Return where an array's memory begins."""
    return array.__array_interface__["data"][0]


@pytest.fixture
def pool():
    """Return a pool of its own."""
    return Heap()


U1 = np.dtype("u1")


def test_memory_is_recycled_when_it_is_free(pool):
    """The same memory comes again after the array has died, and not before."""
    first = pool.empty((LARGE,), U1)
    where = address(first)
    second = pool.empty((LARGE,), U1)
    assert address(second) != where
    del first
    third = pool.empty((LARGE,), U1)
    assert address(third) == where


VIEWS = {
    "slice": lambda a: a[10:20],
    "row": lambda a: a.reshape(-1, 64)[3],
    "element": lambda a: a[5:6],
    "transpose": lambda a: a.reshape(-1, 64).T,
    "view": lambda a: a.view("f4"),
    "view of views": lambda a: a[1:][::2].reshape(-1)[3:].view("i1")[::-1],
    "ravel": lambda a: a.reshape(2, -1).ravel(),
    "memoryview": memoryview,
    "frombuffer": lambda a: np.frombuffer(a, "u1"),
    "memoryview of view": lambda a: memoryview(a[10:20])[2:],
    "asarray of memoryview": lambda a: np.asarray(memoryview(a)),
    "iterator": lambda a: next(iter(a.reshape(2, -1))),
    "subclass": lambda a: a.view(np.matrix),
    "broadcast": lambda a: np.broadcast_to(a[:3], (5, 3)),
    "strided": lambda a: np.lib.stride_tricks.sliding_window_view(a, 8),
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_keeps_it(pool, view):
    """While any view is alive, however it was made, its memory is nobody else's; then it is free."""
    array = pool.empty((LARGE,), U1)
    array[:] = 7
    where = address(array)
    kept = VIEWS[view](array)
    del array
    gc.collect()
    others = [pool.empty((LARGE,), U1) for _ in range(3)]
    for other in others:
        other[:] = 9
    assert where not in map(address, others)
    assert np.asarray(kept).tobytes() == b"\x07" * np.asarray(kept).nbytes
    del kept, other
    gc.collect()
    again = pool.empty((LARGE,), U1)
    assert address(again) == where


def test_views_that_die_in_another_thread_free_it(pool):
    """The last view may die in any thread."""
    box = [pool.empty((LARGE,), U1)]
    where = address(box[0])
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert address(pool.empty((LARGE,), U1)) == where


def test_threads_never_share_memory(pool):
    """Threads that take and free at once never hold the same memory."""
    clashes = []

    def work(number):
        for _ in range(200):
            array = pool.empty((POOLED,), U1)
            array[::4096] = number
            if (array[::4096] != number).any():
                clashes.append(number)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []


def test_what_is_kept_is_bounded(pool):
    """The pool keeps at most KEPT bytes; the rest goes back to the system; trim() gives back everything."""
    held = [pool.empty((KEPT // 4,), U1) for _ in range(8)]
    held.clear()
    assert 0 < pool.nbytes <= KEPT
    assert sum(len(p) for pieces in pool.free.values() for p in pieces) == pool.nbytes
    pool.trim()
    assert (pool.nbytes, pool.free) == (0, {})


def test_small_arrays_are_ordinary(pool):
    """What malloc recycles well by itself stays out of the pool."""
    array = pool.empty((POOLED - 1,), U1)
    assert array.base is None
    del array
    assert pool.nbytes == 0


@pytest.mark.parametrize("nbytes", [1, 4095, 4096, 4097, POOLED, POOLED + 1, 10**7, 2**30 + 1])
def test_sizes_recur(nbytes):
    """A piece has whole pages, enough room, and at most an eighth more than a large array needs."""
    size = rounded(nbytes)
    assert size >= nbytes
    assert size % 4096 == 0
    assert size <= nbytes * 1.126 + 4096
    assert rounded(size) == size


def test_sizes_do_not_overflow():
    """The size of an absurd array is a whole number, not a wrapped one."""
    assert size_of((2**40, 2**40), np.dtype("f8")) == 2**83


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((3, 4), "f4"),
        ((), "i8"),
        ((0, 5), "u1"),
        ((LARGE,), ">i4"),
        ((512, 512), [("a", "i4"), ("b", "f8")]),
        (7, "M8[s]"),
    ],
)
def test_empty(shape, dtype):
    """penstock.empty gives the shape and type that were asked for, writable and contiguous."""
    array = ps.empty(shape, dtype)
    assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
    assert array.dtype == np.dtype(dtype)
    assert array.flags.writeable
    assert array.flags.c_contiguous


def test_empty_of_objects_is_ordinary():
    """Arrays of Python objects come from ordinary memory, set to None."""
    assert ps.empty(3, object).tolist() == [None] * 3
    assert ps.empty((POOLED,), object)[-1] is None
    assert ps.empty(2, [("a", object)]).dtype.hasobject


def test_the_surroundings_are_the_heap():
    """In a process of one's own, memory comes from this process's pool."""
    assert Surroundings.memory is heap


def test_batches_in_line_are_never_overwritten():
    """Batches that are kept stay what they were while later ones are made in recycled memory."""
    data = np.arange(64 * 10_000, dtype="f4").reshape(64, -1)
    dataset = ps.arrays(data).shuffle().batch(8)
    kept = []
    for epoch in range(3):
        for number, batch in enumerate(dataset.epoch(epoch)):
            if number % 3 == 0:
                kept.append((batch[2:5], batch[2:5].copy()))
    assert all(np.array_equal(view, copy) for view, copy in kept)


class Library:
    """Stands for the C library, and remembers what it was told."""

    def __init__(self):
        self.told = {}

    def mallopt(self, parameter, nbytes):
        """Remember."""
        self.told[parameter] = nbytes


def test_malloc_is_told_what_the_environment_does_not_say(monkeypatch):
    """What is said there, in either of glibc's two forms, stays; another C library is told nothing."""
    library = Library()
    monkeypatch.setattr(context.ctypes, "CDLL", lambda name: library)
    for name in context.MALLOC:
        monkeypatch.delenv(f"MALLOC_{name.upper()}_", raising=False)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    teach_malloc()
    assert library.told == dict(context.MALLOC.values())
    library.told.clear()
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0:glibc.malloc.top_pad=0")
    teach_malloc()
    assert library.told == dict([context.MALLOC["mmap_threshold"]])
    monkeypatch.setattr(context.ctypes, "CDLL", lambda name: object())
    teach_malloc()
