"""ArrayRecord: the contract of stores, every kind of group that the library writes, checksums, and hostile bytes."""

from __future__ import annotations

import random

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, MissingExtra, StoreError
from penstock.graph import storing
from penstock.storage import arrayrecord, arrayrecord_layout
from penstock.storage.arrayrecord_layout import BLOCK, HEAD, ROOM, TAGS, Flow, flow_of, footer_of, listed, listed_singly
from penstock.storage.protobuf import number
from penstock.testing import check_dataset, check_store

library = pytest.importorskip("array_record.python.array_record_module")

RNG = np.random.default_rng(0)
SIZES = [0, 0, 1, 70_000, 200_000, *RNG.integers(0, 900, 40).tolist()]
ITEMS = [RNG.bytes(int(size)) + b"a" * k for k, size in enumerate(SIZES)]
ITEMS[:2] = [b"", b""]


def write(path, items, options):
    """A file as its own library writes it."""
    writer = library.ArrayRecordWriter(str(path), options)
    for item in items:
        writer.write(item)
    writer.close()


def test_contract():
    """Groups of one keep the contract of stores, and checksums notice every changed byte."""
    check_store("a.array_record", [b"abc" * k for k in range(1, 40)])


def test_contract_of_groups():
    """Larger groups keep it; without checksums a changed byte may go unnoticed, and still does no harm."""
    items = [b"abc" * k for k in range(1, 40)]
    check_store(
        "a.array_record", items, saving={"group_size": 5}, opening={"verify": "never"}, checked=False, processes=False
    )


OPTIONS = [
    "",
    "group_size:1,uncompressed",
    "group_size:7",
    "group_size:7,uncompressed",
    "group_size:3,brotli",
    "group_size:4,transpose",
    "group_size:3,uncompressed,pad_to_block_boundary:true",
]


@pytest.mark.parametrize("options", OPTIONS)
def test_what_the_library_writes(tmp_path, options):
    """Whatever its options are, records come back in any order, the first time, the second time and without checks."""
    path = tmp_path / "a-00000-of-00001"  # by its content
    write(path, ITEMS, options)
    for verify in ("first", "always", "never"):
        store = ps.open(path, verify=verify)
        where = RNG.permutation(len(ITEMS)).tolist()
        for _ in range(2):
            assert [store[k] for k in where] == [ITEMS[k] for k in where]
            assert list(store) == ITEMS


def test_later_readings_do_without_the_library(tmp_path, monkeypatch):
    """After a group was compared with its checksum, its records are read in place."""
    write(tmp_path / "a.array_record", ITEMS, "group_size:3")
    store = ps.open(tmp_path / "a.array_record")
    assert list(store[:30]) == ITEMS[:30]
    reader = store.node.handle.reader()
    monkeypatch.setattr(reader, "by_library", None)
    assert list(store[:30]) == ITEMS[:30]


def test_few_groups_are_kept(tmp_path, monkeypatch):
    """Decoded groups beyond the room are decoded again when they are needed."""
    monkeypatch.setattr(arrayrecord, "DECODED", 1000)
    write(tmp_path / "a.array_record", ITEMS, "group_size:4")
    store = ps.open(tmp_path / "a.array_record", verify="never")
    for seed in range(3):
        where = random.Random(seed).choices(range(len(ITEMS)), k=60)
        assert [store[k] for k in where] == [ITEMS[k] for k in where]
    assert len(store.node.handle.reader().decoded.kept) < 4


def test_several_files_are_one(tmp_path):
    """A pattern of files is one sequence; notes name the file and its own record."""
    for k in range(3):
        write(tmp_path / f"a.array_record-{k:05}-of-00003", ITEMS[k * 10 : k * 10 + 10], "")
    store = ps.open(tmp_path / "a.array_record-*")
    assert list(store) == ITEMS[:30]
    assert store[12] == ITEMS[12]
    with pytest.raises(KeyError) as caught:
        store.map(lambda item: {}[item])[12]
    assert any("record 2 of a.array_record-00001-of-00003" in note for note in caught.value.__notes__)
    check_dataset(store, limit=5, epochs=(0,))


def test_the_library_reads_what_is_written(tmp_path):
    """What is saved here, the library reads; options arrive there."""
    for options in ({}, {"group_size": 3, "compression": "brotli:2"}, {"compression": None}):
        path = tmp_path / f"{len(options)}.array_record"
        store = ps.items(ITEMS).save(path, **options)
        reader = library.ArrayRecordReader(str(path), "")
        assert reader.read(0, reader.num_records()) == ITEMS == list(store)
    ps.items([np.arange(3, dtype="u1")]).save(tmp_path / "b.array_record")
    assert ps.open(tmp_path / "b.array_record")[0] == b"\0\1\2"


