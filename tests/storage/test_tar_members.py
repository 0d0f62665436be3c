"""The headers of tar archives: truncated, hostile and odd ones, and thousands that were changed at random."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import tarfile
from pathlib import Path

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, CorruptRecord, StoreError
from penstock.storage import tar_reading, tar_writing
from penstock.storage.tar_members import Archive
from penstock.testing import check_dataset, same


def test_truncated_archives(tmp_path, archive):
    """The member that is cut off is named; with truncated="keep", what is certainly whole is read."""
    entries = [(f"{k}.{x}", bytes([k]) * 700) for k in range(4) for x in ("a", "b")]
    whole = Path(archive(tmp_path / "a.tar", entries)).read_bytes()
    size = 512 + 1024
    path = tmp_path / "b.tar"
    for length in (0, 3, 511, 512, 600, size, size + 100, 2 * size, 5 * size + 1000, 8 * size - 1, 8 * size):
        path.write_bytes(whole[:length])
        for stream in (False, True):
            with pytest.raises(StoreError, match=r"b\.tar.*(truncated|no tar archive)"):
                list(ps.open(path, stream=stream))
            kept = list(ps.open(path, stream=stream, truncated="keep"))
            assert [item["__key__"] for item in kept] == ["0", "1", "2", "3"][: max(0, (length // size - 1) // 2)]
    path.write_bytes(whole[: 5 * size + 1000])
    with pytest.raises(StoreError, match=r"its member '2\.b' of 700"):
        ps.open(path)


def crafted(name=b"a.bin", size=b"00000000003\0", kind=b"0", data=b"abc", magic=b"ustar\0", rest=b""):
    """Make a header with a right checksum and any fields, its data, and the end."""
    block = bytearray(tar_writing.header(name, 0, kind))
    block[124:136] = size.ljust(12, b"\0")
    block[257:263] = magic
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + data + bytes(-len(data) % 512) + rest


END = bytes(1024)

HOSTILE = {
    "beyond the end": crafted(size=b"77777777777\0") + END,
    "binary, huge": crafted(size=b"\x80" + b"\xff" * 11) + END,
    "binary, large": crafted(size=b"\x80" + (1 << 61).to_bytes(11, "big")) + END,
    "negative": crafted(size=b"\xff" * 12) + END,
    "minus": crafted(size=b"-0000000003\0") + END,
    "no number": crafted(size=b"abcdefghijk\0") + END,
    "a long name of a gigabyte": crafted(b"././@LongLink", b"10000000000\0", b"L") + END,
    "a long name and nothing": crafted(b"././@LongLink", b"00000000003\0", b"L") + END,
    "pax of a gigabyte": crafted(b"x", b"10000000000\0", b"x") + END,
    "pax without an equals sign": crafted(b"x", b"00000000003\0", b"x", b"3 a") + END,
    "pax that is longer than itself": crafted(b"x", b"00000000010\0", b"x", b"99 a=bc\n") + crafted() + END,
    "pax of length nothing": crafted(b"x", b"00000000006\0", b"x", b"0 a=b\n") + crafted() + END,
    "pax with a huge size": crafted(b"x", b"00000000024\0", b"x", b"20 size=999999999999\n"[:20]) + crafted() + END,
    "a wrong checksum": crafted()[:100] + b"z" + crafted()[101:] + END,
    "text": b"hello " * 1000,
    "zip": b"PK\x03\x04" + bytes(3000),
    "random": random.Random(0).randbytes(4096),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(tmp_path, name):
    """What cannot be is one clear error that names the file, from the index as from the front."""
    path = tmp_path / "bad.tar"
    path.write_bytes(HOSTILE[name])
    for stream in (False, True):
        with pytest.raises(StoreError, match=r"bad\.tar"):
            list(ps.open(path, stream=stream))
    packed = tmp_path / "bad.tgz"
    packed.write_bytes(gzip.compress(HOSTILE[name]))
    with pytest.raises(StoreError, match=r"bad\.tgz"):
        list(ps.open(packed))


def test_names_are_no_paths(tmp_path, archive):
    """Names that lead elsewhere are keys and nothing else; nothing is written."""
    path = archive(tmp_path / "a.tar", [("../../etc/x.txt", b"1"), ("/etc/y.txt", b"2")])
    assert [item["__key__"] for item in ps.open(path)] == ["../../etc/x", "/etc/y"]
    assert os.listdir(tmp_path) == ["a.tar"]
    odd = archive(tmp_path / "b.tar", [("a\udcff.txt", b"1")], tarfile.GNU_FORMAT)
    assert ps.open(odd)[0]["__key__"] == "a\\xff"


def test_an_archive_without_records(tmp_path, archive):
    """An empty archive is a store of length 0; one whose members have no extension says how they must be called."""
    assert len(ps.open(archive(tmp_path / "a.tar", []))) == 0
    assert list(ps.open(archive(tmp_path / "a.tar", []), stream=True)) == []
    with pytest.raises(StoreError, match=r"key\.extension, and 'README' is not"):
        ps.open(archive(tmp_path / "b.tar", [("README", b"1")]))


def test_compressed_archives(tmp_path, archive, by_tarfile, entries):
    """Gzip, bzip2 and xz are streams, whatever they are called; positions are refused, and so is damage."""
    for mode in ("w:gz", "w:bz2", "w:xz"):
        path = archive(tmp_path / f"a-{mode[2:]}.tar", entries, mode=mode)
        assert list(ps.open(path, decode=False)) == by_tarfile(path)
        check_dataset(ps.open(path, decode=False), epochs=(0,))
        with pytest.raises(ArgumentError, match="compressed"):
            ps.open(path, stream=False)
    noise = random.Random(0).randbytes(50_000)
    whole = Path(archive(tmp_path / "b.tgz", [("a.bin", noise), ("b.bin", noise)], mode="w:gz")).read_bytes()
    for length in (0, 5, 20, 1000, len(whole) // 2, len(whole) - 300):
        (tmp_path / "c.tgz").write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"c\.tgz"):
            list(ps.open(tmp_path / "c.tgz"))


def read_all(path):
    """Read an archive at random and from the front; errors must be the store's own."""
    items = None
    try:
        store = ps.open(path, index="memory")
        items = [store[k] for k in range(len(store))]
    except StoreError as error:
        assert os.path.basename(path) in str(error)  # noqa: PT017
    try:
        front = list(ps.open(path, stream=True))
    except StoreError as error:
        assert os.path.basename(path) in str(error)  # noqa: PT017
    else:
        assert items is None or same(items, front)


