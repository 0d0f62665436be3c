"""cache: the same stream with and without it; each item computed once; on disk, in shared memory, in each process."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.graph.caching import MISSING
from penstock.storage import cache_disk, cache_memory
from penstock.testing import check_dataset
from penstock.testing.equality import same


def row(k):
    """Return a dict of all sizes."""
    return {"image": np.full((k % 7, 40), k, "f4"), "big": np.full(3000, k), "name": f"n{k}", "k": k}


def jitter(x, rng):
    """Return an item and a draw."""
    return x["k"], float(rng.random())


def spoil(x):
    """Change an item in place."""
    x["big"] += 1
    x["k"] = -x["k"]
    return x


@pytest.fixture(params=["disk", "memory", "count"])
def how(request, tmp_path):
    """Each place where items are kept."""
    return {"disk": {"path": tmp_path / "kept"}, "memory": {"memory": "10MB"}, "count": {"count": 9}}[request.param]


def test_contract(how):
    """Every promise of a description holds with a cache in it, at any place where it may stand."""
    rows = ps.range(23).map(row)
    check_dataset(rows.cache(**how).shuffle().map(jitter, rng=True).batch(4, collate=list))
    check_dataset(rows.batch(4, collate=list).cache(**how), epochs=(0,))
    check_dataset(ps.range(0).cache(**how))
    check_dataset(ps.range(1).cache(**how))
    check_dataset(rows.cache(**how).filter(lambda x: x["k"] % 3).map(spoil).batch(3, collate=list))
    check_dataset(ps.arrays(np.arange(40.0).reshape(20, 2)).cache(**how).batch(3))


def test_processes(how):
    """In processes, over epochs, with a state taken in the middle and loaded elsewhere."""
    dataset = ps.range(4).map(row).cache(**how).map(spoil).batch(2, collate=list)
    check_dataset(dataset, executors=(ps.Processes(2),), epochs=(0,))


def test_the_stream_is_the_same_without(how):
    """Items, random draws behind it and states are those of the description without the cache."""
    plain = ps.range(30).map(row)
    with_, without = (d.shuffle().map(jitter, rng=True).batch(4) for d in (plain.cache(**how), plain))
    for epoch in (0, 1, 2):
        assert same(list(with_.epoch(epoch)), list(without.epoch(epoch)))
    with with_.loader() as a, without.loader() as b:
        next(iter(a)), next(iter(b))
        assert a.state_dict() == b.state_dict()
        b.load_state_dict(a.state_dict())


def test_what_is_read_can_be_changed(how):
    """An item that is changed in place, before or after it was kept, changes nothing that others read."""
    dataset = ps.range(5).map(row).cache(**how)
    for _ in range(3):
        for k, item in enumerate(dataset):
            assert same(item, row(k))
            spoil(item)


def test_each_item_is_computed_once(tmp_path):
    """However many epochs and workers, an item is computed once, where it has room and nobody asks meanwhile."""
    marks = tmp_path / "marks"
    marks.touch()

    def noted(k):
        with open(marks, "a") as file:
            file.write(f"{k}\n")
        return row(k)

    for options in ({"memory": "10MB"}, {"path": tmp_path / "kept"}):
        marks.write_text("")
        dataset = ps.range(40).map(noted).cache(**options).shuffle().batch(4, collate=list)
        with dataset.loader(workers=ps.Processes(3)) as loader:
            for _ in range(3):
                assert sum(len(batch) for batch in loader) == 40
            report = loader.report()
        counts = collections.Counter(marks.read_text().split())
        (kept,) = report.caches
        assert len(counts) == 40
        # What is under way when an epoch ends is not kept yet, and may be asked for by the next one, begun meanwhile.
        assert sum(counts.values()) == kept.missed <= 40 + 3 * 4
        assert kept.found >= 80
        assert kept.nbytes > 40 * 24000
        assert "items were there" in str(report)


def test_another_run_finds_it(tmp_path):
    """What a process kept on disk, the next one reads: with functions of scripts, lambdas and closures."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, math, numpy as np, penstock as ps\n"
        "SCALE = {'a': (1, 2.5), 'b': {3, 4, 'x'}}\n"
        "class Decoder:\n"
        "    size = 3\n"
        "    def __init__(self, table): self.table = table\n"
        "    def __call__(self, x): print('computed'); return math.sqrt(x) + self.table.sum() + SCALE['a'][0] + helped(x)\n"
        "def helped(x): return x + np.float64(1)\n"
        "def make(k):\n"
        "    return lambda x: x * k\n"
        "d = ps.range(5).map(Decoder(np.arange(4))).map(make(3)).cache(sys.argv[1])\n"
        "print(list(d))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, str(script), str(tmp_path / "kept")],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert runs[0].count("computed") == 5
    assert runs[1] == runs[0].replace("computed\n", "")
    changed = script.read_text().replace("return x + np.float64(1)", "return x + np.float64(2)")
    script.write_text(changed)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "kept")], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("computed") == 5


