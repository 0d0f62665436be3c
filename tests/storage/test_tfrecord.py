"""TFRecord: the contract of stores, framing, checksums, examples both ways, gzip, several files, and hostile bytes."""

from __future__ import annotations

import contextlib
import gzip
import random
import struct

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, CorruptRecord, MissingExtra, StoreError
from penstock.graph import storing
from penstock.storage import kept_index, tfrecord_places
from penstock.storage.tfrecord_example import decode_example, encode_example
from penstock.storage.tfrecord_places import checks_of, hopped
from penstock.testing import check_dataset, check_store, same

ITEMS = [bytes([k]) * (k * 37 % 500) for k in range(40)]


def framed(data):
    """A record as the format's description has it, computed here."""

    def masked(part):
        crc = google_crc32c.value(part)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % (1 << 32))

    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def test_contract():
    """Byte strings keep the contract of stores; only a file that ends where a record ends looks whole."""
    check_store("a.tfrecord", ITEMS, ends=False)


def test_contract_of_gzip():
    """In gzip the same is a stream, which notices when its end is missing."""
    check_store("a.tfrecord.gz", ITEMS, processes=False)


def test_bytes_are_those_of_the_format(tmp_path):
    """What is written is what the format's description says, byte by byte, and what it says is read."""
    ps.items(ITEMS).save(tmp_path / "a.tfrecord")
    assert (tmp_path / "a.tfrecord").read_bytes() == b"".join(map(framed, ITEMS))
    (tmp_path / "golden-00000-of-00001").write_bytes(framed(b"abc"))
    for path in ("golden-00000-of-00001", "golden-*"):  # without a suffix, by its content
        assert list(ps.open(tmp_path / path)) == [b"abc"]


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_checksums_of_lengths(lengths):
    """The checksums that are computed by vectors are those of the library."""
    found = checks_of(np.array(lengths, np.uint64)).tolist()
    assert [struct.pack("<I", check) for check in found] == [masked_length(n) for n in lengths]


def masked_length(n):
    """The four bytes behind a length."""
    crc = google_crc32c.value(struct.pack("<Q", n))
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % (1 << 32))


def test_several_files_are_one(tmp_path):
    """A pattern of files is one sequence; errors and notes name the file and its own record."""
    for k in range(3):
        ps.items(ITEMS[k * 10 : k * 10 + 10]).save(tmp_path / f"a-{k}.tfrecord")
    store = ps.open(tmp_path / "a-*.tfrecord")
    assert list(store) == ITEMS[:30]
    assert [store[k] for k in (29, 10, 9, 0, 20)] == [ITEMS[k] for k in (29, 10, 9, 0, 20)]
    with pytest.raises(KeyError) as caught:
        store.map(lambda item: {}[item])[12]
    assert any("record 2 of a-1.tfrecord" in note for note in caught.value.__notes__)
    check_dataset(ps.open(tmp_path / "a-*.tfrecord"), limit=5, epochs=(0,))


def test_several_files_in_gzip_are_one_stream(tmp_path):
    """Packed files are read one after the other, and a state says which and where."""
    for k in range(3):
        ps.items(ITEMS[k * 10 : k * 10 + 10]).save(tmp_path / f"a-{k}.tfrecord.gz")
    store = ps.open(tmp_path / "a-*.tfrecord.gz")
    assert list(store) == ITEMS[:30]
    check_dataset(store, limit=30, epochs=(0,))
    ps.items(ITEMS[:2]).save(tmp_path / "b.tfrecord")
    with pytest.raises(StoreError, match="some of the files are in gzip"):
        ps.open([tmp_path / "a-0.tfrecord.gz", tmp_path / "b.tfrecord"])


FEATURES = st.dictionaries(
    st.text(max_size=5),
    st.one_of(
        st.lists(st.binary(max_size=9), min_size=1, max_size=5),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40).map(lambda v: np.array(v, np.int64)),
        st.lists(st.floats(width=32, allow_nan=False), max_size=20).map(lambda v: np.array(v, np.float32)),
    ),
    max_size=4,
)


@given(FEATURES)
def test_examples_come_back(features):
    """Whatever a feature may be comes back from its bytes, in the order of the names."""
    found = decode_example(memoryview(encode_example(features, "save()")))
    assert list(found) == sorted(features)
    assert same(found, dict(sorted(features.items())))


def test_examples(tmp_path):
    """Dicts of what users have are written as features and read as arrays and lists of byte strings."""
    item = {"n": 3, "flag": True, "x": [1.5, 2], "s": "ä", "many": np.arange(-50, 50), "names": ["a", b"b"]}
    ps.items([item]).save(tmp_path / "a.tfrecord", values="example")
    store = ps.open(tmp_path / "a.tfrecord", values="example")
    want = {
        "flag": np.array([1]),
        "many": np.arange(-50, 50),
        "n": np.array([3]),
        "names": [b"a", b"b"],
        "s": ["ä".encode()],
        "x": np.array([1.5, 2], np.float32),
    }
    assert same(store[0], want)
    assert store.node.handle.reader().schema() == {
        "flag": "int64", "many": "int64", "n": "int64", "names": "bytes", "s": "bytes", "x": "float32",
    }  # fmt: skip


