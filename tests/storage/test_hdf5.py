"""HDF5: any layout that h5py writes, Fuel's splits and shapes; what lies elsewhere or cannot be is refused by name."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, StoreError
from penstock.storage.hdf5 import open_hdf5
from penstock.testing import check_dataset, check_store, same

h5py = pytest.importorskip("h5py")

ITEMS = [
    {
        "ragged": np.arange(k, dtype="f4"),
        "image": np.full((2, 3), k, "u1"),
        "boxes": np.full((k, 4), k),
        "number": k,
        "text": f"tëxt {k}",
        "bytes": bytes([k]) * k,
        "flag": bool(k % 2),
    }
    for k in range(20)
]


def test_contract():
    """Fields of all kinds, those whose shapes vary included, keep the contract of stores."""
    check_store("a.h5", ITEMS, saving={"variable": ["ragged", "boxes"]}, checked=False)


def test_contract_with_compression():
    """So do compressed ones."""
    items = [{"x": item["image"], "y": item["number"]} for item in ITEMS]
    check_store("a.hdf5", items, saving={"compression": "gzip"}, checked=False, processes=False)


LAYOUTS = {
    "contiguous": {},
    "odd chunks": {"chunks": (3, 2, 5)},
    "a chunk a row": {"chunks": (1, 4, 3)},
    "compressed": {"chunks": (7, 4, 3), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": True, "compression": "lzf", "fletcher32": True},
    "resizable": {"maxshape": (None, 4, 6), "chunks": (4, 3, 2)},
}
DTYPES = ["u1", "i8", ">i4", "f2", "<f4", ">f8", "c16", "?"]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_that_h5py_wrote(tmp_path, layout, dtype):
    """Any chunks, filters and byte orders give the same rows, one by one and in any order."""
    rows = np.arange(25 * 24).reshape(25, 4, 6).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=rows, **layout)
        file["deep/y"] = np.arange(25)
    found = ps.open(tmp_path / "a.h5")
    assert same([item["x"] for item in found], list(rows))
    order = np.random.default_rng(0).integers(0, 25, 60)
    reader = found.node.handle.reader()
    assert same([item["x"] for item in reader.many(order)], list(rows[order]))
    assert [item["deep/y"] for item in reader.many(order)] == order.tolist()
    assert same(found[7]["x"], rows[7])
    bare = ps.open(tmp_path / "a.h5", sources="x")
    assert same(list(bare), list(rows))
    check_dataset(bare, epochs=(0,), limit=4)


@given(st.lists(st.integers(0, 199), max_size=40), st.integers(1, 60))
def test_gathering(tmp_path_factory, indices, chunk):
    """Any positions, twice and in any order, give the rows that NumPy gives."""
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    rows = np.arange(400).reshape(200, 2)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=rows, chunks=(chunk, 2))
    reader = open_hdf5(str(path), sources="x")
    assert same([np.array(r) for r in reader.many(np.array(indices, np.int64))], list(rows[np.array(indices, int)]))
    reader.close()


def test_items_are_the_callers_own(tmp_path):
    """What a caller does to an item changes nothing that is read later, mapped or not; items outlive the file."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones((4, 3))
        file.create_dataset("y", data=np.ones((4, 3)), chunks=(2, 3))
    reader = open_hdf5(str(tmp_path / "a.h5"))
    item = reader[1]
    reader.many(range(4)).columns["x"][:] = 7
    reader.many(range(4)).columns["y"][:] = 7
    item["x"][:] = item["y"][:] = 7
    assert same(reader[1], {"x": np.ones(3), "y": np.ones(3)})
    reader.close()
    assert item["x"].sum() == 21