def test_a_changed_byte(tmp_path):
    """A changed byte is an error of its own group only, however often it is read."""
    path = tmp_path / "a.array_record"
    items = [bytes([k]) * 3000 for k in range(20)]
    write(path, items, "group_size:1,uncompressed")
    data = bytearray(path.read_bytes())
    data[10_000] ^= 1
    path.write_bytes(data)
    for verify in ("first", "always"):
        store = ps.open(path, verify=verify)
        for _ in range(2):
            with pytest.raises(CorruptRecord, match=r"record 3 of .*a.array_record is corrupt: .*hash mismatch"):
                store[3]
        assert store[4] == items[4]
    assert len(ps.open(path, verify="never")[3]) == 3000


def test_mistakes(tmp_path, monkeypatch):
    """What cannot be written or read is refused in words that name it."""
    path = tmp_path / "a.array_record"
    for items, options, error, match in (
        (["text"], {}, ArgumentTypeError, "holds byte strings, not 'text'"),
        ([b"x"], {"compression": "gz"}, ArgumentError, "compression"),
        ([b"x"], {"compression": "zstd:best"}, ArgumentError, "zstd"),
        ([b"x"], {"group_size": 0}, ArgumentError, "group_size"),
    ):
        with pytest.raises(error, match=match):
            ps.items(items).save(path, **options)
    for data in (b"", b"text" * 50, bytes(2 * BLOCK), bytes(3 * BLOCK)):
        path.write_bytes(data)
        with pytest.raises(StoreError, match=r"a.array_record is no ArrayRecord file, truncated or corrupt"):
            ps.open(path)
    write(path, ITEMS, "snappy")
    with pytest.raises(StoreError, match="its compression is 's', and must be zstd or brotli"):
        ps.open(path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="is a folder"):
        ps.open(tmp_path / "folder", "arrayrecord")
    write(path, ITEMS, "uncompressed")

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(storing.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r'pip install "penstock\[arrayrecord\]"'):
        ps.open(path)
    assert list(ps.open(path, verify="never")) == ITEMS


def test_flow():
    """Places without the heads of blocks are counted as by a walk over all bytes."""
    data = RNG.bytes(3 * BLOCK)
    flow = Flow(memoryview(data), "a")
    want = b"".join(data[at + HEAD : at + BLOCK] for at in range(0, len(data), BLOCK))
    assert flow.end == len(want)
    for start in (0, 1, ROOM - 1, ROOM, ROOM + 5, 2 * ROOM - 9):
        for size in (0, 1, 8, 10, ROOM - 5, ROOM, ROOM + 1, 2 * ROOM):
            if start + size <= len(want):
                assert bytes(flow.read(start, size)) == flow.copied(start, size) == want[start : start + size]
    assert [flow_of(at) for at in (0, HEAD, BLOCK, BLOCK + HEAD, BLOCK + HEAD + 1)] == [0, 0, ROOM, ROOM, ROOM + 1]
    with pytest.raises(CorruptRecord):
        flow.read(flow.end - 1, 2)


@pytest.mark.parametrize("options", ["group_size:1,uncompressed", "group_size:3"])
def test_thousands_of_hostile_files(tmp_path, options):
    """Whatever was changed in a file, records are read in place, or it is a StoreError."""
    path = tmp_path / "a.array_record"
    write(path, [b"abc" * k for k in range(40)], options)
    whole = path.read_bytes()
    draw = random.Random(0)
    end = len(whole) - BLOCK
    footer = int(footer_of(Flow(memoryview(whole), "a")).offsets[-1])
    for k in range(1_500):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 2, 8))):
            first, size = draw.choice(((64, footer), (footer, 400), (end, 140)))
            data[first + draw.randrange(size)] = draw.choice((0, 1, 0x80, 0xFF, draw.randrange(256)))
        if draw.random() < 0.1:
            del data[draw.randrange(len(data)) :]
        try:
            footer_of(Flow(memoryview(data), "a"))
        except StoreError:
            continue
        if k % 3:
            continue
        path.write_bytes(data)
        reader = arrayrecord.open_arrayrecord(str(path), verify="never")
        for index in range(min(len(reader), 50)):
            try:
                assert isinstance(reader[index], bytes)
            except StoreError:
                continue


@pytest.mark.parametrize("zeros", [False, True])
def test_footers_are_read_in_pieces(monkeypatch, zeros):
    """Piece by piece and by vectors, whatever the size of the numbers, or one by one where some are 0 and left out."""
    monkeypatch.setattr(arrayrecord_layout, "PIECE", 100)
    draw = random.Random(0)
    rows = [[draw.randrange(1, 1 << draw.choice((1, 7, 8, 30, 62))) for _ in TAGS] for _ in range(300)]
    if zeros:
        rows[7][1] = rows[200][2] = 0
    data = b"".join(bytes([tag]) + number(n) for row in rows for tag, n in zip(TAGS, row, strict=True) if n)
    for read in (listed, listed_singly):
        assert np.stack(read(memoryview(data)), axis=1).tolist() == rows
    with pytest.raises(ValueError, match="has no end"):
        listed(memoryview(data + b"\x08\x80"))
    assert [len(column) for column in listed(memoryview(b""))] == [0, 0, 0]
