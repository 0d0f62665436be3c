"""What workers hand to one another: an item is computed once, and what is found is never wrong."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import penstock as ps
from penstock.graph.caching import MISSING
from penstock.storage import cache_neighbours
from penstock.storage.cache_neighbours import Neighbours, neighbours

LONG = 60.0  # seconds said to have been spent: far above what makes it worth while to offer an item


def rows(k):
    """Return the rows of a file that takes a while to read."""
    time.sleep(2 * cache_neighbours.SLOW)  # the work itself
    return [{"file": k, "row": np.full(3000, 10 * k + j)} for j in range(10)]


def logged(path):
    """Return the same function; a line in a file says each time who calls it."""

    def read(k):
        with open(path, "a") as log:
            log.write(f"{k}\n")
        return rows(k)

    return read


def simple(item):
    """Return an item as it can be compared."""
    return [(row["file"], row["row"].tolist()) for row in item]


def test_each_file_is_read_by_one_worker(tmp_path):
    """Rows of all files go to both workers in turns, and yet no file is read twice; the stream is that of one process."""
    log = tmp_path / "log"
    dataset = ps.range(6).map(logged(log)).cache(count=2).unbatch(size=10).batch(4, collate=list)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        batches = [simple(batch) for batch in loader]
    assert sorted(log.read_text().split()) == [str(k) for k in range(6)]
    assert batches == [simple(batch) for batch in dataset]


def test_a_killed_worker_keeps_nobody_waiting(tmp_path):
    """Whoever waits for an item computes it where the worker that was at it is killed."""

    def read(k):
        if k == 1:
            try:
                (tmp_path / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return rows(k)

    dataset = ps.range(3).map(read).cache(count=2).unbatch(size=10).batch(5, collate=list)
    with dataset.loader(workers=ps.Processes(2)) as loader:
        batches = [simple(batch) for batch in loader]
    assert batches == [simple(batch) for batch in ps.range(3).map(rows).unbatch(size=10).batch(5, collate=list)]
    assert (tmp_path / "killed").exists()


def test_what_cannot_be_copied_stays_with_its_worker(tmp_path):
    """A map of a file is each worker's own, as it is without neighbours, however long it takes to open."""
    np.save(tmp_path / "rows.npy", np.arange(30))

    def opened(k):
        time.sleep(2 * cache_neighbours.SLOW)
        return np.load(tmp_path / "rows.npy", mmap_mode="r")

    dataset = ps.range(3).map(opened).cache(count=2).repeat_each(4).map(lambda x: (type(x), x.flags.writeable))
    with dataset.loader(workers=ps.Processes(2)) as loader:
        assert list(loader) == [(np.memmap, False)] * 12


def two():
    """Return what two workers have, in one process; what they offer goes with it."""
    mine = Neighbours()
    return mine, pickle.loads(pickle.dumps(mine))


def end(one):
    """Do what the end of a worker does."""
    for index in list(one.files):
        one.drop(index)


def test_what_is_offered_is_found_until_it_is_dropped():
    """Its arrays may be written to, which changes no other's; of another item there is nothing."""
    mine, other = two()
    item = {"row": np.arange(5000.0), "name": "a"}
    mine.offer(7, item, LONG)
    found = other.find(7)
    found["row"][:] = 0
    assert other.find(7)["row"].tolist() == item["row"].tolist()
    assert other.find(7 + cache_neighbours.PLACES) is MISSING
    mine.drop(7)
    assert other.find(7) is MISSING


def test_what_is_another_item_by_now_is_not_found():
    """Where an entry is old, its descriptor may be a file of something else, or an item of another number."""
    mine, other = two()
    mine.offer(1, "old", LONG)
    descriptor = mine.files[1][0]
    mine.drop(1)
    mine.offer(2, "new", LONG)
    assert mine.files[2][0] == descriptor
    assert (other.find(1), other.find(2)) == (MISSING, "new")
    mine.drop(2)
    with open(os.devnull, "rb") as stranger:
        assert stranger.fileno() == descriptor
        assert other.find(2) is MISSING


@pytest.mark.parametrize(
    ("item", "seconds"),
    [("quick", 0.0), (np.zeros(100_000), 2 * cache_neighbours.SLOW), (threading.Lock(), LONG), ("unwanted", LONG)],
    ids=["quick", "large", "not to be sent", "unwanted"],
)
def test_where_it_does_not_pay_it_ends(item, seconds):
    """Quick items, large ones for their time, those that do not travel and those that nobody wants: all are left alone."""
    mine, _ = two()
    for index in range(cache_neighbours.WASTED + cache_neighbours.FILES):
        mine.offer(index, item, seconds)
    assert not mine.wanted
    end(mine)


def test_files_are_few_and_of_limited_size(monkeypatch):
    """The oldest go."""
    mine, other = two()
    for index in range(20):
        mine.offer(index, "x", LONG)
        assert other.find(index) == "x"
    assert list(mine.files) == list(range(20 - cache_neighbours.FILES, 20))
    monkeypatch.setattr(cache_neighbours, "HELD", 20_000)
    mine.offer(20, bytes(15_000), LONG)
    mine.offer(21, bytes(15_000), LONG)
    assert list(mine.files) == [21]
    assert mine.wanted
    end(mine)


def test_without_the_trainer_there_are_no_neighbours():
    """On another machine, or behind the trainer's end, each worker goes on by itself."""
    _mine, other = two()
    other.table.home = (os.getpid(), 1_000_000)
    other.table.reset()
    with other.alone(3):
        assert other.find(3) is MISSING
    assert not other.wanted


def test_systems_without_files_in_memory_have_no_neighbours(monkeypatch):
    """Caches work there, each worker for itself."""
    monkeypatch.delattr(os, "memfd_create")
    assert neighbours() is None
    assert list(ps.range(3).cache(count=2).loader(workers=ps.Threads(1))) == [0, 1, 2]