def fuzz(folder, seed, count, archive, entries):
    """Read archives that were valid before some bytes were changed, their checksums made right again or not."""
    draw = random.Random(seed)
    forms = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    content = [*entries[:5], ("b.json", b'{"a": [1]}'), ("c.npy", tar_writing.encoded("npy", np.arange(3), ""))]
    content.append(("é" * 40 + "/" + "é" * 40 + ".txt", b"t"))
    valid = [Path(archive(folder / "v.tar", content, form)).read_bytes() for form in forms]
    path = str(folder / "f.tar")
    values = b"\0 0123456789abcdef\xff\x80LKxgS5="
    for _ in range(count):
        data = bytearray(draw.choice(valid)[: draw.choice((None, None, draw.randrange(9000)))])
        blocks = range(0, len(data) - 511, 512)
        for _ in range(draw.randrange(1, 5)):
            if not data:
                break
            at = draw.randrange(len(data))
            if draw.random() < 0.6 and blocks:
                block = draw.choice(blocks)
                at = block + draw.choice((draw.randrange(512), 124 + draw.randrange(12), 156, draw.randrange(20)))
            data[at] = draw.choice(values) if draw.random() < 0.7 else draw.randrange(256)
            if draw.random() < 0.8 and at // 512 * 512 in blocks:
                block = at // 512 * 512
                data[block + 148 : block + 156] = b" " * 8
                data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
        with open(path, "wb") as file:
            file.write(data)
        read_all(path)


def test_fuzz(tmp_path, archive, entries):
    """Thousands of changed archives are read or refused with a StoreError, the same both ways; headers, ten thousand."""
    fuzz(tmp_path, 1, 3000, archive, entries)
    draw = random.Random(2)
    block = tar_writing.header(b"a.bin", 3, b"0")
    for _ in range(10_000):
        data = bytearray(block + bytes(2048))
        for _ in range(3):
            data[draw.randrange(512)] = draw.randrange(256)
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        with contextlib.suppress(StoreError):
            list(Archive(lambda at, size, data=data: bytes(data[at : at + size]), "x").members())


def test_two_members_of_one_kind(tmp_path, archive):
    """A record with a member twice is an error when it is read, not one of the two."""
    store = ps.open(archive(tmp_path / "a.tar", [("a.jpg", b"1"), ("a.jpg", b"2"), ("b.jpg", b"3")]))
    assert store[1]["jpg"] == b"3"
    with pytest.raises(CorruptRecord, match=r"record 0, 'a', of .* more than one member \.jpg"):
        store[0]


def test_members_that_claim_much(tmp_path, monkeypatch, archive):
    """What is compressed is read piece by piece, and refused where a member claims more than is sensible."""
    noise = random.Random(0).randbytes(50_000)
    path = archive(tmp_path / "a.tgz", [("a.bin", noise), ("b.bin", noise[:10])], mode="w:gz")
    monkeypatch.setattr(tar_reading, "PIECE", 999)
    assert [item["bin"] for item in ps.open(path)] == [noise, noise[:10]]
    monkeypatch.setattr(tar_reading, "LARGEST", 49_999)
    with pytest.raises(StoreError, match=r"a\.tgz: member 'a\.bin' says that it has 50000 bytes"):
        list(ps.open(path))