def test_texts_and_variable_length(tmp_path):
    """Texts of fixed and of variable length, arrays of variable length, and their rows, are what they are meant to be."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("t", data=["a", "bé", ""], dtype=h5py.string_dtype())
        file.create_dataset("f", data=np.array([b"a", b"bc", b"d"]))
        ragged = file.create_dataset("v", 3, h5py.vlen_dtype("i2"))
        for k in range(3):
            ragged[k] = np.arange(k)
    found = list(ps.open(tmp_path / "a.h5"))
    assert [item["t"] for item in found] == ["a", "bé", ""]
    assert [item["f"] for item in found] == ["a", "bc", "d"]
    assert same([item["v"] for item in found], [np.arange(k, dtype="i2") for k in range(3)])


# ------------------------------------------------------------------------------------------------------------ Fuel


def fuel_file(path):
    """Write a file as Fuel's converters do: sources of both splits behind one another, shapes as dimension scales."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset("image_features", 10, h5py.vlen_dtype("u1"))
        shapes = file.create_dataset("image_features_shapes", (10, 3), "i4")
        for k in range(10):
            images[k] = np.full(3 * (k + 1) * 2, k, "u1")
            shapes[k] = 3, k + 1, 2
        shapes.make_scale("shapes")
        images.dims[0].attach_scale(shapes)
        images.dims[0].label = "batch"
        targets = file.create_dataset("targets", data=np.arange(10, dtype="u1").reshape(10, 1))
        targets.dims[0].label = "batch"
        some = file.create_dataset("some", data=np.array([9, 6, 8]))
        kind = [("split", "S5"), ("source", "S14"), ("start", "i8"), ("stop", "i8")]
        kind += [("indices", h5py.ref_dtype), ("available", "?"), ("comment", "S1")]
        none = h5py.Reference()
        file.attrs["split"] = np.array(
            [
                (b"train", b"image_features", 0, 6, none, True, b""),
                (b"train", b"targets", 0, 6, none, True, b""),
                (b"valid", b"image_features", 0, 0, some.ref, True, b""),
                (b"valid", b"targets", 0, 0, some.ref, True, b""),
                (b"test", b"image_features", 6, 10, none, True, b""),
                (b"test", b"targets", 0, 0, none, False, b""),
            ],
            dtype=kind,
        )