def part(field, content):
    """A protocol buffer's field of bytes, computed here."""
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


def test_examples_of_other_writers():
    """Numbers one by one, repeated messages, unknown fields and features without a list are what the rules say."""
    singles = part(3, b"\x08\x05" + b"\x08" + b"\xff" * 9 + b"\x01" + part(1, b"\x07"))  # 5, -1, then packed 7
    floats = part(2, b"\x0d" + struct.pack("<f", 1.5))
    unknown = part(15, b"later") + b"\x80\x01\x2a" + b"\x91\x01" + bytes(8)
    entries = [("b", singles), ("a", floats), ("c", b""), ("a", floats + unknown)]
    first, *rest = (part(1, part(1, name.encode()) + part(2, value)) for name, value in entries)
    data = part(1, first) + unknown + part(1, b"".join(rest))
    want = {"a": np.array([1.5], np.float32), "b": np.array([5, -1, 7]), "c": []}
    assert same(decode_example(memoryview(data)), want)


def test_sequence_examples(tmp_path):
    """A SequenceExample has a context, and lists of features."""
    frames = part(1, part(3, part(1, b"\x01\x02"))) + part(1, part(3, part(1, b"\x03")))
    data = part(1, part(1, part(1, b"id") + part(2, part(1, part(1, b"x"))))) + part(
        2, part(1, part(1, b"frames") + part(2, frames))
    )
    ps.items([data]).save(tmp_path / "a.tfrecord")
    store = ps.open(tmp_path / "a.tfrecord", values="sequence_example")
    assert same(store[0], {"context": {"id": [b"x"]}, "feature_lists": {"frames": [np.array([1, 2]), np.array([3])]}})
    assert store.node.handle.reader().schema() == {"context": {"id": "bytes"}, "feature_lists": {"frames": ["int64"]}}


def test_verify_and_views(tmp_path):
    """A changed byte is noticed at the first reading, or always, or never; views are of the file."""
    path = tmp_path / "a.tfrecord"
    ps.items([b"abc", b"def"]).save(path)
    with open(path, "r+b") as file:
        file.seek(20 + 4 + 8 + 4)
        file.write(b"X")
    for verify in ("first", "always"):
        store = ps.open(path, verify=verify)
        assert store[0] == b"abc"
        for _ in range(2):
            with pytest.raises(CorruptRecord, match=r"record 1 of .*a.tfrecord is corrupt: its checksum"):
                store[1]
    view = ps.open(path, verify="never", copy=False)[1]
    assert bytes(view).endswith(b"f")
    assert not view.flags.writeable


def test_mistakes(tmp_path, monkeypatch):
    """What cannot be written or read is refused in words that name it."""
    path = tmp_path / "a.tfrecord"
    for items, options, error, match in (
        (["text"], {}, ArgumentTypeError, "holds byte strings, not 'text'"),
        ([b"x"], {"values": "example"}, ArgumentTypeError, "dict of values by name"),
        ([{"x": np.zeros((2, 2))}], {"values": "example"}, ArgumentError, "Flatten it"),
        ([{"x": None}], {"values": "example"}, ArgumentTypeError, "int64, float32 or bytes"),
        ([{"x": 2**63}], {"values": "example"}, ArgumentTypeError, "int64, float32 or bytes"),
        ([b"x"], {"compression": "zip"}, ArgumentError, "compression"),
    ):
        with pytest.raises(error, match=match):
            ps.items(items).save(path, **options)
    ps.items([b"no example"]).save(path)
    with pytest.raises(CorruptRecord, match=r"record 0 of .*a.tfrecord is no such example"):
        ps.open(path, values="example")[0]
    with pytest.raises(ArgumentError, match="verify"):
        ps.open(path, verify="sometimes")

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(storing.importlib, "import_module", missing)
    with pytest.raises(MissingExtra, match=r'pip install "penstock\[tfrecord\]"'):
        ps.open(path)
    assert list(ps.open(path, verify="never")) == [b"no example"]


