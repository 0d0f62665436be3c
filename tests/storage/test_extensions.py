"""Values by extension: what is decoded, what is encoded, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord
from penstock.storage import tar_writing
from penstock.testing import same


@pytest.fixture
def mixed(tmp_path, archive):
    """An archive with a member of each kind."""
    import cv2

    image = cv2.imencode(".png", np.full((2, 3, 3), 9, np.uint8))[1].tobytes()
    arrays = io.BytesIO()
    np.savez_compressed(arrays, x=np.arange(3), y=np.float32(2))
    return archive(
        tmp_path / "a.tar",
        [
            ("a.png", image),
            ("a.seg.png", image),
            ("a.json", b'{"x": 1}'),
            ("a.txt", "é".encode()),
            ("a.cls", b" 7\n"),
            ("a.npy", tar_writing.encoded("npy", np.arange(4), "")),
            ("a.npz", arrays.getvalue()),
            ("a.bin", b"\0"),
            ("a.pyd", pickle.dumps({1})),
        ],
    )


def test_what_decode_means(mixed):
    """True decodes what is simple, "images" images too, False nothing; a dict says it for each extension."""
    simple = ps.open(mixed)[0]
    assert simple["json"] == {"x": 1}
    assert (simple["txt"], simple["cls"], simple["bin"]) == ("é", 7, b"\0")
    assert same(simple["npy"], np.arange(4))
    assert same(simple["npz"], {"x": np.arange(3), "y": np.array(2, "f4")})
    assert isinstance(simple["png"], bytes)
    assert isinstance(simple["pyd"], bytes)
    assert not simple["npy"].flags.writeable
    assert ps.open(mixed, copy=True)[0]["npy"].flags.writeable
    raw = ps.open(mixed, decode=False)[0]
    assert {type(value) for key, value in raw.items() if key != "__key__"} == {bytes}
    images = ps.open(mixed, decode="images")[0]
    assert images["png"].shape == images["seg.png"].shape == (2, 3, 3)
    some = ps.open(mixed, decode={"seg.png": "image", ".JSON": "bytes", "bin": "text"})[0]
    assert isinstance(some["png"], bytes)
    assert some["seg.png"].shape == (2, 3, 3)
    assert (some["json"], some["bin"], some["cls"]) == (b'{"x": 1}', "\0", 7)
    views = ps.open(mixed, copy=False)[0]
    assert same(views["bin"], np.zeros(1, np.uint8))
    assert not views["bin"].flags.writeable


def test_pickles_only_when_trusted(mixed):
    """A pickle is bytes, unless somebody says that it may run."""
    assert ps.open(mixed, trust_pickle=True)[0]["pyd"] == {1}
    with pytest.raises(ArgumentError, match="runs whatever the file says"):
        ps.open(mixed, decode={"pyd": "pickle"})
    assert ps.open(mixed, decode={"bin": "bytes", "pyd": "pickle"}, trust_pickle=True)[0]["pyd"] == {1}


def test_images_without_the_library(mixed, monkeypatch):
    """Where penstock.images cannot be imported, the error is the one that says what to install."""
    monkeypatch.setitem(sys.modules, "penstock.images", None)
    with pytest.raises(ImportError, match=r"penstock\.images"):
        ps.open(mixed, decode="images")[0]


def test_fields(mixed):
    """Only what is wanted is read, in that order; what a record lacks is an error that says what it has."""
    assert ps.open(mixed, fields=["cls", "txt"])[0] == {"cls": 7, "txt": "é"}
    assert list(ps.open(mixed, fields=(".TXT", "__key__"), stream=True)) == [{"__key__": "a", "txt": "é"}]
    for stream in (False, True):
        with pytest.raises(CorruptRecord, match=r"'a'.* of .*a\.tar has no member \.jpg; it has \.png"):
            list(ps.open(mixed, fields=["jpg"], stream=stream))


BAD = {
    "json": b"{",
    "cls": b"x",
    "txt": b"\xff",
    "npy": b"\x93NUMPY",
    "npz": b"PK",
    "png": b"no image",
    "jsn": b"[" * 100_000,
    "id": b"9" * 100_000,
}


@pytest.mark.parametrize("extension", BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_members_that_are_not_what_they_say(tmp_path, extension, stream, archive):
    """The error names record, archive and member; the records around it are read."""
    good = {"json": b"1", "jsn": b"1", "cls": b"1", "id": b"1"}.get(extension, b"")
    entries = [("a.bin", b"1"), (f"b.{extension}", BAD[extension]), ("c.bin", good)]
    path = archive(tmp_path / "a.tar", entries)
    store = ps.open(path, stream=stream, decode="images")
    with pytest.raises(CorruptRecord, match=rf"'b',? of .*a\.tar, member \.{extension}"):
        list(store)
    if not stream:
        assert store[0]["bin"] == b"1"
        assert store[2]["__key__"] == "c"
        assert len(list(store.on_error("skip"))) == 2


def test_arrays_of_objects_and_bombs(tmp_path, archive):
    """No Python object comes out of an array file, and no more memory than there are bytes for is taken."""
    objects, bomb = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([{1}], object), allow_pickle=True)
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 60},), }}".ljust(117).encode() + b"\n"
    huge = b"\x93NUMPY\x01\x00v\x00" + head
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("x.npy", huge + bytes(100_000_000))
    entries = [("a.npy", objects.getvalue()), ("b.npy", huge), ("c.npz", bomb.getvalue())]
    negative = huge.replace(str(1 << 60).encode(), b"-1".ljust(19))
    store = ps.open(archive(tmp_path / "a.tar", [*entries, ("d.npy", negative)]))
    for k, match in enumerate(["Python objects", "bytes of", "bytes of", "shape"]):
        with pytest.raises(CorruptRecord, match=match):
            store[k]


def test_options_of_open(mixed):
    """Options that cannot be are refused with the value and the remedy."""
    for options, match in (
        ({"decode": 5}, "decode must be"),
        ({"decode": {"jpg": "imge"}}, "Did you mean 'image'"),
        ({"decode": {"jpg": bytes}}, r"map\(…, at='jpg'\)"),
        ({"fields": "jpg"}, "list of extensions"),
        ({"fields": []}, "empty"),
        ({"copy": 1}, "copy must be"),
        ({"stream": "yes"}, "stream must be"),
        ({"index": "disk"}, "index must be one of"),
        ({"truncated": "skip"}, "truncated must be one of"),
        ({"trust_pickle": 1}, "trust_pickle must be"),
        ({"decod": 1}, "Did you mean 'decode'"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.open(mixed, **options)


def test_what_is_encoded(tmp_path):
    """Values are written as their extensions say; bytes, bytearrays, views and arrays of bytes as they are."""
    item = {
        "__key__": "a",
        "json": ["x", 1.5, None],
        "cls": np.int64(3),
        "txt": "t",
        "npy": np.float32([1, 2]),
        "npz": {"x": np.eye(2), "y": 3},
        "bin": bytearray(b"1"),
        "jpg": memoryview(b"22"),
        "x": np.frombuffer(b"333", np.uint8),
    }
    found = ps.items([item]).save(tmp_path / "a.tar")[0]
    assert (found["json"], found["cls"], found["txt"]) == (["x", 1.5, None], 3, "t")
    assert same(found["npy"], item["npy"])
    assert same(found["npz"], {"x": np.eye(2), "y": np.array(3)})
    assert (found["bin"], found["jpg"], found["x"]) == (b"1", b"22", b"333")


def test_found_by_content(tmp_path, mixed):
    """An archive is known by its first header, a folder by the archives in it."""
    os.rename(mixed, tmp_path / "noname")
    assert ps.open(tmp_path / "noname")[0]["cls"] == 7
    (tmp_path / "other").write_bytes(b"x" * 2000)
    with pytest.raises(ArgumentError, match="nothing tells the format"):
        ps.open(tmp_path / "other")
