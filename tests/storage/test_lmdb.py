"""LMDB: the contract of stores, growth, keys, checksums, views, adding while others read, and files of others."""

from __future__ import annotations

import gc
import os
import pickle
import random
import shutil
import sys
import threading

import lmdb
import msgpack
import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, MissingExtra, StoreError
from penstock.opening import writing
from penstock.storage import lmdb_writing
from penstock.storage.lmdb import open_lmdb
from penstock.storage.lmdb_pages import Pages
from penstock.testing import check_store, same

ITEMS = [
    {"x": np.arange(k * 50, dtype=">u2"), "k": k, "s": "ä" * k, "b": b"q" * k, "l": [{"a": None}, (1.5, True)]}
    for k in range(40)
]


def test_contract():
    """Records of all kinds keep the contract of stores."""
    check_store("a.lmdb", ITEMS)


def test_contract_of_byte_strings():
    """Byte strings, stored as they are, from one byte to ten megabytes, with either checksum."""
    sizes = [1, 2, 2000, 2030, 2040, 4080, 5000, 10_000_000, 3]
    items = [bytes([k]) * size for k, size in enumerate(sizes)]
    check_store("a.mdb", items, saving={"values": "bytes", "checksum": "crc32"}, processes=False)


def test_contract_without_checksums():
    """Without checksums a changed byte may go unnoticed, and still does no harm."""
    items = [np.full(90 * k, k) for k in range(5)]
    check_store("a.lmdb", items, saving={"checksum": None}, checked=False, processes=False)


def test_contract_as_copies():
    """With copy=True, items can be written to."""
    check_store("a.lmdb", ITEMS[:4], opening={"copy": True, "verify": "always"}, processes=False)


@pytest.fixture
def path(tmp_path):
    """A file's name."""
    return str(tmp_path / "a.lmdb")


def test_many_records_on_several_levels(path):
    """Tens of thousands of records make a tree of three levels; any index and any slice finds its own."""
    store = ps.range(40_000).save(path)
    assert Pages(path).depth >= 3
    order = np.random.default_rng(0).permutation(40_000)
    assert store.node.handle.reader().many(order) == order.tolist()
    fresh = ps.open(path)
    assert [fresh[int(k)] for k in order[:500]] == order[:500].tolist()
    assert list(fresh[39_999:0:-777]) == list(range(39_999, 0, -777))


def test_the_map_grows_without_a_guess(path, monkeypatch):
    """A map that is full is doubled, and no record is lost or written twice."""
    monkeypatch.setattr(lmdb_writing, "MAP", 1 << 16)
    monkeypatch.setattr(lmdb_writing, "TRANSACTION", 1 << 14)
    items = [bytes([k % 256]) * (k * 37 % 9000) for k in range(400)]
    assert list(ps.items(items).save(path)) == items
    assert os.listdir(os.path.dirname(path)) == ["a.lmdb"]  # no lock file


def test_liblmdb_reads_it(path):
    """Any LMDB library reads the file: positions as keys, values as they were given, where there is no checksum."""
    ps.items([b"one", b"two"]).save(path, values="bytes", checksum=None)
    with (
        lmdb.open(path, subdir=False, lock=False, readonly=True) as environment,
        environment.begin() as transaction,
    ):
        assert transaction.get((1).to_bytes(8, "big")) == b"two"


def test_keys_name_records_in_errors(path):
    """A record's own key stands in the note on an error, and so does the file."""
    store = ps.items(["a", "b", "c"]).save(path, key=lambda item: f"photo {item}")

    def fail(item):
        raise KeyError(item)

    with pytest.raises(KeyError) as caught:
        store.map(fail)[1]
    assert any("record 1, 'photo b', of " in note and "a.lmdb" in note for note in caught.value.__notes__)
    with pytest.raises(ArgumentTypeError, match="all have text, or none"), writing(path, replace=True) as other:
        other.append(1, "a")
        other.append(2)


def test_views_outlive_the_store(path):
    """Arrays are read-only views of the file's pages, valid when the store is closed, garbage, deleted or replaced."""
    ps.items([np.arange(9000), np.arange(3)]).save(path)
    store = ps.open(path)
    found = list(store)
    assert not found[0].flags.writeable
    store.node.handle.reader().close()
    del store
    gc.collect()
    ps.items([np.zeros(9000)]).save(path, replace=True)
    os.unlink(path)
    assert same(found, [np.arange(9000), np.arange(3)])


