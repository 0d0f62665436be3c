"""Slabs: what is recycled, what is kept, and what happens when there is no room."""

from __future__ import annotations

import gc
import os
import random
import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.transport.slab import SMALL, Arena, Borrowed, Held, address, arena_size, create

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 1 << 24


class Both:
    """An arena as its worker and as its trainer see it, in one process."""

    def __init__(self, size: int = SIZE) -> None:
        self.fd = create("penstock-test", size)
        self.worker = Arena(self.fd, size)
        self.trainer = Borrowed(self.fd, size)

    def lend(self, slab: int, root: np.ndarray) -> np.ndarray:
        """Do what sending a slab does; return the trainer's view."""
        self.worker.map.flags[slab] = 1
        return self.trainer.adopt(slab, address(root) - self.worker.map.start, len(root))


@pytest.fixture
def both() -> Iterator[Both]:
    """An arena of 16 MB."""
    both = Both()
    yield both
    os.close(both.fd)
    vars(both).clear()  # pytest keeps the fixture's value


def test_recycled(both):
    """A lease that was given back is used again: a thousand leases in turn need one slab at one address."""
    wheres = set()
    for _ in range(1000):
        slab, root = both.worker.lease(100_000)
        wheres.add((slab, address(root)))
        del root
    assert len(wheres) == 1
    assert len(both.worker.offsets) == 1


def test_similar_sizes_recur(both):
    """Sizes that differ by little share slabs: batches of nearly equal size need no memory each."""
    for nbytes in range(100_000, 106_000, 100):
        both.worker.lease(nbytes)
    assert len(both.worker.offsets) <= 2


def test_lowest_memory(both):
    """Of the free slabs of a size the lowest is taken, so that the memory in use stays small and warm."""
    leases = [both.worker.lease(50_000) for _ in range(4)]
    assert [slab for slab, _ in leases] == [0, 1, 2, 3]
    kept = leases[1]
    leases.clear()
    assert [both.worker.lease(50_000)[0] for _ in range(3)] == [0, 0, 0]
    held = [both.worker.lease(50_000) for _ in range(3)]
    assert [slab for slab, _ in held] == [0, 2, 3]
    assert kept[0] == 1


def test_no_waste(both):
    """A small lease never takes a slab that is much too large for it, and a large one never a slab too small."""
    both.worker.lease(1 << 20)
    slab, root = both.worker.lease(20_000)
    assert slab == 1
    assert 20_000 <= len(root) <= 40_000
    assert both.worker.lease(1 << 20)[0] == 0


def test_retained_view_keeps_the_slab(both):
    """A view of a view of an array keeps its slab, and the last one that dies gives it back."""
    array = both.worker.empty((64, 1024), np.dtype("f4"))
    view = array[3:][::2].T
    before = address(array)
    del array
    assert both.worker.lease(64 * 4096)[0] == 1
    assert before <= address(view) < before + 64 * 4096
    del view
    assert both.worker.lease(64 * 4096)[0] == 0


def test_lent_slab_waits_for_the_trainer(both):
    """A slab that was sent is the trainer's until the trainer's last view of it dies, whatever the worker does."""
    slab, root = both.worker.lease(100_000)
    root[:] = 7
    theirs = both.lend(slab, root)
    del root
    part = theirs[10:20].reshape(5, 2)
    del theirs
    gc.collect()
    other, again = both.worker.lease(100_000)
    again[:] = 9
    assert other != slab
    assert (part == 7).all()
    del part
    assert both.worker.map.flags[slab] == 0
    assert both.worker.lease(100_000)[0] == slab


def test_freed_in_another_thread(both):
    """A view that dies in another thread gives its slab back all the same."""
    slab, root = both.worker.lease(100_000)
    views = deque([both.lend(slab, root)])
    del root
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join()
    assert both.worker.map.flags[slab] == 0


def test_view_outlives_the_arena():
    """A trainer's view stays valid when the descriptor is closed and both maps are let go of."""
    both = Both()
    slab, root = both.worker.lease(100_000)
    root[:] = 5
    view = both.lend(slab, root)[:1000]
    os.close(both.fd)
    del both, root
    gc.collect()
    assert (view == 5).all()


def test_full(both):
    """An arena without room says how much was wanted and how much there is, and works again when there is room."""
    leases = []
    with pytest.raises(MemoryError, match=r"1,000,000 bytes|1,048,576 bytes|1,\d\d\d,\d\d\d bytes more"):
        while True:
            leases.append(both.worker.lease(1_000_000))
    assert 13 <= len(leases) <= 16
    leases.pop()
    leases.append(both.worker.lease(1_000_000))
    roots = [root for _, root in leases]
    for number, root in enumerate(roots):
        root[:] = number
    assert all((root == number).all() for number, root in enumerate(roots))


def test_growing_sizes_do_not_strand_memory(both):
    """Batches that become larger little by little do not leave the memory of all the smaller ones taken behind them."""
    nbytes = 50_000
    while nbytes < 1_000_000:
        both.worker.lease(nbytes)
        nbytes = nbytes * 21 // 20
    assert os.fstat(both.fd).st_blocks * 512 < 4_000_000