@given(st.lists(st.integers(0, 19), max_size=40), st.integers(1, 30_000), st.integers(1, 6))
def test_any_reading_is_right(tmp_path_factory, places, nbytes, count):
    """Whatever is asked for, in whatever order, with whatever room, it is what would be computed."""
    folder = tmp_path_factory.mktemp("any")
    for options in ({"memory": nbytes}, {"count": count}, {"path": folder}):
        dataset = ps.range(20).map(row).cache(**options)
        assert same(
            list(dataset.select(np.array(places, int)).batch(7, collate=list)),
            list(ps.range(20).map(row).select(np.array(places, int)).batch(7, collate=list)),
        )
        for place in places:
            assert same(dataset[place], row(place))


def test_memory_is_bounded():
    """What does not fit is computed every time; what fitted stays."""
    dataset = ps.range(40).map(row).cache(memory=300_000)
    assert same(list(dataset), list(map(row, range(40))))
    kept = dataset.node.kept()
    assert kept.limit == 300_000
    assert 200_000 < kept.nbytes <= 300_000
    list(dataset)
    assert 8 <= dataset.node.kept().found <= 12


def test_the_last_few_are_kept():
    """Those used last are there, the others are not."""
    calls = []
    dataset = ps.range(10).map(lambda k: calls.append(k) or k).cache(count=3)
    for k in (0, 1, 2, 0, 3, 0, 1):
        assert dataset[k] == k
    assert calls == [0, 1, 2, 3, 1]


def test_the_last_few_may_be_what_cannot_be_copied(tmp_path):
    """A lock, say, and a read-only map of a file are handed out themselves; an iterator is made anew each time."""
    np.save(tmp_path / "rows.npy", np.arange(6))
    kinds = [threading.Lock, lambda: np.load(tmp_path / "rows.npy", mmap_mode="r"), lambda: iter("ab")]
    dataset = ps.items(kinds).map(lambda make: make()).cache(count=3)
    lock, mapped, letters = dataset
    assert dataset[0] is lock
    assert dataset[1] is mapped
    assert (list(letters), list(dataset[2])) == (["a", "b"], ["a", "b"])


def test_descriptions_that_are_equal_share_memory():
    """The same description again, a loader's variant of it included, finds what was kept; another one does not."""
    calls = []

    def noted(k):
        calls.append(k)
        return k

    cached = ps.range(6).map(noted).cache(memory="1MB")
    list(cached)
    list(cached.shuffle().batch(2))
    with cached.batch(2).loader(shard=(0, 2)) as loader:
        list(loader)
    with cached.batch(2).loader(on_error="skip") as loader:
        list(loader)
    assert calls == list(range(6))
    batched = ps.range(6).map(noted).batch(2).cache(memory="1MB")
    for rank in (0, 1, 0):
        with batched.loader(shard=(rank, 2)) as loader:
            assert [batch.tolist() for batch in loader] == [[0 + rank], [2 + rank], [4 + rank]]


KILLED = """
import os, signal, sys
import numpy as np, penstock as ps
def row(k):
    return {"big": np.full(3000, k)}
pwrite, count = os.pwrite, [0]
def dying(fd, data, at):
    count[0] += 1
    if count[0] == int(sys.argv[2]):
        pwrite(fd, bytes(data)[: len(data) // 2], at)
        os.kill(os.getpid(), signal.SIGKILL)
    return pwrite(fd, data, at)
os.pwrite = dying
list(ps.range(8).map(row).cache(sys.argv[1], key="k"))
"""


def big(k):
    """Return what the process that is killed keeps."""
    return {"big": np.full(3000, k)}


