"""Zarr: arrays and groups of both versions; chunks are read once; codecs that could run something are refused."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage.zarr import ZarrReader, open_zarr
from penstock.testing import check_dataset, check_store, same

zarr = pytest.importorskip("zarr")


@pytest.fixture(autouse=True, scope="module")
def _loop():
    """Let zarr start, before anything is compared, the threads that it keeps for reading and writing."""
    for version in (2, 3):
        store = zarr.storage.MemoryStore()
        zarr.create_array(store, name="x", data=np.arange(400), chunks=(10,), zarr_format=version)
        assert zarr.open_array(store, path="x", mode="r")[:].sum()
    blosc = pytest.importorskip("numcodecs").Blosc()
    assert blosc.decode(blosc.encode(b"x")) == b"x"


ITEMS = [
    {"image": np.full((2, 3), k, "u1"), "number": k, "half": k / 2, "text": f"tëxt {k}", "flag": bool(k % 2)}
    for k in range(20)
]


def test_contract():
    """Arrays, numbers and texts keep the contract of stores."""
    check_store("a.zarr", ITEMS, saving={"group": 7}, checked=False)


@pytest.mark.parametrize("version", [2, 3])
def test_groups_that_zarr_wrote(tmp_path, version):
    """Arrays of both versions, however they are cut into chunks, nested ones too, are aligned by their rows."""
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    rows = np.random.default_rng(0).random((50, 4))
    group.create_array("x", data=rows, chunks=(7, 3))
    group.create_array("deep/y", data=np.arange(50, dtype=">i4"), chunks=(11,))
    names = group.create_array("t", shape=(50,), chunks=(50,), dtype=str)
    names[:] = np.array([f"t{k}" for k in range(50)], object)
    found = ps.open(tmp_path / "a.zarr")
    assert same([item["x"] for item in found], list(rows))
    assert [item["deep/y"] for item in found[::-1]] == list(range(49, -1, -1))
    assert [item["t"] for item in found] == [f"t{k}" for k in range(50)]
    check_dataset(found, epochs=(0,), limit=4)
    assert same(list(ps.open(tmp_path / "a.zarr", arrays="x")), list(rows))
    assert list(ps.open(tmp_path / "a.zarr", arrays=["t"])[3]) == ["t"]


def test_a_single_array(tmp_path):
    """The rows of an array by itself are the items; with shards, and in a zip file, too."""
    rows = np.arange(60, dtype="f4").reshape(20, 3)
    zarr.create_array(tmp_path / "a.zarr", data=rows, chunks=(2, 3), shards=(8, 3))
    assert same(list(ps.open(tmp_path / "a.zarr")), list(rows))
    with zarr.storage.ZipStore(tmp_path / "b.zarr.zip", mode="w") as store:
        zarr.create_array(store, data=rows, chunks=(5, 3))
    found = ps.open(tmp_path / "b.zarr.zip")
    assert same([found[k] for k in range(20)], list(rows))
    check_dataset(found, epochs=(0,), limit=4)
    with pytest.raises(ArgumentTypeError, match="single array"):
        ps.open(tmp_path / "a.zarr", arrays="x")


def test_chunks_are_read_once(tmp_path, monkeypatch):
    """Reading in order unpacks each stretch of chunks once, also with next to no cache."""
    zarr.create_array(tmp_path / "a.zarr", data=np.zeros((40, 10_000)), chunks=(10, 10_000))
    seen = []
    load = ZarrReader.load
    monkeypatch.setattr(ZarrReader, "load", lambda self, number: seen.append(number) or load(self, number))
    assert len(list(ps.open(tmp_path / "a.zarr", cache=0).batch(7))) == 6
    assert seen == [0, 1, 2, 3]


def test_items_are_the_callers_own(tmp_path):
    """What a caller does to an item changes nothing that is read later."""
    zarr.create_array(tmp_path / "a.zarr", data=np.ones((4, 3)), chunks=(2, 3))
    found = ps.open(tmp_path / "a.zarr")
    found[0][:] = 7
    next(iter(found.batch(2)))[:] = 7
    assert same(found[0], np.ones(3))


@pytest.mark.parametrize("nested", [False, True])
def test_pickles_are_not_opened(tmp_path, nested):
    """An array of version 2 whose codec would unpickle is refused before anything is unpacked."""
    path = tmp_path / "a.zarr" / ("inner" if nested else "")
    path.mkdir(parents=True)
    if nested:
        (tmp_path / "a.zarr" / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    metadata = {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": 0, "order": "C"}
    metadata |= {"filters": [{"id": "pickle", "protocol": 5}], "compressor": None}
    (path / ".zarray").write_text(json.dumps(metadata))
    (path / "0").write_bytes(b"cposix\nsystem\n(S'touch /tmp/penstock-pwned'\ntR.")
    with pytest.raises(StoreError, match=r"pickle.*not among|a\.zarr cannot be read"):
        ps.open(tmp_path / "a.zarr")[0]


def test_bad_stores(tmp_path):
    """Rows that are not aligned, huge chunks, no arrays, missing and damaged chunks are refused by name."""
    group = zarr.open_group(tmp_path / "ragged.zarr", mode="w")
    group.create_array("x", data=np.zeros(3))
    group.create_array("y", data=np.zeros(4))
    zarr.create_array(tmp_path / "huge.zarr", shape=(10, 1 << 20), chunks=(10, 1 << 20), dtype="f8")
    text = (tmp_path / "huge.zarr" / "zarr.json").read_text()
    (tmp_path / "huge.zarr" / "zarr.json").write_text(text.replace("1048576", str(1 << 40)))
    zarr.open_group(tmp_path / "none.zarr", mode="w")
    zarr.create_array(tmp_path / "single.zarr", shape=(), dtype="f8")
    (tmp_path / "file.zarr").write_text("hello")
    for name, match in (
        ("ragged.zarr", "'x' has 3, 'y' has 4"),
        ("huge.zarr", "chunks of"),
        ("none.zarr", "no array"),
        ("single.zarr", "single value"),
        ("file.zarr", "cannot be read"),
    ):
        with pytest.raises(StoreError, match=match) as caught:
            ps.open(tmp_path / name)
        assert name in str(caught.value)
    ps.items(ITEMS).save(tmp_path / "a.zarr", group=7)
    chunk = tmp_path / "a.zarr" / "number" / "c" / "1"
    data = bytearray(chunk.read_bytes())
    data[6] ^= 1
    chunk.write_bytes(data)
    found = ps.open(tmp_path / "a.zarr")
    assert found[0]["number"] == 0
    with pytest.raises(CorruptRecord, match=r"'number' of .*a\.zarr"):
        found[8]
    chunk.unlink()
    with pytest.raises(StoreError, match="'number' has 20 rows in 2 chunks"):
        ps.open(tmp_path / "a.zarr")


def test_items_that_cannot_be_saved(tmp_path):
    """An item that is no row, or has other fields, shapes or types, is named."""
    for items, match in (
        ([1], "must be dicts"),
        ([{"x": 1}, {"y": 1}], "item 1 has the fields"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(3)}], "'x' of item 1"),
        ([{"x": "a"}, {"x": 1}], "'x' of item 1"),
        ([{"x": None}], "no type for"),
    ):
        with pytest.raises(ArgumentTypeError, match=match):
            ps.items(items).save(tmp_path / "a.zarr")
    with pytest.raises(ArgumentError, match="at least 1"):
        ps.items(ITEMS).save(tmp_path / "a.zarr", group=0)
    assert not list(tmp_path.iterdir())


def test_mutated_metadata(tmp_path):
    """A folder with mutated metadata is read or refused by an error of ours."""
    ps.items(ITEMS[:4]).map(lambda item: {"x": item["image"], "y": item["number"]}).save(tmp_path / "a.zarr")
    file = tmp_path / "a.zarr" / "x" / "zarr.json"
    good = file.read_bytes()
    draw = random.Random(8)
    for _ in range(150):
        made = bytearray(good)
        for _ in range(draw.choice([1, 2])):
            made[draw.randrange(len(made))] = draw.choice(b'0123459"{}[]:,a-e ')
        file.write_bytes(made)
        try:
            reader = open_zarr(str(tmp_path / "a.zarr"))
            for k in range(min(len(reader), 4)):
                reader[k]
        except StoreError as error:
            assert "a.zarr" in str(error)  # noqa: PT017  most are errors, some are not


@pytest.mark.parametrize(
    ("shape", "words"), [([1 << 50, 2], "too many"), ([1 << 33, 2], "too many"), ([6, 1 << 40], "Fewer rows")]
)
def test_shapes_that_cannot_be(tmp_path, shape, words):
    """Metadata that claim a huge array cost neither time nor memory."""
    path = tmp_path / "a.zarr"
    zarr = pytest.importorskip("zarr")
    zarr.open_group(path, mode="w").create_array("x", data=np.arange(12).reshape(6, 2), chunks=(2, 2))
    place = path / "x" / "zarr.json"
    about = json.loads(place.read_text())
    about["shape"] = shape
    place.write_text(json.dumps(about))
    with pytest.raises(StoreError, match=words):
        ps.open(path, arrays=["x"])