def test_slab_at(both):
    """Memory is found in the slab that it lies in, and never in one that it only touches."""
    pairs = [both.worker.lease(n) for n in (20_000, 50_000, 300_000)]
    for slab, root in pairs:
        start, size = address(root), len(root)
        assert both.worker.slab_at(start, size) == slab
        assert both.worker.slab_at(start + size - 1, 1) == slab
        assert both.worker.slab_at(start + 5, size - 5) == slab
        assert both.worker.slab_at(start + 5, size) is None
    assert both.worker.slab_at(both.worker.map.start, 1) is None
    assert both.worker.slab_at(both.worker.map.start - 1, 1) is None
    assert both.worker.slab_at(both.worker.map.start + both.worker.top, 1) is None
    ordinary = np.zeros(100_000, np.uint8)
    assert both.worker.slab_at(address(ordinary), 100_000) is None


def test_small_arrays_are_ordinary(both):
    """An array below the threshold takes no slab; one at it does."""
    assert both.worker.slab_at(address(both.worker.empty((SMALL - 1,), np.dtype("u1"))), 1) is None
    assert both.worker.slab_at(address(both.worker.empty((SMALL,), np.dtype("u1"))), 1) == 0


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">f8", "c16", "M8[ns]", "S7", "U3", [("a", "i4"), ("b", "f8", 3)]])
def test_any_type(both, dtype):
    """Arrays of every fixed-size type are made in slabs, writable, in C order and aligned to a page."""
    array = both.worker.empty((9000, 3), np.dtype(dtype))
    assert array.dtype == np.dtype(dtype)
    assert array.shape == (9000, 3)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    assert both.worker.slab_at(address(array), array.nbytes) == 0
    assert (address(array) - both.worker.map.start) % 4096 == 0


def test_anonymous():
    """The file has no name anywhere, is not inherited by other programs, and takes no memory before it is used."""
    fd = create("penstock-test", 1 << 30)
    try:
        status = os.fstat(fd)
        assert status.st_nlink == 0
        assert status.st_blocks == 0
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_arena_size():
    """An arena may hold as much as the machine has memory, up to 64 GB, and whole pages."""
    assert 1 << 28 <= arena_size() <= 1 << 36
    assert arena_size() % 4096 == 0


def test_threads_never_share_a_slab(both):
    """Leases that several threads take at once never overlap, even if garbage is collected in the middle."""
    problems = []

    def work(mark: int) -> None:
        own = random.Random(mark)
        held: list[np.ndarray] = []
        try:
            for _ in range(300):
                root = both.worker.lease(own.choice([20_000, 30_000, 60_000]))[1]
                root[:] = mark
                cycle = [root]
                cycle.append(cycle)  # only the collector ends it
                held.append(root)
                if len(held) > 4:
                    if not (held[0] == mark).all():
                        problems.append(mark)
                    del held[own.randrange(5)]
        except BaseException as error:
            problems.append(repr(error))

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def offset_in(both: Both, array: np.ndarray) -> int:
    """Return where in the arena an array of either side lies."""
    ours = both.worker.slab_at(address(array), 1) is not None
    return address(array) - (both.worker.map if ours else both.trainer.map).start


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(SMALL, 400_000)), max_size=60))
def test_leases_never_overlap(steps):
    """Whatever is leased, lent and let go of: live memory never overlaps, and its content stays as written."""
    both = Both(1 << 26)
    live: list[tuple[np.ndarray, int]] = []
    try:
        for number, (what, nbytes) in enumerate(steps):
            if what == 0 and live:
                live.pop(nbytes % len(live))
                continue
            slab, root = both.worker.lease(nbytes)
            root[:nbytes] = number
            if what == 1:
                root = both.lend(slab, root)
            live.append((root[:nbytes], number))
            del root
        assert all((array == number).all() for array, number in live)
        spans = sorted((offset_in(both, array), len(array)) for array, _ in live)
        assert all(start + size <= then for (start, size), (then, _) in zip(spans, spans[1:], strict=False))  # noqa: RUF007
    finally:
        os.close(both.fd)


def test_much_that_is_held_is_said_once(caplog, monkeypatch):
    """A loop that keeps its batches is told so once, when they are many; memory that came back does not count."""
    monkeypatch.setattr("penstock.transport.slab.MUCH", 3 * 65536)
    fd = create("penstock-test", SIZE)
    arena, held = Arena(fd, SIZE), Held()
    ours = Borrowed(fd, SIZE, held)
    for _ in range(10):  # used and let go of
        number, _root = arena.lease(65536)
        ours.adopt(number, arena.offsets[number], 65536)
    assert held.nbytes == 0
    assert not caplog.records
    kept = [ours.adopt(number, arena.offsets[number], 65536) for number in (0, 0, 0, 0, 0)]
    assert held.nbytes == 5 * 65536
    assert len(caplog.records) == 1
    assert "holds" in caplog.text
    del kept
    assert held.nbytes == 0
    os.close(fd)