@pytest.mark.parametrize("when", [1, 2, 7, 8])
def test_a_kill_in_the_middle_of_writing(tmp_path, when):
    """Half a record, or half an entry, is never read; the next process goes on in the same file."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "c"), str(when)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "c").iterdir()
    shelf = cache_disk.Folder(str(folder), 8, "")
    found = [shelf.get(k) for k in range(8)]
    assert all(item is MISSING or same(item, big(k)) for k, item in enumerate(found))
    assert sum(item is not MISSING for item in found) == (when - 1) // 2
    for k in range(8):
        shelf.put(k, big(k))
    assert all(same(shelf.get(k), big(k)) for k in range(8))
    assert len([name for name in os.listdir(folder) if name.startswith("data-")]) == 1


def test_damaged_caches_are_computed_again(tmp_path):
    """Whatever bytes of a cache are changed, lost or replaced, the stream is the same."""
    dataset = ps.range(8).map(row).cache(tmp_path, key="k")
    expected = list(dataset)
    (folder,) = tmp_path.iterdir()
    draw = random.Random(0)
    files = [folder / "index", folder / "data-00000"]
    whole = {path: path.read_bytes() for path in files}
    for number in range(100):
        path = files[number % 2]
        data = bytearray(whole[path])
        for _ in range(draw.randrange(1, 4)):
            data[draw.randrange(min(len(data), 2000) if number % 3 else len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randrange(len(data))] if number % 5 == 0 else data)
        again = ps.range(8).map(row).cache(tmp_path, key="k")
        assert same([again[k] for k in range(8)], expected)
        for path, data in whole.items():
            path.write_bytes(data)


def test_a_full_disk_only_stops_keeping(tmp_path, monkeypatch, caplog):
    """Where nothing more can be written, reading goes on, and a warning says so once."""

    def full(*args):
        raise OSError(28, "No space left on device")

    dataset = ps.range(8).map(row).cache(tmp_path)
    monkeypatch.setattr(cache_disk.os, "pwrite", full)
    assert same(list(dataset), list(map(row, range(8))))
    assert caplog.text.count("keeps nothing more") == 1


def test_a_killed_worker_leaves_a_cache_that_works():
    """Workers that are killed while they keep items are replaced, and what they left does no harm."""
    dataset = ps.range(60).map(row).cache(memory="20MB").batch(2, collate=list)
    expected = list(ps.range(60).map(row).batch(2, collate=list))
    with dataset.loader(workers=ps.Processes(2)) as loader:
        for epoch in range(3):
            found = []
            for number, batch in enumerate(loader):
                found.append(batch)
                if number == 5 and epoch < 2 and loader.workers[0].pid:
                    os.kill(loader.workers[0].pid, signal.SIGKILL)
            assert same(found, expected)


def in_memory():
    """Return the files in memory that this process has open for caches."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [link for link in found if "memfd:penstock-c" in link]


def test_memory_goes_with_the_dataset():
    """No descriptor and no memory is left when the dataset is garbage."""
    dataset = ps.range(8).map(row).cache(memory="1MB")
    list(dataset)
    assert len(in_memory()) == 2
    del dataset
    assert in_memory() == []


def test_items_that_cannot_be_kept_say_so(tmp_path):
    """What the disk cannot hold is an error that names the item's field, not a stream that is slow for no reason."""
    Point = collections.namedtuple("Point", "x y")  # noqa: PYI024  as users write it
    dataset = ps.range(3).map(lambda k: {"p": Point(k, k)})
    with pytest.raises(ArgumentTypeError, match="p") as caught:
        list(dataset.cache(tmp_path))
    assert any("item 0" in note for note in caught.value.__notes__)
    assert list(dataset.cache(memory="1MB")) == list(dataset)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda d, p: d.cache(), ArgumentError, "one of path"),
        (lambda d, p: d.cache(p, memory=3), ArgumentError, "one of path"),
        (lambda d, p: d.cache(memory="lots"), ArgumentError, "4GB"),
        (lambda d, p: d.cache(count=0), ArgumentError, "at least 1"),
        (lambda d, p: d.cache(3), ArgumentTypeError, "must be a folder"),
        (lambda d, p: d.cache(count=3, key="x"), ArgumentError, "key"),
        (lambda d, p: d.shuffle().cache(p), ArgumentError, r"Put cache\(\) before shuffle"),
        (lambda d, p: d.map(jitter, rng=True).map(len).cache(p), ArgumentError, r"before map\(jitter"),
        (lambda d, p: d.order(lambda epoch: [1, 0]).cache(p), ArgumentError, r"before order"),
        (lambda d, p: d.repeat().cache(p), ArgumentError, "no end"),
        (lambda d, p: d.filter(bool).cache(p), ArgumentTypeError, "stream"),
        (lambda d, p: list(d.cache("/proc/none/cache")), StoreError, "cannot be used"),
    ],
)
def test_wrong_arguments(tmp_path, call, kind, words):
    """What cannot work is refused with a remedy."""
    with pytest.raises(kind, match=words):
        call(ps.range(4), tmp_path)


def test_label():
    """It is printed as it was written; a state does not depend on where."""
    dataset = ps.range(4).cache(memory="1GB")
    assert dataset.node.label() == "cache(memory='1GB')"
    assert ps.range(4).cache("x").node.label() == "cache('x')"
    assert dataset.node.fingerprint() == "cache()"


def test_frozen_items_come_back():
    """Pieces of an item of any number and size are put together again."""
    for value in (1, "a", np.arange(10_000), [np.arange(5000), np.zeros((100, 100), order="F"), b"x" * 9000], {}):
        memory = np.frombuffer(bytearray(b"".join(cache_memory.frozen(value))), np.uint8)
        assert same(cache_memory.thawed(memory), value)


def test_writing_through():
    """What is written through a cache is in the source, and is what is read; where what is kept stays, it is refused."""
    source = [1, 2, 3]
    kept = ps.items(source).cache(count=2)
    assert list(kept) == [1, 2, 3]
    kept[-1] = 30
    assert (source, kept[2], list(kept)) == ([1, 2, 30], 30, [1, 2, 30])
    with pytest.raises(ArgumentTypeError, match="cache"):
        ps.items(source).cache(memory="1MB")[0] = 10
    assert source == [1, 2, 30]
