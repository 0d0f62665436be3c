"""Groups: each is loaded once while there is room, by one thread; shuffles in the groups of a store read each once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError
from penstock.graph.arranging import Stretches
from penstock.storage.grouped import Cache, Group
from penstock.testing import check_dataset


def group(nbytes):
    """Return a group that says that it has so many bytes."""
    return Group({"x": np.zeros(1)}, 1, nbytes)


def test_cache_keeps_what_was_used_last():
    """Up to the room there is, groups that were asked for last are kept; one at least."""
    loaded = []

    def load(number):
        loaded.append(number)
        return group(40)

    cache = Cache(100)
    for number in (0, 1, 0, 2, 0, 1):
        cache.get(number, load)
    assert loaded == [0, 1, 2, 1]
    assert cache.used == 80
    cache = Cache(0)
    loaded.clear()
    for number in (0, 0, 1, 0):
        cache.get(number, load)
    assert loaded == [0, 1, 0]


def test_threads_load_a_group_once():
    """Threads that want the same group get one object, loaded once; an error of one is not kept from the others."""
    cache = Cache(100)
    begun, go = threading.Event(), threading.Event()
    loaded, found = [], []

    def load(number):
        loaded.append(number)
        begun.set()
        assert go.wait(30)
        return group(1)

    threads = [threading.Thread(target=lambda: found.append(cache.get(0, load))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    go.set()
    for thread in threads:
        thread.join()
    assert loaded == [0]
    assert len(set(map(id, found))) == 1

    def fail(number):
        raise OSError("on purpose")

    with pytest.raises(OSError, match="on purpose"):
        cache.get(1, fail)
    assert cache.get(1, load).nbytes == 1
    assert not cache.loading


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5), st.integers(0, 99))
def test_stretches(lengths, together, epoch):
    """Blocks of any lengths are a permutation in which only so many blocks at a time are mixed, whole ones."""
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    order = Stretches(bounds, together, (7, 3, epoch))
    found = order.many(range(order.n))
    assert sorted(found.tolist()) == list(range(sum(lengths)))
    assert [order.one(place) for place in range(order.n)] == found.tolist()
    blocks = bounds.searchsorted(found, "right") - 1
    place = 0
    while place < order.n:
        for end in range(place + 1, order.n + 1):
            mixed = set(blocks[place:end].tolist())
            whole = sum(lengths[block] for block in mixed) == end - place
            if whole and (len(mixed) == together or end == order.n):
                break
        assert whole
        assert len(mixed) <= together
        place = end


def test_shuffle_in_the_groups_of_a_store(tmp_path):
    """block="stored" mixes row groups as they are in the files, behind a map too, and keeps the contract of datasets."""
    pytest.importorskip("pyarrow")
    for k, count in enumerate((25, 7, 18)):
        rows = ps.range(count).map(lambda x, k=k: {"x": 100 * k + x})
        rows.save(tmp_path / f"{k}.parquet", group=10)
    found = ps.open(tmp_path, where=("x", "!=", 3))
    shuffled = found.map(lambda item: item["x"]).shuffle(block="stored", blocks=1)
    values = list(shuffled)
    assert sorted(values) == sorted(item["x"] for item in found)
    groups = [(value // 100, value % 100 // 10) for value in values]
    assert len(list(dict.fromkeys(groups))) == sum(a != b for a, b in zip(groups, [None, *groups], strict=False))
    assert list(shuffled.epoch(1)) != values
    check_dataset(found.shuffle(block="stored", blocks=2, ascending=5), limit=6)
    assert "block='stored'" in str(shuffled)
    with ps.open(tmp_path).shuffle(block="stored").batch(7).loader(workers=ps.Processes(2)) as loader:
        assert sum(len(batch["x"]) for batch in loader) == 50


def test_shuffle_where_there_are_no_groups(tmp_path):
    """block="stored" of what no store keeps in groups is refused with the remedy."""
    ps.range(5).save(tmp_path / "a.npy")
    for dataset in (ps.range(5), ps.open(tmp_path / "a.npy"), ps.range(5).batch(2)):
        with pytest.raises(ArgumentError, match="block=1024"):
            dataset.shuffle(block="stored")
