"""Writing of tar archives: limits, keys, and records that cannot be."""

from __future__ import annotations

import os

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError
from penstock.storage import tar_writing


def test_limits_of_shards(tmp_path):
    """max_count and max_bytes begin another archive; together they are the folder, and a larger record has its own."""
    items = [{"__key__": f"{k}", "bin": bytes(1000 * (k % 3))} for k in range(20)]
    store = ps.items(items).save(tmp_path / "train", "tar", max_count=6)
    assert list(store) == items
    assert sorted(os.listdir(tmp_path / "train")) == [f"train-{k:06d}.tar" for k in range(4)]
    assert list(ps.open(str(tmp_path / "train/train-{000000..000003}.tar"))) == items
    small = ps.items(items).save(tmp_path / "small.tar", max_bytes="4KB")
    assert list(small) == items
    names = sorted(os.listdir(tmp_path / "small.tar"))
    assert names[0] == "small-000000.tar"
    assert all(len(ps.open(tmp_path / "small.tar" / name)) in {1, 2, 3, 4} for name in names)
    assert list(ps.items(items).save(tmp_path / "tiny.tar", max_bytes=1)) == items
    assert len(os.listdir(tmp_path / "tiny.tar")) == 20
    packed = ps.items(items).save(tmp_path / "packed.tar.gz", max_count=10)
    assert list(packed) == items
    assert sorted(os.listdir(tmp_path / "packed.tar.gz")) == ["packed-000000.tar.gz", "packed-000001.tar.gz"]


def test_keys(tmp_path):
    """A record's key is its own, or what key= says, or its number."""
    store = ps.items([{"txt": "a"}, {"__key__": "own", "txt": "b"}]).save(tmp_path / "a.tar")
    assert [item["__key__"] for item in store] == ["000000000", "own"]
    store = ps.items([{"txt": "a"}, {"__key__": "own", "txt": "b"}]).save(
        tmp_path / "b.tar", key=lambda item: f"k/{item['txt']}"
    )
    assert [item["__key__"] for item in store] == ["k/a", "k/b"]


REFUSED = {
    "no dict": (5, "dict of values by extension"),
    "only a key": ({"__key__": "a"}, "dict of values by extension"),
    "a key that is none": ({"__key__": 5, "txt": "a"}, "must be text"),
    "a key with a dot": ({"__key__": "a.b", "txt": "a"}, "name without dots"),
    "an empty key": ({"__key__": "a/", "txt": "a"}, "name without dots"),
    "WebDataset's own": ({"__key__": "__a__", "txt": "a"}, "cannot be a key"),
    "a key that leads out": ({"__key__": "../a", "txt": "a"}, "leads out"),
    "a field with a slash": ({"a/b": b""}, "cannot be an extension"),
    "a field in capitals": ({"JPG": b""}, "lower case"),
    "a field that is no text": ({1: b""}, "must be text"),
    "an image that is not encoded": ({"jpg": np.zeros((2, 2, 3), "u1")}, "Encode it first"),
    "text for a number": ({"cls": "x"}, "cannot be written as .cls"),
    "a truth for a number": ({"cls": True}, "cannot be written as .cls"),
    "a set in JSON": ({"json": {1}}, "cannot be written as .json"),
    "objects in an array": ({"npy": {1}}, "cannot be written as .npy"),
    "no dict of arrays": ({"npz": 3}, "cannot be written as .npz"),
    "no text": ({"txt": 3}, "cannot be written as .txt"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_records_that_cannot_be_written(tmp_path, name):
    """The error names the record and what would do; no file is left."""
    item, match = REFUSED[name]
    with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
        ps.items([{"txt": "first"}, item]).save(tmp_path / "a.tar")
    assert not os.listdir(tmp_path)


def test_neighbours_of_one_key(tmp_path):
    """Two records with one key beside one another would be read as one, so they are refused."""
    with pytest.raises(ArgumentError, match="read as one"):
        ps.items([{"__key__": "a", "txt": "1"}, {"__key__": "a", "cls": 1}]).save(tmp_path / "a.tar")


def test_options(tmp_path):
    """Limits that cannot be are refused with the value and the remedy."""
    for options, match in (
        ({"max_count": 0}, "at least 1"),
        ({"max_bytes": "many"}, "such as '1GB'"),
        ({"max_bytes": 0}, "at least 1"),
        ({"max_bytes": 1.5}, "whole number"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=match):
            ps.items([{"txt": "a"}]).save(tmp_path / "b.tar", **options)
    with pytest.raises(ArgumentError, match="with gzip"):
        ps.items([{"txt": "a"}]).save(tmp_path / "b.tar.xz")
    assert tar_writing.in_bytes("1.5 KiB", "") == 1536
    assert tar_writing.in_bytes("2GB", "") == 2 * 10**9
