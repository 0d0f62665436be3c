"""MDS: the contract of stores, all encodings, compression, hashes, files of MosaicML's writer, and hostile bytes."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import shutil
import struct
from decimal import Decimal

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, MissingExtra, StoreError
from penstock.storage import shards as shards_module
from penstock.storage.mds import INDEX, Plan, Shard
from penstock.storage.mds_encodings import Wanted
from penstock.testing import check_dataset, check_store, same

ITEMS = [
    {
        "b": b"q" * k,
        "f": np.float64(k / 2),
        "j": [None, {"a": k}],
        "k": k,
        "n": np.float16(k),
        "s": "ä" * k,
        "x": np.arange(k + 1, dtype="i2").reshape(1, -1),
    }
    for k in range(30)
]


def test_contract():
    """Columns of all kinds in many shards keep the contract of stores; hashes notice every changed byte."""
    check_store("a.mds", ITEMS, saving={"size_limit": 1500}, opening={"verify": True})


def test_contract_without_hashes():
    """Without hashes a changed byte may go unnoticed, and still does no harm."""
    check_store("a.mds", ITEMS[:9], saving={"hashes": ()}, checked=False, processes=False)


def test_contract_of_views():
    """With copy=False arrays and byte strings are views, which stay valid."""
    items = [{"x": np.arange(k + 1.0)} for k in range(9)]
    check_store("a.mds", items, opening={"copy": False, "verify": True}, processes=False)


def test_contract_of_compressed_shards():
    """Compressed shards keep the contract, too."""
    items = [{"x": np.random.default_rng(k).bytes(200)} for k in range(20)]  # larger than the index, which has no hash
    saving = {"size_limit": 3000, "compression": "zstd:3"}
    check_store("a.mds", items, saving=saving, opening={"verify": True}, processes=False)


@pytest.mark.parametrize("compression", ["gz", "bz2:1", "zstd", "br:3"])
def test_compression(tmp_path, compression):
    """Each compression comes back; a shard that is cut is refused, and one of another content is corrupt."""
    ps.items(ITEMS).save(tmp_path / "a.mds", compression=compression, size_limit=2000)
    for copy in (True, False):
        assert same(list(ps.open(tmp_path / "a.mds", verify=True))[3:], ITEMS[3:])
        assert [item["k"] for item in ps.open(tmp_path / "a.mds", copy=copy)] == list(range(30))
    shard = next((tmp_path / "a.mds").glob("shard.00001.*"))
    shard.write_bytes(bytes(shard.stat().st_size))
    store = ps.open(tmp_path / "a.mds")
    with pytest.raises(CorruptRecord, match=f"{shard.name} cannot be unpacked"):
        list(store)
    with pytest.raises(CorruptRecord, match=f"{shard.name} is corrupt: its sha1"):
        list(ps.open(tmp_path / "a.mds", verify=True))
    shard.write_bytes(b"short")
    with pytest.raises(StoreError, match=f"{shard.name} is truncated, or another"):
        ps.open(tmp_path / "a.mds")


def image_file(suffix, shape=(4, 5, 3)):
    """A picture's file."""
    cv2 = pytest.importorskip("cv2")
    return cv2.imencode(suffix, np.full(shape, 77, np.uint8))[1].tobytes()


def listed(elements, head=b""):
    """A list as MDS has it."""
    sizes = [len(element) for element in elements]
    return head + struct.pack(f"<{len(sizes) + 1}I", len(sizes), *sizes) + b"".join(elements)


def raw_image(mode, width, height, data):
    """An image as MDS has it unpacked."""
    return struct.pack("<III", width, height, len(mode)) + mode.encode() + data


