"""Indexes beside files: what comes back, whose they are, and that nothing half is left. Formats test the rest."""

from __future__ import annotations

import os

import numpy as np
import pytest

from penstock.storage import kept_index

MARK = b"a mark of any length\n"
DTYPES = ("<i8", "u1", "<i4")


@pytest.fixture
def file(tmp_path):
    """A file, and an index beside it."""
    path = str(tmp_path / "a.bin")
    (tmp_path / "a.bin").write_bytes(b"content")
    arrays = [np.arange(5), np.frombuffer(b"abc", np.uint8), np.empty(0, np.int32)]
    kept_index.save(kept_index.beside(path), MARK, {"tag": "ä"}, arrays, kept_index.stamp(path))
    return path


def test_what_was_kept_comes_back(file):
    """Its description and its arrays, empty ones too."""
    said, arrays = kept_index.load(kept_index.beside(file), MARK, DTYPES, kept_index.stamp(file))
    assert said["tag"] == "ä"
    assert [array.tolist() for array in arrays] == [[0, 1, 2, 3, 4], [97, 98, 99], []]


def test_it_belongs_to_one_file(file):
    """Not to one that was changed, and not to another format."""
    before = kept_index.stamp(file)
    os.utime(file, ns=(0, before.changed + 1))
    with pytest.raises(ValueError, match="of another file"):
        kept_index.load(kept_index.beside(file), MARK, DTYPES, kept_index.stamp(file))
    with pytest.raises(ValueError, match="no index"):
        kept_index.load(kept_index.beside(file), b"another mark of it..\n", DTYPES, before)


def test_nothing_half_is_left(file, monkeypatch):
    """Where writing fails, the old index stays, and nothing beside it."""
    folder = os.path.dirname(file)
    before = sorted(os.listdir(folder))

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_index.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        kept_index.save(kept_index.beside(file), MARK, {}, [], kept_index.stamp(file))
    assert sorted(os.listdir(folder)) == before
    assert kept_index.load(kept_index.beside(file), MARK, DTYPES, kept_index.stamp(file))[0]["tag"] == "ä"


def test_indexes_that_a_pattern_found_are_passed_over():
    """Only those of files that it found, too."""
    assert kept_index.without(["a", "a.index", "b.index", "c.index.index"]) == ["a", "b.index", "c.index.index"]
