"""Tar archives: the contract of stores, what other software wrote, and many shards as one."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tarfile
import threading

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StateError, StoreError
from penstock.storage import tar_reading, tar_writing
from penstock.testing import check_dataset, check_store, same

ITEMS = [
    {
        "__key__": f"k{k:03d}",
        "jpg": bytes([k]) * k * 97,
        "cls": k,
        "json": {"a": [k, None]},
        "txt": "ä" * k,
        "npy": np.arange(k * 3.0).reshape(k, 3),
        "seg.png": b"x",
    }
    for k in range(1, 14)
]


def test_contract():
    """Records of many kinds of members keep the contract of stores."""
    check_store("a.tar", ITEMS, checked=False)


def test_contract_of_shards():
    """A folder of archives does, too."""
    check_store("a", ITEMS, format="tar", saving={"max_count": 4}, checked=False, processes=False)


def test_contract_of_copies():
    """With copy=True, arrays can be written to."""
    check_store("a.tar", ITEMS, opening={"copy": True}, checked=False, processes=False)


def test_contract_of_streams():
    """So do archives that are read from the front: by wish, or because they are compressed."""
    check_store("a.tar", ITEMS, opening={"stream": True}, checked=False)
    check_store("a.tar.gz", ITEMS, checked=False, processes=False)


# ------------------------------------------------------------------------------------------------ made by other software


LONG = "a-rather-long-folder/" * 9 + "x" * 120


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("stream", [False, True])
def test_archives_of_tarfile(tmp_path, form, stream, archive, by_tarfile, entries):
    """What Python wrote in any of its formats is read as Python reads it, directories and links passed over."""
    folder = tarfile.TarInfo("d")
    folder.type = tarfile.DIRTYPE
    link = tarfile.TarInfo("d/link.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "../" + ("" if form == tarfile.USTAR_FORMAT else LONG)
    name = "p" * 150 + "/" + "q" * 90 + ".jpg" if form == tarfile.USTAR_FORMAT else f"{LONG}.jpg"
    path = archive(tmp_path / "a.tar", [folder, *entries[:4], link, *entries[4:], (name, b"8"), ("z.bin", b"")], form)
    store = ps.open(path, decode=False, stream=stream)
    assert list(store) == by_tarfile(path)
    check_dataset(store, epochs=(0,))


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar here")
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_gnu_tar(tmp_path, form, by_tarfile, entries):
    """What GNU tar wrote in each of its formats is read as Python reads it."""
    root = tmp_path / "root"
    for name, data in [*entries, (f"{LONG[:180]}/e.txt", b"8")] if form in {"oldgnu", "gnu", "posix"} else entries:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    os.symlink("a.jpg", root / "s.jpg")
    os.link(root / "a.jpg", root / "t.jpg")
    command = ["tar", "-c", f"--format={form}", "--sort=name", "-f", tmp_path / "a.tar", "-C", root, "."]
    subprocess.run(command, check=True)
    found = list(ps.open(tmp_path / "a.tar", decode=False))
    assert found == by_tarfile(tmp_path / "a.tar")
    assert len(found) >= 4


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar here")
@pytest.mark.parametrize("form", ["gnu", "posix"])
def test_sparse_files_are_refused(tmp_path, form):
    """What is sparse is named and refused, instead of being read as something else."""
    with open(tmp_path / "hole.bin", "wb") as file:
        file.seek(10_000_000)
        file.write(b"end")
    command = ["tar", "-c", "-S", f"--format={form}", "-f", "a.tar", "hole.bin"]
    subprocess.run(command, check=True, cwd=tmp_path)
    with pytest.raises(StoreError, match="sparse"):
        ps.open(tmp_path / "a.tar")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # WebDataset leaves the files that it reads open …
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # … which pytest reports so
def test_webdataset_and_penstock_read_one_another(tmp_path):
    """What WebDataset wrote is read as WebDataset reads it, and the other way round."""
    webdataset = pytest.importorskip("webdataset")
    items = [
        {"__key__": f"d/s{k}", "json": {"k": k}, "cls": k, "txt": f"t{k}", "npy": np.arange(k), "jpg": b"j" * k}
        for k in range(7)
    ]
    with webdataset.TarWriter(str(tmp_path / "theirs.tar"), encoder=True) as writer:
        for item in items:
            writer.write(item)
    ps.items(items).save(tmp_path / "ours.tar")
    for name in ("theirs.tar", "ours.tar"):
        by_them = webdataset.WebDataset(str(tmp_path / name), shardshuffle=False).decode()
        theirs = [{k: v for k, v in item.items() if k in items[0]} for item in by_them]
        ours = [{k: item[k] for k in theirs[0]} for item in ps.open(tmp_path / name)]
        assert same(theirs, ours)
        assert [item["cls"] for item in ours] == list(range(7))


def test_tarfile_and_tar_read_ours(tmp_path, by_tarfile):
    """What we write, Python's tarfile reads, and tar lists without a complaint: long names and huge sizes, too."""
    items = [{"__key__": f"{'k' * 40 * k}/{k}", "bin": b"b" * 300 * k, "seg.txt": f"ü{k}"} for k in range(1, 9)]
    store = ps.items(items).save(tmp_path / "a.tar")
    raw = [{**item, "seg.txt": item["seg.txt"].encode()} for item in items]
    assert by_tarfile(tmp_path / "a.tar") == raw == list(ps.open(tmp_path / "a.tar", decode=False))
    assert list(store) == items
    if shutil.which("tar"):
        listed = subprocess.run(["tar", "-tf", tmp_path / "a.tar"], check=True, capture_output=True, text=True)
        assert (len(listed.stdout.splitlines()), listed.stderr) == (16, "")
    for size in (8**11 - 1, 8**11, 1 << 50):
        info = tarfile.TarInfo.frombuf(tar_writing.header(b"a.bin", size, b"0"), "utf-8", "strict")
        assert (info.name, info.size, info.mode, info.mtime) == ("a.bin", size, 0o644, 0)