ENCODED = {
    "bytes": (b"abc", b"abc"),
    "str": ("ä".encode(), "ä"),
    "int": (struct.pack("<q", -5), -5),
    "uint8": (b"\x07", np.uint8(7)),
    "float32": (struct.pack("<f", 1.5), np.float32(1.5)),
    "str_int": (b"1000000000000000000000000", 10**24),
    "str_float": (b"0.1", 0.1),
    "str_decimal": (b"1.10", Decimal("1.10")),
    "json": (b'{"a": [1, null]}', {"a": [1, None]}),
    "ndarray": (b"\x22" + bytes([2 << 2, 1, 2]) + struct.pack("<2f", 1, 2), np.array([[1, 2]], np.float32)),
    "ndarray:int16": (bytes([1 << 2 | 1]) + b"\x02\x00" + struct.pack("<2h", 1, -2), np.array([1, -2], np.int16)),
    "ndarray:uint8:2,2": (b"\x01\x02\x03\x04", np.array([[1, 2], [3, 4]], np.uint8)),
    "pil": (raw_image("RGB", 1, 2, b"\x01\x02\x03\x04\x05\x06"), np.arange(1, 7, dtype="u1").reshape(2, 1, 3)),
    "list[pil]": (
        listed([raw_image("1", 3, 1, b"\xa0"), raw_image("I;16", 1, 1, b"\x01\x01")], bytes(4)),
        [np.array([[True, False, True]]), np.array([[257]], np.uint16)],
    ),
    "list[jpeg]": (listed([b"one", b""], bytes(4)), [b"one", b""]),
    "jpeg_array": (listed([b"one", b"two"]), [b"one", b"two"]),
    "pkl": (pickle.dumps({1, 2}), {1, 2}),
}


def write_shard(path, columns, samples, **index):
    """A folder with one shard, as the format's description has it, written here; not by what is tested."""
    names = sorted(columns)
    fixed = {"int": 8, "uint8": 1, "float32": 4, "ndarray:uint8:2,2": 4}
    sizes = [fixed.get(columns[name]) for name in names]
    config = {
        "version": 2, "format": "mds", "compression": None, "hashes": [], "size_limit": 1 << 26,
        "column_names": names, "column_encodings": [columns[name] for name in names], "column_sizes": sizes,
    }  # fmt: skip
    body = []
    for sample in samples:
        head = [len(sample[name]) for name, size in zip(names, sizes, strict=True) if size is None]
        body.append(struct.pack(f"<{len(head)}I", *head) + b"".join(sample[name] for name in names))
    text = json.dumps(config).encode()
    places = np.cumsum([4 * (len(body) + 2) + len(text), *map(len, body)]).tolist()
    data = struct.pack(f"<{len(body) + 2}I", len(body), *places) + text + b"".join(body)
    path.mkdir()
    (path / "shard.00000.mds").write_bytes(data)
    raw = {"basename": "shard.00000.mds", "bytes": len(data), "hashes": {}}
    entry = {**config, "samples": len(body), "raw_data": raw, "zip_data": None, **index}
    (path / INDEX).write_text(json.dumps({"version": 2, "shards": [entry]}))
    return data


@pytest.mark.parametrize("encoding", ENCODED)
def test_encodings(tmp_path, encoding):
    """Each encoding's bytes, written by hand, are read as what they mean; from a folder, its index, and a shard alone."""
    data, value = ENCODED[encoding]
    write_shard(tmp_path / "a", {"v": encoding, "w": "str"}, [{"v": data, "w": b"end"}] * 2)
    for path in ("a", f"a/{INDEX}", "a/shard.00000.mds"):
        store = ps.open(tmp_path / path, trust_pickle=True)
        assert same(list(store), [{"v": value, "w": "end"}] * 2)


def test_written_as_the_format_says(tmp_path):
    """What is written is, byte by byte, what was written by hand."""
    want = write_shard(tmp_path / "hand", {"n": "int", "s": "str"}, [{"n": struct.pack("<q", 3), "s": b"abc"}])
    ps.items([{"s": "abc", "n": 3}]).save(tmp_path / "a.mds", hashes=())
    config = json.loads((tmp_path / "a.mds" / INDEX).read_text())["shards"][0]
    found = (tmp_path / "a.mds" / "shard.00000.mds").read_bytes()
    assert config["column_sizes"] == [8, None]
    assert found[-15:] == want[-15:]
    assert same(list(ps.open(tmp_path / "hand")), list(ps.open(tmp_path / "a.mds")))