def test_what_copy_means(path):
    """None: arrays are views, byte strings are bytes; False: both are views; True: neither is."""
    ps.items([{"x": np.arange(9), "b": b"abc"}]).save(path)
    kinds = {copy: ps.open(path, copy=copy)[0] for copy in (None, False, True)}
    assert [kinds[c]["x"].flags.writeable for c in (None, False, True)] == [False, False, True]
    assert [type(kinds[c]["b"]) for c in (None, False, True)] == [bytes, np.ndarray, bytes]
    ps.items([b"abc"]).save(path, values="bytes", replace=True)
    assert same(ps.open(path, copy=False)[0], np.frombuffer(b"abc", np.uint8))
    assert ps.open(path)[0] == b"abc"


def test_a_changed_byte_is_noticed_when_it_is_said(path):
    """verify="first" looks once for each process, "always" each time, "never" not at all."""
    ps.items([b"a" * 5000, b"b" * 5000]).save(path, values="bytes")
    stores = {verify: ps.open(path, verify=verify) for verify in ("first", "always", "never")}
    for store in stores.values():
        assert store[1] == b"b" * 5000
    with open(path, "r+b") as file:
        at = file.read().index(b"b" * 5000)
        file.seek(at + 77)
        file.write(b"x")
    assert stores["first"][1][77:78] == b"x"
    assert stores["never"][1][77:78] == b"x"
    for read in (lambda: stores["always"][1], lambda: ps.open(path)[1], lambda: list(ps.open(path))):
        with pytest.raises(CorruptRecord, match=r"record 1 of .*a\.lmdb is corrupt: its xxh3 checksum"):
            read()
    assert ps.open(path)[0] == b"a" * 5000


def test_a_corrupt_record_obeys_policies(path):
    """A policy skips the corrupt record, by name, and reads the others; in processes too."""
    ps.items([bytes([k]) * 5000 for k in range(8)]).save(path, values="bytes")
    with open(path, "r+b") as file:
        file.seek(file.read().index(b"\x03" * 5000))
        file.write(b"x")
    dataset = ps.open(path).on_error("skip")
    for workers in (ps.Inline(), ps.Processes(2)):
        with dataset.loader(workers=workers) as loader:
            assert [item[0] for item in loader] == [0, 1, 2, 4, 5, 6, 7]
            assert "record 3 of" in str(loader.report())


def test_schema(path):
    """The file says what its records look like, up to eight different kinds."""
    store = ps.items([{"x": np.zeros((2, 3), "f4")}, {"x": np.ones((5, 5), "f4")}, 7]).save(path)
    assert store.node.handle.reader().schema() == [{"x": ["a", "<f4", 2]}, "i"]


def test_bytes_are_asked_for_and_given(path):
    """values="bytes" refuses what is none, and takes all that is."""
    with pytest.raises(ArgumentTypeError, match='values="bytes" is for byte strings'):
        ps.items([1]).save(path, values="bytes")
    given = [b"a", bytearray(b"b"), np.frombuffer(b"c", np.uint8)]
    assert list(ps.items(given).save(path, values="bytes")) == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"verify": "sometimes"}, "verify must be one of"),
        ({"copy": 1}, "copy must be True or False"),
        ({"values": "json"}, "values must be one of"),
        ({"values": "bytes"}, "Penstock wrote this one"),
        ({"cpy": True}, "Did you mean 'copy'"),
    ],
)
def test_bad_options(path, options, match):
    """A wrong option names the value and what there is."""
    ps.range(3).save(path)
    with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
        ps.open(path, **options)


def test_bad_options_of_saving(path):
    """A wrong option is refused before anything is written."""
    for options, match in (
        ({"checksum": "md5"}, "checksum must be one of"),
        ({"values": "arrays"}, "values must be one of"),
        ({"checksums": None}, "Did you mean 'checksum'"),
    ):
        with pytest.raises(ArgumentError, match=match):
            ps.range(3).save(path, **options)
    assert not os.listdir(os.path.dirname(path))


