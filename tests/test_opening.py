"""open and save: formats by name, suffix and content, progress, workers, errors that name the path."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest

import penstock as ps
from penstock.errors import ArgumentError, ArgumentTypeError, StoreError
from penstock.opening import writing
from penstock.storage import formats
from penstock.testing import same


def test_every_format_is_found():
    """Each file of the folder that has a FORMAT is there by its name, and no two claim one suffix."""
    found = formats()
    assert {"lmdb", "npy"} <= set(found)
    suffixes = [suffix for format_ in found.values() for suffix in format_.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_the_format_is_said_or_seen(tmp_path, monkeypatch):
    """By suffix, whatever its case; by format=; by content, where the name says nothing; paths may be relative."""
    monkeypatch.chdir(tmp_path)
    items = [{"x": np.arange(3)}]
    for name, format_ in (("a.LMDB", None), ("b", "lmdb"), ("c.npy", "lmdb")):
        store = ps.items(items).save(name, format_)
        assert same(list(store), items)
    assert same(list(ps.open("b")), items)
    assert same(list(ps.open(pathlib.Path("b"), "lmdb", copy=True)), items)
    assert ps.open("b", "lmdb", copy=True).node.label() == "open('b', 'lmdb', copy=True)"
    assert ps.open("b").node.handle.path == str(tmp_path / "b")


def test_a_store_does_not_follow_the_working_directory(tmp_path, monkeypatch):
    """What was opened by a relative path is read wherever the process is by then."""
    monkeypatch.chdir(tmp_path)
    store = ps.range(3).save("a.lmdb")
    again = ps.open("a.lmdb")
    monkeypatch.chdir("/")
    assert list(again) == list(store) == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "kind", "match"),
    [
        (lambda: ps.open(3), ArgumentTypeError, "a path must be text or a path"),
        (lambda: ps.open(""), ArgumentError, "path is empty"),
        (lambda: ps.open("none.lmdb"), StoreError, r"open\('none.lmdb'\): there is no such file in"),
        (lambda: ps.open("/no/none.lmdb"), StoreError, r"open\('/no/none.lmdb'\): there is no such file\.$"),
        (lambda: ps.open("none.xyz"), ArgumentError, r"ends in none of .*\.lmdb.*Say format="),
        (lambda: ps.open("a", "lmbd"), ArgumentError, "Did you mean 'lmdb'"),
        (lambda: ps.range(3).save("a.xyz"), ArgumentError, "Say format="),
        (lambda: ps.range(3).save(3), ArgumentTypeError, "a path must be"),
        (lambda: ps.range(3).save("none/a.lmdb"), StoreError, "there is no folder"),
        (lambda: ps.range(3).repeat().save("a.lmdb"), ArgumentError, "has no end"),
        (lambda: ps.range(3).save("a.lmdb", progress=3), ArgumentTypeError, "progress must be True, False or a function"),
        (lambda: ps.range(3).save("a.lmdb", key="x"), ArgumentTypeError, "key must be a function"),
        (lambda: ps.range(3).save("a.lmdb", replace=1), ArgumentTypeError, "replace must be True or False"),
        (lambda: ps.range(3).save("a.lmdb", append=1), ArgumentTypeError, "append must be True or False"),
        (lambda: ps.items([{1}]).save("a.lmdb"), ArgumentTypeError, "records hold"),
    ],
)
def test_mistakes_are_named(call, kind, match, tmp_path, monkeypatch):
    """Each mistake names value, operation and remedy, and leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=match):
        call()
    assert not os.listdir(tmp_path)


def square(x):
    """Return a dict with an array."""
    return {"x": np.full(3, x * x)}


@pytest.mark.parametrize("workers", [None, ps.Threads(2), ps.Processes(2)])
def test_saving_by_workers(tmp_path, workers):
    """Wherever the items are computed, the file is the same to the byte."""
    dataset = ps.range(50).seed(3).shuffle().map(square)
    dataset.save(tmp_path / "a.lmdb")
    store = dataset.save(tmp_path / "b.lmdb", workers=workers)
    assert same(list(store), list(dataset))
    assert (tmp_path / "a.lmdb").read_bytes() == (tmp_path / "b.lmdb").read_bytes()


def test_streams_are_saved(tmp_path):
    """A stream is written to its end; the store has the length that the stream could not tell."""
    store = ps.range(100).filter(lambda x: x % 7 == 0).save(tmp_path / "a.lmdb")
    assert len(store) == 15


def test_progress_is_told(tmp_path):
    """The function hears the number of all, or None, and at the end always how many there are."""
    told = []
    ps.range(30).save(tmp_path / "a.lmdb", progress=lambda done, total: told.append((done, total)))
    ps.stream([1, 2]).save(tmp_path / "b.lmdb", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (2, None)
    assert (30, 30) in told


def test_an_error_of_an_item_keeps_its_notes(tmp_path):
    """What a function raises while its items are saved arrives with its own type and notes."""
    with pytest.raises(ZeroDivisionError) as caught:
        ps.range(3).map(lambda x: 1 / (x - 1)).save(tmp_path / "a.lmdb")
    assert any("item 1 of map(" in note for note in caught.value.__notes__)
    assert not os.listdir(tmp_path)


def test_records_one_by_one(tmp_path):
    """A store can be written record by record, with names."""
    with writing(tmp_path / "a.lmdb") as store:
        store.append({"x": 1}, key="one")
        store.append({"x": 2}, key="two")
    assert store.count == 2
    opened = ps.open(tmp_path / "a.lmdb")
    assert list(opened) == [{"x": 1}, {"x": 2}]