# ----------------------------------------------------------------------------------------------------------- many shards


@pytest.fixture
def shards(tmp_path):
    """Five archives of three records each, and the keys of all."""
    for shard in range(5):
        items = [{"__key__": f"{shard}-{k}", "cls": shard * 3 + k} for k in range(3)]
        ps.items(items).save(tmp_path / f"s-{shard:03d}.tar")
    return tmp_path


@pytest.mark.parametrize("stream", [False, True])
def test_patterns_lists_and_folders(shards, stream, classes):
    """Braces, wildcards, lists and folders stand for the same archives."""
    names = [str(shards / f"s-{k:03d}.tar") for k in range(5)]
    everything = list(range(15))
    assert classes(ps.open(str(shards / "s-{000..004}.tar"), stream=stream)) == everything
    assert classes(ps.open(shards / "s-*.tar", stream=stream)) == everything
    assert classes(ps.open(shards, stream=stream)) == everything
    assert classes(ps.open(shards, "tar", stream=stream)) == everything
    assert classes(ps.open(names, stream=stream)) == everything
    assert classes(ps.open(names[1::2], stream=stream)) == [3, 4, 5, 9, 10, 11]
    assert classes(ps.open([str(shards / "s-{000..001}.tar"), names[4]], stream=stream)) == [
        0,
        1,
        2,
        3,
        4,
        5,
        12,
        13,
        14,
    ]
    assert classes(ps.open([names[2]], stream=stream)) == [6, 7, 8]


def test_patterns_that_find_nothing(shards):
    """What is missing is named; an empty list, a format of one file, and too many alternatives are refused."""
    with pytest.raises(StoreError, match=r"no file .*s-005.tar"):
        ps.open(str(shards / "s-{000..005}.tar"))
    with pytest.raises(StoreError, match="nothing matches"):
        ps.open(shards / "x-*.tar")
    with pytest.raises(ArgumentError, match="empty"):
        ps.open([])
    with pytest.raises(ArgumentError, match="reads one file"):
        ps.open(["a.npy", "b.npy"])
    with pytest.raises(ArgumentTypeError, match="must be text"):
        ps.open([1])
    with pytest.raises((ArgumentError, StoreError)):
        ps.open(str(shards / "s-{0..9999999}.tar"))
    os.mkdir(shards / "none")
    with pytest.raises(StoreError, match="no archives"):
        ps.open(shards / "none", "tar")


def test_names_with_braces_and_commas(tmp_path, classes):
    """A file whose name looks like a pattern is itself, alone and in a list."""
    for k, name in enumerate(["a{1,2}.tar", "b,c.tar", "d[e].tar", "f\\g.tar"]):
        ps.items([{"cls": k}]).save(tmp_path / name)
        assert classes(ps.open(tmp_path / name)) == [k]
    names = [tmp_path / name for name in ("a{1,2}.tar", "b,c.tar", "d[e].tar", "f\\g.tar")]
    assert classes(ps.open(names)) == [0, 1, 2, 3]
    assert classes(ps.open(names[:1])) == [0]