def test_a_missing_library_says_what_to_install(path, monkeypatch):
    """Without py-lmdb, saving says what to install; reading works."""
    ps.range(3).save(path, checksum="crc32")
    for module in ("lmdb", "xxhash"):
        monkeypatch.setitem(sys.modules, module, None)
    assert list(ps.open(path)) == [0, 1, 2]
    with pytest.raises(MissingExtra, match=r'pip install "penstock\[lmdb\]"'):
        ps.range(3).save(path, replace=True)


def test_crc32_takes_the_place_of_xxhash(path, monkeypatch):
    """Without xxhash, checksums are zlib's; a file with xxh3 says what it needs, and can be read without verifying."""
    ps.range(3).save(path)
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(MissingExtra, match="xxhash"):
        ps.open(path)
    assert list(ps.open(path, verify="never")) == [0, 1, 2]
    other = ps.range(3).save(path, replace=True)
    assert other.node.handle.reader().meta["checksum"] == "crc32"


# ----------------------------------------------------------------------------------------------------------- adding


def test_adding(path, monkeypatch):
    """Records are added where the file lies; names, count and content go on, and no lock file stays."""
    monkeypatch.setattr(lmdb_writing, "TRANSACTION", 1000)
    monkeypatch.setattr(lmdb_writing, "TOGETHER", 7)
    monkeypatch.setattr("penstock.storage.lmdb_reading.TOGETHER", 7)
    tag = ps.range(10).save(path, key=str).node.handle.tag
    gc.collect()
    store = ps.range(500).skip(10).save(path, append=True, key=str)
    assert list(store) == list(range(500))
    assert [store.node.handle.reader().key(k) for k in (0, 9, 10, 13, 14, 499)] == ["0", "9", "10", "13", "14", "499"]
    assert store.node.handle.tag != tag
    assert os.listdir(os.path.dirname(path)) == ["a.lmdb"]


def test_reading_while_another_adds(path, monkeypatch):
    """Whoever opens meanwhile reads what was complete then, and keeps reading just that; reopening shows more."""
    monkeypatch.setattr(lmdb_writing, "TRANSACTION", 1 << 12)
    ps.range(10).save(path)
    seen = []
    with writing(path, append=True) as adding:
        for k in range(10, 3000):
            adding.append(k)
            if k % 250 == 0:
                seen.append(ps.open(path))
    lengths = [len(store) for store in seen]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 5
    for store in seen:
        assert list(store) == list(range(len(store)))
    assert list(ps.open(path)) == list(range(3000))


def test_adding_waits_for_nobody(path):
    """A file that is being read, or added to, is not added to by another: pages in use could be used again."""
    store = ps.range(10).save(path)
    with pytest.raises(StoreError, match="is open elsewhere"):
        ps.range(3).save(path, append=True)
    del store
    gc.collect()
    with writing(path, append=True), pytest.raises(StoreError, match="is open elsewhere"):
        ps.range(3).save(path, append=True)
    assert len(ps.open(path)) == 10


def test_adding_to_nothing_or_to_others(path):
    """Adding needs a file that Penstock wrote, and a format that can."""
    with pytest.raises(StoreError, match="does not exist"):
        ps.range(3).save(path, append=True)
    with lmdb.open(path, subdir=False, lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"a", b"1")
    with pytest.raises(StoreError, match="was not written by Penstock"):
        ps.range(3).save(path, append=True)
    with pytest.raises(ArgumentError, match="cannot be added to"):
        ps.range(3).save(f"{path}.npy", append=True)
    with pytest.raises(ArgumentError, match="means the opposite"):
        ps.range(3).save(path, append=True, replace=True)


# ---------------------------------------------------------------------------------------------------- files of others


def dump(array):
    """Return an array or number as msgpack_numpy writes it."""
    if isinstance(array, complex):
        return {b"complex": True, b"data": repr(array)}
    if isinstance(array, np.generic):
        return {b"nd": False, b"type": array.dtype.str, b"data": array.tobytes()}
    return {b"nd": True, b"type": array.dtype.str, b"kind": b"", b"shape": array.shape, b"data": array.tobytes()}


