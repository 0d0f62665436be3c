"""The index of a tar archive: kept, used, and not trusted."""

from __future__ import annotations

import os
import random

import pytest

import penstock as ps
from penstock.errors import StoreError
from penstock.storage import kept_index, tar_index
from penstock.storage.tar_index import build


def test_an_index_is_kept_and_used(tmp_path, monkeypatch):
    """A large one is kept beside the archive, read the next time, and built anew where archive or index changed."""
    monkeypatch.setattr(kept_index, "MANY", 10)
    path = str(tmp_path / "a.tar")
    items = [{"__key__": f"k{k}", "cls": k, "txt": "t" * k} for k in range(20)]
    assert list(ps.items(items).save(path)) == items
    assert os.listdir(tmp_path) != ["a.tar"]
    built = []
    monkeypatch.setattr(tar_index, "build", lambda *args, **how: built.append(args) or build(*args, **how))
    first = ps.open(path)
    assert list(first) == items
    assert not built
    with open(path + ".index", "rb") as file:
        good = file.read()
    draw = random.Random(0)
    for number in range(60):
        bad = bytearray(good[: draw.randrange(len(good))]) if number % 2 else bytearray(good)
        if bad:
            bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        (tmp_path / "a.tar.index").write_bytes(bad)
        assert list(ps.open(path)) == items
        assert len(built) == number + 1
    assert (tmp_path / "a.tar.index").read_bytes() == good
    assert ps.open(path) == first
    ps.items(items[:12]).save(path, replace=True)
    assert list(ps.open(path)) == items[:12]
    assert ps.open(path).node.handle.tag != first.node.handle.tag


def test_a_hostile_index_is_not_followed(tmp_path, classes):
    """An index with a right checksum and numbers that lead outside is not used."""
    path = str(tmp_path / "a.tar")
    ps.items([{"cls": k} for k in range(3)]).save(path)
    index = build(path)
    for name, at, value in (
        ("starts", 0, 1 << 40),
        ("starts", 0, -1),
        ("sizes", 1, -5),
        ("firsts", 1, 9),
        ("ends", 3, 99),
        ("kinds", 0, 5),
    ):
        array = getattr(index, name).copy()
        array[at] = value
        wrong = tar_index.Index(**{**vars(index), name: array})
        tar_index.save(wrong, f"{path}.index")
        with pytest.raises(ValueError, match="outside"):
            tar_index.load(f"{path}.index", index.stamp)
        assert classes(ps.open(path)) == [0, 1, 2]


def test_where_an_index_is_kept(tmp_path, monkeypatch, classes):
    """Small ones are not; "beside" insists; "memory" neither writes nor reads; a folder that refuses is no hindrance."""
    path = str(tmp_path / "a.tar")
    ps.items([{"cls": k} for k in range(3)]).save(path)
    assert os.listdir(tmp_path) == ["a.tar"]
    assert classes(ps.open(path, index="beside")) == [0, 1, 2]
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "a.tar.index"]
    monkeypatch.setattr(tar_index, "load", lambda *args: pytest.fail("an index was looked for"))
    assert classes(ps.open(path, index="memory")) == [0, 1, 2]
    monkeypatch.undo()
    os.unlink(path + ".index")
    monkeypatch.setattr(kept_index, "MANY", 1)

    def refused(*args):
        raise PermissionError("read-only")

    monkeypatch.setattr(kept_index.tempfile, "mkstemp", refused)
    assert classes(ps.open(path)) == [0, 1, 2]
    with pytest.raises(StoreError, match="cannot be written"):
        ps.open(path, index="beside")
    assert os.listdir(tmp_path) == ["a.tar"]