def test_images(tmp_path):
    """Image columns are files' bytes; with images=True they are arrays."""
    jpeg, png = image_file(".jpg"), image_file(".png")
    columns = {"a": "jpeg", "b": "list[png]", "c": "jpegarray"}
    write_shard(tmp_path / "a", columns, [{"a": jpeg, "b": listed([png], bytes(4)), "c": listed([jpeg])}])
    assert ps.open(tmp_path / "a")[0] == {"a": jpeg, "b": [png], "c": [jpeg]}
    found = ps.open(tmp_path / "a", images=True)[0]
    assert [found["a"].shape, found["b"][0].shape, found["c"][0].shape] == [(4, 5, 3)] * 3
    ps.items([{"image": jpeg, "label": 3}]).save(tmp_path / "b.mds", columns={"image": "jpeg", "label": "int"})
    assert ps.open(tmp_path / "b.mds", images=True)[0]["image"].shape == (4, 5, 3)


def test_what_images_need(tmp_path, monkeypatch):
    """A missing library is no corrupt record: the error says what to install."""
    write_shard(tmp_path / "a", {"a": "jpeg"}, [{"a": image_file(".jpg")}])

    def decode(data):
        raise MissingExtra('pip install "penstock[images]"')

    monkeypatch.setattr("penstock.images.decode", decode)
    with pytest.raises(MissingExtra, match="images"):
        ps.open(tmp_path / "a", images=True)[0]


def test_pickles_need_trust(tmp_path):
    """A pickled column is refused when the store is opened, unless it is left out or trusted."""
    write_shard(tmp_path / "a", {"v": "pkl", "w": "str"}, [{"v": pickle.dumps({1}), "w": b"x"}])
    with pytest.raises(StoreError, match=r"column 'v' of .* is pickled.*trust_pickle=True"):
        ps.open(tmp_path / "a")
    assert ps.open(tmp_path / "a", columns=["w"])[0] == {"w": "x"}
    assert ps.open(tmp_path / "a", trust_pickle=True)[0]["v"] == {1}


def test_columns(tmp_path):
    """Items have the columns that were asked for, in that order."""
    store = ps.items(ITEMS).save(tmp_path / "a.mds")
    assert list(ps.open(tmp_path / "a.mds", columns=["s", "k"])[3].items()) == [("s", "äää"), ("k", 3)]
    assert store.node.handle.reader().schema()["x"] == "ndarray"
    with pytest.raises(ArgumentError, match="a column must be one of"):
        ps.open(tmp_path / "a.mds", columns=["t"])
    with pytest.raises(ArgumentTypeError, match="list of names"):
        ps.open(tmp_path / "a.mds", columns="s")


def test_few_maps_and_few_unpacked(tmp_path, monkeypatch):
    """Shards beyond the room are mapped, or unpacked, again when they are needed, by several threads, too."""
    monkeypatch.setattr(shards_module.resource, "getrlimit", lambda which: (16, 16))
    monkeypatch.setattr("penstock.storage.mds.UNPACKED", 3000)
    for compression in (None, "gz"):
        path = tmp_path / f"{compression}.mds"
        ps.items(ITEMS * 20).save(path, size_limit=1000, compression=compression)
        store = ps.open(path)
        reader = store.node.handle.reader()
        assert len(reader.shards) > 40
        want = random.Random(0).choices(range(600), k=300)
        with store[want].batch(10, collate=list).loader(workers=ps.Threads(4)) as loader:
            found = [item for batch in loader for item in batch]
        assert same(found, [ITEMS[k % 30] for k in want])
        assert len(reader.maps.kept) <= 16
        assert reader.unpacked.total <= 3000
        check_dataset(store[:40], limit=5, epochs=(0,))