def tensorpack(path, values, *, subdir=False):
    """Write a file as Tensorpack does: keys of eight digits, and a list of all keys."""
    with lmdb.open(path, subdir=subdir, map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        keys = [f"{k:08}".encode() for k in range(len(values))]
        for key, value in zip(keys, values, strict=True):
            transaction.put(key, value)
        transaction.put(b"__keys__", msgpack.dumps(keys))


def test_tensorpack_with_msgpack(path):
    """Tensorpack's files with msgpack values are read: lists of arrays, numbers and texts, in the order of the keys."""
    items = [[np.arange(k, dtype="f4"), k, "ä", {"x": b"1"}, np.int16(k), 1 + 2j] for k in range(300)]
    tensorpack(path, [msgpack.dumps(item, default=dump, use_bin_type=True) for item in items])
    store = ps.open(path, values="msgpack")
    assert same(list(store), items)
    assert store.node.handle.reader().key(7) == "00000007"
    with store.batch(50, collate=list).loader(workers=ps.Processes(1)) as loader:
        assert same([item for batch in loader for item in batch], items)


def test_tensorpack_with_raw_values_in_a_folder(tmp_path):
    """Values are bytes unless somebody says what they are; a folder with data.mdb is opened like a file."""
    tensorpack(str(tmp_path / "train"), [b"one", b"two" * 3000], subdir=True)
    assert list(ps.open(tmp_path / "train")) == [b"one", b"two" * 3000]


def test_pickles_are_run_only_where_that_was_said(path):
    """Pickled values are refused without trust_pickle=True, and read with it; nothing runs before."""
    tensorpack(path, [pickle.dumps([1, "a"]), b"no pickle"])
    with pytest.raises(ArgumentError, match="trust_pickle=True"):
        ps.open(path, values="pickle")
    store = ps.open(path, values="pickle", trust_pickle=True)
    assert store[0] == [1, "a"]
    with pytest.raises(CorruptRecord, match=r"record 1 \('00000001'\) of .*a\.lmdb is no pickle"):
        store[1]


def test_hostile_msgpack(path):
    """What is no msgpack, claims objects, or more than there is, is an error that names the record."""
    values = [
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        msgpack.dumps({b"nd": True, b"type": "|O", b"shape": (1,), b"data": b"x" * 8}),
        msgpack.dumps({b"nd": True, b"type": "<f8", b"shape": (1 << 40,), b"data": b"x" * 8}),
        b"\x91" * 100_000,
    ]
    tensorpack(path, values)
    store = ps.open(path, values="msgpack")
    for k in range(len(values)):
        with pytest.raises(CorruptRecord, match=f"record {k} "):
            store[k]


def test_named_databases_are_refused(path):
    """Files with several databases, or several values for a key, say so."""
    with lmdb.open(path, subdir=False, lock=False, max_dbs=2) as environment:
        environment.open_db(b"images")
    with pytest.raises(StoreError, match="named databases"):
        ps.open(path)


def test_files_that_are_none(tmp_path):
    """Other files, folders without data and no file at all are errors that say so."""
    (tmp_path / "text.lmdb").write_text("hello" * 1000)
    (tmp_path / "empty.lmdb").write_bytes(b"")
    (tmp_path / "folder.lmdb").mkdir()
    for name, match in (
        ("text.lmdb", "is no LMDB file"),
        ("empty.lmdb", "is no LMDB file: it has 0 bytes"),
        ("folder.lmdb", "No such file"),
        ("absent.lmdb", "there is no such file"),
    ):
        with pytest.raises(StoreError, match=match):
            ps.open(tmp_path / name)


def test_damaged_pages_never_crash(path, tmp_path):
    """Five hundred files with damaged pages: each is refused or read, with nothing but StoreError; no record changes."""
    items = [bytes([k % 256]) * (k * 53 % 2600) for k in range(300)]
    ps.items(items).save(path, values="bytes")
    with open(path, "rb") as file:
        whole = file.read()
    draw = random.Random(3)
    broken = tmp_path / "broken.lmdb"
    starts = [at for at in range(0, len(whole), 4096) if whole[at + 10] in (1, 2, 8)]  # meta, branch and leaf pages
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.choice(starts) + draw.choice([draw.randrange(160), draw.randrange(4096)])
            size = draw.choice([1, 2, 8])
            data[at : at + size] = draw.choice([bytes(size), b"\xff" * size, draw.randbytes(size)])
        if draw.random() < 0.1:
            del data[draw.randrange(len(data)) :]
        broken.write_bytes(data)
        try:
            reader = open_lmdb(str(broken))
            if isinstance(reader, lmdb_reader()):
                for k in draw.sample(range(len(reader)), min(20, len(reader))):
                    assert reader[k] == items[k]
            else:
                list(reader.many(range(len(reader))))
        except StoreError:
            refused += 1
    assert 50 < refused < 500


def lmdb_reader():
    """Return the class of readers of our own files."""
    from penstock.storage.lmdb_reading import LmdbReader

    return LmdbReader


# --------------------------------------------------------------------------------------------------- threads, writers


def test_threads_share_a_reader(path):
    """Threads that look at leaves for the first time at once read the right records."""
    ps.range(20_000).save(path)
    store = ps.open(path)
    barrier = threading.Barrier(4)
    wrong = []

    def read(seed):
        barrier.wait(timeout=20)
        for k in np.random.default_rng(seed).integers(0, 20_000, 2000).tolist():
            if store[k] != k:
                wrong.append(k)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    """An error while the end is written leaves the old file, and nothing else."""
    ps.range(3).save(path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penstock.graph.writing.flush", full)
    with pytest.raises(OSError, match="No space"):
        ps.range(5).save(path, replace=True)
    assert list(ps.open(path)) == [0, 1, 2]
    assert os.listdir(os.path.dirname(path)) == ["a.lmdb"]


def test_a_copy_elsewhere_takes_the_state(path, tmp_path):
    """A state fits the same content under another name."""
    dataset = ps.range(20).save(path)
    with dataset.shuffle().loader() as loader:
        items = iter(loader)
        first = [next(items) for _ in range(7)]
        state = loader.state_dict()
    (tmp_path / "moved").mkdir()
    shutil.move(path, tmp_path / "moved" / "b.lmdb")
    with ps.open(tmp_path / "moved" / "b.lmdb").shuffle().loader() as loader:
        loader.load_state_dict(state)
        assert sorted(first + list(loader)) == list(range(20))


# --------------------------------------------------------------------------------------------- byte strings, read fast


def test_byte_strings_are_the_same_looked_at_for_the_first_time_and_later(path):
    """Records of byte strings are not decoded twice; one by one, together, as views, in any order, they are the same."""
    items = [bytes([k % 256]) * (k % 7 * 1000) for k in range(300)]
    ps.items(items).save(path)
    for options in ({}, {"copy": False}, {"copy": True}, {"verify": "never"}, {"verify": "always"}):
        store = ps.open(path, **options)
        for _ in range(3):
            assert [bytes(item) for item in store] == items
            assert [bytes(item) for item in store.shuffle()] == [items[k] for k in ps.range(300).shuffle()]
        assert [bytes(item) for item in store[290:10:-7]] == items[290:10:-7]
    view = ps.open(path, copy=False)
    assert list(view)[6].dtype == np.uint8
    assert not view[6].flags.writeable


def test_records_that_are_no_byte_strings_where_the_file_says_so(path, monkeypatch):
    """A file that lies about what all of its records are is read as what they are, or not at all."""
    from penstock.storage import lmdb_writing

    monkeypatch.setattr(lmdb_writing, "SCHEMAS", 1)
    items = [b"first", {"x": 2}, [3], b""] * 5
    ps.items(items).save(path)
    store = ps.open(path)
    assert store.node.handle.reader().meta["schema"] == ["b"]
    for _ in range(3):
        assert list(store) == items


def test_a_disk_that_fails_is_named(path, monkeypatch):
    """What LMDB says of a full disk comes as the system's error, with the file and what is free."""
    from penstock.storage.lmdb_writing import LmdbRecorder

    lmdb = pytest.importorskip("lmdb")

    class Full:
        """An environment whose disk is full."""

        def __init__(self, environment):
            self.environment = environment

        def begin(self, **_):
            raise lmdb.Error("mdb_txn_commit: Input/output error")

        def __getattr__(self, name):
            return getattr(self.environment, name)

    made = LmdbRecorder.__init__

    def broken(self, environment, *args, **options):
        made(self, Full(environment), *args, **options)

    monkeypatch.setattr(LmdbRecorder, "__init__", broken)
    with pytest.raises(OSError, match=r"save\('a\.lmdb'\): LMDB could not write") as caught:
        ps.range(3).save(path)
    assert any("bytes are free" in note for note in caught.value.__notes__)
    assert os.listdir(os.path.dirname(path)) == []