@pytest.mark.parametrize("stream", [False, True])
def test_shards_keep_the_contract_of_datasets(shards, stream):
    """Order, state, resume at every place: across archives as within one; every record's error names archive and key."""
    store = ps.open(shards / "s-*.tar", stream=stream)
    check_dataset(store, epochs=(0, 1))
    check_dataset(store.shuffle(window=6).batch(4), epochs=(0, 1))

    def fail(item):
        raise KeyError(item["cls"]) if item["cls"] == 7 else AssertionError

    with pytest.raises((KeyError, AssertionError)) as caught:
        list(store.filter(lambda item: item["cls"] == 7).map(fail))
    assert type(caught.value) is KeyError
    if not stream:
        with pytest.raises(KeyError) as caught:
            store.map(fail)[7]
        assert any("record 7, 's-002.tar: 2-1', of" in note for note in caught.value.__notes__)


def test_ranks_and_workers(shards, classes):
    """Ranks take their parts of every batch; with streams, a rank may as well take every second archive."""
    store = ps.open(shards / "s-*.tar").map(lambda item: item["cls"])
    parts = []
    for rank in range(2):
        with store.shuffle().batch(4, last="drop").loader(workers=ps.Threads(2), shard=(rank, 2)) as loader:
            parts.append([batch.tolist() for batch in loader])
    whole = [batch.tolist() for batch in store.shuffle().batch(4, last="drop")]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole
    names = sorted(str(path) for path in shards.glob("*.tar"))
    streams = [classes(ps.open(names[rank::2], stream=True)) for rank in range(2)]
    assert sorted(streams[0] + streams[1]) == list(range(15))


def test_maps_are_limited(shards, monkeypatch):
    """More archives than may be mapped at once are read by threads all the same; views outlive their map."""
    monkeypatch.setattr(tar_reading, "LEAST", 2)
    monkeypatch.setattr(tar_reading.resource, "getrlimit", lambda which: (0, 0))
    store = ps.open(shards / "s-*.tar", decode=False, copy=False)
    reader = store.node.handle.reader()
    kept = list(store)
    failures = []

    def read(seed):
        draw = random.Random(seed)
        for _ in range(300):
            k = draw.randrange(15)
            if bytes(store[k]["cls"]) != str(k).encode():
                failures.append(k)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(reader.maps.open) <= 2
    shutil.rmtree(shards)
    assert [bytes(item["cls"]) for item in kept] == [str(k).encode() for k in range(15)]


def test_many_at_random(tmp_path, shards):
    """Vectors of indices, ranges and slices give what single indices give, for one archive and for several."""
    draw = np.random.default_rng(0)
    items = [{f"{'x' * (k % 4)}b": bytes([k]) * k, "txt": str(k)} for k in range(60)]
    for store in (ps.items(items).save(tmp_path / "mixed.tar"), ps.open(shards / "s-*.tar")):
        reader, count = store.node.handle.reader(), len(store)
        single = [reader[k] for k in range(count)]
        for where in (draw.permutation(count), draw.integers(0, count, 100), np.array([3]), np.arange(0)):
            assert reader.many(where) == [single[k] for k in where]
        for where in (range(count), range(2, 13), range(13, 2, -1), range(1, 14, 3), range(5, 5), range(14, -1, -1)):
            assert reader.many(where) == [single[k] for k in where]
        assert json.dumps(reader.schema())


def test_a_changed_archive_is_noticed(shards):
    """An archive that was replaced after it was opened, and before it was mapped, is refused, not read at old places."""
    store = ps.open(shards / "s-*.tar")
    ps.items([{"cls": 7}] * 1).save(shards / "s-002.tar", replace=True)
    assert store[0]["cls"] == 0
    with pytest.raises(StoreError, match=r"s-002.tar has been changed"):
        store[7]


def test_a_state_is_of_one_content(shards):
    """A state of other archives is refused."""
    with ps.open(shards / "s-00[012].tar", stream=True).loader() as loader:
        next(iter(loader))
        state = loader.state_dict()
    assert len(json.dumps(state)) < 1000
    with ps.open(shards / "s-00[013].tar", stream=True).loader() as loader, pytest.raises(StateError):
        loader.load_state_dict(state)
    tape = ps.open(shards / "s-*.tar", stream=True).node.handle.reader()
    for position in (-1, 6 << tar_reading.SHARDS):
        with pytest.raises(StateError, match="of 5 cannot be"):
            next(tape.read(position))