def test_mistakes_in_writing(tmp_path):
    """What cannot be written is refused in words that name the column."""
    path = tmp_path / "a.mds"
    for items, options, error, match in (
        ([3], {}, ArgumentTypeError, "dicts of values by name"),
        ([{"a": 1}, {"b": 1}], {}, ArgumentTypeError, r"has the columns \['b'\], not \['a'\]"),
        ([{"a": 1 + 2j}], {}, ArgumentTypeError, "no encoding for"),
        ([{"a": 1 << 70}], {}, ArgumentTypeError, "'a': .* cannot be written as 'int'"),
        ([{"a": np.zeros(0)}], {}, ArgumentTypeError, "an axis and an element"),
        ([{"a": np.zeros(2, bool)}], {}, ArgumentTypeError, "its dtype is bool"),
        ([{"a": 1.5}], {"columns": {"a": "uint8"}}, ArgumentTypeError, "cannot be written as 'uint8'"),
        ([{"a": 1}], {"columns": {"a": "image"}}, ArgumentError, "'image' is no encoding"),
        ([{"a": 1}], {"columns": {"a": "pkl"}}, ArgumentError, "'pkl' is no encoding that is written"),
        ([{"a": b"123"}], {"columns": {"a": "int"}}, ArgumentError, "3 bytes, and must have 8"),
        ([{"a": 1}], {"compression": "zip"}, ArgumentError, "compression"),
        ([{"a": 1}], {"compression": "gz:best"}, ArgumentError, "no number"),
        ([{"a": 1}], {"hashes": ["crc"]}, ArgumentError, "a hash"),
        ([{"a": 1}], {"size_limit": 0}, ArgumentError, "size_limit"),
    ):
        with pytest.raises(error, match=match):
            ps.items(items).save(path, **options)
    assert not path.exists()