def test_what_is_no_such_file(tmp_path):
    """Other files, and a length that reaches beyond the end, are refused by name."""
    long = struct.pack("<Q", 1 << 62) + masked_length(1 << 62) + b"abc" * 9
    for name, data, match in (
        ("text.tfrecord", b"a text that is long enough to have a length", "is no TFRecord file"),
        ("short.tfrecord", b"short", "truncated"),
        ("long.tfrecord", framed(b"abc") + long, "truncated: of record 1"),
        ("text.tfrecord.gz", b"no gzip", "cannot be unpacked"),
        ("long.tfrecord.gz", gzip.compress(long), "says that it has 4611686018427387904 bytes"),
        ("cut.tfrecord.gz", gzip.compress(framed(b"abc")[:-5]), "truncated"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(StoreError, match=match) as caught:
            list(ps.open(tmp_path / name))
        assert name in str(caught.value)


def mutated(data, draw):
    """Some bytes with a few of them changed, cut out or put in."""
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8))):
        at = draw.randrange(len(data) + 1)
        how = draw.random()
        if how < 0.6 and at < len(data):
            data[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif how < 0.8:
            del data[at : at + draw.randrange(1, 9)]
        else:
            data[at:at] = draw.randbytes(draw.randrange(1, 5))
    return bytes(data)


def test_ten_thousand_hostile_examples():
    """Whatever the bytes of an example are, they are decoded or a ValueError."""
    draw = random.Random(0)
    whole = encode_example({"a": np.arange(90), "b": [b"x", b"yz"], "c": [1.5] * 5, "d": -1}, "save()")
    nested = whole + part(2, part(1, part(1, b"f") + part(2, part(1, part(3, part(1, b"\x01"))))))
    for k in range(10_000):
        with contextlib.suppress(ValueError):
            decode_example(memoryview(mutated(nested, draw)), nested=bool(k % 2))


def test_thousands_of_hostile_files():
    """Whatever the frames of a file are, their places are found or it is a StoreError."""
    draw = random.Random(1)
    whole = b"".join(framed(bytes(k)) for k in range(9))
    for _ in range(3_000):
        data = mutated(whole, draw)
        try:
            found = hopped("a.tfrecord", memoryview(data))
        except StoreError:
            continue
        assert found[-1] == len(data)


def test_files_of_another_library(tmp_path):
    """What the tfrecord package writes is read, and what is written here it reads."""
    writer = pytest.importorskip("tfrecord.writer")
    reader = pytest.importorskip("tfrecord.reader")
    out = writer.TFRecordWriter(str(tmp_path / "a.tfrecord"))
    out.write({"n": (7, "int"), "x": ([1.0, 2.0], "float"), "b": (b"abc", "byte")})
    out.close()
    found = ps.open(tmp_path / "a.tfrecord", values="example")[0]
    assert same(found, {"b": [b"abc"], "n": np.array([7]), "x": np.array([1, 2], np.float32)})
    ps.items([found]).save(tmp_path / "b.tfrecord", values="example")
    again = next(iter(reader.tfrecord_loader(str(tmp_path / "b.tfrecord"), None)))
    assert again["n"].tolist() == [7]


def test_places_are_kept_and_used(tmp_path, monkeypatch):
    """Of a file with many records; damaged or hostile ones, and those of another content, are made anew."""
    monkeypatch.setattr(kept_index, "MANY", 10)
    path = tmp_path / "train-00000-of-00001"
    path.write_bytes(b"".join(map(framed, ITEMS)))
    first = ps.open(path)
    beside = tmp_path / "train-00000-of-00001.index"
    good = beside.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(tfrecord_places, "hopped", lambda *args: pytest.fail("the file was gone through again"))
        assert list(ps.open(path)) == ITEMS
        assert ps.open(path) == first
        assert list(ps.open(tmp_path / "train-*")) == ITEMS  # which finds the index along with the file
    draw = random.Random(0)
    for number in range(40):
        bad = bytearray(good[: draw.randrange(1, len(good))] if number % 2 else good)
        bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        beside.write_bytes(bad)
        assert list(ps.open(path)) == ITEMS
        assert beside.read_bytes() == good
    starts = np.frombuffer(hopped(str(path), memoryview(path.read_bytes())), np.int64)
    for at, value in ((0, 4), (3, -1), (5, 1 << 40), (40, 7)):
        hostile = starts.copy()
        hostile[at] = value
        kept_index.save(str(beside), tfrecord_places.MARK, {"check": 0}, [hostile], kept_index.stamp(str(path)))
        assert list(ps.open(path)) == ITEMS
    path.write_bytes(b"".join(map(framed, ITEMS[:20])))
    assert list(ps.open(path)) == ITEMS[:20]
    assert ps.open(path).node.handle.tag != first.node.handle.tag


def test_where_places_are_kept(tmp_path, monkeypatch):
    """Not those of few records; "beside" insists; "memory" neither writes nor reads; the same content in any case."""
    path = tmp_path / "a.tfrecord"
    store = ps.items(ITEMS).save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tfrecord"]
    assert list(ps.open(path, index="beside")) == ITEMS
    assert len(list(tmp_path.iterdir())) == 2
    with monkeypatch.context() as patched:
        patched.setattr(kept_index, "load", lambda *args: pytest.fail("an index was looked for"))
        assert ps.open(path, index="memory").node.handle.tag == store.node.handle.tag
    (tmp_path / "a.tfrecord.index").unlink()
    monkeypatch.setattr(kept_index.tempfile, "mkstemp", refusing)
    monkeypatch.setattr(kept_index, "MANY", 1)
    assert list(ps.open(path)) == ITEMS
    with pytest.raises(StoreError, match="cannot be written"):
        ps.open(path, index="beside")


def refusing(*args):
    """A folder that may only be read."""
    raise PermissionError("read-only")