def test_fuels_splits_and_sources(tmp_path):
    """Splits by range and by index, united ones, sources that a split lacks, and shapes, are as Fuel means them."""
    fuel_file(tmp_path / "a.hdf5")
    train = ps.open(tmp_path / "a.hdf5", split="train")
    assert [int(item["targets"][0]) for item in train] == list(range(6))
    assert train[4]["image_features"].shape == (3, 5, 2)
    assert (train[4]["image_features"] == 4).all()
    check_dataset(train, epochs=(0,))
    valid = ps.open(tmp_path / "a.hdf5", split="valid", sources=["targets"])
    assert [int(item["targets"][0]) for item in valid] == [6, 8, 9]
    both = ps.open(tmp_path / "a.hdf5", split=["valid", "train"])
    assert [int(item["targets"][0]) for item in both] == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    test = ps.open(tmp_path / "a.hdf5", split="test")
    assert [list(item) for item in test] == [["image_features"]] * 4
    assert len(ps.open(tmp_path / "a.hdf5")) == 10
    for options, match in (
        ({"split": "trian"}, "Did you mean 'train'"),
        ({"split": "test", "sources": ["targets"]}, "a source"),
        ({"split": 3}, "a name or a list"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.open(tmp_path / "a.hdf5", **options)


def test_splits_that_cannot_be(tmp_path):
    """A split beyond the rows, and one of a file that has none, are refused."""
    fuel_file(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "r+") as file:
        table = file.attrs["split"]
        table["stop"][1] = 11
        file.attrs["split"] = table
        del file["some"]
        file.create_dataset("some", data=np.array([3, 20]))
    with pytest.raises(StoreError, match="rows 0 to 11"):
        ps.open(tmp_path / "a.hdf5", split="train")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(StoreError, match="no attribute 'split'"):
        ps.open(tmp_path / "b.h5", split="train")


# ------------------------------------------------------------------------------------------------------- bad files


def test_files_that_cannot_be_read(tmp_path):
    """Rows that are not aligned, single values, bytes outside the file and sizes beyond reason are refused by name."""
    with h5py.File(tmp_path / "ragged.h5", "w") as file:
        file["x"], file["y"] = np.zeros(3), np.zeros(4)
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("x", (8,), "u1", external=[("/etc/hostname", 0, 8)])
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset("x", (3, 1 << 20, 1 << 20), "f8", chunks=(1, 1024, 1024))
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "empty.h5").touch()
    for name, match in (
        ("ragged.h5", "'x' has 3, 'y' has 4"),
        ("outside.h5", "other files"),
        ("huge.h5", "says that a row has"),
        ("text.h5", "cannot be read"),
        ("empty.h5", "cannot be read"),
    ):
        with pytest.raises(StoreError, match=match) as caught:
            ps.open(tmp_path / name)
        assert name in str(caught.value)
    assert list(ps.open(tmp_path / "ragged.h5", sources="y")) == [0] * 4


def test_links(tmp_path):
    """Links to other files are not followed, and groups that contain one another have an end."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["s"] = np.zeros(3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3)
        file["out"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/s")
        file["soft"] = h5py.SoftLink("/x")
        file.create_group("g")["again"] = file["/"]
    assert list(ps.open(tmp_path / "a.h5")[0]) == ["x"]
    with pytest.raises(ArgumentError, match="a source"):
        ps.open(tmp_path / "a.h5", sources="out")


def test_items_that_cannot_be_saved(tmp_path):
    """An item that is no row, has other fields, shapes or types is named, with what to do."""
    for items, match in (
        ([1], "must be dicts"),
        ([{"x": 1}, {"y": 1}], "item 1 has the fields"),
        ([{"x": np.zeros(2)}, {"x": np.zeros(3)}], r"item 1: field 'x'.*variable=\['x'\]"),
        ([{"x": 1}, {"x": 1.5}], "item 1: field 'x'"),
        ([{"x": "a"}, {"x": 1}], "item 1: field 'x'"),
        ([{"x": None}], "HDF5 has no type"),
        ([{"x": "a\0b"}], "zero in it"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.items(items).save(tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_a_changed_byte_is_noticed(tmp_path):
    """What save wrote has checksums: a changed byte in a chunk is an error that names record and file."""
    ps.range(3000).map(lambda k: {"x": k * 0.1}).save(tmp_path / "a.h5")
    data = bytearray((tmp_path / "a.h5").read_bytes())
    at = bytes(data).index(np.float64(100 * 0.1).tobytes())
    data[at] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(StoreError, match=r"a\.h5") as caught:
        ps.open(tmp_path / "a.h5")[100]
    assert any("record 100" in note for note in caught.value.__notes__)


def test_mutated_files(tmp_path):
    """A mutated file is read or refused by an error of ours."""
    ps.items(ITEMS).map(lambda item: {"x": item["image"], "t": item["text"]}).save(tmp_path / "a.h5")
    good = (tmp_path / "a.h5").read_bytes()
    draw = random.Random(7)
    for _ in range(200):
        made = bytearray(good)
        for _ in range(draw.choice([1, 2, 5])):
            made[draw.randrange(draw.choice([2000, len(made)]))] = draw.randrange(256)
        (tmp_path / "b.h5").write_bytes(made)
        try:
            reader = open_hdf5(str(tmp_path / "b.h5"))
            for k in range(0, min(len(reader), 20), 7):
                reader[k]
            reader.close()
        except StoreError as error:
            assert "b.h5" in str(error)  # noqa: PT017  most are errors, some are not


def test_a_full_disk_is_noticed_before_hdf5_crashes_of_it(tmp_path, monkeypatch):
    """HDF5 ends the process when it closes a file on a full disk, so it is not let come to that."""
    import shutil

    from penstock.storage import hdf5_writing

    class Usage:
        """A disk with little room."""

        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(OSError, match=r"save\('a\.h5'\): 1000 bytes are free") as caught:
        ps.range(10).map(lambda k: {"x": k}).save(tmp_path / "a.h5")
    assert caught.value.errno == 28
    assert any("1,000 bytes are free" in note for note in caught.value.__notes__)
    assert list(tmp_path.iterdir()) == []
    assert Usage.free < hdf5_writing.RESERVE


def test_a_file_without_rows_says_so(tmp_path):
    """A file whose datasets are single values is no empty dataset, but a mistake."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = 5
    with pytest.raises(StoreError, match="no dataset with rows: 'x'"):
        ps.open(tmp_path / "a.h5")


def test_texts_that_are_none(tmp_path):
    """A text that is not UTF-8 is a corrupt record, with the names of file and dataset."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=[b"M\xfcller", b"ok"], dtype=h5py.string_dtype())
    with pytest.raises(CorruptRecord, match=r"dataset 'x' of .*a\.h5: a text is not in UTF-8"):
        ps.open(tmp_path / "a.h5")[0]
    assert ps.open(tmp_path / "a.h5")[1] == {"x": "ok"}