def test_what_is_no_such_folder(tmp_path):
    """An index that points elsewhere, lists what is not there, or is something else is refused by name."""
    good = tmp_path / "good"
    data = write_shard(good, {"v": "str"}, [{"v": b"abc"}])
    entry = json.loads((good / INDEX).read_text())["shards"][0]
    raw = entry["raw_data"]
    for name, change, match in (
        ("outside", {"raw_data": {**raw, "basename": "../good/shard.00000.mds"}}, "a shard called"),
        ("absolute", {"raw_data": {**raw, "basename": "/etc/passwd"}}, "a shard called"),
        ("missing", {"raw_data": {**raw, "basename": "shard.00009.mds"}}, "the index lists it"),
        ("longer", {"raw_data": {**raw, "bytes": raw["bytes"] + 1}}, "truncated, or another"),
        ("negative", {"samples": -1}, "a number of -1"),
        ("csv", {"format": "csv"}, "a shard of format 'csv'"),
        ("strange", {"column_encodings": ["wav"]}, "'wav', which is not known"),
        ("static", {"column_encodings": ["ndarray:complex"]}, "which is none"),
        ("twice", {"column_names": ["v", "v"]}, "the columns"),
        ("more", {"samples": 1 << 20}, "does not begin with the 1048576 samples"),
        ("sized", {"column_sizes": [1 << 30]}, "ends at byte"),
    ):
        shutil.copytree(good, tmp_path / name)
        (tmp_path / name / INDEX).write_text(json.dumps({"version": 2, "shards": [{**entry, **change}]}))
        with pytest.raises(StoreError, match=match) as caught:
            ps.open(tmp_path / name, "mds")[0]
        assert name in str(caught.value) or "good" in str(caught.value)
    for name, text in (("list", "[]"), ("deep", "[" * 100_000), ("text", "index"), ("old", '{"version": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / INDEX).write_text(text)
        with pytest.raises(StoreError, match="is no index of MDS shards"):
            ps.open(tmp_path / name, "mds")
    (tmp_path / "short.mds").write_bytes(data[:-1])
    with pytest.raises(StoreError, match="is no MDS shard, or truncated"):
        ps.open(tmp_path / "short.mds")


def test_a_bomb_unpacks_to_no_more_than_it_says(tmp_path):
    """A compressed shard that unpacks to more than the index says is refused before it does."""
    for kind, packed in (("gz", gzip.compress(bytes(50_000_000))), ("zstd", zstd_bomb())):
        path = tmp_path / kind
        write_shard(path, {"v": "str"}, [{"v": b"abc"}])
        entry = json.loads((path / INDEX).read_text())["shards"][0]
        (path / f"bomb.{kind}").write_bytes(packed)
        (path / "shard.00000.mds").unlink()
        entry |= {"compression": kind, "zip_data": {"basename": f"bomb.{kind}", "bytes": len(packed), "hashes": {}}}
        (path / INDEX).write_text(json.dumps({"version": 2, "shards": [entry]}))
        with pytest.raises(CorruptRecord, match=f"bomb.{kind}"):
            ps.open(path)[0]


def zstd_bomb():
    """A frame that claims a terabyte."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + b"\x01\x00\x00"


def test_ten_thousand_hostile_samples():
    """Whatever the bytes of a sample are, it is decoded or an error that becomes a CorruptRecord."""
    encodings = [name for name in ENCODED if name != "pkl"]
    sizes = [{"int": 8, "uint8": 1, "float32": 4, "ndarray:uint8:2,2": 4}.get(name) for name in encodings]
    names = tuple(map(str, range(len(encodings))))
    plan = Plan(Shard("a.mds", 0, 1, names, tuple(encodings), tuple(sizes)), None, Wanted())
    values = [ENCODED[name][0] for name in encodings]
    head = b"".join(struct.pack("<I", len(v)) for v, size in zip(values, sizes, strict=True) if size is None)
    whole = head + b"".join(values)
    assert same(plan.item(memoryview(whole)), {n: ENCODED[e][1] for n, e in zip(names, encodings, strict=True)})
    draw = random.Random(0)
    for _ in range(10_000):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 2, 5))):
            data[draw.randrange(len(data))] = draw.choice((0, 1, 0xFF, draw.randrange(256)))
        if draw.random() < 0.2:
            del data[draw.randrange(len(data)) :]
        try:
            plan.item(memoryview(bytes(data)))
        except (ValueError, struct.error, KeyError, IndexError, ArithmeticError):
            continue


def test_what_mosaicml_writes(tmp_path):
    """A folder that MosaicML's writer made is read, compressed or not, and ours is read by its reader."""
    streaming = pytest.importorskip("streaming")
    image = pytest.importorskip("PIL.Image").fromarray(np.arange(48, dtype="u1").reshape(4, 4, 3))
    file = io.BytesIO()
    image.save(file, "PNG")
    columns = {"a": "ndarray", "i": "int", "p": "pil", "g": "png", "j": "json", "s": "str"}
    for compression in (None, "zstd:7", "gz"):
        out = str(tmp_path / f"{compression}")
        with streaming.MDSWriter(out=out, columns=columns, compression=compression, hashes=["sha1", "xxh64"]) as writer:
            for k in range(9):
                writer.write({"a": np.arange(k + 1.0), "i": k, "p": image, "g": image, "j": [k], "s": "ü" * k})
        store = ps.open(out, verify=True)
        assert [item["i"] for item in store] == list(range(9))
        assert same(store[4]["a"], np.arange(5.0))
        assert same(store[4]["p"], np.asarray(image))
    ps.items(ITEMS).save(tmp_path / "ours.mds", size_limit=2000)
    shards = json.loads((tmp_path / "ours.mds" / INDEX).read_text())["shards"]
    load = pytest.importorskip("streaming.base.format").reader_from_json  # their dataset leaves shared memory behind
    readers = [load(str(tmp_path / "ours.mds"), "", entry) for entry in shards]
    assert [reader.get_item(k)["k"] for reader in readers for k in range(reader.samples)] == list(range(30))
